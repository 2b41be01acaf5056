package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"payagent/agent/config"
	"payagent/devices"
	"payagent/devices/models"
)

// silentRefresh is when a silent scanner is opened anew by default: a serial
// line shows nothing when the device on it has died, nor does libusb when its
// endpoint has stalled, and some do after hours (DEV-08). A keyboard is not
// given back even for a moment, since a scan would land in HIS.
const silentRefresh = 2 * time.Hour

// scannerPlan says how one scanner of the configuration is opened.
type scannerPlan struct {
	till    string
	conf    config.Scanner
	driver  string
	model   string
	shelf   string        // what kind of device it takes: hid, wedge, serial, stdin
	path    string        // the one port or stream it takes, where that is known
	match   devices.Match // otherwise which device
	refresh time.Duration // the driver's default; 0 is never
	once    bool          // cannot be opened again
	open    func() (devices.Scanner, error)
}

// displayPlan says how one display of the configuration is opened.
type displayPlan struct {
	till  string
	conf  config.Display
	shelf string // serial, where it takes a serial port
	path  string
	match devices.Match
	open  func() (devices.Display, error)
}

// plan is what the devices of the configuration come to.
type plan struct {
	models   models.Set
	scanners []scannerPlan
	displays []displayPlan
}

// loadModels reads the device templates. The user's folder may be absent.
func loadModels(c config.Config) (models.Set, error) {
	dir := c.Devices.ModelsDir
	if _, err := os.Stat(dir); dir == "" || errors.Is(err, fs.ErrNotExist) {
		dir = ""
	}
	return models.Load(dir)
}

// planDevices works out how every device is opened, and says all that is wrong
// with it. Nothing is opened yet.
func planDevices(c config.Config) (plan, error) {
	set, err := loadModels(c)
	if err != nil {
		return plan{}, err
	}
	p := plan{models: set}
	var errs []error
	for i, t := range c.Tills {
		for j, s := range t.Scanners {
			one := scannerPlan{till: t.Name, conf: s}
			if err := p.scanner(&one, c.Codes); err != nil {
				errs = append(errs, located(c, fmt.Sprintf("tills[%d].scanners[%d]", i, j), err))
				continue
			}
			p.scanners = append(p.scanners, one)
		}
		for j, d := range t.Displays {
			one := displayPlan{till: t.Name, conf: d}
			if err := planDisplay(&one); err != nil {
				errs = append(errs, located(c, fmt.Sprintf("tills[%d].displays[%d]", i, j), err))
				continue
			}
			p.displays = append(p.displays, one)
		}
	}
	errs = append(errs, p.clashes(c)...)
	return p, config.Join(errs...)
}

// located gives an error the line of the device that it is about, unless it
// has one already.
func located(c config.Config, at string, err error) error {
	var e *config.Error
	if err == nil || errors.As(err, &e) {
		return err
	}
	return c.Fail(at, err.Error())
}

// scanner fills in one plan: what its model says, then what its driver makes
// of it.
func (p plan) scanner(one *scannerPlan, codes config.Codes) error {
	one.driver = one.conf.Driver
	if one.conf.Model != "" {
		if err := p.template(one); err != nil {
			return err
		}
	}
	if err := planScanner(one, codes); err != nil {
		return err
	}
	switch r := one.conf.Refresh; {
	case r > 0:
		one.refresh = r
	case r < 0:
		one.refresh = 0
	}
	return nil
}

// template puts the settings of the scanner's model under its own.
func (p plan) template(one *scannerPlan) error {
	s := &one.conf
	m, ok := p.models.Get(s.Model)
	if !ok {
		return fmt.Errorf("there is no device model %q; write one of: %s", s.Model, strings.Join(p.models.IDs(), ", "))
	}
	one.model = m.ID
	var fit []string
	for _, name := range []string{models.HIDPOS, models.Keyboard, models.Serial} {
		i, ok := m.Interfaces[name]
		if ok && (s.Interface == "" || s.Interface == name) && (s.Driver == "" || i.Driver == memberOf(s.Driver)) {
			fit = append(fit, name)
		}
	}
	switch {
	case len(fit) == 0:
		return fmt.Errorf("the model %s has no interface for that; it has: %s", s.Model, strings.Join(interfacesOf(m), ", "))
	case len(fit) > 1:
		return fmt.Errorf("the model %s has several interfaces; add interface: %s, as the scanner is set up", s.Model, strings.Join(fit, " or "))
	}
	i := m.Interfaces[fit[0]]
	if one.driver == "" {
		one.driver = i.Driver
	}
	values := map[string]any{}
	for k, v := range i.Options {
		values[k] = v
	}
	if id := idOf(m, fit[0]); id != "" && !s.Options.Has("path") && !placed(s.Options) {
		values["id"] = id
	}
	s.Options = s.Options.Over(m.ID, values)
	return nil
}

