package panel

import (
	"image/color"
	"strings"

	"payagent/devices"
)

// look is how one state is shown: its colours, whose contrast is at least 7:1,
// and the words for a screen that brings none.
type look struct {
	back, fore       color.RGBA
	title, line      string // Chinese
	titleEN, lineEN  string
	qr               bool   // a QR code may be shown: the order waits for money
	warning, warnEN  string // must be read somewhere in this state, or empty
	qrTitle, qrTitEN string // title where the patient scans our code
}

// What is said where pixels lack.
const (
	elsewhereZH = "请看收银台二维码"
	elsewhereEN = "See the QR code at the counter"
	amountZH    = "金额见收银台"
	amountEN    = "Amount: see counter"
	currency    = "￥" // full width, U+FFE5; the narrow ¥ is a yen to many fonts
	testZH      = "测试"
)

func rgb(v uint32) color.RGBA {
	return color.RGBA{R: uint8(v >> 16), G: uint8(v >> 8), B: uint8(v), A: 0xFF}
}

// lookOf gives the look of a state. One that is not known looks like in_doubt,
// the careful one.
func lookOf(state string) look {
	white, black := rgb(0xFFFFFF), rgb(0x000000)
	switch state {
	case devices.StateIdle:
		return look{back: rgb(0x102A43), fore: white, title: "欢迎使用", titleEN: "Welcome"}
	case devices.StateOffline:
		return look{back: rgb(0x202020), fore: rgb(0xFFC107), title: "暂停扫码支付", line: "网络中断，请咨询收费员",
			titleEN: "No payment by code now", lineEN: "Network down, ask the cashier"}
	case "waiting":
		return look{back: rgb(0x003A8C), fore: white, title: "请出示付款码", titleEN: "Please show your payment code",
			qr: true, qrTitle: "请用手机扫码支付", qrTitEN: "Scan to pay"}
	case "queued":
		return look{back: rgb(0x202020), fore: rgb(0xFFC107), title: "网络中断，请稍候", line: "请听收费员指引",
			titleEN: "Network down", lineEN: "Please ask the cashier"}
	case "paying":
		return look{back: rgb(0xFFD54F), fore: black, title: "请在手机上完成支付", titleEN: "Please finish on your phone",
			qr: true, qrTitle: "请用手机扫码支付", qrTitEN: "Scan to pay"}
	case "canceling":
		return look{back: rgb(0xFFB74D), fore: black, title: "正在撤销，请勿再次支付", titleEN: "Being canceled, do not pay again",
			warning: "请勿再次支付", warnEN: "do not pay again"}
	case "paid":
		return look{back: rgb(0x005A2B), fore: white, title: "支付成功", titleEN: "Paid"}
	case "failed":
		return look{back: rgb(0x8E0000), fore: white, title: "支付失败，未扣款", titleEN: "Failed, nothing was charged"}
	case "canceled":
		return look{back: rgb(0x3C3C3C), fore: white, title: "已撤销", titleEN: "Canceled"}
	default: // in_doubt
		return look{back: rgb(0x4A148C), fore: white, title: "确认中，请勿再次支付", titleEN: "Being confirmed, do not pay again",
			warning: "请勿再次支付", warnEN: "do not pay again"}
	}
}

// said is the text of one picture.
type said struct {
	title, line, amount string
	warning             string // part of title or line, or empty
}

// sayOf chooses the words of a screen. In the states where a second payment
// would be charged twice the warning is always among them.
func sayOf(s devices.Screen, l look, lang string, phone bool) said {
	out := said{title: clean(s.Title), line: clean(s.Line), amount: clean(s.Amount)}
	title, line, qrTitle, warning := l.title, l.line, l.qrTitle, l.warning
	if lang == "en" {
		out.title, out.line = clean(s.TitleEN), clean(s.LineEN)
		title, line, qrTitle, warning = l.titleEN, l.lineEN, l.qrTitEN, l.warnEN
	}
	if phone {
		title, line = qrTitle, ""
	}
	if out.title == "" {
		out.title = title
		if out.line == "" {
			out.line = line
		}
	}
	out.warning = warning
	if !holds(out.title+"\n"+out.line, warning) {
		if out.line == "" {
			out.line = warning
		} else {
			out.title = title
		}
	}
	if out.amount != "" {
		out.amount = currency + strings.TrimLeft(out.amount, "￥ ")
	}
	return out
}

// holds tells whether a text has the words, in any case of letters.
func holds(text, words string) bool { return strings.Contains(strings.ToLower(text), words) }
