// Package devicetest holds what every device must keep, as named cases that
// each carry the sentence of their rule. A member gives a way to open its
// device together with the other end of the wire; the suite plays the device.
package devicetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"payagent/devices"
)

// Wire is the device's end of the wire.
type Wire interface {
	// Write makes the device send bytes.
	Write(p []byte) (int, error)
	// Unplug pulls the cable.
	Unplug() error
}

// Name is the name under which members must open their device.
const Name = "till 3 scanner"

// ScannerMember opens a scanner whose codes end with CR, LF or both, that
// drops nothing after opening and takes the same text within 3 s as read
// twice, as is the default.
type ScannerMember struct {
	Open func() (devices.Scanner, Wire, error)
	// Cycles is how often it is unplugged and opened again; default 10,000,
	// for members whose opening is cheap.
	Cycles int
	// Hang bounds one step of a case, a write or a code; it is only a guard,
	// default 5 min: a busy machine is slow.
	Hang time.Duration
}

// ScannerCase is one rule for scanners.
type ScannerCase struct {
	Name string
	Rule string // the sentence that a member must keep
	Run  func(*Bench) error
}

// Bench is an open scanner with its wire.
type Bench struct {
	Ctx     context.Context
	Scanner devices.Scanner
	Wire    Wire
	member  ScannerMember
	step    func() // begins the guard anew
}

