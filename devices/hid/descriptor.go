package hid

import (
	"errors"
	"fmt"

	"payagent/devices"
)

// Usages, as page<<16 | id (HID POS Usage Tables, HID Usage Tables).
const (
	usageScanner    = 0x8C<<16 | 0x02
	usageKeyboard   = 0x01<<16 | 0x06
	usageKeypad     = 0x01<<16 | 0x07
	usageByteCount  = 0x01<<16 | 0x3B
	usageAIM        = 0x8C<<16 | 0xFB // symbology identifier 1; 2 and 3 follow
	usageData       = 0x8C<<16 | 0xFE // decoded data
	usageContinued  = 0x8C<<16 | 0xFF // decoded data continued
	maxReportBits   = 8 * 4096        // the kernel's own bound is 16 KiB
	maxDescriptor   = 4096            // HID_MAX_DESCRIPTOR_SIZE of the kernel
	maxNested       = 64
	maxLocalUsages  = 256
	maxDistinctRpts = 3 * 256
)

// kind is the direction of a report.
type kind byte

const (
	input kind = iota
	output
	feature
)

// field is a run of elements with one usage. Constant padding has none.
type field struct {
	usage uint32
	bit   int // where it begins in the report, after the id byte if there is one
	size  int // bits of one element
	count int
}

// report is one report of a descriptor.
type report struct {
	kind   kind
	id     byte // 0 where the device does not number its reports
	bits   int  // without the id
	fields []field
}

// bytes is the whole length on the wire, the id included.
func (r report) bytes() int {
	n := (r.bits + 7) / 8
	if r.id != 0 {
		n++
	}
	return n
}

// descriptor is what a report descriptor says.
type descriptor struct {
	apps    []uint32 // usages of the application collections
	reports []report
}

// class tells what a device presents itself as.
func (d descriptor) class() string {
	class := devices.ClassOther
	for _, u := range d.apps {
		switch u {
		case usageScanner:
			return devices.ClassHIDPOS
		case usageKeyboard, usageKeypad:
			class = devices.ClassKeyboard
		}
	}
	return class
}

// find gives a report.
func (d descriptor) find(k kind, id byte) (report, bool) {
	for _, r := range d.reports {
		if r.kind == k && r.id == id {
			return r, true
		}
	}
	return report{}, false
}

// numbered tells whether reports carry their id as first byte.
func (d descriptor) numbered() bool {
	for _, r := range d.reports {
		if r.id != 0 {
			return true
		}
	}
	return false
}

// globals are the items that last until they are changed (HID 1.11 §6.2.2.7).
type globals struct {
	page        uint32
	size, count int
	id          byte
}

// parser walks over the items.
type parser struct {
	out    descriptor
	now    globals
	stack  []globals
	depth  int
	usages []uint32 // local; see near
	low    uint32   // usage minimum
}

var errDescriptor = errors.New("it is not the report descriptor of a working device")

// parseDescriptor reads a report descriptor (HID 1.11 §6.2.2). It never reads
// more than the bytes allow, whatever they say.
func parseDescriptor(b []byte) (descriptor, error) {
	if len(b) > maxDescriptor {
		return descriptor{}, fmt.Errorf("cannot read a report descriptor of %d bytes: %w", len(b), errDescriptor)
	}
	p := parser{}
	for i := 0; i < len(b); {
		prefix := b[i]
		if prefix == 0xFE { // a long item: nobody has defined any
			if i+2 >= len(b) {
				return descriptor{}, fmt.Errorf("cannot read the report descriptor: it ends inside a long item: %w", errDescriptor)
			}
			i += 3 + int(b[i+1])
			continue
		}
		n := int(prefix & 3)
		if n == 3 {
			n = 4
		}
		if i+1+n > len(b) {
			return descriptor{}, fmt.Errorf("cannot read the report descriptor: it ends inside an item: %w", errDescriptor)
		}
		var value uint32
		for k := range n {
			value |= uint32(b[i+1+k]) << (8 * k)
		}
		if err := p.item(prefix&0xFC, value, n); err != nil {
			return descriptor{}, err
		}
		i += 1 + n
	}
	return p.out, nil
}

