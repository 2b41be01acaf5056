package listen

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"payagent/agent/config"
	"payagent/agent/seal"
)

// reloader gives a listener its certificate and the authorities of its
// clients, read anew when the files change: a renewed certificate counts for
// the next connection, without a restart. While new files cannot be used (a
// certificate whose key is not there yet), the old ones stay.
type reloader struct {
	options Options
	log     *slog.Logger

	mu     sync.Mutex
	now    *tls.Config
	marks  [3]mark // of what now was read from
	failed [3]mark // of what could not be used, so that it is said once
}

// mark tells whether a file was changed.
type mark struct {
	at   time.Time
	size int64
}

func markOf(path string) mark {
	file, _, err := seal.SecretFile(path)
	if err != nil {
		return mark{}
	}
	info, err := os.Stat(file)
	if path == "" || err != nil {
		return mark{}
	}
	return mark{info.ModTime(), info.Size()}
}

func (r *reloader) marksNow() [3]mark {
	at := r.options.At
	return [3]mark{markOf(at.TLS.Cert), markOf(at.TLS.Key), markOf(at.ClientCA)}
}

// config gives what counts now.
func (r *reloader) config(*tls.ClientHelloInfo) (*tls.Config, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := r.marksNow()
	if r.now != nil && (seen == r.marks || seen == r.failed) {
		return r.now, nil
	}
	c, err := r.read()
	switch {
	case err == nil:
		if r.now != nil {
			r.log.Info("the certificate was read anew", "section", r.options.Key, "not_after", c.Certificates[0].Leaf.NotAfter)
		}
		r.now, r.marks = c, seen
	case r.now == nil:
		return nil, err
	default:
		r.failed = seen
		r.log.Error("the certificate was changed and cannot be used; the old one stays", "section", r.options.Key, "error", err)
	}
	return r.now, nil
}

func (r *reloader) read() (*tls.Config, error) {
	o := r.options
	pair, err := seal.KeyPair(o.At.TLS.Cert, o.At.TLS.Key)
	if err != nil {
		return nil, fmt.Errorf("cannot open %s: %s.tls does not hold a certificate and its key; renew the files: %w", o.Key, o.Key, err)
	}
	c := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
	if o.At.ClientCA == "" {
		return c, nil
	}
	pem, err := os.ReadFile(o.At.ClientCA)
	if err == nil {
		c.ClientCAs, c.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
		if !c.ClientCAs.AppendCertsFromPEM(pem) {
			err = errors.New("it holds no certificate in PEM")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("cannot open %s: %s.client_ca does not hold the authority of the clients; renew the file: %w", o.Key, o.Key, err)
	}
	return c, nil
}

// Usable tells why the addresses of a section could not be opened with the files
// of its certificate. Where the service manager keeps the key that is not
// looked at: the next start may get another one.
func Usable(key string, at config.Listener) error {
	if len(at.Listen) == 0 || at.TLS.Cert == "" || seal.Closed(at.TLS.Key) {
		return nil
	}
	_, err := (&reloader{options: Options{Key: key, At: at}}).read()
	return err
}

// secured gives the TLS settings of a section; its files are read once now, so
// that what is wrong with them is said at the start.
func secured(o Options, log *slog.Logger) (*tls.Config, error) {
	r := &reloader{options: o, log: log}
	first, err := r.config(nil)
	if err != nil {
		return nil, err
	}
	c := first.Clone()
	c.GetConfigForClient = r.config
	return c, nil
}
