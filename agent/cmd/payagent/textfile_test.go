package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"payagent/agent/config"
	"payagent/agent/metrics"
)

// TestTextfile: an agent that is told to writes its figures into a file from the
// start on, and takes it away when it ends.
func TestTextfile(t *testing.T) {
	file, _ := site(t)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	prom := filepath.Join(dir, "payagent.prom")
	text = append(text, "metrics: {enabled: false, textfile: "+prom+", textfile_every: 5s}\n"...)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	stop := startSite(t, file)
	var page []byte
	for end := time.Now().Add(2 * time.Minute); len(page) == 0; <-time.After(10 * time.Millisecond) {
		if page, _ = os.ReadFile(prom); time.Now().After(end) {
			t.Fatal("no file")
		}
	}
	series := 0
	for line := range strings.Lines(string(page)) {
		if !strings.HasPrefix(line, "#") {
			series++
		}
	}
	if !bytes.Contains(page, []byte("\npayagent_ready ")) || !bytes.Contains(page, []byte("\npayagent_door_held 0\n")) || !bytes.Contains(page, []byte("\npayagent_clock_steps_total 0\n")) ||
		!bytes.HasSuffix(page, []byte("payagent_metrics_left_out 0\n")) || series < 5 || series > metrics.Most {
		t.Errorf("%d series:\n%s", series, page)
	}
	stop()
	if list, err := os.ReadDir(dir); err != nil || len(list) != 0 {
		t.Errorf("left behind: %v %v", list, err)
	}
	// What cannot work is said when the configuration is checked.
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	c.Metrics.Textfile = filepath.Join(dir, "none", "payagent.prom")
	if _, err := c.CheckFiles(); err == nil || !strings.Contains(err.Error(), "metrics.textfile") {
		t.Error(err)
	}
	for _, bad := range []string{"payagent.prom", filepath.Join(dir, "payagent.txt")} {
		c.Metrics.Textfile = bad
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "metrics.textfile") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
