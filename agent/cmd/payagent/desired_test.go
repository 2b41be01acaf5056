package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"payagent/agent/desired"
	"payagent/agent/fleet"
	"payagent/agent/signed"
	"payagent/agent/trial"
)

// apply stages and applies a document while the service is stopped: what
// comes after it is the real program's.
func (m *manager) apply(version uint64, text string, before trial.Health) {
	m.t.Helper()
	d, err := desired.Open(desired.Options{File: m.conf})
	if err != nil {
		m.t.Fatal(err)
	}
	if _, _, err := d.Start(); err != nil {
		m.t.Fatal(err)
	}
	e, err := d.Look()
	if err != nil {
		m.t.Fatal(err)
	}
	d.Serve(desired.Terms{Keys: signers(e.Config.Fleet.Keys), Place: fleet.Place{Site: "H1", Box: "B1"}})
	now := time.Now()
	doc, err := fleet.SignConfig(fleet.NewDesired(version, "H1", []string{"B1"}, text, now.Add(-time.Minute), now.Add(time.Hour), ""), []signed.Private{m.a, m.b}...)
	if err == nil {
		err = d.Stage(doc)
	}
	if err == nil {
		err = d.Apply(version, false, before)
	}
	if err != nil {
		m.t.Fatal(err)
	}
}

// text is the service's configuration under another name, with changes, as a
// document has it: without what is the box's own.
func (m *manager) text(name string, change ...string) string {
	m.t.Helper()
	conf, err := os.ReadFile(m.conf)
	if err != nil {
		m.t.Fatal(err)
	}
	own := regexp.MustCompile(`(?m)^(data_dir|fleet):.*\n`)
	s := own.ReplaceAllString(string(conf), "")
	change = append([]string{"name: kill", "name: " + name}, change...)
	for i := 0; i < len(change); i += 2 {
		next := strings.Replace(s, change[i], change[i+1], 1)
		if next == s {
			m.t.Fatal("nothing to change:", change[i])
		}
		s = next
	}
	return s
}

// inEffect is the hospital's name in the configuration that counts.
func (m *manager) inEffect() string {
	m.t.Helper()
	c, err := loadConfig(m.conf)
	if err != nil {
		m.t.Fatal(err)
	}
	return c.Site.Name
}

func (m *manager) reported() fleet.ReportedConfig {
	m.t.Helper()
	d, err := desired.Open(desired.Options{File: m.conf})
	if err != nil {
		m.t.Fatal(err)
	}
	r, err := d.Reported()
	if err != nil {
		m.t.Fatal(err)
	}
	return r
}

// TestNothingBefore: who asks to go back where nothing is behind is told at once,
// and the service is not asked.
func TestNothingBefore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	conf := filepath.Join(dir, "payagent.yaml")
	demo, err := os.ReadFile("../../config/demo.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`(?m)^data_dir:.*\n`).ReplaceAll(demo, nil)
	if err := os.WriteFile(conf, append([]byte("data_dir: "+dir+"\n"), text...), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := configCommand("config rollback", []string{"--config", conf}, io.Discard); err == nil || !strings.Contains(err.Error(), "no configuration before") {
		t.Error(err)
	}
	if err := updateCommand(t.Context(), []string{"rollback", "--config", conf}, io.Discard); err == nil || !strings.Contains(err.Error(), "no program before") {
		t.Error(err)
	}
	for _, sub := range []string{"config", "updates"} {
		if _, ok, err := trial.Asked(trial.OS{}, filepath.Join(dir, sub)); ok || err != nil {
			t.Error("the service is asked all the same:", err)
		}
	}
}

// TestDesired tries configurations with the real program: one that works, one
// whose platform does not answer, one that does not start, and one under kills.
func TestDesired(t *testing.T) {
	t.Parallel() // it mostly waits
	m := newManager(t)
	conf, err := os.ReadFile(m.conf)
	if err != nil {
		t.Fatal(err)
	}
	fwcAddress := regexp.MustCompile(`driver: fwc, url: "([^"]+)"`).FindStringSubmatch(string(conf))[1]
	works := trial.Health{Store: true, Door: true, Platforms: map[string]bool{"smartpay": true, "fwc": true}}
	m.start()
	m.pause()
	m.apply(1, m.text("one"), works)
	m.resume()
	m.until("keeping what works", func() bool { return m.reported().State == fleet.ConfigCommitted })
	if m.inEffect() != "one" {
		t.Fatal(m.inEffect())
	}
	if out, err := m.command("config", "show", "--effective"); err != nil || !strings.Contains(out, "in effect: 1 ") || !strings.Contains(out, "name: one") {
		t.Errorf("%v: %s", err, out)
	}

	m.pause()
	m.apply(2, m.text("two", fwcAddress, "http://127.0.0.1:9/"), works)
	m.resume()
	m.until("going back from a platform that does not answer", func() bool { return m.reported().State == fleet.ConfigRolledBack })
	if r := m.reported(); m.inEffect() != "one" || fmt.Sprint(r.Missing) != "[platform:fwc]" {
		t.Errorf("%+v", r)
	}

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	m.awaitReady()
	m.pause()
	m.apply(3, m.text("three", m.door, taken.Addr().String()), works)
	m.resume()
	m.until("going back from an address that is taken", func() bool { return m.reported().State == fleet.ConfigRolledBack && m.reported().Document == 3 })
	if r := m.reported(); m.inEffect() != "one" || len(r.Missing) != 1 || !strings.Contains(r.Missing[0], "address already in use") {
		t.Errorf("%+v", r)
	}

	m.awaitReady()
	m.pause()
	m.apply(4, m.text("four"), works)
	m.resume()
	for range 4 {
		<-time.After(time.Duration(rand.IntN(1200)) * time.Millisecond)
		m.kill()
		m.awaitReady()
	}
	m.until("a verdict after the kills", func() bool {
		r := m.reported()
		return r.Document == 4 && (r.State == fleet.ConfigCommitted && m.inEffect() == "four" || r.State == fleet.ConfigRolledBack && m.inEffect() == "one")
	})

	// IT changes the file: it counts at the next start, and is not overwritten.
	m.pause()
	if err := os.WriteFile(m.conf, []byte(strings.Replace(string(conf), "name: kill", "name: by hand", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	m.resume()
	m.awaitReady()
	if r := m.reported(); m.inEffect() != "by hand" || !r.Edited {
		t.Errorf("%s: %+v", m.inEffect(), r)
	}
	if out, err := m.command("config", "accept"); err != nil || m.reported().Edited {
		t.Errorf("%v: %s", err, out)
	}
	no, _ := m.order("t0", 1)
	m.until("a payment in the end", func() bool { return m.orderState(no) == "paid" })
}
