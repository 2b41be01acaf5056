package wire_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"payagent/platforms"
	"payagent/platforms/internal/wire"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func reply(status int, body string, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i+1 < len(header); i += 2 {
		h.Add(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body))}
}

func TestPostCannotBeReplayed(t *testing.T) {
	for _, charges := range []bool{true, false} {
		calls := 0
		_, err := wire.Post(t.Context(), roundTrip(func(r *http.Request) (*http.Response, error) {
			calls++
			if r.GetBody != nil {
				t.Error("the transport could send the body again")
			}
			if r.Close != charges {
				t.Errorf("Close is %v for Charges %v", r.Close, charges)
			}
			if r.Header.Get("Idempotency-Key") != "" || r.Header.Get("X-Idempotency-Key") != "" {
				t.Error("a header invites the transport to repeat the request")
			}
			b, _ := io.ReadAll(r.Body)
			if string(b) != "a=1" || r.ContentLength != 3 || r.Method != http.MethodPost {
				t.Errorf("%s with %q, length %d", r.Method, b, r.ContentLength)
			}
			return reply(200, "fine"), nil
		}), wire.Request{URL: "http://h.test/x", ContentType: "text/plain", Body: []byte("a=1"), Charges: charges})
		if err != nil || calls != 1 {
			t.Errorf("%d calls, %v", calls, err)
		}
	}
}

type dialError struct{}

func (dialError) Error() string { return "dial tcp: refused" }
func (dialError) NotSent() bool { return true }

// liar claims the proof without being a dial error.
type liar struct{}

func (liar) Error() string        { return "liar" }
func (liar) Is(target error) bool { return target == platforms.ErrNotCharged }

func TestOnlyProofIsNotCharged(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	never := func(*http.Request) (*http.Response, error) { t.Error("something was sent"); return nil, io.EOF }
	fails := func(err error) roundTrip {
		return func(*http.Request) (*http.Response, error) { return nil, err }
	}
	answers := func(r *http.Response) roundTrip {
		return func(*http.Request) (*http.Response, error) { return r, nil }
	}
	half := reply(200, "half")
	half.ContentLength = 8
	cut := reply(200, "")
	cut.ContentLength = -1
	cut.Body = io.NopCloser(io.MultiReader(strings.NewReader("<r"), brokenReader{}))
	cases := []struct {
		name   string
		ctx    context.Context
		url    string
		rt     roundTrip
		proven bool
	}{
		{"dial failed", t.Context(), "http://h.test", fails(dialError{}), true},
		{"time was over before", ended, "http://h.test", never, true},
		{"address without host", t.Context(), "h.test/x", never, true},
		{"address not a URL", t.Context(), "http://h.test/%zz", never, true},
		{"connection reset", t.Context(), "http://h.test", fails(io.ErrUnexpectedEOF), false},
		{"deadline", t.Context(), "http://h.test", fails(context.DeadlineExceeded), false},
		{"a false claim", t.Context(), "http://h.test", fails(liar{}), false},
		{"HTTP 500", t.Context(), "http://h.test", answers(reply(500, "")), false},
		{"HTTP 401", t.Context(), "http://h.test", answers(reply(401, "")), false},
		{"HTTP 408", t.Context(), "http://h.test", answers(reply(408, "")), false},
		{"HTTP 204", t.Context(), "http://h.test", answers(reply(204, "")), false},
		{"HTTP 302", t.Context(), "http://h.test", answers(reply(302, "", "Location", "http://evil.test")), false},
		{"too long", t.Context(), "http://h.test", answers(reply(200, strings.Repeat("x", wire.MaxReply+1))), false},
		{"shorter than announced", t.Context(), "http://h.test", answers(half), false},
		{"cut", t.Context(), "http://h.test", answers(cut), false},
		{"compressed", t.Context(), "http://h.test", answers(reply(200, "x", "Content-Encoding", "gzip")), false},
		{"two types", t.Context(), "http://h.test", answers(reply(200, "x", "Content-Type", "text/xml", "Content-Type", "text/html")), false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for _, charges := range []bool{true, false} {
				_, err := wire.Post(c.ctx, c.rt, wire.Request{URL: c.url, Charges: charges})
				if err == nil || !strings.HasPrefix(err.Error(), "cannot ") {
					t.Fatalf("error %v", err)
				}
				if got := errors.Is(err, platforms.ErrNotCharged); got != (c.proven && charges) {
					t.Errorf("charges %v: %v says not charged: %v", charges, err, got)
				}
			}
		})
	}
	_, err := wire.Post(t.Context(), fails(dialError{}), wire.Request{URL: "http://h.test"})
	if !platforms.NeverLeft(err) {
		t.Error("the wrapping hides that nothing was sent")
	}
	_, err = wire.Post(t.Context(), fails(context.DeadlineExceeded), wire.Request{URL: "http://h.test"})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error("the wrapping hides the deadline")
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestSecretsStayOutOfErrors(t *testing.T) {
	code, name := platforms.Hide("134567890123456789"), platforms.Hide("张三丰")
	_, err := wire.Post(t.Context(), roundTrip(func(*http.Request) (*http.Response, error) {
		return nil, errors.New(`malformed HTTP response "134567890123456789 张三丰 6222020200112233445"`)
	}), wire.Request{URL: "http://h.test", Secrets: []platforms.Hidden{code, name}})
	for _, s := range []string{"134567", "张三丰", "6222"} {
		if strings.Contains(err.Error(), s) {
			t.Errorf("%q stands in %q", s, err)
		}
	}
}

