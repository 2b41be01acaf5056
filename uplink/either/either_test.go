package either_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"payagent/uplink"
	"payagent/uplink/either"
	"payagent/uplink/https"
	"payagent/uplink/uplinktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func join(first, second uplink.Route, again time.Duration) uplink.Route {
	return either.New(either.Config{First: first, Second: second, Again: again})
}

func TestEither(t *testing.T) { uplinktest.TestEither(t, join) }

// direct gives the direct way to a target, or to where nobody is.
func direct(t uplinktest.Target, relay string) (uplink.Route, error) {
	return https.New(https.Config{BaseURL: t.URL, CAPEM: t.CAPEM, AllowPlainHTTP: len(t.CAPEM) == 0, DialTimeout: time.Minute, Relay: relay})
}

// nobody is an address that refuses connections.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// TestSuite: two ways as one keep what every way keeps, whichever of them works.
func TestSuite(t *testing.T) {
	for name, m := range map[string]struct {
		relays [2]string
		plain  bool
	}{
		"both, plain": {plain: true},
		"second only": {relays: [2]string{nobody(t), ""}},
	} {
		t.Run(name, func(t *testing.T) {
			uplinktest.Test(t, uplinktest.Member{Plain: m.plain, MaxBody: either.MaxBody, Open: func(g uplinktest.Target) (uplink.Route, func(), error) {
				var ways [2]uplink.Route
				for i, relay := range m.relays {
					if relay == "" {
						relay = g.Address
					}
					var err error
					if ways[i], err = direct(g, relay); err != nil {
						return nil, nil, err
					}
				}
				return join(ways[0], ways[1], time.Hour), nil, nil
			}})
		})
	}
}

// TestTold: whoever asks is told once of each change, with what led to it.
func TestTold(t *testing.T) {
	for _, c := range uplinktest.EitherCases() {
		if c.Name != "comes-back" {
			continue
		}
		var told []bool
		var why []error
		var both *either.Route
		err := uplinktest.RunEither(t, func(first, second uplink.Route, again time.Duration) uplink.Route {
			both = either.New(either.Config{First: first, Second: second, Again: again, Changed: func(second bool, err error) {
				told, why = append(told, second), append(why, err)
			}})
			if err := both.Spare(context.Background()); err != nil {
				t.Error("the spare way:", err)
			}
			return both
		}, c)
		if err != nil {
			t.Fatal(err)
		}
		if len(told) != 2 || !told[0] || told[1] {
			t.Fatalf("told %v", told)
		}
		var left *uplink.NotSent
		if !errors.As(why[0], &left) || why[1] != nil {
			t.Errorf("because of %v", why)
		}
		if s := both.State(); s.Second || s.Changes != 2 {
			t.Errorf("%+v", s)
		}
	}
}

// TestPatience: which way is in use after answers were lost and ways came back.
func TestPatience(t *testing.T) {
	type ways struct {
		first, second *uplinktest.Scripted
		both          *either.Route
		pay           func() // whatever comes of it
	}
	const again = 15 * time.Second
	lose := func(w ways, n int) {
		for range n {
			w.pay()
			synctest.Wait()
		}
	}
	for name, c := range map[string]struct {
		second bool // at the end
		run    func(w ways)
	}{
		"an answer in between": {false, func(w ways) {
			w.first.Do(uplinktest.Loses)
			lose(w, 2)
			w.first.Do(uplinktest.Answers)
			w.pay()
			w.first.Do(uplinktest.Loses)
			lose(w, 2)
		}},
		"what the other lost does not count": {true, func(w ways) {
			w.first.Do(uplinktest.Loses)
			lose(w, 2)
			w.first.Do(uplinktest.Refuses)
			w.pay()
			w.first.Do(uplinktest.Answers)
			w.second.Do(uplinktest.Loses)
			lose(w, 2)
		}},
		"what swallows answers rests": {true, func(w ways) { w.first.Do(uplinktest.Loses); lose(w, 3); time.Sleep(4 * time.Minute) }},
		"and is tried again":          {false, func(w ways) { w.first.Do(uplinktest.Loses); lose(w, 3); time.Sleep(6 * time.Minute) }},
		"what refuses does not rest as what swallowed did": {false, func(w ways) {
			w.first.Do(uplinktest.Loses)
			lose(w, 3)
			w.second.Do(uplinktest.Refuses)
			w.pay()
			w.second.Do(uplinktest.Answers)
			w.first.Do(uplinktest.Refuses)
			w.pay()
			w.first.Do(uplinktest.Answers)
			time.Sleep(time.Minute)
		}},
		"what was reached once": {true, func(w ways) {
			w.first.Do(uplinktest.Refuses)
			w.pay()
			w.first.Do(uplinktest.Answers)
			time.Sleep(again * 3 / 2)
		}},
		"what was reached now and then": {true, func(w ways) {
			w.first.Do(uplinktest.Refuses)
			w.pay()
			time.Sleep(again / 2)
			for range 5 {
				w.first.Do(uplinktest.Answers)
				time.Sleep(again)
				w.first.Do(uplinktest.Refuses)
				time.Sleep(again)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := ways{first: uplinktest.NewScripted("first"), second: uplinktest.NewScripted("second")}
				w.both = either.New(either.Config{First: w.first, Second: w.second, Again: again})
				defer func() { _ = w.both.Close() }()
				w.pay = func() {
					req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://platform.invalid/", http.NoBody)
					if err != nil {
						t.Fatal(err)
					}
					if resp, err := w.both.RoundTrip(req); err == nil {
						_ = resp.Body.Close()
					}
				}
				c.run(w)
				synctest.Wait()
				if got := w.both.State().Second; got != c.second {
					t.Errorf("the second way in use: %v", got)
				}
			})
		})
	}
}
