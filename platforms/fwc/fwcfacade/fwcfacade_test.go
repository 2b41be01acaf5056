package fwcfacade_test

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"payagent/platforms"
	"payagent/platforms/fwc"
	"payagent/platforms/fwc/fwcfacade"
	"payagent/platforms/internal/wiretest"
)

const token = "5f0c1e2d-3b4a-4958-8776-a5b4c3d2e1f0"

// The operations of the seed.
const (
	opPay     = "FWC_IF_Barcode_Pay"
	opQuery   = "FWC_IF_Barcode_Pay_Query"
	opCancel  = "FWC_IF_Barcode_Pay_Cancel"
	opRefund  = "FWC_IF_Barcode_Pay_Refund"
	opPresent = "FWC_IF_Qrcode_Pay"
)

// desk is an agent that answers what a test says and keeps what it was asked.
type desk struct {
	order  platforms.FrontOrder
	refund platforms.FrontRefund
	err    error

	charge platforms.Charge
	back   platforms.Refund
	no     string
	wait   time.Duration
}

func (d *desk) Pay(_ context.Context, c platforms.Charge, wait time.Duration) (platforms.FrontOrder, error) {
	d.charge, d.wait = c, wait
	return d.order, d.err
}

func (d *desk) Look(_ context.Context, no string) (platforms.FrontOrder, error) {
	d.no = no
	return d.order, d.err
}

func (d *desk) Cancel(_ context.Context, no string, _ platforms.Operator, wait time.Duration) (platforms.FrontOrder, error) {
	d.no, d.wait = no, wait
	return d.order, d.err
}

func (d *desk) Refund(_ context.Context, r platforms.Refund, _ platforms.Operator, wait time.Duration) (platforms.FrontRefund, error) {
	d.back, d.wait = r, wait
	return d.refund, d.err
}

func open(t testing.TB, d *desk, change ...func(*fwcfacade.Config)) http.Handler {
	t.Helper()
	cfg := fwcfacade.Config{Token: func(_ context.Context, h platforms.Hidden) bool { return h.Reveal() == token }, Wait: time.Minute, HospitalID: "H0001"}
	for _, f := range change {
		f(&cfg)
	}
	h, err := fwcfacade.New(d, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// paidOrder is what the samples are filled with.
func paidOrder() platforms.FrontOrder {
	return platforms.FrontOrder{OrderNo: "MZ2601011A2B3C4D", TradeNo: "4200001234", State: platforms.FrontPaid, Amount: 8890, Channel: platforms.WeChat,
		PaidAt: time.Date(2026, 1, 1, 5, 5, 9, 0, time.UTC), Buyer: platforms.Hide("o1***5"), Operator: "1007", Terminal: "T-07", Say: "支付成功"}
}

func values() map[string]string {
	return map[string]string{
		"AccessToken": token, "OutTradeNo": "MZ2601011A2B3C4D", "AuthCode": "134567890123456789", "TotalAmount": "88.90",
		"Caption": "门诊 <缴费> & ]]>", "Descriptive": "内科 3 诊室", "OperatorID": "1007", "PatientName": "欧阳测试甲",
		"InhospitalNo": "ZYH-55443322", "TerminalID": "T-07", "PayType": "weixin", "Cnt": "3",
		"TradeDetail":    `[{"goods_id": "apple-01","goods_name":"ipad","goods_category":"7788 230","price":" 2000.00","quantity":"1","body":"商品描述"}]`,
		"TimeoutExpress": "20m", "Tel": "13900001111",
		"TradeNo": "4200001234", "RefundAmount": "8.88", "OutRequestNo": "R2601010001", "RefundmentReason": "退号", "HospitalID": "H0001",
		"IsSuccess": "1", "OpenUserID": "o1***5", "PaymentDateTime": "2026-01-01 13:05:09", "TradeStatus": "TRADE_SUCCESS",
		"BuyerLogonId": "o1***5", "Buyer_user_id": "", "RetryFlag": "N", "CancelAction": "close",
		"RefundFee": "8.88", "RefundChange": "Y", "TwoDimensionCode": "https://qr.example.invalid/bax",
	}
}

var leaf = regexp.MustCompile(`<(\w+)>([^<]*)</\w+>`)

func sample(t testing.TB, name string, v map[string]string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "testdata", "seed", name+".xml"))
	if err != nil {
		t.Fatal(err)
	}
	esc := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
	return leaf.ReplaceAllStringFunc(string(b), func(e string) string {
		name := leaf.FindStringSubmatch(e)[1]
		if value, known := v[name]; known && name != "OrderType" {
			return "<" + name + ">" + esc.Replace(value) + "</" + name + ">"
		}
		return e
	})
}

