package service

import kardianos "github.com/kardianos/service"

// outside is what the library is given to run: nothing. The agent is run by
// Run; the library installs, starts and stops.
type outside struct{}

// Start does nothing.
func (outside) Start(kardianos.Service) error { return nil }

// Stop does nothing.
func (outside) Stop(kardianos.Service) error { return nil }
