// Command payagent takes face-to-face payments at a hospital's tills: it runs
// as a service, and has the commands that IT and finance need beside it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"payagent/agent/service"
)

// version is set by .ci/build: a release, or dev and the commit.
var version = "dev"

func main() {
	noCores()
	err := service.Run(func(ctx context.Context) error { return command(ctx, os.Args[1:], os.Stdout) }, codeOf)
	var code exitCode
	if err != nil && !errors.As(err, &code) {
		fmt.Fprintln(os.Stderr, "payagent: "+err.Error())
	}
	os.Exit(codeOf(err))
}

// codeOf is the exit code of what a command gave back: docs/operations.md
// lists them.
func codeOf(err error) int {
	var code exitCode
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	case errors.Is(err, errUsage):
		return 2
	}
	return 1
}

// buildVersion names the program.
func buildVersion() string { return version }
