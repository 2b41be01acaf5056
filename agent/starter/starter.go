// Package starter makes a configuration out of a few answers: a profile for the
// hardware, the hospital, the platform, the till and its scanner. It is pure:
// what it makes is text, which the caller checks and writes.
package starter

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"payagent/agent/enrol"
)

// Answers are what the questions ask for, as payagent init --answers reads
// them from JSON.
type Answers struct {
	// Profile is the hardware: scanbox, kiosk or counter.
	Profile string `json:"profile"`
	// HospitalID is the platform's number of the hospital, HospitalName its
	// name for people. Test marks every screen 测试 until it is false.
	HospitalID   string   `json:"hospital_id"`
	HospitalName string   `json:"hospital_name"`
	Test         *bool    `json:"test,omitempty"` // true by default
	Platform     Platform `json:"platform"`
	Tills        []Till   `json:"tills"`
	// DataDir and Listen replace the profile's, where given.
	DataDir string   `json:"data_dir,omitempty"`
	Listen  []string `json:"listen,omitempty"`
}

// Platform is the payment platform and how it knows this hospital.
type Platform struct {
	Driver string `json:"driver"` // fwc, smartpay or lc
	URL    string `json:"url"`
	// PlainHTTP accepts an http:// address: whoever sits on the way can read
	// the token and change answers.
	PlainHTTP bool   `json:"allow_plain_http,omitempty"`
	Merchant  string `json:"merchant,omitempty"`   // merchant code, where the platform has one
	Token     string `json:"token,omitempty"`      // access token; written into a file of its own
	TokenFile string `json:"token_file,omitempty"` // or a file that holds it already
	// SmartPay: the codes of the three calls, which the platform gives, its
	// transport and client id.
	Transport        string            `json:"transport,omitempty"`
	ClientID         string            `json:"client_id,omitempty"`
	TransactionCodes *TransactionCodes `json:"transaction_codes,omitempty"`
	// lc: the app id and the files with keys.
	AppID        string   `json:"app_id,omitempty"`
	PrivateKey   string   `json:"private_key_file,omitempty"`
	PlatformKeys []string `json:"platform_key_files,omitempty"`
}

// TransactionCodes are SmartPay's names for its calls.
type TransactionCodes struct {
	SweepCodePay    string `json:"sweep_code_pay"`
	QueryOrderState string `json:"query_order_state"`
	Revoke          string `json:"revoke"`
}

// Till is a place that takes money.
type Till struct {
	_            [0]func() // never compared: no code is made for it
	Name         string    `json:"name"`
	Title        string    `json:"title,omitempty"`
	DeviceNo     string    `json:"device_no"`
	OperatorID   string    `json:"operator_id,omitempty"`
	OperatorName string    `json:"operator_name,omitempty"`
	Scanner      *Scanner  `json:"scanner,omitempty"` // nil: none
}

// Scanner is a scanner of a till; the fields are those of the configuration.
type Scanner struct {
	_         [0]func() // never compared: no code is made for it
	Driver    string    `json:"driver,omitempty"` // hid, serial or wedge; may be left out with a model
	Model     string    `json:"model,omitempty"`
	Interface string    `json:"interface,omitempty"`
	Port      string    `json:"port,omitempty"` // USB place
	Path      string    `json:"path,omitempty"` // serial port
	ID        string    `json:"id,omitempty"`   // USB vendor:product
}

// Profiles are the names of the profiles.
func Profiles() []string { return []string{"scanbox", "kiosk", "counter"} }

// Drivers are the platforms' drivers.
func Drivers() []string { return []string{"fwc", "smartpay", "lc"} }

