package mqtt_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"payagent/uplink"
	"payagent/uplink/mqtt"
	"payagent/uplink/mqtt/relay"
	"payagent/uplink/mqtt/relaytest"
	"payagent/uplink/uplinktest"
)

const platform = "https://pay.invalid"

// desk is a platform that a test answers for.
type desk struct {
	mu     sync.Mutex
	bodies []string
	answer func(*http.Request) (*http.Response, error)
}

func (d *desk) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	d.mu.Lock()
	d.bodies = append(d.bodies, string(body))
	answer := d.answer
	d.mu.Unlock()
	if answer != nil {
		return answer(r)
	}
	return &http.Response{Status: "200 OK", StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("answer to " + string(body)))}, nil
}

func (d *desk) Reach(context.Context) error { return nil }
func (d *desk) Close() error                { return nil }

func (d *desk) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.bodies)
}

// street is a till, a broker, a relay and a platform.
type street struct {
	t      *testing.T
	site   *relaytest.Site
	broker *uplinktest.Broker
	desk   *desk
	relay  *relay.Relay
	tunnel *mqtt.Tunnel
	route  *mqtt.Route
	bus    uplink.Bus
}

// inStreet runs a test with time that passes by itself. wrap, where it is not
// nil, stands between till and broker.
func inStreet(t *testing.T, wrap func(uplink.Bus) uplink.Bus, change func(*mqtt.TunnelConfig), f func(*testing.T, *street)) {
	t.Helper()
	site, err := relaytest.NewSite()
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		w := &street{t: t, site: site, broker: uplinktest.NewBroker(), desk: &desk{}}
		defer w.broker.Close()
		w.startRelay()
		defer func() { _ = w.relay.Close() }()
		w.bus = w.broker.Bus("till", nil)
		if wrap != nil {
			w.bus = wrap(w.bus)
		}
		if w.tunnel, err = site.Tunnel(w.bus, relaytest.Box, change); err != nil {
			t.Fatal(err)
		}
		if w.route, err = w.tunnel.Route(mqtt.RouteConfig{BaseURL: platform}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		f(t, w)
		if err := errors.Join(w.route.Close(), w.tunnel.Close(), w.relay.Close()); err != nil {
			t.Error(err)
		}
	})
}

func (w *street) startRelay() {
	w.t.Helper()
	var err error
	if w.relay, err = w.site.Relay(w.broker.Open(uplinktest.Client{Name: "relay", Clean: true}), []relay.Platform{{Name: "pay", Address: platform, Way: w.desk}}, nil); err != nil {
		w.t.Fatal(err)
	}
}

func (w *street) pay(ctx context.Context, text string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, platform+"/pay", strings.NewReader(text))
	if err != nil {
		return "", err
	}
	resp, err := w.route.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

func proven(err error) bool {
	var n *uplink.NotSent
	return errors.As(err, &n)
}

// hold keeps what a till sends until it is let go.
type hold struct {
	uplink.Bus
	mu   sync.Mutex
	n    int
	at   int // the message that is held, counted from 1
	held func(uplink.Message, func() <-chan error) <-chan error
}

func (h *hold) Send(ctx context.Context, m uplink.Message) <-chan error {
	h.mu.Lock()
	h.n++
	hit := h.n == h.at
	h.mu.Unlock()
	if hit {
		return h.held(m, func() <-chan error { return h.Bus.Send(ctx, m) })
	}
	return h.Bus.Send(ctx, m)
}

