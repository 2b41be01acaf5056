package finance_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent"
	"payagent/agent/agenttest"
	"payagent/agent/config"
	"payagent/agent/counter"
	"payagent/agent/finance"
	"payagent/agent/order"
	"payagent/agent/reconcile"
	"payagent/platforms"
	"payagent/queue"
	"payagent/queue/mem"
)

// inBubble runs a scenario with a running agent in virtual time.
func inBubble(t *testing.T, run func(t *testing.T, w *agenttest.World)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := agenttest.Start(t, agenttest.Options{Log: mem.Open(&mem.Disk{}), Config: func(c *config.Config) { c.Booking.Expect = true }})
		synctest.Wait()
		run(t, w)
	})
}

func today(a *agent.Agent) finance.Query {
	day := time.UnixMilli(a.Now().Wall)
	from, to, _ := finance.Day(day.In(time.FixedZone("UTC+8", 8*3600)).Format("2006-01-02"))
	return finance.Query{From: from, To: to}
}

func make1(t *testing.T, a *agent.Agent, q finance.Query) finance.Report {
	t.Helper()
	r, err := finance.Make(context.Background(), a, q)
	if err != nil {
		t.Fatal(err)
	}
	// Whatever is reported adds up.
	for name, groups := range map[string][]finance.Group{"channels": r.Channels, "businesses": r.Businesses, "tills": r.Tills, "operators": r.Operators} {
		var sum finance.Sums
		for _, g := range groups {
			sum.Payments.Count += g.Payments.Count
			sum.Payments.Fen += g.Payments.Fen
			sum.Net += g.Net
		}
		if sum.Net != r.Total.Net || sum.Payments != r.Total.Payments {
			t.Errorf("the %s add up to %+v, not %+v", name, sum, r.Total)
		}
	}
	if got := r.Total.Payments.Fen - r.Total.Refunds.Fen - r.Total.Reversals.Fen; got != r.Total.Net {
		t.Errorf("net is %d, not %d", r.Total.Net, got)
	}
	return r
}

func TestReport(t *testing.T) {
	inBubble(t, func(t *testing.T, w *agenttest.World) {
		a := w.Agent
		w.Take(t, agenttest.Payment{Till: agenttest.W1, No: "MZ1", Fen: 10000, By: "1001"})
		w.Book(t, "MZ1", "F1", "")
		w.Take(t, agenttest.Payment{Till: agenttest.W1, No: "ZY2", Fen: 500, By: "1001", Channel: platforms.Alipay})
		w.Take(t, agenttest.Payment{Till: agenttest.W2, No: "MZ3", Fen: 30, By: "1002"})
		w.Take(t, agenttest.Payment{Till: agenttest.K1, No: "ZJMZ4", Fen: 2})
		w.Take(t, agenttest.Payment{Till: agenttest.K1, No: "ZHZY5", Fen: 1})
		w.Take(t, agenttest.Payment{Till: agenttest.W1, No: "X6", Fen: 7, Type: "DEPOSIT", By: "1001"}) // HIS's own number
		time.Sleep(2 * time.Minute)
		// HIS says that it could not book MZ3: the money goes back by itself.
		if reply, err := a.Book(context.Background(), "MZ3", agent.Booking{Reason: "no bed"}); err != nil || reply.Code != counter.CodeDone {
			t.Fatalf("%q %v", reply.Code, err)
		}
		w.Until(t, "MZ3", func(o *order.Order) bool { return o.FullyReversed() })
		w.GiveBack(t, "MZ1", "R1", 2500, "1002") // another operator gives back
		// One waits for its payer, one is in doubt, one refund has no outcome.
		for _, b := range w.Banks {
			b.OnCharge(nil)
		}
		ask := func(no, code string) {
			t.Helper()
			r, err := a.Collect(context.Background(), agent.Request{Key: platforms.Hide(no), Body: platforms.Hide(no), OrderNo: no, Bill: no, Amount: 900, Mode: platforms.ModeCharge,
				OrderType: "TREATMENT", Till: agenttest.W2, AuthCode: platforms.Hide(code), Subject: "x"})
			if err != nil || r.Order == nil {
				t.Fatalf("%q %v", r.Code, err)
			}
		}
		ask("MZ7", "139999999999999999")
		w.Until(t, "MZ7", func(o *order.Order) bool { return o.State() == order.Paying })
		w.Banks[agenttest.Full].HoldRefunds(true)
		reply, err := a.Refund(context.Background(), "ZY2", agent.RefundRequest{Key: platforms.Hide("r2"), Body: platforms.Hide("r2"), Request: "R2", Sum: 100, Operator: platforms.Operator{ID: "1001"}})
		if err != nil || reply.Code != counter.CodeAccepted {
			t.Fatalf("%q %v", reply.Code, err)
		}

		r := make1(t, a, today(a))
		count := func(n int, fen platforms.Fen) finance.Count { return finance.Count{Count: n, Fen: fen} }
		want := finance.Sums{Payments: count(6, 10540), Refunds: count(1, 2500), Reversals: count(1, 30), Unknown: count(2, 1000), Unbooked: count(4, 510), Net: 8010}
		if r.Total != want {
			t.Errorf("total %+v\nwant  %+v", r.Total, want)
		}
		groups := func(list []finance.Group) string {
			var s []string
			for _, g := range list {
				s = append(s, fmt.Sprintf("%s %d", g.Text.ZH, g.Net))
			}
			return strings.Join(s, ", ")
		}
		if got := groups(r.Channels); got != "当面付-微信 7510, 当面付-支付宝 500" {
			t.Errorf("channels %s", got)
		}
		slices.SortFunc(r.Businesses, func(x, y finance.Group) int { return strings.Compare(x.Code, y.Code) })
		if got := groups(r.Businesses); got != "住院 507, 自助机住院 1, 自助机门诊 2, 门诊 7500" {
			t.Errorf("businesses %s", got)
		}
		if got := groups(r.Tills); !strings.Contains(got, "1号自助机 3") || !strings.Contains(got, "2号窗口 0") {
			t.Errorf("tills %s", got)
		}
		var why []string
		for _, o := range r.Open {
			why = append(why, o.OutTradeNo+" "+o.Why)
		}
		slices.Sort(why)
		if got := strings.Join(why, ", "); got != "MZ7 unknown, X6 unbooked, ZHZY5 unbooked, ZJMZ4 unbooked, ZY2 refund_unknown, ZY2 unbooked" {
			t.Errorf("open %s", got)
		}
		q := today(a)
		q.Operator = "1002"
		if r := make1(t, a, q); r.Total.Net != -2500 || r.Total.Payments != count(1, 30) || r.Total.Refunds != count(1, 2500) || r.Total.Reversals != count(1, 30) {
			t.Errorf("operator 1002: %+v", r.Total)
		}
		q = today(a)
		q.Till = agenttest.K1
		if r := make1(t, a, q); r.Total.Net != 3 || len(r.Tills) != 1 {
			t.Errorf("till k1: %+v", r.Total)
		}
		q = today(a)
		q.From, q.To = q.From.AddDate(0, 0, -3), q.From
		if r := make1(t, a, q); r.Total != (finance.Sums{}) || len(r.Channels) != 2 {
			t.Errorf("the days before: %+v", r.Total)
		}
		q.To = q.From
		if _, err := finance.Make(context.Background(), a, q); !errors.Is(err, finance.ErrSpan) {
			t.Errorf("no time: %v", err)
		}
	})
}

