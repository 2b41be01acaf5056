package platformtest_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"payagent/platforms"
	"payagent/platforms/bank"
	"payagent/platforms/bank/wire"
	"payagent/platforms/platformtest"
)

func TestToy(t *testing.T) { platformtest.Test(t, toySubject("")) }

// TestToyWithoutSockets shows that the suite runs behind any RoundTripper.
func TestToyWithoutSockets(t *testing.T) {
	s := toySubject("")
	s.Transport = func(_ testing.TB, srv *httptest.Server) http.RoundTripper { return wire.Direct(srv.Config.Handler) }
	platformtest.Test(t, s)
}

// TestTransportThatSendsAgain: a way out that repeats requests is caught too.
func TestTransportThatSendsAgain(t *testing.T) {
	s := toySubject("")
	s.Transport = func(t testing.TB, srv *httptest.Server) http.RoundTripper { return stubborn{platformtest.Dial(t, srv)} }
	const name = "charge/lose_reply"
	if platformtest.Failing(t, s, name)[name] == nil {
		t.Error("the suite does not see a transport that sends a charge twice")
	}
}

type stubborn struct{ rt http.RoundTripper }

func (s stubborn) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var resp *http.Response
	for range 2 {
		again := r.Clone(r.Context())
		again.Body = io.NopCloser(bytes.NewReader(body))
		if resp, err = s.rt.RoundTrip(again); err == nil {
			return resp, nil
		}
	}
	return nil, err
}

// bare is the toy without QR codes, refunds, field checks and probes. It
// promises less than it does.
type bare struct{ t *toy }

func (b bare) Traits() platforms.Traits { return platforms.Traits{PaidIsSticky: true} }

func (b bare) Charge(ctx context.Context, c platforms.Charge) (platforms.Answer, error) {
	return b.t.Charge(ctx, c)
}

func (b bare) Query(ctx context.Context, ref platforms.Ref) (platforms.Answer, error) {
	return b.t.Query(ctx, ref)
}

func (b bare) Cancel(ctx context.Context, ref platforms.Ref) (platforms.Cancellation, error) {
	return b.t.Cancel(ctx, ref)
}

func bareSubject() platformtest.Subject {
	s := toySubject("")
	s.Fields = nil
	s.Open = func(rt http.RoundTripper) (platforms.Platform, error) { return bare{&toy{rt: rt}}, nil }
	return s
}

func TestBareToy(t *testing.T) { platformtest.Test(t, bareSubject()) }

// TestWrongAdapters: a suite that nobody has seen fail proves nothing. Each
// adapter breaks one rule and must fail the case that carries it.
func TestWrongAdapters(t *testing.T) {
	for wrong, name := range map[string]string{
		"500 is failed":                  "charge/http_500",
		"404 is not found":               "query/http_404",
		"ignores the HTTP status":        "charge/http_502",
		"lost reply is failed":           "charge/lose_reply",
		"every error is not charged":     "charge/lose_reply",
		"dial failure is unknown":        "wire/dial failure of a charge",
		"something wrong is failed":      "charge/platform stumbles",
		"trusts any number":              "query/wrong_order",
		"trusts any merchant":            "query/wrong_merchant",
		"ignores amount":                 "query/wrong_amount",
		"any other word is paid":         "query/odd_status",
		"follows redirects":              "charge/redirect_307",
		"retries pay":                    "charge/lose_request",
		"charges twice":                  "wire/one request per charge",
		"leaves GetBody":                 "wire/nothing invites a replay",
		"shares the connection":          "wire/nothing invites a replay",
		"sends an idempotency key":       "wire/nothing invites a replay",
		"leaks code in error":            "charge/lose_reply",
		"hands on messages":              "charge/leak",
		"token in the address":           "charge/pays at once",
		"token is no error":              "charge/token",
		"not found is failed":            "query/unknown number",
		"pending is failed":              "charge/password",
		"closed is paid":                 "charge/never pays",
		"swallows duplicates":            "charge/answer duplicate",
		"accepts trailing bytes":         "charge/answer trailing",
		"accepts a cut answer":           "charge/answer cut",
		"uses half a body":               "wire/body breaks",
		"reads huge bodies":              "charge/huge",
		"leaves bodies open":             "wire/answers are closed",
		"ignores the context":            "wire/canceled before",
		"float amounts":                  "charge/amounts that floats spoil",
		"sends fen for yuan":             "charge/one fen",
		"sends any amount":               "fields/07 amount_fen",
		"mangles texts":                  "wire/texts survive",
		"mixes tills":                    "charge/many at once",
		"cancel is always done":          "cancel/lose_request",
		"refused cancel is done":         "cancel/refused",
		"binds nothing":                  "query/replayed",
		"every cancel is a close":        "cancel/paid order",
		"refund with new number":         "refund/lost reply, asked again",
		"refunds any sum":                "refund/above the order",
		"reports the sum, not the total": "refund/part",
		"refused refund is done":         "refund/more than is left",
		"probe is always well":           "probe/unreachable",
	} {
		t.Run(wrong, func(t *testing.T) {
			if platformtest.Failing(t, toySubject(wrong), name)[name] == nil {
				t.Errorf("the adapter passes %q", name)
			}
		})
	}
}

