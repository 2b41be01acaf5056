package config

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"payagent/platforms"
)

// The words that keys with a fixed choice take.
const (
	Counter    = "counter"
	Kiosk      = "kiosk"
	Outpatient = "outpatient"
	Inpatient  = "inpatient"
	Refuse     = "refuse"
	Queue      = "queue"
)

// MaxCodeAge is the oldest a scanned code may ever be when it is sent: the
// wallets change the picture about every minute (decision 9).
const MaxCodeAge = 45 * time.Second

// Validate checks what the form of the file cannot: references, choices,
// bounds. It returns every problem at once, as an [*Error], or nil.
func (c Config) Validate() error {
	v := validator{Config: c, probs: &problems{}}
	v.general()
	v.door()
	v.facade()
	v.books()
	v.platforms()
	v.merchants()
	v.orderTypes()
	v.tills()
	v.routes()
	v.his()
	for i := range c.Platforms {
		v.policy(fmt.Sprintf("platforms[%d].policy", i), c.Platforms[i].Policy)
	}
	if len(c.Platforms) == 0 {
		v.policy("policy", c.Policy)
	}
	v.booking()
	v.numbers()
	v.finance()
	v.online()
	v.fleet()
	return v.probs.err(c.file)
}

type validator struct {
	Config
	probs *problems
}

func (v validator) add(key, format string, args ...any) {
	v.probs.add(v.line(key), key, fmt.Sprintf(format, args...))
}

// oneOf checks a choice. The allowed words are listed in the message.
func (v validator) oneOf(key, got string, allowed ...string) {
	if slices.Contains(allowed, got) {
		return
	}
	if got == "" {
		v.add(key, "this is required; write one of: %s", strings.Join(allowed, ", "))
		return
	}
	hint := ""
	if near := nearest(got, allowed); near != "" {
		hint = fmt.Sprintf(" (did you mean %q?)", near)
	}
	v.add(key, "%q is not a choice here; write one of: %s%s", clip(got), strings.Join(allowed, ", "), hint)
}

