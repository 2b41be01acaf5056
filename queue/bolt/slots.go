package bolt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"sort"

	"payagent/queue"
)

// The slot file. Slots 0 and 1 are copies of the header; the others are free
// (all zero) or hold one slot:
//
//	0   magic4 "PSL1"
//	4   key length 1, data length 1, 2 zero bytes
//	8   version 8: the highest of a key counts
//	16  first 8 bytes of the generation
//	24  key, padded to 64
//	88  data, padded to 160
//	252 CRC32C of bytes 0–251
//
// and the header:
//
//	0   magic4 "PSH1"
//	4   layout version 4
//	8   generation 16
//	252 CRC32C
//
// A slot is never overwritten by its own successor: the new version goes to a
// free place, and the old place is emptied with a later write. So a torn write
// costs at most what was not acknowledged.
const (
	slotSize   = 256
	slotChunk  = 64 // slots the file grows by
	slotLayout = 1
	slotSkip   = 2 // header copies
	slotsMax   = 1 << 16

	slotMagic   = "PSL1"
	headerMagic = "PSH1"
)

var (
	errSlotHeader = errors.New("both header copies are bad")
	errSlotFull   = errors.New("the slot file is full")
)

type slotPlace struct {
	at      int // number of the slot in the file
	version uint64
	data    []byte
}

// slotFile is used by the writer goroutine alone (and by Open before it starts).
type slotFile struct {
	f       File
	gen     [16]byte
	used    map[string]slotPlace
	free    []int // empty on disk
	dirty   []int // superseded or freed, not yet emptied on disk
	places  int   // slots the file has, headers included
	version uint64
	bytes   uint64 // written
}

// slotScan is what a slot file's bytes hold.
type slotScan struct {
	gen    [16]byte
	header bool // a header copy was good
	newer  bool // written by a newer program
	bad    int  // places that are neither empty nor whole, headers included
	lost   int  // of those, places that may have held a slot
	used   map[string]slotPlace
	free   []int
	stale  []int // older versions, bad places
	top    uint64
}

func encodeSlotHeader(gen [16]byte) []byte {
	b := make([]byte, slotSize)
	copy(b, headerMagic)
	binary.BigEndian.PutUint32(b[4:], slotLayout)
	copy(b[8:], gen[:])
	binary.BigEndian.PutUint32(b[252:], crc32.Checksum(b[:252], crc32.MakeTable(crc32.Castagnoli)))
	return b
}

func encodeSlotPlace(gen [16]byte, version uint64, key string, data []byte) []byte {
	b := make([]byte, slotSize)
	copy(b, slotMagic)
	b[4], b[5] = byte(len(key)), byte(len(data))
	binary.BigEndian.PutUint64(b[8:], version)
	copy(b[16:24], gen[:8])
	copy(b[24:88], key)
	copy(b[88:248], data)
	binary.BigEndian.PutUint32(b[252:], crc32.Checksum(b[:252], crc32.MakeTable(crc32.Castagnoli)))
	return b
}

// scanSlots reads any bytes as a slot file. It never fails: what is not whole
// is counted.
func scanSlots(b []byte) slotScan {
	s := slotScan{used: map[string]slotPlace{}}
	table := crc32.MakeTable(crc32.Castagnoli)
	whole := func(p []byte) bool {
		return binary.BigEndian.Uint32(p[252:]) == crc32.Checksum(p[:252], table)
	}
	zero := make([]byte, slotSize)
	for i := 0; (i+1)*slotSize <= len(b) && i < slotsMax; i++ {
		p := b[i*slotSize : (i+1)*slotSize]
		if i < slotSkip {
			switch {
			case !whole(p) || string(p[:4]) != headerMagic:
				s.bad++
			case binary.BigEndian.Uint32(p[4:]) > slotLayout:
				s.newer = true
			default:
				s.header, s.gen = true, [16]byte(p[8:24])
			}
			continue
		}
		if bytes.Equal(p, zero) {
			s.free = append(s.free, i)
			continue
		}
		nk, nd := int(p[4]), int(p[5])
		if !whole(p) || string(p[:4]) != slotMagic || nk == 0 || nk > queue.MaxStream || nd > queue.MaxSlotData ||
			s.header && !bytes.Equal(p[16:24], s.gen[:8]) {
			s.bad++
			s.lost++
			s.stale = append(s.stale, i)
			continue
		}
		n := slotPlace{at: i, version: binary.BigEndian.Uint64(p[8:]), data: append([]byte{}, p[88:88+nd]...)}
		key := string(p[24 : 24+nk])
		s.top = max(s.top, n.version)
		old, ok := s.used[key]
		switch {
		case !ok:
			s.used[key] = n
		case n.version > old.version:
			s.used[key] = n
			s.stale = append(s.stale, old.at)
		default:
			s.stale = append(s.stale, i)
		}
	}
	if len(b)%slotSize != 0 || len(b) < slotSkip*slotSize {
		s.bad++ // cut off
	}
	return s
}

