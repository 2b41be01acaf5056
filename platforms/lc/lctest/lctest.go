// Package lctest is the LinkingCloud open gateway as far as the wire of seed
// 004 §6 and its live clients show it, over the books of package bank, with
// real RSA keys on both sides. It is for tests and for the pretend world.
//
// What is signed and how (package sign) is shared with the adapter, because
// there is one such recipe; a vector from elsewhere holds both to it. All else,
// reading requests and writing replies, is written from the seed's samples and
// shares nothing, so that an error in one does not hide in the other.
//
// Requests are held to the tables: signature, nonce used once, mandatory fields
// and lengths. The gateway notifies TRADE_SUCCESS and TRADE_CLOSED, and
// TRADE_FINISHED and WAIT_BUYER_PAY where it is told to (§6.2).
//
// Where the seed is silent (code, msg, sub_code, the replies of methods without
// a sample) the words are made up after wire.md §3.1.
package lctest

import (
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"payagent/platforms"
	"payagent/platforms/bank"
	"payagent/platforms/bank/wire"
	"payagent/platforms/lc/internal/sign"
)

// AppID is the application that a Gateway serves where Options name none.
const AppID = "LCOP20260101120000001"

// CredentialCode is the sub_code by which a Gateway refuses app_id or signature.
const CredentialCode = "INVALID_SIGNATURE"

// Options say how a Gateway behaves.
type Options struct {
	// Control decides what goes wrong, and its Wrap is the caller's business;
	// nil makes one from Now and Script.
	Control *wire.Control
	// Now tells the time since the world began; nil is the real clock. Unused
	// where Control is given.
	Now func() time.Duration
	// Script is asked once per charge; nil is bank.ScriptFor. Unused where
	// Control is given.
	Script func(amount platforms.Fen, code string) bank.Script

	AppID string // default AppID
	// Merchant verifies requests, Key signs replies and notices. Required.
	Merchant *rsa.PublicKey
	Key      *rsa.PrivateKey
	// SHA256 signs and verifies with SHA-256 and sign_type rsa2.
	SHA256 bool
	// ExcludeSignType leaves sign_type out of what is signed.
	ExcludeSignType bool
	// UnsignedErrors leaves the signature out of replies that report a failure.
	UnsignedErrors bool
	// Numbers writes amounts as JSON numbers, as the seed's samples have them.
	Numbers bool

	Epoch time.Time // wall time at which the world began, default 2026-01-01 00:00 UTC+8

	// QR makes the text of a QR code, Goto the address of a payment page; nil
	// gives addresses that end in the order number.
	QR   func(orderNo string) string
	Goto func(orderNo string) string

	// Deliver is handed every notice of an order that named a notify_url. It
	// may be called with the bank's mutex held: it must not call the bank. Nil
	// drops them.
	Deliver func(Notice)
	// NotifyFinished and NotifyWaiting switch on what is off by default.
	NotifyFinished, NotifyWaiting bool
	// NotifyByBody sends notices as a form; otherwise in the query of the
	// address, as the seed's sample has it.
	NotifyByBody bool
}

// Gateway is one gateway. Its methods may be called from several goroutines.
type Gateway struct {
	opt  Options
	ctl  *wire.Control
	bank *bank.Bank

	mu     sync.Mutex
	nonces map[string]bool
	orders map[string]order // by number: what the books do not know
	count  int              // of notices, for their nonces
}

// order is what a request said about an order and the books do not keep.
type order struct {
	notifyURL, returnURL, payType, method string
}

// New makes a gateway over the books of b.
func New(b *bank.Bank, opt Options) *Gateway {
	if opt.AppID == "" {
		opt.AppID = AppID
	}
	if opt.Epoch.IsZero() {
		opt.Epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, zone())
	}
	if opt.QR == nil {
		opt.QR = func(no string) string { return "https://qr.linkingcloud.invalid/pay?o=" + no }
	}
	if opt.Goto == nil {
		opt.Goto = func(no string) string { return "https://openapi.linkingcloud.invalid/goto/" + no }
	}
	if opt.Now == nil {
		start := time.Now()
		opt.Now = func() time.Duration { return time.Since(start) }
	}
	if opt.Script == nil {
		opt.Script = bank.ScriptFor
	}
	g := &Gateway{opt: opt, ctl: opt.Control, bank: b, nonces: map[string]bool{}, orders: map[string]order{}}
	if g.ctl == nil {
		g.ctl = wire.New(wire.Options{Clock: opt.Now, Script: opt.Script})
	}
	return g
}

