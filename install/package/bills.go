package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// component is something that is linked into a program: a Go module, Go itself,
// a C library inside a module, a font.
type component struct {
	Name, Version, URL string
	Licence            string // an SPDX expression
	Sum                string // as go.sum has it; empty for none
	Texts              []text
}

type text struct{ Name, Text string }

// bills writes the notices and the SBOM of each program.
func (r *release) bills() error {
	for _, name := range []string{"payagent", "payfleet"} {
		parts, err := r.components(name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(r.programs, name+"_"+r.version+"_NOTICES.txt"), notices(name, r.version, parts), 0o644); err != nil {
			return err
		}
		data, err := bom(name, r.version, r.when, parts)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(r.programs, name+"_"+r.version+".cdx.json"), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// components lists what any build of a program has linked in, by name.
func (r *release) components(name string) ([]component, error) {
	var binaries []string
	for _, system := range []string{"linux", "windows"} {
		list, err := filepath.Glob(filepath.Join(r.programs, name+"*_"+r.version+"_"+system+"_*"))
		if err != nil {
			return nil, err
		}
		binaries = append(binaries, list...)
	}
	found := map[string]component{}
	for _, file := range binaries {
		info, err := buildinfo.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("cannot read what %s is made of: %w", file, err)
		}
		for _, m := range info.Deps {
			if m.Replace != nil {
				return nil, fmt.Errorf("cannot release: %s is replaced in go.mod, so its notices are not known", m.Path)
			}
			found[m.Path] = component{Name: m.Path, Version: m.Version, Sum: m.Sum}
		}
		found["std"] = component{Name: "std", Version: strings.TrimPrefix(info.GoVersion, "go")}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("cannot list the parts of %s: there is no program of it in %s", name, r.programs)
	}
	if name == "payagent" {
		// Only its glyphs are in the program, so no build names the module.
		version, err := r.output("go", "list", "-m", "-f", "{{.Version}}", fontModule)
		if err != nil {
			return nil, err
		}
		found[fontModule] = component{Name: fontModule, Version: strings.TrimSpace(string(version))}
	}
	var list []component
	for _, c := range found {
		if err := r.describe(&c); err != nil {
			return nil, err
		}
		list = append(list, c)
		if c.Name == hidModule {
			inside, err := r.insideHID()
			if err != nil {
				return nil, err
			}
			list = append(list, inside...)
		}
	}
	slices.SortFunc(list, func(a, b component) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// Modules with more in them than Go.
const (
	fontModule = "github.com/hajimehoshi/bitmapfont/v4"
	hidModule  = "github.com/karalabe/hid"
	mqttModule = "github.com/eclipse/paho.mqtt.golang"
)

// describe adds licence and texts.
func (r *release) describe(c *component) error {
	c.URL = "https://pkg.go.dev/" + c.Name
	var dir string
	if c.Name == "std" {
		root, err := r.output("go", "env", "GOROOT")
		if err != nil {
			return err
		}
		c.URL, dir = "https://go.dev", strings.TrimSpace(string(root))
		data, err := os.ReadFile(filepath.Join(dir, "LICENSE"))
		if err != nil {
			return fmt.Errorf("cannot find the licence of Go: %w", err)
		}
		c.Texts, c.Licence = []text{{"LICENSE", string(data)}}, "BSD-3-Clause"
		return nil
	}
	out, err := r.output("go", "mod", "download", "-json", c.Name+"@"+c.Version)
	if err != nil {
		return err
	}
	var m struct{ Dir string }
	if err := json.Unmarshal(out, &m); err != nil {
		return err
	}
	dir = m.Dir
	named := regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents|authors|edl-v)`)
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !named.MatchString(d.Name()) || strings.HasSuffix(path, ".go") {
			return err
		}
		data, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		c.Texts = append(c.Texts, text{filepath.ToSlash(rel), string(data)})
		return err
	})
	if err != nil {
		return err
	}
	c.Licence = licence(c)
	if c.Name == fontModule {
		data, err := os.ReadFile(filepath.Join(dir, "README.md"))
		if err != nil {
			return err
		}
		ofl, err := os.ReadFile(r.in("install/package/licences/OFL-1.1.txt"))
		if err != nil {
			return err
		}
		_, sources, ok := strings.Cut(string(data), "## Sources")
		if !ok {
			return fmt.Errorf("cannot name the sources of the font: the README of %s has no such section any more", c.Name)
		}
		c.Texts = append(c.Texts, text{"fonts", fontNote + "## Sources" + sources}, text{"OFL-1.1", string(ofl)})
	}
	if c.Licence == "" || len(c.Texts) == 0 {
		return fmt.Errorf("cannot release: the licence of %s %s is not known; look at %s and teach install/package", c.Name, c.Version, dir)
	}
	return nil
}

const fontNote = `The glyphs of the small displays are made of this module's simplified Chinese face.
Copyright (c) 2021, TakWolf (https://takwolf.com), with Reserved Font Name "Ark Pixel"

`

// licence says which one a module is under, from the words of its text.
func licence(c *component) string {
	switch c.Name { // where the file offers several, or covers more than Go
	case fontModule:
		return "Apache-2.0 AND OFL-1.1"
	case hidModule:
		return "BSD-2-Clause AND BSD-3-Clause"
	case mqttModule:
		return "BSD-3-Clause" // EDL-1.0 of the two that it offers
	}
	for _, t := range c.Texts {
		words := strings.Join(strings.Fields(t.Text), " ")
		has := func(s string) bool { return strings.Contains(words, s) }
		switch {
		case has("Apache License") && has("Version 2.0"):
			return "Apache-2.0"
		case has("Mozilla Public License"):
			return "MPL-2.0"
		case has("Permission is hereby granted, free of charge"):
			return "MIT"
		case has("This software is provided 'as-is'") && has("altered source versions") || has("Altered source versions"):
			return "Zlib"
		case has("Permission to use, copy, modify, and/or distribute") || has("Permission to use, copy, modify, and distribute"):
			return "ISC"
		case has("Redistribution and use") && (has("Neither the name") || has("names of its contributors")):
			return "BSD-3-Clause"
		case has("Redistribution and use"):
			return "BSD-2-Clause"
		}
	}
	return ""
}

// insideHID are the C libraries that karalabe/hid brings and those below them;
// on Windows it is hidapi alone. The versions of the last two are Debian 12's.
func (r *release) insideHID() ([]component, error) {
	lgpl, err := os.ReadFile(r.in("install/package/licences/LGPL-2.1.txt"))
	if err != nil {
		return nil, err
	}
	return []component{
		{Name: "hidapi", Version: "0.14.0", URL: "https://github.com/libusb/hidapi", Licence: "BSD-3-Clause",
			Texts: []text{{"note", "In payagent-hid only; of its three licences the BSD-style one is taken. Its text is LICENSE-bsd.txt of " + hidModule + ".\n"}}},
		{Name: "libusb", Version: "1.0.27", URL: "https://libusb.info", Licence: "LGPL-2.1-or-later",
			Texts: []text{{"note", libusbNote}, {"COPYING", string(lgpl)}}},
		{Name: "musl", Version: "1.2.3", URL: "https://musl.libc.org", Licence: "MIT", Texts: []text{{"COPYRIGHT", muslCopyright}}},
		{Name: "glibc", Version: "2.36", URL: "https://www.gnu.org/software/libc/", Licence: "LGPL-2.1-or-later",
			Texts: []text{{"note", "In payagent-hid for Linux on ARM only, linked statically; the text of the licence stands with libusb.\n"}}},
	}, nil
}

const muslCopyright = `In payagent-hid for Linux on amd64 only, linked statically.
Copyright © 2005-2020 Rich Felker, et al.

Permission is hereby granted, free of charge, to any person obtaining
a copy of this software and associated documentation files (the
"Software"), to deal in the Software without restriction, including
without limitation the rights to use, copy, modify, merge, publish,
distribute, sublicense, and/or sell copies of the Software, and to
permit persons to whom the Software is furnished to do so, subject to
the following conditions:

The above copyright notice and this permission notice shall be
included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND,
EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT.
IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY
CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT,
TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE
SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
`

const libusbNote = `In payagent-hid for Linux only, linked statically; payagent without "hid" has none of it.
Copyright (c) 2001 Johannes Erdfelt, 2007-2009 Daniel Drake, 2010-2018 Nathan Hjelm and others.
The library's source is that of github.com/karalabe/hid in this release's version. Whoever receives
payagent-hid may change libusb and link the program anew: the supplier hands out what it takes on demand.
`

func (r *release) output(name string, args ...string) ([]byte, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = r.source
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("cannot run %s %s: %w", name, strings.Join(args, " "), err)
	}
	return out, nil
}

// notices are the texts that the licences want beside the program.
func notices(name, version string, parts []component) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s contains the following. %s 含有以下第三方部分。\n\n", name, version, name)
	for _, c := range parts {
		fmt.Fprintf(&b, "  %-55s %-50s %s\n", c.Name, c.Version, c.Licence)
	}
	for _, c := range parts {
		for _, t := range c.Texts {
			fmt.Fprintf(&b, "\n%s\n%s %s: %s\n%s\n\n%s\n", strings.Repeat("=", 80), c.Name, c.Version, t.Name, strings.Repeat("=", 80),
				strings.TrimSpace(strings.ReplaceAll(t.Text, "\r\n", "\n")))
		}
	}
	return b.Bytes()
}

// bom is the list of parts in CycloneDX 1.5.
func bom(name, version string, when time.Time, parts []component) ([]byte, error) {
	type object = map[string]any
	var list, refs []any
	for _, c := range parts {
		kind, purl := "library", "pkg:golang/"+c.Name+"@"+c.Version
		if !strings.Contains(c.Name, "/") && c.Name != "std" {
			purl = "pkg:generic/" + c.Name + "@" + c.Version
		}
		o := object{"type": kind, "bom-ref": purl, "name": c.Name, "version": c.Version, "purl": purl,
			"licenses":           []any{object{"expression": c.Licence}},
			"externalReferences": []any{object{"type": "website", "url": c.URL}}}
		if c.Sum != "" {
			o["properties"] = []any{object{"name": "go.sum", "value": c.Sum}}
		}
		list, refs = append(list, o), append(refs, purl)
	}
	self := "pkg:generic/" + name + "@" + version
	body := object{
		"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
		"metadata": object{"timestamp": when.Format(time.RFC3339),
			"component": object{"type": "application", "bom-ref": self, "name": name, "version": version, "purl": self}},
		"components":   list,
		"dependencies": []any{object{"ref": self, "dependsOn": refs}},
	}
	data, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	// The number is made of the content: the same release has the same one.
	sum := sha256.Sum256(data)
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80
	h := hex.EncodeToString(sum[:16])
	body["serialNumber"] = fmt.Sprintf("urn:uuid:%s-%s-%s-%s-%s", h[:8], h[8:12], h[12:16], h[16:20], h[20:])
	data, err = json.MarshalIndent(body, "", "  ")
	return append(data, '\n'), err
}
