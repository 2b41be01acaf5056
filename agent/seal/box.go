package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Class says how long sealed data can be opened.
type Class string

// The classes of decision 14. Time counts from the end of the day (UTC+8) the
// data belongs to, so nothing is forgotten early and at most a day late.
const (
	Short Class = "short" // 24 hours: what only the screens of the day need
	Long  Class = "long"  // what reconciliation needs, for as long as the caller of Forget says
)

// shortKeep is how long the class Short is kept after its day ended.
const shortKeep = 24 * time.Hour

func (c Class) known() bool { return c == Short || c == Long }

// classes in the order of their number in sealed data. Never reorder.
func classes() []Class { return []Class{Short, Long} }

// ErrForgotten is wrapped when the key of sealed data has been deleted: the
// data is gone for good, as it should be.
var ErrForgotten = errors.New("the data was forgotten: its key has been deleted")

// ErrSealed is wrapped when sealed data cannot be opened though its key is
// there: it was changed, or belongs to something else.
var ErrSealed = errors.New("the sealed data is damaged or belongs elsewhere")

// ErrHashKey is wrapped when the key of the hashes is gone while other keys
// are there: hashes made from now on would match none made before.
var ErrHashKey = errors.New("hash.key is missing")

// zone is the platforms' wall clock (decision 20).
func zone() *time.Location { return time.FixedZone("UTC+8", 8*60*60) }

const (
	keySize   = 32
	idSize    = 8
	nonceSize = 12
	// version 1: version(1) class(1) day(4) key id(8) nonce(12) ciphertext+tag.
	version    = 1
	headerSize = 1 + 1 + 4 + idSize
	// Overhead is how much longer sealed data is than its plain text, in bytes.
	Overhead = headerSize + nonceSize + 16
)

// Box seals and opens. It is safe for use by several goroutines; its folder
// belongs to one process.
type Box struct {
	dir  string
	rnd  io.Reader
	hash []byte

	mu   sync.Mutex
	keys map[string]key // by file name
}

type key struct {
	id   [idSize]byte
	aead cipher.AEAD
}

