package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"payagent/agent/config"
	"payagent/devices/hid"
)

const sampleFile = "../../../install/payagent.sample.yaml"

// TestSample: what people copy is right, the examples in comments too, and
// every driver is among them.
func TestSample(t *testing.T) {
	c, err := config.Load(sampleFile)
	if err != nil {
		t.Fatal(err)
	}
	p, err := planDevices(c)
	if err != nil {
		t.Fatal(err)
	}
	var drivers []string
	for _, s := range p.scanners {
		drivers = append(drivers, s.driver)
	}
	for _, d := range p.displays {
		drivers = append(drivers, d.conf.Driver)
	}
	data, err := os.ReadFile(sampleFile)
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile(`(?m)^ +# (scanner|display): (\{driver: ([a-z]+).*\})$`).FindAllStringSubmatch(string(data), -1)
	if len(examples) < 10 {
		t.Fatal("only", len(examples), "examples")
	}
	for _, e := range examples {
		drivers = append(drivers, e[3])
		_, err := planDevices(tills(t, "/d", "tills: [{name: w, "+e[1]+"s: ["+e[2]+"]}]"))
		if e[3] == "karalabe" && !slices.Contains(hid.Backends(), hid.BackendKaralabe) {
			if err == nil || !strings.Contains(err.Error(), "this build does not contain it") {
				t.Errorf("%s in a build without it: %v", e[2], err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", e[2], err)
		}
	}
	for _, want := range []string{"hid", "karalabe", "wedge", "serial", "stdin", "pole", "panel", "lamp", "voice"} {
		if !slices.Contains(drivers, want) {
			t.Errorf("no example of driver %s", want)
		}
	}
}

// TestFacadeDoc: what docs/facade.md shows can be added to the sample as it
// stands.
func TestFacadeDoc(t *testing.T) {
	sample, err := os.ReadFile(sampleFile)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("../../../docs/facade.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(doc), -1)
	if len(blocks) != 2 {
		t.Fatalf("%d blocks", len(blocks))
	}
	for _, b := range blocks {
		c, err := config.Parse("facade.md", slices.Concat(sample, []byte("\n"), []byte(b[1])))
		if err == nil {
			err = c.Validate()
		}
		if err != nil || !c.Facade.On() && !c.Books.On() {
			t.Errorf("%v\n%s", err, b[1])
		}
	}
}
