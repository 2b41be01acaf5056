package box

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"regexp"
	"time"

	"payagent/agent"
	"payagent/agent/fleet"
	"payagent/agent/signed"
	"payagent/agent/words"
	"payagent/uplink"
)

// The bounds of commands.
const (
	maxRequest  = 96 << 10 // bytes of an envelope
	maxPayload  = 40 << 10 // bytes of a command, so that it fits a record of the log
	maxValid    = 7 * 24 * time.Hour
	maxLive     = 32 // commands that are not finished
	statesKept  = 256
	stateShown  = 7 * 24 * time.Hour
	badCommands = 3 // within badWithin, until it is an alarm
	badWithin   = 10 * time.Minute
)

// Why a command is refused: stable codes, in the order in which they are looked
// for.
const (
	WhyTooLarge = "too_large"
	WhySigned   = "not_signed"
	WhyForm     = "malformed"
	WhyPlace    = "other_box"
	WhyVerb     = "unknown_verb"
	WhyRole     = "role"
	WhyID       = "id_used"  // seen before with other content
	WhyTerm     = "bad_term" // expires before it was issued, or more than 7 days after
	WhyExpired  = "expired"
	WhyCounter  = "counter" // not newer than the last command of the same key
	WhyBusy     = "too_many"
	WhyLock     = "payment_lock" // no refusal: it waits
	WhyRestart  = "interrupted"
)

var idForm = regexp.MustCompile(`^[A-Za-z0-9._-]{1,38}$`)

// request is a command whose signature is good.
type request struct {
	c       fleet.Command
	payload []byte
	hash    string
	key     string // that signed first
	doc     signed.Document
}

