package main

import (
	"context"
	"crypto/tls"
	"os"

	"payagent/agent"
	"payagent/agent/config"
	"payagent/agent/enrol"
	"payagent/agent/fleet/swap"
)

// This file puts one box in the place of another (docs/fleet.md).

// ownFiles are where the box has its certificate, also where the configuration
// does not say so any more: leaving out the section fleet brings no box back.
func ownFiles(c config.Config) enrol.Files {
	if c.Fleet.CertFile == "" || c.Fleet.KeyFile == "" {
		return enrol.InFolder(fleetDir(c))
	}
	return enrol.Files{CA: c.Fleet.CAFile, Cert: c.Fleet.CertFile, Key: c.Fleet.KeyFile}
}

// lookReplaced finds out at the start whether another box is in the place of
// this one. Such a box stays away from the broker, where the other one has its
// name.
func (b *assembly) lookReplaced(c config.Config, p *agent.Parts) (err error) {
	files := ownFiles(c)
	if c.Fleet.On() && c.Fleet.KeyFile != "" {
		if err := files.Resume(); err != nil { // a new enrolment may be half in place
			b.log.Error("a change of the box's certificate could not be ended", "error", err)
		}
	}
	if p.Replaced, err = swap.Replaced(fleetDir(c), files.Cert); p.Replaced {
		b.bus, b.replaced = noBus{}, true
		b.log.Error("another box is in the place of this one; it takes no payments. A new enrolment brings it back: payfleet ca swap, payagent enrol")
	}
	return err
}

// openSwap takes part in the succession of boxes of this name. Without a
// certificate of its own there is none.
func (b *assembly) openSwap(c config.Config) error {
	if c.Fleet.CertFile == "" || c.Fleet.KeyFile == "" {
		return nil
	}
	o := swap.Options{Counter: b.agent, Place: placeOf(c), Dir: fleetDir(c), Logger: b.log, Alarm: b.agent.RaiseAlarm,
		Pair:      func() (tls.Certificate, error) { return ownFiles(c).Pair() },
		Authority: func() ([]byte, error) { return os.ReadFile(c.Fleet.CAFile) },
		Leave: func() {
			if err := b.bus.Close(); err != nil {
				b.log.Warn("the connection to the broker was not ended in order", "error", err)
			}
		}}
	if b.renewer != nil {
		o.Newest = b.renewer.Newest
	}
	s, err := swap.New(o)
	if err != nil {
		b.log.Error("this box cannot be replaced, nor take another's place, without a certificate", "error", err)
		return nil
	}
	b.beside = append(b.beside, func(ctx context.Context) error {
		s.Run(ctx, b.bus)
		return wait(ctx)
	})
	return nil
}
