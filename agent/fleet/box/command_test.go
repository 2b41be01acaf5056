package box_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent"
	"payagent/agent/agenttest"
	"payagent/agent/fleet"
	"payagent/agent/fleet/box"
	"payagent/agent/signed"
	"payagent/platforms"
	"payagent/uplink"
)

// TestRestart: the command restarts once, however often it is delivered and
// whatever breaks, and tells that it did.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		ops, _, _, _ := keys()
		r.start()
		r.pass(time.Second)
		c := r.cmd(fleet.VerbRestart, "c1")
		data := sign(t, c, ops)
		r.send(c, data)
		if n := r.restarts(); n != 1 {
			t.Fatalf("%d restarts", n)
		}
		if s := r.state(c.Verb, c.ID); s.State != fleet.Running {
			t.Errorf("%+v", s)
		}
		r.end()
		r.start()
		r.pass(time.Second)
		if s := r.state(c.Verb, c.ID); s.State != fleet.Succeeded || s.Progress != 100 || string(s.Result) != `{"restarted":true}` {
			t.Errorf("%+v", s)
		}
		for range 100 {
			r.broker.Cut("B1")
			r.send(c, data)
			r.pass(time.Second)
		}
		r.end()
		r.start()
		r.send(c, data)
		r.pass(time.Minute)
		if n := r.restarts(); n != 1 {
			t.Errorf("%d restarts after 100 reconnects", n)
		}
		if s := r.state(c.Verb, c.ID); s.State != fleet.Succeeded {
			t.Errorf("%+v", s)
		}
		// A week later nobody needs it any more.
		r.end()
		file := filepath.Join(r.dir, "state.json")
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		year := regexp.MustCompile(`"until":"2000`)
		if err := os.WriteFile(file, year.ReplaceAll(data, []byte(`"until":"1999`)), 0o600); err != nil || !year.Match(data) {
			t.Fatal(err, string(data))
		}
		r.start()
		r.pass(time.Minute)
		if s := r.state(c.Verb, c.ID); s.State != "" {
			t.Errorf("%+v", s)
		}
		r.end()
	})
}

// TestCrashAnywhere: at each moment at which something became durable the power
// goes; the command takes effect once all the same, and its end is told within
// a minute.
func TestCrashAnywhere(t *testing.T) {
	for cut := range 8 {
		t.Run(fmt.Sprint(cut), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				ops, _, _, _ := keys()
				done := 0 // what outlasts: the effect itself
				var mu sync.Mutex
				step := func() int { mu.Lock(); defer mu.Unlock(); return done }
				r.opts = func(o *box.Options) {
					o.Verbs = append(o.Verbs, box.Verb{Name: fleet.VerbDiag, Schema: "{}",
						Do: func(_ context.Context, _ fleet.Command, run box.Runner) (any, error) {
							if err := run.Note(map[string]int{"step": 1}); err != nil {
								return nil, err
							}
							mu.Lock()
							done++
							mu.Unlock()
							if err := run.Note(map[string]int{"step": 2}); err != nil {
								return nil, err
							}
							run.Restart("x")
							return nil, nil
						},
						Resume: func(_ context.Context, _ fleet.Command, note json.RawMessage) (any, error) {
							if note == nil {
								return nil, box.Fail("interrupted", "nothing was done")
							}
							return note, nil
						}})
				}
				r.start()
				r.pass(time.Second)
				before := r.disk.Copy()
				last := r.log.Last()
				c := r.cmd(fleet.VerbDiag, "c1")
				data := sign(t, c, ops)
				r.send(c, data)
				// The disk as it was when the cut-th record was there.
				entries, _, err := r.log.After(last, 100)
				if err != nil {
					t.Fatal(err)
				}
				whole := r.disk
				r.broker.Cut("B1")
				r.end()
				if cut == 0 {
					r.dir = t.TempDir() // what is beside the store is written after it
				}
				if cut < len(entries) {
					r.disk = before
					replay(t, whole, r, before, cut)
				}
				happened := step()
				r.start()
				r.pass(time.Second)
				r.send(c, data) // the broker delivers it again
				r.pass(time.Minute)
				s := r.state(c.Verb, c.ID)
				if s.State == fleet.Running && r.restarts() > 0 { // it was carried out only now
					r.end()
					r.start()
					r.pass(time.Minute)
					s = r.state(c.Verb, c.ID)
				}
				if s.State != fleet.Succeeded && !(s.State == fleet.Failed && s.Reason == "interrupted") {
					t.Errorf("after record %d of %d: %+v", cut, len(entries), s)
				}
				// With the record of its beginning on disk it is never done again.
				if cut >= 2 && step() != happened {
					t.Errorf("after record %d it was done again", cut)
				}
				r.send(c, data)
				again := step()
				r.send(c, data)
				if step() != again {
					t.Error("a repetition does it again")
				}
				r.end()
			})
		})
	}
}

