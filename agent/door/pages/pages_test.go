package pages

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func get(t *testing.T, h http.Handler, method, path string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestEveryFileIsServedWithTheStrictPolicy(t *testing.T) {
	h := Handler()
	files, err := fs.ReadDir(static, "static")
	if err != nil {
		t.Fatal(err)
	}
	paths := []string{"/cashier", "/kiosk", "/refund", "/shift"}
	for _, f := range files {
		paths = append(paths, "/pages/"+f.Name())
	}
	for _, p := range paths {
		w := get(t, h, "GET", p)
		if w.Code != http.StatusOK || w.Body.Len() == 0 {
			t.Errorf("%s: status %d, %d bytes", p, w.Code, w.Body.Len())
		}
		if got := w.Header().Get("Content-Security-Policy"); got != policy {
			t.Errorf("%s: policy %q", p, got)
		}
		if len(w.Header().Values("Set-Cookie")) > 0 {
			t.Errorf("%s sets a cookie", p)
		}
		if w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s lacks a header: %v", p, w.Header())
		}
		again := get(t, h, "GET", p, "If-None-Match", w.Header().Get("ETag"))
		if again.Code != http.StatusNotModified {
			t.Errorf("%s asked again: status %d, want 304", p, again.Code)
		}
	}
	for _, weak := range []string{"unsafe-inline", "unsafe-eval", "http:", "https:", "*", "data:"} {
		if strings.Contains(policy, weak) {
			t.Errorf("the policy allows %s", weak)
		}
	}
}

func TestNothingElseIsServed(t *testing.T) {
	h := Handler()
	for _, p := range []string{"/", "/pages/", "/pages/none.js", "/pages/pages.go", "/pages/..%2fpages.go", "/cashier/x", "/static/kiosk.js", "/pages/static"} {
		if w := get(t, h, "GET", p); w.Code != http.StatusNotFound {
			t.Errorf("%s: status %d, want 404", p, w.Code)
		}
	}
	if w := get(t, h, "POST", "/cashier"); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST /cashier: status %d, want 405", w.Code)
	}
}

// TestNothingInlineNothingForeign reads the files: the policy would block such
// things only when somebody looks at the page.
func TestNothingInlineNothingForeign(t *testing.T) {
	bad := map[string]*regexp.Regexp{
		"inline script":      regexp.MustCompile(`<script[^>]*>[^<]`),
		"script without src": regexp.MustCompile(`<script(?:[^>](?:[^s]|s[^r]|sr[^c]))*>\s*<[^/]`),
		"inline style":       regexp.MustCompile(`<style|\sstyle=`),
		"inline handler":     regexp.MustCompile(`<[^>]+\son[a-z]+=`),
		"foreign address":    regexp.MustCompile(`(?i)(?:src|href|url\(|import|fetch\()[\s"'=(]*(?:https?:)?//`),
		"markup from text":   regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function`),
		"cookies":            regexp.MustCompile(`document\.cookie`),
	}
	files, err := fs.ReadDir(static, "static")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		data, err := fs.ReadFile(static, "static/"+f.Name())
		if err != nil {
			t.Fatal(err)
		}
		for what, re := range bad {
			if found := re.Find(data); found != nil {
				t.Errorf("%s has %s: %q", f.Name(), what, found)
			}
		}
		if lines := strings.Count(string(data), "\n"); lines > 500 {
			t.Errorf("%s has %d lines; split it", f.Name(), lines)
		}
	}
}

// TestWordsAreThere looks for the words that pages use and the table lacks,
// and for entries that lack a language.
func TestWordsAreThere(t *testing.T) {
	var table []byte
	for _, name := range []string{"words.js", "words-desk.js", "words-shift.js"} {
		part, err := fs.ReadFile(static, "static/"+name)
		if err != nil {
			t.Fatal(err)
		}
		table = append(table, part...)
	}
	have := map[string]bool{}
	entry := regexp.MustCompile(`(?m)^  (\w+): \["((?:[^"\\]|\\.)+)", "((?:[^"\\]|\\.)+)"\],?$`)
	holes := regexp.MustCompile(`\{\w+\}`)
	for _, m := range entry.FindAllStringSubmatch(string(table), -1) {
		have[m[1]] = true
		if zh, en := strings.Join(holes.FindAllString(m[2], -1), ""), strings.Join(holes.FindAllString(m[3], -1), ""); zh != en {
			t.Errorf("%s has %s in Chinese and %s in English", m[1], zh, en)
		}
	}
	if n := strings.Count(string(table), `: ["`); n != len(have) || n < 50 {
		t.Fatalf("%d entries, %d of them well-formed", n, len(have))
	}
	uses := regexp.MustCompile(`(?:\bword\("|data-word="|\bput\("|\brow\(")(\w+)"`)
	for _, name := range []string{"cashier.html", "cashier.js", "cashier-order.js", "cashier-form.js", "cashier-queue.js", "cashier-keys.js", "cashier-unbooked.js", "kiosk.html", "kiosk.js", "kiosk-voice.js", "common.js", "refund.html", "refund.js", "refund-case.js", "refund-people.js", "shift.html", "shift.js", "shift-sheet.js"} {
		data, err := fs.ReadFile(static, "static/"+name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range uses.FindAllStringSubmatch(string(data), -1) {
			if !have[m[1]] && !strings.HasPrefix(m[1], "o_") {
				t.Errorf("%s uses the word %q, which words.js lacks", name, m[1])
			}
		}
	}
}
