package main

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"payagent/agent/config"
	"payagent/platforms"
	"payagent/platforms/bank"
	"payagent/platforms/bank/wire"
	"payagent/platforms/fwc/fwctest"
	"payagent/platforms/lc/lcsuite"
	"payagent/platforms/lc/lctest"
)

// site writes a gateway's keys and gives a configuration with it. options are
// added to those of the gateway; profile is the merchant profile.
func lcSite(t *testing.T, k lcsuite.Keys, options, profile string) (config.Config, string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"own.key": lcsuite.PrivatePEM(k.Merchant).Reveal(), "platform.pub": lcsuite.PublicPEM(k.Gateway).Reveal(), "fwc.token": fwctest.Token + "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text := `data_dir: ` + dir + `
platforms:
  - name: gateway
    driver: lc
    url: http://gateway.invalid/gateway
    allow_plain_http: true
    options:
      app_id: "` + lctest.AppID + `"
      private_key_file: ` + dir + `/own.key
      platform_key_files: [` + dir + `/platform.pub]
` + options + `
  - {name: front, driver: fwc, url: "http://front.invalid/linkingif.asmx", allow_plain_http: true}
  - {name: zhifu, driver: smartpay, url: "http://zhifu.invalid/", allow_plain_http: true, options: {transport: raw_xml_post, client_id: X, transaction_codes: {sweep_code_pay: "1", query_order_state: "2", revoke: "3"}}}
merchants:
  - {profile: online, platform: gateway` + strings.ReplaceAll(profile, "DIR", dir) + `}
tills: [{name: w1, kind: counter, device_no: "W1", operator: {id: "1", name: 王}}]
routes: [{merchant: online}]
`
	file := filepath.Join(dir, "payagent.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	return c, file
}

// both is the gateway and the FWC front over the same books.
type both struct{ gateway, front http.RoundTripper }

func (b both) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host == "gateway.invalid" {
		return b.gateway.RoundTrip(r)
	}
	return b.front.RoundTrip(r)
}

func openBoth(t *testing.T, c config.Config, k lcsuite.Keys) (platforms.Platform, *bank.Bank, both, error) {
	t.Helper()
	b := bank.New(bank.Options{})
	way := both{
		gateway: wire.Direct(lctest.New(b, lctest.Options{Merchant: &k.Merchant.PublicKey, Key: k.Gateway}).Handler()),
		front:   wire.Direct(fwctest.Handler(b, fwctest.Options{})),
	}
	opened := map[string]platforms.Platform{}
	for _, p := range c.Platforms {
		var err error
		if opened[p.Name], err = openPlatform(c, p, way); err != nil {
			return nil, nil, way, err
		}
	}
	err := join(c, opened)
	return opened["gateway"], b, way, err
}

func keysFor(t *testing.T) lcsuite.Keys {
	t.Helper()
	k, err := lcsuite.NewKeys(1024)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// counted counts the calls that leave for each host.
type counted struct {
	http.RoundTripper
	calls *[]string
}

func (c counted) RoundTrip(r *http.Request) (*http.Response, error) {
	*c.calls = append(*c.calls, r.URL.Host)
	return c.RoundTripper.RoundTrip(r)
}

// TestJoined: who is asked for queries and refunds.
func TestJoined(t *testing.T) {
	k := keysFor(t)
	for name, x := range map[string]struct {
		options, profile string
		query, refund    string // the host that is asked
		noQuery          bool
	}{
		"alone":                    {"", "", "gateway.invalid", "gateway.invalid", false},
		"alone with a token":       {"", ", token_file: DIR/fwc.token", "gateway.invalid", "gateway.invalid", false},
		"refund via":               {"      refund_via: front", ", token_file: DIR/fwc.token", "gateway.invalid", "front.invalid", false},
		"refund via without token": {"      refund_via: front", "", "gateway.invalid", "gateway.invalid", false},
		"query fwc":                {"      query: fwc\n      query_via: front", ", token_file: DIR/fwc.token", "front.invalid", "gateway.invalid", false},
		"both":                     {"      query: fwc\n      query_via: front\n      refund_via: front", ", token_file: DIR/fwc.token", "front.invalid", "front.invalid", false},
		"none":                     {"      query: none", "", "", "gateway.invalid", true},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := lcSite(t, k, x.options, x.profile)
			b := bank.New(bank.Options{})
			var calls []string
			way := counted{both{
				gateway: wire.Direct(lctest.New(b, lctest.Options{Merchant: &k.Merchant.PublicKey, Key: k.Gateway}).Handler()),
				front:   wire.Direct(fwctest.Handler(b, fwctest.Options{})),
			}, &calls}
			opened := map[string]platforms.Platform{}
			for _, p := range c.Platforms {
				var err error
				if opened[p.Name], err = openPlatform(c, p, way); err != nil {
					t.Fatal(err)
				}
			}
			if err := join(c, opened); err != nil {
				t.Fatal(err)
			}
			p := opened["gateway"]
			for what, ok := range map[string]bool{
				"Checker": is[platforms.Checker](p), "Charger": is[platforms.Charger](p), "Presenter": is[platforms.Presenter](p), "Refunder": is[platforms.Refunder](p),
				"Prober": is[platforms.Prober](p), "Insurer": is[platforms.Insurer](p), "Notifier": is[platforms.Notifier](p),
			} {
				if !ok {
					t.Errorf("it is no %s any more", what)
				}
			}
			charge := lcsuite.Charge(platforms.ModeCharge, "MZ260101LC00000001", 8888)
			a, err := p.(platforms.Charger).Charge(t.Context(), charge)
			if err != nil || a.Status != platforms.Paid {
				t.Fatalf("%+v, %v", a, err)
			}
			calls = nil
			q, err := p.Query(t.Context(), charge.Ref)
			if x.noQuery {
				if !errors.Is(err, platforms.ErrUnsupported) || !p.Traits().NoQuery || p.Traits().FindsByNumber || len(calls) != 0 {
					t.Errorf("%+v, %v, traits %+v", q, err, p.Traits())
				}
			} else if err != nil || q.Status != platforms.Paid || len(calls) != 1 || calls[0] != x.query || p.Traits().NoQuery || !p.Traits().FindsByNumber {
				t.Errorf("query: %+v, %v; asked %v", q, err, calls)
			}
			calls = nil
			r := platforms.Refund{Ref: charge.Ref, RequestNo: "R1", Sum: 888, Channel: platforms.WeChat}
			r.TradeNo = a.TradeNo
			if err := p.(platforms.Checker).CheckRefund(r); err != nil {
				t.Error(err)
			}
			f, err := p.(platforms.Refunder).Refund(t.Context(), r)
			if err != nil || f.Status != platforms.RefundDone || f.Total != 888 || len(calls) != 1 || calls[0] != x.refund || b.Net(charge.OrderNo) != 8000 {
				t.Errorf("refund: %+v, %v; asked %v", f, err, calls)
			}
		})
	}
}

func is[T any](v any) bool {
	_, ok := v.(T)
	return ok
}

// TestLCRefused: what is wrong is named with its key before anything is sent.
func TestLCRefused(t *testing.T) {
	k := keysFor(t)
	for name, x := range map[string]struct{ options, profile, want string }{
		"no platform to ask":     {"      query: fwc", "", "query_via"},
		"asked without a word":   {"      query_via: front", "", "query_via"},
		"unknown platform":       {"      refund_via: other", "", `no platform "other"`},
		"platform of another":    {"      refund_via: zhifu", "", "driver fwc"},
		"query without a token":  {"      query: fwc\n      query_via: front", "", "token_file"},
		"query of nobody":        {"      query: telepathy", "", "query"},
		"unknown key":            {"      verify: strict", "", "verify"},
		"hash":                   {"      hash: md5", "", "hash"},
		"policy":                 {"      verify_reply: maybe", "", "verify_reply"},
		"region":                 {"      region: mars", "", "region"},
		"status as refusal":      {"      refusal_codes: [TRADE_CLOSED]", "", "refusal_codes"},
		"payment type twice":     {"      payment_types: {wechat: alipay, alipay: alipay}", "", "payment type"},
		"notify_url":             {"      notify_url: /notify", "", "notify_url"},
		"length of sign_type":    {"      sign_type: rsa2withmore", "", "sign_type"},
		"age":                    {"      notice_max_age: -1s", "", "notice_max_age"},
		"method for several":     {"      aggregated_method: pay", "", "aggregated_method"},
		"address of the consent": {"      auth_url: nowhere", "", "auth_url"},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := lcSite(t, k, x.options, x.profile)
			if _, _, _, err := openBoth(t, c, k); err == nil || !strings.Contains(err.Error(), x.want) {
				t.Errorf("error %v, want one about %s", err, x.want)
			}
		})
	}
	for name, x := range map[string]struct {
		spoil func(dir string) error
		want  string
	}{
		"key that others read": {func(dir string) error { return os.Chmod(dir+"/own.key", 0o644) }, "chmod 600"},
		"no key":               {func(dir string) error { return os.Remove(dir + "/own.key") }, "own.key"},
		"no platform key":      {func(dir string) error { return os.Remove(dir + "/platform.pub") }, "platform_key_files"},
		"public for private": {func(dir string) error {
			return os.WriteFile(dir+"/own.key", []byte(lcsuite.PublicPEM(k.Gateway).Reveal()), 0o600)
		}, "PRIVATE KEY"},
		"empty": {func(dir string) error { return os.WriteFile(dir+"/own.key", nil, 0o600) }, "empty"},
	} {
		t.Run(name, func(t *testing.T) {
			c, file := lcSite(t, k, "", "")
			if err := x.spoil(filepath.Dir(file)); err != nil {
				t.Fatal(err)
			}
			if _, _, _, err := openBoth(t, c, k); err == nil || !strings.Contains(err.Error(), x.want) {
				t.Errorf("error %v, want one about %s", err, x.want)
			}
		})
	}
}

// A renewed key is another mark, so that orders refused for the old one go on.
func TestKeyMark(t *testing.T) {
	k := keysFor(t)
	c, file := lcSite(t, k, "", "")
	before := tokenMark(c)("online")
	if err := os.WriteFile(filepath.Join(filepath.Dir(file), "own.key"), []byte(lcsuite.PrivatePEM(k.Stranger).Reveal()), 0o600); err != nil {
		t.Fatal(err)
	}
	if after := tokenMark(c)("online"); before == "" || after == before {
		t.Errorf("mark %q before, %q after", before, after)
	}
}

// TestSampleLC: the sample is right, but for the files that a site has.
func TestSampleLC(t *testing.T) {
	text, err := os.ReadFile("../../../install/payagent.lc.yaml")
	if err != nil {
		t.Fatal(err)
	}
	k, dir := keysFor(t), t.TempDir()
	for name, key := range map[string]platforms.Hidden{"lc-merchant.key": lcsuite.PrivatePEM(k.Merchant), "lc-platform.pub": lcsuite.PublicPEM(k.Gateway)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(key.Reveal()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, change := range map[string]func(string) string{
		"as it is": func(s string) string { return s },
		"with comments": func(s string) string {
			return regexp.MustCompile(`(?m)^      # ([a-z_]+: )`).ReplaceAllString(s, "      $1")
		},
	} {
		t.Run(name, func(t *testing.T) {
			changed := change(strings.ReplaceAll(string(text), "/etc/payagent", dir))
			if name != "as it is" && !strings.Contains(changed, "\n      query: fwc") {
				t.Fatal("the examples in comments were not found")
			}
			c, err := config.Parse("payagent.lc.yaml", []byte(changed))
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			// The token's file is missing here; nothing else may be wrong.
			if err := checkConfig(c, &out); err == nil || strings.Count(err.Error(), "\n") != 1 || !strings.Contains(err.Error(), "fwc.token") {
				t.Errorf("error %v", err)
			}
		})
	}
}

