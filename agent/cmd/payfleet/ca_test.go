package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"payagent/agent/enrol"
	"payagent/agent/fleet"
	"payagent/agent/fleet/keyring"
)

// fleetRun runs payfleet and gives what it printed.
func fleetRun(args ...string) (string, error) {
	var out, errs bytes.Buffer
	err := command(context.Background(), args, console{strings.NewReader(""), &out, &errs, func(string) string { return "" }})
	return out.String(), err
}

// TestAuthorityCommands goes the way of an administrator: keys, the
// authority, a server, a program, a code, a box by USB, and its end.
func TestAuthorityCommands(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	must := func(args ...string) string {
		t.Helper()
		out, err := fleetRun(args...)
		if err != nil {
			t.Fatalf("payfleet %v: %v", args, err)
		}
		return out
	}
	if err := os.WriteFile(at("pw"), []byte("a long passphrase"), 0o600); err != nil {
		t.Fatal(err)
	}
	line := must("key", "new", "--file", at("ops.key"), "--id", "ops", "--roles", "operate", "--passphrase-file", at("pw"))
	if got := must("key", "show", "--file", at("ops.key")); !strings.Contains(line, got) {
		t.Errorf("%q %q", line, got)
	}
	if list, err := keyring.Load(at("ops.key"), func() (string, error) { return "a long passphrase", nil }); err != nil || list[0].ID != "ops" {
		t.Error(list, err)
	}
	must("ca", "init", "--dir", at("ca"), "--site", "H1,H2", "--broker", "mqtts://broker.hospital.example:8883", "--domain", "hospital.example", "--keys", at("ops.key"))
	told := must("ca", "settings", "--dir", at("ca"), "--ca-url", "https://ca.hospital.example:8443")
	if !strings.Contains(told, `"ops"`) || !strings.Contains(told, "ca.hospital.example") || !strings.Contains(told, `"hub"`) {
		t.Error(told)
	}
	must("ca", "server", "--dir", at("ca"), "--out", at("broker"), "broker.hospital.example", "10.1.2.3")
	must("ca", "client", "--dir", at("ca"), "--out", at("hub"), "hub")
	must("ca", "client", "--dir", at("ca"), "--out", at("hub"), "hub") // renewed
	must("relay", "key", "--key-file", at("relay.key"))
	for _, name := range []string{"ops", "relay"} { // keys of another kind lie there
		before, err := os.ReadFile(at(name + ".key"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = fleetRun("ca", "client", "--dir", at("ca"), "--out", dir, name)
		if after, _ := os.ReadFile(at(name + ".key")); !errors.Is(err, errUsage) || !bytes.Equal(before, after) {
			t.Errorf("the key %s was written over: %v", name, err)
		}
	}
	if _, err := fleetRun("ca", "client", "--dir", at("ca"), "--out", at("ca"), "authority"); !errors.Is(err, errUsage) {
		t.Error("the authority's own key may be written over:", err)
	}
	for _, name := range []string{"broker/broker.hospital.example.key", "broker/broker.hospital.example.pem", "broker/ca.pem", "broker/crl.pem", "hub/hub.key"} {
		if info, err := os.Stat(at(name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Error(name, err)
		}
	}
	out := must("ca", "code", "--dir", at("ca"), "--site", "H1", "--box", "box-1")
	if _, err := fleet.ParseCode(regexp.MustCompile(`[0-9A-Z]{5}(-[0-9A-Z]{5}){10}`).FindString(out)); err != nil || !strings.Contains(out, "--url https://ca.hospital.example:8443") {
		t.Error(out, err)
	}
	until := func(text string, valid time.Duration) bool {
		for _, at := range []time.Time{time.Now().Add(valid), time.Now().Add(valid - 2*time.Minute), time.Now().Add(valid - time.Minute)} {
			if strings.Contains(text, at.Format("2006-01-02 15:04")) {
				return true
			}
		}
		return false
	}
	if !until(out, 24*time.Hour) {
		t.Error("another end of the code:", out)
	}
	ask, err := enrol.Request(enrol.InFolder(at("box")), "H2", "box-2")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at("ask.json"), ask, 0o600); err != nil {
		t.Fatal(err)
	}
	must("ca", "sign", "--dir", at("ca"), "--in", at("ask.json"), "--out", at("answer.json"))
	data, err := os.ReadFile(at("answer.json"))
	if err != nil {
		t.Fatal(err)
	}
	var e fleet.Enrolled
	if err := json.Unmarshal(data, &e); err != nil || e.Settings.Box != "box-2" || e.Settings.Site != "H2" || len(e.Settings.Keys) != 1 {
		t.Error(e, err)
	}
	if out := must("ca", "swap", "--dir", at("ca"), "--site", "H2", "box-2"); !strings.Contains(out, "--url https://ca.hospital.example:8443 --code ") || !until(out, time.Hour) {
		t.Error(out)
	}
	if out := must("ca", "swap", "--dir", at("ca"), "--site", "H2", "--valid", "3h", "box-2"); !until(out, 3*time.Hour) {
		t.Error(out)
	}
	if _, err := fleetRun("ca", "sign", "--dir", at("ca"), "--in", at("ask.json"), "--out", at("x"), "--box", "other"); err == nil || !strings.Contains(err.Error(), "wrong_box") {
		t.Error(err)
	}
	// Once is not enough to stop a box, and it is told.
	if _, err := fleetRun("ca", "revoke", "--dir", at("ca"), "--site", "H2", "box-2", "--stop", "box-3"); !errors.Is(err, errUsage) {
		t.Error(err)
	}
	if out := must("ca", "revoke", "--dir", at("ca"), "box-2", "--reason", "stolen"); !strings.Contains(out, at("ca")+"/crl.pem") || !strings.Contains(out, "ca revoke --dir "+at("ca")+" box-2 --stop box-2") ||
		!strings.Contains(out, "仍能收款") || !strings.Contains(out, "still takes payments") {
		t.Error(out)
	}
	if out := must("ca", "list", "--dir", at("ca")); strings.Contains(out, "generation") {
		t.Error(out)
	}
	if out := must("ca", "revoke", "--dir", at("ca"), "--site", "H2", "box-2", "--stop", "box-2"); !strings.Contains(out, "takes no payment any more") || !strings.Contains(out, "payfleet ca swap box-2") {
		t.Error(out)
	}
	if out := must("ca", "list", "--dir", at("ca")); !strings.Contains(out, "generation 2  已吊销 revoked") {
		t.Error(out)
	}
	out = must("ca", "list", "--dir", at("ca"))
	for _, want := range []string{"H2/box-2", "revoked", "stolen", "code H1/box-1", "broker.hospital.example", "client  hub"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in the list:\n%s", want, out)
		}
	}
	for _, args := range [][]string{{"ca", "x"}, {"ca", "list"}, {"ca", "init", "--dir", at("y"), "--site", "H1"}, {"ca", "revoke", "--dir", at("ca")}, {"ca", "serve", "--dir", at("ca")},
		{"ca", "server", "--dir", at("ca"), "a"}, {"key", "new"}, {"key", "x", "--file", "y"}, {"ca", "list", "--dir", at("ca"), "--what"}} {
		if _, err := fleetRun(args...); !errors.Is(err, errUsage) {
			t.Errorf("%v: %v", args, err)
		}
	}
	for _, args := range [][]string{{"ca"}, {"key"}, {"ca", "--help"}} {
		if out, err := fleetRun(args...); err != nil || !strings.Contains(out, "payfleet") {
			t.Error(args, err)
		}
	}
}
