package panel

import (
	_ "embed"
	"encoding/binary"
	"image"
	"image/color"
	"sort"
)

// packed holds the glyphs of the characters that Chinese texts are made of
// (GBK and ASCII), taken from the package bitmapfont, whose six fonts would
// make the program 2.5 MiB larger. FONTS.md names their makers and licences.
//
//go:generate go test payagent/devices/panel -run TestGlyphsAreCurrent -count=1 -update
//go:embed glyphs.bin
var packed []byte

// A record is one glyph: the character as two bytes, then 160 bits: whether it
// is of half width, three bits of nothing, rows of 12 pixels from the left. The
// rows above and below have no ink in any glyph. Records are sorted.
const (
	recordBytes = 22
	firstRow    = 1
	packedRows  = 13
	halfBit     = 0x80
)

// cell is one glyph as an image.
type cell struct {
	bits  []byte
	width int
}

// find looks a character up.
func find(r rune) (cell, bool) {
	n := len(packed) / recordBytes
	at := func(i int) rune { return rune(binary.BigEndian.Uint16(packed[i*recordBytes:])) }
	i := sort.Search(n, func(i int) bool { return at(i) >= r })
	if i == n || at(i) != r {
		return cell{}, false
	}
	c := cell{packed[i*recordBytes+2 : (i+1)*recordBytes], fullWidth}
	if c.bits[0]&halfBit != 0 {
		c.width = fullWidth / 2
	}
	return c, true
}

// ColorModel implements image.Image.
func (c cell) ColorModel() color.Model { return color.AlphaModel }

// Bounds implements image.Image.
func (c cell) Bounds() image.Rectangle { return image.Rect(0, 0, c.width, cellRows) }

// At implements image.Image.
func (c cell) At(x, y int) color.Color {
	if c.ink(x, y) {
		return color.Opaque
	}
	return color.Transparent
}

func (c cell) ink(x, y int) bool {
	y -= firstRow
	if x < 0 || x >= c.width || y < 0 || y >= packedRows {
		return false
	}
	bit := 4 + y*fullWidth + x
	return c.bits[bit/8]>>(7-bit%8)&1 != 0
}

// glyph gives the cell of one character and its width; ok is false where it has
// no ink.
func glyph(r rune) (mask image.Image, at image.Point, width int, ok bool) {
	c, ok := find(r)
	if !ok {
		return nil, image.Point{}, 0, false
	}
	return c, image.Point{}, c.width, true
}

func inked(m image.Image, p image.Point) bool {
	_, _, _, a := m.At(p.X, p.Y).RGBA()
	return a != 0
}

func runeWidth(r rune) int {
	if c, ok := find(r); ok {
		return c.width
	}
	if r < 0x80 { // the space
		return fullWidth / 2
	}
	return fullWidth
}
