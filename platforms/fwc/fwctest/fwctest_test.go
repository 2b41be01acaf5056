package fwctest_test

import (
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"payagent/platforms"
	"payagent/platforms/bank"
	"payagent/platforms/fwc/fwctest"
)

// world is a simulator with a clock of its own.
type world struct {
	bank *bank.Bank
	h    http.Handler
	now  time.Duration
}

func newWorld(opt fwctest.Options) *world {
	w := &world{bank: bank.New(bank.Options{}), now: time.Second}
	opt.Now = func() time.Duration { return w.now }
	w.h = fwctest.Handler(w.bank, opt)
	return w
}

// post sends a bare document to an operation.
func (w *world) post(op, head string) (int, string) {
	return w.send("/"+op, "text/xml", "", "<xml><head>"+head+"</head><body></body><sign></sign></xml>")
}

func (w *world) send(path, kind, action, body string) (int, string) {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", kind)
	if action != "" {
		r.Header.Set("SOAPAction", action)
	}
	rec := httptest.NewRecorder()
	defer func() {
		// A lost request is an aborted handler; everything else is an error.
		if p := recover(); p != nil && p != http.ErrAbortHandler { //nolint:errorlint // net/http compares so too
			panic(p)
		}
	}()
	w.h.ServeHTTP(rec, r)
	return rec.Code, rec.Body.String()
}

const (
	token = "<AccessToken>" + fwctest.Token + "</AccessToken>"
	who   = "<Caption>c</Caption><PatientName>n</PatientName><InhospitalNo>1</InhospitalNo><OrderType>TREATMENT</OrderType>"
)

func pay(no, amount string) string {
	return token + "<OutTradeNo>" + no + "</OutTradeNo><AuthCode>134567890123456789</AuthCode><TotalAmount>" + amount + "</TotalAmount>" + who
}

func has(t *testing.T, doc string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(doc, p) {
			t.Errorf("%s is missing in %s", p, doc)
		}
	}
}

func TestEchoAndEmptySign(t *testing.T) {
	w := newWorld(fwctest.Options{})
	_, doc := w.post("FWC_IF_Barcode_Pay", pay("MZ1", "1.00"))
	has(t, doc, token, "<AuthCode>134567890123456789</AuthCode>", "<IsSuccess>1</IsSuccess>", "<sign></sign>", "<TotalAmount>1.00</TotalAmount>")
	if strings.Contains(doc, "OrderType") || strings.Contains(doc, "TradeStatus") {
		t.Errorf("the echo has OrderType, or a pay answer a status: %s", doc)
	}
	if w.bank.Net("MZ1") != 100 {
		t.Errorf("the payer is out of %v", w.bank.Net("MZ1"))
	}
}

func TestRefusals(t *testing.T) {
	w := newWorld(fwctest.Options{})
	for name, c := range map[string]struct{ op, head, want string }{
		"no token":       {"FWC_IF_Barcode_Pay", strings.TrimPrefix(pay("MZ1", "1.00"), token), "<IsSuccess>3</IsSuccess>"},
		"wrong token":    {"FWC_IF_Barcode_Pay_Query", "<AccessToken>x</AccessToken><OutTradeNo>MZ1</OutTradeNo>", "<IsSuccess>3</IsSuccess>"},
		"no amount":      {"FWC_IF_Barcode_Pay", pay("MZ1", ""), "ILLEGAL_ARGUMENT"},
		"odd amount":     {"FWC_IF_Barcode_Pay", pay("MZ1", "1e2"), "ILLEGAL_ARGUMENT"},
		"order type":     {"FWC_IF_Barcode_Pay", strings.Replace(pay("MZ1", "1.00"), "TREATMENT", "GIFT", 1), "ILLEGAL_ARGUMENT"},
		"long number":    {"FWC_IF_Barcode_Pay", pay(strings.Repeat("9", 33), "1.00"), "ILLEGAL_ARGUMENT"},
		"unknown query":  {"FWC_IF_Barcode_Pay_Query", token + "<OutTradeNo>MZ1</OutTradeNo>", "<TradeStatus>TRADE_NOT_EXIST</TradeStatus>"},
		"unknown cancel": {"FWC_IF_Barcode_Pay_Cancel", token + "<OutTradeNo>MZ1</OutTradeNo>", "<CancelAction></CancelAction>"},
		"no TradeNo":     {"FWC_IF_Barcode_Pay_Refund", token + "<RefundAmount>1.00</RefundAmount><OutRequestNo>R</OutRequestNo><OutTradeNo>MZ1</OutTradeNo><TotalAmount>1.00</TotalAmount>", "ILLEGAL_ARGUMENT"},
	} {
		status, doc := w.post(c.op, c.head)
		if status != http.StatusOK {
			t.Errorf("%s: HTTP %d", name, status)
		}
		has(t, doc, c.want)
	}
	// A head that says something twice is not readable, so no token is in it.
	_, doc := w.post("FWC_IF_Barcode_Pay", pay("MZ1", "1.00")+"<TotalAmount>9.00</TotalAmount>")
	has(t, doc, "<IsSuccess>3</IsSuccess>")
	if n := len(w.bank.Trades()); n != 0 {
		t.Errorf("%d trades were made", n)
	}
}

