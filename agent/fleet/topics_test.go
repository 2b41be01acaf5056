package fleet_test

import (
	"slices"
	"strings"
	"testing"

	"payagent/agent/fleet"
)

func TestTopics(t *testing.T) {
	p := fleet.Place{Root: "payagent", Site: "H1", Box: "B1"}
	if got := p.Topic(fleet.LevelCommand, fleet.VerbRestart, "7", "req"); got != "payagent/H1/B1/cmd/restart/7/req" {
		t.Error(got)
	}
	if got := (fleet.Place{Root: "payagent"}).All(fleet.LevelEvent, "#"); got != "payagent/+/+/e/#" {
		t.Error(got)
	}
	got, levels, ok := fleet.Split("payagent", "payagent/H1/B1/e/orders")
	if !ok || got != p || !slices.Equal(levels, []string{"e", "orders"}) {
		t.Error(got, levels, ok)
	}
	for _, bad := range []string{"", "payagent", "payagent/H1/B1", "other/H1/B1/status", "payagentx/H1/B1/status"} {
		if _, _, ok := fleet.Split("payagent", bad); ok {
			t.Errorf("%q was taken", bad)
		}
	}
	for _, bad := range []string{"", "a/b", "a+", "#", "药房", strings.Repeat("a", 49)} {
		if fleet.CheckName(bad) == nil {
			t.Errorf("%q was taken as a name", bad)
		}
	}
	if err := fleet.CheckName("XA-01.b_c"); err != nil {
		t.Error(err)
	}
}

// TestNoVerbMovesMoney: every verb has a rôle, and none of the words of money
// is a verb.
func TestNoVerbMovesMoney(t *testing.T) {
	for _, verb := range []string{"restart", "config.apply", "config.rollback", "log.upload", "diag", "devices.test", "orders.resolve_now", "update", "certificate.renew"} {
		if _, ok := fleet.RoleFor(verb); !ok {
			t.Errorf("nobody may order %s", verb)
		}
	}
	for _, verb := range []string{"pay", "refund", "cancel", "revoke", "collect", "shell", "exec", ""} {
		if _, ok := fleet.RoleFor(verb); ok {
			t.Errorf("%q is a verb", verb)
		}
	}
}
