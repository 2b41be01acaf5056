package fleet

import (
	"errors"
	"iter"
)

// The bounds of a batch that a box sends: what waits goes many at a time, as a
// JSON array of events (CloudEvents 1.0, JSON batch format). Receivers take any
// that fits a message.
const (
	BatchEvents = 32       // events
	BatchBytes  = 64 << 10 // bytes, unless one event alone is larger
)

// errBatch is what is said of a batch that cannot be taken apart any further.
var errBatch = errors.New("cannot read the batch: it is no array of objects, or is cut off")

// Events takes what stands at e/<stream> apart: the one event, or those of a
// batch, in order, each as it was written. It looks for where each ends and no
// closer: whoever reads one has to expect that it is ill, and goes on with the
// next. An error comes last, in place of all that cannot be told apart.
func Events(payload []byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		rest := skipSpace(payload)
		if len(rest) == 0 || rest[0] != '[' {
			yield(payload, nil)
			return
		}
		for rest = rest[1:]; ; rest = rest[1:] {
			rest = skipSpace(rest)
			n := objectLen(rest)
			if n == 0 {
				break
			}
			if !yield(rest[:n], nil) {
				return
			}
			if rest = skipSpace(rest[n:]); len(rest) == 0 {
				break
			}
			if rest[0] == ']' && len(skipSpace(rest[1:])) == 0 {
				return
			}
			if rest[0] != ',' {
				break
			}
		}
		yield(nil, errBatch)
	}
}

func skipSpace(data []byte) []byte {
	for len(data) > 0 && (data[0] == ' ' || data[0] == '\t' || data[0] == '\r' || data[0] == '\n') {
		data = data[1:]
	}
	return data
}

// objectLen is how long the object at the beginning is; 0: none is, or it has
// no end.
func objectLen(data []byte) int {
	if len(data) == 0 || data[0] != '{' {
		return 0
	}
	depth, text := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			text = !text
		case text:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}
