package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sort"
	"strings"

	"payagent/agent/config"
	"payagent/devices"
	"payagent/devices/hid"
	"payagent/devices/models"
	"payagent/devices/serial"
	"payagent/devices/wedge"
)

// present lists every device that any driver sees, and says what could not be
// looked at. Nothing is opened for reading, so it works beside the agent.
func present() ([]devices.Found, error) {
	var list []devices.Found
	var errs []error
	seen := map[string]bool{}
	add := func(found []devices.Found, err error) {
		if err != nil {
			errs = append(errs, err)
		}
		for _, f := range found {
			// Two backends see the same device; the first one reads it.
			key := f.Class + " " + f.ID() + " " + f.Port
			if f.Port == "" {
				key += " " + f.Node
			}
			if seen[key] {
				continue
			}
			seen[key] = true
			list = append(list, f)
		}
	}
	for _, b := range hid.Backends() {
		add(hid.List(b))
	}
	add(wedge.List())
	add(serial.List())
	sort.SliceStable(list, func(i, j int) bool {
		a, b := list[i], list[j]
		return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.Class, b.Class), cmp.Compare(a.Node, b.Node)) < 0
	})
	return list, errors.Join(errs...)
}

// limits says what this build on this system cannot do.
func limits() []devices.Said {
	out := hid.Lacks()
	if runtime.GOOS != "linux" {
		out = append(out, devices.Said{ZH: "此系统上服务程序读不到键盘类扫码设备，也没有 I²C、SPI、GPIO 显示和灯（panel、lamp）。",
			EN: "On this system a service cannot read scanners that type like a keyboard, and there are no displays and lamps on I²C, SPI and GPIO (panel, lamp)."})
	}
	return out
}

// listed is one row of payagent devices list.
type listed struct {
	Name    string   `json:"name,omitempty"` // in the configuration
	Till    string   `json:"till,omitempty"`
	Role    string   `json:"role,omitempty"`
	Driver  string   `json:"driver,omitempty"`
	Class   string   `json:"class,omitempty"`
	ID      string   `json:"id,omitempty"`
	Port    string   `json:"port,omitempty"`
	Node    string   `json:"node,omitempty"`
	Maker   string   `json:"maker,omitempty"`
	Product string   `json:"product,omitempty"`
	Serial  string   `json:"serial_number,omitempty"`
	Models  []string `json:"models,omitempty"`
	Present bool     `json:"present"`
	Hint    *text    `json:"hint,omitempty"`
	// Setup are the maker's codes for a device that would be better, or only,
	// read in another mode.
	Setup []setup `json:"setup_codes,omitempty"`
}

type setup struct {
	What   text   `json:"what"`
	Code   string `json:"code"`
	Kind   string `json:"kind"` // qr, code128 or command
	Source string `json:"source"`
}

// fits tells whether a device that is there is the configured one.
func (s scannerPlan) fits(f devices.Found) bool {
	return fits(s.shelf, s.path, s.match, f)
}

func fits(shelf, path string, match devices.Match, f devices.Found) bool {
	class := map[string]string{"hid": devices.ClassHIDPOS, "wedge": devices.ClassKeyboard, "serial": devices.ClassSerial}[shelf]
	if class == "" || f.Class != class {
		return false
	}
	if path != "" {
		return real(path) == real(f.Node)
	}
	return match.Fits(f)
}

