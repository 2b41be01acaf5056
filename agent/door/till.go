package door

import (
	"payagent/agent/counter"
	"payagent/agent/words"
)

// tillView is a till's face: what the cashier page and the kiosk page show.
type tillView struct {
	_       [0]func()   // never compared: no code is made for it
	Till    string      `json:"till"`
	Title   string      `json:"title"`
	Kind    string      `json:"kind"`
	State   string      `json:"state"` // idle, or the order's
	Armed   bool        `json:"armed"` // the scanner takes one payment code
	Scanner scannerView `json:"scanner"`
	Online  bool        `json:"online"`
	Queued  int         `json:"queued"` // orders that wait for the network
	Test    bool        `json:"test"`   // every screen says 测试
	Note    *noteView   `json:"note,omitempty"`
	Patient string      `json:"patient,omitempty"` // masked name
	Amount  string      `json:"amount,omitempty"`  // yuan, for people
	Spoken  string      `json:"amount_spoken,omitempty"`
	Order   *orderView  `json:"order,omitempty"`
	Message *words.Text `json:"message,omitempty"` // for the patient
	Speech  *words.Text `json:"speech,omitempty"`  // what is said aloud
}

// scannerView says what the till's scanners are doing. Who holds them is told
// to those who may hold them.
type scannerView struct {
	_       [0]func()            // never compared: no code is made for it
	State   counter.ScannerState `json:"state"`
	Text    words.Text           `json:"text"`
	Holder  string               `json:"holder,omitempty"`
	AskedBy string               `json:"asked_by,omitempty"`
}

func (d *door) scanner(v counter.View, c caller) scannerView {
	out := scannerView{State: v.Scanner}
	if out.State == "" {
		out.State = counter.ScannerClosed
	}
	e, _ := d.words.Find(words.Scanner, string(out.State))
	out.Text = e.Cashier
	if c.collects(v.Till) {
		out.Holder, out.AskedBy = v.Holder, v.AskedBy
	}
	return out
}

// noteView says why the last scan was not used.
type noteView struct {
	_       [0]func()  // never compared: no code is made for it
	Code    string     `json:"code"`
	Patient words.Text `json:"patient"`
	Cashier words.Text `json:"cashier"`
	Next    words.Text `json:"next_action"`
}

// till makes the view of a till, nil if it does not exist for the caller.
func (d *door) till(name string, c caller) *tillView {
	conf, ok := d.agent.Config().TillNamed(name)
	if !ok || !c.seesTill(name) {
		return nil
	}
	v, ok := d.agent.View(name)
	if !ok {
		return nil
	}
	out := d.face(v, c)
	out.Title, out.Kind = conf.Title, conf.Kind
	if v.Order != nil && v.Order.Till == name {
		out.Patient = words.Masked(d.agent.Private(v.Order).Patient.Name.Reveal())
	}
	return out
}

// face is a till's view without anything about the patient, as events carry it.
func (d *door) face(v counter.View, c caller) *tillView {
	conf, _ := d.agent.Config().TillNamed(v.Till)
	out := &tillView{Till: v.Till, Title: conf.Title, Kind: conf.Kind, State: "idle", Armed: v.Armed, Scanner: d.scanner(v, c), Online: v.Online,
		Queued: v.Queued, Test: d.agent.Config().Site.Test}
	if o := v.Order; o != nil {
		out.State, out.Order = string(o.State()), d.order(o)
		out.Amount, out.Spoken = o.Amount.Yuan(), words.AmountSpoken(o.Amount)
		out.Message = &out.Order.PatientMessage
		if said := d.agent.Speech(v); !said.Empty() {
			out.Speech = &said
		}
	}
	if v.Note != "" {
		n := d.note(v)
		out.Note = &n
		if n.Patient != (words.Text{}) {
			out.Message = &n.Patient
		}
	}
	return out
}

func (d *door) note(v counter.View) noteView {
	e := d.agent.SayNote(v)
	return noteView{Code: v.Note, Patient: e.Patient, Cashier: e.Cashier, Next: e.Next}
}
