package door

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// guard looks at where a request comes from, before it is looked at what it
// wants. All comparisons are exact: no prefixes, no patterns.
type guard struct {
	hosts   map[string]bool // Host values that are ours, with port where it is not the scheme's own
	origins []string        // web pages besides our own that may call
	cross   *http.CrossOriginProtection
}

// newGuard takes the open addresses, further host names, and the origins of
// pages that may call. The last were checked with the configuration; one that
// is no origin could never equal a browser's and is left out.
func newGuard(addresses, hosts, origins []string) *guard {
	g := &guard{hosts: map[string]bool{}, cross: http.NewCrossOriginProtection()}
	for _, at := range addresses {
		host, port, err := net.SplitHostPort(at)
		if err != nil {
			continue
		}
		names := append([]string{host}, hosts...)
		if ip, err := netip.ParseAddr(host); err == nil && ip.IsLoopback() {
			names = append(names, "localhost", "127.0.0.1", "::1")
		}
		for _, n := range names {
			g.hosts[net.JoinHostPort(strings.ToLower(n), port)] = true
			if port == "80" || port == "443" {
				g.hosts[bare(strings.ToLower(n))] = true
			}
		}
	}
	for _, o := range origins {
		if g.cross.AddTrustedOrigin(o) == nil {
			g.origins = append(g.origins, o)
		}
	}
	return g
}

// bare writes a host without port as it stands in Host.
func bare(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

// host tells whether the request was meant for us, against DNS rebinding: a
// page of somewhere.example whose name suddenly means 127.0.0.1 still says
// somewhere.example here.
func (g *guard) host(r *http.Request) bool { return g.hosts[strings.ToLower(r.Host)] }

// origin tells whether the page that asks may: our own, or a configured one.
// foreign is the configured origin that an answer has to name (CORS).
func (g *guard) origin(r *http.Request) (foreign string, ok bool) {
	list := r.Header.Values("Origin")
	if len(list) == 0 {
		return "", true
	}
	own := "http://" + r.Host
	if r.TLS != nil {
		own = "https://" + r.Host
	}
	switch {
	case len(list) > 1:
		return "", false
	case list[0] == own:
		return "", true
	case slices.Contains(g.origins, list[0]):
		return list[0], true
	}
	return "", false
}

// belt is the second look at cross-site requests: what the browser itself says
// of the page that asks. Unlike the standard protection alone, reading is
// guarded as well as writing.
func (g *guard) belt(r *http.Request, foreign string) bool {
	if foreign == "" {
		switch r.Header.Get("Sec-Fetch-Site") {
		case "", "same-origin", "none":
		default:
			return false
		}
	}
	return g.cross.Check(r) == nil
}

// cors lets a configured page read the answer. Nothing is opened for others:
// no wildcard, no credentials, no private-network grant.
func cors(h http.Header, origin string) {
	h.Add("Vary", "Origin")
	if origin == "" {
		return
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", "Location, Idempotent-Replayed, Retry-After, X-Trace-Id")
}

// preflight answers the browser's question whether a configured page may call.
func preflight(w http.ResponseWriter, methods []string) {
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", strings.Join(methods, ", "))
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Idempotency-Key, Last-Event-ID, Traceparent")
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
}

// harden sets what keeps a browser from making more of an answer than it is.
func harden(h http.Header, api bool) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	if api {
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	}
}
