package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"payagent/agent/config"
)

// TestCredentialsAreLookedAt: in the service a credential must be there, beside
// it nothing can be said; keys of certificates are like the others.
func TestCredentialsAreLookedAt(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "there"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	look := func(token, key string) ([]config.Warning, error) {
		return config.Config{Merchants: []config.Merchant{{Profile: "m", TokenFile: token}}, Platforms: []config.Platform{{Name: "p", ClientKey: key}}}.CheckFiles()
	}
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	if list, err := look("credential:there", ""); err != nil || len(list) != 1 || list[0].Code != "credential_unseen" {
		t.Error(list, err)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	if list, err := look("credential:there", ""); err != nil || len(list) != 0 {
		t.Error(list, err)
	}
	if _, err := look("credential:gone", ""); err == nil || !strings.Contains(err.Error(), "merchants[0].token_file") {
		t.Error(err)
	}
	if list, err := look("", "credential:there"); err != nil || len(list) != 0 {
		t.Error(list, err)
	}
	if _, err := look("", "credential:gone"); err == nil || !strings.Contains(err.Error(), "platforms[0].client_key") {
		t.Error(err)
	}
}
