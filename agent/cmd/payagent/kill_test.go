package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"payagent/uplink/uplinktest"
)

var rounds = flag.Int("rounds", 100, "how often the agent is killed")

// killTills is the number of tills under load: half of them on each platform.
const killTills = 24

// TestKill kills the real program with SIGKILL at random moments under load
// against the pretend world, starts it again each time, and then compares what
// the agent says with what every payer is really out of pocket.
func TestKill(t *testing.T) {
	r := newKillRig(t, quick)
	seed := rand.Uint64()
	t.Logf("seed %d, %d rounds", seed, *rounds)
	rnd := rand.New(rand.NewPCG(seed, 1))
	load := r.startLoad(seed)
	// On a slow machine it takes more rounds until enough has happened.
	for i := 0; i < *rounds || i < 5**rounds && !r.enough(load); i++ {
		agent := r.startAgent()
		if i%2 == 1 || i >= *rounds {
			r.awaitReady() // also where a start takes longer than what follows, some are killed at work
		}
		<-time.After(time.Duration(rnd.IntN(250)) * time.Millisecond)
		if err := agent.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = agent.Wait()
	}
	agent := r.startAgent()
	defer func() {
		_ = agent.Process.Signal(os.Interrupt)
		if err := agent.Wait(); err != nil {
			t.Errorf("the agent did not stop in order: %v\n%s", err, r.tail())
		}
	}()
	r.awaitReady()
	r.stopLoad(load)
	r.judge(load)
}

type killRig struct {
	t     *testing.T
	dir   string
	conf  string
	world string // pages of the pretend world
	door  string
	log   *os.File
	his   *toldHIS

	policy string
}

// The schedules of the agent under test. The quick one is that of a test box,
// forty times as quick as a real one: on a slow machine it cancels what is not
// paid soon enough. The patient one is for payments that must be paid.
const (
	quick = `{pay_timeout: 3s, call_timeout: 1s, first_query: 100ms, query_every: 150ms, horizon: 1500ms, horizon_wechat: 1200ms,
  cancel_not_before: 400ms, manual_after: 250ms, backoff: [50ms, 100ms, 200ms, 400ms, 1s], not_found_final: 2s, late_watch: [0s, 500ms, 2s]}`
	patient = `{pay_timeout: 60s, call_timeout: 60s, first_query: 100ms, query_every: 150ms, horizon: 2m, horizon_wechat: 2m,
  cancel_not_before: 400ms, manual_after: 250ms, backoff: [50ms, 100ms, 200ms, 400ms, 1s], not_found_final: 2m, late_watch: [0s, 500ms, 2s]}`
)

