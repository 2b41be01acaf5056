package main

import (
	"time"

	"payagent/agent/config"
	"payagent/devices/panel"
	"payagent/devices/pole"
)

type poleOptions struct {
	usbPlace
	Path       string
	Family     string
	Baud       int
	Line       string
	Columns    int
	Rows       int
	Charset    string
	Init       string
	Brightness int
	Shared     bool
	Refresh    time.Duration
}

func poleConfig(d config.Display) (pole.Config, error) {
	var o poleOptions
	if err := d.Options.Decode(&o); err != nil {
		return pole.Config{}, err
	}
	match, err := o.match(d.Options)
	if err != nil {
		return pole.Config{}, err
	}
	cfg := pole.Config{Name: d.Name, Path: o.Path, Match: match, Family: o.Family, Baud: o.Baud, Line: o.Line, Columns: o.Columns, Rows: o.Rows,
		Charset: o.Charset, Init: o.Init, Brightness: o.Brightness, Shared: o.Shared, Refresh: o.Refresh}
	if o.Path == "" && match.Empty() {
		return cfg, d.Options.Fail("path", "name the port, e.g. /dev/serial/by-path/… or COM3, or the USB place (port, id) that payagent devices list shows")
	}
	if _, err := cfg.Check(); err != nil {
		return cfg, d.Options.Fail("", err.Error())
	}
	return cfg, nil
}

type panelOptions struct {
	Kind      string
	Bus       string
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
