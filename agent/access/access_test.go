package access_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"payagent/agent/access"
	"payagent/platforms"
)

var now = time.Date(2026, 3, 1, 9, 0, 0, 0, time.FixedZone("UTC+8", 8*3600))

func open(t *testing.T, path string) *access.Store {
	t.Helper()
	s, err := access.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLifeOfAToken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens.json")
	s := open(t, path)
	if _, ok := s.Check(platforms.Hide("pt_x")); ok {
		t.Error("an empty list lets somebody in")
	}
	secret, err := s.Add("window1", "w01", []access.Scope{access.Collect, access.Refund, access.Collect}, now)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*access.Store{s, open(t, path)} { // before and after a restart
		tok, ok := s.Check(secret)
		if !ok || tok.Name != "window1" || len(tok.Scopes) != 2 || !tok.Created.Equal(now) {
			t.Errorf("the token is not known: %+v %v", tok, ok)
		}
		for _, tc := range []struct {
			scope access.Scope
			till  string
			want  bool
		}{
			{access.Collect, "w01", true}, {access.Refund, "w01", true}, {access.Admin, "w01", false},
			{access.Screen, "w01", false}, {access.Collect, "w02", false}, {access.Collect, "", false},
		} {
			if tok.Allows(tc.scope, tc.till) != tc.want {
				t.Errorf("%s at %q allowed: %v", tc.scope, tc.till, !tc.want)
			}
		}
	}
	text := secret.Reveal()
	for _, wrong := range []string{"", "pt_", text[:len(text)-1], text + "x", strings.ToUpper(text), " " + text} {
		if _, ok := s.Check(platforms.Hide(wrong)); ok {
			t.Errorf("a wrong token of %d bytes was accepted", len(wrong))
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(data, []byte(text)) || bytes.Contains(data, []byte(text[3:20])) {
		t.Error("the token is on disk")
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v %v", info.Mode(), err)
	}
	if strings.Contains(fmt.Sprintf("%v %+v %#v", secret, secret, secret), text) {
		t.Error("the token prints itself")
	}
}

func TestEveryTill(t *testing.T) {
	tok := access.Token{Scopes: []access.Scope{access.Admin}}
	if !tok.Allows(access.Admin, "") || !tok.Allows(access.Admin, "any") || tok.Allows(access.Collect, "any") {
		t.Error("a token without a till serves every till, within its scopes")
	}
}

func TestRefusedTokens(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "tokens.json"))
	if _, err := s.Add("a", "", []access.Scope{access.Admin}, now); err != nil {
		t.Fatal(err)
	}
	collect := []access.Scope{access.Collect}
	for _, tc := range []struct {
		name, till string
		scopes     []access.Scope
		want       string
	}{
		{"", "", collect, "cannot be used"}, {"a b", "", collect, "cannot be used"},
		{"a", "", collect, "a token has it"}, {"b", "", nil, "allow nothing"},
		{"b", "", []access.Scope{"all"}, `no scope "all"`}, {"b", "", []access.Scope{access.Screen}, "name the till"},
	} {
		_, err := s.Add(tc.name, tc.till, tc.scopes, now)
		if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), "cannot add") {
			t.Errorf("%+v: %v", tc, err)
		}
	}
	if list, err := s.List(); err != nil || len(list) != 1 {
		t.Errorf("a refused token is listed: %v %v", list, err)
	}
}

func TestRevoke(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens.json")
	s, cli := open(t, path), open(t, path) // the agent and the command beside it
	a, err := cli.Add("a", "", []access.Scope{access.Collect}, now)
	if err != nil {
		t.Fatal(err)
	}
	b, err := cli.Add("b", "", []access.Scope{access.Collect}, now)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := s.Check(a); !ok {
		t.Error("a token added beside the running agent is not known to it")
	}
	if err := cli.Revoke("a"); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.Check(a); ok {
		t.Error("a revoked token is still accepted")
	}
	if _, ok := s.Check(b); !ok {
		t.Error("revoking one token revoked another")
	}
	if err := cli.Revoke("a"); !errors.Is(err, access.ErrNoToken) {
		t.Errorf("revoking twice: %v", err)
	}
}

func TestFirst(t *testing.T) {
	dir := t.TempDir()
	path, first := filepath.Join(dir, "tokens.json"), filepath.Join(dir, "first.token")
	s := open(t, path)
	read := func() platforms.Hidden {
		data, err := os.ReadFile(first)
		if err != nil {
			t.Fatal(err)
		}
		return platforms.Hide(strings.TrimSpace(string(data)))
	}
	// A crash after the token's file and before the list: nothing is known,
	// and the next start makes another.
	if err := os.WriteFile(first, []byte("pt_of_a_crashed_start\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if made, err := s.First(first, now); !made || err != nil {
		t.Fatal(made, err)
	}
	tok, ok := s.Check(read())
	if !ok || !tok.Allows(access.Collect, "w") || !tok.Allows(access.Refund, "w") || !tok.Allows(access.Admin, "") || tok.Allows(access.Screen, "w") {
		t.Errorf("the first token: %+v %v", tok, ok)
	}
	if info, err := os.Stat(first); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v %v", info.Mode(), err)
	}
	before := read().Reveal()
	if made, err := open(t, path).First(first, now); made || err != nil {
		t.Error("the second start made a token", err)
	}
	if err := s.Revoke("first"); err != nil {
		t.Fatal(err)
	}
	// All tokens revoked is a wish, not a first start.
	if made, err := s.First(first, now); made || err != nil || read().Reveal() != before {
		t.Error("a start after revoking everything made a token", err)
	}
}

func TestDamagedList(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens.json")
	s := open(t, path)
	secret, err := s.Add("a", "", []access.Scope{access.Collect}, now)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"{", `{"version":2,"tokens":[]}`, ""} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := access.Open(path, nil); err == nil || !strings.HasPrefix(err.Error(), "cannot use the list of tokens") {
			t.Errorf("%q: %v", bad, err)
		}
		if _, ok := s.Check(secret); ok {
			t.Errorf("%q lets somebody in", bad)
		}
		if _, err := s.Add("b", "", []access.Scope{access.Collect}, now); err == nil {
			t.Errorf("%q was written over", bad)
		}
	}
}

func TestNoRandomNumbers(t *testing.T) {
	s, err := access.Open(filepath.Join(t.TempDir(), "tokens.json"), bytes.NewReader(make([]byte, 31)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Add("a", "", []access.Scope{access.Collect}, now); err == nil {
		t.Error("a token was made from too few random bytes")
	}
}
