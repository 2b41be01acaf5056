package main

import (
	"encoding/hex"
	"fmt"
	"runtime"
	"strings"
	"time"

	"payagent/agent/config"
	"payagent/devices"
	"payagent/devices/hid"
	"payagent/devices/serial"
	"payagent/devices/wedge"
)

// hexBytes are bytes written in hexadecimal, with or without blanks.
type hexBytes []byte

// UnmarshalText reads "16 54 0d".
func (h *hexBytes) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil || len(b) == 0 || len(b) > 1024 {
		return fmt.Errorf(`write bytes in hexadecimal, e.g. "16 54 0d"`)
	}
	*h = b
	return nil
}

func plainList(list []hexBytes) [][]byte {
	var out [][]byte
	for _, b := range list {
		out = append(out, b)
	}
	return out
}

func plainMap(list map[string]hexBytes) map[string][]byte {
	out := map[string][]byte{}
	for name, b := range list {
		out[name] = b
	}
	return out
}

// auto is what templates write for a choice that is left to the driver.
func auto(word string) string {
	if word == "auto" {
		return ""
	}
	return word
}

// usbPlace is how a setting names one USB device among others.
type usbPlace struct {
	// The place it is plugged in, which re-plugging there and restarts keep, as payagent devices list shows it, e.g. "1-1.2". Two equal devices differ in nothing else.
	Port string
	// USB vendor and product as payagent devices list shows them, e.g. "0c2e:1001", or the vendor alone.
	ID string
	// USB serial number, for a device that has one of its own.
	SerialNumber string
	// What the system opens, e.g. /dev/hidraw0. It may be another device after a re-plug: prefer port.
	Node string
}

func (u usbPlace) match(o config.Options) (devices.Match, error) {
	m := devices.Match{Port: u.Port, Serial: u.SerialNumber, Node: u.Node}
	if u.ID != "" {
		var err error
		if m.Vendor, m.Product, err = usbID(u.ID); err != nil {
			return m, o.Fail("id", err.Error())
		}
	}
	return m, nil
}

// onePort makes sure that a serial port is named in one way.
func onePort(o config.Options, path string, match devices.Match, example string) error {
	switch {
	case path == "" && match.Empty():
		return o.Fail("path", "name the port, e.g. "+example+", or the USB place (port, id) that payagent devices list shows")
	case path != "" && !match.Empty():
		return o.Fail("path", "the port is named twice; give the path, or port, id and the like, but not both")
	}
	return nil
}

type hidOptions struct {
	usbPlace
	Backend string
	Layout  string
	// A feature report in hexadecimal, sent after opening; its first byte is the report id. "FE 01" for Honeywell and Youjie, which are silent without.
	StartFeature hexBytes
	// Output reports in hexadecimal, sent after it.
	Start []hexBytes
	// Output reports in hexadecimal that payagent devices test and the API may send, by name, e.g. trigger.
	Actions map[string]hexBytes
	Settle  time.Duration
	Charset string
	Min     int
	Max     int
	Pause   time.Duration
}

// sameRead is how long a scanner itself keeps back the code it read last. A
// code that stays in view goes on once a second: the counter decides whether
// it is the same read, and one shown before its order must be seen again.
func sameRead(codes config.Codes) time.Duration {
	if codes.DoubleRead == 0 {
		return -1
	}
	return min(codes.DoubleRead, time.Second)
}

func hidConfig(s config.Scanner, driver string, codes config.Codes) (hid.Config, error) {
	var o hidOptions
	if err := s.Options.Decode(&o); err != nil {
		return hid.Config{}, err
	}
	match, err := o.match(s.Options)
	if err != nil {
		return hid.Config{}, err
	}
	backend := auto(o.Backend)
	if driver == "karalabe" {
		if backend != "" && backend != hid.BackendKaralabe {
			return hid.Config{}, s.Options.Fail("backend", "driver: karalabe has the backend karalabe alone; write driver: hid for another one")
		}
		backend = hid.BackendKaralabe
	}
	cfg := hid.Config{Name: s.Name, Match: match, Backend: backend, Layout: auto(o.Layout), StartFeature: o.StartFeature,
		Start: plainList(o.Start), Actions: plainMap(o.Actions), Settle: o.Settle, DoubleRead: sameRead(codes), Charset: auto(o.Charset), Min: o.Min, Max: o.Max, Pause: o.Pause}
	if _, err := cfg.Check(); err != nil {
		return cfg, s.Options.Fail("", err.Error())
	}
	if _, err := hid.NewBackend(backend); err != nil {
		return cfg, s.Options.Fail("", err.Error())
	}
	return cfg, nil
}

