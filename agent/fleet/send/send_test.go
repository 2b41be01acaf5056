package send_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/fleet/send"
	"payagent/agent/fleet/view"
	"payagent/agent/fleet/watch"
	"payagent/agent/signed"
	"payagent/uplink"
	"payagent/uplink/uplinktest"
)

func TestSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		public, private, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		broker := uplinktest.NewBroker()
		defer broker.Close()
		it, box := broker.Bus("it", nil), broker.Bus("B1", nil)
		defer func() { _ = it.Close(); _ = box.Close() }()
		got := make(chan uplink.Message, 1)
		if _, err := box.Subscribe("payagent/H1/B1/cmd/+/+/req", func(m uplink.Message) { got <- m }); err != nil {
			t.Fatal(err)
		}
		w, err := watch.Open(it, watch.Options{Root: "payagent", Limits: view.Usual()})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		synctest.Wait() // everybody has subscribed
		var n send.Counter
		c, err := send.New(view.Key{Site: "H1", Box: "B1"}, fleet.VerbRestart, nil, time.Hour, n.Next(time.Now()), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		doc, err := send.Sign(c, signed.Private{ID: "k1", Key: private})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := send.Publish(t.Context(), it, "payagent", doc); err != nil {
			t.Fatal(err)
		}
		m := <-got
		d, err := signed.Open(m.Payload, fleet.TypeCommand, []signed.Key{{ID: "k1", Public: public}})
		var back fleet.Command
		if err != nil || json.Unmarshal(d.Payload, &back) != nil || m.Retain || back.ID != c.ID || m.Topic != "payagent/H1/B1/cmd/restart/"+c.ID+"/req" {
			t.Fatalf("%v %+v", err, m)
		}
		say := func(state string) {
			data, err := json.Marshal(fleet.CommandState{ID: c.ID, Verb: c.Verb, State: state, At: time.Now()})
			if err != nil {
				t.Fatal(err)
			}
			if err := box.Publish(t.Context(), uplink.Message{Topic: "payagent/H1/B1/cmd/restart/" + c.ID + "/state", Payload: data, Retain: true}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := send.Wait(ctx, w, c, func(fleet.CommandState) {}); !errors.Is(err, context.DeadlineExceeded) {
			t.Error("a command of which nothing was heard ended:", err)
		}
		var told []string
		ended := make(chan error, 1)
		go func() {
			_, err := send.Wait(t.Context(), w, c, func(s fleet.CommandState) { told = append(told, s.State) })
			ended <- err
		}()
		for _, s := range []string{fleet.Accepted, fleet.Running, fleet.Succeeded} {
			say(s)
		}
		if err := <-ended; err != nil || strings.Join(told, " ") != "accepted running succeeded" {
			t.Error(err, told)
		}
	})
}

func TestCounterGrows(t *testing.T) {
	var n send.Counter
	now := time.Date(2026, 3, 14, 10, 0, 0, 0, time.UTC)
	a, b, c := n.Next(now), n.Next(now), n.Next(now.Add(-time.Hour))
	if a != uint64(now.UnixMicro()) || b <= a || c <= b {
		t.Error(a, b, c)
	}
}

func TestRefused(t *testing.T) {
	now := time.Now()
	k := view.Key{Site: "H1", Box: "B1"}
	for name, make := range map[string]func() (fleet.Command, error){
		"money":   func() (fleet.Command, error) { return send.New(k, "refund", nil, time.Hour, 1, now) },
		"a shell": func() (fleet.Command, error) { return send.New(k, "shell", nil, time.Hour, 1, now) },
		"wildcard": func() (fleet.Command, error) {
			return send.New(view.Key{Site: "H1", Box: "+"}, "diag", nil, time.Hour, 1, now)
		},
		"for ever":  func() (fleet.Command, error) { return send.New(k, "diag", nil, 30*24*time.Hour, 1, now) },
		"arguments": func() (fleet.Command, error) { return send.New(k, "diag", json.RawMessage("{"), time.Hour, 1, now) },
	} {
		if _, err := make(); err == nil || !strings.HasPrefix(err.Error(), "cannot send") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, bad := range []string{"", "{}", `{"payloadType":"application/vnd.payagent.command.v1+json","payload":"e30="}`} {
		if _, _, err := send.Peek([]byte(bad)); err == nil {
			t.Errorf("%s was taken for a command", bad)
		}
	}
}

func FuzzPeek(f *testing.F) {
	f.Add([]byte(`{"payloadType":"application/vnd.payagent.command.v1+json","payload":"eyJzaXRlIjoiSDEifQ==","signatures":[{"keyid":"k","sig":"eA=="}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if c, _, err := send.Peek(data); err == nil {
			if _, ok := fleet.RoleFor(c.Verb); !ok || fleet.CheckName(c.Box) != nil {
				t.Errorf("%+v was let through", c)
			}
		}
	})
}
