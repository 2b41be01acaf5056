package hub_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"payagent/agent/fleet"
	"payagent/agent/fleet/hub"
	"payagent/agent/fleet/hub/boltstore"
	"payagent/agent/fleet/sealed"
	"payagent/agent/reconcile"
	"payagent/platforms"
	"payagent/uplink"
	"payagent/uplink/uplinktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a hub over a broker in memory, and boxes that speak as real ones do.
type rig struct {
	t      *testing.T
	broker *uplinktest.Broker
	file   string
	cfg    hub.Config
	key    sealed.Private
	public sealed.Public

	mu   sync.Mutex
	time time.Time

	hub   *hub.Hub
	store *failing
	stop  func()
}

// failing is a store whose writes fail on demand.
type failing struct {
	hub.Store
	mu   sync.Mutex
	fail bool
}

func (f *failing) Put(ctx context.Context, b hub.Batch) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail {
		return errors.New("no space left on device")
	}
	return f.Store.Put(ctx, b)
}

func (f *failing) set(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = on
}

var noon = time.Date(2026, 3, 14, 4, 0, 0, 0, time.UTC)

func newRig(t *testing.T, tune func(*hub.Config)) *rig {
	t.Helper()
	key, err := sealed.NewPrivate()
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, broker: uplinktest.NewBroker(), file: filepath.Join(t.TempDir(), "hub.db"), key: key, public: key.Public(), time: noon}
	r.cfg = hub.Config{Root: "p", Sites: []string{"H1"}, Key: key, PersonDays: 35, KeepDays: 400, Now: r.now, Free: func() (int64, error) { return 4096, nil }}
	if tune != nil {
		tune(&r.cfg)
	}
	t.Cleanup(r.broker.Close)
	r.start()
	t.Cleanup(func() { r.stop() })
	return r
}

func (r *rig) now() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.time
}

func (r *rig) at(t time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.time = t
}

func (r *rig) start() {
	r.t.Helper()
	s, err := boltstore.Open(r.file)
	if err != nil {
		r.t.Fatal(err)
	}
	r.store = &failing{Store: s}
	bus := r.broker.Bus("hub", nil)
	if r.hub, err = hub.New(r.cfg, r.store, bus); err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.hub.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Error(err)
		}
		bus.Close()
		s.Close()
	})
	r.until("the hub listens", func() bool { return r.hub.Health().OK })
}

// box is a box that sends events.
type box struct {
	r    *rig
	name string
	bus  uplink.Bus
	acks chan fleet.Ack
	prev uint64
}

func (r *rig) box(name string) *box {
	r.t.Helper()
	b := &box{r: r, name: name, bus: r.broker.Bus(name, nil), acks: make(chan fleet.Ack, 1000)}
	if _, err := b.bus.Subscribe("p/H1/"+name+"/ack/orders", func(m uplink.Message) {
		var a fleet.Ack
		if json.Unmarshal(m.Payload, &a) == nil {
			b.acks <- a
		}
	}); err != nil {
		r.t.Fatal(err)
	}
	return b
}

func (b *box) send(e fleet.Event) {
	b.r.t.Helper()
	data, err := json.Marshal(e)
	if err != nil {
		b.r.t.Fatal(err)
	}
	b.raw(data)
}

// raw sends whatever it is as a message of events.
func (b *box) raw(data []byte) {
	b.r.t.Helper()
	ctx, cancel := context.WithTimeout(b.r.t.Context(), time.Minute)
	defer cancel()
	if err := b.bus.Publish(ctx, uplink.Message{Topic: "p/H1/" + b.name + "/e/orders", Payload: data}); err != nil {
		b.r.t.Fatal(err)
	}
}

