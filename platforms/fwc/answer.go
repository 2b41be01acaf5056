package fwc

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"payagent/platforms"
	"payagent/platforms/fwc/internal/message"
)

// The words of TradeStatus (seed 004 §5.2), some of which also turn up as
// SubCode.
const (
	tradeSuccess    = "TRADE_SUCCESS"
	tradeFinished   = "TRADE_FINISHED"
	tradeClosed     = "TRADE_CLOSED"
	tradeNotExist   = "TRADE_NOT_EXIST"
	tradeHasSuccess = "TRADE_HAS_SUCCESS" // SubCode only: 交易已被支付
	waitBuyerPay    = "WAIT_BUYER_PAY"
	systemError     = "SYSTEM_ERROR"
	illegalArgument = "ILLEGAL_ARGUMENT"
)

// payStatus judges the reply to a pay call, which has no status of its own.
//
//	IsSuccess  SubCode                                    status   ask now
//	1          WAIT_BUYER_PAY                             pending  no
//	1          TRADE_CLOSED, TRADE_NOT_EXIST,
//	           SYSTEM_ERROR, ILLEGAL_ARGUMENT             unknown  yes
//	1          anything else, TRADE_SUCCESS included      pending  yes
//	0          WAIT_BUYER_PAY                             pending  yes
//	0          TRADE_SUCCESS, TRADE_FINISHED,
//	           TRADE_HAS_SUCCESS, SYSTEM_ERROR            unknown  yes
//	0          anything else                              refused  yes
//	2, other   anything                                   unknown  yes
//
// A 3 never comes here. Nothing here is Paid or Failed: only a query says paid,
// and no code is known to prove that nothing was charged.
func payStatus(success, subCode string) (platforms.Status, bool) {
	switch success {
	case message.Done:
		switch subCode {
		case waitBuyerPay:
			return platforms.Pending, false
		case tradeClosed, tradeNotExist, systemError, illegalArgument:
			return platforms.Unknown, true
		}
		return platforms.Pending, true
	case message.Refused:
		switch subCode {
		case waitBuyerPay:
			return platforms.Pending, true
		case tradeSuccess, tradeFinished, tradeHasSuccess, systemError:
			return platforms.Unknown, true
		}
		return platforms.Refused, true
	}
	return platforms.Unknown, true
}

// queryStatus judges the reply to a query (wire.md §2.4).
//
//	IsSuccess  TradeStatus                 status
//	1          TRADE_SUCCESS               paid
//	1          TRADE_FINISHED              paid, final
//	1          TRADE_CLOSED                closed
//	1          WAIT_BUYER_PAY              pending
//	0, 1       TRADE_NOT_EXIST             not found
//	anything else                          unknown
//
// Where TradeStatus is missing, a SubCode TRADE_NOT_EXIST stands for it; no
// other SubCode does. A SubCode that is itself such a word and contradicts
// TradeStatus leaves nothing to conclude.
func queryStatus(success, tradeStatus, subCode string) (status platforms.Status, final bool) {
	if tradeStatus == "" && subCode == tradeNotExist {
		tradeStatus = tradeNotExist
	}
	if isStatusWord(subCode) && subCode != tradeStatus {
		return platforms.Unknown, false
	}
	if tradeStatus == tradeNotExist && (success == message.Refused || success == message.Done) {
		return platforms.NotFound, false
	}
	if success != message.Done {
		return platforms.Unknown, false
	}
	switch tradeStatus {
	case tradeSuccess:
		return platforms.Paid, false
	case tradeFinished:
		return platforms.Paid, true
	case tradeClosed:
		return platforms.Closed, false
	case waitBuyerPay:
		return platforms.Pending, false
	}
	return platforms.Unknown, false
}

func isStatusWord(s string) bool {
	switch s {
	case tradeSuccess, tradeFinished, tradeClosed, tradeNotExist, waitBuyerPay, systemError, illegalArgument:
		return true
	}
	return false
}

func (p *Platform) payAnswer(c platforms.Charge, r reply) (platforms.Answer, error) {
	var no, tradeNo, openUser, amount, at, payType string
	if err := r.read(map[string]*string{
		"OutTradeNo": &no, "TradeNo": &tradeNo, "OpenUserID": &openUser,
		"TotalAmount": &amount, "PaymentDateTime": &at, "PayType": &payType,
	}); err != nil {
		return platforms.Answer{}, err
	}
	a := platforms.Answer{
		OrderNo: r.orderNo(c.OrderNo, no), TradeNo: r.tradeNo(tradeNo),
		Channel: p.channel(payType), PaidAt: paidAt(at), Buyer: platforms.Hide(openUser),
		Code: r.code(""), Message: r.words(),
	}
	a.Status, a.AskNow = payStatus(r.Success, r.SubCode)
	var err error
	if a.Amount, a.HasAmount, err = p.amount(r, c.Amount, amount); err != nil {
		return platforms.Answer{}, err
	}
	return a, nil
}

// maxQR is the length in bytes above which a text is no payment address.
const maxQR = 1024

func (p *Platform) presentAnswer(c platforms.Charge, r reply) (platforms.Answer, error) {
	var no, qr string
	if err := r.read(map[string]*string{"OutTradeNo": &no, "TwoDimensionCode": &qr}); err != nil {
		return platforms.Answer{}, err
	}
	a := platforms.Answer{OrderNo: r.orderNo(c.OrderNo, no), Code: r.code(""), Message: r.words()}
	a.Status, a.AskNow = payStatus(r.Success, r.SubCode)
	if a.Status == platforms.Pending {
		// Nobody has seen the code yet, so there is nothing to confirm at once;
		// and without a code there is nothing to show.
		a.AskNow = false
		if r.Success != message.Done || !showable(qr) {
			a.Status, a.AskNow = platforms.Unknown, true
		} else {
			a.QR = qr
		}
	}
	var err error
	if a.Amount, a.HasAmount, err = p.amount(r, c.Amount, ""); err != nil {
		return platforms.Answer{}, err
	}
	return a, nil
}

