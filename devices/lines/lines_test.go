package lines_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"payagent/devices"
	"payagent/devices/devicetest"
	"payagent/devices/lines"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type wire struct {
	*io.PipeWriter
}

func (w *wire) Unplug() error { return w.Close() }

func TestSuite(t *testing.T) {
	devicetest.TestScanner(t, devicetest.ScannerMember{Open: func() (devices.Scanner, devicetest.Wire, error) {
		r, w := io.Pipe()
		s, err := lines.New(devicetest.Name, r)
		return s, &wire{PipeWriter: w}, err
	}})
}

// TestEnd: the end of the stream is a device that is gone, after its codes.
func TestEnd(t *testing.T) {
	s, err := lines.New("stdin", strings.NewReader("134567890123456789\n\nhalf"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Scan(t.Context())
	if err != nil || got.Text.Reveal() != "134567890123456789" || got.Device != "stdin" {
		t.Fatalf("%v %v", got, err)
	}
	if _, err := s.Scan(t.Context()); !errors.Is(err, devices.ErrGone) || !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
