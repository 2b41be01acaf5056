// Package agent is the shell around the pure counter: it feeds events in,
// makes facts durable and carries effects out. One goroutine steps the
// counter, one carries out what it said, in order; a fact is on disk before
// anything that follows from it can be seen outside.
//
// It knows the contracts of the four families and none of their members;
// agent/cmd/payagent puts the members in.
package agent

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"payagent/agent/config"
	"payagent/agent/counter"
	"payagent/agent/limits"
	"payagent/agent/order"
	"payagent/agent/seal"
	"payagent/agent/words"
	"payagent/devices"
	"payagent/platforms"
	"payagent/queue"
)

// Clock gives the present. Decisions hang on Mono and Boot alone.
type Clock interface{ Now() order.Now }

// Parts are the members the agent is put together from.
type Parts struct {
	Config    config.Config
	Log       queue.Log
	Lost      []queue.Slot // slots whose orders the log has lost
	Box       *seal.Box
	Platforms map[string]platforms.Platform
	Scanners  map[string][]Scanner // by till
	Displays  map[string][]Display // by till
	Clock     Clock
	Logger    *slog.Logger
	Random    io.Reader   // nil for crypto/rand
	DiskLow   func() bool // nil for never
	// TokenMark is a fingerprint of a profile's token, so that a new one is
	// seen without a restart; nil where tokens do not change.
	TokenMark func(profile string) string
	// Ways tells how a platform with two ways is reached, false for one that has
	// a single one; nil where none has two.
	Ways func(platform string) (Ways, bool)
	// Replaced: another box is in the place of this one; see Agent.Replace.
	Replaced bool
}

// Scanner is one scanner of a till, as it is put in.
type Scanner struct {
	Name string // the device's name in the configuration; one per agent
	Role string // RolePad or RoleGun; empty is a pad
	// NoPay makes it a scanner that never takes a payment code, such as one for
	// cards only.
	NoPay bool
	devices.Scanner
}

// Display is one display of a till, as it is put in.
type Display struct {
	Name string // the device's name in the configuration; one per agent
	devices.Display
}

// The roles of scanners.
const (
	RolePad = "pad" // the patient's: payment codes only
	RoleGun = "gun" // the cashier's: payment codes and cards
)

// Agent is a running counter. Its methods may be called from any goroutine.
type Agent struct {
	parts   Parts
	cfg     config.Config
	log     *slog.Logger
	rules   platforms.CodeRules
	random  io.Reader
	shape   counter.Config
	events  chan counter.Event
	jobs    *mailbox
	memory  *memory
	facts   factReader
	calls   sync.WaitGroup
	gears   *gears
	words   words.Catalogue
	money   inflight // calls under way that move money
	closing atomic.Bool
	gates   map[string]chan struct{}
	probes  map[string]chan struct{}
	stats   *Stats
	limits  *limits.Limits
	dead    chan struct{} // closed by the first storage error
	over    chan struct{} // closed when nothing reads events any more
	once    sync.Once
	cause   error
	alarmed map[counter.Alarm]order.Instant // when an alarm was written last; the writer's
}

