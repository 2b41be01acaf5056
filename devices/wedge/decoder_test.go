package wedge

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"payagent/devices/internal/framing"
	"payagent/devices/internal/reading"
)

// origin is our time at 0 of the kernel's clock.
var origin = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

const (
	code1 = "134567890123456789"
	code2 = "281234567890123456"
	slow  = 2 * time.Second // ends everything
)

// builder makes the decoder under test.
type builder func(Config) (reading.Decoder, error)

func right(cfg Config) (reading.Decoder, error) {
	l, f, err := cfg.parts()
	if err != nil {
		return nil, err
	}
	return newDecoder(l, f)
}

// bench is a decoder with a typist before it.
type bench struct {
	typist
	d      reading.Decoder
	frames []framing.Frame
}

func newBench(m builder, cfg Config) (*bench, error) {
	d, err := m(cfg)
	if err != nil {
		return nil, err
	}
	layout := cfg.Layout
	if layout == "" {
		layout = "us"
	}
	return &bench{typist: typist{picture: pictures[layout], step: 2 * time.Millisecond, now: time.Hour}, d: d}, nil
}

// read gives the decoder what was typed, late after it was.
func (b *bench) read(late time.Duration) {
	b.frames = append(b.frames, b.d.Feed(raw(b.out), origin.Add(b.now+late))...)
	b.out = nil
	b.now += max(late, 0)
}

// rest lets time pass with the reader looking, as reading does.
func (b *bench) rest(d time.Duration) {
	b.read(0)
	for end := b.now + d; b.now < end; {
		wait := 100 * time.Millisecond
		if gap := b.d.Gap(); b.d.Pending() && gap > 0 {
			wait = min(wait, gap)
		}
		b.now = min(b.now+wait, end)
		b.frames = append(b.frames, b.d.Idle(origin.Add(b.now))...)
	}
}

// gives wants exactly these codes so far.
func (b *bench) gives(want ...string) error {
	b.read(0)
	got := []string{}
	for _, f := range b.frames {
		got = append(got, f.Text)
	}
	if want == nil {
		want = []string{}
	}
	if !reflect.DeepEqual(got, want) {
		return fmt.Errorf("%q came, not %q", got, want)
	}
	return nil
}

func (b *bench) counts(want framing.Stats) error {
	b.read(0)
	got := b.d.Stats()
	got.Bytes, got.Trimmed = 0, 0
	if got != want {
		return fmt.Errorf("it counted %+v, not %+v", got, want)
	}
	return nil
}

func (b *bench) drop() {
	b.event(evSyn, synDropped, 0)
}

// rule is one that a decoder of keys must keep.
type rule struct {
	name string
	cfg  Config
	run  func(b *bench) error
}

