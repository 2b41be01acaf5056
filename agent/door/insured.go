package door

import (
	"context"
	"net/http"

	"payagent/agent"
	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/agent/words"
	"payagent/platforms"
)

// insuredView is where a payment by medical insurance stands. What names a
// person stands in the answers to the order's own caller only.
type insuredView struct {
	_            [0]func()      // never compared: no code is made for it
	Step         order.Stop     `json:"step"`
	Failed       int            `json:"failed_authorisations"`
	Note         *aside         `json:"note,omitempty"` // why the patient has to authorise again
	PlatformCode string         `json:"platform_code,omitempty"`
	PlatformText string         `json:"platform_message,omitempty"`
	InsuredFen   *platforms.Fen `json:"insurance_fen,omitempty"` // as HIS settled
	CashFen      *platforms.Fen `json:"cash_fen,omitempty"`
	ReducedFen   *platforms.Fen `json:"reduced_fee_fen,omitempty"`

	AuthoriseURL string `json:"authorise_url,omitempty"`
	PayAuthNo    string `json:"pay_auth_no,omitempty"`
	CardInfo     string `json:"card_info,omitempty"`
	QRCode       string `json:"qr_code,omitempty"`
	CityCode     string `json:"city_code,omitempty"`
}

func (d *door) insured(o *order.Order) *insuredView {
	i := o.Insured
	if i == nil {
		return nil
	}
	v := &insuredView{Step: i.Stop, Failed: i.Failed, PlatformCode: i.Code, PlatformText: i.Message}
	if i.Failed > 0 && i.Stop == order.StopAuthorise {
		v.Note = d.aside("authorise_again")
	}
	if s := i.Split; s != nil {
		v.InsuredFen, v.CashFen, v.ReducedFen = &s.Insured, &s.Cash, s.Reduced
	}
	return v
}

// secret adds what only the order's own caller may read, while it is needed.
func (v *insuredView) secret(o *order.Order) {
	pass := o.Private.Pass
	switch o.Insured.Stop {
	case order.StopAuthorise:
		v.AuthoriseURL = pass.Address.Reveal()
	case order.StopSettle:
		v.PayAuthNo, v.CardInfo, v.QRCode, v.CityCode = pass.Token.PayAuthNo.Reveal(), pass.Token.CardInfo.Reveal(), pass.Token.QRCode.Reveal(), pass.Token.CityCode
	}
}

// aside is something worth knowing of an order that decides nothing.
type aside struct {
	Code string     `json:"code"`
	Say  words.Text `json:"say"`
}

func (d *door) aside(code string) *aside {
	e, _ := d.words.Find(words.Reason, code)
	return &aside{Code: code, Say: e.Cashier}
}

// own is the view for the order's own caller: with what nobody else may read,
// and no event carries.
func (d *door) own(c caller, o *order.Order) *orderView {
	v := d.order(o)
	if !c.collects(o.Till) || o.State().Final() {
		return v
	}
	if v.GotoURL != "" {
		v.PayString = o.Private.PayString.Reveal()
	}
	if v.Insurance != nil && o.State() == order.Waiting {
		v.Insurance.secret(o)
	}
	return v
}

// insuranceRequest reads the member insurance of POST /v1/orders.
func insuranceRequest(f *fields) agent.InsuranceRequest {
	i := f.object("insurance")
	r := agent.InsuranceRequest{UserID: i.secret("user_id", 128), PatientIDNo: i.secret("patient_card_no", 64), Scene: i.text("ssc_scene", 32),
		InsType: i.text("ssc_ins_type", 8), CityCode: i.text("city_code", 16), Redirect: i.text("redirect_uri", 512),
		KinsfolkName: i.secret("kinsfolk_name", 400), KinsfolkIDNo: i.secret("kinsfolk_card_no", 400), ThirdOpenID: i.secret("third_open_id", 128),
		CreditOrg: i.text("credit_org", 64), AuthCode: i.secret("auth_code", 512), ECQRCode: i.secret("ec_qrcode", 512),
		EshiminAuthCode: i.secret("ssc_eshimin_auth_code", 512), PayScene: i.text("pay_scene", 64)}
	i.rest()
	return r
}

// authorise is POST /v1/orders/{id}/insurance/authorisation: HIS took in what
// the payer's browser brought back.
func (d *door) authorise(w http.ResponseWriter, r *http.Request, c caller) {
	var back agent.Authorised
	d.told(w, r, c, func(f *fields) {
		back = agent.Authorised{State: f.secret("state", 1024), AuthCode: f.secret("auth_code", 1024)}
	}, func(ctx context.Context, no string) (counter.Reply, error) { return d.agent.Authorised(ctx, no, back) })
}

// settle is POST /v1/orders/{id}/insurance/settlement: HIS settled with the
// insurance and tells the sums.
func (d *door) settle(w http.ResponseWriter, r *http.Request, c caller) {
	var s agent.Settlement
	d.told(w, r, c, func(f *fields) {
		s = agent.Settlement{Total: f.fen("total_fen"), Insured: f.fen("insurance_fen"), Cash: f.fen("cash_fen"), Reduced: f.fen("reduced_fee_fen"),
			BillNo: f.text("ssc_bill_no", 64), SerialNo: f.text("ssc_serial_no", 256), RequestContent: platforms.Hide(f.lines("request_content", 16<<10))}
		_, s.HasReduced = f.m["reduced_fee_fen"]
	}, func(ctx context.Context, no string) (counter.Reply, error) { return d.agent.Settle(ctx, no, s) })
}

// told takes in what HIS tells of an order that it collects, and hands it on.
func (d *door) told(w http.ResponseWriter, r *http.Request, c caller, read func(*fields), hand func(ctx context.Context, no string) (counter.Reply, error)) {
	m, err := readBody(r)
	if err != nil {
		d.wrong(w, c, err, fault{})
		return
	}
	f := newFields(m)
	read(f)
	f.rest()
	if err := *f.fault; err != nil {
		d.wrong(w, c, err, fault{})
		return
	}
	o := d.lookUp(w, r, c, c.collects)
	if o == nil {
		return
	}
	ctx, stop := asking(r)
	defer stop()
	reply, err := hand(ctx, o.No)
	if err != nil {
		d.wrong(w, c, err, fault{order: o})
		return
	}
	d.acted(w, c, reply, o)
}
