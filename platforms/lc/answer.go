package lc

import (
	"slices"
	"strings"

	"payagent/platforms"
)

// The words of trade_status (seed 004 §6.2), and of sub_code where they turn up
// as one.
const (
	tradeSuccess    = "TRADE_SUCCESS"
	tradeFinished   = "TRADE_FINISHED"
	tradeClosed     = "TRADE_CLOSED"
	waitBuyerPay    = "WAIT_BUYER_PAY"
	tradeNotExist   = "TRADE_NOT_EXIST"
	tradeHasSuccess = "TRADE_HAS_SUCCESS" // sub_code only: 交易已被支付
	systemError     = "SYSTEM_ERROR"      // sub_code only: it may have done it all the same
)

func statusWords() []string {
	return []string{tradeSuccess, tradeFinished, tradeClosed, waitBuyerPay, tradeNotExist, tradeHasSuccess, systemError}
}

// byWord judges a trade_status.
func byWord(word string) (status platforms.Status, final bool) {
	switch word {
	case tradeSuccess:
		return platforms.Paid, false
	case tradeFinished:
		return platforms.Paid, true
	case tradeClosed:
		return platforms.Closed, false
	case waitBuyerPay:
		return platforms.Pending, false
	case tradeNotExist:
		return platforms.NotFound, false
	}
	return platforms.Unknown, false
}

// believed takes a status down to what a reply may say that nobody signed: that
// the order is still open.
func (r reply) believed(s platforms.Status) platforms.Status {
	if r.trusted || s == platforms.Pending {
		return s
	}
	return platforms.Unknown
}

// queryStatus judges the reply to a query. code and msg never decide: they only
// say that the gateway worked, without which no word counts but "not found".
//
//	worked  trade_status, sub_code            status
//	yes     one of the words of trade_status  by the word
//	any     a not_found code in sub_code,
//	        or TRADE_NOT_EXIST                not found
//	any     words that contradict each other  unknown
//	no      anything else                     unknown
func (p *Platform) queryStatus(r reply, word string) (platforms.Status, bool) {
	missing := slices.Contains(p.cfg.NotFoundCodes, r.subCode)
	switch {
	case missing && (word == "" || word == tradeNotExist), word == tradeNotExist && r.subCode == "":
		return r.believed(platforms.NotFound), false
	case missing, slices.Contains(statusWords(), r.subCode) && r.subCode != word, !p.worked(r):
		return platforms.Unknown, false
	}
	status, final := byWord(word)
	return r.believed(status), final && r.trusted
}

// payStatus judges the reply to lc.trade.barcode.pay.
//
//	trade_status, sub_code                     status    ask now
//	TRADE_SUCCESS, TRADE_FINISHED, worked      paid      no
//	WAIT_BUYER_PAY                             pending   yes
//	a refusal code, no trade_status            failed    no
//	TRADE_CLOSED, TRADE_NOT_EXIST,
//	TRADE_HAS_SUCCESS, SYSTEM_ERROR,
//	contradictions                             unknown   yes
//	none, worked, no sub_code                  pending   yes
//	none, not worked or any other sub_code     refused   yes
func (p *Platform) payStatus(r reply, word string) (status platforms.Status, askNow bool) {
	contradiction := slices.Contains(statusWords(), r.subCode) && r.subCode != word && word != ""
	switch word = first(word, statusWord(r.subCode)); {
	case contradiction:
		return platforms.Unknown, true
	case (word == tradeSuccess || word == tradeFinished) && p.worked(r) && r.trusted:
		return platforms.Paid, false
	case word == waitBuyerPay:
		return platforms.Pending, true
	case word != "":
		return platforms.Unknown, true
	case slices.Contains(p.cfg.RefusalCodes, r.subCode) && r.trusted:
		return platforms.Failed, false
	case p.worked(r) && r.subCode == "":
		return platforms.Pending, true
	}
	return r.believed(platforms.Refused), true
}

func statusWord(s string) string {
	if slices.Contains(statusWords(), s) {
		return s
	}
	return ""
}

