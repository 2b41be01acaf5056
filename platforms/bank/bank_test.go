package bank_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"payagent/platforms"
	"payagent/platforms/bank"
)

const s = time.Second

func req(no string, amount platforms.Fen) bank.Request {
	return bank.Request{OrderNo: no, Merchant: "M1", Amount: amount, Channel: platforms.WeChat}
}

func state(t *testing.T, b *bank.Bank, now time.Duration, no string, want bank.State, net platforms.Fen) {
	t.Helper()
	got, ok := b.Query(now, no)
	if !ok || got.State != want || b.Net(no) != net {
		t.Fatalf("%s at %v: %v %q net %v, want %q net %v", no, now, ok, got.State, b.Net(no), want, net)
	}
}

func TestPayers(t *testing.T) {
	for _, c := range []struct {
		name  string
		p     bank.Payer
		now   time.Duration
		want  bank.State
		refus string
		taken int
	}{
		{"at once", bank.Payer{}, 0, bank.Paid, "", 1},
		{"password, too early", bank.Payer{PayAfter: 20 * s}, 20*s - 1, bank.Unpaid, "", 0},
		{"password, in time", bank.Payer{PayAfter: 20 * s}, 20 * s, bank.Paid, "", 1},
		{"never", bank.Payer{PayAfter: -1}, 1000 * s, bank.Unpaid, "", 0},
		{"no money", bank.Payer{NoMoney: true}, 0, bank.Unpaid, bank.NoMoney, 0},
		{"bad code", bank.Payer{BadCode: true}, 0, bank.Unpaid, bank.BadCode, 0},
		{"no money after the password", bank.Payer{PayAfter: s, NoMoney: true}, s, bank.Unpaid, bank.NoMoney, 0},
	} {
		b := bank.New(bank.Options{})
		b.Charge(0, req("A", 100), c.p)
		got, ok := b.Query(c.now, "A")
		if !ok || got.State != c.want || got.Refusal != c.refus || b.Captures("A") != c.taken {
			t.Errorf("%s: %+v, %d captures", c.name, got, b.Captures("A"))
		}
	}
}

func TestTradeCarriesItsNumbers(t *testing.T) {
	b := bank.New(bank.Options{})
	got := b.Charge(3*s, req("A", 100), bank.Payer{Channel: platforms.Alipay})
	if len(got.Handle) != 32 || len(got.TradeNo) != 28 || len(got.Buyer) != 16 ||
		got.PaidAt != 3*s || got.Captured != 100 || got.Channel != platforms.Alipay || got.Merchant != "M1" {
		t.Fatalf("%+v", got)
	}
	for name, find := range map[string]func(time.Duration, string) (bank.Trade, bool){got.Handle: b.ByHandle, got.TradeNo: b.ByTradeNo} {
		if found, ok := find(3*s, name); !ok || found != got {
			t.Errorf("by %s: %v %+v", name, ok, found)
		}
		if _, ok := find(3*s, "other"); ok {
			t.Error("found a key that does not exist")
		}
	}
}

func TestSecondChargeOnPaidTradeTakesNothing(t *testing.T) {
	b := bank.New(bank.Options{})
	first := b.Charge(0, req("A", 100), bank.Payer{})
	again := b.Charge(s, req("A", 100), bank.Payer{})
	if first != again || b.Captures("A") != 1 || b.PayRequests("A") != 2 || b.Net("A") != 100 {
		t.Fatalf("captures %d, asked %d, net %v", b.Captures("A"), b.PayRequests("A"), b.Net("A"))
	}
}

func TestTwoPayersOnAnOpenTradeBothPay(t *testing.T) {
	b := bank.New(bank.Options{})
	b.Charge(0, req("A", 100), bank.Payer{PayAfter: 20 * s})
	b.Charge(s, req("A", 100), bank.Payer{})
	b.Settle(20 * s)
	if b.Captures("A") != 2 || b.Net("A") != 200 {
		t.Fatalf("captures %d, net %v: the judge would not see a double charge", b.Captures("A"), b.Net("A"))
	}
}

