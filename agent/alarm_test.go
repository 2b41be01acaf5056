package agent_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent"
	"payagent/agent/agenttest"
	"payagent/agent/counter"
	"payagent/agent/order"
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
			events, next, first, err := follow(again.Agent, read, 3)
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

// follow gives the events that Follow shows, in order.
func follow(a *agent.Agent, seq uint64, limit int) (list []agent.Event, read, first uint64, err error) {
	var mu sync.Mutex
	at := map[string]uint64{}
	read, first, err = a.Follow(seq, limit, func(e agent.Event) error {
		mu.Lock()
		defer mu.Unlock()
		if at[e.Order.No] >= e.Seq {
			return fmt.Errorf("event %d of order %s after %d", e.Seq, e.Order.No, at[e.Order.No])
		}
		at[e.Order.No] = e.Seq
		if e.Order = e.Order.Clone(); e.Was != nil {
			e.Was = e.Was.Clone()
		}
		list = append(list, e)
		return nil
	})
	slices.SortFunc(list, func(x, y agent.Event) int { return cmp.Compare(x.Seq, y.Seq) })
	return list, read, first, err
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
		some, _, _, err := follow(w.Agent, 0, 10_000)
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

// TestWalks: an event is the same wherever the walk over the log began, that is
// whether its order's earlier records were met on the way or are read for it.
func TestWalks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := mem.Open(&mem.Disk{})
		w := agenttest.Start(t, agenttest.Options{Log: log})
		defer w.Stop()
		w.Take(t, agenttest.Payment{Till: agenttest.W1, No: "MZ1", Fen: 100})
		w.Take(t, agenttest.Payment{Till: agenttest.K1, No: "MZ2", Fen: 100})
		w.Book(t, "MZ1", "F1", "")
		w.GiveBack(t, "MZ1", "R1", 40, "1002")
		w.GiveBack(t, "MZ2", "R2", 100, "1002")
		w.GiveBack(t, "MZ1", "R3", 60, "1002")
		w.Agent.RaiseAlarm("audit_failed")
		for i := range 9 {
			w.Take(t, agenttest.Payment{Till: agenttest.W1, No: fmt.Sprint("MZ3", i), Fen: 100})
		}
		synctest.Wait()
		entries, _, err := log.After(0, 10_000)
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) < 40 {
			t.Fatal(len(entries), "records are too few to be taken apart by several at a time")
		}
		facts, want := map[string][]order.Fact{}, map[uint64]agent.Event{}
		for _, e := range entries {
			if agent.IsNote(e.Stream) {
				continue
			}
			var f order.Fact
			if err := json.Unmarshal(e.Data, &f); err != nil {
				t.Fatal(err)
			}
			ev := agent.Event{Seq: uint64(e.Seq), Kind: f.Kind, At: f.At}
			if old := facts[e.Stream]; len(old) > 0 {
				if ev.Was, err = order.Fold(old); err != nil {
					t.Fatal(err)
				}
			}
			facts[e.Stream] = append(facts[e.Stream], f)
			if ev.Order, err = order.Fold(facts[e.Stream]); err != nil {
				t.Fatal(err)
			}
			want[ev.Seq] = ev
		}
		last := w.Agent.LastEvent()
		for _, size := range []int{1, 2, 5, 10_000} {
			all, news := 0, 0
			for at := uint64(0); at < last; {
				list, _, err := w.Agent.Events(at, size)
				if err != nil || len(list) == 0 {
					break
				}
				for _, e := range list {
					if all++; !reflect.DeepEqual(e, want[e.Seq]) {
						t.Errorf("by %d: event %d is %+v, not %+v", size, e.Seq, e.Order, want[e.Seq].Order)
					}
					at = e.Seq
				}
			}
			for at := uint64(0); at < last; {
				list, read, _, err := follow(w.Agent, at, size)
				if err != nil || read == at {
					t.Fatal(read, err)
				}
				for _, e := range list {
					if news++; !reflect.DeepEqual(e, want[e.Seq]) {
						t.Errorf("by %d: event %d that may be news is %+v, not %+v", size, e.Seq, e.Order, want[e.Seq].Order)
					}
				}
				at = read
			}
			if all != len(want) || news < 10 || news >= all {
				t.Errorf("by %d: %d events of %d, %d may be news", size, all, len(want), news)
			}
		}
	})
}
