package door

import (
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"payagent/agent"
	"payagent/agent/config"
	"payagent/agent/internal/packed"
	"payagent/agent/metrics"
	"payagent/agent/words"
	"payagent/platforms"
)

type capabilitiesView struct {
	API       string               `json:"api"`
	Version   string               `json:"version"`
	Time      string               `json:"time"`
	Test      bool                 `json:"test"`
	Token     tokenView            `json:"token"`
	Tills     []tillCapability     `json:"tills"`
	Platforms []platformCapability `json:"platforms"`
	Orders    map[string]typeView  `json:"order_types"`
	Merchants []merchantCapability `json:"merchants"`
	Booking   bookingCapability    `json:"booking"`
	Limits    limitsView           `json:"limits"`
	Warnings  []warningView        `json:"warnings"`
}

type tokenView struct {
	Name   string   `json:"name"`
	Till   string   `json:"till,omitempty"`
	Scopes []string `json:"scopes"`
}

type tillCapability struct {
	Name        string      `json:"name"`
	Title       string      `json:"title"`
	Kind        string      `json:"kind"`
	Modes       []string    `json:"modes"`
	OrderTypes  []string    `json:"order_types"`
	WhenOffline string      `json:"when_offline"`
	Scanners    int         `json:"scanners"`
	Routes      []routeView `json:"routes"`
}

// routeView says where the orders of one mode and type go.
type routeView struct {
	Mode      string   `json:"mode"`
	OrderType string   `json:"order_type"`
	Platform  string   `json:"platform"`
	Channels  []string `json:"channels"`
}

type platformCapability struct {
	Name     string   `json:"name"`
	Channels []string `json:"channels"`
	Charge   bool     `json:"charge"`
	Present  bool     `json:"present"`
	Refund   bool     `json:"refund"`
	Up       bool     `json:"up"`
	// SecondWay is how a platform with two ways is reached; missing for others.
	SecondWay *secondWayView `json:"second_way,omitempty"`
}

type secondWayView struct {
	InUse bool  `json:"in_use"`
	ForS  int64 `json:"for_s"`
	// Unused is what the last look at the way that is not in use told.
	Unused agent.Spare `json:"unused"`
}

// merchantCapability is one whose payments the refund desk can look for.
type merchantCapability struct {
	Name     string `json:"name"`
	Platform string `json:"platform"`
	Refund   bool   `json:"refund"`
	LookUp   bool   `json:"lookup"` // payments that this agent did not take can be asked for
}

// bookingCapability says what is expected of HIS for each payment.
type bookingCapability struct {
	Expect       bool  `json:"expect"`
	PromptAfterS int64 `json:"prompt_after_s"`
	AlarmAfterS  int64 `json:"alarm_after_s"`
	Webhook      bool  `json:"webhook"` // HIS is called when something happened
}

type typeView struct {
	MinFen platforms.Fen `json:"min_fen"`
	MaxFen platforms.Fen `json:"max_fen"`
}

type limitsView struct {
	// RefundAloneFen is the sum of an order's refunds above which a second
	// person is needed; 0: never.
	RefundAloneFen platforms.Fen `json:"refund_alone_fen"`
	BodyBytes      int           `json:"body_bytes"`
	WaitS          int64         `json:"wait_s"`
	MinFen         platforms.Fen `json:"min_fen"`
	MaxFen         platforms.Fen `json:"max_fen"`
}

type warningView struct {
	Code string     `json:"code"`
	Say  words.Text `json:"say"`
}

