package platforms

import (
	"fmt"
	"io"
	"log/slog"
)

// Hidden holds text that must not be seen by accident: payment codes, tokens,
// names, card numbers. The text lies behind a pointer, so that even a verb
// that walks unexported fields prints an address; every ordinary way of
// printing, logging or encoding gives "[hidden]". Reveal is the only way out.
type Hidden struct {
	_    [0]func() // two are never equal by ==, and no code is made for it
	text *string
}

// Hide wraps text. An empty text gives the zero Hidden.
func Hide(text string) Hidden {
	if text == "" {
		return Hidden{}
	}
	return Hidden{text: &text}
}

const mask = "[hidden]"

// Reveal returns the text, for the wire that needs it and for nothing else.
func (h Hidden) Reveal() string {
	if h.text == nil {
		return ""
	}
	return *h.text
}

// Empty tells whether there is no text.
func (h Hidden) Empty() bool { return h.text == nil }

// Forget drops the text of this copy and of all that share it.
func (h Hidden) Forget() {
	if h.text != nil {
		*h.text = ""
	}
}

// Format writes the mask under every verb.
func (h Hidden) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, mask) }

// String gives the mask.
func (h Hidden) String() string { return mask }

// GoString gives the mask.
func (h Hidden) GoString() string { return mask }

// LogValue gives the mask.
func (h Hidden) LogValue() slog.Value { return slog.StringValue(mask) }

// MarshalText gives the mask, so that JSON, YAML and XML encoders leak nothing.
func (h Hidden) MarshalText() ([]byte, error) { return []byte(mask), nil }
