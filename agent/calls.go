package agent

import (
	"context"
	"errors"
	"time"

	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/platforms"
	"payagent/uplink"
)

// errTooOld proves that a charge never left: its code was too old by the time
// the disk had the intent.
var errTooOld = errors.Join(errors.New("the payment code is too old to be sent"), platforms.ErrNotCharged)

// call makes one call to a platform beside everything else. Charges and QR
// requests never queue behind queries, and a call's time begins when its turn
// has come.
func (a *Agent) call(ctx context.Context, c counter.Call) {
	a.calls.Add(1)
	moves := c.Verb != order.VerbQuery && c.Verb != order.VerbToken
	if moves {
		a.money.enter()
	}
	go func() {
		defer a.calls.Done()
		if moves {
			defer a.money.leave()
		}
		if c.Verb != order.VerbCharge && c.Verb != order.VerbPresent {
			// A platform that the configuration no longer has is answered by dial.
			if gate := a.gates[c.Platform]; gate != nil {
				select {
				case gate <- struct{}{}:
					defer func() { <-gate }()
				case <-ctx.Done():
					return // nothing was sent; the next start takes it up again
				}
			}
		}
		ctx, stop := context.WithTimeout(ctx, c.Timeout)
		defer stop()
		ctx = a.withTrace(ctx, c.Order)
		start, profile := time.Now(), profileOf(c)
		mark := a.tokenMark(profile)
		ev, err := a.dial(ctx, c)
		if errors.Is(err, platforms.ErrToken) {
			a.memory.refuse(profile, mark)
		}
		if err == nil {
			a.memory.probed(c.Platform, a.Now())
		}
		a.stats.called(c.Platform, c.Verb, time.Since(start), err)
		a.countCode(c, ev)
		a.log.Debug("call", "order", c.Order, "verb", c.Verb, "took", time.Since(start), "error", err, "trace", Trace(ctx))
		if err != nil && !errors.Is(err, platforms.ErrToken) {
			a.wantProbe(c.Platform)
		}
		a.post(context.WithoutCancel(ctx), ev)
	}()
}

// profileOf is the merchant profile that a call runs under.
func profileOf(c counter.Call) string {
	switch c.Verb {
	case order.VerbCharge, order.VerbPresent:
		return c.Charge.Merchant.Profile
	case order.VerbRefund:
		return c.Refund.Merchant.Profile
	}
	return c.Ref.Merchant.Profile
}

// tokenMark is the fingerprint of the token that a profile would use now.
func (a *Agent) tokenMark(profile string) string {
	if a.parts.TokenMark == nil {
		return ""
	}
	return a.parts.TokenMark(profile)
}

func (a *Agent) dial(ctx context.Context, c counter.Call) (counter.Event, error) {
	p := a.parts.Platforms[c.Platform]
	switch c.Verb {
	case order.VerbCharge:
		e := counter.PayDone{Order: c.Order, Verb: c.Verb}
		charger, ok := p.(platforms.Charger)
		switch {
		case !ok:
			e.Err = errors.Join(platforms.ErrUnsupported, platforms.ErrNotCharged)
		case a.Now().Mono > c.NotAfter:
			e.Err = errTooOld
		default:
			e.Answer, e.Err = charger.Charge(ctx, c.Charge)
		}
		c.Charge.Code.Forget()
		return e, e.Err
	case order.VerbPresent:
		e := counter.PayDone{Order: c.Order, Verb: c.Verb}
		if presenter, ok := p.(platforms.Presenter); ok {
			e.Answer, e.Err = presenter.Present(ctx, c.Charge)
		} else {
			e.Err = errors.Join(platforms.ErrUnsupported, platforms.ErrNotCharged)
		}
		return e, e.Err
	case order.VerbToken:
		return a.askToken(ctx, c)
	case order.VerbCancel:
		e := counter.CancelDone{Order: c.Order, Err: errGone(p)}
		if p != nil {
			e.Answer, e.Err = p.Cancel(ctx, c.Ref)
		}
		return e, e.Err
	case order.VerbRefund:
		e := counter.RefundDone{Order: c.Order, Request: c.Refund.RequestNo, Err: platforms.ErrUnsupported}
		if r, ok := p.(platforms.Refunder); ok {
			e.Answer, e.Err = r.Refund(ctx, c.Refund)
		}
		return e, e.Err
	}
	e := counter.QueryDone{Order: c.Order, Err: errGone(p)}
	if p != nil {
		e.Answer, e.Err = p.Query(uplink.Asking(ctx), c.Ref)
	}
	return e, e.Err
}

// errGone tells that an order's platform is not configured any more. The order
// stays open; config check warns before that happens.
func errGone(p platforms.Platform) error {
	if p != nil {
		return nil
	}
	return errors.New("cannot ask: the order's platform is not in the configuration; put it back")
}

// wantProbe asks for a probe now instead of at its time.
func (a *Agent) wantProbe(platform string) {
	select {
	case a.probes[platform] <- struct{}{}:
	default:
	}
}

