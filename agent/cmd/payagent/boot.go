package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"payagent/agent/config"
	"payagent/agent/desired"
	"payagent/agent/service"
	"payagent/agent/signed"
	"payagent/agent/trial"
	"payagent/agent/update"
)

// exitRestart asks the service manager for a new start.
const exitRestart exitCode = service.Restart

// startedEnv tells a program that the package's program started it: as which
// version, and from which.
const startedEnv = "PAYAGENT_STARTED"

func updatesDir(dataDir string) string { return filepath.Join(dataDir, "updates") }

// self is what this program is.
func self() update.Self {
	return update.Self{Version: version, OS: runtime.GOOS, Arch: runtime.GOARCH, Cgo: builtWithCgo, Store: storeVersion}
}

// openFiles finds the configurations of the box whose file IT wrote.
func openFiles(file string) (*desired.Files, error) {
	return desired.Open(desired.Options{File: file, Clock: clocks(), Drivers: understood})
}

// understood is checkMembers but for files that a configuration names and that
// are not there now: that is no matter of which program reads it, and the start
// says it.
func understood(c config.Config) error {
	err := checkMembers(c)
	if missing := (*fs.PathError)(nil); errors.As(err, &missing) {
		return nil
	}
	return err
}

// loadConfig gives the configuration that counts: the fleet's, or the file
// itself.
func loadConfig(file string) (config.Config, error) {
	files, err := openFiles(file)
	if err != nil {
		return config.Config{}, err
	}
	e, err := files.Look()
	return e.Config, err
}

// signers are the keys of a configuration.
func signers(list []config.FleetKey) []signed.Key {
	var keys []signed.Key
	for _, k := range list {
		if public, err := k.Key(); err == nil { // Validate said what is wrong with another
			keys = append(keys, signed.Key{ID: k.ID, Roles: k.Roles, Public: public})
		}
	}
	return keys
}

// runCommand starts the newest program that is good and serves with the
// configuration that counts. What is on trial ends with 75 unless it proves
// itself, and what was before it is started then.
func runCommand(ctx context.Context, args []string, out io.Writer) error {
	o, err := parse("run", args)
	if err != nil {
		return err
	}
	files, err := openFiles(o.config)
	if err != nil {
		return err
	}
	started, base, _ := strings.Cut(os.Getenv(startedEnv), " ")
	file := baseFile(started)
	if started == "" {
		if ran, err := startNewer(ctx, files, out); ran {
			return err
		}
	} else if err := os.Unsetenv(startedEnv); err != nil {
		return err
	}
	// A new program that hangs before it knows that it is on trial ends too.
	guard := time.AfterFunc(hangs, func() { os.Exit(int(exitRestart)) })
	defer guard.Stop()
	ctx = behind(ctx, os.Stdin)
	x := &exchange{files: files, updates: update.Open(update.Options{Dir: updatesDir(files.DataDir()), Self: self(), Base: base, BaseFile: file, Started: started, Clock: files.Clock()})}
	onTrial, err := x.updates.OnTrial()
	if err != nil {
		return err
	}
	x.program = onTrial
	start := files.Start
	if onTrial != nil {
		start = files.StartOnTrial
	}
	e, notes, err := start()
	for _, n := range notes {
		_, _ = fmt.Fprintln(os.Stderr, "payagent: "+n.Error()) // the log is not open yet
	}
	if err != nil {
		return x.gaveUp(err)
	}
	x.effective, x.configuration = e, e.Trial
	x.updates = update.Open(update.Options{Dir: updatesDir(files.DataDir()), Self: self(), Base: base, BaseFile: file, Started: started, Keys: signers(e.Config.Fleet.Keys), Clock: files.Clock()})
	defer x.hold(e.Config.Fleet.Prove)()
	guard.Stop()
	return x.gaveUp(run(ctx, e.Config, out, x))
}

// hangs is how long a program may take until it serves.
const hangs = 90 * time.Second

// startNewer starts the program that is to run instead of this one. ran is
// false where this one is it.
func startNewer(ctx context.Context, files *desired.Files, out io.Writer) (ran bool, err error) {
	dir := updatesDir(files.DataDir())
	if !update.Any(dir) {
		return false, nil
	}
	say := func(err error) { _, _ = fmt.Fprintln(os.Stderr, "payagent: "+err.Error()) }
	keys, err := files.Keys()
	if err != nil {
		say(err)
		return false, nil
	}
	u := update.Open(update.Options{Dir: dir, Self: self(), Keys: signers(keys), Clock: files.Clock()})
	for {
		c, err := u.Boot()
		if err != nil {
			say(err)
		}
		if c.File == nil {
			return false, nil
		}
		env := append(os.Environ(), startedEnv+"="+c.Entry.Version+" "+version, baseFileEnv+"="+baseFile(""))
		began := time.Now()
		err = become(ctx, c.File, env, out, func() bool {
			st, err := u.State()
			return c.Trial && time.Since(began) > hangs+time.Minute && err == nil && st.Trial == c.Entry.Version
		})
		var code exitCode
		if err == nil || errors.As(err, &code) {
			return true, err
		}
		say(fmt.Errorf("cannot start version %s: %w", c.Entry.Version, err))
		if err := errors.Join(u.Unstartable(c), c.File.Close()); err != nil {
			say(err)
			return false, nil
		}
	}
}

// exchange is what of the running process is new, and what exchanges it.
type exchange struct {
	files         *desired.Files
	updates       *update.Updates
	effective     desired.Effective
	program       *trial.Trial // this program must prove itself
	configuration *trial.Trial // this configuration must
	end           func(error)  // ends the process's work; set by run
}

// hold ends the process by force where a trial hangs: neither proven nor given
// up long after it should have been.
func (x *exchange) hold(prove time.Duration) (stop func()) {
	if x.program == nil && x.configuration == nil {
		return func() {}
	}
	t := time.AfterFunc(prove+trial.Grace(prove)+45*time.Second, func() {
		if x.trying() {
			os.Exit(int(exitRestart))
		}
	})
	return func() { t.Stop() }
}

// gaveUp turns the end of a trial that was not proven into a new start without
// it. The end by a signal decides nothing: the trial goes on at the next start.
func (x *exchange) gaveUp(err error) error {
	var code exitCode
	if err == nil || errors.As(err, &code) {
		return err
	}
	var judged error
	again := false
	if x.configuration != nil && x.files.OnTrial() != nil {
		restart, jerr := x.files.Judge(trial.StartFailed, []string{err.Error()})
		again, judged = again || restart, errors.Join(judged, jerr)
	} else if t, terr := x.updates.OnTrial(); x.program != nil && t != nil && terr == nil {
		restart, jerr := x.updates.Judge(trial.StartFailed, []string{err.Error()})
		again, judged = again || restart, errors.Join(judged, jerr)
	}
	if !again {
		return errors.Join(err, judged)
	}
	_, _ = fmt.Fprintln(os.Stderr, "payagent: "+err.Error())
	return exitRestart
}

// errAgain ends the process's work for a new start.
var errAgain = errors.New("a new start was asked for")

// How long the process may take to end before it is ended by force.
const (
	endWithin  = 20 * time.Second
	backWithin = 12 * time.Second // with trial's wait for open orders under 30 s
)

// restart ends the process so that it is started again.
func (x *exchange) restart(why string) {
	within := endWithin
	if why == "rollback" {
		within = backWithin
	}
	time.AfterFunc(within, func() { os.Exit(int(exitRestart)) })
	x.end(fmt.Errorf("%w: %s", errAgain, why))
}
