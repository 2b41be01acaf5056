// Package livetest is a running agent with its door on a real socket of
// loopback, over the bank in memory of agenttest, for tests of programs that
// call the door from outside: the command line, the C library, the samples. It
// is for tests only.
//
// The last two digits of an amount say what the payer does: see [Outcome].
package livetest

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"payagent/agent/access"
	"payagent/agent/agenttest"
	"payagent/agent/config"
	"payagent/agent/door"
	"payagent/platforms"
	"payagent/queue/mem"
)

// Outcome is what becomes of a charge, by the fen of its amount (amount modulo
// 100).
type Outcome int

// The outcomes. Any other amount is paid at once.
const (
	Waits     Outcome = 1 // the payer is typing until a test lets them pay, or a cancel comes
	NotTaken  Outcome = 2 // refused, with proof that nothing was charged
	NoAnswer  Outcome = 3 // the reply is lost; asked again, the bank says that it was paid
	Forgotten Outcome = 4 // the reply is lost, nothing was charged
)

// Code is a payment code of the pretend payers that no test used yet when n
// is new.
func Code(n int) string {
	return "13000000000000" + string([]byte{d(n / 1000), d(n / 100), d(n / 10), d(n)})
}

func d(n int) byte { return byte('0' + n%10) }

// Door is a running agent and its door.
type Door struct {
	*agenttest.World
	Address   string // host:port
	URL       string
	Token     string // may collect and refund at every till
	TokenFile string

	broken atomic.Int64
	server *httptest.Server
}

var errLost = errors.New("the reply was lost")

// Start runs an agent until the test ends.
func Start(t testing.TB) *Door {
	t.Helper()
	l := &Door{}
	l.World = agenttest.Start(t, agenttest.Options{Log: mem.Open(&mem.Disk{}), Config: quick})
	bank := l.Banks[agenttest.Full]
	bank.OnCharge(func(c platforms.Charge) (platforms.Answer, error) {
		paid := agenttest.PaidAnswer(c.Ref, platforms.WeChat)
		pending := platforms.Answer{Status: platforms.Pending, OrderNo: c.OrderNo}
		switch Outcome(c.Amount % 100) {
		case Waits:
			return pending, nil
		case NotTaken:
			return platforms.Answer{Status: platforms.Closed, OrderNo: c.OrderNo, Code: "PAYERROR"}, platforms.ErrNotCharged
		case NoAnswer:
			return paid, errLost
		case Forgotten:
			return pending, errLost
		}
		return paid, nil
	})
	store, err := access.Open(filepath.Join(t.TempDir(), "tokens.json"), nil)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := store.Add("his", "", []access.Scope{access.Collect, access.Refund}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	l.Token, l.TokenFile = secret.Reveal(), filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(l.TokenFile, []byte(l.Token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l.server = httptest.NewUnstartedServer(nil)
	l.Address = l.server.Listener.Addr().String()
	l.URL = "http://" + l.Address
	h := door.New(l.Agent, door.Options{Tokens: store, Version: "test", Logger: slog.New(slog.DiscardHandler), Addresses: []string{l.Address}})
	l.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if l.broken.Load() > 0 && l.broken.Add(-1) >= 0 {
			// The request is carried out and its answer lost.
			h.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		h.ServeHTTP(w, r)
	})
	l.server.Start()
	t.Cleanup(func() {
		l.server.CloseClientConnections()
		l.server.Close()
	})
	return l
}

// LoseAnswers lets the next n requests be carried out and their answers be
// lost on the way back.
func (l *Door) LoseAnswers(n int) { l.broken.Store(int64(n)) }

// Shut ends the door: nobody listens there any more.
func (l *Door) Shut() {
	l.server.CloseClientConnections()
	l.server.Close()
}

// quick is a schedule for tests in real time.
func quick(c *config.Config) {
	for i := range c.Platforms {
		p := &c.Platforms[i].Policy
		p.FirstQuery, p.QueryEvery, p.CancelNotBefore, p.ManualAfter = 20*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond, 20*time.Millisecond
		p.RefundSpacing, p.Backoff = 10*time.Millisecond, []time.Duration{20 * time.Millisecond, 100 * time.Millisecond}
	}
}
