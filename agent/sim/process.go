package sim

import (
	"fmt"
	"strconv"
	"time"

	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/platforms"
)

// process is one life of the agent: the core and the driver that carries its
// effects out.
type process struct {
	w          *World
	id         int
	c          *counter.Counter
	start      time.Duration // mono
	dead       bool
	late       bool // the step under way began after something was due
	failed     bool // the storage failed
	queue      []*job
	committing bool
	wake       time.Duration // g of the pending tick
	wakeSeq    int
}

// job is the outcome of one step on its way.
type job struct {
	effects []counter.Effect
	first   int // index of the first write, -1 for none
	pos     int
	durable bool
}

func (w *World) startProcess() {
	w.procs++
	w.started = w.g
	p := &process{w: w, id: w.procs, c: counter.New(w.cfg), start: w.mono()}
	w.proc = p
	for _, t := range w.tills {
		t.blank()
	}
	r := w.journal.recover()
	w.check.restarted(r)
	w.note("start", strconv.Itoa(p.id), strconv.Itoa(len(r.Orders)), strconv.Itoa(len(r.Lost)))
	p.step(r)
	p.takeOver()
	if w.diskLow && !p.dead {
		p.step(counter.Disk{Low: true})
	}
	if len(w.plan.Links) > 0 {
		w.after(span(w.rng("link", strconv.Itoa(p.id)), 0, 10*time.Second), w.link)
	}
	for _, name := range []string{"fwc", "sp"} {
		pl := w.plats[name]
		w.after(span(w.rng("probe", name, strconv.Itoa(p.id)), 0, 10*time.Second), func() { pl.probe() })
	}
}

// kill ends the process; a reboot takes the monotonic clock with it.
func (w *World) kill(reboot bool, down time.Duration, why string) {
	if w.proc == nil {
		return
	}
	w.Cover.Points[why]++
	f := Crash
	if reboot {
		f = Reboot
	}
	for _, x := range w.check.open() {
		w.hit(f, x)
	}
	w.note("kill", why, strconv.FormatBool(reboot))
	w.proc.dead = true
	w.proc = nil
	w.started = w.g + down
	w.after(down, func() {
		if reboot {
			w.boot++
			w.bootG = w.g - 3*time.Second
		}
		w.startProcess()
	})
}

func (w *World) loseLog() {
	if w.proc == nil {
		return
	}
	w.lostTimes++
	w.check.logLost()
	w.kill(true, 30*time.Second, "log lost")
	w.journal.lose()
}

// swap puts another box in the place of this one: what it has is what the old
// one had told of its open orders, and is told anew until it has it on disk.
func (w *World) swap() {
	if w.proc == nil {
		return
	}
	w.lostTimes++
	w.left = nil
	for _, o := range w.journal.recover().Orders {
		if k, ok := counter.CapsuleOf(o, w.now()); ok {
			w.left = append(w.left, k)
		}
	}
	w.check.swapped(w.left)
	w.kill(true, 30*time.Second, "box replaced")
	w.journal.lose()
	w.journal.slots = nil
}

// takeOver tells the core of this life what the box before it left.
func (p *process) takeOver() {
	w := p.w
	if len(w.left) > 0 && !p.dead {
		p.step(counter.TakeOver{Reply: w.his.id(func(r counter.Reply) {
			if r.Code == counter.CodeDone {
				w.left = nil
			}
		}), Orders: w.left})
	}
}

// step gives one event to the core.
func (p *process) step(ev counter.Event) {
	w := p.w
	if p.dead {
		return
	}
	w.steps++
	w.check.before(ev)
	p.late = p.c.Deadline() <= w.mono()
	out := p.c.Step(w.now(), ev)
	w.traceStep(ev, out)
	w.check.onStep(p, ev, out)
	if len(out) > 0 {
		j := &job{effects: out, first: -1}
		for i, e := range out {
			if _, ok := e.(counter.Write); ok {
				j.first = i
				break
			}
		}
		p.queue = append(p.queue, j)
	}
	p.pump()
	p.arm()
}

func (p *process) arm() {
	if p.dead {
		return
	}
	at := p.c.Deadline()
	if at == order.Never {
		p.wake = order.Never
		return
	}
	g := max(at+p.w.bootG, p.w.g+time.Microsecond)
	if p.wakeSeq > 0 && p.wake == g {
		return
	}
	p.wakeSeq++
	p.wake = g
	seq := p.wakeSeq
	p.w.at(g, func() {
		if !p.dead && p.wakeSeq == seq {
			p.wake = -1
			p.step(counter.Tick{})
		}
	})
}

