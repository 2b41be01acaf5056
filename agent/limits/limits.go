// Package limits keeps a program that has gone wrong, or somebody who guesses
// tokens, from taking the agent's time (SEC-09). Only what begins a payment or a
// refund is ever held up for a good token: asking, canceling, checking, booking
// and deciding are not, and a workstation whose token was good before an address
// was locked out goes on. Everything ends by itself.
//
// It is kept in memory only. A restart lets everybody in again: it is nothing
// that a stranger can bring about, wrong tokens are counted anew, and a limit
// that outlived a restart could keep a cashier out whom nobody can let in.
package limits

import (
	"slices"
	"sort"
	"sync"
	"time"

	"payagent/agent/config"
)

// Limits are those of one agent. They may be used by several goroutines at once.
type Limits struct {
	conf config.DoorLimits
	now  func() time.Duration // by the machine's time since boot

	mu        sync.Mutex
	stations  map[string]*station // by token, till and what is limited
	addresses map[string]*address // that presented a wrong token
	good      []good              // those used last at the end
}

// good is a good token at an address.
type good struct {
	key   string        // address and token
	after time.Duration // payments and refunds are taken from then on
}

// station is a bucket of requests that fills up again with time.
type station struct {
	left  float64
	at    time.Duration
	until time.Duration // refused until then, when it was refused last
	held  bool          // refused before, and told
}

type address struct {
	wrong  int // since the last lock-out
	locks  int
	last   time.Duration
	until  time.Duration
	locked bool // until is the end of a lock-out, not of a pause
}

// The bounds of limits.
const (
	freeTries    = 4                // wrong tokens without a pause
	longestPause = 30 * time.Second // between two wrong tokens
	longestLock  = time.Hour
	forgetAfter  = time.Hour // after the last wrong token
	calmAfter    = 10 * time.Minute
	maxAddresses = 1024
	maxStations  = 4096
	maxGood      = 4096
)

// New makes limits that have seen nobody. now is the machine's time since boot.
func New(conf config.DoorLimits, now func() time.Duration) *Limits {
	return &Limits{conf: conf, now: now, stations: map[string]*station{}, addresses: map[string]*address{}}
}

// Turn is a request to begin something.
type Turn struct {
	Who   string        // the workstation and what it wants
	Wait  time.Duration // 0: it may
	Fresh bool          // it has to wait, and had not for a while
}

// Turn takes a payment (create) or a refund out of what a workstation may begin:
// the program that asks, at a till; till may be empty. Patients of a page are no
// workstation, but many.
func (l *Limits) Turn(program, what, till string, page bool) Turn {
	perMinute := l.conf.Creates
	if what == "refund" {
		perMinute = l.conf.Refunds
	}
	if page {
		perMinute *= 10
	}
	t := Turn{Who: program}
	if till != "" {
		t.Who += "@" + till
	}
	t.Who += " " + what
	t.Wait, t.Fresh = l.take(t.Who, perMinute)
	return t
}

// take takes one request out of a workstation's bucket. wait is how long it has
// to wait if there is none; fresh tells that this was not so a while ago.
func (l *Limits) take(key string, perMinute int) (wait time.Duration, fresh bool) {
	if perMinute <= 0 {
		return 0, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	s := l.stations[key]
	if s == nil {
		if len(l.stations) >= maxStations {
			l.stations = map[string]*station{}
		}
		s = &station{left: float64(perMinute), at: now}
		l.stations[key] = s
	}
	s.left = min(float64(perMinute), s.left+float64(perMinute)*(now-s.at).Minutes())
	s.at = now
	if s.left >= 1 {
		s.left--
		return 0, false
	}
	wait = time.Duration((1 - s.left) / float64(perMinute) * float64(time.Minute))
	fresh = !s.held || now-s.until > calmAfter
	s.held, s.until = true, now+max(wait, time.Second)
	return wait, fresh
}

// Wrong counts a wrong token from an address. wait is how long it has to wait
// before another one is looked at; locked tells that a lock-out begins.
func (l *Limits) Wrong(from string) (wait time.Duration, locked bool) {
	if l.conf.WrongTokens <= 0 {
		return 0, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	a := l.addresses[from]
	if a == nil || now-a.last > forgetAfter && now > a.until {
		if len(l.addresses) >= maxAddresses {
			l.drop()
		}
		a = &address{}
		l.addresses[from] = a
	}
	if now < a.until {
		return a.until - now, false
	}
	a.wrong, a.last, a.locked = a.wrong+1, now, false
	switch {
	case a.wrong >= l.conf.WrongTokens:
		pause := l.conf.LockOut
		for range a.locks {
			pause = min(2*pause, longestLock)
		}
		a.locks, a.wrong, a.locked, a.until = a.locks+1, 0, true, now+pause
		return 0, true
	case a.wrong > freeTries:
		a.until = now + min(time.Second<<min(a.wrong-freeTries-1, 10), longestPause)
	}
	return 0, false
}

// drop forgets the address whose last wrong token is the oldest.
func (l *Limits) drop() {
	oldest := ""
	for from, a := range l.addresses {
		if oldest == "" || a.last < l.addresses[oldest].last {
			oldest = from
		}
	}
	delete(l.addresses, oldest)
}

// Right tells how long a good token that comes from a locked address has to
// wait with payments and refunds, 0 for not at all. A token that was used from
// there before need not; one that was not (after a restart no token was) waits
// LockOut at most, counted from its first request of any kind, however long the
// address is locked out: nobody guesses a token of 256 bits, and whoever has it
// may share the address with a program that has a wrong one.
func (l *Limits) Right(from, token string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, x := l.now(), good{key: from + " " + token}
	if i := slices.IndexFunc(l.good, func(g good) bool { return g.key == x.key }); i >= 0 {
		x = l.good[i]
		l.good = slices.Delete(l.good, i, i+1)
	} else if a := l.addresses[from]; a != nil && a.locked && now < a.until {
		x.after = min(a.until, now+l.conf.LockOut)
	}
	if len(l.good) >= maxGood {
		l.good = slices.Delete(l.good, 0, 1)
	}
	l.good = append(l.good, x)
	return max(0, x.after-now)
}

// Held is somebody who has to wait.
type Held struct {
	Code    string // locked_out: an address; rate_limited: a workstation
	Subject string
	Left    time.Duration
}

// List gives those who have to wait now.
func (l *Limits) List() []Held {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	var list []Held
	for from, a := range l.addresses {
		if a.locked && now < a.until {
			list = append(list, Held{"locked_out", from, a.until - now})
		}
	}
	for key, s := range l.stations {
		if s.held && now < s.until {
			list = append(list, Held{"rate_limited", key, s.until - now})
		}
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Subject < list[j].Subject })
	return list
}
