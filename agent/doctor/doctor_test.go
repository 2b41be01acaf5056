package doctor

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"payagent/agent/config"
	"payagent/agent/words"
)

var update = flag.Bool("update", false, "write docs/doctor.md's table anew")

var shanghai = time.FixedZone("CST", 8*3600)

// noon is when the tests play.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, shanghai)

// box is a box that is well, to be broken.
type box struct {
	*Subject
	files  map[string]string // what Read gives
	stats  map[string]File
	runs   map[string]string // "program args" → output; missing: fails
	units  map[string]string
	volume Volume
	leaf   *x509.Certificate
	dial   func(address string) (net.Conn, error)
	store  Store
	dev    []Device
}

// deaf gives a connection whose other side has gone.
func deaf() net.Conn {
	a, b := net.Pipe()
	_ = b.Close()
	return a
}

func certificateFor(t *testing.T, from, to time.Time) (cert, key string, leaf *x509.Certificate) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "box-1"}, NotBefore: from, NotAfter: to, IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"pay.example"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	if leaf, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")
	for path, b := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key, leaf
}

const wellConfig = `
site: {hospital_id: "H0001", name: "x"}
data_dir: /var/lib/payagent
log: {file: /var/log/payagent/payagent.log}
door: {listen: ["127.0.0.1:8780"], origins: ["https://his.example"], tls: {cert: CERT, key: KEY}}
platforms:
  - {name: zhifu, driver: fwc, url: "https://pay.example/x", proxy: {kind: connect, address: "10.0.0.5:3128"}}
  - {name: direct, driver: fwc, url: "https://direct.example:9001/x"}
merchants: [{profile: a, platform: zhifu, merch_code: "1"}, {profile: b, platform: direct, merch_code: "1"}]
routes: [{merchant: a}]
his: {webhook: {url: "https://his.example/e", secret_file: KEY}}
fleet: {broker: "mqtts://10.0.0.6:8883", site: H1, box: box-1, ca_file: CERT, cert_file: CERT, key_file: KEY, ca_url: "https://ca:8443"}
tills:
  - {name: w1, kind: counter, device_no: "W1", scanners: [{driver: serial, options: {path: /dev/ttyACM0}}]}
`

