package enrol_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	known "payagent/agent/clock"
	"payagent/agent/enrol"
	"payagent/agent/fleet"
)

func decodePEM(data []byte) []byte {
	b, _ := pem.Decode(data)
	if b == nil {
		return nil
	}
	return b.Bytes
}

const day = 24 * time.Hour

func TestRenew(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	start := w.time.now()
	o := w.options(t, w.code(t, "H1", "box-1"))
	mustEnrol(t, o)
	first, err := o.Files.Current()
	if err != nil {
		t.Fatal(err)
	}
	firstKey, err := os.ReadFile(o.Files.Key)
	if err != nil {
		t.Fatal(err)
	}
	r := &enrol.Renewer{Files: o.Files, URL: w.url, Now: w.time.now, Logger: slog.New(slog.DiscardHandler)}
	if got, err := r.Renew(ctx, true); err != nil || got.New {
		t.Error("renewed before its time", got, err)
	}
	if got, err := r.Renew(ctx, false); err != nil || !got.New {
		t.Error("an order to renew was not followed", got, err)
	}
	second, err := o.Files.Current()
	if err != nil || second.Equal(first) {
		t.Fatal("nothing changed", err)
	}
	if key, err := os.ReadFile(o.Files.Key); err != nil || bytes.Equal(key, firstKey) {
		t.Error("the key is the old one", err)
	}
	w.time.set(start.Add(250 * day))
	if got, err := r.Renew(ctx, true); err != nil || !got.New {
		t.Error("not renewed at two thirds", got, err)
	}
	// Ended, but within the grace: the box stood in a cupboard.
	w.time.set(start.Add(250*day + 380*day))
	if got, err := r.Renew(ctx, true); err != nil || !got.New {
		t.Error("not renewed within the grace", got, err)
	}
	w.time.set(w.time.now().Add(400 * day))
	if _, err := r.Renew(ctx, true); refusal(err) != fleet.EnrolTooLate {
		t.Error(err)
	}
}

// TestWrongClock: the box believes to live in 1970, or in 2099, and renews all
// the same; what it asks for is decided by the authority's clock.
func TestWrongClock(t *testing.T) {
	ctx := context.Background()
	for name, wrong := range map[string]time.Time{"1970": time.Unix(100, 0), "2099": time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)} {
		w := newWorld(t)
		o := w.options(t, w.code(t, "H1", "box-1"))
		mustEnrol(t, o)
		box := newClock(wrong)
		r := &enrol.Renewer{Files: o.Files, URL: w.url, Now: box.now, Logger: slog.New(slog.DiscardHandler)}
		if got, err := r.Renew(ctx, true); err != nil || got.New {
			t.Errorf("%s: %+v %v", name, got, err)
		}
		w.time.set(w.time.now().Add(300 * day))
		if got, err := r.Renew(ctx, true); err != nil || !got.New {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
	// It is no licence for certificates that ended before the box had its own.
	w := newWorld(t)
	o := w.options(t, w.code(t, "H1", "box-0"))
	mustEnrol(t, o)
	own, err := o.Files.Current()
	if err != nil {
		t.Fatal(err)
	}
	if enrol.JudgedAt(own, own.NotBefore.Add(-day), own.NotBefore.Add(-time.Hour), time.Now()) ||
		enrol.JudgedAt(own, own.NotAfter.Add(40*day), own.NotAfter.Add(50*day), time.Now()) ||
		!enrol.JudgedAt(own, own.NotBefore.Add(-day), own.NotBefore.Add(time.Hour), own.NotAfter) {
		t.Error("a certificate of another time was judged")
	}
	// The first certificate: a clock before the program was built is known to
	// be wrong; one from the future is refused and named.
	w = newWorld(t)
	o = w.options(t, w.code(t, "H1", "box-1"))
	k := known.Open(known.Options{Made: w.time.now(), Wall: newClock(time.Unix(100, 0)).now})
	o.Now, o.Doubt = k.Now, k.Doubt
	mustEnrol(t, o)
	o = w.options(t, w.code(t, "H1", "box-2"))
	o.Now = newClock(time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)).now
	if _, err := enrol.Enrol(ctx, o); !errors.Is(err, enrol.ErrClock) {
		t.Error(err)
	}
}