// capabilities is GET /v1/capabilities (HIS-11): what this box can do, so that
// a HIS shows only what works.
func (d *door) capabilities(w http.ResponseWriter, _ *http.Request, c caller) {
	conf := d.agent.Config()
	down := d.agent.Health().Down
	v := capabilitiesView{API: "v1", Version: d.opts.Version, Time: stamp(time.Now().UnixMilli()), Test: conf.Site.Test,
		Token: tokenView{Name: c.token.Name, Till: c.token.Till, Scopes: []string{}},
		Tills: []tillCapability{}, Platforms: []platformCapability{}, Orders: map[string]typeView{},
		Limits:    limitsView{BodyBytes: maxBody, WaitS: seconds(maxWait), MinFen: conf.Limits.MinFen, MaxFen: conf.Limits.MaxFen, RefundAloneFen: conf.Limits.RefundAloneFen},
		Merchants: []merchantCapability{}, Booking: bookingCapability{Expect: conf.Booking.Expect, PromptAfterS: seconds(conf.Booking.PromptAfter),
			AlarmAfterS: seconds(conf.Booking.AlarmAfter), Webhook: conf.HIS.Webhook.On()},
		Warnings: d.warnings()}
	for _, s := range c.token.Scopes {
		v.Token.Scopes = append(v.Token.Scopes, string(s))
	}
	for _, t := range conf.Tills {
		if c.token.Till == "" || c.token.Till == t.Name {
			v.Tills = append(v.Tills, d.tillCapability(conf, t))
		}
	}
	for _, p := range conf.Platforms {
		can := d.agent.Platform(p.Name)
		x := platformCapability{Name: p.Name, Channels: channels(can.Traits.Channels),
			Charge: can.Charge, Present: can.Present[platforms.ModePresent], Refund: can.Refund, Up: !slices.Contains(down, p.Name)}
		if w, ok := d.agent.Ways(p.Name); ok {
			x.SecondWay = &secondWayView{InUse: w.Second, ForS: seconds(w.For), Unused: w.Spare}
		}
		v.Platforms = append(v.Platforms, x)
	}
	for _, m := range conf.Merchants {
		can := d.agent.Platform(m.Platform)
		v.Merchants = append(v.Merchants, merchantCapability{Name: m.Profile, Platform: m.Platform, Refund: can.Refund, LookUp: can.Refund && !can.Traits.NoQuery})
	}
	for name := range conf.OrderTypes {
		low, high := conf.Bounds(name)
		v.Orders[name] = typeView{MinFen: low, MaxFen: high}
	}
	answer(w, http.StatusOK, v)
}

func (d *door) tillCapability(conf config.Config, t config.Till) tillCapability {
	v := tillCapability{Name: t.Name, Title: t.Title, Kind: t.Kind, Modes: []string{}, OrderTypes: []string{},
		WhenOffline: t.WhenOffline, Scanners: len(t.Scanners), Routes: []routeView{}}
	v.Modes = append(v.Modes, t.Modes...)
	v.OrderTypes = append(v.OrderTypes, t.OrderTypes...)
	if len(v.OrderTypes) == 0 {
		for name := range conf.OrderTypes {
			v.OrderTypes = append(v.OrderTypes, name)
		}
		slices.Sort(v.OrderTypes)
	}
	for _, mode := range v.Modes {
		for _, kind := range v.OrderTypes {
			p, _, err := conf.RouteFor(config.Query{Till: t.Name, Mode: platforms.Mode(mode), OrderType: kind})
			can := d.agent.Platform(p.Name)
			if err != nil || mode == string(platforms.ModeCharge) && !can.Charge || platforms.Mode(mode).Shown() && !can.Present[platforms.Mode(mode)] {
				continue
			}
			v.Routes = append(v.Routes, routeView{Mode: mode, OrderType: kind, Platform: p.Name, Channels: channels(can.Traits.Channels)})
		}
	}
	return v
}

func channels(list []platforms.Channel) []string {
	out := []string{}
	for _, ch := range list {
		out = append(out, string(ch))
	}
	return out
}

func (d *door) warnings() []warningView {
	out := []warningView{}
	for _, x := range d.agent.Config().Warnings() {
		out = append(out, warningView{Code: x.Code, Say: words.Text{ZH: x.ZH, EN: x.EN}})
	}
	for _, p := range d.agent.Config().Platforms {
		if w, ok := d.agent.Ways(p.Name); ok && w.Second {
			out = append(out, warningView{Code: "second_way", Say: words.Text{ZH: "支付平台 " + p.Name + " 正走备用通路。", EN: "The platform " + p.Name + " is reached by its second way."}})
		}
	}
	return out
}

type statusView struct {
	Status string `json:"status"`
}

// healthz tells that the process serves; nothing else, because it is open.
func (d *door) healthz(w http.ResponseWriter, _ *http.Request, _ caller) {
	answer(w, http.StatusOK, statusView{Status: "ok"})
}

type readyView struct {
	Ready    bool          `json:"ready"`
	Reasons  []reasonView  `json:"reasons"`
	Warnings []warningView `json:"warnings"`
}

