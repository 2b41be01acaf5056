package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent"
	"payagent/agent/order"
	"payagent/platforms"
	"payagent/queue"
	"payagent/queue/mem"
)

// journal is a source of events that a test writes.
type journal struct {
	mu     sync.Mutex
	list   []agent.Event
	first  uint64
	change chan struct{}
	done   chan struct{}
}

func newJournal() *journal {
	return &journal{first: 1, change: make(chan struct{}), done: make(chan struct{})}
}

// paid writes that an order of a bill was paid, and gives its number.
func (j *journal) paid(bill string) string {
	j.mu.Lock()
	defer j.mu.Unlock()
	no := fmt.Sprintf("N%04d", len(j.list)+1)
	o := &order.Order{No: no, Created: order.Created{Bill: bill}, Outcome: order.Paid, Rev: 3}
	j.list = append(j.list, agent.Event{Seq: uint64(len(j.list) + 1), Order: o, At: order.Instant{Wall: time.Now().UnixMilli(), Mono: time.Duration(time.Now().UnixNano())}})
	close(j.change)
	j.change = make(chan struct{})
	return no
}

func (j *journal) prune(first uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.first = first
}

func (j *journal) Events(seq uint64, limit int) ([]agent.Event, uint64, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var out []agent.Event
	for _, e := range j.list {
		if e.Seq > seq && e.Seq >= j.first && len(out) < limit {
			out = append(out, e)
		}
	}
	return out, j.first, nil
}

func (j *journal) LastEvent() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return uint64(len(j.list))
}

func (j *journal) Changed() <-chan struct{} {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.change
}

func (j *journal) Done() <-chan struct{} { return j.done }

// notes keep threads in memory, as the agent does in its log.
type notes struct {
	mu   sync.Mutex
	list map[string][]agent.Note
	done map[string]bool
}

func (n *notes) NoteIn(_ context.Context, thread string, done bool, kind string, _ []string, v any) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	data, err := json.Marshal(v)
	n.list[thread], n.done[thread] = append(n.list[thread], agent.Note{Kind: kind, Data: data}), done
	return err
}

func (n *notes) Thread(thread string) ([]agent.Note, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.list[thread], nil
}

func (n *notes) OpenThreads() ([]string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []string
	for name := range n.list {
		if !n.done[name] {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out, nil
}

// call is one call that HIS got.
type call struct {
	at       time.Time
	id, kind string
	no       string
	bill     string
	repeated bool
	attempt  string
}

// his is a HIS whose mood a test decides.
type his struct {
	t     *testing.T
	mu    sync.Mutex
	mood  func(call) (status int, answer string, err error)
	calls []call
	took  []call
}

var key = platforms.Hide("a key that both sides know")

func (h *his) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		h.t.Error(err)
	}
	var e struct {
		SpecVersion, ID, Source, Type, Subject, Time, Sequence string
		Data                                                   struct{ Bill string }
	}
	if err := json.Unmarshal(body, &e); err != nil {
		h.t.Error(err)
	}
	if want := "v1=" + Sign(key, r.Header.Get(HeaderTime), body); r.Header.Get(HeaderSignature) != want {
		h.t.Errorf("signature %s, want %s", r.Header.Get(HeaderSignature), want)
	}
	if at, err := strconv.ParseInt(r.Header.Get(HeaderTime), 10, 64); err != nil || at != time.Now().Unix() {
		h.t.Errorf("timestamp %s", r.Header.Get(HeaderTime))
	}
	if e.SpecVersion != "1.0" || e.Source != "/payagent/H1" || r.Header.Get("Content-Type") != "application/cloudevents+json; charset=utf-8" || !r.Close {
		h.t.Errorf("not the event agreed: %s %v", body, r.Header)
	}
	c := call{at: time.Now(), id: e.ID, kind: e.Type, no: e.Subject, bill: e.Data.Bill, repeated: r.Header.Get(HeaderRepeated) == "true", attempt: r.Header.Get(HeaderAttempt)}
	h.mu.Lock()
	mood := h.mood
	h.calls = append(h.calls, c)
	h.mu.Unlock()
	status, answer, err := 204, "", error(nil)
	if mood != nil {
		status, answer, err = mood(c)
	}
	if status == 0 && err == nil { // hangs
		<-r.Context().Done()
		err = r.Context().Err()
	}
	if err != nil {
		return nil, err
	}
	if status/100 == 2 {
		h.mu.Lock()
		h.took = append(h.took, c)
		h.mu.Unlock()
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(answer))}, nil
}

