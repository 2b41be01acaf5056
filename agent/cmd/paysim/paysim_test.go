//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"payagent/agent/cmd/paysim/internal/doortest"
	"payagent/agent/cmd/paysim/internal/his"
	"payagent/agent/cmd/paysim/internal/world"
	"payagent/platforms"
	"payagent/platforms/bank"
	"payagent/platforms/fwc"
	"payagent/platforms/fwc/fwctest"
	"payagent/platforms/smartpay"
)

// clock is a wall clock that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// sim is a pretend world that runs.
type sim struct {
	t     *testing.T
	clock *clock
	opt   serveOptions
	at    Addresses
	errs  bytes.Buffer
	stop  func()
}

// start serves a world in dir on free ports.
func start(t *testing.T, dir string, c *clock, agent string) *sim {
	t.Helper()
	return startWith(t, dir, c, agent, func(*serveOptions) {})
}

// startWith is start with other flags.
func startWith(t *testing.T, dir string, c *clock, agent string, change func(*serveOptions)) *sim {
	t.Helper()
	s := &sim{t: t, clock: c, opt: serveOptions{
		listen: "127.0.0.1:0", platforms: "127.0.0.1:0", data: dir, agent: agent, ptys: []string{"counter1=" + filepath.Join(dir, "scan1")},
		tills: []string{"counter1", "counter2"}, scale: 1, findByNumber: true, his: noClerk, now: c.Now,
	}}
	change(&s.opt)
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan Addresses, 1), make(chan error, 1)
	s.opt.ready = func(a Addresses) { ready <- a }
	go func() { done <- serve(ctx, s.opt, console{out: io.Discard, err: &s.errs}) }()
	select {
	case s.at = <-ready:
	case err := <-done:
		t.Fatal(err)
	}
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serving ended with %v", err)
		}
	})
	t.Cleanup(s.stop)
	return s
}

func newClock() *clock { return &clock{now: time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)} }

const nowhere = "http://127.0.0.1:1"

// call asks the world's pages; want is the status.
func (s *sim) call(method, path string, body any, want int, into any) {
	s.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.at.Pages+path, bytes.NewReader(text))
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	got, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != want {
		s.t.Fatalf("%s %s: %d %s %v", method, path, resp.StatusCode, got, err)
	}
	if into != nil {
		if err := json.Unmarshal(got, into); err != nil {
			s.t.Fatalf("%s %s: %s %v", method, path, got, err)
		}
	}
}

// command runs a paysim command and gives its output.
func (s *sim) command(args ...string) string {
	s.t.Helper()
	var out bytes.Buffer
	if err := command(s.t.Context(), args, console{strings.NewReader("134567890123456789\n"), &out, &s.errs}); err != nil {
		s.t.Fatalf("%v: %v", args, err)
	}
	return out.String()
}

func (s *sim) order(no string) world.Order {
	s.t.Helper()
	var truth world.Truth
	s.call(http.MethodGet, "/ledger", nil, 200, &truth)
	for _, o := range truth.Orders {
		if o.OrderNo == no {
			return o
		}
	}
	s.t.Fatalf("no order %s in %+v", no, truth)
	return world.Order{}
}

// payer is what both adapters can do.
type payer interface {
	platforms.Platform
	platforms.Charger
}

