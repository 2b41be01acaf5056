package hub

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"payagent/agent/fleet"
)

// Health is what the hub says of itself.
type Health struct {
	OK      bool      `json:"ok"`
	Reasons []string  `json:"reasons,omitempty"` // starting, broker, store, missing, quarantine
	Broker  string    `json:"broker,omitempty"`  // why it is away
	Missing []Missing `json:"missing,omitempty"` // of today up to now
	Boxes   int       `json:"boxes"`
	// Quarantine is how many events wait for a hub that can read them.
	Quarantine int `json:"quarantine,omitempty"`
}

// Health looks at broker, store and boxes.
func (h *Hub) Health() Health {
	l, _ := h.bus.Link()
	now := h.cfg.Now()
	day, err := time.ParseInLocation("2006-01-02", DayOf(now), zone())
	if err != nil {
		day = now
	}
	var out Health
	if !l.Up || l.Cause != "" {
		out.Reasons, out.Broker = append(out.Reasons, "broker"), l.Cause
	}
	h.mu.Lock()
	if !h.listening {
		out.Reasons = append(out.Reasons, "starting")
	}
	if h.trouble != nil {
		out.Reasons = append(out.Reasons, "store")
	}
	out.Quarantine = len(h.held)
	var sites []string
	for _, s := range h.streams {
		if s.Name == fleet.StreamOrders {
			out.Boxes++
		}
		sites = append(sites, s.Site)
	}
	h.mu.Unlock()
	for _, name := range h.cfg.Boxes {
		site, _, _ := strings.Cut(name, "/")
		sites = append(sites, site)
	}
	slices.Sort(sites)
	for _, site := range slices.Compact(sites) {
		out.Missing = append(out.Missing, h.Missing(site, day, now)...)
	}
	if len(out.Missing) > 0 {
		out.Reasons = append(out.Reasons, "missing")
	}
	if out.Quarantine > 0 {
		out.Reasons = append(out.Reasons, "quarantine")
	}
	// A till that is off, or newer, is not the hub's illness.
	out.OK = !slices.ContainsFunc(out.Reasons, func(r string) bool { return r != "missing" && r != "quarantine" })
	return out
}

// Handler serves /healthz (200 or 503, with the reasons), /metrics and
// /quarantine.
func (h *Hub) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		v := h.Health()
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		if !v.OK {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(v) // who asked has gone
	})
	mux.HandleFunc("GET /quarantine", h.serveQuarantine)
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = fmt.Fprint(w, h.metrics()) // who asked has gone
	})
	return mux
}

func (h *Hub) metrics() string {
	v := h.Health()
	h.mu.Lock()
	c, stuck, holes := h.counts, len(h.stuck), len(h.holes)
	h.mu.Unlock()
	silent, behind := 0, 0
	for _, m := range v.Missing {
		switch m.Reason {
		case "silent", "never_heard":
			silent++
		case "behind":
			behind++
		}
	}
	up := func(reason string) int {
		if slices.Contains(v.Reasons, reason) {
			return 0
		}
		return 1
	}
	type metric struct {
		name, kind, help string
		value            any
	}
	list := []metric{
		{"events_total", "counter", "Events taken in.", c.Events}, {"events_repeated_total", "counter", "Events that were here already.", c.Repeated},
		{"events_gap_total", "counter", "Events that did not join what is here.", c.Gaps}, {"events_refused_total", "counter", "Messages that are no events of their topic.", c.Refused},
		{"batches_total", "counter", "Writes to the store.", c.Batches}, {"batches_failed_total", "counter", "Writes that failed.", c.Failed},
		{"store_up", "gauge", "0 while the latest write failed: nothing is acknowledged, the boxes keep it.", up("store")},
		{"broker_up", "gauge", "1 while connected to the broker.", up("broker")}, {"boxes", "gauge", "Boxes that were heard of.", v.Boxes},
		{"boxes_silent", "gauge", "Boxes not heard for three minutes, or never.", silent},
		{"boxes_behind", "gauge", "Boxes that are heard and have not said for three minutes that nothing waits.", behind},
		{"streams_stuck", "gauge", "Streams that miss an event.", stuck}, {"holes", "gauge", "Known holes in what is kept.", holes},
		{"quarantine", "gauge", "Events that this program cannot read; a newer one takes them.", v.Quarantine},
	}
	if h.cfg.Free != nil {
		if free, err := h.cfg.Free(); err == nil {
			list = append(list, metric{"disk_free_bytes", "gauge", "What is free where the hub keeps its file.", free})
		}
	}
	var b strings.Builder
	for _, m := range list {
		name := "payfleet_hub_" + m.name
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s %s\n%s %v\n", name, m.help, name, m.kind, name, m.value)
	}
	return b.String()
}
