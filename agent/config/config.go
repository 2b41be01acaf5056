package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"payagent/platforms"
)

// Config is the whole configuration. KEYS.md lists every key; it is generated
// from the comments of these structs.
type Config struct {
	// The hospital and this box.
	Site Site
	// Folder for orders, keys and tokens; an absolute path. Must be on a local disk.
	DataDir string
	// Where the agent's own log goes.
	Log Log
	// The HTTP interface for HIS and the pages.
	Door Door
	// Payment platforms, each a driver with its address.
	Platforms []Platform
	// Merchant profiles: whose account the money goes to.
	Merchants []Merchant
	// Which merchant profile takes which orders; the first route that matches wins.
	Routes []Route
	// What each order type of the API is called on the wires. Keys: the eight values of seed 004 §5.1 and DEPOSIT (预交金); others may be added.
	OrderTypes map[string]OrderType
	// Prefixes of order numbers (seed 004 §4.1, §5.5), by till kind (counter, kiosk) and then by class (outpatient, inpatient) or order type; an order type wins over its class.
	Prefixes map[string]map[string]string
	// The tills this agent serves.
	Tills []Till
	// What holds for all devices.
	Devices Devices
	// The schedule of queries and cancels. A platform may override each value.
	Policy Policy
	// How the hospital's own system is told of orders.
	HIS HIS
	// What is done until HIS has booked a payment, and when it cannot.
	Booking Booking
	// Bounds of amounts.
	Limits Limits
	// What counts as a payment code, and how scans are guarded.
	Codes Codes
	// The durable store.
	Store Store
	// The listener for platforms and patients' browsers outside; off by default.
	Callback Callback
	// Payments by medical insurance.
	Insurance Insurance
	// The figures for Prometheus: the page /metrics, and a file.
	Metrics Metrics
	// The agent in a platform's own words, for a HIS that was written for the platform.
	Facade Facade
	// What reconciliation asks HIS for, answered by the agent.
	Books Books
	// Closing a day: audit and reconciliation.
	Finance Finance
	// The message broker over which the box reports and is managed, and over which a platform may be reached.
	Fleet Fleet

	file  string
	lines map[string]int
}

// Site names the hospital and this box.
type Site struct {
	// The platform's number of the hospital (HospitalID of seed 004); in quotes.
	HospitalID string
	// Name of the hospital or of this box, for people.
	Name string
	// true marks every screen with 测试, so that a test box is never taken for a real one.
	Test bool
}

// Log says where the agent's own log goes. It never holds codes, tokens or people.
type Log struct {
	// Least level written: debug, info, warn or error.
	Level string
	// File to write; empty writes to standard error (the service manager's log).
	File string
	// The file is turned over when it would grow past this.
	MaxBytes Bytes
	// Turned-over files kept beside the present one.
	Keep int
}

// Door is the HTTP interface. Only the addresses named here are opened.
type Door struct {
	// Addresses, IP:port. An address that is not loopback needs tls, or accept_plain_http.
	Listen []string
	// Certificate for the addresses that are not loopback.
	TLS TLS
	// true opens addresses that are not loopback without TLS: whoever listens on that network reads tokens and orders. A standing warning.
	AcceptPlainHTTP bool
	// Origins (scheme://host:port) of HIS web pages that may call from a browser; compared exactly. The agent's own pages need no entry.
	Origins []string
	// How often one workstation may begin something, and what follows wrong tokens.
	Limits DoorLimits
	// Further names or addresses under which clients call this box (Host header, without port); those of listen and localhost are always accepted.
	Hosts []string
}

// Listener gives the addresses as every listener has them.
func (d Door) Listener() Listener {
	return Listener{Listen: d.Listen, TLS: d.TLS, AcceptPlainHTTP: d.AcceptPlainHTTP}
}

// TLS names a certificate.
type TLS struct {
	// PEM file with the certificate and its chain.
	Cert string
	// PEM file with the private key.
	Key string
}

// Merchant is a merchant profile. Its name is frozen into every order made
// under it, so that later queries and refunds use the same credentials.
type Merchant struct {
	// Name of our own.
	Profile string
	// Name of the platform it belongs to.
	Platform string
	// Merchant code (SmartPay MerchCode), in quotes; empty where the platform has none.
	MerchCode string
	// File that holds the access token alone; mode 0600. It is read again when it changes. Empty where the platform has none.
	TokenFile string
}

