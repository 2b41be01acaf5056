package config

import (
	"fmt"
	"sort"
	"strings"
)

// Problem is one thing wrong with the configuration.
type Problem struct {
	Line   int    // from 1; 0 if the value is not in the file
	Key    string // path of the key, e.g. "tills[0].device_no"; empty for the file as a whole
	Reason string // what is wrong and what to do
}

// String writes the problem on one line.
func (p Problem) String() string {
	var b strings.Builder
	if p.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", p.Line)
	}
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Reason)
	return b.String()
}

// Error is what Load, Parse, Validate and Options.Decode return: every problem
// found, in the order of the file.
type Error struct {
	File     string // as named by the caller
	Problems []Problem
}

// Error writes a heading and one line per problem.
func (e *Error) Error() string {
	var b strings.Builder
	name := e.File
	if name == "" {
		name = "given"
	}
	noun := "problems"
	if len(e.Problems) == 1 {
		noun = "problem"
	}
	fmt.Fprintf(&b, "cannot use the configuration %s: correct %d %s", name, len(e.Problems), noun)
	for _, p := range e.Problems {
		b.WriteString("\n  " + p.String())
	}
	return b.String()
}

// maxProblems keeps the report of a thoroughly wrong file readable.
const maxProblems = 100

type problems struct {
	list []Problem
	more bool
}

func (p *problems) add(line int, key, reason string) {
	if len(p.list) >= maxProblems {
		p.more = true
		return
	}
	for _, q := range p.list {
		if q.Line == line && q.Key == key && q.Reason == reason {
			return
		}
	}
	p.list = append(p.list, Problem{Line: line, Key: clip(key), Reason: reason})
}

func (p *problems) err(file string) error {
	if len(p.list) == 0 {
		return nil
	}
	list := append([]Problem(nil), p.list...)
	sort.SliceStable(list, func(i, j int) bool { return list[i].Line < list[j].Line })
	if p.more {
		list = append(list, Problem{Reason: "there are more; correct these first"})
	}
	return &Error{File: file, Problems: list}
}

// clip keeps a hostile key or value from filling a screen.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && s[cut]&0xC0 == 0x80 {
		cut--
	}
	return s[:cut] + "…"
}

// nearest gives the known key that a misspelt one probably means, or "".
func nearest(key string, known []string) string {
	best, dist := "", len(key)/3+1
	k := strings.ToLower(strings.ReplaceAll(key, "-", "_"))
	for _, c := range known {
		if d := distance(k, strings.ToLower(c)); d < dist {
			best, dist = c, d
		}
	}
	return best
}

// distance counts the edits (insert, delete, replace, swap neighbours) between
// two short words.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	if len(x) > 64 || len(y) > 64 {
		return 1 << 20
	}
	prev2, prev := make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(x); i++ {
		cur := make([]int, len(y)+1)
		cur[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev = prev, cur
	}
	return prev[len(y)]
}
