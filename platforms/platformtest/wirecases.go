package platformtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"payagent/platforms"
	"payagent/platforms/bank"
)

// wireCases are about the request itself and the way it takes.
func wireCases(able can) []Case {
	if !able.charge {
		return nil
	}
	cases := []Case{
		{"wire/nothing invites a replay", "A charge cannot be replayed by a transport: no GetBody, no idempotency header, a connection of its own.", noReplay},
		{"wire/one request per charge", "A charge is exactly one request on the wire.", oneRequest},
		{"wire/reset on a warm connection", "A charge whose warm connection is reset is not sent again.", resetOnWarm},
		{"wire/idle connection dies", "A charge whose kept connection was closed meanwhile is sent at most once.", idleDies},
		{"wire/transport breaks", "A transport error without proof leaves the charge unknown, and the way is tried once.", transportBreaks},
		{"wire/body breaks", "An answer whose body breaks off leaves the charge unknown.", bodyBreaks},
		{"wire/dial failure of a charge", "A dial failure proves that nothing was charged: the error wraps ErrNotCharged.", dialFailure},
		{"wire/dial failure of a query", "A query that cannot leave fails; it does not say that the order does not exist.", func(w *world) error {
			return w.cannotLeave(func(ref platforms.Ref) result { return answered(w.query(ref)) })
		}},
		{"wire/dial failure of a cancel", "A cancel that cannot leave has done nothing.", func(w *world) error {
			return w.cannotLeave(func(ref platforms.Ref) result { return cancelled(w.cancel(ref)) })
		}},
		{"wire/canceled while waiting", "A call whose context ends returns at once, and the charge is unknown.", canceledWaiting},
		{"wire/query canceled while waiting", "A query whose context ends returns at once and claims nothing.", queryCanceled},
		{"wire/canceled before", "A call whose context has ended already claims neither paid nor failed.", canceledBefore},
		{"wire/answers are closed", "Every answer's body is closed, so that connections are not lost one by one.", bodiesClosed},
		{"wire/texts survive", "Texts with &, <, >, ]]>, quotes and Chinese arrive as they were.", textsSurvive},
		{"wire/operator arrives", "The operator who answers for the money arrives with the charge where the wire has a place.", operatorArrives},
	}
	return cases
}

func noReplay(w *world) error {
	c := w.order(100)
	if _, err := w.charge(c); err != nil {
		return err
	}
	sent := w.tap.requests()
	if len(sent) != 1 {
		return fmt.Errorf("%d requests", len(sent))
	}
	r := sent[0]
	switch {
	case r.Method != http.MethodPost:
		return fmt.Errorf("method %s, want POST", r.Method)
	case r.GetBody != nil:
		return errors.New("GetBody is set: a transport may send the body again")
	case !r.Close:
		return errors.New("Close is not set: the charge shares its connection")
	}
	for name := range r.Header {
		if strings.Contains(strings.ToLower(name), "idempotency") {
			return fmt.Errorf("header %s makes Go's transport send a POST again", name)
		}
	}
	return nil
}

func oneRequest(w *world) error {
	c := w.order(100)
	if _, err := w.charge(c); err != nil {
		return err
	}
	if n, all := w.ctl.Count(bank.OpCharge, c.OrderNo), len(w.ctl.Exchanges()); n != 1 || all != 1 {
		return fmt.Errorf("%d charges, %d requests in all", n, all)
	}
	if n := w.bank.PayRequests(c.OrderNo); n != 1 {
		return fmt.Errorf("the bank saw %d charges", n)
	}
	return nil
}

func resetOnWarm(w *world) error {
	if _, _, err := w.paid(100); err != nil { // leaves a kept connection
		return err
	}
	if _, err := w.query(w.order(100).Ref); err != nil {
		return err
	}
	for range 3 {
		c := w.order(100)
		w.ctl.Inject(bank.OpCharge, bank.Reset)
		if err := answered(w.charge(c)).unknown(); err != nil {
			return err
		}
		if n := w.ctl.Count(bank.OpCharge, c.OrderNo); n != 1 {
			return fmt.Errorf("%d charges on the wire", n)
		}
	}
	return nil
}

