package service

import (
	"errors"
	"os/exec"
	"testing"

	kardianos "github.com/kardianos/service"
)

// scripted is a service of the library whose manager says what a test wants.
type scripted struct {
	kardianos.Service
	status kardianos.Status
	err    error
}

func (scripted) Platform() string                    { return "unix-systemv" }
func (s scripted) Status() (kardianos.Status, error) { return s.status, s.err }

// On a machine without systemd the manager's exit code is all there is: a
// service that is not there is not asked for, one that does not run has stopped.
func TestLookWithoutSystemd(t *testing.T) {
	exit := exec.Command("false").Run()
	for name, c := range map[string]struct {
		service   scripted
		installed bool
		want      State // "" for an error
	}{
		"not installed":     {scripted{err: exit}, false, Missing},
		"unknown to it":     {scripted{err: kardianos.ErrNotInstalled}, true, Missing},
		"stopped by code":   {scripted{err: exit}, true, Stopped},
		"stopped":           {scripted{status: kardianos.StatusStopped}, true, Stopped},
		"running":           {scripted{status: kardianos.StatusRunning}, true, Running},
		"no such a manager": {scripted{err: errors.New("executable file not found")}, true, ""},
	} {
		got, err := lookOther(c.service, c.installed)
		if (err != nil) != (c.want == "") || got.State != c.want || err == nil && got.Manager != "unix-systemv" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}
