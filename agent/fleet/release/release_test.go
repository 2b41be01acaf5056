package release_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/fleet/release"
)

func TestNew(t *testing.T) {
	dir := t.TempDir()
	here := filepath.Join(dir, "payagent-here")
	for path, args := range map[string][]string{here: {"payagent/agent/cmd/payagent"}, filepath.Join(dir, "keysdoc"): {"payagent/agent/config/keysdoc"}} {
		cmd := exec.CommandContext(t.Context(), "go", append([]string{"build", "-o", path}, args...)...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	now := time.Now()
	m, err := release.New(release.Terms{Version: "1.2.3", Base: "https://mirror.example/1.2.3"}, now, here)
	if err != nil {
		t.Fatal(err)
	}
	f, err := m.For(runtime.GOOS, runtime.GOARCH, false)
	data, rerr := os.ReadFile(here)
	if err != nil || rerr != nil || f.SHA256 != fleet.HashText(data) || f.Size != int64(len(data)) || f.URLs[0] != "https://mirror.example/1.2.3/payagent-here" {
		t.Error(f, err, rerr)
	}
	if !m.Expires.Equal(now.UTC().Truncate(time.Second).AddDate(0, 0, 90)) || m.Store != 1 {
		t.Error(m)
	}
	for _, bad := range []struct {
		terms release.Terms
		files []string
		want  string
	}{{release.Terms{Version: "1.2"}, []string{here}, "version"}, {release.Terms{Version: "1.2.3"}, nil, "0 files"},
		{release.Terms{Version: "1.2.3"}, []string{here, here}, "two files"}, {release.Terms{Version: "1.2.3"}, []string{filepath.Join(dir, "keysdoc")}, "keysdoc"},
		{release.Terms{Version: "1.2.3"}, []string{"release_test.go"}, "cannot tell"}, {release.Terms{Version: "1.2.3"}, []string{filepath.Join(dir, "none")}, "cannot read"},
		{release.Terms{Version: "1.2.3", Base: "http://plain"}, []string{here}, "https"}} {
		if _, err := release.New(bad.terms, now, bad.files...); err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("%v: %v", bad.terms, err)
		}
	}
}
