package hid

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"payagent/devices"
	"payagent/devices/internal/reading"
)

// Scanner is an open scanner.
type Scanner struct {
	*reading.Reader
	name    string
	owner   *owner
	decoder *decoder
	actions map[string][]byte
}

// New reads from a handle that is open already. The descriptor may be nil.
// New owns the handle, also when it fails. A start-up report that the device
// refuses does not fail it, since the device may read without; it becomes a
// hint of Place.
func New(handle Handle, desc []byte, place devices.Found, cfg Config) (*Scanner, error) {
	cfg, err := cfg.Check()
	if err != nil {
		return nil, errors.Join(err, handle.Close())
	}
	// A descriptor that cannot be read is none: the device works all the same.
	d, err := parseDescriptor(desc)
	if err != nil {
		d = descriptor{}
	}
	s := &Scanner{name: cfg.Name, decoder: newDecoder(cfg, d, place.Vendor), actions: map[string][]byte{}}
	for name, p := range cfg.Actions {
		s.actions[name] = whole(d, output, p)
	}
	s.owner = &owner{handle: handle, wrote: s.decoder.wrote, jobs: make(chan job), done: make(chan struct{})}
	if err := start(handle, s.decoder, d, cfg); err != nil {
		place.Hint = devices.Said{
			ZH: "扫码器没有接受启动指令；如果扫码没有反应，请检查型号模板里的 start 设置，或重新插拔扫码器。",
			EN: "The scanner did not take its start-up report (" + err.Error() + "). If it reads nothing, check the start settings of its model, or plug it in again.",
		}
	}
	s.Reader, err = reading.Start(s.owner, reading.Config{
		Name: cfg.Name, Decoder: s.decoder, Place: place, Window: cfg.DoubleRead, Settle: max(cfg.Settle, 0),
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// start sends what the device needs to begin.
func start(h Handle, k *decoder, d descriptor, cfg Config) error {
	var errs []error
	if len(cfg.StartFeature) > 0 {
		if err := h.Feature(whole(d, feature, cfg.StartFeature)); err != nil {
			errs = append(errs, fmt.Errorf("feature report %02x: %w", cfg.StartFeature[0], err))
		}
	}
	for _, p := range cfg.Start {
		k.wrote(time.Now())
		if err := h.Write(whole(d, output, p)); err != nil {
			errs = append(errs, fmt.Errorf("output report %02x: %w", p[0], err))
		}
	}
	return errors.Join(errs...)
}

// whole fills a report up to the length that the descriptor gives it, as HID
// asks for; devices exist that ignore a shorter one.
func whole(d descriptor, k kind, p []byte) []byte {
	n := len(p)
	if r, ok := d.find(k, p[0]); ok {
		n = r.bytes()
		if p[0] == 0 {
			n++ // the 0 in front is not on the wire
		}
	}
	return append(append(make([]byte, 0, max(n, len(p))), p...), make([]byte, max(n-len(p), 0))...)
}

// Layout names the layout of the last input report with scanned data:
// "descriptor", "usb-if" or "newland", with ", shifted" where a byte more stood
// in front of the identifier. It is empty until the first.
func (s *Scanner) Layout() string {
	if p := s.decoder.layout.Load(); p != nil {
		return *p
	}
	return ""
}

// job is one report to write.
type job struct {
	ctx    context.Context
	report []byte
	result chan error
}

// owner makes a handle fit the loop that owns it, and writes between reads, so
// that the loop's goroutine makes every call.
type owner struct {
	handle  Handle
	wrote   func(time.Time)
	timeout time.Duration // the loop's goroutine only
	jobs    chan job
	done    chan struct{} // closed with the handle

	once sync.Once
	gone bool // set before done is closed
}

// SetReadTimeout sets how long one Read may take.
func (o *owner) SetReadTimeout(d time.Duration) error {
	o.timeout = d
	return nil
}

// Read writes what is asked for and reads one report.
func (o *owner) Read(p []byte) (int, error) {
	select {
	case j := <-o.jobs:
		if err := j.ctx.Err(); err != nil {
			j.result <- err
			break
		}
		o.wrote(time.Now())
		j.result <- o.handle.Write(j.report)
	default:
	}
	n, err := o.handle.Read(p, o.timeout)
	o.gone = err != nil
	return n, err
}

// Close closes the handle. The loop calls it when it has ended.
func (o *owner) Close() error {
	err := o.handle.Close()
	o.once.Do(func() { close(o.done) })
	return err
}

var errShut = errors.New("the scanner was closed; open it again")

// do has a report written.
func (o *owner) do(ctx context.Context, report []byte) error {
	j := job{ctx, report, make(chan error, 1)}
	select {
	case o.jobs <- j:
	case <-ctx.Done():
		return ctx.Err()
	case <-o.done:
		if o.gone {
			return devices.ErrGone
		}
		return errShut
	}
	select {
	case err := <-j.result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
