package service

import (
	"context"
	"errors"
	"testing"

	"golang.org/x/sys/windows/svc"
)

// The manager is answered at once and told of the end: an end that nobody asked
// for is a failure, so that the service is started again.
func TestExecute(t *testing.T) {
	broken := errors.New("broken")
	code := func(err error) int {
		if err != nil {
			return 1
		}
		return 0
	}
	for name, x := range map[string]struct {
		ask  []svc.Cmd
		end  error
		want uint32
	}{
		"stopped":       {[]svc.Cmd{svc.Interrogate, svc.Stop}, nil, 0},
		"shutdown":      {[]svc.Cmd{svc.PreShutdown, svc.Shutdown}, nil, 0},
		"ends by error": {nil, broken, 1},
		"ends silently": {nil, nil, Restart},
	} {
		end := make(chan struct{})
		h := &handler{code: code, do: func(ctx context.Context) error {
			if len(x.ask) > 0 {
				<-ctx.Done()
				<-end
			}
			return x.end
		}}
		requests, tell := make(chan svc.ChangeRequest), make(chan svc.Status, 8)
		done := make(chan uint32)
		go func() {
			_, exit := h.Execute(nil, requests, tell)
			done <- exit
		}()
		if s := <-tell; s.State != svc.Running || s.Accepts&svc.AcceptPreShutdown == 0 {
			t.Errorf("%s: %+v", name, s)
		}
		for _, c := range x.ask {
			requests <- svc.ChangeRequest{Cmd: c, CurrentStatus: svc.Status{State: svc.Running}}
			<-tell
		}
		close(end)
		if got := <-done; got != x.want || !errors.Is(h.err, x.end) {
			t.Errorf("%s: %d, %v", name, got, h.err)
		}
	}
}
