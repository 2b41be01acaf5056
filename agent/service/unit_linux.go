package service

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"payagent/install"
)

// file is one that the installation writes.
type file struct {
	_    [0]func() // never compared: no code is made for it
	path string
	text string
}

// Places. What the packages bring lies below /usr/lib; what this program
// writes lies below /etc, where it wins.
const (
	unitPath = "/etc/systemd/system/" + Name + ".service"
	dropIn   = "/etc/systemd/system/" + Name + ".service.d/10-paths.conf"
	inStock  = "/usr/bin/" + Name
)

// files are what is written beside the unit.
func files(o Options) []file {
	list := []file{
		{path: "/etc/sysusers.d/payagent.conf", text: install.Users},
		{path: "/etc/tmpfiles.d/payagent.conf", text: install.Folders},
		{path: "/etc/udev/rules.d/70-payagent.rules", text: install.Scanners},
		{path: "/etc/udev/rules.d/71-payagent-boards.rules", text: install.Boards},
		{path: "/etc/needrestart/conf.d/payagent.conf", text: install.NeedRestart},
		{path: "/etc/polkit-1/rules.d/50-payagent.rules", text: install.Polkit},
	}
	if text := paths(o); text != "" {
		list = append(list, file{path: dropIn, text: text})
	}
	return list
}

// plain is a path that needs no quoting in a unit.
var plain = regexp.MustCompile(`^/[A-Za-z0-9._/+@-]*$`)

// unit is the unit of install/ with the program's and the configuration's
// place. Nothing in it is a template's word: the library that writes it would
// stop in the middle of an unknown one.
func unit(o Options) (string, error) {
	for _, p := range slices.Concat([]string{o.Program, o.Config}, o.Paths, o.Devices) {
		if !plain.MatchString(p) {
			return "", fmt.Errorf("cannot install with the path %q; use an absolute path of letters, digits and ._+@-", p)
		}
	}
	const stock = "ExecStart=" + inStock + " run --config /etc/payagent/payagent.yaml\n"
	if strings.Count(install.Unit, stock) != 1 {
		return "", errors.New("cannot install: the unit in this program has another ExecStart than expected")
	}
	return strings.Replace(install.Unit, stock, "ExecStart="+o.Program+" run --config "+o.Config+"\n", 1), nil
}

// Folders that the unit gives by itself, and device nodes whose class it names.
var (
	given   = regexp.MustCompile(`^/(var/lib|var/log|run)/payagent(/|$)`)
	classed = regexp.MustCompile(`^/dev/(tty(ACM|USB|S|AMA)[0-9]+|hidraw[0-9]+|i2c-[0-9]+|spidev[0-9.]+|gpiochip[0-9]+|(input|bus/usb|serial|payagent|snd)/.*)$`)
)

// paths is a drop-in with what the configuration uses and the unit does not
// give: folders to write, device nodes of other classes. "" where that is
// nothing.
func paths(o Options) string {
	var b strings.Builder
	for _, p := range o.Paths {
		if !given.MatchString(p) {
			fmt.Fprintf(&b, "ReadWritePaths=%s\n", p)
		}
	}
	for _, d := range o.Devices {
		if !classed.MatchString(d) {
			fmt.Fprintf(&b, "DeviceAllow=%s rw\n", d)
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return "# Written by payagent service install from the configuration.\n[Service]\n" + b.String()
}

// hidden are places that the unit's hardening hides from the service.
func hidden(path string) bool {
	for _, dir := range []string{"/home", "/root", "/run/user", "/tmp", "/var/tmp"} {
		if rel, err := filepath.Rel(dir, path); err == nil && rel != ".." && !strings.HasPrefix(rel, "../") {
			return true
		}
	}
	return false
}
