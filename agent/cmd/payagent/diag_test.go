package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"payagent/agent/doctor"
	"payagent/platforms/fwc/fwctest"
)

// TestDiagCommand: the bundle of the running agent, with what the doctor says
// of the box, and without the platform's token.
func TestDiagCommand(t *testing.T) {
	file, _ := site(t)
	stop := startSite(t, file)
	awaitDoor(t, file)
	bundle := func(name string) map[string]string {
		t.Helper()
		to := filepath.Join(t.TempDir(), name)
		var out bytes.Buffer
		if err := command(t.Context(), []string{"diag", "--config", file, "--out", to}, &out); err != nil {
			t.Fatal(err)
		}
		z, err := zip.OpenReader(to)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = z.Close() }()
		got := map[string]string{}
		for _, f := range z.File {
			r, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			data, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			if got[f.Name] = string(data); strings.Contains(got[f.Name], fwctest.Token) {
				t.Errorf("%s holds the token", f.Name)
			}
		}
		return got
	}
	got := bundle("running.zip")
	var r doctor.Result
	if err := json.Unmarshal([]byte(got["doctor.json"]), &r); err != nil {
		t.Fatal(err, got["doctor.json"])
	}
	if !r.Running || len(r.Findings) < 25 || !strings.Contains(got["machine.json"], `"disk"`) || got["health.json"] == "" {
		t.Errorf("%d findings, running %v", len(r.Findings), r.Running)
	}
	if !strings.Contains(got["metrics.txt"], "\npayagent_store_bytes_written_total ") || strings.Contains(got["metrics.txt"], "\npayagent_store_bytes_written_total 0\n") {
		t.Error("the bytes that the store wrote are not told")
	}
	stop()
	if got = bundle("stopped.zip"); !strings.Contains(got["doctor.json"], "process.ready") {
		t.Error(got["doctor.json"])
	}
}
