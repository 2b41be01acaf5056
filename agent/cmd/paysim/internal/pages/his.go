package pages

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"payagent/agent/cmd/paysim/internal/his"
	"payagent/platforms"
)

// collect is the body of POST /his/orders: what the cashier pressed, at which
// of the two pretend workstations.
type collect struct {
	his.Press
	Workstation int `json:"workstation"` // 0 or 1
}

// act is the body of POST /his/orders/{no}/{verb}.
type act struct {
	Workstation int           `json:"workstation"`
	Reason      string        `json:"reason"`
	RefundNo    string        `json:"refund_no"`  // refunds; may be empty
	AmountFen   platforms.Fen `json:"amount_fen"` // refunds
	Key         string        `json:"key"`        // refunds; empty makes one
}

func operator(workstation int) (his.Person, error) {
	all := his.Operators()
	if workstation < 0 || workstation >= len(all) {
		return his.Person{}, errors.New("cannot find the workstation: choose 0 or 1")
	}
	return all[workstation], nil
}

func (s *server) hisRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /his/bills", func(w http.ResponseWriter, _ *http.Request) { reply(w, s.Desk.Bills()) })
	mux.HandleFunc("POST /his/bills", func(w http.ResponseWriter, r *http.Request) {
		var want struct {
			AmountFen platforms.Fen `json:"amount_fen"`
			OrderType string        `json:"order_type"`
		}
		err := read(r, &want)
		var b his.Bill
		if err == nil {
			b, err = s.Desk.AddBill(want.AmountFen, want.OrderType)
		}
		answer(w, b, err)
	})
	mux.HandleFunc("POST /his/forget", func(w http.ResponseWriter, _ *http.Request) {
		s.Desk.Forget()
		reply(w, s.Desk.Bills())
	})
	mux.HandleFunc("POST /his/orders", func(w http.ResponseWriter, r *http.Request) {
		var want collect
		err := read(r, &want)
		var who his.Person
		if err == nil {
			who, err = operator(want.Workstation)
		}
		var pressed []his.Pressed
		if err == nil {
			pressed, err = s.Desk.Collect(r.Context(), want.Press, who)
		}
		answer(w, pressed, err)
	})
	mux.HandleFunc("GET /his/orders", func(w http.ResponseWriter, r *http.Request) {
		a, err := s.Desk.Client().Bill(r.Context(), r.URL.Query().Get("bill"))
		relay(w, a, err)
	})
	mux.HandleFunc("GET /his/orders/{no}", func(w http.ResponseWriter, r *http.Request) {
		wait, err := time.ParseDuration("0" + r.URL.Query().Get("wait"))
		if err != nil || wait < 0 || wait > time.Minute {
			refuse(w, http.StatusUnprocessableEntity, errors.New("cannot wait so: write wait=0s to 1m"))
			return
		}
		a, err := s.Desk.Client().Get(r.Context(), r.PathValue("no"), wait)
		relay(w, a, err)
	})
	mux.HandleFunc("POST /his/orders/{no}/{verb}", func(w http.ResponseWriter, r *http.Request) {
		var want act
		err := read(r, &want)
		if err != nil {
			refuse(w, http.StatusUnprocessableEntity, err)
			return
		}
		s.act(w, r, want)
	})
}

func (s *server) act(w http.ResponseWriter, r *http.Request, want act) {
	who, err := operator(want.Workstation)
	if err != nil {
		refuse(w, http.StatusUnprocessableEntity, err)
		return
	}
	no, verb := r.PathValue("no"), r.PathValue("verb")
	switch {
	case verb == "refunds":
		if want.Key == "" {
			want.Key = his.NewKey()
		}
		a, err := s.Desk.Client().Refund(r.Context(), want.Key, no, his.Act{Operator: &who, Reason: want.Reason, RefundNo: want.RefundNo, AmountFen: want.AmountFen})
		relay(w, a, err)
	case slices.Contains(his.Verbs(), verb):
		body := his.Act{}
		if verb == "cancel" {
			body = his.Act{Operator: &who, Reason: want.Reason}
		}
		a, err := s.Desk.Client().Do(r.Context(), no, verb, body)
		relay(w, a, err)
	default:
		refuse(w, http.StatusNotFound, errors.New("cannot do that: choose check, cancel, detach, confirm or refunds"))
	}
}

// relay hands the agent's answer on, whatever it is; no answer is 502.
func relay(w http.ResponseWriter, a his.Answer, err error) {
	if err != nil {
		refuse(w, http.StatusBadGateway, err)
		return
	}
	reply(w, a)
}
