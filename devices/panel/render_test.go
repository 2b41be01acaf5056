package panel

import (
	"bytes"
	"flag"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/makiuchi-d/gozxing"
	zxingqr "github.com/makiuchi-d/gozxing/qrcode"
	"periph.io/x/devices/v3/ssd1306/image1bit"

	"payagent/devices"
)

var update = flag.Bool("update", false, "write the pictures in testdata anew")

// payURL is like the texts that wallets give: 35 bytes.
const payURL = "weixin://wxpay/bizpayurl?pr=xY7kLm2"

// unionURL is like the long ones: 132 bytes.
const unionURL = "00020101021229370016A000000677010111011300668123456780208000000005303156540612.3458020163041D5F6214052700000000000000000000000000" + "01"

type picture struct {
	name   string
	screen devices.Screen
	size   image.Point
	colour bool
	lang   string
}

var (
	small = image.Pt(128, 64)
	large = image.Pt(240, 240)
)

func screens() map[string]devices.Screen {
	return map[string]devices.Screen{
		"idle":      {State: "idle"},
		"offline":   {State: "offline"},
		"waiting":   {State: "waiting", Title: "请出示付款码", Line: "张*丰 门诊缴费", Amount: "128.50", Test: true},
		"queued":    {State: "queued", Amount: "128.50"},
		"paying":    {State: "paying", Title: "请在手机上完成支付", Amount: "128.50"},
		"present":   {State: "paying", Title: "请用手机扫码支付", Amount: "128.50", QR: payURL, Test: true},
		"union":     {State: "paying", Amount: "12.34", QR: unionURL},
		"canceling": {State: "canceling", Title: "撤销中", Amount: "128.50"},
		"in_doubt":  {State: "in_doubt", Title: "款项状态确认中，请勿再次支付", Amount: "128.50", Test: true},
		"unsure":    {State: "in_doubt", Amount: "128.50"},
		"paid":      {State: "paid", Title: "支付成功", Line: "请取走您的就诊卡", Amount: "128.50", Test: true},
		"failed":    {State: "failed", Title: "支付失败，未扣款", Line: "请刷新付款码后再扫", Amount: "128.50"},
		"canceled":  {State: "canceled", Title: "已撤销，款项已退回原账户", Amount: "12345678.90"},
		"long":      {State: "waiting", Title: "暂不支持该付款码，请用微信或支付宝", Line: "网络中断，恢复后继续，请听收费员指引；请看大屏或收银台，稍候会有工作人员为您服务，谢谢您的理解与配合", Amount: "128.50", Test: true},
	}
}

func pictures() []picture {
	var out []picture
	for name, s := range screens() {
		out = append(out, picture{name + "-128x64", s, small, false, "zh"}, picture{name + "-240x240", s, large, true, "zh"})
	}
	en := func(name string, s devices.Screen) {
		out = append(out, picture{name + "-en-128x64", s, small, false, "en"}, picture{name + "-en-240x240", s, large, true, "en"})
	}
	en("waiting", devices.Screen{State: "waiting", TitleEN: "Please show your payment code", Amount: "128.50"})
	en("in_doubt", devices.Screen{State: "in_doubt", TitleEN: "We are confirming the payment, please do not pay again", Amount: "128.50", Test: true})
	en("present", devices.Screen{State: "paying", Amount: "128.50", QR: payURL})
	return append(out,
		picture{"in_doubt-128x32", devices.Screen{State: "in_doubt", Amount: "1.00", Test: true}, image.Pt(128, 32), false, "zh"},
		picture{"paid-64x32", devices.Screen{State: "paid", Amount: "1.00", Test: true}, image.Pt(64, 32), false, "zh"},
		picture{"present-320x240", screens()["present"], image.Pt(320, 240), true, "zh"},
		picture{"present-135x240", screens()["present"], image.Pt(135, 240), true, "zh"},
		picture{"union-135x240", screens()["union"], image.Pt(135, 240), true, "zh"},
	)
}

func (p picture) render() image.Image { return Render(p.screen, p.size, p.colour, p.lang) }

