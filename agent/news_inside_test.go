package agent

import (
	"encoding/json"
	"testing"

	"payagent/agent/order"
)

// TestDull: what a record is worth does not depend on how its kind is found,
// and what cannot be read is looked at.
func TestDull(t *testing.T) {
	news := map[order.Kind]bool{order.KindAnswered: true, order.KindEnded: true, order.KindDoubt: true, order.KindRefund: true, order.KindLate: true, order.KindBooked: true, order.KindResolved: true, "unheard of": true}
	dulls := []order.Kind{order.KindCreated, order.KindKey, order.KindConfirmed, order.KindDetached, order.KindCancelAsked, order.KindLeft}
	dull := (&Agent{facts: newFactReader()}).dull
	look := func(f order.Fact, want bool) {
		t.Helper()
		written, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		var parts map[string]json.RawMessage
		if err := json.Unmarshal(written, &parts); err != nil {
			t.Fatal(err)
		}
		sorted, err := json.Marshal(parts) // at, kind, order, …
		if err != nil {
			t.Fatal(err)
		}
		if dull(written) != want || dull(sorted) != want {
			t.Errorf("%s: %v as it is written, %v in another order; want %v", written, dull(written), dull(sorted), want)
		}
	}
	for kind := range news {
		look(order.Fact{Kind: kind, Order: "1"}, false)
	}
	for _, kind := range dulls {
		look(order.Fact{Kind: kind, Order: "1"}, true)
	}
	for verb, want := range map[order.Verb]bool{order.VerbCharge: true, order.VerbCancel: false, order.VerbRefund: false} {
		look(order.Fact{Kind: order.KindSent, Order: "1", Sent: &order.Sent{Verb: verb}}, want)
	}
	for _, data := range []string{``, `{`, `{"kind":"`, `{"kind":5}`, `{"kind":"sent","sent":5}`} {
		if dull([]byte(data)) {
			t.Errorf("%q is taken for no news", data)
		}
	}
}
