package answers

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"payagent/devices/internal/framing"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func at(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }

func filter(t testing.TB, c Config, fc framing.Config) *Filter {
	t.Helper()
	f, err := framing.New(fc)
	if err != nil {
		t.Fatal(err)
	}
	return New(c, f)
}

func texts(frames []framing.Frame) []string {
	out := []string{}
	for _, f := range frames {
		out = append(out, f.Text)
	}
	return out
}

const (
	code1 = "134567890123456789"
	code2 = "281234567890123456"
	yes   = "\x02\x010000@SCNMOD2\x06;\x03" // accepted
	no    = "\x02\x010000@SCNMOD9\x15;\x03" // refused
	known = "\x02\x010000@WHATIS\x05;\x03"  // unknown
	ok    = "\x02\x00\x00\x01\x00\x33\x31"  // binary: done
)

func TestNewland(t *testing.T) {
	for _, c := range []struct {
		name, end, in string
		want          []string
		heard         uint64
	}{
		{"no answers", "", code1 + "\r" + code2 + "\r", []string{code1, code2}, 0},
		{"between codes", "", yes + code1 + "\r" + no + known + ok + code2 + "\r" + yes, []string{code1, code2}, 4},
		{"inside a code", "", code1[:5] + yes + code1[5:9] + ok + code1[9:] + "\r", []string{code1}, 1},
		{"only answers", "", yes + ok + no, nil, 2},
		{"with a line end behind", "", yes + "\r\n" + code1 + "\r", []string{code1}, 1},
		{"STX and ETX of codes stay", "stx-etx", "\x02" + code1 + "\x03" + yes + "\x02" + code2 + "\x03", []string{code1, code2}, 1},
		{"STX twice", "", "\x02" + yes + "\x02" + code1 + "\x03\r", []string{code1}, 1},
		{"binary with a wrong CRC is no answer", "", "\x02\x00\x00\x01\x00\x33\x32\r" + code1 + "\r", []string{"32", code1}, 0},
		{"binary that is too long is no answer", "", "\x02\x00" + code1 + "\r", []string{code1}, 0},
		{"without end", "", "\x02\x01" + strings.Repeat("0", 2000) + "\r" + code1 + "\r", []string{code1}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.want == nil {
				c.want = []string{}
			}
			whole := filter(t, Config{Newland: true, Prefix: []byte("\x02\x010000")}, framing.Config{End: c.end})
			a := texts(append(whole.Feed([]byte(c.in), at(0)), whole.Idle(at(5000))...))
			singly := filter(t, Config{Newland: true, Prefix: []byte("\x02\x010000")}, framing.Config{End: c.end})
			b := []string{}
			for i := range len(c.in) {
				b = append(b, texts(singly.Feed([]byte{c.in[i]}, at(i/10)))...)
			}
			b = append(b, texts(singly.Idle(at(5000)))...)
			if c.name == "without end" {
				a, b = a[len(a)-1:], b[len(b)-1:] // what follows the limit is judged as a code
			}
			if !reflect.DeepEqual(a, c.want) || !reflect.DeepEqual(b, c.want) {
				t.Errorf("%q and %q, not %q", a, b, c.want)
			}
			if c.name != "without end" && (whole.Heard() != c.heard || singly.Heard() != c.heard) {
				t.Errorf("heard %d and %d, not %d", whole.Heard(), singly.Heard(), c.heard)
			}
			if whole.Pending() || whole.Stats().Bytes != uint64(len(c.in)) {
				t.Errorf("%v %+v", whole.Pending(), whole.Stats())
			}
		})
	}
}

// TestBrokenOff: an answer that breaks off does not take the next code with
// it, and its first bytes alone are given back.
func TestBrokenOff(t *testing.T) {
	f := filter(t, Config{Newland: true}, framing.Config{})
	f.Feed([]byte(yes[:9]), at(0))
	if !f.Pending() || f.Gap() != Gap {
		t.Error("an unfinished answer is not pending")
	}
	if got := texts(f.Feed([]byte(code1+"\r"), at(1000))); !reflect.DeepEqual(got, []string{code1}) {
		t.Errorf("%q", got)
	}
	f.Feed([]byte("\x02"), at(2000))
	f.Idle(at(3000))
	if got := texts(f.Feed([]byte(code2+"\r"), at(3010))); !reflect.DeepEqual(got, []string{code2}) {
		t.Errorf("%q", got)
	}
	f.Feed([]byte(ok[:5]), at(4000))
	if got := texts(f.Feed([]byte(code1+"\r"), at(5000))); !reflect.DeepEqual(got, []string{code1}) {
		t.Errorf("%q", got)
	}
	// A late rest is still the answer's.
	f.Feed([]byte(yes[:9]), at(6000))
	f.Idle(at(6900))
	if got := texts(f.Feed([]byte(yes[9:]+code2+"\r"), at(6999))); !reflect.DeepEqual(got, []string{code2}) {
		t.Errorf("%q", got)
	}
}

