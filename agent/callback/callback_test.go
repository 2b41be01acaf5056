package callback_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent"
	"payagent/agent/agenttest"
	"payagent/agent/callback"
	"payagent/agent/config"
	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/platforms"
	"payagent/queue/mem"
)

const patient = "张三丰"

type rig struct {
	*agenttest.World
	t    *testing.T
	h    http.Handler
	till string
	n    int
}

func start(t *testing.T, till string) *rig {
	t.Helper()
	w := agenttest.Start(t, agenttest.Options{Log: mem.Open(&mem.Disk{}), Config: func(c *config.Config) { c.Booking.Expect = till == agenttest.O1 }})
	synctest.Wait()
	return &rig{World: w, t: t, h: callback.New(w.Agent, nil), till: till}
}

func (r *rig) bank() *agenttest.Bank {
	return r.Banks[map[string]string{agenttest.O1: agenttest.Page, agenttest.O2: agenttest.Mute}[r.till]]
}

func (r *rig) platform() string {
	if r.till == agenttest.O1 {
		return agenttest.Page
	}
	return agenttest.Mute
}

func (r *rig) collect(mode platforms.Mode) *order.Order {
	r.t.Helper()
	r.n++
	no := "N" + string(rune('0'+r.n))
	req := agent.Request{Key: platforms.Hide(no), Body: platforms.Hide(no), OrderNo: no, Bill: "B" + no, Amount: 8888, Mode: mode, Channel: platforms.WeChat,
		OrderType: "TREATMENT", Till: r.till, Subject: "门诊缴费", Patient: platforms.Patient{Name: platforms.Hide(patient)}}
	if mode == platforms.ModeInsurance {
		req.Insurance.UserID = platforms.Hide("open-1")
	}
	reply, err := r.Agent.Collect(context.Background(), req)
	if err != nil || reply.Code != counter.CodeCreated {
		r.t.Fatal(reply.Code, err)
	}
	synctest.Wait()
	return r.order(no)
}

func (r *rig) order(no string) *order.Order {
	r.t.Helper()
	o, err := r.Agent.Order(no)
	if err != nil || o == nil {
		r.t.Fatal(o, err)
	}
	return o
}

func (r *rig) ask(method, path, body string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	w := httptest.NewRecorder()
	r.h.ServeHTTP(w, req)
	if !strings.Contains(path, "/state") {
		synctest.Wait() // what was told is taken in, also where the answer came first
	}
	return w
}

func (r *rig) home(no string) string { return "/return/" + no + "/" + r.Agent.PageToken(no) }

// told is what the long poll says.
type told struct {
	Rev   int    `json:"rev"`
	Code  string `json:"code"`
	Look  string `json:"look"`
	Final bool   `json:"final"`
	Goto  string `json:"goto"`
}

func (r *rig) state(no, query string) told {
	r.t.Helper()
	w := r.ask("GET", r.home(no)+"/state"+query, "")
	var v told
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil || w.Code != 200 {
		r.t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	return v
}

func (r *rig) shows(no, code string) {
	r.t.Helper()
	if v := r.state(no, ""); v.Code != code {
		r.t.Errorf("%s shows %s, want %s", no, v.Code, code)
	}
}

// TestNotify: by query and by body, by GET and by POST; the platform's word is
// said only for messages that verified.
func TestNotify(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, agenttest.O2)
		for _, way := range []struct{ method, in string }{{"GET", "query"}, {"POST", "query"}, {"POST", "body"}} {
			o := r.collect(platforms.ModeH5)
			text := agenttest.Message(o.No, platforms.Paid, o.Amount).Query
			path, body := "/notify/"+r.platform(), text
			if way.in == "query" {
				path, body = path+"?"+text, ""
			}
			if w := r.ask(way.method, path, body); w.Code != 200 || w.Body.String() != agenttest.Ack {
				t.Errorf("%s %s: %d %s", way.method, way.in, w.Code, w.Body)
			}
			if s := r.order(o.No).State(); s != order.Paid {
				t.Errorf("%s %s: %s", way.method, way.in, s)
			}
		}
		o := r.collect(platforms.ModeH5)
		good := agenttest.Message(o.No, platforms.Paid, o.Amount).Query
		for _, bad := range []struct {
			method, path, body string
			want               int
		}{
			{"POST", "/notify/mute", strings.Replace(good, "good", "bad", 1), 400},
			{"POST", "/notify/mute", "", 400},
			{"GET", "/notify/mute?%zz", "", 400},
			{"POST", "/notify/full", good, 404},
			{"POST", "/notify/nobody", good, 404},
			{"PUT", "/notify/mute", good, 405},
			{"POST", "/notify/mute", good + strings.Repeat("x", 64<<10), 413},
			{"GET", "/notify/mute?" + good + strings.Repeat("x", 64<<10), "", 414},
			{"GET", "/v1/orders", "", 404},
			{"GET", "/", "", 404},
		} {
			w := r.ask(bad.method, bad.path, bad.body)
			if w.Code != bad.want || strings.Contains(w.Body.String(), agenttest.Ack) {
				t.Errorf("%s %.40s: %d %s", bad.method, bad.path, w.Code, w.Body)
			}
		}
		if s := r.order(o.No).State(); s != order.Paying {
			t.Errorf("a message that did not verify made it %s", s)
		}
	})
}

