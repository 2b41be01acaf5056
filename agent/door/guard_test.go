package door_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"payagent/agent/agenttest"
	"payagent/agent/config"
	"payagent/agent/door"
)

const friend = "https://his.hospital.example:8443"

func withFriend(o *agenttest.Options, d *door.Options) {
	o.Config = func(c *config.Config) {
		c.Door.Origins = []string{friend}
		c.Door.Hosts = []string{"pay.local"}
		c.Door.Listen = []string{"127.0.0.1:8780", "10.0.0.5:443"}
	}
	d.Pages = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "page ", r.URL.Path) })
}

// Every route with every token: who may come in, and what an order of another
// till looks like.
func TestWhoMay(t *testing.T) {
	inBubbleWith(t, unlimited, func(t *testing.T, r *rig) {
		one := r.create(bill("B1")).id()
		two := r.create(bill("B2", object{"till": "w2"})).id()
		kiosk := r.create(bill("B3", object{"till": "k1", "mode": "present", "channel": "wechat"})).id()
		rows := []struct {
			method, path string
			body         any
			want         map[string]int // 0 for a token that is not named: 403
		}{
			{"GET", "/v1/orders/" + one, nil, map[string]int{his: 200, collector: 200, admin: 200, cashier1: 200, refunder1: 200}},
			{"GET", "/v1/orders/" + two, nil, map[string]int{his: 200, collector: 200, admin: 200, cashier1: 404, refunder1: 404}},
			{"GET", "/v1/orders/" + two + "/refunds", nil, map[string]int{his: 200, collector: 200, admin: 200, cashier1: 404, refunder1: 404}},
			{"GET", "/v1/orders/" + two + "/timeline", nil, map[string]int{his: 200, collector: 200, admin: 200, cashier1: 404, refunder1: 404}},
			{"POST", "/v1/orders/" + one + "/check", nil, map[string]int{his: 202, collector: 202, cashier1: 202}},
			{"POST", "/v1/orders/" + two + "/check", nil, map[string]int{his: 202, collector: 202, cashier1: 404}},
			{"POST", "/v1/orders/" + two + "/cancel", `{"x":1}`, map[string]int{his: 422, collector: 422, cashier1: 422}},
			{"POST", "/v1/orders/" + two + "/confirm", nil, map[string]int{his: 409, collector: 409, cashier1: 404}},
			{"POST", "/v1/orders/" + two + "/detach", `{"x":1}`, map[string]int{his: 422, collector: 422, cashier1: 422}},
			{"POST", "/v1/orders", bill("B1", object{"auth_code": nil}), map[string]int{his: 200, collector: 200, cashier1: 200}},
			{"POST", "/v1/orders", bill("B2", object{"till": "w2"}), map[string]int{his: 200, collector: 200}},
			{"POST", "/v1/orders/" + one + "/refunds", `{"amount_fen":1,"operator":{"id":"1"}}`, map[string]int{his: 409, refunder1: 409}},
			{"POST", "/v1/orders/" + two + "/refunds", `{"amount_fen":1,"operator":{"id":"1"}}`, map[string]int{his: 409, refunder1: 404}},
			{"GET", "/v1/orders/" + kiosk + "/qr.svg", nil, map[string]int{his: 200, collector: 200, screen1: 200, cashier1: 404}},
			{"GET", "/v1/orders/" + kiosk + "/qr.png", nil, map[string]int{his: 200, collector: 200, screen1: 200, cashier1: 404}},
			{"GET", "/v1/orders/" + one + "/qr.svg", nil, map[string]int{his: 404, collector: 404, screen1: 404, cashier1: 404}},
			{"GET", "/v1/orders/" + one + "/qr.png", nil, map[string]int{his: 404, collector: 404, screen1: 404, cashier1: 404}},
			{"GET", "/v1/tills/k1", nil, map[string]int{his: 200, collector: 200, screen1: 200, cashier1: 404}},
			{"GET", "/v1/tills/w1", nil, map[string]int{his: 200, collector: 200, screen1: 404, cashier1: 200}},
			{"GET", "/v1/orders?state=open", nil, map[string]int{his: 200, collector: 200, admin: 200, cashier1: 200, refunder1: 200}},
			{"GET", "/v1/events?since=x", nil, map[string]int{his: 422, collector: 422, admin: 422, cashier1: 422, screen1: 422}},
			{"GET", "/v1/capabilities", nil, map[string]int{his: 200, collector: 200, admin: 200, cashier1: 200, refunder1: 200, screen1: 200}},
			{"GET", "/v1/openapi.json", nil, map[string]int{his: 200, collector: 200, admin: 200, cashier1: 200, refunder1: 200, screen1: 200}},
			{"POST", "/v1/resolve", nil, map[string]int{admin: 202}},
			{"GET", "/v1/alarms", nil, map[string]int{admin: 200}},
			{"GET", "/metrics", nil, map[string]int{admin: 200}},
			{"GET", "/v1/diag", nil, map[string]int{admin: 404}},
			{"GET", "/readyz", nil, map[string]int{his: 200, collector: 200, admin: 200, cashier1: 200, refunder1: 200}},
			{"GET", "/v1/nothing", nil, map[string]int{his: 404, collector: 404, admin: 404, cashier1: 404, refunder1: 404, screen1: 404}},
		}
		for i, row := range rows {
			for _, name := range []string{his, admin, cashier1, refunder1, screen1, collector} {
				key := set("Idempotency-Key", fmt.Sprint(i, name))
				want := row.want[name]
				if want == 0 {
					want = 403
				}
				if got := r.call(row.method, row.path, name, row.body, key); got.status != want {
					t.Errorf("%s %s by %s: %d, want %d\n%s", row.method, row.path, name, got.status, want, got.raw)
				}
			}
			for what, h := range map[string]header{"none": del("Authorization"), "wrong": set("Authorization", "Bearer pt_"+strings.Repeat("A", 43)),
				"basic": set("Authorization", "Basic "+r.tokens[his]), "bare": set("Authorization", r.tokens[his]), "empty": set("Authorization", "Bearer "),
				"two": func(q *http.Request) { q.Header["Authorization"] = []string{"Bearer " + r.tokens[his], "Bearer x"} }} {
				got := r.call(row.method, row.path, his, row.body, h).want(401, "unauthorised")
				if got.head.Get("WWW-Authenticate") == "" {
					t.Errorf("%s: no challenge", what)
				}
			}
		}
		// What needs two persons has tokens of its own.
		for path, want := range map[string]map[string]int{
			"/v1/orders/" + one + "/booking":            {his: 422, collector: 422, cashier1: 422},
			"/v1/orders/" + two + "/booking":            {his: 422, collector: 422, cashier1: 422},
			"/v1/orders/" + one + "/refunds/R/approve":  {his: 422, refunder1: 422, desk: 422, vouching: 422},
			"/v1/orders/" + two + "/refunds/R/decline":  {his: 422, refunder1: 404, desk: 422, vouching: 422},
			"/v1/orders/" + one + "/resolution":         {finance1: 422, finance2: 422, vouching: 422},
			"/v1/orders/" + one + "/resolution/confirm": {finance1: 422, finance2: 422, vouching: 422},
			"/v1/orders/" + one + "/resolution/reject":  {finance1: 422, finance2: 422, vouching: 422},
			"/v1/desk/lookup":                           {his: 422, refunder1: 422, desk: 422, vouching: 422},
			"/v1/desk/adopt":                            {his: 422, refunder1: 422, desk: 422, vouching: 422},
		} {
			for name := range r.tokens {
				status := want[name]
				if status == 0 {
					status = 403
				}
				if got := r.call("POST", path, name, `{}`); got.status != status {
					t.Errorf("%s by %s: %d, want %d\n%s", path, name, got.status, status, got.raw)
				}
			}
		}
		// A list leaves out what is not the token's.
		list := string(r.call("GET", "/v1/orders?state=open", cashier1, nil).raw)
		if !strings.Contains(list, one) || strings.Contains(list, two) {
			t.Error(list)
		}
		if got := string(r.call("GET", "/v1/orders?bill=B2", cashier1, nil).raw); strings.Contains(got, two) {
			t.Error(got)
		}
		caps := string(r.call("GET", "/v1/capabilities", cashier1, nil).raw)
		if strings.Contains(caps, `"w2"`) || !strings.Contains(caps, `"w1"`) {
			t.Error(caps)
		}
		r.call("GET", "/healthz", "", nil).want(200, "").is("status", "ok")
		// A token that was bound to a till need not name it.
		r.createAs(cashier1, bill("B1", object{"till": nil}), set("Idempotency-Key", "bound")).want(200, "").is("till", "w1")
	})
}

