package trial

import (
	"context"
	"time"
)

// How a trial is judged: at the first look after the time of the proof at
// which nothing is missing, or against it a quarter of that time later.
const lookEvery = time.Second

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
		if len(missing) == 0 || passed >= length+length/4 {
			return missing, nil
		}
	}
}