// TestNotTaken: while nothing can be written the platform is told to repeat it.
func TestNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, agenttest.O2)
		o := r.collect(platforms.ModeH5)
		r.Stop()
		w := r.ask("POST", "/notify/mute", agenttest.Message(o.No, platforms.Paid, o.Amount).Query)
		if w.Code != 503 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}

// TestReturnPage: what the page says is what the facts say, never what the
// browser carried there.
func TestReturnPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, agenttest.O1)
		o := r.collect(platforms.ModeH5)
		r.shows(o.No, "page_confirming")
		// The browser says paid; nobody believes it.
		w := r.ask("GET", r.home(o.No)+"?"+agenttest.Message(o.No, platforms.Paid, o.Amount).Query, "")
		if w.Code != 200 || strings.Contains(w.Body.String(), "支付成功") || !strings.Contains(w.Body.String(), "正在确认") || !strings.Contains(w.Body.String(), "88.88") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		for _, secret := range []string{patient, "门诊缴费", "BN1"} {
			if strings.Contains(w.Body.String(), secret) {
				t.Errorf("the page shows %s", secret)
			}
		}
		if p := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(p, "default-src 'none'; script-src 'sha256-") || strings.Contains(p, "unsafe") {
			t.Error(p)
		}
		for tag, kind := range map[string]string{"script": "script-src", "style": "style-src"} {
			_, rest, _ := strings.Cut(w.Body.String(), "<"+tag+">")
			text, _, _ := strings.Cut(rest, "</"+tag+">")
			sum := sha256.Sum256([]byte(text))
			if want := kind + " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(w.Header().Get("Content-Security-Policy"), want) {
				t.Errorf("the policy does not let the page's own %s run", tag)
			}
		}
		if strings.Contains(w.Body.String(), "http://") || strings.Contains(w.Body.String(), "https://") {
			t.Error("the page needs something from elsewhere")
		}
		// The payer closed the page.
		if w := r.ask("GET", r.home(o.No)+"?"+agenttest.Gone(o.No).Query, ""); w.Code != 200 {
			t.Error(w.Code)
		}
		r.shows(o.No, "page_left")
		// What cannot be verified is not used, and the page tells how it stands.
		if w := r.ask("GET", r.home(o.No)+"?order="+o.No+"&status=paid&sign=bad", ""); w.Code != 200 || strings.Contains(w.Body.String(), "支付成功") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		// Paid, waiting for HIS: still no success. The long poll comes back at once.
		rev := r.state(o.No, "").Rev
		woken := make(chan told, 1)
		go func() { woken <- r.state(o.No, "?rev="+itoa(rev)) }()
		synctest.Wait()
		r.bank().Pay(o.No)
		if w := r.ask("POST", "/notify/page", agenttest.Message(o.No, platforms.Paid, o.Amount).Query); w.Code != 200 {
			t.Error(w.Code)
		}
		synctest.Wait()
		if v := <-woken; v.Code != "page_booking" || v.Final {
			t.Errorf("%+v", v)
		}
		if _, err := r.Agent.Book(context.Background(), o.No, agent.Booking{Booked: true, FlowID: "F1"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if v := r.state(o.No, ""); v.Code != "page_success" || !v.Final || v.Look != "good" {
			t.Errorf("%+v", v)
		}
	})
}

// TestReturnPageHISFails: HIS could not process it, so the money goes back.
func TestReturnPageHISFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, agenttest.O1)
		o := r.collect(platforms.ModeH5)
		r.bank().Pay(o.No)
		r.ask("POST", "/notify/page", agenttest.Message(o.No, platforms.Paid, o.Amount).Query)
		synctest.Wait()
		r.shows(o.No, "page_booking")
		if _, err := r.Agent.Book(context.Background(), o.No, agent.Booking{Reason: "no bed"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if v := r.state(o.No, ""); v.Code != "page_reversed" && v.Code != "page_refunded" || v.Look != "bad" {
			t.Errorf("%+v", v)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		r.shows(o.No, "page_refunded")
	})
}

// TestReturnPageWithoutBooking: where HIS books nothing, paid is success.
func TestReturnPageWithoutBooking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, agenttest.O2)
		paid, closed, never := r.collect(platforms.ModeH5), r.collect(platforms.ModeH5), r.collect(platforms.ModeH5)
		r.ask("POST", "/notify/mute", agenttest.Message(paid.No, platforms.Paid, paid.Amount).Query)
		r.ask("POST", "/notify/mute", agenttest.Message(closed.No, platforms.Closed, closed.Amount).Query)
		r.shows(paid.No, "page_success")
		r.shows(closed.No, "page_not_paid")
		rev := r.state(never.No, "").Rev
		begin := time.Now()
		if v := r.state(never.No, "?rev="+itoa(rev)); v.Rev != rev || time.Since(begin) < 20*time.Second {
			t.Errorf("%+v after %s", v, time.Since(begin))
		}
	})
}