// TestRefusals: every field of a command, changed after it was signed or
// signed wrongly, refuses it; nothing happens.
func TestRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		ops, conf, _, _ := keys()
		stranger, _ := signer("ops", 9, fleet.RoleOperate)
		r.start()
		r.pass(time.Second)
		n := 0
		try := func(name, state, why string, change func(c *fleet.Command), by ...signed.Private) {
			t.Helper()
			n++
			c := r.cmd(fleet.VerbRestart, fmt.Sprint("x", n))
			topic := c
			change(&c)
			got := r.listen(topic, sign(t, c, by...))
			if got.State != state || got.Reason != why {
				t.Errorf("%s: %+v", name, got)
			}
		}
		same := func(*fleet.Command) {}
		try("a stranger's key", fleet.Refused, box.WhySigned, same, stranger)
		try("a key of another rôle", fleet.Refused, box.WhyRole, same, conf)
		try("another site", fleet.Refused, box.WhyPlace, func(c *fleet.Command) { c.Site = "H2" }, ops)
		try("another box", fleet.Refused, box.WhyPlace, func(c *fleet.Command) { c.Box = "B2" }, ops)
		try("another id", fleet.Refused, box.WhyForm, func(c *fleet.Command) { c.ID = "y" }, ops)
		try("another verb", fleet.Refused, box.WhyForm, func(c *fleet.Command) { c.Verb = fleet.VerbDiag }, ops)
		try("no term", fleet.Refused, box.WhyTerm, func(c *fleet.Command) { c.Issued = time.Time{} }, ops)
		try("expires before it begins", fleet.Refused, box.WhyTerm, func(c *fleet.Command) { c.Expires = c.Issued }, ops)
		try("too long", fleet.Refused, box.WhyTerm, func(c *fleet.Command) { c.Expires = c.Issued.Add(8 * 24 * time.Hour) }, ops)
		try("expired", fleet.Expired, box.WhyExpired, func(c *fleet.Command) {
			c.Issued, c.Expires = c.Issued.Add(-time.Hour), time.Now().Add(-time.Second)
		}, ops)
		try("no counter", fleet.Refused, box.WhyCounter, func(c *fleet.Command) { c.Counter = 0 }, ops)
		try("too large", fleet.Refused, box.WhyTooLarge, func(c *fleet.Command) { c.Args = json.RawMessage(`"` + strings.Repeat("x", 50<<10) + `"`) }, ops)
		if r.restarts() != 0 {
			t.Fatal("something was carried out")
		}
		// Every byte of an envelope matters.
		c := r.cmd(fleet.VerbRestart, "bytes")
		data := sign(t, c, ops)
		for i := range data {
			if i%7 != 0 {
				continue
			}
			bad := append([]byte(nil), data...)
			bad[i] ^= 1
			r.send(c, bad)
		}
		r.send(c, []byte("{"))
		if r.restarts() != 0 {
			t.Fatal("a changed command was carried out")
		}
		// Arguments that the verb does not know.
		c = r.cmd(fleet.VerbRestart, "args")
		c.Args = json.RawMessage(`{"x":1}`)
		r.send(c, sign(t, c, ops))
		if s := r.state(c.Verb, c.ID); s.State != fleet.Failed || s.Reason != "bad_args" {
			t.Errorf("%+v", s)
		}
		// The good one is taken; an older counter and its id with other content are not.
		c = r.cmd(fleet.VerbResolveNow, "good")
		r.send(c, sign(t, c, ops))
		if s := r.state(c.Verb, c.ID); s.State != fleet.Succeeded {
			t.Fatalf("%+v", s)
		}
		old := r.cmd(fleet.VerbResolveNow, "older")
		old.Counter = c.Counter
		if s := r.listen(old, sign(t, old, ops)); s.Reason != box.WhyCounter {
			t.Errorf("%+v", s)
		}
		c.Counter += 1_000_000
		if s := r.listen(c, sign(t, c, ops)); s.Reason != box.WhyID {
			t.Errorf("%+v", s)
		}
		if s := r.state(c.Verb, c.ID); s.State != fleet.Succeeded {
			t.Errorf("a refusal hides what was done: %+v", s)
		}
		r.pass(10 * time.Second)
		if m, ok := r.broker.Retained(place().Topic(fleet.LevelAlarm, box.AlarmBadCommands)); !ok {
			t.Error("nobody is told of forged commands", m)
		}
		r.end()
	})
}

