package finance_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent"
	"payagent/agent/agenttest"
	"payagent/agent/config"
	"payagent/agent/counter"
	"payagent/agent/finance"
	"payagent/agent/order"
	"payagent/platforms"
	"payagent/queue/mem"
)

// watched starts a world over a disk with somebody watching for finance.
func watched(t *testing.T, disk *mem.Disk, taken int, change func(*config.Signals)) (*agenttest.World, *finance.Watch) {
	t.Helper()
	w := agenttest.Start(t, agenttest.Options{Log: mem.Open(disk), Taken: taken, Config: func(c *config.Config) {
		c.Finance.Signals.Cancels = 3
		if change != nil {
			change(&c.Finance.Signals)
		}
	}})
	synctest.Wait()
	return w, finance.NewWatch(w.Agent, slog.New(slog.DiscardHandler))
}

// found lists what is in the journal of the last days, and holds the alarms to it.
func found(t *testing.T, w *agenttest.World, watch *finance.Watch) []string {
	t.Helper()
	if err := watch.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	var list []string
	for d := range 4 {
		signs, err := finance.Signs(w.Agent, time.UnixMilli(w.Agent.Now().Wall).AddDate(0, 0, d-3))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range signs {
			list = append(list, fmt.Sprintf("%s %s %s %d", s.Rule, s.Till, s.Operator, len(s.Orders)))
			if !strings.Contains(s.Say.ZH, "请核对") || !strings.Contains(s.Say.EN, "Please check") || s.Next.Empty() {
				t.Errorf("%s says %v, %v", s.Rule, s.Say, s.Next)
			}
		}
	}
	return list
}

func canceled(t *testing.T, w *agenttest.World, n int, by string) {
	t.Helper()
	for i := range n {
		bill := fmt.Sprint("C", by, i, w.Agent.Now().Wall)
		r, err := w.Agent.Collect(context.Background(), agent.Request{Key: platforms.Hide(bill), Body: platforms.Hide(bill), Bill: bill, Amount: 100,
			Mode: platforms.ModeCharge, OrderType: "TREATMENT", Till: agenttest.W1, Operator: platforms.Operator{ID: by}})
		if err != nil || r.Code != counter.CodeCreated {
			t.Fatal(r.Code, err)
		}
		if r, err = w.Agent.Act(context.Background(), r.Order.No, order.ActCancel, platforms.Operator{ID: by}, ""); err != nil || r.Code != counter.CodeDone {
			t.Fatal(r.Code, err)
		}
	}
}

