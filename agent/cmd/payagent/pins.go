//go:build !windows

package main

import (
	"time"

	"payagent/agent/config"
	"payagent/devices"
	"payagent/devices/lamp"
	"payagent/devices/panel"
)

// planPins fills in how a display on a board's own pins is opened.
func planPins(p *displayPlan) error {
	if p.conf.Driver == "lamp" {
		cfg, err := lampConfig(p.conf)
		p.open = func() (devices.Display, error) { return lamp.Open(cfg) }
		return err
	}
	cfg, err := panelConfig(p.conf)
	p.open = func() (devices.Display, error) { return panel.Open(cfg) }
	return err
}

type panelOptions struct {
	Kind string
	Bus  string
	// I²C address in decimal: 60 (0x3C, the default) or 61 (0x3D) on most boards.
	Address   int
	Width     int
	Height    int
	OffsetX   int
	OffsetY   int
	Rotate    int
	DC        string `yaml:"dc"`
	Reset     string
	Backlight string
	SpeedHz   int
	SPIMode   int  `yaml:"spi_mode"`
	BGR       bool `yaml:"bgr"`
	Plain     bool
	Language  string
	Refresh   time.Duration
}

func panelConfig(d config.Display) (panel.Config, error) {
	var o panelOptions
	if err := d.Options.Decode(&o); err != nil {
		return panel.Config{}, err
	}
	cfg := panel.Config{Name: d.Name, Kind: o.Kind, Bus: o.Bus, Address: o.Address, Width: o.Width, Height: o.Height,
		OffsetX: o.OffsetX, OffsetY: o.OffsetY, Rotate: o.Rotate, DC: o.DC, Reset: o.Reset, Backlight: o.Backlight,
		SpeedHz: o.SpeedHz, SPIMode: o.SPIMode, BGR: o.BGR, Plain: o.Plain, Language: o.Language, Refresh: o.Refresh}
	if err := cfg.Check(); err != nil {
		return cfg, d.Options.Fail("", err.Error())
	}
	return cfg, nil
}

type lampOptions struct {
	Red       string
	Yellow    string
	Green     string
	Buzzer    string
	ActiveLow bool
	Quiet     []string
}

func lampConfig(d config.Display) (lamp.Config, error) {
	var o lampOptions
	if err := d.Options.Decode(&o); err != nil {
		return lamp.Config{}, err
	}
	cfg := lamp.Config{Name: d.Name, Red: o.Red, Yellow: o.Yellow, Green: o.Green, Buzzer: o.Buzzer, ActiveLow: o.ActiveLow, Quiet: o.Quiet}
	if err := cfg.Check(); err != nil {
		return cfg, d.Options.Fail("", err.Error())
	}
	return cfg, nil
}
