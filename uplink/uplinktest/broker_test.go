package uplinktest_test

import (
	"context"
	"testing"

	"payagent/uplink"
	"payagent/uplink/uplinktest"
)

// TestBrokerFaults: a lost acknowledgement is sent again after a cut, a
// stalled client gets nothing until it may, what a dead broker did not retain
// is gone.
func TestBrokerFaults(t *testing.T) {
	ctx := t.Context()
	b := uplinktest.NewBroker()
	defer b.Close()
	one := b.Bus("one", &uplink.Message{Topic: "status", Payload: []byte("lost"), Retain: true})
	if err := one.Publish(ctx, uplink.Message{Topic: "a", Payload: []byte("0")}); err != nil {
		t.Fatal(err)
	}
	b.DropAck("one", 1)
	done := one.Send(ctx, uplink.Message{Topic: "a", Payload: []byte("1")})
	if err := one.Publish(ctx, uplink.Message{Topic: "a", Payload: []byte("2"), Retain: true}); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		t.Fatal("acknowledged although the acknowledgement was lost:", err)
	default:
	}
	b.Cut("one")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, m := range b.Accepted("a") {
		got += string(m.Payload)
	}
	if got != "0121" {
		t.Error("the broker took", got)
	}
	if m, ok := b.Retained("status"); !ok || string(m.Payload) != "lost" {
		t.Error("no will after a cut")
	}
	b.Stall("one", true)
	ended, end := context.WithCancel(ctx)
	done = one.Send(ended, uplink.Message{Topic: "a", Payload: []byte("3")})
	end()
	if err := <-done; err == nil {
		t.Error("a black hole acknowledged")
	}
	b.Kill()
	if _, ok := b.Retained("a"); !ok {
		t.Error("Kill lost what was retained")
	}
	b.Forget()
	if _, ok := b.Retained("a"); ok {
		t.Error("Forget kept what was retained")
	}
}
