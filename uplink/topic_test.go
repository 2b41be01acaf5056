package uplink_test

import (
	"strings"
	"testing"

	"payagent/uplink"
)

func TestFits(t *testing.T) {
	for _, c := range []struct {
		filter, topic string
		want          bool
	}{
		{"a/b", "a/b", true}, {"a/b", "a/c", false}, {"a/b", "a/b/c", false}, {"a/b/c", "a/b", false},
		{"a/+", "a/b", true}, {"a/+", "a", false}, {"a/+", "a/b/c", false}, {"+/b", "a/b", true}, {"+/+", "/b", true},
		{"a/+/c", "a/b/c", true}, {"#", "a/b", true}, {"a/#", "a", true}, {"a/#", "a/b/c", true}, {"a/#", "ab", false},
		{"a/b/#", "a", false}, {"#", "$SYS/x", false}, {"+/x", "$SYS/x", false}, {"$SYS/#", "$SYS/x", true}, {"+", "", true},
		{"p/+/+/e/#", "p/s/b/e/orders", true}, {"p/+/+/e/#", "p/s/b/a/x", false},
	} {
		if got := uplink.Fits(c.filter, c.topic); got != c.want {
			t.Errorf("%s fits %s: %v", c.topic, c.filter, got)
		}
	}
}

func TestNames(t *testing.T) {
	for _, bad := range []string{"", "a/b+", "a#", "#/a", "a/#/b", "a\x00", "\xff", strings.Repeat("a", 1025)} {
		if uplink.CheckFilter(bad) == nil {
			t.Errorf("the filter %q was taken", bad)
		}
	}
	for _, bad := range []string{"", "a/+", "#", "a/#", "\xff"} {
		if uplink.CheckTopic(bad) == nil {
			t.Errorf("the topic %q was taken", bad)
		}
	}
	if err := uplink.CheckFilter("a/+/#"); err != nil {
		t.Error(err)
	}
	if err := uplink.CheckTopic("收费/a b"); err != nil {
		t.Error(err)
	}
}
