package bench

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"payagent/agent"
	"payagent/agent/config"
	"payagent/agent/finance"
	"payagent/agent/order"
	"payagent/agent/reconcile"
	"payagent/agent/seal"
	"payagent/platforms"
	"payagent/platforms/bank"
	"payagent/platforms/fwc"
	"payagent/platforms/fwc/fwctest"
	"payagent/queue"
	"payagent/queue/bolt"
	"payagent/uplink/https"
)

var dayOrders = flag.Int("day-orders", 500, "orders of the day that is reconciled")

// TestReconcileDay compares a day order by order with a platform behind a real
// socket, and prints how long that takes and how it stands to reading the
// journal alone. The requirement is 10,000 orders in 30 seconds (ORD-13):
//
//	go test ./agent/bench -run ReconcileDay -v -day-orders 10000
func TestReconcileDay(t *testing.T) {
	books := bank.New(bank.Options{})
	srv := httptest.NewServer(fwctest.Handler(books, fwctest.Options{}))
	t.Cleanup(srv.Close)
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "fwc.token"), []byte(fwctest.Token), 0o600))
	conf, err := config.Parse("bench", []byte(fmt.Sprintf(`
site: {hospital_id: %q, name: bench, test: true}
data_dir: %s
booking: {expect: true}
platforms: [{name: fwc, driver: fwc, url: "%s/linkingif.asmx", allow_plain_http: true}]
merchants: [{profile: m, platform: fwc, token_file: %s/fwc.token}]
routes: [{merchant: m}]
tills: [{name: w0, kind: counter, device_no: "W0", operator: {id: "1", name: Bench}}]
`, fwctest.HospitalID, dir, srv.URL, dir)))
	must(t, err)
	way, err := https.New(https.Config{BaseURL: srv.URL, AllowPlainHTTP: true})
	must(t, err)
	t.Cleanup(func() { _ = way.Close() })
	platform, err := fwc.New(way, fwc.Config{Endpoint: srv.URL + "/linkingif.asmx", HospitalID: fwctest.HospitalID,
		Token: func(string) (platforms.Hidden, error) { return platforms.Hide(fwctest.Token), nil }, ProbeProfile: "m"})
	must(t, err)
	store, _, err := bolt.Open(filepath.Join(dir, "store"), bolt.Options{Writer: 1})
	must(t, err)
	t.Cleanup(func() { _ = store.Close() })
	box, err := seal.Open(filepath.Join(dir, "keys"), nil)
	must(t, err)
	day := time.Now()
	fillDay(t, store, books, day, *dayOrders)
	a, err := agent.New(agent.Parts{Config: conf, Log: store, Box: box, Clock: agent.NewSystemClock(), Platforms: map[string]platforms.Platform{"fwc": platform}})
	must(t, err)

	begin := time.Now()
	n := 0
	must(t, a.OnDay(context.Background(), agent.DayKey(day), func(*order.Order) error { n++; return nil }))
	alone := time.Since(begin)
	begin = time.Now()
	rows := 0
	totals, err := finance.Reconcile(context.Background(), a, finance.DayOptions{Day: day}, func(reconcile.Row) error { rows++; return nil })
	took := time.Since(begin)
	must(t, err)
	t.Logf("%d orders: journal read alone %v, compared three ways %v (%.1f times that, %.0f orders a second)", n, alone, took, float64(took)/float64(alone), float64(rows)/took.Seconds())
	want := map[reconcile.Class]int{}
	for i := range *dayOrders {
		want[classOf(i)]++
	}
	for _, c := range reconcile.Classes() {
		if totals.Classes[c].Count != want[c] {
			t.Errorf("%d orders are %s, want %d", totals.Classes[c].Count, c, want[c])
		}
	}
}

// classOf says what order i of the day is made to be: one in a hundred was
// never booked, one in a hundred is not with the platform.
func classOf(i int) reconcile.Class {
	switch i % 100 {
	case 7:
		return reconcile.Long
	case 77:
		return reconcile.Short
	}
	return reconcile.Equal
}

// fillDay writes a day's orders as the agent would, and lets the platform know
// them.
func fillDay(t *testing.T, store queue.Log, books *bank.Bank, day time.Time, orders int) {
	t.Helper()
	key := []string{agent.DayKey(day)}
	at := order.Instant{Wall: day.UnixMilli(), Boot: "b", Mono: 1}
	var b queue.Batch
	for i := range orders {
		no, sum := fmt.Sprintf("MZ%08d", i), platforms.Fen(100+i)
		facts := []order.Fact{
			{Kind: order.KindCreated, Created: &order.Created{Bill: no, Amount: sum, Mode: platforms.ModeCharge, Till: "w0", TillKind: "counter", Terminal: "W0", Platform: "fwc",
				Merchant: platforms.Merchant{Profile: "m"}, Channel: platforms.WeChat, OrderType: "TREATMENT", Operator: platforms.Operator{ID: "1", Name: "Bench"}, Books: &order.BookTerms{}}},
			{Kind: order.KindSent, Sent: &order.Sent{Verb: order.VerbCharge, Channel: platforms.WeChat}},
			{Kind: order.KindAnswered, Answer: &order.Reply{Verb: order.VerbQuery, Status: platforms.Paid.String(), TradeNo: "T" + no, Amount: &sum, Channel: platforms.WeChat, PaidAt: day.UnixMilli()}},
		}
		if classOf(i) != reconcile.Long {
			facts = append(facts, order.Fact{Kind: order.KindBooked, Booked: &order.Booked{OK: true, FlowID: "F" + no, At: day.UnixMilli()}})
		}
		if classOf(i) != reconcile.Short {
			books.Charge(0, bank.Request{OrderNo: no, Amount: sum, Channel: platforms.WeChat}, bank.Payer{})
		}
		for _, f := range facts {
			f.Order, f.At = no, at
			data, err := json.Marshal(f)
			must(t, err)
			r := queue.Record{Stream: no, Data: data}
			if f.Kind != order.KindSent {
				r.Keys = key
			}
			b.Records = append(b.Records, r)
		}
		if b.Close = append(b.Close, no); len(b.Records) > queue.MaxRecords-8 || i == orders-1 {
			_, err := store.Append(context.Background(), b)
			must(t, err)
			b = queue.Batch{}
		}
	}
}
