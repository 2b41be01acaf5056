package audit

import (
	"cmp"
	"encoding/json"
	"strings"
	"time"

	"payagent/queue"
)

// describe makes the line of one record, but for its place in the chain. It
// takes what it knows by name from wherever it stands in the record, so that a
// kind of fact that is newer than this package is described as far as it
// speaks the same words. A record it cannot read is told by its digest alone.
func describe(e queue.Entry) Line {
	l := Line{Seq: uint64(e.Seq), Order: e.Stream, Kind: "unreadable"}
	var top map[string]json.RawMessage
	if json.Unmarshal(e.Data, &top) != nil {
		return l
	}
	var head struct {
		Kind   string `json:"kind"`
		Reason string `json:"reason"` // a fact's own reason is a stable code
		At     struct {
			Wall int64 `json:"wall"`
		} `json:"at"`
	}
	if json.Unmarshal(e.Data, &head) != nil {
		return l
	}
	l.Kind, l.At = word(head.Kind), time.UnixMilli(head.At.Wall).In(zone()).Format("2006-01-02T15:04:05.000Z07:00")
	note := strings.HasPrefix(e.Stream, "note:")
	if !note {
		l.Reason = word(head.Reason)
	}
	for name, raw := range top {
		var part map[string]json.RawMessage
		if name == "at" || json.Unmarshal(raw, &part) != nil {
			continue
		}
		l.take(part)
		var ok bool
		if json.Unmarshal(part["ok"], &ok) == nil {
			l.Outcome = map[bool]string{true: "yes", false: "no"}[ok]
		}
		if name == "ended" {
			l.Reason = text(part["reason"])
		}
		if note {
			l.Subject, l.Token = cmp.Or(text(part["subject"]), text(part["what"])), text(part["token"])
			if no := cmp.Or(text(part["order"]), text(part["order_no"])); no != "" {
				l.Order = no
			}
		}
	}
	return l
}

// take fills a line from one part of a record. What people typed (reasons,
// memos) and what belongs to patients is not among the names.
func (l *Line) take(part map[string]json.RawMessage) {
	put := func(to *string, names ...string) {
		for _, n := range names {
			if s := text(part[n]); s != "" {
				*to = s
			}
		}
	}
	put(&l.Till, "till")
	put(&l.Verb, "verb")
	put(&l.Status, "status", "state")
	put(&l.Outcome, "outcome")
	put(&l.Action, "action")
	put(&l.Request, "request", "refund")
	put(&l.TradeNo, "trade_no")
	put(&l.FlowID, "flow_id")
	for _, n := range []string{"amount_fen", "sum_fen"} {
		var v int64
		if json.Unmarshal(part[n], &v) == nil && v != 0 {
			l.AmountFen = v
		}
	}
	var auto bool
	if json.Unmarshal(part["auto"], &auto) == nil && auto {
		l.Auto = true
	}
	var who struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}
	if json.Unmarshal(part["operator"], &who) == nil && who.ID != "" {
		l.Operator, l.Name = clip(who.ID), clip(who.Name)
	}
}

// text reads a short text; empty for anything else.
func text(raw json.RawMessage) string {
	var s string
	if len(raw) == 0 || json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return clip(s)
}

func word(s string) string { return clip(s) }

// clip bounds what a line repeats.
func clip(s string) string {
	const most = 128
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "")
}
