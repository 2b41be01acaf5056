// Package sign is the signature of the lc gateway (wire.md §3.2): the one text
// that is signed, the two hashes, and keys in every form in which a site gets
// them. The adapter and the gateway's simulator share it; what holds both to
// the real gateway is a vector that neither made.
package sign

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // the gateway's own choice
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
)

// Hash is the hash below the signature.
type Hash string

// The hashes. SHA-1 is what the gateway's own clients use.
const (
	SHA1   Hash = "sha1"
	SHA256 Hash = "sha256"
)

// Known tells whether there is such a hash.
func (h Hash) Known() bool { return h == SHA1 || h == SHA256 }

// sum hashes a text.
func (h Hash) sum(text []byte) (crypto.Hash, []byte) {
	if h == SHA256 {
		d := sha256.Sum256(text)
		return crypto.SHA256, d[:]
	}
	d := sha1.Sum(text) //nolint:gosec // see above
	return crypto.SHA1, d[:]
}

// Digest gives the hash of a text in hexadecimal digits.
func (h Hash) Digest(text []byte) string {
	_, d := h.sum(text)
	return hex.EncodeToString(d)
}

// Param is one parameter with its raw value, before any URL encoding.
type Param struct{ Name, Value string }

// The parameters that the recipe treats apart.
const (
	nameSign     = "sign"
	nameSignType = "sign_type"
)

// Text gives the text that is signed: every parameter but sign, and but
// sign_type where withType is false; empty ones left out; sorted by name in
// byte order; name=value joined by &, the values raw.
func Text(params []Param, withType bool) []byte {
	sorted := slices.Clone(params)
	sort.SliceStable(sorted, func(i, j int) bool { return strings.Compare(sorted[i].Name, sorted[j].Name) < 0 })
	var b bytes.Buffer
	for _, p := range sorted {
		if p.Name == nameSign || p.Value == "" || p.Name == nameSignType && !withType {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(p.Name + "=" + p.Value)
	}
	return b.Bytes()
}

// MinBits is the smallest key that is used.
const MinBits = 1024

// maxBits bounds the work that a key can ask for.
const maxBits = 8192

// PrivateKey reads the merchant's key: PEM or bare Base64 with or without line
// breaks, PKCS#8 or PKCS#1. No error repeats any of it.
func PrivateKey(text string) (*rsa.PrivateKey, error) {
	der, err := decode(text, "PRIVATE KEY")
	if err != nil {
		return nil, err
	}
	if any, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		key, ok := any.(*rsa.PrivateKey)
		if !ok {
			return nil, errors.New("cannot use the private key: it is no RSA key")
		}
		return key, size(key.N.BitLen())
	}
	key, err := x509.ParsePKCS1PrivateKey(der)
	if err != nil {
		return nil, errors.New("cannot use the private key: it is neither PKCS#8 nor PKCS#1; export it again")
	}
	return key, size(key.N.BitLen())
}

// PublicKey reads a platform's key: PEM or bare Base64, SPKI or PKCS#1.
func PublicKey(text string) (*rsa.PublicKey, error) {
	der, err := decode(text, "PUBLIC KEY")
	if err != nil {
		return nil, err
	}
	if any, err := x509.ParsePKIXPublicKey(der); err == nil {
		key, ok := any.(*rsa.PublicKey)
		if !ok {
			return nil, errors.New("cannot use the platform's key: it is no RSA key")
		}
		return key, size(key.N.BitLen())
	}
	key, err := x509.ParsePKCS1PublicKey(der)
	if err != nil {
		return nil, errors.New("cannot use the platform's key: it is no public key in SPKI or PKCS#1 form; ask the platform for it again")
	}
	return key, size(key.N.BitLen())
}

func size(bits int) error {
	if bits < MinBits || bits > maxBits {
		return fmt.Errorf("cannot use a key of %d bits: it must have %d to %d", bits, MinBits, maxBits)
	}
	return nil
}

// decode gives the DER of a key. kind is the end of the PEM type.
func decode(text, kind string) ([]byte, error) {
	text = strings.TrimSpace(strings.TrimPrefix(text, "\ufeff"))
	if text == "" {
		return nil, errors.New("cannot use the key: there is none; write it into its file")
	}
	if strings.HasPrefix(text, "-----") {
		block, rest := pem.Decode([]byte(text))
		if block == nil || !strings.HasSuffix(block.Type, kind) || len(bytes.TrimSpace(rest)) > 0 {
			return nil, fmt.Errorf("cannot use the key: the file is no PEM of exactly one %s", kind)
		}
		if len(block.Headers) > 0 || strings.Contains(block.Type, "ENCRYPTED") {
			return nil, errors.New("cannot use the key: it is locked by a passphrase; store it without one, readable by this program alone")
		}
		return block.Bytes, nil
	}
	der, err := base64.StdEncoding.Strict().DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return nil, errors.New("cannot use the key: it is neither PEM nor Base64")
	}
	return der, nil
}

// Sign gives the signature in Base64 without line breaks.
func Sign(key *rsa.PrivateKey, h Hash, text []byte) (string, error) {
	kind, digest := h.sum(text)
	raw, err := rsa.SignPKCS1v15(nil, key, kind, digest)
	if err != nil {
		return "", errors.New("cannot sign: the key does not work; check private_key_file")
	}
	return base64.StdEncoding.EncodeToString(raw), nil
}

// ErrSignature says that no key fits a signature.
var ErrSignature = errors.New("the signature does not fit")

// Verify tells whether one of the keys made the signature over one of the
// texts. The Base64 must be the only one of its bytes: no line breaks, no
// loose bits at its end.
func Verify(keys []*rsa.PublicKey, h Hash, signature string, texts ...[]byte) error {
	raw, err := base64.StdEncoding.Strict().DecodeString(signature)
	if err != nil || strings.ContainsAny(signature, "\r\n") {
		return ErrSignature
	}
	for _, text := range texts {
		kind, digest := h.sum(text)
		for _, key := range keys {
			if rsa.VerifyPKCS1v15(key, kind, digest, raw) == nil {
				return nil
			}
		}
	}
	return ErrSignature
}
