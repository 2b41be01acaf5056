package seal_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"payagent/agent/seal"
)

func pairPEM(t *testing.T, n int64) (cert, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(n), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
}

// TestPairs: a certificate whose key systemd keeps is read, a renewed one at
// the next call; while half of it is new the old one stays.
func TestPairs(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	cert := filepath.Join(dir, "cert.pem")
	put := func(path string, data []byte) {
		t.Helper()
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if seal.Pairs("", "") != nil {
		t.Error("a certificate is given though none is named")
	}
	give := seal.Pairs(cert, "credential:tls.key")
	if _, err := give(); err == nil {
		t.Error("nothing was given for a certificate")
	}
	c1, k1 := pairPEM(t, 1)
	c2, k2 := pairPEM(t, 2)
	want := func(n int64) {
		t.Helper()
		got, err := give()
		if err != nil {
			t.Fatal(err)
		}
		if got.Leaf.SerialNumber.Int64() != n {
			t.Errorf("certificate %v, want %d", got.Leaf.SerialNumber, n)
		}
	}
	put(cert, c1)
	put(filepath.Join(dir, "tls.key"), k1)
	want(1)
	put(cert, c2)
	want(1)
	put(filepath.Join(dir, "tls.key"), k2)
	want(2)
	if err := os.Remove(cert); err != nil {
		t.Fatal(err)
	}
	want(2)
	if got, err := seal.KeyPair(cert, "credential:tls.key"); err == nil || got.Certificate != nil {
		t.Error("a certificate from nowhere")
	}
	var _ func() (tls.Certificate, error) = give
	if !seal.Closed("credential:tls.key") || seal.Closed(filepath.Join(dir, "tls.key")) || seal.Closed(filepath.Join(dir, "none")) {
		t.Error("what is closed is not told from what is not")
	}
	put(filepath.Join(dir, "closed"), []byte("dpapi:AAAA"))
	if !seal.Closed(filepath.Join(dir, "closed")) {
		t.Error("a file of DPAPI is not told")
	}
}
