// Package door is the HTTP interface for HIS: it takes a bill to be paid,
// tells what became of it, gives money back, and streams what happens. It
// speaks JSON in snake_case below /v1, money as amount_fen (whole fen), times
// as RFC 3339 in UTC+8; openapi.json in this folder describes every answer.
//
// The door decides nothing about money. It guards (who may call, from where,
// with what), translates, and puts the catalogue's words beside each code.
// Nobody is trusted for being on this machine: every route but /healthz and
// the pages asks for a token (decision 23), and a page in a browser has to
// name itself besides (Host, Origin).
//
// Patients appear in no answer but the view of a till, and there as a masked
// name only; they never appear in events, errors or logs.
package door

import (
	"context"
	_ "embed"
	"io"
	"log/slog"
	"net/http"
	"time"

	"payagent/agent"
	"payagent/agent/access"
	"payagent/agent/finance"
	"payagent/agent/internal/packed"
	"payagent/agent/words"
	"payagent/platforms"
)

//go:embed openapi.json
var openAPI []byte

// OpenAPI gives the description of the interface (OpenAPI 3.1, JSON), as it is
// served at /v1/openapi.json.
func OpenAPI() []byte { return append([]byte(nil), packed.Text(openAPI)...) }

// Tokens finds what a presented token allows; *access.Store is one.
type Tokens interface {
	Check(presented platforms.Hidden) (access.Token, bool)
}

// Options are what the door needs besides the agent.
type Options struct {
	Tokens  Tokens
	Version string       // of the program, for /v1/capabilities and /metrics
	Logger  *slog.Logger // nil for none; requests are logged at level debug
	// Pages serves everything that is not part of the interface: the pages for
	// cashier and kiosk. They are open and hold no data; nil for none.
	Pages http.Handler
	// Addresses are the host:port that are open, for the check of Host; empty
	// takes door.listen of the configuration. Serve fills them in.
	Addresses []string
	// Opened is called by Serve with the addresses once all are open; nil for
	// nobody.
	Opened func(addresses []string)
	// Metrics write further figures for /metrics.
	Metrics []func(io.Writer) error
	// Heartbeat is the pause between two comments on a silent event stream; 0
	// for 15 seconds.
	Heartbeat time.Duration
	// Audit shows the chained record of acts; nil for none.
	Audit Audit
	// Diag makes the diagnostic bundle, a zip; nil for none.
	Diag func(context.Context) ([]byte, error)
}

// The bounds of requests.
const (
	maxBody    = 64 << 10         // bytes of a request body
	maxWait    = 60 * time.Second // of a long poll
	askLimit   = 10 * time.Second // for the counter to decide; it needs milliseconds
	maxStreams = 64               // event streams and long polls under way, together
	maxFound   = 100              // orders of one list
)

type door struct {
	agent   *agent.Agent
	opts    Options
	log     *slog.Logger
	words   words.Catalogue
	guard   *guard
	waiters chan struct{} // a place for each event stream and long poll

	listening listening

	shifts    *finance.Shifts
	comparing chan struct{} // a place for the one comparison of a day
}

// New makes the door. It serves at once; while the agent still starts it
// answers 503.
func New(a *agent.Agent, opts Options) http.Handler {
	d := &door{agent: a, opts: opts, log: opts.Logger, words: words.New(), waiters: make(chan struct{}, maxStreams),
		shifts: finance.NewShifts(a), comparing: make(chan struct{}, 1)}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	if d.opts.Heartbeat <= 0 {
		d.opts.Heartbeat = 15 * time.Second
	}
	conf := a.Config().Door
	addresses := opts.Addresses
	if len(addresses) == 0 {
		addresses = conf.Listen
	}
	d.guard = newGuard(addresses, conf.Hosts, conf.Origins)
	return d.outer(d.routes())
}

// route is one entry of the interface. The method and path are those of
// openapi.json.
type route struct {
	method, path string
	// may says whether a token may come in at all; the handler looks at the
	// till. nil: no token is asked for.
	may  func(access.Token) bool
	keep bool // long-lived: no limit on reading and writing
	do   func(http.ResponseWriter, *http.Request, caller)
}