func newKillRig(t *testing.T, policy string) *killRig {
	t.Helper()
	r := &killRig{t: t, dir: t.TempDir(), policy: policy}
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Minute)
	defer stop()
	build := exec.CommandContext(ctx, "../../../.ci/build", r.dir, "payagent", "paysim")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var err error
	if r.log, err = os.Create(filepath.Join(r.dir, "agent.log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.log.Close() })
	r.door = uplinktest.FreeAddress(t)
	r.his = newToldHIS(t, r.dir)
	token := filepath.Join(r.dir, "data", "first-token")
	sim := exec.Command(filepath.Join(r.dir, "paysim"), "serve", "-listen", "127.0.0.1:0", "-platforms", "127.0.0.1:0",
		"-data", filepath.Join(r.dir, "world"), "-agent", "http://"+r.door, "-agent-token-file", token, "-time-scale", "40", "-tombstones", "-his", "none")
	out, err := sim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	sim.Stderr = os.Stderr
	if err := os.MkdirAll(filepath.Join(r.dir, "world"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := sim.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = sim.Process.Signal(os.Interrupt)
		_ = sim.Wait()
	})
	r.readWorld(out)
	return r
}

// readWorld waits for the pretend world and writes the agent's configuration.
func (r *killRig) readWorld(out io.Reader) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "truth") {
			break
		}
	}
	go func() {
		for lines.Scan() { // keep the pipe empty
		}
	}()
	data, err := os.ReadFile(filepath.Join(r.dir, "world", "paysim.json"))
	if err != nil {
		r.t.Fatal(err)
	}
	var a struct {
		Pages     string            `json:"pages"`
		Platforms map[string]string `json:"platforms"`
		TokenFile string            `json:"fwc_token_file"`
	}
	if err := json.Unmarshal(data, &a); err != nil {
		r.t.Fatal(err)
	}
	r.world = a.Pages
	var tills strings.Builder
	for i := range killTills {
		fmt.Fprintf(&tills, "  - {name: t%d, kind: counter, device_no: \"W%d\", operator: {id: \"1\", name: Wang}, department: \"%d\", scan_wait: 5s}\n", i, i, i%2)
	}
	conf := fmt.Sprintf(`
site: {hospital_id: "H0001", name: kill, test: true}
data_dir: %s
his: {webhook: {url: "%s", secret_file: %s}}
door: {listen: ["%s"]}
policy: %s
platforms:
  - name: smartpay
    driver: smartpay
    url: %s
    allow_plain_http: true
    options: {client_id: K, query_key: both, transaction_codes: {sweep_code_pay: "1", query_order_state: "2", revoke: "3"}}
  - {name: fwc, driver: fwc, url: "%s", allow_plain_http: true}
merchants:
  - {profile: sp, platform: smartpay, merch_code: "M1"}
  - {profile: lc, platform: fwc, token_file: %s}
routes: [{department: "0", merchant: sp}, {merchant: lc}]
tills:
%s`, filepath.Join(r.dir, "data"), r.his.url, r.his.secret, r.door, r.policy, a.Platforms["smartpay"], a.Platforms["fwc"], a.TokenFile, tills.String())
	r.conf = filepath.Join(r.dir, "payagent.yaml")
	if err := os.WriteFile(r.conf, []byte(conf), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r *killRig) startAgent() *exec.Cmd {
	cmd := exec.Command(filepath.Join(r.dir, "payagent"), "run", "--config", r.conf)
	cmd.Stdout, cmd.Stderr = r.log, r.log
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	return cmd
}

func (r *killRig) tail() string {
	data, _ := os.ReadFile(r.log.Name())
	return string(data[max(0, len(data)-4000):])
}

// until repeats a question until it is answered with true; two minutes are far
// more than anything here needs.
func (r *killRig) until(what string, ask func() bool) {
	r.t.Helper()
	r.untilOr(what, ask, r.tail)
}

// untilOr says more than the log's end when the answer never comes.
func (r *killRig) untilOr(what string, ask func() bool, explain func() string) {
	r.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !ask(); <-time.After(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("%s took too long\n%s", what, explain())
		}
	}
}

func (r *killRig) awaitReady() {
	r.until("the agent's start", func() bool {
		resp, err := http.Get("http://" + r.door + "/healthz")
		if err == nil {
			_ = resp.Body.Close()
		}
		return err == nil && resp.StatusCode == http.StatusOK
	})
}

// killLoad is the pretend HIS under way.
type killLoad struct {
	cmd  *exec.Cmd
	stop context.CancelFunc
	mu   sync.Mutex
	out  bytes.Buffer
	done chan struct{}
}

func (l *killLoad) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(p)
}

func (r *killRig) startLoad(seed uint64) *killLoad {
	names := make([]string, killTills)
	for i := range names {
		names[i] = fmt.Sprintf("t%d", i)
	}
	l := &killLoad{done: make(chan struct{})}
	l.cmd = exec.Command(filepath.Join(r.dir, "paysim"), "load", "-n", "1000000", "-c", fmt.Sprint(killTills), "-agent", "http://"+r.door,
		"-agent-token-file", filepath.Join(r.dir, "data", "first-token"), "-tills", strings.Join(names, ","), "-seed", fmt.Sprint(seed),
		"-instructions", "0,90,91,92,93,94,96,97,98,99", "-actions", "plain,twice_same_key,twice_new_key,cancel,check,detach,his_fails,his_silent", "-patience", "60s")
	l.cmd.Stdout, l.cmd.Stderr = l, os.Stderr
	// The first start makes the token that the load needs.
	agent := r.startAgent()
	r.awaitReady()
	if err := l.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	_ = agent.Process.Kill()
	_ = agent.Wait()
	return l
}

