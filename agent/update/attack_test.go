package update_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/signed"
	"payagent/agent/trial"
	"payagent/agent/trial/trialtest"
	"payagent/agent/update"
)

// These are the attacks that TUF lists, each on a box with version 1.0.0.

// serves gives whatever bytes.
type serves []byte

func (s serves) Open(_ context.Context, _ fleet.File, offset int64) (io.ReadCloser, int64, error) {
	return io.NopCloser(bytes.NewReader(s[min(offset, int64(len(s))):])), offset, nil
}

func (w *world) refused(name string, manifest []byte, from update.Source, want string) {
	w.t.Helper()
	_, _, u := w.boot("1.0.0")
	_, err := u.Stage(w.t.Context(), manifest, false, []update.Source{from}, nil)
	if code(err) != want {
		w.t.Errorf("%s: %v, want %s", name, err, want)
	}
	for _, v := range []string{"1.1.0", "1.2.0"} {
		if err := u.Begin(v, false, healthy()); code(err) != "not_staged" {
			w.t.Errorf("%s: %s could be begun: %v", name, v, err)
		}
	}
	if v, _, _ := w.boot("1.0.0"); v != "1.0.0" {
		w.t.Errorf("%s: %s starts", name, v)
	}
}

func TestAttackArbitrarySoftware(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.release("1.1.0")
	other := bytes.Repeat([]byte("evil!!"), 1000)
	w.refused("other bytes of the same length", w.sign(m), serves(other), "not_fetched")
	if _, err := os.Stat(filepath.Join(w.dir, "1.1.0", "program.part")); !errors.Is(err, os.ErrNotExist) {
		t.Error("what was refused stays on the disk")
	}
	stranger, _ := key("rel-1", 8)
	data, err := fleet.SignManifest(m, stranger, w.b)
	if err != nil {
		t.Fatal(err)
	}
	w.refused("a stranger's key under a known name", data, w, "not_signed")
	// Every byte of the envelope.
	good := w.sign(m)
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		if got, _, err := w.base("1.0.0").Accept(bad, false); err == nil && got.Files[0].SHA256 != m.Files[0].SHA256 {
			t.Fatalf("byte %d changed, and taken as %+v", i, got)
		}
	}
}

func TestAttackEndlessData(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.release("1.1.0")
	w.refused("more bytes than signed", w.sign(m), endless{}, "not_fetched")
	if info, err := os.Stat(filepath.Join(w.dir, "1.1.0", "program.part")); err == nil && info.Size() > m.Files[0].Size {
		t.Error("more than the signed size was written:", info.Size())
	}
	w.refused("an endless manifest", bytes.Repeat([]byte(" "), 1<<20), w, "bad_document")
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		for range 10000 {
			if _, err := rw.Write(make([]byte, 1<<10)); err != nil {
				return
			}
		}
	}))
	defer srv.Close()
	if _, err := update.FetchManifest(t.Context(), http.DefaultTransport, srv.URL); code(err) != "not_fetched" {
		t.Error(err)
	}
}

type endless struct{}

func (endless) Open(context.Context, fleet.File, int64) (io.ReadCloser, int64, error) {
	return io.NopCloser(zeros{}), 0, nil
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// TestAttackSlowRetrieval: a source that trickles is given up.
func TestAttackSlowRetrieval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		began := time.Now()
		_, err := w.base("1.0.0").Stage(t.Context(), w.sign(w.release("1.1.0")), false, []update.Source{trickle{}}, nil)
		if took := time.Since(began); code(err) != "not_fetched" || took > 2*time.Minute {
			t.Error(took, err)
		}
	})
}

type trickle struct{}

func (trickle) Open(ctx context.Context, _ fleet.File, _ int64) (io.ReadCloser, int64, error) {
	return io.NopCloser(drop{ctx}), 0, nil
}

type drop struct{ ctx context.Context }

func (d drop) Read(p []byte) (int, error) {
	select {
	case <-time.After(10 * time.Second):
		return copy(p, "x"), nil
	case <-d.ctx.Done():
		return 0, d.ctx.Err()
	}
}

func TestAttackRollback(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.refused("an older version", w.sign(w.release("0.9.0")), w, "older")
	w.refused("the same version", w.sign(w.release("1.0.0")), w, "already")
	// A higher floor than the present version keeps older ones out for good.
	_, _, u := w.boot("1.0.0")
	m := w.release("1.2.0")
	m.Floor = "1.2.0"
	if _, err := u.Stage(t.Context(), w.sign(m), false, []update.Source{w}, nil); err != nil {
		t.Fatal(err)
	}
	if err := u.Begin("1.2.0", false, healthy()); err != nil {
		t.Fatal(err)
	}
	_, _, u = w.boot("1.0.0")
	if _, err := u.Judge("", nil); err != nil {
		t.Fatal(err)
	}
	if err := u.Back(); err != nil { // people on site may
		t.Fatal(err)
	}
	_, _, u = w.boot("1.0.0")
	if err := w.install(u, "1.1.0"); code(err) != "below_floor" {
		t.Error("a version below the floor was taken:", err)
	}
}

