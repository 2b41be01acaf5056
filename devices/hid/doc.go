// Package hid reads barcode scanners that present themselves as HID point of
// sale devices (usage page 0x8C, usage 0x02). They send whole codes as reports,
// type nothing into other programs and say the symbology.
//
// Two backends stand behind one small seam, Backend and Handle:
//
//   - hidraw (Linux, pure Go, the default there). The kernel keeps its driver, an
//     unplug is an error within milliseconds, the report descriptor is readable, a
//     stalled endpoint heals by itself, Bluetooth scanners are seen too. It needs
//     read and write permission on /dev/hidraw* (a udev rule on SUBSYSTEM
//     "hidraw"). The kernel lets several programs read one device, so agents
//     exclude each other by flock.
//   - karalabe (github.com/karalabe/hid, needs cgo: the only one on Windows and
//     macOS; on Linux chosen with Backend "karalabe", left out of a build by the tag
//     hidraw_only). On Linux it goes through libusb: opening takes the interface
//     away from the kernel's driver, so nobody else can read the scanner; the driver
//     comes back on Close, but not when the holder is killed, which is why this
//     package binds it again. It needs permission on /dev/bus/usb (a udev rule on
//     SUBSYSTEM "usb"), sees USB only, and waits by the wall clock, so that a
//     clock set back delays the seeing of a Close, not of a code. An endpoint that
//     stalled stays silent through it; opening the device again cures that.
//
// Without cgo there is no karalabe backend, so a Windows build without cgo reads
// no HID scanner at all; Lacks says so for people. Keyboard-class scanners cannot
// be read through HID on Windows, because the system keeps them for itself.
//
// One goroutine owns a handle: it reads with a short time-out, writes what
// actions ask for between two reads, and closes. That is a rule of the library
// (a Close beside a Read uses freed memory) and kept for both backends.
//
// On Windows a second program may open the same scanner and gets a copy of each
// code; nothing here keeps it away.
//
// Licences: karalabe/hid is BSD-3-Clause and contains hidapi, taken under its
// BSD-3-Clause; on Linux it links libusb 1.0 statically, which is LGPL-2.1: who
// passes such a binary on must offer relinking. A build with CGO_ENABLED=0 or the
// tag hidraw_only contains none of it.
//
// Sources: USB-IF HID Point of Sale Usage Tables 1.02 and HID 1.11 (usages,
// items), the makers' manuals for the layouts of input reports.
package hid
