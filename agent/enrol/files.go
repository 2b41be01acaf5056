// Package enrol is how a box comes to its certificate: it makes a key that
// never leaves it, has it certified with a one-time code or by a file on a USB
// stick, renews the certificate before it ends, and says when any certificate
// of the configuration is about to.
//
// Whatever is interrupted is taken up where it stood: the key is on disk
// before it is asked for, and the authority gives the same certificate for the
// same key again.
package enrol

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/seal"
)

// Files are where a box has its certificate.
type Files struct {
	CA   string // the fleet's authority, PEM
	Cert string // the box's certificate, PEM
	// Key is its private key, PEM, mode 0600. Where something else closes it (see
	// [seal.Closed]), e.g. systemd with the machine's TPM, it is never written, and
	// renewals keep it.
	Key string
}

// dir is the folder of what belongs together.
func (f Files) dir() string {
	if _, kept, _ := seal.SecretFile(f.Key); kept {
		return filepath.Dir(f.Cert)
	}
	return filepath.Dir(f.Key)
}

// InFolder gives the usual names.
func InFolder(dir string) Files {
	return Files{CA: filepath.Join(dir, "ca.pem"), Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
}

// next holds key, certificate and authority together until each is in its own
// file: two files cannot be renamed at once.
func (f Files) next() string { return filepath.Join(f.dir(), "next.pem") }

// pending is a key that a certificate is being asked for.
func (f Files) pending() string { return filepath.Join(f.dir(), "pending-key.pem") }

// Current reads the present certificate.
func (f Files) Current() (*x509.Certificate, error) {
	data, err := os.ReadFile(f.Cert)
	if err != nil {
		return nil, fmt.Errorf("cannot read the box's certificate; payagent enrol gets one: %w", err)
	}
	return parseCert(data)
}

// Pair reads certificate and key, as a TLS client shows them.
func (f Files) Pair() (tls.Certificate, error) {
	pair, err := seal.KeyPair(f.Cert, f.Key)
	if err != nil {
		return pair, fmt.Errorf("cannot use the box's certificate and key; payagent enrol gets new ones: %w", err)
	}
	return pair, nil
}

// Resume ends a change of certificate that a loss of power interrupted. It is
// called before the files are used.
func (f Files) Resume() error {
	if seal.Closed(f.Key) {
		return nil // one file alone is changed then
	}
	data, err := os.ReadFile(f.next())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot read the next certificate: %w", err)
	}
	return f.change(data)
}

// change puts what stands in next into its files. It may be repeated at will.
func (f Files) change(data []byte) error {
	var key, cert, ca []byte
	for rest := data; ; {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			break
		}
		switch {
		case b.Type == "PRIVATE KEY":
			key = pem.EncodeToMemory(b)
		case cert == nil:
			cert = pem.EncodeToMemory(b)
		default:
			ca = append(ca, pem.EncodeToMemory(b)...)
		}
	}
	if _, err := tls.X509KeyPair(cert, key); err != nil {
		return errors.Join(fmt.Errorf("cannot use %s: %w; it is removed", f.next(), err), os.Remove(f.next()))
	}
	for _, w := range []struct {
		path string
		data []byte
	}{{f.CA, ca}, {f.Key, key}, {f.Cert, cert}} {
		if err := f.write(w.path, w.data); err != nil {
			return err
		}
	}
	if err := os.Remove(f.pending()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot remove the key that is in use now: %w", err)
	}
	if err := os.Remove(f.next()); err != nil {
		return fmt.Errorf("cannot end the change of certificate: %w", err)
	}
	return seal.SyncDir(f.dir())
}

// write writes one of the files; nothing where there is nothing to write.
func (f Files) write(path string, data []byte) error {
	if len(data) == 0 {
		return nil
	}
	if err := seal.WriteFile(path, data); err != nil {
		return err
	}
	return seal.GiveTo(f.dir(), path)
}

// request makes a certificate request for the pending key, which is made and
// on disk first.
func (f Files) request(box string) (string, error) {
	if err := os.MkdirAll(f.dir(), 0o700); err != nil {
		return "", fmt.Errorf("cannot make the folder for the certificate: %w", err)
	}
	if err := seal.GiveTo(filepath.Dir(f.dir()), f.dir()); err != nil {
		return "", err
	}
	key, err := f.asked()
	if errors.Is(err, fs.ErrNotExist) {
		key, err = f.newKey()
	}
	if err != nil {
		return "", err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: box}}, key)
	if err != nil {
		return "", fmt.Errorf("cannot make a certificate request: %w", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})), nil
}

