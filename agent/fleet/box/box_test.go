package box_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent"
	"payagent/agent/agenttest"
	"payagent/agent/clock"
	"payagent/agent/config"
	"payagent/agent/diag"
	"payagent/agent/fleet"
	"payagent/agent/fleet/box"
	"payagent/devices"
	"payagent/platforms"
	"payagent/queue"
	"payagent/queue/mem"
	"payagent/uplink"
)

// topic gives what the broker keeps.
func (r *rig) kept(levels ...string) map[string]any {
	m, _ := r.broker.Retained(place().Topic(levels...))
	var v map[string]any
	if len(m.Payload) > 0 {
		if err := json.Unmarshal(m.Payload, &v); err != nil {
			r.t.Error(err)
		}
	}
	return v
}

// TestStatus: it says who it is and how it is, and the will says whose it is.
func TestStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.start()
		r.pass(2 * time.Minute)
		first := r.status()
		if first.State != fleet.StateReady || first.Seq != 1 || first.BootID == "" || first.Every != 60 || first.Version != "1.2.3" || time.Since(first.At) > time.Minute {
			t.Errorf("%+v", first)
		}
		r.broker.Refuse(true)
		r.broker.Cut("B1")
		lost := r.status()
		if lost.State != fleet.StateLost || lost.Seq != 1 || lost.BootID != first.BootID {
			t.Errorf("%+v", lost)
		}
		r.broker.Refuse(false)
		r.pass(time.Second)
		back := r.status()
		if back.State != fleet.StateReady || back.Seq != 2 {
			t.Errorf("%+v", back)
		}
		if fleet.Newer(&back, lost) || !fleet.Newer(&lost, back) {
			t.Error("a late will would be believed")
		}
		// What is not as it should be is said, with its reason.
		r.world.Banks[agenttest.Full].Cut(true)
		r.world.Agent.Presence(agenttest.W1, devices.Presence{Device: "w1-pad", Present: false, Err: devices.ErrAbsent})
		r.pass(3 * time.Minute)
		s := r.status()
		if s.State != fleet.StateAlert || !slices.Contains(s.Reasons, "scanner_absent:w1.w1-pad") || !slices.Contains(s.Reasons, "platform_unreachable:full") {
			t.Errorf("%+v", s)
		}
		if d := r.kept(fleet.LevelDevice, "w1.w1-pad"); d["present"] != false || d["reason"] != "absent" || d["at"] == nil {
			t.Errorf("%v", d)
		}
		for _, code := range []string{box.AlarmDevice, box.AlarmPlatform} {
			if a := r.kept(fleet.LevelAlarm, code); a["code"] != code || a["count"] != 1.0 {
				t.Errorf("%s: %v", code, a)
			}
		}
		if p := r.kept(fleet.LevelTwin, "platforms"); !strings.Contains(fmt.Sprint(p), "up:false") {
			t.Error(p)
		}
		r.world.Banks[agenttest.Full].Cut(false)
		r.world.Agent.Presence(agenttest.W1, devices.Presence{Device: "w1-pad", Present: true})
		r.pass(3 * time.Minute)
		if s := r.status(); s.State != fleet.StateReady {
			t.Errorf("%+v", s)
		}
		for _, code := range []string{box.AlarmDevice, box.AlarmPlatform} {
			if a := r.kept(fleet.LevelAlarm, code); a != nil {
				t.Errorf("%s: %v", code, a)
			}
		}
		if c := r.kept(fleet.LevelCan, fleet.VerbRestart); c["role"] != fleet.RoleOperate || c["disturbs"] != true {
			t.Error(c)
		}
		r.end()
	})
}

// TestClockAndStore: a clock from before the program, and a store that does not
// answer, are no "ready".
func TestClockAndStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.opts = func(o *box.Options) { o.Clock = clock.Open(clock.Options{Made: time.Now().AddDate(1, 0, 0)}) }
		r.start()
		r.pass(time.Minute)
		if s := r.status(); s.State != fleet.StateAlert || !slices.Contains(s.Reasons, "clock_wrong") {
			t.Errorf("%+v", s)
		}
		// And no command that was made for that time is fresh.
		ops, _, _, _ := keys()
		c := r.cmd(fleet.VerbResolveNow, "old")
		if s := r.listen(c, sign(t, c, ops)); s.State != fleet.Expired {
			t.Errorf("%+v", s)
		}
		r.end()
	})
}

