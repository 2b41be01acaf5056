package sealed

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"payagent/uplink"
)

const place = "payagent/H1/B1"

func identity(t testing.TB, key crypto.Signer) tls.Certificate {
	t.Helper()
	leaf := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "B1"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, leaf, leaf, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func ecKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func keys(t testing.TB) (Private, Public) {
	t.Helper()
	raw, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	private, err := ReadPrivate(raw)
	if err != nil {
		t.Fatal(err)
	}
	public, err := ReadPublic(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	return private, public
}

func sample() Ask {
	a := Ask{Op: OpSend, Platform: "https://pay.invalid:443", Left: 70 * time.Second, Method: "POST", URL: "https://pay.invalid/a?b=c",
		Header: FromHTTP(http.Header{"Soapaction": {`"pay"`}, "X": {"1", "2"}}), Body: []byte("code 134567890123456789")}
	for i := range a.ID {
		a.ID[i], a.Ticket.Store[i], a.Ticket.Secret[i] = byte(i+1), byte(i+50), byte(i+100)
	}
	return a
}

// TestThereAndBack: every kind of ask and answer arrives as it was said, with
// every kind of key that a box may have.
func TestThereAndBack(t *testing.T) {
	private, public := keys(t)
	other, _ := keys(t)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []crypto.Signer{ecKey(t), ed, rs} {
		me := identity(t, key)
		s := sample()
		for _, a := range []Ask{s, {Op: OpTicket, ID: s.ID, Platform: s.Platform}, {Op: OpReach, ID: s.ID, Platform: s.Platform, Left: time.Second}, {Op: OpGiveUp, ID: s.ID, Platform: s.Platform}} {
			payload, mine, err := SealAsk(public, place, me, a)
			if err != nil {
				t.Fatal(err)
			}
			if id, ok := IDOf(payload); !ok || id != a.ID {
				t.Error("the id is not read")
			}
			o, err := OpenAsk([]Private{other, private}, place, payload)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(a, o.Ask, cmp.Transformer("nil", func(b []byte) string { return string(b) })); d != "" {
				t.Error(d)
			}
			if !bytes.Equal(o.Chain[0].Raw, me.Certificate[0]) {
				t.Error("another certificate arrived")
			}
			for _, x := range []Answer{
				{Verdict: Granted, Store: s.Ticket.Store, Ticket: s.Ticket, WakeKey: [32]byte{1, 2}},
				{Verdict: Answered, Status: 200, Reason: "OK", Header: s.Header, Body: []byte("paid")},
				{Verdict: NotSent, Why: "no"}, {Verdict: Unknown, Why: "who knows"},
			} {
				back, err := o.Context.Seal(x)
				if err != nil {
					t.Fatal(err)
				}
				got, err := mine.Open(back)
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(x, got, cmp.Transformer("nil", func(b []byte) string { return string(b) })); d != "" {
					t.Error(d)
				}
			}
		}
	}
}

// TestNothingShows: neither payment code nor token nor certificate can be read
// off a message, and two messages of one class are of one length.
func TestNothingShows(t *testing.T) {
	private, public := keys(t)
	me := identity(t, ecKey(t))
	a := sample()
	lengths := map[int]bool{}
	for _, n := range []int{600, 900, 1500} {
		a.Body = []byte(strings.Repeat("7", n) + "134567890123456789")
		payload, _, err := SealAsk(public, place, me, a)
		if err != nil {
			t.Fatal(err)
		}
		lengths[len(payload)] = true
		for _, secret := range [][]byte{[]byte("134567890123456789"), []byte("pay.invalid"), []byte("Soapaction"), me.Certificate[0][:64], a.Ticket.Secret[:]} {
			if bytes.Contains(payload, secret) {
				t.Errorf("the message shows %q", secret)
			}
		}
		o, err := OpenAsk([]Private{private}, place, payload)
		if err != nil {
			t.Fatal(err)
		}
		back, err := o.Context.Seal(Answer{Verdict: Answered, Status: 200, Body: a.Body})
		if err != nil || bytes.Contains(back, []byte("134567890123456789")) {
			t.Error("the answer shows it", err)
		}
	}
	if len(lengths) != 1 {
		t.Errorf("three lengths of body give %d lengths of message", len(lengths))
	}
	a.Body = make([]byte, maxPlain)
	if _, _, err := SealAsk(public, place, me, a); !errors.Is(err, ErrTooLong) {
		t.Error("what is too long gives", err)
	}
	a.Body = make([]byte, 448<<10)
	if payload, _, err := SealAsk(public, place, me, a); err != nil || len(payload) > uplink.MaxPayload {
		t.Error("the longest message has", len(payload), "bytes", err)
	}
}

// TestEveryByteCounts: a message in which one bit differs is refused, in both
// directions, and so is one that came from or belongs elsewhere.
func TestEveryByteCounts(t *testing.T) {
	private, public := keys(t)
	stranger, strangers := keys(t)
	me := identity(t, ecKey(t))
	a := sample()
	payload, mine, err := SealAsk(public, place, me, a)
	if err != nil {
		t.Fatal(err)
	}
	o, err := OpenAsk([]Private{private}, place, payload)
	if err != nil {
		t.Fatal(err)
	}
	back, err := o.Context.Seal(Answer{Verdict: Answered, Status: 200, Body: []byte("paid")})
	if err != nil {
		t.Fatal(err)
	}
	for i := range payload {
		bad := bytes.Clone(payload)
		bad[i] ^= 1 << (i % 8)
		if _, err := OpenAsk([]Private{private}, place, bad); err == nil {
			t.Fatalf("an ask with byte %d changed was opened", i)
		}
	}
	for i := range back {
		bad := bytes.Clone(back)
		bad[i] ^= 1 << (i % 8)
		if _, err := mine.Open(bad); err == nil {
			t.Fatalf("an answer with byte %d changed was opened", i)
		}
	}
	if _, err := OpenAsk([]Private{stranger}, place, payload); !errors.Is(err, ErrStranger) {
		t.Error("another relay opened it")
	}
	if _, err := OpenAsk([]Private{private}, "payagent/H1/B2", payload); !errors.Is(err, ErrStranger) {
		t.Error("it was opened at another box's topic")
	}
	// The answer to another ask of the same exchange, and to the same ask asked again.
	for _, again := range []Ask{{Op: OpTicket, ID: a.ID, Platform: a.Platform}, a} {
		_, other, err := SealAsk(public, place, me, again)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := other.Open(back); !errors.Is(err, ErrStranger) {
			t.Error("an answer was taken for another ask")
		}
	}
	// A relay that passes on what it was told.
	moved, err := OpenAsk([]Private{private}, place, payload)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := SealAsk(strangers, place, tls.Certificate{Certificate: [][]byte{moved.Chain[0].Raw}, PrivateKey: ecKey(t)}, moved.Ask); err != nil {
		t.Fatal(err)
	}
	forged, _, err := SealAsk(public, place, tls.Certificate{Certificate: me.Certificate, PrivateKey: ecKey(t)}, a)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenAsk([]Private{private}, place, forged); !errors.Is(err, ErrStranger) {
		t.Error("a certificate without its key was taken")
	}
	if _, _, err := SealAsk(public, place, tls.Certificate{}, a); err == nil {
		t.Error("it was sealed without a certificate")
	}
}

func TestWakes(t *testing.T) {
	private, _ := keys(t)
	key, err := private.WakeKey(place)
	if err != nil {
		t.Fatal(err)
	}
	k := Wake{Platform: "https://pay.invalid:443", Order: "MZ1", Count: 7}
	payload, err := SealWake(key, place, k)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := OpenWake(key, place, payload); err != nil || got != k {
		t.Error(got, err)
	}
	for i := range payload {
		bad := bytes.Clone(payload)
		bad[i] ^= 0x40
		if _, err := OpenWake(key, place, bad); err == nil {
			t.Fatalf("a wake-up with byte %d changed was opened", i)
		}
	}
	other, err := private.WakeKey("payagent/H1/B2")
	if err != nil || other == key {
		t.Fatal("two boxes have one key", err)
	}
	if _, err := OpenWake(other, place, payload); err == nil {
		t.Error("another box's key opens it")
	}
	if _, err := OpenWake(key, "payagent/H1/B2", payload); err == nil {
		t.Error("it is taken elsewhere")
	}
}

// FuzzDecode: what can be read was written in the one way there is, and nothing
// panics.
func FuzzDecode(f *testing.F) {
	f.Add(byte(0), sample().encode())
	f.Add(byte(0), Ask{Op: OpReach, Platform: "x", Left: time.Second}.encode())
	f.Add(byte(1), Answer{Verdict: Answered, Status: 200, Reason: "OK", Header: Header{{"A", "b"}}, Body: []byte("x")}.encode())
	f.Add(byte(1), Answer{Verdict: Granted}.encode())
	f.Add(byte(1), Answer{Verdict: Unknown, Why: "?"}.encode())
	f.Add(byte(2), Wake{Platform: "p", Order: "o", Count: 300}.encode())
	padded, err := pad([]byte("something"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(byte(3), padded)
	f.Fuzz(func(t *testing.T, kind byte, b []byte) {
		var again []byte
		var err error
		switch kind % 4 {
		case 0:
			var a Ask
			if a, err = decodeAsk(b); err == nil {
				again = a.encode()
			}
		case 1:
			var a Answer
			if a, err = decodeAnswer(b); err == nil {
				again = a.encode()
			}
		case 2:
			var k Wake
			if k, err = decodeWake(b); err == nil {
				again = k.encode()
			}
		case 3:
			var inner []byte
			if inner, err = unpad(b); err == nil {
				again, err = pad(inner)
			}
		}
		if err == nil && !bytes.Equal(again, b) {
			t.Errorf("%x is read and written %x", b, again)
		}
	})
}

// FuzzOpen: nothing that was not sealed opens, and nothing panics.
func FuzzOpen(f *testing.F) {
	private, public := keys(f)
	payload, mine, err := SealAsk(public, place, identity(f, ecKey(f)), sample())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(payload[:60])
	f.Add([]byte(markAsk))
	f.Add([]byte(markAnswer + "0123456789abcdef"))
	f.Add([]byte(markWake))
	f.Fuzz(func(t *testing.T, b []byte) {
		if bytes.Equal(b, payload) {
			return
		}
		if _, err := OpenAsk([]Private{private}, place, b); err == nil {
			t.Error("an ask was opened")
		}
		if _, err := mine.Open(b); err == nil {
			t.Error("an answer was opened")
		}
		if _, err := OpenWake([32]byte{}, place, b); err == nil {
			t.Error("a wake-up was opened")
		}
	})
}

// TestStrict: what is nearly right is refused.
func TestStrict(t *testing.T) {
	good := sample().encode()
	for name, bad := range map[string][]byte{
		"empty": {}, "cut": good[:len(good)-1], "more": append(bytes.Clone(good), 0), "unknown op": append([]byte{9}, good[1:]...),
		"long way to write a number": append([]byte{good[0] | 0x80, 0}, good[1:]...),
	} {
		if _, err := decodeAsk(bad); err == nil {
			t.Errorf("%s was read", name)
		}
	}
	padded, err := pad([]byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string][]byte{
		"filled with something": append(bytes.Clone(padded[:len(padded)-1]), 1), "not filled": padded[:2], "another class": append(bytes.Clone(padded), make([]byte, 3<<10)...),
	} {
		if _, err := unpad(bad); err == nil {
			t.Errorf("what is %s was read", name)
		}
	}
}
