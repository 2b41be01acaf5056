package door

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"payagent/agent/access"
	"payagent/agent/agenttest"
	"payagent/agent/config"
	"payagent/platforms"
	"payagent/queue"
	"payagent/queue/mem"
)

type anyone struct{}

func (anyone) Check(platforms.Hidden) (access.Token, bool) {
	return access.Token{Name: "t", Scopes: []access.Scope{access.Collect, access.Admin}}, true
}

func get(t *testing.T, c *http.Client, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer x")
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// On real sockets: the addresses named are served; a wait, a stream and a slow
// client end when the door closes.
func TestServe(t *testing.T) {
	w := agenttest.Start(t, agenttest.Options{Log: mem.Open(&mem.Disk{}), Config: func(c *config.Config) {
		c.Door.Listen = []string{"127.0.0.1:0", "[::1]:0"}
		if l, err := net.Listen("tcp", "[::1]:0"); err != nil {
			c.Door.Listen = c.Door.Listen[:1] // a machine without IPv6
		} else {
			_ = l.Close()
		}
	}})
	ctx, stop := context.WithCancel(context.Background())
	opened, ended := make(chan []string, 1), make(chan error, 1)
	var log strings.Builder
	go func() {
		ended <- Serve(ctx, w.Agent, Options{Tokens: anyone{}, Opened: func(a []string) { opened <- a }, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	}()
	addresses := <-opened
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for _, at := range addresses {
		_, port, _ := net.SplitHostPort(at)
		if status, body := get(t, client, "http://"+at+"/healthz"); status != 200 {
			t.Errorf("%s: %d %s", at, status, body)
		}
		if strings.HasPrefix(at, "127") {
			if status, body := get(t, client, "http://localhost:"+port+"/healthz"); status != 200 {
				t.Errorf("localhost: %d %s", status, body)
			}
		}
	}
	at := addresses[0]
	req, _ := http.NewRequest(http.MethodGet, "http://"+at+"/v1/events", nil)
	req.Header.Set("Authorization", "Bearer x")
	stream, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Body.Close() }()
	// One that sends half a header and sits there.
	slow, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = slow.Close() }()
	if _, err := io.WriteString(slow, "GET /healthz HTTP/1.1\r\nHost: "); err != nil {
		t.Fatal(err)
	}
	// Headers without end are refused.
	big, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = big.Close() }()
	_, _ = io.WriteString(big, "GET /healthz HTTP/1.1\r\nHost: "+at+"\r\nX: "+strings.Repeat("x", 64<<10)+"\r\n\r\n")
	if answer, _ := io.ReadAll(big); !strings.Contains(string(answer), "431") {
		t.Errorf("large headers: %.80s", answer)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := io.ReadAll(stream.Body); err != nil {
		t.Errorf("the stream was torn: %v", err)
	}
	if c, err := net.Dial("tcp", at); err == nil {
		_ = c.Close()
		t.Error("the address is still open")
	}
	if !strings.Contains(log.String(), "standing warning") {
		t.Error("no standing warning in the log")
	}
}

// With a store that cannot be opened the door stays up, refuses, and says why.
func TestRefuse(t *testing.T) {
	var c config.Config
	c.Door.Listen = []string{"127.0.0.1:8780"}
	for _, why := range []error{queue.ErrNewer, fmt.Errorf("x: %w", queue.ErrDamaged), errors.New("SECRET place")} {
		h := refusing(c, Options{Addresses: c.Door.Listen}, why)
		for path, want := range map[string]int{"/healthz": 200, "/readyz": 503, "/v1/orders": 503, "/kiosk": 503} {
			rec := &answerTo{head: http.Header{}}
			req, _ := http.NewRequest(http.MethodPost, path, nil)
			req.Host = "127.0.0.1:8780"
			h.ServeHTTP(rec, req)
			if rec.status != want || strings.Contains(rec.body.String(), "SECRET") {
				t.Errorf("%s: %d %s", path, rec.status, rec.body.String())
			}
			if path == "/v1/orders" {
				var p problemView
				if err := json.Unmarshal([]byte(rec.body.String()), &p); err != nil || p.Code != "store_stopped" || p.Cash.Answer != "no" || rec.head.Get("Retry-After") == "" {
					t.Errorf("%v %s", err, rec.body.String())
				}
			}
			if path == "/readyz" && errors.Is(why, queue.ErrNewer) && !strings.Contains(rec.body.String(), queue.ErrNewer.Error()) {
				t.Errorf("%s", rec.body.String())
			}
			req.Host = "evil.example"
			rec = &answerTo{head: http.Header{}}
			if h.ServeHTTP(rec, req); rec.status != 421 {
				t.Errorf("%d", rec.status)
			}
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	stop()
	c.Door.Listen = []string{"127.0.0.1:0"}
	if err := Refuse(ctx, c, queue.ErrDamaged); err != nil {
		t.Error(err)
	}
}

type answerTo struct {
	head   http.Header
	status int
	body   strings.Builder
}

func (a *answerTo) Header() http.Header         { return a.head }
func (a *answerTo) WriteHeader(s int)           { a.status = s }
func (a *answerTo) Write(p []byte) (int, error) { return a.body.Write(p) }

// A handler that panics is a 500 that says nothing of what it was about.
func TestPanic(t *testing.T) {
	var log strings.Builder
	w := agenttest.Start(t, agenttest.Options{Log: mem.Open(&mem.Disk{})})
	h := New(w.Agent, Options{Tokens: panics{}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	rec := &answerTo{head: http.Header{}}
	req, _ := http.NewRequest(http.MethodGet, "/v1/orders/1", nil)
	req.Host = "127.0.0.1:8780"
	req.Header.Set("Authorization", "Bearer x")
	h.ServeHTTP(rec, req)
	if rec.status != 500 || !strings.Contains(rec.body.String(), `"code":"internal"`) || strings.Contains(rec.body.String()+log.String(), "SECRET") || !strings.Contains(log.String(), "failed inside") {
		t.Errorf("%d %s %s", rec.status, rec.body.String(), log.String())
	}
}

type panics struct{}

func (panics) Check(platforms.Hidden) (access.Token, bool) { panic("SECRET") }

// Every code the counter refuses with, and every problem's words, have a
// status and a place in the description.
func TestEveryProblemHasWordsAndStatus(t *testing.T) {
	var doc struct {
		Components struct {
			Schemas struct {
				Problem struct {
					Properties struct {
						Code struct{ Enum []string } `json:"code"`
					} `json:"properties"`
				}
			} `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(openAPI, &doc); err != nil {
		t.Fatal(err)
	}
	d := &door{words: wordsForTest()}
	codes := doc.Components.Schemas.Problem.Properties.Code.Enum
	if len(codes) < 30 {
		t.Fatal(codes)
	}
	for _, code := range codes {
		if status, _ := statusOf(code); (status == 500) != (code == "internal") {
			t.Errorf("%s has status %d", code, status)
		}
		if e, ok := d.words.Find("problem", code); !ok || e.Cashier.Empty() || e.Next.Empty() {
			t.Errorf("%s has no words", code)
		}
	}
	for _, code := range refusals(t) {
		if status, _ := statusOf(code); status == 500 {
			t.Errorf("the counter's %s has no status", code)
		}
		found := false
		for _, c := range codes {
			found = found || c == code
		}
		if !found {
			t.Errorf("the counter's %s is not described", code)
		}
	}
}
