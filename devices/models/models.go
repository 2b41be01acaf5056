// Package models holds what is known of scanners by maker and model, as plain
// data: one YAML file per model, named after its id. A user's folder adds
// models and replaces built-in ones (DEV-19). Adding a model is adding a file.
package models

import (
	"bytes"
	"cmp"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"

	"payagent/devices"
)

//go:embed *.yaml
var builtIn embed.FS

// The kinds of scanners.
const (
	KindPad    = "pad"    // stands on the counter, the patient's
	KindGun    = "gun"    // held in the hand, the cashier's
	KindModule = "module" // built into a kiosk
)

// The interfaces under which a scanner may present itself: the keys of
// Model.Interfaces, the same words as the classes of devices.
const (
	HIDPOS   = devices.ClassHIDPOS
	Keyboard = devices.ClassKeyboard
	Serial   = devices.ClassSerial
)

// How sure the content of a file is.
const (
	KnownManual  = "manual"      // from the maker's own documents
	KnownCode    = "public code" // from programs that talk to the device
	KnownGeneral = "general"     // what such devices have in common; nothing of this maker is public
)

// Generic begins the ids of the models that stand for no maker.
const Generic = "generic-"

// What a set-up code is.
const (
	CodeQR      = "qr"      // shown as a QR code to the scanner
	Code128     = "code128" // shown as Code 128 to the scanner
	CodeCommand = "command" // no bar code: sent over the wire by the maker's tool
)

// Model is what is known of one model or one family of them.
type Model struct {
	ID          string // the file's name without .yaml
	Maker, Name devices.Said
	Kind        string // one of the Kind constants
	IDs         []USBID
	Interfaces  map[string]Interface
	SetupCodes  []SetupCode
	Advice      devices.Said
	Known       string // one of the Known constants
	Source      string // where the bytes come from
	File        string // where it was read; empty for a built-in one
}

// USBID is a USB pair in hexadecimal text, as lsusb writes it.
type USBID struct {
	Vendor  string
	Product string // empty: any product of the vendor
	// Interface is what the device is under this id, one of the keys of
	// Interfaces; empty if the id does not tell.
	Interface string
}

// Interface says how a model is read when it presents itself in one way.
type Interface struct {
	Driver string // hid, wedge or serial
	// Options are what the configuration calls options of that driver; what
	// the user writes there goes over them.
	Options map[string]any
}

// Text gives the options as text that reads as YAML and as JSON, for a decoder
// of the configuration: decode this one first, the user's over it.
func (i Interface) Text() string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	options := i.Options
	if options == nil {
		options = map[string]any{}
	}
	if err := e.Encode(options); err != nil {
		return "{}" // only for values that no file can hold
	}
	return strings.TrimSpace(b.String())
}

// SetupCode sets a scanner up when it reads it, or is sent to it.
type SetupCode struct {
	_         [0]func() // never compared: no code is made for it
	What      devices.Said
	Code      string // as in the manual
	Symbology string // one of CodeQR, Code128, CodeCommand
	Source    string // who says so
}

// Set is all models that are known. A built-in one is read when it is asked
// for: reading them all would be a tenth of the time in which a till starts.
type Set struct{ users map[string]Model } // the user's, by id

// Load gives the built-in models and, where userDir is not empty, those of the
// files *.yaml there, which replace built-in ones of the same id. An error
// names file, line and what to do.
func Load(userDir string) (Set, error) {
	set := Set{users: map[string]Model{}}
	if userDir == "" {
		return set, nil
	}
	if _, err := os.Stat(userDir); err != nil {
		return Set{}, fmt.Errorf("cannot read the folder of device models; correct its path or leave it empty: %w", err)
	}
	return set, set.add(userDir)
}

// maxFile is the size above which a file is surely something else.
const maxFile = 64 << 10

func (s Set) add(place string) error {
	dir := os.DirFS(place)
	names, err := fs.Glob(dir, "*.yaml")
	if err != nil {
		return fmt.Errorf("cannot list device models: %w", err)
	}
	var all []error
	for _, name := range names {
		file := filepath.Join(place, name)
		m, err := read(dir, name, file)
		if err != nil {
			all = append(all, err)
			continue
		}
		m.File = file
		s.users[m.ID] = m
	}
	return errors.Join(all...)
}

func read(dir fs.FS, name, file string) (Model, error) {
	info, err := fs.Stat(dir, name)
	if err == nil && info.Size() > maxFile {
		err = errors.New("it is larger than 64 KiB; check that it is a device model")
	}
	var data []byte
	if err == nil {
		data, err = fs.ReadFile(dir, name)
	}
	if err != nil {
		return Model{}, fmt.Errorf("cannot read device model %s; correct or remove the file: %w", file, err)
	}
	return Parse(file, strings.TrimSuffix(name, ".yaml"), data)
}

// Get gives the model with an id.
func (s Set) Get(id string) (Model, bool) {
	if m, ok := s.users[id]; ok {
		return m, true
	}
	if strings.ContainsAny(id, `/\.`) {
		return Model{}, false
	}
	m, err := read(builtIn, id+".yaml", id+".yaml")
	return m, err == nil
}

// IDs lists all ids, sorted.
func (s Set) IDs() []string {
	files, _ := fs.Glob(builtIn, "*.yaml") // fails for an ill pattern only
	ids := slices.Collect(maps.Keys(s.users))
	for _, name := range files {
		ids = append(ids, strings.TrimSuffix(name, ".yaml"))
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// For gives the models whose USB ids fit a device, the closest first: the
// exact product before any product of the vendor. Where none fits, the generic
// ones of the device's class. A device of a known class gets only models that
// know this class.
func (s Set) For(f devices.Found) []Model {
	type hit struct {
		m    Model
		rank int
	}
	var fit, general []hit
	for _, id := range s.IDs() {
		m, known := s.Get(id)
		if !known {
			continue
		}
		if _, ok := m.Interfaces[f.Class]; !ok && f.Class != "" && f.Class != devices.ClassOther {
			continue
		}
		if strings.HasPrefix(m.ID, Generic) {
			general = append(general, hit{m, 0})
		}
		best := 0
		for _, id := range m.IDs {
			best = max(best, id.rank(f))
		}
		if best > 0 {
			fit = append(fit, hit{m, best})
		}
	}
	if fit == nil && f.Class != "" && f.Class != devices.ClassOther {
		fit = general
	}
	sort.Slice(fit, func(i, j int) bool { return cmp.Or(fit[j].rank-fit[i].rank, cmp.Compare(fit[i].m.ID, fit[j].m.ID)) < 0 })
	var out []Model
	for _, h := range fit {
		out = append(out, h.m)
	}
	return out
}

// rank is how well an id fits: 0 not at all, 1 the vendor, 2 the product, 3
// the product as this class.
func (id USBID) rank(f devices.Found) int {
	vendor, err := strconv.ParseUint(id.Vendor, 16, 16)
	if err != nil || f.Vendor == 0 || uint16(vendor) != f.Vendor {
		return 0
	}
	if id.Product == "" {
		if id.Interface != "" && f.Class != "" && id.Interface != f.Class {
			return 0
		}
		return 1
	}
	product, err := strconv.ParseUint(id.Product, 16, 16)
	if err != nil || uint16(product) != f.Product {
		return 0
	}
	if id.Interface != "" && f.Class == id.Interface {
		return 3
	}
	return 2
}