// New puts an agent together. Nothing runs before Run.
func New(p Parts) (*Agent, error) {
	rules := p.Config.Codes.Table()
	if err := rules.Validate(); err != nil {
		return nil, err
	}
	a := &Agent{parts: p, cfg: p.Config, log: p.Logger, rules: rules, random: p.Random,
		events: make(chan counter.Event, 256), jobs: newMailbox(), memory: newMemory(), facts: newFactReader(),
		gates: map[string]chan struct{}{}, gears: newGears(p), words: words.New(), probes: map[string]chan struct{}{}, stats: newStats(), dead: make(chan struct{}), over: make(chan struct{})}
	a.limits = limits.New(p.Config.Door.Limits, func() time.Duration { return a.Now().Mono })
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	if a.random == nil {
		a.random = rand.Reader
	}
	a.shape = counter.Config{Tills: map[string]counter.Till{}, Platforms: map[string]counter.Platform{},
		Recognise: rules.Recognise, DoubleRead: p.Config.Codes.DoubleRead, CodeOnce: 24 * time.Hour, CodeLimit: 45 * time.Second, Replaced: p.Replaced}
	a.shape.RefundAlone, a.shape.Reverse = p.Config.Limits.RefundAloneFen, reverseOf(p.Config)
	for _, t := range p.Config.Tills {
		a.shape.Tills[t.Name] = counter.Till{Name: t.Name, Online: t.Kind == config.Online, TwoCodes: p.Config.Codes.TwoCodes, Devices: rolesOf(p.Scanners[t.Name])}
	}
	for _, c := range p.Config.Platforms {
		member := p.Platforms[c.Name]
		if member == nil {
			return nil, fmt.Errorf("cannot start: platform %s is configured but was not opened", c.Name)
		}
		_, charge := member.(platforms.Charger)
		_, refund := member.(platforms.Refunder)
		a.shape.Platforms[c.Name] = counter.Platform{Traits: member.Traits(), Policy: policyOf(c.Policy),
			Charge: charge, Present: presents(member), Refund: refund}
		a.gates[c.Name] = make(chan struct{}, 16)
		a.probes[c.Name] = make(chan struct{}, 1)
	}
	return a, nil
}

// presents tells which of the shown modes a platform can do.
func presents(p platforms.Platform) map[platforms.Mode]bool {
	can := map[platforms.Mode]bool{}
	if member, ok := p.(platforms.Presenter); ok {
		for _, m := range []platforms.Mode{platforms.ModePresent, platforms.ModeH5, platforms.ModeInsurance} {
			can[m] = member.Presents(m)
		}
	}
	return can
}

// rolesOf tells the counter what each scanner of a till is for.
func rolesOf(list []Scanner) map[string]counter.Device {
	roles := map[string]counter.Device{}
	for _, s := range list {
		roles[s.Name] = counter.Device{Role: counter.Role(s.Role), NoPay: s.NoPay}
	}
	return roles
}

// Run serves until the context ends or the store fails. After a storage error
// the process must exit and start again: what was being written may or may not
// be on disk, and only opening the store anew can tell.
func (a *Agent) Run(ctx context.Context) error {
	// What takes new work stops at once; what finishes the work stops after it.
	inner, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	inputs, stopInputs := context.WithCancel(inner)
	defer stopInputs()
	found, err := a.load()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	core := counter.New(a.shape)
	var group sync.WaitGroup
	run := func(ctx context.Context, f func(context.Context)) {
		group.Add(1)
		go func() {
			defer group.Done()
			f(ctx)
		}()
	}
	run(inner, a.carryOut)
	a.jobs.put(core.Step(a.parts.Clock.Now(), found))
	run(inner, func(ctx context.Context) { a.step(ctx, core) })
	for till, list := range a.parts.Scanners {
		for _, s := range list {
			run(inputs, func(ctx context.Context) { a.read(ctx, till, s) })
		}
	}
	for till, list := range a.parts.Displays {
		for _, d := range list {
			run(inputs, func(ctx context.Context) { a.show(ctx, till, d) })
		}
	}
	for name := range a.probes {
		run(inputs, func(ctx context.Context) { a.probe(ctx, name) })
	}
	run(inputs, a.housekeep)
	select {
	case <-ctx.Done():
		a.closing.Store(true)
		stopInputs()
		a.settle()
	case <-a.dead:
	}
	stop()
	a.jobs.close()
	group.Wait()
	close(a.over) // what returns from now on has nobody to tell
	a.calls.Wait()
	a.memory.close()
	return a.cause
}

// grace is how long a stop waits for calls that move money: a reply that is
// thrown away is an order in doubt.
const grace = 8 * time.Second

// settle waits for such calls and until what they said is on disk.
func (a *Agent) settle() {
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-a.money.idle():
	case <-timer.C:
	case <-a.dead:
		return
	}
	ctx, stop := context.WithTimeout(context.Background(), grace)
	defer stop()
	_, _ = a.request(ctx, func(id uint64) counter.Event { return counter.Flush{Reply: id} })
}