func idleDies(w *world) error {
	for range 5 {
		if _, err := w.query(w.order(100).Ref); err != nil { // leaves a kept connection
			return err
		}
		w.srv.CloseClientConnections()
		c := w.order(100)
		a, err := w.charge(c)
		n := w.ctl.Count(bank.OpCharge, c.OrderNo)
		switch {
		case n > 1:
			return fmt.Errorf("%d charges on the wire", n)
		case a.Status == platforms.Paid && n == 0, a.Status == platforms.Failed:
			return fmt.Errorf("the charge claims %v after %d requests", a.Status, n)
		case errors.Is(err, platforms.ErrNotCharged) && n > 0:
			return fmt.Errorf("the error claims that nothing was charged, but the charge arrived: %w", err)
		}
		// Whatever the dead connection did to the query before, the next one works.
		_, _ = w.query(w.order(100).Ref)
	}
	return nil
}

func transportBreaks(w *world) error {
	for _, broken := range []error{io.EOF, io.ErrUnexpectedEOF, errors.New("connection reset by peer"), context.DeadlineExceeded} {
		calls := 0
		w.tap.replace(func(r *http.Request) (*http.Response, error) {
			calls++
			drain(r)
			return nil, broken
		})
		got := answered(w.charge(w.order(100)))
		if err := got.unknown(); err != nil {
			return err
		}
		if got.err == nil || calls != 1 {
			return fmt.Errorf("%v: error %v after %d attempts, want an error after one", broken, got.err, calls)
		}
	}
	return nil
}

func bodyBreaks(w *world) error {
	calls := 0
	w.tap.replace(func(r *http.Request) (*http.Response, error) {
		calls++
		resp, err := w.tap.next.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		whole, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			return nil, err
		}
		// Everything arrives, but the connection does not end as it should.
		resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(string(whole)), failing{}))
		return resp, nil
	})
	c := w.order(100)
	if err := answered(w.charge(c)).unknown(); err != nil {
		return err
	}
	if calls != 1 {
		return fmt.Errorf("%d attempts", calls)
	}
	return w.net(c, 100)
}

// failing is a body whose connection is gone.
type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func dialFailure(w *world) error {
	calls := 0
	w.tap.replace(func(r *http.Request) (*http.Response, error) {
		calls++
		return nowhere{}.RoundTrip(r)
	})
	a, err := w.charge(w.order(100))
	if !errors.Is(err, platforms.ErrNotCharged) || !platforms.NeverLeft(err) {
		return fmt.Errorf("error %v, want one that wraps ErrNotCharged and the transport's", err)
	}
	if a.Status != platforms.Unknown || calls != 1 {
		return fmt.Errorf("status %v after %d attempts", a.Status, calls)
	}
	return nil
}

func (w *world) cannotLeave(call func(platforms.Ref) result) error {
	c, ref, err := w.paid(100)
	if err != nil {
		return err
	}
	w.tap.replace(nowhere{}.RoundTrip)
	got := call(ref)
	if got.err == nil || got.claim != "" {
		return fmt.Errorf("claims %q with error %v, want an error alone", got.claim, got.err)
	}
	if errors.Is(got.err, platforms.ErrNotCharged) {
		return fmt.Errorf("the order is paid, but the error claims that nothing was charged: %w", got.err)
	}
	return w.net(c, 100)
}

// interrupted makes a call that the platform does not answer and ends its
// context as soon as the platform has the request.
func (w *world) interrupted(name string, call func(ctx context.Context) result) error {
	w.ctl.Inject(name, bank.Slow)
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	done := make(chan result, 1)
	go func() { done <- call(ctx) }()
	select {
	case <-w.ctl.Arrived():
	case got := <-done:
		return fmt.Errorf("the call ended before the platform answered: %q, %w", got.claim, got.err)
	}
	cancel()
	select {
	case got := <-done:
		if got.err == nil {
			return errors.New("a call whose context ended gives no error")
		}
		return got.unknown()
	case <-w.ctx.Done():
		return errors.New("the call went on after its context ended")
	}
}

