package load

import (
	"fmt"
	"io"
	"math/rand/v2"

	"payagent/platforms"
	"payagent/platforms/bank"
)

// Action is what the pretend HIS does besides asking to be paid.
type Action string

// The actions.
const (
	Plain     Action = "plain"
	TwiceSame Action = "twice_same_key" // a double click of a careful HIS
	TwiceNew  Action = "twice_new_key"  // a double click of a careless one
	Cancel    Action = "cancel"         // asks for a cancel at once
	Detach    Action = "detach"         // frees the till at once
	Check     Action = "check"          // presses 校验 at once
	Refund    Action = "refund"         // gives a part back once paid
	Fails     Action = "his_fails"      // says that its processing failed, once paid
	Silent    Action = "his_silent"     // never says whether it booked
)

// Actions lists them.
func Actions() []Action {
	return []Action{Plain, TwiceSame, TwiceNew, Cancel, Detach, Check, Refund, Fails, Silent}
}

// Scenario is one order of a load: what is asked and what will happen. It
// depends on seed and index alone.
type Scenario struct {
	Index       int
	Till        string
	Channel     platforms.Channel
	AmountFen   platforms.Fen
	Instruction int // line of the table of magic codes
	Action      Action
	RefundFen   platforms.Fen // of Refund
}

// plan draws scenario i. Half of all payers pay at once and half of all
// cashiers do nothing else, if the choices leave that.
func plan(o Options, i int) Scenario {
	r := rand.New(rand.NewPCG(o.Seed, uint64(i))) //nolint:gosec // repeatable on purpose
	s := Scenario{Index: i, Till: o.Tills[i%len(o.Tills)], Channel: o.Channels[r.IntN(len(o.Channels))]}
	s.AmountFen = platforms.Fen(1+r.IntN(500))*100 + platforms.Fen(r.IntN(90))
	s.Instruction = o.Instructions[0]
	if r.IntN(2) == 1 {
		s.Instruction = o.Instructions[r.IntN(len(o.Instructions))]
	}
	s.Action = o.Actions[0]
	if r.IntN(2) == 1 {
		s.Action = o.Actions[r.IntN(len(o.Actions))]
	}
	if s.Action == Refund {
		s.RefundFen = 1 + platforms.Fen(r.Int64N(int64(s.AmountFen)))
	}
	return s
}

// freshCode makes a payment code that carries an instruction and was, but for
// chance, never seen before: agents refuse a code that comes twice.
func freshCode(c platforms.Channel, instruction int, chance io.Reader) (string, error) {
	magic := []byte(bank.MagicCode(c, instruction))
	middle := magic[8 : len(magic)-2]
	for range 100 {
		if _, err := io.ReadFull(chance, middle); err != nil {
			return "", fmt.Errorf("cannot draw a payment code: %w", err)
		}
		for i := range middle {
			middle[i] = '0' + middle[i]%10
		}
		if sc := platforms.DefaultRules().Recognise(string(magic), ""); sc.Payable && sc.Channel == c {
			return string(magic), nil
		}
	}
	return "", fmt.Errorf("cannot draw a payment code of %s", c)
}
