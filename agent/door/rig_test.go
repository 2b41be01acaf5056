package door_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent/access"
	"payagent/agent/agenttest"
	"payagent/agent/door"
	"payagent/platforms"
	"payagent/queue/mem"
)

// The tokens of the rig, by what they may.
const (
	his       = "his"   // collect and refund, every till
	admin     = "admin" // admin, every till
	cashier1  = "cash1" // collect at w1
	refunder1 = "back1" // refund at w1
	screen1   = "see1"  // screen of k1
	collector = "coll"  // collect, every till
	desk      = "desk"  // refund, every till: a second computer
	finance1  = "fin1"  // resolve, every till
	finance2  = "fin2"  // the same, at another computer
	vouching  = "vouch" // refund and resolve, and its holder vouches for its operators
)

// What must be seen nowhere.
const (
	patientName = "张三丰"
	cardNo      = "CARDCANARY5566"
	phone       = "13900001111"
	admission   = "ADMCANARY77"
	subject     = "SUBJECTCANARY"
	memo        = "MEMOCANARY"
	goods       = "GOODSCANARY"
	wechatCode  = "134567890123456789"
	alipayCode  = "281234567890123456"
)

const host = "127.0.0.1:8780"

// sink keeps everything that left: answers, events, log lines.
type sink struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *sink) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

type rig struct {
	t      *testing.T
	w      *agenttest.World
	h      http.Handler
	opts   door.Options
	spec   *spec
	tokens map[string]string // by name
	out    *sink
	disk   *mem.Disk
	keys   int
}

// common is what all rigs share, so that the last test can tell which answers
// no test got.
var common = sync.OnceValue(func() *spec { return loadSpec(&testing.T{}) })

func tokens(t *testing.T) (*access.Store, map[string]string) {
	t.Helper()
	store, err := access.Open(filepath.Join(t.TempDir(), "tokens.json"), nil)
	if err != nil {
		t.Fatal(err)
	}
	made := map[string]string{}
	for name, x := range map[string]struct {
		till   string
		scopes []access.Scope
	}{
		his: {"", []access.Scope{access.Collect, access.Refund}}, admin: {"", []access.Scope{access.Admin}},
		cashier1: {agenttest.W1, []access.Scope{access.Collect}}, refunder1: {agenttest.W1, []access.Scope{access.Refund}},
		screen1: {agenttest.K1, []access.Scope{access.Screen}}, collector: {"", []access.Scope{access.Collect}},
		desk: {"", []access.Scope{access.Refund}}, finance1: {"", []access.Scope{access.Resolve}}, finance2: {"", []access.Scope{access.Resolve}},
		vouching: {"", []access.Scope{access.Refund, access.Resolve, access.Operators}},
	} {
		secret, err := store.Add(name, x.till, x.scopes, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		made[name] = secret.Reveal()
	}
	return store, made
}

// newRig makes a door on a running agent. Within a bubble its time is the
// bubble's.
func newRig(t *testing.T, change func(*agenttest.Options, *door.Options)) *rig {
	t.Helper()
	r := &rig{t: t, spec: common(), out: &sink{}, disk: &mem.Disk{}}
	log := slog.New(slog.NewJSONHandler(r.out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	store, made := tokens(t)
	r.tokens = made
	world := agenttest.Options{Log: mem.Open(r.disk), Logger: log}
	r.opts = door.Options{Tokens: store, Version: "test", Logger: log}
	if change != nil {
		change(&world, &r.opts)
	}
	r.w = agenttest.Start(t, world)
	r.h = door.New(r.w.Agent, r.opts)
	return r
}

// inBubble runs a scenario in virtual time.
func inBubble(t *testing.T, run func(t *testing.T, r *rig)) {
	t.Helper()
	inBubbleWith(t, nil, run)
}

func inBubbleWith(t *testing.T, change func(*agenttest.Options, *door.Options), run func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, change)
		synctest.Wait() // the agent has read its log
		run(t, r)
		r.noCanary()
	})
}

// reply is an answer, checked against the description.
type reply struct {
	t      *testing.T
	status int
	head   http.Header
	raw    []byte
	body   map[string]any
}

// header changes a request before it is sent.
type header func(*http.Request)

func set(name, value string) header { return func(r *http.Request) { r.Header.Set(name, value) } }
func del(name string) header        { return func(r *http.Request) { r.Header.Del(name) } }
func toHost(h string) header        { return func(r *http.Request) { r.Host = h } }

// call makes a request with a token and holds the answer to the description.
func (r *rig) call(method, path, token string, body any, headers ...header) reply {
	r.t.Helper()
	// A stream that should have been refused must not hold the test up.
	ctx, stop := context.WithTimeout(context.Background(), 5*time.Minute)
	defer stop()
	return r.callContext(ctx, method, path, token, body, headers...)
}

func (r *rig) callContext(ctx context.Context, method, path, token string, body any, headers ...header) reply {
	r.t.Helper()
	var text string
	switch b := body.(type) {
	case nil:
	case string:
		text = b
	default:
		data, err := json.Marshal(b)
		if err != nil {
			r.t.Fatal(err)
		}
		text = string(data)
	}
	req := httptest.NewRequestWithContext(ctx, method, "http://"+host+path, strings.NewReader(text))
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+r.tokens[token])
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		h(req)
	}
	rec := httptest.NewRecorder()
	r.h.ServeHTTP(rec, req)
	got := reply{t: r.t, status: rec.Code, head: rec.Header(), raw: rec.Body.Bytes()}
	fmt.Fprintln(r.out, rec.Code, rec.Header(), rec.Body)
	if rec.Code == http.StatusNoContent {
		return got
	}
	if err := r.spec.check(method, req.URL.Path, rec.Code, rec.Header(), got.raw); err != nil {
		r.t.Errorf("%s %s: %d: %v\n%s", method, path, rec.Code, err, got.raw)
	}
	if strings.Contains(rec.Header().Get("Content-Type"), "json") {
		_ = json.Unmarshal(got.raw, &got.body) // checked above
	}
	return got
}

