package ssi

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"payagent/devices/internal/frames"
	"payagent/devices/internal/framing"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func at(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }

func decoder(t testing.TB, cfg framing.Config) *Decoder {
	t.Helper()
	d, err := New(cfg, []byte{0xa4})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// pack makes the packets of a code.
func pack(kind byte, text string) []byte {
	var out []byte
	for {
		n := min(len(text), 240)
		status := byte(0)
		if n < len(text) {
			status = more
		}
		out = append(out, frames.SSI(append([]byte{byte(5 + n), decodeData, 0, status, kind}, text[:n]...)...)...)
		if text = text[n:]; text == "" {
			return out
		}
	}
}

func texts(list []framing.Frame) []string {
	out := []string{}
	for _, f := range list {
		out = append(out, "["+f.Symbology+"]"+f.Text)
	}
	return out
}

const (
	code1 = "134567890123456789"
	code2 = "281234567890123456"
)

var (
	ackFrame = string(frames.SSI(4, ack, host, 0))
	nakFrame = string(frames.SSI(5, nak, host, 0, resend))
)

func TestPackets(t *testing.T) {
	if ackFrame != "\x04\xd0\x04\x00\xff\x28" {
		t.Fatalf("ACK % x", ackFrame)
	}
	bad := pack(0x1c, code1)
	bad[9]++
	event := string(frames.SSI(5, 0xf6, 0, 0, 1))
	for _, c := range []struct {
		name, in    string
		want        []string
		acks, naks  int
		noise, long uint64
	}{
		{"one", string(pack(0x1c, code1)), []string{"[Q1]" + code1}, 1, 0, 0, 0},
		{"with CR inside", string(pack(0x03, code1+"\r")), []string{"[C0]" + code1}, 1, 0, 0, 0},
		{"two in one read", string(pack(0x1c, code1)) + string(pack(0x0b, code2)), []string{"[Q1]" + code1, "[E0]" + code2}, 2, 0, 0, 0},
		{"garbage around", "\x00\xff134\r" + string(pack(0x1c, code1)) + "\x04\x7f" + string(pack(0x99, code2)), []string{"[Q1]" + code1, "[X0]" + code2}, 2, 0, 0, 0},
		{"the ACK of a command", "\x04\xd0\x00\x00\xff\x2c" + string(pack(0x1c, code1)), []string{"[Q1]" + code1}, 1, 0, 0, 0},
		{"a NAK", string(frames.SSI(5, nak, 0, 0, 2)), []string{}, 0, 0, 0, 0},
		{"an event", event + string(pack(0x1c, code1)), []string{"[Q1]" + code1}, 2, 0, 0, 0},
		{"a wrong sum, then again", string(bad) + string(pack(0x1c, code1)), []string{"[Q1]" + code1}, 1, 1, 1, 0},
		{"several packets", string(pack(0x1c, strings.Repeat("9", 500))), []string{"[Q1]" + strings.Repeat("9", 500)}, 3, 0, 0, 0},
		{"too long", string(pack(0x1c, strings.Repeat("9", 700))) + string(pack(0x1c, code1)), []string{"[Q1]" + code1}, 4, 0, 0, 1},
		{"control characters inside", string(pack(0x1c, "1345\x1b67")), []string{}, 1, 0, 1, 0},
		{"empty", string(frames.SSI(5, decodeData, 0, 0, 3)) + string(frames.SSI(4, decodeData, 0, 0)), []string{}, 2, 0, 0, 0},
		{"plain text is nothing", code1 + "\r", []string{}, 0, 0, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			for split := range 2 {
				d := decoder(t, framing.Config{})
				var got []string
				if split == 0 {
					got = texts(d.Feed([]byte(c.in), at(0)))
				} else {
					for i := range len(c.in) {
						got = append(got, texts(d.Feed([]byte{c.in[i]}, at(i)))...)
					}
				}
				sent := string(bytes.Join(d.Replies(), nil))
				got = append(got, texts(d.Idle(at(10_000)))...)
				if len(got)+len(c.want) > 0 && !reflect.DeepEqual(got, c.want) {
					t.Errorf("%q, not %q", got, c.want)
				}
				if strings.Count(sent, ackFrame) != c.acks || strings.Count(sent, nakFrame) != c.naks || len(sent) != 6*c.acks+7*c.naks {
					t.Errorf("sent % x", sent)
				}
				if s := d.Stats(); s.Noise != c.noise || s.Long != c.long || s.Frames != uint64(len(c.want)) || s.Bytes != uint64(len(c.in)) {
					t.Errorf("%+v", s)
				}
				if d.Pending() || d.Replies() != nil {
					t.Error("something is left")
				}
			}
		})
	}
}

