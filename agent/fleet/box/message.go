package box

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"payagent/agent"
	"payagent/agent/fleet"
	"payagent/uplink"
)

// message is what one event, or several that waited, left in.
type message struct {
	ack  <-chan error // nil once its fate is known
	lost bool         // the broker may not have it
}

// send hands what is ready to the broker as one message, limit events at most:
// one alone as it is, several as a batch.
func (s *stream) send(limit int) (n int, err error) {
	if len(s.flight) == 0 && s.wait == 0 {
		s.moved = time.Now()
	}
	if s.unheard.IsZero() {
		s.unheard = time.Now()
	}
	m, now := &message{}, s.b.o.Agent.Now().Wall
	s.batch.Reset()
	for _, it := range s.ready[:min(limit, len(s.ready), fleet.BatchEvents)] {
		end := s.batch.Len()
		if err := s.b.write(&s.batch, it, s.previous(), now); err != nil {
			return 0, err
		}
		if n > 0 && s.batch.Len()+1 > fleet.BatchBytes {
			s.batch.Truncate(end)
			break
		}
		s.flight = append(s.flight, flown{it.seq, it.before, m})
		n++
	}
	s.ready = s.ready[n:]
	payload := s.batch.Bytes()[1:]
	if n > 1 {
		s.batch.WriteByte(']')
		payload = s.batch.Bytes()
		payload[0] = '['
	}
	m.ack = s.b.bus.Send(s.gen, uplink.Message{Topic: s.b.topic(fleet.LevelEvent, s.name), Payload: payload})
	s.b.stats.add(&s.b.stats.sent, uint64(n))
	if !s.more && len(s.ready) == 0 {
		s.batch = bytes.Buffer{} // what a backlog took
	}
	return n, nil
}

func (b *Box) eventID(seq uint64) string { return b.epoch + "-" + strconv.FormatUint(seq, 10) }

// write writes a comma and an event as it leaves at now.
func (b *Box) write(to *bytes.Buffer, it item, previous uint64, now int64) error {
	id := b.eventID(it.seq)
	if it.kind == fleet.TypeGap { // both streams may have one at the same place
		id += "-" + it.subject
	}
	// Data takes the place of the event's own, so that it is written once.
	e := struct {
		fleet.Event
		Data any `json:"data"`
	}{fleet.Event{SpecVersion: "1.0", ID: id, Source: "/payagent/" + b.place.Site + "/" + b.place.Box, Type: it.kind, Subject: it.subject,
		Time: atWall(it.at), ContentType: "application/json", Epoch: b.epoch, Sequence: it.seq, Previous: previous,
		Historical: now-it.at > historic.Milliseconds(), Sealed: it.sealed}, it.data}
	if it.trace != "" {
		e.Traceparent = agent.Traceparent(it.trace, id)
	}
	to.WriteByte(',')
	if err := json.NewEncoder(to).Encode(&e); err != nil {
		return fmt.Errorf("cannot write event %d; report this: %w", it.seq, err)
	}
	to.Truncate(to.Len() - 1) // the line's end
	return nil
}
