package main

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/fleet/ca"
	"payagent/agent/listen"
	"payagent/uplink"
	"payagent/uplink/mqtt"
	"payagent/uplink/mqtt/relay"
	"payagent/uplink/mqtt/relay/ids"
)

const relayUsage = `payfleet relay — calls payment platforms for tills that have no way to the Internet   支付平台中继

  payfleet relay       --file relay.yaml      run it beside the Internet edge                              运行
  payfleet relay check --file relay.yaml      read the settings and say what they amount to                检查配置
  payfleet relay key   --key-file FILE        make the key where there is none; print its public half, for fleet.relay_key of the boxes   密钥

  See docs/relay.md.
`

// relayCommand runs payfleet relay ….
func relayCommand(ctx context.Context, args []string, c console) error {
	verb := "run"
	if len(args) > 0 && (args[0] == "key" || args[0] == "check" || args[0] == "run") {
		verb, args = args[0], args[1:]
	}
	var file, key string
	f := flag.NewFlagSet("relay", flag.ContinueOnError)
	f.StringVar(&file, "file", "", "settings `file` of the relay")
	f.StringVar(&key, "key-file", "", "private key `file`")
	words, err := parse(f, args)
	if err != nil {
		return err
	}
	if len(words) > 0 || verb == "key" && key == "" || verb != "key" && file == "" {
		return fmt.Errorf("%w\n\n%s", errUsage, relayUsage)
	}
	if verb == "key" {
		return relayKeys().show(key, c.out)
	}
	o, err := loadRelay(file)
	if err != nil {
		return err
	}
	if verb == "check" {
		return o.explain(c.out)
	}
	return o.run(ctx, c.err)
}

// explain says in words what the settings amount to.
func (o *relayConfig) explain(out io.Writer) error {
	ways, err := o.ways()
	if err != nil {
		return err
	}
	defer closeAll(ways)
	text := fmt.Sprintf("broker %s, topics %s/…/relay\n", o.Broker, o.Root)
	switch {
	case len(o.Boxes) > 0:
		text += fmt.Sprintf("serves %v\n", o.Boxes)
	case len(o.Sites) > 0:
		text += fmt.Sprintf("serves every box of %v\n", o.Sites)
	default:
		text += "serves every box that the authority in box_ca_file gave a certificate\n"
	}
	for _, p := range o.Platforms {
		text += fmt.Sprintf("calls %s: %s and what lies below\n", p.Name, p.URL)
		if p.AllowPlainHTTP {
			text += "  WARNING: without TLS everybody on the way reads and changes payments\n"
		}
	}
	if o.Notify.listener().On() {
		text += fmt.Sprintf("takes notifications at %v /notify/SITE/BOX/PLATFORM\n", o.Notify.Listen)
	}
	_, err = io.WriteString(out, text)
	return err
}

func closeAll(list []relay.Platform) {
	for _, p := range list {
		_ = p.Way.Close()
	}
}

// ways opens the way to each platform.
func (o *relayConfig) ways() (list []relay.Platform, err error) {
	for _, p := range o.Platforms {
		w, err := p.way()
		if err != nil {
			closeAll(list)
			return nil, err
		}
		list = append(list, relay.Platform{Name: p.Name, Address: p.URL, Way: w})
	}
	return list, nil
}

// roots reads the authority of the boxes' certificates, anew each time it is
// asked.
func (o *relayConfig) roots() (*x509.CertPool, error) {
	pem, err := os.ReadFile(o.BoxCA)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", o.BoxCA)
	}
	return pool, nil
}