// TestAttackFreeze: an old manifest kept alive expires, and turning the clock
// back does not help.
func TestAttackFreeze(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := w.release("1.1.0")
	old.Expires = now.Add(-time.Hour)
	w.refused("expired", w.sign(old), w, "expired")
	_, _, u := w.boot("1.0.0")
	w.mustInstall(u, "1.2.0") // issued a day before now
	_, _, u = w.boot("1.0.0")
	if _, err := u.Judge("", nil); err != nil {
		t.Fatal(err)
	}
	w.now = now.AddDate(-10, 0, 0)
	stale := w.release("1.3.0")
	stale.Issued, stale.Expires = now.AddDate(0, -3, 0), now.AddDate(0, -2, 0)
	_, _, u = w.boot("1.0.0")
	if _, _, err := u.Accept(w.sign(stale), false); code(err) != "expired" {
		t.Error("with the clock turned back an expired manifest is taken:", err)
	}
}

// TestAttackMixAndMatch: files of one release under the manifest of another,
// and a manifest in the folder of another version.
func TestAttackMixAndMatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.release("1.1.0")
	other := w.release("1.2.0")
	w.refused("the program of another release", w.sign(m), serves(w.bins["1.2.0"]), "not_fetched")
	_, _, u := w.boot("1.0.0")
	if _, err := u.Stage(t.Context(), w.sign(m), false, []update.Source{w}, nil); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.dir, "1.1.0", "manifest.json"), w.sign(other), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := u.Begin("1.1.0", false, healthy()); code(err) != "bad_document" {
		t.Error(err)
	}
	// Other bytes under a version that is in use.
	w = newWorld(t)
	_, _, u = w.boot("1.0.0")
	w.mustInstall(u, "1.1.0")
	w.bins["1.1.0"] = []byte("other bytes")
	if _, err := u.Stage(t.Context(), w.sign(w.release("1.1.0")), false, []update.Source{w}, nil); code(err) != "other_bytes" {
		t.Error(err)
	}
}

func TestAttackWrongSoftware(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.release("1.1.0")
	m.Files[0].Arch = "amd64"
	w.refused("another machine", w.sign(m), w, "wrong_machine")
	m = w.release("1.1.0")
	m.Files[0].Cgo = true
	w.refused("another build", w.sign(m), w, "wrong_machine")
	raw, err := signed.Seal(fleet.TypeManifest, bytes.ReplaceAll(payload(t, w.sign(w.release("1.1.0"))), []byte(`"product":"payagent"`), []byte(`"product":"payfleet"`)), w.a, w.b)
	if err != nil {
		t.Fatal(err)
	}
	w.refused("another product", raw, w, "bad_document")
	raw, err = signed.Seal(fleet.TypeCommand, payload(t, w.sign(w.release("1.1.0"))), w.a, w.b)
	if err != nil {
		t.Fatal(err)
	}
	w.refused("another kind of document", raw, w, "not_signed")
}

func payload(t *testing.T, envelope []byte) []byte {
	t.Helper()
	_, ka := key("rel-1", 1)
	_, kb := key("rel-2", 2)
	d, err := signed.Open(envelope, fleet.TypeManifest, []signed.Key{ka, kb})
	if err != nil {
		t.Fatal(err)
	}
	return d.Payload
}

// TestAttackKeyCompromise: one stolen key is not enough, nor is it with a key
// of another rôle, nor twice the same.
func TestAttackKeyCompromise(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ops, _ := key("ops", 3)
	for name, keys := range map[string][]signed.Private{"one": {w.a}, "another rôle": {w.a, ops}} {
		data, err := fleet.SignManifest(w.release("1.1.0"), keys...)
		if err != nil {
			t.Fatal(err)
		}
		w.refused(name, data, w, "two_keys")
	}
	data, err := fleet.SignManifest(w.release("1.1.0"), w.a, w.a)
	if err != nil {
		t.Fatal(err)
	}
	w.refused("twice the same", data, w, "not_signed")
	w.keys = nil
	w.refused("a box without keys", w.sign(w.release("1.1.0")), w, "no_keys")
}

