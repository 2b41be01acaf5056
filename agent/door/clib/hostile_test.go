package clib

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// hostile answers every connection with the same bytes and then closes, or
// stays silent.
func hostile(t *testing.T, talk func(net.Conn)) (settings string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					talk(c)
				}
			}()
		}
	}()
	return "address=" + l.Addr().String() + ";token=t"
}

func says(text string) func(net.Conn) {
	return func(c net.Conn) { _, _ = io.WriteString(c, text) }
}

const anOrder = `{"out_trade_no":"A1","rev":1,"state":"paid","final":true}`

func length(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// TestHostileServers: whatever answers, no more is written than there is room
// for, and nothing but a whole order of the interface is taken for an order.
func TestHostileServers(t *testing.T) {
	d := newDrive(t)
	big := strings.Repeat("x", 5<<20)
	for name, talk := range map[string]func(net.Conn){
		"silence":            func(c net.Conn) { _, _ = io.Copy(io.Discard, c) },
		"closes":             says(""),
		"half a head":        says("HTTP/1.1 200 OK\r\nContent-Le"),
		"half a body":        says("HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n" + anOrder),
		"no length":          says("HTTP/1.1 200 OK\r\n\r\n" + anOrder),
		"negative length":    says("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n" + anOrder),
		"two lengths":        says("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 50\r\n\r\n" + anOrder),
		"length and chunks":  says("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
		"huge length":        says("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n" + anOrder),
		"huge body":          says("HTTP/1.1 200 OK\r\nContent-Length: 5242880\r\n\r\n" + big),
		"huge head":          says("HTTP/1.1 200 OK\r\nX: " + big),
		"many chunks":        says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1\r\nx\r\n", 1<<20)),
		"huge chunk":         says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n" + anOrder),
		"torn chunks":        says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"a\""),
		"bare line feeds":    says("HTTP/1.1 200 OK\nContent-Length: 2\n\n{}"),
		"not HTTP":           says("SSH-2.0-OpenSSH_9.2\r\n"),
		"HTTP/2":             says("HTTP/2 200\r\nContent-Length: 2\r\n\r\n{}"),
		"continue":           says("HTTP/1.1 100 Continue\r\n\r\n"),
		"no number":          says("HTTP/1.1 2x0 OK\r\nContent-Length: 2\r\n\r\n{}"),
		"compressed":         says("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}"),
		"page":               says(length("<html>login</html>")),
		"redirect":           says("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n"),
		"error page":         says("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\n\r\nbad"),
		"empty":              says(length("")),
		"null":               says(length("null")),
		"array":              says(length("[]")),
		"other JSON":         says(length(`{"state":"paid"}`)),
		"order with garbage": says(length(anOrder + "x")),
		"torn order":         says(length(anOrder[:len(anOrder)-1])),
		"deep":               says(length(strings.Repeat("[", 100000))),
		"not UTF-8":          says(length("{\"out_trade_no\":\"\xff\"")),
		"NUL":                says(length("\x00\x00\x00")),
		"drips":              drips,
	} {
		settings := hostile(t, talk) + ";timeout_ms=100"
		for i, c := range []call{
			{name: "pay", a: "k", in: "{}", len: -1}, {name: "query", a: "A1"}, {name: "query_bill", a: "B"},
			{name: "cancel", a: "A1", in: null}, {name: "refund", a: "A1", b: "k", in: "{}", len: -1},
		} {
			c.settings, c.cap = settings+[]string{"", ";encoding=gbk"}[i%2], 4096
			if a := d.call(c); a.code != unreachable {
				t.Errorf("%s: %s gave %d: %.200q", name, c.name, a.code, a.out)
			}
		}
		if c := (call{name: "call", settings: settings, a: "GET", b: "/v1/x", in: null, cap: 1}); d.call(c).code == refused {
			t.Errorf("%s: a problem", name)
		}
	}
	if a := d.call(call{name: "query", settings: hostile(t, says(length(anOrder))), a: "A1", cap: 4096}); a.code != ok {
		t.Errorf("a whole order gives %d", a.code)
	}
}

// drips sends a byte at a time for longer than anybody waits.
func drips(c net.Conn) {
	for _, b := range []byte(length(anOrder + strings.Repeat(" ", 1000))) {
		if _, err := c.Write([]byte{b}); err != nil {
			return
		}
		<-time.After(10 * time.Millisecond)
	}
}

// TestOddOrders: an order that is one, with members that lead astray.
func TestOddOrders(t *testing.T) {
	d := newDrive(t)
	for _, body := range []string{
		`{"out_trade_no":"A1?x=y","rev":1,"state":"paying","final":false}`,
		`{"out_trade_no":"A1","rev":"1&x","state":"paying","final":false}`,
		`{"out_trade_no":"A1","rev":11111111111111111111111111111111111111111111111,"state":"paying","final":false}`,
		`{"out_trade_no":"` + strings.Repeat("A", 5000) + `","rev":1,"state":"paying","final":false}`,
		`{"out_trade_no":"\ud800","rev":1,"state":7,"final":0}`,
		`{"out_trade_no":"A1","rev":1,"state":"novel","final":false}`,
	} {
		settings := hostile(t, says(length(body)))
		if a := d.call(call{name: "query", settings: settings, a: "A1", wait: 1, cap: 9000}); a.code != open {
			t.Errorf("%.60s: %d", body, a.code)
		}
		both := `{"refund":{"refund_no":"R1","state":"sent"},"order":` + body + `}`
		if a := d.call(call{name: "refund", settings: hostile(t, says(length(both))), a: "A1", b: "k", in: "{}", len: -1, wait: 1, cap: 20000}); a.code != open {
			t.Errorf("%.60s: %d", both, a.code)
		}
	}
}

func TestThreads(t *testing.T) {
	d := newDrive(t)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"path": r.URL.Path})
	}))
	defer srv.Close()
	if a := d.do("threads", "address="+srv.Listener.Addr().String()+";token=t;encoding=gbk", "50"); a.code != 0 {
		t.Errorf("%d of 400 answers were not one's own", a.code)
	}
}

