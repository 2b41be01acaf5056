package broker

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// refusing ends handshakes with certificates that were revoked. It is asked of
// resumed sessions too, which skip the certificate's own verification.
func refusing(cfg *tls.Config, revoked func(*x509.Certificate) (bool, error), log *slog.Logger) *tls.Config {
	if revoked == nil {
		return cfg
	}
	cfg = cfg.Clone()
	before := cfg.VerifyConnection
	cfg.VerifyConnection = func(s tls.ConnectionState) error {
		if before != nil {
			if err := before(s); err != nil {
				return err
			}
		}
		if len(s.PeerCertificates) == 0 {
			return errors.New("no certificate")
		}
		c := s.PeerCertificates[0]
		switch gone, err := revoked(c); {
		case err != nil:
			log.Error("nobody is let in", "error", err)
			return err
		case gone:
			log.Warn("a client was refused: its certificate was revoked", "certificate", c.Subject.CommonName)
			return fmt.Errorf("the certificate of %s was revoked", c.Subject.CommonName)
		}
		return nil
	}
	return cfg
}

// Recheck throws off every client whose certificate was revoked after it had
// connected, and gives their client ids. Call it every few seconds: the list
// may be renewed at any time, and a client that was just being let in when one
// call looked is found by the next. Where the list cannot be read it throws off
// nobody and says why.
func (b *Broker) Recheck() (ids []string, err error) {
	if b.gone == nil {
		return nil, nil
	}
	for _, cl := range b.server.Clients.GetAll() {
		if cl.Closed() {
			continue
		}
		c := certificate(cl)
		if c == nil {
			continue
		}
		gone, err := b.gone(c)
		if err != nil {
			return ids, err
		}
		if gone {
			cl.Stop(packets.ErrNotAuthorized) // its will goes out
			ids = append(ids, cl.ID)
		}
	}
	return ids, nil
}

// certificate is what a client showed; nil where it has none.
func certificate(cl *mqtt.Client) *x509.Certificate {
	conn, ok := cl.Net.Conn.(*tls.Conn)
	if !ok {
		return nil
	}
	certs := conn.ConnectionState().PeerCertificates
	if len(certs) == 0 {
		return nil
	}
	return certs[0]
}