// From where: Host, Origin, and what a browser says of itself.
func TestFromWhere(t *testing.T) {
	inBubbleWith(t, withFriend, func(t *testing.T, r *rig) {
		id := r.create(bill("B1")).id()
		paths := []struct{ method, path string }{{"GET", "/v1/orders/" + id}, {"POST", "/v1/orders"}, {"POST", "/v1/orders/" + id + "/cancel"},
			{"GET", "/v1/events"}, {"GET", "/healthz"}, {"GET", "/v1/tills/w1"}, {"POST", "/v1/resolve"}, {"OPTIONS", "/v1/orders"}, {"GET", "/v1/none"}}
		for _, p := range paths {
			for _, h := range []string{"evil.example", "evil.example:8780", "127.0.0.1", "127.0.0.1:8781", "127.0.0.1:8780.evil.example", "localhost.evil.example:8780",
				"localhost", "127.0.0.2:8780", "0.0.0.0:8780", "[::]:8780", "", "127.0.0.1:8780 ", "user@127.0.0.1:8780", "127.0.0.1.:8780", "10.0.0.5:8780", "[fe80::1]:8780"} {
				got := r.call(p.method, p.path, his, nil, toHost(h))
				if got.status != 421 {
					t.Errorf("%s %s, Host %q: %d", p.method, p.path, h, got.status)
				}
			}
			for _, o := range []string{"null", "http://evil.example", "http://127.0.0.1:8781", "https://127.0.0.1:8780", "http://localhost:8780", friend + ".evil.example", "http://his.hospital.example:8443",
				"https://his.hospital.example", strings.ToUpper(friend), friend + "/", "http://127.0.0.1:8780.evil.example", ""} {
				got := r.call(p.method, p.path, his, nil, set("Origin", o), set("Sec-Fetch-Site", "cross-site"))
				if got.status != 403 || got.head.Get("Access-Control-Allow-Origin") != "" {
					t.Errorf("%s %s, Origin %q: %d %v", p.method, p.path, o, got.status, got.head)
				}
			}
			if p.method == "OPTIONS" {
				continue
			}
			// A cross-site image, script or form names no origin on a GET.
			for _, site := range []string{"cross-site", "same-site", "odd"} {
				if got := r.call(p.method, p.path, his, nil, set("Sec-Fetch-Site", site)); got.status != 403 {
					t.Errorf("%s %s, Sec-Fetch-Site %s: %d", p.method, p.path, site, got.status)
				}
			}
			two := func(q *http.Request) { q.Header["Origin"] = []string{"http://127.0.0.1:8780", "http://evil.example"} }
			if got := r.call(p.method, p.path, his, nil, two); got.status != 403 {
				t.Errorf("two origins: %d", got.status)
			}
		}
		if got := r.order(id); got.get("state") != "waiting" {
			t.Errorf("something was changed: %s", got.raw)
		}
		for _, h := range []string{"127.0.0.1:8780", "localhost:8780", "LOCALHOST:8780", "[::1]:8780", "pay.local:8780", "10.0.0.5:443", "10.0.0.5", "pay.local"} {
			got := r.call("GET", "/v1/orders/"+id, his, nil, toHost(h), set("Origin", "http://"+h), set("Sec-Fetch-Site", "same-origin")).want(200, "")
			if got.head.Get("Access-Control-Allow-Origin") != "" {
				t.Error("our own page needs no CORS")
			}
			for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY",
				"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Cross-Origin-Resource-Policy": "same-origin"} {
				if got.head.Get(name) != want {
					t.Errorf("%s is %q", name, got.head.Get(name))
				}
			}
		}
	})
}