// Route sends orders to a merchant profile. An empty condition matches all.
type Route struct {
	// Name of a till.
	Till string
	// Kind of till: counter or kiosk.
	TillKind string
	// charge (the payer's code is scanned), present (the payer scans ours), h5 (the payer pays on a page) or insurance (there, by medical insurance).
	Mode string
	// Order type of the API, e.g. TREATMENT.
	OrderType string
	// Department of the till, as written there.
	Department string
	// Campus of the till, as written there.
	Campus string
	// Merchant profile that takes the order.
	Merchant string
}

// OrderType says what one order type of the API means.
type OrderType struct {
	// Value of OrderType on the FWC wire (seed 004 §5.1). Empty is the name itself.
	OrderType string
	// Value of ServiceId on the SmartPay wire, in quotes. The seed gives no values: agree them with the platform. Empty: SmartPay orders of this type are refused.
	ServiceID string
	// outpatient or inpatient: chooses the prefix of the order number.
	Class string
	// Least amount; 0 leaves it to limits.
	MinFen platforms.Fen
	// Largest amount; 0 leaves it to limits.
	MaxFen platforms.Fen
}

// Operator is the person an order is made for when HIS names nobody.
type Operator struct {
	// Number of the operator, in quotes.
	ID string
	// Name of the operator.
	Name string
}

// Till is a place that takes money.
type Till struct {
	// Name of our own, used in API calls and tokens.
	Name string
	// Name for people, shown on screens; the name by default.
	Title string
	// counter (staffed), kiosk (self-service) or online (a page or app of the hospital: no place, any number of orders at once).
	Kind string
	// Number of the device as the platform knows it (DeviceInfo, TerminalID), in quotes.
	DeviceNo string
	// Operator used when HIS names none. A kiosk must have one.
	Operator Operator
	// Department, for routes.
	Department string
	// Campus, for routes.
	Campus string
	// What the till may do: charge, present, h5, insurance. The first two by default; at an online till the last two are possible.
	Modes []string
	// Order types taken at this till; empty takes all.
	OrderTypes []string
	// Scanners that belong to the till.
	Scanners []Scanner
	// Displays that belong to the till, besides the pages.
	Displays []Display
	// What a new order meets while the platform is unreachable: refuse, or queue (kept without a code, nothing sent, confirmed by a person later).
	WhenOffline string
	// How long a queued order waits before it ends by itself.
	ValidFor time.Duration
	// How long the till waits for a scan before the order ends by itself.
	ScanWait time.Duration
	// Kiosks only. true gives the money back when HIS has said nothing for 120 s: only if this HIS has booked a payment before, can be reached for as long, and was told 15 s before. A booking that comes later is refused. false holds the money and raises an alarm.
	ReverseOnSilence bool
}

func (t *Till) setDefaults() {
	t.Modes = []string{string(platforms.ModeCharge), string(platforms.ModePresent)}
	t.WhenOffline, t.ValidFor, t.ScanWait = "refuse", 10*time.Minute, 120*time.Second
}

// Devices is what holds for all devices.
type Devices struct {
	// Folder with device templates of your own, one YAML file per model, which stand before the built-in ones; an absolute path, models under data_dir by default. It may be absent.
	ModelsDir string
}

// Scanner is one scanner of a till.
type Scanner struct {
	// Name of our own, seen in health and logs; till name and number by default.
	Name string
	// Which driver opens it: hid, wedge, serial or stdin; karalabe is hid through that library. May be left out with model.
	Driver string
	// Device template whose settings are the defaults of options, e.g. as payagent devices list names it.
	Model string
	// Which interface of the model is used, where it has several: hid-pos, keyboard or serial.
	Interface string
	// pad (the patient's, payment codes only) or gun (the cashier's).
	Role string
	// false for a scanner whose codes must never pay, e.g. a gun for patients' cards only.
	Pays bool
	// Reopen the device when no code came for this long, since some die silently. 0 leaves it to the driver: 2h, but never for wedge, which would let go of the keyboard. Negative: never.
	Refresh time.Duration
	// Settings of the driver; see docs/drivers.md.
	Options Options
}

