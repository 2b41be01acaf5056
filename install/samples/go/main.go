// Command go is the sample for HIS written in Go: a payment taken, booked and
// partly given back, and one that the payer never makes. It uses the standard
// library alone. How to run it: see README.md one folder up.
package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// order is the part of an order that HIS needs.
type order struct {
	No    string `json:"out_trade_no"`
	Rev   int    `json:"rev"`
	State string `json:"state"`
	Final bool   `json:"final"`
	Cash  struct {
		Answer string `json:"answer"`
	} `json:"safe_to_take_cash"`
	Refunds []struct {
		No    string `json:"refund_no"`
		State string `json:"state"`
	} `json:"refunds"`
}

// refusal is an answer of the agent that says no, with its code.
type refusal struct{ Code, Title string }

// Error tells why.
func (r refusal) Error() string { return r.Code + ": " + r.Title }

// agent is the way to the agent.
type agent struct{ base, token string }

// ask makes one request and repeats it with the same key while no answer
// comes: what was sent may have been carried out, so an error is "unknown",
// never "failed".
func (a agent) ask(method, path, key string, body, into any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(500 * time.Millisecond) {
		if err = a.once(method, path, key, text, into); err == nil {
			return nil
		}
		if r := (refusal{}); errors.As(err, &r) && r.Code != "shutting_down" && r.Code != "too_many_requests" {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("unknown, take no cash and ask again later: %w", err)
		}
	}
}

func (a agent) once(method, path, key string, text []byte, into any) error {
	req, err := http.NewRequest(method, a.base+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+a.token)
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	client := http.Client{Timeout: 75 * time.Second} // a long poll is answered within 60 s
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		var r refusal
		if json.Unmarshal(data, &r) != nil || r.Code == "" {
			return fmt.Errorf("this is no answer of the agent: %s", resp.Status)
		}
		return r
	}
	return json.Unmarshal(data, into)
}

// follow waits for an order's end, at most so long.
func (a agent) follow(o order, wait time.Duration, done func(order) bool) (order, error) {
	for deadline := time.Now().Add(wait); !done(o) && time.Now().Before(deadline); {
		left := min(time.Until(deadline), 30*time.Second)
		path := "/v1/orders/" + o.No + "?rev=" + strconv.Itoa(o.Rev) + "&wait=" + strconv.FormatInt(left.Milliseconds()+1, 10) + "ms"
		if err := a.ask("GET", path, "", nil, &o); err != nil {
			return o, err
		}
	}
	return o, nil
}

func ended(o order) bool { return o.Final }

type object = map[string]any

func run() error {
	token, err := os.ReadFile(os.Getenv("PAYAGENT_TOKEN_FILE"))
	if err != nil {
		return err
	}
	a := agent{"http://" + os.Getenv("PAYAGENT_ADDRESS"), strings.TrimSpace(string(token))}
	bill := os.Getenv("PAYAGENT_BILL")
	cashier := object{"id": "1001", "name": "王收费"}
	request := object{"bill": bill + "-1", "amount_fen": 1230, "mode": "charge", "order_type": "TREATMENT", "till": os.Getenv("PAYAGENT_TILL"),
		"subject": "门诊缴费", "operator": cashier, "patient": object{"name": "张三", "card_no": "C0001"}}
	if code := os.Getenv("PAYAGENT_CODE_1"); code != "" { // HIS scanned it; else the till's scanner does
		request["auth_code"] = code
	}

	// 1. Take the payment. HIS keeps the key with the bill before it asks.
	key := rand.Text()
	var o order
	if err := a.ask("POST", "/v1/orders", key, request, &o); err != nil {
		return err
	}
	if o, err = a.follow(o, 2*time.Minute, ended); err != nil {
		return err
	}
	if o.State != "paid" {
		return fmt.Errorf("not paid but %s; cash: %s", o.State, o.Cash.Answer)
	}
	fmt.Println("PAID", o.No)
	var again order // the same key is the same order, however often
	if err := a.ask("POST", "/v1/orders", key, request, &again); err != nil || again.No != o.No {
		return fmt.Errorf("the key gave another order: %s %w", again.No, err)
	}
	// 2. HIS books it and says so. "failed" would give the money back at once.
	if err := a.ask("POST", "/v1/orders/"+o.No+"/booking", "", object{"result": "booked", "his_flow_id": bill + "-F1", "cost_type": "自费"}, &o); err != nil {
		return err
	}
	fmt.Println("BOOKED", o.No)
	// 3. Give a part back.
	refundNo := "R" + strings.ReplaceAll(o.No, "-", "")[:12]
	var back struct {
		Refund object `json:"refund"`
		Order  order  `json:"order"`
	}
	refund := object{"amount_fen": 230, "operator": cashier, "reason": "退部分项目", "refund_no": refundNo}
	if err := a.ask("POST", "/v1/orders/"+o.No+"/refunds", rand.Text(), refund, &back); err != nil {
		return err
	}
	state := func(o order) string {
		for _, r := range o.Refunds {
			if r.No == refundNo {
				return r.State
			}
		}
		return ""
	}
	o, err = a.follow(back.Order, time.Minute, func(o order) bool { s := state(o); return s == "done" || s == "refused" })
	if err != nil || state(o) != "done" {
		return fmt.Errorf("the refund is %s: %w", state(o), err)
	}
	fmt.Println("REFUNDED", refundNo)
	// 4. A payer who does not pay: the cashier looks at the verdict, cancels,
	// and takes cash only when the agent says yes.
	request["bill"], request["amount_fen"] = bill+"-2", 501
	if code := os.Getenv("PAYAGENT_CODE_2"); code != "" {
		request["auth_code"] = code
	}
	if err := a.ask("POST", "/v1/orders", rand.Text(), request, &o); err != nil {
		return err
	}
	if o, err = a.follow(o, 300*time.Millisecond, ended); err != nil {
		return err
	}
	if o.Cash.Answer == "yes" {
		return errors.New("cash is safe while the payer may still pay?")
	}
	fmt.Println("NO CASH", o.State)
	if err := a.ask("POST", "/v1/orders/"+o.No+"/cancel", "", object{"operator": cashier, "reason": "患者改付现金"}, &o); err != nil {
		return err
	}
	if o, err = a.follow(o, 2*time.Minute, ended); err != nil {
		return err
	}
	if o.State == "paid" {
		return errors.New("paid in the last moment: book it, take no cash")
	}
	fmt.Println("CANCELED", o.No)
	if o.Cash.Answer != "yes" {
		return errors.New("take no cash yet")
	}
	fmt.Println("CASH OK")
	// 5. After a crash: the bill tells what became of it.
	var found struct {
		Orders []order `json:"orders"`
	}
	if err := a.ask("GET", "/v1/orders?bill="+url.QueryEscape(bill+"-1"), "", nil, &found); err != nil || len(found.Orders) != 1 {
		return fmt.Errorf("%d orders of the bill: %w", len(found.Orders), err)
	}
	fmt.Println("FOUND", found.Orders[0].State)
	return nil
}

func main() {
	if err := run(); err != nil {
		fmt.Println("ERROR", err)
		os.Exit(1)
	}
}
