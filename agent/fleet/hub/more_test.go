package hub_test

import (
	"fmt"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

func (r *rig) metrics() string {
	w := httptest.NewRecorder()
	r.hub.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}

// refused is how many messages the hub refused since its start.
func (r *rig) refused() (n int) {
	_, rest, _ := strings.Cut(r.metrics(), "\npayfleet_hub_events_refused_total ")
	if _, err := fmt.Sscan(rest, &n); err != nil {
		r.t.Error(err)
	}
	return n
}

// until waits until ok says so.
func (r *rig) until(what string, ok func() bool) {
	r.t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); runtime.Gosched() {
		if time.Now().After(end) {
			r.t.Fatal("never: ", what)
		}
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