// pump carries out what may be carried out now.
func (p *process) pump() {
	for len(p.queue) > 0 && !p.dead && !p.failed {
		j := p.queue[0]
		for j.pos < len(j.effects) {
			if j.first >= 0 && j.pos >= j.first && !j.durable {
				p.commit()
				return
			}
			e := j.effects[j.pos]
			j.pos++
			if _, ok := e.(counter.Write); ok {
				continue
			}
			if p.w.crashAt == 0 {
				p.w.crashAt = -1
				p.w.kill(p.w.crashBoot, 2*time.Second, "after effects")
				return
			}
			if p.w.crashAt > 0 {
				p.w.crashAt--
			}
			p.carry(e)
			if p.dead {
				return
			}
		}
		p.queue = p.queue[1:]
	}
}

// commit writes the steps at the head of the queue as one batch.
func (p *process) commit() {
	if p.committing {
		return
	}
	p.committing = true
	w := p.w
	r := w.rng("commit", strconv.Itoa(w.commits))
	n := w.commits
	w.commits++
	took := span(r, time.Millisecond, 5*time.Millisecond)
	if w.faulty(Stall) && r.Float64() < 0.05 {
		took = span(r, 0, 70*time.Second)
		w.hit(Stall, "")
	}
	if d := w.plan.Stalls[n]; d > 0 {
		took = d
	}
	point := w.pointAt(n, r)
	if point.Kind == PointBefore {
		w.kill(point.Reboot, point.down(r), "before write")
		return
	}
	w.after(took, func() {
		if p.dead {
			return
		}
		var batch []counter.Write
		for _, j := range p.queue {
			for _, e := range j.effects {
				if x, ok := e.(counter.Write); ok && !j.durable {
					batch = append(batch, x)
				}
			}
		}
		if point.Kind == PointErrorLost {
			p.fail(point, r)
			return
		}
		w.journal.commit(batch)
		w.note("durable", strconv.Itoa(n), strconv.Itoa(len(batch)))
		switch point.Kind {
		case PointErrorKept:
			p.fail(point, r)
			return
		case PointUnheard:
			w.kill(point.Reboot, point.down(r), "written, not acknowledged")
			return
		case PointAcked:
			w.kill(point.Reboot, point.down(r), "acknowledged, before any effect")
			return
		case PointEffects:
			w.crashAt, w.crashBoot = point.Effects, point.Reboot
		}
		for _, j := range p.queue {
			j.durable = true
		}
		p.committing = false
		p.pump()
	})
}

// fail is a commit that returned an error: nobody knows what it did. The core
// is told, may not send anything any more, and the process ends soon.
func (p *process) fail(point Point, r interface{ Int64N(int64) int64 }) {
	w := p.w
	p.failed = true
	w.Cover.Points["storage error"]++
	for _, x := range w.check.open() {
		w.hit(StorageError, x)
	}
	w.note("storage error")
	p.step(counter.StorageFailed{})
	for _, no := range w.check.open() {
		if o := w.check.belief[no]; o.State() == order.Queued {
			w.after(50*time.Millisecond, func() { w.his.act(no, order.ActConfirm) })
		}
	}
	id := p.id
	w.after(time.Duration(r.Int64N(int64(3*time.Second))), func() {
		if w.proc != nil && w.proc.id == id {
			w.kill(point.Reboot, time.Second, "exit after storage error")
		}
	})
}

// carry does one effect.
func (p *process) carry(e counter.Effect) {
	w := p.w
	switch e := e.(type) {
	case counter.Call:
		w.check.onCall(p, e)
		w.plats[e.Platform].call(p, e)
	case counter.Lookup:
		found := w.journal.lookup(e)
		r := w.rng("lookup", strconv.Itoa(p.id), strconv.FormatUint(e.Token, 10))
		wait := span(r, 0, 3*time.Millisecond)
		if w.faulty(SlowLookup) && r.Float64() < 0.3 {
			wait = span(r, 0, 4*time.Second)
			w.hit(SlowLookup, "")
		}
		w.after(wait, func() { p.step(found) })
	case counter.Reply:
		w.check.onReply(e)
		w.his.reply(e)
	case counter.Changed:
		w.check.onTold(e.Order, "changed")
		w.his.changed(e.Order)
	case counter.Screen:
		w.check.onScreen(e.View)
		w.tills[e.View.Till].show(e.View)
	case counter.Alarm:
		w.check.onAlarm(e)
	}
}

