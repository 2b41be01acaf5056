// Package sealed is what a box and the relay say to each other through a broker
// that must not read it, change it, or say it again with effect.
//
// An ask is sealed with HPKE (RFC 9180, base mode: DHKEM(X25519, HKDF-SHA256),
// HKDF-SHA256, AES-256-GCM) to the relay's public key. Inside, before it was
// sealed, it was signed by the box's certificate key, over the relay's key, the
// place in the tree of topics, the encapsulated key and the message; the
// certificate lies beside it. The answer is sealed with a key that both export
// from the same HPKE context (as RFC 9458 does), so it can only come from the
// owner of the relay's key and fits this ask only. Every message is filled up
// to a class of sizes.
//
// What an ask's sealing binds: the direction, root, site and box, and the id;
// what an answer's does: the same and the platform. The form of all messages is
// binary and has one way of writing each: docs/relay.md.
package sealed

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hpke"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// ErrTooLong is returned for what does not fit one message of the broker.
var ErrTooLong = fmt.Errorf("it is longer than a message through the broker may be (about %d KiB)", maxPlain>>10)

// ErrStranger is returned for a message that nobody sealed for us, that was
// changed, or that belongs to another place.
var ErrStranger = errors.New("cannot open it: it was not sealed for this place by whom it should be, or was changed on the way")

// The first bytes of each kind of message: protocol, version, direction.
const (
	markAsk    = "PAR1q"
	markAnswer = "PAR1a"
	markWake   = "PAR1w"
)

const (
	encLen  = 32 // DHKEM(X25519)
	headLen = len(markAsk) + len(ID{})
	maxCert = 16 << 10
)

func kdf() hpke.KDF   { return hpke.HKDFSHA256() }
func aead() hpke.AEAD { return hpke.AES256GCM() }

// NewKey makes a relay's private key and gives its bytes.
func NewKey() ([]byte, error) {
	k, err := hpke.DHKEM(ecdh.X25519()).GenerateKey()
	if err != nil {
		return nil, err
	}
	return k.Bytes()
}

// Private is a relay's private key.
type Private struct{ key hpke.PrivateKey }

// ReadPrivate takes the 32 bytes of a private key.
func ReadPrivate(b []byte) (Private, error) {
	k, err := hpke.DHKEM(ecdh.X25519()).NewPrivateKey(b)
	if err != nil {
		return Private{}, errors.New("cannot use the relay's key: it is not 32 bytes of an X25519 key; make one with payfleet relay key")
	}
	return Private{k}, nil
}

// Public gives the 32 bytes that boxes are given.
func (p Private) Public() []byte { return p.key.PublicKey().Bytes() }

// WakeKey is the key of wake-ups for one place: worked out from the private key,
// so that it outlives a restart and needs no place to be kept in.
func (p Private) WakeKey(place string) ([32]byte, error) {
	var out [32]byte
	secret, err := p.key.Bytes()
	if err != nil {
		return out, err
	}
	k, err := hkdf.Key(sha256.New, secret, nil, "payagent relay v1 wake key\x00"+place, len(out))
	copy(out[:], k)
	return out, err
}

// Public is a relay's public key.
type Public struct{ key hpke.PublicKey }

// ReadPublic takes the 32 bytes of a public key.
func ReadPublic(b []byte) (Public, error) {
	k, err := hpke.DHKEM(ecdh.X25519()).NewPublicKey(b)
	if err != nil {
		return Public{}, errors.New("cannot use the relay's public key: it is not 32 bytes as payfleet relay key prints them")
	}
	return Public{k}, nil
}

func info(place string) []byte { return []byte("payagent relay v1\x00" + place) }

// toSign is what a box signs: everything that must not be moved elsewhere.
func toSign(relay []byte, place string, head, enc, body []byte) []byte {
	var w writer
	w.text("payagent relay v1 signed ask")
	w.bytes(relay)
	w.text(place)
	w.bytes(head)
	w.bytes(enc)
	w.bytes(body)
	return w.b
}

// Context opens and seals the answers to one ask.
type Context struct {
	aead     cipher.AEAD
	place    string
	id       ID
	platform string
}

