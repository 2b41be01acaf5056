// Package tills is pretend boxes for trying the fleet out: the real agent with
// the real box code of a fleet, over a bank in memory and a pretend scanner,
// many in one process. Some misbehave, so that there is something to see.
package tills

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"time"

	"payagent/agent"
	"payagent/agent/agenttest"
	"payagent/agent/config"
	"payagent/agent/diag"
	"payagent/agent/fleet"
	"payagent/agent/fleet/box"
	"payagent/agent/fleet/sealed"
	"payagent/agent/machine"
	"payagent/agent/order"
	"payagent/agent/seal"
	"payagent/agent/signed"
	"payagent/platforms"
	"payagent/queue/mem"
	"payagent/uplink"
)

// Options say what one box is like.
type Options struct {
	Place   fleet.Place
	Version string
	Dir     string // a folder of its own
	Keys    []signed.Key
	HubKey  *sealed.Public // nil: there is no hub, the broker's word counts
	Every   time.Duration  // how often the status is repeated
	// Open opens the connection to the broker.
	Open func(will func(uint64) *uplink.Message, up func(context.Context, uint64)) (uplink.Bus, error)
	// Alarms last as long as the box.
	Alarms []agent.Alarm
	// Down: the platform does not answer.
	Down bool
	// Busy is the mean time between payments; zero for none.
	Busy   time.Duration
	Logger *slog.Logger
}

const configuration = `
site: {hospital_id: "H1", name: 演示医院, test: true}
codes: {two_codes: 0s}
booking: {expect: false}
platforms: [{name: bank, driver: fwc, url: "https://bank.invalid/"}]
merchants: [{profile: window, platform: bank, merch_code: "M1"}]
routes: [{merchant: window}]
tills: [{name: counter1, title: 1号窗口, kind: counter, device_no: "D1", operator: {id: "1001", name: 王收费}}]
`

type clock struct{ begin time.Time }

// Now implements agent.Clock.
func (c clock) Now() order.Now {
	return order.Now{Instant: order.Instant{Wall: time.Now().UnixMilli(), Boot: "demo", Mono: time.Since(c.begin)}}
}

// Run is the box until ctx ends. What the fleet orders restarts it over the
// same log.
func Run(ctx context.Context, o Options) error {
	disk := &mem.Disk{}
	for n := 0; ctx.Err() == nil; n++ {
		if err := life(ctx, o, disk, n); err != nil && !errors.Is(err, context.Canceled) {
			return fmt.Errorf("box %s: %w", o.Place.Box, err)
		}
	}
	return nil
}

// life is one start of the program.
func life(ctx context.Context, o Options, disk *mem.Disk, n int) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	c, err := config.Parse("demo", []byte(configuration))
	if err != nil {
		return err
	}
	vault, err := seal.Open(filepath.Join(o.Dir, "keys"), nil)
	if err != nil {
		return err
	}
	bank := agenttest.NewBank()
	bank.OnCharge(func(c platforms.Charge) (platforms.Answer, error) {
		return agenttest.PaidAnswer(c.Ref, c.Channel), nil
	})
	bank.Cut(o.Down)
	log := mem.Open(disk)
	a, err := agent.New(agent.Parts{Config: c, Log: log, Box: vault, Clock: clock{time.Now()}, Logger: o.Logger,
		Scanners:  map[string][]agent.Scanner{"counter1": {{Name: "counter1-pad", Role: agent.RolePad, Scanner: agenttest.NewPad("counter1-pad")}}},
		Platforms: map[string]platforms.Platform{"bank": agenttest.Whole(bank)}})
	if err != nil {
		return err
	}
	b, start, err := o.box(a, log, end)
	if err != nil {
		return err
	}
	bus, err := o.Open(start.Will, b.OnUp)
	if err != nil {
		return err
	}
	var group sync.WaitGroup
	errs := make(chan error, 2)
	group.Go(func() { errs <- a.Run(ctx) })
	group.Go(func() { errs <- b.Run(ctx, bus) })
	if o.Busy > 0 {
		group.Go(func() { pay(ctx, a, o.Busy, n) })
	}
	err = <-errs
	end()
	group.Wait()
	return errors.Join(err, <-errs, bus.Close())
}

