package his_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"payagent/agent/cmd/paysim/internal/doortest"
	"payagent/agent/cmd/paysim/internal/his"
	"payagent/platforms"
)

func client(t *testing.T, d *doortest.Door) (*his.Client, string) {
	t.Helper()
	srv := httptest.NewServer(d)
	t.Cleanup(srv.Close)
	token := filepath.Join(t.TempDir(), "token")
	c, err := his.NewClient(srv.URL, token, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c, token
}

func TestEveryCallGoesWhereTheIssueSays(t *testing.T) {
	d := &doortest.Door{}
	c, token := client(t, d)
	ctx := t.Context()
	if _, err := c.Get(ctx, "MZ1", 0); !errors.Is(err, his.ErrToken) {
		t.Fatalf("without a token: %v", err)
	}
	if err := os.WriteFile(token, []byte("secret-1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := c.Create(ctx, "key-1", his.Order{Bill: "B1", AmountFen: 1234, Mode: "charge", Till: "counter1", AuthCode: "134567890123456789", Operator: his.Operators()[0]})
	seen, ok := a.Order()
	if err != nil || !ok || a.Status != 201 || a.Replay || seen.State != "paying" || seen.SafeToTakeCash.Answer != "wait" || seen.SafeToTakeCash.Say.Zh == "" {
		t.Fatalf("%v %+v", err, a)
	}
	no := seen.OutTradeNo
	if a, err = c.Get(ctx, no, 30*time.Second); err != nil || !a.OK() {
		t.Fatal(err)
	}
	who := his.Operators()[1]
	for _, verb := range his.Verbs() {
		if a, err = c.Do(ctx, no, verb, his.Act{Operator: &who}); err != nil || !a.OK() {
			t.Fatal(verb, err, a.Status)
		}
	}
	if a, err = c.Refund(ctx, "key-2", no, his.Act{AmountFen: 5, RefundNo: "R1"}); err != nil || a.Status != 409 || a.Problem().Code != "not_paid" {
		t.Fatalf("%v %+v", err, a)
	}
	if _, ok := a.Order(); ok {
		t.Error("a problem was read as an order")
	}
	if a, err = c.Bill(ctx, "B1"); err != nil || !a.OK() || a.Problem().Code != "" {
		t.Fatal(err)
	}
	if err := os.WriteFile(token, []byte("secret-2"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Get(ctx, "a/b?c", 0); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"POST /v1/orders", "GET /v1/orders/" + no, "POST /v1/orders/" + no + "/check", "POST /v1/orders/" + no + "/cancel",
		"POST /v1/orders/" + no + "/detach", "POST /v1/orders/" + no + "/confirm", "POST /v1/orders/" + no + "/refunds", "GET /v1/orders", "GET /v1/orders/a/b?c",
	}
	var got []string
	for _, call := range d.Calls() {
		got = append(got, call.Method+" "+call.Path)
		if (call.Method == http.MethodPost) != (call.Key != "") {
			t.Errorf("%s has the key %q", call.Path, call.Key)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	calls := d.Calls()
	if calls[0].Token != "secret-1" || calls[len(calls)-1].Token != "secret-2" || calls[1].Query != "wait=30s" || calls[0].Key != "key-1" {
		t.Errorf("%+v", calls)
	}
	var body map[string]any
	if err := json.Unmarshal([]byte(calls[0].Body), &body); err != nil || body["amount_fen"] != 1234.0 || body["auth_code"] != "134567890123456789" {
		t.Errorf("%v %v", err, body)
	}
	if s := calls[6].Body; !strings.Contains(s, `"refund_no":"R1"`) || !strings.Contains(s, `"amount_fen":5`) {
		t.Error(s)
	}
}

func TestAnAgentThatIsGone(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	srv.Close()
	c, err := his.NewClient(srv.URL, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Get(t.Context(), "X", 0); !errors.Is(err, his.ErrUnreachable) {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "127.0.0.1:8780", "ftp://127.0.0.1", "http://"} {
		if _, err := his.NewClient(bad, "", nil); err == nil {
			t.Errorf("%q accepted", bad)
		}
	}
}

func TestAnswersThatAreNoJSON(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusBadGateway)
		_, _ = w.Write([]byte("<html>"))
	}))
	defer srv.Close()
	c, err := his.NewClient(srv.URL, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := c.Get(t.Context(), "X", 0)
	if err != nil || string(a.Body) != `"\u003chtml\u003e"` || a.OK() || !a.RetryAfter() {
		t.Fatalf("%v %+v %s", err, a, a.Body)
	}
}

func fixed() time.Time { return time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC) }

func TestDoubleClicks(t *testing.T) {
	for click, keys := range map[his.Click]int{his.Once: 1, his.TwiceSame: 1, his.TwiceNew: 2} {
		d := &doortest.Door{}
		c, token := client(t, d)
		if err := os.WriteFile(token, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		desk := his.NewDesk(c, fixed)
		bill := desk.Bills()[0]
		got, err := desk.Collect(t.Context(), his.Press{Bill: bill.No, Mode: "charge", Till: "counter1", Click: click}, his.Operators()[0])
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, call := range d.Calls() {
			seen[call.Key] = true
		}
		if click == his.Once && len(got) != 1 || click != his.Once && (len(got) != 2 || len(d.Calls()) != 2) || len(seen) != keys || d.Orders()[bill.No] != 1 {
			t.Errorf("%s: %d answers, %d keys, orders %v", click, len(got), len(seen), d.Orders())
		}
		if b := desk.Bills()[0]; len(b.Orders) != 1 {
			t.Errorf("%s: HIS remembers %v", click, b.Orders)
		}
		desk.Forget()
		if b := desk.Bills()[0]; len(b.Orders) != 0 || b.No != bill.No {
			t.Errorf("%s: HIS did not forget %+v", click, b)
		}
	}
}

func TestAPressWithoutAnswerIsRepeatedWithItsKey(t *testing.T) {
	d := &doortest.Door{Break: func(n int, _ doortest.Call) doortest.Break {
		if n == 0 {
			return doortest.After
		}
		return doortest.Nothing
	}}
	c, token := client(t, d)
	if err := os.WriteFile(token, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	desk := his.NewDesk(c, fixed)
	press := his.Press{Bill: desk.Bills()[2].No, Mode: "present", Till: "counter2", Aggregated: true, AmountFen: 77, OrderType: "DEPOSIT"}
	got, err := desk.Collect(t.Context(), press, his.Operators()[1])
	if err != nil || got[0].Answer != nil || got[0].Error == "" {
		t.Fatalf("%v %+v", err, got)
	}
	press.Key = got[0].Key
	got, err = desk.Collect(t.Context(), press, his.Operators()[1])
	if err != nil || got[0].Answer == nil || !got[0].Answer.Replay {
		t.Fatalf("%v %+v", err, got)
	}
	calls := d.Calls()
	if calls[0].Body != calls[1].Body || !strings.Contains(calls[0].Body, `"amount_fen":77`) || !strings.Contains(calls[0].Body, "测试") || !strings.Contains(calls[0].Body, "DEPOSIT") {
		t.Errorf("%+v", calls)
	}
}

func TestBillsArePlainlyPretend(t *testing.T) {
	c, _ := client(t, &doortest.Door{})
	desk := his.NewDesk(c, fixed)
	ends, numbers := map[int64]bool{}, map[string]bool{}
	for _, b := range desk.Bills() {
		if !strings.HasPrefix(b.Patient.Name, "测试") || !strings.HasPrefix(b.Patient.CardNo, "TEST") || !strings.HasPrefix(b.No, "SIM") {
			t.Errorf("%+v", b)
		}
		ends[int64(b.AmountFen%100)], numbers[b.No] = true, true
	}
	if len(ends) != 11 || len(numbers) != 11 {
		t.Errorf("%v %v", ends, numbers)
	}
	for _, bad := range []platforms.Fen{0, -1, 100_000_000} {
		if _, err := desk.AddBill(bad, ""); err == nil {
			t.Errorf("%d fen accepted", bad)
		}
	}
	if _, err := desk.Collect(t.Context(), his.Press{Bill: "none"}, his.Operators()[0]); !errors.Is(err, his.ErrBill) {
		t.Error(err)
	}
	if _, err := desk.Collect(t.Context(), his.Press{Bill: desk.Bills()[0].No, Click: "thrice"}, his.Operators()[0]); err == nil {
		t.Error("clicked thrice")
	}
}
