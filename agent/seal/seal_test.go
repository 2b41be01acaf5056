package seal_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"payagent/agent/seal"
	"payagent/platforms"
)

var (
	utc8 = time.FixedZone("UTC+8", 8*3600)
	day  = time.Date(2026, 3, 1, 9, 30, 0, 0, utc8)
)

func open(t *testing.T, dir string) *seal.Box {
	t.Helper()
	b, err := seal.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustSeal(t *testing.T, b *seal.Box, at time.Time, c seal.Class, plain, aad string) []byte {
	t.Helper()
	s, err := b.Seal(at, c, []byte(plain), []byte(aad))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSealAndOpen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	b := open(t, dir)
	for _, c := range []seal.Class{seal.Short, seal.Long} {
		for _, plain := range []string{"", "张三丰", strings.Repeat("x", 5000)} {
			s := mustSeal(t, b, day, c, plain, "MZ1")
			if len(s) != len(plain)+seal.Overhead {
				t.Errorf("overhead %d", len(s)-len(plain))
			}
			if plain != "" && bytes.Contains(s, []byte(plain)) {
				t.Error("the text is not sealed")
			}
			for _, b := range []*seal.Box{b, open(t, dir)} { // before and after a restart
				got, err := b.Open(s, []byte("MZ1"))
				if err != nil || string(got) != plain {
					t.Errorf("got %q %v", got, err)
				}
			}
			if _, err := b.Open(s, []byte("MZ2")); !errors.Is(err, seal.ErrSealed) {
				t.Errorf("opened under another order: %v", err)
			}
		}
	}
	if bytes.Equal(mustSeal(t, b, day, seal.Long, "x", ""), mustSeal(t, b, day, seal.Long, "x", "")) {
		t.Error("the same text sealed twice looks the same")
	}
	if _, err := b.Seal(day, "forever", nil, nil); err == nil {
		t.Error("an unknown class was accepted")
	}
	if _, err := b.Seal(time.Time{}, seal.Long, nil, nil); err == nil {
		t.Error("the year 1 was accepted as a day")
	}
}

func TestEveryFlippedBitIsSeen(t *testing.T) {
	b := open(t, t.TempDir())
	s := mustSeal(t, b, day, seal.Long, "张三丰", "MZ1")
	for i := range len(s) * 8 {
		bad := bytes.Clone(s)
		bad[i/8] ^= 1 << (i % 8)
		if got, err := b.Open(bad, []byte("MZ1")); err == nil {
			t.Fatalf("bit %d: opened as %q", i, got)
		} else if !errors.Is(err, seal.ErrSealed) && !errors.Is(err, seal.ErrForgotten) {
			t.Fatalf("bit %d: %v", i, err)
		}
	}
	for n := range len(s) {
		if _, err := b.Open(s[:n], []byte("MZ1")); !errors.Is(err, seal.ErrSealed) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	b, err := seal.Open(f.TempDir(), nil)
	if err != nil {
		f.Fatal(err)
	}
	s, err := b.Seal(day, seal.Long, []byte("text"), []byte("a"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(s)
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := b.Open(data, []byte("a"))
		if err == nil && !bytes.Equal(data, s) {
			t.Fatalf("something we did not seal opened as %q", got)
		}
	})
}

// A key is one day's of UTC+8, and forgetting is deleting it: not before the
// age of its class has passed since the day's end, and for good.
func TestForget(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	late := time.Date(2026, 3, 1, 23, 59, 59, 0, utc8)
	next := late.Add(time.Second) // already the next day
	short := mustSeal(t, b, late, seal.Short, "s", "")
	long := mustSeal(t, b, day, seal.Long, "l", "")
	other := mustSeal(t, b, next, seal.Long, "n", "")
	if files, err := filepath.Glob(filepath.Join(dir, "2026*.key")); err != nil || len(files) != 3 {
		t.Fatalf("key files %v %v", files, err)
	}
	end := next // the end of the first day
	steps := []struct {
		now              time.Time
		gone             int
		sOK, lOK, nextOK bool
	}{
		{time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC), 0, true, true, true}, // a clock that went back
		{end.Add(24*time.Hour - 1), 0, true, true, true},
		{end.Add(24 * time.Hour), 1, false, true, true},
		{end.Add(35*24*time.Hour - 1), 0, false, true, true},
		{end.Add(35 * 24 * time.Hour), 1, false, false, true},
		{end.Add(36 * 24 * time.Hour), 1, false, false, false},
	}
	for i, st := range steps {
		gone, err := b.Forget(st.now, 35*24*time.Hour)
		if err != nil || gone != st.gone {
			t.Errorf("step %d: %d keys gone, want %d (%v)", i, gone, st.gone, err)
		}
		for _, b := range []*seal.Box{b, open(t, dir)} {
			for name, x := range map[string]struct {
				sealed []byte
				ok     bool
			}{"short": {short, st.sOK}, "long": {long, st.lOK}, "next": {other, st.nextOK}} {
				_, err := b.Open(x.sealed, nil)
				if x.ok && err != nil || !x.ok && !errors.Is(err, seal.ErrForgotten) {
					t.Errorf("step %d, %s: %v", i, name, err)
				}
			}
		}
	}
	// A clock that went back makes the day a new key; the old text stays forgotten.
	mustSeal(t, b, day, seal.Long, "again", "")
	if _, err := b.Open(long, nil); !errors.Is(err, seal.ErrForgotten) {
		t.Errorf("forgotten text under a new key of the same day: %v", err)
	}
}

func TestKeyFiles(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	s := mustSeal(t, b, day, seal.Long, "x", "")
	list, err := os.ReadDir(dir)
	if err != nil || len(list) != 2 {
		t.Fatal(list, err)
	}
	for _, e := range list {
		info, err := e.Info()
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v %v", e.Name(), info.Mode(), err)
		}
	}
	path := filepath.Join(dir, "20260301-long.key")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for what, breakIt := range map[string]func() error{
		"damaged":          func() error { return os.WriteFile(path, []byte("zz\n"), 0o600) },
		"half":             func() error { return os.WriteFile(path, good[:20], 0o600) },
		"others can read":  func() error { return os.Chmod(path, 0o644) },
		"a folder instead": func() error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
	} {
		if err := errors.Join(os.RemoveAll(path), os.WriteFile(path, good, 0o600), breakIt()); err != nil {
			t.Fatal(err)
		}
		_, err := open(t, dir).Open(s, nil)
		if err == nil || errors.Is(err, seal.ErrForgotten) || !strings.HasPrefix(err.Error(), "cannot ") {
			t.Errorf("%s: %v", what, err)
		}
		if err != nil && strings.Contains(err.Error(), string(good[:16])) {
			t.Errorf("%s: the error holds the key", what)
		}
	}
}

