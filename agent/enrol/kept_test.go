package enrol_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"payagent/agent/enrol"
)

// TestRenewKept: a key that systemd keeps, closed with the TPM, is kept by
// renewals: the certificate is a new one each time, and nothing of the key is
// written anywhere.
func TestRenewKept(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	o := w.options(t, w.code(t, "H1", "box-1"))
	mustEnrol(t, o)
	credentials, dir := t.TempDir(), filepath.Dir(o.Files.Key)
	if err := os.Rename(o.Files.Key, filepath.Join(credentials, "fleet.key")); err != nil {
		t.Fatal(err)
	}
	f := o.Files
	f.Key = "credential:fleet.key"
	r := &enrol.Renewer{Files: f, URL: w.url, Now: w.time.now, Logger: slog.New(slog.DiscardHandler)}
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	if _, err := r.Renew(ctx, false); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Error("renewed without the key", err)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", credentials)
	secret, err := os.ReadFile(filepath.Join(credentials, "fleet.key"))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		before, err := f.Pair()
		if err != nil {
			t.Fatal(err)
		}
		w.time.set(w.time.now().Add(250 * day))
		if got, err := r.Renew(ctx, true); err != nil || !got.New {
			t.Fatal("not renewed", got, err)
		}
		after, err := f.Pair()
		if err != nil || after.Leaf.Equal(before.Leaf) || !after.Leaf.NotAfter.After(before.Leaf.NotAfter) {
			t.Fatal("the certificate is not a new one", err, before.Leaf.NotAfter, after.Leaf.NotAfter)
		}
	}
	// A lost answer: the authority gives the same certificate again.
	old, err := os.ReadFile(f.Cert)
	if err != nil {
		t.Fatal(err)
	}
	w.time.set(w.time.now().Add(250 * day))
	if _, err := r.Renew(ctx, true); err != nil {
		t.Fatal(err)
	}
	lost, err := f.Current()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.Cert, old, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Renew(ctx, true); err != nil {
		t.Fatal(err)
	}
	if again, err := f.Current(); err != nil || !again.Equal(lost) {
		t.Error("a lost answer made one more certificate", err)
	}
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if data, err := os.ReadFile(filepath.Join(dir, e.Name())); err != nil || bytes.Contains(data, bytes.TrimSpace(secret)) || bytes.Contains(data, []byte("PRIVATE KEY")) {
			t.Error("a key lies in", e.Name(), err)
		}
	}
}
