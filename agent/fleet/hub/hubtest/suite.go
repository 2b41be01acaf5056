// Package hubtest is what every store of the hub must keep, as named cases, and
// a PostgreSQL for tests.
package hubtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/fleet/hub"
)

// Member opens stores of one place: what one wrote, the next one reads. Each
// call of New is another place.
type Member struct {
	New func() (open func() (hub.Store, error), err error)
}

// Case is one rule.
type Case struct {
	Name, Rule string
	Run        func(w *World) error
}

// World is an open store.
type World struct {
	Ctx   context.Context
	Store hub.Store
	open  func() (hub.Store, error)
}

// Reopen closes the store and opens it again.
func (w *World) Reopen() (err error) {
	if err := w.Store.Close(); err != nil {
		return err
	}
	w.Store, err = w.open()
	return err
}

// Run runs one case.
func Run(m Member, c Case) error {
	open, err := m.New()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	w := &World{Ctx: ctx, open: open}
	if w.Store, err = open(); err != nil {
		return err
	}
	defer func() { w.Store.Close() }()
	if err := c.Run(w); err != nil {
		return fmt.Errorf("%s: %w (rule: %s)", c.Name, err, c.Rule)
	}
	return nil
}

// Test runs all cases.
func Test(t *testing.T, m Member) {
	for _, c := range Cases() {
		t.Run(c.Name, func(t *testing.T) {
			if err := Run(m, c); err != nil {
				t.Error(err)
			}
		})
	}
}

// Cases are the rules of hub.Store.
func Cases() []Case {
	return []Case{
		{"durable", "what Put wrote is there after the store was opened anew", caseDurable},
		{"newest-wins", "of one order the newest facts are kept, and what was sealed last, in whatever order they come", caseNewest},
		{"boxes-apart", "orders of two boxes with one number are two orders", caseApart},
		{"days", "an order is found on every day that something happened on, in UTC+8, and on no other, and once", caseDays},
		{"all-or-nothing", "a batch that cannot be written leaves nothing", caseWhole},
		{"forget-persons", "what was sealed is dropped in time, and nothing else", casePersons},
		{"forget-all", "what is too old is gone, and nothing newer", caseForget},
		{"held", "what is held is there as it came after the store was opened anew, until it is released, and of old what is sealed goes first and then the rest", caseHeld},
		{"any-text", "texts that a database may not like are kept as they came, and nothing beside them is lost", caseAnyText},
		{"stop", "Read stops at yield's first error and gives it back", caseStop},
	}
}

var t0 = time.Date(2026, 3, 14, 8, 0, 0, 0, time.UTC) // 16:00 in UTC+8

func ptr(t time.Time) *time.Time { return &t }

func order(box, no string, rev int, at time.Time) hub.Order {
	return hub.Order{Site: "H1", Box: box, Epoch: "E", Seq: uint64(rev), Rev: rev, Changed: at,
		Facts: fleet.Order{OutTradeNo: no, State: "paid", AmountFen: 1234, Platform: "fwc", Merchant: "m", Channel: "wechat", CreatedAt: ptr(at), EndedAt: ptr(at),
			Entries: []fleet.Entry{{HisFlowID: "SF" + no, AmountFen: 1234, BookedAt: ptr(at)}},
			Refunds: []fleet.Refund{{RefundNo: "R" + no, AmountFen: 34, State: "done", AskedAt: ptr(at), EndedAt: ptr(at)}}}}
}

func (w *World) byNo(site, no string) (list []hub.Order, err error) {
	err = w.Store.Read(w.Ctx, hub.Query{Site: site, No: no}, func(i hub.Item) error {
		list = append(list, *i.Order)
		return nil
	})
	return
}

func (w *World) byDay(from, to time.Time) (list []string, err error) {
	err = w.Store.Read(w.Ctx, hub.Query{From: from, To: to}, func(i hub.Item) error {
		list = append(list, i.Order.Box+"/"+i.Order.Facts.OutTradeNo)
		return nil
	})
	return
}

