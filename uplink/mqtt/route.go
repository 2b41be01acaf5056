package mqtt

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"payagent/uplink"
	"payagent/uplink/internal/way"
	"payagent/uplink/mqtt/internal/sealed"
)

// MaxBody bounds the body of a request and of an answer, in bytes: with head and
// certificate it fits one message of the broker. A head of more than about
// 32 KiB is refused all the same.
const MaxBody = 448 << 10

// RouteConfig describes one platform behind the relay.
type RouteConfig struct {
	// BaseURL names the platform: scheme and host, with a port where it is not
	// the scheme's own. A path may stand there and is not looked at. The relay
	// has the same address on its list.
	BaseURL string
	// AllowPlainHTTP must be set before a BaseURL with http is accepted.
	AllowPlainHTTP bool
	// DialTimeout bounds the way to a ticket; default 5 s.
	DialTimeout time.Duration
	// ResponseTimeout bounds an exchange after that, for callers whose context
	// has no end; default 70 s, at most 2 minutes.
	ResponseTimeout time.Duration
}

// longestExchange bounds what RouteConfig.ResponseTimeout may ask for. The
// relay keeps ids for longer than that (relay.Turn).
const longestExchange = 2 * time.Minute

// Route is the way to one platform through the broker and the relay. It is safe
// for concurrent use.
//
// Each exchange asks the relay for a ticket first, which proves that broker and
// relay are there and changes nothing: whatever fails until then is
// uplink.NotSent. Then the request leaves once. What the relay says about it is
// believed only from the relay that gave the ticket.
type Route struct {
	tunnel      *Tunnel
	platform    string // scheme://host:port
	dial, limit time.Duration
	calls       *way.Calls
}

var _ uplink.Route = (*Route)(nil)

// Route gives the way to one platform. It opens nothing.
func (t *Tunnel) Route(cfg RouteConfig) (*Route, error) {
	u, err := url.Parse(cfg.BaseURL)
	if err != nil {
		return nil, errors.New("cannot use base_url: it is not a URL; write it like https://pay.example.com")
	}
	scheme := strings.ToLower(u.Scheme)
	switch {
	case scheme == "http" && !cfg.AllowPlainHTTP:
		return nil, errors.New("cannot use base_url: plain http is not allowed; write https, or set allow_plain_http and accept the risk")
	case scheme != "http" && scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("cannot use base_url: write it like https://pay.example.com, without user, query and fragment")
	case cfg.ResponseTimeout > longestExchange:
		return nil, fmt.Errorf("cannot wait longer than %v for a platform behind the relay; lower policy.pay_timeout", longestExchange)
	}
	r := &Route{tunnel: t, platform: way.Base(u), calls: way.NewCalls(), dial: cfg.DialTimeout, limit: cfg.ResponseTimeout}
	if r.dial <= 0 {
		r.dial = 5 * time.Second
	}
	if r.limit <= 0 {
		r.limit = 70 * time.Second
	}
	return r, nil
}

// RoundTrip has the relay send one request and gives the whole answer. A
// *uplink.NotSent error proves that the platform got nothing and never will;
// after any other error the outcome is unknown.
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
	a, err := r.prepare(req)
	if err != nil {
		return nil, &uplink.NotSent{Err: err}
	}
	granted, err := r.ticket(ctx, a)
	if err != nil {
		return nil, notSent(err)
	}
	a.Op, a.Ticket = sealed.OpSend, granted.Ticket
	return r.send(ctx, req, a)
}

// prepare makes the ask of a request; nothing leaves.
func (r *Route) prepare(req *http.Request) (sealed.Ask, error) {
	if err := way.Mine(req, r.platform); err != nil {
		return sealed.Ask{}, err
	}
	a := sealed.Ask{Platform: r.platform, Method: req.Method, URL: req.URL.String(), Header: sealed.FromHTTP(req.Header)}
	if a.Method == "" {
		a.Method = http.MethodGet
	}
	if req.Body != nil {
		var err error
		if a.Body, err = io.ReadAll(io.LimitReader(req.Body, MaxBody+1)); err != nil {
			return a, fmt.Errorf("cannot read the request's body: %w", err)
		}
		if len(a.Body) > MaxBody {
			return a, sealed.ErrTooLong
		}
	}
	_, err := rand.Read(a.ID[:])
	return a, err
}

