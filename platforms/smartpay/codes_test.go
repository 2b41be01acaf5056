package smartpay

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"payagent/platforms"
)

func asField(err error, f **platforms.FieldError) bool { return errors.As(err, f) }

func chargeReply(code int, words, data string) string {
	return fmt.Sprintf("<Resp><TransactionCode></TransactionCode><RespCode>%d</RespCode><RespMessage>%s</RespMessage>%s</Resp>", code, words, data)
}

const (
	withKey  = "<Data><OrderId>" + goldenHandle + "</OrderId></Data>"
	withPaid = "<Data><OrderId>" + goldenHandle + "</OrderId><TotalFee>1234</TotalFee><TransactionId>42</TransactionId></Data>"
)

// TestEveryCodeOfSweepCodePay is the table of wire.md §1.4, row by row.
func TestEveryCodeOfSweepCodePay(t *testing.T) {
	type want struct {
		status platforms.Status
		token  bool // error that wraps ErrToken and ErrNotCharged
		bad    bool // other error, status unknown
	}
	paid, pending, failed, unknown := want{status: platforms.Paid}, want{status: platforms.Pending}, want{status: platforms.Failed}, want{}
	type row struct {
		code  int
		words string
		data  string
		want  want
	}
	rows := []row{
		{10000, "成功", withPaid, paid},
		{10000, "成功", withKey, unknown}, // no amount
		{10000, "成功", "", unknown},
		{10000, "成功", "<Data><TotalFee>1234</TotalFee></Data>", unknown}, // no key
		{10000, "成功", strings.Replace(withPaid, "1234", "12.34", 1), want{bad: true}},
		{10000, "成功", strings.Replace(withPaid, "1234", "-1234", 1), want{bad: true}},
		{10000, "成功", strings.Replace(withPaid, "1234", "1e3", 1), want{bad: true}},
		{10000, "成功", strings.Replace(withPaid, goldenHandle, strings.Repeat("9", 65), 1), want{bad: true}},
		{-400011, "商户订单正在等待支付中", withKey, pending},
		{-400011, "商户订单正在等待支付中", "", pending},
		{-400010, "二维码已失效", "", failed},
		{-400010, "二维码已失效", withKey, failed},
		{-400012, "付款码已过期", "", failed},
		{-400012, "条码失效", "", failed},
		{-400012, "创建订单接口异常", "", unknown},
		{-400012, "付款码未过期", "", unknown},
		{-400012, "", "", unknown},
		{0, "", "", unknown}, {1, "", "", unknown}, {200, "", withPaid, unknown}, {10001, "", withPaid, unknown}, {-1, "付款码已过期", "", unknown},
	}
	for _, code := range []int{-20000, -20001, -20002, -14008, -14009, -14019, -14020, -40009} {
		rows = append(rows, row{code, "参数错误", "", failed})
	}
	for _, code := range []int{-14015, 40001, 20000, 40013, 40014} {
		rows = append(rows, row{code, "会话失效", "", want{token: true}})
	}
	for _, code := range []int{-10000, -14006, -14024, -14025, -14444, -30000, -99999} {
		rows = append(rows, row{code, "系统异常", withKey, unknown})
	}
	for _, code := range []int{
		-400001, -400002, -400005, -400006, -400007, -400008, -400009, -400013, -400014, -400016, -400017, -400018, -400019,
		-400020, -400021, -300005, -63007, -63010, -14005, -14018,
	} {
		rows = append(rows, row{code, "付款码已过期", withKey, unknown})
	}
	for _, r := range rows {
		t.Run(fmt.Sprintf("%d %s", r.code, r.words), func(t *testing.T) {
			a, err := open(t, &canned{body: chargeReply(r.code, r.words, r.data)}).Charge(context.Background(), goldenCharge())
			switch {
			case r.want.token:
				if !errors.Is(err, platforms.ErrToken) || !errors.Is(err, platforms.ErrNotCharged) || a.Status != platforms.Unknown {
					t.Fatalf("%v %v, want a token error that proves that nothing was charged", a.Status, err)
				}
			case r.want.bad:
				if err == nil || errors.Is(err, platforms.ErrNotCharged) || a.Status != platforms.Unknown {
					t.Fatalf("%v %v, want an error that proves nothing", a.Status, err)
				}
				return
			case err != nil || a.Status != r.want.status:
				t.Fatalf("%v %v, want %v", a.Status, err, r.want.status)
			}
			if a.Code != fmt.Sprint(r.code) || a.Message != r.words {
				t.Errorf("code and words are lost: %q %q", a.Code, a.Message)
			}
			if key := strings.Contains(r.data, goldenHandle); key != (a.Handle == goldenHandle) {
				t.Errorf("handle %q", a.Handle)
			}
			if r.want == failed && a.AskNow != (a.Handle != "") {
				t.Errorf("a failed pay with an OrderId is asked for, one without is not: %v", a.AskNow)
			}
		})
	}
}