// TestSigns: each sign is found once in the journal of a real agent, also when
// the watcher ended before it was written and after each restart.
func TestSigns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &mem.Disk{}
		w, watch := watched(t, disk, 0, nil)
		first := w.Take(t, agenttest.Payment{Till: agenttest.W1, Fen: 30000, By: "1001"})
		if list := found(t, w, watch); len(list) != 0 {
			t.Fatalf("an ordinary payment: %v", list)
		}
		// The code that was just used, at the other window: refused, and noted.
		for range 3 {
			r, err := w.Agent.Collect(t.Context(), agent.Request{Key: platforms.Hide("again"), Body: platforms.Hide("again"), Bill: "again", Amount: 100, Mode: platforms.ModeCharge,
				OrderType: "TREATMENT", Till: agenttest.W2, AuthCode: platforms.Hide("130000000000000001"), Operator: platforms.Operator{ID: "1002"}})
			if err != nil || r.Code != counter.CodeUsed {
				t.Fatal(r.Code, err)
			}
		}
		want := []string{"code_two_tills w2 1002 1"}
		if list := found(t, w, watch); !slices.Equal(list, want) {
			t.Fatalf("%v, want %v", list, want)
		}
		canceled(t, w, 2, "1001")
		time.Sleep(31 * time.Minute)
		w.GiveBack(t, first.No, "R1", 100, "1001")
		want = append(want, "refund_absent w1 1001 1")
		if list := found(t, w, watch); !slices.Equal(list, want) {
			t.Fatalf("%v, want %v", list, want)
		}
		canceled(t, w, 1, "1001")
		w.Take(t, agenttest.Payment{Till: agenttest.W2, Fen: 19999, By: "1002"})
		w.GiveBack(t, first.No, "R2", 20000, "1002")
		// The watcher ends before it has looked.
		w.Stop()
		w, watch = watched(t, disk, 2, nil)
		want = append(want, "many_cancels w1 1001 3", "refunds_over w1 1002 1")
		if list := found(t, w, watch); !slices.Equal(list, want) {
			t.Fatalf("%v, want %v", list, want)
		}
		var page bytes.Buffer
		if err := w.Agent.WriteMetrics(&page, "test"); err != nil || !strings.Contains(page.String(), `payagent_checks_total{rule="many_cancels"} 1`) ||
			!strings.Contains(page.String(), `payagent_alarms_total{code="check_refunds_over"} 1`) {
			t.Errorf("%v\n%s", err, page.String())
		}
		// Restarts, with and without more of the same, tell nothing twice.
		for range 3 {
			w.Stop()
			w, watch = watched(t, disk, 2, nil)
			canceled(t, w, 1, "1001")
			if list := found(t, w, watch); !slices.Equal(list, want) {
				t.Fatalf("%v, want %v", list, want)
			}
			time.Sleep(time.Minute)
		}
		// The fleet reads the alarm; nothing of the patient or the code is in it.
		notes, _, _, err := w.Agent.Notes(agent.NoteAlarm, 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, x := range notes {
			var a agent.Alarm
			if err := json.Unmarshal(x.Data, &a); err != nil || a.Check == nil {
				continue
			}
			n++
			if a.Code != agent.AlarmCheck+string(a.Check.Rule) || a.Subject != a.Check.Till+"/"+a.Check.Operator || a.Order == "" || strings.Contains(string(x.Data), "1300000000") {
				t.Errorf("%s", x.Data)
			}
		}
		if n != len(want) {
			t.Errorf("%d alarms for %d signs", n, len(want))
		}
		// What is old is not told by a watcher that comes much later.
		canceled(t, w, 3, "1003")
		w.Stop()
		time.Sleep(25 * time.Hour)
		w, watch = watched(t, disk, 2, nil)
		if list := found(t, w, watch); !slices.Equal(list, want) {
			t.Fatalf("%v, want %v", list, want)
		}
		// As a table.
		var csv bytes.Buffer
		signs, err := finance.Signs(w.Agent, time.UnixMilli(w.Agent.Now().Wall).AddDate(0, 0, -1))
		if err == nil {
			err = finance.WriteSigns(&csv, finance.CSV, signs)
		}
		if err != nil || !strings.Contains(csv.String(), "refund_absent") || strings.Count(csv.String(), "\r\n") != 1+len(signs) {
			t.Errorf("%v\n%s", err, csv.String())
		}
	})
	// Closed: what a machine takes, and gives back in its own name, is its
	// business; who gives it back by hand is a person at a counter.
	synctest.Test(t, func(t *testing.T) {
		w, watch := watched(t, &mem.Disk{}, 0, func(s *config.Signals) {
			s.Hours = map[string]string{"mon": "08:00-17:00"}
			s.AlwaysOpen = []string{agenttest.W2}
		})
		o := w.Take(t, agenttest.Payment{Till: agenttest.K1, Fen: 30000})
		w.GiveBack(t, o.No, "R1", 100, o.Operator.ID)
		w.Take(t, agenttest.Payment{Till: agenttest.W2, Fen: 1000, By: "1002"})
		w.GiveBack(t, o.No, "R2", 100, "1002") // works where it never closes
		if list := found(t, w, watch); len(list) != 0 {
			t.Errorf("%v", list)
		}
		w.GiveBack(t, o.No, "R3", 100, "1001")
		if list := found(t, w, watch); !slices.Equal(list, []string{"after_hours k1 1001 1"}) {
			t.Errorf("%v", list)
		}
	})
	// Muted, nothing is told or listed.
	synctest.Test(t, func(t *testing.T) {
		w, watch := watched(t, &mem.Disk{}, 0, func(s *config.Signals) { s.Mute = []string{"many_cancels"} })
		canceled(t, w, 5, "1001")
		if list := found(t, w, watch); len(list) != 0 {
			t.Errorf("%v", list)
		}
	})
}
