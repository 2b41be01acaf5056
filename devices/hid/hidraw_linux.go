package hid

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"payagent/devices"
)

// hidraw is the backend on the kernel's hidraw nodes.
type hidraw struct {
	system
	open func(node string) (int, error) // a non-blocking descriptor
}

func newHidraw() Backend {
	return hidraw{realSystem(), func(node string) (int, error) {
		return unix.Open(node, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	}}
}

// List implements Backend. Interfaces without a driver, which have no node,
// come behind the nodes.
func (b hidraw) List() ([]Device, error) {
	list, err := b.hidraws()
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, d := range list {
		seen[d.Port] = true
	}
	all, err := b.interfaces()
	if err != nil {
		return list, nil
	}
	for _, d := range all {
		if !seen[d.Port] {
			d.Node, d.Driver = "", ""
			if d.Hint.EN == "" && d.Class == devices.ClassHIDPOS {
				d.Hint = devices.Said{
					ZH: "这个扫码器还没有 hidraw 节点；刚插上时请等一秒，一直没有则内核缺少 hidraw。",
					EN: "This scanner has no hidraw node. Right after plugging it in wait a second; if none comes, the kernel lacks hidraw.",
				}
			}
			list = append(list, d)
		}
	}
	return list, nil
}

// Open implements Backend.
func (b hidraw) Open(d Device) (Handle, error) {
	if d.Node == "" {
		return nil, fmt.Errorf("cannot open the device at %s: it has no hidraw node (yet); plug it in again if none comes: %w", d.Port, devices.ErrGone)
	}
	fd, err := b.open(d.Node)
	switch {
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return nil, fmt.Errorf(`cannot open %s: permission denied; install the udev rule (SUBSYSTEM=="hidraw") or add the agent's user to the node's group: %w`, d.Node, err)
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return nil, fmt.Errorf("cannot open %s: %w: %w", d.Node, devices.ErrGone, err)
	case err != nil:
		return nil, fmt.Errorf("cannot open %s; check the cable: %w", d.Node, err)
	}
	// The kernel gives every reader a copy: two agents would both see a code.
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("cannot open %s: another agent reads it; stop that one: %w", d.Node, err)
	}
	return &rawHandle{file: os.NewFile(uintptr(fd), d.Node)}, nil
}

// rawHandle is an open hidraw node.
type rawHandle struct{ file *os.File }

// Read implements Handle.
func (h *rawHandle) Read(p []byte, timeout time.Duration) (int, error) {
	if err := h.file.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return 0, gone("wait for", err)
	}
	n, err := h.file.Read(p)
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return 0, nil
	case errors.Is(err, io.EOF):
		// An empty report looks like the end of a file. The end is told apart by
		// what poll says.
		if h.hung() {
			return 0, gone("read", err)
		}
		return 0, nil
	}
	return 0, gone("read", err)
}

// gone names what failed. EIO and ENODEV are what an unplug gives; nothing else
// is known to happen, and opening again is right for all.
func gone(what string, err error) error {
	return fmt.Errorf("cannot %s the hidraw node: %w", what, err)
}

// hung tells whether the device behind the node is gone.
func (h *rawHandle) hung() bool {
	hung := true
	raw, err := h.file.SyscallConn()
	if err != nil {
		return true
	}
	_ = raw.Control(func(fd uintptr) {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		_, err := unix.Poll(poll, 0)
		hung = err != nil || poll[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0
	})
	return hung
}

// Write implements Handle. The kernel bounds it, to 5 s for a device that does
// not take it.
func (h *rawHandle) Write(p []byte) error {
	if _, err := h.file.Write(p); err != nil {
		return fmt.Errorf("cannot send output report %02x; the device may not have it: %w", p[0], err)
	}
	return nil
}

// Feature implements Handle by HIDIOCSFEATURE, _IOWR('H', 6, length).
func (h *rawHandle) Feature(p []byte) error {
	raw, err := h.file.SyscallConn()
	if err != nil {
		return gone("use", err)
	}
	buf := append([]byte(nil), p...)
	var errno unix.Errno
	err = raw.Control(func(fd uintptr) {
		request := uintptr(3)<<30 | uintptr(len(buf))<<16 | 'H'<<8 | 6
		_, _, errno = unix.Syscall(unix.SYS_IOCTL, fd, request, uintptr(unsafe.Pointer(&buf[0])))
	})
	if err != nil {
		return gone("use", err)
	}
	if errno != 0 {
		return fmt.Errorf("cannot send feature report %02x; the device may not have it: %w", p[0], errno)
	}
	return nil
}

// Close implements Handle. The lock goes with the file.
func (h *rawHandle) Close() error { return h.file.Close() }