// rgba copies a picture into the form that PNGs are compared in.
func rgba(m image.Image) *image.RGBA {
	out := image.NewRGBA(m.Bounds())
	draw.Draw(out, out.Bounds(), m, m.Bounds().Min, draw.Src)
	return out
}

func TestPictures(t *testing.T) {
	for _, p := range pictures() {
		t.Run(p.name, func(t *testing.T) {
			got := rgba(p.render())
			path := filepath.Join("testdata", p.name+".png")
			if *update {
				var b bytes.Buffer
				if err := png.Encode(&b, got); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			want, err := png.Decode(f)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Pix, rgba(want).Pix) || got.Rect != want.Bounds() {
				t.Errorf("the picture is not that of %s; look at both, then run with -update", path)
			}
		})
	}
}

// TestRenderIsPure: the same arguments give the same picture.
func TestRenderIsPure(t *testing.T) {
	for _, p := range pictures() {
		if !bytes.Equal(rgba(p.render()).Pix, rgba(p.render()).Pix) {
			t.Errorf("%s differs the second time", p.name)
		}
	}
}

func luminance(c color.RGBA) float64 {
	lin := func(v uint8) float64 {
		f := float64(v) / 255
		if f <= 0.03928 {
			return f / 12.92
		}
		return math.Pow((f+0.055)/1.055, 2.4)
	}
	return 0.2126*lin(c.R) + 0.7152*lin(c.G) + 0.0722*lin(c.B)
}

// contrast is that of WCAG 2.1.
func contrast(a, b color.RGBA) float64 {
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// on565 is a colour as a panel of 16 bits shows it.
func on565(c color.RGBA) color.RGBA {
	return color.RGBA{R: c.R & 0xF8, G: c.G & 0xFC, B: c.B & 0xF8, A: 0xFF}
}

var states = []string{"idle", "offline", "waiting", "queued", "paying", "canceling", "in_doubt", "paid", "failed", "canceled", "unheard-of"}

// TestContrast looks at the colours of real pictures: each state uses no more
// than two, and they are told apart by at least 7:1, also in 16 bits.
func TestContrast(t *testing.T) {
	for _, state := range states {
		for _, test := range []bool{false, true} {
			m := Render(devices.Screen{State: state, Amount: "1.00", Test: test}, large, true, "zh").(*image.RGBA)
			left, right := map[color.RGBA]bool{}, map[color.RGBA]bool{}
			for y := range 240 {
				for x := range 240 {
					if test && x >= 212 {
						right[m.RGBAAt(x, y)] = true
					} else {
						left[m.RGBAAt(x, y)] = true
					}
				}
			}
			parts := []map[color.RGBA]bool{left}
			if test {
				parts = append(parts, right)
			}
			for _, colours := range parts {
				var list []color.RGBA
				for c := range colours {
					list = append(list, c)
				}
				if len(list) != 2 {
					t.Fatalf("%s (test %v): %d colours", state, test, len(list))
				}
				if got := contrast(list[0], list[1]); got < 7 {
					t.Errorf("%s: contrast %.1f", state, got)
				}
				if got := contrast(on565(list[0]), on565(list[1])); got < 7 {
					t.Errorf("%s: contrast %.1f in 16 bits", state, got)
				}
			}
		}
	}
	if c := contrast(rgb(0x777777), rgb(0xFFFFFF)); c > 4.6 || c < 4.4 {
		t.Errorf("the measure itself: %.2f, known 4.48", c)
	}
}

// decode reads a QR code with a library that shares nothing with the encoder.
func decode(m image.Image) (string, error) {
	b, err := gozxing.NewBinaryBitmapFromImage(m)
	if err != nil {
		return "", err
	}
	r, err := zxingqr.NewQRCodeReader().Decode(b, map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_TRY_HARDER: true})
	if err != nil {
		return "", err
	}
	return r.GetText(), nil
}

