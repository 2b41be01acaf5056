package order_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"payagent/agent/docgen"
	"payagent/agent/order"
	"payagent/platforms"
)

// TestTransitions holds every fact in every state to the table as it was
// agreed. docs/states.md prints the same cells: whoever changes the rules
// changes this table, on purpose.
func TestTransitions(t *testing.T) {
	// none, queued, waiting, paying, canceling, in_doubt, paid, failed, canceled
	want := map[string][9]string{
		"created":         {"waiting", "no", "no", "no", "no", "no", "no", "no", "no"},
		"created, queued": {"queued", "no", "no", "no", "no", "no", "no", "no", "no"},
		"confirmed":       {"no", "waiting", "no", "no", "no", "no", "no", "no", "no"},
		"sent: charge":    {"no", "no", "paying", "no", "no", "no", "no", "no", "no"},
		"sent: present":   {"no", "no", "paying", "no", "no", "no", "no", "no", "no"},
		"sent: cancel":    {"no", "no", "no", "canceling", "stays", "stays", "stays", "stays", "stays"},
		"sent: refund":    {"no", "stays", "stays", "stays", "stays", "stays", "stays", "stays", "stays"},
		"answered: pending, with the platform's key": {"no", "stays", "stays", "stays", "stays", "stays", "stays", "stays", "stays"},
		"answered: paid":                  {"no", "paid", "paid", "paid", "paid", "paid", "stays", "no", "no"},
		"answered: refused without proof": {"no", "stays", "stays", "stays", "stays", "stays", "stays", "stays", "stays"},
		"answered: definite refusal":      {"no", "stays", "stays", "stays", "stays", "stays", "stays", "stays", "stays"},
		"answered: closed":                {"no", "stays", "stays", "stays", "stays", "stays", "stays", "stays", "stays"},
		"answered: not found":             {"no", "stays", "stays", "stays", "stays", "stays", "stays", "stays", "stays"},
		"answered: cancel done":           {"no", "canceled", "canceled", "canceled", "canceled", "canceled", "stays", "stays", "stays"},
		"answered: cancel not done":       {"no", "stays", "stays", "stays", "stays", "stays", "stays", "stays", "stays"},
		"answered: refund done":           {"no", "stays", "stays", "stays", "stays", "stays", "stays", "stays", "stays"},
		"cancel_asked":                    {"no", "stays", "stays", "stays", "stays", "stays", "no", "no", "no"},
		"ended: canceled":                 {"no", "canceled", "canceled", "canceled", "canceled", "canceled", "no", "no", "no"},
		"ended: failed":                   {"no", "failed", "failed", "failed", "failed", "failed", "no", "no", "no"},
		"doubt":                           {"in_doubt", "in_doubt", "in_doubt", "in_doubt", "in_doubt", "stays", "no", "no", "no"},
		"detached":                        {"no", "stays", "stays", "stays", "stays", "stays", "stays", "stays", "stays"},
		"refund, within the amount":       {"no", "no", "no", "no", "no", "no", "stays", "no", "no"},
		"refund, above the amount":        {"no", "no", "no", "no", "no", "no", "no", "no", "no"},
		"late":                            {"no", "no", "no", "no", "no", "no", "no", "stays", "stays"},
		"watched":                         {"no", "no", "no", "no", "no", "no", "no", "stays", "stays"},
		"key":                             {"no", "stays", "stays", "stays", "stays", "stays", "stays", "stays", "stays"},
		"booked":                          {"no", "no", "no", "no", "no", "no", "stays", "no", "no"},
		"booked: failed":                  {"no", "no", "no", "no", "no", "no", "stays", "no", "no"},
		"booked, after a failure":         {"no", "no", "no", "no", "no", "no", "no", "no", "no"},
		"unbooked":                        {"no", "no", "no", "no", "no", "no", "stays", "no", "no"},
		"told":                            {"no", "no", "no", "no", "no", "no", "stays", "no", "no"},
		"booked: failed, after it counted as booked": {"no", "no", "no", "no", "no", "no", "stays", "no", "no"},
		"reversing": {"no", "no", "no", "no", "no", "no", "stays", "no", "no"},
		"decided, of a refund that waits for a second person": {"no", "no", "no", "no", "no", "no", "stays", "no", "no"},
		"decided, of no such refund":                          {"no", "no", "no", "no", "no", "no", "no", "no", "no"},
		"proposed: paid":                                      {"no", "no", "no", "no", "no", "stays", "no", "no", "no"},
		"resolved: paid":                                      {"no", "no", "no", "no", "no", "paid", "no", "no", "no"},
		"resolved: canceled":                                  {"no", "no", "no", "no", "no", "canceled", "no", "no", "no"},
		"resolved: failed":                                    {"no", "no", "no", "no", "no", "failed", "no", "no", "no"},
		"resolved: declined":                                  {"no", "no", "no", "no", "no", "stays", "no", "no", "no"},
		"resolved, of nothing proposed":                       {"no", "no", "no", "no", "no", "no", "no", "no", "no"},
		"reopened, after a resolution":                        {"no", "no", "no", "no", "no", "stays", "no", "no", "no"},
		"reopened, of what the platform said":                 {"no", "no", "no", "no", "no", "no", "no", "no", "no"},
		"insured: token":                                      {"no", "no", "no", "no", "no", "no", "no", "no", "no"}, // of an order without insurance
		"left":                                                {"no", "stays", "stays", "stays", "stays", "stays", "no", "no", "no"},
		"a kind of a newer program":                           {"no", "stays", "stays", "stays", "stays", "stays", "stays", "stays", "stays"},
	}
	moves, err := docgen.Moves()
	if err != nil {
		t.Fatal(err)
	}
	from := append([]order.State{docgen.None}, docgen.States()...)
	for _, m := range moves {
		t.Run(string(m.From)+"/"+m.Fact, func(t *testing.T) {
			got := string(m.To)
			switch m.To {
			case docgen.Refused:
				got = "no"
			case m.From:
				got = "stays"
			}
			row, ok := want[m.Fact]
			if !ok {
				t.Fatal("this fact has no row")
			}
			if w := row[slices.Index(from, m.From)]; got != w {
				t.Errorf("leads to %q, the table says %q", got, w)
			}
		})
	}
	if len(moves) != len(want)*len(from) {
		t.Errorf("%d cells were tried, the table has %d", len(moves), len(want)*len(from))
	}
}

