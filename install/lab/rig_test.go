//go:build lab && linux

package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	door     = "http://127.0.0.1:8780"
	world    = "http://127.0.0.1:8790"
	dataDir  = "/lab/agent"
	tokenAt  = dataDir + "/first-token"
	confFile = "/lab/payagent.yaml"
	worldDir = "/lab/world"
)

// rig is the agent with its API client; the pretend world goes on beside it.
type rig struct {
	t      *testing.T
	binary string
	conf   string
	log    *os.File
	cmd    *exec.Cmd
	gone   chan struct{} // closed when the process ended
	token  string
	stream *stream
}

// startWorld starts paysim once for all tests.
var startWorld = sync.OnceValue(func() error {
	if err := os.MkdirAll(worldDir, 0o700); err != nil {
		return err
	}
	log, err := os.Create("/lab/paysim.log")
	if err != nil {
		return err
	}
	cmd := exec.Command("/bin/paysim", "serve", "-data", worldDir, "-agent", door, "-agent-token-file", tokenAt)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	if !within(30*time.Second, func() bool { return status(world+"/healthz") == http.StatusOK }) {
		return errors.New("paysim did not start")
	}
	return nil
})

func status(url string) int {
	resp, err := http.Get(url)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// till is one window of the configuration: its name, and its scanner as YAML.
type till struct{ name, scanner string }

// yaml is a configuration as a hospital would write it, with the timing of a
// real one.
func yaml(tills []till) (string, error) {
	text, err := os.ReadFile(worldDir + "/paysim.json")
	if err != nil {
		return "", err
	}
	var a struct {
		Platforms map[string]string `json:"platforms"`
		TokenFile string            `json:"fwc_token_file"`
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, `site: {hospital_id: "H0001", name: "实验室 laboratory", test: true}
data_dir: %s
log: {level: debug}
door: {listen: ["127.0.0.1:8780"]}
platforms:
  - name: smartpay
    driver: smartpay
    url: %q
    allow_plain_http: true
    options: {client_id: LAB, transaction_codes: {sweep_code_pay: "1", query_order_state: "2", revoke: "3"}}
  - {name: fwc, driver: fwc, url: %q, allow_plain_http: true}
merchants:
  - {profile: window, platform: smartpay, merch_code: "M0001"}
  - {profile: other, platform: fwc, token_file: %q}
routes: [{department: even, merchant: window}, {merchant: other}]
tills:
`, dataDir, a.Platforms["smartpay"], a.Platforms["fwc"], a.TokenFile)
	for i, x := range tills {
		dept := "odd"
		if i%2 == 0 {
			dept = "even"
		}
		fmt.Fprintf(&b, "  - {name: %s, kind: counter, device_no: \"W%d\", department: %s, operator: {id: \"1001\", name: 王收费}, scan_wait: 20m,\n     scanners: [%s]}\n",
			x.name, i, dept, x.scanner)
	}
	return b.String(), nil
}

// newRig writes the configuration, starts the agent and follows its events.
func newRig(t *testing.T, binary string, tills []till) *rig {
	t.Helper()
	if err := startWorld(); err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, binary: "/bin/" + binary, conf: confFile}
	text, err := yaml(tills)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(r.conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dataDir); err != nil {
		t.Fatal(err)
	}
	if r.log, err = os.Create("/lab/agent.log"); err != nil {
		t.Fatal(err)
	}
	r.start()
	r.stream = follow(r.token)
	t.Cleanup(func() {
		r.stream.stop()
		r.stop()
		_ = r.log.Close()
		if t.Failed() {
			t.Logf("the agent's last words:\n%s", r.tail(60))
		}
	})
	return r
}

// start starts the agent and waits until it serves.
func (r *rig) start() {
	r.t.Helper()
	if err := r.launch(); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) launch() error {
	r.cmd = exec.Command(r.binary, "run", "--config", r.conf)
	r.cmd.Stdout, r.cmd.Stderr = r.log, r.log
	r.cmd.Env = append(os.Environ(), "GOTRACEBACK=all")
	if err := r.cmd.Start(); err != nil {
		return err
	}
	cmd, gone := r.cmd, make(chan struct{})
	r.gone = gone
	go func() {
		_ = cmd.Wait()
		close(gone)
	}()
	if !within(30*time.Second, func() bool { return status(door+"/healthz") == http.StatusOK || r.ended() }) || r.ended() {
		return fmt.Errorf("the agent did not start:\n%s", r.tail(40))
	}
	secret, err := os.ReadFile(tokenAt)
	r.token = strings.TrimSpace(string(secret))
	return err
}

func (r *rig) ended() bool {
	select {
	case <-r.gone:
		return true
	default:
		return false
	}
}

// signal sends one and waits for the end of the process.
func (r *rig) signal(s os.Signal) error {
	if err := r.cmd.Process.Signal(s); err != nil {
		return err
	}
	select {
	case <-r.gone:
		return nil
	case <-time.After(30 * time.Second):
		_ = r.cmd.Process.Kill()
		return fmt.Errorf("the agent did not end within 30 s of %v", s)
	}
}

func (r *rig) stop() {
	if r.cmd != nil && !r.ended() {
		if err := r.signal(os.Interrupt); err != nil {
			r.t.Error(err)
		}
	}
}

