// Package wire is what every platform simulator has between an HTTP
// connection and the books of package bank: it counts what arrives, chooses
// what goes wrong, and spoils answers accordingly.
//
// A simulator reads the request, fills a [Call] and hands over a function that
// does the work and writes the answer in the platform's own words:
//
//	ctl.Answer(w, r, wire.Call{Op: bank.OpCharge, OrderNo: no, Amount: fen, Code: code, Fields: …},
//		func(turn wire.Turn) wire.Reply {
//			if turn.Fault == bank.Token { return wire.Reply{Body: tokenRefused} }
//			t := b.Charge(turn.Now, bank.Request{…}, turn.Payer)
//			return wire.Reply{Type: "text/xml; charset=utf-8", Body: render(t, turn.Fault)}
//		})
//
// Faults that are the same on every wire (lost, reset, half, huge, HTTP
// errors, redirects, garbage) are done here. Those that need the platform's
// words reach the function in Turn.Fault: WrongAmount, WrongOrder,
// WrongMerchant and OddStatus (do the work, spoil the answer), Leak (do the
// work, repeat the payment code in the message), IsSuccess2 (do the work, answer
// that something went wrong) and Token (do nothing, refuse the credentials). A wire whose answers carry no such field ignores the fault.
package wire

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"payagent/platforms"
	"payagent/platforms/bank"
)

// MaxReply is the size above which an adapter must refuse an answer, in bytes.
const MaxReply = 64 << 10

// Call is a request as the simulator understood it.
type Call struct {
	Op      string        // bank.OpCharge and so on
	OrderNo string        // our number; found through the books where the wire carries only a handle
	Amount  platforms.Fen // of charge, present and refund
	Code    string        // payment code of a charge
	// Fields holds what the request carried, decoded, under the API's names:
	// "subject", "memo", "patient.name", "patient.card_no", "operator.id",
	// "operator.name", "merchant", "request_no", "reason". Amount and Code are
	// not repeated in it. Suites compare it with what was asked.
	Fields map[string]string
}

// Turn is what the simulator needs to know to do a call.
type Turn struct {
	Now   time.Duration // since the world began
	Payer bank.Payer    // of a charge
	Fault bank.Fault    // only those that need the platform's words
}

// Reply is an answer before anything spoils it. Status zero means 200.
type Reply struct {
	Status int
	Type   string // Content-Type
	Body   []byte
}

// Options say how a Control works.
type Options struct {
	// Clock tells the time since the world began. Required.
	Clock func() time.Duration
	// Script chooses what happens to an order from the amount and the code of
	// its charge; bank.ScriptFor is the usual one. Nil means that nothing goes
	// wrong but what is injected.
	Script func(amount platforms.Fen, code string) bank.Script
	// Record keeps every request and answer raw, for tests that look for leaks.
	Record bool
}

// Control stands between the connections and the books of one simulator. Its
// methods may be called at any time from anywhere.
type Control struct {
	opts Options

	mu      sync.Mutex
	once    map[string][]bank.Fault
	always  map[string]bank.Fault
	mutate  map[string]func([]byte) []byte
	payer   *bank.Payer
	scripts map[string]bank.Script
	counts  map[[2]string]int
	fields  map[[2]string]Call
	log     []Exchange
	arrived chan string
}

// Exchange is one raw request and its answer, as the server saw them.
type Exchange struct {
	Method, URL string
	Header      http.Header
	Request     []byte
	Close       bool // the client asked for the connection to be closed
	Status      int
	Reply       []byte
}

// New makes a Control.
func New(opts Options) *Control {
	return &Control{
		opts: opts, once: map[string][]bank.Fault{}, always: map[string]bank.Fault{},
		mutate: map[string]func([]byte) []byte{}, scripts: map[string]bank.Script{},
		counts: map[[2]string]int{}, fields: map[[2]string]Call{}, arrived: make(chan string, 64),
	}
}

// Now is the simulator's time.
func (c *Control) Now() time.Duration { return c.opts.Clock() }

// Inject makes the next call of op meet the fault; several queue up.
func (c *Control) Inject(op string, f bank.Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.once[op] = append(c.once[op], f)
}

// Always makes every call of op meet the fault; NoFault ends it.
func (c *Control) Always(op string, f bank.Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.always[op] = f
}

// Mutate passes the good answers of op through change; nil ends it.
func (c *Control) Mutate(op string, change func(good []byte) []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mutate[op] = change
}

// SetPayer decides for all charges to come who pays, whatever the script says.
func (c *Control) SetPayer(p bank.Payer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.payer = &p
}

// Count is how many requests of op arrived for an order, lost ones included;
// an empty order number counts all.
func (c *Control) Count(op, orderNo string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for k, v := range c.counts {
		if k[0] == op && (orderNo == "" || k[1] == orderNo) {
			n += v
		}
	}
	return n
}

// Last is the latest request of op for an order.
func (c *Control) Last(op, orderNo string) (Call, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	call, ok := c.fields[[2]string{op, orderNo}]
	call.Fields = maps.Clone(call.Fields)
	return call, ok
}

// Arrived delivers the op of every request that is being held by the Slow
// fault. It keeps up to 64.
func (c *Control) Arrived() <-chan string { return c.arrived }

// Exchanges gives what Wrap recorded so far.
func (c *Control) Exchanges() []Exchange {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Exchange(nil), c.log...)
}

