package wedge

import (
	"errors"
	"fmt"
)

// board is what taking a keyboard needs of it.
type board interface {
	// Held tells whether any key is down.
	Held() (bool, error)
	// Grab takes the keyboard away from everybody else, or gives it back. It
	// gives errTaken if another program has it.
	Grab(on bool) error
}

var (
	errTaken = errors.New("another program has taken this keyboard for itself; stop that one (a second agent)")
	errHeld  = errors.New("a key of it is held down; let it go, or look whether it is stuck")
)

// take grabs a keyboard when no key is down. A key that is down at that moment
// would stay down for whoever read the keyboard so far, and repeat without end.
// wait gives false when it has been waited long enough.
func take(b board, wait func() bool) error {
	for {
		down, err := b.Held()
		if err != nil {
			return fmt.Errorf("cannot ask which keys are down: %w", err)
		}
		if !down {
			if err := b.Grab(true); err != nil {
				return err
			}
			// One may have gone down in between: then its release belongs to
			// the others too.
			if down, err = b.Held(); err == nil && !down {
				return nil
			}
			if err := errors.Join(err, b.Grab(false)); err != nil {
				return fmt.Errorf("cannot take the keyboard: %w", err)
			}
		}
		if !wait() {
			return errHeld
		}
	}
}
