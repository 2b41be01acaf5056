package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"payagent/agent/clock"
	"payagent/agent/config"
	"payagent/agent/fleet"
	"payagent/agent/trial"
	"payagent/agent/update"
)

const updateUsage = `payagent update — exchange the program  升级程序

  payagent update --config FILE MANIFEST|FOLDER   from a file: a USB stick, a share                  从文件（U 盘、共享目录）
  payagent update --config FILE https://…/manifest.json   from a server of the hospital or the vendor   从服务器
      --downgrade   also an older version; somebody on site takes that on himself                  允许降级（由现场人员负责）
      --no-wait     leave it to the service and do not wait for how it ends                        不等待结果
  payagent update status --config FILE            what runs, what is on trial, how the last one ended  状态
  payagent update rollback --config FILE          back to the program before this one                  退回上一版本

  服务在没有未完成订单时切换；60 秒内未证明可用即自动退回。 The service switches when no order is open, and goes back by itself unless the new program proves itself within a minute.
`

// updateCommand fetches a program and asks the service to try it.
func updateCommand(ctx context.Context, args []string, out io.Writer) error {
	var file string
	var downgrade, noWait, help bool
	var words []string
	f := flag.NewFlagSet("update", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&file, "config", "", "configuration file")
	f.BoolVar(&downgrade, "downgrade", false, "also older")
	f.BoolVar(&noWait, "no-wait", false, "do not wait")
	f.BoolVar(&help, "help", false, "help")
	for rest := args; ; {
		if err := f.Parse(rest); err != nil {
			return fmt.Errorf("%w: %s\n\n%s", errUsage, err, updateUsage)
		}
		if f.NArg() == 0 {
			break
		}
		words, rest = append(words, f.Arg(0)), f.Args()[1:]
	}
	if help {
		_, err := io.WriteString(out, updateUsage)
		return err
	}
	if file == "" || len(words) != 1 {
		return fmt.Errorf("%w: name --config and one manifest\n\n%s", errUsage, updateUsage)
	}
	c, err := loadConfig(file)
	if err != nil {
		return err
	}
	u, running, err := beside(c)
	if err != nil {
		return err
	}
	dir := updatesDir(c.DataDir)
	switch words[0] {
	case "status":
		return printState(u, out)
	case "rollback":
		if st, err := u.State(); err != nil {
			return err
		} else if st.Previous == "" && st.Trial == "" {
			return errors.New("cannot go back: there is no program before the one in use")
		}
		if err := trial.Ask(trial.OS{}, dir, trial.Request{Back: true}); err != nil {
			return err
		}
		_, err := fmt.Fprintln(out, "空闲时退回；服务未运行则在下次启动后。 It goes back when the tills are idle, or after the next start.")
		return err
	}
	manifest, sources, err := where(ctx, c, words[0])
	if err != nil {
		return err
	}
	_, file2, _ := u.Accept(manifest, downgrade) // Stage says what is wrong, and what it did all the same
	m, err := u.Stage(ctx, manifest, downgrade, sources(file2), nil)
	if err != nil {
		return err
	}
	if err := trial.Ask(trial.OS{}, dir, trial.Request{Version: m.Version, Downgrade: downgrade}); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(out, "版本 %s 已核验，等待空闲后切换（当前 %s）。 Version %s is here and checked; the service takes it when the tills are idle (%s runs).\n", m.Version, running, m.Version, running); err != nil || noWait {
		return err
	}
	return u.await(ctx, dir, m.Version, out)
}

// besides is the updates as a command sees them that runs beside the service.
type besides struct{ *update.Updates }

// beside opens the updates as the program that runs sees them: what is newer
// than that is newer.
func beside(c config.Config) (besides, string, error) {
	o := update.Options{Dir: updatesDir(c.DataDir), Self: self(), Keys: signers(c.Fleet.Keys), Clock: clockOf(c)}
	st, err := update.Open(o).State()
	if err != nil {
		return besides{}, "", err
	}
	o.Base = o.Self.Version
	if st.Current != "" {
		o.Self.Version, o.Started = st.Current, st.Current
	}
	return besides{update.Open(o)}, o.Self.Version, nil
}

