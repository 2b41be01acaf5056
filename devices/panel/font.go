package panel

import (
	"bytes"
	"compress/flate"
	_ "embed" // the font
	"io"
	"math/bits"
	"sync"
)

//go:generate go run ./fontgen

// fontFile holds the characters of GB 2312 and those of names beyond it; package
// fontgen says how.
//
//go:embed font.bin
var fontFile []byte

// The font's cells are 12 pixels wide (6 for Latin letters) and 16 high. Letters
// and hanzi have their ink in the rows from inkTop, inkRows of them, which is
// what lines are spaced by; a few brackets reach a row or two beyond.
const (
	fullWidth = 12
	halfWidth = 6
	cellRows  = 16
	inkTop    = 2
	inkRows   = 12
)

// planeBytes is a bit for every code point below 0x10000.
const planeBytes = 0x10000 / 8

// typeface is the unpacked font.
type typeface struct {
	have, wide   []byte      // a bit per code point
	before       [256]uint16 // how many characters are there below each 256 code points
	lower, upper []byte      // bytes of the columns, fullWidth a character
}

// unpack gives the font (0.2 MiB) and does its work in the first call: an agent
// without a panel pays for the packed form in the file only.
var unpack = sync.OnceValue(func() *typeface {
	raw, err := io.ReadAll(flate.NewReader(bytes.NewReader(fontFile)))
	if err != nil || len(raw) < 2*planeBytes {
		return &typeface{have: make([]byte, planeBytes), wide: make([]byte, planeBytes)} // a test reads the file
	}
	f := &typeface{have: raw[:planeBytes], wide: raw[planeBytes : 2*planeBytes]}
	columns := raw[2*planeBytes:]
	f.lower, f.upper = columns[:len(columns)/2], columns[len(columns)/2:]
	n := 0
	for block := range f.before {
		f.before[block] = uint16(n)
		for _, b := range f.have[block*32 : (block+1)*32] {
			n += bits.OnesCount8(b)
		}
	}
	return f
})

// cell is one character: its columns from the left, the upper row in the lowest
// bit.
type cell [fullWidth]uint16

// inked says whether there is ink at a place.
func (c *cell) inked(x, y int) bool { return c[x]>>y&1 == 1 }

// glyph gives the cell of one character and its width; ok is false where the
// font does not have it, or it has no ink.
func glyph(r rune) (c cell, width int, ok bool) {
	f := unpack()
	if r < 0 || r >= 0x10000 || f.have[r/8]>>(r%8)&1 == 0 {
		return c, runeWidth(r), false
	}
	n := int(f.before[r/256])
	for i := r &^ 255 / 8; i < r/8; i++ {
		n += bits.OnesCount8(f.have[i])
	}
	n += bits.OnesCount8(f.have[r/8] & (1<<(r%8) - 1))
	for x := range c {
		c[x] = uint16(f.lower[n*fullWidth+x]) | uint16(f.upper[n*fullWidth+x])<<8
	}
	return c, runeWidth(r), true
}

// runeWidth is the width of a character, in pixels.
func runeWidth(r rune) int {
	switch f := unpack(); {
	case r < 0x80:
		return halfWidth
	case r >= 0x10000 || f.have[r/8]>>(r%8)&1 == 0 || f.wide[r/8]>>(r%8)&1 == 1:
		return fullWidth
	}
	return halfWidth
}
