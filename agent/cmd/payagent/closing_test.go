package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"payagent/agent/config"
	"payagent/agent/seal"
	"payagent/platforms/bank"
	"payagent/platforms/fwc/fwctest"
	"payagent/uplink/uplinktest"
)

// site is a configuration with a platform on loopback.
func site(t *testing.T) (file, address string) {
	t.Helper()
	srv := httptest.NewServer(fwctest.Handler(bank.New(bank.Options{}), fwctest.Options{}))
	t.Cleanup(srv.Close)
	dir := t.TempDir()
	file, address = filepath.Join(dir, "payagent.yaml"), uplinktest.FreeAddress(t)
	if err := os.WriteFile(filepath.Join(dir, "fwc.token"), []byte(fwctest.Token), 0o600); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`
site: {hospital_id: %q, name: test, test: true}
data_dir: %s
door: {listen: ["%s"]}
booking: {expect: true}
codes: {two_codes: 0s}
store: {stop_below_percent: 0} # the disk of the tests is not at issue
platforms: [{name: fwc, driver: fwc, url: "%s/linkingif.asmx", allow_plain_http: true}]
merchants: [{profile: m, platform: fwc, token_file: %s/fwc.token}]
routes: [{merchant: m}]
tills: [{name: w1, kind: counter, device_no: "W1", operator: {id: "1001", name: 王收费}}]
`, fwctest.HospitalID, filepath.Join(dir, "data"), address, srv.URL, dir)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, address
}

