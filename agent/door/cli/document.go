package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf16"

	"golang.org/x/text/encoding/simplifiedchinese"

	"payagent/agent/words"
	"payagent/platforms"
)

// document is what a command prints: the same members for every verb.
type document struct {
	Outcome string          `json:"outcome"` // the order's state; refund_STATE; booking_STATE; usage, unreachable, refused
	Exit    int             `json:"exit_code"`
	Message words.Text      `json:"message"`
	Cash    json.RawMessage `json:"safe_to_take_cash,omitempty"`
	Key     string          `json:"idempotency_key,omitempty"`
	HTTP    int             `json:"http_status,omitempty"`
	Order   json.RawMessage `json:"order,omitempty"`
	Refund  json.RawMessage `json:"refund,omitempty"`
	Problem json.RawMessage `json:"problem,omitempty"`

	order *order
	next  words.Text
}

// order is what the commands look at in an order of the API.
type order struct {
	No        string          `json:"out_trade_no"`
	Bill      string          `json:"bill"`
	Rev       int             `json:"rev"`
	State     string          `json:"state"`
	StateText words.Text      `json:"state_text"`
	Final     bool            `json:"final"`
	Amount    platforms.Fen   `json:"amount_fen"`
	TradeNo   string          `json:"trade_no"`
	Refunds   []refundLine    `json:"refunds"`
	Message   words.Text      `json:"message"`
	Next      words.Text      `json:"next_action"`
	Cash      json.RawMessage `json:"safe_to_take_cash"`
	Booking   struct {
		State string `json:"state"`
	} `json:"booking"`
	raw json.RawMessage
}

type refundLine struct {
	No        string     `json:"refund_no"`
	State     string     `json:"state"`
	StateText words.Text `json:"state_text"`
	raw       json.RawMessage
}

// UnmarshalJSON keeps the whole line beside what is looked at.
func (r *refundLine) UnmarshalJSON(data []byte) error {
	type bare refundLine
	r.raw = bytes.Clone(data)
	return json.Unmarshal(data, (*bare)(r))
}

type problem struct {
	Code   string          `json:"code"`
	Detail words.Text      `json:"detail"`
	Next   words.Text      `json:"next_action"`
	Cash   json.RawMessage `json:"safe_to_take_cash"`
	Field  string          `json:"field"`
	Reason string          `json:"reason"`
}

func readOrder(data []byte) (order, error) {
	var o order
	err := json.Unmarshal(data, &o)
	if err == nil && (o.No == "" || o.State == "") {
		err = errors.New("the answer holds no order")
	}
	o.raw = bytes.TrimSpace(data)
	return o, err
}

