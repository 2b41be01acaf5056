package ca

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/seal"
)

// The kinds of certificates.
const (
	KindBox    = "box"
	KindServer = "server"
	KindClient = "client" // a program beside the broker: hub, relay, payfleet
)

// Issued is a certificate that was issued.
type Issued struct {
	Serial   string    `json:"serial"`
	Kind     string    `json:"kind"`
	Site     string    `json:"site,omitempty"`
	Name     string    `json:"name"` // box, first name of a server, program
	At       time.Time `json:"issued_at"`
	NotAfter time.Time `json:"not_after"`
	By       string    `json:"by"`      // code, renewal, file, or the command
	KeyHash  string    `json:"key"`     // SHA-256 of the public key, hex
	PEM      string    `json:"pem"`     // the certificate
	Revoked  *Revoked  `json:"revoked"` // filled by List
	// Generation counts a box's enrolments; 0 is 1.
	Generation uint64 `json:"generation,omitempty"`
}

// Revoked says when and why a certificate stopped counting.
type Revoked struct {
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
}

// Refusal is why a request was refused: a code of the words' group enrol, and
// what its words leave open.
type Refusal struct{ fleet.EnrolProblem }

// Error names the code.
func (r *Refusal) Error() string {
	return strings.TrimSuffix("refused: "+r.Code+" "+r.Detail, " ")
}

func refuse(code, detail string) error {
	return &Refusal{fleet.EnrolProblem{Code: code, Detail: detail}}
}

// readCSR gives the public key of a certificate request that its holder made.
// Nothing else of a request counts but a common name that contradicts.
func readCSR(text string) (*x509.CertificateRequest, error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE REQUEST" || strings.TrimSpace(string(rest)) != "" {
		return nil, refuse(fleet.EnrolBad, "")
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil || csr.CheckSignature() != nil {
		return nil, refuse(fleet.EnrolBad, "")
	}
	switch k := csr.PublicKey.(type) {
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			return csr, nil
		}
	case ed25519.PublicKey:
		return csr, nil
	}
	return nil, refuse(fleet.EnrolBad, "")
}

func keyHash(spki []byte) string {
	sum := sha256.Sum256(spki)
	return hex.EncodeToString(sum[:])
}

// boxCert issues a box's certificate: client authentication alone.
func (a *Authority) boxCert(csr *x509.CertificateRequest, site, box, by string, serial *big.Int, generation uint64) (Issued, error) {
	if cn := csr.Subject.CommonName; cn != "" && cn != box {
		return Issued{}, refuse(fleet.EnrolWrongBox, box)
	}
	if err := a.mayBe(KindBox, site, box); err != nil {
		return Issued{}, err
	}
	name := pkix.Name{CommonName: box}
	if generation > 1 {
		name.SerialNumber = strconv.FormatUint(generation, 10)
	}
	return a.issue(&x509.Certificate{SerialNumber: serial, Subject: name, URIs: []*url.URL{{Scheme: "payagent", Host: site, Path: "/" + box}},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, csr.PublicKey, BoxLife, Issued{Kind: KindBox, Site: site, Name: box, By: by, Generation: generation})
}

// mayBe makes sure that a name stands for one holder: brokers know clients by
// their common name alone, so a box of another hospital must not have it.
func (a *Authority) mayBe(kind, site, name string) error {
	if kind != KindServer {
		if err := checkLevel(name); err != nil {
			return err
		}
	}
	if kind == KindBox && !slices.Contains(a.cert.PermittedURIDomains, site) {
		return fmt.Errorf("cannot vouch for boxes of %q: this authority was made for %s", site, strings.Join(a.cert.PermittedURIDomains, ", "))
	}
	list, err := a.List()
	if err != nil {
		return err
	}
	for _, i := range list {
		if i.Name == name && (i.Kind != kind || i.Site != site) && i.Revoked == nil && i.NotAfter.After(a.now()) {
			return fmt.Errorf("cannot give the name %s again: a %s has it, and a broker could not tell the two apart; choose another, or revoke that one", name, strings.TrimSpace(i.Kind+" "+i.Site))
		}
	}
	return nil
}

func (a *Authority) issue(template *x509.Certificate, public any, life time.Duration, note Issued) (Issued, error) {
	t := a.now()
	template.NotBefore, template.NotAfter = t.Add(-backdate), t.Add(life)
	if template.NotAfter.After(a.cert.NotAfter) {
		template.NotAfter = a.cert.NotAfter
	}
	template.KeyUsage, template.BasicConstraintsValid = x509.KeyUsageDigitalSignature, true
	if template.SerialNumber == nil {
		var err error
		if template.SerialNumber, err = newSerial(); err != nil {
			return Issued{}, err
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, public, a.key)
	if err != nil {
		return Issued{}, fmt.Errorf("cannot issue the certificate: %w", err)
	}
	// What verifiers would refuse is not given out.
	cert, err := x509.ParseCertificate(der)
	if err == nil {
		roots := x509.NewCertPool()
		roots.AddCert(a.cert)
		_, err = cert.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: t, KeyUsages: template.ExtKeyUsage})
	}
	if err != nil {
		return Issued{}, fmt.Errorf("cannot issue the certificate: this authority may not vouch for that name; what it may was said when it was made: %w", err)
	}
	note.Serial, note.At, note.NotAfter = serialText(cert.SerialNumber), t.UTC().Truncate(time.Second), cert.NotAfter
	note.KeyHash, note.PEM = keyHash(cert.RawSubjectPublicKeyInfo), string(certPEM(der))
	data, err := json.MarshalIndent(note, "", "  ")
	if err != nil {
		return Issued{}, err
	}
	// On disk before it is given out, so that it can be revoked.
	return note, seal.WriteFile(filepath.Join(a.dir, issuedDir, note.Serial+".json"), append(data, '\n'))
}

