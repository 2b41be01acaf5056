// Package relay calls payment platforms for tills that have no way to the
// Internet: requests come sealed through a message broker, answers go back the
// same way (docs/relay.md).
//
// An exchange is executed at most once. It needs a ticket, which this process
// issued less than Config.TicketLife ago by its own clock and which is good for
// one id of one box; a request takes it away. The id is made durable before the
// platform is called. A repeated id gets the answer that is in memory, for
// Config.Remember; afterwards "unknown". A request without a good ticket whose id
// is neither in memory nor durable was not executed and never will be, because
// tickets are in this process alone and no two are alike. So its refusal is a
// proof, for which nothing has to be kept, and an id of an earlier process is
// unknown.
//
// What is kept for a box is bounded when it gets a ticket: nothing else that it
// says takes any room.
//
// The relay never decides anything about money. It reads what it passes on,
// because it is the end of the TLS connection to the platform; it keeps nothing
// of it on disk and writes nothing of it to its log.
package relay

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"payagent/uplink"
	"payagent/uplink/mqtt/internal/bucket"
	"payagent/uplink/mqtt/internal/sealed"
)

// Store is the durable memory of exchanges.
type Store interface {
	// Add makes an id durable before it returns; fresh tells that it was not
	// there. After an error it may or may not be there.
	Add(id [32]byte) (fresh bool, err error)
	// Has tells whether an id is durable. It must not wait for the disk to write.
	Has(id [32]byte) (bool, error)
	// Turn forgets what was there at the Turn before the last. It is called
	// every [Turn] of a running relay, so an id stays at least so long, whatever
	// clocks say, and however long the relay was down in between.
	Turn() error
}

// Turn is how long an id stays at least, of time in which the relay runs. No
// box waits that long for an answer (two minutes at most), so nobody hears the
// refusal that a forgotten id would get.
const Turn = 10 * time.Minute

// Platform is one address that the relay calls.
type Platform struct {
	// Name stands in the path of notifications.
	Name string
	// Address is scheme://host[:port][/prefix]: exactly this host and port, and
	// only paths at or below the prefix.
	Address string
	// Way leads there.
	Way uplink.Route
}

// Config describes a relay.
type Config struct {
	Bus  uplink.Bus
	Root string
	// Sites are the hospitals whose boxes are served; empty for all.
	Sites []string
	// Keys are private keys, 32 bytes each: the present one, and those that
	// boxes may still have.
	Keys [][]byte
	// Roots are the authorities of boxes' certificates, read anew at each use.
	Roots func() (*x509.CertPool, error)
	// Revoked tells whether the authority took a certificate back; nil for never.
	// An error refuses everybody.
	Revoked func(*x509.Certificate) (bool, error)
	// Allow tells whether a box is served; nil for all of the authority's.
	Allow     func(site, box string) bool
	Platforms []Platform
	Store     Store
	// StoreName is random and lies in the same file as the store's ids. A new
	// file has a new name, so what one store does not know is never taken for
	// what another did.
	StoreName [16]byte
	Logger    *slog.Logger

	TicketLife time.Duration // default 15 s, and at most
	Remember   time.Duration // default 2 minutes
	Parallel   int           // calls at once per platform; default 256
	PerBox     int           // tickets, calls and probes of one box at once; default 64
	Memory     int           // of answers, in bytes; default 64 MiB
	Kept       int           // tickets and exchanges in memory; default 65536
	KeptPerBox int           // of one box; default 8192
}

// Relay is a running relay.
type Relay struct {
	cfg       Config
	keys      []sealed.Private
	platforms []*platform
	log       *slog.Logger
	stats     stats

	ctx     context.Context
	stop    context.CancelFunc
	unhook  []func()
	running sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	boxes   map[string]*boxState // by place
	tickets map[exchange]ticket
	memory  map[exchange]*entry
	over    []*entry       // of memory, in the order in which they ended
	held    int            // bytes of answers in memory
	telling map[string]int // messages without an acknowledgement, by topic
	told    int            // of all topics
	wake    uint64
}

// exchange names one exchange: ids of different boxes have nothing to do with
// each other.
type exchange struct {
	place string
	id    sealed.ID
}

type ticket struct {
	platform string
	secret   [16]byte
	issued   time.Time
}

// boxState is what is known of a box that has shown its certificate.
type boxState struct {
	busy  int // tickets, calls and probes
	kept  int // tickets and exchanges in memory
	wakes bucket.Bucket
}

