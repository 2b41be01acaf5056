package config

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
)

//go:embed defaults.yaml
var defaultsYAML []byte

//go:embed demo.yaml
var demoYAML []byte

// Load reads, parses and validates a file.
func Load(path string) (Config, error) {
	data, err := Read(path)
	if err != nil {
		return Config{}, err
	}
	c, err := Parse(path, data)
	if err != nil {
		return Config{}, err
	}
	return c, c.Validate()
}

// Read reads a file's bytes.
func Read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot open the configuration; name it with --config and check its permissions: %w", err)
	}
	defer func() { _ = f.Close() }() // only read: nothing can be lost
	data, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read the configuration; check that it is a file and that the disk is well: %w", err)
	}
	return data, nil
}

// Parse reads a configuration over the defaults. The name is used in errors
// only. The result has the right form; Validate says whether it makes sense.
func Parse(name string, data []byte) (Config, error) {
	c, err := parse("defaults.yaml", defaultsYAML, Config{})
	if err != nil {
		return Config{}, err
	}
	// Line numbers are those of the user's file alone, and so is what follows
	// from its data_dir.
	c.lines, c.Devices.ModelsDir = nil, ""
	if c, err = parse(name, data, c); err != nil {
		return Config{}, err
	}
	return c, nil
}

// Defaults is the configuration of an empty file. It has no platform and no
// till, so it does not validate.
func Defaults() (Config, error) { return Parse("defaults.yaml", nil) }

// Demo is the sample that make demo starts from: a counter and a kiosk, both
// platforms on loopback, test marks on. Addresses, data_dir and token files
// are the caller's to replace.
func Demo() (Config, error) { return Parse("demo.yaml", demoYAML) }

func parse(name string, data []byte, c Config) (Config, error) {
	var probs problems
	d := decoder{probs: &probs, lines: map[string]int{}}
	d.into(parseNode(data, &probs), reflect.ValueOf(&c).Elem(), "")
	c.file, c.lines = name, d.lines
	c.finish(&probs)
	return c, probs.err(name)
}

// finish fills what follows from other keys.
func (c *Config) finish(probs *problems) {
	for i := range c.Platforms {
		p := &c.Platforms[i]
		p.Options.file, p.PolicyOverrides.file = c.file, c.file
		p.Policy = c.Policy
		d := decoder{probs: probs, lines: c.lines}
		if o := p.PolicyOverrides; !o.Empty() {
			d.into(o.node, reflect.ValueOf(&p.Policy).Elem(), o.path)
		}
	}
	if c.Devices.ModelsDir == "" && c.DataDir != "" {
		c.Devices.ModelsDir = filepath.Join(c.DataDir, "models")
	}
	for i := range c.Tills {
		t := &c.Tills[i]
		if t.Title == "" {
			t.Title = t.Name
		}
		for j := range t.Scanners {
			s := &t.Scanners[j]
			c.place(&s.Options, fmt.Sprintf("tills[%d].scanners[%d]", i, j))
			if s.Name == "" {
				s.Name = fmt.Sprintf("%s-scanner%d", t.Name, j+1)
			}
		}
		for j := range t.Displays {
			s := &t.Displays[j]
			c.place(&s.Options, fmt.Sprintf("tills[%d].displays[%d]", i, j))
			if s.Name == "" {
				s.Name = fmt.Sprintf("%s-display%d", t.Name, j+1)
			}
		}
	}
	for name, t := range c.OrderTypes {
		if t.OrderType == "" {
			t.OrderType = name
			c.OrderTypes[name] = t
		}
	}
}

// place tells a device's settings where they stand, also when there are none.
func (c *Config) place(o *Options, device string) {
	o.file = c.file
	if o.path == "" {
		o.path, o.node.line = device+".options", c.line(device)
	}
}

// Fail makes an [*Error] about one key, e.g. "platforms[0].driver", for
// checks that only the caller can make (does this driver exist?).
func (c Config) Fail(key, reason string) error {
	return &Error{File: c.file, Problems: []Problem{{Line: c.line(key), Key: key, Reason: reason}}}
}

// Join puts several errors together: the problems of every [*Error] in one
// list, other errors beside it. Nil errors are dropped.
func Join(errs ...error) error {
	all := &Error{}
	var rest []error
	for _, err := range errs {
		var e *Error
		switch {
		case err == nil:
		case errors.As(err, &e):
			all.File = e.File
			all.Problems = append(all.Problems, e.Problems...)
		default:
			rest = append(rest, err)
		}
	}
	if len(all.Problems) > 0 {
		rest = append([]error{all}, rest...)
	}
	if len(rest) == 1 {
		return rest[0]
	}
	return errors.Join(rest...)
}

// Line finds the line of a key in the file, or of the nearest section around
// it; 0 if neither is in the file.
func (c Config) Line(key string) int { return c.line(key) }

// line finds the line of a key, or of the nearest section around it.
func (c Config) line(key string) int {
	for key != "" {
		if n, ok := c.lines[key]; ok {
			return n
		}
		cut := 0
		for i := len(key) - 1; i > 0 && cut == 0; i-- {
			if key[i] == '.' || key[i] == '[' {
				cut = i
			}
		}
		key = key[:cut]
	}
	return 0
}
