package config

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"time"
)

// Fleet is the connection to the message broker over which the box reports and
// is managed. Off without a broker.
type Fleet struct {
	// Address of the broker: mqtts://host:8883, or mqtt://host:1883 with accept_plain.
	Broker string
	// true accepts a broker without TLS: whoever sits on the way can read events and pretend to be a till. A standing warning.
	AcceptPlain bool
	// First level of every topic.
	Root string
	// Name of the hospital in topics; letters, digits, dot, hyphen, underscore.
	Site string
	// Name of this box in topics: also its MQTT client id, and the common name of its certificate.
	Box string
	// PEM file with the authorities to trust for the broker and the relay; required with TLS.
	CAFile string `yaml:"ca_file"`
	// PEM file with this box's certificate, written by payagent enrol.
	CertFile string
	// PEM file with its private key, made on the box; or credential:NAME, which renewals keep (docs/enrolment.md).
	KeyFile string
	// Name that the broker's certificate must carry, where it is not the host of broker.
	ServerName string
	// Keys that may sign commands, configurations and updates. Without keys the box reports and takes no command.
	Keys []FleetKey
	// Who must have an event before it counts as delivered: hub (payfleet hub acknowledges what it has on disk) or puback (the broker's word; a broker that loses its memory loses events).
	Ack string
	// Public key of the hub (payfleet hub prints it), base64, in quotes: patients' names and card numbers are sealed to it. Empty: they never leave this box.
	HubKey string
	// Public key of the relay (payfleet relay prints it), base64, in quotes; for platforms with uplink: mqtt.
	RelayKey string
	// When the box may disturb its tills (restart, update, configuration): every day from-to in local time, e.g. "22:00-05:30". Empty: whenever no order is open.
	Window string
	// How long every till must have been idle before the box disturbs them.
	Idle time.Duration
	// How often the status is repeated.
	StatusEvery time.Duration
	// The box connects at a moment of its own within this time, and again so after each loss: hundreds of boxes spread over it. A site with a few may write 5s.
	ConnectWithin time.Duration
	// How long a new program or configuration must work before it is kept; at least 2s.
	Prove time.Duration
	// Address of the fleet's certificate authority (payfleet ca serve), for renewing the certificate.
	CAURL string `yaml:"ca_url"`
}

// FleetKey is a key that may sign.
type FleetKey struct {
	// Name of the key, as the signer writes it.
	ID string `yaml:"id"`
	// What it may sign: operate, config, release.
	Roles []string
	// Ed25519 public key, base64, in quotes.
	Public string
}

// Key is the public key.
func (k FleetKey) Key() (ed25519.PublicKey, error) {
	data, err := base64.StdEncoding.DecodeString(k.Public)
	if err != nil || len(data) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("an Ed25519 public key is 32 bytes in base64, as payfleet key prints it")
	}
	return data, nil
}

// On tells whether the box is part of a fleet.
func (f Fleet) On() bool { return f.Broker != "" }

