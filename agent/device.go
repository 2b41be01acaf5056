package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/devices"
)

// The kinds of devices.
const (
	KindScanner = "scanner"
	KindDisplay = "display"
)

// Device is what is known of one scanner or display (DEV-15). It never holds a
// scanned text.
type Device struct {
	Name, Till string
	Kind       string // KindScanner or KindDisplay
	Role       string // of a scanner
	NoPay      bool   // a scanner whose codes never pay
	// Present tells that it works as far as is known; one of which nothing was
	// said yet counts as present.
	Present bool
	Reason  string // stable code: why it is absent, or what to check; see words
	Since   int64  // Unix ms: when it came or went last, 0 for never
	Found   devices.Found
	Counts  *devices.Counts // nil where the driver keeps none
	Dirty   bool            // more than 15 % of the last 50 reads were bad
	Silent  bool            // a scanner that has read nothing for 24 hours
	Actions []string        // what TestDevice can do, sorted
}

// The hints about scanners.
const (
	window     = 50 // reads looked at
	badPercent = 15
	silentFor  = 24 * time.Hour
)

// ShowTest is the action of every display: a test screen for three seconds.
const ShowTest = "show"

// ErrNoDevice is returned for a name that no device has.
var ErrNoDevice = errors.New("there is no device of that name; see GET /v1/devices")

// ErrInUse is returned when a display shows a payment.
var ErrInUse = errors.New("the display shows a payment now; test it when the payment is over")

// gear is one device with what happened to it.
type gear struct {
	Device
	part  any // the member
	heard time.Duration
	was   devices.Counts // as looked at last
	marks []bool         // of the last reads: true is bad
	test  chan struct{}  // asks a display for its test screen
}

// gears are all devices. Their order is that of the configuration.
type gears struct {
	mu   sync.Mutex
	list []*gear
	by   map[string]*gear
}

func newGears(p Parts) *gears {
	g := &gears{by: map[string]*gear{}}
	add := func(x *gear) {
		x.Present = true
		x.test = make(chan struct{}, 1)
		g.list = append(g.list, x)
		g.by[x.Name] = x
	}
	for _, t := range p.Config.Tills {
		for _, s := range p.Scanners[t.Name] {
			add(&gear{Device: Device{Name: s.Name, Till: t.Name, Kind: KindScanner, Role: cmp.Or(s.Role, RolePad), NoPay: s.NoPay}, part: s.Scanner, heard: p.Clock.Now().Mono})
		}
		for _, d := range p.Displays[t.Name] {
			add(&gear{Device: Device{Name: d.Name, Till: t.Name, Kind: KindDisplay}, part: d.Display})
		}
	}
	return g
}

func (g *gears) find(name string) *gear {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.by[name]
}

// set notes that a device came or went; changed is false for no news.
func (g *gears) set(name string, present bool, reason string, found devices.Found, at int64) (d Device, works, changed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	x := g.by[name]
	if x == nil {
		return Device{}, false, false
	}
	changed = x.Since == 0 && x.Kind == KindScanner || x.Present != present || x.Reason != reason || found != (devices.Found{}) && x.Found != found
	if x.Present != present || x.Since == 0 {
		x.Since = at
	}
	x.Present, x.Reason = present, reason
	if found != (devices.Found{}) {
		x.Found = found
	}
	for _, y := range g.list {
		works = works || y.Till == x.Till && y.Kind == KindScanner && y.Present
	}
	return x.Device, works, changed
}

// read notes that a scanner read something.
func (g *gears) read(name string, now order.Now) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if x := g.by[name]; x != nil {
		x.heard = now.Mono
		x.look(now)
	}
}

