package config_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"payagent/agent/config"
)

// TestScannerDefaults: what a scanner is when little is written.
func TestScannerDefaults(t *testing.T) {
	c := load(t, small+"data_dir: /d\n")
	if c.Devices.ModelsDir != "/d/models" {
		t.Errorf("templates in %q", c.Devices.ModelsDir)
	}
	c = load(t, `tills: [{name: w1, scanners: [{model: m1}, {driver: hid, role: gun, pays: false, refresh: -1s, interface: keyboard}]}]`)
	a, b := c.Tills[0].Scanners[0], c.Tills[0].Scanners[1]
	if !a.Pays || a.Role != "pad" || a.Refresh != 0 || a.Model != "m1" || a.Name != "w1-scanner1" {
		t.Errorf("%+v", a)
	}
	if b.Pays || b.Role != "gun" || b.Refresh != -time.Second || b.Interface != "keyboard" {
		t.Errorf("%+v", b)
	}
}

type scannerOptions struct {
	Baud   int
	Settle time.Duration
	Layout string
	AIM    bool `yaml:"aim"`
	Start  []string
	Do     map[string]string
	Deep   struct{ Level int }
}

var template = map[string]any{
	"baud": uint64(9600), "settle": "300ms", "layout": "us", "aim": true,
	"start": []any{"16 54 0d"}, "do": map[string]any{"trigger": "01", "stop": "02"}, "deep": map[string]any{"level": 3},
}

// TestOptionsOverTemplate: the file wins over the template, key by key.
func TestOptionsOverTemplate(t *testing.T) {
	c := load(t, `tills: [{name: w1, scanners: [{model: m, options: {baud: 115200, start: ["aa"], do: {stop: "03"}}}, {model: m}]}]`)
	var got scannerOptions
	if err := c.Tills[0].Scanners[0].Options.Over("m", template).Decode(&got); err != nil {
		t.Fatal(err)
	}
	want := scannerOptions{Baud: 115200, Settle: 300 * time.Millisecond, Layout: "us", AIM: true, Start: []string{"aa"},
		Do: map[string]string{"trigger": "01", "stop": "03"}, Deep: struct{ Level int }{3}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	over := c.Tills[0].Scanners[1].Options.Over("m", template)
	var bare scannerOptions
	if err := over.Decode(&bare); err != nil || bare.Baud != 9600 || bare.Do["stop"] != "02" {
		t.Errorf("%+v %v", bare, err)
	}
	if !over.Has("baud") || over.Has("bauds") || !c.Tills[0].Scanners[0].Options.Has("do.stop") {
		t.Error("Has does not find what is there")
	}
}

// TestOptionsOverNamesTheCulprit: line and key of the file, or the template.
func TestOptionsOverNamesTheCulprit(t *testing.T) {
	const text = "tills:\n  - name: w1\n    scanners:\n      - model: m\n        options:\n          baud: fast\n          settel: 1s\n"
	c := load(t, text)
	bad := map[string]any{"settle": 5, "colour": "red", "do": "x", "start": map[string]string{"a": "b"}, "deep": nil, "layout": 1.5}
	o := c.Tills[0].Scanners[0].Options.Over("m", bad)
	err := o.Decode(&scannerOptions{})
	var e *config.Error
	if !errors.As(err, &e) {
		t.Fatal(err)
	}
	for _, want := range []string{"\n  model m.settle: write a duration", "\n  model m.colour: the key is not known", "\n  model m.do: ", "\n  model m.start: ",
		"\n  model m.deep: ", "\n  model m.layout: ", "\n  line 6: tills[0].scanners[0].options.baud: ", "\n  line 7: tills[0].scanners[0].options.settel: the key is not known; did you mean \"settle\"?"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in\n%v", want, err)
		}
	}
	if err := o.Fail("baud", "no"); !strings.Contains(err.Error(), "line 6: tills[0].scanners[0].options.baud: no") {
		t.Error(err)
	}
	if err := o.Fail("colour", "no"); !strings.Contains(err.Error(), "\n  model m.colour: no") {
		t.Error(err)
	}
	none := load(t, "tills:\n  - name: w1\n    scanners:\n      - model: m\n").Tills[0].Scanners[0].Options
	if err := none.Fail("path", "name the port"); !strings.Contains(err.Error(), "line 4: tills[0].scanners[0].options.path: name the port") {
		t.Error(err)
	}
}