func (b *box) event(epoch string, seq, prev uint64, o fleet.Order, who sealed.Person) fleet.Event {
	b.r.t.Helper()
	data, err := json.Marshal(fleet.OrderData{Order: o, Rev: int(seq)})
	if err != nil {
		b.r.t.Fatal(err)
	}
	e := fleet.Event{SpecVersion: "1.0", ID: fmt.Sprintf("%s-%d", epoch, seq), Source: "/payagent/H1/" + b.name, Type: "payagent.order.paid.v1",
		Subject: o.OutTradeNo, Time: b.r.now(), ContentType: "application/json", Epoch: epoch, Sequence: seq, Previous: prev, Data: data}
	sealer, err := b.r.public.Sealer(fleet.Place{Root: "p", Site: "H1", Box: b.name})
	if err != nil {
		b.r.t.Fatal(err)
	}
	if e.Sealed, err = sealer.Seal(e.ID, who); err != nil {
		b.r.t.Fatal(err)
	}
	return e
}

// acked waits for an acknowledgement.
func (b *box) acked(epoch string, seq uint64) {
	b.r.t.Helper()
	guard := time.After(time.Minute)
	for {
		select {
		case a := <-b.acks:
			if a.Epoch == epoch && a.Seq == seq {
				return
			}
		case <-guard:
			b.r.t.Fatalf("%s was never told that %s-%d is here; the broker saw %v", b.name, epoch, seq, b.r.broker.Accepted("p/H1/+/ack/#"))
		}
	}
}

// quiet says that nothing waits.
func (b *box) quiet() {
	b.r.t.Helper()
	b.status(fleet.Status{State: fleet.StateReady, At: b.r.now(), BootID: "boot", Seq: 1, Every: 60})
}

