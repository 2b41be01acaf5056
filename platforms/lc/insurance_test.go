package lc_test

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"

	"payagent/platforms"
	"payagent/platforms/internal/strictjson"
	"payagent/platforms/lc"
	"payagent/platforms/lc/lcsuite"
)

// situation is one line of the tables of seed 004 §6.5 and §6.6: what is
// mandatory there, besides what is mandatory everywhere.
type situation struct {
	name   string
	config func(*lc.Config)
	charge func(*platforms.Charge)
	need   string // fields of the wire, or alternatives a|b
	spare  string // marked 是 in the table or needed elsewhere, and not demanded here
}

func alipay(c *platforms.Charge) { c.Channel = platforms.Alipay }

func situations() []situation {
	shanghai := func(c *lc.Config) { c.Region = lc.RegionShanghai }
	offline := func(c *lc.Config) { c.CreditOffline = true }
	mini := func(c *lc.Config) { c.EshiminMini = true }
	weixin := func(*platforms.Charge) {}
	registration := func(c *platforms.Charge) { c.Insurance.Scene = "REGISTRATION" }
	credit := func(c *platforms.Charge) { c.Insurance.CreditOrg = "ORG1" }
	eshimin := func(c *platforms.Charge) { c.Channel, c.Insurance.EshiminAuthCode = "", platforms.Hide("E1") }
	with := func(all ...func(*platforms.Charge)) func(*platforms.Charge) {
		return func(c *platforms.Charge) {
			for _, f := range all {
				f(c)
			}
		}
	}
	const spare = "ssc_bill_no credit_org auth_code ec_qrcode ssc_eshimin_auth_code pay_scene pay_qr_code reduced_fee"
	return []situation{
		{"weixin, 诊间, 全国", nil, weixin, "request_content card_info pay_auth_no", spare + " ssc_serial_no"},
		{"weixin, 挂号, 全国", nil, registration, "card_info pay_auth_no", spare + " ssc_serial_no request_content"},
		{"weixin, 诊间, 上海", shanghai, weixin, "request_content ssc_bill_no", "credit_org auth_code ec_qrcode pay_qr_code card_info pay_auth_no ssc_serial_no"},
		{"alipay, 全国", nil, alipay, "ssc_serial_no|request_content card_info pay_auth_no", spare},
		{"alipay, 挂号", nil, with(alipay, registration), "ssc_serial_no|request_content card_info pay_auth_no", spare},
		{"alipay, 上海", shanghai, alipay, "ssc_serial_no|request_content ssc_bill_no", "card_info pay_auth_no credit_org auth_code"},
		{"unionpay", nil, func(c *platforms.Charge) { c.Channel = platforms.UnionPay }, "card_info pay_auth_no", spare + " ssc_serial_no request_content"},
		{"elecny", nil, func(c *platforms.Charge) { c.Channel = platforms.ECNY }, "card_info pay_auth_no", spare + " ssc_serial_no request_content"},
		{"weixin, 信用签约 线上", nil, credit, "request_content card_info pay_auth_no credit_org auth_code", "ec_qrcode ssc_bill_no"},
		{"weixin, 信用签约 线下", offline, credit, "request_content card_info pay_auth_no credit_org auth_code ec_qrcode", "ssc_bill_no pay_scene"},
		{"alipay, 信用签约 线下", offline, with(alipay, credit), "credit_org ssc_serial_no|request_content", "auth_code ec_qrcode"},
		{"随申办", shanghai, eshimin, "ssc_eshimin_auth_code ssc_bill_no", "pay_scene card_info pay_auth_no request_content ssc_serial_no"},
		{"随申办 小程序", mini, eshimin, "ssc_eshimin_auth_code pay_scene card_info pay_auth_no", "ssc_bill_no"},
	}
}

