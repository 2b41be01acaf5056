package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/signed"
	"payagent/agent/trial"
	"payagent/agent/update"
	"payagent/platforms"
	"payagent/platforms/bank"
)

var updateKills = flag.Int("update-kills", 2, "how often the agent is killed in the middle of updates")

// manager is a service manager: it starts the package's program again whenever
// it ends, and a watchdog ends what does not answer.
type manager struct {
	*killRig
	mu      sync.Mutex
	cmd     *exec.Cmd
	stopped bool
	hold    chan struct{} // not nil while the service is to stay stopped
	held    chan struct{} // closed when it is
	done    chan struct{}
	a, b    signed.Private
}

func newManager(t *testing.T) *manager {
	m := &manager{killRig: newKillRig(t, patient), done: make(chan struct{})}
	keys := ""
	for i, id := range []string{"rel-1", "rel-2"} {
		p := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(i + 1)}, ed25519.SeedSize))
		keys += fmt.Sprintf("{id: %s, roles: [release, config], public: %q}, ", id, base64.StdEncoding.EncodeToString(p.Public().(ed25519.PublicKey)))
		if i == 0 {
			m.a = signed.Private{ID: id, Key: p}
		} else {
			m.b = signed.Private{ID: id, Key: p}
		}
	}
	m.appendConf(fmt.Sprintf("fleet: {prove: 2s, idle: 0s, keys: [%s]}\n", keys))
	return m
}

func (m *manager) appendConf(text string) {
	m.t.Helper()
	f, err := os.OpenFile(m.conf, os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.WriteString(text)
	}
	if err := joinErrs(err, f.Close()); err != nil {
		m.t.Fatal(err)
	}
}

func joinErrs(list ...error) error {
	for _, err := range list {
		if err != nil {
			return err
		}
	}
	return nil
}

// start runs the service until the test ends.
func (m *manager) start() {
	go func() {
		defer close(m.done)
		for {
			m.mu.Lock()
			if m.stopped {
				m.mu.Unlock()
				return
			}
			// Looked at where the next one would start: the service may have ended by
			// itself when it was to be stopped.
			if hold := m.hold; hold != nil {
				close(m.held)
				m.mu.Unlock()
				<-hold
				continue
			}
			m.cmd = m.startAgent()
			cmd := m.cmd
			m.mu.Unlock()
			_ = cmd.Wait()
		}
	}()
	m.t.Cleanup(m.stop)
	m.awaitReady()
}

func (m *manager) stop() {
	m.mu.Lock()
	m.stopped = true
	if m.hold != nil {
		close(m.hold)
		m.hold = nil
	}
	_ = m.cmd.Process.Signal(os.Interrupt)
	m.mu.Unlock()
	<-m.done
}

// pause stops the service until resume.
func (m *manager) pause() {
	m.mu.Lock()
	m.hold, m.held = make(chan struct{}), make(chan struct{})
	held := m.held
	_ = m.cmd.Process.Signal(os.Interrupt)
	m.mu.Unlock()
	<-held
}

func (m *manager) resume() {
	m.mu.Lock()
	close(m.hold)
	m.hold = nil
	m.mu.Unlock()
	m.awaitReady()
}

func (m *manager) kill() {
	m.mu.Lock()
	defer m.mu.Unlock()
	_ = m.cmd.Process.Kill()
}

// build makes a program of a version; ill builds misbehave as the version says.
func (m *manager) build(version string, ill bool) string {
	m.t.Helper()
	out := filepath.Join(m.dir, "releases", version)
	cmd := exec.CommandContext(m.t.Context(), "../../../.ci/build", out, "payagent")
	cmd.Env = append(os.Environ(), "VERSION="+version, "HID=0")
	if ill {
		cmd.Env = append(cmd.Env, "REPLACE="+m.illness())
	}
	if text, err := cmd.CombinedOutput(); err != nil {
		m.t.Fatalf("%v\n%s", err, text)
	}
	return m.release(version, filepath.Join(out, "payagent"))
}

