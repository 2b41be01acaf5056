package reading_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"payagent/devices"
	"payagent/devices/internal/framing"
	"payagent/devices/internal/reading"
)

// pulled is a device that is unplugged in the middle of a code, which its
// driver tells a while later.
type pulled struct {
	text  string
	late  time.Duration
	close int
}

func (p *pulled) Read(b []byte) (int, error) {
	if n := copy(b, p.text); n > 0 {
		p.text = ""
		return n, nil
	}
	<-time.After(p.late)
	return 0, errors.New("input/output error")
}

func (p *pulled) Close() error {
	p.close++
	return nil
}

// TestCutByUnplug: where only a pause ends a code, the pause before a device
// was found to be gone ends none: what came so far may be half of one.
func TestCutByUnplug(t *testing.T) {
	for _, late := range []time.Duration{time.Millisecond, time.Second} {
		synctest.Test(t, func(t *testing.T) {
			p := &pulled{text: "2812345678901234", late: late}
			r, err := reading.Start(p, reading.Config{Name: "pad", Framing: framing.Config{End: framing.EndNone}})
			if err != nil {
				t.Fatal(err)
			}
			scan, err := r.Scan(context.Background())
			if !errors.Is(err, devices.ErrGone) || scan.Text.Len() != 0 {
				t.Errorf("%v, %v", scan, err)
			}
			if n := r.Counts().Good; n != 0 {
				t.Errorf("%d codes", n)
			}
			if err := r.Close(); err != nil || p.close != 1 {
				t.Errorf("%v, closed %d times", err, p.close)
			}
		})
	}
}
