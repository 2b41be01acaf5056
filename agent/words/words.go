// Package words is the catalogue of everything the agent says to people: for
// each stable code what the patient reads, what the cashier reads, what to do
// next, and what IT should know, in Chinese and English (PAY-22).
//
// Codes are stable: other programs compare them. Words may improve at any
// time. What a platform says with a code that is not in the catalogue is shown
// as the platform's own text and code, and the caller counts it.
package words

import (
	"sort"
	"strings"
)

// Text is one sentence in both languages. {name} stands for a value that
// Fill puts in.
type Text struct {
	ZH string `json:"zh"`
	EN string `json:"en"`
}

// Fill replaces placeholders: pairs of name and value, e.g. "wait_s", "12".
func (t Text) Fill(pairs ...string) Text {
	var list []string
	for i := 0; i+1 < len(pairs); i += 2 {
		list = append(list, "{"+pairs[i]+"}", pairs[i+1])
	}
	r := strings.NewReplacer(list...)
	return Text{ZH: r.Replace(t.ZH), EN: r.Replace(t.EN)}
}

// Empty tells whether there are no words.
func (t Text) Empty() bool { return t == Text{} }

// Group is a family of codes. The same code may mean different things in two.
type Group string

// The groups.
const (
	State    Group = "state"    // order states; with variants canceled.close, .refund, .unknown, paying.present, .h5, .insurance and waiting.insurance
	Reason   Group = "reason"   // why an order ended, was canceled or is in doubt
	Scan     Group = "scan"     // why a scanned code is not used; code kinds among them
	Verdict  Group = "verdict"  // may I take cash, may I try again (PAY-21)
	Reply    Group = "reply"    // requests that went well
	Problem  Group = "problem"  // codes of problem+json answers
	Alarm    Group = "alarm"    // what IT or finance must look at
	Refund   Group = "refund"   // refund states
	SmartPay Group = "smartpay" // codes of the SmartPay wire (wire.md §1.4–1.6)
	FWC      Group = "fwc"      // codes of the FWC wire (wire.md §2.2, 2.4)
	LC       Group = "lc"       // codes of the signed gateway (wire.md §3)
	Served   Group = "served"   // codes that the agent gives to the reconciling platform (seed 004 §7)
	Device   Group = "device"   // why a scanner or display is away, and hints about it
	Page     Group = "page"     // the page that a patient comes back to after paying on a page
	Scanner  Group = "scanner"  // what the scanners of a till are doing
	Booking  Group = "booking"  // how far a payment is in HIS's books
	Fleet    Group = "fleet"    // what a box says to those who look after many: why it is not ready, why a command is refused
	Enrol    Group = "enrol"    // what the fleet's authority says to a box that asks for a certificate
)

// Groups lists them in the order of the documentation.
func Groups() []Group {
	return []Group{State, Reason, Scan, Verdict, Reply, Problem, Alarm, Refund, Booking, Device, Scanner, Page, SmartPay, FWC, LC, Served, Enrol, Fleet}
}

// Entry is what is said for one code.
type Entry struct {
	_       [0]func() // never compared: no code is made for it
	Code    string
	Patient Text // for the payer's screen
	Cashier Text // for the cashier's screen
	Next    Text // what the cashier does now
	IT      Text // for logs, IT and finance
}

// Catalogue is the whole of it, ready for look-up. It never changes, so one
// may be shared.
type Catalogue struct {
	entries map[Group]map[string]Entry
	shared  map[string]Text // sentences that many entries have
}

// New gives the catalogue.
func New() Catalogue { return shared() }

// Find looks a code up.
func (c Catalogue) Find(g Group, code string) (Entry, bool) {
	e, ok := c.entries[g][code]
	return e, ok
}

// Codes lists the codes of a group, sorted.
func (c Catalogue) Codes(g Group) []string {
	var out []string
	for code := range c.entries[g] {
		out = append(out, code)
	}
	sort.Strings(out)
	return out
}

