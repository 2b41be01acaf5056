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
