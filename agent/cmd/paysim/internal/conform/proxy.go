package conform

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Call is a request of HIS and what came of it.
type Call struct {
	Method, Path, Key string
	Body              []byte
	Status            int  // 0: no answer of the agent
	Lost              bool // the answer was lost on the way back
}

// Proxy stands between HIS and the agent: it sees every call, and can lose
// answers. It is safe for concurrent use.
type Proxy struct {
	agent string
	rt    http.RoundTripper
	ln    net.Listener
	srv   *http.Server

	mu    sync.Mutex
	calls []Call
	lose  string // method and end of the path of requests whose answers are lost
	left  int
	hold  time.Duration // before an answer is lost
}

// Listen opens the proxy at host:port, in front of the agent at another.
func Listen(at, agent string) (*Proxy, error) {
	ln, err := net.Listen("tcp", at)
	if err != nil {
		return nil, fmt.Errorf("cannot open the door for HIS; choose another -door: %w", err)
	}
	p := &Proxy{agent: agent, ln: ln, rt: &http.Transport{DisableKeepAlives: true}}
	p.srv = &http.Server{Handler: p, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = p.srv.Serve(ln) }()
	return p, nil
}

// Address is host:port.
func (p *Proxy) Address() string { return p.ln.Addr().String() }

// Close ends it.
func (p *Proxy) Close() error { return p.srv.Close() }

// Lose lets the answers to the next n requests of a method whose path ends so
// be lost, after they were held so long. The agent carries them out.
func (p *Proxy) Lose(n int, method, suffix string, hold time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lose, p.left, p.hold = method+" "+suffix, n, hold
}

// Calls gives what went over the wire since the last Forget.
func (p *Proxy) Calls() []Call {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Call(nil), p.calls...)
}

// Forget drops what was seen.
func (p *Proxy) Forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls, p.left = nil, 0
}

// ServeHTTP hands a request on.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return
	}
	c := Call{Method: r.Method, Path: r.URL.Path, Key: r.Header.Get("Idempotency-Key"), Body: body}
	out := r.Clone(r.Context())
	out.RequestURI, out.URL.Scheme, out.URL.Host = "", "http", p.agent
	out.Host = p.agent
	out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	resp, err := p.rt.RoundTrip(out)
	var data []byte
	if err == nil {
		data, err = io.ReadAll(io.LimitReader(resp.Body, 4<<20))
		_ = resp.Body.Close()
	}
	if err == nil {
		c.Status = resp.StatusCode
	}
	p.mu.Lock()
	method, suffix, _ := strings.Cut(p.lose, " ")
	c.Lost = err == nil && p.left > 0 && r.Method == method && strings.HasSuffix(r.URL.Path, suffix)
	hold := p.hold
	if c.Lost {
		p.left--
	}
	p.calls = append(p.calls, c)
	p.mu.Unlock()
	if c.Lost {
		rest(r.Context(), hold)
	}
	if err != nil || c.Lost {
		panic(http.ErrAbortHandler) // how net/http is told to break a connection
	}
	for name, list := range resp.Header {
		w.Header()[name] = list
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = w.Write(data) // a HIS that is gone needs no answer
}
