//go:build lab && linux

package lab

import (
	"testing"
	"time"
)

// The gadgets of the laboratory. f_hid has four minors in all, so no more than
// four HID gadgets are made at once.
func specs() map[string]spec {
	return map[string]spec{
		"honeywell": {honeywell, 0, 0x0c2e, 0x0b61, "Honeywell", "Lab HID POS", "H0001"},
		"newland":   {newland, 1, 0x1eab, 0x0d10, "Newland", "Lab HID POS", "N0001"},
		"keyboard":  {keyboard, 2, 0x0c2e, 0x1001, "Honeywell", "Lab keyboard", "K0001"},
		"cdc":       {cdc, 3, 0x1eab, 0x0d06, "Newland", "Lab CDC", "C0001"},
		"twin":      {honeywell, 4, 0x0c2e, 0x0b61, "Honeywell", "Lab HID POS", "H0001"},
	}
}

// bench plugs gadgets in and starts the agent with a till for each.
func bench(t *testing.T, binary string, names []string, scanner func(t *testing.T, name string, g *gadget) string) []*station {
	t.Helper()
	var list []*station
	var tills []till
	for _, name := range names {
		g := newGadget(t, name, specs()[name])
		t.Cleanup(func() {
			if err := g.remove(); err != nil {
				t.Errorf("the gadget %s stays: %v", name, err)
			}
		})
		if err := g.plug(); err != nil {
			t.Fatal(err)
		}
		hostNode(t, g)
		list = append(list, &station{name: name, g: g})
		tills = append(tills, till{name, scanner(t, name, g)})
	}
	r := newRig(t, binary, tills)
	for _, s := range list {
		s.r = r
	}
	<-time.After(backWithin)
	return list
}

func TestAgent(t *testing.T) {
	const set = "payagent with cgo: hidraw, evdev, serial"
	list := bench(t, "payagent", []string{"cdc"}, func(t *testing.T, name string, g *gadget) string {
		return "{driver: serial, options: {path: " + hostNode(t, g) + "}}"
	})
	plain := func(run func(*station) (string, error)) func(*testing.T, *station) (string, error) {
		return func(_ *testing.T, s *station) (string, error) { return run(s) }
	}
	all(t, set, "scan and pay", list, plain((*station).pay))
	all(t, set, "scan with no order", list, plain((*station).unarmed))
	all(t, set, "hostile barcodes", list, plain((*station).hostile))
	all(t, set, "unplugged with an order armed", list, plain((*station).replug))
	all(t, set, "unplugged in the middle of a code", list, plain((*station).halved))
	all(t, set, "kill -9 and start", list, plain((*station).killed))
	all(t, set, "latency", list, func(t *testing.T, s *station) (string, error) { return s.latency(t, 50) })
}