// TestAnswers holds what every answer does in every state to the table as it
// was agreed: where it leads, whether a query follows at once, the alarm.
func TestAnswers(t *testing.T) {
	// paying, canceling, canceling after a cancel that did nothing, in_doubt, paid, failed, canceled
	from := []order.State{order.Paying, order.Canceling, docgen.CancelSettled, order.InDoubt, order.Paid, order.Failed, order.Canceled}
	want := map[string][7]string{
		"pay: paid":                                      {"paid", "stays", "paid", "paid", "stays", "stays ask", "stays ask"},
		"pay: paid, another amount":                      {"in_doubt !amount_differs", "in_doubt !amount_differs", "in_doubt !amount_differs", "stays !amount_differs", "stays", "stays ask", "stays ask"},
		"pay: pending":                                   {"stays", "stays", "stays", "stays", "stays", "stays", "stays"},
		"pay: refused without proof":                     {"stays ask", "stays ask", "stays ask", "stays ask", "stays", "stays", "stays"},
		"pay: definite refusal":                          {"failed", "failed", "failed", "failed", "stays", "stays", "stays"},
		"pay: definite refusal, with the platform's key": {"stays ask", "stays ask", "stays ask", "stays ask", "stays", "stays", "stays"},
		"pay: nothing, or unreadable":                    {"stays", "stays", "stays", "stays", "stays", "stays", "stays"},
		"pay: never left":                                {"failed", "stays", "stays", "stays", "stays", "stays", "stays"},
		"pay: token refused":                             {"failed", "stays", "stays", "stays", "stays", "stays", "stays"},
		"query: paid":                                    {"paid", "stays", "paid", "paid", "stays", "stays late !late_money", "stays late !late_money"},
		"query: paid, another amount":                    {"in_doubt !amount_differs", "in_doubt !amount_differs", "in_doubt !amount_differs", "stays !amount_differs", "stays !amount_differs", "stays !answer_mixed_up", "stays !answer_mixed_up"},
		"query: pending":                                 {"stays", "stays", "stays", "stays", "stays", "stays", "stays"},
		"query: not found":                               {"stays", "stays", "stays", "stays", "stays", "stays", "stays"},
		"query: refused":                                 {"stays", "stays", "stays", "stays", "stays", "stays", "stays"},
		"query: definite refusal":                        {"failed", "failed", "failed", "failed", "stays", "stays", "stays"},
		"query: closed":                                  {"canceled", "canceled", "canceled", "canceled", "stays", "stays", "stays"},
		"query: another order's number":                  {"stays !answer_mixed_up", "stays !answer_mixed_up", "stays !answer_mixed_up", "stays !answer_mixed_up", "stays !answer_mixed_up", "stays !answer_mixed_up", "stays !answer_mixed_up"},
		"query: nothing, or unreadable":                  {"stays", "stays", "stays", "stays", "stays", "stays", "stays"},
		"cancel: done":                                   {"canceled", "canceled", "canceled", "canceled", "stays", "stays", "stays"},
		"cancel: not done":                               {"stays ask", "stays ask", "stays ask", "stays ask", "stays ask", "stays ask", "stays ask"},
		"cancel: not done, no more tries":                {"stays ask", "stays ask", "stays ask", "stays ask", "stays ask", "stays ask", "stays ask"},
		"cancel: nothing, or unreadable":                 {"stays", "stays", "stays", "stays", "stays", "stays", "stays"},
		// A message that came by itself wakes a query and decides nothing.
		"notice: paid":                                {"stays ask", "stays ask", "stays ask", "stays ask", "stays", "stays ask", "stays ask"},
		"notice: paid, another amount":                {"stays ask", "stays ask", "stays ask", "stays ask", "stays", "stays ask", "stays ask"},
		"notice: paid, without an amount":             {"stays ask", "stays ask", "stays ask", "stays ask", "stays", "stays ask", "stays ask"},
		"notice: paid, another order's number":        {"stays ask", "stays ask", "stays ask", "stays ask", "stays", "stays ask", "stays ask"},
		"notice: closed":                              {"stays ask", "stays ask", "stays ask", "stays ask", "stays", "stays ask", "stays ask"},
		"notice: pending":                             {"stays ask", "stays ask", "stays ask", "stays ask", "stays", "stays ask", "stays ask"},
		"notice: paid, by the payer's browser":        {"stays ask", "stays ask", "stays ask", "stays ask", "stays", "stays ask", "stays ask"},
		"notice: closed page, by the payer's browser": {"stays ask", "stays ask", "stays ask", "stays ask", "stays", "stays ask", "stays ask"},
	}
	holdTo(t, platforms.Traits{FindsByNumber: true}, from, want, nil)
}

