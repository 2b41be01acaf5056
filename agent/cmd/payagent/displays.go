package main

import (
	"time"

	"payagent/agent/config"
	"payagent/devices/lamp"
	"payagent/devices/panel"
	"payagent/devices/pole"
	"payagent/devices/voice"
)

type poleOptions struct {
	usbPlace
	Path string
	// What the display speaks, as its manual says: led8, cd5220, dm-d, utc, utc-enhanced or aedex. It is never found out by trying.
	Family  string
	Baud    int
	Line    string
	Columns int
	Rows    int
	// gbk (the default), or ascii for a display without Chinese characters.
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
	if err := onePort(d.Options, o.Path, match, "/dev/serial/by-path/… or COM3"); err != nil {
		return cfg, err
	}
	if _, err := cfg.Check(); err != nil {
		return cfg, d.Options.Fail("", err.Error())
	}
	return cfg, nil
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

type voiceOptions struct {
	Command string
	Voice   string
	Speed   int
	Volume  int
	Args    []string
	Quiet   []string
}

func voiceConfig(d config.Display) (voice.Config, error) {
	var o voiceOptions
	if err := d.Options.Decode(&o); err != nil {
		return voice.Config{}, err
	}
	cfg := voice.Config{Name: d.Name, Command: o.Command, Voice: o.Voice, Speed: o.Speed, Volume: o.Volume, Args: o.Args, Quiet: o.Quiet}
	if err := cfg.Check(); err != nil {
		return cfg, d.Options.Fail("", err.Error())
	}
	return cfg, nil
}