// everywhere is mandatory in every situation, with the API's name.
func everywhere() map[string]string {
	return map[string]string{
		"ssc_scene": "insurance.ssc_scene", "subject": "subject", "notify_url": "notify_url", "return_url": "return_url", "total_amount": "amount_fen",
		"user_id": "insurance.user_id", "patient_name": "patient.name", "patient_card_no": "insurance.patient_card_no", "org_name": "insurance.org_name",
		"org_no": "insurance.org_no", "ssc_ins_type": "insurance.ssc_ins_type", "city_code": "insurance.city_code", "out_trade_no": "out_trade_no",
	}
}

// without takes one field of the wire out of a charge or the configuration.
func without(name string, c *platforms.Charge, cfg *lc.Config) {
	i := &c.Insurance
	none := platforms.Hidden{}
	map[string]func(){
		"out_trade_no": func() { c.OrderNo = "" }, "total_amount": func() { c.Amount = 0 }, "subject": func() { c.Subject = "" },
		"notify_url": func() { cfg.NotifyURL = "" }, "return_url": func() { cfg.ReturnURL = "" }, "ssc_scene": func() { i.Scene = "" },
		"user_id": func() { i.UserID = none }, "patient_name": func() { c.Patient.Name = none }, "patient_card_no": func() { i.PatientIDNo = none },
		"org_name": func() { cfg.OrgName = "" }, "org_no": func() { cfg.OrgNo = "" }, "ssc_ins_type": func() { cfg.InsType = "" },
		"city_code": func() { cfg.CityCode = "" }, "request_content": func() { i.RequestContent = none }, "ssc_serial_no": func() { i.SerialNo = "" },
		"ssc_bill_no": func() { i.BillNo = "" }, "credit_org": func() { i.CreditOrg = "" }, "auth_code": func() { i.AuthCode = none },
		"ec_qrcode": func() { i.ECQRCode = none }, "ssc_eshimin_auth_code": func() { i.EshiminAuthCode = none }, "pay_scene": func() { i.PayScene = "" },
		"pay_qr_code": func() { i.PayQRCode = none }, "card_info": func() { i.CardInfo = none }, "pay_auth_no": func() { i.PayAuthNo = none },
		"reduced_fee": func() { i.HasReduced, i.Reduced = false, 0 },
	}[name]()
}

// full is a charge with everything that the situation needs and nothing of what
// it can spare.
func (s situation) full(spare bool) platforms.Charge {
	c := lcsuite.Charge(platforms.ModeInsurance, "MZ1", 8888)
	fullInsurance(&c)
	c.Insurance.EshiminAuthCode, c.Insurance.CreditOrg = platforms.Hidden{}, ""
	c.Insurance.Reduced, c.Insurance.HasReduced, c.Insurance.Cash = 0, false, 3888
	if !strings.Contains(s.need, "credit_org") {
		c.Insurance.AuthCode, c.Insurance.ECQRCode = platforms.Hidden{}, platforms.Hidden{}
	}
	s.charge(&c)
	if !spare {
		var cfg lc.Config
		for name := range strings.FieldsSeq(s.spare) {
			without(name, &c, &cfg)
		}
		s.keep(&c)
	}
	return c
}

// keep puts back what decides the situation and stands in its list of spares.
func (s situation) keep(c *platforms.Charge) {
	if strings.Contains(s.need, "credit_org") {
		c.Insurance.CreditOrg = "ORG1"
	}
}

