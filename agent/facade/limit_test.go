package facade_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent"
	"payagent/agent/config"
	"payagent/agent/facade"
	"payagent/platforms"
	"payagent/platforms/smartpay/smartpayfacade"
)

// alarms lists what people were told of limits, by code and subject.
func (w *world) alarms(t *testing.T) (list []string) {
	t.Helper()
	notes, _, _, err := w.Agent.Notes(agent.NoteAlarm, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range notes {
		var a agent.Alarm
		if err := json.Unmarshal(n.Data, &a); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(a.Code, "door_") {
			list = append(list, a.Code+" "+a.Subject)
		}
	}
	return list
}

// TestLimits: a HIS program in a loop is held up by the door's limits where it
// begins something, and nowhere else.
func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, func(c *config.Config) { c.Door.Limits = config.DoorLimits{Creates: 3, Refunds: 1} })
		w.bank.OnCharge(paid)
		for n := range 3 {
			w.pay(t, charge(fmt.Sprint("MZ", n), 100, fmt.Sprint("13456789012345670", n)))
		}
		for n := 3; n < 6; n++ {
			_, err := w.front.Pay(t.Context(), charge(fmt.Sprint("MZ", n), 100, code1), wait)
			var r *platforms.FrontRefusal
			if !errors.As(err, &r) || r.Trouble != platforms.FrontBusy || !strings.Contains(r.Words, "20 秒后再试") || !strings.HasSuffix(r.Words, "；本次没有扣款") {
				t.Errorf("%v", err)
			}
		}
		// What is known is the answer, however often it is asked for; a look, a
		// cancel and another till are not held up.
		if o := w.pay(t, charge("MZ1", 100, code1)); o.State != platforms.FrontPaid {
			t.Errorf("%+v", o)
		}
		if o, err := w.front.Look(t.Context(), "MZ1"); err != nil || o.State != platforms.FrontPaid {
			t.Errorf("%v %v", o, err)
		}
		if o, err := w.front.Cancel(t.Context(), "MZ0", platforms.Operator{ID: "7"}, wait); err != nil || o.Refunded != 100 {
			t.Errorf("%v %v", o, err)
		}
		other := charge("MZ7", 100, code2)
		other.Terminal = "10.0.0.3"
		w.pay(t, other)
		refund := func(no string) error {
			_, err := w.front.Refund(t.Context(), platforms.Refund{Ref: platforms.Ref{OrderNo: "MZ1", TradeNo: "TMZ1", Amount: 100}, RequestNo: no, Sum: 1}, platforms.Operator{}, wait)
			return err
		}
		for _, no := range []string{"R1", "R1"} { // the same number begins nothing
			if err := refund(no); err != nil {
				t.Errorf("%s: %v", no, err)
			}
		}
		if err := refund("R3"); trouble(err) != platforms.FrontBusy || !strings.Contains(err.Error(), "本次没有退款") {
			t.Error(err)
		}
		if err := refund("R1"); err != nil {
			t.Error(err)
		}
		if list := w.alarms(t); !slices.Equal(list, []string{"door_rate_limited facade@w1 create", "door_rate_limited facade@w1 refund"}) {
			t.Errorf("%q", list)
		}
		time.Sleep(time.Minute)
		if o := w.pay(t, charge("MZ9", 100, code1)); o.State != platforms.FrontPaid {
			t.Errorf("%+v", o)
		}
		if n := w.charges(); n != 4 { // the other till is on another platform
			t.Errorf("%d charges", n)
		}
	})
}

// TestWrongSecrets: whoever guesses a secret is counted and told of; the right
// one is let in meanwhile, and a mistyped address is no guess.
func TestWrongSecrets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, func(c *config.Config) { c.Door.Limits = config.DoorLimits{WrongTokens: 7, LockOut: time.Minute} })
		w.bank.OnCharge(paid)
		path := t.TempDir() + "/secret"
		if err := os.WriteFile(path, []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
		inner, err := smartpayfacade.New(w.front, smartpayfacade.Config{Secret: facade.Secret(path, 16, slog.New(slog.DiscardHandler)), Wait: wait, OrderTypes: map[string]string{"008": "TREATMENT"}})
		if err != nil {
			t.Fatal(err)
		}
		h := facade.Counted(w.Agent, "facade", facade.Handler(facade.Handlers{SmartPay: inner}))
		get := func(path string) int {
			r := httptest.NewRequest("GET", path, nil)
			r.RemoteAddr = "10.1.2.3:40000"
			answer := httptest.NewRecorder()
			h.ServeHTTP(answer, r)
			return answer.Code
		}
		for range 30 {
			if code := get("/WSGW/services/ServiceGateWay?wsdl"); code != 404 {
				t.Fatal(code)
			}
			time.Sleep(5 * time.Second)
		}
		// A secret that stands elsewhere than in the path comes second.
		check := facade.Secret(path, 16, slog.New(slog.DiscardHandler))
		twice := facade.Counted(w.Agent, "facade", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if check(r.Context(), platforms.Hide("thirdpartygateway")) || !check(r.Context(), platforms.Hide(secret)) {
				t.Error("the secrets are mixed up")
			}
		}))
		for range 30 {
			twice.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/", nil))
			time.Sleep(5 * time.Second)
		}
		if list := w.alarms(t); len(list) != 0 || len(w.Agent.Limits().List()) != 0 {
			t.Fatalf("%q", list)
		}
		for range 60 {
			if code := get("/guessed-secret-0001/WSGW/services/ServiceGateWay?wsdl"); code != 404 {
				t.Fatal(code)
			}
			time.Sleep(time.Second)
			if code := get("/" + secret + "/WSGW/services/ServiceGateWay?wsdl"); code != 200 {
				t.Fatal(code)
			}
		}
		if list := w.alarms(t); !slices.Equal(list, []string{"door_locked_out facade 10.1.2.3"}) {
			t.Errorf("%q", list)
		}
		if list := w.Agent.Limits().List(); len(list) != 1 || list[0].Subject != "facade 10.1.2.3" {
			t.Errorf("%v", list)
		}
	})
}
