package lc_test

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"payagent/platforms"
	"payagent/platforms/lc"
	"payagent/platforms/lc/internal/sign"
	"payagent/platforms/lc/lcsuite"
)

const (
	unknown  = platforms.Unknown
	notFound = platforms.NotFound
	pending  = platforms.Pending
	refused  = platforms.Refused
	paid     = platforms.Paid
	failed   = platforms.Failed
	closed   = platforms.Closed
)

func biz(word, sub string) string {
	return fmt.Sprintf(`{"sub_code":%q,"sub_msg":"","out_trade_no":"MZ20220101010101001","total_amount":"88.88","trade_status":%q}`, sub, word)
}

// TestQueryTable: code and msg never decide; words that contradict each other
// decide nothing.
func TestQueryTable(t *testing.T) {
	k := keys(t, 1024)
	for _, x := range []struct {
		code, msg, word, sub string
		want                 platforms.Status
		final                bool
	}{
		{"10000", "Success", "TRADE_SUCCESS", "", paid, false},
		{"10000", "", "TRADE_SUCCESS", "", paid, false},
		{"0", "success", "TRADE_SUCCESS", "", paid, false},
		{"", "", "TRADE_SUCCESS", "", paid, false},
		{"10000", "Success", "TRADE_FINISHED", "", paid, true},
		{"10000", "Success", "TRADE_CLOSED", "", closed, false},
		{"10000", "Success", "WAIT_BUYER_PAY", "", pending, false},
		{"10000", "Success", "", "", unknown, false},
		{"10000", "Success", "trade_success", "", unknown, false},
		{"10000", "Success", "TRADE_ODD", "", unknown, false},
		{"10000", "Success", "TRADE_SUCCESS", "TRADE_CLOSED", unknown, false},
		{"10000", "Success", "TRADE_SUCCESS", "TRADE_NOT_EXIST", unknown, false},
		{"10000", "Success", "TRADE_SUCCESS", "SYSTEM_ERROR", unknown, false},
		{"10000", "Success", "TRADE_NOT_EXIST", "", notFound, false},
		{"40004", "Business Failed", "", "TRADE_NOT_EXIST", notFound, false},
		{"40004", "Business Failed", "TRADE_NOT_EXIST", "TRADE_NOT_EXIST", notFound, false},
		{"40004", "Business Failed", "TRADE_SUCCESS", "", unknown, false},
		{"40004", "Business Failed", "TRADE_CLOSED", "", unknown, false},
		{"40004", "Business Failed", "TRADE_CLOSED", "TRADE_NOT_EXIST", unknown, false},
		{"40004", "", "", "SYSTEM_ERROR", unknown, false},
		{"99", "", "", "", unknown, false},
	} {
		p := open(t, k, answers(t, k, x.code, x.msg, biz(x.word, x.sub)), nil)
		a, err := p.Query(t.Context(), platforms.Ref{OrderNo: "MZ20220101010101001", Amount: 8888})
		if err != nil || a.Status != x.want || a.Final != x.final {
			t.Errorf("%+v: %v, final %v, %v", x, a.Status, a.Final, err)
		}
	}
}

