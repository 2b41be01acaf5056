package wedge

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"payagent/devices"
)

func TestConfig(t *testing.T) {
	named := devices.Match{Port: "1-1.2"}
	for _, c := range []Config{
		{Match: named, Layout: "dvorak"}, {Match: named, End: "semicolon"}, {Match: named, Min: 9, Max: 8}, {Match: named, Max: 513},
		{Match: named, Gap: time.Minute}, {Match: named, End: EndNone, Gap: -1}, {Match: named, Prefix: strings.Repeat("x", 65)},
		{}, {Match: devices.Match{}, Layout: "us"},
	} {
		if err := c.Check(); err == nil || !strings.HasPrefix(err.Error(), "cannot ") {
			t.Errorf("%+v: %v", c, err)
		}
		if _, err := Open(c); err == nil || !strings.HasPrefix(err.Error(), "cannot ") {
			t.Errorf("%+v opens: %v", c, err)
		}
	}
	for _, c := range []Config{{}, {Layout: "us", End: EndEnter}, {End: EndTab, Gap: time.Second}, {End: EndNone, Gap: 50 * time.Millisecond}} {
		c.Match = named
		if err := c.Check(); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for _, name := range Layouts() {
		if _, ok := layoutOf(name); !ok || pictures[name].plain[0] == "" {
			t.Errorf("layout %s is named, but is none or has no picture", name)
		}
	}
}

// TestNewCloses: New owns the handle, also when it fails.
func TestNewCloses(t *testing.T) {
	k := newKeyboard()
	if _, err := New(k, devices.Found{}, Config{Layout: "dvorak"}); err == nil {
		t.Fatal("an unknown layout is taken")
	}
	select {
	case <-k.closed:
	default:
		t.Error("the handle stays open")
	}
}

// opened opens a scanner in virtual time.
func opened(t *testing.T, cfg Config) (Scanner, *keyboard) {
	t.Helper()
	k := newKeyboard()
	s, err := New(k, devices.Found{Port: "1-1.2:1.0"}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s, k
}

func want(t *testing.T, s Scanner, text string) {
	t.Helper()
	got, err := s.Scan(t.Context())
	if err != nil || got.Text.Reveal() != text {
		t.Fatalf("%v %v", got, err)
	}
}

// TestPauseEnds: a scanner without an end, in virtual time.
func TestPauseEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, k := opened(t, Config{End: EndNone, Settle: -1})
		began := time.Now()
		for _, part := range []string{"13456", "78901", "23456789"} {
			_, _ = k.Write([]byte(part))
			<-time.After(10 * time.Millisecond)
		}
		want(t, s, "134567890123456789")
		// 20 ms of typing, the shortest or the learned pause, one more look.
		if d := time.Since(began); d < 50*time.Millisecond || d > 100*time.Millisecond {
			t.Errorf("it took %v", d)
		}
		_ = s.Close()
	})
}

// TestSettle: what is typed right after opening began before it.
func TestSettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, k := opened(t, Config{})
		_, _ = k.Write([]byte("3456789\r"))
		<-time.After(300 * time.Millisecond)
		_, _ = k.Write([]byte(code1 + "\r"))
		want(t, s, code1)
		synctest.Wait()
		if c := s.Counts(); c.Settled != 1 || c.Good != 1 || c.Opens != 1 {
			t.Errorf("%+v", c)
		}
		_ = s.Close()
	})
}

// TestCounts: what is dropped is counted, by what it was, and the scanner
// knows its place.
func TestCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, k := opened(t, Config{Settle: -1, Min: 4})
		_, _ = k.Write([]byte(code1 + "\r" + code1 + "\r12\r1345\x1b67\r"))
		y := typist{picture: pictures["us"], now: time.Since(k.began)}
		y.text("134")
		y.event(evSyn, synDropped, 0)
		y.text("567\r")
		if err := k.send(raw(y.out)); err != nil {
			t.Fatal(err)
		}
		_, _ = k.Write([]byte(code2 + "\r999"))
		want(t, s, code1)
		want(t, s, code2)
		<-time.After(slow)
		synctest.Wait()
		got := s.Counts()
		got.Last = time.Time{}
		if w := (devices.Counts{Good: 2, Bad: 2, Cut: 2, Doubles: 1, Lost: 1, Opens: 1}); got != w {
			t.Errorf("%+v, not %+v", got, w)
		}
		if s.Place().Port != "1-1.2:1.0" {
			t.Errorf("it stands at %q", s.Place().Port)
		}
		_ = s.Close()
	})
}

// desk is a keyboard that is typed on while it is taken.
type desk struct {
	down   []bool // what Held sees, in order
	downE  error
	grabE  error
	log    string
	giveUp int // how often it is waited
}

