// Package callback is what platforms and patients' browsers reach from outside:
// notifications, the page a patient comes back to after paying on a page, and
// the end of an authorisation of the medical insurance (seed 004 §6.1, §6.2,
// §6.4). It has a listener of its own, off by default, behind the site's
// reverse proxy; nothing of the interface for HIS is reachable here.
//
// Everything that arrives here was sent by a stranger until it verified, and
// nothing that arrives by a browser proves anything: the return page tells what
// the order's own facts say, and success only once HIS has booked it, where HIS
// books. An order's page is opened by its number and a token that nobody can
// work out; it shows the amount and no other thing about the patient.
package callback

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"time"

	"payagent/agent"
	"payagent/agent/listen"
	"payagent/agent/words"
	"payagent/platforms"
)

const (
	maxWaiters = 128              // long polls under way
	stateWait  = 25 * time.Second // of one: phones and proxies give up at 30
	askLimit   = 10 * time.Second // for the agent to take a message
	maxQuery   = 12 << 10         // of an address
)

type server struct {
	agent   *agent.Agent
	log     *slog.Logger
	words   words.Catalogue
	waiters chan struct{}
}

// New makes the handler. logger may be nil.
func New(a *agent.Agent, logger *slog.Logger) http.Handler {
	s := &server{agent: a, log: logger, words: words.New(), waiters: make(chan struct{}, maxWaiters)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/notify/{platform}", s.notify)
	mux.HandleFunc("/return/{order}/{token}", s.returned)
	mux.HandleFunc("GET /return/{order}/{token}/state", s.state)
	mux.HandleFunc("GET /authorised/{order}", s.authorised)
	mux.HandleFunc("GET /continue/{order}/{token}", s.goOn)
	return bounded(mux)
}

// Serve opens the addresses of the section callback and serves until the
// context ends. It returns at once where the section opens none. opened is
// called with the addresses; nil for nobody.
func Serve(ctx context.Context, a *agent.Agent, logger *slog.Logger, opened func([]string)) error {
	at := a.Config().Callback.Listener
	if !at.On() {
		return nil
	}
	return listen.Serve(ctx, listen.Options{Key: "callback", At: at, Answer: stateWait + 15*time.Second, Logger: logger, Opened: opened},
		func([]string) http.Handler { return New(a, logger) })
}

// bounded keeps what strangers send small, and answers from being read as
// something else.
func bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Cache-Control", "no-store")
		if len(r.URL.RawQuery) > maxQuery && r.Method != http.MethodPost {
			plain(w, http.StatusRequestURITooLong, "the address is too long")
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, listen.MaxBody)
		next.ServeHTTP(w, r)
	})
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // whoever is gone needs no answer
}

// incoming takes a message as it came: the raw query and the raw form.
func incoming(r *http.Request, now time.Time) (platforms.Incoming, error) {
	in := platforms.Incoming{Query: r.URL.RawQuery, Now: now}
	if r.Method != http.MethodPost {
		return in, nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return in, err
	}
	// Some gateways name another type, or none, for the same form.
	in.Form = strings.TrimSpace(string(body))
	return in, nil
}

func (s *server) now() time.Time { return time.UnixMilli(s.agent.Now().Wall) }

// notify is /notify/{platform}, by GET or POST, in the query or in the body. It
// answers the platform's own word only when whatever the message proves is on
// disk; anything else makes the platform send it again.
func (s *server) notify(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		plain(w, http.StatusMethodNotAllowed, "GET or POST")
		return
	}
	in, err := incoming(r, s.now())
	if err != nil {
		plain(w, http.StatusRequestEntityTooLarge, "the message cannot be read or is too long")
		return
	}
	ctx, stop := context.WithTimeout(r.Context(), askLimit)
	defer stop()
	platform := r.PathValue("platform")
	reply, err := s.agent.Notify(ctx, platform, in)
	switch {
	case errors.Is(err, agent.ErrNoNotifier):
		plain(w, http.StatusNotFound, "no such platform")
	case errors.Is(err, agent.ErrForged):
		s.log.Warn("a message that could not be verified was dropped", "platform", platform, "address", r.RemoteAddr, "error", err)
		plain(w, http.StatusBadRequest, "the message could not be verified")
	case err != nil:
		s.log.Warn("a message could not be taken; the platform will repeat it", "platform", platform, "error", err)
		plain(w, http.StatusServiceUnavailable, "try again")
	default:
		plain(w, http.StatusOK, reply)
	}
}

var orderNumber = regexp.MustCompile(`^[0-9A-Za-z]{1,32}$`)
