package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/fleet/broker"
	"payagent/agent/fleet/keyring"
	"payagent/agent/fleet/rollout"
	"payagent/agent/fleet/view"
	"payagent/agent/signed"
	"payagent/uplink"
	"payagent/uplink/mqtt"
)

// place is a broker with a pretend box that takes every command at once.
type place struct {
	*testing.T
	addr, dir string
	bus       uplink.Bus
	key       signed.Key
	mu        sync.Mutex
	got       []fleet.Command
	signers   int
	answers   sync.WaitGroup // of the box, under way
}

const passphrase = "correct horse battery"

func newPlace(t *testing.T) *place {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b, err := broker.Open(broker.Config{Listener: l, Root: "payagent"})
	if err != nil {
		t.Fatal(err)
	}
	p := &place{T: t, addr: "mqtt://" + l.Addr().String(), dir: t.TempDir()}
	if p.bus, err = mqtt.Open(mqtt.Config{Broker: p.addr, ClientID: "B1", Clean: true, Phase: func() time.Duration { return 0 }}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.answers.Wait() // what the box said was heard before the broker had told it so
		_ = p.bus.Close()
		_ = b.Close()
	})
	if err := os.WriteFile(filepath.Join(p.dir, "pass"), []byte(passphrase), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.file("none.yaml"), []byte("root: payagent\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"wang", "li"} {
		k, err := keyring.NewAt(1<<10, p.file(id+".json"), id, []string{fleet.RoleOperate, fleet.RoleConfig, fleet.RoleRelease}, func() (string, error) { return passphrase, nil })
		if err != nil {
			t.Fatal(err)
		}
		if id == "wang" {
			p.key = k
		}
	}
	return p
}

func (p *place) file(name string) string { return filepath.Join(p.dir, name) }

// run runs payfleet and gives what it printed.
func (p *place) run(args ...string) (string, error) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Context(), 4*time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	env := func(string) string { return "" }
	err := command(ctx, append(args, "--broker", p.addr, "--settle", "300ms", "--timeout", "2m", "--config", p.file("none.yaml")), console{strings.NewReader(""), &out, &errs, env})
	return out.String() + errs.String(), err
}

func (p *place) must(args ...string) string {
	p.Helper()
	out, err := p.run(args...)
	if err != nil {
		p.Fatalf("%v: %v\n%s", args, err, out)
	}
	return out
}

func (p *place) say(topic string, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		p.Error(err)
	}
	if err := p.bus.Publish(context.Background(), uplink.Message{Topic: "payagent/" + topic, Payload: data, Retain: true}); err != nil {
		p.Error(err)
	}
}

// answer says something from within a handler, which must not wait.
func (p *place) answer(topic string, v any) { p.answers.Go(func() { p.say(topic, v) }) }

func (p *place) status(box, state string) {
	p.say("H1/"+box+"/status", fleet.Status{State: state, BootID: "a", Seq: 1, Since: time.Now(), At: time.Now(), Every: 3600, Version: "1.4.0"})
}

// obey makes B1 take commands and report configurations.
func (p *place) obey() {
	p.Helper()
	_, err := p.bus.Subscribe("payagent/H1/B1/#", func(m uplink.Message) {
		_, levels, _ := fleet.Split("payagent", m.Topic)
		switch {
		case levels[0] == fleet.LevelDesired:
			d, err := fleet.PeekDesired(m.Payload)
			if err != nil {
				p.Error(err)
			}
			p.answer("H1/B1/reported/config", fleet.ReportedConfig{Version: "local", State: fleet.ConfigStaged, Document: d.Version})
		case levels[0] == fleet.LevelCommand && levels[3] == "req":
			var c fleet.Command
			var e signed.Envelope
			if json.Unmarshal(m.Payload, &e) != nil {
				p.Error("no envelope")
			}
			d, err := signed.Open(m.Payload, fleet.TypeCommand, p.public())
			if err != nil || json.Unmarshal(d.Payload, &c) != nil {
				p.Error(err)
				return
			}
			p.mu.Lock()
			p.got, p.signers = append(p.got, c), len(e.Signatures)
			p.mu.Unlock()
			p.answer("H1/B1/cmd/"+c.Verb+"/"+c.ID+"/state", fleet.CommandState{ID: c.ID, Verb: c.Verb, State: fleet.Succeeded, At: time.Now(), Result: json.RawMessage(`{"devices":2}`)})
		}
	})
	if err != nil {
		p.Fatal(err)
	}
}

func (p *place) public() (all []signed.Key) {
	for _, id := range []string{"wang", "li"} {
		list, err := keyring.Show(p.file(id + ".json"))
		if err != nil {
			p.Error(err)
		}
		all = append(all, list...)
	}
	return all
}

