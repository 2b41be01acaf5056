package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"payagent/agent/config"
	"payagent/agent/starter"
	"payagent/install"
	"payagent/platforms/bank"
	"payagent/platforms/fwc/fwctest"
	"payagent/platforms/smartpay/smartpaytest"
	"payagent/uplink/uplinktest"
)

// answersFor are answers for a profile and a pretend platform on loopback.
func answersFor(t *testing.T, profile, driver string) (starter.Answers, string) {
	t.Helper()
	var h http.Handler
	b := bank.New(bank.Options{})
	began := time.Now()
	p := starter.Platform{Driver: driver, PlainHTTP: true}
	if driver == "smartpay" {
		h = smartpaytest.Handler(b, smartpaytest.Options{Now: func() time.Duration { return time.Since(began) }})
		p.Merchant, p.ClientID, p.TransactionCodes = "M1", "HIS01", &starter.TransactionCodes{SweepCodePay: "1", QueryOrderState: "2", Revoke: "3"}
	} else {
		h = fwctest.Handler(b, fwctest.Options{})
		p.Token = fwctest.Token
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	p.URL = srv.URL + map[string]string{"fwc": "/linkingif.asmx", "smartpay": "/WSGW/services/ServiceGateWay"}[driver]
	address := uplinktest.FreeAddress(t)
	return starter.Answers{Profile: profile, HospitalID: fwctest.HospitalID, HospitalName: "示例 \"医院\": #1", Platform: p, Listen: []string{address},
		DataDir: filepath.Join(t.TempDir(), "data"), Tills: []starter.Till{{Name: "w1", DeviceNo: "W1", OperatorID: "0123", OperatorName: "王收费"}}}, address
}

func writeAnswers(t *testing.T, a starter.Answers) string {
	t.Helper()
	data, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "answers.json")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func runInit(input string, args ...string) (string, error) {
	var out bytes.Buffer
	err := initCommand(context.Background(), args, strings.NewReader(input), &out)
	return out.String(), err
}

// TestInitTakesAPayment: whatever the profile, what init writes passes the
// check, starts and takes a payment.
func TestInitTakesAPayment(t *testing.T) {
	for _, c := range [][2]string{{"scanbox", "fwc"}, {"kiosk", "fwc"}, {"counter", "smartpay"}} {
		t.Run(c[0], func(t *testing.T) {
			a, address := answersFor(t, c[0], c[1])
			file := filepath.Join(t.TempDir(), "etc", "payagent.yaml")
			if out, err := runInit("", "--config", file, "--answers", writeAnswers(t, a)); err != nil {
				t.Fatal(out, err)
			}
			conf, err := config.Load(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := checkConfig(conf, &bytes.Buffer{}); err != nil {
				t.Error(err)
			}
			if !conf.Site.Test || conf.Site.Name != a.HospitalName || conf.Tills[0].Operator.ID != "0123" || conf.DataDir != a.DataDir {
				t.Errorf("%+v", conf.Site)
			}
			text, err := os.ReadFile(file)
			if err != nil || strings.Contains(string(text), fwctest.Token) || strings.Contains(string(text), "fill in") {
				t.Errorf("the text holds the token, or something is not filled in: %v\n%s", err, text)
			}
			if tf := conf.Merchants[0].TokenFile; c[1] == "fwc" {
				if info, err := os.Stat(tf); err != nil || info.Mode().Perm() != 0o600 || !filepath.IsAbs(tf) {
					t.Error(tf, err)
				}
			}
			stop := startSite(t, file)
			defer stop()
			o := post(t, file, address, "/v1/orders", "k1", map[string]any{"bill": "B1", "out_trade_no": "MZ1", "amount_fen": 100, "mode": "charge", "order_type": "TREATMENT",
				"subject": "test", "till": "w1", "auth_code": "130000000000000001", "operator": map[string]any{"id": "1001", "name": "王收费"},
				"patient": map[string]any{"name": "张三丰", "card_no": "C1", "card_type": "medical_card", "admission_no": "A1"}})
			for end := time.Now().Add(2 * time.Minute); o["state"] != "paid"; {
				if time.Now().After(end) {
					t.Fatalf("the order stays %v", o["state"])
				}
				out, err := askOnce(t, file, "/v1/orders/MZ1?wait=20s")
				if err != nil {
					t.Fatal(err)
				}
				if err := json.Unmarshal(out, &o); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestInitAgain: a second run changes nothing; another configuration is never
// overwritten unasked, and with --force its copy is kept.
func TestInitAgain(t *testing.T) {
	a, _ := answersFor(t, "counter", "fwc")
	dir := t.TempDir()
	file, token := filepath.Join(dir, "payagent.yaml"), filepath.Join(dir, "secrets", "platform.token")
	// What the package put there may be replaced.
	profile, err := install.Profile("counter")
	if err != nil {
		t.Fatal(err)
	}
	answers := writeAnswers(t, a)
	// The zip and the set-up for Windows bring it with that system's line ends.
	windows := filepath.Join(dir, "windows", "payagent.yaml")
	if err := os.Mkdir(filepath.Dir(windows), 0o700); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{file: profile, windows: strings.ReplaceAll(profile, "\n", "\r\n")} {
		if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := runInit("", "--config", windows, "--answers", answers); err != nil || !strings.Contains(out, "written") {
		t.Error(out, err)
	}
	if out, err := runInit("", "--config", file, "--answers", answers); err != nil || !strings.Contains(out, "written") {
		t.Fatal(out, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o640 {
		t.Error("the package's mode is gone", err)
	}
	first, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	list := func() int {
		names, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	n := list()
	if out, err := runInit("", "--config", file, "--answers", answers); err != nil || !strings.Contains(out, "no change") || list() != n {
		t.Error(out, err)
	}
	a.HospitalName, a.Platform.Token = "另一家", "other"
	answers = writeAnswers(t, a)
	if _, err := runInit("", "--config", file, "--answers", answers); err == nil || errors.Is(err, errUsage) || !strings.Contains(err.Error(), "--force") || !strings.Contains(err.Error(), token) {
		t.Error(err)
	}
	if now, err := os.ReadFile(file); err != nil || !bytes.Equal(now, first) {
		t.Error("overwritten", err)
	}
	if out, err := runInit("", "--config", file, "--answers", answers, "--force"); err != nil {
		t.Error(out, err)
	}
	kept, err := filepath.Glob(file + ".before-*")
	if err != nil || len(kept) == 0 {
		t.Fatal(kept, err)
	}
	if old, err := os.ReadFile(kept[len(kept)-1]); err != nil || !bytes.Equal(old, first) && len(kept) == 1 {
		t.Error("the copy is another", err)
	}
	if secret, err := os.ReadFile(token); err != nil || string(secret) != "other\n" {
		t.Error(string(secret), err)
	}
}

// TestInitAsks: five questions at a keyboard; a wrong answer is said at once
// and asked for again.
func TestInitAsks(t *testing.T) {
	file := filepath.Join(t.TempDir(), "payagent.yaml")
	lines := []string{"window", "kiosk", "33 01", "330100001", "示例医院", "", "pay.example", "http://pay.example/x", "no", "yes", "the-token", "", "K-07", "", "9001", "", "none"}
	out, err := runInit(strings.Join(lines, "\n")+"\n", "--config", file, "--data-dir", filepath.Join(t.TempDir(), "d"))
	if err != nil {
		t.Fatal(out, err)
	}
	for _, want := range []string{"1/5", "5/5", "write scanbox, kiosk or counter", "without blanks", "write the whole address", "payagent doctor"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q was not said:\n%s", want, out)
		}
	}
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if till := c.Tills[0]; c.Site.HospitalID != "330100001" || till.Name != "k01" || till.Kind != "kiosk" || till.DeviceNo != "K-07" || till.Operator.ID != "9001" || !c.Platforms[0].AllowPlainHTTP || c.Platforms[0].Driver != "fwc" {
		t.Errorf("%+v %+v", c.Site, till)
	}
	if strings.Contains(out, "the-token") {
		t.Error("the token was printed")
	}
	// The input ends too early: nothing is written.
	other := filepath.Join(t.TempDir(), "x.yaml")
	if _, err := runInit("kiosk\n", "--config", other); !errors.Is(err, errInput) {
		t.Error(err)
	}
	if _, err := os.Stat(other); err == nil {
		t.Error("half of a configuration was written")
	}
}

// TestInitWrongAnswers: all that is wrong is said at once, and nothing is
// written.
func TestInitWrongAnswers(t *testing.T) {
	good, _ := answersFor(t, "kiosk", "fwc")
	for name, c := range map[string]struct {
		change func(*starter.Answers)
		want   []string
	}{
		"nothing":     {func(a *starter.Answers) { *a = starter.Answers{} }, []string{"profile:", "hospital_id:", "hospital_name:", "platform.driver:", "platform.url:", "tills:"}},
		"plain":       {func(a *starter.Answers) { a.Platform.PlainHTTP = false }, []string{"platform.url:", "--allow-plain-http"}},
		"no token":    {func(a *starter.Answers) { a.Platform.Token = "" }, []string{"platform.token:"}},
		"two tokens":  {func(a *starter.Answers) { a.Platform.TokenFile = "/x" }, []string{"platform.token:"}},
		"no operator": {func(a *starter.Answers) { a.Tills[0].OperatorID = "" }, []string{"tills[0].operator_id:"}},
		"same till":   {func(a *starter.Answers) { a.Tills = append(a.Tills, a.Tills[0]) }, []string{"tills[1].name:"}},
		"line break":  {func(a *starter.Answers) { a.HospitalName = "a\nb: c" }, []string{"hospital_name:"}},
		"smartpay":    {func(a *starter.Answers) { a.Platform.Driver = "smartpay" }, []string{"platform.merchant:", "sweep_code_pay:", "revoke:"}},
		"lc":          {func(a *starter.Answers) { a.Platform.Driver = "lc" }, []string{"platform.app_id:", "private_key_file:"}},
		"sample":      {func(a *starter.Answers) { a.Platform.URL = "https://fill-in.invalid/x" }, []string{"platform.url:"}},
		"scanner":     {func(a *starter.Answers) { a.Tills[0].Scanner = &starter.Scanner{} }, []string{"tills[0].scanner:"}},
		"listen":      {func(a *starter.Answers) { a.Listen = []string{"0.0.0.0:80"} }, []string{"door.listen"}},
		"model":       {func(a *starter.Answers) { a.Tills[0].Scanner = &starter.Scanner{Model: "none-such"} }, []string{"no device model"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := good
			a.Tills = append([]starter.Till(nil), good.Tills...)
			c.change(&a)
			file := filepath.Join(t.TempDir(), "payagent.yaml")
			_, err := runInit("", "--config", file, "--answers", writeAnswers(t, a))
			if !errors.Is(err, errUsage) {
				t.Fatal(err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q was not said: %v", want, err)
				}
			}
			if _, err := os.Stat(file); err == nil {
				t.Error("written all the same")
			}
		})
	}
	for _, args := range [][]string{{}, {"--config", "x", "more"}, {"--config", "x", "--what"}, {"--config", "x", "--profile", "pos"}} {
		if _, err := runInit("", args...); !errors.Is(err, errUsage) {
			t.Errorf("%v: %v", args, err)
		}
	}
	if _, err := runInit(`{"profile":"kiosk","unknown":1}`, "--config", "x", "--answers", "-"); !errors.Is(err, errUsage) {
		t.Error(err)
	}
}

// TestInitScanner writes each kind of scanner as the configuration takes it.
func TestInitScanner(t *testing.T) {
	for _, s := range []starter.Scanner{{Driver: "serial", Path: "/dev/ttyS1"}, {Driver: "hid", Port: "1-1.2:1.0"}, {Driver: "wedge", Port: "1-1.4:1.0"},
		{Model: "newland", Interface: "hid-pos", Port: "1-1.1"}, {Driver: "hid", ID: "0c2e:0b61"}} {
		a, _ := answersFor(t, "scanbox", "fwc")
		a.Tills[0].Scanner = &s
		file := filepath.Join(t.TempDir(), "payagent.yaml")
		if out, err := runInit("", "--config", file, "--answers", writeAnswers(t, a)); err != nil {
			t.Errorf("%+v: %v %s", s, err, out)
			continue
		}
		c, err := config.Load(file)
		if err != nil || len(c.Tills[0].Scanners) != 1 || c.Tills[0].Scanners[0].Role != "pad" {
			t.Error(c.Tills, err)
		}
	}
	if s, err := scannerOf("COM3"); err != nil || s.Path != "COM3" {
		t.Error(s, err)
	}
	if s, err := scannerOf("none"); err != nil || s != nil {
		t.Error(s, err)
	}
	if _, err := scannerOf("9-9.9"); !errors.Is(err, errUsage) {
		t.Error(err)
	}
}
