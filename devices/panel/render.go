package panel

import (
	"image"
	"image/color"
	"image/draw"
	"math"
	"unicode/utf8"

	qrcode "github.com/skip2/go-qrcode"
	"periph.io/x/devices/v3/ssd1306/image1bit"

	"payagent/devices"
)

// mostSide bounds a picture; no panel here is larger.
const mostSide = 1024

// A QR code is shown with modules of at least leastModule pixels and quietZone
// modules of white around it (ISO/IEC 18004, 6.3.8), or not at all: a phone that
// fails to read a small one costs more than the words that say where to look.
const (
	leastModule = 3
	goodModule  = 4
	quietZone   = 4
	mostQR      = 1200 // bytes; more never fits
)

// Render makes the picture of a screen: state, title, second line, amount and,
// where a phone can read it, the QR code. It is the same for the same arguments
// and has exactly the size asked for, each side held within 0 and 1024.
//
// With colour the picture is an *image.RGBA, else an *image1bit.VerticalLSB in
// which a lit pixel is white. lang is "en", or Chinese otherwise. Text is
// wrapped, and shortened with … where it is too long, never cut within a
// character; an amount is never shortened. A picture smaller than 64×32 may lack
// the words.
func Render(s devices.Screen, size image.Point, colour bool, lang string) image.Image {
	c := canvas{lang: lang}
	l := lookOf(s.State)
	c.back, c.fore, c.mark, c.onMark = l.back, l.fore, rgb(0xFFEB3B), rgb(0x000000)
	if l.fore == rgb(0x000000) { // on a bright screen a dark bar is seen better
		c.mark, c.onMark = c.onMark, c.mark
	}
	r := image.Rect(0, 0, min(max(size.X, 0), mostSide), min(max(size.Y, 0), mostSide))
	if colour {
		c.img = image.NewRGBA(r)
	} else {
		c.img = image1bit.NewVerticalLSB(r)
		c.back, c.fore = rgb(0x000000), rgb(0xFFFFFF)
		c.mark, c.onMark = c.fore, c.back
	}
	c.fill(r, c.back)
	if s.Test {
		r = c.watermark(r)
	}
	margin := 4
	if r.Dy() < 100 {
		margin = 0
	}
	r = image.Rect(r.Min.X+max(1, margin), r.Min.Y+margin, r.Max.X-max(1, margin), r.Max.Y-margin)
	wanted := s.QR != "" && l.qr
	if wanted && c.phone(r, s.QR, sayOf(s, l, lang, true)) {
		return c.img
	}
	words := sayOf(s, l, lang, wanted)
	if wanted {
		words.line = elsewhereZH
		if lang == "en" {
			words.line = elsewhereEN
		}
	}
	c.text(r, words)
	return c.img
}

// canvas is a picture being made.
type canvas struct {
	img          draw.Image
	back, fore   color.RGBA
	mark, onMark color.RGBA // the watermark's
	lang         string
}

func (c canvas) fill(r image.Rectangle, ink color.Color) {
	draw.Draw(c.img, r, image.NewUniform(ink), image.Point{}, draw.Src)
}

// watermark writes 测试 along the right side, or along the foot of an upright
// panel, again and again, and gives what is left of r.
func (c canvas) watermark(r image.Rectangle) image.Rectangle {
	scale := 1
	if r.Dy() >= 100 {
		scale = 2
	}
	thick := (fullWidth + 2) * scale
	lines, bar := []string{testZH[:3], testZH[3:]}, image.Rect(r.Max.X-thick, r.Min.Y, r.Max.X, r.Max.Y)
	long, word := r.Dy(), heightOf(2, scale)
	if upright := r.Dy() > r.Dx(); upright {
		lines, bar = []string{testZH}, image.Rect(r.Min.X, r.Max.Y-thick, r.Max.X, r.Max.Y)
		long, word = r.Dx(), 2*fullWidth*scale
	}
	if !bar.In(r) || word > long {
		return r
	}
	c.fill(bar, c.mark)
	n := min(max(long/(word+6*scale), 1), 3)
	for i := range n {
		at, middle := bar, long*(2*i+1)/(2*n)
		if len(lines) == 2 {
			at.Min.Y += middle - word/2
		} else {
			at.Min.X, at.Max.X = bar.Min.X+middle-word/2, bar.Min.X+middle+word/2
			at.Min.Y += (thick - heightOf(1, scale)) / 2
		}
		write(c.img, at, lines, scale, c.onMark)
	}
	if len(lines) == 2 {
		r.Max.X = bar.Min.X
	} else {
		r.Max.Y = bar.Min.Y
	}
	return r
}

// block is a text at a scale.
type block struct {
	lines  []string
	scale  int
	splits int // lines that end within running text
}

func (b block) height() int { return heightOf(len(b.lines), b.scale) }

// stack writes blocks one below the other, in the middle of r.
func (c canvas) stack(r image.Rectangle, blocks []block) {
	free := r.Dy()
	for _, b := range blocks {
		free -= b.height()
	}
	step := free / (len(blocks) + 1)
	edge := (free - step*(len(blocks)-1)) / 2
	y := r.Min.Y + edge
	for _, b := range blocks {
		write(c.img, image.Rect(r.Min.X, y, r.Max.X, r.Max.Y), b.lines, b.scale, c.fore)
		y += b.height() + step
	}
}

