package box

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"payagent/agent"
	"payagent/agent/fleet"
	"payagent/uplink"
)

// The pace of looking.
const (
	lookEvery  = 5 * time.Second  // at least
	lookPause  = time.Second      // at most
	proveEvery = 30 * time.Second // that loop and store live
	proveWait  = 5 * time.Second
	twinEvery  = time.Minute
	platFresh  = 3 * time.Minute // a platform that is probed and silent for so long is not fresh
)

// The reasons of this package for not being ready; the agent's own come from
// agent.Ready.
const (
	whyLoop     = "store_not_fresh"   // the counter or its store did not answer in 5 s
	whyClock    = "clock_wrong"       // it must be set
	whyScanner  = "scanner_absent"    // :till.device
	whyPlatform = "platform_not_seen" // :platform
)

// watch looks at the agent and keeps what the broker shows of this box.
func (b *Box) watch(ctx context.Context) error {
	var proved, twin, said time.Time
	proof := false
	for {
		changed := b.o.Agent.Changed()
		now := time.Now()
		if proved.IsZero() || now.Sub(proved) >= proveEvery {
			call, stop := context.WithTimeout(ctx, proveWait)
			proof = b.o.Agent.Flush(call) == nil
			stop()
			proved = time.Now()
		}
		if ctx.Err() != nil {
			return nil
		}
		if err := b.lookAlarms(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		b.look(proof)
		b.showDevices()
		if twin.IsZero() || now.Sub(twin) >= twinEvery {
			b.showTwin(ctx)
			twin = now
		}
		if said.IsZero() || now.Sub(said) >= b.every {
			b.say()
			b.sample()
			said = now
		}
		b.forgetStates()
		b.book.save()
		if !pause(ctx, lookPause) {
			return nil
		}
		timer := time.NewTimer(lookEvery - lookPause)
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return nil
		}
	}
}

// look finds the state, and says it at once if it is news.
func (b *Box) look(proof bool) {
	why := b.reasons(proof)
	open := 0
	for _, o := range b.o.Agent.Open() {
		if !o.State().Final() {
			open++
		}
	}
	state := fleet.StateReady
	if len(why) > 0 {
		state = fleet.StateAlert
	}
	b.mu.Lock()
	s := &b.status
	news := s.State != state || !slices.Equal(s.Reasons, why) || s.Open != open
	if s.State != state {
		s.State, s.Since = state, b.now()
	}
	s.Reasons, s.Open = why, open
	b.mu.Unlock()
	if news {
		b.say()
	}
}

// present is the status as of now. What was written since it was counted waits
// too: a hub takes a status with nothing waiting as the proof that it has all
// there was up to then. The lock is held.
func (b *Box) present() fleet.Status {
	s := b.status
	s.At = b.now()
	if last := b.o.Agent.LastEvent(); last > b.counted {
		s.Waiting += int(last - b.counted)
	}
	return s
}

// say writes the status.
func (b *Box) say() {
	b.mu.Lock()
	data, err := json.Marshal(b.present())
	b.mu.Unlock()
	if err == nil {
		b.board.put(b.topic(fleet.LevelStatus), data)
	}
}

// reasons says why the box is not ready: ready is only what is known to be so
// now, of store, clock, scanners and platforms.
func (b *Box) reasons(proof bool) []string {
	a := b.o.Agent
	_, why := a.Ready()
	if !proof {
		why = append(why, whyLoop)
	}
	if b.o.Clock.Wrong() {
		why = append(why, whyClock)
	}
	for _, d := range a.Devices() {
		if d.Kind == agent.KindScanner && !d.Present {
			why = append(why, whyScanner+":"+d.Till+"."+d.Name)
		}
	}
	for _, p := range a.Config().Platforms {
		ago, heard, probed := a.Reached(p.Name)
		if probed && (!heard || ago > platFresh) && !slices.Contains(a.Health().Down, p.Name) {
			why = append(why, whyPlatform+":"+p.Name)
		}
	}
	for code := range b.active {
		if b.isCondition(code) {
			why = append(why, "alarm:"+code)
		}
	}
	slices.Sort(why)
	return slices.Compact(why)
}

// device is what is shown of a scanner or display at dev/<till>.<device>.
type device struct {
	At      time.Time `json:"at"`
	Name    string    `json:"name"`
	Till    string    `json:"till"`
	Kind    string    `json:"kind"`
	Role    string    `json:"role,omitempty"`
	Present bool      `json:"present"`
	Reason  string    `json:"reason,omitempty"`
	Since   time.Time `json:"since,omitzero"`
	Model   string    `json:"model,omitempty"`
	Place   string    `json:"place,omitempty"`
	Serial  string    `json:"serial,omitempty"`
	USB     string    `json:"usb,omitempty"`
	Driver  string    `json:"driver,omitempty"`
	Dirty   bool      `json:"dirty,omitempty"`
	Silent  bool      `json:"silent,omitempty"`
	Actions []string  `json:"actions,omitempty"`
}

