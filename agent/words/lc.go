package words

// lcCodes are what the signed gateway lc.* says (wire.md §3): code, sub_code,
// trade_status, and the two flags of lc.trade.cancel. The words of trade_status
// are those of the XML family; they are told again because the same word leads
// to another next step here: without a query a verified notification is the
// only evidence.
func lcCodes() []Entry {
	return []Entry{
		{"code 10000", pleaseWait(), Text{"支付平台：网关调用成功", "Platform: the gateway worked"}, lookAtState(),
			Text{"code 10000：只说明网关正常，是否支付看 trade_status、sub_code 或查询", "code 10000: the gateway worked, no more; trade_status, sub_code or a query tell of the payment"}},
		{"code 40004", pleaseWait(), Text{"支付平台：业务失败，以订单状态为准", "Platform: the business failed; go by the order's state"}, lookAtState(),
			Text{"code 40004 业务失败：原因看 sub_code；支付后不能证明未扣款", "code 40004 business failed: sub_code tells why; after a pay call no proof that nothing was charged"}},
		{"TRADE_SUCCESS", Text{"支付成功", "Paid"}, Text{"支付成功", "Paid"}, nothing(),
			Text{"trade_status TRADE_SUCCESS 支付成功（部分退款后不变）", "trade_status TRADE_SUCCESS paid (partial refunds keep it)"}},
		{"TRADE_FINISHED", Text{"支付成功", "Paid"}, Text{"支付成功，已不可退款", "Paid, past refunding"}, nothing(),
			Text{"trade_status TRADE_FINISHED 交易结束，不可退款；默认不发通知", "trade_status TRADE_FINISHED finished, no refunds; not notified by default"}},
		{"TRADE_CLOSED", Text{"交易已关闭，如已扣款将原路退回", "Closed; if you were charged, the money comes back"}, Text{"交易已关闭", "The trade is closed"}, lookAtState(),
			Text{"trade_status TRADE_CLOSED：超时未付，或支付后全额退款", "trade_status TRADE_CLOSED: not paid in time, or given back in full"}},
		{"WAIT_BUYER_PAY", Text{"请在手机上完成支付", "Please finish the payment on your phone"}, Text{"用户支付中", "The patient is paying"}, justWait(),
			Text{"trade_status WAIT_BUYER_PAY 等待买家付款；默认不发通知", "trade_status WAIT_BUYER_PAY waiting for the payer; not notified by default"}},
		{"TRADE_NOT_EXIST", pleaseWait(), Text{"平台暂无此交易，继续查询", "The platform does not know the trade yet, asking on"}, justWait(),
			Text{"TRADE_NOT_EXIST：请求可能仍在途中，撤销成功前不作结论", "TRADE_NOT_EXIST: the request may be under way; proves nothing before a cancel succeeded"}},
		{"SYSTEM_ERROR", pleaseWait(), Text{"支付平台系统错误，继续查询", "System error at the platform, asking on"}, justWait(),
			Text{"SYSTEM_ERROR：结果未知，再查询", "SYSTEM_ERROR: unknown, ask again"}},
		{"ILLEGAL_ARGUMENT", confirming(), Text{"请求参数有误，结果待确认", "A request was wrong, the result is open"}, callIT(),
			Text{"ILLEGAL_ARGUMENT：本方请求有误，需报告", "ILLEGAL_ARGUMENT: our request was wrong, report it"}},
		{"TRADE_HAS_SUCCESS", pleaseWait(), Text{"平台称交易已被支付，正在核对", "The platform says the trade is paid, being compared"}, justWait(),
			Text{"sub_code TRADE_HAS_SUCCESS 交易已被支付：以查询为准", "sub_code TRADE_HAS_SUCCESS: a query decides"}},
		{"5001", Text{"您已取消支付，正在确认", "You canceled the payment, it is being confirmed"}, Text{"用户取消，正在确认", "The payer canceled, being confirmed"}, justWait(),
			Text{"sub_code 5001 用户取消（return_url）：只是提示，以查询或通知为准", "sub_code 5001 canceled by the payer (return_url): a hint, a query or a notification decides"}},
		{"retry_flag Y", pleaseWait(), Text{"撤销未完成，系统会重试", "The cancel is not done, it is repeated"}, justWait(),
			Text{"retry_flag Y 可继续撤销", "retry_flag Y: may be canceled again"}},
		{"retry_flag N", pleaseWait(), Text{"不可再撤销，正在查询结果", "No more cancels, asking for the result"}, justWait(),
			Text{"retry_flag N 不可继续撤销：以查询为准，否则待核实", "retry_flag N: no further cancel will work; a query decides, else in doubt"}},
		{"action close", Text{"已撤销，未扣款", "Canceled, nothing was charged"}, Text{"已关闭，未扣款", "Closed, nothing was charged"}, lookAtState(),
			Text{"action close 关闭交易，无退款", "action close: closed, no refund"}},
		{"action refund", Text{"已撤销，款项已退回原账户", "Canceled, the money went back to your account"}, Text{"已退回原账户", "Given back to the payer's account"}, lookAtState(),
			Text{"action refund 有退款：曾扣款", "action refund: it had been charged"}},
	}
}

// servedCodes are the codes of the two interfaces that the agent serves for
// reconciliation (seed 004 §7): the platform reads them, people only in a log.
func servedCodes() []Entry {
	return []Entry{
		{"OutTradeStatus 2", Text{"支付成功", "Paid"}, Text{"已付款", "Paid"}, nothing(), Text{"OutTradeStatus 2 已付款：HIS 已入账的收款", "OutTradeStatus 2: a payment that HIS booked"}},
		{"OutTradeStatus 3", Text{"已退回原账户", "Given back to your account"}, Text{"已退款", "Refunded"}, nothing(), Text{"OutTradeStatus 3 已退款：每笔退款一行", "OutTradeStatus 3: one row per refund"}},
		{"IsSuccess 0", askCashier(), Text{"对账请求有误或查无此单", "The request was wrong, or there is no such order"}, callIT(), Text{"IsSuccess 0：日期有误，或没有这个订单号；Message 说明原因", "IsSuccess 0: bad dates, or no such number; Message says which"}},
		{"IsSuccess 1", pleaseWait(), Text{"对账请求已处理", "The request was served"}, nothing(), Text{"IsSuccess 1：已完整给出（可以没有行）", "IsSuccess 1: all of it was given (there may be no rows)"}},
		{"IsSuccess 2", askCashier(), Text{"对账数据暂时无法提供", "The data cannot be given now"}, callIT(), Text{"IsSuccess 2：内部错误，不是空清单；看本机日志，稍后再取", "IsSuccess 2: an internal error, not an empty list; see the log, fetch again later"}},
		{"IsSuccess 3", askCashier(), Text{"对账方的授权码不对", "The caller's token is not right"}, callIT(), Text{"IsSuccess 3 AccessToken 验证失败：核对双方的授权码", "IsSuccess 3: AccessToken refused, compare the tokens of both sides"}},
	}
}
