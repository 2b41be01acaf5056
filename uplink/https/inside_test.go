package https

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"payagent/uplink"
)

// TestBlackHole: an address from which nothing ever comes back, and a caller
// whose context ends, and a caller who closes the way.
func TestBlackHole(t *testing.T) {
	hole := func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	for name, end := range map[string]func(r *Route, cancel context.CancelFunc){
		"context":      func(_ *Route, cancel context.CancelFunc) { cancel() },
		"close":        func(r *Route, _ context.CancelFunc) { _ = r.Close() },
		"dial timeout": func(*Route, context.CancelFunc) {},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := New(Config{BaseURL: "https://192.0.2.1", DialTimeout: 30 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			if name == "dial timeout" {
				r.dialTimeout = time.Millisecond
			}
			dialling := make(chan struct{})
			r.dial = func(ctx context.Context, n, a string) (net.Conn, error) {
				close(dialling)
				return hole(ctx, n, a)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() {
				<-dialling
				end(r, cancel)
			}()
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://192.0.2.1/pay", strings.NewReader("x"))
			if err != nil {
				t.Fatal(err)
			}
			_, err = r.RoundTrip(req)
			var n *uplink.NotSent
			if !errors.As(err, &n) {
				t.Fatal(err)
			}
			_ = r.Close()
		})
	}
}

// stuck is a connection whose writes wait, then fail.
type stuck struct {
	net.Conn
	entered, release chan struct{}
}

func (s *stuck) Write([]byte) (int, error) {
	close(s.entered)
	<-s.release
	return 0, errors.New("gone")
}

func (s *stuck) Close() error { return nil }

// TestSealing: a write under way counts as sent, a finished one that gave
// nothing to the system does not, and none begins afterwards.
func TestSealing(t *testing.T) {
	s := &stuck{entered: make(chan struct{}), release: make(chan struct{})}
	raw := &counted{Conn: s}
	c := newOnce(raw, raw)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = c.Write([]byte("x"))
	}()
	<-s.entered
	if !c.seal() {
		t.Error("a write under way counts as nothing")
	}
	close(s.release)
	<-ended
	if c.seal() {
		t.Error("a write that the system refused counts as sent")
	}
	if _, err := c.Write([]byte("x")); !errors.Is(err, errSealed) {
		t.Errorf("a write after the verdict: %v", err)
	}
}

// TestOneConnectionPerRequest: what net/http may dial is there once.
func TestOneConnectionPerRequest(t *testing.T) {
	if _, err := handOver(context.Background(), "tcp", "x"); err == nil {
		t.Error("a connection without a request")
	}
	a, b := net.Pipe()
	defer func() { _ = a.Close(); _ = b.Close() }()
	raw := &counted{Conn: a}
	ctx := context.WithValue(context.Background(), connKey{}, &handed{conn: newOnce(raw, raw)})
	if _, err := handOver(ctx, "tcp", "x"); err != nil {
		t.Error(err)
	}
	if _, err := handOver(ctx, "tcp", "x"); err == nil {
		t.Error("a second connection for one request")
	}
}

// TestReadsWait: nothing is read before something was asked.
func TestReadsWait(t *testing.T) {
	a, b := net.Pipe()
	defer func() { _ = b.Close() }()
	raw := &counted{Conn: a}
	c := newOnce(raw, raw)
	got := make(chan error, 1)
	go func() {
		_, err := c.Read(make([]byte, 1))
		got <- err
	}()
	if len(got) != 0 {
		t.Error("a read before the first write")
	}
	_ = c.Close()
	if err := <-got; !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
}

// paper is a connection that was written down: reads come from it, writes go
// nowhere.
type paper struct {
	net.Conn
	rd *bytes.Reader
}

func (p *paper) Read(b []byte) (int, error)  { return p.rd.Read(b) }
func (p *paper) Write(b []byte) (int, error) { return len(b), nil }
func (p *paper) SetDeadline(time.Time) error { return nil }

// FuzzProxyAnswer: whatever a proxy answers, only a whole 2xx head opens the
// tunnel, and no byte behind it is eaten.
func FuzzProxyAnswer(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n\x16\x03\x01",
		"HTTP/1.0 200 OK\r\n\r\n", "HTTP/1.1 407 No\r\nContent-Length: 3\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n", "SSH-2.0\r\n\r\n", "\x05\x00", "",
	} {
		f.Add([]byte(s))
	}
	r, err := New(Config{BaseURL: "https://192.0.2.1", Proxy: Proxy{Kind: ProxyConnect, Address: "192.0.2.2:8080", User: "box", Password: NewPassword("s3cret")}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		conn := &paper{rd: bytes.NewReader(answer)}
		err := r.connect(context.Background(), conn)
		if err != nil {
			if strings.Contains(err.Error(), "s3cret") {
				t.Fatal("the password shows")
			}
			return
		}
		head, rest, found := bytes.Cut(answer, []byte("\r\n\r\n"))
		if !found || conn.rd.Len() != len(rest) || len(head) > maxProxyHead {
			t.Fatalf("%q opened a tunnel with %d bytes left", answer, conn.rd.Len())
		}
		if !bytes.Contains(head, []byte(" 2")) {
			t.Fatalf("%q opened a tunnel", answer)
		}
	})
}
