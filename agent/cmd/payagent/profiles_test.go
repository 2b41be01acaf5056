package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"payagent/agent/config"
)

// TestProfiles: the configuration of every kind of hardware can be loaded and
// its devices planned as it is shipped, marked as a test, and docs/hardware.md
// has it.
func TestProfiles(t *testing.T) {
	doc, err := os.ReadFile("../../../docs/hardware.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../../../install/*/payagent.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]struct{ scanners, displays int }{"scanbox": {1, 2}, "kiosk": {1, 1}, "counter": {1, 1}}
	if len(files) != len(want) {
		t.Errorf("profiles: %v", files)
	}
	for _, file := range files {
		name := filepath.Base(filepath.Dir(file))
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			windows := strings.Contains(string(text), `C:\`)
			if windows != (name == "counter") {
				t.Errorf("paths of Windows: %v", windows)
			}
			// A path of Windows is absolute on Windows only; `make cross` checks the
			// file as it is, under wine.
			text = regexp.MustCompile(`'C:(\\[^']*)'`).ReplaceAllFunc(text, func(path []byte) []byte {
				return []byte(strings.ReplaceAll(strings.Trim(string(path), "'")[2:], `\`, "/"))
			})
			c, err := config.Parse(file, text)
			if err == nil {
				err = c.Validate()
			}
			if err != nil {
				t.Fatal(err)
			}
			p, err := planDevices(c)
			if err != nil {
				t.Fatal(err)
			}
			if w := want[name]; len(p.scanners) != w.scanners || len(p.displays) != w.displays {
				t.Errorf("%d scanners, %d displays", len(p.scanners), len(p.displays))
			}
			if !c.Site.Test {
				t.Error("nobody would see that it is not filled in: site.test must be true")
			}
			for _, word := range []string{"install/" + name + "/", "../install/" + name + "/README.md"} {
				if !strings.Contains(string(doc), word) {
					t.Errorf("docs/hardware.md does not mention %s", word)
				}
			}
			readme, err := os.ReadFile(filepath.Join(filepath.Dir(file), "README.md"))
			if err != nil || !strings.Contains(string(readme), "payagent.yaml") {
				t.Errorf("README.md: %v", err)
			}
		})
	}
}
