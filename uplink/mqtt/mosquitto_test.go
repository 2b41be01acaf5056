package mqtt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"payagent/uplink"
	"payagent/uplink/mqtt"
	"payagent/uplink/uplinktest"
)

func give(b []byte) func() ([]byte, error) { return func() ([]byte, error) { return b, nil } }

// secure are settings with a certificate of m's authority.
func secure(t *testing.T, m *uplinktest.MosquittoBroker, name string) mqtt.Config {
	t.Helper()
	cert, key, err := m.CA.Issue(name)
	if err != nil {
		t.Fatal(err)
	}
	cfg := quick(m.URL, name)
	cfg.CA, cfg.Cert, cfg.Key, cfg.ServerName = give(m.CA.PEM), give(cert), give(key), uplinktest.ServerName
	return cfg
}

// TestCertificates: the broker takes the name from the certificate and allows
// a box its own branch; an outside client sees what is allowed, and only that.
func TestCertificates(t *testing.T) {
	ctx := within(t)
	m := uplinktest.Mosquitto(t, uplinktest.MosquittoOptions{TLS: true, ACL: "pattern readwrite p/s/%u/#\nuser watch\ntopic read p/#\nuser it\ntopic write p/s/B1/cmd/#\n"})
	watch := m.Tool(t, "mosquitto_sub", "watch", "-t", "p/#", "-C", "2", "-v", "-q", "1")
	var out bytes.Buffer
	watch.Stdout = &out
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	if err := m.Await(ctx, "Sending SUBACK"); err != nil {
		t.Fatal(err)
	}
	b := open(t, secure(t, m, "B1"))
	for _, topic := range []string{"p/s/B1/e/orders", "p/s/B2/e/orders", "p/s/B1/status"} {
		if err := b.Publish(ctx, uplink.Message{Topic: topic, Payload: []byte("x")}); err != nil {
			t.Fatal(err)
		}
	}
	if err := watch.Wait(); err != nil {
		t.Error(err)
	}
	if got := out.String(); got != "p/s/B1/e/orders x\np/s/B1/status x\n" {
		t.Error("an outside client saw", got)
	}

	got := make(chan uplink.Message, 1)
	if _, err := b.Subscribe("p/s/B1/cmd/#", func(m uplink.Message) { got <- m }); err != nil {
		t.Fatal(err)
	}
	if out, err := m.Tool(t, "mosquitto_pub", "it", "-t", "p/s/B1/cmd/restart/1/req", "-m", "from outside", "-q", "1").CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	select {
	case x := <-got:
		if string(x.Payload) != "from outside" || x.Retain || x.Sample {
			t.Errorf("%+v", x)
		}
	case <-ctx.Done():
		t.Fatal("nothing came from the outside client")
	}
}

// TestCertificatesAreReadAnew: what the files hold at the next attempt counts,
// without a restart; what is wrong is told.
func TestCertificatesAreReadAnew(t *testing.T) {
	m := uplinktest.Mosquitto(t, uplinktest.MosquittoOptions{TLS: true})
	good := secure(t, m, "B1")
	other, err := uplinktest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	strange, strangeKey, err := other.Issue("B1")
	if err != nil {
		t.Fatal(err)
	}
	var step atomic.Int32
	cfg := good
	pick := func(bad func() ([]byte, error), at int32, right func() ([]byte, error)) func() ([]byte, error) {
		return func() ([]byte, error) {
			if step.Load() == at {
				return bad()
			}
			return right()
		}
	}
	cfg.CA = pick(give(other.PEM), 0, pick(func() ([]byte, error) { return nil, errors.New("no such file") }, 1, good.CA))
	cfg.Cert = pick(give(strange), 2, good.Cert)
	cfg.Key = pick(give(strangeKey), 2, pick(give(strangeKey), 3, good.Key))
	b := open(t, cfg)
	for i, want := range []string{"cannot agree on TLS", "no such file", "refused us", "do not belong together"} {
		until(t, b, want, func(l uplink.Link) bool { return !l.Up && strings.Contains(l.Cause, want) })
		step.Store(int32(i + 1))
	}
	until(t, b, "up", up)
}

// TestWrongBroker: another name in the certificate is another broker.
func TestWrongBroker(t *testing.T) {
	m := uplinktest.Mosquitto(t, uplinktest.MosquittoOptions{TLS: true})
	cfg := secure(t, m, "B1")
	cfg.ServerName = "elsewhere.test"
	until(t, open(t, cfg), "down", func(l uplink.Link) bool { return strings.Contains(l.Cause, "elsewhere.test") })
}

