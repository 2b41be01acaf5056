package trialtest

import "sync"

// Lock is a payment lock that a test holds and gives back. Nobody is told of a
// change: who waits for it looks now and then. The zero Lock is free.
type Lock struct {
	mu   sync.Mutex
	busy bool
}

// Free implements trial.Lock.
func (l *Lock) Free() (bool, string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.busy, "open_orders"
}

// Changed implements trial.Lock.
func (*Lock) Changed() <-chan struct{} { return nil }

// Set says whether an order is open.
func (l *Lock) Set(busy bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy = busy
}
