package uplinktest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"payagent/uplink"
)

// EitherOpener joins two ways to one platform. again is the pause between looks
// at the first while the second is in use.
type EitherOpener func(first, second uplink.Route, again time.Duration) uplink.Route

// EitherCase is one rule of what joins two ways. It runs in a bubble of
// testing/synctest.
type EitherCase struct {
	Name string
	Rule string
	Run  func(*EitherWorld) error
}

// EitherWorld is two ways whose faults are at hand, and what joins them.
type EitherWorld struct {
	First, Second *Scripted
	Both          uplink.Route
	Again         time.Duration
}

// What a scripted way does with requests.
const (
	Answers = "answers"
	Refuses = "refuses" // nothing is sent, and it says so
	Loses   = "loses"   // the request arrives, its answer is lost
	Stalls  = "stalls"  // nothing is sent, and it says so only when its context ends
	Hangs   = "hangs"   // the request arrives, and nothing comes until its context ends
)

// Scripted is a way that does as it is told.
type Scripted struct {
	name string

	mu     sync.Mutex
	does   string
	seen   []string // bodies of the requests that arrived
	tried  int      // requests, arrived or not
	closed bool
}

// NewScripted gives a way that answers; its name is in what it says.
func NewScripted(name string) *Scripted { return &Scripted{name: name, does: Answers} }

// Do says what happens to requests from now on.
func (s *Scripted) Do(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.does = what
}

func (s *Scripted) state() (seen []string, tried int, closed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen), s.tried, s.closed
}

func (s *Scripted) arrived() int {
	seen, _, _ := s.state()
	return len(seen)
}

// RoundTrip implements http.RoundTripper.
func (s *Scripted) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		defer func() { _ = req.Body.Close() }()
		var err error
		if body, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	does, closed := s.does, s.closed
	s.tried++
	if does == Answers || does == Loses || does == Hangs {
		s.seen = append(s.seen, string(body))
	}
	s.mu.Unlock()
	switch {
	case closed:
		return nil, &uplink.NotSent{Err: errors.New("closed")}
	case req.Context().Err() != nil, does == Refuses:
		return nil, &uplink.NotSent{Err: errors.New(s.name + " refuses")}
	case does == Stalls:
		<-req.Context().Done()
		return nil, &uplink.NotSent{Err: req.Context().Err()}
	case does == Hangs:
		<-req.Context().Done()
		return nil, req.Context().Err()
	case does == Loses:
		return nil, errors.New(s.name + " lost the answer")
	}
	text := s.name + " says " + string(body)
	return &http.Response{Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{},
		Body: io.NopCloser(strings.NewReader(text)), ContentLength: int64(len(text)), Request: req}, nil
}

// Reach implements uplink.Route: a way that loses answers can be reached.
func (s *Scripted) Reach(ctx context.Context) error {
	s.mu.Lock()
	does, closed := s.does, s.closed
	s.mu.Unlock()
	if does == Stalls {
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Second):
		}
	}
	if closed || does == Refuses || does == Stalls || ctx.Err() != nil {
		return &uplink.NotSent{Err: errors.New(s.name + " refuses")}
	}
	return nil
}

// Close implements uplink.Route.
func (s *Scripted) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

// pay sends one request and gives which way answered, empty with the error.
func (w *EitherWorld) pay(ctx context.Context, body string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute) // of the bubble: only against hanging
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+Name+"/pay", io.NopCloser(strings.NewReader(body)))
	if err != nil {
		return "", err
	}
	// What net/http would take for a leave to send again.
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }
	req.Header.Set("Idempotency-Key", "k1")
	resp, err := w.Both.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	name, _, _ := bytes.Cut(text, []byte(" "))
	return string(name), err
}

// by wants a request to be answered by a way.
func (w *EitherWorld) by(name string) error {
	got, err := w.pay(context.Background(), "pay")
	if err != nil {
		return err
	}
	if got != name {
		return fmt.Errorf("the %s way carried it, not the %s", got, name)
	}
	return nil
}

// arrivals wants so many requests to have arrived by each way.
func (w *EitherWorld) arrivals(first, second int) error {
	if a, b := w.First.arrived(), w.Second.arrived(); a != first || b != second {
		return fmt.Errorf("%d arrived by the first way and %d by the second, not %d and %d", a, b, first, second)
	}
	return nil
}