// TestPayTable is the table of payStatus.
func TestPayTable(t *testing.T) {
	k := keys(t, 1024)
	for _, x := range []struct {
		code, word, sub string
		want            platforms.Status
		ask             bool
	}{
		{"10000", "TRADE_SUCCESS", "", paid, false},
		{"10000", "TRADE_FINISHED", "", paid, false},
		{"40004", "TRADE_SUCCESS", "", unknown, true},
		{"10000", "WAIT_BUYER_PAY", "", pending, true},
		{"40004", "", "WAIT_BUYER_PAY", pending, true},
		{"10000", "", "", pending, true},
		{"10000", "TRADE_CLOSED", "", unknown, true},
		{"40004", "", "TRADE_CLOSED", unknown, true},
		{"40004", "", "TRADE_NOT_EXIST", unknown, true},
		{"40004", "", "TRADE_HAS_SUCCESS", unknown, true},
		{"40004", "", "SYSTEM_ERROR", unknown, true},
		{"10000", "TRADE_SUCCESS", "SYSTEM_ERROR", unknown, true},
		{"10000", "TRADE_SUCCESS", "WAIT_BUYER_PAY", unknown, true},
		{"40004", "", "BALANCE", refused, true},
		{"10000", "", "BALANCE", refused, true},
		{"40004", "", "", refused, true},
		{"40004", "", "CODE_IS_DEAD", failed, false},
		{"10000", "", "CODE_IS_DEAD", failed, false},
		{"40004", "TRADE_SUCCESS", "CODE_IS_DEAD", unknown, true},
		{"10000", "WAIT_BUYER_PAY", "CODE_IS_DEAD", pending, true},
	} {
		p := open(t, k, answers(t, k, x.code, "", biz(x.word, x.sub)), func(c *lc.Config) { c.RefusalCodes = []string{"CODE_IS_DEAD"} })
		got, err := do(t, p, opBarcode)
		if a := got.(platforms.Answer); err != nil || a.Status != x.want || a.AskNow != x.ask {
			t.Errorf("%+v: %v, ask %v, %v", x, a.Status, a.AskNow, err)
		}
	}
}

// TestCancelTable: proof is a close or a refund without a sub_code.
func TestCancelTable(t *testing.T) {
	k := keys(t, 1024)
	for _, x := range []struct {
		code, action, retry, sub string
		want                     platforms.Cancellation
	}{
		{"10000", "close", "N", "", platforms.Cancellation{Done: true, Action: platforms.ActionClose, Retry: platforms.RetryNo}},
		{"10000", "refund", "Y", "", platforms.Cancellation{Done: true, Action: platforms.ActionRefund, Retry: platforms.RetryYes}},
		{"10000", "REFUND", "", "", platforms.Cancellation{Done: true, Action: platforms.ActionRefund}},
		{"10000", "", "Y", "", platforms.Cancellation{Retry: platforms.RetryYes}},
		{"10000", "", "n", "", platforms.Cancellation{Retry: platforms.RetryNo}},
		{"10000", "closed", "", "", platforms.Cancellation{}},
		{"10000", "close", "N", "SYSTEM_ERROR", platforms.Cancellation{Retry: platforms.RetryNo}},
		{"40004", "close", "N", "", platforms.Cancellation{Retry: platforms.RetryNo}},
	} {
		text := fmt.Sprintf(`{"sub_code":%q,"out_trade_no":"MZ20220101010101001","retry_flag":%q,"action":%q}`, x.sub, x.retry, x.action)
		got, err := do(t, open(t, k, answers(t, k, x.code, "", text), nil), opCancel)
		c := got.(platforms.Cancellation)
		if err != nil || c.Done != x.want.Done || c.Action != x.want.Action || c.Retry != x.want.Retry {
			t.Errorf("%+v: %+v, %v", x, c, err)
		}
	}
}

// TestCloseFirst: what was shown is closed, and cancelled where that is refused.
func TestCloseFirst(t *testing.T) {
	k := keys(t, 1024)
	for name, x := range map[string]struct {
		close, cancel string
		want          platforms.CancelAction
		asked         string
	}{
		"closed":          {`{"out_trade_no":"MZ20220101010101001"}`, ``, platforms.ActionClose, "lc.trade.close"},
		"closed, no name": {`{}`, `{"action":"refund"}`, platforms.ActionRefund, "lc.trade.close lc.trade.cancel"},
		"paid":            {`{"sub_code":"TRADE_HAS_SUCCESS","out_trade_no":"MZ20220101010101001"}`, `{"action":"refund"}`, platforms.ActionRefund, "lc.trade.close lc.trade.cancel"},
		"neither":         {`{"sub_code":"X"}`, `{"sub_code":"Y"}`, platforms.ActionNone, "lc.trade.close lc.trade.cancel"},
	} {
		var asked []string
		e := &exchange{}
		e.answer = func(form url.Values) string {
			asked = append(asked, form.Get("method"))
			text := x.cancel
			if form.Get("method") == opClose {
				text = x.close
			}
			return signed(t, k.Gateway, reply(form, "10000", "", text), false)
		}
		got, err := do(t, open(t, k, e, func(c *lc.Config) { c.CancelShown = lc.CancelClose }), opClose)
		c := got.(platforms.Cancellation)
		if err != nil || c.Action != x.want || c.Done != (x.want != "") || strings.Join(asked, " ") != x.asked {
			t.Errorf("%s: %+v, asked %v, %v", name, c, asked, err)
		}
	}
}

