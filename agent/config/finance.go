package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"payagent/agent/signals"
	"payagent/platforms"
)

// Finance is what closing a day goes by.
type Finance struct {
	// Files of the audit that are kept, one for each day on which something happened; 400 at least.
	AuditDays int
	// Queries under way at once while a day is reconciled, for each platform; live payments need the rest.
	ReconcileQueries int
	// Signs that finance should look at: alarms check_… and payagent signals. They never stop or delay anything.
	Signals Signals
}

// Signals says where the borders of those signs are; docs/operations.md tells what each rule looks at.
type Signals struct {
	// Rules that are not looked at: refund_absent, many_cancels, code_two_tills, refunds_over, after_hours.
	Mute []string
	// Operators who give money back for others (the refund desk), in quotes; their refunds are no sign. While nobody is named, a refund in another name than that of who took the payment is taken for the desk's.
	Desk []string
	// refund_absent: a refund that is asked for so long after the payment is taken for one without the patient.
	RefundAfter time.Duration
	// many_cancels: so many cancels of one operator within an hour.
	Cancels int
	// code_two_tills: a code that was used at one till is shown at another within this time.
	CodeWithin time.Duration
	// refunds_over: least sum of an operator's refunds in a shift. A shift nobody began has the length of limits.operator_shift, 24h at most.
	RefundsOverFen platforms.Fen
	// after_hours: when the counters are open, by day (mon, tue, wed, thu, fri, sat, sun) as "07:30-18:00" in UTC+8; "22:00-06:00" reaches into the next day, a day left out is closed. Nothing written: the rule is off.
	Hours map[string]string
	// after_hours: tills that never close, e.g. of the emergency department.
	AlwaysOpen []string
}

// Opened reads the hours of each day, Sunday first, in minutes since midnight,
// as package signals takes them; nil where none are written.
func (s Signals) Opened() *[7]signals.Hours {
	if len(s.Hours) == 0 {
		return nil
	}
	var week [7]signals.Hours
	for i, day := range weekdays() {
		week[i], _ = parseHours(s.Hours[day])
	}
	return &week
}

func weekdays() []string { return []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"} }

// parseHours reads HH:MM-HH:MM. 24:00 is the end of the day.
func parseHours(text string) (signals.Hours, bool) {
	from, to, _ := strings.Cut(text, "-")
	h := signals.Hours{From: minutes(from), To: minutes(to)}
	return h, h.From >= 0 && h.From < 24*60 && h.To > 0 && h.From != h.To
}

func minutes(text string) int {
	if len(text) != 5 || text[2] != ':' {
		return -1
	}
	h, err := strconv.Atoi(text[:2])
	m, err2 := strconv.Atoi(text[3:])
	if err != nil || err2 != nil || h < 0 || m < 0 || m > 59 || h*60+m > 24*60 {
		return -1
	}
	return h*60 + m
}

func (v validator) signals() {
	const at = "finance.signals."
	s := v.Finance.Signals
	for i, name := range s.Mute {
		var rules []string
		for _, r := range signals.Rules() {
			rules = append(rules, string(r))
		}
		v.oneOf(fmt.Sprintf(at+"mute[%d]", i), name, rules...)
	}
	for i, name := range s.AlwaysOpen {
		if _, ok := v.TillNamed(name); !ok {
			v.add(fmt.Sprintf(at+"always_open[%d]", i), "there is no till of that name")
		}
	}
	v.between(at+"refund_after", s.RefundAfter, time.Minute, 400*24*time.Hour)
	v.between(at+"code_within", s.CodeWithin, time.Second, 24*time.Hour)
	if s.Cancels < 2 || s.Cancels > 1000 {
		v.add(at+"cancels", "write a number from 2 to 1000")
	}
	if s.RefundsOverFen < 0 {
		v.add(at+"refunds_over_fen", "write whole fen, 0 or more")
	}
	for _, day := range sortedKeys(s.Hours) {
		if !slices.Contains(weekdays(), day) {
			v.add(at+"hours."+day, "this is no day; write mon, tue, wed, thu, fri, sat or sun")
		} else if _, ok := parseHours(s.Hours[day]); !ok {
			v.add(at+"hours."+day, `write two times such as "07:30-18:00"; leave a day out on which the counters are closed`)
		}
	}
}

func (v validator) finance() {
	if v.Finance.AuditDays < 400 || v.Finance.AuditDays > 36600 {
		v.add("finance.audit_days", "write a number of days from 400 to 36600")
	}
	if v.Finance.ReconcileQueries < 1 || v.Finance.ReconcileQueries > 64 {
		v.add("finance.reconcile_queries", "write a number from 1 to 64")
	}
	v.signals()
}

// Business tells from an order number what the order was for, by the table of
// prefixes: the kind of till and the class, both empty where no prefix of the
// table begins it. The longest prefix wins.
func (c Config) Business(number string) (kind, class string) {
	longest := 0
	for _, k := range sortedKeys(c.Prefixes) {
		for _, key := range sortedKeys(c.Prefixes[k]) {
			p := c.Prefixes[k][key]
			if len(p) <= longest || !strings.HasPrefix(number, p) {
				continue
			}
			longest, kind, class = len(p), k, key
			if t, ok := c.OrderTypes[key]; ok {
				class = t.Class
			}
		}
	}
	return kind, class
}
