package agent

import (
	"context"
	"time"

	"payagent/agent/counter"
	"payagent/devices"
)

// read takes scans from one scanner of a till. The scanner member supervises
// its device; an error that ends Scan for good is reported and ends the read.
func (a *Agent) read(ctx context.Context, till string, s Scanner) {
	defer s.Close()
	for {
		scan, err := s.Scan(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			a.log.Error("scanner stopped", "till", till, "error", err)
			return
		}
		a.stats.scanned(till)
		if !a.post(ctx, counter.Scan{Till: till, Device: s.Name, Code: a.code(scan.Text.Reveal(), scan.Symbology)}) {
			return
		}
	}
}

// Presence tells that a till's scanner came or went. It does not wait: it may
// be called by the goroutine that reads the scanner, and before Run.
func (a *Agent) Presence(till string, p devices.Presence) {
	device := p.Device
	a.presence.Lock()
	defer a.presence.Unlock()
	if a.absent[till] == nil {
		a.absent[till] = map[string]bool{}
	}
	a.absent[till][device] = !p.Present
	works := false
	for _, gone := range a.absent[till] {
		works = works || !gone
	}
	select {
	case a.events <- counter.Presence{Till: till, Scanner: works}:
	default:
		a.log.Warn("scanner's state not shown, too much is going on", "till", till, "device", device)
	}
}

// displayLimit is how long a display may take before it is left behind; it
// sees the latest screen when it is back. Nothing waits for a display.
const displayLimit = 2 * time.Second

func (a *Agent) show(ctx context.Context, till string, d Display) {
	defer d.Close()
	for {
		changed := a.memory.changed()
		v, _ := a.View(till)
		call, stop := context.WithTimeout(ctx, displayLimit)
		if err := d.Show(call, a.screenOf(v)); err != nil && ctx.Err() == nil {
			a.log.Warn("display failed", "till", till, "error", err)
		}
		stop()
		select {
		case <-changed:
		case <-ctx.Done():
			return
		case <-a.dead:
			return
		}
	}
}

func (a *Agent) screenOf(v counter.View) devices.Screen {
	s := devices.Screen{State: "idle", Test: a.cfg.Site.Test}
	if o := v.Order; o != nil {
		s.State, s.Amount = string(o.State()), o.Amount.Yuan()
		if o.QREnds(a.shape.Platforms[o.Platform].Policy, a.Now()) > 0 {
			s.QR = o.QR
		}
	}
	return s
}
