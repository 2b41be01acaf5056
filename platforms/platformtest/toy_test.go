package platformtest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"payagent/platforms"
	"payagent/platforms/bank"
	"payagent/platforms/bank/wire"
	"payagent/platforms/platformtest"
)

// The toy platform: lines of key=value, closed by a line "end". It exists so
// that the suite can be seen to pass, and, broken on purpose, to fail.

const toyToken = "toy-token-7f3a"

type lines map[string]string

func (l lines) bytes() []byte {
	var b bytes.Buffer
	for _, k := range []string{"op", "token", "no", "amount", "code", "subject", "name", "operator", "merchant", "request", "sum",
		"result", "status", "trade", "action", "total", "qr", "msg"} {
		if v, ok := l[k]; ok {
			fmt.Fprintf(&b, "%s=%s\n", k, url.QueryEscape(v))
		}
	}
	b.WriteString("end\n")
	return b.Bytes()
}

var errFormat = errors.New("not the toy's format")

// parse reads strictly, but for what lax allows.
func parse(b []byte, lax func(string) bool) (lines, error) {
	if !utf8.Valid(b) {
		return nil, errFormat
	}
	out := lines{}
	text := strings.TrimPrefix(string(b), "\ufeff")
	for i, line := range strings.Split(text, "\n") {
		line = strings.Trim(line, " ")
		if line == "end" {
			if strings.TrimSpace(strings.Join(strings.Split(text, "\n")[i+1:], "")) != "" && !lax("accepts trailing bytes") {
				return nil, errFormat
			}
			return out, nil
		}
		k, v, ok := strings.Cut(line, "=")
		if !ok {
			return nil, errFormat
		}
		if _, twice := out[k]; twice && !lax("swallows duplicates") {
			return nil, errFormat
		}
		plain, err := url.QueryUnescape(v)
		if err != nil {
			return nil, errFormat
		}
		out[k] = plain
	}
	if lax("accepts a cut answer") && out["result"] != "" {
		return out, nil
	}
	return nil, errFormat
}

func strict(string) bool { return false }

// toy is the adapter. Wrong names the one rule that it breaks, if any.
type toy struct {
	rt    http.RoundTripper
	wrong string

	mu   sync.Mutex
	last platforms.Answer // of the adapter that mixes tills
}

func (t *toy) is(wrong string) bool { return t.wrong == wrong }

func (t *toy) Traits() platforms.Traits {
	return platforms.Traits{FindsByNumber: true, Channels: []platforms.Channel{platforms.WeChat}}
}

func (t *toy) ask(ctx context.Context, l lines) (lines, error) {
	out, err := t.send(ctx, l)
	if err != nil && l["op"] == bank.OpCharge && t.is("retries pay") {
		out, err = t.send(ctx, l)
	}
	return out, err
}

