package console

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/fleet/conduct"
	"payagent/agent/fleet/rollout"
	"payagent/agent/fleet/send"
	"payagent/agent/fleet/terms"
	"payagent/agent/fleet/view"
)

// maxRows bounds one page of the list.
const maxRows = 500

// about tells the page what it needs to know once: words, and what it may do.
func (c *Console) about(w http.ResponseWriter, _ *http.Request) {
	answer(w, map[string]any{"root": c.Root, "terms": terms.All(), "alarms": terms.Codes(), "verbs": c.verbs(), "may_act": len(c.Keys) > 0})
}

// verbs are those that may be sent from here. Configurations and programs go
// out by roll-outs, which payfleet config and payfleet update begin.
func (c *Console) verbs() []string {
	list := []string{}
	if len(c.Keys) == 0 {
		return list
	}
	for _, verb := range []string{fleet.VerbDevicesTest, fleet.VerbResolveNow, fleet.VerbRestart, fleet.VerbRenew, fleet.VerbConfigRollback} {
		if role, ok := fleet.RoleFor(verb); ok && slices.Contains(c.Roles, role) {
			list = append(list, verb)
		}
	}
	return list
}

// link is the state of the connection to the broker.
type link struct {
	Up    bool   `json:"up"`
	Cause string `json:"cause,omitempty"`
}

func (c *Console) link() link {
	l := c.Watch.Link()
	return link{l.Up, l.Cause}
}

// progress is a roll-out for the page.
type progress struct {
	Site    string            `json:"site"`
	ID      string            `json:"id"`
	AgeS    int64             `json:"age_s"`
	Verb    string            `json:"verb"`
	Note    string            `json:"note,omitempty"`
	Phase   string            `json:"phase"`
	Why     string            `json:"why,omitempty"`
	By      string            `json:"by,omitempty"`
	Stage   int               `json:"stage"`
	Stages  []rollout.Stage   `json:"stages"`
	Away    []string          `json:"away,omitempty"`
	AwayN   int               `json:"away_count"`
	Reasons map[string]string `json:"reasons,omitempty"`
}

func rollouts(m *view.Model, site string, now time.Time) []progress {
	list := []progress{}
	for _, r := range m.Rollouts() {
		s, err := rollout.Decode(r.Data)
		if err != nil || site != "" && r.Site != site || len(list) == 10 {
			continue
		}
		list = append(list, progress{Site: r.Site, ID: r.ID, AgeS: int64(max(now.Sub(r.Written), 0) / time.Second), Verb: s.Spec.Verb, Note: s.Spec.Note, Phase: s.Phase, Why: s.Why, By: s.By,
			Stage: s.Stage, Stages: s.Stages(), Away: s.Away, AwayN: s.AwayCount, Reasons: s.Reasons})
	}
	return list
}

// boxes gives a part of the list, again and again with stream=1.
func (c *Console) boxes(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	f := view.Filter{Site: q.Get("site"), State: q.Get("state"), Version: q.Get("version"), Alarm: q.Get("alarm"), Text: q.Get("text")}
	offset, err := strconv.Atoi("0" + q.Get("offset"))
	limit, err2 := strconv.Atoi("0" + q.Get("limit"))
	if err != nil || err2 != nil {
		refuse(w, http.StatusBadRequest, "bad_request", "offset and limit are numbers")
		return
	}
	if limit == 0 || limit > maxRows {
		limit = maxRows
	}
	look := func() (any, <-chan struct{}) {
		type page struct {
			view.List
			Offset   int        `json:"offset"`
			Link     link       `json:"link"`
			Rollouts []progress `json:"rollouts"`
		}
		p := page{Link: c.link()}
		changed := c.Watch.Do(func(m *view.Model, now time.Time) {
			p.List = m.List(f, offset, limit, now)
			if p.Offset = offset; offset >= p.Chosen && p.Chosen > 0 {
				p.Offset = (p.Chosen - 1) / limit * limit
				p.List = m.List(f, p.Offset, limit, now)
			}
			p.Rollouts = rollouts(m, f.Site, now)
		})
		return p, changed
	}
	c.give(w, r, look)
}

func (c *Console) give(w http.ResponseWriter, r *http.Request, look func() (any, <-chan struct{})) {
	if r.URL.Query().Get("stream") == "1" {
		c.stream(w, r, look)
		return
	}
	v, _ := look()
	answer(w, v)
}

