package seal

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"payagent/platforms"
)

// Hash is a keyed hash (HMAC-SHA256, 128 bits, hex) of a text that must not be
// stored: a payment code, an idempotency key or body, a card number. The
// domain keeps equal texts of different meaning apart. Without hash.key nobody
// can find the text by trying.
func (b *Box) Hash(domain string, text platforms.Hidden) string {
	m := hmac.New(sha256.New, b.hash)
	var size [8]byte
	binary.BigEndian.PutUint64(size[:], uint64(len(domain)))
	// A hash.Hash never fails to write.
	_, _ = m.Write(size[:])
	_, _ = m.Write([]byte(domain))
	_, _ = m.Write([]byte(text.Reveal()))
	return hex.EncodeToString(m.Sum(nil)[:16])
}

// randomLen is the random part of an order number: 36^16 numbers, about 82
// bits, so that cloned disks and reset clocks cannot collide (decision 17).
const randomLen = 16

// MaxPrefix is the longest prefix an order number has room for within the 32
// characters that the wires carry.
const MaxPrefix = 32 - 6 - randomLen

// OrderNumber makes a new order number: prefix, the UTC+8 day as yyMMdd (for
// people only), 16 random characters of 0-9A-Z. rnd nil means crypto/rand.
func OrderNumber(prefix string, day time.Time, rnd io.Reader) (string, error) {
	if len(prefix) > MaxPrefix {
		return "", fmt.Errorf("cannot make an order number: the prefix is longer than %d characters; shorten it under prefixes", MaxPrefix)
	}
	for _, c := range []byte(prefix) {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return "", errors.New("cannot make an order number: a prefix has letters and digits only; correct it under prefixes")
		}
	}
	if rnd == nil {
		rnd = rand.Reader
	}
	const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	out := append([]byte(prefix), day.In(zone()).Format("060102")...)
	var buf [randomLen]byte
	for want := len(out) + randomLen; len(out) < want; {
		if _, err := io.ReadFull(rnd, buf[:]); err != nil {
			return "", fmt.Errorf("cannot make an order number: no random numbers: %w", err)
		}
		for _, v := range buf {
			// 252 is the largest multiple of 36: what lies above would
			// make the first letters likelier.
			if v < 252 && len(out) < want {
				out = append(out, letters[v%36])
			}
		}
	}
	return string(out), nil
}

// Derive gives a key of 32 bytes for one purpose, made from the folder's hash
// key: other purposes' keys tell nothing about it, and it lives as long.
func (b *Box) Derive(purpose string) []byte {
	m := hmac.New(sha256.New, b.hash)
	// A hash.Hash never fails to write. Hash puts eight bytes of length in
	// front; the word here keeps the two apart.
	_, _ = m.Write([]byte("derive\x00\x00\x00\x00\x00" + purpose))
	return m.Sum(nil)
}
