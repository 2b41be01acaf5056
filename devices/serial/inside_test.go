package serial

import (
	"testing"

	"go.bug.st/serial"
)

// TestMode: settings that a PTY does not keep are checked where they are made.
func TestMode(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		want serial.Mode
		bits *serial.ModemOutputBits
	}{
		{Config{}, serial.Mode{BaudRate: 9600, DataBits: 8, Parity: serial.NoParity, StopBits: serial.OneStopBit}, nil},
		{Config{Line: "7E1", Baud: 115200}, serial.Mode{BaudRate: 115200, DataBits: 7, Parity: serial.EvenParity}, nil},
		{Config{Line: "7O2"}, serial.Mode{BaudRate: 9600, DataBits: 7, Parity: serial.OddParity, StopBits: serial.TwoStopBits}, nil},
		{Config{Line: "8M1"}, serial.Mode{BaudRate: 9600, DataBits: 8, Parity: serial.MarkParity}, nil},
		{Config{Line: "5S1"}, serial.Mode{BaudRate: 9600, DataBits: 5, Parity: serial.SpaceParity}, nil},
		{Config{DTR: "off"}, serial.Mode{BaudRate: 9600, DataBits: 8}, &serial.ModemOutputBits{RTS: true}},
		{Config{DTR: "on", RTS: "off"}, serial.Mode{BaudRate: 9600, DataBits: 8}, &serial.ModemOutputBits{DTR: true}},
	} {
		c.cfg.Path = "x"
		got, err := c.cfg.mode()
		if err != nil {
			t.Fatal(err)
		}
		bits := got.InitialStatusBits
		got.InitialStatusBits = nil
		if *got != c.want {
			t.Errorf("%+v gives %+v", c.cfg, *got)
		}
		if (bits == nil) != (c.bits == nil) || bits != nil && *bits != *c.bits {
			t.Errorf("%+v gives %+v", c.cfg, bits)
		}
	}
}