// well makes a box at which every check is ok.
func well(t *testing.T) *box {
	t.Helper()
	cert, key, leaf := certificateFor(t, noon.Add(-24*time.Hour), noon.Add(300*24*time.Hour))
	c, err := config.Parse("c.yaml", []byte(strings.NewReplacer("CERT", cert, "KEY", key).Replace(wellConfig)))
	if err == nil {
		err = c.Validate()
	}
	if err != nil {
		t.Fatal(err)
	}
	b := &box{leaf: leaf, volume: Volume{Type: "ext4", Device: "/dev/mmcblk0p2", Free: 20 << 30, Total: 30 << 30}, store: Store{Exists: true, InUse: true},
		files: map[string]string{"/sys/class/rtc/rtc0/since_epoch": "1795320000\n", "/proc/sys/kernel/core_pattern": "|/usr/lib/systemd/systemd-coredump %P",
			"/sys/bus/usb/devices/1-1/power/control": "on\n", "/proc/77/limits": "Limit  Soft\nMax core file size        0  0  bytes\n"},
		stats: map[string]File{"/var/lib/payagent": {Mode: fs.ModeDir | 0o700, UID: 900, GID: 900}, "/var/lib/payagent/tokens.json": {Mode: 0o600},
			"/run/dbus/system_bus_socket": {}, "/run/systemd/inhibit": {Mode: fs.ModeDir}, "/var/log/payagent/payagent.log": {Size: 1000}, "/dev/ttyACM0": {Mode: 0o660, GID: 900}},
		runs: map[string]string{"timedatectl show --value -p NTPSynchronized": "yes\n", "systemctl is-active ModemManager": "inactive\n",
			"systemd-analyze security --no-pager payagent.service": "→ Overall exposure level for payagent.service: 1.4 OK :-)\n"},
		units: map[string]string{"LoadState": "loaded", "UnitFileState": "enabled", "User": "payagent", "MainPID": "77"},
		dev:   []Device{{Name: "w1-scanner1", Scanner: true, Present: true, Class: "serial", Driver: "serial", Node: "/dev/ttyACM0", Port: "1-1:1.0"}, {Name: "price", Present: true, Driver: "pole"}}}
	b.dial = func(string) (net.Conn, error) { return deaf(), nil }
	b.files["/sys/class/rtc/rtc0/since_epoch"] = json.Number(big.NewInt(noon.Unix()).String()).String()
	look := func(context.Context) (*tls.ConnectionState, error) {
		return &tls.ConnectionState{Version: tls.VersionTLS13, PeerCertificates: []*x509.Certificate{b.leaf}}, nil
	}
	ask := func(context.Context) (time.Time, error) { return noon.Add(3 * time.Second), nil }
	b.Subject = &Subject{Version: "v1", File: "c.yaml", Config: c, Running: true, Unit: "payagent",
		Ready:     func(context.Context) (bool, []words.Text, error) { return true, nil, nil },
		Store:     func() (Store, error) { return b.store, nil },
		Devices:   func(context.Context) ([]Device, error) { return b.dev, nil },
		Platforms: map[string]Way{"zhifu": {Look: look, Ask: ask}, "direct": {Look: look, Ask: ask}}, HIS: &Way{Look: look}}
	b.System = System{OS: "linux", Arch: "arm64", Now: func() time.Time { return noon }, Built: noon.Add(-100 * 24 * time.Hour),
		Me:     func() User { return User{Name: "payagent", UID: 900, Groups: []int{900}} },
		Lookup: func(string) (User, error) { return User{Name: "payagent", UID: 900, Groups: []int{900}}, nil },
		Stat: func(p string) (File, error) {
			if f, ok := b.stats[p]; ok {
				return f, nil
			}
			return File{}, fs.ErrNotExist
		},
		Read: func(p string) ([]byte, error) {
			if s, ok := b.files[p]; ok {
				return []byte(s), nil
			}
			return nil, fs.ErrNotExist
		},
		List:    func(string) ([]string, error) { return []string{"payagent.log"}, nil },
		Access:  func(string) error { return nil },
		Volume:  func(string) (Volume, error) { return b.volume, nil },
		Sync:    func(string) (time.Duration, error) { return 4 * time.Millisecond, nil },
		Listen:  func(string) error { return errors.New("in use") },
		Resolve: func(context.Context, string) ([]string, error) { return []string{"10.1.1.1"}, nil },
		Dial:    func(_ context.Context, a string) (net.Conn, error) { return b.dial(a) },
		Links:   func() ([]string, error) { return []string{"10.9.8.7"}, nil },
		Machine: func() (string, string) { return "6.1.0-18-arm64", "aarch64" },
		Memory:  func() (int64, int64, error) { return 1 << 30, 512 << 20, nil },
		Run: func(_ context.Context, name string, args ...string) (string, error) {
			if name == "systemctl" && len(args) == 5 && args[0] == "show" {
				return b.units[args[3]] + "\n", nil
			}
			out, ok := b.runs[strings.Join(append([]string{name}, args...), " ")]
			if !ok {
				return "", errors.New("no such program")
			}
			return out, nil
		}}
	return b
}

func (b *box) run(t *testing.T, only string) Result {
	t.Helper()
	r, ok := Run(context.Background(), b.Subject, only)
	if !ok {
		t.Fatalf("nothing is called %q", only)
	}
	return r
}

func levels(r Result, id string) (list []string) {
	for _, f := range r.Findings {
		if f.ID == id {
			list = append(list, f.Level)
		}
	}
	return list
}

// TestCredentialUnseen: what only the service can see is no warning beside it.
func TestCredentialUnseen(t *testing.T) {
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	b := well(t)
	b.Config.Merchants[0].TokenFile = "credential:x"
	if got := levels(b.run(t, "config.files"), "config.files"); !slices.Equal(got, []string{Skipped}) {
		t.Error(got)
	}
}

// TestWell: a good box gets no warning, and every check says something.
func TestWell(t *testing.T) {
	b := well(t)
	ca, addr := broker(t, b, true)
	b.Config.Fleet.CAFile, b.Config.Fleet.Broker = ca, "mqtts://"+addr
	r := b.run(t, "")
	for _, c := range Checks() {
		got := levels(r, c.ID)
		if len(got) == 0 {
			t.Errorf("%s said nothing", c.ID)
		}
	}
	for _, f := range r.Findings {
		if f.Level == Warn || f.Level == Fail {
			t.Errorf("%s %s: %s", f.ID, f.Level, f.Found.EN)
		}
		if f.Found.ZH == "" || f.Found.EN == "" {
			t.Errorf("%s says nothing in one language: %+v", f.ID, f.Found)
		}
	}
	if r.ExitCode() != 0 || r.Worst != OK || len(r.Broken()) != 0 {
		t.Error(r.Worst, r.ExitCode(), r.Broken())
	}
	if n := len(Checks()); n < 25 {
		t.Errorf("only %d checks", n)
	}
}

