package https_test

import (
	"bufio"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
)

// front is a tiny proxy on loopback that knows one platform by its name and
// resolves nothing.
type front struct {
	ln    net.Listener
	names map[string]string // host:port asked for → address
	user  string            // "user:password" wanted, or empty
	kind  string
	odd   string // what it answers instead of working, or "mute"

	mu    sync.Mutex
	conns map[net.Conn]bool
	asked []string
	wg    sync.WaitGroup
}

func startFront(kind, name, address, user, odd string) (*front, error) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f := &front{ln: ln, kind: kind, names: map[string]string{name: address}, user: user, odd: odd, conns: map[net.Conn]bool{}}
	f.wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			f.keep(c)
			f.wg.Go(func() {
				defer f.drop(c)
				switch {
				case f.odd == "mute":
					_, _ = io.Copy(io.Discard, c)
				case kind == "connect":
					f.http(c)
				default:
					f.socks(c)
				}
			})
		}
	})
	return f, nil
}

func (f *front) address() string { return f.ln.Addr().String() }

func (f *front) keep(c net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.conns[c] = true
}

func (f *front) drop(c net.Conn) {
	f.mu.Lock()
	delete(f.conns, c)
	f.mu.Unlock()
	_ = c.Close()
}

func (f *front) close() {
	_ = f.ln.Close()
	f.mu.Lock()
	for c := range f.conns {
		_ = c.Close()
	}
	f.mu.Unlock()
	f.wg.Wait()
}

func (f *front) seen() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.asked...)
}

func (f *front) find(name string) (net.Conn, bool) {
	f.mu.Lock()
	f.asked = append(f.asked, name)
	address, ok := f.names[name]
	f.mu.Unlock()
	if !ok {
		return nil, false
	}
	c, err := net.Dial("tcp4", address)
	if err != nil {
		return nil, false
	}
	f.keep(c)
	return c, true
}

// join carries bytes both ways until both sides are done. A reset on one side
// becomes a reset on the other.
func (f *front) join(a net.Conn, ar io.Reader, b net.Conn) {
	var both sync.WaitGroup
	pass := func(dst net.Conn, src io.Reader) {
		_, err := io.Copy(dst, src)
		if t, ok := dst.(*net.TCPConn); ok {
			if err != nil {
				_ = t.SetLinger(0)
				_ = t.Close()
				return
			}
			_ = t.CloseWrite()
		}
	}
	both.Go(func() { pass(b, ar) })
	both.Go(func() { pass(a, b) })
	both.Wait()
	f.drop(b)
}

func (f *front) http(c net.Conn) {
	rd := bufio.NewReader(c)
	req, err := http.ReadRequest(rd)
	if err != nil {
		return
	}
	if f.odd != "" {
		_, _ = io.WriteString(c, f.odd)
		return
	}
	if f.user != "" && req.Header.Get("Proxy-Authorization") != "Basic "+base64.StdEncoding.EncodeToString([]byte(f.user)) {
		_, _ = io.WriteString(c, "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n")
		return
	}
	if req.Method != http.MethodConnect {
		_, _ = io.WriteString(c, "HTTP/1.1 405 Only CONNECT\r\n\r\n")
		return
	}
	up, ok := f.find(req.Host)
	if !ok {
		_, _ = io.WriteString(c, "HTTP/1.1 502 Bad Gateway\r\n\r\n")
		return
	}
	_, _ = io.WriteString(c, "HTTP/1.1 200 Connection established\r\nVia: 1.1 front\r\n\r\n")
	f.join(c, rd, up)
}

// socks speaks RFC 1928 with RFC 1929.
func (f *front) socks(c net.Conn) {
	rd := bufio.NewReader(c)
	take := func(n int) []byte {
		b := make([]byte, n)
		if _, err := io.ReadFull(rd, b); err != nil {
			return nil
		}
		return b
	}
	head := take(2)
	if head == nil || head[0] != 5 || take(int(head[1])) == nil {
		return
	}
	if f.odd != "" {
		_, _ = io.WriteString(c, f.odd)
		return
	}
	if f.user != "" {
		_, _ = c.Write([]byte{5, 2})
		v := take(2)
		if v == nil {
			return
		}
		user := string(take(int(v[1])))
		n := take(1)
		if n == nil {
			return
		}
		if user+":"+string(take(int(n[0]))) != f.user {
			_, _ = c.Write([]byte{1, 1})
			return
		}
		_, _ = c.Write([]byte{1, 0})
	} else {
		_, _ = c.Write([]byte{5, 0})
	}
	ask := take(4)
	if ask == nil {
		return
	}
	host := ""
	switch ask[3] {
	case 1:
		host = net.IP(take(4)).String()
	case 3:
		n := take(1)
		if n == nil {
			return
		}
		host = string(take(int(n[0])))
	default:
		return
	}
	port := take(2)
	if port == nil {
		return
	}
	up, ok := f.find(net.JoinHostPort(host, strconv.Itoa(int(port[0])<<8|int(port[1]))))
	if !ok {
		_, _ = c.Write([]byte{5, 5, 0, 1, 0, 0, 0, 0, 0, 0})
		return
	}
	_, _ = c.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	f.join(c, rd, up)
}
