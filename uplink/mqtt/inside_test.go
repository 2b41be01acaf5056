package mqtt

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"

	"payagent/uplink"
)

// TestWire: what is taken in leaves whole and in order however the pieces fall,
// and a connection that always has something to write does not grow.
func TestWire(t *testing.T) {
	here, there := net.Pipe()
	ctx, end := context.WithCancelCause(t.Context())
	w := newWire(ctx, here, end, func() {})
	defer w.Close()
	pattern := make([]byte, 80_000)
	for i := range pattern {
		pattern[i] = byte(i * i >> 3)
	}
	packet := func(n int) []byte { // of a length and a content that n tells
		return pattern[n:][:1+n*7919%60_000]
	}
	const packets, behind = 400, 10
	most := 0
	for n := range packets + behind {
		if n < packets {
			if _, err := w.Write(packet(n)); err != nil {
				t.Fatal(err)
			}
		}
		if n -= behind; n < 0 {
			continue
		}
		p := make([]byte, len(packet(n)))
		if _, err := io.ReadFull(there, p); err != nil || !bytes.Equal(p, packet(n)) {
			t.Fatalf("packet %d is another: %v", n, err)
		}
		w.mu.Lock()
		most = max(most, cap(w.out))
		w.mu.Unlock()
	}
	<-w.empty
	if w.mu.Lock(); most > 2<<20 || cap(w.out) > maxSpare {
		t.Errorf("%d bytes at most, %d at last", most, cap(w.out))
	}
	w.mu.Unlock()
}

