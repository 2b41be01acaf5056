package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"payagent/agent/config"
	"payagent/uplink"
	"payagent/uplink/mqtt"
	"payagent/uplink/mqtt/relay"
	"payagent/uplink/mqtt/relaytest"
	"payagent/uplink/uplinktest"
)

// desk is a way of the relay's to a platform.
type desk struct{}

func (desk) RoundTrip(*http.Request) (*http.Response, error) { return nil, http.ErrNotSupported }
func (desk) Reach(context.Context) error                     { return nil }
func (desk) Close() error                                    { return nil }

// TestDoctorThroughTheRelay: without an agent the doctor takes its place at the
// broker, asks the relay, and leaves what waits for the agent; nothing is
// charged.
func TestDoctorThroughTheRelay(t *testing.T) {
	broker := uplinktest.Mosquitto(t, uplinktest.MosquittoOptions{Persist: true})
	s, err := relaytest.NewSite()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	c := config.Config{DataDir: dir, Fleet: enrolledAt(t, s, dir, "box-1", broker.URL)}
	p := config.Platform{Name: "pay", URL: "https://pay.example", Uplink: "mqtt", DialTimeout: time.Minute, Policy: config.Policy{PayTimeout: time.Minute}}
	// What waits comes right behind the CONNACK, so it connects when it has
	// subscribed.
	open := func(id string, ready <-chan struct{}) *mqtt.Client {
		t.Helper()
		bus, err := mqtt.Open(mqtt.Config{Broker: broker.URL, ClientID: id, Every: time.Second, Phase: func() time.Duration {
			<-ready
			return 0
		}})
		if err != nil {
			t.Fatal(err)
		}
		return bus
	}
	look := func(p config.Platform) error {
		g := &glance{c: c, clock: clockOf(c)}
		defer func() {
			if err := g.Close(); err != nil {
				t.Error(err)
			}
		}()
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		_, err := g.way(p.Name, false, p).Ask(ctx)
		return err
	}
	now := make(chan struct{})
	close(now)
	side := open("relay", now)
	defer func() { _ = side.Close() }()
	r, err := s.Relay(side, []relay.Platform{{Name: "pay", Address: "https://pay.example", Way: desk{}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	// The agent was here, and something is sent to it while it is away.
	box, topic := open("box-1", now), relaytest.Root+"/H1/box-1/cmd/restart/1"
	if _, err := box.Subscribe(topic, func(uplink.Message) {}); err != nil {
		t.Fatal(err)
	}
	up(t, box)
	if err := box.Publish(t.Context(), uplink.Message{Topic: topic + "/up", Payload: []byte("x")}); err != nil { // behind the SUBSCRIBE
		t.Fatal(err)
	}
	if err := box.Close(); err != nil {
		t.Fatal(err)
	}
	if err := side.Publish(t.Context(), uplink.Message{Topic: topic, Payload: []byte("wait for it")}); err != nil {
		t.Fatal(err)
	}
	if err := look(p); err != nil {
		t.Error(err)
	}
	other := p
	other.URL = "https://other.example"
	if err := look(other); err == nil || !strings.Contains(err.Error(), "the relay says") {
		t.Error(err)
	}
	got := make(chan string, 1)
	subscribed := make(chan struct{})
	box = open("box-1", subscribed)
	defer func() { _ = box.Close() }()
	if _, err := box.Subscribe(topic, func(m uplink.Message) { got <- string(m.Payload) }); err != nil {
		t.Fatal(err)
	}
	close(subscribed)
	select {
	case text := <-got:
		if text != "wait for it" {
			t.Error(text)
		}
	case <-time.After(time.Minute):
		t.Error("the doctor took what waited for the agent")
	}
	c.Fleet.Broker = "mqtt://127.0.0.1:1"
	g := &glance{c: c, clock: clockOf(c)}
	ctx, stop := context.WithCancelCause(t.Context())
	stop(fmt.Errorf("no patience"))
	if _, err := g.way(p.Name, false, p).Ask(ctx); err == nil || !strings.Contains(err.Error(), "no connection to the broker") {
		t.Error(err)
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
}

// up waits for a connection.
func up(t *testing.T, bus uplink.Bus) {
	t.Helper()
	guard := time.After(time.Minute)
	for {
		link, changed := bus.Link()
		if link.Up {
			return
		}
		select {
		case <-changed:
		case <-guard:
			t.Fatal("no connection")
		}
	}
}
