package hub_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/fleet/hub"
	"payagent/agent/fleet/sealed"
	"payagent/platforms"
	"payagent/uplink"
)

func (r *rig) metrics() string {
	w := httptest.NewRecorder()
	r.hub.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}

// refused is how many messages the hub refused since its start.
func (r *rig) refused() (n int) {
	_, rest, _ := strings.Cut(r.metrics(), "\npayfleet_hub_events_refused_total ")
	if _, err := fmt.Sscan(rest, &n); err != nil {
		r.t.Error(err)
	}
	return n
}

// until waits until ok says so.
func (r *rig) until(what string, ok func() bool) {
	r.t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); runtime.Gosched() {
		if time.Now().After(end) {
			r.t.Fatal("never: ", what)
		}
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestUnbookedOnce: with what HIS did not book, too, every payment and refund is
// one row, whichever tills know of it and whichever of them HIS booked it at.
func TestUnbookedOnce(t *testing.T) {
	r := newRig(t, nil)
	a, b := r.box("A"), r.box("B")
	later := ptr(noon.Add(time.Minute))
	give := func(o fleet.Order, no string) fleet.Order {
		o.Refunds = append(o.Refunds, fleet.Refund{RefundNo: no, AmountFen: 30, State: "done", EndedAt: later})
		return o
	}
	book := func(o fleet.Order, e ...fleet.Entry) fleet.Order {
		o.Entries = e
		return o
	}
	elsewhere := func(no string) fleet.Order { // as a till knows an order of another
		return fleet.Order{OutTradeNo: no, State: "paid", AmountFen: 100, Platform: "fwc", Merchant: "m", CreatedAt: ptr(noon), EndedAt: ptr(noon), Foreign: true}
	}
	for seq, o := range []fleet.Order{
		give(paid("1", noon, 100), "R1"),                   // the refund was booked at the other till
		book(paid("2", noon, 100)),                         // the payment was
		give(paid("3", noon, 100), "R3"),                   // both know of a refund that nobody booked
		give(give(paid("4", noon, 100), "R4"), "R5"),       // one of two was booked, here
		book(give(paid("5", noon, 100), "R6")),             // nobody booked anything
		give(paid("6", noon.AddDate(0, 0, -1), 100), "R7"), // the payment is of the day before
	} {
		if o.OutTradeNo == "4" {
			o.Entries = append(o.Entries, fleet.Entry{HisFlowID: "RF4", RefundNo: "R4", AmountFen: -30, BookedAt: later})
		}
		a.send(a.event("E", uint64(seq)+1, uint64(seq), o, zhang))
	}
	for seq, o := range []fleet.Order{
		book(give(elsewhere("1"), "R1"), fleet.Entry{HisFlowID: "RF1", RefundNo: "R1", AmountFen: -30, BookedAt: later}),
		book(elsewhere("2"), fleet.Entry{HisFlowID: "SF2", AmountFen: 100, BookedAt: ptr(noon)}),
		give(elsewhere("3"), "R3"),
	} {
		b.send(b.event("F", uint64(seq)+1, uint64(seq), o, sealed.Person{}))
	}
	a.acked("E", 6)
	b.acked("F", 3)
	r.at(noon.Add(time.Hour))
	a.quiet()
	b.quiet()
	all := "1+100T1 2+100T2 3+100T3 4+100T4 5+100T5 1-30T1 3-30T3 4-30T4 4-30T4 5-30T5 6-30T6"
	for channel, want := range map[platforms.Channel]string{"": all, "wechat": all, "alipay": ""} {
		var got []string
		err := r.hub.Books("H1").Trades(t.Context(), platforms.TradeQuery{From: noon, To: noon.Add(time.Hour), Channel: channel, IncludeUnbooked: true}, func(t platforms.Trade) error {
			sign := "+"
			if t.Refunded {
				sign = "-"
			}
			got = append(got, fmt.Sprintf("%s%s%d%s", t.OutTradeNo, sign, t.Amount, t.TradeNo))
			return nil
		})
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: %q, wanted %q, %v", channel, got, want, err)
		}
	}
}

// TestOddEvents: an event with texts that a database may not like is taken like
// any other.
func TestOddEvents(t *testing.T) {
	r := newRig(t, nil)
	a := r.box("A")
	odd := a.event("E", 1, 0, paid("1", noon, 100), zhang)
	odd.Data = json.RawMessage(strings.Replace(string(odd.Data), "自费", `\u0000\ud800`, 1))
	a.send(odd)
	a.acked("E", 1)
}

// newer is an event as a box might write it that is newer than the hub.
func newer(e fleet.Event) fleet.Event {
	e.Data = json.RawMessage(strings.Replace(string(e.Data), `"rev"`, `"tip_fen":5,"rev"`, 1))
	return e
}

