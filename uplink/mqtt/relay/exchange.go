package relay

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"payagent/uplink"
	"payagent/uplink/mqtt/internal/bucket"
	"payagent/uplink/mqtt/internal/sealed"
)

// entry is one exchange in memory, from the moment its request came with its
// ticket.
type entry struct {
	of     exchange
	sum    [sha256.Size]byte // of the request as it came
	open   *sealed.Context
	stop   context.CancelFunc
	over   bool
	ended  time.Time
	answer []byte // sealed; nil when memory was needed for others
}

func sum(payload []byte) [sha256.Size]byte { return sha256.Sum256(payload) }

// repeated answers a request that is in memory, and tells whether that was one.
// It needs no key: the bytes are the same as before, and so is the answer.
func (r *Relay) repeated(place string, payload []byte) bool {
	id, ok := sealed.IDOf(payload)
	if !ok {
		return false
	}
	s := sum(payload)
	r.mu.Lock()
	e := r.memory[exchange{place, id}]
	if e == nil || e.sum != s {
		r.mu.Unlock()
		return false
	}
	over, answer := e.over, e.answer
	r.mu.Unlock()
	r.stats.repeat()
	switch {
	case !over: // its answer will come
	case answer == nil:
		r.answer(exchange{place, id}, e.open, sealed.Answer{Verdict: sealed.Unknown, Why: "the answer is not in memory any more"})
	default:
		r.publish(uplink.Message{Topic: place + "/relay/ans", Payload: answer})
	}
	return true
}

// do carries out an ask of a box that showed its certificate.
func (r *Relay) do(x exchange, o sealed.Opened, s [sha256.Size]byte) {
	r.mu.Lock()
	if r.boxes[x.place] == nil {
		r.boxes[x.place] = &boxState{wakes: bucket.New(10, 1)}
	}
	r.mu.Unlock()
	switch o.Op {
	case sealed.OpTicket:
		r.ticket(x, o)
	case sealed.OpReach:
		r.probe(x, o)
	case sealed.OpSend:
		if o.Ticket.Store != r.cfg.StoreName {
			return // another relay with the same key issued it, and will answer
		}
		r.send(x, o, s)
	case sealed.OpGiveUp:
		r.giveUp(x)
	}
}

func (r *Relay) ticket(x exchange, o sealed.Opened) {
	why := "it does not call " + o.Platform + "; list it under the relay's platforms"
	if r.listed(o.Platform) {
		var t ticket
		if t, why = r.give(x, o.Platform); why == "" {
			// A wake-up is sealed under the present key's, whichever the box has.
			key, err := r.keys[0].WakeKey(x.place)
			if err == nil {
				r.stats.grant()
				r.answer(x, o.Context, sealed.Answer{Verdict: sealed.Granted, WakeKey: key, Ticket: sealed.Ticket{Store: r.cfg.StoreName, Secret: t.secret}})
				return
			}
			why = err.Error()
		}
	}
	r.stats.refuse("ticket")
	r.answer(x, o.Context, sealed.Answer{Verdict: sealed.NotSent, Why: why})
}

// send takes a request whose bytes were not seen before.
func (r *Relay) send(x exchange, o sealed.Opened, s [sha256.Size]byte) {
	r.mu.Lock()
	if r.closed || r.memory[x] != nil {
		// The same id with other bytes: the box never does that.
		r.mu.Unlock()
		r.stats.refuse("id")
		return
	}
	t, ok := r.tickets[x]
	r.dropTicket(x)
	why := ""
	switch {
	case !ok || subtle.ConstantTimeCompare(t.secret[:], o.Ticket.Secret[:]) != 1 || t.platform != o.Platform:
		why = "the ticket is not valid here: it was used, given up, or given before the relay was started anew"
	case time.Since(t.issued) > r.cfg.TicketLife:
		why = fmt.Sprintf("the request came more than %v after its ticket", r.cfg.TicketLife)
	}
	var p *platform
	if why == "" {
		if p = r.allowed(o.Platform, o.Method, o.URL); p == nil {
			why = "it does not call this address of " + o.Platform + "; list it under the relay's platforms"
		} else if !p.enter() {
			p, why = nil, "too many calls to this platform are under way"
		}
	}
	if p == nil {
		r.mu.Unlock()
		r.answer(x, o.Context, r.refuse(x, why))
		return
	}
	ctx, stop := context.WithTimeout(r.ctx, min(max(o.Left, time.Millisecond), Turn/2))
	e := &entry{of: x, sum: s, open: o.Context, stop: stop}
	r.memory[x] = e
	box := r.boxes[x.place]
	box.busy++
	box.kept++ // its ticket's place
	r.running.Go(func() {
		defer stop()
		a := r.call(ctx, x, p, o.Ask)
		p.leave()
		payload := r.answer(x, o.Context, a)
		r.mu.Lock()
		defer r.mu.Unlock()
		box.busy--
		r.keep(e, payload)
	})
	r.mu.Unlock()
}

