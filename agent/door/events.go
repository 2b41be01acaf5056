package door

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"payagent/agent"
	"payagent/agent/access"
	"payagent/agent/counter"
	"payagent/platforms"
)

const (
	eventBatch = 64               // records read at once
	writeLimit = 10 * time.Second // a client that does not take an event within this is dropped
	retryAfter = 2 * time.Second  // what a dropped client is told to wait
)

// gapView tells a reader that events are missing between two numbers; it has
// to ask for the orders it cares about.
type gapView struct {
	From   uint64 `json:"from"` // first number that is missing
	To     uint64 `json:"to"`   // last number that is missing
	Reason string `json:"reason"`
}

// events is GET /v1/events: server-sent events from the durable log. id is the
// number of the record, so that Last-Event-ID (or ?since=) takes up where a
// reader stopped, also after a restart of either side. Without one the stream
// begins now. A till's face and a device are no records: they have no id and are
// sent at the beginning and when they change. A card that was read for the
// client named by ?session= is sent once, without an id, to that client alone.
func (d *door) events(w http.ResponseWriter, r *http.Request, c caller) {
	q, err := query(r, "since", "till", "session")
	if err != nil {
		d.wrong(w, c, err, fault{})
		return
	}
	s := &stream{d: d, c: c, w: w, rc: http.NewResponseController(w), only: q["till"], session: q["session"], shown: map[string][]byte{}, devices: map[string]string{}, at: d.agent.LastEvent()}
	if s.only != "" && !c.seesTill(s.only) && !c.sees(s.only) {
		d.problem(w, c, fault{code: "not_found"})
		return
	}
	if s.session != "" && !sessionName.MatchString(s.session) {
		d.wrong(w, c, badSession(), fault{})
		return
	}
	since := r.Header.Get("Last-Event-ID")
	if since == "" {
		since = q["since"]
	}
	if since != "" {
		if s.at, err = strconv.ParseUint(since, 10, 64); err != nil {
			d.wrong(w, c, &platforms.FieldError{Field: "Last-Event-ID", Reason: "must be the id of an event of this stream"}, fault{})
			return
		}
	}
	leave, ok := d.place()
	if !ok {
		d.problem(w, c, fault{code: "too_many_requests"})
		return
	}
	defer leave()
	if s.only == "" && c.collects("") && !d.agent.Config().HIS.Webhook.On() {
		d.listening.come(d.agent)
		defer d.listening.leave(d.agent)
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	s.text(fmt.Appendf(nil, "retry: %d\n\n", retryAfter.Milliseconds()))
	s.run(r)
}

// listening counts the streams of a HIS that listens to all tills: while there
// is one, HIS is told of payments, and its silence means something (decision
// 11). With his.webhook it is the webhook that knows.
type listening struct {
	mu sync.Mutex
	n  int
}

func (l *listening) come(a *agent.Agent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.n++; l.n == 1 {
		a.SetHisLink(context.Background(), true)
	}
}

func (l *listening) leave(a *agent.Agent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.n--; l.n == 0 {
		a.SetHisLink(context.Background(), false)
	}
}

// stream is one reader of events.
type stream struct {
	d     *door
	c     caller
	w     http.ResponseWriter
	rc    *http.ResponseController
	only  string            // one till, or empty for all that the token may see
	at    uint64            // number of the last record told, or passed over
	shown map[string][]byte // tills' faces as last told
	// session names the client, for the cards that are read for it.
	session string
	devices map[string]string // devices as last told
	dead    bool
}

func (s *stream) run(r *http.Request) {
	beat := time.NewTicker(s.d.opts.Heartbeat)
	defer beat.Stop()
	s.future()
	for !s.dead {
		changed := s.d.agent.Changed()
		more := s.records()
		s.faces()
		s.gear()
		s.cards()
		if more {
			continue
		}
		select {
		case <-changed:
		case <-beat.C:
			s.text([]byte(": still here\n\n"))
		case <-s.d.agent.Done():
			return
		case <-r.Context().Done():
			return
		}
	}
}

// future meets a number that this log never gave: the store was lost or
// exchanged, or the reader confuses two boxes.
func (s *stream) future() {
	if last := s.d.agent.LastEvent(); s.at > last {
		s.send("gap", last, gapView{From: last + 1, To: s.at, Reason: "unknown_position"})
		s.at = last
	}
}

// records tells what was written since; more says that there is more at once.
func (s *stream) records() (more bool) {
	list, first, err := s.d.agent.Events(s.at, eventBatch)
	if err != nil {
		s.d.log.Error("events cannot be read", "error", err, "trace", s.c.trace)
		s.dead = true
		return false
	}
	if first > s.at+1 {
		s.send("gap", first-1, gapView{From: s.at + 1, To: first - 1, Reason: "pruned"})
		s.at = first - 1
	}
	for _, e := range list {
		if e.Seq <= s.at || s.dead {
			continue
		}
		if s.wants(e) {
			s.send("order", e.Seq, s.d.order(e.Order))
		}
		s.at = e.Seq
	}
	return len(list) == eventBatch
}

func (s *stream) wants(e agent.Event) bool {
	till := e.Order.Till
	return (s.only == "" || s.only == till) && (s.c.collects(till) || s.c.token.Allows(access.Admin, ""))
}

// faces tells the tills that changed.
func (s *stream) faces() {
	for _, t := range s.d.agent.Config().Tills {
		if s.only != "" && s.only != t.Name || !s.c.seesTill(t.Name) {
			continue
		}
		v, ok := s.d.agent.View(t.Name)
		if !ok {
			continue
		}
		// Ages and countdowns change all the time and are no news.
		mark := faceMark(v)
		if !bytes.Equal(mark, s.shown[t.Name]) {
			s.shown[t.Name] = mark
			s.send("till", 0, s.d.face(v, s.c))
		}
	}
}

// gear tells the devices that came, went or need a hand.
func (s *stream) gear() {
	for _, v := range s.d.devices(s.c) {
		if s.only != "" && s.only != v.Till {
			continue
		}
		mark := v.mark()
		if was, told := s.devices[v.Name]; !told || was != mark {
			s.devices[v.Name] = mark
			s.send("device", 0, v)
		}
	}
}

// cards hands over what the cashier's scanner read for this client.
func (s *stream) cards() {
	if s.session == "" {
		return
	}
	for _, t := range s.d.agent.Config().Tills {
		if s.only != "" && s.only != t.Name || !s.c.collects(t.Name) {
			continue
		}
		for !s.dead {
			card, ok := s.d.agent.TakeIdentity(t.Name, s.session)
			if !ok {
				break
			}
			s.send("identity.scanned", 0, s.d.identity(card))
		}
	}
}

func faceMark(v counter.View) []byte {
	no, rev := "", 0
	if v.Order != nil {
		no, rev = v.Order.No, v.Order.Rev
	}
	return fmt.Appendf(nil, "%s %d %t %t %d %s %s %q %q", no, rev, v.Armed, v.Online, v.Queued, v.Note, v.Scanner, v.Holder, v.AskedBy)
}

func (s *stream) send(name string, id uint64, v any) {
	data, err := json.Marshal(v) // one line: JSON has no bare line feeds
	if err != nil {
		s.dead = true
		return
	}
	var b []byte
	if id > 0 {
		b = fmt.Appendf(b, "id: %d\n", id)
	}
	s.text(fmt.Appendf(b, "event: %s\ndata: %s\n\n", name, data))
}

// text writes and flushes. A client that does not take it in time is dropped
// without harm: the log keeps everything, and it comes back with its number.
func (s *stream) text(b []byte) {
	if s.dead {
		return
	}
	// Only tests have a writer without deadlines.
	_ = s.rc.SetWriteDeadline(time.Now().Add(writeLimit))
	if _, err := s.w.Write(b); err != nil {
		s.dead = true
		return
	}
	if err := s.rc.Flush(); err != nil {
		s.dead = true
	}
}
