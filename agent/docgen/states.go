package docgen

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"payagent/agent/order"
	"payagent/agent/words"
	"payagent/platforms"
)

// StatesPage writes docs/states.md.
func StatesPage() (string, error) {
	var b strings.Builder
	b.WriteString(`# 订单状态 The states of an order

由程序生成，请勿手改：本页的每个单元格都是把事实或应答真正交给订单后得到的结果（包 agent/order）。
Generated, do not edit: every cell comes from giving the fact or the answer to an order (package agent/order).
` + "`make docs`" + ` writes it anew, and a test fails while it differs from the code.

状态由事实推导，不单独保存。 A state is derived from the facts in the log and never stored by itself.

## 状态一览 What each state means

`)
	if err := writeStates(&b); err != nil {
		return "", err
	}
	b.WriteString("\n## 现金与重新收款 May I take cash, may I try again\n\n" +
		"付款发出 3 秒后；`wait` 附带秒数。 Three seconds after the pay request left; `wait` comes with seconds.\n\n")
	if err := writeVerdicts(&b); err != nil {
		return "", err
	}
	b.WriteString("\n## 事实与状态 Which fact is allowed where, and where it leads\n\n" +
		"`→` 进入该状态，`·` 允许且状态不变，`✗` 拒绝且不留任何痕迹。\n" +
		"`→` leads there, `·` is allowed and changes no state, `✗` is refused and leaves no trace.\n" +
		"事实先落盘，后生效。 A fact is on disk before anything that follows from it happens.\n\n")
	if err := writeMoves(&b); err != nil {
		return "", err
	}
	b.WriteString("\n## 应答与状态 What an answer of the platform does\n\n" +
		"付款发出 5 秒后收到应答。`?` 表示立即再查询一次，`!` 后为告警代码，`+late` 表示记下迟到款项并自动退回。\n" +
		"The answer comes 5 s after the pay request left. `?` asks again at once, `!` raises the alarm, `+late` notes money that came after an\n" +
		"unpaid end and gives it back. `·` changes nothing: an unclear answer never ends an order.\n\n")
	if err := writeReplies(&b, platforms.Traits{FindsByNumber: true}); err != nil {
		return "", err
	}
	b.WriteString("\n### 没有查询接口的平台 A platform without a query\n\n" +
		"`query: none`：什么都不查询；验签通过且订单号、金额一致的通知是唯一依据。浏览器带回的参数永远不是依据。\n" +
		"With `query: none` nothing is ever asked; a message of the platform that verified, with our number and amount, is the only evidence.\n" +
		"What the payer's browser carries back never is. 此表只列不同的行。 Only the rows that differ:\n\n")
	if err := writeOthers(&b, platforms.Traits{FindsByNumber: true}, platforms.Traits{NoQuery: true}); err != nil {
		return "", err
	}
	b.WriteString("\n## 时间表 The schedule, played\n\n默认策略下真正运行得到。 The default policy, run. 配置 / configuration: [policy](../agent/config/KEYS.md).\n")
	if err := writeSchedules(&b); err != nil {
		return "", err
	}
	return b.String(), nil
}

func both(t words.Text) string { return t.ZH + "\n" + t.EN }

func code(s string) string { return "`" + s + "`" }

func writeStates(b *strings.Builder) error {
	cat := words.New()
	outs, err := Leads()
	if err != nil {
		return err
	}
	head(b, "state 状态", "收费员 cashier", "患者 patient", "然后 leads to")
	for _, s := range States() {
		variants := []string{""}
		switch s {
		case order.Paying:
			variants = []string{"", string(platforms.ModePresent)}
		case order.Canceled:
			variants = []string{string(platforms.ActionClose), string(platforms.ActionRefund), string(platforms.ActionUnknown)}
		}
		for i, v := range variants {
			e := cat.OrderState(string(s), v)
			name, next := string(s), ""
			if v != "" {
				name += "." + v
			}
			if i == 0 {
				next = leadsTo(outs[s], s)
			}
			row(b, code(name), both(e.Cashier), both(e.Patient), next)
		}
	}
	return nil
}

