package update

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"

	"payagent/agent/fleet"
	"payagent/agent/trial"
)

// Web fetches over HTTP. Redirects are not followed.
type Web struct {
	Client http.RoundTripper
	// URL is one address of the file.
	URL string
}

// Addresses gives a source for each address that a manifest names for a file.
func Addresses(client http.RoundTripper, f fleet.File) []Source {
	var list []Source
	for _, u := range f.URLs {
		list = append(list, Web{client, u})
	}
	return list
}

// Mirror is the file beside the manifest on a server; the manifest's own
// addresses do not count there. Plain HTTP will do: what comes is signed.
type Mirror struct {
	Client   http.RoundTripper
	Manifest string // its address
}

// Open asks for the file beside the manifest.
func (w Mirror) Open(ctx context.Context, f fleet.File, offset int64) (io.ReadCloser, int64, error) {
	u, err := url.Parse(w.Manifest)
	if err != nil {
		return nil, 0, err
	}
	u.Path, u.RawPath = path.Join(path.Dir(u.Path), f.Name), ""
	return Web{w.Client, u.String()}.Open(ctx, f, offset)
}

// Open asks for the rest of the file.
func (w Web) Open(ctx context.Context, f fleet.File, offset int64) (io.ReadCloser, int64, error) {
	resp, err := w.get(ctx, offset)
	if err != nil {
		return nil, 0, err
	}
	if resp.StatusCode == http.StatusRequestedRangeNotSatisfiable {
		if err := resp.Body.Close(); err != nil {
			return nil, 0, err
		}
		offset = 0
		if resp, err = w.get(ctx, 0); err != nil {
			return nil, 0, err
		}
	}
	at := int64(0)
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusPartialContent:
		if rest, ok := strings.CutPrefix(resp.Header.Get("Content-Range"), "bytes "+strconv.FormatInt(offset, 10)+"-"); !ok || rest == "" {
			return nil, 0, errors.Join(errors.New("the server went on at another place than was asked for"), resp.Body.Close())
		}
		at = offset
	default:
		return nil, 0, errors.Join(fmt.Errorf("the server answered %s", resp.Status), resp.Body.Close())
	}
	// It says nothing of what is here already, so that stays for another source.
	if resp.ContentLength >= 0 && at+resp.ContentLength != f.Size {
		return nil, 0, errors.Join(fmt.Errorf("the server has another file: %d bytes, not %d", at+resp.ContentLength, f.Size), resp.Body.Close())
	}
	return resp.Body, at, nil
}

func (w Web) get(ctx context.Context, offset int64) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.URL, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept-Encoding", "identity")
	if offset > 0 {
		req.Header.Set("Range", "bytes="+strconv.FormatInt(offset, 10)+"-")
	}
	return w.Client.RoundTrip(req)
}

// maxEnvelope bounds a manifest with its signatures, in bytes.
const maxEnvelope = 128 << 10

// FetchManifest gets a manifest from a server.
func FetchManifest(ctx context.Context, client http.RoundTripper, address string) ([]byte, error) {
	resp, err := Web{client, address}.get(ctx, 0)
	if err != nil {
		return nil, trial.Refuse("not_fetched", "cannot get the manifest: %v", err)
	}
	defer func() { _ = resp.Body.Close() }() // only read
	if resp.StatusCode != http.StatusOK {
		return nil, trial.Refuse("not_fetched", "cannot get the manifest: the server answered %s", resp.Status)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxEnvelope+1))
	if err != nil || len(data) > maxEnvelope {
		return nil, trial.Refuse("not_fetched", "cannot get the manifest: it is larger than %d bytes or broke off: %v", maxEnvelope, err)
	}
	return data, nil
}
