package his_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"payagent/agent/cmd/paysim/internal/doortest"
	"payagent/agent/cmd/paysim/internal/his"
	"payagent/platforms"
)

// clerkRig is a clerk at work for a stand-in of the door.
type clerkRig struct {
	t     *testing.T
	door  *doortest.Door
	c     *his.Client
	clerk *his.Clerk
	path  string
	rests chan time.Duration // how long the clerk wants to wait
	on    chan struct{}      // lets one wait end
	stop  func()
}

func newClerk(t *testing.T, d *doortest.Door, path string, conduct his.Conduct) *clerkRig {
	t.Helper()
	c, token := client(t, d)
	if err := os.WriteFile(token, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	books, err := his.OpenBooks(path)
	if err != nil {
		t.Fatal(err)
	}
	r := &clerkRig{t: t, door: d, c: c, path: path, rests: make(chan time.Duration, 100), on: make(chan struct{})}
	r.clerk = his.NewClerk(c, books, fixed, func(ctx context.Context, d time.Duration) error {
		r.rests <- d
		select {
		case <-r.on:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	if conduct.Manner != "" {
		if err := r.clerk.Behave(conduct); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { r.clerk.Run(ctx); close(done) }()
	r.stop = func() {
		cancel()
		<-done
		if err := books.Close(); err != nil {
			t.Error(err)
		}
	}
	return r
}

func (r *clerkRig) paid(bill string) string {
	r.t.Helper()
	a, err := r.c.Create(r.t.Context(), his.NewKey(), his.Order{Bill: bill, AmountFen: 1234, Mode: "charge", Till: "counter1"})
	seen, ok := a.Order()
	if err != nil || !ok {
		r.t.Fatal(err, a)
	}
	r.door.Pay()
	return seen.OutTradeNo
}

// until looks at the books until they fit; a minute is far more than it takes.
func (r *clerkRig) until(what string, fit func([]his.Entry) bool) {
	r.t.Helper()
	for end := time.Now().Add(time.Minute); !fit(r.clerk.Books().List()); <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("%s: %+v", what, r.clerk.Books().List())
		}
	}
}

// said gives the bodies of the bookings that arrived.
func (r *clerkRig) said() []his.Booking {
	r.t.Helper()
	var list []his.Booking
	for _, c := range r.door.Calls() {
		if strings.HasSuffix(c.Path, "/booking") && c.Method == http.MethodPost {
			var b his.Booking
			if err := json.Unmarshal([]byte(c.Body), &b); err != nil {
				r.t.Fatal(err)
			}
			list = append(list, b)
		}
	}
	return list
}

func TestTheClerkBooksWhatIsPaidAndGivenBack(t *testing.T) {
	r := newClerk(t, &doortest.Door{}, filepath.Join(t.TempDir(), "his.jsonl"), his.Conduct{})
	no := r.paid("B1")
	r.until("the payment", func(l []his.Entry) bool { return len(l) == 1 && l[0].Told == "done" })
	r.door.GiveBack(no, "R9", 200)
	r.until("the refund", func(l []his.Entry) bool { return len(l) == 2 && l[1].Told == "done" })
	l := r.clerk.Books().List()
	if l[0].FlowID != "HF"+no || l[0].AmountFen != 1234 || l[0].Bill != "B1" || l[1].AmountFen != -200 || l[1].RefundNo != "R9" || l[0].FlowID == l[1].FlowID {
		t.Errorf("%+v", l)
	}
	if s := r.said(); len(s) != 2 || s[0].Result != his.Booked || s[0].RefundNo != "" || s[1].RefundNo != "R9" || s[1].FlowID != l[1].FlowID {
		t.Errorf("%+v", s)
	}
	r.stop()
	// A clerk that starts anew reads its books and books nothing twice.
	again, err := his.OpenBooks(r.path)
	if err != nil || len(again.List()) != 2 || !slices.Equal(again.List(), l) {
		t.Fatalf("%v %+v", err, again)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	two := newClerk(t, r.door, r.path, his.Conduct{})
	two.paid("B2")
	two.until("the next payment", func(l []his.Entry) bool { return len(l) == 3 && l[2].Told == "done" })
	if s := two.said(); len(s) != 3 {
		t.Errorf("%+v", s)
	}
	two.stop()
}

func TestTheAgentGoesAwayBeforeItAnswers(t *testing.T) {
	var lost atomic.Int32
	r := newClerk(t, &doortest.Door{Break: func(_ int, c doortest.Call) doortest.Break {
		if strings.HasSuffix(c.Path, "/booking") && lost.Add(1) <= 2 {
			return doortest.After
		}
		return doortest.Nothing
	}}, "", his.Conduct{})
	defer r.stop()
	r.paid("B1")
	for range 2 {
		<-r.rests
		if l := r.clerk.Books().List(); len(l) != 1 || l[0].Told != "" {
			t.Errorf("%+v", l)
		}
		r.on <- struct{}{}
	}
	r.until("the third attempt", func(l []his.Entry) bool { return len(l) == 1 && l[0].Told == "done" })
	for _, b := range r.said() {
		if b.FlowID != r.said()[0].FlowID {
			t.Errorf("a booking was repeated under another number: %+v", r.said())
		}
	}
}

func TestManners(t *testing.T) {
	t.Run("late", func(t *testing.T) {
		r := newClerk(t, &doortest.Door{}, "", his.Conduct{Manner: his.Late, LateS: 75})
		defer r.stop()
		r.paid("B1")
		if d := <-r.rests; d != 75*time.Second || len(r.said()) != 0 {
			t.Errorf("%v %+v", d, r.said())
		}
		r.on <- struct{}{}
		r.until("the booking", func(l []his.Entry) bool { return len(l) == 1 && l[0].Told == "done" })
	})
	t.Run("too late", func(t *testing.T) {
		r := newClerk(t, &doortest.Door{}, "", his.Conduct{Manner: his.Late, LateS: 75})
		defer r.stop()
		no := r.paid("B1")
		<-r.rests
		r.door.GiveBack(no, "RV1", 1234)
		r.on <- struct{}{}
		r.until("the refusal", func(l []his.Entry) bool { return len(l) == 1 && l[0].Told == "booking_late" && l[0].Struck })
	})
	t.Run("fail", func(t *testing.T) {
		r := newClerk(t, &doortest.Door{}, "", his.Conduct{Manner: his.Fails})
		defer r.stop()
		r.paid("B1")
		for end := time.Now().Add(time.Minute); len(r.said()) == 0 && time.Now().Before(end); {
			<-time.After(time.Millisecond)
		}
		// What is paid afterwards, in another manner, shows that the first was over.
		if err := r.clerk.Behave(his.Conduct{Manner: his.Prompt}); err != nil {
			t.Fatal(err)
		}
		r.paid("B2")
		r.until("the other", func(l []his.Entry) bool { return len(l) == 1 && l[0].Bill == "B2" && l[0].Told == "done" })
		if s := r.said(); len(s) != 2 || s[0].Result != his.Failed || s[0].Reason == "" || s[0].FlowID != "" {
			t.Errorf("%+v", s)
		}
	})
	t.Run("silent", func(t *testing.T) {
		r := newClerk(t, &doortest.Door{}, "", his.Conduct{Manner: his.Silent})
		defer r.stop()
		r.paid("B1")
		a, err := r.c.Bill(t.Context(), "B1")
		if err != nil || !a.OK() || len(r.said()) != 0 {
			t.Errorf("%v %+v", err, r.said())
		}
	})
	t.Run("twice", func(t *testing.T) {
		r := newClerk(t, &doortest.Door{}, "", his.Conduct{Manner: his.Twice})
		defer r.stop()
		r.paid("B1")
		for end := time.Now().Add(time.Minute); len(r.said()) < 2 && time.Now().Before(end); {
			<-time.After(time.Millisecond)
		}
		if s := r.said(); len(s) != 2 || s[0].FlowID == s[1].FlowID || len(r.clerk.Books().List()) != 1 {
			t.Errorf("%+v", s)
		}
	})
	r := newClerk(t, &doortest.Door{}, "", his.Conduct{})
	defer r.stop()
	for _, bad := range []his.Conduct{{Manner: "nicely"}, {Manner: his.Late, LateS: -1}, {Manner: his.Late, LateS: 3601}, {}} {
		if r.clerk.Behave(bad) == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
	if c := r.clerk.Conduct(); c.Manner != his.Prompt {
		t.Errorf("%+v", c)
	}
}

// A line that was cut short when the power went never happened; the books go
// on behind the last whole one.
func TestBooksWithADamagedTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "his.jsonl")
	b, err := his.OpenBooks(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, no := range []string{"A", "B"} {
		if err := b.Put(his.Entry{FlowID: "HF" + no, OrderNo: no, AmountFen: 1}); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text[:len(text)-9], 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err = his.OpenBooks(path); err != nil || len(b.List()) != 1 {
		t.Fatal(err, b)
	}
	if err := b.Put(his.Entry{FlowID: "HFC", OrderNo: "C"}); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if b, err = his.OpenBooks(path); err != nil || len(b.List()) != 2 || b.List()[1].OrderNo != "C" {
		t.Fatal(err, b.List())
	}
	_ = b.Close()
}

func TestCompare(t *testing.T) {
	paid := func(fen, back platforms.Fen, booking string) his.Seen {
		s := his.Seen{State: "paid", AmountFen: fen, RefundedFen: back}
		s.Booking.State = booking
		return s
	}
	rows := his.Compare(
		map[string]platforms.Fen{"A": 100, "B": 100, "C": 0, "D": 70, "E": 50, "G": 0},
		map[string]his.Seen{"A": paid(100, 0, "booked"), "B": paid(100, 0, "none"), "C": {State: "canceled", AmountFen: 100}, "D": paid(100, 30, "booked"), "E": {State: "failed", AmountFen: 50}},
		[]his.Entry{{FlowID: "1", OrderNo: "A", AmountFen: 100}, {FlowID: "2", OrderNo: "D", AmountFen: 100}, {FlowID: "3", OrderNo: "D", RefundNo: "R", AmountFen: -30},
			{FlowID: "4", OrderNo: "F", AmountFen: 10}, {FlowID: "5", OrderNo: "E", AmountFen: 50}, {FlowID: "6", OrderNo: "G", AmountFen: 5, Struck: true}})
	want := map[string]his.Class{"A": his.Equal, "B": his.Long, "C": his.Equal, "D": his.Equal, "E": his.Differs, "F": his.Short, "G": his.Equal}
	if len(rows) != len(want) {
		t.Fatalf("%+v", rows)
	}
	for i, r := range rows {
		if r.Class != want[r.OrderNo] || i > 0 && rows[i-1].OrderNo > r.OrderNo {
			t.Errorf("%+v", r)
		}
	}
}
