package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"payagent/agent/config"
	"payagent/agent/seal"
	"payagent/agent/service"
	"payagent/agent/starter"
	"payagent/devices"
	"payagent/install"
)

const initUsage = `payagent init — five questions, and a configuration that works   初次配置

  payagent init --config FILE                          asks what is not given; answers are checked at once   逐项询问
  payagent init --config FILE --answers ANSWERS.json   asks nothing (- reads the input)                      无人值守
  payagent init --config FILE [--profile scanbox|kiosk|counter] [--hospital-id N] [--hospital-name N] [--driver fwc|smartpay|lc] [--url URL]
      [--allow-plain-http] [--merchant CODE] [--token-file FILE] [--till NAME] [--device-no NO] [--operator-id ID] [--operator-name N]
      [--scanner none|PORT|/dev/…|COM3] [--data-dir DIR] [--listen IP:PORT,…] [--secrets DIR] [--force]

  已有不同的配置时不覆盖；--force 覆盖并保留原文件的副本。 A configuration that differs is kept; --force replaces it and keeps a copy.
  退出码 exit code: 0 已写好或无变化 written, or no change; 1 未写 not written; 2 答案有误 answers are wrong.  JSON: docs/configuration.md
`

// initFlags are the flags of payagent init.
type initFlags struct {
	config, answers, secrets, scanner, listen, token string
	force                                            bool
	a                                                starter.Answers
	till                                             starter.Till
}

func initCommand(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	var o initFlags
	f := flag.NewFlagSet("init", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	for name, v := range map[string]*string{"config": &o.config, "answers": &o.answers, "secrets": &o.secrets, "scanner": &o.scanner, "listen": &o.listen,
		"profile": &o.a.Profile, "hospital-id": &o.a.HospitalID, "hospital-name": &o.a.HospitalName, "driver": &o.a.Platform.Driver, "url": &o.a.Platform.URL,
		"merchant": &o.a.Platform.Merchant, "token-file": &o.token, "till": &o.till.Name, "device-no": &o.till.DeviceNo,
		"operator-id": &o.till.OperatorID, "operator-name": &o.till.OperatorName, "data-dir": &o.a.DataDir} {
		f.StringVar(v, name, "", name)
	}
	f.BoolVar(&o.force, "force", false, "replace")
	f.BoolVar(&o.a.Platform.PlainHTTP, "allow-plain-http", false, "accept http")
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		_, err := io.WriteString(out, initUsage)
		return err
	case err != nil || f.NArg() > 0 || o.config == "":
		return fmt.Errorf("%w: name the file to write with --config\n\n%s", errUsage, initUsage)
	}
	if o.secrets == "" {
		o.secrets = filepath.Join(filepath.Dir(o.config), "secrets")
	}
	for _, path := range []*string{&o.config, &o.secrets} {
		abs, err := filepath.Abs(*path)
		if err != nil {
			return fmt.Errorf("cannot tell where %s is: %w", *path, err)
		}
		*path = abs
	}
	a, err := o.collect(ctx, in, out)
	if err != nil {
		return err
	}
	if err := a.Check(); err != nil {
		return fmt.Errorf("%w:\n%w", errUsage, err)
	}
	profile, err := install.Profile(a.Profile)
	if err != nil {
		return err
	}
	m, err := starter.Make(profile, a, o.secrets)
	if err != nil {
		return err
	}
	return o.write(m, profile, out)
}

// collect reads the answers from the file and the flags, and asks for the rest
// where no file was given.
func (o initFlags) collect(_ context.Context, in io.Reader, out io.Writer) (starter.Answers, error) {
	if o.answers == "" {
		o.a.Platform.TokenFile = o.token
		q := questions{in: bufio.NewScanner(in), out: out, a: o.a, till: o.till, scanner: o.scanner}
		a, err := q.all()
		a.Listen = splitList(o.listen)
		return a, err
	}
	var data []byte
	var err error
	if o.answers == "-" {
		data, err = io.ReadAll(io.LimitReader(in, maxSmall))
	} else {
		data, err = readSmall(o.answers)
	}
	if err != nil {
		return starter.Answers{}, err
	}
	var a starter.Answers
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&a); err != nil {
		return a, fmt.Errorf("%w: the answers are not as docs/configuration.md has them: %w", errUsage, err)
	}
	// Flags stand above the file.
	for _, x := range []struct{ to, from *string }{{&a.Profile, &o.a.Profile}, {&a.HospitalID, &o.a.HospitalID}, {&a.HospitalName, &o.a.HospitalName},
		{&a.Platform.Driver, &o.a.Platform.Driver}, {&a.Platform.URL, &o.a.Platform.URL}, {&a.Platform.Merchant, &o.a.Platform.Merchant},
		{&a.Platform.TokenFile, &o.token}, {&a.DataDir, &o.a.DataDir}} {
		if *x.from != "" {
			*x.to = *x.from
		}
	}
	a.Platform.PlainHTTP = a.Platform.PlainHTTP || o.a.Platform.PlainHTTP
	if o.till.Name != "" || o.till.DeviceNo != "" || o.scanner != "" {
		t := o.till
		if t.Scanner, err = scannerOf(o.scanner); err != nil {
			return a, err
		}
		a.Tills = []starter.Till{t}
	}
	if o.listen != "" {
		a.Listen = splitList(o.listen)
	}
	return a, nil
}

func splitList(s string) []string {
	return slices.DeleteFunc(strings.Split(s, ","), func(x string) bool { return x == "" })
}

