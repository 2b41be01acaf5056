package smartpayfacade_test

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding/simplifiedchinese"

	"payagent/platforms"
	"payagent/platforms/internal/wiretest"
	"payagent/platforms/smartpay"
	"payagent/platforms/smartpay/smartpayfacade"
)

const secret = "s3cr3tpath0123456789"

// desk is an agent that answers what a test says and keeps what it was asked.
type desk struct {
	order platforms.FrontOrder
	err   error

	charge platforms.Charge
	no     string
	op     platforms.Operator
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

func (d *desk) Cancel(_ context.Context, no string, op platforms.Operator, wait time.Duration) (platforms.FrontOrder, error) {
	d.no, d.op, d.wait = no, op, wait
	return d.order, d.err
}

func open(t testing.TB, d *desk, change ...func(*smartpayfacade.Config)) http.Handler {
	t.Helper()
	cfg := smartpayfacade.Config{Secret: func(_ context.Context, h platforms.Hidden) bool { return h.Reveal() == secret }, Wait: time.Minute,
		OrderTypes: map[string]string{"008": "TREATMENT"}, CardTypes: map[string]string{"1": "medical_card", "14": "admission_no"}}
	for _, f := range change {
		f(&cfg)
	}
	h, err := smartpayfacade.New(d, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

const number = "MZ240501K7Q2M9X4B8D1F6H3"

func paidOrder() platforms.FrontOrder {
	return platforms.FrontOrder{OrderNo: number, TradeNo: "4200001234567890123456789012", State: platforms.FrontPaid, Amount: 1234, Channel: platforms.WeChat,
		PaidAt: time.Date(2024, 5, 1, 1, 30, 12, 0, time.UTC), Say: "支付成功"}
}

func file(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// ask sends a Req over a variant, as its clients write it, and gives the
// answer's document.
func ask(t testing.TB, h http.Handler, variant, method, doc string) string {
	t.Helper()
	const auth = `{"ClientId":"9000001","ClientVersion":"1.0","Sign":"","SessionKey":""}`
	base := "http://h/" + secret
	form := func(path string, v url.Values) *http.Request {
		r := httptest.NewRequest(http.MethodPost, base+path, strings.NewReader(v.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
		return r
	}
	// The fields as D and E have them.
	fields := url.Values{}
	object := map[string]string{}
	code := ""
	for _, e := range wiretest.Elements(t, doc) {
		name, value, _ := strings.Cut(e, "=")
		if rest, ok := strings.CutPrefix(name, "Req/Data/"); ok {
			fields.Set(rest, value)
			object[rest] = value
		} else if name == "Req/TransactionCode" {
			code = value
		}
	}
	api := "smartPay.SmartPay." + method
	var r *http.Request
	switch variant {
	case "A":
		var b strings.Builder
		_ = xml.EscapeText(&b, []byte(auth))
		r = httptest.NewRequest(http.MethodPost, base+"/WSGW/services/ServiceGateWay", strings.NewReader(`<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:ser="http://com.yihu.wsgw/ServiceGateWay">`+
			`<soapenv:Header/><soapenv:Body><ser:service><ser:authInfo><![CDATA[`+auth+`]]></ser:authInfo><ser:sequenceNo>20220101010101001</ser:sequenceNo><ser:api>`+api+`</ser:api><ser:param><![CDATA[`+
			doc+`]]></ser:param><ser:paramType>1</ser:paramType><ser:outType>1</ser:outType><ser:v>1.0</ser:v></ser:service></soapenv:Body></soapenv:Envelope>`))
		r.Header.Set("Content-Type", "text/xml; charset=utf-8")
		r.Header.Set("SOAPAction", `""`)
	case "B":
		r = form("/WSGW/rest", url.Values{"Api": {api}, "Param": {doc}, "AuthInfo": {auth}})
	case "B get":
		r = httptest.NewRequest(http.MethodGet, base+"/WSGW/rest?"+url.Values{"Api": {api}, "Param": {doc}, "AuthInfo": {auth}, "OutType": {"1"}}.Encode(), nil)
	case "C":
		r = form("/wsgw/smartPay/SmartPay/"+method+"/call.do", url.Values{"param": {doc}, "outType": {"1"}, "paramType": {"1"}})
	case "D":
		r = form("/thirdparty/C1/O1/A1/smartPay/SmartPay/"+method+"/execute.do", fields)
	case "D get":
		r = httptest.NewRequest(http.MethodGet, base+"/thirdparty/C1/O1/A1/smartPay/SmartPay/"+method+"/getExecute.do?"+fields.Encode(), nil)
	case "E":
		b, err := json.Marshal(map[string]any{"Req": map[string]any{"TransactionCode": code, "Data": object}})
		if err != nil {
			t.Fatal(err)
		}
		r = form("/wsgw/smartPay/"+method+"/callApi.do", url.Values{"apiParam": {string(b)}})
	case "raw":
		r = httptest.NewRequest(http.MethodPost, base+"/"+method, strings.NewReader(doc))
	default: // one address for all
		r = httptest.NewRequest(http.MethodPost, base+"/", strings.NewReader(doc))
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	if rec.Code != http.StatusOK {
		t.Fatalf("%s %s: HTTP %d %s", variant, method, rec.Code, rec.Body.String())
	}
	text := rec.Body.String()
	switch variant {
	case "A":
		var env struct {
			Body struct {
				Op struct {
					XMLName xml.Name
					Out     string `xml:"out"`
				} `xml:",any"`
			} `xml:"Body"`
		}
		if err := xml.Unmarshal([]byte(text), &env); err != nil || env.Body.Op.XMLName.Local != "serviceResponse" {
			t.Fatalf("%v %s", err, text)
		}
		return env.Body.Op.Out
	case "C":
		var w struct {
			Code   int    `json:"code"`
			Result string `json:"result"`
		}
		if err := json.Unmarshal([]byte(text), &w); err != nil || w.Code != 0 {
			t.Fatalf("%v %s", err, text)
		}
		return w.Result
	case "E":
		var a struct {
			TransactionCode, RespCode, RespMessage string
			Data                                   []map[string]string
		}
		if err := json.Unmarshal([]byte(text), &a); err != nil || len(a.Data) > 1 {
			t.Fatalf("%v %s", err, text)
		}
		// Written as the others are, in the order of the sample.
		out := "<Resp><TransactionCode>" + a.TransactionCode + "</TransactionCode><RespCode>" + a.RespCode + "</RespCode><RespMessage>" + a.RespMessage + "</RespMessage>"
		if len(a.Data) == 1 {
			out += "<Data>"
			for _, name := range []string{"OrderId", "TotalFee", "HisOrderId", "PayTime", "TransactionId", "OrderState"} {
				if v, ok := a.Data[0][name]; ok {
					out += "<" + name + ">" + v + "</" + name + ">"
				}
			}
			out += "</Data>"
		}
		return out + "</Resp>"
	}
	return text
}

func variants() []string {
	return []string{"A", "B", "B get", "C", "D", "D get", "E", "raw", "raw one"}
}

// Every sample of the seed, filled in, over every transport: what was asked
// arrives field by field, and the answer is the sample of the answer, element
// for element. Our OrderId is the caller's own number.
func TestSamples(t *testing.T) {
	for _, v := range variants() {
		for _, method := range []string{"SweepCodePay", "QueryOrderState", "Revoke"} {
			d := &desk{order: paidOrder()}
			if method == "Revoke" {
				d.order.State = platforms.FrontCanceled
			}
			req := strings.ReplaceAll(file(t, "golden/"+method+".req.xml"), "5f0c1d2e3a4b5c6d7e8f90a1b2c3d4e5", number)
			want := wiretest.Elements(t, strings.ReplaceAll(file(t, "golden/"+method+".resp.xml"), "5f0c1d2e3a4b5c6d7e8f90a1b2c3d4e5", number))
			if strings.HasPrefix(v, "D") { // the server writes the Req, under a code of its own
				want[0] = "Resp/TransactionCode=90001"
			}
			if diff := cmp.Diff(want, wiretest.Elements(t, ask(t, open(t, d), v, method, req))); diff != "" {
				t.Errorf("%s %s (-seed +façade):\n%s", v, method, diff)
			}
			if c := d.charge; method == "SweepCodePay" && (c.OrderNo != number || c.Amount != 1234 || c.Subject != "门诊缴费 <内科> & 检查" || c.Memo != "张三 2024-05-01 处方两张" ||
				c.Patient.CardNo.Reveal() != "0012345678" || c.Patient.CardType != "medical_card" || c.Operator != (platforms.Operator{ID: "0107", Name: "李收费"}) ||
				c.OrderType != "TREATMENT" || c.Merchant.Code != "0755001" || c.Code.Reveal() != "134567890123456789" || c.Terminal != "W03" || c.Mode != platforms.ModeCharge || d.wait != time.Minute) {
				t.Errorf("%s: asked for %+v", v, c)
			}
			if method != "SweepCodePay" && d.no != number || method == "Revoke" && d.op != (platforms.Operator{ID: "0107", Name: "李收费"}) {
				t.Errorf("%s %s: %q %+v", v, method, d.no, d.op)
			}
		}
	}
}

// As printed, with words where values belong, the samples charge nothing, and
// the one that is not well-formed is refused.
func TestSamplesAsPrinted(t *testing.T) {
	for _, method := range []string{"SweepCodePay", "Revoke"} {
		d := &desk{order: paidOrder()}
		if got := ask(t, open(t, d), "C", method, fileOrRepaired(t, method)); strings.Contains(got, "10000") || d.charge.OrderNo != "" {
			t.Errorf("%s: %s", method, got)
		}
	}
	d := &desk{order: paidOrder()}
	r := httptest.NewRequest(http.MethodPost, "http://h/"+secret+"/Revoke", strings.NewReader(file(t, "seed/Revoke.req.xml")))
	rec := httptest.NewRecorder()
	if open(t, d).ServeHTTP(rec, r); !strings.Contains(rec.Body.String(), "<RespCode>-20001<") || d.no != "" {
		t.Error(rec.Body.String())
	}
}

// fileOrRepaired empties the number of Revoke's sample, whose words would
// otherwise be one.
func fileOrRepaired(t *testing.T, method string) string {
	s := file(t, "seed/"+method+".req.xml")
	return strings.Replace(s, "<OrderId>订单号</HisOrderId>", "<OrderId></OrderId>", 1)
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
	state := func(s platforms.FrontState) func(*platforms.FrontOrder) {
		return func(o *platforms.FrontOrder) { o.State = s }
	}
	for name, x := range map[string]struct {
		change  func(*platforms.FrontOrder)
		pay     platforms.Status
		query   platforms.Status
		done    bool
		retry   platforms.Retry
		trouble platforms.FrontTrouble
	}{
		"waiting":           {state(platforms.FrontWaiting), platforms.Pending, platforms.Pending, false, "Y", ""},
		"paying":            {state(platforms.FrontPaying), platforms.Pending, platforms.Pending, false, "Y", ""},
		"canceling":         {state(platforms.FrontCanceling), platforms.Unknown, platforms.Pending, false, "Y", ""},
		"in doubt":          {state(platforms.FrontInDoubt), platforms.Unknown, platforms.Unknown, false, "Y", ""},
		"no state":          {state(""), platforms.Unknown, platforms.Unknown, false, "Y", ""},
		"paid":              {state(platforms.FrontPaid), platforms.Paid, platforms.Paid, false, "N", ""},
		"a part given back": {func(o *platforms.FrontOrder) { o.Refunded = 100 }, platforms.Paid, platforms.Paid, false, "N", ""},
		"going back":        {func(o *platforms.FrontOrder) { o.Reversing = true }, platforms.Unknown, platforms.Unknown, false, "Y", ""},
		"given back":        {func(o *platforms.FrontOrder) { o.Refunded = o.Amount }, platforms.Unknown, platforms.Closed, true, "", ""},
		"failed":            {state(platforms.FrontFailed), platforms.Failed, platforms.Closed, true, "", ""},
		"canceled":          {state(platforms.FrontCanceled), platforms.Unknown, platforms.Closed, true, "", ""},
		"unreachable":       {nil, platforms.Unknown, platforms.Unknown, false, "Y", platforms.FrontAway},
		"an error":          {nil, platforms.Unknown, platforms.Unknown, false, "Y", "x"},
		"no order":          {nil, platforms.Unknown, platforms.NotFound, false, "N", platforms.FrontNoOrder},
		"bad field":         {nil, platforms.Failed, platforms.Unknown, false, "", platforms.FrontBadField},
		"other amount":      {nil, platforms.Unknown, platforms.Unknown, false, "", platforms.FrontNumber},
		"bad code":          {nil, platforms.Failed, platforms.Unknown, false, "", platforms.FrontCode},
		"busy":              {nil, platforms.Failed, platforms.Unknown, false, "", platforms.FrontBusy},
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
		for transport, endpoint := range map[smartpay.Transport]string{smartpay.WSGWSOAP: "http://h/" + secret + "/WSGW/services/ServiceGateWay",
			smartpay.FormGateway: "http://h/" + secret, smartpay.RawXMLPost: "http://h/" + secret + "/{method}"} {
			p, err := smartpay.New(through{open(t, d)}, smartpay.Config{Endpoint: endpoint, Transport: transport, ClientID: "1", QueryKey: smartpay.ByHisOrderID,
				TransactionCodes: smartpay.TransactionCodes{SweepCodePay: "1", QueryOrderState: "2", Revoke: "3"},
				Token:            func(string) (platforms.Hidden, error) { return platforms.Hide("anything"), nil }})
			if err != nil {
				t.Fatal(err)
			}
			c := platforms.Charge{Ref: platforms.Ref{OrderNo: number, Amount: 1234, Mode: platforms.ModeCharge, Terminal: "W", Merchant: platforms.Merchant{Profile: "p", Code: "1"},
				Operator: platforms.Operator{ID: "1", Name: "n"}}, OrderType: "TREATMENT", Subject: "s",
				Patient: platforms.Patient{CardNo: platforms.Hide("1"), CardType: "medical_card"},
				Code:    platforms.AuthCode{Hidden: platforms.Hide("134567890123456789"), Kind: platforms.KindWeChat}}
			a, err := p.Charge(t.Context(), c)
			if err != nil || a.Status != x.pay || strings.Contains(a.Message, "SECRET") {
				t.Errorf("%s %s: pay %+v %v", transport, name, a, err)
			}
			if x.change != nil && a.Handle != number {
				t.Errorf("%s %s: the answer names %q", transport, name, a.Handle)
			}
			if err := platforms.Bind(c.Ref, a); err != nil {
				t.Errorf("%s %s: %v", transport, name, err)
			}
			if a, err = p.Query(t.Context(), c.Ref); err != nil || a.Status != x.query {
				t.Errorf("%s %s: query %+v %v", transport, name, a, err)
			}
			k, err := p.Cancel(t.Context(), c.Ref)
			if err != nil || k.Done != x.done || k.Retry != x.retry {
				t.Errorf("%s %s: cancel %+v %v", transport, name, k, err)
			}
		}
	}
}

// What a call may lack, and what is refused before the agent hears of it.
func TestPay(t *testing.T) {
	good := file(t, "golden/SweepCodePay.req.xml")
	change := func(name, value string) string {
		i := strings.Index(good, "<"+name+">") + len(name) + 2
		return good[:i] + value + good[i+strings.Index(good[i:], "<"):]
	}
	for name, x := range map[string]struct {
		doc  string
		code string // empty: carried out
	}{
		"an empty AuthCode arms the scanner": {change("AuthCode", ""), ""},
		"no memo":                            {change("OrderMemo", ""), ""},
		"no device":                          {change("DeviceInfo", ""), ""},
		"no number":                          {change("HisOrderId", " "), "-20000"},
		"no card":                            {change("CardNo", ""), "-20000"},
		"other card type":                    {change("CardType", "99"), "-20000"},
		"other service":                      {change("ServiceId", "99"), "-20000"},
		"yuan":                               {change("TotalFee", "12.34"), "-400009"},
		"nothing":                            {change("TotalFee", "0"), "-400009"},
	} {
		d := &desk{order: paidOrder()}
		got := ask(t, open(t, d), "C", "SweepCodePay", x.doc)
		if (x.code == "") != (d.charge.OrderNo != "") || x.code != "" && !strings.Contains(got, "<RespCode>"+x.code+"<") {
			t.Errorf("%s: %s", name, got)
		}
	}
	d := &desk{order: paidOrder()}
	ask(t, open(t, d, func(c *smartpayfacade.Config) { c.IgnoreMerchCode = true }), "A", "SweepCodePay", change("CardType", "14"))
	if d.charge.Merchant.Code != "" || d.charge.Patient.AdmissionNo.Reveal() != "0012345678" {
		t.Errorf("%+v", d.charge)
	}
	for _, c := range []smartpayfacade.Config{{}, {Secret: func(context.Context, platforms.Hidden) bool { return true }}} {
		if _, err := smartpayfacade.New(d, c); err == nil {
			t.Errorf("taken: %+v", c)
		}
	}
}

// Who comes without the secret, and requests that are no calls.
func TestOddRequests(t *testing.T) {
	d := &desk{order: paidOrder()}
	h := open(t, d)
	good := file(t, "golden/SweepCodePay.req.xml")
	form := url.Values{"param": {good}, "outType": {"1"}, "paramType": {"1"}}.Encode()
	const formType = "application/x-www-form-urlencoded"
	for name, x := range map[string]struct {
		method, path, kind, body string
		status                   int
		want                     string
	}{
		"wsdl":                 {"GET", "/" + secret + "/WSGW/services/ServiceGateWay?wsdl", "", "", 200, `targetNamespace="http://com.yihu.wsgw/ServiceGateWay"`},
		"wsdl for strangers":   {"GET", "/other/WSGW/services/ServiceGateWay?wsdl", "", "", 404, "not found"},
		"no secret":            {"POST", "/SweepCodePay", "text/xml", good, 404, "not found"},
		"no secret, gateway":   {"POST", "/wsgw/smartPay/SmartPay/SweepCodePay/call.do", formType, form, 200, `"code":40013`},
		"no secret, JSON":      {"POST", "/wsgw/smartPay/SweepCodePay/callApi.do", formType, "apiParam=%7B%7D", 200, `"RespCode":"40013"`},
		"secret alone":         {"POST", "/" + secret, "text/xml", good[:20], 200, "-20001"},
		"GET that pays":        {"GET", "/" + secret + "/wsgw/smartPay/SmartPay/SweepCodePay/call.do?" + form, "", "", 405, ""},
		"another interface":    {"POST", "/" + secret + "/wsgw/smartPay/SmartPay/Other/call.do", formType, form, 200, `"code":-14006`},
		"another module":       {"POST", "/" + secret + "/wsgw/other/SmartPay/SweepCodePay/call.do", formType, form, 200, `"code":50000`},
		"not XML":              {"POST", "/" + secret + "/SweepCodePay", "text/xml", "hello", 200, "-20001"},
		"twice":                {"POST", "/" + secret + "/SweepCodePay", "text/xml", strings.Replace(good, "<Subject>", "<TotalFee>1</TotalFee><Subject>", 1), 200, "-20001"},
		"no envelope":          {"POST", "/" + secret + "/WSGW/services/ServiceGateWay", "text/xml", good, 200, "-14009"},
		"JSON twice":           {"POST", "/" + secret + "/wsgw/smartPay/SweepCodePay/callApi.do", formType, url.Values{"apiParam": {`{"Req":{"Data":{"TotalFee":1,"TotalFee":2}}}`}}.Encode(), 200, `"-20001"`},
		"JSON with a fraction": {"POST", "/" + secret + "/wsgw/smartPay/SweepCodePay/callApi.do", formType, url.Values{"apiParam": {`{"Data":{"TotalFee":1.5}}`}}.Encode(), 200, `"-20001"`},
		"only a name":          {"POST", "/call.do", formType, "", 200, "40013"},
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
	// The later gateways carry the secret as token.
	for i, set := range []func(*http.Request){
		func(r *http.Request) { r.Header.Set("token", secret) },
		func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "token", Value: secret}) },
	} {
		d.charge = platforms.Charge{}
		r := httptest.NewRequest("POST", "http://h/wsgw/smartPay/SmartPay/SweepCodePay/call.do", strings.NewReader(form))
		r.Header.Set("Content-Type", formType)
		set(r)
		rec := httptest.NewRecorder()
		if h.ServeHTTP(rec, r); d.charge.OrderNo == "" {
			t.Errorf("%d: %s", i, rec.Body.String())
		}
	}
	// Who speaks GBK is answered in it, and in JSON who asks for JSON.
	gbk, err := simplifiedchinese.GBK.NewEncoder().String(`<?xml version="1.0" encoding="GBK"?>` + good)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("POST", "http://h/"+secret+"/SweepCodePay", strings.NewReader(gbk))
	r.Header.Set("Content-Type", "text/xml; charset=GBK")
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	if text, err := simplifiedchinese.GBK.NewDecoder().String(rec.Body.String()); err != nil || !strings.Contains(text, "<RespMessage>成功<") || d.charge.Operator.Name != "李收费" {
		t.Errorf("%q %v", text, err)
	}
	r = httptest.NewRequest("POST", "http://h/"+secret+"/wsgw/smartPay/SmartPay/QueryOrderState/call.do", strings.NewReader(
		url.Values{"param": {`{"Req":{"TransactionCode":"1","Data":{"OrderId":"MZ1","MerchCode":7}}}`}, "outType": {"0"}, "paramType": {"0"}}.Encode()))
	r.Header.Set("Content-Type", formType)
	rec = httptest.NewRecorder()
	if h.ServeHTTP(rec, r); !strings.Contains(rec.Body.String(), `\"Data\":[{\"OrderState\":\"2\"}]`) || d.no != "MZ1" {
		t.Error(rec.Body.String())
	}
}

// FuzzServe: no bytes make the façade panic, and nothing is carried out without
// the secret.
func FuzzServe(f *testing.F) {
	good := file(f, "golden/SweepCodePay.req.xml")
	f.Add("/SweepCodePay", "text/xml", good)
	f.Add("/wsgw/smartPay/SmartPay/Revoke/call.do", "application/x-www-form-urlencoded", url.Values{"param": {good}, "outType": {"1"}, "paramType": {"1"}}.Encode())
	f.Add("/wsgw/smartPay/Revoke/callApi.do", "application/x-www-form-urlencoded", `apiParam={"Req":{"TransactionCode":1,"Data":{"OrderId":"1"}}}`)
	f.Add("/thirdparty/a/b/c/smartPay/SmartPay/Revoke/execute.do", "application/x-www-form-urlencoded", "OrderId=1&OperatorId=2")
	f.Add("/WSGW/rest", "application/x-www-form-urlencoded", "Api=smartPay.SmartPay.Revoke&Param=%3CReq/%3E&AuthInfo=%7B%7D")
	f.Add("/WSGW/services/ServiceGateWay", "text/xml", `<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><service xmlns="http://com.yihu.wsgw/ServiceGateWay"><v>1.0</v></service></e:Body></e:Envelope>`)
	f.Fuzz(func(t *testing.T, path, kind, body string) {
		for _, before := range []string{"", "/" + secret} {
			d := &desk{order: paidOrder()}
			r := httptest.NewRequest(http.MethodPost, "http://h/", strings.NewReader(body))
			r.URL.Path = before + path
			r.Header.Set("Content-Type", kind)
			open(t, d).ServeHTTP(httptest.NewRecorder(), r)
			if before == "" && (d.charge.OrderNo != "" || d.no != "") && !strings.Contains(path+body, secret[:8]) && !strings.Contains(body, "%") {
				t.Errorf("carried out without the secret: %q %q", path, body)
			}
		}
	})
}