// TestWrongSimulators: a simulator that does not do what a case needs must not
// let the case pass for nothing.
func TestWrongSimulators(t *testing.T) {
	deaf := toySubject("")
	deaf.Wire = func(b *bank.Bank, ctl *wire.Control) http.Handler {
		silent := wire.New(wire.Options{Clock: ctl.Now})
		return toyWire(b, silent)
	}
	for _, name := range []string{"query/wrong_amount", "charge/lose_reply", "wire/one request per charge", "charge/answer trailing"} {
		if platformtest.Failing(t, deaf, name)[name] == nil {
			t.Errorf("a simulator without faults passes %q", name)
		}
	}
	lazy := toySubject("")
	lazy.Excuses["query/wrong_amount"] = "too much work"
	const name = "query/wrong_amount is not carried"
	if platformtest.Failing(t, lazy, name)[name] == nil {
		t.Error("a fault that the answer has can be excused")
	}
}

func TestExcusesAreNeeded(t *testing.T) {
	for _, change := range []func(*platformtest.Subject){
		func(s *platformtest.Subject) { delete(s.Excuses, platformtest.AttackDTD) },
		func(s *platformtest.Subject) { s.Excuses[platformtest.AttackTrailing] = "both" },
		func(s *platformtest.Subject) { delete(s.Variants, platformtest.VariantBOM) },
	} {
		s := toySubject("")
		change(&s)
		if _, err := platformtest.Cases(s); err == nil {
			t.Error("an attack or variant is neither given nor excused, and nobody minds")
		}
	}
}

// talkative tells outcomes by itself; a subject that does not say how is no
// subject, nor is one that says so of a platform that keeps silent.
type talkative struct{ *toy }

func (talkative) Notice(platforms.Incoming) (platforms.Notice, error) { return platforms.Notice{}, nil }

func TestNoticesAreNotForgotten(t *testing.T) {
	s := toySubject("")
	s.Open = func(rt http.RoundTripper) (platforms.Platform, error) { return talkative{&toy{rt: rt}}, nil }
	if _, err := platformtest.Cases(s); err == nil {
		t.Error("a platform that sends messages by itself needs no cases for them")
	}
	s = toySubject("")
	s.Notices = &platformtest.Notices{}
	if _, err := platformtest.Cases(s); err == nil {
		t.Error("messages of a platform that sends none, and nobody minds")
	}
}

func TestEveryCaseHasItsRule(t *testing.T) {
	cases, err := platformtest.Cases(toySubject(""))
	if err != nil {
		t.Fatal(err)
	}
	few, err := platformtest.Cases(bareSubject())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		if len(c.Rule) < 10 || c.Rule[len(c.Rule)-1] != '.' {
			t.Errorf("%s: the rule is no sentence: %q", c.Name, c.Rule)
		}
	}
	t.Logf("%d cases for a platform that can do everything, %d for one that only charges, queries and cancels", len(cases), len(few))
	if len(few) < platformtest.MinCases {
		t.Errorf("%d cases, want %d", len(few), platformtest.MinCases)
	}
}
