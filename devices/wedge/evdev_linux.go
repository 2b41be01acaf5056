package wedge

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"payagent/devices"
)

// The size of struct input_event is what the decoder takes it for.
var (
	_ [int(unsafe.Sizeof(unix.Timeval{})) + 8 - eventSize]struct{}
	_ [eventSize - int(unsafe.Sizeof(unix.Timeval{})) - 8]struct{}
)

// Calls of evdev (include/uapi/linux/input.h), as all architectures but mips,
// powerpc and sparc write them.
const (
	dirWrite, dirRead = 1, 2

	keyBytes = 0x300 / 8 // KEY_CNT bits
	ledBytes = 2         // LED_CNT bits
	ledCaps  = 1
	evLED    = 0x11
)

func call(dir, nr, size uintptr) uintptr { return dir<<30 | size<<16 | 'E'<<8 | nr }

const (
	grabCall  = dirWrite<<30 | 4<<16 | 'E'<<8 | 0x90 // EVIOCGRAB
	clockCall = dirWrite<<30 | 4<<16 | 'E'<<8 | 0xa0 // EVIOCSCLOCKID
)

// longestHold is how long Open waits for keys to be let go.
const longestHold = time.Second

// readTimeout is the longest wait in one read, so that Close takes no longer.
const readTimeout = 100 * time.Millisecond

// places says where the system keeps devices; a test has its own.
type places struct{ class, dev string }

func system() places { return places{class: "/sys/class/input", dev: "/dev/input"} }

// Open finds the keyboard, takes it away from everybody else and starts
// reading. It waits up to 1 s for a key that is held down.
func Open(cfg Config) (Scanner, error) { return system().open(cfg) }

func (p places) open(cfg Config) (Scanner, error) {
	if err := cfg.Check(); err != nil {
		return Scanner{}, err
	}
	n, found, err := p.take(cfg.Match)
	if err != nil {
		return Scanner{}, fmt.Errorf("cannot open scanner %s: %w", cfg.Name, err)
	}
	return New(n, found, cfg)
}

// take finds a keyboard, opens it and takes it away from everybody else.
func (p places) take(match devices.Match) (*node, devices.Found, error) {
	list, err := p.list()
	if err != nil {
		return nil, devices.Found{}, err
	}
	found, err := match.Pick(list)
	if err != nil {
		return nil, found, err
	}
	n, err := openNode(found.Node)
	if err != nil {
		return nil, found, err
	}
	// The node may have become another device's between looking and opening.
	// While it is open it cannot.
	if now, ok := p.found(found.Node); !ok || now != found {
		return nil, found, errors.Join(fmt.Errorf("%s was plugged again just now: %w", found.Node, devices.ErrGone), n.Close())
	}
	if err := n.prepare(); err != nil {
		return nil, found, errors.Join(fmt.Errorf("%s: %w", found.Node, err), n.Close())
	}
	return n, found, nil
}

// node is an open device node.
type node struct {
	file    *os.File
	raw     syscall.RawConn
	timeout time.Duration
	relight bool // the light of Caps Lock was on
}

// openNode opens a node so that reads have a time-out.
func openNode(path string) (*node, error) {
	const flags = unix.O_NONBLOCK | unix.O_CLOEXEC
	fd, err := unix.Open(path, unix.O_RDWR|flags, 0)
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EROFS) {
		fd, err = unix.Open(path, unix.O_RDONLY|flags, 0)
	}
	switch {
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return nil, fmt.Errorf("permission denied for %s; add the agent's user to the group input, or install the udev rule: %w", path, err)
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENXIO):
		return nil, fmt.Errorf("%s: %w: %w", path, devices.ErrGone, err)
	case err != nil:
		return nil, fmt.Errorf("%s cannot be opened; look at payagent devices list: %w", path, err)
	}
	return newNode(os.NewFile(uintptr(fd), path))
}

