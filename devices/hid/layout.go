package hid

// The layouts of input reports that can be asked for by name (wire.md §7.3).
const (
	// LayoutUSBIF has the AIM identifier at 2 to 4 and data from 5 to 60:
	// Honeywell, Youjie, Access-IS, Datalogic.
	LayoutUSBIF = "usb-if"
	// LayoutNewland has data from 2 to 57: Newland, Unitech, ID TECH, Saveo.
	LayoutNewland = "newland"
)

// layout says where things stand in the input report with scanned data. All
// offsets count from the first byte on the wire, the id included.
type layout struct {
	name   string
	id     byte // 0 where reports are not numbered
	size   int  // shortest whole report
	length int  // the byte that counts data bytes; -1 where data ends with NULs
	aim    int  // first of the three bytes of the AIM identifier; -1 where there is none
	data   int
	room   int // most data bytes of one report
	more   int // bit (not byte) that says that more reports follow; -1 if none
}

// usbIFLayout is the layout of Honeywell, Access-IS and Datalogic, newlandLayout
// that of Newland, Unitech and ID TECH (the makers' manuals).
func usbIFLayout() layout   { return layout{LayoutUSBIF, 2, 64, 1, 2, 5, 56, 63 * 8} }
func newlandLayout() layout { return layout{LayoutNewland, 2, 64, 1, -1, 2, 56, 63 * 8} }

// unnumbered is the same layout on a device that does not number its reports.
func (l layout) unnumbered() layout {
	l.id = 0
	l.size--
	l.length--
	if l.aim >= 0 {
		l.aim--
	}
	l.data--
	l.more -= 8
	return l
}

// layoutOf reads the layout out of a descriptor.
func layoutOf(d descriptor) (layout, bool) {
	for _, r := range d.reports {
		if r.kind != input {
			continue
		}
		if l, ok := layoutOfReport(r); ok {
			return l, true
		}
	}
	return layout{}, false
}

func layoutOfReport(r report) (layout, bool) {
	head := 0
	if r.id != 0 {
		head = 1
	}
	l := layout{name: "descriptor", id: r.id, size: r.bytes(), length: -1, aim: -1, more: -1}
	first := -1 // the first plain byte that no usage explains
	for _, f := range r.fields {
		at := head + f.bit/8
		bytewise := f.size == 8 && f.bit%8 == 0
		switch {
		case f.usage == usageContinued:
			if l.more < 0 {
				l.more = head*8 + f.bit
			}
		case !bytewise:
		case f.usage == usageData:
			if l.room == 0 {
				l.data, l.room = at, f.count
			}
		case f.usage == usageAIM:
			if l.aim < 0 {
				l.aim = at
			}
		case f.usage == usageByteCount && f.count == 1:
			l.length = at
		case first < 0 && f.usage>>16 != 0x8C:
			first = at
		}
	}
	if l.room < 8 { // no device with decoded data
		return layout{}, false
	}
	// A count that its maker gave no usage stands right behind the id.
	if l.length < 0 && first == head && first < l.data {
		l.length = first
	}
	// The same for the mark of continuation: bit 0 of the last byte.
	if last := l.size - 1; l.more < 0 && last >= l.data+l.room {
		l.more = last * 8
	}
	// The identifier may stand at the front of one field of three bytes or
	// more; where its three bytes do not fit before the data, it is none.
	if l.aim >= 0 && l.aim < l.data && l.aim+3 > l.data {
		l.aim = -1
	}
	if l.aim+3 > l.size {
		l.aim = -1
	}
	return l, true
}

// guess looks at a report of a device of which nothing else is known.
func guess(p []byte) layout {
	l, q := usbIFLayout(), newlandLayout()
	if len(p) == 63 {
		l, q = l.unnumbered(), q.unnumbered()
	}
	if len(p) >= l.size && (identifier(p[l.aim:]) || l.shifts(p)) {
		return l
	}
	return q
}

// shifts tells whether a whole report has one byte more in front of the
// identifier, as some devices of the first family do. In a place for
// identifiers nothing else begins like that.
func (l layout) shifts(p []byte) bool {
	return l.aim >= 0 && l.aim+4 <= len(p) && p[l.aim] < ' ' && identifier(p[l.aim+1:])
}

// shifted is the layout with that byte.
func (l layout) shifted() layout {
	l.name += ", shifted"
	l.aim++
	if l.data > l.aim {
		l.data++
		l.room--
	}
	return l
}

// identifier tells whether p begins with an AIM identifier: a bracket, a
// letter, a letter or digit (ISO/IEC 15424).
func identifier(p []byte) bool {
	return len(p) >= 3 && p[0] == ']' && letter(p[1]) && (letter(p[2]) || p[2] >= '0' && p[2] <= '9')
}

func letter(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'z' }