// same compares as JSON: zones of times differ.
func same(a, b any) error {
	x, err := json.Marshal(normal(a))
	if err != nil {
		return err
	}
	y, err := json.Marshal(normal(b))
	if err != nil {
		return err
	}
	if string(x) != string(y) {
		return fmt.Errorf("%s became %s", x, y)
	}
	return nil
}

func normal(v any) any {
	if o, ok := v.(hub.Order); ok {
		o.Changed = o.Changed.UTC()
		return o
	}
	return v
}

func caseDurable(w *World) error {
	s := hub.Stream{Site: "H1", Box: "B1", Name: "orders", Epoch: "E", Seq: 7, Last: t0, Until: t0.Add(time.Minute)}
	h := hub.Hole{Site: "H1", Box: "B1", Name: "orders", Epoch: "E", From: 3, To: 5, After: t0, Before: t0.Add(time.Hour), Reason: "pruned"}
	o := order("B1", "1", 1, t0)
	o.Sealed, o.SealedIn = "c2VhbGVk", "E-1"
	e := hub.Event{Site: "H1", Box: "B1", Stream: "orders", Epoch: "E", Seq: 7, Type: "t", Subject: "1", Time: t0, Data: json.RawMessage(`{"a":1}`)}
	h.Before = t0.Add(2 * time.Hour)
	if err := w.Store.Put(w.Ctx, hub.Batch{Holes: []hub.Hole{h}}); err != nil {
		return err
	}
	h.Before = t0.Add(time.Hour) // its end was drawn nearer
	for range 2 {                // a repeated batch changes nothing
		if err := w.Store.Put(w.Ctx, hub.Batch{Streams: []hub.Stream{s}, Holes: []hub.Hole{h}, Orders: []hub.Order{o}, Events: []hub.Event{e}}); err != nil {
			return err
		}
	}
	if err := w.Reopen(); err != nil {
		return err
	}
	got, err := w.byNo("H1", "1")
	if err != nil || len(got) != 1 {
		return fmt.Errorf("%d orders, %w", len(got), err)
	}
	if err := same(o, got[0]); err != nil {
		return err
	}
	if other, err := w.byNo("H2", "1"); err != nil || len(other) != 0 {
		return fmt.Errorf("another site has %d orders, %w", len(other), err)
	}
	var streams []hub.Stream
	var holes []hub.Hole
	err = w.Store.Read(w.Ctx, hub.Query{Streams: true}, func(i hub.Item) error {
		if i.Stream != nil {
			streams = append(streams, *i.Stream)
		}
		if i.Hole != nil {
			holes = append(holes, *i.Hole)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(streams, []hub.Stream{s}) || !reflect.DeepEqual(holes, []hub.Hole{h}) {
		return fmt.Errorf("%+v %+v became %+v %+v", s, h, streams, holes)
	}
	return nil
}

func caseNewest(w *World) error {
	first, second, third := order("B1", "1", 1, t0), order("B1", "1", 2, t0.Add(time.Minute)), order("B1", "1", 3, t0.Add(2*time.Minute))
	second.Sealed, second.SealedIn = "c2VhbGVk", "E-2"
	first.Facts.State, third.Facts.RefundedFen = "waiting", 34
	first.Facts.Refunds, first.Facts.Entries = nil, nil
	for _, list := range [][]hub.Order{{second, first}, {third}, {second}} {
		if err := w.Store.Put(w.Ctx, hub.Batch{Orders: list}); err != nil {
			return err
		}
	}
	got, err := w.byNo("", "1")
	if err != nil || len(got) != 1 {
		return fmt.Errorf("%d orders, %w", len(got), err)
	}
	want := third
	want.Sealed, want.SealedIn = second.Sealed, second.SealedIn
	return same(want, got[0])
}

func caseApart(w *World) error {
	if err := w.Store.Put(w.Ctx, hub.Batch{Orders: []hub.Order{order("B2", "1", 1, t0), order("B1", "1", 5, t0)}}); err != nil {
		return err
	}
	got, err := w.byNo("H1", "1")
	if err != nil || len(got) != 2 || got[0].Box != "B1" || got[1].Box != "B2" {
		return fmt.Errorf("%d orders, %w", len(got), err)
	}
	return nil
}

func caseDays(w *World) error {
	night := time.Date(2026, 3, 14, 17, 0, 0, 0, time.UTC) // the 15th in UTC+8
	late, early := order("B1", "late", 1, night), order("B1", "early", 1, t0)
	moved := order("B1", "moved", 1, t0)
	again := moved
	again.Rev, again.Changed = 2, t0.AddDate(0, 0, 3)
	again.Facts.Entries = []fleet.Entry{{HisFlowID: "x", AmountFen: 1, BookedAt: ptr(t0.AddDate(0, 0, 3))}}
	if err := w.Store.Put(w.Ctx, hub.Batch{Orders: []hub.Order{late, early, moved}}); err != nil {
		return err
	}
	if err := w.Store.Put(w.Ctx, hub.Batch{Orders: []hub.Order{again}}); err != nil {
		return err
	}
	for _, c := range []struct {
		from, to time.Time
		want     []string
	}{
		{t0, t0, []string{"B1/early", "B1/moved"}}, {night, night, []string{"B1/late"}}, {t0.AddDate(0, 0, 3), t0.AddDate(0, 0, 3), []string{"B1/moved"}},
		{t0, t0.AddDate(0, 0, 3), []string{"B1/early", "B1/late", "B1/moved"}}, {t0.AddDate(0, 0, -5), t0.AddDate(0, 0, -1), nil}, {t0.AddDate(0, 0, 2), t0.AddDate(0, 0, 2), nil},
	} {
		got, err := w.byDay(c.from, c.to)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			return fmt.Errorf("from %v to %v: %v, wanted %v, %w", c.from, c.to, got, c.want, err)
		}
	}
	return nil
}

func caseWhole(w *World) error {
	bad := hub.Event{Site: "H1", Box: "B1", Stream: "orders", Epoch: "E", Seq: 1, Type: "t", Time: t0, Data: json.RawMessage(`{`)}
	if w.Store.Put(w.Ctx, hub.Batch{Orders: []hub.Order{order("B1", "1", 1, t0)}, Streams: []hub.Stream{{Site: "H1", Box: "B1", Name: "orders", Epoch: "E", Seq: 1}}, Events: []hub.Event{bad}}) == nil {
		return errors.New("an event that is no JSON was taken")
	}
	over, end := context.WithCancel(w.Ctx)
	end()
	if w.Store.Put(over, hub.Batch{Orders: []hub.Order{order("B1", "1", 1, t0)}}) == nil {
		return errors.New("a batch was written after its time")
	}
	got, err := w.byNo("", "1")
	if err != nil || len(got) != 0 {
		return fmt.Errorf("%d orders of a batch that failed, %w", len(got), err)
	}
	return w.Store.Read(w.Ctx, hub.Query{Streams: true}, func(hub.Item) error { return errors.New("a stream of a batch that failed") })
}

func casePersons(w *World) error {
	old, young, revived := order("B1", "old", 1, t0), order("B1", "young", 1, t0.AddDate(0, 0, 10)), order("B1", "revived", 1, t0)
	for _, o := range []*hub.Order{&old, &young, &revived} {
		o.Sealed, o.SealedIn = "c2VhbGVk", "E-1"
	}
	if err := w.Store.Put(w.Ctx, hub.Batch{Orders: []hub.Order{old, young, revived}}); err != nil {
		return err
	}
	again := order("B1", "revived", 2, t0.AddDate(0, 0, 10))
	if err := w.Store.Put(w.Ctx, hub.Batch{Orders: []hub.Order{again}}); err != nil {
		return err
	}
	check := func(want map[string]bool) error {
		for no, kept := range want {
			got, err := w.byNo("", no)
			if err != nil || len(got) != 1 || (got[0].Sealed != "") != kept || (got[0].SealedIn != "") != kept || len(got[0].Facts.Entries) != 1 {
				return fmt.Errorf("%s is not as it must be (sealed kept: %v), %w", no, kept, err)
			}
		}
		return nil
	}
	for _, step := range []struct {
		before time.Time
		want   map[string]bool
	}{
		{t0.AddDate(0, 0, -1), map[string]bool{"old": true, "young": true, "revived": true}},
		{t0.AddDate(0, 0, 5), map[string]bool{"old": false, "young": true, "revived": true}},
		{t0.AddDate(0, 0, 11), map[string]bool{"old": false, "young": false, "revived": false}},
	} {
		if err := w.Store.Put(w.Ctx, hub.Batch{ForgetPersons: step.before}); err != nil {
			return err
		}
		if err := check(step.want); err != nil {
			return err
		}
	}
	// A till that was away tells now what happened long ago.
	late := order("B1", "late", 1, t0)
	late.Sealed, late.SealedIn = "c2VhbGVk", "E-2"
	if err := w.Store.Put(w.Ctx, hub.Batch{Orders: []hub.Order{late}}); err != nil {
		return err
	}
	if err := w.Store.Put(w.Ctx, hub.Batch{ForgetPersons: t0.AddDate(0, 0, 12)}); err != nil {
		return err
	}
	return check(map[string]bool{"late": false})
}

func caseForget(w *World) error {
	b := hub.Batch{Orders: []hub.Order{order("B1", "old", 1, t0), order("B1", "young", 1, t0.AddDate(0, 0, 10))}}
	for i, at := range []time.Time{t0, t0.AddDate(0, 0, 10)} {
		b.Holes = append(b.Holes, hub.Hole{Site: "H1", Box: "B1", Name: "orders", Epoch: "E", From: uint64(i + 1), After: at, Before: at, Reason: "pruned"})
		b.Events = append(b.Events, hub.Event{Site: "H1", Box: "B1", Stream: "orders", Epoch: "E", Seq: uint64(i + 1), Type: "t", Time: at, Data: json.RawMessage(`{}`)})
	}
	if err := w.Store.Put(w.Ctx, b); err != nil {
		return err
	}
	if err := w.Store.Put(w.Ctx, hub.Batch{ForgetAll: t0.AddDate(0, 0, 5)}); err != nil {
		return err
	}
	got, err := w.byDay(t0.AddDate(0, 0, -1), t0.AddDate(0, 0, 20))
	if err != nil || !reflect.DeepEqual(got, []string{"B1/young"}) {
		return fmt.Errorf("kept %v, %w", got, err)
	}
	if old, err := w.byNo("", "old"); err != nil || len(old) != 0 {
		return fmt.Errorf("an order that was dropped is found by its number, %w", err)
	}
	holes := 0
	err = w.Store.Read(w.Ctx, hub.Query{Streams: true}, func(i hub.Item) error {
		if i.Hole != nil {
			holes++
		}
		return nil
	})
	if err != nil || holes != 1 {
		return fmt.Errorf("%d holes are left, %w", holes, err)
	}
	return nil
}

func (w *World) held(site string) (list []hub.Held, err error) {
	err = w.Store.Read(w.Ctx, hub.Query{Held: true, Site: site}, func(i hub.Item) error {
		list = append(list, *i.Held)
		return nil
	})
	return
}

func caseHeld(w *World) error {
	held := func(box string, seq uint64, at time.Time, raw string) hub.Held {
		return hub.Held{Site: "H1", Box: box, Stream: "orders", Epoch: "E", Seq: seq, At: at, Received: at.Add(time.Hour), Why: "a name", Raw: []byte(raw)}
	}
	odd := ` {"b":1,  "a":"\u0000","sealed":"c2VhbGVk"}`
	a, b, c := held("B1", 2, t0, odd), held("B1", 300, t0, odd), held("B2", 1, t0.AddDate(0, 0, 10), odd)
	if err := w.Store.Put(w.Ctx, hub.Batch{Held: []hub.Held{c, b, a}, Streams: []hub.Stream{{Site: "H1", Box: "B1", Name: "orders", Epoch: "E", Seq: 300, Last: t0, Until: t0}}}); err != nil {
		return err
	}
	if err := w.Reopen(); err != nil {
		return err
	}
	check := func(want ...hub.Held) error {
		got, err := w.held("H1")
		if err != nil || !reflect.DeepEqual(got, want) {
			return fmt.Errorf("%+v became %+v, %w", want, got, err)
		}
		return nil
	}
	if err := check(a, b, c); err != nil {
		return err
	}
	if other, err := w.held("H2"); err != nil || len(other) != 0 {
		return fmt.Errorf("another site has %d, %w", len(other), err)
	}
	for range 2 {
		if err := w.Store.Put(w.Ctx, hub.Batch{ForgetPersons: t0.AddDate(0, 0, 5)}); err != nil {
			return err
		}
	}
	a.Raw, b.Raw = []byte(`{"a":"\u0000","b":1}`), []byte(`{"a":"\u0000","b":1}`)
	if err := check(a, b, c); err != nil {
		return err
	}
	if err := w.Store.Put(w.Ctx, hub.Batch{Release: []hub.Held{{Site: "H1", Box: "B1", Stream: "orders", Epoch: "E", Seq: 2}}, Orders: []hub.Order{order("B1", "1", 1, t0)}}); err != nil {
		return err
	}
	if err := check(b, c); err != nil {
		return err
	}
	if err := w.Store.Put(w.Ctx, hub.Batch{ForgetAll: t0.AddDate(0, 0, 5)}); err != nil {
		return err
	}
	return check(c)
}

// caseAnyText: what HIS calls a booking is HIS's affair. JSON allows a zero
// character and half a surrogate pair; jsonb does not.
func caseAnyText(w *World) error {
	odd := order("B1", "odd", 1, t0)
	const text = "a\x00b\ufffd"
	f := &odd.Facts
	for _, at := range []*string{&f.State, &f.Booking, &f.Till, &f.Platform, &f.Merchant, &f.Channel, &f.OrderType, &f.CostType, &f.TradeNo, &f.Doubt,
		&f.Entries[0].HisFlowID, &f.Entries[0].RefundNo, &f.Refunds[0].RefundNo, &f.Refunds[0].State, &f.Refunds[0].Via} {
		*at = text
	}
	good := order("B2", "good", 1, t0)
	b := hub.Batch{Orders: []hub.Order{odd, good}}
	for i, data := range []string{`{"t":"a\u0000b"}`, `{"t":"\ud800"}`, `{"t":"\udc00\ud800x"}`, `{"\u0000":"\\u0000"}`, `null`, `"x"`, `1e400`} {
		b.Events = append(b.Events, hub.Event{Site: "H1", Box: "B1", Stream: "orders", Epoch: "E", Seq: uint64(i + 1), Type: text, Subject: text, Time: t0, Data: json.RawMessage(data)})
	}
	s := hub.Stream{Site: "H1", Box: "B1", Name: "orders", Epoch: "E", Seq: 7, Last: t0, Until: t0}
	b.Streams = []hub.Stream{s}
	for range 2 { // and what is there is read again for the next
		if err := w.Store.Put(w.Ctx, b); err != nil {
			return err
		}
	}
	if err := w.Reopen(); err != nil {
		return err
	}
	for _, want := range []hub.Order{odd, good} {
		got, err := w.byNo("H1", want.Facts.OutTradeNo)
		if err != nil || len(got) != 1 {
			return fmt.Errorf("%d orders, %w", len(got), err)
		}
		if err := same(want, got[0]); err != nil {
			return err
		}
	}
	n := 0
	err := w.Store.Read(w.Ctx, hub.Query{Streams: true}, func(i hub.Item) error {
		if i.Stream != nil && i.Stream.Seq == s.Seq {
			n++
		}
		return nil
	})
	if err != nil || n != 1 {
		return fmt.Errorf("%d streams, %w", n, err)
	}
	return nil
}

func caseStop(w *World) error {
	if err := w.Store.Put(w.Ctx, hub.Batch{Orders: []hub.Order{order("B1", "1", 1, t0), order("B2", "1", 1, t0)}}); err != nil {
		return err
	}
	enough, calls := errors.New("enough"), 0
	for _, q := range []hub.Query{{No: "1"}, {From: t0, To: t0}} {
		if err := w.Store.Read(w.Ctx, q, func(hub.Item) error { calls++; return enough }); !errors.Is(err, enough) {
			return fmt.Errorf("Read gave %w", err)
		}
	}
	if calls != 2 {
		return fmt.Errorf("yield was called %d times", calls)
	}
	return nil
}
