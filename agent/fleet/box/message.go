package box

import (
	"encoding/json"
	"fmt"
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
	m, batch, now := &message{}, []byte(nil), s.b.o.Agent.Now().Wall
	for _, it := range s.ready[:min(limit, len(s.ready), fleet.BatchEvents)] {
		e, err := s.b.payload(it, s.previous(), now)
		if err != nil {
			return 0, err
		}
		if n > 0 && len(batch)+len(e)+2 > fleet.BatchBytes {
			break
		}
		batch = append(append(batch, ','), e...)
		s.flight = append(s.flight, flown{it.seq, it.before, m})
		n++
	}
	s.ready = s.ready[n:]
	payload := batch[1:]
	if n > 1 {
		batch[0] = '['
		payload = append(batch, ']')
	}
	m.ack = s.b.bus.Send(s.gen, uplink.Message{Topic: s.b.topic(fleet.LevelEvent, s.name), Payload: payload})
	s.b.stats.add(&s.b.stats.sent, uint64(n))
	return n, nil
}

// payload writes an event as it leaves at now.
func (b *Box) payload(it item, previous uint64, now int64) ([]byte, error) {
	id := fmt.Sprintf("%s-%d", b.epoch, it.seq)
	if it.kind == fleet.TypeGap { // both streams may have one at the same place
		id += "-" + it.subject
	}
	// Data takes the place of the event's own, so that it is written once.
	e := struct {
		fleet.Event
		Data any `json:"data"`
	}{fleet.Event{SpecVersion: "1.0", ID: id, Source: "/payagent/" + b.place.Site + "/" + b.place.Box, Type: it.kind, Subject: it.subject,
		Time: atWall(it.at), ContentType: "application/json", Epoch: b.epoch, Sequence: it.seq, Previous: previous,
		Historical: now-it.at > historic.Milliseconds()}, it.data}
	if it.trace != "" {
		e.Traceparent = agent.Traceparent(it.trace, id)
	}
	if it.seal != nil {
		var err error
		if e.Sealed, err = it.seal(id); err != nil {
			b.log.Error("an event goes without its patient", "event", id, "error", err)
		}
	}
	data, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("cannot write event %d; report this: %w", it.seq, err)
	}
	return data, nil
}
