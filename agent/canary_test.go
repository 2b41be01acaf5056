package agent_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent/access"
	"payagent/agent/door"
	"payagent/agent/order"
	"payagent/agent/timeline"
	"payagent/platforms"
	"payagent/platforms/bank"
)

// The canaries: what must be seen in no sink (SEC-03, invariant I12). The
// payment codes follow from them, see canaryCode.
const (
	canaryName      = "司马金丝雀"
	canaryCard      = "CARD7788CANARY5566"
	canaryAdmission = "ADM4711CANARY42"
	canaryPhone     = "13977665544"
	canarySubject   = "秘密检查项目"
	canaryMemo      = "remember the canary"
	canaryGoods     = "金丝雀素片"
	canaryToken     = "fwc-token-CANARY-0f1e2d3c"
	canaryKey       = "idempotency-CANARY-9b8a"
)

// canaryCode is a payment code; the amount alone says what happens with it.
func canaryCode(n int) string { return fmt.Sprintf("1377553311%08d", 44220000+n) }

// forms gives the ways in which a secret could hide in a sink.
func forms(secret string) map[string]string {
	quoted, _ := json.Marshal(secret)
	f := map[string]string{
		"as it is": secret, "in hex": hex.EncodeToString([]byte(secret)), "in HEX": strings.ToUpper(hex.EncodeToString([]byte(secret))),
		"in a URL": url.QueryEscape(secret), "in a path": url.PathEscape(secret), "in Go": strings.Trim(strconv.QuoteToASCII(secret), `"`),
		"in JSON": strings.Trim(string(quoted), `"`),
	}
	for lead := range 3 { // base64 looks different at each of three places
		text := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", lead) + secret))
		text = text[[]int{0, 2, 3}[lead] : len(text)-4]
		f[fmt.Sprint("in base64 at ", lead)] = text
		f[fmt.Sprint("in URL base64 at ", lead)] = strings.NewReplacer("+", "-", "/", "_").Replace(text)
	}
	return f
}

// leaks lists the secrets that a sink holds.
func leaks(sink []byte, secrets map[string]string) []string {
	var found []string
	for name, secret := range secrets {
		for how, form := range forms(secret) {
			if bytes.Contains(sink, []byte(form)) {
				found = append(found, name+" "+how)
			}
		}
	}
	return found
}

func TestLeaksAreFound(t *testing.T) {
	secrets := map[string]string{"name": canaryName, "code": canaryCode(1)}
	for _, secret := range secrets {
		for how, form := range forms(secret) {
			if len(leaks([]byte("before "+form+" after"), secrets)) == 0 {
				t.Errorf("%s is not found", how)
			}
		}
		for lead := range 5 {
			b := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("{", lead) + secret + "\"}"))
			if len(leaks([]byte(b), secrets)) == 0 {
				t.Errorf("base64 after %d bytes is not found", lead)
			}
		}
	}
	if got := leaks([]byte("nothing here"), secrets); got != nil {
		t.Error(got)
	}
}

// panicking checks tokens, and fails inside on demand.
type panicking struct {
	*access.Store
	now bool
}

func (p *panicking) Check(presented platforms.Hidden) (access.Token, bool) {
	if p.now {
		p.now = false
		panic("cannot check " + presented.Reveal() + " of " + canaryName)
	}
	return p.Store.Check(presented)
}

// office is a HIS that talks to the door and keeps every answer.
type office struct {
	r       *rig
	door    http.Handler
	tokens  *panicking
	bearer  string
	answers bytes.Buffer
	n       int
}

func newOffice(r *rig) *office {
	r.t.Helper()
	store, err := access.Open(filepath.Join(r.dir, "tokens.json"), nil)
	if err != nil {
		r.t.Fatal(err)
	}
	o := &office{r: r, tokens: &panicking{Store: store}}
	secret, err := store.Add("his", "", []access.Scope{access.Collect, access.Refund, access.Admin}, time.Now())
	if err != nil {
		r.t.Fatal(err)
	}
	o.bearer = secret.Reveal()
	o.reopen()
	return o
}

// reopen puts the door in front of the agent that runs now.
func (o *office) reopen() {
	o.door = door.New(o.r.agent, door.Options{Tokens: o.tokens, Version: "canary", Logger: o.r.logger, Addresses: []string{"127.0.0.1:8780"}})
}

// call makes one request and gives the answer's body.
func (o *office) call(method, path string, body any) map[string]any {
	o.r.t.Helper()
	var data []byte
	if body != nil {
		data, _ = json.Marshal(body)
	}
	ctx, stop := context.WithTimeout(context.Background(), 5*time.Second)
	defer stop()
	q := httptest.NewRequestWithContext(ctx, method, "http://127.0.0.1:8780"+path, bytes.NewReader(data))
	q.Header.Set("Authorization", "Bearer "+o.bearer)
	if body != nil {
		o.n++
		q.Header.Set("Content-Type", "application/json")
		q.Header.Set("Idempotency-Key", canaryKey+strconv.Itoa(o.n))
	}
	rec := httptest.NewRecorder()
	o.door.ServeHTTP(rec, q)
	synctest.Wait()
	fmt.Fprintf(&o.answers, "%s %s: %d\n%v\n%s\n", method, path, rec.Code, rec.Header(), rec.Body)
	var m map[string]any
	_ = json.Unmarshal(rec.Body.Bytes(), &m)
	return m
}