// TestQuarantine: an event that this hub does not understand is kept as it came
// and acknowledged, so that what follows it comes in; it is told, no list of its
// day is answered without it, and a hub that understands it takes it in.
func TestQuarantine(t *testing.T) {
	r := newRig(t, nil)
	a, b := r.box("A"), r.box("B")
	b.send(newer(b.event("F", 1, 0, paid("2", noon, 100), zhang)))
	b.acked("F", 1)
	envelope, err := json.Marshal(b.event("F", 2, 1, paid("4", noon, 300), zhang))
	if err != nil {
		t.Fatal(err)
	}
	envelope = append([]byte(`{"mood":"calm",`), envelope[1:]...)
	if err := b.bus.Publish(t.Context(), uplink.Message{Topic: "p/H1/B/e/orders", Payload: envelope}); err != nil {
		t.Fatal(err)
	}
	b.acked("F", 2)
	b.send(newer(b.event("F", 1, 0, paid("2", noon, 100), zhang))) // once more
	b.acked("F", 2)
	b.send(b.event("F", 3, 2, paid("5", noon.AddDate(0, 0, 1), 500), zhang))
	b.acked("F", 3)
	a.send(a.event("E", 1, 0, paid("3", noon, 100), zhang))
	a.acked("E", 1)
	r.at(noon.Add(time.Hour))
	a.quiet()
	b.quiet()
	if got, err := r.list(noon, noon.Add(time.Hour)); err == nil || !strings.Contains(err.Error(), "H1/B unreadable") || len(got) > 0 {
		t.Errorf("%q %v", got, err)
	}
	tomorrow := noon.AddDate(0, 0, 1)
	r.at(tomorrow)
	a.quiet()
	b.quiet()
	if got, err := r.list(tomorrow, tomorrow); err != nil || strings.Join(got, "|") != "5 +500 张三 C001" {
		t.Errorf("another day: %q %v", got, err)
	}
	told := func(want int) string {
		t.Helper()
		if h := r.hub.Health(); !h.OK || h.Quarantine != want || slices.Contains(h.Reasons, "quarantine") != (want > 0) {
			t.Errorf("%+v", h)
		}
		var out [2]string
		for i, path := range []string{"/quarantine?raw=1", "/metrics"} {
			w := httptest.NewRecorder()
			r.hub.Handler().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
			out[i] = w.Body.String()
		}
		if !strings.Contains(out[1], fmt.Sprintf("payfleet_hub_quarantine %d\n", want)) || strings.Count(out[0], `"why"`) != want {
			t.Errorf("%s\n%s", out[0], out[1])
		}
		return out[0]
	}
	if page := told(2); !strings.Contains(page, "tip_fen") || !strings.Contains(page, "mood") || strings.Contains(page, "sealed") || strings.Contains(page, "张三") {
		t.Error(page)
	}
	// The same program again changes nothing.
	r.stop()
	r.start()
	told(2)
	// A newer one understands what was new.
	held, err := r.hub.Quarantine(t.Context())
	if err != nil || len(held) != 2 || string(held[1].Raw) != string(envelope) {
		t.Fatalf("%+v %v", held, err)
	}
	for i, x := range held {
		for _, more := range []string{`"tip_fen":5,`, `"mood":"calm",`} {
			held[i].Raw = []byte(strings.Replace(string(x.Raw), more, "", 1))
			x = held[i]
		}
	}
	if err := r.store.Put(t.Context(), hub.Batch{Held: held}); err != nil {
		t.Fatal(err)
	}
	r.stop()
	r.start()
	told(0)
	r.at(tomorrow)
	a.quiet()
	b.quiet()
	if got, err := r.list(noon, noon.Add(time.Hour)); err != nil || strings.Join(got, "|") != "2 +100 张三 C001|3 +100 张三 C001|4 +300 张三 C001" {
		t.Errorf("%q %v", got, err)
	}
	if got, err := r.list(tomorrow, tomorrow); err != nil || len(got) != 1 {
		t.Errorf("%q %v", got, err)
	}
}

// TestQuarantineIsBounded: what does not fit in is not acknowledged, so that the
// box keeps it, and stops no other box.
func TestQuarantineIsBounded(t *testing.T) {
	r := newRig(t, nil)
	a, b := r.box("A"), r.box("B")
	var full []hub.Held
	for i := range 2000 {
		full = append(full, hub.Held{Site: "H1", Box: "B", Stream: "orders", Epoch: "OLD", Seq: uint64(i + 1), At: noon, Received: noon, Raw: []byte("{}")})
	}
	if err := r.store.Put(t.Context(), hub.Batch{Held: full}); err != nil {
		t.Fatal(err)
	}
	r.stop()
	r.start()
	b.send(newer(b.event("F", 1, 0, paid("2", noon, 100), zhang)))
	r.until("the event was refused", func() bool { return r.refused() == 1 })
	big := newer(a.event("E", 1, 0, paid("1", noon, 100), zhang))
	big.Subject = strings.Repeat("x", 70<<10)
	a.send(big)
	r.until("the event was refused", func() bool { return r.refused() == 2 })
	a.send(a.event("E", 1, 0, paid("1", noon, 100), zhang)) // as a newer hub would read it
	a.acked("E", 1)
	for _, m := range r.broker.Accepted("p/H1/B/ack/#") {
		var ack fleet.Ack
		if json.Unmarshal(m.Payload, &ack) == nil && ack.Epoch == "F" && ack.Seq > 0 {
			t.Errorf("it was acknowledged: %s", m.Payload)
		}
	}
	r.at(noon.Add(time.Hour))
	b.quiet()
	if got := r.hub.Missing("H1", r.now(), r.now()); !slices.ContainsFunc(got, func(m hub.Missing) bool { return m.Box == "H1/B" && m.Reason == "unreadable" }) {
		t.Error(got)
	}
}

