package panel

import (
	"image"
	"testing"

	"github.com/hajimehoshi/bitmapfont/v4"
	"golang.org/x/image/math/fixed"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// TestFontIsTheFace compares the packed font with the face that it was made of:
// every character of GBK looks the same and is as wide, and no other is there.
func TestFontIsTheFace(t *testing.T) {
	encode := simplifiedchinese.GBK.NewEncoder()
	there := 0
	for r := rune(0x21); r < 0x10100; r++ {
		c, width, ok := glyph(r)
		box, mask, at, _, _ := bitmapfont.FaceSC.Glyph(fixed.P(0, 0), r)
		_, err := encode.String(string(r))
		want := false
		for x := range box.Dx() {
			for y := range cellRows {
				p := at.Add(image.Pt(x, y))
				_, _, _, a := mask.At(p.X, p.Y).RGBA()
				want = want || a != 0
				if ok && (a != 0) != c.inked(x, y) {
					t.Fatalf("%q differs at %d, %d", r, x, y)
				}
			}
		}
		if want = want && err == nil; ok != want {
			t.Fatalf("%q: there %v, want %v", r, ok, want)
		}
		if ok {
			there++
			if width != box.Dx() || runeWidth(r) != width {
				t.Fatalf("%q is %d wide, want %d", r, width, box.Dx())
			}
		}
	}
	if there < 19_000 {
		t.Errorf("only %d characters", there)
	}
}
