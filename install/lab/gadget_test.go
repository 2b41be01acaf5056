//go:build lab && linux

package lab

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// gadgets is where configfs makes USB devices.
const gadgets = "/sys/kernel/config/usb_gadget"

// kind is what a gadget presents.
type kind int

const (
	honeywell kind = iota // HID POS, data behind a three-byte AIM id
	newland               // HID POS, data from byte 2
	keyboard              // boot keyboard
	cdc                   // CDC-ACM
)

// spec describes a gadget. Gadgets of one udc exclude each other.
type spec struct {
	kind            kind
	udc             int // 0 to 5; the bus it appears on follows from it
	vendor, product uint16
	maker, model    string
	serial          string // empty for none
}

// gadget is a USB device made by this kernel for itself.
type gadget struct {
	spec
	dir string // in configfs
	mu  sync.Mutex
	end *os.File // the device's end of its function while it is plugged in
}

// Descriptors: the Honeywell one is that of published devices less the
// redirect report; the Newland one is made from the byte table of its manual;
// the keyboard is HID 1.11 appendix B.1.
const (
	honeywellDescriptor = `05 8c 09 02 a1 01 09 12 a1 02 85 02 15 00 26 ff 00 75 08 95 01 05 01 09 3b 81 02
		95 03 05 8c 09 fb 09 fc 09 fd 81 02 95 38 09 fe 82 02 01 95 02 06 66 ff 09 04 09 00
		81 02 05 8c 25 01 75 01 95 08 09 ff 81 02 c0 09 14 a1 02 85 04 15 00 25 01 75 01 95
		08 09 00 09 5f 09 60 09 00 09 00 09 85 09 86 91 86 c0 06 66 ff 75 08 26 ff 00 09 01
		a1 02 85 fd 95 01 09 21 91 02 95 3e 09 22 92 82 01 c0 c0`
	newlandDescriptor = `05 8c 09 02 a1 01 09 12 a1 02 85 02 15 00 26 ff 00 75 08 95 01 05 01 09 3b 81 02
		05 8c 95 38 09 fe 82 02 01 95 05 06 66 ff 09 04 81 02
		05 8c 25 01 75 01 95 08 09 ff 81 02 c0 c0`
	keyboardDescriptor = `05 01 09 06 a1 01 05 07 19 e0 29 e7 15 00 25 01 75 01 95 08 81 02 95 01 75 08 81 03
		95 05 75 01 05 08 19 01 29 05 91 02 95 01 75 03 91 03 95 06 75 08 15 00 25 65 05 07 19 00 29 65 81 00 c0`
)

func (k kind) String() string { return [...]string{"Honeywell", "Newland", "keyboard", "CDC"}[k] }

