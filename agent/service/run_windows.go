package service

import (
	"context"
	"os"
	"os/signal"

	"golang.org/x/sys/windows/svc"
)

// Run runs do until it ends. Its context ends when the process is asked to
// stop. Under the service manager that is the manager's word alone: Windows
// sends console signals to services too, when whoever sits at the machine logs
// off. code gives the exit code of an error.
func Run(do func(ctx context.Context) error, code func(error) int) error {
	if under, err := svc.IsWindowsService(); err == nil && under {
		h := &handler{do: do, code: code}
		if err := svc.Run(Name, h); err != nil {
			return err
		}
		return h.err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	context.AfterFunc(ctx, stop)
	return do(ctx)
}

// handler answers the service manager.
type handler struct {
	do   func(ctx context.Context) error
	code func(error) int
	err  error
}

// Execute implements svc.Handler. The manager is answered at once, whatever the
// agent does: a service that is late counts as hung.
func (h *handler) Execute(_ []string, requests <-chan svc.ChangeRequest, tell chan<- svc.Status) (specific bool, exit uint32) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- h.do(ctx) }()
	running := svc.Status{State: svc.Running, Accepts: svc.AcceptStop | svc.AcceptShutdown | svc.AcceptPreShutdown}
	tell <- running
	stopping := false
	for {
		select {
		case h.err = <-ended:
			// An end that nobody asked for is a failure whatever it says:
			// otherwise the manager would not start the service again.
			code := h.code(h.err)
			if code == 0 && !stopping {
				code = Restart
			}
			return code != 0, uint32(code)
		case r := <-requests:
			switch r.Cmd {
			case svc.Interrogate:
				tell <- r.CurrentStatus
			case svc.Stop, svc.Shutdown, svc.PreShutdown:
				stopping = true
				tell <- svc.Status{State: svc.StopPending, WaitHint: stopTime}
				stop()
			}
		}
	}
}
