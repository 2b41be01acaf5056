package trial

import (
	"context"
	"time"
)

// How a trial is judged: at the first look after the time of the proof at
// which nothing is missing, or against it a quarter of that time later. A short
// proof is as patient as one of a minute: what is slow to come on a busy
// machine, a platform's first answer, is not missing yet.
const (
	lookEvery  = time.Second
	leastGrace = 15 * time.Second
)

// Grace is how long after its time a proof of that length still waits for what
// is missing.
func Grace(length time.Duration) time.Duration { return max(length/4, leastGrace) }

// Prove looks until what worked before works, for at least the time of the
// proof. It returns what is missing at the end, nil if the proof is given, and
// an error only if ctx ended before that: then nothing was decided.
func Prove(ctx context.Context, length time.Duration, before Health, look func() Health) (missing []string, err error) {
	begin := time.Now()
	tick := time.NewTicker(min(lookEvery, max(length/10, time.Millisecond)))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
		}
		passed := time.Since(begin)
		if passed < length {
			continue
		}
		missing = look().Missing(before)
		if len(missing) == 0 || passed >= length+Grace(length) {
			return missing, nil
		}
	}
}
