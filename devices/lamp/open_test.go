package lamp_test

import (
	"strings"
	"testing"

	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/gpio/gpioreg"
	"periph.io/x/conn/v3/physic"

	"payagent/devices"
	"payagent/devices/lamp"
)

// header is a pin that the computer has.
type header struct {
	gpio.PinIO // what is not asked for
	pin
	number int
}

func (h *header) String() string                            { return h.name }
func (h *header) Name() string                              { return h.name }
func (h *header) Number() int                               { return h.number }
func (h *header) Function() string                          { return "Out" }
func (h *header) Halt() error                               { return nil }
func (h *header) Out(l gpio.Level) error                    { return h.b.out(h.name, l) }
func (h *header) PWM(d gpio.Duty, f physic.Frequency) error { return h.pin.PWM(d, f) }

// TestOpen: pins are found by name or alias, and no pin serves twice.
func TestOpen(t *testing.T) {
	b := newBoard()
	for i, name := range []string{"LAMPTEST_A", "LAMPTEST_B"} {
		if err := gpioreg.Register(&header{gpio.INVALID, pin{name, b}, 9001 + i}); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = gpioreg.Unregister(name) }()
	}
	if err := gpioreg.RegisterAlias("LAMPTEST_ALIAS", "LAMPTEST_A"); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = gpioreg.Unregister("LAMPTEST_ALIAS") }()

	d, err := lamp.Open(lamp.Config{Name: "lamp 3", Green: "LAMPTEST_ALIAS", Buzzer: "LAMPTEST_B"})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Show(t.Context(), devices.Screen{State: "paid"}); err != nil {
		t.Error(err)
	}
	if err := b.until(t.Context(), func() bool { return b.lit() == "LAMPTEST_A+LAMPTEST_B" }); err != nil {
		t.Fatal(err)
	}
	b.mu.Unlock()
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if b.lit() != "" {
		t.Error(b.lit())
	}
	if _, err := lamp.Open(lamp.Config{Name: "lamp 3", Green: "LAMPTEST_ALIAS", Red: "LAMPTEST_A"}); err == nil || !strings.Contains(err.Error(), "both red and green") {
		t.Error(err)
	}
	if _, err := lamp.Open(lamp.Config{Name: "lamp 3", Green: "LAMPTEST_C"}); err == nil || !strings.Contains(err.Error(), " to LAMPTEST_B") {
		t.Error(err)
	}
}