// TestBroken breaks one thing at a time: the check that looks at it says so,
// with its cure in both languages, and no check panics.
func TestBroken(t *testing.T) {
	bad := errors.New("broken here")
	cases := []struct {
		name, id, level string
		do              func(t *testing.T, b *box)
	}{
		{"configuration kept aside", "config.valid", Warn, func(_ *testing.T, b *box) { b.Aside = "7" }},
		{"config refused", "config.valid", Fail, func(_ *testing.T, b *box) { b.ConfigErr = bad }},
		{"file missing", "config.files", Fail, func(_ *testing.T, b *box) { b.Config.Merchants[0].TokenFile = "/none" }},
		{"secret open", "config.files", Warn, func(t *testing.T, b *box) { must(t, os.Chmod(b.Config.Door.TLS.Key, 0o644)) }},
		{"driver's key open", "config.files", Warn, func(_ *testing.T, b *box) {
			b.Secrets = []string{"/etc/key"}
			b.stats["/etc/key"] = File{Mode: 0o640}
		}},
		{"test mode", "config.warnings", Warn, func(_ *testing.T, b *box) { b.Config.Site.Test = true }},
		{"never started", "tokens.exist", Warn, func(_ *testing.T, b *box) { delete(b.stats, "/var/lib/payagent/tokens.json"); b.Running = false }},
		{"no tokens", "tokens.exist", Fail, func(_ *testing.T, b *box) { delete(b.stats, "/var/lib/payagent/tokens.json") }},
		{"tokens open", "tokens.exist", Warn, func(_ *testing.T, b *box) { b.stats["/var/lib/payagent/tokens.json"] = File{Mode: 0o644} }},
		{"door cert soon", "certificates.listeners", Warn, func(t *testing.T, b *box) {
			b.Config.Door.TLS.Cert, b.Config.Door.TLS.Key, _ = certificateFor(t, noon.Add(-time.Hour), noon.Add(20*24*time.Hour))
		}},
		{"door cert over", "certificates.listeners", Fail, func(t *testing.T, b *box) {
			b.Config.Door.TLS.Cert, b.Config.Door.TLS.Key, _ = certificateFor(t, noon.Add(-48*time.Hour), noon.Add(-24*time.Hour))
		}},
		{"fleet cert of 2030", "certificates.fleet", Fail, func(t *testing.T, b *box) {
			b.Config.Fleet.CertFile, b.Config.Fleet.KeyFile, _ = certificateFor(t, noon.Add(4*365*24*time.Hour), noon.Add(5*365*24*time.Hour))
		}},
		{"fleet key of another", "certificates.fleet", Fail, func(t *testing.T, b *box) {
			_, b.Config.Fleet.KeyFile, _ = certificateFor(t, noon.Add(-time.Hour), noon.Add(900*time.Hour))
		}},
		{"fleet key kept by systemd", "certificates.fleet", Skipped, func(t *testing.T, b *box) {
			t.Setenv("CREDENTIALS_DIRECTORY", "")
			b.Config.Fleet.KeyFile = "credential:fleet.key"
		}},
		{"no renewal", "certificates.fleet", Warn, func(_ *testing.T, b *box) { b.Config.Fleet.CAURL = "" }},
		{"network disk", "disk.local", Fail, func(_ *testing.T, b *box) { b.volume.Type = "nfs4" }},
		{"remote drive", "disk.local", Fail, func(_ *testing.T, b *box) { b.volume.Remote = true }},
		{"in memory", "disk.local", Fail, func(_ *testing.T, b *box) { b.volume.Type = "tmpfs" }},
		{"FAT", "disk.local", Warn, func(_ *testing.T, b *box) { b.volume.Type = "vfat" }},
		{"read-only", "disk.writable", Fail, func(_ *testing.T, b *box) { b.System.Access = func(string) error { return fs.ErrPermission } }},
		{"open folder", "disk.writable", Warn, func(_ *testing.T, b *box) {
			b.stats["/var/lib/payagent"] = File{Mode: fs.ModeDir | 0o777, UID: 900}
		}},
		{"no folder", "disk.writable", Warn, func(_ *testing.T, b *box) { delete(b.stats, "/var/lib/payagent") }},
		{"root's folder", "disk.writable", Fail, func(_ *testing.T, b *box) {
			b.stats["/var/lib/payagent"] = File{Mode: fs.ModeDir | 0o700}
			b.System.Me = func() User { return User{Name: "root"} }
		}},
		{"full", "disk.space", Fail, func(_ *testing.T, b *box) { b.volume.Free = 1 << 20 }},
		{"small", "disk.space", Warn, func(_ *testing.T, b *box) { b.volume.Free, b.volume.Total = 300<<20, 1<<30 }},
		{"slow", "disk.sync", Warn, func(_ *testing.T, b *box) {
			b.System.Sync = func(string) (time.Duration, error) { return 80 * time.Millisecond, nil }
		}},
		{"dying", "disk.sync", Warn, func(_ *testing.T, b *box) {
			b.System.Sync = func(string) (time.Duration, error) { return time.Second, nil }
		}},
		{"fast_commit in use", "disk.fast_commit", Fail, func(_ *testing.T, b *box) {
			b.System.Machine = func() (string, string) { return "5.15.20-generic", "aarch64" }
			b.files["/proc/fs/ext4/mmcblk0p2/fc_info"] = "fc stats:\n1734 commits\n3 ineligible\n"
		}},
		{"fast_commit unknown", "disk.fast_commit", Warn, func(_ *testing.T, b *box) {
			b.System.Machine = func() (string, string) { return "5.10.60", "aarch64" }
		}},
		{"damaged", "store.opens", Fail, func(_ *testing.T, b *box) { b.Store = func() (Store, error) { return Store{Exists: true}, bad } }},
		{"one write lost", "store.opens", Warn, func(_ *testing.T, b *box) { b.store.InUse, b.store.Fallback = false, true }},
		{"set aside", "store.aside", Warn, func(_ *testing.T, b *box) { b.store.Aside = []string{"orders.db.damaged-1"} }},
		{"log grown", "log.size", Warn, func(_ *testing.T, b *box) { b.stats["/var/log/payagent/payagent.log"] = File{Size: 1 << 40} }},
		{"no log folder", "log.size", Warn, func(_ *testing.T, b *box) {
			b.System.List = func(string) ([]string, error) { return nil, fs.ErrNotExist }
		}},
		{"update given up", "update.state", Warn, func(_ *testing.T, b *box) {
			b.Update = func() (words.Text, bool, error) { return say("退回", "given up"), false, nil }
		}},
		{"a program taken", "update.programs", Warn, func(_ *testing.T, b *box) {
			b.Programs = func() (words.Text, error) { return say("不在", "away"), nil }
		}},
		{"programs unseen", "update.programs", Warn, func(_ *testing.T, b *box) {
			b.Programs = func() (words.Text, error) { return words.Text{}, fs.ErrPermission }
		}},
		{"hung or double", "process.single", Fail, func(_ *testing.T, b *box) { b.Running = false }},
		{"stranger at the door", "process.single", Fail, func(_ *testing.T, b *box) { b.store.InUse = false }},
		{"not running", "process.ready", Warn, func(_ *testing.T, b *box) { b.Running = false }},
		{"not ready", "process.ready", Fail, func(_ *testing.T, b *box) {
			b.Ready = func(context.Context) (bool, []words.Text, error) {
				return false, []words.Text{say("磁盘", "disk")}, nil
			}
		}},
		{"port taken", "process.ports", Fail, func(_ *testing.T, b *box) { b.Running = false }},
		{"port not open", "process.ports", Fail, func(_ *testing.T, b *box) { b.System.Listen = func(string) error { return nil } }},
		{"cores on", "process.cores", Warn, func(_ *testing.T, b *box) {
			b.files["/proc/77/limits"] = "Max core file size        unlimited  unlimited  bytes\n"
		}},
		{"cores piped", "process.cores", Warn, func(_ *testing.T, b *box) { b.files["/proc/sys/kernel/core_pattern"] = "|/opt/collect" }},
		{"no unit", "service.installed", Warn, func(_ *testing.T, b *box) { b.units["LoadState"] = "not-found" }},
		{"not enabled", "service.enabled", Warn, func(_ *testing.T, b *box) { b.units["UnitFileState"] = "disabled" }},
		{"as root", "service.user", Warn, func(_ *testing.T, b *box) { b.units["User"] = "" }},
		{"no user", "service.user", Fail, func(_ *testing.T, b *box) {
			b.System.Lookup = func(string) (User, error) { return User{}, fs.ErrNotExist }
		}},
		{"score", "service.score", Warn, func(_ *testing.T, b *box) {
			b.runs["systemd-analyze security --no-pager payagent.service"] = "→ Overall exposure level for payagent.service: 4.2 OK :-)"
		}},
		{"no logind", "service.inhibitor", Warn, func(_ *testing.T, b *box) { delete(b.stats, "/run/systemd/inhibit") }},
		{"no memory", "system.memory", Warn, func(_ *testing.T, b *box) {
			b.System.Memory = func() (int64, int64, error) { return 256 << 20, 20 << 20, nil }
		}},
		{"32 bit on 64", "system.cpu", Warn, func(_ *testing.T, b *box) { b.System.Arch = "arm" }},
		{"1970", "clock.year", Fail, func(_ *testing.T, b *box) { b.System.Now = func() time.Time { return time.Unix(0, 0) } }},
		{"before the build", "clock.year", Fail, func(_ *testing.T, b *box) { b.System.Built = noon.Add(48 * time.Hour) }},
		{"UTC", "clock.zone", Warn, func(_ *testing.T, b *box) { b.System.Now = func() time.Time { return noon.UTC() } }},
		{"no RTC", "clock.rtc", Warn, func(_ *testing.T, b *box) { delete(b.files, "/sys/class/rtc/rtc0/since_epoch") }},
		{"RTC off", "clock.rtc", Warn, func(_ *testing.T, b *box) { b.files["/sys/class/rtc/rtc0/since_epoch"] = "100" }},
		{"no NTP", "clock.ntp", Warn, func(_ *testing.T, b *box) { b.runs["timedatectl show --value -p NTPSynchronized"] = "no" }},
		{"skew", "clock.skew", Warn, func(_ *testing.T, b *box) { b.asks("zhifu", noon.Add(-3*time.Minute), nil) }},
		{"much skew", "clock.skew", Fail, func(_ *testing.T, b *box) { b.asks("zhifu", noon.Add(9*time.Hour), nil) }},
		{"unplugged", "net.link", Fail, func(_ *testing.T, b *box) { b.System.Links = func() ([]string, error) { return nil, nil } }},
		{"no DNS", "net.dns", Fail, func(_ *testing.T, b *box) {
			b.System.Resolve = func(context.Context, string) ([]string, error) { return nil, bad }
		}},
		{"no proxy", "net.proxy", Fail, func(_ *testing.T, b *box) { b.refuse("10.0.0.5:3128") }},
		{"firewall", "net.tcp", Fail, func(_ *testing.T, b *box) { b.refuse("direct.example:9001") }},
		{"unknown authority", "net.tls", Fail, func(_ *testing.T, b *box) { b.looks("direct", x509.UnknownAuthorityError{}) }},
		{"certificate soon", "net.tls", Warn, func(t *testing.T, b *box) { _, _, b.leaf = certificateFor(t, noon, noon.Add(48*time.Hour)) }},
		{"way not possible", "net.tls", Fail, func(_ *testing.T, b *box) {
			w := b.Platforms["direct"]
			w.Open = bad
			b.Platforms["direct"] = w
		}},
		{"platform down", "net.platform", Fail, func(_ *testing.T, b *box) { b.asks("direct", time.Time{}, bad) }},
		{"worn", "disk.wear", Warn, func(_ *testing.T, b *box) { b.Wear = func() (string, int, string) { return "mmcblk0", 90, "" } }},
		{"no spare blocks", "disk.wear", Warn, func(_ *testing.T, b *box) { b.Wear = func() (string, int, string) { return "mmcblk0", 10, "urgent" } }},
		{"new", "disk.wear", OK, func(_ *testing.T, b *box) { b.Wear = func() (string, int, string) { return "mmcblk0", 10, "normal" } }},
		{"a disk that does not tell", "disk.wear", Skipped, func(_ *testing.T, b *box) { b.Wear = func() (string, int, string) { return "sda", -1, "" } }},
		{"relay away", "net.platform", Fail, func(_ *testing.T, b *box) { b.Config.Platforms[1].Uplink = "mqtt"; b.asks("direct", time.Time{}, bad) }},
		{"relay there", "net.platform", OK, func(_ *testing.T, b *box) {
			b.Config.Platforms[1].Uplink = "mqtt"
			b.refuse("direct.example:9001")
			w := b.Platforms["direct"]
			w.Look = nil
			b.Platforms["direct"] = w
		}},
		{"clock behind", "clock.year", Fail, func(_ *testing.T, b *box) { b.Clock = func() time.Time { return noon.AddDate(0, 1, 0) } }},
		{"HIS away", "net.his", Warn, func(_ *testing.T, b *box) { b.refuse("his.example:443") }},
		{"HIS's certificate", "net.his", Warn, func(_ *testing.T, b *box) {
			b.HIS.Look = func(context.Context) (*tls.ConnectionState, error) { return nil, bad }
		}},
		{"broker away", "net.broker", Warn, func(_ *testing.T, b *box) { b.refuse("10.0.0.6:8883") }},
		{"broker away and needed", "net.broker", Fail, func(_ *testing.T, b *box) { b.refuse("10.0.0.6:8883"); b.Config.Platforms[0].Uplink = "mqtt" }},
		{"plain broker", "net.broker", Warn, func(_ *testing.T, b *box) { b.Config.Fleet.Broker = "mqtt://10.0.0.6:1883" }},
		{"scanner away", "scanners.present", Fail, func(_ *testing.T, b *box) { b.dev[0].Present, b.dev[0].Reason = false, "absent" }},
		{"no rights", "scanners.rights", Fail, func(_ *testing.T, b *box) {
			b.Running = false
			b.stats["/dev/ttyACM0"] = File{Mode: 0o660, GID: 20}
		}},
		{"the agent says no rights", "scanners.rights", Fail, func(_ *testing.T, b *box) { b.dev[0].Reason = "no_permission" }},
		{"everybody may", "scanners.rights", Warn, func(_ *testing.T, b *box) { b.Running = false; b.stats["/dev/ttyACM0"] = File{Mode: 0o666} }},
		{"keyboard", "scanners.class", Warn, func(_ *testing.T, b *box) { b.dev[0].Class, b.dev[0].Driver = "keyboard", "wedge" }},
		{"keyboard on Windows", "scanners.class", Fail, func(_ *testing.T, b *box) { b.dev[0].Class = "keyboard"; b.System.OS = "windows" }},
		{"ModemManager", "scanners.modemmanager", Warn, func(_ *testing.T, b *box) { b.runs["systemctl is-active ModemManager"] = "active" }},
		{"sleeps", "scanners.autosuspend", Warn, func(_ *testing.T, b *box) { b.files["/sys/bus/usb/devices/1-1/power/control"] = "auto" }},
		{"display away", "displays.present", Warn, func(_ *testing.T, b *box) { b.dev[1].Present = false }},
	}
	broken := map[string]bool{}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := well(t)
			c.do(t, b)
			r := b.run(t, c.id)
			if !slices.Contains(levels(r, c.id), c.level) {
				t.Fatalf("%s: %+v", c.id, r.Findings)
			}
			broken[c.id] = true
			for _, f := range r.Findings {
				if (f.Level == Warn || f.Level == Fail) && (f.Cure.ZH == "" || f.Cure.EN == "") {
					t.Errorf("%s has no cure: %+v", f.ID, f)
				}
				if f.Group == GroupNet && (f.Level == Warn || f.Level == Fail) && f.Call.EN == "" {
					t.Errorf("%s says nobody to call", f.ID)
				}
			}
			want := map[string]int{Warn: 1, Fail: 2}[c.level]
			if r.ExitCode() < want {
				t.Errorf("exit code %d", r.ExitCode())
			}
			for _, x := range Checks() {
				if x.ID == c.id && !x.Fails && c.level == Fail && c.id != "service.user" {
					t.Errorf("%s fails, and the table says that it only warns", c.id)
				}
			}
			b.run(t, "") // nothing else falls over it
		})
	}
	for _, c := range Checks() {
		if c.Group != GroupAdvice && !broken[c.ID] {
			t.Errorf("nothing breaks %s", c.ID)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (b *box) refuse(address string) {
	b.dial = func(a string) (net.Conn, error) {
		if a == address {
			return nil, errors.New("connection refused")
		}
		return deaf(), nil
	}
}

func (b *box) asks(name string, date time.Time, err error) {
	w := b.Platforms[name]
	w.Ask = func(context.Context) (time.Time, error) { return date, err }
	b.Platforms[name] = w
}

func (b *box) looks(name string, err error) {
	w := b.Platforms[name]
	w.Look = func(context.Context) (*tls.ConnectionState, error) { return nil, err }
	b.Platforms[name] = w
}

// TestHops: the first hop that fails is named, those behind it are not tried,
// and the others' ways are told apart.
func TestHops(t *testing.T) {
	b := well(t)
	b.refuse("10.0.0.5:3128")
	asked := false
	w := b.Platforms["zhifu"]
	w.Ask = func(context.Context) (time.Time, error) { asked = true; return time.Time{}, nil }
	b.Platforms["zhifu"] = w
	b.Config.Fleet.Broker = "mqtt://10.0.0.6:1883"
	r := b.run(t, GroupNet)
	for _, f := range r.Findings {
		if f.About == "zhifu" && (f.ID == "net.tls" || f.ID == "net.platform") && f.Level != Skipped {
			t.Errorf("%+v", f)
		}
		if f.About == "direct" && f.Level != OK {
			t.Errorf("%+v", f)
		}
	}
	broken := r.Broken()
	if asked || len(broken) != 2 || broken[0].ID != "net.proxy" || broken[0].About != "zhifu" || broken[0].Call.EN == "" {
		t.Errorf("%v %+v", asked, broken)
	}
	var out bytes.Buffer
	if err := r.Write(&out); err != nil || !strings.Contains(out.String(), "zhifu: net.proxy") || !strings.Contains(out.String(), "whoever runs the proxy") {
		t.Error(out.String(), err)
	}
}

// TestConfigGone: with a configuration that cannot be read everything else
// that can be looked at still is.
func TestConfigGone(t *testing.T) {
	b := well(t)
	b.Config, b.ConfigErr = config.Config{}, errors.New("line 3: no")
	b.Platforms, b.HIS, b.Running = nil, nil, false
	r := b.run(t, "")
	if r.ExitCode() != 2 || !slices.Contains(levels(r, "clock.year"), OK) || !slices.Contains(levels(r, "net.link"), OK) {
		t.Error(r.Worst)
	}
}

func TestOnly(t *testing.T) {
	b := well(t)
	if r := b.run(t, "clock.year"); len(r.Findings) != 1 {
		t.Errorf("%+v", r.Findings)
	}
	if _, ok := Run(context.Background(), b.Subject, "nothing"); ok {
		t.Error("nothing was found")
	}
	data, err := json.Marshal(b.run(t, GroupClock))
	if err != nil || !strings.Contains(string(data), `"id":"clock.year"`) {
		t.Error(string(data), err)
	}
}

func TestKernels(t *testing.T) {
	for release, bad := range map[string]bool{"5.9.1": false, "5.10.93": true, "5.10.94-rt": false, "5.11.0": true, "5.15.26-0ubuntu": true, "5.15.27": false, "5.16.1": true, "5.17": false, "6.1.0-18-amd64": false, "": false, "4.19.0": false} {
		if kernelHasBug(release) != bad {
			t.Errorf("%s: %v", release, !bad)
		}
	}
}

// broker is a TLS server that asks for a certificate; it takes it or not.
func broker(t *testing.T, b *box, takes bool) (ca, address string) {
	t.Helper()
	cert, key, leaf := certificateFor(t, noon.Add(-24*time.Hour), noon.Add(300*24*time.Hour))
	pair, err := tls.LoadX509KeyPair(cert, key)
	must(t, err)
	c := &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAnyClientCert}
	if !takes {
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		c.ClientCAs.AddCert(leaf) // not the box's
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", c)
	must(t, err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				_, _ = conn.Read(make([]byte, 1)) // shakes hands, then waits
			}()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-ended })
	b.dial = func(a string) (net.Conn, error) {
		if a == l.Addr().String() {
			return net.Dial("tcp", a)
		}
		return deaf(), nil
	}
	return cert, l.Addr().String()
}