func (b *box) status(s fleet.Status) {
	b.r.t.Helper()
	data, err := json.Marshal(s)
	if err != nil {
		b.r.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(b.r.t.Context(), time.Minute)
	defer cancel()
	if err := b.bus.Publish(ctx, uplink.Message{Topic: "p/H1/" + b.name + "/status", Payload: data, Retain: true}); err != nil {
		b.r.t.Fatal(err)
	}
	// The hub takes messages in one after the other: when it has answered to
	// what comes behind the status, the status is in.
	before := b.r.refused()
	if err := b.bus.Publish(ctx, uplink.Message{Topic: "p/H1/fence/status", Payload: []byte("{")}); err != nil {
		b.r.t.Fatal(err)
	}
	b.r.until("the status was taken in", func() bool { return b.r.refused() > before })
}

func ptr(t time.Time) *time.Time { return &t }

// paid is an order that HIS booked.
func paid(no string, at time.Time, fen int64) fleet.Order {
	return fleet.Order{OutTradeNo: no, State: "paid", AmountFen: fen, Platform: "fwc", Merchant: "m", Channel: "wechat", TradeNo: "T" + no, CostType: "自费",
		CreatedAt: ptr(at), EndedAt: ptr(at), PaidAt: ptr(at), Booking: "booked", Entries: []fleet.Entry{{HisFlowID: "SF" + no, AmountFen: fen, BookedAt: ptr(at)}}}
}

var zhang = sealed.Person{Name: platforms.Hide("张三"), CardNo: platforms.Hide("C001"), MedicalCard: platforms.Hide("M001")}

// list asks for a span.
func (r *rig) list(from, to time.Time) (out []string, err error) {
	err = r.hub.Books("H1").Trades(r.t.Context(), platforms.TradeQuery{From: from, To: to}, func(t platforms.Trade) error {
		sign := "+"
		if t.Refunded {
			sign = "-"
		}
		out = append(out, fmt.Sprintf("%s %s%d %s %s", t.OutTradeNo, sign, t.Amount, t.PatientName.Reveal(), t.CardNo.Reveal()))
		return nil
	})
	return out, err
}

// TestHospital: what two tills did is one list with the patients' names, in
// order; what one gave back of the other's is in it; nothing readable of a
// patient is on disk.
func TestHospital(t *testing.T) {
	r := newRig(t, nil)
	a, b := r.box("A"), r.box("B")
	a.send(a.event("E", 3, 0, paid("1", noon, 100), zhang))
	a.send(a.event("E", 9, 3, paid("2", noon.Add(2*time.Minute), 200), sealed.Person{}))
	a.acked("E", 9)
	foreign := paid("1", noon, 100)
	foreign.Foreign = true
	foreign.Entries = []fleet.Entry{{HisFlowID: "RF1", RefundNo: "R1", AmountFen: -30, BookedAt: ptr(noon.Add(time.Minute))}}
	foreign.Refunds = []fleet.Refund{{RefundNo: "R1", AmountFen: 30, State: "done", EndedAt: ptr(noon.Add(time.Minute))}}
	b.send(b.event("F", 1, 0, foreign, zhang))
	b.acked("F", 1)
	r.at(noon.Add(time.Hour))
	a.quiet()
	b.quiet()
	got, err := r.list(noon, noon.Add(time.Hour))
	want := []string{"1 +100 张三 C001", "1 -30 张三 C001", "2 +200  "}
	if err != nil || strings.Join(got, "|") != strings.Join(want, "|") {
		t.Fatalf("%q, wanted %q, %v", got, want, err)
	}
	o, err := r.hub.Books("H1").Order(t.Context(), "1")
	if err != nil || len(o.Entries) != 2 || o.Entries[1].Amount != -30 || o.MedicalCard.Reveal() != "M001" || o.TradeNo != "T1" {
		t.Errorf("%+v %v", o, err)
	}
	if _, err := r.hub.Books("H1").Order(t.Context(), "9"); !errors.Is(err, platforms.ErrNoOrder) {
		t.Error(err)
	}
	if _, err := r.hub.Books("H2").Order(t.Context(), "1"); err == nil {
		t.Error("another hospital sees the order")
	}
	r.stop()
	if data := readFile(t, r.file); strings.Contains(data, "张三") || strings.Contains(data, "C001") || strings.Contains(data, "M001") {
		t.Error("the hub's file shows a patient")
	}
}

// TestAcknowledgedIsDurable: repetitions are acknowledged and change nothing, a
// gap is never acknowledged over, and after the hub died everything that it
// acknowledged is there.
func TestAcknowledgedIsDurable(t *testing.T) {
	r := newRig(t, nil)
	a := r.box("A")
	first, second, third := a.event("E", 1, 0, paid("1", noon, 1), zhang), a.event("E", 5, 1, paid("2", noon, 2), zhang), a.event("E", 6, 5, paid("3", noon, 3), zhang)
	a.send(third)
	a.acked("E", 0) // it is told that nothing is here
	a.send(first)
	a.acked("E", 1)
	a.send(third)
	a.acked("E", 1)
	a.quiet()
	if _, err := r.list(noon, noon); err == nil {
		t.Error("a list with a gap in it was answered")
	}
	a.send(second)
	a.send(second)
	a.send(third)
	a.acked("E", 6)
	r.stop()
	r.start()
	a.acked("E", 6) // said again at the start
	a.quiet()
	if got, err := r.list(noon, noon); err != nil || len(got) != 3 {
		t.Errorf("%q %v", got, err)
	}
}

// TestIncomplete: a till that is silent, was never heard, lost its store or
// pruned facts makes the span incomplete, and only that span.
func TestIncomplete(t *testing.T) {
	r := newRig(t, func(c *hub.Config) {
		c.Boxes = []string{"H1/A", "H1/B"}
		c.Accepted = []hub.Accepted{{Box: "H1/A", Day: "2026-03-20", Why: "new disk"}}
	})
	a := r.box("A")
	reasons := func(from, to time.Time) string {
		var out []string
		for _, m := range r.hub.Missing("H1", from, to) {
			out = append(out, m.Box+" "+m.Reason)
		}
		return strings.Join(out, ", ")
	}
	a.send(a.event("E", 1, 0, paid("1", noon, 1), zhang))
	a.acked("E", 1)
	if got := reasons(noon, noon); got != "H1/A silent, H1/B never_heard" {
		t.Error(got)
	}
	b := r.box("B")
	b.quiet()
	a.status(fleet.Status{State: fleet.StateReady, At: noon, BootID: "x", Seq: 1, Every: 60, Waiting: 1})
	if got := reasons(noon, noon); got != "H1/A behind" {
		t.Error("with something waiting:", got)
	}
	r.at(noon.Add(4 * time.Minute))
	if got := reasons(noon, noon); got != "H1/A silent" {
		t.Error("with something waiting, and not heard any more:", got)
	}
	r.at(noon)
	a.quiet()
	if got := reasons(noon, noon); got != "" {
		t.Error(got)
	}
	// The next day: silent until heard, also after a good-bye.
	r.at(noon.AddDate(0, 0, 1))
	b.quiet()
	a.status(fleet.Status{State: fleet.StateGone, At: noon.Add(time.Hour), BootID: "boot", Seq: 1})
	if got := reasons(noon.AddDate(0, 0, 1), noon.AddDate(0, 0, 1)); got != "H1/A silent" {
		t.Error(got)
	}
	if got := reasons(noon, noon.Add(time.Hour)); got != "" {
		t.Error("the day before:", got)
	}
	// A gap event, then a new store.
	gap := a.event("E", 20, 1, fleet.Order{}, sealed.Person{})
	gap.Type, gap.Data = fleet.TypeGap, json.RawMessage(`{"from":2,"to":19,"reason":"pruned"}`)
	a.send(gap)
	a.acked("E", 20)
	a.quiet()
	if got := reasons(noon, noon); got != "H1/A pruned" {
		t.Error(got)
	}
	r.at(noon.AddDate(0, 0, 5))
	b.quiet()
	a.quiet()
	if got := reasons(noon.AddDate(0, 0, 5), noon.AddDate(0, 0, 5)); got != "" {
		t.Error("days after the gap:", got)
	}
	r.at(noon.AddDate(0, 0, 6))
	a.send(a.event("NEW", 1, 0, paid("9", noon.AddDate(0, 0, 6), 1), zhang))
	a.acked("NEW", 1)
	a.quiet()
	b.quiet()
	// From what the old store was known to be complete for to the new one's first event.
	if got := reasons(noon.AddDate(0, 0, 5).Add(time.Hour), noon.AddDate(0, 0, 5).Add(2*time.Hour)); got != "H1/A new_store" {
		t.Error(got)
	}
	if got := reasons(noon.AddDate(0, 0, 4), noon.AddDate(0, 0, 4)); got != "" {
		t.Error("a time that the old store was known to be complete for:", got)
	}
	if got := reasons(noon.AddDate(0, 0, 6).Add(-time.Hour), noon.AddDate(0, 0, 6)); got != "" {
		t.Error("an accepted day:", got)
	}
}

// TestFirstMinute: a box that is heard for the first time is not called never
// heard because it has not said yet that nothing waits; a list waits for that.
func TestFirstMinute(t *testing.T) {
	r := newRig(t, func(c *hub.Config) { c.Boxes = []string{"H1/A"} })
	a := r.box("A")
	reason := func() string {
		var out []string
		for _, m := range r.hub.Missing("H1", noon, noon) {
			out = append(out, m.Reason)
		}
		return strings.Join(out, ", ")
	}
	if got := reason(); got != "never_heard" {
		t.Error("before it came:", got)
	}
	a.status(fleet.Status{State: fleet.StateInit, At: noon, BootID: "boot", Seq: 1, Every: 60, Waiting: 3})
	if got := reason(); got != "behind" {
		t.Error("when it came:", got)
	}
	if _, err := r.list(noon, noon); err == nil || !strings.Contains(err.Error(), "H1/A behind") {
		t.Error("a list was answered meanwhile:", err)
	}
	a.status(fleet.Status{State: fleet.StateLost, At: noon, BootID: "boot", Seq: 1, Every: 60, Waiting: 3})
	if got := reason(); got != "silent" {
		t.Error("it went without having told anything:", got)
	}
	a.quiet()
	if got := reason(); got != "" {
		t.Error("when all is told:", got)
	}
}

// TestNewHub: to a hub that is new a box tells again what it still has; what
// was pruned leaves a hole up to the first event that is left, not up to now.
func TestNewHub(t *testing.T) {
	r := newRig(t, nil)
	a := r.box("A")
	r.at(noon.AddDate(0, 0, 9))
	a.send(a.event("E", 90, 80, paid("9", noon.AddDate(0, 0, 9), 1), zhang))
	a.acked("E", 0)
	gap := a.event("E", 49, 0, fleet.Order{}, sealed.Person{})
	gap.Type, gap.Data = fleet.TypeGap, json.RawMessage(`{"from":1,"to":49,"reason":"pruned"}`)
	a.send(gap)
	old := a.event("E", 50, 49, paid("5", noon, 1), zhang)
	old.Time = noon
	a.send(old)
	a.acked("E", 50)
	a.quiet()
	if _, err := r.list(noon.AddDate(0, 0, -1), noon.AddDate(0, 0, -1)); err == nil {
		t.Error("days of which everything was pruned were answered")
	}
	if got, err := r.list(noon.Add(time.Second), noon.AddDate(0, 0, 9)); err != nil || len(got) != 0 {
		t.Errorf("days after the hole: %q %v", got, err)
	}
}

// TestFullStore: what cannot be written is not acknowledged, and is told.
func TestFullStore(t *testing.T) {
	r := newRig(t, nil)
	a := r.box("A")
	a.send(a.event("E", 1, 0, paid("1", noon, 1), zhang))
	a.acked("E", 1)
	r.store.set(true)
	a.send(a.event("E", 2, 1, paid("2", noon, 1), zhang))
	r.until("the trouble is told", func() bool { return !r.hub.Health().OK })
	if page := r.metrics(); !strings.Contains(page, "\npayfleet_hub_store_up 0\n") || !strings.Contains(page, "\npayfleet_hub_broker_up 1\n") || !strings.Contains(page, "\npayfleet_hub_disk_free_bytes 4096\n") {
		t.Error(page)
	}
	r.store.set(false)
	a.acked("E", 1) // the hub has looked at its disk: begin anew behind it
	a.send(a.event("E", 2, 1, paid("2", noon, 1), zhang))
	a.acked("E", 2)
	if h := r.hub.Health(); !h.OK || !strings.Contains(r.metrics(), "\npayfleet_hub_store_up 1\n") {
		t.Error(h)
	}
}

// TestForeignEvents: an event of another box, or none at all, is refused and
// stops nobody.
func TestForeignEvents(t *testing.T) {
	r := newRig(t, nil)
	a := r.box("A")
	for i, spoil := range []func(*fleet.Event){
		func(e *fleet.Event) { e.Source = "/payagent/H1/B" }, func(e *fleet.Event) { e.ID = "other" }, func(e *fleet.Event) { e.Previous = 7 },
		func(e *fleet.Event) { e.Epoch = "" }, func(e *fleet.Event) { e.Data = json.RawMessage(`{}`) },
	} {
		e := a.event("E", 1, 0, paid("1", noon, 1), zhang)
		spoil(&e)
		a.send(e)
		r.until("the event was refused", func() bool { return r.refused() == i+1 })
	}
	a.send(a.event("E", 1, 0, paid("1", noon, 1), zhang))
	a.acked("E", 1)
}

// batch is what a box sends where several events wait.
func (b *box) batch(list ...any) []byte {
	b.r.t.Helper()
	data, err := json.Marshal(list)
	if err != nil {
		b.r.t.Fatal(err)
	}
	return data
}

// TestBatch: a batch is taken in as one, and again without effect; an event in
// it that is ill costs its neighbours nothing.
func TestBatch(t *testing.T) {
	r := newRig(t, func(c *hub.Config) { c.Accepted = []hub.Accepted{{Box: "H1/A", Day: "2026-03-14"}} }) // lists are answered without what cannot be read
	a := r.box("A")
	at := func(seq, prev uint64) fleet.Event {
		return a.event("E", seq, prev, paid(fmt.Sprintf("%02d", seq), noon, int64(seq)), zhang)
	}
	has := func(want string) {
		t.Helper()
		r.at(noon.Add(time.Hour))
		a.quiet()
		list, err := r.list(noon, noon)
		var got []string
		for _, line := range list {
			no, _, _ := strings.Cut(line, " ")
			got = append(got, no)
		}
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("the hub has %q, not %q (%v)", got, want, err)
		}
	}
	a.raw(a.batch(at(1, 0), at(2, 1), at(3, 2)))
	a.acked("E", 3)
	a.raw(a.batch(at(2, 1), at(3, 2), at(4, 3)))
	a.acked("E", 4)
	has("01 02 03 04")
	foreign := at(9, 5)
	foreign.Source = "/payagent/H1/B"
	a.raw(a.batch(at(5, 4), foreign, map[string]int{"a": 1}, at(6, 5)))
	a.acked("E", 6) // what is none of the box's does not stand between its events
	newer := at(8, 7)
	newer.Data = json.RawMessage(`{"order":{"out_trade_no":"8","unheard_of":1},"rev":8}`)
	a.raw(a.batch(at(7, 6), newer, at(9, 8)))
	a.acked("E", 9) // what cannot be read is kept aside, and what follows it comes in
	has("01 02 03 04 05 06 07 09")
	if held, err := r.hub.Quarantine(t.Context()); err != nil || len(held) != 1 || held[0].Seq != 8 {
		t.Errorf("%+v %v", held, err)
	}
	cut := a.batch(at(10, 9), at(11, 10), at(12, 11))
	a.raw(cut[:len(cut)-10])
	a.acked("E", 11)
	a.raw([]byte("[]"))
	a.raw(a.batch(at(12, 11)))
	a.acked("E", 12)
	has("01 02 03 04 05 06 07 09 10 11 12")
}

