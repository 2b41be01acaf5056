package platformtest

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"payagent/platforms"
	"payagent/platforms/bank"
)

func refundOf(ref platforms.Ref, requestNo string, sum platforms.Fen) platforms.Refund {
	return platforms.Refund{Ref: ref, RequestNo: requestNo, Sum: sum, Reason: "退号", Channel: platforms.WeChat}
}

// refundCases are for platforms that give back parts.
func refundCases() []Case {
	return []Case{
		{"refund/part", "A refund of a part gives back exactly that part and reports the sum of all refunds.", func(w *world) error {
			c, ref, err := w.paid(8888)
			if err != nil {
				return err
			}
			if err := w.gives(refundOf(ref, "R1", 888), 888); err != nil {
				return err
			}
			if err := w.gives(refundOf(ref, "R2", 1), 889); err != nil {
				return err
			}
			if err := w.net(c, 7999); err != nil {
				return err
			}
			return w.want(ref, platforms.Paid)
		}},
		{"refund/whole", "A refund of everything leaves nothing paid.", func(w *world) error {
			c, ref, err := w.paid(29)
			if err != nil {
				return err
			}
			if err := w.gives(refundOf(ref, "R1", 29), 29); err != nil {
				return err
			}
			if err := w.net(c, 0); err != nil {
				return err
			}
			return w.wantGivenBack(ref)
		}},
		{"refund/same number twice", "The same request number moves money once, however often it is asked.", func(w *world) error {
			c, ref, err := w.paid(8888)
			if err != nil {
				return err
			}
			for range 3 {
				if err := w.gives(refundOf(ref, "R1", 888), 888); err != nil {
					return err
				}
			}
			return w.net(c, 8000)
		}},
		{"refund/lost reply, asked again", "A refund whose reply was lost is unknown; asked again with the same number it moves money once.", func(w *world) error {
			c, ref, err := w.paid(8888)
			if err != nil {
				return err
			}
			w.ctl.Inject(bank.OpRefund, bank.LoseReply)
			if err := refunded(w.refund(refundOf(ref, "R1", 888))).unknown(); err != nil {
				return err
			}
			if err := w.gives(refundOf(ref, "R1", 888), 888); err != nil {
				return err
			}
			if got, ok := w.ctl.Last(bank.OpRefund, c.OrderNo); !ok || got.Fields["request_no"] != "R1" || got.Amount != 888 {
				return fmt.Errorf("the wire carried request number %q, sum %v", got.Fields["request_no"], got.Amount)
			}
			return w.net(c, 8000)
		}},
		{"refund/more than is left", "A refund above what is left moves nothing.", func(w *world) error {
			c, ref, err := w.paid(1000)
			if err != nil {
				return err
			}
			if err := w.gives(refundOf(ref, "R1", 600), 600); err != nil {
				return err
			}
			got, err := w.refund(refundOf(ref, "R2", 500))
			if err == nil && got.Status == platforms.RefundDone {
				return errors.New("a refund above what is left says done")
			}
			return w.net(c, 400)
		}},
		{"refund/above the order", "A refund above the order's amount is refused by a field error before anything is sent.", func(w *world) error {
			return w.refundField(func(r *platforms.Refund) { r.Sum = r.Amount + 1 }, "amount_fen")
		}},
		{"refund/zero", "A refund of nothing is refused by a field error before anything is sent.", func(w *world) error {
			return w.refundField(func(r *platforms.Refund) { r.Sum = 0 }, "amount_fen")
		}},
		{"refund/negative", "A refund of less than nothing is refused by a field error before anything is sent.", func(w *world) error {
			return w.refundField(func(r *platforms.Refund) { r.Sum = -1 }, "amount_fen")
		}},
		{"refund/long request number", "A request number has at most 32 characters.", func(w *world) error {
			return w.refundField(func(r *platforms.Refund) { r.RequestNo = strings.Repeat("R", 33) }, "request_no")
		}},
		{"refund/no request number", "A refund without a request number is refused: it could not be repeated safely.", func(w *world) error {
			return w.refundField(func(r *platforms.Refund) { r.RequestNo = "" }, "request_no")
		}},
		{"refund/long order number", "The order number of a refund has at most 32 characters.", func(w *world) error {
			return w.refundField(func(r *platforms.Refund) { r.OrderNo = strings.Repeat("9", 33) }, "out_trade_no")
		}},
		{"refund/amounts that floats spoil", "Sums to give back are whole fen from end to end.", func(w *world) error {
			for i, sum := range trickyAmounts {
				c, ref, err := w.paid(sum + 1)
				if err != nil {
					return err
				}
				if err := w.gives(refundOf(ref, fmt.Sprintf("R%d", i), sum), sum); err != nil {
					return err
				}
				if err := w.net(c, 1); err != nil {
					return err
				}
			}
			return nil
		}},
		{"refund/unpaid order", "A refund of an order that is not paid moves nothing and does not say done.", func(w *world) error {
			c, ref, err := w.open(bank.Payer{PayAfter: -1})
			if err != nil {
				return err
			}
			ref.TradeNo = "4200000000000000000000000000"
			got, err := w.refund(refundOf(ref, "R1", 100))
			if err == nil && got.Status == platforms.RefundDone {
				return errors.New("the refund of an unpaid order says done")
			}
			return w.net(c, 0)
		}},
		{"refund/dial failure", "A refund that cannot leave fails and claims nothing.", func(w *world) error {
			return w.cannotLeave(func(ref platforms.Ref) result { return refunded(w.refund(refundOf(ref, "R1", 50))) })
		}},
	}
}

