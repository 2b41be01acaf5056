package uplinktest

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"payagent/uplink"
)

// BusCases are the rules of uplink.Bus.
func BusCases() []BusCase {
	return []BusCase{
		{"order", "messages of one Bus arrive in the order in which they were published, and whole", caseOrder},
		{"order-through-cuts", "what was not acknowledged is sent again, in order, behind nothing newer", caseCuts},
		{"waits-for-a-connection", "without a connection Publish waits until its context ends, and never longer", caseWaits},
		{"acknowledged-is-at-the-broker", "Publish returns nil only when the broker has the message", caseAcknowledged},
		{"subscription-outlives-the-broker", "a subscription outlives every loss of the connection and of the broker's memory", caseMemory},
		{"away", "what comes for a persistent session while it is away is delivered when it is back", caseAway},
		{"retained", "a retained message comes to who subscribes later, marked; an empty one clears it; a live one is not marked", caseRetained},
		{"wildcards", "a handler gets what fits its filter and nothing else", caseWildcards},
		{"stop", "a stopped subscription gets nothing more, and another with the same filter goes on", caseStop},
		{"will", "a connection that breaks without a good-bye leaves its will; Close leaves none", caseWill},
		{"stuck-handler", "a handler never holds up the connection", caseStuck},
		{"call-from-handler", "a handler may use the Bus", caseReenter},
		{"refused-subscription", "a refusal by the broker is an error", caseRefused},
		{"refused-later", "a refusal while nobody waits for it is told in the Link", caseRefusedLater},
		{"link", "the Link says down with its cause, and tells of every change", caseLink},
		{"same-name", "a connection that another client with our name takes over is counted", caseSameName},
		{"too-large", "a message above the bound is refused and nothing else is disturbed", caseTooLarge},
		{"close", "after Close nothing is delivered and every call fails", caseClose},
	}
}

func caseOrder(w *BusWorld) error {
	from, _, in, err := w.pair("o/#")
	if err != nil {
		return err
	}
	const n = 300
	var done []<-chan error
	for i := range n {
		done = append(done, from.Send(w.Ctx, text("o/x", fmt.Sprint(i))))
	}
	for _, d := range done {
		if err := <-d; err != nil {
			return err
		}
	}
	big := bytes.Repeat([]byte{0xa5, 0}, 100_000)
	if err := from.Publish(w.Ctx, uplink.Message{Topic: "o/x", Payload: big}); err != nil {
		return err
	}
	if err := settled(w.Ctx, from, in, "o/x"); err != nil {
		return err
	}
	return inOrder(in.all(), n, func(m uplink.Message) error {
		if len(m.Payload) > 100 && !bytes.Equal(m.Payload, big) {
			return errors.New("a large message came changed")
		}
		return nil
	})
}

// inOrder checks that 0 to n-1 came, each for the first time in order.
func inOrder(got []uplink.Message, n int, check func(uplink.Message) error) error {
	next := 0
	for _, m := range got {
		if err := check(m); err != nil {
			return err
		}
		var v int
		if _, err := fmt.Sscan(string(m.Payload), &v); err != nil || len(m.Payload) > 10 {
			continue
		}
		if v > next {
			return fmt.Errorf("%d came before %d", v, next)
		}
		if v == next {
			next++
		}
	}
	if next != n {
		return fmt.Errorf("%d of %d messages came", next, n)
	}
	return nil
}

func caseCuts(w *BusWorld) error {
	from, to, in, err := w.pair("o/#")
	if err != nil {
		return err
	}
	const n = 120
	var done []<-chan error
	for i := range n {
		done = append(done, from.Send(w.Ctx, text("o/x", fmt.Sprint(i))))
		if i%40 == 39 {
			w.Cut("from")
		}
		if i == n/2 {
			w.Cut("to")
		}
	}
	for i, d := range done {
		if err := <-d; err != nil {
			return fmt.Errorf("message %d: %w", i, err)
		}
	}
	if err := link(w.Ctx, to, "up again", isUp); err != nil {
		return err
	}
	if err := settled(w.Ctx, from, in, "o/x"); err != nil {
		return err
	}
	return inOrder(in.all(), n, func(uplink.Message) error { return nil })
}

func caseWaits(w *BusWorld) error {
	from, to, in, err := w.pair("o")
	if err != nil {
		return err
	}
	w.Refuse(true)
	w.Cut("from")
	if err := link(w.Ctx, from, "down", isDown); err != nil {
		return err
	}
	short, cancel := brief(w.Ctx)
	defer cancel()
	if err := from.Publish(short, text("o", "given up")); err == nil {
		return errors.New("without a connection a message was acknowledged")
	} else if !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("the error does not say that the time was over: %w", err)
	}
	late := from.Send(w.Ctx, text("o", "patient"))
	w.Refuse(false)
	if err := <-late; err != nil {
		return err
	}
	if err := link(w.Ctx, to, "up", isUp); err != nil {
		return err
	}
	if err := in.has(w.Ctx, "patient"); err != nil {
		return err
	}
	if count(in.all(), "given up") > 0 {
		return errors.New("a message that was given up before it could leave was sent all the same")
	}
	over, end := context.WithCancel(w.Ctx)
	end()
	if from.Publish(over, text("o", "given up")) == nil {
		return errors.New("a message was published with a context that had ended")
	}
	return nil
}

