package terms

import (
	"testing"

	"payagent/agent/fleet"
)

func TestEveryTermHasBothLanguages(t *testing.T) {
	for group, list := range All() {
		for code, text := range list {
			if text.ZH == "" || text.EN == "" {
				t.Errorf("%s %s: %+v", group, code, text)
			}
		}
	}
	for verb := range All()["verb"] {
		if _, ok := fleet.RoleFor(verb); !ok {
			t.Errorf("there is no verb %s", verb)
		}
	}
	if Say("zh", "state", "lost") != "失联" || Say("en", "state", "lost") != "lost" || Say("en", "state", "new_word") != "new_word" {
		t.Error("Say says something else")
	}
}

// TestValues: codes with what they are about, and those that nobody knows.
func TestValues(t *testing.T) {
	for _, c := range []struct{ field, value, zh, en string }{
		{"state", "rolled_back", "已退回", "rolled back"}, {"missing", "platform:bank", "支付平台 (bank)", "the platform (bank)"},
		{"state", "dancing", "dancing", "dancing"}, {"name", "staged", "staged", "staged"}, {"missing", "x:y", "x:y", "x:y"},
	} {
		if zh, en := Value("zh", c.field, c.value), Value("en", c.field, c.value); zh != c.zh || en != c.en {
			t.Errorf("%s %s: %s, %s", c.field, c.value, zh, en)
		}
	}
	codes := Codes()
	for _, code := range []string{"store_not_fresh", "scanner_absent", "platform_not_seen", "clock_wrong", "store_stopped", "disk_low", "platform_unreachable", "token_refused", "not_proven", "two_keys", "audit_failed"} {
		if Code(codes, "zh", code+":x") == code+":x" {
			t.Errorf("%s has no words", code)
		}
	}
	if got := Code(codes, "en", "alarm:audit_failed"); got != codes["audit_failed"].EN || Code(codes, "en", "new:x") != "new:x" {
		t.Error(got)
	}
}
