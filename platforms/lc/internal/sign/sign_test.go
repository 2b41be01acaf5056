package sign_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"

	"payagent/platforms/lc/internal/sign"
)

// The vector of wire.md §3.3. Its private key is gone; nobody here made it.
const (
	vectorText = `app_id=LCOP20190101120000001&biz_content={"out_trade_no":"MZ20220101010101001","total_amount":"0.01","subject":"门诊缴费","payment_type":"weixin","auth_code":"134567890123456789"}&method=lc.trade.barcode.pay&nonce_str=daaac0200403424e847a16c7671275de&sign_type=rsa&timestamp=2022-01-01 01:01:01`
	vectorKey  = `MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDCw44SYAIfIgIBcQdVQqRU4S1wwVz+8HgkcFyUxP5IYjy/dNRGEz3zwR4YB3vNRrXcvE58O1Uabnxt7bmM/FuFQiIeV9z0URDoKs94H2+SgTavUix65aI0OWAXdu6DkngyFs46cHnQcDMfFqJ3Uk2Rf86Fi/ZU9dzyCZJvCTaadQIDAQAB`
	vectorSHA1 = `MY25WPL3n/+4J4WP+NxZ/ptH6s7kVxGUIW73X80fyJBpD4IRNGMWC9xiWxAFsdVgJNmOwOjy+N5kCLus96k1HmZoahqOsdh1L4IXYURqnjST4ZqFuNH26w2y987SaYO3/tyMCfCR9bbbbw+9gXunOjpUercoU4Fd+WMudic8e/Y=`
	vectorSHA2 = `L6ijaN1pd4AIGkkT6rIxs900NPLMzhUmqQRtHi+l4VUvw/Xp9G9ohNf1Gz5JlSnsTIoU7jn0Cz9ZX9gMlcfkQKjY36cJ6lNl6aOpB50aGi2x3OKeyiAtnQQxbamGOc1+1E+vQzUzCuUmJfz20u+M/8AIRwwoJq5k/W5uej05QxE=`
)

func vectorParams() []sign.Param {
	return []sign.Param{
		{Name: "timestamp", Value: "2022-01-01 01:01:01"},
		{Name: "sign", Value: "not part of it"},
		{Name: "app_id", Value: "LCOP20190101120000001"},
		{Name: "sign_type", Value: "rsa"},
		{Name: "empty", Value: ""},
		{Name: "nonce_str", Value: "daaac0200403424e847a16c7671275de"},
		{Name: "method", Value: "lc.trade.barcode.pay"},
		{Name: "biz_content", Value: `{"out_trade_no":"MZ20220101010101001","total_amount":"0.01","subject":"门诊缴费","payment_type":"weixin","auth_code":"134567890123456789"}`},
	}
}

func TestVector(t *testing.T) {
	text := sign.Text(vectorParams(), true)
	if string(text) != vectorText || len(text) != 298 {
		t.Fatalf("the text that is signed is (%d bytes)\n%s", len(text), text)
	}
	for name, x := range map[string]struct {
		hash sign.Hash
		text []byte
		want string
	}{
		"SHA-1":             {sign.SHA1, text, "9a2e9df459d5c05766f932af05d13e59613c02fe"},
		"SHA-256":           {sign.SHA256, text, "2259b1a49d154f270700f8069a118049a24a3b2c0c4505c217ce425bb0672179"},
		"without sign_type": {sign.SHA1, sign.Text(vectorParams(), false), "b4ede188fbebf6b662be7695da6f4c829c0b583f"},
	} {
		if got := x.hash.Digest(x.text); got != x.want {
			t.Errorf("%s: digest %s, want %s", name, got, x.want)
		}
	}
	key, err := sign.PublicKey(vectorKey)
	if err != nil {
		t.Fatal(err)
	}
	keys := []*rsa.PublicKey{key}
	if err := sign.Verify(keys, sign.SHA1, vectorSHA1, text); err != nil {
		t.Error("SHA-1:", err)
	}
	if err := sign.Verify(keys, sign.SHA256, vectorSHA2, text); err != nil {
		t.Error("SHA-256:", err)
	}
	if sign.Verify(keys, sign.SHA256, vectorSHA1, text) == nil || sign.Verify(keys, sign.SHA1, vectorSHA2, text) == nil {
		t.Error("a signature fits the wrong hash")
	}
}