// probe asks a platform something harmless, often while a till is in use, so
// that an outage is known before the next patient shows a code (OFF-01).
func (a *Agent) probe(ctx context.Context, name string) {
	p, ok := a.parts.Platforms[name].(platforms.Prober)
	if !ok {
		return
	}
	conf, _ := a.cfg.PlatformNamed(name)
	every := conf.ProbeEvery
	// Whether a probe is due is looked at anew each time, because a till may
	// come into use, or the platform go away, in between.
	look := time.NewTicker(min(every, time.Second))
	defer look.Stop()
	bad, last := 0, time.Time{}
	for first := true; ; first = false {
		wait := every
		switch {
		case bad > 0 || a.memory.down(name):
			wait = min(every, whileDown)
		case !a.memory.busy(a.Now()):
			wait = max(every, time.Minute)
		}
		if !first {
			select {
			case <-ctx.Done():
				return
			case <-a.dead:
				return
			case <-look.C:
				if time.Since(last) < wait {
					continue
				}
			case <-a.probes[name]:
			}
		}
		last = time.Now()
		only := a.onlyProfile(name)
		mark := a.tokenMark(only)
		call, stop := context.WithTimeout(ctx, min(every, 5*time.Second))
		err := p.Probe(uplink.Asking(call))
		stop()
		if ctx.Err() != nil {
			return
		}
		bad++
		switch {
		case err == nil:
			bad = 0
			a.post(ctx, counter.Reach{Platform: name, Up: true})
			a.askRefused(ctx, name)
		case errors.Is(err, platforms.ErrToken):
			bad = 0
			a.post(ctx, counter.Reach{Platform: name, Up: true})
			if only != "" {
				a.memory.refuse(only, mark)
				a.post(ctx, counter.Token{Profile: only, OK: false})
			}
		case platforms.NeverLeft(err) || bad >= 2:
			a.post(ctx, counter.Reach{Platform: name, Clock: platforms.ClockWrong(err)})
		}
		a.stats.probe(name, err == nil)
		if err == nil {
			a.memory.probed(name, a.Now())
		}
	}
}

// Reached tells how long ago a platform last answered anything; probed is false
// for one that is not asked by itself, of which silence says nothing.
func (a *Agent) Reached(name string) (ago time.Duration, heard, probed bool) {
	_, probed = a.parts.Platforms[name].(platforms.Prober)
	ago, heard = a.memory.lastHeard(name, a.Now())
	return ago, heard, probed
}

// whileDown is the pause between probes of a platform that does not answer:
// people wait for it.
const whileDown = 3 * time.Second

// probeFresh is how long a good answer stands for a platform that can be
// reached, and probeQuick how long a new order waits for a fresh one. With a
// code that HIS handed over the payer is waiting already, and the charge itself
// tells at once when nothing can be sent: there an older answer will do.
const (
	probeFresh  = time.Second
	probeHanded = 15 * time.Second
	probeQuick  = 800 * time.Millisecond
)

// freshen probes a platform that was not heard of for a while, before an order
// is taken for it, so that an outage is told in under a second even by the
// first order of the day (OFF-01). Silence within that time decides nothing.
func (a *Agent) freshen(ctx context.Context, name string, within time.Duration) {
	p, ok := a.parts.Platforms[name].(platforms.Prober)
	if !ok || a.memory.heardOf(name, a.Now(), within) {
		return
	}
	ctx, stop := context.WithTimeout(ctx, probeQuick)
	defer stop()
	switch err := p.Probe(uplink.Asking(ctx)); {
	case err == nil:
		a.memory.probed(name, a.Now())
		a.post(ctx, counter.Reach{Platform: name, Up: true})
	case platforms.NeverLeft(err) && ctx.Err() == nil:
		a.post(ctx, counter.Reach{Platform: name, Clock: platforms.ClockWrong(err)})
		a.wantProbe(name)
	default:
		a.wantProbe(name)
	}
}

// askRefused looks whether profiles whose token was refused are taken again:
// each is asked about a number that does not exist, under its own token.
func (a *Agent) askRefused(ctx context.Context, platform string) {
	for _, m := range a.cfg.Merchants {
		if m.Platform != platform || !a.memory.tokenBad(m.Profile) {
			continue
		}
		call, stop := context.WithTimeout(ctx, 5*time.Second)
		_, err := a.parts.Platforms[platform].Query(call, platforms.Ref{OrderNo: probeNumber, Mode: platforms.ModeCharge,
			Merchant: platforms.Merchant{Profile: m.Profile, Code: m.MerchCode}, Amount: 1})
		stop()
		if err == nil {
			a.post(ctx, counter.Token{Profile: m.Profile, OK: true})
		}
	}
}

// probeNumber is an order number that no order has: ours carry a date.
const probeNumber = "PAYAGENTPROBE"

// onlyProfile is the profile of a platform that has just one. With several, a
// probe that was refused does not tell whose token is bad; the next order does.
func (a *Agent) onlyProfile(platform string) string {
	only := ""
	for _, m := range a.cfg.Merchants {
		if m.Platform == platform {
			if only != "" {
				return ""
			}
			only = m.Profile
		}
	}
	return only
}
