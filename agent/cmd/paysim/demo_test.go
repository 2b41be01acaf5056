//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"payagent/agent/cmd/paysim/internal/his"
	"payagent/uplink/uplinktest"
)

// demoRig is the whole demo: the pretend world in this process, the real agent
// beside it.
type demoRig struct {
	sim    *sim // its pages
	dir    string
	door   string
	facade string
	books  string
	out    *lockedBuffer
}

// lockedBuffer keeps what the demo prints.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// startDemo builds the agent and runs the demo until the test ends.
func startDemo(t *testing.T) *demoRig {
	t.Helper()
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "../../../.ci/build", dir, "payagent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	r := &demoRig{dir: filepath.Join(dir, "data"), door: uplinktest.FreeAddress(t), facade: uplinktest.FreeAddress(t), books: uplinktest.FreeAddress(t), out: &lockedBuffer{}}
	pages, platforms := uplinktest.FreeAddress(t), uplinktest.FreeAddress(t)
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- command(ctx, []string{"demo", "-agent-binary", filepath.Join(dir, "payagent"), "-data", r.dir, "-door", r.door, "-listen", pages,
			"-platforms", platforms, "-callback", uplinktest.FreeAddress(t), "-facade", r.facade, "-books", r.books}, console{strings.NewReader(""), r.out, r.out})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the demo ended with %v", err)
		}
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(r.dir, "agent.log"))
			t.Logf("%s\n%s", r.out, log[max(0, len(log)-4000):])
		}
	})
	r.sim = &sim{t: t, at: Addresses{Pages: "http://" + pages}}
	r.until("the demo's welcome", func() bool {
		select {
		case err := <-done:
			done <- err
			t.Fatalf("the demo ended: %v\n%s", err, r.out)
		default:
		}
		return strings.Contains(r.out.String(), "Ctrl-C")
	})
	// A scanner that was just opened drops what it reads first; people are never
	// that quick.
	for _, box := range []string{"counter1", "kiosk1"} {
		r.until("the scanner "+box, func() bool {
			var got any
			r.sim.call(http.MethodPost, "/scanbox", map[string]any{"box": box, "text": "HELLO"}, 200, &got)
			return r.reads(box)
		})
	}
	return r
}

// reads tells whether a till's pad has read anything yet.
func (r *demoRig) reads(till string) bool {
	r.sim.t.Helper()
	token, err := os.ReadFile(filepath.Join(r.dir, "agent", "first-token"))
	if err != nil {
		r.sim.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(r.sim.t.Context(), http.MethodGet, "http://"+r.door+"/v1/devices", nil)
	if err != nil {
		r.sim.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		r.sim.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var got struct {
		Devices []struct {
			Till   string `json:"till"`
			Role   string `json:"role"`
			Counts struct {
				Good int `json:"good"`
			} `json:"counts"`
		} `json:"devices"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		r.sim.t.Fatal(err)
	}
	for _, d := range got.Devices {
		if d.Till == till && d.Role == "pad" && d.Counts.Good > 0 {
			return true
		}
	}
	return false
}

// until repeats a question; two minutes are far more than anything here takes.
func (r *demoRig) until(what string, ask func() bool) {
	r.sim.t.Helper()
	for end := time.Now().Add(2 * time.Minute); !ask(); <-time.After(20 * time.Millisecond) {
		if time.Now().After(end) {
			r.sim.t.Fatalf("%s took too long\n%s", what, r.out)
		}
	}
}

// commands gives the shell blocks of the guide for HIS in their order, as they
// stand there but for the addresses.
func (r *demoRig) commands() string {
	r.sim.t.Helper()
	text, err := os.ReadFile("../../../docs/his-guide.md")
	if err != nil {
		r.sim.t.Fatal(err)
	}
	var script strings.Builder
	script.WriteString("set -euo pipefail\n")
	for _, m := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```").FindAllStringSubmatch(string(text), -1) {
		script.WriteString(m[1])
	}
	s := script.String()
	for name, value := range map[string]string{"AGENT": "http://" + r.door, "WORLD": r.sim.at.Pages, "FACADE": "http://" + r.facade, "BOOKS": "http://" + r.books, "DATA": r.dir} {
		line := regexp.MustCompile(`(?m)^` + name + `=.*$`)
		if len(line.FindAllString(s, -1)) != 1 {
			r.sim.t.Fatalf("the guide must set %s exactly once", name)
		}
		s = line.ReplaceAllLiteralString(s, name+"='"+value+"'")
	}
	return s
}

// The commands of the guide for HIS, run as they stand there, from the first
// payment to the end of a shift.
func TestTheGuidesCommands(t *testing.T) {
	r := startDemo(t)
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Minute)
	defer stop()
	run := exec.CommandContext(ctx, "bash", "-c", r.commands())
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"order number: MZ", "\npaid\n", `"state":"booked"`, "the same order", "\nTF", "WSDL", "TRADE_SUCCESS", "<OutTradeStatus>2", `"class":"equal"`,
		`"class":"long"`, `"net_fen":`, "\nclosed\n"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the guide's commands did not show %q:\n%s", want, out)
		}
	}
	r.collectAndBook()
	r.payOnAPage()
}

