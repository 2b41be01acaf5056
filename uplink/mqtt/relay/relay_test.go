package relay_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"payagent/uplink"
	"payagent/uplink/mqtt/internal/sealed"
	"payagent/uplink/mqtt/relay"
	"payagent/uplink/mqtt/relaytest"
	"payagent/uplink/uplinktest"
)

// TestOnceAndRemembered: an exchange is executed once; who repeats it gets the
// same answer for two minutes and "unknown" afterwards.
func TestOnceAndRemembered(t *testing.T) {
	bubble(t, nil, func(r *rig) {
		b := r.box("B1")
		a := b.ticket("pay")
		b.publish(a.payload)
		got := b.one(a, sealed.Answered)
		if got.Status != 200 || got.Reason != "Fine" || string(got.Body) != "you said pay" || got.Header.HTTP().Get("X-Echo") != "yes" || got.Store != r.site.Store.Name {
			t.Errorf("the answer is %+v", got)
		}
		for range 3 {
			b.publish(a.payload)
			if again := b.one(a, sealed.Answered); !bytes.Equal(again.Body, got.Body) {
				t.Error("the repeated answer differs")
			}
		}
		time.Sleep(2*time.Minute + 10*time.Second)
		b.publish(a.payload)
		b.one(a, sealed.Unknown)
		r.wantCalls(1)
		// And a new ticket for the old exchange leads nowhere.
		tk := b.seal(sealed.Ask{Op: sealed.OpTicket, ID: a.ID})
		b.publish(tk.payload)
		for _, x := range b.take(tk) {
			if x.Verdict == sealed.Granted {
				again := a.Ask
				again.Ticket = x.Ticket
				s := b.seal(again)
				b.publish(s.payload)
				b.one(s, sealed.Unknown)
			}
		}
		r.wantCalls(1)
	})
}

// TestRepeatedWhileRunning: a repetition of what is under way changes nothing.
func TestRepeatedWhileRunning(t *testing.T) {
	bubble(t, nil, func(r *rig) {
		r.way.answer = func(*http.Request) (*http.Response, error) {
			time.Sleep(20 * time.Second)
			return says("done"), nil
		}
		b := r.box("B1")
		a := b.ticket("pay")
		for range 5 {
			b.publish(a.payload)
			time.Sleep(time.Second)
		}
		if list := b.take(a); len(list) != 0 {
			t.Fatalf("there is an answer already: %+v", list)
		}
		time.Sleep(20 * time.Second)
		b.one(a, sealed.Answered)
		r.wantCalls(1)
	})
}

// TestLate: what comes more than 15 s after its ticket is refused unexecuted,
// for good, and the refusal is proof.
func TestLate(t *testing.T) {
	bubble(t, nil, func(r *rig) {
		b := r.box("B1")
		early, late := b.ticket("early"), b.ticket("late")
		time.Sleep(14*time.Second + 900*time.Millisecond)
		b.publish(early.payload)
		b.one(early, sealed.Answered)
		time.Sleep(200 * time.Millisecond)
		for range 2 {
			b.publish(late.payload)
			b.one(late, sealed.NotSent)
		}
		time.Sleep(3 * time.Minute)
		b.publish(late.payload)
		b.one(late, sealed.NotSent)
		r.wantCalls(1)
		// After a restart, too: nobody was asked to remember it.
		r.stop()
		r.start()
		b.publish(late.payload)
		b.one(late, sealed.NotSent)
		r.wantCalls(1)
	})
}