func leadsTo(list []order.State, from order.State) string {
	if from.Final() {
		return "终态 final"
	}
	var names []string
	for _, s := range list {
		names = append(names, code(string(s)))
	}
	return strings.Join(names, ", ")
}

// Leads gives for every state the states that it really leads to: by what
// people and the schedule do, and by what the platform answers, for both kinds
// of platforms. It is a part of what [Moves] allows.
func Leads() (map[order.State][]order.State, error) {
	out := map[order.State][]order.State{}
	add := func(from, to order.State) {
		if from != to && !slices.Contains(out[from], to) {
			out[from] = append(out[from], to)
		}
	}
	// What the counter writes by itself (package agent/counter).
	own := map[string][]order.State{
		"confirmed":       {order.Queued},
		"sent: charge":    {order.Waiting},
		"sent: present":   {order.Waiting},
		"sent: cancel":    {order.Paying, order.InDoubt},
		"ended: canceled": {order.Queued, order.Waiting, order.Paying, order.Canceling, order.InDoubt}, // canceled, no_scan, offline_expired, never_arrived
		"ended: failed":   {order.Waiting},                                                             // nothing_sent
		"doubt":           {order.Paying, order.Canceling},                                             // not_confirmed, no_key
	}
	moves, err := Moves()
	if err != nil {
		return nil, err
	}
	for _, m := range moves {
		if slices.Contains(own[m.Fact], m.From) {
			add(m.From, m.To)
		}
	}
	for _, t := range []platforms.Traits{{FindsByNumber: true}, {PaidIsSticky: true}, {NoQuery: true}} {
		heard, err := Hear(t)
		if err != nil {
			return nil, err
		}
		for _, h := range heard {
			if h.From == CancelSettled && h.To != CancelSettled {
				h.From = order.Canceling
			}
			if h.From != CancelSettled {
				add(h.From, h.To)
			}
		}
	}
	for _, list := range out {
		slices.SortFunc(list, func(x, y order.State) int { return slices.Index(States(), x) - slices.Index(States(), y) })
	}
	return out, nil
}

func writeVerdicts(b *strings.Builder) error {
	p := order.DefaultPolicy()
	head(b, "state 状态", "safe_to_take_cash", "safe_to_retry", "actions_allowed")
	for _, s := range States() {
		o, err := In(s)
		if err != nil {
			return err
		}
		now := when(sampleSent + 3*time.Second)
		actions := actionWords(o.Actions(p, now, true))
		if s == order.Paying {
			later := when(sampleSent + p.ManualAfter)
			actions += fmt.Sprintf("\n%s 后 after %s: %s", short(p.ManualAfter), short(p.ManualAfter), actionWords(o.Actions(p, later, true)))
		}
		row(b, code(string(s)), safety(o.SafeToTakeCash(p, now)), safety(o.SafeToRetry(p, now)), actions)
	}
	for _, x := range []struct {
		from  order.State
		words string
		facts []order.Fact
	}{
		{order.Paid, "已全额退款 fully refunded", []order.Fact{refund(sampleAmount),
			answered(order.Reply{Verb: order.VerbRefund, Request: "RF2", Outcome: order.RefundDone})}},
		{order.Canceled, "发现迟到款项，尚未退回 late money found, not given back yet", []order.Fact{late()}},
		{order.Canceled, "迟到款项已退回 late money given back", []order.Fact{late(),
			answered(order.Reply{Verb: order.VerbCancel, Done: true, Action: platforms.ActionRefund})}},
	} {
		o, err := In(x.from)
		if err != nil {
			return err
		}
		if err := apply(o, x.facts); err != nil {
			return err
		}
		now := when(sampleSent + 3*time.Second)
		row(b, code(string(o.State()))+"，"+x.words, safety(o.SafeToTakeCash(p, now)), safety(o.SafeToRetry(p, now)), actionWords(o.Actions(p, now, true)))
	}
	b.WriteString("\n`refund` 仅在平台支持退款时出现。 `refund` appears where the platform has refunds.\n")
	return nil
}

func actionWords(list []order.Action) string {
	var names []string
	for _, a := range list {
		names = append(names, code(string(a)))
	}
	return strings.Join(names, ", ")
}

