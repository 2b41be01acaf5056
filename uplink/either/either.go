// Package either makes one way out of two: a first and a second one to the same
// platform, for example the hospital's line and a 4G modem, or the Internet and
// the relay behind the broker (OFF-06).
//
// Which of the two carries a request is decided when the request begins, and a
// request that has begun on one way is never repeated on the other: a lost
// reply stays unknown, and a query, which is a request of its own, takes
// whichever way is best then. Only what is proven not to have left
// ([uplink.NotSent]) goes the other way at once, within its time, and only what
// is marked as a question ([uplink.Asking]) is asked again by the other way
// where no answer came.
//
// What is known of a way comes from requests themselves. The second is taken
// when the first sends nothing and the second does, or when the first swallows
// several answers in a row and the second can be reached. The first is taken
// again once it could be reached twice in a row, or when the second fails.
package either

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"payagent/uplink"
	"payagent/uplink/internal/way"
)

// MaxBody bounds the body of a request, in bytes: it is kept while it is sent,
// since it may have to go the other way.
const MaxBody = 1 << 20

// lostBefore is how many answers in a row a way may lose before the other one
// is tried, and rest is how long the first then stays away: it can be reached,
// so only time tells whether it carries answers again.
const (
	lostBefore = 3
	rest       = 5 * time.Minute
	reachTwice = 2
)

// Config are the two ways.
type Config struct {
	// First and Second lead to the same platform. They are closed with the whole.
	First, Second uplink.Route
	// Changed is told when new requests take another way than before, and the
	// error that led to it, nil on the way back. It must not block. Nil for
	// nobody.
	Changed func(second bool, why error)
	// Again is the pause between two looks at the first way while the second is
	// in use; default 15 s.
	Again time.Duration
}

// Route is two ways to one platform. It is safe for concurrent use.
type Route struct {
	cfg   Config
	calls *way.Calls

	mu       sync.Mutex
	second   bool      // in use
	since    time.Time // of that
	changes  uint64
	lost     int       // answers in a row that the way in use did not bring
	resting  time.Time // the first is not looked at before
	looking  bool      // a look at both is under way
	watching bool      // the first is looked at again and again
}

var _ uplink.Route = (*Route)(nil)

// New joins two ways. It opens nothing.
func New(cfg Config) *Route {
	if cfg.Again <= 0 {
		cfg.Again = 15 * time.Second
	}
	return &Route{cfg: cfg, calls: way.NewCalls(), since: time.Now()}
}

// State says which way new requests take.
type State struct {
	Second  bool
	For     time.Duration // how long already
	Changes uint64        // since the start
}

// State gives the present one.
func (r *Route) State() State {
	r.mu.Lock()
	defer r.mu.Unlock()
	return State{Second: r.second, For: time.Since(r.since), Changes: r.changes}
}

func (r *Route) way(second bool) uplink.Route {
	if second {
		return r.cfg.Second
	}
	return r.cfg.First
}

// RoundTrip sends one request by the way in use. A *uplink.NotSent error proves
// that no byte of it left by either way.
func (r *Route) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		// A RoundTripper closes the body on every path.
		defer func() { _ = req.Body.Close() }()
	}
	ctx, done, err := r.calls.Begin(req.Context())
	if err != nil {
		return nil, &uplink.NotSent{Err: err}
	}
	defer done()
	body, err := bodyOf(req)
	if err != nil {
		return nil, &uplink.NotSent{Err: err}
	}
	second, asking := r.State().Second, uplink.IsAsking(ctx)
	resp, err := r.send(ctx, req, body, second)
	if err == nil {
		r.answered(second)
		return resp, nil
	}
	left := notSent(err)
	if !left {
		r.unanswered(second, err)
	}
	if ctx.Err() != nil || !left && !asking {
		if left {
			r.look(second, err)
		}
		return nil, err
	}
	resp, other := r.send(ctx, req, body, !second)
	switch {
	case other == nil || left && !notSent(other):
		r.prefer(!second, err)
		return resp, other
	case left:
		return nil, &uplink.NotSent{Err: fmt.Errorf("%w; by the other way: %w", bare(err), bare(other))}
	}
	return nil, err // of a question: it may have arrived
}

// send sends by one way.
func (r *Route) send(ctx context.Context, req *http.Request, body []byte, second bool) (*http.Response, error) {
	out := req.Clone(ctx)
	out.GetBody = nil // nothing to replay with
	if req.Body != nil {
		out.Body = io.NopCloser(bytes.NewReader(body))
		out.ContentLength = int64(len(body))
	}
	return r.way(second).RoundTrip(out)
}

