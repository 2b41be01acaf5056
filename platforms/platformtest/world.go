package platformtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"payagent/platforms"
	"payagent/platforms/bank"
	"payagent/platforms/bank/wire"
)

// guard bounds every call, so that a hanging adapter fails instead of hanging
// the suite. No verdict depends on how fast the machine is.
const guard = 30 * time.Second

// world is what one case works in: books, simulator, server, adapter.
type world struct {
	t    testing.TB
	s    Subject
	bank *bank.Bank
	ctl  *wire.Control
	srv  *httptest.Server
	tap  *tap
	p    platforms.Platform
	can  can
	sim  http.Handler
	ctx  context.Context
	stop context.CancelFunc

	mu     sync.Mutex
	clock  time.Duration
	orders int
	said   []string // everything the adapter said in errors and answers
}

func newWorld(t testing.TB, s Subject) (*world, error) {
	t.Helper()
	w := &world{t: t, s: s, bank: bank.New(bank.Options{})}
	w.ctx, w.stop = context.WithTimeout(context.Background(), guard)
	w.ctl = wire.New(wire.Options{Clock: w.now, Record: true})
	w.sim = s.Wire(w.bank, w.ctl)
	handler := w.ctl.Wrap(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		sim := w.sim
		w.mu.Unlock()
		sim.ServeHTTP(rw, r)
	}))
	start := s.Server
	if start == nil {
		start = httptest.NewServer
	}
	w.srv = start(handler)
	transport := s.Transport
	if transport == nil {
		transport = Dial
	}
	w.tap = &tap{next: transport(t, w.srv)}
	p, err := s.Open(w.tap)
	if err != nil {
		w.close()
		return nil, fmt.Errorf("cannot open the platform: %w", err)
	}
	w.p, w.can = p, abilities(p)
	return w, nil
}

// Dial is the default way to a simulator: a plain http.Transport that keeps
// connections alive and leads every address to srv.
func Dial(t testing.TB, srv *httptest.Server) http.RoundTripper {
	var d net.Dialer
	tr := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return d.DialContext(ctx, "tcp", srv.Listener.Addr().String())
		},
		DisableCompression: true,
	}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// personality replaces the books by ones with other options; nothing may have
// happened yet.
func (w *world) personality(opts bank.Options) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bank = bank.New(opts)
	w.sim = w.s.Wire(w.bank, w.ctl)
}

func (w *world) close() {
	w.stop()
	w.srv.CloseClientConnections()
	w.srv.Close()
}

func (w *world) now() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clock
}

func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock += d
}

// order makes a charge with a fresh number.
func (w *world) order(amount platforms.Fen) platforms.Charge {
	return w.s.Charge(platforms.ModeCharge, w.number(), amount)
}

func (w *world) qr(amount platforms.Fen) platforms.Charge {
	return w.s.Charge(platforms.ModePresent, w.number(), amount)
}

func (w *world) number() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.orders++
	return fmt.Sprintf("MZ220101ABCxyz%010d", w.orders)
}

// hear keeps what the adapter said, for the leak check.
func (w *world) hear(err error, texts ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.said = append(w.said, err.Error(), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err))
	}
	w.said = append(w.said, texts...)
}

// leak looks for secrets in everything the adapter said and in addresses.
func (w *world) leak() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	secrets := append([]string(nil), w.s.Secrets...)
	modes := []platforms.Mode{platforms.ModeCharge, platforms.ModePresent}
	if p, ok := w.p.(platforms.Presenter); ok && p.Presents(platforms.ModeInsurance) {
		modes = append(modes, platforms.ModeInsurance)
	}
	for _, m := range modes {
		c := w.s.Charge(m, "MZ1", 1)
		i := c.Insurance
		for _, h := range []platforms.Hidden{c.Code.Hidden, c.Patient.Name, c.Patient.CardNo, c.Patient.AdmissionNo, c.Patient.Phone,
			i.UserID, i.RequestContent, i.CardInfo, i.PayAuthNo, i.PatientIDNo, i.ECQRCode, i.EshiminAuthCode} {
			if !h.Empty() {
				secrets = append(secrets, h.Reveal())
			}
		}
	}
	said := append([]string(nil), w.said...)
	for _, x := range w.ctl.Exchanges() {
		said = append(said, x.URL)
	}
	for _, text := range said {
		for _, secret := range secrets {
			if secret != "" && strings.Contains(text, secret) {
				return fmt.Errorf("a secret of %d characters is in: %q", len(secret), strings.ReplaceAll(text, secret, "⟦secret⟧"))
			}
		}
	}
	return nil
}

func (w *world) charge(c platforms.Charge) (platforms.Answer, error) {
	return w.chargeCtx(w.ctx, c)
}

func (w *world) chargeCtx(ctx context.Context, c platforms.Charge) (platforms.Answer, error) {
	a, err := w.p.(platforms.Charger).Charge(ctx, c)
	w.hearAnswer(a, err)
	return a, err
}

func (w *world) present(c platforms.Charge) (platforms.Answer, error) {
	a, err := w.p.(platforms.Presenter).Present(w.ctx, c)
	w.hearAnswer(a, err)
	return a, err
}

func (w *world) query(r platforms.Ref) (platforms.Answer, error) {
	a, err := w.p.Query(w.ctx, r)
	w.hearAnswer(a, err)
	return a, err
}

