package https

import (
	"fmt"
	"io"
	"log/slog"
)

// Password is a proxy's password. It hides itself from every printing verb
// and encoder; only the proxy handshake reads it.
type Password struct{ text *string }

// NewPassword wraps a password.
func NewPassword(s string) Password { return Password{text: &s} }

func (p Password) reveal() string {
	if p.text == nil {
		return ""
	}
	return *p.text
}

// Format writes a mask under every verb.
func (p Password) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[hidden]") }

// String gives a mask.
func (p Password) String() string { return "[hidden]" }

// GoString gives a mask.
func (p Password) GoString() string { return "[hidden]" }

// LogValue gives a mask.
func (p Password) LogValue() slog.Value { return slog.StringValue("[hidden]") }

// MarshalText gives a mask.
func (p Password) MarshalText() ([]byte, error) { return []byte("[hidden]"), nil }