// TestInsuranceTable goes through the table row by row: with exactly what a
// situation needs a payment is sent; without any one of it, it is refused
// before anything is sent, and the error names that field.
func TestInsuranceTable(t *testing.T) {
	k := keys(t, 1024)
	rows := 0
	for _, s := range situations() {
		t.Run(s.name, func(t *testing.T) {
			try := func(c platforms.Charge, change func(*lc.Config)) (*exchange, error) {
				e := &exchange{answer: func(form url.Values) string {
					return signed(t, k.Gateway, reply(form, "10000", "", `{"goto_url":"https://x.invalid/1"}`), false)
				}}
				_, err := open(t, k, e, func(cfg *lc.Config) {
					if s.config != nil {
						s.config(cfg)
					}
					if change != nil {
						change(cfg)
					}
				}).Present(t.Context(), c)
				return e, err
			}
			e, err := try(s.full(false), nil)
			if err != nil {
				t.Fatalf("with all that it needs it is refused: %v", err)
			}
			got := bizNames(t, e.form.Get("biz_content"))
			for name := range strings.FieldsSeq(s.spare) {
				if has(got, name) && !strings.Contains(s.need, name) {
					t.Errorf("%s was sent; the row shows nothing", name)
				}
			}
			need := map[string]string{}
			for wire, api := range everywhere() {
				need[wire] = api
			}
			for name := range strings.FieldsSeq(s.need) {
				need[name] = "insurance." + strings.Split(name, "|")[0]
			}
			for wire, api := range need {
				rows++
				c := s.full(false)
				var change func(*lc.Config)
				for one := range strings.SplitSeq(wire, "|") {
					before := change
					change = func(cfg *lc.Config) {
						if before != nil {
							before(cfg)
						}
						without(one, &platforms.Charge{}, cfg)
					}
					without(one, &c, &lc.Config{})
				}
				if wire == "ssc_eshimin_auth_code" || wire == "credit_org" && c.Insurance.AuthCode.Empty() {
					continue // without it the payment is another one
				}
				e, err := try(c, change)
				var f *platforms.FieldError
				if !errors.As(err, &f) || f.Field != api || e.form != nil || !errors.Is(err, platforms.ErrNotCharged) {
					t.Errorf("without %s: error %v, want one on %s", wire, err, api)
				}
			}
		})
	}
	if rows < 180 {
		t.Errorf("only %d rows", rows)
	}
}

// ssc_serial_no wins over request_content for 支付宝; others get both.
func TestSerialNumberWins(t *testing.T) {
	k := keys(t, 1024)
	for name, x := range map[string]struct {
		charge  func(*platforms.Charge)
		content bool
	}{
		"alipay":                     {alipay, false},
		"alipay, no number":          {func(c *platforms.Charge) { alipay(c); c.Insurance.SerialNo = "" }, true},
		"weixin":                     {func(*platforms.Charge) {}, true},
		"eshimin through the alipay": {func(c *platforms.Charge) { alipay(c); c.Insurance.EshiminAuthCode = platforms.Hide("E") }, true},
	} {
		c := lcsuite.Charge(platforms.ModeInsurance, "MZ1", 8888)
		x.charge(&c)
		e := &exchange{}
		_, _ = open(t, k, e, nil).Present(t.Context(), c)
		if got := bizNames(t, e.form.Get("biz_content")); has(got, "request_content") != x.content || has(got, "ssc_serial_no") != (c.Insurance.SerialNo != "") {
			t.Errorf("%s: sent %v", name, got)
		}
	}
}

