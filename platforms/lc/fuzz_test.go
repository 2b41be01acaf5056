package lc

import (
	"crypto/rsa"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"payagent/platforms"
	"payagent/platforms/internal/wire"
	"payagent/platforms/lc/internal/sign"
)

// FuzzRead: whatever comes without the platform's signature claims nothing that
// ends an order, whoever asks; and what is read unverified still carries our
// app_id, our method and our nonce. No request is signed here, so that many
// replies can be tried.
func FuzzRead(f *testing.F) {
	files, err := filepath.Glob("testdata/seed/*.resp.json")
	if err != nil || len(files) < 4 {
		f.Fatal(files, err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	const head = `{"app_id":"LCOP1","method":"lc.trade.query","nonce_str":"00000000000000000000000000000000","code":"10000","msg":"Success",`
	for _, biz := range []string{`{"trade_status":"TRADE_SUCCESS"}`, `{"trade_status":"TRADE_CLOSED","total_amount":88.88}`, `{"action":"close","retry_flag":"N"}`, `{"refund_fee":"1.00"}`, `{"goto_url":"https://x.invalid/"}`, `null`} {
		f.Add([]byte(head + `"biz_content":` + biz + `}`))
		f.Add([]byte(head + `"biz_content":` + biz + `,"sign":"MY25WPL3n/+4J4WP+NxZ/ptH6s7kVxGUIW73X80fyJBpD4IRNGMWC9xiWxAFsdVgJNmOwOjy+N5kCLus96k1HmZoahqOsdh1L4IXYURqnjST4ZqFuNH26w2y987SaYO3/tyMCfCR9bbbbw+9gXunOjpUercoU4Fd+WMudic8e/Y="}`))
	}
	key, err := sign.PublicKey("MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDCw44SYAIfIgIBcQdVQqRU4S1wwVz+8HgkcFyUxP5IYjy/dNRGEz3zwR4YB3vNRrXcvE58O1Uabnxt7bmM/FuFQiIeV9z0URDoKs94H2+SgTavUix65aI0OWAXdu6DkngyFs46cHnQcDMfFqJ3Uk2Rf86Fi/ZU9dzyCZJvCTaadQIDAQAB")
	if err != nil {
		f.Fatal(err)
	}
	asked := envelope{method: methodQuery, nonce: strings.Repeat("0", 32)}
	with := func(policy Verify) *Platform {
		cfg := Config{AppID: "LCOP1", VerifyReply: policy}.defaults()
		return &Platform{cfg: cfg, keys: []*rsa.PublicKey{key}}
	}
	warn, strict, off := with(VerifyWarn), with(VerifyStrict), with(VerifyOff)
	ref := platforms.Ref{OrderNo: "MZ1", Amount: 8888, Mode: platforms.ModeH5}
	f.Fuzz(func(t *testing.T, doc []byte) {
		if _, err := strict.read(wire.Reply{Body: doc}, asked); err == nil {
			t.Fatal("the strict policy takes it")
		}
		if m, err := open(doc); err == nil && warn.keys != nil {
			_ = m.texts(true)
		}
		r, err := off.read(wire.Reply{Body: doc}, asked)
		if m, bad := open(doc); err == nil && (bad != nil || m.values["app_id"] != "LCOP1" || m.values["method"] != asked.method || m.values["nonce_str"] != asked.nonce) {
			t.Fatal("another answer is taken for ours")
		}
		if err == nil {
			_, _ = off.queryAnswer(ref, r)
		}
		r, err = warn.read(wire.Reply{Body: doc}, asked)
		if err != nil {
			return
		}
		if r.trusted || warn.refusedUs(r) {
			t.Fatal("it is trusted")
		}
		charge := platforms.Charge{Ref: ref}
		if a, err := warn.queryAnswer(ref, r); err == nil && a.Status != platforms.Unknown && a.Status != platforms.Pending || a.Final || a.HasRefunded {
			t.Fatalf("query: %+v", a)
		}
		if a, err := warn.payAnswer(charge, r); err == nil && a.Status != platforms.Unknown && a.Status != platforms.Pending {
			t.Fatalf("pay: %+v", a)
		}
		for _, mode := range []platforms.Mode{platforms.ModePresent, platforms.ModeH5, platforms.ModeInsurance} {
			charge.Mode = mode
			if a, _ := warn.shownAnswer(charge, r); a.Status != platforms.Unknown || a.QR != "" || a.PayString != "" {
				t.Fatalf("%s: %+v", mode, a)
			}
		}
		for _, closing := range []bool{true, false} {
			if c, _ := warn.cancelAnswer(ref, r, closing); c.Done || c.Retry != "" {
				t.Fatalf("cancel: %+v", c)
			}
		}
		if out, _ := warn.refundAnswer(platforms.Refund{Ref: ref, Sum: 100, RequestNo: "R1"}, r); out.Status != platforms.RefundUnknown || out.HasTotal {
			t.Fatalf("refund: %+v", out)
		}
	})
}
