package main

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"payagent/agent/config"
	"payagent/agent/fleet"
	"payagent/agent/seal"
	"payagent/uplink/https"
	"payagent/uplink/mqtt"
)

// relayConfig is the file of payfleet relay. Every key is known or refused;
// files are relative to its folder. docs/relay.md explains each.
type relayConfig struct {
	Broker      string `yaml:"broker"`
	AcceptPlain bool   `yaml:"accept_plain"`
	CA          string `yaml:"ca_file"`
	Cert        string `yaml:"cert_file"`
	Key         string `yaml:"key_file"`
	ServerName  string `yaml:"server_name"`
	Root        string `yaml:"root"`
	ClientID    string `yaml:"client_id"`

	Sites  []string `yaml:"sites"`
	Boxes  []string `yaml:"boxes"`  // site/box, with * and ?
	Except []string `yaml:"except"` // the same; wins
	BoxCA  string   `yaml:"box_ca_file"`
	BoxCRL string   `yaml:"box_crl_file"` // read anew when it changes

	RelayKey string   `yaml:"relay_key_file"`
	OldKeys  []string `yaml:"old_relay_key_files"`
	IDs      string   `yaml:"ids_file"`

	Platforms []relayPlatform `yaml:"platforms"`
	Health    relayListener   `yaml:"health"`
	Notify    relayListener   `yaml:"notify"`
	Log       string          `yaml:"log"` // debug, info, warn, error
}

// relayPlatform is one address that is called, with the settings of uplink/https.
type relayPlatform struct {
	Name                string        `yaml:"name"`
	URL                 string        `yaml:"url"`
	AllowPlainHTTP      bool          `yaml:"allow_plain_http"`
	Proxy               *relayProxy   `yaml:"proxy"`
	Relay               string        `yaml:"relay"`
	ServerName          string        `yaml:"server_name"`
	AllowRSAKeyExchange bool          `yaml:"allow_rsa_key_exchange"`
	DialTimeout         time.Duration `yaml:"dial_timeout"`
	ResponseTimeout     time.Duration `yaml:"response_timeout"`
	CAFile              string        `yaml:"ca_file"`
	Pins                []string      `yaml:"pins"`
	ClientCert          string        `yaml:"client_cert"`
	ClientKey           string        `yaml:"client_key"`
	NotifyReply         string        `yaml:"notify_reply"`
}

type relayProxy struct {
	Kind         string `yaml:"kind"`
	Address      string `yaml:"address"`
	User         string `yaml:"user"`
	PasswordFile string `yaml:"password_file"`
}

// relayListener is a listener of the relay; the words are those of every
// listener of payagent.
type relayListener struct {
	Listen          []string `yaml:"listen"`
	Cert            string   `yaml:"cert"`
	Key             string   `yaml:"key"`
	ClientCA        string   `yaml:"client_ca"`
	Allow           []string `yaml:"allow"`
	AcceptPlainHTTP bool     `yaml:"accept_plain_http"`
}

func (l relayListener) listener() config.Listener {
	return config.Listener{Listen: l.Listen, TLS: config.TLS{Cert: l.Cert, Key: l.Key}, ClientCA: l.ClientCA, Allow: l.Allow, AcceptPlainHTTP: l.AcceptPlainHTTP}
}

// maxRelayFile bounds the file, in bytes.
const maxRelayFile = 1 << 20