// payOnAPage pays an h5 order of the pretend gateway with the pretend phone:
// the gateway's notice, not patience, tells the agent, and HIS books.
func (r *demoRig) payOnAPage() {
	r.sim.t.Helper()
	r.sim.call(http.MethodPost, "/his/conduct", map[string]any{"manner": "book"}, 200, nil)
	var bill struct{ Bill string }
	r.sim.call(http.MethodPost, "/his/bills", map[string]any{"amount_fen": 3300}, 200, &bill)
	var pressed []struct {
		Answer struct {
			Status int
			Body   struct {
				No string `json:"out_trade_no"`
			}
		}
	}
	r.sim.call(http.MethodPost, "/his/orders", map[string]any{"bill": bill.Bill, "mode": "h5", "till": "online1", "channel": "alipay"}, 200, &pressed)
	if pressed[0].Answer.Status != 201 {
		r.sim.t.Fatalf("%+v", pressed)
	}
	no := pressed[0].Answer.Body.No
	var order struct {
		Body struct {
			Goto    string `json:"goto_url"`
			State   string `json:"state"`
			Booking struct{ State string }
		}
	}
	see := func() { r.sim.call(http.MethodGet, "/his/orders/"+no, nil, 200, &order) }
	r.until("the page", func() bool { see(); return order.Body.Goto != "" })
	r.sim.call(http.MethodPost, "/phone/pay", map[string]any{"qr": order.Body.Goto, "wallet": "alipay", "behave": 0}, 200, nil)
	r.until("the page's payment to be booked", func() bool { see(); return order.Body.State == "paid" && order.Body.Booking.State == "booked" })
}

// collectAndBook lets the demo's own HIS collect a bill and book it, fail on
// another, and compares the three books.
func (r *demoRig) collectAndBook() {
	r.sim.t.Helper()
	var books struct{ Entries []his.Entry }
	pay := func() string {
		var bill struct{ Bill string }
		r.sim.call(http.MethodPost, "/his/bills", map[string]any{"amount_fen": 1200}, 200, &bill)
		var pressed []struct {
			Answer struct {
				Status int
				Body   struct {
					No string `json:"out_trade_no"`
				}
			}
		}
		var raw any
		r.until("the till to be free", func() bool {
			r.sim.call(http.MethodPost, "/his/orders", map[string]any{"bill": bill.Bill, "mode": "charge", "till": "counter1", "channel": "wechat"}, 200, &pressed)
			return pressed[0].Answer.Status == 201
		})
		no := pressed[0].Answer.Body.No
		r.sim.call(http.MethodPost, "/scanbox", map[string]any{"box": "counter1", "text": r.sim.freshCode(0)}, 200, &raw)
		return no
	}
	r.sim.call(http.MethodPost, "/his/conduct", map[string]any{"manner": "book"}, 200, nil)
	booked := pay()
	r.until("the booking", func() bool {
		r.sim.call(http.MethodGet, "/his/books", nil, 200, &books)
		for _, e := range books.Entries {
			if e.OrderNo == booked && e.Told == "done" {
				return true
			}
		}
		return false
	})
	r.sim.call(http.MethodPost, "/his/conduct", map[string]any{"manner": "fail"}, 200, nil)
	failed := pay()
	var truth struct {
		Counts map[his.Class]int
		Rows   []his.Row
	}
	row := func(no string) his.Row {
		r.sim.call(http.MethodGet, "/compare", nil, 200, &truth)
		for _, x := range truth.Rows {
			if x.OrderNo == no {
				return x
			}
		}
		return his.Row{}
	}
	r.until("the money to go back", func() bool { x := row(failed); return x.Booking == "failed" && x.AgentFen == 0 })
	if x := row(failed); x.PlatformFen != 0 || x.HisFen != 0 || x.Class != his.Equal {
		r.sim.t.Errorf("what HIS could not process: %+v", x)
	}
	if x := row(booked); x.PlatformFen != 1200 || x.AgentFen != 1200 || x.HisFen != 1200 || x.Booking != "booked" || x.Class != his.Equal {
		r.sim.t.Errorf("what HIS booked: %+v", x)
	}
	var out bytes.Buffer
	err := command(r.sim.t.Context(), []string{"ledger", "-compare", "-world", r.sim.at.Pages}, console{strings.NewReader(""), &out, r.out})
	// The guide's own orders are nothing that the pretend HIS knows of.
	want := fmt.Sprintf("%d of %d orders differ", truth.Counts[his.Long], len(truth.Rows))
	if truth.Counts[his.Equal] != 2 || truth.Counts[his.Long] < 5 || err == nil || !strings.Contains(err.Error(), want) {
		r.sim.t.Errorf("%v, want %s\n%s", err, want, out.String())
	}
}
