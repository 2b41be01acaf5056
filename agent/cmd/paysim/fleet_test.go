package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/fleet/fleettest"
	"payagent/agent/fleet/view"
	"payagent/uplink"
	"payagent/uplink/mqtt"
)

// TestFleet: the pretend fleet shows what it promises, and a command from the
// console is carried out by the real box code over a restart.
func TestFleet(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ready := make(chan string, 1)
	p := pretendFleet{console: console{strings.NewReader(""), io.Discard, io.Discard}, n: 15, broker: "127.0.0.1:0", listen: "127.0.0.1:0", dir: t.TempDir(), every: 10 * time.Second, busy: 8 * time.Second,
		cutAfter: time.Second, ready: func(page string) { ready <- page }}
	ended := make(chan error, 1)
	go func() { ended <- p.run(ctx) }()
	var page string
	select {
	case page = <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	base, token, _ := strings.Cut(page, "/#t=")
	said := onThePage(t, p.broker)
	ask := func(method, path string, body any, into any) {
		t.Helper()
		data, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(ctx, method, base+path, bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		if err := json.NewDecoder(resp.Body).Decode(into); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s %v", path, resp.Status, err)
		}
	}
	// until asks again and again: what is waited for comes over sockets.
	until := func(what string, good func() bool) {
		t.Helper()
		for end := time.Now().Add(8 * time.Minute); !good(); {
			if time.Now().After(end) {
				var l view.List
				ask("GET", "/v1/boxes", nil, &l)
				t.Fatalf("never seen: %s: %+v", what, l)
			}
			<-time.After(50 * time.Millisecond)
		}
	}
	row := func(l view.List, box string) (r view.Row) {
		for _, r := range l.Rows {
			if r.Box == box {
				return r
			}
		}
		return r
	}
	until("fifteen tills, each as it should be", func() bool {
		var l view.List
		ask("GET", "/v1/boxes", nil, &l)
		return l.Total == 15 && row(l, "TILL-01").State == fleet.StateReady && row(l, "TILL-06").State == fleet.StateLost && strings.Join(row(l, "TILL-09").Alarms, "") == "clock_skew" &&
			row(l, "TILL-12").Version == "1.3.7" && row(l, "TILL-15").State == fleet.StateAlert
	})
	box := func() (b view.Box) {
		ask("GET", "/v1/box?site=H1&box=TILL-01", nil, &b)
		return b
	}
	until("a payment that the hub has acknowledged", func() bool {
		b := box()
		for _, e := range b.Timeline {
			if e.Kind == view.KindEvent && e.Code == "payagent.order.paid.v1" && b.Waiting == 0 {
				return true
			}
		}
		return false
	})
	boot := box().Status.BootID
	var sent struct {
		ID string `json:"cmd_id"`
	}
	ask("POST", "/v1/commands", map[string]string{"site": "H1", "box": "TILL-01", "verb": fleet.VerbRestart, "confirm": "TILL-01"}, &sent)
	until("the restart that was ordered", func() bool {
		b := box()
		return b.Status.BootID != boot && len(b.Commands) == 1 && b.Commands[0].ID == sent.ID && b.Commands[0].State == fleet.Succeeded
	})
	said()
	stop()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("it does not end")
	}
}

// onThePage listens to all that the pretend boxes say. The function that it
// gives holds it to docs/mqtt.md: who learns from the pretend fleet must not
// learn anything that real boxes never say.
func onThePage(t *testing.T, broker string) (end func()) {
	t.Helper()
	docs, err := fleettest.Read("../../../docs/mqtt.md", "payagent")
	if err != nil {
		t.Fatal(err)
	}
	bus, err := mqtt.Open(mqtt.Config{Broker: "mqtt://" + broker, ClientID: "reader", Phase: func() time.Duration { return 0 }, Every: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bus.Close() })
	var mu sync.Mutex
	var all []uplink.Message
	if _, err := bus.Subscribe("payagent/#", func(m uplink.Message) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, m)
	}); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		for _, m := range all {
			if err := docs.Check(m); err != nil {
				t.Error(err)
			}
		}
		for _, x := range docs.Unseen() {
			if strings.HasPrefix(x, "topic=twin/") || strings.HasPrefix(x, "topic=dev/") || x == "topic=status" {
				t.Errorf("the pretend fleet never shows %s", x)
			}
		}
	}
}
