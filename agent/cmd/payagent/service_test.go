package main

import (
	"errors"
	"strings"
	"testing"

	"payagent/agent/service"
	"payagent/agent/words"
)

// payagent service --help prints what there is; a mistake prints it behind the
// mistake.
func TestServiceUsage(t *testing.T) {
	for _, c := range []struct {
		line  string
		usage bool
	}{
		{"--help", false}, {"-h", false}, {"help", false}, {"status --help", false}, {"install --help", false}, {"install -h", false},
		{"", true}, {"bogus", true}, {"status now", true}, {"start --config x", true},
	} {
		var out strings.Builder
		err := serviceCommand(strings.Fields(c.line), &out)
		said := out.String()
		if c.usage != errors.Is(err, errUsage) || !c.usage && err != nil {
			t.Errorf("service %s: %v", c.line, err)
		}
		if c.usage {
			said = err.Error()
		}
		if !strings.Contains(said, serviceUsage) || strings.Contains(said, usage) {
			t.Errorf("service %s prints %q", c.line, said)
		}
	}
}

// What status says and ends with.
func TestServiceStatus(t *testing.T) {
	for _, c := range []struct {
		status service.Status
		code   error
		says   []string
		not    string
		away   words.Text
	}{
		{service.Status{State: service.Running, PID: 7, Enabled: true}, nil, []string{"running, pid 7", "是 yes"}, "program_gone", words.Text{}},
		{service.Status{State: service.Stopped}, codeStopped, []string{"stopped", "否 no"}, "systemd", words.Text{}},
		{service.Status{State: service.Failed, Result: "watchdog", Restarts: 3}, codeFailed, []string{"failed", "watchdog", ": 3"}, "systemd", words.Text{}},
		{service.Status{State: service.Missing}, codeMissing, []string{"not installed"}, "power-on", words.Text{}},
		{service.Status{State: service.Missing, Manager: "unix-systemv"}, codeMissing, []string{"not installed", "unix-systemv", "systemd does not run this machine", "payagent run"}, "power-on", words.Text{}},
		{service.Status{State: service.Stopped, Manager: "linux-openrc"}, codeStopped, []string{"stopped", "linux-openrc"}, "power-on", words.Text{}},
		{service.Status{State: service.Running}, nil, []string{"running", "program_gone: 1.4.0"}, "systemd", words.Text{EN: "program_gone: 1.4.0"}},
	} {
		var out strings.Builder
		if err := tellStatus(c.status, c.away, &out); !errors.Is(err, c.code) {
			t.Errorf("%+v ends with %v", c.status, err)
		}
		for _, want := range c.says {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%+v: %q lacks %q", c.status, out.String(), want)
			}
		}
		if strings.Contains(out.String(), c.not) {
			t.Errorf("%+v: %q says %q", c.status, out.String(), c.not)
		}
	}
}