var nameRule = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z._-]{0,31}$`)

// name checks a name of our own and that it is used once.
func (v validator) name(key, name string, seen map[string]string) {
	switch {
	case name == "":
		v.add(key, "this is required; write a name of 1-32 letters, digits, . _ or -")
	case !nameRule.MatchString(name):
		v.add(key, "%q is not a name; use 1-32 letters, digits, . _ or -", clip(name))
	case seen[name] != "":
		v.add(key, "%q is already the name of %s; choose another", name, seen[name])
	default:
		seen[name] = key
	}
}

func (v validator) known(key, name, what string, known []string) {
	if name != "" && slices.Contains(known, name) {
		return
	}
	hint := "known: " + strings.Join(known, ", ")
	if len(known) == 0 {
		hint = "the configuration has none yet"
	}
	if near := nearest(name, known); near != "" && name != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	if name == "" {
		v.add(key, "this is required; name a %s (%s)", what, hint)
		return
	}
	v.add(key, "there is no %s %q; %s", what, clip(name), hint)
}

func (v validator) general() {
	if v.DataDir == "" || !filepath.IsAbs(v.DataDir) {
		v.add("data_dir", "write an absolute path on a local disk, e.g. /var/lib/payagent")
	}
	if len(v.Site.HospitalID) > 32 {
		v.add("site.hospital_id", "the platform's number of the hospital is longer than 32 characters; check it")
	}
	if !filepath.IsAbs(v.Devices.ModelsDir) && v.Devices.ModelsDir != "" {
		v.add("devices.models_dir", "write an absolute path, e.g. /var/lib/payagent/models")
	}
	if f := v.Metrics.Textfile; f != "" && (!filepath.IsAbs(f) || !strings.HasSuffix(f, ".prom")) {
		v.add("metrics.textfile", "write an absolute path that ends in .prom, e.g. /var/lib/prometheus/node-exporter/payagent.prom")
	}
	v.between("metrics.textfile_every", v.Metrics.TextfileEvery, 5*time.Second, time.Hour)
	v.oneOf("log.level", v.Log.Level, "debug", "info", "warn", "error")
	if v.Log.MaxBytes < 64<<10 {
		v.add("log.max_bytes", "write at least 64KiB")
	}
	if v.Log.Keep < 0 || v.Log.Keep > 100 {
		v.add("log.keep", "write a number from 0 to 100")
	}
}

func (v validator) door() {
	if len(v.Door.Listen) == 0 {
		v.add("door.listen", `name at least one address, e.g. "127.0.0.1:8780"`)
	}
	v.listener("door", v.Door.Listener())
	v.doorLimits()
	for i, o := range v.Door.Origins {
		u, err := url.Parse(o)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.Scheme+"://"+u.Host != o {
			v.add(fmt.Sprintf("door.origins[%d]", i), "this is not an origin; write scheme://host or scheme://host:port without a path")
		}
	}
	for i, h := range v.Door.Hosts {
		if h == "" || strings.ContainsAny(h, "/:* \t") && !isIP(h) {
			v.add(fmt.Sprintf("door.hosts[%d]", i), "%q is not a host name or address; write it without scheme, port or *", clip(h))
		}
	}
}

func isIP(s string) bool { _, err := netip.ParseAddr(s); return err == nil }

func (v validator) platforms() {
	seen := map[string]string{}
	if len(v.Platforms) == 0 {
		v.add("platforms", "name at least one payment platform")
	}
	for i, p := range v.Platforms {
		at := fmt.Sprintf("platforms[%d]", i)
		v.name(at+".name", p.Name, seen)
		if p.Driver == "" {
			v.add(at+".driver", "this is required; name the adapter, e.g. smartpay or fwc")
		}
		v.url(at, p)
		v.way(at, p)
		if ways := p.Ways(); len(ways) > 1 {
			v.way(at+".second_way", ways[1])
			if ways[0].place() == ways[1].place() {
				v.add(at+".second_way", "this is the same way as the first; write a proxy, relay, from or uplink of its own")
			}
		}
		for j, pin := range p.Pins {
			if raw, err := base64.StdEncoding.DecodeString(pin); err != nil || len(raw) != 32 {
				v.add(fmt.Sprintf("%s.pins[%d]", at, j), "write the SHA-256 of the server's public key (SPKI) in base64: 44 characters")
			}
		}
		if (p.ClientCert == "") != (p.ClientKey == "") {
			v.add(at+".client_cert", "a client certificate needs both client_cert and client_key; name both files or neither")
		}
		v.between(at+".probe_every", p.ProbeEvery, time.Second, 10*time.Minute)
		v.between(at+".dial_timeout", p.DialTimeout, 100*time.Millisecond, time.Minute)
	}
}

func (v validator) url(at string, p Platform) {
	u, err := url.Parse(p.URL)
	switch {
	case p.URL == "":
		v.add(at+".url", "this is required; write the address of the platform's interface")
	case err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https"):
		v.add(at+".url", "this is not an address; write https://host:port/path")
	case u.User != nil:
		v.add(at+".url", "user and password do not belong into the address; remove them")
	case u.Fragment != "" || u.RawQuery != "":
		v.add(at+".url", "remove ? or # and what follows; a token belongs into a file named by token_file")
	case u.Scheme == "http" && !p.AllowPlainHTTP:
		v.add(at+".url", "the address is plain HTTP; use https, or write allow_plain_http: true and accept that whoever sits on the way reads the token and can change answers")
	case u.Scheme == "http" && (len(p.Pins) > 0 || p.CAFile != "" || p.ClientCert != ""):
		v.add(at+".url", "ca_file, pins and client_cert need https; change the address or remove them")
	}
}

func (v validator) hostPort(key, s string) {
	i := strings.LastIndexByte(s, ':')
	if i > 0 {
		if port, err := strconv.ParseUint(s[i+1:], 10, 16); err == nil && port > 0 && !strings.ContainsAny(s, "/ @") {
			return
		}
	}
	if strings.Contains(s, "@") { // perhaps a password: not repeated
		v.add(key, "user and password do not belong into the address; write host:port here, user and password_file beside it")
		return
	}
	v.add(key, "%q is not host:port; write e.g. 10.0.0.5:3128", clip(s))
}

func (v validator) platformNames() []string {
	var out []string
	for _, p := range v.Platforms {
		out = append(out, p.Name)
	}
	return out
}

func (v validator) merchants() {
	seen := map[string]string{}
	if len(v.Merchants) == 0 {
		v.add("merchants", "name at least one merchant profile")
	}
	for i, m := range v.Merchants {
		at := fmt.Sprintf("merchants[%d]", i)
		v.name(at+".profile", m.Profile, seen)
		v.known(at+".platform", m.Platform, "platform", v.platformNames())
	}
}

var prefixRule = regexp.MustCompile(`^[0-9A-Za-z]{1,10}$`)

func (v validator) orderTypes() {
	for _, name := range sortedKeys(v.OrderTypes) {
		t, at := v.OrderTypes[name], "order_types."+name
		if !nameRule.MatchString(name) {
			v.add(at, "the name of an order type has 1-32 letters, digits, . _ or -")
		}
		v.oneOf(at+".class", t.Class, Outpatient, Inpatient)
		for _, b := range []struct {
			key string
			fen platforms.Fen
		}{{".min_fen", t.MinFen}, {".max_fen", t.MaxFen}} {
			if b.fen < 0 || b.fen > platforms.MaxFen {
				v.add(at+b.key, "write whole fen from 0 to %d", platforms.MaxFen)
			}
		}
		if t.MaxFen != 0 && t.MinFen > t.MaxFen {
			v.add(at+".min_fen", "the least amount is above max_fen; correct one of them")
		}
	}
	for _, kind := range sortedKeys(v.Prefixes) {
		at := "prefixes." + kind
		v.oneOf(at, kind, Counter, Kiosk, Online)
		for _, key := range sortedKeys(v.Prefixes[kind]) {
			v.known(at+"."+key, key, "class or order type", append([]string{Outpatient, Inpatient}, sortedKeys(v.OrderTypes)...))
			if p := v.Prefixes[kind][key]; !prefixRule.MatchString(p) {
				v.add(at+"."+key, "%q is not a prefix; use 1-10 letters and digits", clip(p))
			}
		}
	}
}

func (v validator) tills() {
	seen, devices := map[string]string{}, map[string]string{}
	if len(v.Tills) == 0 {
		v.add("tills", "name at least one till")
	}
	for i, t := range v.Tills {
		at := fmt.Sprintf("tills[%d]", i)
		v.name(at+".name", t.Name, seen)
		v.oneOf(at+".kind", t.Kind, Counter, Kiosk, Online)
		if t.DeviceNo == "" || len(t.DeviceNo) > 32 {
			v.add(at+".device_no", `this is required: the device's number as the platform knows it, 1-32 characters in quotes, e.g. "W01"`)
		}
		if t.Kind != Counter && (t.Operator.ID == "" || t.Operator.Name == "") {
			v.add(at+".operator", `a kiosk or an online till has no cashier, so the money needs a name: write operator: {id: "…", name: …} as agreed with finance`)
		}
		if len(t.Modes) == 0 {
			v.add(at+".modes", "name charge, present or both")
		}
		for j, m := range t.Modes {
			v.oneOf(fmt.Sprintf("%s.modes[%d]", at, j), m, modesOf(t.Kind)...)
		}
		for j, o := range t.OrderTypes {
			v.known(fmt.Sprintf("%s.order_types[%d]", at, j), o, "order type", sortedKeys(v.OrderTypes))
		}
		v.oneOf(at+".when_offline", t.WhenOffline, Refuse, Queue)
		v.between(at+".valid_for", t.ValidFor, time.Second, 24*time.Hour)
		v.between(at+".scan_wait", t.ScanWait, 5*time.Second, 30*time.Minute)
		for j, s := range t.Scanners {
			dev := fmt.Sprintf("%s.scanners[%d]", at, j)
			v.name(dev+".name", s.Name, devices)
			v.scanner(dev, s)
		}
		for j, s := range t.Displays {
			dev := fmt.Sprintf("%s.displays[%d]", at, j)
			v.name(dev+".name", s.Name, devices)
			if s.Driver == "" {
				v.add(dev+".driver", "this is required; name the driver")
			}
		}
	}
}

