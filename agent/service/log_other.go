//go:build !windows

package service

import (
	"bytes"
	"io"
	"log/slog"
	"os"
)

// Log gives the handler back: what a service writes goes into the journal.
func Log(h slog.Handler) (slog.Handler, func() error, error) {
	return h, func() error { return nil }, nil
}

// Journal puts the level of each line before it where the lines go to systemd's
// journal, so that journalctl -p warning finds them. Each Write is one line of
// slog's JSON handler.
func Journal(w io.Writer) io.Writer {
	if os.Getenv("JOURNAL_STREAM") == "" {
		return w
	}
	return journal{w}
}

type journal struct{ w io.Writer }

// Write implements io.Writer.
func (j journal) Write(line []byte) (int, error) {
	level := "<6>"
	head := line[:min(len(line), 80)]
	switch {
	case bytes.Contains(head, []byte(`"level":"ERROR`)):
		level = "<3>"
	case bytes.Contains(head, []byte(`"level":"WARN`)):
		level = "<4>"
	case bytes.Contains(head, []byte(`"level":"DEBUG`)):
		level = "<7>"
	}
	if _, err := j.w.Write(append([]byte(level), line...)); err != nil {
		return 0, err
	}
	return len(line), nil
}
