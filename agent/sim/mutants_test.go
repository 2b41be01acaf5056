package sim

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// edit replaces a snippet that stands in the file exactly once.
type edit struct{ file, old, new string }

// mutant is one broken rule. The simulation must notice it by the invariant
// that names the rule; where several say the same, any of them.
type mutant struct {
	id, rule string
	want     []string
	edits    []edit
}

// maxMutantRuns bounds the random schedules that one mutant may survive.
const maxMutantRuns = 5_000

// TestMutants builds the simulation once per broken rule and prints what
// caught it.
func TestMutants(t *testing.T) {
	if os.Getenv("SIM_MUTANT") != "" || *flagSeed >= 0 {
		t.Skip("not inside itself")
	}
	if testing.Short() {
		t.Skip("builds a program per mutant")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	all := mutants()
	if len(all) < 25 {
		t.Fatalf("only %d mutants", len(all))
	}
	list := slices.DeleteFunc(slices.Clone(all), func(m mutant) bool { return *flagMutant != "" && m.id != *flagMutant })
	lines := make([]string, len(list))
	var mu sync.Mutex
	begin := time.Now()
	workers(len(list), func(i int) bool {
		m := list[i]
		line, err := tryMutant(t, root, m)
		mu.Lock()
		defer mu.Unlock()
		lines[i] = fmt.Sprintf("%-4s %-58s %-14s %s", m.id, m.rule, strings.Join(m.want, "|"), line)
		if err != nil {
			t.Errorf("%s (%s): %v", m.id, m.rule, err)
		}
		return false
	})
	t.Logf("%d mutants in %s\n%-4s %-58s %-14s %s\n%s", len(list), time.Since(begin).Round(time.Second),
		"", "rule broken", "invariant", "caught by, runs needed", strings.Join(lines, "\n"))
	everyInvariantHasAMutant(t, all)
}

func everyInvariantHasAMutant(t *testing.T, list []mutant) {
	for _, name := range []string{"ORD-11", "ORD-12", "ORD-19", "SEC-06", "I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I9", "I10", "I11", "I15", "I16", "I17", "I21", "I22",
		"DEV-01", "DEV-05", "DEV-14", "DEV-18", "DEV-20", "PAY-03", "PAY-08", "PAY-15", "PAY-16", "PAY-17", "PAY-21", "ORD-09", "ORD-20", "OFF-09", "TILL"} {
		if !slices.ContainsFunc(list, func(m mutant) bool { return slices.Contains(m.want, name) }) {
			t.Errorf("no mutant would notice that the checker of %s is gone", name)
		}
	}
}

// overlay writes the broken files and the map that go build wants.
func overlay(root, dir string, m mutant) (string, error) {
	text := map[string]string{}
	for _, e := range m.edits {
		path := filepath.Join(root, e.file)
		if text[path] == "" {
			data, err := os.ReadFile(path)
			if err != nil {
				return "", err
			}
			text[path] = string(data)
		}
		if n := strings.Count(text[path], e.old); n != 1 {
			return "", fmt.Errorf("its snippet stands %d times in %s: %q; bring the mutant up to date", n, e.file, e.old)
		}
		text[path] = strings.Replace(text[path], e.old, e.new, 1)
	}
	replace := map[string]string{}
	n := 0
	for path, body := range text {
		n++
		to := filepath.Join(dir, strconv.Itoa(n)+".go")
		if err := os.WriteFile(to, []byte(body), 0o600); err != nil {
			return "", err
		}
		replace[path] = to
	}
	data, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "overlay.json")
	return file, os.WriteFile(file, data, 0o600)
}

func tryMutant(t *testing.T, root string, m mutant) (string, error) {
	dir := t.TempDir()
	over, err := overlay(root, dir, m)
	if err != nil {
		return "not built", err
	}
	ctx, stop := context.WithTimeout(context.Background(), 5*time.Minute)
	defer stop()
	bin := filepath.Join(dir, "sim.test")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-ldflags=-s -w", "-overlay", over, "-o", bin, "./agent/sim")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return "not built", fmt.Errorf("%w: %s", err, out)
	}
	run := exec.CommandContext(ctx, bin, "-test.run=^TestMutantChild$", "-test.v")
	run.Dir = dir
	run.Env = append(os.Environ(), "SIM_MUTANT="+strings.Join(m.want, ","))
	out, err := run.CombinedOutput()
	_ = os.Remove(bin)
	s := bufio.NewScanner(strings.NewReader(string(out)))
	for s.Scan() {
		if line, ok := strings.CutPrefix(s.Text(), "CAUGHT "); ok {
			return line, nil
		}
	}
	if err != nil {
		return "crashed", fmt.Errorf("%w: %s", err, last(string(out), 600))
	}
	return "SURVIVED", fmt.Errorf("it survived: %s", last(string(out), 300))
}

func last(s string, n int) string {
	if len(s) > n {
		return s[len(s)-n:]
	}
	return s
}

// TestMutantChild is the simulation as a mutant's program runs it: the flows,
// then random schedules, then the crash points of the flows, until the wanted
// invariant breaks.
func TestMutantChild(t *testing.T) {
	want := os.Getenv("SIM_MUTANT")
	if want == "" {
		t.Skip("run by TestMutants")
	}
	names := strings.Split(want, ",")
	first := ""
	runs := 0
	caught := func(where string, found []Violation) bool {
		runs++
		for _, v := range found {
			if first == "" {
				first = v.Name
			}
			if slices.Contains(names, v.Name) {
				fmt.Printf("CAUGHT %s, %s, run %d (first broken: %s)\n", v.Name, where, runs, first)
				return true
			}
		}
		return false
	}
	for _, f := range Flows() {
		w := runFlow(f, nil, nil)
		if caught("flow "+f.Name, w.check.found) {
			return
		}
		if slices.Contains(names, "I15") && runFlow(f, nil, func(p *Plan) { p.Wall = 2 }).hash != w.hash {
			caught("flow "+f.Name+", other clock", []Violation{{Name: "I15"}})
			return
		}
	}
	for i := range maxMutantRuns {
		seed := uint64(1 + i)
		if caught(fmt.Sprint("seed ", seed), runSeed(seed, nil, 0, nil).found) {
			return
		}
	}
	for _, f := range Flows() {
		for _, points := range crashRuns(min(runFlow(f, nil, nil).commits, writesPerFlow)) {
			if caught("flow "+f.Name+" with "+where(points), runFlow(f, points, nil).check.found) {
				return
			}
		}
	}
	t.Errorf("survived %d runs; first broken: %q", runs, first)
}

// TestMutantsFit keeps the table up to date with the source without building.
func TestMutantsFit(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range mutants() {
		if seen[m.id] {
			t.Errorf("two mutants %s", m.id)
		}
		seen[m.id] = true
		if _, err := overlay("../..", t.TempDir(), m); err != nil {
			t.Errorf("%s: %v", m.id, err)
		}
	}
}

var flagMutant = flag.String("mutant", "", "only this mutant of the table")
