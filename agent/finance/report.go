// Package finance is closing a shift and a day: what was taken, given back and
// left open, per wallet, business, till and operator (ORD-15), and the three-way
// comparison of a day with the platform and HIS (ORD-13). It reads the journal
// through the agent and changes nothing in it but notes.
package finance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"

	"payagent/agent"
	"payagent/agent/config"
	"payagent/agent/order"
	"payagent/agent/words"
	"payagent/platforms"
)

// Count is a number of things and their sum in fen.
type Count struct {
	Count int           `json:"count"`
	Fen   platforms.Fen `json:"sum_fen"`
}

func (c *Count) add(fen platforms.Fen) { c.Count, c.Fen = c.Count+1, c.Fen+fen }

func (c *Count) join(d Count) { c.Count, c.Fen = c.Count+d.Count, c.Fen+d.Fen }

// Sums is what a report adds up.
type Sums struct {
	Payments  Count         `json:"payments"`  // paid within the time
	Refunds   Count         `json:"refunds"`   // given back within the time because a person asked
	Reversals Count         `json:"reversals"` // given back by the agent: HIS failed, or said nothing
	Unknown   Count         `json:"unknown"`   // orders begun and refunds asked for within the time whose outcome is not known
	Unbooked  Count         `json:"unbooked"`  // paid within the time and not booked by HIS
	Net       platforms.Fen `json:"net_fen"`   // payments less refunds and reversals
}

func (s *Sums) join(t Sums) {
	s.Payments.join(t.Payments)
	s.Refunds.join(t.Refunds)
	s.Reversals.join(t.Reversals)
	s.Unknown.join(t.Unknown)
	s.Unbooked.join(t.Unbooked)
	s.Net += t.Net
}

// Line is what belongs together: one wallet, business, till and operator.
type Line struct {
	Channel       platforms.Channel `json:"channel"`
	ReportChannel string            `json:"report_channel"` // 当面付-微信, 当面付-支付宝, …
	Business      string            `json:"business"`       // code, see package words
	BusinessText  words.Text        `json:"business_text"`
	Till          string            `json:"till"`
	Operator      string            `json:"operator"`
	OperatorName  string            `json:"operator_name,omitempty"`
	Sums
}

// Group is a sum over lines.
type Group struct {
	_    [0]func()  // never compared: no code is made for it
	Code string     `json:"code"`
	Text words.Text `json:"text"`
	Sums
}

// Open is an order that somebody should look at before the money is handed in.
type Open struct {
	_          [0]func()     // never compared: no code is made for it
	OutTradeNo string        `json:"out_trade_no"`
	Why        string        `json:"why"` // open, unknown, refund_unknown, unbooked
	State      order.State   `json:"state"`
	StateText  words.Text    `json:"state_text"`
	AmountFen  platforms.Fen `json:"amount_fen"`
	Till       string        `json:"till"`
	Operator   string        `json:"operator"`
}

// Report is what a time came to.
type Report struct {
	From       time.Time `json:"from"`
	To         time.Time `json:"to"` // not included
	Total      Sums      `json:"total"`
	Channels   []Group   `json:"channels"`
	Businesses []Group   `json:"businesses"`
	Tills      []Group   `json:"tills"`
	Operators  []Group   `json:"operators"`
	Lines      []Line    `json:"lines"`
	Open       []Open    `json:"open"`
	OpenMore   int       `json:"open_more,omitempty"` // beyond those listed
}

// Query says what is reported. An empty operator or till is all of them.
type Query struct {
	From, To time.Time
	Operator string
	Till     string
}

// The bounds of a report.
const (
	maxSpan = 31 * 24 * time.Hour
	maxOpen = 200
)

// ErrSpan is wrapped when a report is asked for over no time, or over too long.
var ErrSpan = errors.New("a report covers up to 31 days, and ends after it begins")

