package lc_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"payagent/platforms"
	"payagent/platforms/internal/strictjson"
	"payagent/platforms/lc"
	"payagent/platforms/lc/internal/sign"
	"payagent/platforms/lc/lcsuite"
)

// The methods of the seed and of live clients.
const (
	opH5      = "lc.trade.h5.pay"
	opBarcode = "lc.trade.barcode.pay"
	opQRCode  = "lc.trade.qrcode.pay"
	opSeveral = "lc.trade.polymerization.pay"
	opQuery   = "lc.trade.query"
	opClose   = "lc.trade.close"
	opCancel  = "lc.trade.cancel"
	opRefund  = "lc.trade.refund"
	opToken   = "lc.ssc.user.token"
	opSSC     = "lc.ssc.trade.pay"
)

// seedApp is the app_id of the seed's samples.
const seedApp = "2014072300007148"

func now() time.Time { return time.Date(2014, 7, 23, 19, 7, 50, 0, time.UTC) } // 2014-07-24 03:07:50 in UTC+8

// sample reads a sample of seed 004 §6 as it is printed there.
func sample(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "seed", name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimRight(string(b), "\n")
}

// exchange is a way that keeps the request and answers with what the test says.
type exchange struct {
	form   url.Values
	method string
	// answer makes the reply's body from the request's form.
	answer func(form url.Values) string
	kind   string
}

func (e *exchange) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if e.form, err = url.ParseQuery(string(body)); err != nil {
		return nil, err
	}
	e.method = e.form.Get("method")
	text := ""
	if e.answer != nil {
		text = e.answer(e.form)
	}
	kind := e.kind
	if kind == "" {
		kind = "application/json; charset=utf-8"
	}
	return &http.Response{
		StatusCode: 200, Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(strings.NewReader(text)), ContentLength: int64(len(text)),
	}, nil
}

// seedConfig is a configuration for the seed's samples.
func seedConfig(k lcsuite.Keys, change func(*lc.Config)) lc.Config {
	cfg := lcsuite.Config(k)
	cfg.AppID, cfg.Now, cfg.Rand = seedApp, now, rand.Reader
	cfg.PlatformKeys = []platforms.Hidden{lcsuite.PublicPEM(k.Gateway)}
	cfg.NotifyURL, cfg.ReturnURL = "http://www.linkingcloud.cm/paynotify/", "http://www.linkingcloud.cm/paysuccesscallback/"
	if change != nil {
		change(&cfg)
	}
	return cfg
}

func open(t testing.TB, k lcsuite.Keys, e http.RoundTripper, change func(*lc.Config)) *lc.Platform {
	t.Helper()
	p, err := lc.New(e, seedConfig(k, change))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// signed signs a document of the gateway over the bytes of its biz_content as
// they stand (or without blanks) and puts the signature in. It looks at the
// document with nothing of the adapter's but the recipe.
func signed(t testing.TB, key *rsa.PrivateKey, doc string, compact bool) string {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(doc), &members); err != nil {
		t.Fatalf("%v in %s", err, doc)
	}
	var params []sign.Param
	for name, v := range members {
		var s string
		switch {
		case string(v) == "null" || name == "sign":
			continue
		case json.Unmarshal(v, &s) == nil:
		case compact:
			s = string(strictjson.Compact(v))
		default:
			s = string(v)
		}
		params = append(params, sign.Param{Name: name, Value: s})
	}
	signature, err := sign.Sign(key, sign.SHA1, sign.Text(params, true))
	if err != nil {
		t.Fatal(err)
	}
	if old := regexp.MustCompile(`"sign": ?"[^"]*"`); old.MatchString(doc) {
		return old.ReplaceAllLiteralString(doc, `"sign":"`+signature+`"`)
	}
	return strings.TrimSuffix(strings.TrimSpace(doc), "}") + `,"sign":"` + signature + `"}`
}

// answers makes an exchange whose replies have the given biz_content, code and
// msg, signed by the gateway's key.
func answers(t testing.TB, k lcsuite.Keys, code, msg, biz string) *exchange {
	e := &exchange{}
	e.answer = func(form url.Values) string {
		return signed(t, k.Gateway, reply(form, code, msg, biz), false)
	}
	return e
}

// reply is a reply without a signature.
func reply(form url.Values, code, msg, biz string) string {
	q := func(s string) string { b, _ := json.Marshal(s); return string(b) }
	return `{"app_id":` + q(form.Get("app_id")) + `,"method":` + q(form.Get("method")) + `,"timestamp":"2014-07-24 03:07:50","nonce_str":` +
		q(form.Get("nonce_str")) + `,"code":` + q(code) + `,"msg":` + q(msg) + `,"biz_content":` + biz + `,"sign_type":"rsa"}`
}

