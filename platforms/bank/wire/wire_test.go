package wire_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"payagent/platforms"
	"payagent/platforms/bank"
	"payagent/platforms/bank/wire"
)

const good = "state=ok amount=88.88"

// desk is a simulator that answers the same to everything.
type desk struct {
	ctl *wire.Control

	mu    sync.Mutex
	calls int
	last  wire.Turn
}

func (d *desk) done() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.calls
}

func (d *desk) turn() wire.Turn {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.last
}

func newDesk(opts wire.Options) *desk {
	if opts.Clock == nil {
		opts.Clock = func() time.Duration { return 7 * time.Second }
	}
	return &desk{ctl: wire.New(opts)}
}

func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	op, no, _ := strings.Cut(string(body), " ")
	d.ctl.Answer(w, r, wire.Call{Op: op, OrderNo: no, Amount: 8888, Code: "134567890123456789", Fields: map[string]string{"subject": "s"}}, func(t wire.Turn) wire.Reply {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.calls++
		d.last = t
		return wire.Reply{Type: "text/x-good", Body: []byte(good)}
	})
}

func call(t *testing.T, rt http.RoundTripper, ctx context.Context, url, body string) (int, string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := rt.RoundTrip(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(all), err
}

// TestFaults: over a socket and without one, every fault does what its comment
// says to the answer and to the books.
func TestFaults(t *testing.T) {
	for _, c := range []struct {
		fault  bank.Fault
		done   bool
		status int // zero: the connection breaks
		body   func(string) bool
	}{
		{bank.NoFault, true, 200, func(s string) bool { return s == good }},
		{bank.LoseRequest, false, 0, nil},
		{bank.LoseReply, true, 0, nil},
		{bank.Reset, false, 0, nil},
		{bank.HalfReply, true, 0, nil},
		{bank.HTTP500, false, 500, func(s string) bool { return s != "" && s != good }},
		{bank.HTTP500After, true, 500, func(s string) bool { return s != "" && s != good }},
		{bank.HTTP502, true, 502, func(s string) bool { return s == good }},
		{bank.HTTP404, false, 404, func(s string) bool { return s != good }},
		{bank.Redirect, false, 302, func(s string) bool { return s != good }},
		{bank.Redirect307, false, 307, func(s string) bool { return s != good }},
		{bank.HTML200, false, 200, func(s string) bool { return strings.Contains(s, "<html>") }},
		{bank.Garbage, true, 200, func(s string) bool { return s != good && s != "" }},
		{bank.Empty, true, 200, func(s string) bool { return s == "" }},
		{bank.Huge, true, 200, func(s string) bool { return len(s) > 64<<10 && strings.HasPrefix(s, good) }},
	} {
		for _, way := range []string{"socket", "direct"} {
			t.Run(string(c.fault)+"/"+way, func(t *testing.T) {
				d := newDesk(wire.Options{Record: true})
				srv := httptest.NewServer(d.ctl.Wrap(d))
				defer srv.Close()
				tr := &http.Transport{}
				defer tr.CloseIdleConnections()
				rt := http.RoundTripper(tr)
				if way == "direct" {
					rt = wire.Direct(d.ctl.Wrap(d))
				}
				d.ctl.Inject("query", c.fault)
				status, body, err := call(t, rt, t.Context(), srv.URL, "query A")
				if (err != nil) != (c.status == 0) || err == nil && (status != c.status || !c.body(body)) {
					t.Errorf("status %d, %d bytes, error %v", status, len(body), err)
				}
				if (d.done() > 0) != c.done || d.ctl.Count("query", "A") != 1 {
					t.Errorf("done %d times, counted %d", d.done(), d.ctl.Count("query", "A"))
				}
				// The fault is used up.
				if status, body, err := call(t, rt, t.Context(), srv.URL, "query A"); status != 200 || body != good || err != nil {
					t.Errorf("afterwards: status %d, %q, %v", status, body, err)
				}
				if n := len(d.ctl.Exchanges()); n != 2 {
					t.Errorf("%d exchanges recorded", n)
				}
			})
		}
	}
}

// TestReset: the connection is reset, below TLS too, where a close would be a
// polite end.
func TestReset(t *testing.T) {
	for name, start := range map[string]func(http.Handler) *httptest.Server{"plain": httptest.NewServer, "tls": httptest.NewTLSServer} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(wire.Options{})
			srv := start(d)
			defer srv.Close()
			d.ctl.Inject("query", bank.Reset)
			if _, _, err := call(t, srv.Client().Transport, t.Context(), srv.URL, "query A"); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("error %v, want a reset", err)
			}
		})
	}
}

