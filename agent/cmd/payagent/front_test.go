package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

// TestMainBehind is no test of its own: it is the program behind TestFront.
func TestMainBehind(t *testing.T) {
	what := os.Getenv("PAYAGENT_TEST_BEHIND")
	if what == "" {
		return
	}
	ctx := behind(context.Background(), os.Stdin)
	if os.Getenv(frontEnv) != "" {
		os.Exit(9)
	}
	_, _ = io.WriteString(os.Stdout, "here\n")
	switch what {
	case "stop":
		<-ctx.Done()
		os.Exit(0)
	case "hang":
		select {}
	case "crash":
		os.Exit(4)
	}
	os.Exit(0)
}

// waitFor ends the context when a text was written.
type waitFor struct {
	b    bytes.Buffer
	stop func()
}

func (w *waitFor) Write(p []byte) (int, error) {
	defer func() {
		if strings.Contains(w.b.String(), "here") {
			w.stop()
		}
	}()
	return w.b.Write(p)
}

// TestFront: the program in front ends as the one behind it does, stops it when
// it is stopped itself, and ends one that hangs.
func TestFront(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := os.Args
	os.Args = []string{program, "-test.run=TestMainBehind$"}
	defer func() { os.Args = args }()
	never := func() bool { return false }
	for what, want := range map[string]error{"end": exitRestart, "crash": exitCode(4), "stop": nil, "hang": exitCode(1)} {
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		var out io.Writer = io.Discard
		hung := never
		switch what {
		case "stop":
			out = &waitFor{stop: stop}
		case "hang":
			hung = func() bool { return true }
		}
		err := front(ctx, program, append(os.Environ(), "PAYAGENT_TEST_BEHIND="+what), out, hung)
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
		stop()
	}
	var code exitCode
	if err := front(t.Context(), "/none/such", nil, io.Discard, never); err == nil || errors.As(err, &code) {
		t.Error(err)
	}
}