// look brings counts, hints and place up to date. The lock is held; the member
// answers without waiting.
func (x *gear) look(now order.Now) {
	if p, ok := x.part.(devices.Placed); ok && x.Present {
		if f := p.Place(); f != (devices.Found{}) {
			x.Found = f
		}
	}
	if x.Kind != KindScanner {
		return
	}
	if c, ok := x.part.(devices.Counting); ok {
		n := c.Counts()
		x.mark(true, n.Bad+n.Cut-x.was.Bad-x.was.Cut)
		x.mark(false, n.Good-x.was.Good)
		if n.Good > x.was.Good {
			x.heard = now.Mono
		}
		x.was, x.Counts = n, &n
	}
	bad := 0
	for _, b := range x.marks {
		if b {
			bad++
		}
	}
	x.Dirty = len(x.marks) == window && bad*100 > window*badPercent
	x.Silent = x.Present && now.Mono-x.heard >= silentFor
}

// mark notes n reads.
func (x *gear) mark(bad bool, n uint64) {
	for range min(n, window) {
		x.marks = append(x.marks, bad)
	}
	if over := len(x.marks) - window; over > 0 {
		x.marks = slices.Delete(x.marks, 0, over)
	}
}

// Devices lists the scanners and displays, in the order of the configuration.
func (a *Agent) Devices() []Device {
	now := a.Now()
	a.gears.mu.Lock()
	defer a.gears.mu.Unlock()
	list := make([]Device, 0, len(a.gears.list))
	for _, x := range a.gears.list {
		x.look(now)
		d := x.Device
		d.Actions = x.actions()
		list = append(list, d)
	}
	return list
}

func (x *gear) actions() []string {
	var list []string
	if acting, ok := x.part.(devices.Acting); ok {
		list = append(list, acting.Actions()...)
	}
	if x.Kind == KindDisplay && !slices.Contains(list, ShowTest) {
		list = append(list, ShowTest)
		slices.Sort(list)
	}
	return list
}

// Presence tells that a device came or went. It does not wait: it may be
// called by the goroutine that reads the scanner, and before Run.
func (a *Agent) Presence(till string, p devices.Presence) {
	d, works, changed := a.gears.set(p.Device, p.Present, reasonOf(p.Err), p.Found, a.Now().Wall)
	if d.Name == "" {
		a.log.Warn("a device that is not configured came or went", "till", till, "device", p.Device)
		return
	}
	a.stats.present(d.Name, p.Present)
	if changed {
		a.memory.grew()
	}
	if d.Kind != KindScanner {
		return
	}
	select {
	case a.events <- counter.Presence{Till: d.Till, Scanner: works}:
	default:
		a.log.Warn("scanner's state not shown, too much is going on", "till", d.Till, "device", d.Name)
	}
}

// reasonOf gives the stable code for why a device is away.
func reasonOf(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, devices.ErrSwapped):
		return "swapped"
	case errors.Is(err, devices.ErrAbsent), errors.Is(err, fs.ErrNotExist):
		return "absent"
	case errors.Is(err, devices.ErrSeveral):
		return "several"
	case errors.Is(err, devices.ErrGone):
		return "gone"
	case errors.Is(err, fs.ErrPermission):
		return "no_permission"
	}
	return "cannot_open"
}

// TestDevice lets a device do one of its actions: the test screen of a display,
// never while a payment is on it, or a named action of the driver's profile.
// Errors wrap ErrNoDevice, ErrInUse, devices.ErrNoAction or devices.ErrGone.
func (a *Agent) TestDevice(ctx context.Context, name, action string) error {
	x := a.gears.find(name)
	if x == nil {
		return fmt.Errorf("cannot test %s: %w", name, ErrNoDevice)
	}
	acting, acts := x.part.(devices.Acting)
	switch {
	case acts && slices.Contains(acting.Actions(), action):
		return acting.Do(ctx, action)
	case x.Kind != KindDisplay || action != ShowTest:
		return fmt.Errorf("cannot do %q with %s: %w", action, name, devices.ErrNoAction)
	}
	if v, _ := a.memory.view(x.Till); !a.free(v) {
		return fmt.Errorf("cannot test %s: %w", name, ErrInUse)
	}
	select {
	case x.test <- struct{}{}:
	default: // asked for already
	}
	return nil
}