func (v validator) scanner(at string, s Scanner) {
	v.oneOf(at+".role", s.Role, "pad", "gun")
	if s.Driver == "" && s.Model == "" {
		v.add(at+".driver", "this is required; name the driver, e.g. serial, or the model; payagent devices list shows what is plugged in")
	}
	if s.Interface != "" {
		v.oneOf(at+".interface", s.Interface, "hid-pos", "keyboard", "serial")
		if s.Model == "" {
			v.add(at+".interface", "this chooses among the interfaces of a model; name the model as well, or the driver instead")
		}
	}
	if s.Role == "pad" && !s.Pays {
		v.add(at+".pays", "a pad takes payment codes only; write role: gun for a scanner that must not pay, or remove this")
	}
	if s.Refresh > 0 {
		v.between(at+".refresh", s.Refresh, time.Minute, 7*24*time.Hour)
	}
}

func (v validator) routes() {
	var tills, profiles []string
	for _, t := range v.Tills {
		tills = append(tills, t.Name)
	}
	for _, m := range v.Merchants {
		profiles = append(profiles, m.Profile)
	}
	if len(v.Routes) == 0 {
		v.add("routes", "name at least one route; {merchant: NAME} alone takes every order")
	}
	for i, r := range v.Routes {
		at := fmt.Sprintf("routes[%d]", i)
		v.known(at+".merchant", r.Merchant, "merchant profile", profiles)
		if r.Till != "" {
			v.known(at+".till", r.Till, "till", tills)
		}
		if r.TillKind != "" {
			v.oneOf(at+".till_kind", r.TillKind, Counter, Kiosk, Online)
		}
		if r.Mode != "" {
			v.oneOf(at+".mode", r.Mode, modesOf("")...)
		}
		if r.OrderType != "" {
			v.known(at+".order_type", r.OrderType, "order type", sortedKeys(v.OrderTypes))
		}
		v.place(at+".department", r.Department, func(t Till) string { return t.Department })
		v.place(at+".campus", r.Campus, func(t Till) string { return t.Campus })
	}
}

