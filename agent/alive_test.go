package agent_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent"
	"payagent/agent/agenttest"
	"payagent/platforms"
	"payagent/queue"
	"payagent/queue/mem"
)

// stuck is a log whose disk hangs when a test says so.
type stuck struct {
	queue.Log
	reads, writes chan struct{} // nil: goes on; else hangs until it is closed
	cursors       int
}

func wait(c chan struct{}) {
	if c != nil {
		<-c
	}
}

func (s *stuck) Append(ctx context.Context, b queue.Batch) (queue.Seq, error) {
	wait(s.writes)
	return s.Log.Append(ctx, b)
}

func (s *stuck) Open() ([]string, error) {
	wait(s.reads)
	return s.Log.Open()
}

func (s *stuck) SetCursor(name string, seq queue.Seq) error {
	wait(s.writes)
	s.cursors++
	return s.Log.SetCursor(name, seq)
}

// Alive asks the loop and the store: where either hangs it says so in time, and
// says yes again when it goes on.
func TestAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &stuck{Log: mem.Open(&mem.Disk{})}
		w := agenttest.Start(t, agenttest.Options{Log: log})
		ask := func(commit bool) string {
			t.Helper()
			ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
			defer stop()
			if err := w.Agent.Alive(ctx, commit); err != nil {
				return err.Error()
			}
			return ""
		}
		if got := ask(false); got != "" || log.cursors != 0 {
			t.Fatal(got, log.cursors)
		}
		if got := ask(true); got != "" || log.cursors != 1 {
			t.Fatal(got, log.cursors)
		}
		hang := make(chan struct{})
		log.reads = hang
		if got := ask(false); !strings.Contains(got, "store does not answer") {
			t.Fatal("the store hangs:", got)
		}
		close(hang)
		synctest.Wait()
		log.reads = nil
		hang = make(chan struct{})
		log.writes = hang
		if got := ask(false); got != "" {
			t.Fatal(got)
		}
		if got := ask(true); !strings.Contains(got, "store does not answer") {
			t.Fatal("writing hangs:", got)
		}
		go func() { _, _ = w.Agent.Collect(t.Context(), collectRequest("B1")) }()
		synctest.Wait()
		if got := ask(false); !strings.Contains(got, "order loop does not answer") {
			t.Fatal("the loop hangs:", got)
		}
		close(hang)
		synctest.Wait()
		log.writes = nil
		if got := ask(true); got != "" {
			t.Fatal(got)
		}
		w.Stop()
		if ask(false) == "" {
			t.Fatal("alive after the end")
		}
	})
}

// InHand tells of orders that a shutdown would disturb: young ones that are not
// final. A paid one is not, though it waits for HIS; one that is in doubt is
// until it is old.
func TestInHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := agenttest.Start(t, agenttest.Options{Log: mem.Open(&mem.Disk{})})
		hand := func() bool {
			synctest.Wait()
			return w.Agent.InHand(15 * time.Minute)
		}
		if hand() {
			t.Fatal("at the start")
		}
		w.Take(t, agenttest.Payment{Till: agenttest.W1, Fen: 100})
		if hand() {
			t.Fatal("a paid order keeps the machine up")
		}
		w.Banks[agenttest.Full].Deafen(true)
		if r, err := w.Agent.Collect(t.Context(), collectRequest("B2")); err != nil || r.Order == nil {
			t.Fatal(r.Code, err)
		}
		if !hand() {
			t.Fatal("a payment is under way")
		}
		time.Sleep(14 * time.Minute)
		if !hand() {
			t.Fatal("an order in doubt is 14 minutes old")
		}
		time.Sleep(2 * time.Minute)
		if hand() {
			t.Fatal("an old one keeps the machine up")
		}
		if n := len(w.Agent.Open()); n == 0 {
			t.Fatal("it is not open any more: this shows nothing")
		}
	})
}

func collectRequest(bill string) agent.Request {
	return agent.Request{Key: platforms.Hide(bill), Body: platforms.Hide(bill), Bill: bill, Amount: 100, Mode: platforms.ModeCharge,
		OrderType: "TREATMENT", Till: agenttest.W1, AuthCode: platforms.Hide("130000000099999999"), Subject: "test"}
}
