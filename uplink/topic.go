package uplink

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Fits tells whether a topic fits a filter by the rules of MQTT 3.1.1: + is one
// level, # at the end is what is left (and the level before it), and neither
// takes the broker's own topics that begin with $.
func Fits(filter, topic string) bool {
	if strings.HasPrefix(topic, "$") && !strings.HasPrefix(filter, "$") {
		return false
	}
	for {
		f, fRest, fMore := strings.Cut(filter, "/")
		if f == "#" {
			return true
		}
		t, tRest, tMore := strings.Cut(topic, "/")
		if f != "+" && f != t {
			return false
		}
		switch {
		case !fMore && !tMore:
			return true
		case !fMore:
			return false
		case !tMore:
			return fRest == "#"
		}
		filter, topic = fRest, tRest
	}
}

// CheckTopic says whether a message may be published to topic.
func CheckTopic(topic string) error {
	if strings.ContainsAny(topic, "+#") {
		return fmt.Errorf("cannot publish to %q: it has a wildcard; name one topic", topic)
	}
	return checkLevels(topic)
}

// CheckFilter says whether a filter may be subscribed to.
func CheckFilter(filter string) error {
	levels := strings.Split(filter, "/")
	for i, l := range levels {
		if strings.ContainsAny(l, "+#") && len(l) > 1 || l == "#" && i < len(levels)-1 {
			return fmt.Errorf("cannot subscribe to %q: + stands for a whole level, # for the whole rest", filter)
		}
	}
	return checkLevels(filter)
}

func checkLevels(s string) error {
	if s == "" || len(s) > 1024 || !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
		return fmt.Errorf("cannot use a topic of %d bytes: it has 1 to 1024 bytes of UTF-8 without a zero byte", len(s))
	}
	return nil
}
