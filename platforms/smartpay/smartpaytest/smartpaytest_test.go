package smartpaytest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"payagent/platforms"
	"payagent/platforms/bank"
	"payagent/platforms/bank/wire"
	"payagent/platforms/internal/strictxml"
	"payagent/platforms/smartpay"
	"payagent/platforms/smartpay/smartpaytest"
)

const token = "tok-for-the-form-gateway"

// counter is a server with books and a clock that stands until it is moved.
type counter struct {
	now  time.Duration
	bank *bank.Bank
	h    http.Handler
}

func newCounter(opt smartpaytest.Options) *counter {
	c := &counter{bank: bank.New(bank.Options{})}
	opt.Now = func() time.Duration { return c.now }
	c.h = smartpaytest.Handler(c.bank, opt)
	return c
}

func (c *counter) open(t *testing.T, tr smartpay.Transport, change ...func(*smartpay.Config)) *smartpay.Platform {
	t.Helper()
	cfg := smartpay.Config{
		Endpoint: "http://pretend/" + map[smartpay.Transport]string{smartpay.WSGWSOAP: "WSGW/services/ServiceGateWay", smartpay.RawXMLPost: "raw"}[tr],
		ClientID: "9", Transport: tr,
		TransactionCodes: smartpay.TransactionCodes{SweepCodePay: "1", QueryOrderState: "2", Revoke: "3"},
		Token:            func(string) (platforms.Hidden, error) { return platforms.Hide(token), nil },
	}
	for _, f := range change {
		f(&cfg)
	}
	p, err := smartpay.New(wire.Direct(c.h), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func order(no string, amount platforms.Fen) platforms.Charge {
	return platforms.Charge{
		Ref: platforms.Ref{
			OrderNo: no, Amount: amount, Mode: platforms.ModeCharge, Terminal: "W03",
			Merchant: platforms.Merchant{Profile: "p", Code: "M1"}, Operator: platforms.Operator{ID: "1", Name: "李收费"},
		},
		Code:      platforms.AuthCode{Hidden: platforms.Hide("134567890123456789"), Kind: platforms.KindWeChat},
		OrderType: "TREATMENT", Subject: "门诊缴费",
		Patient: platforms.Patient{CardNo: platforms.Hide("77"), CardType: "id_card"},
	}
}

func transports() []smartpay.Transport {
	return []smartpay.Transport{smartpay.WSGWSOAP, smartpay.FormGateway, smartpay.RawXMLPost}
}

func TestMagicAmounts(t *testing.T) {
	ctx := context.Background()
	for _, tr := range transports() {
		for _, s := range []struct {
			amount platforms.Fen
			want   platforms.Status
			fails  bool
			net    platforms.Fen
		}{
			{1000, platforms.Paid, false, 1000},
			{1090, platforms.Pending, false, 0},
			{1091, platforms.Unknown, true, 1091},
			{1092, platforms.Pending, false, 0},
			{1093, platforms.Pending, false, 0},
			{1094, platforms.Pending, false, 0}, // no money looks like a password
			{1096, platforms.Unknown, true, 1096},
			{1097, platforms.Unknown, true, 1097},
			{1098, platforms.Unknown, true, 0},
			{1099, platforms.Failed, false, 0},
		} {
			c := newCounter(smartpaytest.Options{Token: token})
			p := c.open(t, tr)
			a, err := p.Charge(ctx, order("A1", s.amount))
			if a.Status != s.want || (err != nil) != s.fails || c.bank.Net("A1") != s.net || errors.Is(err, platforms.ErrNotCharged) {
				t.Errorf("%s, %d: %v %v, net %v", tr, s.amount, a.Status, err, c.bank.Net("A1"))
			}
		}
	}
}

func TestAWholeOrder(t *testing.T) {
	ctx := context.Background()
	for _, tr := range transports() {
		c := newCounter(smartpaytest.Options{Token: token})
		p := c.open(t, tr)
		o := order("A1", 1090) // types a password for 20 s
		a, err := p.Charge(ctx, o)
		if err != nil || len(a.Handle) != 32 || a.OrderNo != "" || !a.PaidAt.IsZero() || a.Code != "-400011" {
			t.Fatalf("%s: %+v %v", tr, a, err)
		}
		lost := o.Ref
		if got, err := p.Query(ctx, lost); err != nil || got.Status != platforms.NotFound {
			t.Errorf("%s: by our number: %v %v", tr, got.Status, err)
		}
		ref := o.Ref
		ref.Handle = a.Handle
		for c.now = 0; c.now < 20*time.Second; c.now += 5 * time.Second {
			if got, err := p.Query(ctx, ref); err != nil || got.Status != platforms.Pending {
				t.Errorf("%s at %v: %v %v", tr, c.now, got.Status, err)
			}
		}
		if got, err := p.Query(ctx, ref); err != nil || got.Status != platforms.Paid {
			t.Errorf("%s: %v %v", tr, got.Status, err)
		}
		for i, want := range []string{"10000", "-400008"} {
			if got, err := p.Cancel(ctx, ref); err != nil || got.Code != want || got.Done != (i == 0) {
				t.Errorf("%s: revoke %d: %+v %v", tr, i, got, err)
			}
		}
		if got, err := p.Query(ctx, ref); err != nil || got.Status != platforms.Paid || c.bank.Net("A1") != 0 {
			t.Errorf("%s: after Revoke: %v %v, net %v", tr, got.Status, err, c.bank.Net("A1"))
		}
	}
}

func TestTheServerRevokesByItself(t *testing.T) {
	ctx := context.Background()
	c := newCounter(smartpaytest.Options{AutoRevoke: time.Minute, FindByHisOrderID: true})
	p := c.open(t, smartpay.RawXMLPost)
	o := order("A1", 1093) // never pays
	if _, err := p.Charge(ctx, o); err != nil {
		t.Fatal(err)
	}
	c.now = 59 * time.Second
	if a, err := p.Query(ctx, o.Ref); err != nil || a.Status != platforms.Pending || a.Handle != "A1" {
		t.Errorf("before: %+v %v", a, err)
	}
	c.now = time.Minute
	if a, err := p.Query(ctx, o.Ref); err != nil || a.Status != platforms.Closed || !a.AskNow {
		t.Errorf("after: %+v %v", a, err)
	}
}

func TestTheSeedsWholeSample(t *testing.T) {
	begin := time.Date(2024, 5, 1, 1, 0, 0, 0, time.UTC)
	c := newCounter(smartpaytest.Options{FullSample: true, Begin: begin})
	c.now = 90 * time.Minute
	a, err := c.open(t, smartpay.WSGWSOAP).Charge(context.Background(), order("A1", 100))
	if err != nil || a.OrderNo != "A1" || !a.PaidAt.Equal(begin.Add(90*time.Minute)) || len(a.TradeNo) != 28 {
		t.Errorf("%+v %v", a, err)
	}
}

func TestGBKBothWays(t *testing.T) {
	for _, tr := range transports() {
		c := newCounter(smartpaytest.Options{Token: token, Charset: "gbk", Declared: true})
		p := c.open(t, tr, func(cfg *smartpay.Config) { cfg.Charset = "gbk" })
		a, err := p.Charge(context.Background(), order("A1", 100))
		if err != nil || a.Status != platforms.Paid || a.Message != "成功" {
			t.Errorf("%s: %+v %v", tr, a, err)
		}
	}
}

func TestTheTokenIsDemanded(t *testing.T) {
	c := newCounter(smartpaytest.Options{Token: "another"})
	_, err := c.open(t, smartpay.FormGateway).Charge(context.Background(), order("A1", 100))
	if !errors.Is(err, platforms.ErrToken) || !errors.Is(err, platforms.ErrNotCharged) || len(c.bank.Trades()) != 0 {
		t.Errorf("%v", err)
	}
}

// TestOddRequests: the server answers what it cannot read in its own codes,
// and moves nothing.
func TestOddRequests(t *testing.T) {
	const pay = "<Req><TransactionCode>1</TransactionCode><Data><HisOrderId>A1</HisOrderId><TotalFee>100</TotalFee><Subject>s</Subject><OrderMemo>m</OrderMemo>" +
		"<CardNo>1</CardNo><CardType>1</CardType><OperatorId>1</OperatorId><OperatorName>n</OperatorName><ServiceId>0</ServiceId><AuthCode>134567890123456789</AuthCode></Data></Req>"
	soap := func(api, auth string) string {
		return `<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><service xmlns="http://com.yihu.wsgw/ServiceGateWay"><authInfo>` + auth +
			`</authInfo><sequenceNo>20240501093000007</sequenceNo><api>` + api + `</api><param>` + strictxml.Escape(pay) +
			`</param><paramType>1</paramType><outType>1</outType><v>1.0</v></service></e:Body></e:Envelope>`
	}
	const auth = `{"ClientId":"1","ClientVersion":"1.0","Sign":"","SessionKey":""}`
	form := func(param string) string {
		return url.Values{"param": {param}, "outType": {"1"}, "paramType": {"1"}}.Encode()
	}
	without := func(name string) string { return strings.Replace(pay, "<"+name+">", "<"+name+"/><x>", 1) }
	for _, c := range []struct{ name, path, body, want string }{
		{"good", "/raw", pay, "10000"},
		{"good SOAP", "/ServiceGateWay", soap("smartPay.SmartPay.SweepCodePay", auth), "10000"},
		{"good form", "/b/wsgw/smartPay/Any/SweepCodePay/call.do", form(pay), "10000"},
		{"not XML", "/raw", "hello", "-20001"},
		{"another document", "/raw", "<Resp/>", "-20001"},
		{"no Data", "/raw", "<Req><TransactionCode>1</TransactionCode></Req>", "-20001"},
		{"no TransactionCode", "/raw", strings.Replace(pay, ">1</TransactionCode>", "></TransactionCode>", 1), "-20002"},
		{"no OrderMemo", "/raw", strings.Replace(pay, ">m<", "><", 1), "-20000"},
		{"fee in yuan", "/raw", strings.Replace(pay, ">100<", ">1.00<", 1), "-20001"},
		{"nothing to pay", "/raw", strings.Replace(pay, ">100<", ">0<", 1), "-400009"},
		{"element not closed", "/raw", without("Subject"), "-20001"},
		{"no client", "/ServiceGateWay", soap("smartPay.SmartPay.SweepCodePay", "{}"), "-14009"},
		{"another interface", "/ServiceGateWay", soap("pay.PayWs.SweepCodePay", auth), "-14006"},
		{"another method", "/ServiceGateWay", soap("smartPay.SmartPay.Other", auth), "-14006"},
		{"no envelope", "/ServiceGateWay", pay, "-14009"},
		{"form without outType", "/wsgw/smartPay/SmartPay/SweepCodePay/call.do", url.Values{"param": {pay}}.Encode(), "50000"},
		{"form to nowhere", "/wsgw/other/SmartPay/SweepCodePay/call.do", form(pay), "50000"},
		{"form with junk", "/wsgw/smartPay/SmartPay/SweepCodePay/call.do", form("junk"), "-20001"},
		{"query of nothing", "/raw", "<Req><TransactionCode>1</TransactionCode><Data><OrderId>1</OrderId><MerchCode>1</MerchCode></Data></Req>", "-400002"},
		{"revoke of nothing", "/raw", "<Req><TransactionCode>1</TransactionCode><Data><OrderId>1</OrderId><OperatorId>1</OperatorId><OperatorName>1</OperatorName></Data></Req>", "-400002"},
		{"revoke by nobody", "/raw", "<Req><TransactionCode>1</TransactionCode><Data><OrderId>1</OrderId><OperatorId> </OperatorId></Data></Req>", "-20000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			world := newCounter(smartpaytest.Options{})
			r := httptest.NewRequest(http.MethodPost, "http://pretend"+c.path, strings.NewReader(c.body))
			if strings.HasSuffix(c.path, ".do") {
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			}
			resp, err := wire.Direct(world.h).RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != http.StatusOK {
				t.Fatalf("%d %v", resp.StatusCode, err)
			}
			if !strings.Contains(string(body), c.want) {
				t.Errorf("want %s:\n%s", c.want, body)
			}
			if moved := len(world.bank.Trades()) != 0; moved != strings.HasPrefix(c.name, "good") {
				t.Errorf("trades: %v", world.bank.Trades())
			}
		})
	}
	w := httptest.NewRecorder()
	newCounter(smartpaytest.Options{}).h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/raw", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", w.Code)
	}
}

// FuzzRequest: no bytes make the server panic, and only a right pay request
// makes a trade.
func FuzzRequest(f *testing.F) {
	f.Add("/raw", "<Req><TransactionCode>1</TransactionCode><Data><OrderId>1</OrderId></Data></Req>")
	f.Add("/ServiceGateWay", "<e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/'><e:Body/></e:Envelope>")
	f.Add("/wsgw/smartPay/SmartPay/Revoke/call.do", "param=%3CReq%2F%3E&outType=1&paramType=1")
	f.Fuzz(func(t *testing.T, path, body string) {
		u, err := url.Parse("http://pretend/")
		if err != nil {
			t.Fatal(err)
		}
		u.Path = "/" + strings.TrimPrefix(path, "/")
		world := newCounter(smartpaytest.Options{})
		r := httptest.NewRequest(http.MethodPost, "http://pretend/", strings.NewReader(body))
		r.URL = u
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		// A connection that the script breaks is an error here, a panic is not.
		_, _ = wire.Direct(world.h).RoundTrip(r)
		for _, trade := range world.bank.Trades() {
			if trade.Amount <= 0 || trade.OrderNo == "" {
				t.Errorf("%+v", trade)
			}
		}
	})
}
