package pages

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	qrcode "github.com/skip2/go-qrcode"

	"payagent/agent/words"
	"payagent/platforms"
)

// token is what the stand-in takes.
const token = "screen-token"

// object is a JSON object of the door.
type object = map[string]any

// stand answers as the door does, with whatever a test puts into it, so that
// every state can be looked at without waiting for it. That its answers have
// the form of the real door's is checked in real_test.go.
type stand struct {
	t      *testing.T
	server *httptest.Server
	words  words.Catalogue

	mu      sync.Mutex
	change  chan struct{}
	came    chan struct{} // closed at the next post, or question about the till
	asked   int           // questions about the till
	seq     int
	till    object
	reasons []object // of /readyz
	orders  map[string]object
	test    bool
	code    string // what the QR code says, empty for none
	silent  bool   // every question of the interface is cut
	created func(object) (int, object)
	acted   func(no, name string) (int, object)
	posts   []post
	streams []string // Last-Event-ID of each stream that was opened
}

type post struct {
	path string
	key  string
	body object
}

func newStand(t *testing.T, kind string) *stand {
	t.Helper()
	s := &stand{t: t, words: words.New(), change: make(chan struct{}), came: make(chan struct{}), orders: map[string]object{}}
	s.till = object{"till": kind + "1", "title": map[string]string{"counter": "1号窗口", "kiosk": "1号自助机"}[kind], "kind": kind,
		"state": "idle", "armed": false, "scanner": object{"state": "closed", "text": object{"zh": "扫码设备空闲", "en": "The scanner is idle"}}, "online": true, "queued": 0, "test": false}
	pages := Handler()
	mux := http.NewServeMux()
	for _, p := range Patterns() {
		mux.Handle(p, pages)
	}
	mux.HandleFunc("/v1/", s.api)
	mux.HandleFunc("/readyz", s.api)
	s.server = httptest.NewServer(mux)
	t.Cleanup(func() {
		s.server.CloseClientConnections()
		s.server.Close()
	})
	return s
}

// set changes the stand-in and tells the pages, as an event does.
func (s *stand) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	s.seq++
	close(s.change)
	s.change = make(chan struct{})
}

// show puts an order in front of the till; nil for none.
func (s *stand) show(o object) {
	s.set(func() { s.front(o) })
}

// front is show for those who hold the lock.
func (s *stand) front(o object) {
	delete(s.till, "order")
	delete(s.till, "patient")
	delete(s.till, "speech")
	s.till["state"] = "idle"
	if o != nil {
		s.orders[o["out_trade_no"].(string)] = o
		s.till["order"], s.till["state"], s.till["patient"] = o, o["state"], "张*丰"
		fen, _ := o["amount_fen"].(int)
		if said := words.Speech(o["state"].(string), o["mode"] == "present", o["qr_expires_in_s"] != nil, platforms.Fen(fen)); !said.Empty() {
			s.till["speech"] = object{"zh": said.ZH, "en": said.EN}
		}
	}
}

// arrived waits until the page has posted: it shows what it does before the
// request is out.
func (s *stand) arrived(path string) []post {
	s.t.Helper()
	for late := time.After(patient); ; {
		s.mu.Lock()
		change := s.came
		s.mu.Unlock()
		if list := s.posted(path); len(list) > 0 {
			return list
		}
		select {
		case <-change:
		case <-late:
			s.t.Fatalf("nothing was posted to %s", path)
		}
	}
}

// told waits until the page has taken in what is the case now: it asks again
// only when it has taken an answer in.
func (s *stand) told() {
	s.t.Helper()
	late := time.After(patient)
	for range 2 {
		s.mu.Lock()
		before := s.asked
		s.mu.Unlock()
		s.set(func() {})
		for asked := before; asked == before; {
			s.mu.Lock()
			change := s.came
			asked = s.asked
			s.mu.Unlock()
			if asked != before {
				break
			}
			select {
			case <-change:
			case <-late:
				s.t.Fatal("the page does not ask any more")
			}
		}
	}
}

// arrival wakes who waits for requests. The lock is held.
func (s *stand) arrival() {
	close(s.came)
	s.came = make(chan struct{})
}

// posted is what has arrived so far.
func (s *stand) posted(path string) []post {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []post
	for _, p := range s.posts {
		if strings.HasSuffix(p.path, path) {
			list = append(list, p)
		}
	}
	return list
}

