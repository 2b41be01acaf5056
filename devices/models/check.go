package models

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"sort"
	"strings"
	"time"

	"payagent/devices"
	"payagent/devices/internal/frames"
)

// kind is what an option holds.
type kind int

const (
	aText kind = iota
	aNumber
	aSwitch
	aPause   // a duration such as 50ms
	someHex  // bytes in hexadecimal
	hexList  // a list of commands
	hexMap   // names of actions and their commands
	aSection // options under it
)

// The options that a model may give each driver: those of the configuration
// that depend on the model. Where it is plugged in is not among them.
func options(driver string) map[string]kind {
	switch driver {
	case "hid":
		return map[string]kind{"backend": aText, "layout": aText, "start_feature": someHex, "start": hexList, "actions": hexMap,
			"charset": aText, "pause": aPause, "settle": aPause}
	case "wedge":
		return map[string]kind{"layout": aText, "end": aText, "gap": aPause}
	case "serial":
		return map[string]kind{"baud": aNumber, "line": aText, "dtr": aText, "rts": aText, "settle": aPause, "end": aText,
			"prefix": aText, "suffix": aText, "aim": aSwitch, "min": aNumber, "max": aNumber, "gap": aPause, "charset": aText,
			"protocol": aText, "start": hexList, "actions": hexMap, "pause": aPause, "alive": aSection,
			"alive.ask": someHex, "alive.answer": someHex, "alive.every": aPause, "alive.within": aPause}
	}
	return nil
}

var (
	idForm     = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)
	usbForm    = regexp.MustCompile(`^[0-9a-f]{4}$`)
	actionForm = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)
	lineForm   = regexp.MustCompile(`^[5-8][NEOMS][12]$`)
)

// words are the values of options and fields that are one of a few words.
func words(name string) []string {
	switch name {
	case "kind":
		return []string{KindPad, KindGun, KindModule}
	case "known":
		return []string{KnownManual, KnownCode, KnownGeneral}
	case "interface":
		return []string{HIDPOS, Keyboard, Serial}
	case "symbology":
		return []string{CodeQR, Code128, CodeCommand}
	case "hid.layout":
		return []string{"usb-if", "newland"}
	case "hid.backend":
		return []string{"auto", "hidraw", "karalabe"}
	case "serial.end":
		return []string{"line", "cr", "lf", "crlf", "tab", "none", "stx-etx"}
	case "wedge.end":
		return []string{"enter", "tab", "none"}
	case "serial.protocol":
		return []string{"ssi", "newland"}
	case "serial.dtr", "serial.rts":
		return []string{"on", "off"}
	case "serial.charset", "hid.charset":
		return []string{"utf-8", "gbk", "latin-1"}
	}
	return nil
}

// checker collects what is wrong with one model.
type checker struct{ bad []trouble }

func (c *checker) say(key, format string, args ...any) {
	c.bad = append(c.bad, trouble{key, fmt.Sprintf(format, args...)})
}

func (c *checker) said(key string, s devices.Said) {
	if strings.TrimSpace(s.ZH) == "" || strings.TrimSpace(s.EN) == "" {
		c.say(key, "has no text in one of the languages; write zh and en")
	}
}

func (c *checker) one(key, of, value string) {
	if list := words(of); !slices.Contains(list, value) {
		c.say(key, "cannot be %q; write %s", value, strings.Join(list, ", "))
	}
}

func check(m Model) []trouble {
	c := &checker{}
	if !idForm.MatchString(m.ID) {
		c.say("id", "cannot be %q; name the file with small letters, digits and hyphens, ending with .yaml", m.ID)
	}
	c.said("maker", m.Maker)
	c.said("name", m.Name)
	c.said("advice", m.Advice)
	c.one("kind", "kind", m.Kind)
	c.one("known", "known", m.Known)
	if strings.TrimSpace(m.Source) == "" {
		c.say("source", "is missing; say where the settings come from")
	}
	if len(m.Interfaces) == 0 {
		c.say("interfaces", "are missing; name at least one of %s", strings.Join(words("interface"), ", "))
	}
	for i, id := range m.IDs {
		key := fmt.Sprintf("ids[%d]", i)
		if !usbForm.MatchString(id.Vendor) || id.Product != "" && !usbForm.MatchString(id.Product) {
			c.say(key, `has a wrong vendor or product; write four small hexadecimal digits in quotes, like "1eab"`)
		}
		if _, ok := m.Interfaces[id.Interface]; id.Interface != "" && !ok {
			c.say(key, "names the interface %q, which is not described under interfaces; add it there", id.Interface)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.Interfaces)) {
		c.iface(name, m.Interfaces[name])
	}
	for i, s := range m.SetupCodes {
		key := fmt.Sprintf("setup_codes[%d]", i)
		c.said(key+".what", s.What)
		c.one(key+".symbology", "symbology", s.Symbology)
		if strings.TrimSpace(s.Code) == "" || len(s.Code) > 512 {
			c.say(key+".code", "is empty or too long; write it as in the manual, at most 512 bytes")
		}
		if strings.TrimSpace(s.Source) == "" {
			c.say(key+".source", "is missing; say which manual gives this code")
		}
	}
	sort.SliceStable(c.bad, func(i, j int) bool { return cmp.Compare(c.bad[i].key, c.bad[j].key) < 0 })
	return c.bad
}

