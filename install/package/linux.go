package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb" // a packager is known by its import
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm"
)

// maintainer is who packages; a supplier writes itself in here.
const maintainer = "payagent maintainers <maintainers@payagent.example>"

// linux makes the packages of Linux: the pure Go programs, which run on any.
func (r *release) linux() error {
	for target, arch := range map[string]struct{ deb, rpm string }{
		"linux_amd64": {"amd64", "x86_64"}, "linux_arm64": {"arm64", "aarch64"}, "linux_armv7": {"armhf", "armv7hl"},
	} {
		for _, name := range []string{"payagent", "payfleet"} {
			if _, err := os.Stat(r.program(name, target)); err != nil {
				continue // a release of some machines only
			}
			for packager, a := range map[string]string{"deb": arch.deb, "rpm": arch.rpm} {
				if !slices.Contains(r.kinds, packager) {
					continue
				}
				if err := r.pack(name, packager, a, target); err != nil {
					return fmt.Errorf("cannot make the %s of %s for %s: %w", packager, name, a, err)
				}
			}
		}
	}
	return nil
}

// pack makes one package.
func (r *release) pack(name, packager, arch, target string) error {
	// A candidate is told apart, or dpkg and rpm would take it for newer than its release.
	number, candidate, _ := strings.Cut(r.version, "-")
	info := &nfpm.Info{Name: name, Arch: arch, Platform: "linux", Version: number, Prerelease: candidate, Section: "misc", Priority: "optional", Maintainer: maintainer,
		MTime: r.when, DisableGlobbing: true}
	if packager == "rpm" {
		info.License = "proprietary" // Debian has the file copyright for it
	}
	info.RPM.BuildHost, info.RPM.Compression, info.RPM.Packager = "localhost", "gzip:9", maintainer
	info.Deb.Compression = "xz"
	info.Umask = 0o022
	var err error
	if name == "payagent" {
		info.Description = agentDescription
		info.RPM.Summary = "face-to-face payments at hospital tills"
		err = r.agent(info, packager, target)
	} else {
		info.Description = fleetDescription
		info.RPM.Summary = "manages the payagent boxes of hospitals"
		err = r.common(info, name, packager, target)
	}
	if err != nil {
		return err
	}
	if err := nfpm.PrepareForPackager(info, packager); err != nil {
		return err
	}
	p, err := nfpm.Get(packager)
	if err != nil {
		return err
	}
	out, err := os.Create(filepath.Join(r.programs, p.ConventionalFileName(info)))
	if err != nil {
		return err
	}
	if err := p.Package(info, out); err != nil {
		_ = out.Close()
		return err
	}
	return out.Close()
}

const agentDescription = `face-to-face payments at hospital tills 当面付代理
An agent beside a hospital information system that takes payments by code at
tills and kiosks, over the platforms SmartPay and LinkingCloud, and follows
each until its outcome is certain.`

const fleetDescription = `manages the payagent boxes of hospitals 收费终端集中管理
Shows and manages payagent boxes over an MQTT broker: state, alarms,
configurations, updates, certificates.`

// common is what both programs bring: program, manual, completion, papers.
func (r *release) common(info *nfpm.Info, name, packager, target string) error {
	papers, err := r.papers(name, packager)
	if err != nil {
		return err
	}
	add(info, r.program(name, target), "/usr/bin/"+name, 0o755)
	add(info, filepath.Join(r.stage, "man", name+".1.gz"), "/usr/share/man/man1/"+name+".1.gz", 0o644)
	add(info, filepath.Join(r.stage, "completion", name), "/usr/share/bash-completion/completions/"+name, 0o644)
	for _, p := range papers {
		add(info, p, "/usr/share/doc/"+name+"/"+filepath.Base(p), 0o644)
	}
	add(info, filepath.Join(r.programs, name+"_"+r.version+".cdx.json"), "/usr/share/doc/"+name+"/"+name+".cdx.json", 0o644)
	if packager == "deb" {
		path, err := r.staged(name+"/lintian", []byte(lintian(name)))
		if err != nil {
			return err
		}
		add(info, path, "/usr/share/lintian/overrides/"+name, 0o644)
	}
	return nil
}

// lintian says why a finding is meant.
func lintian(name string) string {
	return "# A Go program is one file; it must start on boxes with an older libc.\n" +
		name + ": statically-linked-binary [usr/bin/" + name + "]\n"
}