func zone() *time.Location { return time.FixedZone("UTC+8", 8*60*60) }

// Handler serves the gateway on every path.
func (g *Gateway) Handler() http.Handler {
	if g.opt.Control != nil {
		return http.HandlerFunc(g.serve)
	}
	return g.ctl.Wrap(http.HandlerFunc(g.serve))
}

// request is a request taken out of its form.
type request struct {
	appID, method, nonce string
	biz                  map[string]string // texts, and JSON of anything else; null is left out
	wrong                string            // why it cannot be served
	credentials          bool              // app_id or signature are wrong
}

func (r request) get(name string) string { return r.biz[name] }

func (g *Gateway) serve(w http.ResponseWriter, r *http.Request) {
	if g.pages(w, r) {
		return
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	body, err := io.ReadAll(r.Body)
	if err != nil || r.Method != http.MethodPost || kind != "application/x-www-form-urlencoded" {
		http.Error(w, "POST a form", http.StatusMethodNotAllowed)
		return
	}
	req := g.read(string(body))
	g.ctl.Answer(w, r, describe(req), func(turn wire.Turn) wire.Reply {
		return wire.Reply{Type: "application/json; charset=utf-8", Body: g.reply(req, turn)}
	})
}

// read takes a request apart and checks its signature.
func (g *Gateway) read(body string) request {
	values, err := url.ParseQuery(body)
	if err != nil {
		return request{wrong: "the form is not readable"}
	}
	var params []sign.Param
	one := map[string]string{}
	for name, all := range values {
		if len(all) != 1 {
			return request{wrong: name + " occurs twice"}
		}
		one[name] = all[0]
		params = append(params, sign.Param{Name: name, Value: all[0]})
	}
	req := request{appID: one["app_id"], method: one["method"], nonce: one["nonce_str"]}
	if req.appID != g.opt.AppID || one["sign_type"] != g.signType() ||
		sign.Verify([]*rsa.PublicKey{g.opt.Merchant}, g.hash(), one["sign"], sign.Text(params, !g.opt.ExcludeSignType)) != nil {
		req.credentials = true
	}
	if _, err := time.ParseInLocation("2006-01-02 15:04:05", one["timestamp"], zone()); err != nil {
		req.wrong = "timestamp is wrong"
	}
	if n := len(req.nonce); n == 0 || n > 32 {
		req.wrong = "nonce_str is wrong"
	}
	if req.biz, err = decode(one["biz_content"]); err != nil {
		req.wrong = "biz_content is no JSON object"
	}
	return req
}

// decode reads biz_content with the standard decoder.
func decode(text string) (map[string]string, error) {
	d := json.NewDecoder(strings.NewReader(text))
	var raw map[string]json.RawMessage
	if err := d.Decode(&raw); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("something stands behind the end: %w", err)
	}
	out := map[string]string{}
	for name, v := range raw {
		var s string
		switch {
		case string(v) == "null":
		case json.Unmarshal(v, &s) == nil:
			out[name] = s
		default:
			out[name] = string(v)
		}
	}
	return out, nil
}

// once tells whether a nonce is new.
func (g *Gateway) once(nonce string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.nonces[nonce] {
		return false
	}
	g.nonces[nonce] = true
	return true
}

// limits are the lengths of the seed's tables, in characters.
func limits() map[string]int {
	return map[string]int{
		"out_trade_no": 32, "total_amount": 11, "subject": 50, "body": 128, "timeout_express": 6, "return_url": 512, "notify_url": 512,
		"disable_pay_channels": 128, "business_params": 256, "agreement_sign_params": 4096, "order_type": 128, "operator_id": 30,
		"terminal_id": 32, "payment_type": 36, "reduced_fee": 20, "ssc_ins_type": 5, "request_content": 4000, "ssc_bill_no": 64,
		"credit_org": 10, "ec_qrcode": 128, "ssc_eshimin_auth_code": 150, "pay_scene": 50, "biz_city_code": 6, "kinsfolk_card_no": 100,
		"kinsfolk_name": 100, "third_open_id": 36, "out_request_no": 32, "refund_amount": 11, "trade_amount": 11,
	}
}

