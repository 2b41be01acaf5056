package swap

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"time"

	"payagent/agent"
	"payagent/agent/fleet"
	"payagent/uplink"
)

// The pace.
const (
	putWait        = 30 * time.Second
	subscribeAgain = time.Minute
	takeAgain      = 30 * time.Second // what could not be taken over is tried again
	askAfter       = 20 * time.Second // without the broker, until the authority is asked
	askEvery       = 5 * time.Minute
	drain          = 30 * time.Second // for a replaced box to tell what it has to tell
)

// AlarmNotTaken is raised when what the box before this one left open cannot be
// taken over. That this box was replaced is no alarm: at the broker it would
// stand under the other one's name.
const AlarmNotTaken = "orders_not_taken_over"

// Counter is what an agent does here.
type Counter interface {
	Left(limit int) (list []agent.Left, more int)
	Changed() <-chan struct{}
	TakeOver(ctx context.Context, list []agent.Left) error
	Replace(ctx context.Context)
}

// Options are the parts. All are required unless it says otherwise.
type Options struct {
	Counter Counter
	Place   fleet.Place
	// Dir is where it is remembered that the box was replaced.
	Dir string
	// Pair and Authority read the box's certificate with its key, and the
	// fleet's authority: files may be renewed.
	Pair      func() (tls.Certificate, error)
	Authority func() ([]byte, error)
	// Newest asks the authority for the certificate of the newest box of this
	// name, for a box that the broker does not let in; nil: it is not asked.
	Newest func(ctx context.Context) ([]byte, error)
	// Alarm raises an alarm.
	Alarm func(code string)
	// Leave ends the connection to the broker for good: another box has the
	// name.
	Leave  func()
	Logger *slog.Logger
}

// Swap is a box's part in its own succession. Make it with New.
type Swap struct {
	o          Options
	generation uint64
	put        string            // the list that the broker has
	waits      map[uint64][]byte // lists of earlier boxes that are not taken over
	empty      []uint64          // and those that are, to be cleared
	alarmed    bool
	replaced   time.Time // zero: it is not
}

// New prepares. The box must have a certificate.
func New(o Options) (*Swap, error) {
	pair, err := o.Pair()
	if err != nil {
		return nil, err
	}
	return &Swap{o: o, generation: fleet.Generation(pair.Leaf), waits: map[uint64][]byte{}}, nil
}

// Generation is that of this box's enrolment.
func (s *Swap) Generation() uint64 { return s.generation }

