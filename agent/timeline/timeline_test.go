package timeline

import (
	"strings"
	"testing"

	"payagent/agent/order"
	"payagent/platforms"
)

func TestEveryKindIsTold(t *testing.T) {
	person := &order.Person{Operator: platforms.Operator{ID: "1001", Name: "Wang"}, Reason: "patient left"}
	sum := platforms.Fen(50)
	facts := []order.Fact{
		{Kind: order.KindCreated, Created: &order.Created{Bill: "B1", Amount: 12850, Till: "w1", Mode: platforms.ModeCharge}},
		{Kind: order.KindSent, Sent: &order.Sent{Verb: order.VerbCharge, CodeKind: platforms.KindWeChat}},
		{Kind: order.KindAnswered, Answer: &order.Reply{Verb: order.VerbCharge, Status: "pending", Code: "-400011", Message: "用户支付中"}},
		{Kind: order.KindCancelAsked, Person: person},
		{Kind: order.KindSent, Sent: &order.Sent{Verb: order.VerbCancel}},
		{Kind: order.KindAnswered, Answer: &order.Reply{Verb: order.VerbCancel, Done: true, Action: platforms.ActionRefund}},
		{Kind: order.KindLate},
		{Kind: order.KindRefund, Refund: &order.Refund{Request: "R1", Sum: 50, Operator: person.Operator}},
		{Kind: order.KindSent, Sent: &order.Sent{Verb: order.VerbRefund, Request: "R1"}},
		{Kind: order.KindAnswered, Answer: &order.Reply{Verb: order.VerbRefund, Request: "R1", Outcome: order.RefundDone, Refunded: &sum}},
		{Kind: order.KindEnded, Ended: &order.Ended{State: order.Canceled, Reason: "no_scan"}},
		{Kind: order.KindDoubt, Reason: "no_key"},
		{Kind: order.KindDetached},
		{Kind: order.KindConfirmed, Person: person},
	}
	lines := Of(facts)
	if len(lines) != len(facts) {
		t.Fatalf("%d lines for %d facts:\n%s", len(lines), len(facts), Text(lines))
	}
	text := Text(lines)
	for _, want := range []string{"128.50", "B1", "微信付款码", "-400011", "1001", "patient left", "已退回原账户", "退款 R1 已完成", "转后台"} {
		if !strings.Contains(text, want) {
			t.Errorf("the history does not say %q:\n%s", want, text)
		}
	}
	for _, l := range lines {
		if strings.Contains(l.ZH, "（）") || strings.HasSuffix(strings.TrimSpace(l.EN), "()") || strings.HasSuffix(l.ZH, "：") {
			t.Errorf("an empty sentence: %+v", l)
		}
	}
}