// phone draws title, amount and the QR code; false, and nothing drawn, where a
// phone could not read it or the amount has no room.
func (c canvas) phone(r image.Rectangle, text string, words said) bool {
	bitmap := modules(text)
	if bitmap == nil {
		return false
	}
	total := len(bitmap) + 2*quietZone
	const gap = 4
	var head []block
	side := 0 // pixels of a module
	// The title goes where that makes the modules large enough to read in
	// comfort; the amount stays, and is small only as the last resort.
	for _, way := range []struct {
		title bool
		most  int
	}{{true, 3}, {true, 2}, {false, 3}, {false, 2}, {true, 1}, {false, 1}} {
		var try []block
		top := 0
		for i, text := range []string{words.title, words.amount} {
			if text == "" || i == 0 && !way.title {
				continue
			}
			b, ok := oneLine(text, r.Dx(), min(way.most, 2+i))
			if !ok {
				top = r.Dy()
				break
			}
			try = append(try, b)
			top += b.height() + gap
		}
		m := min(r.Dx(), r.Dy()-top) / total
		if m > side && side < goodModule && m >= leastModule {
			head, side = try, m
		}
	}
	if side == 0 {
		return false
	}
	area := r
	area.Min.Y = r.Max.Y - side*total
	if len(head) > 0 {
		c.stack(image.Rect(r.Min.X, r.Min.Y, r.Max.X, area.Min.Y), head)
	}
	area.Min.X += (r.Dx() - side*total) / 2
	area.Max.X = area.Min.X + side*total
	c.code(area, bitmap, side)
	return true
}

// oneLine sets a text in one line at the largest scale up to most.
func oneLine(text string, width, most int) (block, bool) {
	for scale := most; scale > 0; scale-- {
		if widthOf([]rune(text))*scale <= width {
			return block{lines: []string{text}, scale: scale}, true
		}
	}
	return block{}, false
}

// modules gives the QR code of a text without its quiet zone, at error
// correction M, or nil where there is none.
func modules(text string) [][]bool {
	if len(text) > mostQR {
		return nil
	}
	q, err := qrcode.New(text, qrcode.Medium)
	if err != nil {
		return nil
	}
	q.DisableBorder = true
	return q.Bitmap()
}

// code draws a QR code black on white, whatever the colours around it.
func (c canvas) code(r image.Rectangle, bitmap [][]bool, m int) {
	c.fill(r, color.White)
	for y, row := range bitmap {
		for x, dark := range row {
			if dark {
				at := r.Min.Add(image.Pt((x+quietZone)*m, (y+quietZone)*m))
				c.fill(image.Rectangle{Min: at, Max: at.Add(image.Pt(m, m))}, color.Black)
			}
		}
	}
}

// text sets the words as large as they go. Where not all has room, the second
// line goes first; where a warning must be read, the amount goes first and the
// warning last.
func (c canvas) text(r image.Rectangle, w said) {
	if w.amount != "" && widthOf([]rune(w.amount)) > r.Dx() {
		w.amount = c.noAmount()
	}
	parts := []said{w, {title: w.title, amount: w.amount}}
	if w.warning != "" {
		parts = []said{w, {title: w.title, line: w.line}, {title: w.warning}}
		if holds(w.title, w.warning) {
			parts = []said{w, {title: w.title, line: w.line}, {title: w.title}, {title: w.warning}}
		}
	}
	for _, p := range parts {
		if blocks := largest(r, p); blocks != nil {
			c.stack(r, blocks)
			return
		}
	}
	var blocks []block
	rows := (r.Dy() + 1) / (inkRows + 1)
	if w.warning != "" {
		w.title, w.amount = w.warning, ""
	}
	if b, ok := oneLine(w.amount, r.Dx(), 1); ok && w.amount != "" && rows > 1 {
		blocks, rows = []block{b}, rows-1
	}
	if lines := shorten(w.title, r.Dx(), rows); lines != nil {
		blocks = append([]block{{lines: lines, scale: 1}}, blocks...)
	}
	c.stack(r, blocks)
}

func (c canvas) noAmount() string {
	if c.lang == "en" {
		return amountEN
	}
	return amountZH
}

// largest finds the scales at which all of w has room in r without shortening,
// nil if there are none.
func largest(r image.Rectangle, w said) []block {
	gap := max(2, r.Dy()/32)
	var best []block
	most := math.MinInt
	for _, title := range settings(w.title, r, 3, 5) {
		for _, amount := range settings(w.amount, r, 5, 1) {
			for _, line := range settings(w.line, r, min(2, max(title.scale, 1)), 3) {
				var blocks []block
				height, score := -gap, 10*min(title.scale, amount.scale)+4*amount.scale+3*title.scale+2*line.scale-3*len(title.lines)-6*title.splits
				for _, b := range []block{title, amount, line} {
					if len(b.lines) > 0 {
						blocks = append(blocks, b)
						height += b.height() + gap
					}
				}
				if height <= r.Dy() && len(blocks) > 0 && score > most {
					best, most = blocks, score
				}
			}
		}
	}
	return best
}

// settings gives the ways to set a text: at each scale up to most, in at most
// lines lines. A text that is empty has one: nothing.
func settings(text string, r image.Rectangle, most, lines int) []block {
	if text == "" {
		return []block{{}}
	}
	var out []block
	for scale := most; scale > 0; scale-- {
		if l := wrap(text, r.Dx()/scale); l != nil && len(l) <= lines {
			out = append(out, block{l, scale, splits(l)})
		}
	}
	return out
}

// splits counts the lines that end within running Chinese text.
func splits(lines []string) int {
	n := 0
	for i := 1; i < len(lines); i++ {
		last, _ := utf8.DecodeLastRuneInString(lines[i-1])
		first, _ := utf8.DecodeRuneInString(lines[i])
		if cost, _ := breakCost(last, first); cost == costPlain {
			n++
		}
	}
	return n
}
