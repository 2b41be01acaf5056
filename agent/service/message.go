package service

import (
	"encoding/binary"
	"errors"
)

// Kinds of messages of D-Bus.
const (
	kindCall  = 1
	kindReply = 2
	kindError = 3
)

// maxMessage bounds what is read: answers that matter have a hundred bytes.
const maxMessage = 64 << 10

// message is what we need of a message of D-Bus.
type message struct {
	kind      byte
	answers   uint32 // the serial it answers; 0 is none
	name      string // the error's name
	signature string
	text      string // the first argument, where it is a string
}

// callMessage is a method call whose arguments are strings, little-endian.
func callMessage(serial uint32, path, destination, iface, member string, args []string) []byte {
	var body []byte
	signature := ""
	for _, a := range args {
		body = appendString(align(body, 4), a)
		signature += "s"
	}
	var fields []byte
	field := func(code byte, kind string, value string) {
		fields = append(align(fields, 8), code, byte(len(kind)))
		fields = append(append(fields, kind...), 0)
		if kind == "g" {
			fields = append(fields, byte(len(value)))
			fields = append(append(fields, value...), 0)
			return
		}
		fields = appendString(align(fields, 4), value)
	}
	field(1, "o", path)
	field(2, "s", iface)
	field(3, "s", member)
	field(6, "s", destination)
	if signature != "" {
		field(8, "g", signature)
	}
	m := []byte{'l', kindCall, 0, 1}
	m = binary.LittleEndian.AppendUint32(m, uint32(len(body)))
	m = binary.LittleEndian.AppendUint32(m, serial)
	m = binary.LittleEndian.AppendUint32(m, uint32(len(fields)))
	return append(align(append(m, fields...), 8), body...)
}

func align(b []byte, to int) []byte {
	for len(b)%to != 0 {
		b = append(b, 0)
	}
	return b
}

func appendString(b []byte, s string) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(len(s)))
	return append(append(b, s...), 0)
}

var errMessage = errors.New("the message bus sent what is no message")

// parseMessage reads one message from the front of b and gives its length; 0
// while it has not come whole.
func parseMessage(b []byte) (m message, n int, err error) {
	if len(b) < 16 {
		return m, 0, nil
	}
	var order binary.ByteOrder = binary.LittleEndian
	switch b[0] {
	case 'l':
	case 'B':
		order = binary.BigEndian
	default:
		return m, 0, errMessage
	}
	body, fields := int64(order.Uint32(b[4:])), int64(order.Uint32(b[12:]))
	head := (16 + fields + 7) / 8 * 8
	if b[3] != 1 || body > maxMessage || fields > maxMessage {
		return m, 0, errMessage
	}
	if int64(len(b)) < head+body {
		return m, 0, nil
	}
	m.kind, n = b[1], int(head+body)
	r := reader{b: b[:16+fields], at: 16, order: order}
	for r.at < len(r.b) && r.ok() {
		r.align(8)
		code := r.byte()
		kind := r.signature()
		var text string
		var number uint32
		switch kind {
		case "s", "o":
			text = r.string()
		case "g":
			text = r.signature()
		case "u":
			number = r.uint32()
		default:
			return m, 0, errMessage
		}
		switch code {
		case 4:
			m.name = text
		case 5:
			m.answers = number
		case 8:
			m.signature = text
		}
	}
	if !r.ok() {
		return m, 0, errMessage
	}
	if len(m.signature) > 0 && m.signature[0] == 's' {
		r = reader{b: b[head:n], order: order}
		if m.text = r.string(); !r.ok() {
			return m, 0, errMessage
		}
	}
	return m, n, nil
}

// reader reads marshalled values; after the first that does not fit, nothing.
type reader struct {
	b     []byte
	at    int
	bad   bool
	order binary.ByteOrder
}

func (r *reader) ok() bool { return !r.bad }

func (r *reader) take(n int) []byte {
	if r.bad || n < 0 || len(r.b)-r.at < n {
		r.bad = true
		return nil
	}
	r.at += n
	return r.b[r.at-n : r.at]
}

func (r *reader) align(to int) { r.take((to - r.at%to) % to) }

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint32() uint32 {
	r.align(4)
	if b := r.take(4); b != nil {
		return r.order.Uint32(b)
	}
	return 0
}

func (r *reader) string() string {
	n := r.uint32()
	if n > maxMessage {
		r.bad = true
	}
	s := string(r.take(int(n)))
	r.take(1)
	return s
}

func (r *reader) signature() string {
	n := r.byte()
	s := string(r.take(int(n)))
	r.take(1)
	return s
}
