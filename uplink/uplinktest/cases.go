package uplinktest

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Cases gives the whole suite. The one about the environment comes first,
// because net/http reads the environment's proxies once per process.
func Cases() []Case {
	list := []Case{
		{Name: "environment", Rule: "no proxy is taken from the process's environment", Run: environment},
		{Name: "environment-authority", Rule: "no authority is taken from the process's environment", TLS: true, Run: environmentAuthority},
		{Name: "unchanged", Rule: "a request arrives as it was given, and so does its answer", Run: unchanged},
		{Name: "get", Rule: "a request without a body arrives without one", Run: get},
		{Name: "packed", Rule: "an answer's bytes are not unpacked", Run: packed},
		{Name: "chunked", Rule: "an answer in chunks comes whole", Run: func(w *World) error { return simple(w, "/chunked", 200, "abcdef") }},
		{Name: "early-hints", Rule: "an interim answer is not the answer", Run: func(w *World) error { return simple(w, "/early-hints", 200, "final") }},
		{Name: "own-connection", Rule: "a request with Close set never rides on a connection that was used before", Run: ownConnection},
		{Name: "large-body", Rule: "a large request arrives whole", Run: largeBody},
		{Name: "parallel", Rule: "each of many requests at once gets its own answer", Run: parallel},
		{Name: "double-answer", Rule: "an answer that nobody asked for is never given to the next request", Run: doubleAnswer},
		{Name: "lost-reply", Rule: "a request whose reply was lost is written once and its outcome is unknown", Run: func(w *World) error { return lost(w, "/drop") }},
		{Name: "reset", Rule: "a request that ended with a reset is written once and its outcome is unknown", Run: func(w *World) error { return lost(w, "/reset") }},
		{Name: "lost-after-good", Rule: "a reply lost on a connection that worked before is not asked for again", Run: lostAfterGood},
		{Name: "reset-early", Rule: "a reset in the middle of a request leaves its outcome unknown", Run: resetEarly},
		{Name: "too-large", Rule: "a request that is longer than the way can carry is refused before anything is sent", Run: tooLarge},
		{Name: "silent", Rule: "a platform that does not answer leaves the outcome unknown when the context ends", Run: silent},
		{Name: "canceled", Rule: "a call ends when its context does", Run: canceled},
		{Name: "too-late", Rule: "a context that has ended already sends nothing and says so", Run: tooLate},
		{Name: "redirect", Rule: "a redirect is an answer and is not followed", Run: redirect},
		{Name: "server-busy", Rule: "an answer of 408, 425, 500 or 503 is given back and nothing is tried again", Run: busy},
		{Name: "garbage", Rule: "an answer that is not HTTP is an error and its outcome unknown", Run: func(w *World) error { return broken(w, "/garbage") }},
		{Name: "switch", Rule: "a change of protocol is an error and its outcome unknown", Run: func(w *World) error { return broken(w, "/switch") }},
		{Name: "cut-head", Rule: "an answer that is cut in its head is an error", Run: func(w *World) error { return broken(w, "/cut-head") }},
		{Name: "cut-length", Rule: "an answer shorter than its length is an error, never a short answer", Run: func(w *World) error { return broken(w, "/cut-length") }},
		{Name: "cut-chunk", Rule: "an answer without its last chunk is an error, never a short answer", Run: func(w *World) error { return broken(w, "/cut-chunk") }},
		{Name: "cut-close", Rule: "an answer whose TLS ended without saying so is an error, never a short answer", TLS: true, Run: func(w *World) error { return broken(w, "/cut-close") }},
		{Name: "long-head", Rule: "an endless head is refused", Run: func(w *World) error { return broken(w, "/long-head") }},
		{Name: "refused", Rule: "a platform that nobody plays proves that nothing was sent", Run: refused},
		{Name: "mute-handshake", Rule: "a server that never speaks TLS proves that nothing was sent", TLS: true, Run: muteHandshake},
		{Name: "wrong-authority", Rule: "a server of another authority gets nothing", TLS: true, Run: func(w *World) error { return forged(w, func(s *setup) { s.strange = true }) }},
		{Name: "wrong-name", Rule: "a server with another name gets nothing", TLS: true, Run: func(w *World) error { return forged(w, func(s *setup) { s.name = "other.invalid" }) }},
		{Name: "expired", Rule: "a server whose certificate expired gets nothing", TLS: true, Run: func(w *World) error {
			return forged(w, func(s *setup) { s.notAfter = time.Now().Add(-time.Hour) })
		}},
		{Name: "old-tls", Rule: "a server that speaks nothing newer than TLS 1.1 gets nothing", TLS: true, Run: func(w *World) error { return forged(w, func(s *setup) { s.version = tls.VersionTLS11 }) }},
		{Name: "other-host", Rule: "a request for another host than the way's own is refused", Run: otherHost},
		{Name: "body-closed", Rule: "a request's body is closed, whatever happens", Run: bodyClosed},
		{Name: "reach", Rule: "reaching opens the way and sends no request", Run: reach},
		{Name: "reach-down", Rule: "a platform that is down cannot be reached", Run: reachDown},
		{Name: "closed", Rule: "a closed way sends nothing and says so", Run: closedWay},
		{Name: "close-ends", Rule: "closing ends what is running", Run: closeEnds},
	}
	return list
}

