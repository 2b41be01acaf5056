package wire

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
)

// Direct is a RoundTripper that calls a handler without a socket, so that a
// simulator also works where there are none, as in a testing/synctest bubble.
// A handler that aborts (http.ErrAbortHandler) is a broken connection: an error
// if nothing was written, a body that ends with io.ErrUnexpectedEOF otherwise.
func Direct(h http.Handler) http.RoundTripper { return direct{h} }

type direct struct{ h http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		body, err = io.ReadAll(r.Body)
		_ = r.Body.Close()
		if err != nil {
			return nil, err
		}
	}
	ctx := r.Context()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	in := r.Clone(ctx)
	in.Body, in.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	in.Host, in.RequestURI, in.RemoteAddr = r.URL.Host, r.URL.RequestURI(), "direct"
	rec := &recorder{header: http.Header{}}
	done := make(chan bool, 1)
	go func() {
		aborted := true
		defer func() {
			if p := recover(); p != nil && p != http.ErrAbortHandler { //nolint:errorlint // net/http compares so too
				panic(p)
			}
			done <- aborted
		}()
		d.h.ServeHTTP(rec, in)
		aborted = false
	}()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case aborted := <-done:
		return rec.response(r, aborted)
	}
}

type recorder struct {
	header http.Header
	status int
	buf    bytes.Buffer
}

func (r *recorder) Header() http.Header { return r.header }

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}

func (r *recorder) Write(p []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.buf.Write(p)
}

func (r *recorder) response(req *http.Request, aborted bool) (*http.Response, error) {
	if aborted && r.buf.Len() == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	r.WriteHeader(http.StatusOK)
	var body io.Reader = bytes.NewReader(r.buf.Bytes())
	if aborted {
		body = io.MultiReader(body, broken{})
	}
	return &http.Response{
		Status: strconv.Itoa(r.status) + " " + http.StatusText(r.status), StatusCode: r.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: r.header.Clone(), Body: io.NopCloser(body), ContentLength: -1, Request: req,
	}, nil
}

// broken is a connection that is gone.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
