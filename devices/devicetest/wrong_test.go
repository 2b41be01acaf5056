package devicetest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"payagent/devices"
	"payagent/devices/devicetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// toy is a small right scanner; each field breaks one thing in it.
type toy struct {
	faults

	mu      sync.Mutex
	buf     []byte
	over    bool
	codes   []string
	seen    map[string]bool
	gone    bool
	closed  bool
	changed chan struct{} // closed and renewed with every change
}

type faults struct {
	noFraming   bool // every read is a code
	lineFeeds   bool // LF makes an empty code
	firstOnly   bool // one code per read, the rest is lost
	noDoubles   bool // the same code again is a code again
	keepsNoise  bool // noise at the ends stays
	repairs     bool // control characters inside are left out
	splitsLong  bool // a long code becomes two
	hoards      bool // keeps all bytes of an unfinished code
	jams        bool // codes that nobody takes stop later ones
	losesOnStop bool // a Scan that was stopped takes the bytes with it
	lateStop    bool // a waiting code wins over an ended context
	emptyGone   bool // an unplug is a code without text
	plainGone   bool // an unplug is not ErrGone
	halfCode    bool // an unplug ends a code
	heals       bool // gone only once
	deafClose   bool // Close leaves a waiting Scan
	openAfter   bool // Scan works after Close
	twice       bool // each caller gets the same code
	logs        bool // writes the text to the log
	tells       bool // puts the rest into the error
	leaks       bool // leaves a goroutine behind
	noName      bool // forgets the device's name
}

func newToy(f faults) *toy {
	return &toy{faults: f, seen: map[string]bool{}, changed: make(chan struct{})}
}

func (s *toy) change() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Write is the device's side.
func (s *toy) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone || s.closed {
		return 0, errors.New("no cable")
	}
	if s.noFraming {
		s.add(string(p))
		return len(p), nil
	}
	for _, b := range p {
		if b != '\r' && b != '\n' {
			switch {
			case s.over:
			case len(s.buf) < 512 || s.hoards:
				s.buf = append(s.buf, b)
			case s.splitsLong:
				s.add(string(s.buf))
				s.buf = append(s.buf[:0], b)
			default:
				s.buf, s.over = s.buf[:0], true
			}
			continue
		}
		text, over := string(s.buf), s.over || len(s.buf) > 512
		s.buf, s.over = s.buf[:0], false
		if !over && (text != "" || s.lineFeeds && b == '\n') {
			s.add(text)
			if s.firstOnly {
				break
			}
		}
	}
	return len(p), nil
}

func (s *toy) add(text string) {
	bad := func(r rune) bool { return r < 0x20 || r == 0x7f || r == 0xfffd }
	if !s.keepsNoise {
		text = strings.TrimFunc(text, bad)
	}
	if s.repairs {
		text = strings.Map(func(r rune) rune {
			if bad(r) {
				return -1
			}
			return r
		}, text)
	}
	if !s.keepsNoise && strings.ContainsFunc(text, bad) || text == "" && !s.lineFeeds || s.seen[text] && !s.noDoubles {
		return
	}
	if s.logs {
		slog.Info("scanned", "text", text)
	}
	s.seen[text] = true
	if s.jams && len(s.codes) >= 8 {
		return
	}
	s.codes = append(s.codes, text)
	if len(s.codes) > 8 {
		s.codes = s.codes[1:]
	}
	s.change()
}

func (s *toy) Unplug() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return nil
	}
	s.gone = true
	if s.halfCode && len(s.buf) > 0 {
		s.add(string(s.buf))
	}
	s.change()
	return nil
}