// tail is the end of the agent's log.
func (r *rig) tail(lines int) string {
	data, _ := os.ReadFile("/lab/agent.log")
	all := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// files counts the agent's open files.
func (r *rig) files() int {
	list, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", r.cmd.Process.Pid))
	return len(list)
}

// routines ends the agent with SIGQUIT and counts the goroutines that it had.
func (r *rig) routines() (int, error) {
	before, err := r.log.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	if err := r.signal(quit); err != nil {
		return 0, err
	}
	data, err := os.ReadFile("/lab/agent.log")
	if err != nil {
		return 0, err
	}
	n := bytes.Count(data[min(len(data), int(before)):], []byte("\ngoroutine "))
	if n == 0 {
		return 0, errors.New("the agent showed no goroutines")
	}
	return n, nil
}

// call asks the agent's API.
func (r *rig) call(method, path, key string, body, into any) (int, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return 0, err
	}
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	req, err := http.NewRequestWithContext(ctx, method, door+path, bytes.NewReader(text))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+r.token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	} else {
		req.Body = http.NoBody
		req.ContentLength = 0
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= 300 {
		var p struct{ Code, Title string }
		_ = json.Unmarshal(got, &p)
		err = fmt.Errorf("%s %s: %d %s: %s", method, path, resp.StatusCode, p.Code, p.Title)
	}
	if err == nil && into != nil {
		err = json.Unmarshal(got, into)
	}
	return resp.StatusCode, err
}

// metrics is the agent's Prometheus page.
func (r *rig) metrics() (string, error) {
	req, err := http.NewRequest(http.MethodGet, door+"/metrics", nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+r.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}

// metric is one number of that page; 0 where it is not there yet.
func (r *rig) metric(series string) (int, error) {
	text, err := r.metrics()
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(text, "\n"+series+" ")
	line, _, _ := strings.Cut(rest, "\n")
	if line == "" {
		return 0, nil
	}
	f, err := strconv.ParseFloat(line, 64)
	return int(f), err
}

// order makes an order that waits for a scan, and gives its number.
func (r *rig) order(till string, fen int) (string, error) {
	bill := fmt.Sprintf("LAB-%s-%016x", till, rand.Uint64())
	var o orderSeen
	_, err := r.call(http.MethodPost, "/v1/orders", bill, map[string]any{
		"bill": bill, "amount_fen": fen, "mode": "charge", "order_type": "TREATMENT", "till": till, "subject": "门诊缴费", "memo": "内科",
		"patient":  map[string]string{"name": "张三", "card_no": "0012345", "card_type": "medical_card", "admission_no": "A0012345"},
		"operator": map[string]string{"id": "1001", "name": "王收费"},
	}, &o)
	if err == nil && o.State != "waiting" {
		err = fmt.Errorf("a new order at %s is %s", till, o.State)
	}
	return o.No, err
}

// state is an order's state now.
func (r *rig) state(no string) (string, error) {
	var o orderSeen
	_, err := r.call(http.MethodGet, "/v1/orders/"+no, "", nil, &o)
	return o.State, err
}

// cancel gives an order up and waits for its end.
func (r *rig) cancel(no string) error {
	from := r.stream.mark()
	if _, err := r.call(http.MethodPost, "/v1/orders/"+no+"/cancel", no+"-c", map[string]any{
		"operator": map[string]string{"id": "1001", "name": "王收费"}, "reason": "lab",
	}, nil); err != nil {
		return err
	}
	if st, err := r.state(no); err != nil || st == "canceled" {
		return err
	}
	_, err := r.stream.await(from, 60*time.Second, func(e event) bool { return e.Order.No == no && e.Order.Final })
	return err
}

// clear gives up what a case left behind that failed half way.
func (r *rig) clear() error {
	var open struct{ Orders []orderSeen }
	if _, err := r.call(http.MethodGet, "/v1/orders?state=open", "", nil, &open); err != nil {
		return err
	}
	for _, o := range open.Orders {
		if err := r.cancel(o.No); err != nil {
			if st, _ := r.state(o.No); st != "paid" { // meanwhile
				return err
			}
		}
	}
	return nil
}

// truth is what the pretend bank knows of an order.
type truth struct {
	No       string `json:"order_no"`
	Net      int64  `json:"net_fen"`
	Captures int    `json:"captures"`
	Requests int    `json:"pay_requests"`
}

func (r *rig) truths() (map[string]truth, error) {
	resp, err := http.Get(world + "/ledger")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var all struct{ Orders []truth }
	if err := json.NewDecoder(resp.Body).Decode(&all); err != nil {
		return nil, err
	}
	out := map[string]truth{}
	for _, x := range all.Orders {
		out[x.No] = x
	}
	return out, nil
}

// paidOnce waits until an order is paid and asks the bank whether it was
// charged once, with this amount.
func (r *rig) paidOnce(no string, fen int, from int) error {
	e, err := r.stream.await(from, 60*time.Second, func(e event) bool { return e.Order.No == no && e.Order.Final })
	if err != nil {
		return fmt.Errorf("order %s: %w", no, err)
	}
	if e.Order.State != "paid" {
		return fmt.Errorf("order %s is %s", no, e.Order.State)
	}
	all, err := r.truths()
	if err != nil {
		return err
	}
	if x := all[no]; x.Net != int64(fen) || x.Captures != 1 || x.Requests != 1 {
		return fmt.Errorf("the bank says of order %s: %+v, not %d fen once", no, x, fen)
	}
	return nil
}

// code makes a payment code that nobody used before.
func code() string { return fmt.Sprintf("28%016d", rand.Uint64N(1e16)) }

// devicesList is what the agent's command prints.
func (r *rig) devicesList() (string, error) {
	out, err := exec.Command(r.binary, "devices", "list", "--config", r.conf).CombinedOutput()
	return string(out), err
}
