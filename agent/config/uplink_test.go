package config_test

import (
	"strings"
	"testing"

	"payagent/agent/config"
)

// TestUplink: a platform behind the relay needs broker, relay key and this
// box's certificate, and leaves everything about its own connection to the
// relay.
func TestUplink(t *testing.T) {
	const fleet = `fleet: {broker: "mqtts://b:8883", site: H1, box: B1, ca_file: /a/ca, cert_file: /a/c, key_file: /a/k, relay_key: "KTqeNMazykZkN54zpsqaXN2OSXScDxq9+vDRH3FK3Bk="}` + "\n"
	text := func(fleet, more string) string {
		return fleet + `platforms: [{name: p, driver: fwc, url: "https://p.invalid/", uplink: mqtt` + more + `}]
merchants: [{profile: m, platform: p, merch_code: "1"}]
routes: [{merchant: m}]
tills: [{name: w1, kind: counter, device_no: "W1", operator: {id: "1", name: 王}}]
`
	}
	c, err := config.Parse("x", []byte(text(fleet, "")))
	if err == nil {
		err = c.Validate()
	}
	if err != nil {
		t.Fatal(err)
	}
	if r := c.Report(); !strings.Contains(r, "payfleet relay") || !strings.Contains(r, "mqtts://b:8883") {
		t.Errorf("the report does not tell the way:\n%s", r)
	}
	for name, bad := range map[string]string{
		"no fleet":       text("", ""),
		"no relay key":   text(strings.Replace(fleet, "relay_key", "hub_key", 1), ""),
		"no certificate": text(strings.Replace(strings.Replace(fleet, "mqtts://b:8883", "mqtt://b:1883", 1), "cert_file: /a/c,", "accept_plain: true,", 1), ""),
		"pins":           text(fleet, `, pins: ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]`),
		"proxy":          text(fleet, `, proxy: {kind: connect, address: "p:1"}`),
		"ca_file":        text(fleet, `, ca_file: /a`),
		"relay":          text(fleet, `, relay: "1.2.3.4:443"`),
		"another word":   strings.Replace(text(fleet, ""), "uplink: mqtt", "uplink: pigeon", 1),
	} {
		c, err := config.Parse("x", []byte(bad))
		if err == nil {
			err = c.Validate()
		}
		if err == nil || !strings.Contains(err.Error(), "uplink") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