var tillName = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z._-]{0,31}$`)

// printable refuses what could break out of a line.
func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// CheckProfile, and the functions below, judge one answer as it is given. The
// error says how it must look, in both languages.
func CheckProfile(s string) error {
	if !slices.Contains(Profiles(), s) {
		return bad("请写 scanbox（扫码盒）、kiosk（自助机）或 counter（收费窗口）", "write scanbox, kiosk or counter")
	}
	return nil
}

// CheckHospitalID judges the platform's number of the hospital.
func CheckHospitalID(s string) error {
	if s == "" || len(s) > 32 || !printable(s) || strings.ContainsAny(s, " \t") {
		return bad("平台分配的医院编号，1 到 32 个字符，无空格", "the platform's number of the hospital, 1 to 32 characters without blanks")
	}
	return nil
}

// CheckName judges a name for people.
func CheckName(s string) error {
	if strings.TrimSpace(s) == "" || len([]rune(s)) > 60 || !printable(s) {
		return bad("给人看的名称，1 到 60 个字", "a name for people, 1 to 60 characters")
	}
	return nil
}

// CheckDriver judges the name of a platform's driver.
func CheckDriver(s string) error {
	if !slices.Contains(Drivers(), s) {
		return bad("请写 fwc（联空）、smartpay（智付）或 lc（联空签名网关）", "write fwc, smartpay or lc")
	}
	return nil
}

// CheckURL judges a platform's address.
func CheckURL(s string, plain bool) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || !printable(s):
		return bad("请写完整地址，例如 https://pay.hospital.example:9001/linkingif.asmx", "write the whole address, e.g. https://pay.hospital.example:9001/linkingif.asmx")
	case strings.HasSuffix(u.Hostname(), ".invalid"):
		return bad("这是样例地址，请写平台给的地址", "this is the sample's address; write the platform's")
	case u.Scheme == "http" && !plain:
		return bad("http 没有加密：途中任何人都能读取授权码并篡改应答。请用 https；确实没有时写 allow_plain_http: true（--allow-plain-http）", "http is not encrypted: whoever sits on the way reads the token and can change answers. Write https, or allow it with allow_plain_http: true (--allow-plain-http)")
	}
	return nil
}

// CheckToken judges an access token.
func CheckToken(s string) error {
	if s == "" || len(s) > 1024 || !printable(s) || strings.TrimSpace(s) != s {
		return bad("授权码是一行文字，前后无空格", "a token is one line without blanks around it")
	}
	return nil
}

// CheckCode judges a number or code that the platform gave.
func CheckCode(s string) error {
	if s == "" || len(s) > 64 || !printable(s) || strings.ContainsAny(s, " \t") {
		return bad("平台给的编号，1 到 64 个字符，无空格；没有默认值，请向平台索取", "a code that the platform gives, 1 to 64 characters without blanks; there is no default, ask the platform")
	}
	return nil
}

// CheckTill judges the name of a till.
func CheckTill(s string) error {
	if !tillName.MatchString(s) {
		return bad("收费点名称：1 到 32 个字母、数字、点、连字符、下划线", "the till's name: 1 to 32 letters, digits, dots, hyphens, underscores")
	}
	return nil
}

func bad(zh, en string) error { return fmt.Errorf("%s。 %s", zh, en) }

// Check judges all answers at once.
func (a Answers) Check() error {
	var errs []error
	say := func(what string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", what, err))
		}
	}
	say("profile", CheckProfile(a.Profile))
	say("hospital_id", CheckHospitalID(a.HospitalID))
	say("hospital_name", CheckName(a.HospitalName))
	p := a.Platform
	say("platform.driver", CheckDriver(p.Driver))
	say("platform.url", CheckURL(p.URL, p.PlainHTTP))
	if p.Token != "" && p.TokenFile != "" {
		say("platform.token", bad("token 与 token_file 只写一个", "give token or token_file, not both"))
	}
	if p.Token != "" {
		say("platform.token", CheckToken(p.Token))
	}
	switch p.Driver {
	case "fwc":
		if p.Merchant == "" && p.Token == "" && p.TokenFile == "" {
			say("platform.token", bad("需要平台给的授权码或商户号", "the platform's token or merchant code is needed"))
		}
	case "smartpay":
		say("platform.merchant", CheckCode(p.Merchant))
		if p.Transport == "" || p.Transport == "wsgw_soap" || p.ClientID != "" {
			say("platform.client_id", CheckCode(p.ClientID))
		}
		codes := p.TransactionCodes
		if codes == nil {
			codes = &TransactionCodes{}
		}
		say("platform.transaction_codes.sweep_code_pay", CheckCode(codes.SweepCodePay))
		say("platform.transaction_codes.query_order_state", CheckCode(codes.QueryOrderState))
		say("platform.transaction_codes.revoke", CheckCode(codes.Revoke))
	case "lc":
		say("platform.app_id", CheckCode(p.AppID))
		say("platform.private_key_file", checkFile(p.PrivateKey))
	}
	if len(a.Tills) == 0 {
		say("tills", bad("至少一个收费点", "one till at least"))
	}
	for i, t := range a.Tills {
		at := fmt.Sprintf("tills[%d].", i)
		say(at+"name", CheckTill(t.Name))
		say(at+"device_no", CheckCode(t.DeviceNo))
		if a.Profile == "kiosk" || t.OperatorID != "" || t.OperatorName != "" {
			say(at+"operator_id", CheckCode(t.OperatorID))
			say(at+"operator_name", CheckName(t.OperatorName))
		}
		if s := t.Scanner; s != nil && s.Driver == "" && s.Model == "" {
			say(at+"scanner", bad("写 driver 或 model；没有扫码设备时不写 scanner", "name driver or model; leave scanner out where there is none"))
		}
		if slices.ContainsFunc(a.Tills[:i], func(o Till) bool { return o.Name == t.Name }) {
			say(at+"name", bad("名称重复", "the name is used twice"))
		}
	}
	return errors.Join(errs...)
}

func checkFile(s string) error {
	if s == "" || !printable(s) {
		return bad("写密钥文件的路径", "name the file with the key")
	}
	return nil
}

// Made is a configuration and the secrets that belong to it.
type Made struct {
	Text    string
	Secrets map[string]string // file → content
}

// Make puts answers into the text of a profile. Secrets go into files below
// secrets, a folder; slash tells how paths are joined there.
func Make(profile string, a Answers, secrets string) (Made, error) {
	if err := a.Check(); err != nil {
		return Made{}, err
	}
	m := Made{Text: strings.ReplaceAll(profile, "\r\n", "\n"), Secrets: map[string]string{}}
	tokenFile := a.Platform.TokenFile
	if a.Platform.Token != "" {
		tokenFile = join(secrets, "platform.token")
		m.Secrets[tokenFile] = a.Platform.Token + "\n"
	}
	// What the profile asks a person to fill in is filled in here.
	m.Text = strings.Join(slices.DeleteFunc(strings.SplitAfter(m.Text, "\n"), func(l string) bool {
		return strings.HasPrefix(l, "#") && strings.Contains(l, "fill in")
	}), "")
	set := func(block string) { m.Text = enrol.SetBlock(m.Text, block) }
	test := a.Test == nil || *a.Test
	set(fmt.Sprintf("site:\n  hospital_id: %s\n  name: %s\n  test: %v                        # 上线时改为 false / false when going live\n", quote(a.HospitalID), quote(a.HospitalName), test))
	if a.DataDir != "" {
		set("data_dir: " + quote(a.DataDir) + "\n")
		// The profile's log stands beside its own data_dir.
		if hasBlock(m.Text, "log") {
			set("log: {file: " + quote(join(join(a.DataDir, "log"), "payagent.log")) + "}\n")
		}
	}
	if len(a.Listen) > 0 {
		var list []string
		for _, l := range a.Listen {
			list = append(list, quote(l))
		}
		set("door:\n  listen: [" + strings.Join(list, ", ") + "]\n")
	}
	set(platformBlock(a.Platform))
	merchant := "merchants:\n  - profile: hospital\n    platform: platform\n"
	if a.Platform.Merchant != "" {
		merchant += "    merch_code: " + quote(a.Platform.Merchant) + "\n"
	}
	if tokenFile != "" {
		merchant += "    token_file: " + quote(tokenFile) + "\n"
	}
	set(merchant)
	set("routes:\n  - {merchant: hospital}\n")
	displays := displaysOf(m.Text)
	set(tillsBlock(a, displays))
	return m, nil
}

// join joins a file's name to a folder of this or another system.
func join(dir, name string) string {
	if strings.Contains(dir, `\`) {
		return strings.TrimRight(dir, `\`) + `\` + name
	}
	return path.Join(dir, name)
}

func hasBlock(text, name string) bool {
	return strings.HasPrefix(text, name+":") || strings.Contains(text, "\n"+name+":")
}

func platformBlock(p Platform) string {
	var b strings.Builder
	fmt.Fprintf(&b, "platforms:\n  - name: platform\n    driver: %s\n    url: %s\n", p.Driver, quote(p.URL))
	if strings.HasPrefix(strings.ToLower(p.URL), "http:") {
		b.WriteString("    allow_plain_http: true\n")
	}
	var options []string
	add := func(key, value string) {
		if value != "" {
			options = append(options, key+": "+quote(value))
		}
	}
	switch p.Driver {
	case "smartpay":
		if p.Transport == "" {
			p.Transport = "wsgw_soap"
		}
		add("transport", p.Transport)
		add("client_id", p.ClientID)
		c := p.TransactionCodes
		options = append(options, fmt.Sprintf("transaction_codes: {sweep_code_pay: %s, query_order_state: %s, revoke: %s}", quote(c.SweepCodePay), quote(c.QueryOrderState), quote(c.Revoke)))
	case "fwc":
		add("transport", p.Transport)
		// InhospitalNo is mandatory there, and outpatients have none.
		add("inhospital_fallback", "card_no")
	case "lc":
		add("app_id", p.AppID)
		add("private_key_file", p.PrivateKey)
		var keys []string
		for _, k := range p.PlatformKeys {
			keys = append(keys, quote(k))
		}
		if len(keys) > 0 {
			options = append(options, "platform_key_files: ["+strings.Join(keys, ", ")+"]")
		}
	}
	if len(options) > 0 {
		b.WriteString("    options:\n      " + strings.Join(options, "\n      ") + "\n")
	}
	return b.String()
}

// displaysOf finds the profile's displays, to be offered as comments.
func displaysOf(text string) []string {
	_, rest, ok := strings.Cut(text, "\n    displays:\n")
	if !ok {
		return nil
	}
	list := []string{"displays:"}
	for line := range strings.Lines(rest) {
		line = strings.TrimRight(line, "\n")
		if !strings.HasPrefix(line, "      - ") {
			break
		}
		list = append(list, strings.TrimPrefix(line, "    "))
	}
	return list
}

func tillsBlock(a Answers, displays []string) string {
	var b strings.Builder
	b.WriteString("tills:\n")
	kind := "counter"
	if a.Profile == "kiosk" {
		kind = "kiosk"
	}
	for _, t := range a.Tills {
		fmt.Fprintf(&b, "  - name: %s\n", quote(t.Name))
		if t.Title != "" {
			fmt.Fprintf(&b, "    title: %s\n", quote(t.Title))
		}
		fmt.Fprintf(&b, "    kind: %s\n    device_no: %s\n", kind, quote(t.DeviceNo))
		if t.OperatorID != "" {
			fmt.Fprintf(&b, "    operator: {id: %s, name: %s}\n", quote(t.OperatorID), quote(t.OperatorName))
		}
		if s := t.Scanner; s != nil {
			b.WriteString("    scanners:\n      - " + s.line(t.Name) + "\n")
		}
	}
	if len(displays) > 0 {
		b.WriteString("    # 机器带这些设备时去掉井号并改名 remove the hash signs where the box has these:\n")
		for _, d := range displays {
			b.WriteString("    # " + d + "\n")
		}
	}
	return b.String()
}

func (s Scanner) line(till string) string {
	parts := []string{"name: " + quote(till+"-pad")}
	add := func(list *[]string, key, value string) {
		if value != "" {
			*list = append(*list, key+": "+quote(value))
		}
	}
	add(&parts, "driver", s.Driver)
	add(&parts, "model", s.Model)
	add(&parts, "interface", s.Interface)
	parts = append(parts, "role: pad")
	var options []string
	add(&options, "port", s.Port)
	add(&options, "path", s.Path)
	add(&options, "id", s.ID)
	if len(options) > 0 {
		parts = append(parts, "options: {"+strings.Join(options, ", ")+"}")
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func quote(s string) string { return enrol.Quote(s) }
