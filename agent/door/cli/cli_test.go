package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"

	"payagent/agent/agenttest"
	"payagent/agent/door/cli"
	"payagent/agent/door/livetest"
)

// doc is what a command printed.
type doc struct {
	t       *testing.T
	text    string
	Outcome string `json:"outcome"`
	Exit    int    `json:"exit_code"`
	Key     string `json:"idempotency_key"`
	Message struct{ ZH, EN string }
	Cash    struct{ Answer string } `json:"safe_to_take_cash"`
	Order   struct {
		No       string `json:"out_trade_no"`
		State    string
		Bill     string
		Amount   int64 `json:"amount_fen"`
		Refunded int64 `json:"refunded_fen"`
	}
	Refund struct {
		No    string `json:"refund_no"`
		State string
	}
	Problem struct{ Code, Field string }
}

func (d doc) is(exit int, outcome string) doc {
	d.t.Helper()
	if d.Exit != exit || d.Outcome != outcome {
		d.t.Fatalf("got %d %s, want %d %s\n%s", d.Exit, d.Outcome, exit, outcome, d.text)
	}
	return d
}

type rig struct {
	t *testing.T
	*livetest.Door
	codes int
}

// code is a fresh payment code.
func (r *rig) code() string {
	r.codes++
	return livetest.Code(r.codes)
}

func newRig(t *testing.T) *rig { return &rig{t: t, Door: livetest.Start(t)} }

func noConfig(string) (cli.Target, error) { return cli.Target{}, errors.New("no configuration here") }

// raw runs a command and gives its output and exit code.
func (r *rig) raw(stdin string, args ...string) (string, int) {
	r.t.Helper()
	ctx, stop := context.WithTimeout(r.t.Context(), 5*time.Minute)
	defer stop()
	var out bytes.Buffer
	env := func(name string) string { return map[string]string{"CODE": livetest.Code(9)}[name] }
	code := cli.Run(ctx, args[0], append(args[1:], "--address", r.URL, "--token-file", r.TokenFile), cli.Streams{In: strings.NewReader(stdin), Out: &out, Env: env}, noConfig)
	return out.String(), code
}

// run runs a command with --json: exactly one document, whose exit code is the
// process's.
func (r *rig) run(stdin string, args ...string) doc {
	r.t.Helper()
	text, code := r.raw(stdin, append(args, "--json")...)
	return read(r.t, text, code)
}

func read(t *testing.T, text string, code int) doc {
	t.Helper()
	d := doc{t: t, text: text}
	dec := json.NewDecoder(strings.NewReader(text))
	if err := dec.Decode(&d); err != nil || dec.More() {
		t.Fatalf("not one document: %v\n%s", err, text)
	}
	if d.Exit != code || d.Message.ZH == "" || d.Message.EN == "" {
		t.Fatalf("exit code %d\n%s", code, text)
	}
	return d
}

func (r *rig) pay(bill, amount string, more ...string) doc {
	r.t.Helper()
	return r.run(r.code()+"\n", append([]string{"pay", "--bill", bill, "--amount", amount, "--order-type", "TREATMENT", "--till", agenttest.W1, "--auth-code", "-"}, more...)...)
}

func (r *rig) charges() int { return len(r.Banks[agenttest.Full].Calls("charge")) }

func TestPaid(t *testing.T) {
	r := newRig(t)
	d := r.pay("B1", "12.30", "--operator", "1001", "--operator-name", "王收费", "--patient-name", "张三").is(cli.OK, "paid")
	if d.Order.Bill != "B1" || d.Order.Amount != 1230 || d.Cash.Answer != "no" || d.Key == "" {
		t.Errorf("%s", d.text)
	}
	// The same bill twice never charges twice, whatever the key.
	if again := r.pay("B1", "12.30").is(cli.Refused, "refused"); again.Problem.Code != "bill_paid" || again.Cash.Answer != "no" {
		t.Errorf("%s", again.text)
	}
	// With its key the first answer is given again.
	if again := r.pay("B1", "12.30", "--operator", "1001", "--operator-name", "王收费", "--patient-name", "张三", "--key", d.Key).is(cli.OK, "paid"); again.Order.No != d.Order.No {
		t.Errorf("%s", again.text)
	}
	if r.charges() != 1 {
		t.Errorf("%d charges", r.charges())
	}
	r.run("", "query", "--order", d.Order.No).is(cli.OK, "paid")
	r.run("", "query", "--trade", "T"+d.Order.No).is(cli.OK, "paid")
	// A cancel of what is paid is refused by the facts.
	r.run("", "cancel", "--bill", "B1").is(cli.No, "paid")
}

