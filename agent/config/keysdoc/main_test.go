package main

import (
	"os"
	"testing"
)

// The list in the repository is the one that the code would print today.
func TestListIsCurrent(t *testing.T) {
	want, err := markdown("..")
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../KEYS.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("KEYS.md is out of date; run go generate ./agent/config")
	}
}

func TestFieldWithoutComment(t *testing.T) {
	if _, err := markdown("."); err == nil {
		t.Error("keys without a comment were listed")
	}
}
