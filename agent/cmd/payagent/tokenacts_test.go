package main

import (
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"payagent/agent/access"
	"payagent/agent/agenttest"
	"payagent/queue/mem"
)

// Every token that was made or taken away is noted once, with who did it, also
// one that came and went between two looks, and a name that is used again.
func TestTokenActs(t *testing.T) {
	store, err := access.Open(filepath.Join(t.TempDir(), "tokens.json"), nil)
	if err != nil {
		t.Fatal(err)
	}
	w := agenttest.Start(t, agenttest.Options{Log: mem.Open(&mem.Disk{}), Asleep: true})
	var want []string
	look := func(acts ...string) {
		t.Helper()
		for range 2 { // looking again changes nothing
			if err := noteTokens(context.Background(), w.Agent, store); err != nil {
				t.Fatal(err)
			}
		}
		want = append(want, acts...)
		notes, err := w.Agent.Thread(tokenThread)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, n := range notes {
			var act tokenAct
			if err := json.Unmarshal(n.Data, &act); err != nil {
				t.Fatal(err)
			}
			got = append(got, n.Kind+" "+act.Name+" by "+act.Operator.ID)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got  %q\nwant %q", got, want)
		}
	}
	add := func(name, by string) {
		t.Helper()
		if _, err := store.As(by).Add(name, "", []access.Scope{access.Collect}, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	revoke := func(name, by string) {
		t.Helper()
		if err := store.As(by).Revoke(name); err != nil {
			t.Fatal(err)
		}
	}
	look()
	add("one", "root")
	look("token_added one by root")
	revoke("one", "eve")
	look("token_revoked one by eve")
	add("one", "root")
	look("token_added one by root")
	add("brief", "eve")
	revoke("brief", "eve")
	look("token_revoked brief by eve")
}
