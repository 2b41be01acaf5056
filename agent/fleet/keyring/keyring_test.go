package keyring

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"payagent/agent/fleet"
	"payagent/agent/signed"
)

const quick = 2 // N of scrypt, so that tests are

func word(s string) Passphrase { return func() (string, error) { return s, nil } }

func TestKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ops.keys")
	a, err := create(path, "ops-2026", []string{fleet.RoleOperate, fleet.RoleConfig}, word("correct horse battery"), rand.Reader, quick)
	if err != nil {
		t.Fatal(err)
	}
	b, err := create(path, "rel-2026", []string{fleet.RoleRelease}, word("correct horse battery"), rand.Reader, quick)
	if err != nil {
		t.Fatal(err)
	}
	shown, err := Show(path)
	if err != nil || len(shown) != 2 || !shown[0].Public.Equal(a.Public) || !shown[1].Public.Equal(b.Public) {
		t.Fatal(shown, err)
	}
	if got := Entry(shown[1]); !strings.HasPrefix(got, "- {id: rel-2026, roles: [release], public: \"") {
		t.Error(got)
	}
	list, err := Load(path, word("correct horse battery"))
	if err != nil || len(list) != 2 {
		t.Fatal(list, err)
	}
	doc, err := signed.Seal(fleet.TypeCommand, []byte("{}"), list...)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := signed.Open(doc, fleet.TypeCommand, shown); err != nil || d.Signed(fleet.RoleOperate) != 1 || d.Signed(fleet.RoleRelease) != 1 {
		t.Error(d, err)
	}
	if _, err := Load(path, word("correct horse batterz")); !errors.Is(err, ErrPassphrase) {
		t.Error("another passphrase opened it:", err)
	}
	if _, err := create(path, "third", []string{fleet.RoleOperate}, word("another passphrase"), rand.Reader, quick); !errors.Is(err, ErrPassphrase) {
		t.Error("a key under another passphrase was added:", err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range list {
		if bytes.Contains(data, p.Key.Seed()) {
			t.Error("the key stands in the file")
		}
	}
}

// TestRolesAreBound: whoever changes what a key may do, or whose it is, in the
// file, is noticed.
func TestRolesAreBound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k")
	if _, err := create(path, "ops", []string{fleet.RoleOperate}, word("correct horse battery"), rand.Reader, quick); err != nil {
		t.Fatal(err)
	}
	for _, change := range []func(*entry){
		func(e *entry) { e.Roles = []string{fleet.RoleRelease} },
		func(e *entry) { e.ID = "other" },
		func(e *entry) { e.Public[0] ^= 1 },
		func(e *entry) { e.Sealed[0] ^= 1 },
		func(e *entry) { e.Nonce = e.Nonce[:3] },
	} {
		f, err := read(path)
		if err != nil {
			t.Fatal(err)
		}
		change(&f.Keys[0])
		data, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		other := filepath.Join(t.TempDir(), "k")
		if err := os.WriteFile(other, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(other, word("correct horse battery")); err == nil {
			t.Errorf("%+v was taken", f.Keys[0])
		}
	}
}

func TestRefused(t *testing.T) {
	dir := t.TempDir()
	for name, try := range map[string]func(path string) error{
		"name": func(p string) error {
			_, err := New(p, "a b", []string{"operate"}, word("correct horse battery"))
			return err
		},
		"rôle": func(p string) error {
			_, err := New(p, "a", []string{"admin"}, word("correct horse battery"))
			return err
		},
		"twice": func(p string) error {
			_, err := New(p, "a", []string{"operate", "operate"}, word("correct horse battery"))
			return err
		},
		"none":    func(p string) error { _, err := New(p, "a", nil, word("correct horse battery")); return err },
		"short":   func(p string) error { _, err := New(p, "a", []string{"operate"}, word("short")); return err },
		"missing": func(p string) error { _, err := Load(p, word("x")); return err },
		"gave up": func(p string) error {
			_, err := New(p, "a", []string{"operate"}, func() (string, error) { return "", errors.New("cannot ask") })
			return err
		},
	} {
		path := filepath.Join(dir, name)
		if err := try(path); err == nil {
			t.Errorf("%s was taken", name)
		}
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s left a file", name)
		}
	}
	path := filepath.Join(dir, "open")
	if _, err := create(path, "a", []string{"operate"}, word("correct horse battery"), rand.Reader, quick); err != nil {
		t.Fatal(err)
	}
	if _, err := create(path, "a", []string{"operate"}, word("correct horse battery"), rand.Reader, quick); err == nil {
		t.Error("a name was used twice")
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Show(path); err == nil || !strings.Contains(err.Error(), "chmod") {
		t.Error("a file that everybody can read was taken:", err)
	}
}

func FuzzDecode(f *testing.F) {
	path := filepath.Join(f.TempDir(), "k")
	if _, err := create(path, "ops", []string{fleet.RoleOperate}, word("correct horse battery"), rand.Reader, quick); err != nil {
		f.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if k, err := decode(data); err == nil && (k.N > maxN || len(k.Keys) == 0) {
			t.Errorf("%+v", k)
		}
	})
}