func (w *world) cancel(r platforms.Ref) (platforms.Cancellation, error) {
	c, err := w.p.Cancel(w.ctx, r)
	w.hear(err, fmt.Sprintf("%+v", c))
	return c, err
}

func (w *world) refund(r platforms.Refund) (platforms.Refunded, error) {
	res, err := w.p.(platforms.Refunder).Refund(w.ctx, r)
	w.hear(err, fmt.Sprintf("%+v", res))
	return res, err
}

func (w *world) hearAnswer(a platforms.Answer, err error) {
	w.hear(err, fmt.Sprintf("%+v", a))
}

// with gives the ref of an order as it stands after an answer.
func with(r platforms.Ref, a platforms.Answer) platforms.Ref {
	if a.Handle != "" {
		r.Handle = a.Handle
	}
	if a.TradeNo != "" {
		r.TradeNo = a.TradeNo
	}
	return r
}

// paid makes an order whose payer pays at once and asks until it is known.
func (w *world) paid(amount platforms.Fen) (platforms.Charge, platforms.Ref, error) {
	c := w.order(amount)
	ref, err := w.pay(c)
	return c, ref, err
}

func (w *world) pay(c platforms.Charge) (platforms.Ref, error) {
	a, err := w.charge(c)
	if err != nil {
		return c.Ref, fmt.Errorf("charge: %w", err)
	}
	a, ref, err := w.settle(c.Ref, a)
	switch {
	case err != nil:
		return ref, err
	case a.Status != platforms.Paid:
		return ref, fmt.Errorf("a payer who pays at once gives %v, want paid", a.Status)
	case w.bank.Net(c.OrderNo) != c.Amount:
		return ref, fmt.Errorf("the payer is out of %v, want %v", w.bank.Net(c.OrderNo), c.Amount)
	}
	return ref, nil
}

// settle takes the answer to a charge as the agent would: it must speak of our
// order, and what it leaves open is asked for once.
func (w *world) settle(r platforms.Ref, a platforms.Answer) (platforms.Answer, platforms.Ref, error) {
	if err := platforms.Bind(r, a); err != nil {
		return a, r, fmt.Errorf("a right answer does not bind: %w", err)
	}
	r = with(r, a)
	if a.Status != platforms.Unknown && a.Status != platforms.Refused && !a.AskNow {
		return a, r, nil
	}
	return w.ask(r)
}

// ask queries once and binds the answer.
func (w *world) ask(r platforms.Ref) (platforms.Answer, platforms.Ref, error) {
	a, err := w.query(r)
	if err != nil {
		return a, r, fmt.Errorf("query: %w", err)
	}
	if err := platforms.Bind(r, a); err != nil {
		return a, r, fmt.Errorf("a right answer does not bind: %w", err)
	}
	return a, with(r, a), nil
}

// want demands a status of a query.
func (w *world) want(r platforms.Ref, allowed ...platforms.Status) error {
	a, _, err := w.ask(r)
	if err != nil {
		return err
	}
	for _, s := range allowed {
		if a.Status == s {
			return nil
		}
	}
	return fmt.Errorf("query says %v, want one of %v", a.Status, allowed)
}

func (w *world) net(c platforms.Charge, want platforms.Fen) error {
	if got := w.bank.Net(c.OrderNo); got != want {
		return fmt.Errorf("the payer is out of %v, want %v", got, want)
	}
	return nil
}

// tap keeps the requests on their way out.
type tap struct {
	next http.RoundTripper

	mu   sync.Mutex
	sent []*http.Request
	// instead, if set, stands in for the way.
	instead func(r *http.Request) (*http.Response, error)
}

func (t *tap) RoundTrip(r *http.Request) (*http.Response, error) {
	t.mu.Lock()
	t.sent = append(t.sent, r)
	instead := t.instead
	t.mu.Unlock()
	if instead != nil {
		return instead(r)
	}
	return t.next.RoundTrip(r)
}

func (t *tap) replace(f func(r *http.Request) (*http.Response, error)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.instead = f
}

func (t *tap) requests() []*http.Request {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]*http.Request(nil), t.sent...)
}

// result is what a call claimed, in one form for all operations. An empty
// claim means that the call claimed nothing.
type result struct {
	err   error
	claim string
}

func answered(a platforms.Answer, err error) result {
	if a.Status == platforms.Unknown {
		return result{err: err}
	}
	return result{err: err, claim: a.Status.String()}
}

func cancelled(c platforms.Cancellation, err error) result {
	if c.Done {
		return result{err: err, claim: "done"}
	}
	return result{err: err}
}

func refunded(r platforms.Refunded, err error) result {
	switch r.Status {
	case platforms.RefundDone:
		return result{err: err, claim: "done"}
	case platforms.RefundRefused:
		return result{err: err, claim: "refused"}
	}
	return result{err: err}
}

// unknown demands that a call proved nothing at all.
func (r result) unknown() error {
	if r.claim != "" {
		return fmt.Errorf("the call claims %q (error %v), want nothing claimed", r.claim, r.err)
	}
	if errors.Is(r.err, platforms.ErrNotCharged) {
		return fmt.Errorf("the error claims that nothing was charged: %w", r.err)
	}
	return nil
}
