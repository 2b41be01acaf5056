package smartpay

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"payagent/platforms"
	"payagent/platforms/internal/strictxml"
	"payagent/platforms/smartpay/internal/message"
)

const (
	goldenOrder  = "MZ240501K7Q2M9X4B8D1F6H3"
	goldenHandle = "5f0c1d2e3a4b5c6d7e8f90a1b2c3d4e5"
	goldenCode   = "134567890123456789"
)

func goldenConfig(tr Transport) Config {
	return Config{
		Endpoint: "http://smartpay.test/pay", Transport: tr, ClientID: "9000001",
		TransactionCodes: TransactionCodes{SweepCodePay: "1001", QueryOrderState: "1002", Revoke: "1003"},
		Token:            func(string) (platforms.Hidden, error) { return platforms.Hide("tok-5Q8Z"), nil },
		Probe:            platforms.Merchant{Profile: "outpatient", Code: "0755001"},
		Now:              func() time.Time { return time.Date(2024, 5, 1, 1, 30, 0, 7_000_000, time.UTC) },
	}
}

func goldenCharge() platforms.Charge {
	return platforms.Charge{
		Ref: platforms.Ref{
			OrderNo: goldenOrder, Amount: 1234, Mode: platforms.ModeCharge, Terminal: "W03",
			Merchant: platforms.Merchant{Profile: "outpatient", Code: "0755001"},
			Operator: platforms.Operator{ID: "0107", Name: "李收费"},
		},
		Code:    platforms.AuthCode{Hidden: platforms.Hide(goldenCode), Kind: platforms.KindWeChat},
		Channel: platforms.WeChat, OrderType: "TREATMENT", TillKind: "counter",
		Subject: "门诊缴费 <内科> & 检查", Memo: "张三 2024-05-01 处方两张",
		Patient: platforms.Patient{CardNo: platforms.Hide("0012345678"), CardType: "medical_card"},
	}
}

func goldenRef() platforms.Ref {
	ref := goldenCharge().Ref
	ref.Handle = goldenHandle
	return ref
}

// canned answers every request with the same bytes and keeps the last request.
type canned struct {
	status int
	kind   string
	body   string

	req  *http.Request
	sent []byte
	n    int
}

func (c *canned) RoundTrip(r *http.Request) (*http.Response, error) {
	c.req, c.n = r, c.n+1
	c.sent, _ = io.ReadAll(r.Body)
	status := c.status
	if status == 0 {
		status = http.StatusOK
	}
	h := http.Header{}
	if c.kind != "" {
		h.Set("Content-Type", c.kind)
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(c.body)), ContentLength: int64(len(c.body)), Request: r}, nil
}

