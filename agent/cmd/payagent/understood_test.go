package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"payagent/agent/desired"
	"payagent/agent/fleet"
	"payagent/agent/signed"
	"payagent/agent/trial"
	"payagent/platforms/fwc/fwctest"
)

// TestDriversOfAnOlderProgram: a configuration in effect with settings that only
// a newer program's drivers know does not keep an older one from its start; one
// that names a file which is not there is in effect all the same.
func TestDriversOfAnOlderProgram(t *testing.T) {
	works := trial.Health{Store: true, Door: true}
	for what, c := range map[string]struct {
		old, new string
		want     string
	}{
		"platform's option": {"allow_plain_http: true", "allow_plain_http: true, options: {from_the_future: 1}", "one"},
		"platform's driver": {"name: fwc, driver: fwc", "name: fwc, driver: future", "one"},
		"scanner's driver":  {"device_no: \"W1\"", "device_no: \"W1\", scanners: [{driver: future}]", "one"},
		"missing file":      {`url: "http:`, `ca_file: /not/there.pem, url: "https:`, "two"},
	} {
		t.Run(what, func(t *testing.T) {
			file, _ := site(t)
			base, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, body, _ := strings.Cut(string(base), "door:") // after what is the box's own
			body = "door:" + body
			text := func(name string) string {
				return fmt.Sprintf("site: {hospital_id: \"%s\", name: %s, test: true}\n%s", fwctest.HospitalID, name, body)
			}
			var pair []signed.Private
			keys := ""
			for i, id := range []string{"conf-1", "conf-2"} {
				p := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(i + 1)}, ed25519.SeedSize))
				pair = append(pair, signed.Private{ID: id, Key: p})
				keys += fmt.Sprintf("{id: %s, roles: [config], public: %q}, ", id, base64.StdEncoding.EncodeToString(p.Public().(ed25519.PublicKey)))
			}
			rewrite(t, file, "booking: {expect: true}\n", fmt.Sprintf("booking: {expect: true}\nfleet: {broker: \"mqtt://127.0.0.1:1\", accept_plain: true, site: H1, box: B1, keys: [%s]}\n", keys))
			commit := func(version uint64, text string) {
				t.Helper()
				// A program that understands everything.
				begin := func() *desired.Files {
					d, err := desired.Open(desired.Options{File: file, Clock: clocks()})
					if err != nil {
						t.Fatal(err)
					}
					e, _, err := d.Start()
					if err != nil {
						t.Fatal(err)
					}
					d.Serve(desired.Terms{Keys: signers(e.Config.Fleet.Keys), Place: fleet.Place{Root: "payagent", Site: "H1", Box: "B1"}})
					return d
				}
				now := time.Now()
				doc, err := fleet.SignConfig(fleet.NewDesired(version, "H1", []string{"B1"}, text, now.Add(-time.Minute), now.Add(time.Hour), ""), pair...)
				d := begin()
				if err == nil {
					err = d.Stage(doc)
				}
				if err == nil {
					err = d.Apply(version, false, works)
				}
				if err == nil {
					_, err = begin().Judge("", nil)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			commit(1, text("one"))
			commit(2, strings.Replace(text("two"), c.old, c.new, 1))
			// A command beside the service, then the service.
			if got, err := loadConfig(file); err != nil || got.Site.Name != c.want {
				t.Errorf("a command has %q: %v", got.Site.Name, err)
			}
			files, err := openFiles(file)
			if err != nil {
				t.Fatal(err)
			}
			if e, _, err := files.Start(); err != nil || e.Config.Site.Name != c.want {
				t.Errorf("the service has %q: %v", e.Config.Site.Name, err)
			}
		})
	}
}
