package words

// What is said until HIS has booked a payment, while money goes back, and when
// people decide.

func bookingReasons() []Entry {
	return []Entry{
		{"his_failed", Text{"业务处理未成功，款项将原路退回", "It could not be processed; the money goes back the way it came"}, Text{"HIS 处理失败，款项正在退回", "HIS could not process it, the money goes back"},
			Text{"等待退回完成，再重新收款", "Wait until it is back, then take the payment again"}, Text{"HIS 告知记账失败，自动冲正", "HIS said that booking failed: reversed at once"}},
		{"his_silent", Text{"业务处理未成功，款项将原路退回", "It could not be processed; the money goes back the way it came"}, Text{"HIS 未确认，款项正在退回", "HIS did not confirm, the money goes back"},
			justWait(), Text{"自助机 reverse_on_silence：HIS 在线却 120 秒未确认，已事先告知", "Kiosk with reverse_on_silence: HIS was there and silent for 120 s, and was told before"}},
		{"refund_over", Text{"退款未成功，请咨询收费员", "Not refunded, please ask the cashier"}, Text{"平台显示已在别处退款，余额不足", "The platform says that money was given back elsewhere; not enough is left"},
			Text{"核对平台侧的退款记录", "Look at the refunds on the platform's side"}, Text{"退款前查询：平台累计退款加本次超过已付", "Query before the refund: what went back and this one are more than was paid"}},
		{"resolution_contradicted", confirming(), Text{"人工核实的结论与平台不符，请重新核实", "The platform contradicts what people resolved; look again"}, noMoreMoney(),
			Text{"人工处理后平台答复相反：订单回到 in_doubt，不自动动账", "The platform says otherwise after a manual resolution: in_doubt again, nothing moves by itself"}},
		{"resolved", Text{"已核实，请咨询收费员", "It was looked into, please ask the cashier"}, Text{"已由两人核实处理", "Resolved by two people"}, nothing(),
			Text{"人工处理：证据与两名操作员见订单历史", "Manual resolution: evidence and both people stand in the order's history"}},
	}
}

func bookingVerdicts() []Entry {
	return []Entry{{"cash_reversing", askCashier(), Text{"不要收现金：款项正在退回，请等待约 {wait_s} 秒", "No cash yet: the money is on its way back, wait about {wait_s} s"}, justWait(),
		Text{"已支付，正在自动退回", "Paid, being given back automatically"}}}
}

func bookingNotes() []Entry {
	return []Entry{
		{"booking_pending", Text{"已支付，正在登记，请稍候", "Paid; it is being registered, please wait"}, Text{"已收款，HIS 尚未记账，请核对", "Paid, and HIS has not booked it yet: please check"},
			Text{"在 HIS 中确认这笔收费；不要再次收款", "Confirm the charge in HIS; do not take it again"}, Text{"超过 booking.prompt_after 没有收到 HIS 的入账确认", "No word of HIS for longer than booking.prompt_after"}},
		{"booking_reversing", Text{"业务处理未成功，款项将原路退回", "It could not be processed; the money goes back the way it came"}, Text{"HIS 未记账，款项正在退回", "Not booked by HIS, the money goes back"},
			Text{"等待退回完成，再重新收款", "Wait until it is back, then take the payment again"}, Text{"自动冲正进行中，见退款状态", "The reversal is under way, see the refund's state"}},
		{"insurance_split", confirming(), Text{"医保与现金部分不一致，待人工处理", "Insurance and cash disagree, people must decide"}, noMoreMoney(),
			Text{"HIS 只收到其中一部分：入账、冲正或双人核实", "HIS took one part only: book it, reverse it, or resolve it by two people"}},
	}
}

