package webhook_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent"
	"payagent/agent/agenttest"
	"payagent/agent/config"
	"payagent/agent/door"
	"payagent/agent/order"
	"payagent/agent/webhook"
	"payagent/platforms"
	"payagent/queue/mem"
	"payagent/uplink/https"
)

var secret = platforms.Hide("0123456789abcdef0123456789abcdef")

// hospital is a HIS on a socket, with TLS.
type hospital struct {
	server *httptest.Server
	mu     sync.Mutex
	status int
	body   string
	got    []map[string]any
	raw    []string
	news   chan struct{}
}

func newHospital(t *testing.T) *hospital {
	h := &hospital{status: http.StatusNoContent, news: make(chan struct{}, 64)}
	h.server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		at := r.Header.Get(webhook.HeaderTime)
		var e map[string]any
		if err != nil || json.Unmarshal(body, &e) != nil || r.Header.Get(webhook.HeaderSignature) != "v1="+webhook.Sign(secret, at, body) || r.URL.Path != "/events" || r.Method != http.MethodPost {
			t.Errorf("%s %s %v: %v %s", r.Method, r.URL, r.Header, err, body)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.got, h.raw = append(h.got, e), append(h.raw, string(body))
		w.WriteHeader(h.status)
		_, _ = io.WriteString(w, h.body)
		h.news <- struct{}{}
	}))
	t.Cleanup(h.server.Close)
	return h
}

func (h *hospital) answer(status int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status = status
}

// wait for the next call.
func (h *hospital) wait(t *testing.T) map[string]any {
	t.Helper()
	select {
	case <-h.news:
	case <-time.After(2 * time.Minute):
		t.Fatal("HIS was not called")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.got[len(h.got)-1]
}

// tell runs a deliverer between an agent and a HIS until stop.
func tell(t *testing.T, a *agent.Agent, log *mem.Log, h *hospital) (stop func()) {
	t.Helper()
	way, err := https.New(https.Config{BaseURL: h.server.URL, CAPEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.server.Certificate().Raw})})
	if err != nil {
		t.Fatal(err)
	}
	d := webhook.New(webhook.Options{Source: a, Notes: a, Cursors: log, Way: way, Reach: way.Reach, URL: h.server.URL + "/events", From: "/payagent/H1",
		Secrets: func() ([]platforms.Hidden, error) { return []platforms.Hidden{secret}, nil }, Show: door.Show(a),
		Took: door.TakeAnswer(a, slog.New(slog.DiscardHandler)), Link: func(up bool) { a.SetHisLink(context.Background(), up) }, Age: func(at order.Instant) time.Duration { return a.Now().Age(at) }})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := way.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// pay takes a payment and waits until it is paid.
func pay(t *testing.T, w *agenttest.World, bill, code string) string {
	t.Helper()
	r, err := w.Agent.Collect(t.Context(), agent.Request{Key: platforms.Hide("k" + bill), Body: platforms.Hide(bill), Bill: bill, Amount: 12850, Mode: platforms.ModeCharge,
		OrderType: "TREATMENT", Till: agenttest.W1, Channel: platforms.WeChat, Subject: "CANARYSUBJECT", Patient: platforms.Patient{Name: platforms.Hide("CANARYNAME"), CardNo: platforms.Hide("CANARYCARD")}})
	if err != nil || r.Order == nil {
		t.Fatal(err, r.Code)
	}
	w.Banks[agenttest.Full].Pay(r.Order.No)
	w.Pads[agenttest.W1].Show(code)
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	for o := r.Order; ; {
		if o.State() == order.Paid {
			return o.No
		}
		if o, err = w.Agent.Wait(ctx, o.No, o.Rev); err != nil || ctx.Err() != nil {
			t.Fatal("not paid:", err, o.State())
		}
	}
}

// TestRealAgent: payments of a real agent are told over TLS; the agent is
// killed while HIS is out of order, and the next start tells what is owed with
// the ids that HIS saw before, and nothing that concerns a patient.
func TestRealAgent(t *testing.T) {
	disk := &mem.Disk{}
	h := newHospital(t)
	log := mem.Open(disk)
	w := agenttest.Start(t, agenttest.Options{Log: log})
	stop := tell(t, w.Agent, log, h)
	first := pay(t, w, "A", "134567890123456781")
	told := h.wait(t)
	if told["type"] != "payagent.order.paid.v1" || told["subject"] != first || told["specversion"] != "1.0" {
		t.Fatalf("%v", told)
	}
	data, _ := told["data"].(map[string]any)
	if data["bill"] != "A" || data["state"] != "paid" || data["amount_fen"] != 12850.0 {
		t.Errorf("%v", data)
	}
	h.answer(http.StatusInternalServerError)
	second := pay(t, w, "B", "134567890123456782")
	refused := h.wait(t)
	if refused["subject"] != second {
		t.Fatalf("%v", refused)
	}
	crash := disk.Copy() // what a power cut would leave
	stop()
	w.Stop()

	h.answer(http.StatusOK)
	log = mem.Open(crash)
	w = agenttest.Start(t, agenttest.Options{Log: log})
	stop = tell(t, w.Agent, log, h)
	var ids []any
	for !slices.Contains(ids, refused["id"]) {
		ids = append(ids, h.wait(t)["id"])
	}
	third := pay(t, w, "C", "134567890123456783")
	for h.wait(t)["subject"] != third {
	}
	stop()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, body := range h.raw {
		if strings.Contains(body, "CANARY") || strings.Contains(body, "1345678901234567") {
			t.Errorf("told what is nobody's business: %s", body)
		}
	}
}

