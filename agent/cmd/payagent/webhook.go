package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"payagent/agent/config"
	"payagent/agent/door"
	"payagent/agent/order"
	"payagent/agent/seal"
	"payagent/agent/webhook"
	"payagent/platforms"
	"payagent/queue"
	"payagent/uplink/https"
)

// leastKey is the least length of a key that signs, in characters.
const leastKey = 32

// openWebhook prepares the calls to HIS, if there is an address.
func (b *assembly) openWebhook(c config.Config, cursors queue.Cursors) error {
	conf := c.HIS.Webhook
	if !conf.On() {
		return nil
	}
	if _, err := webhookKeys(conf.SecretFile); err != nil {
		return err
	}
	way, err := https.New(https.Config{BaseURL: baseOf(conf.URL), AllowPlainHTTP: conf.AllowPlainHTTP || conf.Local(), CAFile: conf.CAFile, PinsSPKI: conf.Pins,
		ClientPair: seal.Pairs(conf.ClientCert, conf.ClientKey), ServerName: conf.ServerName, ResponseTimeout: 20 * time.Second,
		Now: b.clock.Now, Doubt: b.clock.Doubt})
	if err != nil {
		return fmt.Errorf("cannot open the way to HIS (his.webhook): %w", err)
	}
	b.close = append(b.close, way)
	d := webhook.New(webhook.Options{Source: b.agent, Notes: b.agent, Cursors: cursors, Way: way, Reach: way.Reach, URL: conf.URL,
		Secrets: func() ([]platforms.Hidden, error) { return webhookKeys(conf.SecretFile) },
		From:    "/payagent/" + url.PathEscape(c.Site.HospitalID) + "/" + url.PathEscape(c.Site.Name),
		Show:    door.Show(b.agent),
		Took:    door.TakeAnswer(b.agent, b.log),
		Link:    func(up bool) { b.agent.SetHisLink(context.Background(), up) },
		Age:     func(at order.Instant) time.Duration { return b.agent.Now().Age(at) },
		Alarm:   b.agent.RaiseAlarm, Logger: b.log})
	b.beside = append(b.beside, d.Run)
	b.metrics = append(b.metrics, d.WriteMetrics)
	return nil
}

// baseOf is the address without its query, which the way has no use for.
func baseOf(address string) string {
	base, _, _ := strings.Cut(address, "?")
	return base
}

// webhookKeys reads the keys of the signatures: one per line, two at most. It is
// read anew for every call, so that a new key counts at once.
func webhookKeys(path string) ([]platforms.Hidden, error) {
	secret, _, err := seal.ReadSecret(path)
	if err != nil {
		return nil, err
	}
	var keys []platforms.Hidden
	for line := range strings.Lines(secret.Reveal()) {
		if line = strings.TrimSpace(line); line != "" {
			keys = append(keys, platforms.Hide(line))
		}
	}
	for _, k := range keys {
		if len(k.Reveal()) < leastKey {
			return nil, fmt.Errorf("cannot use %s: a key needs at least %d characters; payagent makes none, use e.g. openssl rand -hex 32", path, leastKey)
		}
	}
	if len(keys) == 0 || len(keys) > 2 {
		return nil, fmt.Errorf("cannot use %s: it must hold one key, or two on two lines", path)
	}
	return keys, nil
}
