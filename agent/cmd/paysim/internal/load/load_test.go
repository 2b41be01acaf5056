package load

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"payagent/agent/cmd/paysim/internal/doortest"
	"payagent/agent/cmd/paysim/internal/his"
	"payagent/platforms"
	"payagent/platforms/bank"
)

func options(n int) Options {
	return Options{
		N: n, C: 3, Seed: 7, Run: "r1", Tills: []string{"counter1", "counter2"}, Channels: []platforms.Channel{platforms.WeChat, platforms.Alipay},
		Instructions: []int{0, 94}, Actions: Actions(), Patience: time.Hour, Chance: rand.Reader, Now: time.Now,
		Pause: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	}
}

func door(t *testing.T, d *doortest.Door) *his.Client {
	t.Helper()
	srv := httptest.NewServer(d)
	t.Cleanup(srv.Close)
	c, err := his.NewClient(srv.URL, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func byInstruction(code string) string {
	if bank.ScriptFor(0, code).Payer.NoMoney {
		return "failed"
	}
	return "paid"
}

func run(t *testing.T, d *doortest.Door, o Options) ([]Result, Summary) {
	t.Helper()
	var out bytes.Buffer
	o.Out = &out
	sum, err := Run(t.Context(), door(t, d), o)
	if err != nil {
		t.Fatal(err)
	}
	var all []Result
	for s := bufio.NewScanner(&out); s.Scan(); {
		var r Result
		if err := json.Unmarshal(s.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	if len(all) != sum.Orders {
		t.Fatalf("%d lines for %d orders", len(all), sum.Orders)
	}
	return all, sum
}

// An agent that dies before or after every third call, whatever it is.
func dying(n int, c doortest.Call) doortest.Break {
	switch n % 3 {
	case 0:
		return doortest.Before
	case 1:
		return doortest.After
	}
	return doortest.Nothing
}

func TestALoadOutlivesTheAgentsDeaths(t *testing.T) {
	for name, breaks := range map[string]func(int, doortest.Call) doortest.Break{"steady": nil, "dying": dying} {
		d := &doortest.Door{Break: breaks, End: byInstruction, Busy: 5}
		all, sum := run(t, d, options(60))
		if len(all) != 60 || breaks != nil && sum.NoAnswer == 0 {
			t.Fatalf("%s: %+v", name, sum)
		}
		actions := map[Action]bool{}
		for _, r := range all {
			actions[r.Action] = true
			want := "paid"
			if r.Instruction == 94 {
				want = "failed"
			}
			switch {
			case r.Action == Cancel && r.Verdict == "canceled":
			case r.Action == TwiceNew && r.RefusedWith != nil && r.RefusedWith.Code == "bill_open":
				// The stand-in refuses the second key; whose click was the
				// first one nobody can know when its answer was lost.
			case r.Verdict != want || !r.Final || r.OrderNo == "" || r.Error != "" || r.SafeToTakeCash != map[string]string{"paid": "no", "failed": "yes"}[want]:
				t.Errorf("%s: %+v", name, r)
			}
			if told := map[Action]string{Silent: ""}; want == "paid" && r.Verdict == "paid" {
				expected, special := told[r.Action]
				if !special {
					expected = "done"
				}
				if r.Booking != expected || (r.FlowID != "") != (expected == "done" && r.Action != Fails) {
					t.Errorf("%s: booking %+v", name, r)
				}
			}
			if r.Action == Refund && want == "paid" && (r.RefundStatus != 200 || r.RefundFen < 1 || r.RefundFen > r.AmountFen) {
				t.Errorf("%s: refund %+v", name, r)
			}
			if (r.Second != nil) != (r.Action == TwiceSame || r.Action == TwiceNew) {
				t.Errorf("%s: second click %+v", name, r)
			}
		}
		if len(actions) != len(Actions()) {
			t.Errorf("%s: only %v", name, actions)
		}
		for bill, n := range d.Orders() {
			if n != 1 {
				t.Errorf("%s: %d orders of %s", name, n, bill)
			}
		}
		bodies := map[string]string{}
		for _, c := range d.Calls() {
			if old, again := bodies[c.Key]; again && c.Path == "/v1/orders" && old != c.Body {
				t.Errorf("%s: the key %s with another body", name, c.Key)
			}
			if c.Path == "/v1/orders" {
				bodies[c.Key] = c.Body
			}
		}
	}
}

func TestPatienceEnds(t *testing.T) {
	var seconds atomic.Int64
	o := options(2)
	o.Patience, o.C = 30*time.Second, 1
	o.Actions = []Action{Plain}
	o.Now = func() time.Time { return time.Unix(seconds.Load(), 0) }
	o.Pause = func(_ context.Context, _ time.Duration) error { seconds.Add(1); return nil }
	// Dead from the start: nothing was told.
	all, sum := run(t, &doortest.Door{Break: func(int, doortest.Call) doortest.Break { return doortest.Before }}, o)
	if len(all) != 2 || sum.Verdicts["unknown"] != 2 || all[0].Final || all[0].Error == "" || all[0].NoAnswer < 30 || all[0].OrderNo != "" {
		t.Fatalf("%+v", all)
	}
	// An order that never ends: the last word stands, and is not final.
	all, sum = run(t, &doortest.Door{End: func(string) string { return "paying" }}, o)
	if sum.Verdicts["paying"] != 2 || all[0].Final || !reflect.DeepEqual(all[0].Told, []string{"paying"}) {
		t.Fatalf("%+v", all)
	}
}

// amnesiac forgets orders that it has accepted.
type amnesiac struct{ Door }

func (a amnesiac) Get(context.Context, string, time.Duration) (his.Answer, error) {
	return his.Answer{Status: 404, Body: []byte(`{"code":"not_found"}`)}, nil
}

func TestALostOrderIsReported(t *testing.T) {
	o := options(1)
	o.Actions = []Action{Plain}
	var out bytes.Buffer
	o.Out = &out
	sum, err := Run(t.Context(), amnesiac{door(t, &doortest.Door{})}, o)
	if err != nil || sum.Verdicts["not_found"] != 1 || !strings.Contains(out.String(), `"order_no":"MZ`) {
		t.Fatalf("%v %+v %s", err, sum, &out)
	}
}

func TestTheSeedIsTheScenario(t *testing.T) {
	o := options(1)
	differ := false
	for i := range 200 {
		a, b := plan(o, i), plan(o, i)
		if a != b || a.AmountFen%100 >= 90 || a.AmountFen < 100 || a.Till != o.Tills[i%2] {
			t.Fatalf("%+v %+v", a, b)
		}
		other := o
		other.Seed++
		differ = differ || plan(other, i) != a
	}
	if !differ {
		t.Error("another seed gives the same scenarios")
	}
}

func TestFreshCodesCarryTheirInstruction(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range []platforms.Channel{platforms.WeChat, platforms.Alipay, platforms.UnionPay} {
		for n := range 100 {
			code, err := freshCode(c, n, rand.Reader)
			if err != nil || seen[code] {
				t.Fatal(code, err)
			}
			seen[code] = true
			want := bank.ScriptFor(platforms.Fen(n), "")
			want.Payer.Channel = c
			if got := bank.ScriptFor(0, code); !reflect.DeepEqual(got, want) {
				t.Fatalf("%s: %+v", code, got)
			}
		}
	}
	if _, err := freshCode(platforms.WeChat, 1, strings.NewReader("")); err == nil {
		t.Error("a code without chance")
	}
	if _, err := freshCode("cash", 1, rand.Reader); err == nil {
		t.Error("a code of no wallet")
	}
}

func TestALoadThatCannotBeMade(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"no orders": func(o *Options) { o.N = 0 }, "no tills": func(o *Options) { o.Tills = nil },
		"no run": func(o *Options) { o.Run = "" }, "odd action": func(o *Options) { o.Actions = []Action{"dance"} },
	} {
		o := options(1)
		change(&o)
		if _, err := Run(t.Context(), nil, o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	o := options(3)
	o.Out = broken{}
	if _, err := Run(t.Context(), door(t, &doortest.Door{}), o); !errors.Is(err, errBroken) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o = options(1000)
	o.Out = &bytes.Buffer{}
	if sum, err := Run(ctx, door(t, &doortest.Door{}), o); err != nil || sum.Orders > 10 {
		t.Errorf("%v %+v", err, sum)
	}
}

var errBroken = errors.New("broken pipe")

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errBroken }