// TestDoctorSign prints the text that was signed, and no secret of it.
func TestDoctorSign(t *testing.T) {
	k := keysFor(t)
	_, file := lcSite(t, k, "", "")
	const biz = `{"out_trade_no":"MZ1","auth_code":"134567890123456789","patient_name":"欧阳测试","list":[{"card_info":{"no":"310"}}],"subject":"a & b"}`
	var out bytes.Buffer
	err := doctorCommand(t.Context(), []string{"sign", "--config", file, "--platform", "gateway", "--method", "lc.trade.barcode.pay", "--biz", "-"}, strings.NewReader(biz+"\r\n"), &out)
	if err != nil {
		t.Fatal(err)
	}
	got := out.String()
	for _, secret := range []string{"134567890123456789", "欧阳测试", `"310"`} {
		if strings.Contains(got, secret) {
			t.Errorf("%s is shown", secret)
		}
	}
	line := regexp.MustCompile(`(?m)^app_id=.*$`).FindString(got)
	masked := `biz_content={"out_trade_no":"MZ1","auth_code":"******************","patient_name":"****","list":[{"card_info":************}],"subject":"a & b"}&method=lc.trade.barcode.pay&nonce_str=`
	if !strings.HasPrefix(line, "app_id="+lctest.AppID+"&"+masked) || !regexp.MustCompile(`&nonce_str=[0-9a-f]{32}&sign_type=rsa&timestamp=20\d\d-\d\d-\d\d \d\d:\d\d:\d\d$`).MatchString(line) {
		t.Errorf("it shows\n%s", line)
	}
	// The digest is that of the whole text.
	whole := strings.NewReplacer(`"******************"`, `"134567890123456789"`, `"****"`, `"欧阳测试"`, `************`, `{"no":"310"}`).Replace(line)
	sum := sha1.Sum([]byte(whole))
	if !strings.Contains(got, hex.EncodeToString(sum[:])) || !strings.Contains(got, "RSA 1024") || !strings.Contains(got, "sha1") {
		t.Errorf("it shows\n%s", got)
	}
	for name, args := range map[string][]string{
		"nothing":     {},
		"another":     {"cure"},
		"no platform": {"sign", "--config", file},
		"no such":     {"sign", "--config", file, "--platform", "x"},
		"unsigned":    {"sign", "--config", file, "--platform", "front"},
		"method":      {"sign", "--config", file, "--platform", "gateway", "--method", "pay"},
		"no file":     {"sign", "--config", file, "--platform", "gateway", "--biz", file + ".none"},
	} {
		if err := doctorCommand(t.Context(), args, strings.NewReader(""), io.Discard); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	err = doctorCommand(t.Context(), []string{"sign", "--config", file, "--platform", "gateway", "--biz", "-"}, strings.NewReader(`{"memo":"备注","biz_code:"20170408"}`), io.Discard)
	if err == nil || !strings.Contains(err.Error(), "at byte 29") {
		t.Errorf("error %v", err)
	}
	if err := doctorCommand(t.Context(), []string{"sign", "--config", file, "--platform", "gateway"}, strings.NewReader(""), &out); err != nil || !strings.Contains(out.String(), "PAYAGENTPROBE") {
		t.Error(err)
	}
}
