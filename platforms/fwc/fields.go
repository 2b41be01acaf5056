package fwc

import (
	"payagent/platforms"
	"payagent/platforms/fwc/internal/message"
)

// Fields lists every field of every message of seed 004 §5, and of the ways
// that carry them: where what we send comes from, and where what we read goes
// to. Field is the path below the inner root <xml>.
func Fields() []platforms.FieldRow {
	var rows []platforms.FieldRow
	rows = append(rows, payFields()...)
	rows = append(rows, queryFields()...)
	rows = append(rows, cancelFields()...)
	rows = append(rows, refundFields()...)
	rows = append(rows, presentFields()...)
	return append(rows, wayFields()...)
}

// row is field, source, note.
type row [3]string

const (
	derived = "derived"
	ignored = "ignored"
)

func table(message, direction string, rows ...row) []platforms.FieldRow {
	out := make([]platforms.FieldRow, len(rows))
	for i, r := range rows {
		out[i] = platforms.FieldRow{Message: message, Direction: direction, Field: r[0], Source: r[1], Note: r[2]}
	}
	return out
}

// frame puts the envelope of a request around the rows of its head.
func frame(rows ...row) []row {
	return append(append([]row{
		{"head", derived, "holds the parameters, in the order of the seed's sample"},
		{"head/AccessToken", "config merchants.token_file", "of the order's merchant profile; read at every call, so a new one needs no restart"},
		{"head/OutTradeNo", "api out_trade_no", "given by HIS or made by the agent; 1 to 32 letters and digits"},
	}, rows...),
		row{"body", derived, "empty in every request"},
		row{"sign", derived, "empty: this family is not signed"})
}

// result puts the envelope of a reply around the rows of its result.
func result(name string, rows ...row) []row {
	all := []row{
		{"head", derived, "the platform's echo of the request; may be missing"},
		{"head/AccessToken", ignored, "the echo of a secret; dropped unread"},
		{"head/OutTradeNo", derived, "compared with out_trade_no where carried"},
		{"body", derived, "holds what follows"},
		{"body/ResponseResult", derived, "mandatory; without it nothing is concluded"},
		{"body/ResponseResult/IsSuccess", derived, "0 to 3 by the tables of this package; also the code where there is no other"},
		{"body/ResponseResult/Message", "api platform_message", "where SubMessage is empty; secrets are cut out"},
		{"body/ResponseResult/SubCode", "api platform_code", "undocumented values; counts only where it is a word of TradeStatus or on a configured list"},
		{"body/ResponseResult/SubMessage", "api platform_message", "in the sample and in the table of §5.5 only; secrets are cut out"},
		{"body/" + name, derived, "may be missing where IsSuccess is not 1"},
		{"sign", ignored, "empty in every sample; nothing could be verified"},
	}
	for _, r := range rows {
		if len(r[0]) < 5 || r[0][:5] != "head/" {
			r[0] = "body/" + name + "/" + r[0]
		}
		all = append(all, r)
	}
	return all
}

// Rows that several messages share.

func comparedNo() row {
	return row{"OutTradeNo", derived, "compared with out_trade_no where carried"}
}

func readTradeNo() row {
	return row{"TradeNo", "api trade_no", "of the wallet; a refund needs it"}
}

func readPaidAt() row {
	return row{"PaymentDateTime", "api paid_at", "read as 24 h, UTC+8, in four layouts; not carried where unreadable"}
}

func readPayType() row {
	return row{"PayType", "api channel", "in the table, not in the sample; any casing"}
}

func readAmount() row {
	return row{"TotalAmount", derived, "compared with amount_fen; unreadable text makes the reply unusable"}
}

func echoAmount() row {
	return row{"head/TotalAmount", derived, "the echo; compared with amount_fen where it is an amount"}
}

const admissionNote = "or patient.card_no with config inhospital_fallback: card_no"

