//go:build unix

package voice_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"payagent/devices"
	"payagent/devices/voice"
)

// TestScript: a script around the program ends with the program.
func TestScript(t *testing.T) {
	a := newAudience(t)
	a.Stall()
	script := filepath.Join(t.TempDir(), "speak")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n\""+program(t)+"\" \"$@\"\nexit 0\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	v := open(t, voice.Config{Command: script})
	say(t, v, devices.Screen{State: "waiting", Speech: "一"})
	a.wait("the text", func() bool { return len(a.began) == 1 })
	if err := v.Close(); err != nil {
		t.Error(err)
	}
	a.wait("the end", func() bool { return slices.Equal(a.cut, []string{"一"}) })
}
