package facade_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"payagent/agent/agenttest"
	"payagent/agent/facade"
	"payagent/platforms"
	"payagent/platforms/fwc/fwcfacade"
	"payagent/platforms/fwc/fwcserve"
	"payagent/platforms/smartpay/smartpayfacade"
)

// nodeJob is what testdata/soap/client.js reads.
type nodeJob struct {
	WSDL    string     `json:"wsdl"`
	Service string     `json:"service"`
	SOAP12  bool       `json:"soap12"`
	Calls   []nodeCall `json:"calls"`
}

type nodeCall struct {
	Method string            `json:"method"`
	Args   map[string]string `json:"args"`
}

type nodeAnswer struct {
	Result map[string]string `json:"result"`
	Error  string            `json:"error"`
}

// node lets node-soap, which nobody here wrote, call a service from its WSDL.
func node(t *testing.T, job nodeJob) (ports []string, answers []nodeAnswer) {
	t.Helper()
	modules, err := filepath.Abs("../../build/soap/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(modules, "soap")); err != nil {
		t.Fatal("the SOAP client is not installed; run make setup first")
	}
	program, err := exec.LookPath("node")
	if err != nil {
		t.Fatal("node is not installed; run make setup first")
	}
	in, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Minute)
	defer stop()
	cmd := exec.CommandContext(ctx, program, "testdata/soap/client.js")
	cmd.Env = []string{"NODE_PATH=" + modules, "PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()} // no proxy
	cmd.Stdin = bytes.NewReader(in)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node: %v\n%s", err, stderr.String())
	}
	var got struct {
		Describe []string     `json:"describe"`
		Answers  []nodeAnswer `json:"answers"`
	}
	if err := json.Unmarshal(out, &got); err != nil || len(got.Answers) != len(job.Calls) {
		t.Fatalf("node said %s: %v", out, err)
	}
	return got.Describe, got.Answers
}

const (
	token  = "5f0c1e2d-3b4a-4958-8776-a5b4c3d2e1f0"
	secret = "s3cr3tpath0123456789"
)

func is(want string) func(context.Context, platforms.Hidden) bool {
	return func(_ context.Context, h platforms.Hidden) bool { return h.Reveal() == want }
}