func newContext(export func(string, int) ([]byte, error), place string, id ID, platform string) (*Context, error) {
	key, err := export("payagent relay v1 answer", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	return &Context{gcm, place, id, platform}, err
}

// SealAsk seals an ask from the box at place ("root/site/box") and gives what
// opens its answers.
func SealAsk(to Public, place string, me tls.Certificate, a Ask) ([]byte, *Context, error) {
	enc, s, err := hpke.NewSender(to.key, kdf(), aead(), info(place))
	if err != nil {
		return nil, nil, err
	}
	head := append([]byte(markAsk), a.ID[:]...)
	body := a.encode()
	signature, err := sign(me, toSign(to.key.Bytes(), place, head, enc, body))
	if err != nil {
		return nil, nil, err
	}
	var w writer
	w.num(uint64(len(me.Certificate)))
	for _, der := range me.Certificate {
		w.bytes(der)
	}
	w.bytes(signature)
	w.bytes(body)
	plain, err := pad(w.b)
	if err != nil {
		return nil, nil, err
	}
	out := append(head, enc...)
	ct, err := s.Seal(head, plain)
	if err != nil {
		return nil, nil, err
	}
	c, err := newContext(s.Export, place, a.ID, a.Platform)
	return append(out, ct...), c, err
}

// IDOf gives the id that a message names, without opening it.
func IDOf(payload []byte) (id ID, ok bool) {
	if len(payload) < headLen || !bytes.HasPrefix(payload, []byte(markAsk)) && !bytes.HasPrefix(payload, []byte(markAnswer)) {
		return ID{}, false
	}
	copy(id[:], payload[len(markAsk):])
	return id, true
}

// Opened is an ask that was opened. Its signature fits its first certificate;
// whose that is, and who issued it, is for the caller to judge.
type Opened struct {
	Ask
	Chain   []*x509.Certificate // the box's own first
	Context *Context
}

// OpenAsk opens an ask that came from place. Any of the relay's keys will do.
func OpenAsk(keys []Private, place string, payload []byte) (Opened, error) {
	id, ok := IDOf(payload)
	if !ok || !bytes.HasPrefix(payload, []byte(markAsk)) || len(payload) < headLen+encLen {
		return Opened{}, errShape
	}
	head, enc, ct := payload[:headLen:headLen], payload[headLen:headLen+encLen], payload[headLen+encLen:]
	for _, k := range keys {
		r, err := hpke.NewRecipient(enc, k.key, kdf(), aead(), info(place))
		if err != nil {
			continue
		}
		plain, err := r.Open(head, ct)
		if err != nil {
			continue
		}
		return readAsk(k, r, place, id, head, enc, plain)
	}
	return Opened{}, ErrStranger
}

func readAsk(k Private, s *hpke.Recipient, place string, id ID, head, enc, plain []byte) (Opened, error) {
	inner, err := unpad(plain)
	if err != nil {
		return Opened{}, err
	}
	r := reader{b: inner}
	var o Opened
	for range r.small(4) {
		c, err := x509.ParseCertificate(r.bytes(maxCert))
		if err != nil {
			return Opened{}, errShape
		}
		o.Chain = append(o.Chain, c)
	}
	signature, body := r.bytes(maxText), r.bytes(maxPlain)
	if err := r.end(); err != nil || len(o.Chain) == 0 {
		return Opened{}, errShape
	}
	if err := check(o.Chain[0], toSign(k.Public(), place, head, enc, body), signature); err != nil {
		return Opened{}, err
	}
	if o.Ask, err = decodeAsk(body); err != nil {
		return Opened{}, err
	}
	if o.ID != id {
		return Opened{}, errShape
	}
	o.Context, err = newContext(s.Export, place, id, o.Platform)
	return o, err
}

func sign(me tls.Certificate, text []byte) ([]byte, error) {
	signer, ok := me.PrivateKey.(crypto.Signer)
	if !ok || len(me.Certificate) == 0 {
		return nil, errors.New("cannot sign: there is no certificate with a private key; run payagent enrol")
	}
	sum := sha256.Sum256(text)
	switch signer.Public().(type) {
	case ed25519.PublicKey:
		return signer.Sign(rand.Reader, text, crypto.Hash(0))
	case *ecdsa.PublicKey:
		return signer.Sign(rand.Reader, sum[:], crypto.SHA256)
	case *rsa.PublicKey:
		return signer.Sign(rand.Reader, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256})
	}
	return nil, errors.New("cannot sign with this kind of key; enrol with ECDSA, Ed25519 or RSA")
}

func check(c *x509.Certificate, text, signature []byte) error {
	kind := x509.UnknownSignatureAlgorithm
	switch c.PublicKey.(type) {
	case ed25519.PublicKey:
		kind = x509.PureEd25519
	case *ecdsa.PublicKey:
		kind = x509.ECDSAWithSHA256
	case *rsa.PublicKey:
		kind = x509.SHA256WithRSAPSS
	}
	if c.CheckSignature(kind, text, signature) != nil {
		return ErrStranger
	}
	return nil
}

// bound is what the sealing of an answer binds besides its key.
func (c *Context) bound(head []byte) []byte {
	var w writer
	w.text(c.place)
	w.text(c.platform)
	w.bytes(head)
	return w.b
}

func (c *Context) head() []byte { return append([]byte(markAnswer), c.id[:]...) }

// Seal seals an answer.
func (c *Context) Seal(a Answer) ([]byte, error) {
	plain, err := pad(a.encode())
	if err != nil {
		return nil, err
	}
	head := c.head()
	return append(head, c.aead.Seal(nil, nil, plain, c.bound(head))...), nil
}

// Open opens an answer to the ask of this context.
func (c *Context) Open(payload []byte) (Answer, error) {
	head := c.head()
	if !bytes.HasPrefix(payload, head) {
		return Answer{}, ErrStranger
	}
	plain, err := c.aead.Open(nil, nil, payload[len(head):], c.bound(head))
	if err != nil {
		return Answer{}, ErrStranger
	}
	inner, err := unpad(plain)
	if err != nil {
		return Answer{}, err
	}
	return decodeAnswer(inner)
}

// SealWake seals a wake-up for a place.
func SealWake(key [32]byte, place string, k Wake) ([]byte, error) {
	gcm, err := wakeAEAD(key)
	if err != nil {
		return nil, err
	}
	plain, err := pad(k.encode())
	if err != nil {
		return nil, err
	}
	return append([]byte(markWake), gcm.Seal(nil, nil, plain, info(place))...), nil
}

// OpenWake opens it.
func OpenWake(key [32]byte, place string, payload []byte) (Wake, error) {
	rest, ok := bytes.CutPrefix(payload, []byte(markWake))
	gcm, err := wakeAEAD(key)
	if err != nil || !ok {
		return Wake{}, errShape
	}
	plain, err := gcm.Open(nil, nil, rest, info(place))
	if err != nil {
		return Wake{}, ErrStranger
	}
	inner, err := unpad(plain)
	if err != nil {
		return Wake{}, err
	}
	return decodeWake(inner)
}

func wakeAEAD(key [32]byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
