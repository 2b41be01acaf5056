//go:build unix && !darwin

package https

import (
	"crypto/x509"
	"errors"
	"os"
)

// systemBundles are the files in which the common distributions keep all
// authorities together: Debian and Alpine, Red Hat, SUSE, FreeBSD.
func systemBundles() []string {
	return []string{
		"/etc/ssl/certs/ca-certificates.crt",
		"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
		"/etc/pki/tls/certs/ca-bundle.crt",
		"/etc/ssl/ca-bundle.pem",
		"/etc/ssl/cert.pem",
		"/usr/local/etc/ssl/cert.pem",
	}
}

// systemRoots reads the authorities by itself: crypto/x509 would let
// SSL_CERT_FILE and SSL_CERT_DIR of the environment decide whom to believe.
// A box without any bundle gets an empty pool, so every handshake fails with a
// plain reason, and nothing falls back to the environment.
func systemRoots() (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	for _, name := range systemBundles() {
		pem, err := os.ReadFile(name)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil && pool.AppendCertsFromPEM(pem) {
			break
		}
	}
	return pool, nil
}
