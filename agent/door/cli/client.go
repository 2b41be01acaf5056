package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"
)

const (
	patience  = 8 * time.Second  // for an agent that starts again just now
	answering = 15 * time.Second // for one answer, besides a long poll's wait
	longPoll  = 30 * time.Second
	maxAnswer = 4 << 20
)

// client speaks to one agent.
type client struct {
	base, token string
	http        *http.Client
	until       time.Time // when following ends
}

// answer is what came back.
type answer struct {
	status int
	retry  string
	body   []byte
}

func newClient(t Target, ca string) (*client, error) {
	u, err := url.Parse(t.Address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path != "" && u.Path != "/" || u.User != nil {
		return nil, fmt.Errorf("%w: --address is http://host:port or https://host:port", errUsage)
	}
	token, err := t.Token()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUsage, err)
	}
	tr := &http.Transport{Proxy: nil, DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		pool := x509.NewCertPool()
		if err != nil || !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%w: --ca names no file with certificates", errUsage)
		}
		tr.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client{base: u.Scheme + "://" + u.Host, token: token, http: &http.Client{Transport: tr, CheckRedirect: stay}}, nil
}

// once sends one request.
func (c *client) once(ctx context.Context, limit time.Duration, method, path, key string, body []byte) (answer, error) {
	ctx, stop := context.WithTimeout(ctx, limit)
	defer stop()
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // the address is no news and may name an order
		}
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return answer{}, err
	}
	if !json.Valid(data) {
		return answer{}, fmt.Errorf("what answered at %s is no agent: its answer (status %d) is no JSON", c.base, resp.StatusCode)
	}
	return answer{status: resp.StatusCode, retry: resp.Header.Get("Retry-After"), body: data}, nil
}

// insist repeats a request, with the same key, while nobody answers or the
// agent says that it is just stopping: up to patience or the wait.
func (c *client) insist(ctx context.Context, method, path, key string, body []byte) (answer, error) {
	end := time.Now().Add(patience)
	for pause := 250 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		a, err := c.once(ctx, answering, method, path, key, body)
		code := a.problem().Code
		if err == nil && code != "shutting_down" && code != "store_stopped" && code != "too_many_requests" {
			return a, nil
		}
		if time.Now().Add(pause).After(end) || !rest(ctx, pause) {
			return a, err
		}
	}
}

// rest pauses; false if the command is to end.
func rest(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// look waits for an order's next change and gives it; nil when the wait is
// over. An agent that does not answer meanwhile is asked again.
func (c *client) look(ctx context.Context, o order) *order {
	for {
		left := time.Until(c.until)
		if left <= 0 || ctx.Err() != nil {
			return nil
		}
		wait := min(left, longPoll)
		q := url.Values{"rev": {strconv.Itoa(o.Rev)}, "wait": {strconv.FormatInt(max(1, wait.Milliseconds()), 10) + "ms"}}
		a, err := c.once(ctx, wait+answering, http.MethodGet, "/v1/orders/"+url.PathEscape(o.No)+"?"+q.Encode(), "", nil)
		if err == nil && a.status == http.StatusOK {
			if next, err := readOrder(a.body); err == nil && next.Rev != o.Rev {
				return &next
			}
			continue
		}
		if !rest(ctx, min(max(0, time.Until(c.until)), time.Second)) {
			return nil
		}
	}
}
