package uplinktest_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/http/httpproxy"

	"payagent/uplink"
	"payagent/uplink/uplinktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// way is a small right member; each field breaks one thing in it.
type way struct {
	t     uplinktest.Target
	roots *x509.CertPool

	retries        bool // asks again after an error
	retries5xx     bool // asks again after 503
	follows        bool // follows redirects
	environment    bool // takes proxies from the environment
	trustsAll      bool // verifies nothing
	systemRoots    bool // believes the environment's authority too
	oldTLS         bool // accepts TLS 1.1
	saysNotSent    bool // calls every error NotSent
	neverNotSent   bool // calls no error NotSent
	hidesCut       bool // gives a cut answer as a whole one
	softEnd        bool // takes a cut TLS connection for the end of an answer
	unpacks        bool // asks for packed answers and unpacks them
	anyHost        bool // sends to any host
	pools          bool // keeps connections, and pays on them
	deafToContext  bool // ignores the context
	deafToClose    bool // goes on after Close
	leavesBody     bool // does not close the request's body
	reachNothing   bool // Reach is always glad
	reachAsks      bool // Reach sends a request
	forgetsHeader  bool // drops the SOAP action
	mixes          bool // gives an answer to whoever asks next
	closeSetsAlive bool // Close leaves running calls alone
	sendsTooLarge  bool // sends what is longer than it can carry

	mu      sync.Mutex
	closed  bool
	pool    *http.Transport
	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup
	kept    []byte
}

// carries is the longest body that a way here takes.
const carries = 1 << 20

func open(t uplinktest.Target, tune func(*way)) (uplink.Route, func(), error) {
	w := &way{t: t, roots: x509.NewCertPool()}
	w.roots.AppendCertsFromPEM(t.CAPEM)
	w.ctx, w.stop = context.WithCancel(context.Background())
	tune(w)
	if w.systemRoots {
		// What crypto/x509 does by itself, but once per process only.
		pem, _ := os.ReadFile(os.Getenv("SSL_CERT_FILE"))
		w.roots.AppendCertsFromPEM(pem)
	}
	w.pool = w.transport(nil)
	return w, nil, nil
}

// dial gives a fresh connection, TLS included.
func (w *way) dial(ctx context.Context) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", w.t.Address)
	if err != nil || strings.HasPrefix(w.t.URL, "http:") {
		return c, err
	}
	u, err := url.Parse(w.t.URL)
	if err != nil {
		return nil, err
	}
	conf := &tls.Config{RootCAs: w.roots, ServerName: u.Hostname(), MinVersion: tls.VersionTLS12, InsecureSkipVerify: w.trustsAll}
	if w.oldTLS {
		conf.MinVersion = tls.VersionTLS10
	}
	raw := &ending{Conn: c}
	s := tls.Client(raw, conf)
	if err := s.HandshakeContext(ctx); err != nil {
		_ = c.Close()
		return nil, err
	}
	if w.softEnd {
		return s, nil
	}
	return &strict{Conn: s, raw: raw}, nil
}

type ending struct {
	net.Conn
	mu    sync.Mutex
	ended bool
}

func (e *ending) Read(p []byte) (int, error) {
	n, err := e.Conn.Read(p)
	if err != nil {
		e.mu.Lock()
		e.ended = true
		e.mu.Unlock()
	}
	return n, err
}

type strict struct {
	net.Conn
	raw *ending
}

func (s *strict) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	s.raw.mu.Lock()
	defer s.raw.mu.Unlock()
	if errors.Is(err, io.EOF) && s.raw.ended {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (w *way) transport(conn net.Conn) *http.Transport {
	tr := &http.Transport{DisableKeepAlives: !w.pools, DisableCompression: !w.unpacks, MaxResponseHeaderBytes: 32 << 10}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		if conn != nil {
			return conn, nil
		}
		return w.dial(ctx)
	}
	tr.DialContext, tr.DialTLSContext = dial, dial
	return tr
}

