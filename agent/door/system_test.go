package door_test

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"

	"payagent/agent/agenttest"
	"payagent/agent/config"
	"payagent/agent/door"
)

// plain makes a request without holding the answer to the description.
func (r *rig) plain(method, path string, headers ...header) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, "http://"+host+path, nil)
	for _, h := range headers {
		h(req)
	}
	rec := httptest.NewRecorder()
	r.h.ServeHTTP(rec, req)
	return rec
}

// drawSVG paints what writeSVG wrote, one pixel per module.
func drawSVG(t *testing.T, svg string) image.Image {
	t.Helper()
	box := regexp.MustCompile(`viewBox="0 0 (\d+) (\d+)"`).FindStringSubmatch(svg)
	if box == nil || box[1] != box[2] {
		t.Fatal(svg)
	}
	side, _ := strconv.Atoi(box[1])
	img := image.NewGray(image.Rect(0, 0, side, side))
	for i := range img.Pix {
		img.Pix[i] = 255
	}
	for _, m := range regexp.MustCompile(`M(\d+) (\d+)h(\d+)v1h-(\d+)z`).FindAllStringSubmatch(svg, -1) {
		x, _ := strconv.Atoi(m[1])
		y, _ := strconv.Atoi(m[2])
		n, _ := strconv.Atoi(m[3])
		for i := range n {
			img.SetGray(x+i, y, color.Gray{})
		}
	}
	return img
}

// read decodes a picture and tells the level and the white margin in pixels.
func readQR(t *testing.T, img image.Image, module int) (text, level string) {
	t.Helper()
	b := img.Bounds()
	dark := func(x, y int) bool { v, _, _, _ := img.At(x, y).RGBA(); return v < 0x8000 }
	margin := b.Dx()
	for y := range b.Dy() {
		for x := range b.Dx() {
			if dark(x, y) {
				margin = min(margin, x, y, b.Dx()-1-x, b.Dy()-1-y)
			}
		}
	}
	if margin != 4*module {
		t.Errorf("the margin is %d pixels of %d", margin, module)
	}
	// A pure picture of one pixel per module is too small for the reader.
	big := image.NewGray(image.Rect(0, 0, b.Dx()*4, b.Dy()*4))
	for y := range b.Dy() * 4 {
		for x := range b.Dx() * 4 {
			big.Set(x, y, img.At(x/4, y/4))
		}
	}
	bits, err := gozxing.NewBinaryBitmapFromImage(big)
	if err != nil {
		t.Fatal(err)
	}
	got, err := qrcode.NewQRCodeReader().Decode(bits, map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_PURE_BARCODE: true})
	if err != nil {
		t.Fatal(err)
	}
	level, _ = got.GetResultMetadata()[gozxing.ResultMetadataType_ERROR_CORRECTION_LEVEL].(string)
	return got.GetText(), level
}

func TestQRPictures(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		id := r.create(bill("B1", object{"till": "k1", "mode": "present", "channel": "wechat"})).want(201, "").id()
		shown := r.until(id, "paying").is("qr", "https://qr.invalid/"+id).is("qr_expires_in_s", 180)
		want := shown.get("qr").(string)
		svg := r.call("GET", "/v1/orders/"+id+"/qr.svg", screen1, nil).want(200, "")
		if strings.Contains(string(svg.raw), "script") || svg.head.Get("Content-Type") != "image/svg+xml" {
			t.Error(string(svg.raw))
		}
		if text, level := readQR(t, drawSVG(t, string(svg.raw)), 1); text != want || level != "M" {
			t.Errorf("the SVG reads %q, level %s", text, level)
		}
		pic := r.call("GET", "/v1/orders/"+id+"/qr.png", screen1, nil).want(200, "")
		img, err := png.Decode(bytes.NewReader(pic.raw))
		if err != nil {
			t.Fatal(err)
		}
		if text, level := readQR(t, img, 8); text != want || level != "M" {
			t.Errorf("the PNG reads %q, level %s", text, level)
		}
		// Gone as soon as it cannot be paid any more: asked to cancel, or over.
		r.w.Banks["full"].Deafen(true)
		r.call("POST", "/v1/orders/"+id+"/cancel", his, nil).want(202, "").is("qr", nil).is("final", false)
		r.call("GET", "/v1/orders/"+id+"/qr.svg", screen1, nil).want(404, "not_found")
		r.call("GET", "/v1/orders/"+id+"/qr.png", screen1, nil).want(404, "not_found")
		r.w.Banks["full"].Deafen(false)
		r.until(id, "canceled").is("qr", nil).is("qr_expires_in_s", nil)
		if got := string(r.call("GET", "/v1/tills/k1", screen1, nil).raw); strings.Contains(got, "qr.invalid") {
			t.Error(got)
		}
		id = r.create(bill("B2", object{"till": "k1", "mode": "present", "aggregated": true})).want(201, "").id()
		r.until(id, "paying")
		pause(181 * time.Second)
		r.call("GET", "/v1/orders/"+id+"/qr.svg", screen1, nil).want(404, "not_found")
		r.call("GET", "/v1/orders/NONE/qr.svg", screen1, nil).want(404, "not_found")
	})
}

