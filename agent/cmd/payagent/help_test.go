package main

import (
	"bytes"
	"strings"
	"testing"
)

// TestHelp: whoever asks what a command is for is told, and nothing is done.
func TestHelp(t *testing.T) {
	t.Parallel()
	n := 0
	for line := range strings.Lines(usage) {
		words, ok := strings.CutPrefix(line, "  payagent ")
		if !ok {
			continue
		}
		first, rest, _ := strings.Cut(words, " ")
		second, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
		second, _, _ = strings.Cut(second, "|")
		for name := range strings.SplitSeq(first, "|") {
			asked := [][]string{{name, "--help"}, {name, "-h"}, {name, "--config", "nowhere", "--help"}}
			if second != "" && strings.Trim(second, "abcdefghijklmnopqrstuvwxyz") == "" {
				asked = append(asked, []string{name, second, "--help"})
			}
			for _, args := range asked {
				var out bytes.Buffer
				if err := command(t.Context(), args, &out); err != nil || !strings.Contains(out.String(), "payagent ") {
					t.Errorf("%s: %v %q", args, err, out.String())
				}
				n++
			}
		}
	}
	if n < 60 {
		t.Errorf("only %d commands were found", n)
	}
}