// TestPace: a phase of one's own after a loss, equal steps after attempts in
// vain however long they took, slower while another client has our name.
func TestPace(t *testing.T) {
	c := newClient(Config{Every: 40 * time.Second, Phase: func() time.Duration { return 7 * time.Second }}, "", false, "")
	for _, x := range []struct {
		had   bool
		took  time.Duration
		kicks int
		want  time.Duration
	}{
		{true, time.Hour, 0, 7 * time.Second}, {true, 0, 7, 7 * time.Second}, {true, 0, 8, 35 * time.Second},
		{false, 0, 0, 40 * time.Second}, {false, 10 * time.Second, 0, 30 * time.Second}, {false, time.Minute, 0, 0}, {false, 0, 8, 200 * time.Second},
	} {
		if got := c.pace(x.had, x.took, x.kicks); got != x.want {
			t.Errorf("%+v: %v", x, got)
		}
	}
	d, err := Open(Config{Broker: "mqtt://127.0.0.1:1", ClientID: "x", Every: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	low, high := time.Hour, time.Duration(0)
	for range 1000 {
		p := d.cfg.Phase()
		if p < 0 || p >= time.Hour {
			t.Fatal(p)
		}
		low, high = min(low, p), max(high, p)
	}
	if low > 10*time.Minute || high < 50*time.Minute {
		t.Errorf("a thousand boxes would come back between %v and %v", low, high)
	}
}

func TestConfig(t *testing.T) {
	ok := Config{Broker: "mqtts://b", ClientID: "x", CA: func() ([]byte, error) { return nil, nil }}
	for name, spoil := range map[string]func(*Config){
		"address":    func(c *Config) { c.Broker = "http://b" },
		"user":       func(c *Config) { c.Broker = "mqtt://u:p@b" },
		"web socket": func(c *Config) { c.Broker = "wss://b/mqtt" },
		"name":       func(c *Config) { c.ClientID = "" },
		"authority":  func(c *Config) { c.CA = nil },
		"half":       func(c *Config) { c.Cert = c.CA },
		"will":       func(c *Config) { c.Will = func(uint64) *uplink.Message { return &uplink.Message{Topic: "a/#"} } },
	} {
		cfg := ok
		spoil(&cfg)
		if c, err := Open(cfg); err == nil {
			c.Close()
			t.Errorf("taken in spite of: %s", name)
		} else if strings.Contains(err.Error(), "u:p") {
			t.Error("the error shows the password:", err)
		}
	}
	c, err := Open(ok)
	if err != nil {
		t.Fatal(err)
	}
	if c.address != "b:8883" {
		t.Error(c.address)
	}
	c.Close()
}

// TestHostileBroker: what no broker may send ends the connection, not the
// program.
func TestHostileBroker(t *testing.T) {
	for name, packet := range map[string][]byte{
		"an answer with more codes than questions": {0x90, 5, 0, 1, 0, 0, 0},
		"a length that never ends":                 {0x30, 0xff, 0xff, 0xff, 0xff, 0x01},
		"a length beyond reason":                   {0x30, 0xff, 0xff, 0xff, 0x7f},
		"a topic longer than its message":          {0x30, 3, 0xff, 0xff, 'a'},
		"a question for a broker":                  {0x10, 0},
		"a message of QoS 3":                       {0x36, 5, 0, 1, 'a', 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					go func() {
						defer conn.Close()
						buf := make([]byte, 1000)
						_, _ = conn.Read(buf)
						_, _ = conn.Write([]byte{0x20, 2, 0, 0})
						_, _ = conn.Write(packet)
						_, _ = io.Copy(io.Discard, conn)
					}()
				}
			}()
			c, err := Open(Config{Broker: "mqtt://" + l.Addr().String(), ClientID: "x", Every: time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			for {
				link, changed := c.Link()
				if strings.Contains(link.Cause, errPacket.Error()) {
					return
				}
				select {
				case <-changed:
				case <-ctx.Done():
					t.Fatal("never noticed:", link.Cause)
				}
			}
		})
	}
}

// FuzzWire: whatever the reader hands on, paho reads without stumbling, and
// no byte is lost or added.
func FuzzWire(f *testing.F) {
	for _, b := range [][]byte{{0x20, 2, 0, 0}, {0x90, 3, 0, 1, 0}, {0xd0, 0}, {0x40, 2, 0, 1}, {0x30, 4, 0, 1, 'a', 'x'}, {0x32, 6, 0, 1, 'a', 0, 7, 'x'},
		{0x90, 5, 0, 1, 0, 0, 0}, {0x30, 0xff, 0xff, 0xff, 0x7f}, {0xb0, 2, 0, 1, 0xd0, 0}} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bufio.NewReader(bytes.NewReader(data))
		var passed []byte
		for {
			p, err := readPacket(r)
			if err != nil {
				break
			}
			passed = append(passed, p...)
			cp, err := packets.ReadPacket(bytes.NewReader(p))
			if err != nil {
				t.Fatalf("%x passed and paho says %v", p, err)
			}
			if s, ok := cp.(*packets.SubackPacket); ok && len(s.ReturnCodes) != 1 {
				t.Fatalf("%x passed with %d codes", p, len(s.ReturnCodes))
			}
		}
		if !bytes.HasPrefix(data, passed) {
			t.Fatalf("%x became %x", data, passed)
		}
	})
}

// arrived is a message as paho hands it over.
type arrived struct {
	paho.Message
	acked bool
}

func (*arrived) Topic() string   { return "o" }
func (*arrived) Payload() []byte { return []byte("x") }
func (*arrived) Retained() bool  { return false }
func (*arrived) Qos() byte       { return 1 }
func (a *arrived) Ack()          { a.acked = true }

// TestEndedConnectionTakesNothing: paho may go on handing over what it had read
// when the next connection delivers already; the broker sends it again there,
// in its place.
func TestEndedConnectionTakesNothing(t *testing.T) {
	c := newClient(Config{}, "", false, "")
	defer c.stop()
	s := &subscription{filter: "o", queue: make(chan uplink.Message, 2), ctx: c.ctx}
	c.subs = append(c.subs, s)
	x := &conn{c: c}
	x.ctx, x.end = context.WithCancelCause(c.ctx)
	a, b := &arrived{}, &arrived{}
	x.receive(nil, a)
	x.end(io.EOF)
	x.receive(nil, b)
	if len(s.queue) != 1 || !a.acked || b.acked {
		t.Errorf("%d messages were taken, acknowledged: %v, after the end %v", len(s.queue), a.acked, b.acked)
	}
}
