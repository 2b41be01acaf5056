package agent

import (
	"context"
	"encoding/json"
	"time"

	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/queue"
)

// housekeep looks after what changes slowly: the disk, and tokens that were
// renewed after the platform refused them.
func (a *Agent) housekeep(ctx context.Context) {
	low := false
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for n := 0; ; n++ {
		if n%3600 == 0 {
			a.forget(ctx)
		}
		if a.parts.DiskLow != nil {
			if now := a.parts.DiskLow(); now != low {
				low = now
				a.post(ctx, counter.Disk{Low: low})
			}
		}
		for _, m := range a.cfg.Merchants {
			if a.memory.tokenBad(m.Profile) && a.tokenMark(m.Profile) != a.memory.refusedMark(m.Profile) {
				a.post(ctx, counter.Token{Profile: m.Profile, OK: true})
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-a.dead:
			return
		case <-tick.C:
		}
	}
}

// alwaysKept is the number of newest records that no clock can make old.
const alwaysKept = 100_000

// pruner is what a log offers that can drop old records.
type pruner interface {
	Prune(ctx context.Context, before queue.Seq) (int, error)
}

// forget throws away the keys of patient data that nobody needs any more, and
// orders past their retention.
func (a *Agent) forget(ctx context.Context) {
	now := time.UnixMilli(a.Now().Wall)
	if n, err := a.parts.Box.Forget(now, time.Duration(a.cfg.Store.PersonDays)*24*time.Hour); err != nil {
		a.log.Error("keys of patient data could not be thrown away", "error", err)
	} else if n > 0 {
		a.log.Info("patient data forgotten", "keys", n)
	}
	p, ok := a.parts.Log.(pruner)
	if !ok || a.cfg.Store.RetentionDays <= 0 {
		return
	}
	cut, err := a.oldest(now.AddDate(0, 0, -a.cfg.Store.RetentionDays))
	if err == nil && cut > 0 {
		var n int
		if n, err = p.Prune(ctx, cut); n > 0 {
			a.log.Info("old orders dropped", "records", n)
		}
	}
	if err != nil {
		a.log.Error("old orders could not be dropped", "error", err)
	}
}

// oldest is the number of the first record that is not older than a time. The
// newest records stay whatever the clock says: a clock that jumped ahead must
// not make the agent forget which bills are paid.
func (a *Agent) oldest(than time.Time) (queue.Seq, error) {
	last := a.parts.Log.Last()
	if last <= alwaysKept {
		return 0, nil
	}
	_, seq, err := a.parts.Log.After(0, 1)
	if err != nil {
		return 0, err
	}
	for seq = max(seq, 1); seq < last-alwaysKept; {
		entries, _, err := a.parts.Log.After(seq-1, 256)
		if err != nil || len(entries) == 0 {
			return seq, err
		}
		for _, e := range entries {
			var f struct {
				At order.Instant `json:"at"`
			}
			if err := json.Unmarshal(e.Data, &f); err != nil {
				return 0, err
			}
			if f.At.Wall >= than.UnixMilli() || e.Seq >= last-alwaysKept {
				return e.Seq, nil
			}
			seq = e.Seq + 1
		}
	}
	return seq, nil
}
