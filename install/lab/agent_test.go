//go:build lab && linux

package lab

import (
	"fmt"
	"slices"
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
func bench(t *testing.T, binary, hidDriver string, names ...string) []*station {
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
		driver := map[kind]string{honeywell: hidDriver, newland: hidDriver, keyboard: "wedge", cdc: "serial"}[g.kind]
		list = append(list, &station{name: name, g: g})
		// By its port, as where two equal scanners stand side by side.
		tills = append(tills, till{name, fmt.Sprintf("{name: %s-scanner, role: gun, driver: %s, options: {port: %q}}", name, driver, g.port(t))})
	}
	r := newRig(t, binary, tills)
	for _, s := range list {
		s.r = r
		if _, err := s.present(); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

// plain makes a case of a method.
func plain(run func(*station) (string, error)) func(*testing.T, *station) (string, error) {
	return func(_ *testing.T, s *station) (string, error) { return run(s) }
}

// of picks stations by kind.
func of(list []*station, kinds ...kind) []*station {
	var out []*station
	for _, s := range list {
		if slices.Contains(kinds, s.g.kind) {
			out = append(out, s)
		}
	}
	return out
}

// TestAgent is the whole set: the agent built with cgo, each scanner by the
// driver that is the default for it.
func TestAgent(t *testing.T) {
	const set = "payagent with cgo: hidraw, evdev, serial"
	g := newGadget(t, "control", specs()["keyboard"])
	check(t, set, "keyboard", "control: nobody grabs", func(t *testing.T) (string, error) {
		if err := g.plug(); err != nil {
			return "", err
		}
		return control(g, hostNode(t, g))
	})
	if err := g.remove(); err != nil {
		t.Fatal(err)
	}
	list := bench(t, "payagent", "hid", "honeywell", "newland", "keyboard", "cdc", "twin")
	once(t, set, "all", "payagent devices list", list, func(t *testing.T) (string, error) { return list[0].r.listed(t, list) })
	all(t, set, "scan and pay", list, plain((*station).pay))
	all(t, set, "scan with no order", list, plain((*station).unarmed))
	all(t, set, "identity card while claimed", list, plain((*station).identity))
	all(t, set, "hostile barcodes", list, plain((*station).hostile))
	once(t, set, "all", "all at the same moment", list, func(*testing.T) (string, error) { return together(list) })
	all(t, set, "unplugged with an order armed", list, plain((*station).replug))
	all(t, set, "unplugged in the middle of a code", list, plain((*station).halved))
	once(t, set, "honeywell, twin", "equal scanners re-plugged in the other order", list, func(t *testing.T) (string, error) {
		return swapped(t, list[0], list[4], true)
	})
	all(t, set, "kill -9 and start", list, plain((*station).killed))
	wedges := of(list, keyboard)
	all(t, set, "stuck key", wedges, plain((*station).stuck))
	all(t, set, "overflow (SYN_DROPPED)", wedges, plain((*station).dropped))
	all(t, set, "1,000 scans beside other readers", wedges, func(t *testing.T, s *station) (string, error) { return s.grab(t, list, 1000) })
	once(t, set, "all", "200 re-plugs", list, func(*testing.T) (string, error) { return cycles(list, 200/len(list)) })
}

// TestLatency measures 200 scans of each kind of device.
func TestLatency(t *testing.T) {
	const set = "latency from the gadget's write to the event at the API's client"
	for _, x := range []struct {
		driver, note string
		names        []string
	}{
		{"hid", "latency", []string{"honeywell", "newland", "keyboard", "cdc"}},
		{"karalabe", "latency through karalabe/hid", []string{"honeywell", "newland"}},
	} {
		t.Run(x.driver, func(t *testing.T) {
			list := bench(t, "payagent", x.driver, x.names...)
			all(t, set, x.note, list, func(t *testing.T, s *station) (string, error) { return s.latency(200) })
		})
	}
}

// TestKaralabe is the set of HID rows through karalabe/hid.
func TestKaralabe(t *testing.T) {
	const set = "payagent with cgo: karalabe/hid"
	list := bench(t, "payagent", "karalabe", "honeywell", "newland", "twin")
	once(t, set, "all", "payagent devices list", list, func(t *testing.T) (string, error) { return list[0].r.listed(t, list) })
	all(t, set, "scan and pay", list, plain((*station).pay))
	all(t, set, "scan with no order", list, plain((*station).unarmed))
	all(t, set, "hostile barcodes", list, plain((*station).hostile))
	once(t, set, "all", "all at the same moment", list, func(*testing.T) (string, error) { return together(list) })
	all(t, set, "unplugged with an order armed", list, plain((*station).replug))
	all(t, set, "unplugged in the middle of a code", list, plain((*station).halved))
	once(t, set, "honeywell, twin", "equal scanners re-plugged in the other order", list, func(t *testing.T) (string, error) {
		return swapped(t, list[0], list[2], false)
	})
	all(t, set, "kill -9 and start", list, plain((*station).killed))
	once(t, set, "all", "60 re-plugs", list, func(*testing.T) (string, error) { return cycles(list, 60/len(list)) })
	// The case before ended the agent by a signal that lets it close nothing;
	// once starts it again.
	once(t, set, "all", "the kernel has its driver back", list, func(t *testing.T) (string, error) {
		for _, s := range list {
			if _, err := s.present(); err != nil {
				return "", err
			}
			if port := s.g.port(t); bound(port) == "usbhid" {
				return "", fmt.Errorf("at %s the kernel's driver was never taken off", port)
			}
		}
		list[0].r.stop()
		for _, s := range list {
			port := s.g.port(t)
			if !within(2*time.Second, func() bool { return bound(port) == "usbhid" }) {
				return "", fmt.Errorf("at %s the driver is %q", port, bound(port))
			}
		}
		return "usbhid holds every scanner after the agent's end", nil
	})
}

// TestWithoutCgo takes a payment from each with the static agent.
func TestWithoutCgo(t *testing.T) {
	const set = "payagent without cgo (static): hidraw, evdev, serial"
	list := bench(t, "payagent-nocgo", "hid", "honeywell", "newland", "keyboard", "cdc")
	once(t, set, "all", "payagent devices list", list, func(t *testing.T) (string, error) { return list[0].r.listed(t, list) })
	all(t, set, "scan and pay", list, plain((*station).pay))
	all(t, set, "unplugged with an order armed", list, plain((*station).replug))
	all(t, set, "kill -9 and start", list, plain((*station).killed))
}