// RunScanner runs one case; nil means that the rule was kept.
func RunScanner(m ScannerMember, c ScannerCase) error {
	if m.Hang <= 0 {
		m.Hang = 5 * time.Minute
	}
	if m.Cycles <= 0 {
		m.Cycles = 10_000
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	guard := time.AfterFunc(m.Hang, cancel)
	defer guard.Stop()
	s, w, err := m.Open()
	if err != nil {
		return fmt.Errorf("%s: opening: %w", c.Name, err)
	}
	b := &Bench{Ctx: ctx, Scanner: s, Wire: w, member: m, step: func() { guard.Reset(m.Hang) }}
	defer func() {
		_ = b.Wire.Unplug()
		_ = b.Scanner.Close()
	}()
	if err := c.Run(b); err != nil {
		return fmt.Errorf("%s: %w (rule: %s)", c.Name, err, c.Rule)
	}
	return nil
}

// TestScanner runs all cases against m.
func TestScanner(t *testing.T, m ScannerMember) {
	for _, c := range ScannerCases() {
		t.Run(c.Name, func(t *testing.T) {
			if err := RunScanner(m, c); err != nil {
				t.Error(err)
			}
		})
	}
}

// Codes of the suite: a WeChat one, an Alipay one, a third.
const (
	code1 = "134567890123456789"
	code2 = "281234567890123456"
	code3 = "6212345678901234567"
)

// ScannerCases gives the whole suite.
func ScannerCases() []ScannerCase {
	return []ScannerCase{
		{"whole", "a code comes as it was sent, with the device's name and a time", whole},
		{"singly", "a code whose bytes come one by one is one code", func(b *Bench) error { return b.pieces(1) }},
		{"halves", "a code that comes in pieces of any size is one code", halves},
		{"line-ends", "CR, LF and CRLF each end one code and make no empty one", func(b *Bench) error {
			return b.gives(code1+"\r\n"+code2+"\n"+code3+"\r", code1, code2, code3)
		}},
		{"glued", "codes that come in one read are several codes, in order", func(b *Bench) error {
			return b.gives(code1+"\r"+code2+"\r"+code3+"\r", code1, code2, code3)
		}},
		{"doubled", "the same code read again at once is one code", func(b *Bench) error {
			return b.gives(code1+"\r"+code1+"\r\n"+code1+"\n"+code2+"\r"+code1+"\r"+code3+"\r", code1, code2, code3)
		}},
		{"noise-outside", "noise around a code does not change it", func(b *Bench) error {
			return b.gives("\x00\xff\x11"+code1+"\x7f\xfe\r\x00\r\xff\n"+code2+"\r", code1, code2)
		}},
		{"noise-inside", "a code with control characters in it is dropped, never repaired", func(b *Bench) error {
			return b.gives("1345\x1b67890123456789\r"+code2[:5]+"\x00"+code2[5:]+"\r"+code3+"\r", code3)
		}},
		{"too-long", "a code of more than 512 bytes is dropped whole", func(b *Bench) error {
			return b.gives(strings.Repeat("1", 600)+code1+"\r"+code2+"\r", code2)
		}},
		{"burst", "10 MB without an end do not fill the memory", burst},
		{"flood", "codes that nobody takes do not stop later ones", flood},
		{"canceled", "a Scan whose context ends gives its error and loses nothing", canceled},
		{"canceled-before", "a context that has ended gives its error even if a code waits", canceledBefore},
		{"unplugged", "an unplugged device ends a waiting Scan with ErrGone", unplugged},
		{"unplugged-mid-code", "half a code from a device that is gone is no code", midCode},
		{"stays-gone", "a device that is gone stays gone until it is opened again", staysGone},
		{"closed", "Close ends a waiting Scan, later ones fail, and it may be called twice", closed},
		{"two-callers", "two callers get two codes, each one of them", twoCallers},
		{"hidden", "a scanned text is in no error, no log and no printed scan", hidden},
		{"replug", "unplugging and opening again leaks neither goroutines nor files", replug},
	}
}

// errHung is what a wait gets that outlived the guard.
var errHung = errors.New("it hung")

func (b *Bench) write(s string) error {
	b.step()
	_, err := b.Wire.Write([]byte(s))
	return err
}

// next is the next code's text.
func (b *Bench) next() (devices.Scan, error) {
	b.step()
	s, err := b.Scanner.Scan(b.Ctx)
	if err != nil && b.Ctx.Err() != nil {
		return s, errHung
	}
	return s, err
}

// gives writes and wants exactly these codes next.
func (b *Bench) gives(in string, want ...string) error {
	wrote := make(chan error, 1)
	go func() { wrote <- b.write(in) }()
	for i, w := range want {
		s, err := b.next()
		if err != nil {
			return fmt.Errorf("code %d of %d: %w", i+1, len(want), err)
		}
		if got := s.Text.Reveal(); got != w {
			return fmt.Errorf("code %d of %d came as %d bytes that differ from the %d sent", i+1, len(want), len(got), len(w))
		}
	}
	return <-wrote
}

func whole(b *Bench) error {
	before := time.Now().Add(-time.Minute)
	if err := b.write(code1 + "\r"); err != nil {
		return err
	}
	s, err := b.next()
	switch {
	case err != nil:
		return err
	case s.Text.Reveal() != code1:
		return errors.New("another text came")
	case s.Device != Name:
		return fmt.Errorf("the device is called %q", s.Device)
	case s.At.Before(before) || s.At.After(time.Now().Add(time.Minute)):
		return fmt.Errorf("it was read at %v", s.At)
	}
	return nil
}

func (b *Bench) pieces(n int) error {
	in := code1 + "\r\n" + code2 + "\r\n"
	wrote := make(chan error, 1)
	go func() {
		for len(in) > 0 {
			k := min(n, len(in))
			if err := b.write(in[:k]); err != nil {
				wrote <- err
				return
			}
			in = in[k:]
		}
		wrote <- nil
	}()
	if err := b.gives("", code1, code2); err != nil {
		return err
	}
	return <-wrote
}

func halves(b *Bench) error {
	for k := 1; k <= len(code1); k++ {
		// Another code each time, so that none counts as read twice.
		code := fmt.Sprintf("%s%02d", code1[:16], k)
		if err := b.write(code[:k]); err != nil {
			return err
		}
		if err := b.gives(code[k:]+"\r", code); err != nil {
			return fmt.Errorf("cut after %d bytes: %w", k, err)
		}
	}
	return nil
}

func burst(b *Bench) error {
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	junk := strings.Repeat("1", 64<<10)
	before := heap()
	for range 160 {
		if err := b.write(junk); err != nil {
			return err
		}
	}
	if after := heap(); after > before+4<<20 {
		return fmt.Errorf("it keeps %d bytes of one unfinished code", after-before)
	}
	return b.gives("\r"+code2+"\r", code2)
}

func flood(b *Bench) error {
	for i := range 1000 {
		if err := b.write(fmt.Sprintf("13456789012345%04d\r", i)); err != nil {
			return err
		}
	}
	if err := b.write(code2 + "\r"); err != nil {
		return err
	}
	for range 1001 {
		s, err := b.next()
		if err != nil {
			return err
		}
		if s.Text.Reveal() == code2 {
			return nil
		}
	}
	return errors.New("the last code never came")
}

func canceled(b *Bench) error {
	for i, cut := range []int{0, 7, len(code1)} {
		code := fmt.Sprintf("%s%02d", code1[:16], i)
		if err := b.write(code[:cut]); err != nil {
			return err
		}
		ctx, cancel := context.WithCancel(b.Ctx)
		waiting := make(chan error, 1)
		go func() {
			s, err := b.Scanner.Scan(ctx)
			if err == nil {
				err = fmt.Errorf("a code of %d bytes came", s.Text.Len())
			}
			waiting <- err
		}()
		cancel()
		select {
		case err := <-waiting:
			if !errors.Is(err, context.Canceled) {
				return fmt.Errorf("the ended context gave: %w", err)
			}
		case <-b.Ctx.Done():
			return errHung
		}
		if err := b.gives(code[cut:]+"\r", code); err != nil {
			return fmt.Errorf("after a canceled Scan: %w", err)
		}
	}
	return nil
}

func canceledBefore(b *Bench) error {
	if err := b.write(code1 + "\r"); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(b.Ctx)
	cancel()
	for range 8 {
		if _, err := b.Scanner.Scan(ctx); !errors.Is(err, context.Canceled) {
			return fmt.Errorf("the ended context gave: %w", orNil(err))
		}
	}
	return b.gives("", code1)
}

var errNone = errors.New("no error")

func orNil(err error) error {
	if err == nil {
		return errNone
	}
	return err
}

// gone unplugs and wants ErrGone from a Scan that waits. It gives that error,
// and what is wrong.
func (b *Bench) gone() (told, wrong error) {
	waiting := make(chan error, 1)
	go func() {
		_, err := b.Scanner.Scan(b.Ctx)
		waiting <- err
	}()
	if err := b.Wire.Unplug(); err != nil {
		return nil, err
	}
	err := <-waiting
	switch {
	case b.Ctx.Err() != nil:
		return nil, errHung
	case err == nil:
		return nil, errors.New("a code came out of an unplugged device")
	case !errors.Is(err, devices.ErrGone):
		return nil, fmt.Errorf("the error is not ErrGone: %w", err)
	}
	return err, nil
}

func unplugged(b *Bench) error {
	if err := b.gives(code1+"\r", code1); err != nil {
		return err
	}
	_, err := b.gone()
	return err
}

func midCode(b *Bench) error {
	if err := b.gives(code1+"\r", code1); err != nil {
		return err
	}
	if err := b.write(code2[:9]); err != nil {
		return err
	}
	_, err := b.gone()
	return err
}

func staysGone(b *Bench) error {
	if _, err := b.gone(); err != nil {
		return err
	}
	for range 3 {
		if _, err := b.next(); !errors.Is(err, devices.ErrGone) {
			return fmt.Errorf("a later Scan gave: %w", orNil(err))
		}
	}
	ctx, cancel := context.WithCancel(b.Ctx)
	cancel()
	if _, err := b.Scanner.Scan(ctx); !errors.Is(err, context.Canceled) {
		return fmt.Errorf("the ended context gave: %w", orNil(err))
	}
	return nil
}

func closed(b *Bench) error {
	waiting := make(chan error, 1)
	go func() {
		_, err := b.Scanner.Scan(b.Ctx)
		waiting <- err
	}()
	if err := b.Scanner.Close(); err != nil {
		return err
	}
	select {
	case err := <-waiting:
		if err == nil {
			return errors.New("a closed scanner gave a code")
		}
	case <-b.Ctx.Done():
		return errHung
	}
	if _, err := b.next(); err == nil || errors.Is(err, errHung) {
		return fmt.Errorf("a Scan after Close: %w", orNil(err))
	}
	return b.Scanner.Close()
}

func twoCallers(b *Bench) error {
	got := make(chan string, 2)
	for range 2 {
		go func() {
			s, err := b.Scanner.Scan(b.Ctx)
			if err != nil {
				got <- "error: " + err.Error()
				return
			}
			got <- s.Text.Reveal()
		}()
	}
	if err := b.write(code1 + "\r" + code2 + "\r"); err != nil {
		return err
	}
	x, y := <-got, <-got
	if x == code1 && y == code2 || x == code2 && y == code1 {
		return nil
	}
	return errors.New("they did not get one of two codes each")
}