func safety(s order.Safety) string {
	t := code(string(s.Answer))
	pairs := []string{"wait_s", "N"}
	if s.Answer == order.Wait {
		seconds := fmt.Sprint(int(s.Wait / time.Second))
		t += " (" + seconds + " s)"
		pairs[1] = seconds
	}
	if e, ok := words.New().Find(words.Verdict, s.Reason); ok {
		t += "\n" + both(e.Cashier.Fill(pairs...))
	}
	return t
}

func writeMoves(b *strings.Builder) error {
	moves, err := Moves()
	if err != nil {
		return err
	}
	at := map[string]order.State{}
	for _, m := range moves {
		at[m.Fact+"/"+string(m.From)] = m.To
	}
	cols := []string{"事实 fact", "无 none"}
	for _, s := range States() {
		cols = append(cols, string(s))
	}
	head(b, cols...)
	for _, f := range facts() {
		cells := []string{code(f.name) + "\n" + f.zh}
		for _, s := range append([]order.State{None}, States()...) {
			cells = append(cells, arrow(s, at[f.name+"/"+string(s)]))
		}
		row(b, cells...)
	}
	return nil
}

func arrow(from, to order.State) string {
	switch to {
	case Refused:
		return "✗"
	case from:
		return "·"
	}
	return "→ " + string(to)
}

func writeReplies(b *strings.Builder, t platforms.Traits) error {
	at, err := cells(t)
	if err != nil {
		return err
	}
	writeRows(b, at, func(string) bool { return true })
	return nil
}

// writeOthers writes the rows in which a kind of platform differs from another.
func writeOthers(b *strings.Builder, usual, t platforms.Traits) error {
	was, err := cells(usual)
	if err != nil {
		return err
	}
	at, err := cells(t)
	if err != nil {
		return err
	}
	writeRows(b, at, func(name string) bool {
		return !strings.HasPrefix(name, "query:") && slices.ContainsFunc(judged(), func(s order.State) bool {
			key := name + "/" + string(s)
			return was[key] != at[key]
		})
	})
	return nil
}

// cells gives what stands in the table of answers, by answer and state.
func cells(t platforms.Traits) (map[string]string, error) {
	heard, err := Hear(t)
	if err != nil {
		return nil, err
	}
	at := map[string]string{}
	for _, h := range heard {
		s := arrow(h.From, h.To)
		if slices.Contains(h.Facts, string(order.KindLate)) {
			s += " +late"
		}
		if h.Asks {
			s += " ?"
		}
		if h.Alarm != "" {
			s += " !" + h.Alarm
		}
		at[h.Reply+"/"+string(h.From)] = s
	}
	return at, nil
}

func writeRows(b *strings.Builder, at map[string]string, which func(name string) bool) {
	cols := []string{"应答 answer"}
	for _, s := range judged() {
		cols = append(cols, string(s))
	}
	head(b, cols...)
	for _, r := range replies() {
		if !which(r.name) {
			continue
		}
		cells := []string{r.name + "\n" + r.zh}
		for _, s := range judged() {
			cells = append(cells, at[r.name+"/"+string(s)])
		}
		row(b, cells...)
	}
}

func writeSchedules(b *strings.Builder) error {
	list, err := Schedules()
	if err != nil {
		return err
	}
	for _, s := range list {
		b.WriteString("\n### " + s.zh + " " + s.name + "\n\n")
		head(b, "时间 at", "动作 step", "状态 state")
		for i := 0; i < len(s.steps); {
			n := i + 1
			for n < len(s.steps) && s.steps[n].Do == s.steps[i].Do && s.steps[n].State == s.steps[i].State {
				n++
			}
			first, last := s.steps[i], s.steps[n-1]
			at := short(first.At)
			switch n - i {
			case 1:
			case 2:
				at += ", " + short(last.At)
			default:
				at += " … " + short(last.At) + fmt.Sprintf(" (%d×)", n-i)
			}
			row(b, at, code(first.Do), code(string(first.State)))
			i = n
		}
	}
	return nil
}