// driverOf is the member that reads an interface.
func driverOf(name string) string {
	return map[string]string{HIDPOS: "hid", Keyboard: "wedge", Serial: "serial"}[name]
}

func (c *checker) iface(name string, i Interface) {
	key := "interfaces." + name
	driver := driverOf(name)
	if driver == "" {
		c.say(key, "is no interface; write one of %s", strings.Join(words("interface"), ", "))
		return
	}
	if i.Driver != driver {
		c.say(key+".driver", "cannot be %q; write %s", i.Driver, driver)
		return
	}
	c.section(key+".options", driver, "", i.Options)
	if p, _ := i.Options["protocol"].(string); p == "ssi" {
		c.ssi(key+".options", i.Options)
	}
}

func (c *checker) section(key, driver, prefix string, given map[string]any) {
	known := options(driver)
	for _, name := range slices.Sorted(maps.Keys(given)) {
		at := key + "." + name
		k, ok := known[prefix+name]
		if !ok {
			c.say(at, "is no option of %s; see the list of options in the documentation", driver)
			continue
		}
		c.option(at, driver, prefix+name, k, given[name])
	}
}

func (c *checker) option(key, driver, name string, k kind, v any) {
	s, isText := v.(string)
	switch k {
	case aText:
		switch {
		case !isText:
			c.say(key, "is not text; put it in quotes")
		case name == "line" && !lineForm.MatchString(s):
			c.say(key, `cannot be %q; write data bits, parity and stop bits, like "8N1"`, s)
		case words(driver+"."+name) != nil:
			c.one(key, driver+"."+name, s)
		}
	case aNumber:
		n, ok := number(v)
		if !ok || n < 1 || n > 4_000_000 {
			c.say(key, "is not a number that fits")
		}
	case aSwitch:
		if _, ok := v.(bool); !ok {
			c.say(key, "is not true or false")
		}
	case aPause:
		if d, err := time.ParseDuration(s); err != nil || d > 24*time.Hour || d < -time.Second {
			c.say(key, "is not a time such as 50ms or 10s")
		}
	case someHex:
		c.command(key, v)
	case hexList:
		list, ok := v.([]any)
		if !ok || len(list) > 32 {
			c.say(key, "is not a list of at most 32 commands")
		}
		for i, x := range list {
			c.command(fmt.Sprintf("%s[%d]", key, i), x)
		}
	case hexMap:
		m, ok := v.(map[string]any)
		if !ok || len(m) > 32 {
			c.say(key, "is not a section of at most 32 names with commands")
		}
		for _, n := range slices.Sorted(maps.Keys(m)) {
			if !actionForm.MatchString(n) {
				c.say(key+"."+n, "is no name for an action; use small letters, digits and hyphens")
			}
			c.command(key+"."+n, m[n])
		}
	case aSection:
		m, ok := v.(map[string]any)
		if !ok {
			c.say(key, "is not a section")
		}
		c.section(key, driver, name+".", m)
		for _, need := range []string{"ask", "answer"} {
			if _, ok := m[need]; ok || name != "alive" {
				continue
			}
			c.say(key, "has no %s", need)
		}
	}
}

func number(v any) (int64, bool) {
	switch n := v.(type) {
	case uint64:
		return int64(min(n, 1<<40)), true
	case int64:
		return n, true
	case int:
		return int64(n), true
	}
	return 0, false
}

// command checks one command; the answer to a question may be its beginning
// only, so it need not be whole.
func (c *checker) command(key string, v any) {
	s, ok := v.(string)
	if !ok {
		c.say(key, `is not text; write bytes in hexadecimal in quotes, like "16 54 0D"`)
		return
	}
	b, err := frames.Hex(s)
	if err == nil && !strings.HasSuffix(key, ".answer") {
		err = frames.Check(b)
	}
	if err != nil {
		c.say(key, "is wrong: %v", err)
	}
}

// ssi holds every command of an SSI profile to its packet form.
func (c *checker) ssi(key string, o map[string]any) {
	try := func(key string, v any) {
		s, _ := v.(string)
		b, err := frames.Hex(s)
		if err != nil {
			return // said already
		}
		if err := frames.CheckSSI(b); err != nil {
			c.say(key, "is wrong: %v", err)
		}
	}
	if m, ok := o["actions"].(map[string]any); ok {
		for _, n := range slices.Sorted(maps.Keys(m)) {
			try(key+".actions."+n, m[n])
		}
	}
	if list, ok := o["start"].([]any); ok {
		for i, v := range list {
			try(fmt.Sprintf("%s.start[%d]", key, i), v)
		}
	}
	if m, ok := o["alive"].(map[string]any); ok && m["ask"] != nil {
		try(key+".alive.ask", m["ask"])
	}
}
