package facade

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"payagent/agent"
	"payagent/agent/config"
	"payagent/agent/listen"
	"payagent/agent/seal"
	"payagent/platforms"
)

// slack is what a listener gives an answer beyond the façade's own wait.
const slack = 30 * time.Second

// Handlers are the façades by protocol; one that is not configured is nil.
type Handlers struct {
	SmartPay http.Handler // at /SECRET/…, which it looks at itself
	FWC      http.Handler // at /fwc/…
}

// Handler puts the façades behind one set of addresses.
func Handler(h Handlers) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch first, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/"); {
		case first == "fwc" && h.FWC != nil:
			h.FWC.ServeHTTP(w, r)
		case first != "fwc" && h.SmartPay != nil:
			h.SmartPay.ServeHTTP(w, r)
		default:
			http.Error(w, "not found", http.StatusNotFound)
		}
	})
}

// Serve opens the addresses of the section and answers there until the context
// ends.
func Serve(ctx context.Context, a *agent.Agent, h Handlers, log *slog.Logger) error {
	c := a.Config().Facade
	return listen.Serve(ctx, listen.Options{Key: "facade", At: c.Listener, Programs: true, Answer: c.Wait + slack, Logger: log},
		func([]string) http.Handler { return Counted(a, "facade", Handler(h)) })
}

// booksAnswer is how long an answer to reconciliation may take; a long list
// moves its own deadline.
const booksAnswer = 2 * time.Minute

// ServeBooks opens the addresses of the section books and answers there what
// reconciliation asks, until the context ends.
func ServeBooks(ctx context.Context, a *agent.Agent, h http.Handler, log *slog.Logger) error {
	return listen.Serve(ctx, listen.Options{Key: "books", At: a.Config().Books.Listener, Programs: true, Answer: booksAnswer, Logger: log},
		func([]string) http.Handler { return Counted(a, "books", h) })
}

// visit is what became of the secrets that one request presented.
type visit struct{ right, wrong bool }

type visiting struct{}

// Counted counts requests with a wrong secret by their address, as the door does
// with tokens, and tells people of it: section says which listener they met. A
// right one is let in at once, whoever else is at its address.
func Counted(a *agent.Agent, section string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var v visit
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), visiting{}, &v)))
		if v.wrong && !v.right && a.WrongToken(r.Context(), section+" "+listen.Address(r), "") > 0 {
			a.DoorRefused("token")
		}
	})
}

// Secret gives the check of a presented secret against the one that stands in a
// file, which is read anew each time, so that a renewed one counts at once. A
// file that cannot be read, or holds less than least characters, lets nobody
// in, and is logged. The comparison takes equally long for every guess.
func Secret(path string, least int, log *slog.Logger) func(context.Context, platforms.Hidden) bool {
	return func(ctx context.Context, presented platforms.Hidden) bool {
		want, _, err := seal.ReadSecret(path)
		if err != nil || len(want.Reveal()) < least {
			log.Error("a secret cannot be used; nobody is let in", "file", path, "least", least, "error", err)
			return false
		}
		a, b := sha256.Sum256([]byte(want.Reveal())), sha256.Sum256([]byte(presented.Reveal()))
		ok := subtle.ConstantTimeCompare(a[:], b[:]) == 1
		// What is too short for a secret is no guess, but an address that
		// somebody mistyped, or nothing at all.
		if v, _ := ctx.Value(visiting{}).(*visit); v != nil {
			v.right, v.wrong = v.right || ok, v.wrong || !ok && len(presented.Reveal()) >= least
		}
		return ok
	}
}

// ServiceIDs gives the order type of each ServiceId: order_types the other way
// round. Where several order types share a ServiceId, the one that is an order
// type of the wires itself wins over names of our own, and the first by name
// over the rest.
func ServiceIDs(c config.Config) map[string]string {
	out := map[string]string{}
	for name, t := range c.OrderTypes {
		have, taken := out[t.ServiceID]
		own, other := name != t.OrderType, have != c.OrderTypes[have].OrderType
		if t.ServiceID != "" && (!taken || other && !own || own == other && name < have) {
			out[t.ServiceID] = name
		}
	}
	return out
}
