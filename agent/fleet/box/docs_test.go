package box_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent/agenttest"
	"payagent/agent/diag"
	"payagent/agent/fleet"
	"payagent/agent/fleet/box"
	"payagent/agent/fleet/fleettest"
	"payagent/uplink"
)

// TestPage: every message of a busy day is as docs/mqtt.md says, and what the
// page tells of was seen. The parts of the inventory that only the program
// knows are seen in agent/cmd/payagent.
func TestPage(t *testing.T) {
	_, public := hubKey(t)
	synctest.Test(t, func(t *testing.T) {
		docs, err := fleettest.Read("../../../docs/mqtt.md", "payagent")
		if err != nil {
			t.Fatal(err)
		}
		r := newRig(t)
		ops, _, _, _ := keys()
		logFile := filepath.Join(t.TempDir(), "agent.log")
		if err := os.WriteFile(logFile, []byte("{}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		r.opts = func(o *box.Options) {
			o.HubKey = public
			o.Verbs = append(o.Verbs, box.UploadLog(diag.Log{Path: logFile}), box.Diagnose(diag.Sources{Agent: o.Agent, Version: "1", Config: o.Agent.Config()}))
		}
		r.first = 3
		r.hub()
		r.start()
		r.pass(time.Minute)
		r.world.Take(t, agenttest.Payment{Till: agenttest.W1, No: "MZ1", Fen: 12850})
		r.world.Book(t, "MZ1", "F1", "")
		r.world.GiveBack(t, "MZ1", "R1", 2850, "1002")
		r.world.Book(t, "MZ1", "TF1", "R1")
		r.world.Agent.RaiseAlarm("audit_failed")
		for _, verb := range []string{fleet.VerbLogUpload, fleet.VerbDiag, fleet.VerbResolveNow, fleet.VerbDevicesTest, fleet.VerbRestart} {
			c := r.cmd(verb, "c-"+verb)
			r.send(c, sign(t, c, ops))
			r.pass(time.Minute)
		}
		r.broker.Cut("B1")
		r.pass(time.Minute)
		r.end()
		for _, m := range r.broker.Accepted("payagent/#") {
			if err := docs.Check(m); err != nil {
				t.Error(err)
			}
			checkKind(t, m)
		}
		want := []string{"payload=config", "payload=open", "topic=open/+", "topic=reported/config", "topic=twin/agent", "topic=twin/certificates", "topic=twin/clock", "topic=twin/config", "topic=twin/disk", "topic=twin/update"}
		if got := docs.Unseen(); !slices.Equal(got, want) {
			t.Errorf("not seen: %v", got)
		}
	})
}

// checkKind holds a message to the table of topics: what is retained, and what
// may be lost.
func checkKind(t *testing.T, m uplink.Message) {
	t.Helper()
	_, levels, _ := fleet.Split("payagent", m.Topic)
	last := levels[len(levels)-1]
	var retain bool
	switch levels[0] {
	case fleet.LevelStatus, fleet.LevelTwin, fleet.LevelDevice, fleet.LevelCan, fleet.LevelAlarm:
		retain = true
	case fleet.LevelCommand:
		retain = last == "state"
	}
	if m.Retain != retain || m.Sample != (levels[0] == fleet.LevelSample) || len(m.Payload) > uplink.MaxPayload {
		t.Errorf("%s: retained %v, sample %v, %d bytes", m.Topic, m.Retain, m.Sample, len(m.Payload))
	}
}

// TestPageCanFail: a message that is not as the page says is found.
func TestPageCanFail(t *testing.T) {
	docs, err := fleettest.Read("../../../docs/mqtt.md", "payagent")
	if err != nil {
		t.Fatal(err)
	}
	at := place()
	for topic, payload := range map[string]string{
		at.Topic("status"):                 `{"state":"ready"}`,
		at.Topic("ack", "orders"):          `{"epoch":"a","seq":1,"name":"x"}`,
		at.Topic("ack", "alarms"):          `{"epoch":"a","seq":1.5}`,
		at.Topic("a", "x"):                 `{"code":1}`,
		at.Topic("unknown"):                `{}`,
		at.Topic("cmd", "x", "y", "state"): `{"cmd_id":"1","verb":"x","state":"dancing","at":"2026-01-01T00:00:00Z"}`,
	} {
		if docs.Check(uplink.Message{Topic: topic, Payload: []byte(payload)}) == nil {
			t.Errorf("%s was taken", topic)
		}
	}
	if err := docs.Check(uplink.Message{Topic: at.Topic("ack", "orders"), Payload: []byte(`{"epoch":"a","seq":1}`)}); err != nil {
		t.Error(err)
	}
}

// FuzzTake: whatever is sent as a command, nothing is carried out and nothing
// panics.
func FuzzTake(f *testing.F) {
	ops, _, _, _ := keys()
	good := fleet.Command{Site: "H1", Box: "B1", ID: "x", Verb: fleet.VerbRestart, Counter: 1, Issued: time.Unix(0, 0), Expires: time.Unix(1, 0)}
	f.Add("restart", "x", sign(f, good, ops))
	f.Add("restart", "../x", []byte(`{"payloadType":"application/vnd.payagent.command.v1+json","payload":"e30=","signatures":[]}`))
	f.Add("", "", []byte("{"))
	f.Fuzz(func(t *testing.T, verb, id string, data []byte) {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.start()
			r.pass(time.Second)
			other := r.broker.Bus("other", nil)
			ctx, stop := context.WithTimeout(t.Context(), time.Second)
			defer stop()
			_ = other.Publish(ctx, uplink.Message{Topic: place().Topic(fleet.LevelCommand, verb, id, "req"), Payload: data}) // a topic with wildcards is refused
			r.pass(time.Second)
			if r.restarts() != 0 {
				t.Error("it was carried out")
			}
			r.end()
		})
	})
}
