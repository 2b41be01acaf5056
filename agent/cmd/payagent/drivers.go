package main

import (
	"fmt"
	"net/http"
	"os"

	"payagent/agent/config"
	"payagent/devices"
	"payagent/devices/hid"
	"payagent/devices/lines"
	"payagent/devices/pole"
	"payagent/devices/serial"
	"payagent/devices/voice"
	"payagent/devices/wedge"
	"payagent/platforms"
)

// This file is the list of members: the only place that says which words of
// the configuration stand for which. Adding one is adding a case.

// openPlatform opens one configured payment platform over a way out.
func openPlatform(c config.Config, p config.Platform, rt http.RoundTripper) (platforms.Platform, error) {
	merchants := merchantsOf(c, p.Name)
	switch p.Driver {
	case "smartpay":
		return openSmartPay(c, p, rt, merchants)
	case "fwc":
		return openFWC(c, p, rt, merchants)
	case "lc":
		return openLC(c, p, rt)
	}
	return nil, fmt.Errorf("cannot open platform %s: there is no driver %q; write smartpay, fwc or lc", p.Name, p.Driver)
}

// planScanner fills in how one scanner is opened. Nothing is opened yet.
func planScanner(p *scannerPlan, codes config.Codes) error {
	switch p.driver {
	case "hid", "karalabe":
		cfg, err := hidConfig(p.conf, p.driver, codes)
		p.shelf, p.match, p.refresh = "hid", cfg.Match, silentRefresh
		p.open = func() (devices.Scanner, error) { return hid.Open(cfg) }
		return err
	case "wedge":
		cfg, err := wedgeConfig(p.conf, codes)
		p.shelf, p.match = "wedge", cfg.Match
		p.open = func() (devices.Scanner, error) { return wedge.Open(cfg) }
		return err
	case "serial":
		cfg, err := serialConfig(p.conf, codes)
		p.shelf, p.path, p.match, p.refresh = "serial", cfg.Path, cfg.Match, silentRefresh
		p.open = func() (devices.Scanner, error) { return serial.Open(cfg) }
		return err
	case "stdin":
		p.shelf, p.path, p.once = "stdin", "standard input", true
		p.open = func() (devices.Scanner, error) { return lines.New(p.conf.Name, os.Stdin) }
		return p.conf.Options.Decode(&struct{}{})
	}
	return fmt.Errorf("there is no driver %q; write hid, karalabe, wedge, serial or stdin", p.driver)
}

// planDisplay fills in how one display is opened. The pages are served by the
// door and need no entry.
func planDisplay(p *displayPlan) error {
	switch p.conf.Driver {
	case "pole":
		cfg, err := poleConfig(p.conf)
		p.shelf, p.path, p.match = "serial", cfg.Path, cfg.Match
		p.open = func() (devices.Display, error) { return pole.Open(cfg) }
		return err
	case "panel", "lamp":
		return planPins(p)
	case "voice":
		cfg, err := voiceConfig(p.conf)
		p.open = func() (devices.Display, error) { return voice.Open(cfg) }
		return err
	}
	return fmt.Errorf("there is no driver %q; write pole, panel, lamp or voice; the kiosk and cashier pages need no entry", p.conf.Driver)
}
