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
	packetConnack    = 2
	packetPublish    = 3
	packetPuback     = 4
	packetSuback     = 9
	packetUnsuback   = 11
	packetPingresp   = 13
	packetDisconnect = 14 // this one is ours
)

// maxPacket bounds what is read for one packet: paho would allocate whatever
// length the broker names.
const maxPacket = uplink.MaxPayload + 4<<10

// maxUnwritten is from how many unwritten bytes on paho is given nothing more.
const maxUnwritten = 1 << 20

// maxSpare bounds the room that is kept while nothing is written.
const maxSpare = 128 << 10

// wire is a connection that hands on whole, well-formed packets only, takes
// what is written at once and writes it by itself, and says when it has ended.
// So paho never waits for the network, where it would wait without a bound, and
// many small packets leave as one.
type wire struct {
	net.Conn
	in    *bufio.Reader
	rest  []byte
	ctx   context.Context // ends with the connection
	end   context.CancelCauseFunc
	wrote func() // called when there is room again

	mu    sync.Mutex
	out   []byte        // what was taken in
	at    int           // how much of it is written
	more  chan struct{} // there is something to write
	empty chan struct{} // closed when everything is written
	bye   bool          // paho has said good-bye
	gone  chan struct{} // closed by Close
	once  sync.Once
}

func newWire(ctx context.Context, conn net.Conn, end context.CancelCauseFunc, wrote func()) *wire {
	w := &wire{Conn: conn, in: bufio.NewReaderSize(conn, 16<<10), ctx: ctx, end: end, wrote: wrote, more: make(chan struct{}, 1), empty: make(chan struct{}), gone: make(chan struct{})}
	close(w.empty)
	go w.pump()
	return w
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

// Write takes bytes in.
func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ctx.Err() != nil && len(p) > 0 && p[0]>>4 != packetDisconnect {
		return 0, errEnded
	}
	if len(w.out) == 0 && len(p) > 0 {
		w.empty = make(chan struct{})
	}
	if left := w.out[w.at:]; w.at > 0 && len(w.out)+len(p) > cap(w.out) {
		w.out, w.at = append(make([]byte, 0, 2*(len(left)+len(p))), left...), 0
	}
	w.out = append(w.out, p...)
	w.bye = len(p) > 0 && p[0]>>4 == packetDisconnect
	wake(w.more)
	return len(p), nil
}

// full tells that what was taken in has to leave first.
func (w *wire) full() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.out)-w.at >= maxUnwritten
}

// pump writes what was taken in, piece by piece, each within writeTimeout.
func (w *wire) pump() {
	for {
		w.mu.Lock()
		piece := w.out[w.at:min(len(w.out), w.at+writeChunk)]
		w.mu.Unlock()
		if len(piece) == 0 {
			select {
			case <-w.more:
				continue
			case <-w.gone:
				return
			}
		}
		_ = w.Conn.SetWriteDeadline(time.Now().Add(writeTimeout))
		_, err := w.Conn.Write(piece)
		w.mu.Lock()
		if w.at += len(piece); w.at == len(w.out) || err != nil {
			w.out, w.at = w.out[:0], 0
			if cap(w.out) > maxSpare {
				w.out = nil
			}
			close(w.empty)
		}
		w.mu.Unlock()
		if err != nil {
			w.end(err)
			w.Conn.Close()
			return
		}
		w.wrote()
	}
}

// SetDeadline is what paho asks for while it connects; writing has a bound of
// its own.
func (w *wire) SetDeadline(t time.Time) error { return w.Conn.SetReadDeadline(t) }

// SetWriteDeadline leaves that bound alone.
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

// Close ends the connection, after a good-bye that was said has left.
func (w *wire) Close() error {
	w.end(errors.New("it does not answer"))
	w.mu.Lock()
	bye, empty := w.bye, w.empty
	w.mu.Unlock()
	if bye {
		select {
		case <-empty:
		case <-time.After(goodbyeTimeout):
		}
	}
	w.once.Do(func() { close(w.gone) })
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
