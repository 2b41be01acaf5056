// Package keyring keeps the private keys that sign commands, configurations
// and updates, in files that a passphrase locks. It is the fleet side's alone;
// boxes only know the public halves (fleet.keys).
//
// A file holds one or more keys under one passphrase: each is sealed with
// AES-256-GCM under a key that scrypt makes of the passphrase and the file's
// salt. Name, rôles and public key stand in clear and are bound to what is
// sealed. Two people who must both sign have a file each.
package keyring

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/crypto/scrypt"

	"payagent/agent/fleet"
	"payagent/agent/seal"
	"payagent/agent/signed"
)

// ErrPassphrase is wrapped when a file does not open with the passphrase given.
var ErrPassphrase = errors.New("the passphrase does not fit")

// Passphrase asks for a passphrase. It is called once per file, and not at all
// where nothing needs it.
type Passphrase func() (string, error)

// MinPassphrase is the least length of a new passphrase, in characters.
const MinPassphrase = 12

// The cost of trying one passphrase: N, r and p of scrypt; 64 MiB of memory.
const (
	workN, workR, workP = 1 << 16, 8, 1
	maxN                = 1 << 20 // a file that asks for more is refused
	maxFile             = 1 << 20
	maxKeys             = 64
)

type file struct {
	Format string  `json:"format"`
	KDF    string  `json:"kdf"`
	N      int     `json:"n"`
	R      int     `json:"r"`
	P      int     `json:"p"`
	Salt   []byte  `json:"salt"`
	Keys   []entry `json:"keys"`
}

type entry struct {
	ID     string   `json:"id"`
	Roles  []string `json:"roles"`
	Public []byte   `json:"public"`
	Nonce  []byte   `json:"nonce"`
	Sealed []byte   `json:"sealed"` // the seed of the private key
}

const format = "payagent keyring 1"

// bound is what the sealed part vouches for besides itself.
func (e entry) bound() []byte {
	return []byte(strings.Join([]string{format, e.ID, strings.Join(e.Roles, ","), base64.StdEncoding.EncodeToString(e.Public)}, "\n"))
}

var nameRule = regexp.MustCompile(`^[A-Za-z0-9._-]{1,48}$`)

// New makes a key and adds it to the file at path, which is made where it is
// not there. A file that is there must open with the same passphrase.
func New(path, id string, roles []string, pass Passphrase) (signed.Key, error) {
	return create(path, id, roles, pass, rand.Reader, workN)
}

// NewAt is New with another cost of trying a passphrase: N of scrypt, a power of
// two. Tests take a small one; nobody else should.
func NewAt(cost int, path, id string, roles []string, pass Passphrase) (signed.Key, error) {
	return create(path, id, roles, pass, rand.Reader, cost)
}

func create(path, id string, roles []string, pass Passphrase, rnd io.Reader, n int) (signed.Key, error) {
	if !nameRule.MatchString(id) {
		return signed.Key{}, fmt.Errorf("cannot make a key named %q; use 1 to 48 letters, digits, dots, hyphens or underscores", id)
	}
	if err := checkRoles(roles); err != nil {
		return signed.Key{}, err
	}
	f, err := read(path)
	if errors.Is(err, fs.ErrNotExist) {
		f = file{Format: format, KDF: "scrypt", N: n, R: workR, P: workP, Salt: make([]byte, 16)}
		_, err = io.ReadFull(rnd, f.Salt)
	}
	if err != nil {
		return signed.Key{}, err
	}
	if slices.ContainsFunc(f.Keys, func(e entry) bool { return e.ID == id }) || len(f.Keys) >= maxKeys {
		return signed.Key{}, fmt.Errorf("cannot add key %s: %s has one of that name, or %d already; choose another name or file", id, path, maxKeys)
	}
	word, err := pass()
	if err != nil {
		return signed.Key{}, err
	}
	if len(f.Keys) == 0 && len([]rune(word)) < MinPassphrase {
		return signed.Key{}, fmt.Errorf("cannot take so short a passphrase: it has less than %d characters; whoever copies the file can try millions of short ones", MinPassphrase)
	}
	aead, err := f.lock(word)
	if err != nil {
		return signed.Key{}, err
	}
	for _, e := range f.Keys {
		if _, err := e.open(aead, path); err != nil {
			return signed.Key{}, err
		}
	}
	public, private, err := ed25519.GenerateKey(rnd)
	if err != nil {
		return signed.Key{}, fmt.Errorf("cannot make a key: %w", err)
	}
	e := entry{ID: id, Roles: slices.Clone(roles), Public: public, Nonce: make([]byte, aead.NonceSize())}
	if _, err := io.ReadFull(rnd, e.Nonce); err != nil {
		return signed.Key{}, fmt.Errorf("cannot make a key: %w", err)
	}
	e.Sealed = aead.Seal(nil, e.Nonce, private.Seed(), e.bound())
	f.Keys = append(f.Keys, e)
	data, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return signed.Key{}, err
	}
	return e.key(), seal.WriteFile(path, append(data, '\n'))
}