// TestPauseEnds: with codes that a pause ends, an answer in the middle is no
// pause.
func TestPauseEnds(t *testing.T) {
	f := filter(t, Config{Newland: true}, framing.Config{End: "none"})
	var got []string
	got = append(got, texts(f.Feed([]byte(code1[:5]), at(0)))...)
	for i := range len(yes) {
		got = append(got, texts(f.Feed([]byte{yes[i]}, at(10+5*i)))...)
	}
	got = append(got, texts(f.Feed([]byte(code1[5:]), at(20+5*len(yes))))...)
	got = append(got, texts(f.Idle(at(1000)))...)
	if !reflect.DeepEqual(got, []string{code1}) {
		t.Errorf("%q", got)
	}
}

// TestPrefix: a maker without a form of its own is told by the beginning of
// what comes after a question.
func TestPrefix(t *testing.T) {
	f := filter(t, Config{Prefix: []byte("REVINF")}, framing.Config{})
	if got := texts(f.Feed([]byte("REVINFx\r"), at(0))); !reflect.DeepEqual(got, []string{"REVINFx"}) {
		t.Errorf("nothing was asked: %q", got)
	}
	f.Expect(true)
	if got := texts(f.Feed([]byte("REVOLVER\r"+code1+"\r"), at(100))); !reflect.DeepEqual(got, []string{"REVOLVER", code1}) {
		t.Errorf("another text: %q", got)
	}
	if got := texts(f.Feed([]byte("13REVINF\r"), at(150))); !reflect.DeepEqual(got, []string{"13REVINF"}) {
		t.Errorf("in the middle: %q", got)
	}
	if got := texts(f.Feed([]byte("REVINF 1.2\x06\r\n"+code2+"\r"), at(200))); !reflect.DeepEqual(got, []string{code2}) || f.Heard() != 1 {
		t.Errorf("%q, heard %d", got, f.Heard())
	}
	// Without an end the pause ends it.
	f.Expect(true)
	f.Feed([]byte("REVINF\x06."), at(300))
	if got := texts(f.Feed([]byte(code1+"\r"), at(400))); !reflect.DeepEqual(got, []string{code1}) || f.Heard() != 2 {
		t.Errorf("%q, heard %d", got, f.Heard())
	}
	// Half a prefix and a pause: it was a code.
	f.Expect(true)
	f.Feed([]byte("REV"), at(2000))
	f.Idle(at(2100))
	if got := texts(f.Feed([]byte("IEW\r"), at(2150))); !reflect.DeepEqual(got, []string{"REVIEW"}) {
		t.Errorf("%q", got)
	}
}

// FuzzFeed: answers put anywhere between the bytes of codes change no code,
// however the bytes are cut into reads.
func FuzzFeed(f *testing.F) {
	for i := range 6 {
		f.Add(uint64(i), []byte(code1+"\r"+code2+"\r"), uint8(i))
	}
	f.Add(uint64(9), []byte("\x00\xff1345\x1b67\r\nx\r\n"), uint8(3))
	all := []string{yes, no, known, ok}
	f.Fuzz(func(t *testing.T, seed uint64, in []byte, n uint8) {
		// Bytes that are themselves the beginning of an answer are another
		// test's.
		in = []byte(strings.ReplaceAll(string(in), "\x02", ""))
		if len(in) > 2000 {
			return
		}
		r := rand.New(rand.NewPCG(seed, 1))
		plain := filter(t, Config{}, framing.Config{})
		want := texts(append(plain.Feed(in, at(0)), plain.Idle(at(5000))...))
		var mixed []byte
		for i := range in {
			if n > 0 && r.IntN(max(len(in)/int(n), 1)+1) == 0 {
				mixed = append(mixed, all[r.IntN(len(all))]...)
			}
			mixed = append(mixed, in[i])
		}
		got := filter(t, Config{Newland: true}, framing.Config{})
		var have []string
		ms := 0
		for rest := mixed; len(rest) > 0; {
			k := 1 + r.IntN(len(rest))
			have = append(have, texts(got.Feed(rest[:k], at(ms)))...)
			rest = rest[k:]
			ms += r.IntN(20)
			have = append(have, texts(got.Idle(at(ms)))...)
		}
		have = append(have, texts(got.Idle(at(ms+5000)))...)
		if fmt.Sprint(have) != fmt.Sprint(want) && len(have)+len(want) > 0 {
			t.Fatalf("%q gives %q, with answers %q gives %q", in, want, mixed, have)
		}
		if got.Pending() || got.Stats().Bytes != uint64(len(mixed)) {
			t.Fatalf("%v %+v", got.Pending(), got.Stats())
		}
	})
}

// FuzzAny: any bytes at any times, never a crash, nothing kept for ever.
func FuzzAny(f *testing.F) {
	f.Add([]byte("\x02\x00\x00\x01"+yes+"\x02\x02\x01"), uint16(7), true)
	f.Add([]byte("REVREVINF 1\r"), uint16(1), false)
	f.Fuzz(func(t *testing.T, in []byte, step uint16, newland bool) {
		d := filter(t, Config{Newland: newland, Prefix: []byte("REV")}, framing.Config{})
		ms := 0
		for i, b := range in {
			d.Expect(i%5 == 0)
			d.Feed([]byte{b}, at(ms))
			ms += int(step) % 1500
		}
		d.Idle(at(ms + 1000))
		d.Idle(at(ms + 5000))
		if d.Pending() || len(d.held) > 0 || d.Stats().Bytes != uint64(len(in)) {
			t.Fatalf("%v %d %+v of %d", d.Pending(), len(d.held), d.Stats(), len(in))
		}
	})
}