func TestClean(t *testing.T) {
	cases := []struct{ in, want string }{
		{" 余额\n不足 ", "余额 不足"},
		{"order MZ260101ABCDEFGH12345678 closed", "order MZ260101ABCDEFGH12345678 closed"},
		{"code 2812345678901234!", "code [digits]!"},
		{"\x00\x1b[31m‮red\xff", "[31m red"},
		{strings.Repeat("长", 300), strings.Repeat("长", 200) + "…"},
		{"tokenX tokenX", "[hidden] [hidden]"},
	}
	for _, c := range cases {
		if got := wire.Clean(c.in, platforms.Hide("tokenX"), platforms.Hide("1"), platforms.Hidden{}); got != c.want {
			t.Errorf("Clean(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func TestCharset(t *testing.T) {
	post := func(kind, body string) (wire.Reply, error) {
		return wire.Post(t.Context(), roundTrip(func(*http.Request) (*http.Response, error) {
			return reply(200, body, "Content-Type", kind), nil
		}), wire.Request{URL: "http://h.test"})
	}
	for kind, fine := range map[string]bool{
		"text/xml; charset=GBK": true, "text/xml; charset=iso-8859-1": false, "text/xml": false,
		"text/xml; charset=utf-8": false, "text/xml; charset=big5": false, ";;;": false,
	} {
		r, err := post(kind, "<r>\xd6\xa7\xb8\xb6</r>")
		if err != nil {
			t.Fatal(err)
		}
		n, err := r.Document()
		if (err == nil) != fine || fine && n.Text != "支付" {
			t.Errorf("%s: %+v, %v", kind, n, err)
		}
	}
	r, _ := post("text/xml; charset=ISO-8859-1", "<r>支</r>")
	if n, err := r.Document(); err != nil || n.Text != "支" {
		t.Errorf("the container's default was believed: %v", err)
	}
	r, _ = post("application/json; charset=gbk", "\xd6\xa7")
	if s, err := r.Text(); err != nil || s != "支" {
		t.Errorf("%q, %v", s, err)
	}
	r, _ = post("application/json", "\xd6\xa7\xb8\xb6")
	if s, err := r.Text(); err == nil {
		t.Errorf("bytes that are not UTF-8 were read as %q", s)
	}
	r, _ = post("application/json; charset=utf-16", "x")
	if _, err := r.Text(); err == nil {
		t.Error("an unknown charset was read")
	}
}

func TestSOAPBothVersions(t *testing.T) {
	for _, v := range []wire.Version{wire.SOAP11, wire.SOAP12} {
		req, err := wire.Call{Version: v, Namespace: "http://tempuri.org/", Operation: "Op", Action: "http://tempuri.org/Op",
			Params: []wire.Param{{Name: "xml", Value: `<xml>a&b ]]> 中</xml>`}}}.Request()
		if err != nil {
			t.Fatal(err)
		}
		got := wire.Reply{Body: req.Body}
		text, err := got.Result("http://tempuri.org/", "Op", "xml")
		if err != nil || text != `<xml>a&b ]]> 中</xml>` {
			t.Errorf("read back %q, %v", text, err)
		}
		if v == wire.SOAP11 && (req.ContentType != "text/xml; charset=utf-8" || req.Header["SOAPAction"][0] != `"http://tempuri.org/Op"`) {
			t.Errorf("SOAP 1.1 headers %q %v", req.ContentType, req.Header)
		}
		if v == wire.SOAP12 && (req.ContentType != `application/soap+xml; charset=utf-8; action="http://tempuri.org/Op"` || len(req.Header) != 0) {
			t.Errorf("SOAP 1.2 headers %q %v", req.ContentType, req.Header)
		}
	}
	if _, err := (wire.Call{Operation: "Op", Params: []wire.Param{{Name: "xml", Value: "\x00"}}}).Request(); err == nil {
		t.Error("a NUL was written")
	}
	if _, err := (wire.Call{Operation: "Op", Namespace: `"`}).Request(); err == nil {
		t.Error("a namespace that breaks out was written")
	}
}

const env = `<s:Envelope xmlns:s="` + wire.Namespace11 + `">`

func TestResultRefuses(t *testing.T) {
	good := env + `<s:Header/><s:Body><R xmlns="urn:n"><out> v </out></R></s:Body></s:Envelope>`
	if v, err := (wire.Reply{Body: []byte(good)}).Result("urn:n", "R", "out"); v != "v" || err != nil {
		t.Fatalf("%q, %v", v, err)
	}
	axis := env + `<s:Body s:encodingStyle="x"><n:R xmlns:n="urn:z"><out xmlns:x="urn:x" x:type="s">v</out></n:R></s:Body></s:Envelope>`
	if v, err := (wire.Reply{Body: []byte(axis)}).Result("", "R", "out"); v != "v" || err != nil {
		t.Fatalf("any namespace: %q, %v", v, err)
	}
	for name, doc := range map[string]string{
		"empty":             "",
		"other envelope":    `<Envelope xmlns="urn:e"><Body><R xmlns="urn:n"><out>v</out></R></Body></Envelope>`,
		"no body":           env + `</s:Envelope>`,
		"foreign body":      env + `<Body><R xmlns="urn:n"><out>v</out></R></Body></s:Envelope>`,
		"two bodies":        env + `<s:Body/><s:Body/></s:Envelope>`,
		"two operations":    env + `<s:Body><R xmlns="urn:n"><out>v</out></R><R xmlns="urn:n"/></s:Body></s:Envelope>`,
		"other operation":   env + `<s:Body><Q xmlns="urn:n"><out>v</out></Q></s:Body></s:Envelope>`,
		"foreign operation": env + `<s:Body><R xmlns="urn:evil"><out>v</out></R></s:Body></s:Envelope>`,
		"foreign result":    env + `<s:Body><R xmlns="urn:n"><out xmlns="urn:evil">v</out></R></s:Body></s:Envelope>`,
		"result twice":      env + `<s:Body><R xmlns="urn:n"><out>v</out><out>w</out></R></s:Body></s:Envelope>`,
		"no result":         env + `<s:Body><R xmlns="urn:n"/></s:Body></s:Envelope>`,
		"result with kids":  env + `<s:Body><R xmlns="urn:n"><out><v/></out></R></s:Body></s:Envelope>`,
	} {
		if v, err := (wire.Reply{Body: []byte(doc)}).Result("urn:n", "R", "out"); err == nil {
			t.Errorf("%s: read %q", name, v)
		}
	}
}

func TestFaults(t *testing.T) {
	f11 := env + `<s:Body><s:Fault><faultcode>s:Client</faultcode><faultstring>did not recognize 134567890123456789</faultstring></s:Fault></s:Body></s:Envelope>`
	f12 := `<s:Envelope xmlns:s="` + wire.Namespace12 + `"><s:Body><s:Fault><s:Code/><s:Reason><s:Text xml:lang="en">no such action</s:Text></s:Reason></s:Fault></s:Body></s:Envelope>`
	for doc, want := range map[string]string{f11: "did not recognize [digits]", f12: "no such action"} {
		_, err := wire.Reply{Body: []byte(doc)}.Result("", "R", "out")
		var f *wire.Fault
		if !errors.As(err, &f) || !strings.Contains(f.Words, want) {
			t.Errorf("fault read as %v", err)
		}
		_, err = wire.Post(t.Context(), roundTrip(func(*http.Request) (*http.Response, error) { return reply(500, doc), nil }),
			wire.Request{URL: "http://h.test", Charges: true})
		var h *wire.HTTPError
		if !errors.As(err, &h) || h.Status != 500 || !strings.Contains(h.Error(), want) || errors.Is(err, platforms.ErrNotCharged) {
			t.Errorf("HTTP fault read as %v", err)
		}
	}
}

func TestForm(t *testing.T) {
	if got := string(wire.Form(wire.Param{Name: "xml", Value: "<a>中 &+</a>"}, wire.Param{Name: "b", Value: "1"})); got != "xml=%3Ca%3E%E4%B8%AD+%26%2B%3C%2Fa%3E&b=1" {
		t.Errorf("form %q", got)
	}
}

// Through real sockets: whatever breaks, the server sees one request at most,
// and a redirect is not followed.
func TestOnTheWireOnce(t *testing.T) {
	var seen atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.Add(1)
		_, _ = io.ReadAll(r.Body)
		switch strings.TrimPrefix(r.URL.Path, "/") {
		case "redirect":
			http.Redirect(w, r, "/again", http.StatusTemporaryRedirect)
		case "502":
			w.WriteHeader(http.StatusBadGateway)
		case "close":
			conn, _, _ := http.NewResponseController(w).Hijack()
			_ = conn.Close()
		case "reset":
			conn, _, _ := http.NewResponseController(w).Hijack()
			_ = conn.(*net.TCPConn).SetLinger(0)
			_ = conn.Close()
		case "half":
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "<r>")
		}
	}))
	t.Cleanup(srv.Close)
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	for _, charges := range []bool{true, false} {
		for _, mode := range []string{"fine", "redirect", "502", "close", "fine", "reset", "half", "fine"} {
			seen.Store(0)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			_, err := wire.Post(ctx, tr, wire.Request{URL: srv.URL + "/" + mode, Body: []byte("x"), Charges: charges})
			cancel()
			if seen.Load() != 1 || (err == nil) != (mode == "fine") || errors.Is(err, platforms.ErrNotCharged) {
				t.Errorf("%s: the server saw %d requests, error %v", mode, seen.Load(), err)
			}
		}
	}
}

func FuzzResult(f *testing.F) {
	f.Add([]byte(env + `<s:Body><R xmlns="urn:n"><out>v</out></R></s:Body></s:Envelope>`))
	f.Add([]byte(env + `<s:Body><s:Fault><faultstring>x</faultstring></s:Fault></s:Body></s:Envelope>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := wire.Reply{Body: b}.Result("urn:n", "R", "out")
		if err != nil && v != "" {
			t.Fatalf("%q with error %v", v, err)
		}
	})
}
