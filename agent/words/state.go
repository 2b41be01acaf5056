package words

// states are the order states. The cashier's words are those of the seed's
// screens (seed 000, 流程描述).
func states() []Entry {
	return []Entry{
		{"waiting", Text{"请出示付款码", "Please show your payment code"},
			Text{"等待用户扫码", "Waiting for the patient's code"},
			Text{"引导患者将付款码对准扫码设备；改收现金请先撤销", "Let the patient hold the code to the scanner; cancel first if you want to take cash"},
			Text{"订单已建立，未向平台发送任何请求", "The order exists, nothing was sent to the platform"}},
		{"queued", Text{"网络中断，恢复后继续，请听收费员指引", "The network is down; we go on when it is back, please ask the cashier"},
			Text{"网络中断，已排队，未发送", "The network is down; queued, nothing was sent"},
			Text{"恢复后本窗口会提示，确认后再收款；改收现金请先撤销", "This till tells when it is back, confirm then; cancel first if you want to take cash"},
			Text{"离线排队：不含付款码，过期自动结束", "Queued offline: holds no payment code, ends by itself when its time is over"}},
		{"paying", Text{"请在手机上完成支付", "Please finish the payment on your phone"},
			Text{"用户支付中", "The patient is paying"},
			Text{"询问患者是否已输入密码；10 秒后可校验或撤销", "Ask whether the password was entered; after 10 seconds you may check or cancel"},
			Text{"支付请求已发送，等待明确结果", "The pay request left, no definite result yet"}},
		{"paying.present", Text{"请用手机扫码支付", "Please scan the code with your phone and pay"},
			Text{"用户支付中（已展示二维码）", "The patient is paying (the QR code is shown)"},
			Text{"请患者扫码；可随时取消", "Let the patient scan it; it may be canceled at any time"},
			Text{"二维码已展示，按间隔查询", "The QR code is shown, the platform is asked in intervals"}},
		{"canceling", Text{"正在撤销，请勿再次支付", "Being canceled, please do not pay again"},
			Text{"撤销中", "Canceling"}, justWait(),
			Text{"撤销已发送，尚未确认，按重试策略继续", "The cancel left and is not confirmed; it is repeated by the policy"}},
		{"in_doubt", confirming(),
			Text{"待核实：款项状态确认中，请勿再次收款", "In doubt: being confirmed, take no money again"}, noMoreMoney(),
			Text{"结果不明，已告警，仍在定期查询；可能需要人工核对", "The outcome is unknown, an alarm was raised, queries go on; a person may have to check"}},
		{"paid", Text{"支付成功", "Paid"}, Text{"支付成功", "Paid"},
			Text{"告知患者已付款成功；本页自动关闭", "Tell the patient that it is paid; this page closes by itself"},
			Text{"平台确认已支付，单号与金额一致", "The platform confirmed the payment; number and amount agree"}},
		{"failed", Text{"支付失败，未扣款", "Payment failed, nothing was charged"},
			Text{"支付失败，请关闭当前页面后，重新支付", "Payment failed; close this page, then pay again"}, rescan(),
			Text{"确证未扣款", "It is proven that nothing was charged"}},
		{"canceled", Text{"已撤销", "Canceled"}, Text{"已撤销", "Canceled"},
			Text{"可重新收款或改用其他方式", "You may take the payment again or another way"},
			Text{"订单已撤销", "The order was canceled"}},
		{"canceled.close", Text{"已撤销，未扣款", "Canceled, nothing was charged"},
			Text{"已撤销：已关闭，未扣款", "Canceled: closed, nothing was charged"},
			Text{"可重新收款或改用其他方式", "You may take the payment again or another way"},
			Text{"撤销动作 close：交易关闭，无退款", "Cancel action close: the trade was closed, no refund"}},
		{"canceled.refund", Text{"已撤销，款项已退回原账户", "Canceled, the money went back to your account"},
			Text{"已撤销：已退回原账户", "Canceled: given back to the payer's account"},
			Text{"告知患者款项原路退回；可重新收款", "Tell the patient that the money goes back the way it came; you may take the payment again"},
			Text{"撤销动作 refund：曾扣款，已退回", "Cancel action refund: it had been charged and was given back"}},
		{"canceled.unknown", Text{"已撤销，如已扣款将原路退回", "Canceled; if you were charged, the money comes back"},
			Text{"已撤销：如已扣款将原路退回", "Canceled: if it was charged, the money goes back the way it came"},
			Text{"告知患者如已扣款会原路退回；可重新收款", "Tell the patient that a charge would be given back; you may take the payment again"},
			Text{"撤销成功，但应答未说明是关闭还是退款", "The cancel succeeded; the reply does not say whether closed or refunded"}},
	}
}