// loadRelay reads and checks the file. Nothing is opened.
func loadRelay(file string) (*relayConfig, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("cannot read the relay's settings: %w", err)
	}
	o := &relayConfig{}
	if len(data) > maxRelayFile {
		return nil, fmt.Errorf("cannot read %s: it is longer than %d bytes", file, maxRelayFile)
	}
	if err := yaml.UnmarshalWithOptions(data, o, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", file, err)
	}
	if o.Root == "" {
		o.Root = "payagent"
	}
	dir := filepath.Dir(file)
	if o.BoxCA == "" {
		o.BoxCA = o.CA
	}
	names := []*string{&o.CA, &o.Cert, &o.Key, &o.BoxCA, &o.BoxCRL, &o.RelayKey, &o.IDs}
	for i := range o.OldKeys {
		names = append(names, &o.OldKeys[i])
	}
	for _, l := range []*relayListener{&o.Health, &o.Notify} {
		names = append(names, &l.Cert, &l.Key, &l.ClientCA)
	}
	for i := range o.Platforms {
		p := &o.Platforms[i]
		names = append(names, &p.CAFile, &p.ClientCert, &p.ClientKey)
		if p.Proxy != nil {
			names = append(names, &p.Proxy.PasswordFile)
		}
	}
	for _, n := range names {
		if *n != "" && !filepath.IsAbs(*n) {
			*n = filepath.Join(dir, *n)
		}
	}
	if err := o.verify(); err != nil {
		return nil, fmt.Errorf("cannot use %s: %w", file, err)
	}
	return o, nil
}

func (o *relayConfig) verify() error {
	broker := connection{Broker: o.Broker, AcceptPlain: o.AcceptPlain, CA: o.CA, Cert: o.Cert, Key: o.Key, Root: o.Root, Lang: "zh"}
	if err := broker.check(); err != nil {
		return err
	}
	for key, v := range map[string]string{"relay_key_file": o.RelayKey, "ids_file": o.IDs, "box_ca_file (the authority of the boxes' certificates)": o.BoxCA} {
		if v == "" {
			return fmt.Errorf("%s is missing", key)
		}
	}
	for _, s := range o.Sites {
		if err := fleet.CheckName(s); err != nil {
			return fmt.Errorf("sites: %w", err)
		}
	}
	for _, p := range append(append([]string{}, o.Boxes...), o.Except...) {
		if _, err := path.Match(p, ""); err != nil || strings.Count(p, "/") != 1 {
			return fmt.Errorf("boxes and except: %q is not site/box, with * for any letters", p)
		}
	}
	seen := map[string]bool{}
	for _, p := range o.Platforms {
		if err := fleet.CheckName(p.Name); err != nil {
			return fmt.Errorf("platforms: name: %w", err)
		}
		if seen[p.Name] {
			return fmt.Errorf("platforms: the name %s stands twice", p.Name)
		}
		seen[p.Name] = true
	}
	if len(o.Platforms) == 0 {
		return errors.New("platforms lists no address to call")
	}
	return nil
}

// allow tells whether a box is served.
func (o *relayConfig) allow(site, box string) bool {
	fits := func(list []string) bool {
		for _, p := range list {
			if ok, err := path.Match(p, site+"/"+box); ok && err == nil {
				return true
			}
		}
		return false
	}
	return (len(o.Boxes) == 0 || fits(o.Boxes)) && !fits(o.Except)
}

// way makes the direct way to a platform.
func (p relayPlatform) way() (*https.Route, error) {
	cfg := https.Config{BaseURL: p.URL, AllowPlainHTTP: p.AllowPlainHTTP, CAFile: p.CAFile, PinsSPKI: p.Pins, ClientPair: seal.Pairs(p.ClientCert, p.ClientKey),
		ServerName: p.ServerName, AllowRSAKeyExchange: p.AllowRSAKeyExchange, Relay: p.Relay, DialTimeout: p.DialTimeout, ResponseTimeout: p.ResponseTimeout, MaxAnswer: mqtt.MaxBody}
	if p.Proxy != nil {
		cfg.Proxy = https.Proxy{Kind: p.Proxy.Kind, Address: p.Proxy.Address, User: p.Proxy.User}
		if p.Proxy.PasswordFile != "" {
			secret, _, err := seal.ReadSecret(p.Proxy.PasswordFile)
			if err != nil {
				return nil, err
			}
			cfg.Proxy.Password = https.NewPassword(secret.Reveal())
		}
	}
	r, err := https.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("platform %s: %w", p.Name, err)
	}
	return r, nil
}
