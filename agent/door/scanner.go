package door

import (
	"context"
	"net/http"
	"regexp"
	"time"

	"payagent/agent/counter"
	"payagent/agent/words"
	"payagent/platforms"
)

// sessionName is how a client of HIS may call itself.
var sessionName = regexp.MustCompile(`^[0-9A-Za-z._:-]{1,64}$`)

func badSession() error {
	return &platforms.FieldError{Field: "session", Reason: "must be 1 to 64 characters of 0-9, A-Z, a-z and . _ : -"}
}

// claimView says who holds a till's scanner now.
type claimView struct {
	_        [0]func()  // never compared: no code is made for it
	Till     string     `json:"till"`
	Code     string     `json:"code"` // claimed, asked, retained or released
	Say      words.Text `json:"say"`
	Holder   string     `json:"holder,omitempty"`
	LeaseS   int64      `json:"lease_s"` // what is left of the holder's lease
	AskedBy  string     `json:"asked_by,omitempty"`
	PassesIn int64      `json:"passes_in_s"` // until it passes to asked_by
}

// claim is POST /v1/tills/{till}/scanner/claim: cards that the cashier's
// scanner reads outside payments go to this client. Where another holds the
// scanner it is asked for, and passes after five seconds unless it is retained.
func (d *door) claim(w http.ResponseWriter, r *http.Request, c caller) {
	d.grip(w, r, c, true, d.agent.Claim)
}

// hold makes the handlers of retain and release.
func (d *door) hold(do func(ctx context.Context, till, session string) (counter.Reply, error)) func(http.ResponseWriter, *http.Request, caller) {
	return func(w http.ResponseWriter, r *http.Request, c caller) {
		d.grip(w, r, c, false, func(ctx context.Context, till, session string, _ time.Duration) (counter.Reply, error) {
			return do(ctx, till, session)
		})
	}
}

func (d *door) grip(w http.ResponseWriter, r *http.Request, c caller, leased bool,
	do func(ctx context.Context, till, session string, lease time.Duration) (counter.Reply, error)) {
	till := r.PathValue("till")
	if _, ok := d.agent.Config().TillNamed(till); !ok || !c.collects(till) {
		d.problem(w, c, fault{code: "not_found"})
		return
	}
	m, err := readBody(r)
	if err != nil {
		d.wrong(w, c, err, fault{})
		return
	}
	f := newFields(m)
	session, lease := f.text("session", 64), time.Duration(0)
	if !sessionName.MatchString(session) {
		f.wrong("session", "must be 1 to 64 characters of 0-9, A-Z, a-z and . _ : -")
	}
	if leased {
		lease = time.Duration(f.whole("lease_s", int64(counter.MaxLease/time.Second))) * time.Second
	}
	f.rest()
	if *f.fault != nil {
		d.wrong(w, c, *f.fault, fault{})
		return
	}
	ctx, stop := asking(r)
	defer stop()
	reply, err := do(ctx, till, session, lease)
	if err != nil {
		d.wrong(w, c, err, fault{})
		return
	}
	status := http.StatusOK
	switch reply.Code {
	case counter.CodeClaimed, counter.CodeRetained, counter.CodeReleased:
	case counter.CodeAsked:
		status = http.StatusAccepted
	default:
		d.problem(w, c, fault{code: reply.Code})
		return
	}
	e, _ := d.words.Find(words.Reply, reply.Code)
	answer(w, status, claimView{Till: till, Code: reply.Code, Say: e.Cashier, Holder: reply.Claim.Holder, LeaseS: seconds(reply.Claim.Left),
		AskedBy: reply.Claim.AskedBy, PassesIn: seconds(reply.Claim.PassesIn)})
}

// identityView is a card that was read for a client. It is told once and kept
// nowhere.
type identityView struct {
	_         [0]func()          // never compared: no code is made for it
	Till      string             `json:"till"`
	Device    string             `json:"device"`
	Kind      platforms.CodeKind `json:"kind"`
	Text      string             `json:"text"`
	Symbology string             `json:"symbology,omitempty"`
}

func (d *door) identity(i counter.Identity) identityView {
	return identityView{Till: i.Till, Device: i.Device, Kind: i.Kind, Text: i.Text.Reveal(), Symbology: i.Symbology}
}

type takenView struct {
	Identity *identityView `json:"identity,omitempty"`
}

// takeIdentity is GET /v1/tills/{till}/identity: the card that was read for
// this client, once, with ?wait= as a long poll for clients without events.
func (d *door) takeIdentity(w http.ResponseWriter, r *http.Request, c caller) {
	till := r.PathValue("till")
	if _, ok := d.agent.Config().TillNamed(till); !ok || !c.collects(till) {
		d.problem(w, c, fault{code: "not_found"})
		return
	}
	q, err := query(r, "session", "wait")
	var wait time.Duration
	if err == nil {
		wait, _, err = waiting(q)
	}
	if err == nil && !sessionName.MatchString(q["session"]) {
		err = badSession()
	}
	if err != nil {
		d.wrong(w, c, err, fault{})
		return
	}
	leave, ok := d.place()
	if !ok {
		d.problem(w, c, fault{code: "too_many_requests"})
		return
	}
	defer leave()
	ctx, stop := context.WithTimeout(r.Context(), wait)
	defer stop()
	card, held, ok := d.agent.WaitIdentity(ctx, till, q["session"])
	switch {
	case !held:
		d.problem(w, c, fault{code: counter.CodeNotHolder})
	case ok:
		v := d.identity(card)
		answer(w, http.StatusOK, takenView{Identity: &v})
	default:
		answer(w, http.StatusOK, takenView{})
	}
}
