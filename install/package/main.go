// Command package turns the programs of a release into what people install:
// Debian and RPM packages, a zip and a set-up for Windows, with man pages,
// completion, the notices of everything that is linked in, and an SBOM.
//
// It is a module of its own, so that what it needs reaches no program.
// .ci/release runs it; see there for what it is given.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// release is one run of the command.
type release struct {
	version  string
	when     time.Time // written into every file of every package
	programs string    // the folder with the programs, and where the results go
	stage    string    // a folder for what is needed on the way
	source   string    // the root of the source
	kinds    []string  // deb, rpm, windows
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "package: "+err.Error())
		os.Exit(1)
	}
}

func run(args []string) error {
	var r release
	var epoch int64
	f := flag.NewFlagSet("package", flag.ContinueOnError)
	f.StringVar(&r.version, "version", "", "version, as in 1.4.0 or 1.5.0-rc.1")
	f.Int64Var(&epoch, "epoch", 0, "time of the source, Unix seconds")
	f.StringVar(&r.programs, "programs", "", "folder with the programs; the results go there")
	f.StringVar(&r.stage, "stage", "", "folder for what is needed on the way")
	f.StringVar(&r.source, "source", "", "root of the source")
	kinds := f.String("kinds", "deb,rpm,windows", "what to make of the programs")
	if err := f.Parse(args); err != nil {
		return err
	}
	if r.version == "" || epoch <= 0 || r.programs == "" || r.stage == "" || r.source == "" {
		return errors.New("cannot package: -version, -epoch, -programs, -stage and -source are all needed; see .ci/release")
	}
	r.kinds = strings.Split(*kinds, ",")
	r.when = time.Unix(epoch, 0).UTC()
	if err := r.bills(); err != nil {
		return err
	}
	if err := r.pages(); err != nil {
		return err
	}
	if err := r.linux(); err != nil {
		return err
	}
	if slices.Contains(r.kinds, "windows") {
		return r.windows()
	}
	return nil
}

// program is the path of a program of the release.
func (r *release) program(name, target string) string {
	return filepath.Join(r.programs, name+"_"+r.version+"_"+target)
}

// runnable is the path of a program that this machine can run.
func (r *release) runnable(name string) string {
	arch := runtime.GOARCH
	if arch == "arm" {
		arch = "armv7"
	}
	return r.program(name, runtime.GOOS+"_"+arch)
}

// in is a path of the source.
func (r *release) in(path string) string { return filepath.Join(r.source, filepath.FromSlash(path)) }

// staged writes a file on the way and gives its path.
func (r *release) staged(name string, data []byte) (string, error) {
	path := filepath.Join(r.stage, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	return path, os.WriteFile(path, data, 0o644)
}
