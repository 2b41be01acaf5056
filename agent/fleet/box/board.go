package box

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"payagent/agent/fleet"
	"payagent/uplink"
)

// board is what the broker keeps of this box: retained messages by topic. Only
// what changed is written; after a connect everything is, because the broker
// may have lost its memory.
type board struct {
	log   *slog.Logger
	stats *stats

	mu   sync.Mutex
	want map[string]string // topic → payload; empty: to be cleared
	told map[string]string // on this connection
	conn context.Context
	wake chan struct{}
}

func newBoard(log *slog.Logger, s *stats) *board {
	return &board{log: log, stats: s, want: map[string]string{}, told: map[string]string{}, wake: make(chan struct{}, 1)}
}

// put says what is to stand at a topic; empty clears it.
func (b *board) put(topic string, payload []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.want[topic] = string(payload)
	b.ring()
}

// up begins a connection.
func (b *board) up(ctx context.Context) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.conn, b.told = ctx, map[string]string{}
	b.ring()
}

func (b *board) ring() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// due gives the next topic to write: the status first, then alarms, then the
// rest by name.
func (b *board) due() (conn context.Context, topic, payload string, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.conn == nil || b.conn.Err() != nil {
		return nil, "", "", false
	}
	var list []string
	for t, p := range b.want {
		if was, is := b.told[t]; !is || was != p {
			list = append(list, t)
		}
	}
	if len(list) == 0 {
		return nil, "", "", false
	}
	topic = slices.MinFunc(list, func(x, y string) int {
		if c := rank(x) - rank(y); c != 0 {
			return c
		}
		return strings.Compare(x, y)
	})
	return b.conn, topic, b.want[topic], true
}

func rank(topic string) int {
	switch {
	case strings.HasSuffix(topic, "/"+fleet.LevelStatus):
		return 0
	case strings.Contains(topic, "/"+fleet.LevelAlarm+"/"):
		return 1
	case strings.Contains(topic, "/"+fleet.LevelCommand+"/"):
		return 2
	}
	return 3
}

// done notes that the broker has it.
func (b *board) done(conn context.Context, topic, payload string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.conn != conn {
		return
	}
	b.told[topic] = payload
	if payload == "" && b.want[topic] == "" {
		delete(b.want, topic)
		delete(b.told, topic)
	}
}

// putWait is how long the broker may take to acknowledge one message, until it
// is written again.
const putWait = time.Minute

// run writes until the context ends.
func (b *board) run(ctx context.Context, bus uplink.Bus) {
	for {
		conn, topic, payload, ok := b.due()
		if !ok {
			select {
			case <-b.wake:
				continue
			case <-ctx.Done():
				return
			}
		}
		call, stop := context.WithTimeout(conn, putWait)
		off := context.AfterFunc(ctx, stop)
		err := bus.Publish(call, uplink.Message{Topic: topic, Payload: []byte(payload), Retain: true})
		late := errors.Is(call.Err(), context.DeadlineExceeded)
		off()
		stop()
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			b.stats.add(&b.stats.kept, 1)
			b.done(conn, topic, payload)
		case conn.Err() == nil && !late:
			// Too large or closed: it will not get better by trying again.
			b.log.Error("something could not be shown to the fleet", "topic", topic, "bytes", len(payload), "error", err)
			b.done(conn, topic, payload)
		}
	}
}