func TestAKilledPayIsContinuedByQuery(t *testing.T) {
	r := newRig(t)
	open := r.pay("K1", "5.01", "--wait", "0").is(cli.Open, "paying") // nobody waited for it
	r.run("", "query", "--bill", "K1").is(cli.Open, "paying")
	if again := r.pay("K1", "5.01", "--wait", "0").is(cli.Open, "paying"); again.Order.No != open.Order.No {
		t.Errorf("%s", again.text)
	}
	r.Banks[agenttest.Full].Pay(open.Order.No)
	if end := r.run("", "query", "--bill", "K1", "--wait", "60").is(cli.OK, "paid"); end.Order.No != open.Order.No || r.charges() != 1 {
		t.Errorf("%s", end.text)
	}
	if none := r.run("", "query", "--bill", "K2").is(cli.Refused, "refused"); none.Problem.Code != "not_found" {
		t.Errorf("%s", none.text)
	}
}

func TestEveryExitCode(t *testing.T) {
	r := newRig(t)
	if d := r.pay("E1", "5.02").is(cli.No, "failed"); d.Cash.Answer != "yes" {
		t.Errorf("%s", d.text)
	}
	r.pay("E2", "5.03").is(cli.OK, "paid") // the lost reply is asked for
	open := r.pay("E3", "5.01", "--wait", "0").is(cli.Open, "paying")
	if d := r.run("", "cancel", "--order", open.Order.No, "--operator", "1001", "--reason", "不缴了").is(cli.OK, "canceled"); d.Cash.Answer != "yes" {
		t.Errorf("%s", d.text)
	}
	r.run("", "query", "--bill", "E3").is(cli.No, "canceled")
	r.run("", "cancel", "--bill", "E3").is(cli.OK, "canceled") // again: it is so
	if d := r.run("", "pay", "--bill", "E4", "--amount-fen", "500", "--order-type", "TREATMENT", "--till", "nowhere").is(cli.Refused, "refused"); d.Problem.Code != "field_invalid" || d.Problem.Field != "till" {
		t.Errorf("%s", d.text)
	}
	// In doubt: the platform falls silent after the charge, with cancels in vain.
	bank := r.Banks[agenttest.Plain]
	bank.Deafen(true)
	d := r.run(r.code(), "pay", "--bill", "E5", "--amount", "5.00", "--order-type", "TREATMENT", "--till", agenttest.W3, "--auth-code", "-", "--wait", "0")
	d.is(cli.Open, "paying")
	d = r.run("", "cancel", "--bill", "E5", "--wait", "0")
	for guard := time.Now().Add(2 * time.Minute); d.Exit != cli.InDoubt && time.Now().Before(guard); {
		d = r.run("", "query", "--bill", "E5", "--wait", "0.2")
	}
	if d.is(cli.InDoubt, "in_doubt"); d.Cash.Answer != "no" {
		t.Errorf("%s", d.text)
	}
	r.Shut()
	if d := r.pay("E6", "5.00", "--key", "mine").is(cli.Unreachable, "unreachable"); d.Cash.Answer != "no" || d.Key != "mine" {
		t.Errorf("%s", d.text)
	}
}

func TestRefunds(t *testing.T) {
	r := newRig(t)
	r.pay("R1", "10.00").is(cli.OK, "paid")
	refund := []string{"refund", "--bill", "R1", "--amount", "4.00", "--refund-no", "RF1", "--operator", "1001"}
	for range 2 { // a repetition is the same refund
		if d := r.run("", refund...).is(cli.OK, "refund_done"); d.Refund.No != "RF1" || d.Order.Refunded != 400 {
			t.Errorf("%s", d.text)
		}
	}
	if d := r.run("", "refund", "--bill", "R1", "--amount", "7.00", "--refund-no", "RF2", "--operator", "1001").is(cli.Refused, "refused"); d.Problem.Code != "refund_over" {
		t.Errorf("%s", d.text)
	}
	r.Banks[agenttest.Full].HoldRefunds(true)
	held := r.run("", "refund", "--bill", "R1", "--amount", "1.00", "--key", "k3", "--operator", "1001", "--wait", "0.2")
	if held.Exit != cli.Open && held.Exit != cli.InDoubt {
		t.Errorf("%s", held.text)
	}
	// The command did not wait for it to leave.
	asked := func() int { return len(r.Banks[agenttest.Full].Calls("refund")) }
	for guard := time.Now().Add(2 * time.Minute); asked() < 2 && time.Now().Before(guard); {
		<-time.After(10 * time.Millisecond)
	}
	if n := asked(); n < 2 {
		t.Errorf("%d refunds were asked for", n)
	}
}

