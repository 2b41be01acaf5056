// Package devices is the contract for what stands on the counter: scanners
// that read, displays that show. Members speak text, bytes and ids; what a
// scanned text means is decided elsewhere.
//
// Rules that every member keeps and devicetest checks: one goroutine owns a
// handle, reads with a short time-out and closes it; a call can always be
// stopped by its context; an unplugged device gives an error in well under a
// second and leaks nothing; a scanned text is never printed or logged.
package devices

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"
)

// Text is a scanned text. It may be a payment code, so it hides itself from
// every printing verb and encoder; Reveal is the only way out.
type Text struct{ text *string }

// NewText wraps a scanned text.
func NewText(s string) Text { return Text{text: &s} }

// Reveal returns the text.
func (t Text) Reveal() string {
	if t.text == nil {
		return ""
	}
	return *t.text
}

// Len is the length in bytes, which may be shown.
func (t Text) Len() int { return len(t.Reveal()) }

// Format writes kind and length only, under every verb.
func (t Text) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.String()) }

// String gives the length only.
func (t Text) String() string { return fmt.Sprintf("[scan of %d bytes]", t.Len()) }

// GoString gives the length only.
func (t Text) GoString() string { return t.String() }

// LogValue gives the length only.
func (t Text) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalText gives the length only.
func (t Text) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// Scan is one code read by one device.
type Scan struct {
	Text      Text
	Symbology string // AIM identifier without the bracket, e.g. "Q1"; empty if the device sent none
	Device    string // the device's name in the configuration
	At        time.Time
}

// Scanner reads codes.
type Scanner interface {
	// Scan waits for the next code. A context that ends gives ctx.Err and the
	// scanner stays usable; any other error means that the device is gone.
	Scan(ctx context.Context) (Scan, error)
	Close() error
}

// ErrGone is wrapped when a device was unplugged or died.
var ErrGone = errors.New("the device is gone; check its cable")

// The states of a screen beside the states of orders.
const (
	StateIdle    = "idle"    // nobody is served
	StateOffline = "offline" // no payment can be taken: the platform is away
)

// Screen is what a display or a signal should show now. It is a value: one
// that was absent shows the latest when it is back.
type Screen struct {
	// State is idle, offline, or the order's: waiting, queued, paying,
	// canceling, in_doubt, paid, failed, canceled.
	State  string
	Title  string // one line for the patient, Chinese
	Line   string // second line, or empty; a name in it is masked
	Amount string // yuan with two decimals, or empty
	QR     string // text of a QR code, or empty
	Speech string // what is said aloud, Chinese, or empty
	// TitleEN and LineEN are the same in English, for displays without
	// Chinese characters.
	TitleEN, LineEN string
	// Note is the stable code of what happened to the last scan, or empty. A
	// new one is a reason for a short signal.
	Note string
	Test bool // a 测试 watermark must be seen
}

// Display shows screens. Show must not block longer than its context.
type Display interface {
	Show(ctx context.Context, s Screen) error
	Close() error
}
