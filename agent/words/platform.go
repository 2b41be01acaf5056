package words

// smartpayCodes are the RespCodes of wire.md §1.4–1.6 and the OrderState words
// of §1.5. Numbers are reused between layers of that server, so the words of
// those that prove nothing leave the outcome open.
func smartpayCodes() []Entry {
	open := func(code string, zh, en string) Entry {
		return Entry{code, pleaseWait(), Text{"支付平台：" + zh + "，结果待确认", "Platform: " + en + "; the result is open"}, justWait(),
			Text{"RespCode " + code + " " + zh + "：不能证明未扣款，需查询", "RespCode " + code + " " + en + ": does not prove that nothing was charged, ask"}}
	}
	unsent := func(code string, zh, en string) Entry {
		return Entry{code, notCharged(), Text{"支付平台未受理：" + zh, "The platform did not take the request: " + en}, callIT(),
			Text{"RespCode " + code + " " + zh + "：在支付层之前被拒，未扣款", "RespCode " + code + " " + en + ": refused before the payment layer, nothing was charged"}}
	}
	token := func(code string, zh, en string) Entry {
		return Entry{code, notCharged(), Text{"支付平台拒绝授权：" + zh, "The platform refused our credentials: " + en}, callIT(),
			Text{"RespCode " + code + " " + zh + "：更换令牌或 client_id，未扣款", "RespCode " + code + " " + en + ": replace token or client_id, nothing was charged"}}
	}
	state := func(code string, p, c Text, n Text, it Text) Entry { return Entry{"OrderState " + code, p, c, n, it} }
	return []Entry{
		{"10000", Text{"处理成功", "Done"}, Text{"支付平台：成功", "Platform: success"}, lookAtState(), Text{"RespCode 10000 成功；仍核对单号与金额", "RespCode 10000 success; number and amount are still compared"}},
		{"-400011", Text{"请在手机上完成支付", "Please finish the payment on your phone"}, Text{"用户支付中（等待输入密码或平台处理）", "The patient is paying (password, or the platform is at work)"}, justWait(),
			Text{"RespCode -400011 商户订单正在等待支付中；渠道错误也用此码", "RespCode -400011 waiting for the payer; channel errors use it too"}},
		{"-400010", Text{"付款码已失效，未扣款，请刷新", "The code is no longer valid, nothing was charged, please refresh it"}, Text{"付款码已失效", "The payment code is no longer valid"}, rescan(),
			Text{"RespCode -400010 二维码已失效：确证未扣款", "RespCode -400010 code invalid: proven that nothing was charged"}},
		{"-400012", pleaseWait(), Text{"付款码过期或下单异常，以订单状态为准", "The code ran out or the order was not made; go by the order's state"}, lookAtState(),
			Text{"RespCode -400012 两种含义：仅当说明为过期、失效时算失败", "RespCode -400012 has two meanings: a failure only where the words say expired or invalid"}},
		unsent("-20000", "参数、解析或校验错误", "a parameter, parsing or validation error"), unsent("-20001", "参数、解析或校验错误", "a parameter, parsing or validation error"),
		unsent("-20002", "交易代码为空", "TransactionCode is empty"), unsent("-14008", "参数、解析或校验错误", "a parameter, parsing or validation error"),
		unsent("-14009", "参数、解析或校验错误", "a parameter, parsing or validation error"), unsent("-14019", "参数、解析或校验错误", "a parameter, parsing or validation error"),
		unsent("-14020", "参数、解析或校验错误", "a parameter, parsing or validation error"), unsent("-40009", "参数、解析或校验错误", "a parameter, parsing or validation error"),
		token("-14015", "会话或授权失效", "session or authorisation no longer valid"), token("40001", "会话或授权失效", "session or authorisation no longer valid"), token("20000", "会话或授权失效", "session or authorisation no longer valid"),
		token("40013", "会话或授权失效", "session or authorisation no longer valid"), token("40014", "会话或授权失效", "session or authorisation no longer valid"),
		open("-10000", "系统异常或渠道未配置", "system error, or channel not configured"), open("-14005", "医院端异常", "error on the hospital's side"),
		open("-14006", "未说明的错误", "unspecified error"), open("-14024", "未说明的错误", "unspecified error"),
		open("-14025", "未说明的错误", "unspecified error"), open("-14444", "网关异常", "gateway error"), open("50000", "网关异常", "gateway error"),
		open("-30000", "未说明的错误", "unspecified error"), open("-99999", "未知错误", "unknown error"),
		open("-400001", "状态错误", "wrong state"), open("-400002", "订单不存在", "no such order"), open("-400005", "退费失败", "refund failed"),
		open("-400006", "订单或支付异常", "order or payment error"), open("-400007", "订单或支付异常", "order or payment error"),
		open("-400008", "订单状态异常（可能已撤销）", "order in the wrong state (perhaps revoked before)"), open("-400009", "金额不正确", "amount not right"),
		open("-400013", "处方付", "prescription payment"), open("-400014", "限制支付", "payment restricted"), open("-400016", "退费异常", "refund error"),
		open("-400017", "验签不通过", "signature not accepted"), open("-400018", "查询异常", "query error"), open("-400019", "撤销失败", "revoke failed"),
		open("-400020", "关闭失败", "close failed"), open("-400021", "用户账号异常", "trouble with the payer's account"),
		open("-300005", "数据不存在", "no such data"), open("-63007", "订单未找到", "order not found"), open("-63010", "退款金额大于支付金额", "refund larger than the payment"),
		open("-14018", "结果集为空", "empty result"),
		state("0", pleaseWait(), Text{"未支付（或状态未明）", "Not paid, or not known"}, justWait(), Text{"OrderState 0：服务器对未知状态也答 0，不算失败", "OrderState 0: also the server's word for what it does not know, no failure"}),
		state("1", Text{"请在手机上完成支付", "Please finish the payment on your phone"}, Text{"用户支付中", "The patient is paying"}, justWait(), Text{"OrderState 1 正在支付", "OrderState 1 paying"}),
		state("2", Text{"支付成功", "Paid"}, Text{"支付成功", "Paid"}, nothing(), Text{"OrderState 2 支付完成；本方撤销成功后再见到 2 不作数", "OrderState 2 paid; after our own successful revoke it proves nothing"}),
		state("3", pleaseWait(), Text{"正在退费", "Being refunded"}, justWait(), Text{"OrderState 3 正在退费", "OrderState 3 refund under way"}),
		state("4", Text{"已退回原账户", "Given back"}, Text{"退费完成", "Refunded"}, lookAtState(), Text{"OrderState 4 退费完成；微信撤销也答 4", "OrderState 4 refunded; revoked WeChat orders answer it too"}),
		state("5", Text{"交易已关闭，如已扣款将原路退回", "Closed; if you were charged, the money comes back"}, Text{"已取消或关闭", "Canceled or closed"}, lookAtState(), Text{"OrderState 5 已关闭，再确认一次", "OrderState 5 closed, asked once more"}),
		state("6", Text{"已撤销，如已扣款将原路退回", "Revoked; if you were charged, the money comes back"}, Text{"已撤销", "Revoked"}, lookAtState(), Text{"OrderState 6 已撤销", "OrderState 6 revoked"}),
		state("7", confirming(), Text{"退费失败", "Refund failed"}, noMoreMoney(), Text{"OrderState 7 退费失败：款项归属待核实", "OrderState 7 refund failed: who holds the money is open"}),
		state("8", confirming(), Text{"交易结束，不可退费", "Finished, no refund possible"}, noMoreMoney(), Text{"OrderState 8：曾见已支付才算已支付，否则待核实", "OrderState 8: paid only if it was ever seen paid, else in doubt"}),
		state("9", confirming(), Text{"退款关闭", "Refund closed"}, noMoreMoney(), Text{"OrderState 9 退款关闭：款项归属待核实", "OrderState 9 refund closed: who holds the money is open"}),
	}
}