// newNode owns the file.
func newNode(f *os.File) (*node, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &node{file: f, raw: raw, timeout: readTimeout}, nil
}

// prepare takes the keyboard and empties what waits in it.
func (n *node) prepare() error {
	// Pauses are told by the kernel's own clock, which nobody sets.
	err := n.control(func(fd int) error { return unix.IoctlSetPointerInt(fd, clockCall, unix.CLOCK_MONOTONIC) })
	if err != nil {
		return fmt.Errorf("it is no input device that can be read; name another one, see payagent devices list: %w", err)
	}
	deadline := time.Now().Add(longestHold)
	err = take(n, func() bool {
		t := time.NewTimer(10 * time.Millisecond)
		<-t.C
		return time.Now().Before(deadline)
	})
	if err != nil {
		return err
	}
	// What was typed so far went to the others; it is no code of ours.
	buf := make([]byte, 64*eventSize)
	for range 16 {
		if k, err := n.now(buf); k <= 0 || err != nil {
			break
		}
	}
	n.darken()
	return nil
}

// control runs a call on the file without making it a blocking one, which
// os.File.Fd would do.
func (n *node) control(f func(fd int) error) error {
	var err error
	if e := n.raw.Control(func(fd uintptr) { err = f(int(fd)) }); e != nil {
		return e
	}
	return err
}

// get reads a set of bits.
func (n *node) get(nr uintptr, bits []byte) error {
	return n.control(func(fd int) error {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), call(dirRead, nr, uintptr(len(bits))), uintptr(unsafe.Pointer(&bits[0])))
		if errno != 0 {
			return errno
		}
		return nil
	})
}

// Held implements board by EVIOCGKEY.
func (n *node) Held() (bool, error) {
	var keys [keyBytes]byte
	err := n.get(0x18, keys[:])
	return keys != [keyBytes]byte{}, err
}

// Grab implements board.
func (n *node) Grab(on bool) error {
	v := 0
	if on {
		v = 1
	}
	err := n.control(func(fd int) error { return unix.IoctlSetInt(fd, grabCall, v) })
	if errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("%w: %w", errTaken, err)
	}
	return err
}

// darken turns the light of Caps Lock off. Some scanners look at it and type
// the other case; while the keyboard is ours, the host's Caps Lock is none of
// its business. The light is a wish: not all keyboards have it.
func (n *node) darken() {
	var leds [ledBytes]byte
	if err := n.get(0x19, leds[:]); err != nil || leds[0]&(1<<ledCaps) == 0 {
		return
	}
	n.relight = n.light(0)
}

func (n *node) light(on int32) bool {
	p := append(event{kind: evLED, code: ledCaps, value: on}.bytes(), event{kind: evSyn, code: synReport}.bytes()...)
	err := n.control(func(fd int) error {
		_, err := unix.Write(fd, p)
		return err
	})
	return err == nil
}

// SetReadTimeout bounds one Read.
func (n *node) SetReadTimeout(d time.Duration) error {
	n.timeout = d
	return nil
}

// now reads what waits, or gives EAGAIN.
func (n *node) now(p []byte) (k int, err error) {
	err = n.control(func(fd int) error {
		k, err = unix.Read(fd, p)
		return err
	})
	return k, err
}

// Read reads whole events; (0, nil) means that the time-out passed with
// nothing there. What waits is read even if the time-out passed meanwhile.
func (n *node) Read(p []byte) (int, error) {
	p = p[:len(p)/eventSize*eventSize]
	k, err := n.now(p)
	switch {
	case err == nil && k > 0:
		return k, nil
	case err == nil:
		return 0, unix.ENODEV
	case !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR):
		return 0, err
	}
	if err := n.file.SetReadDeadline(time.Now().Add(n.timeout)); err != nil {
		return 0, err
	}
	k, err = n.file.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return 0, nil
	}
	return k, err
}

// Close gives the keyboard back.
func (n *node) Close() error {
	if n.relight {
		n.light(1)
	}
	return n.file.Close()
}
