package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os/user"
	"time"

	"payagent/agent"
	"payagent/agent/access"
	"payagent/platforms"
)

// tokenThread is the thread of notes about tokens. It is never closed.
const tokenThread = "tokens"

// tokenAct is a note about a token: who made it or took it away. Subject and
// operator are read by the audit.
type tokenAct struct {
	Subject  string             `json:"subject"`
	Operator platforms.Operator `json:"operator"` // the user of the command line; empty where nobody knows
	Mark     string             `json:"mark"`     // the beginning of the token's hash: a name may be used again
	Name     string             `json:"name"`
	Till     string             `json:"till,omitempty"`
	Scopes   []access.Scope     `json:"scopes,omitempty"`
}

// The kinds of notes about tokens.
const (
	tokenAdded   = "token_added"
	tokenRevoked = "token_revoked"
)

// tokenPause is how often the list of tokens is compared with the notes: the
// command line changes it beside the agent, and whoever edits the file by hand
// is seen, too.
const tokenPause = 10 * time.Second

// watchTokens writes down who may do what from when on, until ctx ends.
func (b *assembly) watchTokens(ctx context.Context) {
	tick := time.NewTicker(tokenPause)
	defer tick.Stop()
	for {
		if err := noteTokens(ctx, b.agent, b.tokens); err != nil && ctx.Err() == nil {
			b.log.Error("acts about tokens could not be written down", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-b.agent.Done():
			return
		case <-tick.C:
		}
	}
}

// noteTokens notes what changed since the last note.
func noteTokens(ctx context.Context, a *agent.Agent, store *access.Store) error {
	list, err := store.List()
	if err != nil {
		return err
	}
	known, seen, err := notedTokens(a)
	if err != nil {
		return err
	}
	for _, t := range list {
		mark := t.Hash[:min(16, len(t.Hash))]
		if _, ok := known[mark]; ok {
			delete(known, mark)
			continue
		}
		act := tokenAct{Subject: fmt.Sprintf("%s %v", t.Name, t.Scopes), Operator: platforms.Operator{ID: t.By}, Mark: mark, Name: t.Name, Till: t.Till, Scopes: t.Scopes}
		if err := a.NoteIn(ctx, tokenThread, false, tokenAdded, nil, act); err != nil {
			return err
		}
	}
	gone, err := store.Gone()
	if err != nil {
		return err
	}
	for _, g := range gone {
		// Made and taken away between two looks.
		if mark := g.Hash[:min(16, len(g.Hash))]; !seen[mark] {
			known[mark] = tokenAct{Subject: g.Name, Mark: mark, Name: g.Name}
		}
	}
	for mark, act := range known {
		act.Operator = platforms.Operator{}
		for _, r := range gone {
			if r.Hash[:min(16, len(r.Hash))] == mark {
				act.Operator.ID = r.By
			}
		}
		if err := a.NoteIn(ctx, tokenThread, false, tokenRevoked, nil, act); err != nil {
			return err
		}
	}
	return nil
}

// notedTokens is what the notes say is in force, by mark, and which marks they
// know at all.
func notedTokens(a *agent.Agent) (known map[string]tokenAct, seen map[string]bool, err error) {
	notes, err := a.Thread(tokenThread)
	if err != nil {
		return nil, nil, err
	}
	known, seen = map[string]tokenAct{}, map[string]bool{}
	for _, n := range notes {
		var act tokenAct
		if err := json.Unmarshal(n.Data, &act); err != nil {
			return nil, nil, fmt.Errorf("cannot read note %d about tokens: %w", n.Seq, err)
		}
		seen[act.Mark] = true
		switch n.Kind {
		case tokenAdded:
			known[act.Mark] = act
		case tokenRevoked:
			delete(known, act.Mark)
		}
	}
	return known, seen, nil
}

// osUser names who runs this command; empty where the system does not tell.
func osUser() string {
	u, err := user.Current()
	if err != nil {
		return ""
	}
	return u.Username
}
