package hid

import (
	"bytes"
	"errors"
	"testing"

	"payagent/devices"
)

func TestDescriptors(t *testing.T) {
	for name, w := range map[string]struct {
		class string
		l     layout // zero: none
	}{
		"honeywell": {devices.ClassHIDPOS, layout{"descriptor", 2, 64, 1, 2, 5, 56, 63 * 8}},
		"newland":   {devices.ClassHIDPOS, layout{"descriptor", 2, 64, 1, -1, 2, 56, 63 * 8}},
		"usbif":     {devices.ClassHIDPOS, layout{"descriptor", 0, 64, -1, 0, 3, 60, 63 * 8}},
		"keyboard":  {devices.ClassKeyboard, layout{}},
		"ibm":       {devices.ClassOther, layout{}},
	} {
		d, err := parseDescriptor(descOf(t, name))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := d.class(); got != w.class {
			t.Errorf("%s is %s", name, got)
		}
		if got, ok := layoutOf(d); got != w.l || ok != (w.l != layout{}) {
			t.Errorf("%s: %+v %v, not %+v", name, got, ok, w.l)
		}
	}
}

// TestReportLengths: what a report is filled up to.
func TestReportLengths(t *testing.T) {
	if n := len(descOf(t, "honeywell")); n != 130 {
		t.Errorf("the published descriptor has 130 bytes, this one %d", n)
	}
	for _, w := range []struct {
		vendor string
		kind   kind
		id     byte
		bytes  int
	}{
		{"honeywell", input, 2, 64}, {"honeywell", output, 0xFD, 64}, {"honeywell", output, 4, 2},
		{"newland", input, 2, 64}, {"newland", output, 4, 64},
		{"keyboard", input, 0, 8}, {"keyboard", output, 0, 1},
	} {
		d, err := parseDescriptor(descOf(t, w.vendor))
		if err != nil {
			t.Fatal(err)
		}
		if r, ok := d.find(w.kind, w.id); !ok || r.bytes() != w.bytes {
			t.Errorf("%s: report %d of kind %d has %d bytes", w.vendor, w.id, w.kind, r.bytes())
		}
	}
}

// TestDescriptorItems: what the standard allows and these devices do not use.
func TestDescriptorItems(t *testing.T) {
	for name, w := range map[string]struct {
		desc []byte
		l    layout
		ok   bool
	}{
		"usage with its page, range of usages, push and pop": {[]byte{
			0x0B, 2, 0, 0x8C, 0, 0xA1, 1, 0x85, 7, 0x75, 8, 0x95, 1, 0x0B, 0x3B, 0, 1, 0, 0x81, 2,
			0x05, 0x8C, 0xA4, 0x05, 0x01, 0x75, 3, 0xB4, 0x95, 3, 0x19, 0xFB, 0x29, 0xFD, 0x81, 2,
			0x95, 20, 0x09, 0xFE, 0x81, 2, 0x75, 1, 0x95, 1, 0x09, 0xFF, 0x81, 2, 0x95, 7, 0x81, 3, 0xC0,
		}, layout{"descriptor", 7, 26, 1, 2, 5, 20, 25 * 8}, true},
		"data as an array, a count without a usage, no mark": {[]byte{
			0x05, 0x8C, 0x09, 2, 0xA1, 1, 0x85, 2, 0x75, 8, 0x95, 1, 0x06, 0x66, 0xFF, 0x09, 1, 0x81, 2,
			0x05, 0x8C, 0x95, 30, 0x09, 0xFE, 0x81, 0, 0x95, 1, 0x81, 3, 0xC0,
		}, layout{"descriptor", 2, 33, 1, -1, 2, 30, 32 * 8}, true},
		"a long item is skipped": {append([]byte{0xFE, 3, 9, 1, 2, 3}, descOf(t, "honeywell")...),
			layout{"descriptor", 2, 64, 1, 2, 5, 56, 63 * 8}, true},
		"data of 4 bytes":        {[]byte{0x05, 0x8C, 0x09, 2, 0xA1, 1, 0x75, 8, 0x95, 4, 0x09, 0xFE, 0x81, 2, 0xC0}, layout{}, false},
		"data that is not bytes": {[]byte{0x05, 0x8C, 0x09, 2, 0xA1, 1, 0x75, 7, 0x95, 40, 0x09, 0xFE, 0x81, 2, 0xC0}, layout{}, false},
	} {
		d, err := parseDescriptor(w.desc)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got, ok := layoutOf(d); ok != w.ok || got != w.l {
			t.Errorf("%s: %+v %v", name, got, ok)
		}
	}
}

func TestBrokenDescriptors(t *testing.T) {
	for name, desc := range map[string][]byte{
		"half an item":       {0x06, 0x45},
		"half a long item":   {0xFE, 3},
		"report id 0":        {0x85, 0},
		"report id 300":      {0x86, 44, 1},
		"pop without push":   {0xB4},
		"too long":           make([]byte, maxDescriptor+1),
		"pushes":             bytes.Repeat([]byte{0xA4}, maxNested+1),
		"collections":        bytes.Repeat([]byte{0xA1, 1}, maxNested+1),
		"a long report":      {0x77, 0xFF, 0xFF, 0xFF, 0xFF, 0x97, 0xFF, 0xFF, 0xFF, 0xFF, 0x81, 2},
		"a growing report":   append([]byte{0x75, 0x20, 0x96, 0, 2}, bytes.Repeat([]byte{0x81, 3}, 3)...),
		"an item at the end": append(descOf(t, "honeywell"), 0x27, 0),
	} {
		if _, err := parseDescriptor(desc); !errors.Is(err, errDescriptor) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzDescriptor: any bytes give a descriptor or an error, and any layout that
// comes out stays inside its report.
func FuzzDescriptor(f *testing.F) {
	for _, name := range []string{"honeywell", "newland", "usbif", "keyboard", "ibm"} {
		f.Add(descOf(f, name))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := parseDescriptor(b)
		if err != nil {
			return
		}
		_ = d.class()
		for _, r := range d.reports {
			for _, at := range r.fields {
				if at.bit < 0 || at.size <= 0 || at.count <= 0 || at.bit+at.size*at.count > r.bits {
					t.Fatalf("%+v stands outside a report of %d bits", at, r.bits)
				}
			}
		}
		l, ok := layoutOf(d)
		if !ok {
			return
		}
		if l.size > maxReportBits/8+1 || l.data < 0 || l.data+l.room > l.size || l.length >= l.size || l.aim+3 > l.size || l.more >= l.size*8 {
			t.Fatalf("%+v does not fit", l)
		}
		// A decoder with it must take anything.
		k := newDecoder(Config{Max: 512, Min: 1}, d, 0)
		for _, p := range [][]byte{nil, {0}, b, make([]byte, l.size), bytes.Repeat([]byte{0xFF}, l.size), append([]byte{l.id}, bytes.Repeat([]byte{0x31}, l.size)...)} {
			for _, fr := range k.Feed(p, start0) {
				if len(fr.Text) > 2*longest {
					t.Fatal("a code is too long")
				}
			}
		}
	})
}
