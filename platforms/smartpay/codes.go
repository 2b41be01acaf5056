package smartpay

import (
	"slices"
	"strings"

	"payagent/platforms"
)

// RespCodes with a meaning of their own (wire.md §1.4–1.6).
const (
	codeDone        = 10000
	codePaying      = -400011 // 商户订单正在等待支付中, and every channel trouble that is not "bad code"
	codeBadAuthCode = -400010 // 二维码已失效
	codeTwoMeanings = -400012 // order not created, or 付款码已过期
	codeOrderState  = -400008 // 订单状态异常: for Revoke perhaps done before
	codeRevokeFails = -400019 // 撤销失败
	codeSystem      = -10000  // 系统异常, and channel not configured
)

// notSentCodes are parameter and parse errors from before the payment layer.
func notSentCodes() []int {
	return []int{-20000, -20001, -20002, -14008, -14009, -14019, -14020, -40009}
}

// tokenCodes are session and authentication errors, positive ones included.
// They too come from before the payment layer.
func tokenCodes() []int { return []int{-14015, 40001, 20000, 40013, 40014} }

// unspecifiedCodes say only that something went wrong somewhere.
func unspecifiedCodes() []int {
	return []int{codeSystem, -14006, -14024, -14025, -14444, -30000, -99999}
}

// notFoundCodes say that a look-up found nothing. Which number was looked up
// is the question of QueryKey, so this never proves "not paid".
func notFoundCodes() []int { return []int{-400002, -63007, -300005} }

// verdict is what a RespCode of SweepCodePay means.
type verdict int

const (
	verdictUnknown verdict = iota
	verdictPaid
	verdictPending
	verdictFailed // on the closed list: nothing was charged
	verdictToken  // refused before the payment layer because of our credentials
)

// judge reads the table of wire.md §1.4. What the words say (expired) counts
// for -400012 alone, whose number two layers use for different things.
func judge(code int, expired bool, extra []int) verdict {
	switch {
	case code == codeDone:
		return verdictPaid
	case code == codePaying:
		return verdictPending
	case code == codeBadAuthCode:
		return verdictFailed
	case code == codeTwoMeanings:
		if expired {
			return verdictFailed
		}
		return verdictUnknown
	case slices.Contains(tokenCodes(), code):
		return verdictToken
	case slices.Contains(notSentCodes(), code), slices.Contains(extra, code):
		return verdictFailed
	}
	return verdictUnknown
}

// saysExpired tells whether a message calls the payment code expired or
// invalid. A negated word proves nothing.
func saysExpired(message string) bool {
	for _, not := range []string{"未", "没有", "不"} {
		if strings.Contains(message, not+"过期") || strings.Contains(message, not+"失效") {
			return false
		}
	}
	return strings.Contains(message, "过期") || strings.Contains(message, "失效")
}

// orderState reads the table of wire.md §1.5. ask tells that the state should
// be asked for once more before anything is built on it; final that no refund
// is possible any more; ok that the word is a listed one.
func orderState(word string) (s platforms.Status, ask, final, ok bool) {
	switch word {
	case "0", "1":
		// 0 未支付 is also the server's word for channel states that it does
		// not know, so it is no failure.
		return platforms.Pending, false, false, true
	case "2":
		return platforms.Paid, false, false, true
	case "6":
		return platforms.Closed, false, false, true
	case "5", "4":
		// 4 退费完成 also answers revoked WeChat orders. Both say that no money
		// is held; both are asked for again before the bill is let go.
		return platforms.Closed, true, false, true
	case "8":
		// Finished and past refunding. Only someone who saw the order paid may
		// call it paid, and an adapter remembers nothing.
		return platforms.Unknown, false, true, true
	case "3", "7", "9":
		// A refund under way, failed or closed: whether money is held is open.
		return platforms.Unknown, false, false, true
	}
	return platforms.Unknown, false, false, false
}

// mayRevokeAgain reads wire.md §1.6 for an answer that is not 10000.
func mayRevokeAgain(code int) platforms.Retry {
	switch {
	case code == codeRevokeFails, code == codeSystem:
		return platforms.RetryYes
	case code == codeOrderState, slices.Contains(notFoundCodes(), code):
		// Perhaps done before, or nothing there to revoke: only a query tells.
		return platforms.RetryNo
	}
	return ""
}
