package lctest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"payagent/platforms"
	"payagent/platforms/bank"
	"payagent/platforms/bank/wire"
	"payagent/platforms/lc/internal/sign"
	"payagent/platforms/lc/lcsuite"
	"payagent/platforms/lc/lctest"
)

var keys = sync.OnceValues(func() (lcsuite.Keys, error) { return lcsuite.NewKeys(1024) })

// rig is a gateway over books, with what it told.
type rig struct {
	t    *testing.T
	k    lcsuite.Keys
	bank *bank.Bank
	gate *lctest.Gateway
	rt   http.RoundTripper
	told []lctest.Notice
	n    int
}

func newRig(t *testing.T, opt lctest.Options) *rig {
	t.Helper()
	k, err := keys()
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, k: k}
	r.bank = bank.New(bank.Options{OnEntry: func(e bank.Entry) { r.gate.Entry(e) }})
	opt.Merchant, opt.Key = &k.Merchant.PublicKey, k.Gateway
	opt.Now = func() time.Duration { return time.Minute }
	opt.Deliver = func(n lctest.Notice) { r.told = append(r.told, n) }
	r.gate = lctest.New(r.bank, opt)
	r.rt = wire.Direct(r.gate.Handler())
	return r
}

// params are those of a request with a nonce of its own.
func (r *rig) params(method, biz string) url.Values {
	r.n++
	return url.Values{
		"app_id": {lctest.AppID}, "method": {method}, "timestamp": {"2026-01-01 00:01:00"}, "nonce_str": {strings.Repeat("0", 20) + string(rune('a'+r.n))},
		"biz_content": {biz}, "sign_type": {"rsa"},
	}
}

func (r *rig) sign(v url.Values) url.Values {
	var list []sign.Param
	for name := range v {
		list = append(list, sign.Param{Name: name, Value: v.Get(name)})
	}
	s, err := sign.Sign(r.k.Merchant, sign.SHA1, sign.Text(list, true))
	if err != nil {
		r.t.Fatal(err)
	}
	v.Set("sign", s)
	return v
}

type answer struct {
	Code, Msg, Sign string
	Nonce           string `json:"nonce_str"`
	Biz             struct {
		SubCode string `json:"sub_code"`
		Status  string `json:"trade_status"`
		Amount  any    `json:"total_amount"`
		Goto    string `json:"goto_url"`
		QR      string `json:"qr_code"`
		Action  string
	} `json:"biz_content"`
}

func (r *rig) ask(v url.Values) answer {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, "http://gateway.invalid/gateway", strings.NewReader(v.Encode()))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	resp, err := r.rt.RoundTrip(req)
	if err != nil {
		r.t.Fatal(err)
	}
	var a answer
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil || resp.StatusCode != 200 {
		r.t.Fatal(resp.Status, err)
	}
	return a
}

func (r *rig) call(method, biz string) answer { return r.ask(r.sign(r.params(method, biz))) }

const h5 = `{"out_trade_no":"MZ1","total_amount":"88.88","subject":"x","order_type":"TREATMENT","notify_url":"http://h.invalid/n?a=1","return_url":"http://h.invalid/r"}`

// TestNotifies: success and closed by default; finished and waiting where it is
// switched on; none without an address; by address or by body.
func TestNotifies(t *testing.T) {
	for name, x := range map[string]struct {
		opt  lctest.Options
		want string
	}{
		"default":  {lctest.Options{}, "TRADE_SUCCESS TRADE_CLOSED"},
		"by body":  {lctest.Options{NotifyByBody: true}, "TRADE_SUCCESS TRADE_CLOSED"},
		"waiting":  {lctest.Options{NotifyWaiting: true}, "WAIT_BUYER_PAY TRADE_SUCCESS TRADE_CLOSED"},
		"finished": {lctest.Options{NotifyFinished: true}, "TRADE_SUCCESS TRADE_FINISHED TRADE_CLOSED"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, x.opt)
			if a := r.call("lc.trade.h5.pay", h5); a.Biz.Goto == "" || a.Sign == "" {
				t.Fatalf("%+v", a)
			}
			r.call("lc.trade.h5.pay", strings.ReplaceAll(strings.Replace(h5, "MZ1", "MZ2", 1), "notify_url", "other"))
			r.bank.Scan(time.Minute, "MZ2", bank.Payer{})
			paid := r.bank.Scan(time.Minute, "MZ1", bank.Payer{Channel: platforms.Alipay})
			r.gate.Finish(paid, time.Minute)
			r.call("lc.trade.cancel", `{"out_trade_no":"MZ1"}`)
			var words []string
			for _, n := range r.told {
				words = append(words, n.Status)
				if n.OrderNo != "MZ1" || !strings.HasPrefix(n.URL, "http://h.invalid/n?a=1") || (n.Form != "") != x.opt.NotifyByBody {
					t.Errorf("%+v", n)
				}
				query := n.Form
				if query == "" {
					query = strings.TrimPrefix(n.URL, "http://h.invalid/n?a=1&")
				}
				v, err := url.ParseQuery(query)
				if err != nil || v.Get("sign") == "" || v.Get("nonce_str") == "" || v.Get("method") != "lc.trade.notify" {
					t.Errorf("%v %v", v, err)
				}
				if !strings.HasPrefix(v.Get("biz_content"), `{"out_trade_no":"MZ1","trade_no":"`) || !strings.Contains(v.Get("biz_content"), `"total_amount":88.88,"trade_status":"`+n.Status) {
					t.Errorf("biz_content %s is not in the sample's order", v.Get("biz_content"))
				}
			}
			if got := strings.Join(words, " "); got != x.want {
				t.Errorf("told %s, want %s", got, x.want)
			}
		})
	}
}