// A shift's payments are counted in one shift each, whenever it is closed.
func TestShiftsMeet(t *testing.T) {
	inBubble(t, func(t *testing.T, w *agenttest.World) {
		shifts := finance.NewShifts(w.Agent)
		op := platforms.Operator{ID: "1001", Name: "王收费"}
		ctx := context.Background()
		var sum platforms.Fen
		n := 0
		for range 4 {
			s, fresh, err := shifts.Open(ctx, agenttest.W1, op, "his")
			if err != nil || !fresh {
				t.Fatalf("%t %v", fresh, err)
			}
			for range 3 {
				n++
				w.Take(t, agenttest.Payment{Till: agenttest.W1, No: fmt.Sprintf("MZ%d", n), Fen: platforms.Fen(n), By: "1001"})
			}
			time.Sleep(time.Millisecond)
			done, err := shifts.Close(ctx, s.ID, platforms.Operator{}, "his")
			if err != nil || done.Open() || done.ClosedBy.ID != "1001" {
				t.Fatalf("%+v %v", done, err)
			}
			sum += done.Report.Total.Net
		}
		if sum != platforms.Fen(n*(n+1)/2) {
			t.Errorf("the shifts add up to %d, not %d", sum, n*(n+1)/2)
		}
		list, err := shifts.On(time.Now())
		if err != nil || len(list) != 4 {
			t.Fatalf("%d shifts, %v", len(list), err)
		}
		// After a restart they are the same.
		again, err := finance.NewShifts(w.Agent).On(time.Now())
		a, _ := json.Marshal(list)
		b, _ := json.Marshal(again)
		if err != nil || string(a) != string(b) {
			t.Errorf("%v\n%s\n%s", err, a, b)
		}
	})
}

// slowLog takes its time to make a record durable.
type slowLog struct{ *mem.Log }

func (l slowLog) Append(ctx context.Context, b queue.Batch) (queue.Seq, error) {
	time.Sleep(300 * time.Millisecond)
	return l.Log.Append(ctx, b)
}

