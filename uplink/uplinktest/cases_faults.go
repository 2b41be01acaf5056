package uplinktest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// lost asks in all the ways that invite a replay.
func lost(w *World, path string) error {
	if err := w.start(); err != nil {
		return err
	}
	tunes := map[string]func(*http.Request){
		"as it is":              func(*http.Request) {},
		"own connection":        own,
		"with idempotency key":  func(r *http.Request) { r.Header.Set("Idempotency-Key", "k1") },
		"with idempotency key2": func(r *http.Request) { r.Header.Set("X-Idempotency-Key", "k1") },
	}
	n := 0
	for name, tune := range tunes {
		_, err := w.ask(w.Ctx, http.MethodPost, path, "pay", tune)
		n++
		if err := w.wantUnknown(err, n); err != nil {
			return fmt.Errorf("POST %s: %w", name, err)
		}
	}
	_, err := w.ask(w.Ctx, http.MethodGet, path, "")
	if err := w.wantUnknown(err, n+1); err != nil {
		return fmt.Errorf("GET: %w", err)
	}
	return nil
}

// lostAfterGood is where net/http would try again: a connection that was used
// before dies under a request.
func lostAfterGood(w *World) error {
	if err := w.start(); err != nil {
		return err
	}
	n := 0
	for _, path := range []string{"/drop", "/reset"} {
		for _, method := range []string{http.MethodPost, http.MethodGet} {
			if _, err := w.ask(w.Ctx, http.MethodPost, "/echo", "fine"); err != nil {
				return err
			}
			_, err := w.ask(w.Ctx, method, path, "pay", func(r *http.Request) { r.Header.Set("Idempotency-Key", "k1") })
			n += 2
			if err := w.wantUnknown(err, n); err != nil {
				return fmt.Errorf("%s %s: %w", method, path, err)
			}
		}
	}
	return nil
}

func resetEarly(w *World) error {
	if err := w.start(); err != nil {
		return err
	}
	size := 8 << 20 // more than the kernel takes off a sender's hands
	if w.member.MaxBody > 0 {
		size = min(size, w.member.MaxBody)
	}
	_, err := w.ask(w.Ctx, http.MethodPost, "/reset-early", strings.Repeat("x", size))
	return w.wantUnknown(err, 1)
}

// tooLarge is for ways that have a bound.
func tooLarge(w *World) error {
	if w.member.MaxBody <= 0 {
		return nil
	}
	if err := w.start(); err != nil {
		return err
	}
	_, err := w.ask(w.Ctx, http.MethodPost, "/echo", strings.Repeat("x", w.member.MaxBody+1))
	return w.wantNotSent(err)
}

func silent(w *World) error {
	if err := w.start(); err != nil {
		return err
	}
	// The end comes as a deadline does, after the platform has the request.
	ctx, cancel := context.WithCancelCause(w.Ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-w.Platform.arrived:
			cancel(context.DeadlineExceeded)
		case <-w.Ctx.Done():
		}
	}()
	_, err := w.ask(ctx, http.MethodPost, "/silent", "pay", own)
	return w.wantUnknown(err, 1)
}

