//go:build lab && linux

package lab

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestWrongDevice has devices with the right ids that are something else: they
// are never read, and devices list says what they are.
func TestWrongDevice(t *testing.T) {
	const set = "wrong device with the right ids"
	stations := []*station{
		{name: "keys", g: newGadget(t, "keys", spec{keyboard, 0, 0x0c2e, 0x0b61, "Honeywell", "Lab impostor", ""})},
		{name: "pos", g: newGadget(t, "pos", spec{newland, 1, 0x1eab, 0x1d03, "Newland", "Lab impostor", ""})},
	}
	for _, s := range stations {
		t.Cleanup(func() {
			if err := s.g.remove(); err != nil {
				t.Error(err)
			}
		})
		if err := s.g.plug(); err != nil {
			t.Fatal(err)
		}
		hostNode(t, s.g)
	}
	r := newRig(t, "payagent", []till{
		{"keys", `{name: keys-scanner, driver: hid, options: {id: "0c2e:0b61"}}`},
		{"pos", `{name: pos-scanner, driver: wedge, options: {id: "1eab:1d03"}}`},
	})
	for i, s := range stations {
		s.r = r
		name := []string{"keyboard where HID POS is configured", "HID POS where a keyboard is configured"}[i]
		want := []string{"keyboard", "hid-pos"}[i]
		check(t, set, name, "order armed, scan", func(t *testing.T) (string, error) {
			no, err := r.order(s.name, 1280)
			if err != nil {
				return "", err
			}
			if err := s.g.scan(code()); err != nil {
				return "", err
			}
			<-time.After(settle)
			if st, err := r.state(no); err != nil || st != "waiting" {
				return "", because(err, "the order is %s", st)
			}
			if n, err := r.metric(fmt.Sprintf(`payagent_device_present{device="%s-scanner"}`, s.name)); err != nil || n != 0 {
				return "", because(err, "the agent says that the scanner is there")
			}
			if err := r.cancel(no); err != nil {
				return "", err
			}
			out, err := r.devicesList()
			for line := range strings.Lines(out) {
				if strings.Contains(line, s.g.port(t)+":1.0") && strings.Contains(line, want) {
					return "not read, not paid; devices list: " + strings.Join(strings.Fields(line), " "), nil
				}
			}
			t.Logf("payagent devices list\n%s", out)
			return "", because(err, "devices list does not say at %s that it is %s", s.g.port(t), want)
		})
	}
}
