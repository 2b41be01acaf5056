package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"payagent/agent/config"
	"payagent/agent/enrol"
	"payagent/agent/fleet"
	"payagent/agent/fleet/ca"
)

// authority serves a certificate authority on loopback.
func authority(t *testing.T) (*ca.Authority, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "https://" + l.Addr().String()
	a, err := ca.Init(filepath.Join(t.TempDir(), "ca"), "fleet", ca.Bounds{Sites: []string{"H1"}}, fleet.Settings{Broker: "mqtts://127.0.0.1:8883", Root: "payagent", Ack: "hub", CAURL: url}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ca.NewServer(a, []string{"127.0.0.1"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return a, url
}

const littleConfig = `# 我的医院 my hospital
site: {hospital_id: "H0001", name: "x", test: true}
data_dir: %DIR%
door: {listen: ["127.0.0.1:8780"]}
platforms:
  - {name: fwc, driver: fwc, url: "http://127.0.0.1:8791/x", allow_plain_http: true}
merchants:
  - {profile: a, platform: fwc, merch_code: "1"}
routes: [{merchant: a}]
tills:
  - {name: w1, kind: counter, device_no: "W1"}
`

// TestEnrolCommand: one command, and the configuration is that of a box of the
// fleet; what the site wrote is kept, and so is the old file.
func TestEnrolCommand(t *testing.T) {
	ctx := context.Background()
	a, url := authority(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "c.yaml")
	text := strings.ReplaceAll(littleConfig, "%DIR%", filepath.Join(dir, "data"))
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	code, err := a.Code("H1", "box-1", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (string, error) {
		var out bytes.Buffer
		err := enrolCommand(ctx, args, strings.NewReader(code.String()+"\n"), &out)
		return out.String(), err
	}
	for range 2 { // and once more: nothing changes
		if out, err := run("--config", file, "--url", url, "--code", "-"); err != nil || !strings.Contains(out, "H1/box-1") {
			t.Fatal(out, err)
		}
		c, err := config.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		if more, err := c.CheckFiles(); err != nil || len(more) != 0 {
			t.Error(more, err)
		}
		if _, err := (enrol.Files{CA: c.Fleet.CAFile, Cert: c.Fleet.CertFile, Key: c.Fleet.KeyFile}).Pair(); err != nil || c.Fleet.Box != "box-1" || c.Fleet.CAURL != url {
			t.Error(c.Fleet, err)
		}
		if got := certificates(c); len(got) != 1 || got[0].Name != "fleet" {
			t.Error(got)
		}
	}
	data, err := os.ReadFile(file)
	if err != nil || !strings.HasPrefix(string(data), text) {
		t.Errorf("the site's own text was changed: %s %v", data, err)
	}
	if old, err := os.ReadFile(file + ".before-enrol"); err != nil || string(old) != text {
		t.Error("the old file is not kept", err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o644 {
		t.Error("the mode of the file changed", info.Mode(), err)
	}
	// Another box with the same code reads what to do.
	other := filepath.Join(dir, "other.yaml")
	if err := os.WriteFile(other, []byte(strings.ReplaceAll(littleConfig, "%DIR%", filepath.Join(dir, "data2"))), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := run("--config", other, "--url", url, "--code", code.String()); err == nil || !strings.Contains(err.Error(), "payfleet ca revoke box-1") || !strings.Contains(err.Error(), "吊销") {
		t.Error(err)
	}
	if _, err := run("--config", other, "--url", url, "--code", strings.Replace(code.String(), "-", "-X", 1)); !errors.Is(err, fleet.ErrCode) {
		t.Error(err)
	}
	for _, args := range [][]string{{}, {"--config", other}, {"--config", other, "--code", "x"}, {"--config", other, "--accept", "a", "--request", "b"}, {"--config", other, "x"}} {
		if _, err := run(args...); !errors.Is(err, errUsage) {
			t.Errorf("%v: %v", args, err)
		}
	}
}

// TestEnrolByFile is the way by USB stick; with a key of its own making, and
// with one that systemd keeps, which then lies nowhere else.
func TestEnrolByFile(t *testing.T) {
	for key, keys := range map[string]int{"": 1, "credential:fleet.key": 0} {
		dir := enrolByFile(t, key)
		found, err := filepath.Glob(filepath.Join(dir, "data", "fleet", "*key*"))
		if err != nil || len(found) != keys {
			t.Error(key, found, err)
		}
	}
}

func enrolByFile(t *testing.T, key string) (dir string) {
	a, _ := authority(t)
	dir = t.TempDir()
	file, ask, answer := filepath.Join(dir, "c.yaml"), filepath.Join(dir, "ask.json"), filepath.Join(dir, "answer.json")
	text := strings.ReplaceAll(littleConfig, "%DIR%", filepath.Join(dir, "data"))
	if key != "" {
		text += "fleet: {key_file: \"" + key + "\"}\n"
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(k)
		if err == nil {
			t.Setenv("CREDENTIALS_DIRECTORY", t.TempDir())
			err = os.WriteFile(filepath.Join(os.Getenv("CREDENTIALS_DIRECTORY"), "fleet.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := enrolCommand(context.Background(), []string{"--config", file, "--request", ask, "--site", "H1", "--box", "box-1"}, nil, &out); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(ask)
	if err != nil {
		t.Fatal(err)
	}
	var q fleet.EnrolRequest
	if err := fleet.Unmarshal(data, &q); err != nil {
		t.Fatal(err)
	}
	e, err := a.Sign(q, "H1", "box-1")
	if err != nil {
		t.Fatal(err)
	}
	if data, err = json.Marshal(e); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(answer, data, 0o600); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	if err := enrolCommand(context.Background(), []string{"--config", file, "--accept", answer}, nil, &out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), printText(a.Fingerprint())) {
		t.Error("no fingerprint to compare:", out.String())
	}
	c, err := config.Load(file)
	if err != nil || c.Fleet.Box != "box-1" || key != "" && c.Fleet.KeyFile != key {
		t.Error(c.Fleet, err)
	}
	if _, err := (enrol.Files{CA: c.Fleet.CAFile, Cert: c.Fleet.CertFile, Key: c.Fleet.KeyFile}).Pair(); err != nil {
		t.Error(err)
	}
	return dir
}
