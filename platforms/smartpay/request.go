package smartpay

import (
	"strings"

	"payagent/platforms"
	"payagent/platforms/internal/strictxml"
	"payagent/platforms/smartpay/internal/message"
)

// element is one child of Data. Field is the API's name of what the value was
// taken from, for refusals.
type element struct {
	_                  [0]func() // never compared: no code is made for it
	name, value, field string
}

// chargeElements lists the Data of SweepCodePay in the order of the seed's
// sample (000:59-73).
func (p *Platform) chargeElements(c platforms.Charge) []element {
	memo := c.Memo
	if blank(memo) {
		// Optional in the seed, demanded by the known server.
		memo = c.Subject
	}
	eqpt, listed := p.cfg.EqptTypes[c.TillKind]
	if !listed {
		eqpt = otherEqptType
	}
	return []element{
		{name: "HisOrderId", value: c.OrderNo, field: "out_trade_no"},
		{name: "TotalFee", value: wireFen(c.Amount), field: "amount_fen"},
		{name: "Subject", value: c.Subject, field: "subject"},
		{name: "OrderMemo", value: memo, field: "memo"},
		{name: "CardNo", value: c.Patient.CardNo.Reveal(), field: "patient.card_no"},
		{name: "CardType", value: p.cfg.CardTypes[c.Patient.CardType], field: "patient.card_type"},
		{name: "OperatorId", value: c.Operator.ID, field: "operator.id"},
		{name: "OperatorName", value: c.Operator.Name, field: "operator.name"},
		{name: "ServiceId", value: p.cfg.ServiceIDs[c.OrderType], field: "order_type"},
		{name: "EqptType", value: eqpt, field: "till"},
		{name: "MerchCode", value: c.Merchant.Code, field: "merchant"},
		{name: "AuthCode", value: c.Code.Reveal(), field: "auth_code"},
		{name: "DeviceInfo", value: c.Terminal, field: "till"},
	}
}

// queryElements lists the Data of QueryOrderState (000:276-281).
func queryElements(key, merchCode string) []element {
	return []element{
		{name: "OrderId", value: key, field: "out_trade_no"},
		{name: "MerchCode", value: merchCode, field: "merchant"},
	}
}

// revokeElements lists the Data of Revoke. The seed's sample (000:372) closes
// OrderId with HisOrderId; its table and the known server say OrderId.
func revokeElements(key string, ref platforms.Ref) []element {
	return []element{
		{name: "OrderId", value: key, field: "out_trade_no"},
		{name: "OperatorId", value: ref.Operator.ID, field: "operator.id"},
		{name: "OperatorName", value: ref.Operator.Name, field: "operator.name"},
		{name: "MerchCode", value: ref.Merchant.Code, field: "merchant"},
	}
}

// document writes a Req. Every element listed in the seed as 必须 and every
// other that we send must have a value; the error is a *FieldError.
func (p *Platform) document(transactionCode string, data []element) (string, error) {
	q := message.Request{TransactionCode: transactionCode}
	for _, e := range data {
		if blank(e.value) {
			return "", &platforms.FieldError{Field: e.field, Reason: "SmartPay needs " + e.name + "; give a value"}
		}
		text, err := strictxml.EscapeChecked(e.value)
		if err == nil && p.cfg.Charset == "gbk" {
			_, err = strictxml.ToGB(text)
		}
		if err != nil {
			return "", &platforms.FieldError{Field: e.field, Reason: "contains a character that SmartPay's XML cannot carry; remove it"}
		}
		q.Data = append(q.Data, message.Field{Name: e.name, Value: e.value})
	}
	return q.XML(), nil
}

func blank(s string) bool { return strings.TrimSpace(s) == "" }
