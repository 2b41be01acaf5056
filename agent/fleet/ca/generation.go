package ca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"

	"payagent/agent/fleet"
)

// generation counts as 1 in certificates of before there were any.
func (i Issued) generation() uint64 { return max(1, i.Generation) }

// Newest gives the certificate of a box's newest enrolment; fs.ErrNotExist
// without any.
func (a *Authority) Newest(site, box string) (Issued, error) {
	var newest Issued
	list, err := a.List()
	for _, i := range list {
		if i.Kind == KindBox && i.Site == site && i.Name == box && i.generation() >= newest.generation() {
			newest = i
		}
	}
	if err == nil && newest.Serial == "" {
		err = fmt.Errorf("cannot find box %s of %s; see payfleet ca list: %w", box, site, fs.ErrNotExist)
	}
	return newest, err
}

// next is the generation of the box's next enrolment: above all that were
// issued, or that a key was promised.
func (a *Authority) next(site, box string) (uint64, error) {
	newest, err := a.Newest(site, box)
	if errors.Is(err, fs.ErrNotExist) {
		newest, err = Issued{}, nil
	} else if err == nil {
		newest.Generation = newest.generation()
	}
	for n := newest.Generation + 1; err == nil; n++ {
		if _, err = os.Stat(a.claimPath(site, box, n)); errors.Is(err, fs.ErrNotExist) {
			return n, nil
		}
	}
	return 0, err
}

func (a *Authority) claimPath(site, box string, generation uint64) string {
	return filepath.Join(a.dir, codesDir, fmt.Sprintf("%s.%s.%d.generation", site, box, generation))
}

// claimGeneration gives a generation of a box to one key for ever: of two codes
// for it the first that is used has it, and one from before the newest
// enrolment is worth nothing. Another key by the same code is told that the code
// was used, also where the two come at once.
func (a *Authority) claimGeneration(site, box string, generation uint64, by claim) error {
	path := a.claimPath(site, box, generation)
	taken := func() error {
		var was claim
		switch err := readJSON(path, &was); {
		case err == nil && was.Key == by.Key:
			return nil
		case err == nil && by.Code != "" && was.Code == by.Code:
			return refuse(fleet.EnrolUsed, box)
		case err == nil || errors.Is(err, fs.ErrNotExist): // issued before generations were claimed
			return refuse(fleet.EnrolReplaced, box)
		default:
			return err
		}
	}
	newest, err := a.Newest(site, box)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case newest.generation() > generation:
		return refuse(fleet.EnrolReplaced, box)
	case newest.generation() == generation && newest.KeyHash != by.Key:
		if err := taken(); err != nil {
			return err
		}
		return refuse(fleet.EnrolReplaced, box) // renewed since
	}
	by.At = a.now().UTC()
	if err = writeOnce(path, by); errors.Is(err, fs.ErrExist) {
		return taken()
	}
	return err
}

// generationFor is that of a request that came as a file: the same request
// again is the same enrolment.
func (a *Authority) generationFor(site, box, key string) (uint64, error) {
	n, err := a.next(site, box)
	if err != nil || n == 1 {
		return n, err
	}
	var was claim
	if err = readJSON(a.claimPath(site, box, n-1), &was); errors.Is(err, fs.ErrNotExist) {
		return n, nil // issued before generations were claimed
	}
	if was.Key == key {
		n--
	}
	return n, err
}

// Stop makes an enrolment of the box that no machine has, and ends its
// certificates: whoever is in that place finds, once the broker lets it in no
// more, that the authority's newest certificate is another's, and takes no
// payment any more. A later enrolment brings the place back.
func (a *Authority) Stop(site, box, reason string) ([]Issued, error) {
	if _, err := a.Newest(site, box); err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader) // kept nowhere
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, fmt.Errorf("cannot stop %s: %w", box, err)
	}
	if _, err := a.Sign(fleet.EnrolRequest{CSR: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))}, site, box); err != nil {
		return nil, err
	}
	return a.Revoke(box, reason)
}

// RevokeReplaced ends the certificates of a box's earlier enrolments.
func (a *Authority) RevokeReplaced(site, box, reason string) ([]Issued, error) {
	newest, err := a.Newest(site, box)
	if err != nil {
		return nil, err
	}
	list, err := a.List()
	if err != nil {
		return nil, err
	}
	var ended []Issued
	for _, i := range list {
		if i.Kind != KindBox || i.Site != site || i.Name != box || i.Revoked != nil || i.generation() == newest.generation() {
			continue
		}
		more, err := a.Revoke(i.Serial, reason)
		if ended = append(ended, more...); err != nil {
			return ended, err
		}
	}
	return ended, nil
}

func (s *Server) newest(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	i, err := s.a.Newest(q.Get("site"), q.Get("box"))
	if errors.Is(err, fs.ErrNotExist) {
		err = refuse(fleet.EnrolNotOurs, "")
	}
	if err != nil {
		s.reply(w, r, fleet.Enrolled{}, err)
		return
	}
	w.Header().Set("Content-Type", "application/x-pem-file")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write([]byte(i.PEM))
}