func TestCancel(t *testing.T) {
	b := bank.New(bank.Options{})
	b.Charge(0, req("open", 100), bank.Payer{PayAfter: 20 * s})
	b.Charge(0, req("paid", 100), bank.Payer{})
	for range 2 {
		if got := b.Cancel(s, "open"); got != (bank.Cancelled{Found: true, Done: true, Action: "close"}) {
			t.Fatalf("open: %+v", got)
		}
		if got := b.Cancel(s, "paid"); got != (bank.Cancelled{Found: true, Done: true, Action: "refund"}) {
			t.Fatalf("paid: %+v", got)
		}
	}
	state(t, b, 100*s, "open", bank.Closed, 0)
	state(t, b, 100*s, "paid", bank.Revoked, 0)
	if got := b.Charge(101*s, req("open", 100), bank.Payer{}); got.Refusal != bank.Dead || b.Net("open") != 0 {
		t.Fatalf("a closed number was charged: %+v", got)
	}
}

func TestCancelOfUnknownNumber(t *testing.T) {
	p2 := bank.New(bank.Options{})
	if got := p2.Cancel(0, "A"); got != (bank.Cancelled{}) {
		t.Fatalf("%+v", got)
	}
	p2.Charge(s, req("A", 100), bank.Payer{})
	state(t, p2, s, "A", bank.Paid, 100)

	p1 := bank.New(bank.Options{CancelTombstones: true})
	if got := p1.Cancel(0, "A"); got != (bank.Cancelled{Done: true, Action: "close"}) {
		t.Fatalf("%+v", got)
	}
	if got := p1.Charge(s, req("A", 100), bank.Payer{}); got.Refusal != bank.Dead {
		t.Fatalf("%+v", got)
	}
	state(t, p1, s, "A", bank.Closed, 0)
}

func TestRefusedCancelDoesNothing(t *testing.T) {
	b := bank.New(bank.Options{RefuseCancel: true})
	b.Charge(0, req("A", 100), bank.Payer{})
	b.Charge(0, req("B", 100), bank.Payer{PayAfter: s})
	for _, no := range []string{"A", "B"} {
		if got := b.Cancel(0, no); got != (bank.Cancelled{Found: true}) {
			t.Errorf("%s: %+v", no, got)
		}
		state(t, b, s, no, bank.Paid, 100)
	}
}

func TestRefunds(t *testing.T) {
	b := bank.New(bank.Options{})
	b.Charge(0, req("A", 100), bank.Payer{})
	b.Charge(0, req("B", 100), bank.Payer{PayAfter: -1})
	for _, c := range []struct {
		no, r string
		sum   platforms.Fen
		want  bank.RefundResult
	}{
		{"none", "r0", 10, bank.RefundResult{}},
		{"B", "r0", 10, bank.RefundResult{Found: true, Refusal: bank.NotPaid}},
		{"A", "r0", 0, bank.RefundResult{Found: true, Refusal: bank.BadSum}},
		{"A", "r0", 101, bank.RefundResult{Found: true, Refusal: bank.Exceeds}},
		{"A", "r1", 30, bank.RefundResult{Found: true, Done: true, Changed: true, Total: 30}},
		{"A", "r1", 30, bank.RefundResult{Found: true, Done: true, Total: 30}},
		{"A", "r1", 31, bank.RefundResult{Found: true, Total: 30, Refusal: bank.NumberTaken}},
		{"B", "r1", 30, bank.RefundResult{Found: true, Refusal: bank.NumberTaken}},
		{"A", "r2", 71, bank.RefundResult{Found: true, Total: 30, Refusal: bank.Exceeds}},
		{"A", "r2", 70, bank.RefundResult{Found: true, Done: true, Changed: true, Total: 100}},
		{"A", "r3", 1, bank.RefundResult{Found: true, Total: 100, Refusal: bank.Exceeds}},
	} {
		if got := b.Refund(s, c.no, c.r, c.sum); got != c.want {
			t.Errorf("%s %s %d: %+v, want %+v", c.no, c.r, c.sum, got, c.want)
		}
	}
	state(t, b, s, "A", bank.Refunded, 0)
}

