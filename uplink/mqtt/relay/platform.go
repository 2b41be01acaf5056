package relay

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"payagent/uplink"
	"payagent/uplink/internal/way"
	"payagent/uplink/mqtt/internal/sealed"
)

// platform is one address on the list.
type platform struct {
	name   string
	base   string // scheme://host:port
	prefix string // "" for every path, else "/a/b"
	way    uplink.Route
	places chan struct{}

	mu      sync.Mutex
	probing chan struct{} // closed when the probe under way is done
	probed  time.Time
	reached error
}

func newPlatform(p Platform, parallel int) (*platform, error) {
	u, err := url.Parse(p.Address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || dotted(u.Path) {
		return nil, fmt.Errorf("cannot use the address of platform %q; write it like https://pay.example.com/gateway, without user, query and fragment", p.Name)
	}
	if p.Way == nil {
		return nil, fmt.Errorf("there is no way to platform %q", p.Name)
	}
	return &platform{name: p.Name, base: way.Base(u), prefix: strings.TrimRight(u.EscapedPath(), "/"), way: p.Way, places: make(chan struct{}, parallel)}, nil
}

// dotted tells whether a path climbs: no address of a platform has to.
func dotted(path string) bool {
	for part := range strings.SplitSeq(strings.ReplaceAll(path, `\`, "/"), "/") {
		if part == "." || part == ".." {
			return true
		}
	}
	return false
}

// listed tells whether any address of the list is at base.
func (r *Relay) listed(base string) bool {
	for _, p := range r.platforms {
		if p.base == base {
			return true
		}
	}
	return false
}

// allowed gives the platform that may be called at an address, or nil.
func (r *Relay) allowed(base, method, address string) *platform {
	u, err := url.Parse(address)
	if err != nil || method != http.MethodGet && method != http.MethodPost ||
		way.Base(u) != base || u.User != nil || u.Opaque != "" || u.Fragment != "" || dotted(u.Path) {
		return nil
	}
	path := u.EscapedPath()
	for _, p := range r.platforms {
		if p.base == base && (p.prefix == "" || path == p.prefix || strings.HasPrefix(path, p.prefix+"/")) {
			return p
		}
	}
	return nil
}

// enter takes one of the places for calls, if there is one.
func (p *platform) enter() bool {
	select {
	case p.places <- struct{}{}:
		return true
	default:
		return false
	}
}

func (p *platform) leave() { <-p.places }

// A probe's finding holds for that long: many tills ask at once.
const probeHolds = time.Second

// probe begins to find out for a box whether its platform can be reached, if it
// has not too much under way already.
func (r *Relay) probe(x exchange, o sealed.Opened) {
	r.mu.Lock()
	box := r.boxes[x.place]
	busy := box.busy
	if r.closed || busy >= r.cfg.PerBox {
		r.mu.Unlock()
		r.stats.refuse("ticket")
		r.answer(x, o.Context, sealed.Answer{Verdict: sealed.NotSent, Why: fmt.Sprintf("this box has %d exchanges under way", busy)})
		return
	}
	box.busy++
	r.running.Go(func() {
		r.reach(x, o)
		r.mu.Lock()
		defer r.mu.Unlock()
		box.busy--
	})
	r.mu.Unlock()
}

// reach tells a box whether its platform can be reached from here.
func (r *Relay) reach(x exchange, o sealed.Opened) {
	a := sealed.Answer{Verdict: sealed.NotSent, Why: "it does not call " + o.Platform + "; list it under the relay's platforms"}
	for _, p := range r.platforms {
		if p.base == o.Platform {
			ctx, stop := context.WithTimeout(r.ctx, max(o.Left, time.Millisecond))
			err := p.probe(ctx, r)
			stop()
			a = sealed.Answer{Verdict: sealed.Answered, Status: http.StatusOK}
			if err != nil {
				a = sealed.Answer{Verdict: sealed.NotSent, Why: cut(err.Error())}
			}
			break
		}
	}
	r.answer(x, o.Context, a)
}

// probe opens the way once for all who ask meanwhile.
func (p *platform) probe(ctx context.Context, r *Relay) error {
	p.mu.Lock()
	if p.probing == nil && (p.probed.IsZero() || time.Since(p.probed) > probeHolds) {
		done := make(chan struct{})
		p.probing = done
		r.goUnlessClosed(func() {
			err := p.way.Reach(r.ctx)
			p.mu.Lock()
			p.reached, p.probed, p.probing = err, time.Now(), nil
			p.mu.Unlock()
			close(done)
		})
	}
	probing, err := p.probing, p.reached
	p.mu.Unlock()
	if probing == nil {
		return err
	}
	select {
	case <-probing:
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.reached
	case <-ctx.Done():
		return errors.New("the platform could not be reached in time")
	}
}
