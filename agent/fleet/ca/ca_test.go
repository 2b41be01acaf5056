package ca_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/fleet/ca"
)

func newAuthority(t *testing.T) (*ca.Authority, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ca")
	a, err := ca.Init(dir, "Hospital fleet", ca.Bounds{Sites: []string{"H1"}, Domains: []string{"hospital.example"}}, fleet.Settings{Broker: "mqtts://b:8883"}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return a, dir
}

func csr(t *testing.T, key any, name string) string {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// openssl runs the verifier that brokers use.
func openssl(t *testing.T, args ...string) (string, bool) {
	t.Helper()
	out, err := exec.Command("openssl", args...).CombinedOutput()
	return string(out), err == nil
}

// TestOpenSSL: what Go issues, OpenSSL takes, with its name constraints and
// its list of revoked certificates; mosquitto is OpenSSL.
func TestOpenSSL(t *testing.T) {
	a, dir := newAuthority(t)
	write := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	e, err := a.Sign(fleet.EnrolRequest{CSR: csr(t, newKey(t), "")}, "H1", "box_1")
	if err != nil {
		t.Fatal(err)
	}
	box := write("box.pem", e.Certificate)
	_, server, err := a.Server([]string{"broker.hospital.example", "10.1.2.3", "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	broker := write("broker.pem", server.PEM)
	_, client, err := a.Client("hub")
	if err != nil {
		t.Fatal(err)
	}
	hub := write("hub.pem", client.PEM)
	root, crl := filepath.Join(dir, "authority.pem"), filepath.Join(dir, "crl.pem")
	verify := func(purpose, file string) (string, bool) {
		return openssl(t, "verify", "-x509_strict", "-CAfile", root, "-crl_check", "-CRLfile", crl, "-purpose", purpose, file)
	}
	for _, c := range []struct {
		purpose, file string
		ok            bool
	}{{"sslclient", box, true}, {"sslserver", box, false}, {"sslserver", broker, true}, {"sslclient", hub, true}, {"sslserver", hub, false}} {
		if out, ok := verify(c.purpose, c.file); ok != c.ok {
			t.Errorf("%s as %s: %s", filepath.Base(c.file), c.purpose, out)
		}
	}
	if ended, err := a.Revoke("box_1", "lost"); err != nil || len(ended) != 1 {
		t.Fatal(ended, err)
	}
	if out, ok := verify("sslclient", box); ok || !strings.Contains(out, "revoked") {
		t.Error("a revoked certificate counts:", out)
	}
	if out, ok := verify("sslserver", broker); !ok {
		t.Error(out)
	}
	if again, err := a.Revoke("box_1", "lost"); err != nil || len(again) != 0 {
		t.Error(again, err)
	}
	if _, err := a.Revoke("nobody", "x"); err == nil {
		t.Error("nobody was revoked")
	}
	data, err := a.CRL()
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	list, err := x509.ParseRevocationList(block.Bytes)
	if err != nil || len(list.RevokedCertificateEntries) != 1 || list.NextUpdate.Before(time.Now().Add(19*365*24*time.Hour)) {
		t.Error(list, err)
	}
}

// TestBounds: names outside of what the authority was made for are refused by
// it, and a certificate that its stolen key made all the same by verifiers.
func TestBounds(t *testing.T) {
	a, dir := newAuthority(t)
	for _, names := range [][]string{{"evil.example"}, {"hospital.example.evil.com"}, {"8.8.8.8"}, {"broker.hospital.example", "www.bank.example"}, {}} {
		if _, _, err := a.Server(names); err == nil {
			t.Errorf("%v was issued", names)
		}
	}
	for site, box := range map[string]string{"H2": "box-1", "H1": "box.1", "": "x", "H1 ": "x"} {
		if _, err := a.Code(site, box, time.Hour); err == nil {
			t.Errorf("a code for %q/%q", site, box)
		}
	}
	if _, err := a.Code("H1", "box-1", 0); err == nil {
		t.Error("a code without a life")
	}
	data, err := os.ReadFile(filepath.Join(dir, "authority.key"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	block, _ = pem.Decode(a.Certificate())
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(root)
	for name, change := range map[string]func(*x509.Certificate){
		"site":      func(c *x509.Certificate) { c.URIs[0].Host = "H9" },
		"name":      func(c *x509.Certificate) { c.DNSNames = []string{"www.bank.example"} },
		"authority": func(c *x509.Certificate) { c.IsCA = true },
	} {
		e, err := a.Sign(fleet.EnrolRequest{CSR: csr(t, newKey(t), "")}, "H1", "box-2")
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode([]byte(e.Certificate))
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		change(c)
		c.ExtraExtensions = nil
		k := newKey(t)
		der, err := x509.CreateCertificate(rand.Reader, c, root, k.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		forged, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		if name == "authority" {
			// It may not vouch for anything below it.
			leaf := &x509.Certificate{SerialNumber: c.SerialNumber, NotBefore: c.NotBefore, NotAfter: c.NotAfter, DNSNames: []string{"a.hospital.example"}}
			if der, err = x509.CreateCertificate(rand.Reader, leaf, forged, newKey(t).Public(), k); err != nil {
				t.Fatal(err)
			}
			middle := x509.NewCertPool()
			middle.AddCert(forged)
			below, err := x509.ParseCertificate(der)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := below.Verify(x509.VerifyOptions{Roots: pool, Intermediates: middle}); err == nil {
				t.Error("another authority below it counts")
			}
			continue
		}
		if _, err := forged.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err == nil {
			t.Errorf("another %s counts", name)
		}
	}
}

func TestNamesStandForOne(t *testing.T) {
	a, err := ca.Init(t.TempDir(), "x", ca.Bounds{Sites: []string{"H1", "H2"}}, fleet.Settings{}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Sign(fleet.EnrolRequest{CSR: csr(t, newKey(t), "")}, "H1", "box-1"); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Code("H2", "box-1", time.Hour); err == nil {
		t.Error("two hospitals' boxes have one name")
	}
	if _, _, err := a.Client("box-1"); err == nil {
		t.Error("a program has a box's name")
	}
	if _, err := a.Code("H1", "box-1", time.Hour); err != nil {
		t.Error("a box that is set up anew:", err)
	}
	if _, err := a.Revoke("box-1", "moved"); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Code("H2", "box-1", time.Hour); err != nil {
		t.Error(err)
	}
	if _, err := ca.Init(t.TempDir(), "x", ca.Bounds{}, fleet.Settings{}, time.Now); err == nil {
		t.Error("an authority for nobody")
	}
}

func TestFolder(t *testing.T) {
	a, dir := newAuthority(t)
	if _, err := ca.Init(dir, "x", ca.Bounds{Sites: []string{"H1"}}, fleet.Settings{}, time.Now); err == nil {
		t.Error("an authority was replaced")
	}
	if info, err := os.Stat(filepath.Join(dir, "authority.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
	s, err := a.Settings()
	if err != nil || s.Broker != "mqtts://b:8883" {
		t.Error(s, err)
	}
	s.HubKey = "x"
	if err := a.SetSettings(s); err != nil {
		t.Fatal(err)
	}
	again, err := ca.Open(dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := again.Settings(); err != nil || s.HubKey != "x" {
		t.Error(s, err)
	}
	if c, err := a.Code("H1", "box-1", time.Hour); err != nil || c.Authority != again.Fingerprint() {
		t.Error(c, err)
	}
	if list, err := again.Codes(); err != nil || len(list) != 1 || list[0].Box != "box-1" {
		t.Error(list, err)
	}
	if err := os.Chmod(filepath.Join(dir, "authority.key"), 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := ca.Open(dir, time.Now); err == nil {
		t.Error("a key that others can read")
	}
	_, other := newAuthority(t)
	data, err := os.ReadFile(filepath.Join(other, "authority.key"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "authority.key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "authority.key"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ca.Open(dir, time.Now); err == nil {
		t.Error("another authority's key")
	}
}

func TestRequests(t *testing.T) {
	a, _ := newAuthority(t)
	big, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := csr(t, newKey(t), "box-1")
	block, _ := pem.Decode([]byte(good))
	block.Bytes[len(block.Bytes)-1] ^= 1
	for name, text := range map[string]string{"empty": "", "RSA": csr(t, big, ""), "P-384": csr(t, p384, ""), "not signed": string(pem.EncodeToMemory(block)),
		"more": good + good, "other name": csr(t, newKey(t), "box-2")} {
		if _, err := a.Sign(fleet.EnrolRequest{CSR: text}, "H1", "box-1"); err == nil {
			t.Errorf("%s was signed", name)
		}
	}
	if _, err := a.Sign(fleet.EnrolRequest{CSR: good}, "H1", "box-1"); err != nil {
		t.Error(err)
	}
}
