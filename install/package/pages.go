package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
)

// helps are the commands of a program whose help says more than the overview.
func helps(name string) [][]string {
	if name == "payagent" {
		return [][]string{{"help"}, {"devices", "--help"}, {"report", "--help"}, {"pay", "--help"}}
	}
	return [][]string{{"help"}}
}

// pages writes man pages and completions from what the programs themselves say.
func (r *release) pages() error {
	for name, title := range map[string]string{
		"payagent": "face-to-face payments at hospital tills 当面付代理",
		"payfleet": "shows and manages the boxes of one or many hospitals 收费终端的集中管理",
	} {
		var texts []string
		for _, args := range helps(name) {
			out, err := exec.Command(r.runnable(name), args...).CombinedOutput()
			if err != nil && len(out) == 0 {
				return fmt.Errorf("cannot ask %s for its help: %w", name, err)
			}
			texts = append(texts, string(out))
		}
		packed, err := zipped(r.man(name, title, texts))
		if err != nil {
			return err
		}
		if _, err := r.staged("man/"+name+".1.gz", packed); err != nil {
			return err
		}
		if _, err := r.staged("completion/"+name, completion(name, texts[0])); err != nil {
			return err
		}
	}
	return nil
}

// man is a manual page around the texts, which stand as they are.
func (r *release) man(name, title string, texts []string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, ".TH %s 1 \"%s\" \"%s %s\" \"User Commands\"\n", strings.ToUpper(name), r.when.Format("2006-01-02"), name, r.version)
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n.SH SYNOPSIS\n.B %s\n.I command\n.RI [ flags ]\n", name, roff(title), name)
	for i, t := range texts {
		heading := "COMMANDS"
		if i > 0 {
			heading = "MORE COMMANDS"
		}
		if i < 2 {
			fmt.Fprintf(&b, ".SH %s\n", heading)
		}
		fmt.Fprintf(&b, ".nf\n%s\n.fi\n", roff(strings.TrimRight(t, "\n")))
	}
	if name == "payagent" {
		b.WriteString(`.SH FILES
.TP
.I /etc/payagent/payagent.yaml
the configuration 配置
.TP
.I /usr/share/payagent/profiles
configurations to begin with, one per kind of hardware 各硬件的起始配置
.TP
.I /var/lib/payagent
orders, keys and tokens; never removed with the package 订单、密钥、令牌，卸载时保留
.SH SEE ALSO
.BR payfleet (1),
.BR systemctl (1)
`)
	}
	return b.Bytes()
}

// roff writes text so that it stays as it is.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(s)
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") || strings.HasPrefix(l, "'") {
			lines[i] = `\&` + l
		}
	}
	return strings.Join(lines, "\n")
}

// completion completes the first two words of a command.
func completion(name, help string) []byte {
	second := map[string][]string{}
	var first []string
	word := regexp.MustCompile(`^[a-z][a-z|-]*$`)
	for _, line := range strings.Split(help, "\n") {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != name || !word.MatchString(fields[1]) {
			continue
		}
		for _, verb := range strings.Split(fields[1], "|") {
			if !slices.Contains(first, verb) {
				first = append(first, verb)
			}
			// What follows in the next column by one or more blanks is prose
			// where it is not a word of commands.
			if len(fields) > 2 && word.MatchString(fields[2]) && regexp.MustCompile(`^\s+`+name+`\s+\S+\s+`+regexp.QuoteMeta(fields[2])+`(\s+--|\s{2,}|\s+[A-Z\[]|$)`).MatchString(line) {
				second[verb] = append(second[verb], strings.Split(fields[2], "|")...)
			}
		}
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "# bash completion for %s\n_%s() {\n\tlocal word=${COMP_WORDS[COMP_CWORD]}\n\tCOMPREPLY=()\n", name, name)
	fmt.Fprintf(&b, "\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n\t\tCOMPREPLY=($(compgen -W '%s' -- \"$word\"))\n\t\treturn\n\tfi\n", strings.Join(first, " "))
	fmt.Fprintf(&b, "\tif [ \"$COMP_CWORD\" -eq 2 ]; then\n\t\tcase ${COMP_WORDS[1]} in\n")
	for _, verb := range first {
		if words := second[verb]; len(words) > 0 {
			fmt.Fprintf(&b, "\t\t%s) COMPREPLY=($(compgen -W '%s' -- \"$word\")) ;;\n", verb, strings.Join(words, " "))
		}
	}
	b.WriteString("\t\tesac\n\tfi\n}\n")
	fmt.Fprintf(&b, "complete -o bashdefault -o default -F _%s %s\n", name, name)
	return b.Bytes()
}
