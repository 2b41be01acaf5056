package bolt

import (
	"encoding/binary"
	"errors"
	"hash/crc32"

	"payagent/queue"
)

// Names of buckets and of the two elements of meta. They are on disk: never
// change one.
const (
	bLog     = "log"
	bStreams = "streams"
	bOpen    = "open"
	bKeys    = "keys"
	bSlots   = "slots"
	bCursors = "cursors"
	bMeta    = "meta"

	kFormat = "format"
	kState  = "state"
)

// counted lists the buckets whose sizes are in the state element, in its order.
func counted() []string { return []string{bLog, bStreams, bOpen, bKeys, bSlots, bCursors} }

var (
	errCRC   = errors.New("an element does not match its checksum")
	errShape = errors.New("an element has an impossible shape")
)

// sum is the checksum of an element: bucket, key and value without checksum.
func sum(bucket string, key, payload []byte) uint32 {
	// The short parts one by one: crc32.Update would put each of them on the
	// heap, for every element of a store that is checked.
	t := crc32.MakeTable(crc32.Castagnoli)
	c := ^uint32(0)
	for i := range len(bucket) {
		c = t[byte(c)^bucket[i]] ^ c>>8
	}
	c = t[byte(c)^byte(len(key))] ^ c>>8
	for _, b := range key {
		c = t[byte(c)^b] ^ c>>8
	}
	return crc32.Update(^c, t, payload)
}

// seal appends the checksum to a payload.
func seal(bucket string, key, payload []byte) []byte {
	return binary.BigEndian.AppendUint32(payload, sum(bucket, key, payload))
}

// unseal checks the checksum and returns the payload, which shares v's bytes.
func unseal(bucket string, key, v []byte) ([]byte, error) {
	if len(v) < 4 {
		return nil, errShape
	}
	p := v[:len(v)-4]
	if binary.BigEndian.Uint32(v[len(v)-4:]) != sum(bucket, key, p) {
		return nil, errCRC
	}
	return p, nil
}

func be64(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// sealedSeq is a value that holds one number.
func sealedSeq(bucket string, key []byte, n uint64) []byte {
	return seal(bucket, key, binary.BigEndian.AppendUint64(make([]byte, 0, 12), n))
}

func unsealSeq(bucket string, key, v []byte) (uint64, error) {
	p, err := unseal(bucket, key, v)
	if err != nil {
		return 0, err
	}
	if len(p) != 8 {
		return 0, errShape
	}
	return binary.BigEndian.Uint64(p), nil
}

// record is a log element's content.
type record struct {
	prev   uint64 // number of the stream's record before this one, 0 for none
	stream string
	keys   []string
	data   []byte
}

// recordVersion is the layout below; another one needs a higher "oldest".
const recordVersion = 1

func encodeRecord(seq uint64, r record) []byte {
	n := 2 + 8 + 1 + len(r.stream) + len(r.data) + 4
	for _, k := range r.keys {
		n += 1 + len(k)
	}
	b := make([]byte, 0, n)
	b = append(b, recordVersion, byte(len(r.keys)))
	b = binary.BigEndian.AppendUint64(b, r.prev)
	b = append(b, byte(len(r.stream)))
	b = append(b, r.stream...)
	for _, k := range r.keys {
		b = append(b, byte(len(k)))
		b = append(b, k...)
	}
	b = append(b, r.data...)
	return seal(bLog, be64(seq), b)
}

// form is a log element's content where it stands: nothing of it may be kept
// longer than the transaction.
type form struct {
	prev   uint64
	stream []byte
	keys   []byte // nkeys of them, each behind its length
	nkeys  int
	data   []byte
}

// formOf checks a log element but for the stream's name.
func formOf(seq uint64, key, v []byte) (form, error) {
	p, err := unseal(bLog, key, v)
	if err != nil {
		return form{}, err
	}
	if len(p) < 11 || p[0] != recordVersion {
		return form{}, errShape
	}
	f := form{prev: binary.BigEndian.Uint64(p[2:10]), nkeys: int(p[1])}
	p = p[10:]
	var ok bool
	if f.stream, p, ok = cutName(p); !ok || f.prev >= seq {
		return form{}, errShape
	}
	f.keys, f.data = p, p
	for range f.nkeys {
		if _, f.data, ok = cutName(f.data); !ok {
			return form{}, errShape
		}
	}
	return f, nil
}

// cutName takes off what stands behind a byte with its length.
func cutName(p []byte) (name, rest []byte, ok bool) {
	if len(p) < 1 || len(p) < 1+int(p[0]) {
		return nil, nil, false
	}
	n := 1 + int(p[0])
	return p[1:n], p[n:], true
}

// decodeRecord checks and copies a record; nothing of v is kept.
func decodeRecord(seq uint64, v []byte) (record, error) {
	f, err := formOf(seq, be64(seq), v)
	if err != nil {
		return record{}, err
	}
	r := record{prev: f.prev, stream: string(f.stream), data: append([]byte{}, f.data...)}
	if queue.CheckName(r.stream) != nil {
		return record{}, errShape
	}
	for range f.nkeys {
		var k []byte
		k, f.keys, _ = cutName(f.keys)
		r.keys = append(r.keys, string(k))
	}
	return r, nil
}

// head is a stream's element.
type head struct {
	first, last uint64
	count       uint32
}

func encodeHead(name []byte, h head) []byte {
	b := make([]byte, 0, 24)
	b = binary.BigEndian.AppendUint64(b, h.first)
	b = binary.BigEndian.AppendUint64(b, h.last)
	b = binary.BigEndian.AppendUint32(b, h.count)
	return seal(bStreams, name, b)
}

func decodeHead(name, v []byte) (head, error) {
	p, err := unseal(bStreams, name, v)
	if err != nil {
		return head{}, err
	}
	if len(p) != 20 {
		return head{}, errShape
	}
	h := head{binary.BigEndian.Uint64(p), binary.BigEndian.Uint64(p[8:]), binary.BigEndian.Uint32(p[16:])}
	if h.count == 0 || h.first == 0 || h.first > h.last {
		return head{}, errShape
	}
	return h, nil
}

// keyPrefix begins the elements of one secondary key; the stream follows.
func keyPrefix(key string) []byte {
	return append([]byte{byte(len(key))}, key...)
}

// format is meta's "format".
type format struct {
	oldest     uint32   // oldest program that may write the file
	generation [16]byte // also in the slot file
}

func encodeFormat(f format) []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, 24), f.oldest)
	return seal(bMeta, []byte(kFormat), append(b, f.generation[:]...))
}

