package bolt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"

	"payagent/queue"
)

// bbolt maps its file and trusts what it finds: a bad page number or length
// ends the process, in a goroutine of bbolt's where nobody can recover. So the
// file is read here first, with ordinary reads, by bbolt's published layout
// (data file version 2), and is mapped only when every page makes sense.

const (
	boltMagic    = 0xED0CDAED
	boltVersion  = 2
	pageHeader   = 16
	metaLength   = 64 // the part of a meta page that counts
	noFreelist   = ^uint64(0)
	flagBranch   = 1
	flagLeaf     = 2
	maxPageSize  = 1 << 16
	maxTreeDepth = 32
)

// damage is an error that says that the file, not the machine, is at fault.
type damage struct{ err error }

func (d damage) Error() string   { return d.err.Error() }
func (d damage) Unwrap() []error { return []error{d.err, queue.ErrDamaged} }

func damaged(msg string, args ...any) error { return damage{fmt.Errorf(msg, args...)} }

// checked is what a check found out about a good file.
type checked struct {
	format   format
	state    state
	fallback bool  // one meta page was bad: the newest transaction may be missing
	size     int64 // bytes of the file
	live     int64 // bytes of pages in use
}

type checker struct {
	f        File
	size     int64
	deep     int      // pages that are being looked at, one inside the other
	bufs     [][]byte // one for each of them: what is read of a page goes when it is done with
	ahead    []byte   // bytes of the file from aheadAt on, read ahead
	aheadAt  int64
	after    int64 // where the last read ended
	ps       int64
	high     uint64 // pages at and above are not in use
	seen     []uint64
	live     int64
	writer   uint32
	state    state
	format   *format
	hasState bool
	counts   map[string]uint64
	crcFrom  uint64 // records from this number on are checked whole
	next     uint64 // number that the log's next element must have, once complete
}

// checkFile reads a bbolt file. writer is this program's version; checkBytes
// bounds how many bytes of records, newest first, are checked whole. The error
// wraps queue.ErrDamaged, queue.ErrNewer, or is the machine's.
func checkFile(f File, writer uint32, checkBytes int64) (checked, error) {
	n, err := f.Size()
	if err != nil {
		return checked{}, err
	}
	c := &checker{f: f, size: n, writer: writer, counts: map[string]uint64{}}
	root, fallback, err := c.metas()
	if err != nil {
		return checked{}, err
	}
	c.seen = make([]uint64, c.high/64+1)
	c.seen[0] = 3 // the metas
	// The meta bucket first: it says whether this program may judge the rest.
	for _, only := range []bool{true, false} {
		clear(c.seen[1:])
		c.seen[0], c.live = 3, 2*c.ps
		err := c.tree(root, nil, nil, 0, func(flags uint32, k, v []byte) error {
			if flags&1 == 0 {
				return damaged("the top level holds something that is no bucket")
			}
			if only && string(k) != bMeta {
				return nil
			}
			return c.bucket(string(k), v)
		})
		if err != nil {
			return checked{}, err
		}
		if only {
			if c.format == nil || !c.hasState {
				return checked{}, damaged("the description of the file is missing")
			}
			if c.format.oldest > c.writer {
				return checked{}, queue.ErrNewer
			}
			c.crcFrom, c.next = 0, c.state.first
			if n := c.state.n[0]; n > 0 && c.size > checkBytes {
				c.crcFrom = c.state.last - min(c.state.last, uint64(float64(n)*float64(checkBytes)/float64(c.size)))
			}
		} else if err := c.bucketsWhole(); err != nil {
			return checked{}, err
		}
	}
	return checked{format: *c.format, state: c.state, fallback: fallback, size: c.size, live: c.live}, nil
}

// bucketsWhole compares what was seen with what the state element says.
func (c *checker) bucketsWhole() error {
	for i, name := range counted() {
		if c.counts[name] != c.state.n[i] {
			return damaged("bucket %s has %d elements instead of %d", name, c.counts[name], c.state.n[i])
		}
	}
	if c.next != c.state.last+1 {
		return damaged("the log ends at %d instead of %d", c.next-1, c.state.last)
	}
	return nil
}