func refunds() []Entry {
	back := Text{"退款处理中，将原路退回", "The refund is being made; it goes back the way it came"}
	return []Entry{
		{"requested", back, Text{"退款已登记", "Refund registered"}, justWait(), Text{"退款已落盘，未发送", "The refund is stored, not sent yet"}},
		{"awaiting", back, Text{"退款待另一位工作人员复核", "The refund waits for a second person"}, Text{"请另一位操作员复核", "Let another operator approve it"}, Text{"超过 limits.refund_alone_fen，尚未发送", "Above limits.refund_alone_fen, nothing was sent"}},
		{"sent", back, Text{"退款处理中", "Refund under way"}, justWait(), Text{"退款请求已发送，未确认", "The refund request left, not confirmed"}},
		{"done", Text{"退款成功，将原路退回", "Refunded; it goes back the way it came"}, Text{"退款成功", "Refunded"},
			Text{"告知患者到账时间以支付平台为准", "Tell the patient that the wallet decides when it arrives"}, Text{"平台确认退款", "The platform confirmed the refund"}},
		{"refused", Text{"退款未成功，请咨询收费员", "Not refunded, please ask the cashier"}, Text{"退款被拒绝，未发生资金变动", "Refund refused, no money moved"},
			Text{"查看原因；需要时由财务线下退款", "See the reason; finance may refund by other means"}, Text{"平台明确拒绝，可用新请求号重提", "The platform refused definitely; a new request number may be tried"}},
		{"in_doubt", Text{"退款确认中，请稍候查询", "The refund is being confirmed, please ask later"}, Text{"退款待核实，请勿重复退款", "Refund in doubt, do not refund again"},
			Text{"等待结果，不要用现金再退", "Wait for the result, give no cash as well"}, Text{"退款结果不明：同一请求号继续重试，比对累计退款金额", "Outcome unknown: the same request number is repeated and the total compared"}},
	}
}

// verdicts answer "may I take cash?" and "may I try again?" (PAY-21).
func verdicts() []Entry {
	cash := func(code string, c, n, it Text) Entry { return Entry{code, askCashier(), c, n, it} }
	return []Entry{
		cash("cash_failed", Text{"可以收现金：确证未扣款", "Cash is safe: it is proven that nothing was charged"}, Text{"可改收现金", "You may take cash"}, Text{"状态 failed", "State failed"}),
		cash("cash_canceled", Text{"可以收现金：订单已撤销", "Cash is safe: the order was canceled"}, Text{"可改收现金", "You may take cash"}, Text{"状态 canceled", "State canceled"}),
		cash("cash_refunded", Text{"可以收现金：款项已全部退回", "Cash is safe: all was given back"}, Text{"可改收现金", "You may take cash"}, Text{"已支付且全额退款", "Paid and fully refunded"}),
		cash("cash_paid", Text{"不要收现金：已支付成功", "No cash: it is paid"}, nothing(), Text{"状态 paid", "State paid"}),
		cash("cash_cancel_first", Text{"不要收现金：请先撤销（立即生效）", "No cash yet: cancel first, it takes effect at once"}, Text{"先按撤销", "Press cancel first"}, Text{"未发送，撤销无需平台", "Nothing was sent; the cancel needs no platform"}),
		cash("cash_in_doubt", Text{"不要收现金：款项待核实", "No cash: the payment is in doubt"}, noMoreMoney(), Text{"状态 in_doubt", "State in_doubt"}),
		cash("cash_wait", Text{"请等待约 {wait_s} 秒，平台仍可能扣款", "Wait about {wait_s} s, the platform may still take the money"}, justWait(), Text{"预计 {wait_s} 秒内有结果", "A result is expected within {wait_s} s"}),
		cash("retry_yes", Text{"可以重新收款", "You may take the payment again"}, rescan(), Text{"同一账单可建新订单", "A new order for the bill may be made"}),
		cash("retry_paid", Text{"不要重新收款：已支付成功", "Do not take it again: it is paid"}, nothing(), Text{"账单已支付", "The bill is paid"}),
		cash("retry_open", Text{"不要重新收款：订单进行中，请先撤销", "Do not take it again: the order is open, cancel first"}, Text{"继续当前订单，或先撤销", "Go on with the order, or cancel first"}, Text{"账单有未结订单", "The bill has an open order"}),
		cash("retry_in_doubt", Text{"不要重新收款：款项待核实", "Do not take it again: the payment is in doubt"}, noMoreMoney(), Text{"状态 in_doubt", "State in_doubt"}),
		cash("retry_wait", Text{"请等待约 {wait_s} 秒再决定", "Wait about {wait_s} s, then decide"}, justWait(), Text{"预计 {wait_s} 秒内有结果", "A result is expected within {wait_s} s"}),
	}
}

func replies() []Entry {
	r := func(code string, c, it Text) Entry { return Entry{code, pleaseWait(), c, lookAtState(), it} }
	return []Entry{
		r("created", Text{"订单已建立", "Order made"}, Text{"新订单", "A new order"}),
		r("queued", Text{"网络中断，订单已排队", "The network is down, the order is queued"}, Text{"离线排队，未发送", "Queued offline, nothing sent"}),
		r("exists", Text{"该账单已有进行中的订单", "The bill has an open order"}, Text{"返回同一账单、同一金额的未结订单", "The open order of the same bill and amount is given"}),
		r("replayed", Text{"重复请求，返回原订单", "A repeated request, the same order"}, Text{"同一 Idempotency-Key，返回订单现状", "Same Idempotency-Key, the order as it is now"}),
		r("accepted", Text{"已受理，到时自动执行", "Accepted, carried out in time"}, Text{"策略允许时执行", "Carried out when the policy allows"}),
		r("claimed", Text{"扫码设备已归本页使用", "The scanner is yours"}, Text{"未收款时读到的卡号发给本会话", "Cards read outside payments go to this client"}),
		r("asked", Text{"已请求使用扫码设备，等待对方答复", "The scanner was asked for, the holder decides"}, Text{"5 秒内未保留即转交", "It passes in 5 s unless the holder keeps it"}),
		r("retained", Text{"继续使用扫码设备", "You keep the scanner"}, Text{"持有者拒绝转交", "The holder keeps it"}),
		r("released", Text{"已释放扫码设备", "The scanner is given up"}, Text{"有请求者则转交，否则关闭", "It passes to who asked, or is closed"}),
		r("done", Text{"已完成", "Done"}, Text{"请求已执行", "The request was carried out"}),
	}
}
