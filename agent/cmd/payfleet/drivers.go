package main

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"payagent/uplink"
	"payagent/uplink/mqtt"
)

// openBus opens the connection to the broker. purpose tells several programs
// of one identity apart: the client id is the certificate's name, a hyphen,
// the purpose and a few letters.
func openBus(o *connection, purpose string) (uplink.Bus, error) {
	u, err := url.Parse(o.Broker)
	if err != nil {
		return nil, err
	}
	switch u.Scheme {
	case "mqtt", "mqtts":
		name, err := o.identity()
		if err != nil {
			return nil, err
		}
		cfg := mqtt.Config{Broker: o.Broker, ClientID: name + "-" + purpose + "-" + strings.ToLower(rand.Text()[:6]), ServerName: o.ServerName, Clean: true,
			Phase: func() time.Duration { return 0 }, Every: 5 * time.Second}
		if u.Scheme == "mqtts" {
			cfg.CA = fromFile(o.CA)
		}
		if o.Cert != "" {
			cfg.Cert, cfg.Key = fromFile(o.Cert), fromFile(o.Key)
		}
		return mqtt.Open(cfg)
	}
	return nil, fmt.Errorf("cannot use a broker by %s; write mqtts://host:8883", u.Scheme)
}

func fromFile(name string) func() ([]byte, error) {
	return func() ([]byte, error) { return os.ReadFile(name) }
}

// identity is the common name of the certificate, by which the broker knows
// who this is.
func (o *connection) identity() (string, error) {
	if o.Cert == "" {
		return "payfleet", nil
	}
	data, err := os.ReadFile(o.Cert)
	if err != nil {
		return "", fmt.Errorf("cannot read the certificate: %w", err)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return "", fmt.Errorf("cannot read the certificate: %s holds no PEM", o.Cert)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return "", fmt.Errorf("cannot read the certificate %s: %w", o.Cert, err)
	}
	return cert.Subject.CommonName, nil
}