var envMu sync.Mutex // the environment is the process's

func environment(w *World) error {
	envMu.Lock()
	defer envMu.Unlock()
	trap, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	caught := make(chan struct{}, 16)
	go func() {
		for {
			c, err := trap.Accept()
			if err != nil {
				close(caught)
				return
			}
			caught <- struct{}{}
			_ = c.Close()
		}
	}()
	w.cleanup = append(w.cleanup, func() { _ = trap.Close() })
	for _, k := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"} {
		defer setenv(k, "http://"+trap.Addr().String())()
	}
	defer setenv("NO_PROXY", "")()
	defer setenv("no_proxy", "")()
	if err := w.start(); err != nil {
		return err
	}
	got, err := w.ask(w.Ctx, http.MethodPost, "/echo", "hello")
	_ = trap.Close()
	for range caught {
		return errors.New("a proxy of the environment was called")
	}
	if err != nil {
		return err
	}
	if got.body != "you said hello" {
		return fmt.Errorf("another answer came: %q", got.body)
	}
	if uri := w.Platform.Seen()[0].URI; uri != "/echo" {
		return fmt.Errorf("the request was written as for a proxy: %q", uri)
	}
	return nil
}

// setenv sets a variable and gives the way back.
func setenv(k, v string) func() {
	old, had := os.LookupEnv(k)
	_ = os.Setenv(k, v)
	return func() {
		if had {
			_ = os.Setenv(k, old)
		} else {
			_ = os.Unsetenv(k)
		}
	}
}

// environmentAuthority hands out an authority that did not sign the server's
// certificate, and lets the environment name the one that did.
func environmentAuthority(w *World) error {
	envMu.Lock()
	defer envMu.Unlock()
	p, err := newPlatform(false, func(s *setup) { s.strange = true })
	if err != nil {
		return err
	}
	w.Platform = p
	w.cleanup = append(w.cleanup, p.close)
	dir, err := os.MkdirTemp("", "authority")
	if err != nil {
		return err
	}
	w.cleanup = append(w.cleanup, func() { _ = os.RemoveAll(dir) })
	file := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(file, p.signer, 0o600); err != nil {
		return err
	}
	defer setenv("SSL_CERT_FILE", file)()
	defer setenv("SSL_CERT_DIR", dir)()
	if err := w.open(p.target(w.member.ByNumber)); err != nil {
		return err
	}
	_, err = w.ask(w.Ctx, http.MethodPost, "/echo", "pay")
	return w.wantNotSent(err)
}