// TestTicketsFitOneExchange: a ticket is good for one id of one box at one
// platform, once.
func TestTicketsFitOneExchange(t *testing.T) {
	bubble(t, nil, func(r *rig) {
		b, other := r.box("B1"), r.box("B2")
		for name, bend := range map[string]func(*sealed.Ask){
			"another secret":   func(a *sealed.Ask) { a.Ticket.Secret[3] ^= 1 },
			"no ticket":        func(a *sealed.Ask) { a.Ticket.Secret = [16]byte{} },
			"another exchange": func(a *sealed.Ask) { a.ID[0] ^= 1 },
			"another platform": func(a *sealed.Ask) { a.Platform, a.URL = "https://other.invalid:443", "https://other.invalid/gateway" },
		} {
			a := b.ticket("pay")
			bent := a.Ask
			bend(&bent)
			s := b.seal(bent)
			b.publish(s.payload)
			if got := b.one(s, sealed.NotSent); got.Why == "" {
				t.Errorf("%s: it does not say why", name)
			}
			r.wantCalls(0)
		}
		a := b.ticket("pay")
		s := other.seal(a.Ask)
		other.publish(s.payload)
		other.one(s, sealed.NotSent)
		// The same id with other bytes, while the first is known.
		b.publish(a.payload)
		b.one(a, sealed.Answered)
		again := a.Ask
		again.Body = []byte("pay more")
		s = b.seal(again)
		b.publish(s.payload)
		if list := b.take(s); len(list) != 0 {
			t.Errorf("the same id with other bytes was answered: %+v", list)
		}
		r.wantCalls(1)
	})
}

// TestRestart: a new process knows no old ticket; an id that the old one made
// durable is unknown, any other is proven not sent.
func TestRestart(t *testing.T) {
	bubble(t, nil, func(r *rig) {
		b := r.box("B1")
		done, open := b.ticket("done"), b.ticket("open")
		b.publish(done.payload)
		b.one(done, sealed.Answered)
		r.stop()
		r.start()
		b.publish(done.payload)
		b.one(done, sealed.Unknown)
		b.publish(open.payload)
		b.one(open, sealed.NotSent)
		r.wantCalls(1)
		// Another store than the one that gave the ticket has nothing to say.
		third := b.ticket("third")
		r.stop()
		r.site.Store = relaytest.NewStore()
		r.start()
		b.publish(third.payload)
		if list := b.take(third); len(list) != 0 {
			t.Errorf("a relay with another store answers %+v", list)
		}
		r.wantCalls(1)
	})
}