// Run serves until ctx ends, or until the box was replaced and has left.
func (s *Swap) Run(ctx context.Context, bus uplink.Bus) {
	came := make(chan uplink.Message, 64)
	take := func(m uplink.Message) {
		select {
		case came <- m:
		case <-ctx.Done():
		}
	}
	var stop func()
	var asked, tried time.Time
	ask := time.Now().Add(askAfter + rand.N(askAfter))
	for {
		now := time.Now()
		if stop == nil && (asked.IsZero() || now.Sub(asked) >= subscribeAgain) {
			end, err := bus.Subscribe(s.topic("+"), take)
			switch {
			case err == nil:
				stop = end
				defer stop()
			case errors.Is(err, uplink.ErrClosed):
				return
			default:
				asked = now
				s.o.Logger.Error("the broker refuses the subscription to open orders; see its access list in docs/mqtt.md", "error", err)
			}
		}
		link, linked := bus.Link()
		changed := s.o.Counter.Changed()
		wait := takeAgain
		switch {
		case link.Up:
			s.publish(ctx, bus)
			ask = now.Add(askAfter + rand.N(askAfter))
		case s.replaced.IsZero() && s.o.Newest != nil && now.After(ask):
			s.askAuthority(ctx)
			ask = now.Add(askEvery/2 + rand.N(askEvery))
		}
		if !s.replaced.IsZero() {
			left := drain - time.Since(s.replaced)
			if !link.Up || left <= 0 {
				s.o.Leave()
				return
			}
			wait = min(wait, left)
		}
		if !link.Up {
			wait = min(wait, max(0, time.Until(ask))+time.Millisecond)
		}
		if len(s.waits) > 0 && now.Sub(tried) >= takeAgain {
			tried = now
			for n := range s.waits {
				s.takeOver(ctx, n)
			}
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case m := <-came:
			s.hear(ctx, m)
		case <-linked:
			s.put = "" // the broker may have lost its memory
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

func (s *Swap) topic(generation string) string {
	return s.o.Place.Topic(fleet.LevelOpen, generation)
}

// publish shows what is open here, if the broker has something else, and then
// clears what was taken over from others: their orders stand in this list by
// then, or have ended.
func (s *Swap) publish(ctx context.Context, bus uplink.Bus) {
	l := List{Site: s.o.Place.Site, Box: s.o.Place.Box, Generation: s.generation, Orders: []agent.Left{}}
	list, more := s.o.Counter.Left(maxOrders)
	l.Orders, l.More = append(l.Orders, list...), more
	payload, err := json.Marshal(l)
	if err != nil {
		return
	}
	ctx, stop := context.WithTimeout(ctx, putWait)
	defer stop()
	if text := string(payload); text != s.put {
		pair, err := s.o.Pair()
		var data []byte
		if err == nil {
			data, err = sign(payload, pair)
		}
		if err == nil {
			err = bus.Publish(ctx, uplink.Message{Topic: s.topic(strconv.FormatUint(s.generation, 10)), Payload: data, Retain: true})
		}
		if err != nil {
			s.o.Logger.Warn("the open orders could not be left at the broker", "error", err)
			return
		}
		s.put = text
	}
	for len(s.empty) > 0 {
		if err := bus.Publish(ctx, uplink.Message{Topic: s.topic(strconv.FormatUint(s.empty[0], 10)), Retain: true}); err != nil {
			return
		}
		s.empty = s.empty[1:]
	}
}

// hear takes what a box of this name left at the broker.
func (s *Swap) hear(ctx context.Context, m uplink.Message) {
	_, levels, ok := fleet.Split(s.o.Place.Root, m.Topic)
	if !ok || len(levels) != 2 || len(m.Payload) == 0 {
		return
	}
	n, err := strconv.ParseUint(levels[1], 10, 32)
	if err != nil || n == s.generation {
		return
	}
	if n < s.generation {
		s.waits[n] = m.Payload
		s.takeOver(ctx, n)
		return
	}
	authority, err := s.o.Authority()
	if err == nil {
		var c *x509.Certificate
		if c, _, err = open(m.Payload, authority, s.o.Place); c != nil { // a list that is not understood proves it all the same
			s.replace(ctx, c)
			return
		}
	}
	s.o.Logger.Warn("somebody says that this box was replaced, and does not prove it", "error", err)
}

// replace makes durable that another box is in the place of this one, and then
// stops taking payments.
func (s *Swap) replace(ctx context.Context, other *x509.Certificate) {
	if !s.replaced.IsZero() || fleet.Generation(other) <= s.generation {
		return
	}
	if err := remember(s.o.Dir, other); err != nil {
		// It is so all the same; the next start hears it anew.
		s.o.Logger.Error("that this box was replaced could not be written down", "error", err)
	}
	s.replaced = time.Now()
	s.o.Counter.Replace(ctx)
	s.o.Logger.Error("another box is in the place of this one; it takes no payments any more", "generation", s.generation, "other", fleet.Generation(other))
}

func (s *Swap) askAuthority(ctx context.Context) {
	data, err := s.o.Newest(ctx)
	if err != nil {
		return // it is asked again
	}
	authority, err := s.o.Authority()
	if err != nil {
		return
	}
	c, err := parseCert(data)
	if err == nil {
		err = verify(c, authority, s.o.Place)
	}
	if err != nil {
		s.o.Logger.Warn("the authority's answer about this box cannot be used", "error", err)
		return
	}
	s.replace(ctx, c)
}

// takeOver books what an earlier box left open. It stays at the broker until
// it is on disk here and stands in this box's own list.
func (s *Swap) takeOver(ctx context.Context, n uint64) {
	if !s.replaced.IsZero() {
		return
	}
	authority, err := s.o.Authority()
	var l List
	if err == nil {
		var c *x509.Certificate
		if c, l, err = open(s.waits[n], authority, s.o.Place); err == nil && fleet.Generation(c) != n {
			err = errFalse
		}
	}
	if err == nil && len(l.Orders) > 0 {
		err = s.o.Counter.TakeOver(ctx, l.Orders)
	}
	if err != nil {
		if ctx.Err() == nil {
			s.o.Logger.Error("what the box before this one left open is not taken over; it is tried again", "generation", n, "error", err)
			if !s.alarmed {
				s.alarmed = true
				s.o.Alarm(AlarmNotTaken)
			}
		}
		return
	}
	if l.More > 0 && !s.alarmed { // nobody but people can find those
		s.alarmed = true
		s.o.Alarm(AlarmNotTaken)
	}
	if len(l.Orders) > 0 || l.More > 0 {
		s.o.Logger.Info("open orders of the box before this one were taken over", "generation", n, "orders", len(l.Orders), "not_told", l.More)
	}
	delete(s.waits, n)
	s.empty = append(s.empty, n)
}
