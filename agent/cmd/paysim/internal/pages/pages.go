// Package pages is the face of the pretend world: the pages for people (phone,
// HIS, the world's switches) and the same as an HTTP interface for scripts.
// Everything is marked 测试, and nothing but loopback may call.
package pages

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net"
	"net/http"
	"slices"
	"strings"

	"payagent/agent/cmd/paysim/internal/his"
	"payagent/agent/cmd/paysim/internal/outage"
	"payagent/agent/cmd/paysim/internal/scanbox"
	"payagent/agent/cmd/paysim/internal/world"
	"payagent/platforms/bank/wire"
)

//go:embed assets
var files embed.FS

// Box is a scan box with its name.
type Box struct {
	Name string
	*scanbox.Box
}

// Parts is what the pages show and move. All but Boxes and Wires is required.
type Parts struct {
	World *world.World
	Gate  *outage.Gate             // the platforms' network
	Desk  *his.Desk                // the pretend HIS
	Clerk *his.Clerk               // its clerk and its own books
	Boxes []Box                    // the first one is meant where none is named
	Wires map[string]*wire.Control // platform name → what goes wrong there
	Tills []string                 // names of the agent's tills, as the HIS knows them
	Agent string                   // the agent's address, for links to its own pages
}

type server struct {
	Parts
	layout *template.Template
}

// page is one HTML page: its body lies in assets/NAME.html, its script in
// assets/NAME.js.
type page struct{ Path, Name, Zh, En string }

func allPages() []page {
	return []page{
		{"/", "world", "世界", "World"},
		{"/phone", "phone", "手机", "Phone"},
		{"/his", "his", "模拟 HIS", "Pretend HIS"},
	}
}

// New makes the handler.
func New(p Parts) (http.Handler, error) {
	layout, err := template.ParseFS(files, "assets/layout.html")
	if err != nil {
		return nil, fmt.Errorf("cannot read the page layout: %w", err)
	}
	assets, err := fs.Sub(files, "assets")
	if err != nil {
		return nil, fmt.Errorf("cannot read the assets: %w", err)
	}
	s := &server{Parts: p, layout: layout}
	mux := http.NewServeMux()
	for _, pg := range allPages() {
		shown, err := s.render(pg)
		if err != nil {
			return nil, err
		}
		path := pg.Path
		if path == "/" {
			path = "/{$}"
		}
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = w.Write(shown)
		})
	}
	mux.Handle("GET /assets/", http.StripPrefix("/assets/", http.FileServerFS(assets)))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { reply(w, map[string]bool{"ok": true, "test": true}) })
	s.worldRoutes(mux)
	s.phoneRoutes(mux)
	s.scanRoutes(mux)
	s.hisRoutes(mux)
	s.bookRoutes(mux)
	return local(p.World.Guard(mux)), nil
}

func (s *server) render(pg page) ([]byte, error) {
	body, err := files.ReadFile("assets/" + pg.Name + ".html")
	if err != nil {
		return nil, fmt.Errorf("cannot read the page %s: %w", pg.Name, err)
	}
	var out bytes.Buffer
	err = s.layout.Execute(&out, map[string]any{
		"Page": pg, "Pages": allPages(), "Agent": s.Agent, "Body": template.HTML(body), //nolint:gosec // our own embedded file
	})
	if err != nil {
		return nil, fmt.Errorf("cannot draw the page %s: %w", pg.Name, err)
	}
	return out.Bytes(), nil
}

// local lets only callers on this machine through that mean this server: a web
// page elsewhere cannot move the pretend world, not even under another name.
func local(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		head.Set("X-Paysim", "test")
		head.Set("Cache-Control", "no-store")
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("Content-Security-Policy", "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'")
		if origin := r.Header.Get("Origin"); !loopbackHost(r.Host) || origin != "" && origin != "http://"+r.Host {
			refuse(w, http.StatusForbidden, errors.New("cannot serve this caller: paysim answers on loopback names and its own pages only"))
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
		h.ServeHTTP(w, r)
	})
}

func loopbackHost(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.Trim(hostport, "[]")
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// read decodes a JSON body strictly; an empty body leaves v as it is.
func read(r *http.Request, v any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("cannot read the request: send JSON: %w", err)
	}
	return nil
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(v) // the caller is gone if this fails
}

func refuse(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": err.Error()})
}

// answer gives a value, or 422 with the reason.
func answer(w http.ResponseWriter, v any, err error) {
	if err != nil {
		refuse(w, http.StatusUnprocessableEntity, err)
		return
	}
	reply(w, v)
}

// box finds a scan box by name; the empty name is the first.
func (s *server) box(name string) (Box, error) {
	if name == "" && len(s.Boxes) > 0 {
		return s.Boxes[0], nil
	}
	if i := slices.IndexFunc(s.Boxes, func(b Box) bool { return b.Name == name }); i >= 0 {
		return s.Boxes[i], nil
	}
	return Box{}, errors.New("cannot find the scan box: start paysim serve with -pty NAME=PATH")
}
