package reconcile

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"

	"payagent/platforms"
)

// File is a statement of one day: the platform's, or HIS's own.
type File struct {
	orders map[string][]line
	Lines  int
}

type line struct {
	Move
	TradeNo string
	Channel platforms.Channel
}

// ErrFile is wrapped when a file cannot be read as a statement.
var ErrFile = errors.New("the file is no statement that can be compared")

// columns are the names under which the columns of a statement are known: our
// own, and those of the wallets' downloads. Blanks and the case do not matter.
func columns() map[string][]string {
	return map[string][]string{
		"order":     {"out_trade_no", "order", "商户订单号", "外部订单编号", "订单号", "outtradeno"},
		"trade":     {"trade_no", "tradeno", "支付平台订单号", "微信订单号", "支付宝交易号", "交易流水号", "transaction_id"},
		"kind":      {"type", "kind", "status", "业务类型", "类型", "交易类型", "交易状态", "医院交易状态", "outtradestatus"},
		"fen":       {"amount_fen", "金额(分)", "金额（分）"},
		"yuan":      {"amount", "totalamount", "金额", "金额(元)", "金额（元）", "订单金额", "订单金额(元)", "订单金额（元）", "应结订单金额", "总金额"},
		"back_yuan": {"refund_amount", "退款金额", "申请退款金额"},
		"refund_no": {"refund_no", "out_request_no", "商户退款单号", "退款批次号/请求号", "退款单号", "退款请求号"},
		"channel":   {"channel", "pay_type", "paytype", "支付类型", "支付方式", "支付渠道"},
		"time":      {"time", "datetime", "tradeoptdatetime", "交易时间", "完成时间", "订单操作时间", "付款时间", "入账时间"},
	}
}

const (
	maxFile  = 64 << 20
	maxLines = 1_000_000
)

// Parse reads a statement: CSV in UTF-8 (with or without BOM) or GBK, with a
// line of column names somewhere at its beginning. It needs the order number,
// an amount in fen or yuan, and for refunds a kind or an amount of their own.
// Errors wrap ErrFile and say line and column, never a value.
func Parse(r io.Reader) (*File, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read the statement: %w", err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("cannot read the statement: it is larger than %d MiB: %w", maxFile>>20, ErrFile)
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(data) {
		if data, err = simplifiedchinese.GB18030.NewDecoder().Bytes(data); err != nil || bytes.ContainsRune(data, utf8.RuneError) {
			return nil, fmt.Errorf("cannot read the statement: it is neither UTF-8 nor GBK: %w", ErrFile)
		}
	}
	c := csv.NewReader(bytes.NewReader(data))
	c.FieldsPerRecord, c.LazyQuotes, c.TrimLeadingSpace = -1, true, true
	f := &File{orders: map[string][]line{}}
	var at map[string]int
	for {
		rec, err := c.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		n, _ := 0, 0
		if len(rec) > 0 {
			n, _ = c.FieldPos(0)
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read the statement: it is not CSV near line %d: %w", n, ErrFile)
		}
		if at == nil {
			at = head(rec)
			continue
		}
		if f.Lines++; f.Lines > maxLines {
			return nil, fmt.Errorf("cannot read the statement: it has more than %d lines: %w", maxLines, ErrFile)
		}
		if err := f.take(rec, at); err != nil {
			return nil, fmt.Errorf("cannot read the statement: line %d: %w", n, err)
		}
	}
	if at == nil {
		return nil, fmt.Errorf("cannot read the statement: no line names the columns; it needs out_trade_no (商户订单号) and amount_fen or amount (金额): %w", ErrFile)
	}
	return f, nil
}

// head finds the columns; nil for a line that does not name them.
func head(rec []string) map[string]int {
	at := map[string]int{}
	for i, cell := range rec {
		name := strings.ToLower(strings.Join(strings.Fields(plain(cell)), ""))
		for what, names := range columns() {
			if _, have := at[what]; !have && slices.Contains(names, name) {
				at[what] = i
			}
		}
	}
	_, order := at["order"]
	_, fen := at["fen"]
	_, yuan := at["yuan"]
	if !order || !fen && !yuan {
		return nil
	}
	return at
}

// plain takes off what the wallets put around values so that spreadsheets leave
// them alone.
func plain(cell string) string { return strings.Trim(cell, " \t\r\n`'\u3000\ufeff") }

func (f *File) take(rec []string, at map[string]int) error {
	cell := func(what string) string {
		if i, ok := at[what]; ok && i < len(rec) {
			return plain(rec[i])
		}
		return ""
	}
	no := cell("order")
	if no == "" || strings.HasPrefix(no, "#") || len(no) > 64 {
		return nil // sums and remarks at the end
	}
	l := line{TradeNo: cell("trade"), Channel: channel(cell("channel"))}
	kind, ok := kindOf(cell("kind"))
	if !ok {
		return fmt.Errorf("%w: the kind of movement is none that is known; write 支付 or 退款 (2 or 3)", ErrFile)
	}
	amount, err := amountOf(cell("fen"), cell("yuan"))
	if err != nil {
		return err
	}
	back, err := amountOf("", cell("back_yuan"))
	if err != nil {
		return err
	}
	switch {
	case kind == nothing:
		return nil
	case kind == refund && back != 0:
		amount = back
	case kind == unsaid && back != 0 && amount == 0:
		kind, amount = refund, back
	}
	l.Refund = kind == refund || amount < 0
	if l.Amount = amount; amount < 0 {
		l.Amount = -amount
	}
	if l.Refund {
		l.RefundNo = cell("refund_no")
	}
	if s := cell("time"); s != "" {
		if l.At, err = timeOf(s); err != nil {
			return err
		}
	}
	if l.Amount == 0 {
		return nil
	}
	f.orders[no] = append(f.orders[no], l)
	return nil
}

