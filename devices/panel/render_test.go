package panel

import (
	"bytes"
	"flag"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"testing"

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

var _ = color.White