func (w *World) traceStep(ev counter.Event, out []counter.Effect) {
	w.note("step", eventName(ev))
	if w.log != nil && len(out) > 0 {
		w.say("  in  %s", show(ev))
	}
	for _, e := range out {
		switch e := e.(type) {
		case counter.Write:
			kind := "close"
			if e.Fact != nil {
				kind = string(e.Fact.Kind)
			}
			w.note("write", e.Order, kind)
		case counter.Call:
			w.note("call", e.Order, string(e.Verb))
		case counter.Reply:
			w.note("reply", strconv.FormatUint(e.ID, 10), e.Code)
		case counter.Changed:
			w.note("changed", e.Order.No, string(e.Order.State()))
		case counter.Screen:
			no := ""
			if e.View.Order != nil {
				no = e.View.Order.No
			}
			w.note("screen", e.View.Till, no, e.View.Note, string(e.View.Scanner), e.View.Holder, e.View.AskedBy)
		case counter.Alarm:
			w.note("alarm", e.Code, e.Order)
		case counter.Identity:
			w.note("identity", e.Till, e.Session)
		case counter.Scanned:
			w.note("scanned", e.Device, string(e.Result))
		case counter.Lookup:
			w.note("lookup", strconv.FormatUint(e.Token, 10))
		}
	}
}

func eventName(ev counter.Event) string {
	switch ev.(type) {
	case counter.Tick:
		return "tick"
	case counter.Create:
		return "create"
	case counter.Scan:
		return "scan"
	case counter.Act:
		return "act"
	case counter.AskRefund:
		return "ask_refund"
	case counter.Found:
		return "found"
	case counter.PayDone:
		return "pay_done"
	case counter.QueryDone:
		return "query_done"
	case counter.CancelDone:
		return "cancel_done"
	case counter.RefundDone:
		return "refund_done"
	case counter.Notified:
		return "notified"
	case counter.Recover:
		return "recover"
	}
	return "other"
}

// show prints an event for a replay.
func show(ev counter.Event) string {
	answer := func(a platforms.Answer) string {
		return fmt.Sprintf("%s now=%v no=%s handle=%.4s amount=%d/%v qr=%s", a.Status, a.AskNow, a.OrderNo, a.Handle, a.Amount, a.HasAmount, a.QR)
	}
	switch e := ev.(type) {
	case counter.PayDone:
		return fmt.Sprintf("%s %s %s err=%v", e.Order, e.Verb, answer(e.Answer), e.Err)
	case counter.QueryDone:
		return fmt.Sprintf("%s %s err=%v", e.Order, answer(e.Answer), e.Err)
	case counter.CancelDone:
		return fmt.Sprintf("%s done=%v %s retry=%s err=%v", e.Order, e.Answer.Done, e.Answer.Action, e.Answer.Retry, e.Err)
	case counter.RefundDone:
		return fmt.Sprintf("%s %s status=%d total=%d err=%v", e.Order, e.Request, e.Answer.Status, e.Answer.Total, e.Err)
	case counter.Create:
		return fmt.Sprintf("%s bill=%s till=%s %d %s key=%s", e.No, e.Spec.Bill, e.Spec.Till, e.Spec.Amount, e.Spec.Mode, e.Spec.Key.Key)
	case counter.Act:
		return fmt.Sprintf("%s %s", e.Order, e.Action)
	case counter.AskRefund:
		return fmt.Sprintf("%s %s %d", e.Order, e.Refund.Request, e.Refund.Sum)
	case counter.Scan:
		return e.Till + " " + e.Device + " " + e.Code.Hash
	case counter.Claim:
		return "claim " + e.Till + " " + e.Session
	case counter.Retain:
		return "retain " + e.Till + " " + e.Session
	case counter.Release:
		return "release " + e.Till + " " + e.Session
	case counter.Reach:
		return fmt.Sprintf("reach %s %v", e.Platform, e.Up)
	}
	return fmt.Sprintf("%T", ev)
}
