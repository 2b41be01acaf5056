// Package cli is the door for programs that can only start a process: the
// commands pay, query, cancel, refund and book of payagent (HIS-05). It is a
// client of the running agent's HTTP door like any other and decides nothing
// about money: what it prints is what the agent said, and its exit code is a
// table over the agent's own words.
//
// A request that may move money carries an Idempotency-Key and is repeated
// with the same key where no answer came. Where it stays without an answer the
// outcome is unknown, never failed.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"
)

// The exit codes. Programs compare them; they never change their meaning.
const (
	OK          = 0 // paid; canceled; given back; booked: what was asked for is so
	No          = 1 // it is certain that it is not so: failed or canceled; a cancel that found it paid; a refused refund
	Usage       = 2 // wrong command line, nothing was sent
	Open        = 3 // not decided yet: ask again with query
	InDoubt     = 4 // the agent itself does not know yet and goes on asking: take no cash, ask again
	Unreachable = 5 // no answer from the agent: nothing is known, repeat with the same key or query by bill
	Refused     = 6 // the agent did not take the request: see problem.code
)

// Target is where the agent is and how to come in.
type Target struct {
	Address string // http://host:port or https://host:port
	Token   func() (secret string, err error)
}

// Streams are where a command reads and writes.
type Streams struct {
	In  io.Reader
	Out io.Writer
	Env func(string) string
}

// Verbs are the commands, in the order of the documentation.
func Verbs() []string { return []string{"pay", "query", "cancel", "refund", "book"} }

// Help is what --help prints for all of them.
const Help = `payagent pay|query|cancel|refund|book — for programs that can only start a process  供只能启动外部程序的 HIS 使用

  payagent pay    --bill B --amount 12.34 --order-type TREATMENT [--till T] [--mode charge|present] …  收款
  payagent query  --bill B | --order NO | --trade T     how it stands 查询
  payagent cancel --bill B | --order NO                 撤销
  payagent refund --bill B | --order NO --amount 1.00 --refund-no R --operator ID   退费
  payagent book   --bill B | --order NO --flow-id F | --failed --reason TEXT        HIS 入账回执

  which agent 连接   --config FILE (this machine 本机) | --address http://127.0.0.1:8780 --token-file FILE [--ca FILE]
  output 输出        --json one JSON document 一个 JSON 文档 · --gbk in GBK instead of UTF-8 用 GBK 编码
  waiting 等待       --wait SECONDS (pay 120, cancel and refund 60, query and book 0)
  repeat 重发        --key K  Idempotency-Key; the same key moves money once 相同的键只动一次钱
  amount 金额        --amount 12.34 (yuan 元) or --amount-fen 1234 (分)
  payment code 付款码 --auth-code - (one line of stdin 标准输入一行) or --auth-code env:NAME (环境变量); never the digits themselves 不得写数字本身
  whole request 整体 --request - | FILE  the JSON body of the API instead of the flags below 以 API 的 JSON 请求体代替以下参数
  of the order 订单  --channel --aggregated --out-trade-no --subject --memo --expires --when-offline --valid-for
                     --operator ID --operator-name NAME --patient-name --card-no --card-type --admission-no --phone
                     Other users of this machine can read flags; hand over patients by --request -. 命令行可被本机其他用户看到，患者信息请用 --request -
  booking 入账       --flow-id --cost-type --medical-card --refund-no (of a refund 退费的) --at --failed --reason

exit codes 退出码
  0  paid; canceled; given back; booked                          已支付 / 已撤销 / 已退 / 已入账
  1  certainly not: failed, canceled; refused refund; cancel found it paid   确定没有：失败、已撤销；退费被拒；撤销时已支付
  2  wrong command line, nothing was sent                        命令行有误，什么也没有发出
  3  not decided yet: ask again with query                       还没有结果：再用 query 查询
  4  in doubt: take no cash, ask again                           结果未知：不得收现金，继续查询
  5  no answer from the agent: nothing is known; same key again, or query --bill   代理无应答：结果不明，用同一键重发或按账单查询
  6  refused: see problem.code                                   未受理：见 problem.code
`

// errUsage is wrapped by what is wrong with the command line.
var errUsage = errors.New("wrong command line")

// Run carries one command out and gives the exit code. It prints exactly one
// document. Find gives the target of a configuration file.
func Run(ctx context.Context, verb string, args []string, s Streams, find func(config string) (Target, error)) int {
	f, err := parse(verb, args)
	if err == nil && f.help {
		if _, err = io.WriteString(s.Out, Help); err != nil {
			return Usage
		}
		return OK
	}
	var d document
	if err == nil {
		d, err = f.run(ctx, s, find)
	}
	if err != nil {
		d = mistaken(err)
	}
	if err := d.print(s.Out, f.json, f.gbk); err != nil && d.Exit == OK {
		// Whoever asked cannot know; the order is as it is.
		return Unreachable
	}
	return d.Exit
}

