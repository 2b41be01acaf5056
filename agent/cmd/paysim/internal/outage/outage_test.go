package outage

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"payagent/uplink/uplinktest"
)

// served is a gate with a handler behind it, and a client.
type served struct {
	gate   *Gate
	client *http.Client
	seen   chan string   // path of each request that the handler saw
	answer chan struct{} // lets a request for /slow go on
}

func serve(t *testing.T) *served {
	t.Helper()
	g, err := Listen(uplinktest.FreeAddress(t)) // the port must be had again
	if err != nil {
		t.Fatal(err)
	}
	s := &served{gate: g, client: &http.Client{Transport: &http.Transport{}}, seen: make(chan string, 16), answer: make(chan struct{})}
	srv := &http.Server{ConnState: g.ConnState, ReadHeaderTimeout: time.Minute, Handler: g.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.seen <- r.URL.Path
		if r.URL.Path == "/slow" {
			<-s.answer
		}
		_, _ = io.WriteString(w, "hello")
	}))}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(g) }()
	t.Cleanup(func() {
		_, _ = srv.Close(), g.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			t.Errorf("serving ended with %v", err)
		}
		s.client.CloseIdleConnections()
	})
	return s
}

func (s *served) get(path string) error {
	resp, err := s.client.Get("http://" + s.gate.Addr().String() + path)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err == nil && string(text) != "hello" {
		err = errors.New(string(text))
	}
	return err
}

func (s *served) set(t *testing.T, m Mode) {
	t.Helper()
	if err := s.gate.Set(m); err != nil || s.gate.Mode() != m {
		t.Fatalf("%s: %v, %s", m, err, s.gate.Mode())
	}
}

func (s *served) works(t *testing.T) {
	t.Helper()
	s.client.CloseIdleConnections()
	if err := s.get("/works"); err != nil {
		t.Fatal(err)
	}
	if got := <-s.seen; got != "/works" {
		t.Fatalf("the handler saw %s", got)
	}
}

func TestRefusedAndBack(t *testing.T) {
	s := serve(t)
	for range 3 {
		s.works(t)
		s.set(t, Refuse)
		// The old connection is gone, and a new one is refused.
		if err := s.get("/x"); err == nil {
			t.Fatal("answered")
		}
		if err := s.get("/x"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("%v", err)
		}
		s.set(t, Refuse)
		s.set(t, Up)
	}
	s.works(t)
	if len(s.seen) != 0 {
		t.Fatal("a refused request was seen")
	}
}

func TestReset(t *testing.T) {
	s := serve(t)
	s.works(t)
	s.set(t, Reset)
	if err := s.get("/x"); err == nil {
		t.Fatal("answered")
	}
	c, err := net.Dial("tcp", s.gate.Addr().String())
	if err != nil {
		t.Fatalf("a connection can be made: %v", err)
	}
	defer func() { _ = c.Close() }()
	if _, err := c.Write([]byte("G")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("%v", err)
	}
	s.set(t, Up)
	s.works(t)
	if len(s.seen) != 0 {
		t.Fatal("a reset request was seen")
	}
}

// held waits until so many connections are in the black hole.
func held(t *testing.T, g *Gate, want int) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; <-time.After(time.Millisecond) {
		g.mu.Lock()
		n := len(g.held)
		g.mu.Unlock()
		if n >= want {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d of %d connections are in the hole", n, want)
		}
	}
}

func TestWhatEntersTheBlackHoleIsLostForGood(t *testing.T) {
	s := serve(t)
	s.works(t) // leaves an idle connection
	s.set(t, BlackHole)
	old, fresh := make(chan error, 1), make(chan error, 1)
	go func() { old <- s.get("/old") }()
	c, err := net.Dial("tcp", s.gate.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer func() { _ = c.Close() }()
		if _, err := io.WriteString(c, "GET /fresh HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			fresh <- err
			return
		}
		_, err := c.Read(make([]byte, 1))
		fresh <- err
	}()
	held(t, s.gate, 1)
	// A caller that gives up does so in silence.
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.gate.Addr().String()+"/given-up", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("%v", err)
	}
	// What was given up before it was let in is still let in, and is in the hole
	// before it is over.
	held(t, s.gate, 2)
	s.set(t, Up)
	// The request on the old connection may have been written after the hole
	// was over; then it is an ordinary one.
	if err := <-old; err == nil {
		if got := <-s.seen; got != "/old" {
			t.Fatalf("the handler saw %s", got)
		}
	}
	if err := <-fresh; err == nil {
		t.Error("a request out of the hole was answered")
	}
	s.works(t)
	if len(s.seen) != 0 {
		t.Fatalf("the handler saw %s", <-s.seen)
	}
}

func TestAnAnswerOnItsWayIsLostInTheBlackHole(t *testing.T) {
	s := serve(t)
	got := make(chan error, 1)
	go func() { got <- s.get("/slow") }()
	<-s.seen // done at the platform
	s.set(t, BlackHole)
	s.answer <- struct{}{}
	select {
	case err := <-got:
		t.Fatalf("came through: %v", err)
	default:
	}
	s.set(t, Refuse)
	if err := <-got; err == nil {
		t.Fatal("the lost answer came")
	}
}

func TestModesAreFour(t *testing.T) {
	s := serve(t)
	if err := s.gate.Set("slow"); !errors.Is(err, ErrMode) {
		t.Fatal(err)
	}
	if err := s.gate.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.gate.Set(Refuse); !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
	if err := s.gate.Close(); err != nil {
		t.Fatal("closing twice", err)
	}
	if _, err := Listen("127.0.0.1:99999"); err == nil || !strings.HasPrefix(err.Error(), "cannot listen") {
		t.Fatal(err)
	}
}

func TestTheNetworkComesBackOnlyToItsOwnPort(t *testing.T) {
	s := serve(t)
	s.set(t, Refuse)
	thief, err := net.Listen("tcp", s.gate.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.gate.Set(Up); err == nil || s.gate.Mode() != Refuse {
		t.Fatalf("%v, %s", err, s.gate.Mode())
	}
	if err := thief.Close(); err != nil {
		t.Fatal(err)
	}
	s.set(t, Up)
	s.works(t)
}