func caseAcknowledged(w *BusWorld) error {
	from, err := w.up("from", nil)
	if err != nil {
		return err
	}
	for i := range 10 {
		done := from.Send(w.Ctx, uplink.Message{Topic: fmt.Sprintf("kept/%d", i), Payload: []byte("x"), Retain: true})
		w.Cut("from")
		if err := <-done; err != nil {
			return err
		}
		to, in := w.Bus(fmt.Sprintf("to%d", i), nil), newInbox()
		if err := link(w.Ctx, to, "up", isUp); err != nil {
			return err
		}
		if _, err := to.Subscribe("kept/#", in.take); err != nil {
			return err
		}
		if err := in.until(w.Ctx, "what was acknowledged", func(got []uplink.Message) bool { return len(got) > i }); err != nil {
			return err
		}
		to.Close()
	}
	return nil
}

func caseMemory(w *BusWorld) error {
	from, to, in, err := w.pair("o")
	if err != nil {
		return err
	}
	for i := range 2 {
		w.Kill()
		// Until the receiver is there again a message may find nobody: repeat.
		word := fmt.Sprintf("after death %d", i)
		for count(in.all(), word) == 0 {
			if err := from.Publish(w.Ctx, text("o", word)); err != nil {
				return err
			}
			short, cancel := brief(w.Ctx)
			_ = in.has(short, word)
			cancel()
			if w.Ctx.Err() != nil {
				return errors.New("the subscription did not outlive the broker's memory")
			}
		}
		if err := link(w.Ctx, to, "up", isUp); err != nil {
			return err
		}
	}
	return nil
}

func caseAway(w *BusWorld) error {
	from, to, in, err := w.pair("o")
	if err != nil {
		return err
	}
	if err := settled(w.Ctx, from, in, "o"); err != nil {
		return err
	}
	w.Refuse(true)
	w.Cut("to")
	if err := link(w.Ctx, to, "down", isDown); err != nil {
		return err
	}
	if err := from.Publish(w.Ctx, text("o", "while away")); err != nil {
		return err
	}
	w.Refuse(false)
	return in.has(w.Ctx, "while away")
}

func caseRetained(w *BusWorld) error {
	from, to, live, err := w.pair("r/#")
	if err != nil {
		return err
	}
	for _, m := range []uplink.Message{{Topic: "r/1", Payload: []byte("one"), Retain: true}, {Topic: "r/2", Payload: []byte("two"), Retain: true}, {Topic: "r/2", Retain: true}} {
		if err := from.Publish(w.Ctx, m); err != nil {
			return err
		}
	}
	if err := settled(w.Ctx, from, live, "r/3"); err != nil {
		return err
	}
	for _, m := range live.all() {
		if m.Retain {
			return fmt.Errorf("%q was new and was marked as kept", m.Payload)
		}
	}
	later := newInbox()
	if _, err := to.Subscribe("r/+", later.take); err != nil {
		return err
	}
	if err := later.has(w.Ctx, "one"); err != nil {
		return err
	}
	if m := later.all()[0]; !m.Retain || m.Topic != "r/1" {
		return fmt.Errorf("a kept message came as %+v", m)
	}
	if err := from.Publish(w.Ctx, text("r/3", "the end")); err != nil {
		return err
	}
	if err := later.has(w.Ctx, "the end"); err != nil {
		return err
	}
	if count(later.all(), "two")+count(later.all(), "") > 0 {
		return errors.New("a cleared message was delivered")
	}
	return nil
}

func caseWildcards(w *BusWorld) error {
	from, to, rest, err := w.pair("p/s/#")
	if err != nil {
		return err
	}
	one := newInbox()
	if _, err := to.Subscribe("p/+/x", one.take); err != nil {
		return err
	}
	for _, topic := range []string{"p/s", "p/s/x", "p/s/y", "p/t/x", "p/s/x/z", "q/s/x"} {
		if err := from.Publish(w.Ctx, text(topic, topic)); err != nil {
			return err
		}
	}
	if err := settled(w.Ctx, from, rest, "p/s/x"); err != nil {
		return err
	}
	if err := one.has(w.Ctx, "the last"); err != nil {
		return err
	}
	for in, want := range map[*inbox][]string{rest: {"p/s", "p/s/x", "p/s/y", "p/s/x/z"}, one: {"p/s/x", "p/t/x"}} {
		for _, topic := range []string{"p/s", "p/s/x", "p/s/y", "p/t/x", "p/s/x/z", "q/s/x"} {
			fits := false
			for _, x := range want {
				fits = fits || x == topic
			}
			if got := count(in.all(), topic) > 0; got != fits {
				return fmt.Errorf("a subscription and %s: delivered %v, wanted %v", topic, got, fits)
			}
		}
	}
	return nil
}

func caseStop(w *BusWorld) error {
	from, to, goes, err := w.pair("o")
	if err != nil {
		return err
	}
	ends := newInbox()
	stop, err := to.Subscribe("o", ends.take)
	if err != nil {
		return err
	}
	if err := settled(w.Ctx, from, goes, "o"); err != nil {
		return err
	}
	if err := ends.has(w.Ctx, "the last"); err != nil {
		return err
	}
	stop()
	stop()
	for _, cut := range []bool{false, true} {
		if cut {
			w.Cut("to")
			if err := link(w.Ctx, to, "up", isUp); err != nil {
				return err
			}
		}
		word := fmt.Sprintf("after the stop, cut %v", cut)
		if err := from.Publish(w.Ctx, text("o", word)); err != nil {
			return err
		}
		if err := goes.has(w.Ctx, word); err != nil {
			return err
		}
		if count(ends.all(), word) > 0 {
			return errLate
		}
	}
	return nil
}
