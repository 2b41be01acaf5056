package models

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"payagent/devices"
)

// TestBuiltIn: every file that ships is right, and none is left out.
func TestBuiltIn(t *testing.T) {
	set, err := Load("")
	if err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob("*.yaml")
	if len(files) < 15 || len(set.IDs()) != len(files) {
		t.Fatalf("%d files, %d models", len(files), len(set.IDs()))
	}
	for _, id := range set.IDs() {
		m, ok := set.Get(id)
		if !ok || m.ID != id || m.File != "" {
			t.Errorf("%s: %+v", id, m)
		}
		if err := Check(m); err != nil {
			t.Error(err)
		}
		for name, i := range m.Interfaces {
			var back map[string]any
			if err := json.Unmarshal([]byte(i.Text()), &back); err != nil || len(back) != len(i.Options) {
				t.Errorf("%s %s: %s", id, name, i.Text())
			}
		}
	}
	for _, id := range []string{"newland", "newland-hr", "honeywell", "youjie", "zebra", "zebra-ssi", "datalogic", "sunmi", "cino",
		"access-is", "id-tech", "inspiry", "wangbao", "generic-hid-pos", "generic-keyboard", "generic-serial-9600", "generic-serial-115200"} {
		if _, ok := set.Get(id); !ok {
			t.Errorf("no model %s", id)
		}
	}
	if _, ok := set.Get("nobody"); ok {
		t.Error("a model that is not there")
	}
}

func ids(list []Model) string {
	var out []string
	for _, m := range list {
		out = append(out, m.ID)
	}
	return strings.Join(out, " ")
}

func TestFor(t *testing.T) {
	set, err := Load("")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		f    devices.Found
		want string
	}{
		{devices.Found{Vendor: 0x1eab, Product: 0x0d10, Class: HIDPOS}, "newland"},
		{devices.Found{Vendor: 0x1eab, Product: 0x0110, Class: HIDPOS}, "newland newland-hr"},
		{devices.Found{Vendor: 0x1eab, Product: 0x0100, Class: Serial}, "newland-hr newland"},
		{devices.Found{Vendor: 0x0c2e, Product: 0x9a6c, Class: HIDPOS}, "honeywell"},
		{devices.Found{Vendor: 0x0c2e, Product: 0x1001}, "honeywell"},
		{devices.Found{Vendor: 0x05e0, Product: 0x0600, Class: Serial}, "zebra"},
		{devices.Found{Vendor: 0x324f, Product: 0x0022, Class: Keyboard}, "sunmi"},
		{devices.Found{Vendor: 0x324f, Product: 0x0022, Class: HIDPOS}, "generic-hid-pos"},
		{devices.Found{Class: Serial}, "generic-serial-115200 generic-serial-9600"},
		{devices.Found{Vendor: 0x1d6b, Product: 0x0104, Class: Keyboard}, "generic-keyboard"},
		{devices.Found{Vendor: 0x1d6b, Class: devices.ClassOther}, ""},
		{devices.Found{}, ""},
	} {
		if got := ids(set.For(c.f)); got != c.want {
			t.Errorf("%s %s: %q, not %q", c.f.ID(), c.f.Class, got, c.want)
		}
	}
}

const good = `maker: {zh: 某, en: Some}
name: {zh: 盒, en: pad}
kind: pad
known: general
source: "tried"
ids:
  - {vendor: "1234", product: "00ff", interface: serial}
interfaces:
  serial:
    driver: serial
    options:
      baud: 9600
      actions:
        trigger: "7E 00 08 01 00 02 01 02 DA"
advice: {zh: 无, en: none}
`

// TestUserFolder: a user's file adds a model or replaces a built-in one.
func TestUserFolder(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("ours.yaml", good)
	write("newland.yaml", strings.Replace(good, "9600", "115200", 1))
	write("readme.txt", "not a model")
	set, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	ours, _ := set.Get("ours")
	newland, _ := set.Get("newland")
	if ours.File != filepath.Join(dir, "ours.yaml") || newland.Name.EN != "pad" || newland.Interfaces[Serial].Text() != `{"actions":{"trigger":"7E 00 08 01 00 02 01 02 DA"},"baud":115200}` {
		t.Errorf("%+v %+v", ours, newland)
	}
	if got := ids(set.For(devices.Found{Vendor: 0x1234, Product: 0xff, Class: Serial})); got != "newland ours" {
		t.Errorf("%q", got)
	}
	if _, ok := set.Get("honeywell"); !ok {
		t.Error("the built-in ones are gone")
	}

	// All wrong files are told of in one go, by name and line.
	write("a.yaml", strings.Replace(good, "kind: pad", "kind: box", 1))
	write("b.yaml", strings.Replace(good, "02 DA", "02 DB", 1))
	write("c.yaml", strings.Repeat("#", maxFile+1))
	_, err = Load(dir)
	if err == nil {
		t.Fatal("wrong files were accepted")
	}
	for _, want := range []string{"a.yaml line 3: kind cannot be", "b.yaml line 14: interfaces.serial.options.actions.trigger is wrong", "CRC; it must end with 02DA", "c.yaml"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v lacks %q", err, want)
		}
	}
	if _, err := Load(filepath.Join(dir, "nowhere")); err == nil || !strings.HasPrefix(err.Error(), "cannot ") {
		t.Error(err)
	}
}