func fwcDoc(fields ...string) string {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="utf-8" ?><xml><head><AccessToken>` + token + `</AccessToken>`)
	for i := 0; i+1 < len(fields); i += 2 {
		b.WriteString("<" + fields[i] + ">" + fields[i+1] + "</" + fields[i] + ">")
	}
	b.WriteString(`</head><body></body><sign></sign></xml>`)
	return b.String()
}

func fwcPay(no, code string) string {
	return fwcDoc("OutTradeNo", no, "AuthCode", code, "TotalAmount", "1.00", "Caption", "门诊 &lt;缴费&gt;", "Descriptive", "", "OperatorID", "1007",
		"PatientName", "欧阳", "InhospitalNo", "1", "OrderType", " TREATMENT", "TerminalID", "D1", "PayType", "weixin", "Cnt", "1")
}

// value gives the text of an element of a document, however deep; the last
// one of that name.
func value(t *testing.T, doc, name string) string {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(strings.TrimSpace(doc)))
	found, in := "", false
	for {
		tok, err := d.Token()
		if err != nil {
			return found
		}
		switch x := tok.(type) {
		case xml.StartElement:
			if in = x.Name.Local == name; in {
				found = ""
			}
		case xml.CharData:
			if in {
				found += string(x)
			}
		case xml.EndElement:
			in = false
		}
	}
}

// serveAll is every handler over one agent, at loopback.
func serveAll(t *testing.T, w *world) *httptest.Server {
	t.Helper()
	var h facade.Handlers
	var err error
	if h.FWC, err = fwcfacade.New(w.front, fwcfacade.Config{Token: is(token), Wait: wait, HospitalID: "H1"}); err != nil {
		t.Fatal(err)
	}
	h.SmartPay, err = smartpayfacade.New(w.front, smartpayfacade.Config{Secret: is(secret), Wait: wait,
		OrderTypes: map[string]string{"008": "TREATMENT"}, CardTypes: map[string]string{"1": "medical_card"}})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(facade.Handler(h))
	t.Cleanup(s.Close)
	return s
}

// The façade of FWC, called from its own WSDL by node-soap over both SOAPs.
func TestNodeFWC(t *testing.T) {
	w := start(t)
	w.bank.OnCharge(paid)
	s := serveAll(t, w)
	for i, twelve := range []bool{false, true} {
		no := []string{"MZ1", "MZ2"}[i]
		ports, got := node(t, nodeJob{WSDL: s.URL + "/fwc/linkingif.asmx?wsdl", Service: "HospitalWS", SOAP12: twelve, Calls: []nodeCall{
			{"FWC_IF_Barcode_Pay", map[string]string{"xml": fwcPay(no, []string{code1, code2}[i])}},
			{"FWC_IF_Barcode_Pay", map[string]string{"xml": fwcPay(no, code1)}},
			{"FWC_IF_Barcode_Pay_Query", map[string]string{"xml": fwcDoc("OutTradeNo", no)}},
			{"FWC_IF_Barcode_Pay_Query", map[string]string{"xml": strings.Replace(fwcDoc("OutTradeNo", no), token, "x", 1)}},
			{"FWC_IF_Barcode_Pay_Cancel", map[string]string{"xml": fwcDoc("OutTradeNo", "MZ9")}},
		}})
		if !slices.Equal(ports, []string{"HospitalWSSoap", "HospitalWSSoap12"}) {
			t.Errorf("ports %v", ports)
		}
		for j, want := range [][2]string{{"IsSuccess", "1"}, {"TradeNo", "T" + no}, {"TradeStatus", "TRADE_SUCCESS"}, {"IsSuccess", "3"}, {"RetryFlag", "N"}} {
			var doc string
			for _, v := range got[j].Result {
				doc = v
			}
			if got[j].Error != "" || value(t, doc, want[0]) != want[1] {
				t.Errorf("SOAP 1.2 %v, call %d: %s\n%s", twelve, j, got[j].Error, doc)
			}
			if j == 0 && value(t, doc, "Caption") != "门诊 <缴费>" {
				t.Errorf("the echo says %q", value(t, doc, "Caption"))
			}
		}
	}
	if n := w.charges(); n != 2 {
		t.Errorf("%d charges for two numbers", n)
	}
}

// The façade of SmartPay's SOAP gateway, the same way.
func TestNodeSmartPay(t *testing.T) {
	w := start(t)
	w.bank.OnCharge(paid)
	s := serveAll(t, w)
	req := func(method, doc string) nodeCall {
		return nodeCall{"service", map[string]string{"authInfo": `{"ClientId":"9000001","ClientVersion":"1.0","Sign":"","SessionKey":""}`,
			"sequenceNo": "20240501093000007", "api": "smartPay.SmartPay." + method, "param": doc, "paramType": "1", "outType": "1", "v": "1.0"}}
	}
	pay := `<Req><TransactionCode>9001</TransactionCode><Data><HisOrderId>MZ1</HisOrderId><TotalFee>100</TotalFee><Subject>门诊缴费</Subject><OrderMemo>m</OrderMemo><CardNo>1</CardNo>` +
		`<CardType>1</CardType><OperatorId>7</OperatorId><OperatorName>张</OperatorName><ServiceId>008</ServiceId><EqptType>5</EqptType><MerchCode>M1</MerchCode><AuthCode>` + code1 +
		`</AuthCode><DeviceInfo>D1</DeviceInfo><Name>欧阳</Name></Data></Req>`
	ports, got := node(t, nodeJob{WSDL: s.URL + "/" + secret + "/WSGW/services/ServiceGateWay?wsdl", Service: "ServiceGateWay", Calls: []nodeCall{
		req("SweepCodePay", strings.Replace(pay, "<CardType>1<", "<CardType>9<", 1)),
		// Till 3 takes money for merchant M2, and the call names M1.
		req("SweepCodePay", strings.Replace(pay, "<DeviceInfo>D1<", "<DeviceInfo>10.0.0.3<", 1)),
		req("QueryOrderState", `<Req><TransactionCode>9002</TransactionCode><Data><OrderId>MZ1</OrderId><MerchCode>M1</MerchCode></Data></Req>`),
		req("Revoke", `<Req><TransactionCode>9003</TransactionCode><Data><OrderId>MZ8</OrderId><OperatorId>7</OperatorId><OperatorName>张</OperatorName><MerchCode>M1</MerchCode></Data></Req>`),
		req("Nothing", pay),
	}})
	if !slices.Equal(ports, []string{"ServiceGateWaySoap"}) {
		t.Errorf("ports %v", ports)
	}
	for j, want := range []string{"-20000", "-20000", "-400002", "-400002", "-14006"} {
		if got[j].Error != "" || value(t, got[j].Result["out"], "RespCode") != want {
			t.Errorf("call %d: want %s: %s\n%v", j, want, got[j].Error, got[j].Result)
		}
	}
	// Till 3 is on the platform that SmartPay stands for, under merchant M2.
	w.Banks[agenttest.Plain].OnCharge(paid)
	good := strings.NewReplacer("<DeviceInfo>D1<", "<DeviceInfo>10.0.0.3<", "<MerchCode>M1<", "<MerchCode>M2<").Replace(pay)
	_, got = node(t, nodeJob{WSDL: s.URL + "/" + secret + "/WSGW/services/ServiceGateWay?wsdl", Service: "ServiceGateWay", Calls: []nodeCall{
		req("SweepCodePay", good), req("SweepCodePay", good),
		req("QueryOrderState", `<Req><TransactionCode>9002</TransactionCode><Data><OrderId>MZ1</OrderId><MerchCode>M2</MerchCode></Data></Req>`),
	}})
	for j, want := range [][2]string{{"TransactionId", "TMZ1"}, {"TotalFee", "100"}, {"OrderState", "2"}} {
		out := got[j].Result["out"]
		if got[j].Error != "" || value(t, out, "RespCode") != "10000" || value(t, out, want[0]) != want[1] {
			t.Errorf("call %d: %s\n%s", j, got[j].Error, out)
		}
	}
	if n := len(w.Banks[agenttest.Plain].Calls("charge")); n != 1 || w.charges() != 0 {
		t.Errorf("%d charges for one number", n)
	}
}

// books is one day's worth of a hospital.
type books struct{}

func (books) Trades(_ context.Context, q platforms.TradeQuery, yield func(platforms.Trade) error) error {
	for _, refunded := range []bool{false, true} {
		at := time.Date(2026, 1, 1, 13, 5, 9, 0, time.FixedZone("UTC+8", 8*60*60))
		if at.Before(q.From) || at.After(q.To) {
			continue
		}
		if err := yield(platforms.Trade{CardNo: platforms.Hide("K1"), PatientName: platforms.Hide("欧阳 <甲>"), CostType: "挂号", Refunded: refunded,
			TradeNo: "4200", Amount: 8890, OutTradeNo: "MZ1", At: at, Channel: platforms.WeChat}); err != nil {
			return err
		}
	}
	return nil
}

func (books) Order(_ context.Context, no string) (platforms.OrderBooks, error) {
	if no != "MZ1" {
		return platforms.OrderBooks{}, platforms.ErrNoOrder
	}
	return platforms.OrderBooks{TradeNo: "4200", OutTradeNo: no, MedicalCard: platforms.Hide("K1"), Entries: []platforms.Entry{
		{FlowID: "2022010101010100001", Amount: 10000, Channel: platforms.Alipay}, {FlowID: "T2022010101010100001", Amount: -5000, Channel: platforms.Alipay}}}, nil
}

// What reconciliation asks, the same way.
func TestNodeBooks(t *testing.T) {
	h, err := fwcserve.New(books{}, fwcserve.Config{Token: is(token)})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	span := func(day string) map[string]string {
		return map[string]string{"xml": `<?xml version="1.0" encoding="utf-8" ?><xml><head><BeginDate>` + day + ` 00:00:00</BeginDate><EndDate>` + day + ` 23:59:59</EndDate></head><body></body><sign></sign></xml>`}
	}
	for _, twelve := range []bool{false, true} {
		_, got := node(t, nodeJob{WSDL: s.URL + "/his?WSDL", Service: "HisWS", SOAP12: twelve, Calls: []nodeCall{
			{"IF_Get_Hospital_Trade_List", span("2026-01-01")},
			{"IF_Get_Hospital_Trade_List", span("2026-01-02")},
			{"HIS_IF_Query", map[string]string{"xml": fwcDoc("OutTradeNo", "MZ1")}},
			{"HIS_IF_Query", map[string]string{"xml": fwcDoc("OutTradeNo", "MZ2")}},
		}})
		for j, want := range []struct {
			result, name, value string
			count               int
		}{
			{"IF_Get_Hospital_Trade_ListResult", "PatientName", "欧阳 <甲>", 2},
			{"IF_Get_Hospital_Trade_ListResult", "IsSuccess", "1", 0},
			{"HIS_IF_QueryResult", "TotalAmount", "-50.00", 0},
			{"HIS_IF_QueryResult", "IsSuccess", "0", 0},
		} {
			doc := got[j].Result[want.result]
			if got[j].Error != "" || value(t, doc, want.name) != want.value || strings.Count(doc, "<GetHospitalTradeList>") != want.count {
				t.Errorf("SOAP 1.2 %v, call %d: %s\n%s", twelve, j, got[j].Error, doc)
			}
		}
	}
}