type wedgeOptions struct {
	usbPlace
	// The keyboard layout that the scanner is set up for: us (the default), uk, de, fr, es, it, br or jp. payagent devices learn finds it out.
	Layout string
	End    string
	Prefix string
	Suffix string
	AIM    bool `yaml:"aim"`
	Min    int
	Max    int
	Gap    time.Duration
	Settle time.Duration
}

func wedgeConfig(s config.Scanner, codes config.Codes) (wedge.Config, error) {
	var o wedgeOptions
	if err := s.Options.Decode(&o); err != nil {
		return wedge.Config{}, err
	}
	match, err := o.match(s.Options)
	if err != nil {
		return wedge.Config{}, err
	}
	cfg := wedge.Config{Name: s.Name, Match: match, Layout: o.Layout, End: o.End, Gap: o.Gap, Settle: o.Settle, DoubleRead: sameRead(codes),
		Min: o.Min, Max: o.Max, Prefix: o.Prefix, Suffix: o.Suffix, AIM: o.AIM}
	if err := cfg.Check(); err != nil {
		return cfg, s.Options.Fail("", err.Error())
	}
	if runtime.GOOS != "linux" {
		return cfg, s.Options.Fail("", "on this system a service gets no keys; switch the scanner to HID POS or serial with its maker's set-up code (payagent devices list names it) and write driver: hid or serial")
	}
	return cfg, nil
}

type serialOptions struct {
	usbPlace
	Path     string
	Baud     int
	Line     string
	DTR      string `yaml:"dtr"`
	RTS      string `yaml:"rts"`
	Settle   time.Duration
	End      string
	Prefix   string
	Suffix   string
	AIM      bool `yaml:"aim"`
	Min      int
	Max      int
	Gap      time.Duration
	Charset  string
	Protocol string
	// Commands in hexadecimal, sent after opening, in order. Nothing waits for answers.
	Start []hexBytes
	// Commands in hexadecimal that payagent devices test and the API may send, by name, e.g. trigger.
	Actions map[string]hexBytes
	Pause   time.Duration
	Alive   struct {
		// A question in hexadecimal by which the scanner shows that it still works; empty: nothing is asked.
		Ask hexBytes
		// How the answer begins, in hexadecimal.
		Answer hexBytes
		// Pause between two questions, 20s by default, at least 1s.
		Every time.Duration
		// How long the answer may take, 5s by default, at least 100ms.
		Within time.Duration
	}
}

func serialConfig(s config.Scanner, codes config.Codes) (serial.Config, error) {
	var o serialOptions
	if err := s.Options.Decode(&o); err != nil {
		return serial.Config{}, err
	}
	match, err := o.match(s.Options)
	if err != nil {
		return serial.Config{}, err
	}
	cfg := serial.Config{Name: s.Name, Path: o.Path, Match: match, Baud: o.Baud, Line: o.Line, DTR: o.DTR, RTS: o.RTS, Settle: o.Settle,
		DoubleRead: sameRead(codes), Protocol: o.Protocol, Start: plainList(o.Start), Actions: plainMap(o.Actions), Pause: o.Pause,
		Alive: serial.Alive{Ask: o.Alive.Ask, Answer: o.Alive.Answer, Every: o.Alive.Every, Within: o.Alive.Within},
		Framing: serial.Framing{End: strings.ToLower(o.End), Prefix: o.Prefix, Suffix: o.Suffix, AIM: o.AIM, Min: o.Min, Max: o.Max, Gap: o.Gap,
			Charset: auto(o.Charset)}}
	if err := onePort(s.Options, o.Path, match, "/dev/serial/by-id/… or COM3"); err != nil {
		return cfg, err
	}
	if _, err := cfg.Framing.Check(); err != nil {
		return cfg, s.Options.Fail("end", err.Error())
	}
	if err := cfg.Check(); err != nil {
		return cfg, s.Options.Fail("", err.Error())
	}
	return cfg, nil
}