func (s *Scanner) setDefaults() { s.Role, s.Pays = "pad", true }

// Display is one display of a till.
type Display struct {
	// Name of our own; till name and number by default.
	Name string
	// Which driver opens it: pole, panel, lamp or voice.
	Driver string
	// Settings of the driver; see docs/drivers.md.
	Options Options
}

// Policy is the schedule of one platform: when to ask, when to cancel, when
// to call a person. Source of the defaults: wire.md §6.4, decisions 5, 9, 10.
type Policy struct {
	// A pay call stays open this long; queries run beside it.
	PayTimeout time.Duration
	// A call for a QR code stays open this long.
	PresentTimeout time.Duration
	// A query, cancel or refund call stays open this long.
	CallTimeout time.Duration
	// First query after the pay request left.
	FirstQuery time.Duration
	// Pause between queries.
	QueryEvery time.Duration
	// A charge is asked about this long, then canceled.
	Horizon time.Duration
	// The same for WeChat, which reverses by itself at 45 s.
	HorizonWeChat time.Duration `yaml:"horizon_wechat"`
	// Earliest cancel after a charge. A QR may be canceled at once.
	CancelNotBefore time.Duration
	// 校验 and 撤销 are offered to the cashier after this.
	ManualAfter time.Duration
	// Pause between queries of a QR that is shown.
	PresentEvery time.Duration
	// Number of those queries; with present_every this is how long a QR is shown.
	PresentQueries int
	// A payment on a page (h5, insurance) whose order names no expiry is asked about this long, then canceled; the platform is told the same.
	H5Horizon time.Duration `yaml:"h5_horizon"`
	// Pauses between queries of a payment on a page; the last one repeats.
	H5Every []time.Duration `yaml:"h5_every"`
	// A payment by medical insurance waits this long for the payer's authorisation, then ends; nothing was sent.
	AuthoriseWait time.Duration
	// And this long for HIS to settle it with the insurance.
	SettleWait time.Duration
	// Cancels tried before the order is in doubt and raises an alarm; trying goes on.
	QuickCancels int
	// Pauses between tries of cancels, slow queries and refunds; the last one repeats.
	Backoff []time.Duration
	// An order that the platform never heard of, asked for and canceled in vain, ends after this.
	NotFoundFinal time.Duration
	// After an unpaid end the platform is asked again at these ages, for money that came late.
	LateWatch []time.Duration
	// Late money younger than this is canceled, older is refunded.
	CancelWindow time.Duration
	// Least pause between two refunds of one order.
	RefundSpacing time.Duration
	// A scanned code older than this is not sent; 45s at most.
	CodeAge time.Duration
}

// Booking says what happens between a payment and HIS's word that it counts
// it. Paid is not done; booked by HIS is.
type Booking struct {
	// true expects HIS to say of each payment whether it booked it (POST /v1/orders/{id}/booking, or its answer to the webhook). Write false at sites whose HIS cannot say it; behind the façade facade.assume_booked says it instead. Then payments are done when they are paid, nothing is given back by itself, and the books that HIS is asked for hold no word of it.
	Expect bool
	// The cashier is told when HIS has said nothing for this long.
	PromptAfter time.Duration
	// An alarm is raised when HIS has said nothing for this long. The money is held.
	AlarmAfter time.Duration
	// How the money goes back when HIS says that it could not book the payment: cancel (the platform's cancel; a refund where the cancel window is over, trying again is useless or a part was refunded), refund, or lc.trade.cancel (the same through the gateway named by reverse_via).
	ReverseWith string
	// Platform whose cancel is used with reverse_with: lc.trade.cancel. It must have exactly one merchant profile.
	ReverseVia string
}

// The words that booking.reverse_with takes.
const (
	ReverseCancel = "cancel"
	ReverseRefund = "refund"
	ReverseLC     = "lc.trade.cancel"
)

