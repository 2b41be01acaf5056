package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/agent/plainjson"
	"payagent/agent/seal"
	"payagent/platforms"
	"payagent/queue"
)

// stepsPerBatch bounds how many steps share one commit.
const stepsPerBatch = 256

// carryOut makes facts durable and then does what follows from them, in order.
// Whatever waits is committed together, so that many tills share disk syncs.
func (a *Agent) carryOut(ctx context.Context) {
	for {
		steps := a.jobs.take(stepsPerBatch)
		if steps == nil {
			return
		}
		if !a.commit(steps) {
			return
		}
		for _, step := range steps {
			// Whoever is answered finds the till as the answer says: answers come last.
			for _, answers := range []bool{false, true} {
				for _, e := range step {
					if _, is := e.(counter.Reply); is != answers {
						continue
					}
					if a.failed() {
						return
					}
					a.do(ctx, e)
				}
			}
			a.letGo(step)
		}
	}
}

// letGo forgets the orders that a step finished. It comes last, because the
// step that closes an order may also be the one that shows its end.
func (a *Agent) letGo(step []counter.Effect) {
	for _, e := range step {
		if w, ok := e.(counter.Write); ok && w.Close {
			a.memory.drop(w.Order)
		}
	}
}

// commit writes the facts of the steps, in order; false after a failure.
// Nothing that follows from any of them is done before all are on disk.
func (a *Agent) commit(steps [][]counter.Effect) bool {
	list, err := a.batches(steps)
	if err != nil {
		a.fail(err)
		return false
	}
	for _, b := range list {
		start := time.Now()
		// A batch is written even while stopping: it decides what is known.
		if _, err := a.parts.Log.Append(context.Background(), b); err != nil {
			a.fail(err)
			return false
		}
		a.stats.commit(time.Since(start), len(b.Records))
		a.memory.grew()
	}
	return true
}

func (a *Agent) do(ctx context.Context, e counter.Effect) {
	switch e := e.(type) {
	case counter.Call:
		a.call(ctx, e)
	case counter.Lookup:
		found, err := a.lookup(e)
		if err != nil {
			a.fail(err)
			return
		}
		a.post(ctx, found)
	case counter.Reply:
		a.memory.answer(e)
	case counter.Changed:
		a.stats.changed(e.Order)
		a.memory.put(e.Order)
	case counter.Identity:
		a.memory.keepCard(e)
	case counter.Scanned:
		a.memory.touch(a.Now())
		a.stats.scanned(e.Device, e.Result)
	case counter.Screen:
		a.memory.show(e.View, a.Now())
	case counter.Alarm:
		a.stats.alarm(e.Code)
		a.memory.alarm(e)
		a.log.Warn("alarm", "code", e.Code, "order", e.Order, "platform", e.Platform)
	case counter.Health:
		a.memory.setHealth(e)
		a.log.Info("health", "down", e.Down, "bad_tokens", e.BadTokens, "disk_low", e.DiskLow)
	}
}

// lookup reads the log for the counter.
func (a *Agent) lookup(l counter.Lookup) (counter.Found, error) {
	f := counter.Found{Token: l.Token, Orders: map[string][]*order.Order{}}
	for _, key := range l.Keys {
		streams, err := a.parts.Log.Find(key)
		if err != nil {
			return f, err
		}
		for _, s := range streams {
			if IsNote(s) {
				continue
			}
			o, err := a.fold(s)
			if err != nil {
				return f, err
			}
			f.Orders[key] = append(f.Orders[key], o)
		}
	}
	for _, no := range l.Orders {
		o, err := a.fold(no)
		if err != nil {
			return f, err
		}
		if o != nil {
			f.Orders[no] = []*order.Order{o}
		}
	}
	return f, nil
}

// fold reads one order from the log; nil if there is none.
func (a *Agent) fold(no string) (*order.Order, error) {
	if IsNote(no) {
		return nil, nil
	}
	entries, err := a.parts.Log.Stream(no)
	if err != nil || len(entries) == 0 {
		return nil, err
	}
	facts, err := a.facts.read(entries)
	if err != nil {
		return nil, err
	}
	return foldFacts(no, facts)
}

// factReader reads the facts that stand in the log.
type factReader struct{ plainjson.Reader[order.Fact] }

func newFactReader() factReader { return factReader{plainjson.New[order.Fact]()} }

func (r factReader) read(entries []queue.Entry) ([]order.Fact, error) {
	facts := make([]order.Fact, 0, len(entries)+1)
	var err error
	for _, e := range entries {
		if facts, err = r.add(facts, e); err != nil {
			return nil, err
		}
	}
	return facts, nil
}

// add appends the fact of a record.
func (r factReader) add(facts []order.Fact, e queue.Entry) ([]order.Fact, error) {
	facts = append(facts, order.Fact{})
	if err := r.Read(e.Data, &facts[len(facts)-1]); err != nil {
		return nil, fmt.Errorf("cannot read record %d of order %s: %w", e.Seq, e.Stream, err)
	}
	return facts, nil
}