// A part refund is no event; a whole one closes, as does time.
func TestNotifiesClosed(t *testing.T) {
	r := newRig(t, lctest.Options{})
	r.call("lc.trade.h5.pay", h5)
	r.bank.Scan(time.Minute, "MZ1", bank.Payer{})
	refund := `{"out_trade_no":"MZ1","trade_amount":"88.88","refund_amount":"8.88","out_request_no":"R1"}`
	r.call("lc.trade.refund", refund)
	if len(r.told) != 1 {
		t.Errorf("a part refund was told: %+v", r.told)
	}
	r.call("lc.trade.refund", strings.NewReplacer(`"8.88"`, `"80.00"`, "R1", "R2").Replace(refund))
	if len(r.told) != 2 || r.told[1].Status != "TRADE_CLOSED" {
		t.Errorf("%+v", r.told)
	}
	r.call("lc.trade.h5.pay", strings.Replace(h5, "MZ1", "MZ3", 1))
	r.bank.Settle(time.Hour)
	if len(r.told) != 3 || r.told[2].OrderNo != "MZ3" || r.told[2].Status != "TRADE_CLOSED" {
		t.Errorf("%+v", r.told)
	}
}

// TestRefuses: signature, app_id, nonce, fields and lengths.
func TestRefuses(t *testing.T) {
	r := newRig(t, lctest.Options{})
	const query = `{"out_trade_no":"MZ1"}`
	credentials := map[string]func(url.Values){
		"app_id": func(v url.Values) { v.Set("app_id", "LCOP2"); r.sign(v) }, "changed": func(v url.Values) { v.Set("biz_content", `{"out_trade_no":"MZ2"}`) },
		"no sign": func(v url.Values) { v.Del("sign") }, "sign_type": func(v url.Values) { v.Set("sign_type", "rsa2"); r.sign(v) },
	}
	for name, spoil := range credentials {
		v := r.sign(r.params("lc.trade.query", query))
		spoil(v)
		if a := r.ask(v); a.Biz.SubCode != lctest.CredentialCode || a.Code != "40004" || a.Sign == "" {
			t.Errorf("%s: %+v", name, a)
		}
	}
	v := r.sign(r.params("lc.trade.query", query))
	if a := r.ask(v); a.Biz.SubCode != "TRADE_NOT_EXIST" || a.Nonce != v.Get("nonce_str") {
		t.Errorf("%+v", a)
	}
	if a := r.ask(v); a.Biz.SubCode != "ILLEGAL_ARGUMENT" {
		t.Errorf("the same nonce again: %+v", a)
	}
	for name, x := range map[string][2]string{
		"method":        {"lc.trade.guess", query},
		"no JSON":       {"lc.trade.query", "MZ1"},
		"two documents": {"lc.trade.query", query + query},
		"no number":     {"lc.trade.query", `{}`},
		"null number":   {"lc.trade.query", `{"out_trade_no":null}`},
		"long number":   {"lc.trade.query", `{"out_trade_no":"` + strings.Repeat("9", 33) + `"}`},
		"no code":       {"lc.trade.barcode.pay", `{"out_trade_no":"MZ1","total_amount":"1.00","subject":"x"}`},
		"amount":        {"lc.trade.h5.pay", strings.Replace(h5, `"88.88"`, `"many"`, 1)},
		"no order_type": {"lc.trade.h5.pay", strings.Replace(h5, "order_type", "other", 1)},
		"long subject":  {"lc.trade.h5.pay", strings.Replace(h5, `"x"`, `"`+strings.Repeat("长", 51)+`"`, 1)},
		"payment_type":  {"lc.trade.qrcode.pay", `{"out_trade_no":"MZ1","total_amount":"1.00","subject":"x","payment_type":"cash"}`},
		"no prescription": {"lc.ssc.trade.pay", `{"out_trade_no":"MZ1","ssc_scene":"TREATMENT","subject":"x","notify_url":"n","return_url":"r","total_amount":1.00,"payment_type":"alipay","user_id":"u",` +
			`"patient_name":"n","patient_card_no":"c","org_name":"o","org_no":"o","ssc_ins_type":"YB","city_code":"c","cash_fee":"1.00","insurance_fee":"0.00"}`},
	} {
		if a := r.call(x[0], x[1]); a.Biz.SubCode != "ILLEGAL_ARGUMENT" || a.Sign == "" {
			t.Errorf("%s: %+v", name, a)
		}
	}
	for name, change := range map[string]func(url.Values){
		"timestamp": func(v url.Values) { v.Set("timestamp", "now") }, "long nonce": func(v url.Values) { v.Set("nonce_str", strings.Repeat("n", 33)) },
		"no nonce": func(v url.Values) { v.Del("nonce_str") },
	} {
		v := r.params("lc.trade.query", query)
		change(v)
		if a := r.ask(r.sign(v)); a.Biz.SubCode != "ILLEGAL_ARGUMENT" {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

func TestWords(t *testing.T) {
	r := newRig(t, lctest.Options{UnsignedErrors: true, Numbers: true})
	if a := r.call("lc.trade.query", `{"out_trade_no":"MZ1"}`); a.Sign != "" || a.Code != "40004" {
		t.Errorf("an error is signed: %+v", a)
	}
	a := r.call("lc.trade.qrcode.pay", `{"out_trade_no":"MZ1","total_amount":88.88,"subject":"x","payment_type":"alipay","timeout_express":"1c"}`)
	if n, is := a.Biz.Amount.(float64); a.Sign == "" || !is || n != 88.88 || a.Biz.QR == "" {
		t.Errorf("%+v", a)
	}
	if a := r.call("lc.trade.query", `{"out_trade_no":"MZ1"}`); a.Biz.Status != "WAIT_BUYER_PAY" {
		t.Errorf("%+v", a)
	}
	if a := r.call("lc.trade.close", `{"out_trade_no":"MZ1"}`); a.Biz.SubCode != "" {
		t.Errorf("%+v", a)
	}
	if a := r.call("lc.trade.query", `{"out_trade_no":"MZ1"}`); a.Biz.Status != "TRADE_CLOSED" {
		t.Errorf("%+v", a)
	}
}

// TestPages: the page of an order pays or is left, and both lead back.
func TestPages(t *testing.T) {
	r := newRig(t, lctest.Options{})
	r.call("lc.trade.h5.pay", h5)
	get := func(method, address, form string) *http.Response {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://gateway.invalid"+address, strings.NewReader(form))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := r.rt.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	page, err := io.ReadAll(get(http.MethodGet, "/goto/MZ1", "").Body)
	if err != nil || !strings.Contains(string(page), "88.88") || !strings.Contains(string(page), "TEST") {
		t.Errorf("%s %v", page, err)
	}
	for do, want := range map[string]string{"leave": "5001", "pay": "TRADE_SUCCESS"} {
		to, err := get(http.MethodPost, "/goto/MZ1", "do="+do).Location()
		if err != nil || to.Host != "h.invalid" || !strings.Contains(to.Query().Get("biz_content"), want) || to.Query().Get("method") != "lc.trade.h5.pay.return" {
			t.Errorf("%s: %v %v", do, to, err)
		}
	}
	if r.bank.Net("MZ1") != 8888 {
		t.Error("nothing was paid")
	}
	to, err := get(http.MethodGet, "/oauth2/medicareAuth?app_id="+lctest.AppID+"&open_id=o1&state=s1&redirect_uri=http%3A%2F%2Fh.invalid%2Fa%3Fx%3D1", "").Location()
	if err != nil || to.Query().Get("state") != "s1" || to.Query().Get("auth_code") != lctest.AuthCode("o1") || to.Query().Get("x") != "1" {
		t.Errorf("%v %v", to, err)
	}
	for _, bad := range []string{"/goto/MZ9", "/oauth2/medicareAuth?app_id=x"} {
		if resp := get(http.MethodGet, bad, ""); resp.StatusCode < 400 {
			t.Errorf("%s: %s", bad, resp.Status)
		}
	}
	if resp := get(http.MethodPost, "/goto/MZ1", "do=steal"); resp.StatusCode != http.StatusNotFound {
		t.Error(resp.Status)
	}
}

func TestSend(t *testing.T) {
	var got []string
	reply := "success"
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = append(got, r.Method+" "+r.URL.RawQuery+" "+string(body))
		_, _ = io.WriteString(w, reply)
	}))
	defer srv.Close()
	for want, n := range map[string]lctest.Notice{"POST a=1 ": {URL: srv.URL + "/?a=1"}, "POST  b=2": {URL: srv.URL, Form: "b=2"}} {
		got, reply = nil, "success\n"
		if taken, err := lctest.Send(t.Context(), srv.Client(), n); !taken || err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("%v %v %v", taken, err, got)
		}
		reply = "fail"
		if taken, err := lctest.Send(t.Context(), srv.Client(), n); taken || err != nil {
			t.Errorf("%v %v", taken, err)
		}
	}
}