// keep remembers an answer; it is called with mu held. When memory is full the
// oldest answers go first: who asks for one of those gets "unknown".
func (r *Relay) keep(e *entry, payload []byte) {
	e.over, e.ended, e.answer = true, time.Now(), payload
	r.over = append(r.over, e)
	r.held += len(payload)
	for _, oldest := range r.over {
		if r.held <= r.cfg.Memory {
			break
		}
		r.held -= len(oldest.answer)
		oldest.answer = nil
	}
}

// durable is the name of an exchange in the store.
func durable(x exchange) [32]byte { return sha256.Sum256(append([]byte(x.place+"\x00"), x.id[:]...)) }

// refuse says why a request without a good ticket is not executed: that is a
// proof if it was not executed before. An id that is durable belongs to an
// exchange of an earlier process, or from before memory ended: nobody knows any
// more what became of it.
func (r *Relay) refuse(x exchange, why string) sealed.Answer {
	was, err := r.cfg.Store.Has(durable(x))
	switch {
	case err != nil:
		r.stats.refuse("store")
		r.log.Error("the store of ids cannot be read", "error", err)
		return sealed.Answer{Verdict: sealed.Unknown, Why: "the relay cannot read its store of ids"}
	case was:
		r.stats.refuse("forgotten")
		return sealed.Answer{Verdict: sealed.Unknown, Why: "this exchange was here before, and its answer is not in memory any more"}
	}
	r.stats.refuse("late")
	return sealed.Answer{Verdict: sealed.NotSent, Why: why}
}

// call executes an exchange whose ticket was good.
func (r *Relay) call(ctx context.Context, x exchange, p *platform, a sealed.Ask) sealed.Answer {
	fresh, err := r.cfg.Store.Add(durable(x))
	switch {
	case err != nil:
		// This process gave the ticket and used it up here: there was no call
		// and there will be none.
		r.stats.refuse("store")
		r.log.Error("the store of ids cannot be written", "error", err)
		return sealed.Answer{Verdict: sealed.NotSent, Why: "the relay cannot write its store of ids; see its log and its disk"}
	case !fresh:
		r.stats.refuse("forgotten")
		return sealed.Answer{Verdict: sealed.Unknown, Why: "this exchange was here before"}
	}
	began := time.Now()
	resp, err := p.exchange(ctx, a)
	var before *uplink.NotSent
	switch {
	case errors.As(err, &before):
		r.stats.called(p, "not_sent", time.Since(began))
		return sealed.Answer{Verdict: sealed.NotSent, Why: cut(before.Err.Error())}
	case err != nil:
		r.stats.called(p, "unknown", time.Since(began))
		return sealed.Answer{Verdict: sealed.Unknown, Why: cut(err.Error())}
	}
	r.stats.called(p, "answered", time.Since(began))
	return resp
}

// cut keeps a text short.
func cut(s string) string { return strings.ToValidUTF8(s[:min(len(s), 1<<10)], "") }

// exchange calls the platform once.
func (p *platform) exchange(ctx context.Context, a sealed.Ask) (sealed.Answer, error) {
	req, err := http.NewRequestWithContext(ctx, a.Method, a.URL, nil)
	if err != nil {
		return sealed.Answer{}, &uplink.NotSent{Err: errors.New("the request is not one of HTTP")}
	}
	if len(a.Body) > 0 || a.Method == http.MethodPost {
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(a.Body)), int64(len(a.Body))
	}
	req.Header, req.Close = a.Header.HTTP(), true
	resp, err := p.way.RoundTrip(req)
	if err != nil {
		return sealed.Answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return sealed.Answer{}, fmt.Errorf("the answer was cut: %w", err)
	}
	_, reason, _ := strings.Cut(resp.Status, " ")
	return sealed.Answer{Verdict: sealed.Answered, Status: resp.StatusCode, Reason: cut(reason), Header: sealed.FromHTTP(resp.Header), Body: body}, nil
}

// giveUp ends a call that nobody waits for, and takes back a ticket.
func (r *Relay) giveUp(x exchange) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dropTicket(x)
	if e := r.memory[x]; e != nil && !e.over {
		e.stop()
	}
}
