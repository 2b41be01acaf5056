package config_test

import (
	"strings"
	"testing"

	"payagent/agent/agenttest"
	"payagent/agent/config"
)

// TestWebhookSection: the address and the key of his.webhook, each case with
// the complaint it must meet.
func TestWebhookSection(t *testing.T) {
	pin := "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	for name, x := range map[string]struct {
		w    config.Webhook
		want string // empty: it is taken
		warn bool
	}{
		"off":              {config.Webhook{}, "", false},
		"https":            {config.Webhook{URL: "https://his.example/events?site=1", SecretFile: "/k", Pins: []string{pin}}, "", false},
		"loopback":         {config.Webhook{URL: "http://127.0.0.1:8080/e", SecretFile: "/k"}, "", false},
		"plain, switched":  {config.Webhook{URL: "http://10.0.0.7/e", SecretFile: "/k", AllowPlainHTTP: true}, "", true},
		"plain":            {config.Webhook{URL: "http://10.0.0.7/e", SecretFile: "/k"}, "plain HTTP", false},
		"no key":           {config.Webhook{URL: "https://his.example/e"}, "his.webhook.secret_file", false},
		"no address":       {config.Webhook{SecretFile: "/k"}, "his.webhook.url", false},
		"not an address":   {config.Webhook{URL: "his.example/e", SecretFile: "/k"}, "this is not an address", false},
		"user":             {config.Webhook{URL: "https://u:p@his.example/e", SecretFile: "/k"}, "user and password", false},
		"pins over http":   {config.Webhook{URL: "http://localhost/e", SecretFile: "/k", Pins: []string{pin}}, "need https", false},
		"bad pin":          {config.Webhook{URL: "https://his.example/e", SecretFile: "/k", Pins: []string{"x"}}, "pins[0]", false},
		"half certificate": {config.Webhook{URL: "https://his.example/e", SecretFile: "/k", ClientCert: "/c"}, "both client_cert and client_key", false},
	} {
		c := agenttest.Config(t)
		c.HIS.Webhook = x.w
		err := c.Validate()
		if x.want == "" && err != nil || x.want != "" && (err == nil || !strings.Contains(err.Error(), x.want)) {
			t.Errorf("%s: %v, want %q", name, err, x.want)
		}
		warned := false
		for _, w := range c.Warnings() {
			warned = warned || w.Code == "his_plain_http"
		}
		if x.want == "" && warned != x.warn {
			t.Errorf("%s: warned %t", name, warned)
		}
	}
}