// inventory puts what is there and what is configured side by side.
func inventory(p plan, found []devices.Found) []listed {
	rows := make([]listed, 0, len(found))
	for _, f := range found {
		row := listed{Driver: f.Driver, Class: f.Class, ID: f.ID(), Port: f.Port, Node: f.Node, Maker: f.Maker, Product: f.Model, Serial: f.Serial, Present: true}
		if f.Hint != (devices.Said{}) {
			row.Hint = &text{ZH: f.Hint.ZH, EN: f.Hint.EN}
		}
		for _, m := range p.models.For(f) {
			row.Models = append(row.Models, m.ID)
			// A keyboard is the mode to leave (DEV-11).
			if f.Class == devices.ClassKeyboard && row.Setup == nil {
				row.Setup = setupOf(m)
			}
		}
		rows = append(rows, row)
	}
	name := func(shelf, path string, match devices.Match, as listed) {
		var at []int
		for i, f := range found {
			if fits(shelf, path, match, f) {
				at = append(at, i)
			}
		}
		switch {
		case len(at) == 1 && rows[at[0]].Name == "":
			r := &rows[at[0]]
			r.Name, r.Till, r.Role, r.Driver = as.Name, as.Till, as.Role, as.Driver
		case len(at) == 1:
			as.Hint = &text{ZH: "与 " + rows[at[0]].Name + " 指向同一设备，请各写端口", EN: "it fits the same device as " + rows[at[0]].Name + "; give each its own port"}
			rows = append(rows, as)
		case len(at) > 1:
			as.Hint = &text{ZH: "有多个设备符合配置，请写明端口 port", EN: "several devices fit its settings; name its port"}
			rows = append(rows, as)
		default:
			// Some ports cannot be listed, and those without a place are
			// tried only when they are opened.
			as.Node = path
			if path == "" {
				as.Port, as.Node = match.Port, match.Node
			}
			switch {
			case shelf == "" || shelf == "stdin":
				as.Present = true
				as.Hint = &text{ZH: "此类设备无法列出，用 payagent devices test " + as.Name + " 检查", EN: "devices of this sort cannot be listed; check it with payagent devices test " + as.Name}
			case path != "" && exists(path):
				as.Present = true
			default:
				as.Hint = &text{ZH: "未插入：请检查线缆", EN: "not plugged in: check its cable"}
			}
			rows = append(rows, as)
		}
	}
	for _, s := range p.scanners {
		name(s.shelf, s.path, s.match, listed{Name: s.conf.Name, Till: s.till, Role: s.conf.Role, Driver: s.driver})
	}
	for _, d := range p.displays {
		name(d.shelf, d.path, d.match, listed{Name: d.conf.Name, Till: d.till, Driver: d.conf.Driver})
	}
	return rows
}

func setupOf(m models.Model) []setup {
	var list []setup
	for _, c := range m.SetupCodes {
		list = append(list, setup{text{ZH: c.What.ZH, EN: c.What.EN}, c.Code, c.Symbology, c.Source})
	}
	return list
}

// listDevices prints everything that is there.
func listDevices(c config.Config, o deviceOptions, out io.Writer) error {
	p, err := planDevices(c)
	if err != nil {
		return err
	}
	found, unseen := present()
	rows, cannot := inventory(p, found), limits()
	if o.json {
		body := struct {
			Devices []listed `json:"devices"`
			Limits  []text   `json:"limits"`
			Errors  []string `json:"errors,omitempty"`
		}{rows, []text{}, nil}
		for _, s := range cannot {
			body.Limits = append(body.Limits, text{ZH: s.ZH, EN: s.EN})
		}
		if unseen != nil {
			body.Errors = strings.Split(unseen.Error(), "\n")
		}
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(body)
	}
	var b strings.Builder
	for _, r := range rows {
		r.write(&b)
	}
	fmt.Fprintf(&b, "%d 个设备 devices\n", len(rows))
	for _, s := range cannot {
		fmt.Fprintf(&b, "  ! %s\n    %s\n", s.ZH, s.EN)
	}
	if unseen != nil {
		fmt.Fprintf(&b, "  ! 部分设备无法列出 some devices could not be listed: %v\n", unseen)
	}
	_, err = io.WriteString(out, b.String())
	return err
}

func (r listed) write(b *strings.Builder) {
	use := "—"
	if r.Name != "" {
		use = r.Name + " @ " + r.Till
	}
	if r.Role != "" {
		use += " (" + r.Role + ")"
	}
	state := ""
	if !r.Present {
		state = "  未插入 absent"
	}
	parts := []string{fmt.Sprintf("%-24s", use), fmt.Sprintf("%-9s", cmp.Or(r.Driver, "—")), fmt.Sprintf("%-9s", cmp.Or(r.Class, "—")),
		fmt.Sprintf("%-10s", cmp.Or(r.ID, "—")), fmt.Sprintf("%-14s", cmp.Or(r.Port, "—")), cmp.Or(r.Node, "—")}
	fmt.Fprintf(b, "%s%s\n", strings.Join(parts, " "), state)
	if about := strings.TrimSpace(r.Maker + " " + r.Product); about != "" || r.Serial != "" {
		fmt.Fprintf(b, "    %s", about)
		if r.Serial != "" {
			fmt.Fprintf(b, "  序列号 serial %s", r.Serial)
		}
		b.WriteByte('\n')
	}
	if len(r.Models) > 0 {
		fmt.Fprintf(b, "    型号模板 models: %s\n", strings.Join(r.Models, ", "))
	}
	if r.Hint != nil {
		fmt.Fprintf(b, "  ! %s\n    %s\n", r.Hint.ZH, r.Hint.EN)
	}
	writeSetup(b, r.Setup)
}

func writeSetup(b *strings.Builder, codes []setup) {
	for _, s := range codes {
		fmt.Fprintf(b, "    设置码 %s %s: %s (%s; %s)\n", s.What.ZH, s.What.EN, s.Code, s.Kind, s.Source)
	}
}
