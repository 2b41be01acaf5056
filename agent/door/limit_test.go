package door_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"payagent/agent/agenttest"
	"payagent/agent/config"
	"payagent/agent/door"
)

// limited sets narrow limits.
func limited(o *agenttest.Options, _ *door.Options) {
	o.Config = func(c *config.Config) {
		c.Door.Limits = config.DoorLimits{Creates: 5, Refunds: 2, WrongTokens: 7, LockOut: time.Minute}
	}
}

// unlimited is for tests of what many requests at once, or wrong ones, meet
// behind the limits.
func unlimited(o *agenttest.Options, _ *door.Options) {
	o.Config = func(c *config.Config) { c.Door.Limits = config.DoorLimits{} }
}

func from(address string) header {
	return func(r *http.Request) { r.RemoteAddr = address + ":40000" }
}

func (r *rig) warned(token string, change ...header) string {
	r.t.Helper()
	var list []string
	for _, w := range r.call("GET", "/readyz", token, nil, change...).want(200, "").get("warnings").([]any) {
		if code := w.(object)["code"].(string); code == "locked_out" || code == "rate_limited" {
			list = append(list, code+" "+w.(object)["say"].(object)["en"].(string))
		}
	}
	return strings.Join(list, "; ")
}

func (r *rig) alarms(code string) int {
	n := 0
	for _, a := range r.call("GET", "/v1/alarms", admin, nil).want(200, "").get("alarms").([]any) {
		if a.(object)["code"] == code {
			n++
		}
	}
	return n
}

// TestWorkstationLimit: a loop that begins payments is slowed down, seen, and
// let go; whatever asks about or ends an order goes on meanwhile.
func TestWorkstationLimit(t *testing.T) {
	inBubbleWith(t, limited, func(t *testing.T, r *rig) {
		key := func(n int) header { return set("Idempotency-Key", fmt.Sprint("k", n)) }
		id := r.create(bill("L1"), key(1)).want(201, "").id()
		for n := 2; n <= 5; n++ {
			r.create(bill(fmt.Sprint("L", n)), key(n)).want(409, "till_busy")
		}
		for n := 6; n <= 9; n++ {
			got := r.create(bill("L6"), key(n)).want(429, "rate_limited").is("retry_after_s", 12).is("safe_to_retry.answer", "wait").is("safe_to_take_cash.answer", "yes")
			if got.head.Get("Retry-After") != "12" || !strings.Contains(string(got.raw), "12 秒") || !strings.Contains(string(got.raw), "12 s") {
				t.Errorf("%v %s", got.head, got.raw)
			}
		}
		// The order that is there is the answer, however often it is asked for.
		r.create(bill("L1"), key(1)).want(200, "")
		r.create(bill("L1"), key(11)).want(200, "")
		r.order(id).want(200, "")
		r.call("GET", "/v1/orders?bill=L1", his, nil).want(200, "")
		r.call("POST", "/v1/orders/"+id+"/check", his, object{}).want(202, "")
		r.call("POST", "/v1/orders/"+id+"/cancel", his, object{}).want(200, "")
		// Another workstation, or the same token at another till, is not held up.
		r.createAs(collector, bill("L7"), key(12)).want(201, "")
		r.create(bill("L8", object{"till": "w2"}), key(13)).want(201, "")
		if got := r.warned(his); got != "rate_limited his@w1 create: This workstation asks too often, try again in 12 s; queries and cancels go on" {
			t.Errorf("readyz warns of %q", got)
		}
		if got := r.warned(collector); got != "" || r.warned(admin) == "" {
			t.Errorf("another token reads %q", got)
		}
		if n := r.alarms("door_rate_limited"); n != 1 {
			t.Errorf("%d alarms", n)
		}
		if text := string(r.call("GET", "/metrics", admin, nil).want(200, "").raw); !strings.Contains(text, `payagent_door_refused_total{what="create"} 4`) || !strings.Contains(text, "payagent_door_held 1\n") {
			t.Error(text)
		}
		if !strings.Contains(r.out.String(), "a workstation asks too often") {
			t.Error("the log does not tell")
		}
		time.Sleep(12 * time.Second)
		if got := r.warned(his); got != "" {
			t.Errorf("readyz still warns of %q", got)
		}
		r.create(bill("L9"), key(14)).want(409, "till_busy") // the collector's order is there
		r.create(bill("L9"), key(14)).want(429, "rate_limited")
		if n := r.alarms("door_rate_limited"); n != 1 {
			t.Errorf("%d alarms of one loop", n)
		}
	})
	inBubbleWith(t, limited, func(t *testing.T, r *rig) {
		r.w.Take(t, agenttest.Payment{Till: agenttest.W1, No: "MZ1", Fen: 1000})
		ask := func(n, fen int) reply {
			return r.call("POST", "/v1/orders/MZ1/refunds", his, object{"amount_fen": fen, "operator": object{"id": "1001"}}, set("Idempotency-Key", fmt.Sprint("r", n)))
		}
		ask(1, 1).want(202, "")
		ask(2, 1).want(202, "")
		ask(3, 1).want(429, "rate_limited").is("retry_after_s", 30).is("order_id", "MZ1")
		r.call("GET", "/v1/orders/MZ1/refunds", his, nil).want(200, "")
		time.Sleep(30 * time.Second)
		ask(3, 1).want(202, "")
	})
}

