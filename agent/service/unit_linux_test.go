package service

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"payagent/install"
)

// The unit of install/ is written with the program's and configuration's
// place, and is otherwise the same.
func TestUnit(t *testing.T) {
	got, err := unit(Options{Program: "/opt/pay+1/payagent", Config: "/etc/payagent/kiosk.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	const line = "ExecStart=/opt/pay+1/payagent run --config /etc/payagent/kiosk.yaml\n"
	stock := strings.Replace(got, line, "ExecStart=/usr/bin/payagent run --config /etc/payagent/payagent.yaml\n", 1)
	if !strings.Contains(got, line) || stock != install.Unit {
		t.Fatal(got)
	}
	for _, p := range []string{"", "payagent", "/opt/pay agent", "/opt/%h", "/opt/{{Name}}", "/opt/a\nUser=root", `/opt/"`, "/opt/$HOME", "C:\\x"} {
		for _, o := range []Options{{Program: p, Config: "/c"}, {Program: "/p", Config: p}, {Program: "/p", Config: "/c", Paths: []string{p}}, {Program: "/p", Config: "/c", Devices: []string{p}}} {
			if _, err := unit(o); err == nil {
				t.Errorf("%q is taken: %+v", p, o)
			}
		}
	}
	// The library reads braces as its own language, and fails in the middle.
	if strings.Contains(install.Unit, "{{") {
		t.Error("the unit holds a word of the library's templates")
	}
}

// What the service needs of the unit, and what must not be in it.
func TestUnitSays(t *testing.T) {
	for _, want := range []string{"Type=notify", "NotifyAccess=main", "Restart=always", "StartLimitIntervalSec=0", "WatchdogSec=30", "User=payagent",
		"StateDirectory=payagent", "RuntimeDirectory=payagent", "ConfigurationDirectory=payagent", "LimitCORE=0", "DevicePolicy=closed",
		"DeviceAllow=char-hidraw rw", "DeviceAllow=char-usb_device rw", "DeviceAllow=char-input rw", "DeviceAllow=char-ttyACM rw", "DeviceAllow=char-ttyUSB rw",
		"DeviceAllow=char-alsa rw", "DeviceAllow=char-gpiochip rw", "DeviceAllow=char-i2c rw", "DeviceAllow=char-spi rw",
		"RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK", "WantedBy=multi-user.target"} {
		if !strings.Contains(install.Unit, "\n"+want+"\n") {
			t.Errorf("the unit lacks %s", want)
		}
	}
	for line := range strings.Lines(install.Unit) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		for _, bad := range []string{"network", "time-sync", "nss-lookup", "DynamicUser", "PrivateDevices=yes", "ProcSubset"} {
			if strings.Contains(line, bad) {
				t.Errorf("the unit says %s", line)
			}
		}
	}
}

func TestPaths(t *testing.T) {
	for name, x := range map[string]struct {
		o    Options
		want []string
	}{
		"standard": {Options{Paths: []string{"/var/lib/payagent", "/var/log/payagent", "/var/lib/payagent/data"},
			Devices: []string{"/dev/ttyACM0", "/dev/ttyUSB10", "/dev/hidraw3", "/dev/serial/by-id/x", "/dev/payagent/tty-1", "/dev/i2c-1", "/dev/spidev0.0", "/dev/gpiochip0", "/dev/ttyAMA0"}}, nil},
		"data elsewhere":  {Options{Paths: []string{"/data/pay", "/var/lib/payagent2"}}, []string{"ReadWritePaths=/data/pay", "ReadWritePaths=/var/lib/payagent2"}},
		"a board's ports": {Options{Devices: []string{"/dev/ttymxc2", "/dev/ttyACM0"}}, []string{"DeviceAllow=/dev/ttymxc2 rw"}},
	} {
		got := paths(x.o)
		if len(x.want) == 0 && got != "" || strings.Count(got, "=") != len(x.want) {
			t.Errorf("%s: %q", name, got)
		}
		for _, w := range x.want {
			if !strings.Contains(got, "\n"+w+"\n") {
				t.Errorf("%s: %q lacks %s", name, got, w)
			}
		}
	}
}

func TestHidden(t *testing.T) {
	for path, want := range map[string]bool{"/home/a/payagent": true, "/root/payagent": true, "/tmp/payagent": true, "/usr/bin/payagent": false,
		"/opt/payagent": false, "/homes/payagent": false, "/var/tmp/x": true, "/": false} {
		if hidden(path) != want {
			t.Error(path)
		}
	}
}

// A file is put in place whole, with its mode, over an older one.
func TestPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b")
	for _, text := range []string{"one", "two"} {
		if err := place(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		info, serr := os.Stat(path)
		if err != nil || serr != nil || string(data) != text || info.Mode().Perm() != 0o755 {
			t.Fatal(string(data), err, serr)
		}
	}
	if list, err := os.ReadDir(filepath.Dir(path)); err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	if err := place(filepath.Join(path, "c"), nil, 0o644); err == nil || !strings.HasPrefix(err.Error(), "cannot install") {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if p, err := settle("/opt/payagent", &out); err != nil || p != "/opt/payagent" || out.Len() > 0 {
		t.Fatal(p, err, out.String())
	}
}

func TestReadShow(t *testing.T) {
	for name, x := range map[string]struct {
		text string
		want Status
	}{
		"running": {"Result=success\nNRestarts=2\nMainPID=77\nStatusText=就绪 ready; a=b\nLoadState=loaded\nActiveState=active\nSubState=running\nFragmentPath=/lib/x\nUnitFileState=enabled\n",
			Status{State: Running, Enabled: true, PID: 77, Restarts: 2, Text: "就绪 ready; a=b", Result: "success", Unit: "/lib/x"}},
		"not there":     {"LoadState=not-found\nActiveState=inactive\nMainPID=0\n", Status{State: Missing}},
		"starts anew":   {"LoadState=loaded\nActiveState=activating\nSubState=auto-restart\nResult=watchdog\nUnitFileState=disabled\n", Status{State: Starting, Result: "watchdog"}},
		"failed":        {"LoadState=loaded\nActiveState=failed\nResult=exit-code\n", Status{State: Failed, Result: "exit-code"}},
		"stopped":       {"LoadState=loaded\nActiveState=inactive\n", Status{State: Stopped}},
		"stopping":      {"LoadState=loaded\nActiveState=deactivating\n", Status{State: Stopped}},
		"masked":        {"LoadState=masked\nActiveState=inactive\n", Status{State: Missing}},
		"reloading":     {"LoadState=loaded\nActiveState=reloading\n", Status{State: Running}},
		"says nonsense": {"x\n=\nMainPID=y\n", Status{State: Stopped}},
	} {
		if got := readShow(x.text); got != x.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// asUnit writes a unit that systemd-analyze can look at: the program is one
// that exists.
func asUnit(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "payagent.service")
	text = strings.Replace(text, "ExecStart=/usr/bin/payagent ", "ExecStart=/bin/true ", 1)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func analyze(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command("systemd-analyze", args...)
	cmd.Env = append(os.Environ(), "SYSTEMD_LOG_LEVEL=warning", "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	if _, ended := err.(*exec.ExitError); err != nil && !ended {
		t.Fatal("cannot run systemd-analyze; make setup installs it:", err)
	}
	return string(out), err
}

// systemd itself finds nothing wrong with the unit, and judges its exposure to
// be at most 2.0 (SEC-04 of the features, and stricter); the same unit with a
// mistake, or without what protects it, is found out.
func TestSystemdAnalyze(t *testing.T) {
	good := asUnit(t, install.Unit)
	if out, err := analyze(t, "verify", "--man=no", good); err != nil || strings.TrimSpace(out) != "" {
		t.Errorf("verify: %v\n%s", err, out)
	}
	if out, err := analyze(t, "security", "--offline=true", "--no-pager", "--threshold=20", good); err != nil {
		t.Errorf("security: %v\n%s", err, out)
	}
	typo := asUnit(t, strings.Replace(install.Unit, "WatchdogSec=30", "WatchdogSeconds=30", 1))
	if out, _ := analyze(t, "verify", "--man=no", typo); !strings.Contains(out, "WatchdogSeconds") {
		t.Error("a wrong key is not found:", out)
	}
	for _, key := range []string{"CapabilityBoundingSet=\n", "SystemCallFilter=@system-service\nSystemCallFilter=~@privileged @resources\n"} {
		weak := strings.Replace(install.Unit, key, "", 1)
		if weak == install.Unit {
			t.Fatalf("the unit has no %q", key)
		}
		if out, err := analyze(t, "security", "--offline=true", "--no-pager", "--threshold=20", asUnit(t, weak)); err == nil {
			t.Errorf("without %q the unit passes:\n%s", key, out[max(0, len(out)-200):])
		}
	}
}