func TestBooking(t *testing.T) {
	r := newRig(t)
	open := r.pay("BK0", "5.01", "--wait", "0").is(cli.Open, "paying")
	if d := r.run("", "book", "--order", open.Order.No, "--flow-id", "F0").is(cli.Refused, "refused"); d.Problem.Code != "not_paid" {
		t.Errorf("%s", d.text)
	}
	r.run("", "cancel", "--order", open.Order.No).is(cli.OK, "canceled")
	r.pay("BK1", "10.00").is(cli.OK, "paid")
	for range 2 {
		r.run("", "book", "--bill", "BK1", "--flow-id", "F1", "--cost-type", "自费", "--operator", "1001").is(cli.OK, "booking_booked")
	}
	if d := r.run("", "book", "--bill", "BK1", "--failed", "--reason", "x").is(cli.Refused, "refused"); d.Problem.Code != "booking_differs" {
		t.Errorf("%s", d.text)
	}
	// HIS could not process it: the money goes back.
	r.pay("BK2", "10.00").is(cli.OK, "paid")
	r.run("", "book", "--bill", "BK2", "--failed", "--reason", "号源已满").is(cli.OK, "booking_failed")
}

func TestALostAnswerIsAskedForWithTheSameKey(t *testing.T) {
	r := newRig(t)
	r.LoseAnswers(2)
	r.pay("L1", "3.00").is(cli.OK, "paid")
	if r.charges() != 1 {
		t.Errorf("%d charges", r.charges())
	}
	r.LoseAnswers(1)
	if d := r.run("", "refund", "--bill", "L1", "--amount", "3.00", "--refund-no", "L1R", "--operator", "1").is(cli.OK, "refund_done"); d.Order.Refunded != 300 {
		t.Errorf("%s", d.text)
	}
}

func TestWrongCommandLines(t *testing.T) {
	r := newRig(t)
	good := []string{"pay", "--bill", "U1", "--order-type", "TREATMENT", "--till", agenttest.W1}
	code := livetest.Code(1)
	for name, x := range map[string]struct {
		args []string
		want string
	}{
		"code on the command line": {append(good, "--amount", "1.00", "--auth-code", code), "env:"},
		"code as a further word":   {append(good, "--amount", "1.00", code), "only flags"},
		"code in a wrong flag":     {append(good, "--amount", "1.00", "--wait", code[:9]+"x"), "wait"},
		"no code on stdin":         {append(good, "--amount", "1.00", "--auth-code", "-"), "no payment code"},
		"no code in env":           {append(good, "--amount", "1.00", "--auth-code", "env:NONE"), "no payment code"},
		"three decimals":           {append(good, "--amount", "1.001"), "decimals"},
		"negative":                 {append(good, "--amount", "-1.00"), "amount"},
		"both amounts":             {append(good, "--amount", "1.00", "--amount-fen", "100"), "either"},
		"no amount":                {good, "either"},
		"no bill":                  {[]string{"pay", "--amount", "1.00"}, "--bill"},
		"unknown flag":             {append(good, "--amuont", "1"), "amuont"},
		"two names":                {[]string{"query", "--bill", "1", "--order", "2"}, "exactly one"},
		"refund without a number":  {[]string{"refund", "--bill", "1", "--amount", "1.00", "--operator", "1"}, "--refund-no"},
		"book without a word":      {[]string{"book", "--bill", "1"}, "--flow-id"},
		"bad wait":                 {append(good, "--amount", "1.00", "--wait", "-1"), "--wait"},
		"flags beside request":     {append(good, "--request", "-"), "belongs into it"},
		"request that is none":     {[]string{"pay", "--request", "-"}, "no JSON"},
	} {
		d := r.run("", x.args...).is(cli.Usage, "usage")
		if !strings.Contains(d.Message.EN, x.want) {
			t.Errorf("%s: %s", name, d.text)
		}
		if strings.Contains(d.text, code) || strings.Contains(d.text, code[:9]) {
			t.Errorf("%s tells a payment code: %s", name, d.text)
		}
	}
	if r.charges() != 0 {
		t.Error("something was sent")
	}
}

