package framing

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func at(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }

func framer(t testing.TB, c Config) *Framer {
	t.Helper()
	f, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func texts(frames []Frame) []string {
	out := []string{}
	for _, f := range frames {
		s := f.Text
		if f.Symbology != "" {
			s = "[" + f.Symbology + "]" + s
		}
		out = append(out, s)
	}
	return out
}

const (
	code1 = "134567890123456789"
	code2 = "281234567890123456"
)

func TestEnds(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  Config
		in   string
		want []string
	}{
		{"CR", Config{}, code1 + "\r", []string{code1}},
		{"LF", Config{}, code1 + "\n", []string{code1}},
		{"CRLF is one", Config{}, code1 + "\r\n" + code2 + "\r\n", []string{code1, code2}},
		{"glued in one read", Config{}, code1 + "\r" + code2 + "\r", []string{code1, code2}},
		{"CR only", Config{End: EndCR}, code1 + "\r\n" + code2 + "\r\n", []string{code1, code2}},
		{"LF only", Config{End: EndLF}, code1 + "\r\n" + code2 + "\n", []string{code1, code2}},
		{"CRLF only", Config{End: EndCRLF}, code1 + "\r\n" + code2 + "\r\n", []string{code1, code2}},
		{"CRLF only, lone CR", Config{End: EndCRLF}, code1 + "\r" + code2 + "\r\n", []string{}},
		{"TAB", Config{End: EndTab}, code1 + "\t" + code2 + "\t", []string{code1, code2}},
		{"STX ETX", Config{End: EndETX}, "\x02" + code1 + "\x03\x02" + code2 + "\x03", []string{code1, code2}},
		{"STX ETX CR", Config{End: EndETX}, "\x02" + code1 + "\x03\r\x02" + code2 + "\x03\r", []string{code1, code2}},
		{"STX ETX, outside is noise", Config{End: EndETX}, code2 + "\x03\x02" + code1 + "\x03", []string{code1}},
		{"STX again begins again", Config{End: EndETX}, "\x02123\x02" + code1 + "\x03", []string{code1}},
		{"STX ETX by a line end", Config{}, "\x02" + code1 + "\x03\r", []string{code1}},
		{"STX in front drops what stuck there", Config{}, "1345\x02" + code1 + "\x03\r", []string{code1}},
		{"blanks", Config{}, "  " + code1 + " \r", []string{code1}},
		{"prefix and suffix", Config{Prefix: "A:", Suffix: "#"}, "A:" + code1 + "#\r" + code2 + "\r", []string{code1, code2}},
		{"AIM", Config{AIM: true}, "]Q1" + code1 + "\r]C0" + code2 + "\r]d1x\r", []string{"[Q1]" + code1, "[C0]" + code2, "[d1]x"}},
		{"AIM not set up", Config{}, "]Q1" + code1 + "\r", []string{"]Q1" + code1}},
		{"AIM missing", Config{AIM: true}, code1 + "\r]1x\r", []string{code1, "]1x"}},
		{"AIM behind a prefix", Config{AIM: true, Prefix: "P"}, "P]Q1" + code1 + "\r", []string{"[Q1]" + code1}},
		{"AIM alone is short", Config{AIM: true}, "]Q1\r", []string{}},
		{"empty lines", Config{}, "\r\n\r\n\n\r", []string{}},
		{"noise at the ends", Config{}, "\x00\xff\x11" + code1 + "\x7f\xfe\r", []string{code1}},
		{"control character inside", Config{}, "1345\x1b67\r" + code2 + "\r", []string{code2}},
		{"FNC1 inside", Config{}, "01095\x1d10A\r", []string{}},
		{"broken text inside", Config{}, "1345\xff67\r", []string{}},
		{"Chinese text", Config{}, "就诊卡 123\r", []string{"就诊卡 123"}},
		{"too short", Config{Min: 6}, "12345\r123456\r", []string{"123456"}},
		{"longest", Config{}, strings.Repeat("1", 512) + "\r", []string{strings.Repeat("1", 512)}},
		{"too long", Config{}, strings.Repeat("1", 513) + "\r" + code1 + "\r", []string{code1}},
		{"far too long", Config{}, strings.Repeat("1", 9999) + "\r" + code1 + "\r", []string{code1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for split := range 4 {
				f := framer(t, c.cfg)
				var got []Frame
				switch split {
				case 0:
					got = f.Feed([]byte(c.in), at(0))
				case 1: // singly
					for i := range len(c.in) {
						got = append(got, f.Feed([]byte{c.in[i]}, at(0))...)
					}
				case 2: // halves
					got = append(f.Feed([]byte(c.in[:len(c.in)/2]), at(0)), f.Feed([]byte(c.in[len(c.in)/2:]), at(5))...)
				case 3: // with reads that time out between
					for i := range len(c.in) {
						got = append(got, f.Idle(at(10*i))...)
						got = append(got, f.Feed([]byte{c.in[i]}, at(10*i))...)
					}
				}
				if s := texts(got); !reflect.DeepEqual(s, c.want) {
					t.Errorf("split %d: %q, not %q", split, s, c.want)
				}
			}
		})
	}
}