// TestOnlyChanges: what stays as it is is not written again; after a broker
// lost its memory everything is.
func TestOnlyChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.opts = func(o *box.Options) {
			o.Twin = func(context.Context) map[string]any {
				return map[string]any{"agent": map[string]string{"version": "1"}}
			}
		}
		r.start()
		r.pass(time.Minute)
		before := len(r.broker.Accepted("payagent/H1/B1/twin/#")) + len(r.broker.Accepted("payagent/H1/B1/dev/#")) + len(r.broker.Accepted("payagent/H1/B1/cap/#"))
		r.pass(time.Hour)
		after := len(r.broker.Accepted("payagent/H1/B1/twin/#")) + len(r.broker.Accepted("payagent/H1/B1/dev/#")) + len(r.broker.Accepted("payagent/H1/B1/cap/#"))
		if before == 0 || after != before {
			t.Errorf("%d, after an hour without changes %d", before, after)
		}
		if n := len(r.broker.Accepted("payagent/H1/B1/m/+")); n < 3*60 || n > 3*63 {
			t.Errorf("%d samples in an hour", n)
		}
		r.broker.Forget()
		r.pass(time.Minute)
		if v := r.kept(fleet.LevelTwin, "agent"); v["version"] != "1" || v["at"] == nil {
			t.Error(v)
		}
		r.end()
	})
}

// TestLastingAlarms: what lasts is cleared when it ends, also over a restart;
// an occurrence is shown for a day; every raising and clearing is an event.
func TestLastingAlarms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		h := r.hub()
		worn := true
		r.opts = func(o *box.Options) {
			o.Lasting = []string{"disk_worn"}
			o.Conditions = func() []agent.Alarm {
				if worn {
					return []agent.Alarm{{Code: "disk_worn", Subject: "mmcblk0"}}
				}
				return nil
			}
		}
		r.start()
		r.world.Agent.RaiseAlarm("audit_failed")
		r.pass(10 * time.Second)
		if r.kept(fleet.LevelAlarm, "disk_worn") == nil || r.kept(fleet.LevelAlarm, "audit_failed") == nil {
			t.Error("an alarm is not shown")
		}
		r.crash()
		r.start()
		r.pass(10 * time.Second)
		worn = false
		r.crash()
		r.start()
		r.pass(10 * time.Second)
		if r.kept(fleet.LevelAlarm, "disk_worn") != nil || r.kept(fleet.LevelAlarm, "audit_failed") == nil {
			t.Error("what ended is shown, or what lasts is not")
		}
		r.end()
		r.pass(25 * time.Hour)
		r.start()
		r.pass(10 * time.Second)
		if r.kept(fleet.LevelAlarm, "audit_failed") != nil {
			t.Error("an occurrence is shown for ever")
		}
		var got []string
		for _, e := range h.got(fleet.StreamAlarms) {
			var d fleet.AlarmData
			if err := fleet.Unmarshal(e.Data, &d); err != nil || d.Text.ZH == "" {
				t.Fatal(err, d)
			}
			got = append(got, d.Code+" "+d.State)
		}
		slices.Sort(got)
		if want := []string{"audit_failed cleared", "audit_failed raised", "disk_worn cleared", "disk_worn raised"}; !slices.Equal(got, want) {
			t.Error(got)
		}
		r.end()
	})
}

// TestManySubjects: a switch that fails takes more devices along than an alarm
// shows; each is told once, and once more when it is back.
func TestManySubjects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		h := r.hub()
		var last atomic.Int32
		last.Store(45)
		r.opts = func(o *box.Options) {
			o.Lasting = []string{"disk_worn"}
			o.Conditions = func() (list []agent.Alarm) {
				for i := range last.Load() {
					list = append(list, agent.Alarm{Code: "disk_worn", Subject: fmt.Sprint("d", i)})
				}
				return list
			}
		}
		r.start()
		r.pass(time.Minute)
		if n := len(h.got(fleet.StreamAlarms)); n != 45 {
			t.Errorf("%d events, want one for each of 45", n)
		}
		if shown, _ := r.kept(fleet.LevelAlarm, "disk_worn")["subjects"].([]any); len(shown) != 20 {
			t.Error(len(shown), "are shown")
		}
		r.crash()
		last.Store(1)
		r.start()
		r.pass(time.Minute)
		if n := len(h.got(fleet.StreamAlarms)); n != 45+44 {
			t.Errorf("%d events, want 44 more", n)
		}
		if r.kept(fleet.LevelAlarm, "disk_worn") == nil {
			t.Error("the one that lasts is not shown")
		}
		last.Store(0)
		r.pass(time.Minute)
		if r.kept(fleet.LevelAlarm, "disk_worn") != nil {
			t.Error("what ended is shown")
		}
		r.end()
	})
}

