package wire

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"payagent/platforms"
)

// NotCharged adds to an error the proof that nothing was charged. The error's
// own text stays; platforms.ErrNotCharged is in its chain.
func NotCharged(err error) error {
	return fmt.Errorf("%w (%w)", err, platforms.ErrNotCharged)
}

// unsent is for failures before the first byte.
func (r Request) unsent(err error) error {
	if r.Charges {
		return NotCharged(err)
	}
	return err
}

// failed wraps what the transport said. Its text may quote the reply, so it is
// cleaned; the chain keeps context.DeadlineExceeded and the like.
func (r Request) failed(what string, err error) error {
	e := &transportError{text: what + ": " + Clean(err.Error(), r.Secrets...), cause: err}
	if platforms.NeverLeft(err) {
		return r.unsent(e)
	}
	return e
}

type transportError struct {
	text  string
	cause error
}

func (e *transportError) Error() string { return e.text }

// GoString keeps %#v from walking into the cause, whose text is not cleaned.
func (e *transportError) GoString() string { return e.text }

// Is answers for the cause, except for the one claim that only Post may make.
func (e *transportError) Is(target error) bool {
	return target != platforms.ErrNotCharged && target != platforms.ErrToken && errors.Is(e.cause, target)
}

// NotSent keeps platforms.NeverLeft working through the wrapping.
func (e *transportError) NotSent() bool { return platforms.NeverLeft(e.cause) }

// ClockWrong keeps platforms.ClockWrong working through the wrapping.
func (e *transportError) ClockWrong() bool { return platforms.ClockWrong(e.cause) }

// Timeout tells whether the time ran out.
func (e *transportError) Timeout() bool {
	var t interface{ Timeout() bool }
	return errors.As(e.cause, &t) && t.Timeout()
}

// maxWords is how many characters of foreign text are kept.
const maxWords = 200

// Clean makes foreign text fit for errors, messages and logs: the secrets are
// cut out, so is every run of digits that could be a payment code or a card
// number where none was named; control characters become blanks, and the rest
// is clipped to 200 characters.
func Clean(s string, secrets ...platforms.Hidden) string {
	for _, h := range secrets {
		// A text as short as "1" would tear holes into everything.
		if t := strings.TrimSpace(h.Reveal()); len(t) >= 4 {
			s = strings.ReplaceAll(s, t, "[hidden]")
		}
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar || unicode.Is(unicode.Cf, r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, " "))
	s = hideDigits(strings.Join(strings.Fields(s), " "))
	if r := []rune(s); len(r) > maxWords {
		s = string(r[:maxWords]) + "…"
	}
	return s
}

// minDigits is the length of the shortest payment code, 支付宝's 16 digits.
const minDigits = 16

// hideDigits hides runs of digits that stand alone. Order numbers of ours keep
// visible, because they begin with letters.
func hideDigits(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		j := i
		for j < len(s) && (s[j] >= '0' && s[j] <= '9' || s[j]|0x20 >= 'a' && s[j]|0x20 <= 'z') {
			j++
		}
		word := s[i:j]
		if len(word) >= minDigits && strings.Trim(word, "0123456789") == "" {
			word = "[digits]"
		}
		b.WriteString(word)
		if j < len(s) {
			b.WriteByte(s[j])
			j++
		}
		i = j
	}
	return b.String()
}