// dropped marks echoed fields that are not kept.
func dropped(names ...string) []row {
	out := make([]row, len(names))
	for i, n := range names {
		out[i] = row{"head/" + n, ignored, "the echo of what was sent; not compared: the echo is incomplete"}
	}
	return out
}

func payFields() []platforms.FieldRow {
	sent := frame(
		row{"head/AuthCode", "api auth_code", "or scanned at the till; any wallet's, though the seed says 支付宝"},
		row{"head/TotalAmount", "api amount_fen", "yuan with two decimals; config amount_unit"},
		row{"head/Caption", "api subject", ""},
		row{"head/Descriptive", "api memo", ""},
		row{"head/OperatorID", "api operator.id", "at a kiosk from configuration"},
		row{"head/PatientName", "api patient.name", ""},
		row{"head/InhospitalNo", "api patient.admission_no", admissionNote},
		row{"head/OrderType", "api order_type", "mapped by config order_types; sent without the sample's leading blank"},
		row{"head/TerminalID", "api till", "the till's device number in configuration"},
		row{"head/PayType", "api channel", "mapped by config barcode_pay_types; empty where no wallet was asked for"},
		row{"head/Cnt", "config cnt", "left out by default"},
	)
	read := result("BarcodeTradeResult", readTradeNo(), comparedNo(),
		row{"OpenUserID", "api buyer", "masked wherever it is shown"},
		readAmount(), readPaidAt(), readPayType(), echoAmount())
	read = append(read, dropped("AuthCode", "Caption", "Descriptive", "OperatorID", "PatientName", "InhospitalNo", "TerminalID", "PayType", "Cnt")...)
	return append(table(message.OpPay, platforms.FieldSent, sent...), table(message.OpPay, platforms.FieldRead, read...)...)
}

func queryFields() []platforms.FieldRow {
	read := result("BarcodeTradeStatus", readTradeNo(), comparedNo(),
		row{"OpenUserID", "api buyer", "where neither of the other two ids is carried"},
		row{"TradeStatus", "api state", "by the table of this package; unlisted or missing words mean unknown"},
		row{"HospitalID", "config site.hospital_id", "compared where both are there; another one is an alarm"},
		readAmount(),
		row{"OperatorID", ignored, "the order knows its operator"},
		row{"TerminalID", ignored, "the order knows its till"},
		row{"BuyerLogonId", "api buyer", "the first choice of three; masked wherever it is shown"},
		readPaidAt(),
		row{"Buyer_user_id", "api buyer", "where BuyerLogonId is not carried"},
		readPayType())
	return append(table(message.OpQuery, platforms.FieldSent, frame()...), table(message.OpQuery, platforms.FieldRead, read...)...)
}

func cancelFields() []platforms.FieldRow {
	read := result("BarcodeTradeCancelResult", readTradeNo(), comparedNo(),
		row{"RetryFlag", derived, "whether asking again may help; a done cancel is done whatever it says"},
		row{"CancelAction", "api cancel_action", "close or refund, together with IsSuccess 1, is the proof"})
	return append(table(message.OpCancel, platforms.FieldSent, frame()...), table(message.OpCancel, platforms.FieldRead, read...)...)
}

func refundFields() []platforms.FieldRow {
	sent := frame(
		row{"head/TradeNo", "api trade_no", "of the paid order; missing: query first"},
		row{"head/RefundAmount", "api amount_fen", "of the refund; yuan with two decimals whatever amount_unit says; at most 9 characters and not above the order"},
		row{"head/OutRequestNo", "api refund_no", "at most 32 characters; the same again moves no more money"},
		row{"head/RefundmentReason", "api reason", ""},
		row{"head/HospitalID", "config site.hospital_id", ""},
		row{"head/TerminalID", "api till", "the till's device number in configuration"},
		row{"head/TotalAmount", "api amount_fen", "of the order; config amount_unit"},
		row{"head/PayType", "api channel", "of the order; mapped by config barcode_pay_types"},
	)
	read := result("BarcodeTradeRefundResult",
		row{"TradeNo", "api trade_no", "compared with the one that was sent; another one is an alarm"},
		row{"OutTradeNo", derived, "compared with out_trade_no; another one is an alarm"},
		row{"OpenUserID", ignored, "the order knows its buyer"},
		row{"RefundFee", derived, "cumulative, compared with our own sum; below this refund or missing means unknown, above the order is an alarm"},
		row{"RefundChange", ignored, "its values are not stated, and it says no on every repetition of a good refund"},
		row{"head/OutRequestNo", derived, "the echo; another request number is an alarm"})
	read = append(read, dropped("TradeNo", "RefundAmount", "RefundmentReason", "HospitalID", "TerminalID", "TotalAmount", "PayType")...)
	return append(table(message.OpRefund, platforms.FieldSent, sent...), table(message.OpRefund, platforms.FieldRead, read...)...)
}