func (w *way) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil && !w.leavesBody {
		defer func() { _ = req.Body.Close() }()
	}
	fail := func(err error, early bool) (*http.Response, error) {
		if (early && !w.neverNotSent) || w.saysNotSent {
			return nil, &uplink.NotSent{Err: err}
		}
		return nil, err
	}
	w.mu.Lock()
	closed := w.closed && !w.deafToClose
	if !closed {
		w.running.Add(1)
		defer w.running.Done()
	}
	w.mu.Unlock()
	if closed {
		return fail(errors.New("closed"), true)
	}
	u, err := url.Parse(w.t.URL)
	if err != nil {
		return nil, err
	}
	if !w.anyHost && (req.URL.Host != u.Host || req.Host != u.Host) {
		return fail(errors.New("another host"), true)
	}
	ctx, cancel := context.WithCancel(req.Context())
	if w.deafToContext {
		ctx, cancel = context.WithCancel(context.WithoutCancel(req.Context()))
	}
	defer cancel()
	if !w.closeSetsAlive {
		defer context.AfterFunc(w.ctx, cancel)()
	}
	out := req.Clone(ctx)
	if !w.retries {
		out.GetBody = nil
	}
	if w.leavesBody && out.Body != nil {
		out.Body = io.NopCloser(out.Body)
	}
	if w.forgetsHeader {
		out.Header.Del("SOAPAction")
	}
	if out.ContentLength > carries && !w.sendsTooLarge {
		return fail(errors.New("too long"), true)
	}
	resp, early, err := w.once(out)
	for range 2 {
		again := err != nil && w.retries || err == nil && w.retries5xx && resp.StatusCode == 503
		if !again || req.GetBody == nil {
			break
		}
		out.Body, _ = req.GetBody()
		resp, early, err = w.once(out)
	}
	if err == nil && w.follows && resp.StatusCode/100 == 3 {
		if to, lerr := resp.Location(); lerr == nil {
			next, _ := http.NewRequestWithContext(ctx, http.MethodGet, to.String(), nil)
			resp, early, err = w.once(next)
		}
	}
	if err != nil {
		return fail(err, early)
	}
	if w.mixes {
		w.mu.Lock()
		body, _ := io.ReadAll(resp.Body)
		body, w.kept = w.kept, body
		if body == nil {
			body = w.kept
		}
		w.mu.Unlock()
		resp.Body = io.NopCloser(strings.NewReader(string(body)))
	}
	return resp, nil
}

// once tries one time and tells whether it failed before anything was written.
func (w *way) once(req *http.Request) (*http.Response, bool, error) {
	if err := req.Context().Err(); err != nil {
		return nil, true, err
	}
	var tr *http.Transport
	if w.pools {
		tr = w.pool
		req.Close = false
	} else {
		conn, err := w.dial(req.Context())
		if err != nil {
			return nil, true, err
		}
		defer func() { _ = conn.Close() }()
		tr = w.transport(conn)
	}
	if w.environment {
		proxy := httpproxy.FromEnvironment().ProxyFunc()
		tr = w.transport(nil)
		tr.DialContext = new(net.Dialer).DialContext
		tr.Proxy = func(r *http.Request) (*url.URL, error) { return proxy(r.URL) }
	}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return nil, false, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return nil, false, errors.New("unasked")
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil && !w.hidesCut {
		return nil, false, err
	}
	resp.Body = io.NopCloser(strings.NewReader(string(body)))
	return resp, false, nil
}

func (w *way) Reach(ctx context.Context) error {
	if w.reachNothing {
		return nil
	}
	w.mu.Lock()
	closed := w.closed && !w.deafToClose
	w.mu.Unlock()
	if closed {
		return errors.New("closed")
	}
	if w.reachAsks {
		req, err := http.NewRequestWithContext(ctx, http.MethodHead, w.t.URL+"/", nil)
		if err != nil {
			return err
		}
		_, _, err = w.once(req)
		return err
	}
	c, err := w.dial(ctx)
	if err == nil {
		_ = c.Close()
	}
	return err
}

func (w *way) Close() error {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	if !w.closeSetsAlive {
		w.stop()
		if !w.deafToContext {
			w.running.Wait()
		}
	}
	w.pool.CloseIdleConnections()
	return nil
}

