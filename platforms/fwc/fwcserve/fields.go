package fwcserve

import (
	"payagent/platforms"
	"payagent/platforms/fwc/internal/message"
)

// Fields lists every field of seed 004 §7: where what we are asked goes to, and
// where what we answer comes from. Field is the path below the inner root
// <xml>. Here the platform asks: what is read is the request.
func Fields() []platforms.FieldRow {
	var rows []platforms.FieldRow
	add := func(op, direction string, list ...[3]string) {
		for _, r := range list {
			rows = append(rows, platforms.FieldRow{Message: op, Direction: direction, Field: r[0], Source: r[1], Note: r[2]})
		}
	}
	frame := func(more ...[3]string) [][3]string {
		return append(more, [3]string{"body", "ignored", "empty"}, [3]string{"sign", "ignored", "empty in the samples: the XML family has no signature"})
	}
	said := func(more ...[3]string) [][3]string {
		return append([][3]string{
			{"body/ResponseResult/IsSuccess", "derived", "1 the books were read to their end; 0 the request cannot be taken; 2 trouble inside; 3 the token"},
			{"body/ResponseResult/Message", "derived", "names the field that is wrong"},
			{"body/ResponseResult/SubCode", "derived", "empty"},
			{"body/ResponseResult/SubMessage", "derived", "empty"},
		}, append(more, [3]string{"sign", "derived", "empty"})...)
	}
	add(message.OpTradeList, platforms.FieldRead, frame(
		[3]string{"head/AccessToken", "config books.require_token", "not in the document; compared with books.token_file where it is demanded"},
		[3]string{"head/BeginDate", "derived", "yyyy-MM-dd HH:mm:ss in UTC+8 and three other forms; selects by the time of booking"},
		[3]string{"head/EndDate", "config books.end_inclusive", "the second itself is within the span"},
		[3]string{"head/PayType", "derived", "Y in the table, missing in the example: empty is all; Alipay, WeiXin, unionpay, dc, elecny in any case"})...)
	const row = "body/GetHospitalTradeList/"
	add(message.OpTradeList, platforms.FieldSent, said(
		[3]string{"head", "derived", "empty, as in the example"},
		[3]string{row + "CardNo", "api medical_card", "of the booking; else patient.card_no or patient.admission_no while it can be read"},
		[3]string{row + "PatientName", "api patient.name", "until reconciliation's horizon is over"},
		[3]string{row + "CostType", "api cost_type", "of the booking"},
		[3]string{row + "OutTradeStatus", "derived", "2 paid, 3 given back: a row of its own"},
		[3]string{row + "TradeNo", "api trade_no", ""},
		[3]string{row + "Amount", "api amount_fen", "yuan with two decimals; the sign of money given back by config books.refund_sign"},
		[3]string{row + "OutTradeNo", "api out_trade_no", ""},
		[3]string{row + "TradeOptDateTime", "derived", "when HIS booked it"})...)
	add(message.OpHisQuery, platforms.FieldRead, frame(
		[3]string{"head/AccessToken", "config books.token_file", "compared; another one is IsSuccess 3"},
		[3]string{"head/OutTradeNo", "api out_trade_no", ""})...)
	const root = "body/HisTradeStatus/"
	add(message.OpHisQuery, platforms.FieldSent, said(
		[3]string{"head/AccessToken", "derived", "the echo"},
		[3]string{"head/OutTradeNo", "derived", "the echo"},
		[3]string{root + "TradeNo", "api trade_no", "the element is called as config books.root_element says"},
		[3]string{root + "OutTradeNo", "api out_trade_no", ""},
		[3]string{root + "MedicalCard", "api medical_card", "of the booking, while it can be read"},
		[3]string{root + "TradeList/HisFlowID", "api his_flow_id", "unique over payments and refunds"},
		[3]string{root + "TradeList/TotalAmount", "api amount_fen", "yuan with two decimals, negative for money given back"},
		[3]string{root + "TradeList/DateTime", "derived", "when HIS booked it"},
		[3]string{root + "TradeList/PayType", "config books.pay_type_names", "weixin or 微信"})...)
	return rows
}