// TestNoTicketIsProof: until there is a ticket every failure proves that
// nothing was sent, says what is missing, and takes no longer than the dial.
func TestNoTicketIsProof(t *testing.T) {
	stranger, err := uplinktest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*mqtt.TunnelConfig)
		spoil  func(*street)
		want   string
	}{
		"no broker":   {nil, func(w *street) { w.broker.Refuse(true); w.broker.Cut("") }, "no connection to the broker"},
		"no relay":    {nil, func(w *street) { _ = w.relay.Close() }, "payfleet relay running"},
		"deaf broker": {nil, func(w *street) { w.broker.Stall("till", true) }, "payfleet relay running"},
		"another relay's key": {func(c *mqtt.TunnelConfig) {
			key, err := relay.NewKey()
			if err == nil {
				c.RelayKey, err = relay.PublicKey(key)
			}
			if err != nil {
				t.Fatal(err)
			}
		}, nil, "payfleet relay running"},
		"another authority": {func(c *mqtt.TunnelConfig) {
			c.Identity = func() (tls.Certificate, error) { return relaytest.Identity(stranger, relaytest.Box, nil) }
		}, nil, "does not accept this box's certificate"},
		"no certificate": {func(c *mqtt.TunnelConfig) {
			c.Identity = func() (tls.Certificate, error) { return tls.Certificate{}, errors.New("run payagent enrol") }
		}, nil, "run payagent enrol"},
	} {
		t.Run(name, func(t *testing.T) {
			inStreet(t, nil, c.change, func(t *testing.T, w *street) {
				if c.spoil != nil {
					c.spoil(w)
				}
				began := time.Now()
				_, err := w.pay(t.Context(), "x")
				if !proven(err) || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v", err)
				}
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("it took %v", took)
				}
				if err := w.route.Reach(t.Context()); !proven(err) {
					t.Error("it counts as reached:", err)
				}
				if w.desk.count() != 0 {
					t.Error("the platform was called")
				}
			})
		})
	}
}

// TestLateRequest: a request that the broker held back for longer than its
// ticket lives is refused, which is proof, and is never executed afterwards.
func TestLateRequest(t *testing.T) {
	var h *hold
	inStreet(t, func(b uplink.Bus) uplink.Bus {
		h = &hold{Bus: b, at: 2}
		h.held = func(m uplink.Message, send func() <-chan error) <-chan error {
			done := make(chan error, 1)
			time.AfterFunc(16*time.Second, func() { done <- <-send() })
			return done
		}
		return h
	}, nil, func(t *testing.T, w *street) {
		_, err := w.pay(t.Context(), "x")
		if !proven(err) || !strings.Contains(err.Error(), "15s") {
			t.Error(err)
		}
		for _, m := range w.broker.Accepted("payagent/+/+/relay/req") {
			if err := w.bus.Publish(t.Context(), m); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(time.Minute)
		if w.desk.count() != 0 {
			t.Error("the platform was called")
		}
	})
}

// TestLostOnTheWay: what is lost between till and relay is asked for again, and
// the platform is called once.
func TestLostOnTheWay(t *testing.T) {
	for at, what := range map[int]string{1: "the ask for a ticket", 2: "the request"} {
		t.Run(what, func(t *testing.T) {
			inStreet(t, func(b uplink.Bus) uplink.Bus {
				return &hold{Bus: b, at: at, held: func(uplink.Message, func() <-chan error) <-chan error {
					done := make(chan error, 1)
					done <- nil // acknowledged, and forgotten
					return done
				}}
			}, nil, func(t *testing.T, w *street) {
				if got, err := w.pay(t.Context(), "x"); err != nil || got != "answer to x" {
					t.Error(got, err)
				}
				if w.desk.count() != 1 {
					t.Errorf("the platform was called %d times", w.desk.count())
				}
			})
		})
	}
}

// TestRelayDies: a request whose relay died is unknown when the next relay says
// so, and a till that hears nothing gives up in time.
func TestRelayDies(t *testing.T) {
	inStreet(t, nil, nil, func(t *testing.T, w *street) {
		w.desk.answer = func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, context.Cause(r.Context())
		}
		started := make(chan struct{})
		go func() {
			defer close(started)
			time.Sleep(time.Second)
			_ = w.relay.Close()
			w.desk.mu.Lock()
			w.desk.answer = nil
			w.desk.mu.Unlock()
			w.startRelay()
		}()
		began := time.Now()
		_, err := w.pay(t.Context(), "x")
		if err == nil || proven(err) {
			t.Error("the outcome is", err)
		}
		<-started
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("the till waited %v although the relay knows", took)
		}
		if got, err := w.pay(t.Context(), "y"); err != nil || got != "answer to y" {
			t.Error(got, err)
		}
		_ = w.relay.Close()
		if _, err := w.pay(t.Context(), "z"); !proven(err) {
			t.Error(err)
		}
		if n := w.desk.count(); n != 2 {
			t.Errorf("the platform was called %d times", n)
		}
	})
}

