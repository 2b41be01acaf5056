// Package his is a pretend HIS: it asks the agent to collect bills through the
// agent's door, as a real HIS does, with an Idempotency-Key on everything that
// may move money. It can be careless on purpose: double clicks, two windows.
package his

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"payagent/platforms"
)

// Person is an operator.
type Person struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Patient is a pretend patient.
type Patient struct {
	Name        string `json:"name,omitempty"`
	CardNo      string `json:"card_no,omitempty"`
	CardType    string `json:"card_type,omitempty"`
	AdmissionNo string `json:"admission_no,omitempty"`
	Phone       string `json:"phone,omitempty"`
}

// Detail is a line of what is paid for, in the API's words.
type Detail = platforms.Detail

// Order is the body of POST /v1/orders. Amounts are fen.
type Order struct {
	Bill        string            `json:"bill"`
	AmountFen   platforms.Fen     `json:"amount_fen"`
	Mode        platforms.Mode    `json:"mode"`
	OrderType   string            `json:"order_type"`
	Subject     string            `json:"subject"`
	Memo        string            `json:"memo,omitempty"`
	Patient     Patient           `json:"patient"`
	Operator    Person            `json:"operator"`
	Till        string            `json:"till"`
	Channel     platforms.Channel `json:"channel,omitempty"`
	Aggregated  bool              `json:"aggregated,omitempty"`
	AuthCode    string            `json:"auth_code,omitempty"` // a pretend code, worth nothing
	Details     []Detail          `json:"details,omitempty"`
	OutTradeNo  string            `json:"out_trade_no,omitempty"`
	Expires     string            `json:"expires,omitempty"`
	WhenOffline string            `json:"when_offline,omitempty"`
}

// Act is the body of /cancel and of /refunds; what is empty is left out.
type Act struct {
	Operator  *Person       `json:"operator,omitempty"`
	Reason    string        `json:"reason,omitempty"`
	RefundNo  string        `json:"refund_no,omitempty"`  // refunds: HIS's own number; the agent makes one where it is missing
	AmountFen platforms.Fen `json:"amount_fen,omitempty"` // refunds
}

// Booking is the body of POST /v1/orders/{id}/booking: what HIS made of money
// that came or went back. What is empty is left out.
type Booking struct {
	Result   string  `json:"result"` // booked or failed
	FlowID   string  `json:"his_flow_id,omitempty"`
	RefundNo string  `json:"refund_no,omitempty"` // of a refund; empty: of the payment
	CostType string  `json:"cost_type,omitempty"`
	Operator *Person `json:"operator,omitempty"`
	Reason   string  `json:"reason,omitempty"` // why it failed
}

// The words of Booking.Result.
const (
	Booked = "booked"
	Failed = "failed"
)

// Words are a sentence in both languages.
type Words struct {
	Zh string `json:"zh"`
	En string `json:"en"`
}

// Safety answers whether something is safe now.
type Safety struct {
	Answer string `json:"answer"` // yes, no, wait
	WaitS  int    `json:"wait_s"`
	Reason string `json:"reason"`
	Say    Words  `json:"say"`
}

// Answer is what the agent said to one request. Body is all of it.
type Answer struct {
	Status int             `json:"status"` // of HTTP
	Replay bool            `json:"replayed,omitempty"`
	Body   json.RawMessage `json:"body"`
	retry  string          // Retry-After
}

// Seen is the part of an order that a HIS looks at.
type Seen struct {
	OutTradeNo     string        `json:"out_trade_no"`
	Bill           string        `json:"bill"`
	State          string        `json:"state"`
	AmountFen      platforms.Fen `json:"amount_fen"`
	TradeNo        string        `json:"trade_no"`
	QR             string        `json:"qr"`
	SafeToTakeCash Safety        `json:"safe_to_take_cash"`
	SafeToRetry    Safety        `json:"safe_to_retry"`
	Actions        []string      `json:"actions_allowed"`

	Till          string        `json:"till"`
	OrderType     string        `json:"order_type"`
	ReportChannel string        `json:"report_channel"`
	RefundedFen   platforms.Fen `json:"refunded_fen"`
	Booking       struct {
		State  string `json:"state"` // pending, booked, failed, insurance_split; empty where nothing is expected
		FlowID string `json:"his_flow_id"`
	} `json:"booking"`
	Refunds []struct {
		RefundNo  string        `json:"refund_no"`
		AmountFen platforms.Fen `json:"amount_fen"`
		State     string        `json:"state"`
	} `json:"refunds"`
}

// Problem is an RFC 9457 answer.
type Problem struct {
	Code   string `json:"code"`
	Type   string `json:"type"`
	Title  string `json:"title"`
	Detail Words  `json:"detail"`
}

// OK tells whether the agent agreed.
func (a Answer) OK() bool { return a.Status >= 200 && a.Status < 300 }

// Order reads the order out of an answer; false if it carries none.
func (a Answer) Order() (Seen, bool) {
	var s Seen
	if !a.OK() || json.Unmarshal(a.Body, &s) != nil || s.OutTradeNo == "" || s.State == "" {
		return Seen{}, false
	}
	return s, true
}

