package main

import (
	"time"

	"payagent/agent/config"
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