func TestQRCanBeRead(t *testing.T) {
	payloads := map[string]string{"wallet": payURL, "union": unionURL, "short": "https://a.cn/1", "中文": "https://pay.cn/缴费?no=1"}
	for name, text := range payloads {
		for _, size := range []image.Point{large, {X: 240, Y: 320}, {X: 320, Y: 240}, {X: 240, Y: 280}} {
			for _, state := range []string{"waiting", "paying"} {
				for _, test := range []bool{false, true} {
					m := Render(devices.Screen{State: state, Amount: "128.50", QR: text, Test: test}, size, true, "zh")
					if got, err := decode(m); err != nil || got != text {
						t.Errorf("%s %v %s test=%v: read %q, %v", name, size, state, test, got, err)
					}
				}
			}
		}
	}
}

// TestQRHasItsQuietZone measures modules and white around them in the picture.
func TestQRHasItsQuietZone(t *testing.T) {
	for _, text := range []string{payURL, unionURL} {
		m := Render(devices.Screen{State: "paying", Amount: "128.50", QR: text, Test: true}, large, true, "zh").(*image.RGBA)
		white := image.Rectangle{}
		for y := range 240 {
			for x := range 240 {
				if m.RGBAAt(x, y) == rgb(0xFFFFFF) {
					white = white.Union(image.Rect(x, y, x+1, y+1))
				}
			}
		}
		dark := image.Rectangle{}
		for y := white.Min.Y; y < white.Max.Y; y++ {
			for x := white.Min.X; x < white.Max.X; x++ {
				switch m.RGBAAt(x, y) {
				case rgb(0):
					dark = dark.Union(image.Rect(x, y, x+1, y+1))
				case rgb(0xFFFFFF):
				default:
					t.Fatalf("a colour within the code at %d, %d", x, y)
				}
			}
		}
		// The top line of a finder pattern is 7 modules long.
		run := 0
		for m.RGBAAt(dark.Min.X+run, dark.Min.Y) == rgb(0) {
			run++
		}
		module := run / 7
		if run%7 != 0 || module < 3 {
			t.Errorf("modules of %d/7 pixels", run)
		}
		for _, zone := range []int{dark.Min.X - white.Min.X, dark.Min.Y - white.Min.Y, white.Max.X - dark.Max.X, white.Max.Y - dark.Max.Y} {
			if zone < 4*module {
				t.Errorf("quiet zone of %d pixels at %d a module", zone, module)
			}
		}
	}
}

// TestNoQRIsBetterThanABadOne: where modules would be too small, or the state
// asks for no money, there is no code.
func TestNoQRIsBetterThanABadOne(t *testing.T) {
	long := strings.Repeat("https://pay.example.cn/", 12)
	cases := []picture{
		{"mono", devices.Screen{State: "paying", QR: payURL}, small, false, "zh"},
		{"too long", devices.Screen{State: "paying", QR: long, Amount: "1.00"}, large, true, "zh"},
		{"no such code", devices.Screen{State: "paying", QR: strings.Repeat("x", 5000)}, large, true, "zh"},
	}
	for _, p := range cases {
		without := p
		without.screen.QR = ""
		without.screen.Title = "请用手机扫码支付"
		without.screen.Line = elsewhereZH
		if !bytes.Equal(rgba(p.render()).Pix, rgba(without.render()).Pix) {
			t.Errorf("%s: it does not say where the code is", p.name)
		}
	}
	for _, state := range states {
		if state == "waiting" || state == "paying" {
			continue
		}
		s := devices.Screen{State: state, Amount: "1.00"}
		plain := rgba(Render(s, large, true, "zh"))
		s.QR = payURL
		if !bytes.Equal(plain.Pix, rgba(Render(s, large, true, "zh")).Pix) {
			t.Errorf("%s: a code is shown or spoken of", state)
		}
	}
}

