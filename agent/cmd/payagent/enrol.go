package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"payagent/agent/config"
	"payagent/agent/enrol"
	"payagent/agent/fleet"
	"payagent/agent/seal"
	"payagent/agent/words"
)

const enrolUsage = `payagent enrol — join the fleet: a key made here, a certificate for it   入网

  payagent enrol --config FILE --url https://CA:8443 --code CODE   with a code of payfleet ca code; - reads it from the input   用入网码
  payagent enrol --config FILE --request OUT [--site S --box B]    without a way to the authority: take OUT there by USB        离线：导出请求
  payagent enrol --config FILE --accept IN                         and take its answer                                        离线：导入证书

  中断后可用同一命令重试。私钥不离开本机。 The same command may be repeated after an interruption. The key never leaves this box.
`

// fleetDir is where the box keeps what belongs to the fleet.
func fleetDir(c config.Config) string { return filepath.Join(c.DataDir, "fleet") }

func enrolCommand(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	var file, url, code, request, accept, site, box string
	f := flag.NewFlagSet("enrol", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	for name, v := range map[string]*string{"config": &file, "url": &url, "code": &code, "request": &request, "accept": &accept, "site": &site, "box": &box} {
		f.StringVar(v, name, "", name)
	}
	if err := f.Parse(args); err != nil || f.NArg() > 0 || file == "" {
		return fmt.Errorf("%w\n\n%s", errUsage, enrolUsage)
	}
	ways := 0
	for _, given := range []bool{code != "", request != "", accept != ""} {
		if given {
			ways++
		}
	}
	if ways != 1 || code != "" && url == "" {
		return fmt.Errorf("%w: give --code with --url, or --request, or --accept\n\n%s", errUsage, enrolUsage)
	}
	c, err := config.Load(file)
	if err != nil {
		return err
	}
	k := clockOf(c)
	files := enrol.InFolder(fleetDir(c))
	if seal.Closed(c.Fleet.KeyFile) {
		files.Key = c.Fleet.KeyFile // made and closed by whoever set the box up
	}
	o := enrol.Options{Files: files, URL: url, Site: c.Fleet.Site, Box: c.Fleet.Box, Now: k.Now, Doubt: k.Doubt}
	if site != "" {
		o.Site = site
	}
	if box != "" {
		o.Box = box
	}
	var s fleet.Settings
	switch {
	case request != "":
		data, err := enrol.Request(o.Files, o.Site, o.Box)
		if err != nil {
			return err
		}
		if err := seal.WriteFile(request, data); err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "请把 %s 带到发证机 take it to the authority:\n  payfleet ca sign --dir DIR --site SITE --box BOX --in %s --out answer.json\n", request, filepath.Base(request))
		return err
	case accept != "":
		data, err := readSmall(accept)
		if err != nil {
			return err
		}
		var print [16]byte
		if s, print, err = enrol.Accept(o, data); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "发证机指纹，请与发证机上显示的核对 fingerprint of the authority, compare it: %s\n", printText(print)); err != nil {
			return err
		}
	default:
		if code == "-" {
			data, err := io.ReadAll(io.LimitReader(in, 1024))
			if err != nil {
				return fmt.Errorf("cannot read the code: %w", err)
			}
			code = string(data)
		}
		if o.Code, err = fleet.ParseCode(code); err != nil {
			return err
		}
		if s, err = enrol.Enrol(ctx, o); err != nil {
			return inWords(err)
		}
	}
	return writeFleet(c, file, s, o.Files, out)
}

// printText writes a fingerprint for people to compare, as payfleet does.
func printText(f [16]byte) string {
	var parts []string
	for i := 0; i < len(f); i += 2 {
		parts = append(parts, fmt.Sprintf("%x", f[i:i+2]))
	}
	return strings.Join(parts, ":")
}

// maxSmall bounds a file that is read whole, in bytes.
const maxSmall = 256 << 10

func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot open the file: %w", err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxSmall+1))
	if err == nil && len(data) > maxSmall {
		err = fmt.Errorf("it has more than %d bytes", maxSmall)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, err)
	}
	return data, nil
}

