package mqtt

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"time"

	"payagent/uplink"
	"payagent/uplink/internal/way"
	"payagent/uplink/mqtt/internal/bucket"
	"payagent/uplink/mqtt/internal/sealed"
)

// TunnelConfig describes the way through the broker to the relay.
type TunnelConfig struct {
	Bus             uplink.Bus
	Root, Site, Box string
	// RelayKey is the relay's public key: 32 bytes.
	RelayKey []byte
	// Identity gives the box's certificate and its key, anew for every exchange.
	Identity func() (tls.Certificate, error)
	// Woken is told that a platform (scheme://host:port) has news of an order,
	// at most a few times a second. It proves nothing. It must not block. Nil
	// for nobody.
	Woken func(platform, order string)
	// Again is after how long an exchange without an answer asks for it again;
	// it doubles each time. Default 2 s.
	Again time.Duration
}

// Tunnel is the way through the broker to the relay, shared by all platforms
// that are reached so. It is safe for concurrent use.
type Tunnel struct {
	cfg   TunnelConfig
	key   sealed.Public
	place string

	mu      sync.Mutex
	waiting map[sealed.ID]*call
	wakeKey [32]byte
	knows   bool // wakeKey was given
	count   uint64
	wakes   bucket.Bucket
	closed  bool
	stop    []func()
	running sync.WaitGroup
}

// call waits for answers to one ask.
type call struct {
	open *sealed.Context
	got  chan sealed.Answer
}

// NewTunnel checks the configuration and listens for answers. It asks nothing.
func NewTunnel(cfg TunnelConfig) (*Tunnel, error) {
	key, err := sealed.ReadPublic(cfg.RelayKey)
	if err != nil {
		return nil, err
	}
	if cfg.Bus == nil || cfg.Identity == nil || cfg.Root == "" || cfg.Site == "" || cfg.Box == "" {
		return nil, errors.New("cannot reach the relay: bus, identity, root, site and box are all needed; check the section fleet")
	}
	if cfg.Again <= 0 {
		cfg.Again = 2 * time.Second
	}
	t := &Tunnel{cfg: cfg, key: key, place: cfg.Root + "/" + cfg.Site + "/" + cfg.Box, waiting: map[sealed.ID]*call{}}
	t.wakes = bucket.New(20, 5)
	for topic, take := range map[string]func([]byte){"/relay/ans": t.answered, "/relay/wake": t.woken} {
		stop, err := cfg.Bus.Subscribe(t.place+topic, func(m uplink.Message) { t.heard(m, take) })
		if err != nil {
			_ = t.Close()
			return nil, fmt.Errorf("cannot listen for the relay's answers: %w", err)
		}
		t.stop = append(t.stop, stop)
	}
	return t, nil
}

// heard takes one message. What the broker kept was said to somebody else, or
// long ago: it is refused and cleared.
func (t *Tunnel) heard(m uplink.Message, take func([]byte)) {
	switch {
	case m.Retain && len(m.Payload) > 0:
		ctx, stop := context.WithTimeout(context.Background(), 5*time.Second)
		done := t.cfg.Bus.Send(ctx, uplink.Message{Topic: m.Topic, Retain: true})
		go func() {
			defer stop()
			<-done
		}()
	case !m.Retain:
		take(m.Payload)
	}
}

func (t *Tunnel) answered(payload []byte) {
	id, ok := sealed.IDOf(payload)
	if !ok {
		return
	}
	t.mu.Lock()
	c := t.waiting[id]
	t.mu.Unlock()
	if c == nil {
		return // nobody waits any more, or it was never ours
	}
	a, err := c.open.Open(payload)
	if err != nil {
		return // forged, spoilt, or the answer to an earlier ask of the same exchange
	}
	select {
	case c.got <- a:
	default: // the same answer is there many times already
	}
}

