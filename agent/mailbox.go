package agent

import (
	"sync"

	"payagent/agent/counter"
)

// mailbox is an unbounded queue of steps' effects. It is unbounded so that the
// stepping goroutine never waits for the disk; what feeds it is bounded by the
// requests under way.
type mailbox struct {
	mu     sync.Mutex
	steps  [][]counter.Effect
	wake   chan struct{}
	closed bool
}

func newMailbox() *mailbox { return &mailbox{wake: make(chan struct{}, 1)} }

func (m *mailbox) put(e []counter.Effect) {
	m.mu.Lock()
	m.steps = append(m.steps, e)
	m.mu.Unlock()
	m.ring()
}

func (m *mailbox) ring() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

func (m *mailbox) close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.ring()
}

// take waits for steps and gives at most limit of them; nil when closed.
func (m *mailbox) take(limit int) [][]counter.Effect {
	for {
		m.mu.Lock()
		if n := min(len(m.steps), limit); n > 0 {
			got := m.steps[:n:n]
			m.steps = m.steps[n:]
			m.mu.Unlock()
			return got
		}
		closed := m.closed
		m.mu.Unlock()
		if closed {
			return nil
		}
		<-m.wake
	}
}