func (s *toy) Scan(ctx context.Context) (devices.Scan, error) {
	for {
		s.mu.Lock()
		changed := s.changed
		if err := ctx.Err(); err != nil && !(s.lateStop && len(s.codes) > 0) {
			if s.losesOnStop {
				s.buf = nil
			}
			s.mu.Unlock()
			return devices.Scan{}, err
		}
		switch {
		case s.closed && !s.openAfter:
			if !s.deafClose {
				s.mu.Unlock()
				return devices.Scan{}, errors.New("closed")
			}
		case len(s.codes) > 0:
			text := s.codes[0]
			if s.twice {
				s.twice = false
			} else {
				s.codes = s.codes[1:]
			}
			name := devicetest.Name
			if s.noName {
				name = ""
			}
			s.mu.Unlock()
			return devices.Scan{Text: devices.NewText(text), Device: name, At: time.Now()}, nil
		case s.gone:
			err := fmt.Errorf("cannot read: %w", devices.ErrGone)
			switch {
			case s.emptyGone:
				err = nil
			case s.plainGone:
				err = errors.New("EIO")
			case s.tells:
				err = fmt.Errorf("cannot read behind %s: %w", s.buf, devices.ErrGone)
			}
			if s.heals {
				s.gone, s.heals = false, false
				s.add("healed")
			}
			s.mu.Unlock()
			return devices.Scan{}, err
		}
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

func (s *toy) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.buf = bytes.Clone(s.buf[:0])
	s.change()
	return nil
}

func TestRightScannerPasses(t *testing.T) {
	devicetest.TestScanner(t, member(t, faults{}))
}

// slow is a wire on which each write takes its time.
type slow struct{ devicetest.Wire }

func (w slow) Write(p []byte) (int, error) {
	<-time.After(40 * time.Second)
	return w.Wire.Write(p)
}

// TestSlowScannerPasses: a busy machine makes a case of many steps long; the
// guard is of one step.
func TestSlowScannerPasses(t *testing.T) {
	for _, c := range devicetest.ScannerCases() {
		if c.Name != "halves" {
			continue
		}
		synctest.Test(t, func(t *testing.T) {
			err := devicetest.RunScanner(devicetest.ScannerMember{Hang: time.Minute, Open: func() (devices.Scanner, devicetest.Wire, error) {
				s := newToy(faults{})
				return s, slow{s}, nil
			}}, c)
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// member opens toys; what a leaking one leaves behind ends with the test.
func member(t *testing.T, f faults) devicetest.ScannerMember {
	end := make(chan struct{})
	var left sync.WaitGroup
	t.Cleanup(func() {
		close(end)
		left.Wait()
	})
	return devicetest.ScannerMember{
		Cycles: 1000,
		Hang:   30 * time.Second,
		Open: func() (devices.Scanner, devicetest.Wire, error) {
			s := newToy(f)
			if f.leaks {
				left.Go(func() { <-end })
			}
			return s, s, nil
		},
	}
}

// TestWrongScanners: every broken rule fails the case that names it.
func TestWrongScanners(t *testing.T) {
	cases := map[string]devicetest.ScannerCase{}
	for _, c := range devicetest.ScannerCases() {
		if c.Rule == "" || cases[c.Name].Name != "" {
			t.Fatalf("case %q has no rule or stands twice", c.Name)
		}
		cases[c.Name] = c
	}
	for name, w := range map[string]struct {
		faults
		want []string
		hang bool // the fault is to wait for ever
	}{
		"every read is a code":     {faults{noFraming: true}, []string{"singly", "halves"}, false},
		"LF is a code":             {faults{lineFeeds: true}, []string{"line-ends"}, false},
		"one code per read":        {faults{firstOnly: true}, []string{"glued"}, true},
		"takes doubles":            {faults{noDoubles: true}, []string{"doubled"}, false},
		"keeps noise":              {faults{keepsNoise: true}, []string{"noise-outside", "noise-inside"}, false},
		"repairs codes":            {faults{repairs: true}, []string{"noise-inside"}, false},
		"splits long codes":        {faults{splitsLong: true}, []string{"too-long"}, false},
		"hoards bytes":             {faults{hoards: true}, []string{"burst"}, false},
		"jams":                     {faults{jams: true}, []string{"flood"}, true},
		"loses bytes when stopped": {faults{losesOnStop: true}, []string{"canceled"}, false},
		"stops late":               {faults{lateStop: true}, []string{"canceled-before"}, false},
		"unplug is a code":         {faults{emptyGone: true}, []string{"unplugged", "unplugged-mid-code"}, false},
		"unplug is any error":      {faults{plainGone: true}, []string{"unplugged", "stays-gone"}, false},
		"half a code":              {faults{halfCode: true}, []string{"unplugged-mid-code"}, false},
		"comes back by itself":     {faults{heals: true}, []string{"stays-gone"}, false},
		"Close leaves Scan":        {faults{deafClose: true}, []string{"closed"}, true},
		"scans after Close":        {faults{openAfter: true}, []string{"closed"}, true},
		"one code for two":         {faults{twice: true}, []string{"two-callers"}, false},
		"logs the text":            {faults{logs: true}, []string{"hidden"}, false},
		"tells the text":           {faults{tells: true}, []string{"hidden"}, false},
		"leaks":                    {faults{leaks: true}, []string{"replug"}, false},
		"forgets the name":         {faults{noName: true}, []string{"whole"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, want := range w.want {
				m := member(t, w.faults)
				if w.hang {
					m.Hang = 200 * time.Millisecond
				}
				err := devicetest.RunScanner(m, cases[want])
				if err == nil {
					t.Errorf("passes %q: %s", want, cases[want].Rule)
				} else if !strings.HasPrefix(err.Error(), want+": ") || !strings.Contains(err.Error(), cases[want].Rule) {
					t.Errorf("the failure does not name its rule: %v", err)
				}
			}
		})
	}
}
