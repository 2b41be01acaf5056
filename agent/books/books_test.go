package books_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent"
	"payagent/agent/agenttest"
	"payagent/agent/books"
	"payagent/agent/config"
	"payagent/agent/order"
	"payagent/platforms"
	"payagent/queue/mem"
)

func world(t *testing.T, log *mem.Log) *agenttest.World {
	return agenttest.Start(t, agenttest.Options{Log: log, Config: func(c *config.Config) { c.Booking.Expect = true }})
}

func rows(t *testing.T, b *books.Books, q platforms.TradeQuery) []string {
	t.Helper()
	var list []string
	err := b.Trades(context.Background(), q, func(x platforms.Trade) error {
		list = append(list, fmt.Sprintf("%s %d %t %s %s %s %s %s", x.OutTradeNo, x.Amount, x.Refunded, x.CardNo.Reveal(), x.PatientName.Reveal(), x.CostType, x.Channel, x.TradeNo))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// span is everything from the world's beginning to now.
func span(begin time.Time) platforms.TradeQuery {
	return platforms.TradeQuery{From: begin, To: time.Now()}
}

func TestTrades(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		w := world(t, mem.Open(&mem.Disk{}))
		b := books.New(w.Agent)
		person := platforms.Patient{Name: platforms.Hide("张三"), CardNo: platforms.Hide("C1")}
		one := w.Take(t, agenttest.Payment{Till: agenttest.W1, No: "MZ1", Fen: 12850, Patient: person})
		time.Sleep(time.Minute)
		w.Take(t, agenttest.Payment{Till: agenttest.W2, No: "ZY2", Fen: 100, Channel: platforms.Alipay, Patient: platforms.Patient{AdmissionNo: platforms.Hide("A2")}})
		if got := rows(t, b, span(begin)); len(got) != 0 {
			t.Fatalf("nothing was booked: %q", got)
		}
		unbooked := span(begin)
		unbooked.IncludeUnbooked = true
		if got := rows(t, b, unbooked); len(got) != 2 || got[0] != "MZ1 12850 false C1 张三 TREATMENT wechat TMZ1" {
			t.Fatalf("%q", got)
		}
		w.Book(t, one.No, "F1", "")
		w.Book(t, "ZY2", "F2", "")
		booked := time.Now()
		time.Sleep(17 * time.Hour) // the refund is on another day
		w.GiveBack(t, "MZ1", "R1", 2850, "1002")
		all := []string{"MZ1 12850 false C1 张三 门诊诊疗费 wechat TMZ1", "ZY2 100 false A2  门诊诊疗费 alipay TZY2"}
		if got := rows(t, b, span(begin)); !slices.Equal(got, all) {
			t.Fatalf("a refund that HIS did not book: %q", got)
		}
		w.Book(t, "MZ1", "TF1", "R1")
		back := "MZ1 2850 true C1 张三 门诊诊疗费 wechat TMZ1"
		if got := rows(t, b, span(begin)); !slices.Equal(got, append(slices.Clone(all), back)) {
			t.Fatalf("%q", got)
		}
		// Both ends count; a wallet chooses.
		for name, tc := range map[string]struct {
			q    platforms.TradeQuery
			want []string
		}{
			"the second of the booking":  {platforms.TradeQuery{From: booked, To: booked}, all},
			"until the moment before":    {platforms.TradeQuery{From: begin, To: booked.Add(-time.Millisecond)}, nil},
			"alipay":                     {platforms.TradeQuery{From: begin, To: time.Now(), Channel: platforms.Alipay}, all[1:]},
			"the day of the refund":      {platforms.TradeQuery{From: time.Now().Add(-time.Hour), To: time.Now()}, []string{back}},
			"from noon to the next noon": {platforms.TradeQuery{From: booked.Add(-time.Hour), To: booked.Add(23 * time.Hour)}, append(slices.Clone(all), back)},
			"backwards":                  {platforms.TradeQuery{From: time.Now(), To: begin}, nil},
		} {
			if got := rows(t, b, tc.q); !slices.Equal(got, tc.want) {
				t.Errorf("%s: %q", name, got)
			}
		}
	})
}

// HIS's clock decides on which day a row stands, even if HIS told it days later.
func TestBookedLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		w := world(t, mem.Open(&mem.Disk{}))
		w.Take(t, agenttest.Payment{Till: agenttest.W1, No: "MZ1", Fen: 100})
		time.Sleep(17 * time.Hour)
		at := time.Now()
		time.Sleep(25 * time.Hour)
		reply, err := w.Agent.Book(context.Background(), "MZ1", agent.Booking{Booked: true, FlowID: "F1", At: at})
		if err != nil || reply.Code != "done" {
			t.Fatalf("%q %v", reply.Code, err)
		}
		got := rows(t, books.New(w.Agent), platforms.TradeQuery{From: at.Add(-time.Second), To: at.Add(time.Second)})
		if len(got) != 1 {
			t.Fatalf("%q", got)
		}
		if got := rows(t, books.New(w.Agent), span(begin)); len(got) != 1 {
			t.Fatalf("once over all days: %q", got)
		}
	})
}

// forgetful is a journal whose patients' keys were thrown away.
type forgetful struct{ *agent.Agent }

func (forgetful) Patient(*order.Order) (platforms.Patient, error) { return platforms.Patient{}, nil }
func (forgetful) MedicalCard(*order.Order) platforms.Hidden       { return platforms.Hidden{} }

