package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/platforms"
)

// DayKey is the key under which the log finds the orders of a day (UTC+8).
func DayKey(t time.Time) string {
	return "day:" + Day(t.UnixMilli())
}

// KeptSince is when the oldest record was written that is still kept; zero
// while nothing was pruned. What happened before is not known any more.
func (a *Agent) KeptSince() (time.Time, error) {
	entries, first, err := a.parts.Log.After(0, 1)
	if err != nil || first <= 1 || len(entries) == 0 {
		return time.Time{}, err
	}
	var f struct {
		At order.Instant `json:"at"`
	}
	if err := json.Unmarshal(entries[0].Data, &f); err != nil || f.At.Wall == 0 {
		return time.Time{}, fmt.Errorf("cannot tell since when orders are kept: record %d has no time", entries[0].Seq)
	}
	return time.UnixMilli(f.At.Wall), nil
}

// OnDay gives the orders that something happened to on a day: created, paid,
// booked, ended or given back. Each is read for itself; none is kept. It stops
// at the first error.
func (a *Agent) OnDay(ctx context.Context, key string, yield func(*order.Order) error) error {
	found, err := a.parts.Log.Find(key)
	if err != nil {
		return err
	}
	for _, no := range found {
		if err := ctx.Err(); err != nil {
			return err
		}
		if IsNote(no) {
			continue
		}
		o, err := a.Order(no)
		if err != nil {
			return err
		}
		if o == nil {
			continue
		}
		if err := yield(o); err != nil {
			return err
		}
	}
	return nil
}

// Patient opens the patient that is sealed in an order. One whose key was
// thrown away is empty, and so is one that HIS never named; any other failure
// is an error.
func (a *Agent) Patient(o *order.Order) (platforms.Patient, error) {
	p, err := a.opened(o)
	return p.patient(), err
}

// Ask asks an order's platform what it knows of the order, beside everything
// else: nothing is journalled and the order's own schedule is not touched.
func (a *Agent) Ask(ctx context.Context, o *order.Order) (platforms.Answer, error) {
	p := a.parts.Platforms[o.Platform]
	if p == nil {
		return platforms.Answer{}, errGone(p)
	}
	conf, _ := a.cfg.PlatformNamed(o.Platform)
	ctx, stop := context.WithTimeout(ctx, conf.Policy.CallTimeout)
	defer stop()
	start := time.Now()
	answer, err := p.Query(ctx, o.Ref())
	a.stats.called(o.Platform, order.VerbQuery, time.Since(start), err)
	return answer, err
}

// Anchored tells /metrics where the audit ended a day: the hash of its last
// line, which may be noted elsewhere and found again by payagent audit verify.
func (a *Agent) Anchored(day, hash string, lines uint64) {
	a.stats.mu.Lock()
	defer a.stats.mu.Unlock()
	for s := range a.stats.counts {
		if s.name == "payagent_audit_anchor" {
			delete(a.stats.counts, s)
		}
	}
	a.stats.counts[series{"payagent_audit_anchor", fmt.Sprintf(`day=%q,hash=%q`, day, hash)}] = float64(lines)
}

// DoorRefused counts a request that had to wait: a payment (create), a refund,
// or one with a wrong token.
func (a *Agent) DoorRefused(what string) {
	a.stats.add("payagent_door_refused_total", fmt.Sprintf(`what=%q`, what), 1)
}

// Flush returns when everything that the counter decided before is on disk and
// can be read.
func (a *Agent) Flush(ctx context.Context) error {
	_, err := a.ask(ctx, func(id uint64) counter.Event { return counter.Flush{Reply: id} })
	return err
}