func (f Files) newKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("cannot make a key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("cannot make a key: %w", err)
	}
	if err := seal.WriteFile(f.pending(), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})); err != nil {
		return nil, err
	}
	return key, seal.GiveTo(f.dir(), f.pending())
}

// asked is the key that a certificate is asked for: the pending one, or the
// present one where that is closed.
func (f Files) asked() (*ecdsa.PrivateKey, error) {
	if seal.Closed(f.Key) {
		secret, err := seal.ReadKey(f.Key, false)
		if err != nil {
			return nil, fmt.Errorf("cannot read the box's key: %v", err) // never taken for one that is to be made
		}
		return parseKey(f.Key, []byte(secret.Reveal()))
	}
	data, err := os.ReadFile(f.pending())
	if err != nil {
		return nil, err
	}
	return parseKey(f.pending(), data)
}

func parseKey(name string, data []byte) (*ecdsa.PrivateKey, error) {
	if b, _ := pem.Decode(data); b != nil {
		if k, err := x509.ParsePKCS8PrivateKey(b.Bytes); err == nil {
			if key, ok := k.(*ecdsa.PrivateKey); ok {
				return key, nil
			}
		}
	}
	return nil, fmt.Errorf("cannot use %s; remove it and begin again", name)
}

// take checks an answer against the pending key and puts it in place. roots is
// who must have signed; at is when, for a box whose clock may be wrong.
func (f Files) take(e fleet.Enrolled, roots *x509.CertPool, authority []byte, now time.Time) (*x509.Certificate, error) {
	cert, err := parseCert([]byte(e.Certificate))
	if err != nil {
		return nil, fmt.Errorf("cannot use the answer: %w", err)
	}
	key, err := f.asked()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("cannot use the answer: nothing was asked for on this box; make the request here first")
	}
	if err != nil {
		return nil, err
	}
	if !key.PublicKey.Equal(cert.PublicKey) {
		return nil, errors.New("cannot use the answer: the certificate is for another key; it belongs to another box, or to a request made before")
	}
	at := clamp(now, cert.NotBefore, cert.NotAfter)
	if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		return nil, fmt.Errorf("cannot use the answer: the certificate is not the authority's: %w", err)
	}
	if cert.Subject.CommonName != e.Settings.Box || len(cert.URIs) != 1 || cert.URIs[0].String() != "payagent://"+e.Settings.Site+"/"+e.Settings.Box {
		return nil, errors.New("cannot use the answer: certificate and settings name different boxes")
	}
	if seal.Closed(f.Key) {
		return cert, errors.Join(f.write(f.CA, authority), f.write(f.Cert, certPEM(cert.Raw)))
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	data := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), certPEM(cert.Raw)...)
	data = append(data, authority...)
	if err := seal.WriteFile(f.next(), data); err != nil {
		return nil, err
	}
	return cert, f.change(data)
}

func clamp(t, from, to time.Time) time.Time {
	switch {
	case t.Before(from):
		return from
	case t.After(to):
		return to
	}
	return t
}

func certPEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// parseCert reads the first certificate of a PEM file.
func parseCert(data []byte) (*x509.Certificate, error) {
	b, _ := pem.Decode(data)
	if b == nil || b.Type != "CERTIFICATE" {
		return nil, errors.New("there is no certificate in PEM")
	}
	return x509.ParseCertificate(b.Bytes)
}

// authorityOf checks an authority that came with an answer: one certificate,
// that vouches for itself.
func authorityOf(text string) (*x509.Certificate, *x509.CertPool, error) {
	b, rest := pem.Decode([]byte(text))
	if b == nil || b.Type != "CERTIFICATE" || strings.TrimSpace(string(rest)) != "" {
		return nil, nil, errors.New("cannot use the answer: it holds no authority")
	}
	ca, err := x509.ParseCertificate(b.Bytes)
	if err != nil || !ca.IsCA || ca.CheckSignatureFrom(ca) != nil {
		return nil, nil, errors.New("cannot use the answer: its authority is none")
	}
	pool := x509.NewCertPool()
	pool.AddCert(ca)
	return ca, pool, nil
}