func TestInsuranceLengths(t *testing.T) {
	k := keys(t, 1024)
	long := func(n int) string { return strings.Repeat("长", n) }
	hidden := func(n int) platforms.Hidden { return platforms.Hide(long(n)) }
	type insurance = platforms.Insurance
	for name, x := range map[string]struct {
		field string
		most  int
		set   func(c *platforms.Charge, n int)
	}{
		"ssc_bill_no": {"insurance.ssc_bill_no", 64, func(c *platforms.Charge, n int) { c.Insurance.BillNo = long(n) }},
		"credit_org":  {"insurance.credit_org", 10, func(c *platforms.Charge, n int) { c.Insurance.CreditOrg, c.Insurance.AuthCode = long(n), hidden(1) }},
		"ec_qrcode": {"insurance.ec_qrcode", 128, func(c *platforms.Charge, n int) {
			c.Insurance.CreditOrg, c.Insurance.AuthCode, c.Insurance.ECQRCode = "O", hidden(1), hidden(n)
		}},
		"ssc_eshimin_auth_code": {"insurance.ssc_eshimin_auth_code", 150, func(c *platforms.Charge, n int) { c.Insurance.EshiminAuthCode = hidden(n) }},
		"pay_scene":             {"insurance.pay_scene", 50, func(c *platforms.Charge, n int) { c.Insurance.PayScene = long(n) }},
		"request_content":       {"insurance.request_content", 4000, func(c *platforms.Charge, n int) { c.Insurance.RequestContent = hidden(n) }},
	} {
		for n, good := range map[int]bool{x.most: true, x.most + 1: false} {
			c := lcsuite.Charge(platforms.ModeInsurance, "MZ1", 8888)
			x.set(&c, n)
			err := open(t, k, &exchange{}, nil).CheckCharge(c)
			var f *platforms.FieldError
			if good != (err == nil) || !good && (!errors.As(err, &f) || f.Field != x.field) {
				t.Errorf("%s of %d: %v", name, n, err)
			}
		}
	}
	// What the document bounds and real values do not keep.
	c := lcsuite.Charge(platforms.ModeInsurance, "MZ1", 99_999_999)
	c.Insurance.UserID = platforms.Hide(strings.Repeat("o", 28))
	c.Insurance.Insured, c.Insurance.Cash = 99_999_998, 1
	if err := open(t, k, &exchange{}, nil).CheckCharge(c); err != nil {
		t.Errorf("user_id of 28, insurance_fee of 9: %v", err)
	}
	c.Insurance.RequestContent = platforms.Hide("第一行\n第二行\t")
	if err := open(t, k, &exchange{}, nil).CheckCharge(c); err != nil {
		t.Errorf("a prescription of two lines: %v", err)
	}
	for name, change := range map[string]func(i *insurance){
		"scene": func(i *insurance) { i.Scene = "PHARMACY" }, "type": func(i *insurance) { i.InsType = "XX" },
	} {
		c := lcsuite.Charge(platforms.ModeInsurance, "MZ1", 8888)
		change(&c.Insurance)
		if err := open(t, k, &exchange{}, nil).CheckCharge(c); err == nil {
			t.Errorf("another %s passes", name)
		}
	}
}

// The total is its parts, by the site's rule.
func TestInsuranceTotal(t *testing.T) {
	k := keys(t, 1024)
	for _, x := range []struct {
		rule                         lc.TotalRule
		total, insured, cash, reduce platforms.Fen
		has, good                    bool
	}{
		{"", 100, 60, 40, 0, false, true},
		{"", 100, 60, 39, 0, false, false},
		{"", 100, 60, 30, 10, true, true},
		{"", 100, 60, 40, 10, true, false},
		{"", 100, 60, 40, 0, true, true},
		{lc.TotalTwo, 100, 60, 40, 10, true, true},
		{lc.TotalTwo, 100, 60, 30, 10, true, false},
		{lc.TotalAny, 100, 60, 1, 10, true, true},
		{"", 100, 100, 0, 0, false, true},
		{"", 100, 0, 100, 0, false, true},
		{"", 100, 110, -10, 0, false, false},
		{lc.TotalAny, 100, -1, 1, 0, false, false},
	} {
		c := lcsuite.Charge(platforms.ModeInsurance, "MZ1", x.total)
		i := &c.Insurance
		i.Insured, i.Cash, i.Reduced, i.HasReduced = x.insured, x.cash, x.reduce, x.has
		err := open(t, k, &exchange{}, func(c *lc.Config) { c.TotalRule = x.rule }).CheckCharge(c)
		if (err == nil) != x.good {
			t.Errorf("%+v: %v", x, err)
		}
	}
	// What HIS settles is not there when an order is accepted.
	c := lcsuite.Charge(platforms.ModeInsurance, "MZ1", 100)
	c.Insurance = platforms.Insurance{}
	p := open(t, k, &exchange{}, nil)
	if err := p.CheckCharge(c); err != nil {
		t.Error("an order that is not settled yet is refused:", err)
	}
	if _, err := p.Present(t.Context(), c); !errors.Is(err, platforms.ErrNotCharged) {
		t.Error("it is sent without a settlement:", err)
	}
}

