//go:build lab && linux

package lab

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// row is one device and one case.
type row struct {
	set, device, name string
	got               string // what was measured, or why it failed
	failed            bool
}

// table collects the rows. Tests run one after the other.
type table struct {
	mu   sync.Mutex
	rows []row
}

var results table

// check runs one row: the error fails it, the text says what was seen.
func check(t *testing.T, set, device, name string, run func(t *testing.T) (string, error)) bool {
	return t.Run(name+"/"+device, func(t *testing.T) {
		began := time.Now()
		r := row{set: set, device: device, name: name, got: "it ended early", failed: true}
		defer func() {
			if t.Failed() {
				r.failed = true
			}
			results.mu.Lock()
			defer results.mu.Unlock()
			results.rows = append(results.rows, r)
			t.Logf("ROW %s | %s | %s | %v | %s", r.set, r.device, r.name, verdict(r.failed), r.got)
		}()
		got, err := run(t)
		r.got, r.failed = got, err != nil
		if err != nil {
			r.got = err.Error()
			t.Errorf("%v (after %v)", err, time.Since(began).Round(time.Millisecond))
		}
	})
}

// lastFailed tells whether the latest row failed.
func (s *table) lastFailed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.rows) > 0 && s.rows[len(s.rows)-1].failed
}

func verdict(failed bool) string {
	if failed {
		return "FAILED"
	}
	return "ok"
}

// print writes the table as Markdown, one per set.
func (s *table) print() {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Println("LAB-TABLE-BEGIN")
	var sets []string
	for _, r := range s.rows {
		if !slices.Contains(sets, r.set) {
			sets = append(sets, r.set)
		}
	}
	for _, set := range sets {
		fmt.Printf("### %s\n\n| device | case | result | seen |\n|---|---|---|---|\n", set)
		for _, r := range s.rows {
			if r.set == set {
				got := strings.NewReplacer("|", "/", "\n", " ").Replace(r.got)
				fmt.Printf("| %s | %s | %s | %s |\n", r.device, r.name, verdict(r.failed), got)
			}
		}
		fmt.Println()
	}
	fmt.Println("LAB-TABLE-END")
}

// TestMain prints the table behind all tests.
func TestMain(m *testing.M) {
	code := m.Run()
	results.print()
	os.Exit(code)
}

// spread says where most of the times lie.
func spread(list []time.Duration) string {
	list = slices.Clone(list)
	slices.SortFunc(list, cmp.Compare[time.Duration])
	at := func(share int) time.Duration {
		return list[min(len(list)-1, len(list)*share/100)].Round(100 * time.Microsecond)
	}
	return fmt.Sprintf("n %d, p50 %v, p99 %v, max %v", len(list), at(50), at(99), list[len(list)-1].Round(100*time.Microsecond))
}
