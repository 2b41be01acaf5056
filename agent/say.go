package agent

import (
	"strings"

	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/agent/words"
	"payagent/platforms"
)

// Sayings are the words for an order's state and why it is so.
type Sayings struct{ State, Message, Next, Patient words.Text }

// Say gives what is said of an order as it is.
func (a *Agent) Say(o *order.Order) Sayings {
	s := o.State()
	variant := string(o.Action)
	if s == order.Paying || s == order.Waiting {
		variant = string(o.Mode)
	}
	e := a.words.OrderState(string(s), variant)
	out := Sayings{State: e.Cashier, Message: e.Cashier, Next: e.Next, Patient: e.Patient}
	if stage := BookStage(o); stage != "" {
		e, _ := a.words.Find(words.Booking, stage)
		out.Message, out.Next, out.Patient = e.Cashier, e.Next, e.Patient
	}
	reason := ""
	switch s {
	case order.Failed, order.Canceled:
		reason = o.EndReason
	case order.InDoubt:
		reason = o.Doubt
	}
	// "canceled" as a reason says less than the state with its action.
	if why, ok := a.words.Find(words.Reason, reason); ok && reason != "canceled" {
		said, known := a.PlatformWords(o.Platform, o.Code, o.Message)
		text := said.Cashier
		if !known {
			text = words.Text{ZH: o.Message, EN: o.Message}
		}
		out.Message = words.Text{ZH: fillReason(why.Cashier, text.ZH, o.Code).ZH, EN: fillReason(why.Cashier, text.EN, o.Code).EN}
		out.Next, out.Patient = why.Next, why.Patient
	}
	return out
}

// BookStage tells how far a paid order is in HIS's books, as a code of the
// catalogue: pending, pending_long, booked, going_back, given_back,
// back_in_doubt or insurance_split. Empty: HIS has nothing to do with it, or it
// was given back by hand.
func BookStage(o *order.Order) string {
	b, r := o.Booking, o.Reversal()
	switch {
	case o.State() != order.Paid || b == nil || b.State == order.BookNone:
		return ""
	case r == nil && b.State != order.BookFailed && b.State != order.BookBooked && o.RefundClaims() == o.Amount:
		return ""
	case o.FullyReversed() && (r != nil || b.State == order.BookFailed):
		return "given_back"
	case r != nil && (r.State == order.RefundInDoubt || r.State == order.RefundRefused):
		return "back_in_doubt"
	case r != nil || b.State == order.BookFailed:
		return "going_back"
	case b.State == order.BookSplit:
		return "insurance_split"
	case b.State == order.BookBooked:
		return "booked"
	case b.Prompted:
		return "pending_long"
	}
	return "pending"
}

func fillReason(t words.Text, message, code string) words.Text {
	if message == "" {
		message = "—"
	}
	return t.Fill("message", message, "code", code)
}

// SayNote gives what is said of a till's note: why the last scan was not used,
// or what is wrong with the scanner.
func (a *Agent) SayNote(v counter.View) words.Entry {
	e, ok := a.words.Find(words.Scan, v.Note)
	if !ok {
		e, ok = a.words.Find(words.Scan, strings.TrimPrefix(v.Note, "code_"))
	}
	if !ok {
		e, _ = a.words.Find(words.Problem, v.Note)
	}
	asked, shown := a.askedFor(v), words.Text{ZH: "其他钱包", EN: "another wallet"}
	put := func(t words.Text) words.Text {
		return words.Text{ZH: t.Fill("asked", asked.ZH, "wallet", shown.ZH).ZH, EN: t.Fill("asked", asked.EN, "wallet", shown.EN).EN}
	}
	return words.Entry{Code: v.Note, Patient: put(e.Patient), Cashier: put(e.Cashier), Next: put(e.Next), IT: put(e.IT)}
}

// askedFor names the wallets that the till's order may be paid with.
func (a *Agent) askedFor(v counter.View) words.Text {
	if v.Order == nil {
		return words.Text{}
	}
	if v.Order.Channel != "" {
		return words.Wallet(string(v.Order.Channel))
	}
	return Wallets(a.shape.Platforms[v.Order.Platform].Traits.Channels)
}

// Wallets names several wallets for people.
func Wallets(list []platforms.Channel) words.Text {
	var zh, en []string
	for _, ch := range list {
		t := words.Wallet(string(ch))
		zh, en = append(zh, t.ZH), append(en, t.EN)
	}
	return words.Text{ZH: strings.Join(zh, "、"), EN: strings.Join(en, ", ")}
}

// Speech gives what is said aloud of a till's face, empty for nothing.
func (a *Agent) Speech(v counter.View) words.Text {
	o := v.Order
	if o == nil {
		return words.Text{}
	}
	if stage := BookStage(o); stage != "" {
		return words.BookSpeech(stage, o.Amount)
	}
	return words.Speech(string(o.State()), o.Mode.Shown(), a.qrSeen(o), o.Amount)
}

// qrSeen tells whether an order's QR code may be on a screen now.
func (a *Agent) qrSeen(o *order.Order) bool {
	return o.QREnds(a.shape.Platforms[o.Platform].Policy, a.Now()) > 0
}
