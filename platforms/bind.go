package platforms

import "fmt"

// Mismatch says that a reply speaks of something else than what was asked.
// It is an alarm: a mixed-up or forged reply, or a unit taken for another.
type Mismatch struct {
	Field string // "order number", "amount", "merchant", "platform order id"
	Asked string
	Got   string
}

// Error names the field and both values; none of these fields is secret.
func (m *Mismatch) Error() string {
	return fmt.Sprintf("cannot use the platform's answer: %s asked %s, answered %s; check the order by hand", m.Field, m.Asked, m.Got)
}

// Bind decides whether an answer speaks of the order that was asked about.
// Every field that the answer carries must equal ours; what it does not carry
// is bound by the number or key asked for (decision 4). An answer that fails
// is worth nothing: the caller keeps the order unknown and raises an alarm.
func Bind(ref Ref, a Answer) error {
	if a.OrderNo != "" && a.OrderNo != ref.OrderNo {
		return &Mismatch{Field: "order number", Asked: ref.OrderNo, Got: clip(a.OrderNo)}
	}
	if a.Handle != "" && ref.Handle != "" && a.Handle != ref.Handle {
		return &Mismatch{Field: "platform order id", Asked: clip(ref.Handle), Got: clip(a.Handle)}
	}
	if a.Merchant != "" && ref.Merchant.Code != "" && a.Merchant != ref.Merchant.Code {
		return &Mismatch{Field: "merchant", Asked: clip(ref.Merchant.Code), Got: clip(a.Merchant)}
	}
	// An unpaid order may be answered with a zero amount; a paid one may not.
	if a.HasAmount && a.Amount != ref.Amount && (a.Status == Paid || a.Amount != 0) {
		return &Mismatch{Field: "amount", Asked: ref.Amount.Yuan(), Got: a.Amount.Yuan()}
	}
	return nil
}

// BindCancel is Bind for the reply to a cancel.
func BindCancel(ref Ref, c Cancellation) error {
	return Bind(ref, Answer{OrderNo: c.OrderNo})
}