func put(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// newGadget makes a device; it is not plugged in yet.
func newGadget(t testing.TB, name string, s spec) *gadget {
	t.Helper()
	g := &gadget{spec: s, dir: filepath.Join(gadgets, name)}
	for _, d := range []string{"", "strings/0x409", "configs/c.1"} {
		if err := os.Mkdir(filepath.Join(g.dir, d), 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			t.Fatal(err)
		}
	}
	put(t, g.dir+"/idVendor", fmt.Sprintf("0x%04x", s.vendor))
	put(t, g.dir+"/idProduct", fmt.Sprintf("0x%04x", s.product))
	put(t, g.dir+"/bcdUSB", "0x0200")
	put(t, g.dir+"/strings/0x409/manufacturer", s.maker)
	put(t, g.dir+"/strings/0x409/product", s.model)
	if s.serial != "" {
		put(t, g.dir+"/strings/0x409/serialnumber", s.serial)
	}
	f := g.dir + "/functions/" + g.function()
	if err := os.Mkdir(f, 0o755); err != nil {
		t.Fatal(err)
	}
	if s.kind != cdc {
		// One more than a report takes, so that no zero-length packet follows
		// it: scanners send none.
		text, length, sub := honeywellDescriptor, "65", "0"
		switch s.kind {
		case newland:
			text = newlandDescriptor
		case keyboard:
			text, length, sub = keyboardDescriptor, "9", "1"
		}
		raw, err := hex.DecodeString(strings.Join(strings.Fields(text), ""))
		if err != nil {
			t.Fatal(err)
		}
		put(t, f+"/subclass", sub)
		put(t, f+"/protocol", sub)
		put(t, f+"/report_length", length)
		put(t, f+"/report_desc", string(raw))
	}
	if err := os.Symlink(f, g.dir+"/configs/c.1/"+g.function()); err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *gadget) function() string {
	if g.kind == cdc {
		return "acm." + filepath.Base(g.dir)
	}
	return "hid." + filepath.Base(g.dir)
}

// remove takes the device out of the kernel, which frees its minor.
func (g *gadget) remove() error {
	_ = g.unplug()
	return errors.Join(os.Remove(g.dir+"/configs/c.1/"+g.function()), os.Remove(g.dir+"/functions/"+g.function()),
		os.Remove(g.dir+"/configs/c.1"), os.Remove(g.dir+"/strings/0x409"), os.Remove(g.dir))
}

// bus is the number of the bus that the device appears on.
func (g *gadget) bus() (string, error) {
	list, err := filepath.Glob(fmt.Sprintf("/sys/devices/platform/dummy_hcd.%d/usb*", g.udc))
	if err != nil || len(list) != 1 {
		return "", fmt.Errorf("dummy_hcd.%d has %d buses: %w", g.udc, len(list), err)
	}
	return strings.TrimPrefix(filepath.Base(list[0]), "usb"), nil
}

// port is the USB place in the kernel's words, without the interface.
func (g *gadget) port(t testing.TB) string {
	t.Helper()
	b, err := g.bus()
	if err != nil {
		t.Fatal(err)
	}
	return b + "-1"
}

// plug connects the device and opens its own end.
func (g *gadget) plug() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.end != nil {
		return errors.New("it is plugged in")
	}
	// The host has to have forgotten it first, as it does while a person moves
	// a plug.
	b, err := g.bus()
	if err != nil {
		return err
	}
	if !within(10*time.Second, func() bool {
		_, err := os.Stat("/sys/bus/usb/devices/" + b + "-1")
		return errors.Is(err, os.ErrNotExist)
	}) {
		return errors.New("the host does not see the unplug")
	}
	if err := os.WriteFile(g.dir+"/UDC", fmt.Appendf(nil, "dummy_udc.%d", g.udc), 0o644); err != nil {
		return err
	}
	node, err := g.node()
	if err != nil {
		return err
	}
	// devtmpfs makes the node a moment later.
	for deadline := time.Now().Add(10 * time.Second); ; <-time.After(2 * time.Millisecond) {
		f, err := os.OpenFile(node, os.O_RDWR|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
		if err == nil {
			g.end = f
			break
		}
		if time.Now().After(deadline) {
			return err
		}
	}
	if g.kind == cdc {
		return raw(g.end)
	}
	return nil
}

// raw makes a tty pass bytes as they are.
func raw(f *os.File) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = c.Control(func(fd uintptr) {
		var t *unix.Termios
		if t, failed = unix.IoctlGetTermios(int(fd), unix.TCGETS); failed != nil {
			return
		}
		t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
		t.Cflag = t.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8 | unix.CREAD | unix.CLOCAL
		t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
		failed = unix.IoctlSetTermios(int(fd), unix.TCSETS, t)
	})
	return errors.Join(err, failed)
}

// node is the device's end of its function.
func (g *gadget) node() (string, error) {
	if g.kind == cdc {
		n, err := os.ReadFile(g.dir + "/functions/" + g.function() + "/port_num")
		return "/dev/ttyGS" + strings.TrimSpace(string(n)), err
	}
	n, err := os.ReadFile(g.dir + "/functions/" + g.function() + "/dev")
	if err != nil {
		return "", err
	}
	_, minor, _ := strings.Cut(strings.TrimSpace(string(n)), ":")
	return "/dev/hidg" + minor, nil
}

// unplug pulls the cable.
func (g *gadget) unplug() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.end == nil {
		return nil
	}
	err := os.WriteFile(g.dir+"/UDC", []byte("\n"), 0o644)
	err = errors.Join(err, g.end.Close())
	g.end = nil
	return err
}

// patience bounds one write: with no reader at the host's side it would block
// for good.
const patience = 10 * time.Second

// keyPause is what a scanner waits between two keys. The kernel keeps 64 events
// for a reader, which is a dozen keys: at the bus's full speed a slow machine is
// too late now and then, and the code is lost, as it must be.
const keyPause = 5 * time.Millisecond

// send writes packets, each of which the host has fetched before the next, at
// the pace of a scanner.
func (g *gadget) send(packets ...[]byte) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.end == nil {
		return errors.New("it is not plugged in")
	}
	for i, p := range packets {
		if i > 0 && g.kind == keyboard {
			<-time.After(keyPause)
		}
		if err := g.end.SetWriteDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		if n, err := g.end.Write(p); err != nil || n != len(p) {
			return fmt.Errorf("%d of %d bytes were taken: %w", n, len(p), errors.Join(err, short(n, p)))
		}
	}
	return nil
}

func short(n int, p []byte) error {
	if n < len(p) {
		return io.ErrShortWrite
	}
	return nil
}

// scan makes the device read one code, as a scanner of its kind sends it.
func (g *gadget) scan(text string) error { return g.send(g.packets(text)...) }

// packets is what a code is on the wire: for the serial kind the end CR is
// part of it, for a keyboard Enter.
func (g *gadget) packets(text string) [][]byte {
	switch g.kind {
	case honeywell, newland:
		return reports(g.kind, text)
	case keyboard:
		return keys(text + "\r")
	}
	return [][]byte{[]byte(text + "\r")}
}