func bodyOf(req *http.Request) ([]byte, error) {
	if req.Body == nil {
		return nil, nil
	}
	body, err := io.ReadAll(io.LimitReader(req.Body, MaxBody+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot read the request's body: %w", err)
	case len(body) > MaxBody:
		return nil, fmt.Errorf("cannot send a request of more than %d bytes", MaxBody)
	}
	return body, nil
}

func notSent(err error) bool {
	var n *uplink.NotSent
	return errors.As(err, &n)
}

// bare takes the words off that the whole error says once.
func bare(err error) error {
	if n, ok := err.(*uplink.NotSent); ok { //nolint:errorlint // only the outermost
		return n.Err
	}
	return err
}

func (r *Route) answered(second bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.second == second {
		r.lost = 0
	}
}

// unanswered counts an answer that did not come by a way.
func (r *Route) unanswered(second bool, why error) {
	r.mu.Lock()
	if r.second == second {
		r.lost++
	}
	enough := r.second == second && r.lost >= lostBefore
	r.mu.Unlock()
	if enough {
		r.look(second, why)
	}
}

// prefer has new requests take a way from now on.
func (r *Route) prefer(second bool, why error) {
	r.mu.Lock()
	if r.second == second {
		r.mu.Unlock()
		return
	}
	r.resting = time.Time{}
	if r.lost >= lostBefore {
		r.resting = time.Now().Add(rest)
	}
	r.second, r.since, r.lost = second, time.Now(), 0
	r.changes++
	start := second && !r.watching
	r.watching = r.watching || second
	r.mu.Unlock()
	if !second {
		why = nil
	}
	if r.cfg.Changed != nil {
		r.cfg.Changed(second, why)
	}
	if start {
		r.beside(r.watch)
	}
}

// beside runs f until it ends or Close.
func (r *Route) beside(f func(context.Context)) {
	ctx, done, err := r.calls.Begin(context.Background())
	if err != nil {
		return // closed
	}
	go func() {
		defer done()
		f(ctx)
	}()
}

// look finds out whether the other way than the one that failed is better, when
// the request that failed had no time left to try it.
func (r *Route) look(second bool, why error) {
	r.mu.Lock()
	busy := r.looking || r.second != second
	lost := r.lost >= lostBefore
	r.looking = r.looking || !busy
	r.mu.Unlock()
	if busy {
		return
	}
	r.beside(func(ctx context.Context) {
		if (lost || r.way(second).Reach(ctx) != nil) && r.way(!second).Reach(ctx) == nil {
			r.prefer(!second, why)
		}
		r.mu.Lock()
		r.looking = false
		r.mu.Unlock()
	})
}

// watch looks at the first way while the second is in use.
func (r *Route) watch(ctx context.Context) {
	tick := time.NewTicker(r.cfg.Again)
	defer tick.Stop()
	for good := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		r.mu.Lock()
		if !r.second {
			r.watching = false
			r.mu.Unlock()
			return
		}
		resting := time.Now().Before(r.resting)
		r.mu.Unlock()
		if resting {
			continue
		}
		if good++; r.cfg.First.Reach(ctx) != nil {
			good = 0
		}
		if good == reachTwice {
			good = 0
			r.prefer(false, nil)
		}
	}
}

// Reach tries to open either way; nil where one of them is open.
func (r *Route) Reach(ctx context.Context) error {
	ctx, done, err := r.calls.Begin(ctx)
	if err != nil {
		return &uplink.NotSent{Err: err}
	}
	defer done()
	second := r.State().Second
	if err = r.way(second).Reach(ctx); err == nil {
		return nil
	}
	other := r.way(!second).Reach(ctx)
	if other == nil {
		r.prefer(!second, err)
		return nil
	}
	return &uplink.NotSent{Err: fmt.Errorf("%w; by the other way: %w", bare(err), bare(other))}
}

// Spare tries to open the way that is not in use.
func (r *Route) Spare(ctx context.Context) error {
	ctx, done, err := r.calls.Begin(ctx)
	if err != nil {
		return &uplink.NotSent{Err: err}
	}
	defer done()
	return r.way(!r.State().Second).Reach(ctx)
}

// Close ends what is running and closes both ways.
func (r *Route) Close() error {
	r.calls.Close()
	return errors.Join(r.cfg.First.Close(), r.cfg.Second.Close())
}
