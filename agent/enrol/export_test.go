package enrol

import (
	"crypto/x509"
	"time"
)

// JudgedAt tells whether a certificate of that life, seen at a wrong time, is
// judged at another.
func JudgedAt(own *x509.Certificate, from, to, now time.Time) bool {
	_, moved := judgedAt(own, from, to, now)
	return moved
}
