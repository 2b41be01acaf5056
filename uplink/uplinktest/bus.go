package uplinktest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"payagent/uplink"
)

// Rig is a broker with clients of the member under test, for one case.
type Rig struct {
	// Bus opens a client with a persistent session.
	Bus func(name string, will *uplink.Message) uplink.Bus
	// Cut breaks a client's connection without a good-bye; it may come back.
	Cut func(name string)
	// Refuse refuses connections (it breaks none) until it is called with false.
	Refuse func(on bool)
	// Kill ends the broker and starts it again with nothing in its memory.
	Kill func()
	// Close ends broker and clients.
	Close func()
	// Everybody is denied what fits "denied/#".
}

// BusMember is what the bus suite needs to know about a member.
type BusMember struct {
	Open func() (*Rig, error)
	// Hang bounds a case, default 2 minutes.
	Hang time.Duration
}

// BusCase is one rule of uplink.Bus.
type BusCase struct {
	Name string
	Rule string
	Run  func(*BusWorld) error
}

// BusWorld is what a case works with.
type BusWorld struct {
	*Rig
	Ctx context.Context
}

// RunBus runs one case; nil means that the rule was kept.
func RunBus(m BusMember, c BusCase) error {
	if m.Hang <= 0 {
		m.Hang = 2 * time.Minute
	}
	ctx, cancel := context.WithTimeout(context.Background(), m.Hang)
	defer cancel()
	rig, err := m.Open()
	if err != nil {
		return err
	}
	defer rig.Close()
	if err := c.Run(&BusWorld{Rig: rig, Ctx: ctx}); err != nil {
		return fmt.Errorf("%s: %w (rule: %s)", c.Name, err, c.Rule)
	}
	return nil
}

// TestBus runs all cases.
func TestBus(t *testing.T, m BusMember) {
	for _, c := range BusCases() {
		t.Run(c.Name, func(t *testing.T) {
			if err := RunBus(m, c); err != nil {
				t.Error(err)
			}
		})
	}
}

// inbox collects what a handler gets.
type inbox struct {
	mu      sync.Mutex
	got     []uplink.Message
	changed chan struct{}
}

func newInbox() *inbox { return &inbox{changed: make(chan struct{})} }

func (i *inbox) take(m uplink.Message) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.got = append(i.got, m)
	close(i.changed)
	i.changed = make(chan struct{})
}

func (i *inbox) all() []uplink.Message {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]uplink.Message(nil), i.got...)
}

// until waits until enough says so of what has arrived.
func (i *inbox) until(ctx context.Context, what string, enough func([]uplink.Message) bool) error {
	for {
		i.mu.Lock()
		ok, changed, n := enough(i.got), i.changed, len(i.got)
		i.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%s did not arrive (%d messages did)", what, n)
		}
	}
}

// has waits for a message with that payload.
func (i *inbox) has(ctx context.Context, payload string) error {
	return i.until(ctx, payload, func(got []uplink.Message) bool { return count(got, payload) > 0 })
}

func count(got []uplink.Message, payload string) int {
	n := 0
	for _, m := range got {
		if string(m.Payload) == payload {
			n++
		}
	}
	return n
}

// link waits until the link is as ok wants it.
func link(ctx context.Context, b uplink.Bus, what string, ok func(uplink.Link) bool) error {
	for {
		l, changed := b.Link()
		if ok(l) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("the link never became %s: up %v, %q, kicked %d", what, l.Up, l.Cause, l.Kicked)
		}
	}
}

func isUp(l uplink.Link) bool   { return l.Up }
func isDown(l uplink.Link) bool { return !l.Up }

// up opens a client and waits until it is connected.
func (w *BusWorld) up(name string, will *uplink.Message) (uplink.Bus, error) {
	b := w.Bus(name, will)
	return b, link(w.Ctx, b, "up", isUp)
}

// pair opens a sender, and a receiver with a subscription.
func (w *BusWorld) pair(filter string) (from, to uplink.Bus, in *inbox, err error) {
	if from, err = w.up("from", nil); err != nil {
		return
	}
	if to, err = w.up("to", nil); err != nil {
		return
	}
	in = newInbox()
	_, err = to.Subscribe(filter, in.take)
	return
}

func text(topic, payload string) uplink.Message {
	return uplink.Message{Topic: topic, Payload: []byte(payload)}
}

// brief is a time for what must come to nothing.
func brief(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, 300*time.Millisecond)
}

// settled sends a last message and waits until it has come, so that whatever
// was under way before it has come too.
func settled(ctx context.Context, from uplink.Bus, in *inbox, topic string) error {
	if err := from.Publish(ctx, text(topic, "the last")); err != nil {
		return err
	}
	return in.has(ctx, "the last")
}

var errLate = errors.New("something was delivered after the end")
