package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"payagent/agent/config"
	"payagent/agent/timeline"
	"payagent/platforms"
)

// row is what these commands need of an order of the API.
type row struct {
	_         [0]func()     // never compared: no code is made for it
	No        string        `json:"out_trade_no"`
	Bill      string        `json:"bill"`
	State     string        `json:"state"`
	StateText text          `json:"state_text"`
	Amount    platforms.Fen `json:"amount_fen"`
	Till      string        `json:"till"`
	Channel   string        `json:"channel"`
	TradeNo   string        `json:"trade_no"`
	CreatedAt string        `json:"created_at"`
	AgeMS     int64         `json:"age_ms"`
	Message   text          `json:"message"`
}

type text struct {
	ZH string `json:"zh"`
	EN string `json:"en"`
}

func rows(ctx context.Context, c config.Config, query url.Values) ([]row, error) {
	cl, err := newClient(c)
	if err != nil {
		return nil, err
	}
	defer func() { _ = cl.close() }()
	data, err := cl.ask(ctx, c, http.MethodGet, "/v1/orders?"+query.Encode())
	if err != nil {
		return nil, err
	}
	var list struct {
		Orders []row `json:"orders"`
	}
	return list.Orders, json.Unmarshal(data, &list)
}

func listOrders(ctx context.Context, c config.Config, o options, out io.Writer) error {
	query := url.Values{"state": {"open"}}
	switch {
	case o.bill != "":
		query = url.Values{"bill": {o.bill}}
	case o.trade != "":
		query = url.Values{"trade": {o.trade}}
	}
	list, err := rows(ctx, c, query)
	if err != nil {
		return err
	}
	for _, r := range list {
		if _, err := fmt.Fprintf(out, "%-32s %-10s %10s 元  %-10s %-12s %s  %s\n", r.No, r.State, r.Amount.Yuan(), r.Till, r.Channel, r.CreatedAt, r.Bill); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(out, "%d 笔 orders\n", len(list))
	return err
}

// listQueue prints what waits: every order that still owes something.
func listQueue(ctx context.Context, c config.Config, out io.Writer) error {
	list, err := rows(ctx, c, url.Values{"state": {"owed"}})
	if err != nil {
		return err
	}
	for _, r := range list {
		age := (time.Duration(r.AgeMS) * time.Millisecond).Round(time.Second)
		why := r.Message.ZH
		if why != r.StateText.ZH {
			why = r.StateText.ZH + "：" + why
		}
		if _, err := fmt.Fprintf(out, "%-32s %-10s %8s  %10s 元  %s\n", r.No, r.State, age, r.Amount.Yuan(), why); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(out, "%d 笔待处理 waiting\n", len(list))
	return err
}

func showOrder(ctx context.Context, c config.Config, o options, out io.Writer) error {
	data, err := aboutOrder(ctx, c, o, "")
	if err != nil {
		return err
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, data, "", "  "); err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, pretty.String())
	return err
}

func explainOrder(ctx context.Context, c config.Config, o options, out io.Writer) error {
	data, err := aboutOrder(ctx, c, o, "/timeline")
	if err != nil {
		return err
	}
	var body struct {
		Lines   []timeline.Line `json:"lines"`
		TraceID string          `json:"trace_id"`
	}
	if err := json.Unmarshal(data, &body); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s追踪号 trace: %s\n", timeline.Text(body.Lines), body.TraceID)
	return err
}

func aboutOrder(ctx context.Context, c config.Config, o options, what string) ([]byte, error) {
	if len(o.args) != 1 {
		return nil, fmt.Errorf("%w: name one order number\n\n%s", errUsage, usage)
	}
	cl, err := newClient(c)
	if err != nil {
		return nil, err
	}
	defer func() { _ = cl.close() }()
	return cl.ask(ctx, c, http.MethodGet, "/v1/orders/"+url.PathEscape(o.args[0])+what)
}

func resolveAll(ctx context.Context, c config.Config, out io.Writer) error {
	cl, err := newClient(c)
	if err != nil {
		return err
	}
	if _, err := cl.ask(ctx, c, http.MethodPost, "/v1/resolve"); err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, "已开始处理全部待处理订单 everything that waits is being resolved now")
	return err
}