// TestSilence: no answer in time is unknown, and the relay is told to give up.
func TestSilence(t *testing.T) {
	inStreet(t, nil, nil, func(t *testing.T, w *street) {
		ended := make(chan time.Duration, 2)
		w.desk.answer = func(r *http.Request) (*http.Response, error) {
			began := time.Now()
			<-r.Context().Done()
			ended <- time.Since(began)
			return nil, context.Cause(r.Context())
		}
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
		defer stop()
		if _, err := w.pay(ctx, "x"); err == nil || proven(err) {
			t.Error("the outcome is", err)
		}
		if took := <-ended; took > 11*time.Second {
			t.Errorf("the relay went on for %v", took)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(3*time.Second, cancel)
		if _, err := w.pay(ctx, "y"); proven(err) || !errors.Is(err, context.Canceled) {
			t.Error("the outcome is", err)
		}
		if took := <-ended; took > 4*time.Second {
			t.Errorf("the relay went on for %v after the till gave up", took)
		}
	})
}

// TestSideBySide: a slow platform holds up no other exchange of the till.
func TestSideBySide(t *testing.T) {
	inStreet(t, nil, nil, func(t *testing.T, w *street) {
		w.desk.answer = func(r *http.Request) (*http.Response, error) {
			if r.Header.Get("Slow") != "" {
				time.Sleep(50 * time.Second)
			}
			return &http.Response{Status: "200 OK", StatusCode: 200, Body: http.NoBody}, nil
		}
		done := make(chan error, 1)
		go func() {
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, platform+"/pay", strings.NewReader("slow"))
			req.Header.Set("Slow", "yes")
			_, err := w.route.RoundTrip(req)
			done <- err
		}()
		time.Sleep(time.Second)
		for range 5 {
			began := time.Now()
			if _, err := w.pay(t.Context(), "quick"); err != nil || time.Since(began) > time.Second {
				t.Error(err, time.Since(began))
			}
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestForgedAnswers: answers that were changed, kept, said before or sealed by
// another are not heard.
func TestForgedAnswers(t *testing.T) {
	inStreet(t, nil, nil, func(t *testing.T, w *street) {
		if _, err := w.pay(t.Context(), "first"); err != nil {
			t.Fatal(err)
		}
		topic := "payagent/H1/B1/relay/ans"
		old := w.broker.Accepted(topic)
		w.desk.answer = func(*http.Request) (*http.Response, error) {
			for _, m := range old {
				_ = w.bus.Publish(t.Context(), m)
				bad := m
				bad.Payload = append([]byte{}, m.Payload...)
				bad.Payload[len(bad.Payload)-1] ^= 1
				_ = w.bus.Publish(t.Context(), bad)
			}
			for _, m := range w.broker.Accepted(topic) {
				bad := m
				bad.Payload = append([]byte{}, m.Payload...)
				bad.Payload[40] ^= 1
				_ = w.bus.Publish(t.Context(), bad)
				_ = w.bus.Publish(t.Context(), m) // the ticket once more
			}
			_ = w.bus.Publish(t.Context(), uplink.Message{Topic: topic, Payload: []byte("garbage")})
			_ = w.bus.Publish(t.Context(), uplink.Message{Topic: topic})
			time.Sleep(time.Second)
			return &http.Response{Status: "200 OK", StatusCode: 200, Body: io.NopCloser(strings.NewReader("second"))}, nil
		}
		if got, err := w.pay(t.Context(), "x"); err != nil || got != "second" {
			t.Error(got, err)
		}
		// What is kept is cleared when a new tunnel finds it.
		kept := old[len(old)-1]
		kept.Retain = true
		if err := w.bus.Publish(t.Context(), kept); err != nil {
			t.Fatal(err)
		}
		again, err := w.site.Tunnel(w.broker.Bus("again", nil), relaytest.Box, nil)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if m, ok := w.broker.Retained(topic); ok && len(m.Payload) > 0 {
			t.Error("a kept answer is still there")
		}
		if err := again.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestWokenByTheRelay: wake-ups of the relay arrive once, those of others and
// old ones do not, and a flood is a trickle.
func TestWokenByTheRelay(t *testing.T) {
	var mu sync.Mutex
	var woken []string
	inStreet(t, nil, func(c *mqtt.TunnelConfig) {
		c.Woken = func(platform, order string) {
			mu.Lock()
			defer mu.Unlock()
			woken = append(woken, platform+" "+order)
		}
	}, func(t *testing.T, w *street) {
		topic := "payagent/H1/B1/relay/wake"
		if _, err := w.pay(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
		if err := w.relay.Wake("H1", "B1", "pay", "MZ1"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(woken) != 1 || woken[0] != platform+":443 MZ1" {
			t.Fatalf("woken: %q", woken)
		}
		for _, m := range w.broker.Accepted(topic) {
			bad := m
			bad.Payload = append([]byte{}, m.Payload...)
			bad.Payload[30] ^= 1
			for _, m := range []uplink.Message{m, bad, {Topic: topic, Payload: []byte("PAR1w")}, {Topic: topic}} {
				if err := w.bus.Publish(t.Context(), m); err != nil {
					t.Fatal(err)
				}
			}
		}
		synctest.Wait()
		if len(woken) != 1 {
			t.Errorf("a repeated or forged wake-up was heard: %q", woken)
		}
		for range 60 {
			_ = w.relay.Wake("H1", "B1", "pay", "MZ1")
			time.Sleep(100 * time.Millisecond)
		}
		synctest.Wait()
		if n := len(woken); n < 5 || n > 20 {
			t.Errorf("%d wake-ups in six seconds", n)
		}
	})
}

// TestTunnelSettings: what is wrong is named before anything is sent.
func TestTunnelSettings(t *testing.T) {
	site, err := relaytest.NewSite()
	if err != nil {
		t.Fatal(err)
	}
	broker := uplinktest.NewBroker()
	defer broker.Close()
	bus := broker.Bus("till", nil)
	for name, change := range map[string]func(*mqtt.TunnelConfig){
		"no bus": func(c *mqtt.TunnelConfig) { c.Bus = nil }, "no key": func(c *mqtt.TunnelConfig) { c.RelayKey = nil },
		"no identity": func(c *mqtt.TunnelConfig) { c.Identity = nil }, "no site": func(c *mqtt.TunnelConfig) { c.Site = "" },
	} {
		if tunnel, err := site.Tunnel(bus, relaytest.Box, change); err == nil {
			_ = tunnel.Close()
			t.Errorf("%s was taken", name)
		}
	}
	tunnel, err := site.Tunnel(bus, relaytest.Box, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]mqtt.RouteConfig{
		"plain":  {BaseURL: "http://pay.invalid"},
		"no url": {BaseURL: "://"}, "no host": {BaseURL: "https://"}, "with a user": {BaseURL: "https://a:b@pay.invalid"},
		"ftp": {BaseURL: "ftp://pay.invalid"}, "too patient": {BaseURL: platform, ResponseTimeout: time.Hour},
	} {
		if _, err := tunnel.Route(c); err == nil {
			t.Errorf("%s was taken", name)
		} else if strings.Contains(err.Error(), "a:b") {
			t.Error("the error tells the password")
		}
	}
	if err := tunnel.Close(); err != nil {
		t.Fatal(err)
	}
	route, err := tunnel.Route(mqtt.RouteConfig{BaseURL: platform})
	if err != nil {
		t.Fatal(err)
	}
	req, _ := http.NewRequest(http.MethodPost, platform, nil)
	if _, err := route.RoundTrip(req); !proven(err) {
		t.Error("a closed tunnel gives", err)
	}
}
