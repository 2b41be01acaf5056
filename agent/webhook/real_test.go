package webhook_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"payagent/agent"
	"payagent/agent/agenttest"
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
		Took: func(context.Context, *order.Order, []byte) error { return nil }, Age: func(at order.Instant) time.Duration { return a.Now().Age(at) }})
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
