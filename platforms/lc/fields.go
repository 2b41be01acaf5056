package lc

import "payagent/platforms"

// Fields lists every field of every message of seed 004 §6 and of the methods
// that live clients use besides: where what we send comes from, and where what
// we read goes to. Members of biz_content stand below it.
func Fields() []platforms.FieldRow {
	var rows []platforms.FieldRow
	for _, m := range []message{
		barcodeFields(), qrFields(methodQRCode), qrFields(methodAggregated), h5Fields(), queryFields(), closeFields(methodClose),
		closeFields(methodCancel), refundFields(), tokenFields(), sscFields(),
	} {
		rows = append(rows, table(m.name, platforms.FieldSent, sent(m))...)
		rows = append(rows, table(m.name, platforms.FieldRead, read(m))...)
	}
	rows = append(rows, table(methodNotify, platforms.FieldRead, noticeFields())...)
	rows = append(rows, table("return_url", platforms.FieldRead, returnFields())...)
	return append(rows, authFields()...)
}

// row is field, source, note.
type row [3]string

const (
	derived = "derived"
	ignored = "ignored"
)

// message is a method with what its biz_content holds.
type message struct {
	name       string
	sent, read []row
}

func table(name, direction string, rows []row) []platforms.FieldRow {
	out := make([]platforms.FieldRow, len(rows))
	for i, r := range rows {
		out[i] = platforms.FieldRow{Message: name, Direction: direction, Field: r[0], Source: r[1], Note: r[2]}
	}
	return out
}

func inside(rows []row) []row {
	out := make([]row, len(rows))
	for i, r := range rows {
		out[i] = row{"biz_content/" + r[0], r[1], r[2]}
	}
	return out
}

func sent(m message) []row {
	all := []row{
		{"app_id", "config app_id", ""},
		{"method", derived, "the name of this message"},
		{"timestamp", derived, "our clock in UTC+8, yyyy-MM-dd HH:mm:ss without the blanks of the table"},
		{"nonce_str", derived, "32 hexadecimal digits of its own for every request; the samples' 36 are longer than the table allows"},
		{"biz_content", derived, "JSON without blanks; the same bytes are signed and sent"},
	}
	all = append(all, inside(m.sent)...)
	return append(all,
		row{"sign_type", "config sign_type", "rsa, or rsa2 with SHA-256"},
		row{"sign", "config private_key_file", "RSA PKCS#1 v1.5 over all others, in Base64"})
}

// frame are the members of a reply around its biz_content.
func frame() []row {
	return []row{
		{"app_id", "config app_id", "must be ours"},
		{"method", derived, "must be the one that was asked"},
		{"timestamp", ignored, "of the platform's clock; it is part of what is signed"},
		{"nonce_str", derived, "must be the one that was sent, so that an older answer proves nothing"},
		{"code", derived, "says that the gateway worked, never what became of the money; shown where there is no sub_code"},
		{"msg", "api platform_message", "success means that the gateway worked; shown where there is no sub_msg; secrets are cut out"},
		{"biz_content", derived, "verified as received or without blanks, then decoded once"},
		{"biz_content/sub_code", "api platform_code", "counts only where it is a word of trade_status or on a configured list"},
		{"biz_content/sub_msg", "api platform_message", "secrets are cut out"},
	}
}

func read(m message) []row {
	all := append(frame(), inside(m.read)...)
	return append(all,
		row{"sign_type", ignored, "the hash is the configured one; it is part of what is signed"},
		row{"sign", "config platform_key_files", "verified with any of the keys; see verify_reply"})
}

// Rows that several messages share.

func numberSent() row {
	return row{"out_trade_no", "api out_trade_no", "given by HIS or made by the agent; 1 to 32 letters and digits"}
}

func amountSent() row {
	return row{"total_amount", "api amount_fen", "yuan with two decimals; a text, or a number with config amount_form"}
}

func subjectSent() row { return row{"subject", "api subject", "at most 50 characters"} }
func bodySent() row    { return row{"body", "api memo", "at most 128 characters"} }