func (o *office) bill(till string, amount int, more map[string]any) map[string]any {
	m := map[string]any{"bill": fmt.Sprintf("BILL-%d-%d", amount, o.n), "amount_fen": amount, "mode": "charge", "order_type": "TREATMENT",
		"subject": canarySubject, "memo": canaryMemo, "till": till,
		"patient": map[string]any{"name": canaryName, "card_no": canaryCard, "card_type": "medical_card",
			"admission_no": canaryAdmission, "phone": canaryPhone},
		"operator": map[string]any{"id": "1001", "name": "王收费"},
		"details":  []any{map[string]any{"goods_id": "1", "goods_name": canaryGoods, "price_fen": 100, "quantity": "1"}}}
	if till == kioskTill {
		m["mode"], m["channel"] = "present", "wechat"
	}
	for k, v := range more {
		m[k] = v
	}
	return m
}

// TestCanaries lets every flow and every error happen with secrets in every
// field, and then looks into every sink for them.
func TestCanaries(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		o := newOffice(r)
		var numbers, codes []string
		charge := func(till string, amount int, faults ...bank.Fault) string {
			platform := map[string]string{smartTill: "smartpay", fwcTill: "fwc"}[till]
			for _, f := range faults {
				r.ctl[platform].Inject(bank.OpCharge, f)
			}
			code := canaryCode(len(codes))
			codes = append(codes, code)
			got := o.call("POST", "/v1/orders", o.bill(till, amount, nil))
			no, _ := got["out_trade_no"].(string)
			if no == "" {
				t.Fatal(got)
			}
			numbers = append(numbers, no)
			r.scan(till, code)
			o.call("GET", "/v1/tills/"+till, nil)
			o.call("GET", "/v1/orders/"+no, nil)
			return no
		}
		for _, till := range []string{smartTill, fwcTill} {
			charge(till, 1200)
			for _, f := range []bank.Fault{bank.Leak, bank.LoseReply, bank.Garbage, bank.HTML200, bank.HTTP500, bank.HalfReply,
				bank.WrongAmount, bank.WrongOrder, bank.OddStatus, bank.IsSuccess2, bank.Empty, bank.Redirect} {
				no := charge(till, 1200, f)
				r.pass(6 * s)
				o.call("POST", "/v1/orders/"+no+"/check", map[string]any{})
				o.call("POST", "/v1/orders/"+no+"/cancel", map[string]any{"operator": map[string]any{"id": "2", "name": "李"}, "reason": "test"})
				o.call("POST", "/v1/orders/"+no+"/detach", map[string]any{})
			}
		}
		r.pass(2 * time.Minute)
		paid := charge(fwcTill, 5000)
		o.call("POST", "/v1/orders/"+paid+"/refunds", map[string]any{"amount_fen": 100, "operator": map[string]any{"id": "2", "name": "李"}, "reason": "test"})
		o.call("POST", "/v1/orders", o.bill(kioskTill, 900, nil))
		o.call("POST", "/v1/orders", o.bill(smartTill, 1200, map[string]any{"auth_code": canaryCode(800)}))
		codes = append(codes, canaryCode(800))
		// Errors: fields of the wrong kind, too long, unknown, and no sense.
		o.call("POST", "/v1/orders", o.bill(smartTill, 1200, map[string]any{"patient": canaryName}))
		o.call("POST", "/v1/orders", o.bill(smartTill, 1200, map[string]any{"patient": map[string]any{canaryCard: canaryName, "name": strings.Repeat(canaryName, 100)}}))
		o.call("POST", "/v1/orders", o.bill(smartTill, 1200, map[string]any{"amount_fen": canaryCode(801)}))
		o.call("POST", "/v1/orders", o.bill(smartTill, 1200, map[string]any{"memo": canaryMemo + "\x01"}))
		o.call("POST", "/v1/orders", canaryName)
		o.call("POST", "/v1/orders", o.bill(fwcTill, 1200, map[string]any{"auth_code": canaryName}))
		codes = append(codes, canaryCode(801))
		o.tokens.now = true
		o.call("POST", "/v1/orders", o.bill(smartTill, 1200, nil))
		// A refused token, and one that is renewed.
		r.token.Store("something else")
		r.pass(70 * s)
		o.call("POST", "/v1/orders", o.bill(fwcTill, 1200, nil))
		r.token.Store(canaryToken)
		r.pass(70 * s)
		// A scan at the wrong time.
		r.scan(kioskTill, canaryCode(802))
		codes = append(codes, canaryCode(802))
		r.restart()
		o.reopen()
		r.pass(10 * time.Minute)
		for _, path := range []string{"/healthz", "/readyz", "/metrics", "/v1/capabilities", "/v1/alarms", "/v1/events?after=0",
			"/v1/orders?bill=BILL-1200-0", "/v1/orders/" + paid, "/v1/orders/" + paid + "/refunds", "/v1/orders/" + paid + "/timeline"} {
			o.call("GET", path, nil)
		}
		if !strings.Contains(o.answers.String(), `"internal"`) || !strings.Contains(r.logged(), "a request failed inside") {
			t.Fatal("the door did not fail inside")
		}
		r.lookForCanaries(o, numbers, codes)
		r.forgets(paid)
	}, func(r *rig) {
		r.token.Store(canaryToken)
		r.writeToken(canaryToken)
	})
}

