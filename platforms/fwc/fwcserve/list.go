package fwcserve

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"payagent/platforms"
	"payagent/platforms/fwc/internal/message"
	"payagent/platforms/internal/strictxml"
	"payagent/platforms/internal/wire"
)

// held is how much of a list is kept back: until then an error is still told
// as one.
const held = 256 << 10

// firstTime is how long the books may take until the first piece leaves.
const firstTime = 2 * time.Minute

// stepTime is how long one piece of a long list may take to leave.
const stepTime = 30 * time.Second

// list answers IF_Get_Hospital_Trade_List.
func (s *server) list(ctx context.Context, w http.ResponseWriter, call message.Call) {
	if s.cfg.RequireToken && !s.cfg.Token(ctx, platforms.Hide(call.Head.Get("AccessToken"))) {
		s.say(w, call, message.Result{Success: message.TokenRefused, Message: "AccessToken验证失败"})
		return
	}
	q, words := s.span(call.Head)
	if words != "" {
		s.say(w, call, refused(words))
		return
	}
	out := &stream{w: w, call: call}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(firstTime))
	out.put(message.ReplyHead(nil, message.Result{Success: message.Done, Message: "调用成功"}))
	rows := 0
	err := s.books.Trades(ctx, q, func(t platforms.Trade) error {
		rows++
		return out.put(s.row(t))
	})
	if err == nil {
		err = out.end()
	}
	switch {
	case err == nil:
		s.log.Info("answered reconciliation", "call", call.Op, "rows", rows)
	case !out.begun:
		s.log.Error("the books cannot be read", "error", err)
		s.say(w, call, failed())
	default:
		s.log.Error("the list of trades was cut off", "rows", rows, "error", err)
		panic(http.ErrAbortHandler) // the one way to end a transfer that is not complete
	}
}

// span reads what is asked for; words tell what is wrong.
func (s *server) span(head message.Fields) (q platforms.TradeQuery, words string) {
	var ok bool
	for _, f := range []struct {
		name string
		to   *time.Time
	}{{"BeginDate", &q.From}, {"EndDate", &q.To}} {
		if *f.to, ok = message.ReadTime(head.Get(f.name)); !ok {
			return q, f.name + " 缺失或格式错误，应为 yyyy-MM-dd HH:mm:ss"
		}
	}
	if q.To.Before(q.From) {
		return q, "EndDate 早于 BeginDate"
	}
	if s.cfg.MaxRange > 0 && q.To.Sub(q.From) > s.cfg.MaxRange {
		return q, fmt.Sprintf("EndDate 超出范围：一次最多查询 %d 小时", int(s.cfg.MaxRange/time.Hour))
	}
	// Times have whole seconds: a trade of 23:59:59.5 is one of 23:59:59.
	q.To = q.To.Add(time.Second - time.Nanosecond)
	if s.cfg.EndExclusive {
		q.To = q.To.Add(-time.Second)
	}
	if q.Channel, ok = channel(head.Get("PayType")); !ok {
		return q, "PayType 未知"
	}
	q.IncludeUnbooked = s.cfg.IncludeUnbooked
	return q, ""
}

func (s *server) row(t platforms.Trade) string {
	status, amount := "2", t.Amount.Yuan()
	if t.Refunded {
		status = "3"
		if s.cfg.RefundSign == Negative {
			amount = "-" + amount
		}
	}
	var b strings.Builder
	b.WriteString("       <GetHospitalTradeList>\n")
	message.Line(&b, 11, "CardNo", t.CardNo.Reveal())
	message.Line(&b, 11, "PatientName", t.PatientName.Reveal())
	message.Line(&b, 11, "CostType", t.CostType)
	message.Line(&b, 11, "OutTradeStatus", status)
	message.Line(&b, 11, "TradeNo", t.TradeNo)
	message.Line(&b, 11, "Amount", amount)
	message.Line(&b, 11, "OutTradeNo", t.OutTradeNo)
	message.Line(&b, 11, "TradeOptDateTime", message.WriteTime(t.At))
	b.WriteString("       </GetHospitalTradeList>\n")
	return b.String()
}

// stream writes a document piece by piece inside what the call came in.
type stream struct {
	w     http.ResponseWriter
	call  message.Call
	kept  strings.Builder
	begun bool
}

// put adds a piece of the document.
func (s *stream) put(piece string) error {
	if _, _, escape := s.call.Around(); escape {
		piece = strictxml.Escape(piece)
	}
	s.kept.WriteString(piece)
	if s.kept.Len() < held {
		return nil
	}
	return s.flush()
}

// flush sends what was kept.
func (s *stream) flush() error {
	if !s.begun {
		before, _, _ := s.call.Around()
		h := s.w.Header()
		h.Set("Content-Type", s.call.Kind)
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		s.begun = true
		if _, err := s.w.Write([]byte(before)); err != nil {
			return err
		}
	}
	// A reader that takes its time is let; one that does not read is not.
	rc := http.NewResponseController(s.w)
	_ = rc.SetWriteDeadline(time.Now().Add(stepTime))
	if _, err := s.w.Write([]byte(s.kept.String())); err != nil {
		return err
	}
	s.kept.Reset()
	return nil
}

// end closes the document.
func (s *stream) end() error {
	if err := s.put(message.ReplyTail); err != nil {
		return err
	}
	_, after, _ := s.call.Around()
	s.kept.WriteString(after)
	if !s.begun { // short enough to be sent as one
		before, _, _ := s.call.Around()
		s.begun = true
		wire.Answer(s.w, http.StatusOK, s.call.Kind, []byte(before+s.kept.String()))
		return nil
	}
	return s.flush()
}
