package lc

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"payagent/platforms"
)

// The lengths of seed 004 §6.5 and §6.6. user_id 16 and insurance_fee 6 are not
// enforced: WeChat's ids have 28 characters, and 9999.99 yuan has 7.
const (
	maxCity      = 6 // biz_city_code
	maxInsType   = 5
	maxKinsfolk  = 100
	maxThird     = 36
	maxReduced   = 20
	maxContent   = 4000
	maxBillNo    = 64
	maxCreditOrg = 10
	maxECQRCode  = 128
	maxEshimin   = 150
	maxPayScene  = 50
)

// The cases that the tables single out.
type occasion string

const (
	always        occasion = ""
	kinsfolk      occasion = "儿保"
	credit        occasion = "信用签约"
	creditOffline occasion = "信用签约 线下"
	miniProgram   occasion = "随申办小程序"
)

// The scenes of ssc_scene.
const (
	sceneRegistration = "REGISTRATION"
	sceneTreatment    = "TREATMENT"
)

// Words of payment_type in the table below, apart from how a site spells them.
const (
	payAlipay  = "alipay"
	payWeixin  = "weixin"
	payEshimin = "eshimin"
)

// demand is one row: the field is mandatory where all conditions hold. An empty
// condition holds always.
type demand struct {
	_      [0]func() // never compared: the program is smaller by the code for it
	wire   string
	pay    string // payment_type
	region Region
	scene  string // ssc_scene
	when   occasion
	// or names a field that may stand in for it.
	or string
}

// tokenDemands is the table of §6.5. patient_name, patient_card_no,
// biz_city_code and ssc_ins_type are marked 是 and explained with 支付宝必传;
// kinsfolk_name is marked 是 and explained with 儿保必传.
func tokenDemands() []demand {
	return []demand{
		{wire: "user_id"}, {wire: "payment_type"}, {wire: "auth_code"},
		{wire: "patient_name", pay: payAlipay}, {wire: "patient_card_no", pay: payAlipay},
		{wire: "biz_city_code", pay: payAlipay}, {wire: "ssc_ins_type", pay: payAlipay},
		{wire: "kinsfolk_card_no", when: kinsfolk}, {wire: "kinsfolk_name", when: kinsfolk}, {wire: "third_open_id", when: kinsfolk},
	}
}

// payDemands is the table of §6.6. Marked 是 and explained for one case:
// ssc_bill_no (上海), credit_org and auth_code (信用签约), card_info and
// pay_auth_no (全国). pay_qr_code is marked 是 without any explanation, and only
// one region's token has such a thing, so it is demanded nowhere.
func payDemands() []demand {
	return []demand{
		{wire: "out_trade_no"}, {wire: "ssc_scene"}, {wire: "subject"}, {wire: "notify_url"}, {wire: "return_url"},
		{wire: "total_amount"}, {wire: "payment_type"}, {wire: "user_id"}, {wire: "patient_name"}, {wire: "patient_card_no"},
		{wire: "org_name"}, {wire: "org_no"}, {wire: "ssc_ins_type"}, {wire: "city_code"}, {wire: "cash_fee"}, {wire: "insurance_fee"},
		{wire: "ssc_serial_no", pay: payAlipay, or: "request_content"},
		{wire: "request_content", pay: payWeixin, scene: sceneTreatment},
		{wire: "ssc_bill_no", region: RegionShanghai},
		{wire: "card_info", region: RegionNational}, {wire: "pay_auth_no", region: RegionNational},
		{wire: "credit_org", when: credit},
		{wire: "auth_code", pay: payWeixin, when: credit},
		{wire: "ec_qrcode", pay: payWeixin, when: creditOffline},
		{wire: "ssc_eshimin_auth_code", pay: payEshimin},
		{wire: "pay_scene", pay: payEshimin, when: miniProgram},
	}
}

// situation is what the conditions of a demand are compared with.
type situation struct {
	pay    string
	region Region
	scene  string
	when   []occasion
}

func (d demand) applies(s situation) bool {
	return (d.pay == "" || d.pay == s.pay) && (d.region == "" || d.region == s.region) &&
		(d.scene == "" || d.scene == s.scene) && (d.when == always || slices.Contains(s.when, d.when))
}