// TestRetransmitted: a part that comes again, because its ACK was lost, counts
// once; parts without the kind in front are joined too.
func TestRetransmitted(t *testing.T) {
	part := func(status byte, data string) []byte {
		return frames.SSI(append([]byte{byte(4 + len(data)), decodeData, 0, status}, data...)...)
	}
	d := decoder(t, framing.Config{})
	d.Feed(part(more, "\x1c13456"), at(0))
	d.Feed(part(more|again, "\x1c13456"), at(500))
	if got := texts(d.Feed(part(0, "\x1c789"), at(600))); !reflect.DeepEqual(got, []string{"[Q1]13456789"}) {
		t.Errorf("%q", got)
	}
	d.Feed(part(more, "\x1c13456"), at(1000))
	if got := texts(d.Feed(part(0, "789"), at(1100))); !reflect.DeepEqual(got, []string{"[Q1]13456789"}) {
		t.Errorf("%q", got)
	}
	// The rest does not come: it is no code, and sticks to none.
	d.Feed(part(more, "\x1c13456"), at(2000))
	if !d.Pending() || d.Gap() != time.Second {
		t.Error("an unfinished code is not pending")
	}
	if got := texts(d.Feed(part(0, "\x1c789"), at(3000))); !reflect.DeepEqual(got, []string{"[Q1]789"}) || d.Stats().Cut != 1 {
		t.Errorf("%q %+v", got, d.Stats())
	}
}

// TestCut: half a packet and a pause is no packet.
func TestCut(t *testing.T) {
	d := decoder(t, framing.Config{})
	p := pack(0x1c, code1)
	d.Feed(p[:10], at(0))
	if d.Gap() != Gap || !d.Pending() {
		t.Error("half a packet is not pending")
	}
	if got := texts(d.Feed(p, at(1000))); !reflect.DeepEqual(got, []string{"[Q1]" + code1}) || d.Stats().Cut != 1 {
		t.Errorf("%q %+v", got, d.Stats())
	}
	d.Feed(p[:10], at(2000))
	if got := texts(d.Feed(p[10:], at(2999))); !reflect.DeepEqual(got, []string{"[Q1]" + code1}) {
		t.Errorf("%q", got)
	}
}

func TestAnswers(t *testing.T) {
	d := decoder(t, framing.Config{})
	d.Feed(frames.SSI(8, 0xa4, 0, 0, 'N', 'B', 'R', ' '), at(0))
	d.Feed(pack(0x1c, code1), at(10))
	if d.Heard() != 1 || len(d.Replies()) != 2 {
		t.Errorf("heard %d", d.Heard())
	}
}

func TestNoise(t *testing.T) {
	d := decoder(t, framing.Config{})
	bad := pack(0x1c, code1)
	bad[8]++
	for i := range 20 {
		d.Feed(bad, at(i))
	}
	if n := len(d.Replies()); n != mostNAKs {
		t.Errorf("%d NAKs", n)
	}
	if _, err := New(framing.Config{End: "odd"}, nil); err == nil {
		t.Error("an odd end was accepted")
	}
}

// FuzzFeed: the same bytes give the same codes however they are cut into
// reads, whatever they are, and every frame keeps its bounds.
func FuzzFeed(f *testing.F) {
	f.Add(pack(0x1c, code1), uint64(1))
	f.Add(append([]byte("\x00\xff"), pack(0x03, strings.Repeat("7", 600))...), uint64(2))
	f.Add(append(pack(0x1c, code1)[:9], pack(0x0b, code2)...), uint64(3))
	f.Fuzz(func(t *testing.T, in []byte, seed uint64) {
		if len(in) > 8000 {
			return
		}
		r := rand.New(rand.NewPCG(seed, 2))
		whole, cut := decoder(t, framing.Config{}), decoder(t, framing.Config{})
		a := texts(append(whole.Feed(in, at(0)), whole.Idle(at(5000))...))
		b := []string{}
		for rest := in; len(rest) > 0; {
			k := 1 + r.IntN(len(rest))
			b = append(b, texts(cut.Feed(rest[:k], at(0)))...)
			b = append(b, texts(cut.Idle(at(50)))...)
			rest = rest[k:]
		}
		b = append(b, texts(cut.Idle(at(5000)))...)
		if !reflect.DeepEqual(a, b) || whole.Stats() != cut.Stats() || len(whole.Replies()) != len(cut.Replies()) {
			t.Fatalf("%q and %q, %+v and %+v", a, b, whole.Stats(), cut.Stats())
		}
		if whole.Pending() || len(whole.buf)+len(whole.code) > 0 {
			t.Fatal("something is left after a long pause")
		}
		for _, s := range a {
			if text := s[4:]; text == "" || len(text) > 512 || !framing.Clean(text) {
				t.Fatalf("%q", s)
			}
		}
		// Slowly: no crash, nothing kept.
		slow := decoder(t, framing.Config{})
		ms := 0
		for _, x := range in[:min(len(in), 500)] {
			slow.Feed([]byte{x}, at(ms))
			ms += r.IntN(1300)
		}
		slow.Idle(at(ms + 1000))
		slow.Idle(at(ms + 5000))
		if slow.Pending() {
			t.Fatal("something is left after a long pause")
		}
	})
}
