package panel

import (
	"bytes"
	"encoding/binary"
	"image"
	"os"
	"testing"

	"github.com/hajimehoshi/bitmapfont/v4"
	"golang.org/x/image/math/fixed"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// pack takes the glyphs of GBK and ASCII from the font.
func pack(t *testing.T) []byte {
	t.Helper()
	var out []byte
	for r := rune('!'); r < 0x10000; r++ {
		if r > '~' {
			if s, err := simplifiedchinese.GBK.NewEncoder().String(string(r)); err != nil || s == "\x1a" {
				continue
			}
		}
		box, mask, p, _, ok := bitmapfont.FaceSC.Glyph(fixed.P(0, 0), r)
		if !ok {
			continue
		}
		record := binary.BigEndian.AppendUint16(nil, uint16(r))
		record = append(record, make([]byte, recordBytes-2)...)
		switch box.Dx() {
		case fullWidth:
		case fullWidth / 2:
			record[2] |= halfBit
		default:
			t.Fatalf("%q is %d pixels wide", r, box.Dx())
		}
		ink := false
		for y := range cellRows {
			for x := range box.Dx() {
				if !inked(mask, p.Add(image.Pt(x, y))) {
					continue
				}
				if y < firstRow || y >= firstRow+packedRows {
					t.Fatalf("%q has ink in row %d", r, y)
				}
				bit := 4 + (y-firstRow)*fullWidth + x
				record[2+bit/8] |= 1 << (7 - bit%8)
				ink = true
			}
		}
		if ink {
			out = append(out, record...)
		}
	}
	return out
}

// TestGlyphsAreCurrent: the packed glyphs are the font's.
func TestGlyphsAreCurrent(t *testing.T) {
	want := pack(t)
	if *update {
		if err := os.WriteFile("glyphs.bin", want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("glyphs.bin")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) || len(want) < 15_000*recordBytes {
		t.Fatalf("glyphs.bin is out of date (%d glyphs, the font has %d); run go generate ./devices/panel", len(got)/recordBytes, len(want)/recordBytes)
	}
	if runeWidth(' ') != 6 || runeWidth('A') != 6 || runeWidth('付') != 12 || runeWidth('\U0001F600') != 12 {
		t.Error("widths")
	}
	if c, _ := find('口'); c.ink(-1, 5) || c.ink(12, 5) || c.ink(5, 0) || c.ink(5, 15) {
		t.Error("the edges of a cell")
	}
}