// A configured page may call, and read; nothing more is granted.
func TestConfiguredOrigin(t *testing.T) {
	inBubbleWith(t, withFriend, func(t *testing.T, r *rig) {
		from := []header{set("Origin", friend), set("Sec-Fetch-Site", "cross-site")}
		flight := r.call("OPTIONS", "/v1/orders", "", nil, append(from, set("Access-Control-Request-Method", "POST"), set("Access-Control-Request-Private-Network", "true"))...)
		if flight.status != 204 || flight.head.Get("Access-Control-Allow-Origin") != friend || !strings.Contains(flight.head.Get("Access-Control-Allow-Headers"), "Idempotency-Key") {
			t.Errorf("%d %v", flight.status, flight.head)
		}
		made := r.create(bill("B1"), from...).want(201, "")
		for _, got := range []reply{flight, made} {
			if got.head.Get("Vary") != "Origin" || got.head.Get("Access-Control-Allow-Credentials") != "" || got.head.Get("Access-Control-Allow-Private-Network") != "" {
				t.Error(got.head)
			}
		}
		if made.head.Get("Access-Control-Allow-Origin") != friend || !strings.Contains(made.head.Get("Access-Control-Expose-Headers"), "Location") {
			t.Error(made.head)
		}
		// Without a token it gets no further than anybody.
		r.call("POST", "/v1/orders", "", bill("B1"), from...).want(401, "unauthorised")
		r.call("OPTIONS", "/v1/orders", "", nil).want(401, "unauthorised")
	})
}

