package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"payagent/agent"
	"payagent/agent/config"
	"payagent/agent/update"
)

// TestGoneIsToldOnce: a program that is away is one line of the log and one alarm,
// on a box in no fleet, which watches that itself; the alarm ends with it.
func TestGoneIsToldOnce(t *testing.T) {
	file, _ := site(t)
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	b, err := assemble(c, slog.New(slog.NewTextHandler(&log, nil)), storeOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}()
	base := filepath.Join(t.TempDir(), "payagent")
	w := clockWatch{b: b, alone: true, lasting: func() []agent.Alarm {
		return slices.DeleteFunc(b.lasting(c), func(a agent.Alarm) bool { return a.Code != alarmGone })
	}}
	files, err := openFiles(file)
	if err != nil {
		t.Fatal(err)
	}
	x := &exchange{files: files, updates: update.Open(update.Options{Dir: updatesDir(c.DataDir), BaseFile: base})}
	var away []string
	look := func(want ...string) {
		t.Helper()
		away = b.lookGone(x, away)
		w.look(t.Context())
		notes, _, _, err := b.agent.Notes(agent.NoteAlarm, 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		var told []string
		for _, n := range notes {
			var a agent.Alarm
			if err := json.Unmarshal(n.Data, &a); err != nil {
				t.Fatal(err)
			}
			told = append(told, a.Code+" "+a.Subject+map[bool]string{true: " cleared"}[a.Cleared])
		}
		if !slices.Equal(told, want) || strings.Count(log.String(), "a program of ours is away") != 1 {
			t.Errorf("told %q, want %q\n%s", told, want, log.String())
		}
	}
	look("program_gone base")
	look("program_gone base")
	if err := os.WriteFile(base, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	look("program_gone base", "program_gone base cleared")
}