func unchanged(w *World) error {
	if err := w.start(); err != nil {
		return err
	}
	body := "<xml>门诊缴费\x00\xff</xml>"
	got, err := w.ask(w.Ctx, http.MethodPost, "/a/b;c?x=1&y=%2F", body, func(r *http.Request) {
		r.Header.Set("SOAPAction", `"http://tempuri.org/FWC_IF_Barcode_Pay"`)
		r.Header.Set("Content-Type", "text/xml; charset=utf-8")
	})
	if err != nil {
		return err
	}
	if got.status != 200 || got.body != "you said "+body || got.header.Get("X-Echo") != "yes" {
		return fmt.Errorf("another answer came: %d %q", got.status, got.body)
	}
	seen := w.Platform.Seen()
	if len(seen) != 1 {
		return fmt.Errorf("the platform saw %d requests", len(seen))
	}
	s := seen[0]
	host := strings.SplitN(w.Platform.target(w.member.ByNumber).URL, "//", 2)[1]
	switch {
	case s.Method != http.MethodPost || s.URI != "/a/b;c?x=1&y=%2F":
		return fmt.Errorf("it arrived as %s %s", s.Method, s.URI)
	case s.Body != body:
		return fmt.Errorf("the body arrived as %q", s.Body)
	case s.Host != host:
		return fmt.Errorf("the host arrived as %q, not %q", s.Host, host)
	case s.Header.Get("SOAPAction") != `"http://tempuri.org/FWC_IF_Barcode_Pay"`:
		return fmt.Errorf("the action arrived as %q", s.Header.Get("SOAPAction"))
	}
	for _, k := range []string{"Accept-Encoding", "Proxy-Authorization", "Proxy-Connection", "Authorization", "Cookie", "Referer"} {
		if v, ok := s.Header[k]; ok {
			return fmt.Errorf("a header %s was added: %q", k, v)
		}
	}
	return nil
}

func get(w *World) error {
	if err := w.start(); err != nil {
		return err
	}
	if _, err := w.ask(w.Ctx, http.MethodGet, "/echo", ""); err != nil {
		return err
	}
	if s := w.Platform.Seen()[0]; s.Body != "" || s.Method != http.MethodGet || s.Header.Get("Transfer-Encoding") != "" {
		return fmt.Errorf("it arrived as %s with a body of %d bytes", s.Method, len(s.Body))
	}
	return nil
}

func simple(w *World, path string, status int, body string) error {
	if err := w.start(); err != nil {
		return err
	}
	got, err := w.ask(w.Ctx, http.MethodPost, path, "x")
	if err != nil {
		return err
	}
	if got.status != status || got.body != body {
		return fmt.Errorf("the answer is %d %q, not %d %q", got.status, got.body, status, body)
	}
	return nil
}

func packed(w *World) error { return simple(w, "/packed", 200, "\x1f\x8b\x08\x00") }

func ownConnection(w *World) error {
	if err := w.start(); err != nil {
		return err
	}
	for range 3 {
		if _, err := w.ask(w.Ctx, http.MethodPost, "/query", "q"); err != nil {
			return err
		}
		if _, err := w.ask(w.Ctx, http.MethodPost, "/pay", "p", own); err != nil {
			return err
		}
	}
	used := map[int]int{}
	for _, s := range w.Platform.Seen() {
		if s.URI == "/pay" && used[s.Conn] > 0 {
			return errors.New("a pay request came on a connection that was used before")
		}
		used[s.Conn]++
	}
	return nil
}

func largeBody(w *World) error {
	if err := w.start(); err != nil {
		return err
	}
	body := strings.Repeat("0123456789abcdef", 16<<10)
	got, err := w.ask(w.Ctx, http.MethodPost, "/echo", body)
	if err != nil {
		return err
	}
	if got.body != "you said "+body {
		return fmt.Errorf("the echo has %d bytes, not %d", len(got.body), len(body))
	}
	return nil
}

func parallel(w *World) error {
	if err := w.start(); err != nil {
		return err
	}
	const n = 32
	errs := make(chan error, n)
	for i := range n {
		go func() {
			text := fmt.Sprintf("order %d", i)
			got, err := w.ask(w.Ctx, http.MethodPost, "/echo", text, func(r *http.Request) { r.Close = i%2 == 0 })
			if err == nil && got.body != "you said "+text {
				err = fmt.Errorf("%q got the answer %q", text, got.body)
			}
			errs <- err
		}()
	}
	var first error
	for range n {
		if err := <-errs; err != nil && first == nil {
			first = err
		}
	}
	if first != nil {
		return first
	}
	if got := len(w.Platform.Seen()); got != n {
		return fmt.Errorf("the platform saw %d requests, not %d", got, n)
	}
	return nil
}

func doubleAnswer(w *World) error {
	if err := w.start(); err != nil {
		return err
	}
	got, err := w.ask(w.Ctx, http.MethodPost, "/double", "x")
	if err != nil || got.body != "first" {
		return fmt.Errorf("the first answer is %q, %w", got.body, err)
	}
	if got, err = w.ask(w.Ctx, http.MethodPost, "/echo", "second"); err != nil {
		return err
	}
	if got.body != "you said second" {
		return fmt.Errorf("the second request got %q", got.body)
	}
	return nil
}
