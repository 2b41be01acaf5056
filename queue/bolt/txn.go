package bolt

import (
	"bytes"
	"encoding/binary"

	"payagent/queue"

	bbolt "go.etcd.io/bbolt"
)

// txn is one write transaction with its buckets and the counts that end keeps.
type txn struct {
	b     map[string]*bbolt.Bucket
	state state
}

// fillAscending is for buckets that grow at their end only; bbolt's own default
// would leave every page of the log half empty.
const fillAscending = 0.95

func newTxn(tx *bbolt.Tx) (*txn, error) {
	t := &txn{b: make(map[string]*bbolt.Bucket, 7)}
	for _, name := range append(counted(), bMeta) {
		b := tx.Bucket([]byte(name))
		if b == nil {
			return nil, damaged("bucket %s is missing", name)
		}
		t.b[name] = b
	}
	t.b[bLog].FillPercent = fillAscending
	var err error
	t.state, err = decodeState(t.b[bMeta].Get([]byte(kState)))
	return t, err
}

// end writes the counts; the transaction can then be committed.
func (t *txn) end() error { return t.b[bMeta].Put([]byte(kState), encodeState(t.state)) }

func index(bucket string) int {
	for i, name := range counted() {
		if name == bucket {
			return i
		}
	}
	return -1
}

// put sets an element and counts it if it is new.
func (t *txn) put(bucket string, k, v []byte) error {
	b := t.b[bucket]
	if b.Get(k) == nil {
		t.state.n[index(bucket)]++
	}
	return b.Put(k, v)
}

// del removes an element and counts it; absence is no error.
func (t *txn) del(bucket string, k []byte) error {
	b := t.b[bucket]
	if b.Get(k) == nil {
		return nil
	}
	t.state.n[index(bucket)]--
	return b.Delete(k)
}

// batch writes a queue.Batch, in the order that the contract gives.
func (t *txn) batch(b queue.Batch) error {
	for _, r := range b.Records {
		if err := t.record(r); err != nil {
			return err
		}
	}
	for _, s := range b.Close {
		if err := t.del(bOpen, []byte(s)); err != nil {
			return err
		}
	}
	for _, k := range b.Free {
		if err := t.del(bSlots, []byte(k)); err != nil {
			return err
		}
	}
	for _, s := range b.Slots {
		if err := t.put(bSlots, []byte(s.Key), encodeSlot([]byte(s.Key), false, s.Data)); err != nil {
			return err
		}
	}
	return nil
}

func (t *txn) record(r queue.Record) error {
	name := []byte(r.Stream)
	t.state.last++
	seq := t.state.last
	h := head{first: seq}
	if v := t.b[bStreams].Get(name); v != nil {
		var err error
		if h, err = decodeHead(name, v); err != nil {
			return err
		}
	}
	v := encodeRecord(seq, record{prev: h.last, stream: r.Stream, keys: r.Keys, data: r.Data})
	if err := t.put(bLog, be64(seq), v); err != nil {
		return err
	}
	h.last = seq
	h.count++
	if err := t.put(bStreams, name, encodeHead(name, h)); err != nil {
		return err
	}
	if t.b[bOpen].Get(name) == nil {
		if err := t.put(bOpen, name, sealedSeq(bOpen, name, h.first)); err != nil {
			return err
		}
	}
	for _, k := range r.Keys {
		ik := append(keyPrefix(k), name...)
		if t.b[bKeys].Get(ik) != nil {
			continue
		}
		if err := t.put(bKeys, ik, sealedSeq(bKeys, ik, seq)); err != nil {
			return err
		}
	}
	return nil
}

// getRecord reads one record; its absence is damage.
func getRecord(log *bbolt.Bucket, seq uint64) (record, error) {
	v := log.Get(be64(seq))
	if v == nil {
		return record{}, damaged("record %d is missing", seq)
	}
	r, err := decodeRecord(seq, v)
	if err != nil {
		return record{}, damaged("record %d: %w", seq, err)
	}
	return r, nil
}

// chain reads a stream's records, newest first.
func chain(log *bbolt.Bucket, stream string, h head, visit func(seq uint64, r record) error) error {
	seq := h.last
	for i := uint32(0); i < h.count; i++ {
		r, err := getRecord(log, seq)
		if err != nil {
			return err
		}
		if r.stream != stream || (r.prev == 0) != (i+1 == h.count) || i+1 == h.count && seq != h.first {
			return damaged("record %d does not belong where stream %q has it", seq, stream)
		}
		if err := visit(seq, r); err != nil {
			return err
		}
		seq = r.prev
	}
	return nil
}

// prune removes the closed streams that end before a number, a few at a time,
// looking from a number on. It returns where to look next, 0 at the end.
func (t *txn) prune(from, before uint64) (next uint64, dropped int, err error) {
	const most, looked = 64, 4096
	victims := map[string]head{}
	var order []string
	c := t.b[bLog].Cursor()
	k, v := c.Seek(be64(from))
	n := 0
	for ; k != nil && len(victims) < most && n < looked; k, v = c.Next() {
		seq := binary.BigEndian.Uint64(k)
		if seq >= before {
			k = nil
			break
		}
		n++
		r, err := decodeRecord(seq, v)
		if err != nil {
			return 0, 0, damaged("record %d: %w", seq, err)
		}
		name := []byte(r.stream)
		if _, ok := victims[r.stream]; ok || t.b[bOpen].Get(name) != nil {
			continue
		}
		h, err := decodeHead(name, bytes.Clone(t.b[bStreams].Get(name)))
		if err != nil {
			return 0, 0, damaged("stream %q: %w", r.stream, err)
		}
		if h.last < before {
			victims[r.stream] = h
			order = append(order, r.stream)
		}
	}
	if k != nil {
		next = binary.BigEndian.Uint64(k)
	}
	for _, stream := range order {
		if err := t.drop(stream, victims[stream]); err != nil {
			return 0, 0, err
		}
	}
	return next, len(order), nil
}

// drop removes a stream with its records and keys.
func (t *txn) drop(stream string, h head) error {
	err := chain(t.b[bLog], stream, h, func(seq uint64, r record) error {
		for _, k := range r.keys {
			if err := t.del(bKeys, append(keyPrefix(k), stream...)); err != nil {
				return err
			}
		}
		return t.del(bLog, be64(seq))
	})
	if err != nil {
		return err
	}
	t.state.first = max(t.state.first, h.last+1)
	return t.del(bStreams, []byte(stream))
}
