// Package access says who may call: tokens with a name, a till and scopes
// (decision 23). Only their hashes are on disk. A token is random, 256 bits,
// so a plain hash of it cannot be turned back.
package access

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"payagent/agent/seal"
	"payagent/platforms"
)

// Scope is one thing that a token allows. No scope contains another.
type Scope string

// The scopes.
const (
	Collect Scope = "collect" // make, see, check and cancel orders
	Refund  Scope = "refund"  // give money back
	Admin   Scope = "admin"   // health, metrics, events of all tills, resolve all now
	Screen  Scope = "screen"  // see the screen of one till
	Resolve Scope = "resolve" // say, with evidence, how something in doubt ended, and confirm it
	// Operators says that whoever holds the token has checked who its operators
	// are (a HIS with its own log-in), so that two of them are two persons. Any
	// other token is one person for what needs two.
	Operators Scope = "operators"
)

// Scopes lists them all.
func Scopes() []Scope { return []Scope{Collect, Refund, Admin, Screen, Resolve, Operators} }

// Token is what is known of a token. The token itself is known to its holder.
type Token struct {
	Name    string    `json:"name"`
	Till    string    `json:"till,omitempty"` // empty: every till
	Scopes  []Scope   `json:"scopes"`
	Created time.Time `json:"created"`
	Hash    string    `json:"hash"`         // SHA-256 of the token, hex
	By      string    `json:"by,omitempty"` // who made it
}

// Allows tells whether the token may do something at a till. An empty till
// stands for what concerns no till or all of them: a token bound to a till may
// not.
func (t Token) Allows(s Scope, till string) bool {
	return slices.Contains(t.Scopes, s) && (t.Till == "" || t.Till == till)
}

// Store is the list of tokens in one file. It is safe for use by several
// goroutines. Check sees a change that another process (payagent token add)
// made to the file; two processes must not change it at the same moment.
type Store struct {
	path string
	rnd  io.Reader

	mu     sync.Mutex
	tokens []Token
	gone   []Revocation
	by     string
	seen   stamp
	fresh  bool
}

// stamp recognises a change of the file without reading it. The file is
// always replaced, so that file system number and time change with it.
type stamp struct {
	info os.FileInfo
}

func (s stamp) same(info os.FileInfo) bool {
	return s.info != nil && os.SameFile(s.info, info) && s.info.ModTime().Equal(info.ModTime()) && s.info.Size() == info.Size()
}

// ErrName is wrapped when a token cannot have the name given.
var ErrName = errors.New("the name cannot be used")

// ErrNoToken is wrapped when there is no token of the name given.
var ErrNoToken = errors.New("there is no such token")

// Open reads the list; a file that is not there is an empty list. rnd nil
// means crypto/rand.
func Open(path string, rnd io.Reader) (*Store, error) {
	if rnd == nil {
		rnd = rand.Reader
	}
	s := &Store{path: path, rnd: rnd}
	if err := s.reload(); err != nil {
		return nil, err
	}
	return s, nil
}

// Revocation is a token that was taken away.
type Revocation struct {
	_    [0]func() // never compared: no code is made for it
	Name string    `json:"name"`
	Hash string    `json:"hash"`
	By   string    `json:"by,omitempty"` // who took it away
	At   time.Time `json:"at"`
}

type file struct {
	Version int          `json:"version"`
	Tokens  []Token      `json:"tokens"`
	Revoked []Revocation `json:"revoked,omitempty"` // the latest
}

// keptRevoked is how many revocations are kept for whoever writes them down.
const keptRevoked = 100

// As says in whose name tokens are made and taken away from now on: the user of
// the command line.
func (s *Store) As(user string) *Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.by = user
	return s
}

// reload reads the file if it changed. s.mu is held or s is not shared yet.
func (s *Store) reload() error {
	info, err := os.Stat(s.path)
	if errors.Is(err, os.ErrNotExist) {
		s.tokens, s.gone, s.seen, s.fresh = nil, nil, stamp{}, true
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot read the list of tokens; check its owner: %w", err)
	}
	if s.seen.same(info) {
		return nil
	}
	data, err := os.ReadFile(s.path)
	if err != nil {
		return fmt.Errorf("cannot read the list of tokens; check its owner: %w", err)
	}
	var f file
	if err := json.Unmarshal(data, &f); err != nil || f.Version != 1 {
		return fmt.Errorf("cannot use the list of tokens %s: it is damaged or of a newer version; remove it and make new tokens", s.path)
	}
	s.tokens, s.gone, s.seen, s.fresh = f.Tokens, f.Revoked, stamp{info}, false
	return nil
}

func (s *Store) save(tokens []Token, gone []Revocation) error {
	data, err := json.MarshalIndent(file{Version: 1, Tokens: tokens, Revoked: gone}, "", " ")
	if err != nil {
		return fmt.Errorf("cannot write the list of tokens: %w", err)
	}
	if err := seal.WriteFile(s.path, append(data, '\n')); err != nil {
		return err
	}
	s.seen = stamp{}
	return s.reload()
}