func expiresSent() row {
	return row{"timeout_express", "api expires", "1m to 15d in whole m, h or d, or 1c; at most 6 characters"}
}

func payTypeSent(note string) row { return row{"payment_type", "api channel", note} }

func operatorSent() row { return row{"operator_id", "api operator.id", "at most 30 characters"} }

func terminalSent() row {
	return row{"terminal_id", "api till", "the till's device number in configuration; at most 32 characters"}
}

func notifySent() row {
	return row{"notify_url", "api notify_url", "else the callback listener's, else config notify_url; at most 512 characters"}
}

func returnSent() row {
	return row{"return_url", "api return_url", "else the callback listener's, else config return_url; at most 512 characters"}
}

func disabledSent() row {
	return row{"disable_pay_channels", "api disable_pay_channels", "else config disable_channels; at most 128 characters"}
}

func numberRead() row {
	return row{"out_trade_no", derived, "compared with out_trade_no where carried"}
}

func tradeNoRead() row {
	return row{"trade_no", "api trade_no", "at most 64 characters of a number; anything else is not taken"}
}

func amountRead() row {
	return row{"total_amount", derived, "a text or a number; compared with amount_fen; unreadable makes the reply unusable"}
}

func tradeRead() []row {
	return []row{
		tradeNoRead(), numberRead(),
		{"trade_status", "api state", "by the tables of this package; unlisted words mean unknown"},
		amountRead(),
		{"payment_type", "api channel", "any casing"},
		{"pay_date", "api paid_at", "UTC+8; not carried where unreadable"},
		{"gmt_payment", "api paid_at", "where carried, before pay_date"},
		{"user_id", "api buyer", "masked wherever it is shown"},
		{"logon_id", "api buyer", "where carried, before user_id"},
		{"refund_fee", "api refunded_fen", "where carried: given back so far"},
	}
}

func barcodeFields() message {
	return message{methodBarcode, []row{
		numberSent(), amountSent(), subjectSent(), bodySent(), expiresSent(), payTypeSent("mapped by config payment_types; left out where no wallet was asked for"),
		notifySent(), operatorSent(), terminalSent(), disabledSent(), {"auth_code", "api auth_code", "or scanned at the till"},
	}, tradeRead()}
}

func qrFields(method string) message {
	note := "mapped by config payment_types; mandatory for the QR of one wallet"
	all := []row{numberSent(), amountSent(), subjectSent(), bodySent(), expiresSent()}
	if method != methodAggregated {
		all = append(all, payTypeSent(note))
	}
	return message{method, append(all, notifySent(), operatorSent(), terminalSent(), disabledSent()), append(tradeRead(),
		row{"qr_code", "api qr", "the text to show; config qr_field names another member. At most 1024 bytes, signed"},
		row{"code_url", "api qr", "where there is no qr_code"},
		row{"two_dimension_code", "api qr", "where there is neither"})}
}

func h5Fields() message {
	return message{methodH5, []row{
		numberSent(), amountSent(), subjectSent(), bodySent(), expiresSent(), returnSent(), notifySent(), disabledSent(),
		{"business_params", "api business_params", "a JSON object of at most 256 characters, sent as it is; the seed's own sample lacks a quote and is refused"},
		{"agreement_sign_params", "api agreement_sign_params", "a JSON object of at most 4096 characters, sent as it is"},
		{"order_type", "api order_type", "mapped by config order_types; the sample's 1 is none of the table's words"},
		payTypeSent("not in the table; sent only where a wallet was asked for"),
	}, append(tradeRead(), row{"goto_url", "api goto_url", "where the payer's browser is sent; a URL of at most 1024 bytes, signed"})}
}

func queryFields() message {
	return message{methodQuery, []row{numberSent()}, tradeRead()}
}

func closeFields(method string) message {
	all := []row{tradeNoRead(), numberRead(),
		{"retry_flag", derived, "whether asking again may help; a done cancel is done whatever it says"},
		{"action", "api cancel_action", "close or refund, signed and without a sub_code, is the proof"}}
	return message{method, []row{numberSent(), operatorSent(), terminalSent()}, all}
}