// TestAttackFastForward: a version far ahead that does not prove itself leaves
// no mark that would keep honest versions out.
func TestAttackFastForward(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, _, u := w.boot("1.0.0")
	m := w.release("99999.0.0")
	m.Floor = "99999.0.0"
	if _, err := u.Stage(t.Context(), w.sign(m), false, []update.Source{w}, nil); err != nil {
		t.Fatal(err)
	}
	if err := u.Begin("99999.0.0", false, healthy()); err != nil {
		t.Fatal(err)
	}
	for range trial.MaxStarts + 1 {
		_, _, u = w.boot("1.0.0")
	}
	w.mustInstall(u, "1.1.0")
	if v, _, _ := w.boot("1.0.0"); v != "1.1.0" {
		t.Error(v)
	}
}

// TestResume: a fetch that broke off goes on where it was; a part that is
// wrong is fetched anew.
func TestResume(t *testing.T) {
	w := newWorld(t)
	m := w.release("1.1.0")
	data := w.bins["1.1.0"]
	part := filepath.Join(w.dir, "1.1.0", "program.part")
	asked := make(chan string, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		asked <- r.Header.Get("Range")
		if !strings.HasSuffix(r.URL.Path, "/releases/payagent-1.1.0") {
			http.NotFound(rw, r)
			return
		}
		http.ServeContent(rw, r, "", time.Time{}, bytes.NewReader(data))
	}))
	defer srv.Close()
	mirror := update.Mirror{Client: http.DefaultTransport, Manifest: srv.URL + "/releases/manifest.json?x=1"}
	for name, have := range map[string][]byte{"nothing": nil, "half": data[:2000], "all": data, "other bytes": bytes.Repeat([]byte("x"), 3000), "too many": append(bytes.Clone(data), 'x')} {
		if err := errors.Join(os.RemoveAll(w.dir), os.MkdirAll(filepath.Dir(part), 0o700), os.WriteFile(part, have, 0o600)); err != nil {
			t.Fatal(err)
		}
		var last int
		if _, err := w.base("1.0.0").Stage(t.Context(), w.sign(m), false, []update.Source{failing{}, mirror}, func(p int) { last = p }); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got, err := os.ReadFile(filepath.Join(w.dir, "1.1.0", "payagent"))
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: %v", name, err)
		}
		if info, err := os.Stat(filepath.Join(w.dir, "1.1.0", "payagent")); err != nil || info.Mode().Perm() != 0o700 {
			t.Error(info.Mode(), err)
		}
		if name == "half" && (<-asked != "bytes=2000-" || last != 100) {
			t.Error("half of it was fetched anew")
		}
		for len(asked) > 0 {
			<-asked
		}
	}
}