// TestHubSilent: that nobody acknowledges is an alarm, and its end is too.
func TestHubSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.start()
		r.take(0, 1)
		r.pass(9 * time.Minute)
		if r.kept(fleet.LevelAlarm, box.AlarmHubSilent) != nil {
			t.Error("too early")
		}
		r.pass(2 * time.Minute)
		if r.kept(fleet.LevelAlarm, box.AlarmHubSilent) == nil {
			t.Error("nobody is told")
		}
		h := r.hub()
		r.pass(11 * time.Minute)
		if r.kept(fleet.LevelAlarm, box.AlarmHubSilent) != nil {
			t.Error("it has long been heard")
		}
		r.check(h)
		r.end()
	})
}

// pruned is a log whose oldest records are gone.
type pruned struct {
	*mem.Log
	first queue.Seq
}

func (p *pruned) After(seq queue.Seq, limit int) ([]queue.Entry, queue.Seq, error) {
	list, _, err := p.Log.After(max(seq, p.first-1), limit)
	return list, p.first, err
}

// TestGap: what was pruned before anybody acknowledged it is one event, behind
// which the hub goes on.
func TestGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.broker.Refuse(true)
		r.start()
		r.take(0, 20)
		r.pass(10 * time.Second)
		r.end()
		r.first = 31
		r.start()
		r.broker.Refuse(false)
		h := r.hub()
		r.take(50, 1)
		r.pass(time.Minute)
		list := h.got(fleet.StreamOrders)
		var g fleet.Gap
		if len(list) < 3 || list[0].Type != fleet.TypeGap || json.Unmarshal(list[0].Data, &g) != nil || g.From != 1 || g.To != 30 || g.Reason != "pruned" {
			t.Fatalf("%v %+v", types(list), g)
		}
		for _, e := range list[1:] {
			if e.Type == fleet.TypeGap || e.Sequence <= 30 {
				t.Error(e.ID, e.Type)
			}
		}
		r.end()
	})
}

// TestEpoch: an exchanged store, and one that was put back from a copy, count
// anew under another name.
func TestEpoch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		h := r.hub()
		r.start()
		r.take(0, 2)
		r.pass(10 * time.Second)
		r.end()
		old := r.disk.Copy()
		r.start()
		r.take(10, 2)
		r.pass(time.Minute)
		r.end()
		epochs := func() []string {
			var list []string
			for _, e := range h.got(fleet.StreamOrders) {
				if !slices.Contains(list, e.Epoch) {
					list = append(list, e.Epoch)
				}
			}
			return list
		}
		if n := len(epochs()); n != 1 {
			t.Fatal(n, "epochs over a restart")
		}
		r.disk = old // put back from a copy
		r.start()
		r.take(20, 3)
		r.pass(time.Minute)
		r.end()
		if n := len(epochs()); n != 2 {
			t.Fatal(n, "epochs after the store was put back")
		}
		r.disk = &mem.Disk{} // exchanged
		r.start()
		r.take(30, 1)
		r.pass(time.Minute)
		if n := len(epochs()); n != 3 {
			t.Error(n, "epochs after the store was exchanged")
		}
		last := h.got(fleet.StreamOrders)
		if e := last[len(last)-1]; e.Subject != "MZ30" || e.Previous != 0 {
			t.Errorf("%+v", e)
		}
		r.end()
	})
}

// TestReplayAfterLoss: a command is not obeyed again after the store that
// remembers it was lost.
func TestReplayAfterLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		ops, _, _, _ := keys()
		r.start()
		r.pass(time.Second)
		c := r.cmd(fleet.VerbRestart, "c1")
		data := sign(t, c, ops)
		r.send(c, data)
		r.end()
		r.disk = &mem.Disk{}
		r.start()
		r.pass(time.Second)
		if s := r.listen(c, data); s.Reason != box.WhyCounter || r.restarts() != 1 {
			t.Errorf("%d restarts, %+v", r.restarts(), s)
		}
		// The other way round: the file beside the store is lost.
		r.end()
		r.dir = t.TempDir()
		r.start()
		r.pass(time.Second)
		next := r.cmd(fleet.VerbResolveNow, "c2")
		r.send(next, sign(t, next, ops))
		r.end()
		r.dir = t.TempDir()
		r.start()
		r.pass(time.Second)
		late := r.cmd(fleet.VerbResolveNow, "c3")
		late.Counter = next.Counter
		if s := r.listen(late, sign(t, late, ops)); s.Reason != box.WhyCounter {
			t.Errorf("%+v", s)
		}
		r.end()
	})
}