func TestStatsCountWhatIsDropped(t *testing.T) {
	f := framer(t, Config{Min: 4})
	in := "12\r" + "13\x1b45\r" + strings.Repeat("9", 600) + "\r" + "\x00" + code1 + "\r"
	f.Feed([]byte(in), at(0))
	f.Feed([]byte("134"), at(10))
	f.Idle(at(2000))
	want := Stats{Bytes: uint64(len(in) + 3), Frames: 1, Trimmed: 1, Noise: 1, Short: 1, Long: 1, Cut: 1}
	if got := f.Stats(); got != want {
		t.Errorf("%+v, not %+v", got, want)
	}
}

// TestStale: the rest of a code that never ended does not stick to the next.
func TestStale(t *testing.T) {
	f := framer(t, Config{})
	f.Feed([]byte("1345"), at(0))
	if got := texts(f.Feed([]byte(code1+"\r"), at(1000))); !reflect.DeepEqual(got, []string{code1}) {
		t.Errorf("%q", got)
	}
	// A slow one is not stale.
	f.Feed([]byte(code1[:4]), at(2000))
	if got := texts(f.Feed([]byte(code1[4:]+"\r"), at(2999))); !reflect.DeepEqual(got, []string{code1}) {
		t.Errorf("%q", got)
	}
	never := framer(t, Config{Stale: -1})
	never.Feed([]byte(code1[:4]), at(0))
	if got := texts(never.Feed([]byte(code1[4:]+"\r"), at(3_600_000))); !reflect.DeepEqual(got, []string{code1}) {
		t.Errorf("%q", got)
	}
}

func TestIdleGap(t *testing.T) {
	f := framer(t, Config{End: EndNone})
	if g := f.Gap(); g != FirstGap {
		t.Fatalf("first gap %v", g)
	}
	f.Feed([]byte(code1), at(0))
	if got := f.Idle(at(59)); len(got) != 0 {
		t.Fatalf("ended early: %q", texts(got))
	}
	if got := texts(f.Idle(at(60))); !reflect.DeepEqual(got, []string{code1}) {
		t.Fatalf("%q", got)
	}
	// Without a call between, the next byte ends it.
	f.Feed([]byte(code1), at(1000))
	got := f.Feed([]byte(code2), at(1200))
	if !reflect.DeepEqual(texts(got), []string{code1}) || !got[0].At.Equal(at(1000)) {
		t.Fatalf("%q", texts(got))
	}
	f.Idle(at(1300))

	// A fast scanner shortens the gap, a slow one lengthens it, within bounds.
	f.Feed([]byte("1"), at(2000))
	f.Feed([]byte("2"), at(2001))
	if g := f.Gap(); g != ShortestGap {
		t.Errorf("fast: %v", g)
	}
	f.Feed([]byte("3"), at(2026))
	if g := f.Gap(); g != 75*time.Millisecond {
		t.Errorf("slow: %v", g)
	}
	f.Feed([]byte("4"), at(2100))
	if g := f.Gap(); g != LongestGap {
		t.Errorf("slower: %v", g)
	}
	if got := texts(f.Idle(at(2200))); !reflect.DeepEqual(got, []string{"1234"}) {
		t.Errorf("%q", got)
	}
	fixed := framer(t, Config{End: EndNone, Gap: 10 * time.Millisecond})
	fixed.Feed([]byte("1"), at(0))
	if got := texts(fixed.Idle(at(10))); !reflect.DeepEqual(got, []string{"1"}) {
		t.Errorf("%q", got)
	}
}

