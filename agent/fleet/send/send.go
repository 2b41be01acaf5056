// Package send makes commands for boxes, signs them, brings them to the broker
// and waits for what becomes of them.
package send

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/fleet/view"
	"payagent/agent/fleet/watch"
	"payagent/agent/signed"
	"payagent/uplink"
)

// MaxValidity is how long a command may wait at most (agent/fleet).
const MaxValidity = 7 * 24 * time.Hour

// Counter gives numbers that grow with every command: microseconds since 1970,
// one more where two fall into one. One signer has one Counter.
type Counter struct {
	mu   sync.Mutex
	last uint64
}

// Next gives the next number.
func (c *Counter) Next(now time.Time) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = max(c.last+1, uint64(now.UnixMicro()))
	return c.last
}

// New makes a command for one box.
func New(k view.Key, verb string, args json.RawMessage, valid time.Duration, counter uint64, now time.Time) (fleet.Command, error) {
	if _, ok := fleet.RoleFor(verb); !ok {
		return fleet.Command{}, fmt.Errorf("cannot send %q: there is no such verb; payfleet show lists what a box can do", verb)
	}
	for _, name := range []string{k.Site, k.Box} {
		if err := fleet.CheckName(name); err != nil {
			return fleet.Command{}, fmt.Errorf("cannot send a command: %w", err)
		}
	}
	if valid <= 0 || valid > MaxValidity {
		return fleet.Command{}, fmt.Errorf("cannot send a command that is valid for %s: choose up to 7 days", valid)
	}
	if len(args) > 0 && !json.Valid(args) {
		return fleet.Command{}, errors.New("cannot send a command: its arguments are no JSON")
	}
	now = now.UTC()
	id := now.Format("20060102-150405-") + strings.ToLower(rand.Text()[:10])
	return fleet.Command{Site: k.Site, Box: k.Box, ID: id, Verb: verb, Args: args, Counter: counter, Issued: now, Expires: now.Add(valid)}, nil
}

// Sign makes the document that goes to the box.
func Sign(c fleet.Command, keys ...signed.Private) ([]byte, error) {
	payload, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("cannot write the command: %w", err)
	}
	return signed.Seal(fleet.TypeCommand, payload, keys...)
}

// Peek reads who a signed command is for and by whom, without checking
// signatures: the box does that.
func Peek(document []byte) (c fleet.Command, keys []string, err error) {
	var e signed.Envelope
	bad := func(why string) error { return errors.New("cannot take this as a signed command: " + why) }
	if json.Unmarshal(document, &e) != nil || e.PayloadType != fleet.TypeCommand {
		return c, nil, bad("it is no envelope of a command")
	}
	payload, err := base64.StdEncoding.Strict().DecodeString(e.Payload)
	if err != nil || json.Unmarshal(payload, &c) != nil {
		return c, nil, bad("its payload cannot be read")
	}
	for _, name := range []string{c.Site, c.Box, c.ID} {
		if fleet.CheckName(name) != nil {
			return c, nil, bad("its place or id is none")
		}
	}
	if _, ok := fleet.RoleFor(c.Verb); !ok {
		return c, nil, bad("its verb does not exist")
	}
	for _, s := range e.Signatures {
		keys = append(keys, s.KeyID)
	}
	return c, keys, nil
}

// Publish brings a signed command to the broker. nil means that the broker has
// it; what becomes of it the box says.
func Publish(ctx context.Context, bus uplink.Bus, root string, document []byte) (fleet.Command, error) {
	c, _, err := Peek(document)
	if err != nil {
		return c, err
	}
	p := fleet.Place{Root: root, Site: c.Site, Box: c.Box}
	if err := bus.Publish(ctx, uplink.Message{Topic: p.Topic(fleet.LevelCommand, c.Verb, c.ID, "req"), Payload: document}); err != nil {
		return c, fmt.Errorf("cannot bring the command to the broker; it may have it all the same, look at the box before sending another: %w", err)
	}
	return c, nil
}

// Wait tells every state of a command until it is final or ctx ends.
func Wait(ctx context.Context, w *watch.Watch, c fleet.Command, tell func(fleet.CommandState)) (fleet.CommandState, error) {
	k := view.Key{Site: c.Site, Box: c.Box}
	var last fleet.CommandState
	for {
		var now *fleet.CommandState
		changed := w.Do(func(m *view.Model, _ time.Time) { now = m.Command(k, c.Verb, c.ID) })
		if now != nil && (now.State != last.State || now.Progress != last.Progress || now.Text != last.Text) {
			last = *now
			tell(last)
		}
		if now != nil && view.Final(now.State) {
			return last, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return last, fmt.Errorf("the command has not come to its end: %w", context.Cause(ctx))
		}
	}
}
