package words

import "payagent/platforms"

// bookStages are what is said of a paid order until HIS has booked it, and
// while its money goes back because HIS could not.
func bookStages() []Entry {
	back := Text{"等待退回完成，再重新收款；不要改收现金", "Wait until it is back, then take the payment again; take no cash yet"}
	return []Entry{
		{"pending", Text{"支付成功，正在登记，请稍候", "Paid; it is being registered, please wait"}, Text{"支付成功，等待 HIS 入账", "Paid, waiting for HIS to book it"},
			Text{"入账后才算完成，请稍候", "It is done when HIS has booked it, please wait"}, Text{"已支付，等待 POST /v1/orders/{id}/booking 或 his.webhook 的应答", "Paid; waiting for POST /v1/orders/{id}/booking or the answer to his.webhook"}},
		{"pending_long", Text{"支付成功，登记较慢，请稍候；请勿再次支付", "Paid; registering takes long, please wait and do not pay again"}, Text{"支付成功，HIS 迟迟没有入账", "Paid, and HIS has not booked it"},
			Text{"请在 HIS 中查看这笔账单：没有入账就在 HIS 中重试；仍不行联系信息科。款已收到，不要再次收款", "Look at the bill in HIS: if it is not booked, try again there, or call IT. The money is here: do not take it again"},
			Text{"超过 booking.prompt_after 没有收到 HIS 的入账结果", "No word of HIS for longer than booking.prompt_after"}},
		{"booked", Text{"支付成功，已登记", "Paid and registered"}, Text{"支付成功，HIS 已入账", "Paid and booked by HIS"}, nothing(), Text{"HIS 已确认入账", "HIS has booked it"}},
		{"going_back", Text{"业务处理未成功，款项正在原路退回，请勿再次支付", "It could not be processed; your money goes back the way it came, please do not pay again"}, Text{"HIS 处理失败，正在原路退回", "HIS could not process it, the money goes back"},
			back, Text{"自动冲正进行中，见退款状态", "The reversal is under way, see the refund's state"}},
		{"given_back", Text{"业务处理未成功，款项已原路退回，请到人工窗口办理", "It could not be processed; your money was given back, please go to the counter"}, Text{"HIS 处理失败，款项已原路退回", "HIS could not process it, the money was given back"},
			Text{"告知患者款项已原路退回；可重新收款", "Tell the patient that the money went back; you may take the payment again"}, Text{"自动冲正已完成", "The reversal is done"}},
		{"back_in_doubt", Text{"业务处理未成功，退款正在核实，请到人工窗口查询", "It could not be processed; the refund is being checked, please ask at the counter"}, Text{"HIS 处理失败，退回结果待核实", "HIS could not process it, and it is not sure that the money went back"},
			Text{"不要改收现金，不要再退；请财务核实", "Take no cash and refund nothing; have finance look into it"}, Text{"冲正被拒绝或结果不明", "The reversal was refused or is in doubt"}},
		{"insurance_split", confirming(), Text{"医保与现金部分不一致，待人工处理", "Insurance and cash disagree, people must decide"}, noMoreMoney(),
			Text{"HIS 告知医保与现金一方已扣、一方未扣：双人核实", "HIS says that one of insurance and cash was taken: resolve by two people"}},
	}
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
