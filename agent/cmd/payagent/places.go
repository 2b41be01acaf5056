package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"payagent/agent/config"
	"payagent/agent/seal"
	"payagent/devices"
)

func placesFile(c config.Config) string { return filepath.Join(c.DataDir, "devices.json") }

// known is what is remembered of one scanner, so that a change of places is
// seen across restarts: nothing about people or codes.
type known struct {
	Serial string `json:"serial"`
	Port   string `json:"port,omitempty"`
	ID     string `json:"id,omitempty"`
}

// places remembers which physical scanner was at which place of the
// configuration. Its methods but wait are not safe for concurrent use.
type places struct {
	file string
	log  *slog.Logger
	was  map[string]known
	now  map[string]devices.Found

	writing sync.Mutex // held while the disk is
	mu      sync.Mutex // guards next
	next    []byte     // what is to be written, or nil
	pending sync.WaitGroup
}

// openPlaces reads what is remembered. A file that cannot be read is begun
// anew: no payment hangs on it.
func openPlaces(file string, log *slog.Logger) *places {
	p := &places{file: file, log: log, was: map[string]known{}, now: map[string]devices.Found{}}
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return p
	}
	if err == nil {
		err = json.Unmarshal(data, &p.was)
	}
	if err != nil || p.was == nil {
		log.Warn("which scanner stood where is not known any more; it is noted anew", "file", file, "error", err)
		p.was = map[string]known{}
	}
	return p
}

// found is the device that was seen last.
func (p *places) found(device string) devices.Found { return p.now[device] }

// seen notes that a scanner is there. It gives the name of the scanner with
// which it has changed places, once, when both have been seen.
func (p *places) seen(device string, f devices.Found) (swappedWith string) {
	if f.Serial == "" {
		return "" // nothing tells two of them apart
	}
	p.now[device] = f
	before, ok := p.was[device]
	if ok && before.Serial == f.Serial {
		if before != keep(f) {
			p.note(device)
		}
		return ""
	}
	other := ""
	for name, k := range p.was {
		if name != device && k.Serial == f.Serial {
			other = name
		}
	}
	switch at, there := p.now[other]; {
	case !ok || other == "":
		p.note(device)
	case !there:
		// It may have changed places with one that was not seen yet.
	case at.Serial == before.Serial:
		p.note(device, other)
		return other
	case at.Serial != f.Serial:
		p.note(device, other)
	default:
		p.note(device) // two with one serial number: it tells nothing
	}
	return ""
}

// gone notes that a scanner is not there any more.
func (p *places) gone(device string) { delete(p.now, device) }

func keep(f devices.Found) known { return known{Serial: f.Serial, Port: f.Port, ID: f.ID()} }

// note makes what is there now what is remembered, and writes it without
// holding up the caller, who reads a scanner.
func (p *places) note(names ...string) {
	for _, n := range names {
		p.was[n] = keep(p.now[n])
	}
	data, err := json.MarshalIndent(p.was, "", "  ")
	if err != nil {
		return // text alone always can be written
	}
	p.mu.Lock()
	p.next = data
	p.mu.Unlock()
	p.pending.Go(p.write)
}

// write writes the newest state, unless another call did so.
func (p *places) write() {
	p.writing.Lock()
	defer p.writing.Unlock()
	p.mu.Lock()
	data := p.next
	p.next = nil
	p.mu.Unlock()
	if data == nil {
		return
	}
	if err := seal.WriteFile(p.file, append(data, '\n')); err != nil {
		p.log.Warn("which scanner stands where could not be noted", "error", err)
	}
}

// wait ends when everything is written.
func (p *places) wait() { p.pending.Wait() }