// metas finds the newest good meta page.
func (c *checker) metas() (root uint64, fallback bool, err error) {
	var best []byte
	var good int
	newer := false
	at := func(off int64) []byte {
		b := make([]byte, pageHeader+metaLength)
		if n, err := c.f.ReadAt(b, off); err != nil && !(err == io.EOF && n == len(b)) {
			return nil
		}
		m := b[pageHeader:]
		h := fnv.New64a()
		h.Write(m[:56])
		u32, u64 := binary.NativeEndian.Uint32, binary.NativeEndian.Uint64
		if u32(m) != boltMagic || u64(m[56:]) != h.Sum64() {
			return nil
		}
		if u32(m[4:]) > boltVersion {
			newer = true
			return nil
		}
		if ps := int64(u32(m[8:])); ps < 1024 || ps > maxPageSize || ps&(ps-1) != 0 {
			return nil
		}
		return m
	}
	u64 := binary.NativeEndian.Uint64
	if best = at(0); best != nil {
		good++
		c.ps = int64(binary.NativeEndian.Uint32(best[8:]))
		if m := at(c.ps); m != nil {
			good++
			if u64(m[48:]) > u64(best[48:]) {
				best = m
			}
		}
	} else {
		for ps := int64(1024); ps <= maxPageSize && best == nil; ps *= 2 {
			if m := at(ps); m != nil && int64(binary.NativeEndian.Uint32(m[8:])) == ps {
				best, c.ps, good = m, ps, 1
			}
		}
	}
	if newer {
		return 0, false, queue.ErrNewer
	}
	if best == nil {
		return 0, false, damaged("no good meta page in %d bytes", c.size)
	}
	c.high = u64(best[40:])
	if c.high < 3 || c.high > uint64(c.size)/uint64(c.ps) {
		return 0, false, damaged("the file was cut off: %d bytes for %d pages", c.size, c.high)
	}
	if u64(best[32:]) != noFreelist {
		return 0, false, damaged("the file holds a free list, which this program never writes")
	}
	return u64(best[16:]), good < 2, nil
}

