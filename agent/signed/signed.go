// Package signed reads and writes signed documents: DSSE envelopes (Dead
// Simple Signing Envelope 1.0) with Ed25519 keys that are known by name and
// rôle. Fleet commands, configurations and update manifests travel in them.
// Nothing in a document is looked at before its signatures are good.
package signed

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// Key is somebody who may sign.
type Key struct {
	ID     string // e.g. "ops-2026"
	Roles  []string
	Public ed25519.PublicKey
}

// Envelope is a DSSE envelope as JSON.
type Envelope struct {
	PayloadType string      `json:"payloadType"`
	Payload     string      `json:"payload"` // standard base64
	Signatures  []Signature `json:"signatures"`
}

// Signature is one signature of an envelope.
type Signature struct {
	KeyID string `json:"keyid"`
	Sig   string `json:"sig"` // standard base64
}

// Document is an envelope whose signatures are good.
type Document struct {
	Payload []byte
	Signers []Key // different keys, in the envelope's order; never empty
}

// Signed counts the different keys of a rôle that signed.
func (d Document) Signed(role string) int {
	n := 0
	for _, k := range d.Signers {
		if slices.Contains(k.Roles, role) {
			n++
		}
	}
	return n
}

// ErrNotSigned is wrapped by every refusal of a document's signatures.
var ErrNotSigned = errors.New("the signature is not good")

// maxSignatures bounds the work that a forged envelope can cause.
const maxSignatures = 8

// Open checks an envelope: its type, and that every signature is by a known
// key, each key once. One bad signature refuses the whole. Errors wrap
// [ErrNotSigned] and quote nothing of the payload.
func Open(data []byte, payloadType string, keys []Key) (Document, error) {
	var e Envelope
	if err := json.Unmarshal(data, &e); err != nil {
		return Document{}, fmt.Errorf("cannot read the envelope: %w: it is not JSON as DSSE 1.0 has it", ErrNotSigned)
	}
	if e.PayloadType != payloadType {
		return Document{}, fmt.Errorf("cannot take the document: %w for this use: it is of another type than %s", ErrNotSigned, payloadType)
	}
	payload, err := base64.StdEncoding.Strict().DecodeString(e.Payload)
	if err != nil {
		return Document{}, fmt.Errorf("cannot read the envelope: %w: its payload is not base64", ErrNotSigned)
	}
	if len(e.Signatures) == 0 || len(e.Signatures) > maxSignatures {
		return Document{}, fmt.Errorf("cannot take the document: %w: it has %d signatures, 1 to %d are taken", ErrNotSigned, len(e.Signatures), maxSignatures)
	}
	d := Document{Payload: payload}
	text := preAuth(payloadType, payload)
	for _, s := range e.Signatures {
		i := slices.IndexFunc(keys, func(k Key) bool { return k.ID == s.KeyID })
		if i < 0 {
			return Document{}, fmt.Errorf("cannot take the document: %w: it is signed by a key that is not known here; add the key to fleet.keys, or sign with another", ErrNotSigned)
		}
		if slices.ContainsFunc(d.Signers, func(k Key) bool { return k.ID == s.KeyID || k.Public.Equal(keys[i].Public) }) {
			return Document{}, fmt.Errorf("cannot take the document: %w: key %s signed twice", ErrNotSigned, keys[i].ID)
		}
		sig, err := base64.StdEncoding.Strict().DecodeString(s.Sig)
		if err != nil || len(keys[i].Public) != ed25519.PublicKeySize || !ed25519.Verify(keys[i].Public, text, sig) {
			return Document{}, fmt.Errorf("cannot take the document: %w: the signature of key %s does not fit", ErrNotSigned, keys[i].ID)
		}
		d.Signers = append(d.Signers, keys[i])
	}
	return d, nil
}

// Private signs.
type Private struct {
	ID  string
	Key ed25519.PrivateKey
}

// Seal signs a payload with every key.
func Seal(payloadType string, payload []byte, keys ...Private) ([]byte, error) {
	if len(keys) == 0 {
		return nil, errors.New("cannot sign: no key was given")
	}
	e := Envelope{PayloadType: payloadType, Payload: base64.StdEncoding.EncodeToString(payload)}
	text := preAuth(payloadType, payload)
	for _, k := range keys {
		e.Signatures = append(e.Signatures, Signature{KeyID: k.ID, Sig: base64.StdEncoding.EncodeToString(ed25519.Sign(k.Key, text))})
	}
	return json.Marshal(e)
}

// Add puts further signatures on an envelope, so that two people can sign on
// two machines. The envelope's own signatures are not checked.
func Add(data []byte, keys ...Private) ([]byte, error) {
	var e Envelope
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, fmt.Errorf("cannot add a signature: this is no envelope: %w", err)
	}
	payload, err := base64.StdEncoding.Strict().DecodeString(e.Payload)
	if err != nil {
		return nil, fmt.Errorf("cannot add a signature: the payload is not base64: %w", err)
	}
	for _, k := range keys {
		e.Signatures = append(e.Signatures, Signature{KeyID: k.ID, Sig: base64.StdEncoding.EncodeToString(ed25519.Sign(k.Key, preAuth(e.PayloadType, payload)))})
	}
	return json.Marshal(e)
}

// preAuth is DSSE's pre-authentication encoding.
func preAuth(payloadType string, payload []byte) []byte {
	b := append([]byte("DSSEv1 "), strconv.Itoa(len(payloadType))+" "+payloadType+" "+strconv.Itoa(len(payload))+" "...)
	return append(b, payload...)
}