// TestAnswersWithoutQuery is the same for a platform that has no query: the
// rows in which it differs.
func TestAnswersWithoutQuery(t *testing.T) {
	from := []order.State{order.Paying, order.Canceling, docgen.CancelSettled, order.InDoubt, order.Paid, order.Failed, order.Canceled}
	none := [7]string{"stays", "stays", "stays", "stays", "stays", "stays", "stays"}
	mixed := [7]string{}
	for i := range mixed {
		mixed[i] = "stays !answer_mixed_up"
	}
	want := map[string][7]string{
		"pay: paid":                                   {"paid", "stays", "paid", "paid", "stays", "stays late !late_money", "stays late !late_money"},
		"notice: paid":                                {"paid", "stays", "paid", "paid", "stays", "stays late !late_money", "stays late !late_money"},
		"notice: paid, another amount":                {"in_doubt !amount_differs", "in_doubt !amount_differs", "in_doubt !amount_differs", "stays !amount_differs", "stays !amount_differs", "stays !amount_differs", "stays !amount_differs"},
		"notice: closed":                              {"canceled", "canceled", "canceled", "canceled", "stays", "stays", "stays"},
		"notice: paid, without an amount":             mixed,
		"notice: paid, another order's number":        mixed,
		"notice: pending":                             none,
		"notice: paid, by the payer's browser":        none,
		"notice: closed page, by the payer's browser": none,
	}
	holdTo(t, platforms.Traits{NoQuery: true}, from, want, func(name string) bool { _, ok := want[name]; return ok })
}

// holdTo holds every answer of which a table speaks to it; which is nil for a
// table that speaks of all.
func holdTo(t *testing.T, traits platforms.Traits, from []order.State, want map[string][7]string, which func(name string) bool) {
	t.Helper()
	heard, err := docgen.Hear(traits)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, h := range heard {
		if which != nil && !which(h.Reply) {
			continue
		}
		n++
		t.Run(string(h.From)+"/"+h.Reply, func(t *testing.T) {
			got := string(h.To)
			if h.To == h.From {
				got = "stays"
			}
			if slices.Contains(h.Facts, string(order.KindLate)) {
				got += " late"
			}
			if h.Asks {
				got += " ask"
			}
			if h.Alarm != "" {
				got += " !" + h.Alarm
			}
			row, ok := want[h.Reply]
			if !ok {
				t.Fatal("this answer has no row")
			}
			if w := row[slices.Index(from, h.From)]; got != w {
				t.Errorf("gives %q, the table says %q", got, w)
			}
		})
	}
	if n != len(want)*len(from) {
		t.Errorf("%d cells were tried, the table has %d", n, len(want)*len(from))
	}
}