// why says on what a demand rests, for people.
func (d demand) why() string {
	var parts []string
	for _, s := range []string{d.pay, string(d.region), d.scene, string(d.when)} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

// demanded gives the first field that is mandatory and missing. apis maps the
// wire's names to the API's.
func demanded(table []demand, s situation, all []element, apis map[string]string) error {
	has := func(name string) bool {
		i := slices.IndexFunc(all, func(e element) bool { return e.name == name })
		return i >= 0 && strings.TrimSpace(all[i].value) != ""
	}
	for _, d := range table {
		if !d.applies(s) || has(d.wire) || d.or != "" && has(d.or) {
			continue
		}
		words := d.wire + " is mandatory" + d.why() + "; give it"
		if d.or != "" {
			words = d.wire + " or " + d.or + " is mandatory" + d.why() + "; give one of them"
		}
		return field(first(apis[d.wire], "insurance."+d.wire), words)
	}
	return nil
}

func eshimin(c platforms.Charge) bool { return !c.Insurance.EshiminAuthCode.Empty() }

// situation finds out what an insurance payment is.
func (p *Platform) situation(c platforms.Charge) situation {
	i := c.Insurance
	s := situation{region: p.cfg.Region, scene: i.Scene, pay: canonical(c.Channel)}
	if eshimin(c) {
		s.pay = payEshimin
		if p.cfg.EshiminMini {
			s.when = append(s.when, miniProgram)
		}
	}
	if i.CreditOrg != "" || !i.AuthCode.Empty() || !i.ECQRCode.Empty() {
		s.when = append(s.when, credit)
		if p.cfg.CreditOffline {
			s.when = append(s.when, creditOffline)
		}
	}
	return s
}

// canonical is the table's word for a channel, however a site spells it.
func canonical(ch platforms.Channel) string {
	switch ch {
	case platforms.Alipay:
		return payAlipay
	case platforms.WeChat:
		return payWeixin
	}
	return string(ch)
}

// sscBiz writes lc.ssc.trade.pay. ssc_serial_no wins over request_content for
// 支付宝, so that the other is not sent beside it.
func (p *Platform) sscBiz(c platforms.Charge) []element {
	i := c.Insurance
	payType := p.cfg.PaymentTypes[c.Channel]
	if eshimin(c) {
		payType = p.cfg.eshimin
	}
	content := i.RequestContent.Reveal()
	if i.SerialNo != "" && c.Channel == platforms.Alipay && !eshimin(c) {
		content = ""
	}
	reduced := text("reduced_fee", "")
	if i.HasReduced {
		reduced = text("reduced_fee", i.Reduced.Yuan())
	}
	all := []element{
		text("out_trade_no", c.OrderNo), text("ssc_scene", i.Scene), text("subject", c.Subject),
		text("notify_url", p.notifyURL(c)), text("return_url", p.returnURL(c)), p.amount("total_amount", c.Amount),
		text("payment_type", payType), text("user_id", i.UserID.Reveal()), text("operator_id", c.Operator.ID),
		text("timeout_express", c.Expires), text("body", c.Memo),
		text("patient_name", c.Patient.Name.Reveal()), text("patient_card_no", i.PatientIDNo.Reveal()),
		text("org_name", p.cfg.OrgName), reduced, text("org_no", p.cfg.OrgNo), text("ssc_ins_type", first(i.InsType, p.cfg.InsType)),
		text("request_content", content), text("city_code", first(i.CityCode, p.cfg.CityCode)), text("ssc_serial_no", i.SerialNo),
		text("ssc_bill_no", i.BillNo), text("cash_fee", i.Cash.Yuan()), text("insurance_fee", i.Insured.Yuan()),
		text("credit_org", i.CreditOrg), text("auth_code", i.AuthCode.Reveal()), text("ec_qrcode", i.ECQRCode.Reveal()),
		text("ssc_eshimin_auth_code", i.EshiminAuthCode.Reveal()), text("pay_scene", i.PayScene),
		text("pay_qr_code", i.PayQRCode.Reveal()), text("card_info", i.CardInfo.Reveal()), text("pay_auth_no", i.PayAuthNo.Reveal()),
	}
	return p.nulls(all)
}

// nulls keeps unset fields where the site wants them as the samples have them.
func (p *Platform) nulls(all []element) []element {
	for i := range all {
		all[i].keep = p.cfg.SendNull
	}
	return all
}

// payAPI maps fields of lc.ssc.trade.pay to the API's names.
func payAPI() map[string]string {
	return map[string]string{
		"out_trade_no": "out_trade_no", "subject": "subject", "notify_url": "notify_url", "return_url": "return_url", "total_amount": "amount_fen",
		"payment_type": "channel", "patient_name": "patient.name", "cash_fee": "insurance.cash_fen", "insurance_fee": "insurance.insurance_fen",
		"reduced_fee": "insurance.reduced_fee_fen",
	}
}

// checkSettled checks an insurance payment as it will be sent.
func (p *Platform) checkSettled(c platforms.Charge) error {
	i := c.Insurance
	if err := checkAll([]rule{
		{"insurance.user_id", "user_id", i.UserID.Reveal(), 0, true},
		{"insurance.ssc_scene", "ssc_scene", i.Scene, 0, true},
		{"patient.name", "patient_name", c.Patient.Name.Reveal(), 0, true},
		{"insurance.patient_card_no", "patient_card_no", i.PatientIDNo.Reveal(), 0, true},
		{"insurance.ssc_ins_type", "ssc_ins_type", first(i.InsType, p.cfg.InsType), maxInsType, true},
		{"insurance.city_code", "city_code", first(i.CityCode, p.cfg.CityCode), 0, true},
		{"insurance.ssc_serial_no", "ssc_serial_no", i.SerialNo, 0, false},
		{"insurance.ssc_bill_no", "ssc_bill_no", i.BillNo, maxBillNo, false},
		{"insurance.credit_org", "credit_org", i.CreditOrg, maxCreditOrg, false},
		{"insurance.auth_code", "auth_code", i.AuthCode.Reveal(), 0, false},
		{"insurance.ec_qrcode", "ec_qrcode", i.ECQRCode.Reveal(), maxECQRCode, false},
		{"insurance.ssc_eshimin_auth_code", "ssc_eshimin_auth_code", i.EshiminAuthCode.Reveal(), maxEshimin, false},
		{"insurance.pay_scene", "pay_scene", i.PayScene, maxPayScene, false},
		{"insurance.pay_qr_code", "pay_qr_code", i.PayQRCode.Reveal(), 0, false},
		{"insurance.card_info", "card_info", i.CardInfo.Reveal(), 0, false},
		{"insurance.pay_auth_no", "pay_auth_no", i.PayAuthNo.Reveal(), 0, false},
	}); err != nil {
		return err
	}
	if i.Scene != sceneRegistration && i.Scene != sceneTreatment {
		return field("insurance.ssc_scene", "ssc_scene is REGISTRATION (挂号) or TREATMENT (诊间)")
	}
	if t := first(i.InsType, p.cfg.InsType); t != "YB" && t != "RS" {
		return field("insurance.ssc_ins_type", "ssc_ins_type is YB (医保) or RS (人社)")
	}
	// A prescription may have lines, and its form is each region's own.
	if s := i.RequestContent.Reveal(); !utf8.ValidString(s) || utf8.RuneCountInString(s) > maxContent {
		return field("insurance.request_content", fmt.Sprintf("request_content is text of at most %d characters; shorten it or give ssc_serial_no", maxContent))
	}
	if err := p.checkSums(c); err != nil {
		return err
	}
	return demanded(payDemands(), p.situation(c), p.sscBiz(c), payAPI())
}

// checkSums holds the total to its parts.
func (p *Platform) checkSums(c platforms.Charge) error {
	i := c.Insurance
	for _, x := range []struct {
		name string
		sum  platforms.Fen
	}{{"insurance.insurance_fen", i.Insured}, {"insurance.cash_fen", i.Cash}, {"insurance.reduced_fee_fen", i.Reduced}} {
		if x.sum < 0 || x.sum > platforms.MaxFen || len(x.sum.Yuan()) > maxReduced {
			return field(x.name, "the sum must be between 0.00 and "+platforms.MaxFen.Yuan()+" yuan")
		}
	}
	sum := i.Insured + i.Cash
	if p.cfg.TotalRule == TotalReduced && i.HasReduced {
		sum += i.Reduced
	}
	if p.cfg.TotalRule != TotalAny && sum != c.Amount {
		return field("amount_fen", fmt.Sprintf("the total is %s yuan and its parts make %s (total_rule: %s); settle it again with HIS", c.Amount.Yuan(), sum.Yuan(), p.cfg.TotalRule))
	}
	return nil
}

// Authorise gives the address of 医保授权 (seed 004 §6.4).
func (p *Platform) Authorise(a platforms.Authorisation) (string, error) {
	if err := checkAll([]rule{
		{"insurance.user_id", "open_id", a.OpenID.Reveal(), 0, true},
		{"insurance.state", "state", a.State, 0, true},
		{"insurance.redirect_uri", "redirect_uri", a.Redirect, maxURL, true},
	}); err != nil {
		return "", err
	}
	if !address(a.Redirect) {
		return "", field("insurance.redirect_uri", "redirect_uri is no URL; write one that is reached from outside")
	}
	q := url.QueryEscape
	mark := "?"
	if strings.Contains(p.cfg.AuthURL, "?") {
		mark = "&"
	}
	return p.cfg.AuthURL + mark + "app_id=" + q(p.cfg.AppID) + "&open_id=" + q(a.OpenID.Reveal()) +
		"&state=" + q(a.State) + "&redirect_uri=" + q(a.Redirect), nil
}

// tokenBiz writes lc.ssc.user.token.
func (p *Platform) tokenBiz(a platforms.InsuranceAsk) []element {
	payType := p.cfg.PaymentTypes[a.Channel]
	if a.Eshimin {
		payType = p.cfg.eshimin
	}
	return p.nulls([]element{
		text("user_id", a.UserID.Reveal()), text("payment_type", payType), text("patient_name", a.PatientName.Reveal()),
		text("patient_card_no", a.PatientIDNo.Reveal()), text("biz_city_code", first(a.CityCode, p.cfg.CityCode)),
		text("auth_code", a.AuthCode.Reveal()), text("ssc_ins_type", first(a.InsType, p.cfg.InsType)),
		text("kinsfolk_card_no", a.KinsfolkIDNo.Reveal()), text("kinsfolk_name", a.KinsfolkName.Reveal()), text("third_open_id", a.ThirdOpenID.Reveal()),
	})
}

func (p *Platform) checkAsk(a platforms.InsuranceAsk) error {
	if err := checkAll([]rule{
		{"insurance.city_code", "biz_city_code", first(a.CityCode, p.cfg.CityCode), maxCity, false},
		{"insurance.ssc_ins_type", "ssc_ins_type", first(a.InsType, p.cfg.InsType), maxInsType, false},
		{"insurance.kinsfolk_card_no", "kinsfolk_card_no", a.KinsfolkIDNo.Reveal(), maxKinsfolk, false},
		{"insurance.kinsfolk_name", "kinsfolk_name", a.KinsfolkName.Reveal(), maxKinsfolk, false},
		{"insurance.third_open_id", "third_open_id", a.ThirdOpenID.Reveal(), maxThird, false},
		{"insurance.user_id", "user_id", a.UserID.Reveal(), 0, true},
		{"insurance.auth_code", "auth_code", a.AuthCode.Reveal(), 0, true},
		{"patient.name", "patient_name", a.PatientName.Reveal(), 0, false},
		{"insurance.patient_card_no", "patient_card_no", a.PatientIDNo.Reveal(), 0, false},
	}); err != nil {
		return err
	}
	s := situation{pay: canonical(a.Channel), region: p.cfg.Region}
	if a.Eshimin {
		s.pay = payEshimin
	}
	if !a.KinsfolkIDNo.Empty() || !a.KinsfolkName.Empty() || !a.ThirdOpenID.Empty() {
		s.when = []occasion{kinsfolk}
	}
	return demanded(tokenDemands(), s, p.tokenBiz(a), map[string]string{
		"payment_type": "channel", "patient_name": "patient.name", "biz_city_code": "insurance.city_code",
	})
}

// InsuranceToken sends lc.ssc.user.token. It charges nothing. A reply that
// nobody signed is an error: a person's insurance would be read from it.
func (p *Platform) InsuranceToken(ctx context.Context, ask platforms.InsuranceAsk) (platforms.InsuranceToken, error) {
	if err := p.checkAsk(ask); err != nil {
		return platforms.InsuranceToken{}, err
	}
	r, err := p.call(ctx, call{method: methodToken, biz: p.tokenBiz(ask), secrets: []platforms.Hidden{
		ask.UserID, ask.AuthCode, ask.PatientName, ask.PatientIDNo, ask.KinsfolkName, ask.KinsfolkIDNo, ask.ThirdOpenID,
	}})
	if err != nil {
		return platforms.InsuranceToken{}, err
	}
	if !r.trusted {
		return platforms.InsuranceToken{}, unusable(fmt.Errorf("%w (%s)", errUnsigned, r.words()))
	}
	var qr, city, card, authNo string
	if err := r.read(map[string]*string{"qr_code": &qr, "city_code": &city, "card_info": &card, "pay_auth_no": &authNo}); err != nil {
		return platforms.InsuranceToken{}, err
	}
	t := platforms.InsuranceToken{Code: r.number(""), Message: r.words()}
	if !p.worked(r) || r.subCode != "" {
		return t, nil
	}
	if qr == "" && authNo == "" {
		return t, unusable(errors.New("it has neither qr_code nor pay_auth_no"))
	}
	if len(qr) > maxShown {
		return t, unusable(errors.New("its qr_code is too long"))
	}
	t.QRCode, t.CityCode, t.CardInfo, t.PayAuthNo = platforms.Hide(qr), city, platforms.Hide(card), platforms.Hide(authNo)
	return t, nil
}