// ask sends a document over a transport, as a client outside would write it,
// and gives the document of the answer.
func ask(t testing.TB, h http.Handler, way fwc.Transport, op, doc string) string {
	t.Helper()
	const place = "http://h/fwc/linkingif.asmx"
	var r *http.Request
	esc := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
	envelope := func(ns, inner string) string {
		return `<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="` + ns + `" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soap:Header/><soap:Body><` + op +
			` xmlns="http://tempuri.org/"><xml>` + inner + `</xml></` + op + `></soap:Body></soap:Envelope>`
	}
	switch way {
	case fwc.SOAP11:
		r = httptest.NewRequest(http.MethodPost, place, strings.NewReader(envelope("http://schemas.xmlsoap.org/soap/envelope/", esc.Replace(doc))))
		r.Header.Set("Content-Type", "text/xml; charset=utf-8")
		r.Header.Set("SOAPAction", `"http://tempuri.org/`+op+`"`)
	case fwc.SOAP12:
		r = httptest.NewRequest(http.MethodPost, place, strings.NewReader(envelope("http://www.w3.org/2003/05/soap-envelope", "<![CDATA["+strings.ReplaceAll(doc, "]]>", "]]]]><![CDATA[>")+"]]>")))
		r.Header.Set("Content-Type", `application/soap+xml; charset=utf-8; action="urn:whatever"`)
	case fwc.FormXML:
		r = httptest.NewRequest(http.MethodPost, place+"/"+op, strings.NewReader(url.Values{"xml": {doc}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	default:
		r = httptest.NewRequest(http.MethodPost, place+"?op="+op, strings.NewReader(doc))
		r.Header.Set("Content-Type", "application/xml")
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	if rec.Code != http.StatusOK {
		t.Fatalf("%s %s: HTTP %d %s", way, op, rec.Code, rec.Body.String())
	}
	text := rec.Body.String()
	if way == fwc.SOAP11 || way == fwc.SOAP12 {
		var env struct {
			Body struct {
				Op struct {
					XMLName xml.Name
					Result  struct {
						XMLName xml.Name
						Text    string `xml:",chardata"`
					} `xml:",any"`
				} `xml:",any"`
			} `xml:"Body"`
		}
		if err := xml.Unmarshal([]byte(text), &env); err != nil || env.Body.Op.XMLName != (xml.Name{Space: "http://tempuri.org/", Local: op + "Response"}) ||
			env.Body.Op.Result.XMLName != (xml.Name{Space: "http://tempuri.org/", Local: op + "Result"}) {
			t.Fatalf("%s: %v %s", op, err, text)
		}
		text = env.Body.Op.Result.Text
	}
	return text
}

func ways() []fwc.Transport {
	return []fwc.Transport{fwc.SOAP11, fwc.SOAP12, fwc.RawXMLPost, fwc.FormXML}
}

// Every sample of the seed, filled in, over every transport: what was asked
// arrives field by field, and the answer is the sample of the answer, element
// for element; only words that the seed does not tell are not compared.
func TestSamples(t *testing.T) {
	for _, way := range ways() {
		for _, op := range []string{opPay, opQuery, opCancel, opRefund, opPresent} {
			d := &desk{order: paidOrder()}
			v := values()
			switch op {
			case opCancel:
				d.order.State, d.order.Action = platforms.FrontCanceled, platforms.ActionClose
			case opRefund:
				d.order.Refunded = 888
				d.refund = platforms.FrontRefund{Order: d.order, State: platforms.RefundDone, Moved: true}
			case opPresent:
				d.order.State, d.order.QR = platforms.FrontPaying, v["TwoDimensionCode"]
			}
			got := wiretest.Elements(t, ask(t, open(t, d), way, op, sample(t, op+".req", v)), "Message", "SubCode", "SubMessage")
			want := wiretest.Elements(t, sample(t, op+".resp", v), "Message", "SubCode", "SubMessage")
			if op == opQuery || op == opPay { // in the table, not in the sample
				result := map[string]string{opQuery: "BarcodeTradeStatus", opPay: "BarcodeTradeResult"}[op]
				i := len(want) - 4
				want = append(want[:i:i], append([]string{"xml/body/" + result + "/PayType=weixin"}, want[i:]...)...)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s %s (-seed +façade):\n%s", way, op, diff)
			}
			switch c := d.charge; op {
			case opPay, opPresent:
				if c.OrderNo != v["OutTradeNo"] || c.Amount != 8890 || c.Subject != v["Caption"] || c.Memo != v["Descriptive"] || c.Patient.Name.Reveal() != v["PatientName"] ||
					c.Patient.AdmissionNo.Reveal() != v["InhospitalNo"] || c.Patient.CardNo.Reveal() != v["InhospitalNo"] || c.Patient.CardType != "admission_no" || c.OrderType != "APPOINTMENT" || c.Channel != platforms.WeChat {
					t.Errorf("%s %s: asked for %+v", way, op, c)
				}
				if op == opPay && (c.Code.Reveal() != v["AuthCode"] || c.Mode != platforms.ModeCharge || c.Operator.ID != "1007" || c.Terminal != "T-07" || d.wait != 15*time.Second) {
					t.Errorf("%s: %+v wait %s", way, c, d.wait)
				}
				if op == opPresent && (c.Mode != platforms.ModePresent || c.Expires != "20m" || c.Patient.Phone.Reveal() != v["Tel"] || len(c.Details) != 1 || c.Details[0].PriceFen != 200000 || c.Aggregated) {
					t.Errorf("%s: %+v", way, c)
				}
			case opRefund:
				if d.back.Sum != 888 || d.back.RequestNo != v["OutRequestNo"] || d.back.TradeNo != v["TradeNo"] || d.back.Amount != 8890 || d.back.OrderNo != v["OutTradeNo"] || d.back.Reason != "退号" {
					t.Errorf("%s: %+v", way, d.back)
				}
			default:
				if d.no != v["OutTradeNo"] {
					t.Errorf("%s %s: %q", way, op, d.no)
				}
			}
		}
	}
}

// As printed, with words where values belong, the samples do nothing.
func TestSamplesAsPrinted(t *testing.T) {
	for _, op := range []string{opPay, opQuery, opCancel, opRefund, opPresent} {
		d := &desk{order: paidOrder()}
		b, err := os.ReadFile(filepath.Join("..", "testdata", "seed", op+".req.xml"))
		if err != nil {
			t.Fatal(err)
		}
		if got := ask(t, open(t, d), fwc.RawXMLPost, op, string(b)); !strings.Contains(got, "<IsSuccess>3</IsSuccess>") || d.charge.OrderNo != "" || d.no != "" || d.back.OrderNo != "" {
			t.Errorf("%s: %s", op, got)
		}
	}
}

// through is a way from the client's adapter straight to the façade.
type through struct{ h http.Handler }

func (x through) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	x.h.ServeHTTP(rec, r)
	resp := rec.Result()
	resp.Request = r
	return resp, nil
}

// What our own adapter, as strict a client as there is, concludes from what the
// façade says of each state: never more than is so.
func TestStates(t *testing.T) {
	type row struct {
		change  func(*platforms.FrontOrder)
		pay     platforms.Status
		query   platforms.Status
		done    bool
		action  platforms.CancelAction
		retry   platforms.Retry
		trouble platforms.FrontTrouble
	}
	state := func(s platforms.FrontState) func(*platforms.FrontOrder) {
		return func(o *platforms.FrontOrder) { o.State = s }
	}
	for name, x := range map[string]row{
		"waiting":   {state(platforms.FrontWaiting), platforms.Pending, platforms.Pending, false, "", "Y", ""},
		"paying":    {state(platforms.FrontPaying), platforms.Pending, platforms.Pending, false, "", "Y", ""},
		"canceling": {state(platforms.FrontCanceling), platforms.Unknown, platforms.Unknown, false, "", "Y", ""},
		"in doubt":  {state(platforms.FrontInDoubt), platforms.Unknown, platforms.Unknown, false, "", "N", ""},
		"no state":  {state(""), platforms.Unknown, platforms.Unknown, false, "", "Y", ""},
		// A pay answer proves nothing to our adapter, paid or not: it queries.
		"paid":               {state(platforms.FrontPaid), platforms.Pending, platforms.Paid, false, "", "N", ""},
		"paid, past refunds": {func(o *platforms.FrontOrder) { o.Final = true }, platforms.Pending, platforms.Paid, false, "", "N", ""},
		"a part given back":  {func(o *platforms.FrontOrder) { o.Refunded = 100 }, platforms.Pending, platforms.Paid, false, "", "N", ""},
		"going back":         {func(o *platforms.FrontOrder) { o.Reversing = true }, platforms.Unknown, platforms.Unknown, false, "", "Y", ""},
		"given back":         {func(o *platforms.FrontOrder) { o.Refunded = o.Amount }, platforms.Refused, platforms.Closed, true, "refund", "N", ""},
		"failed":             {state(platforms.FrontFailed), platforms.Refused, platforms.Closed, true, "close", "N", ""},
		"closed": {func(o *platforms.FrontOrder) { o.State, o.Action = platforms.FrontCanceled, platforms.ActionClose },
			platforms.Refused, platforms.Closed, true, "close", "N", ""},
		"reversed": {func(o *platforms.FrontOrder) { o.State, o.Action = platforms.FrontCanceled, platforms.ActionRefund },
			platforms.Refused, platforms.Closed, true, "refund", "N", ""},
		"unreachable":  {nil, platforms.Unknown, platforms.Unknown, false, "", "Y", platforms.FrontAway},
		"an error":     {nil, platforms.Unknown, platforms.Unknown, false, "", "Y", "x"},
		"no order":     {nil, platforms.Refused, platforms.NotFound, false, "", "N", platforms.FrontNoOrder},
		"bad field":    {nil, platforms.Refused, platforms.Unknown, false, "", "N", platforms.FrontBadField},
		"other amount": {nil, platforms.Refused, platforms.Unknown, false, "", "N", platforms.FrontNumber},
		"bad code":     {nil, platforms.Refused, platforms.Unknown, false, "", "N", platforms.FrontCode},
		"busy":         {nil, platforms.Refused, platforms.Unknown, false, "", "N", platforms.FrontBusy},
	} {
		d := &desk{order: paidOrder()}
		switch {
		case x.trouble == "x":
			d.err = errors.New("SECRET inside")
		case x.trouble != "":
			d.err = &platforms.FrontRefusal{Trouble: x.trouble, Words: "说明"}
		default:
			x.change(&d.order)
		}
		p, err := fwc.New(through{open(t, d)}, fwc.Config{Endpoint: "http://h/fwc/linkingif.asmx", HospitalID: "H0001",
			Token: func(string) (platforms.Hidden, error) { return platforms.Hide(token), nil }})
		if err != nil {
			t.Fatal(err)
		}
		c := platforms.Charge{Ref: platforms.Ref{OrderNo: d.order.OrderNo, Amount: 8890, Mode: platforms.ModeCharge, Merchant: platforms.Merchant{Profile: "p"}}, OrderType: "TREATMENT",
			Subject: "s", Patient: platforms.Patient{Name: platforms.Hide("n"), AdmissionNo: platforms.Hide("1")},
			Code: platforms.AuthCode{Hidden: platforms.Hide("134567890123456789"), Kind: platforms.KindWeChat}}
		a, err := p.Charge(t.Context(), c)
		if err != nil || a.Status != x.pay || strings.Contains(a.Message, "SECRET") {
			t.Errorf("%s: pay %v %v", name, a, err)
		}
		if a, err = p.Query(t.Context(), c.Ref); err != nil || a.Status != x.query || a.Final != (name == "paid, past refunds") {
			t.Errorf("%s: query %v %v", name, a, err)
		}
		if err := platforms.Bind(c.Ref, a); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		k, err := p.Cancel(t.Context(), c.Ref)
		if err != nil || k.Done != x.done || k.Action != x.action || k.Retry != x.retry {
			t.Errorf("%s: cancel %+v %v", name, k, err)
		}
		// A reader that takes IsSuccess 1 for paid is told so of paid orders only.
		doc := ask(t, open(t, d), fwc.RawXMLPost, opPay, sample(t, opPay+".req", values()))
		if told := strings.Contains(doc, "<IsSuccess>1<"); told != (x.query == platforms.Paid) {
			t.Errorf("%s: a pay answer says\n%s", name, doc)
		}
	}
}

// The switches, and what a head may lack.
func TestPay(t *testing.T) {
	pending := paidOrder()
	pending.State = platforms.FrontPaying
	for _, word := range []string{"0", "1", "2"} {
		doc := ask(t, open(t, &desk{order: pending}, func(c *fwcfacade.Config) { c.Pending = word }), fwc.SOAP11, opPay, sample(t, opPay+".req", values()))
		if !strings.Contains(doc, "<IsSuccess>"+word+"</IsSuccess>") || !strings.Contains(doc, "<SubCode>WAIT_BUYER_PAY</SubCode>") {
			t.Errorf("%s: %s", word, doc)
		}
	}
	for name, x := range map[string]struct {
		field, value string
		ok           bool
		wait         time.Duration
	}{
		"an empty AuthCode arms the scanner": {"AuthCode", "", true, 15 * time.Second},
		"no Cnt":                             {"Cnt", "", true, time.Minute},
		"Cnt 0":                              {"Cnt", "0", true, 0},
		"Cnt of all days":                    {"Cnt", "9999", true, time.Minute},
		"Cnt of words":                       {"Cnt", "三次", false, 0},
		"no PayType":                         {"PayType", "", true, 15 * time.Second},
		"PayType in another case":            {"PayType", "WeiXin", true, 15 * time.Second},
		"another PayType":                    {"PayType", "cash", false, 0},
		"no number":                          {"OutTradeNo", "", false, 0},
		"no name":                            {"PatientName", " ", false, 0},
		"no amount":                          {"TotalAmount", "0.00", false, 0},
		"amount in words":                    {"TotalAmount", "1e2", false, 0},
	} {
		v := values()
		v[x.field] = x.value
		d := &desk{order: paidOrder()}
		doc := ask(t, open(t, d), fwc.FormXML, opPay, sample(t, opPay+".req", v))
		if x.ok != (d.charge.OrderNo != "") || x.ok != strings.Contains(doc, "<IsSuccess>1<") || !x.ok && !strings.Contains(doc, "ILLEGAL_ARGUMENT") || x.ok && d.wait != x.wait {
			t.Errorf("%s: wait %s %s", name, d.wait, doc)
		}
	}
	d := &desk{order: paidOrder()}
	h := open(t, d, func(c *fwcfacade.Config) { c.OrderTypes = map[string]string{"HOSPITALIZATION": "DEPOSIT"} })
	doc := sample(t, opPay+".req", values())
	if got := ask(t, h, fwc.RawXMLPost, opPay, doc); !strings.Contains(got, "OrderType") || d.charge.OrderNo != "" {
		t.Error(got)
	}
	ask(t, h, fwc.RawXMLPost, opPay, strings.Replace(doc, " APPOINTMENT", "HOSPITALIZATION", 1))
	if d.charge.OrderType != "DEPOSIT" {
		t.Errorf("%+v", d.charge)
	}
	v := values()
	v["TradeDetail"] = `[{"price":"1.00","price":"2.00"}]`
	if got := ask(t, h, fwc.RawXMLPost, opPresent, strings.Replace(sample(t, opPresent+".req", v), " APPOINTMENT", "HOSPITALIZATION", 1)); !strings.Contains(got, "TradeDetail") {
		t.Error(got)
	}
	for _, c := range []fwcfacade.Config{{}, {Token: func(context.Context, platforms.Hidden) bool { return true }}, {Token: func(context.Context, platforms.Hidden) bool { return true }, Wait: time.Second, Pending: "7"}} {
		if _, err := fwcfacade.New(d, c); err == nil {
			t.Errorf("taken: %+v", c)
		}
	}
}

// Refunds that are not done are not told as done.
func TestRefund(t *testing.T) {
	for state, want := range map[platforms.RefundStatus]string{platforms.RefundDone: "1", platforms.RefundRefused: "0", platforms.RefundUnknown: "2"} {
		o := paidOrder()
		o.Refunded = 888
		d := &desk{refund: platforms.FrontRefund{Order: o, State: state}}
		doc := ask(t, open(t, d), fwc.SOAP11, opRefund, sample(t, opRefund+".req", values()))
		if !strings.Contains(doc, "<IsSuccess>"+want+"<") || state == platforms.RefundDone && !strings.Contains(doc, "<RefundChange>N<") {
			t.Errorf("%v: %s", state, doc)
		}
	}
}

// Requests that are no calls.
func TestOddRequests(t *testing.T) {
	d := &desk{order: paidOrder()}
	h := open(t, d)
	good := sample(t, opPay+".req", values())
	for name, x := range map[string]struct {
		method, path, kind, body string
		status                   int
		want                     string
	}{
		"wsdl":           {"GET", "/fwc/linkingif.asmx?wsdl", "", "", 200, `soapAction="http://tempuri.org/FWC_IF_Barcode_Pay"`},
		"WSDL":           {"GET", "/fwc/linkingif.asmx?WSDL", "", "", 200, `location="http://h/fwc/linkingif.asmx"`},
		"a browser":      {"GET", "/fwc/linkingif.asmx", "", "", 404, "wsdl"},
		"PUT":            {"PUT", "/fwc/" + opPay, "text/xml", good, 405, ""},
		"no operation":   {"POST", "/fwc/linkingif.asmx", "text/xml", good, 400, "operation"},
		"not XML":        {"POST", "/fwc/" + opPay, "text/xml", "hello", 200, "<IsSuccess>0</IsSuccess>"},
		"a DTD":          {"POST", "/fwc/" + opPay, "text/xml", "<!DOCTYPE xml>" + good, 200, "<IsSuccess>0</IsSuccess>"},
		"twice":          {"POST", "/fwc/" + opPay, "text/xml", strings.Replace(good, "<Cnt>", "<TotalAmount>1.00</TotalAmount><Cnt>", 1), 200, "<IsSuccess>0</IsSuccess>"},
		"a twin":         {"POST", "/fwc/" + opPay, "text/xml", strings.Replace(good, "<Cnt>", "<totalamount>1.00</totalamount><Cnt>", 1), 200, "<IsSuccess>0</IsSuccess>"},
		"two fields":     {"POST", "/fwc/" + opPay, "application/x-www-form-urlencoded", "xml=%3Cxml/%3E&xml=%3Cxml/%3E", 200, "<IsSuccess>0</IsSuccess>"},
		"other service":  {"POST", "/fwc/x", "text/xml", `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><X xmlns="http://tempuri.org/"/></s:Body></s:Envelope>`, 500, "Fault"},
		"no envelope 12": {"POST", "/fwc/x", "application/soap+xml", "hello", 500, "http://www.w3.org/2003/05/soap-envelope"},
		"other token":    {"POST", "/fwc/" + opPay, "text/xml", strings.Replace(good, token, "x", 1), 200, "<IsSuccess>3</IsSuccess>"},
	} {
		r := httptest.NewRequest(x.method, "http://h"+x.path, strings.NewReader(x.body))
		if x.kind != "" {
			r.Header.Set("Content-Type", x.kind)
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		if rec.Code != x.status || !strings.Contains(rec.Body.String(), x.want) {
			t.Errorf("%s: HTTP %d %s", name, rec.Code, rec.Body.String())
		}
		if d.charge.OrderNo != "" {
			t.Fatalf("%s: it was carried out", name)
		}
	}
	// GBK, as some clients of their own make send it.
	gbk := httptest.NewRequest("POST", "http://h/fwc/"+opQuery, strings.NewReader("<?xml version=\"1.0\" encoding=\"GBK\"?><xml><head><AccessToken>"+token+"</AccessToken><OutTradeNo>MZ1</OutTradeNo><Caption>\xc3\xc5\xd5\xef</Caption></head></xml>"))
	gbk.Header.Set("Content-Type", "text/xml; charset=gbk")
	rec := httptest.NewRecorder()
	if h.ServeHTTP(rec, gbk); !strings.Contains(rec.Body.String(), "<Caption>门诊</Caption>") || d.no != "MZ1" {
		t.Error(rec.Body.String())
	}
}

// FuzzServe: no bytes make the façade panic, and nothing is carried out without
// the token.
func FuzzServe(f *testing.F) {
	for _, op := range []string{opPay, opQuery, opCancel, opRefund, opPresent} {
		f.Add("/fwc/"+op, "text/xml", sample(f, op+".req", values()))
		f.Add("/fwc/"+op, "application/x-www-form-urlencoded", url.Values{"xml": {sample(f, op+".req", values())}}.Encode())
	}
	f.Add("/", `application/soap+xml; action="x"`, `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><FWC_IF_Barcode_Pay xmlns="http://tempuri.org/"><xml>&lt;xml/&gt;</xml></FWC_IF_Barcode_Pay></s:Body></s:Envelope>`)
	f.Fuzz(func(t *testing.T, path, kind, body string) {
		d := &desk{order: paidOrder()}
		r := httptest.NewRequest(http.MethodPost, "http://h/", strings.NewReader(body))
		r.URL.Path = path
		r.Header.Set("Content-Type", kind)
		rec := httptest.NewRecorder()
		open(t, d).ServeHTTP(rec, r)
		if acted := d.charge.OrderNo != "" || d.no != "" || d.back.OrderNo != ""; acted && !strings.Contains(body, token[:8]) && !strings.Contains(body, "&#") && !strings.Contains(body, "%") && !strings.Contains(body, "CDATA") {
			t.Errorf("carried out without the token: %q", body)
		}
	})
}

// slow is an agent whose order ends late: it notices when the caller is gone.
type slow struct{ desk }

func (s *slow) Pay(ctx context.Context, _ platforms.Charge, wait time.Duration) (platforms.FrontOrder, error) {
	select {
	case <-time.After(wait - time.Second):
		return s.order, nil
	case <-ctx.Done():
		return platforms.FrontOrder{}, ctx.Err()
	}
}

// one is a listener with one connection.
type one struct {
	conns chan net.Conn
	done  chan struct{}
}

func (l *one) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l *one) Close() error   { close(l.done); return nil }
func (l *one) Addr() net.Addr { return &net.TCPAddr{} }

// A server's own time-outs are shorter than a payment takes: the call is held
// open all the same.
func TestHeldOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slow{desk{order: paidOrder()}}
		h, err := fwcfacade.New(s, fwcfacade.Config{Token: func(context.Context, platforms.Hidden) bool { return true }, Wait: 2 * time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		l := &one{make(chan net.Conn, 1), make(chan struct{})}
		server := &http.Server{Handler: h, ReadTimeout: 15 * time.Second, WriteTimeout: 30 * time.Second}
		ended := make(chan struct{})
		go func() { defer close(ended); _ = server.Serve(l) }()
		ours, theirs := net.Pipe()
		l.conns <- theirs
		v := values()
		v["Cnt"] = ""
		doc := sample(t, opPay+".req", v)
		go func() {
			_, _ = io.WriteString(ours, "POST /fwc/"+opPay+" HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Type: text/xml\r\nContent-Length: "+strconv.Itoa(len(doc))+"\r\n\r\n"+doc)
		}()
		got, err := io.ReadAll(ours)
		if err != nil || !strings.Contains(string(got), "TRADE_SUCCESS") {
			t.Errorf("%v %s", err, got)
		}
		_ = ours.Close()
		_ = server.Close()
		<-ended
	})
}