func open(t testing.TB, rt http.RoundTripper, change ...func(*Config)) *Platform {
	t.Helper()
	cfg := goldenConfig(RawXMLPost)
	for _, f := range change {
		f(&cfg)
	}
	p, err := New(rt, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func file(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// shape writes a document as lines of path and value.
func shape(n *strictxml.Node, path string) []string {
	if len(n.Kids) == 0 {
		return []string{path + "=" + strings.TrimSpace(n.Text)}
	}
	var lines []string
	for _, k := range n.Kids {
		lines = append(lines, shape(k, path+"/"+k.Name)...)
	}
	return lines
}

func shapeOf(t testing.TB, doc string) []string {
	t.Helper()
	root, err := strictxml.ParseText(doc)
	if err != nil {
		t.Fatal(err)
	}
	return shape(root, root.Name)
}

func names(lines []string) []string {
	var out []string
	for _, l := range lines {
		name, _, _ := strings.Cut(l, "=")
		out = append(out, name)
	}
	return out
}

// sent makes the three requests and gives what went over the wire.
func sent(t testing.TB, method string) string {
	t.Helper()
	rt := &canned{body: file(t, "golden/"+method+".resp.xml")}
	p := open(t, rt)
	var err error
	switch method {
	case message.Charge:
		_, err = p.Charge(context.Background(), goldenCharge())
	case message.Query:
		_, err = p.Query(context.Background(), goldenRef())
	case message.Revoke:
		_, err = p.Cancel(context.Background(), goldenRef())
	}
	if err != nil {
		t.Fatal(err)
	}
	if rt.n != 1 {
		t.Fatalf("%d requests, want one", rt.n)
	}
	return string(rt.sent)
}

// repaired is the seed's sample of the Revoke request with the one end tag put
// right that makes it malformed.
func repaired(sample string) string {
	return strings.Replace(sample, "<OrderId>订单号</HisOrderId>", "<OrderId>订单号</OrderId>", 1)
}

func TestRequestsAreTheSeedsSamplesFilledIn(t *testing.T) {
	for _, method := range []string{message.Charge, message.Query, message.Revoke} {
		t.Run(method, func(t *testing.T) {
			got := shapeOf(t, sent(t, method))
			if diff := cmp.Diff(shapeOf(t, file(t, "golden/"+method+".req.xml")), got); diff != "" {
				t.Errorf("the request differs from the golden one (-want +got):\n%s", diff)
			}
			sample := repaired(file(t, "seed/"+method+".req.xml"))
			if diff := cmp.Diff(names(shapeOf(t, sample)), names(got)); diff != "" {
				t.Errorf("names or order differ from the seed's sample (-seed +got):\n%s", diff)
			}
		})
	}
}

func TestGoldenRepliesHaveTheSeedsNames(t *testing.T) {
	for _, method := range []string{message.Charge, message.Query, message.Revoke} {
		golden, sample := shapeOf(t, file(t, "golden/"+method+".resp.xml")), shapeOf(t, file(t, "seed/"+method+".resp.xml"))
		if diff := cmp.Diff(names(sample), names(golden)); diff != "" {
			t.Errorf("%s: (-seed +golden):\n%s", method, diff)
		}
	}
}

func TestGoldenReplies(t *testing.T) {
	ctx := context.Background()
	a, err := open(t, &canned{body: file(t, "golden/SweepCodePay.resp.xml")}).Charge(ctx, goldenCharge())
	want := platforms.Answer{
		Status: platforms.Paid, OrderNo: goldenOrder, Handle: goldenHandle, TradeNo: "4200001234567890123456789012",
		Amount: 1234, HasAmount: true, PaidAt: time.Date(2024, 5, 1, 1, 30, 12, 0, time.UTC), Code: "10000", Message: "成功",
	}
	if diff := cmp.Diff(want, a, cmp.AllowUnexported(platforms.Hidden{})); err != nil || diff != "" {
		t.Errorf("SweepCodePay: %v\n%s", err, diff)
	}
	if err := platforms.Bind(goldenCharge().Ref, a); err != nil {
		t.Errorf("SweepCodePay: %v", err)
	}
	a, err = open(t, &canned{body: file(t, "golden/QueryOrderState.resp.xml")}).Query(ctx, goldenRef())
	if diff := cmp.Diff(platforms.Answer{Status: platforms.Paid, Code: "10000", Message: "成功"}, a, cmp.AllowUnexported(platforms.Hidden{})); err != nil || diff != "" {
		t.Errorf("QueryOrderState: %v\n%s", err, diff)
	}
	c, err := open(t, &canned{body: file(t, "golden/Revoke.resp.xml")}).Cancel(ctx, goldenRef())
	if diff := cmp.Diff(platforms.Cancellation{Done: true, Action: platforms.ActionUnknown, Code: "10000", Message: "成功"}, c); err != nil || diff != "" {
		t.Errorf("Revoke: %v\n%s", err, diff)
	}
}

func TestTheSeedsOwnWordsProveNothing(t *testing.T) {
	ctx := context.Background()
	a, err := open(t, &canned{body: file(t, "seed/SweepCodePay.resp.xml")}).Charge(ctx, goldenCharge())
	if err == nil || a.Status != platforms.Unknown {
		t.Errorf("TotalFee 总费用: %v, %v", a.Status, err)
	}
	a, err = open(t, &canned{body: file(t, "seed/QueryOrderState.resp.xml")}).Query(ctx, goldenRef())
	if err != nil || a.Status != platforms.Unknown {
		t.Errorf("OrderState 订单状态: %v, %v", a.Status, err)
	}
}

func TestTheMalformedRevokeSampleIsRefusedWithThePlace(t *testing.T) {
	_, err := strictxml.ParseText(file(t, "seed/Revoke.req.xml"))
	if err == nil || !strings.Contains(err.Error(), "</HisOrderId>") || !strings.Contains(err.Error(), "at byte ") {
		t.Errorf("want the end tag and its place, got %v", err)
	}
	if got := sent(t, message.Revoke); !strings.Contains(got, "<OrderId>"+goldenHandle+"</OrderId>") || strings.Contains(got, "HisOrderId") {
		t.Errorf("our Revoke is not the corrected form:\n%s", got)
	}
	// As a reply the malformed sample is no answer, and the place is named too.
	for _, body := range []string{file(t, "seed/Revoke.req.xml"), strings.ReplaceAll(file(t, "seed/Revoke.req.xml"), "Req>", "Resp>")} {
		c, err := open(t, &canned{body: body}).Cancel(context.Background(), goldenRef())
		if err == nil || c.Done || !strings.Contains(err.Error(), "</HisOrderId>") {
			t.Errorf("%+v, %v", c, err)
		}
	}
}

func TestTransportsOnTheWire(t *testing.T) {
	doc := sent(t, message.Charge)
	resp := file(t, "golden/SweepCodePay.resp.xml")

	soap := &canned{body: soapReply(strictxml.Escape(resp))}
	p := open(t, soap, func(c *Config) { c.Transport = WSGWSOAP })
	if a, err := p.Charge(context.Background(), goldenCharge()); err != nil || a.Status != platforms.Paid {
		t.Fatalf("SOAP: %v %v", a.Status, err)
	}
	env, err := strictxml.ParseEnvelope(soap.sent)
	if err != nil {
		t.Fatal(err)
	}
	service := env.Kids[0].Kids[0]
	want := []string{
		`service/authInfo={"ClientId":"9000001","ClientVersion":"1.0","Sign":"","SessionKey":""}`,
		"service/sequenceNo=20240501093000007", "service/api=smartPay.SmartPay.SweepCodePay",
		"service/param=" + doc, "service/paramType=1", "service/outType=1", "service/v=1.0",
	}
	if diff := cmp.Diff(want, shape(service, service.Name)); diff != "" || service.Space != message.Namespace {
		t.Errorf("SOAP in namespace %q:\n%s", service.Space, diff)
	}
	if got := soap.req.Header["SOAPAction"]; len(got) != 1 || got[0] != `""` {
		t.Errorf("SOAPAction %q", got)
	}

	form := &canned{body: wrapped(0, resp), kind: "application/json;charset=UTF-8"}
	p = open(t, form, func(c *Config) { c.Transport = FormGateway })
	if a, err := p.Charge(context.Background(), goldenCharge()); err != nil || a.Status != platforms.Paid {
		t.Fatalf("form: %v %v", a.Status, err)
	}
	if got := form.req.URL.String(); got != "http://smartpay.test/pay/wsgw/smartPay/SmartPay/SweepCodePay/call.do" {
		t.Errorf("form address %s", got)
	}
	if got := form.req.Header.Get("token"); got != "tok-5Q8Z" {
		t.Errorf("token %q", got)
	}
	again, err := http.NewRequest(http.MethodPost, "http://x/", bytes.NewReader(form.sent))
	if err != nil {
		t.Fatal(err)
	}
	again.Header.Set("Content-Type", form.req.Header.Get("Content-Type"))
	if err := again.ParseForm(); err != nil || len(again.PostForm) != 3 || again.PostForm.Get("param") != doc || again.PostForm.Get("outType") != "1" || again.PostForm.Get("paramType") != "1" {
		t.Errorf("form %v %v", again.PostForm, err)
	}

	raw := &canned{body: resp}
	p = open(t, raw, func(c *Config) { c.Endpoint = "http://smartpay.test/{method}.do" })
	if _, err := p.Query(context.Background(), goldenRef()); err != nil || raw.req.URL.Path != "/QueryOrderState.do" {
		t.Errorf("raw %s %v", raw.req.URL, err)
	}
}

func soapReply(out string) string {
	return `<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsd="http://www.w3.org/2001/XMLSchema"><soapenv:Body>` +
		`<ns:serviceResponse xmlns:ns="http://com.yihu.wsgw/ServiceGateWay"><ns:out>` + out + `</ns:out></ns:serviceResponse></soapenv:Body></soapenv:Envelope>`
}

func wrapped(code int, result string) string {
	return fmt.Sprintf(`{"code":%d,"msg":"ok","result":%q}`, code, result)
}

func TestRepliesInEveryDress(t *testing.T) {
	plain := file(t, "golden/SweepCodePay.resp.xml")
	gbk := func(s string) string {
		b, err := strictxml.ToGB(s)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	u8, gb := `<?xml version="1.0" encoding="UTF-8"?>`+"\n", `<?xml version="1.0" encoding="GBK" ?>`+"\n"
	for _, c := range []struct {
		name string
		tr   Transport
		body string
		paid bool
	}{
		{"raw, bare", RawXMLPost, plain, true},
		{"raw, UTF-8 declared", RawXMLPost, u8 + plain, true},
		{"raw, byte order mark", RawXMLPost, "\ufeff" + u8 + plain, true},
		{"raw, GBK declared", RawXMLPost, gbk(gb + plain), true},
		{"raw, GBK declared and not so", RawXMLPost, gb + strings.Replace(plain, "成功", "成功了", 1), false},
		{"raw, GBK and not declared", RawXMLPost, gbk(plain), false},
		{"raw, UTF-16 declared", RawXMLPost, `<?xml version="1.0" encoding="UTF-16"?>` + plain, false},
		{"raw, twice", RawXMLPost, plain + plain, false},
		{"raw, code twice", RawXMLPost, strings.Replace(plain, "<RespCode>", "<RespCode>-400010</RespCode><RespCode>", 1), false},
		{"raw, code and its case twin", RawXMLPost, strings.Replace(plain, "<RespCode>", "<respCode>-400010</respCode><RespCode>", 1), false},
		{"raw, fee twice", RawXMLPost, strings.Replace(plain, "<TotalFee>", "<TotalFee>1</TotalFee><TotalFee>", 1), false},
		{"raw, DTD", RawXMLPost, "<!DOCTYPE Resp>" + plain, false},
		{"raw, another root", RawXMLPost, strings.ReplaceAll(plain, "Resp>", "resp>"), false},
		{"raw, empty", RawXMLPost, "", false},
		{"SOAP, escaped", WSGWSOAP, soapReply(strictxml.Escape(plain)), true},
		{"SOAP, CDATA", WSGWSOAP, soapReply("<![CDATA[" + plain + "]]>"), true},
		{"SOAP, CDATA with declaration", WSGWSOAP, soapReply("<![CDATA[" + u8 + plain + "]]>"), true},
		{"SOAP, the inner declaration speaks of GBK", WSGWSOAP, soapReply("<![CDATA[" + gb + plain + "]]>"), true},
		{"SOAP, GBK outside", WSGWSOAP, gbk(gb + soapReply(strictxml.Escape(gb+plain))), true},
		{"SOAP, other namespace", WSGWSOAP, strings.ReplaceAll(soapReply(strictxml.Escape(plain)), "com.yihu.wsgw", "other"), true},
		{"SOAP, two outs", WSGWSOAP, strings.Replace(soapReply(strictxml.Escape(plain)), "<ns:out>", "<ns:out></ns:out><ns:out>", 1), false},
		{"SOAP, bare Resp", WSGWSOAP, plain, false},
		{"SOAP, Resp as elements", WSGWSOAP, soapReply(plain), false},
		{"SOAP, inner trailing", WSGWSOAP, soapReply(strictxml.Escape(plain + "x")), false},
		{"SOAP, inner DTD", WSGWSOAP, soapReply(strictxml.Escape("<!DOCTYPE Resp>" + plain)), false},
		{"form", FormGateway, wrapped(0, plain), true},
		{"form, code as text", FormGateway, strings.Replace(wrapped(0, plain), `"code":0`, `"code":"0"`, 1), true},
		{"form, further names", FormGateway, strings.Replace(wrapped(0, plain), `{`, `{"ts":{"a":[1,2]},`, 1), true},
		{"form, declared", FormGateway, wrapped(0, u8+plain), true},
		{"form, code not 0", FormGateway, wrapped(10000, plain), false},
		{"form, no code", FormGateway, strings.Replace(wrapped(0, plain), `"code":0,`, ``, 1), false},
		{"form, code 0.0", FormGateway, strings.Replace(wrapped(0, plain), `"code":0`, `"code":0.0`, 1), false},
		{"form, code null", FormGateway, strings.Replace(wrapped(0, plain), `"code":0`, `"code":null`, 1), false},
		{"form, result twice", FormGateway, strings.Replace(wrapped(0, plain), `{`, `{"result":"",`, 1), false},
		{"form, case twin", FormGateway, strings.Replace(wrapped(0, plain), `{`, `{"Result":"",`, 1), false},
		{"form, twins further in", FormGateway, strings.Replace(wrapped(0, plain), `{`, `{"x":[{"a":1,"A":2}],`, 1), false},
		{"form, trailing", FormGateway, wrapped(0, plain) + "{}", false},
		{"form, array", FormGateway, "[" + wrapped(0, plain) + "]", false},
		{"form, null", FormGateway, "null", false},
		{"form, result an object", FormGateway, `{"code":0,"result":{"RespCode":10000}}`, false},
		{"form, half a character", FormGateway, strings.Replace(wrapped(0, plain), "成功", `\ud83d`, 1), false},
		{"form, deep", FormGateway, strings.Replace(wrapped(0, plain), `{`, `{"x":`+strings.Repeat("[", 40)+strings.Repeat("]", 40)+`,`, 1), false},
		{"form, bare Resp", FormGateway, plain, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := open(t, &canned{body: c.body}, func(cfg *Config) { cfg.Transport = c.tr })
			a, err := p.Charge(context.Background(), goldenCharge())
			if c.paid && (err != nil || a.Status != platforms.Paid || a.Handle != goldenHandle) {
				t.Errorf("not read: %v %v", a.Status, err)
			}
			if !c.paid && (err == nil || a.Status != platforms.Unknown) {
				t.Errorf("believed: %v %v", a.Status, err)
			}
		})
	}
}

func TestRequestsInGBK(t *testing.T) {
	for _, tr := range []Transport{RawXMLPost, WSGWSOAP, FormGateway} {
		rt := &canned{body: "x"}
		p := open(t, rt, func(c *Config) { c.Transport, c.Charset = tr, "gbk" })
		_, _ = p.Charge(context.Background(), goldenCharge())
		text, err := strictxml.FromGB(string(rt.sent))
		kind := rt.req.Header.Get("Content-Type")
		if tr == FormGateway {
			if !bytes.Contains(rt.sent, []byte("%C0%EE%CA%D5%B7%D1")) || !strings.Contains(kind, "gbk") { // 李收费
				t.Errorf("%s: %s\n%s", tr, kind, rt.sent)
			}
			continue
		}
		if err != nil || !strings.Contains(text, "李收费") || !strings.HasPrefix(text, `<?xml version="1.0" encoding="GBK"?>`) || !strings.Contains(kind, "gbk") {
			t.Errorf("%s: %s %v\n%s", tr, kind, err, text)
		}
	}
	c := goldenCharge()
	c.Subject = "门诊 😀"
	var f *platforms.FieldError
	p := open(t, &canned{}, func(c *Config) { c.Charset = "gbk" })
	if err := p.CheckCharge(c); !asField(err, &f) || f.Field != "subject" {
		t.Errorf("a character that GBK lacks: %v", err)
	}
}
