// Package timeline tells the history of one order in sentences that finance
// can read (OBS-03): when HIS asked, when a code was read, what the platform
// answered, why it was canceled. It holds no payment code and no person but
// the operators, so it may be handed on.
package timeline

import (
	"fmt"
	"strings"
	"time"

	"payagent/agent/order"
	"payagent/agent/words"
	"payagent/platforms"
)

// Line is one thing that happened.
type Line struct {
	At time.Time `json:"at"` // wall time, UTC+8
	ZH string    `json:"zh"`
	EN string    `json:"en"`
}

// Zone is the zone of every time that people see: wires and finance count in
// UTC+8 (decision 20).
func Zone() *time.Location { return time.FixedZone("UTC+8", 8*3600) }

// Of tells the facts of one order, oldest first.
func Of(facts []order.Fact) []Line {
	cat := words.New()
	list := make([]Line, 0, len(facts))
	for _, f := range facts {
		zh, en := tell(cat, f)
		if zh == "" {
			continue
		}
		list = append(list, Line{At: time.UnixMilli(f.At.Wall).In(Zone()), ZH: zh, EN: en})
	}
	return list
}

// Text writes the lines for a terminal or a slip, both languages.
func Text(list []Line) string {
	var b strings.Builder
	for _, l := range list {
		fmt.Fprintf(&b, "%s  %s\n%21s%s\n", l.At.Format("2006-01-02 15:04:05"), l.ZH, "", l.EN)
	}
	return b.String()
}

func tell(cat words.Catalogue, f order.Fact) (zh, en string) {
	switch f.Kind {
	case order.KindCreated:
		return created(f.Created)
	case order.KindConfirmed:
		return "平台恢复后，" + by(f.Person, "继续收款"), "Taken up after the platform was back" + byEN(f.Person)
	case order.KindSent:
		return sent(f.Sent)
	case order.KindAnswered:
		return answered(f.Answer)
	case order.KindCancelAsked:
		if f.Person != nil && f.Person.Auto {
			return "到时未完成，自动撤销", "Not finished in time: canceled automatically"
		}
		return by(f.Person, "要求撤销") + reason(f.Person), "Cancel asked for" + byEN(f.Person) + reason(f.Person)
	case order.KindEnded:
		e, _ := cat.Find(words.Reason, f.Ended.Reason)
		s := cat.OrderState(string(f.Ended.State), string(f.Ended.Action))
		return "结束：" + s.Cashier.ZH + "（" + e.Cashier.ZH + "）", "Ended: " + s.Cashier.EN + " (" + e.Cashier.EN + ")"
	case order.KindDoubt:
		e, _ := cat.Find(words.Reason, f.Reason)
		return "待核实，已报警：" + e.Cashier.ZH, "In doubt, alarm raised: " + e.Cashier.EN
	case order.KindDetached:
		return "转后台处理，收费窗口已释放", "Detached: the till is free, the agent goes on"
	case order.KindRefund:
		if f.Refund.Auto {
			why, _ := cat.Find(words.Reason, f.Refund.Reason)
			return fmt.Sprintf("自动退回 %s 元：%s", f.Refund.Sum.Yuan(), why.IT.ZH), fmt.Sprintf("%s yuan go back automatically: %s", f.Refund.Sum.Yuan(), why.IT.EN)
		}
		return fmt.Sprintf("%s退款 %s 元，退款号 %s", by(&order.Person{Operator: f.Refund.Operator}, "要求"), f.Refund.Sum.Yuan(), f.Refund.Request),
			fmt.Sprintf("Refund of %s yuan asked for, number %s%s", f.Refund.Sum.Yuan(), f.Refund.Request, byEN(&order.Person{Operator: f.Refund.Operator}))
	case order.KindInsured:
		return insured(f.Insured)
	case order.KindLeft:
		return "患者浏览器返回：用户取消（仅提示，不作为依据）", "The patient's browser came back saying that the patient gave up (a hint, no evidence)"
	case order.KindBooked, order.KindUnbooked, order.KindReversing, order.KindTold:
		return ofBooking(f)
	case order.KindDecided, order.KindProposed, order.KindResolved, order.KindReopened:
		return ofPeople(cat, f)
	case order.KindLate:
		return "结束后发现已扣款，自动退回", "Money was found after the end; it is given back automatically"
	}
	return "", ""
}

func created(c *order.Created) (zh, en string) {
	if c.Foreign {
		return fmt.Sprintf("登记非本机收款 %s 元，供退款，%s", c.Amount.Yuan(), c.Till), fmt.Sprintf("A payment of %s yuan that was not taken here, taken up for a refund at till %s", c.Amount.Yuan(), c.Till)
	}
	how, howEN := "扫付款码", "payment code"
	switch c.Mode {
	case platforms.ModePresent:
		how, howEN = "展示二维码", "QR code"
	case platforms.ModeH5:
		how, howEN = "H5 页面支付", "a page"
	case platforms.ModeInsurance:
		how, howEN = "医保支付", "medical insurance"
	}
	zh = fmt.Sprintf("HIS 请求收款 %s 元，单据 %s，%s，%s", c.Amount.Yuan(), c.Bill, c.Till, how)
	en = fmt.Sprintf("HIS asked for %s yuan, bill %s, till %s, by %s", c.Amount.Yuan(), c.Bill, c.Till, howEN)
	if c.Queued {
		zh, en = zh+"；平台不可达，先接收，未发送", en+"; platform unreachable: accepted, nothing sent"
	}
	return zh, en
}