func TestRefundTable(t *testing.T) {
	k := keys(t, 1024)
	reply := func(c *lc.Config) { c.RefundProof = lc.ProofReply }
	listed := func(c *lc.Config) { c.RefundRefusals = []string{"TOO_MUCH"} }
	for _, x := range []struct {
		name, code, biz string
		change          func(*lc.Config)
		want            platforms.RefundStatus
		wrong           bool
	}{
		{"total", "10000", `{"refund_fee":"8.88"}`, nil, platforms.RefundDone, false},
		{"total as number", "10000", `{"refund_fee":8.88}`, nil, platforms.RefundDone, false},
		{"total of several", "10000", `{"refund_fee":"20.00"}`, nil, platforms.RefundDone, false},
		{"total below", "10000", `{"refund_fee":"8.87"}`, nil, platforms.RefundUnknown, false},
		{"no total", "10000", `{"out_request_no":"R1"}`, nil, platforms.RefundUnknown, false},
		{"no total is enough", "10000", `{"out_request_no":"R1"}`, reply, platforms.RefundDone, false},
		{"names nothing", "10000", `{}`, reply, platforms.RefundUnknown, false},
		{"not worked", "40004", `{"refund_fee":"8.88"}`, reply, platforms.RefundUnknown, false},
		{"sub code", "10000", `{"refund_fee":"8.88","sub_code":"X"}`, reply, platforms.RefundUnknown, false},
		{"refused, not listed", "40004", `{"sub_code":"TOO_MUCH"}`, nil, platforms.RefundUnknown, false},
		{"refused, listed", "40004", `{"sub_code":"TOO_MUCH"}`, listed, platforms.RefundRefused, false},
		{"above the order", "10000", `{"refund_fee":"88.89"}`, nil, 0, true},
		{"other order", "10000", `{"refund_fee":"8.88","out_trade_no":"MZ2"}`, nil, 0, true},
		{"other trade", "10000", `{"refund_fee":"8.88","trade_no":"T2"}`, nil, 0, true},
		{"other request", "10000", `{"refund_fee":"8.88","out_request_no":"R2"}`, nil, 0, true},
		{"other sum", "10000", `{"refund_fee":"8.88","refund_amount":"8.89"}`, nil, 0, true},
		{"no number", "10000", `{"refund_fee":"8.880"}`, nil, 0, true},
	} {
		got, err := do(t, open(t, k, answers(t, k, x.code, "", x.biz), x.change), opRefund)
		r := got.(platforms.Refunded)
		if (err != nil) != x.wrong || r.Status != x.want || errors.Is(err, platforms.ErrNotCharged) {
			t.Errorf("%s: %+v, %v", x.name, r, err)
		}
	}
}

