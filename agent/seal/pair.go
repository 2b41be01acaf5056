package seal

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"os"
	"sync"
)

// KeyPair reads a certificate and its private key, in PEM. The key is a secret
// like any other: its name may be credential:NAME (see [SecretFile]) and its
// content closed by DPAPI.
func KeyPair(cert, key string) (tls.Certificate, error) {
	c, k, err := pairFiles(cert, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(c, k)
}

func pairFiles(cert, key string) (c, k []byte, err error) {
	if c, err = os.ReadFile(cert); err != nil {
		return nil, nil, err
	}
	secret, err := ReadKey(key, false)
	return c, []byte(secret.Reveal()), err
}

// Pairs gives [KeyPair] at each call anew, so that renewed files count at once.
// While they cannot be used (a certificate whose key is not there yet) what was
// good before stays. It is nil where neither is named.
func Pairs(cert, key string) func() (tls.Certificate, error) {
	if cert == "" && key == "" {
		return nil
	}
	var mu sync.Mutex
	var last tls.Certificate
	var read []byte
	return func() (tls.Certificate, error) {
		mu.Lock()
		defer mu.Unlock()
		c, k, err := pairFiles(cert, key)
		if both := append(append(c, 0), k...); err == nil && (read == nil || !bytes.Equal(both, read)) {
			var next tls.Certificate
			if next, err = tls.X509KeyPair(c, k); err == nil {
				last, read = next, both
			}
		}
		if read != nil {
			return last, nil
		}
		if err != nil {
			err = fmt.Errorf("cannot use the certificate %s with its key: %w", cert, err)
		}
		return last, err
	}
}