func (s *stand) api(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.silent {
		panic(http.ErrAbortHandler)
	}
	if r.Header.Get("Authorization") != "Bearer "+token {
		reply(w, http.StatusUnauthorized, s.problem("unauthorised", nil))
		return
	}
	if len(r.Cookies()) > 0 {
		s.t.Errorf("%s came with a cookie", r.URL.Path)
	}
	if strings.Contains(r.URL.RawQuery, token) {
		s.t.Errorf("the token stands in an address: %s", r.URL.Path)
	}
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case r.URL.Path == "/readyz":
		status := http.StatusOK
		if len(s.reasons) > 0 {
			status = http.StatusServiceUnavailable
		}
		reply(w, status, object{"ready": len(s.reasons) == 0, "reasons": append([]object{}, s.reasons...), "warnings": []object{}})
	case r.URL.Path == "/v1/capabilities":
		reply(w, http.StatusOK, s.capabilities())
	case r.URL.Path == "/v1/events":
		s.events(w, r)
	case r.URL.Path == "/v1/tills/"+s.till["till"].(string):
		s.asked++
		s.arrival()
		reply(w, http.StatusOK, s.till)
	case r.Method == "POST":
		s.post(w, r, parts)
	case r.URL.Path == "/v1/orders":
		list := []object{}
		for _, o := range s.orders {
			if q := r.URL.Query(); q.Get("state") == "open" && o["final"] == false || q.Get("state") == "unbooked" && unbooked(o) || q.Get("bill") == o["bill"] || q.Get("order") == o["out_trade_no"] || q.Get("trade") == o["trade_no"] {
				list = append(list, o)
			}
		}
		slices.SortFunc(list, func(a, b object) int { return strings.Compare(a["out_trade_no"].(string), b["out_trade_no"].(string)) })
		reply(w, http.StatusOK, object{"orders": list})
	case len(parts) == 4 && parts[3] == "qr.svg" && s.code != "":
		w.Header().Set("Content-Type", "image/svg+xml")
		_, _ = io.WriteString(w, svg(s.t, s.code))
	case len(parts) == 3 && s.orders[parts[2]] != nil:
		reply(w, http.StatusOK, s.orders[parts[2]])
	default:
		reply(w, http.StatusNotFound, s.problem("not_found", nil))
	}
}

// unbooked tells whether an order is paid and not in HIS's books.
func unbooked(o object) bool {
	b, _ := o["booking"].(object)
	return b != nil && b["stage"] != "booked" && b["stage"] != "given_back"
}