func TestWholeRequests(t *testing.T) {
	r := newRig(t)
	body := `{"bill":"W1","amount_fen":700,"mode":"charge","order_type":"TREATMENT","till":"w1","auth_code":"` + livetest.Code(1003) + `","patient":{"name":"张三丰"},"operator":{"id":"1001","name":"王收费"}}`
	r.run(body, "pay", "--request", "-").is(cli.OK, "paid")
	gbk, err := simplifiedchinese.GBK.NewEncoder().String(strings.NewReplacer(`"W1"`, `"W2"`, livetest.Code(1003), livetest.Code(1004)).Replace(body))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "request.json")
	if err := os.WriteFile(file, []byte(gbk), 0o600); err != nil {
		t.Fatal(err)
	}
	text, code := r.raw("", "pay", "--request", file, "--gbk", "--json")
	back, err := simplifiedchinese.GBK.NewDecoder().String(text)
	if err != nil || strings.ContainsRune(back, '\uFFFD') || strings.Contains(text, "支付") {
		t.Fatalf("%v %q", err, text)
	}
	if d := read(t, back, code).is(cli.OK, "paid"); !strings.Contains(d.text, "王收费") {
		t.Errorf("%s", d.text)
	}
	// The door is strict about what was handed over.
	if d := r.run(`{"bill":"W3","bill":"W4","amount_fen":700,"mode":"charge","order_type":"TREATMENT","till":"w1"}`, "pay", "--request", "-").is(cli.Refused, "refused"); d.Problem.Code != "malformed" {
		t.Errorf("%s", d.text)
	}
}

func TestForPeople(t *testing.T) {
	r := newRig(t)
	text, code := r.raw("", "pay", "--bill", "H1", "--amount", "8.00", "--order-type", "TREATMENT", "--till", agenttest.W1, "--auth-code", "env:CODE")
	if code != cli.OK || strings.HasPrefix(text, "{") || !strings.Contains(text, "8.00 元") {
		t.Errorf("%d %s", code, text)
	}
	if text, code = r.raw("", "refund", "--help"); code != cli.OK || text != cli.Help {
		t.Errorf("%d %s", code, text)
	}
	for _, want := range []string{"exit codes", "退出码", "--auth-code", "--key", "0 ", "1 ", "2 ", "3 ", "4 ", "5 ", "6 "} {
		if !strings.Contains(cli.Help, want) {
			t.Errorf("the help lacks %q", want)
		}
	}
}

// TestTheCodesAreDocumented: help and page name every exit code, and the page
// every outcome that a program may see.
func TestTheCodesAreDocumented(t *testing.T) {
	page, err := os.ReadFile(filepath.FromSlash("../../../docs/cli.md"))
	if err != nil {
		t.Fatal(err)
	}
	for code := cli.OK; code <= cli.Refused; code++ {
		if !strings.Contains(cli.Help, fmt.Sprintf("\n  %d  ", code)) {
			t.Errorf("the help does not explain exit code %d", code)
		}
		if !strings.Contains(string(page), fmt.Sprintf("\n| %d | ", code)) {
			t.Errorf("docs/cli.md does not explain exit code %d", code)
		}
	}
	for _, word := range []string{"outcome", "exit_code", "message", "safe_to_take_cash", "idempotency_key", "order", "refund", "problem", "usage", "unreachable", "refused"} {
		if !strings.Contains(string(page), "`"+word+"`") {
			t.Errorf("docs/cli.md does not explain %s", word)
		}
	}
}

// TestWhatIsNoAgent: whatever answers there, without an order or a problem of
// ours nothing is known.
func TestWhatIsNoAgent(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{"<html>login</html>", "{}", `{"state":"paid"}`, `[]`, `null`, `{"out_trade_no":"1"}`} {
		for _, status := range []int{200, 302, 404, 500} {
			t.Run(fmt.Sprintf("%d %s", status, body), func(t *testing.T) {
				t.Parallel()
				asked := make(chan string, 64)
				srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					asked <- r.Header.Get("Idempotency-Key")
					w.WriteHeader(status)
					_, _ = w.Write([]byte(body))
				}))
				defer srv.Close()
				var out bytes.Buffer
				code := cli.Run(t.Context(), "pay", []string{"--bill", "1", "--amount", "1.00", "--order-type", "T", "--address", srv.URL, "--token-file", token, "--json"}, cli.Streams{Out: &out}, noConfig)
				d := read(t, out.String(), code).is(cli.Unreachable, "unreachable")
				close(asked)
				n := 0
				for key := range asked {
					if n++; key != d.Key {
						t.Errorf("request %d had the key %q, not %q", n, key, d.Key)
					}
				}
				if n == 0 {
					t.Error("nothing was asked")
				}
			})
		}
	}
}