// first gives the first error.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func rules() []rule {
	typed := func(s string, want ...string) func(*bench) error {
		return func(b *bench) error {
			b.text(s)
			return b.gives(want...)
		}
	}
	none := Config{End: EndNone}
	list := []rule{
		{"a code and Enter", Config{}, typed(code1+"\r", code1)},
		{"several codes", Config{}, typed(code1+"\r"+code2+"\r\r"+code1+"\n", code1, code2, code1)},
		{"Tab ends", Config{End: EndTab}, typed(code1+"\t"+code2+"\t", code1, code2)},
		{"Tab and Enter", Config{}, typed(code1+"\t\r"+code2+"\t\r", code1, code2)},
		{"Tab inside is noise", Config{}, typed(code1+"\t1\r"+code2+"\r", code2)},
		{"prefix and suffix", Config{Prefix: "A:", Suffix: "#"}, typed("A:"+code1+"#\r", code1)},
		{"bounds", Config{Min: 4, Max: 18}, typed("123\r"+code1+"9\r"+code1+"\r", code1)},
		{"longest", Config{}, typed(strings.Repeat("7", 512)+"\r"+strings.Repeat("8", 513)+"\r"+code1+"\r", strings.Repeat("7", 512), code1)},
		{"scan codes change nothing", Config{}, func(b *bench) error {
			b.scans = true
			return typed(code1+"aB\r", code1+"aB")(b)
		}},
		{"keypad", Config{}, func(b *bench) error {
			b.tap(keyNum)
			for _, k := range []uint16{79, 80, 81, 75, 76, 77, 71, 72, 73, 82, 83, 98, 55, 74, 78, 117, 121, 96} {
				b.tap(k)
			}
			return b.gives("1234567890./*-+=,")
		}},
		{"Alt and numbers", Config{}, func(b *bench) error {
			for _, n := range []string{"65", "065", "0228", "97", "0126", "013", "49", "10"} {
				b.number(n)
			}
			return b.gives("AAäa~", "1")
		}},
		{"Alt and numbers no one knows", Config{}, func(b *bench) error {
			for i, n := range []string{"200", "65280", "0999999999999", "0300", "127"} {
				b.text(code1)
				b.number(n)
				b.text("\r")
				if err := b.counts(framing.Stats{Noise: uint64(i + 1)}); err != nil {
					return err
				}
			}
			return b.gives()
		}},
		{"a pause of the scanner inside Alt is no pause of the code", none, func(b *bench) error {
			b.step = 20 * time.Millisecond
			b.text("12")
			b.number("0126")
			b.text("34")
			b.rest(slow)
			return b.gives("12~34")
		}},
		{"Ctrl with Alt is AltGr", Config{Layout: "de"}, func(b *bench) error {
			b.with(func() { b.tap(keyQ) }, keyLeftCtrl, keyLeftAlt)
			b.with(func() { b.tap(keyE) }, keyLeftCtrl, keyRightAlt)
			b.text("\r")
			return b.gives("@€")
		}},
		{"dead keys make letters", Config{Layout: "de"}, func(b *bench) error {
			b.with(func() { b.tap(keyEqual) }, keyLeftShift) // `
			b.tap(keyA)
			b.tap(keyGrave) // ^
			b.text("1")
			b.tap(keyGrave)
			b.tap(keyGrave)
			b.tap(keyGrave)
			b.text("\r")
			return b.gives("à^1^^^")
		}},
		{"a held key repeats nothing", Config{}, func(b *bench) error {
			b.text(code1[:9])
			b.report(key0+0, 1)
			for range 24 {
				b.report(key0, 2)
			}
			b.report(key0, 0)
			b.text("1\r")
			return b.gives(code1[:9] + "01")
		}},
		{"a key that stays down is no code, and none while it is", Config{}, func(b *bench) error {
			b.report(key5, 1)
			for range 200 {
				b.report(key5, 2)
			}
			b.rest(slow)
			b.text("13467\r") // its 5 cannot be typed
			b.text("2346\r")
			b.report(key5, 0)
			b.text(code2 + "\r")
			return first(b.gives(code2), b.counts(framing.Stats{Frames: 1, Noise: 2, Cut: 1}))
		}},
		{"a key that stays down inside a code drops it", Config{}, func(b *bench) error {
			b.text("13")
			b.report(key5, 1)
			b.text("674\r")
			b.report(key5, 0)
			b.text(code2 + "\r")
			return first(b.gives(code2), b.counts(framing.Stats{Frames: 1, Noise: 1}))
		}},
		{"keys that overlap", Config{}, func(b *bench) error {
			down := uint16(0)
			for _, k := range []uint16{key1, key3, key4, key5, key1, keyEnter} {
				b.report(k, 1)
				if down != 0 {
					b.report(down, 0)
				}
				down = k
			}
			b.report(down, 0)
			return b.gives("13451")
		}},
		{"several keys in one report", Config{}, func(b *bench) error {
			for _, chunk := range [][]uint16{{key1, key3, key4, key5, key6, key7}, {key8, key9, key0}, {key1, keyEnter}} {
				for _, v := range []int32{1, 0} {
					for _, k := range chunk {
						b.event(evKey, k, v)
					}
					b.event(evSyn, synReport, 0)
				}
			}
			return b.gives("134567890" + "1")
		}},
		{"Caps Lock of the scanner", Config{}, func(b *bench) error {
			b.tap(keyCaps)
			b.text("abcABC12!")
			b.tap(keyCaps)
			b.text("abc\r")
			b.tap(keyCaps)
			b.text("abc\r") // Caps Lock off comes behind Enter
			b.tap(keyCaps)
			b.text("abc\r")
			return b.gives("ABCabc12!abc", "ABC", "abc")
		}},
		{"Caps Lock is forgotten", Config{}, func(b *bench) error {
			b.tap(keyCaps)
			b.text("abc\r")
			b.rest(slow)
			b.text("abc\r")
			return b.gives("ABC", "abc")
		}},
		{"lights of the host change nothing", Config{}, func(b *bench) error {
			for led := range uint16(3) {
				b.event(0x11, led, 1)
				b.event(evSyn, synReport, 0)
			}
			b.tap(keyScroll)
			b.tap(keyNum)
			return typed("abCD12\r", "abCD12")(b)
		}},
		{"both shift keys", Config{}, func(b *bench) error {
			b.report(42, 1)
			b.report(54, 1)
			b.report(42, 0)
			b.tap(keyA)
			b.report(54, 0)
			b.tap(keyA)
			b.text("\r")
			return b.gives("Aa")
		}},
		{"lost input drops the code up to Enter", Config{}, func(b *bench) error {
			b.text(code1[:9])
			b.drop()
			b.text(code1[10:] + "\r" + code2 + "\r")
			return first(b.gives(code2), b.counts(framing.Stats{Frames: 1, Cut: 1, Lost: 1}))
		}},
		{"lost input drops the code though its front is lost", Config{}, func(b *bench) error {
			b.drop()
			b.text(code1[10:] + "\r" + code2 + "\r")
			return first(b.gives(code2), b.counts(framing.Stats{Frames: 1, Lost: 1}))
		}},
		{"lost input with its Enter drops up to a pause", Config{}, func(b *bench) error {
			b.text(code1[:9])
			b.drop()
			b.text(code1[10:])
			b.now += slow
			b.text(code2 + "\r")
			return b.gives(code2)
		}},
		{"lost input drops up to a pause that is seen", none, func(b *bench) error {
			b.text(code1[:9])
			b.drop()
			b.text(code1[10:])
			b.rest(slow)
			b.text(code2)
			b.rest(slow)
			return b.gives(code2)
		}},
		{"lost input with a release lets go of Shift", Config{}, func(b *bench) error {
			b.report(42, 1)
			b.drop()
			b.text("1\rab1\r")
			return b.gives("ab1")
		}},
		{"half an event is lost input", Config{}, func(b *bench) error {
			b.text(code1[:9])
			p := raw(b.out)
			b.frames = append(b.frames, b.d.Feed(p[:len(p)-1], origin.Add(b.now))...)
			b.out = nil
			b.text(code1[9:] + "\r" + code2 + "\r")
			return first(b.gives(code2), b.counts(framing.Stats{Frames: 1, Cut: 1, Lost: 1}))
		}},
		{"a pause ends", none, func(b *bench) error {
			b.text(code1)
			b.rest(slow)
			b.text(code2)
			b.rest(slow)
			return b.gives(code1, code2)
		}},
		{"a pause ends by the kernel's clock", none, func(b *bench) error {
			b.text(code1)
			b.now += 200 * time.Millisecond
			b.text(code2)
			b.read(5 * time.Second)
			b.rest(slow)
			return b.gives(code1, code2)
		}},
		{"a late reader makes no pause", none, func(b *bench) error {
			b.text(code1[:9])
			b.read(0)
			// The reader was held up behind an empty read: keys wait.
			b.frames = append(b.frames, b.d.Idle(origin.Add(b.now+500*time.Millisecond))...)
			b.text(code1[9:])
			b.read(500 * time.Millisecond)
			b.rest(slow)
			return b.gives(code1)
		}},
		{"half a code is given up", Config{}, func(b *bench) error {
			b.text(code1[:9])
			b.rest(slow)
			b.text(code2 + "\r")
			return first(b.gives(code2), b.counts(framing.Stats{Frames: 1, Cut: 1}))
		}},
		{"a pause may be set", Config{Gap: 300 * time.Millisecond}, func(b *bench) error {
			b.text(code1[:9])
			b.now += 400 * time.Millisecond
			b.text(code2 + "\r")
			return b.gives(code2)
		}},
		{"a dead key before a pause", Config{End: EndNone, Layout: "de"}, func(b *bench) error {
			b.text("12")
			b.tap(keyGrave)
			b.rest(slow)
			return b.gives("12^")
		}},
		{"keys nobody has, around a code", Config{}, typed("\x00"+code1+"\x00\x00\r\x00\r", code1)},
		{"keys nobody has, inside", Config{}, typed(code1+"\x001\r"+code2+"\r", code2)},
		{"clocks that jump", Config{}, func(b *bench) error {
			b.text(code1 + "\r")
			b.read(0)
			b.now -= 30 * time.Minute
			b.text(code2 + "\r")
			b.frames = append(b.frames, b.d.Feed(raw(b.out), origin.Add(time.Hour))...)
			b.out = nil
			b.now += 40 * time.Hour
			b.text(code1 + "\r")
			b.frames = append(b.frames, b.d.Feed(raw(b.out), origin.Add(time.Hour+time.Second))...)
			b.out = nil
			if at := b.frames[len(b.frames)-1].At; at.Before(origin.Add(59*time.Minute)) || at.After(origin.Add(61*time.Minute)) {
				return fmt.Errorf("the last code is said to have come at %v", at)
			}
			return b.gives(code1, code2, code1)
		}},
	}
	combos := map[string]func(*bench){
		"Ctrl+O":       func(b *bench) { b.with(func() { b.tap(keyO) }, keyLeftCtrl) },
		"Ctrl+Shift+1": func(b *bench) { b.with(func() { b.tap(key1) }, keyRightCtrl, keyLeftShift) },
		"Alt+F4":       func(b *bench) { b.with(func() { b.tap(62) }, keyLeftAlt) },
		"Alt+Tab":      func(b *bench) { b.with(func() { b.tap(keyTab) }, keyLeftAlt) },
		"Alt+1":        func(b *bench) { b.with(func() { b.tap(key1) }, keyRightAlt) },
		"Win":          func(b *bench) { b.tap(keyLeftMeta) },
		"Win+R":        func(b *bench) { b.with(func() { b.tap(keyR) }, keyRightMeta) },
		"Ctrl+Alt+Del": func(b *bench) { b.with(func() { b.tap(111) }, keyLeftCtrl, keyLeftAlt) },
		"F1":           func(b *bench) { b.tap(59) },
		"F24":          func(b *bench) { b.tap(194) },
		"Esc":          func(b *bench) { b.tap(keyEsc) },
		"Backspace":    func(b *bench) { b.tap(keyBackspace) },
		"Delete":       func(b *bench) { b.tap(111) },
		"Left":         func(b *bench) { b.tap(105) },
		"Print":        func(b *bench) { b.tap(99) },
	}
	for name, combo := range combos {
		for where := range 3 {
			list = append(list, rule{fmt.Sprintf("%s drops a code (%d)", name, where), Config{}, func(b *bench) error {
				parts := [][2]string{{"", code1}, {code1[:9], code1[9:]}, {code1, ""}}[where]
				b.text(parts[0])
				combo(b)
				b.text(parts[1] + "\r" + code2 + "\r")
				return first(b.gives(code2), b.counts(framing.Stats{Frames: 1, Noise: 1}))
			}})
		}
		list = append(list, rule{name + " drops a code that a pause ends", none, func(b *bench) error {
			combo(b)
			b.text(code1)
			b.rest(slow)
			combo(b)
			b.rest(slow)
			b.text(code2)
			b.rest(slow)
			return first(b.gives(code2), b.counts(framing.Stats{Frames: 1, Noise: 2}))
		}})
	}
	for _, layout := range Layouts() {
		list = append(list, rule{"all of ASCII on " + layout, Config{Layout: layout}, everyWay})
		list = append(list, rule{"all of ASCII with Caps Lock on " + layout, Config{Layout: layout}, everyWayCaps})
	}
	return list
}