// TestShown: only a signed answer with something to show is pending.
func TestShown(t *testing.T) {
	k := keys(t, 1024)
	const page = `"goto_url":"https://openapi.linkingcloud.cn/goto/1"`
	for _, x := range []struct {
		name, method, code, biz string
		want                    platforms.Status
		qr, pay                 string
	}{
		{"page", opH5, "10000", `{` + page + `}`, pending, "https://openapi.linkingcloud.cn/goto/1", ""},
		{"no page", opH5, "10000", `{"qr_code":"https://x.invalid/"}`, unknown, "", ""},
		{"no address", opH5, "10000", `{"goto_url":"weixin://wap/pay"}`, unknown, "", ""},
		{"script", opH5, "10000", `{"goto_url":"javascript:alert(1)"}`, unknown, "", ""},
		{"long", opH5, "10000", `{"goto_url":"https://x.invalid/` + strings.Repeat("x", 1024) + `"}`, unknown, "", ""},
		{"refused", opH5, "40004", `{` + page + `,"sub_code":"X"}`, refused, "", ""},
		{"paid before", opH5, "40004", `{"sub_code":"TRADE_HAS_SUCCESS"}`, unknown, "", ""},
		{"already paid", opH5, "10000", `{` + page + `,"trade_status":"TRADE_SUCCESS"}`, unknown, "", ""},
		{"qr", opQRCode, "10000", `{"qr_code":"weixin://wxpay/bizpayurl?pr=1"}`, pending, "weixin://wxpay/bizpayurl?pr=1", ""},
		{"qr elsewhere", opSeveral, "10000", `{"code_url":"https://x.invalid/1"}`, pending, "https://x.invalid/1", ""},
		{"no qr", opQRCode, "10000", `{` + page + `}`, unknown, "", ""},
		{"control", opQRCode, "10000", `{"qr_code":"a\u0000b"}`, unknown, "", ""},
		{"insurance", opSSC, "10000", `{` + page + `,"paystr":" {\"a\":1}  "}`, pending, "https://openapi.linkingcloud.cn/goto/1", `{"a":1}`},
		{"wallet only", opSSC, "10000", `{"goto_url":null,"paystr":"{\"a\":1}"}`, pending, "", `{"a":1}`},
		{"neither", opSSC, "10000", `{}`, unknown, "", ""},
	} {
		got, err := do(t, open(t, k, answers(t, k, x.code, "", x.biz), nil), x.method)
		a := got.(platforms.Answer)
		if err != nil || a.Status != x.want || a.QR != x.qr || a.PayString != x.pay {
			t.Errorf("%s: %+v, %v", x.name, a, err)
		}
		e := &exchange{answer: func(form url.Values) string { return reply(form, x.code, "", x.biz) }}
		if got, _ := do(t, open(t, k, e, nil), x.method); got.(platforms.Answer).Status != unknown || got.(platforms.Answer).QR != "" || got.(platforms.Answer).PayString != "" {
			t.Errorf("%s, not signed: %+v", x.name, got)
		}
	}
	named := func(c *lc.Config) { c.QRField = "text" }
	got, err := do(t, open(t, k, answers(t, k, "10000", "", `{"text":"weixin://1","qr_code":"other"}`), named), opQRCode)
	if a := got.(platforms.Answer); err != nil || a.QR != "weixin://1" {
		t.Errorf("%+v, %v", a, err)
	}
}

// TestTrust is what the policies are worth. A signature that does not fit makes
// every reply worthless; without one a reply may say that the order is open.
func TestTrust(t *testing.T) {
	k := keys(t, 1024)
	type verdict struct {
		status platforms.Status
		wrong  bool
	}
	forms := map[string]func(form url.Values, doc string) string{
		"signed":    func(_ url.Values, doc string) string { return signed(t, k.Gateway, doc, false) },
		"stranger":  func(_ url.Values, doc string) string { return signed(t, k.Stranger, doc, false) },
		"ourselves": func(_ url.Values, doc string) string { return signed(t, k.Merchant, doc, false) },
		"unsigned":  func(_ url.Values, doc string) string { return doc },
	}
	for _, x := range []struct {
		how    string
		policy lc.Verify
		word   string
		want   verdict
	}{
		{"signed", lc.VerifyWarn, "TRADE_SUCCESS", verdict{paid, false}},
		{"signed", lc.VerifyStrict, "TRADE_CLOSED", verdict{closed, false}},
		{"stranger", lc.VerifyWarn, "TRADE_SUCCESS", verdict{unknown, true}},
		{"stranger", lc.VerifyWarn, "WAIT_BUYER_PAY", verdict{unknown, true}},
		{"stranger", lc.VerifyStrict, "TRADE_SUCCESS", verdict{unknown, true}},
		{"ourselves", lc.VerifyWarn, "TRADE_SUCCESS", verdict{unknown, true}},
		{"unsigned", lc.VerifyWarn, "TRADE_SUCCESS", verdict{unknown, false}},
		{"unsigned", lc.VerifyWarn, "TRADE_CLOSED", verdict{unknown, false}},
		{"unsigned", lc.VerifyWarn, "TRADE_NOT_EXIST", verdict{unknown, false}},
		{"unsigned", lc.VerifyWarn, "WAIT_BUYER_PAY", verdict{pending, false}},
		{"unsigned", lc.VerifyStrict, "WAIT_BUYER_PAY", verdict{unknown, true}},
		{"unsigned", lc.VerifyOff, "TRADE_SUCCESS", verdict{paid, false}},
		{"stranger", lc.VerifyOff, "TRADE_SUCCESS", verdict{paid, false}},
	} {
		e := &exchange{answer: func(form url.Values) string {
			return forms[x.how](form, reply(form, "10000", "", biz(x.word, "")))
		}}
		p := open(t, k, e, func(c *lc.Config) { c.VerifyReply = x.policy })
		got, err := do(t, p, opQuery)
		a := got.(platforms.Answer)
		if a.Status != x.want.status || (err != nil) != x.want.wrong {
			t.Errorf("%+v: %v, %v", x, a.Status, err)
		}
		if x.how == "unsigned" && x.policy == lc.VerifyWarn && !strings.Contains(a.Message, "unsigned") {
			t.Errorf("nobody is told that it was not signed: %q", a.Message)
		}
	}
}