// listen sends a request and gives the state that was said of it.
func (r *rig) listen(c fleet.Command, data []byte) fleet.CommandState {
	r.t.Helper()
	topic := place().Topic(fleet.LevelCommand, c.Verb, c.ID, "state")
	before := len(r.broker.Accepted(topic))
	r.send(c, data)
	all := r.broker.Accepted(topic)
	var s fleet.CommandState
	if len(all) == before {
		return s
	}
	if err := fleet.Unmarshal(all[len(all)-1].Payload, &s); err != nil {
		r.t.Error(err)
	}
	return s
}

// TestRoles goes through every verb and every rôle.
func TestRoles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		ops, conf, release, _ := keys()
		did := map[string]int{}
		verbs := map[string]string{"restart": "operate", "config.apply": "config", "config.rollback": "config", "log.upload": "operate", "diag": "operate",
			"devices.test": "operate", "orders.resolve_now": "operate", "update": "release", "certificate.renew": "operate"}
		var mu sync.Mutex
		r.opts = func(o *box.Options) {
			o.Verbs = nil
			for v := range verbs {
				o.Verbs = append(o.Verbs, box.Verb{Name: v, Schema: "{}", Do: func(_ context.Context, c fleet.Command, _ box.Runner) (any, error) {
					mu.Lock()
					defer mu.Unlock()
					did[c.Verb]++
					return nil, nil
				}})
			}
		}
		r.start()
		r.pass(time.Second)
		for verb, needs := range verbs {
			for role, key := range map[string]signed.Private{"operate": ops, "config": conf, "release": release} {
				c := r.cmd(verb, role+"-"+verb)
				want, why := fleet.Refused, box.WhyRole
				if role == needs {
					want, why = fleet.Succeeded, ""
				}
				if s := r.listen(c, sign(t, c, key)); s.State != want || s.Reason != why {
					t.Errorf("%s by %s: %+v", verb, role, s)
				}
			}
			if did[verb] != 1 {
				t.Errorf("%s was done %d times", verb, did[verb])
			}
		}
		for _, verb := range []string{"pay", "refund", "shell", "exec"} {
			c := r.cmd(verb, "m1")
			r.send(c, sign(t, c, ops))
			if n := len(r.broker.Accepted(place().Topic(fleet.LevelCommand, verb, "m1", "state"))); n != 0 {
				t.Error(verb, "was answered")
			}
		}
		for _, bad := range []box.Verb{{Name: "refund", Do: func(context.Context, fleet.Command, box.Runner) (any, error) { return nil, nil }}, {Name: "restart"}} {
			if _, err := box.New(box.Options{Agent: r.world.Agent, Dir: t.TempDir(), Verbs: []box.Verb{bad}}); err == nil {
				t.Errorf("the verb %q was taken", bad.Name)
			}
		}
		r.end()
	})
}