// gives demands that a refund is done and reports the total, if any.
func (w *world) gives(r platforms.Refund, total platforms.Fen) error {
	got, err := w.refund(r)
	switch {
	case err != nil:
		return fmt.Errorf("refund: %w", err)
	case got.Status != platforms.RefundDone:
		return fmt.Errorf("refund of %v: status %d, want done", r.Sum, got.Status)
	case got.OrderNo != "" && got.OrderNo != r.OrderNo:
		return errors.New("the refund speaks of another order")
	case !got.HasTotal || got.Total != total:
		return fmt.Errorf("total %v (carried: %v), want %v", got.Total, got.HasTotal, total)
	}
	return nil
}

func (w *world) refundField(breakIt func(*platforms.Refund), field string) error {
	ref := w.order(100).Ref
	ref.TradeNo = "4200000000000000000000000000"
	r := refundOf(ref, "R1", 50)
	breakIt(&r)
	if ch, ok := w.p.(platforms.Checker); ok {
		if err := w.fieldError(ch.CheckRefund(r), field); err != nil {
			return fmt.Errorf("CheckRefund: %w", err)
		}
	}
	got, err := w.refund(r)
	if got.Status != platforms.RefundUnknown {
		return fmt.Errorf("the call claims status %d", got.Status)
	}
	return w.fieldError(err, field)
}

// presentCases are for platforms that show a QR code.
func presentCases() []Case {
	show := func(w *world) (platforms.Charge, platforms.Ref, error) {
		c := w.qr(8888)
		a, err := w.present(c)
		if err != nil {
			return c, c.Ref, err
		}
		if a.QR == "" || a.Status == platforms.Paid || a.Status == platforms.Failed {
			return c, c.Ref, fmt.Errorf("status %v with a QR text of %d characters", a.Status, len(a.QR))
		}
		if err := platforms.Bind(c.Ref, a); err != nil {
			return c, c.Ref, err
		}
		return c, with(c.Ref, a), nil
	}
	return []Case{
		{"present/scanned", "A QR that is scanned is paid, and a query finds it.", func(w *world) error {
			c, ref, err := show(w)
			if err != nil {
				return err
			}
			if err := w.want(ref, platforms.Pending, platforms.NotFound); err != nil {
				return err
			}
			w.bank.Scan(w.now(), c.OrderNo, bank.Payer{Channel: platforms.Alipay, PayAfter: 5 * time.Second})
			w.advance(5 * time.Second)
			if err := w.want(ref, platforms.Paid); err != nil {
				return err
			}
			return w.net(c, 8888)
		}},
		{"present/nobody scans", "A QR that nobody scans is closed by the cancel, and can be paid no more.", func(w *world) error {
			c, ref, err := show(w)
			if err != nil {
				return err
			}
			got, err := w.cancel(ref)
			if err != nil || !got.Done {
				return fmt.Errorf("cancel: done %v, error %w", got.Done, err)
			}
			w.bank.Scan(w.now(), c.OrderNo, bank.Payer{})
			if err := w.net(c, 0); err != nil {
				return err
			}
			return w.want(ref, platforms.Closed)
		}},
		{"present/paid, then cancelled", "The cancel of a QR order that was paid gives the money back.", func(w *world) error {
			c, ref, err := show(w)
			if err != nil {
				return err
			}
			w.bank.Scan(w.now(), c.OrderNo, bank.Payer{})
			got, err := w.cancel(ref)
			if err != nil || !got.Done {
				return fmt.Errorf("cancel: done %v, error %w", got.Done, err)
			}
			return w.net(c, 0)
		}},
		{"present/dial failure", "A QR request that cannot leave proves that nothing was charged.", func(w *world) error {
			w.tap.replace(nowhere{}.RoundTrip)
			_, err := w.present(w.qr(100))
			if !errors.Is(err, platforms.ErrNotCharged) {
				return fmt.Errorf("error %v does not wrap ErrNotCharged", err)
			}
			return nil
		}},
		{"present/amounts that floats spoil", "The amount of a QR order arrives exactly.", func(w *world) error {
			for _, amount := range trickyAmounts {
				c := w.qr(amount)
				if _, err := w.present(c); err != nil {
					return err
				}
				if got, ok := w.ctl.Last(bank.OpPresent, c.OrderNo); !ok || got.Amount != amount {
					return fmt.Errorf("%d fen were asked, the wire carried %d", amount, got.Amount)
				}
			}
			return nil
		}},
	}
}

