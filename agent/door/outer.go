package door

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"mime"
	"net/http"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"payagent/agent/access"
	"payagent/platforms"
)

// caller is who asks, and the number under which the log knows the request.
type caller struct {
	token access.Token
	trace string
	wait  time.Duration // with payments and refunds: its address is locked out
}

// collects tells whether the caller may make and see orders of a till.
func (c caller) collects(till string) bool { return c.token.Allows(access.Collect, till) }

// refunds tells whether the caller may give back money of a till's orders.
func (c caller) refunds(till string) bool { return c.token.Allows(access.Refund, till) }

// resolves tells whether the caller may say how something in doubt ended.
func (c caller) resolves(till string) bool { return c.token.Allows(access.Resolve, till) }

// sees tells whether the caller may see an order of a till.
func (c caller) sees(till string) bool {
	return c.collects(till) || c.refunds(till) || c.resolves(till) || c.token.Allows(access.Admin, "")
}

// routes builds the router. Every path answers a wrong method with 405 and its
// list of methods, and an unknown path with 404, as problem+json.
func (d *door) routes() http.Handler {
	mux := http.NewServeMux()
	methods := map[string][]string{}
	var paths []string
	for _, r := range d.table() {
		if methods[r.path] == nil {
			paths = append(paths, r.path)
		}
		methods[r.path] = append(methods[r.path], r.method)
		mux.Handle(r.method+" "+r.path, d.enter(r))
	}
	for _, path := range paths {
		allowed := methods[path]
		mux.Handle(path, d.enter(route{path: path, may: func(access.Token) bool { return true },
			do: func(w http.ResponseWriter, r *http.Request, c caller) {
				w.Header().Set("Allow", strings.Join(allowed, ", "))
				d.problem(w, c, fault{code: "method_not_allowed"})
			}}))
	}
	mux.Handle("/", d.enter(route{path: "/", may: func(access.Token) bool { return true },
		do: func(w http.ResponseWriter, _ *http.Request, c caller) { d.problem(w, c, fault{code: "not_found"}) }}))
	return mux
}

// isAPI tells the interface from the pages.
func isAPI(path string) bool {
	return path == "/healthz" || path == "/readyz" || path == "/metrics" || path == "/v1" || strings.HasPrefix(path, "/v1/")
}

// outer is what every request passes first: where it comes from, before what
// it wants.
func (d *door) outer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := caller{trace: traceOf(r)}
		api := d.opts.Pages == nil || isAPI(r.URL.Path)
		harden(w.Header(), api)
		w.Header().Set("X-Trace-Id", c.trace)
		defer d.rescue(w, c)
		if !d.guard.host(r) {
			d.problem(w, c, fault{code: "host_refused"})
			return
		}
		foreign, ok := d.guard.origin(r)
		if !ok {
			d.problem(w, c, fault{code: "origin_refused"})
			return
		}
		if !api {
			d.pages(w, r, c)
			return
		}
		if cors(w.Header(), foreign); r.Method == http.MethodOptions && foreign != "" {
			preflight(w, []string{"GET", "POST"})
			return
		}
		if !d.guard.belt(r, foreign) {
			d.problem(w, c, fault{code: "origin_refused"})
			return
		}
		// The router answers odd paths (//, /../) with a redirect of its own;
		// nobody who means well sends them.
		if r.Method == http.MethodConnect || strings.Contains(r.URL.Path, "//") || strings.Contains(r.URL.Path, "/.") {
			d.problem(w, c, fault{code: "not_found"})
			return
		}
		r.Header.Set(traceHeader, c.trace)
		next.ServeHTTP(w, r)
	})
}

// traceHeader carries the trace number to the handlers; a caller's own value
// was replaced.
const traceHeader = "X-Trace-Id"

func (d *door) pages(w http.ResponseWriter, r *http.Request, c caller) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		d.problem(w, c, fault{code: "method_not_allowed"})
		return
	}
	d.opts.Pages.ServeHTTP(w, r)
}

// enter checks the token, its scope, and the form of the request.
func (d *door) enter(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := caller{trace: r.Header.Get(traceHeader)}
		rec := &recorder{ResponseWriter: w}
		start := time.Now()
		defer func() {
			// The pattern, not the path: paths may name orders, queries bills.
			d.log.Debug("request", "method", r.Method, "route", rt.path, "status", rec.status,
				"took", time.Since(start), "token", c.token.Name, "trace", c.trace)
		}()
		// A HEAD would be taken for a GET by the router.
		if r.Method == http.MethodHead {
			rec.Header().Set("Allow", rt.method)
			d.problem(rec, c, fault{code: "method_not_allowed"})
			return
		}
		if rt.may != nil {
			if !d.admit(rec, r, &c) {
				return
			}
			if !rt.may(c.token) {
				d.problem(rec, c, fault{code: "forbidden"})
				return
			}
		}
		if rt.method == http.MethodPost {
			// A form or text/plain could be sent by any page without asking;
			// application/json cannot.
			if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
				d.problem(rec, c, fault{code: "unsupported_media_type"})
				return
			}
			r.Body = http.MaxBytesReader(rec, r.Body, bodyLimit(rt.path))
		}
		if rt.keep {
			rc := http.NewResponseController(rec)
			// Only tests have a writer without deadlines.
			_ = rc.SetReadDeadline(time.Time{})
			_ = rc.SetWriteDeadline(time.Time{})
		}
		rt.do(rec, r, c)
	})
}

// bearer finds the caller's token.
func (d *door) bearer(r *http.Request) (access.Token, bool) {
	list := r.Header.Values("Authorization")
	if len(list) != 1 || d.opts.Tokens == nil {
		return access.Token{}, false
	}
	kind, text, ok := strings.Cut(list[0], " ")
	if !ok || !strings.EqualFold(kind, "Bearer") {
		return access.Token{}, false
	}
	return d.opts.Tokens.Check(platforms.Hide(strings.TrimSpace(text)))
}

// rescue turns a panic into an answer. The value is not logged: it may hold
// anything, and the stack says where.
func (d *door) rescue(w http.ResponseWriter, c caller) {
	v := recover()
	if v == nil {
		return
	}
	if v == http.ErrAbortHandler { //nolint:errorlint // net/http compares so, too
		panic(v)
	}
	d.log.Error("a request failed inside", "kind", fmt.Sprintf("%T", v), "trace", c.trace, "stack", string(debug.Stack()))
	d.problem(w, c, fault{code: "internal"})
}

var traceparent = regexp.MustCompile(`^00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$`)

// traceOf takes the caller's trace (W3C traceparent) or makes one.
func traceOf(r *http.Request) string {
	if m := traceparent.FindStringSubmatch(r.Header.Get("Traceparent")); m != nil && strings.Trim(m[1], "0") != "" {
		return m[1]
	}
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// recorder remembers the status for the log.
type recorder struct {
	http.ResponseWriter
	status int
}

// WriteHeader notes the status.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write notes an implied status.
func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController through.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// query checks that a request's query has only the names given, each at most
// once, and returns the values.
func query(r *http.Request, names ...string) (map[string]string, error) {
	values, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	got := map[string]string{}
	for name, list := range values {
		switch {
		case !slices.Contains(names, name):
			return nil, &platforms.FieldError{Field: "query", Reason: "has a name that this route does not know; see /v1/openapi.json"}
		case len(list) > 1:
			return nil, &platforms.FieldError{Field: name, Reason: "is given more than once"}
		}
		got[name] = list[0]
	}
	return got, nil
}