// everyWay types every character in each way its layout has.
func everyWay(b *bench) error {
	var want []string
	for _, c := range ascii() {
		ways := max(len(b.picture.strokes(c)), 1)
		for b.nth = range ways {
			text := "x" + string(c) + string(c) + "y"
			b.text(text + "\r")
			want = append(want, text)
		}
	}
	b.nth = 0
	b.text("x" + ascii() + "y\r")
	return b.gives(append(want, "x"+ascii()+"y")...)
}

// everyWayCaps types it as a scanner does that was told, or took it from a
// light, that Caps Lock is on: letters with the other shift, between two
// presses of the key.
func everyWayCaps(b *bench) error {
	b.event(0x11, 1, 1)
	b.tap(keyCaps)
	for _, c := range ascii() {
		switch {
		case c >= 'a' && c <= 'z':
			b.char(c - 'a' + 'A')
		case c >= 'A' && c <= 'Z':
			b.char(c - 'A' + 'a')
		default:
			b.char(c)
		}
	}
	b.tap(keyCaps)
	b.text("\r")
	return b.gives(strings.TrimLeft(ascii(), " "))
}

func runRule(m builder, r rule) error {
	b, err := newBench(m, r.cfg)
	if err != nil {
		return err
	}
	return r.run(b)
}

