package enrol

import (
	"fmt"
	"strings"

	"payagent/agent/fleet"
)

// Block writes the fleet section of a configuration: what the authority said,
// and the files. more are lines of the section that the site had set itself,
// e.g. "window: \"22:00-05:30\"".
func Block(s fleet.Settings, f Files, more ...string) string {
	var b strings.Builder
	line := func(key, value string) {
		if value != "" {
			fmt.Fprintf(&b, "  %s: %s\n", key, Quote(value))
		}
	}
	b.WriteString("fleet:\n")
	line("broker", s.Broker)
	line("server_name", s.ServerName)
	line("root", s.Root)
	line("site", s.Site)
	line("box", s.Box)
	line("ca_file", f.CA)
	line("cert_file", f.Cert)
	line("key_file", f.Key)
	line("ca_url", s.CAURL)
	line("ack", s.Ack)
	line("hub_key", s.HubKey)
	line("relay_key", s.RelayKey)
	for _, m := range more {
		b.WriteString("  " + m + "\n")
	}
	if len(s.Keys) > 0 {
		b.WriteString("  keys:\n")
	}
	for _, k := range s.Keys {
		fmt.Fprintf(&b, "    - {id: %s, roles: [%s], public: %s}\n", Quote(k.ID), strings.Join(k.Roles, ", "), Quote(k.Public))
	}
	return b.String()
}

// Quote writes a YAML text in double quotes.
func Quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(s) + `"`
}

// SetBlock puts a section into the text of a configuration: in place of the
// one of that name, or at the end. Everything else stays as it was written.
// The caller checks what came out.
func SetBlock(text, block string) string {
	name, _, _ := strings.Cut(block, ":")
	end := "\n"
	if strings.Contains(text, "\r\n") {
		end = "\r\n"
		block = strings.ReplaceAll(block, "\n", end)
	}
	lines := strings.SplitAfter(text, "\n")
	first := -1
	for i, l := range lines {
		if l == name+":" || strings.HasPrefix(l, name+": ") || strings.HasPrefix(l, name+":\n") || strings.HasPrefix(l, name+":\r") || strings.HasPrefix(l, name+":\t") {
			first = i
			break
		}
	}
	if first < 0 {
		if text != "" && !strings.HasSuffix(text, "\n") {
			text += end
		}
		return text + end + block
	}
	// The section ends before the next line that begins a key; comments and
	// empty lines in front of that belong to it.
	last := first + 1
	for i := first + 1; i < len(lines); i++ {
		l := strings.TrimRight(lines[i], "\r\n")
		if l == "" || l[0] == '#' {
			continue
		}
		if !strings.ContainsRune(" \t-}]", rune(l[0])) {
			break
		}
		last = i + 1
	}
	return strings.Join(lines[:first], "") + block + strings.Join(lines[last:], "")
}