func (t *Tunnel) woken(payload []byte) {
	t.mu.Lock()
	key, knows := t.wakeKey, t.knows
	t.mu.Unlock()
	if !knows || t.cfg.Woken == nil {
		return
	}
	k, err := sealed.OpenWake(key, t.place, payload)
	if err != nil {
		return
	}
	t.mu.Lock()
	fresh := k.Count > t.count
	if fresh {
		t.count = k.Count
	}
	ok := fresh && t.wakes.Take(time.Now())
	t.mu.Unlock()
	if ok {
		t.cfg.Woken(k.Platform, k.Order)
	}
}

// ask says one thing to the relay and waits for an answer that fits.
// An error means that no such answer
// came before ctx ended.
func (t *Tunnel) ask(ctx context.Context, a sealed.Ask, fits func(sealed.Answer) bool) (sealed.Answer, error) {
	payload, c, err := t.seal(a)
	if err != nil {
		return sealed.Answer{}, &uplink.NotSent{Err: err}
	}
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return sealed.Answer{}, &uplink.NotSent{Err: way.ErrClosed}
	}
	t.waiting[a.ID] = c
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		if t.waiting[a.ID] == c {
			delete(t.waiting, a.ID)
		}
		t.mu.Unlock()
	}()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the sending as well
	m := uplink.Message{Topic: t.place + "/relay/req", Payload: payload}
	sent := t.cfg.Bus.Send(ctx, m)
	wait := t.cfg.Again
	again := time.NewTimer(wait)
	defer again.Stop()
	for {
		select {
		case got := <-c.got:
			if fits(got) {
				return got, nil
			}
		case err := <-sent:
			sent = nil
			if errors.Is(err, uplink.ErrClosed) {
				return sealed.Answer{}, err
			}
		case <-again.C:
			// The same bytes: the relay does nothing twice, and answers what
			// it answered before. While the first is still on its way to the
			// broker, a second would only follow it.
			if sent == nil {
				sent = t.cfg.Bus.Send(ctx, m)
			}
			wait *= 2
			again.Reset(wait)
		case <-ctx.Done():
			return sealed.Answer{}, t.why(ctx)
		}
	}
}

func (t *Tunnel) seal(a sealed.Ask) ([]byte, *call, error) {
	me, err := t.cfg.Identity()
	if err != nil {
		return nil, nil, err
	}
	payload, open, err := sealed.SealAsk(t.key, t.place, me, a)
	if err != nil {
		return nil, nil, err
	}
	return payload, &call{open: open, got: make(chan sealed.Answer, 4)}, nil
}

// why says for people what was probably missing when no answer came.
func (t *Tunnel) why(ctx context.Context) error {
	cause := context.Cause(ctx)
	if l, _ := t.cfg.Bus.Link(); !l.Up {
		return fmt.Errorf("there is no connection to the broker (%s): %w", l.Cause, cause)
	}
	return fmt.Errorf("the relay did not answer through the broker; is payfleet relay running, and does it have this box's authority: %w", cause)
}

// giveUp tells the relay that nobody waits any more, as far as that is quick.
func (t *Tunnel) giveUp(a sealed.Ask) {
	if l, _ := t.cfg.Bus.Link(); !l.Up {
		return
	}
	payload, _, err := t.seal(sealed.Ask{Op: sealed.OpGiveUp, ID: a.ID, Platform: a.Platform})
	if err != nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	ctx, stop := context.WithTimeout(context.Background(), time.Second)
	done := t.cfg.Bus.Send(ctx, uplink.Message{Topic: t.place + "/relay/req", Payload: payload, Sample: true})
	t.running.Go(func() {
		defer stop()
		<-done
	})
}

// learn keeps what wake-ups are sealed with.
func (t *Tunnel) learn(a sealed.Answer) {
	t.mu.Lock()
	t.wakeKey, t.knows = a.WakeKey, true
	t.mu.Unlock()
}

// Close stops listening. Routes over it can reach nothing any more; the bus
// stays open.
func (t *Tunnel) Close() error {
	t.mu.Lock()
	t.closed = true
	stop := t.stop
	t.stop = nil
	t.mu.Unlock()
	for _, f := range stop {
		f()
	}
	t.running.Wait()
	return nil
}