func TestRules(t *testing.T) {
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) {
			if err := runRule(right, r); err != nil {
				t.Error(err)
			}
		})
	}
}

// wrong is a right decoder behind a fault.
type wrong struct {
	reading.Decoder
	event func(e event, at time.Time) []event // what it takes an event for
	eager bool                                // believes the first pause
	rest  bool                                // waits for no pause
}

func (w wrong) Feed(p []byte, at time.Time) []framing.Frame {
	if w.event == nil {
		return w.Decoder.Feed(p, at)
	}
	var out []event
	for ; len(p) >= eventSize; p = p[eventSize:] {
		out = append(out, w.event(parse(p), at)...)
	}
	return w.Decoder.Feed(append(raw(out), p...), at)
}

func (w wrong) Idle(at time.Time) []framing.Frame {
	if w.rest {
		return nil
	}
	out := w.Decoder.Idle(at)
	if w.eager {
		out = append(out, w.Decoder.Idle(at)...)
	}
	return out
}

// TestWrongDecoders: each fault is caught by the rules that name it.
func TestWrongDecoders(t *testing.T) {
	byName := map[string]rule{}
	for _, r := range rules() {
		if _, twice := byName[r.name]; twice {
			t.Fatalf("%q stands twice", r.name)
		}
		byName[r.name] = r
	}
	behind := func(w wrong) builder {
		return func(cfg Config) (d reading.Decoder, err error) {
			w.Decoder, err = right(cfg)
			return w, err
		}
	}
	events := func(f func(event) []event) builder {
		return behind(wrong{event: func(e event, _ time.Time) []event { return f(e) }})
	}
	without := func(drop func(event) bool) builder {
		return events(func(e event) []event {
			if drop(e) {
				return nil
			}
			return []event{e}
		})
	}
	without2 := func(codes ...uint16) builder {
		return without(func(e event) bool {
			for _, c := range codes {
				if e.kind == evKey && e.code == c {
					return true
				}
			}
			return false
		})
	}
	for name, w := range map[string]struct {
		builder
		caught []string
	}{
		"counts repeats": {events(func(e event) []event {
			if e.kind == evKey && e.value == 2 {
				e.value = 1
			}
			return []event{e}
		}), []string{"a held key repeats nothing"}},
		"counts releases": {events(func(e event) []event {
			if _, side := modifier(e.code); e.kind == evKey && e.value == 0 && side == 0 {
				e.value = 1
			}
			return []event{e}
		}), []string{"a code and Enter"}},
		"ignores lost input": {without(func(e event) bool { return e.kind == evSyn && e.code == synDropped }),
			[]string{"lost input drops the code up to Enter", "lost input drops the code though its front is lost",
				"lost input drops up to a pause that is seen", "lost input with a release lets go of Shift"}},
		"us always": {func(cfg Config) (reading.Decoder, error) {
			cfg.Layout = "us"
			return right(cfg)
		}, []string{"all of ASCII on br", "all of ASCII on de", "all of ASCII on es", "all of ASCII on fr", "all of ASCII on it",
			"all of ASCII on jp", "all of ASCII on uk", "Ctrl with Alt is AltGr", "dead keys make letters"}},
		"ignores Shift":     {without2(keyLeftShift), []string{"all of ASCII on us"}},
		"ignores AltGr":     {without2(keyRightAlt), []string{"all of ASCII on de"}},
		"ignores Alt":       {without2(keyLeftAlt), []string{"Alt and numbers", "all of ASCII on it"}},
		"ignores Ctrl":      {without2(keyLeftCtrl), []string{"Ctrl+O drops a code (1)"}},
		"ignores Win":       {without2(keyLeftMeta, keyRightMeta), []string{"Win drops a code (0)", "Win+R drops a code (1)"}},
		"ignores Esc":       {without2(keyEsc), []string{"Esc drops a code (0)", "Esc drops a code (1)", "Esc drops a code (2)", "Esc drops a code that a pause ends"}},
		"ignores Caps Lock": {without2(keyCaps), []string{"Caps Lock of the scanner", "all of ASCII with Caps Lock on us"}},
		"believes the host's light": {events(func(e event) []event {
			if e.kind == 0x11 && e.code == 1 {
				e.kind, e.code = evKey, keyCaps
			}
			return []event{e}
		}), []string{"lights of the host change nothing", "all of ASCII with Caps Lock on us"}},
		"digits only from the top row": {without(func(e event) bool { return e.kind == evKey && keypad(e.code) != 0 }), []string{"keypad"}},
		"believes no key to be stuck": {events(func(e event) []event {
			if _, side := modifier(e.code); e.kind == evKey && e.value == 1 && side == 0 {
				up := e
				up.value = 0
				return []event{e, up}
			}
			return []event{e}
		}), []string{"a key that stays down is no code, and none while it is", "a key that stays down inside a code drops it"}},
		"takes the time of reading": {behind(wrong{event: func(e event, at time.Time) []event {
			s := stamped(at.Sub(origin))
			s.kind, s.code, s.value = e.kind, e.code, e.value
			return []event{s}
		}}), []string{"a pause ends by the kernel's clock"}},
		"believes the first pause": {behind(wrong{eager: true}), []string{"a late reader makes no pause"}},
		"waits for no pause":       {behind(wrong{rest: true}), []string{"a dead key before a pause"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, c := range w.caught {
				r, ok := byName[c]
				if !ok {
					t.Fatalf("there is no rule %q", c)
				}
				if runRule(w.builder, r) == nil {
					t.Errorf("passes %q", c)
				}
			}
		})
	}
}

