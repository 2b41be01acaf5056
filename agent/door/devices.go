package door

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"payagent/agent"
	"payagent/agent/access"
	"payagent/agent/words"
	"payagent/devices"
)

// deviceView is one scanner or display (DEV-15). It never holds a scanned text.
type deviceView struct {
	Name    string      `json:"name"`
	Till    string      `json:"till"`
	Kind    string      `json:"kind"`           // scanner or display
	Role    string      `json:"role,omitempty"` // pad or gun
	Pays    *bool       `json:"pays,omitempty"` // scanner: its codes may pay
	Present bool        `json:"present"`
	Reason  *reasonView `json:"reason,omitempty"`
	Since   string      `json:"since,omitempty"`
	Place   *placeView  `json:"place,omitempty"`
	Counts  *countsView `json:"counts,omitempty"`
	Hints   []hintView  `json:"hints"`
	Actions []string    `json:"actions"`
}

type placeView struct {
	Driver string `json:"driver,omitempty"`
	Port   string `json:"port,omitempty"`
	Node   string `json:"node,omitempty"`
	Class  string `json:"class,omitempty"`
	USBID  string `json:"usb_id,omitempty"`
	Maker  string `json:"maker,omitempty"`
	Model  string `json:"model,omitempty"`
	Serial string `json:"serial,omitempty"`
}

type countsView struct {
	Good    uint64 `json:"good"`
	Bad     uint64 `json:"bad"`
	Cut     uint64 `json:"cut"`
	Doubles uint64 `json:"doubles"`
	Settled uint64 `json:"settled"`
	Unread  uint64 `json:"unread"`
	Lost    uint64 `json:"lost"`
	Opens   uint64 `json:"opens"`
	LastAt  string `json:"last_at,omitempty"`
}

type hintView struct {
	_    [0]func()  // never compared: no code is made for it
	Code string     `json:"code"` // dirty or silent
	Say  words.Text `json:"say"`
	Next words.Text `json:"next_action"`
}

type devicesView struct {
	Devices []deviceView `json:"devices"`
}

// handles tells whether the caller may know and test the devices of a till.
func (c caller) handles(till string) bool {
	return c.collects(till) || c.token.Allows(access.Admin, till)
}

// devices lists those that the caller may know.
func (d *door) devices(c caller) []deviceView {
	list := []deviceView{}
	for _, x := range d.agent.Devices() {
		if c.handles(x.Till) {
			list = append(list, d.device(x))
		}
	}
	return list
}

func (d *door) device(x agent.Device) deviceView {
	v := deviceView{Name: x.Name, Till: x.Till, Kind: x.Kind, Role: x.Role, Present: x.Present, Since: stamp(x.Since), Hints: []hintView{}, Actions: []string{}}
	v.Actions = append(v.Actions, x.Actions...)
	if x.Kind == agent.KindScanner {
		pays := !x.NoPay
		v.Pays = &pays
	}
	if x.Reason != "" {
		e, _ := d.words.Find(words.Device, x.Reason)
		v.Reason = &reasonView{Code: x.Reason, Say: e.Cashier, Next: e.Next}
	}
	if f := x.Found; f != (devices.Found{}) {
		v.Place = &placeView{Driver: f.Driver, Port: f.Port, Node: f.Node, Class: f.Class, USBID: f.ID(), Maker: f.Maker, Model: f.Model, Serial: f.Serial}
	}
	if n := x.Counts; n != nil {
		v.Counts = &countsView{Good: n.Good, Bad: n.Bad, Cut: n.Cut, Doubles: n.Doubles, Settled: n.Settled, Unread: n.Unread, Lost: n.Lost, Opens: n.Opens}
		if !n.Last.IsZero() {
			v.Counts.LastAt = stamp(n.Last.UnixMilli())
		}
	}
	hint := func(on bool, code string) {
		if on {
			e, _ := d.words.Find(words.Device, code)
			v.Hints = append(v.Hints, hintView{Code: code, Say: e.Cashier, Next: e.Next})
		}
	}
	hint(x.Dirty, "dirty")
	hint(x.Silent, "silent")
	return v
}

// mark is equal for two states of a device between which nothing is news:
// counts grow all the time.
func (v deviceView) mark() string {
	var b strings.Builder
	fmt.Fprint(&b, v.Present)
	if v.Reason != nil {
		fmt.Fprint(&b, " ", v.Reason.Code)
	}
	if v.Place != nil {
		fmt.Fprintf(&b, " %q", *v.Place)
	}
	for _, h := range v.Hints {
		fmt.Fprint(&b, " ", h.Code)
	}
	return b.String()
}

// listDevices is GET /v1/devices.
func (d *door) listDevices(w http.ResponseWriter, _ *http.Request, c caller) {
	answer(w, http.StatusOK, devicesView{Devices: d.devices(c)})
}

// testDevice is POST /v1/devices/{name}/test: a test screen, or a named action
// of the driver's profile. There is no way to send bytes of one's own.
func (d *door) testDevice(w http.ResponseWriter, r *http.Request, c caller) {
	name := r.PathValue("name")
	var x *deviceView
	for _, v := range d.devices(c) {
		if v.Name == name {
			x = &v
		}
	}
	if x == nil {
		d.problem(w, c, fault{code: "not_found"})
		return
	}
	m, err := readBody(r)
	if err != nil {
		d.wrong(w, c, err, fault{})
		return
	}
	f := newFields(m)
	action := f.text("action", 32)
	f.rest()
	if *f.fault != nil {
		d.wrong(w, c, *f.fault, fault{})
		return
	}
	ctx, stop := asking(r)
	defer stop()
	switch err := d.agent.TestDevice(ctx, name, action); {
	case err == nil:
		answer(w, http.StatusAccepted, statusView{Status: "accepted"})
	case errors.Is(err, devices.ErrNoAction):
		reason := strings.Join(x.Actions, ", ")
		if reason == "" {
			reason = "—"
		}
		d.problem(w, c, fault{code: "unknown_action", field: "action", reason: reason})
	case errors.Is(err, agent.ErrInUse):
		d.problem(w, c, fault{code: "display_in_use"})
	case errors.Is(err, devices.ErrGone):
		d.problem(w, c, fault{code: "device_absent"})
	case errors.Is(err, agent.ErrNoDevice), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		d.wrong(w, c, err, fault{})
	default:
		d.log.Warn("a device did not do what it was asked for", "device", name, "error", err, "trace", c.trace)
		d.problem(w, c, fault{code: "device_failed"})
	}
}
