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
		{"HisOrderId", c.OrderNo, "out_trade_no"},
		{"TotalFee", wireFen(c.Amount), "amount_fen"},
		{"Subject", c.Subject, "subject"},
		{"OrderMemo", memo, "memo"},
		{"CardNo", c.Patient.CardNo.Reveal(), "patient.card_no"},
		{"CardType", p.cfg.CardTypes[c.Patient.CardType], "patient.card_type"},
		{"OperatorId", c.Operator.ID, "operator.id"},
		{"OperatorName", c.Operator.Name, "operator.name"},
		{"ServiceId", p.cfg.ServiceIDs[c.OrderType], "order_type"},
		{"EqptType", eqpt, "till"},
		{"MerchCode", c.Merchant.Code, "merchant"},
		{"AuthCode", c.Code.Reveal(), "auth_code"},
		{"DeviceInfo", c.Terminal, "till"},
	}
}

// queryElements lists the Data of QueryOrderState (000:276-281).
func queryElements(key, merchCode string) []element {
	return []element{
		{"OrderId", key, "out_trade_no"},
		{"MerchCode", merchCode, "merchant"},
	}
}

// revokeElements lists the Data of Revoke. The seed's sample (000:372) closes
// OrderId with HisOrderId; its table and the known server say OrderId.
func revokeElements(key string, ref platforms.Ref) []element {
	return []element{
		{"OrderId", key, "out_trade_no"},
		{"OperatorId", ref.Operator.ID, "operator.id"},
		{"OperatorName", ref.Operator.Name, "operator.name"},
		{"MerchCode", ref.Merchant.Code, "merchant"},
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
