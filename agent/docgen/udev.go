package docgen

import (
	"fmt"
	"slices"
	"strings"

	"payagent/devices/models"
)

// UdevRules is install/udev/70-payagent.rules: what Linux has to know of the
// scanners of all built-in models. Sources: lessons.md §5.8, udev(7),
// ModemManager's documentation of ID_MM_DEVICE_IGNORE.
func UdevRules(set models.Set) string {
	var b strings.Builder
	b.WriteString(`# Rules for the scanners that payagent reads. Generated from devices/models; do not edit.
# 由 devices/models 生成，请勿手改。
#
# Install:  groupadd --system payagent; usermod -aG payagent <user of the agent>
#           cp 70-payagent.rules /etc/udev/rules.d/; udevadm control --reload; udevadm trigger
#
# Every scanner is readable for the group payagent, has a stable name by where it is
# plugged in (/dev/payagent/tty-1-1.2, hidraw-1-1.2, input-1-1.2), is left alone by
# ModemManager, which would send it modem commands, and never sleeps, since some do
# not wake up again. A scanner that is missing here, or sits behind a USB-serial
# adapter, needs the four lines of its own: copy a block and write its ids, as
# payagent devices list shows them, into a file 71-payagent-site.rules.

ACTION=="remove", GOTO="payagent_end"
`)
	for _, id := range scannerIDs(set) {
		fmt.Fprintf(&b, "\n# %s\n", strings.Join(id.models, ", "))
		own, parent := `ATTR{idVendor}=="`+id.vendor+`"`, `ATTRS{idVendor}=="`+id.vendor+`"`
		if id.product != "" {
			own, parent = own+`, ATTR{idProduct}=="`+id.product+`"`, parent+`, ATTRS{idProduct}=="`+id.product+`"`
		}
		const access = `GROUP="payagent", MODE="0660"`
		fmt.Fprintf(&b, "SUBSYSTEM==\"usb\", ENV{DEVTYPE}==\"usb_device\", %s, %s, ENV{ID_MM_DEVICE_IGNORE}=\"1\", TEST==\"power/control\", ATTR{power/control}=\"on\"\n", own, access)
		fmt.Fprintf(&b, "SUBSYSTEM==\"hidraw\", %s, %s, SYMLINK+=\"payagent/hidraw-%%b\"\n", parent, access)
		fmt.Fprintf(&b, "SUBSYSTEM==\"tty\", %s, %s, ENV{ID_MM_DEVICE_IGNORE}=\"1\", SYMLINK+=\"payagent/tty-%%b\"\n", parent, access)
		fmt.Fprintf(&b, "SUBSYSTEM==\"input\", KERNEL==\"event*\", %s, %s, SYMLINK+=\"payagent/input-%%b\"\n", parent, access)
	}
	b.WriteString("\nLABEL=\"payagent_end\"\n")
	return b.String()
}

// scannerID is one USB id of one or more models.
type scannerID struct {
	vendor, product string
	models          []string
}

// scannerIDs lists the ids of all models, sorted. Where any product of a vendor
// is a scanner, its products need no line of their own.
func scannerIDs(set models.Set) []scannerID {
	var list []scannerID
	whole := map[string]bool{}
	for _, name := range set.IDs() {
		m, _ := set.Get(name)
		for _, id := range m.IDs {
			whole[id.Vendor] = whole[id.Vendor] || id.Product == ""
		}
	}
	for _, name := range set.IDs() {
		m, _ := set.Get(name)
		for _, id := range m.IDs {
			product := id.Product
			if whole[id.Vendor] {
				product = ""
			}
			i := slices.IndexFunc(list, func(s scannerID) bool { return s.vendor == id.Vendor && s.product == product })
			if i < 0 {
				i, list = len(list), append(list, scannerID{vendor: id.Vendor, product: product})
			}
			if !slices.Contains(list[i].models, name) {
				list[i].models = append(list[i].models, name)
			}
		}
	}
	slices.SortFunc(list, func(a, b scannerID) int { return strings.Compare(a.vendor+a.product, b.vendor+b.product) })
	return list
}