// OrderState gives the words for an order's state. variant may be empty; for a
// canceled order it is the cancel action (close, refund, unknown), which tells
// whether money was given back; for a waiting or paying one it is the mode,
// where it has words of its own. A state that is not known gives the words of in_doubt,
// the careful ones.
func (c Catalogue) OrderState(state, variant string) Entry {
	if e, ok := c.Find(State, state+"."+variant); ok {
		return e
	}
	if e, ok := c.Find(State, state); ok {
		return e
	}
	return c.entries[State]["in_doubt"]
}

// Platform gives the words for a platform's own code. Where the catalogue does
// not know it, they show the platform's text and code and known is false: the
// caller counts that. message is the platform's own text; it holds no payment
// code (package platforms promises so).
func (c Catalogue) Platform(driver, code, message string) (e Entry, known bool) {
	if g := Group(driver); g == SmartPay || g == FWC || g == LC {
		for _, name := range []string{code, fieldOf(g) + code} {
			if e, ok := c.Find(g, name); ok {
				return e, true
			}
		}
	}
	said := strings.TrimSpace(message)
	if said == "" {
		said = "—"
	}
	e = Entry{
		Code:    code,
		Patient: c.shared["ask_cashier"],
		Cashier: Text{"支付平台返回：{message}（代码 {code}）", "The platform says: {message} (code {code})"},
		Next:    c.shared["look_at_state"],
		IT:      Text{"平台代码 {code} 不在词表中：{message}", "The platform's code {code} is not in the catalogue: {message}"},
	}
	fill := func(t Text) Text { return t.Fill("code", clip(code), "message", clip(said)) }
	e.Cashier, e.IT = fill(e.Cashier), fill(e.IT)
	return e, false
}

// fieldOf is the field that a bare number of a wire stands in, where the
// catalogue's code names it.
func fieldOf(g Group) string {
	switch g {
	case FWC:
		return "IsSuccess "
	case LC:
		return "code "
	}
	return ""
}

// clip keeps a platform's text within a screen's line or two.
func clip(s string) string {
	r := []rune(s)
	if len(r) > 120 {
		return string(r[:120]) + "…"
	}
	return s
}

// Markdown prints the catalogue for the documentation.
func (c Catalogue) Markdown() string {
	var b strings.Builder
	b.WriteString("# What the agent says\n\nGenerated from package words; do not edit. `{…}` stands for a value.\n")
	cell := func(t Text) string { return strings.ReplaceAll(t.ZH+"<br>"+t.EN, "|", `\|`) }
	for _, g := range Groups() {
		b.WriteString("\n## " + string(g) + "\n\n| code | patient 患者 | cashier 收费员 | next 下一步 | IT |\n|---|---|---|---|---|\n")
		for _, code := range c.Codes(g) {
			e := c.entries[g][code]
			row := []string{"`" + code + "`", cell(e.Patient), cell(e.Cashier), cell(e.Next), cell(e.IT)}
			b.WriteString("| " + strings.Join(row, " | ") + " |\n")
		}
	}
	return b.String()
}

// names of wallets and kinds of codes for people.
func walletNames() map[string]Text {
	return map[string]Text{
		"wechat": {"微信", "WeChat Pay"}, "alipay": {"支付宝", "Alipay"},
		"unionpay": {"云闪付", "UnionPay"}, "ecny": {"数字人民币", "e-CNY"},
	}
}

// Wallet names a channel of the API for people; an unknown one by its code.
func Wallet(channel string) Text {
	if t, ok := walletNames()[channel]; ok {
		return t
	}
	return Text{channel, channel}
}

// ReportChannel names the report channel that seed 000 asks HIS to show, e.g.
// 当面付-微信.
func ReportChannel(channel string) string {
	if channel == "" {
		return "当面付"
	}
	return "当面付-" + Wallet(channel).ZH
}