func (t *toy) send(ctx context.Context, l lines) (lines, error) {
	l["token"] = toyToken
	body := l.bytes()
	address := "http://toy.invalid/pay"
	if t.is("token in the address") {
		address += "?token=" + toyToken
	}
	if t.is("ignores the context") {
		ctx = context.WithoutCancel(ctx)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("cannot make the request: %w", err)
	}
	if !t.is("leaves GetBody") {
		r.GetBody = nil
	}
	r.Close = l["op"] == bank.OpCharge && !t.is("shares the connection")
	if t.is("sends an idempotency key") {
		r.Header.Set("Idempotency-Key", l["no"])
	}
	client := http.Client{Transport: t.rt, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if t.is("follows redirects") {
		client.CheckRedirect = nil
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	}
	resp, err := client.Do(r)
	if err != nil {
		if t.is("leaks code in error") {
			return nil, fmt.Errorf("cannot send %s: %w", body, err)
		}
		if platforms.NeverLeft(err) && (l["op"] == bank.OpCharge || l["op"] == bank.OpPresent) && !t.is("dial failure is unknown") {
			return nil, fmt.Errorf("cannot reach the toy: %w: %w", platforms.ErrNotCharged, err)
		}
		if t.is("every error is not charged") {
			return nil, fmt.Errorf("%w: %w", platforms.ErrNotCharged, err)
		}
		return nil, fmt.Errorf("cannot reach the toy: %w", err)
	}
	if !t.is("leaves bodies open") {
		defer resp.Body.Close()
	}
	limit := int64(wire.MaxReply)
	if t.is("reads huge bodies") {
		limit = 1 << 30
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil && !t.is("uses half a body") {
		return nil, fmt.Errorf("cannot read the answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK && !t.is("ignores the HTTP status") {
		return nil, &status{resp.StatusCode}
	}
	if int64(len(raw)) > limit {
		return nil, errors.New("cannot read the answer: it is too large")
	}
	out, err := parse(raw, t.is)
	if err != nil {
		return nil, fmt.Errorf("cannot read the answer: %w", err)
	}
	switch {
	case out["result"] == "token" && t.is("token is no error"):
	case out["result"] == "token" && (l["op"] == bank.OpCharge || l["op"] == bank.OpPresent):
		return nil, fmt.Errorf("%w: %w", platforms.ErrNotCharged, platforms.ErrToken)
	case out["result"] == "token":
		return nil, platforms.ErrToken
	case out["result"] == "error" && t.is("something wrong is failed"):
		return lines{"result": "ok", "status": "NO", "no": l["no"]}, nil
	case out["result"] == "error":
		return lines{}, nil
	}
	return out, nil
}

type status struct{ code int }

func (s *status) Error() string { return fmt.Sprintf("cannot use HTTP %d", s.code) }

func (t *toy) check(c platforms.Charge) error {
	if err := checkNumber("out_trade_no", c.OrderNo); err != nil {
		return err
	}
	if (c.Amount <= 0 || c.Amount > platforms.MaxFen) && !t.is("sends any amount") {
		return &platforms.FieldError{Field: "amount_fen", Reason: "out of range"}
	}
	if strings.TrimSpace(c.Subject) == "" || !utf8.ValidString(c.Subject) || strings.Contains(c.Subject, "\x00") {
		return &platforms.FieldError{Field: "subject", Reason: "give a readable subject"}
	}
	return nil
}

func checkNumber(field, no string) error {
	ok := no != "" && len(no) <= 32
	for _, r := range no {
		ok = ok && (r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z')
	}
	if !ok {
		return &platforms.FieldError{Field: field, Reason: "1 to 32 of 0-9A-Za-z"}
	}
	return nil
}

func (t *toy) CheckCharge(c platforms.Charge) error { return t.check(c) }

func (t *toy) CheckRefund(r platforms.Refund) error {
	if err := checkNumber("out_trade_no", r.OrderNo); err != nil {
		return err
	}
	if err := checkNumber("request_no", r.RequestNo); err != nil {
		return err
	}
	if r.Sum <= 0 || r.Sum > r.Amount {
		return &platforms.FieldError{Field: "amount_fen", Reason: "from 1 to the order's amount"}
	}
	return nil
}

// yuan writes the amount, or lets a float ruin it.
func (t *toy) yuan(f platforms.Fen) string {
	if t.is("float amounts") {
		var y float64
		_, _ = fmt.Sscan(f.Yuan(), &y)
		f = platforms.Fen(y * 100)
	}
	if t.is("sends fen for yuan") {
		return strconv.FormatInt(int64(f), 10)
	}
	return f.Yuan()
}

func (t *toy) Charge(ctx context.Context, c platforms.Charge) (platforms.Answer, error) {
	if err := t.check(c); err != nil {
		return platforms.Answer{}, err
	}
	if c.Code.Empty() {
		return platforms.Answer{}, &platforms.FieldError{Field: "auth_code", Reason: "scan the code"}
	}
	if t.is("charges twice") {
		defer func() { _, _ = t.send(ctx, lines{"op": bank.OpQuery, "no": c.OrderNo, "merchant": "M1"}) }()
	}
	subject := c.Subject
	if t.is("mangles texts") {
		subject = strings.NewReplacer("&", "", "<", "").Replace(subject)
	}
	out, err := t.ask(ctx, lines{
		"op": bank.OpCharge, "no": c.OrderNo, "amount": t.yuan(c.Amount), "code": c.Code.Reveal(), "subject": subject,
		"name": c.Patient.Name.Reveal(), "operator": c.Operator.ID, "merchant": c.Merchant.Code,
	})
	return t.answer(out, err, c.Code.Reveal())
}

func (t *toy) Presents(m platforms.Mode) bool { return m == platforms.ModePresent }

func (t *toy) Present(ctx context.Context, c platforms.Charge) (platforms.Answer, error) {
	if err := t.check(c); err != nil {
		return platforms.Answer{}, err
	}
	out, err := t.ask(ctx, lines{
		"op": bank.OpPresent, "no": c.OrderNo, "amount": t.yuan(c.Amount), "subject": c.Subject,
		"operator": c.Operator.ID, "merchant": c.Merchant.Code,
	})
	return t.answer(out, err, "")
}

func (t *toy) Query(ctx context.Context, ref platforms.Ref) (platforms.Answer, error) {
	out, err := t.ask(ctx, lines{"op": bank.OpQuery, "no": ref.OrderNo, "merchant": ref.Merchant.Code})
	a, err := t.answer(out, err, "")
	if t.is("not found is failed") && a.Status == platforms.NotFound {
		a.Status = platforms.Failed
	}
	return a, err
}

func (t *toy) answer(out lines, err error, code string) (platforms.Answer, error) {
	var s *status
	switch {
	case t.is("500 is failed") && errors.As(err, &s):
		return platforms.Answer{Status: platforms.Failed}, nil
	case t.is("404 is not found") && errors.As(err, &s) && s.code == http.StatusNotFound:
		return platforms.Answer{Status: platforms.NotFound}, nil
	case t.is("lost reply is failed") && err != nil && !errors.Is(err, platforms.ErrNotCharged):
		return platforms.Answer{Status: platforms.Failed}, nil
	case err != nil:
		return platforms.Answer{}, err
	}
	a := platforms.Answer{
		OrderNo: out["no"], TradeNo: out["trade"], Merchant: out["merchant"], QR: out["qr"],
		Code: out["status"], Message: out["msg"],
	}
	if code != "" && !t.is("hands on messages") {
		a.Message = strings.ReplaceAll(a.Message, code, "…")
	}
	if out["amount"] != "" {
		if a.Amount, err = platforms.ParseYuan(out["amount"]); err != nil {
			return platforms.Answer{}, fmt.Errorf("cannot read the answer: %w", err)
		}
		a.HasAmount = !t.is("ignores amount")
	}
	if t.is("ignores amount") {
		a.Amount = 0
	}
	if t.is("binds nothing") {
		return platforms.Answer{Status: map[string]platforms.Status{"PAID": platforms.Paid, "WAIT": platforms.Pending}[out["status"]]}, nil
	}
	if t.is("trusts any number") {
		a.OrderNo = ""
	}
	if t.is("trusts any merchant") {
		a.Merchant = ""
	}
	switch out["status"] {
	case "PAID":
		a.Status = platforms.Paid
	case "WAIT":
		a.Status = platforms.Pending
		if t.is("pending is failed") {
			a.Status = platforms.Failed
		}
	case "NONE":
		a.Status = platforms.NotFound
	case "NO":
		a.Status = platforms.Failed
	case "CLOSED":
		a.Status = platforms.Closed
		if t.is("closed is paid") {
			a.Status = platforms.Paid
		}
	case "", "ERROR":
	default:
		if t.is("any other word is paid") {
			a.Status = platforms.Paid
		}
	}
	if t.is("mixes tills") {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.last.OrderNo != "" {
			a = t.last
		}
		t.last = a
	}
	return a, nil
}

func (t *toy) Cancel(ctx context.Context, ref platforms.Ref) (platforms.Cancellation, error) {
	out, err := t.ask(ctx, lines{"op": bank.OpCancel, "no": ref.OrderNo, "merchant": ref.Merchant.Code})
	if t.is("cancel is always done") {
		return platforms.Cancellation{Done: true, Action: platforms.ActionUnknown}, nil
	}
	if err != nil {
		return platforms.Cancellation{}, err
	}
	c := platforms.Cancellation{OrderNo: out["no"], Action: platforms.CancelAction(out["action"]), Code: out["status"]}
	if t.is("every cancel is a close") && c.Action != "" {
		c.Action = platforms.ActionClose
	}
	c.Done = out["result"] == "ok" && (out["status"] != "NONE" || t.is("refused cancel is done"))
	return c, nil
}

func (t *toy) Refund(ctx context.Context, r platforms.Refund) (platforms.Refunded, error) {
	if err := t.CheckRefund(r); err != nil && !t.is("refunds any sum") {
		return platforms.Refunded{}, err
	}
	number := r.RequestNo
	if t.is("refund with new number") {
		t.mu.Lock()
		t.last.Amount++
		number = fmt.Sprintf("%s%d", number, t.last.Amount)
		t.mu.Unlock()
	}
	out, err := t.ask(ctx, lines{"op": bank.OpRefund, "no": r.OrderNo, "request": number, "sum": t.yuan(r.Sum), "merchant": r.Merchant.Code})
	if err != nil {
		return platforms.Refunded{}, err
	}
	res := platforms.Refunded{OrderNo: out["no"], Code: out["status"]}
	if total, err := platforms.ParseYuan(out["total"]); err == nil {
		res.Total, res.HasTotal = total, true
	}
	if t.is("reports the sum, not the total") {
		res.Total = r.Sum
	}
	switch {
	case out["status"] == "DONE", t.is("refused refund is done") && out["status"] == "REFUSED":
		res.Status = platforms.RefundDone
	case out["status"] == "REFUSED":
		res.Status = platforms.RefundRefused
	}
	return res, nil
}

func (t *toy) Probe(ctx context.Context) error {
	if t.is("probe is always well") {
		return nil
	}
	_, err := t.send(ctx, lines{"op": bank.OpQuery, "no": "PROBE", "merchant": "M1"})
	return err
}

// toyWire is the toy's simulator.
func toyWire(b *bank.Bank, ctl *platformtest.Control) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		in, err := parse(raw, strict)
		if err != nil || r.Method != http.MethodPost {
			http.Error(w, "bad request", http.StatusBadRequest)
			return
		}
		call := wire.Call{Op: in["op"], OrderNo: in["no"], Code: in["code"], Fields: map[string]string{
			"subject": in["subject"], "patient.name": in["name"], "operator.id": in["operator"], "merchant": in["merchant"], "request_no": in["request"],
		}}
		for _, k := range []string{"amount", "sum"} {
			if in[k] != "" {
				if call.Amount, err = platforms.ParseYuan(in[k]); err != nil {
					http.Error(w, "bad amount", http.StatusBadRequest)
					return
				}
			}
		}
		ctl.Answer(w, r, call, func(turn wire.Turn) wire.Reply {
			return wire.Reply{Type: "text/plain; charset=utf-8", Body: toyReply(b, turn, in, call).bytes()}
		})
	})
}

func toyReply(b *bank.Bank, turn wire.Turn, in lines, call wire.Call) lines {
	if turn.Fault == bank.Token || in["token"] != toyToken {
		return lines{"result": "token", "status": "ERROR"}
	}
	out := lines{"result": "ok", "no": call.OrderNo}
	req := bank.Request{OrderNo: call.OrderNo, Merchant: in["merchant"], Amount: call.Amount, Channel: platforms.WeChat}
	switch call.Op {
	case bank.OpCharge:
		out.trade(b.Charge(turn.Now, req, turn.Payer), true)
	case bank.OpPresent:
		out.trade(b.Present(turn.Now, req), false)
		out["qr"] = "toy://pay/" + call.OrderNo
	case bank.OpQuery:
		if t, ok := b.Query(turn.Now, call.OrderNo); ok {
			out.trade(t, false)
		} else {
			out["status"] = "NONE"
		}
	case bank.OpCancel:
		c := b.Cancel(turn.Now, call.OrderNo)
		out["action"] = c.Action
		if !c.Done {
			out["status"] = "NONE"
		}
	case bank.OpRefund:
		res := b.Refund(turn.Now, call.OrderNo, in["request"], call.Amount)
		out["status"] = "REFUSED"
		if res.Done {
			out["status"] = "DONE"
		}
		out["total"] = res.Total.Yuan()
	}
	switch turn.Fault {
	case bank.WrongAmount:
		out["amount"] = "88.89"
	case bank.WrongOrder:
		out["no"] += "X"
	case bank.WrongMerchant:
		out["merchant"] = "M2"
	case bank.OddStatus:
		out["status"] = "PAID_MAYBE"
	case bank.Leak:
		if call.Code == "" {
			break
		}
		out["msg"] = "code " + call.Code + " used"
	case bank.IsSuccess2:
		return lines{"result": "error", "status": "ERROR"}
	}
	return out
}

func (l lines) trade(t bank.Trade, charge bool) {
	l["merchant"], l["trade"], l["amount"] = t.Merchant, t.TradeNo, t.Amount.Yuan()
	switch {
	case charge && t.Refusal != "":
		l["status"] = "NO"
	case t.State == bank.Paid:
		l["status"] = "PAID"
	case t.State == bank.Unpaid:
		l["status"] = "WAIT"
	default:
		l["status"] = "CLOSED"
	}
}

// toySubject is the toy under test, broken in one way if wrong is not empty.
func toySubject(wrong string) platformtest.Subject {
	twice := func(good []byte) []byte {
		return append([]byte("status=WAIT\nresult=error\n"), good...)
	}
	return platformtest.Subject{
		Name:    "toy",
		Open:    func(rt http.RoundTripper) (platforms.Platform, error) { return &toy{rt: rt, wrong: wrong}, nil },
		Wire:    toyWire,
		Secrets: []string{toyToken},
		Charge: func(mode platforms.Mode, no string, amount platforms.Fen) platforms.Charge {
			c := platforms.Charge{
				Ref: platforms.Ref{
					OrderNo: no, Amount: amount, Mode: mode, Merchant: platforms.Merchant{Profile: "main", Code: "M1"},
					Operator: platforms.Operator{ID: "0815", Name: "收费员甲"},
				},
				Subject: "门诊缴费", Channel: platforms.WeChat,
				Patient: platforms.Patient{Name: platforms.Hide("患者某某"), CardNo: platforms.Hide("K-99887766")},
			}
			if mode == platforms.ModeCharge {
				c.Code = platforms.AuthCode{Hidden: platforms.Hide("134567890123456789"), Kind: platforms.KindWeChat}
			}
			return c
		},
		Fields: []platformtest.FieldRule{{
			Field: "subject", Why: "a QR order needs a subject too", Mode: platforms.ModePresent,
			Break: func(c *platforms.Charge) { c.Subject = "" },
		}},
		Attacks: map[string]func([]byte) []byte{
			platformtest.AttackDuplicate: twice,
			platformtest.AttackTrailing:  func(good []byte) []byte { return append(bytes.Clone(good), "status=PAID\n"...) },
			platformtest.AttackCharset:   func(good []byte) []byte { return append([]byte("msg=\xd5\xc5\n"), good...) },
		},
		Variants: map[string]func([]byte) []byte{
			platformtest.VariantBOM: func(good []byte) []byte { return append([]byte("\ufeff"), good...) },
			platformtest.VariantSpaced: func(good []byte) []byte {
				return bytes.ReplaceAll(good, []byte("\n"), []byte("  \n"))
			},
		},
		Excuses: map[string]string{
			platformtest.AttackDeep: "lines do not nest",
			platformtest.AttackDTD:  "lines have no DOCTYPE",
			platformtest.VariantGBK: "lines are UTF-8",
			"query/leak":            "a query carries no code that an answer could repeat",
		},
	}
}