// After the keys of 35 days are gone the rows still appear, without the person.
func TestForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		w := world(t, mem.Open(&mem.Disk{}))
		w.Take(t, agenttest.Payment{Till: agenttest.W1, No: "MZ1", Fen: 100, Patient: platforms.Patient{Name: platforms.Hide("张三"), CardNo: platforms.Hide("C1")}})
		w.Book(t, "MZ1", "F1", "")
		b := books.New(forgetful{w.Agent})
		if got := rows(t, b, span(begin)); len(got) != 1 || got[0] != "MZ1 100 false   门诊诊疗费 wechat TMZ1" {
			t.Fatalf("%q", got)
		}
		o, err := b.Order(context.Background(), "MZ1")
		if err != nil || !o.MedicalCard.Empty() || len(o.Entries) != 1 {
			t.Fatalf("%+v %v", o, err)
		}
	})
}

func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world(t, mem.Open(&mem.Disk{}))
		b := books.New(w.Agent)
		w.Take(t, agenttest.Payment{Till: agenttest.W1, No: "MZ1", Fen: 10000})
		for _, no := range []string{"MZ1", "none", "", "note:x"} {
			if _, err := b.Order(context.Background(), no); !errors.Is(err, platforms.ErrNoOrder) {
				t.Errorf("%q: %v", no, err)
			}
		}
		w.Book(t, "MZ1", "2022010101010100001", "")
		time.Sleep(time.Hour)
		w.GiveBack(t, "MZ1", "R1", 5000, "1002")
		if o, err := b.Order(context.Background(), "MZ1"); err != nil || len(o.Entries) != 1 {
			t.Errorf("a refund that HIS did not book: %+v %v", o, err)
		}
		w.Book(t, "MZ1", "T2022010101010100001", "R1")
		o, err := b.Order(context.Background(), "MZ1")
		if err != nil {
			t.Fatal(err)
		}
		if o.TradeNo != "TMZ1" || o.OutTradeNo != "MZ1" || o.MedicalCard.Reveal() != "MCMZ1" || len(o.Entries) != 2 ||
			o.Entries[0].FlowID != "2022010101010100001" || o.Entries[0].Amount != 10000 || o.Entries[0].Channel != platforms.WeChat ||
			o.Entries[1].FlowID != "T2022010101010100001" || o.Entries[1].Amount != -5000 || !o.Entries[1].At.After(o.Entries[0].At) {
			t.Fatalf("%+v", o)
		}
	})
}

// broken is a journal that fails in one place.
type broken struct {
	*agent.Agent
	day, order, patient error
}

func (b broken) OnDay(ctx context.Context, key string, yield func(*order.Order) error) error {
	if b.day != nil {
		return b.day
	}
	return b.Agent.OnDay(ctx, key, yield)
}

func (b broken) Order(no string) (*order.Order, error) {
	if b.order != nil {
		return nil, b.order
	}
	return b.Agent.Order(no)
}

func (b broken) Patient(o *order.Order) (platforms.Patient, error) {
	if b.patient != nil {
		return platforms.Patient{}, b.patient
	}
	return b.Agent.Patient(o)
}

// A failure is an error, never "no transactions".
func TestFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		w := world(t, mem.Open(&mem.Disk{}))
		w.Take(t, agenttest.Payment{Till: agenttest.W1, No: "MZ1", Fen: 100})
		w.Book(t, "MZ1", "F1", "")
		sick := errors.New("sick")
		gone := errors.New("the reader left")
		for _, j := range []broken{{day: sick}, {order: sick}, {patient: sick}} {
			j.Agent = w.Agent
			if err := books.New(j).Trades(context.Background(), span(begin), func(platforms.Trade) error { return nil }); !errors.Is(err, sick) {
				t.Errorf("%+v: %v", j, err)
			}
			if j.day != nil {
				continue
			}
			if _, err := books.New(j).Order(context.Background(), "MZ1"); !errors.Is(err, sick) {
				t.Errorf("%+v: %v", j, err)
			}
		}
		b := books.New(w.Agent)
		if err := b.Trades(context.Background(), span(begin), func(platforms.Trade) error { return gone }); !errors.Is(err, gone) {
			t.Error(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		stop()
		if err := b.Trades(ctx, span(begin), func(platforms.Trade) error { return nil }); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		var field *platforms.FieldError
		if err := b.Trades(context.Background(), platforms.TradeQuery{To: time.Now()}, nil); !errors.As(err, &field) {
			t.Error(err)
		}
	})
}

// pruned is a journal that kept nothing from before a time.
type pruned struct {
	*agent.Agent
	since time.Time
}

func (p pruned) KeptSince() (time.Time, error) { return p.since, nil }

// What was dropped is not told as if nothing had been booked.
func TestDroppedIsNoEmptyList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		w := world(t, mem.Open(&mem.Disk{}))
		b := books.New(pruned{w.Agent, begin})
		var field *platforms.FieldError
		q := platforms.TradeQuery{From: begin.Add(-time.Second), To: time.Now()}
		if err := b.Trades(t.Context(), q, func(platforms.Trade) error { return nil }); !errors.As(err, &field) || field.Field != "BeginDate" {
			t.Errorf("%v", err)
		}
		if err := b.Trades(t.Context(), span(begin), func(platforms.Trade) error { return nil }); err != nil {
			t.Error(err)
		}
		if since, err := w.Agent.KeptSince(); err != nil || !since.IsZero() {
			t.Errorf("nothing was dropped: %v %v", since, err)
		}
	})
}
