package fwc_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"payagent/platforms"
	"payagent/platforms/fwc"
	"payagent/platforms/fwc/fwctest"
)

func successes() []string { return []string{"0", "1", "2", "3", "4", "-1", "01", "true"} }

func subCodes() []string {
	return []string{
		"", "TRADE_SUCCESS", "TRADE_FINISHED", "TRADE_CLOSED", "TRADE_NOT_EXIST", "WAIT_BUYER_PAY", "SYSTEM_ERROR", "ILLEGAL_ARGUMENT",
		"TRADE_HAS_SUCCESS", "5001", "trade_success", "TRADE_SUCCESSFUL", "ACQ.TRADE_NOT_EXIST",
	}
}

func with(op string, t testing.TB, v map[string]string) string {
	all := values()
	for name, value := range v {
		all[name] = value
	}
	return filled(sample(t, op+".resp"), all)
}

// TestPayTable walks through every IsSuccess × SubCode of the two pay calls.
func TestPayTable(t *testing.T) {
	unknown, pending, refused := platforms.Unknown, platforms.Pending, platforms.Refused
	known := map[string]struct {
		status platforms.Status
		ask    bool
	}{
		"1 WAIT_BUYER_PAY": {pending, false}, "1 TRADE_CLOSED": {unknown, true}, "1 TRADE_NOT_EXIST": {unknown, true},
		"1 SYSTEM_ERROR": {unknown, true}, "1 ILLEGAL_ARGUMENT": {unknown, true},
		"0 WAIT_BUYER_PAY": {pending, true}, "0 TRADE_SUCCESS": {unknown, true}, "0 TRADE_FINISHED": {unknown, true},
		"0 TRADE_HAS_SUCCESS": {unknown, true}, "0 SYSTEM_ERROR": {unknown, true},
	}
	for _, success := range successes() {
		for _, sub := range subCodes() {
			name := success + " " + sub
			want, listed := known[name]
			if !listed {
				switch success {
				case "1":
					want.status, want.ask = pending, true
				case "0":
					want.status, want.ask = refused, true
				default:
					want.status, want.ask = unknown, true
				}
			}
			v := map[string]string{"IsSuccess": success, "SubCode": sub}
			got, err := do(t.Context(), open(t, &exchange{reply: with(opPay, t, v)}), opPay)
			a := got.(platforms.Answer)
			if success == "3" {
				if !errors.Is(err, platforms.ErrToken) || !errors.Is(err, platforms.ErrNotCharged) || a.Status != unknown {
					t.Errorf("%s: %v, %v", name, a.Status, err)
				}
				continue
			}
			if err != nil || a.Status != want.status || a.AskNow != want.ask {
				t.Errorf("%s: %v, ask %v, %v; want %v, %v", name, a.Status, a.AskNow, err, want.status, want.ask)
			}
			if a.Code != sub && sub != "" || sub == "" && a.Code != "IsSuccess "+success {
				t.Errorf("%s: code %q", name, a.Code)
			}

			got, err = do(t.Context(), open(t, &exchange{reply: with(opPresent, t, v)}), opPresent)
			a = got.(platforms.Answer)
			switch {
			case want.status == pending && success == "1":
				want.ask = false // shown first, asked for later
			case want.status == pending:
				want.status, want.ask = unknown, true
			}
			if err != nil || a.Status != want.status || a.AskNow != want.ask || (a.QR != "") != (want.status == pending) {
				t.Errorf("QR %s: %v, ask %v, QR %q, %v; want %v, %v", name, a.Status, a.AskNow, a.QR, err, want.status, want.ask)
			}
		}
	}
}