// TestUnsignedErrorsAreUnknown: an error that nobody signed proves nothing,
// whatever lists a site has.
func TestUnsignedErrorsAreUnknown(t *testing.T) {
	k := keys(t, 1024)
	lists := func(c *lc.Config) {
		c.RefusalCodes, c.RefundRefusals, c.CredentialCodes = []string{"NO"}, []string{"NO"}, []string{"OUT"}
	}
	for _, sub := range []string{"NO", "OUT", "TRADE_NOT_EXIST", "X"} {
		for _, method := range allMethods() {
			e := &exchange{answer: func(form url.Values) string { return reply(form, "40004", "Business Failed", biz("", sub)) }}
			got, err := do(t, open(t, k, e, lists), method)
			if errors.Is(err, platforms.ErrNotCharged) || errors.Is(err, platforms.ErrToken) {
				t.Errorf("%s %s: %v", method, sub, err)
			}
			switch a := got.(type) {
			case platforms.Answer:
				if a.Status != unknown {
					t.Errorf("%s %s: %v", method, sub, a.Status)
				}
			case platforms.Cancellation:
				if a.Done || a.Retry != "" {
					t.Errorf("%s %s: %+v", method, sub, a)
				}
			case platforms.Refunded:
				if a.Status != platforms.RefundUnknown {
					t.Errorf("%s %s: %+v", method, sub, a)
				}
			case platforms.InsuranceToken:
				if err == nil {
					t.Errorf("%s %s: a token that nobody signed", method, sub)
				}
			}
		}
	}
	// Signed, the same says what the site's lists make of it.
	for method, want := range map[string]platforms.Status{opBarcode: failed, opH5: failed, opQuery: unknown} {
		got, err := do(t, open(t, k, answers(t, k, "40004", "", biz("", "NO")), lists), method)
		if a := got.(platforms.Answer); err != nil || a.Status != want {
			t.Errorf("%s: %v, %v", method, a.Status, err)
		}
	}
	for method, charges := range map[string]bool{opBarcode: true, opH5: true, opSSC: true, opQuery: false, opCancel: false, opRefund: false} {
		_, err := do(t, open(t, k, answers(t, k, "40004", "", biz("", "OUT")), lists), method)
		if !errors.Is(err, platforms.ErrToken) || errors.Is(err, platforms.ErrNotCharged) != charges {
			t.Errorf("%s: %v", method, err)
		}
	}
}

// constant gives the same bytes for ever: every request has the same nonce.
type constant struct{}

func (constant) Read(b []byte) (int, error) { return len(b), nil }

