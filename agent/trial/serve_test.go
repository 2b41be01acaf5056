package trial_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent/trial"
	"payagent/agent/trial/trialtest"
)

// TestRequestsWait: an order that is opened while what was asked for is being
// checked is not disturbed; the end of the process waits for it, and says so.
func TestRequestsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		l, ended, said := &trialtest.Lock{}, make(chan struct{}), make(chan string, 10)
		s := trial.Service{Lock: l, Restart: func(string) { close(ended) }, Log: func(text string, err error) { said <- text }}
		began := make(chan struct{})
		do := func(trial.Request) error {
			l.Set(true) // a patient was faster
			close(began)
			return nil
		}
		go s.Requests(t.Context(), trial.OS{}, dir, do)
		if err := trial.Ask(trial.OS{}, dir, trial.Request{Back: true}); err != nil {
			t.Fatal(err)
		}
		<-began
		<-time.After(time.Hour)
		synctest.Wait()
		select {
		case <-ended:
			t.Fatal("ended in the middle of an order")
		default:
		}
		if len(said) != 1 {
			t.Errorf("%d lines of the log say that it waits, and why", len(said))
		}
		l.Set(false)
		<-ended
	})
}

// TestRequestsNewest: what is asked for while an earlier request waits for the
// tills takes its place, and is not thrown away with it.
func TestRequestsNewest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		l, ended := &trialtest.Lock{}, make(chan struct{})
		l.Set(true)
		s := trial.Service{Lock: l, Restart: func(string) { close(ended) }, Log: func(string, error) {}}
		var got []trial.Request
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go s.Requests(ctx, trial.OS{}, dir, func(r trial.Request) error { got = append(got, r); return nil })
		for _, r := range []trial.Request{{Version: "1.1.0"}, {Back: true}} {
			if err := trial.Ask(trial.OS{}, dir, r); err != nil {
				t.Fatal(err)
			}
			<-time.After(time.Minute)
		}
		l.Set(false)
		<-ended
		if !slices.Equal(got, []trial.Request{{Back: true}}) {
			t.Errorf("done was %+v", got)
		}
	})
}
