package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent"
	"payagent/agent/agenttest"
	"payagent/agent/audit"
	"payagent/agent/config"
	"payagent/agent/finance"
	"payagent/platforms"
	"payagent/queue/mem"
)

// Every record that a working agent writes has its line, which says who did
// what with how much, and nothing of patients, codes or typed reasons.
func TestRealActs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, dir := mem.Open(&mem.Disk{}), t.TempDir()
		w := agenttest.Start(t, agenttest.Options{Log: log, Config: func(c *config.Config) {
			c.Booking.Expect, c.Limits.RefundAloneFen = true, 1000
		}})
		ctx := context.Background()
		shifts := finance.NewShifts(w.Agent)
		shift, _, err := shifts.Open(ctx, agenttest.W1, platforms.Operator{ID: "1001", Name: "王收费"}, "window01")
		if err != nil {
			t.Fatal(err)
		}
		w.Take(t, agenttest.Payment{Till: agenttest.W1, No: "MZ1", Fen: 12850, By: "1001",
			Patient: platforms.Patient{Name: platforms.Hide("NAMECANARY"), CardNo: platforms.Hide("CARDCANARY"), Phone: platforms.Hide("PHONECANARY")}})
		w.Book(t, "MZ1", "F1", "")
		r, err := w.Agent.Refund(ctx, "MZ1", agent.RefundRequest{Key: platforms.Hide("r"), Body: platforms.Hide("r"), Request: "R1", Sum: 5000, Operator: platforms.Operator{ID: "2001", Name: "李"}, Reason: "REASONCANARY"})
		if err != nil || r.Code != "accepted" {
			t.Fatalf("%q %v", r.Code, err)
		}
		if r, err = w.Agent.ApproveRefund(ctx, "MZ1", "R1", platforms.Operator{ID: "3001", Name: "主任"}, true, "REASONCANARY"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		if _, err := w.Agent.LookUp(ctx, agent.DeskQuery{Profile: "window", OrderNo: "MZ1", Token: "desk01"}); err != nil {
			t.Fatal(err)
		}
		if _, err := shifts.Close(ctx, shift.ID, platforms.Operator{ID: "9001"}, "window01"); err != nil {
			t.Fatal(err)
		}
		k, err := audit.Open(log, opts(dir))
		if err == nil {
			err = errors.Join(k.CatchUp(ctx), k.Mark(), k.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		res := verify(t, log, dir)
		if !res.Good() || res.Compared != uint64(log.Last()) || res.Pending != 0 {
			t.Errorf("%d records, %+v", log.Last(), res)
		}
		var text []byte
		for _, path := range names(t, dir) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			text = append(text, data...)
		}
		for _, never := range []string{"CANARY", "13000000000"} {
			if bytes.Contains(text, []byte(never)) {
				t.Errorf("the audit holds %s", never)
			}
		}
		var got []audit.Line
		for line := range bytes.Lines(text) {
			var l struct {
				audit.Line
				Hash string `json:"hash"`
			}
			if err := json.Unmarshal(line, &l); err != nil {
				t.Fatal(err)
			}
			got = append(got, l.Line)
		}
		has := func(what string, fits func(audit.Line) bool) {
			t.Helper()
			for _, l := range got {
				if fits(l) {
					return
				}
			}
			t.Errorf("no line says that %s:\n%s", what, text)
		}
		has("1001 opened a shift with the token window01", func(l audit.Line) bool {
			return l.Kind == finance.ShiftOpened && l.Operator == "1001" && l.Token == "window01" && l.Subject == shift.ID
		})
		has("1001 asked for 128.50 at w1", func(l audit.Line) bool {
			return l.Kind == "created" && l.Order == "MZ1" && l.AmountFen == 12850 && l.Operator == "1001" && l.Till == agenttest.W1
		})
		has("a charge left", func(l audit.Line) bool { return l.Kind == "sent" && l.Verb == "charge" })
		has("it was paid", func(l audit.Line) bool { return l.Kind == "answered" && l.Status == "paid" && l.TradeNo == "TMZ1" })
		has("HIS booked it", func(l audit.Line) bool { return l.Kind == "booked" && l.FlowID == "F1" && l.Outcome == "yes" })
		has("2001 asked for a refund", func(l audit.Line) bool {
			return l.Kind == "refund" && l.Request == "R1" && l.AmountFen == 5000 && l.Operator == "2001"
		})
		has("3001 approved it", func(l audit.Line) bool {
			return l.Kind == "decided" && l.Request == "R1" && l.Operator == "3001" && l.Outcome == "yes"
		})
		has("it was done", func(l audit.Line) bool {
			return l.Kind == "answered" && l.Verb == "refund" && l.Outcome == "done" && l.Request == "R1"
		})
		has("desk01 looked it up", func(l audit.Line) bool { return l.Kind == "desk.lookup" && l.Token == "desk01" && l.Order == "MZ1" })
		has("9001 closed the shift", func(l audit.Line) bool {
			return l.Kind == finance.ShiftClosed && l.Operator == "9001" && l.AmountFen == 12850 // the refund is 2001's
		})
		if !strings.Contains(string(text), `"kind":"audit_day"`) {
			t.Error("the file has no beginning")
		}
	})
}
