package words

// What asks finance to look. Nobody is accused: each of these has innocent
// reasons. Cashiers and patients never read them.
func checkAlarms() []Entry {
	next := Text{"请财务核对所列订单；有正当原因的不必处理", "Please have finance check the orders named; where there is a good reason nothing is to be done"}
	a := func(code string, c, it Text) Entry { return Entry{"check_" + code, askCashier(), c, next, it} }
	return []Entry{
		a("refund_absent", Text{"请核对：退款时患者可能不在场", "Please check: a refund, perhaps without the patient"},
			Text{"付款之后超过 finance.signals.refund_after，或不是收款人本人申请的退款", "Asked for later than finance.signals.refund_after after the payment, or not by who took it"}),
		a("many_cancels", Text{"请核对：一小时内撤销较多", "Please check: many cancels within an hour"},
			Text{"同一操作员一小时内的撤销达到 finance.signals.cancels", "One operator's cancels within an hour reached finance.signals.cancels"}),
		a("code_two_tills", Text{"请核对：同一付款码出现在两个窗口", "Please check: one payment code at two tills"},
			Text{"已在一处使用的付款码又在另一处出示；第二次已拒绝，没有扣款", "A code that was used at one till was shown at another; the second was refused, nothing was charged"}),
		a("refunds_over", Text{"请核对：本班退款多于收款", "Please check: more refunds than payments in a shift"},
			Text{"同一操作员本班退款合计超过收款合计", "One operator's refunds of a shift exceed what they took"}),
		a("after_hours", Text{"请核对：非营业时间的收退款", "Please check: payments or refunds after hours"},
			Text{"不在 finance.signals.hours 之内", "Outside finance.signals.hours"}),
	}
}
