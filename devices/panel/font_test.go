package panel

import (
	"image"
	"testing"

	"github.com/hajimehoshi/bitmapfont/v4"
	"golang.org/x/image/math/fixed"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// TestFontIsTheFace compares the packed font with the face that it was made of:
// every character looks the same and is as wide; all of GB 2312 that the face
// has is there, and beyond it characters of GBK only.
func TestFontIsTheFace(t *testing.T) {
	encode := simplifiedchinese.GBK.NewEncoder()
	there, beyond := 0, 0
	for r := rune(0x21); r < 0x10100; r++ {
		c, width, ok := glyph(r)
		box, mask, at, _, _ := bitmapfont.FaceSC.Glyph(fixed.P(0, 0), r)
		code, err := encode.Bytes([]byte(string(r)))
		old := err == nil && (len(code) == 1 || code[0] >= 0xA1 && code[0] <= 0xF7 && code[1] >= 0xA1)
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
		if old && ok != want || ok && err != nil {
			t.Fatalf("%q: there %v, want %v", r, ok, want)
		}
		if ok {
			there++
			if !old {
				beyond++
			}
			if width != box.Dx() || runeWidth(r) != width {
				t.Fatalf("%q is %d wide, want %d", r, width, box.Dx())
			}
		}
	}
	if there < 7_500 || beyond < 500 {
		t.Errorf("only %d characters, %d of them beyond GB 2312", there, beyond)
	}
}