func TestCapabilitiesAndSystem(t *testing.T) {
	metrics := true
	change := func(o *agenttest.Options, _ *door.Options) {
		o.Config = func(c *config.Config) { c.Metrics.Enabled = metrics }
	}
	inBubbleWith(t, change, func(t *testing.T, r *rig) {
		caps := r.call("GET", "/v1/capabilities", his, nil).want(200, "").is("api", "v1").is("version", "test").is("test", true).is("limits.body_bytes", 65536).
			is("limits.wait_s", 60).is("token.name", his)
		for _, must := range []string{`"name":"full","channels":["wechat","alipay"],"charge":true,"present":true,"refund":true,"up":true`,
			`"name":"plain","channels":["wechat","alipay"],"charge":true,"present":false,"refund":false`, `"code":"test_mode"`, `"DEPOSIT"`} {
			if !strings.Contains(string(caps.raw), must) {
				t.Errorf("no %s in %s", must, caps.raw)
			}
		}
		got := r.call("GET", "/v1/openapi.json", screen1, nil).want(200, "")
		if !bytes.Equal(got.raw, door.OpenAPI()) {
			t.Error("another description is served")
		}
		r.paid("B1")
		text := string(r.call("GET", "/metrics", admin, nil).want(200, "").raw)
		for _, must := range []string{"payagent_orders_total{", "payagent_ready 1", `payagent_build_info{version="test"} 1`} {
			if !strings.Contains(text, must) {
				t.Errorf("no %s in\n%s", must, text)
			}
		}
		if n := strings.Count(text, "\n"); n > 400 {
			t.Errorf("%d lines", n)
		}
	})
	metrics = false
	inBubbleWith(t, change, func(t *testing.T, r *rig) { r.call("GET", "/metrics", admin, nil).want(404, "not_found") })
}

// What a pad reads that is no payment code is answered on the screen, with
// words for the patient, and nothing is sent.
func TestTillNotes(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.create(bill("B1", object{"channel": "alipay"})).want(201, "")
		note := func(code string) reply {
			t.Helper()
			r.w.Pads["w1"].Show(code)
			pause(time.Second)
			return r.call("GET", "/v1/tills/w1", cashier1, nil).want(200, "")
		}
		note("http://evil.example/pay").is("note.code", "code_merchant_qr").is("message.zh", "请出示付款码，不是收款码")
		note(wechatCode).is("note.code", "wrong_wallet").is("message.zh", "请出示支付宝的付款码")
		if got := note(alipayCode); got.get("note") != nil || got.get("state") != "paying" {
			t.Error(string(got.raw))
		}
		if n := len(r.w.Banks["full"].Calls("charge")); n != 1 {
			t.Errorf("%d charges", n)
		}
	})
}

// TestDiag: the bundle comes as the program makes it, and one that cannot be
// made says so.
func TestDiag(t *testing.T) {
	fails := false
	change := func(_ *agenttest.Options, o *door.Options) {
		o.Diag = func(context.Context) ([]byte, error) {
			if fails {
				return nil, errors.New("no disk")
			}
			return []byte("PK"), nil
		}
	}
	inBubbleWith(t, change, func(t *testing.T, r *rig) {
		got := r.call("GET", "/v1/diag", admin, nil)
		if got.status != http.StatusOK || string(got.raw) != "PK" || got.head.Get("Content-Type") != "application/zip" {
			t.Errorf("%d %q %v", got.status, got.raw, got.head)
		}
		fails = true
		if got := r.call("GET", "/v1/diag", admin, nil); got.status < 500 {
			t.Errorf("%d %q", got.status, got.raw)
		}
	})
}
