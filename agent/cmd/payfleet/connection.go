package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"

	"payagent/agent/fleet"
)

// connection says where the broker is and what this program may see there. It
// is read from a file and from flags; flags win.
type connection struct {
	Broker      string `yaml:"broker"`
	AcceptPlain bool   `yaml:"accept_plain"`
	CA          string `yaml:"ca_file"`
	Cert        string `yaml:"cert_file"`
	Key         string `yaml:"key_file"`
	ServerName  string `yaml:"server_name"`
	Root        string `yaml:"root"`
	Site        string `yaml:"site"` // empty: every site
	Lang        string `yaml:"lang"` // zh or en

	file string
	set  *flag.FlagSet
}

// connectionFlags adds the common flags to a command's.
func connectionFlags(f *flag.FlagSet) *connection {
	o := &connection{set: f}
	f.StringVar(&o.Broker, "broker", "", "`address` of the broker: mqtts://host:8883, or mqtt://host:1883 with -accept-plain")
	f.BoolVar(&o.AcceptPlain, "accept-plain", false, "accept a broker without TLS; on this machine it needs no permission")
	f.StringVar(&o.CA, "ca", "", "`file` (PEM) with the authorities to trust for the broker")
	f.StringVar(&o.Cert, "cert", "", "`file` (PEM) with the certificate of this program")
	f.StringVar(&o.Key, "key", "", "`file` (PEM) with its private key")
	f.StringVar(&o.ServerName, "server-name", "", "`name` that the broker's certificate must carry, where it is not the host")
	f.StringVar(&o.Root, "root", "", "first `level` of every topic; payagent by default")
	f.StringVar(&o.Site, "site", "", "`hospital`; all of them by default, where the broker allows it")
	f.StringVar(&o.Lang, "lang", "", "`zh` or en")
	f.StringVar(&o.file, "config", "", "`file` with these settings")
	return o
}

// load reads the file and lays the flags over it.
func (o *connection) load(c console) error {
	flags := *o
	given := map[string]bool{}
	o.set.Visit(func(f *flag.Flag) { given[f.Name] = true })
	path := o.file
	if path == "" {
		if dir, err := os.UserConfigDir(); err == nil {
			path = filepath.Join(dir, "payfleet", "payfleet.yaml")
		}
	}
	if path != "" {
		data, err := os.ReadFile(path)
		switch {
		case err == nil:
			if err := yaml.UnmarshalWithOptions(data, o, yaml.Strict()); err != nil {
				return fmt.Errorf("cannot read %s: %w", path, err)
			}
			o.relative(filepath.Dir(path))
		case o.file != "" || !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("cannot read the settings: %w", err)
		}
	}
	for name, set := range map[string]func(){
		"broker": func() { o.Broker = flags.Broker }, "accept-plain": func() { o.AcceptPlain = flags.AcceptPlain },
		"ca": func() { o.CA = flags.CA }, "cert": func() { o.Cert = flags.Cert }, "key": func() { o.Key = flags.Key },
		"server-name": func() { o.ServerName = flags.ServerName }, "root": func() { o.Root = flags.Root },
		"site": func() { o.Site = flags.Site }, "lang": func() { o.Lang = flags.Lang },
	} {
		if given[name] {
			set()
		}
	}
	if o.Root == "" {
		o.Root = "payagent"
	}
	if o.Lang == "" {
		o.Lang = "zh"
		if strings.HasPrefix(c.env("LANG"), "en") {
			o.Lang = "en"
		}
	}
	return o.check()
}

// relative makes the files' names relative to the folder of the settings.
func (o *connection) relative(dir string) {
	for _, name := range []*string{&o.CA, &o.Cert, &o.Key} {
		if *name != "" && !filepath.IsAbs(*name) {
			*name = filepath.Join(dir, *name)
		}
	}
}

func (o *connection) check() error {
	u, err := url.Parse(o.Broker)
	if o.Broker == "" || err != nil || u.Scheme != "mqtt" && u.Scheme != "mqtts" || u.Hostname() == "" {
		return fmt.Errorf("%w: name the broker with --broker mqtts://host:8883, or in the settings file", errUsage)
	}
	if u.Scheme == "mqtts" && o.CA == "" {
		return fmt.Errorf("%w: name the authorities for the broker with --ca FILE", errUsage)
	}
	if (o.Cert == "") != (o.Key == "") {
		return fmt.Errorf("%w: --cert and --key belong together", errUsage)
	}
	if u.Scheme == "mqtt" && !o.AcceptPlain && !loopback(u.Hostname()) {
		return fmt.Errorf("%w: a broker without TLS shows everything to whoever sits on the way; write mqtts://, or add --accept-plain", errUsage)
	}
	for _, name := range []string{o.Root, o.Site} {
		if name == "" {
			continue
		}
		if err := fleet.CheckName(name); err != nil {
			return fmt.Errorf("%w: %w", errUsage, err)
		}
	}
	if o.Lang != "zh" && o.Lang != "en" {
		return fmt.Errorf("%w: --lang is zh or en", errUsage)
	}
	return nil
}