// TestNoLeak plants names, cards, codes, free text and a token, lets everything
// happen that is told to the fleet, and looks for them in every topic, in the
// log, in the bundle and beside the store.
func TestNoLeak(t *testing.T) {
	_, public := hubKey(t)
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.hub()
		ops, _, _, _ := keys()
		logFile := filepath.Join(t.TempDir(), "agent.log")
		r.conf = func(c *config.Config) {
			c.Log.File = logFile
			for i := range c.Platforms {
				c.Platforms[i].URL = "https://user:CANARY-PASSWORD@" + c.Platforms[i].Name + ".invalid/"
			}
		}
		r.opts = func(o *box.Options) {
			o.HubKey = public
			o.Verbs = append(o.Verbs, box.UploadLog(diag.Log{Path: logFile}), box.Diagnose(diag.Sources{Agent: o.Agent, Version: "1", Config: o.Agent.Config(), Log: diag.Log{Path: logFile}}))
		}
		r.start()
		r.pass(time.Second)
		who := platforms.Patient{Name: platforms.Hide("司马金丝雀"), CardNo: platforms.Hide("CARD7788CANARY"), AdmissionNo: platforms.Hide("ADM4711CANARY"), Phone: platforms.Hide("13977665544")}
		secrets := []string{"司马金丝雀", "CARD7788CANARY", "ADM4711CANARY", "13977665544", "CANARY-PASSWORD", "FREETEXTCANARY", "MCMZ1", "130000000000000001", "王收费", "操作员1002", "BILLCANARY"}
		r.world.Take(t, agenttest.Payment{Till: agenttest.W1, No: "MZ1", Fen: 12850, Patient: who})
		r.world.Book(t, "MZ1", "F1", "")
		r.world.GiveBack(t, "MZ1", "R1", 2850, "1002")
		reply, err := r.world.Agent.Collect(t.Context(), agent.Request{Key: platforms.Hide("k"), Body: platforms.Hide("b"), Bill: "BILLCANARY", Amount: 700, Mode: platforms.ModePresent,
			OrderType: "TREATMENT", Till: agenttest.K1, Channel: platforms.WeChat, Subject: "FREETEXTCANARY", Memo: "FREETEXTCANARY", Patient: who})
		if err != nil || reply.Order == nil {
			t.Fatal(err)
		}
		if _, err := r.world.Agent.Act(t.Context(), reply.Order.No, "cancel", platforms.Operator{ID: "1002", Name: "操作员1002"}, "FREETEXTCANARY"); err != nil {
			t.Fatal(err)
		}
		r.pass(5 * time.Minute)
		if err := os.WriteFile(logFile, []byte(r.logs.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		for i, verb := range []string{fleet.VerbLogUpload, fleet.VerbDiag, fleet.VerbDevicesTest, fleet.VerbResolveNow, fleet.VerbRestart} {
			c := r.cmd(verb, fmt.Sprint("c", i))
			r.send(c, sign(t, c, ops))
			r.pass(time.Minute)
			if s := r.state(verb, c.ID); s.State != fleet.Succeeded && verb != fleet.VerbRestart {
				t.Errorf("%s: %+v", verb, s)
			}
		}
		topics := map[string]bool{}
		look := func(where string, data []byte) {
			for _, s := range secrets {
				if bytes.Contains(data, []byte(s)) {
					t.Errorf("%q is in %s", s, where)
				}
			}
		}
		for _, m := range r.broker.Accepted("#") {
			topics[m.Topic] = true
			look(m.Topic, m.Payload)
			for _, v := range unpack(t, m) {
				look(m.Topic+" (unpacked)", v)
			}
		}
		for _, want := range []string{"status", "e/orders", "cap/diag", "dev/w1.w1-pad", "twin/platforms", "m/devices", "m/process", "m/fleet", "cmd/diag/c1/state", "cmd/diag/c1/data/0", "cmd/log.upload/c0/data/0"} {
			if !topics[place().Topic(want)] {
				t.Errorf("nothing was said at %s", want)
			}
		}
		files, err := filepath.Glob(filepath.Join(r.dir, "*"))
		if err != nil || len(files) == 0 {
			t.Error(err, files)
		}
		for _, f := range files {
			data, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			look(f, data)
		}
		r.end()
	})
}

// unpack gives what is inside of pieces and sealed parts, as far as anybody on
// the way could get at it.
func unpack(t *testing.T, m uplink.Message) [][]byte {
	var out [][]byte
	var d fleet.Data
	if strings.Contains(m.Topic, "/data/") {
		if err := fleet.Unmarshal(m.Payload, &d); err != nil {
			t.Fatal(err)
		}
		out = append(out, openPack(t, d.Bytes)...)
	}
	if strings.Contains(m.Topic, "/e/") {
		for _, e := range eventsOf(t, m) {
			raw, err := base64.StdEncoding.DecodeString(e.Sealed)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, raw)
		}
	}
	return out
}
