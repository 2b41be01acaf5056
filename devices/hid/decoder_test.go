package hid

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"payagent/devices/internal/framing"
	"payagent/devices/internal/reading"
	"payagent/devices/internal/usb"
)

var start0 = time.Date(2026, 3, 4, 8, 0, 0, 0, time.UTC)

// rule is one rule for decoders of reports.
type rule struct {
	name string
	keep func(make func(vendor string) reading.Decoder) error
}

// feed gives reports one by one, 10 ms apart, and collects "symbology text".
func feed(k reading.Decoder, reports ...[]byte) []string {
	var got []string
	for i, r := range reports {
		for _, f := range k.Feed(r, start0.Add(time.Duration(i)*10*time.Millisecond)) {
			got = append(got, strings.TrimSpace(f.Symbology+" "+f.Text))
		}
	}
	return got
}

func same(got []string, want ...string) error {
	if !slices.Equal(got, want) {
		return fmt.Errorf("%q came, not %q", got, want)
	}
	return nil
}

// bad wants the count of what was dropped.
func bad(k reading.Decoder, want uint64) error {
	if s := k.Stats(); s.Noise+s.Short+s.Long != want {
		return fmt.Errorf("%d were counted as bad, not %d (%+v)", s.Noise+s.Short+s.Long, want, s)
	}
	return nil
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

const pay = "134567890123456789"

// pause0 is the default pause between two reports of a code.
const pause0 = 500 * time.Millisecond

// The two layouts on the market.
var usbIF, newland = usbIFLayout(), newlandLayout()

// rules of decoders; vendors are "honeywell" and "newland".
func decoderRules(t testing.TB) []rule {
	fixture := func(name string) [][]byte { return fromHex(t, name+".reports.hex") }
	usb := func(data string, more bool) []byte { return usbIF.pack([]byte(data), more) }
	each := func(name string, keep func(k reading.Decoder, l layout) error) rule {
		return rule{name, func(mk func(string) reading.Decoder) error {
			return firstOf(keep(mk("honeywell"), usbIF), keep(mk("newland"), newland))
		}}
	}
	return []rule{
		{"honeywell", func(mk func(string) reading.Decoder) error {
			k := mk("honeywell")
			return firstOf(same(feed(k, fixture("honeywell")...), "C1 "+pay, "Q1 281234567890123456",
				"Q1 https://example.invalid/0123456789abcdef0123456789abcdef"[:59]+"0123456789abcdef0123456789abcdef0123456789abcdef01234567end"),
				bad(k, 0))
		}},
		{"newland", func(mk func(string) reading.Decoder) error {
			k := mk("newland")
			return firstOf(same(feed(k, fixture("newland")...), pay, "281234567890123456", strings.Repeat("A", 56)+strings.Repeat("B", 10)), bad(k, 0))
		}},
		{"datalogic", func(mk func(string) reading.Decoder) error {
			return same(feed(mk("honeywell"), fixture("datalogic")...), "C0 "+pay, "Q1 就诊卡 00012345", "Q1 医保码 6212", "6901234567892")
		}},
		each("too long for its field", func(k reading.Decoder, l layout) error {
			r := l.pack(bytes.Repeat([]byte("1"), l.room), false)
			r[l.length] = byte(l.room) + 1
			return firstOf(same(feed(k, r)), bad(k, 1))
		}),
		each("cut off", func(k reading.Decoder, l layout) error {
			whole := l.pack([]byte(pay), false)
			for n := range len(whole) {
				if got := feed(k, whole[:n]); got != nil {
					return fmt.Errorf("%d bytes of a report gave %q", n, got)
				}
			}
			return bad(k, uint64(len(whole)))
		}),
		each("another id", func(k reading.Decoder, l layout) error {
			r := l.pack([]byte(pay), false)
			r[0] = 9
			return firstOf(same(feed(k, r)), bad(k, 1))
		}),
		each("zeros inside the length", func(k reading.Decoder, l layout) error {
			r := l.pack([]byte("134567890123456\x00\x00\x00"), false)
			return firstOf(same(feed(k, r)), bad(k, 1))
		}),
		each("control characters inside", func(k reading.Decoder, l layout) error {
			return firstOf(same(feed(k, l.pack([]byte("1345\x1b678901234567"), false), l.pack([]byte("1345\x7f67"), false), l.pack([]byte("\x1d12"), false))), bad(k, 3))
		}),
		each("one suffix", func(k reading.Decoder, l layout) error {
			var got []string
			for _, end := range []string{"", "\r", "\n", "\r\n", "\t"} {
				for _, f := range feed(k, l.pack([]byte(pay+end), false)) {
					_, text, _ := strings.Cut(" "+f, " ")
					got = append(got, text[strings.LastIndexByte(text, ' ')+1:])
				}
			}
			return firstOf(same(got, pay, pay, pay, pay, pay), same(feed(k, l.pack([]byte(pay+"\r\r"), false))), bad(k, 1))
		}),
		each("too long", func(k reading.Decoder, l layout) error {
			var in [][]byte
			for range 10 {
				in = append(in, l.pack(bytes.Repeat([]byte("1"), 56), true))
			}
			in = append(in, l.pack([]byte(pay), false), l.pack([]byte("62"), false))
			got := feed(k, in...)
			if len(got) != 1 || !strings.HasSuffix(got[0], "62") {
				return fmt.Errorf("%q came", got)
			}
			return bad(k, 1)
		}),
		each("the rest does not come", func(k reading.Decoder, l layout) error {
			_ = k.Feed(l.pack([]byte("1345"), true), start0)
			if !k.Pending() || k.Gap() != pause0 {
				return fmt.Errorf("nothing is pending")
			}
			_ = k.Idle(start0.Add(pause0))
			if k.Pending() || k.Stats().Cut != 1 {
				return fmt.Errorf("it is kept: %+v", k.Stats())
			}
			got := k.Feed(l.pack([]byte(pay), false), start0.Add(2*pause0))
			if len(got) != 1 || got[0].Text != pay {
				return fmt.Errorf("the next code came as %d", len(got))
			}
			return nil
		}),
		each("late rest", func(k reading.Decoder, l layout) error {
			_ = k.Feed(l.pack([]byte("1345"), true), start0)
			got := k.Feed(l.pack([]byte(pay), false), start0.Add(pause0))
			if len(got) != 1 || got[0].Text != pay || k.Stats().Cut != 1 {
				return fmt.Errorf("it was joined")
			}
			return nil
		}),
		each("a status between two parts", func(k reading.Decoder, l layout) error {
			other := l.pack(nil, false)
			other[0] = 9
			got := feed(k, l.pack([]byte("1345"), true), other, l.pack([]byte("67"), false))
			if len(got) != 1 || !strings.HasSuffix(got[0], "134567") {
				return fmt.Errorf("%q came", got)
			}
			return nil
		}),
		each("a broken part", func(k reading.Decoder, l layout) error {
			r := l.pack([]byte("3"), true)
			r[l.length] = 200
			got := feed(k, l.pack([]byte("1"), true), r, l.pack([]byte("4"), false), l.pack([]byte("62"), false))
			if len(got) != 1 || !strings.HasSuffix(got[0], "62") {
				return fmt.Errorf("%q came", got)
			}
			return nil
		}),
		{"another symbology is another code", func(mk func(string) reading.Decoder) error {
			k := mk("honeywell")
			other := usb(pay, false)
			copy(other[2:], "]C1")
			if err := same(feed(k, usb("1345", true), other), "C1 "+pay); err != nil {
				return err
			}
			if k.Stats().Cut != 1 {
				return fmt.Errorf("the first is not counted: %+v", k.Stats())
			}
			return nil
		}},
		{"something else where the identifier should be", func(mk func(string) reading.Decoder) error {
			k := mk("honeywell")
			r := newland.pack([]byte(pay+"12345678"), false)
			r[1] = byte(len(pay))
			return firstOf(same(feed(k, r)), bad(k, 1))
		}},
		{"answers are no codes", func(mk func(string) reading.Decoder) error {
			k := mk("honeywell")
			ack, last := usb("REVINF\x06.", false), usb("ok", false)
			copy(ack[2:], "]X0")
			copy(last[2:], "]Z6")
			return firstOf(same(feed(k, ack, last)), bad(k, 0))
		}},
	}
}

// broken gives the names of the rules that a decoder does not keep.
func broken(t testing.TB, mk func(vendor string) reading.Decoder) map[string]error {
	out := map[string]error{}
	for _, r := range decoderRules(t) {
		if err := r.keep(mk); err != nil {
			out[r.name] = err
		}
	}
	return out
}

// right makes the real decoder, by the descriptor or by name.
func right(t testing.TB, described bool) func(string) reading.Decoder {
	return func(vendor string) reading.Decoder { return rightOf(t, vendor, described) }
}

func rightOf(t testing.TB, vendor string, described bool) *decoder {
	cfg, err := Config{Layout: map[string]string{"honeywell": LayoutUSBIF, "newland": LayoutNewland}[vendor]}.Check()
	if err != nil {
		t.Fatal(err)
	}
	var d descriptor
	if described {
		cfg.Layout = ""
		if d, err = parseDescriptor(descOf(t, vendor)); err != nil {
			t.Fatal(err)
		}
	}
	return newDecoder(cfg, d, 0)
}

func TestDecoder(t *testing.T) {
	for _, described := range []bool{true, false} {
		for name, err := range broken(t, right(t, described)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// twisted changes what a decoder is fed.
type twisted struct {
	*decoder
	feed func(k *decoder, p []byte, at time.Time) []framing.Frame
}

func (w twisted) Feed(p []byte, at time.Time) []framing.Frame { return w.feed(w.decoder, p, at) }

// TestWrongDecoders: every fault is seen by the rule that it breaks.
func TestWrongDecoders(t *testing.T) {
	fix := func(f func(l *layout)) func(*decoder) reading.Decoder {
		return func(k *decoder) reading.Decoder { f(&k.fixed); return k }
	}
	by := func(f func(k *decoder, p []byte, at time.Time) []framing.Frame) func(*decoder) reading.Decoder {
		return func(k *decoder) reading.Decoder { return twisted{k, f} }
	}
	for name, w := range map[string]struct {
		twist func(*decoder) reading.Decoder
		rule  string
	}{
		"every report is a code": {fix(func(l *layout) { l.more = -1 }), "honeywell"},
		"another continued bit":  {fix(func(l *layout) { l.more++ }), "newland"},
		"data one byte later":    {fix(func(l *layout) { l.data++; l.room-- }), "datalogic"},
		"no length":              {fix(func(l *layout) { l.length = -1 }), "too long for its field"},
		"any identifier":         {fix(func(l *layout) { l.aim = -1 }), "something else where the identifier should be"},
		"one layout for all":     {fix(func(l *layout) { *l = usbIF }), "newland"},
		"never gives up":         {func(k *decoder) reading.Decoder { k.pause = -1; return k }, "the rest does not come"},
		"joins what is late":     {func(k *decoder) reading.Decoder { k.pause = time.Hour; return k }, "late rest"},
		"GBK only":               {func(k *decoder) reading.Decoder { k.rules.charset = CharsetGBK; return k }, "datalogic"},
		"longer than allowed":    {func(k *decoder) reading.Decoder { k.rules.max = 1; return k }, "one suffix"},
		"any id": {by(func(k *decoder, p []byte, at time.Time) []framing.Frame {
			if len(p) > 0 {
				p[0] = k.fixed.id
			}
			return k.Feed(p, at)
		}), "another id"},
		"fills up what is cut off": {by(func(k *decoder, p []byte, at time.Time) []framing.Frame {
			return k.Feed(append(bytes.Clone(p), make([]byte, max(0, k.fixed.size-len(p)))...), at)
		}), "cut off"},
		"shortens to the field": {by(func(k *decoder, p []byte, at time.Time) []framing.Frame {
			if l := k.fixed; len(p) == l.size {
				p[l.length] = min(p[l.length], byte(l.room))
			}
			return k.Feed(p, at)
		}), "too long for its field"},
		"repairs": {by(func(k *decoder, p []byte, at time.Time) []framing.Frame {
			return k.Feed(bytes.ReplaceAll(p, []byte{0x1b}, []byte("0")), at)
		}), "control characters inside"},
		"answers are codes": {by(func(k *decoder, p []byte, at time.Time) []framing.Frame {
			return k.Feed(bytes.ReplaceAll(p, []byte("]Z6"), []byte("]C0")), at)
		}), "answers are no codes"},
		"a status ends a code": {by(func(k *decoder, p []byte, at time.Time) []framing.Frame {
			if len(p) > 0 && p[0] != k.fixed.id {
				k.reset()
			}
			return k.Feed(p, at)
		}), "a status between two parts"},
	} {
		t.Run(name, func(t *testing.T) {
			got := broken(t, func(vendor string) reading.Decoder { return w.twist(rightOf(t, vendor, true)) })
			if got[w.rule] == nil {
				t.Errorf("it passes %q; seen by %v", w.rule, got)
			}
		})
	}
}

// TestShifted: a device of the first family with a byte more, whatever is known
// of it; a real code cannot look like that.
func TestShifted(t *testing.T) {
	for want, k := range map[string]*decoder{
		"usb-if, shifted":     newDecoder(Config{Min: 1, Max: 512}, descriptor{}, usb.Honeywell),
		"usb-if, shifted ":    rightOf(t, "honeywell", false),
		"descriptor, shifted": rightOf(t, "honeywell", true),
	} {
		if err := same(feed(k, fromHex(t, "shifted.reports.hex")...), "Q1 "+pay); err != nil {
			t.Error(err)
		}
		if p := k.layout.Load(); p == nil || *p != strings.TrimSpace(want) {
			t.Error("the layout is not told")
		}
		r := usbIF.pack([]byte(pay), false)
		if err := same(feed(k, r), "Q1 "+pay); err != nil {
			t.Error(err)
		}
		copy(r[2:], "1]Q1")
		if k.guessing {
			continue // that is a code of the other family
		}
		if got := feed(k, r); got != nil {
			t.Errorf("%q", got)
		}
	}
}

// TestUnnumbered: devices without report ids, as the descriptor says or as
// their length says, and with the 0 that some systems put in front.
func TestUnnumbered(t *testing.T) {
	d, err := parseDescriptor(descOf(t, "usbif"))
	if err != nil {
		t.Fatal(err)
	}
	l, _ := layoutOf(d)
	r := l.pack([]byte(pay), false)
	k := newDecoder(Config{Min: 1, Max: 512}, d, 0)
	if err := same(feed(k, r, append([]byte{0}, r...)), "Q1 "+pay, "Q1 "+pay); err != nil {
		t.Error(err)
	}
	k = newDecoder(Config{Min: 1, Max: 512}, descriptor{}, 0)
	if err := same(feed(k, usbIF.pack([]byte(pay), false)[1:], newland.pack([]byte(pay), false)[1:]), "Q1 "+pay, pay); err != nil {
		t.Error(err)
	}
	for _, named := range []string{LayoutUSBIF, LayoutNewland} {
		k = newDecoder(Config{Min: 1, Max: 512, Layout: named}, d, 0)
		if k.fixed.id != 0 || k.fixed.size != 63 {
			t.Errorf("%s: %+v", named, k.fixed)
		}
	}
}

// TestLongerReports: Windows gives all reports the length of the longest.
func TestLongerReports(t *testing.T) {
	r := append(usbIF.pack([]byte(pay), false), make([]byte, 65)...)
	if err := same(feed(rightOf(t, "honeywell", false), r), "Q1 "+pay); err != nil {
		t.Error(err)
	}
}

// TestAnswerToCommand: after a command even plain text with ]X0 is its answer,
// later it is a code.
func TestAnswerToCommand(t *testing.T) {
	k := rightOf(t, "honeywell", true)
	r := usbIF.pack([]byte("Product Name"), false)
	copy(r[2:], "]X0")
	k.wrote(start0)
	if got := feed(k, r); got != nil {
		t.Errorf("%q", got)
	}
	if got := k.Feed(r, start0.Add(replyTime)); len(got) != 1 || got[0].Symbology != "X0" {
		t.Errorf("%v", len(got))
	}
}

// TestText: character sets and bounds.
func TestText(t *testing.T) {
	for _, w := range []struct {
		charset string
		in      string
		want    string
		why     drop
	}{
		{"", "医保码", "医保码", dropNone},
		{"", "\xd2\xbd\xb1\xa3\xc2\xeb", "医保码", dropNone},
		{"", "Gr\xfc\xdfe\xff", "Grüßeÿ", dropNone},
		{CharsetUTF8, "\xd2\xbd\xb1", "", dropNoise},
		{CharsetUTF8, "é", "é", dropNone},
		{CharsetGBK, "\xd2\xbd", "医", dropNone},
		{CharsetGBK, "\xff\xff", "", dropNoise},
		{CharsetLatin1, "\xd2\xbd", "Ò½", dropNone},
		{CharsetLatin1, "\x85x", "", dropNoise},
		{"", "", "", dropEmpty},
		{"", "\r\n", "", dropEmpty},
		{"", "  \r", "", dropEmpty},
		{"", " a b \r\n", "a b", dropNone},
		{"", "a\r", "", dropShort},
		{"", strings.Repeat("x", 21), "", dropLong},
	} {
		got, why := rules{w.charset, 2, 20}.text([]byte(w.in))
		if got != w.want || why != w.why {
			t.Errorf("%s %q: %q %d", w.charset, w.in, got, why)
		}
	}
}

// FuzzReports: any reports at any times are codes or are counted; a code is
// clean and within its bounds, and nothing is kept after it.
func FuzzReports(f *testing.F) {
	for _, name := range []string{"honeywell", "newland", "datalogic", "shifted"} {
		var all []byte
		for i, r := range fromHex(f, name+".reports.hex") {
			all = append(all, byte(len(r)), byte(i*40))
			all = append(all, r...)
		}
		f.Add(byte(len(name)), all)
	}
	f.Fuzz(func(t *testing.T, how byte, b []byte) {
		cfg := Config{Min: 1, Max: 30 + int(how), Pause: 100 * time.Millisecond, Layout: []string{"", LayoutUSBIF, LayoutNewland}[how%3]}
		var d descriptor
		if how&16 != 0 {
			d, _ = parseDescriptor(descOf(t, []string{"honeywell", "newland", "usbif"}[int(how>>5)%3]))
		}
		k := newDecoder(cfg, d, uint16(how)<<8)
		at := start0
		var frames uint64
		for len(b) >= 2 {
			n, pause := min(int(b[0]), len(b)-2), time.Duration(b[1])*time.Millisecond
			at = at.Add(pause)
			k.Idle(at)
			if pause >= cfg.Pause && k.Pending() {
				t.Fatal("a code is kept too long")
			}
			for _, fr := range k.Feed(b[2:2+n], at) {
				frames++
				if fr.Text == "" || len(fr.Text) > 2*cfg.Max || !framing.Clean(fr.Text) || fr.Start.After(fr.At) || fr.At != at {
					t.Fatal("a bad code was given")
				}
			}
			if !k.Pending() && (len(k.buf) > 0 || bytes.Trim(k.buf[:cap(k.buf)], "\x00") != nil && len(bytes.Trim(k.buf[:cap(k.buf)], "\x00")) > 0) {
				t.Fatal("a code is kept after its end")
			}
			b = b[2+n:]
		}
		if s := k.Stats(); s.Frames != frames {
			t.Fatalf("%d codes, %d counted", frames, s.Frames)
		}
	})
}