// Problem reads why the agent did not agree; the code is empty if it did.
func (a Answer) Problem() Problem {
	var p Problem
	if a.OK() || json.Unmarshal(a.Body, &p) != nil {
		return Problem{}
	}
	return p
}

// Final tells whether a state does not change by itself any more.
func Final(state string) bool { return state == "paid" || state == "failed" || state == "canceled" }

// Client speaks to one agent.
type Client struct {
	base      *url.URL
	tokenFile string
	http      *http.Client
}

// NewClient makes a client for the agent at base, with the bearer token in a
// file. The file is read for every request, since the agent makes it at its
// first start. Send is the way there; nil is a direct one without proxies.
func NewClient(base, tokenFile string, send http.RoundTripper) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("cannot use -agent: write an address such as http://127.0.0.1:8780")
	}
	if send == nil {
		send = &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute}
	}
	return &Client{base: u, tokenFile: tokenFile, http: &http.Client{
		Transport: send, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Host is the agent's host and port.
func (c *Client) Host() string { return c.base.Host }

// NewKey makes an Idempotency-Key.
func NewKey() string { return "paysim-" + rand.Text() }

// ErrUnreachable is wrapped when no answer came from the agent: then nothing
// is known, and the same request with the same key must be made again.
var ErrUnreachable = errors.New("the agent does not answer; ask again with the same key")

// ErrToken is wrapped when there is no token yet.
var ErrToken = errors.New("cannot read the agent's token; name it with -agent-token-file")

// maxAnswer bounds an answer of the agent, in bytes.
const maxAnswer = 1 << 20

func (c *Client) do(ctx context.Context, method, path string, query url.Values, key string, body any) (Answer, error) {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return Answer{}, fmt.Errorf("cannot write the request: %w", err)
		}
	}
	u := c.base.JoinPath(path)
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(text))
	if err != nil {
		return Answer{}, fmt.Errorf("cannot make the request: %w", err)
	}
	if c.tokenFile != "" {
		token, err := os.ReadFile(c.tokenFile)
		if err != nil {
			return Answer{}, fmt.Errorf("%w: %w", ErrToken, err)
		}
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return Answer{}, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	defer func() { _ = resp.Body.Close() }()
	got, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return Answer{}, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	a := Answer{Status: resp.StatusCode, Body: got, retry: resp.Header.Get("Retry-After"), Replay: resp.Header.Get("Idempotent-Replayed") == "true"}
	if !json.Valid(got) {
		a.Body, _ = json.Marshal(string(got)) // a string always encodes
	}
	return a, nil
}

// Create asks for an order to be paid.
func (c *Client) Create(ctx context.Context, key string, o Order) (Answer, error) {
	return c.do(ctx, http.MethodPost, "/v1/orders", nil, key, o)
}

// Get asks how an order is. With a wait above zero the answer comes when the
// order changed or the time is over.
func (c *Client) Get(ctx context.Context, no string, wait time.Duration) (Answer, error) {
	q := url.Values{}
	if wait > 0 {
		q.Set("wait", wait.String())
	}
	return c.do(ctx, http.MethodGet, "/v1/orders/"+url.PathEscape(no), q, "", nil)
}

// Bill lists the orders of a bill.
func (c *Client) Bill(ctx context.Context, bill string) (Answer, error) {
	return c.do(ctx, http.MethodGet, "/v1/orders", url.Values{"bill": {bill}}, "", nil)
}

// Verbs are what can be done to an order, besides refunds.
func Verbs() []string { return []string{"check", "cancel", "detach", "confirm"} }

// Do does a verb to an order.
func (c *Client) Do(ctx context.Context, no, verb string, a Act) (Answer, error) {
	return c.do(ctx, http.MethodPost, "/v1/orders/"+url.PathEscape(no)+"/"+url.PathEscape(verb), nil, NewKey(), a)
}

// Refund asks for money back; the key makes it repeatable.
func (c *Client) Refund(ctx context.Context, key, no string, a Act) (Answer, error) {
	return c.do(ctx, http.MethodPost, "/v1/orders/"+url.PathEscape(no)+"/refunds", nil, key, a)
}

// Book tells what HIS made of an order's money. It may be repeated: the same
// flow number is the same booking, so that no Idempotency-Key is needed.
func (c *Client) Book(ctx context.Context, no string, b Booking) (Answer, error) {
	return c.do(ctx, http.MethodPost, "/v1/orders/"+url.PathEscape(no)+"/booking", nil, "", b)
}

// RetryAfter tells whether the agent asked to come again later.
func (a Answer) RetryAfter() bool { return a.retry != "" }

// Capabilities asks what the agent can do now.
func (c *Client) Capabilities(ctx context.Context) (Answer, error) {
	return c.do(ctx, http.MethodGet, "/v1/capabilities", nil, "", nil)
}

// Devices lists the agent's scanners and displays.
func (c *Client) Devices(ctx context.Context) (Answer, error) {
	return c.do(ctx, http.MethodGet, "/v1/devices", nil, "", nil)
}
