package main

import (
	"fmt"
	"html"
	"strings"

	"github.com/boombuler/barcode/code128"
	"github.com/skip2/go-qrcode"

	"payagent/devices/learn"
	"payagent/devices/models"
)

// sheetPage makes the sheet that devices learn works with: the three known
// codes, what to do with them, and the model's own set-up codes, on A4.
func sheetPage(m *models.Model) (string, error) {
	var b strings.Builder
	b.WriteString(`<!DOCTYPE html>
<html lang="zh-CN"><head><meta charset="utf-8"><title>扫码设备学习样张 Scanner set-up sheet</title>
<style>
@page { size: A4; margin: 15mm }
body { font: 12pt/1.5 sans-serif; color: #000; background: #fff; max-width: 180mm; margin: 0 auto }
h1 { font-size: 18pt; margin: 0 0 4mm } h2 { font-size: 13pt; margin: 8mm 0 2mm }
.en { color: #444; font-size: 10pt } svg { display: block; margin: 3mm 0 }
td { vertical-align: top; padding: 2mm 6mm 2mm 0 } section { break-inside: avoid } code { font-size: 10pt; overflow-wrap: anywhere }
</style></head><body>
<h1>扫码设备学习样张 <span class="en">Scanner set-up sheet</span></h1>
<ol>
<li>按 100% 比例打印本页，或在屏幕上打开。<div class="en">Print this page at 100 %, or open it on a screen.</div></li>
<li>在收费终端上运行 <code>payagent devices learn</code>，按提示依次扫描码 1、码 2、码 3。<div class="en">Run <code>payagent devices learn</code> at the till and scan code 1, 2 and 3 as it asks.</div></li>
<li>一次只扫一个码：扫一个时用手遮住其余的码。<div class="en">Scan one code at a time: cover the others with a hand.</div></li>
<li>把命令打印出的设置粘贴进配置文件。<div class="en">Paste the settings that it prints into the configuration file.</div></li>
</ol>
`)
	for i, c := range learn.Sheet() {
		drawing, err := draw(c.Text, c.QR)
		if err != nil {
			return "", err
		}
		kind := "条码 Code 128"
		if c.QR {
			kind = "二维码 QR Code"
		}
		fmt.Fprintf(&b, "<section><h2>码 %d　<span class=\"en\">Code %d · %s</span></h2>%s<code>%s</code></section>\n", i+1, i+1, kind, drawing, html.EscapeString(c.Text))
	}
	if m != nil {
		if err := modelPart(&b, *m); err != nil {
			return "", err
		}
	}
	b.WriteString("</body></html>\n")
	return b.String(), nil
}

// modelPart adds what the maker's manual gives for the model.
func modelPart(b *strings.Builder, m models.Model) error {
	fmt.Fprintf(b, "<h2>%s %s <span class=\"en\">%s %s</span></h2>\n<p>%s<br><span class=\"en\">%s</span></p>\n",
		html.EscapeString(m.Maker.ZH), html.EscapeString(m.Name.ZH), html.EscapeString(m.Maker.EN), html.EscapeString(m.Name.EN),
		html.EscapeString(m.Advice.ZH), html.EscapeString(m.Advice.EN))
	if len(m.SetupCodes) == 0 {
		return nil
	}
	b.WriteString("<h2>厂家设置码 <span class=\"en\">The maker's set-up codes</span></h2>\n<table>\n")
	for _, s := range m.SetupCodes {
		drawing := "<span class=\"en\">由厂家工具发送的指令 a command, sent with the maker's tool</span>"
		if s.Symbology != models.CodeCommand {
			var err error
			if drawing, err = draw(s.Code, s.Symbology == models.CodeQR); err != nil {
				return fmt.Errorf("the set-up code %q of model %s: %w", s.What.EN, m.ID, err)
			}
		}
		fmt.Fprintf(b, "<tr><td>%s<div class=\"en\">%s</div></td><td>%s<code>%s</code></td></tr>\n",
			html.EscapeString(s.What.ZH), html.EscapeString(s.What.EN), drawing, html.EscapeString(s.Code))
	}
	b.WriteString("</table>\n")
	return nil
}

// draw makes a code as SVG, in millimetres, with the quiet zone around it.
func draw(text string, qr bool) (string, error) {
	if qr {
		return drawQR(text)
	}
	code, err := code128.Encode(text)
	if err != nil {
		return "", fmt.Errorf("cannot draw a Code 128; its text must be ASCII of at most 80 characters: %w", err)
	}
	// ISO/IEC 15417: ten modules of quiet zone on either side. A module of
	// 0.375 mm suits pads that look from a hand's breadth.
	const module, quiet, height = 0.375, 10, 18.0
	width := code.Bounds().Dx()
	var p strings.Builder
	for x := 0; x < width; x++ {
		r, _, _, _ := code.At(x, 0).RGBA()
		if r == 0 {
			fmt.Fprintf(&p, "M%d 0h1v1h-1z", x+quiet)
		}
	}
	return fmt.Sprintf(`<svg width="%.2fmm" height="%.0fmm" viewBox="0 0 %d 1" preserveAspectRatio="none" shape-rendering="crispEdges"><rect width="100%%" height="100%%" fill="#fff"/><path d="%s"/></svg>`,
		float64(width+2*quiet)*module, height, width+2*quiet, p.String()), nil
}

func drawQR(text string) (string, error) {
	code, err := qrcode.New(text, qrcode.Medium)
	if err != nil {
		return "", fmt.Errorf("cannot draw a QR code: %w", err)
	}
	bits := code.Bitmap() // with its quiet zone
	var p strings.Builder
	for y, row := range bits {
		for x, dark := range row {
			if dark {
				fmt.Fprintf(&p, "M%d %dh1v1h-1z", x, y)
			}
		}
	}
	return fmt.Sprintf(`<svg width="45mm" height="45mm" viewBox="0 0 %d %d" shape-rendering="crispEdges"><rect width="100%%" height="100%%" fill="#fff"/><path d="%s"/></svg>`,
		len(bits), len(bits), p.String()), nil
}
