package platforms_test

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"

	"payagent/platforms"
)

func TestParseYuan(t *testing.T) {
	for text, want := range map[string]platforms.Fen{
		"0": 0, "0.0": 0, "0.00": 0, "0.01": 1, "0.1": 10, "0.10": 10, "0.29": 29, "1": 100, "1.1": 110, "1.10": 110,
		"88.88": 8888, "88.9": 8890, "100": 10000, "2000.00": 200000, " 2000.00": 200000, "2000.00\r\n": 200000, "\t1.00 ": 100,
		"007.50": 750, "00.01": 1, "4.35": 435, "19.99": 1999, "1.005": -1, "999999.99": platforms.MaxFen, "1000000": -1, "1000000.00": -1,
		"999999.990": -1, "0000999999.99": platforms.MaxFen,
		"": -1, " ": -1, ".": -1, ".5": -1, "5.": -1, "1..2": -1, "1.2.3": -1, "1e2": -1, "1E2": -1, "１００": -1, "1００": -1,
		"-1": -1, "-0.01": -1, "+1": -1, "1,000.00": -1, "1 000": -1, "1. 00": -1, "0x10": -1, "NaN": -1, "Inf": -1, "¥1": -1, "1元": -1,
		"١": -1, "1_000": -1, "99999999999999999999": -1, "9999999999.99": -1, "1\x00": -1, "\u00a01": -1, "1'000": -1,
	} {
		got, err := platforms.ParseYuan(text)
		check(t, "ParseYuan", text, got, want, err)
	}
}

func TestParseFen(t *testing.T) {
	for text, want := range map[string]platforms.Fen{
		"0": 0, "1": 1, "8888": 8888, " 8888 ": 8888, "0001": 1, "99999999": platforms.MaxFen, "100000000": -1, "999999999999": -1,
		"": -1, "88.88": -1, "1e2": -1, "１００": -1, "-1": -1, "+1": -1, "1 0": -1, "0x1": -1, "9223372036854775808": -1, "1\n2": -1,
	} {
		got, err := platforms.ParseFen(text)
		check(t, "ParseFen", text, got, want, err)
	}
}

// check takes a want below zero for "must be refused".
func check(t *testing.T, name, text string, got, want platforms.Fen, err error) {
	t.Helper()
	switch {
	case want < 0 && (err == nil || !errors.Is(err, platforms.ErrAmount) || got != 0):
		t.Errorf("%s(%q) = %d, %v; want ErrAmount", name, text, got, err)
	case want >= 0 && (err != nil || got != want):
		t.Errorf("%s(%q) = %d, %v; want %d", name, text, got, err, want)
	}
	if err != nil && len(err.Error()) > 200 {
		t.Errorf("%s(%q): the error is %d bytes long", name, text, len(err.Error()))
	}
}

func TestErrorsOfLongAmountsAreShort(t *testing.T) {
	_, err := platforms.ParseYuan(strings.Repeat("9", 1<<16))
	if err == nil || len(err.Error()) > 200 {
		t.Errorf("%v", err)
	}
}

func TestYuan(t *testing.T) {
	for fen, want := range map[platforms.Fen]string{
		0: "0.00", 1: "0.01", 10: "0.10", 99: "0.99", 100: "1.00", 8888: "88.88", 8890: "88.90", platforms.MaxFen: "999999.99",
		-1: "-0.01", -100: "-1.00", -8890: "-88.90", math.MaxInt64: "92233720368547758.07", math.MinInt64: "-92233720368547758.08",
	} {
		if got := fen.Yuan(); got != want || fen.String() != want {
			t.Errorf("%d: %q, want %q", int64(fen), got, want)
		}
	}
}

// TestEveryAmountSurvives: from 0 to 10,000 yuan, and the largest ones, every
// amount is read back as what it was, in all the ways wires write it.
func TestEveryAmountSurvives(t *testing.T) {
	one := func(f platforms.Fen) {
		if got, err := platforms.ParseYuan(f.Yuan()); err != nil || got != f {
			t.Fatalf("%d fen is written %q and read %d, %v", f, f.Yuan(), got, err)
		}
		if got, err := platforms.ParseFen(strconv.FormatInt(int64(f), 10)); err != nil || got != f {
			t.Fatalf("%d fen is read %d, %v", f, got, err)
		}
		if f%10 == 0 {
			if got, err := platforms.ParseYuan(strings.TrimSuffix(f.Yuan(), "0")); err != nil || got != f {
				t.Fatalf("%d fen without its last zero is read %d, %v", f, got, err)
			}
		}
	}
	for f := platforms.Fen(0); f <= 1_000_000; f++ {
		one(f)
	}
	for f := platforms.MaxFen - 1000; f <= platforms.MaxFen; f++ {
		one(f)
	}
}

func FuzzParseYuan(f *testing.F) {
	for _, s := range []string{"0.01", "88.88", "88.9", "1e2", "１００", "-1", "1000000", " 2000.00", "", ".", "999999.99"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := platforms.ParseYuan(s)
		if err != nil {
			if got != 0 || !errors.Is(err, platforms.ErrAmount) {
				t.Fatalf("%d, %v", got, err)
			}
			return
		}
		if got < 0 || got > platforms.MaxFen {
			t.Fatalf("%q gives %d", s, got)
		}
		// Independently: the digits without the point, padded to two decimals.
		plain := strings.Trim(s, " \t\r\n")
		whole, frac, _ := strings.Cut(plain, ".")
		n, convErr := strconv.ParseInt(whole+(frac + "00")[:2], 10, 64)
		if convErr != nil || platforms.Fen(n) != got {
			t.Fatalf("%q gives %d, but its digits are %d", s, got, n)
		}
		if again, err := platforms.ParseYuan(got.Yuan()); err != nil || again != got {
			t.Fatalf("%q gives %d and then %d, %v", s, got, again, err)
		}
	})
}

func FuzzParseFen(f *testing.F) {
	for _, s := range []string{"0", "8888", "1.0", "-1", "１", "100000000"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := platforms.ParseFen(s)
		if err != nil {
			return
		}
		n, convErr := strconv.ParseInt(strings.Trim(s, " \t\r\n"), 10, 64)
		if convErr != nil || platforms.Fen(n) != got || got < 0 || got > platforms.MaxFen {
			t.Fatalf("%q gives %d", s, got)
		}
	})
}