func TestQRTextMustBeShowable(t *testing.T) {
	for name, qr := range map[string]string{"none": "", "blank": "  ", "long": strings.Repeat("x", 1025), "control": "a\tb"} {
		got, err := do(t.Context(), open(t, &exchange{reply: with(opPresent, t, map[string]string{"TwoDimensionCode": qr})}), opPresent)
		if a := got.(platforms.Answer); err != nil || a.Status != platforms.Unknown || a.QR != "" || !a.AskNow {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
}

// TestQueryTable walks through every IsSuccess × TradeStatus × SubCode.
func TestQueryTable(t *testing.T) {
	statuses := append(subCodes(), "PAID", "TRADE_SUCCESS TRADE_SUCCESS")
	words := map[string]platforms.Status{
		"TRADE_SUCCESS": platforms.Paid, "TRADE_FINISHED": platforms.Paid, "TRADE_CLOSED": platforms.Closed,
		"WAIT_BUYER_PAY": platforms.Pending, "TRADE_NOT_EXIST": platforms.NotFound, "SYSTEM_ERROR": platforms.Unknown, "ILLEGAL_ARGUMENT": platforms.Unknown,
	}
	n := 0
	for _, success := range successes() {
		for _, status := range statuses {
			for _, sub := range subCodes() {
				n++
				name := fmt.Sprintf("IsSuccess %q TradeStatus %q SubCode %q", success, status, sub)
				want := platforms.Unknown
				_, word := words[sub]
				switch {
				case status == "" && sub == "TRADE_NOT_EXIST" && (success == "0" || success == "1"):
					want = platforms.NotFound
				case word && sub != status: // it contradicts
				case success == "1":
					want = words[status]
				case success == "0" && status == "TRADE_NOT_EXIST":
					want = platforms.NotFound
				}
				got, err := do(t.Context(), open(t, &exchange{reply: with(opQuery, t, map[string]string{
					"IsSuccess": success, "SubCode": sub, "TradeStatus": status,
				})}), opQuery)
				a := got.(platforms.Answer)
				if success == "3" {
					if !errors.Is(err, platforms.ErrToken) || errors.Is(err, platforms.ErrNotCharged) {
						t.Errorf("%s: %v", name, err)
					}
					continue
				}
				if err != nil || a.Status != want || a.AskNow || a.Final != (want == platforms.Paid && status == "TRADE_FINISHED") {
					t.Errorf("%s: %v, final %v, %v; want %v", name, a.Status, a.Final, err, want)
				}
			}
		}
	}
	if n != 8*15*13 {
		t.Errorf("%d combinations", n)
	}
	// Without the result element a SubCode alone never says paid.
	for _, sub := range subCodes() {
		doc := `<xml><head/><body><ResponseResult><IsSuccess>1</IsSuccess><SubCode>` + sub + `</SubCode></ResponseResult></body><sign/></xml>`
		got, err := do(t.Context(), open(t, &exchange{reply: doc}), opQuery)
		if a := got.(platforms.Answer); err != nil || a.Status != platforms.Unknown && a.Status != platforms.NotFound {
			t.Errorf("SubCode %s alone: %v, %v", sub, a.Status, err)
		}
	}
}

func TestWhatAReplyRepeatsIsCompared(t *testing.T) {
	good := with(opQuery, t, nil)
	cases := map[string]struct{ op, doc, field string }{
		"body number":  {opQuery, strings.Replace(good, orderNo+"</OutTradeNo>\n           <Open", "MZ9</OutTradeNo>\n           <Open", 1), "order number"},
		"head number":  {opQuery, strings.Replace(good, orderNo, "MZ9", 1), "order number"},
		"amount":       {opQuery, strings.Replace(good, "88.90", "8890", 1), "amount"},
		"zero amount":  {opQuery, strings.Replace(good, "88.90", "0", 1), "amount"},
		"merchant":     {opQuery, strings.Replace(good, fwctest.HospitalID, "H9", 1), "merchant"},
		"pay amount":   {opPay, strings.Replace(with(opPay, t, nil), "88.90", "88.09", 1), "amount"},
		"pay body":     {opPay, strings.ReplaceAll(with(opPay, t, nil), "88.90</TotalAmount>\n           <Pay", "88.09</TotalAmount>\n           <Pay"), "amount"},
		"QR amount":    {opPresent, with(opPresent, t, map[string]string{"TotalAmount": "1.00"}), "amount"},
		"QR number":    {opPresent, with(opPresent, t, map[string]string{"OutTradeNo": "MZ9"}), "order number"},
		"cancel":       {opCancel, with(opCancel, t, map[string]string{"OutTradeNo": "MZ9"}), "order number"},
		"refund order": {opRefund, with(opRefund, t, map[string]string{"OutTradeNo": "MZ9"}), "order number"},
		"refund trade": {opRefund, with(opRefund, t, map[string]string{"TradeNo": "4200"}), "trade number"},
		"refund no":    {opRefund, with(opRefund, t, map[string]string{"OutRequestNo": "R9"}), "refund number"},
		"refund fee":   {opRefund, with(opRefund, t, map[string]string{"RefundFee": "88.91"}), "amount"},
	}
	for name, c := range cases {
		got, err := do(t.Context(), open(t, &exchange{reply: c.doc}), c.op)
		ref := goldenCharge(platforms.ModeCharge).Ref
		if err == nil {
			switch x := got.(type) {
			case platforms.Answer:
				err = platforms.Bind(ref, x)
			case platforms.Cancellation:
				err = platforms.BindCancel(ref, x)
			}
		}
		var m *platforms.Mismatch
		if !errors.As(err, &m) || m.Field != c.field {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if a, err := do(t.Context(), open(t, &exchange{reply: good}), opQuery); err != nil || platforms.Bind(goldenCharge(platforms.ModeCharge).Ref, a.(platforms.Answer)) != nil {
		t.Errorf("the right reply does not bind: %v", err)
	}
}

// TestCancelTable: IsSuccess 1 with close or refund is the proof, nothing else,
// and RetryFlag never changes that.
func TestCancelTable(t *testing.T) {
	retries := map[string]platforms.Retry{"Y": platforms.RetryYes, "y": platforms.RetryYes, "N": platforms.RetryNo, "": "", "重试标志": ""}
	actions := map[string]platforms.CancelAction{
		"close": platforms.ActionClose, "Close": platforms.ActionClose, "refund": platforms.ActionRefund,
		"": platforms.ActionNone, "closed": platforms.ActionNone, "close refund": platforms.ActionNone,
	}
	for _, success := range successes() {
		for retry, wantRetry := range retries {
			for action, wantAction := range actions {
				got, err := do(t.Context(), open(t, &exchange{reply: with(opCancel, t, map[string]string{
					"IsSuccess": success, "RetryFlag": retry, "CancelAction": action,
				})}), opCancel)
				c := got.(platforms.Cancellation)
				if success == "3" {
					if !errors.Is(err, platforms.ErrToken) || errors.Is(err, platforms.ErrNotCharged) || c.Done {
						t.Errorf("IsSuccess 3: %+v, %v", c, err)
					}
					continue
				}
				if success != "1" {
					wantAction = platforms.ActionNone
				}
				if err != nil || c.Done != (wantAction != platforms.ActionNone) || c.Action != wantAction || c.Retry != wantRetry {
					t.Errorf("%s %q %q: %+v, %v", success, retry, action, c, err)
				}
			}
		}
	}
}

func TestRefundTable(t *testing.T) {
	listed := func(c *fwc.Config) { c.RefundRefusals = []string{"REFUND_EXCEEDS"} }
	for _, success := range successes() {
		for fee, enough := range map[string]bool{"8.88": true, "9.00": true, "88.90": true, "8.87": false, "0": false, "": false} {
			for _, sub := range []string{"", "REFUND_EXCEEDS", "TRADE_NOT_EXIST"} {
				for _, change := range []string{"Y", "N", ""} {
					want := platforms.RefundUnknown
					switch {
					case success == "1" && enough:
						want = platforms.RefundDone
					case success == "0" && sub == "REFUND_EXCEEDS":
						want = platforms.RefundRefused
					}
					reply := with(opRefund, t, map[string]string{"IsSuccess": success, "RefundFee": fee, "SubCode": sub, "RefundChange": change})
					got, err := do(t.Context(), open(t, &exchange{reply: reply}, listed), opRefund)
					if success == "3" {
						if !errors.Is(err, platforms.ErrToken) || errors.Is(err, platforms.ErrNotCharged) {
							t.Errorf("IsSuccess 3: %v", err)
						}
						continue
					}
					if r := got.(platforms.Refunded); err != nil || r.Status != want || r.HasTotal != (fee != "") {
						t.Errorf("%s fee %q sub %q: %+v, %v", success, fee, sub, r, err)
					}
					// Without a list nothing is a proven refusal.
					got, _ = do(t.Context(), open(t, &exchange{reply: reply}), opRefund)
					if r := got.(platforms.Refunded); r.Status == platforms.RefundRefused {
						t.Errorf("refused without a list: %+v", r)
					}
				}
			}
		}
	}
	for _, fee := range []string{"8.888", "-8.88", "8,88", "1e2"} {
		if got, err := do(t.Context(), open(t, &exchange{reply: with(opRefund, t, map[string]string{"RefundFee": fee})}), opRefund); err == nil {
			t.Errorf("RefundFee %q read as %+v", fee, got)
		}
	}
}

// TestNothingSecretComesBack: a reply that repeats everything in its words and
// numbers gives none of it away.
func TestNothingSecretComesBack(t *testing.T) {
	c := goldenCharge(platforms.ModeCharge)
	secrets := []string{fwctest.Token, c.Code.Reveal(), c.Patient.Name.Reveal(), c.Patient.CardNo.Reveal(), c.Patient.AdmissionNo.Reveal(), c.Patient.Phone.Reveal()}
	all := strings.Join(secrets, " ")
	for _, op := range []string{opPay, opPresent} {
		for _, success := range []string{"0", "1", "2", "3"} {
			for _, number := range []string{"", fwctest.Token, c.Code.Reveal()} {
				v := map[string]string{"IsSuccess": success, "Message": all, "SubCode": all, "SubMessage": all}
				if number != "" {
					v["OutTradeNo"], v["TradeNo"] = number, number
				}
				got, err := do(t.Context(), open(t, &exchange{reply: with(op, t, v)}), op)
				bind := platforms.Bind(c.Ref, got.(platforms.Answer))
				text := fmt.Sprintf("%+v %#v %v %#v %v", got, got, err, err, bind)
				for _, s := range secrets {
					if strings.Contains(text, s) {
						t.Errorf("%s IsSuccess %s: %q stands in %s", op, success, s, text)
					}
				}
			}
		}
	}
	fault := `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault><faultstring>` + all + `</faultstring></s:Fault></s:Body></s:Envelope>`
	for _, status := range []int{200, 500} {
		_, err := do(t.Context(), open(t, &exchange{reply: fault, status: status}, func(cfg *fwc.Config) { cfg.Transport = fwc.SOAP11 }), opPay)
		if err == nil || errors.Is(err, platforms.ErrNotCharged) {
			t.Errorf("a fault under HTTP %d: %v", status, err)
		}
		for _, s := range secrets[:2] {
			if strings.Contains(err.Error(), s) {
				t.Errorf("%q stands in %v", s, err)
			}
		}
	}
}

// FuzzReply: no reply whatever panics, and none is Paid for our order unless
// the number, the amount and the status word that it carries are right.
func FuzzReply(f *testing.F) {
	for _, op := range allOps() {
		f.Add(with(op, f, nil))
		f.Add(sample(f, op+".resp"))
	}
	f.Add(with(opQuery, f, map[string]string{"IsSuccess": "0", "TradeStatus": "TRADE_NOT_EXIST"}))
	f.Add(`<string xmlns="http://tempuri.org/">&lt;xml/&gt;</string>`)
	f.Fuzz(func(t *testing.T, doc string) {
		ref := goldenCharge(platforms.ModeCharge).Ref
		for _, op := range allOps() {
			got, err := do(t.Context(), open(t, &exchange{reply: doc}), op)
			switch x := got.(type) {
			case platforms.Answer:
				if x.Status == platforms.Failed || op != opQuery && x.Status == platforms.Paid {
					t.Fatalf("%s claims %v", op, x.Status)
				}
				if err != nil && x.Status != platforms.Unknown {
					t.Fatalf("%v with error %v", x.Status, err)
				}
				if x.Status != platforms.Paid || platforms.Bind(ref, x) != nil {
					continue
				}
				if x.OrderNo != "" && x.OrderNo != orderNo || x.HasAmount && x.Amount != 8890 || !strings.Contains(doc, "TRADE_SUCCESS") && !strings.Contains(doc, "TRADE_FINISHED") && !strings.ContainsAny(doc, "&[") {
					t.Fatalf("paid: %+v by %q", x, doc)
				}
			case platforms.Cancellation:
				if x.Done && (err != nil || x.Action != platforms.ActionClose && x.Action != platforms.ActionRefund) {
					t.Fatalf("done: %+v, %v", x, err)
				}
			case platforms.Refunded:
				if x.Status == platforms.RefundDone && (err != nil || !x.HasTotal || x.Total < 888 || x.Total > 8890) || x.Status == platforms.RefundRefused {
					t.Fatalf("%+v, %v", x, err)
				}
			}
			if op != opPay && op != opPresent && errors.Is(err, platforms.ErrNotCharged) {
				t.Fatalf("%s says not charged: %v", op, err)
			}
		}
	})
}

// TestEveryByteOfAPaidReply: whichever byte is changed, the reply is never paid
// with another number, amount or word (decision 28).
func TestEveryByteOfAPaidReply(t *testing.T) {
	good := with(opQuery, t, nil)
	ref := goldenCharge(platforms.ModeCharge).Ref
	p := 0
	for i := range good {
		for _, b := range []byte{'0', '.', ' ', '<', 0xff, good[i] ^ 1, good[i] ^ 0x20} {
			if b == good[i] {
				continue
			}
			bad := good[:i] + string([]byte{b}) + good[i+1:]
			got, err := do(t.Context(), open(t, &exchange{reply: bad}), opQuery)
			a := got.(platforms.Answer)
			if err != nil || a.Status != platforms.Paid || platforms.Bind(ref, a) != nil {
				continue
			}
			p++
			if !strings.Contains(bad, "<TradeStatus>TRADE_SUCCESS</TradeStatus>") && !strings.Contains(bad, "TRADE_SUCCESS") {
				t.Fatalf("paid by %q", bad)
			}
			if a.HasAmount && !strings.Contains(bad, "88.9") || a.OrderNo != "" && a.OrderNo != orderNo {
				t.Fatalf("paid with %+v by %q", a, bad)
			}
		}
	}
	if p == 0 {
		t.Error("no change left the reply paid: the test shows nothing")
	}
}