// placed tells whether the settings say which device is meant.
func placed(o config.Options) bool {
	return o.Has("port") || o.Has("id") || o.Has("serial_number") || o.Has("node")
}

// memberOf gives the member that a driver's word stands for.
func memberOf(driver string) string {
	if driver == "karalabe" {
		return "hid"
	}
	return driver
}

func interfacesOf(m models.Model) []string {
	var names []string
	for name := range m.Interfaces {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// idOf is the USB id by which a model's interface is recognised: the one
// product, or the vendor where several are possible. Empty where the model
// tells none.
func idOf(m models.Model, name string) string {
	var ids []models.USBID
	vendors := map[string]bool{}
	for _, id := range m.IDs {
		if id.Interface == "" || id.Interface == name {
			ids, vendors[id.Vendor] = append(ids, id), true
		}
	}
	switch {
	case len(ids) == 1 && ids[0].Product != "":
		return ids[0].Vendor + ":" + ids[0].Product
	case len(vendors) == 1:
		return ids[0].Vendor
	}
	return ""
}

// usbID reads "0c2e:1001", or the vendor alone.
func usbID(text string) (vendor, product uint16, err error) {
	bad := fmt.Errorf(`%q is no USB id; write vendor:product as payagent devices list shows it, e.g. "0c2e:1001", or the vendor alone`, text)
	first, second, both := strings.Cut(text, ":")
	v, err := strconv.ParseUint(first, 16, 16)
	if err != nil || len(first) != 4 {
		return 0, 0, bad
	}
	if !both {
		return uint16(v), 0, nil
	}
	w, err := strconv.ParseUint(second, 16, 16)
	if err != nil || len(second) != 4 {
		return 0, 0, bad
	}
	return uint16(v), uint16(w), nil
}

// claim is what a device of the configuration takes for itself.
type claim struct {
	key, name, shelf, path string
	match                  devices.Match
}

// clashes finds devices that are sure to get into each other's way. Others are
// refused when the second one is opened.
func (p plan) clashes(c config.Config) []error {
	var all []claim
	for _, s := range p.scanners {
		all = append(all, claim{keyOf(c, s.till, s.conf.Name), s.conf.Name, s.shelf, s.path, s.match})
	}
	for _, d := range p.displays {
		if d.shelf != "" {
			all = append(all, claim{keyOf(c, d.till, d.conf.Name), d.conf.Name, d.shelf, d.path, d.match})
		}
	}
	var errs []error
	for i, b := range all {
		for _, a := range all[:i] {
			if why := a.clash(b); why != "" {
				errs = append(errs, c.Fail(b.key, fmt.Sprintf("%s takes the same device as %s: %s", b.name, a.name, why)))
				break
			}
		}
	}
	return errs
}

func keyOf(c config.Config, till, name string) string {
	for i, t := range c.Tills {
		if t.Name != till {
			continue
		}
		for j, s := range t.Scanners {
			if s.Name == name {
				return fmt.Sprintf("tills[%d].scanners[%d]", i, j)
			}
		}
		for j, d := range t.Displays {
			if d.Name == name {
				return fmt.Sprintf("tills[%d].displays[%d]", i, j)
			}
		}
	}
	return "tills"
}

// clash says why two claims are on one device; empty if that is not sure.
func (a claim) clash(b claim) string {
	const each = "give each its own port, as payagent devices list shows it"
	switch {
	case a.shelf != b.shelf:
		return ""
	case a.path != "" && b.path != "":
		if real(a.path) == real(b.path) {
			return "both name " + b.path
		}
		return ""
	case a.path != "" || b.path != "":
		return ""
	case covers(a.match, b.match) || covers(b.match, a.match):
		return fmt.Sprintf("%v and %v; %s", a.match, b.match, each)
	}
	return ""
}

// real follows links where the path is there.
func real(path string) string {
	if to, err := filepath.EvalSymlinks(path); err == nil {
		return to
	}
	return filepath.Clean(path)
}

// covers tells whether a fits every device that b fits.
func covers(a, b devices.Match) bool {
	place, _, _ := strings.Cut(b.Port, ":")
	return (a.Port == "" || a.Port == b.Port || a.Port == place) && (a.Vendor == 0 || a.Vendor == b.Vendor) &&
		(a.Product == 0 || a.Product == b.Product) && (a.Serial == "" || a.Serial == b.Serial) && (a.Node == "" || a.Node == b.Node)
}

// start opens the scanner, now or when it comes, and keeps it open. busy, which
// may be nil, puts opening it anew off.
func (s scannerPlan) start(notify func(devices.Presence), busy func() bool) (devices.Scanner, error) {
	if s.once {
		return s.open()
	}
	return devices.Reopen(devices.ReopenConfig{Device: s.conf.Name, Open: s.open, Notify: notify, Refresh: s.refresh, Busy: busy}), nil
}
