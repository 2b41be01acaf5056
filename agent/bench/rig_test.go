package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"

	"payagent/agent"
	"payagent/agent/access"
	"payagent/agent/config"
	"payagent/agent/door"
	"payagent/agent/seal"
	"payagent/devices/serial"
	"payagent/platforms"
	"payagent/platforms/bank"
	"payagent/platforms/fwc"
	"payagent/platforms/fwc/fwctest"
	"payagent/queue/bolt"
	"payagent/uplink/https"
)

// rig is an agent with one counter, a scanner on a tty, the FWC platform
// behind a real socket, and a client of its door.
type rig struct {
	b        testing.TB
	platform platforms.Platform
	door     string
	token    string
	scanner  *os.File
	arrived  chan time.Time // when a pay request reached the platform
	events   chan event
	n        int
	agent    *agent.Agent
	store    *bolt.Log
	dir      string
	leave    func() // ends what join began
}

type event struct {
	at    time.Time
	order string
	state string
}

// newRig starts everything. delay is how long the platform takes per call.
func newRig(b testing.TB, delay time.Duration, tills int) *rig {
	b.Helper()
	return newRigWith(b, delay, tills, 0)
}

// newRigWith is newRig with so many closed orders in the store.
func newRigWith(b testing.TB, delay time.Duration, tills, closed int) *rig {
	b.Helper()
	r := &rig{b: b, arrived: make(chan time.Time, 1024), events: make(chan event, 4096)}
	sim := fwctest.Handler(bank.New(bank.Options{}), fwctest.Options{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			return
		}
		if bytes.Contains(body, []byte("<FWC_IF_Barcode_Pay ")) {
			r.arrived <- time.Now()
		}
		if delay > 0 && !bytes.Contains(body, []byte("PAYAGENTPROBE")) {
			time.Sleep(delay)
		}
		q.Body = io.NopCloser(bytes.NewReader(body))
		sim.ServeHTTP(w, q)
	}))
	b.Cleanup(srv.Close)
	dir := b.TempDir()
	must(b, os.WriteFile(filepath.Join(dir, "fwc.token"), []byte(fwctest.Token), 0o600))
	var names strings.Builder
	for i := range tills {
		fmt.Fprintf(&names, "  - {name: w%d, kind: counter, device_no: \"W%d\", operator: {id: \"1\", name: Bench}, scanners: [{driver: serial, role: gun}]}\n", i, i)
	}
	conf, err := config.Parse("bench", []byte(fmt.Sprintf(`
site: {hospital_id: %q, name: bench, test: true}
data_dir: %s
door: {limits: {creates: 0, refunds: 0}} # one workstation makes all the payments
codes: {two_codes: 0s} # no wait for a second code: what is measured is the agent
platforms: [{name: fwc, driver: fwc, url: "%s/linkingif.asmx", allow_plain_http: true}]
merchants: [{profile: m, platform: fwc, token_file: %s/fwc.token}]
routes: [{merchant: m}]
tills:
%s`, fwctest.HospitalID, dir, srv.URL, dir, names.String())))
	must(b, err)
	way, err := https.New(https.Config{BaseURL: srv.URL, AllowPlainHTTP: true})
	must(b, err)
	b.Cleanup(func() { _ = way.Close() })
	r.platform, err = fwc.New(way, fwc.Config{Endpoint: srv.URL + "/linkingif.asmx", HospitalID: fwctest.HospitalID,
		Token: func(string) (platforms.Hidden, error) { return platforms.Hide(fwctest.Token), nil }, ProbeProfile: "m"})
	must(b, err)
	master, slave, err := pty.Open()
	must(b, err)
	scan, err := serial.Open(serial.Config{Name: "w0", Path: slave.Name(), Baud: 115200, Settle: -1, DoubleRead: -1})
	must(b, err)
	r.scanner = master
	box, err := seal.Open(filepath.Join(dir, "keys"), nil)
	must(b, err)
	if closed > 0 {
		fill(b, filepath.Join(dir, "store"), closed, func(no string) []byte {
			sealed, err := box.Seal(time.Now(), seal.Long, []byte(`{"Name":"司马相如","CardNo":"C000123456","CardType":"medical_card"}`), []byte(no))
			must(b, err)
			return sealed
		})
	}
	store, _, err := bolt.Open(filepath.Join(dir, "store"), bolt.Options{Writer: 1})
	must(b, err)
	a, err := agent.New(agent.Parts{Config: conf, Log: store, Box: box, Clock: agent.NewSystemClock(),
		Platforms: map[string]platforms.Platform{"fwc": r.platform},
		Scanners:  map[string][]agent.Scanner{"w0": {{Name: "w0-1", Role: agent.RoleGun, Scanner: scan}}}})
	must(b, err)
	r.agent, r.store, r.dir = a, store, dir
	tokens, err := access.Open(filepath.Join(dir, "tokens.json"), nil)
	must(b, err)
	secret, err := tokens.Add("bench", "", []access.Scope{access.Collect, access.Refund, access.Admin}, time.Now())
	must(b, err)
	r.token = secret.Reveal()
	front := httptest.NewUnstartedServer(nil)
	front.Config.Handler = door.New(a, door.Options{Tokens: tokens, Addresses: []string{front.Listener.Addr().String()}})
	front.Start()
	r.door = front.URL
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	var group sync.WaitGroup
	group.Add(1)
	go func() {
		defer group.Done()
		r.listen(ctx)
	}()
	b.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			b.Error(err)
		}
		group.Wait()
		front.CloseClientConnections()
		front.Close()
		_ = master.Close()
		_ = slave.Close()
		_ = store.Close()
	})
	for {
		status, _ := r.call("GET", "/readyz", "", nil)
		if status == http.StatusOK {
			return r
		}
	}
}