// TestUnclearNeverEnds is the rule behind the tables: silence, an unreadable
// answer, not found, a refusal without proof and another order's answer end no
// order, on either kind of platform.
func TestUnclearNeverEnds(t *testing.T) {
	unclear := regexp.MustCompile(`unreadable|not found|without proof|query: refused|pending|another order|another amount|not done|browser|without an amount`)
	for _, traits := range []platforms.Traits{{FindsByNumber: true}, {PaidIsSticky: true}, {NoQuery: true}} {
		heard, err := docgen.Hear(traits)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, h := range heard {
			if unclear.MatchString(h.Reply) {
				n++
				if h.To.Final() && h.To != h.From {
					t.Errorf("%s in state %s ends the order as %s", h.Reply, h.From, h.To)
				}
			}
		}
		if n < 70 {
			t.Errorf("only %d unclear answers were tried", n)
		}
	}
}

// TestCommentTellsTheTable reads the table in the package comment: each state
// leads to those states that the code leads to, no more and no fewer.
func TestCommentTellsTheTable(t *testing.T) {
	source, err := os.ReadFile("order.go")
	if err != nil {
		t.Fatal(err)
	}
	leads, err := docgen.Leads()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range docgen.States() {
		names = append(names, string(s))
	}
	word := regexp.MustCompile(`\b(` + strings.Join(names, "|") + `)\b`)
	line := regexp.MustCompile(`(?m)^//\t(` + strings.Join(names, "|") + `) .*$`)
	seen := map[order.State]bool{}
	for _, m := range line.FindAllStringSubmatch(string(source), -1) {
		s := order.State(m[1])
		seen[s] = true
		var told []order.State
		// The columns are set apart by two blanks or more; the last one says what leads out.
		cols := regexp.MustCompile(`\s{2,}`).Split(strings.TrimPrefix(m[0], "//\t"), -1)
		if !s.Final() {
			for _, w := range word.FindAllString(cols[len(cols)-1], -1) {
				if !slices.Contains(told, order.State(w)) {
					told = append(told, order.State(w))
				}
			}
		}
		slices.Sort(told)
		really := slices.Sorted(slices.Values(leads[s]))
		if !slices.Equal(told, really) {
			t.Errorf("the comment says that %s leads to %v, the code leads to %v", s, told, really)
		}
	}
	if len(seen) != len(names) {
		t.Errorf("the comment tells %d states of %d", len(seen), len(names))
	}
}

// TestInsuredStops holds the stops of a payment by medical insurance to the
// table as it was agreed.
func TestInsuredStops(t *testing.T) {
	stops := []order.Stop{order.StopAuthorise, order.StopToken, order.StopSettle, order.StopSent}
	fact := func(s order.Stop) order.Fact {
		return order.Fact{Kind: order.KindInsured, Order: "A1", Insured: &order.InsuredStep{Stop: s, Split: &order.Split{}}}
	}
	created := order.Fact{Kind: order.KindCreated, Order: "A1", Created: &order.Created{Amount: 1, Mode: platforms.ModeInsurance}}
	way := map[order.Stop][]order.Stop{order.StopAuthorise: nil, order.StopToken: stops[1:2], order.StopSettle: stops[1:3], order.StopSent: stops[1:]}
	// Own authorisations go from authorise to sent; whether one may is the counter's question.
	want := map[order.Stop]string{order.StopAuthorise: "token sent", order.StopToken: "authorise settle", order.StopSettle: "sent", order.StopSent: ""}
	for _, from := range stops {
		var leads []string
		for _, to := range stops {
			o := &order.Order{}
			facts := []order.Fact{created}
			for _, s := range way[from] {
				facts = append(facts, fact(s))
			}
			for _, f := range facts {
				if err := o.Apply(f); err != nil {
					t.Fatal(err)
				}
			}
			if o.Insured.Stop != from {
				t.Fatalf("stands at %s, want %s", o.Insured.Stop, from)
			}
			if o.Apply(fact(to)) == nil {
				leads = append(leads, string(to))
			} else if o.Insured.Stop != from || o.Rev != len(facts) {
				t.Errorf("%s at %s was refused and changed the order", to, from)
			}
		}
		if got := strings.Join(leads, " "); got != want[from] {
			t.Errorf("%s leads to %q, the table says %q", from, got, want[from])
		}
	}
}
