package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// frontEnv tells a program that it is a child behind the service's process: it
// stops when its input ends, be it that the service stops or that it died.
const frontEnv = "PAYAGENT_BEHIND"

// front runs a program in this one's place and ends as it ends; one that hangs
// is ended. An error that is no exit code means that it could not be started.
func front(ctx context.Context, program string, env []string, out io.Writer, hung func() bool) error {
	cmd := exec.Command(program, os.Args[1:]...) //nolint:gosec // checked by package update, from the open file
	cmd.Env = append(env, frontEnv+"=1")
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = in.Close() })()
	over := make(chan struct{})
	defer close(over)
	go func() {
		look := time.NewTicker(time.Second)
		defer look.Stop()
		for !hung() {
			select {
			case <-over:
				return
			case <-look.C:
			}
		}
		_ = cmd.Process.Kill()
	}()
	err = cmd.Wait()
	var ended *exec.ExitError
	switch {
	case err == nil && ctx.Err() == nil:
		return exitRestart // nobody asked it to stop
	case errors.As(err, &ended):
		return exitCode(max(1, ended.ExitCode()))
	case err != nil:
		return errors.Join(exitCode(1), fmt.Errorf("the program in front lost the one behind it: %w", err))
	}
	return nil
}

// behind ends the context when the process in front is gone.
func behind(ctx context.Context, in io.Reader) context.Context {
	if os.Getenv(frontEnv) == "" {
		return ctx
	}
	_ = os.Unsetenv(frontEnv)
	ctx, stop := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, in)
		stop()
	}()
	return ctx
}