// claimed is what a call's answer proves, if anything.
func claimed(got any) string {
	switch a := got.(type) {
	case platforms.Answer:
		if a.Status != unknown {
			return a.Status.String()
		}
	case platforms.Cancellation:
		if a.Done || a.Retry != "" {
			return "cancel"
		}
	case platforms.Refunded:
		if a.Status != platforms.RefundUnknown {
			return "refund"
		}
	case platforms.InsuranceToken:
		if !a.QRCode.Empty() || !a.PayAuthNo.Empty() {
			return "token"
		}
	}
	return ""
}

// TestMutatedReplies changes every byte of signed replies of every method, two
// ways each, and of a query's five more: none is accepted (T-S2, M13). With the
// strict policy each is an error; with the default one it may say nothing.
func TestMutatedReplies(t *testing.T) {
	k := keys(t, 1024)
	own := lcsuite.PrivatePEM(k.Merchant)
	total, accepted := 0, 0
	for method, text := range map[string]string{
		opBarcode: biz("TRADE_SUCCESS", ""), opQuery: biz("TRADE_CLOSED", ""), opCancel: `{"out_trade_no":"MZ20220101010101001","action":"refund","retry_flag":"N"}`,
		opRefund: `{"out_request_no":"R1","refund_fee":"8.88"}`, opH5: `{"goto_url":"https://openapi.linkingcloud.cn/goto/1"}`,
		opSSC: `{"goto_url":"https://openapi.linkingcloud.cn/goto/1","paystr":"{}"}`, opToken: `{"qr_code":"Q","pay_auth_no":"P"}`,
	} {
		for _, policy := range []lc.Verify{lc.VerifyWarn, lc.VerifyStrict} {
			doc := ""
			e := &exchange{answer: func(form url.Values) string {
				if doc == "" {
					doc = signed(t, k.Gateway, reply(form, "10000", "Success", text), false)
				}
				return doc
			}}
			p := open(t, k, e, func(c *lc.Config) {
				c.VerifyReply, c.Rand = policy, constant{}
				c.PrivateKey = func() (platforms.Hidden, error) { return own, nil }
			})
			if got, err := do(t, p, method); err != nil || claimed(got) == "" {
				t.Fatalf("%s: the good reply is not accepted: %+v, %v", method, got, err)
			}
			good := doc
			for at := range len(good) {
				for i, with := range []byte{good[at] ^ 1, good[at] ^ 0x20, good[at] ^ 2, good[at] ^ 0x80, '"', ' ', '0'} {
					if with == good[at] || method != opQuery && (i > 1 || policy == lc.VerifyStrict) {
						continue
					}
					doc = good[:at] + string([]byte{with}) + good[at+1:]
					got, err := do(t, p, method)
					total++
					if claim := claimed(got); claim != "" || err == nil && policy == lc.VerifyStrict {
						accepted++
						t.Errorf("%s byte %d as %q: claims %q, error %v", method, at, with, claim, err)
					}
				}
			}
		}
	}
	t.Logf("%d changed replies, %d accepted", total, accepted)
	if total < 10_000 {
		t.Error("too few")
	}
}

// The nonce ties an answer to its question: the same answer to another call of
// the same order proves nothing (P11).
func TestReplayedAnswer(t *testing.T) {
	k := keys(t, 1024)
	for _, policy := range []lc.Verify{lc.VerifyWarn, lc.VerifyStrict, lc.VerifyOff} {
		old := ""
		e := &exchange{}
		e.answer = func(form url.Values) string {
			if old == "" {
				old = signed(t, k.Gateway, reply(form, "10000", "", biz("TRADE_SUCCESS", "")), false)
			}
			return old
		}
		p := open(t, k, e, func(c *lc.Config) { c.VerifyReply = policy })
		if got, err := do(t, p, opQuery); err != nil || got.(platforms.Answer).Status != paid {
			t.Fatal(got, err)
		}
		var m *platforms.Mismatch
		if got, err := do(t, p, opQuery); !errors.As(err, &m) || m.Field != "nonce" || got.(platforms.Answer).Status != unknown {
			t.Errorf("%s: %v, %v", policy, got, err)
		}
	}
}