// TestLockOut: wrong tokens meet growing pauses and then a lock-out that is
// seen and ends; a workstation that was there before goes on, and nobody is kept
// from asking and canceling.
func TestLockOut(t *testing.T) {
	inBubbleWith(t, limited, func(t *testing.T, r *rig) {
		const bad = "10.1.2.3"
		guess := func() reply {
			return r.call("GET", "/v1/capabilities", "", nil, set("Authorization", "Bearer pt_guessed"), from(bad))
		}
		id := r.createAs(his, bill("L1"), set("Idempotency-Key", "k1"), from(bad)).want(201, "").id()
		r.call("GET", "/v1/capabilities", "", nil, from(bad)).want(401, "unauthorised") // no token is no guess
		for range 4 {
			guess().want(401, "unauthorised")
		}
		for _, pause := range []int{1, 2} { // after the fifth and the sixth
			guess().want(401, "unauthorised")
			if got := guess().want(429, "locked_out").is("retry_after_s", pause); got.head.Get("Retry-After") != fmt.Sprint(pause) {
				t.Errorf("%v", got.head)
			}
			if r.warned(admin) != "" || r.alarms("door_locked_out") != 0 {
				t.Error("a pause is told as a lock-out")
			}
			time.Sleep(time.Duration(pause) * time.Second)
		}
		guess().want(401, "unauthorised") // the seventh
		for range 3 {
			guess().want(429, "locked_out").is("retry_after_s", 60)
		}
		// The token that was used from there before is not locked out.
		r.createAs(his, bill("L2", object{"till": "w2"}), set("Idempotency-Key", "k2"), from(bad)).want(201, "")
		// One that comes from there now may ask and cancel, and no more; it reads
		// what is known of its bill.
		r.createAs(collector, bill("L3"), set("Idempotency-Key", "k3"), from(bad)).want(429, "locked_out").is("retry_after_s", 60).
			is("safe_to_take_cash.answer", "yes").is("safe_to_retry.answer", "wait")
		r.createAs(collector, bill("L1"), set("Idempotency-Key", "k1"), from(bad)).want(200, "")
		r.call("GET", "/v1/orders/"+id, collector, nil, from(bad)).want(200, "")
		r.call("POST", "/v1/orders/"+id+"/cancel", collector, object{}, from(bad)).want(200, "")
		r.createAs(collector, bill("L3"), set("Idempotency-Key", "k3"), from("10.1.2.4")).want(201, "")
		if got := r.warned(admin); got != "locked_out 10.1.2.3: Too many wrong tokens from this address, try again in 60 s; queries and cancels go on" {
			t.Errorf("readyz warns of %q", got)
		}
		const own = "Too many wrong tokens from this address, try again in 60 s; queries and cancels go on"
		if got := r.warned(his) + r.warned(his, from(bad)) + r.warned(collector); got != "" {
			t.Errorf("who is not held up reads %q", got)
		}
		if got := r.warned(collector, from(bad)); got != "locked_out 10.1.2.3: "+own {
			t.Errorf("who is reads %q", got)
		}
		if r.alarms("door_locked_out") != 1 || !strings.Contains(r.out.String(), "an address is locked out") {
			t.Error("nobody is told")
		}
		if strings.Contains(r.out.String(), "pt_guessed") {
			t.Error("the log has the token")
		}
		time.Sleep(time.Minute)
		if got := r.warned(admin); got != "" {
			t.Errorf("readyz still warns of %q", got)
		}
		r.createAs(desk, bill("L4"), set("Idempotency-Key", "k4"), from(bad)).want(403, "forbidden")
		// The next lock-out is twice as long.
		for n := 1; n <= 7; n++ {
			guess().want(401, "unauthorised")
			time.Sleep(4 * time.Second)
		}
		guess().want(429, "locked_out").is("retry_after_s", 116)
	})
	// A page that was left open with an old token keeps an address locked out for
	// an hour at a time. What has a right token behind the same address, and is
	// seen for the first time since the agent started, waits as long as the first
	// lock-out takes, once.
	inBubbleWith(t, limited, func(t *testing.T, r *rig) {
		const shared = "10.1.2.5"
		for range 4 * 3600 / 10 {
			r.call("GET", "/v1/tills/w1", "", nil, set("Authorization", "Bearer pt_old"), from(shared))
			time.Sleep(10 * time.Second)
		}
		r.createAs(his, bill("L1"), set("Idempotency-Key", "k1"), from(shared)).want(429, "locked_out").is("retry_after_s", 60).
			is("safe_to_take_cash.answer", "yes").is("safe_to_retry.answer", "wait").is("safe_to_retry.wait_s", 60)
		// Whoever waits reads its own wait, not the address's hour.
		if got := r.warned(his, from(shared)); !strings.Contains(got, "try again in 60 s") {
			t.Errorf("the one who waits reads %q", got)
		}
		time.Sleep(time.Minute)
		r.call("GET", "/v1/tills/w1", "", nil, set("Authorization", "Bearer pt_old"), from(shared)).want(429, "locked_out")
		r.createAs(his, bill("L1"), set("Idempotency-Key", "k1"), from(shared)).want(201, "")
	})
}
