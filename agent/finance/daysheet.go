package finance

import (
	"encoding/json"
	"io"
	"time"

	"payagent/agent/reconcile"
	"payagent/agent/words"
	"payagent/platforms"
)

// ClassText is a class in words.
func ClassText(c reconcile.Class) words.Text {
	switch c {
	case reconcile.Equal:
		return words.Text{ZH: "一致", EN: "equal"}
	case reconcile.Long:
		return words.Text{ZH: "长款", EN: "long: money without a booking"}
	case reconcile.Short:
		return words.Text{ZH: "短款", EN: "short: a booking without money"}
	case reconcile.StateDiffers:
		return words.Text{ZH: "状态不一致", EN: "state differs"}
	case reconcile.AmountDiffers:
		return words.Text{ZH: "金额不一致", EN: "amount differs"}
	}
	return words.Text{ZH: "平台未能核对", EN: "the platform could not be asked"}
}

// DayWriter writes a comparison as it comes: rows first, then the totals. A
// table or object without totals was broken off.
type DayWriter struct {
	day   string
	w     io.Writer
	sheet *sheet // nil for JSON
	rows  int
	err   error
}

// NewDayWriter begins a comparison's output.
func NewDayWriter(w io.Writer, f Format, day time.Time) *DayWriter {
	d := &DayWriter{w: w, day: day.In(zone()).Format("2006-01-02")}
	if f == JSON {
		_, d.err = io.WriteString(w, `{"day":"`+d.day+`","rows":[`)
		return d
	}
	d.sheet = newSheet(w, f)
	d.sheet.row("订单号 out_trade_no", "平台流水号 trade_no", "结果 class", "说明 words", "差额(元) diff", "差额(分) diff_fen", "支付渠道 channel", "业务 business",
		"收费点 till", "操作员 operator", "时间 time", "本机状态 journal", "本机收款(分) journal_paid_fen", "本机退款(分) journal_refunded_fen",
		"平台状态 platform", "平台收款(分) platform_paid_fen", "平台退款(分) platform_refunded_fen", "HIS状态 his", "HIS入账(分) his_paid_fen", "HIS退账(分) his_refunded_fen")
	return d
}

type rowView struct {
	_             [0]func()       // never compared: no code is made for it
	OutTradeNo    string          `json:"out_trade_no"`
	TradeNo       string          `json:"trade_no,omitempty"`
	Class         reconcile.Class `json:"class"`
	ClassText     words.Text      `json:"class_text"`
	DiffFen       platforms.Fen   `json:"diff_fen"`
	Channel       string          `json:"channel,omitempty"`
	ReportChannel string          `json:"report_channel"`
	Business      string          `json:"business,omitempty"`
	Till          string          `json:"till,omitempty"`
	Operator      string          `json:"operator,omitempty"`
	At            string          `json:"at,omitempty"`
	Journal       reconcile.Word  `json:"journal"`
	Platform      reconcile.Word  `json:"platform"`
	HIS           reconcile.Word  `json:"his"`
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(zone()).Format("2006-01-02T15:04:05.000Z07:00")
}

// Row writes one row.
func (d *DayWriter) Row(r reconcile.Row) error {
	if d.err != nil {
		return d.err
	}
	d.rows++
	if d.sheet != nil {
		at := ""
		if !r.At.IsZero() {
			at = r.At.In(zone()).Format("2006-01-02 15:04:05")
		}
		known := func(w reconcile.Word) [3]any {
			if !w.Known {
				return [3]any{w.State, "", ""}
			}
			return [3]any{w.State, w.Paid, w.Back}
		}
		j, p, h := known(r.Journal), known(r.Platform), known(r.HIS)
		d.sheet.row(r.No, r.TradeNo, string(r.Class), ClassText(r.Class).ZH, yuan(r.Diff), r.Diff, words.ReportChannel(string(r.Channel)), BusinessText(r.Business).ZH,
			r.Till, r.Operator, at, j[0], j[1], j[2], p[0], p[1], p[2], h[0], h[1], h[2])
		d.sheet.w.Flush()
		return d.sheet.err
	}
	v := rowView{OutTradeNo: r.No, TradeNo: r.TradeNo, Class: r.Class, ClassText: ClassText(r.Class), DiffFen: r.Diff, Channel: string(r.Channel),
		ReportChannel: words.ReportChannel(string(r.Channel)), Business: r.Business, Till: r.Till, Operator: r.Operator, At: stamp(r.At),
		Journal: r.Journal, Platform: r.Platform, HIS: r.HIS}
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if d.rows > 1 {
		data = append([]byte(",\n"), data...)
	}
	_, d.err = d.w.Write(data)
	return d.err
}

// End writes the totals.
func (d *DayWriter) End(t reconcile.Totals) error {
	if d.err != nil {
		return d.err
	}
	if d.sheet != nil {
		for _, c := range reconcile.Classes() {
			s := t.Classes[c]
			d.sheet.row("合计 total", "", string(c), ClassText(c).ZH, yuan(s.Diff), s.Diff, s.Count)
		}
		d.sheet.row("合计 total", "", "orders", "订单数、差额：平台减账面", yuan(t.Platform-t.Books), t.Platform-t.Books, t.Orders)
		return d.sheet.flush()
	}
	data, err := json.Marshal(t)
	if err != nil {
		return err
	}
	_, d.err = d.w.Write(append(append([]byte(`],"totals":`), data...), '}', '\n'))
	return d.err
}