// TestCutInAFetch: what was fetched before the power was cut outlasts the next
// start, and the fetch goes on there, where the server can do that; what comes
// is the same in any case, and nothing that a later version left over stays.
func TestCutInAFetch(t *testing.T) {
	w := newWorld(t)
	m := w.release("1.1.0")
	data := w.bins["1.1.0"]
	var cut, whole bool
	var asked []string
	server := tripper(func(r *http.Request) (*http.Response, error) {
		asked = append(asked, r.Header.Get("Range"))
		rw := httptest.NewRecorder()
		if whole {
			_, _ = rw.Write(data)
		} else {
			http.ServeContent(rw, r, "", time.Time{}, bytes.NewReader(data))
		}
		resp := rw.Result()
		if cut {
			resp.Body = io.NopCloser(io.MultiReader(io.LimitReader(resp.Body, 2500), iotest.ErrReader(errors.New("the power is gone"))))
		}
		return resp, nil
	})
	m.Files[0].URLs = []string{"https://releases.example/payagent"}
	from := update.Addresses(server, m.Files[0])
	// start is a start of the service.
	start := func() *update.Updates {
		_, _, u := w.boot("1.0.0")
		ctx, stop := context.WithCancel(t.Context())
		stop()
		u.Follow(ctx, service(&trialtest.Lock{}, healthy(), &runner{}))
		return u
	}
	for _, c := range []struct {
		name  string
		whole bool
		spoil func(part string) error
		want  []string // the places that are asked for
	}{
		{"a server that can go on", false, nil, []string{"", "bytes=2500-"}},
		{"one that cannot", true, nil, []string{"", "bytes=2500-"}},
		{"other bytes on the disk", false, func(part string) error { return os.WriteFile(part, bytes.Repeat([]byte("x"), 2500), 0o600) }, []string{"", "bytes=2500-", ""}},
		{"zeros", true, func(part string) error { return os.Truncate(part, 2600) }, []string{"", "bytes=2600-"}},
		{"no file any more", false, func(part string) error {
			return errors.Join(os.Remove(part), os.MkdirAll(filepath.Join(part, "x"), 0o700))
		}, []string{"", ""}},
	} {
		if err := os.RemoveAll(w.dir); err != nil {
			t.Fatal(err)
		}
		u := start()
		cut, whole, asked = true, c.whole, nil
		if _, err := u.Stage(t.Context(), w.sign(m), false, from, nil); code(err) != "not_fetched" {
			t.Fatal(c.name, err)
		}
		u, cut = start(), false
		if c.spoil != nil {
			if err := c.spoil(filepath.Join(w.dir, "1.1.0", "program.part")); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := u.Stage(t.Context(), w.sign(m), false, from, nil); err != nil {
			t.Error(c.name, err)
		}
		if got, err := os.ReadFile(filepath.Join(w.dir, "1.1.0", "payagent")); err != nil || !bytes.Equal(got, data) {
			t.Error(c.name, err)
		}
		if !slices.Equal(asked, c.want) {
			t.Errorf("%s: asked for %q, want %q", c.name, asked, c.want)
		}
	}
	// Half of one version is kept, and none of one that is not newer any more.
	if err := os.RemoveAll(w.dir); err != nil {
		t.Fatal(err)
	}
	cut = true
	for _, v := range []string{"0.9.0", "1.1.0", "1.2.0", "1.1.5"} {
		m := w.release(v)
		if _, err := w.base("1.0.0").Stage(t.Context(), w.sign(m), true, from, nil); code(err) != "not_fetched" {
			t.Fatal(err)
		}
	}
	start()
	if list, err := filepath.Glob(filepath.Join(w.dir, "*")); err != nil || len(list) != 1 || filepath.Base(list[0]) != "1.2.0" {
		t.Error("left are", list, err)
	}
	if _, _, u := w.boot("1.2.0"); u.Tidy() != nil {
		t.Error("cannot tidy")
	}
	if list, err := filepath.Glob(filepath.Join(w.dir, "*")); err != nil || len(list) != 0 {
		t.Error("left are", list, err)
	}
}

// TestPartElsewhere: a part that points elsewhere leads no program there.
func TestPartElsewhere(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // a link takes rights there that tests need not have
	}
	w := newWorld(t)
	m := w.release("1.1.0")
	other := filepath.Join(t.TempDir(), "other")
	if err := errors.Join(os.WriteFile(other, []byte("mine"), 0o600), os.MkdirAll(filepath.Join(w.dir, "1.1.0"), 0o700), os.Symlink(other, filepath.Join(w.dir, "1.1.0", "program.part"))); err != nil {
		t.Fatal(err)
	}
	if _, err := w.base("1.0.0").Stage(t.Context(), w.sign(m), false, []update.Source{w}, nil); err != nil {
		t.Error(err)
	}
	if got, err := os.ReadFile(other); err != nil || string(got) != "mine" {
		t.Errorf("it wrote %d bytes elsewhere: %v", len(got), err)
	}
}

// tripper is a server without a network.
type tripper func(*http.Request) (*http.Response, error)

func (t tripper) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

type failing struct{}

func (failing) Open(context.Context, fleet.File, int64) (io.ReadCloser, int64, error) {
	return nil, 0, errors.New("nobody there")
}

// TestServersThatLie: wrong places, wrong lengths, redirects.
func TestServersThatLie(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]http.HandlerFunc{
		"redirect": func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, "/other", http.StatusFound) },
		"place": func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Range", "bytes 5-5999/6000")
			rw.WriteHeader(http.StatusPartialContent)
		},
		"length": func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Length", strconv.Itoa(1<<30))
		},
		"short": func(rw http.ResponseWriter, _ *http.Request) {
			_, _ = rw.Write([]byte("too short"))
		},
		"error": func(rw http.ResponseWriter, _ *http.Request) { http.Error(rw, "no", http.StatusInternalServerError) },
	} {
		w := newWorld(t)
		srv := httptest.NewServer(h)
		f := w.release("1.1.0").Files[0]
		f.URLs = []string{srv.URL}
		w.refused(name, w.sign(w.release("1.1.0")), update.Addresses(http.DefaultTransport, f)[0], "not_fetched")
		srv.Close()
	}
}

func TestFolder(t *testing.T) {
	w := newWorld(t)
	m := w.release("1.1.0")
	usb := t.TempDir()
	if err := os.WriteFile(filepath.Join(usb, "payagent-1.1.0"), w.bins["1.1.0"], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := w.base("1.0.0").Stage(t.Context(), w.sign(m), false, []update.Source{update.Folder(usb)}, nil); err != nil {
		t.Error(err)
	}
	w = newWorld(t)
	w.release("1.1.0")
	w.refused("an empty stick", w.sign(w.release("1.1.0")), update.Folder(t.TempDir()), "not_fetched")
}