// run runs the relay until ctx ends.
func (o *relayConfig) run(ctx context.Context, logTo io.Writer) (err error) {
	var level slog.Level
	if o.Log != "" {
		if err := level.UnmarshalText([]byte(o.Log)); err != nil {
			return fmt.Errorf("cannot use log: %q; write debug, info, warn or error", o.Log)
		}
	}
	log := slog.New(slog.NewJSONHandler(logTo, &slog.HandlerOptions{Level: level}))
	var keys [][]byte
	for _, file := range append([]string{o.RelayKey}, o.OldKeys...) {
		k, err := relayKeys().read(file)
		if err != nil {
			return err
		}
		keys = append(keys, k)
	}
	if _, err := o.roots(); err != nil {
		return fmt.Errorf("cannot use box_ca_file: %w", err)
	}
	ways, err := o.ways()
	if err != nil {
		return err
	}
	defer closeAll(ways)
	store, err := ids.Open(o.IDs)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	busConfig, err := o.busConfig(log)
	if err != nil {
		return err
	}
	bus, err := mqtt.Open(busConfig)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bus.Close()) }()
	cfg := relay.Config{Bus: bus, Root: o.Root, Sites: o.Sites, Keys: keys, Roots: o.roots, Allow: o.allow, Platforms: ways,
		Store: store, StoreName: store.Name(), Logger: log}
	if o.BoxCRL != "" {
		list, err := ca.OpenRevocations(o.BoxCRL, o.BoxCA)
		if err != nil {
			return fmt.Errorf("box_crl_file: %w", err)
		}
		cfg.Revoked = list.Revoked
	}
	r, err := relay.New(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	public, err := relay.PublicKey(keys[0])
	if err != nil {
		return err
	}
	log.Info("the relay runs", "public_key", base64.StdEncoding.EncodeToString(public), "platforms", len(ways))
	return o.serve(ctx, r, bus, log)
}

// serve opens the listeners and waits; it ends when one of them fails.
func (o *relayConfig) serve(ctx context.Context, r *relay.Relay, bus uplink.Bus, log *slog.Logger) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	failed := make(chan error, 2)
	waiting := 0
	for _, l := range []struct {
		key     string
		at      relayListener
		handler http.Handler
	}{{"health", o.Health, relayHealth(r, bus)}, {"notify", o.Notify, r.Notices(o.reply)}} {
		if !l.at.listener().On() {
			continue
		}
		waiting++
		go func() {
			failed <- listen.Serve(ctx, listen.Options{Key: l.key, At: l.at.listener(), Logger: log}, func([]string) http.Handler { return l.handler })
			stop()
		}()
	}
	<-ctx.Done()
	var errs []error
	for range waiting {
		errs = append(errs, <-failed)
	}
	return errors.Join(errs...)
}

// reply is what a platform wants to read after a notification.
func (o *relayConfig) reply(name string) (string, bool) {
	for _, p := range o.Platforms {
		if p.Name == name {
			if p.NotifyReply != "" {
				return p.NotifyReply, true
			}
			return "success", true
		}
	}
	return "", false
}

// relayHealth is /healthz and /metrics.
func relayHealth(r *relay.Relay, bus uplink.Bus) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if l, _ := bus.Link(); !l.Up || l.Cause != "" {
			http.Error(w, "broker: "+l.Cause, http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "ok\n")
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_ = r.Metrics(w) // whoever is gone needs no answer
	})
	return mux
}

// busConfig is how the relay connects to its broker. Its session outlives a
// short loss of the connection, and it comes back quickly: there are few
// relays, and tills wait for them.
func (o *relayConfig) busConfig(log *slog.Logger) (mqtt.Config, error) {
	cfg := mqtt.Config{Broker: o.Broker, ClientID: o.ClientID, ServerName: o.ServerName, Logger: log, Every: relayReconnect, Phase: func() time.Duration { return 0 }}
	if cfg.ClientID == "" {
		name, err := identity(o.Cert)
		if err != nil {
			return cfg, err
		}
		host, _ := os.Hostname() // no name is a name too
		cfg.ClientID = fleet.ClientID(name, "relay-"+host)
	}
	read := func(file string) func() ([]byte, error) {
		if file == "" {
			return nil
		}
		return func() ([]byte, error) { return os.ReadFile(file) }
	}
	cfg.CA, cfg.Cert, cfg.Key = read(o.CA), read(o.Cert), read(o.Key)
	return cfg, nil
}

// relayReconnect is the distance of attempts to reach the broker.
const relayReconnect = 2 * time.Second