func canceled(w *World) error {
	if err := w.start(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(w.Ctx)
	defer cancel()
	go func() {
		select {
		case <-w.Platform.arrived:
			cancel()
		case <-w.Ctx.Done():
		}
	}()
	_, err := w.ask(ctx, http.MethodPost, "/silent", "pay")
	if w.Ctx.Err() != nil {
		return errors.New("the call did not end with its context")
	}
	if !errors.Is(err, context.Canceled) {
		return fmt.Errorf("the error does not say that the context ended: %w", err)
	}
	return w.wantUnknown(err, 1)
}

func tooLate(w *World) error {
	if err := w.start(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(w.Ctx)
	cancel()
	_, err := w.ask(ctx, http.MethodPost, "/echo", "pay")
	return w.wantNotSent(err)
}

func redirect(w *World) error {
	if err := w.start(); err != nil {
		return err
	}
	for i, code := range []int{301, 302, 303, 307, 308} {
		got, err := w.ask(w.Ctx, http.MethodPost, fmt.Sprintf("/%d", code), "pay")
		if err != nil {
			return err
		}
		if got.status != code || len(w.Platform.Seen()) != i+1 {
			return fmt.Errorf("%d became %d after %d requests", code, got.status, len(w.Platform.Seen()))
		}
	}
	return nil
}

func busy(w *World) error {
	if err := w.start(); err != nil {
		return err
	}
	for i, code := range []int{503, 500, 408, 425} {
		got, err := w.ask(w.Ctx, http.MethodPost, fmt.Sprintf("/%d", code), "pay")
		if err != nil {
			return err
		}
		if got.status != code || len(w.Platform.Seen()) != i+1 {
			return fmt.Errorf("%d became %d after %d requests", code, got.status, len(w.Platform.Seen()))
		}
	}
	return nil
}

func broken(w *World, path string) error {
	if err := w.start(); err != nil {
		return err
	}
	_, err := w.ask(w.Ctx, http.MethodPost, path, "pay", own)
	if w.Ctx.Err() != nil {
		return errors.New("the call hung")
	}
	return w.wantUnknown(err, 1)
}

func refused(w *World) error {
	if err := w.start(); err != nil {
		return err
	}
	w.Platform.close() // its port is known and nobody listens there any more
	_, err := w.ask(w.Ctx, http.MethodPost, "/echo", "pay")
	return w.wantNotSent(err)
}

func muteHandshake(w *World) error {
	if err := w.start(func(s *setup) { s.mute = true }); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(w.Ctx)
	if !w.member.Ends {
		ctx, cancel = context.WithTimeout(w.Ctx, 200*time.Millisecond)
	}
	defer cancel()
	_, err := w.ask(ctx, http.MethodPost, "/echo", "pay")
	if w.Ctx.Err() != nil {
		return errors.New("the call did not end with its context")
	}
	return w.wantNotSent(err)
}

func forged(w *World, o option) error {
	if err := w.start(o); err != nil {
		return err
	}
	_, err := w.ask(w.Ctx, http.MethodPost, "/echo", "pay")
	if err := w.wantNotSent(err); err != nil {
		return err
	}
	if err := w.Route.Reach(w.Ctx); err == nil {
		return errors.New("the forged server counts as reached")
	}
	return nil
}

func otherHost(w *World) error {
	if err := w.start(); err != nil {
		return err
	}
	other, err := newPlatform(w.member.Plain)
	if err != nil {
		return err
	}
	w.cleanup = append(w.cleanup, other.close)
	mine := w.Platform
	w.Platform = other // ask goes there, by the way that was opened to mine
	if _, err = w.ask(w.Ctx, http.MethodPost, "/echo", "pay"); err == nil {
		return errors.New("it was sent")
	}
	if err := w.wantNotSent(err); err != nil {
		return err
	}
	if n := len(mine.Seen()); n != 0 {
		return errors.New("it went to the way's own platform")
	}
	w.Platform = mine
	_, err = w.ask(w.Ctx, http.MethodPost, "/echo", "pay", func(r *http.Request) { r.Host = "elsewhere.invalid" })
	return w.wantNotSent(err)
}

func bodyClosed(w *World) error {
	if err := w.start(); err != nil {
		return err
	}
	check := func(what string, ctx context.Context, path string) error {
		body := newCloser("pay")
		_, _ = w.ask(ctx, http.MethodPost, path, "", func(r *http.Request) { r.Body, r.GetBody, r.ContentLength = body, nil, 3 })
		select {
		case <-body.closed:
			return nil
		case <-w.Ctx.Done():
			return fmt.Errorf("the body stays open %s", what)
		}
	}
	ended, cancel := context.WithCancel(w.Ctx)
	cancel()
	if err := errors.Join(check("after an answer", w.Ctx, "/echo"), check("after a lost reply", w.Ctx, "/drop"), check("when nothing is sent", ended, "/echo")); err != nil {
		return err
	}
	if err := w.Route.Close(); err != nil {
		return err
	}
	return check("after Close", w.Ctx, "/echo")
}

func reach(w *World) error {
	if err := w.start(); err != nil {
		return err
	}
	if err := w.Route.Reach(w.Ctx); err != nil {
		return err
	}
	if n := len(w.Platform.Seen()); n != 0 {
		return fmt.Errorf("the platform saw %d requests", n)
	}
	ctx, cancel := context.WithCancel(w.Ctx)
	cancel()
	if w.Route.Reach(ctx) == nil {
		return errors.New("it ignores its context")
	}
	return nil
}

func reachDown(w *World) error {
	if err := w.start(); err != nil {
		return err
	}
	w.Platform.close()
	if w.Route.Reach(w.Ctx) == nil {
		return errors.New("it counts as reached")
	}
	return nil
}

func closedWay(w *World) error {
	if err := w.start(); err != nil {
		return err
	}
	if err := w.Route.Close(); err != nil {
		return err
	}
	_, err := w.ask(w.Ctx, http.MethodPost, "/echo", "pay")
	if err := w.wantNotSent(err); err != nil {
		return err
	}
	if w.Route.Reach(w.Ctx) == nil {
		return errors.New("a closed way reaches the platform")
	}
	if err := w.Route.Close(); err != nil {
		return fmt.Errorf("closing twice: %w", err)
	}
	return nil
}

func closeEnds(w *World) error {
	if err := w.start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() {
		_, err := w.ask(w.Ctx, http.MethodPost, "/silent", "pay")
		ended <- err
	}()
	select {
	case <-w.Platform.arrived:
	case <-w.Ctx.Done():
		return errors.New("the request never arrived")
	}
	if err := w.Route.Close(); err != nil {
		return err
	}
	select {
	case err := <-ended:
		return w.wantUnknown(err, 1)
	case <-w.Ctx.Done():
		return errors.New("the call goes on after Close")
	}
}