// place checks that a route's department or campus is that of some till.
func (v validator) place(key, want string, of func(Till) string) {
	if want == "" {
		return
	}
	var known []string
	for _, t := range v.Tills {
		if p := of(t); p != "" && !slices.Contains(known, p) {
			known = append(known, p)
		}
	}
	what := key[strings.LastIndexByte(key, '.')+1:]
	if !slices.Contains(known, want) {
		v.add(key, "no till has the %s %q; write it at the till as well, in the same words", what, clip(want))
	}
}

func (v validator) between(key string, d, low, high time.Duration) {
	if v.Site.Test { // a test box may run on a quicker schedule
		low = min(low, time.Millisecond)
	}
	if d < low || d > high {
		v.add(key, "%s is out of bounds; write %s to %s", short(d), short(low), short(high))
	}
}

func (v validator) policy(at string, p Policy) {
	// A value that the platform did not override stands in the common section.
	key := func(name string) string {
		if _, ok := v.lines[at+"."+name]; ok {
			return at + "." + name
		}
		return "policy." + name
	}
	in := func(name string, d, low, high time.Duration) { v.between(key(name), d, low, high) }
	const s, m, h = time.Second, time.Minute, time.Hour
	in("pay_timeout", p.PayTimeout, 5*s, 5*m)
	in("present_timeout", p.PresentTimeout, 2*s, 5*m)
	in("call_timeout", p.CallTimeout, 2*s, 5*m)
	in("first_query", p.FirstQuery, s, 5*m)
	in("query_every", p.QueryEvery, s, 5*m)
	in("horizon", p.Horizon, 5*s, 10*m)
	in("horizon_wechat", p.HorizonWeChat, 5*s, 10*m)
	in("cancel_not_before", p.CancelNotBefore, 15*s, 5*m)
	in("manual_after", p.ManualAfter, 0, 5*m)
	in("present_every", p.PresentEvery, s, 5*m)
	in("h5_horizon", p.H5Horizon, m, 24*h)
	in("authorise_wait", p.AuthoriseWait, 30*s, 2*h)
	in("settle_wait", p.SettleWait, 30*s, 2*h)
	in("not_found_final", p.NotFoundFinal, m, 24*h)
	in("cancel_window", p.CancelWindow, m, 7*24*h)
	in("refund_spacing", p.RefundSpacing, m, 24*h)
	in("code_age", p.CodeAge, s, MaxCodeAge)
	if p.PresentQueries < 1 || p.PresentQueries > 1000 {
		v.add(key("present_queries"), "write a number from 1 to 1000")
	}
	if p.QuickCancels < 1 || p.QuickCancels > 20 {
		v.add(key("quick_cancels"), "write a number from 1 to 20")
	}
	if len(p.H5Every) == 0 {
		v.add(key("h5_every"), "write at least one pause, e.g. [5s]")
	}
	for i, d := range p.H5Every {
		v.between(fmt.Sprintf("%s[%d]", key("h5_every"), i), d, s, h)
	}
	if len(p.Backoff) == 0 {
		v.add(key("backoff"), "write at least one pause, e.g. [10s]")
	}
	for i, d := range p.Backoff {
		v.between(fmt.Sprintf("%s[%d]", key("backoff"), i), d, s, h)
	}
	if len(p.LateWatch) == 0 {
		v.add(key("late_watch"), "write at least one age, e.g. [10m]; without it money that comes late is not found")
	}
	for i, d := range p.LateWatch {
		v.between(fmt.Sprintf("%s[%d]", key("late_watch"), i), d, 0, 7*24*h)
		if i > 0 && d <= p.LateWatch[i-1] {
			v.add(fmt.Sprintf("%s[%d]", key("late_watch"), i), "the ages must grow; put them in order")
		}
	}
}

