package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"payagent/agent/webhook"
	"payagent/platforms"
)

// toldHIS is a HIS that the killed agent tells of its orders. It refuses every
// seventh call.
type toldHIS struct {
	t      *testing.T
	url    string
	secret string // file

	mu       sync.Mutex
	calls    int
	taken    map[string]bool   // ids
	paid     map[string]string // order → id of the event that it is paid
	newest   map[string]uint64 // bill → number of the newest event that was new
	repeated int
}

func newToldHIS(t *testing.T, dir string) *toldHIS {
	t.Helper()
	h := &toldHIS{t: t, secret: filepath.Join(dir, "webhook.key"), taken: map[string]bool{}, paid: map[string]string{}, newest: map[string]uint64{}}
	key := strings.Repeat("k", leastKey)
	if err := os.WriteFile(h.secret, []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the agent was killed while it spoke
		}
		if r.Header.Get(webhook.HeaderSignature) != "v1="+webhook.Sign(platforms.Hide(key), r.Header.Get(webhook.HeaderTime), body) {
			t.Errorf("a call is not signed as agreed: %v %s", r.Header, body)
		}
		w.WriteHeader(h.take(body))
	}))
	t.Cleanup(server.Close)
	h.url = server.URL + "/events"
	return h
}

func (h *toldHIS) take(body []byte) int {
	var e struct {
		ID, Type, Subject, Sequence string
		Data                        struct{ Bill string }
	}
	seq, err := uint64(0), json.Unmarshal(body, &e)
	if err == nil {
		seq, err = strconv.ParseUint(e.Sequence, 10, 64)
	}
	if err != nil {
		h.t.Errorf("%v: %s", err, body)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.calls++; h.calls%7 == 0 {
		return http.StatusInternalServerError
	}
	if h.taken[e.ID] {
		h.repeated++
		return http.StatusOK
	}
	h.taken[e.ID] = true
	if seq <= h.newest[e.Data.Bill] {
		h.t.Errorf("bill %s: event %d came after event %d", e.Data.Bill, seq, h.newest[e.Data.Bill])
	}
	h.newest[e.Data.Bill] = seq
	if e.Type == "payagent.order.paid.v1" {
		if id, twice := h.paid[e.Subject]; twice {
			h.t.Errorf("order %s was told as paid with two ids: %s and %s", e.Subject, id, e.ID)
		}
		h.paid[e.Subject] = e.ID
	}
	return http.StatusOK
}

// knows tells whether HIS was told that an order is paid.
func (h *toldHIS) knows(no string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.paid[no] != ""
}

// twice counts the events that came again after they had been taken.
func (h *toldHIS) twice() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.repeated
}
