package config_test

import (
	"slices"
	"testing"

	"payagent/agent/config"
)

const ours = `
site: {hospital_id: "H1", name: A}
data_dir: /srv/a
fleet: {broker: "mqtts://b:8883", site: H1, box: B1, ca_file: /a/ca, cert_file: /a/c, key_file: /a/k}
platforms: [{name: p, driver: fwc, url: "https://one", options: {cnt: "1", list: ["a", "b"]}}]
tills: [{name: t, kind: counter, device_no: "1", operator: {id: "1"}}]
`

func mustParse(t *testing.T, text string) config.Config {
	t.Helper()
	c, err := config.Parse("x", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestChanges(t *testing.T) {
	a := mustParse(t, ours)
	if got := config.Changes(a, mustParse(t, "# moved down\n\n"+ours)); got != nil {
		t.Error(got)
	}
	b := mustParse(t, `
site: {hospital_id: "H1", name: B}
data_dir: /srv/a
fleet: {broker: "mqtts://b:8883", site: H1, box: B1, ca_file: /a/ca, cert_file: /a/c, key_file: /a/k, window: "22:00-05:00"}
platforms: [{name: p, driver: fwc, url: "https://two", options: {cnt: "2", list: ["a"]}, proxy: {kind: socks5, address: "x:1"}}]
tills: [{name: t, kind: counter, device_no: "1", operator: {id: "1"}}, {name: u, kind: kiosk, device_no: "2", operator: {id: "1"}}]
policy: {query_every: 9s}
`)
	got := config.Changes(a, b)
	for _, want := range []string{"site.name", "fleet.window", "platforms[0].url", "platforms[0].options.cnt", "platforms[0].options.list[1]",
		"platforms[0].proxy", "platforms[0].proxy.kind", "tills[1].name", "policy.query_every"} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is not seen as changed: %v", want, got)
		}
	}
	if slices.Contains(got, "data_dir") || slices.Contains(got, "platforms[0].policy.query_every") {
		t.Error(got)
	}
	if !slices.Equal(got, config.Changes(b, a)) {
		t.Error("not the same in the other direction")
	}
}

func TestUnder(t *testing.T) {
	for key, want := range map[string]bool{"platforms[3].url": true, "platforms[12].url.x": true, "platforms[1].urls": false, "platforms[1]": false,
		"tills[0].scanners[1].name": true, "tillsx": false, "door.listen[0]": true, "doors": false} {
		if got := config.Under(key, "platforms[].url", "tills", "door"); got != want {
			t.Errorf("%s: %v", key, got)
		}
	}
}

// TestAt: what only the box knows is its own.
func TestAt(t *testing.T) {
	own := mustParse(t, ours)
	c, kept := mustParse(t, "data_dir: /other\nfleet: {broker: \"mqtts://new:8883\", box: B9, cert_file: /a/c}\n").At(own)
	if c.DataDir != "/srv/a" || c.Fleet.Box != "B1" || c.Fleet.Site != "H1" || c.Fleet.Broker != "mqtts://new:8883" || c.Fleet.CAFile != "/a/ca" || c.Devices.ModelsDir != "/srv/a/models" {
		t.Errorf("%+v", c.Fleet)
	}
	if !slices.Equal(kept, []string{"data_dir", "fleet.box"}) {
		t.Error(kept)
	}
	c, kept = mustParse(t, "site: {name: x}\n").At(own)
	if c.Fleet.Broker != own.Fleet.Broker || c.Fleet.Box != "B1" || kept != nil {
		t.Error(c.Fleet, kept)
	}
}

// TestPeek: a file for a newer program still says where the data are.
func TestPeek(t *testing.T) {
	g, err := config.Peek([]byte("data_dir: /srv/a\nnew_section: {x: 1}\nfleet:\n  new_key: 1\n  broker: mqtts://b:1\n  keys: [{id: a, roles: [release], public: \"eA==\", newer: 1}]\n"))
	if err != nil || g.DataDir != "/srv/a" || g.Broker != "mqtts://b:1" || len(g.Keys) != 1 || g.Keys[0].ID != "a" || !slices.Equal(g.Keys[0].Roles, []string{"release"}) {
		t.Error(g, err)
	}
	if g, err := config.Peek(nil); err != nil || g.DataDir != "/var/lib/payagent" || g.Broker != "" {
		t.Error(g, err)
	}
	if _, err := config.Peek([]byte("a: [")); err == nil {
		t.Error("taken")
	}
}
