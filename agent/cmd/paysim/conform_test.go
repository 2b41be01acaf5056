//go:build linux

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"payagent/agent/cmd/paysim/internal/conform"
	"payagent/uplink/uplinktest"
)

// programs builds the agent and paysim.
func programs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "../../../.ci/build", dir, "payagent", "paysim")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

// kit is a stage that stays for several runs.
type kit struct {
	t        *testing.T
	stage    *stage
	scanners bool // codes are read by the tills' scanners
	runs     int
	wait     time.Duration
}

func newKit(t *testing.T, bin string, scanners bool) *kit {
	t.Helper()
	dir := t.TempDir()
	s, err := newStage(t.Context(), &conformFlags{binary: filepath.Join(bin, "payagent"), dir: dir, scale: 40, slack: 4, person: scanners, door: "127.0.0.1:0", agent: uplinktest.FreeAddress(t)}, console{in: strings.NewReader(""), out: &bytes.Buffer{}, err: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	return &kit{t: t, stage: s, scanners: scanners, wait: time.Minute}
}

func (k *kit) run(p conform.Program, settle time.Duration, cases ...string) map[string]conform.Result {
	k.t.Helper()
	k.runs++
	list, err := conform.Run(k.t.Context(), conform.Options{Stage: k.stage, Program: p, Cases: cases, Tills: [2]string{"window1", "window2"}, Proxy: k.stage.proxy,
		Tag: "T" + string(rune('A'+k.runs)), Wait: k.wait, Settle: settle, Scanner: k.scanners})
	if err != nil {
		k.t.Fatal(err)
	}
	m := map[string]conform.Result{}
	for _, r := range list {
		m[r.ID] = r
	}
	return m
}

// TestConformance: the reference HIS passes all thirty cases, and each way of
// going wrong is found by the case that is meant to find it.
func TestConformance(t *testing.T) {
	bin := programs(t)
	t.Run("reference", func(t *testing.T) {
		t.Parallel()
		results := newKit(t, bin, false).run(&conform.Careful{Dir: t.TempDir()}, 2*time.Minute)
		if len(results) != 30 {
			t.Errorf("%d cases", len(results))
		}
		for id, r := range results {
			if r.Outcome != conform.Pass {
				t.Errorf("%s: %s %v %s", id, r.Outcome, r.Wrong, r.Note)
			}
		}
	})
	t.Run("bugs", func(t *testing.T) {
		t.Parallel()
		k := newKit(t, bin, false)
		k.wait = 20 * time.Second // some bugs wait for what never comes
		for bug, id := range conform.Bugs() {
			r := k.run(&conform.Careful{Dir: t.TempDir(), Bug: bug}, 10*time.Second, id)[id]
			if r.Outcome != conform.Fail || len(r.Wrong) == 0 {
				t.Errorf("%s: nobody saw it in %s: %s %s", bug, id, r.Outcome, r.Note)
			}
		}
	})
	t.Run("scanners", func(t *testing.T) {
		t.Parallel()
		cases := []string{"pay_at_once", "pay_after_password", "no_cash_while_open", "plug_his"}
		results := newKit(t, bin, true).run(&conform.Careful{Dir: t.TempDir()}, 2*time.Minute, cases...)
		for _, id := range cases {
			if r := results[id]; r.Outcome != conform.Pass {
				t.Errorf("%s: %s %v %s", id, r.Outcome, r.Wrong, r.Note)
			}
		}
	})
	t.Run("command", func(t *testing.T) {
		t.Parallel()
		k := newKit(t, bin, false)
		program := conform.Command{Args: []string{filepath.Join(bin, "paysim"), "conform", "play", "-data", t.TempDir()}}
		for id, r := range k.run(program, 2*time.Minute, "pay_at_once", "plug_his", "refund_twice") {
			if r.Note == "" && r.Outcome != conform.Pass {
				t.Errorf("%s: %s %v", id, r.Outcome, r.Wrong)
			}
		}
		// The agent's own command line, as a process: its exit code is the outcome.
		for want, args := range map[int][]string{6: {"--bill", "none"}, 2: {}} {
			out, err := exec.CommandContext(t.Context(), filepath.Join(bin, "payagent"), append([]string{"query", "--json", "--config", k.stage.conf}, args...)...).Output()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != want || !json.Valid(out) || len(exit.Stderr) != 0 {
				t.Errorf("payagent query %v: %v, want %d\n%s", args, err, want, out)
			}
		}
		// A program that cannot do a step leaves the case undone; one that says
		// nothing fails it.
		if r := k.run(conform.Command{Args: []string{"sh", "-c", "exit 77"}}, 10*time.Second, "pay_at_once")["pay_at_once"]; r.Outcome != conform.NotRun {
			t.Errorf("%+v", r)
		}
		if r := k.run(conform.Command{Args: []string{"sh", "-c", "echo '{\"believes\":\"maybe\"}'"}}, 10*time.Second, "pay_at_once")["pay_at_once"]; r.Outcome != conform.Fail {
			t.Errorf("%+v", r)
		}
		if r := k.run(conform.Command{Args: []string{"false"}}, 10*time.Second, "pay_at_once")["pay_at_once"]; r.Outcome != conform.Fail {
			t.Errorf("%+v", r)
		}
	})
}

// TestAPersonIsAsked: what is asked at the vendor's own screen.
func TestAPersonIsAsked(t *testing.T) {
	step := conform.Step{Case: "refund_full", Number: 2, Do: conform.Refund, Bill: "B7", AmountFen: 1234, RefundNo: "R7", RefundFen: 200, Say: conform.Cases()[0].Title}
	var out bytes.Buffer
	ask := func(lines string) (conform.Report, error) {
		out.Reset()
		return conform.Person{In: bufio.NewReader(strings.NewReader(lines)), Out: &out}.Do(t.Context(), step)
	}
	r, err := ask("what?\np\nn\none\n1\n200\n")
	if err != nil || r != (conform.Report{Believes: conform.Paid, Bookings: 1, RefundedFen: 200}) {
		t.Errorf("%+v %v", r, err)
	}
	for _, want := range []string{"B7", "12.34", "2.00", "马上支付", "pays at once"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not shown: %s", want, out.String())
		}
	}
	if r, err = ask("u\ny\n0\n0\n"); err != nil || r != (conform.Report{Believes: conform.Unpaid, Cash: true}) {
		t.Errorf("%+v %v", r, err)
	}
	if _, err = ask("s\n"); !errors.Is(err, conform.ErrSkip) {
		t.Error(err)
	}
	if _, err = ask("p\n"); err == nil {
		t.Error("a person who is gone has answered")
	}
}

// TestConformanceCommand runs the whole command: a case, the report on paper
// and signed, and what does not verify.
func TestConformanceCommand(t *testing.T) {
	bin, dir := programs(t), t.TempDir()
	report, key := filepath.Join(dir, "r.json"), filepath.Join(dir, "key")
	run := func(args ...string) (string, error) {
		var out bytes.Buffer
		err := command(t.Context(), append([]string{"conform"}, args...), console{in: strings.NewReader(""), out: &out, err: &out})
		return out.String(), err
	}
	out, err := run("-reference", "-time-scale", "40", "-wait", "1m", "-cases", "pay_at_once,refund_over", "-agent-binary", filepath.Join(bin, "payagent"), "-data", dir,
		"-report", report, "-key", key, "-vendor", "测试厂商", "-product", "HIS 1.0")
	if err != nil || !strings.Contains(out, "passed 2, failed 0, not run 28") || !strings.Contains(out, "测试厂商") {
		t.Fatalf("%v\n%s", err, out)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "r.txt")); err != nil || !strings.Contains(string(text), "payagent dev") {
		t.Errorf("%v %s", err, text)
	}
	if out, err = run("verify", report); err != nil || !strings.Contains(out, "pay_at_once") {
		t.Errorf("%v %s", err, out)
	}
	data, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	var s conform.Signed
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	if _, err = run("verify", "-public-key", s.PublicKey, report); err != nil {
		t.Error(err)
	}
	if _, err = run("verify", "-public-key", "AAAA", report); err == nil {
		t.Error("another key verifies it")
	}
	s.Report = bytes.Replace(s.Report, []byte(`"not_run":28`), []byte(`"not_run":00`), 1)
	spoiled, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(report, spoiled, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = run("verify", report); err == nil {
		t.Error("a changed report verifies")
	}
	if out, err = run("list"); err != nil || strings.Count(out, " → ") != 60 {
		t.Errorf("%v %s", err, out)
	}
	for _, wrong := range [][]string{{}, {"-reference", "-person"}, {"-reference", "-time-scale", "0"}, {"-reference", "x"}, {"verify"}, {"play"}, {"-reference", "-agent-binary", "/nowhere"}} {
		if _, err := run(wrong...); err == nil {
			t.Errorf("%v is taken", wrong)
		}
	}
}