// TestCopy: a hub that is new, or was put back from a copy, lacks what it
// acknowledged before. What a box says of nothing waiting does not hide that,
// and the box is told where the hub is.
func TestCopy(t *testing.T) {
	r := newRig(t, nil)
	a, b := r.box("A"), r.box("B")
	a.send(a.event("E", 1, 0, paid("1", noon, 100), zhang))
	a.acked("E", 1)
	a.quiet()
	r.at(noon.Add(time.Hour))
	lacks := fleet.Status{State: fleet.StateReady, At: r.now(), BootID: "boot", Seq: 1, Every: 60, Acked: fleet.Ack{Epoch: "E", Seq: 9}}
	a.status(lacks)
	a.acked("E", 1)
	if got, err := r.list(noon, noon.Add(time.Hour)); err == nil {
		t.Errorf("the list was answered without what only the box has: %q", got)
	}
	a.send(a.event("E", 9, 1, paid("2", noon.Add(time.Minute), 200), zhang))
	a.acked("E", 9)
	a.status(lacks)
	if got, err := r.list(noon, noon.Add(time.Hour)); err != nil || len(got) != 2 {
		t.Errorf("%q %v", got, err)
	}
	b.status(lacks) // of another store, and nothing of it is here
	b.acked("E", 0)
	if got, err := r.list(noon, noon.Add(time.Hour)); err == nil {
		t.Errorf("the list was answered without a till of which the hub has nothing: %q", got)
	}
}

// TestMergeOverMachines: a box was replaced while a refund was under way. The
// machine after it knows the payment as in doubt at first, and never of the
// refund that was over. The list that HIS asks for has all of it, all the time.
func TestMergeOverMachines(t *testing.T) {
	at := func(m int) *time.Time { x := time.Unix(1700000000, 0).Add(time.Duration(m) * time.Minute); return &x }
	old := hub.Order{Epoch: "E1", Rev: 9, Seq: 9, Changed: *at(9), Facts: fleet.Order{State: "paid", AmountFen: 100, RefundedFen: 10, EndedAt: at(1),
		Entries: []fleet.Entry{{HisFlowID: "F1", AmountFen: 100, BookedAt: at(2)}, {HisFlowID: "F2", RefundNo: "R1", AmountFen: -10, BookedAt: at(4)}},
		Refunds: []fleet.Refund{{RefundNo: "R1", AmountFen: 10, State: "done", EndedAt: at(3)}, {RefundNo: "R2", AmountFen: 20, State: "sent"}}}}
	doubt := hub.Order{Epoch: "E2", Rev: 4, Seq: 1, Changed: *at(20), Facts: fleet.Order{State: "in_doubt", AmountFen: 100}}
	done := hub.Order{Epoch: "E2", Rev: 9, Seq: 2, Changed: *at(21), Facts: fleet.Order{State: "paid", AmountFen: 100, RefundedFen: 20, EndedAt: at(21),
		Entries: []fleet.Entry{{HisFlowID: "F1", AmountFen: 100, BookedAt: at(2)}, {HisFlowID: "F3", RefundNo: "R2", AmountFen: -20, BookedAt: at(22)}},
		Refunds: []fleet.Refund{{RefundNo: "R2", AmountFen: 20, State: "done", EndedAt: at(21)}}}}
	got := hub.Merge(old, doubt)
	if f := got.Facts; f.State != "in_doubt" || len(f.Entries) != 2 || len(f.Refunds) != 2 || f.Refunds[1].State != "sent" {
		t.Fatalf("%+v", f)
	}
	for _, list := range [][]hub.Order{{old, doubt, done}, {done, doubt, old}, {old, done, doubt, done}} {
		got := list[0]
		for _, o := range list[1:] {
			got = hub.Merge(got, o)
		}
		f := got.Facts
		if f.State != "paid" || len(f.Entries) != 3 || len(f.Refunds) != 2 || f.RefundedFen != 30 {
			t.Fatalf("%+v", f)
		}
		for _, r := range f.Refunds {
			if r.State != "done" {
				t.Fatalf("%+v", f.Refunds)
			}
		}
	}
}
