package fwc_test

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"payagent/platforms"
	"payagent/platforms/fwc"
	"payagent/platforms/fwc/fwcsuite"
	"payagent/platforms/fwc/fwctest"
	"payagent/platforms/internal/wiretest"
)

// The operations of the seed.
const (
	opPay     = "FWC_IF_Barcode_Pay"
	opQuery   = "FWC_IF_Barcode_Pay_Query"
	opCancel  = "FWC_IF_Barcode_Pay_Cancel"
	opRefund  = "FWC_IF_Barcode_Pay_Refund"
	opPresent = "FWC_IF_Qrcode_Pay"
)

func allOps() []string { return []string{opPay, opQuery, opCancel, opRefund, opPresent} }

// sample reads a sample of seed 004 §5 as it is printed there.
func sample(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "seed", name+".xml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var leaf = regexp.MustCompile(`<(\w+)>([^<]*)</\w+>`)

// filled puts values in place of the words that stand in the seed's samples;
// whatever has no value keeps its words, and only OrderType, which has a real
// value with a leading blank, is left alone.
func filled(doc string, values map[string]string) string {
	esc := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
	return leaf.ReplaceAllStringFunc(doc, func(e string) string {
		name := leaf.FindStringSubmatch(e)[1]
		v, known := values[name]
		if !known || name == "OrderType" {
			return e
		}
		return "<" + name + ">" + esc.Replace(v) + "</" + name + ">"
	})
}

// exchange is a way that keeps the request and gives a canned answer.
type exchange struct {
	reply  string
	kind   string
	status int
	seen   *http.Request
	body   string
}

func (e *exchange) RoundTrip(r *http.Request) (*http.Response, error) {
	b, err := io.ReadAll(r.Body)
	e.seen, e.body = r, string(b)
	status := e.status
	if status == 0 {
		status = http.StatusOK
	}
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {e.kind}}, Request: r,
		ContentLength: int64(len(e.reply)), Body: io.NopCloser(strings.NewReader(e.reply)),
	}, err
}

// document takes the inner document out of the request.
func (e *exchange) document(t testing.TB, tr fwc.Transport) string {
	t.Helper()
	switch tr {
	case fwc.RawXMLPost:
		return e.body
	case fwc.FormXML:
		v, err := url.ParseQuery(e.body)
		if err != nil || len(v) != 1 {
			t.Fatalf("form %q: %v", e.body, err)
		}
		return v.Get("xml")
	}
	var env struct {
		Body struct {
			Op struct {
				XMLName xml.Name
				XML     string `xml:"xml"`
			} `xml:",any"`
		} `xml:"Body"`
	}
	if err := xml.Unmarshal([]byte(e.body), &env); err != nil {
		t.Fatal(err)
	}
	return env.Body.Op.XML
}

