//go:build cgo && !hidraw_only

package hid

import (
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"payagent/devices/internal/usb"
)

// libusb is the backend on karalabe/hid as it is on Linux. Devices are listed
// from sysfs, because the library knows no usage page here, needs permission
// for the strings, and opens each device that it lists.
type libusb struct{ system }

func newKaralabe() Backend { return libusb{realSystem()} }

// List implements Backend. The descriptors can be read only while the kernel's
// driver has the interface, hence before opening.
func (b libusb) List() ([]Device, error) { return b.interfaces() }

// Open implements Backend.
func (b libusb) Open(d Device) (Handle, error) {
	b.wake(d.Port)
	dev, err := openPath(d.Port, d.Vendor, d.Product)
	if err != nil {
		return nil, err
	}
	h := newAPIHandle(dev, d.Descriptor, b.packet(d.Port))
	h.gone = b.pulled(d.Port)
	return h, nil
}

// pulled gives a function that tells whether the device at a place has gone
// since, even if another or the same was plugged in there: the bus numbers each
// plug anew.
func (b libusb) pulled(port string) func() bool {
	device, _, _ := strings.Cut(port, ":")
	dir := filepath.Join(b.sys, "bus/usb/devices", device)
	number := usb.Text(dir, "devnum")
	if number == "" {
		return nil
	}
	return func() bool { return usb.Text(dir, "devnum") != number }
}

// wake opens the hidraw node for a moment. The kernel's driver then clears an
// endpoint that stalled, which libusb's hidapi never does: without this a scanner
// whose endpoint stalled once stays silent. It does no harm if it fails.
func (b libusb) wake(port string) {
	node := b.nodeOf(port)
	if node == "" {
		return
	}
	fd, err := unix.Open(node, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return
	}
	defer func() { _ = unix.Close(fd) }()
	// The driver sees the stall with its first transfer and clears it then.
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	_, _ = unix.Poll(poll, int(wakeTime/time.Millisecond))
}

// wakeTime is how long the kernel gets to see a stall: some polling intervals.
const wakeTime = 50 * time.Millisecond

// packet is the packet size of the interface's input endpoint in bytes, 0 if
// unknown.
func (b libusb) packet(port string) int {
	ends, _ := filepath.Glob(filepath.Join(b.sys, "bus/usb/devices", port, "ep_8*"))
	for _, dir := range ends {
		if n, err := strconv.ParseUint(usb.Text(dir, "wMaxPacketSize"), 16, 16); err == nil {
			return int(n & 0x7FF)
		}
	}
	return 0
}
