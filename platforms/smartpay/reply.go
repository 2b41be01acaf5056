package smartpay

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"payagent/platforms"
	"payagent/platforms/internal/strictxml"
	"payagent/platforms/internal/wire"
	"payagent/platforms/smartpay/internal/message"
)

// maxKey is the longest number that is taken from a reply, in bytes. The seed
// gives no length; OrderId is a GUID of 32 at the known server.
const maxKey = 64

// reply is a Resp taken apart. Every field but code is optional; the seed's
// own tables and samples disagree about most of them.
type reply struct {
	_       [0]func() // never compared: no code is made for it
	gateway bool      // refused by the gateway in front; there was no Resp
	code    int
	word    string // RespCode as written
	message string // RespMessage, cleaned and clipped
	expired bool   // RespMessage calls the payment code expired or invalid

	orderID, hisOrderID, totalFee, payTime, transactionID string
	merchCode, orderState                                 string
}

// readReply reads a Resp. Secrets are the texts that must not come back out of
// a reply: platforms have echoed payment codes in their messages.
func readReply(root *strictxml.Node, secrets []platforms.Hidden) (reply, error) {
	said, err := message.ReadReply(root)
	if err != nil {
		return reply{}, err
	}
	r := reply{code: said.Code, word: said.Word, message: wire.Clean(said.Message, secrets...)}
	r.expired = saysExpired(r.message)
	if said.Data == nil {
		return r, nil
	}
	if err = readValues(said.Data, secrets, r.body()); err != nil {
		return reply{}, err
	}
	for _, key := range []string{r.orderID, r.hisOrderID, r.transactionID, r.merchCode} {
		if len(key) > maxKey {
			return reply{}, fmt.Errorf("cannot read the platform's answer: a number in it has more than %d bytes", maxKey)
		}
	}
	return r, nil
}

// verdict judges the reply to SweepCodePay. What a gateway says is believed
// only where it speaks of requests that it did not pass on.
func (r reply) verdict(extra []int) verdict {
	if r.gateway && !slices.Contains(notSentCodes(), r.code) && !slices.Contains(tokenCodes(), r.code) {
		return verdictUnknown
	}
	return judge(r.code, r.expired, extra)
}

// refusal is the error for a reply that refuses our credentials.
func (r reply) refusal() error {
	return fmt.Errorf("%w (%s %s); put a new token or client id in place", platforms.ErrToken, r.word, r.message)
}

// slot is a place for the value of one element.
type slot struct {
	_    [0]func() // never compared: no code is made for it
	name string
	to   *string
}

// body lists what is read of Data. The same names are read in every reply: what
// a reply carries must fit.
func (r *reply) body() []slot {
	return []slot{
		{name: "OrderId", to: &r.orderID}, {name: "HisOrderId", to: &r.hisOrderID}, {name: "TotalFee", to: &r.totalFee}, {name: "PayTime", to: &r.payTime},
		{name: "TransactionId", to: &r.transactionID}, {name: "MerchCode", to: &r.merchCode}, {name: "OrderState", to: &r.orderState},
	}
}

func readValues(n *strictxml.Node, secrets []platforms.Hidden, slots []slot) error {
	for _, s := range slots {
		text, err := n.Value(s.name)
		if err != nil {
			return fmt.Errorf("cannot read the platform's answer: %w", err)
		}
		*s.to = scrub(text, secrets)
	}
	return nil
}

// minCode is the length of the shortest payment code. Shorter secrets, card
// numbers, occur inside the long numbers of platforms by chance and are cut out
// of messages only.
const minCode = 16

// scrub cuts payment codes and tokens out of a value.
func scrub(text string, secrets []platforms.Hidden) string {
	for _, s := range secrets {
		if t := strings.TrimSpace(s.Reveal()); len(t) >= minCode {
			text = strings.ReplaceAll(text, t, "[hidden]")
		}
	}
	return text
}

// answer copies what the reply carried. The status is left to the caller. A
// TotalFee that is no whole number of fen is a *platforms.Mismatch: it may be
// yuan, and guessing the unit is how amounts get mis-scaled.
func (r reply) answer(asked platforms.Fen) (platforms.Answer, error) {
	a := platforms.Answer{
		OrderNo:  r.hisOrderID,
		Handle:   r.orderID,
		TradeNo:  r.transactionID,
		Merchant: r.merchCode,
		PaidAt:   wireTime(r.payTime),
		Code:     r.word,
		Message:  r.message,
	}
	if r.totalFee == "" {
		return a, nil
	}
	fee, err := platforms.ParseFen(r.totalFee)
	if err != nil {
		return a, &platforms.Mismatch{Field: "amount", Asked: asked.Yuan(), Got: wire.Clean(clip(r.totalFee, 32)) + " (not whole fen)"}
	}
	a.Amount, a.HasAmount = fee, true
	return a, nil
}

// wireTime reads PayTime, whose format the seed leaves open. What cannot be
// read is as good as not carried: the time of payment decides nothing.
func wireTime(s string) time.Time {
	zone := time.FixedZone("UTC+8", 8*60*60)
	for _, layout := range []string{time.DateTime, "20060102150405", "2006/01/02 15:04:05", "2006-01-02T15:04:05", "2006-01-02 15:04:05.000"} {
		if t, err := time.ParseInLocation(layout, s, zone); err == nil {
			return t
		}
	}
	return time.Time{}
}

func clip(s string, runes int) string {
	if r := []rune(s); len(r) > runes {
		return string(r[:runes]) + "…"
	}
	return s
}