// Answer does a call and writes its answer, or whatever the fault leaves of
// it. A lost or broken connection is panic(http.ErrAbortHandler), which
// net/http and [Direct] take for that.
func (c *Control) Answer(w http.ResponseWriter, r *http.Request, call Call, do func(Turn) Reply) {
	fault, payer, delay, change := c.begin(call)
	if delay > 0 {
		pause(r.Context(), delay)
	}
	switch fault {
	case bank.LoseRequest:
		panic(http.ErrAbortHandler)
	case bank.Reset:
		reset(w)
	case bank.HTTP500:
		text(w, http.StatusInternalServerError, "text/plain; charset=utf-8", "internal server error")
		return
	case bank.HTTP404:
		text(w, http.StatusNotFound, "text/plain; charset=utf-8", "no such page")
		return
	case bank.HTML200:
		text(w, http.StatusOK, "text/html; charset=utf-8", "<!DOCTYPE html><html><head><title>上网认证</title></head><body><form>success</form></body></html>")
		return
	case bank.Redirect, bank.Redirect307:
		w.Header().Set("Location", r.URL.RequestURI())
		w.WriteHeader(map[bank.Fault]int{bank.Redirect: http.StatusFound, bank.Redirect307: http.StatusTemporaryRedirect}[fault])
		return
	}
	turn := Turn{Now: c.Now(), Payer: payer}
	switch fault {
	case bank.WrongAmount, bank.WrongOrder, bank.WrongMerchant, bank.OddStatus, bank.Leak, bank.IsSuccess2, bank.Token:
		turn.Fault = fault
	}
	reply := do(turn)
	if change != nil {
		reply.Body = change(bytes.Clone(reply.Body))
	}
	c.send(w, r, call.Op, fault, reply)
}

func (c *Control) send(w http.ResponseWriter, r *http.Request, op string, fault bank.Fault, reply Reply) {
	switch fault {
	case bank.LoseReply:
		panic(http.ErrAbortHandler)
	case bank.Slow:
		select {
		case c.arrived <- op:
		default:
		}
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	case bank.HTTP500After:
		text(w, http.StatusInternalServerError, "text/plain; charset=utf-8", "internal server error")
		return
	case bank.HTTP502:
		reply.Status = http.StatusBadGateway
	case bank.Garbage:
		reply.Body = []byte("\x00\xff\x1b<<garbage & nonsense\x07{[\xfe")
	case bank.Empty:
		reply.Body = nil
	case bank.Huge:
		reply.Body = append(bytes.Clone(reply.Body), bytes.Repeat([]byte(" "), MaxReply)...)
	}
	if reply.Type != "" {
		w.Header().Set("Content-Type", reply.Type)
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(reply.Body)))
	if reply.Status != 0 {
		w.WriteHeader(reply.Status)
	}
	if fault == bank.HalfReply {
		_, _ = w.Write(reply.Body[:len(reply.Body)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(reply.Body)
}

// begin counts a call and decides what happens to it.
func (c *Control) begin(call Call) (bank.Fault, bank.Payer, time.Duration, func([]byte) []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := [2]string{call.Op, call.OrderNo}
	c.counts[key]++
	if c.opts.Record {
		call.Fields = maps.Clone(call.Fields)
		c.fields[key] = call
	}
	script, known := c.scripts[call.OrderNo]
	if !known && c.opts.Script != nil && call.Op == bank.OpCharge {
		script = c.opts.Script(call.Amount, call.Code)
		c.scripts[call.OrderNo] = script
	}
	fault := script.Take(call.Op)
	if f := c.always[call.Op]; f != bank.NoFault {
		fault = f
	}
	if q := c.once[call.Op]; len(q) > 0 {
		fault, c.once[call.Op] = q[0], q[1:]
	}
	payer := script.Payer
	if c.payer != nil {
		payer = *c.payer
	}
	return fault, payer, script.Delay, c.mutate[call.Op]
}

// Wrap records every exchange of h, if Options.Record is set, and limits
// requests to 64 KiB.
func (c *Control) Wrap(h http.Handler) http.Handler {
	if !c.opts.Record {
		return http.MaxBytesHandler(h, MaxReply)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, MaxReply+1))
		c.mu.Lock()
		at := len(c.log)
		c.log = append(c.log, Exchange{Method: r.Method, URL: r.URL.String(), Header: r.Header.Clone(), Request: body, Close: r.Close})
		c.mu.Unlock()
		if err != nil || len(body) > MaxReply {
			text(w, http.StatusRequestEntityTooLarge, "text/plain; charset=utf-8", "the request is too large")
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		tee := &tee{ResponseWriter: w}
		defer func() {
			c.mu.Lock()
			c.log[at].Status, c.log[at].Reply = tee.status, tee.buf.Bytes()
			c.mu.Unlock()
		}()
		h.ServeHTTP(tee, r)
	})
}

type tee struct {
	http.ResponseWriter
	status int
	buf    bytes.Buffer
}

func (t *tee) WriteHeader(status int) {
	t.status = status
	t.ResponseWriter.WriteHeader(status)
}

func (t *tee) Write(p []byte) (int, error) {
	if t.status == 0 {
		t.status = http.StatusOK
	}
	t.buf.Write(p)
	return t.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach flushing and hijacking.
func (t *tee) Unwrap() http.ResponseWriter { return t.ResponseWriter }

func text(w http.ResponseWriter, status int, kind, body string) {
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// reset breaks the connection with a TCP reset where there is one.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if secure, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = secure.NetConn() // below TLS, which would end politely
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
	panic(http.ErrAbortHandler)
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
