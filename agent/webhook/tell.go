package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"payagent/agent"
	"payagent/agent/order"
	"payagent/platforms"
)

// The headers of a call, besides Content-Type.
const (
	HeaderTime      = "X-Payagent-Timestamp" // Unix seconds of this call; part of what is signed
	HeaderSignature = "X-Payagent-Signature" // v1= and the signature, one per key, separated by a blank
	HeaderAttempt   = "X-Payagent-Attempt"   // 1 for the first call since the agent's start
	HeaderRepeated  = "X-Payagent-Repeated"  // true where HIS may have had the event before
)

// errNoAnswer is wrapped when HIS could not be asked, or said nothing.
var errNoAnswer = errors.New("HIS gave no answer")

// Sign gives the signature of a call: HMAC-SHA256 over the timestamp, a dot and
// the body, in hexadecimal digits.
func Sign(key platforms.Hidden, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(key.Reveal()))
	mac.Write([]byte(timestamp)) // a hash never fails
	mac.Write([]byte{'.'})
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// event is a CloudEvent 1.0 in its JSON form.
type event struct {
	_           [0]func() // never compared: no code is made for it
	SpecVersion string    `json:"specversion"`
	ID          string    `json:"id"`
	Source      string    `json:"source"`
	Type        string    `json:"type"`
	Subject     string    `json:"subject,omitempty"` // order number
	Time        string    `json:"time"`
	Sequence    string    `json:"sequence"`
	ContentType string    `json:"datacontenttype"`
	Traceparent string    `json:"traceparent,omitempty"` // the order's trace, W3C Trace Context
	Data        any       `json:"data"`
}

// gap tells HIS that events are missing.
type gap struct {
	From   uint64 `json:"from"` // first number that is missing
	To     uint64 `json:"to"`   // last number that is missing
	Reason string `json:"reason"`
}

// The types of events; an order's are typeOrder and what is new.
const (
	typeOrder = "payagent.order."
	typeGap   = "payagent.gap.v1"
	version   = ".v1"
)

// Types lists the types of all events, for the documentation.
func Types() []string {
	list := []string{typeGap}
	for _, kind := range []string{string(order.Paid), string(order.Failed), string(order.Canceled), string(order.InDoubt), agent.NewsRefund, agent.NewsLate, agent.NewsBooking, agent.NewsUnbooked, agent.NewsReversing} {
		list = append(list, typeOrder+kind+version)
	}
	return list
}

// tell makes one call. nil: HIS took it.
func (d *Deliverer) tell(ctx context.Context, it *item, tries int, repeated bool) error {
	ctx, stop := context.WithTimeout(ctx, callTimeout)
	defer stop()
	ev, o, err := d.event(it)
	if err != nil {
		return err
	}
	body, err := json.Marshal(ev)
	if err != nil {
		return fmt.Errorf("cannot write event %d; report this: %w", it.seq, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.o.URL, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("cannot call his.webhook.url; check it: %w", err)
	}
	if err := d.sign(req, body); err != nil {
		return err
	}
	req.Close = true
	req.Header.Set("Content-Type", "application/cloudevents+json; charset=utf-8")
	req.Header.Set("User-Agent", "payagent")
	if ev.Traceparent != "" {
		req.Header.Set("Traceparent", ev.Traceparent)
	}
	req.Header.Set(HeaderAttempt, strconv.Itoa(tries))
	if repeated {
		req.Header.Set(HeaderRepeated, "true")
	}
	resp, err := d.o.Way.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	_ = resp.Body.Close() // it was read
	if err != nil {
		return fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("cannot count the event as taken: HIS answered %d; it must answer 2xx", resp.StatusCode)
	}
	if o == nil || len(answer) == 0 || len(answer) > maxAnswer {
		return nil
	}
	return d.o.Took(ctx, o, answer)
}

// sign puts time and signatures in the headers.
func (d *Deliverer) sign(req *http.Request, body []byte) error {
	keys, err := d.o.Secrets()
	if err != nil {
		return fmt.Errorf("cannot sign; check his.webhook.secret_file: %w", err)
	}
	at := strconv.FormatInt(time.Now().Unix(), 10)
	var list []string
	for _, k := range keys {
		list = append(list, "v1="+Sign(k, at, body))
	}
	req.Header.Set(HeaderTime, at)
	req.Header.Set(HeaderSignature, strings.Join(list, " "))
	return nil
}

// event makes what is told; o is nil for a gap. The id is the same at every
// call and after every restart, and no other event's, also after a store was
// lost and numbers began anew: it is of the order, its revision and the time of
// the fact.
func (d *Deliverer) event(it *item) (event, *order.Order, error) {
	g := it.gap
	if g == nil {
		e, ok, err := d.load(it.seq)
		if err != nil {
			return event{}, nil, err
		}
		if ok {
			id := fmt.Sprintf("evt_%s_%d_%s", e.Order.No, e.Order.Rev, strconv.FormatInt(e.At.Wall, 36))
			return event{SpecVersion: "1.0", ID: id, Traceparent: agent.Traceparent(agent.TraceID(e.Order), id),
				Source: d.o.From, Type: typeOrder + e.News() + version, Subject: e.Order.No, Time: stamp(e.At.Wall), Sequence: strconv.FormatUint(it.seq, 10),
				ContentType: "application/json", Data: d.o.Show(e.Order)}, e.Order, nil
		}
		g = &gap{From: it.seq, To: it.seq, Reason: "pruned"}
	}
	return event{SpecVersion: "1.0", ID: fmt.Sprintf("evt_gap_%d_%d", g.From, g.To), Source: d.o.From, Type: typeGap, Time: stamp(time.Now().UnixMilli()),
		Sequence: strconv.FormatUint(it.seq, 10), ContentType: "application/json", Data: g}, nil, nil
}

// stamp writes a time in UTC+8, whatever this machine believes in.
func stamp(ms int64) string {
	return time.UnixMilli(ms).In(time.FixedZone("UTC+8", 8*60*60)).Format("2006-01-02T15:04:05.000Z07:00")
}
