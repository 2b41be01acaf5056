package service

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// systemBus is where the system's message bus listens unless the environment
// names another place.
const systemBus = "unix:path=/run/dbus/system_bus_socket"

// HoldMachine asks logind for a lock that blocks shutdown and sleep, with a
// reason for people. The lock is held until what it returns is closed.
func HoldMachine(ctx context.Context, why string) (io.Closer, error) {
	address := os.Getenv("DBUS_SYSTEM_BUS_ADDRESS")
	if address == "" {
		address = systemBus
	}
	return holdMachine(ctx, address, why)
}

// busTimeout bounds the whole exchange. The first one may have to wait until
// polkit has been started, on a slow box.
const busTimeout = 45 * time.Second

func holdMachine(ctx context.Context, address, why string) (_ io.Closer, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("cannot keep the machine up; logind must run, and polkit with the rule of the package, see docs/operations.md: %w", err)
		}
	}()
	path, err := busPath(address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, busTimeout)
	defer cancel()
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	b := &bus{c: c.(*net.UnixConn)}
	defer func() { _ = b.c.Close() }() // the lock is the descriptor, not the connection
	stop := context.AfterFunc(ctx, func() { _ = b.c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	defer b.drop()
	if err := b.greet(os.Getuid()); err != nil {
		return nil, err
	}
	const daemon = "org.freedesktop.DBus"
	if _, err := b.call("/org/freedesktop/DBus", daemon, daemon, "Hello"); err != nil {
		return nil, err
	}
	const login = "org.freedesktop.login1"
	var got locks
	// One by one: for two in one call logind asks polkit for a third thing.
	for _, what := range []string{"shutdown", "sleep"} {
		reply, err := b.call("/org/freedesktop/login1", login, login+".Manager", "Inhibit", what, Name, why, "block")
		if err == nil && (reply.signature != "h" || len(b.fds) != 1) {
			err = errors.New("logind gave no lock")
		}
		if err != nil {
			return nil, errors.Join(err, got.Close())
		}
		got = append(got, os.NewFile(uintptr(b.fds[0]), "logind lock"))
		b.fds = nil
	}
	return got, nil
}

// locks are descriptors of logind; open is held.
type locks []*os.File

// Close gives them back.
func (l locks) Close() error {
	var errs []error
	for _, f := range l {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// busPath reads the first unix address of a list.
func busPath(address string) (string, error) {
	for one := range strings.SplitSeq(address, ";") {
		rest, ok := strings.CutPrefix(one, "unix:")
		if !ok {
			continue
		}
		for pair := range strings.SplitSeq(rest, ",") {
			if path, ok := strings.CutPrefix(pair, "path="); ok {
				return path, nil
			}
			if name, ok := strings.CutPrefix(pair, "abstract="); ok {
				return "@" + name, nil
			}
		}
	}
	return "", fmt.Errorf("the bus address %q names no unix socket", address)
}

// bus is a connection to a D-Bus daemon, good for a few calls one after
// another.
type bus struct {
	c      *net.UnixConn
	serial uint32
	in     []byte // read and not yet used
	fds    []int  // descriptors received
}

// drop closes the descriptors that nobody took.
func (b *bus) drop() {
	for _, fd := range b.fds {
		_ = unix.Close(fd)
	}
	b.fds = nil
}

// greet tells who we are and agrees on passing descriptors.
func (b *bus) greet(uid int) error {
	id := hex.EncodeToString([]byte(strconv.Itoa(uid)))
	for _, step := range [][2]string{{"\x00AUTH EXTERNAL " + id + "\r\n", "OK "}, {"NEGOTIATE_UNIX_FD\r\n", "AGREE_UNIX_FD"}} {
		if _, err := b.c.Write([]byte(step[0])); err != nil {
			return err
		}
		line, err := b.line()
		if err != nil {
			return err
		}
		if !strings.HasPrefix(line, step[1]) {
			return fmt.Errorf("the message bus answered %q", strings.TrimSpace(line))
		}
	}
	_, err := b.c.Write([]byte("BEGIN\r\n"))
	return err
}

// line reads one line of the greeting.
func (b *bus) line() (string, error) {
	for {
		if text, rest, ok := strings.Cut(string(b.in), "\r\n"); ok {
			b.in = []byte(rest)
			return text, nil
		}
		if len(b.in) > 1<<10 {
			return "", errors.New("the message bus does not end its line")
		}
		if err := b.read(); err != nil {
			return "", err
		}
	}
}

// read takes what has come, bytes and descriptors.
func (b *bus) read() error {
	data, oob := make([]byte, 4<<10), make([]byte, unix.CmsgSpace(16*4))
	n, oobn, _, _, err := b.c.ReadMsgUnix(data, oob)
	if err != nil {
		return err
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return err
	}
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			return err
		}
		for _, fd := range fds {
			unix.CloseOnExec(fd)
		}
		b.fds = append(b.fds, fds...)
	}
	if n == 0 {
		return io.ErrUnexpectedEOF
	}
	b.in = append(b.in, data[:n]...)
	return nil
}

// call calls a method with strings and waits for its answer.
func (b *bus) call(path, destination, iface, member string, args ...string) (message, error) {
	b.serial++
	if _, err := b.c.Write(callMessage(b.serial, path, destination, iface, member, args)); err != nil {
		return message{}, err
	}
	for {
		m, n, err := parseMessage(b.in)
		if err != nil {
			return m, err
		}
		if n == 0 {
			if err := b.read(); err != nil {
				return m, err
			}
			continue
		}
		b.in = b.in[n:]
		if m.answers != b.serial {
			continue // a signal, or an answer nobody waits for
		}
		if m.kind == kindError {
			return m, fmt.Errorf("%s: %s", m.name, m.text)
		}
		return m, nil
	}
}
