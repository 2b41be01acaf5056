package main

import (
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent/config"
	"payagent/devices"
	"payagent/devices/models"
)

// tills makes a configuration of devices alone.
func tills(t *testing.T, dir, text string) config.Config {
	t.Helper()
	c, err := config.Parse("t.yaml", []byte("data_dir: "+dir+"\n"+text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestEveryModelDecodes: every interface of every built-in model is understood
// by the driver that it names.
func TestEveryModelDecodes(t *testing.T) {
	set, err := models.Load("")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, id := range set.IDs() {
		m, _ := set.Get(id)
		for name := range m.Interfaces {
			options := ""
			switch name {
			case models.Serial:
				options = ", options: {path: /dev/ttyS0}"
			case models.Keyboard:
				options = `, options: {port: "1-1"}`
			}
			c := tills(t, "/d", fmt.Sprintf("tills: [{name: w, scanners: [{model: %s, interface: %s%s}]}]", id, name, options))
			p, err := planDevices(c)
			if err != nil {
				t.Errorf("%s as %s: %v", id, name, err)
				continue
			}
			if len(p.scanners) != 1 || p.scanners[0].open == nil || p.scanners[0].shelf == "" || p.scanners[0].model != id {
				t.Errorf("%s as %s: %+v", id, name, p.scanners)
			}
			n++
		}
	}
	if n < 15 {
		t.Fatal("only", n, "interfaces")
	}
}

// TestModelChoice: which interface and driver a scanner gets from its model.
func TestModelChoice(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(dir+"/models", 0o700); err != nil {
		t.Fatal(err)
	}
	own := strings.Join([]string{"maker: {zh: 甲, en: A}", "name: {zh: 乙, en: B}", "kind: pad", "known: manual", "source: x", "advice: {zh: 丙, en: C}",
		`ids: [{vendor: "1234", product: "5678"}]`, "interfaces:", "  hid-pos: {driver: hid, options: {layout: newland}}", "  serial: {driver: serial, options: {baud: 115200}}"}, "\n")
	if err := os.WriteFile(dir+"/models/own.yaml", []byte(own), 0o600); err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{
		"model: own, interface: serial, options: {path: /dev/x}": "serial|serial|/dev/x|any device",
		"model: own, driver: serial":                             "serial|serial||id 1234:5678",
		"model: own, driver: hid":                                "hid|hid||id 1234:5678",
		"model: own, driver: hid, options: {port: 1-2}":          "hid|hid||port 1-2",
		"model: own":                      "line 2: tills[0].scanners[0]: the model own has several interfaces; add interface: hid-pos or serial",
		"model: own, driver: wedge":       "the model own has no interface for that; it has: hid-pos, serial",
		"model: own, interface: keyboard": "the model own has no interface for that; it has: hid-pos, serial",
		"model: mine":                     `there is no device model "mine"; write one of: `,
		"driver: laser":                   `there is no driver "laser"; write hid, karalabe, wedge, serial or stdin`,
		"driver: serial":                  "options.path: name the port",
		"driver: serial, options: {path: /dev/x, sped: 5}":      `options.sped: the key is not known`,
		"driver: hid, options: {id: 12}":                        "must stand in quotes",
		`driver: hid, options: {id: "12"}`:                      `options.id: "12" is no USB id`,
		`driver: hid, options: {id: "0c2e:1001", start: ["5"]}`: "options.start[0]: write bytes in hexadecimal",
		"driver: hid, options: {layout: upside-down}":           "there is no layout",
		"driver: karalabe, options: {backend: hidraw}":          "options.backend: driver: karalabe has the backend karalabe alone",
		"driver: wedge": "so it must be named",
		"driver: wedge, options: {port: 1-2, layout: fr}": "wedge|wedge||port 1-2",
		"driver: wedge, options: {port: 1-2, end: cr}":    `cannot use end "cr"`,
		"driver: stdin, options: {path: x}":               "the key is not known",
	} {
		t.Run(in, func(t *testing.T) {
			p, err := planDevices(tills(t, dir, "tills: [{name: w, scanners: [{"+in+"}]}]"))
			if err != nil {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v", err)
				}
				return
			}
			s := p.scanners[0]
			if got := s.driver + "|" + s.shelf + "|" + s.path + "|" + s.match.String(); got != want {
				t.Error(got)
			}
		})
	}
	if err := os.WriteFile(dir+"/models/own.yaml", []byte("maker: 5"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := planDevices(tills(t, dir, "")); err == nil || !strings.Contains(err.Error(), "own.yaml") {
		t.Errorf("a broken template: %v", err)
	}
}

// TestRefresh: scanners are opened anew after a long silence, keyboards not,
// unless the configuration says so.
func TestRefresh(t *testing.T) {
	c := tills(t, "/d", `tills: [{name: w, scanners: [
		{driver: serial, options: {path: /a}}, {driver: serial, refresh: -1s, options: {path: /b}}, {driver: serial, refresh: 5m, options: {path: /c}},
		{driver: hid}, {driver: wedge, options: {port: "1-1"}}]}]`)
	p, err := planDevices(c)
	if err != nil {
		t.Fatal(err)
	}
	var got []time.Duration
	for _, s := range p.scanners {
		got = append(got, s.refresh)
	}
	if !slices.Equal(got, []time.Duration{2 * time.Hour, 0, 5 * time.Minute, 2 * time.Hour, 0}) {
		t.Error(got)
	}
}

// TestClashes: what is sure to be one device twice is refused, what may be two
// is not.
func TestClashes(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("/dev/null", dir+"/a"); err != nil {
		t.Fatal(err)
	}
	scanner := func(driver, options string) string { return "{driver: " + driver + ", options: {" + options + "}}" }
	for _, tc := range []struct {
		a, b  string
		clash bool
	}{
		{scanner("serial", "path: /dev/ttyS1"), scanner("serial", "path: /dev/../dev/ttyS1"), true},
		{scanner("serial", "path: /dev/null"), scanner("serial", "path: "+dir+"/a"), true},
		{scanner("serial", "path: /dev/ttyS1"), scanner("serial", "path: /dev/ttyS2"), false},
		{scanner("hid", ""), scanner("hid", `port: "1-1"`), true},
		{scanner("hid", `port: "1-1"`), scanner("hid", `port: "1-1:1.0"`), true},
		{scanner("hid", `port: "1-1"`), scanner("karalabe-or-hid", `port: "1-1"`), true},
		{scanner("hid", `port: "1-1"`), scanner("hid", `port: "1-2"`), false},
		{scanner("hid", `id: "0c2e:1001"`), scanner("hid", `id: "0c2e"`), true},
		{scanner("hid", `id: "0c2e:1001", port: "1-1"`), scanner("hid", `id: "0c2e:1001", port: "1-2"`), false},
		{scanner("hid", `id: "0c2e:1001"`), scanner("hid", `id: "1eab:0d10"`), false},
		{scanner("hid", `serial_number: A`), scanner("hid", `serial_number: B`), false},
		{scanner("hid", ""), scanner("serial", "path: /dev/ttyS1"), false},
		{scanner("stdin", ""), scanner("stdin", ""), true},
	} {
		b := strings.Replace(tc.b, "karalabe-or-hid", "hid", 1)
		_, err := planDevices(tills(t, dir, "tills:\n  - {name: w1, scanners: [{name: x1, "+tc.a[1:]+"]}\n  - {name: w2, scanners: [{name: x2, "+b[1:]+"]}"))
		switch {
		case tc.clash && (err == nil || !strings.Contains(err.Error(), "line 4: tills[1].scanners[0]: x2 takes the same device as x1")):
			t.Errorf("%s and %s: %v", tc.a, b, err)
		case !tc.clash && err != nil:
			t.Errorf("%s and %s: %v", tc.a, b, err)
		}
	}
	display := "tills: [{name: w, scanners: [{driver: serial, options: {path: /dev/x}}], displays: [{driver: pole, options: {path: /dev/x, family: led8}}]}]"
	if _, err := planDevices(tills(t, dir, display)); err == nil || !strings.Contains(err.Error(), "displays[0]") {
		t.Errorf("scanner and display on one port: %v", err)
	}
}

// TestPlaces: what changes of places are told, over restarts too.
// TestPortNamedTwice: a device whose port is given in two ways is refused, since
// one of them would be left aside unsaid.
func TestPortNamedTwice(t *testing.T) {
	for _, device := range []string{
		`scanners: [{name: x, driver: serial, options: {path: /dev/ttyS9, port: "1-1"}}]`,
		`displays: [{name: x, driver: pole, options: {family: cd5220, path: /dev/ttyS9, port: "1-1"}}]`,
	} {
		file, _ := writeConfig(t, device)
		c, err := config.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := planDevices(c); err == nil || !strings.Contains(err.Error(), "named twice") {
			t.Errorf("%s: %v", device, err)
		}
	}
}

func TestPlaces(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	at := func(serial string) devices.Found { return devices.Found{Serial: serial, Port: "1-1:1.0", Vendor: 1} }
	type look struct{ device, serial, swapped string }
	for name, days := range map[string][][]look{
		"nothing changes": {{{"a", "1", ""}, {"b", "2", ""}, {"a", "1", ""}}, {{"a", "1", ""}, {"b", "2", ""}}},
		"swapped":         {{{"a", "1", ""}, {"b", "2", ""}}, {{"a", "2", ""}, {"b", "1", "a"}, {"a", "2", ""}}, {{"b", "1", ""}, {"a", "2", ""}}},
		"while running":   {{{"a", "1", ""}, {"b", "2", ""}, {"a", "-", ""}, {"b", "-", ""}, {"b", "1", ""}, {"a", "2", "b"}}},
		"and back": {{{"a", "1", ""}, {"b", "2", ""}, {"a", "-", ""}, {"b", "-", ""}, {"b", "1", ""}, {"a", "2", "b"},
			{"a", "-", ""}, {"b", "-", ""}, {"a", "1", ""}, {"b", "2", "a"}}},
		"a new one":     {{{"a", "1", ""}, {"b", "2", ""}}, {{"a", "3", ""}, {"b", "2", ""}}, {{"a", "3", ""}}},
		"moved":         {{{"a", "1", ""}, {"b", "2", ""}}, {{"b", "3", ""}, {"a", "2", ""}}, {{"a", "2", ""}, {"b", "3", ""}}},
		"no serials":    {{{"a", "", ""}, {"b", "", ""}}},
		"equal serials": {{{"a", "1", ""}, {"b", "1", ""}, {"a", "1", ""}}},
		"equal since":   {{{"a", "1", ""}, {"b", "2", ""}, {"b", "1", ""}, {"a", "1", ""}}},
		"three":         {{{"a", "1", ""}, {"b", "2", ""}, {"c", "3", ""}}, {{"c", "1", ""}, {"b", "2", ""}, {"a", "3", "c"}}},
	} {
		file := filepath.Join(t.TempDir(), "devices.json")
		for day, looks := range days {
			p := openPlaces(file, log)
			for i, l := range looks {
				if l.serial == "-" {
					p.gone(l.device)
					continue
				}
				if got := p.seen(l.device, at(l.serial)); got != l.swapped {
					t.Errorf("%s: day %d look %d: %q", name, day, i, got)
				}
			}
			p.wait()
		}
	}
	file := filepath.Join(t.TempDir(), "devices.json")
	for _, bad := range []string{"", "null", "[1]", "{"} {
		if err := os.WriteFile(file, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		p := openPlaces(file, log)
		p.seen("a", at("1"))
		p.wait()
		if again := openPlaces(file, log); !maps.Equal(again.was, map[string]known{"a": {Serial: "1", Port: "1-1:1.0", ID: "0001:0000"}}) {
			t.Errorf("after %q: %v", bad, again.was)
		}
	}
	// A disk that takes nothing is no reason to fail.
	p := openPlaces(filepath.Join(t.TempDir(), "no", "folder"), log)
	p.seen("a", at("1"))
	p.wait()
}

// TestSwapIsTold: through the function that scanners report to.
func TestSwapIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		c := tills(t, dir, "tills: [{name: w1, scanners: [{name: a, driver: hid}]}, {name: w2, scanners: [{name: b, driver: hid}]}]")
		var s scanners
		s.remember(c, slog.New(slog.DiscardHandler))
		a, b := s.notify("w1", slog.New(slog.DiscardHandler)), s.notify("w2", slog.New(slog.DiscardHandler))
		come := func(to func(devices.Presence), device, serial string) {
			to(devices.Presence{Device: device, Present: true, Found: devices.Found{Serial: serial}})
		}
		come(a, "a", "1")
		come(b, "b", "2")
		a(devices.Presence{Device: "a"})
		b(devices.Presence{Device: "b"})
		come(a, "a", "2")
		come(b, "b", "1")
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		var told []string
		for _, p := range s.early {
			if p.Err != nil {
				told = append(told, fmt.Sprintf("%s %s %v %s: %v", p.till, p.Device, p.Present, p.Found.Serial, p.Err))
			}
		}
		want := []string{"w2 b true 1: " + devices.ErrSwapped.Error() + ": with a", "w1 a true 2: " + devices.ErrSwapped.Error() + ": with b"}
		if !slices.Equal(told, want) {
			t.Errorf("%q", told)
		}
	})
}
