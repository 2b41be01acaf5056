package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"payagent/agent/config"
	"payagent/platforms/bank"
	"payagent/platforms/fwc/fwctest"
)

// TestTraceparent: where it is configured the platform is told the trace of each
// order, and that of the order alone; else it sees no such header.
func TestTraceparent(t *testing.T) {
	for _, told := range []bool{false, true} {
		var mu sync.Mutex
		calls, seen := 0, map[string]int{} // by trace
		platform := fwctest.Handler(bank.New(bank.Options{}), fwctest.Options{})
		about := make(chan struct{}, 100) // calls about the order
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			calls++
			if h := strings.Split(r.Header.Get("Traceparent"), "-"); len(h) == 4 {
				seen[h[1]]++
			}
			mu.Unlock()
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			platform.ServeHTTP(w, r)
			if bytes.Contains(body, []byte("TRACED1")) {
				about <- struct{}{}
			}
		}))
		file, address := site(t)
		c, err := config.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		change := []string{addressOf(c.Platforms[0].URL), s.URL}
		if told {
			change = append(change, "allow_plain_http: true", "allow_plain_http: true, traceparent: true")
		}
		rewrite(t, file, change...)
		stop := startSite(t, file)
		o := post(t, file, address, "/v1/orders", "k1", map[string]any{"bill": "B1", "out_trade_no": "TRACED1", "subject": "test", "amount_fen": 100, "mode": "present", "aggregated": true, "order_type": "TREATMENT", "till": "w1",
			"operator": map[string]any{"id": "1001", "name": "王收费"}, "patient": map[string]any{"name": "张三丰", "card_no": "C1", "card_type": "medical_card", "admission_no": "A1"}})
		trace, _ := o["trace_id"].(string)
		if len(trace) != 32 {
			t.Fatalf("the order has the trace %q", trace)
		}
		select {
		case <-about:
		case <-time.After(2 * time.Minute):
			t.Error("the platform was not asked")
		}
		stop()
		s.Close()
		mu.Lock()
		if calls == 0 || told != (seen[trace] > 0) || len(seen) > 1 || !told && len(seen) > 0 {
			t.Errorf("told %v: %d calls, %v", told, calls, seen)
		}
		mu.Unlock()
	}
}