func TestRouting(t *testing.T) {
	w := newWorld(fwctest.Options{})
	soap := `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><FWC_IF_Barcode_Pay_Query xmlns="http://tempuri.org/"><xml>&lt;xml&gt;&lt;head&gt;` +
		`&lt;OutTradeNo&gt;MZ1&lt;/OutTradeNo&gt;&lt;/head&gt;&lt;/xml&gt;</xml></FWC_IF_Barcode_Pay_Query></s:Body></s:Envelope>`
	for name, c := range map[string]struct {
		action, body string
		status       int
		want         string
	}{
		"right":           {`"http://tempuri.org/FWC_IF_Barcode_Pay_Query"`, soap, 200, "FWC_IF_Barcode_Pay_QueryResult"},
		"no action":       {"", soap, 500, "did not recognize the value of HTTP Header SOAPAction"},
		"other action":    {`"http://tempuri.org/FWC_IF_Nothing"`, soap, 500, "did not recognize"},
		"other operation": {`"http://tempuri.org/FWC_IF_Barcode_Pay"`, soap, 500, "the body is not FWC_IF_Barcode_Pay"},
		"no envelope":     {`"http://tempuri.org/FWC_IF_Barcode_Pay"`, "<x/>", 500, "unable to read"},
	} {
		status, doc := w.send("/linkingif.asmx", "text/xml; charset=utf-8", c.action, c.body)
		if status != c.status {
			t.Errorf("%s: HTTP %d", name, status)
		}
		has(t, doc, c.want)
	}
	status, doc := w.send("/linkingif.asmx", `application/soap+xml; action="urn:x"`, "", soap)
	if status != 500 {
		t.Errorf("SOAP 1.2: HTTP %d", status)
	}
	has(t, doc, "http://www.w3.org/2003/05/soap-envelope", "did not recognize")
	if status, _ := w.send("/FWC_IF_Nothing", "application/x-www-form-urlencoded", "", "xml=x"); status != 400 {
		t.Errorf("a form for nothing: HTTP %d", status)
	}
	r := httptest.NewRequest(http.MethodGet, "/linkingif.asmx", nil)
	rec := httptest.NewRecorder()
	w.h.ServeHTTP(rec, r)
	if rec.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET: HTTP %d", rec.Code)
	}
	_, doc = w.send("/FWC_IF_Barcode_Pay_Query", "application/x-www-form-urlencoded", "", "xml=%3Cxml%3E")
	has(t, doc, "<IsSuccess>3</IsSuccess>")
}