// lookForCanaries searches every sink.
func (r *rig) lookForCanaries(o *office, numbers, codes []string) {
	t := r.t
	secrets := map[string]string{"name": canaryName, "card": canaryCard, "admission number": canaryAdmission, "phone": canaryPhone,
		"subject": canarySubject, "memo": canaryMemo, "goods": canaryGoods, "token": canaryToken, "key": canaryKey, "bearer": o.bearer}
	for i, code := range codes {
		secrets["code "+strconv.Itoa(i)] = code
	}
	sinks := map[string][]byte{"the log": []byte(r.logged()), "the door's answers": o.answers.Bytes()}
	for path, data := range r.files() {
		if filepath.Base(path) != "fwc.token" { // this one is where the token lives
			sinks[strings.TrimPrefix(path, r.dir)] = data
		}
	}
	events, _, err := r.agent.Events(0, 10000)
	if err != nil || len(events) < 50 {
		t.Fatal(len(events), err)
	}
	for _, e := range events {
		text, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		sinks["the events"] = append(sinks["the events"], fmt.Sprintf("%s %+v %#v\n", text, e.Order, e.Order)...)
	}
	for _, no := range numbers {
		facts, err := r.agent.Facts(no)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := json.Marshal(facts)
		sinks["the facts"] = append(sinks["the facts"], text...)
		sinks["the timelines"] = append(sinks["the timelines"], timeline.Text(timeline.Of(facts))...)
	}
	var metrics bytes.Buffer
	if err := r.agent.WriteMetrics(&metrics, "canary"); err != nil {
		t.Fatal(err)
	}
	sinks["the metrics"] = metrics.Bytes()
	for _, till := range r.cfg.Tills {
		v, _ := r.agent.View(till.Name)
		sinks["the screens"] = append(sinks["the screens"], fmt.Sprintf("%+v %#v %+v", v, v, v.Order)...)
	}
	sinks["the alarms"] = fmt.Appendf(nil, "%+v", r.agent.Alarms())
	if len(sinks) < 10 || len(sinks["the log"]) < 10_000 || len(sinks["/store/orders.db"]) < 10_000 {
		t.Fatal("the sinks are not all there:", len(sinks), len(sinks["the log"]))
	}
	for name, data := range sinks {
		for _, leak := range leaks(data, secrets) {
			t.Errorf("%s holds the %s", name, leak)
		}
	}
}

// forgets: the patient is readable through the agent until the day's key is
// thrown away, and then for nobody.
func (r *rig) forgets(no string) {
	t := r.t
	p := r.agent.Private(r.order(no))
	if p.Patient.Name.Reveal() != canaryName || p.Patient.CardNo.Reveal() != canaryCard || p.Subject != canarySubject ||
		len(p.Details) != 1 || p.Details[0].GoodsName != canaryGoods {
		t.Fatal("the patient of an order is not readable again")
	}
	if n, err := r.box.Forget(time.Now().Add(20*24*time.Hour), 35*24*time.Hour); err != nil || r.agent.Private(r.order(no)).Patient.Name.Empty() {
		t.Fatal("forgotten before its time", n, err)
	}
	// What reconciliation does not ask for went after a day.
	if p := r.agent.Private(r.order(no)); p.Subject != "" || len(p.Details) != 0 || !p.Patient.Phone.Empty() || p.Patient.CardNo.Empty() {
		t.Fatal("only names and numbers are kept for reconciliation")
	}
	if n, err := r.box.Forget(time.Now().Add(40*24*time.Hour), 35*24*time.Hour); err != nil || n == 0 {
		t.Fatal(n, err)
	}
	if p := r.agent.Private(r.order(no)); !reflect.ValueOf(p.Patient).IsZero() || p.Subject != "" || len(p.Details) != 0 {
		t.Fatal("readable although its key is gone")
	}
	r.restart()
	if p := r.agent.Private(r.order(no)); !reflect.ValueOf(p.Patient).IsZero() || r.order(no).State() != order.Paid {
		t.Fatal("a forgotten patient must not take the order along")
	}
	for path, data := range r.files() {
		if filepath.Ext(path) == ".tmp" && len(data) > 0 {
			t.Errorf("left over: %s", path)
		}
	}
	if info, err := os.Stat(filepath.Join(r.dir, "tokens.json")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("tokens.json: %v %v", info, err)
	}
}