// The pages are open, on our own hosts only, and for reading only.
func TestPages(t *testing.T) {
	inBubbleWith(t, withFriend, func(t *testing.T, r *rig) {
		get := func(method, path string, headers ...header) (int, string) {
			rec := r.plain(method, path, headers...)
			return rec.Code, rec.Body.String()
		}
		// A link from HIS's own page leads here: a navigation across sites.
		if code, body := get("GET", "/kiosk", set("Sec-Fetch-Site", "cross-site"), set("Sec-Fetch-Mode", "navigate")); code != 200 || body != "page /kiosk" {
			t.Error(code, body)
		}
		if code, _ := get("GET", "/kiosk", toHost("evil.example:8780")); code != 421 {
			t.Error(code)
		}
		if code, _ := get("POST", "/kiosk"); code != 405 {
			t.Error(code)
		}
		if code, _ := get("GET", "/kiosk", set("Origin", "http://evil.example")); code != 403 {
			t.Error(code)
		}
		for _, path := range []string{"/v1", "/v1/kiosk", "/metrics", "/readyz"} {
			if code, _ := get("GET", path); code != 401 {
				t.Errorf("%s: %d", path, code)
			}
		}
		if code, _ := get("HEAD", "/v1/events", set("Authorization", "Bearer "+r.tokens[his])); code != 405 {
			t.Error(code)
		}
	})
}

func TestTrace(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		const id = "0af7651916cd43dd8448eb211c80319c"
		got := r.call("GET", "/v1/none", his, nil, set("Traceparent", "00-"+id+"-b7ad6b7169203331-01")).want(404, "not_found").is("trace_id", id)
		if got.head.Get("X-Trace-Id") != id {
			t.Error(got.head)
		}
		for _, odd := range []string{"", "00-" + strings.Repeat("0", 32) + "-b7ad6b7169203331-01", "x", "00-" + id} {
			a := r.call("GET", "/v1/none", his, nil, set("Traceparent", odd), set("X-Trace-Id", "mine"))
			b := r.call("GET", "/v1/none", his, nil, set("Traceparent", odd))
			if x, y := a.get("trace_id"), b.get("trace_id"); x == y || x == id || x == "mine" {
				t.Errorf("%q gives %v and %v", odd, x, y)
			}
		}
	})
}
