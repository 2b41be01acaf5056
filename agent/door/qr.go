package door

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"strings"

	qrcode "github.com/skip2/go-qrcode"
)

// quiet is the white margin that a reader needs, in modules (ISO/IEC 18004).
const quiet = 4

// pixels is the width of a module in the PNG: a byte of its rows.
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

// writePNG draws the same for pages that cannot show SVG. It has a bit for each
// pixel, so that a module's row is a byte. The standard library's encoder, for every
// kind of picture, would be 20 KB of the program.
func writePNG(w http.ResponseWriter, text string) error {
	grid, err := modules(text)
	if err != nil {
		return err
	}
	side := len(grid) + 2*quiet
	var body bytes.Buffer
	z := zlib.NewWriter(&body)
	line := make([]byte, 1+side) // the first byte: no filter
	for y := range side {
		for x := range side {
			row, col := y-quiet, x-quiet
			line[1+x] = 0xff
			if row >= 0 && row < len(grid) && col >= 0 && col < len(grid[row]) && grid[row][col] {
				line[1+x] = 0
			}
		}
		for range pixels {
			_, _ = z.Write(line) // into memory
		}
	}
	_ = z.Close()
	head := binary.BigEndian.AppendUint32(nil, uint32(side*pixels))
	head = binary.BigEndian.AppendUint32(head, uint32(side*pixels))
	head = append(head, 1, 0, 0, 0, 0) // one bit of grey a pixel, deflated, not interlaced
	picture := []byte("\x89PNG\r\n\x1a\n")
	picture = appendChunk(picture, "IHDR", head)
	picture = appendChunk(picture, "IDAT", body.Bytes())
	picture = appendChunk(picture, "IEND", nil)
	w.Header().Set("Content-Type", "image/png")
	_, _ = w.Write(picture)
	return nil
}

// appendChunk adds one part of a PNG: its length, its name and data, their sum.
func appendChunk(to []byte, name string, data []byte) []byte {
	to = binary.BigEndian.AppendUint32(to, uint32(len(data)))
	from := len(to)
	to = append(append(to, name...), data...)
	return binary.BigEndian.AppendUint32(to, crc32.ChecksumIEEE(to[from:]))
}