func TestCancelAfterPartRefundGivesTheRestBack(t *testing.T) {
	b := bank.New(bank.Options{})
	b.Charge(0, req("A", 100), bank.Payer{})
	b.Refund(s, "A", "r1", 30)
	state(t, b, s, "A", bank.Paid, 70)
	b.Cancel(2*s, "A")
	state(t, b, 2*s, "A", bank.Revoked, 0)
}

func TestPresentAndScan(t *testing.T) {
	b := bank.New(bank.Options{})
	if got := b.Scan(0, "A", bank.Payer{}); got != (bank.Trade{}) {
		t.Fatalf("scanned what does not exist: %+v", got)
	}
	b.Present(0, req("A", 100))
	b.Scan(5*s, "A", bank.Payer{PayAfter: 10 * s, Channel: platforms.Alipay})
	b.Scan(6*s, "A", bank.Payer{}) // another phone is faster
	b.Settle(15 * s)
	state(t, b, 15*s, "A", bank.Paid, 100)
	if b.Captures("A") != 1 || b.PayRequests("A") != 0 {
		t.Fatalf("captures %d, asked %d", b.Captures("A"), b.PayRequests("A"))
	}
	b.Present(0, req("B", 100))
	b.Cancel(16*s, "B")
	if got := b.Scan(17*s, "B", bank.Payer{}); got.State != bank.Closed || b.Net("B") != 0 {
		t.Fatalf("%+v", got)
	}
}

func TestClosesItself(t *testing.T) {
	b := bank.New(bank.Options{AutoClose: 45 * s})
	b.Charge(0, req("late", 1), bank.Payer{PayAfter: 50 * s})
	b.Charge(0, req("just", 1), bank.Payer{PayAfter: 45 * s})
	r := req("short", 1)
	r.Timeout = 10 * s
	b.Charge(0, r, bank.Payer{PayAfter: 20 * s})
	state(t, b, 100*s, "late", bank.Closed, 0)
	state(t, b, 100*s, "just", bank.Paid, 1)
	state(t, b, 100*s, "short", bank.Closed, 0)
}

func TestStaleReads(t *testing.T) {
	b := bank.New(bank.Options{StaleReads: 10 * s})
	b.Charge(0, req("A", 100), bank.Payer{PayAfter: 5 * s})
	if _, ok := b.Query(9*s, "A"); ok {
		t.Fatal("a reader 10 s behind saw the trade before it was there")
	}
	if got, _ := b.Query(14*s, "A"); got.State != bank.Unpaid || b.Net("A") != 100 {
		t.Fatalf("%+v", got)
	}
	if got, _ := b.Query(15*s, "A"); got.State != bank.Paid {
		t.Fatalf("%+v", got)
	}
}

func TestTimeNeverRunsBack(t *testing.T) {
	b := bank.New(bank.Options{})
	b.Charge(100*s, req("A", 1), bank.Payer{PayAfter: s})
	b.Settle(102 * s)
	if got := b.Charge(0, req("B", 1), bank.Payer{}); got.PaidAt != 102*s {
		t.Fatalf("paid at %v", got.PaidAt)
	}
}

