package pole

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"go.bug.st/serial"
)

// pulse is how often a port is asked whether it is still there.
const pulse = 500 * time.Millisecond

// port is an open port. The library must not be used on a closed handle, so
// writing and watching end before it is closed.
type port struct {
	library serial.Port
	stop    chan struct{}
	once    sync.Once
	using   sync.WaitGroup
	mu      sync.Mutex // held to begin a write, and to end all
	closed  bool
}

var errPortClosed = errors.New("the port was closed")

// plug opens the port, which Windows gives to one program only, and watches
// whether it stays.
func plug(cfg Config) (link, error) {
	place, err := find(cfg)
	if err != nil {
		return link{}, err
	}
	mode, err := cfg.mode()
	if err != nil {
		return link{}, err
	}
	library, err := serial.Open(place.Node, mode)
	var p *serial.PortError
	switch {
	case errors.As(err, &p) && (p.Code() == serial.PortBusy || p.Code() == serial.PermissionDenied):
		return link{}, fmt.Errorf("cannot open %s: another program has it; stop that one: %w", place.Node, err)
	case err != nil:
		return link{}, fmt.Errorf("cannot open %s; check the cable and the port's number: %w", place.Node, err)
	}
	open, gone := &port{library: library, stop: make(chan struct{})}, make(chan struct{})
	open.using.Add(1)
	go open.watch(gone)
	return link{open, place, gone}, nil
}

// watch closes gone when the adapter was unplugged or the port is closed.
func (p *port) watch(gone chan<- struct{}) {
	defer p.using.Done()
	defer close(gone)
	t := time.NewTicker(pulse)
	defer t.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-t.C:
			if _, err := p.library.GetModemStatusBits(); err != nil {
				return
			}
		}
	}
}

// Write sends bytes; Close ends it.
func (p *port) Write(b []byte) (int, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return 0, errPortClosed
	}
	p.using.Add(1)
	p.mu.Unlock()
	defer p.using.Done()
	return p.library.Write(b)
}

// Close ends watching and writing, then closes the handle.
func (p *port) Close() error {
	err := errPortClosed
	p.once.Do(func() {
		p.mu.Lock()
		p.closed = true
		p.mu.Unlock()
		close(p.stop)
		idle := make(chan struct{})
		go func() {
			p.using.Wait()
			close(idle)
		}()
		for waiting := true; waiting; {
			// A write that begins in the library just now needs it once more.
			select {
			case <-idle:
				waiting = false
			case <-time.After(20 * time.Millisecond):
				_ = p.library.ResetOutputBuffer()
			}
		}
		err = p.library.Close()
	})
	if errors.Is(err, errPortClosed) {
		return nil
	}
	return err
}

// ResetOutputBuffer throws away what the line has not taken, and ends a write.
func (p *port) ResetOutputBuffer() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	return p.library.ResetOutputBuffer()
}