func (f *flags) run(ctx context.Context, s Streams, find func(string) (Target, error)) (document, error) {
	body, err := f.body(s)
	if err != nil {
		return document{}, err
	}
	c, err := f.client(find)
	if err != nil {
		return document{}, err
	}
	c.until = time.Now().Add(f.wait)
	if f.verb == "pay" {
		return c.pay(ctx, f.key, body), nil
	}
	order, d := c.find(ctx, f)
	if order == nil {
		return d, nil
	}
	at := "/v1/orders/" + url.PathEscape(order.No)
	switch f.verb {
	case "query":
		return c.follow(ctx, *order), nil
	case "cancel":
		return c.cancel(ctx, at, body), nil
	case "refund":
		return c.refund(ctx, at, f.key, body), nil
	}
	return c.book(ctx, at, body), nil
}

// pay asks for an order and follows it to its end.
func (c *client) pay(ctx context.Context, key string, body []byte) document {
	a, err := c.insist(ctx, "POST", "/v1/orders", key, body)
	d := c.first(a, err, key)
	if d.order == nil {
		return d
	}
	d = c.follow(ctx, *d.order)
	d.Key = key
	return d
}

// find looks up the order that the flags name: the newest of a bill, since an
// older one of it ended without money or was given back.
func (c *client) find(ctx context.Context, f *flags) (*order, document) {
	if f.order != "" {
		a, err := c.insist(ctx, "GET", "/v1/orders/"+url.PathEscape(f.order), "", nil)
		d := c.first(a, err, "")
		return d.order, d
	}
	by, value := "bill", f.bill
	if f.trade != "" {
		by, value = "trade", f.trade
	}
	a, err := c.insist(ctx, "GET", "/v1/orders?"+url.Values{by: {value}}.Encode(), "", nil)
	if err != nil || a.status >= 300 {
		return nil, c.first(a, err, "")
	}
	list, err := a.orders()
	switch {
	case err != nil:
		return nil, unreachable(err, "")
	case len(list) == 0:
		return nil, refusal("not_found", fmt.Sprintf("没有这样的订单：%s %s", by, value), fmt.Sprintf("there is no order of that %s", by))
	}
	return &list[0], document{}
}

// follow looks at an order until its end or until the wait is over.
func (c *client) follow(ctx context.Context, o order) document {
	for !o.Final {
		next := c.look(ctx, o)
		if next == nil {
			break
		}
		o = *next
	}
	return told(o, c.truth(o))
}

// truth is the exit code of an order's state.
func (*client) truth(o order) int {
	switch o.State {
	case "paid":
		return OK
	case "failed", "canceled":
		return No
	case "in_doubt":
		return InDoubt
	}
	return Open
}

// cancel asks for a cancel and waits until it is settled.
func (c *client) cancel(ctx context.Context, at string, body []byte) document {
	a, err := c.insist(ctx, "POST", at+"/cancel", "", body)
	if code := a.problem().Code; err == nil && (code == "already_final" || code == "use_refunds") {
		// It has ended; how, the order tells.
		a, err = c.insist(ctx, "GET", at, "", nil)
	}
	d := c.first(a, err, "")
	if d.order == nil {
		return d
	}
	d = c.follow(ctx, *d.order)
	switch d.order.State {
	case "canceled", "failed":
		d.Outcome, d.Exit = d.order.State, OK
	case "paid":
		d.Exit = No
	}
	return d
}

// refund asks for money back and waits for its end.
func (c *client) refund(ctx context.Context, at, key string, body []byte) document {
	a, err := c.insist(ctx, "POST", at+"/refunds", key, body)
	if err != nil || a.status >= 300 {
		return c.first(a, err, key)
	}
	o, r, err := a.refund()
	if err != nil {
		return unreachable(err, key)
	}
	for {
		exit := Open
		switch r.State {
		case "done":
			exit = OK
		case "refused", "declined":
			exit = No
		case "in_doubt":
			exit = InDoubt
		}
		d := told(o, exit)
		d.Key, d.Refund = key, r.raw
		d.Outcome, d.Message = "refund_"+r.State, r.StateText
		if exit == OK || exit == No {
			return d
		}
		next := c.look(ctx, o)
		if next == nil {
			return d
		}
		o = *next
		for _, line := range o.Refunds {
			if line.No == r.No {
				r = line
			}
		}
	}
}

// book tells the agent what HIS made of the payment. It needs no key: the
// agent compares what is said.
func (c *client) book(ctx context.Context, at string, body []byte) document {
	a, err := c.insist(ctx, "POST", at+"/booking", "", body)
	d := c.first(a, err, "")
	if d.order != nil {
		d = told(*d.order, OK)
		if s := d.order.Booking.State; s != "" {
			d.Outcome = "booking_" + s
		}
	}
	return d
}