// lost wants an error that leaves the outcome open.
func lostOnly(err error) error {
	switch {
	case err == nil:
		return errors.New("it succeeded")
	case notSent(err):
		return fmt.Errorf("the error says that nothing was sent: %w", err)
	}
	return nil
}

// EitherCases gives the rules of what joins two ways, beside those of every way.
func EitherCases() []EitherCase {
	return []EitherCase{
		{"first", "while the first way works nothing goes the second", func(w *EitherWorld) error {
			return errors.Join(w.by("first"), w.by("first"), w.arrivals(2, 0))
		}},
		{"goes-over", "what certainly was not sent goes the other way at once, whole and once", func(w *EitherWorld) error {
			w.First.Do(Refuses)
			if err := errors.Join(w.by("second"), w.arrivals(0, 1)); err != nil {
				return err
			}
			if seen, _, _ := w.Second.state(); seen[0] != "pay" {
				return fmt.Errorf("it arrived as %q", seen[0])
			}
			return nil
		}},
		{"lost-stays", "a request whose reply was lost on the first way is not repeated on the second: its outcome is unknown", func(w *EitherWorld) error {
			w.First.Do(Loses)
			_, err := w.pay(context.Background(), "pay")
			return errors.Join(lostOnly(err), w.arrivals(1, 0))
		}},
		{"lost-stays-second", "nor is one whose reply was lost on the second way repeated on the first", func(w *EitherWorld) error {
			w.First.Do(Refuses)
			if err := w.by("second"); err != nil {
				return err
			}
			w.First.Do(Answers)
			w.Second.Do(Loses)
			_, err := w.pay(context.Background(), "pay")
			return errors.Join(lostOnly(err), w.arrivals(0, 2))
		}},
		{"under-way", "what is under way is not sent again, neither by the way that others take meanwhile nor by its own", func(w *EitherWorld) error {
			w.First.Do(Hangs)
			ctx, end := context.WithCancel(context.Background())
			defer end()
			slow := make(chan error, 1)
			go func() {
				_, err := w.pay(ctx, "pay")
				slow <- err
			}()
			synctest.Wait()
			w.First.Do(Refuses)
			if err := w.by("second"); err != nil {
				return err
			}
			w.First.Do(Answers)
			time.Sleep(10 * w.Again)
			if err := w.by("first"); err != nil {
				return err
			}
			end()
			return errors.Join(lostOnly(<-slow), w.arrivals(2, 1))
		}},
		{"over-and-lost", "what went the other way and lost its reply there is unknown, whatever the first way proves", func(w *EitherWorld) error {
			w.First.Do(Refuses)
			w.Second.Do(Loses)
			_, err := w.pay(context.Background(), "pay")
			return errors.Join(lostOnly(err), w.arrivals(0, 1))
		}},
		{"neither", "what neither way sent says so", func(w *EitherWorld) error {
			w.First.Do(Refuses)
			w.Second.Do(Refuses)
			_, err := w.pay(context.Background(), "pay")
			if err == nil || !notSent(err) {
				return fmt.Errorf("not told as not sent: %v", err)
			}
			return w.arrivals(0, 0)
		}},
		{"ended", "a request whose time is over goes no other way", func(w *EitherWorld) error {
			w.First.Do(Stalls)
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			_, err := w.pay(ctx, "pay")
			if err == nil || !notSent(err) {
				return fmt.Errorf("not told as not sent: %v", err)
			}
			if _, tried, _ := w.Second.state(); tried != 0 {
				return errors.New("the second way was tried")
			}
			return nil
		}},
		{"next", "the next request does not wait for a way that sends nothing", func(w *EitherWorld) error {
			w.First.Do(Refuses)
			if err := errors.Join(w.by("second"), w.by("second")); err != nil {
				return err
			}
			if _, tried, _ := w.First.state(); tried != 1 {
				return fmt.Errorf("the first way was tried %d times", tried)
			}
			return nil
		}},
		{"next-after-ended", "the next request takes the other way too where the time of the one before it was over", func(w *EitherWorld) error {
			w.First.Do(Stalls)
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			_, _ = w.pay(ctx, "pay")
			time.Sleep(time.Minute)
			return w.by("second")
		}},
		{"comes-back", "the first way is taken again once it can be reached, and not before", func(w *EitherWorld) error {
			w.First.Do(Refuses)
			if err := w.by("second"); err != nil {
				return err
			}
			time.Sleep(10 * w.Again)
			if err := w.by("second"); err != nil {
				return fmt.Errorf("while the first was away: %w", err)
			}
			if _, tried, _ := w.First.state(); tried != 1 {
				return fmt.Errorf("the first way was tried %d times", tried)
			}
			w.First.Do(Answers)
			time.Sleep(10 * w.Again)
			return w.by("first")
		}},
		{"second-fails", "where the second way fails the first is taken at once", func(w *EitherWorld) error {
			w.First.Do(Refuses)
			if err := w.by("second"); err != nil {
				return err
			}
			w.First.Do(Answers)
			w.Second.Do(Refuses)
			return errors.Join(w.by("first"), w.by("first"), w.arrivals(2, 1))
		}},
		{"swallows", "a way that can be reached and brings no answers is left by new requests", func(w *EitherWorld) error {
			w.First.Do(Loses)
			for range 3 {
				_, err := w.pay(context.Background(), "pay")
				if err := lostOnly(err); err != nil {
					return err
				}
				synctest.Wait()
			}
			return errors.Join(w.by("second"), w.arrivals(3, 1))
		}},
		{"swallows-both", "what swallows answers is not left for a way that cannot be reached", func(w *EitherWorld) error {
			w.First.Do(Loses)
			w.Second.Do(Refuses)
			for range 5 {
				_, _ = w.pay(context.Background(), "pay")
				synctest.Wait()
			}
			w.First.Do(Answers)
			if _, tried, _ := w.Second.state(); tried != 0 {
				return errors.New("the second way was tried")
			}
			return w.by("first")
		}},
		{"question", "a question that got no answer by one way is asked by the other", func(w *EitherWorld) error {
			w.First.Do(Loses)
			got, err := w.pay(uplink.Asking(context.Background()), "query")
			if err != nil || got != "second" {
				return fmt.Errorf("%q answered: %w", got, errors.Join(err, errors.New("the second way should have")))
			}
			return w.arrivals(1, 1)
		}},
		{"question-lost", "a question that got no answer by either way may have arrived", func(w *EitherWorld) error {
			w.First.Do(Loses)
			w.Second.Do(Refuses)
			_, err := w.pay(uplink.Asking(context.Background()), "query")
			return lostOnly(err)
		}},
		{"reach", "one way that can be reached is enough", func(w *EitherWorld) error {
			for _, c := range []struct{ first, second string }{{Answers, Refuses}, {Refuses, Answers}} {
				w.First.Do(c.first)
				w.Second.Do(c.second)
				if err := w.Both.Reach(context.Background()); err != nil {
					return err
				}
			}
			w.Second.Do(Refuses)
			if w.Both.Reach(context.Background()) == nil {
				return errors.New("reached by ways that cannot be")
			}
			return w.arrivals(0, 0)
		}},
		{"close-both", "closing closes both ways", func(w *EitherWorld) error {
			w.First.Do(Refuses)
			if err := errors.Join(w.by("second"), w.Both.Close()); err != nil {
				return err
			}
			_, _, a := w.First.state()
			_, _, b := w.Second.state()
			if !a || !b {
				return fmt.Errorf("closed: first %v, second %v", a, b)
			}
			return nil
		}},
	}
}

// TestEither runs the rules of what joins two ways.
func TestEither(t *testing.T, open EitherOpener) {
	for _, c := range EitherCases() {
		t.Run(c.Name, func(t *testing.T) {
			if err := RunEither(t, open, c); err != nil {
				t.Error(err)
			}
		})
	}
}

// RunEither runs one of them; nil means that the rule was kept.
func RunEither(t *testing.T, open EitherOpener, c EitherCase) (err error) {
	synctest.Test(t, func(*testing.T) {
		w := &EitherWorld{First: NewScripted("first"), Second: NewScripted("second"), Again: 15 * time.Second}
		w.Both = open(w.First, w.Second, w.Again)
		err = c.Run(w)
		_ = w.Both.Close()
		synctest.Wait()
	})
	if err != nil {
		return fmt.Errorf("%s: %w (rule: %s)", c.Name, err, c.Rule)
	}
	return nil
}