// TestScripts: the amounts of the pretend world mean here what they mean
// everywhere.
func TestScripts(t *testing.T) {
	w := newWorld(fwctest.Options{})
	query := func(no string) string {
		_, doc := w.post("FWC_IF_Barcode_Pay_Query", token+"<OutTradeNo>"+no+"</OutTradeNo>")
		return doc
	}
	_, doc := w.post("FWC_IF_Barcode_Pay", pay("LATE", "1.92"))
	has(t, doc, "<IsSuccess>1</IsSuccess>", "用户支付中")
	has(t, query("LATE"), "<TradeStatus>WAIT_BUYER_PAY</TradeStatus>")
	w.now += 50 * time.Second
	has(t, query("LATE"), "<TradeStatus>TRADE_SUCCESS</TradeStatus>", "<PaymentDateTime>2026-01-01 00:00:51</PaymentDateTime>")
	_, doc = w.post("FWC_IF_Barcode_Pay_Cancel", token+"<OutTradeNo>LATE</OutTradeNo>")
	has(t, doc, "<CancelAction>refund</CancelAction>", "<RetryFlag>N</RetryFlag>")
	has(t, query("LATE"), "<TradeStatus>TRADE_CLOSED</TradeStatus>")

	_, doc = w.post("FWC_IF_Barcode_Pay", pay("POOR", "1.94"))
	has(t, doc, "<IsSuccess>0</IsSuccess>", "余额不足")
	has(t, query("POOR"), "TRADE_NOT_EXIST")

	_, doc = w.post("FWC_IF_Barcode_Pay", pay("WRONG", "1.95"))
	has(t, doc, "<TotalAmount>2.95</TotalAmount>")
	has(t, query("WRONG"), "<TotalAmount>2.95</TotalAmount>")
}

func TestTimeoutExpress(t *testing.T) {
	for expires, life := range map[string]time.Duration{
		"": 20 * time.Minute, "1m": time.Minute, "2h": 2 * time.Hour, "15d": 360 * time.Hour, "1c": 24*time.Hour - time.Second,
	} {
		w := newWorld(fwctest.Options{})
		_, doc := w.post("FWC_IF_Qrcode_Pay", token+"<OutTradeNo>Q1</OutTradeNo><TotalAmount>1.00</TotalAmount>"+who+"<TimeoutExpress>"+expires+"</TimeoutExpress>")
		has(t, doc, "<TwoDimensionCode>https://", "<IsSuccess>1</IsSuccess>")
		w.now += life + time.Second
		if got := w.bank.Scan(w.now, "Q1", bank.Payer{Channel: platforms.WeChat}); got.State != bank.Closed {
			t.Errorf("expires %q: %s after %v", expires, got.State, life)
		}
	}
	w := newWorld(fwctest.Options{})
	w.post("FWC_IF_Qrcode_Pay", token+"<OutTradeNo>Q1</OutTradeNo><TotalAmount>1.00</TotalAmount>"+who)
	w.bank.Scan(w.now, "Q1", bank.Payer{})
	_, doc := w.post("FWC_IF_Qrcode_Pay", token+"<OutTradeNo>Q1</OutTradeNo><TotalAmount>1.00</TotalAmount>"+who)
	has(t, doc, "TRADE_HAS_SUCCESS")
}

// FuzzHandler: nothing that arrives makes the simulator panic or answer with
// something that is not XML.
func FuzzHandler(f *testing.F) {
	f.Add("/FWC_IF_Barcode_Pay", "text/xml", "", "<xml><head>"+pay("MZ1", "1.00")+"</head></xml>")
	f.Add("/x.asmx", "text/xml", `"http://tempuri.org/FWC_IF_Qrcode_Pay"`, "<s:Envelope/>")
	f.Add("/FWC_IF_Qrcode_Pay", "text/xml", "", "<xml><head>"+token+"<OutTradeNo>Q</OutTradeNo><TotalAmount>1</TotalAmount>"+who+"<TimeoutExpress>m</TimeoutExpress></head></xml>")
	f.Add("/FWC_IF_Barcode_Pay_Query", "application/x-www-form-urlencoded", "", "xml=%3Cxml%3E")
	f.Fuzz(func(t *testing.T, path, kind, action, body string) {
		if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, " \t\r\n%?#\x00\x7f") {
			return
		}
		if _, err := http.NewRequest(http.MethodPost, "http://h"+path, nil); err != nil {
			return
		}
		status, doc := newWorld(fwctest.Options{}).send(path, kind, action, body)
		if status != http.StatusOK {
			return
		}
		d := xml.NewDecoder(strings.NewReader(doc))
		for {
			_, err := d.Token()
			if err == io.EOF {
				return
			}
			if err != nil {
				t.Fatalf("%v in %q", err, doc)
			}
		}
	})
}
