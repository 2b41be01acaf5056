package service

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

type held struct{ n *int }

func (h held) Close() error { *h.n--; return nil }

// The lock is held exactly while something is in hand, once, and not after the
// end.
func TestInhibitor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		var old atomic.Bool
		n, tries, busy, change, refuse := 0, 0, false, make(chan struct{}), error(nil)
		i := Inhibitor{InHand: func() bool { return busy && !old.Load() }, Changed: func() <-chan struct{} { return change }, Again: time.Minute,
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
			Hold: func(context.Context) (io.Closer, error) {
				if tries++; refuse != nil {
					return nil, refuse
				}
				n++
				return held{&n}, nil
			}}
		ctx, stop := context.WithCancel(t.Context())
		go i.Run(ctx)
		if synctest.Wait(); n != 0 || tries != 1 {
			t.Fatal("the lock is tried at the start and given back", n, tries)
		}
		set := func(b bool) {
			synctest.Wait()
			busy = b
			was := change
			change = make(chan struct{})
			close(was)
			synctest.Wait()
		}
		for step, x := range []struct {
			busy bool
			want int
		}{{false, 0}, {true, 1}, {true, 1}, {false, 0}, {true, 1}} {
			if set(x.busy); n != x.want {
				t.Fatal(step, n)
			}
		}
		old.Store(true) // grew old: nothing tells of it
		time.Sleep(time.Minute)
		if synctest.Wait(); n != 0 {
			t.Fatal("held without reason")
		}
		old.Store(false)
		busy = false
		refuse = errors.New("no polkit")
		set(true)
		set(true)
		if n != 0 || tries < 4 || strings.Count(log.String(), "no polkit") != 1 {
			t.Fatal(n, tries, log.String())
		}
		refuse = nil
		if set(true); n != 1 {
			t.Fatal("a lock that can be had again is not taken")
		}
		stop()
		if synctest.Wait(); n != 0 {
			t.Fatal("held after the end")
		}
	})
}
