package door_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent/agenttest"
	"payagent/agent/door"
	"payagent/queue"
	"payagent/queue/mem"
)

// reader is one client of the event stream. What the door writes waits until
// the reader takes it, or until the door's write deadline.
type reader struct {
	r      *rig
	head   http.Header
	status int
	chunks chan string
	dead   time.Time
	left   string
	stop   context.CancelFunc
	gone   <-chan struct{}
	ended  chan struct{}
}

// Header implements http.ResponseWriter.
func (x *reader) Header() http.Header { return x.head }

// WriteHeader implements http.ResponseWriter.
func (x *reader) WriteHeader(status int) { x.status = status }

// Write waits for the reader.
func (x *reader) Write(p []byte) (int, error) {
	fmt.Fprintln(x.r.out, string(p))
	late := time.NewTimer(time.Until(x.dead))
	defer late.Stop()
	select {
	case x.chunks <- string(p):
		return len(p), nil
	case <-late.C:
		return 0, os.ErrDeadlineExceeded
	case <-x.gone: // as a connection that was closed
		return 0, io.ErrClosedPipe
	}
}

// FlushError implements what http.ResponseController looks for.
func (x *reader) FlushError() error { return nil }

// SetWriteDeadline implements what http.ResponseController looks for.
func (x *reader) SetWriteDeadline(t time.Time) error { x.dead = t; return nil }

// SetReadDeadline implements what http.ResponseController looks for.
func (x *reader) SetReadDeadline(time.Time) error { return nil }

type event struct {
	id, name, data string
	order          object
}

// listen opens a stream.
func (r *rig) listen(token, query string, headers ...header) *reader {
	r.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	x := &reader{r: r, head: http.Header{}, chunks: make(chan string), stop: stop, gone: ctx.Done(), ended: make(chan struct{})}
	req := httptest.NewRequestWithContext(ctx, "GET", "http://"+host+"/v1/events"+query, nil)
	req.Header.Set("Authorization", "Bearer "+r.tokens[token])
	for _, h := range headers {
		h(req)
	}
	go func() {
		defer close(x.ended)
		r.h.ServeHTTP(x, req)
	}()
	if first := x.chunk(); first != "retry: 2000\n\n" {
		r.t.Fatalf("the stream begins with %q", first)
	}
	if err := r.spec.check("GET", "/v1/events", x.status, x.head, nil); err != nil {
		r.t.Error(err)
	}
	return x
}

func (x *reader) chunk() string {
	x.r.t.Helper()
	select {
	case s := <-x.chunks:
		return s
	case <-time.After(time.Minute):
		x.r.t.Fatal("nothing came for a minute")
		return ""
	}
}

// next takes the next event, comments passed over, and holds it to the
// description.
func (x *reader) next() event {
	x.r.t.Helper()
	for {
		var e event
		for _, line := range strings.Split(x.chunk(), "\n") {
			name, value, _ := strings.Cut(line, ": ")
			switch name {
			case "id":
				e.id = value
			case "event":
				e.name = value
			case "data":
				e.data = value
			}
		}
		if e.name == "" {
			continue
		}
		schema := map[string]string{"order": "Order", "till": "Till", "gap": "Gap", "device": "Device", "identity.scanned": "Identity"}[e.name]
		if err := x.r.spec.component(schema, []byte(e.data)); err != nil {
			x.r.t.Errorf("event %s: %v\n%s", e.name, err, e.data)
		}
		if err := json.Unmarshal([]byte(e.data), &e.order); err != nil {
			x.r.t.Fatal(err)
		}
		if slices.Contains([]string{"till", "device", "identity.scanned"}, e.name) != (e.id == "") {
			x.r.t.Errorf("a %s event has the id %q", e.name, e.id)
		}
		if strings.Contains(e.data, `"patient":"`) || strings.Contains(e.data, "张") {
			x.r.t.Errorf("an event speaks of the patient: %s", e.data)
		}
		return e
	}
}

// until takes events up to one of a kind.
func (x *reader) until(name string) event {
	x.r.t.Helper()
	for {
		if e := x.next(); e.name == name {
			return e
		}
	}
}

// quiet asserts that nothing but comments comes for a while.
func (x *reader) quiet(d time.Duration) {
	x.r.t.Helper()
	end := time.After(d)
	for {
		select {
		case s := <-x.chunks:
			if !strings.HasPrefix(s, ":") {
				x.r.t.Errorf("got %q", s)
			}
		case <-end:
			return
		}
	}
}

func (x *reader) close() {
	x.stop()
	<-x.ended
}

func TestEventsAndResume(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		live := r.listen(his, "?till=w1")
		live.until("till") // the face at the beginning
		done := make(chan string)
		go func() { done <- r.create(bill("B1", object{"auth_code": wechatCode})).want(201, "").id() }()
		var seen []event
		for len(seen) < 2 {
			if e := live.next(); e.name == "order" {
				seen = append(seen, e)
			}
		}
		live.close()
		id := <-done
		if seen[0].order["id"] != id || seen[0].order["rev"] != 1.0 || seen[1].order["rev"] != 2.0 || seen[0].order["state"] != "waiting" || seen[1].order["state"] != "paying" {
			t.Errorf("%v", seen)
		}
		r.w.Banks["full"].Pay(id)
		r.until(id, "paid")
		// A reader that was away gets what it missed, by number.
		for _, x := range []*reader{r.listen(his, "", set("Last-Event-ID", seen[0].id)), r.listen(his, "?since="+seen[0].id)} {
			e := x.until("order")
			if e.id != seen[1].id || e.order["rev"] != 2.0 {
				t.Errorf("resumed with %s %v, want %s", e.id, e.order["rev"], seen[1].id)
			}
			for e.order["state"] != "paid" {
				e = x.until("order")
			}
			x.close()
		}
		// One that begins now gets no history.
		x := r.listen(his, "?till=w2")
		x.until("till")
		x.until("device")
		x.until("device") // the pad and the gun
		x.quiet(40 * time.Second)
		x.close()
	})
}