func serialText(n *big.Int) string { return hex.EncodeToString(n.Bytes()) }

// Sign answers a request that came as a file (payagent enrol --request).
func (a *Authority) Sign(r fleet.EnrolRequest, site, box string) (fleet.Enrolled, error) {
	if r.Site != "" && r.Site != site || r.Box != "" && r.Box != box {
		return fleet.Enrolled{}, refuse(fleet.EnrolWrongBox, box)
	}
	csr, err := readCSR(r.CSR)
	if err != nil {
		return fleet.Enrolled{}, err
	}
	// The same request again is the same enrolment.
	hash := keyHash(csr.RawSubjectPublicKeyInfo)
	// Nothing is claimed for a request that would be refused.
	if cn := csr.Subject.CommonName; cn != "" && cn != box {
		return fleet.Enrolled{}, refuse(fleet.EnrolWrongBox, box)
	}
	if err := a.mayBe(KindBox, site, box); err != nil {
		return fleet.Enrolled{}, err
	}
	generation, err := a.generationFor(site, box, hash)
	if err != nil {
		return fleet.Enrolled{}, err
	}
	if err := a.claimGeneration(site, box, generation, claim{Key: hash}); err != nil {
		return fleet.Enrolled{}, err
	}
	return a.vouch(csr, site, box, "file", generation)
}

// vouch issues a box's certificate and says what the box is told with it.
func (a *Authority) vouch(csr *x509.CertificateRequest, site, box, by string, generation uint64) (fleet.Enrolled, error) {
	i, err := a.boxCert(csr, site, box, by, nil, generation)
	if err != nil {
		return fleet.Enrolled{}, err
	}
	return a.answer(i)
}

func (a *Authority) answer(i Issued) (fleet.Enrolled, error) {
	s, err := a.Settings()
	s.Site, s.Box = i.Site, i.Name
	return fleet.Enrolled{Certificate: i.PEM, Authority: string(a.Certificate()), Settings: s}, err
}

// Server makes a key and a certificate for a server that is reached under
// names or addresses, e.g. the broker; it may also be shown to other servers.
func (a *Authority) Server(names []string) (key []byte, cert Issued, err error) {
	if len(names) == 0 {
		return nil, Issued{}, errors.New("cannot vouch for a server without a name; give the names and addresses that boxes connect to")
	}
	if err := a.mayBe(KindServer, "", names[0]); err != nil {
		return nil, Issued{}, err
	}
	t := &x509.Certificate{Subject: pkix.Name{CommonName: names[0]}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, n)
		}
	}
	return a.withKey(t, ServerLife, Issued{Kind: KindServer, Name: names[0], By: "server"})
}

// Client makes a key and a certificate for a program beside the broker.
func (a *Authority) Client(name string) (key []byte, cert Issued, err error) {
	if err := a.mayBe(KindClient, "", name); err != nil {
		return nil, Issued{}, err
	}
	return a.withKey(&x509.Certificate{Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, ServerLife,
		Issued{Kind: KindClient, Name: name, By: "client"})
}

func (a *Authority) withKey(t *x509.Certificate, life time.Duration, note Issued) ([]byte, Issued, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, Issued{}, fmt.Errorf("cannot make a key: %w", err)
	}
	i, err := a.issue(t, key.Public(), life, note)
	if err != nil {
		return nil, Issued{}, err
	}
	secret, err := keyPEM(key)
	return secret, i, err
}

// List gives every certificate that was issued, newest last.
func (a *Authority) List() ([]Issued, error) {
	names, err := filepath.Glob(filepath.Join(a.dir, issuedDir, "*.json"))
	if err != nil {
		return nil, err
	}
	var list []Issued
	for _, path := range names {
		i, err := a.find(strings.TrimSuffix(filepath.Base(path), ".json"))
		if err != nil {
			return nil, err
		}
		list = append(list, i)
	}
	slices.SortStableFunc(list, func(x, y Issued) int { return x.At.Compare(y.At) })
	return list, nil
}

func (a *Authority) find(serial string) (Issued, error) {
	var i Issued
	if strings.Trim(serial, "0123456789abcdef") != "" {
		return i, fmt.Errorf("cannot find a certificate %q; payfleet ca list shows their numbers", serial)
	}
	base := filepath.Join(a.dir, issuedDir, serial)
	if err := readJSON(base+".json", &i); err != nil {
		return i, err
	}
	var r Revoked
	switch err := readJSON(base+".revoked", &r); {
	case err == nil:
		i.Revoked = &r
	case !errors.Is(err, fs.ErrNotExist):
		return i, err
	}
	return i, nil
}

func readJSON(path string, v any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("cannot read the authority's files: %w", err)
	}
	if err := fleet.Unmarshal(data, v); err != nil {
		return fmt.Errorf("cannot use %s; take it from the copy: %w", path, err)
	}
	return nil
}