// TestStoreOnce: the store is looked at once for all checks. Two looks at the
// same moment would take each other for a program that has it open.
func TestStoreOnce(t *testing.T) {
	b := well(t)
	var looks atomic.Int32
	b.Store = func() (Store, error) { looks.Add(1); return b.store, nil }
	b.run(t, "")
	if n := looks.Load(); n != 1 {
		t.Error("looked at the store", n, "times")
	}
}

// TestBroker: a broker that refuses the certificate says so only after the
// handshake (TLS 1.3).
func TestBroker(t *testing.T) {
	b := well(t)
	b.Config.Fleet.CAFile, b.Config.Fleet.Broker = "", ""
	ca, addr := broker(t, b, false)
	b.Config.Fleet.CAFile, b.Config.Fleet.Broker = ca, "mqtts://"+addr
	r := b.run(t, "net.broker")
	if got := levels(r, "net.broker"); !slices.Equal(got, []string{Warn}) || !strings.Contains(r.Findings[0].Found.EN, "refused the certificate") {
		t.Errorf("%+v", r.Findings)
	}
}

// TestThisMachine looks at the machine that runs the test.
func TestThisMachine(t *testing.T) {
	s := ThisMachine(time.Time{})
	dir := t.TempDir()
	if took, err := s.Sync(dir); err != nil || took <= 0 {
		t.Error(took, err)
	}
	if left, err := s.List(dir); err != nil || len(left) != 0 {
		t.Error("something was left behind:", left, err)
	}
	if v, err := s.Volume(dir); err != nil || v.Total <= 0 || v.Type == "" {
		t.Error(v, err)
	}
	if total, free, err := s.Memory(); err != nil || total <= 0 || free <= 0 {
		t.Error(total, free, err)
	}
	if _, err := s.Volume(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if k, h := s.Machine(); k == "" || h == "" {
		t.Error(k, h)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = l.Close() }()
	if s.Listen(l.Addr().String()) == nil {
		t.Error("a port in use could be opened")
	}
	if f, err := s.Stat(dir); err != nil || f.UID != os.Getuid() {
		t.Error(f, err)
	}
	if u, err := s.Lookup(s.Me().Name); err != nil || u.UID != s.Me().UID {
		t.Error(u, err)
	}
	if _, err := s.Lookup("no-such-user-here"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// TestDocs: docs/doctor.md lists every check as it is.
func TestDocs(t *testing.T) {
	const path, from, to = "../../docs/doctor.md", "<!-- checks -->\n", "<!-- end -->"
	data, err := os.ReadFile(path)
	must(t, err)
	head, rest, ok := strings.Cut(string(data), from)
	table, tail, ok2 := strings.Cut(rest, to)
	if !ok || !ok2 {
		t.Fatal("docs/doctor.md has lost the marks around its table")
	}
	if *update {
		must(t, os.WriteFile(path, []byte(head+from+Table()+to+tail), 0o644))
		return
	}
	if table != Table() {
		t.Error("docs/doctor.md is out of date: go test ./agent/doctor -run TestDocs -update")
	}
}

// TestSecondWay: both ways to a platform are looked at. A second way that is
// closed is a warning, since payments go on by the first, and what leaves by an
// interface of its own is tried by the way itself.
func TestSecondWay(t *testing.T) {
	look := func(second config.SecondWay, tune func(*box)) (first, other map[string]string) {
		b := well(t)
		b.Config.Platforms[1].SecondWay = &second
		b.refuse("10.0.0.9:443") // not to be tried without the interface
		b.Platforms["direct/second"] = b.Platforms["direct"]
		tune(b)
		first, other = map[string]string{}, map[string]string{}
		for _, f := range b.run(t, GroupNet).Findings {
			switch f.About {
			case "direct":
				first[f.ID] = f.Level
			case "direct/second":
				other[f.ID] = f.Level
			}
		}
		if first["net.tcp"] != OK || first["net.tls"] != OK || first["net.platform"] != OK {
			t.Errorf("the first way: %v", first)
		}
		return first, other
	}
	modem := config.SecondWay{Uplink: config.HTTPS, From: "wwan0", Relay: "10.0.0.9:443"}
	if _, got := look(modem, func(*box) {}); got["net.tcp"] != Skipped || got["net.tls"] != OK || got["net.platform"] != OK {
		t.Errorf("well: %v", got)
	}
	if _, got := look(modem, func(b *box) { b.looks("direct/second", errors.New("the modem is away")) }); got["net.tcp"] != Skipped || got["net.tls"] != Warn || got["net.platform"] != Skipped {
		t.Errorf("away: %v", got)
	}
	if _, got := look(config.SecondWay{Uplink: config.MQTT}, func(b *box) {
		b.looks("direct/second", nil)
		b.asks("direct/second", time.Time{}, errors.New("the relay is away"))
	}); got["net.platform"] != Warn {
		t.Errorf("the relay away: %v", got)
	}
}

// TestClockCures: a cure is for the system that it is read on.
func TestClockCures(t *testing.T) {
	for _, c := range []struct{ os, want, other string }{{"windows", "w32tm", "timedatectl"}, {"linux", "timedatectl", ""}} {
		b := well(t)
		b.System.OS = c.os
		b.System.Now = func() time.Time { return noon.UTC() }
		b.runs["timedatectl show --value -p NTPSynchronized"] = "no"
		b.runs["w32tm.exe /query /status"] = "Source: Local CMOS Clock"
		cures := ""
		for _, f := range b.run(t, GroupClock).Findings {
			if f.ID == "clock.zone" || f.ID == "clock.ntp" {
				if f.Level != Warn {
					t.Errorf("%s: %+v", c.os, f)
				}
				cures += f.Cure.ZH + "\n" + f.Cure.EN + "\n"
			}
		}
		if strings.Count(cures, c.want) < 2 || c.other != "" && strings.Contains(cures, c.other) || c.os == "windows" && strings.Count(cures, "tzutil") != 2 {
			t.Errorf("%s: %s", c.os, cures)
		}
	}
}
