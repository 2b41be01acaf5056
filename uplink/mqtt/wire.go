package mqtt

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
	"unicode/utf8"

	"payagent/uplink"
)

// The packets that a broker may send.
const (
	packetConnack  = 2
	packetPublish  = 3
	packetPuback   = 4
	packetSuback   = 9
	packetUnsuback = 11
	packetPingresp = 13
)

// maxPacket bounds what is read for one packet: paho would allocate whatever
// length the broker names.
const maxPacket = uplink.MaxPayload + 4<<10

// wire is a connection that hands on whole, well-formed packets only, whose
// writes do not take for ever, and that says when it has ended.
type wire struct {
	net.Conn
	in   *bufio.Reader
	rest []byte
	end  context.CancelCauseFunc
	out  sync.Mutex // paho writes pings beside everything else
}

func newWire(conn net.Conn, end context.CancelCauseFunc) *wire {
	return &wire{Conn: conn, in: bufio.NewReaderSize(conn, 16<<10), end: end}
}

// errEnded is all that paho hears of an end: it takes "closed" in an error's
// text for an end of its own making, and would then never notice.
var errEnded = errors.New("the connection has ended")

// Read gives bytes of packets that were checked.
func (w *wire) Read(p []byte) (int, error) {
	if len(w.rest) == 0 {
		packet, err := readPacket(w.in)
		if err != nil {
			w.end(err)
			w.Conn.Close()
			return 0, errEnded
		}
		w.rest = packet
	}
	n := copy(p, w.rest)
	w.rest = w.rest[n:]
	return n, nil
}

// Write has a bound of its own: paho sets none for pings and acknowledgements.
func (w *wire) Write(p []byte) (n int, err error) {
	w.out.Lock()
	defer w.out.Unlock()
	for n < len(p) {
		_ = w.Conn.SetWriteDeadline(time.Now().Add(writeTimeout))
		m, err := w.Conn.Write(p[n:min(len(p), n+writeChunk)])
		n += m
		if err != nil {
			w.end(err)
			return n, errEnded
		}
	}
	return n, nil
}

// Close ends the connection.
func (w *wire) Close() error {
	w.end(errors.New("it does not answer"))
	return w.Conn.Close()
}

// errPacket is wrapped by what is said of a broker that does not speak MQTT.
var errPacket = errors.New("the broker does not keep to MQTT 3.1.1")

// readPacket reads one packet and checks its form. io.EOF is an end between
// packets.
func readPacket(r *bufio.Reader) ([]byte, error) {
	first, err := r.ReadByte()
	if err != nil {
		return nil, err
	}
	packet, length := []byte{first}, 0
	for shift := 0; ; shift += 7 {
		b, err := r.ReadByte()
		if err != nil {
			return nil, io.ErrUnexpectedEOF
		}
		packet = append(packet, b)
		length |= int(b&0x7f) << shift
		if b&0x80 == 0 {
			break
		}
		if shift == 21 {
			return nil, fmt.Errorf("%w: a length of more than four bytes", errPacket)
		}
	}
	if length > maxPacket {
		return nil, fmt.Errorf("%w: a packet of %d bytes, at most %d are taken", errPacket, length, maxPacket)
	}
	head := len(packet)
	packet = append(packet, make([]byte, length)...)
	if _, err := io.ReadFull(r, packet[head:]); err != nil {
		return nil, io.ErrUnexpectedEOF
	}
	if err := checkPacket(first, packet[head:]); err != nil {
		return nil, err
	}
	return packet, nil
}

// checkPacket refuses what paho would stumble over.
func checkPacket(first byte, body []byte) error {
	kind, flags := first>>4, first&0x0f
	want := -1
	switch kind {
	case packetConnack, packetPuback, packetUnsuback:
		want = 2
	case packetSuback: // we subscribe to one filter at a time
		want = 3
	case packetPingresp:
		want = 0
	case packetPublish:
		return checkPublish(flags, body)
	default:
		return fmt.Errorf("%w: packets of type %d are not for clients", errPacket, kind)
	}
	if flags != 0 || len(body) != want {
		return fmt.Errorf("%w: a packet of type %d with %d bytes", errPacket, kind, len(body))
	}
	return nil
}

func checkPublish(flags byte, body []byte) error {
	qos := flags >> 1 & 3
	need := 2
	if qos > 0 {
		need = 4
	}
	if qos > 1 || len(body) < need {
		return fmt.Errorf("%w: a message with QoS %d and %d bytes", errPacket, qos, len(body))
	}
	n := int(binary.BigEndian.Uint16(body))
	if n == 0 || n+need > len(body) || !utf8.Valid(body[2:2+n]) {
		return fmt.Errorf("%w: a message without a topic", errPacket)
	}
	if qos == 1 && binary.BigEndian.Uint16(body[2+n:]) == 0 {
		return fmt.Errorf("%w: a message without a number", errPacket)
	}
	return nil
}
