package agent

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"payagent/agent/order"
	"payagent/queue"
)

// notePrefix begins the streams of notes. Order numbers have no colon.
const notePrefix = "note:"

// IsNote tells whether a stream of the log holds notes and no order.
func IsNote(stream string) bool { return strings.HasPrefix(stream, notePrefix) }

// Note is a record that is no order's fact: a shift was opened, a payment was
// looked up, a token was made. It stands in the same log, so that it is as
// durable and as hard to edit as the money it speaks of.
type Note struct {
	Seq    uint64          `json:"-"` // its place in the log
	Thread string          `json:"-"` // what it belongs to; see NoteIn
	Kind   string          `json:"kind"`
	At     order.Instant   `json:"at"`
	Data   json.RawMessage `json:"data,omitempty"`
}

// Note writes one note, found again by its keys. v becomes its Data and must
// hold no patient and no secret in clear. The note is on disk when nil is
// returned.
func (a *Agent) Note(ctx context.Context, kind string, keys []string, v any) error {
	var raw [12]byte
	if _, err := io.ReadFull(a.random, raw[:]); err != nil {
		return fmt.Errorf("cannot write a note: no random numbers: %w", err)
	}
	return a.NoteIn(ctx, hex.EncodeToString(raw[:]), true, kind, keys, v)
}

// NoteIn writes a note into a thread: several notes about one thing, such as
// the opening and the closing of a shift. A thread is listed by OpenThreads
// until a note closes it. Its name has 1 to 48 characters.
func (a *Agent) NoteIn(ctx context.Context, thread string, done bool, kind string, keys []string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("cannot write a note of kind %s: %w", kind, err)
	}
	whole, err := json.Marshal(Note{Kind: kind, At: a.Now().Instant, Data: data})
	if err != nil {
		return fmt.Errorf("cannot write a note of kind %s: %w", kind, err)
	}
	b := queue.Batch{Records: []queue.Record{{Stream: notePrefix + thread, Keys: keys, Data: whole}}}
	if done {
		b.Close = []string{notePrefix + thread}
	}
	if a.failed() {
		return ErrStopped
	}
	_, err = a.parts.Log.Append(ctx, b)
	switch {
	case err == nil:
		a.memory.grew()
		return nil
	case errors.Is(err, queue.ErrTooBig), ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return fmt.Errorf("cannot write a note of kind %s: %w", kind, err)
	}
	a.fail(err)
	return fmt.Errorf("cannot write a note of kind %s: %w", kind, errors.Join(ErrStopped, err))
}

// Thread gives the notes of a thread, oldest first; none is not an error.
func (a *Agent) Thread(thread string) ([]Note, error) {
	entries, err := a.parts.Log.Stream(notePrefix + thread)
	if err != nil {
		return nil, err
	}
	list := make([]Note, 0, len(entries))
	for _, e := range entries {
		n, err := readNote(e)
		if err != nil {
			return nil, err
		}
		list = append(list, n)
	}
	return list, nil
}

// Threads lists the threads that have a note with the key, oldest first.
func (a *Agent) Threads(key string) ([]string, error) {
	found, err := a.parts.Log.Find(key)
	return threadsOf(found), err
}

// OpenThreads lists the threads that no note has closed, oldest first.
func (a *Agent) OpenThreads() ([]string, error) {
	found, err := a.parts.Log.Open()
	return threadsOf(found), err
}

func threadsOf(streams []string) []string {
	var list []string
	for _, s := range streams {
		if name, ok := strings.CutPrefix(s, notePrefix); ok {
			list = append(list, name)
		}
	}
	return list
}

func readNote(e queue.Entry) (Note, error) {
	n := Note{Seq: uint64(e.Seq), Thread: strings.TrimPrefix(e.Stream, notePrefix)}
	if err := json.Unmarshal(e.Data, &n); err != nil {
		return n, fmt.Errorf("cannot read note %d: %w", e.Seq, err)
	}
	return n, nil
}
