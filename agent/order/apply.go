package order

import "payagent/platforms"

// Fold makes an order of its facts, oldest first. Kinds it does not know are
// passed over: a newer program wrote them and said they may be.
func Fold(facts []Fact) (*Order, error) {
	o := &Order{}
	if err := o.Refold(facts); err != nil {
		return nil, err
	}
	return o, nil
}

// Refold makes o what Fold makes of the facts, whatever it was before.
func (o *Order) Refold(facts []Fact) error {
	*o = Order{}
	for i := range facts {
		if err := o.Apply(facts[i]); err != nil {
			return err
		}
	}
	return nil
}

// Apply adds one fact. A fact that the state forbids is refused with the
// reason and changes nothing.
func (o *Order) Apply(f Fact) error {
	if f.Kind != KindCreated && f.Kind != KindDoubt && o.No == "" {
		return forbid(o, f)
	}
	switch f.Kind {
	case KindCreated:
		if o.No != "" || f.Created == nil {
			return forbid(o, f)
		}
		o.No, o.Created, o.CreatedAt = f.Order, *f.Created, f.At
		if e := f.Created.Elsewhere; e != nil {
			o.Outside, o.OutsideSaid = *e, true
		}
		o.Keys = append(o.Keys, f.Created.Key)
		if o.Mode == platforms.ModeInsurance {
			o.Insured = &Insured{Stop: StopAuthorise, Since: f.At}
		}
	case KindConfirmed:
		if o.State() != Queued {
			return forbid(o, f)
		}
		o.Confirmed, o.Loop.ConfirmedAt = true, f.At
	case KindSent:
		if err := o.applySent(f); err != nil {
			return err
		}
	case KindAnswered:
		if err := o.applyAnswer(f); err != nil {
			return err
		}
	case KindCancelAsked:
		if o.State().Final() || f.Person == nil {
			return forbid(o, f)
		}
		p := *f.Person
		o.CancelAsked, o.AskedAt = &p, f.At
	case KindEnded:
		if o.State().Final() || f.Ended == nil {
			return forbid(o, f)
		}
		o.end(f.Ended.State, f.Ended.Reason, f.Ended.Action, f.At)
		o.Unsent = f.Ended.Unsent
	case KindDoubt:
		if o.State().Final() {
			return forbid(o, f)
		}
		if o.No == "" {
			o.No, o.CreatedAt = f.Order, f.At
		}
		o.Doubt = f.Reason
	case KindDetached:
		o.Detached = true
	case KindRefund:
		if o.Outcome != Paid || f.Refund == nil || o.RefundClaims()+f.Refund.Sum > o.Amount {
			return forbid(o, f)
		}
		line := RefundLine{Refund: *f.Refund, State: RefundRequested, At: f.At}
		if line.NeedsSecond {
			line.State = RefundAwaiting
		}
		o.Refunds = append(o.Refunds, line)
	case KindLate:
		if o.Outcome != Failed && o.Outcome != Canceled {
			return forbid(o, f)
		}
		o.LateFound, o.LateDone = true, false
	case KindWatched:
		if o.Outcome != Failed && o.Outcome != Canceled {
			return forbid(o, f)
		}
		o.WatchedBoot = f.At.Boot
		o.WatchBoots++
	case KindInsured:
		if err := o.applyInsured(f); err != nil {
			return err
		}
	case KindLeft:
		if o.State().Final() {
			return forbid(o, f)
		}
		o.PayerLeft = true
	case KindKey:
		if f.Key != nil {
			o.Keys = append(o.Keys, *f.Key)
		}
	case KindBooked, KindUnbooked, KindReversing, KindTold:
		if err := o.applyBooking(f); err != nil {
			return err
		}
	case KindDecided, KindProposed, KindResolved, KindReopened:
		if err := o.applyPeople(f); err != nil {
			return err
		}
	}
	o.Rev++
	return nil
}

