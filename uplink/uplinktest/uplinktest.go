// Package uplinktest holds what every way out of the box must keep, as named
// cases that each carry the sentence of their rule. A member gives an [Opener];
// the suite plays the platform on loopback, with its own authority, and
// misbehaves.
package uplinktest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"payagent/uplink"
)

// Name is the platform's name in every certificate of the suite. It cannot be
// resolved: a member that needs DNS for it fails.
const Name = "platform.invalid"

// Target is the platform that a member must open a way to.
type Target struct {
	URL     string // scheme and host with port; requests go to paths below it
	Address string // host:port where it listens, always an IP address
	CAPEM   []byte // the authority to believe, PEM; empty with plain HTTP
	// Mute says that it never says a word: a way that ends by a limit of its own
	// (Member.Ends) needs a short one here, and a long one everywhere else, because
	// tests run on busy machines.
	Mute bool
}

// Opener opens a member's way to a target. The suite closes the route; what
// the opener started beside it (proxies) ends with the returned func.
type Opener func(t Target) (uplink.Route, func(), error)

// Member is what the suite needs to know about a way.
type Member struct {
	Open Opener
	// Plain tests plain HTTP; the cases about certificates are then left out.
	Plain bool
	// ByNumber says that the way can reach a platform only under the address
	// in its URL, so the URL holds an IP address instead of Name.
	ByNumber bool
	// Ends says that the way ends a handshake by a limit of its own, well below
	// Hang where Target.Mute, and that only then can it prove that nothing was sent: where
	// somebody else shakes hands for it, a caller that leaves earlier is gone
	// before the proof is there.
	Ends bool
	// MaxBody is the longest body of a request in bytes where the way has a
	// bound; 0 for none. What is longer is refused before anything is sent.
	MaxBody int
	// Hang bounds one case; it is only a guard against members that never
	// come back, default 2 minutes.
	Hang time.Duration
}

// Case is one rule.
type Case struct {
	Name string
	Rule string // the sentence that a member must keep
	TLS  bool   // only where the way uses TLS
	Run  func(*World) error
}

// World is a platform, a way to it and a context that guards against hanging.
type World struct {
	Ctx      context.Context
	Platform *Platform
	Route    uplink.Route
	member   Member
	cleanup  []func()
}

// Run runs one case; nil means that the rule was kept.
func Run(m Member, c Case) (err error) {
	hang := m.Hang
	if hang <= 0 {
		hang = 2 * time.Minute
	}
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	w := &World{Ctx: ctx, member: m}
	defer func() {
		for i := len(w.cleanup) - 1; i >= 0; i-- {
			w.cleanup[i]()
		}
	}()
	if err := c.Run(w); err != nil {
		return fmt.Errorf("%s: %w (rule: %s)", c.Name, err, c.Rule)
	}
	return nil
}

// Test runs all cases that apply to m.
func Test(t *testing.T, m Member) {
	for _, c := range Cases() {
		if c.TLS && m.Plain {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			if err := Run(m, c); err != nil {
				t.Error(err)
			}
		})
	}
}

// Failures runs all cases that apply to m and gives the names of those that
// failed; it is how a test shows that the suite can fail.
func Failures(m Member) map[string]error {
	out := map[string]error{}
	for _, c := range Cases() {
		if c.TLS && m.Plain {
			continue
		}
		if err := Run(m, c); err != nil {
			out[c.Name] = err
		}
	}
	return out
}

// start gives the world a platform and a way to it.
func (w *World) start(opts ...option) error {
	p, err := newPlatform(w.member.Plain, opts...)
	if err != nil {
		return err
	}
	w.Platform = p
	w.cleanup = append(w.cleanup, p.close)
	return w.open(p.target(w.member.ByNumber))
}

func (w *World) open(t Target) error {
	route, end, err := w.member.Open(t)
	if err != nil {
		return fmt.Errorf("opening the way: %w", err)
	}
	w.Route = route
	w.cleanup = append(w.cleanup, func() {
		_ = route.Close()
		if end != nil {
			end()
		}
	})
	return nil
}

// answer is what came back, whole.
type answer struct {
	status int
	header http.Header
	body   string
}

// errHung is what a call gets that outlived the guard.
var errHung = errors.New("the call hung")

// ask sends one request and reads the answer to its end. A member that is deaf
// to its context is left behind when the guard rings; it ends with the
// platform.
func (w *World) ask(ctx context.Context, method, path, body string, tune ...func(*http.Request)) (answer, error) {
	type result struct {
		answer
		err error
	}
	got := make(chan result, 1)
	go func() {
		a, err := w.exchange(ctx, method, path, body, tune...)
		got <- result{a, err}
	}()
	select {
	case r := <-got:
		return r.answer, r.err
	case <-w.Ctx.Done():
	}
	// A call that obeys the guard's context deserves its own error.
	select {
	case r := <-got:
		return r.answer, r.err
	case <-time.After(2 * time.Second):
		return answer{}, errHung
	}
}

func (w *World) exchange(ctx context.Context, method, path, body string, tune ...func(*http.Request)) (answer, error) {
	target := w.Platform.target(w.member.ByNumber)
	var rd io.Reader
	if method != http.MethodGet {
		rd = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, target.URL+path, rd)
	if err != nil {
		return answer{}, err
	}
	for _, f := range tune {
		f(req)
	}
	resp, err := w.Route.RoundTrip(req)
	if err != nil {
		if resp != nil {
			return answer{}, fmt.Errorf("both an answer and the error %w", err)
		}
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, err
	}
	return answer{resp.StatusCode, resp.Header, string(text)}, nil
}

// own asks for a connection of the request's own, as pay requests do.
func own(r *http.Request) { r.Close = true }

func notSent(err error) bool {
	var n *uplink.NotSent
	return errors.As(err, &n)
}

// wantNotSent says what is wrong when err does not prove that nothing left.
func (w *World) wantNotSent(err error) error {
	switch {
	case err == nil:
		return errors.New("it succeeded")
	case errors.Is(err, errHung):
		return err
	case !notSent(err):
		return fmt.Errorf("the error does not say that nothing was sent: %w", err)
	}
	if n := len(w.Platform.Seen()); n != 0 {
		return fmt.Errorf("the platform saw %d requests", n)
	}
	return nil
}

// wantUnknown says what is wrong when err is not a plain error after n
// requests that the platform saw.
func (w *World) wantUnknown(err error, n int) error {
	switch {
	case err == nil:
		return errors.New("it succeeded")
	case errors.Is(err, errHung):
		return err
	case notSent(err):
		return fmt.Errorf("the error says that nothing was sent: %w", err)
	}
	if got := len(w.Platform.Seen()); got != n {
		return fmt.Errorf("the platform saw %d requests, not %d", got, n)
	}
	return nil
}

// closer notices that a request's body was closed.
type closer struct {
	io.Reader
	closed chan struct{}
}

func newCloser(text string) *closer {
	return &closer{Reader: bytes.NewReader([]byte(text)), closed: make(chan struct{}, 16)}
}

func (c *closer) Close() error {
	select {
	case c.closed <- struct{}{}:
	default:
	}
	return nil
}
