// Package queuetest is the suite that every queue member passes. Each case has
// a name and the sentence of the contract that it checks. The suite is tested
// by members that break one sentence each.
package queuetest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"payagent/queue"
)

// Env is what a case works with.
type Env struct {
	// Open opens the store of a directory, creating it if needed. An error
	// that wraps queue.ErrDamaged is how a member says that it found damage.
	Open func(dir string) (queue.Log, error)
	// Dir gives a new, empty directory.
	Dir func() string
	// Crash puts into the directory to what a crash now would leave of the
	// directory from, whose log is open but idle.
	Crash func(from, to string) error
	// Fail makes the next write of the log opened on dir fail; nil where a
	// member cannot.
	Fail func(dir string) error
	// Damage changes a byte of the data of the record with that number, in the
	// closed store of dir; nil where a member cannot.
	Damage func(dir string, seq queue.Seq) error
}

// Case is one rule.
type Case struct {
	Name string
	Rule string // the sentence of the contract
	// Needs says whether the environment can run the case.
	Needs func(*Env) bool
	// Run returns what was seen to be wrong.
	Run func(*Env) error
}

// Option adds to what a member lets the suite do.
type Option func(*Env)

// WithCrash replaces copying the directory's files.
func WithCrash(crash func(from, to string) error) Option {
	return func(e *Env) { e.Crash = crash }
}

// WithFail lets the suite fail a write.
func WithFail(fail func(dir string) error) Option {
	return func(e *Env) { e.Fail = fail }
}

// WithDamage lets the suite damage a record.
func WithDamage(damage func(dir string, seq queue.Seq) error) Option {
	return func(e *Env) { e.Damage = damage }
}

// Test runs all cases. open opens the store of dir (again, after a Close) and
// fails the test if it cannot. A member that reports damage when it opens, or
// that can fail on demand, uses Run.
func Test(t *testing.T, open func(t *testing.T, dir string) queue.Log, opts ...Option) {
	t.Helper()
	Run(t, func(t *testing.T, dir string) (queue.Log, error) { return open(t, dir), nil }, opts...)
}

// Run is Test for members whose opening can report damage.
func Run(t *testing.T, open func(t *testing.T, dir string) (queue.Log, error), opts ...Option) {
	t.Helper()
	for _, c := range Cases() {
		t.Run(c.Name, func(t *testing.T) {
			n := 0
			root := t.TempDir()
			e := &Env{
				Open: func(dir string) (queue.Log, error) {
					l, err := open(t, dir)
					if err == nil {
						t.Cleanup(func() { l.Close() })
					}
					return l, err
				},
				Dir: func() string {
					n++
					return filepath.Join(root, strconv.Itoa(n))
				},
				Crash: CopyDir,
			}
			for _, o := range opts {
				o(e)
			}
			if c.Needs != nil && !c.Needs(e) {
				t.Skip("this member cannot be made to do what the case needs")
			}
			if err := c.Run(e); err != nil {
				t.Errorf("%v\nthe rule is: %s", err, c.Rule)
			}
		})
	}
}

// CopyDir copies the files of a directory: what kill -9 leaves.
func CopyDir(from, to string) error {
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	list, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, f := range list {
		b, err := os.ReadFile(filepath.Join(from, f.Name()))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, f.Name()), b, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// wrong makes the error of a case.
func wrong(format string, args ...any) error { return fmt.Errorf(format, args...) }