func (o *Order) applySent(f Fact) error {
	s := f.Sent
	if s == nil {
		return forbid(o, f)
	}
	switch s.Verb {
	case VerbCharge, VerbPresent:
		if o.State() != Waiting {
			return forbid(o, f)
		}
		at := f.At
		o.SentAt, o.CodeKind, o.CodeChannel, o.CodeHash, o.CodeDevice = &at, s.CodeKind, s.Channel, s.CodeHash, s.Device
	case VerbCancel:
		if o.SentAt == nil && o.Doubt == "" && !o.Foreign {
			return forbid(o, f)
		}
		o.CancelOpen = true
		if o.CancelSent == nil {
			at := f.At
			o.CancelSent = &at
		}
		if r := o.refund(s.Request); r != nil {
			r.leaves(ViaCancel)
		}
	case VerbRefund:
		if r := o.refund(s.Request); r != nil {
			r.leaves(ViaRefund)
		} else {
			o.LateSent = true
		}
	}
	return nil
}

func (o *Order) applyAnswer(f Fact) error {
	a := f.Answer
	if a == nil {
		return forbid(o, f)
	}
	if a.Verb == VerbRefund {
		if r := o.refund(a.Request); r != nil {
			r.State, r.EndedAt, r.Code, r.Message = a.Outcome, f.At, a.Code, a.Message
			if o.Foreign && !o.OutsideSaid && a.Outcome == RefundDone && a.Refunded != nil {
				o.Outside, o.OutsideSaid = max(0, *a.Refunded-o.RefundedSum()), true
			}
		} else if a.Outcome == RefundDone {
			o.LateDone = true
		}
		return nil
	}
	if a.Verb != VerbCancel && a.Status == platforms.Paid.String() && (o.Outcome == Failed || o.Outcome == Canceled) {
		return forbid(o, f) // late money is a fact of its own
	}
	if o.Outcome == "" {
		o.Code, o.Message = a.Code, a.Message
	}
	if a.Handle != "" {
		o.Handle = a.Handle
	}
	if a.TradeNo != "" {
		o.TradeNo = a.TradeNo
	}
	if a.Final {
		o.NoRefunds = true
	}
	if a.Verb == VerbQuery && a.Refunded != nil {
		o.Outside, o.OutsideSaid = max(o.Outside, *a.Refunded-o.RefundedSum()), true
	}
	switch a.Verb {
	case VerbCancel:
		return o.applyCancelAnswer(f, a)
	case VerbCharge, VerbPresent:
		o.PayAnswered = true
		if a.QR != "" && o.Outcome == "" {
			o.QR, o.QRAt = a.QR, f.At
		}
	}
	switch a.Status {
	case platforms.Paid.String():
		if o.Outcome != "" {
			break // what a paid order was told as stays
		}
		o.PaidChannel, o.PaidAt, o.Buyer = a.Channel, a.PaidAt, a.Buyer
		o.AmountSeen = a.Amount != nil
		if o.PaidAt == 0 {
			o.PaidAt, o.PaidLocal = f.At.Wall, true
		}
		o.end(Paid, "", platforms.ActionNone, f.At)
	case platforms.Refused.String():
		o.Refused = true
	case platforms.Failed.String():
		o.FailedSaid = true
	}
	return nil
}

func (o *Order) applyCancelAnswer(f Fact, a *Reply) error {
	o.CancelOpen = false
	o.CancelLost = o.CancelLost || a.Lost
	if !a.Done {
		return nil
	}
	switch {
	case o.LateFound:
		o.LateDone = true
	case o.Outcome == Paid:
		if r := o.refund(a.Request); r != nil {
			r.State, r.EndedAt, r.Code, r.Message = RefundDone, f.At, a.Code, a.Message
		}
	case o.Outcome == "":
		o.end(Canceled, canceledByProof, a.Action, f.At)
	}
	return nil
}

func (o *Order) end(s State, reason string, action platforms.CancelAction, at Instant) {
	o.Outcome, o.EndReason, o.EndedAt, o.QR = s, reason, at, ""
	if s == Paid && o.Books != nil && o.Booking == nil {
		o.Booking = &BookingState{State: BookPending}
	}
	if action != platforms.ActionNone {
		o.Action = action
	}
}

func (o *Order) refund(request string) *RefundLine {
	for i := range o.Refunds {
		if o.Refunds[i].Request == request {
			return &o.Refunds[i]
		}
	}
	return nil
}