// release signs a program.
func (m *manager) release(version, program string) string {
	m.t.Helper()
	data, err := os.ReadFile(program)
	if err != nil {
		m.t.Fatal(err)
	}
	man := fleet.Manifest{Product: "payagent", Version: version, Floor: "0.1.0", Issued: time.Now().Add(-time.Hour), Expires: time.Now().AddDate(0, 1, 0), Store: storeVersion,
		Files: []fleet.File{{Name: filepath.Base(program), OS: runtime.GOOS, Arch: runtime.GOARCH, Size: int64(len(data)), SHA256: fleet.HashText(data)}}}
	envelope, err := fleet.SignManifest(man, m.a, m.b)
	if err == nil {
		err = os.WriteFile(filepath.Join(filepath.Dir(program), "manifest.json"), envelope, 0o600)
	}
	if err != nil {
		m.t.Fatal(err)
	}
	return filepath.Dir(program)
}

// hanging is what an ill program says before it hangs.
const hanging = "this program hangs"

// illness is a program with faults that a release could have: which one it has
// the version says as which it is started, so that one build does for all.
func (m *manager) illness() string {
	m.t.Helper()
	table := map[string]string{}
	change := func(name, from, to string) {
		data, err := os.ReadFile(name)
		if err != nil {
			m.t.Fatal(err)
		}
		text := strings.Replace(string(data), from, to, 1)
		if text == string(data) {
			m.t.Fatalf("%s has no %q any more", name, from)
		}
		path := filepath.Join(m.dir, "ill-"+filepath.Base(name))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			m.t.Fatal(err)
		}
		if name, err = filepath.Abs(name); err != nil {
			m.t.Fatal(err)
		}
		table[name] = path
	}
	change("boot.go", "const startedEnv = \"PAYAGENT_STARTED\"\n", `const startedEnv = "PAYAGENT_STARTED"

var illAs, _, _ = strings.Cut(os.Getenv(startedEnv), " ")
`)
	change("main.go", "\tnoCores()\n", `	noCores()
	switch illAs {
	case "3.0.1": // crashes at once
		panic("ill")
	case "3.0.2": // hangs before it does anything
		println("`+hanging+`")
		r, w, _ := os.Pipe()
		_, _ = r.Read(make([]byte, 1))
		_ = w.Close()
	}
`)
	change("assemble.go", `func storeDir(c config.Config) string   { return filepath.Join(c.DataDir, "store") }`,
		`func storeDir(c config.Config) string {
	if illAs == "3.0.3" { // does not find its store
		return "/dev/null/store"
	}
	return filepath.Join(c.DataDir, "store")
}`)
	change("../../desired/desired.go", "func (d *Files) parse(name string, text, local []byte) (config.Config, []string, error) {\n", `var illAs = os.Getenv("PAYAGENT_STARTED")

func (d *Files) parse(name string, text, local []byte) (config.Config, []string, error) {
	if len(illAs) > 5 && illAs[:5] == "3.0.4" { // does not understand what the fleet wrote
		text = append([]byte("nonsense: 1\n"), text...)
	}
`)
	data, err := json.Marshal(map[string]any{"Replace": table})
	overlay := filepath.Join(m.dir, "overlay.json")
	if err == nil {
		err = os.WriteFile(overlay, data, 0o600)
	}
	if err != nil {
		m.t.Fatal(err)
	}
	return overlay
}

func (m *manager) command(args ...string) (string, error) {
	cmd := exec.CommandContext(m.t.Context(), filepath.Join(m.dir, "payagent"), append(args, "--config", m.conf)...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (m *manager) state() update.State {
	m.t.Helper()
	out, err := m.command("update", "status")
	var st update.State
	if err == nil {
		err = json.Unmarshal([]byte(out), &st)
	}
	if err != nil {
		m.t.Fatalf("%v: %s", err, out)
	}
	return st
}

// runs tells which version answers at the door, empty for none.
func (m *manager) runs() string {
	_, rest, _ := strings.Cut(m.read("/metrics"), "payagent_build_info{version=\"")
	v, _, _ := strings.Cut(rest, "\"")
	return v
}

// read asks the door; empty where it does not answer.
func (m *manager) read(path string) string {
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}).Do(m.request(http.MethodGet, path, nil))
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return ""
	}
	return string(data)
}