func (v validator) numbers() {
	l := v.Limits
	if l.MinFen < 1 || l.MinFen > platforms.MaxFen {
		v.add("limits.min_fen", "write whole fen from 1 to %d", platforms.MaxFen)
	}
	if l.MaxFen < l.MinFen || l.MaxFen > platforms.MaxFen {
		v.add("limits.max_fen", "write whole fen from min_fen to %d, the most that the wires carry", platforms.MaxFen)
	}
	if l.RefundAloneFen < 0 {
		v.add("limits.refund_alone_fen", "write whole fen, or 0 where one person is enough")
	}
	if l.OperatorShiftFen < 0 {
		v.add("limits.operator_shift_fen", "write whole fen, or 0 for no bound")
	}
	v.between("limits.operator_shift", l.OperatorShift, time.Hour, 48*time.Hour)
	for i, r := range v.Codes.Rules {
		one := Codes{Rules: []CodeRule{r}}.Table()
		one.Rules = one.Rules[:1]
		if err := one.Validate(); err != nil {
			v.add(fmt.Sprintf("codes.rules[%d]", i), "%s", err)
		}
	}
	v.between("codes.double_read", v.Codes.DoubleRead, 0, time.Minute)
	v.between("codes.two_codes", v.Codes.TwoCodes, 0, 5*time.Second)
	if v.Store.BudgetBytes < 64<<20 {
		v.add("store.budget_bytes", "write at least 64MiB")
	}
	if v.Store.RetentionDays < 1 || v.Store.RetentionDays > 3660 {
		v.add("store.retention_days", "write a number of days from 1 to 3660")
	}
	if v.Store.PersonDays < 1 || v.Store.PersonDays > 366 {
		v.add("store.person_days", "write a number of days from 1 to 366; ask finance how long after a day it is still reconciled")
	}
	if v.Store.BallastBytes < 1<<20 || v.Store.BallastBytes > 1<<30 {
		v.add("store.ballast_bytes", "write 1MiB to 1GiB")
	}
	if v.Store.StopBelowBytes < 16<<20 {
		v.add("store.stop_below_bytes", "write at least 16MiB, so that open orders can finish")
	}
	if v.Store.StopBelowPercent < 0 || v.Store.StopBelowPercent > 50 {
		v.add("store.stop_below_percent", "write a number from 0 to 50")
	}
}
