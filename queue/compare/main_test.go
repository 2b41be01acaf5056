package main

import "testing"

// TestRun checks that every store can be measured; the figures are for people.
func TestRun(t *testing.T) {
	if err := run(t.TempDir(), 1, 3); err != nil {
		t.Fatal(err)
	}
}