func (o Options) box(a *agent.Agent, log *mem.Log, end func()) (*box.Box, box.Start, error) {
	start, err := box.NewStart(o.Place, o.Every, o.Version)
	if err != nil {
		return nil, start, err
	}
	parts := box.Options{Agent: a, Cursors: log, Dir: filepath.Join(o.Dir, "fleet"), Keys: o.Keys, PubAck: o.HubKey == nil, HubKey: o.HubKey, Start: start, Logger: o.Logger,
		Lock:  a.Quiet(agent.QuietTerms{Idle: time.Second, To: 24 * 60}),
		Verbs: []box.Verb{box.Restart(), box.ResolveNow(a), box.TestDevices(a), box.Diagnose(diag.Sources{Agent: a, Version: o.Version})},
		Twin:  func(context.Context) map[string]any { return o.twin() },
		End:   func(string) { end() }}
	for _, x := range o.Alarms {
		parts.Lasting = append(parts.Lasting, x.Code)
	}
	parts.Conditions = func() []agent.Alarm { return o.Alarms }
	b, err := box.New(parts)
	return b, start, err
}

// twin is the inventory of a pretend box, in the shapes of docs/mqtt.md: this
// machine's, with a disk and a certificate that are made up.
func (o Options) twin() map[string]any {
	skew, synced := 0, true
	for _, x := range o.Alarms {
		if x.Code == "clock_skew" {
			skew, synced = 95, false
		}
	}
	type agentPart struct {
		Version string `json:"version"`
		Build   string `json:"build"`
		Go      string `json:"go"`
		Cgo     bool   `json:"cgo"`
		machine.Facts
	}
	type diskPart struct {
		FreeMB  int `json:"free_mb"`
		TotalMB int `json:"total_mb"`
		StoreMB int `json:"store_mb"`
		machine.Wear
	}
	type clockPart struct {
		SkewS int `json:"skew_s"`
		machine.Clock
	}
	return map[string]any{
		"agent":        agentPart{Version: o.Version, Build: o.Version + " demo", Go: runtime.Version(), Facts: machine.Look()},
		"disk":         diskPart{12800, 29000, 1, machine.Wear{Device: "mmcblk0", Percent: 10}},
		"clock":        clockPart{SkewS: skew, Clock: machine.Clock{Synced: &synced}},
		"certificates": map[string]any{"certificates": []map[string]any{{"name": "fleet", "days_left": 300, "valid": true}}},
		"config":       map[string]any{"version": fleet.ConfigLocal, "sha256": fleet.HashText([]byte(configuration)), "edited": false, "state": fleet.ConfigNone},
		"update":       map[string]any{"running": o.Version, "base": o.Version},
	}
}

// pay takes a payment now and then.
func pay(ctx context.Context, a *agent.Agent, mean time.Duration, life int) {
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-time.After(mean/2 + rand.N(mean)):
		}
		id := strconv.Itoa(life) + "-" + strconv.Itoa(n)
		_, _ = a.Collect(ctx, agent.Request{Key: platforms.Hide("demo" + id), Body: platforms.Hide(id), Bill: "B" + id, Amount: platforms.Fen(100 + rand.N(20000)), Mode: platforms.ModeCharge,
			OrderType: "TREATMENT", Till: "counter1", AuthCode: platforms.Hide("13000" + fmt.Sprintf("%013d", rand.N[int64](1e13))), Subject: "demo"}) // busy or down: that is life
	}
}

// Wire forwards connections to the broker until it is cut, as a cable is: the
// broker says the box's will.
type Wire struct {
	l  net.Listener
	to string

	mu    sync.Mutex
	cut   bool
	conns []net.Conn
}

// NewWire lays one.
func NewWire(to string) (*Wire, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("cannot lay a wire to the broker: %w", err)
	}
	w := &Wire{l: l, to: to}
	go w.serve()
	return w, nil
}

// Addr is where the box connects to.
func (w *Wire) Addr() string { return w.l.Addr().String() }

// Cut cuts it for good.
func (w *Wire) Cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = true
	_ = w.l.Close() // nothing more is to come
	for _, c := range w.conns {
		_ = c.Close() // that is the point
	}
}

func (w *Wire) serve() {
	for {
		c, err := w.l.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", w.to)
		if err != nil {
			_ = c.Close() // the box tries again
			continue
		}
		w.mu.Lock()
		w.conns = append(w.conns, c, far)
		if w.cut {
			_, _ = c.Close(), far.Close() // came too late
		}
		w.mu.Unlock()
		for _, x := range [][2]net.Conn{{c, far}, {far, c}} {
			go func() {
				_, _ = io.Copy(x[0], x[1])        // until either end closes
				_, _ = x[0].Close(), x[1].Close() // both end together
			}()
		}
	}
}
