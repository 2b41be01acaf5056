//go:build linux

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"payagent/platforms"
	"payagent/platforms/lc"
	"payagent/platforms/lc/lctest"
)

// receiver is an address for notices; it refuses the first one of each order.
type receiver struct {
	*httptest.Server
	got  chan platforms.Incoming
	seen map[string]bool
}

func receive(t *testing.T, c *clock) *receiver {
	t.Helper()
	r := &receiver{got: make(chan platforms.Incoming, 16), seen: map[string]bool{}}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		if key := req.URL.RawQuery + string(body); !r.seen[key] {
			r.seen[key] = true
			http.Error(w, "later", http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "success\n")
		r.got <- platforms.Incoming{Query: req.URL.RawQuery, Form: string(body), Now: c.Now()}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) next(t *testing.T) platforms.Incoming {
	t.Helper()
	select {
	case in := <-r.got:
		return in
	case <-time.After(time.Minute):
		t.Fatal("no notice")
		return platforms.Incoming{}
	}
}

func openLC(t *testing.T, s *sim) *lc.Platform {
	t.Helper()
	read := func(file string) platforms.Hidden {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return platforms.Hide(string(text))
	}
	info, err := os.Stat(s.at.LCKeyFile)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatal(info, err)
	}
	key := read(s.at.LCKeyFile)
	p, err := lc.New(http.DefaultTransport, lc.Config{
		Endpoint: s.at.Platforms["lc"], AuthURL: s.at.LCAuthURL, AppID: s.at.LCAppID, PlatformKeys: []platforms.Hidden{read(s.at.LCPlatformKey)},
		PrivateKey: func() (platforms.Hidden, error) { return key, nil }, Rand: rand.Reader, Now: s.clock.Now, OrgNo: "H1", OrgName: "演示医院",
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// browse follows one redirect by hand.
func browse(t *testing.T, method, address, form string) *url.URL {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	to, err := resp.Location()
	if err != nil || resp.StatusCode != http.StatusSeeOther {
		t.Fatal(resp.Status, err)
	}
	return to
}

// TestGateway: a page is paid, its payer comes back, and a notice arrives, at
// the second attempt; all of it verifies with the keys in the world's folder.
func TestGateway(t *testing.T) {
	for name, byBody := range map[string]bool{"by address": false, "by body": true} {
		t.Run(name, func(t *testing.T) {
			c := newClock()
			s := startWith(t, t.TempDir(), c, nowhere, func(o *serveOptions) { o.notifyByBody = byBody })
			p, in := openLC(t, s), receive(t, c)
			charge := platforms.Charge{
				Ref:       platforms.Ref{OrderNo: "MZ260506LC0000000001", Amount: 8888, Mode: platforms.ModeH5},
				OrderType: "TREATMENT", Subject: "门诊缴费",
				Web: platforms.Web{NotifyURL: in.URL + "/notify", ReturnURL: "https://pay.hospital.invalid/return?o=1"},
			}
			a, err := p.Present(t.Context(), charge)
			if err != nil || a.Status != platforms.Pending || !strings.HasPrefix(a.QR, "http://127.0.0.1:") {
				t.Fatalf("%+v, %v", a, err)
			}
			back := browse(t, http.MethodPost, a.QR, "do=pay")
			n, err := p.Notice(platforms.Incoming{Query: back.RawQuery, Now: c.Now()})
			if err != nil || !n.ByBrowser || n.Evidence || n.Canceled || n.Answer.OrderNo != charge.OrderNo {
				t.Errorf("return: %+v, %v", n, err)
			}
			got := in.next(t)
			if (got.Form != "") != byBody {
				t.Errorf("query %q, form %q", got.Query, got.Form)
			}
			n, err = p.Notice(got)
			if err != nil || n.ByBrowser || n.Answer.Status != platforms.Paid || n.Answer.Amount != 8888 || n.Reply != "success" {
				t.Errorf("notice: %+v, %v", n, err)
			}
			if a, err = p.Query(t.Context(), charge.Ref); err != nil || a.Status != platforms.Paid || a.Amount != 8888 || a.Channel != platforms.Alipay {
				t.Errorf("query: %+v, %v", a, err)
			}
			if done, err := p.Cancel(t.Context(), charge.Ref); err != nil || done.Action != platforms.ActionRefund {
				t.Errorf("cancel: %+v, %v", done, err)
			}
			if n, err = p.Notice(in.next(t)); err != nil || n.Answer.Status != platforms.Closed {
				t.Errorf("notice: %+v, %v", n, err)
			}
			if o := s.order(charge.OrderNo); o.NetFen != 0 {
				t.Errorf("%+v", o)
			}
			s.stop()
			if _, err := os.Stat(s.at.LCKeyFile); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestAuthorisation: 医保授权 sends the browser back with a code that is worth a
// token, and the keys are the same after a restart.
func TestAuthorisation(t *testing.T) {
	c, dir := newClock(), t.TempDir()
	s := start(t, dir, c, nowhere)
	p := openLC(t, s)
	where, err := p.Authorise(platforms.Authorisation{OpenID: platforms.Hide("2088485687451232"), State: "s1", Redirect: "https://pay.hospital.invalid/auth"})
	if err != nil {
		t.Fatal(err)
	}
	q := browse(t, http.MethodGet, where, "").Query()
	if q.Get("state") != "s1" || q.Get("auth_code") != lctest.AuthCode("2088485687451232") {
		t.Fatalf("%v", q)
	}
	ask := platforms.InsuranceAsk{Channel: platforms.WeChat, UserID: platforms.Hide("2088485687451232"), AuthCode: platforms.Hide(q.Get("auth_code"))}
	token, err := p.InsuranceToken(t.Context(), ask)
	if err != nil || token.PayAuthNo.Empty() || token.QRCode.Empty() || token.CardInfo.Empty() {
		t.Fatalf("%v, %v", token, err)
	}
	s.stop()
	s = start(t, dir, c, nowhere)
	if err := openLC(t, s).Probe(context.Background()); err != nil {
		t.Fatal(err)
	}
	ask.AuthCode = platforms.Hide("another")
	if token, err := openLC(t, s).InsuranceToken(t.Context(), ask); err != nil || !token.PayAuthNo.Empty() || token.Code != "AUTH_CODE_INVALID" {
		t.Errorf("%+v, %v", token, err)
	}
	if _, err := openLC(t, s).Query(t.Context(), platforms.Ref{OrderNo: "MZ-"}); err == nil || errors.Is(err, platforms.ErrNotCharged) {
		t.Error(err)
	}
}