func (s *stand) post(w http.ResponseWriter, r *http.Request, parts []string) {
	body, _ := io.ReadAll(r.Body)
	p := post{path: r.URL.Path, key: r.Header.Get("Idempotency-Key"), body: object{}}
	if err := json.Unmarshal(body, &p.body); err != nil {
		s.t.Errorf("%s: %v", r.URL.Path, err)
	}
	s.posts = append(s.posts, p)
	s.arrival()
	status, answer := http.StatusNotFound, s.problem("not_found", nil)
	switch {
	case len(parts) == 2 && s.created != nil:
		status, answer = s.created(p.body)
	case len(parts) == 4 && s.acted != nil:
		status, answer = s.acted(parts[2], parts[3])
	}
	if status == 0 {
		// A browser repeats a request whose connection ended without a byte;
		// an answer that breaks off is what a page gets to see as lost.
		w.Header().Set("Content-Length", "1000")
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"out_trade_no":`)
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	s.seq++
	close(s.change)
	s.change = make(chan struct{})
	reply(w, status, answer)
}

// events sends the till's face whenever something changed.
func (s *stand) events(w http.ResponseWriter, r *http.Request) {
	s.streams = append(s.streams, r.Header.Get("Last-Event-ID"))
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	for !s.silent {
		data, _ := json.Marshal(s.till)
		fmt.Fprintf(w, "id: %d\nevent: till\ndata: %s\n\n", s.seq, data)
		w.(http.Flusher).Flush()
		change := s.change
		s.mu.Unlock()
		select {
		case <-change:
		case <-r.Context().Done():
		}
		s.mu.Lock()
		if r.Context().Err() != nil {
			return
		}
	}
	panic(http.ErrAbortHandler)
}

func reply(w http.ResponseWriter, status int, v object) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func (s *stand) capabilities() object {
	var routes []object
	for _, mode := range []string{"charge", "present"} {
		for _, kind := range []string{"APPOINTMENT", "DEPOSIT", "HOSPITALIZATION", "TREATMENT"} {
			routes = append(routes, object{"mode": mode, "order_type": kind, "platform": "fwc", "channels": []string{"wechat", "alipay", "unionpay"}})
		}
	}
	routes[0]["channels"] = []string{"wechat", "alipay"}
	return object{"test": s.test, "token": object{"till": s.till["till"], "scopes": []string{"collect", "refund"}},
		"booking": object{"expect": true, "prompt_after_s": 60, "alarm_after_s": 600, "webhook": false},
		"tills":   []object{{"name": s.till["till"], "routes": routes}}}
}

func (s *stand) problem(code string, more object) object {
	e, ok := s.words.Find(words.Problem, code)
	if !ok {
		s.t.Errorf("the catalogue has no problem %s", code)
	}
	p := object{"code": code, "detail": e.Cashier, "next_action": e.Next, "patient_message": e.Patient,
		"safe_to_take_cash": s.safety("no", "cash_unknown", 0)}
	maps.Copy(p, more)
	return p
}

func (s *stand) safety(answer, reason string, wait int) object {
	e, _ := s.words.Find(words.Verdict, reason)
	say := e.Cashier.Fill("wait_s", fmt.Sprint(wait))
	if reason == "cash_unknown" {
		say = words.Text{ZH: "本次请求未被受理，不能据此判断；请先查询该账单的订单", EN: "This request was not taken and proves nothing"}
	}
	return object{"answer": answer, "wait_s": wait, "reason": reason, "say": say}
}

// order makes an order as the door gives it; more replaces fields.
func (s *stand) order(no, state string, more object) object {
	variant := ""
	if v, ok := more["cancel_action"].(string); ok {
		variant = v
	}
	if state == "paying" {
		variant, _ = more["mode"].(string)
	}
	e := s.words.OrderState(state, variant)
	o := object{"out_trade_no": no, "id": no, "bill": "B20260314001", "rev": len(no) + len(state) + len(more), "state": state, "state_text": e.Cashier,
		"final": state == "paid" || state == "failed" || state == "canceled", "mode": "charge", "order_type": "TREATMENT", "amount_fen": 12850,
		"till": s.till["till"], "channel": "wechat", "operator": object{"id": "1001", "name": "王收费"}, "cancel_requested": false, "detached": false,
		"refunds": []object{}, "refunded_fen": 0, "refundable_fen": 0, "actions_allowed": []string{},
		"created_at": "2026-03-14T09:26:53.000+08:00", "age_ms": 1000,
		"message": e.Cashier, "next_action": e.Next, "patient_message": e.Patient}
	switch state {
	case "waiting", "queued":
		o["actions_allowed"] = []string{"cancel", "detach"}
		o["safe_to_take_cash"] = s.safety("no", "cash_cancel_first", 0)
	case "paying":
		o["actions_allowed"] = []string{"check", "cancel", "detach"}
		o["safe_to_take_cash"] = s.safety("wait", "cash_wait", 42)
	case "canceling":
		o["actions_allowed"] = []string{"check", "detach"}
		o["cancel_requested"] = true
		o["safe_to_take_cash"] = s.safety("wait", "cash_wait", 7)
	case "in_doubt":
		o["actions_allowed"] = []string{"check", "detach"}
		o["safe_to_take_cash"] = s.safety("no", "cash_in_doubt", 0)
	case "paid":
		o["actions_allowed"] = []string{"refund"}
		o["safe_to_take_cash"] = s.safety("no", "cash_paid", 0)
		maps.Copy(o, object{"trade_no": "4200002026031409265300012345", "paid_at": "2026-03-14T09:27:01.000+08:00", "paid_at_clock": "platform", "buyer": "o***8Q", "refundable_fen": 12850})
	case "failed":
		o["actions_allowed"] = []string{"retry"}
		o["safe_to_take_cash"] = s.safety("yes", "cash_failed", 0)
		why, _ := s.words.Find(words.Reason, "refused")
		o["message"], o["next_action"], o["patient_message"] = why.Cashier.Fill("message", "余额不足"), why.Next, why.Patient
		maps.Copy(o, object{"platform_code": "-20010", "platform_message": "余额不足"})
	case "canceled":
		o["actions_allowed"] = []string{"retry"}
		o["safe_to_take_cash"] = s.safety("yes", "cash_canceled", 0)
	}
	maps.Copy(o, more)
	return o
}

func (s *stand) note(code string, pairs ...string) object {
	e, ok := s.words.Find(words.Scan, code)
	if !ok {
		s.t.Errorf("the catalogue has no scan note %s", code)
	}
	return object{"code": code, "patient": e.Patient.Fill(pairs...), "cashier": e.Cashier.Fill(pairs...), "next_action": e.Next.Fill(pairs...)}
}

// svg draws a code as the door does: black on white, four modules of margin.
func svg(t *testing.T, text string) string {
	q, err := qrcode.New(text, qrcode.Medium)
	if err != nil {
		t.Error(err)
		return ""
	}
	q.DisableBorder = true
	grid := q.Bitmap()
	side := len(grid) + 8
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" shape-rendering="crispEdges"><rect width="%d" height="%d" fill="#fff"/><path fill="#000" d="`, side, side, side, side)
	for y, row := range grid {
		for x, dark := range row {
			if dark {
				fmt.Fprintf(&b, "M%d %dh1v1h-1z", x+4, y+4)
			}
		}
	}
	b.WriteString(`"/></svg>`)
	return b.String()
}

// patient bounds every wait for a browser; it is no measure of speed.
const patient = 2 * time.Minute
