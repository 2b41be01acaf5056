package door

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"payagent/agent"
	"payagent/platforms"
)

// maxPrivate bounds what is sealed with an order (patient, subject, memo,
// details), in bytes of JSON, so that the order's first record stays within
// what the store takes.
const maxPrivate = 24 << 10

// readBody reads a POST's object; an empty body is an empty object.
func readBody(r *http.Request) (map[string]any, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if len(body) == 0 {
		return map[string]any{}, nil
	}
	return parseObject(body)
}

// idempotencyKey takes the header that POSTs of orders and refunds must carry.
func idempotencyKey(r *http.Request) (platforms.Hidden, error) {
	list := r.Header.Values("Idempotency-Key")
	if len(list) == 0 || len(list) == 1 && list[0] == "" {
		return platforms.Hidden{}, errNoKey
	}
	key := list[0]
	odd := func(c rune) bool { return c < 0x20 || c > 0x7e }
	if len(list) > 1 || len(key) > 255 || strings.ContainsFunc(key, odd) {
		return platforms.Hidden{}, &platforms.FieldError{Field: "Idempotency-Key", Reason: "must be one header of 1 to 255 printable ASCII characters"}
	}
	return platforms.Hide(key), nil
}

var errNoKey = errors.New("the request lacks an Idempotency-Key")

// orderRequest reads the body of POST /v1/orders.
func orderRequest(m map[string]any) (agent.Request, error) {
	f := newFields(m)
	r := agent.Request{
		Body:        canonical("POST /v1/orders", m),
		OrderNo:     f.text("out_trade_no", 64),
		Bill:        f.text("bill", 96),
		Amount:      f.fen("amount_fen"),
		Mode:        platforms.Mode(f.text("mode", 32)),
		OrderType:   f.text("order_type", 64),
		Till:        f.text("till", 64),
		Channel:     platforms.Channel(f.text("channel", 32)),
		Aggregated:  f.flag("aggregated"),
		Subject:     f.text("subject", 512),
		Memo:        f.text("memo", 1024),
		AuthCode:    f.secret("auth_code", 128),
		Expires:     f.text("expires", 16),
		WhenOffline: f.text("when_offline", 16),
		Operator:    operator(f),
		Insurance:   insuranceRequest(f),
		Web: platforms.Web{ReturnURL: f.text("return_url", 512), NotifyURL: f.text("notify_url", 512), DisableChannels: f.text("disable_pay_channels", 128),
			BusinessParams: f.objectText("business_params"), AgreementParams: f.objectText("agreement_sign_params")},
	}
	p := f.object("patient")
	r.Patient = platforms.Patient{Name: p.secret("name", 128), CardNo: p.secret("card_no", 64), CardType: p.text("card_type", 32),
		AdmissionNo: p.secret("admission_no", 64), Phone: p.secret("phone", 32)}
	p.rest()
	for _, d := range f.list("details", 200) {
		r.Details = append(r.Details, platforms.Detail{GoodsID: d.text("goods_id", 64), GoodsName: d.text("goods_name", 256),
			GoodsCategory: d.text("goods_category", 64), PriceFen: d.fen("price_fen"), Quantity: d.text("quantity", 32), Body: d.text("body", 512)})
		d.rest()
	}
	if s := f.text("valid_for", 16); s != "" {
		d, err := time.ParseDuration(s)
		if err != nil || d < time.Second || d > 24*time.Hour {
			f.wrong("valid_for", `must be a duration between 1s and 24h, e.g. "10m"`)
		}
		r.ValidFor = d
	}
	if size := privateSize(r); size > maxPrivate {
		f.wrong("details", "are too long: with patient, subject and memo at most %d bytes are kept", maxPrivate)
	}
	f.rest()
	return r, *f.fault
}

// privateSize is about how many bytes of JSON the sealed part takes; texts
// that need escaping may take six times their length at worst.
func privateSize(r agent.Request) int {
	long := func(texts ...string) int {
		n := 0
		for _, s := range texts {
			n += 8 + len(s)
			for _, c := range s {
				if c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' || c == 0x2028 || c == 0x2029 {
					n += 5
				}
			}
		}
		return n
	}
	n := long(r.Web.ReturnURL, r.Web.NotifyURL, r.Web.DisableChannels, r.Web.BusinessParams, r.Web.AgreementParams)
	n += long(r.Subject, r.Memo, r.Patient.Name.Reveal(), r.Patient.CardNo.Reveal(), r.Patient.CardType, r.Patient.AdmissionNo.Reveal(), r.Patient.Phone.Reveal())
	for _, d := range r.Details {
		n += 100 + long(d.GoodsID, d.GoodsName, d.GoodsCategory, d.Quantity, d.Body)
	}
	return n
}

func operator(f *fields) platforms.Operator {
	o := f.object("operator")
	op := platforms.Operator{ID: o.text("id", 64), Name: o.text("name", 64)}
	o.rest()
	if op.ID == "" && op.Name != "" {
		o.wrong("id", "is missing")
	}
	return op
}

// actRequest reads the body of check, cancel, detach and confirm.
func actRequest(m map[string]any) (platforms.Operator, string, error) {
	f := newFields(m)
	op, reason := operator(f), f.text("reason", 256)
	f.rest()
	return op, reason, *f.fault
}

// refundRequest reads the body of POST …/refunds. The order is part of what is
// hashed: a key used for one order's refund is not good for another's.
func refundRequest(order string, m map[string]any) (agent.RefundRequest, error) {
	f := newFields(m)
	r := agent.RefundRequest{
		Body:     canonical("POST /v1/orders/"+order+"/refunds", m),
		Request:  f.text("refund_no", 64),
		Sum:      f.fen("amount_fen"),
		Operator: operator(f),
		Reason:   f.text("reason", 256),
	}
	f.rest()
	return r, *f.fault
}