func bookingProblems() []Entry {
	call := func(code string, c, it Text) Entry { return Entry{code, askCashier(), c, correctHIS(), it} }
	return []Entry{
		call("booking_differs", Text{"HIS 先前的入账结果不同，已拒绝", "HIS said otherwise before; refused"}, Text{"同一订单的入账结果只能说一次；相同内容重复发送没有问题", "A word about an order is given once; the same one may be repeated"}),
		call("flow_id_used", Text{"HIS 流水号已使用过", "The HIS flow id was used before"}, Text{"his_flow_id 在收款与退款中都必须唯一", "his_flow_id is unique over payments and refunds"}),
		{"booking_late", askCashier(), Text{"款项已退回，不能再入账", "The money was given back, it cannot be booked any more"}, Text{"在 HIS 中取消该笔入账，需要时重新收款", "Undo the booking in HIS; take the payment again if needed"},
			Text{"入账确认到达时已退回或正在退回", "The word came after the money had gone back, or while it does"}},
		{"booking_failed_before", askCashier(), Text{"HIS 先前已告知失败，款项已退回", "HIS said before that it failed; the money goes back"}, Text{"在 HIS 中取消该笔入账，需要时重新收款", "Undo the booking in HIS; take the payment again if needed"},
			Text{"先失败后成功的入账确认一律拒绝", "A success after a failure is refused"}},
		call("refund_not_done", Text{"退款尚未完成，不能入账", "The refund is not done, it cannot be booked"}, Text{"退款状态为 done 后再确认入账", "Book it once the refund's state is done"}),
		{"same_person", askCashier(), Text{"需要另一位工作人员确认", "Another person must confirm"}, Text{"请另一位操作员确认", "Let another operator confirm"}, Text{"提出人与确认人不能相同", "Maker and checker must differ"}},
		{"same_token", askCashier(), Text{"需要在另一台电脑上由另一位工作人员确认", "Another person must confirm it at another computer"}, Text{"请另一位操作员在自己的页面上确认", "Let another operator confirm it on a page of their own"},
			Text{"提出与确认来自同一令牌；HIS 自己核验操作员时给令牌加 operators 权限", "Both acts came by the same token; give it the scope operators where HIS itself checks who its operators are"}},
		{"payment_not_found", askCashier(), Text{"没有找到这笔支付", "The payment was not found"}, Text{"核对订单号、交易号和商户后再查", "Check order number, trade number and merchant, then look again"}, Text{"本机与平台都没有这个号码", "Neither this agent nor the platform knows the number"}},
		{"answer_mixed_up", askCashier(), Text{"平台的应答与所查的支付不符", "The platform's answer speaks of another payment"}, callIT(), Text{"单号、商户或金额不符：可能串单或被篡改", "Number, merchant or amount differ: mixed up or forged"}},
		{"nothing_to_approve", askCashier(), Text{"没有等待复核的退款", "No refund waits for approval"}, lookAtState(), Text{"退款不在 awaiting 状态", "The refund is not awaiting"}},
		{"proposed_already", askCashier(), Text{"已有一个结论在等第二人确认", "Another proposal waits for a second person"}, Text{"请第二人确认或退回后再提", "Have it confirmed or declined first"}, Text{"未确认的结论不能被替换；提出人也可以退回", "A proposal that waits is not replaced; its maker may decline it too"}},
		{"nothing_to_resolve", askCashier(), Text{"没有待人工核实的内容", "There is nothing to resolve"}, lookAtState(), Text{"订单或退款不在待核实状态，或没有提出过结论", "Order or refund is not in doubt, or nothing was proposed"}},
	}
}

func bookingAlarms() []Entry {
	finance := Text{"请联系财务与信息科核对", "Have finance and IT check it"}
	a := func(code string, c, n, it Text) Entry { return Entry{code, askCashier(), c, n, it} }
	return []Entry{
		a("booking_overdue", Text{"已收款，HIS 长时间未记账", "Paid, and not booked by HIS for long"}, finance, Text{"超过 booking.alarm_after：款项保留，等待 HIS 或人工", "Longer than booking.alarm_after: the money is held until HIS or people decide"}),
		a("insurance_split", Text{"医保与现金部分不一致", "Insurance and cash disagree"}, finance, Text{"不自动退款：入账、冲正或双人核实", "Nothing goes back by itself: book, reverse or resolve by two people"}),
		a("payment_reversed", Text{"HIS 未能记账，款项正在退回", "HIS could not book it, the money goes back"}, Text{"等待退回完成，再重新收款", "Wait until it is back, then take the payment again"}, Text{"自动冲正已开始", "A reversal began"}),
		a("reversal_refused", Text{"自动退回被平台拒绝", "The platform refused to give the money back"}, finance, Text{"自动冲正被拒绝，仍在重试：人工核对", "The reversal was refused, trying goes on: check by hand"}),
		a("refund_held", Text{"退款前查询不到支付结果，退款暂缓", "The platform does not confirm the payment, the refund is held"}, finance, Text{"退款前必须查询：多次未得到已支付的答复", "A query comes before every refund: it was not answered with paid"}),
		a("refund_not_booked", Text{"HIS 未能登记退款", "HIS could not book a refund"}, finance, Text{"款项已退回，HIS 告知退款登记失败", "The money went back, HIS said that its part failed"}),
		a("resolution_contradicted", Text{"人工核实的结论与平台不符", "The platform contradicts a manual resolution"}, finance, Text{"订单回到 in_doubt，不自动动账", "The order is in_doubt again, nothing moves by itself"}),
	}
}
