package finance

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/simplifiedchinese"

	"payagent/platforms"
)

// Format is how a table is written.
type Format string

// The formats.
const (
	JSON Format = "json"
	CSV  Format = "csv" // UTF-8 with a byte order mark, which spreadsheets need
	GBK  Format = "gbk" // the same table in GBK
)

// ParseFormat reads a format; json where none is named.
func ParseFormat(s string) (Format, error) {
	switch f := Format(s); f {
	case "":
		return JSON, nil
	case JSON, CSV, GBK:
		return f, nil
	}
	return "", &platforms.FieldError{Field: "format", Reason: "must be json, csv or gbk"}
}

// Type is the media type of a format.
func (f Format) Type() string {
	switch f {
	case CSV:
		return "text/csv; charset=utf-8"
	case GBK:
		return "text/csv; charset=gbk"
	}
	return "application/json"
}

// sheet writes a table. The first error stays.
type sheet struct {
	w    *csv.Writer
	done func() error
	err  error
}

func newSheet(w io.Writer, f Format) *sheet {
	s := &sheet{done: func() error { return nil }}
	if f == GBK {
		enc := encoding.ReplaceUnsupported(simplifiedchinese.GBK.NewEncoder()).Writer(w)
		if c, ok := enc.(io.Closer); ok {
			s.done = c.Close
		}
		w = enc
	} else if _, err := io.WriteString(w, "\ufeff"); err != nil {
		s.err = err
	}
	s.w = csv.NewWriter(w)
	s.w.UseCRLF = true
	return s
}

// row writes one row. A text that a spreadsheet would take for a formula is
// disarmed; numbers are given as fen or counts and stay what they are.
func (s *sheet) row(cells ...any) {
	if s.err != nil {
		return
	}
	rec := make([]string, 0, len(cells))
	for _, c := range cells {
		switch c := c.(type) {
		case int:
			rec = append(rec, strconv.Itoa(c))
		case platforms.Fen:
			rec = append(rec, strconv.FormatInt(int64(c), 10))
		case yuan:
			rec = append(rec, platforms.Fen(c).Yuan())
		default:
			t := fmt.Sprint(c)
			if strings.HasPrefix(t, "=") || strings.HasPrefix(t, "+") || strings.HasPrefix(t, "-") || strings.HasPrefix(t, "@") || strings.HasPrefix(t, "\t") || strings.HasPrefix(t, "\r") {
				t = "'" + t
			}
			rec = append(rec, t)
		}
	}
	s.err = s.w.Write(rec)
}

// yuan is an amount that is written in yuan.
type yuan platforms.Fen

func (s *sheet) flush() error {
	s.w.Flush()
	if s.err == nil {
		s.err = s.w.Error()
	}
	if err := s.done(); s.err == nil {
		s.err = err
	}
	return s.err
}

// WriteSheet writes a report as a table: a row for each wallet, business, till
// and operator, then a sum for each of 当面付-微信, 当面付-支付宝 and the others,
// and the whole.
func (r Report) WriteSheet(w io.Writer, f Format) error {
	s := newSheet(w, f)
	s.row("支付渠道 channel", "业务 business", "收费点 till", "操作员 operator", "姓名 name",
		"收款笔数 payments", "收款金额(元) paid", "退款笔数 refunds", "退款金额(元) refunded", "冲正笔数 reversals", "冲正金额(元) reversed",
		"净额(元) net", "净额(分) net_fen", "未决笔数 unknown", "未决金额(元) unknown_sum", "未入账笔数 unbooked", "未入账金额(元) unbooked_sum")
	put := func(channel, business, till, operator, name string, x Sums) {
		s.row(channel, business, till, operator, name, x.Payments.Count, yuan(x.Payments.Fen), x.Refunds.Count, yuan(x.Refunds.Fen),
			x.Reversals.Count, yuan(x.Reversals.Fen), yuan(x.Net), x.Net, x.Unknown.Count, yuan(x.Unknown.Fen), x.Unbooked.Count, yuan(x.Unbooked.Fen))
	}
	for _, l := range r.Lines {
		put(l.ReportChannel, l.BusinessText.ZH, l.Till, l.Operator, l.OperatorName, l.Sums)
	}
	for _, g := range r.Channels {
		put(g.Text.ZH, "小计 subtotal", "", "", "", g.Sums)
	}
	for _, g := range r.Businesses {
		put("小计 subtotal", g.Text.ZH, "", "", "", g.Sums)
	}
	put("合计 total", "", "", "", "", r.Total)
	return s.flush()
}
