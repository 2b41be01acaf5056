package main

import (
	"context"
	"os"
	"slices"
	"strings"
	"time"

	"payagent/agent/config"
	"payagent/agent/trial"
	"payagent/agent/update"
	"payagent/agent/words"
)

// alarmGone says that a virus scanner, or whoever, took a program of ours.
const alarmGone = trial.Gone

// baseFileEnv tells a program that the package's program started where that
// lies, which nothing else of it can be asked.
const baseFileEnv = "PAYAGENT_BASE_FILE"

// baseFile is where the package's program lies; empty where that is not known.
func baseFile(started string) string {
	if started != "" {
		file := os.Getenv(baseFileEnv)
		_ = os.Unsetenv(baseFileEnv) // what we start is started by us
		return file
	}
	file, err := os.Executable()
	if err != nil {
		return ""
	}
	// Linux tells of a running program whose file was taken by a word behind it.
	return strings.TrimSuffix(file, " (deleted)")
}

// goneEvery is how often it is looked whether the programs are there.
const goneEvery = time.Minute

// missed lists the programs that are away: those that are needed still, and the
// one whose loss ended its use.
func missed(u *update.Updates) ([]string, error) {
	list, err := u.Gone()
	if err != nil {
		return list, err
	}
	st, err := u.State()
	if err == nil && st.Last != nil && st.Last.Reason == trial.Gone && !slices.Contains(list, st.Last.Version) {
		list = append(list, st.Last.Version)
	}
	return list, err
}

// keepPrograms looks for the programs until ctx ends.
func (b *assembly) keepPrograms(x *exchange) {
	b.beside = append(b.beside, func(ctx context.Context) error {
		tick := time.NewTicker(goneEvery)
		defer tick.Stop()
		var told []string
		for {
			told = b.lookGone(x, told)
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
		}
	})
}

// lookGone says in the log which programs are found away that were not told
// before. The alarm is among those that last (lasting).
func (b *assembly) lookGone(x *exchange, told []string) []string {
	list, err := missed(x.updates)
	if err != nil {
		b.log.Error("the state of updates cannot be read", "error", err)
	}
	for _, name := range list {
		if !slices.Contains(told, name) {
			b.log.Error("a program of ours is away or cannot be opened; a virus scanner does that: look at its quarantine and except the folders", "version", name, "folder", updatesDir(x.files.DataDir()))
		}
	}
	b.gone.Store(&list)
	return list
}

// lookForPrograms says which programs are away; empty for none.
func lookForPrograms(c config.Config) (words.Text, error) {
	list, err := missed(update.Open(update.Options{Dir: updatesDir(c.DataDir), Self: self(), BaseFile: baseFile("")}))
	if len(list) == 0 || err != nil {
		return words.Text{}, err
	}
	names := strings.Join(list, ", ")
	return words.Text{ZH: "program_gone：程序文件不在或打不开，多半被杀毒软件隔离：" + names, EN: "program_gone: programs are away or cannot be opened, as after a virus scanner: " + names}, nil
}
