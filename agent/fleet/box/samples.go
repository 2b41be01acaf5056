package box

import (
	"fmt"
	"runtime"
	"strings"

	"payagent/agent"
)

func deviceOf(d agent.Device) device {
	v := device{Name: d.Name, Till: d.Till, Kind: d.Kind, Role: d.Role, Present: d.Present, Reason: d.Reason, Dirty: d.Dirty, Silent: d.Silent, Actions: d.Actions}
	f := d.Found
	v.Model, v.Place, v.Serial, v.Driver = strings.TrimSpace(f.Maker+" "+f.Model), f.Port, f.Serial, f.Driver
	if f.Vendor != 0 {
		v.USB = fmt.Sprintf("%04x:%04x", f.Vendor, f.Product)
	}
	if d.Since > 0 {
		v.Since = atWall(d.Since)
	}
	return v
}

// counts are what the drivers of scanners counted, by till.device.
func (b *Box) counts() any {
	list := map[string]map[string]uint64{}
	for _, d := range b.o.Agent.Devices() {
		if c := d.Counts; c != nil {
			list[d.Till+"."+d.Name] = map[string]uint64{"good": c.Good, "bad": c.Bad, "cut": c.Cut, "doubles": c.Doubles, "settled": c.Settled,
				"unread": c.Unread, "lost": c.Lost, "opens": c.Opens}
		}
	}
	return map[string]any{"counts": list}
}

// figures are those of this package.
func (b *Box) figures() any {
	waiting := b.waiting()
	s := &b.stats
	s.mu.Lock()
	defer s.mu.Unlock()
	return map[string]uint64{"events_sent": s.sent, "events_acked": s.acked, "events_waiting": uint64(waiting), "retained": s.kept,
		"commands_accepted": s.accepted, "commands_refused": s.refused}
}

// process is how the program fares.
func process() any {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return map[string]uint64{"heap_bytes": m.HeapAlloc, "from_system_bytes": m.Sys, "goroutines": uint64(runtime.NumGoroutine())}
}
