package devices

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Presence says that a device came or went.
type Presence struct {
	Device  string
	Present bool
	Found   Found // the physical device, where the member knows it
	Err     error // why it is absent; holds no scanned text
	At      time.Time
}

// ReopenConfig says how to keep a scanner open.
type ReopenConfig struct {
	Device string // the device's name in the configuration
	// Open opens the scanner. It is called by one goroutine, never twice at
	// once, and only after the one before was closed.
	Open func() (Scanner, error)
	// First and Most bound the pause between two tries, which doubles. The
	// defaults, 100 ms and 1 s, make a scanner usable within 2 s of a re-plug.
	First, Most time.Duration
	// Refresh closes and opens the scanner again when no code came for that
	// long, as a cure for those that hang without an error and cannot be asked
	// (DEV-08). 0 means never; a few hours suit. It is no absence and is not
	// told as one, unless the scanner does not open again. At least a minute.
	Refresh time.Duration
	// Busy puts a refresh off, looked at again every minute, for instance while
	// somebody is asked to scan. May be nil.
	Busy func() bool
	// Notify is told each change, the first state included, by the goroutine
	// that reads: it must not block. May be nil.
	Notify func(Presence)
}

// errReopenClosed is what Scan gives after Close.
var errReopenClosed = errors.New("cannot scan any more: the scanner was closed; open it again")

// errRefresh is why a scanner is closed that only waited for long.
var errRefresh = errors.New("it is opened again after a long silence")

// busyPause is how long a refresh waits for a till that is busy.
const busyPause = time.Minute

// Reopened is a scanner that outlives its device.
type Reopened struct {
	cfg  ReopenConfig
	out  chan Scan
	ctx  context.Context
	stop context.CancelFunc
	done chan struct{}

	mu  sync.Mutex
	now Scanner // open at the moment, or nil
	was Counts  // of those before
}

var (
	_ Scanner  = (*Reopened)(nil)
	_ Counting = (*Reopened)(nil)
	_ Placed   = (*Reopened)(nil)
	_ Acting   = (*Reopened)(nil)
)

// unread is how many codes wait for a caller; older ones are dropped, since an
// old code is worth nothing.
const unread = 8

// Reopen gives a scanner that opens its device again whenever it is gone, for
// as long as it takes, until Close. Its Scan waits through an absence and
// fails only with its context or after Close.
func Reopen(cfg ReopenConfig) *Reopened {
	if cfg.First <= 0 {
		cfg.First = 100 * time.Millisecond
	}
	if cfg.Most <= 0 {
		cfg.Most = time.Second
	}
	cfg.Most = max(cfg.Most, cfg.First)
	if cfg.Refresh > 0 {
		cfg.Refresh = max(cfg.Refresh, busyPause)
	}
	r := &Reopened{cfg: cfg, out: make(chan Scan, unread), done: make(chan struct{})}
	r.ctx, r.stop = context.WithCancel(context.Background())
	go r.loop()
	return r
}

func (r *Reopened) loop() {
	defer close(r.done)
	pause := r.cfg.First
	known, present := false, false
	tell := func(now bool, err error) {
		if known && present == now {
			return
		}
		known, present = true, now
		if r.cfg.Notify != nil {
			r.cfg.Notify(Presence{Device: r.cfg.Device, Present: now, Found: r.Place(), Err: err, At: time.Now()})
		}
	}
	for r.ctx.Err() == nil {
		s, err := r.cfg.Open()
		if err == nil {
			r.hold(s)
			tell(true, nil)
			since := time.Now()
			err = r.read(s)
			// The device closes before it is looked for again: an open handle
			// would make its next plug another node.
			_ = s.Close()
			r.hold(nil)
			if r.ctx.Err() != nil {
				return
			}
			if errors.Is(err, errRefresh) {
				continue
			}
			// A device that dies as soon as it is opened must not be opened
			// without pause.
			if time.Since(since) > r.cfg.Most {
				pause = r.cfg.First
			}
		}
		tell(false, err)
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-r.ctx.Done():
			t.Stop()
		}
		pause = min(2*pause, r.cfg.Most)
	}
}

// hold notes which scanner is open now, and keeps what the one before counted.
func (r *Reopened) hold(s Scanner) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c, ok := r.now.(Counting); ok {
		r.was = r.was.Plus(c.Counts())
	}
	r.now = s
}

func (r *Reopened) held() Scanner {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

// Counts adds up over all openings.
func (r *Reopened) Counts() Counts {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c, ok := r.now.(Counting); ok {
		return r.was.Plus(c.Counts())
	}
	return r.was
}

// Place is the physical device open now; zero while it is absent or unknown.
func (r *Reopened) Place() Found {
	if p, ok := r.held().(Placed); ok {
		return p.Place()
	}
	return Found{}
}

// Actions lists what the device open now can do.
func (r *Reopened) Actions() []string {
	if a, ok := r.held().(Acting); ok {
		return a.Actions()
	}
	return nil
}

// Do performs an action of the device open now.
func (r *Reopened) Do(ctx context.Context, action string) error {
	switch s := r.held().(type) {
	case nil:
		return fmt.Errorf("cannot do %s with %s: %w", action, r.cfg.Device, ErrGone)
	case Acting:
		return s.Do(ctx, action)
	}
	return fmt.Errorf("cannot do %s with %s: %w", action, r.cfg.Device, ErrNoAction)
}

// read hands out codes until the device is gone or Close is called.
func (r *Reopened) read(s Scanner) error {
	for {
		scan, err := r.scan(s)
		if err != nil {
			return err
		}
		for sent := false; !sent; {
			select {
			case r.out <- scan:
				sent = true
			default:
				select {
				case <-r.out:
					r.mu.Lock()
					r.was.Unread++
					r.mu.Unlock()
				default:
				}
			}
		}
	}
}

// scan waits for the next code, at most until a refresh is due.
func (r *Reopened) scan(s Scanner) (Scan, error) {
	if r.cfg.Refresh <= 0 {
		return s.Scan(r.ctx)
	}
	for wait := r.cfg.Refresh; ; wait = busyPause {
		ctx, cancel := context.WithTimeout(r.ctx, wait)
		scan, err := s.Scan(ctx)
		due := err != nil && ctx.Err() != nil && r.ctx.Err() == nil && errors.Is(err, ctx.Err())
		cancel()
		switch {
		case !due:
			return scan, err
		case r.cfg.Busy == nil || !r.cfg.Busy():
			return Scan{}, errRefresh
		}
	}
}

// Scan waits for the next code, through any absence of the device.
func (r *Reopened) Scan(ctx context.Context) (Scan, error) {
	if err := ctx.Err(); err != nil {
		return Scan{}, err
	}
	if r.ctx.Err() != nil {
		return Scan{}, errReopenClosed
	}
	select {
	case s := <-r.out:
		return s, nil
	case <-ctx.Done():
		return Scan{}, ctx.Err()
	case <-r.ctx.Done():
		return Scan{}, errReopenClosed
	}
}

// Close closes the device, ends every Scan and waits for the goroutine. It may
// be called again.
func (r *Reopened) Close() error {
	r.stop()
	<-r.done
	return nil
}
