package signed_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"testing"

	"payagent/agent/signed"
)

const kind = "application/vnd.payagent.command+json"

func key(id string, n byte, roles ...string) (signed.Private, signed.Key) {
	p := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
	return signed.Private{ID: id, Key: p}, signed.Key{ID: id, Roles: roles, Public: p.Public().(ed25519.PublicKey)}
}

// TestVector is the pre-authentication encoding of DSSE's own protocol text,
// signed here with a known key.
func TestVector(t *testing.T) {
	p, k := key("a", 1)
	data, err := signed.Seal("http://example.com/HelloWorld", []byte("hello world"), p)
	if err != nil {
		t.Fatal(err)
	}
	var e signed.Envelope
	if err := json.Unmarshal(data, &e); err != nil {
		t.Fatal(err)
	}
	sig, err := base64.StdEncoding.DecodeString(e.Signatures[0].Sig)
	if err != nil || !ed25519.Verify(k.Public, []byte("DSSEv1 29 http://example.com/HelloWorld 11 hello world"), sig) {
		t.Error("not signed as DSSE says", err)
	}
}

func TestOpen(t *testing.T) {
	a, ka := key("a", 1, "operate")
	b, kb := key("b", 2, "operate", "release")
	same := ka
	same.ID = "c" // the same key under two names is one signer
	keys := []signed.Key{ka, kb, same}
	data, err := signed.Seal(kind, []byte(`{"x":1}`), a)
	if err != nil {
		t.Fatal(err)
	}
	two, err := signed.Add(data, b)
	if err != nil {
		t.Fatal(err)
	}
	d, err := signed.Open(two, kind, keys)
	if err != nil || string(d.Payload) != `{"x":1}` || d.Signed("operate") != 2 || d.Signed("release") != 1 || d.Signed("") != 0 {
		t.Fatal(d, err)
	}
	stranger, _ := key("a", 9)
	alias := a
	alias.ID = "c"
	bad := map[string][]byte{"no envelope": []byte("x"), "empty": nil, "none": []byte(`{"payloadType":"` + kind + `","payload":"eA==","signatures":[]}`)}
	bad["stranger"], _ = signed.Seal(kind, []byte("x"), stranger)
	bad["other type"], _ = signed.Seal(kind+"2", []byte("x"), a)
	bad["twice"], _ = signed.Seal(kind, []byte("x"), a, a)
	bad["alias"], _ = signed.Seal(kind, []byte("x"), a, alias)
	bad["one of two bad"], _ = signed.Seal(kind, []byte("x"), b, stranger)
	for name, data := range bad {
		if _, err := signed.Open(data, kind, keys); !errors.Is(err, signed.ErrNotSigned) {
			t.Errorf("%s was taken: %v", name, err)
		}
	}
	// Any changed byte of the decoded parts is noticed.
	for i := range data {
		changed := bytes.Clone(data)
		changed[i] ^= 1
		if d, err := signed.Open(changed, kind, keys); err == nil && string(d.Payload) != `{"x":1}` {
			t.Errorf("byte %d changed: taken as %s", i, d.Payload)
		}
	}
}

func FuzzOpen(f *testing.F) {
	a, ka := key("a", 1)
	data, err := signed.Seal(kind, []byte(`{"x":1}`), a)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		if d, err := signed.Open(data, kind, []signed.Key{ka}); err == nil && string(d.Payload) != `{"x":1}` {
			t.Errorf("a forged document: %q", d.Payload)
		}
	})
}