func (m *manager) request(method, path string, body any) *http.Request {
	m.t.Helper()
	secret, err := os.ReadFile(filepath.Join(m.dir, "data", "first-token"))
	if err != nil {
		m.t.Fatal(err)
	}
	data, err := json.Marshal(body)
	if err != nil {
		m.t.Fatal(err)
	}
	if body == nil {
		data = nil
	}
	r, err := http.NewRequest(method, "http://"+m.door+path, bytes.NewReader(data))
	if err != nil {
		m.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(secret)))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Idempotency-Key", fmt.Sprint("k", rand.Uint64()))
	return r
}

// order makes one, with a code if instruction is not negative.
func (m *manager) order(till string, instruction int) (no, state string) {
	m.t.Helper()
	body := map[string]any{"bill": fmt.Sprint("B", rand.Uint64()), "amount_fen": 100, "mode": "charge", "order_type": "TREATMENT", "subject": "test", "till": till,
		"patient": map[string]any{"name": "张三丰", "card_no": "C1", "card_type": "medical_card", "admission_no": "A1"}}
	if instruction >= 0 {
		body["auth_code"] = bank.MagicCode(platforms.WeChat, instruction)
	}
	resp, err := http.DefaultClient.Do(m.request(http.MethodPost, "/v1/orders", body))
	if err != nil {
		m.t.Fatal(err)
	}
	defer resp.Body.Close()
	var o struct {
		No    string `json:"out_trade_no"`
		State string `json:"state"`
	}
	data, err := io.ReadAll(resp.Body)
	if err == nil {
		err = json.Unmarshal(data, &o)
	}
	if err != nil || o.No == "" {
		m.t.Fatal(resp.Status, err, string(data))
	}
	return o.No, o.State
}

func (m *manager) orderState(no string) string {
	var o told
	secret, err := os.ReadFile(filepath.Join(m.dir, "data", "first-token"))
	if err != nil {
		m.t.Fatal(err)
	}
	if m.get("http://"+m.door+"/v1/orders/"+no, strings.TrimSpace(string(secret)), &o) != http.StatusOK {
		return ""
	}
	return o.State
}