// TestBrokerKilled: a broker that is killed again and again while messages are
// under way costs no caller an error, and keeps the order of what arrives.
func TestBrokerKilled(t *testing.T) {
	ctx := within(t)
	m := uplinktest.Mosquitto(t, uplinktest.MosquittoOptions{Persist: true})
	from, to := open(t, quick(m.URL, "from")), open(t, quick(m.URL, "to"))
	until(t, to, "up", up)
	in := make(chan int, 10_000)
	if _, err := to.Subscribe("o", func(m uplink.Message) {
		var v int
		_, _ = fmt.Sscan(string(m.Payload), &v)
		in <- v
	}); err != nil {
		t.Fatal(err)
	}
	// A killed broker forgets a subscription that it acknowledged and had not
	// saved. What its publisher then repeats comes for the first time after newer
	// messages, and nobody can mend that here: see uplink.Bus. One that is ended
	// politely has saved it.
	if err := m.Stop(); err != nil {
		t.Fatal(err)
	}
	until(t, to, "down", down)
	if err := m.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, to, "up", up)
	const n = 300
	var done []<-chan error
	for i := range n {
		done = append(done, from.Send(ctx, uplink.Message{Topic: "o", Payload: []byte(fmt.Sprint(i))}))
		if i%100 == 50 {
			m.Kill()
			until(t, to, "down", down)
			if err := m.Start(); err != nil {
				t.Fatal(err)
			}
			until(t, to, "up", up)
		}
	}
	for i, d := range done {
		if err := <-d; err != nil {
			t.Fatal(i, err)
		}
	}
	// A killed broker may lose what it acknowledged (that is why the hub
	// acknowledges too). What comes, comes after what was published before it, and
	// what was sent after the last kill comes.
	seen, highest := map[int]bool{}, -1
	for highest < n-1 {
		select {
		case v := <-in:
			if v < highest && !seen[v] {
				t.Errorf("%d came for the first time after %d", v, highest)
			}
			seen[v], highest = true, max(highest, v)
		case <-ctx.Done():
			t.Fatal("the last message never came")
		}
	}
	for i := 251; i < n; i++ {
		if !seen[i] {
			t.Errorf("%d never came, though the broker was not killed after it", i)
		}
	}
}

// TestFullDisk: a broker that cannot save goes on delivering, and we with it.
func TestFullDisk(t *testing.T) {
	ctx := within(t)
	m := uplinktest.Mosquitto(t, uplinktest.MosquittoOptions{Persist: true, MaxFile: 64 << 10})
	b := open(t, quick(m.URL, "b"))
	until(t, b, "up", up)
	got := make(chan struct{}, 100)
	if _, err := b.Subscribe("r/#", func(uplink.Message) { got <- struct{}{} }); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		if err := b.Publish(ctx, uplink.Message{Topic: fmt.Sprintf("r/%d", i), Payload: bytes.Repeat([]byte{'x'}, 32<<10), Retain: true}); err != nil {
			t.Fatal(err)
		}
	}
	for range 20 {
		select {
		case <-got:
		case <-ctx.Done():
			t.Fatal("a broker with a full disk delivers no more")
		}
	}
	if err := m.Await(ctx, "rror"); err != nil {
		t.Error("the disk was not full:", m.Log())
	}
}

// TestBlackHole: a connection that swallows everything costs a caller its own
// time-out only, is noticed, and what waited arrives afterwards.
func TestBlackHole(t *testing.T) {
	ctx := within(t)
	m := uplinktest.Mosquitto(t, uplinktest.MosquittoOptions{})
	p := uplinktest.NewProxy(t, m.Addr)
	cfg := quick("mqtt://"+p.Addr, "b")
	cfg.KeepAlive = time.Second
	b := open(t, cfg)
	until(t, b, "up", up)
	p.Stall(true)
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if err := b.Publish(short, uplink.Message{Topic: "o", Payload: []byte("given up")}); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	waits := b.Send(ctx, uplink.Message{Topic: "o", Payload: []byte("waits"), Retain: true})
	until(t, b, "down", down)
	p.Stall(false)
	if err := <-waits; err != nil {
		t.Error(err)
	}
}

// TestSlowReader: more than the backlog waits for one handler at the broker,
// and arrives in order when the handler goes on.
func TestSlowReader(t *testing.T) {
	ctx := within(t)
	m := uplinktest.Mosquitto(t, uplinktest.MosquittoOptions{})
	from, to := open(t, quick(m.URL, "from")), open(t, quick(m.URL, "to"))
	until(t, to, "up", up)
	hold, in := make(chan struct{}), make(chan string, 10)
	if _, err := to.Subscribe("o", func(m uplink.Message) {
		<-hold
		in <- string(m.Payload)
	}); err != nil {
		t.Fatal(err)
	}
	const n = uplink.Backlog + 500
	var done []<-chan error
	for i := range n {
		done = append(done, from.Send(ctx, uplink.Message{Topic: "o", Payload: []byte(fmt.Sprint(i))}))
	}
	for _, d := range done {
		if err := <-d; err != nil {
			t.Fatal(err)
		}
	}
	close(hold)
	for next := 0; next < n; {
		select {
		case got := <-in:
			if got != fmt.Sprint(next) && got >= fmt.Sprint(next) && len(got) >= len(fmt.Sprint(next)) {
				t.Fatalf("%s came before %d", got, next)
			}
			if got == fmt.Sprint(next) {
				next++
			}
		case <-ctx.Done():
			t.Fatal("not everything came")
		}
	}
}
