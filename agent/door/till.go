package door

import (
	"strings"

	"payagent/agent/counter"
	"payagent/agent/words"
	"payagent/platforms"
)

// tillView is a till's face: what the cashier page and the kiosk page show.
type tillView struct {
	Till    string      `json:"till"`
	Title   string      `json:"title"`
	Kind    string      `json:"kind"`
	State   string      `json:"state"` // idle, or the order's
	Armed   bool        `json:"armed"` // the scanner takes one payment code
	Online  bool        `json:"online"`
	Queued  int         `json:"queued"` // orders that wait for the network
	Test    bool        `json:"test"`   // every screen says 测试
	Note    *noteView   `json:"note,omitempty"`
	Patient string      `json:"patient,omitempty"` // masked name
	Amount  string      `json:"amount,omitempty"`  // yuan, for people
	Spoken  string      `json:"amount_spoken,omitempty"`
	Order   *orderView  `json:"order,omitempty"`
	Message *words.Text `json:"message,omitempty"` // for the patient
}

// noteView says why the last scan was not used.
type noteView struct {
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
	out := d.face(v)
	out.Title, out.Kind = conf.Title, conf.Kind
	if v.Order != nil && v.Order.Till == name {
		out.Patient = maskName(d.agent.Private(v.Order).Patient.Name.Reveal())
	}
	return out
}

// face is a till's view without anything about the patient, as events carry it.
func (d *door) face(v counter.View) *tillView {
	conf, _ := d.agent.Config().TillNamed(v.Till)
	out := &tillView{Till: v.Till, Title: conf.Title, Kind: conf.Kind, State: "idle", Armed: v.Armed, Online: v.Online,
		Queued: v.Queued, Test: d.agent.Config().Site.Test}
	if o := v.Order; o != nil {
		out.State, out.Order = string(o.State()), d.order(o)
		out.Amount, out.Spoken = o.Amount.Yuan(), words.Chinese(o.Amount)
		out.Message = &out.Order.PatientMessage
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
	e, ok := d.words.Find(words.Scan, v.Note)
	if !ok {
		e, ok = d.words.Find(words.Scan, strings.TrimPrefix(v.Note, "code_"))
	}
	if !ok {
		e, _ = d.words.Find(words.Problem, v.Note)
	}
	asked, shown := d.askedFor(v), words.Text{ZH: "其他钱包", EN: "another wallet"}
	put := func(t words.Text) words.Text {
		return words.Text{ZH: t.Fill("asked", asked.ZH, "wallet", shown.ZH).ZH, EN: t.Fill("asked", asked.EN, "wallet", shown.EN).EN}
	}
	return noteView{Code: v.Note, Patient: put(e.Patient), Cashier: put(e.Cashier), Next: put(e.Next)}
}

// askedFor names the wallets that the till's order may be paid with.
func (d *door) askedFor(v counter.View) words.Text {
	if v.Order == nil {
		return words.Text{}
	}
	if v.Order.Channel != "" {
		return words.Wallet(string(v.Order.Channel))
	}
	return wallets(d.agent.Platform(v.Order.Platform).Traits.Channels)
}

// wallets names several wallets for people.
func wallets(list []platforms.Channel) words.Text {
	var zh, en []string
	for _, ch := range list {
		t := words.Wallet(string(ch))
		zh, en = append(zh, t.ZH), append(en, t.EN)
	}
	return words.Text{ZH: strings.Join(zh, "、"), EN: strings.Join(en, ", ")}
}
