package mqtt_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"payagent/uplink"
	"payagent/uplink/mqtt"
	"payagent/uplink/uplinktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quick are settings for tests: attempts come fast.
func quick(broker, id string) mqtt.Config {
	return mqtt.Config{Broker: broker, ClientID: id, Every: 30 * time.Millisecond, Phase: func() time.Duration { return 5 * time.Millisecond }}
}

// open opens a client that is closed with the test.
func open(t *testing.T, cfg mqtt.Config) *mqtt.Client {
	t.Helper()
	c, err := mqtt.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// within is a guard against hanging.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// until waits until the link is as ok wants it.
func until(t *testing.T, b uplink.Bus, what string, ok func(uplink.Link) bool) {
	t.Helper()
	ctx := within(t)
	for {
		l, changed := b.Link()
		if ok(l) {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("the link never became %s: up %v, %q", what, l.Up, l.Cause)
		}
	}
}

func up(l uplink.Link) bool   { return l.Up }
func down(l uplink.Link) bool { return !l.Up }

// rig is mosquitto with a proxy per client.
func rig(t *testing.T) func() (*uplinktest.Rig, error) {
	return func() (*uplinktest.Rig, error) {
		m := uplinktest.Mosquitto(t, uplinktest.MosquittoOptions{Deny: "denied/#"})
		var mu sync.Mutex
		proxies, refuse := map[string]*uplinktest.Proxy{}, false
		var clients []*mqtt.Client
		all := func(do func(name string, p *uplinktest.Proxy)) {
			mu.Lock()
			defer mu.Unlock()
			for name, p := range proxies {
				do(name, p)
			}
		}
		return &uplinktest.Rig{
			Bus: func(name string, will *uplink.Message) uplink.Bus {
				mu.Lock()
				defer mu.Unlock()
				p := proxies[name]
				if p == nil {
					p = uplinktest.NewProxy(t, m.Addr)
					proxies[name] = p
				}
				p.Refuse(refuse)
				cfg := quick("mqtt://"+p.Addr, name)
				if name == "twin" {
					// Who is thrown out later than twice that is not counted.
					cfg.Every = 10 * time.Second
				}
				cfg.Will = func(uint64) *uplink.Message { return will }
				c, err := mqtt.Open(cfg)
				if err != nil {
					t.Error(err)
				}
				clients = append(clients, c)
				return c
			},
			Cut: func(name string) {
				all(func(n string, p *uplinktest.Proxy) {
					if n == name || name == "" {
						p.Cut()
					}
				})
			},
			Refuse: func(on bool) {
				mu.Lock()
				refuse = on
				mu.Unlock()
				all(func(_ string, p *uplinktest.Proxy) { p.Refuse(on) })
			},
			Kill: func() {
				m.Kill()
				if err := m.Start(); err != nil {
					t.Error(err)
				}
			},
			Close: func() {
				for _, c := range clients {
					c.Close()
				}
			},
		}, nil
	}
}

func TestBus(t *testing.T) {
	uplinktest.TestBus(t, uplinktest.BusMember{Open: rig(t)})
}