func open(t testing.TB, rt http.RoundTripper, change ...func(*fwc.Config)) *fwc.Platform {
	t.Helper()
	cfg := fwcsuite.Config(fwc.RawXMLPost)
	for _, f := range change {
		f(&cfg)
	}
	p, err := fwc.New(rt, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const orderNo, tradeNo = "MZ2601011A2B3C4D", "4200001234202601010123456789"

// values fills all samples; where the two pay interfaces spell PayType apart,
// the test sets it.
func values() map[string]string {
	return map[string]string{
		"AccessToken": fwctest.Token, "OutTradeNo": orderNo, "AuthCode": "134567890123456789", "TotalAmount": "88.90",
		"Caption": "门诊缴费", "Descriptive": "内科 3 诊室", "OperatorID": "1007", "PatientName": "欧阳测试甲",
		"InhospitalNo": "ZYH-55443322", "TerminalID": "T-07", "PayType": "weixin", "Cnt": "3",
		"TradeDetail":    `[{"goods_id":"apple-01","goods_name":"ipad","goods_category":"7788 230","price":"2000.00","quantity":"1","body":"商品描述"}]`,
		"TimeoutExpress": "20m", "Tel": "13900001111",
		"TradeNo": tradeNo, "RefundAmount": "8.88", "OutRequestNo": "R2601010001", "RefundmentReason": "退号", "HospitalID": fwctest.HospitalID,
		"IsSuccess": "1", "Message": "成功", "SubCode": "", "SubMessage": "",
		"OpenUserID": "o12345", "PaymentDateTime": "2026-01-01 13:05:09", "TradeStatus": "TRADE_SUCCESS",
		"BuyerLogonId": "138****0000", "Buyer_user_id": "20881234", "RetryFlag": "N", "CancelAction": "close",
		"RefundFee": "8.88  ", "RefundChange": "Y", "TwoDimensionCode": "https://qr.example.invalid/bax",
	}
}

func goldenCharge(mode platforms.Mode) platforms.Charge {
	c := fwcsuite.Charge(mode, orderNo, 8890)
	c.OrderType = "APPOINTMENT"
	c.Details = []platforms.Detail{{
		GoodsID: "apple-01", GoodsName: "ipad", GoodsCategory: "7788 230", PriceFen: 200000, Quantity: "1", Body: "商品描述",
	}}
	return c
}

func goldenRefund() platforms.Refund {
	ref := goldenCharge(platforms.ModeCharge).Ref
	ref.TradeNo = tradeNo
	return platforms.Refund{Ref: ref, RequestNo: "R2601010001", Sum: 888, Channel: platforms.WeChat, Reason: "退号"}
}

// do makes the call that an operation's sample belongs to.
func do(ctx context.Context, p *fwc.Platform, op string) (any, error) {
	ref := goldenCharge(platforms.ModeCharge).Ref
	switch op {
	case opPay:
		return p.Charge(ctx, goldenCharge(platforms.ModeCharge))
	case opPresent:
		return p.Present(ctx, goldenCharge(platforms.ModePresent))
	case opQuery:
		return p.Query(ctx, ref)
	case opCancel:
		return p.Cancel(ctx, ref)
	}
	return p.Refund(ctx, goldenRefund())
}

// Every request equals the seed's sample, element by element, on every way.
func TestGoldenRequests(t *testing.T) {
	for _, tr := range []fwc.Transport{fwc.SOAP11, fwc.SOAP12, fwc.RawXMLPost, fwc.FormXML} {
		for _, op := range allOps() {
			t.Run(string(tr)+"/"+op, func(t *testing.T) {
				e := &exchange{reply: "x", kind: "text/xml"}
				_, _ = do(t.Context(), open(t, e, func(c *fwc.Config) { c.Transport, c.Cnt = tr, "3" }), op)
				v := values()
				if op == opPresent {
					v["PayType"] = "WeiXin"
				}
				want := wiretest.Elements(t, filled(sample(t, op+".req"), v))
				if diff := cmp.Diff(want, wiretest.Elements(t, e.document(t, tr))); diff != "" {
					t.Errorf("differs from the seed's sample (-seed +ours):\n%s", diff)
				}
				if strings.Contains(e.seen.URL.String(), fwctest.Token) {
					t.Error("the token stands in the address")
				}
			})
		}
	}
}

func TestRequestHeads(t *testing.T) {
	cases := []struct {
		tr                fwc.Transport
		path, kind, begin string
	}{
		{fwc.SOAP11, "/linkingif.asmx", "text/xml; charset=utf-8",
			`<?xml version="1.0" encoding="utf-8"?>` + "\n" + `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><FWC_IF_Barcode_Pay_Query xmlns="http://tempuri.org/"><xml>&lt;?xml version="1.0" encoding="utf-8" ?&gt;&lt;xml&gt;`},
		{fwc.SOAP12, "/linkingif.asmx", `application/soap+xml; charset=utf-8; action="http://tempuri.org/FWC_IF_Barcode_Pay_Query"`,
			`<?xml version="1.0" encoding="utf-8"?>` + "\n" + `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope">`},
		{fwc.RawXMLPost, "/linkingif.asmx/FWC_IF_Barcode_Pay_Query", "text/xml; charset=utf-8", `<?xml version="1.0" encoding="utf-8" ?><xml><head>`},
		{fwc.FormXML, "/linkingif.asmx/FWC_IF_Barcode_Pay_Query", "application/x-www-form-urlencoded; charset=utf-8", `xml=%3C%3Fxml+version`},
	}
	for _, c := range cases {
		e := &exchange{reply: "x"}
		_, _ = do(t.Context(), open(t, e, func(cfg *fwc.Config) { cfg.Transport = c.tr }), opQuery)
		if e.seen.URL.Path != c.path || e.seen.Header.Get("Content-Type") != c.kind || !strings.HasPrefix(e.body, c.begin) {
			t.Errorf("%s: %s, %q, %s", c.tr, e.seen.URL.Path, e.seen.Header.Get("Content-Type"), e.body)
		}
		action := e.seen.Header["SOAPAction"]
		if (c.tr == fwc.SOAP11) != (len(action) == 1 && action[0] == `"http://tempuri.org/FWC_IF_Barcode_Pay_Query"`) {
			t.Errorf("%s: SOAPAction %q", c.tr, action)
		}
	}
	e := &exchange{reply: "x"}
	_, _ = do(t.Context(), open(t, e, func(c *fwc.Config) { c.Endpoint = "https://h.invalid/a/{op}.do?x=1" }), opCancel)
	if got := e.seen.URL.String(); got != "https://h.invalid/a/FWC_IF_Barcode_Pay_Cancel.do?x=1" {
		t.Errorf("address %s", got)
	}
	_, _ = do(t.Context(), open(t, e, func(c *fwc.Config) { c.Endpoint = "https://h.invalid/a/?x=1" }), opCancel)
	if got := e.seen.URL.String(); got != "https://h.invalid/a/FWC_IF_Barcode_Pay_Cancel?x=1" {
		t.Errorf("address %s", got)
	}
}

// Every reply of the seed is read, filled in.
func TestGoldenReplies(t *testing.T) {
	zone := time.FixedZone("UTC+8", 8*60*60)
	at := time.Date(2026, 1, 1, 13, 5, 9, 0, zone)
	want := map[string]any{
		opPay: platforms.Answer{
			Status: platforms.Pending, AskNow: true, OrderNo: orderNo, TradeNo: tradeNo, Amount: 8890, HasAmount: true,
			PaidAt: at, Buyer: platforms.Hide("o12345"), Code: "IsSuccess 1", Message: "成功",
		},
		opQuery: platforms.Answer{
			Status: platforms.Paid, OrderNo: orderNo, TradeNo: tradeNo, Amount: 8890, HasAmount: true,
			PaidAt: at, Buyer: platforms.Hide("138****0000"), Code: "TRADE_SUCCESS", Message: "成功",
		},
		opCancel: platforms.Cancellation{
			Done: true, Action: platforms.ActionClose, Retry: platforms.RetryNo, OrderNo: orderNo, TradeNo: tradeNo,
			Code: "IsSuccess 1", Message: "成功",
		},
		opRefund: platforms.Refunded{
			Status: platforms.RefundDone, OrderNo: orderNo, TradeNo: tradeNo, Total: 888, HasTotal: true, Code: "IsSuccess 1", Message: "成功",
		},
		opPresent: platforms.Answer{
			Status: platforms.Pending, OrderNo: orderNo, Amount: 8890, HasAmount: true, QR: "https://qr.example.invalid/bax",
			Code: "IsSuccess 1", Message: "成功",
		},
	}
	same := cmp.Options{
		cmp.Comparer(func(a, b platforms.Hidden) bool { return a.Reveal() == b.Reveal() }),
		cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) }),
	}
	for _, op := range allOps() {
		t.Run(op, func(t *testing.T) {
			e := &exchange{reply: filled(sample(t, op+".resp"), values()), kind: "text/xml; charset=utf-8"}
			got, err := do(t.Context(), open(t, e), op)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want[op], got, same); diff != "" {
				t.Errorf("read (-want +got):\n%s", diff)
			}
		})
		// As printed, with words where values belong, a sample proves nothing.
		t.Run(op+" as printed", func(t *testing.T) {
			e := &exchange{reply: sample(t, op+".resp"), kind: "text/xml"}
			got, err := do(t.Context(), open(t, e, func(c *fwc.Config) { c.HospitalID = "" }), op)
			var claim any
			switch x := got.(type) {
			case platforms.Answer:
				claim = x.Status != platforms.Unknown
			case platforms.Cancellation:
				claim = x.Done
			case platforms.Refunded:
				claim = x.Status != platforms.RefundUnknown
			}
			if claim != false || errors.Is(err, platforms.ErrNotCharged) {
				t.Errorf("claims something: %+v, %v", got, err)
			}
		})
	}
}

