package uplinktest

import (
	"errors"
	"fmt"
	"time"

	"payagent/uplink"
)

func caseWill(w *BusWorld) error {
	watch, err := w.up("watch", nil)
	if err != nil {
		return err
	}
	in := newInbox()
	if _, err := watch.Subscribe("w/#", in.take); err != nil {
		return err
	}
	polite, err := w.up("polite", &uplink.Message{Topic: "w/polite", Payload: []byte("polite is lost"), Retain: true})
	if err != nil {
		return err
	}
	if err := polite.Close(); err != nil {
		return err
	}
	if _, err := w.up("cut", &uplink.Message{Topic: "w/cut", Payload: []byte("cut is lost"), Retain: true}); err != nil {
		return err
	}
	w.Cut("cut")
	if err := in.has(w.Ctx, "cut is lost"); err != nil {
		return err
	}
	if count(in.all(), "polite is lost") > 0 {
		return errors.New("a will was sent although the client said good-bye")
	}
	return nil
}

func caseStuck(w *BusWorld) error {
	from, to, in, err := w.pair("free/#")
	if err != nil {
		return err
	}
	stuck, free := make(chan struct{}), make(chan struct{})
	defer close(free)
	first := true
	if _, err := to.Subscribe("stuck", func(uplink.Message) {
		if first {
			first = false
			close(stuck)
			<-free
		}
	}); err != nil {
		return err
	}
	for i := range 200 {
		if err := from.Publish(w.Ctx, text("stuck", fmt.Sprint(i))); err != nil {
			return err
		}
	}
	select {
	case <-stuck:
	case <-w.Ctx.Done():
		return errors.New("the handler was never called")
	}
	if err := settled(w.Ctx, from, in, "free/1"); err != nil {
		return fmt.Errorf("another subscription stands still: %w", err)
	}
	if err := to.Publish(w.Ctx, text("free/2", "from the stuck one")); err != nil {
		return fmt.Errorf("publishing stands still: %w", err)
	}
	return in.has(w.Ctx, "from the stuck one")
}

func caseReenter(w *BusWorld) error {
	from, to, in, err := w.pair("answer")
	if err != nil {
		return err
	}
	errs := make(chan error, 1)
	stops := make(chan func(), 1)
	stop, err := to.Subscribe("ask", func(uplink.Message) {
		if _, err := to.Subscribe("second", in.take); err != nil {
			errs <- err
			return
		}
		(<-stops)()
		errs <- to.Publish(w.Ctx, text("answer", "answered"))
	})
	if err != nil {
		return err
	}
	stops <- stop
	if err := from.Publish(w.Ctx, text("ask", "?")); err != nil {
		return err
	}
	select {
	case err := <-errs:
		if err != nil {
			return err
		}
	case <-w.Ctx.Done():
		return errors.New("a handler that used the Bus never came back")
	}
	if err := in.has(w.Ctx, "answered"); err != nil {
		return err
	}
	if err := from.Publish(w.Ctx, text("second", "second")); err != nil {
		return err
	}
	return in.has(w.Ctx, "second")
}

func caseRefused(w *BusWorld) error {
	b, err := w.up("a", nil)
	if err != nil {
		return err
	}
	if _, err := b.Subscribe("denied/#", func(uplink.Message) {}); err == nil {
		return errors.New("a refused subscription looked like a good one")
	}
	if _, err := b.Subscribe("a/#/b", func(uplink.Message) {}); err == nil {
		return errors.New("a filter that is none was taken")
	}
	if l, _ := b.Link(); !l.Up || l.Cause != "" {
		return fmt.Errorf("after a refusal that was told at once the link is up %v, %q", l.Up, l.Cause)
	}
	return b.Publish(w.Ctx, text("o", "goes on"))
}

func caseRefusedLater(w *BusWorld) error {
	w.Refuse(true)
	b := w.Bus("a", nil)
	if _, err := b.Subscribe("denied/#", func(uplink.Message) {}); err != nil {
		return fmt.Errorf("nobody could have refused yet: %w", err)
	}
	w.Refuse(false)
	return link(w.Ctx, b, "up with a cause", func(l uplink.Link) bool { return l.Up && l.Cause != "" })
}

func caseLink(w *BusWorld) error {
	b, err := w.up("a", nil)
	if err != nil {
		return err
	}
	_, changed := b.Link()
	w.Refuse(true)
	w.Cut("a")
	if err := link(w.Ctx, b, "down with a cause", func(l uplink.Link) bool { return !l.Up && l.Cause != "" }); err != nil {
		return err
	}
	select {
	case <-changed:
	default:
		return errors.New("the link changed and told nobody")
	}
	w.Refuse(false)
	return link(w.Ctx, b, "up again without a cause", func(l uplink.Link) bool { return l.Up && l.Cause == "" && l.Since < time.Hour })
}

func caseSameName(w *BusWorld) error {
	a, err := w.up("twin", nil)
	if err != nil {
		return err
	}
	if _, err := w.up("twin", nil); err != nil {
		return err
	}
	return link(w.Ctx, a, "kicked", func(l uplink.Link) bool { return l.Kicked > 0 })
}

func caseTooLarge(w *BusWorld) error {
	from, _, in, err := w.pair("o")
	if err != nil {
		return err
	}
	if from.Publish(w.Ctx, uplink.Message{Topic: "o", Payload: make([]byte, uplink.MaxPayload+1)}) == nil {
		return errors.New("a message above the bound was taken")
	}
	if from.Publish(w.Ctx, text("o/+", "x")) == nil {
		return errors.New("a wildcard was taken as a topic")
	}
	if err := from.Publish(w.Ctx, uplink.Message{Topic: "o", Payload: make([]byte, uplink.MaxPayload)}); err != nil {
		return err
	}
	return settled(w.Ctx, from, in, "o")
}

func caseClose(w *BusWorld) error {
	from, to, in, err := w.pair("o")
	if err != nil {
		return err
	}
	if err := settled(w.Ctx, from, in, "o"); err != nil {
		return err
	}
	if err := to.Close(); err != nil {
		return err
	}
	before := len(in.all())
	if err := from.Publish(w.Ctx, text("o", "too late")); err != nil {
		return err
	}
	if err := to.Publish(w.Ctx, text("o", "x")); !errors.Is(err, uplink.ErrClosed) {
		return fmt.Errorf("publishing after Close: %v", err)
	}
	if _, err := to.Subscribe("o", in.take); !errors.Is(err, uplink.ErrClosed) {
		return fmt.Errorf("subscribing after Close: %v", err)
	}
	if l, _ := to.Link(); l.Up {
		return errors.New("a closed connection calls itself up")
	}
	w.Refuse(true)
	w.Cut("from")
	if err := link(w.Ctx, from, "down", isDown); err != nil {
		return err
	}
	waits := from.Send(w.Ctx, text("o", "never"))
	if err := from.Close(); err != nil {
		return err
	}
	if err := <-waits; !errors.Is(err, uplink.ErrClosed) {
		return fmt.Errorf("a call that waited when Close came: %v", err)
	}
	if err := to.Close(); err != nil {
		return fmt.Errorf("closing twice: %w", err)
	}
	if len(in.all()) != before {
		return errLate
	}
	return nil
}
