package devices_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"payagent/devices"
)

// toy is a scanner in memory.
type toy struct {
	codes  chan string
	pulled chan struct{}
	closed chan struct{}
	once   sync.Once
}

func newToy() *toy {
	return &toy{codes: make(chan string, 64), pulled: make(chan struct{}), closed: make(chan struct{})}
}

func (s *toy) Scan(ctx context.Context) (devices.Scan, error) {
	select {
	case c := <-s.codes:
		return devices.Scan{Text: devices.NewText(c)}, nil
	case <-s.pulled:
		return devices.Scan{}, fmt.Errorf("cannot read: %w", devices.ErrGone)
	case <-ctx.Done():
		return devices.Scan{}, ctx.Err()
	}
}

func (s *toy) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

// socket is where a toy is plugged in.
type socket struct {
	mu    sync.Mutex
	now   *toy
	tries []time.Time
	open  int
	most  int
	news  []devices.Presence
}

func (k *socket) plug(s *toy) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.now = s
}

func (k *socket) opener() (devices.Scanner, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tries = append(k.tries, time.Now())
	if k.now == nil {
		return nil, errors.New("cannot open: no such device")
	}
	k.open++
	k.most = max(k.most, k.open)
	return &counted{k.now, k}, nil
}

type counted struct {
	*toy
	k *socket
}

func (c *counted) Close() error {
	c.k.mu.Lock()
	c.k.open--
	c.k.mu.Unlock()
	return c.toy.Close()
}

func (k *socket) notify(p devices.Presence) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.news = append(k.news, p)
}

func (k *socket) states() (out []bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, p := range k.news {
		out = append(out, p.Present)
	}
	return out
}

// pass lets virtual time pass and everything that is due happen.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func same(a, b []bool) bool { return fmt.Sprint(a) == fmt.Sprint(b) }

func TestReopen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &socket{}
		r := devices.Reopen(devices.ReopenConfig{Device: "till 3", Open: k.opener, Notify: k.notify})
		pass(10 * time.Second)
		if !same(k.states(), []bool{false}) || k.news[0].Err == nil || k.news[0].Device != "till 3" {
			t.Fatalf("news %+v", k.news)
		}
		// 100, 200, 400, 800, 1000, 1000 …
		for i, want := range []time.Duration{100, 200, 400, 800, 1000, 1000} {
			if d := k.tries[i+1].Sub(k.tries[i]); d != want*time.Millisecond {
				t.Errorf("pause %d is %v", i, d)
			}
		}

		a := newToy()
		k.plug(a)
		plugged := time.Now()
		a.codes <- "one"
		got, err := r.Scan(t.Context())
		if err != nil || got.Text.Reveal() != "one" {
			t.Fatal(err)
		}
		if d := time.Since(plugged); d > 2*time.Second {
			t.Errorf("usable %v after the plug", d)
		}
		pass(time.Minute)

		// Unplugged: told at once, the handle is closed, Scan waits on.
		k.plug(nil)
		close(a.pulled)
		synctest.Wait()
		if !same(k.states(), []bool{false, true, false}) || !errors.Is(k.news[2].Err, devices.ErrGone) {
			t.Fatalf("news %+v", k.news)
		}
		select {
		case <-a.closed:
		default:
			t.Error("the unplugged device was not closed")
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		if _, err := r.Scan(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Scan during an absence: %v", err)
		}
		cancel()

		b := newToy()
		k.plug(b)
		b.codes <- "two"
		if got, err = r.Scan(t.Context()); err != nil || got.Text.Reveal() != "two" {
			t.Fatal(err)
		}
		if !same(k.states(), []bool{false, true, false, true}) {
			t.Errorf("news %+v", k.news)
		}

		waiting := make(chan error, 1)
		go func() {
			_, err := r.Scan(context.Background())
			waiting <- err
		}()
		synctest.Wait()
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-waiting; err == nil {
			t.Error("Scan goes on after Close")
		}
		if _, err := r.Scan(t.Context()); err == nil {
			t.Error("Scan works after Close")
		}
		<-b.closed
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if k.open != 0 || k.most != 1 {
			t.Errorf("%d still open, %d at once", k.open, k.most)
		}
	})
}

// TestReopenFlapping: a device that dies as soon as it is opened does not make
// a busy loop.
func TestReopenFlapping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &socket{}
		dead := newToy()
		close(dead.pulled)
		k.plug(dead)
		r := devices.Reopen(devices.ReopenConfig{Open: k.opener, Notify: k.notify})
		pass(time.Minute)
		_ = r.Close()
		if n := len(k.tries); n < 2 || n > 70 {
			t.Errorf("%d openings in a minute", n)
		}
	})
}

