package door

import (
	"context"
	"math"
	"net"
	"net/http"
	"slices"
	"sort"
	"sync"
	"time"

	"payagent/agent"
	"payagent/agent/config"
	"payagent/agent/order"
	"payagent/agent/words"
)

// limits keeps a program that has gone wrong, or somebody who guesses tokens,
// from taking the agent's time (SEC-09). Only what begins a payment or a refund
// is ever held up for a good token: asking, canceling, checking, booking and
// deciding are not, and a workstation whose token was good before an address was
// locked out goes on. Everything ends by itself.
type limits struct {
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

func newLimits(a *agent.Agent) *limits {
	return &limits{conf: a.Config().Door.Limits, now: func() time.Duration { return a.Now().Mono }, stations: map[string]*station{}, addresses: map[string]*address{}}
}

// take takes one request out of a workstation's bucket. wait is how long it has
// to wait if there is none; fresh tells that this was not so a while ago.
func (l *limits) take(key string, perMinute int) (wait time.Duration, fresh bool) {
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

// wrong counts a wrong token from an address. wait is how long it has to wait
// before another one is looked at; locked tells that a lock-out begins.
func (l *limits) wrong(from string) (wait time.Duration, locked bool) {
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
func (l *limits) drop() {
	oldest := ""
	for from, a := range l.addresses {
		if oldest == "" || a.last < l.addresses[oldest].last {
			oldest = from
		}
	}
	delete(l.addresses, oldest)
}

// right tells how long a good token that comes from a locked address has to
// wait with payments and refunds, 0 for not at all. A token that was used from
// there before need not; one that was not (after a restart no token was) waits
// LockOut at most, counted from its first request of any kind, however long the
// address is locked out: nobody guesses a token of 256 bits, and whoever has it
// may share the address with a program that has a wrong one.
func (l *limits) right(from, token string) time.Duration {
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

// lockout is somebody who has to wait.
type lockout struct {
	code    string // locked_out: an address; rate_limited: a workstation
	subject string
	left    time.Duration
}

// list gives those who have to wait now.
func (l *limits) list() []lockout {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	var list []lockout
	for from, a := range l.addresses {
		if a.locked && now < a.until {
			list = append(list, lockout{"locked_out", from, a.until - now})
		}
	}
	for key, s := range l.stations {
		if s.held && now < s.until {
			list = append(list, lockout{"rate_limited", key, s.until - now})
		}
	}
	sort.Slice(list, func(i, j int) bool { return list[i].subject < list[j].subject })
	return list
}

// waits writes how long in whole seconds, 1 at least.
func waits(d time.Duration) int64 { return max(1, int64(math.Ceil(d.Seconds()))) }

// addressOf is where a request comes from, without the port.
func addressOf(r *http.Request) string {
	from, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return from
}

// admit looks at a request's token; false: it was answered.
func (d *door) admit(w http.ResponseWriter, r *http.Request, c *caller) bool {
	var ok bool
	from := addressOf(r)
	if c.token, ok = d.bearer(r); ok {
		c.wait = d.limits.right(from, c.token.Name)
		return true
	}
	if len(r.Header.Values("Authorization")) > 0 {
		wait, locked := d.limits.wrong(from)
		if locked {
			d.log.Warn("an address is locked out: too many wrong tokens", "address", from, "trace", c.trace)
			d.warn(r.Context(), "door_locked_out", from)
		}
		if wait > 0 {
			d.slowDown(w, *c, "token", fault{code: "locked_out"}, wait)
			return false
		}
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="payagent"`)
	d.problem(w, *c, fault{code: "unauthorised"})
	return false
}

// within takes a payment or refund out of what the workstation may begin, unless
// its address is locked out; false: it was answered, with what about says of the
// bill. A payment whose bill is open or paid begins nothing: it is answered with
// what there is.
func (d *door) within(w http.ResponseWriter, r *http.Request, c caller, what, till string, about func() fault) bool {
	if c.wait > 0 {
		f := about()
		if what == "create" && exists(f) {
			return true
		}
		f.code = "locked_out"
		d.slowDown(w, c, "token", f, c.wait)
		return false
	}
	perMinute := d.limits.conf.Creates
	if what == "refund" {
		perMinute = d.limits.conf.Refunds
	}
	conf, known := d.agent.Config().TillNamed(till)
	switch {
	case !known: // it is refused anyhow
		till = ""
	case conf.Kind == config.Online: // no workstation, but all patients of a page
		perMinute *= 10
	}
	key := c.token.Name
	if till != "" {
		key += "@" + till
	}
	key += " " + what
	wait, fresh := d.limits.take(key, perMinute)
	if wait == 0 {
		return true
	}
	f := about()
	if what == "create" && exists(f) {
		return true
	}
	if fresh {
		d.log.Warn("a workstation asks too often", "what", what, "token", c.token.Name, "till", till, "trace", c.trace)
		d.warn(r.Context(), "door_rate_limited", key)
	}
	f.code = "rate_limited"
	d.slowDown(w, c, what, f, wait)
	return false
}

// exists tells that a bill's order is open or paid.
func exists(f fault) bool {
	for _, o := range f.bill {
		if s := o.State(); !s.Final() || s == order.Paid {
			return true
		}
	}
	return false
}

// slowDown refuses for a while.
func (d *door) slowDown(w http.ResponseWriter, c caller, what string, f fault, wait time.Duration) {
	d.agent.DoorRefused(what)
	f.wait = waits(wait)
	n := itoa(f.wait)
	f.both = [2][]string{{"wait_s", n}, {"wait_s", n}}
	d.problem(w, c, f)
}

// warn raises an alarm that is about no order.
func (d *door) warn(ctx context.Context, code, subject string) {
	if err := d.agent.TellAlarm(context.WithoutCancel(ctx), agent.Alarm{Code: code, Subject: subject}); err != nil {
		d.log.Error("an alarm could not be written down", "code", code, "error", err)
	}
}

// held says who has to wait, for people.
func (d *door) held() []warningView {
	out := []warningView{}
	for _, x := range d.limits.list() {
		e, _ := d.words.Find(words.Problem, x.code)
		n := itoa(waits(x.left))
		say := e.Cashier.Fill("wait_s", n)
		out = append(out, warningView{Code: x.code, Say: words.Text{ZH: x.subject + "：" + say.ZH, EN: x.subject + ": " + say.EN}})
	}
	return out
}