func TestMismatchesAreLeftToBind(t *testing.T) {
	for field, data := range map[string]string{
		"amount":       strings.Replace(withPaid, "1234", "123400", 1),
		"order number": strings.Replace(withPaid, "<TotalFee>", "<HisOrderId>OTHER</HisOrderId><TotalFee>", 1),
		"merchant":     strings.Replace(withPaid, "<TotalFee>", "<MerchCode>755001</MerchCode><TotalFee>", 1),
	} {
		a, err := open(t, &canned{body: chargeReply(10000, "成功", data)}).Charge(context.Background(), goldenCharge())
		if err != nil {
			t.Fatal(err)
		}
		var m *platforms.Mismatch
		if err := platforms.Bind(goldenCharge().Ref, a); !errors.As(err, &m) || m.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestFurtherFailureCodes(t *testing.T) {
	body := chargeReply(-400014, "限制支付", "")
	p := open(t, &canned{body: body}, func(c *Config) { c.FailureCodes = []int{-400014} })
	if a, err := p.Charge(context.Background(), goldenCharge()); err != nil || a.Status != platforms.Failed {
		t.Errorf("%v %v", a.Status, err)
	}
	for _, code := range []int{10000, 0, 40001, -400011, -400012, -10000, -14444, -99999} {
		cfg := goldenConfig(RawXMLPost)
		cfg.FailureCodes = []int{code}
		if _, err := New(&canned{}, cfg); err == nil {
			t.Errorf("%d was accepted as a definite failure", code)
		}
	}
}

func TestGatewayRefusals(t *testing.T) {
	for _, c := range []struct {
		code   int
		token  bool
		status platforms.Status
	}{
		{40013, true, 0}, {40014, true, 0}, {40001, true, 0}, {20000, true, 0}, {-14015, true, 0},
		{-14009, false, platforms.Failed}, {-20001, false, platforms.Failed},
		{-14444, false, 0}, {50000, false, 0}, {-400010, false, 0}, {-400011, false, 0}, {-400002, false, 0}, {10000, false, 0}, {-400014, false, 0},
	} {
		form := func(cfg *Config) { cfg.Transport, cfg.FailureCodes = FormGateway, []int{-400014} }
		rt := &canned{body: fmt.Sprintf(`{"code":%d,"msg":"tok-5Q8Z 134567890123456789 无效"}`, c.code)}
		a, err := open(t, rt, form).Charge(context.Background(), goldenCharge())
		if got := errors.Is(err, platforms.ErrToken); got != c.token || got != errors.Is(err, platforms.ErrNotCharged) || a.Status != c.status {
			t.Errorf("charge %d: %v %v", c.code, a.Status, err)
		}
		if s := fmt.Sprint(err, a); strings.Contains(s, "tok-5Q8Z") || strings.Contains(s, goldenCode) {
			t.Errorf("charge %d leaks: %s", c.code, s)
		}
		if a.Code != fmt.Sprint(c.code) {
			t.Errorf("charge %d: the code is lost: %+v", c.code, a)
		}
		a, err = open(t, rt, form).Query(context.Background(), goldenRef())
		if errors.Is(err, platforms.ErrToken) != c.token || errors.Is(err, platforms.ErrNotCharged) || a.Status != platforms.Unknown {
			t.Errorf("query %d: %v %v", c.code, a.Status, err)
		}
		r, err := open(t, rt, form).Cancel(context.Background(), goldenRef())
		if errors.Is(err, platforms.ErrToken) != c.token || r.Done {
			t.Errorf("cancel %d: %+v %v", c.code, r, err)
		}
		if err := open(t, rt, form).Probe(context.Background()); errors.Is(err, platforms.ErrToken) != c.token || err == nil {
			t.Errorf("probe %d: %v", c.code, err)
		}
	}
}

// TestEveryOrderState is the table of wire.md §1.5, row by row.
func TestEveryOrderState(t *testing.T) {
	state := func(s string) string {
		return chargeReply(10000, "成功", "<Data><OrderState>"+s+"</OrderState></Data>")
	}
	for _, c := range []struct {
		name, body string
		want       platforms.Status
		ask, final bool
	}{
		{"0", state("0"), platforms.Pending, false, false},
		{"1", state("1"), platforms.Pending, false, false},
		{"2", state("2"), platforms.Paid, false, false},
		{"3", state("3"), platforms.Unknown, false, false},
		{"4", state("4"), platforms.Closed, true, false},
		{"5", state("5"), platforms.Closed, true, false},
		{"6", state("6"), platforms.Closed, false, false},
		{"7", state("7"), platforms.Unknown, false, false},
		{"8", state("8"), platforms.Unknown, false, true},
		{"9", state("9"), platforms.Unknown, false, false},
		{"10", state("10"), platforms.Unknown, false, false},
		{"-1", state("-1"), platforms.Unknown, false, false},
		{"02", state("02"), platforms.Unknown, false, false},
		{"blank", state(" "), platforms.Unknown, false, false},
		{"no state", chargeReply(10000, "成功", "<Data></Data>"), platforms.Unknown, false, false},
		{"no data", chargeReply(10000, "成功", ""), platforms.Unknown, false, false},
		{"not found", chargeReply(-400002, "订单不存在", ""), platforms.NotFound, false, false},
		{"not found, other layer", chargeReply(-63007, "订单未找到", ""), platforms.NotFound, false, false},
		{"not found, third", chargeReply(-300005, "数据不存在", ""), platforms.NotFound, false, false},
		{"not found with a state", chargeReply(-400002, "", "<Data><OrderState>2</OrderState></Data>"), platforms.NotFound, false, false},
		{"paying code with a state", chargeReply(-400011, "", "<Data><OrderState>2</OrderState></Data>"), platforms.Unknown, false, false},
		{"bad code", chargeReply(-400010, "二维码已失效", ""), platforms.Unknown, false, false},
		{"query fails", chargeReply(-400018, "查询异常", ""), platforms.Unknown, false, false},
		{"system", chargeReply(-10000, "系统异常", ""), platforms.Unknown, false, false},
		{"empty result", chargeReply(-14018, "结果集为空", ""), platforms.Unknown, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, err := open(t, &canned{body: c.body}).Query(context.Background(), goldenRef())
			if err != nil || a.Status != c.want || a.AskNow != c.ask || a.Final != c.final {
				t.Errorf("%+v %v", a, err)
			}
			if a.HasAmount || a.OrderNo != "" || a.Handle != "" {
				t.Errorf("the reply carried neither amount nor number: %+v", a)
			}
			known := c.want == platforms.Pending || c.want == platforms.Paid || c.want == platforms.Closed || strings.Contains("3 7 8 9", c.name)
			lost := goldenRef()
			lost.Handle = ""
			a, err = open(t, &canned{body: c.body}).Query(context.Background(), lost)
			if err != nil || a.Status != c.want || (a.Handle == goldenOrder) != known {
				t.Errorf("by our number: %+v %v", a, err)
			}
		})
	}
	a, err := open(t, &canned{body: chargeReply(-14015, "", "")}).Query(context.Background(), goldenRef())
	if !errors.Is(err, platforms.ErrToken) || errors.Is(err, platforms.ErrNotCharged) || a.Status != platforms.Unknown {
		t.Errorf("a refused session proves nothing about the order: %v %v", a.Status, err)
	}
}

// TestEveryAnswerToRevoke is wire.md §1.6.
func TestEveryAnswerToRevoke(t *testing.T) {
	for code, want := range map[int]platforms.Cancellation{
		10000:   {Done: true, Action: platforms.ActionUnknown},
		-400008: {Retry: platforms.RetryNo},
		-400002: {Retry: platforms.RetryNo},
		-63007:  {Retry: platforms.RetryNo},
		-300005: {Retry: platforms.RetryNo},
		-400019: {Retry: platforms.RetryYes},
		-10000:  {Retry: platforms.RetryYes},
		-400005: {}, -400016: {}, -63010: {}, -400011: {}, -400010: {}, -20000: {}, 0: {}, 1: {},
	} {
		got, err := open(t, &canned{body: chargeReply(code, "words", "")}).Cancel(context.Background(), goldenRef())
		want.Code, want.Message = fmt.Sprint(code), "words"
		if err != nil || got != want {
			t.Errorf("%d: %+v %v", code, got, err)
		}
	}
	got, err := open(t, &canned{body: chargeReply(40014, "", "")}).Cancel(context.Background(), goldenRef())
	if !errors.Is(err, platforms.ErrToken) || got.Done {
		t.Errorf("%+v %v", got, err)
	}
	var m *platforms.Mismatch
	got, err = open(t, &canned{body: chargeReply(10000, "", "<Data><OrderId>another</OrderId></Data>")}).Cancel(context.Background(), goldenRef())
	if !errors.As(err, &m) || got.Done {
		t.Errorf("another order was revoked: %+v %v", got, err)
	}
}