// TestLedgerRebuildsTheBooks: whatever is done, a bank loaded from the ledger
// answers like the one that wrote it, now and later.
func TestLedgerRebuildsTheBooks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var ledger []bank.Entry
		opts := bank.Options{
			AutoClose:        time.Duration(rapid.IntRange(0, 40).Draw(t, "autoclose")) * s,
			CancelTombstones: rapid.Bool().Draw(t, "tombstones"),
			OnEntry:          func(e bank.Entry) { ledger = append(ledger, e) },
		}
		b := bank.New(opts)
		now := time.Duration(0)
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			now += time.Duration(rapid.IntRange(0, 15).Draw(t, "wait")) * s
			no := rapid.SampledFrom([]string{"A", "B", "C"}).Draw(t, "order")
			p := bank.Payer{PayAfter: time.Duration(rapid.IntRange(-1, 30).Draw(t, "after")) * s, NoMoney: rapid.Bool().Draw(t, "poor")}
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0, 1:
				b.Charge(now, req(no, 100), p)
			case 2:
				b.Present(now, req(no, 100))
			case 3:
				b.Scan(now, no, p)
			case 4:
				b.Cancel(now, no)
			case 5:
				b.Refund(now, no, rapid.SampledFrom([]string{"r1", "r2"}).Draw(t, "r"), platforms.Fen(rapid.IntRange(1, 100).Draw(t, "sum")))
			}
		}
		wire, err := json.Marshal(ledger)
		if err != nil {
			t.Fatal(err)
		}
		var back []bank.Entry
		if err := json.Unmarshal(wire, &back); err != nil {
			t.Fatal(err)
		}
		opts.OnEntry = nil
		loaded := bank.Load(opts, back)
		for _, at := range []time.Duration{now, now + 100*s} {
			b.Settle(at)
			loaded.Settle(at)
			if x, y := b.Trades(), loaded.Trades(); !reflect.DeepEqual(x, y) {
				t.Fatalf("at %v\n%+v\n%+v", at, x, y)
			}
			for _, no := range []string{"A", "B", "C"} {
				if b.Net(no) != loaded.Net(no) || b.Captures(no) != loaded.Captures(no) || b.PayRequests(no) != loaded.PayRequests(no) {
					t.Fatalf("%s differs after loading", no)
				}
				if b.Cancel(at, no) != loaded.Cancel(at, no) {
					t.Fatalf("%s is cancelled differently after loading", no)
				}
			}
		}
		var moved platforms.Fen
		for _, e := range ledger {
			switch e.Kind {
			case "paid":
				moved += e.Sum
			case "revoked", "refunded":
				moved -= e.Sum
			}
		}
		var net platforms.Fen
		for _, no := range []string{"A", "B", "C"} {
			net += b.Net(no)
		}
		if net != moved {
			t.Fatalf("the ledger moved %v, the payers are out of %v", moved, net)
		}
	})
}

func TestSettleTellsEntriesInOrderOfTime(t *testing.T) {
	var at []time.Duration
	b := bank.New(bank.Options{AutoClose: 25 * s, OnEntry: func(e bank.Entry) { at = append(at, e.At) }})
	for i := range 20 {
		b.Charge(0, req(fmt.Sprint(i), 1), bank.Payer{PayAfter: time.Duration(30-i) * s})
	}
	b.Settle(100 * s)
	for i := 1; i < len(at); i++ {
		if at[i] < at[i-1] {
			t.Fatalf("entry %d at %v after %v", i, at[i], at[i-1])
		}
	}
	if len(at) != 60 {
		t.Fatalf("%d entries, want created, asked and an end for each of 20", len(at))
	}
}

func TestSettleTakesOlderTradesFirst(t *testing.T) {
	var paid []string
	b := bank.New(bank.Options{OnEntry: func(e bank.Entry) {
		if e.Kind == "paid" {
			paid = append(paid, e.Trade.OrderNo)
		}
	}})
	for _, no := range []string{"C", "A", "D", "B"} {
		b.Charge(0, req(no, 1), bank.Payer{PayAfter: s})
	}
	b.Settle(s)
	if !slices.Equal(paid, []string{"C", "A", "D", "B"}) {
		t.Fatalf("paid in the order %v", paid)
	}
}

func TestLoadKeepsPromises(t *testing.T) {
	var ledger []bank.Entry
	opts := bank.Options{CancelTombstones: true, OnEntry: func(e bank.Entry) { ledger = append(ledger, e) }}
	b := bank.New(opts)
	b.Cancel(0, "dead")
	b.Charge(0, req("A", 100), bank.Payer{})
	b.Refund(0, "A", "r1", 30)
	opts.OnEntry = nil
	loaded := bank.Load(opts, ledger)
	if got := loaded.Charge(s, req("dead", 100), bank.Payer{}); got.Refusal != bank.Dead || loaded.Net("dead") != 0 {
		t.Errorf("a number that was closed for ever is charged: %+v", got)
	}
	if got := loaded.Refund(s, "A", "r1", 30); got != (bank.RefundResult{Found: true, Done: true, Total: 30}) {
		t.Errorf("a refund that was made is made again: %+v", got)
	}
}