func (h *his) set(mood func(call) (int, string, error)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mood = mood
}

// taken lists what HIS took; called how often it was called.
func (h *his) taken() []call {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.took)
}

func (h *his) called() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.calls)
}

// forget empties the list of what HIS took.
func (h *his) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.took = nil
}

// numbers lists the orders that HIS took events of, in order.
func numbers(list []call) []string {
	var out []string
	for _, c := range list {
		out = append(out, c.no)
	}
	return out
}

// rig is a deliverer between a journal and a HIS.
type rig struct {
	t      *testing.T
	j      *journal
	his    *his
	log    *mem.Log
	notes  *notes
	mu     sync.Mutex
	links  []bool
	alarms []string
	took   func(*order.Order, []byte) error
	stop   func()
}

func newRig(t *testing.T) *rig {
	return &rig{t: t, j: newJournal(), his: &his{t: t}, log: mem.Open(&mem.Disk{}),
		notes: &notes{list: map[string][]agent.Note{}, done: map[string]bool{}}}
}

func (r *rig) start(change ...func(*Options)) *Deliverer {
	o := Options{Source: r.j, Cursors: r.log, Notes: r.notes, Way: r.his, URL: "https://his.example/events", From: "/payagent/H1",
		Secrets: func() ([]platforms.Hidden, error) { return []platforms.Hidden{key}, nil },
		Show:    func(o *order.Order) any { return map[string]string{"bill": o.Bill} },
		Took: func(_ context.Context, o *order.Order, answer []byte) error {
			if r.took == nil {
				return nil
			}
			return r.took(o, answer)
		},
		Age: func(at order.Instant) time.Duration { return time.Duration(time.Now().UnixNano()) - at.Mono },
		Link: func(up bool) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.links = append(r.links, up)
		},
		Alarm: func(code string) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.alarms = append(r.alarms, code)
		}}
	for _, f := range change {
		f(&o)
	}
	d := New(o)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			r.t.Error(err)
		}
	})
	return d
}

// linked lists what was said of the link, alarmed the alarms.
func (r *rig) linked() []bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.links)
}

func (r *rig) alarmed() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.alarms)
}

func (r *rig) settle(d time.Duration) {
	time.Sleep(d) // the bubble's time
	synctest.Wait()
}

func (r *rig) want(list []call, want ...string) {
	r.t.Helper()
	if got := numbers(list); !slices.Equal(got, want) {
		r.t.Fatalf("HIS has %v, want %v", got, want)
	}
}

func (r *rig) cursor() uint64 {
	r.t.Helper()
	at, err := r.log.Cursor(cursorName)
	if err != nil {
		r.t.Fatal(err)
	}
	return uint64(at)
}

func TestToldInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		a1, a2 := r.j.paid("A"), r.j.paid("A")
		r.start()
		r.settle(time.Second)
		b1 := r.j.paid("B")
		r.settle(0)
		r.want(r.his.taken(), a1, a2, b1)
		if c := r.his.taken()[0]; c.kind != "payagent.order.paid.v1" || c.bill != "A" || c.attempt != "1" || !c.repeated {
			t.Errorf("%+v; an event from before the start may have been told", c)
		}
		if c := r.his.taken()[2]; c.repeated {
			t.Errorf("%+v is told for the first time", c)
		}
		r.settle(saveEvery)
		if r.cursor() != 3 {
			t.Errorf("the cursor is at %d", r.cursor())
		}
		r.stop()
		if !slices.Equal(r.linked(), []bool{true}) {
			t.Errorf("link %v", r.linked())
		}
		r.start()
		r.settle(time.Hour)
		r.stop()
		r.want(r.his.taken(), a1, a2, b1)
	})
}

