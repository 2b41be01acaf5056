package trial

import (
	"context"
	"fmt"
	"time"
)

// Service is what the serving process gives to those who exchange something.
type Service struct {
	Lock    Lock
	Look    func() Health    // what works now
	Prove   time.Duration    // how long a trial must prove itself
	Restart func(why string) // ends the process; it is started again
	Log     func(text string, err error)
}

// backGrace bounds how long something that failed waits for open orders before
// it makes place: with its end and the other's start it stays under the 30 s.
const backGrace = 15 * time.Second

// Carry proves a trial and ends it by judge. goOn is false when the process is
// to end.
func (s Service) Carry(ctx context.Context, what string, t *Trial, judge func(reason string, missing []string) (restart bool, err error)) (goOn bool) {
	missing, err := Prove(ctx, s.Prove, t.Before, s.Look)
	if err != nil {
		return false // stopped: the next start begins the proof anew
	}
	restart, err := judge("", missing)
	switch {
	case err != nil:
		// Not decided: going on would leave it undecided, and the next start
		// counts.
		s.Log(fmt.Sprintf("the verdict on the new %s could not be written", what), err)
	case restart:
		s.Log(fmt.Sprintf("the new %s %s did not prove itself (%v); the one before it is started", what, t.Version, missing), nil)
	default:
		s.Log(fmt.Sprintf("the new %s %s has proven itself", what, t.Version), nil)
		return true
	}
	// In front of an open order there are a few seconds to end it.
	wait, stop := context.WithTimeout(ctx, backGrace)
	defer stop()
	_ = Await(wait, s.Lock, nil) // it goes on in any case
	s.Restart("rollback")
	return false
}

// Requests does what commands beside the service ask for in dir, until ctx
// ends or the process is to end.
func (s Service) Requests(ctx context.Context, d Disk, dir string, do func(Request) error) {
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		if s.request(ctx, d, dir, do) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// request is true when nothing more is to be done.
func (s Service) request(ctx context.Context, d Disk, dir string, do func(Request) error) bool {
	if _, ok := s.asked(d, dir); !ok {
		return false
	}
	if Await(ctx, s.Lock, nil) != nil {
		return true // it is asked for still
	}
	r, ok := s.asked(d, dir) // another may have taken its place meanwhile
	if !ok {
		return false
	}
	err := do(r)
	if now, ok := s.asked(d, dir); ok && now == r {
		if aerr := Answered(d, dir); aerr != nil {
			s.Log("a request could not be removed", aerr)
		}
	}
	if err != nil {
		s.Log("what was asked for was not begun", err)
		return false
	}
	// Checking takes its time, and a patient may have been faster. What was begun
	// is durable and waits for the end with us.
	told := false
	wait := func(why string) {
		if !told {
			s.Log("what was asked for is prepared and waits for the tills: "+why, nil)
		}
		told = true
	}
	if Await(ctx, s.Lock, wait) == nil {
		s.Restart("asked for on this box")
	}
	return true
}

func (s Service) asked(d Disk, dir string) (Request, bool) {
	r, ok, err := Asked(d, dir)
	if err != nil {
		s.Log("a request could not be read", err)
	}
	return r, ok
}
