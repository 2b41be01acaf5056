package platforms

// Explain says to the payer, in Chinese and English, what was scanned and what
// to show instead. For a wallet's code it names the wallet.
func Explain(kind CodeKind) (zh, en string) {
	switch kind {
	case KindWeChat:
		return "微信付款码", "WeChat payment code"
	case KindAlipay:
		return "支付宝付款码", "Alipay payment code"
	case KindAlipayFace:
		return "支付宝刷脸付款", "Alipay face payment"
	case KindUnionPay:
		return "云闪付付款码", "UnionPay payment code"
	case KindECNY:
		return "数字人民币付款码", "e-CNY payment code"
	case KindInsurance:
		return "这是医保码，不是付款码。请打开微信或支付宝，出示付款码。", "This is a medical insurance code. Please open WeChat or Alipay and show your payment code."
	case KindIDCard:
		return "这是身份证号码，不是付款码。请出示付款码；如果出示的就是微信付款码，请刷新后再试。", "This is an identity card number. Please show a payment code; if it is one, refresh it and try again."
	case KindMerchantQR:
		return "请出示付款码，不是收款码。", "Please show the code for paying, not the one for receiving money or a web address."
	case KindEMV:
		return "暂不支持这种付款码，请用微信或支付宝付款码。", "This kind of payment code is not accepted here. Please use WeChat or Alipay."
	case KindProduct:
		return "这是商品条码，不是付款码。请出示付款码。", "This is the barcode of a product. Please show your payment code."
	case KindCard:
		return "这是就诊卡，不是付款码。请打开微信或支付宝，出示付款码。", "This is a hospital card. Please open WeChat or Alipay and show your payment code."
	case KindDigits:
		return "无法识别这个号码，它不像付款码。请打开微信或支付宝，出示付款码。", "This number is not a payment code we know. Please open WeChat or Alipay and show your payment code."
	}
	return "没有读到付款码。请打开微信或支付宝的付款码，再试一次。", "No payment code was read. Please open the payment code in WeChat or Alipay and try again."
}

// ExplainWallet says that a code belongs to another wallet than the one that
// was chosen, or to none of ours.
func ExplainWallet(chosen, shown Channel) (zh, en string) {
	zhChosen, enChosen := walletName(chosen)
	zhShown, enShown := walletName(shown)
	return "已选择" + zhChosen + "收款，但出示的是" + zhShown + "付款码。请出示" + zhChosen + "付款码，或重新选择。",
		enChosen + " was chosen, but the code shown is of " + enShown + ". Please show a code of " + enChosen + ", or choose again."
}

func walletName(c Channel) (zh, en string) {
	switch c {
	case WeChat:
		return "微信", "WeChat"
	case Alipay:
		return "支付宝", "Alipay"
	case UnionPay:
		return "云闪付", "UnionPay"
	case ECNY:
		return "数字人民币", "e-CNY"
	}
	return "其他钱包", "another wallet"
}
