package words

import (
	"bytes"
	"compress/gzip"
	"slices"
	"strings"
	"testing"

	"payagent/agent/internal/packed"
)

// The table is read without a fault, has the groups that are documented and no
// others, no shared sentence that nothing uses, and reads the same when it is
// deflated, as the shipped program has it.
func TestTable(t *testing.T) {
	c, err := parse(string(file))
	if err != nil {
		t.Error(err)
	}
	for g := range c.entries {
		if !slices.Contains(Groups(), g) {
			t.Errorf("group %s is in words.txt and not among Groups", g)
		}
	}
	for name := range c.shared {
		if name != "ask_cashier" && !bytes.Contains(file, []byte(": @"+name+"\n")) {
			t.Errorf("nothing uses the shared sentence %s", name)
		}
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(file); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if d, err := parse(string(packed.Text(b.Bytes()))); err != nil || d.Markdown() != c.Markdown() {
		t.Errorf("deflated it reads otherwise: %v", err)
	}
}

func TestParse(t *testing.T) {
	const shared = "[shared]\nwait: 请稍候 | Please wait\n"
	c, err := parse("# why\n" + shared + "\n[state]\ncode 1\n  patient: @wait\n  cashier: 甲 | a | b: c\n  next: @wait\n  it: @wait\n")
	e, ok := c.Find(State, "code 1")
	if err != nil || !ok || e.Patient.EN != "Please wait" || e.Cashier != (Text{"甲", "a | b: c"}) {
		t.Errorf("%+v, %v", e, err)
	}
	for want, text := range map[string]string{
		"understood: x":               "x\n",
		"understood: wait":            shared + "wait: 等 | wait\n",
		"understood: alone":           "[shared]\nalone\n",
		"understood:   it: 等":         "[state]\na\n  it: 等\n",
		"understood:   it: @other":    "[state]\na\n  it: @other\n",
		"understood:   nurse: 等 | w":  "[state]\na\n  nurse: 等 | w\n",
		"understood:   it: 等 | w":     "[state]\n  it: 等 | w\n",
		"understood:   it: 二 | two":   "[state]\na\n  it: 一 | one\n  it: 二 | two\n",
		"state has twice: a":          "[state]\na\n  it: 等 | w\na\n",
		"reason has twice: a":         "[reason]\na\n[state]\na\n[reason]\na\n",
		"understood: wait: no second": "[shared]\nwait: no second\n",
	} {
		if _, err := parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