func TestSettings(t *testing.T) {
	for _, c := range []Config{{End: "semicolon"}, {Max: 513}, {Max: -1}, {Min: -1}, {Min: 9, Max: 8}, {Gap: -1}, {Gap: time.Minute}, {Prefix: strings.Repeat("x", 65)}} {
		if _, err := New(c); err == nil || !strings.HasPrefix(err.Error(), "cannot ") {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// TestNothingStays: whatever becomes of a code, its bytes are not kept.
func TestNothingStays(t *testing.T) {
	for name, end := range map[string]func(*Framer){
		"whole":    func(f *Framer) { f.Feed([]byte("\r"), at(1)) },
		"given up": func(f *Framer) { f.Idle(at(60_000)) },
		"dropped":  func(f *Framer) { f.Drop() },
		"begun":    func(f *Framer) { f.Feed([]byte{stx}, at(1)) },
		"too long": func(f *Framer) { f.Feed([]byte(strings.Repeat("1", 600)), at(1)) },
	} {
		f := framer(t, Config{})
		f.Feed([]byte(code1), at(0))
		end(f)
		if kept := strings.Trim(string(f.buf[:cap(f.buf)]), "\x00"); kept != "" {
			t.Errorf("%s: %d bytes stay", name, len(kept))
		}
	}
}

func TestDoubles(t *testing.T) {
	d := NewDoubles(3 * time.Second)
	for i, c := range []struct {
		text string
		at   int
		want bool
	}{
		{"a", 0, false}, {"a", 100, true}, {"b", 200, false}, {"a", 300, true},
		{"a", 2999, true},
		{"a", 3000, false}, // still in view: once in 3 s
		{"b", 6300, false},
	} {
		if got := d.Again(c.text, at(c.at)); got != c.want {
			t.Errorf("%d: %v", i, got)
		}
	}
	if d.Count() != 3 {
		t.Errorf("count %d", d.Count())
	}
	for i := range 1000 {
		d.Again(fmt.Sprint(i), at(7000))
	}
	if len(d.seen) > maxSeen {
		t.Errorf("remembers %d", len(d.seen))
	}
	off := NewDoubles(-1)
	if off.Again("a", at(0)) || off.Again("a", at(0)) {
		t.Error("suppresses although switched off")
	}
}

func FuzzFeed(f *testing.F) {
	for _, s := range []string{code1 + "\r", "\x02" + code1 + "\x03\r", "]Q1" + code1 + "\t", "\x00\xff" + code1 + "\r\n" + code2 + "\r\n", strings.Repeat("1", 600) + "\r", "1345\x1b67\r", "就诊卡\r"} {
		f.Add([]byte(s), uint8(0), uint16(3), uint16(0))
		f.Add([]byte(s), uint8(6), uint16(1), uint16(1))
	}
	ends := []string{EndLine, EndCR, EndLF, EndCRLF, EndTab, EndNone, EndETX}
	f.Fuzz(func(t *testing.T, in []byte, end uint8, cut, step uint16) {
		cfg := Config{End: ends[int(end)%len(ends)], AIM: end >= 128, Min: 1 + int(end)%5, Prefix: "A"}
		whole, singly, halves := framer(t, cfg), framer(t, cfg), framer(t, cfg)
		a := append(whole.Feed(in, at(0)), whole.Idle(at(5000))...)
		var b []Frame
		for i := range in {
			b = append(b, singly.Idle(at(0))...)
			b = append(b, singly.Feed(in[i:i+1], at(0))...)
		}
		b = append(b, singly.Idle(at(5000))...)
		k := 0
		if len(in) > 0 {
			k = int(cut) % len(in)
		}
		// The pause between the halves is shorter than every gap.
		c := append(halves.Feed(in[:k], at(0)), halves.Feed(in[k:], at(int(step)%30))...)
		c = append(c, halves.Idle(at(5000))...)
		if !reflect.DeepEqual(texts(a), texts(b)) || !reflect.DeepEqual(texts(a), texts(c)) {
			t.Fatalf("%q gives %q whole, %q singly, %q in halves at %d", in, texts(a), texts(b), texts(c), k)
		}
		if whole.Stats() != singly.Stats() || whole.Stats() != halves.Stats() {
			t.Fatalf("counters differ: %+v %+v %+v", whole.Stats(), singly.Stats(), halves.Stats())
		}
		for _, fr := range a {
			if len(fr.Text) < cfg.Min || len(fr.Text) > 512 || !clean(fr.Text) {
				t.Fatalf("a frame breaks its bounds: %q", fr.Text)
			}
		}
		if whole.Pending() {
			t.Fatal("something is left after a long pause")
		}
	})
}
