package ca

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/seal"
)

// Due is when a certificate is renewed: at two thirds of its life.
func Due(c *x509.Certificate) time.Time {
	return c.NotBefore.Add(c.NotAfter.Sub(c.NotBefore) * 2 / 3)
}

// Renew issues the next certificate to whoever holds the key of a present one;
// old was shown in a TLS handshake. It may have ended up to [Grace] ago: a box
// that was off must be able to come back. The old one goes on counting until
// its end, so that nothing breaks while the box changes over.
func (a *Authority) Renew(old *x509.Certificate, r fleet.RenewRequest) (fleet.Enrolled, error) {
	now := a.now()
	i, err := a.find(serialText(old.SerialNumber))
	if errors.Is(err, fs.ErrNotExist) || err == nil && (i.Kind != KindBox || i.PEM != string(certPEM(old.Raw))) {
		return fleet.Enrolled{}, refuse(fleet.EnrolNotOurs, "")
	}
	switch {
	case err != nil:
		return fleet.Enrolled{}, err
	case i.Revoked != nil:
		return fleet.Enrolled{}, refuse(fleet.EnrolRevoked, i.Name)
	case now.After(old.NotAfter.Add(Grace)):
		return fleet.Enrolled{}, refuse(fleet.EnrolTooLate, i.Name)
	case r.IfDue && now.Before(Due(old)):
		return fleet.Enrolled{}, refuse(fleet.EnrolNotDue, i.Name)
	}
	newest, err := a.Newest(i.Site, i.Name)
	if err != nil {
		return fleet.Enrolled{}, err
	}
	if newest.generation() > i.generation() {
		return fleet.Enrolled{}, refuse(fleet.EnrolReplaced, i.Name)
	}
	csr, err := readCSR(r.CSR)
	if err != nil {
		return fleet.Enrolled{}, err
	}
	// The same key again, e.g. after a lost answer: the same certificate.
	hash := keyHash(csr.RawSubjectPublicKeyInfo)
	list, err := a.List()
	if err != nil {
		return fleet.Enrolled{}, err
	}
	for _, o := range slices.Backward(list) {
		if o.KeyHash != hash {
			continue
		}
		switch {
		case o.Revoked != nil:
			return fleet.Enrolled{}, refuse(fleet.EnrolRevoked, i.Name)
		case o.Kind != KindBox || o.Name != i.Name || o.Site != i.Site:
			return fleet.Enrolled{}, refuse(fleet.EnrolBad, "")
		case i.KeyHash == hash && !o.At.After(i.At):
			// A box that keeps its key: its present certificate, and those before it.
		case o.Serial != i.Serial:
			return a.answer(o)
		}
	}
	return a.vouch(csr, i.Site, i.Name, "renewal", i.generation())
}

// Revoke ends certificates: the one of that number, or every one of a box,
// server or program of that name. It gives those it ended.
func (a *Authority) Revoke(what, reason string) ([]Issued, error) {
	list, err := a.List()
	if err != nil {
		return nil, err
	}
	var ended []Issued
	found := false
	for _, i := range list {
		if i.Serial != what && i.Name != what {
			continue
		}
		found = true
		if i.Revoked != nil {
			continue
		}
		i.Revoked = &Revoked{At: a.now().UTC().Truncate(time.Second), Reason: reason}
		data, err := json.Marshal(i.Revoked)
		if err != nil {
			return ended, err
		}
		if err := seal.WriteFile(filepath.Join(a.dir, issuedDir, i.Serial+".revoked"), append(data, '\n')); err != nil {
			return ended, err
		}
		ended = append(ended, i)
	}
	if !found {
		return nil, fmt.Errorf("cannot revoke %q: nothing of that name or number was issued; see payfleet ca list", what)
	}
	return ended, a.writeCRL()
}

// CRL is the list of revoked certificates, PEM, as brokers read it (mosquitto:
// crlfile). It ends with the authority, because a broker whose list has ended
// lets nobody in.
func (a *Authority) CRL() ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(a.dir, crlFile))
	if err != nil {
		return nil, fmt.Errorf("cannot read the list of revoked certificates: %w", err)
	}
	return data, nil
}

func (a *Authority) writeCRL() error {
	list, err := a.List()
	if err != nil {
		return err
	}
	number := big.NewInt(a.now().Unix())
	if data, err := os.ReadFile(filepath.Join(a.dir, crlFile)); err == nil {
		if block, _ := pem.Decode(data); block != nil {
			if was, err := x509.ParseRevocationList(block.Bytes); err == nil && was.Number != nil && was.Number.Cmp(number) >= 0 {
				number.Add(was.Number, big.NewInt(1))
			}
		}
	}
	t := &x509.RevocationList{Number: number, ThisUpdate: a.now().Add(-backdate), NextUpdate: a.cert.NotAfter}
	for _, i := range list {
		if i.Revoked == nil {
			continue
		}
		serial, ok := new(big.Int).SetString(i.Serial, 16)
		if !ok {
			return fmt.Errorf("cannot use the note of certificate %s; take it from the copy", i.Serial)
		}
		t.RevokedCertificateEntries = append(t.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: serial, RevocationTime: i.Revoked.At})
	}
	der, err := x509.CreateRevocationList(rand.Reader, t, a.cert, a.key)
	if err != nil {
		return fmt.Errorf("cannot write the list of revoked certificates: %w", err)
	}
	return seal.WriteFile(filepath.Join(a.dir, crlFile), pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}))
}

// Codes lists the codes that can still be used, as "site/box until".
func (a *Authority) Codes() ([]OpenCode, error) {
	names, err := filepath.Glob(filepath.Join(a.dir, codesDir, "*.json"))
	if err != nil {
		return nil, err
	}
	var list []OpenCode
	for _, path := range names {
		var f codeFile
		if err := readJSON(path, &f); err != nil {
			return nil, err
		}
		_, err := os.Stat(strings.TrimSuffix(path, ".json") + ".used")
		if errors.Is(err, fs.ErrNotExist) && a.now().Before(f.Expires) && f.Tries < maxTries {
			list = append(list, OpenCode{Site: f.Site, Box: f.Box, Expires: f.Expires})
		}
	}
	return list, nil
}

// OpenCode is a code that nobody has used yet.
type OpenCode struct {
	Site, Box string
	Expires   time.Time
}
