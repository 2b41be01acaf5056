package main

import "fmt"

// planPins refuses displays on a board's own pins: Windows gives no program an
// I²C or SPI bus or a GPIO line, and the program is a fifth of a megabyte
// smaller without their font and drivers.
func planPins(p *displayPlan) error {
	return fmt.Errorf("cannot drive a %s on Windows, which has no I²C, SPI or GPIO for it; use pole or voice, or connect it to a board with Linux", p.conf.Driver)
}