// Limits are the bounds of amounts; a breach is refused before anything is sent.
type Limits struct {
	// Least amount of an order.
	MinFen platforms.Fen
	// Largest amount of an order.
	MaxFen platforms.Fen
	// Largest sum of one operator's orders within operator_shift; 0 sets no bound.
	OperatorShiftFen platforms.Fen
	// Length of the shift over which the sum is taken.
	OperatorShift time.Duration
	// Refunds of one order are made by one person up to this sum of all of them; above it a second person must approve. 0: one person is always enough.
	RefundAloneFen platforms.Fen
}

// Codes says what counts as a payment code and how scans are guarded.
type Codes struct {
	// true sends codes of digits that no rule knows and lets the platform decide; false refuses them here.
	SendUnknownDigits bool
	// Further rules, tried before the built-in ones.
	Rules []CodeRule
	// The same code read again within this is one scan.
	DoubleRead time.Duration
	// Two different codes within this (two phones in view) are both refused.
	TwoCodes time.Duration
}

// CodeRule recognises one more kind of code. A text with the right beginning,
// length and letters is of that kind.
type CodeRule struct {
	// What it is: wechat, alipay, alipay_face, unionpay, ecny, insurance, id_card, card, merchant_qr, emv, product or junk.
	Kind string
	// Beginnings, one of which the text has, in quotes: "424", or a range of equally long numbers "10-15".
	Starts []string
	// Least length in characters.
	Min int
	// Largest length in characters.
	Max int
	// What the text is made of: digits (the default), alnum or printable.
	Letters string
	// Wallet of a payable code: wechat, alipay, unionpay or ecny.
	Channel string
	// true sends such codes to the platform.
	Payable bool
}

// Table is the table of codes: the configured rules in front of the built-in ones.
func (c Codes) Table() platforms.CodeRules {
	rules := platforms.DefaultRules()
	var own []platforms.CodeRule
	for _, r := range c.Rules {
		own = append(own, platforms.CodeRule{Kind: platforms.CodeKind(r.Kind), Starts: r.Starts, Min: r.Min, Max: r.Max,
			Letters: platforms.Letters(r.Letters), Channel: platforms.Channel(r.Channel), Payable: r.Payable})
	}
	rules.Rules = append(own, rules.Rules...)
	rules.PayUnknownDigits = c.SendUnknownDigits
	return rules
}

// Store says how much disk the orders may take, and when to stop.
type Store struct {
	// Budget for the order file. A warning is raised above it.
	BudgetBytes Bytes
	// Final orders are kept this many days.
	RetentionDays int
	// Names and numbers of patients are kept, sealed, this many days, because the platform's reconciliation asks for them. Telephone numbers, titles and details of bills are kept a day.
	PersonDays int
	// Size of a file that is given up when the disk is full, so that open orders can finish.
	BallastBytes Bytes
	// New orders are refused when less than this is free.
	StopBelowBytes Bytes
	// New orders are refused when less than this share of the disk is free, in percent.
	StopBelowPercent int
}

// Metrics says where the figures are to be had.
type Metrics struct {
	// true serves /metrics.
	Enabled bool
	// File for the textfile collector of a Prometheus exporter, on a box that nobody can ask by network: an absolute path that ends in .prom, in a folder that the service may write. Empty: none.
	Textfile string
	// How often it is written.
	TextfileEvery time.Duration
}

// Bytes is a size. In the file: a whole number of bytes, or with KiB, MiB, GiB.
type Bytes int64

// UnmarshalText reads a size. The error says how to write one.
func (b *Bytes) UnmarshalText(text []byte) error {
	s, shift := string(text), 0
	for i, unit := range []string{"KiB", "MiB", "GiB"} {
		if rest, ok := strings.CutSuffix(s, unit); ok {
			s, shift = strings.TrimRight(rest, " "), 10*(i+1)
			break
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || !onlyDigits(s) || n > 1<<50>>shift {
		return fmt.Errorf(`write a size in bytes, e.g. 67108864 or "64MiB"`)
	}
	*b = Bytes(n << shift)
	return nil
}

// String writes the size with the largest unit that divides it.
func (b Bytes) String() string {
	for i, unit := range []string{"GiB", "MiB", "KiB"} {
		if shift := 30 - 10*i; b != 0 && b>>shift<<shift == b {
			return fmt.Sprintf("%d%s", b>>shift, unit)
		}
	}
	return strconv.FormatInt(int64(b), 10)
}
