package seal_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"payagent/agent/seal"
)

// TestCredential: what the service manager keeps is read from its folder, anew
// each time, whatever its mode; nothing else of that folder's neighbourhood is.
func TestCredential(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "fwc.token"), []byte("  secret\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	if _, _, err := seal.ReadSecret("credential:fwc.token"); !errors.Is(err, seal.ErrNotService) {
		t.Error(err)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	if got, shared, err := seal.ReadSecret("credential:fwc.token"); err != nil || shared || got.Reveal() != "secret" {
		t.Error(shared, err)
	}
	if got, err := seal.ReadKey("credential:fwc.token", true); err != nil || got.Reveal() != "secret" {
		t.Error(err)
	}
	for _, name := range []string{"credential:", "credential:../x", "credential:a/b", "credential:..", "credential:nothing"} {
		if _, _, err := seal.ReadSecret(name); err == nil {
			t.Errorf("%s was read", name)
		}
	}
}

// TestDPAPI: a file that Windows closed is opened there alone, and its content
// never stands in an error.
func TestDPAPI(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // the blobs here are none
	}
	for _, text := range []string{"dpapi:AAECAwQ=", "dpapi:!!CANARY!!", "dpapi:"} {
		path := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := seal.ReadSecret(path); err == nil || strings.Contains(err.Error(), "CANARY") || strings.Contains(err.Error(), "AAECAwQ") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
