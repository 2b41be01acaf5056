package hub

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"payagent/agent/fleet"
)

// slack is how far a box may lag behind now: it says once a minute that nothing
// waits.
const slack = 3 * time.Minute

func cut(key string) (site, box, stream string) {
	parts := strings.SplitN(key, "/", 3)
	return parts[0], parts[1], parts[2]
}

// Missing is why a span of time is not complete for one box.
type Missing struct {
	Box    string    `json:"box"`    // site/box
	Reason string    `json:"reason"` // silent, behind, never_heard, pruned, new_store, gap, unreadable
	Since  time.Time `json:"since"`  // what is missing lies behind it
}

// String is for people in charge of the hub.
func (m Missing) String() string {
	return fmt.Sprintf("%s %s since %s", m.Box, m.Reason, m.Since.In(zone()).Format("2006-01-02 15:04:05"))
}

// IncompleteError is why nothing is answered: a list would be short.
type IncompleteError struct{ Missing []Missing }

// Error lists what is missing.
func (e *IncompleteError) Error() string {
	var all []string
	for _, m := range e.Missing {
		all = append(all, m.String())
	}
	return "cannot answer for the whole hospital, events are missing: " + strings.Join(all, "; ") + "; see docs/hub.md"
}

// Missing tells what is missing for a site between two moments; nothing means
// that every box has said everything up to to, or to now.
func (h *Hub) Missing(site string, from, to time.Time) []Missing {
	h.mu.Lock()
	defer h.mu.Unlock()
	needed := to
	if now := h.cfg.Now(); to.After(now.Add(-slack)) {
		needed = now.Add(-slack)
	}
	boxes := map[string]Stream{}
	for _, name := range h.cfg.Boxes {
		if s, _, ok := strings.Cut(name, "/"); ok && s == site {
			boxes[name] = Stream{}
		}
	}
	for _, s := range h.streams {
		if s.Site == site && s.Name == fleet.StreamOrders {
			boxes[s.Site+"/"+s.Box] = s
		}
	}
	var out []Missing
	add := func(m Missing, first, last time.Time) {
		if !slices.Contains(h.cfg.Retired, m.Box) && !h.accepted(m.Box, first, last) {
			out = append(out, m)
		}
	}
	for name, s := range boxes {
		until := s.Until
		if h.cfg.TrustGoodbye {
			if st, ok := h.statuses[name]; ok && st.State == fleet.StateGone && st.Waiting == 0 {
				until = needed
			}
		}
		behind := max(until.UnixNano(), from.UnixNano())
		since := until
		if since.IsZero() {
			since = from
		}
		switch {
		case s.Box == "":
			add(Missing{name, "never_heard", from}, from, to)
		case until.Before(needed) && h.speaks(name):
			add(Missing{name, "behind", since}, time.Unix(0, behind), needed)
		case until.Before(needed):
			add(Missing{name, "silent", since}, time.Unix(0, behind), needed)
		}
		if why, ok := h.stuck[streamKey(s.Site, s.Box, fleet.StreamOrders)]; ok && !to.Before(s.Last) {
			add(Missing{name, why.reason, s.Last}, s.Last, why.since)
		}
	}
	for name, at := range h.unread(site, from, to) {
		if !slices.ContainsFunc(out, func(m Missing) bool { return m.Box == name && m.Reason == "unreadable" }) {
			add(Missing{name, "unreadable", at}, at, at)
		}
	}
	for _, x := range h.holes {
		if x.Site == site && x.Name == fleet.StreamOrders && !x.Before.Before(from) && !x.After.After(to) {
			add(Missing{x.Site + "/" + x.Box, x.Reason, x.After}, later(x.After, from), earlier(x.Before, to))
		}
	}
	slices.SortFunc(out, func(a, b Missing) int { return strings.Compare(a.Box+a.Reason, b.Box+b.Reason) })
	return out
}

// speaks tells whether a box is heard now: what it has not said yet, that
// nothing of it waits, it is about to say. The lock is held.
func (h *Hub) speaks(box string) bool {
	s, ok := h.statuses[box]
	if !ok {
		return false
	}
	switch state, _ := fleet.Presence(&s.Status, s.received, h.cfg.Now()); state {
	case fleet.StateInit, fleet.StateReady, fleet.StateAlert:
		return true
	}
	return false
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// accepted tells whether somebody answers for every day from first to last.
func (h *Hub) accepted(box string, first, last time.Time) bool {
	days := DaysBetween(first, last)
	if len(days) == 0 {
		days = []string{DayOf(first)}
	}
	for _, day := range days {
		if !slices.ContainsFunc(h.cfg.Accepted, func(a Accepted) bool { return a.Box == box && a.Day == day }) {
			return false
		}
	}
	return true
}

// check is Missing as an error.
func (h *Hub) check(site string, from, to time.Time) error {
	if m := h.Missing(site, from, to); len(m) > 0 {
		return &IncompleteError{m}
	}
	return nil
}
