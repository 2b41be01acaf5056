package mqtt_test

import (
	"errors"
	"testing"
	"time"

	"payagent/uplink"
	"payagent/uplink/https"
	"payagent/uplink/mqtt"
	"payagent/uplink/mqtt/relay"
	"payagent/uplink/mqtt/relaytest"
	"payagent/uplink/uplinktest"
)

// behindRelay opens a way through a broker in memory to a relay that calls the
// target by HTTPS. Authority, address and limits are the relay's.
func behindRelay(t uplinktest.Target) (_ uplink.Route, end func(), err error) {
	var undo []func()
	end = func() {
		for i := len(undo) - 1; i >= 0; i-- {
			undo[i]()
		}
	}
	defer func() {
		if err != nil {
			end()
		}
	}()
	site, err := relaytest.NewSite()
	if err != nil {
		return nil, nil, err
	}
	patience := time.Minute
	if t.Mute {
		patience = 500 * time.Millisecond
	}
	way, err := https.New(https.Config{BaseURL: t.URL, CAPEM: t.CAPEM, AllowPlainHTTP: len(t.CAPEM) == 0, Relay: t.Address,
		DialTimeout: patience, MaxAnswer: mqtt.MaxBody})
	if err != nil {
		return nil, nil, err
	}
	broker := uplinktest.NewBroker()
	undo = append(undo, func() { _ = way.Close() }, broker.Close)
	r, err := site.Relay(broker.Bus("relay", nil), []relay.Platform{{Name: "p", Address: t.URL, Way: way}}, nil)
	if err != nil {
		return nil, nil, err
	}
	undo = append(undo, func() { _ = r.Close() })
	tunnel, err := site.Tunnel(broker.Bus(relaytest.Box, nil), relaytest.Box, nil)
	if err != nil {
		return nil, nil, err
	}
	undo = append(undo, func() { _ = tunnel.Close() })
	route, err := tunnel.Route(mqtt.RouteConfig{BaseURL: t.URL, AllowPlainHTTP: len(t.CAPEM) == 0, DialTimeout: time.Minute})
	if err != nil {
		return nil, nil, errors.Join(err)
	}
	return route, end, nil
}

// TestRouteSuite: what every way out keeps, the way through the relay keeps.
func TestRouteSuite(t *testing.T) {
	for name, m := range map[string]uplinktest.Member{
		"tls":   {Open: behindRelay, Ends: true, MaxBody: mqtt.MaxBody},
		"plain": {Open: behindRelay, Ends: true, MaxBody: mqtt.MaxBody, Plain: true},
	} {
		t.Run(name, func(t *testing.T) { uplinktest.Test(t, m) })
	}
}