// TestAwayForEightHours: nothing is lost, nothing floods, and all is told in
// order when HIS is back.
func TestAwayForEightHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.his.mood = func(call) (int, string, error) { return 0, "", errors.New("connection refused") }
		d := r.start()
		byBill := map[string][]string{}
		for i := range 1000 {
			bill := fmt.Sprintf("B%d", i%300)
			byBill[bill] = append(byBill[bill], r.j.paid(bill))
			r.settle(8 * time.Hour / 1000)
		}
		if n := r.his.called(); n > 70 || n < 45 {
			t.Errorf("%d calls in eight hours; the pauses are to grow to ten minutes", n)
		}
		if !slices.Equal(r.alarmed(), []string{AlarmCode}) || !slices.Equal(r.linked(), []bool{false}) {
			t.Errorf("alarms %v, links %v", r.alarmed(), r.linked())
		}
		if r.cursor() != 0 {
			t.Errorf("the cursor passed what HIS never took: %d", r.cursor())
		}
		var page bytes.Buffer
		if err := d.WriteMetrics(&page); err != nil || !strings.Contains(page.String(), "payagent_his_webhook_waiting 256\n") || !strings.Contains(page.String(), "payagent_his_webhook_up 0\n") {
			t.Errorf("%v\n%s", err, page.String())
		}
		r.his.set(nil)
		r.settle(longPause)
		got := map[string][]string{}
		ids := map[string]bool{}
		for _, c := range r.his.taken() {
			got[c.bill] = append(got[c.bill], c.no)
			if ids[c.id] {
				t.Errorf("%s was told twice without need", c.id)
			}
			ids[c.id] = true
		}
		for bill, want := range byBill {
			if !slices.Equal(got[bill], want) {
				t.Errorf("bill %s: %v, want %v", bill, got[bill], want)
			}
		}
		if !slices.Equal(r.linked(), []bool{false, true}) {
			t.Errorf("links %v", r.linked())
		}
		r.settle(saveEvery)
		if r.cursor() != 1000 {
			t.Errorf("the cursor is at %d", r.cursor())
		}
		r.stop()
	})
}

// TestOneBillRefused: others hardly wait for a bill that HIS does not take,
// also when it does not answer for it at all; the bill is tried on for ever,
// over restarts, and in order.
func TestOneBillRefused(t *testing.T) {
	for name, status := range map[string]int{"refused": 500, "hangs": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				bad := func(c call) (int, string, error) {
					if c.bill == "BAD" {
						return status, "", nil
					}
					return 200, "", nil
				}
				r.his.set(bad)
				r.start()
				wants := []string{r.j.paid("BAD")}
				written := map[string]time.Time{}
				for i := range 1000 {
					written[r.j.paid(fmt.Sprintf("B%d", i))] = time.Now()
					if i == 900 {
						wants = append(wants, r.j.paid("BAD"))
					}
					r.settle(5 * time.Second)
				}
				for _, c := range r.his.taken() {
					if wait := c.at.Sub(written[c.no]); wait > callTimeout+firstPause {
						t.Errorf("%s waited %s for another bill", c.no, wait)
					}
				}
				if len(r.his.taken()) != 1000 {
					t.Fatalf("HIS took %d events of 1000", len(r.his.taken()))
				}
				if r.cursor() < 900 {
					t.Errorf("the cursor stays at %d because of one bill", r.cursor())
				}
				open, err := r.notes.OpenThreads()
				if err != nil || !slices.Equal(open, []string{asideName(1), asideName(903)}) {
					t.Errorf("set aside: %v %v", open, err)
				}
				before := r.his.called()
				r.settle(24 * time.Hour)
				if n := r.his.called() - before; n < 130 || n > 150 {
					t.Errorf("%d calls in a day for the bill that is refused; want one in ten minutes", n)
				}
				r.stop()
				r.his.forget()
				r.start()
				r.settle(time.Minute)
				wants = append(wants, r.j.paid("BAD"))
				r.settle(time.Hour)
				if len(r.his.taken()) != 0 {
					t.Fatalf("HIS took %v", numbers(r.his.taken()))
				}
				r.his.set(nil)
				r.settle(longPause + callTimeout)
				r.want(r.his.taken(), wants...)
				if open, err := r.notes.OpenThreads(); err != nil || len(open) != 0 {
					t.Errorf("still set aside: %v %v", open, err)
				}
				r.stop()
				r.start()
				r.settle(time.Hour)
				r.stop()
				r.want(r.his.taken(), wants...)
			})
		})
	}
}

// TestNewBillIsNotHeldUp: a single bill that HIS refused for hours is no proof
// that HIS is away; the next bill is told at once.
func TestNewBillIsNotHeldUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.his.set(func(c call) (int, string, error) {
			if c.bill == "BAD" {
				return 409, "", nil
			}
			return 200, "", nil
		})
		r.start()
		r.j.paid("BAD")
		r.settle(3 * time.Hour)
		if !slices.Equal(r.linked(), []bool{false}) {
			t.Errorf("links %v; nothing is taken", r.linked())
		}
		good := r.j.paid("GOOD")
		r.settle(time.Second)
		r.want(r.his.taken(), good)
		r.stop()
	})
}

