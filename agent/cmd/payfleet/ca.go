package main

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/fleet/ca"
	"payagent/agent/fleet/keyring"
	"payagent/agent/seal"
	"payagent/agent/words"
)

const caUsage = `payfleet ca — the fleet's certificate authority   机群证书

  payfleet ca init   --dir DIR --site SITE[,SITE] --broker mqtts://HOST:8883 [--domain NAME,…] [--network CIDR,…]   make one   新建
                     [--root R] [--server-name NAME] [--ack hub|puback] [--hub-key KEY] [--relay-key KEY] [--ca-url https://HOST:8443] [--keys FILE,…]
                     bounds: hospitals, names and networks it may vouch for; they cannot be changed later   范围不可更改
                     without --network: private networks and this machine   默认只限内网地址
  payfleet ca settings --dir DIR [--broker …]              show or change what boxes are told   下发给机器的设置
                     the same as with init: --broker --root --server-name --ack --hub-key --relay-key --ca-url --keys
  payfleet ca code   --dir DIR --site SITE --box BOX [--valid 24h]   a one-time code for one box   一次性入网码
  payfleet ca swap   --dir DIR [--site SITE] BOX [--valid 1h]   a code for a new machine in the place of that box   换机
  payfleet ca serve  --dir DIR --listen IP:8443 --name NAME[,NAME]   answer boxes; NAME as boxes connect to it   发证服务
  payfleet ca sign   --dir DIR --site SITE --box BOX --in REQUEST --out ANSWER   a box without a way here, by USB   离线签发
  payfleet ca server --dir DIR --out DIR NAME…             certificate and key for a server: broker, hub, console   服务器证书
  payfleet ca client --dir DIR --out DIR NAME              for a program beside the broker: hub, relay, an operator   程序证书
  payfleet ca list   --dir DIR                             what was issued, and open codes   列出
  payfleet ca revoke --dir DIR BOX|SERIAL [--reason TEXT]  end certificates; then copy crl.pem to the broker (payfleet broker --crl)   吊销
                     a box revoked so still takes payments; to stop that too, name it twice   只离开机群，仍能收款；停止收款要把名称写两遍
  payfleet ca revoke --dir DIR [--site SITE] BOX --stop BOX [--reason TEXT]   no payments any more, until it is enrolled anew   停止收款，重新入网恢复
  payfleet ca revoke --dir DIR [--site SITE] --replaced BOX          those of the machines before the present one only   只吊销被替换的
`

// caOptions are the flags of payfleet ca.
type caOptions struct {
	dir, site, box, name, listen, in, out, reason, stop string
	domains, networks, keys                             string
	valid                                               time.Duration
	replaced                                            bool
	told                                                fleet.Settings
	set                                                 *flag.FlagSet
	words                                               []string
}

func caCommand(ctx context.Context, args []string, c console) error {
	verb := ""
	if len(args) > 0 {
		verb, args = args[0], args[1:]
	}
	verbs := map[string]func(context.Context, caOptions, console) error{"init": caInit, "settings": caSettings, "code": caCode, "serve": caServe,
		"swap": caSwap, "sign": caSign, "server": caServer, "client": caClient, "list": caList, "revoke": caRevoke}
	do, ok := verbs[verb]
	if !ok {
		if slices.Contains([]string{"", "-h", "--help"}, verb) {
			return help("ca", "", c.out)
		}
		return fmt.Errorf("%w: there is no command \"ca %s\"\n\n%s", errUsage, verb, caUsage)
	}
	o := caOptions{set: flag.NewFlagSet("ca "+verb, flag.ContinueOnError)}
	for name, v := range map[string]*string{"dir": &o.dir, "site": &o.site, "box": &o.box, "name": &o.name, "listen": &o.listen, "in": &o.in, "out": &o.out,
		"reason": &o.reason, "stop": &o.stop, "domain": &o.domains, "network": &o.networks, "keys": &o.keys, "broker": &o.told.Broker, "root": &o.told.Root,
		"server-name": &o.told.ServerName, "ack": &o.told.Ack, "hub-key": &o.told.HubKey, "relay-key": &o.told.RelayKey, "ca-url": &o.told.CAURL} {
		o.set.StringVar(v, name, "", name)
	}
	valid := 24 * time.Hour
	if verb == "swap" { // it ends another machine's work
		valid = time.Hour
	}
	o.set.DurationVar(&o.valid, "valid", valid, "how long a code counts")
	o.set.BoolVar(&o.replaced, "replaced", false, "of the machines before the present one")
	var err error
	if o.words, err = parse(o.set, args); err != nil {
		return fmt.Errorf("%w\n\n%s", err, caUsage)
	}
	if o.dir == "" {
		return fmt.Errorf("%w: name the authority's folder with --dir\n\n%s", errUsage, caUsage)
	}
	if most := map[string]int{"server": 99, "client": 1, "revoke": 1, "swap": 1}[verb]; len(o.words) > most || most > 0 && len(o.words) == 0 {
		return fmt.Errorf("%w: %v\n\n%s", errUsage, o.words, caUsage)
	}
	return do(ctx, o, c)
}