// TestRetained: a command that the broker kept is not carried out; it is
// cleared, and that is an alarm.
func TestRetained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		h := r.hub()
		ops, _, _, _ := keys()
		c := r.cmd(fleet.VerbRestart, "kept")
		topic := place().Topic(fleet.LevelCommand, c.Verb, c.ID, "req")
		other := r.broker.Bus("other", nil)
		if err := other.Publish(t.Context(), uplink.Message{Topic: topic, Payload: sign(t, c, ops), Retain: true}); err != nil {
			t.Fatal(err)
		}
		r.start()
		r.pass(10 * time.Second)
		if _, ok := r.broker.Retained(topic); ok || r.restarts() != 0 {
			t.Error("it is still there, or was carried out")
		}
		if got := h.got(fleet.StreamAlarms); len(got) != 1 || got[0].Subject != box.AlarmRetained {
			t.Errorf("%v", types(got))
		}
		r.end()
	})
}

// TestRetainedFlood: whoever can write retained messages does not fill the
// order store with alarms.
func TestRetainedFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		h := r.hub()
		other := r.broker.Bus("other", nil)
		for i := range 40 {
			topic := place().Topic(fleet.LevelCommand, fleet.VerbRestart, fmt.Sprint("kept", i), "req")
			if err := other.Publish(t.Context(), uplink.Message{Topic: topic, Payload: []byte("{}"), Retain: true}); err != nil {
				t.Fatal(err)
			}
		}
		r.start()
		r.pass(time.Minute)
		if n := len(h.got(fleet.StreamAlarms)); n != 1 {
			t.Errorf("%d alarms, want 1", n)
		}
		if n := len(r.broker.Accepted("payagent/+/+/cmd/+/+/req")); n != 80 {
			t.Errorf("%d messages; not every one was cleared", n)
		}
		r.end()
	})
}

// TestPaymentLock: what disturbs waits for the lock, one at a time, and expires.
func TestPaymentLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		ops, _, _, _ := keys()
		r.start()
		r.pass(time.Second)
		r.lock.set(agent.BusyOrders)
		c := r.cmd(fleet.VerbRestart, "c1")
		r.send(c, sign(t, c, ops))
		if s := r.state(c.Verb, c.ID); s.State != fleet.Accepted || s.Reason != box.WhyLock || s.Text != agent.BusyOrders {
			t.Fatalf("%+v", s)
		}
		// What does not disturb goes on.
		look := r.cmd(fleet.VerbResolveNow, "c2")
		r.send(look, sign(t, look, ops))
		if s := r.state(look.Verb, look.ID); s.State != fleet.Succeeded {
			t.Errorf("%+v", s)
		}
		r.pass(30 * time.Minute)
		r.crash() // it waits on
		r.start()
		r.pass(time.Minute)
		if s := r.state(c.Verb, c.ID); s.State != fleet.Accepted || r.restarts() != 0 {
			t.Fatalf("%+v", s)
		}
		r.lock.set(agent.BusyTill)
		r.pass(time.Second)
		if s := r.state(c.Verb, c.ID); s.Text != agent.BusyTill {
			t.Errorf("%+v", s)
		}
		short := r.cmd(fleet.VerbRestart, "c3")
		short.Expires = time.Now().Add(time.Minute)
		r.send(short, sign(t, short, ops))
		r.pass(2 * time.Minute)
		if s := r.state(short.Verb, short.ID); s.State != fleet.Expired || s.Reason != box.WhyLock {
			t.Errorf("%+v", s)
		}
		r.lock.set("")
		r.pass(time.Second)
		if r.restarts() != 1 {
			t.Fatal(r.restarts())
		}
		r.end()
		r.start()
		r.pass(time.Minute)
		if s := r.state(c.Verb, c.ID); s.State != fleet.Succeeded {
			t.Errorf("%+v", s)
		}
		r.end()
	})
}