// scannerOf reads --scanner.
func scannerOf(text string) (*starter.Scanner, error) {
	switch {
	case text == "" || text == "none":
		return nil, nil
	case strings.HasPrefix(text, "/dev/"), strings.HasPrefix(strings.ToUpper(text), "COM"):
		return &starter.Scanner{Driver: "serial", Path: text}, nil
	}
	found, _ := present() // what cannot be looked at is not offered
	for _, f := range found {
		if s, ok := scannerFor(f); ok && f.Port != "" && (f.Port == text || strings.HasPrefix(f.Port, text+":")) {
			return s, nil
		}
	}
	return nil, fmt.Errorf("%w: nothing that can be read is plugged in at %q; payagent devices list shows what is", errUsage, text)
}

// scannerFor gives the settings for a device that is plugged in; false for one
// that cannot be read.
func scannerFor(f devices.Found) (*starter.Scanner, bool) {
	s := &starter.Scanner{Port: f.Port}
	switch f.Class {
	case devices.ClassHIDPOS:
		s.Driver = "hid"
	case devices.ClassSerial:
		s.Driver = "serial"
	case devices.ClassKeyboard:
		s.Driver = "wedge"
		if runtime.GOOS != "linux" {
			return nil, false
		}
	default:
		return nil, false
	}
	if s.Port == "" && s.Driver == "serial" {
		s.Path = f.Node
	} else if s.Port == "" {
		s.ID = f.ID()
	}
	return s, s.Port != "" || s.Path != "" || s.ID != ""
}

// write checks what was made and puts it in place.
func (o initFlags) write(m starter.Made, profile string, out io.Writer) error {
	file := o.config
	c, err := config.Parse(file, []byte(m.Text))
	if err == nil {
		err = c.Validate()
	}
	if err == nil {
		err = checkMembers(c)
	}
	if err != nil {
		return fmt.Errorf("%w: the answers make no configuration that works:\n%w", errUsage, err)
	}
	todo := map[string][]byte{file: []byte(m.Text)}
	for path, secret := range m.Secrets {
		todo[path] = []byte(secret)
	}
	var differ []string
	for path, data := range todo {
		old, err := os.ReadFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return fmt.Errorf("cannot read %s: %w", path, err)
		case bytes.Equal(old, data):
			delete(todo, path)
		case strings.ReplaceAll(string(old), "\r\n", "\n") != profile: // that is what a package put there
			differ = append(differ, path)
		}
	}
	if len(todo) == 0 {
		_, err := fmt.Fprintf(out, "无变化 no change: %s\n", file)
		return err
	}
	if len(differ) > 0 && !o.force {
		slices.Sort(differ)
		return fmt.Errorf("cannot write: there is already another %s; look at it, or replace it with --force, which keeps a copy", strings.Join(differ, ", "))
	}
	stamp := time.Now().Format("20060102T150405")
	for _, path := range append(sortedKeys(m.Secrets), file) {
		data, ok := todo[path]
		if !ok {
			continue
		}
		if err := putFile(c, path, data, path != file, stamp); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(out, "已写好 written: %s\n下一步 next:\n  payagent config check --config %s\n  payagent doctor --config %s\n  payagent service start\n加入机群 to join the fleet: payagent enrol --config %s --url … --code …\n", file, file, file, file)
	return err
}

func sortedKeys(m map[string]string) []string {
	var list []string
	for k := range m {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}

// giveToService makes files the service's user's, where there is one.
func giveToService(paths []string) error {
	u, err := user.Lookup(service.Name)
	if err != nil {
		return nil //nolint:nilerr // no service is installed: whoever writes them runs it
	}
	uid, err := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err != nil || err2 != nil {
		return nil
	}
	for _, p := range paths {
		if err := os.Lchown(p, uid, gid); err != nil {
			return fmt.Errorf("cannot give %s to the agent's user; run chown by hand: %w", p, err)
		}
	}
	return nil
}

// putFile writes a file; one that is there is kept beside it.
func putFile(c config.Config, path string, data []byte, secret bool, stamp string) error {
	mode := fs.FileMode(0o755)
	if secret {
		mode = 0o700
	}
	fresh := false
	if _, err := os.Stat(filepath.Dir(path)); errors.Is(err, fs.ErrNotExist) {
		fresh = true
	}
	if err := os.MkdirAll(filepath.Dir(path), mode); err != nil {
		return fmt.Errorf("cannot make the folder for %s: %w", path, err)
	}
	// Secrets belong to the agent's user: whom data_dir belongs to, or, before
	// the first start, whom the service will run as.
	give := func(paths ...string) error {
		if _, err := os.Stat(c.DataDir); err == nil && secret {
			return seal.GiveTo(c.DataDir, paths...)
		}
		if secret && os.Geteuid() == 0 {
			return giveToService(paths)
		}
		return nil
	}
	if fresh {
		if err := give(filepath.Dir(path)); err != nil {
			return err
		}
	}
	old, err := os.ReadFile(path)
	switch {
	case err == nil:
		if err := seal.WriteFile(path+".before-"+stamp, old); err != nil {
			return err
		}
		return seal.ReplaceFile(path, data)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("cannot read %s: %w", path, err)
	}
	if err := seal.WriteFile(path, data); err != nil {
		return err
	}
	if secret {
		return give(path)
	}
	// It holds no secret, and the agent's user must read it.
	return os.Chmod(path, 0o644)
}