func commas(text string) []string {
	return slices.DeleteFunc(strings.Split(text, ","), func(s string) bool { return s == "" })
}

// overlay lays the settings given as flags over those that are there.
func (o caOptions) overlay(s fleet.Settings) (fleet.Settings, bool, error) {
	changed := false
	var err error
	o.set.Visit(func(f *flag.Flag) {
		at := map[string][2]*string{"broker": {&s.Broker, &o.told.Broker}, "root": {&s.Root, &o.told.Root}, "server-name": {&s.ServerName, &o.told.ServerName},
			"ack": {&s.Ack, &o.told.Ack}, "hub-key": {&s.HubKey, &o.told.HubKey}, "relay-key": {&s.RelayKey, &o.told.RelayKey}, "ca-url": {&s.CAURL, &o.told.CAURL}}[f.Name]
		if at[0] != nil {
			*at[0], changed = *at[1], true
		}
		if f.Name != "keys" {
			return
		}
		s.Keys, changed = nil, true
		for _, file := range commas(o.keys) {
			shown, e := keyring.Show(file)
			if e != nil {
				err = e
				return
			}
			for _, k := range shown {
				s.Keys = append(s.Keys, fleet.SettingsKey{ID: k.ID, Roles: k.Roles, Public: base64.StdEncoding.EncodeToString(k.Public)})
			}
		}
	})
	return s, changed, err
}

func caInit(_ context.Context, o caOptions, c console) error {
	b := ca.Bounds{Sites: commas(o.site), Domains: commas(o.domains)}
	for _, text := range commas(o.networks) {
		_, n, err := net.ParseCIDR(text)
		if err != nil {
			return fmt.Errorf("%w: --network %q is no network; write it as 10.0.0.0/8", errUsage, text)
		}
		b.Networks = append(b.Networks, n)
	}
	s, _, err := o.overlay(fleet.Settings{Root: "payagent", Ack: "hub"})
	if err != nil {
		return err
	}
	if !strings.HasPrefix(s.Broker, "mqtts://") {
		return fmt.Errorf("%w: name the broker that boxes connect to with --broker mqtts://HOST:8883", errUsage)
	}
	a, err := ca.Init(o.dir, "payagent fleet "+strings.Join(b.Sites, " "), b, s, time.Now)
	if err != nil {
		return err
	}
	return say(c, "发证机已建立 made: %s\n指纹 fingerprint: %s\n请把整个文件夹备份到保险柜：丢失后所有机器要重新入网。\nKeep a copy of the whole folder in a safe: without it every box must be enrolled anew.\n",
		o.dir, printText(a.Fingerprint()))
}

func caSettings(_ context.Context, o caOptions, c console) error {
	a, err := ca.Open(o.dir, time.Now)
	if err != nil {
		return err
	}
	was, err := a.Settings()
	if err != nil {
		return err
	}
	s, changed, err := o.overlay(was)
	if err != nil {
		return err
	}
	if changed {
		if err := a.SetSettings(s); err != nil {
			return err
		}
	}
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return say(c, "%s\n", data)
}