// item takes one short item; tag holds type and tag bits.
func (p *parser) item(tag byte, value uint32, n int) error {
	switch tag {
	case 0x80: // Input
		return p.main(input, value)
	case 0x90: // Output
		return p.main(output, value)
	case 0xB0: // Feature
		return p.main(feature, value)
	case 0xA0: // Collection
		if p.depth++; p.depth > maxNested {
			return fmt.Errorf("cannot read the report descriptor: collections nest too deep: %w", errDescriptor)
		}
		if value == 1 && len(p.usages) > 0 && len(p.out.apps) < maxNested {
			p.out.apps = append(p.out.apps, p.whole(p.usages[len(p.usages)-1]))
		}
		p.local()
	case 0xC0: // End Collection
		p.depth = max(p.depth-1, 0)
		p.local()
	case 0x04:
		p.now.page = value & 0xFFFF
	case 0x74:
		p.now.size = int(min(value, maxReportBits+1))
	case 0x94:
		p.now.count = int(min(value, maxReportBits+1))
	case 0x84:
		if value == 0 || value > 255 {
			return fmt.Errorf("cannot read the report descriptor: report id %d: %w", value, errDescriptor)
		}
		p.now.id = byte(value)
	case 0xA4: // Push
		if len(p.stack) == maxNested {
			return fmt.Errorf("cannot read the report descriptor: it pushes too deep: %w", errDescriptor)
		}
		p.stack = append(p.stack, p.now)
	case 0xB4: // Pop
		if len(p.stack) == 0 {
			return fmt.Errorf("cannot read the report descriptor: it pops what was not pushed: %w", errDescriptor)
		}
		p.now, p.stack = p.stack[len(p.stack)-1], p.stack[:len(p.stack)-1]
	case 0x08: // Usage
		p.usage(long(value, n))
	case 0x18: // Usage Minimum
		p.low = long(value, n)
	case 0x28: // Usage Maximum
		for u := p.low; u <= long(value, n) && len(p.usages) < maxLocalUsages; u++ {
			p.usage(u)
		}
	}
	return nil
}

// near marks a usage whose page is the one in force at the main item. No real
// page is 0xFFFF.
const near = 0xFFFF << 16

// long gives a usage with its page, or marks it as without one.
func long(value uint32, n int) uint32 {
	if n == 4 {
		return value
	}
	return near | value
}

func (p *parser) usage(u uint32) {
	if len(p.usages) < maxLocalUsages {
		p.usages = append(p.usages, u)
	}
}

// whole puts the page in.
func (p *parser) whole(u uint32) uint32 {
	if u&near == near {
		return p.now.page<<16 | u&0xFFFF
	}
	return u
}

func (p *parser) local() { p.usages, p.low = p.usages[:0], 0 }

// main adds fields to a report.
func (p *parser) main(k kind, flags uint32) error {
	defer p.local()
	r, err := p.report(k)
	if err != nil {
		return err
	}
	if p.now.size*p.now.count > maxReportBits-r.bits {
		return fmt.Errorf("cannot read the report descriptor: a report is too long: %w", errDescriptor)
	}
	if flags&1 == 0 && p.now.size > 0 { // not constant
		for i := 0; i < p.now.count; {
			var u uint32
			run := p.now.count - i
			if len(p.usages) > 0 {
				at := min(i, len(p.usages)-1)
				if flags&2 == 0 {
					at = 0 // an array: its usages are values, not places
				}
				u = p.whole(p.usages[at])
				if flags&2 != 0 && at < len(p.usages)-1 {
					run = 1
				}
			}
			r.fields = append(r.fields, field{u, r.bits + i*p.now.size, p.now.size, run})
			i += run
		}
	}
	r.bits += p.now.size * p.now.count
	return nil
}

// report gives the report that the main items now add to.
func (p *parser) report(k kind) (*report, error) {
	for i := range p.out.reports {
		if r := &p.out.reports[i]; r.kind == k && r.id == p.now.id {
			return r, nil
		}
	}
	if len(p.out.reports) == maxDistinctRpts {
		return nil, fmt.Errorf("cannot read the report descriptor: too many reports: %w", errDescriptor)
	}
	p.out.reports = append(p.out.reports, report{kind: k, id: p.now.id})
	return &p.out.reports[len(p.out.reports)-1], nil
}