func foldFacts(no string, facts []order.Fact) (*order.Order, error) {
	o, err := order.Fold(facts)
	if err != nil {
		return nil, senseless(no, err)
	}
	return o, nil
}

func senseless(no string, err error) error {
	return fmt.Errorf("cannot make sense of the records of order %s: %w", no, err)
}

// load reads what must be taken up at start: the open orders, and the slots
// whose orders were lost.
func (a *Agent) load() (counter.Recover, error) {
	var r counter.Recover
	open, err := a.parts.Log.Open()
	if err != nil {
		return r, err
	}
	for _, no := range open {
		if IsNote(no) {
			continue
		}
		o, err := a.fold(no)
		if err != nil {
			return r, err
		}
		if o == nil {
			continue
		}
		if o.SentAt == nil {
			o.Private = a.unseal(o)
		}
		r.Orders = append(r.Orders, o)
		a.stats.changed(o)
		a.memory.put(o.Clone())
	}
	booked, err := a.parts.Log.Find(counter.HisBooksKey)
	if err != nil {
		return r, err
	}
	r.Booked = len(booked) > 0
	for _, s := range a.parts.Lost {
		slot, err := a.unpackSlot(s)
		if err != nil {
			a.log.Error("a slot of the second file cannot be read; ask the platform about this order", "order", s.Key)
			continue
		}
		// The log may know the order all the same: only its newest facts are lost.
		if !slices.ContainsFunc(r.Orders, func(o *order.Order) bool { return o.No == slot.Order }) {
			o, err := a.fold(slot.Order)
			if err != nil {
				return r, err
			}
			if o != nil {
				r.Orders = append(r.Orders, o)
			}
		}
		r.Lost = append(r.Lost, slot)
	}
	return r, nil
}

// private is what is sealed: the fields of order.Private in clear. What the
// platform's reconciliation asks for, and the rest, are sealed apart, because
// the rest is forgotten sooner. Older orders have all of it in the first part.
type private struct {
	Name        string             `json:",omitempty"`
	CardNo      string             `json:",omitempty"`
	CardType    string             `json:",omitempty"`
	AdmissionNo string             `json:",omitempty"`
	Phone       string             `json:",omitempty"`
	Subject     string             `json:",omitempty"`
	Memo        string             `json:",omitempty"`
	Details     []platforms.Detail `json:",omitempty"`
	Web         *platforms.Web     `json:",omitempty"`
}

// sealPrivate seals what reconciliation needs and what only the day needs.
func (a *Agent) sealPrivate(no string, p order.Private) (long, day []byte, err error) {
	who := private{Name: p.Patient.Name.Reveal(), CardNo: p.Patient.CardNo.Reveal(), CardType: p.Patient.CardType, AdmissionNo: p.Patient.AdmissionNo.Reveal()}
	rest := private{Phone: p.Patient.Phone.Reveal(), Subject: p.Subject, Memo: p.Memo, Details: p.Details}
	if p.Web != (platforms.Web{}) {
		rest.Web = &p.Web
	}
	if long, err = a.sealPart(seal.Long, no, who); err == nil {
		day, err = a.sealPart(seal.Short, no, rest)
	}
	return long, day, err
}

func (a *Agent) sealPart(c seal.Class, no string, p private) ([]byte, error) {
	plain, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("cannot seal the patient's data: %w", err)
	}
	return a.parts.Box.Seal(time.UnixMilli(a.Now().Wall), c, plain, []byte(no))
}

// unseal gives the private part back, without what was thrown away.
func (a *Agent) unseal(o *order.Order) order.Private {
	p, err := a.opened(o)
	if err != nil {
		a.log.Warn("the sealed part of an order cannot be opened", "order", o.No, "error", err)
	}
	out := order.Private{Subject: p.Subject, Memo: p.Memo, Details: p.Details, Patient: p.patient()}
	if p.Web != nil {
		out.Web = *p.Web
	}
	return out
}

func (p private) patient() platforms.Patient {
	return platforms.Patient{Name: platforms.Hide(p.Name), CardNo: platforms.Hide(p.CardNo), CardType: p.CardType,
		AdmissionNo: platforms.Hide(p.AdmissionNo), Phone: platforms.Hide(p.Phone)}
}

// opened opens both sealed parts. One whose key was thrown away is empty.
func (a *Agent) opened(o *order.Order) (private, error) {
	var p private
	for _, part := range [][]byte{o.Sealed, o.SealedDay} {
		if len(part) == 0 {
			continue
		}
		plain, err := a.parts.Box.Open(part, []byte(o.No))
		if errors.Is(err, seal.ErrForgotten) {
			continue
		}
		if err == nil {
			err = json.Unmarshal(plain, &p)
		}
		if err != nil {
			return p, fmt.Errorf("cannot open the patient of order %s: %w", o.No, err)
		}
	}
	return p, nil
}
