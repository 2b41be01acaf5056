package agent_test

import (
	"encoding/json"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent"
	"payagent/agent/agenttest"
	"payagent/agent/counter"
	"payagent/platforms"
	"payagent/queue/mem"
)

// TestAlarmsAreWritten: every alarm, of an order or of the box, stands in the
// log, and what follows outcomes sees every one of them and every end.
func TestAlarmsAreWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &mem.Disk{}
		log := mem.Open(disk)
		w := agenttest.Start(t, agenttest.Options{Log: log})
		w.Take(t, agenttest.Payment{Till: agenttest.W1, No: "MZ1", Fen: 100})
		if _, err := w.Agent.Collect(t.Context(), agent.Request{Key: platforms.Hide("k"), Body: platforms.Hide("b"), Bill: "B1", Amount: 700, Mode: platforms.ModePresent,
			OrderType: "TREATMENT", Till: agenttest.K1, Channel: platforms.WeChat, Subject: "x"}); err != nil {
			t.Fatal(err)
		}
		w.Banks[agenttest.Full].RefuseToken(true)
		<-time.After(30 * time.Second)
		w.Agent.RaiseAlarm("audit_failed")
		if err := w.Agent.TellAlarm(t.Context(), agent.Alarm{Code: "device_absent", Subject: "w1.w1-pad", Cleared: true}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		w.Stop()
		// What a crash would leave has them all.
		again := agenttest.Start(t, agenttest.Options{Log: mem.Open(disk.Copy()), Asleep: true})
		var codes, news []string
		read := uint64(0)
		for {
			events, next, first, err := again.Agent.Follow(read, 3)
			if err != nil || first != 1 {
				t.Fatal(first, err)
			}
			notes, same, first, err := again.Agent.Notes(agent.NoteAlarm, read, 3)
			if err != nil || first != 1 || same != next {
				t.Fatal(same, next, first, err)
			}
			if next == read {
				break
			}
			read = next
			for _, e := range events {
				if n := e.News(); n != "" {
					news = append(news, n)
				}
			}
			for _, n := range notes {
				var a agent.Alarm
				if n.Kind != agent.NoteAlarm || json.Unmarshal(n.Data, &a) != nil {
					t.Fatal(n.Kind)
				}
				codes = append(codes, a.Code)
				if (a.Code == "device_absent") != a.Cleared {
					t.Error(a)
				}
			}
		}
		if read != again.Agent.LastEvent() || !slices.Contains(news, "paid") {
			t.Error(read, news)
		}
		if !slices.Equal(codes, []string{counter.AlarmTokenRefused, "audit_failed", "device_absent"}) {
			t.Error(codes)
		}
	})
}

// TestFollowMissesNothing: passing over records that can be no news gives the
// same as looking at all.
func TestFollowMissesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := agenttest.Start(t, agenttest.Options{Log: mem.Open(&mem.Disk{})})
		defer w.Stop()
		w.Take(t, agenttest.Payment{Till: agenttest.W1, No: "MZ1", Fen: 100})
		w.Book(t, "MZ1", "F1", "")
		w.GiveBack(t, "MZ1", "R1", 40, "1002")
		w.Take(t, agenttest.Payment{Till: agenttest.K1, No: "MZ2", Fen: 100})
		synctest.Wait()
		all, _, err := w.Agent.Events(0, 10_000)
		if err != nil {
			t.Fatal(err)
		}
		some, _, _, err := w.Agent.Follow(0, 10_000)
		if err != nil {
			t.Fatal(err)
		}
		tell := func(list []agent.Event) (out []string) {
			for _, e := range list {
				if n := e.News(); n != "" {
					out = append(out, e.Order.No+" "+n)
				}
			}
			return out
		}
		if a, b := tell(all), tell(some); !slices.Equal(a, b) || len(some) >= len(all) || len(a) < 5 {
			t.Errorf("%v\n%v", a, b)
		}
	})
}
