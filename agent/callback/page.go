package callback

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"html"
	"net/http"
	"strconv"
	"strings"

	"payagent/agent"
	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/agent/words"
	"payagent/platforms"
)

// The page works in the browsers of old phones: no module, no fetch, nothing
// from elsewhere; without scripts it loads itself anew.
//
//go:embed page.html
var pageText string

//go:embed page.js
var script string

//go:embed page.css
var style string

// face is what a page shows.
type face struct {
	view
	Path  string // of the long poll, relative to the page
	Leads bool   // the page an authorisation leads to
}

// html fills the page. The marks are replaced in one pass and every value is
// escaped, but for our own script and style. Package html/template would do the
// same for three megabytes of program.
func (f face) html(test bool) string {
	block := func(shown bool, text string) string {
		if shown {
			return text
		}
		return ""
	}
	var pairs []string
	for name, value := range map[string]string{
		"title_zh": f.Title.ZH, "title_en": f.Title.EN, "say_zh": f.Say.ZH, "say_en": f.Say.EN, "look": f.Look, "path": f.Path, "goto": f.Goto,
		"rev": strconv.Itoa(f.Rev), "final": strconv.FormatBool(f.Final), "leads": strconv.FormatBool(f.Leads),
	} {
		pairs = append(pairs, "{{"+name+"}}", html.EscapeString(value))
	}
	pairs = append(pairs, "{{script}}", script, "{{style}}", style,
		"{{reload}}", block(f.Path != "" && !f.Final, `<noscript><meta http-equiv="refresh" content="4"></noscript>`),
		"{{test}}", block(test, `<p id="test">测试 TEST</p>`),
		"{{sum}}", block(f.Yuan != "", `<p id="yuan">¥ `+html.EscapeString(f.Yuan)+`</p>`))
	return strings.NewReplacer(pairs...).Replace(pageText)
}

// policy lets the page run its own script and style and talk to where it came
// from, and nothing else.
func policy() string {
	hash := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return "default-src 'none'; script-src " + hash(script) + "; style-src " + hash(style) +
		"; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

func (s *server) page(w http.ResponseWriter, status int, f face) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", policy())
	w.WriteHeader(status)
	_, _ = w.Write([]byte(f.html(s.agent.Config().Site.Test))) // whoever is gone needs no page
}

// word shows a page that is about no order, or about one that need not be
// watched.
func (s *server) word(w http.ResponseWriter, status int, code, look string) {
	e, _ := s.words.Find(words.Page, code)
	s.page(w, status, face{view: view{Code: code, Look: look, Final: true, Title: e.Cashier, Say: e.Patient}})
}

// open finds the order of an address, if its token is right. A wrong token and
// a number that nobody knows look the same.
func (s *server) open(r *http.Request) *order.Order {
	no, token := r.PathValue("order"), r.PathValue("token")
	if !orderNumber.MatchString(no) || subtle.ConstantTimeCompare([]byte(token), []byte(s.agent.PageToken(no))) != 1 {
		return nil
	}
	o, err := s.agent.Order(no)
	if err != nil || o == nil || !o.Paged() {
		return nil
	}
	return o
}

// returned is /return/{order}/{token}: where the payer's browser comes back to.
// What it carries wakes the query if it verifies; the page waits for the facts.
func (s *server) returned(w http.ResponseWriter, r *http.Request) {
	o := s.open(r)
	in, err := incoming(r, s.now())
	if o == nil || err != nil {
		s.word(w, http.StatusNotFound, "page_unknown", "bad")
		return
	}
	if in.Query != "" || in.Form != "" {
		ctx, stop := context.WithTimeout(r.Context(), askLimit)
		_, err := s.agent.Returned(ctx, o.No, in)
		stop()
		if err != nil {
			// A page that somebody's phone spoilt must still tell how it stands.
			s.log.Info("what a payer's browser brought back was not used", "order", o.No, "error", err)
		} else if now, err := s.agent.Order(o.No); err == nil && now != nil {
			o = now
		}
	}
	s.page(w, http.StatusOK, face{view: s.view(o, false), Path: r.PathValue("token") + "/state"})
}

// state is the page's long poll: it answers when the order differs from rev.
func (s *server) state(w http.ResponseWriter, r *http.Request) {
	o := s.open(r)
	if o == nil {
		plain(w, http.StatusNotFound, "not found")
		return
	}
	q := r.URL.Query()
	if rev, err := strconv.Atoi(q.Get("rev")); err == nil && rev == o.Rev && !stageOf(o).final {
		select {
		case s.waiters <- struct{}{}:
		default:
			w.Header().Set("Retry-After", "3")
			plain(w, http.StatusServiceUnavailable, "too many wait")
			return
		}
		ctx, stop := context.WithTimeout(r.Context(), stateWait)
		later, err := s.agent.Wait(ctx, o.No, rev)
		stop()
		<-s.waiters
		if err == nil && later != nil {
			o = later
		}
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(s.view(o, q.Get("leads") == "1")) // whoever is gone needs no answer
}

// authorised is /authorised/{order}: where the payer's browser comes back to
// after 医保授权, with auth_code and the state of this attempt.
func (s *server) authorised(w http.ResponseWriter, r *http.Request) {
	no, q := r.PathValue("order"), r.URL.Query()
	if !orderNumber.MatchString(no) {
		s.word(w, http.StatusNotFound, "page_unknown", "bad")
		return
	}
	ctx, stop := context.WithTimeout(r.Context(), askLimit)
	defer stop()
	reply, err := s.agent.Authorised(ctx, no, agent.Authorised{State: platforms.Hide(q.Get("state")), AuthCode: platforms.Hide(q.Get("auth_code"))})
	var bad *platforms.FieldError
	switch {
	case errors.As(err, &bad):
		s.word(w, http.StatusBadRequest, "page_authorise_failed", "bad")
	case err != nil:
		s.word(w, http.StatusServiceUnavailable, "page_again", "wait")
	case reply.Code != counter.CodeAccepted:
		// Whatever was wrong, a stranger learns the same.
		s.word(w, http.StatusForbidden, "page_authorise_failed", "bad")
	default:
		w.Header().Set("Location", "../continue/"+no+"/"+s.agent.PageToken(no))
		w.WriteHeader(http.StatusSeeOther)
	}
}

// goOn is /continue/{order}/{token}: it waits until HIS has settled with the
// insurance and leads to the page to pay on.
func (s *server) goOn(w http.ResponseWriter, r *http.Request) {
	o := s.open(r)
	if o == nil {
		s.word(w, http.StatusNotFound, "page_unknown", "bad")
		return
	}
	s.page(w, http.StatusOK, face{view: s.view(o, true), Path: "../../return/" + o.No + "/" + r.PathValue("token") + "/state", Leads: true})
}
