// Package sealed closes what concerns a patient so that only the hospital's hub
// can read it: HPKE (RFC 9180) with X25519, HKDF-SHA256 and AES-256-GCM from the
// standard library. The broker, and whoever reads along, sees bytes. Agreeing on
// a secret is by far the dearest part, so the events of a backlog share one: they
// are sealed with a key that is exported from it (RFC 9180, 5.3).
//
// What is sealed is bound to the box and the event that it belongs to: taken
// out of one event and put into another, it does not open.
package sealed

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hpke"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"payagent/agent/fleet"
	"payagent/platforms"
)

// Person is what the hub is told of a patient: what a hospital's lists need.
type Person struct {
	Name        platforms.Hidden
	CardNo      platforms.Hidden
	MedicalCard platforms.Hidden // that HIS booked the payment under
}

// Empty tells that nothing is known of the patient.
func (p Person) Empty() bool { return p.Name.Empty() && p.CardNo.Empty() && p.MedicalCard.Empty() }

// plain is a person as it is sealed.
type plain struct {
	Name        string `json:"name,omitempty"`
	CardNo      string `json:"card_no,omitempty"`
	MedicalCard string `json:"medical_card,omitempty"`
}

// Public is the hub's public key: whoever has it can seal and cannot open.
type Public struct{ key hpke.PublicKey }

// ParsePublic reads the key as fleet.hub_key has it: 32 bytes in base64.
func ParsePublic(text string) (Public, error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return Public{}, errors.New("cannot read the hub's public key: it is 32 bytes in base64, as payfleet hub prints it")
	}
	point, err := ecdh.X25519().NewPublicKey(raw)
	if err != nil {
		return Public{}, errors.New("cannot read the hub's public key: it is 32 bytes in base64, as payfleet hub prints it")
	}
	key, err := hpke.NewDHKEMPublicKey(point)
	if err != nil {
		return Public{}, fmt.Errorf("cannot use the hub's public key: %w", err)
	}
	return Public{key}, nil
}

// Text is the key as ParsePublic reads it.
func (k Public) Text() string { return base64.StdEncoding.EncodeToString(k.key.Bytes()) }

// Private is the hub's private key. Its bytes never show in text or logs.
type Private struct{ key hpke.PrivateKey }

// NewPrivate makes a key.
func NewPrivate() (Private, error) {
	key, err := hpke.DHKEM(ecdh.X25519()).GenerateKey()
	if err != nil {
		return Private{}, fmt.Errorf("cannot make the hub's key: %w", err)
	}
	return Private{key}, nil
}

// ParsePrivate reads a key that Bytes gave.
func ParsePrivate(raw []byte) (Private, error) {
	key, err := hpke.DHKEM(ecdh.X25519()).NewPrivateKey(raw)
	if err != nil {
		return Private{}, errors.New("cannot read the hub's private key: it is 32 bytes; put the right file back")
	}
	return Private{key}, nil
}

// Bytes gives the key for a file of its own.
func (k Private) Bytes() ([]byte, error) { return k.key.Bytes() }

// Public is the key for the boxes' configuration.
func (k Private) Public() Public { return Public{k.key.PublicKey()} }

// String hides the key.
func (k Private) String() string { return "[hidden]" }

// GoString hides the key.
func (k Private) GoString() string { return "[hidden]" }

// info binds what is sealed to where it belongs.
func info(p fleet.Place) []byte { return []byte("payagent hub v2 " + p.Site + "/" + p.Box) }

// cipherOf is what seals the patients of a sealer: with the key that both sides
// export from what they agreed on.
func cipherOf(export func(context string, length int) ([]byte, error)) (cipher.AEAD, error) {
	key, err := export("patients", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// maxPlain bounds a person's text, so that a sealed event stays small.
const maxPlain = 4 << 10

// encSize is the length of what X25519 says to the other side, in bytes.
const encSize = 32

// Sealer seals the patients of some events of one box: it agrees with the hub
// on a secret once. It may be used by several goroutines, and is for thousands
// of patients and not for millions, since each gets a nonce by chance.
type Sealer struct {
	enc  []byte
	aead cipher.AEAD
}

// Sealer agrees on a new secret.
func (k Public) Sealer(p fleet.Place) (*Sealer, error) {
	enc, sender, err := hpke.NewSender(k.key, hpke.HKDFSHA256(), hpke.AES256GCM(), info(p))
	if err != nil {
		return nil, fmt.Errorf("cannot seal to the hub's key: %w", err)
	}
	aead, err := cipherOf(sender.Export)
	if err != nil {
		return nil, fmt.Errorf("cannot seal to the hub's key: %w", err)
	}
	return &Sealer{enc, aead}, nil
}

// Seal closes a person for the event with this id; base64. A person of whom
// nothing is known gives an empty text.
func (s *Sealer) Seal(event string, who Person) (string, error) {
	if who.Empty() {
		return "", nil
	}
	text, err := json.Marshal(plain{who.Name.Reveal(), who.CardNo.Reveal(), who.MedicalCard.Reveal()})
	if err != nil || len(text) > maxPlain {
		return "", fmt.Errorf("cannot seal a patient of event %s: it is no text or longer than %d bytes", event, maxPlain)
	}
	return base64.StdEncoding.EncodeToString(s.aead.Seal(slices.Clone(s.enc), nil, text, []byte(event))), nil
}

// Open reads what Seal closed for the same event of the same box. An empty text
// is an empty person. Errors quote nothing of what was sealed.
func (k Private) Open(p fleet.Place, event, text string) (Person, error) {
	if text == "" {
		return Person{}, nil
	}
	data, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(data) < encSize {
		return Person{}, fmt.Errorf("cannot open the patient of event %s: it is not base64 of what a box seals", event)
	}
	open, err := k.open(p, event, data)
	if err != nil {
		return Person{}, fmt.Errorf("cannot open the patient of event %s: it was sealed to another key, belongs to another event or was changed", event)
	}
	var t plain
	if err := json.Unmarshal(open, &t); err != nil {
		return Person{}, fmt.Errorf("cannot read the patient of event %s: what was sealed is not JSON", event)
	}
	return Person{platforms.Hide(t.Name), platforms.Hide(t.CardNo), platforms.Hide(t.MedicalCard)}, nil
}

func (k Private) open(p fleet.Place, event string, data []byte) ([]byte, error) {
	r, err := hpke.NewRecipient(data[:encSize], k.key, hpke.HKDFSHA256(), hpke.AES256GCM(), info(p))
	if err != nil {
		return nil, err
	}
	aead, err := cipherOf(r.Export)
	if err != nil {
		return nil, err
	}
	return aead.Open(nil, nil, data[encSize:], []byte(event))
}