// TestTokenTable is §6.5, row by row.
func TestTokenTable(t *testing.T) {
	k := keys(t, 1024)
	none := platforms.Hidden{}
	fields := map[string]struct {
		api  string
		drop func(*platforms.InsuranceAsk)
	}{
		"user_id":          {"insurance.user_id", func(a *platforms.InsuranceAsk) { a.UserID = none }},
		"auth_code":        {"insurance.auth_code", func(a *platforms.InsuranceAsk) { a.AuthCode = none }},
		"patient_name":     {"patient.name", func(a *platforms.InsuranceAsk) { a.PatientName = none }},
		"patient_card_no":  {"insurance.patient_card_no", func(a *platforms.InsuranceAsk) { a.PatientIDNo = none }},
		"biz_city_code":    {"insurance.city_code", func(a *platforms.InsuranceAsk) { a.CityCode = "" }},
		"ssc_ins_type":     {"insurance.ssc_ins_type", func(a *platforms.InsuranceAsk) { a.InsType = "" }},
		"kinsfolk_card_no": {"insurance.kinsfolk_card_no", func(a *platforms.InsuranceAsk) { a.KinsfolkIDNo = none }},
		"kinsfolk_name":    {"insurance.kinsfolk_name", func(a *platforms.InsuranceAsk) { a.KinsfolkName = none }},
		"third_open_id":    {"insurance.third_open_id", func(a *platforms.InsuranceAsk) { a.ThirdOpenID = none }},
		"payment_type":     {"channel", func(a *platforms.InsuranceAsk) { a.Channel, a.Eshimin = "", false }},
	}
	adult := func(a *platforms.InsuranceAsk) { a.KinsfolkIDNo, a.KinsfolkName, a.ThirdOpenID = none, none, none }
	for _, s := range []struct {
		name string
		set  func(*platforms.InsuranceAsk)
		need string
		word string
	}{
		{"alipay", func(a *platforms.InsuranceAsk) { adult(a); a.Channel = platforms.Alipay }, "user_id auth_code payment_type patient_name patient_card_no biz_city_code ssc_ins_type", "alipay"},
		{"weixin", adult, "user_id auth_code payment_type", "weixin"},
		{"unionpay", func(a *platforms.InsuranceAsk) { adult(a); a.Channel = platforms.UnionPay }, "user_id auth_code payment_type", "unionpay"},
		{"elecny", func(a *platforms.InsuranceAsk) { adult(a); a.Channel = platforms.ECNY }, "user_id auth_code payment_type", "elecny"},
		{"随申办", func(a *platforms.InsuranceAsk) { adult(a); a.Eshimin = true }, "user_id auth_code payment_type", "eshimin"},
		{"儿保", func(*platforms.InsuranceAsk) {}, "user_id auth_code payment_type kinsfolk_card_no kinsfolk_name third_open_id", "weixin"},
		{"儿保, alipay", func(a *platforms.InsuranceAsk) { a.Channel = platforms.Alipay }, "user_id auth_code payment_type patient_name patient_card_no biz_city_code ssc_ins_type kinsfolk_card_no kinsfolk_name third_open_id", "alipay"},
	} {
		need := strings.Fields(s.need)
		for name, f := range fields {
			ask := fullAsk()
			s.set(&ask)
			f.drop(&ask)
			e := &exchange{answer: func(form url.Values) string {
				return signed(t, k.Gateway, reply(form, "10000", "", `{"pay_auth_no":"P"}`), false)
			}}
			_, err := open(t, k, e, func(c *lc.Config) { c.CityCode, c.InsType = "", "" }).InsuranceToken(t.Context(), ask)
			var field *platforms.FieldError
			switch {
			case slices.Contains(need, name) && (!errors.As(err, &field) || field.Field != f.api || e.form != nil):
				t.Errorf("%s without %s: error %v", s.name, name, err)
			case !slices.Contains(need, name) && err != nil:
				t.Errorf("%s needs no %s, but: %v", s.name, name, err)
			case err == nil:
				doc, err := strictjson.Parse([]byte(e.form.Get("biz_content")))
				if err != nil || doc.Get("payment_type").Text != s.word {
					t.Errorf("%s: sent %s", s.name, e.form.Get("biz_content"))
				}
			}
		}
	}
	for name, x := range map[string]func(*platforms.InsuranceAsk){
		"biz_city_code 7":      func(a *platforms.InsuranceAsk) { a.CityCode = "1234567" },
		"ssc_ins_type 6":       func(a *platforms.InsuranceAsk) { a.InsType = "YBYBYB" },
		"kinsfolk_name 101":    func(a *platforms.InsuranceAsk) { a.KinsfolkName = platforms.Hide(strings.Repeat("名", 101)) },
		"kinsfolk_card_no 101": func(a *platforms.InsuranceAsk) { a.KinsfolkIDNo = platforms.Hide(strings.Repeat("1", 101)) },
		"third_open_id 37":     func(a *platforms.InsuranceAsk) { a.ThirdOpenID = platforms.Hide(strings.Repeat("1", 37)) },
	} {
		ask := fullAsk()
		x(&ask)
		if _, err := open(t, k, &exchange{}, nil).InsuranceToken(t.Context(), ask); err == nil {
			t.Errorf("%s passes", name)
		}
	}
}

