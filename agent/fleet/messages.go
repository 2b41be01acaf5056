package fleet

import (
	"encoding/json"
	"time"
)

// The words of Status.State.
const (
	StateInit    = "init"         // started, not ready yet
	StateReady   = "ready"        // store, clock, scanners and platform are fresh
	StateAlert   = "alert"        // works, with an alarm or something stale
	StateGone    = "disconnected" // said good-bye
	StateLost    = "lost"         // the broker sent the will
	StateUnknown = "unknown"      // nobody says anything, or it is too old
)

// Status is retained at <box>/status. The will is the same message with State
// lost and the BootID and Seq of the connection it belongs to: a will whose Seq
// is below that of a newer status is stale and is not believed.
type Status struct {
	State   string    `json:"state"`
	BootID  string    `json:"boot_id"` // new at every start of the process
	Seq     uint64    `json:"seq"`     // counts connections within BootID
	Since   time.Time `json:"since"`   // when State began
	At      time.Time `json:"at"`      // when this was written; repeated every minute
	Every   int       `json:"every_s"` // how often it is repeated, in seconds
	Version string    `json:"version"`
	Reasons []string  `json:"reasons,omitempty"` // codes, see words.md
	Open    int       `json:"open_orders"`
	Waiting int       `json:"events_waiting"` // not acknowledged by the fleet
	// Acked is how far the stream of orders was acknowledged when this was
	// written. A hub that has less lacks events, whatever Waiting says.
	Acked Ack `json:"acked,omitzero"`
}

// Ack is what the hub says of a stream of a box: everything of Epoch up to Seq
// is durable. The hub says it again when it sees an event that does not join
// what it has, and at each of its own starts: a Seq below the box's cursor (the
// hub is new, or was put back from a copy) asks the box to begin anew behind
// Seq, with a gap event where that was pruned.
type Ack struct {
	Epoch string `json:"epoch"`
	Seq   uint64 `json:"seq"`
}

// Event is a CloudEvent 1.0 in structured JSON. ID is "<epoch>-<sequence>"
// (a gap's ends in "-<stream>") and unique per Source, so that receivers drop
// repetitions. Sequence is unique within a stream.
type Event struct {
	SpecVersion string          `json:"specversion"` // "1.0"
	ID          string          `json:"id"`
	Source      string          `json:"source"` // "/payagent/<site>/<box>"
	Type        string          `json:"type"`   // e.g. "payagent.order.paid.v1"
	Subject     string          `json:"subject,omitempty"`
	Time        time.Time       `json:"time"`
	ContentType string          `json:"datacontenttype"`      // "application/json"
	Epoch       string          `json:"epoch"`                // one store of one box: a new store begins a new count
	Sequence    uint64          `json:"sequence"`             // the record's place in that store; grows, with gaps
	Previous    uint64          `json:"previous"`             // the sequence of the event before it in this stream, 0 for the first
	Historical  bool            `json:"historical,omitempty"` // older than a minute when it left
	Data        json.RawMessage `json:"data"`
	// Traceparent is the CloudEvents extension of distributed tracing: the order's
	// trace (W3C Trace Context).
	Traceparent string `json:"traceparent,omitempty"`
	// Sealed holds what concerns a patient, sealed with HPKE to the hub's public
	// key (agent/fleet/sealed): base64; only where fleet.hub_key is set.
	Sealed string `json:"sealed,omitempty"`
}

// The verbs. None moves money, and there is no remote shell.
const (
	VerbRestart        = "restart"
	VerbConfigApply    = "config.apply"
	VerbConfigRollback = "config.rollback"
	VerbLogUpload      = "log.upload"
	VerbDiag           = "diag"
	VerbDevicesTest    = "devices.test"
	VerbResolveNow     = "orders.resolve_now" // brings queries forward
	VerbUpdate         = "update"
	VerbRenew          = "certificate.renew"
)

// The rôles of keys.
const (
	RoleOperate = "operate" // look and nudge
	RoleConfig  = "config"  // configuration
	RoleRelease = "release" // programs
)

// RoleFor says who may order a verb; false for a verb that does not exist.
func RoleFor(verb string) (role string, ok bool) {
	switch verb {
	case VerbRestart, VerbLogUpload, VerbDiag, VerbDevicesTest, VerbResolveNow, VerbRenew:
		return RoleOperate, true
	case VerbConfigApply, VerbConfigRollback:
		return RoleConfig, true
	case VerbUpdate:
		return RoleRelease, true
	}
	return "", false
}

// Types of signed payloads.
const (
	TypeCommand  = "application/vnd.payagent.command.v1+json"
	TypeConfig   = "application/vnd.payagent.config.v1+json"
	TypeManifest = "application/vnd.payagent.update.v1+json"
)

// Command is the signed payload of cmd/<verb>/<id>/req.
type Command struct {
	Site    string          `json:"site"`
	Box     string          `json:"box"` // exactly one box
	ID      string          `json:"cmd_id"`
	Verb    string          `json:"verb"`
	Args    json.RawMessage `json:"args,omitempty"`
	Counter uint64          `json:"counter"` // grows with every command of the key that signs first: microseconds since 1970
	Issued  time.Time       `json:"issued_at"`
	Expires time.Time       `json:"expires_at"` // at most 7 days after Issued
}

// The states of a command.
const (
	Accepted  = "accepted" // durable on the box; waits, e.g. for open orders
	Running   = "running"
	Succeeded = "succeeded"
	Failed    = "failed"
	Expired   = "expired"
	Refused   = "refused" // never took effect: not signed, not for this box, too old, unknown verb, seen before with other content
)

// CommandState is what the box says at cmd/<verb>/<id>/state (retained by the
// broker so that payfleet sees it later; cleared by the box after 7 days).
type CommandState struct {
	ID       string          `json:"cmd_id"`
	Verb     string          `json:"verb"`
	State    string          `json:"state"`
	Reason   string          `json:"reason,omitempty"`   // a code, e.g. payment_lock, expired, not_signed
	Text     string          `json:"text,omitempty"`     // for people
	Progress int             `json:"progress,omitempty"` // percent
	Result   json.RawMessage `json:"result,omitempty"`
	At       time.Time       `json:"at"`
}