// fail stops the agent after a storage error.
func (a *Agent) fail(err error) {
	a.once.Do(func() {
		a.cause = fmt.Errorf("cannot go on, the store failed; the service manager starts the agent again: %w", err)
		a.log.Error("store failed", "error", err)
		close(a.dead)
	})
}

// failed tells whether the store failed: then nothing more is done outside.
func (a *Agent) failed() bool {
	select {
	case <-a.dead:
		return true
	default:
		return false
	}
}

// step is the one goroutine that owns the counter.
func (a *Agent) step(ctx context.Context, core *counter.Counter) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		wait := core.Deadline() - a.parts.Clock.Now().Mono
		// Looking again now and then finds time that passed in suspend.
		timer.Reset(min(max(wait, 0), 5*time.Second))
		var ev counter.Event = counter.Tick{}
		select {
		case <-ctx.Done():
			return
		case <-a.dead:
			return
		case ev = <-a.events:
		case <-timer.C:
		}
		if effects := core.Step(a.parts.Clock.Now(), ev); len(effects) > 0 {
			a.jobs.put(effects)
		}
	}
}

// post hands an event to the counter; false if the agent stopped.
func (a *Agent) post(ctx context.Context, ev counter.Event) bool {
	select {
	case a.events <- ev:
		return true
	case <-a.dead:
	case <-a.over:
	case <-ctx.Done():
	}
	return false
}

// ErrUnreadable is wrapped when the open orders cannot be read at the start.
// Starting again would end the same way.
var ErrUnreadable = errors.New("the open orders cannot be read; set the store aside and start again")

// ErrStopped is returned when the agent stops while a request waits.
var ErrStopped = errors.New("the agent is stopping; ask again in a few seconds")

// ask sends an event that carries a reply number and waits for the reply.
func (a *Agent) ask(ctx context.Context, make func(id uint64) counter.Event) (counter.Reply, error) {
	if a.closing.Load() {
		return counter.Reply{}, ErrStopped
	}
	return a.request(ctx, make)
}

func (a *Agent) request(ctx context.Context, make func(id uint64) counter.Event) (counter.Reply, error) {
	id, ch := a.memory.expect()
	defer a.memory.forget(id)
	if !a.post(ctx, make(id)) {
		return counter.Reply{}, a.whyNot(ctx)
	}
	select {
	case r := <-ch:
		return r, nil
	case <-a.dead:
		return counter.Reply{}, ErrStopped
	case <-a.over:
		return counter.Reply{}, ErrStopped
	case <-ctx.Done():
		return counter.Reply{}, a.whyNot(ctx)
	}
}

func (a *Agent) whyNot(ctx context.Context) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return ErrStopped
}

// Now is the present by the agent's clock.
func (a *Agent) Now() order.Now { return a.parts.Clock.Now() }

// Config is the configuration the agent runs with.
func (a *Agent) Config() config.Config { return a.cfg }

// Platform tells what the counter knows of a platform.
func (a *Agent) Platform(name string) counter.Platform { return a.shape.Platforms[name] }

// policyOf turns configured figures into the schedule of package order.
func policyOf(p config.Policy) order.Policy {
	return order.Policy{PayTimeout: p.PayTimeout, PresentTimeout: p.PresentTimeout, CallTimeout: p.CallTimeout,
		FirstQuery: p.FirstQuery, QueryEvery: p.QueryEvery, Horizon: p.Horizon, HorizonWeChat: p.HorizonWeChat,
		CancelNotBefore: p.CancelNotBefore, ManualAfter: p.ManualAfter, PresentEvery: p.PresentEvery,
		PresentQueries: p.PresentQueries, H5Horizon: p.H5Horizon, H5Every: p.H5Every, AuthoriseWait: p.AuthoriseWait, SettleWait: p.SettleWait,
		QuickCancels: p.QuickCancels, Backoff: p.Backoff, NotFoundFinal: p.NotFoundFinal,
		LateWatch: p.LateWatch, CancelWindow: p.CancelWindow, RefundSpacing: p.RefundSpacing, CodeAge: p.CodeAge}
}