func (a answer) orders() ([]order, error) {
	var list struct {
		Orders []json.RawMessage `json:"orders"`
	}
	if err := json.Unmarshal(a.body, &list); err != nil || list.Orders == nil {
		return nil, errors.New("the answer holds no list of orders")
	}
	var all []order
	for _, raw := range list.Orders {
		o, err := readOrder(raw)
		if err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	return all, nil
}

func (a answer) refund() (order, refundLine, error) {
	var both struct {
		Refund refundLine      `json:"refund"`
		Order  json.RawMessage `json:"order"`
	}
	if err := json.Unmarshal(a.body, &both); err != nil {
		return order{}, refundLine{}, err
	}
	o, err := readOrder(both.Order)
	if err == nil && both.Refund.No == "" {
		err = errors.New("the answer holds no refund")
	}
	return o, both.Refund, err
}

func (a answer) problem() problem {
	var p problem
	if a.status >= 300 {
		_ = json.Unmarshal(a.body, &p) // an answer without a code stays one without
	}
	return p
}

// first reads the answer to a request: an order, or why there is none.
func (c *client) first(a answer, err error, key string) document {
	if err != nil {
		return unreachable(err, key)
	}
	if a.status >= 300 {
		p := a.problem()
		if p.Code == "" {
			return unreachable(fmt.Errorf("what answered is no agent: status %d without a code", a.status), key)
		}
		return document{Outcome: "refused", Exit: Refused, Message: p.Detail, Cash: p.Cash, Key: key, HTTP: a.status, Problem: bytes.TrimSpace(a.body), next: p.Next}
	}
	o, err := readOrder(a.body)
	if err != nil {
		return unreachable(err, key)
	}
	d := told(o, c.truth(o))
	d.Key = key
	return d
}

// told is the document of an order.
func told(o order, exit int) document {
	return document{Outcome: o.State, Exit: exit, Message: o.Message, Cash: o.Cash, HTTP: 200, Order: o.raw, order: &o, next: o.Next}
}

const noCash = `{"answer":"no","wait_s":0,"reason":"cash_unknown","say":{"zh":"结果不明，不得收取现金；请按账单查询","en":"Nothing is known: take no cash, query by the bill"}}`

// unreachable is the document where nothing is known.
func unreachable(err error, key string) document {
	d := made(Unreachable, "unreachable", "agent_unreachable", "代理没有应答，结果不明："+err.Error(), "The agent gave no answer, nothing is known: "+err.Error())
	d.Key = key
	d.next = words.Text{ZH: "用同一 --key 重新执行，或用 query --bill 查询；不得收取现金", EN: "Run it again with the same --key, or query --bill; take no cash"}
	return d
}

func refusal(code, zh, en string) document {
	d := made(Refused, "refused", code, zh, en)
	d.Cash = nil
	return d
}

func mistaken(err error) document {
	d := made(Usage, "usage", "usage", "命令有误，什么也没有发出："+err.Error(), "Nothing was sent: "+err.Error())
	d.Cash = nil
	d.next = words.Text{ZH: "payagent pay --help", EN: "payagent pay --help"}
	return d
}

// made is a document that the agent did not write.
func made(exit int, outcome, code, zh, en string) document {
	say := words.Text{ZH: zh, EN: en}
	p, err := json.Marshal(map[string]any{"code": code, "detail": say})
	if err != nil {
		p = nil // texts always can be written
	}
	return document{Outcome: outcome, Exit: exit, Message: say, Cash: json.RawMessage(noCash), Problem: p}
}

func (d document) print(out io.Writer, asJSON, gbk bool) error {
	var text []byte
	if asJSON {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(d); err != nil {
			return err
		}
		text = b.Bytes()
	} else {
		text = d.human()
	}
	if gbk {
		text = toGBK(text, asJSON)
	}
	_, err := out.Write(text)
	return err
}

func (d document) human() []byte {
	var b bytes.Buffer
	if o := d.order; o != nil {
		fmt.Fprintf(&b, "%s  %s 元  %s %s  %s %s\n", o.No, o.Amount.Yuan(), d.Outcome, o.StateText.ZH, o.Bill, o.TradeNo)
	} else {
		fmt.Fprintf(&b, "%s\n", d.Outcome)
	}
	fmt.Fprintf(&b, "%s\n%s\n", d.Message.ZH, d.Message.EN)
	if !d.next.Empty() {
		fmt.Fprintf(&b, "下一步 next: %s\n%s\n", d.next.ZH, d.next.EN)
	}
	var cash struct{ Answer string }
	if json.Unmarshal(d.Cash, &cash) == nil && cash.Answer != "" {
		fmt.Fprintf(&b, "可否收现金 cash: %s\n", cash.Answer)
	}
	return b.Bytes()
}

// toGBK writes text in GBK. What GBK lacks becomes \uXXXX in JSON, where it
// means the same, and ? for people.
func toGBK(text []byte, isJSON bool) []byte {
	enc := simplifiedchinese.GBK.NewEncoder()
	var out []byte
	for _, r := range string(text) {
		if r < 0x80 {
			out = append(out, byte(r))
			continue
		}
		if b, err := enc.Bytes([]byte(string(r))); err == nil {
			out = append(out, b...)
			continue
		}
		enc.Reset()
		switch {
		case !isJSON:
			out = append(out, '?')
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, hi, lo)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}