func presentFields() []platforms.FieldRow {
	sent := frame(
		row{"head/TotalAmount", "api amount_fen", "yuan with two decimals; config amount_unit"},
		row{"head/Caption", "api subject", ""},
		row{"head/Descriptive", "api memo", ""},
		row{"head/TradeDetail", "api details", "JSON text: goods_id, goods_name, goods_category, price in yuan, quantity, body"},
		row{"head/OrderType", "api order_type", "mapped by config order_types"},
		row{"head/TimeoutExpress", "api expires", "1m to 15d in whole m, h or d, or 1c; empty leaves the platform's 20m"},
		row{"head/PayType", "api channel", "mapped by config qr_pay_types; left out for an aggregated QR"},
		row{"head/PatientName", "api patient.name", ""},
		row{"head/Tel", "api patient.phone", ""},
		row{"head/InhospitalNo", "api patient.admission_no", admissionNote},
	)
	read := result("QrcodeTradePayResult", comparedNo(),
		row{"TwoDimensionCode", "api qr", "the text to show; the flow chart calls it qrr_code. At most 1024 bytes"},
		echoAmount())
	read = append(read, dropped("Caption", "Descriptive", "TradeDetail", "TimeoutExpress", "PayType", "PatientName", "Tel", "InhospitalNo")...)
	return append(table(message.OpPresent, platforms.FieldSent, sent...), table(message.OpPresent, platforms.FieldRead, read...)...)
}

// wayFields are what carries a document.
func wayFields() []platforms.FieldRow {
	soap := []row{
		{"SOAPAction", "config action_prefix", "and the operation's name; with soap12 the action of the Content-Type"},
		{"Envelope/Body/{operation}", "config namespace", "the operation's name in that namespace"},
		{"Envelope/Body/{operation}/xml", "config param_name", "the document as escaped text"},
	}
	answer := []row{
		{"Envelope/Body/{operation}Response/{operation}Result", derived, "the document as text; its own encoding declaration is ignored"},
		{"Envelope/Body/Fault", derived, "its words stand in the error; proves nothing"},
	}
	form := []row{
		{"xml", "config param_name", "the document as a form field"},
		{"{operation}", "config platforms.url", "in the place of {op}, or the last element of the path"},
	}
	raw := []row{{"{operation}", "config platforms.url", "in the place of {op}, or the last element of the path"}}
	bare := []row{{"string", derived, "an asmx form answer holds the document as its text; otherwise the document is the answer"}}
	var rows []platforms.FieldRow
	for _, t := range []Transport{SOAP11, SOAP12} {
		rows = append(rows, table(string(t), platforms.FieldSent, soap...)...)
		rows = append(rows, table(string(t), platforms.FieldRead, answer...)...)
	}
	rows = append(rows, table(string(FormXML), platforms.FieldSent, form...)...)
	rows = append(rows, table(string(FormXML), platforms.FieldRead, bare...)...)
	rows = append(rows, table(string(RawXMLPost), platforms.FieldSent, raw...)...)
	return append(rows, table(string(RawXMLPost), platforms.FieldRead, bare...)...)
}
