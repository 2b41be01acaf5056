package config

import (
	"strings"
	"testing"
)

const oneTill = `
data_dir: /d
platforms: [{name: p, driver: fwc, url: "https://p"}]
merchants: [{profile: m, platform: p, merch_code: "1"}]
routes: [{merchant: m}]
tills: [{name: w1, kind: counter, device_no: "1"}]
`

// What façade and books must be.
func TestFacadeAndBooks(t *testing.T) {
	for name, x := range map[string]struct{ text, want string }{
		"nothing": {"", ""},
		"both façades": {`facade: {listen: ["127.0.0.1:1"], till: w1, tills: {"9": w1}, former_merchant: m, wait: 30s, operator: {id: "1", name: x},
  smartpay: {secret_file: /s, order_types: {"1": TREATMENT}, card_types: {"1": medical_card}}, fwc: {token_file: /t, pending: "1", namespace: "urn:x", param_name: xml}}`, ""},
		"books":          {`books: {listen: ["127.0.0.1:1"], allow: [10.0.0.1], token_file: /t, refund_sign: negative, pay_type_names: names, root_element: BarcodeTradeStatus, max_range: 48h}`, ""},
		"no protocol":    {`facade: {listen: ["127.0.0.1:1"]}`, "answers as"},
		"no secret":      {`facade: {smartpay: {order_types: {"1": TREATMENT}}}`, "secret_file"},
		"no token":       {`facade: {fwc: {pending: "0"}}`, "token_file"},
		"other till":     {`facade: {till: w9}`, "facade.till"},
		"other table":    {`facade: {tills: {"9": w9}}`, "facade.tills.9"},
		"other merchant": {`facade: {former_merchant: m9}`, "former_merchant"},
		"other type":     {`facade: {smartpay: {secret_file: /s, order_types: {"1": GIFT}}}`, "order_types.1"},
		"wait":           {`facade: {wait: 1h}`, "facade.wait"},
		"pending":        {`facade: {fwc: {token_file: /t, pending: "3"}}`, "pending"},
		"namespace":      {`facade: {fwc: {token_file: /t, namespace: "a b"}}`, "namespace"},
		"param":          {`books: {param_name: "<x>"}`, "param_name"},
		"LAN":            {`facade: {listen: ["10.0.0.5:1"], fwc: {token_file: /t}}`, "needs tls"},
		"books, token":   {`books: {listen: ["127.0.0.1:1"], allow: [10.0.0.1]}`, "token_file"},
		"books for all":  {`books: {listen: ["127.0.0.1:1"], token_file: /t}`, "books.allow"},
		"books, locked":  {`books: {listen: ["127.0.0.1:1"], token_file: /t, require_token: true}`, ""},
		"sign":           {`books: {refund_sign: minus}`, "refund_sign"},
		"names":          {`books: {pay_type_names: both}`, "pay_type_names"},
		"root":           {`books: {root_element: xml}`, "root_element"},
		"range":          {`books: {max_range: 1m}`, "max_range"},
	} {
		c, err := Parse("x.yaml", []byte(oneTill+x.text+"\n"))
		if err == nil {
			err = c.Validate()
		}
		if x.want == "" && err != nil || x.want != "" && (err == nil || !strings.Contains(err.Error(), x.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c, err := Parse("x.yaml", []byte(oneTill+`books: {listen: ["10.0.0.5:1"], accept_plain_http: true, allow: [10.0.0.1], token_file: /t}`+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, w := range c.Warnings() {
		found = found || w.Code == "lan_plain_http" && strings.Contains(w.EN, "books")
	}
	if !found {
		t.Error("books without TLS raise no warning")
	}
}