// readSlots reads a slot file, nil if there is none. A read error counts as
// damage, not as absence.
func readSlots(fsys FS, path string) (scan *slotScan, err error) {
	n, err := size(fsys, path)
	if err != nil {
		return nil, err
	}
	if n < 0 {
		return nil, nil
	}
	f, err := fsys.Open(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, min(n, slotsMax*slotSize))
	got, err := f.ReadAt(b, 0)
	s := scanSlots(b[:got])
	if err != nil && err != io.EOF {
		s.bad++
	}
	return &s, nil
}

// createSlots writes a whole slot file under a temporary name and puts it in
// place.
func createSlots(fsys FS, path string, gen [16]byte, slots map[string][]byte) error {
	tmp := path + ".new"
	if err := removeIfThere(fsys, tmp); err != nil {
		return err
	}
	f, err := fsys.Open(tmp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	places := (slotSkip + len(slots) + slotChunk) / slotChunk * slotChunk
	b := make([]byte, 0, places*slotSize)
	b = append(append(b, encodeSlotHeader(gen)...), encodeSlotHeader(gen)...)
	v := uint64(0)
	for k, d := range slots {
		v++
		b = append(b, encodeSlotPlace(gen, v, k, d)...)
	}
	b = b[:places*slotSize] // the rest is zero
	if err := errors.Join(writeFull(f, b, 0), f.Sync(), f.Close()); err != nil {
		return errors.Join(err, removeIfThere(fsys, tmp))
	}
	return replace(fsys, tmp, path)
}

// writeFull turns a short write without an error into one with.
func writeFull(f File, b []byte, off int64) error {
	n, err := f.WriteAt(b, off)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	return err
}

// openSlots opens a slot file that was just scanned and found to agree with
// the log, or just created.
func openSlots(fsys FS, path string) (*slotFile, error) {
	scan, err := readSlots(fsys, path)
	if err == nil && (scan == nil || !scan.header) {
		err = errSlotHeader
	}
	if err != nil {
		return nil, fmt.Errorf("cannot open %s: %w", filepath.Base(path), err)
	}
	f, err := fsys.Open(path, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot open %s: %w", filepath.Base(path), err)
	}
	places := slotSkip + len(scan.free) + len(scan.stale) + len(scan.used)
	return &slotFile{f: f, gen: scan.gen, used: scan.used, free: scan.free, dirty: scan.stale, places: places, version: scan.top}, nil
}

// write makes the changes durable with one sync, if there is a slot to set.
// Frees alone are written without one: a freed slot may come back.
func (s *slotFile) write(free []string, set []queue.Slot) error {
	empty := make([]byte, slotSize)
	for _, at := range s.dirty {
		if err := s.put(empty, at); err != nil {
			return err
		}
		s.free = append(s.free, at)
	}
	s.dirty = s.dirty[:0]
	for _, k := range free {
		if p, ok := s.used[k]; ok {
			delete(s.used, k)
			s.dirty = append(s.dirty, p.at)
		}
	}
	if len(set) == 0 {
		return nil
	}
	if err := s.grow(len(set)); err != nil {
		return err
	}
	for _, w := range set {
		at := s.free[len(s.free)-1]
		s.free = s.free[:len(s.free)-1]
		s.version++
		if err := s.put(encodeSlotPlace(s.gen, s.version, w.Key, w.Data), at); err != nil {
			return err
		}
		if old, ok := s.used[w.Key]; ok {
			s.dirty = append(s.dirty, old.at)
		}
		s.used[w.Key] = slotPlace{at: at, version: s.version, data: append([]byte{}, w.Data...)}
	}
	return s.f.Sync()
}

func (s *slotFile) put(b []byte, at int) error {
	s.bytes += uint64(len(b))
	return writeFull(s.f, b, int64(at)*slotSize)
}

// grow makes at least n places free, with real blocks behind them.
func (s *slotFile) grow(n int) error {
	for len(s.free) < n {
		if s.places+slotChunk > slotsMax {
			return errSlotFull
		}
		if err := writeFull(s.f, make([]byte, slotChunk*slotSize), int64(s.places)*slotSize); err != nil {
			return err
		}
		s.bytes += slotChunk * slotSize
		for i := range slotChunk {
			s.free = append(s.free, s.places+i)
		}
		s.places += slotChunk
	}
	return nil
}

// close empties what was superseded, so that a clean end leaves no leftovers.
func (s *slotFile) close() error {
	var err error
	for len(s.dirty) > 0 && err == nil {
		err = s.write(nil, nil)
	}
	return errors.Join(err, s.f.Sync(), s.f.Close())
}

// abandon closes the file without another write, after a storage error.
func (s *slotFile) abandon() error { return s.f.Close() }

// list returns what the slots hold, by key.
func listSlots(used map[string]slotPlace) []queue.Slot {
	out := make([]queue.Slot, 0, len(used))
	for k, p := range used {
		out = append(out, queue.Slot{Key: k, Data: p.data})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Key < out[j].Key })
	return out
}