// TestTimes: a code bears the times of its keys, not of its reading.
func TestTimes(t *testing.T) {
	b, err := newBench(right, Config{})
	if err != nil {
		t.Fatal(err)
	}
	b.text("1\r")
	b.read(-b.step) // at once
	from := b.now
	b.text(code1)
	to := b.now
	b.text("\r")
	b.read(3 * time.Second)
	got := b.frames[1]
	if !got.Start.Equal(origin.Add(from)) || !got.At.Equal(origin.Add(to)) {
		t.Errorf("%v to %v, not %v to %v", got.Start, got.At, origin.Add(from), origin.Add(to))
	}
}

func FuzzKeys(f *testing.F) {
	add := func(cfg uint8, do func(y *typist)) {
		y := &typist{picture: pictures[Layouts()[int(cfg)%len(Layouts())]], step: time.Millisecond, now: time.Hour}
		do(y)
		f.Add(raw(y.out), cfg, uint16(5), uint16(40))
	}
	for cfg := range uint8(8) {
		add(cfg, func(y *typist) { y.text(code1 + "aB~^\\@\r" + code2 + "\t") })
	}
	add(7, func(y *typist) { y.with(func() { y.tap(keyR) }, keyLeftMeta); y.text("cmd\r") })
	add(15, func(y *typist) { y.text("12"); y.event(evSyn, synDropped, 0); y.text("34\r5\r") })
	add(23, func(y *typist) { y.report(key5, 1); y.report(key5, 2); y.now += slow; y.text("134\r") })
	add(31, func(y *typist) { y.tap(keyCaps); y.text("ab\r"); y.number("0228"); y.number("65280"); y.text("\r") })
	ends := []string{EndEnter, EndTab, EndNone}
	f.Fuzz(func(t *testing.T, p []byte, set uint8, cut, late uint16) {
		cfg := Config{Layout: Layouts()[int(set)%len(Layouts())], End: ends[int(set/8)%len(ends)]}
		feed := func(parts ...[]byte) (string, framing.Stats) {
			d, err := right(cfg)
			if err != nil {
				t.Fatal(err)
			}
			// The clocks are aligned first, so that the cut does not change it.
			at := origin
			if len(p) >= eventSize {
				at = origin.Add(time.Duration(late) * time.Millisecond)
				d.Feed(stamps(p), at)
			}
			var frames []framing.Frame
			for _, part := range parts {
				frames = append(frames, d.Feed(part, at)...)
			}
			at = at.Add(3 * time.Minute)
			frames = append(append(frames, d.Idle(at)...), d.Idle(at)...)
			if d.Pending() {
				t.Fatal("something is left after a long pause")
			}
			var texts strings.Builder
			for _, fr := range frames {
				if len(fr.Text) < 1 || len(fr.Text) > 512 || strings.ContainsFunc(fr.Text, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd }) {
					t.Fatalf("%q breaks the bounds of a code", fr.Text)
				}
				if fr.At.After(at) || fr.At.Before(fr.Start) {
					t.Fatalf("a code from %v to %v, read at %v", fr.Start, fr.At, at)
				}
				texts.WriteString(fr.Text + "\n")
			}
			s := d.Stats()
			if s.Frames != uint64(len(frames)) {
				t.Fatalf("%d codes were counted as %d", len(frames), s.Frames)
			}
			return texts.String(), s
		}
		feed(p) // clocks that go backwards and jump
		p = forwards(p)
		whole, a := feed(p)
		k := 0
		if n := len(p) / eventSize; n > 0 {
			k = int(cut) % n * eventSize
		}
		halves, b := feed(p[:k], p[k:])
		if whole != halves || a != b {
			t.Fatalf("%q %+v when whole, %q %+v in halves", whole, a, halves, b)
		}
	})
}

// forwards gives p times that go forwards and span less than a minute, as the
// kernel's do.
func forwards(p []byte) []byte {
	p = slices.Clone(p)
	now, before := time.Hour, time.Duration(0)
	for i := 0; i+eventSize <= len(p) && i < 150*eventSize; i += eventSize {
		e := parse(p[i:])
		at := e.at()
		now += (at - before).Abs() % (300 * time.Millisecond)
		before = at
		s := stamped(now)
		s.kind, s.code, s.value = e.kind, e.code, e.value
		copy(p[i:], s.bytes())
	}
	return p[:min(len(p), 150*eventSize)]
}

// stamps is the last event of p as one that means nothing.
func stamps(p []byte) []byte {
	n := len(p) / eventSize * eventSize
	e := parse(p[n-eventSize:])
	e.kind, e.code, e.value = 0xffff, 0, 0
	return e.bytes()
}