func sent(s *order.Sent) (zh, en string) {
	switch s.Verb {
	case order.VerbCharge:
		if s.CodeKind == "" { // the record of it is gone, or is another box's
			return "扣款请求可能已发出（付款码的记录不在本机）", "The charge may have been sent (what was read is not known here)"
		}
		zhKind, enKind := platforms.Explain(s.CodeKind)
		zh, en = "读到"+zhKind, "Read a "+enKind
		if s.Device != "" {
			zh, en = "扫码设备 "+s.Device+" "+zh, en+" at scanner "+s.Device
		}
		return zh + "，发送扣款请求", en + ", charge sent"
	case order.VerbPresent:
		return "向平台申请二维码或支付页面", "Asked the platform for what the patient pays by"
	case order.VerbCancel:
		return "发送撤销请求", "Cancel sent"
	case order.VerbRefund:
		return "发送退款请求 " + s.Request, "Refund sent " + s.Request
	}
	return "", ""
}

func answered(a *order.Reply) (zh, en string) {
	words := ""
	if a.Code != "" || a.Message != "" {
		words = strings.TrimSpace("（" + a.Code + " " + a.Message + "）")
	}
	verb := map[order.Verb][2]string{order.VerbCharge: {"扣款", "charge"}, order.VerbPresent: {"申请二维码或支付页面", "request for what the patient pays by"}, order.VerbNotice: {"平台通知", "platform's own message"},
		order.VerbQuery: {"查询", "query"}, order.VerbCancel: {"撤销", "cancel"}, order.VerbRefund: {"退款", "refund"}}[a.Verb]
	switch {
	case a.NotSent:
		return verb[0] + "请求未能送出，未扣款", "The " + verb[1] + " never left; nothing was charged"
	case a.Verb == order.VerbRefund:
		state := map[order.RefundState][2]string{order.RefundDone: {"已完成", "done"}, order.RefundRefused: {"被拒绝", "refused"},
			order.RefundInDoubt: {"待核实", "in doubt"}}[a.Outcome]
		return "退款 " + a.Request + " " + state[0] + words, "Refund " + a.Request + " " + state[1] + words
	case a.Verb == order.VerbCancel && a.Done:
		did := map[platforms.CancelAction][2]string{platforms.ActionClose: {"已关闭，未扣款", "closed, not charged"},
			platforms.ActionRefund: {"已退回原账户", "given back"}}[a.Action]
		if did[0] == "" {
			did = [2]string{"已撤销，如已扣款将原路退回", "canceled; if it was charged, the money goes back"}
		}
		return "平台确认撤销：" + did[0] + words, "The platform confirmed the cancel: " + did[1] + words
	case a.Verb == order.VerbCancel:
		return "平台未能撤销" + words, "The platform did not cancel" + words
	case a.QR != "":
		return "平台给出二维码或支付页面，已展示", "The platform gave what the patient pays by; it is shown"
	}
	state := map[string][2]string{"paid": {"已支付", "paid"}, "pending": {"用户支付中", "the payer has not finished"},
		"failed": {"支付失败，未扣款", "failed, nothing charged"}, "refused": {"未受理，不能确定未扣款", "refused, without proof that nothing was charged"},
		"closed": {"交易已关闭", "closed"}, "not_found": {"平台查无此单", "the platform does not know the number"}}[a.Status]
	if state[0] == "" {
		state = [2]string{"结果不明", "unclear"}
	}
	zh = verb[0] + "结果：" + state[0] + words
	en = "Answer to the " + verb[1] + ": " + state[1] + words
	if a.Verb == order.VerbNotice {
		zh, en = verb[0]+"（已验签）："+state[0]+words, "The "+verb[1]+", verified: "+state[1]+words
	}
	if a.TradeNo != "" {
		zh, en = zh+"，交易号 "+a.TradeNo, en+", trade number "+a.TradeNo
	}
	return zh, en
}

func by(p *order.Person, what string) string {
	if p == nil || p.Operator.ID == "" {
		return what
	}
	return "操作员 " + strings.TrimSpace(p.Operator.ID+" "+p.Operator.Name) + " " + what
}

func byEN(p *order.Person) string {
	if p == nil || p.Operator.ID == "" {
		return ""
	}
	return ", operator " + strings.TrimSpace(p.Operator.ID+" "+p.Operator.Name)
}

func reason(p *order.Person) string {
	if p == nil || p.Reason == "" {
		return ""
	}
	return " (" + p.Reason + ")"
}

func insured(s *order.InsuredStep) (zh, en string) {
	switch s.Stop {
	case order.StopToken:
		return "患者医保授权返回，向平台换取凭据", "The patient authorised; the platform is asked for the token"
	case order.StopAuthorise:
		words := strings.TrimSpace(s.Code + " " + s.Message)
		return "未取得医保凭据，等待重新授权（" + words + "）", "No token was given, waiting for another authorisation (" + words + ")"
	case order.StopSettle:
		return "已取得医保凭据，等待 HIS 医保预结算", "The token is there, waiting for HIS to settle with the insurance"
	case order.StopSent:
		if s.Split != nil {
			return fmt.Sprintf("HIS 提交医保结算：医保 %s 元，现金 %s 元", s.Split.Insured.Yuan(), s.Split.Cash.Yuan()),
				fmt.Sprintf("HIS settled: insurance %s yuan, cash %s yuan", s.Split.Insured.Yuan(), s.Split.Cash.Yuan())
		}
	}
	return "", ""
}