// New checks the configuration and starts to listen.
func New(cfg Config) (*Relay, error) {
	r := &Relay{cfg: cfg, log: cfg.Logger, boxes: map[string]*boxState{}, tickets: map[exchange]ticket{}, memory: map[exchange]*entry{}, telling: map[string]int{}}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if cfg.Bus == nil || cfg.Store == nil || cfg.Roots == nil || cfg.Root == "" || cfg.StoreName == [16]byte{} {
		return nil, errors.New("cannot start the relay: bus, root, store with its name and authorities are all needed")
	}
	for _, k := range cfg.Keys {
		p, err := sealed.ReadPrivate(k)
		if err != nil {
			return nil, err
		}
		r.keys = append(r.keys, p)
	}
	if len(r.keys) == 0 {
		return nil, errors.New("cannot start the relay without a key; make one with payfleet relay key")
	}
	for d, limit := range map[*time.Duration]time.Duration{&r.cfg.TicketLife: 15 * time.Second, &r.cfg.Remember: 2 * time.Minute} {
		if *d <= 0 || *d > limit {
			*d = limit
		}
	}
	r.cfg.Parallel, r.cfg.PerBox = orElse(cfg.Parallel, 256), orElse(cfg.PerBox, 64)
	r.cfg.Memory, r.cfg.Kept, r.cfg.KeptPerBox = orElse(cfg.Memory, 64<<20), orElse(cfg.Kept, 1<<16), orElse(cfg.KeptPerBox, 1<<13)
	for _, p := range cfg.Platforms {
		listed, err := newPlatform(p, r.cfg.Parallel)
		if err != nil {
			return nil, err
		}
		r.platforms = append(r.platforms, listed)
	}
	if len(r.platforms) == 0 {
		return nil, errors.New("cannot start the relay without a platform; list their addresses under platforms")
	}
	r.ctx, r.stop = context.WithCancel(context.Background())
	r.running.Go(r.housekeep)
	sites := cfg.Sites
	if len(sites) == 0 {
		sites = []string{"+"}
	}
	for _, site := range sites {
		unhook, err := cfg.Bus.Subscribe(cfg.Root+"/"+site+"/+/relay/req", r.heard)
		if err != nil {
			_ = r.Close()
			return nil, fmt.Errorf("cannot listen for requests: %w", err)
		}
		r.unhook = append(r.unhook, unhook)
	}
	return r, nil
}

func orElse(n, other int) int {
	if n <= 0 {
		return other
	}
	return n
}

// PublicKey is what boxes are given (fleet.relay_key).
func PublicKey(private []byte) ([]byte, error) {
	k, err := sealed.ReadPrivate(private)
	if err != nil {
		return nil, err
	}
	return k.Public(), nil
}

// NewKey makes a private key.
func NewKey() ([]byte, error) { return sealed.NewKey() }

// Close ends all calls (their outcome is unknown), waits for them, and stops
// listening. The bus, the store and the ways stay open.
func (r *Relay) Close() error {
	r.mu.Lock()
	r.closed = true
	unhook := r.unhook
	r.unhook = nil
	r.mu.Unlock()
	r.stop()
	for _, f := range unhook {
		f()
	}
	r.running.Wait()
	return nil
}

// housekeep forgets what is over.
func (r *Relay) housekeep() {
	tidy := time.NewTicker(min(r.cfg.TicketLife, 5*time.Second))
	defer tidy.Stop()
	turn := time.NewTicker(Turn)
	defer turn.Stop()
	for {
		select {
		case <-r.ctx.Done():
			return
		case now := <-tidy.C:
			r.tidy(now)
		case <-turn.C:
			if err := r.cfg.Store.Turn(); err != nil {
				r.log.Error("the store of ids could not be turned over", "error", err)
			}
		}
	}
}

func (r *Relay) tidy(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for x, t := range r.tickets {
		if now.Sub(t.issued) > r.cfg.TicketLife {
			r.dropTicket(x)
		}
	}
	for len(r.over) > 0 && now.Sub(r.over[0].ended) > r.cfg.Remember {
		e := r.over[0]
		r.over = r.over[1:]
		r.held -= len(e.answer)
		delete(r.memory, e.of)
		r.boxes[e.of.place].kept--
	}
}

// dropTicket is called with mu held.
func (r *Relay) dropTicket(x exchange) {
	if _, ok := r.tickets[x]; ok {
		delete(r.tickets, x)
		r.boxes[x.place].busy--
		r.boxes[x.place].kept--
	}
}

// heard takes one message from the broker. It must not block.
func (r *Relay) heard(m uplink.Message) {
	place, ok := strings.CutSuffix(m.Topic, "/relay/req")
	levels := strings.Split(place, "/")
	if !ok || len(levels) != 3 || len(m.Payload) == 0 {
		return
	}
	if m.Retain {
		// Kept by the broker: nobody waits for it. It would come back at every
		// connection, so it is cleared.
		r.stats.refuse("retained")
		r.publish(uplink.Message{Topic: m.Topic, Retain: true})
		return
	}
	if r.repeated(place, m.Payload) {
		return
	}
	o, err := sealed.OpenAsk(r.keys, place, m.Payload)
	if err != nil {
		// Forged, spoilt, or for another relay: there is nobody to answer.
		r.stats.refuse("unreadable")
		return
	}
	x := exchange{place, o.ID}
	if err := r.known(levels[1], levels[2], o.Chain); err != nil {
		r.stats.refuse("stranger")
		r.log.Warn("a box was refused", "site", levels[1], "box", levels[2], "error", err)
		if o.Op != sealed.OpGiveUp {
			r.answer(x, o.Context, sealed.Answer{Verdict: r.never(o.Op), Why: err.Error()})
		}
		return
	}
	r.do(x, o, sum(m.Payload))
}