// TestTwoRelays: two relays with one key each answer their own tickets only.
func TestTwoRelays(t *testing.T) {
	bubble(t, nil, func(r *rig) {
		second := *r.site
		second.Store = relaytest.NewStore()
		w := &way{}
		other, err := second.Relay(r.broker.Bus("second", nil), []relay.Platform{{Name: "pay", Address: address, Way: w}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		synctest.Wait()
		b := r.box("B1")
		tk := b.seal(sealed.Ask{Op: sealed.OpTicket})
		b.publish(tk.payload)
		list := b.take(tk)
		if len(list) != 2 || list[0].Store == list[1].Store {
			t.Fatalf("the tickets are %+v", list)
		}
		s := b.seal(sealed.Ask{Op: sealed.OpSend, ID: tk.ID, Ticket: list[1].Ticket, Left: time.Minute, Method: "POST", URL: address, Body: []byte("pay")})
		b.publish(s.payload)
		if got := b.one(s, sealed.Answered); got.Store != list[1].Store {
			t.Error("another relay answered")
		}
		if r.way.count()+w.count() != 1 {
			t.Errorf("%d and %d calls", r.way.count(), w.count())
		}
	})
}

// TestNoStoreNoCall: without a durable id nothing is called.
func TestNoStoreNoCall(t *testing.T) {
	bubble(t, nil, func(r *rig) {
		b := r.box("B1")
		a, late := b.ticket("pay"), b.ticket("late")
		r.site.Store.Break(true)
		b.publish(a.payload)
		b.one(a, sealed.NotSent)
		time.Sleep(16 * time.Second)
		b.publish(late.payload)
		b.one(late, sealed.Unknown) // whether it was executed before cannot be looked up
		r.site.Store.Break(false)
		for range 2 {
			b.publish(a.payload)
			b.one(a, sealed.NotSent)
		}
		r.wantCalls(0)
	})
}

// TestStoreTurns: ids go after two turns of running time and never earlier.
func TestStoreTurns(t *testing.T) {
	bubble(t, nil, func(r *rig) {
		b := r.box("B1")
		a := b.ticket("pay")
		b.publish(a.payload)
		for range 12 { // a relay that is started anew all the time forgets nothing
			time.Sleep(relay.Turn - time.Second)
			r.stop()
			r.start()
		}
		if n := r.site.Store.Len(); n != 1 {
			t.Fatalf("%d ids are remembered", n)
		}
		time.Sleep(relay.Turn + time.Second)
		if n := r.site.Store.Len(); n != 1 {
			t.Fatalf("%d ids are remembered after one turn", n)
		}
		time.Sleep(relay.Turn)
		if n := r.site.Store.Len(); n != 0 {
			t.Fatalf("%d ids are remembered after two turns", n)
		}
	})
}

// TestStrangers: only boxes of the authority are served, each at its own topic.
func TestStrangers(t *testing.T) {
	elsewhere, err := uplinktest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	allow := func(c *relay.Config) {
		c.Allow = func(site, box string) bool { return site == "H1" && box != "B9" }
		c.Revoked = func(c *x509.Certificate) (bool, error) {
			if c.SerialNumber.Int64() == 98 {
				return false, errors.New("no list")
			}
			return c.SerialNumber.Int64() == 99, nil
		}
	}
	bubble(t, allow, func(r *rig) {
		good := r.box("B1")
		for name, issue := range map[string]func(*box) error{
			"another authority": func(b *box) (err error) { b.me, err = relaytest.Identity(elsewhere, "B1", nil); return },
			"another box":       func(b *box) (err error) { b.me, err = relaytest.Identity(r.site.Authority, "B2", nil); return },
			"expired": func(b *box) (err error) {
				b.me, err = relaytest.Identity(r.site.Authority, "B1", func(c *x509.Certificate) { c.NotAfter = time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC) })
				return
			},
			"not for clients": func(b *box) (err error) {
				b.me, err = relaytest.Identity(r.site.Authority, "B1", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
				return
			},
			"no place": func(b *box) (err error) {
				b.me, err = relaytest.Identity(r.site.Authority, "B1", func(c *x509.Certificate) { c.URIs = nil })
				return
			},
			"revoked": func(b *box) (err error) {
				b.me, err = relaytest.Identity(r.site.Authority, "B1", func(c *x509.Certificate) { c.SerialNumber = big.NewInt(99) })
				return
			},
			"no list of the revoked": func(b *box) (err error) {
				b.me, err = relaytest.Identity(r.site.Authority, "B1", func(c *x509.Certificate) { c.SerialNumber = big.NewInt(98) })
				return
			},
			"another hospital": func(b *box) (err error) {
				b.me, err = relaytest.Identity(r.site.Authority, "B1", func(c *x509.Certificate) { c.URIs[0].Host = "H2" })
				return
			},
		} {
			b := &box{r: r, name: "B1", place: good.place, public: good.public, bus: good.bus}
			if err := issue(b); err != nil {
				t.Fatal(err)
			}
			tk := b.seal(sealed.Ask{Op: sealed.OpTicket})
			b.publish(tk.payload)
			if list := good.take(tk); len(list) != 1 || list[0].Verdict != sealed.NotSent || list[0].Why == "" {
				t.Errorf("%s: the answer to a ticket is %+v", name, list)
			}
			// With the ticket of the right box.
			s := b.seal(good.ticket("pay").Ask)
			b.publish(s.payload)
			if list := good.take(s); len(list) != 1 || list[0].Verdict != sealed.Unknown {
				t.Errorf("%s: the answer to a request is %+v", name, list)
			}
		}
		b9 := r.box("B9")
		tk := b9.seal(sealed.Ask{Op: sealed.OpTicket})
		b9.publish(tk.payload)
		b9.one(tk, sealed.NotSent)
		r.wantCalls(0)
	})
}

// TestAddresses: only listed addresses are called: scheme, host and port
// exactly, and paths at or below the prefix.
func TestAddresses(t *testing.T) {
	bubble(t, nil, func(r *rig) {
		b := r.box("B1")
		ask := func(method, url string) sealed.Verdict {
			a := b.ticket("pay").Ask
			a.Method, a.URL = method, url
			s := b.seal(a)
			b.publish(s.payload)
			list := b.take(s)
			if len(list) != 1 {
				t.Fatalf("%s %s: %+v", method, url, list)
			}
			return list[0].Verdict
		}
		n := 0
		for _, good := range []string{address, address + "/", address + "/x/y", address + "?a=b&c=%2F", "https://PAY.invalid:443/gateway"} {
			if v := ask("POST", good); v != sealed.Answered {
				t.Errorf("%s is not called: %d", good, v)
			}
			n++
		}
		for _, bad := range []string{"https://pay.invalid/", "https://pay.invalid/gatewayx", "https://pay.invalid/other", "https://pay.invalid/gateway/../admin",
			"https://pay.invalid/gateway/%2e%2e/admin", `https://pay.invalid/gateway/..\admin`, "https://pay.invalid/gateway/..%5cadmin", "http://pay.invalid/gateway", "https://pay.invalid:8443/gateway",
			"https://user@pay.invalid/gateway", "https://other.invalid/gateway", "https://pay.invalid/gateway#x", "gateway", "", "https:pay.invalid/gateway", "https://pay.invalid/%2fgateway"} {
			if v := ask("POST", bad); v != sealed.NotSent {
				t.Errorf("%s gives %d", bad, v)
			}
		}
		for _, method := range []string{"CONNECT", "DELETE", "PUT", "", "get", "P OST"} {
			if v := ask(method, address); v != sealed.NotSent {
				t.Errorf("method %q gives %d", method, v)
			}
		}
		r.wantCalls(n)
		tk := b.seal(sealed.Ask{Op: sealed.OpTicket, Platform: "https://other.invalid:443"})
		b.publish(tk.payload)
		if got := b.one(tk, sealed.NotSent); !strings.Contains(got.Why, "list it") {
			t.Error(got.Why)
		}
	})
}

// TestWhatTheCallSays: proof, doubt and answers keep their meaning.
func TestWhatTheCallSays(t *testing.T) {
	bubble(t, nil, func(r *rig) {
		b := r.box("B1")
		for name, c := range map[string]struct {
			answer func(*http.Request) (*http.Response, error)
			want   sealed.Verdict
		}{
			"not sent": {func(*http.Request) (*http.Response, error) { return nil, &uplink.NotSent{Err: errors.New("no TLS")} }, sealed.NotSent},
			"wrapped": {func(*http.Request) (*http.Response, error) {
				return nil, fmt.Errorf("x: %w", &uplink.NotSent{Err: errors.New("no TLS")})
			}, sealed.NotSent},
			"lost": {func(*http.Request) (*http.Response, error) { return nil, errors.New("reset") }, sealed.Unknown},
			"cut": {func(*http.Request) (*http.Response, error) {
				resp := says("")
				resp.Body = io.NopCloser(cutOff{})
				return resp, nil
			}, sealed.Unknown},
			"too long": {func(*http.Request) (*http.Response, error) { return says(strings.Repeat("x", 510<<10)), nil }, sealed.Unknown},
			"refusal": {func(*http.Request) (*http.Response, error) {
				resp := says("busy")
				resp.StatusCode = 503
				return resp, nil
			}, sealed.Answered},
			"hangs": {func(req *http.Request) (*http.Response, error) {
				<-req.Context().Done()
				return nil, context.Cause(req.Context())
			}, sealed.Unknown},
			"redirects": {func(*http.Request) (*http.Response, error) {
				resp := says("")
				resp.StatusCode = 302
				resp.Header.Set("Location", address)
				return resp, nil
			}, sealed.Answered},
		} {
			r.way.answer = c.answer
			before := r.way.count()
			a := b.ticket("pay")
			b.publish(a.payload)
			time.Sleep(a.Left + time.Second)
			if list := b.take(a); len(list) != 1 || list[0].Verdict != c.want {
				t.Errorf("%s: %d answers, want one with verdict %d", name, len(list), c.want)
			}
			if n := r.way.count() - before; n != 1 {
				t.Errorf("%s: %d calls", name, n)
			}
		}
	})
}

type cutOff struct{}

func (cutOff) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

// TestGivingUp: whoever gives up ends the call, and takes back a ticket.
func TestGivingUp(t *testing.T) {
	bubble(t, nil, func(r *rig) {
		ended := make(chan struct{}, 1)
		r.way.answer = func(req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			ended <- struct{}{}
			return nil, context.Cause(req.Context())
		}
		b := r.box("B1")
		a := b.ticket("pay")
		b.publish(a.payload)
		other := r.box("B2")
		other.publish(other.seal(sealed.Ask{Op: sealed.OpGiveUp, ID: a.ID}).payload)
		select {
		case <-ended:
			t.Fatal("another box ended the call")
		default:
		}
		b.publish(b.seal(sealed.Ask{Op: sealed.OpGiveUp, ID: a.ID}).payload)
		select {
		case <-ended:
		default:
			t.Fatal("the call goes on")
		}
		b.one(a, sealed.Unknown)
		a = b.ticket("pay")
		b.publish(b.seal(sealed.Ask{Op: sealed.OpGiveUp, ID: a.ID}).payload)
		b.publish(a.payload)
		b.one(a, sealed.NotSent)
		r.wantCalls(1)
	})
}

// TestNobodyIsHeldUp: a slow platform holds up no other exchange, and what is
// too much is refused before it is sent.
func TestNobodyIsHeldUp(t *testing.T) {
	bubble(t, func(c *relay.Config) { c.Parallel, c.PerBox = 2, 3 }, func(r *rig) {
		release := make(chan struct{})
		r.way.answer = func(req *http.Request) (*http.Response, error) {
			if req.Header.Get("Slow") != "" {
				<-release
			}
			return says("done"), nil
		}
		b, other := r.box("B1"), r.box("B2")
		slow := b.ticket("slow").Ask
		slow.Header = sealed.Header{{Name: "Slow", Value: "yes"}}
		first := b.seal(slow)
		b.publish(first.payload)
		quick := b.ticket("quick")
		b.publish(quick.payload)
		b.one(quick, sealed.Answered)
		second := other.ticket("slow").Ask
		second.Header = slow.Header
		s := other.seal(second)
		other.publish(s.payload)
		third := other.ticket("third")
		other.publish(third.payload)
		if got := other.one(third, sealed.NotSent); !strings.Contains(got.Why, "too many") {
			t.Error(got.Why)
		}
		r.wantCalls(3)
		// Two tickets and a call are all that one box may have at once.
		b.ticket("")
		b.ticket("")
		tk := b.seal(sealed.Ask{Op: sealed.OpTicket})
		b.publish(tk.payload)
		b.one(tk, sealed.NotSent)
		close(release)
		time.Sleep(time.Second)
		b.one(first, sealed.Answered)
		other.one(s, sealed.Answered)
		time.Sleep(21 * time.Second) // tickets grow old and make room
		b.ticket("")
	})
}

// TestNothingIsKeptWithoutATicket: however much a box sends, what is kept for
// it, on disk, in memory and for the broker, has a bound, and every refusal is
// a proof.
func TestNothingIsKeptWithoutATicket(t *testing.T) {
	bubble(t, func(c *relay.Config) { c.PerBox, c.KeptPerBox, c.Kept = 4, 3, 5 }, func(r *rig) {
		b, other := r.box("B1"), r.box("B2")
		for range 50 {
			a := b.seal(sealed.Ask{Op: sealed.OpSend, Ticket: sealed.Ticket{Store: r.site.Store.Name}, Left: time.Minute, Method: "POST", URL: address, Body: []byte("pay")})
			for range 2 {
				b.publish(a.payload)
				b.one(a, sealed.NotSent)
			}
		}
		r.wantCalls(0)
		if n := r.site.Store.Len(); n != 0 {
			t.Errorf("%d ids are on disk", n)
		}
		r.wantFigures("payagent_relay_exchanges_in_memory 0", `payagent_relay_refused_total{reason="late"} 100`)

		for range 3 {
			a := b.ticket("pay")
			b.publish(a.payload)
			b.one(a, sealed.Answered)
		}
		refused := func(b *box, want string) {
			t.Helper()
			tk := b.seal(sealed.Ask{Op: sealed.OpTicket})
			b.publish(tk.payload)
			if got := b.one(tk, sealed.NotSent); !strings.Contains(got.Why, want) {
				t.Error(got.Why)
			}
		}
		refused(b, "let it wait")
		other.ticket("pay")
		other.ticket("pay")
		refused(other, "start another relay")
		time.Sleep(20 * time.Second) // the other's tickets are over
		refused(b, "let it wait")
		other.ticket("pay")
		time.Sleep(2 * time.Minute)
		for range 3 {
			b.ticket("pay")
		}
		refused(b, "let it wait")
		r.wantCalls(3)
	})
}

// TestProbesAreBounded: a box that asks for its platform again and again while
// it does not answer has so much under way and no more.
func TestProbesAreBounded(t *testing.T) {
	bubble(t, func(c *relay.Config) { c.PerBox = 3 }, func(r *rig) {
		r.way.reach = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		b := r.box("B1")
		var list []asked
		for range 5 {
			a := b.seal(sealed.Ask{Op: sealed.OpReach, Left: time.Minute})
			b.publish(a.payload)
			list = append(list, a)
		}
		for i, a := range list {
			if got := b.take(a); i < 3 && len(got) != 0 || i >= 3 && (len(got) != 1 || got[0].Verdict != sealed.NotSent) {
				t.Errorf("probe %d: %+v", i, got)
			}
		}
		time.Sleep(2 * time.Minute)
		b.ticket("pay")
	})
}

// TestAnswersAreBounded: what the broker does not acknowledge is not kept
// without a bound; whoever needs it asks again.
func TestAnswersAreBounded(t *testing.T) {
	bubble(t, nil, func(r *rig) {
		b := r.box("B1")
		r.broker.DropAck("relay1", 1<<30)
		for range 260 {
			b.publish(b.seal(sealed.Ask{Op: sealed.OpSend, Ticket: sealed.Ticket{Store: r.site.Store.Name}}).payload)
		}
		r.wantFigures(`payagent_relay_refused_total{reason="unread"} 4`)
		r.broker.DropAck("relay1", 0)
		time.Sleep(3 * time.Minute)
		b.ticket("pay")
	})
}

// TestRetained: what the broker kept is refused and cleared.
func TestRetained(t *testing.T) {
	bubble(t, nil, func(r *rig) {
		b := r.box("B1")
		a := b.ticket("pay")
		r.stop()
		topic := b.place + "/relay/req"
		if err := b.bus.Publish(r.t.Context(), uplink.Message{Topic: topic, Payload: a.payload, Retain: true}); err != nil {
			t.Fatal(err)
		}
		r.start()
		synctest.Wait()
		if m, ok := r.broker.Retained(topic); ok && len(m.Payload) > 0 {
			t.Error("it is still there")
		}
		if list := b.take(a); len(list) != 0 {
			t.Errorf("it was answered: %+v", list)
		}
		r.wantCalls(0)
		for _, m := range r.broker.Accepted(relaytest.Root + "/#") {
			if m.Retain && len(m.Payload) > 0 && m.Topic != topic {
				t.Error("the relay retains something at", m.Topic)
			}
		}
	})
}

// TestReach: many who ask make one probe, whose finding is told to all.
func TestReach(t *testing.T) {
	bubble(t, nil, func(r *rig) {
		b := r.box("B1")
		r.way.reach = func(ctx context.Context) error {
			time.Sleep(100 * time.Millisecond)
			return nil
		}
		var list []asked
		for range 10 {
			a := b.seal(sealed.Ask{Op: sealed.OpReach, Left: 5 * time.Second})
			b.publish(a.payload)
			list = append(list, a)
		}
		time.Sleep(time.Second)
		for _, a := range list {
			b.one(a, sealed.Answered)
		}
		if r.way.reaches != 1 {
			t.Errorf("%d probes", r.way.reaches)
		}
		time.Sleep(2 * time.Second)
		r.way.reach = func(context.Context) error { return errors.New("refused") }
		a := b.seal(sealed.Ask{Op: sealed.OpReach, Left: 5 * time.Second})
		b.publish(a.payload)
		if got := b.one(a, sealed.NotSent); !strings.Contains(got.Why, "refused") {
			t.Error(got.Why)
		}
		time.Sleep(2 * time.Second)
		r.way.reach = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		a = b.seal(sealed.Ask{Op: sealed.OpReach, Left: 3 * time.Second})
		b.publish(a.payload)
		time.Sleep(4 * time.Second)
		b.one(a, sealed.NotSent)
		a = b.seal(sealed.Ask{Op: sealed.OpReach, Left: time.Second, Platform: "https://other.invalid:443"})
		b.publish(a.payload)
		b.one(a, sealed.NotSent)
		r.wantCalls(0)
	})
}

// TestMemoryIsBounded: answers in memory have a bound; the oldest becomes
// unknown and is not asked for again.
func TestMemoryIsBounded(t *testing.T) {
	bubble(t, func(c *relay.Config) { c.PerBox, c.Memory = 1000, 4<<20 }, func(r *rig) {
		r.way.answer = func(*http.Request) (*http.Response, error) { return says(strings.Repeat("x", 400<<10)), nil }
		b := r.box("B1")
		var first asked
		n := 4<<20/(508<<10) + 2
		for i := range n {
			a := b.ticket("pay")
			b.publish(a.payload)
			b.one(a, sealed.Answered)
			if i == 0 {
				first = a
			}
			time.Sleep(time.Millisecond)
		}
		b.publish(first.payload)
		b.one(first, sealed.Unknown)
		r.wantCalls(n)
	})
}

// TestFigures: the metrics tell what happened and name nobody.
func TestFigures(t *testing.T) {
	bubble(t, nil, func(r *rig) {
		b := r.box("B1")
		a := b.ticket("pay")
		b.publish(a.payload)
		b.publish(a.payload)
		b.publish([]byte("garbage"))
		out := r.wantFigures("payagent_relay_tickets_total 1", `payagent_relay_calls_total{platform="pay",outcome="answered"} 1`, "payagent_relay_repeats_total 1",
			`payagent_relay_refused_total{reason="unreadable"} 1`, "payagent_relay_boxes 1", "payagent_relay_broker_connected 1")
		if strings.Contains(out, "B1") {
			t.Error("the figures name a box")
		}
	})
}

// TestSettings: what is missing or wrong is named before anything starts.
func TestSettings(t *testing.T) {
	site, err := relaytest.NewSite()
	if err != nil {
		t.Fatal(err)
	}
	broker := uplinktest.NewBroker()
	defer broker.Close()
	bus := broker.Bus("relay", nil)
	good := relay.Platform{Name: "pay", Address: address, Way: &way{}}
	for name, c := range map[string]struct {
		platforms []relay.Platform
		change    func(*relay.Config)
	}{
		"no platform":   {nil, nil},
		"no way":        {[]relay.Platform{{Name: "pay", Address: address}}, nil},
		"climbing":      {[]relay.Platform{{Name: "pay", Address: address + "/../x", Way: &way{}}}, nil},
		"other scheme":  {[]relay.Platform{{Name: "pay", Address: "ftp://pay.invalid", Way: &way{}}}, nil},
		"with a query":  {[]relay.Platform{{Name: "pay", Address: address + "?x=1", Way: &way{}}}, nil},
		"no key":        {[]relay.Platform{good}, func(c *relay.Config) { c.Keys = nil }},
		"short key":     {[]relay.Platform{good}, func(c *relay.Config) { c.Keys = [][]byte{{1, 2, 3}} }},
		"no store":      {[]relay.Platform{good}, func(c *relay.Config) { c.Store = nil }},
		"nameless":      {[]relay.Platform{good}, func(c *relay.Config) { c.StoreName = [16]byte{} }},
		"no bus":        {[]relay.Platform{good}, func(c *relay.Config) { c.Bus = nil }},
		"no root":       {[]relay.Platform{good}, func(c *relay.Config) { c.Root = "" }},
		"no authority":  {[]relay.Platform{good}, func(c *relay.Config) { c.Roots = nil }},
		"wrong address": {[]relay.Platform{{Name: "pay", Address: "://", Way: &way{}}}, nil},
	} {
		if r, err := site.Relay(bus, c.platforms, c.change); err == nil {
			_ = r.Close()
			t.Errorf("%s was taken", name)
		}
	}
}
