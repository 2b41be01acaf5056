package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"payagent/agent"
	"payagent/agent/agenttest"
	"payagent/queue"
	"payagent/queue/mem"
)

// Notes are found again by key and thread, and readers of orders pass over
// them, an open thread included.
func TestNotes(t *testing.T) {
	log := mem.Open(&mem.Disk{})
	w := agenttest.Start(t, agenttest.Options{Log: log, Asleep: true})
	ctx := context.Background()
	if err := w.Agent.Note(ctx, "looked_up", []string{"k:1"}, map[string]any{"order": "A"}); err != nil {
		t.Fatal(err)
	}
	if err := w.Agent.NoteIn(ctx, "shift-1", false, "shift_opened", []string{"k:2"}, map[string]any{"n": 1}); err != nil {
		t.Fatal(err)
	}
	open, err := w.Agent.OpenThreads()
	if err != nil || len(open) != 1 || open[0] != "shift-1" {
		t.Fatalf("open threads %v, %v", open, err)
	}
	if err := w.Agent.Preload(); err != nil {
		t.Fatalf("a thread of notes was taken for an order: %v", err)
	}
	if err := w.Agent.NoteIn(ctx, "shift-1", true, "shift_closed", nil, map[string]any{"n": 2}); err != nil {
		t.Fatal(err)
	}
	if open, err = w.Agent.OpenThreads(); err != nil || len(open) != 0 {
		t.Fatalf("open threads %v, %v", open, err)
	}
	notes, err := w.Agent.Thread("shift-1")
	if err != nil || len(notes) != 2 || notes[1].Kind != "shift_closed" || notes[1].Seq != 3 {
		t.Fatalf("notes %+v, %v", notes, err)
	}
	var v struct{ N int }
	if err := json.Unmarshal(notes[1].Data, &v); err != nil || v.N != 2 {
		t.Fatalf("data %s, %v", notes[1].Data, err)
	}
	found, err := w.Agent.Threads("k:1")
	if err != nil || len(found) != 1 {
		t.Fatalf("found %v, %v", found, err)
	}
	if events, first, err := w.Agent.Events(0, 10); err != nil || len(events) != 0 || first != 1 {
		t.Fatalf("events %v from %d, %v", events, first, err)
	}
}

// A note that is too big is refused and harms nothing.
func TestNoteTooBig(t *testing.T) {
	w := agenttest.Start(t, agenttest.Options{Log: mem.Open(&mem.Disk{}), Asleep: true})
	err := w.Agent.Note(context.Background(), "x", nil, strings.Repeat("a", queue.MaxData))
	if !errors.Is(err, queue.ErrTooBig) {
		t.Fatalf("got %v", err)
	}
	if err := w.Agent.Note(context.Background(), "x", nil, 1); err != nil {
		t.Fatalf("the store stopped: %v", err)
	}
	if agent.IsNote("MZ260101ABC") || !agent.IsNote("note:x") {
		t.Fatal("a note is known by its stream")
	}
}
