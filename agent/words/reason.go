package words

// reasons tell why an order ended, was canceled or is in doubt.
func reasons() []Entry {
	failed := func(code string, c, it Text) Entry { return Entry{code, notCharged(), c, rescan(), it} }
	doubt := func(code string, c, it Text) Entry { return Entry{code, confirming(), c, noMoreMoney(), it} }
	return []Entry{
		failed("refused", Text{"支付平台拒绝：{message}", "The platform refused: {message}"},
			Text{"平台返回确证失败的代码 {code}", "The platform gave a code that proves the failure: {code}"}),
		failed("not_sent", Text{"未能连接支付平台，未扣款", "The platform could not be reached, nothing was charged"},
			Text{"请求未发出（连接或 TLS 失败）", "The request never left (connection or TLS failed)"}),
		failed("nothing_sent", Text{"系统曾中断，请求未发出，未扣款", "The system was interrupted before sending, nothing was charged"},
			Text{"重启恢复：没有已发送的记录", "Recovery after a restart: there is no record of sending"}),
		failed("token_refused", Text{"支付平台拒绝了授权码，未扣款", "The platform refused our token, nothing was charged"},
			Text{"AccessToken 或会话失效，请更换令牌文件", "Access token or session invalid; replace the token file"}),
		failed("code_old", Text{"付款码已超时，未发送", "The code was too old, nothing was sent"},
			Text{"扫码到发送超过 code_age", "More than code_age between scan and sending"}),
		{"canceled", Text{"已撤销", "Canceled"}, Text{"已按要求撤销", "Canceled as asked"}, otherWay(), Text{"人工或策略撤销", "Canceled by a person or the policy"}},
		{"no_scan", Text{"等待扫码超时，未扣款", "No code was shown in time, nothing was charged"}, Text{"等待扫码超时，订单已结束", "No code was scanned in time, the order ended"},
			Text{"需要时重新收款", "Take the payment again if needed"}, Text{"超过 scan_wait，未发送任何请求", "scan_wait is over, nothing was sent"}},
		{"offline_expired", Text{"排队已过期，未扣款", "The queued order ran out, nothing was charged"}, Text{"离线排队已过期，订单已结束", "The order queued offline ran out"},
			Text{"需要时重新收款", "Take the payment again if needed"}, Text{"超过 valid_for，未发送任何请求", "valid_for is over, nothing was sent"}},
		{"never_arrived", Text{"支付未成功，如已扣款将原路退回", "Not paid; if you were charged, the money comes back"}, Text{"平台查无此单，且已多次撤销，订单已结束", "The platform has no such order and it was canceled repeatedly; ended"},
			rescan(), Text{"TRADE_NOT_EXIST 持续超过 not_found_final", "The platform never heard of the number for longer than not_found_final"}},
		{"closed_by_platform", Text{"交易已关闭，如已扣款将原路退回", "Closed; if you were charged, the money comes back"}, Text{"平台已关闭该订单", "The platform closed the order"}, rescan(), Text{"平台查询答复：已关闭或已全额退回", "The platform's query says closed or given back"}},
		{"schedule", pleaseWait(), Text{"支付超时，自动撤销", "Not paid in time, canceled by the system"}, justWait(), Text{"查询期满仍未支付，按策略自动撤销", "Not paid within the policy's time, canceled by the schedule"}},
		doubt("no_key", Text{"支付应答丢失，无法按单号查询", "The pay reply was lost and there is no number to ask by"},
			Text{"没有 OrderId：SmartPay 需人工核对，或确认 query_key", "No OrderId: check SmartPay by hand, or prove query_key at this site"}),
		doubt("not_confirmed", Text{"撤销多次未确认", "Canceled several times, not confirmed"},
			Text{"已达 quick_cancels，仍在重试", "quick_cancels are used up, trying goes on"}),
		doubt("amount_differs", Text{"平台金额与订单金额不一致", "The platform's amount differs from the order's"},
			Text{"已支付应答的金额不符：人工核对，不得记为成功", "A paid answer with another amount: check by hand, never count it as paid"}),
		doubt("store_lost", Text{"订单记录损坏，正在核实", "The record was damaged, being confirmed"},
			Text{"仅凭意向文件得知，仍在查询", "Known from the intent file only, queries go on"}),
		doubt("paid_after_end", Text{"订单结束后发现已付款，正在退回", "Money came after the end, being given back"},
			Text{"迟到款项，自动冲正", "Late money, reversed by the policy"}),
	}
}

