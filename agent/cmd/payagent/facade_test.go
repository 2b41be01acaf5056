package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"payagent/platforms"
	"payagent/platforms/fwc"
	"payagent/platforms/smartpay"
	"payagent/uplink/uplinktest"
)

// TestFacade starts the real program against the pretend world with both
// façades and the books open, and lets clients of the platforms' own protocols
// take payments from it: a HIS that only changed an address.
func TestFacade(t *testing.T) {
	r := newKillRig(t, patient)
	began := time.Now()
	front, his := uplinktest.FreeAddress(t), uplinktest.FreeAddress(t)
	const token, secret = "5f0c1e2d-3b4a-4958-8776-a5b4c3d2e1f0", "s3cr3tpath0123456789"
	for name, text := range map[string]string{"his-token": token, "his-secret": secret} {
		if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.OpenFile(r.conf, os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = fmt.Fprintf(f, `
facade:
  listen: ["%s"]
  till: t1
  wait: 20s
  fwc: {token_file: %s/his-token}
  smartpay: {secret_file: %s/his-secret}
books: {listen: ["%s"], allow: [127.0.0.1], token_file: %s/his-token}
`, front, r.dir, r.dir, his, r.dir)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	agent := r.startAgent()
	defer func() {
		_ = agent.Process.Signal(os.Interrupt)
		if err := agent.Wait(); err != nil {
			t.Errorf("the agent did not stop in order: %v\n%s", err, r.tail())
		}
	}()
	r.awaitReady()
	rt := &http.Transport{}
	defer rt.CloseIdleConnections()
	tell := func(string) (platforms.Hidden, error) { return platforms.Hide(token), nil }

	lc, err := fwc.New(rt, fwc.Config{Endpoint: "http://" + front + "/fwc/linkingif.asmx", HospitalID: "H0001", Token: tell})
	if err != nil {
		t.Fatal(err)
	}
	charge := func(no, code, device string) platforms.Charge {
		return platforms.Charge{Ref: platforms.Ref{OrderNo: no, Amount: 100, Mode: platforms.ModeCharge, Terminal: device,
			Merchant: platforms.Merchant{Profile: "p", Code: "M1"}, Operator: platforms.Operator{ID: "7", Name: "张"}},
			OrderType: "TREATMENT", TillKind: "counter", Subject: "门诊缴费",
			Patient: platforms.Patient{Name: platforms.Hide("欧阳"), AdmissionNo: platforms.Hide("1"), CardNo: platforms.Hide("2"), CardType: "medical_card"},
			Code:    platforms.AuthCode{Hidden: platforms.Hide(code), Kind: platforms.KindWeChat}}
	}
	first := charge("MZ1", "134567890123456789", "W1")
	for range 2 {
		if a, err := lc.Charge(t.Context(), first); err != nil || a.Status != platforms.Pending || !a.AskNow || a.Code != "TRADE_SUCCESS" {
			t.Fatalf("%+v %v\n%s", a, err, r.tail())
		}
	}
	paid, err := lc.Query(t.Context(), first.Ref)
	if err != nil || paid.Status != platforms.Paid || paid.Amount != 100 || platforms.Bind(first.Ref, paid) != nil {
		t.Fatalf("%+v %v", paid, err)
	}
	sp, err := smartpay.New(rt, smartpay.Config{Endpoint: "http://" + front + "/" + secret + "/WSGW/services/ServiceGateWay", ClientID: "K", QueryKey: smartpay.ByHisOrderID,
		TransactionCodes: smartpay.TransactionCodes{SweepCodePay: "1", QueryOrderState: "2", Revoke: "3"}})
	if err != nil {
		t.Fatal(err)
	}
	second := charge("MZ2", "134567890123456780", "W0")
	if a, err := sp.Charge(t.Context(), second); err != nil || a.Status != platforms.Paid || a.Handle != "MZ2" || platforms.Bind(second.Ref, a) != nil {
		t.Fatalf("%+v %v\n%s", a, err, r.tail())
	}
	// Canceled after it was paid: HIS could not use it, so the money goes back.
	if c, err := sp.Cancel(t.Context(), second.Ref); err != nil || !c.Done {
		t.Errorf("%+v %v\n%s", c, err, r.tail())
	}
	if a, err := sp.Query(t.Context(), second.Ref); err != nil || a.Status != platforms.Closed {
		t.Errorf("%+v %v", a, err)
	}
	ref := first.Ref
	ref.TradeNo = paid.TradeNo
	if got, err := lc.Refund(t.Context(), platforms.Refund{Ref: ref, RequestNo: "R1", Sum: 30, Reason: "退号"}); err != nil || got.Status != platforms.RefundDone || got.Total != 30 {
		t.Errorf("%+v %v\n%s", got, err, r.tail())
	}

	post := func(url, kind, body string, head ...string) (int, string) {
		t.Helper()
		req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", kind)
		for i := 0; i+1 < len(head); i += 2 {
			req.Header.Set(head[i], head[i+1])
		}
		resp, err := (&http.Client{Transport: rt, Timeout: time.Minute}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	// A page in somebody's browser does not get in, whatever it knows.
	ask := "<xml><head><AccessToken>" + token + "</AccessToken><OutTradeNo>MZ1</OutTradeNo></head><body></body><sign></sign></xml>"
	for _, head := range []string{"Origin", "Sec-Fetch-Site"} {
		if status, text := post("http://"+front+"/fwc/FWC_IF_Barcode_Pay_Query", "text/xml", ask, head, "same-origin"); status != 403 || strings.Contains(text, "MZ1") {
			t.Errorf("%s: %d %s", head, status, text)
		}
	}
	// The books tell what HIS booked, and before it did, nothing.
	query := func() string {
		_, text := post("http://"+his+"/HIS_IF_Query", "text/xml", ask)
		return text
	}
	if text := query(); strings.Contains(text, "HIS-0001") {
		t.Error(text)
	}
	key, err := os.ReadFile(filepath.Join(r.dir, "data", "first-token"))
	if err != nil {
		t.Fatal(err)
	}
	if status, text := post("http://"+r.door+"/v1/orders/MZ1/booking", "application/json", `{"result": "booked", "his_flow_id": "HIS-0001", "cost_type": "挂号费", "medical_card": "K-0099"}`,
		"Authorization", "Bearer "+strings.TrimSpace(string(key)), "Idempotency-Key", "b1"); status/100 != 2 {
		t.Fatalf("%d %s", status, text)
	}
	if text := query(); !strings.Contains(text, "<HisFlowID>HIS-0001<") || !strings.Contains(text, "<TotalAmount>1.00<") || !strings.Contains(text, "<MedicalCard>K-0099<") {
		t.Error(text)
	}
	day := func(at time.Time) string { return at.In(time.FixedZone("UTC+8", 8*60*60)).Format("2006-01-02") }
	_, text := post("http://"+his+"/", "application/x-www-form-urlencoded", "x=1")
	if strings.Contains(text, "MZ1") {
		t.Error(text)
	}
	_, text = post("http://"+his+"/IF_Get_Hospital_Trade_List", "text/xml", "<xml><head><BeginDate>"+day(began)+" 00:00:00</BeginDate><EndDate>"+day(time.Now())+" 23:59:59</EndDate></head></xml>")
	if !strings.Contains(text, "<IsSuccess>1<") || !strings.Contains(text, "<OutTradeNo>MZ1<") || !strings.Contains(text, "<PatientName>欧阳<") || strings.Contains(text, "MZ2") {
		t.Error(text)
	}
}