// showDevices writes the child devices that changed.
func (b *Box) showDevices() {
	for _, d := range b.o.Agent.Devices() {
		v := deviceOf(d)
		b.show1(b.topic(fleet.LevelDevice, d.Till+"."+d.Name), v, func(at time.Time) any { v.At = at; return v })
	}
}

// show1 writes a part of the picture if it changed; its time is when it did.
func (b *Box) show1(topic string, bare any, with func(at time.Time) any) {
	plain, err := json.Marshal(bare)
	if err != nil || b.shown[topic] == string(plain) {
		return
	}
	data, err := json.Marshal(with(b.now()))
	if err != nil {
		return
	}
	b.shown[topic] = string(plain)
	b.board.put(topic, data)
}

// showTwin writes the parts of the inventory that changed.
func (b *Box) showTwin(ctx context.Context) {
	parts := map[string]any{}
	if b.o.Twin != nil {
		parts = b.o.Twin(ctx)
	}
	parts["platforms"] = b.platforms()
	for name, v := range parts {
		b.show1(b.topic(fleet.LevelTwin, name), v, func(at time.Time) any { return part{at, v} })
	}
}

// part is a part of the inventory with the time at which it changed.
type part struct {
	at time.Time
	v  any
}

// MarshalJSON puts the time among the part's own fields.
func (p part) MarshalJSON() ([]byte, error) {
	data, err := json.Marshal(p.v)
	if err != nil || len(data) < 2 || data[0] != '{' {
		return data, err
	}
	at, err := json.Marshal(p.at)
	if err != nil {
		return nil, err
	}
	out := append([]byte(`{"at":`), at...)
	if len(data) > 2 {
		out = append(out, ',')
	}
	return append(out, data[1:]...), nil
}

// platformPart is one payment platform in twin/platforms.
type platformPart struct {
	Name     string   `json:"name"`
	Driver   string   `json:"driver"`
	Uplink   string   `json:"uplink"`
	Up       bool     `json:"up"`
	BadToken []string `json:"bad_tokens,omitempty"` // merchant profiles whose token was refused
	// SecondWay is there for platforms with two ways: "in_use", or what the last
	// look at the second way told: up, down, unknown. Uplink is the way in use.
	SecondWay string `json:"second_way,omitempty"`
}

func (b *Box) platforms() any {
	a := b.o.Agent
	h, c := a.Health(), a.Config()
	list := []platformPart{}
	for _, p := range c.Platforms {
		x := platformPart{Name: p.Name, Driver: p.Driver, Uplink: p.Uplink, Up: !slices.Contains(h.Down, p.Name)}
		if w, ok := a.Ways(p.Name); ok {
			x.SecondWay = string(w.Spare)
			if w.Second {
				x.Uplink, x.SecondWay = p.SecondWay.Uplink, "in_use"
			}
		}
		for _, m := range c.Merchants {
			if m.Platform == p.Name && slices.Contains(h.BadTokens, m.Profile) {
				x.BadToken = append(x.BadToken, m.Profile)
			}
		}
		list = append(list, x)
	}
	return map[string]any{"platforms": list}
}

// showCan writes what may be ordered.
func (b *Box) showCan() {
	for _, v := range b.verbs {
		role, _ := fleet.RoleFor(v.Name)
		schema := json.RawMessage(v.Schema)
		if !json.Valid(schema) {
			schema = json.RawMessage(`{"type":"object"}`)
		}
		data, err := json.Marshal(fleet.Capability{Verb: v.Name, Role: role, Disturbs: v.Disturbs, Schema: schema})
		if err == nil {
			b.board.put(b.topic(fleet.LevelCan, v.Name), data)
		}
	}
}

// sample sends a few figures that may be lost: three messages per interval.
func (b *Box) sample() {
	c, _ := b.online()
	if c == nil {
		return
	}
	groups := map[string]any{"devices": b.counts(), "fleet": b.figures(), "process": process()}
	for name, v := range groups {
		data, err := json.Marshal(part{b.now(), v})
		if err != nil {
			continue
		}
		b.bus.Send(c.ctx, uplink.Message{Topic: b.topic(fleet.LevelSample, name), Payload: data, Sample: true})
		b.stats.add(&b.stats.samples, 1)
	}
}
