package lc_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"payagent/platforms"
	"payagent/platforms/lc"
)

// TestGoldenRequests rebuilds the seed's request samples byte for byte. What
// the seed prints there and no request can have is filled in on both sides: the
// nonce and the sign (one and the same under every sample), words where values
// belong (payment_type), and fields that are mandatory and printed as null.
func TestGoldenRequests(t *testing.T) {
	k := keys(t, 1024)
	web := platforms.Web{
		ReturnURL: "http://www.linkingcloud.cm/paysuccesscallback/", NotifyURL: "http://www.linkingcloud.cm/paynotify/",
		DisableChannels: "credit_group", AgreementParams: `{"withholding_id":"20170908115122","withholding_notify_url":null}`,
	}
	ref := platforms.Ref{OrderNo: "20150320010101001", Amount: 8888, Operator: platforms.Operator{ID: "OP001"}}
	for method, x := range map[string]struct {
		fill []string // in the sample
		call func(p *lc.Platform) error
	}{
		opH5: {nil, func(p *lc.Platform) error {
			ref := ref
			ref.Mode = platforms.ModeH5
			_, err := p.Present(t.Context(), platforms.Charge{Ref: ref, Subject: "Iphone6 16G", Memo: "Iphone6 16G", Expires: "90m", OrderType: "ONE", Web: web})
			return err
		}},
		opCancel: {nil, func(p *lc.Platform) error {
			ref := ref
			ref.Terminal = "NJ_T_001"
			_, err := p.Cancel(t.Context(), ref)
			return err
		}},
		opToken: {[]string{
			`"alipay 或者 weixin 或者 unionpay 或者 eshimin 或者 elecny(数字货币)"`, `"weixin"`,
		}, func(p *lc.Platform) error {
			_, err := p.InsuranceToken(t.Context(), platforms.InsuranceAsk{
				Channel: platforms.WeChat, UserID: platforms.Hide("2088002258037890"), AuthCode: platforms.Hide("28763443825664394"), InsType: "RS",
			})
			return err
		}},
		opSSC: {[]string{
			`"alipay 或者 weixin 或者 unionpay 或者 eshimin 或者 elecny(数字货币)"`, `"alipay"`,
			`"ssc_scene":null`, `"ssc_scene":"TREATMENT"`, `"patient_name":null`, `"patient_name":"张三"`, `"patient_card_no":null`, `"patient_card_no":"11010119900307123X"`,
			`"org_name":null`, `"org_name":"演示医院"`, `"org_no":null`, `"org_no":"H1"`, `"city_code":null`, `"city_code":"310100"`, `"reduced_fee":"50"`, `"reduced_fee":"50.00"`,
			`"ssc_serial_no":null`, `"ssc_serial_no":"SN1"`, `"ssc_bill_no":null`, `"ssc_bill_no":"B1"`, `"cash_fee":null`, `"cash_fee":"8.88"`, `"insurance_fee":null`, `"insurance_fee":"30.00"`,
			`"credit_org":null`, `"credit_org":"ORG"`,
		}, func(p *lc.Platform) error {
			ref := ref
			ref.Mode = platforms.ModeInsurance
			_, err := p.Present(t.Context(), platforms.Charge{
				Ref: ref, Channel: platforms.Alipay, Subject: "Iphone6 16G", Memo: "Iphone6 16G", Expires: "90m", Patient: platforms.Patient{Name: platforms.Hide("张三")},
				Insurance: platforms.Insurance{
					UserID: platforms.Hide("2088002258037890"), Scene: "TREATMENT", InsType: "RS", CityCode: "310100", Insured: 3000, Cash: 888, Reduced: 5000, HasReduced: true,
					SerialNo: "SN1", BillNo: "B1", RequestContent: platforms.Hide("处方"), PatientIDNo: platforms.Hide("11010119900307123X"),
					AuthCode: platforms.Hide("28763443825664394"), CreditOrg: "ORG", PayScene: "miniprogram",
				},
			})
			return err
		}},
	} {
		t.Run(method, func(t *testing.T) {
			e := &exchange{}
			p := open(t, k, e, func(c *lc.Config) {
				c.AmountForm, c.SendNull = lc.AmountNumber, method == opToken || method == opSSC
				c.OrderTypes = map[string]string{"ONE": "1"}
				c.Region, c.OrgNo, c.OrgName, c.CityCode, c.InsType = lc.RegionShanghai, "H1", "演示医院", "", ""
			})
			// The reply is empty; what counts here is what was sent.
			if err := x.call(p); err == nil || errors.Is(err, platforms.ErrNotCharged) {
				t.Fatalf("nothing was sent: %v", err)
			}
			want, err := parseSample(sample(t, method+".req.txt"))
			if err != nil {
				t.Fatal(err)
			}
			for i := 0; i+1 < len(x.fill); i += 2 {
				biz := want.Get("biz_content")
				if !strings.Contains(biz, x.fill[i]) {
					t.Fatalf("the sample has no %s", x.fill[i])
				}
				want.Set("biz_content", strings.Replace(biz, x.fill[i], x.fill[i+1], 1))
			}
			for _, name := range []string{"nonce_str", "sign"} {
				want.Set(name, e.form.Get(name))
			}
			if diff := cmp.Diff(printed(want), printed(e.form)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// parseSample cuts a sample at its parameters: values are printed raw.
func parseSample(text string) (url.Values, error) {
	out := url.Values{}
	for _, name := range []string{"timestamp", "sign_type", "sign", "nonce_str", "msg", "method", "code", "biz_content", "app_id"} {
		at := strings.LastIndex(text, name+"=")
		if at < 0 {
			if name == "msg" || name == "code" {
				continue
			}
			return nil, errors.New("the sample has no " + name)
		}
		if at > 0 && text[at-1] != '&' && text[at-1] != '?' {
			if name == "code" || name == "msg" {
				continue
			}
			return nil, errors.New("the sample has no " + name)
		}
		out.Set(name, strings.TrimSpace(text[at+len(name)+1:]))
		text = strings.TrimRight(text[:at], "&?")
	}
	return out, nil
}

// TestGoldenReplies reads the seed's replies as printed, with the nonce that was
// sent and a signature that fits: over biz_content as printed, and over the same
// without blanks.
func TestGoldenReplies(t *testing.T) {
	k := keys(t, 1024)
	const page = "https://openapi.linkingcloud.cn/goto/87990d7419fd4343b2807ee5df3acba7"
	for _, compact := range []bool{false, true} {
		for method, want := range map[string]any{
			opH5: platforms.Answer{Status: platforms.Pending, QR: page},
			opCancel: platforms.Cancellation{Done: true, Action: platforms.ActionClose, Retry: platforms.RetryNo, OrderNo: "20150320010101001",
				TradeNo: "2016082221001004590259242589"},
			opToken: platforms.InsuranceToken{},
			opSSC: platforms.Answer{Status: platforms.Pending, QR: page,
				PayString: `{"timestamp":"1502364244","partnerId":"","prepayId":"","appId":"","package":"Sign=WXPay","noncestr":"49182F81E6A13CF5EAA496D51FEA6406","sign":"502DD4DD55641D5AD717FB695AD79A54"}`},
		} {
			e := &exchange{}
			e.answer = func(form url.Values) string {
				doc := sample(t, method+".resp.json")
				from := strings.Index(doc, `"nonce_str": "`) + len(`"nonce_str": "`)
				doc = doc[:from] + form.Get("nonce_str") + doc[from+36:]
				// The second sign is that of the wallet, inside paystr.
				at := strings.LastIndex(doc, `,
  "sign_type"`)
				return signed(t, k.Gateway, doc[:at]+`,"sign_type":"rsa"}`, compact)
			}
			p := open(t, k, e, nil)
			got, err := do(t, p, method)
			if method == opCancel {
				got, err = p.Cancel(t.Context(), platforms.Ref{OrderNo: "20150320010101001"})
			}
			if err != nil {
				t.Errorf("%s: %v", method, err)
				continue
			}
			if token, is := got.(platforms.InsuranceToken); is {
				if token.QRCode.Reveal() != "https://qr.alipay.com/bavh4wjlxf12tper3a" || !token.CardInfo.Empty() || token.CityCode != "" {
					t.Errorf("token %q", token.QRCode.Reveal())
				}
				continue
			}
			if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b platforms.Hidden) bool { return a.Reveal() == b.Reveal() })); diff != "" {
				t.Errorf("%s: %s", method, diff)
			}
		}
	}
}

// The seed's own sample of business_params lacks a quote; the place is named.
func TestMalformedSampleIsRefusedWithThePlace(t *testing.T) {
	e := &exchange{}
	p := open(t, keys(t, 1024), e, nil)
	c := platforms.Charge{Ref: platforms.Ref{OrderNo: "20150320010101001", Amount: 8888, Mode: platforms.ModeH5}, Subject: "x", OrderType: "TREATMENT",
		Web: platforms.Web{BusinessParams: sample(t, "business_params.txt")}}
	_, err := p.Present(t.Context(), c)
	var f *platforms.FieldError
	if !errors.As(err, &f) || f.Field != "business_params" || !strings.Contains(f.Reason, "at byte 29") || e.form != nil {
		t.Errorf("error %v, sent %v", err, e.form)
	}
	c.Web.BusinessParams = strings.Replace(c.Web.BusinessParams, `code:`, `code":`, 1)
	if _, err := p.Present(t.Context(), c); errors.As(err, &f) && f.Field == "business_params" && e.form == nil {
		t.Errorf("mended it is refused: %v", err)
	}
	if got := e.form.Get("biz_content"); !strings.Contains(got, `"business_params":{"memo":"备注","biz_code":"20170408"}`) {
		t.Errorf("sent %s", got)
	}
}

// TestGoldenNotices reads the seed's notice and return_url with a signature
// that fits, encoded and, as printed, with the blanks of a careless sender.
func TestGoldenNotices(t *testing.T) {
	k := keys(t, 1024)
	for name, x := range map[string]struct {
		file, app, at string
		want          platforms.Notice
	}{
		"notify": {"lc.trade.notify.txt", "25ec8f80-f9e0-4c78-9008-d4d9a16fa4d7", "2016-12-14 15:27:16", platforms.Notice{
			Reply: "success", Answer: platforms.Answer{Status: platforms.Paid, OrderNo: "20161214152708479", TradeNo: "2016121421001004930228999228",
				Amount: 1, HasAmount: true, Code: "TRADE_SUCCESS"},
		}},
		"return": {"return_url.txt", seedApp, "2014-07-24 03:07:50", platforms.Notice{
			Reply: "success", ByBrowser: true, Canceled: true, Answer: platforms.Answer{Status: platforms.Closed, OrderNo: "20150320010101001",
				TradeNo: "2016082221001004590259242589", Amount: 8888, HasAmount: true, Code: "5001", Message: "用户取消"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			_, query, _ := strings.Cut(sample(t, x.file), "?")
			params, err := parseSample(strings.TrimRight(query, " "))
			if err != nil {
				t.Fatal(err)
			}
			if params.Get("app_id") != x.app || params.Get("timestamp") != x.at {
				t.Fatalf("%v", params)
			}
			p := open(t, k, &exchange{}, func(c *lc.Config) { c.AppID = x.app })
			when, err := time.ParseInLocation("2006-01-02 15:04:05", x.at, time.FixedZone("", 8*3600))
			if err != nil {
				t.Fatal(err)
			}
			in := platforms.Incoming{Query: params.Encode(), Now: when.Add(time.Minute)}
			if _, err := p.Notice(in); err == nil {
				t.Error("the sample's own signature is taken, whose key nobody has")
			}
			resign(t, k, params)
			for how, in := range map[string]platforms.Incoming{
				"address":        {Query: params.Encode(), Now: in.Now},
				"body":           {Form: params.Encode(), Now: in.Now},
				"plus unencoded": {Query: strings.ReplaceAll(params.Encode(), "%2B", "+"), Now: in.Now},
				"own address":    {Query: "from=page&o=1&" + params.Encode(), Now: in.Now},
				"two blanks":     {Query: params.Encode(), Now: in.Now},
			} {
				got, err := p.Notice(in)
				if diff := cmp.Diff(x.want, got, cmp.Comparer(func(a, b platforms.Hidden) bool { return a.Reveal() == b.Reveal() })); diff != "" || err != nil {
					t.Errorf("%s: %v %s", how, err, diff)
				}
			}
		})
	}
}