// never is the verdict on an ask that is refused before anything was made
// durable about it. Only for what changes nothing is that a proof.
func (r *Relay) never(op sealed.Op) sealed.Verdict {
	if op == sealed.OpSend {
		return sealed.Unknown
	}
	return sealed.NotSent
}

// known checks who signed: the relay's authority must have issued the
// certificate to the box whose topic it is, with its name and its place
// (payagent://site/box) as payfleet ca writes them.
func (r *Relay) known(site, box string, chain []*x509.Certificate) error {
	roots, err := r.cfg.Roots()
	if err != nil {
		return fmt.Errorf("the relay cannot read its authorities: %w", err)
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err = chain[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	uri := "payagent://" + site + "/" + box
	switch name := chain[0].Subject.CommonName; {
	case err != nil:
		return fmt.Errorf("the relay does not accept this box's certificate: %w", err)
	case name != box:
		return fmt.Errorf("the certificate is for %q and not for this box", name)
	case len(chain[0].URIs) != 1 || chain[0].URIs[0].String() != uri:
		return fmt.Errorf("the certificate does not name the place %s; enrol the box anew", uri)
	case r.revoked(chain[0], &err):
		return err
	case r.cfg.Allow != nil && !r.cfg.Allow(site, box):
		return errors.New("the relay does not serve this box; list it under boxes")
	}
	return nil
}

// revoked tells whether a certificate is not believed any more, and why.
func (r *Relay) revoked(c *x509.Certificate, why *error) bool {
	if r.cfg.Revoked == nil {
		return false
	}
	gone, err := r.cfg.Revoked(c)
	switch {
	case err != nil:
		*why = fmt.Errorf("the relay cannot read its list of revoked certificates: %w", err)
	case gone:
		*why = errors.New("the certificate was revoked; enrol the box anew")
	}
	return *why != nil
}

// Bounds of what waits for the broker's acknowledgement, of one topic and in
// all. What comes on top is not said: who needs it asks again.
const (
	maxTelling = 256
	maxTold    = 4096
)

func (r *Relay) publish(m uplink.Message) {
	r.mu.Lock()
	if r.closed || r.telling[m.Topic] >= maxTelling || r.told >= maxTold {
		r.mu.Unlock()
		r.stats.refuse("unread")
		return
	}
	r.telling[m.Topic]++
	r.told++
	r.running.Add(1) // here, where Close has not begun to wait
	r.mu.Unlock()
	ctx, stop := context.WithTimeout(r.ctx, r.cfg.Remember)
	done := r.cfg.Bus.Send(ctx, m)
	go func() {
		defer r.running.Done()
		defer stop()
		<-done
		r.mu.Lock()
		defer r.mu.Unlock()
		r.told--
		if r.telling[m.Topic]--; r.telling[m.Topic] == 0 {
			delete(r.telling, m.Topic)
		}
	}()
}

func (r *Relay) goUnlessClosed(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.running.Go(f)
	}
}

// answer seals and sends; it gives what was sent.
func (r *Relay) answer(x exchange, c *sealed.Context, a sealed.Answer) []byte {
	a.Store = r.cfg.StoreName
	payload, err := c.Seal(a)
	if err != nil {
		payload, err = c.Seal(sealed.Answer{Verdict: sealed.Unknown, Store: a.Store, Why: "the answer " + err.Error()})
		if err != nil {
			return nil
		}
	}
	r.publish(uplink.Message{Topic: x.place + "/relay/ans", Payload: payload})
	return payload
}

// give issues a ticket. The same exchange gets the same ticket again.
func (r *Relay) give(x exchange, p string) (ticket, string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t, ok := r.tickets[x]; ok && t.platform == p {
		return t, ""
	}
	box := r.boxes[x.place]
	switch {
	case r.closed:
		return ticket{}, "it is stopping"
	case r.memory[x] != nil:
		return ticket{}, "this exchange is under way or over"
	case box.busy >= r.cfg.PerBox:
		return ticket{}, fmt.Sprintf("this box has %d exchanges under way", box.busy)
	case box.kept >= r.cfg.KeptPerBox:
		return ticket{}, fmt.Sprintf("this box had %d exchanges within %v; let it wait", box.kept, r.cfg.Remember)
	case len(r.tickets)+len(r.memory) >= r.cfg.Kept:
		return ticket{}, fmt.Sprintf("it had %d exchanges within %v; start another relay beside it", len(r.memory), r.cfg.Remember)
	}
	t := ticket{platform: p, issued: time.Now()}
	if _, err := rand.Read(t.secret[:]); err != nil {
		return ticket{}, "it has no random numbers"
	}
	r.tickets[x] = t
	box.busy++
	box.kept++
	return t, ""
}