// A payment that was stamped before the shift was closed, and is not on disk
// yet, belongs to the shift.
func TestShiftWaitsForTheDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := agenttest.Start(t, agenttest.Options{Log: slowLog{mem.Open(&mem.Disk{})}})
		synctest.Wait()
		shifts := finance.NewShifts(w.Agent)
		s, _, err := shifts.Open(context.Background(), "", platforms.Operator{ID: "1001"}, "his")
		if err != nil {
			t.Fatal(err)
		}
		answered := make(chan struct{})
		for _, b := range w.Banks {
			b.OnCharge(func(c platforms.Charge) (platforms.Answer, error) {
				close(answered)
				return agenttest.PaidAnswer(c.Ref, c.Channel), nil
			})
		}
		_, err = w.Agent.Collect(context.Background(), agent.Request{Key: platforms.Hide("k"), Body: platforms.Hide("k"), OrderNo: "MZ1", Bill: "B", Amount: 5, Mode: platforms.ModeCharge,
			OrderType: "TREATMENT", Till: agenttest.W1, AuthCode: platforms.Hide("130000000000000001"), Subject: "x", Operator: platforms.Operator{ID: "1001", Name: "x"}})
		if err != nil {
			t.Fatal(err)
		}
		<-answered
		synctest.Wait() // stamped, and the disk is at it
		time.Sleep(time.Millisecond)
		if o, err := w.Agent.Order("MZ1"); err != nil || o.State() != order.Paying {
			t.Fatalf("the disk is too fast for this test: %s %v", o.State(), err)
		}
		if s, err = shifts.Close(context.Background(), s.ID, platforms.Operator{}, "his"); err != nil || s.Report.Total.Net != 5 {
			t.Errorf("%+v %v", s.Report.Total, err)
		}
	})
}

// One shift is opened, however many ask at once.
func TestOneShift(t *testing.T) {
	inBubble(t, func(t *testing.T, w *agenttest.World) {
		shifts := finance.NewShifts(w.Agent)
		ids := make([]string, 16)
		var group sync.WaitGroup
		for i := range ids {
			group.Go(func() {
				s, _, err := shifts.Open(context.Background(), "", platforms.Operator{ID: "1001"}, "his")
				if err == nil {
					ids[i] = s.ID
				}
			})
		}
		group.Wait()
		slices.Sort(ids)
		if len(slices.Compact(ids)) != 1 || ids[0] == "" {
			t.Errorf("%v", ids)
		}
	})
}

// A shift that somebody forgot, with more lines than a note takes, can still be
// closed.
func TestBigShift(t *testing.T) {
	inBubble(t, func(t *testing.T, w *agenttest.World) {
		shifts := finance.NewShifts(w.Agent)
		s, _, err := shifts.Open(context.Background(), "", platforms.Operator{ID: "1001"}, "his")
		if err != nil {
			t.Fatal(err)
		}
		for i := range 120 {
			w.Take(t, agenttest.Payment{Till: []string{agenttest.W1, agenttest.W2}[i%2], No: fmt.Sprintf("MZ%d", i), Fen: 1, By: "1001"})
		}
		time.Sleep(time.Second)
		if s, err = shifts.Close(context.Background(), s.ID, platforms.Operator{}, "his"); err != nil || s.Report.Total.Net != 120 || len(s.Report.Open)+s.Report.OpenMore != 120 {
			t.Fatalf("%v: %d of %d and %d", err, s.Report.Total.Net, len(s.Report.Open), s.Report.OpenMore)
		}
	})
}