type reasonView struct {
	_    [0]func()  // never compared: no code is made for it
	Code string     `json:"code"`
	Name string     `json:"name,omitempty"` // platform or merchant profile
	Say  words.Text `json:"say"`
	Next words.Text `json:"next_action"`
}

// readyz tells whether a payment can be taken now, and if not, why (OBS-02).
func (d *door) readyz(w http.ResponseWriter, r *http.Request, c caller) {
	ok, why := d.agent.Ready()
	if d.agent.Stopped() {
		ok, why = false, append(why, "shutting_down")
	}
	v := readyView{Ready: ok, Reasons: []reasonView{}, Warnings: append(d.warnings(), d.held(r, c)...)}
	slices.Sort(why)
	for _, s := range slices.Compact(why) {
		code, name, _ := strings.Cut(s, ":")
		e, _ := d.words.Find(words.Problem, code)
		v.Reasons = append(v.Reasons, reasonView{Code: code, Name: name, Say: e.IT, Next: e.Next})
	}
	status := http.StatusOK
	if !ok {
		w.Header().Set("Retry-After", "10")
		status = http.StatusServiceUnavailable
	}
	answer(w, status, v)
}

// metrics is the Prometheus page.
func (d *door) metrics(w http.ResponseWriter, _ *http.Request, c caller) {
	if !d.agent.Config().Metrics.Enabled {
		d.problem(w, c, fault{code: "not_found"})
		return
	}
	own := func(w io.Writer) error { return d.agent.WriteMetrics(w, d.opts.Version) }
	page, err := metrics.Page(append([]func(io.Writer) error{own}, d.opts.Metrics...)...)
	if err != nil {
		d.wrong(w, c, err, fault{})
		return
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = w.Write(page)
}

type alarmView struct {
	_        [0]func()  // never compared: no code is made for it
	Code     string     `json:"code"`
	Order    string     `json:"order,omitempty"`
	Platform string     `json:"platform,omitempty"`
	Say      words.Text `json:"say"`
	IT       words.Text `json:"it"`
	Next     words.Text `json:"next_action"`
}

type alarmsView struct {
	Alarms []alarmView `json:"alarms"`
}

// alarms is GET /v1/alarms: the latest, newest last.
func (d *door) alarms(w http.ResponseWriter, _ *http.Request, _ caller) {
	v := alarmsView{Alarms: []alarmView{}}
	for _, a := range d.agent.Alarms() {
		e, ok := d.words.Find(words.Alarm, a.Code)
		if !ok {
			e, _ = d.words.Find(words.Reason, a.Code)
		}
		v.Alarms = append(v.Alarms, alarmView{Code: a.Code, Order: a.Order, Platform: a.Platform, Say: e.Cashier, IT: e.IT, Next: e.Next})
	}
	answer(w, http.StatusOK, v)
}

// resolve is POST /v1/resolve: everything that is owed is brought forward.
func (d *door) resolve(w http.ResponseWriter, r *http.Request, c caller) {
	m, err := readBody(r)
	if err == nil {
		f := newFields(m)
		f.rest()
		err = *f.fault
	}
	if err != nil {
		d.wrong(w, c, err, fault{})
		return
	}
	ctx, stop := asking(r)
	defer stop()
	if err := d.agent.ResolveAll(ctx); err != nil {
		d.wrong(w, c, err, fault{})
		return
	}
	answer(w, http.StatusAccepted, statusView{Status: "accepted"})
}

func (d *door) openAPI(w http.ResponseWriter, _ *http.Request, _ caller) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(packed.Text(openAPI))
}

// decimal reads a number of digits only.
func decimal(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 31)
	return int(n), err
}

// diag is GET /v1/diag (OBS-10): what IT hands to whoever helps.
func (d *door) diag(w http.ResponseWriter, r *http.Request, c caller) {
	if d.opts.Diag == nil {
		d.problem(w, c, fault{code: "not_found"})
		return
	}
	data, err := d.opts.Diag(r.Context())
	if err != nil {
		d.wrong(w, c, err, fault{})
		return
	}
	w.Header().Set("Content-Type", "application/zip")
	w.Header().Set("Content-Disposition", `attachment; filename="payagent-diag.zip"`)
	_, _ = w.Write(data)
}
