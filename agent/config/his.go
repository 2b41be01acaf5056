package config

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"net/url"
)

// HIS says how the hospital's own system is told what became of its orders.
type HIS struct {
	// An address of HIS that is called when something happened; without one HIS asks, or listens to the event stream.
	Webhook Webhook
}

// Webhook is an address of HIS and the way to it. See docs/his-events.md.
type Webhook struct {
	// Address that takes the events (POST); empty: off.
	URL string `yaml:"url"`
	// File that holds the key of the signatures alone, mode 0600; a second line holds the next key while HIS changes to it.
	SecretFile string
	// true accepts an http:// address that is not on this machine: whoever sits on the way reads the orders and can forge the answers. A standing warning.
	AllowPlainHTTP bool
	// PEM file with the only authorities to trust for this address; empty trusts the system's.
	CAFile string `yaml:"ca_file"`
	// Accepted public keys of the server: SHA-256 of the SPKI in base64, in quotes.
	Pins []string
	// Name that the server's certificate must carry, where it is not the URL's host.
	ServerName string
	// PEM file with our client certificate.
	ClientCert string
	// PEM file with its private key, or credential:NAME.
	ClientKey string
}

// On tells whether HIS is called.
func (w Webhook) On() bool { return w.URL != "" }

// Local tells whether the address is on this machine.
func (w Webhook) Local() bool {
	u, err := url.Parse(w.URL)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || err == nil && ip.IsLoopback()
}

func (v validator) his() {
	const at = "his.webhook"
	w := v.HIS.Webhook
	if !w.On() {
		if w.SecretFile != "" || w.CAFile != "" || len(w.Pins) > 0 || w.ClientCert != "" {
			v.add(at+".url", "this is required; write the address of HIS, or remove the section")
		}
		return
	}
	u, err := url.Parse(w.URL)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https"):
		v.add(at+".url", "this is not an address; write https://host:port/path")
	case u.User != nil:
		v.add(at+".url", "user and password do not belong into the address; the calls are signed")
	case u.Fragment != "":
		v.add(at+".url", "remove # and what follows")
	case u.Scheme == "http" && !w.AllowPlainHTTP && !w.Local():
		v.add(at+".url", "the address is plain HTTP; use https, or write allow_plain_http: true and accept that whoever sits on the way reads the orders and can forge HIS's answers")
	case u.Scheme == "http" && (len(w.Pins) > 0 || w.CAFile != "" || w.ClientCert != "" || w.ServerName != ""):
		v.add(at+".url", "ca_file, pins, server_name and client_cert need https; change the address or remove them")
	}
	if w.SecretFile == "" {
		v.add(at+".secret_file", "this is required; name a file that holds a key of at least 32 characters, mode 0600")
	}
	for i, pin := range w.Pins {
		if raw, err := base64.StdEncoding.DecodeString(pin); err != nil || len(raw) != 32 {
			v.add(fmt.Sprintf("%s.pins[%d]", at, i), "write the SHA-256 of the server's public key (SPKI) in base64: 44 characters")
		}
	}
	if (w.ClientCert == "") != (w.ClientKey == "") {
		v.add(at+".client_cert", "a client certificate needs both client_cert and client_key; name both files or neither")
	}
}

// hisWarnings are the standing warnings of the way to HIS.
func (c Config) hisWarnings(add func(code, zh, en string)) {
	w := c.HIS.Webhook
	if u, err := url.Parse(w.URL); err == nil && u.Scheme == "http" && !w.Local() {
		add("his_plain_http", "HIS 事件通知使用明文 HTTP：途中任何人都能读取订单并伪造 HIS 的入账应答。请尽快改用 HTTPS。",
			"HIS is told of orders by plain HTTP: whoever sits on the way reads them and can forge HIS's bookings. Move to HTTPS.")
	}
}