// enough tells whether what happened so far proves anything: see judge.
func (r *killRig) enough(l *killLoad) bool {
	l.mu.Lock()
	out := l.out.String()
	l.mu.Unlock()
	accepted := strings.Count(out, `"order_no":"`)
	failed, booked := 0, 0
	for line := range strings.Lines(out) {
		switch {
		case !strings.Contains(line, `"booking":"done"`):
		case strings.Contains(line, `"action":"his_fails"`):
			failed++
		default:
			booked++
		}
	}
	var truth struct{ Orders []truthOrder }
	return accepted >= *rounds && failed > 0 && booked > 0 && r.his.twice() > 0 && r.get(r.world+"/ledger", "", &truth) == http.StatusOK && len(truth.Orders) >= *rounds/2
}

func (r *killRig) stopLoad(l *killLoad) {
	if err := l.cmd.Process.Signal(os.Interrupt); err != nil {
		r.t.Fatal(err)
	}
	_ = l.cmd.Wait()
}

type truthOrder struct {
	No       string `json:"order_no"`
	Net      int64  `json:"net_fen"`
	Captures int    `json:"captures"`
	Requests int    `json:"pay_requests"`
}

type told struct {
	No      string `json:"out_trade_no"`
	Bill    string `json:"bill"`
	State   string `json:"state"`
	Fen     int64  `json:"amount_fen"`
	Back    int64  `json:"refunded_fen"`
	Refunds []struct {
		State string `json:"state"`
		Fen   int64  `json:"amount_fen"`
	} `json:"refunds"`
	Platform string `json:"platform"`
	Booking  struct {
		State string `json:"state"`
		Flow  string `json:"his_flow_id"`
	} `json:"booking"`
}

// owes tells whether money of the order is still on its way back.
func (o told) owes() bool {
	for _, x := range o.Refunds {
		if x.State == "requested" || x.State == "sent" || x.State == "in_doubt" && o.Platform != "smartpay" {
			return true
		}
	}
	return o.Booking.State == "failed" && len(o.Refunds) == 0
}

// doubt is the money of which nobody can tell whether it went back: SmartPay
// says "paid" of a revoked order too, so that a revoke whose answer was lost in
// a kill is for people to settle, with an alarm. Elsewhere there is none.
func (o told) doubt() (fen int64) {
	for _, x := range o.Refunds {
		if x.State == "in_doubt" && o.Platform == "smartpay" {
			fen += x.Fen
		}
	}
	return fen
}

// forPeople tells that nothing but a person can say what became of the order:
// SmartPay says "paid" whatever came of a revoke whose answer was lost in a kill.
func (o told) forPeople() bool { return o.State == "in_doubt" && o.Platform == "smartpay" }

func (r *killRig) get(url string, token string, into any) int {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0 // it ended while it spoke
	}
	if err := json.Unmarshal(data, into); err != nil {
		r.t.Fatalf("%s: %v", url, err)
	}
	return resp.StatusCode
}

