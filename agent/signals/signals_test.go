package signals_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"payagent/agent/signals"
	"payagent/platforms"
)

// noon is a Wednesday, 12:00 in UTC+8.
var noon = time.Date(2026, 11, 18, 4, 0, 0, 0, time.UTC)

func at(d time.Duration) int64 { return noon.Add(d).UnixMilli() }

func usual() signals.Config {
	return signals.Config{RefundAfter: 30 * time.Minute, Cancels: 3, CodeWithin: 10 * time.Minute, RefundsOver: 10000, Shift: 12 * time.Hour}
}

func desk(c signals.Config) signals.Config { c.Desk = []string{"9001"}; return c }

func workdays(c signals.Config) signals.Config {
	c.Hours = &[7]signals.Hours{1: {450, 1080}, 2: {450, 1080}, 3: {450, 1080}, 4: {450, 1080}, 5: {1320, 360}} // Mon–Thu 07:30–18:00, Fri 22:00–06:00
	c.Always = []string{"night"}
	return c
}

func asked(after, paid time.Duration, by, takenBy string) signals.Act {
	return signals.Act{Kind: signals.Asked, At: at(after), Order: "MZ1", Refund: "R1", Till: "w1", Counter: true, Operator: by, PaidAt: at(paid), PaidBy: takenBy}
}

func cancel(after time.Duration, order, by string) signals.Act {
	return signals.Act{Kind: signals.Canceled, At: at(after), Order: order, Till: "w1", Counter: true, Operator: by}
}

func moved(k signals.Kind, after time.Duration, fen platforms.Fen, by string) signals.Act {
	return signals.Act{Kind: k, At: at(after), Order: fmt.Sprint("MZ", after), Till: "w1", Counter: true, Operator: by, Amount: fen}
}

func again(after, used time.Duration) signals.Act {
	return signals.Act{Kind: signals.CodeAgain, At: at(after), Order: "MZ1", Till: "w2", Operator: "1002", UsedAt: at(used)}
}

func begun(t time.Time, till string, counter bool) signals.Act {
	return signals.Act{Kind: signals.Begun, At: t.UnixMilli(), Order: "MZ1", Till: till, Counter: counter, Operator: "1001"}
}