func checkRoles(roles []string) error {
	known := []string{fleet.RoleOperate, fleet.RoleConfig, fleet.RoleRelease}
	if len(roles) == 0 {
		return fmt.Errorf("cannot make a key without a rôle; name one or more of %s", strings.Join(known, ", "))
	}
	for i, r := range roles {
		if !slices.Contains(known, r) || slices.Contains(roles[:i], r) {
			return fmt.Errorf("cannot make a key with rôle %q; name each of %s at most once", r, strings.Join(known, ", "))
		}
	}
	return nil
}

// Show lists the public halves in a file. No passphrase is needed.
func Show(path string) ([]signed.Key, error) {
	f, err := read(path)
	if err != nil {
		return nil, err
	}
	var list []signed.Key
	for _, e := range f.Keys {
		list = append(list, e.key())
	}
	return list, nil
}

// Load opens every key of a file. An error that wraps [ErrPassphrase] means
// that the passphrase does not fit, or that the file was changed.
func Load(path string, passphrase func() (string, error)) ([]signed.Private, error) {
	f, err := read(path)
	if err != nil {
		return nil, err
	}
	word, err := passphrase()
	if err != nil {
		return nil, err
	}
	aead, err := f.lock(word)
	if err != nil {
		return nil, err
	}
	var list []signed.Private
	for _, e := range f.Keys {
		k, err := e.open(aead, path)
		if err != nil {
			return nil, err
		}
		list = append(list, signed.Private{ID: e.ID, Key: k})
	}
	return list, nil
}

// Entry prints a key as it stands in the configuration of the boxes.
func Entry(k signed.Key) string {
	return fmt.Sprintf("- {id: %s, roles: [%s], public: %q}", k.ID, strings.Join(k.Roles, ", "), base64.StdEncoding.EncodeToString(k.Public))
}

func (e entry) key() signed.Key {
	return signed.Key{ID: e.ID, Roles: slices.Clone(e.Roles), Public: ed25519.PublicKey(bytes.Clone(e.Public))}
}

func (e entry) open(aead cipher.AEAD, path string) (ed25519.PrivateKey, error) {
	if len(e.Nonce) != aead.NonceSize() {
		return nil, damaged(path)
	}
	seed, err := aead.Open(nil, e.Nonce, e.Sealed, e.bound())
	if err != nil {
		return nil, fmt.Errorf("cannot open key %s in %s: %w, or the file was changed", e.ID, path, ErrPassphrase)
	}
	if len(seed) != ed25519.SeedSize {
		return nil, damaged(path)
	}
	k := ed25519.NewKeyFromSeed(seed)
	if !k.Public().(ed25519.PublicKey).Equal(ed25519.PublicKey(e.Public)) {
		return nil, damaged(path)
	}
	return k, nil
}

func (f file) lock(word string) (cipher.AEAD, error) {
	k, err := scrypt.Key([]byte(word), f.Salt, f.N, f.R, f.P, 32)
	if err != nil {
		return nil, fmt.Errorf("cannot use the passphrase: %w", err)
	}
	block, err := aes.NewCipher(k)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func damaged(path string) error {
	return fmt.Errorf("cannot use %s: it is no key file of payfleet, or damaged; take the copy that was kept", path)
}

func read(path string) (file, error) {
	info, err := os.Stat(path)
	if err != nil {
		return file{}, fmt.Errorf("cannot open the key file; make one with payfleet key new: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return file{}, fmt.Errorf("cannot use %s: other users of this machine can read it; run chmod 600 on it", path)
	}
	if info.Size() > maxFile {
		return file{}, damaged(path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return file{}, fmt.Errorf("cannot read the key file: %w", err)
	}
	f, err := decode(data)
	if err != nil {
		return file{}, damaged(path)
	}
	return f, nil
}

func decode(data []byte) (file, error) {
	var f file
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return file{}, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return file{}, errors.New("more follows")
	}
	good := f.Format == format && f.KDF == "scrypt" && f.N >= 2 && f.N <= maxN && f.N&(f.N-1) == 0 && f.R == workR && f.P == workP &&
		len(f.Salt) >= 16 && len(f.Keys) > 0 && len(f.Keys) <= maxKeys
	for _, e := range f.Keys {
		good = good && nameRule.MatchString(e.ID) && checkRoles(e.Roles) == nil && len(e.Public) == ed25519.PublicKeySize
	}
	if !good {
		return file{}, errors.New("the form is wrong")
	}
	return f, nil
}
