package his

import (
	"cmp"
	"slices"

	"payagent/platforms"
)

// Class says how three books agree about one order.
type Class string

// The classes, from HIS's side as finance counts.
const (
	Equal   Class = "equal"
	Long    Class = "long"    // 长款: the platform holds money that HIS did not book
	Short   Class = "short"   // 短款: HIS booked money that the platform does not hold
	Differs Class = "differs" // the agent says something else than both
)

// Row is one order in the three books. Amounts are fen, what is held of the
// payer's money.
type Row struct {
	OrderNo     string        `json:"order_no"`
	Bill        string        `json:"bill"`
	PlatformFen platforms.Fen `json:"platform_fen"`
	AgentFen    platforms.Fen `json:"agent_fen"`
	HisFen      platforms.Fen `json:"his_fen"`
	AgentState  string        `json:"agent_state"` // empty: the agent knows no such order
	Booking     string        `json:"booking"`
	Class       Class         `json:"class"`
}

// Compare puts the platform's truth, what the agent says and HIS's books side
// by side, by order number. platform is what each payer is out of pocket.
func Compare(platform map[string]platforms.Fen, told map[string]Seen, books []Entry) []Row {
	rows := map[string]*Row{}
	row := func(no string) *Row {
		if rows[no] == nil {
			rows[no] = &Row{OrderNo: no}
		}
		return rows[no]
	}
	for no, fen := range platform {
		row(no).PlatformFen = fen
	}
	for _, e := range books {
		if r := row(e.OrderNo); !e.Struck {
			r.HisFen += e.AmountFen
			r.Bill = e.Bill
		}
	}
	for no, o := range told {
		r := row(no)
		r.Bill, r.AgentState, r.Booking = o.Bill, o.State, o.Booking.State
		if o.State == "paid" {
			r.AgentFen = o.AmountFen - o.RefundedFen
		}
	}
	list := make([]Row, 0, len(rows))
	for _, r := range rows {
		switch {
		case r.PlatformFen > r.HisFen:
			r.Class = Long
		case r.PlatformFen < r.HisFen:
			r.Class = Short
		case r.AgentFen != r.HisFen:
			r.Class = Differs
		default:
			r.Class = Equal
		}
		list = append(list, *r)
	}
	slices.SortFunc(list, func(a, b Row) int { return cmp.Compare(a.OrderNo, b.OrderNo) })
	return list
}