func TestFaultsOfTheWireReachTheSimulator(t *testing.T) {
	for _, f := range []bank.Fault{bank.WrongAmount, bank.WrongOrder, bank.WrongMerchant, bank.OddStatus, bank.Leak, bank.IsSuccess2, bank.Token} {
		d := newDesk(wire.Options{})
		d.ctl.Always("query", f)
		for range 2 {
			if _, _, err := call(t, wire.Direct(d), t.Context(), "http://x/", "query A"); err != nil || d.turn().Fault != f {
				t.Errorf("%s: turn %+v, %v", f, d.turn(), err)
			}
		}
		d.ctl.Always("query", bank.NoFault)
		if _, _, err := call(t, wire.Direct(d), t.Context(), "http://x/", "query A"); err != nil || d.turn().Fault != bank.NoFault {
			t.Errorf("%s stays: %v", d.turn().Fault, err)
		}
	}
}

func TestSlowWaitsForTheCaller(t *testing.T) {
	d := newDesk(wire.Options{})
	d.ctl.Inject("query", bank.Slow)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	got := make(chan error, 1)
	go func() {
		_, _, err := call(t, wire.Direct(d), ctx, "http://x/", "query A")
		got <- err
	}()
	if op := <-d.ctl.Arrived(); op != "query" {
		t.Errorf("%q arrived", op)
	}
	cancel()
	if err := <-got; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestScriptAndPayer(t *testing.T) {
	var asked []string
	d := newDesk(wire.Options{Record: true, Script: func(a platforms.Fen, code string) bank.Script {
		asked = append(asked, code)
		return bank.Script{Payer: bank.Payer{PayAfter: 20 * time.Second}, Faults: map[string]bank.Fault{"query": bank.OddStatus}, Sticky: true}
	}})
	rt := wire.Direct(d)
	ask := func(body string) {
		if _, _, err := call(t, rt, t.Context(), "http://x/", body); err != nil {
			t.Fatal(err)
		}
	}
	ask("charge A")
	if d.turn().Payer.PayAfter != 20*time.Second || d.turn().Now != 7*time.Second || len(asked) != 1 {
		t.Errorf("%+v, script asked %d times", d.turn(), len(asked))
	}
	ask("query A")
	if d.turn().Fault != bank.OddStatus {
		t.Error("the script of the order is forgotten")
	}
	ask("query B")
	if d.turn().Fault != bank.NoFault {
		t.Error("another order has the script too")
	}
	d.ctl.SetPayer(bank.Payer{NoMoney: true})
	ask("charge A")
	if !d.turn().Payer.NoMoney || len(asked) != 1 {
		t.Errorf("%+v, script asked %d times", d.turn(), len(asked))
	}
	last, ok := d.ctl.Last("charge", "A")
	if !ok || last.Amount != 8888 || last.Fields["subject"] != "s" || d.ctl.Count("charge", "") != 2 {
		t.Errorf("%+v", last)
	}
}

func TestMutate(t *testing.T) {
	d := newDesk(wire.Options{})
	d.ctl.Mutate("query", func(b []byte) []byte { return append(b, '!') })
	if _, body, err := call(t, wire.Direct(d), t.Context(), "http://x/", "query A"); body != good+"!" || err != nil {
		t.Errorf("%q, %v", body, err)
	}
	d.ctl.Mutate("query", nil)
	if _, body, err := call(t, wire.Direct(d), t.Context(), "http://x/", "query A"); body != good || err != nil {
		t.Errorf("%q, %v", body, err)
	}
}

func TestNothingIsKeptUnlessAsked(t *testing.T) {
	d := newDesk(wire.Options{})
	if _, _, err := call(t, wire.Direct(d.ctl.Wrap(d)), t.Context(), "http://x/", "query A"); err != nil {
		t.Fatal(err)
	}
	if _, kept := d.ctl.Last("query", "A"); kept || len(d.ctl.Exchanges()) != 0 {
		t.Error("a simulator that runs for long keeps payment codes")
	}
}

func TestLargeRequestsAreRefused(t *testing.T) {
	d := newDesk(wire.Options{Record: true})
	status, _, err := call(t, wire.Direct(d.ctl.Wrap(d)), t.Context(), "http://x/", strings.Repeat("x", wire.MaxReply+1))
	if status != http.StatusRequestEntityTooLarge || err != nil || d.done() != 0 {
		t.Errorf("status %d, done %d, %v", status, d.done(), err)
	}
}

func TestDelayIsVirtualInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(wire.Options{Script: func(platforms.Fen, string) bank.Script { return bank.Script{Delay: time.Hour} }})
		start := time.Now()
		if _, body, err := call(t, wire.Direct(d), t.Context(), "http://x/", "charge A"); body != good || err != nil {
			t.Errorf("%q, %v", body, err)
		}
		if waited := time.Since(start); waited != time.Hour {
			t.Errorf("waited %v", waited)
		}
	})
}

func TestDirectHandsOnWhatArrived(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Path", r.RequestURI)
		w.WriteHeader(http.StatusTeapot)
		w.WriteHeader(http.StatusOK) // too late
		_, _ = io.WriteString(w, r.Host)
	})
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://host:1/a?b=c", nil)
	resp, err := wire.Direct(h).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusTeapot || resp.Header.Get("X-Path") != "/a?b=c" || string(body) != "host:1" {
		t.Errorf("%d %v %q %v", resp.StatusCode, resp.Header, body, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := call(t, wire.Direct(h), ctx, "http://x/", ""); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
