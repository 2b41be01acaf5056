// Package wiretest is what the tests of several platforms look at documents and
// at tables of fields with; tests only.
package wiretest

import (
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"payagent/platforms"
)

// Elements lists the elements of a document in order, path=text with the text
// trimmed, read by the standard decoder. Of those in untold only that they are
// there counts: the text is *.
func Elements(t testing.TB, doc string, untold ...string) []string {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(strings.TrimSpace(doc)))
	var out, at []string
	text := ""
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatalf("%v in %s", err, doc)
		}
		switch x := tok.(type) {
		case xml.StartElement:
			at, text = append(at, x.Name.Local), ""
		case xml.CharData:
			text += string(x)
		case xml.EndElement:
			if slices.Contains(untold, x.Name.Local) {
				text = "*"
			}
			out = append(out, strings.Join(at, "/")+"="+strings.TrimSpace(text))
			at, text = at[:len(at)-1], ""
		}
	}
}

// Rows gives a table of fields by the key of each; each row must be there once
// and say where its value comes from.
func Rows[K comparable](t testing.TB, table []platforms.FieldRow, key func(message, direction, field string) K) map[K]platforms.FieldRow {
	t.Helper()
	all := map[K]platforms.FieldRow{}
	for _, r := range table {
		k := key(r.Message, r.Direction, r.Field)
		if _, twice := all[k]; twice {
			t.Errorf("%v has two rows", k)
		}
		all[k] = r
		word, rest, _ := strings.Cut(r.Source, " ")
		switch word {
		case "api", "config":
			if strings.TrimSpace(rest) == "" {
				t.Errorf("%v: %q names nothing", k, r.Source)
			}
		case "derived", "ignored":
			if r.Note == "" {
				t.Errorf("%v: %s without a word why", k, r.Source)
			}
		default:
			t.Errorf("%v: source %q", k, r.Source)
		}
		if r.Direction != platforms.FieldSent && r.Direction != platforms.FieldRead {
			t.Errorf("%v: direction %q", k, r.Direction)
		}
	}
	return all
}