// Open opens the folder of keys, creating folder and hash key where they are
// missing. rnd gives random bytes; nil means crypto/rand. Left-over temporary
// files of a crash are removed.
func Open(dir string, rnd io.Reader) (*Box, error) {
	if rnd == nil {
		rnd = rand.Reader
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot create the folder of keys; check data_dir and its owner: %w", err)
	}
	names, err := keyNames(dir)
	if err != nil {
		return nil, err
	}
	for _, n := range names.temp {
		if err := removeIfThere(filepath.Join(dir, n)); err != nil {
			return nil, fmt.Errorf("cannot clear a left-over of a crash; check the owner of %s: %w", dir, err)
		}
	}
	b := &Box{dir: dir, rnd: rnd, keys: map[string]key{}}
	path := filepath.Join(dir, "hash.key")
	if b.hash, err = readKey(path); errors.Is(err, os.ErrNotExist) {
		if len(names.days) > 0 {
			return nil, fmt.Errorf("cannot use %s: %w; restore it from a copy, or move the folder away to start with new keys (repeated requests from before will not be recognised)", dir, ErrHashKey)
		}
		b.hash, err = b.newKey(path)
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

type names struct{ days, temp []string }

func keyNames(dir string) (names, error) {
	var out names
	list, err := os.ReadDir(dir)
	if err != nil {
		return out, fmt.Errorf("cannot list the keys; check the owner of %s: %w", dir, err)
	}
	for _, e := range list {
		if _, _, ok := parseName(e.Name()); ok {
			out.days = append(out.days, e.Name())
		} else if strings.HasPrefix(e.Name(), tempPrefix) {
			out.temp = append(out.temp, e.Name())
		}
	}
	return out, nil
}

// Key files are called after their day and class, e.g. 20260301-long.key.
func fileName(day int, c Class) string { return fmt.Sprintf("%s-%s.key", dayText(day), c) }

func dayText(day int) string { return time.Unix(int64(day)*86400, 0).UTC().Format("20060102") }

func parseName(name string) (day int, c Class, ok bool) {
	base, isKey := strings.CutSuffix(name, ".key")
	text, class, two := strings.Cut(base, "-")
	t, err := time.Parse("20060102", text)
	if !isKey || !two || err != nil || !Class(class).known() {
		return 0, "", false
	}
	return int(t.Unix() / 86400), Class(class), true
}

// dayOf numbers the UTC+8 day of an instant, from 1970-01-01.
func dayOf(t time.Time) int {
	_, offset := t.In(zone()).Zone()
	s := t.Unix() + int64(offset)
	d := s / 86400
	if s%86400 < 0 {
		d--
	}
	return int(d)
}

// endOf is the end of a numbered day.
func endOf(day int) time.Time { return time.Unix(int64(day+1)*86400-8*3600, 0) }

// Seal encrypts plain for the day on which the order was made. aad is bound to
// it and must be the same when it is opened: the order's number, so that one
// order's data cannot be put under another.
func (b *Box) Seal(created time.Time, c Class, plain, aad []byte) ([]byte, error) {
	if !c.known() {
		return nil, fmt.Errorf("cannot seal: there is no retention class %q; use short or long", c)
	}
	day := dayOf(created)
	if day < 0 || day > 1<<20 {
		return nil, errors.New("cannot seal: the day is not one of this era; correct the clock")
	}
	k, err := b.key(day, c, true)
	if err != nil {
		return nil, err
	}
	out := make([]byte, headerSize+nonceSize, Overhead+len(plain))
	out[0] = version
	for i, known := range classes() {
		if known == c {
			out[1] = byte(i)
		}
	}
	binary.BigEndian.PutUint32(out[2:], uint32(day))
	copy(out[6:], k.id[:])
	nonce := out[headerSize:]
	if _, err := io.ReadFull(b.rnd, nonce); err != nil {
		return nil, fmt.Errorf("cannot seal: no random numbers: %w", err)
	}
	return k.aead.Seal(out, nonce, plain, bind(out[:headerSize], aad)), nil
}

// Open decrypts. The error wraps ErrForgotten or ErrSealed, or tells that the
// key could not be read.
func (b *Box) Open(sealed, aad []byte) ([]byte, error) {
	if len(sealed) < Overhead || sealed[0] != version || int(sealed[1]) >= len(classes()) {
		return nil, fmt.Errorf("cannot open: %w", ErrSealed)
	}
	day := binary.BigEndian.Uint32(sealed[2:])
	if day > 1<<20 {
		return nil, fmt.Errorf("cannot open: %w", ErrSealed)
	}
	k, err := b.key(int(day), classes()[sealed[1]], false)
	if err != nil {
		return nil, err
	}
	if string(k.id[:]) != string(sealed[6:headerSize]) {
		// The day has another key now: ours was deleted and the clock went back.
		return nil, fmt.Errorf("cannot open: %w", ErrForgotten)
	}
	plain, err := k.aead.Open(nil, sealed[headerSize:headerSize+nonceSize], sealed[headerSize+nonceSize:], bind(sealed[:headerSize], aad))
	if err != nil {
		return nil, fmt.Errorf("cannot open: %w", ErrSealed)
	}
	return plain, nil
}

func bind(header, aad []byte) []byte {
	return append(append(make([]byte, 0, len(header)+len(aad)), header...), aad...)
}

func (b *Box) key(day int, c Class, create bool) (key, error) {
	name := fileName(day, c)
	b.mu.Lock()
	defer b.mu.Unlock()
	if k, ok := b.keys[name]; ok {
		return k, nil
	}
	path := filepath.Join(b.dir, name)
	raw, err := readKey(path)
	if errors.Is(err, os.ErrNotExist) {
		if !create {
			return key{}, fmt.Errorf("cannot open: %w", ErrForgotten)
		}
		raw, err = b.newKey(path)
	}
	if err != nil {
		return key{}, err
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		return key{}, fmt.Errorf("cannot use the key %s: %w", path, err)
	}
	k := key{}
	if k.aead, err = cipher.NewGCM(block); err != nil {
		return key{}, fmt.Errorf("cannot use the key %s: %w", path, err)
	}
	sum := sha256.Sum256(append([]byte("payagent key id\x00"), raw...))
	copy(k.id[:], sum[:])
	b.keys[name] = k
	return k, nil
}

func (b *Box) newKey(path string) ([]byte, error) {
	raw := make([]byte, keySize)
	if _, err := io.ReadFull(b.rnd, raw); err != nil {
		return nil, fmt.Errorf("cannot make a key: no random numbers: %w", err)
	}
	if err := WriteFile(path, []byte(hex.EncodeToString(raw)+"\n")); err != nil {
		return nil, err
	}
	return raw, nil
}

func readKey(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read a key: %w", err)
	}
	if tooOpen(info) {
		return nil, fmt.Errorf("cannot use the key %s: other users can read it; run chmod 600 on it", path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read a key; check its owner: %w", err)
	}
	raw, err := hex.DecodeString(strings.TrimSuffix(string(data), "\n"))
	if err != nil || len(raw) != keySize {
		return nil, fmt.Errorf("cannot use the key %s: it is damaged; restore it from a copy, or remove it and lose what it sealed", path)
	}
	return raw, nil
}

// Forget deletes every key whose data is past its age and returns how many;
// long is the age of the class Long, from the end of its day. It
// never deletes for a clock that went back; a clock that jumps far ahead
// forgets early, so call it with a clock that is believed.
func (b *Box) Forget(now time.Time, long time.Duration) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	list, err := keyNames(b.dir)
	if err != nil {
		return 0, err
	}
	gone, errs := 0, []error(nil)
	for _, name := range list.days {
		day, c, _ := parseName(name)
		keep := shortKeep
		if c == Long {
			keep = long
		}
		if now.Before(endOf(day).Add(keep)) {
			continue
		}
		delete(b.keys, name)
		if err := removeIfThere(filepath.Join(b.dir, name)); err != nil {
			errs = append(errs, fmt.Errorf("cannot forget a key; remove it by hand: %w", err))
			continue
		}
		gone++
	}
	if gone > 0 {
		if err := SyncDir(b.dir); err != nil {
			errs = append(errs, fmt.Errorf("cannot make the removal of keys durable; check the disk: %w", err))
		}
	}
	return gone, errors.Join(errs...)
}
