package fwc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"payagent/platforms"
	"payagent/platforms/fwc/internal/message"
)

// element is one child of head, in the order of the seed's samples.
type element struct {
	_           [0]func() // never compared: the program is smaller by the code for it
	name, value string
	optional    bool // marked N in the seed: OmitEmpty leaves it out when empty
}

// tokenElement is where call puts the AccessToken.
const tokenElement = "AccessToken"

func (p *Platform) payHead(c platforms.Charge) []element {
	head := []element{
		{name: "OutTradeNo", value: c.OrderNo},
		{name: "AuthCode", value: c.Code.Reveal()},
		{name: "TotalAmount", value: p.money(c.Amount)},
		{name: "Caption", value: c.Subject},
		{name: "Descriptive", value: c.Memo, optional: true},
		{name: "OperatorID", value: c.Operator.ID, optional: true},
		{name: "PatientName", value: c.Patient.Name.Reveal()},
		{name: "InhospitalNo", value: p.admissionNo(c.Patient).Reveal()},
		{name: "OrderType", value: p.cfg.OrderTypes[c.OrderType]},
		{name: "TerminalID", value: c.Terminal, optional: true},
		{name: "PayType", value: p.cfg.BarcodePayTypes[c.Channel], optional: true},
	}
	if p.cfg.Cnt != "" {
		head = append(head, element{name: "Cnt", value: p.cfg.Cnt})
	}
	return head
}

func (p *Platform) presentHead(c platforms.Charge) []element {
	head := []element{
		{name: "OutTradeNo", value: c.OrderNo},
		{name: "TotalAmount", value: p.money(c.Amount)},
		{name: "Caption", value: c.Subject},
		{name: "Descriptive", value: c.Memo, optional: true},
		{name: "TradeDetail", value: tradeDetail(c.Details), optional: true},
		{name: "OrderType", value: p.cfg.OrderTypes[c.OrderType]},
		{name: "TimeoutExpress", value: c.Expires, optional: true},
	}
	// §5.5: 聚合支付 leaves PayType out, the wallet is learned by the query.
	if !c.Aggregated {
		head = append(head, element{name: "PayType", value: p.cfg.QRPayTypes[c.Channel], optional: true})
	}
	return append(head,
		element{name: "PatientName", value: c.Patient.Name.Reveal()},
		element{name: "Tel", value: c.Patient.Phone.Reveal(), optional: true},
		element{name: "InhospitalNo", value: p.admissionNo(c.Patient).Reveal()})
}

func (p *Platform) refundHead(r platforms.Refund) []element {
	return []element{
		{name: "TradeNo", value: r.TradeNo},
		// §5.4 states yuan for RefundAmount, so amount_unit does not touch it.
		{name: "RefundAmount", value: r.Sum.Yuan()},
		{name: "OutRequestNo", value: r.RequestNo},
		{name: "RefundmentReason", value: r.Reason, optional: true},
		{name: "HospitalID", value: p.cfg.HospitalID, optional: true},
		{name: "TerminalID", value: r.Terminal, optional: true},
		{name: "OutTradeNo", value: r.OrderNo},
		{name: "TotalAmount", value: p.money(r.Amount)},
		{name: "PayType", value: p.cfg.BarcodePayTypes[r.Channel], optional: true},
	}
}

func numberHead(orderNo string) []element {
	return []element{{name: "OutTradeNo", value: orderNo}}
}

// money writes a TotalAmount in the configured unit.
func (p *Platform) money(f platforms.Fen) string {
	if p.cfg.AmountUnit == UnitFen {
		return fmt.Sprintf("%d", int64(f))
	}
	return f.Yuan()
}

// parseMoney reads what money writes.
func (p *Platform) parseMoney(s string) (platforms.Fen, error) {
	if p.cfg.AmountUnit == UnitFen {
		return platforms.ParseFen(s)
	}
	return platforms.ParseYuan(s)
}

// goods is one line of TradeDetail, its members spelled and ordered as in §5.5.
type goods struct {
	_             [0]func() // never compared: no code is made for it
	GoodsID       string    `json:"goods_id"`
	GoodsName     string    `json:"goods_name"`
	GoodsCategory string    `json:"goods_category"`
	Price         string    `json:"price"` // yuan
	Quantity      string    `json:"quantity"`
	Body          string    `json:"body"`
}

// tradeDetail writes the JSON text of §5.5; no details give the empty text.
func tradeDetail(all []platforms.Detail) string {
	if len(all) == 0 {
		return ""
	}
	lines := make([]goods, len(all))
	for i, d := range all {
		lines[i] = goods{GoodsID: d.GoodsID, GoodsName: d.GoodsName, GoodsCategory: d.GoodsCategory, Price: d.PriceFen.Yuan(), Quantity: d.Quantity, Body: d.Body}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // the XML around it escapes once already
	if err := enc.Encode(lines); err != nil {
		return "" // strings alone cannot fail
	}
	return strings.TrimSpace(b.String())
}

// document writes the inner document, token first.
func (p *Platform) document(token platforms.Hidden, head []element) (string, error) {
	fields := message.Fields{{Name: tokenElement, Value: token.Reveal()}}
	for _, e := range head {
		if e.value == "" && e.optional && p.cfg.OmitEmpty {
			continue
		}
		fields = append(fields, message.Field{Name: e.name, Value: e.value})
	}
	return message.WriteRequest(fields)
}
