package facade_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"payagent/agent/config"
	"payagent/agent/facade"
	"payagent/platforms"
)

// A secret is compared whole, read anew, and lets nobody in where there is none.
func TestSecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	var log strings.Builder
	ok := facade.Secret(path, 16, slog.New(slog.NewTextHandler(&log, nil)))
	is := func(s string) bool { return ok(t.Context(), platforms.Hide(s)) }
	if is("") || is("0123456789abcdef") {
		t.Error("let in without a file")
	}
	write := func(s string) {
		if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("0123456789abcdef\n")
	if !is("0123456789abcdef") || is("0123456789abcde") || is("0123456789abcdef\n") || is("") {
		t.Error("the comparison is wrong")
	}
	write("fedcba9876543210")
	if is("0123456789abcdef") || !is("fedcba9876543210") {
		t.Error("the renewed secret does not count")
	}
	write("short")
	if is("short") {
		t.Error("a short secret lets in")
	}
	if write(""); is("") {
		t.Error("an empty file lets in")
	}
	if strings.Contains(log.String(), "short") || !strings.Contains(log.String(), "nobody is let in") {
		t.Error(log.String())
	}
}

// Of several order types with one ServiceId the wire's own word wins.
func TestServiceIDs(t *testing.T) {
	c, err := config.Defaults()
	if err != nil {
		t.Fatal(err)
	}
	got := facade.ServiceIDs(c)
	if len(got) != 3 || got["0"] != "APPOINTMENT" || got["008"] != "TREATMENT" || got["007"] != "HOSPITALIZATION" {
		t.Errorf("%v", got)
	}
	c.OrderTypes = map[string]config.OrderType{"B": {OrderType: "X", ServiceID: "1"}, "A": {OrderType: "X", ServiceID: "1"}, "C": {OrderType: "C"}}
	for range 20 { // whatever order the map is walked in
		if got = facade.ServiceIDs(c); len(got) != 1 || got["1"] != "A" {
			t.Fatalf("%v", got)
		}
	}
}

// Who answers what.
func TestHandler(t *testing.T) {
	says := func(word string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, word) })
	}
	both, none := facade.Handler(facade.Handlers{SmartPay: says("sp"), FWC: says("fwc")}), facade.Handler(facade.Handlers{})
	for path, want := range map[string]string{"/fwc/linkingif.asmx": "fwc", "/fwc": "fwc", "/SECRET/WSGW": "sp", "/": "sp", "/fwcx": "sp"} {
		rec := httptest.NewRecorder()
		if both.ServeHTTP(rec, httptest.NewRequest("POST", path, nil)); rec.Body.String() != want {
			t.Errorf("%s: %s", path, rec.Body.String())
		}
		rec = httptest.NewRecorder()
		if none.ServeHTTP(rec, httptest.NewRequest("POST", path, nil)); rec.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, rec.Code)
		}
	}
}
