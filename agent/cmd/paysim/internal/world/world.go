// Package world is the pretend world of paysim: one bank whose truth lies in a
// ledger on disk, a clock that may run faster than the wall's, and phones whose
// payment codes remember how their owner behaves.
//
// Whatever moved money is on the disk before anybody hears of it: handlers over
// the bank are wrapped in [World.Guard]. The world goes on where it stopped; a
// payer who was typing a password when the process died has typed on meanwhile.
package world

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"payagent/agent/cmd/paysim/internal/ledger"
	"payagent/platforms/bank"
)

// Options say which world to open.
type Options struct {
	Dir   string           // folder of the ledger; made if it is not there
	Now   func() time.Time // wall clock; required
	Rand  io.Reader        // digits of payment codes; required
	Scale float64          // how much faster than the wall; zero means 1
	// Tombstones makes the cancel of an unknown number close it for ever.
	Tombstones bool
}

// World is an open world. It is safe for use by several goroutines.
type World struct {
	opt   Options
	file  *ledger.File
	bank  *bank.Bank
	cut   int
	begin ledger.Session // of this process
	epoch time.Time
	watch atomic.Pointer[func(bank.Entry)]
	mu    sync.Mutex
	codes map[string]*code
	queue []string // codes, oldest first
}

// LedgerName is the name of the ledger's file in a world's folder.
const LedgerName = "truth.jsonl"

// Open opens the world in a folder, a new one if there is none.
func Open(opt Options) (*World, error) {
	if opt.Scale == 0 {
		opt.Scale = 1
	}
	if !(opt.Scale > 0) || math.IsInf(opt.Scale, 0) {
		return nil, fmt.Errorf("cannot run the world %v times as fast; write a number above 0", opt.Scale)
	}
	if err := os.MkdirAll(opt.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the folder -data: %w", err)
	}
	file, content, err := ledger.Open(filepath.Join(opt.Dir, LedgerName))
	if err != nil {
		return nil, err
	}
	w := &World{opt: opt, file: file, cut: content.Cut, codes: map[string]*code{}}
	w.begin = ledger.Session{Wall: opt.Now(), At: resume(content, opt.Now()), Scale: opt.Scale}
	w.epoch = w.begin.Wall
	if len(content.Sessions) > 0 {
		w.epoch = content.Sessions[0].Wall
	}
	w.bank = bank.Load(w.bankOptions(), content.Entries)
	err = file.Begin(w.begin)
	if err == nil {
		err = file.Sync()
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return w, nil
}

func (w *World) bankOptions() bank.Options {
	// An entry that cannot be written is not lost silently: Guard and Failed
	// give the file's error before anybody is answered.
	return bank.Options{CancelTombstones: w.opt.Tombstones, OnEntry: func(e bank.Entry) {
		_ = w.file.Append(e)
		if told := w.watch.Load(); told != nil {
			(*told)(e)
		}
	}}
}

// Watch tells f every entry of the ledger from now on. It is called with the
// bank's mutex held: it must not call the bank, nor block. What it is told may
// not be durable yet; see Sync.
func (w *World) Watch(f func(bank.Entry)) { w.watch.Store(&f) }

// resume gives the world's time at a wall time, by the latest session. Wall
// clocks may have been set back between two processes; the world's never goes
// back behind what it has written.
func resume(c ledger.Content, wall time.Time) time.Duration {
	var at time.Duration
	if n := len(c.Sessions); n > 0 {
		s := c.Sessions[n-1]
		at = max(s.At, s.At+scaled(wall.Sub(s.Wall), s.Scale))
	}
	for _, e := range c.Entries {
		at = max(at, e.At)
	}
	return at
}

func scaled(d time.Duration, scale float64) time.Duration { return time.Duration(float64(d) * scale) }

// Now is the time since the world began.
func (w *World) Now() time.Duration {
	return w.begin.At + scaled(w.opt.Now().Sub(w.begin.Wall), w.begin.Scale)
}

// Epoch is the wall time at which the world began.
func (w *World) Epoch() time.Time { return w.epoch }

// Bank gives the books.
func (w *World) Bank() *bank.Bank { return w.bank }

// Cut is how many bytes of a damaged tail were cut from the ledger at start.
func (w *World) Cut() int { return w.cut }

// Failed is closed when the ledger cannot be written any more; then the world
// must stop.
func (w *World) Failed() <-chan struct{} { return w.file.Failed() }

// Sync makes durable whatever happened so far.
func (w *World) Sync() error { return w.file.Sync() }

// Close syncs and closes the ledger.
func (w *World) Close() error { return w.file.Close() }

// Guard wraps a handler over the bank: no byte of an answer leaves before what
// it tells is on the disk. Where the disk fails, the connection breaks instead.
func (w *World) Guard(h http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		// An answer that is lost or reset on purpose is durable all the same.
		defer func() { _ = w.Sync() }()
		h.ServeHTTP(&guarded{ResponseWriter: rw, sync: w.Sync}, r)
	})
}

type guarded struct {
	http.ResponseWriter
	sync func() error
	done bool
}

func (g *guarded) flush() {
	if g.done {
		return
	}
	if g.sync() != nil {
		panic(http.ErrAbortHandler) // how net/http is told to break a connection
	}
	g.done = true
}

func (g *guarded) WriteHeader(status int) {
	g.flush()
	g.ResponseWriter.WriteHeader(status)
}

func (g *guarded) Write(p []byte) (int, error) {
	g.flush()
	return g.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach flushing and hijacking.
func (g *guarded) Unwrap() http.ResponseWriter { return g.ResponseWriter }