// TestReopenManyTimes: 10,000 re-plugs, each seen, nothing left open.
func TestReopenManyTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &socket{}
		r := devices.Reopen(devices.ReopenConfig{Open: k.opener, Notify: k.notify})
		for i := range 10_000 {
			s := newToy()
			s.codes <- fmt.Sprint(i)
			k.plug(s)
			got, err := r.Scan(t.Context())
			if err != nil || got.Text.Reveal() != fmt.Sprint(i) {
				t.Fatalf("cycle %d: %v", i, err)
			}
			k.plug(nil)
			close(s.pulled)
		}
		_ = r.Close()
		if k.open != 0 || k.most != 1 {
			t.Errorf("%d still open, %d at once", k.open, k.most)
		}
	})
}

// TestRefresh: a scanner without a code for long is closed and opened again
// while nobody is busy; that is no absence unless it stays away.
func TestRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &socket{}
		first := newToy()
		k.plug(first)
		var busy atomic.Bool
		r := devices.Reopen(devices.ReopenConfig{Open: k.opener, Notify: k.notify, Refresh: 2 * time.Hour, Busy: busy.Load})
		pass(time.Hour)
		first.codes <- "one"
		if got, err := r.Scan(t.Context()); err != nil || got.Text.Reveal() != "one" {
			t.Fatal(err)
		}
		busy.Store(true)
		second := newToy()
		k.plug(second)
		pass(3 * time.Hour)
		if len(k.tries) != 1 {
			t.Fatalf("opened %d times while it was busy", len(k.tries))
		}
		busy.Store(false)
		pass(time.Minute)
		<-first.closed
		second.codes <- "two"
		if got, err := r.Scan(t.Context()); err != nil || got.Text.Reveal() != "two" {
			t.Fatal(err)
		}
		if len(k.tries) != 2 || !same(k.states(), []bool{true}) {
			t.Errorf("opened %d times, told %v", len(k.tries), k.states())
		}
		pass(2*time.Hour - time.Second)
		if len(k.tries) != 2 {
			t.Error("refreshed too early")
		}
		// It does not come back: now it is absent.
		k.plug(nil)
		pass(time.Minute)
		if !same(k.states(), []bool{true, false}) {
			t.Errorf("told %v", k.states())
		}
		// An unplug in between is an absence as ever.
		third := newToy()
		k.plug(third)
		pass(time.Minute)
		k.plug(nil)
		close(third.pulled)
		synctest.Wait()
		if !same(k.states(), []bool{true, false, true, false}) || !errors.Is(k.news[3].Err, devices.ErrGone) {
			t.Errorf("told %+v", k.news)
		}
		_ = r.Close()
		if k.open != 0 || k.most != 1 {
			t.Errorf("%d still open, %d at once", k.open, k.most)
		}
	})
}

// TestNoRefresh: without the setting nothing is opened again.
func TestNoRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &socket{}
		k.plug(newToy())
		r := devices.Reopen(devices.ReopenConfig{Open: k.opener, Notify: k.notify})
		pass(1000 * time.Hour)
		_ = r.Close()
		if len(k.tries) != 1 {
			t.Errorf("opened %d times", len(k.tries))
		}
	})
}

// TestReopenUnread: codes that nobody takes do not hide an unplug.
func TestReopenUnread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &socket{}
		s := newToy()
		k.plug(s)
		r := devices.Reopen(devices.ReopenConfig{Open: k.opener, Notify: k.notify})
		for i := range 20 {
			s.codes <- fmt.Sprint(i)
		}
		synctest.Wait()
		k.plug(nil)
		close(s.pulled)
		synctest.Wait()
		if !same(k.states(), []bool{true, false}) {
			t.Fatalf("news %+v", k.news)
		}
		for i := 12; i < 20; i++ {
			if got, err := r.Scan(t.Context()); err != nil || got.Text.Reveal() != fmt.Sprint(i) {
				t.Fatalf("%d: %v", i, err)
			}
		}
		if n := r.Counts().Unread; n != 12 {
			t.Errorf("%d codes count as not asked for", n)
		}
		_ = r.Close()
	})
}

// TestTextHides: no verb and no encoder shows a scanned text.
func TestTextHides(t *testing.T) {
	s := devices.Scan{Text: devices.NewText("134567890123456789")}
	for _, out := range []string{fmt.Sprintf("%v %+v %#v", s, s, s), fmt.Sprintf("%s %q %x %d", s.Text, s.Text, s.Text, s.Text), s.Text.String(), s.Text.GoString(), s.Text.LogValue().String()} {
		if len(out) == 0 || strings.Contains(out, "1345678") || strings.Contains(out, fmt.Sprintf("%x", "1345678")) {
			t.Errorf("the text shows in %s", out)
		}
	}
	if (devices.Text{}).Reveal() != "" || s.Text.Len() != 18 {
		t.Error("lengths")
	}
}
