// Package agenttest puts a running agent together for tests: real counter,
// real shell, a log given from outside, and a bank in memory whose answers a
// test decides. It is for tests only; no program imports it.
//
// Everything runs on the time of package time, so that within a
// testing/synctest bubble a minute passes at once.
package agenttest

import (
	"context"
	"log/slog"
	"maps"
	"sync/atomic"
	"testing"
	"time"

	"payagent/agent"
	"payagent/agent/config"
	"payagent/agent/order"
	"payagent/agent/seal"
	"payagent/platforms"
	"payagent/queue"
)

// The tills of the world. W1 and W2 are counters and K1 a kiosk, all on the
// platform Full; W3 is a counter on Plain. O1 and O2 are online tills, on Page
// and on Mute.
const (
	W1 = "w1"
	W2 = "w2"
	W3 = "w3"
	K1 = "k1"
	O1 = "o1"
	O2 = "o2"
)

// The platforms: Full charges, shows QR codes and refunds, Plain only charges
// codes, Page has pages, insurance and messages of its own, and Mute the same
// but no query.
const (
	Full  = "full"
	Plain = "plain"
	Page  = "page"
	Mute  = "mute"
)

const configuration = `
site: {hospital_id: "H1", name: Test, test: true}
codes: {two_codes: 0s}
booking: {expect: false}
platforms:
  - {name: full, driver: fwc, url: "https://full.invalid/"}
  - {name: plain, driver: smartpay, url: "https://plain.invalid/"}
  - {name: page, driver: fwc, url: "https://page.invalid/"}
  - {name: mute, driver: fwc, url: "https://mute.invalid/"}
merchants:
  - {profile: window, platform: full, merch_code: "M1"}
  - {profile: shop, platform: plain, merch_code: "M2"}
  - {profile: web, platform: page, merch_code: "M3"}
  - {profile: silent, platform: mute, merch_code: "M4"}
routes:
  - {till: w3, merchant: shop}
  - {till: o1, merchant: web}
  - {till: o2, merchant: silent}
  - {merchant: window}
tills:
  - {name: w1, title: 1号窗口, kind: counter, device_no: "D1", operator: {id: "1001", name: 王收费}}
  - {name: w2, title: 2号窗口, kind: counter, device_no: "D2", operator: {id: "1002", name: 李收费}}
  - {name: w3, title: 3号窗口, kind: counter, device_no: "D3", operator: {id: "1003", name: 赵收费}}
  - {name: k1, title: 1号自助机, kind: kiosk, device_no: "K1", operator: {id: "9001", name: 自助机}, when_offline: queue}
  - {name: o1, title: 掌上医院, kind: online, device_no: "O1", operator: {id: "9101", name: 掌上医院}, modes: [h5, insurance]}
  - {name: o2, title: 公众号, kind: online, device_no: "O2", operator: {id: "9102", name: 公众号}, modes: [h5, insurance]}
callback: {listen: ["127.0.0.1:8790"], public_url: "https://pay.invalid/agent"}
`

// Options change the world before it starts.
type Options struct {
	Log     queue.Log            // required
	Config  func(*config.Config) // nil for none
	Logger  *slog.Logger         // nil for none
	DiskLow func() bool          // nil for never
	// Platforms stand in for members of the same name.
	Platforms map[string]platforms.Platform
	// Taken is how many payments earlier worlds over the same log took with Take.
	Taken int
	// Asleep leaves the agent unstarted: nothing is read from the log yet.
	Asleep bool
	// Replaced: another box is in the place of this one.
	Replaced bool
}

// World is a running agent and what is around it. Codes are not held for a
// second one unless a test sets codes.two_codes.
type World struct {
	Agent *agent.Agent
	Banks map[string]*Bank // by platform
	Pads  map[string]*Pad  // by till: the scanner TILL-pad
	Guns  map[string]*Pad  // by till, at counters: the scanner TILL-gun
	Faces map[string]*Face // by till, at w1 and k1: the display TILL-display
	Stop  func()           // stops the agent and waits; called at the end of the test at the latest

	taken int // payments that Take took
	clock *clock
}

// clock counts from the start of the world.
type clock struct {
	begin time.Time
	ahead atomic.Int64 // see World.Ahead
}

// Now gives the present.
func (c *clock) Now() order.Now {
	ahead := time.Duration(c.ahead.Load())
	return order.Now{Instant: order.Instant{Wall: time.Now().Add(ahead).UnixMilli(), Boot: "test", Mono: time.Since(c.begin) + ahead}}
}

// Ahead lets time pass for the agent, for tests that cannot run in a bubble
// because somebody outside looks on. What was due by then has been done when it
// returns.
func (w *World) Ahead(t testing.TB, by time.Duration) {
	t.Helper()
	w.clock.ahead.Add(int64(by))
	if err := w.Agent.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Config is the configuration of the world.
func Config(t testing.TB) config.Config {
	t.Helper()
	c, err := config.Parse("agenttest", []byte(configuration))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Start puts a world together and runs its agent until the test ends.
func Start(t testing.TB, opts Options) *World {
	t.Helper()
	c := Config(t)
	if opts.Config != nil {
		opts.Config(&c)
	}
	box, err := seal.Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &World{taken: opts.Taken, clock: &clock{begin: time.Now()}, Banks: map[string]*Bank{Full: NewBank(), Plain: NewBank(), Page: NewBank(), Mute: NewBank()}, Pads: map[string]*Pad{}, Guns: map[string]*Pad{}, Faces: map[string]*Face{}}
	scanners, displays := map[string][]agent.Scanner{}, map[string][]agent.Display{}
	add := func(to map[string]*Pad, till, role string) {
		to[till] = NewPad(till + "-" + role)
		scanners[till] = append(scanners[till], agent.Scanner{Name: to[till].name, Role: role, Scanner: to[till]})
	}
	for _, till := range c.Tills {
		if till.Kind == config.Online {
			continue
		}
		add(w.Pads, till.Name, agent.RolePad)
		if till.Kind == config.Counter {
			add(w.Guns, till.Name, agent.RoleGun)
		}
		if till.Name == W1 || till.Name == K1 {
			w.Faces[till.Name] = &Face{}
			displays[till.Name] = []agent.Display{{Name: till.Name + "-display", Display: w.Faces[till.Name]}}
		}
	}
	members := map[string]platforms.Platform{Full: whole{w.Banks[Full]}, Plain: chargeOnly{w.Banks[Plain]},
		Page: page{w.Banks[Page], false}, Mute: page{w.Banks[Mute], true}}
	maps.Copy(members, opts.Platforms)
	w.Agent, err = agent.New(agent.Parts{Config: c, Log: opts.Log, Box: box, Clock: w.clock, Logger: opts.Logger, DiskLow: opts.DiskLow,
		Scanners: scanners, Displays: displays, Platforms: members, Replaced: opts.Replaced})
	if err != nil {
		t.Fatal(err)
	}
	w.Stop = func() {}
	if opts.Asleep {
		return w
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Agent.Run(ctx) }()
	stopped := false
	w.Stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Logf("the agent ended: %v", err)
		}
	}
	t.Cleanup(func() { w.Stop() })
	return w
}