func presentNotOffered(w *world) error {
	if ch, ok := w.p.(platforms.Checker); ok {
		c := w.order(100)
		c.Mode, c.Code = platforms.ModePresent, platforms.AuthCode{}
		if err := ch.CheckCharge(c); err == nil {
			return errors.New("CheckCharge lets a present order pass")
		}
	}
	if p, ok := w.p.(platforms.Presenter); ok {
		if _, err := p.Present(w.ctx, w.order(100)); !errors.Is(err, platforms.ErrUnsupported) {
			return fmt.Errorf("error %v, want ErrUnsupported", err)
		}
	}
	if n := len(w.tap.requests()); n != 0 {
		return fmt.Errorf("%d requests were sent", n)
	}
	return nil
}

// probeCases are for platforms that can be asked something harmless.
func probeCases() []Case {
	always := func(w *world, f bank.Fault) error {
		for _, o := range []string{bank.OpCharge, bank.OpPresent, bank.OpQuery, bank.OpCancel, bank.OpRefund} {
			w.ctl.Always(o, f)
		}
		err := w.p.(platforms.Prober).Probe(w.ctx)
		w.hear(err)
		return err
	}
	return []Case{
		{"probe/answers", "A probe of a platform that answers is nil, and moves nothing.", func(w *world) error {
			if err := always(w, bank.NoFault); err != nil {
				return err
			}
			if n := w.ctl.Count(bank.OpCharge, "") + w.ctl.Count(bank.OpPresent, "") + w.ctl.Count(bank.OpCancel, "") + w.ctl.Count(bank.OpRefund, ""); n != 0 || len(w.bank.Trades()) != 0 {
				return errors.New("the probe makes or moves something")
			}
			if len(w.tap.requests()) == 0 {
				return errors.New("the probe asks nobody")
			}
			return nil
		}},
		{"probe/token", "A probe whose credentials are refused says ErrToken.", func(w *world) error {
			if err := always(w, bank.Token); !errors.Is(err, platforms.ErrToken) {
				return fmt.Errorf("error %v does not wrap ErrToken", err)
			}
			return nil
		}},
		{"probe/unreachable", "A probe that cannot leave fails, and does not blame the token.", func(w *world) error {
			w.tap.replace(func(r *http.Request) (*http.Response, error) { return nowhere{}.RoundTrip(r) })
			if err := always(w, bank.NoFault); err == nil || errors.Is(err, platforms.ErrToken) {
				return fmt.Errorf("error %v", err)
			}
			return nil
		}},
		{"probe/somebody else answers", "A probe that meets a web page or an HTTP error has not reached the platform.", func(w *world) error {
			for _, f := range []bank.Fault{bank.HTML200, bank.HTTP500, bank.HTTP404, bank.Redirect, bank.Empty} {
				if err := always(w, f); err == nil || errors.Is(err, platforms.ErrToken) {
					return fmt.Errorf("%s: error %v", f, err)
				}
			}
			return nil
		}},
	}
}
