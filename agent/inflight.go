package agent

import "sync"

// inflight counts what is under way and tells when nothing is.
type inflight struct {
	mu   sync.Mutex
	n    int
	wait []chan struct{}
}

func (f *inflight) enter() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
}

func (f *inflight) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n--
	if f.n == 0 {
		for _, ch := range f.wait {
			close(ch)
		}
		f.wait = nil
	}
}

// busy tells whether something is under way.
func (f *inflight) busy() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n > 0
}

// idle is closed as soon as nothing is under way.
func (f *inflight) idle() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	ch := make(chan struct{})
	if f.n == 0 {
		close(ch)
	} else {
		f.wait = append(f.wait, ch)
	}
	return ch
}