func (d *door) table() []route {
	any := func(t access.Token) bool { return true }
	order := anyOf(access.Collect, access.Refund, access.Resolve, access.Admin)
	collect, refund, resolve := anyOf(access.Collect), anyOf(access.Refund), anyOf(access.Resolve)
	admin := func(t access.Token) bool { return t.Allows(access.Admin, "") }
	see := anyOf(access.Collect, access.Screen)
	return append([]route{
		{"POST", "/v1/orders", collect, false, d.createOrder},
		{"GET", "/v1/orders", order, false, d.findOrders},
		{"GET", "/v1/orders/{id}", order, true, d.getOrder},
		{"POST", "/v1/orders/{id}/check", collect, false, d.act("check")},
		{"POST", "/v1/orders/{id}/cancel", collect, false, d.act("cancel")},
		{"POST", "/v1/orders/{id}/detach", collect, false, d.act("detach")},
		{"POST", "/v1/orders/{id}/confirm", collect, false, d.act("confirm")},
		{"POST", "/v1/orders/{id}/insurance/authorisation", collect, false, d.authorise},
		{"POST", "/v1/orders/{id}/insurance/settlement", collect, false, d.settle},
		{"POST", "/v1/orders/{id}/refunds", refund, false, d.createRefund},
		{"GET", "/v1/orders/{id}/refunds", order, false, d.listRefunds},
		{"POST", "/v1/orders/{id}/refunds/{no}/approve", refund, false, d.decideRefund(true)},
		{"POST", "/v1/orders/{id}/refunds/{no}/decline", refund, false, d.decideRefund(false)},
		{"POST", "/v1/orders/{id}/booking", collect, false, d.book},
		{"POST", "/v1/orders/{id}/resolution", resolve, false, d.propose},
		{"POST", "/v1/orders/{id}/resolution/confirm", resolve, false, d.decideResolution(true)},
		{"POST", "/v1/orders/{id}/resolution/reject", resolve, false, d.decideResolution(false)},
		{"POST", "/v1/desk/lookup", refund, true, d.lookUpElsewhere},
		{"POST", "/v1/desk/adopt", refund, true, d.adopt},
		{"GET", "/v1/orders/{id}/qr.svg", see, false, d.qr(writeSVG)},
		{"GET", "/v1/orders/{id}/qr.png", see, false, d.qr(writePNG)},
		{"GET", "/v1/orders/{id}/timeline", order, false, d.timeline},
		{"GET", "/v1/events", anyOf(access.Collect, access.Admin, access.Screen), true, d.events},
		{"GET", "/v1/tills/{till}", see, false, d.getTill},
		{"POST", "/v1/tills/{till}/scanner/claim", collect, false, d.claim},
		{"POST", "/v1/tills/{till}/scanner/retain", collect, false, d.hold(d.agent.Retain)},
		{"POST", "/v1/tills/{till}/scanner/release", collect, false, d.hold(d.agent.Release)},
		{"GET", "/v1/tills/{till}/identity", collect, true, d.takeIdentity},
		{"GET", "/v1/devices", anyOf(access.Collect, access.Admin), false, d.listDevices},
		{"POST", "/v1/devices/{name}/test", anyOf(access.Collect, access.Admin), false, d.testDevice},
		{"GET", "/v1/capabilities", any, false, d.capabilities},
		{"POST", "/v1/resolve", admin, false, d.resolve},
		{"GET", "/v1/alarms", admin, false, d.alarms},
		{"GET", "/v1/openapi.json", any, false, d.openAPI},
		{"GET", "/healthz", nil, false, d.healthz},
		{"GET", "/readyz", anyOf(access.Collect, access.Refund, access.Admin), false, d.readyz},
		{"GET", "/metrics", admin, false, d.metrics},
		{"GET", "/v1/diag", admin, false, d.diag},
	}, d.financeRoutes()...)
}

func anyOf(scopes ...access.Scope) func(access.Token) bool {
	return func(t access.Token) bool {
		for _, s := range scopes {
			// Whether the till fits is the handler's question.
			if t.Allows(s, t.Till) {
				return true
			}
		}
		return false
	}
}

// deciding is asking for what must be noted once the counter took it: a caller
// that hangs up does not end it half-way.
func deciding(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(r.Context()), askLimit)
}

// asking bounds how long the counter is waited for.
func asking(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(r.Context(), askLimit)
}