// ticket gets the leave to send one exchange.
func (r *Route) ticket(ctx context.Context, a sealed.Ask) (sealed.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, r.dial)
	defer cancel()
	got, err := r.tunnel.ask(ctx, sealed.Ask{Op: sealed.OpTicket, ID: a.ID, Platform: a.Platform}, func(got sealed.Answer) bool {
		return got.Verdict == sealed.Granted && got.Ticket.Store == got.Store || got.Verdict == sealed.NotSent
	})
	switch {
	case err != nil:
		return got, err
	case got.Verdict == sealed.NotSent:
		return got, fmt.Errorf("the relay says: %s", got.Why)
	}
	r.tunnel.learn(got)
	return got, nil
}

// send has the request executed.
func (r *Route) send(ctx context.Context, req *http.Request, a sealed.Ask) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, r.limit)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return nil, &uplink.NotSent{Err: context.Cause(ctx)}
	}
	until, _ := ctx.Deadline()
	a.Left = max(time.Until(until), time.Millisecond)
	got, err := r.tunnel.ask(ctx, a, func(got sealed.Answer) bool {
		// Another relay that shares the key knows nothing of this ticket.
		return got.Store == a.Ticket.Store && got.Verdict != sealed.Granted
	})
	var before *uplink.NotSent
	switch {
	case errors.As(err, &before):
		return nil, before
	case err != nil:
		r.tunnel.giveUp(a)
		return nil, unknown(err)
	case got.Verdict == sealed.NotSent:
		return nil, &uplink.NotSent{Err: fmt.Errorf("the relay says: %s", got.Why)}
	case got.Verdict == sealed.Unknown:
		return nil, unknown(fmt.Errorf("the relay says: %s", got.Why))
	}
	return &http.Response{
		Status: fmt.Sprintf("%d %s", got.Status, got.Reason), StatusCode: got.Status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: got.Header.HTTP(), Body: io.NopCloser(bytes.NewReader(got.Body)), ContentLength: int64(len(got.Body)), Request: req,
	}, nil
}

func unknown(err error) error {
	return fmt.Errorf("cannot tell the outcome, the request was on its way to the platform; ask by query: %w", err)
}

// Reach asks the relay whether it can open the way to the platform, TLS
// included. The time is bounded by RouteConfig.DialTimeout.
func (r *Route) Reach(ctx context.Context) error {
	ctx, done, err := r.calls.Begin(ctx)
	if err != nil {
		return &uplink.NotSent{Err: err}
	}
	defer done()
	ctx, cancel := context.WithTimeout(ctx, r.dial)
	defer cancel()
	a := sealed.Ask{Op: sealed.OpReach, Platform: r.platform, Left: max(r.dial, time.Millisecond)}
	if _, err := rand.Read(a.ID[:]); err != nil {
		return &uplink.NotSent{Err: err}
	}
	got, err := r.tunnel.ask(ctx, a, func(got sealed.Answer) bool { return got.Verdict != sealed.Granted })
	if err == nil && got.Verdict != sealed.Answered {
		err = fmt.Errorf("the relay says: %s", got.Why)
	}
	if err != nil {
		return notSent(err)
	}
	return nil
}

// notSent is an error of what changes nothing, said once.
func notSent(err error) error {
	var n *uplink.NotSent
	if errors.As(err, &n) {
		return n
	}
	return &uplink.NotSent{Err: err}
}

// Close ends running calls, waits for them and fails later ones. The tunnel
// stays open for the other platforms.
func (r *Route) Close() error {
	r.calls.Close()
	return nil
}
