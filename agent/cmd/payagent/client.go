package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"payagent/agent/config"
	"payagent/agent/door/cli"
	"payagent/agent/seal"
	"payagent/platforms"
)

// client asks the door: that of the running agent, or, when none runs, the
// same door over the store opened here. Either way the answers are the same.
type client struct {
	base  string
	token platforms.Hidden
	rt    http.RoundTripper
	close func() error
}

// newClient finds the agent. The token is the first one, so these commands
// work for whoever may read data_dir.
func newClient(c config.Config) (*client, error) {
	token, _, err := seal.ReadSecret(firstToken(c))
	if err != nil {
		return nil, fmt.Errorf("cannot ask the agent: %w; run this as the agent's user, after its first start", err)
	}
	return &client{base: loopback(c), token: token, rt: &http.Transport{Proxy: nil}, close: func() error { return nil }}, nil
}

// loopback is the door's address on this machine.
func loopback(c config.Config) string {
	for _, listen := range c.Door.Listen {
		if ip := hostOf(listen); ip.IsLoopback() {
			return "http://" + listen
		}
	}
	return "http://127.0.0.1:8780"
}

// doorOf is where the agent of a configuration is, for package cli.
func doorOf(file string) (cli.Target, error) {
	c, err := loadConfig(file)
	if err != nil {
		return cli.Target{}, err
	}
	return cli.Target{Address: loopback(c), Token: func() (string, error) {
		token, _, err := seal.ReadSecret(firstToken(c))
		if err != nil {
			err = fmt.Errorf("cannot ask the agent: %w; run this as the agent's user, after its first start, or name a token of its own with --address and --token-file", err)
		}
		return token.Reveal(), err
	}}, nil
}

func hostOf(listen string) net.IP {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return nil
	}
	return net.ParseIP(host)
}

// offline replaces the network by a door over the store, opened here.
func (cl *client) offline(c config.Config) error {
	b, err := assemble(c, slog.New(slog.DiscardHandler), storeOnly)
	if err != nil {
		return err
	}
	if err := b.agent.Preload(); err != nil {
		return errors.Join(err, b.Close())
	}
	cl.rt, cl.close = inProcess{b.door()}, b.Close
	return nil
}

// inProcess calls a handler without a socket.
type inProcess struct{ h http.Handler }

type recorder struct {
	head   http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header { return r.head }
func (r *recorder) WriteHeader(s int)   { r.status = s }
func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.body.Write(p)
}

// RoundTrip runs the handler.
func (t inProcess) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	rec := &recorder{head: http.Header{}}
	defer func() {
		// A handler that breaks its answer off does so by this panic.
		if v := recover(); v == http.ErrAbortHandler { //nolint:errorlint // net/http compares so, too
			resp, err = nil, errors.New("the answer was broken off")
		} else if v != nil {
			panic(v)
		}
	}()
	if r.Body == nil {
		r.Body = http.NoBody
	}
	r.RemoteAddr, r.Host = "127.0.0.1:0", r.URL.Host
	t.h.ServeHTTP(rec, r)
	return &http.Response{StatusCode: rec.status, Header: rec.head, Body: io.NopCloser(&rec.body), Request: r}, nil
}

// ask sends one request and gives the body of a good answer.
func (cl *client) ask(ctx context.Context, c config.Config, method, path string) ([]byte, error) {
	data, err := cl.once(ctx, method, path)
	if !refused(err) {
		return data, err
	}
	if method != http.MethodGet {
		return nil, errors.New("cannot do that: the agent does not run; start it first")
	}
	if err := cl.offline(c); err != nil {
		return nil, err
	}
	return cl.once(ctx, method, path)
}

func (cl *client) once(ctx context.Context, method, path string) ([]byte, error) {
	return cl.send(ctx, method, path, nil)
}

// send is once with a JSON body.
func (cl *client) send(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	ctx, stop := context.WithTimeout(ctx, 15*time.Second)
	defer stop()
	r, err := http.NewRequestWithContext(ctx, method, cl.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(cl.token.Reveal()))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := cl.rt.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 300 {
		return nil, refusal(resp.Status, data)
	}
	return data, nil
}

// refusal is the error that an answer stands for.
func refusal(status string, data []byte) error {
	var p struct{ Code, Title, Field, Reason string }
	switch {
	case json.Unmarshal(data, &p) != nil || p.Code == "":
		return fmt.Errorf("cannot do that: the agent answered %s", status)
	case p.Field != "":
		return fmt.Errorf("cannot do that: %s: %s (%s)", p.Field, p.Reason, p.Code)
	}
	return fmt.Errorf("cannot do that: %s (%s)", p.Title, p.Code)
}