// TestRefused: one wrong thing at a time, each told with its line and a cure.
func TestRefused(t *testing.T) {
	if _, err := Parse("x.yaml", "x", []byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, old, with, want string }{
		{"unknown key", "kind: pad", "kind: pad\ncolour: red", "line 4"},
		{"unknown key below", "zh: 某,", "zh: 某, fr: x,", "line 1"},
		{"key twice", "kind: pad", "kind: pad\nkind: gun", "line 4"},
		{"no Chinese", "zh: 盒, ", "", "line 2: name has no text"},
		{"no English", ", en: none", "", "advice has no text"},
		{"kind", "kind: pad", "kind: box", "line 3: kind cannot be \"box\"; write pad, gun, module"},
		{"known", "known: general", "known: surely", "line 4"},
		{"source", `"tried"`, `" "`, "line 5: source is missing"},
		{"vendor", `"1234"`, `"12345"`, "line 7: ids[0] has a wrong"},
		{"capital vendor", `"1234"`, `"12AB"`, "line 7"},
		{"product", `"00ff"`, `"xyz"`, "line 7"},
		{"id of no interface", "interface: serial", "interface: keyboard", "line 7: ids[0] names"},
		{"interface", "  serial:\n", "  parallel:\n", "is no interface"},
		{"driver", "driver: serial", "driver: hid", "line 10: interfaces.serial.driver cannot be"},
		{"option", "baud: 9600", "speed: 9600", "line 12: interfaces.serial.options.speed is no option"},
		{"number", "baud: 9600", `baud: "fast"`, "line 12"},
		{"number's bounds", "baud: 9600", "baud: -1", "line 12"},
		{"hex", "02 DA", "02 DG", "line 14"},
		{"CRC", "02 DA", "02 DB", "must end with 02DA"},
		{"number as hex", `"7E 00 08 01 00 02 01 02 DA"`, "123", "line 14"},
		{"action's name", "trigger:", "Trig_ger:", "is no name"},
		{"line", "baud: 9600", "line: 9N1", "line 12"},
		{"pause", "baud: 9600", "gap: soon", "is not a time"},
		{"switch", "baud: 9600", "aim: maybe", "true or false"},
		{"word", "baud: 9600", "end: semicolon", "write line, cr"},
		{"protocol", "baud: 9600", "protocol: telnet", "write ssi, newland"},
		{"list", "baud: 9600", "start: 7E", "is not a list"},
		{"SSI", "baud: 9600", "protocol: ssi", "SSI packet"},
		{"alive without answer", "baud: 9600", `alive: {ask: "41"}`, "has no answer"},
		{"alive's option", "baud: 9600", `alive: {ask: "41", answer: "42", often: 1s}`, "is no option"},
		{"set-up code", "kind: pad", "kind: pad\nsetup_codes:\n  - {what: {zh: 一, en: one}, code: \"\", symbology: qr, source: s}", "code is empty"},
		{"its symbology", "kind: pad", "kind: pad\nsetup_codes:\n  - {what: {zh: 一, en: one}, code: x, symbology: morse, source: s}", "write qr, code128, command"},
		{"its source", "kind: pad", "kind: pad\nsetup_codes:\n  - {what: {zh: 一, en: one}, code: x, symbology: qr}", "say which manual"},
		{"anchor", "kind: pad", "kind: &k pad", "line 3: anchors"},
		{"merge", "kind: pad", "kind: pad\n<<: {a: b}", "line 4: anchors"},
		{"tag", "kind: pad", "kind: !!str pad", "line 3: anchors"},
		{"two documents", "advice:", "---\nadvice:", "a second document"},
		{"no YAML", "kind: pad", "kind: [pad", "line"},
		{"list at the top", good, "- a\n- b\n", "line 1"},
		{"empty", good, "# nothing\n", "it is empty"},
		{"deep", "baud: 9600", "baud: " + strings.Repeat("[", 20) + strings.Repeat("]", 20), "nested too deeply"},
	} {
		text := strings.Replace(good, c.old, c.with, 1)
		if text == good {
			t.Fatalf("%s changes nothing", c.name)
		}
		_, err := Parse("x.yaml", "x", []byte(text))
		if err == nil || !strings.HasPrefix(err.Error(), "cannot use device model x.yaml") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if _, err := Parse("A b.yaml", "A b", []byte(good)); err == nil {
		t.Error("an id that is no id")
	}
}

func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("*.yaml")
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(good))
	f.Add([]byte("a: &a [*a]\n<<: *a\n--- !!x\n- ? [x]: y"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Parse("x.yaml", "x", data)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "cannot use device model x.yaml") {
				t.Fatal(err)
			}
			return
		}
		if err := Check(m); err != nil {
			t.Fatal(err)
		}
		for _, i := range m.Interfaces {
			if !json.Valid([]byte(i.Text())) {
				t.Fatal(i.Text())
			}
		}
	})
}
