package view

import (
	"encoding/base64"
	"testing"
	"time"
)

// TestSuccession: which machine of its name a box is, and what the ones before
// it left.
func TestSuccession(t *testing.T) {
	now := time.Date(2026, 3, 14, 9, 0, 0, 0, time.UTC)
	m := New("payagent", Usual())
	take := func(generation, payload string) bool {
		text := ""
		if payload != "" {
			text = `{"certificate":"","payload":"` + base64.StdEncoding.EncodeToString([]byte(payload)) + `","signature":""}`
		}
		_, ok := m.Take("payagent/H1/B1/open/"+generation, []byte(text), true, now)
		return ok
	}
	row := func() Row {
		b, _ := m.Box(Key{"H1", "B1"}, now)
		return b.Row
	}
	if !take("1", `{"orders":[{"out_trade_no":"N1"},{}],"more":1}`) || row().Generation != 1 || row().LeftOpen != 0 {
		t.Fatal(row())
	}
	if take("1", `{"orders":[{},{}],"more":1}`) {
		t.Error("nothing changed")
	}
	if !take("2", `{"orders":[{}]}`) || row().Generation != 2 || row().LeftOpen != 3 {
		t.Fatal(row())
	}
	for _, bad := range []string{"x", "-1", ""} {
		if take(bad, `{"orders":[]}`) {
			t.Error(bad)
		}
	}
	if take("3", `{"orders":[],"more":-1}`) || take("3", "?") {
		t.Error("junk")
	}
	if !take("1", "") || row().LeftOpen != 0 || row().Generation != 2 {
		t.Fatal(row())
	}
	if !take("2", "") || m.Len() != 0 {
		t.Error("all is cleared, and the box stays")
	}
}
