package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"payagent/agent"
	"payagent/agent/clock"
	"payagent/agent/config"
	"payagent/agent/doctor"
	"payagent/uplink/mqtt"
)

// glance is how the doctor looks at platforms behind the relay. An agent that
// runs holds the box's one connection to the broker, so it is asked what it
// sees; else the doctor connects in its place, and leaves what waits for it.
type glance struct {
	c       config.Config
	clock   *clock.Keeper
	running *client // nil: no agent runs
	open    []io.Closer
	tunnel  *mqtt.Tunnel
}

// way is the first or second way to a platform. Nothing is charged: the relay is asked
// whether it can open its way to the platform.
func (g *glance) way(name string, second bool, p config.Platform) doctor.Way {
	return doctor.Way{Ask: func(ctx context.Context) (time.Time, error) {
		if g.running != nil {
			return time.Time{}, g.askAgent(ctx, name, second)
		}
		tunnel, err := g.connect(ctx)
		if err != nil {
			return time.Time{}, err
		}
		route, err := openWay(p, g.clock, func() (*mqtt.Tunnel, error) { return tunnel, nil })
		if err != nil {
			return time.Time{}, err
		}
		defer func() { _ = route.Close() }() // nothing is under way
		return time.Time{}, route.Reach(ctx)
	}}
}

// askAgent asks the running agent, which has seen its ways to platforms at work.
func (g *glance) askAgent(ctx context.Context, name string, second bool) error {
	data, err := g.running.once(ctx, http.MethodGet, "/v1/capabilities")
	if err != nil {
		return err
	}
	var v struct {
		Platforms []struct {
			Name string `json:"name"`
			Up   bool   `json:"up"`
			Ways *struct {
				InUse  bool        `json:"in_use"`
				Unused agent.Spare `json:"unused"`
			} `json:"second_way"`
		} `json:"platforms"`
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return fmt.Errorf("cannot understand the running agent: %w", err)
	}
	for _, p := range v.Platforms {
		switch {
		case p.Name != name:
		case p.Ways != nil && p.Ways.InUse != second && p.Ways.Unused == agent.SpareUp, (p.Ways == nil || p.Ways.InUse == second) && p.Up:
			return nil
		case p.Ways != nil && p.Ways.InUse != second && p.Ways.Unused == agent.SpareUnknown:
			return errors.New("the running agent has not looked at it yet; ask again in a minute")
		}
	}
	return errors.New("the running agent gets no answer; its log says more")
}

// connectWithin bounds the connection to the broker.
const connectWithin = 20 * time.Second

// connect takes the agent's place at the broker, once.
func (g *glance) connect(ctx context.Context) (*mqtt.Tunnel, error) {
	if g.tunnel != nil {
		return g.tunnel, nil
	}
	f := g.c.Fleet
	read := func(file string) func() ([]byte, error) { return func() ([]byte, error) { return os.ReadFile(file) } }
	cfg := mqtt.Config{Broker: f.Broker, ClientID: f.Box, ServerName: f.ServerName, Leave: true, Phase: func() time.Duration { return 0 }, Every: time.Minute,
		Now: g.clock.Now, Doubt: g.clock.Doubt}
	if f.CAFile != "" {
		cfg.CA = read(f.CAFile)
	}
	if f.CertFile != "" {
		cfg.Cert, cfg.Key = read(f.CertFile), certKey(f.KeyFile)
	}
	bus, err := mqtt.Open(cfg)
	if err != nil {
		return nil, err
	}
	g.open = append(g.open, bus)
	ctx, stop := context.WithTimeout(ctx, connectWithin)
	defer stop()
	for {
		link, changed := bus.Link()
		if link.Up {
			break
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("no connection to the broker: %s", link.Cause)
		}
	}
	tunnel, err := newTunnel(g.c, bus, nil)
	if err != nil {
		return nil, err
	}
	g.tunnel, g.open = tunnel, append(g.open, tunnel)
	return tunnel, nil
}

// Close lets go.
func (g *glance) Close() error {
	var errs []error
	for i := len(g.open) - 1; i >= 0; i-- {
		errs = append(errs, g.open[i].Close())
	}
	return errors.Join(errs...)
}
