package release_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/fleet/release"
)

func TestNew(t *testing.T) {
	dir := t.TempDir()
	arm := filepath.Join(dir, "payagent-linux-arm64")
	for path, args := range map[string][]string{arm: {"payagent/agent/cmd/payagent"}, filepath.Join(dir, "keysdoc"): {"payagent/agent/config/keysdoc"}} {
		cmd := exec.CommandContext(t.Context(), "go", append([]string{"build", "-trimpath", "-ldflags=-s -w", "-o", path}, args...)...)
		cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	now := time.Now()
	m, err := release.New(release.Terms{Version: "1.2.3", Base: "https://mirror.example/1.2.3"}, now, arm)
	if err != nil {
		t.Fatal(err)
	}
	f, err := m.For("linux", "arm64", false)
	data, rerr := os.ReadFile(arm)
	if err != nil || rerr != nil || f.SHA256 != fleet.HashText(data) || f.Size != int64(len(data)) || f.URLs[0] != "https://mirror.example/1.2.3/payagent-linux-arm64" {
		t.Error(f, err, rerr)
	}
	if !m.Expires.Equal(now.UTC().Truncate(time.Second).AddDate(0, 0, 90)) || m.Store != 1 {
		t.Error(m)
	}
	for _, bad := range []struct {
		terms release.Terms
		files []string
		want  string
	}{{release.Terms{Version: "1.2"}, []string{arm}, "version"}, {release.Terms{Version: "1.2.3"}, nil, "0 files"},
		{release.Terms{Version: "1.2.3"}, []string{arm, arm}, "two files"}, {release.Terms{Version: "1.2.3"}, []string{filepath.Join(dir, "keysdoc")}, "keysdoc"},
		{release.Terms{Version: "1.2.3"}, []string{"release_test.go"}, "cannot tell"}, {release.Terms{Version: "1.2.3"}, []string{filepath.Join(dir, "none")}, "cannot read"},
		{release.Terms{Version: "1.2.3", Base: "http://plain"}, []string{arm}, "https"}} {
		if _, err := release.New(bad.terms, now, bad.files...); err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("%v: %v", bad.terms, err)
		}
	}
}