func (d *desk) Held() (bool, error) {
	d.log += "h"
	if len(d.down) == 0 {
		return false, d.downE
	}
	now := d.down[0]
	d.down = d.down[1:]
	return now, d.downE
}

func (d *desk) Grab(on bool) error {
	if on {
		d.log += "G"
		return d.grabE
	}
	d.log += "u"
	return nil
}

// TestTake: a keyboard is taken while no key is down, never else.
func TestTake(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		desk
		log string
		err error
	}{
		"at rest":                {desk{}, "hGh", nil},
		"a key is down":          {desk{down: []bool{true, true}, giveUp: 5}, "hwhwhGh", nil},
		"a key goes down":        {desk{down: []bool{false, true, true}, giveUp: 5}, "hGhuwhwhGh", nil},
		"a key is stuck":         {desk{down: []bool{true, true, true, true}, giveUp: 2}, "hwhwhw", errHeld},
		"somebody else has it":   {desk{grabE: errTaken}, "hG", errTaken},
		"it cannot be asked":     {desk{downE: broken}, "h", broken},
		"stuck while it is ours": {desk{down: []bool{false, true, false, true}, giveUp: 1}, "hGhuwhGhuw", errHeld},
	} {
		t.Run(name, func(t *testing.T) {
			err := take(&c.desk, func() bool {
				c.desk.log += "w"
				c.giveUp--
				return c.giveUp >= 0
			})
			if !errors.Is(err, c.err) || c.desk.log != c.log {
				t.Errorf("%v after %s, not %v after %s", err, c.desk.log, c.err, c.log)
			}
		})
	}
}

// TestUnreadable: what Windows calls keyboards.
func TestUnreadable(t *testing.T) {
	for _, c := range []struct {
		ids     []string
		want    string // the USB pair; empty if it is none
		scanner bool
	}{
		{[]string{`HID\VID_0C2E&PID_1001&REV_0100&MI_00`, `HID\VID_0C2E&PID_1001&MI_00`, `HID_DEVICE_SYSTEM_KEYBOARD`}, "0c2e:1001", true},
		{[]string{`HID_DEVICE`, `hid\vid_05e0&pid_1200`}, "05e0:1200", true},
		{[]string{`HID\VID_1EAB&PID_0D10&Col01`}, "1eab:0d10", true},
		{[]string{`HID\VID_046D&PID_C31C&REV_4920&MI_00`}, "046d:c31c", false},
		{[]string{`HID\{00001124-0000-1000-8000-00805f9b34fb}_VID&00010c2e_PID&1001`}, "0c2e:1001", true},
		{[]string{`HID\{00001812-0000-1000-8000-00805f9b34fb}_Dev_VID&02046d_PID&b342_REV&0014`}, "", false},
		{[]string{`ACPI\VEN_PNP&DEV_0303`, `*PNP0303`}, "", false},
		{[]string{`TERMINPUT_BUS\UMB`}, "", false},
		{[]string{`HID\VID_0C2&PID_1001`}, "", false},
		{[]string{`HID\VID_0C2E`}, "", false},
		{[]string{`HID\VID_ZZZZ&PID_1001`}, "", false},
		{[]string{`USB\VID_0C2E&PID_1001`}, "", false},
		{nil, "", false},
	} {
		f, ok := unreadable(c.ids, `HID\VID_0C2E&PID_1001\7&1A2B3C&0&0000`, "HID Keyboard Device")
		if f.ID() != c.want || ok != (c.want != "") {
			t.Errorf("%q gives %q, %v", c.ids, f.ID(), ok)
			continue
		}
		if !ok {
			continue
		}
		if f.Driver != "" || f.Class != devices.ClassKeyboard || f.Port == "" || f.Model != "HID Keyboard Device" {
			t.Errorf("%q gives %+v", c.ids, f)
		}
		for _, word := range []string{"HID POS", "payagent devices learn", "Windows"} {
			if !strings.Contains(f.Hint.EN, word) || !strings.Contains(f.Hint.ZH, word) {
				t.Errorf("%q: the hint lacks %q: %+v", c.ids, word, f.Hint)
			}
		}
		if got := strings.HasPrefix(f.Hint.EN, "this scanner"); got != c.scanner {
			t.Errorf("%q is told to be a scanner: %v", c.ids, got)
		}
	}
}

func FuzzHardwareID(f *testing.F) {
	for _, s := range []string{`HID\VID_0C2E&PID_1001&MI_00`, `HID\{00001124}_VID&00010c2e_PID&1001`, `HID\VID_`, `ACPI\PNP0303`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d, ok := unreadable([]string{s}, "x", "y"); ok && (d.Port != "x" || d.Model != "y" || d.Hint.EN == "") {
			t.Errorf("%q gives %+v", s, d)
		}
	})
}
