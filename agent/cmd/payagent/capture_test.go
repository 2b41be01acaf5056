package main

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"payagent/devices/hid"
	"payagent/devices/learn"
)

// reports sends the codes of the sheet in HID reports, data at an offset, an
// AIM identifier at 2 where it fits.
func reports(data int) []learn.Scan {
	var scans []learn.Scan
	for _, c := range learn.Sheet() {
		s := learn.Scan{Want: c.Text}
		for rest := c.Text + "\r"; rest != ""; {
			n := min(56, len(rest))
			r := make([]byte, 64)
			r[0], r[1] = 2, byte(n)
			if data == 5 {
				copy(r[2:], "]C0")
			}
			copy(r[data:], rest[:n])
			if rest = rest[n:]; rest != "" {
				r[63] = 1
			}
			s.Reports = append(s.Reports, r)
		}
		scans = append(scans, s)
	}
	return scans
}

// TestLearnReports: recorded reports, read by the driver itself.
func TestLearnReports(t *testing.T) {
	for data, want := range map[int]string{5: "", 2: ""} {
		tap := &hidTap{}
		got, err := learn.Reports(reports(data), tap.reportLayouts(t.Context()))
		if err != nil || got.Layout != want {
			t.Errorf("data at %d: %+v, %v", data, got, err)
		}
		if data == 5 && got.Symbologies[0] != "C0" {
			t.Errorf("%q", got.Symbologies)
		}
	}
	// A maker that usually has the other layout: the setting must be named.
	tap := &hidTap{device: hid.Device{}}
	tap.device.Vendor = 0x1eab
	if got, err := learn.Reports(reports(5), tap.reportLayouts(t.Context())); err != nil || got.Layout != "usb-if" {
		t.Errorf("%+v, %v", got, err)
	}
	var trouble *learn.Trouble
	if _, err := learn.Reports(reports(30), (&hidTap{}).reportLayouts(t.Context())); !errors.As(err, &trouble) {
		t.Error(err)
	}
}

// script is a tap that plays what it was given, each after its pause.
type script []struct {
	after time.Duration
	data  string
	err   error
}

func (s *script) read(into *learn.Scan, at time.Duration) (bool, error) {
	if len(*s) == 0 || (*s)[0].after > pulse {
		<-time.After(pulse)
		if len(*s) > 0 {
			(*s)[0].after -= pulse
		}
		return false, nil
	}
	one := (*s)[0]
	*s = (*s)[1:]
	<-time.After(one.after)
	if one.err != nil {
		return false, one.err
	}
	into.Chunks = append(into.Chunks, learn.Chunk{At: at + one.after, Data: []byte(one.data)})
	return true, nil
}

func (s *script) Close() error { return nil }

// TestListen: a scan ends with quiet, one that does not come with patience.
func TestListen(t *testing.T) {
	for name, c := range map[string]struct {
		script script
		text   string
		took   time.Duration
		fails  bool
	}{
		"nothing":     {nil, "", 2 * time.Second, false},
		"one":         {script{{time.Second, "abc", nil}}, "abc", 1500 * time.Millisecond, false},
		"in parts":    {script{{0, "ab", nil}, {300 * time.Millisecond, "c", nil}}, "abc", 800 * time.Millisecond, false},
		"then more":   {script{{0, "ab", nil}, {time.Second, "c", nil}}, "ab", 500 * time.Millisecond, false},
		"unplugged":   {script{{time.Second, "", io.EOF}}, "", time.Second, true},
		"without end": {script{{0, fmt.Sprintf("%70000d", 1), nil}}, "", 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				scan, err := listen(t.Context(), &c.script, "abc", 2*time.Second, 500*time.Millisecond)
				text := ""
				for _, p := range scan.Chunks {
					text += string(p.Data)
				}
				if took := time.Since(began); (err != nil) != c.fails || !c.fails && text != c.text || took < c.took || took > c.took+2*pulse {
					t.Errorf("%q after %v, %v", text, took, err)
				}
			})
		})
	}
}