// rewrite replaces texts of a site's configuration: each old one is followed by
// its new one.
func rewrite(t *testing.T, file string, change ...string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for i := 0; i < len(change); i += 2 {
		if !strings.Contains(text, change[i]) {
			t.Fatal("nothing to change:", change[i])
		}
		text = strings.Replace(text, change[i], change[i+1], 1)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// startSite runs the agent until the returned function is called.
func startSite(t *testing.T, file string) (stop func()) {
	t.Helper()
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx, c, &bytes.Buffer{}, nil) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the agent ended with %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// post asks the running agent until it is there.
func post(t *testing.T, file, address, path, key string, body any) map[string]any {
	t.Helper()
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	end := time.Now().Add(2 * time.Minute)
	for ; time.Now().Before(end); <-time.After(10 * time.Millisecond) {
		token, _, err := seal.ReadSecret(firstToken(c))
		if err != nil {
			continue
		}
		r, err := http.NewRequest(http.MethodPost, "http://"+address+path, bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token.Reveal())
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Idempotency-Key", key)
		resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
		if err != nil {
			continue
		}
		var out map[string]any
		err = json.NewDecoder(resp.Body).Decode(&out)
		_ = resp.Body.Close()
		if err == nil && resp.StatusCode < 300 {
			return out
		}
		if resp.StatusCode != http.StatusServiceUnavailable {
			t.Fatalf("%s: %s %v", path, resp.Status, out)
		}
	}
	t.Fatal("the agent does not answer")
	return nil
}

// closing runs a command and gives what it printed.
func closing(t *testing.T, args ...string) (out, side string, err error) {
	t.Helper()
	var b, c bytes.Buffer
	err = closingCommand(t.Context(), args, &b, &c)
	return b.String(), c.String(), err
}

// A day is closed from the command line, beside the running agent and on its
// closed store, with the same result.
func TestClosingADay(t *testing.T) {
	file, address := site(t)
	stop := startSite(t, file)
	dayOf := func(at time.Time) string { return at.In(time.FixedZone("UTC+8", 8*3600)).Format("2006-01-02") }
	began := time.Now()
	o := post(t, file, address, "/v1/orders", "k1", map[string]any{"bill": "B1", "out_trade_no": "MZ1", "amount_fen": 12850, "mode": "charge", "order_type": "TREATMENT",
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
	day := dayOf(time.Now())
	if before := dayOf(began); before != day { // it ended meanwhile
		if out, _, err := closing(t, "report", "--config", file, "--day", before); err == nil && strings.Contains(out, "128.50") {
			day = before
		}
	}
	check := func(when string) {
		t.Helper()
		out, _, err := closing(t, "report", "--config", file, "--day", day)
		if err != nil || !strings.HasPrefix(out, "\ufeff支付渠道") || !strings.Contains(out, "当面付-微信,门诊,w1,1001,王收费,1,128.50") {
			t.Errorf("%s: %v\n%s", when, err, out)
		}
		dir := t.TempDir()
		path := filepath.Join(dir, "day.csv")
		out, side, err := closing(t, "reconcile", "--config", file, "--day", day, "--out", path)
		if !errors.Is(err, exitFound) || out != "" || !strings.Contains(side, "long                  1        128.50 元  长款") {
			t.Errorf("%s: %v\n%s\n%s", when, err, out, side)
		}
		data, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(data, []byte("MZ1,")) || !bytes.Contains(data, []byte(",long,长款,128.50,12850,")) {
			t.Errorf("%s: %v\n%s", when, err, data)
		}
		his := filepath.Join(dir, "his.csv")
		if err := os.WriteFile(his, []byte("out_trade_no,amount\nMZ1,128.50\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		out, _, err = closing(t, "reconcile", "--config", file, "--day", day, "--his", his, "--format", "json")
		if err != nil || !strings.Contains(out, `"class":"equal"`) {
			t.Errorf("%s, with HIS's list: %v\n%s", when, err, out)
		}
	}
	check("running")
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	// A token is made beside the agent and taken away before the next start.
	for _, args := range [][]string{{"token", "add", "--config", file, "--name", "desk", "--scopes", "refund"}, {"token", "revoke", "--config", file, "--name", "desk"}} {
		if err := command(t.Context(), args, &bytes.Buffer{}); err != nil {
			t.Fatal(err)
		}
		stop()
		stop = startSite(t, file)
		post(t, file, address, "/v1/resolve", "", map[string]any{})
	}
	stop()
	check("stopped")
	out, _, err := closing(t, "audit", "verify", "--config", file)
	if err != nil || !strings.Contains(out, "问题 findings 0") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, _, err = closing(t, "audit", "show", "--config", file, "--day", day); err == nil && dayOf(time.Now()) != day {
		var next string
		next, _, err = closing(t, "audit", "show", "--config", file, "--day", dayOf(time.Now()))
		out += next
	}
	if err != nil || !strings.Contains(out, `"order":"MZ1"`) || !strings.Contains(out, `"operator":"1001"`) {
		t.Errorf("%v\n%s", err, out)
	}
	for _, never := range []string{"张三丰", "130000000000000001"} {
		if strings.Contains(out, never) {
			t.Errorf("the audit holds %s", never)
		}
	}
	for _, want := range []string{`"kind":"token_added"`, `"kind":"token_revoked"`, `"kind":"reconciled"`, `"subject":"desk [refund]"`, `"operator":"` + osUser() + `"`} {
		if !strings.Contains(out, want) {
			t.Errorf("the audit lacks %s:\n%s", want, out)
		}
	}
	// Somebody makes the amount smaller.
	list, err := filepath.Glob(filepath.Join(auditDir(c), "*.jsonl"))
	if err != nil || len(list) == 0 {
		t.Fatal(list, err)
	}
	data, err := os.ReadFile(list[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(list[0], bytes.Replace(data, []byte("12850"), []byte("12050"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, _, err = closing(t, "audit", "verify", "--config", file); !errors.Is(err, exitFound) || !strings.Contains(out, "line_edited") {
		t.Errorf("%v\n%s", err, out)
	}
}

// askOnce asks the running agent by the commands' own client.
func askOnce(t *testing.T, file, path string) ([]byte, error) {
	t.Helper()
	c, err := config.Load(file)
	if err != nil {
		return nil, err
	}
	cl, err := newClient(c)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	_, err = cl.stream(t.Context(), c, http.MethodGet, path, nil, &b)
	return b.Bytes(), err
}

func TestClosingUsage(t *testing.T) {
	for _, args := range [][]string{{"report"}, {"report", "--x"}, {"report", "--config", "f", "more"}, {"audit"}, {"audit", "x", "--config", sampleFile}, {"reconcile"}} {
		if _, _, err := closing(t, args...); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
	for _, args := range [][]string{{"report", "--help"}, {"audit", "--help"}, {"reconcile", "-h"}} {
		if out, _, err := closing(t, args...); err != nil || out != closingUsage {
			t.Errorf("%q: %v %s", args, err, out)
		}
	}
}