// box gives one box, again and again with stream=1.
func (c *Console) box(w http.ResponseWriter, r *http.Request) {
	k := view.Key{Site: r.URL.Query().Get("site"), Box: r.URL.Query().Get("box")}
	if fleet.CheckName(k.Site) != nil || fleet.CheckName(k.Box) != nil {
		refuse(w, http.StatusBadRequest, "bad_request", "name site and box")
		return
	}
	done, err := c.Watch.Look(k)
	if err != nil {
		refuse(w, http.StatusBadGateway, "broker", err.Error())
		return
	}
	defer done()
	c.give(w, r, func() (any, <-chan struct{}) {
		type page struct {
			view.Box
			Known bool `json:"known"`
			Link  link `json:"link"`
		}
		p := page{Link: c.link()}
		changed := c.Watch.Do(func(m *view.Model, now time.Time) {
			if p.Box, p.Known = m.Box(k, now); !p.Known {
				p.Key = k
			}
		})
		return p, changed
	})
}

// deadline bounds what a request waits for the broker.
const deadline = 20 * time.Second

// command signs and sends. The box must be named twice: whoever clicks in the
// wrong row has not confirmed that one.
func (c *Console) command(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		Site    string          `json:"site"`
		Box     string          `json:"box"`
		Verb    string          `json:"verb"`
		Args    json.RawMessage `json:"args"`
		Confirm string          `json:"confirm"`
	}
	if !c.read(w, r, &ask) {
		return
	}
	if ask.Confirm != ask.Box {
		refuse(w, http.StatusUnprocessableEntity, "confirm", "confirm names another box")
		return
	}
	if !slices.Contains(c.verbs(), ask.Verb) {
		refuse(w, http.StatusForbidden, "verb", "this console has no key for that verb")
		return
	}
	now := c.Now()
	cmd, err := send.New(view.Key{Site: ask.Site, Box: ask.Box}, ask.Verb, ask.Args, time.Hour, c.counter.Next(now), now)
	if err != nil {
		refuse(w, http.StatusUnprocessableEntity, "bad_request", err.Error())
		return
	}
	document, err := send.Sign(cmd, c.Keys...)
	if err == nil {
		ctx, cancel := context.WithTimeout(r.Context(), deadline)
		defer cancel()
		_, err = send.Publish(ctx, c.Bus, c.Root, document)
	}
	if err != nil {
		refuse(w, http.StatusBadGateway, "broker", err.Error())
		return
	}
	c.Logger.Info("command sent", "site", cmd.Site, "box", cmd.Box, "verb", cmd.Verb, "cmd_id", cmd.ID, "from", r.RemoteAddr)
	answer(w, map[string]string{"cmd_id": cmd.ID})
}

// read reads a request of somebody who may act.
func (c *Console) read(w http.ResponseWriter, r *http.Request, into any) bool {
	if len(c.Keys) == 0 {
		refuse(w, http.StatusForbidden, "read_only", "this console has no key: it only looks")
		return false
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		refuse(w, http.StatusBadRequest, "bad_request", "the request is not what this console takes")
		return false
	}
	return true
}

// rollout pauses, resumes or aborts a roll-out.
func (c *Console) rollout(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		Site    string `json:"site"`
		ID      string `json:"id"`
		Act     string `json:"act"`
		Confirm string `json:"confirm"`
	}
	if !c.read(w, r, &ask) {
		return
	}
	if ask.Confirm != ask.ID || fleet.CheckName(ask.Site) != nil || fleet.CheckName(ask.ID) != nil {
		refuse(w, http.StatusUnprocessableEntity, "confirm", "confirm names another roll-out")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), deadline)
	defer cancel()
	if err := conduct.Ask(ctx, c.Bus, c.Root, ask.Site, ask.ID, conduct.Act{Act: ask.Act, By: "console", At: c.Now()}); err != nil {
		refuse(w, http.StatusBadGateway, "broker", err.Error())
		return
	}
	c.Logger.Info("roll-out", "site", ask.Site, "id", ask.ID, "act", ask.Act, "from", r.RemoteAddr)
	answer(w, map[string]string{"act": ask.Act})
}
