package trial_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent/trial"
)

func TestMissing(t *testing.T) {
	before := trial.Health{Store: true, Door: true, Broker: true, Platforms: map[string]bool{"a": true, "b": true, "gone": true, "down": false},
		Scanners: map[string]bool{"s": true, "t": true}}
	now := trial.Health{Store: true, Door: true, Broker: true, Platforms: map[string]bool{"a": true, "b": true, "new": false, "down": false},
		Scanners: map[string]bool{"s": true, "t": true}}
	if got := now.Missing(before); got != nil {
		t.Error("what was down, is new, or is not configured any more counts:", got)
	}
	ill := trial.Health{Platforms: map[string]bool{"a": false, "b": false}, Scanners: map[string]bool{"t": false}}
	if got := ill.Missing(before); !slices.Equal(got, []string{"store", "door", "broker", "platform:a", "platform:b", "scanner:t"}) {
		t.Error(got)
	}
	if got := (trial.Health{Store: true, Door: true}).Missing(trial.Health{}); got != nil {
		t.Error(got)
	}
}

// TestProve: not before its time, then at the first good look, and at the
// latest a quarter later.
func TestProve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		h := trial.Health{Store: true, Door: true}
		if missing, err := trial.Prove(t.Context(), time.Minute, h, func() trial.Health { return h }); missing != nil || err != nil || time.Since(began) != time.Minute {
			t.Error(missing, err, time.Since(began))
		}
		began = time.Now()
		slow := func() trial.Health {
			return trial.Health{Store: true, Door: time.Since(began) > 68*time.Second}
		}
		if missing, err := trial.Prove(t.Context(), time.Minute, h, slow); missing != nil || err != nil || time.Since(began) > 70*time.Second {
			t.Error(missing, err, time.Since(began))
		}
		began = time.Now()
		late := func() trial.Health {
			return trial.Health{Store: true, Door: time.Since(began) > 14*time.Second}
		}
		if missing, err := trial.Prove(t.Context(), 2*time.Second, h, late); missing != nil || err != nil || time.Since(began) > 15*time.Second {
			t.Error("a short proof:", missing, err, time.Since(began))
		}
		began = time.Now()
		if missing, err := trial.Prove(t.Context(), time.Minute, h, func() trial.Health { return trial.Health{Store: true} }); !slices.Equal(missing, []string{"door"}) || err != nil || time.Since(began) > 76*time.Second {
			t.Error(missing, err, time.Since(began))
		}
	})
}