// scans tell why a scanned code is not used (PAY-16): by the kind of code
// where the kind is the reason. Nothing of the code itself is ever said.
func scans() []Entry {
	bad := func(code string, p, c, it Text) Entry {
		return Entry{code, p, c, Text{"请患者打开微信或支付宝的付款码后再扫", "Let the patient open the payment code of WeChat or Alipay and scan again"}, it}
	}
	again := func(code string, p, c, it Text) Entry {
		return Entry{code, p, c, Text{"请患者刷新付款码后再扫", "Let the patient refresh the payment code and scan again"}, it}
	}
	return []Entry{
		bad("merchant_qr", Text{"请出示付款码，不是收款码", "Please show your payment code, not a code for receiving money"}, Text{"扫到的是收款码或网址", "That is a receiving code or an address"}, Text{"merchant_qr：网址类二维码", "merchant_qr: a QR code with an address"}),
		bad("insurance", Text{"这是医保码，请出示付款码", "That is the insurance code, please show your payment code"}, Text{"扫到的是医保电子凭证", "That is an insurance e-certificate"}, Text{"insurance：不得作为付款码发送", "insurance: never sent as a payment code"}),
		bad("id_card", Text{"这是身份证号，请出示付款码", "That is an identity number, please show your payment code"}, Text{"扫到的像身份证号", "That looks like an identity number"}, Text{"id_card：生日与校验位均符合", "id_card: birth date and check digit both fit"}),
		bad("product", Text{"这是商品条码，请出示付款码", "That is a product's code, please show your payment code"}, Text{"扫到的是商品条码", "That is a product's code"}, Text{"product：EAN 一类", "product: EAN and the like"}),
		bad("emv", Text{"暂不支持该付款码，请用微信或支付宝", "This code is not taken here, please use WeChat or Alipay"}, Text{"暂不支持的银行付款码", "A bank's code that is not taken here"}, Text{"emv：EMV CPM", "emv: EMV CPM"}),
		bad("digits", Text{"无法识别，请出示付款码", "Not recognised, please show your payment code"}, Text{"无法识别的数字码", "Digits that no rule knows"}, Text{"digits：可用 send_unknown_digits 放行", "digits: send_unknown_digits lets them pass"}),
		bad("junk", Text{"无法识别，请出示付款码", "Not recognised, please show your payment code"}, Text{"无法识别的条码", "Not a payment code"}, Text{"junk：含非法字符或长度不符", "junk: wrong characters or length"}),
		bad("card", Text{"这是就诊卡，请出示付款码", "That is a hospital card, please show your payment code"}, Text{"扫到的是就诊卡", "That is a hospital card"}, Text{"card：院内自定义规则（codes.rules）识别", "card: known by a rule of the site (codes.rules)"}),
		{"scanner_not_for_payment", Text{"请在另一台设备上出示付款码", "Please show your payment code at the other scanner"}, Text{"这台扫码设备不用于收款，未使用", "This scanner takes no payments, the code was not used"},
			Text{"请患者在付款扫码设备上出示", "Let the patient show it at the scanner for payments"}, Text{"scanners[].pays: false", "scanners[].pays: false"}},
		again("code_used", Text{"该付款码已使用，请刷新后再扫", "This code was used before, please refresh it"}, Text{"该付款码已使用过", "The code was used before"}, Text{"同一付款码只用一次", "A code serves once"}),
		again("code_old", Text{"付款码已超时，请刷新后再扫", "The code is too old, please refresh it"}, Text{"付款码已超时，未发送", "The code is too old, nothing was sent"}, Text{"超过 code_age", "Older than code_age"}),
		again("two_codes", Text{"扫到两个付款码，请只出示一个", "Two codes were seen, please show one only"}, Text{"同时扫到两个不同的码，均未使用", "Two different codes at once, neither was used"}, Text{"two_codes 时间内两个不同的码", "Two different codes within two_codes"}),
		{"scanner_gone", Text{"扫码设备未连接，请稍候", "The scanner is not connected, please wait"}, Text{"扫码设备已断开，订单保留", "The scanner is gone, the order stays"},
			Text{"检查扫码设备的连接线；接好后直接扫码", "Check the scanner's cable; scan as soon as it is back"}, Text{"设备拔出或打不开，代理会自动重新打开", "Unplugged or cannot be opened; the agent opens it again by itself"}},
		{"double_read", pleaseWait(), Text{"重复扫码，已忽略", "Read twice, ignored"}, nothing(), Text{"double_read 时间内同一码", "The same code within double_read"}},
		{"not_waiting", Text{"请等待收费员", "Please wait for the cashier"}, Text{"当前没有等待扫码的订单，已忽略", "No order is waiting for a code, ignored"},
			Text{"先发起收款，再扫码", "Start the payment first, then scan"}, Text{"扫码时本收费点未布防", "The till was not armed"}},
		{"wrong_wallet", Text{"请出示{asked}的付款码", "Please show a code of {asked}"}, Text{"选择的是{asked}，扫到的是{wallet}，未发送", "{asked} was chosen, the code is {wallet}; nothing was sent"},
			Text{"请患者换码，或关闭后选择对应的支付方式", "Let the patient change the code, or close and choose the other wallet"}, Text{"付款码与所选渠道不符", "The code is of another wallet than chosen"}},
		{"platform_unreachable", Text{"网络中断，暂时无法支付，请刷新付款码等待", "The network is down, please wait"}, Text{"网络中断，付款码已丢弃，未发送", "The network is down, the code was dropped, nothing was sent"},
			Text{"恢复后请患者重新出示付款码", "When it is back let the patient show a fresh code"}, Text{"离线时扫到的码从不保存", "A code scanned while offline is never kept"}},
	}
}