func showable(qr string) bool {
	return qr != "" && len(qr) <= maxQR && utf8.ValidString(qr) && !strings.ContainsFunc(qr, unicode.IsControl)
}

func (p *Platform) queryAnswer(ref platforms.Ref, r reply) (platforms.Answer, error) {
	var no, tradeNo, status, hospital, amount, logon, short, openUser, at, payType string
	if err := r.read(map[string]*string{
		"OutTradeNo": &no, "TradeNo": &tradeNo, "TradeStatus": &status, "HospitalID": &hospital,
		"TotalAmount": &amount, "BuyerLogonId": &logon, "Buyer_user_id": &short,
		"OpenUserID": &openUser, "PaymentDateTime": &at, "PayType": &payType,
	}); err != nil {
		return platforms.Answer{}, err
	}
	if p.cfg.HospitalID != "" && hospital != "" && hospital != p.cfg.HospitalID {
		return platforms.Answer{}, &platforms.Mismatch{Field: "merchant", Asked: p.cfg.HospitalID, Got: clip(r.foreign(hospital, p.cfg.HospitalID))}
	}
	a := platforms.Answer{
		OrderNo: r.orderNo(ref.OrderNo, no), TradeNo: r.tradeNo(tradeNo),
		Channel: p.channel(payType), PaidAt: paidAt(at),
		Code: r.code(status), Message: r.words(),
	}
	for _, id := range []string{logon, short, openUser} {
		if a.Buyer.Empty() {
			a.Buyer = platforms.Hide(id)
		}
	}
	a.Status, a.Final = queryStatus(r.Success, status, r.SubCode)
	var err error
	if a.Amount, a.HasAmount, err = p.amount(r, ref.Amount, amount); err != nil {
		return platforms.Answer{}, err
	}
	return a, nil
}

// cancelResult lists the result elements of a cancel operation. The seed has
// no sample of FWC_IF_Qrcode_Pay_Cancel; its siblings name the second one.
func cancelResult(op string) []string {
	if op == message.OpCancel {
		return []string{message.ResultName(message.OpCancel)}
	}
	return []string{message.ResultName(message.OpCancel), message.ResultName(message.OpQRCancel)}
}

// cancelAnswer: proof is IsSuccess 1 with close or refund, nothing less.
func (p *Platform) cancelAnswer(ref platforms.Ref, r reply) (platforms.Cancellation, error) {
	var no, tradeNo, retry, action string
	if err := r.read(map[string]*string{
		"OutTradeNo": &no, "TradeNo": &tradeNo, "RetryFlag": &retry, "CancelAction": &action,
	}); err != nil {
		return platforms.Cancellation{}, err
	}
	c := platforms.Cancellation{
		OrderNo: r.orderNo(ref.OrderNo, no), TradeNo: r.tradeNo(tradeNo),
		Code: r.code(""), Message: r.words(),
	}
	switch strings.ToUpper(retry) {
	case "Y":
		c.Retry = platforms.RetryYes
	case "N":
		c.Retry = platforms.RetryNo
	}
	if r.Success != message.Done {
		return c, nil
	}
	switch strings.ToLower(action) {
	case "close":
		c.Done, c.Action = true, platforms.ActionClose
	case "refund":
		c.Done, c.Action = true, platforms.ActionRefund
	}
	return c, nil
}

// refundAnswer judges by IsSuccess and the cumulative RefundFee. Every number
// that the reply repeats must be the one that was sent.
func (p *Platform) refundAnswer(f platforms.Refund, r reply) (platforms.Refunded, error) {
	var no, tradeNo, fee string
	if err := r.read(map[string]*string{"OutTradeNo": &no, "TradeNo": &tradeNo, "RefundFee": &fee}); err != nil {
		return platforms.Refunded{}, err
	}
	out := platforms.Refunded{
		OrderNo: r.orderNo(f.OrderNo, no), TradeNo: r.tradeNo(tradeNo),
		Code: r.code(""), Message: r.words(),
	}
	for _, m := range []platforms.Mismatch{
		{Field: "order number", Asked: f.OrderNo, Got: out.OrderNo},
		{Field: "trade number", Asked: f.TradeNo, Got: tradeNo},
		{Field: "refund number", Asked: f.RequestNo, Got: r.echoRequestNo},
	} {
		if m.Got != "" && m.Got != m.Asked {
			return platforms.Refunded{}, &platforms.Mismatch{Field: m.Field, Asked: m.Asked, Got: clip(r.foreign(m.Got, m.Asked))}
		}
	}
	if fee != "" {
		total, err := platforms.ParseYuan(fee)
		if err != nil {
			return platforms.Refunded{}, unusable(err)
		}
		if total > f.Amount {
			return platforms.Refunded{}, &platforms.Mismatch{Field: "amount", Asked: f.Amount.Yuan(), Got: total.Yuan()}
		}
		out.Total, out.HasTotal = total, true
	}
	switch {
	case r.Success == message.Done && out.HasTotal && out.Total >= f.Sum:
		out.Status = platforms.RefundDone
	case r.Success == message.Refused && slices.Contains(p.cfg.RefundRefusals, r.SubCode):
		out.Status = platforms.RefundRefused
	}
	return out, nil
}

func clip(s string) string {
	if r := []rune(s); len(r) > 32 {
		return string(r[:32]) + "…"
	}
	return s
}
