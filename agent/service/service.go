// Package service is payagent as a service of the machine: its installation,
// the word with the service manager (ready, alive, stopping), and what keeps
// the machine from being switched off in the middle of a payment.
//
// It knows nothing of orders. Whoever runs the agent gives it questions to ask:
// are you alive, is an order in hand. On Linux it speaks systemd's notification
// protocol and logind's D-Bus interface, both by itself: a library for the
// latter costs 400 KB in the program. Installing, starting and stopping is
// github.com/kardianos/service with our own unit, and on Windows what that
// library leaves out.
package service

import (
	"errors"
)

// Name is the service's name on every system.
const Name = "payagent"

// What the service is called where people read it.
const (
	display     = "payagent 当面付代理"
	description = "Takes face-to-face payments at a hospital's tills 医院收费窗口、自助机当面付"
)

// Restart is the exit code that asks the service manager for a new start:
// sysexits' EX_TEMPFAIL. The manager starts anew after any end that nobody
// asked for; this one only says that it was meant.
const Restart = 75

// State is what the service manager says of the service.
type State string

// The states.
const (
	Running  State = "running"
	Starting State = "starting" // not ready yet, or waiting to be started again
	Stopped  State = "stopped"
	Failed   State = "failed"
	Missing  State = "missing" // not installed
)

// Status is the service as its manager sees it. What the manager does not tell
// is empty.
type Status struct {
	State    State
	Enabled  bool   // starts at power-on
	PID      int    // 0 where it does not run
	Restarts int    // starts by the manager since somebody started it
	Text     string // what the agent said last
	Result   string // how the last run ended, in the manager's word
	Unit     string // the file that defines the service
	Manager  string // what manages services on a Linux machine that systemd does not run, as the library calls it
}

// Options say what is installed.
type Options struct {
	Program string   // absolute path of the program
	Config  string   // absolute path of the configuration
	Paths   []string // folders that the agent writes, absolute
	Devices []string // device nodes of the configuration, absolute
}

// ErrNotInstalled is wrapped where there is no service to act on.
var ErrNotInstalled = errors.New("the service is not installed; run payagent service install first")