func TestEventsHeartbeat(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		x := r.listen(screen1, "")
		x.until("till")
		start := time.Now()
		if s := x.chunk(); !strings.HasPrefix(s, ":") || time.Since(start) != 15*time.Second {
			t.Errorf("%q after %s", s, time.Since(start))
		}
		x.close()
	})
}

func TestEventsFilter(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		for _, q := range []string{"?till=w2", "?till=none"} {
			r.call("GET", "/v1/events"+q, cashier1, nil).want(404, "not_found")
		}
		r.call("GET", "/v1/events?till=w1", screen1, nil).want(404, "not_found")
		r.create(bill("B1"))
		r.create(bill("B2", object{"till": "w2"}))
		kiosk := r.create(bill("B3", object{"till": "k1", "mode": "present", "aggregated": true})).id()
		tills := func(token string) map[string]bool {
			got := map[string]bool{}
			x := r.listen(token, "?since=0")
			defer x.close()
			synctest.Wait()
			for {
				select {
				case s := <-x.chunks:
					for _, line := range strings.Split(s, "\n") {
						var v struct {
							Till string `json:"till"`
						}
						name, data, _ := strings.Cut(line, ": ")
						if name == "data" && json.Unmarshal([]byte(data), &v) == nil {
							kind := "till"
							if strings.Contains(data, `"hints"`) {
								kind = "device"
							}
							if strings.Contains(data, `"out_trade_no"`) && !strings.Contains(data, `"armed"`) {
								kind = "order"
							}
							got[kind+" "+v.Till] = true
						}
					}
				case <-time.After(time.Second):
					return got
				}
			}
		}
		for token, want := range map[string]string{
			cashier1:  "device w1, order w1, till w1",
			screen1:   "till k1",
			admin:     "device k1, device w1, device w2, device w3, order k1, order w1, order w2",
			collector: "device k1, device w1, device w2, device w3, order k1, order w1, order w2, till k1, till w1, till w2, till w3",
		} {
			got := tills(token)
			var list []string
			for _, k := range []string{"device k1", "device w1", "device w2", "device w3", "order k1", "order w1", "order w2", "till k1", "till w1", "till w2", "till w3"} {
				if got[k] {
					list = append(list, k)
				}
			}
			if s := strings.Join(list, ", "); s != want {
				t.Errorf("%s hears of %s, want %s", token, s, want)
			}
		}
		x := r.listen(screen1, "")
		if e := x.until("till"); e.order["state"] != "paying" || e.order["order"].(object)["id"] != kiosk || e.order["order"].(object)["qr"] == nil {
			t.Errorf("%s", e.data)
		}
		x.close()
	})
}

// pruned is a log whose first records are gone.
type pruned struct {
	*mem.Log
	first queue.Seq
}

// After gives what is left.
func (p *pruned) After(seq queue.Seq, limit int) ([]queue.Entry, queue.Seq, error) {
	list, _, err := p.Log.After(max(seq, p.first-1), limit)
	return list, p.first, err
}

func TestEventsGap(t *testing.T) {
	log := &pruned{first: 1}
	inBubbleWith(t, func(o *agenttest.Options, _ *door.Options) {
		log.Log = o.Log.(*mem.Log)
		o.Log = log
	}, func(t *testing.T, r *rig) {
		for i := range 5 {
			id := r.create(bill("B"+strconv.Itoa(i))).want(201, "").id()
			r.call("POST", "/v1/orders/"+id+"/cancel", his, nil).want(200, "")
		}
		log.first = 7
		x := r.listen(his, "", set("Last-Event-ID", "2"))
		gap := x.next()
		if gap.name != "gap" || gap.id != "6" || gap.order["from"] != 3.0 || gap.order["to"] != 6.0 || gap.order["reason"] != "pruned" {
			t.Errorf("%+v", gap)
		}
		if e := x.until("order"); e.id != "7" {
			t.Errorf("after the gap comes %s", e.id)
		}
		x.close()
		// A number that this log never gave.
		x = r.listen(his, "", set("Last-Event-ID", "5000"))
		gap = x.next()
		if gap.name != "gap" || gap.order["reason"] != "unknown_position" || gap.order["to"] != 5000.0 {
			t.Errorf("%+v", gap)
		}
		go r.create(bill("B9"))
		if e := x.until("order"); e.order["bill"] != "B9" {
			t.Errorf("%s", e.data)
		}
		x.close()
	})
}

// A client that does not read is dropped, and nothing else suffers.
func TestSlowReaderIsDropped(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		x := r.listen(his, "")
		start := time.Now()
		for i := range 20 {
			id := r.create(bill("B"+strconv.Itoa(i))).want(201, "").id()
			r.call("POST", "/v1/orders/"+id+"/cancel", his, nil).want(200, "")
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("the others waited %s", took)
		}
		<-x.ended
		if took := time.Since(start); took > 11*time.Second {
			t.Errorf("dropped after %s", took)
		}
	})
}

// The end of the agent ends the streams.
func TestEventsEndWithTheAgent(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		x := r.listen(screen1, "")
		x.until("till")
		r.w.Stop()
		<-x.ended
		y := r.listen(screen1, "")
		y.until("till")
		<-y.ended
	})
}