// want asserts status and, for a problem, its code.
func (p reply) want(status int, code string) reply {
	p.t.Helper()
	got, _ := p.body["code"].(string)
	if p.status != status || status >= 400 && code != "-" && got != code {
		p.t.Fatalf("got %d %s, want %d %s\n%s", p.status, got, status, code, p.raw)
	}
	return p
}

// get follows a path of names, e.g. "safe_to_take_cash.answer".
func (p reply) get(path string) any {
	var v any = p.body
	for _, name := range strings.Split(path, ".") {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}

func (p reply) is(path string, want any) reply {
	p.t.Helper()
	got := p.get(path)
	if n, ok := want.(int); ok {
		want = float64(n)
	}
	if got != want {
		p.t.Errorf("%s is %v, want %v\n%s", path, got, want, p.raw)
	}
	return p
}

func (p reply) id() string {
	p.t.Helper()
	id, _ := p.body["id"].(string)
	if id == "" {
		p.t.Fatalf("no order in %s", p.raw)
	}
	return id
}

type object = map[string]any

// bill is a whole request for a bill, with everything that must not leak.
func bill(name string, changes ...object) object {
	b := object{"bill": name, "amount_fen": 12850, "mode": "charge", "order_type": "TREATMENT", "subject": subject, "memo": memo, "till": agenttest.W1,
		"patient":  object{"name": patientName, "card_no": cardNo, "card_type": "HOSPITAL", "admission_no": admission, "phone": phone},
		"operator": object{"id": "1001", "name": "王收费"},
		"details":  []object{{"goods_id": "1", "goods_name": goods, "goods_category": "x", "price_fen": 12850, "quantity": "1", "body": goods}}}
	for _, c := range changes {
		for k, v := range c {
			if v == nil {
				delete(b, k)
			} else {
				b[k] = v
			}
		}
	}
	return b
}

// create posts an order with a key of its own.
func (r *rig) create(b any, headers ...header) reply {
	r.t.Helper()
	return r.createAs(his, b, headers...)
}

func (r *rig) createAs(token string, b any, headers ...header) reply {
	r.t.Helper()
	r.keys++
	return r.call("POST", "/v1/orders", token, b, append([]header{set("Idempotency-Key", fmt.Sprint("key-", r.keys))}, headers...)...)
}

func (r *rig) order(id string) reply {
	r.t.Helper()
	return r.call("GET", "/v1/orders/"+id, his, nil)
}

// until lets time pass until an order has a state.
func (r *rig) until(id, state string) reply {
	r.t.Helper()
	for range 400 {
		synctest.Wait()
		if got := r.order(id); got.get("state") == state {
			return got
		}
		pause(time.Second)
	}
	got := r.order(id)
	r.t.Fatalf("the order never was %s: %s", state, got.raw)
	return got
}

// paid makes an order that is paid by a handed code.
func (r *rig) paid(name string, changes ...object) reply {
	r.t.Helper()
	till := bill(name, changes...)["till"].(string)
	bank := r.w.Banks[agenttest.Full]
	if till == agenttest.W3 {
		bank = r.w.Banks[agenttest.Plain]
	}
	bank.OnCharge(func(c platforms.Charge) (platforms.Answer, error) { return agenttest.PaidAnswer(c.Ref, c.Channel), nil })
	defer bank.OnCharge(nil)
	code := fmt.Sprintf("13%016d", 1000+r.keys)
	id := r.create(bill(name, append(changes, object{"auth_code": code})...)).want(201, "").id()
	return r.until(id, "paid")
}

// noCanary looks for what must be nowhere in everything that left.
func (r *rig) noCanary() {
	r.t.Helper()
	all := r.out.String()
	secrets := []string{patientName, cardNo, phone, admission, subject, memo, goods, wechatCode, alipayCode, "buyer-of-everything"}
	for _, token := range r.tokens {
		secrets = append(secrets, token)
	}
	for _, s := range secrets {
		if i := strings.Index(all, s); i >= 0 {
			r.t.Errorf("%q left: …%s…", s, all[max(0, i-200):min(len(all), i+80)])
		}
	}
}

func TestMain(m *testing.M) {
	code := m.Run()
	whole := !slices.ContainsFunc(os.Args[1:], func(a string) bool {
		return strings.HasPrefix(a, "-test.run=") || strings.HasPrefix(a, "-test.fuzz=") || strings.HasPrefix(a, "-test.skip=") ||
			strings.HasPrefix(a, "-test.list=") || strings.HasPrefix(a, "-test.fuzzworker")
	})
	if left := common().unseen(); whole && code == 0 && len(left) > 0 {
		fmt.Println("answers that are described and that no test got:\n" + strings.Join(left, "\n"))
		code = 1
	}
	os.Exit(code)
}

// shortly ends in two seconds, as a caller that goes away.
func shortly() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 2*time.Second)
}

func revOf(p reply) string { return fmt.Sprint(p.get("rev")) }

// pause lets the bubble's time pass.
func pause(d time.Duration) { <-time.After(d) }
