package words

import (
	_ "embed" // the words
	"errors"
	"strings"
	"sync"

	"payagent/agent/internal/packed"
)

// The words are a text and no Go: tables of sentences in Go are code that
// builds them, four times as large, in a program that must stay small.
//
//go:embed words.txt
var file []byte

// shared is read once: the catalogue never changes. That nothing is wrong with
// the text is what the tests see to.
var shared = sync.OnceValue(func() Catalogue {
	c, _ := parse(string(packed.Text(file)))
	return c
})

// parse reads the words. Where something is wrong with them, the error tells
// each line, and the catalogue has the rest.
func parse(text string) (Catalogue, error) {
	c := Catalogue{entries: map[Group]map[string]Entry{}, shared: map[string]Text{}}
	var bad []string
	var group Group
	var entry Entry
	keep := func() {
		if entry.Code == "" {
			return
		}
		if _, twice := c.entries[group][entry.Code]; twice {
			bad = append(bad, string(group)+" has twice: "+entry.Code)
		}
		c.entries[group][entry.Code] = entry
		entry = Entry{}
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		ok := true
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[':
			keep()
			group = Group(strings.Trim(line, "[]"))
			if c.entries[group] == nil && group != "shared" {
				c.entries[group] = map[string]Entry{}
			}
		case group == "shared":
			name, said, _ := strings.Cut(line, ": ")
			if _, twice := c.shared[name]; twice {
				ok = false
			} else {
				c.shared[name], ok = c.text(said)
			}
		case group == "":
			ok = false
		case line[0] != ' ':
			keep()
			entry.Code = line
		default:
			ok = c.field(&entry, line)
		}
		if !ok {
			bad = append(bad, "not to be understood: "+line)
		}
	}
	keep()
	if bad != nil {
		return c, errors.New("cannot read the words, correct words.txt: " + strings.Join(bad, "; "))
	}
	return c, nil
}

// field reads one line of an entry: who reads it, and the sentence.
func (c Catalogue) field(e *Entry, line string) (ok bool) {
	who, said, _ := strings.Cut(strings.TrimSpace(line), ": ")
	var t *Text
	switch who {
	case "patient":
		t = &e.Patient
	case "cashier":
		t = &e.Cashier
	case "next":
		t = &e.Next
	case "it":
		t = &e.IT
	default:
		return false
	}
	if e.Code == "" || !t.Empty() {
		return false
	}
	*t, ok = c.text(said)
	return ok
}

// text reads a sentence in both languages, or the name of a shared one.
func (c Catalogue) text(said string) (Text, bool) {
	if name, isName := strings.CutPrefix(said, "@"); isName {
		t, ok := c.shared[name]
		return t, ok
	}
	zh, en, ok := strings.Cut(said, " | ")
	return Text{ZH: zh, EN: en}, ok
}