func caCode(_ context.Context, o caOptions, c console) error {
	a, err := ca.Open(o.dir, time.Now)
	if err != nil {
		return err
	}
	code, until, enrol, err := newCode(a, o)
	if err != nil {
		return err
	}
	return say(c, "%s\n\n在机器 %s 上执行（%s 前有效，只能用一次）： at box %s, until %s, once:\n  %s\n", code, o.box, until, o.box, until, enrol)
}

// newCode makes a one-time code for a box, and says until when it counts and what
// to run there.
func newCode(a *ca.Authority, o caOptions) (code fleet.Code, until, enrol string, err error) {
	s, err := a.Settings()
	if err == nil {
		code, err = a.Code(o.site, o.box, o.valid)
	}
	return code, time.Now().Add(o.valid).Format("2006-01-02 15:04"), fmt.Sprintf("payagent enrol --config FILE --url %s --code %s", cmp.Or(s.CAURL, "https://HOST:8443"), code), err
}

func caServe(ctx context.Context, o caOptions, c console) error {
	a, err := ca.Open(o.dir, time.Now)
	if err != nil {
		return err
	}
	if o.listen == "" || o.name == "" {
		return fmt.Errorf("%w: name the address with --listen IP:8443, and what boxes call it with --name\n\n%s", errUsage, caUsage)
	}
	s, err := ca.NewServer(a, commas(o.name), slog.New(slog.NewJSONHandler(c.err, nil)))
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", o.listen)
	if err != nil {
		return fmt.Errorf("cannot listen at %s; is it free, and an address of this machine? %w", o.listen, err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return err
	}
	if err := say(c, "https://%s\n指纹 fingerprint: %s\n", net.JoinHostPort(commas(o.name)[0], port), printText(a.Fingerprint())); err != nil {
		return err
	}
	return s.Serve(ctx, l)
}

func caSign(_ context.Context, o caOptions, c console) error {
	a, err := ca.Open(o.dir, time.Now)
	if err != nil {
		return err
	}
	if o.in == "" || o.out == "" {
		return fmt.Errorf("%w: name --in and --out\n\n%s", errUsage, caUsage)
	}
	data, err := os.ReadFile(o.in)
	if err != nil {
		return fmt.Errorf("cannot read the request: %w", err)
	}
	var q fleet.EnrolRequest
	if err := fleet.Unmarshal(data, &q); err != nil {
		return err
	}
	if q.Site != "" && o.site == "" {
		o.site = q.Site
	}
	if q.Box != "" && o.box == "" {
		o.box = q.Box
	}
	e, err := a.Sign(q, o.site, o.box)
	if err != nil {
		return explain(err)
	}
	if data, err = json.MarshalIndent(e, "", "  "); err != nil {
		return err
	}
	if err := seal.WriteFile(o.out, append(data, '\n')); err != nil {
		return err
	}
	return say(c, "已签发 issued: %s/%s → %s\n在机器上执行 at the box: payagent enrol --config FILE --accept %s\n发证机指纹，请核对 compare the fingerprint: %s\n",
		o.site, o.box, o.out, filepath.Base(o.out), printText(a.Fingerprint()))
}

// explain puts the words of a refusal beside its code.
func explain(err error) error {
	no, ok := err.(*ca.Refusal) //nolint:errorlint // it is never wrapped here
	if !ok {
		return err
	}
	e, ok := words.New().Find(words.Enrol, no.Code)
	if !ok {
		return err
	}
	it := e.IT.Fill("detail", no.Detail)
	return fmt.Errorf("%s %s (%s)", it.ZH, it.EN, no.Code)
}

func caServer(_ context.Context, o caOptions, c console) error {
	return caPair(o, c, func(a *ca.Authority) ([]byte, ca.Issued, error) { return a.Server(o.words) })
}

func caClient(_ context.Context, o caOptions, c console) error {
	return caPair(o, c, func(a *ca.Authority) ([]byte, ca.Issued, error) { return a.Client(o.words[0]) })
}

// caPair writes a certificate and its key, and the authority beside them.
func caPair(o caOptions, c console, make func(*ca.Authority) ([]byte, ca.Issued, error)) error {
	a, err := ca.Open(o.dir, time.Now)
	if err != nil {
		return err
	}
	if o.out == "" {
		return fmt.Errorf("%w: name the folder for the files with --out\n\n%s", errUsage, caUsage)
	}
	if err := os.MkdirAll(o.out, 0o700); err != nil {
		return fmt.Errorf("cannot make the folder: %w", err)
	}
	if err := o.mayWrite(); err != nil {
		return err
	}
	key, i, err := make(a)
	if err != nil {
		return err
	}
	crl, err := a.CRL()
	if err != nil {
		return err
	}
	name := strings.ReplaceAll(i.Name, ":", "-")
	for _, f := range []struct {
		name string
		data []byte
	}{{name + ".key", key}, {name + ".pem", []byte(i.PEM)}, {"ca.pem", a.Certificate()}, {"crl.pem", crl}} {
		path := filepath.Join(o.out, f.name)
		if err := seal.WriteFile(path, f.data); err != nil {
			return err
		}
		if err := say(c, "%s\n", path); err != nil {
			return err
		}
	}
	return say(c, "有效期至 until %s\n", i.NotAfter.Format("2006-01-02"))
}

// mayWrite refuses to write a certificate's key over a key of another kind, a
// relay's or one that signs: those are called NAME.key too, and nobody has them
// a second time.
func (o caOptions) mayWrite() error {
	own, err := os.Stat(o.dir)
	if err != nil {
		return fmt.Errorf("cannot look at the authority's folder: %w", err)
	}
	if out, err := os.Stat(o.out); err == nil && os.SameFile(own, out) {
		return fmt.Errorf("%w: --out is the authority's own folder; name another one", errUsage)
	}
	for _, word := range o.words {
		path := filepath.Join(o.out, strings.ReplaceAll(word, ":", "-")+".key")
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("cannot see what is in %s: %w", path, err)
		}
		if block, _ := pem.Decode(data); block == nil {
			return fmt.Errorf("%w: %s is a key of another kind and would be lost; name another folder with --out", errUsage, path)
		}
	}
	return nil
}

