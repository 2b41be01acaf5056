// Command fontgen writes devices/panel/font.bin: of the bitmap font's simplified
// Chinese face the characters that GBK has, which is what hospital programs and
// platforms write. So the font module with its six faces (2.5 MB) and the tables
// of x/text behind it stay out of the program. Not shipped.
package main

import (
	"bytes"
	"compress/flate"
	"fmt"
	"image"
	"os"

	"github.com/hajimehoshi/bitmapfont/v4"
	"golang.org/x/image/math/fixed"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// The cell of a character, in pixels.
const (
	rows    = 16
	columns = 12
)

func main() {
	data, err := pack()
	if err == nil {
		err = os.WriteFile("font.bin", data, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot write the font: "+err.Error())
		os.Exit(1)
	}
}

// pack gives the file, deflated: a bit for each code point below 0x10000 that
// says whether it is there, another that says whether it is twelve pixels wide
// and not six, then for each that is there its columns from the left, the upper
// row in the lowest bit: the lower bytes of all, then the upper ones. That way it
// deflates best.
func pack() ([]byte, error) {
	have, wide := make([]byte, 0x10000/8), make([]byte, 0x10000/8)
	var lower, upper []byte
	encode := simplifiedchinese.GBK.NewEncoder()
	for r := rune(0x21); r < 0x10000; r++ {
		if _, err := encode.String(string(r)); err != nil {
			continue
		}
		cell, width, inked := cellOf(r)
		if !inked {
			continue
		}
		have[r/8] |= 1 << (r % 8)
		if width == columns {
			wide[r/8] |= 1 << (r % 8)
		}
		for _, c := range cell {
			lower, upper = append(lower, byte(c)), append(upper, byte(c>>8))
		}
	}
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestCompression)
	if err != nil {
		return nil, err
	}
	for _, part := range [][]byte{have, wide, lower, upper} {
		if _, err := w.Write(part); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

// cellOf gives the columns of a character.
func cellOf(r rune) (cell [columns]uint16, width int, inked bool) {
	box, mask, at, _, ok := bitmapfont.FaceSC.Glyph(fixed.P(0, 0), r)
	if !ok {
		return cell, 0, false
	}
	for x := range box.Dx() {
		for y := range rows {
			p := at.Add(image.Pt(x, y))
			if _, _, _, a := mask.At(p.X, p.Y).RGBA(); a != 0 {
				cell[x] |= 1 << y
				inked = true
			}
		}
	}
	return cell, box.Dx(), inked
}
