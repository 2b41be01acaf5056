package door

import (
	"context"
	"net/http"

	"payagent/agent"
	"payagent/agent/config"
	"payagent/agent/listen"
)

// Serve opens the addresses of door.listen, and no others, and serves until
// the context ends. An address that is not loopback is opened with TLS, or
// without it only where accept_plain_http says so, with a warning at every
// start. Errors say which address could not be opened and what to do; then
// nothing is open.
func Serve(ctx context.Context, a *agent.Agent, opts Options) error {
	for _, x := range a.Config().Warnings() {
		if opts.Logger != nil {
			opts.Logger.Warn("standing warning", "code", x.Code, "text", x.EN)
		}
	}
	return serve(ctx, a.Config().Door, opts, func(o Options) http.Handler { return New(a, o) })
}

// serve opens the addresses and serves what handler makes for them.
func serve(ctx context.Context, c config.Door, opts Options, handler func(Options) http.Handler) error {
	return listen.Serve(ctx, listen.Options{Key: "door", At: c.Listener(), Logger: opts.Logger, Opened: opts.Opened},
		func(addresses []string) http.Handler {
			opts.Addresses = addresses
			return handler(opts)
		})
}
