package relay

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
)

// Bounds of what strangers send.
const maxNotice = 64 << 10

var orderNumber = regexp.MustCompile(`^[0-9A-Za-z]{1,32}$`)

// Notices takes what platforms send by themselves (lc.trade.notify) at
// /notify/{site}/{box}/{platform}, by GET or POST, in the query or in the body.
// Nothing of it is believed, and nothing but the order's number is passed on:
// the box then asks the platform itself. reply is what a platform (by its name)
// wants to read; where the box cannot be woken the platform is told to try
// again.
func (r *Relay) Notices(reply func(platform string) (string, bool)) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/notify/{site}/{box}/{platform}", func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		word, ok := reply(req.PathValue("platform"))
		switch {
		case req.Method != http.MethodGet && req.Method != http.MethodPost:
			http.Error(w, "GET or POST", http.StatusMethodNotAllowed)
			return
		case !ok:
			http.Error(w, "no such platform", http.StatusNotFound)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxNotice))
		if err != nil {
			http.Error(w, "the message is too long", http.StatusRequestEntityTooLarge)
			return
		}
		order, ok := orderIn(string(body), req.URL.RawQuery)
		if !ok {
			r.stats.refuse("notice")
			http.Error(w, "the message names no order", http.StatusBadRequest)
			return
		}
		if err := r.Wake(req.PathValue("site"), req.PathValue("box"), req.PathValue("platform"), order); err != nil {
			r.log.Log(req.Context(), slog.LevelDebug, "a box could not be woken", "error", err)
			http.Error(w, "try again later", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, word) // whoever is gone needs no answer
	})
	return mux
}

// orderIn finds the number of the order in a form or a query: out_trade_no
// itself, or in the object biz_content (seed 004 §6.2).
func orderIn(list ...string) (string, bool) {
	for _, raw := range list {
		if len(raw) > maxNotice {
			return "", false
		}
		values, err := url.ParseQuery(raw)
		if err != nil {
			continue
		}
		no := values.Get("out_trade_no")
		if biz := values.Get("biz_content"); biz != "" {
			var b struct {
				No string `json:"out_trade_no"`
			}
			if json.Unmarshal([]byte(biz), &b) != nil {
				continue
			}
			no = b.No
		}
		if orderNumber.MatchString(no) {
			return no, true
		}
	}
	return "", false
}
