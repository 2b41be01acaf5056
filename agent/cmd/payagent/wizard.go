package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"payagent/agent/config"
	"payagent/devices"
	"payagent/devices/learn"
	"payagent/devices/models"
)

// wizard finds out how a scanner is set up from three scans of the sheet.
type wizard struct {
	out      io.Writer
	patience time.Duration // how long one scan is waited for
	quiet    time.Duration // the pause behind which a scan is over
	quick    bool
}

// tries is how often one code of the sheet may go wrong.
const tries = 3

// writeSheet makes the sheet for the printer.
func writeSheet(c config.Config, o deviceOptions, out io.Writer) error {
	m, err := modelNamed(c, o.model)
	if err != nil {
		return err
	}
	page, err := sheetPage(m)
	if err != nil {
		return err
	}
	if err := os.WriteFile(o.sheet, []byte(page), 0o644); err != nil {
		return fmt.Errorf("cannot write the sheet; name a file in a folder that you may write: %w", err)
	}
	_, err = fmt.Fprintf(out, "样张已写入 %s：用浏览器打开并按 100%% 打印，然后运行 payagent devices learn\nThe sheet is in %s: open it in a browser, print it at 100 %%, then run payagent devices learn\n", o.sheet, o.sheet)
	return err
}

func modelNamed(c config.Config, id string) (*models.Model, error) {
	set, err := loadModels(c)
	if err != nil || id == "" {
		return nil, err
	}
	m, ok := set.Get(id)
	if !ok {
		return nil, fmt.Errorf("cannot find the device model %q; write one of: %s", id, strings.Join(set.IDs(), ", "))
	}
	return &m, nil
}

// bauds reads the list of serial speeds to try.
func bauds(list string) ([]int, error) {
	if list == "" {
		return []int{9600, 115200, 19200, 38400, 57600}, nil
	}
	var out []int
	for _, s := range strings.Split(list, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil || n < 300 || n > 4_000_000 {
			return nil, fmt.Errorf("%w: %q is no baud rate; write e.g. --baud 9600,115200", errUsage, s)
		}
		out = append(out, n)
	}
	return out, nil
}

// run goes through the wizard.
func (w wizard) run(ctx context.Context, c config.Config, o deviceOptions) error {
	speeds, err := bauds(o.baud)
	if err != nil {
		return err
	}
	set, err := loadModels(c)
	if err != nil {
		return err
	}
	f, err := w.choose(c, o.device)
	if err != nil {
		return err
	}
	model, err := modelNamed(c, o.model)
	if err != nil {
		return err
	}
	fitting := set.For(f)
	if model == nil && len(fitting) > 0 {
		model = &fitting[0]
	}
	w.say("设备 device: %s", about(f))
	if model != nil {
		w.say("型号模板 model: %s — %s %s / %s %s", model.ID, model.Maker.ZH, model.Name.ZH, model.Maker.EN, model.Name.EN)
	}
	s := subject{wizard: w, found: f, model: model, speeds: speeds}
	if err := s.learn(ctx); err != nil {
		return err
	}
	phone := "未测试 not tried"
	if !w.quick {
		if phone, err = s.phone(ctx); err != nil {
			return err
		}
	}
	return s.report(phone)
}

func (w wizard) say(format string, args ...any) { _, _ = fmt.Fprintf(w.out, format+"\n", args...) }

func about(f devices.Found) string {
	parts := []string{f.Class, f.ID(), f.Port, f.Node, strings.TrimSpace(f.Maker + " " + f.Model)}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "  ")
}

