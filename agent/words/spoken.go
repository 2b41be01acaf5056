package words

import "payagent/platforms"

// Idle is what a screen says while nobody is served, and Offline while no
// payment can be taken.
func Idle() Text { return Text{"欢迎使用扫码支付", "Welcome, pay by phone here"} }

// Offline is what a screen says while the platform is away and nobody is served.
func Offline() Text {
	return Text{"网络中断，暂时无法扫码支付", "The network is down, no payment by code now"}
}

// Speech is what is said aloud when an order comes into a state, empty where
// nothing is said (DSP-08). present is the mode in which the payer scans a QR
// code, which is spoken of only while it is shown.
func Speech(state string, present, qr bool, amount platforms.Fen) Text {
	zh, en := AmountSpoken(amount), amount.Yuan()+" yuan"
	switch {
	case state == "waiting" && !present:
		return Text{"请出示付款码，收您" + zh, "Please show your payment code, " + en}
	case state == "paying" && present && qr:
		return Text{"请扫码支付，" + zh, "Please scan the code and pay " + en}
	case state == "paid":
		return Text{"支付成功，收款" + zh, "Paid, " + en}
	case state == "failed":
		return Text{"支付未成功，请看收费员", "Not paid, please see the cashier"}
	case state == "in_doubt":
		return Text{"正在确认，请勿再次支付", "Being confirmed, please do not pay again"}
	}
	return Text{}
}

// BookSpeech is what is said aloud of a paid order at a stage of its booking.
// What has been said once is not said again in other words.
func BookSpeech(stage string, amount platforms.Fen) Text {
	zh, en := AmountSpoken(amount), amount.Yuan()+" yuan"
	switch stage {
	case "pending", "pending_long":
		return Text{"已支付" + zh + "，正在登记，请稍候", "Paid " + en + ", it is being registered"}
	case "going_back":
		return Text{"业务处理未成功，款项正在原路退回，请勿再次支付", "It could not be processed, your money goes back, please do not pay again"}
	case "given_back":
		return Text{"款项已原路退回，请到人工窗口办理", "Your money was given back, please go to the counter"}
	case "back_in_doubt", "insurance_split":
		return Text{"请到人工窗口查询", "Please ask at the counter"}
	}
	return Speech("paid", false, false, amount)
}

// Masked keeps enough of a name to tell two patients apart at the window:
// 张三丰 becomes 张*丰, 张三 becomes 张*.
func Masked(name string) string {
	r := []rune(name)
	for i := range r {
		if i > 0 && (i < len(r)-1 || len(r) == 2) || len(r) == 1 {
			r[i] = '*'
		}
	}
	return string(r)
}
