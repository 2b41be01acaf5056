package ca

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/seal"
)

// maxTries is how often a code's secret may be wrong before the code is dead.
const maxTries = 5

// codeFile is what is kept of a code.
type codeFile struct {
	Site    string    `json:"site"`
	Box     string    `json:"box"`
	Hash    string    `json:"hash"` // SHA-256 of the secret, hex
	Made    time.Time `json:"made"`
	Expires time.Time `json:"expires"`
	Tries   int       `json:"tries"` // wrong ones
	// Generation that the box gets with it; 0 in codes of before there were any.
	Generation uint64 `json:"generation,omitempty"`
}

// claim is who used a code, written once and whole.
type claim struct {
	Key    string    `json:"key"`    // hash of the public key
	Serial string    `json:"serial"` // of the certificate it gets
	At     time.Time `json:"at"`
	Code   string    `json:"code,omitempty"` // by which code a generation was claimed; empty for a file
}

func (a *Authority) codePath(id [4]byte) string {
	return filepath.Join(a.dir, codesDir, hex.EncodeToString(id[:]))
}

// Code makes a one-time code for one box.
func (a *Authority) Code(site, box string, validFor time.Duration) (fleet.Code, error) {
	if err := a.mayBe(KindBox, site, box); err != nil {
		return fleet.Code{}, err
	}
	if validFor <= 0 || validFor > 30*24*time.Hour {
		return fleet.Code{}, errors.New("cannot make a code that is valid for so long; at most 30 days")
	}
	c := fleet.Code{Authority: a.Fingerprint()}
	for {
		if _, err := rand.Read(c.ID[:]); err != nil {
			return fleet.Code{}, fmt.Errorf("cannot make a code: %w", err)
		}
		if _, err := os.Stat(a.codePath(c.ID) + ".json"); errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if _, err := rand.Read(c.Secret[:]); err != nil {
		return fleet.Code{}, fmt.Errorf("cannot make a code: %w", err)
	}
	generation, err := a.next(site, box)
	if err != nil {
		return fleet.Code{}, err
	}
	t := a.now().UTC().Truncate(time.Second)
	return c, a.writeCode(c.ID, codeFile{Site: site, Box: box, Hash: hashText(c), Made: t, Expires: t.Add(validFor), Generation: generation})
}

func hashText(c fleet.Code) string {
	sum := sha256.Sum256(c.Secret[:])
	return hex.EncodeToString(sum[:])
}

func (a *Authority) writeCode(id [4]byte, f codeFile) error {
	data, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	return seal.WriteFile(a.codePath(id)+".json", append(data, '\n'))
}

// Enrol answers a request that carries a code. The same code with the same key
// gets the same certificate again, so that a box that lost power before it had
// the answer can repeat itself; with another key it is used up. Refusals are
// [*Refusal]. Calls must not overlap within one process; between processes the
// file of the claim decides.
func (a *Authority) Enrol(r fleet.EnrolRequest) (fleet.Enrolled, error) {
	c, err := fleet.ParseCode(r.Code)
	if err != nil || c.Authority != a.Fingerprint() {
		return fleet.Enrolled{}, refuse(fleet.EnrolUnknown, "")
	}
	csr, err := readCSR(r.CSR)
	if err != nil {
		return fleet.Enrolled{}, err
	}
	var f codeFile
	err = readJSON(a.codePath(c.ID)+".json", &f)
	known := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fleet.Enrolled{}, err
	}
	if !known {
		f.Hash = strings.Repeat("0", 2*sha256.Size) // compared all the same
	}
	if subtle.ConstantTimeCompare([]byte(hashText(c)), []byte(f.Hash)) != 1 || !known {
		if known && f.Tries < maxTries {
			f.Tries++
			if err := a.writeCode(c.ID, f); err != nil {
				return fleet.Enrolled{}, err
			}
		}
		return fleet.Enrolled{}, refuse(fleet.EnrolUnknown, "")
	}
	if f.Tries >= maxTries {
		return fleet.Enrolled{}, refuse(fleet.EnrolLocked, f.Box)
	}
	if r.Site != "" && r.Site != f.Site || r.Box != "" && r.Box != f.Box {
		return fleet.Enrolled{}, refuse(fleet.EnrolWrongBox, f.Box)
	}
	return a.use(c, f, csr)
}

// use claims the code for the key and issues the certificate of the claim.
func (a *Authority) use(c fleet.Code, f codeFile, csr *x509.CertificateRequest) (fleet.Enrolled, error) {
	hash := keyHash(csr.RawSubjectPublicKeyInfo)
	path := a.codePath(c.ID) + ".used"
	var was claim
	err := readJSON(path, &was)
	if errors.Is(err, fs.ErrNotExist) {
		if !a.now().Before(f.Expires) {
			return fleet.Enrolled{}, refuse(fleet.EnrolExpired, f.Box)
		}
		// Nothing is claimed for a request that would be refused.
		if cn := csr.Subject.CommonName; cn != "" && cn != f.Box {
			return fleet.Enrolled{}, refuse(fleet.EnrolWrongBox, f.Box)
		}
		if err := a.claimGeneration(f.Site, f.Box, max(1, f.Generation), claim{Key: hash, Code: hex.EncodeToString(c.ID[:])}); err != nil {
			return fleet.Enrolled{}, err
		}
		serial, serr := newSerial()
		if serr != nil {
			return fleet.Enrolled{}, serr
		}
		was = claim{Key: hash, Serial: serialText(serial), At: a.now().UTC().Truncate(time.Second)}
		if err = writeOnce(path, was); errors.Is(err, fs.ErrExist) {
			err = readJSON(path, &was) // another was first
		}
	}
	if err != nil {
		return fleet.Enrolled{}, err
	}
	if was.Key != hash {
		return fleet.Enrolled{}, refuse(fleet.EnrolUsed, f.Box)
	}
	i, err := a.find(was.Serial)
	if errors.Is(err, fs.ErrNotExist) {
		serial, ok := new(big.Int).SetString(was.Serial, 16)
		if !ok {
			return fleet.Enrolled{}, fmt.Errorf("cannot use %s: its number is damaged; make a new code", path)
		}
		i, err = a.boxCert(csr, f.Site, f.Box, "code", serial, max(1, f.Generation))
	}
	if err != nil {
		return fleet.Enrolled{}, err
	}
	if i.Revoked != nil {
		return fleet.Enrolled{}, refuse(fleet.EnrolRevoked, f.Box)
	}
	return a.answer(i)
}

// writeOnce makes a file with the whole content, or fails because it is there.
func writeOnce(path string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	temp := path + "." + rand.Text()
	if err := seal.WriteFile(temp, append(data, '\n')); err != nil {
		return err
	}
	err = os.Link(temp, path)
	return errors.Join(err, os.Remove(temp), seal.SyncDir(filepath.Dir(path)))
}