// inWords puts the words of a refusal in place of its code.
func inWords(err error) error {
	var no *enrol.Refused
	if !errors.As(err, &no) {
		return err
	}
	e, ok := words.New().Find(words.Enrol, no.Code)
	if !ok {
		return err
	}
	it, next := e.IT.Fill("detail", no.Detail), e.Next.Fill("detail", no.Detail)
	return fmt.Errorf("入网被拒绝：%s。%s。 refused: %s. %s. (%s)", it.ZH, next.ZH, it.EN, next.EN, no.Code)
}

// writeFleet writes the fleet section into the configuration and keeps what
// the site has set there itself. The old file is kept beside it.
func writeFleet(c config.Config, file string, s fleet.Settings, f enrol.Files, out io.Writer) error {
	var more []string
	was, fresh := c.Fleet, config.Fleet{}
	if d, err := config.Defaults(); err == nil {
		fresh = d.Fleet
	}
	if was.Window != fresh.Window {
		more = append(more, fmt.Sprintf("window: %q", was.Window))
	}
	if was.Idle != fresh.Idle {
		more = append(more, "idle: "+was.Idle.String())
	}
	if was.StatusEvery != fresh.StatusEvery {
		more = append(more, "status_every: "+was.StatusEvery.String())
	}
	block := enrol.Block(s, f, more...)
	old, err := readSmall(file)
	if err != nil {
		return err
	}
	text := enrol.SetBlock(string(old), block)
	next, err := config.Parse(file, []byte(text))
	if err == nil {
		err = next.Validate()
	}
	if err != nil {
		return fmt.Errorf("cannot write the section fleet into %s; the certificate is in %s, put this in by hand:\n\n%s\n%w", file, filepath.Dir(f.Cert), block, err)
	}
	if !bytes.Equal(old, []byte(text)) {
		keep := file + ".before-enrol"
		if err := seal.WriteFile(keep, old); err != nil {
			return err
		}
		if err := seal.ReplaceFile(file, []byte(text)); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(out, "本机已入网 enrolled: %s/%s\n证书 certificate: %s\n配置已更新 the configuration was updated: %s\n请重启服务使其生效 restart the service: payagent service stop; payagent service start\n", s.Site, s.Box, f.Cert, file)
	return err
}

// openCertificates renews the box's certificate and says when one of the
// configuration's ends.
func (b *assembly) openCertificates(c config.Config) {
	files := enrol.Files{CA: c.Fleet.CAFile, Cert: c.Fleet.CertFile, Key: c.Fleet.KeyFile}
	if c.Fleet.On() && files.Key != "" {
		if err := files.Resume(); err != nil {
			b.log.Error("a change of the box's certificate could not be ended", "error", err)
		}
		if c.Fleet.CAURL != "" {
			b.renewer = &enrol.Renewer{Files: files, URL: c.Fleet.CAURL, Now: b.clock.Now, Logger: b.log}
			b.beside = append(b.beside, func(ctx context.Context) error {
				b.renewer.Run(ctx)
				return nil
			})
		}
	}
	certs := certificates(c)
	if len(certs) == 0 {
		return
	}
	w := &enrol.Watch{Certs: certs, Now: b.clock.Now, Alarm: b.agent.RaiseAlarm, Logger: b.log}
	if c.Fleet.On() { // the box raises it for as long as it lasts
		w.Alarm = func(string) {}
	}
	b.beside = append(b.beside, func(ctx context.Context) error {
		w.Run(ctx)
		return nil
	})
	b.metrics = append(b.metrics, w.WriteMetrics)
}

// certificates lists the certificates of the configuration that are this
// box's own.
func certificates(c config.Config) []enrol.Named {
	var list []enrol.Named
	add := func(name, file string) {
		if file != "" {
			list = append(list, enrol.Named{Name: name, File: file})
		}
	}
	if c.Fleet.On() {
		add("fleet", c.Fleet.CertFile)
	}
	add("door", c.Door.TLS.Cert)
	add("facade", c.Facade.TLS.Cert)
	add("books", c.Books.TLS.Cert)
	add("callback", c.Callback.TLS.Cert)
	for _, p := range c.Platforms {
		add("platform."+p.Name, p.ClientCert)
	}
	add("his.webhook", c.HIS.Webhook.ClientCert)
	return list
}