func itoa(n int) string { data, _ := json.Marshal(n); return string(data) }

// TestStrangers: a number alone opens nothing, and a wrong token looks like a
// number that nobody knows.
func TestStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, agenttest.O1)
		o := r.collect(platforms.ModeH5)
		token := r.Agent.PageToken(o.No)
		if len(token) != 32 || token == r.Agent.PageToken("N2") {
			t.Error(token)
		}
		var first string
		for _, path := range []string{"/return/" + o.No + "/x", "/return/NOBODYS/" + r.Agent.PageToken("NOBODYS"), "/return/" + o.No + "/" + r.Agent.PageToken("N2"),
			"/return/..%2f/" + token, "/continue/" + o.No + "/x"} {
			w := r.ask("GET", path, "")
			if w.Code != 404 || strings.Contains(w.Body.String(), "88.88") {
				t.Errorf("%s: %d %s", path, w.Code, w.Body)
			}
			if first == "" {
				first = w.Body.String()
			} else if w.Body.String() != first {
				t.Errorf("%s looks different", path)
			}
		}
		if w := r.ask("GET", "/return/"+o.No+"/x/state", ""); w.Code != 404 {
			t.Error(w.Code)
		}
		// A return about another order proves nothing about this one.
		other := r.collect(platforms.ModeH5)
		r.ask("GET", r.home(o.No)+"?"+agenttest.Gone(other.No).Query, "")
		if r.order(o.No).PayerLeft || r.order(other.No).PayerLeft {
			t.Error("a return about another order was used")
		}
	})
}

// TestAuthorised: the state is compared and serves once; the page that follows
// leads to where the payer pays.
func TestAuthorised(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, agenttest.O1)
		o := r.collect(platforms.ModeInsurance)
		u, err := url.Parse(o.Private.Pass.Address.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		back, err := url.Parse(u.Query().Get("redirect_uri"))
		if err != nil || !strings.HasSuffix(back.Path, "/authorised/"+o.No) {
			t.Fatal(back, err)
		}
		state := u.Query().Get("state")
		for _, q := range []string{"", "?auth_code=C1", "?state=" + state, "?auth_code=C1&state=wrong"} {
			if w := r.ask("GET", "/authorised/"+o.No+q, ""); w.Code != 400 && w.Code != 403 {
				t.Errorf("%s: %d", q, w.Code)
			}
		}
		w := r.ask("GET", "/authorised/"+o.No+"?auth_code=C1&state="+state, "")
		if w.Code != 303 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		synctest.Wait()
		if got := r.order(o.No).Insured; got.Stop != order.StopSettle {
			t.Fatalf("%+v", got)
		}
		if w := r.ask("GET", "/authorised/"+o.No+"?auth_code=C1&state="+state, ""); w.Code != 403 {
			t.Errorf("a state served twice: %d", w.Code)
		}
		next, err := (&url.URL{Path: "/authorised/" + o.No}).Parse(w.Header().Get("Location"))
		if err != nil || next.Path != "/continue/"+o.No+"/"+r.Agent.PageToken(o.No) {
			t.Fatal(next, err)
		}
		page := r.ask("GET", next.Path, "")
		text, _ := io.ReadAll(page.Body)
		if page.Code != 200 || !strings.Contains(string(text), "医保结算") || !strings.Contains(string(text), `data-path="../../return/`+o.No) {
			t.Errorf("%d %s", page.Code, text)
		}
		if v := r.state(o.No, "?leads=1"); v.Goto != "" || v.Code != "page_waiting" {
			t.Errorf("%+v", v)
		}
		if _, err := r.Agent.Settle(context.Background(), o.No, agent.Settlement{Total: 8888, Insured: 8000, Cash: 888, SerialNo: "S"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if v := r.state(o.No, "?leads=1"); v.Goto != "https://page.invalid/goto/"+o.No {
			t.Errorf("%+v", v)
		}
		if v := r.state(o.No, ""); v.Goto != "" {
			t.Error("the return page leads back to the page to pay on")
		}
	})
}

// TestServe opens the listener for real.
func TestServe(t *testing.T) {
	w := agenttest.Start(t, agenttest.Options{Log: mem.Open(&mem.Disk{}), Config: func(c *config.Config) { c.Callback.Listen = []string{"127.0.0.1:0"} }})
	ctx, stop := context.WithCancel(context.Background())
	opened, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- callback.Serve(ctx, w.Agent, nil, func(at []string) { opened <- at[0] })
	}()
	res, err := http.Post("http://"+<-opened+"/notify/page", "text/plain", strings.NewReader("sign=bad"))
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil || res.StatusCode != 400 {
		t.Error(res.StatusCode, err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	off := agenttest.Start(t, agenttest.Options{Log: mem.Open(&mem.Disk{}), Config: func(c *config.Config) { c.Callback = config.Callback{} }})
	if err := callback.Serve(context.Background(), off.Agent, nil, nil); err != nil {
		t.Error(err)
	}
}
