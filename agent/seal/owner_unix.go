//go:build unix

package seal

import (
	"fmt"
	"os"
	"syscall"
)

// GiveTo makes files belong to whom like belongs, where this process is root:
// an administrator writes them, and the agent's own user must read them.
func GiveTo(like string, paths ...string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(like)
	if err != nil {
		return fmt.Errorf("cannot see whom %s belongs to: %w", like, err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	for _, p := range paths {
		if err := os.Lchown(p, int(owner.Uid), int(owner.Gid)); err != nil {
			return fmt.Errorf("cannot give %s to the agent's user; run chown by hand: %w", p, err)
		}
	}
	return nil
}