// TestRightWayPasses: the reference has no fault, so each failure below is
// its broken rule.
func TestRightWayPasses(t *testing.T) {
	for _, plain := range []bool{false, true} {
		uplinktest.Test(t, uplinktest.Member{Plain: plain, MaxBody: carries, Open: func(g uplinktest.Target) (uplink.Route, func(), error) {
			return open(g, func(*way) {})
		}})
	}
}

// TestWrongWays: every broken rule fails the case that names it.
func TestWrongWays(t *testing.T) {
	cases := map[string]uplinktest.Case{}
	for _, c := range uplinktest.Cases() {
		if c.Rule == "" || cases[c.Name].Name != "" {
			t.Fatalf("case %q has no rule or stands twice", c.Name)
		}
		cases[c.Name] = c
	}
	for name, w := range map[string]struct {
		tune func(*way)
		want []string
	}{
		"retries":                  {func(w *way) { w.retries = true }, []string{"lost-reply", "reset"}},
		"retries after 503":        {func(w *way) { w.retries5xx = true }, []string{"server-busy"}},
		"follows redirects":        {func(w *way) { w.follows = true }, []string{"redirect"}},
		"proxies of environment":   {func(w *way) { w.environment = true }, []string{"environment"}},
		"trusts everybody":         {func(w *way) { w.trustsAll = true }, []string{"wrong-authority", "wrong-name", "expired"}},
		"authority of environment": {func(w *way) { w.systemRoots = true }, []string{"environment-authority"}},
		"old TLS":                  {func(w *way) { w.oldTLS = true }, []string{"old-tls"}},
		"says NotSent":             {func(w *way) { w.saysNotSent = true }, []string{"lost-reply", "reset", "reset-early", "silent", "canceled", "cut-length"}},
		"never says NotSent":       {func(w *way) { w.neverNotSent = true }, []string{"refused", "too-late", "wrong-authority", "closed"}},
		"hides a cut body":         {func(w *way) { w.hidesCut = true }, []string{"cut-length", "cut-chunk"}},
		"takes a cut for an end":   {func(w *way) { w.softEnd = true }, []string{"cut-close"}},
		"unpacks":                  {func(w *way) { w.unpacks = true }, []string{"unchanged"}},
		"sends anywhere":           {func(w *way) { w.anyHost = true }, []string{"other-host"}},
		"pays on old connections":  {func(w *way) { w.pools = true }, []string{"own-connection"}},
		"goes on after Close":      {func(w *way) { w.deafToClose = true }, []string{"closed"}},
		"leaves the body open":     {func(w *way) { w.leavesBody = true }, []string{"body-closed"}},
		"Reach looks at nothing":   {func(w *way) { w.reachNothing = true }, []string{"reach-down", "wrong-authority"}},
		"Reach sends a request":    {func(w *way) { w.reachAsks = true }, []string{"reach"}},
		"forgets a header":         {func(w *way) { w.forgetsHeader = true }, []string{"unchanged"}},
		"mixes answers up":         {func(w *way) { w.mixes = true }, []string{"double-answer"}},
		"Close leaves calls":       {func(w *way) { w.closeSetsAlive = true }, []string{"close-ends"}},
		"sends what is too long":   {func(w *way) { w.sendsTooLarge = true }, []string{"too-large"}},
		"deaf to the context":      {func(w *way) { w.deafToContext = true }, []string{"canceled"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, want := range w.want {
				m := uplinktest.Member{Hang: patience(want), MaxBody: carries, Open: func(g uplinktest.Target) (uplink.Route, func(), error) { return open(g, w.tune) }}
				err := uplinktest.Run(m, cases[want])
				if err == nil {
					t.Errorf("passes %q: %s", want, cases[want].Rule)
				} else if !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), cases[want].Rule) {
					t.Errorf("the failure does not name its rule: %v", err)
				}
			}
		})
	}
}

// patience shortens the hang guard where the fault is to hang; the verdict
// does not depend on it.
func patience(name string) time.Duration {
	if slices.Contains([]string{"canceled", "close-ends", "body-closed"}, name) {
		return 500 * time.Millisecond
	}
	return 0
}