// mandatory are the fields that the tables mark 是 for every case; of methods
// without a table, what live clients always send.
func mandatory(method string) []string {
	switch method {
	case "lc.trade.h5.pay":
		return []string{"out_trade_no", "total_amount", "subject", "order_type"}
	case "lc.trade.barcode.pay":
		return []string{"out_trade_no", "total_amount", "subject", "auth_code"}
	case "lc.trade.qrcode.pay":
		return []string{"out_trade_no", "total_amount", "subject", "payment_type"}
	case "lc.trade.polymerization.pay":
		return []string{"out_trade_no", "total_amount", "subject"}
	case "lc.trade.refund":
		return []string{"out_trade_no", "trade_amount", "refund_amount", "out_request_no"}
	case "lc.ssc.user.token":
		return []string{"user_id", "payment_type", "auth_code"}
	case "lc.ssc.trade.pay":
		return []string{"out_trade_no", "ssc_scene", "subject", "notify_url", "return_url", "total_amount", "payment_type", "user_id",
			"patient_name", "patient_card_no", "org_name", "org_no", "ssc_ins_type", "city_code", "cash_fee", "insurance_fee"}
	case "lc.trade.query", "lc.trade.close", "lc.trade.cancel":
		return []string{"out_trade_no"}
	}
	return nil
}

// illegal says what is wrong with a request, or nothing.
func illegal(req request) string {
	need := mandatory(req.method)
	if need == nil {
		return "there is no method " + req.method
	}
	for _, name := range need {
		if req.get(name) == "" {
			return name + " is missing"
		}
	}
	for name, most := range limits() {
		if utf8.RuneCountInString(req.get(name)) > most {
			return name + " is too long"
		}
	}
	for _, name := range []string{"total_amount", "refund_amount", "trade_amount", "cash_fee", "insurance_fee", "reduced_fee"} {
		if v := req.get(name); v != "" {
			if _, err := platforms.ParseYuan(v); err != nil {
				return name + " is no amount"
			}
		}
	}
	if t := req.get("payment_type"); t != "" && !slices.Contains([]string{"alipay", "weixin", "unionpay", "eshimin", "elecny"}, t) {
		return "payment_type is unknown"
	}
	if req.method == "lc.ssc.trade.pay" && req.get("payment_type") == "alipay" && req.get("ssc_serial_no") == "" && req.get("request_content") == "" {
		return "ssc_serial_no and request_content are missing"
	}
	return req.wrong
}

// OpToken is how a Control counts lc.ssc.user.token.
const OpToken = "insurance_token"

// describe tells the Control what was asked, in the API's words.
func describe(req request) wire.Call {
	kinds := map[string]string{
		"lc.trade.barcode.pay": bank.OpCharge, "lc.trade.query": bank.OpQuery, "lc.trade.cancel": bank.OpCancel,
		"lc.trade.close": bank.OpCancel, "lc.trade.refund": bank.OpRefund, "lc.trade.qrcode.pay": bank.OpPresent,
		"lc.trade.polymerization.pay": bank.OpPresent, "lc.trade.h5.pay": bank.OpPresent, "lc.ssc.trade.pay": bank.OpPresent,
		"lc.ssc.user.token": OpToken,
	}
	c := wire.Call{Op: kinds[req.method], OrderNo: req.get("out_trade_no"), Fields: map[string]string{"method": req.method}}
	if req.method == "lc.trade.barcode.pay" {
		c.Code = req.get("auth_code")
	}
	sum := "total_amount"
	if c.Op == bank.OpRefund {
		sum = "refund_amount"
	}
	c.Amount, _ = platforms.ParseYuan(req.get(sum))
	for name, api := range map[string]string{
		"subject": "subject", "body": "memo", "patient_name": "patient.name", "operator_id": "operator.id", "out_request_no": "request_no",
		"refund_reason": "reason", "terminal_id": "till", "payment_type": "channel",
	} {
		if v, has := req.biz[name]; has {
			c.Fields[api] = v
		}
	}
	return c
}

func (g *Gateway) hash() sign.Hash {
	if g.opt.SHA256 {
		return sign.SHA256
	}
	return sign.SHA1
}

func (g *Gateway) signType() string {
	if g.opt.SHA256 {
		return "rsa2"
	}
	return "rsa"
}