// where finds the manifest and says where its files may come from.
func where(ctx context.Context, c config.Config, from string) ([]byte, func(fleet.File) []update.Source, error) {
	client, err := downloads(c, clockOf(c))
	if err != nil {
		return nil, nil, err
	}
	if strings.HasPrefix(from, "https://") || strings.HasPrefix(from, "http://") {
		data, err := update.FetchManifest(ctx, client, from)
		return data, func(f fleet.File) []update.Source {
			return append([]update.Source{update.Mirror{Client: client, Manifest: from}}, update.Addresses(client, f)...)
		}, err
	}
	if info, err := os.Stat(from); err == nil && info.IsDir() {
		from = filepath.Join(from, "manifest.json")
	}
	data, err := trial.OS{}.ReadFile(from)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read the manifest; name manifest.json of the release, or the folder with it: %w", err)
	}
	return data, func(f fleet.File) []update.Source {
		return append([]update.Source{update.Folder(filepath.Dir(from))}, update.Addresses(client, f)...)
	}, nil
}

// downloads is the way to release servers: TLS with the system's authorities
// and the fleet's, no proxy, nothing followed. What comes is signed besides.
func downloads(c config.Config, k *clock.Keeper) (http.RoundTripper, error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if c.Fleet.CAFile != "" {
		if pem, err := os.ReadFile(c.Fleet.CAFile); err == nil {
			roots.AppendCertsFromPEM(pem)
		}
	}
	return &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, Time: k.Now}, DisableCompression: true,
		TLSHandshakeTimeout: 15 * time.Second, ResponseHeaderTimeout: time.Minute, MaxResponseHeaderBytes: 16 << 10, DisableKeepAlives: true}, nil
}

func printState(u besides, out io.Writer) error {
	st, err := u.State()
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(st, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, string(data))
	return err
}

// await tells what becomes of a version until that is decided.
func (u besides) await(ctx context.Context, dir, version string, out io.Writer) error {
	began, told := time.Now(), ""
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		// Looked at first: the service removes it behind what it writes.
		_, asked, err := trial.Asked(trial.OS{}, dir)
		if err != nil {
			return err
		}
		st, err := u.State()
		if err != nil {
			return err
		}
		switch {
		case st.Trial == version:
			now := "已就绪，收费点空闲时切换。 It is prepared and takes over as soon as the tills are idle."
			if st.Starts > 0 {
				now = "已切换，正在验证。 It runs and must prove itself now."
			}
			if now != told {
				if _, err := fmt.Fprintln(out, now); err != nil {
					return err
				}
			}
			told = now
		case st.Trial == "" && st.Last != nil && st.Last.Version == version && st.Last.At.After(began.Add(-time.Second)):
			if st.Last.Good {
				_, err := fmt.Fprintf(out, "版本 %s 已启用。 Version %s is in use.\n", version, version)
				return err
			}
			return fmt.Errorf("version %s was given up (%s) %v; the one before it runs", version, st.Last.Reason, st.Last.Missing)
		case !asked:
			return fmt.Errorf("the service did not begin with version %s; its log says why (\"was not begun\"), or another request took the place of this one", version)
		}
		select {
		case <-ctx.Done():
			return errors.New("not waited for; the service goes on with it: payagent update status")
		case <-tick.C:
		}
	}
}

// configCommand shows and moves what counts.
func configCommand(verb string, args []string, out io.Writer) error {
	var only []string
	for _, a := range args {
		if a != "--effective" && a != "-effective" { // it shows nothing else
			only = append(only, a)
		}
	}
	o, err := parse(verb, only)
	if err != nil {
		return err
	}
	files, err := openFiles(o.config)
	if err != nil {
		return err
	}
	switch verb {
	case "config accept":
		hash, err := files.Accept()
		if err == nil {
			_, err = fmt.Fprintf(out, "已确认 %s (sha256 %s)，平台可再次下发配置。 Taken as meant; the fleet may send configurations again.\n", o.config, hash)
		}
		return err
	case "config rollback":
		if r, err := files.Reported(); err != nil {
			return err
		} else if r.Edited {
			return fmt.Errorf("cannot go back: %s was changed on this box and counts; run payagent config accept first if the fleet is to decide again", o.config)
		} else if r.Previous == "" && r.Aside == "" && r.State != fleet.ConfigTrial {
			return errors.New("cannot go back: there is no configuration before the one in effect")
		}
		if err := trial.Ask(trial.OS{}, files.Dir(), trial.Request{Back: true}); err != nil {
			return err
		}
		_, err := fmt.Fprintln(out, "空闲时退回；服务未运行则在下次启动后。 It goes back when the tills are idle, or after the next start.")
		return err
	}
	e, err := files.Look()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "# 生效配置 in effect: %s (sha256 %s)\n%s", e.Version, e.SHA256, e.Text)
	return err
}
