package agent

import (
	"context"
	"time"

	"payagent/agent/counter"
)

// A card that nobody takes is forgotten after cardLives; at most cardsKept wait
// for each till, the oldest goes first.
const (
	cardLives = 30 * time.Second
	cardsKept = 4
)

// kept is a card that waits to be taken.
type kept struct {
	counter.Identity
	forget *time.Timer
}

// keepCard holds a card for the client that holds the scanner.
func (m *memory) keepCard(e counter.Identity) {
	defer m.lock()()
	if m.closed {
		return
	}
	list := m.cards[e.Till]
	if len(list) >= cardsKept {
		list[0].forget.Stop()
		list = list[1:]
	}
	k := &kept{Identity: e}
	k.forget = time.AfterFunc(cardLives, func() { m.dropCards(e.Till, func(x *kept) bool { return x == k }) })
	m.cards[e.Till] = append(list, k)
	m.ring()
}

func (m *memory) dropCards(till string, which func(*kept) bool) {
	defer m.lock()()
	m.dropCardsLocked(till, which)
}

func (m *memory) dropCardsLocked(till string, which func(*kept) bool) {
	var left []*kept
	for _, k := range m.cards[till] {
		if which(k) {
			k.forget.Stop()
		} else {
			left = append(left, k)
		}
	}
	m.cards[till] = left
}

// takeCard gives the oldest card that a client may have, and forgets it.
func (m *memory) takeCard(till, session string) (counter.Identity, bool) {
	defer m.lock()()
	for i, k := range m.cards[till] {
		if k.Session == session {
			k.forget.Stop()
			m.cards[till] = append(append([]*kept(nil), m.cards[till][:i]...), m.cards[till][i+1:]...)
			return k.Identity, true
		}
	}
	return counter.Identity{}, false
}

// Claim asks that what the cashier's scanner of a till reads outside payments
// goes to one client, named by session, for so long; 0 for the usual lease.
func (a *Agent) Claim(ctx context.Context, till, session string, lease time.Duration) (counter.Reply, error) {
	a.memory.use(a.Now())
	return a.ask(ctx, func(id uint64) counter.Event {
		return counter.Claim{Reply: id, Till: till, Session: session, Lease: lease}
	})
}

// Retain keeps a claimed scanner that another client asked for.
func (a *Agent) Retain(ctx context.Context, till, session string) (counter.Reply, error) {
	return a.ask(ctx, func(id uint64) counter.Event { return counter.Retain{Reply: id, Till: till, Session: session} })
}

// Release gives a claimed scanner up.
func (a *Agent) Release(ctx context.Context, till, session string) (counter.Reply, error) {
	return a.ask(ctx, func(id uint64) counter.Event { return counter.Release{Reply: id, Till: till, Session: session} })
}

// TakeIdentity gives a card that was read for a client, once.
func (a *Agent) TakeIdentity(till, session string) (counter.Identity, bool) {
	if v, ok := a.memory.view(till); !ok || session == "" || v.Holder != session {
		return counter.Identity{}, false
	}
	return a.memory.takeCard(till, session)
}

// WaitIdentity waits for a card until the context ends, or until the client
// does not hold the scanner any more.
func (a *Agent) WaitIdentity(ctx context.Context, till, session string) (card counter.Identity, held, ok bool) {
	for {
		changed := a.memory.changed()
		v, _ := a.memory.view(till)
		if v.Holder != session || session == "" {
			return counter.Identity{}, false, false
		}
		if card, ok = a.memory.takeCard(till, session); ok || ctx.Err() != nil {
			return card, true, ok
		}
		select {
		case <-changed:
		case <-a.dead:
			return counter.Identity{}, true, false
		case <-a.over:
			return counter.Identity{}, true, false
		case <-ctx.Done():
		}
	}
}
