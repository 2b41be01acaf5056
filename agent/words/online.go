package words

// onlineStates are the states of payments on a page and by medical insurance.
func onlineStates() []Entry {
	return []Entry{
		{"waiting.insurance", Text{"请在手机上完成医保授权", "Please authorise the insurance payment on your phone"},
			Text{"等待医保授权或结算", "Waiting for the insurance's authorisation or settlement"},
			Text{"引导患者在手机上授权；HIS 完成医保预结算后提交；改用其他方式请先撤销", "Let the patient authorise on the phone; HIS settles and submits; cancel first to pay another way"},
			Text{"医保支付未发出：见订单的 insurance.step", "The insurance payment was not sent: see insurance.step of the order"}},
		{"paying.h5", Text{"请在支付页面完成支付", "Please finish the payment on the page"},
			Text{"用户支付中（H5 页面）", "The patient is paying on the page"},
			Text{"等待患者在页面上支付；可随时撤销", "Wait for the patient to pay there; it may be canceled at any time"},
			Text{"goto_url 已给出，按间隔查询，通知可提前触发", "goto_url was given; queries in intervals, a notification makes them earlier"}},
		{"paying.insurance", Text{"请在支付页面完成医保支付", "Please finish the insurance payment on the page"},
			Text{"用户支付中（医保）", "The patient is paying by insurance"},
			Text{"等待患者在页面上支付；可随时撤销", "Wait for the patient to pay there; it may be canceled at any time"},
			Text{"lc.ssc.trade.pay 已发出，等待结果", "lc.ssc.trade.pay was sent, waiting for the outcome"}},
	}
}

// onlineReasons tell why such an order ended, and what is worth knowing of it.
func onlineReasons() []Entry {
	return []Entry{
		{"no_authorisation", Text{"授权超时，未扣款", "Not authorised in time, nothing was charged"}, Text{"医保授权超时，订单已结束", "The insurance was not authorised in time, the order ended"},
			Text{"需要时重新收款", "Take the payment again if needed"}, Text{"超过 authorise_wait，未发送支付", "authorise_wait is over, no payment was sent"}},
		{"no_settlement", Text{"医保结算超时，未扣款", "The insurance was not settled in time, nothing was charged"}, Text{"HIS 未按时提交医保结算，订单已结束", "HIS did not submit the settlement in time, the order ended"},
			Text{"检查 HIS 的医保预结算，需要时重新收款", "Look at HIS's settlement, take the payment again if needed"}, Text{"超过 settle_wait，未发送支付", "settle_wait is over, no payment was sent"}},
		{"payer_left", Text{"您已关闭支付页面，如已支付请稍候", "You closed the payment page; if you paid, please wait"}, Text{"患者关闭了支付页面（用户取消），结果以平台为准", "The patient closed the payment page; the platform decides what became of it"},
			Text{"等待结果；需要时撤销", "Wait for the outcome; cancel if needed"}, Text{"return_url 带回 sub_code 5001：不作为依据，只触发查询", "return_url carried sub_code 5001: no evidence, it only wakes the query"}},
		{"authorise_again", Text{"授权未成功，请重新授权", "The authorisation did not work, please authorise again"}, Text{"医保授权未取得凭据，请患者重新授权", "The authorisation gave no token; let the patient authorise again"},
			Text{"使用新的授权地址", "Use the new address"}, Text{"lc.ssc.user.token 未给出 pay_auth_no / qr_code：见平台代码", "lc.ssc.user.token gave no pay_auth_no or qr_code: see the platform's code"}},
	}
}

// onlineProblems are refusals of the medical insurance's requests.
func onlineProblems() []Entry {
	return []Entry{
		{"insurance_stop", askCashier(), Text{"订单当前不需要这一步", "The order does not wait for this now"}, lookAtState(),
			Text{"见 insurance.step：authorise → token → settle → sent", "See insurance.step: authorise → token → settle → sent"}},
		{"state_wrong", Text{"授权已失效，请重新授权", "This authorisation is not valid any more, please authorise again"}, Text{"授权返回的 state 不符或已使用", "The state that came back is not that of this attempt, or was used"},
			Text{"请患者从新的授权地址重新开始", "Let the patient begin again at the present address"}, Text{"state 每次授权唯一，只可使用一次", "A state is unique to an attempt and serves once"}},
	}
}