type kind int

const (
	unsaid kind = iota
	pay
	refund
	nothing // a line about no money
)

func kindOf(s string) (kind, bool) {
	switch strings.ToLower(s) {
	case "":
		return unsaid, true
	case "2", "pay", "paid", "payment", "charge", "success", "trade_success", "trade_finished", "支付", "付款", "交易", "消费", "收费", "已付款", "买家已支付":
		return pay, true
	case "3", "refund", "refunded", "退款", "退费", "已退款":
		return refund, true
	case "revoked", "closed", "撤销", "已撤销", "trade_closed", "notpay":
		return nothing, true
	}
	return unsaid, false
}

func amountOf(fen, yuan string) (platforms.Fen, error) {
	bad := fmt.Errorf("%w: the amount is no amount", ErrFile)
	text := strings.NewReplacer(",", "", "¥", "", "￥", "").Replace(yuan)
	negative := false
	if fen != "" {
		text = fen
	}
	text = strings.TrimPrefix(text, "+")
	if rest, ok := strings.CutPrefix(text, "-"); ok {
		text, negative = rest, true
	}
	if text == "" {
		return 0, nil
	}
	var v platforms.Fen
	var err error
	if fen != "" {
		v, err = platforms.ParseFen(text)
	} else {
		v, err = platforms.ParseYuan(text)
	}
	if err != nil {
		return 0, bad
	}
	if negative {
		v = -v
	}
	return v, nil
}

// channel reads the word for a wallet in any of the spellings that the
// documents use; empty for others, which are then not told apart.
func channel(s string) platforms.Channel {
	switch strings.ToLower(s) {
	case "wechat", "weixin", "微信", "微信支付", "当面付-微信":
		return platforms.WeChat
	case "alipay", "支付宝", "当面付-支付宝":
		return platforms.Alipay
	case "unionpay", "云闪付", "当面付-云闪付":
		return platforms.UnionPay
	case "ecny", "dc", "数字货币", "数字人民币", "当面付-数字人民币":
		return platforms.ECNY
	}
	return ""
}

func timeOf(s string) (time.Time, error) {
	for _, form := range []string{"2006-01-02 15:04:05", time.RFC3339, "2006/1/2 15:04:05", "2006/1/2 15:04", "20060102150405", "2006-01-02"} {
		if t, err := time.ParseInLocation(form, s, zone()); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%w: the time is none; write 2006-01-02 15:04:05", ErrFile)
}

func zone() *time.Location { return time.FixedZone("UTC+8", 8*60*60) }

// word is what a file says of an order, the journal speaking for other days.
func (f *File) word(o Order, day time.Time) Word {
	lines := f.orders[o.No]
	w := Word{Known: true, State: "absent"}
	paidHere := false
	used := make([]bool, len(o.Moves))
	for _, l := range lines {
		if l.Refund {
			w.Back += l.Amount
			use(o.Moves, used, l, day)
		} else {
			w.Paid, paidHere = w.Paid+l.Amount, true
		}
	}
	for i, m := range o.Moves {
		switch {
		case sameDay(m.At, day) || used[i]:
		case m.Refund:
			w.Back += m.Amount
		case !paidHere: // a payment near midnight may stand on either day
			w.Paid += m.Amount
		}
	}
	switch {
	case len(lines) == 0 && w.Money == (Money{}):
	case w.Back > 0 && w.Net() == 0:
		w.State = "refunded"
	case w.Back > 0:
		w.State = "partly_refunded"
	case w.Paid > 0:
		w.State = "paid"
	}
	return w
}

// use finds the journal's refund that a line tells of: by its number, else by
// its amount, of that day before others.
func use(moves []Move, used []bool, l line, day time.Time) {
	fits := []func(Move) bool{
		func(m Move) bool { return l.RefundNo != "" && m.RefundNo == l.RefundNo },
		func(m Move) bool { return m.Amount == l.Amount && sameDay(m.At, day) },
		func(m Move) bool { return m.Amount == l.Amount },
	}
	for _, fit := range fits {
		for i, m := range moves {
			if m.Refund && !used[i] && fit(m) {
				used[i] = true
				return
			}
		}
	}
}

func sameDay(t, day time.Time) bool {
	y, m, d := t.In(zone()).Date()
	y2, m2, d2 := day.In(zone()).Date()
	return y == y2 && m == m2 && d == d2
}
