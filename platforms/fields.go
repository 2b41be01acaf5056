package platforms

// FieldRow tells where one field of a platform's message comes from or goes
// to. The rows of all adapters make docs/interfaces.md.
type FieldRow struct {
	Message   string // the interface, e.g. "SweepCodePay"
	Field     string // the wire's name, with its parents where names repeat, e.g. "Data/OrderId"
	Direction string // FieldSent or FieldRead
	// Source begins with one of: "api " and the API's field, "config " and the
	// configuration key, "derived", "ignored". For fields that are read it says
	// where the value goes.
	Source string
	Note   string // why, where that is not plain
}

// The directions, seen from the agent.
const (
	FieldSent = "sent"
	FieldRead = "read"
)
