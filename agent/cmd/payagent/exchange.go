package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"payagent/agent"
	"payagent/agent/config"
	"payagent/agent/desired"
	"payagent/agent/fleet"
	"payagent/agent/order"
	"payagent/agent/trial"
	"payagent/queue"
)

// writer is the store format that this process writes: while a new program
// must prove itself, that of the program before it (decision 16).
func (x *exchange) writer() uint32 {
	if x == nil || x.program == nil {
		return storeVersion
	}
	old, err := strconv.ParseUint(x.program.Mark, 10, 32)
	if err != nil || old == 0 {
		return storeVersion
	}
	return min(storeVersion, uint32(old))
}

// trying tells whether this process must prove itself still.
func (x *exchange) trying() bool {
	if x == nil {
		return false
	}
	t, err := x.updates.OnTrial()
	return x.program != nil && (t != nil || err != nil) || x.files.OnTrial() != nil
}

// join puts what exchanges programs and configurations beside the agent.
func (x *exchange) join(b *assembly, c config.Config) error {
	from, to, err := config.Window(c.Fleet.Window)
	if err != nil {
		return err
	}
	s := trial.Service{Look: b.look(c), Prove: c.Fleet.Prove, Restart: x.restart,
		Lock: b.agent.Quiet(agent.QuietTerms{Idle: c.Fleet.Idle, From: from, To: to}),
		Log: func(text string, err error) {
			if err != nil {
				b.log.Error(text, "error", err)
				return
			}
			b.log.Info(text)
		}}
	x.files.Serve(desired.Terms{Keys: signers(c.Fleet.Keys), Place: fleet.Place{Root: c.Fleet.Root, Site: c.Fleet.Site, Box: c.Fleet.Box},
		Check: func(next config.Config) error {
			_, err := next.CheckFiles()
			return errors.Join(checkMembers(next), err, keepsInUse(c, next, b.store))
		}})
	b.service = s
	if c.Fleet.On() {
		if err := b.openBus(c); err != nil {
			return err
		}
		b.beside = append(b.beside, func(ctx context.Context) error {
			if err := x.files.Link(ctx, b.bus, placeOf(c), b.log); err != nil {
				return err
			}
			return wait(ctx) // the connection may end for good, and payments go on
		})
	}
	b.beside = append(b.beside,
		func(ctx context.Context) error { x.updates.Follow(ctx, s); return wait(ctx) },
		func(ctx context.Context) error { x.files.Follow(ctx, s); return wait(ctx) })
	return nil
}

// wait waits: a part that ends would end all others.
func wait(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// look tells what works now.
func (b *assembly) look(c config.Config) func() trial.Health {
	return func() trial.Health {
		health := b.agent.Health()
		h := trial.Health{Store: !health.Stopped, Door: b.doorOpen.Load(), Platforms: map[string]bool{}, Scanners: map[string]bool{}}
		if b.bus != nil {
			link, _ := b.bus.Link()
			h.Broker = link.Up
		}
		for _, p := range c.Platforms {
			ago, heard, probed := b.agent.Reached(p.Name)
			// Idle boxes ask once a minute, or as seldom as they are told to.
			h.Platforms[p.Name] = probed && heard && ago < 2*max(p.ProbeEvery, time.Minute)+10*time.Second
			for _, down := range health.Down {
				if down == p.Name {
					h.Platforms[p.Name] = false
				}
			}
		}
		for _, d := range b.agent.Devices() {
			if d.Kind == agent.KindScanner {
				h.Scanners[d.Name] = d.Present && d.Since > 0
			}
		}
		return h
	}
}

// keepsInUse refuses a configuration without the profiles and platforms that
// open or refundable orders need (decision 18). The orders are read only where
// something was taken out.
func keepsInUse(from, to config.Config, store queue.Log) error {
	gone := map[string]bool{}
	for _, m := range from.Merchants {
		if _, ok := to.MerchantNamed(m.Profile); !ok {
			gone[m.Profile] = true
		}
	}
	for _, p := range from.Platforms {
		if _, ok := to.PlatformNamed(p.Name); !ok {
			gone["platform "+p.Name] = true
		}
	}
	if len(gone) == 0 {
		return nil
	}
	for after := queue.Seq(0); ; {
		entries, _, err := store.After(after, 256)
		if err != nil || len(entries) == 0 {
			return err
		}
		for _, e := range entries {
			after = e.Seq
			if agent.IsNote(e.Stream) {
				continue
			}
			var f order.Fact
			if err := json.Unmarshal(e.Data, &f); err != nil {
				return err
			}
			if f.Created == nil || !gone[f.Created.Merchant.Profile] && !gone["platform "+f.Created.Platform] {
				continue
			}
			needed, err := needsCredentials(store, e.Stream)
			if err != nil {
				return err
			}
			if needed {
				return to.Fail("merchants", fmt.Sprintf("profile %s of platform %s is needed by order %s, which is open or can be refunded; leave it in", f.Created.Merchant.Profile, f.Created.Platform, e.Stream))
			}
		}
	}
}

// needsCredentials tells whether an order is open, or money of it could go
// back.
func needsCredentials(store queue.Log, no string) (bool, error) {
	facts, err := agent.ReadFacts(store, no)
	if err != nil {
		return false, err
	}
	o, err := order.Fold(facts)
	if err != nil {
		return false, err
	}
	return !o.State().Final() || o.State() == order.Paid && !o.FullyReversed(), nil
}
