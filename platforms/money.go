package platforms

import (
	"errors"
	"fmt"
	"strings"
)

// Fen is an amount of money in fen (1/100 yuan). It is the only form in which
// money exists inside the agent; yuan with decimals exist on wires and screens
// alone, and a float exists nowhere.
type Fen int64

// MaxFen is the largest amount any wire of ours can carry: RefundAmount of
// seed 004 §5.4 is String(9), so 999999.99 yuan.
const MaxFen Fen = 99_999_999

// ErrAmount is wrapped by every error of ParseYuan and ParseFen.
var ErrAmount = errors.New("not an amount of money")

// Yuan writes the amount in yuan with exactly two decimals, as seed 004 asks.
func (f Fen) Yuan() string {
	sign, n := "", int64(f)
	if n < 0 {
		sign = "-"
	}
	whole, cents := n/100, n%100
	if whole < 0 {
		whole = -whole
	}
	if cents < 0 {
		cents = -cents
	}
	return fmt.Sprintf("%s%d.%02d", sign, whole, cents)
}

// String writes the amount for people: yuan with two decimals.
func (f Fen) String() string { return f.Yuan() }

// ParseYuan reads yuan as wires write them: digits, at most two decimals, no
// sign, no exponent, ASCII digits only. Blanks around it are allowed because
// seed 004 prints them in its own samples. It never rounds.
func ParseYuan(s string) (Fen, error) {
	t := strings.Trim(s, " \t\r\n")
	whole, frac, dotted := strings.Cut(t, ".")
	if dotted && (frac == "" || len(frac) > 2) {
		return 0, fmt.Errorf("%w: %q has not one or two decimals", ErrAmount, clip(s))
	}
	for len(frac) < 2 {
		frac += "0"
	}
	w, err := digits(whole, s)
	if err != nil {
		return 0, err
	}
	c, err := digits(frac, s)
	if err != nil {
		return 0, err
	}
	f := w*100 + c
	if f > MaxFen {
		return 0, fmt.Errorf("%w: %q is more than %s yuan", ErrAmount, clip(s), MaxFen.Yuan())
	}
	return f, nil
}

// ParseFen reads whole fen as seed 000 writes them: digits only.
func ParseFen(s string) (Fen, error) {
	f, err := digits(strings.Trim(s, " \t\r\n"), s)
	if err == nil && f > MaxFen {
		err = fmt.Errorf("%w: %q is more than %d fen", ErrAmount, clip(s), MaxFen)
	}
	if err != nil {
		return 0, err
	}
	return f, nil
}

func digits(t, whole string) (Fen, error) {
	if t == "" || len(t) > 12 {
		return 0, fmt.Errorf("%w: %q", ErrAmount, clip(whole))
	}
	var n Fen
	for i := 0; i < len(t); i++ {
		if t[i] < '0' || t[i] > '9' {
			return 0, fmt.Errorf("%w: %q has other characters than 0-9", ErrAmount, clip(whole))
		}
		n = n*10 + Fen(t[i]-'0')
	}
	return n, nil
}

func clip(s string) string {
	if len(s) > 32 {
		return s[:32] + "…"
	}
	return s
}
