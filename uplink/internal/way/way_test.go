package way

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
)

func TestHosts(t *testing.T) {
	for address, want := range map[string]string{
		"https://pay.example.com/x":     "https://pay.example.com:443",
		"HTTPS://PAY.example.com:443":   "https://pay.example.com:443",
		"http://Pay.example.com":        "http://pay.example.com:80",
		"http://[::1]/":                 "http://[::1]:80",
		"https://pay.example.com:8443/": "https://pay.example.com:8443",
	} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if got := Base(u); got != want {
			t.Errorf("%s is at %s, want %s", address, got, want)
		}
	}
}

func TestMine(t *testing.T) {
	for address, ok := range map[string]bool{
		"https://pay.example.com/x":        true,
		"https://PAY.example.com:443/":     true,
		"https://pay.example.com:8443/":    false,
		"http://pay.example.com:443/":      false,
		"https://user@pay.example.com/":    false,
		"https://pay.example.com.evil.org": false,
	} {
		req, err := http.NewRequest("GET", address, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := Mine(req, "https://pay.example.com:443"); (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
	}
	req, _ := http.NewRequest("GET", "https://pay.example.com/", nil)
	req.Host = "elsewhere.example.com"
	if Mine(req, "https://pay.example.com:443") == nil {
		t.Error("another Host header was taken")
	}
	if Mine(&http.Request{}, "https://pay.example.com:443") == nil {
		t.Error("a request without an address was taken")
	}
}

// TestCalls: Close ends what runs with its cause, waits for it, and nothing
// begins afterwards.
func TestCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewCalls()
		over, end := context.WithCancelCause(t.Context())
		mine := errors.New("mine")
		end(mine)
		if _, _, err := c.Begin(over); !errors.Is(err, mine) {
			t.Error("a call began with a context that was over:", err)
		}
		ctx, done, err := c.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		closed := false
		go func() {
			c.Close()
			closed = true
		}()
		<-ctx.Done()
		if !errors.Is(context.Cause(ctx), ErrClosed) {
			t.Error(context.Cause(ctx))
		}
		synctest.Wait()
		if closed {
			t.Error("Close did not wait for the call")
		}
		done()
		synctest.Wait()
		if !closed {
			t.Error("Close waits for nothing")
		}
		if _, _, err := c.Begin(t.Context()); !errors.Is(err, ErrClosed) {
			t.Error("a call began after Close:", err)
		}
		c.Close()
	})
}