// trade reads what replies and notices about one trade share.
type trade struct {
	_                                                                        [0]func() // never compared: no code is made for it
	no, tradeNo, word, amount, payDate, paid, payType, user, logon, refunded string
}

func (t *trade) names() map[string]*string {
	return map[string]*string{
		"out_trade_no": &t.no, "trade_no": &t.tradeNo, "trade_status": &t.word, "total_amount": &t.amount,
		"pay_date": &t.payDate, "gmt_payment": &t.paid, "payment_type": &t.payType, "user_id": &t.user, "logon_id": &t.logon,
		"refund_fee": &t.refunded,
	}
}

// answer gives what a reply says about a trade, without its status.
func (p *Platform) answer(ours string, r reply, t trade) (platforms.Answer, error) {
	a := platforms.Answer{
		OrderNo: r.orderNo(ours, t.no), TradeNo: r.tradeNo(t.tradeNo), Channel: p.channel(t.payType),
		PaidAt: paidAt(t.paid, t.payDate), Buyer: platforms.Hide(first(t.logon, t.user)), Code: r.number(t.word), Message: r.words(),
	}
	var err error
	if a.Amount, a.HasAmount, err = money("total_amount", t.amount); err != nil {
		return platforms.Answer{}, err
	}
	a.Refunded, a.HasRefunded, err = money("refund_fee", t.refunded)
	a.HasRefunded = a.HasRefunded && r.trusted
	return a, err
}

func (p *Platform) payAnswer(c platforms.Charge, r reply) (platforms.Answer, error) {
	var t trade
	if err := r.read(t.names()); err != nil {
		return platforms.Answer{}, err
	}
	a, err := p.answer(c.OrderNo, r, t)
	if err != nil {
		return platforms.Answer{}, err
	}
	a.Status, a.AskNow = p.payStatus(r, t.word)
	a.Final = a.Status == platforms.Paid && t.word == tradeFinished
	return a, nil
}

func (p *Platform) queryAnswer(ref platforms.Ref, r reply) (platforms.Answer, error) {
	var t trade
	if err := r.read(t.names()); err != nil {
		return platforms.Answer{}, err
	}
	a, err := p.answer(ref.OrderNo, r, t)
	if err != nil {
		return platforms.Answer{}, err
	}
	a.Status, a.Final = p.queryStatus(r, t.word)
	return a, nil
}

// shownAnswer judges what was asked for to be shown. A reply that nobody signed
// shows nothing: who pays a forged code pays somebody else.
func (p *Platform) shownAnswer(c platforms.Charge, r reply) (platforms.Answer, error) {
	var t trade
	var gotoURL, paystr string
	names := t.names()
	names["goto_url"], names["paystr"] = &gotoURL, &paystr
	if err := r.read(names); err != nil {
		return platforms.Answer{}, err
	}
	a, err := p.answer(c.OrderNo, r, t)
	if err != nil {
		return platforms.Answer{}, err
	}
	shown := gotoURL
	if c.Mode == platforms.ModePresent {
		if shown, err = p.qrText(r); err != nil {
			return platforms.Answer{}, err
		}
	}
	if paystr != "" && !showable(paystr, maxPayString) {
		paystr = ""
	}
	usable := showable(shown, maxShown)
	if c.Mode.Known() && c.Mode != platforms.ModePresent {
		usable = usable && address(shown) || shown == "" && paystr != "" && c.Mode == platforms.ModeInsurance
	}
	if word := first(t.word, statusWord(r.subCode)); r.trusted && p.worked(r) && usable && r.subCode == "" && (word == "" || word == waitBuyerPay) {
		a.Status, a.QR, a.PayString = platforms.Pending, shown, paystr
		return a, nil
	}
	a.Status, a.AskNow = p.payStatus(r, t.word)
	switch a.Status {
	case platforms.Pending: // without anything to show it is not
		a.Status = platforms.Unknown
	case platforms.Paid: // nothing was shown that could be paid
		a.Status = platforms.Unknown
		a.AskNow = true
	}
	return a, nil
}

