package pages

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"payagent/agent/access"
	"payagent/agent/agenttest"
	"payagent/agent/browsertest"
	"payagent/agent/config"
	"payagent/agent/door"
	"payagent/queue/mem"
)

// real is a whole agent behind a real door on a socket, with a bank in memory.
type real struct {
	t      *testing.T
	world  *agenttest.World
	server *httptest.Server
	tokens map[string]string
}

func newReal(t *testing.T) *real { return newRealWith(t, func(*config.Config) {}) }

func newRealWith(t *testing.T, change func(*config.Config)) *real {
	t.Helper()
	store, err := access.Open(filepath.Join(t.TempDir(), "tokens.json"), nil)
	if err != nil {
		t.Fatal(err)
	}
	r := &real{t: t, tokens: map[string]string{}}
	for name, x := range map[string]struct {
		till   string
		scopes []access.Scope
	}{
		"cashier": {agenttest.W1, []access.Scope{access.Collect, access.Refund}},
		"kiosk":   {agenttest.K1, []access.Scope{access.Collect, access.Screen}},
		"his":     {"", []access.Scope{access.Collect}},
		"desk":    {"", []access.Scope{access.Refund}},
		"head":    {"", []access.Scope{access.Refund, access.Resolve}},
		"finance": {"", []access.Scope{access.Resolve}},
	} {
		secret, err := store.Add(name, x.till, x.scopes, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		r.tokens[name] = secret.Reveal()
	}
	r.world = agenttest.Start(t, agenttest.Options{Log: mem.Open(&mem.Disk{}), Config: func(c *config.Config) {
		for i := range c.Platforms {
			// The real schedule, but nobody waits ten seconds for a button.
			c.Platforms[i].Policy.ManualAfter = 0
			c.Platforms[i].Policy.QueryEvery = time.Second
			c.Platforms[i].Policy.PresentEvery = time.Second
		}
		change(c)
	}})
	r.server = httptest.NewUnstartedServer(nil)
	r.server.Config.Handler = door.New(r.world.Agent, door.Options{Tokens: store, Version: "test", Pages: Handler(),
		Addresses: []string{r.server.Listener.Addr().String()}})
	r.server.Start()
	t.Cleanup(func() {
		r.server.CloseClientConnections()
		r.server.Close()
	})
	return r
}

// post asks for an order as HIS would.
func (r *real) post(token, key string, body map[string]any) map[string]any {
	r.t.Helper()
	return r.send(token, "/v1/orders", key, body)
}

func (r *real) send(token, path, key string, body map[string]any) map[string]any {
	r.t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		r.t.Fatal(err)
	}
	q, err := http.NewRequestWithContext(context.Background(), http.MethodPost, r.server.URL+path, bytes.NewReader(data))
	if err != nil {
		r.t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+r.tokens[token])
	q.Header.Set("Content-Type", "application/json")
	q.Header.Set("Idempotency-Key", key)
	a, err := r.server.Client().Do(q)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = a.Body.Close() }()
	got := map[string]any{}
	if err := json.NewDecoder(a.Body).Decode(&got); err != nil || a.StatusCode/100 != 2 {
		r.t.Fatalf("status %d: %v %v", a.StatusCode, err, got)
	}
	return got
}