// TestBorders: each rule just on either side of its border.
func TestBorders(t *testing.T) {
	h, m := time.Hour, time.Minute
	day := func(d int, clock time.Duration) time.Time { // of November 2026, UTC+8
		return time.Date(2026, 11, d, 0, 0, 0, 0, time.FixedZone("UTC+8", 8*60*60)).Add(clock)
	}
	for _, c := range []struct {
		name string
		conf signals.Config
		acts []signals.Act
		want string
	}{
		{"a refund right after paying", usual(), []signals.Act{asked(m, 0, "1001", "1001")}, ""},
		{"a refund at the border", usual(), []signals.Act{asked(30*m, 0, "1001", "1001")}, ""},
		{"a refund a moment past it", usual(), []signals.Act{asked(30*m+time.Millisecond, 0, "1001", "1001")}, "refund_absent"},
		{"the same refund twice", usual(), []signals.Act{asked(h, 0, "1001", "1001"), asked(h+m, 0, "1001", "1001")}, "refund_absent"},
		{"by another, while no desk is named", usual(), []signals.Act{asked(5*h, 0, "1002", "1001")}, ""},
		{"by another than the desk", desk(usual()), []signals.Act{asked(m, 0, "1002", "1001")}, "refund_absent"},
		{"late, by another than the desk", desk(usual()), []signals.Act{asked(5*h, 0, "1002", "1001")}, "refund_absent"},
		{"by the desk, however late", desk(usual()), []signals.Act{asked(48*h, 0, "9001", "1001")}, ""},
		{"of a payment taken elsewhere, by another than the desk", desk(usual()), []signals.Act{asked(m, 0, "1002", "")}, "refund_absent"},
		{"muted", muted(usual(), signals.RefundAbsent), []signals.Act{asked(h, 0, "1001", "1001")}, ""},

		{"one cancel less", usual(), []signals.Act{cancel(0, "A", "1001"), cancel(m, "B", "1001")}, ""},
		{"as many within an hour", usual(), []signals.Act{cancel(0, "A", "1001"), cancel(m, "B", "1001"), cancel(h-1, "C", "1001")}, "many_cancels"},
		{"the last after an hour", usual(), []signals.Act{cancel(0, "A", "1001"), cancel(m, "B", "1001"), cancel(h, "C", "1001")}, ""},
		{"of two operators", usual(), []signals.Act{cancel(0, "A", "1001"), cancel(m, "B", "1002"), cancel(2*m, "C", "1001")}, ""},
		{"more within the hour are not told again", usual(), []signals.Act{cancel(0, "A", "1001"), cancel(m, "B", "1001"), cancel(2*m, "C", "1001"), cancel(3*m, "D", "1001"), cancel(4*m, "E", "1001")}, "many_cancels"},
		{"they go on", usual(), []signals.Act{cancel(0, "A", "1001"), cancel(m, "B", "1001"), cancel(2*m, "C", "1001"), cancel(h, "D", "1001"), cancel(h+m, "E", "1001"), cancel(h+2*m, "F", "1001")}, "many_cancels many_cancels"},
		{"at a kiosk", usual(), []signals.Act{kiosk(cancel(0, "A", "k")), kiosk(cancel(m, "B", "k")), kiosk(cancel(2*m, "C", "k"))}, ""},

		{"the code at another till at the border", usual(), []signals.Act{again(10*m, 0)}, "code_two_tills"},
		{"a moment past it", usual(), []signals.Act{again(10*m+time.Millisecond, 0)}, ""},
		{"twice there", usual(), []signals.Act{again(m, 0), again(2*m, 0)}, "code_two_tills"},

		{"refunds as high as payments", usual(), []signals.Act{moved(signals.Taken, 0, 20000, "1001"), moved(signals.Given, m, 20000, "1001")}, ""},
		{"a fen more", usual(), []signals.Act{moved(signals.Taken, 0, 20000, "1001"), moved(signals.Given, m, 20001, "1001")}, "refunds_over"},
		{"a fen more, below the least sum", usual(), []signals.Act{moved(signals.Taken, 0, 9998, "1001"), moved(signals.Given, m, 9999, "1001")}, ""},
		{"at the least sum", usual(), []signals.Act{moved(signals.Taken, 0, 9999, "1001"), moved(signals.Given, m, 10000, "1001")}, "refunds_over"},
		{"in two steps", usual(), []signals.Act{moved(signals.Taken, 0, 20000, "1001"), moved(signals.Given, m, 15000, "1001"), moved(signals.Given, 2*m, 15000, "1001"), moved(signals.Given, 3*m, 100, "1001")}, "refunds_over"},
		{"who took nothing, while no desk is named", usual(), []signals.Act{moved(signals.Given, m, 50000, "1001")}, ""},
		{"who took nothing and is not the desk", desk(usual()), []signals.Act{moved(signals.Given, m, 50000, "1001")}, "refunds_over"},
		{"the desk", desk(usual()), []signals.Act{moved(signals.Taken, 0, 1, "9001"), moved(signals.Given, m, 50000, "9001")}, ""},
		{"another's payments do not count", usual(), []signals.Act{moved(signals.Taken, 0, 90000, "1002"), moved(signals.Taken, 0, 100, "1001"), moved(signals.Given, m, 50000, "1001")}, "refunds_over"},
		{"payments of eleven hours ago count", usual(), []signals.Act{moved(signals.Taken, 0, 50000, "1001"), moved(signals.Taken, 10*h, 1, "1001"), moved(signals.Given, 11*h, 40000, "1001")}, ""},
		{"those of twelve hours ago do not", usual(), []signals.Act{moved(signals.Taken, 0, 50000, "1001"), moved(signals.Taken, 10*h, 1, "1001"), moved(signals.Given, 12*h, 40000, "1001")}, "refunds_over"},
		{"a shift begins", usual(), []signals.Act{moved(signals.Taken, 0, 50000, "1001"), {Kind: signals.Shift, At: at(h), Operator: "1001"}, moved(signals.Taken, 2*h, 1, "1001"), moved(signals.Given, 3*h, 40000, "1001")}, "refunds_over"},

		{"no hours", usual(), []signals.Act{begun(day(18, 3*h), "w1", true)}, ""},
		{"a minute before opening", workdays(usual()), []signals.Act{begun(day(18, 7*h+29*m), "w1", true)}, "after_hours"},
		{"at opening", workdays(usual()), []signals.Act{begun(day(18, 7*h+30*m), "w1", true)}, ""},
		{"the last minute", workdays(usual()), []signals.Act{begun(day(18, 17*h+59*m), "w1", true)}, ""},
		{"at closing", workdays(usual()), []signals.Act{begun(day(18, 18*h), "w1", true)}, "after_hours"},
		{"on a Sunday", workdays(usual()), []signals.Act{begun(day(22, 12*h), "w1", true)}, "after_hours"},
		{"Friday before the night", workdays(usual()), []signals.Act{begun(day(20, 21*h+59*m), "w1", true)}, "after_hours"},
		{"Friday night", workdays(usual()), []signals.Act{begun(day(20, 22*h), "w1", true)}, ""},
		{"its end on Saturday", workdays(usual()), []signals.Act{begun(day(21, 5*h+59*m), "w1", true)}, ""},
		{"past its end", workdays(usual()), []signals.Act{begun(day(21, 6*h), "w1", true)}, "after_hours"},
		{"Friday morning, not Thursday's night", workdays(usual()), []signals.Act{begun(day(20, 5*h), "w1", true)}, "after_hours"},
		{"a kiosk never closes", workdays(usual()), []signals.Act{begun(day(22, 12*h), "k1", false)}, ""},
		{"a till that never closes", workdays(usual()), []signals.Act{begun(day(22, 12*h), "night", true)}, ""},
		{"once an hour", workdays(usual()), []signals.Act{begun(day(22, 12*h), "w1", true), begun(day(22, 12*h+59*m), "w1", true), begun(day(22, 13*h), "w1", true)}, "after_hours after_hours"},
		{"a refund after hours", workdays(usual()), []signals.Act{{Kind: signals.Asked, At: day(22, 12*h).UnixMilli(), Order: "MZ1", Refund: "R", Till: "w1", Counter: true, Operator: "1001", PaidBy: "1001", PaidAt: day(22, 12*h).UnixMilli()}}, "after_hours"},
		{"a refund of a kiosk's order after hours", workdays(usual()), []signals.Act{at3(asked(0, 0, "1001", "k"), "k1")}, "after_hours"},
		{"a refund by who works at a till that never closes", workdays(usual()), []signals.Act{begun(day(18, 3*h), "night", true), at3(asked(0, 0, "1001", "1001"), "w1")}, ""},
		{"by who worked there a shift ago", workdays(usual()), []signals.Act{begun(day(17, 15*h+30*m), "night", true), at3(asked(0, 0, "1001", "1001"), "w1")}, "after_hours"},
		{"by another than who works there", workdays(usual()), []signals.Act{begun(day(18, 3*h), "night", true), at3(asked(0, 0, "1002", "1001"), "w1")}, "after_hours"},
		{"by who works at a counter, of a till that never closes", workdays(usual()), []signals.Act{begun(day(17, 17*h), "w1", true), at3(asked(0, 0, "1001", "1001"), "night")}, "after_hours at w1"},
		{"late, at another window", usual(), []signals.Act{begun(noon, "w2", true), asked(h, 0, "1001", "1001")}, "refund_absent at w2"},
		{"after a shift began, where is not known", usual(), []signals.Act{begun(noon, "w2", true), {Kind: signals.Shift, At: at(m), Operator: "1001"}, asked(h, 0, "1001", "1001")}, "refund_absent"},
		{"who used a kiosk works at no kiosk", usual(), []signals.Act{begun(noon, "k1", false), asked(h, 0, "1001", "1001")}, "refund_absent"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, got := signals.New(c.conf), ""
			for _, a := range c.acts {
				for _, s := range w.See(a) {
					if got != "" {
						got += " "
					}
					got += string(s.Rule)
					if s.Till != a.Till {
						got += " at " + s.Till
					}
					if s.Operator != a.Operator || s.At != a.At || len(s.Orders) == 0 || s.Orders[len(s.Orders)-1] != a.Order {
						t.Errorf("%+v of %+v", s, a)
					}
				}
			}
			if got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// at3 is an act at three in the morning of the 18th.
func at3(a signals.Act, till string) signals.Act {
	a.At = time.Date(2026, 11, 18, 3, 30, 0, 0, time.FixedZone("UTC+8", 8*60*60)).UnixMilli()
	a.PaidAt, a.Till = a.At, till
	return a
}

func muted(c signals.Config, r signals.Rule) signals.Config { c.Mute = []string{string(r)}; return c }

func kiosk(a signals.Act) signals.Act { a.Counter = false; return a }

// TestDerivedAnew: a watcher that begins in the middle of the journal, and
// hears what was told before, tells nothing twice.
func TestDerivedAnew(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 80).Draw(t, "acts")
		cut := rapid.IntRange(0, n/2).Draw(t, "cut")
		begin := int64(0)
		live, late := signals.New(usual()), signals.New(usual())
		now := time.Duration(0)
		told := 0
		var pending []signals.Signal
		for i := range n {
			now += time.Duration(rapid.IntRange(0, 120).Draw(t, "minutes")) * time.Minute
			by := rapid.SampledFrom([]string{"1001", "1002"}).Draw(t, "operator")
			var a signals.Act
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0, 1:
				a = cancel(now, fmt.Sprint("C", i), by)
			case 2:
				a = moved(signals.Taken, now, 1000, by)
			default:
				a = moved(signals.Given, now, 12000, by)
			}
			found := live.See(a)
			if i == cut {
				begin = a.At
			}
			if i >= cut {
				pending = append(pending, late.See(a)...)
			}
			for _, s := range found { // written right after
				told++
				if i >= cut {
					late.Told(s)
					var rest []signals.Signal
					for _, p := range pending {
						if !late.Covers(s, p) {
							rest = append(rest, p)
						}
					}
					pending = rest
				}
			}
		}
		// What began late knows less, so it can only find less.
		for _, p := range pending {
			if p.At < begin+(signals.Window-signals.Owed).Milliseconds() {
				continue // what covers it may be out of sight
			}
			t.Fatalf("%+v would be told once more (%d were told)", p, told)
		}
	})
}

// TestBounded: nobody can fill the memory with operators.
func TestBounded(t *testing.T) {
	w := signals.New(usual())
	for i := range 5000 {
		w.See(cancel(time.Duration(i)*time.Second, "A", fmt.Sprint(i)))
		w.See(asked(40*time.Minute+time.Duration(i)*time.Second, 0, fmt.Sprint(i), fmt.Sprint(i)))
	}
	if people, told := w.Size(); people > 512 || told > 4096 {
		t.Errorf("%d operators, %d told", people, told)
	}
}
