package uplinktest

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Seen is one request that the platform read (its head at least).
type Seen struct {
	Conn   int // which connection, counted from 1
	Method string
	URI    string // the request line's target, as it was written
	Host   string
	Header http.Header
	Body   string
}

// Platform is the other side: a server on loopback that notes all it sees and
// misbehaves by path.
type Platform struct {
	plain  bool
	mute   bool
	ln     net.Listener
	conf   *tls.Config
	ca     []byte // handed out
	signer []byte // who signed the certificate

	mu      sync.Mutex
	seen    []Seen
	conns   map[net.Conn]bool
	opened  int
	closed  bool
	arrived chan struct{} // one token for each request whose head was read
	done    chan struct{}
	wg      sync.WaitGroup
}

type option func(*setup)

// setup is what is wrong with the platform.
type setup struct {
	name     string
	notAfter time.Time
	strange  bool   // the authority handed out is another one
	version  uint16 // highest TLS version
	mute     bool   // accepts and says nothing, not even TLS
}

func newPlatform(plain bool, opts ...option) (*Platform, error) {
	s := setup{name: Name, notAfter: time.Now().Add(24 * time.Hour)}
	for _, o := range opts {
		o(&s)
	}
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Platform{plain: plain, mute: s.mute, ln: ln, conns: map[net.Conn]bool{}, arrived: make(chan struct{}, 1024), done: make(chan struct{})}
	if !plain {
		cert, ca, err := certificate(s)
		if err != nil {
			_ = ln.Close()
			return nil, err
		}
		p.conf = &tls.Config{Certificates: []tls.Certificate{cert}, MaxVersion: s.version}
		if s.version != 0 {
			p.conf.MinVersion = tls.VersionTLS10
		}
		p.ca, p.signer = ca, ca
		if s.strange {
			if _, p.ca, err = certificate(s); err != nil {
				_ = ln.Close()
				return nil, err
			}
		}
	}
	p.wg.Go(func() { p.accept() })
	return p, nil
}

func (p *Platform) target(byNumber bool) Target {
	address := p.ln.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	host, scheme := net.JoinHostPort(Name, port), "https"
	if byNumber {
		host = address
	}
	if p.plain {
		scheme = "http"
	}
	return Target{URL: scheme + "://" + host, Address: address, CAPEM: p.ca, Mute: p.mute}
}

// Seen gives the requests in the order in which their heads were read.
func (p *Platform) Seen() []Seen {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Seen(nil), p.seen...)
}

func (p *Platform) close() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.closed = true
	close(p.done)
	_ = p.ln.Close()
	for c := range p.conns {
		_ = c.Close()
	}
	p.mu.Unlock()
	p.wg.Wait()
}

func (p *Platform) accept() {
	for {
		conn, err := p.ln.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			_ = conn.Close()
			return
		}
		p.opened++
		id := p.opened
		p.conns[conn] = true
		p.mu.Unlock()
		p.wg.Go(func() {
			defer func() {
				_ = conn.Close()
				p.mu.Lock()
				delete(p.conns, conn)
				p.mu.Unlock()
			}()
			if p.mute {
				// Not a word; what arrives is read so that nothing backs up.
				_, _ = io.Copy(io.Discard, conn)
				return
			}
			p.serve(id, conn)
		})
	}
}

func (p *Platform) serve(id int, tcp net.Conn) {
	conn := tcp
	if p.conf != nil {
		secure := tls.Server(tcp, p.conf)
		if secure.Handshake() != nil {
			return
		}
		conn = secure
	}
	rd := bufio.NewReader(conn)
	for {
		req, err := http.ReadRequest(rd)
		if err != nil {
			return
		}
		p.mu.Lock()
		n := len(p.seen)
		p.seen = append(p.seen, Seen{Conn: id, Method: req.Method, URI: req.RequestURI, Host: req.Host, Header: req.Header})
		p.mu.Unlock()
		path := req.URL.Path
		if path == "/reset-early" {
			// The head was read, the body was not: RST.
			p.note()
			reset(tcp)
			return
		}
		body, err := io.ReadAll(req.Body)
		p.mu.Lock()
		p.seen[n].Body = string(body)
		p.mu.Unlock()
		p.note()
		if err != nil || !p.reply(path, req, string(body), conn, tcp) || req.Close {
			return
		}
	}
}

func (p *Platform) note() {
	select {
	case p.arrived <- struct{}{}:
	default:
	}
}

// reset closes with RST instead of FIN.
func reset(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = c.Close()
}

// reply answers by path and tells whether the connection goes on.
func (p *Platform) reply(path string, req *http.Request, body string, conn, tcp net.Conn) bool {
	send := func(head string, rest string) bool {
		_, err := io.WriteString(conn, "HTTP/1.1 "+head+"\r\n\r\n"+rest)
		return err == nil
	}
	switch path {
	case "/drop": // lost reply
		return false
	case "/reset":
		reset(tcp)
		return false
	case "/silent":
		<-p.done
		return false
	case "/cut-length":
		send("200 OK\r\nContent-Length: 100", "<half")
		return false
	case "/cut-chunk":
		send("200 OK\r\nTransfer-Encoding: chunked", "5\r\n<half\r\n")
		return false
	case "/cut-head":
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Le")
		return false
	case "/cut-close":
		// The end of the body is the end of the connection, but TLS did not
		// say so: somebody cut it.
		send("200 OK\r\nConnection: close", "<half")
		_ = tcp.Close()
		return false
	case "/garbage":
		_, _ = io.WriteString(conn, "\x00\x01 this is not HTTP\r\n\r\n")
		return false
	case "/switch":
		send("101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other", "")
		<-p.done
		return false
	case "/long-head":
		send("200 OK\r\nContent-Length: 2\r\nX-Long: "+strings.Repeat("x", 8<<20), "ok")
		return false
	case "/301", "/302", "/303", "/307", "/308":
		return send(path[1:]+" Elsewhere\r\nLocation: /elsewhere\r\nContent-Length: 4", "gone")
	case "/503":
		return send("503 Unavailable\r\nRetry-After: 0\r\nContent-Length: 4", "busy")
	case "/500":
		return send("500 Error\r\nContent-Length: 3", "bad")
	case "/408":
		return send("408 Request Timeout\r\nConnection: close\r\nContent-Length: 0", "")
	case "/425":
		return send("425 Too Early\r\nContent-Length: 0", "")
	case "/packed":
		// Bytes that would be a gzip stream; nobody asked for any unpacking.
		return send("200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4", "\x1f\x8b\x08\x00")
	case "/early-hints":
		return send("103 Early Hints\r\nLink: </x>", "") && send("200 OK\r\nContent-Length: 5", "final")
	case "/chunked":
		return send("200 OK\r\nTransfer-Encoding: chunked", "3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n")
	case "/double":
		// A second answer that nobody asked for, in the same breath.
		one := "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst"
		_, err := io.WriteString(conn, one+strings.Replace(one, "first", "other", 1))
		return err == nil
	default:
		text := "you said " + body
		return send(fmt.Sprintf("200 OK\r\nX-Echo: yes\r\nContent-Type: text/xml\r\nContent-Length: %d", len(text)), text)
	}
}

// certificate makes an authority and a server certificate under it.
func certificate(s setup) (tls.Certificate, []byte, error) {
	ca, err := NewAuthority()
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	cert, err := ca.Make(s.name, func(c *x509.Certificate) {
		c.NotAfter, c.ExtKeyUsage = s.notAfter, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		if s.name != Name {
			c.IPAddresses = nil
		}
	})
	return cert, ca.PEM, err
}
