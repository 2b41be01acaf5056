package diag_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent/agenttest"
	"payagent/agent/config"
	"payagent/agent/diag"
	"payagent/platforms"
	"payagent/queue/mem"
)

func lines(t *testing.T, packed []byte) []string {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// TestLog chooses lines over files that were turned over.
func TestLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.log")
	at := time.Date(2026, 3, 14, 9, 0, 0, 0, time.UTC)
	n := 0
	for _, name := range []string{path + ".2", path + ".1", path} { // oldest first
		var b bytes.Buffer
		for range 10 {
			fmt.Fprintf(&b, `{"time":%q,"msg":"line %d"}`+"\n", at.Add(time.Duration(n)*time.Minute).Format(time.RFC3339), n)
			n++
		}
		if name == path {
			b.WriteString(strings.Repeat("x", 200<<10) + "\nlast")
		}
		if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l := diag.Log{Path: path, Keep: 3}
	for name, c := range map[string]struct {
		q     diag.LogQuery
		first string
		n     int
		cut   bool
	}{
		"all":            {diag.LogQuery{}, "line 0\"", 32, false},
		"the newest":     {diag.LogQuery{Lines: 5}, "line 27", 5, true},
		"a pattern":      {diag.LogQuery{Pattern: "line 1[0-4]"}, "line 10", 5, false},
		"a span of time": {diag.LogQuery{From: at.Add(8 * time.Minute), To: at.Add(11 * time.Minute), Pattern: "line"}, "line 8", 4, false},
		"none":           {diag.LogQuery{Pattern: "nowhere"}, "", 0, false},
	} {
		packed, n, cut, err := l.Pack(context.Background(), c.q, 1<<20)
		if err != nil || n != c.n || cut != c.cut {
			t.Errorf("%s: %d lines, cut %v, %v", name, n, cut, err)
			continue
		}
		if got := lines(t, packed); !strings.Contains(got[0], c.first) || n > 0 && len(got) != n {
			t.Errorf("%s: %d lines, %.60q", name, len(got), got[0])
		}
	}
	for name, q := range map[string]diag.LogQuery{"a bad pattern": {Pattern: "("}, "too many": {Lines: 1 << 30}, "fewer than none": {Lines: -1}, "a long pattern": {Pattern: strings.Repeat("a", 201)}} {
		if _, _, _, err := l.Pack(context.Background(), q, 1<<20); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if _, _, _, err := (diag.Log{}).Pack(context.Background(), diag.LogQuery{}, 1); err == nil || !strings.Contains(err.Error(), "journalctl") {
		t.Error(err)
	}
	if packed, n, cut, err := l.Pack(context.Background(), diag.LogQuery{}, 150); err != nil || len(packed) > 150 || !cut || n == 0 {
		t.Error(len(packed), n, cut, err)
	}
}

// TestBundle: everything is in it, and what was planted is not.
func TestBundle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := agenttest.Start(t, agenttest.Options{Log: mem.Open(&mem.Disk{}), Config: func(c *config.Config) {
			c.Platforms[0].URL = "https://user:CANARY@full.invalid/"
		}})
		for i := range 205 {
			w.Take(t, agenttest.Payment{Till: agenttest.W1, No: fmt.Sprint("MZ", i), Fen: 100, Patient: platforms.Patient{Name: platforms.Hide("CANARY"), CardNo: platforms.Hide("CANARY")}})
		}
		s := diag.Sources{Agent: w.Agent, Version: "1.2.3", Config: w.Agent.Config(),
			Metrics: []func(io.Writer) error{func(io.Writer) error { return fmt.Errorf("a figure that cannot be told") }},
			More:    map[string]func(context.Context) (any, error){"more.json": func(context.Context) (any, error) { return map[string]int{"x": 1}, nil }}}
		data, err := s.Bundle(t.Context(), 10<<20)
		if err != nil {
			t.Fatal(err)
		}
		z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, f := range z.File {
			r, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			got[f.Name] = string(text)
			if strings.Contains(string(text), "CANARY") || strings.Contains(string(text), "王收费") {
				t.Errorf("%s names somebody:\n%.300s", f.Name, text)
			}
		}
		for name, want := range map[string]string{"version.txt": "1.2.3", "config.json": "[hidden]@full.invalid", "config-report.txt": "w1", "health.json": `"ready"`, "devices.json": "w1-pad",
			"metrics.txt": "a figure that cannot be told", "goroutines.txt": "(…)", "more.json": `"x": 1`, "orders.txt": "MZ204"} {
			if !strings.Contains(got[name], want) {
				t.Errorf("%s has no %q:\n%.300s", name, want, got[name])
			}
		}
		if n := strings.Count("\n"+got["orders.txt"], "\nMZ"); n != 200 || strings.Contains("\n"+got["orders.txt"], "\nMZ4\n") {
			t.Errorf("%d orders", n)
		}
		if strings.Contains(got["goroutines.txt"], "(0x") {
			t.Error("there are values in the stacks")
		}
		if _, err := s.Bundle(t.Context(), 100); err == nil {
			t.Error("a bundle without bounds")
		}
	})
}
