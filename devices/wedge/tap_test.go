package wedge

import (
	"testing"
	"time"

	"payagent/devices/learn"
)

// TestTextIsWhatWasTyped: under the scanner's own layout the keys give the text
// back, with the end that was typed, and learning finds layout and end.
func TestTextIsWhatWasTyped(t *testing.T) {
	var layouts []learn.Layout
	for _, name := range Layouts() {
		layouts = append(layouts, learn.Layout{Name: name, Text: func(keys []learn.Key) string {
			var mine []Key
			for _, k := range keys {
				mine = append(mine, Key(k))
			}
			return Text(name, mine)
		}})
	}
	for _, name := range Layouts() {
		p, ok := pictures[name]
		if !ok {
			t.Fatalf("no picture of %s", name)
		}
		for end, code := range map[string]uint16{"cr": keyEnter, "tab": keyTab, "none": 0} {
			var scans []learn.Scan
			for _, c := range learn.Sheet() {
				y := typist{picture: p, step: time.Millisecond}
				y.text(c.Text)
				if code != 0 {
					y.tap(code)
				}
				scan := learn.Scan{Want: c.Text}
				var raw []byte
				for _, e := range y.out {
					raw = append(raw, e.bytes()...)
				}
				for _, k := range Keys(raw) {
					scan.Keys = append(scan.Keys, learn.Key(k))
				}
				scans = append(scans, scan)
			}
			got, err := learn.Keys(scans, layouts)
			if err != nil || got.Layout != name || got.End != end || len(got.Also) != 0 {
				t.Errorf("%s %s: %+v, %v", name, end, got, err)
			}
		}
	}
	if Text("us", nil) != "" || Text("xx", []Key{{0, 2, true}}) != "" || Text("us", []Key{{time.Second, 2, true}}) != "1" {
		t.Error("the edges")
	}
	if got := Keys(make([]byte, eventSize-1)); got != nil {
		t.Error(got)
	}
}