// command takes requests in, one after the other.
func (b *Box) command(ctx context.Context, requests <-chan uplink.Message) error {
	b.resumeJobs(ctx)
	for {
		select {
		case m := <-requests:
			if err := b.take(ctx, m); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// take looks at one request. An error is the store's.
func (b *Box) take(ctx context.Context, m uplink.Message) error {
	_, levels, ok := fleet.Split(b.place.Root, m.Topic)
	if !ok || len(levels) != 4 || len(m.Payload) == 0 {
		return nil
	}
	verb, id := levels[1], levels[2]
	if m.Retain {
		// Kept by the broker it would come again at every connect.
		b.log.Warn("a retained command is not carried out; it is cleared", "verb", clip(verb), "id", clip(id))
		b.board.put(m.Topic, nil)
		b.stats.add(&b.stats.refused, 1)
		if last, told := b.keptTold[known(verb)]; told && time.Since(last) < time.Hour {
			return nil // anybody could fill the log
		}
		b.keptTold[known(verb)] = time.Now()
		return b.o.Agent.TellAlarm(ctx, agent.Alarm{Code: AlarmRetained, Subject: known(verb)})
	}
	r, why := b.read(m.Payload)
	if why == "" {
		why = b.judge(r, verb, id)
	}
	if why != "" {
		return b.refuse(ctx, r, verb, id, why)
	}
	return b.decide(ctx, r)
}

// read checks size, signature and form.
func (b *Box) read(data []byte) (request, string) {
	if len(data) > maxRequest {
		return request{}, WhyTooLarge
	}
	doc, err := signed.Open(data, fleet.TypeCommand, b.o.Keys)
	if err != nil {
		return request{}, WhySigned
	}
	r := request{doc: doc, payload: doc.Payload, key: doc.Signers[0].ID}
	if len(doc.Payload) > maxPayload {
		return r, WhyTooLarge
	}
	if err := fleet.Unmarshal(doc.Payload, &r.c); err != nil {
		return r, WhyForm
	}
	sum := sha256.Sum256(doc.Payload)
	r.hash = hex.EncodeToString(sum[:])
	return r, ""
}

// judge checks place, verb and rôle.
func (b *Box) judge(r request, verb, id string) string {
	role, exists := fleet.RoleFor(r.c.Verb)
	switch _, can := b.verbs[r.c.Verb]; {
	case r.c.Site != b.place.Site || r.c.Box != b.place.Box:
		return WhyPlace
	case r.c.ID != id || r.c.Verb != verb || !idForm.MatchString(id):
		return WhyForm
	case !exists || !can:
		return WhyVerb
	case r.doc.Signed(role) < 1:
		return WhyRole
	}
	return ""
}

// decide checks that the command is new and fresh, and takes it.
func (b *Box) decide(ctx context.Context, r request) error {
	old, err := b.remembered(r.c.ID)
	switch {
	case err != nil:
		return err
	case old != nil && old.hash == r.hash: // came twice, or is asked for again
		b.showState(old.state)
		return nil
	case old != nil:
		return b.refuse(ctx, r, r.c.Verb, r.c.ID, WhyID)
	}
	term := r.c.Expires.Sub(r.c.Issued)
	switch {
	case r.c.Issued.IsZero() || term <= 0 || term > maxValid:
		return b.refuse(ctx, r, r.c.Verb, r.c.ID, WhyTerm)
	case !b.o.Clock.Now().Before(r.c.Expires):
		return b.refuse(ctx, r, r.c.Verb, r.c.ID, WhyExpired)
	case r.c.Counter <= b.counter(r.key):
		return b.refuse(ctx, r, r.c.Verb, r.c.ID, WhyCounter)
	case b.jobs.count() >= maxLive:
		return b.refuse(ctx, r, r.c.Verb, r.c.ID, WhyBusy)
	}
	return b.accept(ctx, r)
}

// counter is the last counter of a key.
func (b *Box) counter(key string) uint64 {
	var n uint64
	b.book.read(func(v *bookData) { n = v.Counters[key] })
	return n
}

// refuse says why not. What was not signed is not kept by the broker: anybody
// could fill it.
func (b *Box) refuse(ctx context.Context, r request, verb, id, why string) error {
	b.stats.add(&b.stats.refused, 1)
	b.log.Warn("a command of the fleet is refused", "verb", clip(verb), "id", clip(id), "why", why, "key", r.key)
	s := fleet.CommandState{ID: id, Verb: verb, State: fleet.Refused, Reason: why, Text: textOfRefusal(why), At: b.now()}
	if why == WhyExpired {
		s.State = fleet.Expired
	}
	if !idForm.MatchString(id) || fleetVerb(verb) != nil {
		return nil
	}
	if r.key == "" || why == WhyID || why == WhyForm || why == WhyPlace || why == WhyTooLarge || why == WhyRole || why == WhyVerb {
		b.sayOnce(s)
	} else {
		b.keepState(s)
		b.showState(s)
	}
	if r.key == "" && b.tooManyBad() {
		return b.o.Agent.TellAlarm(ctx, agent.Alarm{Code: AlarmBadCommands, Subject: known(verb)})
	}
	return nil
}

// sayOnce tells whoever listens now.
func (b *Box) sayOnce(s fleet.CommandState) {
	if c, _ := b.online(); c != nil {
		b.bus.Send(c.ctx, uplink.Message{Topic: b.topic(fleet.LevelCommand, s.Verb, s.ID, "state"), Payload: stateData(s)})
	}
}

// tooManyBad counts commands whose signature was bad; true once per series.
func (b *Box) tooManyBad() bool {
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bad = append(b.bad, now)
	for len(b.bad) > 0 && now.Sub(b.bad[0]) > badWithin {
		b.bad = b.bad[1:]
	}
	if len(b.bad) < badCommands || !b.badTold.IsZero() && now.Sub(b.badTold) < time.Hour {
		return false
	}
	b.badTold, b.bad = now, nil
	return true
}

// known keeps what strangers write out of alarms and logs.
func known(verb string) string {
	if fleetVerb(verb) != nil {
		return ""
	}
	return verb
}

func fleetVerb(verb string) error {
	if _, ok := fleet.RoleFor(verb); !ok {
		return errors.New("no verb")
	}
	return nil
}

func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}

// textOfRefusal says to people why a command was refused.
func textOfRefusal(why string) string {
	e, ok := words.New().Find(words.Fleet, why)
	if !ok {
		return why
	}
	return e.Cashier.ZH + "：" + e.IT.ZH + " " + e.Cashier.EN + ": " + e.IT.EN
}