// TestUpdate updates the real program by files: under a payment, to builds
// that are ill in every way, and with kills at random moments.
func TestUpdate(t *testing.T) {
	t.Parallel() // it mostly waits
	m := newManager(t)
	good := m.build("2.0.0", false)
	m.start()
	base := m.runs()

	// A payment is under way: nothing is switched before it has ended.
	no, _ := m.order("t0", -1)
	if out, err := m.command("update", good, "--no-wait"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for open := true; open; <-time.After(50 * time.Millisecond) {
		st := m.orderState(no)
		if v := m.runs(); st == "waiting" && v != base && m.orderState(no) == "waiting" {
			t.Fatalf("%q runs in the middle of a payment", v)
		}
		open = st == "waiting"
	}
	m.until("the update", func() bool { return m.runs() == "2.0.0" })
	no, _ = m.order("t0", 0)
	m.until("a payment with the new program", func() bool { return m.orderState(no) == "paid" })
	m.until("the proof", func() bool { st := m.state(); return st.Current == "2.0.0" && st.Trial == "" })
	if st := m.state(); st.Last == nil || !st.Last.Good || st.Previous != "base" {
		t.Errorf("%+v", st)
	}

	// A configuration of the fleet is in effect. A new program that cannot read
	// it goes, and the configuration stays.
	m.pause()
	m.apply(1, m.text("one"), trial.Health{Store: true, Door: true})
	m.resume()
	m.until("keeping a configuration", func() bool { return m.reported().State == fleet.ConfigCommitted && m.runs() == "2.0.0" })
	ill := m.build("3.0.0", true)
	for version, want := range map[string]string{"3.0.1": trial.NotStarted, "3.0.2": trial.NotStarted, "3.0.3": trial.StartFailed, "3.0.4": trial.StartFailed} {
		dir := filepath.Join(m.dir, "releases", version)
		if err := joinErrs(os.MkdirAll(dir, 0o700), os.Link(filepath.Join(ill, "payagent"), filepath.Join(dir, "payagent"))); err != nil {
			t.Fatal(err)
		}
		dir = m.release(version, filepath.Join(dir, "payagent"))
		watchdog := make(chan struct{})
		if version == "3.0.2" {
			go m.watch(watchdog)
		}
		out, err := m.command("update", dir)
		close(watchdog)
		if err == nil || !strings.Contains(out, want) {
			t.Errorf("%s: %v: %s", version, err, out)
		}
		m.until("going back from "+version, func() bool { return m.runs() == "2.0.0" })
		if st := m.state(); st.Current != "2.0.0" || st.Trial != "" || st.Last.Version != version || st.Last.Good {
			t.Errorf("%s: %+v", version, st)
		}
		if r := m.reported(); m.inEffect() != "one" || r.State != fleet.ConfigCommitted {
			t.Fatalf("%s took the configuration with it: %+v", version, r)
		}
	}
	// What is no program at all.
	junk := filepath.Join(m.dir, "releases", "3.0.5")
	if err := joinErrs(os.MkdirAll(junk, 0o700), os.WriteFile(filepath.Join(junk, "payagent"), bytes.Repeat([]byte("no program"), 100), 0o600)); err != nil {
		t.Fatal(err)
	}
	if out, err := m.command("update", m.release("3.0.5", filepath.Join(junk, "payagent"))); err == nil || !strings.Contains(out, trial.Unusable) {
		t.Errorf("%v: %s", err, out)
	}
	m.until("going back", func() bool { return m.runs() == "2.0.0" })

	// An older one, and back by hand.
	if out, err := m.command("update", m.build("1.9.0", false)); err == nil || !strings.Contains(out, "older") {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := m.command("update", filepath.Join(m.dir, "releases", "1.9.0"), "--downgrade"); err != nil || m.runs() != "1.9.0" {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := m.command("update", "rollback"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	m.until("going back by hand", func() bool { return m.runs() == "2.0.0" })

	// A virus scanner takes the program while it runs: it is missed, and comes
	// back by the same update.
	file := filepath.Join(m.dir, "data", "updates", "2.0.0", "payagent")
	if out, err := m.command("doctor", "--only", "update.programs"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if out, err := m.command("doctor", "--only", "update.programs"); err == nil || !strings.Contains(out, trial.Gone) || !strings.Contains(out, "2.0.0") {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := m.command("update", good); err == nil || !strings.Contains(out, "already") {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := m.command("doctor", "--only", "update.programs"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	m.killed(m.build("2.1.0", false))
	// Taken while the service is stopped: the one before it runs, and says so.
	taken := m.state().Current
	m.pause()
	if err := os.Remove(filepath.Join(m.dir, "data", "updates", taken, "payagent")); err != nil {
		t.Fatal(err)
	}
	m.resume()
	m.until("another program with the alarm", func() bool {
		v := m.runs()
		return v != "" && v != taken && strings.Contains(m.read("/v1/alarms"), trial.Gone)
	})
	no, _ = m.order("t0", 1)
	m.until("a payment in the end", func() bool { return m.orderState(no) == "paid" })
}

// watch is a watchdog: a program is killed each time that one hangs.
func (m *manager) watch(stop chan struct{}) {
	killed := 0
	for {
		select {
		case <-stop:
			return
		case <-time.After(100 * time.Millisecond):
		}
		data, err := os.ReadFile(m.log.Name())
		if err != nil {
			m.t.Error(err)
			return
		}
		if n := bytes.Count(data, []byte(hanging)); n > killed {
			killed = n
			m.kill()
		}
	}
}

// killed updates again and again while the service is killed at random
// moments: afterwards one of the two always runs.
func (m *manager) killed(dir string) {
	m.t.Helper()
	seen := map[string]int{}
	for range *updateKills {
		if m.state().Current == "2.1.0" {
			if out, err := m.command("update", "rollback"); err != nil {
				m.t.Fatalf("%v: %s", err, out)
			}
		} else if out, err := m.command("update", dir, "--no-wait"); err != nil && !strings.Contains(out, "on trial") {
			m.t.Fatalf("%v: %s", err, out)
		}
		<-time.After(time.Duration(rand.IntN(3000)) * time.Millisecond)
		m.kill()
		var v string
		m.until("a start after a kill", func() bool { v = m.runs(); return v != "" })
		if v != "2.0.0" && v != "2.1.0" {
			m.t.Fatalf("%q runs: %+v", v, m.state())
		}
		seen[v]++
	}
	m.t.Log("after the kills ran", seen)
	m.until("the end of the trials", func() bool { return m.state().Trial == "" && m.runs() == m.state().Current })
}