func refundFields() message {
	return message{methodRefund, []row{
		numberSent(), payTypeSent("of the order; mapped by config payment_types"), operatorSent(), terminalSent(),
		{"trade_amount", "api amount_fen", "of the order"},
		{"refund_amount", "api amount_fen", "of the refund; not above the order"},
		{"out_request_no", "api refund_no", "at most 32 characters; the same again moves no more money"},
		{"refund_reason", "api reason", ""},
	}, []row{
		{"trade_no", "api trade_no", "compared with the order's where both are there; another one is an alarm"},
		{"out_trade_no", derived, "compared with out_trade_no; another one is an alarm"},
		{"out_request_no", derived, "compared with the refund's number; another one is an alarm"},
		{"refund_fee", derived, "cumulative, compared with our own sum; below this refund means unknown, missing too unless config refund_proof says reply, above the order is an alarm"},
		{"refund_amount", derived, "compared with this refund where carried"},
	}}
}

const settled = "from HIS's settlement of the insurance payment"

func tokenFields() message {
	return message{methodToken, []row{
		{"user_id", "api insurance.user_id", "the payer's id at the channel; its length of 16 is not enforced"},
		payTypeSent("mapped by config payment_types; eshimin for 随申办"),
		{"patient_name", "api patient.name", "mandatory for 支付宝"},
		{"patient_card_no", "api insurance.patient_card_no", "身份证号; mandatory for 支付宝"},
		{"biz_city_code", "config city_code", "or the payment's own; mandatory for 支付宝; at most 6 characters"},
		{"auth_code", "api auth_code", "what the payer's browser brought back from 医保授权"},
		{"ssc_ins_type", "config ins_type", "or the payment's own; YB or RS; mandatory for 支付宝"},
		{"kinsfolk_card_no", "api insurance.kinsfolk_card_no", "儿保: mandatory as soon as one of the three is given"},
		{"kinsfolk_name", "api insurance.kinsfolk_name", "儿保"},
		{"third_open_id", "api insurance.third_open_id", "儿保; at most 36 characters"},
	}, []row{
		{"qr_code", "api insurance.qr_code", "handed to HIS for 医保试算 (上海); sealed"},
		{"city_code", "api insurance.city_code", "handed to HIS"},
		{"card_info", "api insurance.card_info", "handed to HIS, and back into lc.ssc.trade.pay (全国); sealed"},
		{"pay_auth_no", "api insurance.pay_auth_no", "handed to HIS, and back into lc.ssc.trade.pay (全国); sealed"},
	}}
}

func sscFields() message {
	return message{methodSSCPay, []row{
		numberSent(), {"ssc_scene", "api insurance.ssc_scene", "REGISTRATION or TREATMENT"}, subjectSent(), notifySent(), returnSent(), amountSent(),
		payTypeSent("mapped by config payment_types; eshimin for 随申办"),
		{"user_id", "api insurance.user_id", "the payer's id at the channel; its length of 16 is not enforced"},
		operatorSent(), expiresSent(), bodySent(),
		{"patient_name", "api patient.name", ""},
		{"patient_card_no", "api insurance.patient_card_no", "身份证号"},
		{"org_name", "config org_name", ""},
		{"reduced_fee", "api reduced_fee_fen", "yuan; sent where HIS gives one"},
		{"org_no", "config org_no", ""},
		{"ssc_ins_type", "config ins_type", "or the payment's own; YB or RS"},
		{"request_content", "api request_content", settled + "; at most 4000 characters; mandatory for WeChat's TREATMENT; not sent for 支付宝 beside ssc_serial_no"},
		{"city_code", "config city_code", "or the payment's own"},
		{"ssc_serial_no", "api ssc_serial_no", settled + "; this or request_content for 支付宝"},
		{"ssc_bill_no", "api ssc_bill_no", settled + "; mandatory in Shanghai; at most 64 characters"},
		{"cash_fee", "api cash_fen", "yuan, " + settled},
		{"insurance_fee", "api insurance_fen", "yuan, " + settled + "; its length of 6 is not enforced"},
		{"credit_org", "api insurance.credit_org", "信用签约; at most 10 characters"},
		{"auth_code", "api insurance.auth_code", "信用签约 with WeChat"},
		{"ec_qrcode", "api insurance.ec_qrcode", "信用签约 with WeChat at a counter (config credit_offline); at most 128 characters"},
		{"ssc_eshimin_auth_code", "api insurance.ssc_eshimin_auth_code", "随申办; at most 150 characters"},
		{"pay_scene", "api insurance.pay_scene", "随申办 through its mini program (config eshimin_mini); at most 50 characters"},
		{"pay_qr_code", derived, "of the token; marked mandatory without a word why, demanded nowhere"},
		{"card_info", derived, "of the token; mandatory where config region is national"},
		{"pay_auth_no", derived, "of the token; mandatory where config region is national"},
	}, append(tradeRead(),
		row{"goto_url", "api goto_url", "where the payer's browser is sent; signed"},
		row{"paystr", "api pay_string", "what the wallet's own JavaScript is called with (上海); the blanks around it are cut"})}
}