func compare(t *testing.T, a *agent.Agent, o finance.DayOptions) (map[string]string, reconcile.Totals) {
	t.Helper()
	if o.Day.IsZero() {
		o.Day = time.UnixMilli(a.Now().Wall)
	}
	got := map[string]string{}
	totals, err := finance.Reconcile(context.Background(), a, o, func(r reconcile.Row) error {
		got[r.No] = fmt.Sprintf("%s %d %s/%s/%s", r.Class, r.Diff, r.Journal.State, r.Platform.State, r.HIS.State)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got, totals
}

func TestReconcileDay(t *testing.T) {
	inBubble(t, func(t *testing.T, w *agenttest.World) {
		a, bank := w.Agent, w.Banks[agenttest.Full]
		w.Take(t, agenttest.Payment{Till: agenttest.W1, No: "MZ1", Fen: 10000})
		w.Book(t, "MZ1", "F1", "")
		w.Take(t, agenttest.Payment{Till: agenttest.W1, No: "MZ2", Fen: 500}) // never booked
		w.Take(t, agenttest.Payment{Till: agenttest.W1, No: "MZ3", Fen: 30})  // booked, and closed at the platform behind our back
		w.Book(t, "MZ3", "F3", "")
		if _, err := bank.Cancel(context.Background(), platforms.Ref{OrderNo: "MZ3"}); err != nil {
			t.Fatal(err)
		}
		w.Take(t, agenttest.Payment{Till: agenttest.W2, No: "MZ4", Fen: 40}) // HIS failed, reversed
		if _, err := a.Book(context.Background(), "MZ4", agent.Booking{Reason: "no"}); err != nil {
			t.Fatal(err)
		}
		w.Until(t, "MZ4", func(o *order.Order) bool { return o.FullyReversed() })
		w.Take(t, agenttest.Payment{Till: agenttest.W2, No: "MZ5", Fen: 50})
		w.Book(t, "MZ5", "F5", "")
		w.GiveBack(t, "MZ5", "R5", 20, "1002") // given back, and HIS did not book that
		time.Sleep(time.Second)
		calls := len(bank.Calls("query"))
		got, totals := compare(t, a, finance.DayOptions{})
		want := map[string]string{"MZ1": "equal 0 paid/paid/booked", "MZ2": "long 500 paid/paid/pending", "MZ3": "short -30 paid/closed/booked",
			"MZ4": "equal 0 paid/closed/failed", "MZ5": "amount_differs -20 paid/paid/booked"}
		for no, w := range want {
			if got[no] != w {
				t.Errorf("%s is %q, want %q", no, got[no], w)
			}
		}
		if len(got) != 5 || totals.Platform-totals.Books != 450 {
			t.Errorf("%d rows, %+v", len(got), totals)
		}
		if n := len(bank.Calls("query")) - calls; n != 5 {
			t.Errorf("%d queries for 5 orders", n)
		}
		if alarms := a.Alarms(); len(alarms) == 0 || alarms[len(alarms)-1].Code != finance.AlarmDiffers {
			t.Errorf("alarms %v", alarms)
		}
		// A platform that does not answer is told as such, order by order.
		bank.Cut(true)
		got, totals = compare(t, a, finance.DayOptions{})
		if got["MZ1"] != "unknown 0 paid/no_answer/booked" || totals.Classes[reconcile.Unknown].Count != 5 || totals.Wrong() {
			t.Errorf("%v %+v", got, totals)
		}
		// A statement needs no platform.
		f, err := reconcile.Parse(strings.NewReader("out_trade_no,type,amount_fen\nMZ1,2,10000\nMZ2,2,500\nMZ4,2,40\nMZ4,3,40\nMZ5,2,50\nMZ5,3,20\nMZ9,2,1\n"))
		if err != nil {
			t.Fatal(err)
		}
		got, _ = compare(t, a, finance.DayOptions{Statement: f})
		want["MZ3"], want["MZ4"], want["MZ5"], want["MZ9"] = "short -30 paid/absent/booked", "equal 0 paid/refunded/failed", "amount_differs -20 paid/partly_refunded/booked", "long 1 absent/paid/absent"
		for no, w := range want {
			if got[no] != w {
				t.Errorf("by the statement %s is %q, want %q", no, got[no], w)
			}
		}
		if got, _ := compare(t, a, finance.DayOptions{Day: time.Now().AddDate(0, 0, 1)}); len(got) != 0 {
			t.Errorf("the next day: %v", got)
		}
	})
}

// Rows come in the order of the journal though platforms answer in any, no more
// are asked at once than may be, and a reader that leaves stops the asking.
func TestReconcilePace(t *testing.T) {
	inBubble(t, func(t *testing.T, w *agenttest.World) {
		for i := range 40 {
			w.Take(t, agenttest.Payment{Till: agenttest.W1, No: fmt.Sprintf("MZ%02d", i), Fen: 1})
		}
		bank := w.Banks[agenttest.Full]
		before := len(bank.Calls("query"))
		var got []string
		gone := errors.New("the reader left")
		_, err := finance.Reconcile(context.Background(), w.Agent, finance.DayOptions{Day: time.Now()}, func(r reconcile.Row) error {
			got = append(got, r.No)
			if len(got) == 5 {
				return gone
			}
			return nil
		})
		asked := len(bank.Calls("query")) - before
		if !errors.Is(err, gone) || !slices.IsSorted(got) || asked > 5+2*w.Agent.Config().Finance.ReconcileQueries+2 {
			t.Errorf("%v after %v, %d asked", err, got, asked)
		}
	})
}

func TestDay(t *testing.T) {
	from, to, err := finance.Day("2026-11-22")
	if err != nil || from.UTC().Format(time.RFC3339) != "2026-11-21T16:00:00Z" || to.Sub(from) != 24*time.Hour {
		t.Errorf("%v %v %v", from, to, err)
	}
	for _, bad := range []string{"", "x", "2026-13-01", "2026-11-22T00:00:00Z"} {
		var field *platforms.FieldError
		if _, _, err := finance.Day(bad); !errors.As(err, &field) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