// TestKilled: a start after a kill repeats what the cursor had not passed, with
// the same ids, and marks it.
func TestKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var want []string
		for range 5 {
			want = append(want, r.j.paid("A"))
		}
		hold := make(chan struct{})
		r.his.set(func(c call) (int, string, error) {
			if c.no == want[3] {
				<-hold
			}
			return 200, "", nil
		})
		r.start()
		r.settle(time.Second)
		first := r.his.taken()
		r.want(first, want[:3]...)
		// The first deliverer hangs in its fourth call and never writes its
		// cursor again, as a process that was killed.
		killed := r.stop
		r.his.set(nil)
		r.his.forget()
		r.start()
		r.settle(time.Second)
		r.want(r.his.taken(), want[1:]...) // the cursor was written behind the first
		for i, c := range first[1:] {
			if again := r.his.taken()[i]; again.id != c.id || !again.repeated {
				t.Errorf("told as %s and then as %+v", c.id, again)
			}
		}
		r.stop()
		close(hold)
		killed()
	})
}

// TestGap: what was pruned before it was told is told as a gap, and what is
// kept is told.
func TestGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		for range 10 {
			r.j.paid("A")
		}
		r.j.prune(8)
		r.start()
		r.settle(time.Second)
		r.stop()
		if len(r.his.taken()) != 4 || r.his.taken()[0].kind != "payagent.gap.v1" || r.his.taken()[0].id != "evt_gap_1_7" {
			t.Fatalf("%+v", r.his.taken())
		}
		r.want(r.his.taken()[1:], "N0008", "N0009", "N0010")
		if r.cursor() != 10 {
			t.Errorf("the cursor is at %d", r.cursor())
		}
	})
}

// TestAnswer: what HIS answered is handed on; where it could not be used yet
// the event is told again.
func TestAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		no := r.j.paid("A")
		r.his.set(func(call) (int, string, error) { return 200, `{"booking":{}}`, nil })
		var got []string
		r.took = func(o *order.Order, answer []byte) error {
			got = append(got, o.No+string(answer))
			if len(got) == 1 {
				return errors.New("the agent is stopping")
			}
			return nil
		}
		r.start()
		r.settle(firstPause)
		r.stop()
		if want := no + `{"booking":{}}`; !slices.Equal(got, []string{want, want}) {
			t.Errorf("%q", got)
		}
		if r.his.taken()[0].id != r.his.taken()[1].id || r.his.taken()[1].attempt != "2" {
			t.Errorf("%+v", r.his.taken())
		}
	})
}

// TestReach: while nothing is to be told the link is looked at.
func TestReach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var away atomic.Bool
		r.start(func(o *Options) {
			o.Reach = func(context.Context) error {
				if away.Load() {
					return errors.New("refused")
				}
				return nil
			}
		})
		r.settle(time.Second)
		away.Store(true)
		r.settle(reachEvery)
		away.Store(false)
		r.settle(reachEvery)
		r.stop()
		if !slices.Equal(r.linked(), []bool{true, false, true}) {
			t.Errorf("links %v", r.linked())
		}
	})
}

// failing is a store that stops.
type failing struct {
	queue.Log
}

func (failing) SetCursor(string, queue.Seq) error { return queue.ErrStopped }

func TestStoreStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.j.paid("A")
		d := New(Options{Source: r.j, Cursors: failing{r.log}, Notes: r.notes, Way: r.his, URL: "https://his.example/", From: "/payagent/H1",
			Secrets: func() ([]platforms.Hidden, error) { return []platforms.Hidden{key}, nil },
			Show:    func(*order.Order) any { return nil }, Age: func(order.Instant) time.Duration { return 0 }})
		if err := d.Run(t.Context()); !errors.Is(err, queue.ErrStopped) {
			t.Errorf("%v", err)
		}
	})
}

// TestSign holds the signature to a vector that was worked out by other means
// (openssl dgst -sha256 -hmac), so that HIS programmers can rely on it.
func TestSign(t *testing.T) {
	if got := Sign(platforms.Hide("secret"), "1773451613", []byte(`{"id":"evt_1"}`)); got != "1a28cf053b31c1fb1b430b2affa3627ee663cd4d5870e53101551eec20975098" {
		t.Error(got)
	}
}
