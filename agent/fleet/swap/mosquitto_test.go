package swap_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"payagent/agent"
	"payagent/agent/fleet/swap"
	"payagent/uplink"
	"payagent/uplink/mqtt"
	"payagent/uplink/uplinktest"
)

// hang is when a test gives up on something that never comes.
const hang = time.Minute

// ledger is an agent as far as package swap sees one.
type ledger struct {
	open           []agent.Left
	taken          chan []agent.Left
	replaced, left chan struct{}
}

func (l *ledger) Left(int) ([]agent.Left, int) { return l.open, 0 }
func (l *ledger) Changed() <-chan struct{}     { return nil }
func (l *ledger) Replace(context.Context)      { close(l.replaced) }

func (l *ledger) TakeOver(_ context.Context, list []agent.Left) error {
	l.taken <- list
	return nil
}

// TestSwapOnMosquitto: the broker that hospitals have, with the fleet's
// certificates and the access list of docs/mqtt.md. The new machine has the same
// name, so each throws the other off until the old one has read who it is; then
// the old list is gone, and the place is the new one's. No other box of the
// fleet, whatever its certificate, can write there.
func TestSwapOnMosquitto(t *testing.T) {
	page, err := os.ReadFile("../../../docs/mqtt.md")
	if err != nil {
		t.Fatal(err)
	}
	_, acl, ok := strings.Cut(string(page), "（%u 是证书的 CN，即 box；H1 是医院）\n")
	acl, _, ok2 := strings.Cut(acl, "```")
	if !ok || !ok2 {
		t.Fatal("the page has no access list")
	}
	a, dir := newAuthority(t), t.TempDir()
	key, cert, err := a.Server([]string{"localhost"})
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"fleet-ca.pem": a.Certificate(), "server.pem": []byte(cert.PEM), "server.key": key} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	broker := uplinktest.Mosquitto(t, uplinktest.MosquittoOptions{Dir: dir, ACL: acl, Lines: []string{"require_certificate true", "use_identity_as_username true",
		"cafile " + dir + "/fleet-ca.pem", "certfile " + dir + "/server.pem", "keyfile " + dir + "/server.key"}})
	open := func(name string, cert, key []byte) *mqtt.Client {
		bus, err := mqtt.Open(mqtt.Config{Broker: "mqtts://" + broker.Addr, ServerName: "localhost", ClientID: name, Every: 50 * time.Millisecond, Logger: slog.New(slog.DiscardHandler),
			CA: func() ([]byte, error) { return a.Certificate(), nil }, Cert: func() ([]byte, error) { return cert, nil }, Key: func() ([]byte, error) { return key, nil }})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = bus.Close() })
		return bus
	}
	box := func(name string, pair tls.Certificate) *mqtt.Client {
		der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		return open(name, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Leaf.Raw}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	}
	come := func(what string, c <-chan struct{}) {
		t.Helper()
		select {
		case <-c:
		case <-time.After(hang):
			t.Fatal("it does not come:", what)
		}
	}
	ctx, stop := context.WithTimeout(context.Background(), hang)
	defer stop()
	start := func(l *ledger, pair tls.Certificate) *mqtt.Client {
		l.taken, l.replaced, l.left = make(chan []agent.Left, 9), make(chan struct{}), make(chan struct{})
		bus, ended := box("B1", pair), make(chan struct{})
		s, err := swap.New(swap.Options{Counter: l, Place: place(), Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler), Alarm: func(code string) { t.Error(code) },
			Pair: func() (tls.Certificate, error) { return pair, nil }, Authority: func() ([]byte, error) { return a.Certificate(), nil },
			Leave: func() {
				_ = bus.Close()
				close(l.left)
			}})
		if err != nil {
			t.Fatal(err)
		}
		own, end := context.WithCancel(ctx)
		go func() { defer close(ended); s.Run(own, bus) }()
		t.Cleanup(func() { end(); <-ended })
		return bus
	}

	ops, program, err := a.Client("ops")
	if err != nil {
		t.Fatal(err)
	}
	watch := open("ops:test", []byte(program.PEM), ops)
	lists := make(chan uplink.Message, 99)
	if _, err := watch.Subscribe("payagent/H1/B1/open/+", func(m uplink.Message) { lists <- m }); err != nil {
		t.Fatal(err)
	}
	until := func(topic string, full bool) {
		t.Helper()
		for {
			select {
			case m := <-lists:
				if !strings.HasPrefix(m.Topic, "payagent/H1/B1/open/") || m.Topic == "payagent/H1/B1/open/9" {
					t.Fatal("somebody else wrote", m.Topic)
				}
				if m.Topic == "payagent/H1/B1/open/"+topic && len(m.Payload) > 0 == full {
					return
				}
			case <-ctx.Done():
				t.Fatal("it does not come:", topic, full)
			}
		}
	}

	old := &ledger{open: []agent.Left{left("N1")}}
	start(old, identity(t, a, "B1"))
	until("1", true)
	// Another box of the fleet says that it is in this one's place.
	thief := box("B2", identity(t, a, "B2"))
	if err := thief.Publish(ctx, uplink.Message{Topic: "payagent/H1/B1/open/9", Payload: []byte("{}"), Retain: true}); err != nil {
		t.Fatal(err)
	}

	fresh := &ledger{}
	bus := start(fresh, identity(t, a, "B1"))
	select {
	case list := <-fresh.taken:
		if len(list) != 1 || list[0].OrderNo != "N1" {
			t.Fatal(list)
		}
	case <-time.After(hang):
		t.Fatal("nothing is taken over")
	}
	come("the old one's word that it was replaced", old.replaced)
	come("its good-bye", old.left)
	until("1", false)
	for {
		link, changed := bus.Link()
		if link.Up {
			break
		}
		come("the new one's connection", changed)
	}
	select {
	case <-fresh.replaced:
		t.Fatal("the new one is replaced")
	case list := <-old.taken:
		t.Fatal("the old one took over", list)
	default:
	}
}