// Our simulator speaks the samples: the same elements in the same order.
func TestSimulatorSpeaksTheSamples(t *testing.T) {
	names := func(all []string) []string {
		out := make([]string, len(all))
		for i, e := range all {
			out[i], _, _ = strings.Cut(e, "=")
		}
		return out
	}
	w := newSim(t, fwctest.Options{})
	for _, op := range []string{opPay, opQuery, opRefund, opCancel, opPresent} {
		change := func(c *fwc.Config) { c.Cnt = "3" }
		p := open(t, w, change)
		if op == opRefund {
			w.advance(30 * time.Second) // 88.90 yuan is paid after a password
			ref := goldenRefund()
			ref.TradeNo = w.bank.Trades()[0].TradeNo
			if _, err := p.Refund(t.Context(), ref); err != nil {
				t.Fatal(err)
			}
		} else if op == opPresent {
			c := goldenCharge(platforms.ModePresent)
			c.OrderNo = "ZJMZ1"
			if _, err := p.Present(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		} else if _, err := do(t.Context(), p, op); err != nil {
			t.Fatal(err)
		}
		got := names(wiretest.Elements(t, w.last))
		want := names(wiretest.Elements(t, sample(t, op+".resp")))
		if op == opQuery { // in the table, not in the sample
			want = append(want[:len(want)-4], append([]string{"xml/body/BarcodeTradeStatus/PayType"}, want[len(want)-4:]...)...)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-seed +simulator):\n%s", op, diff)
		}
	}
}