// TestRealCounter takes a payment at the window with the real agent: form,
// wrong wallet, scan, cancel, second try, paid, search, refund.
func TestRealCounter(t *testing.T) {
	t.Parallel()
	r := newReal(t)
	b := browsertest.Open(t, browsertest.Start(t), r.server.URL+"/cashier#t="+r.tokens["cashier"]+"&bill=B1&amount_fen=12850&name=%E5%BC%A0%E4%B8%89%E4%B8%B0&card_no=C1&card_type=1", 1024, 768)
	b.Says("1号窗口")
	b.Says("测试")
	b.Wait(`document.querySelector('[data-channel="wechat"]')`)
	b.Key(kb.F2)
	b.Says("等待用户扫码")
	b.Says("张*丰")
	b.Says("不要收现金：请先撤销")
	r.world.Pads[agenttest.W1].Show("281234567890123456")
	b.Says("选择的是微信，扫到的是")
	r.world.Pads[agenttest.W1].Show("134567890123456789")
	b.Says("用户支付中")
	b.Says("仍未支付则自动撤销")
	b.Says("平台仍可能扣款")
	b.Wait(`document.querySelector('[data-act="cancel"]')`)
	b.Shot("real-paying")
	b.Key(kb.F8)
	b.Wait(`!document.querySelector("#order button:disabled")`)
	b.Key(kb.F9)
	b.Says("已受理撤销")
	b.Says("已撤销") // 15 s after the charge: the policy's earliest cancel
	b.Says("可以收现金")
	b.Shot("real-canceled")
	b.Key(kb.Enter)
	b.Says("同一账单重新收款")
	b.Key(kb.F2)
	b.Says("等待用户扫码")
	no := b.Text(`sessionStorage.getItem("pay.order")`)
	r.world.Banks[agenttest.Full].Pay(no)
	r.world.Pads[agenttest.W1].Show("134567890123456780")
	b.Says("支付成功")
	b.Ahead(8500)
	b.Wait(`!document.getElementById("form").hidden && document.getElementById("f_bill").value === ""`)

	b.Key(kb.F10)
	b.Wait(`document.activeElement.id === "s_value"`)
	b.Key("B1" + kb.Enter)
	b.Wait(`document.querySelectorAll("#s_list button").length === 2`)
	b.Key(kb.Enter) // the newest is first
	b.Says(no)
	b.Wait(`document.querySelector('[data-act="refund"]')`)
	b.Key(kb.F2)
	b.Wait(`document.activeElement.id === "r_sum"`)
	b.Key("28.50" + kb.Enter)
	b.Wait(`document.activeElement.id === "r_reason"`)
	b.Key("多收" + kb.Enter)
	b.Wait(`document.activeElement.id === "r_operator"`) // this page was opened without a name
	b.Key("1001" + kb.Enter)
	b.Says("退款成功")
	b.Says("28.50")
	b.Shot("real-refunded")
	if found := b.Leftovers("13456789012345678", "28123456789012345"); len(found) > 0 {
		t.Errorf("payment codes are on the page: %v", found)
	}
}

// TestRealKiosk shows the real QR code, and the result.
func TestRealKiosk(t *testing.T) {
	t.Parallel()
	r := newReal(t)
	chrome := browsertest.Start(t)
	b := browsertest.Open(t, chrome, r.server.URL+"/kiosk#t="+r.tokens["kiosk"]+"&till=k1", 1080, 1920)
	b.Says("请先选择要缴费的项目")
	for _, paid := range []bool{true, false} {
		key := map[bool]string{true: "k-1", false: "k-2"}[paid]
		o := r.post("kiosk", key, map[string]any{"bill": "K" + key, "amount_fen": 700, "mode": "present", "aggregated": true, "order_type": "TREATMENT", "till": "k1",
			"subject": "门诊缴费", "patient": map[string]any{"name": "张三丰", "card_no": "C1", "card_type": "1"}})
		no := o["out_trade_no"].(string)
		b.Wait(`document.querySelector(".qr img") && document.querySelector(".qr img").complete`)
		b.Says("张*丰")
		b.Says("7.00")
		if got := browsertest.Reads(b.Shot("real-qr")); got != "https://qr.invalid/"+no {
			t.Errorf("the code on the screen says %q", got)
		}
		if paid {
			r.world.Banks[agenttest.Full].Pay(no)
			b.Wait(`document.querySelector('[data-screen="paid"]')`)
		} else {
			b.Text(`(document.querySelector('[data-act="kCancel"]').click(), "")`)
			b.Wait(`!document.querySelector(".qr img")`)
			b.Wait(`document.querySelector('[data-screen="canceled"]')`)
		}
		if browsertest.Reads(b.Shot("real-end")) != "" {
			t.Error("the code is still on the screen")
		}
		b.Ahead(8500)
		b.Wait(`document.querySelector('[data-screen="idle"]')`)
		if found := b.Leftovers("张*丰", "7.00"); len(found) > 0 {
			t.Errorf("the page still holds %v", found)
		}
	}
}