// Make adds up a report. Payments and refunds count at the moment when the
// journal had them, which is what the person at the till saw.
func Make(ctx context.Context, a *agent.Agent, q Query) (Report, error) {
	if !q.To.After(q.From) || q.To.Sub(q.From) > maxSpan {
		return Report{}, fmt.Errorf("cannot make the report: %w", ErrSpan)
	}
	m := &maker{q: q, conf: a.Config(), say: a.Say, lines: map[Line]*Sums{}, seen: map[string]bool{}}
	for _, key := range dayKeys(q.From, q.To) {
		if err := a.OnDay(ctx, key, m.order); err != nil {
			return Report{}, fmt.Errorf("cannot make the report: %w", err)
		}
	}
	for _, o := range a.Open() { // a refund under way may belong to an old order
		if err := m.order(o); err != nil {
			return Report{}, err
		}
	}
	return m.report(), nil
}

// dayKeys lists the keys of the days that a span touches.
func dayKeys(from, to time.Time) []string {
	var keys []string
	for t := from; t.Before(to); t = t.AddDate(0, 0, 1) {
		keys = append(keys, agent.DayKey(t))
	}
	if last := agent.DayKey(to.Add(-time.Millisecond)); !slices.Contains(keys, last) {
		keys = append(keys, last)
	}
	return keys
}

type maker struct {
	q     Query
	conf  config.Config
	say   func(*order.Order) agent.Sayings
	lines map[Line]*Sums
	names map[string]string
	seen  map[string]bool
	open  []Open
	more  int
}

func (m *maker) within(at int64) bool {
	return at >= m.q.From.UnixMilli() && at < m.q.To.UnixMilli()
}

func (m *maker) wants(till, operator string) bool {
	return (m.q.Till == "" || m.q.Till == till) && (m.q.Operator == "" || m.q.Operator == operator)
}

// line finds the sums that something of an order belongs to; nil if it is not
// asked for.
func (m *maker) line(o *order.Order, by platforms.Operator) *Sums {
	if !m.wants(o.Till, by.ID) {
		return nil
	}
	if m.names == nil {
		m.names = map[string]string{}
	}
	m.names[by.ID] = cmp.Or(by.Name, m.names[by.ID])
	k := Line{Channel: o.PaidVia(), Business: Business(m.conf, o), Till: o.Till, Operator: by.ID}
	if m.lines[k] == nil {
		m.lines[k] = &Sums{}
	}
	return m.lines[k]
}

// order adds one order, once.
func (m *maker) order(o *order.Order) error {
	if m.seen[o.No] {
		return nil
	}
	m.seen[o.No] = true
	state := o.State()
	if state == order.Paid && m.within(o.EndedAt.Wall) {
		if s := m.line(o, o.Operator); s != nil {
			s.Payments.add(o.Amount)
			s.Net += o.Amount
			if unbooked(o) {
				s.Unbooked.add(o.Amount)
				m.list(o, "unbooked")
			}
		}
	}
	late := o.LateFound && !o.LateDone // money after an unpaid end, on its way back
	if (!state.Final() || late) && m.within(o.CreatedAt.Wall) {
		m.undecided(o, state)
	}
	for _, r := range o.Refunds {
		m.refund(o, r)
	}
	return nil
}

func (m *maker) undecided(o *order.Order, state order.State) {
	if state == order.Waiting || state == order.Queued { // nothing was sent
		if m.wants(o.Till, o.Operator.ID) {
			m.list(o, "open")
		}
		return
	}
	if s := m.line(o, o.Operator); s != nil {
		s.Unknown.add(o.Amount)
		m.list(o, "unknown")
	}
}

func (m *maker) refund(o *order.Order, r order.RefundLine) {
	switch {
	case r.State == order.RefundDone && m.within(r.EndedAt.Wall):
		if s := m.line(o, r.Operator); s != nil {
			if automatic(r) {
				s.Reversals.add(r.Sum)
			} else {
				s.Refunds.add(r.Sum)
			}
			s.Net -= r.Sum
		}
	case !r.State.Final() && m.within(r.At.Wall):
		if s := m.line(o, r.Operator); s != nil {
			s.Unknown.add(r.Sum)
			m.list(o, "refund_unknown")
		}
	}
}

func (m *maker) list(o *order.Order, why string) {
	if len(m.open) >= maxOpen {
		m.more++
		return
	}
	m.open = append(m.open, Open{OutTradeNo: o.No, Why: why, State: o.State(), StateText: m.say(o).State, AmountFen: o.Amount, Till: o.Till, Operator: o.Operator.ID})
}

