// Package machine tells what the box is: kernel, memory, when it was switched
// on, how worn its flash is, whether its clock is kept by a time server. What a
// system does not tell is left empty; nothing here is an error.
package machine

import "time"

// Facts are what is known of the machine.
type Facts struct {
	_      [0]func() // never compared: no code is made for it
	OS     string    `json:"os"`   // as Go names it
	Arch   string    `json:"arch"` // the same
	Kernel string    `json:"kernel,omitempty"`
	System string    `json:"system,omitempty"` // the distribution, e.g. Debian GNU/Linux 12 (bookworm)
	Model  string    `json:"model,omitempty"`  // the board or PC
	Booted time.Time `json:"booted,omitzero"`
	Memory uint64    `json:"memory_bytes,omitempty"`
	CPUs   int       `json:"cpus"`
}

// Wear is how much of a flash disk's life is used.
type Wear struct {
	Device string `json:"device,omitempty"` // e.g. mmcblk0
	// Percent of the life that is used, in steps of ten for eMMC and UFS; -1 where the
	// disk does not tell.
	Percent int `json:"used_percent"`
	// State is normal, warning or urgent, by the disk's own reserve of blocks;
	// empty where it does not tell.
	State string `json:"state,omitempty"`
}

// Clock is how the machine's clock is kept.
type Clock struct {
	// Synced tells that a time server keeps it; nil where the system does not
	// tell.
	Synced *bool `json:"synced,omitempty"`
	// ErrorS is the largest error that the system knows of, in seconds.
	ErrorS float64 `json:"max_error_s,omitempty"`
}
