package uplinktest_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"payagent/uplink"
	"payagent/uplink/uplinktest"
)

// memory is the rig of the broker in memory.
func memory() (*uplinktest.Broker, *uplinktest.Rig) {
	b := uplinktest.NewBroker()
	b.Deny("denied/#")
	return b, &uplinktest.Rig{Bus: b.Bus, Cut: b.Cut, Refuse: b.Refuse, Kill: b.Forget, Close: b.Close}
}

func TestBroker(t *testing.T) {
	uplinktest.TestBus(t, uplinktest.BusMember{Open: func() (*uplinktest.Rig, error) {
		_, rig := memory()
		return rig, nil
	}})
}

// wrong is a right client with one thing broken.
type wrong struct {
	uplink.Bus
	broker *uplinktest.Broker
	name   string

	glad, swaps, cuts, late, mute, everything, forgets, unmarks, marks, anyTopic, stopsNot, stopsAll,
	willAtClose, serial, deaf, hides, alwaysUp, noCause, neverKicked, truncates, lives, panicsNot, loses bool

	mu      sync.Mutex
	handing sync.Mutex
	all     []func()
	held    *uplink.Message
	ups     int
}

func (w *wrong) Publish(ctx context.Context, m uplink.Message) error { return <-w.Send(ctx, m) }

func result(err error) <-chan error {
	c := make(chan error, 1)
	c <- err
	return c
}

func (w *wrong) Send(ctx context.Context, m uplink.Message) <-chan error {
	l, _ := w.Bus.Link()
	switch {
	case w.glad:
		go func() { _ = w.Bus.Publish(context.WithoutCancel(ctx), m) }()
		return result(nil)
	case w.loses && !l.Up:
		return result(nil)
	case w.late && !l.Up:
		w.Bus.Send(context.WithoutCancel(ctx), m)
		return w.Bus.Send(ctx, m)
	case w.mute && !l.Up:
		return result(errors.New("cannot publish: no connection"))
	case w.truncates && len(m.Payload) > uplink.MaxPayload:
		m.Payload = m.Payload[:10]
	case w.anyTopic && uplink.CheckTopic(m.Topic) != nil:
		m.Topic = "o"
	case w.swaps:
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.held == nil && string(m.Payload) == "7" {
			w.held = &m
			return result(nil)
		}
		if h := w.held; h != nil {
			w.held = nil
			defer w.Bus.Send(context.WithoutCancel(ctx), *h)
		}
	}
	return w.Bus.Send(ctx, m)
}

func (w *wrong) Subscribe(filter string, handle func(uplink.Message)) (func(), error) {
	inner := handle
	var cut <-chan struct{} // closed when the connection is lost
	if w.forgets {
		_, cut = w.Bus.Link()
	}
	handle = func(m uplink.Message) {
		select {
		case <-cut:
			return
		default:
		}
		if w.unmarks {
			m.Retain = false
		}
		if w.marks {
			m.Retain = true
		}
		if w.serial {
			w.handing.Lock()
			defer w.handing.Unlock()
		}
		inner(m)
	}
	at := filter
	if w.everything && uplink.CheckFilter(filter) == nil && filter != "denied/#" {
		at = "#"
	}
	if w.deaf && filter == "second" {
		return nil, errors.New("cannot subscribe from a handler")
	}
	stop, err := w.Bus.Subscribe(at, handle)
	if w.hides && err != nil && !errors.Is(err, uplink.ErrClosed) {
		return func() {}, nil
	}
	if err != nil {
		return stop, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, stop)
	return func() {
		if w.stopsNot {
			return
		}
		stop()
		if w.stopsAll {
			w.mu.Lock()
			defer w.mu.Unlock()
			for _, s := range w.all {
				s()
			}
		}
	}, nil
}

func (w *wrong) Link() (uplink.Link, <-chan struct{}) {
	l, changed := w.Bus.Link()
	l.Up = l.Up || w.alwaysUp
	if w.noCause {
		l.Cause = ""
	}
	if w.neverKicked {
		l.Kicked = 0
	}
	return l, changed
}