// alarms are for IT and finance.
func alarms() []Entry {
	a := func(code string, c, n, it Text) Entry { return Entry{code, askCashier(), c, n, it} }
	finance := Text{"请联系财务与信息科核对", "Have finance and IT check it"}
	return []Entry{
		a("order_in_doubt", Text{"有订单待核实", "An order is in doubt"}, noMoreMoney(), Text{"订单 in_doubt：查看 orders explain", "Order in_doubt: see orders explain"}),
		a("refund_in_doubt", Text{"有退款待核实", "A refund is in doubt"}, finance, Text{"退款结果不明，比对累计退款金额", "Refund outcome unknown, compare the total"}),
		a("amount_differs", Text{"平台金额与订单不一致", "The platform's amount differs from the order's"}, finance, Text{"应答金额不符：单位错误或串单", "The answer's amount differs: a wrong unit or a mixed-up order"}),
		a("answer_mixed_up", Text{"平台应答与订单不符，已忽略", "The platform's answer speaks of another order, ignored"}, callIT(), Text{"单号、商户或金额不符：可能串单或被篡改", "Number, merchant or amount differ: mixed up or forged"}),
		a("late_money", Text{"发现迟到款项，正在退回", "Late money was found and is being given back"}, finance, Text{"订单已结束后平台答复已支付，自动冲正", "Paid after the order's end, reversed by the policy"}),
		a("late_money_refund_refused", Text{"迟到款项退回被拒绝", "Late money could not be given back"}, finance, Text{"自动冲正被平台拒绝：人工退款", "The reversal was refused: refund by hand"}),
		a("refund_sum_differs", Text{"退款累计金额不一致", "The sum of refunds differs"}, finance, Text{"平台累计退款金额与本地不符", "The platform's total differs from ours"}),
		a("token_refused", Text{"支付平台拒绝了授权码", "The platform refused our token"}, callIT(), Text{"更换令牌文件，无需重启", "Replace the token file; no restart is needed"}),
		a("store_lost", Text{"订单文件损坏，已隔离", "The order file was damaged and set aside"}, callIT(), Text{"按意向文件核实未结订单", "Open orders are asked for from the intent file"}),
		a("audit_lines_lost", Text{"审计记录曾被截断", "Audit lines were cut off"}, callIT(), Text{"启动时发现审计文件比游标短：运行 payagent audit verify", "The audit's files ended before its cursor: run payagent audit verify"}),
		a("audit_log_replaced", Text{"订单文件与审计记录不是同一份", "The order file is not the one that was audited"}, callIT(), Text{"订单文件被替换或回滚：运行 payagent audit verify", "The order file was exchanged or rolled back: run payagent audit verify"}),
		a("audit_failed", Text{"审计记录无法写入", "The audit cannot be written"}, callIT(), Text{"检查磁盘与 data_dir/audit 的权限；恢复后自动补写", "Check the disk and the owner of data_dir/audit; it catches up by itself"}),
		a("reconcile_differs", Text{"对账发现差异", "Reconciliation found differences"}, finance, Text{"长款、短款、状态或金额不一致：见对账结果", "Long, short, state or amount differ: see the result"}),
		a("his_webhook_waits", Text{"HIS 超过十分钟没有接收支付通知", "HIS has taken no payment notice for ten minutes"}, callIT(), Text{"his.webhook 最早的事件等待超过 10 分钟：检查 HIS 接口、网络与密钥；恢复后自动补发", "The oldest event of his.webhook waits for more than 10 minutes: check HIS's interface, the network and the key; all is told when it is back"}),
		a("fact_refused", Text{"内部记录不一致", "An internal record does not fit"}, callIT(), Text{"事实与状态不符，已拒绝：请报告", "A fact did not fit the state and was refused: report it"}),
	}
}
