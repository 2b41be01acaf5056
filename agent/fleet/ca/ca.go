// Package ca is the fleet's certificate authority: small, and made of files
// alone. It vouches for boxes (client certificates of a year, asked for with a
// one-time code and renewed by the box itself), for the servers that boxes
// connect to, and for the programs beside the broker.
//
// Its certificate may vouch for nothing but the hospitals, names and networks
// it was made for (name constraints) and for no other authority. What it has
// issued and revoked are files in its folder; several programs may use the
// folder at once. Whoever has the folder has the fleet's identity: keep it on
// one machine, with a copy in a safe.
package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/seal"
)

// How long certificates live.
const (
	AuthorityLife = 20 * 365 * 24 * time.Hour
	BoxLife       = 365 * 24 * time.Hour
	ServerLife    = 2 * 365 * 24 * time.Hour
	// Grace is how long after its end a box may still renew by its certificate:
	// it may have stood in a cupboard.
	Grace = 30 * 24 * time.Hour
	// backdate is for clocks that are behind.
	backdate = 24 * time.Hour
)

// The files of the folder.
const (
	certFile     = "authority.pem"
	keyFile      = "authority.key"
	settingsFile = "settings.json"
	crlFile      = "crl.pem"
	codesDir     = "codes"
	issuedDir    = "issued"
)

// Bounds say what an authority may vouch for. They stand in its certificate
// and cannot be changed later.
type Bounds struct {
	Sites    []string     // hospitals whose boxes it vouches for
	Domains  []string     // names of servers: these and all below them
	Networks []*net.IPNet // addresses of servers; none: the private ones
}

// DefaultNetworks are the private networks and loopback.
func DefaultNetworks() []*net.IPNet {
	var list []*net.IPNet
	for _, s := range []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "fc00::/7", "::1/128"} {
		if _, n, err := net.ParseCIDR(s); err == nil {
			list = append(list, n)
		}
	}
	return list
}

// Authority is an authority in its folder.
type Authority struct {
	dir  string
	cert *x509.Certificate
	key  crypto.Signer
	now  func() time.Time
}

// Init makes an authority in a folder of its own, which must not hold one. The
// settings are what boxes are told with their certificates.
func Init(dir, name string, b Bounds, s fleet.Settings, now func() time.Time) (*Authority, error) {
	if len(b.Sites) == 0 {
		return nil, errors.New("cannot make an authority for no hospital; name its sites, as fleet.site has them")
	}
	for _, site := range b.Sites {
		if err := checkLevel(site); err != nil {
			return nil, err
		}
	}
	if len(b.Networks) == 0 {
		b.Networks = DefaultNetworks()
	}
	if _, err := os.Stat(filepath.Join(dir, certFile)); !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot make an authority in %s: there is one; boxes trust it, so it is never replaced by accident", dir)
	}
	for _, d := range []string{dir, filepath.Join(dir, codesDir), filepath.Join(dir, issuedDir)} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, fmt.Errorf("cannot make the authority's folder: %w", err)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("cannot make the authority's key: %w", err)
	}
	t := now()
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: t.Add(-backdate), NotAfter: t.Add(AuthorityLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		PermittedDNSDomainsCritical: true, PermittedURIDomains: b.Sites, PermittedDNSDomains: append([]string{"localhost"}, b.Domains...), PermittedIPRanges: b.Networks,
		// Nothing here is an e-mail address.
		PermittedEmailAddresses: []string{"invalid"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err == nil {
		_, err = x509.ParseCertificate(der)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot make the authority; check the names of sites and domains: %w", err)
	}
	secret, err := keyPEM(key)
	if err != nil {
		return nil, err
	}
	// The certificate comes last: with it the authority is there.
	if err := seal.WriteFile(filepath.Join(dir, keyFile), secret); err != nil {
		return nil, err
	}
	if err := writeSettings(dir, s); err != nil {
		return nil, err
	}
	if err := seal.WriteFile(filepath.Join(dir, certFile), certPEM(der)); err != nil {
		return nil, err
	}
	a, err := Open(dir, now)
	if err != nil {
		return nil, err
	}
	return a, a.writeCRL()
}

// Open opens the authority in a folder.
func Open(dir string, now func() time.Time) (*Authority, error) {
	a := &Authority{dir: dir, now: now}
	data, err := os.ReadFile(filepath.Join(dir, certFile))
	if err != nil {
		return nil, fmt.Errorf("cannot open the authority; make one with payfleet ca init, or name its folder with --dir: %w", err)
	}
	if a.cert, err = parseCert(data); err != nil {
		return nil, fmt.Errorf("cannot use %s: %w", certFile, err)
	}
	path := filepath.Join(dir, keyFile)
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("cannot open the authority's key: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("cannot use %s: other users of this machine can read it, and with it be any box; run chmod 600 on it", path)
	}
	if data, err = os.ReadFile(path); err != nil {
		return nil, fmt.Errorf("cannot read the authority's key: %w", err)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("cannot use %s: it holds no PEM", path)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	signer, ok := key.(crypto.Signer)
	if err != nil || !ok {
		return nil, fmt.Errorf("cannot use %s: it holds no private key", path)
	}
	if public, ok := signer.Public().(*ecdsa.PublicKey); !ok || !public.Equal(a.cert.PublicKey) {
		return nil, fmt.Errorf("cannot use the authority: %s and %s do not belong together; take both from one copy", keyFile, certFile)
	}
	a.key = signer
	return a, nil
}

// Certificate is the authority's own, PEM.
func (a *Authority) Certificate() []byte { return certPEM(a.cert.Raw) }

// Fingerprint is what codes name the authority by.
func (a *Authority) Fingerprint() [16]byte { return fleet.Fingerprint(a.cert.RawSubjectPublicKeyInfo) }

// Sites are the hospitals whose boxes it may vouch for.
func (a *Authority) Sites() []string { return slices.Clone(a.cert.PermittedURIDomains) }

// Settings are what boxes are told.
func (a *Authority) Settings() (fleet.Settings, error) {
	var s fleet.Settings
	data, err := os.ReadFile(filepath.Join(a.dir, settingsFile))
	if err != nil {
		return s, fmt.Errorf("cannot read what boxes are told: %w", err)
	}
	if err := fleet.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("cannot use %s: %w", settingsFile, err)
	}
	return s, nil
}

// SetSettings changes what boxes are told from now on. Boxes that are enrolled
// keep what they were told; change those by payfleet config.
func (a *Authority) SetSettings(s fleet.Settings) error { return writeSettings(a.dir, s) }

func writeSettings(dir string, s fleet.Settings) error {
	s.Site, s.Box = "", "" // come with each box
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return seal.WriteFile(filepath.Join(dir, settingsFile), append(data, '\n'))
}

// checkLevel is fleet.CheckName, and more: the name stands in certificates as
// the host of a URI, and as a common name that OpenSSL takes for a host's name
// when there is a dot in it.
func checkLevel(name string) error {
	if err := fleet.CheckName(name); err != nil {
		return err
	}
	for _, r := range name {
		if r == '.' {
			return fmt.Errorf("cannot put the name %q into a certificate: OpenSSL would take it for the name of a host; write hyphens instead of dots", name)
		}
	}
	if name[0] == '-' || name[len(name)-1] == '-' {
		return fmt.Errorf("cannot put the name %q into a certificate: begin and end it with a letter or digit", name)
	}
	return nil
}

func newSerial() (*big.Int, error) {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("cannot make a serial number: %w", err)
	}
	return n.SetBit(n, 120, 1), nil // always of one length
}

func keyPEM(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func certPEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func parseCert(data []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("it holds no certificate in PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}
