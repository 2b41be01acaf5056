package lc

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"payagent/platforms/internal/strictjson"
	"payagent/platforms/lc/internal/sign"
)

// Signed shows how a request was signed, for somebody who compares it with what
// the platform says that it signed.
type Signed struct {
	_ [0]func() // never compared: no code is made for it
	// Text is what was signed, with the values of secret members of biz_content
	// replaced by as many asterisks as they have characters.
	Text string
	// Bytes is the length of what was signed, before anything was replaced.
	Bytes int
	// Digest is the hash of what was signed, before anything was replaced, in
	// hexadecimal digits; Hash names it.
	Digest, Hash string
	// Signature is Base64.
	Signature string
	// KeyBits is the size of the private key.
	KeyBits int
}

// secretMembers are the members of biz_content that name or charge a person.
func secretMembers() []string {
	return []string{
		"auth_code", "user_id", "open_id", "third_open_id", "patient_name", "patient_card_no", "kinsfolk_name", "kinsfolk_card_no",
		"request_content", "card_info", "pay_auth_no", "pay_qr_code", "qr_code", "ec_qrcode", "ssc_eshimin_auth_code",
		"business_params", "agreement_sign_params",
	}
}

// Sign signs a request as a call would and sends nothing. biz is biz_content,
// byte for byte; empty stands for a query of a number that does not exist.
func (p *Platform) Sign(method, biz string) (Signed, error) {
	if !methodForm.MatchString(method) {
		return Signed{}, errors.New("cannot sign: name a method such as lc.trade.query")
	}
	if biz == "" {
		biz = `{"out_trade_no":"` + probeNo + `"}`
	}
	doc, err := strictjson.Parse([]byte(biz))
	if err != nil {
		return Signed{}, fmt.Errorf("cannot sign: biz_content is %w", err)
	}
	e, err := p.seal(method, biz)
	if err != nil {
		return Signed{}, err
	}
	signature, bits, err := p.sign(e)
	if err != nil {
		return Signed{}, err
	}
	whole := p.signed(e)
	e.biz = masked(biz, doc)
	return Signed{
		Text: string(p.signed(e)), Bytes: len(whole), Digest: sign.Hash(p.cfg.Hash).Digest(whole), Hash: p.cfg.Hash,
		Signature: signature, KeyBits: bits,
	}, nil
}

// masked writes a document with its secret values hidden and all else as it is.
func masked(text string, doc strictjson.Value) string {
	var b strings.Builder
	from := 0
	var walk func(v strictjson.Value)
	walk = func(v strictjson.Value) {
		for _, m := range v.Members() {
			if slices.Contains(secretMembers(), strings.ToLower(m.Name)) && m.Value.Kind != strictjson.Null {
				b.WriteString(text[from:m.Value.At])
				b.WriteString(hide(m.Value))
				from = m.Value.At + len(m.Value.Raw)
				continue
			}
			walk(m.Value)
		}
		for _, item := range v.Items() {
			walk(item)
		}
	}
	walk(doc)
	return b.String() + text[from:]
}

// hide writes asterisks for a value, inside the quotes of a text.
func hide(v strictjson.Value) string {
	if v.Kind == strictjson.String {
		return `"` + strings.Repeat("*", utf8.RuneCount(v.Raw)-2) + `"`
	}
	return strings.Repeat("*", utf8.RuneCount(v.Raw))
}
