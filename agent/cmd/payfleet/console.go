package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	webpage "payagent/agent/fleet/console"
	"payagent/agent/fleet/keyring"
	"payagent/agent/fleet/view"
	"payagent/agent/fleet/watch"
	"payagent/agent/seal"
)

// consoleCommand serves the web page.
func consoleCommand(ctx context.Context, args []string, c console) error {
	f := flag.NewFlagSet("console", flag.ContinueOnError)
	o, keys := connectionFlags(f), signingFlags(f)
	listen := f.String("listen", "127.0.0.1:8785", "`address` of the page; elsewhere than on this machine it needs TLS and a token file")
	tokenFile := f.String("token-file", "", "`file` (mode 0600) with the token, at least 20 characters; a new one at each start without it")
	cert := f.String("tls-cert", "", "`file` with the page's certificate")
	key := f.String("tls-key", "", "`file` with its private key")
	headlines := f.Bool("headlines", false, "take in only status and alarms of every box, and the rest of a box while it is looked at: for more than some thousand boxes")
	words, err := parse(f, args)
	if err != nil {
		return err
	}
	if len(words) > 0 || (*cert == "") != (*key == "") {
		return fmt.Errorf("%w: payfleet console [--listen IP:PORT] [--sign-with FILE] [--tls-cert FILE --tls-key FILE --token-file FILE]", errUsage)
	}
	if err := o.load(c); err != nil {
		return err
	}
	host, _, err := net.SplitHostPort(*listen)
	if err != nil {
		return fmt.Errorf("%w: --listen takes IP:PORT", errUsage)
	}
	if !loopback(host) && (*cert == "" || *tokenFile == "") {
		return errors.New("cannot serve the console to other machines without --tls-cert, --tls-key and --token-file: whoever reads on the way would command the fleet")
	}
	token := rand.Text()
	if *tokenFile != "" {
		secret, shared, err := seal.ReadSecret(*tokenFile)
		if err != nil {
			return err
		}
		if shared {
			return fmt.Errorf("cannot take the token from %s: other users of this machine can read it; run chmod 600 on it", *tokenFile)
		}
		token = strings.TrimSpace(secret.Reveal())
	}
	log := slog.New(slog.NewTextHandler(c.err, nil))
	opts := webpage.Options{Root: o.Root, Token: token, Logger: log}
	if keys.given() {
		if opts.Keys, err = keys.keys(c); err != nil {
			return err
		}
		for _, name := range strings.Split(keys.files, ",") {
			public, err := keyring.Show(name)
			if err != nil {
				return err
			}
			for _, p := range public {
				for _, k := range opts.Keys {
					if p.ID == k.ID {
						opts.Roles = append(opts.Roles, p.Roles...)
					}
				}
			}
		}
	}
	if opts.Bus, err = openBus(o, "console"); err != nil {
		return err
	}
	defer func() { _ = opts.Bus.Close() }()
	if opts.Watch, err = watch.Open(opts.Bus, watch.Options{Root: o.Root, Site: o.Site, Limits: view.Usual(), Headlines: *headlines}); err != nil {
		return err
	}
	defer opts.Watch.Close()
	page, err := webpage.New(opts)
	if err != nil {
		return err
	}
	return servePage(ctx, c, *listen, *cert, *key, page, token, *tokenFile != "")
}

func servePage(ctx context.Context, c console, listen, cert, key string, page http.Handler, token string, known bool) error {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}
	scheme := "http"
	if cert != "" {
		if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
			return errors.Join(fmt.Errorf("cannot read the page's certificate: %w", err), l.Close())
		}
		scheme = "https"
		l = tls.NewListener(l, &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(cert, key)
			return &pair, err
		}})
	}
	shown := token
	if known {
		shown = "TOKEN"
	}
	if _, err := fmt.Fprintf(c.out, "用浏览器打开 open in a browser: %s://%s/#t=%s\n", scheme, l.Addr(), shown); err != nil {
		return errors.Join(err, l.Close())
	}
	server := &http.Server{Handler: page, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10, BaseContext: func(net.Listener) context.Context { return ctx }}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("cannot serve the console: %w", err)
	}
	return nil
}
