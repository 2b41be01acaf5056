package wedge

import (
	"testing"

	"golang.org/x/text/unicode/norm"
)

// TestAccentedLetters compares the pairs with Unicode's own tables, for every
// letter that a keyboard may have.
func TestAccentedLetters(t *testing.T) {
	for _, mark := range []rune{'\u0300', '\u0301', '\u0302', '\u0303', '\u0308'} {
		for r := rune(0x20); r < 0x250; r++ {
			want := rune(0)
			if s := []rune(norm.NFC.String(string([]rune{r, mark}))); len(s) == 1 {
				want = s[0]
			}
			if got := accented(mark, r); got != want {
				t.Errorf("%q with %q: %q, want %q", r, mark, got, want)
			}
		}
	}
	if accented('\u0305', 'a') != 0 {
		t.Error("a mark that is no dead key made a letter")
	}
}
