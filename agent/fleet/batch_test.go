package fleet_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"payagent/agent/fleet"
)

// parts lists what a payload holds; cut: something could not be told apart.
func parts(payload string) (list []string, cut bool) {
	for e, err := range fleet.Events([]byte(payload)) {
		if err != nil {
			cut = true
			continue
		}
		list = append(list, string(e))
	}
	return list, cut
}

func TestEvents(t *testing.T) {
	for payload, want := range map[string]struct {
		parts []string
		cut   bool
	}{
		`{"a":1}`:                           {[]string{`{"a":1}`}, false},
		`nonsense`:                          {[]string{`nonsense`}, false}, // for whoever reads one event to refuse
		``:                                  {[]string{``}, false},
		`[{"a":1}]`:                         {[]string{`{"a":1}`}, false},
		" [ {\"a\":[1,{}]} ,\n{\"b\":2} ] ": {[]string{`{"a":[1,{}]}`, `{"b":2}`}, false},
		`[{"a":"]}\"\\"},{"b":"{["}]`:       {[]string{`{"a":"]}\"\\"}`, `{"b":"{["}`}, false},
		`[{"a":1},{oh no},{"b":2}]`:         {[]string{`{"a":1}`, `{oh no}`, `{"b":2}`}, false}, // an ill one costs its neighbours nothing
		`[{]},{"b":2}]`:                     {[]string{`{]`}, true},
		`[{"a":1},{"b":`:                    {[]string{`{"a":1}`}, true},
		`[{"a":1},`:                         {[]string{`{"a":1}`}, true},
		`[{"a":1}`:                          {[]string{`{"a":1}`}, true},
		`[{"a":1}{"b":2}]`:                  {[]string{`{"a":1}`}, true},
		`[{"a":1},7,{"b":2}]`:               {[]string{`{"a":1}`}, true},
		`[{"a":1},[{"b":2}]]`:               {[]string{`{"a":1}`}, true},
		`[{"a":1},]`:                        {[]string{`{"a":1}`}, true},
		`[{"a":1}]]`:                        {[]string{`{"a":1}`}, true},
		`[{"a":1}]{"b":2}`:                  {[]string{`{"a":1}`}, true},
		`[]`:                                {nil, true}, // nobody sends one
		`[`:                                 {nil, true},
		`[{"a":"\`:                          {nil, true},
	} {
		if list, cut := parts(payload); !slices.Equal(list, want.parts) || cut != want.cut {
			t.Errorf("%s: %q, cut %v", payload, list, cut)
		}
	}
}

// FuzzEvents: what is an array of objects comes apart as encoding/json has it;
// of everything else no byte comes twice, or out of order, and what is not JSON
// is never taken for a whole batch.
func FuzzEvents(f *testing.F) {
	for _, s := range []string{`{"a":1}`, `[{"a":"\"}"},{"b":[{}]}]`, `[{"a":1},{oh},{"b":2}]`, `[{"a":1},{"b":`, ` [ ] `, `[{]},{}]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		var got [][]byte
		cut, at := false, 0
		for e, err := range fleet.Events(payload) {
			if cut {
				t.Fatal("something follows the error")
			}
			if err != nil {
				cut = true
				continue
			}
			i := bytes.Index(payload[at:], e)
			if i < 0 {
				t.Fatalf("%q is not there", e)
			}
			at += i + len(e)
			got = append(got, e)
		}
		trimmed := strings.TrimLeft(string(payload), " \t\r\n")
		if !strings.HasPrefix(trimmed, "[") {
			if cut || len(got) != 1 || !bytes.Equal(got[0], payload) {
				t.Fatal("one event is not given as it is")
			}
			return
		}
		var want []json.RawMessage
		whole := json.Unmarshal(payload, &want) == nil && len(want) > 0 && !slices.ContainsFunc(want, func(e json.RawMessage) bool { return e[0] != '{' })
		if whole && (cut || len(got) != len(want)) {
			t.Fatalf("%d of %d, cut %v", len(got), len(want), cut)
		}
		for i := range got {
			if whole && !bytes.Equal(got[i], want[i]) {
				t.Fatalf("%d: %q and not %q", i, got[i], want[i])
			}
		}
		if good := !slices.ContainsFunc(got, func(e []byte) bool { return !json.Valid(e) }); good && !cut && !whole {
			t.Fatal("good events, nothing cut off, and yet no array of objects")
		}
	})
}