// Every byte of text and signature counts.
func TestVectorMutated(t *testing.T) {
	key, err := sign.PublicKey(vectorKey)
	if err != nil {
		t.Fatal(err)
	}
	keys := []*rsa.PublicKey{key}
	for i := range len(vectorText) {
		text := []byte(vectorText)
		text[i] ^= 1
		if sign.Verify(keys, sign.SHA1, vectorSHA1, text) == nil {
			t.Errorf("byte %d of the text does not matter", i)
		}
	}
	for i := range len(vectorSHA1) {
		for _, with := range "A+/=b \n" {
			s := vectorSHA1[:i] + string(with) + vectorSHA1[i+1:]
			if s != vectorSHA1 && sign.Verify(keys, sign.SHA1, s, []byte(vectorText)) == nil {
				t.Errorf("byte %d of the signature does not matter", i)
			}
		}
		if sign.Verify(keys, sign.SHA1, vectorSHA1[:i]+"\n"+vectorSHA1[i:], []byte(vectorText)) == nil {
			t.Errorf("a line break at %d of the signature does not matter", i)
		}
	}
	if sign.Verify(keys, sign.SHA1, "", []byte(vectorText)) == nil || sign.Verify(nil, sign.SHA1, vectorSHA1, []byte(vectorText)) == nil || sign.Verify(keys, sign.SHA1, vectorSHA1) == nil {
		t.Error("nothing verifies")
	}
}

func TestKeyForms(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	p1 := x509.MarshalPKCS1PrivateKey(key)
	spki, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	lines := func(der []byte) string {
		s := base64.StdEncoding.EncodeToString(der)
		return s[:64] + "\r\n" + s[64:]
	}
	for name, text := range map[string]string{
		"PKCS#8 PEM": block("PRIVATE KEY", p8), "PKCS#8 bare": base64.StdEncoding.EncodeToString(p8), "PKCS#8 in lines": "\ufeff" + lines(p8) + "\n",
		"PKCS#1 PEM": block("RSA PRIVATE KEY", p1), "PKCS#1 bare": base64.StdEncoding.EncodeToString(p1),
	} {
		if got, err := sign.PrivateKey(text); err != nil || !got.Equal(key) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, text := range map[string]string{
		"SPKI PEM": block("PUBLIC KEY", spki), "SPKI bare": base64.StdEncoding.EncodeToString(spki), "SPKI in lines": lines(spki),
		"PKCS#1 PEM": block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&key.PublicKey)),
	} {
		if got, err := sign.PublicKey(text); err != nil || !got.Equal(&key.PublicKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	signature, err := sign.Sign(key, sign.SHA256, []byte("x"))
	if err != nil || sign.Verify([]*rsa.PublicKey{&key.PublicKey}, sign.SHA256, signature, []byte("y"), []byte("x")) != nil {
		t.Error("what was signed does not verify:", err)
	}

	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ec8, _ := x509.MarshalPKCS8PrivateKey(ec)
	ecPub, _ := x509.MarshalPKIXPublicKey(&ec.PublicKey)
	secret := base64.StdEncoding.EncodeToString(p8)
	for name, text := range map[string]string{
		"nothing": " ", "EC": block("PRIVATE KEY", ec8), "public": block("PUBLIC KEY", spki), "words": "my key", "two": block("PRIVATE KEY", p8) + block("PRIVATE KEY", p8),
		"locked": block("ENCRYPTED PRIVATE KEY", p8), "cut": secret[:len(secret)-40], "header": "-----BEGIN PRIVATE KEY-----\n",
	} {
		if _, err := sign.PrivateKey(text); err == nil || strings.Contains(err.Error(), secret[40:80]) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	for name, text := range map[string]string{"EC": block("PUBLIC KEY", ecPub), "private": block("PRIVATE KEY", p8), "words": "abc"} {
		if _, err := sign.PublicKey(text); err == nil {
			t.Errorf("%s is taken for a platform's key", name)
		}
	}
	for bits, good := range map[uint]bool{768: false, 1023: false, 1024: true, 8192: true, 8200: false} {
		n := new(big.Int).Lsh(big.NewInt(1), bits-1)
		der, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: n.Add(n, big.NewInt(1)), E: 65537})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sign.PublicKey(base64.StdEncoding.EncodeToString(der)); (err == nil) != good || err != nil && !strings.Contains(err.Error(), "bits") {
			t.Errorf("a key of %d bits: %v", bits, err)
		}
	}
}