// Requests verify with the gateway's own eyes, and no two have the same nonce.
func TestRequestsVerify(t *testing.T) {
	k := keys(t, 1024)
	seen := map[string]bool{}
	for _, method := range allMethods() {
		e := &exchange{answer: func(url.Values) string { return "{}" }}
		_, _ = do(t, open(t, k, e, func(c *lc.Config) { c.CancelShown = lc.CancelClose }), method)
		for name, want := range map[string]string{"app_id": seedApp, "sign_type": "rsa", "timestamp": "2014-07-24 03:07:50"} {
			if e.form.Get(name) != want {
				t.Errorf("%s: %s is %q", method, name, e.form.Get(name))
			}
		}
		if n := e.form.Get("nonce_str"); len(n) != 32 || seen[n] || strings.Trim(n, "0123456789abcdef") != "" {
			t.Errorf("%s: nonce %q", method, n)
		}
		seen[e.form.Get("nonce_str")] = true
		if method != opClose && method != opCancel && e.method != method {
			t.Errorf("%s was sent as %s", method, e.method)
		}
	}
}

// One fen to a hundred thousand yuan, both ways of writing (T-S5).
func TestAmountsRoundTrip(t *testing.T) {
	k := keys(t, 1024)
	for f := platforms.Fen(1); f <= 10_000_000; f += 29_989 {
		for _, form := range []lc.AmountForm{lc.AmountText, lc.AmountNumber} {
			e := &exchange{}
			e.answer = func(v url.Values) string {
				want := `"total_amount":"` + f.Yuan() + `"`
				if form == lc.AmountNumber {
					want = `"total_amount":` + f.Yuan() + `,`
				}
				if !strings.Contains(v.Get("biz_content"), want) {
					t.Errorf("%d fen were sent as %s", f, v.Get("biz_content"))
				}
				return reply(v, "10000", "", `{"trade_status":"TRADE_SUCCESS","total_amount":`+f.Yuan()+`}`)
			}
			p := open(t, k, e, func(c *lc.Config) { c.AmountForm, c.VerifyReply = form, lc.VerifyOff })
			c := lcsuite.Charge(platforms.ModeCharge, "MZ1", f)
			if a, err := p.Charge(t.Context(), c); err != nil || a.Amount != f || !a.HasAmount {
				t.Fatalf("%d fen came back as %d, %v", f, a.Amount, err)
			}
		}
	}
}