var fleetName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,48}$`)

func (v validator) fleet() {
	f := v.Fleet
	for i, p := range v.Platforms {
		at := fmt.Sprintf("platforms[%d].", i)
		for j, w := range p.Ways() {
			at := at + []string{"", "second_way."}[j] + "uplink"
			v.oneOf(at, w.Uplink, HTTPS, MQTT)
			if w.Uplink != MQTT {
				continue
			}
			if !f.On() || f.RelayKey == "" || f.CertFile == "" || f.KeyFile == "" {
				v.add(at, "needs fleet.broker, fleet.relay_key, fleet.cert_file and fleet.key_file, or write uplink: https")
			}
			if w.Proxy != nil || w.Relay != "" || w.From != "" {
				v.add(at, "is mqtt: proxy, relay and from belong into the settings of payfleet relay, which calls the platform")
			}
		}
		if !p.Over(HTTPS) && (p.ServerName != "" || p.CAFile != "" || len(p.Pins) > 0 || p.ClientCert != "" || p.ClientKey != "" || p.AllowRSAKeyExchange) {
			v.add(at+"uplink", "is mqtt: server_name, ca_file, pins, client_cert, client_key and allow_rsa_key_exchange belong into the settings of payfleet relay, which calls the platform")
		}
	}
	// Programs are signed on boxes without a broker too.
	for i, k := range f.Keys {
		at := fmt.Sprintf("fleet.keys[%d]", i)
		if k.ID == "" || slices.ContainsFunc(f.Keys[:i], func(o FleetKey) bool { return o.ID == k.ID || o.Public == k.Public }) {
			v.add(at+".id", "give each key a name of its own; two names for one key are not taken")
		}
		if _, err := k.Key(); err != nil {
			v.add(at+".public", "%v", err)
		}
		for j, r := range k.Roles {
			v.oneOf(fmt.Sprintf("%s.roles[%d]", at, j), r, "operate", "config", "release")
		}
	}
	if f.Prove < 2*time.Second {
		v.add("fleet.prove", "is at least 2s; 60s is good")
	}
	if !f.On() {
		return
	}
	u, err := url.Parse(f.Broker)
	if err != nil || u.Scheme != "mqtt" && u.Scheme != "mqtts" || u.Hostname() == "" || u.Path != "" || u.User != nil {
		v.add("fleet.broker", "write mqtts://host:8883")
	} else if u.Scheme == "mqtt" && !f.AcceptPlain {
		v.add("fleet.broker", "has no TLS; write mqtts://, or set accept_plain: true")
	} else if u.Scheme == "mqtts" && (f.CAFile == "" || f.CertFile == "" || f.KeyFile == "") {
		v.add("fleet.broker", "needs ca_file, cert_file and key_file; payagent enrol writes them")
	}
	for _, level := range [][2]string{{"root", f.Root}, {"site", f.Site}, {"box", f.Box}} {
		if !fleetName.MatchString(level[1]) {
			v.add("fleet."+level[0], "write 1 to 48 letters, digits, dots, hyphens or underscores")
		}
	}
	v.oneOf("fleet.ack", f.Ack, "hub", "puback")
	for _, key := range [][2]string{{"hub_key", f.HubKey}, {"relay_key", f.RelayKey}} {
		if data, err := base64.StdEncoding.DecodeString(key[1]); key[1] != "" && (err != nil || len(data) != 32) {
			v.add("fleet."+key[0], "is 32 bytes in base64, as payfleet prints it")
		}
	}
	if _, _, err := Window(f.Window); err != nil {
		v.add("fleet.window", "%v", err)
	}
	if f.Idle < 0 || f.StatusEvery < 10*time.Second {
		v.add("fleet.status_every", "is at least 10s, and idle is not negative")
	}
	if f.ConnectWithin < 100*time.Millisecond || f.ConnectWithin > 10*time.Minute {
		v.add("fleet.connect_within", "is at least 100ms and at most 10m")
	}
	if f.CAURL != "" {
		if u, err := url.Parse(f.CAURL); err != nil || u.Scheme != "https" || u.Host == "" {
			v.add("fleet.ca_url", "write https://host:port")
		}
	}
}

// Window reads "22:00-05:30": minutes after midnight, from and to. An empty
// text is the whole day (0, 1440).
func Window(text string) (from, to int, err error) {
	if text == "" {
		return 0, 24 * 60, nil
	}
	var a, b, c, d int
	if n, err := fmt.Sscanf(text, "%02d:%02d-%02d:%02d", &a, &b, &c, &d); err != nil || n != 4 || len(text) != 11 || a > 23 || c > 23 || b > 59 || d > 59 || a < 0 || b < 0 || c < 0 || d < 0 {
		return 0, 0, fmt.Errorf("write from-to in local time with two digits each, e.g. \"22:00-05:30\"")
	}
	return a*60 + b, c*60 + d, nil
}