// fwcCodes are IsSuccess (wire.md §2.2), TradeStatus (§2.4), the flags of a
// cancel, and the SubCodes that the seed shows.
func fwcCodes() []Entry {
	return []Entry{
		{"IsSuccess 0", pleaseWait(), Text{"支付平台：业务失败，以订单状态为准", "Platform: the business failed; go by the order's state"}, lookAtState(),
			Text{"IsSuccess 0 业务逻辑失败：支付后不能证明未扣款，需查询", "IsSuccess 0: after a pay call no proof that nothing was charged, ask"}},
		{"IsSuccess 1", pleaseWait(), Text{"支付平台：调用成功", "Platform: the call worked"}, lookAtState(),
			Text{"IsSuccess 1 仅表示调用成功，支付结果看 TradeStatus", "IsSuccess 1 says that the call worked; TradeStatus says whether it is paid"}},
		{"IsSuccess 2", confirming(), Text{"支付平台处理时发生错误，结果待确认", "The platform met an error, the result is open"}, justWait(),
			Text{"IsSuccess 2 处理业务时发生错误：结果未知，需查询", "IsSuccess 2: error while processing, unknown, ask"}},
		{"IsSuccess 3", notCharged(), Text{"支付平台拒绝了授权码，未扣款", "The platform refused our token, nothing was charged"}, callIT(),
			Text{"IsSuccess 3 AccessToken 验证失败：更换令牌文件", "IsSuccess 3: the access token was refused; replace the token file"}},
		{"TRADE_SUCCESS", Text{"支付成功", "Paid"}, Text{"支付成功", "Paid"}, nothing(), Text{"TRADE_SUCCESS 支付成功（部分退款后不变）", "TRADE_SUCCESS paid (partial refunds keep it)"}},
		{"TRADE_FINISHED", Text{"支付成功", "Paid"}, Text{"支付成功，已不可退款", "Paid, past refunding"}, nothing(), Text{"TRADE_FINISHED 交易成功结束，超过三个月不可退费", "TRADE_FINISHED paid, no refunds after three months"}},
		{"TRADE_CLOSED", Text{"交易已关闭，如已扣款将原路退回", "Closed; if you were charged, the money comes back"}, Text{"交易已关闭", "The trade is closed"}, lookAtState(),
			Text{"TRADE_CLOSED：超时、撤销或全额退款，已非支付状态", "TRADE_CLOSED: timed out, canceled or fully refunded, not paid any more"}},
		{"WAIT_BUYER_PAY", Text{"请在手机上完成支付", "Please finish the payment on your phone"}, Text{"用户支付中", "The patient is paying"}, justWait(), Text{"WAIT_BUYER_PAY 等待买家付款", "WAIT_BUYER_PAY waiting for the payer"}},
		{"TRADE_NOT_EXIST", pleaseWait(), Text{"平台暂无此交易，继续查询", "The platform does not know the trade yet, asking on"}, justWait(),
			Text{"TRADE_NOT_EXIST：请求可能仍在途中，撤销成功前不作结论", "TRADE_NOT_EXIST: the request may be under way; proves nothing before a cancel succeeded"}},
		{"SYSTEM_ERROR", pleaseWait(), Text{"支付平台系统错误，继续查询", "System error at the platform, asking on"}, justWait(), Text{"SYSTEM_ERROR：结果未知，再查询", "SYSTEM_ERROR: unknown, ask again"}},
		{"ILLEGAL_ARGUMENT", confirming(), Text{"查询参数有误，结果待确认", "A query was wrong, the result is open"}, callIT(), Text{"ILLEGAL_ARGUMENT：本方请求有误，需报告", "ILLEGAL_ARGUMENT: our request was wrong, report it"}},
		{"TRADE_HAS_SUCCESS", pleaseWait(), Text{"平台称交易已被支付，正在核对", "The platform says the trade is paid, being compared"}, justWait(), Text{"SubCode TRADE_HAS_SUCCESS 交易已被支付：以查询为准", "SubCode TRADE_HAS_SUCCESS: a query decides"}},
		{"5001", pleaseWait(), Text{"用户取消，正在确认", "The payer canceled, being confirmed"}, justWait(), Text{"SubCode 5001 用户取消：以查询为准", "SubCode 5001 canceled by the payer: a query decides"}},
		{"RetryFlag Y", pleaseWait(), Text{"撤销未完成，系统会重试", "The cancel is not done, it is repeated"}, justWait(), Text{"RetryFlag Y 可继续撤销", "RetryFlag Y: may be canceled again"}},
		{"RetryFlag N", pleaseWait(), Text{"不可再撤销，正在查询结果", "No more cancels, asking for the result"}, justWait(), Text{"RetryFlag N 不可继续撤销：以查询为准", "RetryFlag N: no further cancel will work, a query decides"}},
		{"CancelAction close", Text{"已撤销，未扣款", "Canceled, nothing was charged"}, Text{"已关闭，未扣款", "Closed, nothing was charged"}, lookAtState(), Text{"CancelAction close 关闭交易，无退款", "CancelAction close: closed, no refund"}},
		{"CancelAction refund", Text{"已撤销，款项已退回原账户", "Canceled, the money went back to your account"}, Text{"已退回原账户", "Given back to the payer's account"}, lookAtState(), Text{"CancelAction refund 有退款：曾扣款", "CancelAction refund: it had been charged"}},
	}
}
