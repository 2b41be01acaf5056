package hub_test

import (
	"fmt"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"payagent/agent/fleet"
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

// TestCopy: a hub that is new, or was put back from a copy, lacks what it
// acknowledged before. What a box says of nothing waiting does not hide that,
// and the box is told where the hub is.
func TestCopy(t *testing.T) {
	r := newRig(t, nil)
	a, b := r.box("A"), r.box("B")
	a.send(a.event("E", 1, 0, paid("1", noon, 100), zhang))
	a.acked("E", 1)
	a.quiet()
	r.at(noon.Add(time.Hour))
	lacks := fleet.Status{State: fleet.StateReady, At: r.now(), BootID: "boot", Seq: 1, Every: 60, Acked: fleet.Ack{Epoch: "E", Seq: 9}}
	a.status(lacks)
	a.acked("E", 1)
	if got, err := r.list(noon, noon.Add(time.Hour)); err == nil {
		t.Errorf("the list was answered without what only the box has: %q", got)
	}
	a.send(a.event("E", 9, 1, paid("2", noon.Add(time.Minute), 200), zhang))
	a.acked("E", 9)
	a.status(lacks)
	if got, err := r.list(noon, noon.Add(time.Hour)); err != nil || len(got) != 2 {
		t.Errorf("%q %v", got, err)
	}
	b.status(lacks) // of another store, and nothing of it is here
	b.acked("E", 0)
	if got, err := r.list(noon, noon.Add(time.Hour)); err == nil {
		t.Errorf("the list was answered without a till of which the hub has nothing: %q", got)
	}
}
