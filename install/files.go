// Package install holds what a box gets besides the program: the unit, the
// user, the rules. Each file exists once: packages copy it, and `payagent
// service install` writes the same bytes.
package install

import _ "embed"

// The files of a Linux box.
var (
	// Unit is the service of systemd.
	//go:embed systemd/payagent.service
	Unit string
	// Users makes the user and puts it into the groups of devices (sysusers.d).
	//go:embed systemd/sysusers.conf
	Users string
	// Folders says who may read the configuration (tmpfiles.d).
	//go:embed systemd/tmpfiles.conf
	Folders string
	// NeedRestart keeps upgrades of libraries from restarting the service.
	//go:embed systemd/needrestart.conf
	NeedRestart string
	// Polkit lets the service keep the machine up while an order is open.
	//go:embed systemd/polkit.rules
	Polkit string
	// Scanners is the udev rules of scanners, generated from devices/models.
	//go:embed udev/70-payagent.rules
	Scanners string
	// Boards is the udev rules of small boards.
	//go:embed udev/71-payagent-boards.rules
	Boards string
)