// TestBookedByAnswer: HIS books a payment in its answer to the event, and what
// it answers besides is no booking.
func TestBookedByAnswer(t *testing.T) {
	h := newHospital(t)
	log := mem.Open(&mem.Disk{})
	w := agenttest.Start(t, agenttest.Options{Log: log, Config: func(c *config.Config) { c.Booking.Expect = true }})
	tell(t, w.Agent, log, h)
	h.answer(http.StatusOK)
	h.mu.Lock()
	h.body = `{"code":0,"msg":"ok"}`
	h.mu.Unlock()
	first := pay(t, w, "A", "134567890123456781")
	h.wait(t)
	h.mu.Lock()
	h.body = `{"booking":{"result":"booked","his_flow_id":"SJ1","cost_type":"自费","medical_card":"CANARYCARD"}}`
	h.mu.Unlock()
	second := pay(t, w, "B", "134567890123456782")
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	for rev := 0; ; {
		o, err := w.Agent.Wait(ctx, second, rev)
		if err != nil || ctx.Err() != nil {
			t.Fatal("not booked:", err)
		}
		if rev = o.Rev; o.Booking != nil && o.Booking.State == order.BookBooked {
			if o.Booking.FlowID != "SJ1" || w.Agent.MedicalCard(o).Reveal() != "CANARYCARD" {
				t.Errorf("%+v", o.Booking)
			}
			break
		}
	}
	if o, err := w.Agent.Order(first); err != nil || o.Booking.State != order.BookPending {
		t.Errorf("an answer without a booking booked: %+v %v", o.Booking, err)
	}
}

// quiet is a HIS that takes every event, in the bubble's time, and books what a
// test wants.
type quiet struct {
	mu    sync.Mutex
	types []string
	books bool
	away  bool
}

func (q *quiet) RoundTrip(r *http.Request) (*http.Response, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var e struct{ Type, Subject string }
	if err := json.NewDecoder(r.Body).Decode(&e); err != nil || q.away {
		return nil, errors.New("no route")
	}
	q.types = append(q.types, e.Subject+" "+e.Type)
	body := `{}`
	if q.books && e.Type == "payagent.order.paid.v1" {
		body = `{"booking":{"result":"booked","his_flow_id":"F` + e.Subject + `"}}`
	}
	return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(body))}, nil
}

func (q *quiet) set(books, away bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.books, q.away = books, away
}

func (q *quiet) heard(no, kind string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Contains(q.types, no+" payagent.order."+kind+".v1")
}

// TestSilentHIS: at a kiosk with reverse_on_silence the money goes back only if
// this HIS has booked before, its link is up, and it was told first (decision
// 11); while HIS is away the money is held.
func TestSilentHIS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := mem.Open(&mem.Disk{})
		w := agenttest.Start(t, agenttest.Options{Log: log, Config: func(c *config.Config) {
			c.Booking.Expect = true
			for i := range c.Tills {
				c.Tills[i].ReverseOnSilence = c.Tills[i].Name == agenttest.K1
			}
		}})
		q := &quiet{books: true}
		d := webhook.New(webhook.Options{Source: w.Agent, Notes: w.Agent, Cursors: log, Way: q, URL: "https://his.example/", From: "/payagent/H1",
			Secrets: func() ([]platforms.Hidden, error) { return []platforms.Hidden{secret}, nil }, Show: door.Show(w.Agent),
			Took: door.TakeAnswer(w.Agent, slog.New(slog.DiscardHandler)), Link: func(up bool) { w.Agent.SetHisLink(context.Background(), up) },
			Age: func(at order.Instant) time.Duration { return w.Agent.Now().Age(at) }})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- d.Run(ctx) }()
		paid := func(bill string) string {
			t.Helper()
			r, err := w.Agent.Collect(t.Context(), agent.Request{Key: platforms.Hide(bill), Body: platforms.Hide(bill), Bill: bill, Amount: 700, Mode: platforms.ModePresent,
				OrderType: "TREATMENT", Till: agenttest.K1, Channel: platforms.WeChat, Subject: "x"})
			if err != nil || r.Order == nil {
				t.Fatal(err, r.Code)
			}
			w.Banks[agenttest.Full].Pay(r.Order.No)
			<-time.After(30 * time.Second)
			synctest.Wait()
			return r.Order.No
		}
		stage := func(no string) string {
			t.Helper()
			o, err := w.Agent.Order(no)
			if err != nil {
				t.Fatal(err)
			}
			return agent.BookStage(o)
		}
		first := paid("A")
		if stage(first) != "booked" {
			t.Fatalf("the first is %q", stage(first))
		}
		q.set(false, false)
		silent := paid("B")
		<-time.After(80 * time.Second)
		synctest.Wait()
		if !q.heard(silent, "paid") || !q.heard(silent, "unbooked") || stage(silent) != "pending_long" {
			t.Fatalf("%s %v", stage(silent), q.types)
		}
		<-time.After(3 * time.Minute)
		synctest.Wait()
		if !q.heard(silent, "reversing") || !q.heard(silent, "refund") || stage(silent) != "given_back" {
			t.Errorf("%s %v", stage(silent), q.types)
		}
		away := paid("C")
		q.set(false, true)
		<-time.After(30 * time.Minute)
		synctest.Wait()
		if s := stage(away); s != "pending_long" {
			t.Errorf("HIS is away and the money is %s", s)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		w.Stop()
	})
}