// agent adds what the box's program needs besides.
func (r *release) agent(info *nfpm.Info, packager, target string) error {
	if err := r.common(info, "payagent", packager, target); err != nil {
		return err
	}
	lib := "/usr/lib"
	if packager == "deb" {
		lib = "/lib" // where Debian 12's tools look for units and rules
		info.Depends = []string{"adduser"}
		info.Recommends = []string{"fonts-wqy-microhei | fonts-noto-cjk"}
		info.Suggests = []string{"espeak-ng", "chromium", "usbutils"}
	} else {
		info.Depends = []string{"systemd"}
		info.Recommends = []string{"google-noto-sans-cjk-ttc-fonts"}
	}
	for from, to := range map[string]string{
		"install/systemd/payagent.service":      lib + "/systemd/system/payagent.service",
		"install/systemd/sysusers.conf":         "/usr/lib/sysusers.d/payagent.conf",
		"install/systemd/tmpfiles.conf":         "/usr/lib/tmpfiles.d/payagent.conf",
		"install/systemd/polkit.rules":          "/usr/share/polkit-1/rules.d/50-payagent.rules",
		"install/udev/70-payagent.rules":        lib + "/udev/rules.d/70-payagent.rules",
		"install/udev/71-payagent-boards.rules": lib + "/udev/rules.d/71-payagent-boards.rules",
		"install/payagent.sample.yaml":          "/usr/share/payagent/payagent.sample.yaml",
		"install/payagent.lc.yaml":              "/usr/share/payagent/payagent.lc.yaml",
	} {
		add(info, r.in(from), to, 0o644)
	}
	for _, name := range []string{"README.md", "payagent.rules.yml", "payagent-board.json"} {
		add(info, r.in("install/monitoring/"+name), "/usr/share/payagent/monitoring/"+name, 0o644)
	}
	for _, profile := range []string{"scanbox", "kiosk", "counter"} {
		list, err := os.ReadDir(r.in("install/" + profile))
		if err != nil {
			return err
		}
		for _, f := range list {
			add(info, r.in("install/"+profile+"/"+f.Name()), "/usr/share/payagent/profiles/"+profile+"/"+f.Name(), 0o644)
		}
	}
	// The kiosk's configuration stands in for one until the box has its own: all
	// of it is on the machine itself, and it says what to fill in.
	conf(info, r.in("install/kiosk/payagent.yaml"), "/etc/payagent/payagent.yaml")
	conf(info, r.in("install/systemd/needrestart.conf"), "/etc/needrestart/conf.d/payagent.conf")
	info.Scripts = nfpm.Scripts{
		PostInstall: r.in("install/package/scripts/postinst"),
		PreRemove:   r.in("install/package/scripts/prerm"),
		PostRemove:  r.in("install/package/scripts/postrm"),
	}
	return nil
}

func add(info *nfpm.Info, from, to string, mode os.FileMode) {
	info.Contents = append(info.Contents, &files.Content{Source: from, Destination: to,
		FileInfo: &files.ContentFileInfo{Owner: "root", Group: "root", Mode: mode, MTime: info.MTime}})
}

// conf adds a file that people change: an upgrade leaves their version alone.
func conf(info *nfpm.Info, from, to string) {
	info.Contents = append(info.Contents, &files.Content{Source: from, Destination: to, Type: files.TypeConfigNoReplace,
		FileInfo: &files.ContentFileInfo{Owner: "root", Group: "root", Mode: 0o644, MTime: info.MTime}})
}

// papers writes copyright and changelog in Debian's form, and the notices.
func (r *release) papers(name, packager string) ([]string, error) {
	all, err := os.ReadFile(filepath.Join(r.programs, name+"_"+r.version+"_NOTICES.txt"))
	if err != nil {
		return nil, err
	}
	changes, err := os.ReadFile(r.in("CHANGELOG.md"))
	if err != nil {
		return nil, err
	}
	packed, err := zipped([]byte(r.changelog(name, string(changes))))
	if err != nil {
		return nil, err
	}
	notes, err := zipped(all)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, f := range []struct {
		name string
		data []byte
	}{{"copyright", []byte(copyright(name, r.when.Year()))}, {"changelog.gz", packed}, {"NOTICES.txt.gz", notes}} {
		path, err := r.staged(name+"/"+packager+"/"+f.name, f.data)
		if err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}

func copyright(name string, year int) string {
	return `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: ` + name + `
Comment: The licences of everything that is linked into the program stand in
 NOTICES.txt.gz beside this file.

Files: *
Copyright: ` + strconv.Itoa(year) + ` the payagent authors
License: proprietary
 All rights reserved. Use is subject to the agreement with the supplier.
`
}

// changelog gives the newest section of the changelog as Debian writes one.
func (r *release) changelog(name, changes string) string {
	_, section, _ := strings.Cut(changes, "\n## ")
	if i := strings.Index(section, "\n## "); i >= 0 {
		section = section[:i]
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s) stable; urgency=medium\n\n", name, debVersion(r.version))
	markdown := regexp.MustCompile("`|\\*\\*|\\]\\([^)]*\\)|\\[")
	for i, line := range strings.Split(section, "\n") {
		line = markdown.ReplaceAllString(strings.TrimRight(line, " "), "")
		switch {
		case i == 0 || line == "":
		case strings.HasPrefix(line, "- "):
			fold(&b, "  * ", line[2:])
		default:
			fold(&b, "    ", strings.TrimSpace(line))
		}
	}
	fmt.Fprintf(&b, "\n -- %s  %s\n", maintainer, r.when.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	return b.String()
}

// fold writes a text in lines of at most 76 characters: it breaks at a blank, or
// beside a Chinese character.
func fold(b *strings.Builder, indent, text string) {
	rest := []rune(text)
	for len(rest) > 72 {
		cut := 72
		for cut > 30 && rest[cut] != ' ' && rest[cut-1] < 0x2E80 {
			cut--
		}
		b.WriteString(indent + strings.TrimSpace(string(rest[:cut])) + "\n")
		rest, indent = rest[cut:], "    "
	}
	b.WriteString(indent + strings.TrimSpace(string(rest)) + "\n")
}

// debVersion sorts a release candidate before its release, as nfpm does.
func debVersion(v string) string { return strings.Replace(v, "-", "~", 1) }

func zipped(data []byte) ([]byte, error) {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(data); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
