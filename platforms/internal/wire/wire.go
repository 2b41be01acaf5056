// Package wire holds what platforms that speak XML over HTTP share: sending one
// POST exactly once, classifying what went wrong, and writing and reading the
// SOAP envelope around a string.
//
// Everything here leans to one side. A request is handed to the RoundTripper
// once: no redirect is followed and nothing is repeated, because a repeated
// payment takes money twice (ORD-04). A reply counts only if it is complete,
// small, has status 200 and a charset that is known; all else is an error, and
// an error means that the outcome is unknown. The one exception is proof: when
// a request that could have charged somebody never left, the error wraps
// platforms.ErrNotCharged.
package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"payagent/platforms"
	"payagent/platforms/internal/strictxml"
)

// MaxReply is the size in bytes of the largest reply that is read.
const MaxReply = strictxml.MaxBytes

// Request is one POST.
type Request struct {
	URL         string
	ContentType string
	Header      http.Header // further fields, such as SOAPAction; may be nil
	Body        []byte
	// Charges tells that the request may take money. Then an error that proves
	// that it never left wraps platforms.ErrNotCharged, and its connection is
	// not used again. For a query or a cancel such an error proves nothing
	// about the order, so it stays plain.
	Charges bool
	// Secrets are cut out of every error text.
	Secrets []platforms.Hidden
}

// Reply is a complete answer with status 200.
type Reply struct {
	Charset string // of the Content-Type, in lower case; empty if it said nothing usable
	Body    []byte
}

// HTTPError says that the platform answered with another status than 200. That
// proves nothing: the request may have been carried out all the same.
type HTTPError struct {
	Status int
	Fault  string // the SOAP fault's words, cleaned, where there was one
}

// Error gives the status and the fault's words.
func (e *HTTPError) Error() string {
	if e.Fault != "" {
		return fmt.Sprintf("cannot use the platform's answer: HTTP %d, %s; query the order", e.Status, e.Fault)
	}
	if e.Status >= 300 && e.Status < 400 {
		return fmt.Sprintf("cannot use the platform's answer: HTTP %d points elsewhere and is not followed; correct the endpoint", e.Status)
	}
	return fmt.Sprintf("cannot use the platform's answer: HTTP %d; query the order", e.Status)
}

// Post sends the request once and reads the whole reply.
func Post(ctx context.Context, rt http.RoundTripper, r Request) (Reply, error) {
	if err := ctx.Err(); err != nil {
		return Reply{}, r.unsent(fmt.Errorf("cannot send to the platform: no time is left: %w", err))
	}
	req, err := r.build(ctx)
	if err != nil {
		return Reply{}, r.unsent(err)
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return Reply{}, r.failed("cannot reach the platform", err)
	}
	body, err := readAll(resp)
	if err != nil {
		return Reply{}, r.failed("cannot read the platform's answer", err)
	}
	if resp.StatusCode != http.StatusOK {
		e := &HTTPError{Status: resp.StatusCode}
		if resp.StatusCode >= 400 {
			e.Fault = Clean(faultIn(body), r.Secrets...)
		}
		return Reply{}, e
	}
	charset, err := charset(resp.Header)
	if err != nil {
		return Reply{}, err
	}
	return Reply{Charset: charset, Body: body}, nil
}

func (r Request) build(ctx context.Context) (*http.Request, error) {
	u, err := url.Parse(r.URL)
	if err != nil || u.Host == "" {
		return nil, errors.New("cannot send to the platform: its address is not a URL; correct the configuration")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL, nil)
	if err != nil {
		return nil, errors.New("cannot send to the platform: its address is not usable; correct the configuration")
	}
	for name, values := range r.Header {
		req.Header[name] = values
	}
	req.Header.Set("Content-Type", r.ContentType)
	// No compression: what is counted and compared are the bytes of the wire.
	req.Header.Set("Accept-Encoding", "identity")
	req.Header.Set("User-Agent", "payagent")
	// A body of our own type and no GetBody: the transport cannot send it again.
	req.Body = once{bytes.NewReader(r.Body)}
	req.GetBody = nil
	req.ContentLength = int64(len(r.Body))
	req.Close = r.Charges
	return req, nil
}

// once is a body that nobody can rewind.
type once struct{ io.Reader }

func (once) Close() error { return nil }

// readAll reads a body of at most MaxReply bytes and notices when the end is
// missing.
func readAll(resp *http.Response) ([]byte, error) {
	defer func() { _ = resp.Body.Close() }()
	if enc := resp.Header.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		return nil, errors.New("it is compressed although that was not asked for")
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxReply+1))
	switch {
	case err != nil:
		return nil, err
	case len(body) > MaxReply:
		return nil, fmt.Errorf("it is longer than %d bytes", MaxReply)
	case resp.ContentLength >= 0 && int64(len(body)) != resp.ContentLength && !resp.Uncompressed:
		return nil, fmt.Errorf("it has %d of %d bytes: %w", len(body), resp.ContentLength, io.ErrUnexpectedEOF)
	}
	return body, nil
}

// charset gives the charset of the Content-Type. ISO-8859-1 and US-ASCII are
// what servlet containers claim when nobody told them: they count as silence.
func charset(h http.Header) (string, error) {
	values := h.Values("Content-Type")
	if len(values) == 0 {
		return "", nil
	}
	if len(values) > 1 {
		return "", errors.New("cannot use the platform's answer: it has several Content-Types")
	}
	_, params, err := mime.ParseMediaType(values[0])
	if err != nil {
		return "", nil // a sloppy header; the document itself decides
	}
	switch c := strings.ToLower(params["charset"]); c {
	case "iso-8859-1", "us-ascii", "ascii", "latin1":
		return "", nil
	default:
		return c, nil
	}
}

// Document parses the reply as a bare XML document.
func (r Reply) Document() (*strictxml.Node, error) {
	return strictxml.ParseReply(r.Body, r.Charset, false)
}

// Text gives the reply's body as text, for members whose wrapper is not XML.
func (r Reply) Text() (string, error) {
	switch r.Charset {
	case "gbk", "gb2312", "gb18030":
		return strictxml.FromGB(string(r.Body))
	case "", "utf-8", "utf8":
		if !utf8.Valid(r.Body) {
			return "", errors.New("cannot use the platform's answer: it contains bytes that are not UTF-8")
		}
		return string(r.Body), nil
	}
	return "", fmt.Errorf("cannot use the platform's answer: its charset %q is neither UTF-8 nor GBK", Clean(r.Charset))
}

// Param is one named string of a call.
type Param struct{ Name, Value string }

// FormType is the Content-Type that belongs to Form.
const FormType = "application/x-www-form-urlencoded; charset=utf-8"

// Form writes the parameters as a form body, in the order given.
func Form(params ...Param) []byte {
	var b strings.Builder
	for i, p := range params {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(p.Name) + "=" + url.QueryEscape(p.Value))
	}
	return []byte(b.String())
}
