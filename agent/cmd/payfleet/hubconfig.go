package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"payagent/agent/fleet"
	"payagent/agent/fleet/hub"
	"payagent/agent/fleet/sealed"
	"payagent/agent/seal"
	"payagent/uplink/mqtt"
)

// hubConfig is the file of payfleet hub. Every key is known or refused; files
// are relative to its folder. docs/hub.md explains each.
type hubConfig struct {
	Conn     connection `yaml:",inline"`
	ClientID string     `yaml:"client_id"`
	Sites    []string   `yaml:"sites"`
	Boxes    []string   `yaml:"boxes"`
	Retired  []string   `yaml:"retired"`
	Accepted []struct {
		Box string `yaml:"box"`
		Day string `yaml:"day"`
		Why string `yaml:"why"`
	} `yaml:"accepted"`
	TrustGoodbye bool `yaml:"trust_goodbye"`

	HubKey     string `yaml:"hub_key_file"`
	StoreFile  string `yaml:"store_file"`
	Postgres   string `yaml:"postgres_file"`
	PersonDays int    `yaml:"person_days"`
	KeepDays   int    `yaml:"keep_days"`
	NoHIS      bool   `yaml:"his_says_nothing"`

	Books  hubBooks      `yaml:"books"`
	Health relayListener `yaml:"health"`
	Log    string        `yaml:"log"`
}

// hubBooks serves one site's reconciliation; the switches are those of books in
// payagent's configuration.
type hubBooks struct {
	At              relayListener `yaml:",inline"`
	Site            string        `yaml:"site"`
	TokenFile       string        `yaml:"token_file"`
	RequireToken    bool          `yaml:"require_token"`
	Namespace       string        `yaml:"namespace"`
	ActionPrefix    string        `yaml:"action_prefix"`
	ParamName       string        `yaml:"param_name"`
	RefundSign      string        `yaml:"refund_sign"`
	EndInclusive    *bool         `yaml:"end_inclusive"`
	PayTypeNames    string        `yaml:"pay_type_names"`
	RootElement     string        `yaml:"root_element"`
	MaxRange        time.Duration `yaml:"max_range"`
	IncludeUnbooked bool          `yaml:"include_unbooked"`
}

// loadHub reads and checks the file. Nothing is opened.
func loadHub(file string) (*hubConfig, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("cannot read the hub's settings: %w", err)
	}
	if len(data) > maxRelayFile {
		return nil, fmt.Errorf("cannot read %s: it is longer than %d bytes", file, maxRelayFile)
	}
	o := &hubConfig{PersonDays: 35, KeepDays: 400}
	if err := yaml.UnmarshalWithOptions(data, o, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", file, err)
	}
	if o.Conn.Root == "" {
		o.Conn.Root = "payagent"
	}
	if o.Conn.Lang == "" {
		o.Conn.Lang = "zh"
	}
	dir := filepath.Dir(file)
	o.Conn.relative(dir)
	names := []*string{&o.HubKey, &o.StoreFile, &o.Postgres, &o.Books.TokenFile}
	for _, l := range []*relayListener{&o.Health, &o.Books.At} {
		names = append(names, &l.Cert, &l.Key, &l.ClientCA)
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

func (o *hubConfig) verify() error {
	if o.Conn.Site != "" {
		return errors.New("write sites: [...] instead of site")
	}
	if err := o.Conn.check(); err != nil {
		return err
	}
	if o.HubKey == "" {
		return errors.New("hub_key_file is missing; payfleet hub key makes one")
	}
	if (o.StoreFile == "") == (o.Postgres == "") {
		return errors.New("write either store_file (a file of its own) or postgres_file (a file with the address of a PostgreSQL database)")
	}
	for _, s := range o.Sites {
		if err := fleet.CheckName(s); err != nil {
			return fmt.Errorf("sites: %w", err)
		}
	}
	boxes := slices.Concat(o.Boxes, o.Retired)
	for _, a := range o.Accepted {
		boxes = append(boxes, a.Box)
		if _, err := time.Parse("2006-01-02", a.Day); err != nil || strings.TrimSpace(a.Why) == "" {
			return errors.New("accepted: each needs box: SITE/BOX, day: \"2026-03-14\" and why")
		}
	}
	for _, b := range boxes {
		site, box, ok := strings.Cut(b, "/")
		if !ok || fleet.CheckName(site) != nil || fleet.CheckName(box) != nil {
			return fmt.Errorf("boxes, retired and accepted: %q is not SITE/BOX", b)
		}
	}
	if o.PersonDays < 1 || o.PersonDays > 366 || o.KeepDays < o.PersonDays || o.KeepDays > 4000 {
		return errors.New("person_days is 1 to 366, keep_days at least as many and at most 4000")
	}
	if o.Books.At.listener().On() {
		if o.site() == "" {
			return errors.New("books.site is missing: the hospital that is answered for")
		}
		if o.Books.TokenFile == "" {
			return errors.New("books.token_file is missing: the AccessToken that the platform sends stands in it, alone")
		}
	}
	return nil
}

// site is the one that is answered for.
func (o *hubConfig) site() string {
	if o.Books.Site == "" && len(o.Sites) == 1 {
		return o.Sites[0]
	}
	return o.Books.Site
}

// settings are what the hub itself needs.
func (o *hubConfig) settings() (hub.Config, error) {
	raw, err := hubKeys().read(o.HubKey)
	if err != nil {
		return hub.Config{}, err
	}
	key, err := sealed.ParsePrivate(raw)
	if err != nil {
		return hub.Config{}, err
	}
	c := hub.Config{Root: o.Conn.Root, Sites: o.Sites, Boxes: o.Boxes, Retired: o.Retired, TrustGoodbye: o.TrustGoodbye, Key: key, PersonDays: o.PersonDays, KeepDays: o.KeepDays}
	if o.Postgres == "" {
		c.Free = func() (int64, error) { return freeSpace(o.StoreFile) }
	}
	for _, a := range o.Accepted {
		c.Accepted = append(c.Accepted, hub.Accepted{Box: a.Box, Day: a.Day, Why: a.Why})
	}
	return c, nil
}

// openStore opens where the hub keeps what it has; drivers.go names the
// members.
func (o *hubConfig) openStore(ctx context.Context) (hub.Store, error) {
	if o.Postgres == "" {
		return openHubStore(ctx, "file", o.StoreFile)
	}
	address, _, err := seal.ReadSecret(o.Postgres)
	if err != nil {
		return nil, err
	}
	return openHubStore(ctx, "postgres", address.Reveal())
}

// busConfig is the connection: a session that the broker keeps, so that events
// wait there while the hub is away.
func (o *hubConfig) busConfig() (mqtt.Config, error) {
	id := o.ClientID
	if id == "" {
		name, err := identity(o.Conn.Cert)
		if err != nil {
			return mqtt.Config{}, err
		}
		id = fleet.ClientID(name, "hub")
	}
	cfg := mqtt.Config{Broker: o.Conn.Broker, ClientID: id, ServerName: o.Conn.ServerName, Every: 5 * time.Second}
	if strings.HasPrefix(o.Conn.Broker, "mqtts:") {
		cfg.CA = fromFile(o.Conn.CA)
	}
	if o.Conn.Cert != "" {
		cfg.Cert, cfg.Key = fromFile(o.Conn.Cert), fromFile(o.Conn.Key)
	}
	return cfg, nil
}
