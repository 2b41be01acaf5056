package picture

import (
	"bytes"
	"image"
	_ "image/png"
	"strings"
	"testing"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/oned"
	zxqr "github.com/makiuchi-d/gozxing/qrcode"
)

func read(t *testing.T, pic []byte, r gozxing.Reader, pure bool) string {
	t.Helper()
	img, kind, err := image.Decode(bytes.NewReader(pic))
	if err != nil || kind != "png" {
		t.Fatal(kind, err)
	}
	bits, err := gozxing.NewBinaryBitmapFromImage(img)
	if err != nil {
		t.Fatal(err)
	}
	var hints map[gozxing.DecodeHintType]interface{}
	if pure {
		hints = map[gozxing.DecodeHintType]interface{}{gozxing.DecodeHintType_PURE_BARCODE: true}
	}
	got, err := r.Decode(bits, hints)
	if err != nil {
		t.Fatal(err)
	}
	return got.GetText()
}

func TestPicturesAreReadByAnotherReader(t *testing.T) {
	for _, text := range []string{"134567890123456789", "6212345678901234567", "https://qr.paysim.invalid/pay?o=ZJMZ1"} {
		pic, err := QR(text, 240)
		if err != nil {
			t.Fatal(err)
		}
		if got := read(t, pic, zxqr.NewQRCodeReader(), true); got != text {
			t.Errorf("QR %q for %q", got, text)
		}
		pic, err = Bars(text, 70)
		if err != nil {
			t.Fatal(err)
		}
		if got := read(t, pic, oned.NewCode128Reader(), false); got != text {
			t.Errorf("bars %q for %q", got, text)
		}
		if !strings.HasPrefix(DataURI(pic), "data:image/png;base64,iVBOR") {
			t.Error(DataURI(pic)[:40])
		}
	}
}

func TestWhatCannotBeDrawn(t *testing.T) {
	if _, err := Bars("付款码", 70); err == nil {
		t.Error("bars of letters that Code 128 lacks")
	}
	if _, err := QR(strings.Repeat("x", 8000), 240); err == nil {
		t.Error("a QR code of more than it can hold")
	}
}