// pages are the page that a patient comes back to. The cashier's text is its
// heading.
func pages() []Entry {
	page := func(code string, head, say, it Text) Entry { return Entry{code, say, head, justWait(), it} }
	return []Entry{
		page("page_success", Text{"支付成功", "Paid"}, Text{"您可以关闭此页面", "You may close this page"}, Text{"已支付，且 HIS 已入账（或本处不要求入账）", "Paid, and booked by HIS (or no booking is expected here)"}),
		page("page_booking", Text{"正在确认", "Being confirmed"}, Text{"已收到付款，正在等待医院确认，请稍候", "Your payment arrived; the hospital is confirming it, please wait"}, Text{"已支付，等待 HIS 入账", "Paid, waiting for HIS to book it"}),
		page("page_confirming", Text{"正在确认支付结果", "The payment is being confirmed"}, Text{"请稍候，请勿重复支付", "Please wait, do not pay again"}, Text{"尚无明确结果，仍在查询", "No definite result yet, queries go on"}),
		page("page_left", Text{"正在确认支付结果", "The payment is being confirmed"}, Text{"您已离开支付页面；如已支付请稍候，请勿重复支付", "You left the payment page; if you paid, please wait and do not pay again"}, Text{"浏览器带回 5001，不作为依据", "The browser brought 5001, which is no evidence"}),
		page("page_canceling", Text{"正在撤销", "Being canceled"}, Text{"请勿再支付；如已扣款将原路退回", "Do not pay any more; if you were charged, the money comes back"}, Text{"撤销已发出，尚未确认", "The cancel left and is not confirmed"}),
		page("page_checking", Text{"正在核实", "Being checked"}, Text{"款项状态核实中，请勿重复支付，可咨询收费窗口", "The payment is being checked; do not pay again, you may ask at the counter"}, Text{"待核实，已报警", "In doubt, an alarm was raised"}),
		page("page_not_paid", Text{"支付未成功", "Not paid"}, Text{"订单已关闭，未扣款；如需支付请重新发起", "The order is closed and nothing was charged; start again to pay"}, Text{"订单已结束，未支付", "The order ended unpaid"}),
		page("page_reversed", Text{"已撤销", "Canceled"}, Text{"款项将原路退回，请留意到账", "The money goes back the way it came"}, Text{"HIS 处理失败或已撤销：款项退回中", "HIS could not process it, or it was canceled: the money goes back"}),
		page("page_refunded", Text{"已退款", "Refunded"}, Text{"款项已原路退回，到账时间以支付渠道为准", "The money went back the way it came; when it arrives is up to your wallet"}, Text{"已全额退回", "Given back whole"}),
		page("page_waiting", Text{"请稍候", "Please wait"}, Text{"医院正在进行医保结算，完成后将自动进入支付页面", "The hospital is settling with the insurance; you will be led to the payment page"}, Text{"等待 HIS 提交医保结算", "Waiting for HIS's settlement"}),
		page("page_authorise_failed", Text{"授权未成功", "Not authorised"}, Text{"请返回原页面重新授权", "Please go back and authorise again"}, Text{"state 不符、已使用或已过期", "The state is wrong, was used, or is too old"}),
		page("page_again", Text{"系统繁忙", "Busy"}, Text{"请稍候刷新此页面", "Please wait and load this page again"}, Text{"暂时无法受理", "Not taken at the moment"}),
		page("page_unknown", Text{"页面已失效", "This page is not valid"}, Text{"请返回医院应用查询结果", "Please look for the result in the hospital's app"}, Text{"订单号或令牌不符", "The order's number or the token is wrong"}),
	}
}
