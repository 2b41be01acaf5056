package door

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"strings"

	qrcode "github.com/skip2/go-qrcode"
)

// quiet is the white margin that a reader needs, in modules (ISO/IEC 18004).
const quiet = 4

// pixels is the width of a module in the PNG.
const pixels = 8

// modules gives the dark squares of a QR code, level M, without margin. The
// error does not repeat the text.
func modules(text string) ([][]bool, error) {
	q, err := qrcode.New(text, qrcode.Medium)
	if err != nil {
		return nil, errors.New("cannot draw the QR code: its text is longer than a QR code takes; ask the platform")
	}
	q.DisableBorder = true
	return q.Bitmap(), nil
}

// writeSVG draws black on white, one run of modules per stroke.
func writeSVG(w http.ResponseWriter, text string) error {
	grid, err := modules(text)
	if err != nil {
		return err
	}
	side := len(grid) + 2*quiet
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" shape-rendering="crispEdges">`, side, side)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/><path fill="#000" d="`, side, side)
	for y, row := range grid {
		for x := 0; x < len(row); {
			n := 0
			for x+n < len(row) && row[x+n] {
				n++
			}
			if n > 0 {
				fmt.Fprintf(&b, "M%d %dh%dv1h-%dz", x+quiet, y+quiet, n, n)
			}
			x += max(n, 1)
		}
	}
	b.WriteString(`"/></svg>`)
	w.Header().Set("Content-Type", "image/svg+xml")
	_, _ = w.Write([]byte(b.String())) // a caller that is gone needs no picture
	return nil
}

// writePNG draws the same for pages that cannot show SVG.
func writePNG(w http.ResponseWriter, text string) error {
	grid, err := modules(text)
	if err != nil {
		return err
	}
	side := (len(grid) + 2*quiet) * pixels
	img := image.NewPaletted(image.Rect(0, 0, side, side), color.Palette{color.White, color.Black})
	for y := range side {
		for x := range side {
			row, col := y/pixels-quiet, x/pixels-quiet
			if row >= 0 && row < len(grid) && col >= 0 && col < len(grid[row]) && grid[row][col] {
				img.SetColorIndex(x, y, 1)
			}
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return fmt.Errorf("cannot draw the QR code: %w", err)
	}
	w.Header().Set("Content-Type", "image/png")
	_, _ = w.Write(b.Bytes())
	return nil
}
