package config_test

import (
	"strings"
	"testing"
	"time"

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

// TestSecondWay: a platform may have another way of any kind; what belongs to
// one way counts for that one alone, and two equal ways are one too many.
func TestSecondWay(t *testing.T) {
	const fleet = `fleet: {broker: "mqtts://b:8883", site: H1, box: B1, ca_file: /a/ca, cert_file: /a/c, key_file: /a/k, relay_key: "KTqeNMazykZkN54zpsqaXN2OSXScDxq9+vDRH3FK3Bk="}` + "\n"
	parse := func(platform string) (config.Config, error) {
		c, err := config.Parse("x", []byte(fleet+`platforms: [{name: p, driver: fwc, url: "https://p.invalid/", `+platform+`}]
merchants: [{profile: m, platform: p, merch_code: "1"}]
routes: [{merchant: m}]
tills: [{name: w1, kind: counter, device_no: "W1", operator: {id: "1", name: 王}}]
`))
		if err == nil {
			err = c.Validate()
		}
		return c, err
	}
	const pin = `pins: ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="], `
	c, err := parse(pin + `proxy: {kind: connect, address: "p:1"}, dial_timeout: 4s, second_way: {from: wwan0, relay: "1.2.3.4:443"}`)
	if err != nil {
		t.Fatal(err)
	}
	ways := c.Platforms[0].Ways()
	if len(ways) != 2 || ways[0].Proxy == nil || ways[0].From != "" || ways[0].Name != "p" || ways[0].DialTimeout != 2*time.Second {
		t.Fatalf("%+v", ways)
	}
	if w := ways[1]; w.Name != "p/second" || w.Proxy != nil || w.From != "wwan0" || w.Relay != "1.2.3.4:443" || len(w.Pins) != 1 || w.Uplink != "https" || w.DialTimeout != 2*time.Second || w.SecondWay != nil {
		t.Fatalf("%+v", w)
	}
	if r := c.Report(); !strings.Contains(r, "second way") || !strings.Contains(r, "wwan0") {
		t.Errorf("the report does not tell the second way:\n%s", r)
	}
	for name, good := range map[string]string{
		"mqtt second":         pin + `second_way: {uplink: mqtt}`,
		"mqtt first":          pin + `uplink: mqtt, second_way: {from: "10.0.0.7"}`,
		"another proxy":       `proxy: {kind: connect, address: "p:1"}, second_way: {proxy: {kind: connect, address: "p:2"}}`,
		"six":                 `second_way: {from: "fe80::1"}`,
		"words of an adapter": `second_way: {from: "以太网 2"}`,
	} {
		if _, err := parse(good); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, bad := range map[string]string{
		"the same":             `second_way: {}`,
		"the same proxy":       `proxy: {kind: connect, address: "p:1"}, second_way: {proxy: {kind: connect, address: "p:1"}}`,
		"both mqtt":            `uplink: mqtt, second_way: {uplink: mqtt}`,
		"mqtt with proxy":      `second_way: {uplink: mqtt, proxy: {kind: connect, address: "p:1"}}`,
		"mqtt first with from": `uplink: mqtt, from: eth0, second_way: {from: wwan0}`,
		"another word":         `second_way: {uplink: pigeon}`,
		"no address":           `second_way: {relay: "1.2.3.4"}`,
		"no proxy":             `second_way: {proxy: {kind: connect, address: p}}`,
		"no interface":         `second_way: {from: "a/b"}`,
		"an address and port":  `second_way: {from: "10.0.0.7:80"}`,
	} {
		if _, err := parse(bad); err == nil || !strings.Contains(err.Error(), "second_way") && !strings.Contains(err.Error(), "uplink") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
