package platforms_test

import (
	"errors"
	"strings"
	"testing"

	"payagent/platforms"
)

func TestBind(t *testing.T) {
	ref := platforms.Ref{OrderNo: "MZ1", Handle: "H1", Merchant: platforms.Merchant{Code: "M1"}, Amount: 8888}
	bare := platforms.Ref{OrderNo: "MZ1", Amount: 8888}
	paid := func(change func(*platforms.Answer)) platforms.Answer {
		a := platforms.Answer{Status: platforms.Paid, OrderNo: "MZ1", Handle: "H1", Merchant: "M1", Amount: 8888, HasAmount: true}
		change(&a)
		return a
	}
	for _, c := range []struct {
		name  string
		ref   platforms.Ref
		a     platforms.Answer
		field string // empty: it binds
	}{
		{"all right", ref, paid(func(*platforms.Answer) {}), ""},
		{"carries nothing", ref, platforms.Answer{Status: platforms.Paid}, ""},
		{"other number", ref, paid(func(a *platforms.Answer) { a.OrderNo = "MZ2" }), "order number"},
		{"number in other case", ref, paid(func(a *platforms.Answer) { a.OrderNo = "mz1" }), "order number"},
		{"number with a blank", ref, paid(func(a *platforms.Answer) { a.OrderNo = "MZ1 " }), "order number"},
		{"other key", ref, paid(func(a *platforms.Answer) { a.Handle = "H2" }), "platform order id"},
		{"key that we did not have", bare, paid(func(*platforms.Answer) {}), ""},
		{"other merchant", ref, paid(func(a *platforms.Answer) { a.Merchant = "M2" }), "merchant"},
		{"merchant that we did not have", bare, paid(func(a *platforms.Answer) { a.Merchant = "M2" }), ""},
		{"other amount", ref, paid(func(a *platforms.Answer) { a.Amount = 8889 }), "amount"},
		{"fen for yuan", ref, paid(func(a *platforms.Answer) { a.Amount = 888800 }), "amount"},
		{"paid with nothing", ref, paid(func(a *platforms.Answer) { a.Amount = 0 }), "amount"},
		{"pending with nothing", ref, paid(func(a *platforms.Answer) { a.Amount, a.Status = 0, platforms.Pending }), ""},
		{"pending with another amount", ref, paid(func(a *platforms.Answer) { a.Amount, a.Status = 1, platforms.Pending }), "amount"},
		{"closed with another amount", ref, paid(func(a *platforms.Answer) { a.Amount, a.Status = 1, platforms.Closed }), "amount"},
		{"amount not carried", ref, paid(func(a *platforms.Answer) { a.Amount, a.HasAmount = 0, false }), ""},
	} {
		err := platforms.Bind(c.ref, c.a)
		var m *platforms.Mismatch
		if c.field == "" && err != nil || c.field != "" && (!errors.As(err, &m) || m.Field != c.field) {
			t.Errorf("%s: %v, want mismatch of %q", c.name, err, c.field)
		}
		if errors.Is(err, platforms.ErrNotCharged) {
			t.Errorf("%s: a mismatch claims that nothing was charged", c.name)
		}
	}
}

func TestBindCancel(t *testing.T) {
	ref := platforms.Ref{OrderNo: "MZ1"}
	if err := platforms.BindCancel(ref, platforms.Cancellation{Done: true}); err != nil {
		t.Error(err)
	}
	if err := platforms.BindCancel(ref, platforms.Cancellation{Done: true, OrderNo: "MZ1"}); err != nil {
		t.Error(err)
	}
	if err := platforms.BindCancel(ref, platforms.Cancellation{Done: true, OrderNo: "MZ2"}); err == nil {
		t.Error("a cancel of another order passes")
	}
}

func TestMismatchIsShort(t *testing.T) {
	err := platforms.Bind(platforms.Ref{OrderNo: "MZ1"}, platforms.Answer{OrderNo: strings.Repeat("x", 1<<16)})
	if err == nil || len(err.Error()) > 300 {
		t.Errorf("an answer of 64 KiB is repeated in the error: %d bytes", len(err.Error()))
	}
}

type left struct{ not bool }

func (l left) Error() string { return "x" }
func (l left) NotSent() bool { return l.not }

func TestNeverLeft(t *testing.T) {
	for want, errs := range map[bool][]error{
		true:  {left{true}, errors.Join(errors.New("y"), left{true})},
		false: {nil, left{false}, errors.New("y"), platforms.ErrNotCharged},
	} {
		for _, err := range errs {
			if platforms.NeverLeft(err) != want {
				t.Errorf("%v: want %v", err, want)
			}
		}
	}
}

func TestFieldErrorProvesThatNothingWasCharged(t *testing.T) {
	err := error(&platforms.FieldError{Field: "subject", Reason: "is empty"})
	if !errors.Is(err, platforms.ErrNotCharged) || errors.Is(err, platforms.ErrToken) || err.Error() != "subject: is empty" {
		t.Errorf("%v", err)
	}
}

func TestStatusWords(t *testing.T) {
	seen := map[string]bool{}
	for s := platforms.Unknown; s <= platforms.Closed; s++ {
		if w := s.String(); seen[w] || s != platforms.Unknown && w == "unknown" {
			t.Errorf("status %d is called %q", s, w)
		} else {
			seen[w] = true
		}
	}
	if platforms.Status(99).String() != "unknown" || platforms.Status(-1).String() != "unknown" {
		t.Error("a status that does not exist has a word")
	}
}