func TestManyAtOnce(t *testing.T) {
	b := bank.New(bank.Options{})
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			no := fmt.Sprint(i % 4)
			b.Charge(0, req(no, 100), bank.Payer{})
			b.Query(0, no)
			b.Refund(0, no, "r"+no, 10)
			b.Trades()
		})
	}
	wg.Wait()
	for i := range 4 {
		if no := fmt.Sprint(i); b.Captures(no) != 1 || b.Net(no) != 90 || b.PayRequests(no) != 4 {
			t.Errorf("%s: captures %d, net %v, asked %d", no, b.Captures(no), b.Net(no), b.PayRequests(no))
		}
	}
}

func TestScripts(t *testing.T) {
	plain := "134567890123456789"
	for n := range platforms.Fen(90) {
		if got := bank.ScriptFor(100+n, plain); got.Payer != (bank.Payer{Channel: platforms.WeChat}) || got.Faults != nil {
			t.Fatalf("%d: %+v", n, got)
		}
	}
	w := bank.Payer{Channel: platforms.WeChat}
	for n, want := range map[int]bank.Script{
		90: {Payer: bank.Payer{PayAfter: 20 * s, Channel: platforms.WeChat}},
		91: {Payer: w, Faults: map[string]bank.Fault{"charge": "lose_reply"}},
		92: {Payer: bank.Payer{PayAfter: 50 * s, Channel: platforms.WeChat}},
		93: {Payer: bank.Payer{PayAfter: -1, Channel: platforms.WeChat}},
		94: {Payer: bank.Payer{NoMoney: true, Channel: platforms.WeChat}},
		95: {Payer: w, Sticky: true, Faults: map[string]bank.Fault{"charge": "wrong_amount", "query": "wrong_amount"}},
		96: {Payer: w, Faults: map[string]bank.Fault{"charge": "http_500_after"}},
		97: {Payer: w, Faults: map[string]bank.Fault{"charge": "garbage"}},
		98: {Payer: w, Faults: map[string]bank.Fault{"charge": "lose_request"}},
		99: {Payer: bank.Payer{BadCode: true, Channel: platforms.WeChat}},
	} {
		if got := bank.ScriptFor(platforms.Fen(1200+n), plain); !reflect.DeepEqual(got, want) {
			t.Errorf("amount …%d: %+v, want %+v", n, got, want)
		}
		if got := bank.ScriptFor(1200, bank.MagicCode(platforms.WeChat, n)); !reflect.DeepEqual(got, want) {
			t.Errorf("code %d: %+v, want %+v", n, got, want)
		}
	}
}

func TestMagicCodesBelongToTheirWallet(t *testing.T) {
	for _, c := range []platforms.Channel{platforms.WeChat, platforms.Alipay, platforms.UnionPay, platforms.ECNY} {
		for n := range 100 {
			if got := platforms.DefaultRules().Recognise(bank.MagicCode(c, n), ""); !got.Payable || got.Channel != c {
				t.Errorf("the magic code %d of %s is not taken for a payment code: %+v", n, c, got)
			}
		}
		code := bank.MagicCode(c, 92)
		if got := bank.ScriptFor(100, code).Payer; got.Channel != c || got.PayAfter != 50*s {
			t.Errorf("%s %s: %+v", c, code, got)
		}
	}
	if got := bank.ScriptFor(100, "x").Payer.Channel; got != "" {
		t.Errorf("junk belongs to %q", got)
	}
}

func TestFaultsAreUsedUpUnlessSticky(t *testing.T) {
	once := bank.ScriptFor(191, "")
	if a, b := once.Take(bank.OpCharge), once.Take(bank.OpCharge); a != bank.LoseReply || b != bank.NoFault {
		t.Errorf("%q then %q", a, b)
	}
	sticky := bank.ScriptFor(195, "")
	for range 3 {
		if got := sticky.Take(bank.OpQuery); got != bank.WrongAmount {
			t.Errorf("%q", got)
		}
	}
}
