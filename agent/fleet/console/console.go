// Package console is the web page on which IT sees and manages a fleet: all
// boxes with the age of every value, alarms first; one box with its timeline;
// roll-outs. It looks through agent/fleet/watch and sends only where it was
// given a key.
//
// The page is opened as …/#t=TOKEN. The part after # never reaches a server;
// the page keeps the token in sessionStorage and sends it as a bearer token.
// There are no cookies, and nothing is loaded from elsewhere (decision 23).
package console

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"time"

	"payagent/agent/fleet/send"
	"payagent/agent/fleet/watch"
	"payagent/agent/signed"
	"payagent/uplink"
)

//go:embed static
var static embed.FS

// Options are what a console is made of.
type Options struct {
	Watch *watch.Watch
	Bus   uplink.Bus
	Root  string
	Token string // at least 20 characters
	// Keys sign commands; none: the console only looks.
	Keys []signed.Private
	// Roles of those keys: verbs of other rôles are not offered.
	Roles  []string
	Logger *slog.Logger
	Now    func() time.Time // nil: time.Now
	// Pace is the least time between two pictures of the fleet; zero: 1 s.
	Pace time.Duration
}

// Console answers the page and its requests.
type Console struct {
	Options
	mux     *http.ServeMux
	counter send.Counter
	streams chan struct{} // room for streams
	token   [sha256.Size]byte
}

// maxStreams bounds the event streams that are open at once.
const maxStreams = 64

// policy lets the page load its own script and style and call its own server,
// and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// New makes a console.
func New(o Options) (*Console, error) {
	if len(o.Token) < 20 {
		return nil, errors.New("cannot open the console with a token of less than 20 characters: whoever guesses it commands the fleet")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Pace == 0 {
		o.Pace = time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Console{Options: o, mux: http.NewServeMux(), streams: make(chan struct{}, maxStreams), token: sha256.Sum256([]byte(o.Token))}
	c.mux.HandleFunc("GET /{$}", serve)
	c.mux.HandleFunc("GET /static/{file}", serve)
	for pattern, do := range map[string]http.HandlerFunc{
		"GET /v1/about": c.about, "GET /v1/boxes": c.boxes, "GET /v1/box": c.box,
		"POST /v1/commands": c.command, "POST /v1/rollouts": c.rollout,
	} {
		c.mux.Handle(pattern, c.guarded(do))
	}
	return c, nil
}

// ServeHTTP implements http.Handler.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()")
	c.mux.ServeHTTP(w, r)
}

// guarded asks for the token.
func (c *Console) guarded(do http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		sum := sha256.Sum256([]byte(given))
		if !ok || subtle.ConstantTimeCompare(sum[:], c.token[:]) != 1 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			refuse(w, http.StatusUnauthorized, "token", "open the console by the address that payfleet console prints")
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
		do(w, r)
	})
}

func serve(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	if name == "" {
		name = "console.html"
	}
	data, err := fs.ReadFile(static, "static/"+path.Base(name))
	kinds := map[string]string{".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}
	mime := kinds[path.Ext(name)]
	if err != nil || mime == "" {
		http.Error(w, "there is no such page", http.StatusNotFound)
		return
	}
	sum := sha256.Sum256(data)
	h := w.Header()
	h.Set("Content-Type", mime)
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", `"`+hex.EncodeToString(sum[:12])+`"`)
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(data))
}

// refuse answers with a problem (RFC 9457).
func refuse(w http.ResponseWriter, status int, code, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"status": status, "code": code, "detail": detail}) // the caller has gone
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the caller has gone
}

// stream sends what look gives whenever it changes: at most once in Pace and
// ten times as long as look takes, at least every refresh. look's channel is
// closed at the next change.
func (c *Console) stream(w http.ResponseWriter, r *http.Request, look func() (any, <-chan struct{})) {
	select {
	case c.streams <- struct{}{}:
		defer func() { <-c.streams }()
	default:
		refuse(w, http.StatusServiceUnavailable, "too_many", "too many pages are open; close some")
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	for {
		begin := time.Now()
		v, changed := look()
		data, err := json.Marshal(v)
		if err != nil {
			c.Logger.Error("cannot write the picture of the fleet", "error", err)
			return
		}
		_ = control.SetWriteDeadline(time.Now().Add(30 * time.Second)) // not every server has one
		if _, err := w.Write(bytes.Join([][]byte{[]byte("data: "), data, []byte("\n\n")}, nil)); err != nil {
			return
		}
		if err := control.Flush(); err != nil {
			return
		}
		rest := max(c.Pace, 10*time.Since(begin))
		if !sleep(r.Context(), rest, nil) || !sleep(r.Context(), refresh, changed) {
			return
		}
	}
}

// refresh is after how long a picture is sent although nothing came: what
// nobody speaks of grows old.
const refresh = 5 * time.Second

// sleep waits for d, or until woken; false when ctx has ended.
func sleep(ctx context.Context, d time.Duration, woken <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
	case <-woken:
	}
	return true
}
