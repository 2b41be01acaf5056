package ca_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/fleet/ca"
)

// TestRevocations: a list that was exchanged counts at once; one that is
// missing, spoilt, or somebody else's is an error and lets nobody in.
func TestRevocations(t *testing.T) {
	a, dir := newAuthority(t)
	other, err := ca.Init(filepath.Join(t.TempDir(), "other"), "other", ca.Bounds{Sites: []string{"H1"}}, fleet.Settings{Broker: "mqtts://b:8883"}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	leaf := func(a *ca.Authority, name string) *x509.Certificate {
		t.Helper()
		_, i, err := a.Client(name)
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode([]byte(i.PEM))
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	one, two, foreign := leaf(a, "one"), leaf(a, "two"), leaf(other, "one")
	file, trusted := filepath.Join(dir, "copy.pem"), filepath.Join(dir, "authority.pem")
	put := func(lists ...*ca.Authority) {
		t.Helper()
		var all bytes.Buffer
		for _, a := range lists {
			data, err := a.CRL()
			if err != nil {
				t.Fatal(err)
			}
			all.Write(data)
		}
		if err := os.WriteFile(file, all.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := ca.OpenRevocations(file, trusted); err == nil {
		t.Error("a missing list was taken")
	}
	put(a)
	list, err := ca.OpenRevocations(file, trusted)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, c *x509.Certificate, want bool, problem string) {
		t.Helper()
		gone, err := list.Revoked(c)
		if problem == "" && (err != nil || gone != want) || problem != "" && (err == nil || !strings.Contains(err.Error(), problem)) {
			t.Errorf("%s: %v, %v", what, gone, err)
		}
	}
	check("nobody was revoked", one, false, "")
	if _, err := a.Revoke("one", "stolen"); err != nil {
		t.Fatal(err)
	}
	check("the copy is the old one", one, false, "")
	put(a)
	check("revoked", one, true, "")
	check("the other one", two, false, "")
	check("of an authority without a list", foreign, false, "holds no list of its authority")
	put(a, other)
	check("signed by a stranger", two, false, "signed by nobody")
	both := append(a.Certificate(), other.Certificate()...)
	if err := os.WriteFile(trusted, both, 0o600); err != nil {
		t.Fatal(err)
	}
	check("two authorities", one, true, "")
	check("the same name at the other", foreign, false, "")
	if err := os.WriteFile(file, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	check("a spoilt list", two, false, "holds no list in PEM")
	put(a, other)
	check("mended", two, false, "")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	check("the list is gone", two, false, "cannot read the list")
}