func must(b testing.TB, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// call makes one request to the door.
func (r *rig) call(method, path, key string, body any) (int, map[string]any) {
	data, err := json.Marshal(body)
	must(r.b, err)
	q, err := http.NewRequest(method, r.door+path, bytes.NewReader(data))
	must(r.b, err)
	if method == "GET" {
		q.Body = http.NoBody
		q.ContentLength = 0
	} else {
		q.Header.Set("Content-Type", "application/json")
		q.Header.Set("Idempotency-Key", key)
	}
	q.Header.Set("Authorization", "Bearer "+r.token)
	resp, err := http.DefaultClient.Do(q)
	must(r.b, err)
	defer resp.Body.Close()
	var out map[string]any
	must(r.b, json.NewDecoder(resp.Body).Decode(&out))
	return resp.StatusCode, out
}

// request is a bill of one till.
func request(n, till int, code string) map[string]any {
	m := map[string]any{"bill": fmt.Sprintf("B%d-%d", till, n), "amount_fen": 100, "mode": "charge", "order_type": "TREATMENT",
		"subject": "bench", "till": fmt.Sprintf("w%d", till), "operator": map[string]any{"id": "1", "name": "Bench"},
		"patient": map[string]any{"name": "Bench", "card_no": "1", "card_type": "medical_card", "admission_no": "1"}}
	if code != "" {
		m["auth_code"] = code
	}
	return m
}

func code(n int) string { return fmt.Sprintf("13%016d", n) }

// listen reads the event stream as a HIS would.
func (r *rig) listen(ctx context.Context) {
	q, err := http.NewRequestWithContext(ctx, "GET", r.door+"/v1/events", nil)
	must(r.b, err)
	q.Header.Set("Authorization", "Bearer "+r.token)
	resp, err := http.DefaultClient.Do(q)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data:")
		if !ok {
			continue
		}
		at := time.Now()
		var o struct {
			No    string `json:"out_trade_no"`
			State string `json:"state"`
		}
		if json.Unmarshal([]byte(data), &o) == nil && o.No != "" {
			r.events <- event{at, o.No, o.State}
		}
	}
}

// await waits for an order's event with a state.
func (r *rig) await(order, state string) time.Time {
	for {
		select {
		case e := <-r.events:
			if e.order == order && e.state == state {
				return e.at
			}
		case <-time.After(20 * time.Second):
			r.b.Fatalf("order %s did not become %s", order, state)
		}
	}
}
