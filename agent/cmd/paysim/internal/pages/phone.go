package pages

import (
	"net/http"

	"payagent/agent/cmd/paysim/internal/picture"
	"payagent/agent/cmd/paysim/internal/scanbox"
	"payagent/agent/cmd/paysim/internal/world"
	"payagent/platforms"
)

// wish is the body of POST /phone/code and POST /phone/pay.
type wish struct {
	Wallet platforms.Channel `json:"wallet"`
	// Behave is a number of the table, or -1 for by amount, which is also what
	// leaving it out means.
	Behave *int   `json:"behave"`
	QR     string `json:"qr"` // pay: text of the QR code, or the order number
}

func (w wish) behave() int {
	if w.Behave == nil {
		return world.ByAmount
	}
	return *w.Behave
}

// shownCode is a payment code on the phone's screen.
type shownCode struct {
	Code   string            `json:"code"`
	Wallet platforms.Channel `json:"wallet"`
	LifeS  int               `json:"life_s"`
	QR     string            `json:"qr_png"`   // data: URI
	Bars   string            `json:"bars_png"` // data: URI
}

func (s *server) phoneRoutes(mux *http.ServeMux) {
	mux.HandleFunc("POST /phone/code", func(w http.ResponseWriter, r *http.Request) {
		var want wish
		err := read(r, &want)
		var shown shownCode
		if err == nil {
			shown, err = s.code(want)
		}
		answer(w, shown, err)
	})
	mux.HandleFunc("GET /phone/qrs", func(w http.ResponseWriter, _ *http.Request) {
		list, err := s.World.OpenQRs()
		answer(w, list, err)
	})
	mux.HandleFunc("POST /phone/pay", func(w http.ResponseWriter, r *http.Request) {
		var want wish
		err := read(r, &want)
		var o world.Order
		if err == nil {
			o, err = s.World.Pay(want.QR, want.Wallet, want.behave())
		}
		answer(w, o, err)
	})
}

func (s *server) code(want wish) (shownCode, error) {
	c, err := s.World.NewCode(want.Wallet, want.behave())
	if err != nil {
		return shownCode{}, err
	}
	qr, err := picture.QR(c.Text, 240)
	if err != nil {
		return shownCode{}, err
	}
	bars, err := picture.Bars(c.Text, 70)
	if err != nil {
		return shownCode{}, err
	}
	return shownCode{
		Code: c.Text, Wallet: c.Wallet, LifeS: int(c.Life.Seconds()),
		QR: picture.DataURI(qr), Bars: picture.DataURI(bars),
	}, nil
}

// scan is the body of POST /scanbox.
type scan struct {
	Text   string         `json:"text"`
	Box    string         `json:"box"`
	Suffix scanbox.Suffix `json:"suffix"`
	Style  scanbox.Style  `json:"style"`
}

func (s *server) scanRoutes(mux *http.ServeMux) {
	mux.HandleFunc("POST /scanbox", func(w http.ResponseWriter, r *http.Request) {
		var want scan
		err := read(r, &want)
		var b Box
		if err == nil {
			b, err = s.box(want.Box)
		}
		if err == nil {
			err = b.Scan(r.Context(), want.Text, want.Suffix, want.Style)
		}
		answer(w, map[string]any{"box": b.Name, "bytes": len(want.Text)}, err)
	})
	for verb, do := range map[string]func(*scanbox.Box) error{"plug": (*scanbox.Box).Plug, "unplug": (*scanbox.Box).Unplug} {
		mux.HandleFunc("POST /scanbox/"+verb, func(w http.ResponseWriter, r *http.Request) {
			var want scan
			err := read(r, &want)
			var b Box
			if err == nil {
				b, err = s.box(want.Box)
			}
			if err != nil {
				refuse(w, http.StatusUnprocessableEntity, err)
				return
			}
			err = do(b.Box)
			answer(w, BoxState{b.Name, b.Link(), b.Plugged()}, err)
		})
	}
}
