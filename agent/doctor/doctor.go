// Package doctor looks whether a box can take payments and whoever keeps it
// can sleep: configuration, disk, clock, network, platforms, scanners,
// certificates, the service. Every check says what it found and what cures it,
// in Chinese and English. Nothing is changed, nothing is charged; the disk's
// speed is measured with a file that has no name where the system can do that.
//
// Checks are small functions over a [Subject], which gives them the machine
// and the members as functions: tests put a broken one in its place.
package doctor

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"payagent/agent/words"
)

// The levels of a finding, from the best to the worst.
const (
	OK      = "ok"
	Skipped = "skipped" // could not or need not be looked at; Found says why
	Warn    = "warn"    // works, and should be put right
	Fail    = "fail"    // payments do not work, or are not safe
)

// The groups of checks, in the order in which they are done.
const (
	GroupConfig  = "config"
	GroupDisk    = "disk"
	GroupService = "service"
	GroupClock   = "clock"
	GroupNet     = "net"
	GroupDevices = "devices"
	GroupAdvice  = "advice"
)

// Finding is what one check found about one thing.
type Finding struct {
	_     [0]func()  // never compared: no code is made for it
	ID    string     `json:"id"`
	Group string     `json:"group"`
	About string     `json:"about,omitempty"` // platform, device, listener, file
	Level string     `json:"level"`
	Found words.Text `json:"found"`
	Cure  words.Text `json:"cure"` // empty at ok
	Call  words.Text `json:"call"` // who can put it right; net only
}

// Check is one check.
type Check struct {
	ID    string
	Group string
	// Title says what is looked at.
	Title words.Text
	// Cure is what to do unless a finding says something closer.
	Cure words.Text
	// Call is who to call; net only.
	Call words.Text
	// Fails tells that it can end as fail; otherwise it warns at most.
	Fails bool
	do    func(ctx context.Context, s *Subject, r *report)
}

// report collects the findings of one check.
type report struct {
	check    Check
	list     []Finding
	unusable bool // the configuration kept it from looking
}

func (r *report) add(level, about string, found, cure words.Text) {
	f := Finding{ID: r.check.ID, Group: r.check.Group, About: about, Level: level, Found: found}
	if level == Warn || level == Fail {
		f.Cure, f.Call = r.check.Cure, r.check.Call
		if !cure.Empty() {
			f.Cure = cure
		}
	}
	r.list = append(r.list, f)
}

func (r *report) ok(about string, found words.Text)      { r.add(OK, about, found, words.Text{}) }
func (r *report) skipped(about string, found words.Text) { r.add(Skipped, about, found, words.Text{}) }
func (r *report) warn(about string, found words.Text, cure ...words.Text) {
	r.add(Warn, about, found, first(cure))
}
func (r *report) fail(about string, found words.Text, cure ...words.Text) {
	r.add(Fail, about, found, first(cure))
}

func first(list []words.Text) words.Text {
	if len(list) > 0 {
		return list[0]
	}
	return words.Text{}
}

// say makes a sentence in both languages of the same values.
func say(zh, en string, args ...any) words.Text {
	if len(args) == 0 {
		return words.Text{ZH: zh, EN: en}
	}
	return words.Text{ZH: fmt.Sprintf(zh, args...), EN: fmt.Sprintf(en, args...)}
}

// idConfig is the first check: others look at nothing where it fails.
const idConfig = "config.valid"

// Checks lists all of them in order.
func Checks() []Check {
	return slices.Concat(configChecks(), diskChecks(), serviceChecks(), clockChecks(), netChecks(), deviceChecks(), adviceChecks())
}

// Result is everything that was found.
type Result struct {
	Version  string    `json:"version"`
	At       time.Time `json:"at"`
	File     string    `json:"config"`
	Running  bool      `json:"agent_running"`
	Worst    string    `json:"worst"`
	Findings []Finding `json:"findings"`
}

// ExitCode is 0 when all is well, 1 after a warning, 2 after a failure.
func (r Result) ExitCode() int {
	switch r.Worst {
	case Fail:
		return 2
	case Warn:
		return 1
	}
	return 0
}

// atOnce is how many checks run beside each other: most of them wait for a
// network that may be away.
const atOnce = 8

// Patience bounds one check.
const Patience = 15 * time.Second

// Run does the checks that are wanted (all where only is empty: a check's id
// or a group). ok is false where only names nothing.
func Run(ctx context.Context, s *Subject, only string) (_ Result, ok bool) {
	var todo []Check
	for _, c := range Checks() {
		if only == "" || only == c.ID || only == c.Group {
			todo = append(todo, c)
		}
	}
	if len(todo) == 0 {
		return Result{}, false
	}
	reports := make([]report, len(todo))
	places := make(chan struct{}, atOnce)
	var group sync.WaitGroup
	for i, c := range todo {
		reports[i].check = c
		places <- struct{}{}
		group.Go(func() {
			defer func() { <-places }()
			ctx, stop := context.WithTimeout(ctx, Patience)
			defer stop()
			c.do(ctx, s, &reports[i])
		})
	}
	group.Wait()
	if slices.ContainsFunc(reports, func(r report) bool { return r.unusable }) && todo[0].ID != idConfig {
		why := report{check: Checks()[0]}
		checkConfig(ctx, s, &why)
		reports = append([]report{why}, reports...)
	}
	out := Result{Version: s.Version, At: s.System.Now(), File: s.File, Running: s.Running, Worst: OK}
	for _, r := range reports {
		for _, f := range r.list {
			if rank(f.Level) > rank(out.Worst) {
				out.Worst = f.Level
			}
			out.Findings = append(out.Findings, f)
		}
	}
	if out.Worst == Skipped {
		out.Worst = OK
	}
	return out, true
}

func rank(level string) int { return slices.Index([]string{OK, Skipped, Warn, Fail}, level) }