func caList(_ context.Context, o caOptions, c console) error {
	a, err := ca.Open(o.dir, time.Now)
	if err != nil {
		return err
	}
	issued, err := a.List()
	if err != nil {
		return err
	}
	now := time.Now()
	for _, i := range issued {
		state := "有效 good"
		switch {
		case i.Revoked != nil:
			state = "已吊销 revoked " + i.Revoked.At.Format("2006-01-02") + " " + i.Revoked.Reason
		case now.After(i.NotAfter):
			state = "已过期 ended"
		}
		if i.Generation > 1 {
			state = fmt.Sprintf("第 %d 代 generation %d  %s", i.Generation, i.Generation, state)
		}
		if err := say(c, "%-7s %-24s %s → %s  %s  %s\n", i.Kind, strings.TrimPrefix(i.Site+"/"+i.Name, "/"), i.At.Format("2006-01-02"), i.NotAfter.Format("2006-01-02"), i.Serial, state); err != nil {
			return err
		}
	}
	codes, err := a.Codes()
	for _, k := range codes {
		if err := say(c, "入网码 code %s/%s 有效至 until %s\n", k.Site, k.Box, k.Expires.Local().Format("2006-01-02 15:04")); err != nil {
			return err
		}
	}
	return err
}

// printText writes a fingerprint for people to compare.
func printText(f [16]byte) string {
	var parts []string
	for i := 0; i < len(f); i += 2 {
		parts = append(parts, hex.EncodeToString(f[i:i+2]))
	}
	return strings.Join(parts, ":")
}

func say(c console, format string, args ...any) error {
	_, err := fmt.Fprintf(c.out, format, args...)
	return err
}