func (w *wrong) Close() error {
	if w.lives {
		return nil
	}
	if w.willAtClose {
		w.broker.Refuse(true)
		w.broker.Cut(w.name)
		defer w.broker.Refuse(false)
	}
	return w.Bus.Close()
}

// TestBusSuiteCanFail: each broken client is caught by the cases about what it
// breaks.
func TestBusSuiteCanFail(t *testing.T) {
	for name, c := range map[string]struct {
		tune   func(*wrong)
		caught []string
	}{
		"acknowledges by itself":         {func(w *wrong) { w.glad = true }, []string{"waits-for-a-connection", "too-large", "close"}},
		"swaps two":                      {func(w *wrong) { w.swaps = true }, []string{"order", "order-through-cuts"}},
		"throws away while down":         {func(w *wrong) { w.loses = true }, []string{"waits-for-a-connection"}},
		"sends what was given up":        {func(w *wrong) { w.late = true }, []string{"waits-for-a-connection"}},
		"does not wait":                  {func(w *wrong) { w.mute = true }, []string{"waits-for-a-connection", "close"}},
		"takes every size":               {func(w *wrong) { w.truncates = true }, []string{"too-large"}},
		"takes every topic":              {func(w *wrong) { w.anyTopic = true }, []string{"too-large"}},
		"forgets subscriptions":          {func(w *wrong) { w.forgets = true }, []string{"subscription-outlives-the-broker", "away"}},
		"does not mark kept messages":    {func(w *wrong) { w.unmarks = true }, []string{"retained"}},
		"marks live messages":            {func(w *wrong) { w.marks = true }, []string{"retained"}},
		"delivers everything":            {func(w *wrong) { w.everything = true }, []string{"wildcards"}},
		"does not stop":                  {func(w *wrong) { w.stopsNot = true }, []string{"stop"}},
		"stops too much":                 {func(w *wrong) { w.stopsAll = true }, []string{"stop"}},
		"leaves its will at Close":       {func(w *wrong) { w.willAtClose = true }, []string{"will"}},
		"one handler at a time":          {func(w *wrong) { w.serial = true }, []string{"stuck-handler"}},
		"no subscription from a handler": {func(w *wrong) { w.deaf = true }, []string{"call-from-handler"}},
		"hides refusals":                 {func(w *wrong) { w.hides = true }, []string{"refused-subscription"}},
		"says up for ever":               {func(w *wrong) { w.alwaysUp = true }, []string{"link", "waits-for-a-connection", "close"}},
		"names no cause":                 {func(w *wrong) { w.noCause = true }, []string{"link", "refused-later"}},
		"does not notice its double":     {func(w *wrong) { w.neverKicked = true }, []string{"same-name"}},
		"goes on after Close":            {func(w *wrong) { w.lives = true }, []string{"close"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := uplinktest.BusMember{Hang: 2 * time.Second, Open: func() (*uplinktest.Rig, error) {
				b, rig := memory()
				rig.Bus = func(name string, will *uplink.Message) uplink.Bus {
					w := &wrong{Bus: b.Bus(name, will), broker: b, name: name}
					c.tune(w)
					return w
				}
				return rig, nil
			}}
			for _, x := range uplinktest.BusCases() {
				if !slices.Contains(c.caught, x.Name) {
					continue
				}
				// What must not be delivered may be late on a busy machine: the
				// case is allowed to miss that sometimes.
				caught := false
				for range 20 {
					if caught = uplinktest.RunBus(m, x) != nil; caught {
						break
					}
				}
				if !caught {
					t.Errorf("%s did not notice", x.Name)
				}
			}
		})
	}
}

// TestEveryBusCaseCanFail: no case is without a member that it catches.
func TestEveryBusCaseCanFail(t *testing.T) {
	dead := uplinktest.BusMember{Hang: 100 * time.Millisecond, Open: func() (*uplinktest.Rig, error) {
		b, rig := memory()
		b.Refuse(true)
		rig.Refuse = func(bool) {}
		return rig, nil
	}}
	for _, c := range uplinktest.BusCases() {
		if uplinktest.RunBus(dead, c) == nil {
			t.Errorf("%s passes without any connection", c.Name)
		}
	}
}
