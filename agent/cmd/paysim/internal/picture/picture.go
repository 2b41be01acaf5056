// Package picture draws payment codes as a phone shows them: a QR code and the
// bar code above it, as PNG.
package picture

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/color"
	"image/png"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/oned"
	"github.com/skip2/go-qrcode"
)

// QR draws a text as QR code, about size pixels wide.
func QR(text string, size int) ([]byte, error) {
	code, err := qrcode.New(text, qrcode.Medium)
	if err != nil {
		return nil, fmt.Errorf("cannot draw the QR code: %w", err)
	}
	img, err := code.PNG(size)
	if err != nil {
		return nil, fmt.Errorf("cannot draw the QR code: %w", err)
	}
	return img, nil
}

// Bars draws a text as Code 128, size pixels high.
func Bars(text string, size int) ([]byte, error) {
	bits, err := oned.NewCode128Writer().Encode(text, gozxing.BarcodeFormat_CODE_128, 0, 1, nil)
	if err != nil {
		return nil, fmt.Errorf("cannot draw the bar code: %w", err)
	}
	const wide = 2 // pixels of the narrowest bar
	img := image.NewPaletted(image.Rect(0, 0, bits.GetWidth()*wide, size), color.Palette{color.White, color.Black})
	for x := range img.Rect.Dx() {
		for y := range size {
			if bits.Get(x/wide, 0) {
				img.SetColorIndex(x, y, 1)
			}
		}
	}
	var out bytes.Buffer
	if err := png.Encode(&out, img); err != nil {
		return nil, fmt.Errorf("cannot draw the bar code: %w", err)
	}
	return out.Bytes(), nil
}

// DataURI puts a PNG into the src of an <img>.
func DataURI(png []byte) string {
	return "data:image/png;base64," + base64.StdEncoding.EncodeToString(png)
}