func TestLeftOversOfACrash(t *testing.T) {
	dir := t.TempDir()
	open(t, dir)
	left := filepath.Join(dir, ".new-123")
	if err := os.WriteFile(left, []byte("half a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the left-over is still there: %v", err)
	}
}

func TestHashKey(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	text := platforms.Hide("134567890123456789")
	h := b.Hash("code", text)
	if len(h) != 32 || strings.Trim(h, "0123456789abcdef") != "" {
		t.Errorf("not 128 bits in hex: %s", h)
	}
	if b.Hash("code", text) != h || open(t, dir).Hash("code", text) != h {
		t.Error("the hash is not the same again")
	}
	for name, other := range map[string]string{
		"another domain": b.Hash("card", text), "another text": b.Hash("code", platforms.Hide("134567890123456780")),
		"a moved border": b.Hash("code1", platforms.Hide("34567890123456789")), "another key": open(t, t.TempDir()).Hash("code", text),
		"no text": b.Hash("code", platforms.Hidden{}),
	} {
		if other == h {
			t.Errorf("%s gives the same hash", name)
		}
	}
	mustSeal(t, b, day, seal.Long, "x", "")
	if err := os.Remove(filepath.Join(dir, "hash.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := seal.Open(dir, nil); !errors.Is(err, seal.ErrHashKey) {
		t.Errorf("a lost hash key was replaced in silence: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "hash.key")); !errors.Is(err, os.ErrNotExist) {
		t.Error("a new hash key was written")
	}
}

func TestManyAtOnce(t *testing.T) {
	b := open(t, t.TempDir())
	var wg sync.WaitGroup
	sealed := make([][]byte, 16)
	for i := range sealed {
		wg.Go(func() {
			s, err := b.Seal(day, seal.Long, []byte{byte(i)}, nil)
			if err != nil {
				t.Error(err)
				return
			}
			sealed[i] = s
		})
	}
	wg.Wait()
	for i, s := range sealed {
		if got, err := b.Open(s, nil); err != nil || got[0] != byte(i) {
			t.Errorf("%d: %v %v", i, got, err)
		}
	}
}

func TestNoRandomNumbers(t *testing.T) {
	if _, err := seal.Open(t.TempDir(), bytes.NewReader(nil)); err == nil {
		t.Error("a key was made of nothing")
	}
	b, err := seal.Open(t.TempDir(), bytes.NewReader(make([]byte, 32+32+5)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Seal(day, seal.Long, nil, nil); err == nil {
		t.Error("a nonce was made of too few bytes")
	}
	if _, err := seal.OrderNumber("MZ", day, bytes.NewReader(make([]byte, 15))); err == nil {
		t.Error("an order number was made of too few bytes")
	}
}

func TestFolderThatCannotBeUsed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := seal.Open(path, nil); err == nil {
		t.Error("a file was accepted as the folder")
	}
	if err := seal.WriteFile(filepath.Join(path, "x"), nil); err == nil {
		t.Error("written below a file")
	}
	dir := filepath.Join(t.TempDir(), "target")
	if err := os.MkdirAll(filepath.Join(dir, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := seal.WriteFile(dir, []byte("x")); err == nil {
		t.Error("a folder was replaced by a file")
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(dir), ".new-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("a failed write left %v", left)
	}
}

func TestOrderNumber(t *testing.T) {
	seen := map[string]bool{}
	for range 2000 {
		n, err := seal.OrderNumber("ZJMZ", time.Date(2026, 2, 28, 16, 0, 0, 0, time.UTC), nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(n) != 26 || !strings.HasPrefix(n, "ZJMZ260301") || strings.Trim(n, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
			t.Fatalf("order number %s", n)
		}
		if seen[n] {
			t.Fatal("the same number twice")
		}
		seen[n] = true
	}
	if n, err := seal.OrderNumber(strings.Repeat("z", seal.MaxPrefix), day, nil); err != nil || len(n) != 32 {
		t.Errorf("the longest prefix: %s %v", n, err)
	}
	for _, bad := range []string{strings.Repeat("Z", seal.MaxPrefix+1), "Z-", "门"} {
		if _, err := seal.OrderNumber(bad, day, nil); err == nil {
			t.Errorf("prefix %q was accepted", bad)
		}
	}
}

// No letter is likelier than another. A seeded source, so the counts are the
// same each time; taking the byte modulo 36 alone puts the first four letters
// more than 1100 above the others' mean and fails this.
func TestOrderNumberIsUnbiased(t *testing.T) {
	src, count := rand.NewChaCha8([32]byte{1}), map[rune]int{}
	const numbers = 20000
	for range numbers {
		n, err := seal.OrderNumber("", day, src)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range n[6:] {
			count[c]++
		}
	}
	for _, c := range "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ" {
		if off := count[c] - numbers*16/36; off > 500 || off < -500 {
			t.Errorf("%c comes %d times too often", c, off)
		}
	}
}

func TestReadSecret(t *testing.T) {
	dir := t.TempDir()
	write := func(text string, mode os.FileMode) string {
		p := filepath.Join(dir, fmt.Sprint(len(text), mode))
		if err := errors.Join(os.WriteFile(p, []byte(text), mode), os.Chmod(p, mode)); err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, tc := range []struct {
		text, want string
		mode       os.FileMode
		shared     bool
	}{
		{"token\n", "token", 0o600, false}, {"\ufeff tok en \r\n\n", "tok en", 0o600, false}, {"t", "t", 0o640, true},
	} {
		got, shared, err := seal.ReadSecret(write(tc.text, tc.mode))
		if err != nil || got.Reveal() != tc.want || shared != tc.shared {
			t.Errorf("%q: %q %v %v", tc.text, got.Reveal(), shared, err)
		}
	}
	const secret = "verysecret"
	for _, bad := range []string{"", " \n", secret + "\nsecond", secret + "\x00", strings.Repeat(secret, 1000)} {
		_, _, err := seal.ReadSecret(write(bad, 0o600))
		if err == nil || strings.Contains(err.Error(), secret) || !strings.HasPrefix(err.Error(), "cannot use") {
			t.Errorf("%d bytes: %v", len(bad), err)
		}
	}
	for _, p := range []string{filepath.Join(dir, "none"), dir} {
		if _, _, err := seal.ReadSecret(p); err == nil || !strings.HasPrefix(err.Error(), "cannot read") {
			t.Errorf("%s: %v", p, err)
		}
	}
}

// TestReadKey: a key may have lines; a private one that others read is refused.
func TestReadKey(t *testing.T) {
	file := filepath.Join(t.TempDir(), "own.key")
	write := func(text string, mode os.FileMode) {
		if err := os.WriteFile(file, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
	}
	const pem = "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----"
	write("\ufeff"+pem+"\n", 0o600)
	if got, err := seal.ReadKey(file, true); err != nil || got.Reveal() != pem {
		t.Errorf("%q, %v", got.Reveal(), err)
	}
	write(pem, 0o640)
	if _, err := seal.ReadKey(file, true); runtime.GOOS != "windows" && (err == nil || !strings.Contains(err.Error(), "chmod 600")) {
		t.Errorf("a key that others read: %v", err)
	}
	if _, err := seal.ReadKey(file, false); err != nil {
		t.Errorf("a public key that others read: %v", err)
	}
	for name, text := range map[string]string{"empty": " \n", "zero": "a\x00b", "long": strings.Repeat("A", 17<<10)} {
		write(text, 0o600)
		if _, err := seal.ReadKey(file, true); err == nil || strings.Contains(err.Error(), "AAAA") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := seal.ReadKey(file+".none", true); err == nil {
		t.Error("a file that is not there is read")
	}
	write(pem, 0o600)
	if _, _, err := seal.ReadSecret(file); err == nil {
		t.Error("a secret of several lines is read")
	}
}