var nameRule = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z._-]{0,31}$`)

// Add makes a token and returns it, the only time it is seen.
func (s *Store) Add(name, till string, scopes []Scope, now time.Time) (platforms.Hidden, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	secret, t, err := s.mint(name, till, scopes, now)
	if err != nil {
		return platforms.Hidden{}, err
	}
	if err := s.save(append(slices.Clone(s.tokens), t), s.gone); err != nil {
		return platforms.Hidden{}, err
	}
	return secret, nil
}

func (s *Store) mint(name, till string, scopes []Scope, now time.Time) (platforms.Hidden, Token, error) {
	none := platforms.Hidden{}
	if err := s.reload(); err != nil {
		return none, Token{}, err
	}
	if !nameRule.MatchString(name) {
		return none, Token{}, fmt.Errorf("cannot add the token: %w; use 1-32 letters, digits, . _ or -", ErrName)
	}
	if slices.ContainsFunc(s.tokens, func(t Token) bool { return t.Name == name }) {
		return none, Token{}, fmt.Errorf("cannot add the token: %w, a token has it; revoke that one first or choose another", ErrName)
	}
	if len(scopes) == 0 {
		return none, Token{}, errors.New("cannot add the token: it would allow nothing; name scopes: collect, refund, admin, screen, resolve, operators")
	}
	var kept []Scope
	for _, sc := range scopes {
		if !slices.Contains(Scopes(), sc) {
			return none, Token{}, fmt.Errorf("cannot add the token: there is no scope %q; name scopes: collect, refund, admin, screen, resolve, operators", sc)
		}
		if sc == Screen && till == "" {
			return none, Token{}, errors.New("cannot add the token: a screen sees one till only; name the till")
		}
		if !slices.Contains(kept, sc) {
			kept = append(kept, sc)
		}
	}
	var raw [32]byte
	if _, err := io.ReadFull(s.rnd, raw[:]); err != nil {
		return none, Token{}, fmt.Errorf("cannot make a token: no random numbers: %w", err)
	}
	text := "pt_" + base64.RawURLEncoding.EncodeToString(raw[:])
	return platforms.Hide(text), Token{Name: name, Till: till, Scopes: kept, Created: now.UTC().Truncate(time.Second), Hash: hashOf(text), By: s.by}, nil
}

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// List returns the tokens in the order they were made.
func (s *Store) List() ([]Token, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.reload(); err != nil {
		return nil, err
	}
	return slices.Clone(s.tokens), nil
}

// Revoke removes a token by name; it is refused from then on.
func (s *Store) Revoke(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.reload(); err != nil {
		return err
	}
	left := slices.DeleteFunc(slices.Clone(s.tokens), func(t Token) bool { return t.Name == name })
	if len(left) == len(s.tokens) {
		return fmt.Errorf("cannot revoke: %w; payagent token list shows their names", ErrNoToken)
	}
	gone := slices.Clone(s.gone)
	for _, t := range s.tokens {
		if t.Name == name {
			gone = append(gone, Revocation{Name: name, Hash: t.Hash, By: s.by, At: time.Now().UTC().Truncate(time.Second)})
		}
	}
	return s.save(left, gone[max(0, len(gone)-keptRevoked):])
}

// Gone lists the latest tokens that were taken away, oldest first.
func (s *Store) Gone() ([]Revocation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.reload(); err != nil {
		return nil, err
	}
	return slices.Clone(s.gone), nil
}

// Check finds the token that a caller presents. It compares with every token
// and without an early end, so that the time it takes tells nothing. A list
// that cannot be read any more refuses everybody.
func (s *Store) Check(presented platforms.Hidden) (Token, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.reload(); err != nil {
		return Token{}, false
	}
	text := presented.Reveal()
	got, found := []byte(hashOf(text)), -1
	for i, t := range s.tokens {
		if subtle.ConstantTimeCompare(got, []byte(t.Hash)) == 1 {
			found = i
		}
	}
	if found < 0 || !strings.HasPrefix(text, "pt_") {
		return Token{}, false
	}
	return s.tokens[found], true
}

// First makes the first token, for every till and with the scopes collect,
// refund and admin, and writes it into a file of its own, mode 0600. It does
// so only while there is no list of tokens yet, i.e. at the first start; made
// tells whether it did. The file is written before the list: after a crash
// between the two the next start simply does both again.
func (s *Store) First(path string, now time.Time) (made bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.reload(); err != nil || !s.fresh {
		return false, err
	}
	secret, t, err := s.mint("first", "", []Scope{Collect, Refund, Admin}, now)
	if err != nil {
		return false, err
	}
	if err := seal.WriteFile(path, []byte(secret.Reveal()+"\n")); err != nil {
		return false, err
	}
	return true, s.save([]Token{t}, nil)
}
