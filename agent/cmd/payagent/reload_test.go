package main

import (
	"log/slog"
	"strings"
	"testing"

	"payagent/agent/desired"
)

// TestReloadIsChecked: what would keep the next start from serving is found
// before the one that runs is ended, also what only a driver finds.
func TestReloadIsChecked(t *testing.T) {
	file, _ := site(t)
	files, err := openFiles(file)
	if err != nil {
		t.Fatal(err)
	}
	e, err := files.Look()
	if err != nil {
		t.Fatal(err)
	}
	b, err := assemble(e.Config, slog.New(slog.DiscardHandler), storeOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}()
	for _, c := range []struct{ old, new, want string }{
		{"name: test", "name: other", ""},
		{"name: other", "name: other, nonsense: 1", "nonsense"},
		{", nonsense: 1", "", ""},
		{"door: {", "door: {tls: {cert: /not/there.pem, key: /not/there.key}, ", "door.tls"},
		{"tls: {cert: /not/there.pem, key: /not/there.key}, ", `tls: {cert: /not/there.pem, key: "credential:door.key"}, `, ""},
		{`tls: {cert: /not/there.pem, key: "credential:door.key"}, `, "", ""},
		{"allow_plain_http: true", "allow_plain_http: true, options: {typo: 1}", "typo"},
		{", options: {typo: 1}", "", ""},
		{`device_no: "W1"`, `device_no: "W1", displays: [{driver: pole, options: {baud: "fast"}}]`, "baud"},
	} {
		rewrite(t, file, c.old, c.new)
		err := b.wouldStart(&exchange{files: files, effective: desired.Effective{Config: e.Config}})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", c.new, err)
		}
	}
}