// TestLockAtTheEnd: a payment that begins while a command is carried out ends
// before the process does.
func TestLockAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		_, conf, _, _ := keys()
		r.opts = func(o *box.Options) {
			o.Verbs = append(o.Verbs, box.Verb{Name: fleet.VerbConfigApply, Schema: "{}", Disturbs: true,
				Do: func(_ context.Context, _ fleet.Command, run box.Runner) (any, error) {
					r.lock.set(agent.BusyOrders) // a patient was faster
					run.Restart("test")
					return nil, nil
				},
				Resume: func(context.Context, fleet.Command, json.RawMessage) (any, error) { return nil, nil }})
		}
		r.start()
		r.pass(time.Second)
		c := r.cmd(fleet.VerbConfigApply, "c1")
		r.send(c, sign(t, c, conf))
		r.pass(time.Minute)
		if s := r.state(c.Verb, c.ID); s.State != fleet.Running || r.restarts() != 0 {
			t.Fatalf("%d restarts while a patient pays: %+v", r.restarts(), s)
		}
		r.lock.set("")
		r.pass(time.Second)
		if r.restarts() != 1 {
			t.Fatal(r.restarts())
		}
		r.end()
		r.start()
		r.pass(time.Minute)
		if s := r.state(c.Verb, c.ID); s.State != fleet.Succeeded {
			t.Errorf("%+v", s)
		}
		r.end()
	})
}

// TestRealLock: with the agent's own lock nothing restarts while a patient pays.
func TestRealLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		ops, _, _, _ := keys()
		r.opts = func(o *box.Options) { o.Lock = o.Agent.Quiet(agent.QuietTerms{Idle: 30 * time.Second}) }
		r.start()
		r.pass(time.Minute)
		reply, err := r.world.Agent.Collect(t.Context(), agent.Request{Key: platforms.Hide("k"), Body: platforms.Hide("b"), Bill: "B1", Amount: 700, Mode: platforms.ModePresent,
			OrderType: "TREATMENT", Till: agenttest.K1, Channel: platforms.WeChat, Subject: "x"})
		if err != nil || reply.Order == nil {
			t.Fatal(err)
		}
		c := r.cmd(fleet.VerbRestart, "c1")
		r.send(c, sign(t, c, ops))
		r.pass(time.Minute)
		if r.restarts() != 0 {
			t.Fatal("it restarts while a patient pays")
		}
		r.world.Banks[agenttest.Full].Pay(reply.Order.No)
		r.pass(20 * time.Second)
		if r.restarts() != 0 {
			t.Fatal("it restarts while the result is on the screen")
		}
		r.pass(time.Minute)
		if r.restarts() != 1 {
			t.Error(r.restarts(), "restarts")
		}
		r.end()
	})
}

// TestManyCommands: a stuck command holds up nobody, and there is an end to how
// many wait.
func TestManyCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		ops, _, _, _ := keys()
		r.opts = func(o *box.Options) {
			o.Verbs = append(o.Verbs, box.Verb{Name: fleet.VerbDiag, Schema: "{}", Do: func(ctx context.Context, _ fleet.Command, _ box.Runner) (any, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}})
		}
		r.start()
		r.pass(time.Second)
		for i := range 31 {
			c := r.cmd(fleet.VerbDiag, fmt.Sprint("d", i))
			r.send(c, sign(t, c, ops))
		}
		c := r.cmd(fleet.VerbResolveNow, "free")
		r.send(c, sign(t, c, ops))
		if s := r.state(c.Verb, c.ID); s.State != fleet.Succeeded {
			t.Errorf("%+v", s)
		}
		for i := range 2 {
			c = r.cmd(fleet.VerbDiag, fmt.Sprint("e", i))
			r.send(c, sign(t, c, ops))
		}
		if s := r.state(c.Verb, c.ID); s.State != fleet.Refused || s.Reason != box.WhyBusy {
			t.Errorf("%+v", s)
		}
		r.end()
		r.start()
		r.pass(time.Second)
		if s := r.state(fleet.VerbDiag, "d0"); s.State != fleet.Failed || s.Reason != box.WhyRestart {
			t.Errorf("%+v", s)
		}
		r.end()
	})
}