// adapters are the real ones, over sockets.
func (s *sim) adapters() map[string]payer {
	s.t.Helper()
	rt := &http.Transport{DisableKeepAlives: true}
	one, err := smartpay.New(rt, smartpay.Config{
		Endpoint: s.at.Platforms["smartpay"], ClientID: "TEST", QueryKey: smartpay.ByBoth,
		TransactionCodes: smartpay.TransactionCodes{SweepCodePay: "9001", QueryOrderState: "9002", Revoke: "9003"},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	two, err := fwc.New(rt, fwc.Config{Endpoint: s.at.Platforms["fwc"], Token: func(string) (platforms.Hidden, error) {
		text, err := os.ReadFile(s.at.TokenFile)
		return platforms.Hide(strings.TrimSpace(string(text))), err
	}})
	if err != nil {
		s.t.Fatal(err)
	}
	return map[string]payer{"smartpay": one, "fwc": two}
}

func charge(no string, amount platforms.Fen, code string) platforms.Charge {
	c := platforms.Charge{
		Ref: platforms.Ref{OrderNo: no, Amount: amount, Mode: platforms.ModeCharge, Merchant: platforms.Merchant{Profile: "window", Code: "M1"},
			Operator: platforms.Operator{ID: "1", Name: "测试"}, Terminal: "W01"},
		Channel: platforms.WeChat, OrderType: "TREATMENT", TillKind: "counter", Subject: "测试", Memo: "测试",
		Patient: platforms.Patient{Name: platforms.Hide("测试甲"), CardNo: platforms.Hide("T1"), CardType: "medical_card", AdmissionNo: platforms.Hide("T2")},
	}
	c.Code = platforms.AuthCode{Hidden: platforms.Hide(code), Kind: platforms.KindWeChat}
	return c
}

func (s *sim) freshCode(behave int) string {
	s.t.Helper()
	var shown struct {
		Code string `json:"code"`
		QR   string `json:"qr_png"`
		Bars string `json:"bars_png"`
	}
	s.call(http.MethodPost, "/phone/code", map[string]any{"wallet": "wechat", "behave": behave}, 200, &shown)
	if !strings.HasPrefix(shown.QR, "data:image/png") || !strings.HasPrefix(shown.Bars, "data:image/png") {
		s.t.Fatalf("no pictures: %+v", shown)
	}
	return shown.Code
}

func TestBothPlatformsOverOneBank(t *testing.T) {
	s := start(t, t.TempDir(), newClock(), nowhere)
	for name, p := range s.adapters() {
		ctx := t.Context()
		no := strings.ToUpper(name)
		// Pays at once, by the phone's own code; the answer may need a query.
		_, err := p.Charge(ctx, charge(no+"1", 1234, s.freshCode(0)))
		if err != nil {
			t.Fatal(name, err)
		}
		if a, err := p.Query(ctx, charge(no+"1", 1234, "").Ref); err != nil || a.Status != platforms.Paid {
			t.Fatal(name, a, err)
		}
		if o := s.order(no + "1"); o.NetFen != 1234 || o.Captures != 1 || o.PayRequests != 1 || o.Channel != platforms.WeChat {
			t.Fatalf("%s: %+v", name, o)
		}
		if c, err := p.Cancel(ctx, charge(no+"1", 1234, "").Ref); err != nil || !c.Done || s.order(no+"1").NetFen != 0 {
			t.Fatal(name, c, err)
		}
		// Lost reply, by the amount: an error, and the money is taken.
		if _, err := p.Charge(ctx, charge(no+"2", 1291, s.freshCode(world.ByAmount))); err == nil || errors.Is(err, platforms.ErrNotCharged) {
			t.Fatal(name, err)
		}
		if o := s.order(no + "2"); o.NetFen != 1291 {
			t.Fatalf("%s: %+v", name, o)
		}
		// A password of 20 s, by the phone.
		if a, err := p.Charge(ctx, charge(no+"3", 1200, s.freshCode(90))); err != nil || a.Status == platforms.Paid {
			t.Fatal(name, a, err)
		}
		if o := s.order(no + "3"); o.State != bank.Unpaid {
			t.Fatalf("%s: %+v", name, o)
		}
		s.clock.add(20 * time.Second)
		if a, err := p.Query(ctx, charge(no+"3", 1200, "").Ref); err != nil || a.Status != platforms.Paid {
			t.Fatal(name, a, err)
		}
		// The request that never arrives, by a magic code.
		if _, err := p.Charge(ctx, charge(no+"4", 1200, bank.MagicCode(platforms.WeChat, 98))); err == nil {
			t.Fatal(name, "answered")
		}
		if a, err := p.Query(ctx, charge(no+"4", 1200, "").Ref); err != nil || a.Status == platforms.Paid {
			t.Fatal(name, a, err)
		}
		// Garbage by injection.
		s.call(http.MethodPost, "/faults", map[string]any{"platform": name, "op": "query", "fault": "garbage"}, 200, nil)
		if a, err := p.Query(ctx, charge(no+"1", 1234, "").Ref); err == nil {
			t.Fatal(name, a)
		}
	}
	var st struct {
		Purse world.Purse `json:"purse"`
	}
	s.call(http.MethodGet, "/state", nil, 200, &st)
	if st.Purse.TotalFen != 2*(1291+1200) || st.Purse.ByWallet[platforms.WeChat] != st.Purse.TotalFen {
		t.Errorf("%+v", st)
	}
}

func TestTheTruthSurvivesARestart(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	s := start(t, dir, c, nowhere)
	p := s.adapters()["smartpay"]
	if _, err := p.Charge(t.Context(), charge("MZ1", 1200, s.freshCode(90))); err != nil {
		t.Fatal(err)
	}
	s.stop()
	f, err := os.OpenFile(filepath.Join(dir, world.LedgerName), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString("torn")
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	c.add(20 * time.Second)
	s = start(t, dir, c, nowhere)
	if a, err := s.adapters()["smartpay"].Query(t.Context(), charge("MZ1", 1200, "").Ref); err != nil || a.Status != platforms.Paid {
		t.Fatal(a, err)
	}
	if o := s.order("MZ1"); o.NetFen != 1200 || o.PayRequests != 1 {
		t.Fatalf("%+v", o)
	}
	s.stop()
	if !strings.Contains(s.errs.String(), "damaged tail of 4 bytes") {
		t.Errorf("nothing said of the cut: %s", &s.errs)
	}
	if out := s.command("ledger", "-data", dir); !strings.Contains(out, "MZ1") || !strings.Contains(out, "12.00") || !strings.Contains(out, "测试") {
		t.Error(out)
	}
	var truth world.Truth
	if err := json.Unmarshal([]byte(s.command("ledger", "-data", dir, "-json")), &truth); err != nil || len(truth.Orders) != 1 || truth.NetFen != 1200 {
		t.Errorf("%v %+v", err, truth)
	}
}

func TestPhoneScansIntoTheBoxAndPaysQRCodes(t *testing.T) {
	s := start(t, t.TempDir(), newClock(), nowhere)
	port, err := os.OpenFile(s.at.Boxes["counter1"], os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = port.Close() }()
	if err := port.SetReadDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	expect := func(want string) {
		t.Helper()
		got := make([]byte, len(want))
		if _, err := io.ReadFull(port, got); err != nil || string(got) != want {
			t.Fatalf("%q, want %q: %v", got, want, err)
		}
	}
	code := s.freshCode(0)
	s.call(http.MethodPost, "/scanbox", map[string]string{"text": code}, 200, nil)
	expect(code + "\r")
	s.command("scan", "-world", s.at.Pages, "-box", "counter1", "-suffix", "stxetx", "-style", "doubled", "XYZ")
	expect("\x02XYZ\x03\x02XYZ\x03")
	s.command("scan", "-world", s.at.Pages, "-")
	expect("134567890123456789\r")
	s.call(http.MethodPost, "/scanbox/unplug", map[string]string{"box": "counter1"}, 200, nil)
	s.call(http.MethodPost, "/scanbox", map[string]string{"text": code}, 422, nil)
	s.call(http.MethodPost, "/scanbox/plug", map[string]string{}, 200, nil)
	s.call(http.MethodPost, "/scanbox/plug", map[string]string{"box": "nobody's"}, 422, nil)

	// A QR code made over the wire, paid by the phone.
	p, ok := s.adapters()["fwc"].(platforms.Presenter)
	if !ok {
		t.Fatal("fwc shows no QR codes")
	}
	c := charge("ZJMZ1", 500, "")
	c.Mode, c.Code = platforms.ModePresent, platforms.AuthCode{}
	a, err := p.Present(t.Context(), c)
	if err != nil || a.QR != world.QRText("ZJMZ1") {
		t.Fatal(a, err)
	}
	var open []world.QR
	s.call(http.MethodGet, "/phone/qrs", nil, 200, &open)
	if len(open) != 1 || open[0].Text != a.QR {
		t.Fatalf("%+v", open)
	}
	s.call(http.MethodPost, "/phone/pay", map[string]string{"wallet": "alipay", "qr": a.QR}, 422, nil) // it is WeChat's
	s.call(http.MethodPost, "/phone/pay", map[string]string{"wallet": "wechat", "qr": a.QR}, 200, nil)
	if o := s.order("ZJMZ1"); o.NetFen != 500 || o.Mode != platforms.ModePresent {
		t.Errorf("%+v", o)
	}
}

func TestTheNetworkSwitch(t *testing.T) {
	s := start(t, t.TempDir(), newClock(), nowhere)
	p := s.adapters()["smartpay"]
	query := func(patience time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		_, err := p.Query(ctx, charge("X", 1, "").Ref)
		return err
	}
	for _, mode := range []string{"", "refuse", "reset"} {
		if err := query(time.Minute); err != nil {
			t.Fatal(err)
		}
		var n struct {
			Down bool
			Mode string
		}
		s.call(http.MethodPost, "/net", map[string]any{"down": true, "mode": mode}, 200, &n)
		if !n.Down || mode != "" && n.Mode != mode || query(time.Second) == nil {
			t.Fatalf("%s: %+v", mode, n)
		}
		s.call(http.MethodGet, "/ledger", nil, 200, nil) // the pages stay
		s.call(http.MethodPost, "/net", map[string]any{"down": false}, 200, nil)
	}
	s.call(http.MethodPost, "/net", map[string]any{"down": true, "mode": "up"}, 422, nil)
	s.call(http.MethodPost, "/net", map[string]any{"down": true, "mode": "slow"}, 422, nil)
	if out := s.command("net", "-world", s.at.Pages, "blackhole"); !strings.Contains(out, "blackhole") {
		t.Error(out)
	}
	if out := s.command("net", "-world", s.at.Pages); !strings.Contains(out, "true") {
		t.Error(out)
	}
	s.command("net", "-world", s.at.Pages, "up")
	if err := query(time.Minute); err != nil {
		t.Fatal(err)
	}
}

func TestEveryPageSaysThatItIsATest(t *testing.T) {
	s := start(t, t.TempDir(), newClock(), nowhere)
	pages := []string{"/", "/phone", "/his"}
	asset := regexp.MustCompile(`(?:src|href)="(/[^"]*)"`)
	for _, path := range pages {
		got := s.fetch(path, "", "", 200)
		for _, want := range []string{`class="watermark"`, "测试 TEST", `id="net-switch"`, "<title>测试", `class="zh"`, `class="en"`} {
			if !strings.Contains(got, want) {
				t.Errorf("%s lacks %s", path, want)
			}
		}
		if strings.Contains(got, "<script>") || strings.Contains(got, "onclick=") || strings.Contains(got, "style=") {
			t.Errorf("%s has what its policy forbids", path)
		}
		for _, m := range asset.FindAllStringSubmatch(got, -1) {
			s.fetch(m[1], "", "", 200) // no link leads nowhere
		}
	}
	s.fetch("/nothing", "", "", 404)
	for _, c := range [][2]string{{"evil.example", ""}, {"192.168.1.5:8790", ""}, {"", "http://evil.example"}, {"", "null"}} {
		for _, path := range append(pages, "/state", "/ledger") {
			s.fetch(path, c[0], c[1], 403)
		}
	}
	s.fetch("/state", "localhost:8790", "http://localhost:8790", 200)
}

func (s *sim) fetch(path, host, origin string, want int) string {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.at.Pages+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if host != "" {
		req.Host = host
	}
	if origin != "" {
		req.Header.Set("Origin", origin)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != want || resp.Header.Get("X-Paysim") != "test" {
		s.t.Fatalf("%s from %q at %q: %d %v", path, origin, host, resp.StatusCode, err)
	}
	return string(text)
}

func TestTheHISWorksThroughTheAgentsDoor(t *testing.T) {
	door := &doortest.Door{}
	agent := httptest.NewServer(door)
	defer agent.Close()
	s := start(t, t.TempDir(), newClock(), agent.URL)
	var bills []struct {
		Bill   string   `json:"bill"`
		Orders []string `json:"orders"`
	}
	s.call(http.MethodGet, "/his/bills", nil, 200, &bills)
	var pressed []struct {
		Key    string
		Answer struct {
			Status int
			Body   struct {
				No    string `json:"out_trade_no"`
				State string `json:"state"`
			}
		}
	}
	s.call(http.MethodPost, "/his/orders", map[string]any{"bill": bills[0].Bill, "mode": "charge", "till": "counter2", "click": "twice_same_key", "workstation": 1}, 200, &pressed)
	if len(pressed) != 2 || pressed[0].Answer.Body.No == "" || pressed[0].Answer.Body.No != pressed[1].Answer.Body.No {
		t.Fatalf("%+v", pressed)
	}
	no := pressed[0].Answer.Body.No
	var a struct {
		Status int
		Body   map[string]any
	}
	s.call(http.MethodPost, "/his/orders/"+no+"/check", nil, 200, &a)
	s.call(http.MethodGet, "/his/orders/"+no+"?wait=1s", nil, 200, nil)
	s.call(http.MethodGet, "/his/orders/"+no, nil, 200, &a)
	if a.Status != 200 || a.Body["state"] != "paid" {
		t.Fatalf("%+v", a)
	}
	s.call(http.MethodPost, "/his/orders/"+no+"/refunds", map[string]any{"amount_fen": 5, "reason": "测试"}, 200, &a)
	s.call(http.MethodGet, "/his/orders?bill="+bills[0].Bill, nil, 200, &a)
	s.call(http.MethodPost, "/his/orders/"+no+"/explode", nil, 404, nil)
	s.call(http.MethodPost, "/his/orders/"+no+"/cancel", map[string]any{"workstation": 2}, 422, nil)
	s.call(http.MethodPost, "/his/orders", map[string]any{"bill": "none"}, 422, nil)
	s.call(http.MethodPost, "/his/orders", map[string]any{"bil": "typo"}, 422, nil)
	s.call(http.MethodGet, "/his/orders/"+no+"?wait=1h", nil, 422, nil)
	s.call(http.MethodPost, "/his/bills", map[string]any{"amount_fen": 77}, 200, nil)
	s.call(http.MethodPost, "/his/forget", nil, 200, &bills)
	if len(bills) != 12 || len(bills[0].Orders) != 0 {
		t.Errorf("%+v", bills)
	}
	calls := door.Calls()
	if !strings.Contains(calls[0].Body, `"till":"counter2"`) || !strings.Contains(calls[0].Body, "T1002") {
		t.Error(calls[0].Body)
	}
	s.clicks(door, agent.URL, no)
	s.books(door, no)
	agent.Close()
	s.call(http.MethodGet, "/compare", nil, 502, nil)
	s.call(http.MethodGet, "/his/orders/"+no, nil, 502, nil)
}

// books looks at HIS's books: an order booked by hand, one that HIS failed to
// process, and the three books side by side.
func (s *sim) books(door *doortest.Door, paid string) {
	s.t.Helper()
	var b struct {
		Conduct his.Conduct `json:"conduct"`
		Entries []his.Entry `json:"entries"`
	}
	s.call(http.MethodPost, "/his/conduct", map[string]any{"manner": "rudely"}, 422, nil)
	s.call(http.MethodPost, "/his/conduct", map[string]any{"manner": "late", "late_s": 12}, 200, &b)
	if b.Conduct.Manner != his.Late || b.Conduct.LateS != 12 || len(b.Entries) != 0 {
		s.t.Errorf("%+v", b)
	}
	s.call(http.MethodPost, "/his/orders/NOSUCH/booking", nil, 422, nil)
	s.call(http.MethodPost, "/his/orders/"+paid+"/booking", nil, 200, &b)
	if len(b.Entries) != 1 || b.Entries[0].OrderNo != paid || b.Entries[0].Told != "done" {
		s.t.Errorf("%+v", b)
	}
	s.call(http.MethodPost, "/his/orders/"+paid+"/booking", map[string]any{"failed": true}, 200, nil)
	var c struct {
		Rows   []his.Row
		Counts map[his.Class]int
	}
	s.call(http.MethodGet, "/compare", nil, 200, &c)
	// The stand-in's money never was in the pretend bank: HIS alone has it.
	if len(c.Rows) != 1 || c.Rows[0].Class != his.Short || c.Counts[his.Short] != 1 || c.Rows[0].HisFen == 0 {
		s.t.Errorf("%+v", c)
	}
	var out bytes.Buffer
	err := command(s.t.Context(), []string{"ledger", "-compare", "-world", s.at.Pages}, console{strings.NewReader(""), &out, io.Discard})
	if err == nil || !strings.Contains(err.Error(), "1 of 1 orders differ") || !strings.Contains(out.String(), paid) || !strings.Contains(out.String(), "short") {
		s.t.Errorf("%v %s", err, out.String())
	}
	if err := command(s.t.Context(), []string{"ledger", "-compare", "-data", "x"}, console{strings.NewReader(""), &out, io.Discard}); !errors.Is(err, errUsage) {
		s.t.Error(err)
	}
}

// clicks tries the same by the command line.
func (s *sim) clicks(door *doortest.Door, agent, paid string) {
	s.t.Helper()
	out := s.command("his", "create", "-agent", agent, "-bill", "B9", "-amount", "1200", "-channel", "wechat", "-code", "-", "-key", "k9", "-wait", "10s")
	if !strings.Contains(out, `"paid"`) {
		s.t.Error(out)
	}
	calls := door.Calls()
	found := false
	for _, c := range calls {
		found = found || c.Key == "k9" && strings.Contains(c.Body, `"auth_code":"134567890123456789"`) && strings.Contains(c.Body, `"amount_fen":1200`)
	}
	if !found {
		s.t.Errorf("%+v", calls)
	}
	for _, args := range [][]string{{"show", paid}, {"wait", paid}, {"check", paid}, {"cancel", paid}, {"detach", paid}, {"confirm", paid}} {
		if out := s.command("his", args[0], "-agent", agent, args[1]); !strings.Contains(out, paid) {
			s.t.Error(args, out)
		}
	}
	s.command("his", "refund", "-agent", agent, "-amount", "5", paid)
	s.command("his", "bill", "-agent", agent, "-bill", "B9")
	var got bytes.Buffer
	if err := command(s.t.Context(), []string{"his", "show", "-agent", agent, "MZ404"}, console{nil, &got, &got}); err == nil || !strings.Contains(got.String(), "404") {
		s.t.Errorf("%v %s", err, &got)
	}
	out = s.command("load", "-agent", agent, "-n", "8", "-c", "2", "-actions", "plain", "-instructions", "0", "-patience", "2m")
	if strings.Count(out, "\n") != 8 || strings.Count(out, `"verdict":"paid"`) != 8 {
		s.t.Error(out)
	}
}

func TestOnlyLoopback(t *testing.T) {
	for _, bad := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.168.1.2:0", "pay.example:80", "127.0.0.1", "[::ffff:10.0.0.1]:0"} {
		for _, flag := range []string{"-listen", "-platforms"} {
			args := []string{"serve", "-data", t.TempDir(), "-listen", "127.0.0.1:0", "-platforms", "127.0.0.1:0", flag, bad}
			if err := command(t.Context(), args, console{nil, io.Discard, io.Discard}); err == nil || !strings.HasPrefix(err.Error(), "cannot use the address") {
				t.Errorf("%s %s: %v", flag, bad, err)
			}
		}
	}
	for _, args := range [][]string{
		{"serve", "-agent", "http://10.0.0.1:8780"}, {"his", "show", "-agent", "https://agent.example", "X"},
		{"load", "-agent", "http://10.0.0.1"}, {"ledger", "-world", "http://10.0.0.1"}, {"net", "-world", "x"},
	} {
		if err := command(t.Context(), args, console{nil, io.Discard, io.Discard}); err == nil || !strings.HasPrefix(err.Error(), "cannot use -") {
			t.Errorf("%v: %v", args, err)
		}
	}
	for _, good := range []string{"127.0.0.1:0", "[::1]:0", "localhost:80", "127.9.9.9:1"} {
		if err := onLoopback(good); err != nil {
			t.Error(err)
		}
	}
}

func TestCommandLinesThatAreWrong(t *testing.T) {
	for _, args := range [][]string{
		{}, {"dance"}, {"serve", "-nonsense"}, {"scan"}, {"scan", "a", "b"}, {"net", "up", "down"}, {"his"}, {"his", "dance"},
		{"his", "show"}, {"his", "create", "X"}, {"his", "show", "-workstation", "2", "X"}, {"load", "-instructions", "x"}, {"ledger", "-z"}, {"dance", "--help"},
	} {
		err := command(t.Context(), args, console{strings.NewReader(""), io.Discard, io.Discard})
		if !errors.Is(err, errUsage) {
			t.Errorf("%v: %v", args, err)
		}
	}
	for _, x := range []struct{ args, want string }{{"--help", "paysim demo"}, {"help", "paysim demo"}, {"-h", "paysim demo"}, {"serve -h", "-time-scale"}, {"ledger --help", "-compare"}, {"his show --help", "-agent"}} {
		var out strings.Builder
		if err := command(t.Context(), strings.Fields(x.args), console{strings.NewReader(""), &out, io.Discard}); err != nil || !strings.Contains(out.String(), x.want) {
			t.Errorf("%s gives %v\n%s", x.args, err, out.String())
		}
	}
	if err := command(t.Context(), []string{"ledger", "-data", t.TempDir()}, console{nil, io.Discard, io.Discard}); err == nil {
		t.Error("read a ledger that is not there")
	}
}

func TestTwoWorldsCannotShareAFolder(t *testing.T) {
	s := start(t, t.TempDir(), newClock(), nowhere)
	o := s.opt
	o.ptys = nil
	if err := serve(t.Context(), o, console{nil, io.Discard, io.Discard}); err == nil || !strings.Contains(err.Error(), "another paysim") {
		t.Fatal(err)
	}
	// Its addresses are written down for scripts.
	text, err := os.ReadFile(filepath.Join(s.opt.data, "paysim.json"))
	var at Addresses
	if err != nil || json.Unmarshal(text, &at) != nil || at.Pages != s.at.Pages || len(at.Platforms) != len(platformNames()) {
		t.Fatalf("%v %s", err, text)
	}
	for _, name := range platformNames() {
		if !strings.Contains(at.Platforms[name], "/"+name+"/") {
			t.Errorf("%s: %s", name, at.Platforms[name])
		}
	}
	token, err := os.ReadFile(at.TokenFile)
	if err != nil || strings.TrimSpace(string(token)) != fwctest.Token {
		t.Errorf("%v %s", err, token)
	}
	if info, err := os.Stat(at.TokenFile); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(fmt.Sprint(info), err)
	}
}