// report puts lines in order and adds up the groups.
func (m *maker) report() Report {
	r := Report{From: m.q.From.In(zone()), To: m.q.To.In(zone()), Lines: []Line{}, Open: m.open, OpenMore: m.more}
	if r.Open == nil {
		r.Open = []Open{}
	}
	for k, s := range m.lines {
		k.Sums = *s
		k.ReportChannel, k.BusinessText, k.OperatorName = words.ReportChannel(string(k.Channel)), BusinessText(k.Business), m.names[k.Operator]
		r.Lines = append(r.Lines, k)
		r.Total.join(*s)
	}
	sort.Slice(r.Lines, func(i, j int) bool {
		x, y := r.Lines[i], r.Lines[j]
		return cmp.Or(rank(x.Channel)-rank(y.Channel), cmp.Compare(x.Channel, y.Channel), cmp.Compare(x.Business, y.Business), cmp.Compare(x.Till, y.Till), cmp.Compare(x.Operator, y.Operator)) < 0
	})
	r.Channels = []Group{}
	// HIS's report has its two channels on every day, also where nothing came.
	for _, ch := range []platforms.Channel{platforms.WeChat, platforms.Alipay} {
		r.Channels = append(r.Channels, Group{Code: string(ch), Text: channelText(ch)})
	}
	r.Channels = group(r.Channels, r.Lines, func(l Line) (string, words.Text) { return string(l.Channel), channelText(l.Channel) })
	r.Businesses = group([]Group{}, r.Lines, func(l Line) (string, words.Text) { return l.Business, l.BusinessText })
	r.Tills = group([]Group{}, r.Lines, func(l Line) (string, words.Text) {
		t, ok := m.conf.TillNamed(l.Till)
		title := cmp.Or(t.Title, l.Till)
		if !ok {
			title = l.Till
		}
		return l.Till, words.Text{ZH: title, EN: title}
	})
	r.Operators = group([]Group{}, r.Lines, func(l Line) (string, words.Text) {
		name := cmp.Or(l.OperatorName, l.Operator)
		return l.Operator, words.Text{ZH: name, EN: name}
	})
	return r
}

// group adds lines up; groups come in the order in which they are met first.
func group(list []Group, lines []Line, of func(Line) (string, words.Text)) []Group {
	for _, l := range lines {
		code, text := of(l)
		i := slices.IndexFunc(list, func(g Group) bool { return g.Code == code })
		if i < 0 {
			i, list = len(list), append(list, Group{Code: code, Text: text})
		}
		list[i].join(l.Sums)
	}
	return list
}

func rank(ch platforms.Channel) int {
	i := slices.Index([]platforms.Channel{platforms.WeChat, platforms.Alipay, platforms.UnionPay, platforms.ECNY}, ch)
	if i < 0 {
		return 9
	}
	return i
}

// zone is that of every day: UTC+8 (decision 20).
func zone() *time.Location { return time.FixedZone("UTC+8", 8*60*60) }

// Day reads a day, 2006-01-02 or 20060102, and gives its begin and end.
func Day(text string) (from, to time.Time, err error) {
	for _, form := range []string{"2006-01-02", "20060102"} {
		if from, err = time.ParseInLocation(form, text, zone()); err == nil {
			return from, from.AddDate(0, 0, 1), nil
		}
	}
	return from, to, &platforms.FieldError{Field: "day", Reason: "must be a day such as 2026-11-22"}
}

// WhyText says why an order is listed as open.
func WhyText(why string) words.Text {
	switch why {
	case "open":
		return words.Text{ZH: "未结束的订单", EN: "Orders that have not ended"}
	case "unknown":
		return words.Text{ZH: "结果未知的订单", EN: "Orders whose outcome is not known"}
	case "refund_unknown":
		return words.Text{ZH: "结果未知的退款", EN: "Refunds whose outcome is not known"}
	}
	return words.Text{ZH: "已收款、HIS 未入账的订单", EN: "Paid orders that HIS has not booked"}
}