// page reads a page with what follows it and marks it as used.
func (c *checker) page(id uint64) ([]byte, error) {
	if id < 2 || id >= c.high {
		return nil, damaged("page %d lies outside of the file", id)
	}
	b := c.buffer(c.ps)
	if err := c.read(b, int64(id)*c.ps); err != nil {
		return nil, err
	}
	if got := binary.NativeEndian.Uint64(b); got != id {
		return nil, damaged("page %d calls itself %d", id, got)
	}
	more := uint64(binary.NativeEndian.Uint32(b[12:]))
	if id+more >= c.high {
		return nil, damaged("page %d is longer than the file", id)
	}
	for p := id; p <= id+more; p++ {
		if c.seen[p/64]&(1<<(p%64)) != 0 {
			return nil, damaged("page %d is used twice", p)
		}
		c.seen[p/64] |= 1 << (p % 64)
		c.live += c.ps
	}
	if more > 0 {
		b = c.buffer(int64(1+more) * c.ps)
		if err := c.read(b, int64(id)*c.ps); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// buffer gives n bytes for the page that is being looked at.
func (c *checker) buffer(n int64) []byte {
	for len(c.bufs) <= c.deep {
		c.bufs = append(c.bufs, nil)
	}
	if int64(cap(c.bufs[c.deep])) < n {
		c.bufs[c.deep] = make([]byte, n)
	}
	return c.bufs[c.deep][:n]
}

// readAhead is how many bytes are read at once where pages follow each other,
// as they do in a log that only grows.
const readAhead = 64 << 10

func (c *checker) read(b []byte, off int64) error {
	end := off + int64(len(b))
	follows := off == c.after
	c.after = end
	if follows && (off < c.aheadAt || end > c.aheadAt+int64(len(c.ahead))) {
		if c.ahead == nil {
			c.ahead = make([]byte, 0, readAhead)
		}
		n, _ := c.f.ReadAt(c.ahead[:readAhead], off) // what cannot be read of it may not be needed
		c.ahead, c.aheadAt = c.ahead[:n], off
	}
	if off >= c.aheadAt && end <= c.aheadAt+int64(len(c.ahead)) {
		copy(b, c.ahead[off-c.aheadAt:])
		return nil
	}
	if n, err := c.f.ReadAt(b, off); err != nil && !(err == io.EOF && n == len(b)) {
		return damaged("cannot read %d bytes at %d: %w", len(b), off, err)
	}
	return nil
}

type element func(flags uint32, k, v []byte) error

// tree walks the pages under id in order; all keys must be in [low, high).
func (c *checker) tree(id uint64, low, high []byte, depth int, visit element) error {
	if depth > maxTreeDepth {
		return damaged("the tree is deeper than possible")
	}
	b, err := c.page(id)
	if err != nil {
		return err
	}
	c.deep++
	defer func() { c.deep-- }()
	switch flags := binary.NativeEndian.Uint16(b[8:]); flags {
	case flagLeaf:
		return leaf(b, low, high, visit)
	case flagBranch:
	default:
		return damaged("page %d is of unknown kind %x", id, flags)
	}
	n := int(binary.NativeEndian.Uint16(b[10:]))
	if n == 0 || pageHeader+n*16 > len(b) {
		return damaged("page %d claims %d branches", id, n)
	}
	keys, kids := make([][]byte, n), make([]uint64, n)
	for i := range n {
		e := pageHeader + i*16
		pos, ks := uint64(binary.NativeEndian.Uint32(b[e:])), uint64(binary.NativeEndian.Uint32(b[e+4:]))
		start := uint64(e) + pos
		if ks == 0 || start+ks > uint64(len(b)) || start < uint64(pageHeader+n*16) {
			return damaged("branch %d of page %d lies outside of it", i, id)
		}
		keys[i], kids[i] = b[start:start+ks], binary.NativeEndian.Uint64(b[e+8:])
		if i == 0 && bytes.Compare(keys[0], low) < 0 || i > 0 && bytes.Compare(keys[i-1], keys[i]) >= 0 ||
			high != nil && bytes.Compare(keys[i], high) >= 0 {
			return damaged("branches of page %d are out of order", id)
		}
	}
	for i := range n {
		to := high
		if i+1 < n {
			to = keys[i+1]
		}
		if err := c.tree(kids[i], keys[i], to, depth+1, visit); err != nil {
			return err
		}
	}
	return nil
}

// leaf visits the elements of a leaf page, in a file or inside a bucket.
func leaf(b, low, high []byte, visit element) error {
	n := int(binary.NativeEndian.Uint16(b[10:]))
	if pageHeader+n*16 > len(b) {
		return damaged("a page claims %d elements", n)
	}
	prev := low
	for i := range n {
		e := pageHeader + i*16
		flags := binary.NativeEndian.Uint32(b[e:])
		start := uint64(e) + uint64(binary.NativeEndian.Uint32(b[e+4:]))
		ks, vs := uint64(binary.NativeEndian.Uint32(b[e+8:])), uint64(binary.NativeEndian.Uint32(b[e+12:]))
		if ks == 0 || start < uint64(pageHeader+n*16) || start+ks+vs > uint64(len(b)) || flags > 1 {
			return damaged("an element lies outside of its page")
		}
		k, v := b[start:start+ks], b[start+ks:start+ks+vs]
		if cmp := bytes.Compare(prev, k); cmp > 0 || cmp == 0 && i > 0 || high != nil && bytes.Compare(k, high) >= 0 {
			return damaged("elements are out of order")
		}
		prev = k
		if err := visit(flags, k, v); err != nil {
			return err
		}
	}
	return nil
}

// bucket walks one bucket of the top level (or, if unknown, one inside it).
func (c *checker) bucket(name string, v []byte) error {
	if len(v) < 16 {
		return damaged("bucket %q has no head", name)
	}
	visit := func(flags uint32, k, v []byte) error { return c.element(name, flags, k, v) }
	if root := binary.NativeEndian.Uint64(v); root != 0 {
		return c.tree(root, nil, nil, 0, visit)
	}
	if v = v[16:]; len(v) < pageHeader || binary.NativeEndian.Uint16(v[8:]) != flagLeaf {
		return damaged("bucket %q is no page", name)
	}
	return leaf(v, nil, nil, visit)
}

// element checks one element of a bucket that this program knows; of others
// only the structure.
func (c *checker) element(bucket string, flags uint32, k, v []byte) error {
	var err error
	switch bucket {
	case bMeta:
		switch string(k) {
		case kFormat:
			var f format
			f, err = decodeFormat(v)
			c.format = &f
		case kState:
			c.state, err = decodeState(v)
			c.hasState = true
		}
	case bLog:
		err = c.record(k, v)
	case bStreams:
		_, err = decodeHead(k, v)
	case bOpen, bKeys, bCursors:
		_, err = unsealSeq(bucket, k, v)
	case bSlots:
		_, _, err = decodeSlot(k, v)
	default:
		if flags&1 != 0 {
			return c.bucket("of a newer program", v)
		}
		return nil
	}
	if flags&1 != 0 {
		return damaged("bucket %s holds a bucket", bucket)
	}
	c.counts[bucket]++
	if err != nil {
		if errors.Is(err, queue.ErrDamaged) {
			return err
		}
		return damaged("bucket %s: %w", bucket, err)
	}
	return nil
}

// record checks a log element: numbers without gaps from the state's first on,
// and the checksum where asked for.
func (c *checker) record(k, v []byte) error {
	if len(k) != 8 {
		return errShape
	}
	seq := binary.BigEndian.Uint64(k)
	if seq >= c.state.first {
		if seq != c.next {
			return damaged("record %d is missing", c.next)
		}
		c.next++
	}
	if seq >= c.crcFrom {
		// The checksum is enough: nobody but encodeRecord writes one, and
		// copying every record would double the time of a start.
		_, err := unseal(bLog, k, v)
		return err
	}
	return nil
}