// TestTypos reads the defects of wire.md §9.2 that are in §5.
func TestTypos(t *testing.T) {
	read := func(op, doc string) (any, error) {
		return do(t.Context(), open(t, &exchange{reply: doc, kind: "text/xml"}), op)
	}
	good := filled(sample(t, opQuery+".resp"), values())
	at := func(hour int) time.Time { return time.Date(2026, 1, 1, hour, 5, 9, 0, time.FixedZone("", 8*60*60)) }
	for text, want := range map[string]time.Time{
		"2026-01-01 13:05:09": at(13), "2026/1/1 13:05:09": at(13), "2026/1/1 3:05:09": at(3), "20260101130509": at(13),
		"2026-01-01T13:05:09": at(13), "13:05": {}, "": {}, "2026-13-01 13:05:09": {},
	} {
		got, err := read(opQuery, strings.Replace(good, "2026-01-01 13:05:09", text, 1))
		if a, _ := got.(platforms.Answer); err != nil || !a.PaidAt.Equal(want) || a.Status != platforms.Paid {
			t.Errorf("time %q read as %v, %v", text, a.PaidAt, err)
		}
	}
	for word, want := range map[string]platforms.Channel{
		"weixin": platforms.WeChat, "WeiXin": platforms.WeChat, " ALIPAY": platforms.Alipay, "Alipay": platforms.Alipay,
		"unionpay": platforms.UnionPay, "dc": platforms.ECNY, "elecny": platforms.ECNY, "支付宝": "", "": "",
	} {
		got, err := read(opQuery, strings.Replace(good, "</BarcodeTradeStatus>", "<PayType>"+word+"</PayType></BarcodeTradeStatus>", 1))
		if a, _ := got.(platforms.Answer); err != nil || a.Channel != want {
			t.Errorf("PayType %q read as %q, %v", word, a.Channel, err)
		}
	}
	// Optional nodes may be missing, one by one and all together.
	for _, name := range []string{"TradeNo", "OutTradeNo", "OpenUserID", "HospitalID", "TotalAmount", "BuyerLogonId", "PaymentDateTime", "Buyer_user_id", "Message", "SubCode", "SubMessage"} {
		doc := regexp.MustCompile(`\s*<`+name+`>[^<]*</`+name+`>`).ReplaceAllString(good, "")
		got, err := read(opQuery, doc)
		if a, _ := got.(platforms.Answer); err != nil || a.Status != platforms.Paid {
			t.Errorf("without %s: %+v, %v", name, a, err)
		}
	}
	bare := `<xml><body><ResponseResult><IsSuccess>1</IsSuccess></ResponseResult><BarcodeTradeStatus><TradeStatus>TRADE_SUCCESS</TradeStatus></BarcodeTradeStatus></body></xml>`
	if got, err := read(opQuery, bare); err != nil || got.(platforms.Answer).Status != platforms.Paid {
		t.Errorf("the barest reply: %+v, %v", got, err)
	}
	for name, doc := range map[string]string{
		"no root":       "",
		"other root":    "<Resp><body/></Resp>",
		"foreign root":  `<xml xmlns="urn:evil"><body><ResponseResult><IsSuccess>1</IsSuccess></ResponseResult></body></xml>`,
		"no body":       "<xml><head/></xml>",
		"no result":     "<xml><body/></xml>",
		"no IsSuccess":  "<xml><body><ResponseResult/></body></xml>",
		"empty success": "<xml><body><ResponseResult><IsSuccess> </IsSuccess></ResponseResult></body></xml>",
		"bad amount":    strings.Replace(good, "88.90", "88.905", 1),
		"amount 1e2":    strings.Replace(good, "88.90", "1e2", 1),
		"nested value":  strings.Replace(good, "TRADE_SUCCESS", "<x>TRADE_SUCCESS</x>", 1),
		"two results":   strings.Replace(good, "<BarcodeTradeStatus>", "<BarcodeTradeStatus/><BarcodeTradeStatus>", 1),
	} {
		if got, err := read(opQuery, doc); err == nil {
			t.Errorf("%s: read as %+v", name, got)
		}
	}
	if !bytes.Contains([]byte(sample(t, opPay+".req")), []byte("<OrderType> APPOINTMENT</OrderType>")) {
		t.Error("the sample lost its leading blank")
	}
}