// TestUnusableReplies are errors that prove nothing.
func TestUnusableReplies(t *testing.T) {
	k := keys(t, 1024)
	for name, x := range map[string]struct {
		kind string
		doc  func(form url.Values) string
	}{
		"list":        {"", func(url.Values) string { return "[]" }},
		"text":        {"", func(url.Values) string { return `"ok"` }},
		"nothing":     {"", func(url.Values) string { return "" }},
		"biz as text": {"", func(f url.Values) string { return signed(t, k.Gateway, reply(f, "10000", "", `"x"`), false) }},
		"biz as list": {"", func(f url.Values) string { return signed(t, k.Gateway, reply(f, "10000", "", `[]`), false) }},
		"status as object": {"", func(f url.Values) string {
			return signed(t, k.Gateway, reply(f, "10000", "", `{"trade_status":{}}`), false)
		}},
		"status as truth": {"", func(f url.Values) string {
			return signed(t, k.Gateway, reply(f, "10000", "", `{"trade_status":true}`), false)
		}},
		"amount in words": {"", func(f url.Values) string {
			return signed(t, k.Gateway, reply(f, "10000", "", `{"total_amount":"many"}`), false)
		}},
		"amount as exponent": {"", func(f url.Values) string {
			return signed(t, k.Gateway, reply(f, "10000", "", `{"total_amount":1e2}`), false)
		}},
		"amount below zero": {"", func(f url.Values) string {
			return signed(t, k.Gateway, reply(f, "10000", "", `{"total_amount":-1}`), false)
		}},
		"three decimals": {"", func(f url.Values) string {
			return signed(t, k.Gateway, reply(f, "10000", "", `{"total_amount":88.880}`), false)
		}},
		"another charset": {"application/json; charset=gbk", func(f url.Values) string {
			return signed(t, k.Gateway, reply(f, "10000", "", biz("TRADE_SUCCESS", "")), false)
		}},
		"other app": {"", func(f url.Values) string {
			f.Set("app_id", "2014072300007149")
			return signed(t, k.Gateway, reply(f, "10000", "", biz("TRADE_SUCCESS", "")), false)
		}},
		"other method": {"", func(f url.Values) string {
			f.Set("method", opCancel)
			return signed(t, k.Gateway, reply(f, "10000", "", biz("TRADE_SUCCESS", "")), false)
		}},
		"no method": {"", func(f url.Values) string {
			return signed(t, k.Gateway, strings.Replace(reply(f, "10000", "", biz("TRADE_SUCCESS", "")), `"method":"lc.trade.query",`, "", 1), false)
		}},
	} {
		got, err := do(t, open(t, k, &exchange{answer: x.doc, kind: x.kind}, nil), opQuery)
		if err == nil || got.(platforms.Answer).Status != unknown || errors.Is(err, platforms.ErrNotCharged) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for name, doc := range map[string]func(form url.Values) string{
		"null biz": func(f url.Values) string { return signed(t, k.Gateway, reply(f, "10000", "", `null`), false) },
		"extra members": func(f url.Values) string {
			return signed(t, k.Gateway, strings.Replace(reply(f, "10000", "", `{}`), `{`, `{"ok":true,"n":1,"list":[1],`, 1), false)
		},
		"null and empty": func(f url.Values) string {
			return signed(t, k.Gateway, strings.Replace(reply(f, "10000", "", `{}`), `{`, `{"x":null,"y":"",`, 1), false)
		},
	} {
		if got, err := do(t, open(t, k, &exchange{answer: doc}, nil), opQuery); err != nil || got.(platforms.Answer).Status != unknown {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// A key that cannot be read is a refused credential, before anything is sent.
func TestKeyGone(t *testing.T) {
	k := keys(t, 1024)
	e := &exchange{}
	calls := 0
	p := open(t, k, e, func(c *lc.Config) {
		c.PrivateKey = func() (platforms.Hidden, error) {
			if calls++; calls == 1 {
				return lcsuite.PrivatePEM(k.Merchant), nil
			}
			return platforms.Hidden{}, errors.New("no such file")
		}
	})
	_, err := do(t, p, opBarcode)
	if !errors.Is(err, platforms.ErrToken) || !errors.Is(err, platforms.ErrNotCharged) || e.form != nil {
		t.Errorf("%v", err)
	}
	if _, err := do(t, p, opQuery); !errors.Is(err, platforms.ErrToken) || errors.Is(err, platforms.ErrNotCharged) {
		t.Errorf("%v", err)
	}
	broken := seedConfig(k, func(c *lc.Config) { c.Rand = strings.NewReader("short") })
	q, err := lc.New(e, broken)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := do(t, q, opBarcode); !errors.Is(err, platforms.ErrNotCharged) || e.form != nil {
		t.Errorf("without random bytes: %v", err)
	}
}

// A new key in the same place counts at once.
func TestKeyRenewed(t *testing.T) {
	k := keys(t, 1024)
	now := lcsuite.PrivatePEM(k.Merchant)
	e := &exchange{answer: func(url.Values) string { return "" }}
	p := open(t, k, e, func(c *lc.Config) { c.PrivateKey = func() (platforms.Hidden, error) { return now, nil } })
	for _, x := range []struct {
		key *rsa.PrivateKey
	}{{k.Merchant}, {k.Stranger}, {k.Merchant}} {
		now = lcsuite.PrivatePEM(x.key)
		_, _ = do(t, p, opQuery)
		var params []sign.Param
		for name := range e.form {
			params = append(params, sign.Param{Name: name, Value: e.form.Get(name)})
		}
		if err := sign.Verify([]*rsa.PublicKey{&x.key.PublicKey}, sign.SHA1, e.form.Get("sign"), sign.Text(params, true)); err != nil {
			t.Error("it signs with another key than the one in place")
		}
	}
}