// choose finds the device to learn: the one that is named, or the only one
// that is there.
func (w wizard) choose(c config.Config, name string) (devices.Found, error) {
	found, unseen := present()
	p, err := planDevices(c)
	if err != nil {
		return devices.Found{}, err
	}
	var fit []devices.Found
	for _, f := range found {
		place, _, _ := strings.Cut(f.Port, ":")
		if name == "" && f.Class != devices.ClassKeyboard && f.Port != "" || name != "" && (name == f.Port || name == place || name == f.Node || real(name) == real(f.Node)) {
			fit = append(fit, f)
		}
	}
	for _, s := range p.scanners {
		if s.conf.Name != name || name == "" {
			continue
		}
		for _, f := range found {
			if s.fits(f) {
				fit = append(fit, f)
			}
		}
		if len(fit) == 0 && s.path != "" {
			name = s.path
		}
	}
	switch {
	case len(fit) == 1:
		return fit[0], nil
	case len(fit) == 0 && name != "" && exists(name):
		// A port that no list shows may be one all the same.
		return devices.Found{Node: name, Class: devices.ClassSerial, Driver: "serial"}, nil
	case len(fit) == 0:
		return devices.Found{}, errors.Join(fmt.Errorf("cannot find the device %q; plug it in and name its port or node with --device, see payagent devices list", name), unseen)
	}
	var at []string
	for _, f := range fit {
		at = append(at, about(f))
	}
	return devices.Found{}, fmt.Errorf("cannot choose a device; name one with --device (port or node):\n  %s", strings.Join(at, "\n  "))
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

// subject is the device that is learned.
type subject struct {
	wizard
	found    devices.Found
	model    *models.Model
	speeds   []int
	baud     int // index in speeds
	tap      tap
	settings learn.Settings
}

func (s *subject) match() devices.Match { return devices.Match{Port: s.found.Port, Node: s.found.Node} }

// open opens the device, instead of what was open before.
func (s *subject) open() error {
	s.close()
	var t tap
	var err error
	switch s.found.Class {
	case devices.ClassSerial:
		t, err = tapSerial(s.found.Node, s.speeds[s.baud])
	case devices.ClassKeyboard:
		t, err = tapKeys(s.match())
	default:
		t, err = tapHID(s.match(), s.startFeature())
	}
	if err == nil {
		s.tap = t
	}
	return err
}

// close closes what is open, if anything is.
func (s *subject) close() {
	if s.tap != nil {
		_ = s.tap.Close()
	}
	s.tap = nil
}

// startFeature is what the model's template sends first; nil if nothing.
func (s *subject) startFeature() []byte {
	if s.model == nil {
		return nil
	}
	var start hexBytes
	word, _ := s.model.Interfaces[models.HIDPOS].Options["start_feature"].(string)
	if word == "" || start.UnmarshalText([]byte(word)) != nil {
		return nil
	}
	return start
}

// infer learns from the scans so far.
func (s *subject) infer(ctx context.Context, scans []learn.Scan) (learn.Settings, error) {
	switch t := s.tap.(type) {
	case *keyTap:
		return learn.Keys(scans, keyLayouts())
	case *hidTap:
		return learn.Reports(scans, t.reportLayouts(ctx))
	}
	return learn.Serial(scans)
}

// learn asks for the three codes until what they show agrees.
func (s *subject) learn(ctx context.Context) (err error) {
	if err := s.open(); err != nil {
		return err
	}
	defer s.close()
	if s.found.Class == devices.ClassSerial {
		s.say("波特率 baud: %d", s.speeds[s.baud])
	}
	var scans []learn.Scan
	for i, code := range learn.Sheet() {
		for try := 1; ; {
			s.say("第 %d/3 步：请扫描样张上的码 %d　step %d of 3: scan code %d of the sheet", i+1, i+1, i+1, i+1)
			scan, err := listen(ctx, s.tap, code.Text, s.patience, s.quiet)
			if err != nil {
				return err
			}
			s.settings, err = s.infer(ctx, append(slices.Clone(scans), scan))
			if err == nil {
				scans = append(scans, scan)
				s.say("  收到 ok")
				break
			}
			var t *learn.Trouble
			if !errors.As(err, &t) {
				return err
			}
			s.say("  ! %s\n    %s", t.Said.ZH, t.Said.EN)
			// The next speed costs no try: a wrong one shows as noise.
			if t.Kind == learn.Baud && s.found.Class == devices.ClassSerial && i == 0 && s.baud+1 < len(s.speeds) {
				s.baud++
				if err := s.open(); err != nil {
					return err
				}
				s.say("波特率 baud: %d", s.speeds[s.baud])
				continue
			}
			if try == tries || t.Kind == learn.Case || t.Kind == learn.Slow {
				return err
			}
			try++
		}
	}
	return nil
}

// phone tries whether the scanner reads a screen.
func (s *subject) phone(ctx context.Context) (string, error) {
	if err := s.open(); err != nil {
		return "", err
	}
	defer s.close()
	code := learn.Sheet()[2]
	s.say("最后：用手机拍下码 3，把手机屏幕上的照片给扫码设备读（20 秒内；不测可等待）\nlast: photograph code 3 and show the picture on the phone's screen to the scanner (within 20 s; wait to leave it out)")
	scan, err := listen(ctx, s.tap, code.Text, min(20*time.Second, s.patience), s.quiet)
	if err != nil {
		return "", err
	}
	if _, err := s.infer(ctx, []learn.Scan{scan}); err != nil {
		return "没有读到：付款码可能读不出，请调高屏幕亮度或更换设备 not read: payment codes on screens may not be read; brighten the screen or use another scanner", nil
	}
	return "可以 yes", nil
}

// report prints the settings for the configuration file.
func (s *subject) report(phone string) error {
	var b strings.Builder
	b.WriteString("\n二维码 reads QR codes: 可以 yes\n手机屏幕 reads phone screens: " + phone + "\n")
	if slices.ContainsFunc(s.settings.Symbologies, func(a string) bool { return a != "" }) {
		fmt.Fprintf(&b, "条码类型标识 AIM identifiers: %s\n", strings.Join(s.settings.Symbologies, ", "))
	}
	if len(s.settings.Also) > 0 {
		fmt.Fprintf(&b, "同样适用的键盘布局 layouts that fit as well: %s\n", strings.Join(s.settings.Also, ", "))
	}
	b.WriteString("\n把下面几行写入配置文件的 tills[].scanners　put this under tills[].scanners of the configuration file:\n\n")
	s.yaml(&b)
	if s.model != nil {
		fmt.Fprintf(&b, "\n%s\n%s\n", s.model.Advice.ZH, s.model.Advice.EN)
		writeSetup(&b, setupOf(*s.model))
		if len(s.model.SetupCodes) > 0 {
			fmt.Fprintf(&b, "    打印设置码 on paper: payagent devices learn --sheet sheet.html --model %s\n", s.model.ID)
		}
	}
	_, err := io.WriteString(s.out, b.String())
	return err
}

// yaml writes the entry of the scanner.
func (s *subject) yaml(b *strings.Builder) {
	driver := map[string]string{devices.ClassSerial: "serial", devices.ClassKeyboard: "wedge"}[s.found.Class]
	if driver == "" {
		driver = "hid"
	}
	fmt.Fprintf(b, "      - driver: %s\n", driver)
	if s.model != nil {
		if _, ok := s.model.Interfaces[s.found.Class]; ok {
			fmt.Fprintf(b, "        model: %s\n        interface: %s\n", s.model.ID, s.found.Class)
		}
	}
	b.WriteString("        role: pad\n        options:\n")
	if s.found.Port != "" {
		fmt.Fprintf(b, "          port: %q\n", s.found.Port)
	} else if driver == "serial" {
		fmt.Fprintf(b, "          path: %q\n", s.found.Node)
	} else {
		fmt.Fprintf(b, "          node: %q\n", s.found.Node)
	}
	if driver == "serial" {
		fmt.Fprintf(b, "          baud: %d\n", s.speeds[s.baud])
	}
	for _, o := range s.settings.Options() {
		if driver == "wedge" && o.Key == "end" && o.Value == "cr" {
			o.Value = "enter"
		}
		fmt.Fprintf(b, "          %s: %s\n", o.Key, o.Value)
	}
}