// TestStandInHasTheDoorsForm: what the stand-in answers has only names that
// the door's description has, so that a page cannot pass its tests with fields
// that no door sends.
func TestStandInHasTheDoorsForm(t *testing.T) {
	var spec struct {
		Components struct {
			Schemas map[string]struct {
				Properties map[string]json.RawMessage `json:"properties"`
				Required   []string                   `json:"required"`
			} `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(door.OpenAPI(), &spec); err != nil {
		t.Fatal(err)
	}
	check := func(what, schema string, o object) {
		known := spec.Components.Schemas[schema].Properties
		if len(known) < 3 {
			t.Fatalf("the description has no %s", schema)
		}
		for k := range o {
			if _, ok := known[k]; !ok {
				t.Errorf("%s: the stand-in's %s has %q, the door's has not", what, schema, k)
			}
		}
	}
	s := newStand(t, "kiosk")
	for _, state := range []string{"waiting", "queued", "paying", "canceling", "in_doubt", "paid", "failed", "canceled"} {
		o := s.order(number, state, object{"cancel_in_s": 1, "acts_in_s": 1, "buttons_in_s": 1, "qr_expires_in_s": 1, "valid_for_s": 1, "cancel_action": "close"})
		check(state, "Order", o)
		check(state, "Safety", o["safe_to_take_cash"].(object))
		s.show(o)
		s.set(func() { s.till["note"] = s.note("code_old") })
		check(state, "Till", s.till)
	}
	check("booking", "Booking", s.booked("pending", nil)["booking"].(object))
	check("note", "Note", s.note("code_old"))
	check("problem", "Problem", s.problem("field_invalid", object{"field": "bill"}))
	check("capabilities", "Capabilities", s.capabilities())
	check("refund", "Refund", object{"refund_no": "", "amount_fen": 1, "state": "", "state_text": object{}})
	// And the names that the pages read are there.
	for schema, names := range map[string][]string{
		"Order": {"out_trade_no", "bill", "rev", "state", "state_text", "mode", "order_type", "amount_fen", "till", "channel", "operator", "trade_no", "paid_at",
			"paid_at_clock", "buyer", "cancel_requested", "cancel_in_s", "refunds", "refunded_fen", "refundable_fen", "platform_code", "platform_message",
			"booking", "foreign", "resolution", "safe_to_take_cash", "actions_allowed", "qr_expires_in_s", "valid_for_s", "buttons_in_s", "acts_in_s", "created_at", "age_ms", "aggregated", "detached", "message", "next_action", "patient_message"},
		"Till":         {"till", "title", "online", "queued", "test", "note", "patient", "order"},
		"Note":         {"patient", "cashier", "next_action"},
		"Problem":      {"code", "title", "detail", "next_action", "patient_message", "safe_to_take_cash", "field", "order"},
		"Refund":       {"refund_no", "amount_fen", "state", "state_text", "platform_message", "operator", "reason", "auto", "approved_by", "his_flow_id", "requested_at"},
		"Booking":      {"stage", "text", "his_flow_id", "reason", "prompt_in_s"},
		"Resolution":   {"state", "outcome", "refund_no", "trade_no", "evidence", "reason", "operator"},
		"Found":        {"status", "amount_fen", "refunded_fen", "refundable_fen", "channel", "paid_at", "merchant", "order_no", "trade_no", "order"},
		"Capabilities": {"test", "token", "tills", "merchants", "booking", "limits"},
		"Ready":        {"reasons"},
		"Orders":       {"orders"},
	} {
		for _, n := range names {
			if _, ok := spec.Components.Schemas[schema].Properties[n]; !ok {
				t.Errorf("the pages read %s of %s, which the door does not send", n, schema)
			}
		}
	}
}