func (p *place) last() (fleet.Command, int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.got) == 0 {
		p.Fatal("no command arrived")
	}
	return p.got[len(p.got)-1], p.signers
}

func (p *place) with(id string) []string {
	return []string{"--sign-with", p.file(id + ".json"), "--passphrase-file", p.file("pass")}
}

func TestLook(t *testing.T) {
	p := newPlace(t)
	p.status("B1", fleet.StateReady)
	out := p.must("ls")
	for _, want := range []string{"机器", "B1", "正常", "1.4.0", "共 1 台"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	p.say("H1/B2/a/clock_skew", fleet.Alarm{Code: "clock_skew\x1b[2J", Since: time.Now()})
	p.status("B2", fleet.StateReady)
	var code exitCode
	out, err := p.run("ls", "--lang", "en", "--alarm", "any")
	if !errors.As(err, &code) || code != codeAlarm || !strings.Contains(out, "clock_skew") || !strings.Contains(out, "2 boxes, 1 listed") {
		t.Errorf("%v\n%s", err, out)
	}
	out, _ = p.run("ls", "--json")
	var l view.List
	if err := json.Unmarshal([]byte(out), &l); err != nil || l.Total != 2 || l.Rows[0].Box != "B2" {
		t.Errorf("%v\n%s", err, out)
	}
	out, err = p.run("show", "H1/B2", "--lang", "en")
	if !errors.As(err, &code) || !strings.Contains(out, "Alarms") || strings.Contains(out, "\x1b") {
		t.Errorf("%v\n%q", err, out)
	}
	if _, err := p.run("show", "B9"); err == nil || !strings.Contains(err.Error(), "cannot find box B9") {
		t.Error(err)
	}
}

func TestSendAndSign(t *testing.T) {
	p := newPlace(t)
	p.obey()
	p.status("B1", fleet.StateReady)
	out := p.must(append([]string{"send", "B1", "devices.test", "--args", `{"device":"x"}`}, p.with("wang")...)...)
	if c, n := p.last(); c.Verb != fleet.VerbDevicesTest || string(c.Args) != `{"device":"x"}` || n != 1 || !strings.Contains(out, "成功") || !strings.Contains(out, `{"devices":2}`) {
		t.Errorf("%+v %d\n%s", c, n, out)
	}
	// Two people on two machines.
	p.must(append([]string{"send", "B1", "restart", "--sign-only", p.file("cmd.json")}, p.with("wang")...)...)
	p.must(append([]string{"send", "--add-signature", p.file("cmd.json")}, p.with("li")...)...)
	p.must("send", "--document", p.file("cmd.json"))
	if c, n := p.last(); c.Verb != fleet.VerbRestart || n != 2 {
		t.Errorf("%+v %d", c, n)
	}
	// What is said beside a signed command would not count: nothing is sent.
	for _, bad := range [][]string{
		append([]string{"send", "B1", "diag", "--document", p.file("cmd.json")}, p.with("wang")...),
		{"send", "--document", p.file("cmd.json"), "--args", "{}"},
		{"send", "--document", p.file("cmd.json"), "--expires", "2h"},
		append([]string{"send", "B1", "diag", "--add-signature", p.file("cmd.json")}, p.with("li")...),
		append([]string{"send", "--document", p.file("cmd.json"), "--add-signature", p.file("cmd.json")}, p.with("li")...),
	} {
		if out, err := p.run(bad...); !errors.Is(err, errUsage) || !strings.Contains(err.Error(), "leave out") {
			t.Errorf("%v: %v %s", bad, err, out)
		}
	}
	if c, n := p.last(); c.Verb != fleet.VerbRestart || n != 2 {
		t.Errorf("%+v %d", c, n)
	}
	for _, bad := range [][]string{{"send", "B1", "restart"}, append([]string{"send", "B1", "refund"}, p.with("wang")...), append([]string{"send", "B1", "restart", "--expires", "200h"}, p.with("wang")...)} {
		if out, err := p.run(bad...); err == nil {
			t.Errorf("%v was done: %s", bad, out)
		}
	}
}

// TestUpdate: the manifest of a release is made, signed by two and read again.
func TestUpdate(t *testing.T) {
	p := newPlace(t)
	build := exec.CommandContext(t.Context(), "go", "build", "-o", p.file("payagent_1.2.3"), "payagent/agent/cmd/payagent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out := p.must("update", "manifest", "--version", "1.2.3", "--floor", "1.2.0", "--url", "https://mirror.example/1.2.3/", "--days", "7", "--out", p.file("manifest.json"), p.file("payagent_1.2.3"))
	if !strings.Contains(out, runtime.GOOS+"/"+runtime.GOARCH) {
		t.Errorf("it does not say what it described:\n%s", out)
	}
	p.must(append([]string{"update", "sign", p.file("manifest.json"), "--out", p.file("update.json")}, p.with("wang")...)...)
	if out, err := p.run(append([]string{"update", "send", p.file("update.json")}, p.with("wang")...)...); err == nil || !strings.Contains(err.Error(), "one key") {
		t.Errorf("one person's update went out: %v\n%s", err, out)
	}
	p.must(append([]string{"send", "--add-signature", p.file("update.json")}, p.with("li")...)...)
	out = p.must("update", "inspect", p.file("update.json"))
	for _, want := range []string{"1.2.3", "1.2.0", "https://mirror.example/1.2.3/payagent_1.2.3", "wang", "li"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing:\n%s", want, out)
		}
	}
	for _, bad := range [][]string{{"--out", p.file("x"), p.file("payagent_1.2.3")}, {"--version", "1.2.3", "--out", p.file("x")}, {"--version", "1.2.3", "--out", p.file("x"), p.file("update.json")},
		{"--version", "1.2.3", "--store", "0x", "--out", p.file("x"), p.file("payagent_1.2.3")}} {
		if out, err := p.run(append([]string{"update", "manifest"}, bad...)...); err == nil {
			t.Errorf("%v was taken: %s", bad, out)
		}
	}
}

// TestConfig: a configuration is signed by two, staged, rolled out, and what
// the box has is compared.
func TestConfig(t *testing.T) {
	p := newPlace(t)
	p.obey()
	p.status("B1", fleet.StateReady)
	if err := os.WriteFile(p.file("new.yaml"), []byte("a: 1\nb: 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.must(append([]string{"config", "sign", p.file("new.yaml"), "B1", "--version", "7", "--out", p.file("doc.json")}, p.with("wang")...)...)
	p.must(append([]string{"send", "--add-signature", p.file("doc.json")}, p.with("li")...)...)
	if out := p.must("config", "set", p.file("doc.json")); !strings.Contains(out, "已下发，待应用") {
		t.Error(out)
	}
	if out := p.must("config", "get", "B1"); !strings.Contains(out, "a: 1\nb: 2\n") {
		t.Error(out)
	}
	// As it was signed, for a machine that is new in that place.
	p.must("config", "get", "B1", "--out", p.file("again.json"))
	for _, name := range []string{"doc.json", "again.json"} {
		if _, d, err := readDocument(p.file(name)); err != nil || d.Version != 7 {
			t.Error(name, d.Version, err)
		}
	}
	if err := os.WriteFile(p.file("newer.yaml"), []byte("a: 1\nb: 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var code exitCode
	if out, err := p.run("config", "diff", "B1", p.file("newer.yaml")); !errors.As(err, &code) || out != "-2\tb: 2\n+2\tb: 3\n" {
		t.Errorf("%v %q", err, out)
	}
	out := p.must(append([]string{"config", "apply", p.file("doc.json"), "--id", "r1", "--soak", "1s"}, p.with("wang")...)...)
	if c, _ := p.last(); c.Verb != fleet.VerbConfigApply || string(c.Args) != `{"version":7}` || c.ID != "r1" || !strings.Contains(out, "完成") {
		t.Errorf("%+v\n%s", c, out)
	}
	if out := p.must("rollout", "ls"); !strings.Contains(out, "r1") || !strings.Contains(out, "完成") {
		t.Error(out)
	}
	p.must("rollout", "forget", "r1")
	if out := p.must("rollout", "ls"); out != "" {
		t.Error(out)
	}
}

// TestRolloutSaysWhy: whoever looks at a roll-out that stopped sees which boxes
// failed and why, of many boxes some.
func TestRolloutSaysWhy(t *testing.T) {
	s := &session{connection: &connection{}}
	st := rollout.State{Phase: rollout.Stopped, Why: rollout.WhyFailures, Reasons: map[string]string{"B2": "edited", "B1": "not_\x1b[31mstaged"}}
	if line := s.rolloutLine(st); !strings.Contains(line, " | B1: not_") || !strings.HasSuffix(line, "staged | B2: 本机文件改过") || strings.Contains(line, "\x1b") {
		t.Errorf("%q", line)
	}
	for i := range 10 {
		st.Reasons[fmt.Sprintf("C%d", i)] = "failed"
	}
	if line := s.rolloutLine(st); !strings.HasSuffix(line, "C2: 执行失败 | …") {
		t.Errorf("%q", line)
	}
}