func noticeFields() []row {
	return []row{
		{"app_id", "config app_id", "must be ours"},
		{"method", derived, "must be this"},
		{"timestamp", "config notice_max_age", "two blanks in it are tolerated; too old or too new is refused"},
		{"nonce_str", ignored, "in the sample, not in the table; part of what is signed"},
		{"sign_type", ignored, "part of what is signed"},
		{"sign", "config platform_key_files", "over the decoded values of the address or the body; a blank counts as +"},
		{"biz_content", derived, "decoded strictly, after it was verified"},
		{"biz_content/trade_no", "api trade_no", ""},
		{"biz_content/out_trade_no", "api out_trade_no", "finds the order; the table allows 64, ours have 32"},
		{"biz_content/user_id", "api buyer", "masked wherever it is shown"},
		{"biz_content/trade_status", "api state", "wakes the query; evidence only with config query none"},
		{"biz_content/total_amount", derived, "compared with amount_fen; without it a notice is no evidence"},
		{"biz_content/gmt_payment", "api paid_at", "UTC+8"},
		{"biz_content/payment_type", "api channel", ""},
		{"biz_content/response_content", ignored, "the wallet's own words, of no form that is documented"},
	}
}

func returnFields() []row {
	return []row{
		{"app_id", "config app_id", "must be ours"},
		{"method", derived, "ends in .return"},
		{"timestamp", "config notice_max_age", "too old or too new is refused"},
		{"nonce_str", ignored, "part of what is signed"},
		{"code", "api platform_code", "where there is no sub_code; decides nothing"},
		{"msg", "api platform_message", "where there is no sub_msg"},
		{"sign_type", ignored, "part of what is signed"},
		{"sign", "config platform_key_files", "over the gateway's own parameters; those of our address are not signed"},
		{"biz_content", derived, "what a browser brings is never evidence"},
		{"biz_content/sub_code", "config canceled_codes", "5001: the payer left the page"},
		{"biz_content/sub_msg", "api platform_message", ""},
		{"biz_content/out_trade_no", "api out_trade_no", "finds the order"},
		{"biz_content/trade_no", "api trade_no", ""},
		{"biz_content/total_amount", derived, "decides nothing"},
		{"biz_content/trade_status", derived, "decides nothing"},
	}
}

func authFields() []platforms.FieldRow {
	const name = "oauth2/medicareAuth"
	return append(table(name, platforms.FieldSent, []row{
		{"app_id", "config app_id", ""},
		{"open_id", "api insurance.user_id", "the payer's id at the channel"},
		{"state", derived, "unique per attempt, compared when the browser comes back"},
		{"redirect_uri", "api insurance.redirect_uri", "the agent's own address of the callback listener by default"},
	}), table(name, platforms.FieldRead, []row{
		{"auth_code", derived, "for lc.ssc.user.token"},
		{"state", derived, "must be the one that was given"},
	})...)
}
