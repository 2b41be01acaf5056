package docgen

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"payagent/agent/words"
)

const guide = "docs/his-guide.md"

// guideNames are the names that the guide may use beside those of the
// interface: what it says of the program's own files and words.
func guideNames() []string {
	return []string{"true", "false", "id"}
}

// complaints gives the fields and codes that a guide names in backticks or in a
// JSON body, and that the interface's description and the catalogue of words do
// not know.
func complaints(text string, known func(name string) bool) []string {
	var wrong []string
	var blocks strings.Builder
	prose := fence.ReplaceAllStringFunc(text, func(s string) string {
		blocks.WriteString(s)
		return ""
	})
	for _, m := range span.FindAllStringSubmatch(prose, -1) {
		if regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`).MatchString(m[1]) {
			if !known(m[1]) {
				wrong = append(wrong, m[1])
			}
			continue
		}
		// Bodies: {"booked": false, …} and "mode": "present".
		blocks.WriteString("\n" + m[1])
	}
	for _, m := range regexp.MustCompile(`"([a-z][a-z0-9_]*)": *("([A-Za-z_]+)")?`).FindAllStringSubmatch(blocks.String(), -1) {
		if !known(m[1]) {
			wrong = append(wrong, m[1])
		}
	}
	return wrong
}

// Every field and code that the guide for HIS names exists in openapi.json or
// in the catalogue of words. Routes, commands, links and configuration keys are
// checked as in every page.
func TestGuideNamesWhatExists(t *testing.T) {
	text, err := os.ReadFile(root + "/" + guide)
	if err != nil {
		t.Fatal(err)
	}
	api, err := os.ReadFile(root + "/agent/door/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var doc any
	if err := json.Unmarshal(api, &doc); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	collect(doc, names)
	for _, n := range guideNames() {
		names[n] = true
	}
	c := words.New()
	known := func(name string) bool {
		if names[name] {
			return true
		}
		for _, g := range words.Groups() {
			if _, ok := c.Find(g, name); ok {
				return true
			}
		}
		return false
	}
	// The bodies that the pretend world takes are none of the interface.
	mine := regexp.MustCompile(`(?m)^.*\$WORLD.*$`).ReplaceAllString(string(text), "")
	for _, w := range complaints(mine, known) {
		t.Errorf("%s names %q, which is no field, no code and no word", guide, w)
	}
	// The check can fail.
	for _, bad := range []string{"see `amount_yuan`", "`{\"boked\": true}`", "```sh\ncurl -d '{\"his_flow\": \"1\"}'\n```"} {
		if len(complaints(bad, known)) != 1 {
			t.Errorf("%s was not seen", bad)
		}
	}
}

// collect gathers the names of properties and parameters, and the words of
// enums and constants.
func collect(v any, names map[string]bool) {
	switch x := v.(type) {
	case map[string]any:
		for k, val := range x {
			switch k {
			case "properties":
				if m, ok := val.(map[string]any); ok {
					for name := range m {
						names[name] = true
					}
				}
			case "name", "const":
				if s, ok := val.(string); ok {
					names[s] = true
				}
			case "enum":
				if list, ok := val.([]any); ok {
					for _, e := range list {
						if s, ok := e.(string); ok {
							names[s] = true
						}
					}
				}
			}
			collect(val, names)
		}
	case []any:
		for _, e := range x {
			collect(e, names)
		}
	}
}
