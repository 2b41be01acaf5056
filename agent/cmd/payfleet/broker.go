package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/fleet/broker"
	"payagent/agent/fleet/ca"
)

// brokerCommand runs the built-in broker.
func brokerCommand(ctx context.Context, args []string, c console) error {
	f := flag.NewFlagSet("broker", flag.ContinueOnError)
	listen := f.String("listen", "127.0.0.1:1883", "`address`; without certificates on this machine only")
	data := f.String("data", "", "`folder` for what is retained; in memory only without one")
	caFile := f.String("ca", "", "`file` with the fleet's authority: clients must show a certificate of it")
	cert := f.String("cert", "", "`file` with the broker's certificate, as payfleet ca server makes it")
	key := f.String("key", "", "`file` with its private key")
	crl := f.String("crl", "", "`file` with the revoked certificates (crl.pem of payfleet ca), read anew when it changes")
	roles := f.String("roles", "", "rôles of the fleet side by the names in certificates, e.g. `ops=operate,console=watch,hub-1=hub,relay-1=relay`")
	root := f.String("root", "payagent", "first `level` of every topic")
	words, err := parse(f, args)
	if err != nil {
		return err
	}
	if len(words) > 0 || (*caFile == "") != (*cert == "") || (*cert == "") != (*key == "") || *crl != "" && *caFile == "" {
		return fmt.Errorf("%w: payfleet broker [--listen IP:PORT] [--data DIR] [--ca FILE --cert FILE --key FILE --crl FILE --roles NAME=RÔLE,…]", errUsage)
	}
	if err := fleet.CheckName(*root); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	cfg := broker.Config{Root: *root, Roles: map[string]string{}, Logger: slog.New(slog.NewTextHandler(c.err, &slog.HandlerOptions{Level: slog.LevelWarn}))}
	for _, pair := range strings.FieldsFunc(*roles, func(r rune) bool { return r == ',' }) {
		name, role, ok := strings.Cut(pair, "=")
		if !ok {
			return fmt.Errorf("%w: --roles takes NAME=RÔLE, separated by commas", errUsage)
		}
		cfg.Roles[name] = role
	}
	if *caFile != "" {
		if cfg.TLS, err = brokerTLS(*caFile, *cert, *key); err != nil {
			return err
		}
	}
	if *crl != "" {
		list, err := ca.OpenRevocations(*crl, *caFile)
		if err != nil {
			return err
		}
		cfg.Revoked = list.Revoked
	}
	if *data != "" {
		if err := os.MkdirAll(*data, 0o700); err != nil {
			return fmt.Errorf("cannot make the broker's folder: %w", err)
		}
		cfg.File = filepath.Join(*data, "broker.db")
	}
	if cfg.Listener, err = net.Listen("tcp", *listen); err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}
	scheme := "mqtt://"
	if cfg.TLS != nil {
		scheme = "mqtts://"
	}
	addr := cfg.Listener.Addr().String()
	b, err := broker.Open(cfg)
	if err != nil {
		return errors.Join(err, cfg.Listener.Close())
	}
	if _, err := fmt.Fprintf(c.out, "消息服务器已启动 the broker serves %s%s\n", scheme, addr); err != nil {
		return errors.Join(err, b.Close())
	}
	recheck := time.NewTicker(recheckEvery)
	defer recheck.Stop()
	for {
		select {
		case <-ctx.Done():
			return b.Close()
		case <-b.Failed():
			return errors.Join(errors.New("cannot keep messages on disk; make room and start the broker again"), b.Close())
		case <-recheck.C:
			ids, err := b.Recheck()
			if err != nil {
				cfg.Logger.Error("nobody is thrown off, and nobody let in", "error", err)
			}
			for _, id := range ids {
				if _, err := fmt.Fprintf(c.out, "证书已吊销，已断开 thrown off, its certificate was revoked: %s\n", id); err != nil {
					return errors.Join(err, b.Close())
				}
			}
		}
	}
}

// recheckEvery is how often clients that are connected are compared with the
// list of revoked certificates.
const recheckEvery = 5 * time.Second

// brokerTLS reads the certificate anew at every connection, so that a renewed
// one needs no restart.
func brokerTLS(caFile, cert, key string) (*tls.Config, error) {
	data, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("cannot read the authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("cannot read the authority: %s holds no certificate", caFile)
	}
	load := func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("cannot read the broker's certificate: %w", err)
		}
		return &pair, nil
	}
	if _, err := load(); err != nil {
		return nil, err
	}
	return &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return load() }}, nil
}
