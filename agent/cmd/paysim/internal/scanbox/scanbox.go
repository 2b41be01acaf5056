// Package scanbox is a pretend scan box (扫码盒): a real pseudo-terminal whose
// other end the agent's serial driver opens through a symbolic link, and which
// can be unplugged and plugged in again.
//
// Unlike a real port, a pseudo-terminal keeps bytes that nobody reads; whoever
// opens it later finds them.
package scanbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/creack/pty"
)

// HalfPause lies between the two halves of a halved scan: longer than the gap
// between two bytes at 9600 baud, shorter than any pause between two scans.
const HalfPause = 20 * time.Millisecond

// ErrUnplugged is wrapped when the box is not plugged in.
var ErrUnplugged = errors.New("the scan box is unplugged; plug it in first")

// Box is one scan box. It is safe for use by several goroutines; scans come
// one after the other.
type Box struct {
	link  string
	pause func(context.Context, time.Duration) error

	mu   sync.Mutex
	line *line // nil while unplugged
}

// line is a pseudo-terminal while it is plugged in.
type line struct {
	master, tty *os.File
	name        string
	done        chan struct{}
	wait        sync.WaitGroup
}

// Open plugs a box in. Link is the symbolic link by which the agent finds it;
// an old link is replaced, any other file is not. Pause waits between the
// parts of a scan; nil is the real clock.
func Open(link string, pause func(context.Context, time.Duration) error) (*Box, error) {
	if pause == nil {
		pause = wait
	}
	abs, err := filepath.Abs(link)
	if err != nil {
		return nil, fmt.Errorf("cannot use -pty: %w", err)
	}
	b := &Box{link: abs, pause: pause}
	return b, b.Plug()
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Link is the path of the symbolic link.
func (b *Box) Link() string { return b.link }

// Plugged tells whether the box is plugged in.
func (b *Box) Plugged() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.line != nil
}

// Plug makes a new pseudo-terminal and points the link at it. A box that is
// plugged in stays as it is.
func (b *Box) Plug() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.line != nil {
		return nil
	}
	if info, err := os.Lstat(b.link); err == nil && info.Mode()&os.ModeSymlink == 0 {
		return fmt.Errorf("cannot plug the scan box in: %s is there and no link; name another -pty", b.link)
	}
	master, tty, err := pty.Open()
	if err != nil {
		return fmt.Errorf("cannot make a pseudo-terminal; is /dev/ptmx there? %w", err)
	}
	if master, err = pollable(master); err != nil {
		_ = tty.Close()
		return err
	}
	l := &line{master: master, tty: tty, name: tty.Name(), done: make(chan struct{})}
	err = raw(tty)
	if err == nil {
		err = point(b.link, l.name)
	}
	if err != nil {
		_, _ = master.Close(), tty.Close()
		return err
	}
	l.wait.Go(func() { _, _ = io.Copy(io.Discard, master) }) // what the agent tells its scanner
	l.wait.Go(l.share)
	b.line = l
	return nil
}

// share undoes the exclusive use that a killed agent left behind: on a real
// port it ends with the last one who closes, here we keep the port open.
func (l *line) share() {
	every := time.NewTicker(200 * time.Millisecond)
	defer every.Stop()
	for {
		select {
		case <-l.done:
			return
		case <-every.C:
			shared(l.tty)
		}
	}
}

// point replaces the link in one step, so that nobody finds it missing.
func point(link, name string) error {
	fresh := link + ".new"
	_ = os.Remove(fresh)
	err := os.Symlink(name, fresh)
	if err == nil {
		err = os.Rename(fresh, link)
	}
	if err != nil {
		return fmt.Errorf("cannot make the link to the scan box; check the folder of -pty: %w", err)
	}
	return nil
}

// Unplug takes the box away: whoever has it open reads its end, and the link
// is gone.
func (b *Box) Unplug() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.line == nil {
		return nil
	}
	err := os.Remove(b.link)
	close(b.line.done)
	_, _ = b.line.master.Close(), b.line.tty.Close()
	b.line.wait.Wait()
	b.line = nil
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot remove the link to the scan box: %w", err)
	}
	return nil
}

// Close unplugs the box for good.
func (b *Box) Close() error { return b.Unplug() }

// Scan writes a text as the box would. The error never carries the text. A
// port whose reader sleeps until its buffer is full gives an error after a
// second.
func (b *Box) Scan(ctx context.Context, text string, suffix Suffix, style Style) error {
	parts, err := frames(text, suffix, style)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.line == nil {
		return fmt.Errorf("cannot scan: %w", ErrUnplugged)
	}
	for i, part := range parts {
		if i > 0 && style == Halves {
			if err := b.pause(ctx, HalfPause); err != nil {
				return fmt.Errorf("cannot finish the scan: %w", err)
			}
		}
		if err := b.line.master.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
			return fmt.Errorf("cannot bound the scan: %w", err)
		}
		if _, err := b.line.master.Write(part); err != nil {
			return fmt.Errorf("cannot scan: nobody reads the port %s: %w", b.link, err)
		}
	}
	return nil
}
