// Package platformtest is what every payment platform must do, as a list of
// named cases that each carry the sentence of the rule they check. A new
// adapter calls [Test] with a [Subject]: how to open it, its wire simulator
// and one valid charge. What else it can do (show a QR, refund, be probed) is
// found by type assertion, and brings its own cases.
//
// The judge of money is never the adapter and never the simulator but package
// bank: what the payer is out of pocket.
//
// An example is the toy platform in this package's own tests: an adapter, its
// simulator and its Subject in one file, passed by every case, and some forty
// broken versions of it that each fail the case meant for them. A member shows
// the same for its own wire with [Failing].
//
// The suite speaks HTTP over a loopback socket. Subject.Transport and
// Subject.Server put something else between, so that a way out (a proxy, a
// relay) can be shown to change nothing.
package platformtest

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"payagent/platforms"
	"payagent/platforms/bank"
	"payagent/platforms/bank/wire"
)

// Control is what the suite steers a simulator with; see package wire.
type Control = wire.Control

// Subject is a platform under test.
type Subject struct {
	// Name is shown in the tests.
	Name string

	// Open makes the adapter over a RoundTripper. Its configuration names any
	// address it likes: Transport leads every address to the simulator.
	Open func(rt http.RoundTripper) (platforms.Platform, error)

	// Wire is the member's simulator over the books. It serves the whole wire
	// on every path it needs and hands each call to ctl.Answer.
	Wire func(b *bank.Bank, ctl *Control) http.Handler

	// Charge gives a charge that the platform accepts, with every field filled
	// that the wire has. For ModeCharge it has a payment code; patient fields
	// must hold texts that occur nowhere else, because the suite looks for them
	// in errors. Order numbers that the suite gives have at most 32 characters
	// of 0-9A-Za-z.
	Charge func(mode platforms.Mode, orderNo string, amount platforms.Fen) platforms.Charge

	// Secrets are texts of the configuration (tokens, keys) that may appear in
	// no error, answer or address.
	Secrets []string

	// Fields are the member's own field rules. The suite adds those that hold
	// for all: out_trade_no, amount_fen, subject, auth_code, and for refunds
	// out_trade_no, request_no, amount_fen.
	Fields []FieldRule

	// Attacks spoil the bytes of a good answer; the names in AttackNames are
	// known to the suite, which demands that each spoilt answer proves nothing.
	Attacks map[string]func(good []byte) []byte

	// Variants rewrite a good answer in another way that must be read as the
	// same; the names are in VariantNames, and a member may add its own.
	Variants map[string]func(good []byte) []byte

	// Signed is for platforms that sign their answers; nil for others.
	Signed *Signed

	// Notices is for platforms that tell outcomes by themselves; nil for others.
	Notices *Notices

	// Excuses say why something the suite asks for does not exist on this wire:
	// an attack or variant name, or "op/fault" where an answer has no field
	// that the fault could spoil, e.g. "query/wrong_amount". An excuse for
	// what does exist is an error.
	Excuses map[string]string

	// Transport makes the way to the simulator; nil is a plain http.Transport
	// that dials srv whatever the address says.
	Transport func(t testing.TB, srv *httptest.Server) http.RoundTripper

	// Server starts the simulator's server; nil is httptest.NewServer.
	Server func(h http.Handler) *httptest.Server
}

// FieldRule is one demand on the fields of a charge.
type FieldRule struct {
	Field string                  // the API's name that the *FieldError must give
	Why   string                  // the rule, e.g. "PatientName is mandatory"
	Mode  platforms.Mode          // empty means ModeCharge
	Break func(*platforms.Charge) // makes a valid charge break the rule
	// SentOnly is for rules that only the call itself can check and that
	// CheckCharge lets pass, such as the payment code.
	SentOnly bool
}

// The attacks on the bytes of an answer.
const (
	AttackDeep      = "deep"      // hundreds of elements inside one another
	AttackDuplicate = "duplicate" // an element (or key) that decides occurs twice, saying different things
	AttackTrailing  = "trailing"  // something behind the end of the document
	AttackDTD       = "dtd"       // a DOCTYPE
	AttackCharset   = "charset"   // a declared encoding that the bytes contradict or that nobody knows
)

// AttackNames lists the attacks that a member has or excuses.
func AttackNames() []string {
	return []string{AttackDeep, AttackDuplicate, AttackTrailing, AttackDTD, AttackCharset}
}

// The variants of a good answer.
const (
	VariantGBK    = "gbk"    // declared and encoded as GBK
	VariantBOM    = "bom"    // with a byte order mark
	VariantSpaced = "spaced" // with blanks around and inside where the format allows them
)

// VariantNames lists the variants that a member has or excuses.
func VariantNames() []string { return []string{VariantGBK, VariantBOM, VariantSpaced} }
