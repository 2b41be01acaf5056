package door

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"payagent/agent/config"
	"payagent/agent/counter"
	"payagent/agent/words"
	"payagent/queue"
)

// Refuse opens the same addresses as Serve would and answers every request
// with 503 store_stopped until the context ends: for a process whose store
// cannot be opened, where starting again would end the same way (decision 15).
// /healthz stays well, so that the service manager leaves it alone; /readyz
// says why. Nothing is known of any bill, so cash is never called safe. The
// answers need no token: they hold nothing but what kind of trouble it is.
func Refuse(ctx context.Context, c config.Config, why error) error {
	return serve(ctx, c.Door, Options{}, func(o Options) http.Handler { return refusing(c, o, why) })
}

func refusing(c config.Config, opts Options, why error) http.Handler {
	d := &door{opts: opts, log: slog.New(slog.DiscardHandler), words: words.New(), guard: newGuard(opts.Addresses, c.Door.Hosts, c.Door.Origins)}
	f := fault{code: counter.CodeStopped, reason: "the store cannot be opened; see the log"}
	for _, kind := range []error{queue.ErrNewer, queue.ErrDamaged} {
		if errors.Is(why, kind) {
			f.reason = kind.Error()
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, r *http.Request) { d.healthz(w, r, caller{}) })
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		e, _ := d.words.Find(words.Problem, f.code)
		w.Header().Set("Retry-After", "60")
		answer(w, http.StatusServiceUnavailable, readyView{Warnings: []warningView{},
			Reasons: []reasonView{{Code: f.code, Say: words.Text{ZH: e.IT.ZH + "（" + f.reason + "）", EN: f.reason}, Next: e.Next}}})
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		d.problem(w, caller{trace: r.Header.Get(traceHeader)}, f)
	})
	return d.outer(mux)
}
