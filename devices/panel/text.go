package panel

import (
	"image"
	"image/color"
	"image/draw"
	"strings"
	"unicode"
)

// mostRunes bounds a text; no panel has room for more.
const mostRunes = 160

// missing stands for a character that the font does not have, as printers set
// it since the days of lead.
const missing = '〓'

// clean makes a text of characters that can be drawn: blanks become one space,
// what has no width goes, what has no glyph is shown as missing.
func clean(s string) string {
	var b strings.Builder
	n, space := 0, false
	for _, r := range s {
		switch {
		case n == mostRunes:
			return b.String()
		case unicode.IsSpace(r):
			space = n > 0
			continue
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Mn, unicode.Me):
			continue
		case r == '¥':
			r = '￥'
		}
		if _, _, ok := glyph(r); !ok {
			r = missing
		}
		if space {
			b.WriteByte(' ')
			space = false
			n++
		}
		b.WriteRune(r)
		n++
	}
	return b.String()
}

// widthOf is the width of a text at scale 1, in pixels.
func widthOf(rs []rune) int {
	w := 0
	for _, r := range rs {
		w += runeWidth(r)
	}
	return w
}

// The costs of a line break. A line more costs most, apart from a break within
// a word; among equal numbers of lines the even ones with breaks at pauses win.
const (
	costWord  int64 = 1 << 40
	costLine  int64 = 1 << 24
	costPlain int64 = 400 // within running Chinese text
)

// breakCost says what a break between two characters costs; ok is false where
// none may be: before a closing mark, after an opening one.
func breakCost(a, b rune) (cost int64, ok bool) {
	switch {
	case strings.ContainsRune("，。、；：！？）》」』】”’…,.;:!?)]}%％", b),
		strings.ContainsRune("（《「『【“‘([{￥", a):
		return 0, false
	case a == ' ' || b == ' ' || strings.ContainsRune("，。；：！？", a):
		return 0, true
	case runeWidth(a) == fullWidth || runeWidth(b) == fullWidth:
		return costPlain, true
	default:
		return costWord, true
	}
}

// wrap breaks a text into lines of at most width pixels (at scale 1), as few
// and as even as can be. It gives nil where a single character, or one bound to
// its neighbours, is wider than that.
func wrap(text string, width int) []string {
	rs := []rune(text)
	if len(rs) == 0 {
		return nil
	}
	// best[i] is the least cost of setting rs[:i]; from[i] where its last
	// line begins.
	const never = int64(1) << 62
	best, from := make([]int64, len(rs)+1), make([]int, len(rs)+1)
	for i := 1; i <= len(rs); i++ {
		best[i] = never
		end := int64(0)
		if i < len(rs) {
			cost, ok := breakCost(rs[i-1], rs[i])
			if !ok {
				continue
			}
			end = cost
		}
		w := 0
		for j := i - 1; j >= 0; j-- {
			if w += runeWidth(rs[j]); w > width {
				// A space at either end of a line is not drawn.
				if trimmed(rs[j:i]) > width {
					if w > width+2*fullWidth {
						break
					}
					continue
				}
			}
			if best[j] == never {
				continue
			}
			slack := int64(width-trimmed(rs[j:i])) / 6
			if cost := best[j] + costLine + end + slack*slack*8; cost < best[i] {
				best[i], from[i] = cost, j
			}
		}
	}
	if best[len(rs)] == never {
		return nil
	}
	var lines []string
	for i := len(rs); i > 0; i = from[i] {
		lines = append([]string{strings.TrimSpace(string(rs[from[i]:i]))}, lines...)
	}
	return lines
}

func trimmed(rs []rune) int { return widthOf([]rune(strings.TrimSpace(string(rs)))) }

// shorten wraps a text into at most most lines and ends it with … where it is
// longer.
func shorten(text string, width, most int) []string {
	if most < 1 {
		return nil
	}
	if lines := wrap(text, width); lines != nil && len(lines) <= most {
		return lines
	}
	rs := []rune(text)
	for n := len(rs) - 1; n > 0; n-- {
		// The ellipsis hangs on a character, not on a space or a comma.
		head := strings.TrimRight(string(rs[:n]), " ，。、；：,.;:（(￥")
		if head == "" {
			break
		}
		if lines := wrap(head+"…", width); lines != nil && len(lines) <= most {
			return lines
		}
	}
	return nil
}

// heightOf is the height of n lines at a scale, in pixels.
func heightOf(n, scale int) int {
	if n == 0 {
		return 0
	}
	return n*(inkRows+1)*scale - scale
}

// write draws lines, each in the middle of the width of r, from its top down.
func write(img draw.Image, r image.Rectangle, lines []string, scale int, ink color.Color) {
	y := r.Min.Y
	for _, line := range lines {
		x := r.Min.X + (r.Dx()-widthOf([]rune(line))*scale)/2
		for _, c := range line {
			x += stamp(img, image.Pt(x, y), c, scale, ink)
		}
		y += (inkRows + 1) * scale
	}
}

// stamp draws one character with its ink's corner at p and gives the advance.
func stamp(img draw.Image, p image.Point, c rune, scale int, ink color.Color) int {
	drawn, width, ok := glyph(c)
	if !ok {
		return width * scale
	}
	src := image.NewUniform(ink)
	for y := range cellRows {
		for x := range width {
			if drawn.inked(x, y) {
				dot := p.Add(image.Pt(x*scale, (y-inkTop)*scale))
				draw.Draw(img, image.Rectangle{Min: dot, Max: dot.Add(image.Pt(scale, scale))}, src, image.Point{}, draw.Src)
			}
		}
	}
	return width * scale
}