func TestRevoked(t *testing.T) {
	w := newWorld(t)
	o := w.options(t, w.code(t, "H1", "box-1"))
	mustEnrol(t, o)
	if ended, err := w.Revoke("box-1", "stolen"); err != nil || len(ended) != 1 {
		t.Fatal(ended, err)
	}
	r := &enrol.Renewer{Files: o.Files, URL: w.url, Now: w.time.now, Logger: slog.New(slog.DiscardHandler)}
	if _, err := r.Renew(context.Background(), false); refusal(err) != fleet.EnrolRevoked {
		t.Error(err)
	}
	o.Files = enrol.InFolder(filepath.Join(t.TempDir(), "fleet"))
	if _, err := enrol.Enrol(context.Background(), o); refusal(err) != fleet.EnrolUsed {
		t.Error(err)
	}
	// A certificate of another authority, and none.
	other := newWorld(t)
	oo := other.options(t, other.code(t, "H1", "box-9"))
	mustEnrol(t, oo)
	mine, err := os.ReadFile(o.Files.CA)
	if errors.Is(err, os.ErrNotExist) {
		mine = w.Certificate()
	} else if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(oo.Files.CA, mine, 0o600); err != nil {
		t.Fatal(err)
	}
	r = &enrol.Renewer{Files: oo.Files, URL: w.url, Now: w.time.now, Logger: slog.New(slog.DiscardHandler)}
	if _, err := r.Renew(context.Background(), false); refusal(err) != fleet.EnrolNotOurs {
		t.Error(err)
	}
}

func TestByFile(t *testing.T) {
	w := newWorld(t)
	f := enrol.InFolder(filepath.Join(t.TempDir(), "fleet"))
	data, err := enrol.Request(f, "H1", "box-1")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(data), "PRIVATE") {
		t.Fatal("the key left the box")
	}
	var q fleet.EnrolRequest
	if err := fleet.Unmarshal(data, &q); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Sign(q, "H1", "box-2"); err == nil {
		t.Error("signed for another box")
	}
	e, err := w.Sign(q, "H1", "box-1")
	if err != nil {
		t.Fatal(err)
	}
	answer, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	o := enrol.Options{Files: enrol.InFolder(filepath.Join(t.TempDir(), "fleet")), Now: time.Now}
	if _, _, err := enrol.Accept(o, answer); err == nil {
		t.Error("a box took another box's certificate")
	}
	o.Files, o.Box = f, "box-7"
	if _, _, err := enrol.Accept(o, answer); err == nil {
		t.Error("taken under another name")
	}
	o.Box = ""
	s, print, err := enrol.Accept(o, answer)
	if err != nil || s.Box != "box-1" || print != w.Fingerprint() {
		t.Error(s, print, err)
	}
	if _, err := f.Pair(); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", "{}", strings.Replace(string(answer), "BEGIN CERT", "BEGIN CART", 1), string(answer) + "x"} {
		if _, _, err := enrol.Accept(o, []byte(bad)); err == nil {
			t.Errorf("%.40q was taken", bad)
		}
	}
}

// TestRun: a box renews by itself, and goes on trying.
func TestWatch(t *testing.T) {
	w := newWorld(t)
	o := w.options(t, w.code(t, "H1", "box-1"))
	mustEnrol(t, o)
	start := w.time.now()
	var raised []string
	watch := enrol.Watch{Certs: []enrol.Named{{Name: "fleet", File: o.Files.Cert}, {Name: "door", File: "/none"}}, Now: w.time.now, Logger: slog.New(slog.DiscardHandler),
		Alarm: func(code string) { raised = append(raised, code) }}
	for _, days := range []int{0, 300, 336, 340, 359, 364, 364, 366, 367} {
		w.time.set(start.Add(time.Duration(days)*day + time.Hour))
		watch.Look()
	}
	if !slices.Equal(raised, []string{"certificate_30_days", "certificate_7_days", "certificate_1_day", "certificate_expired"}) {
		t.Error(raised)
	}
	var b bytes.Buffer
	if err := watch.WriteMetrics(&b); err != nil || !strings.Contains(b.String(), `payagent_certificate_days_left{certificate="fleet"} -2.`) {
		t.Error(b.String(), err)
	}
	w.time.set(time.Unix(100, 0))
	watch.Look()
	if len(raised) != 4 {
		t.Error("a clock of 1970 raised", raised)
	}
}

func TestRunEnds(t *testing.T) {
	w := newWorld(t)
	o := w.options(t, w.code(t, "H1", "box-1"))
	mustEnrol(t, o)
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		r := &enrol.Renewer{Files: o.Files, URL: "https://127.0.0.1:1", Logger: slog.New(slog.DiscardHandler),
			Now: func() time.Time { asked++; return w.time.now() }}
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() { r.Run(ctx); close(ended) }()
		time.Sleep(25 * time.Hour)
		synctest.Wait()
		stop()
		<-ended
		if asked < 20 || asked > 26 {
			t.Errorf("looked %d times in a day", asked)
		}
	})
}
