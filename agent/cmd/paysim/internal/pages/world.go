package pages

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"payagent/agent/cmd/paysim/internal/outage"
	"payagent/agent/cmd/paysim/internal/world"
	"payagent/platforms"
	"payagent/platforms/bank"
)

// State is what every page shows.
type State struct {
	Test      bool                `json:"test"`
	Net       Net                 `json:"net"`
	NowMS     int64               `json:"now_ms"`
	Boxes     []BoxState          `json:"boxes"`
	Tills     []string            `json:"tills"`
	Wallets   []platforms.Channel `json:"wallets"`
	Platforms []string            `json:"platforms"`
	Scenarios []world.Scenario    `json:"scenarios"`
	Faults    []bank.Fault        `json:"faults"`
	Purse     world.Purse         `json:"purse"`
}

// Net is the platforms' network. Down without a mode means refuse.
type Net struct {
	Down bool        `json:"down"`
	Mode outage.Mode `json:"mode"`
}

// BoxState is a scan box.
type BoxState struct {
	Name    string `json:"name"`
	Path    string `json:"path"`
	Plugged bool   `json:"plugged"`
}

// fault is the body of POST /faults.
type fault struct {
	Platform string     `json:"platform"`
	Op       string     `json:"op"`    // charge, present, query, cancel, refund
	Fault    bank.Fault `json:"fault"` // empty with always: ends it
	Always   bool       `json:"always"`
}

func (s *server) worldRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /state", func(w http.ResponseWriter, _ *http.Request) {
		purse, err := s.World.Purse()
		answer(w, s.state(purse), err)
	})
	mux.HandleFunc("GET /ledger", func(w http.ResponseWriter, _ *http.Request) {
		truth, err := s.World.Truth()
		answer(w, truth, err)
	})
	mux.HandleFunc("GET /net", func(w http.ResponseWriter, _ *http.Request) { reply(w, s.net()) })
	mux.HandleFunc("POST /net", func(w http.ResponseWriter, r *http.Request) {
		var n Net
		err := read(r, &n)
		if err == nil {
			err = s.setNet(n)
		}
		answer(w, s.net(), err)
	})
	mux.HandleFunc("POST /faults", func(w http.ResponseWriter, r *http.Request) {
		var f fault
		err := read(r, &f)
		if err == nil {
			err = s.inject(f)
		}
		answer(w, f, err)
	})
}

func (s *server) state(purse world.Purse) State {
	st := State{
		Test: true, Net: s.net(), NowMS: s.World.Now().Milliseconds(), Boxes: []BoxState{}, Tills: s.Tills,
		Wallets: world.Wallets(), Platforms: slices.Sorted(maps.Keys(s.Wires)), Scenarios: world.Scenarios(), Faults: faults(), Purse: purse,
	}
	for _, b := range s.Boxes {
		st.Boxes = append(st.Boxes, BoxState{b.Name, b.Link(), b.Plugged()})
	}
	return st
}

func (s *server) net() Net {
	m := s.Gate.Mode()
	return Net{Down: m != outage.Up, Mode: m}
}

func (s *server) setNet(n Net) error {
	switch {
	case !n.Down:
		return s.Gate.Set(outage.Up)
	case n.Mode == "":
		return s.Gate.Set(outage.Refuse)
	case n.Mode == outage.Up:
		return outage.ErrMode
	}
	return s.Gate.Set(n.Mode)
}

func (s *server) inject(f fault) error {
	ctl := s.Wires[f.Platform]
	if ctl == nil {
		return fmt.Errorf("cannot find the platform: choose one of %v", slices.Sorted(maps.Keys(s.Wires)))
	}
	ops := []string{bank.OpCharge, bank.OpPresent, bank.OpQuery, bank.OpCancel, bank.OpRefund}
	if !slices.Contains(ops, f.Op) {
		return fmt.Errorf("cannot spoil that: op is one of %v", ops)
	}
	if f.Fault == bank.NoFault && !f.Always {
		return errors.New("cannot spoil nothing: name a fault, or always with an empty fault to end one")
	}
	if f.Fault != bank.NoFault && !slices.Contains(faults(), f.Fault) {
		return fmt.Errorf("cannot spoil so: the fault is one of %v", faults())
	}
	if f.Always {
		ctl.Always(f.Op, f.Fault)
	} else {
		ctl.Inject(f.Op, f.Fault)
	}
	return nil
}

// faults lists what may be injected.
func faults() []bank.Fault {
	return []bank.Fault{
		bank.LoseRequest, bank.LoseReply, bank.HTTP500, bank.HTTP500After, bank.Garbage, bank.HalfReply, bank.WrongAmount,
		bank.WrongOrder, bank.WrongMerchant, bank.Slow, bank.HTML200, bank.Token, bank.IsSuccess2, bank.Redirect, bank.Huge,
		bank.Redirect307, bank.HTTP404, bank.Reset, bank.HTTP502, bank.Empty, bank.OddStatus, bank.Leak,
	}
}