// qrText finds the text of the QR code. No document at hand names its member.
func (p *Platform) qrText(r reply) (string, error) {
	names := []string{"qr_code", "code_url", "two_dimension_code"}
	if p.cfg.QRField != "" {
		names = []string{p.cfg.QRField}
	}
	for _, name := range names {
		var s string
		if err := r.read(map[string]*string{name: &s}); err != nil || s != "" {
			return s, err
		}
	}
	return "", nil
}

// cancelAnswer: proof is a reply that may be believed, from a gateway that
// worked, without a sub_code, with action close or refund (decision 7). For
// lc.trade.close a reply that names the order is as good as an action.
func (p *Platform) cancelAnswer(ref platforms.Ref, r reply, closing bool) (platforms.Cancellation, error) {
	var no, tradeNo, retry, action string
	if err := r.read(map[string]*string{"out_trade_no": &no, "trade_no": &tradeNo, "retry_flag": &retry, "action": &action}); err != nil {
		return platforms.Cancellation{}, err
	}
	c := platforms.Cancellation{OrderNo: r.orderNo(ref.OrderNo, no), TradeNo: r.tradeNo(tradeNo), Code: r.number(""), Message: r.words()}
	if !r.trusted {
		return c, nil
	}
	switch strings.ToUpper(retry) {
	case "Y":
		c.Retry = platforms.RetryYes
	case "N":
		c.Retry = platforms.RetryNo
	}
	if !p.worked(r) || r.subCode != "" {
		return c, nil
	}
	switch {
	case strings.EqualFold(action, "close"), closing && action == "" && no == ref.OrderNo:
		c.Done, c.Action = true, platforms.ActionClose
	case strings.EqualFold(action, "refund"):
		c.Done, c.Action = true, platforms.ActionRefund
	}
	return c, nil
}

// refundAnswer judges by refund_fee, the sum of all refunds so far. Every
// number that the reply repeats must be the one that was sent.
func (p *Platform) refundAnswer(f platforms.Refund, r reply) (platforms.Refunded, error) {
	var no, tradeNo, requestNo, fee, sum string
	if err := r.read(map[string]*string{
		"out_trade_no": &no, "trade_no": &tradeNo, "out_request_no": &requestNo, "refund_fee": &fee, "refund_amount": &sum,
	}); err != nil {
		return platforms.Refunded{}, err
	}
	out := platforms.Refunded{OrderNo: r.orderNo(f.OrderNo, no), TradeNo: r.tradeNo(tradeNo), Code: r.number(""), Message: r.words()}
	for _, m := range []platforms.Mismatch{
		{Field: "order number", Asked: f.OrderNo, Got: out.OrderNo},
		{Field: "trade number", Asked: f.TradeNo, Got: tradeNo},
		{Field: "refund number", Asked: f.RequestNo, Got: requestNo},
	} {
		if m.Got != "" && m.Asked != "" && m.Got != m.Asked {
			m.Got = clip(r.orderNo(m.Asked, m.Got))
			return platforms.Refunded{}, &m
		}
	}
	given, has, err := money("refund_amount", sum)
	if err != nil {
		return platforms.Refunded{}, err
	}
	if has && given != f.Sum {
		return platforms.Refunded{}, &platforms.Mismatch{Field: "refund amount", Asked: f.Sum.Yuan(), Got: given.Yuan()}
	}
	total, hasTotal, err := money("refund_fee", fee)
	if err != nil {
		return platforms.Refunded{}, err
	}
	if hasTotal && total > f.Amount {
		return platforms.Refunded{}, &platforms.Mismatch{Field: "amount", Asked: f.Amount.Yuan(), Got: total.Yuan()}
	}
	if !r.trusted {
		return out, nil
	}
	out.Total, out.HasTotal = total, hasTotal
	good := p.worked(r) && r.subCode == ""
	switch {
	case good && hasTotal && total >= f.Sum,
		good && !hasTotal && p.cfg.RefundProof == ProofReply && (requestNo == f.RequestNo || no == f.OrderNo):
		out.Status = platforms.RefundDone
	case !good && slices.Contains(p.cfg.RefundRefusals, r.subCode):
		out.Status = platforms.RefundRefused
	}
	return out, nil
}