func canceledWaiting(w *world) error {
	c := w.order(100)
	err := w.interrupted(bank.OpCharge, func(ctx context.Context) result { return answered(w.chargeCtx(ctx, c)) })
	if err != nil {
		return err
	}
	if n := w.ctl.Count(bank.OpCharge, c.OrderNo); n != 1 {
		return fmt.Errorf("%d charges on the wire", n)
	}
	return w.net(c, 100)
}

func queryCanceled(w *world) error {
	_, ref, err := w.paid(100)
	if err != nil {
		return err
	}
	return w.interrupted(bank.OpQuery, func(ctx context.Context) result {
		a, err := w.p.Query(ctx, ref)
		w.hearAnswer(a, err)
		return answered(a, err)
	})
}

func canceledBefore(w *world) error {
	ctx, cancel := context.WithCancel(w.ctx)
	cancel()
	c := w.order(100)
	a, err := w.chargeCtx(ctx, c)
	if err == nil || a.Status != platforms.Unknown {
		return fmt.Errorf("status %v, error %v", a.Status, err)
	}
	if errors.Is(err, platforms.ErrNotCharged) && w.ctl.Count(bank.OpCharge, c.OrderNo) > 0 {
		return fmt.Errorf("the charge arrived, but the error claims that nothing was charged: %w", err)
	}
	return nil
}

// counted tells whether a body was closed.
type counted struct {
	io.ReadCloser
	closed *int
	once   bool
}

func (c *counted) Close() error {
	if !c.once {
		c.once = true
		*c.closed++
	}
	return c.ReadCloser.Close()
}

func bodiesClosed(w *world) error {
	opened, closed := 0, 0
	w.tap.replace(func(r *http.Request) (*http.Response, error) {
		resp, err := w.tap.next.RoundTrip(r)
		if err == nil {
			opened++
			resp.Body = &counted{ReadCloser: resp.Body, closed: &closed}
		}
		return resp, err
	})
	for _, f := range []bank.Fault{bank.NoFault, bank.HTTP500, bank.HTTP404, bank.Redirect, bank.Huge, bank.Garbage, bank.Empty} {
		w.ctl.Inject(bank.OpCharge, f)
		w.ctl.Inject(bank.OpQuery, f)
		c := w.order(100)
		a, _ := w.charge(c)
		_, _ = w.query(with(c.Ref, a))
	}
	if opened == 0 || opened != closed {
		return fmt.Errorf("%d answers opened, %d closed", opened, closed)
	}
	return nil
}

func textsSurvive(w *world) error {
	const nasty = `门诊 & <药费> ]]> "引号" 'x' &amp; 𠮷`
	c := w.order(100)
	c.Subject = nasty
	c.Patient.Name = platforms.Hide("买买提·<阿>&]]>")
	if _, err := w.charge(c); err != nil {
		return err
	}
	got, ok := w.ctl.Last(bank.OpCharge, c.OrderNo)
	if !ok || got.Fields["subject"] != nasty {
		return fmt.Errorf("subject %q arrived as %q", nasty, got.Fields["subject"])
	}
	if name, has := got.Fields["patient.name"]; has && name != c.Patient.Name.Reveal() {
		return errors.New("the patient's name arrived changed")
	}
	if got.Code != c.Code.Reveal() {
		return errors.New("the payment code arrived changed")
	}
	return nil
}

func operatorArrives(w *world) error {
	c := w.order(100)
	if _, err := w.charge(c); err != nil {
		return err
	}
	got, _ := w.ctl.Last(bank.OpCharge, c.OrderNo)
	want := map[string]string{
		"operator.id": c.Operator.ID, "operator.name": c.Operator.Name, "subject": c.Subject,
		"patient.name": c.Patient.Name.Reveal(), "patient.card_no": c.Patient.CardNo.Reveal(), "merchant": c.Merchant.Code,
	}
	for field, text := range want {
		if arrived, has := got.Fields[field]; has && arrived != text {
			return fmt.Errorf("%s arrived changed", field)
		}
	}
	if _, has := got.Fields["operator.id"]; !has {
		return errors.New("the simulator does not say what operator arrived (Call.Fields operator.id)")
	}
	return nil
}

func drain(r *http.Request) {
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = r.Body.Close()
	}
}

func sorted[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}
