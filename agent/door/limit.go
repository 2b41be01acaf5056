package door

import (
	"math"
	"net/http"
	"strings"
	"time"

	"payagent/agent/access"
	"payagent/agent/listen"
	"payagent/agent/order"
	"payagent/agent/words"
)

// waits writes how long in whole seconds, 1 at least.
func waits(d time.Duration) int64 { return max(1, int64(math.Ceil(d.Seconds()))) }

// admit looks at a request's token; false: it was answered.
func (d *door) admit(w http.ResponseWriter, r *http.Request, c *caller) bool {
	var ok bool
	from := listen.Address(r)
	if c.token, ok = d.bearer(r); ok {
		c.wait = d.agent.Limits().Right(from, c.token.Name)
		return true
	}
	if len(r.Header.Values("Authorization")) > 0 {
		wait := d.agent.WrongToken(r.Context(), from, c.trace)
		if wait > 0 {
			d.slowDown(w, *c, "token", fault{code: "locked_out"}, wait)
			return false
		}
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="payagent"`)
	d.problem(w, *c, fault{code: "unauthorised"})
	return false
}

// within takes a payment or refund out of what the workstation may begin, unless
// its address is locked out; false: it was answered, with what about says of the
// bill. A payment whose bill is open or paid begins nothing: it is answered with
// what there is.
func (d *door) within(w http.ResponseWriter, r *http.Request, c caller, what, till string, about func() fault) bool {
	if c.wait > 0 {
		f := about()
		if what == "create" && exists(f) {
			return true
		}
		f.code = "locked_out"
		d.slowDown(w, c, "token", f, c.wait)
		return false
	}
	turn := d.agent.Turn(c.token.Name, what, till)
	if turn.Wait == 0 {
		return true
	}
	f := about()
	if what == "create" && exists(f) {
		return true
	}
	d.agent.TooOften(r.Context(), turn, c.trace)
	f.code = "rate_limited"
	d.slowDown(w, c, what, f, turn.Wait)
	return false
}

// exists tells that a bill's order is open or paid.
func exists(f fault) bool {
	for _, o := range f.bill {
		if s := o.State(); !s.Final() || s == order.Paid {
			return true
		}
	}
	return false
}

// slowDown refuses for a while.
func (d *door) slowDown(w http.ResponseWriter, c caller, what string, f fault, wait time.Duration) {
	d.agent.DoorRefused(what)
	f.wait = waits(wait)
	n := itoa(f.wait)
	f.both = [2][]string{{"wait_s", n}, {"wait_s", n}}
	d.problem(w, c, f)
}

// held says who has to wait, for people: all of them for who looks after the
// machine, and else what holds the caller itself up. A cashier who can take
// payments must not read that somebody else cannot.
func (d *door) held(r *http.Request, c caller) []warningView {
	out := []warningView{}
	all := c.token.Allows(access.Admin, "")
	for _, x := range d.agent.Limits().List() {
		if !all && !strings.HasPrefix(x.Subject, c.token.Name+"@") && !strings.HasPrefix(x.Subject, c.token.Name+" ") {
			if c.wait == 0 || x.Subject != listen.Address(r) {
				continue
			}
			x.Left = c.wait
		}
		e, _ := d.words.Find(words.Problem, x.Code)
		n := itoa(waits(x.Left))
		say := e.Cashier.Fill("wait_s", n)
		out = append(out, warningView{Code: x.Code, Say: words.Text{ZH: x.Subject + "：" + say.ZH, EN: x.Subject + ": " + say.EN}})
	}
	return out
}
