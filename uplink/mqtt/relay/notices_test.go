package relay_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"payagent/uplink/mqtt/internal/sealed"
)

// TestNotices: a notification becomes a wake-up with the order's number and
// nothing else of it; what names no order, box or platform wakes nobody.
func TestNotices(t *testing.T) {
	bubble(t, nil, func(r *rig) {
		b := r.box("B1")
		tk := b.seal(sealed.Ask{Op: sealed.OpTicket})
		b.publish(tk.payload)
		key := b.one(tk, sealed.Granted).WakeKey
		h := r.relay.Notices(func(platform string) (string, bool) { return "success", platform == "pay" })
		biz := "?x=1&biz_content=" + url.QueryEscape(`{"out_trade_no":"MZ1","trade_status":"TRADE_SUCCESS","total_amount":1.00}`)
		call := func(method, target, body string) *httptest.ResponseRecorder {
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, httptest.NewRequest(method, target, strings.NewReader(body)))
			synctest.Wait()
			return rec
		}
		good := 0
		for _, c := range []struct {
			method, target, body string
			want                 int
		}{
			{"POST", "/notify/H1/B1/pay" + biz, "", 200},
			{"GET", "/notify/H1/B1/pay" + biz, "", 200},
			{"POST", "/notify/H1/B1/pay", biz[1:], 200},
			{"POST", "/notify/H1/B1/pay?out_trade_no=MZ1", "", 200},
			{"POST", "/notify/H1/B1/other" + biz, "", 404},
			{"POST", "/notify/H1/B2/pay" + biz, "", 503},
			{"POST", "/notify/H1/B1%2Frelay/pay" + biz, "", 503},
			{"PUT", "/notify/H1/B1/pay" + biz, "", 405},
			{"POST", "/notify/H1/B1/pay", "", 400},
			{"POST", "/notify/H1/B1/pay?out_trade_no=a%2Fb", "", 400},
			{"POST", "/notify/H1/B1/pay?biz_content=%5B%5D", "", 400},
			{"POST", "/notify/H1/B1/pay?out_trade_no=" + strings.Repeat("9", 33), "", 400},
			{"POST", "/notify/H1/B1/pay", strings.Repeat("x", 65<<10), 413},
		} {
			got := call(c.method, c.target, c.body)
			if got.Code != c.want {
				t.Errorf("%s %.60s: %d, want %d", c.method, c.target, got.Code, c.want)
			}
			if c.want == http.StatusOK {
				good++
				if got.Body.String() != "success" {
					t.Errorf("the platform reads %q", got.Body.String())
				}
			}
		}
		if len(b.wakes) != good {
			t.Fatalf("%d wake-ups for %d notifications", len(b.wakes), good)
		}
		for _, p := range b.wakes {
			if k, err := sealed.OpenWake(key, b.place, p); err != nil || k.Order != "MZ1" || k.Platform != base {
				t.Errorf("%+v %v", k, err)
			}
		}
		for range 20 {
			call("GET", "/notify/H1/B1/pay"+biz, "")
		}
		if got := call("GET", "/notify/H1/B1/pay"+biz, ""); got.Code != http.StatusServiceUnavailable {
			t.Error("a box is woken as often as anybody likes:", got.Code)
		}
	})
}

// FuzzNotices: nothing a stranger sends panics, or passes on anything but a
// number.
func FuzzNotices(f *testing.F) {
	f.Add(`biz_content=%7B%22out_trade_no%22%3A%22MZ1%22%7D`, "")
	f.Add("", "out_trade_no=MZ1")
	f.Add("biz_content=%7B", "%zz")
	r := newQuiet(f)
	h := r.Notices(func(string) (string, bool) { return "success", true })
	f.Fuzz(func(t *testing.T, body, query string) {
		req := httptest.NewRequest("POST", "/notify/H1/B1/pay", strings.NewReader(body))
		req.URL.RawQuery = query
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req)
		if rec.Code == http.StatusOK {
			t.Error("somebody was woken")
		}
	})
}
