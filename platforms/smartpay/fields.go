package smartpay

import (
	"payagent/platforms"
	"payagent/platforms/smartpay/internal/message"
)

// Fields lists every field of every message of seed 000, of what public
// servers add to it, and of the two transports that wrap it: where what we
// send comes from, and where what we read goes to.
func Fields() []platforms.FieldRow {
	var rows []platforms.FieldRow
	rows = append(rows, chargeFields()...)
	rows = append(rows, queryFields()...)
	rows = append(rows, revokeFields()...)
	return append(rows, transportFields()...)
}

const (
	ignored    = "ignored"
	sourceCode = "api platform_code" // the answer's own code
)

func chargeFields() []platforms.FieldRow {
	return table(message.Charge, platforms.FieldSent, [][3]string{
		{"TransactionCode", "config transaction_codes.sweep_code_pay", "the seed never gives the value; required, no default"},
		{"Data", "derived", "holds the fields below"},
		{"Data/HisOrderId", "api out_trade_no", "given by HIS or made by the agent; one per attempt"},
		{"Data/TotalFee", "api amount_fen", "whole fen; the seed's description says 支付订单"},
		{"Data/Subject", "api subject", ""},
		{"Data/OrderMemo", "api memo", "optional in the seed, demanded by the known server: repeats subject"},
		{"Data/CardNo", "api patient.card_no", ""},
		{"Data/CardType", "api patient.card_type", "mapped by config card_types"},
		{"Data/OperatorId", "api operator.id", "at a kiosk from configuration"},
		{"Data/OperatorName", "api operator.name", "at a kiosk from configuration"},
		{"Data/ServiceId", "api order_type", "mapped by config order_types.service_id"},
		{"Data/EqptType", "config eqpt_types", "by till kind; 5 扫码枪 unless listed, 2 MINI机 for kiosks; always sent"},
		{"Data/MerchCode", "config merchants.merch_code", "chosen by order type, department or campus, frozen into the order; sent as text"},
		{"Data/AuthCode", "api auth_code", "or scanned at the till; the seed's sample calls it 订单标题"},
		{"Data/DeviceInfo", "api till", "the till's device number in configuration; the seed's sample calls it 订单标题"},
	}, platforms.FieldRead, append(head(), [][3]string{
		{"Data/OrderId", "derived", "the platform's own key; kept with the order for query and Revoke"},
		{"Data/TotalFee", "derived", "whole fen; compared with amount_fen, anything else is an alarm"},
		{"Data/HisOrderId", "derived", "in the sample, not in the table; compared with out_trade_no where carried"},
		{"Data/PayTime", "api paid_at", "format open in the seed; our own clock where it is missing or unreadable"},
		{"Data/TransactionId", "api trade_no", ""},
		{"Data/MerchCode", "derived", "not in the seed; compared with the merchant where carried"},
		{"Data/OrderState", ignored, "belongs to the query"},
	}...))
}

func queryFields() []platforms.FieldRow {
	return table(message.Query, platforms.FieldSent, [][3]string{
		{"TransactionCode", "config transaction_codes.query_order_state", "the seed never gives the value; required, no default"},
		{"Data", "derived", "holds the fields below"},
		{"Data/OrderId", "derived", "by config query_key: the OrderId of the pay reply, or out_trade_no; the seed calls it His订单号/处方号"},
		{"Data/MerchCode", "config merchants.merch_code", "Integer in this table, String in the others: sent as text"},
	}, platforms.FieldRead, append(head(), [][3]string{
		{"Data/OrderState", "api state", "by the table of this package; unlisted or missing words mean unknown"},
		{"Data/OrderId", "derived", "not in the seed; compared where carried"},
		{"Data/TotalFee", "derived", "not in the seed; compared where carried"},
		{"Data/HisOrderId", "derived", "not in the seed; compared where carried"},
		{"Data/PayTime", "api paid_at", "not in the seed"},
		{"Data/TransactionId", "api trade_no", "not in the seed"},
		{"Data/MerchCode", "derived", "not in the seed; compared where carried"},
	}...))
}

func revokeFields() []platforms.FieldRow {
	return table(message.Revoke, platforms.FieldSent, [][3]string{
		{"TransactionCode", "config transaction_codes.revoke", "the seed never gives the value; required, no default"},
		{"Data", "derived", "holds the fields below"},
		{"Data/OrderId", "derived", "as in QueryOrderState; the seed's sample closes it with HisOrderId"},
		{"Data/OperatorId", "api operator.id", "of the cancel; an automatic one uses the order's"},
		{"Data/OperatorName", "api operator.name", "as OperatorId"},
		{"Data/MerchCode", "config merchants.merch_code", ""},
	}, platforms.FieldRead, append(head(), [][3]string{
		{"Data/OrderId", "derived", "not in the seed; compared where carried"},
		{"Data/HisOrderId", "derived", "not in the seed; compared where carried"},
		{"Data/TransactionId", "api trade_no", "not in the seed"},
		{"Data/TotalFee", ignored, "not in the seed; the sum given back is not settled by it"},
		{"Data/PayTime", ignored, "not in the seed"},
		{"Data/MerchCode", ignored, "not in the seed"},
		{"Data/OrderState", ignored, "not in the seed; a query settles the state"},
	}...))
}

func transportFields() []platforms.FieldRow {
	soap := table(string(WSGWSOAP), platforms.FieldSent, [][3]string{
		{"authInfo", "derived", "a JSON object of the four fields below"},
		{"authInfo/ClientId", "config client_id", ""},
		{"authInfo/ClientVersion", "config client_version", "default 1.0"},
		{"authInfo/Sign", "derived", "empty, as the public clients send it"},
		{"authInfo/SessionKey", "derived", "empty, as the public clients send it"},
		{"sequenceNo", "derived", "yyyyMMddHHmmssSSS, UTC+8"},
		{"api", "derived", "smartPay.SmartPay. and the method"},
		{"param", "derived", "the Req document"},
		{"paramType", "derived", "1: XML"},
		{"outType", "derived", "1: XML"},
		{"v", "derived", "1.0"},
	}, platforms.FieldRead, [][3]string{{"out", "derived", "the Resp document"}})
	form := table(string(FormGateway), platforms.FieldSent, [][3]string{
		{"token", "config merchants.token_file", "an HTTP header, read at every call"},
		{"param", "derived", "the Req document"},
		{"paramType", "derived", "1: XML"},
		{"outType", "derived", "1: XML"},
	}, platforms.FieldRead, [][3]string{
		{"code", sourceCode, "of the gateway; 0 means that result holds a Resp"},
		{"msg", "api platform_message", "of the gateway, with a code other than 0"},
		{"result", "derived", "the Resp document"},
	})
	return append(soap, form...)
}

// head lists what every Resp begins with.
func head() [][3]string {
	return [][3]string{
		{"TransactionCode", ignored, "repeats the request's or is empty; proves nothing"},
		{"RespCode", sourceCode, "judged by the tables of this package"},
		{"RespMessage", "api platform_message", "kept and shown with the code; at most 256 characters"},
		{"Data", "derived", "holds the fields below; may be absent"},
	}
}

func table(message, dir1 string, one [][3]string, dir2 string, two [][3]string) []platforms.FieldRow {
	var rows []platforms.FieldRow
	for _, r := range one {
		rows = append(rows, platforms.FieldRow{Message: message, Direction: dir1, Field: r[0], Source: r[1], Note: r[2]})
	}
	for _, r := range two {
		rows = append(rows, platforms.FieldRow{Message: message, Direction: dir2, Field: r[0], Source: r[1], Note: r[2]})
	}
	return rows
}
