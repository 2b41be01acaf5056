package sealed

import (
	"encoding/binary"
	"errors"
	"math"
)

// errShape is what everything gets that is not written exactly as this package
// writes it. It never repeats what was read.
var errShape = errors.New("cannot read it: it is not written as this protocol writes it")

// writer puts fields one after the other: numbers as shortest uvarints, texts
// with their length before them.
type writer struct{ b []byte }

func (w *writer) num(n uint64)    { w.b = binary.AppendUvarint(w.b, n) }
func (w *writer) bytes(p []byte)  { w.num(uint64(len(p))); w.b = append(w.b, p...) }
func (w *writer) text(s string)   { w.num(uint64(len(s))); w.b = append(w.b, s...) }
func (w *writer) fixed(p []byte)  { w.b = append(w.b, p...) }
func (w *writer) header(h Header) { w.num(uint64(len(h))); w.fields(h) }

func (w *writer) fields(h Header) {
	for _, f := range h {
		w.text(f.Name)
		w.text(f.Value)
	}
}

// reader takes them back. There is one way of writing a thing, and the first
// deviation fails everything after it.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) num() uint64 {
	n, size := binary.Uvarint(r.b)
	// A longer way of writing the same number is refused.
	if size <= 0 || size > 1 && r.b[size-1] == 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[size:]
	return n
}

// small is a number that fits an int and is at most limit.
func (r *reader) small(limit int) int {
	n := r.num()
	if n > math.MaxInt32 || int(n) > limit {
		r.bad, r.b = true, nil
		return 0
	}
	return int(n)
}

func (r *reader) bytes(limit int) []byte { return r.fixed(r.small(limit)) }

func (r *reader) text(limit int) string { return string(r.bytes(limit)) }

func (r *reader) fixed(n int) []byte {
	if n > len(r.b) {
		r.bad, r.b = true, nil
		return nil
	}
	p := r.b[:n:n]
	r.b = r.b[n:]
	return p
}

func (r *reader) header() Header {
	n := r.small(maxFields)
	var h Header
	for range n {
		h = append(h, Field{r.text(maxText), r.text(maxText)})
		if r.bad {
			return nil
		}
	}
	return h
}

// end tells whether everything was read and nothing was wrong.
func (r *reader) end() error {
	if r.bad || len(r.b) != 0 {
		return errShape
	}
	return nil
}

// classes are the sizes of what is sealed, in bytes: whoever sees a message
// learns which class it is in and not how long it is.
func classes() []int { return []int{1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, maxPlain} }

// maxPlain bounds what is sealed: with everything around it a payload stays
// below uplink.MaxPayload.
const maxPlain = 508 << 10

// pad fills up with zeros to the next class.
func pad(p []byte) ([]byte, error) {
	w := writer{}
	w.bytes(p)
	for _, size := range classes() {
		if len(w.b) <= size {
			return append(w.b, make([]byte, size-len(w.b))...), nil
		}
	}
	return nil, ErrTooLong
}

// unpad takes the filling off and refuses any other.
func unpad(p []byte) ([]byte, error) {
	r := reader{b: p}
	out := r.bytes(maxPlain)
	for _, c := range r.b {
		r.bad = r.bad || c != 0
	}
	if r.bad {
		return nil, errShape
	}
	want, err := pad(out)
	if err != nil || len(want) != len(p) {
		return nil, errShape
	}
	return out, nil
}