// FuzzReply holds the reader of replies to net/http: it reads no byte beyond
// what it was given, and takes nothing that net/http does not take.
func FuzzReply(f *testing.F) {
	d := newDrive(f)
	for _, s := range []string{
		length(anOrder), "HTTP/1.0 204 No Content\r\n\r\n", "HTTP/1.1 409 Conflict\r\nContent-Type: application/problem+json\r\nContent-Length: 2\r\n\r\n{}",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nX: y\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-LENGTH:2 \r\n\r\n{}",
		"HTTP/1.0 200 \n\r\nContent-Length:0\r\n\r\n00",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := d.try("parse", string(data), "1")
		if err != nil {
			t.Fatalf("%v\n%s", err, d.errs)
		}
		if b, err := d.try("parse", string(data), "0"); err != nil || b.code == 1 && (a.code != 1 || !bytes.Equal(a.out, b.out)) {
			t.Fatalf("the end changes a whole reply: %v %q %q", err, a.out, b.out)
		}
		if a.code != 1 {
			return
		}
		resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(data)), &http.Request{Method: http.MethodGet})
		if err != nil {
			// net/http is strict about names of headers, which nobody reads here.
			return
		}
		body, err := io.ReadAll(resp.Body)
		if err == nil && resp.StatusCode != a.status || err == nil && !bytes.Equal(body, a.out) {
			t.Errorf("%d %q, net/http reads %d %q, %v", a.status, a.out, resp.StatusCode, body, err)
		}
	})
}

// FuzzJSON holds the reader of JSON to encoding/json.
func FuzzJSON(f *testing.F) {
	d := newDrive(f)
	for _, s := range []string{anOrder, `{"a":{"state":"x"},"state":"y\u00e9\ud83d\ude00"}`, `[1,-0.5e+7,true,null,"\\"]`, `{"state":[{}]}`, `{"st\u0061te":1}`, "01", "{\"state\":\"\x7f\"}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := d.try("json", string(data), "state")
		if err != nil {
			t.Fatalf("%v\n%s", err, d.errs)
		}
		valid := json.Valid(data)
		if a.code == 1 && !valid {
			t.Errorf("%q is no JSON", data)
		}
		if a.code == 0 && valid && !strings.Contains(string(data), strings.Repeat("[", 8)) && !strings.Contains(string(data), "{") && bytes.Count(data, []byte("[")) < 60 {
			t.Errorf("%q is JSON", data)
		}
		if a.code != 1 || a.status == 0 {
			return
		}
		var m map[string]json.RawMessage
		if err := json.Unmarshal(data, &m); err != nil || m["state"] == nil {
			t.Errorf("%q has no state: %v", data, err)
		}
	})
}