// judge waits until nothing is owed any more and compares.
func (r *killRig) judge(l *killLoad) {
	secret, err := os.ReadFile(filepath.Join(r.dir, "data", "first-token"))
	if err != nil {
		r.t.Fatal(err)
	}
	token := strings.TrimSpace(string(secret))
	var open struct{ Orders []told }
	same := 0 // answers in a row with nothing open but what only people can settle
	r.untilOr("settling", func() bool {
		open.Orders = nil
		if r.get("http://"+r.door+"/v1/orders?state=open", token, &open) != http.StatusOK {
			return false
		}
		if same++; slices.ContainsFunc(open.Orders, func(o told) bool { return !o.forPeople() }) {
			same = 0
		}
		return len(open.Orders) == 0 || same == 200
	}, func() string { return fmt.Sprintf("%d open orders: %+v\n%s", len(open.Orders), open.Orders, r.tail()) })
	var truth struct{ Orders []truthOrder }
	if r.get(r.world+"/ledger", "", &truth) != http.StatusOK {
		r.t.Fatal("the truth is not to be had")
	}
	doubtful := 0
	paidBills, counts := map[string]string{}, map[string]int{}
	known := map[string]told{}
	ask := func(no string) (told, bool) {
		if o, ok := known[no]; ok {
			return o, true
		}
		var o told
		if r.get("http://"+r.door+"/v1/orders/"+no, token, &o) != http.StatusOK {
			return o, false
		}
		known[no] = o
		return o, true
	}
	r.until("giving back", func() bool {
		clear(known)
		for _, x := range truth.Orders {
			if o, ok := ask(x.No); ok && o.owes() {
				return false
			}
		}
		// What came back meanwhile is in the truth of now.
		return r.get(r.world+"/ledger", "", &truth) == http.StatusOK
	})
	for _, x := range truth.Orders {
		o, ok := ask(x.No)
		switch {
		case !ok:
			r.t.Errorf("order %s reached the platform and is not known to the agent", x.No)
			continue
		case x.Requests > 1 || x.Captures > 1:
			r.t.Errorf("order %s: %d pay requests, charged %d times", x.No, x.Requests, x.Captures)
		case o.forPeople() && (x.Net == 0 || x.Net == o.Fen):
			doubtful++
		case o.State == "paid" && x.Net != o.Fen-o.Back && x.Net != o.Fen-o.Back-o.doubt(), o.State != "paid" && x.Net != 0:
			r.t.Errorf("order %s: the agent says %s, the payer is out of %d fen of %d", x.No, o.State, x.Net, o.Fen)
		}
		counts[o.State]++
		if x.Net != 0 {
			if first, twice := paidBills[o.Bill]; twice {
				r.t.Errorf("bill %s was paid twice: %s and %s", o.Bill, first, x.No)
			}
			paidBills[o.Bill] = x.No
		}
		if o.State == "paid" {
			r.until("telling HIS of order "+x.No, func() bool { return r.his.knows(x.No) })
		}
	}
	if r.his.twice() == 0 {
		r.t.Error("no event was told twice: the kills prove nothing of the webhook")
	}
	lines := bufio.NewScanner(&l.out)
	lines.Buffer(nil, 1<<20)
	accepted, words := 0, map[bool]int{} // HIS's words that were taken, by whether it failed
	for lines.Scan() {
		var res struct {
			No      string `json:"order_no"`
			Verdict string `json:"verdict"`
			Final   bool   `json:"final"`
			Action  string `json:"action"`
			Flow    string `json:"his_flow_id"`
			Booking string `json:"booking"`
		}
		if err := json.Unmarshal(lines.Bytes(), &res); err != nil {
			r.t.Fatalf("%v: %s", err, lines.Bytes())
		}
		if res.No == "" {
			continue
		}
		accepted++
		o, ok := ask(res.No)
		if !ok {
			r.t.Errorf("order %s was accepted and is lost", res.No)
		} else if res.Final && res.Verdict != o.State {
			r.t.Errorf("order %s was told as %s and is %s now", res.No, res.Verdict, o.State)
		}
		switch {
		case res.Booking == "":
		case res.Booking != "done":
			r.t.Errorf("order %s: HIS's word was answered with %s", res.No, res.Booking)
		case res.Action == "his_fails" && (o.Booking.State != "failed" || o.Back+o.doubt() != o.Fen):
			r.t.Errorf("order %s failed at HIS and is %+v now", res.No, o)
		case res.Action != "his_fails" && (o.Booking.State != "booked" || o.Booking.Flow != res.Flow):
			r.t.Errorf("order %s was booked as %s and is %+v now", res.No, res.Flow, o.Booking)
		default:
			words[res.Action == "his_fails"]++
		}
	}
	if doubtful > *rounds/10+len(truth.Orders)/50 {
		r.t.Errorf("%d orders are left to people to settle", doubtful)
	}
	if words[true] == 0 || words[false] == 0 {
		r.t.Errorf("HIS booked %d orders and failed on %d: the test proves little", words[false], words[true])
	}
	if accepted < *rounds || len(truth.Orders) < *rounds/2 {
		r.t.Errorf("only %d orders were accepted and %d reached the platforms: the test proves little", accepted, len(truth.Orders))
	}
	r.t.Logf("%d kills, %d orders accepted, %d reached a platform: %v; %d booked, %d given back; nothing lost, nothing charged twice", *rounds, accepted, len(truth.Orders), counts, words[false], words[true])
}
