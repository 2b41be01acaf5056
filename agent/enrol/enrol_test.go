package enrol_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"payagent/agent/enrol"
	"payagent/agent/fleet"
	"payagent/agent/fleet/ca"
)

// clock is a wall clock that tests set.
type clock struct{ at atomic.Int64 }

func newClock(t time.Time) *clock {
	c := &clock{}
	c.set(t)
	return c
}
func (c *clock) now() time.Time  { return time.Unix(c.at.Load(), 0) }
func (c *clock) set(t time.Time) { c.at.Store(t.Unix()) }

// world is an authority that answers over TLS on loopback.
type world struct {
	*ca.Authority
	dir, url string
	time     *clock
	// wrap stands in front of the handler; nil for nothing.
	wrap atomic.Pointer[func(http.Handler) http.Handler]
}

var settings = fleet.Settings{Broker: "mqtts://broker.hospital.example:8883", Root: "payagent", HubKey: "aGVsbG8=", Keys: []fleet.SettingsKey{{ID: "ops", Roles: []string{"operate"}, Public: "a2V5"}}}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{dir: t.TempDir(), time: newClock(time.Now())}
	a, err := ca.Init(w.dir, "Hospital fleet", ca.Bounds{Sites: []string{"H1", "H2"}, Domains: []string{"hospital.example"}}, settings, w.time.now)
	if err != nil {
		t.Fatal(err)
	}
	w.Authority = a
	s, err := ca.NewServer(a, []string{"127.0.0.1", "ca.hospital.example"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	inner := s.Handler()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if wrap := w.wrap.Load(); wrap != nil {
			(*wrap)(inner).ServeHTTP(rw, r)
			return
		}
		inner.ServeHTTP(rw, r)
	}))
	// httptest would put its own certificate in front.
	server.Listener = tls.NewListener(server.Listener, s.TLS())
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	server.Start()
	t.Cleanup(server.Close)
	w.url = strings.Replace(server.URL, "http://", "https://", 1)
	return w
}