// printed writes a form as the seed prints requests: sorted, raw, unencoded.
func printed(form url.Values) string {
	var names []string
	for name := range form {
		names = append(names, name)
	}
	sort.Strings(names)
	for i, name := range names {
		names[i] = name + "=" + form.Get(name)
	}
	return strings.Join(names, "&")
}

// do makes the call of a method with every field filled.
func do(t testing.TB, p *lc.Platform, method string) (any, error) {
	t.Helper()
	c := lcsuite.Charge(platforms.ModeCharge, "MZ20220101010101001", 8888)
	c.Code.Hidden = platforms.Hide("134567890123456789")
	present := func(mode platforms.Mode, change func(*platforms.Charge)) (any, error) {
		c := lcsuite.Charge(mode, "MZ20220101010101001", 8888)
		c.Web.AgreementParams = `{"withholding_id":"1"}`
		if change != nil {
			change(&c)
		}
		return p.Present(t.Context(), c)
	}
	switch method {
	case opBarcode:
		return p.Charge(t.Context(), c)
	case opQRCode:
		return present(platforms.ModePresent, nil)
	case opSeveral:
		return present(platforms.ModePresent, func(c *platforms.Charge) { c.Aggregated = true })
	case opH5:
		return present(platforms.ModeH5, nil)
	case opSSC:
		return present(platforms.ModeInsurance, fullInsurance)
	case opQuery:
		return p.Query(t.Context(), c.Ref)
	case opCancel:
		return p.Cancel(t.Context(), c.Ref)
	case opClose:
		c.Ref.Mode = platforms.ModeH5
		return p.Cancel(t.Context(), c.Ref)
	case opRefund:
		r := platforms.Refund{Ref: c.Ref, RequestNo: "R1", Sum: 888, Channel: platforms.WeChat, Reason: "退号"}
		r.TradeNo = "2016082221001004590259242589"
		return p.Refund(t.Context(), r)
	case opToken:
		return p.InsuranceToken(t.Context(), fullAsk())
	}
	t.Fatal("no such method", method)
	return nil, nil
}

func allMethods() []string {
	return []string{opBarcode, opQRCode, opSeveral, opH5, opQuery, opClose, opCancel, opRefund, opToken, opSSC}
}

// fullInsurance fills every field that an insurance payment can have.
func fullInsurance(c *platforms.Charge) {
	i := &c.Insurance
	i.Scene, i.Insured, i.Cash, i.Reduced, i.HasReduced = "TREATMENT", 5000, 3800, 88, true
	i.BillNo, i.CreditOrg, i.AuthCode, i.ECQRCode = "B-1", "ORG1", platforms.Hide("28763443825664394"), platforms.Hide("EC-QR-1")
	i.EshiminAuthCode, i.PayScene, i.PayQRCode = platforms.Hide("ESHIMIN-1"), "miniprogram", platforms.Hide("AUTH15010020221010")
}

func fullAsk() platforms.InsuranceAsk {
	return platforms.InsuranceAsk{
		Channel: platforms.WeChat, UserID: platforms.Hide("oAbCdEfGhIjKlMnOpQrStUvWxYz0"), AuthCode: platforms.Hide("28763443825664394"),
		PatientName: platforms.Hide("欧阳测试甲"), PatientIDNo: platforms.Hide("11010119900307123X"), CityCode: "310100", InsType: "YB",
		KinsfolkName: platforms.Hide("欧阳测试乙"), KinsfolkIDNo: platforms.Hide("110101201001011234"), ThirdOpenID: platforms.Hide("third-1"),
	}
}

// bizNames lists the members of a biz_content.
func bizNames(t testing.TB, biz string) []string {
	t.Helper()
	members, err := strictjson.Members([]byte(biz))
	if err != nil {
		t.Fatalf("%v in %s", err, biz)
	}
	var out []string
	for _, m := range members {
		out = append(out, m.Name)
	}
	return out
}

func has(list []string, s string) bool { return slices.Contains(list, s) }

// describe writes all that an answer says, hidden or not.
func describe(got any) string {
	text := fmt.Sprintf("%+v", got)
	switch a := got.(type) {
	case platforms.Answer:
		text += a.Buyer.Reveal()
	case platforms.InsuranceToken:
		text += a.QRCode.Reveal() + a.CardInfo.Reveal() + a.PayAuthNo.Reveal()
	}
	return text
}
