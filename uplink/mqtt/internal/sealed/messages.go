package sealed

import (
	"fmt"
	"net/http"
	"sort"
	"time"
)

// ID names one exchange. It is random, and never used twice.
type ID [16]byte

// Ticket is the leave to send one exchange: the first half names the relay's
// store of ids, the second is random.
type Ticket struct{ Store, Secret [16]byte }

// Op says what a box asks of the relay.
type Op byte

// What a box asks.
const (
	OpTicket Op = 1 // a ticket for an exchange; changes nothing
	OpReach  Op = 2 // can the platform be reached; changes nothing
	OpSend   Op = 3 // the exchange itself
	OpGiveUp Op = 4 // nobody waits for the exchange any more
)

// Ask is what a box says to the relay. Fields that an Op does not need are zero.
type Ask struct {
	Op       Op
	ID       ID
	Platform string        // scheme://host:port, as both sides have it configured
	Ticket   Ticket        // OpSend
	Left     time.Duration // OpSend, OpReach: how long the box goes on waiting; whole milliseconds
	Method   string        // OpSend
	URL      string        // OpSend: the whole address
	Header   Header        // OpSend
	Body     []byte        // OpSend
}

// Verdict says what became of an exchange.
type Verdict byte

// The verdicts.
const (
	Granted  Verdict = 1 // a ticket
	Answered Verdict = 2 // the platform's answer (OpSend); it can be reached (OpReach)
	NotSent  Verdict = 3 // proven: no byte of it left the relay, and none ever will
	Unknown  Verdict = 4 // it may have happened
)

// Answer is what the relay says to a box.
type Answer struct {
	Verdict Verdict
	Store   [16]byte // whose word it is: the relay's store of ids
	Ticket  Ticket   // Granted
	WakeKey [32]byte // Granted: what wake-ups for this box are sealed with
	Why     string   // NotSent, Unknown: for people
	Status  int      // Answered to OpSend
	Reason  string   // Answered: the status line's text
	Header  Header   // Answered
	Body    []byte   // Answered
}

// Wake says that a platform has news of an order. It proves nothing.
type Wake struct {
	Platform string // scheme://host:port
	Order    string
	Count    uint64 // grows from one to the next
}

// Field is one line of an HTTP header.
type Field struct{ Name, Value string }

// Header is an HTTP header as a list sorted by name, values in their order.
type Header []Field

// Bounds of texts and lists, in bytes and entries.
const (
	maxText   = 32 << 10
	maxFields = 256
	maxName   = 512
)

// FromHTTP makes a Header of net/http's.
func FromHTTP(h http.Header) Header {
	var out Header
	for name, values := range h {
		for _, v := range values {
			out = append(out, Field{name, v})
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

// HTTP gives net/http's.
func (h Header) HTTP() http.Header {
	out := http.Header{}
	for _, f := range h {
		out[f.Name] = append(out[f.Name], f.Value)
	}
	return out
}

func (a Ask) encode() []byte {
	var w writer
	w.num(uint64(a.Op))
	w.fixed(a.ID[:])
	w.text(a.Platform)
	switch a.Op {
	case OpReach:
		w.num(uint64(a.Left / time.Millisecond))
	case OpSend:
		w.fixed(a.Ticket.Store[:])
		w.fixed(a.Ticket.Secret[:])
		w.num(uint64(a.Left / time.Millisecond))
		w.text(a.Method)
		w.text(a.URL)
		w.header(a.Header)
		w.bytes(a.Body)
	}
	return w.b
}

// maxLeft bounds how long a box waits.
const maxLeft = 10 * time.Minute

func decodeAsk(b []byte) (Ask, error) {
	r := reader{b: b}
	a := Ask{Op: Op(r.small(255))}
	copy(a.ID[:], r.fixed(len(a.ID)))
	a.Platform = r.text(maxName)
	left := func() time.Duration { return time.Duration(r.small(int(maxLeft/time.Millisecond))) * time.Millisecond }
	switch a.Op {
	case OpTicket, OpGiveUp:
	case OpReach:
		a.Left = left()
	case OpSend:
		copy(a.Ticket.Store[:], r.fixed(len(a.Ticket.Store)))
		copy(a.Ticket.Secret[:], r.fixed(len(a.Ticket.Secret)))
		a.Left = left()
		a.Method, a.URL, a.Header, a.Body = r.text(maxName), r.text(maxText), r.header(), r.bytes(maxPlain)
	default:
		return Ask{}, fmt.Errorf("%w: it asks for something unknown; is the relay older than the box?", errShape)
	}
	return a, r.end()
}

func (a Answer) encode() []byte {
	var w writer
	w.num(uint64(a.Verdict))
	w.fixed(a.Store[:])
	switch a.Verdict {
	case Granted:
		w.fixed(a.Ticket.Store[:])
		w.fixed(a.Ticket.Secret[:])
		w.fixed(a.WakeKey[:])
	case Answered:
		w.num(uint64(a.Status))
		w.text(a.Reason)
		w.header(a.Header)
		w.bytes(a.Body)
	case NotSent, Unknown:
		w.text(a.Why)
	}
	return w.b
}

func decodeAnswer(b []byte) (Answer, error) {
	r := reader{b: b}
	a := Answer{Verdict: Verdict(r.small(255))}
	copy(a.Store[:], r.fixed(len(a.Store)))
	switch a.Verdict {
	case Granted:
		copy(a.Ticket.Store[:], r.fixed(len(a.Ticket.Store)))
		copy(a.Ticket.Secret[:], r.fixed(len(a.Ticket.Secret)))
		copy(a.WakeKey[:], r.fixed(len(a.WakeKey)))
	case Answered:
		a.Status = r.small(999)
		a.Reason, a.Header, a.Body = r.text(maxName), r.header(), r.bytes(maxPlain)
	case NotSent, Unknown:
		a.Why = r.text(maxText)
	default:
		return Answer{}, errShape
	}
	return a, r.end()
}

func (k Wake) encode() []byte {
	var w writer
	w.text(k.Platform)
	w.text(k.Order)
	w.num(k.Count)
	return w.b
}

func decodeWake(b []byte) (Wake, error) {
	r := reader{b: b}
	k := Wake{Platform: r.text(maxName), Order: r.text(maxName), Count: r.num()}
	return k, r.end()
}
