package timeline

import (
	"fmt"

	"payagent/agent/order"
	"payagent/agent/words"
)

// ofBooking tells what HIS said, or that it was silent.
func ofBooking(f order.Fact) (zh, en string) {
	switch f.Kind {
	case order.KindReversing:
		return "HIS 未确认，已告知 HIS 款项即将退回", "HIS is silent; it was told that the money will go back"
	case order.KindUnbooked:
		return "HIS 久未确认入账，已提示", "HIS has not booked it for long; people were told"
	}
	if f.Kind == order.KindTold {
		return "已答复 HIS：已支付（HIS 按平台接口调用，不回报入账）", "HIS was answered that it is paid; it calls as it would call the platform and does not say what it books"
	}
	b := f.Booked
	if b.Assumed {
		return "HIS 未撤销，视为已入账", "HIS did not take it back; it counts as booked"
	}
	who := &order.Person{Operator: b.Operator, Reason: b.Reason}
	what, whatEN := "这笔收款", "the payment"
	if b.Refund != "" {
		what, whatEN = "退款 "+b.Refund, "refund "+b.Refund
	}
	if b.InsuranceTaken != nil && b.CashTaken != nil {
		taken := func(v bool, zhText, enText string) (string, string) {
			if v {
				return zhText + "已收", enText + " taken"
			}
			return zhText + "未收", enText + " not taken"
		}
		i, iEN := taken(*b.InsuranceTaken, "医保", "insurance")
		c, cEN := taken(*b.CashTaken, "现金", "cash")
		what, whatEN = what+"（"+i+"，"+c+"）", whatEN+" ("+iEN+", "+cEN+")"
	}
	if b.OK {
		return "HIS 已入账" + what + "，流水号 " + b.FlowID, "HIS booked " + whatEN + ", number " + b.FlowID + byEN(who)
	}
	return "HIS 告知" + what + "处理失败" + reason(who), "HIS said that it could not process " + whatEN + byEN(who) + reason(who)
}

// ofPeople tells what second persons decided, and what was resolved by hand.
func ofPeople(cat words.Catalogue, f order.Fact) (zh, en string) {
	said := func(d *order.Decided) (string, string) {
		who := &order.Person{Operator: d.Operator, Reason: d.Reason}
		if d.OK {
			return by(who, "同意") + reason(who), "agreed" + byEN(who) + reason(who)
		}
		return by(who, "不同意") + reason(who), "declined" + byEN(who) + reason(who)
	}
	switch f.Kind {
	case order.KindDecided:
		z, e := said(f.Decided)
		return "退款 " + f.Decided.Refund + " 复核：" + z, "Refund " + f.Decided.Refund + ": " + e
	case order.KindResolved:
		z, e := said(f.Decided)
		return "人工结论复核：" + z, "The resolution: " + e
	case order.KindReopened:
		w, _ := cat.Find(words.Reason, f.Reason)
		return w.Cashier.ZH, w.Cashier.EN
	}
	p := f.Proposed
	who := &order.Person{Operator: p.Operator, Reason: p.Reason}
	about := ""
	if p.Refund != "" {
		about = " " + p.Refund
	}
	return fmt.Sprintf("%s%s：%s，依据：%s%s", by(who, "提出人工结论"), about, p.Outcome, p.Evidence, reason(who)),
		fmt.Sprintf("Resolution proposed%s%s: %s, evidence: %s%s", about, byEN(who), p.Outcome, p.Evidence, reason(who))
}
