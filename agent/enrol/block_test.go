package enrol_test

import (
	"strings"
	"testing"

	"payagent/agent/config"
	"payagent/agent/enrol"
	"payagent/agent/fleet"
)

func TestSetBlock(t *testing.T) {
	const block = "fleet:\n  broker: \"new\"\n"
	for name, c := range map[string]struct{ text, want string }{
		"none":     {"a: 1\n", "a: 1\n\n" + block},
		"no end":   {"a: 1", "a: 1\n\n" + block},
		"empty":    {"", "\n" + block},
		"between":  {"a: 1\n# mine\nfleet:\n  broker: old\n  keys:\n  - {id: x}\n\n# of b\nb: 2\n", "a: 1\n# mine\n" + block + "\n# of b\nb: 2\n"},
		"last":     {"a: 1\nfleet:\n  broker: old\n", "a: 1\n" + block},
		"flow":     {"fleet: {broker: old,\n  box: b\n}\nb: 2\n", block + "b: 2\n"},
		"similar":  {"fleets: 1\n  fleet: 2\n", "fleets: 1\n  fleet: 2\n\n" + block},
		"crlf":     {"a: 1\r\nfleet:\r\n  broker: old\r\nb: 2\r\n", "a: 1\r\n" + strings.ReplaceAll(block, "\n", "\r\n") + "b: 2\r\n"},
		"no value": {"fleet:", block},
	} {
		if got := enrol.SetBlock(c.text, block); got != c.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestBlockIsTaken(t *testing.T) {
	key := "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	s := fleet.Settings{Broker: "mqtts://b:8883", Root: "payagent", Site: "H1", Box: "box-1", HubKey: key, Ack: "hub", CAURL: "https://ca:8443",
		Keys: []fleet.SettingsKey{{ID: "ops", Roles: []string{"operate", "config"}, Public: key}}}
	f := enrol.InFolder(`C:\Program Data\"x"`)
	text := enrol.SetBlock("data_dir: /x\n", enrol.Block(s, f, `window: "22:00-05:30"`))
	c, err := config.Parse("x", []byte(text))
	if err != nil {
		t.Fatal(err, text)
	}
	got := c.Fleet
	if got.Broker != s.Broker || got.Box != "box-1" || got.KeyFile != f.Key || got.Window != "22:00-05:30" || got.CAURL != s.CAURL || len(got.Keys) != 1 || len(got.Keys[0].Roles) != 2 || got.Keys[0].Public != key {
		t.Errorf("%+v", got)
	}
}
