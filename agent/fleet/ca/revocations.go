package ca

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// Revocations are the revoked certificates in a file as Revoke writes it
// (crl.pem), read anew when the file changes. The file may hold the lists of
// several authorities. It is safe for concurrent use.
type Revocations struct {
	file, authorities string

	mu   sync.Mutex
	at   time.Time
	size int64
	gone map[string]map[string]bool // serial numbers by the authority's subject
}

// OpenRevocations reads the list in file; authorities is the file (PEM) with
// the certificates of those who may have signed it.
func OpenRevocations(file, authorities string) (*Revocations, error) {
	l := &Revocations{file: file, authorities: authorities}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l, l.renew()
}

// Revoked tells whether a certificate is on the list. A list that cannot be
// read or is not of the certificate's authority is an error: who copies a broken
// file must not bring stolen boxes back.
func (l *Revocations) Revoked(c *x509.Certificate) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.renew(); err != nil {
		return false, err
	}
	list, ok := l.gone[string(c.RawIssuer)]
	if !ok {
		return false, fmt.Errorf("cannot tell whether the certificate of %s was revoked: %s holds no list of its authority %s", c.Subject.CommonName, l.file, c.Issuer.CommonName)
	}
	return list[c.SerialNumber.String()], nil
}

// renew reads the file where it has changed.
func (l *Revocations) renew() error {
	info, err := os.Stat(l.file)
	if err != nil {
		return fmt.Errorf("cannot read the list of revoked certificates: %w", err)
	}
	if l.gone != nil && info.ModTime().Equal(l.at) && info.Size() == l.size {
		return nil
	}
	gone, err := readRevocations(l.file, l.authorities)
	if err != nil {
		return fmt.Errorf("cannot use the list of revoked certificates %s: %w", l.file, err)
	}
	l.gone, l.at, l.size = gone, info.ModTime(), info.Size()
	return nil
}

func readRevocations(file, authorities string) (map[string]map[string]bool, error) {
	data, err := os.ReadFile(authorities)
	if err != nil {
		return nil, err
	}
	var signers []*x509.Certificate
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", authorities, err)
		}
		signers = append(signers, c)
	}
	if data, err = os.ReadFile(file); err != nil {
		return nil, err
	}
	gone := map[string]map[string]bool{}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		list, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			return nil, err
		}
		signed := false
		for _, c := range signers {
			if list.CheckSignatureFrom(c) != nil {
				continue
			}
			signed = true
			of := string(c.RawSubject)
			if gone[of] == nil {
				gone[of] = map[string]bool{}
			}
			for _, e := range list.RevokedCertificateEntries {
				gone[of][e.SerialNumber.String()] = true
			}
		}
		if !signed {
			return nil, fmt.Errorf("it is signed by nobody of %s", authorities)
		}
	}
	if len(gone) == 0 {
		return nil, errors.New("it holds no list in PEM; payfleet ca revoke writes crl.pem")
	}
	return gone, nil
}