// TestDay: the day's comparison over all tills finds what a statement has
// beyond the books, and says what the hub itself lacks.
func TestDay(t *testing.T) {
	r := newRig(t, nil)
	a, b := r.box("A"), r.box("B")
	a.send(a.event("E", 1, 0, paid("1", noon, 100), zhang))
	a.acked("E", 1)
	unbooked := paid("2", noon, 200)
	unbooked.Entries, unbooked.Booking = nil, "pending"
	b.send(b.event("F", 1, 0, unbooked, zhang))
	b.acked("F", 1)
	r.at(noon.AddDate(0, 0, 1))
	a.quiet()
	statement, err := reconcile.Parse(strings.NewReader("out_trade_no,type,amount_fen,time\n1,paid,100,2026-03-14 12:00:00\n2,paid,200,2026-03-14 12:00:00\n3,paid,50,2026-03-14 12:00:00\n"))
	if err != nil {
		t.Fatal(err)
	}
	classes := map[string]reconcile.Class{}
	totals, missing, err := r.hub.Reconcile(t.Context(), hub.DayOptions{Site: "H1", Options: reconcile.Options{Day: noon, Statement: statement}}, func(x reconcile.Row) error {
		classes[x.No] = x.Class
		return nil
	})
	if err != nil || classes["1"] != reconcile.Equal || classes["2"] != reconcile.Long || classes["3"] != reconcile.Long || totals.Orders != 3 {
		t.Errorf("%v %+v %v", classes, totals, err)
	}
	if len(missing) != 1 || missing[0].Box != "H1/B" {
		t.Error("what the hub lacks:", missing)
	}
}