// TestWarningIsAlwaysThere: whatever the agent says, a patient whose payment is
// in doubt reads that there must be no second one.
func TestWarningIsAlwaysThere(t *testing.T) {
	for _, state := range []string{"in_doubt", "canceling", "unheard-of"} {
		for _, s := range []devices.Screen{
			{}, {Title: "待核实"}, {Title: "撤销中", Line: "请稍候"}, {Line: "请稍候"}, {Title: "款项状态确认中，请勿再次支付", Line: "请稍候"},
		} {
			s.State = state
			for lang, want := range map[string]string{"zh": "请勿再次支付", "en": "do not pay again"} {
				s.TitleEN, s.LineEN = "Please wait", "x"
				w := sayOf(s, lookOf(state), lang, false)
				if !holds(w.title+w.line, want) {
					t.Errorf("%s %+v: says %q, %q", state, s, w.title, w.line)
				}
			}
		}
	}
	// And where little has room, it is the warning.
	got := Render(devices.Screen{State: "in_doubt", Title: strings.Repeat("很长的话", 20) + "请勿再次支付", Amount: "1.00"}, image.Pt(72, 40), false, "zh")
	want := Render(devices.Screen{State: "in_doubt", Title: "请勿再次支付"}, image.Pt(72, 40), false, "zh")
	if !bytes.Equal(rgba(got).Pix, rgba(want).Pix) {
		t.Error("the warning is not what remains")
	}
}

// TestWatermark: a test screen differs in a bar that has two or more words.
func TestWatermark(t *testing.T) {
	for _, size := range []image.Point{small, large, {X: 128, Y: 32}, {X: 64, Y: 32}, {X: 135, Y: 240}, {X: 96, Y: 40}} {
		for _, state := range states {
			s := devices.Screen{State: state, Amount: "1.00", Test: true}
			m := rgba(Render(s, size, true, "zh"))
			corner := m.RGBAAt(size.X-1, size.Y-1)
			if corner == lookOf(state).back {
				t.Errorf("%v %s: no bar", size, state)
			}
			ink := 0
			for y := range size.Y {
				for x := range size.X {
					upright := size.Y > size.X
					inBar := !upright && x >= size.X-14 || upright && y >= size.Y-14
					if inBar && m.RGBAAt(x, y) != corner {
						ink++
					}
				}
			}
			if ink < 40 {
				t.Errorf("%v %s: %d pixels of ink in the bar", size, state, ink)
			}
		}
	}
}

// TestAmountIsWholeOrAbsent: what of an amount cannot be shown is not half shown.
func TestAmountIsWholeOrAbsent(t *testing.T) {
	huge := strings.Repeat("9", 40) + ".00"
	got := Render(devices.Screen{State: "paid", Title: "支付成功", Amount: huge}, small, false, "zh")
	want := devices.Screen{State: "paid", Title: "支付成功", Line: amountZH}
	blocks := largest(image.Rect(1, 0, 127, 64), said{title: want.Title, amount: amountZH})
	if len(blocks) != 2 || blocks[1].lines[0] != amountZH {
		t.Fatalf("%+v", blocks)
	}
	c := canvas{img: image1bit.NewVerticalLSB(image.Rect(0, 0, 128, 64)), fore: rgb(0xFFFFFF)}
	c.stack(image.Rect(1, 0, 127, 64), blocks)
	if !bytes.Equal(rgba(got).Pix, rgba(c.img).Pix) {
		t.Error("the amount is not replaced as a whole")
	}
}

func BenchmarkRender(b *testing.B) {
	s := screens()["present"]
	for b.Loop() {
		Render(s, large, true, "zh")
	}
}

func FuzzRender(f *testing.F) {
	for _, p := range pictures() {
		f.Add(p.screen.State, p.screen.Title, p.screen.Line, p.screen.Amount, p.screen.QR, p.size.X, p.size.Y, p.colour, p.screen.Test, p.lang)
	}
	f.Add("paid", "\xff\xfe‮\u0301👍\x00", strings.Repeat("字", 5000), "-1", "\x00", 9, 3, true, true, "")
	f.Add("idle", "", "", "", "", -5, 1<<30, false, true, "fr")
	f.Fuzz(func(t *testing.T, state, title, line, amount, qr string, w, h int, colour, test bool, lang string) {
		if w > 400 || h > 400 {
			w, h = w%400, h%400
		}
		s := devices.Screen{State: state, Title: title, Line: line, Amount: amount, QR: qr, TitleEN: line, LineEN: title, Test: test}
		m := Render(s, image.Pt(w, h), colour, lang)
		if m.Bounds() != image.Rect(0, 0, max(w, 0), max(h, 0)) {
			t.Fatalf("size %v of %d×%d", m.Bounds(), w, h)
		}
	})
}
