package sim

import (
	"math/bits"
	"strings"
)

// Fault is one thing that can go wrong, or one personality of a neighbour.
// Each seed enables a random set.
type Fault int

// The faults of calls, of the platform, of the payer, of the agent's machine,
// of HIS and of the scanner.
const (
	LostBefore  Fault = iota // the request never arrives, the caller hears nothing of use
	LostAfter                // executed, the reply is lost
	LateExec                 // the caller gives up, and then it is executed
	SlowReply                // executed, answered after up to 120 s
	DialFail                 // proof that nothing left
	ErrAfter                 // executed, answered with an error
	RefusedLike              // answered "something went wrong", executed or not
	SystemError              // answered without any status, executed or not
	WrongAmount
	WrongOrder
	WrongMerchant
	OtherAnswer // a valid older answer about another order
	CancelNo    // the cancel is not carried out; try again
	LatePayDup  // the pay answer is heard twice
	RefundLater // the refund is accepted and its outcome not told
	Partition   // nothing leaves for minutes
	LongCut     // nothing leaves for hours
	TokenBad    // the token is refused for a while
	Unresolved  // P8: some orders cannot be canceled, RetryFlag N
	StaleReads  // queries are answered from old books
	Tombstones  // a cancel closes an unknown number
	AutoClose   // unpaid trades close themselves
	LieFailed   // a definite refusal, and the money comes all the same
	LatePayer   // pays at any second up to two minutes
	NoMoney
	BadCode
	Crash
	Reboot
	StorageError
	Stall // the disk takes its time
	DiskLow
	WallJump
	LogLoss
	Noise // other codes, junk, cards, codes at the wrong time
	WrongWallet
	DoubleRead
	TwoCodes
	OldCode
	DoubleClick
	TwoTills
	SameKey
	OtherAmount
	CancelMid
	CheckMid
	DetachMid
	Refunds
	RefundTwice
	Queueing
	Handed
	OwnNumber
	Again // a bill is tried anew after it failed
	Hurry
	SlowLookup
	Claims    // clients of HIS claim scanners, ask for them, keep them
	Cards     // a card reached the client that holds the scanner
	HISFails  // HIS says that it could not process a payment
	HISSilent // HIS says nothing for long, or ever
	HISTwice  // HIS contradicts itself, uses a number twice, takes a part only
	Kiosk     // the kiosk may reverse on silence; HIS comes and goes
	Second    // large refunds wait for a second person
	Resolve   // two people resolve what is in doubt when all is quiet
	faultCount
)

var faultNames = [faultCount]string{"lost_before", "lost_after", "late_exec", "slow_reply", "dial_fail", "err_after",
	"refused_like", "system_error", "wrong_amount", "wrong_order", "wrong_merchant", "other_answer", "cancel_no", "late_pay_dup",
	"refund_later", "partition", "long_cut", "token_bad", "unresolved", "stale_reads", "tombstones", "auto_close", "lie_failed",
	"late_payer", "no_money", "bad_code", "crash", "reboot", "storage_error", "stall", "disk_low", "wall_jump", "log_loss",
	"noise", "wrong_wallet", "double_read", "two_codes", "old_code", "double_click", "two_tills", "same_key", "other_amount",
	"cancel_mid", "check_mid", "detach_mid", "refunds", "refund_twice", "queueing", "handed", "own_number", "again", "hurry", "slow_lookup", "claims", "cards",
	"his_fails", "his_silent", "his_twice", "kiosk", "second", "resolve"}

// String gives the name used on the command line.
func (f Fault) String() string {
	if f < 0 || f >= faultCount {
		return "none"
	}
	return faultNames[f]
}

// Set is a set of faults.
type Set uint64

// SetOf makes a set.
func SetOf(list ...Fault) Set {
	var s Set
	for _, f := range list {
		s |= 1 << f
	}
	return s
}

// Has tells whether a fault is in the set.
func (s Set) Has(f Fault) bool { return s&(1<<f) != 0 }

// String lists the set, ready for -faults.
func (s Set) String() string {
	var names []string
	for s := uint64(s); s != 0; s &= s - 1 {
		names = append(names, Fault(bits.TrailingZeros64(s)).String())
	}
	return strings.Join(names, ",")
}

// ParseSet reads what String wrote; unknown names are left out and reported.
func ParseSet(text string) (Set, []string) {
	var s Set
	var unknown []string
next:
	for _, name := range strings.Split(text, ",") {
		for f, n := range faultNames {
			if n == name {
				s |= 1 << f
				continue next
			}
		}
		if name != "" {
			unknown = append(unknown, name)
		}
	}
	return s, unknown
}

// callFaults are those that one call can meet, in the order of drawing.
var callFaults = []Fault{LostBefore, LostAfter, LateExec, SlowReply, DialFail, ErrAfter, RefusedLike, SystemError,
	WrongAmount, WrongOrder, WrongMerchant, OtherAnswer, CancelNo, LatePayDup, RefundLater}