func (w *world) code(t *testing.T, site, box string) fleet.Code {
	t.Helper()
	c, err := w.Code(site, box, 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (w *world) options(t *testing.T, c fleet.Code) enrol.Options {
	return enrol.Options{Files: enrol.InFolder(filepath.Join(t.TempDir(), "fleet")), URL: w.url, Code: c, Now: w.time.now}
}

func refusal(err error) string {
	var no *enrol.Refused
	if errors.As(err, &no) {
		return no.Code
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func mustEnrol(t *testing.T, o enrol.Options) fleet.Settings {
	t.Helper()
	s, err := enrol.Enrol(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestEnrol(t *testing.T) {
	w := newWorld(t)
	o := w.options(t, w.code(t, "H1", "box-1"))
	s := mustEnrol(t, o)
	if s.Site != "H1" || s.Box != "box-1" || s.Broker != settings.Broker || len(s.Keys) != 1 {
		t.Errorf("%+v", s)
	}
	pair, err := o.Files.Pair()
	if err != nil {
		t.Fatal(err)
	}
	if cn := pair.Leaf.Subject.CommonName; cn != "box-1" || pair.Leaf.URIs[0].String() != "payagent://H1/box-1" {
		t.Error(cn, pair.Leaf.URIs)
	}
	if info, err := os.Stat(o.Files.Key); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
	names, err := filepath.Glob(filepath.Join(filepath.Dir(o.Files.Key), "*"))
	if err != nil || len(names) != 4 { // ca, cert, key, enrolled.json
		t.Error(names, err)
	}
	// The command may be repeated: nothing changes.
	mustEnrol(t, o)
	if again, err := o.Files.Pair(); err != nil || !again.Leaf.Equal(pair.Leaf) {
		t.Error("a repetition changed the certificate", err)
	}
	if list, err := w.List(); err != nil || len(list) != 2 { // and the server's own
		t.Error(len(list), err)
	}
}

func TestRefused(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	good := w.code(t, "H1", "box-1")

	wrong := good
	wrong.Secret[3] ^= 1
	if _, err := enrol.Enrol(ctx, w.options(t, wrong)); refusal(err) != fleet.EnrolUnknown {
		t.Error("a wrong secret:", err)
	}
	unknown := good
	unknown.ID[0] ^= 1
	if _, err := enrol.Enrol(ctx, w.options(t, unknown)); refusal(err) != fleet.EnrolUnknown {
		t.Error("an unknown code:", err)
	}
	o := w.options(t, good)
	o.Box = "box-2"
	if _, err := enrol.Enrol(ctx, o); refusal(err) != fleet.EnrolWrongBox {
		t.Error("another box's code:", err)
	}
	o = w.options(t, good)
	o.Site = "H2"
	if _, err := enrol.Enrol(ctx, o); refusal(err) != fleet.EnrolWrongBox {
		t.Error("another hospital's code:", err)
	}
	// None of these used the code up.
	mustEnrol(t, w.options(t, good))
	if _, err := enrol.Enrol(ctx, w.options(t, good)); refusal(err) != fleet.EnrolUsed {
		t.Error("a used code:", err)
	}
	late := w.code(t, "H1", "box-3")
	w.time.set(w.time.now().Add(25 * time.Hour))
	if _, err := enrol.Enrol(ctx, w.options(t, late)); refusal(err) != fleet.EnrolExpired {
		t.Error("an expired code:", err)
	}
}

func TestTriesAreLimited(t *testing.T) {
	w := newWorld(t)
	good := w.code(t, "H1", "box-1")
	wrong := good
	wrong.Secret[0] ^= 1
	for range 5 {
		if _, err := enrol.Enrol(context.Background(), w.options(t, wrong)); refusal(err) != fleet.EnrolUnknown {
			t.Fatal(err)
		}
	}
	if _, err := enrol.Enrol(context.Background(), w.options(t, good)); refusal(err) != fleet.EnrolLocked {
		t.Error("the code still works after five wrong secrets:", err)
	}
	// And an address that tries codes is not heard any more.
	last := ""
	for range 30 {
		_, err := enrol.Enrol(context.Background(), w.options(t, wrong))
		last = refusal(err)
	}
	if last != fleet.EnrolSlow {
		t.Error(last)
	}
	w.time.set(w.time.now().Add(11 * time.Minute))
	mustEnrol(t, w.options(t, w.code(t, "H1", "box-2")))
}

// TestOtherAuthority: whoever answers in the authority's place learns nothing,
// not even the code.
func TestOtherAuthority(t *testing.T) {
	real, fake := newWorld(t), newWorld(t)
	asked := atomic.Bool{}
	wrap := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked.Store(true); h.ServeHTTP(w, r) })
	}
	fake.wrap.Store(&wrap)
	o := real.options(t, real.code(t, "H1", "box-1"))
	o.URL = fake.url
	if _, err := enrol.Enrol(context.Background(), o); err == nil || !strings.Contains(err.Error(), "not the authority that the code names") {
		t.Error(err)
	}
	if asked.Load() {
		t.Error("the code was sent to a stranger")
	}
	// A stranger who shows the real authority's certificate behind his own.
	fake2 := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Store(true) }))
	fake2.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	fake2.StartTLS()
	defer fake2.Close()
	mixed := fake2.TLS.Certificates[0]
	block, err := x509.ParseCertificate(pemBytes(t, real.Certificate()))
	if err != nil {
		t.Fatal(err)
	}
	mixed.Certificate = [][]byte{mixed.Certificate[0], block.Raw}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{mixed}})
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = fake2.Config.Serve(l) }()
	defer func() { _ = l.Close() }()
	o.URL = "https://" + l.Addr().String()
	if _, err := enrol.Enrol(context.Background(), o); err == nil || asked.Load() {
		t.Error("a chain that is none was believed:", err)
	}
	// The right authority under an address that its certificate does not name.
	_, port, err := net.SplitHostPort(strings.TrimPrefix(real.url, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	o.URL = "https://localhost:" + port
	if _, err := enrol.Enrol(context.Background(), o); err == nil || !strings.Contains(err.Error(), "--url") {
		t.Error(err)
	}
}

// TestRace: of many boxes with one code exactly one gets a certificate, also
// where two programs answer from one folder.
func TestRace(t *testing.T) {
	w := newWorld(t)
	c := w.code(t, "H1", "box-1")
	second, err := ca.Open(w.dir, w.time.now)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ca.NewServer(second, []string{"127.0.0.1"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go func() { _ = other.Serve(ctx, l) }()
	var group sync.WaitGroup
	var won, lost atomic.Int64
	for i := range 8 {
		o := w.options(t, c)
		if i%2 == 1 {
			o.URL = "https://" + l.Addr().String()
		}
		group.Go(func() {
			_, err := enrol.Enrol(context.Background(), o)
			switch refusal(err) {
			case "":
				won.Add(1)
			case fleet.EnrolUsed:
				lost.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	group.Wait()
	if won.Load() != 1 || lost.Load() != 7 {
		t.Errorf("%d won, %d lost", won.Load(), lost.Load())
	}
}

// TestLostAnswer: the authority has issued, the box never heard of it. The
// same code gives the same certificate, also after the code's end.
func TestLostAnswer(t *testing.T) {
	w := newWorld(t)
	o := w.options(t, w.code(t, "H1", "box-1"))
	drop := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		})
	}
	w.wrap.Store(&drop)
	if _, err := enrol.Enrol(context.Background(), o); err == nil {
		t.Fatal("an answer came")
	}
	w.wrap.Store(nil)
	w.time.set(w.time.now().Add(48 * time.Hour))
	mustEnrol(t, o)
	list, err := w.List()
	if err != nil {
		t.Fatal(err)
	}
	boxes := 0
	for _, i := range list {
		if i.Kind == ca.KindBox {
			boxes++
		}
	}
	if boxes != 1 {
		t.Errorf("%d certificates for one code", boxes)
	}
	// The same for a renewal.
	w.time.set(w.time.now().Add(300 * 24 * time.Hour))
	r := &enrol.Renewer{Files: o.Files, URL: w.url, Now: w.time.now, Logger: slog.New(slog.DiscardHandler)}
	w.wrap.Store(&drop)
	if _, err := r.Renew(context.Background(), true); err == nil {
		t.Fatal("an answer came")
	}
	w.wrap.Store(nil)
	if got, err := r.Renew(context.Background(), true); err != nil || !got.New {
		t.Fatal(got, err)
	}
	if list, err = w.List(); err != nil {
		t.Fatal(err)
	}
	after := 0
	for _, i := range list {
		if i.Kind == ca.KindBox {
			after++
		}
	}
	if after != 2 {
		t.Errorf("%d certificates after one renewal", after)
	}
}

// TestPowerCut cuts the power at every step of putting a certificate in place:
// each state that a cut can leave is made by hand from a finished change.
func TestPowerCut(t *testing.T) {
	w := newWorld(t)
	old := w.options(t, w.code(t, "H1", "box-1"))
	mustEnrol(t, old)
	w.time.set(w.time.now().Add(300 * 24 * time.Hour))
	read := func(p string) []byte {
		data, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	oldCA, oldKey, oldCert := read(old.Files.CA), read(old.Files.Key), read(old.Files.Cert)
	r := &enrol.Renewer{Files: old.Files, URL: w.url, Now: w.time.now, Logger: slog.New(slog.DiscardHandler)}
	if got, err := r.Renew(context.Background(), true); err != nil || !got.New {
		t.Fatal(got, err)
	}
	newKey, newCert := read(old.Files.Key), read(old.Files.Cert)
	next := append(append([]byte(nil), newKey...), newCert...)
	for name, state := range map[string]map[string][]byte{
		"before anything": {"key.pem": oldKey, "cert.pem": oldCert},
		"pending alone":   {"key.pem": oldKey, "cert.pem": oldCert, "pending-key.pem": newKey},
		"next written":    {"key.pem": oldKey, "cert.pem": oldCert, "pending-key.pem": newKey, "next.pem": next},
		"key changed":     {"key.pem": newKey, "cert.pem": oldCert, "pending-key.pem": newKey, "next.pem": next},
		"both changed":    {"key.pem": newKey, "cert.pem": newCert, "pending-key.pem": newKey, "next.pem": next},
		"pending removed": {"key.pem": newKey, "cert.pem": newCert, "next.pem": next},
		"done":            {"key.pem": newKey, "cert.pem": newCert},
		"next damaged":    {"key.pem": oldKey, "cert.pem": oldCert, "next.pem": newKey},
	} {
		dir := t.TempDir()
		state["ca.pem"] = oldCA
		for n, data := range state {
			if err := os.WriteFile(filepath.Join(dir, n), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		f := enrol.InFolder(dir)
		err := f.Resume()
		if (err != nil) != (name == "next damaged") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := f.Pair(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got, err := (&enrol.Renewer{Files: f, URL: w.url, Now: w.time.now, Logger: slog.New(slog.DiscardHandler)}).Renew(context.Background(), true)
		if err != nil || got.NotAfter.Before(w.time.now()) {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
}

func pemBytes(t *testing.T, data []byte) []byte {
	t.Helper()
	pair := string(data)
	if !strings.Contains(pair, "BEGIN CERTIFICATE") {
		t.Fatal("no PEM")
	}
	return decodePEM(data)
}
