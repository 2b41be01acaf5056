package main

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/fleet/hub"
	"payagent/agent/fleet/hub/boltstore"
	"payagent/agent/fleet/hub/pgstore"
	"payagent/queue/bolt"
	"payagent/uplink"
	"payagent/uplink/mqtt"
)

// openBus opens the connection to the broker. purpose tells several programs
// of one identity apart: it stands, with a few letters, in the client id.
func openBus(o *connection, purpose string) (uplink.Bus, error) {
	u, err := url.Parse(o.Broker)
	if err != nil {
		return nil, err
	}
	switch u.Scheme {
	case "mqtt", "mqtts":
		name, err := identity(o.Cert)
		if err != nil {
			return nil, err
		}
		cfg := mqtt.Config{Broker: o.Broker, ClientID: fleet.ClientID(name, purpose+"-"+strings.ToLower(rand.Text()[:6])), ServerName: o.ServerName, Clean: true,
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

// openHubStore opens where a hub keeps what it has.
func openHubStore(ctx context.Context, kind, address string) (hub.Store, error) {
	switch kind {
	case "file":
		return boltstore.Open(address)
	case "postgres":
		return pgstore.Open(ctx, address)
	}
	return nil, fmt.Errorf("cannot keep a hub's memory in %q", kind)
}

// freeSpace tells how many bytes are free where a file is.
func freeSpace(file string) (int64, error) {
	free, _, err := bolt.FreeSpace(filepath.Dir(file))
	return free, err
}

// hubBusy tells whether a store is open in another process.
func hubBusy(err error) bool { return errors.Is(err, boltstore.ErrBusy) }

func fromFile(name string) func() ([]byte, error) {
	return func() ([]byte, error) { return os.ReadFile(name) }
}

// identity is the common name of a certificate, by which the broker knows who
// this is; without a certificate any name will do.
func identity(file string) (string, error) {
	if file == "" {
		return "payfleet", nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("cannot read the certificate: %w", err)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return "", fmt.Errorf("cannot read the certificate: %s holds no PEM", file)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return "", fmt.Errorf("cannot read the certificate %s: %w", file, err)
	}
	return cert.Subject.CommonName, nil
}