// decodeFormat takes longer elements too: a newer program may have added to it.
func decodeFormat(v []byte) (format, error) {
	p, err := unseal(bMeta, []byte(kFormat), v)
	if err != nil {
		return format{}, err
	}
	if len(p) < 20 {
		return format{}, errShape
	}
	return format{binary.BigEndian.Uint32(p), [16]byte(p[4:20])}, nil
}

// state is meta's "state", rewritten by every commit.
type state struct {
	first, last uint64    // the log is complete from first on; last is 0 when nothing was written
	n           [6]uint64 // elements per bucket, in the order of counted
}

func encodeState(s state) []byte {
	b := make([]byte, 0, 72)
	b = binary.BigEndian.AppendUint64(b, s.first)
	b = binary.BigEndian.AppendUint64(b, s.last)
	for _, n := range s.n {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return seal(bMeta, []byte(kState), b)
}

func decodeState(v []byte) (state, error) {
	p, err := unseal(bMeta, []byte(kState), v)
	if err != nil {
		return state{}, err
	}
	var s state
	if len(p) < 16+8*len(s.n) {
		return state{}, errShape
	}
	s.first, s.last = binary.BigEndian.Uint64(p), binary.BigEndian.Uint64(p[8:])
	for i := range s.n {
		s.n[i] = binary.BigEndian.Uint64(p[16+8*i:])
	}
	if s.first == 0 || s.first > s.last+1 {
		return state{}, errShape
	}
	return s, nil
}

// encodeSlot is a slot's element in the log file. doubt says that the slot was
// taken over from a slot file whose log was lost.
func encodeSlot(key []byte, doubt bool, data []byte) []byte {
	b := make([]byte, 1, 5+len(data))
	if doubt {
		b[0] = 1
	}
	return seal(bSlots, key, append(b, data...))
}

func decodeSlot(key, v []byte) (doubt bool, data []byte, err error) {
	p, err := unseal(bSlots, key, v)
	if err != nil {
		return false, nil, err
	}
	if len(p) < 1 {
		return false, nil, errShape
	}
	return p[0] == 1, append([]byte{}, p[1:]...), nil
}
