package config_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"payagent/agent/config"
	"payagent/agent/order"
	"payagent/platforms"
)

var update = flag.Bool("update", false, "write the golden files anew")

const sample = "../../install/payagent.sample.yaml"

func TestSamples(t *testing.T) {
	c, err := config.Load(sample)
	if err != nil {
		t.Fatal(err)
	}
	if w := c.Warnings(); len(w) != 0 {
		t.Errorf("the sample warns: %v", w)
	}
	demo, err := config.Demo()
	if err != nil {
		t.Fatal(err)
	}
	if err := demo.Validate(); err != nil {
		t.Fatal(err)
	}
	var codes []string
	for _, w := range demo.Warnings() {
		codes = append(codes, w.Code)
		if w.ZH == "" || w.EN == "" {
			t.Errorf("warning %s lacks a language", w.Code)
		}
	}
	if got := strings.Join(codes, " "); got != "test_mode plain_http plain_http" {
		t.Errorf("the demo warns %q", got)
	}
}

// Every error message is read by somebody at an installation: all of them are
// kept as files and compared whole.
func TestErrorMessages(t *testing.T) {
	files, err := filepath.Glob("testdata/errors/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			data, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			name := filepath.Base(f)
			c, err := config.Parse(name, data)
			if err == nil {
				err = c.Validate()
			}
			var e *config.Error
			if !errors.As(err, &e) {
				t.Fatalf("want a *config.Error, got %v", err)
			}
			golden := strings.TrimSuffix(f, ".yaml") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(e.Error()+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got := e.Error() + "\n"; got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func load(t *testing.T, text string) config.Config {
	t.Helper()
	c, err := config.Parse("t.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const small = `
platforms:
  - {name: sp, driver: smartpay, url: "https://sp.example/x", policy: {horizon: 50s, late_watch: [1m]}}
  - {name: fwc, driver: fwc, url: "https://fwc.example/x", options: {soap: "1.2", count: 3}}
merchants:
  - {profile: a, platform: sp, merch_code: "01"}
  - {profile: b, platform: fwc, token_file: /t}
  - {profile: c, platform: fwc, token_file: /u}
routes:
  - {till: w2, mode: charge, merchant: b}
  - {campus: east, order_type: DEPOSIT, merchant: c}
  - {department: eye, merchant: b}
  - {till_kind: kiosk, mode: present, merchant: c}
  - {mode: charge, merchant: a}
order_types:
  TREATMENT: {max_fen: 100}
  MEALS: {class: outpatient, min_fen: 50}
prefixes:
  kiosk: {DEPOSIT: ZJYJ}
tills:
  - {name: w1, kind: counter, device_no: "W1"}
  - {name: w2, kind: counter, device_no: "W2", department: eye, order_types: [TREATMENT]}
  - {name: k1, kind: kiosk, device_no: "K1", campus: east, operator: {id: "9", name: K}, modes: [present]}
`

func TestRoutes(t *testing.T) {
	c := load(t, small)
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ till, mode, typ, want, field string }{
		{"w1", "charge", "TREATMENT", "a", ""},
		{"w1", "charge", "DEPOSIT", "a", ""},
		{"w1", "present", "TREATMENT", "", "order_type"}, // no route
		{"w2", "charge", "TREATMENT", "b", ""},           // by till, before department
		{"w2", "present", "TREATMENT", "b", ""},          // by department
		{"w2", "charge", "DEPOSIT", "", "order_type"},    // not taken here
		{"k1", "present", "DEPOSIT", "c", ""},
		{"k1", "present", "MEALS", "c", ""},
		{"k1", "charge", "MEALS", "", "mode"},
		{"w9", "charge", "MEALS", "", "till"},
		{"w1", "charge", "NOTHING", "", "order_type"},
	} {
		p, m, err := c.RouteFor(config.Query{Till: tc.till, Mode: platforms.Mode(tc.mode), OrderType: tc.typ})
		var fe *platforms.FieldError
		if tc.want == "" {
			if !errors.As(err, &fe) || fe.Field != tc.field {
				t.Errorf("%v: got %v", tc, err)
			}
			continue
		}
		if err != nil || m.Profile != tc.want || p.Name != m.Platform {
			t.Errorf("%v: got %s %s %v", tc, p.Name, m.Profile, err)
		}
	}
	var lost []string
	for _, w := range c.Warnings() {
		lost = append(lost, w.Code+" "+w.EN)
	}
	if len(lost) != 1 || !strings.HasPrefix(lost[0], "no_route Till w1 has no merchant for: present×APPOINTMENT") {
		t.Errorf("warnings: %q", lost)
	}
}

func TestTables(t *testing.T) {
	c := load(t, small)
	for _, tc := range []struct{ kind, typ, want string }{
		{"counter", "TREATMENT", "MZ"}, {"counter", "HOSPITALIZATION", "ZY"}, {"counter", "DEPOSIT", "ZY"},
		{"kiosk", "TREATMENT", "ZJMZ"}, {"kiosk", "HOSPITALIZATION", "ZHZY"}, {"kiosk", "DEPOSIT", "ZJYJ"},
		{"kiosk", "MEALS", "ZJMZ"}, {"bank", "MEALS", ""}, {"kiosk", "NONE", ""},
	} {
		if got := c.Prefix(tc.kind, tc.typ); got != tc.want {
			t.Errorf("Prefix(%s, %s) = %q, want %q", tc.kind, tc.typ, got, tc.want)
		}
	}
	if low, high := c.Bounds("TREATMENT"); low != 1 || high != 100 {
		t.Errorf("TREATMENT bounds %d %d", low, high)
	}
	if low, high := c.Bounds("MEALS"); low != 50 || high != platforms.MaxFen {
		t.Errorf("MEALS bounds %d %d", low, high)
	}
	if got := c.OrderTypes["MEALS"].OrderType; got != "MEALS" {
		t.Errorf("an order type without a wire value gets %q", got)
	}
	if got := c.OrderTypes["TREATMENT"]; got.ServiceID != "008" || got.Class != "outpatient" {
		t.Errorf("naming one value of an order type lost the others: %+v", got)
	}
	if got := config.MissingProfiles(c, []string{"z", "a", "y", "z"}); !reflect.DeepEqual(got, []string{"y", "z"}) {
		t.Errorf("MissingProfiles = %v", got)
	}
	c.Platforms = c.Platforms[1:]
	if got := config.MissingProfiles(c, []string{"a", "b"}); !reflect.DeepEqual(got, []string{"a"}) {
		t.Errorf("a profile without its platform: MissingProfiles = %v", got)
	}
}

func TestWireTables(t *testing.T) {
	c := load(t, small)
	wire, ids := c.WireOrderTypes(), c.ServiceIDs()
	if len(wire) != 10 || wire["DEPOSIT"] != "HOSPITALIZATION" || wire["MEALS"] != "MEALS" {
		t.Errorf("OrderType table %v", wire)
	}
	if len(ids) != 4 || ids["APPOINTMENT"] != "0" || ids["TREATMENT"] != "008" || ids["DEPOSIT"] != "007" {
		t.Errorf("ServiceId table %v", ids)
	}
	if m := c.MerchantsOf("fwc"); len(m) != 2 || m[0].Profile != "b" || m[1].Profile != "c" {
		t.Errorf("merchants of fwc: %v", m)
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	c := load(t, small)
	c.Door.TLS = config.TLS{Cert: filepath.Join(dir, "cert"), Key: filepath.Join(dir, "key")}
	c.Platforms[0].CAFile = filepath.Join(dir, "ca")
	c.Platforms[1].Proxy = &config.Proxy{PasswordFile: filepath.Join(dir, "pw")}
	c.Merchants[1].TokenFile, c.Merchants[2].TokenFile = filepath.Join(dir, "cert"), filepath.Join(dir, "none")
	for name, mode := range map[string]os.FileMode{"cert": 0o644, "key": 0o600, "ca": 0o644} {
		p := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(p, []byte("x"), mode), os.Chmod(p, mode)); err != nil {
			t.Fatal(err)
		}
	}
	warnings, err := c.CheckFiles()
	var e *config.Error
	if !errors.As(err, &e) || len(e.Problems) != 2 || e.Problems[0].Key != "platforms[1].proxy.password_file" ||
		e.Problems[1].Key != "merchants[2].token_file" || e.Problems[1].Line != 8 {
		t.Errorf("missing files: %v", err)
	}
	if len(warnings) != 1 || warnings[0].Code != "file_readable" || !strings.Contains(warnings[0].EN, "merchants[1].token_file") {
		t.Errorf("files that others can read: %v", warnings)
	}
}

// Somebody may write a secret where a file name belongs: errors do not repeat it.
func TestErrorsRepeatNoSecrets(t *testing.T) {
	_, err := config.Parse("t", []byte("merchants:\n  - {profile: a, platform: p, token_file: 55667788}\n"))
	c := load(t, `
platforms:
  - {name: p, driver: d, url: "https://u:55667788@h/", proxy: {kind: connect, address: "u:55667788@h"}}
  - {name: q, driver: d, url: "https://h/?token=55667788"}
door: {origins: ["https://u:55667788@h"]}
`)
	for _, err := range []error{err, c.Validate()} {
		if err == nil || strings.Contains(err.Error(), "55667788") {
			t.Errorf("got %v", err)
		}
	}
}

func TestPolicyOverrides(t *testing.T) {
	c := load(t, small)
	sp, fwc := c.Platforms[0].Policy, c.Platforms[1].Policy
	if sp.Horizon != 50*time.Second || len(sp.LateWatch) != 1 || sp.QueryEvery != 5*time.Second {
		t.Errorf("overridden: %+v", sp)
	}
	if !reflect.DeepEqual(fwc, c.Policy) {
		t.Errorf("not overridden: %+v", fwc)
	}
}

// The schedule that the pure core falls back to and the one that the file
// falls back to are the same, field by field.
func TestPolicyDefaultsAreTheCores(t *testing.T) {
	c, err := config.Defaults()
	if err != nil {
		t.Fatal(err)
	}
	core, ours := reflect.ValueOf(order.DefaultPolicy()), reflect.ValueOf(c.Policy)
	for i := range core.NumField() {
		name := core.Type().Field(i).Name
		f := ours.FieldByName(name)
		if !f.IsValid() {
			t.Errorf("the configuration has no key for %s", name)
			continue
		}
		if !reflect.DeepEqual(f.Interface(), core.Field(i).Interface()) {
			t.Errorf("%s: the file's default is %v, the core's %v", name, f, core.Field(i))
		}
	}
	if ours.NumField() != core.NumField() {
		t.Errorf("the configuration has %d values, the core uses %d", ours.NumField(), core.NumField())
	}
}

func TestOptions(t *testing.T) {
	c := load(t, "\n"+small)
	o := c.Platforms[1].Options
	var got struct {
		SOAP    string
		Count   uint8
		Extra   string
		Pause   time.Duration
		Nested  struct{ FreeIDs []string }
		Clock   func() time.Time
		private int
	}
	got.Extra = "kept"
	if err := o.Decode(&got); err != nil {
		t.Fatal(err)
	}
	if got.SOAP != "1.2" || got.Count != 3 || got.Extra != "kept" {
		t.Errorf("decoded %+v", got)
	}
	var other struct{ Soap string }
	err := o.Decode(&other)
	if err == nil || !strings.Contains(err.Error(), "t.yaml") || !strings.Contains(err.Error(), "line 5: platforms[1].options.count: the key is not known") {
		t.Errorf("an unknown key of a driver: %v", err)
	}
	var fails *config.Error
	if err := o.Fail("count", "too many; write 2"); !errors.As(err, &fails) || fails.Problems[0].Line != 5 || fails.Problems[0].Key != "platforms[1].options.count" {
		t.Errorf("Fail: %v", err)
	}
	if err := o.Decode(got); err == nil {
		t.Error("a struct that is not a pointer was accepted")
	}
	if o := c.Platforms[0].Options; !o.Empty() || o.Decode(&got) != nil {
		t.Error("absent options must decode to nothing")
	}
	n, err := config.NewOptions("x", "nested: {free_ids: ['1']}\npause: 2s\nclock: 1\n")
	if err != nil {
		t.Fatal(err)
	}
	err = n.Decode(&got)
	if err == nil || !strings.Contains(err.Error(), "clock: the key is not known") || got.Pause != 2*time.Second || got.Nested.FreeIDs[0] != "1" {
		t.Errorf("%v %+v", err, got)
	}
	_ = got.private
	if _, err := config.NewOptions("x", "[1]"); err == nil {
		t.Error("a list was accepted as options")
	}
}

func TestFailAndJoin(t *testing.T) {
	c := load(t, small)
	err := config.Join(nil, c.Fail("platforms[1].driver", "there is no driver fwc"), c.Fail("tills[0].scanners[7].driver", "x"))
	var e *config.Error
	if !errors.As(err, &e) || len(e.Problems) != 2 || e.Problems[0].Line != 4 || e.Problems[1].Line != 21 {
		t.Errorf("got %v", err)
	}
	if config.Join(nil, nil) != nil {
		t.Error("nothing joined is not nil")
	}
	if err := config.Join(os.ErrClosed, c.Fail("a", "b")); !errors.Is(err, os.ErrClosed) || !errors.As(err, &e) {
		t.Errorf("got %v", err)
	}
}

func TestReport(t *testing.T) {
	c, err := config.Demo()
	if err != nil {
		t.Fatal(err)
	}
	c.Door.Listen = append(c.Door.Listen, "10.0.0.5:8780")
	c.Platforms[0].AllowRSAKeyExchange = true
	got := c.Report()
	const golden = "testdata/report.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s", got)
	}
	for _, must := range []string{"ZJMZ", "ZHZY", "财务", "finance", "明文 HTTP", "without TLS", "Test mode", "old TLS"} {
		if !strings.Contains(got, must) {
			t.Errorf("the report does not say %q", must)
		}
	}
}

func TestBytes(t *testing.T) {
	for in, want := range map[string]config.Bytes{"0": 0, "7": 7, "1KiB": 1024, "64MiB": 64 << 20, "2 GiB": 2 << 30} {
		var b config.Bytes
		if err := b.UnmarshalText([]byte(in)); err != nil || b != want {
			t.Errorf("%s: %d %v", in, b, err)
		}
	}
	for _, in := range []string{"", "-1", "1MB", "1.5GiB", "MiB", "+1", "9999999999999999999", "99999999GiB"} {
		var b config.Bytes
		if err := b.UnmarshalText([]byte(in)); err == nil {
			t.Errorf("%q was read as %d", in, b)
		}
	}
	for b, want := range map[config.Bytes]string{0: "0", 1: "1", 1024: "1KiB", 64 << 20: "64MiB", 1 << 30: "1GiB", 1500: "1500"} {
		if b.String() != want {
			t.Errorf("%d prints as %s", b, b)
		}
	}
}

func TestLoadErrors(t *testing.T) {
	if _, err := config.Load(filepath.Join(t.TempDir(), "none.yaml")); !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), "cannot open") {
		t.Errorf("got %v", err)
	}
	if _, err := config.Load(t.TempDir()); err == nil || !strings.HasPrefix(err.Error(), "cannot read") {
		t.Errorf("a folder: %v", err)
	}
	big := filepath.Join(t.TempDir(), "big.yaml")
	if err := os.WriteFile(big, make([]byte, 2<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Load(big); err == nil || !strings.Contains(err.Error(), "larger than 1 MiB") {
		t.Errorf("a large file: %v", err)
	}
	if _, err := config.Parse("deep", []byte(strings.Repeat("[", 2000)+strings.Repeat("]", 2000))); err == nil {
		t.Error("a deeply nested file was accepted")
	}
}

// A test box may run on a quicker schedule, a real one may not.
func TestQuickScheduleOnlyInTestMode(t *testing.T) {
	quick := small + "policy: {cancel_not_before: 200ms}\n"
	if err := load(t, quick).Validate(); err == nil || !strings.Contains(err.Error(), "cancel_not_before") {
		t.Errorf("a real box may cancel after 200 ms: %v", err)
	}
	if err := load(t, quick+"site: {test: true}\n").Validate(); err != nil {
		t.Errorf("a test box: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/errors/*.yaml", sample, "demo.yaml", "defaults.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatal(pattern, err)
		}
		for _, name := range files {
			data, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Add([]byte(small))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := config.Parse("f", data)
		var e *config.Error
		if err != nil {
			if !errors.As(err, &e) || len(e.Problems) == 0 {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		if err := c.Validate(); err != nil {
			if !errors.As(err, &e) {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		// What validates has a route or a clear refusal for everything.
		_ = c.Report()
		for _, p := range c.Platforms {
			if p.Policy.CodeAge > config.MaxCodeAge || !c.Site.Test && p.Policy.CancelNotBefore < 15*time.Second {
				t.Fatalf("a schedule out of bounds validates: %+v", p.Policy)
			}
		}
	})
}

// TestEncodings: what editors on Windows make of the file is read where it can
// be, and told where not: a name in another encoding would reach the platform.
// A comment reaches nobody, and must not keep a till from its start.
func TestEncodings(t *testing.T) {
	const text = "site: {hospital_id: \"H1\", name: 演示}\n"
	for name, data := range map[string]string{"a byte order mark": "\xef\xbb\xbf" + text, "comments in GBK": "# \xca\xd5\xb7\xd1 \x95\x5c\n" + text + "# \xb4\xb0\xbf\xda"} {
		c, err := config.Parse("c.yaml", []byte(data))
		if err != nil || c.Site.Name != "演示" {
			t.Errorf("with %s: %v %q", name, err, c.Site.Name)
		}
	}
	for name, c := range map[string]struct{ data, where string }{
		"GBK":             {"site:\n  hospital_id: \"H1\"\n  name: \xd1\xdd\xca\xbe # \xca\xd5\n", "line 3: site.name: "},
		"GBK in a block":  {"site:\n  name: |\n    \xd1\xdd\xca\xbe\n", "site.name"},
		"a key in GBK":    {"facade:\n  tills:\n    \xb4\xb0\xbf\xda: w1\n", "line 3: facade.tills."},
		"GBK and no YAML": {"site: {name: \x95\x7d}\n", ""},
		"UTF-16":          {"\xff\xfes\x00i\x00t\x00e\x00:\x00", ""},
		"UTF-16 in ASCII": {"s\x00i\x00t\x00e\x00:\x00", ""},
	} {
		if _, err := config.Parse("c.yaml", []byte(c.data)); err == nil || !strings.Contains(err.Error(), "UTF-8") || !strings.Contains(err.Error(), c.where) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
