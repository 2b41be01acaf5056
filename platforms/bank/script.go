package bank

import (
	"strings"
	"time"

	"payagent/platforms"
)

// Fault is something that goes wrong between the agent and the books.
type Fault string

// The faults. A lost request or an answer given before the books were opened
// (HTTP500, HTTP404, HTML200, Redirect, Redirect307, Reset, Token) leaves the books untouched; with all
// others the books have done what was asked.
const (
	NoFault       Fault = ""
	LoseRequest   Fault = "lose_request"   // the connection breaks before the request is read
	LoseReply     Fault = "lose_reply"     // done, then the connection breaks
	HTTP500       Fault = "http_500"       // not done
	HTTP500After  Fault = "http_500_after" // done
	Garbage       Fault = "garbage"        // done, the answer is bytes without sense
	HalfReply     Fault = "half_reply"     // done, the answer ends in its middle
	WrongAmount   Fault = "wrong_amount"   // done, the answer carries another amount
	WrongOrder    Fault = "wrong_order"    // done, the answer speaks of another order
	WrongMerchant Fault = "wrong_merchant" // done, the answer speaks of another merchant
	Slow          Fault = "slow"           // done, the answer does not come while the caller waits
	HTML200       Fault = "html_200"       // not done: a web page of somebody in between
	Token         Fault = "token"          // not done: the platform refuses our credentials
	IsSuccess2    Fault = "is_success_2"   // done, the platform says that something went wrong
	Redirect      Fault = "redirect"       // not done: 302 to elsewhere
	Huge          Fault = "huge"           // done, a right answer with more than 64 KiB of blanks behind
	Redirect307   Fault = "redirect_307"   // not done: 307, which asks for the same POST again
	HTTP404       Fault = "http_404"       // not done
	Reset         Fault = "reset"          // the request is read and not done, then the connection is reset
	HTTP502       Fault = "http_502"       // done, the right answer, but under HTTP 502
	Empty         Fault = "empty"          // done, the answer is empty
	OddStatus     Fault = "odd_status"     // done, the answer carries a status word that no document lists
	Leak          Fault = "leak"           // done, the platform's message repeats the payment code
)

// Ops are the operations that Script.Faults and simulators name.
const (
	OpCharge  = "charge"
	OpPresent = "present"
	OpQuery   = "query"
	OpCancel  = "cancel"
	OpRefund  = "refund"
)

// Script says what happens to one order.
type Script struct {
	Payer  Payer
	Faults map[string]Fault // operation → fault, for the first such call
	Sticky bool             // the faults stay for every call
	Delay  time.Duration    // before each answer
}

// Take gives the fault for a call of op and, unless the script is sticky,
// uses it up. It changes s.Faults, so one script serves one order.
func (s Script) Take(op string) Fault {
	f := s.Faults[op]
	if f != NoFault && !s.Sticky {
		delete(s.Faults, op)
	}
	return f
}

// ScriptFor chooses the script of an order from the instruction in its payment
// code or, where the code carries none, from its amount; the table stands in
// the package comment. The payer's channel is that of the code.
func ScriptFor(amount platforms.Fen, code string) Script {
	n := int(amount % 100)
	if len(code) >= 16 && code[2:8] == magic && isDigits(code) {
		n = int(code[len(code)-2]-'0')*10 + int(code[len(code)-1]-'0')
	}
	s := Script{Payer: Payer{Channel: channelOf(code)}}
	charge := func(f Fault) { s.Faults = map[string]Fault{OpCharge: f} }
	switch n {
	case 90:
		s.Payer.PayAfter = 20 * time.Second
	case 91:
		charge(LoseReply)
	case 92:
		s.Payer.PayAfter = 50 * time.Second
	case 93:
		s.Payer.PayAfter = -1
	case 94:
		s.Payer.NoMoney = true
	case 95:
		s.Sticky = true
		s.Faults = map[string]Fault{OpCharge: WrongAmount, OpQuery: WrongAmount}
	case 96:
		charge(HTTP500After)
	case 97:
		charge(Garbage)
	case 98:
		charge(LoseRequest)
	case 99:
		s.Payer.BadCode = true
	}
	return s
}

const magic = "990099"

// MagicCode makes a payment code of a wallet that carries an instruction of
// the table, 0 to 99; an unknown channel gives a WeChat code.
func MagicCode(c platforms.Channel, instruction int) string {
	head, length := "13", 18
	switch c {
	case platforms.Alipay:
		head = "28"
	case platforms.UnionPay:
		head, length = "62", 19
	case platforms.ECNY:
		head, length = "01", 19
	}
	n := instruction % 100
	if n < 0 {
		n = 0
	}
	return head + magic + strings.Repeat("5", length-10) + string([]byte{'0' + byte(n/10), '0' + byte(n%10)})
}

func channelOf(code string) platforms.Channel {
	if len(code) < 2 {
		return ""
	}
	switch head := code[:2]; {
	case head >= "10" && head <= "15":
		return platforms.WeChat
	case head >= "25" && head <= "30", strings.HasPrefix(code, "fp"):
		return platforms.Alipay
	case head == "62":
		return platforms.UnionPay
	case head == "01":
		return platforms.ECNY
	}
	return ""
}

func isDigits(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
