// Package pages serves the agent's own screens from the binary: /cashier for the
// window, /kiosk for the self-service machine, /refund for the refund desk, where
// payments are given back, a second person agrees, and what is in doubt is
// resolved, and /shift, where a shift is opened, closed and printed.
//
// The pages are clients of the HTTP door like any other. They decide nothing:
// state, words, buttons and the answer to "may I take cash?" come from the
// agent, and a page that was reloaded asks again. A page is opened as
//
//	…/kiosk#t=TOKEN&till=kiosk1
//	…/cashier#t=TOKEN&till=counter1&bill=B1&amount_fen=12850&name=…
//	…/refund#t=TOKEN&operator_id=2001&operator_name=…
//	…/shift#t=TOKEN&till=counter1&operator_id=1001&operator_name=…
//
// The part after # never reaches a server. The page takes it off the address
// bar at once, keeps the token in sessionStorage and what concerns a patient in
// memory only (decision 23).
package pages

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"payagent/agent/internal/packed"
)

//go:embed static
var static embed.FS

// policy lets a page load its own scripts, styles and pictures and call its own
// agent, and nothing else: no inline code, no other host, no frame around it.
// blob: is the QR code, which the page fetches with its token.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// kind gives the type of a file; a name not ending in one of the three known
// ways has none and is not served.
func kind(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	}
	return ""
}

// Patterns are the patterns (net/http ServeMux) under which Handler wants to be
// mounted. They need no token: the pages hold nothing that is secret.
func Patterns() []string {
	return []string{"GET /cashier", "GET /kiosk", "GET /refund", "GET /shift", "GET /pages/{file}"}
}

// Handler serves the pages and their files. Every answer carries the strict
// Content-Security-Policy; none sets a cookie.
func Handler() http.Handler {
	mux := http.NewServeMux()
	for _, p := range Patterns() {
		mux.HandleFunc(p, serve)
	}
	return protect(mux)
}

func protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()")
		next.ServeHTTP(w, r)
	})
}

func serve(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	if name == "" {
		name = strings.TrimPrefix(r.URL.Path, "/") + ".html"
	}
	data, err := fs.ReadFile(static, "static/"+path.Base(name))
	mime := kind(name)
	if err != nil || mime == "" {
		http.Error(w, "there is no such page; the pages are /cashier, /kiosk, /refund and /shift", http.StatusNotFound)
		return
	}
	data = packed.Text(data)
	sum := sha256.Sum256(data)
	h := w.Header()
	h.Set("Content-Type", mime)
	// An update of the agent must be seen at the next load, so the browser asks
	// every time; on loopback that costs nothing.
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", `"`+hex.EncodeToString(sum[:12])+`"`)
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(data))
}
