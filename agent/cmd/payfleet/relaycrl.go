package main

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"sync"
	"time"
)

// revocations is a list of revoked certificates in a file, read anew when the
// file changes.
type revocations struct {
	file string

	mu   sync.Mutex
	at   time.Time
	size int64
	gone map[string]bool // serial numbers
}

// revoked tells whether a certificate is on the list. A list that cannot be
// read is an error: who copies a broken file must not bring stolen boxes back.
func (l *revocations) revoked(c *x509.Certificate) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	info, err := os.Stat(l.file)
	if err != nil {
		return false, err
	}
	if l.gone == nil || !info.ModTime().Equal(l.at) || info.Size() != l.size {
		gone, err := readRevocations(l.file)
		if err != nil {
			return false, err
		}
		l.gone, l.at, l.size = gone, info.ModTime(), info.Size()
	}
	return l.gone[c.SerialNumber.String()], nil
}

func readRevocations(file string) (map[string]bool, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("%s is no list of revoked certificates in PEM", file)
	}
	list, err := x509.ParseRevocationList(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	gone := map[string]bool{}
	for _, e := range list.RevokedCertificateEntries {
		gone[e.SerialNumber.String()] = true
	}
	return gone, nil
}