func TestTokenReplies(t *testing.T) {
	k := keys(t, 1024)
	for name, x := range map[string]struct {
		code, biz   string
		wrong, gift bool
	}{
		"national":     {"10000", `{"card_info":"C","pay_auth_no":"P"}`, false, true},
		"shanghai":     {"10000", `{"qr_code":"Q","city_code":"310100"}`, false, true},
		"nothing":      {"10000", `{"qr_code":null,"pay_auth_no":""}`, true, false},
		"refused":      {"40004", `{"sub_code":"AUTH_CODE_INVALID"}`, false, false},
		"with a code":  {"10000", `{"sub_code":"X","pay_auth_no":"P"}`, false, false},
		"long":         {"10000", `{"qr_code":"` + strings.Repeat("q", 1025) + `"}`, true, false},
		"another kind": {"10000", `{"qr_code":["q"]}`, true, false},
	} {
		got, err := do(t, open(t, k, answers(t, k, x.code, "", x.biz), nil), opToken)
		token := got.(platforms.InsuranceToken)
		if (err != nil) != x.wrong || (token.QRCode.Empty() && token.PayAuthNo.Empty()) == x.gift {
			t.Errorf("%s: %s, %v", name, describe(got), err)
		}
	}
}

func TestAuthorise(t *testing.T) {
	k := keys(t, 1024)
	p := open(t, k, &exchange{}, func(c *lc.Config) { c.Endpoint = "https://openapi.linkingcloud.cn/gateway" })
	a := platforms.Authorisation{OpenID: platforms.Hide("2088485687451232"), State: "s&1", Redirect: "https://pay.hospital.invalid/auth?x=1"}
	got, err := p.Authorise(a)
	if want := "https://openapi.linkingcloud.cn/oauth2/medicareAuth?app_id=" + seedApp + "&open_id=2088485687451232&state=s%261&redirect_uri=https%3A%2F%2Fpay.hospital.invalid%2Fauth%3Fx%3D1"; err != nil || got != want {
		t.Errorf("%s, %v", got, err)
	}
	for name, change := range map[string]func(*platforms.Authorisation){
		"no open_id": func(a *platforms.Authorisation) { a.OpenID = platforms.Hidden{} }, "no state": func(a *platforms.Authorisation) { a.State = "" },
		"no address": func(a *platforms.Authorisation) { a.Redirect = "" }, "path": func(a *platforms.Authorisation) { a.Redirect = "/auth" },
		"long": func(a *platforms.Authorisation) { a.Redirect += strings.Repeat("x", 512) },
	} {
		bad := a
		change(&bad)
		var f *platforms.FieldError
		if got, err := p.Authorise(bad); !errors.As(err, &f) || got != "" {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	q := open(t, k, &exchange{}, func(c *lc.Config) { c.AuthURL = "https://relay.invalid/auth?site=1" })
	if got, _ := q.Authorise(a); !strings.HasPrefix(got, "https://relay.invalid/auth?site=1&app_id=") {
		t.Error(got)
	}
}
