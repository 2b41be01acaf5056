package service

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// GiveBack takes the pages of the program's own file out of the process's
// memory: what the start needed and nobody runs again is most of it. They stay
// in the kernel's cache, where it may drop them as it could before, and come
// back when they are used. Only what holds nothing but the file is touched, so
// nothing can get lost; an error costs memory only.
func GiveBack() error {
	own, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("cannot find the program's file; mount /proc: %w", err)
	}
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return fmt.Errorf("cannot list the process's memory; mount /proc: %w", err)
	}
	for _, m := range fileMappings(maps, own) {
		if _, _, e := syscall.Syscall(syscall.SYS_MADVISE, m.at, m.n, syscall.MADV_DONTNEED); e != 0 {
			return fmt.Errorf("cannot give pages of the program back, which costs memory only: %w", e)
		}
	}
	return nil
}

type mapping struct{ at, n uintptr }

// fileMappings finds in a process's smaps (proc_pid_smaps(5)) the mappings of a
// file that cannot be written and of which no page was ever made the process's
// own, in memory or in swap, as the loader does where it relocates.
func fileMappings(smaps []byte, file string) []mapping {
	var out []mapping
	var now mapping
	for line := range bytes.Lines(smaps) {
		f := strings.Fields(string(line))
		if len(f) < 3 {
			continue
		}
		if key, is := strings.CutSuffix(f[0], ":"); is {
			switch {
			case (key == "Anonymous" || key == "Swap") && f[1] != "0":
				now = mapping{}
			case key == "Swap" && now.n > 0: // the later of the two
				out = append(out, now)
			}
			continue
		}
		now = mapping{}
		from, to, _ := strings.Cut(f[0], "-")
		a, errA := strconv.ParseUint(from, 16, strconv.IntSize)
		b, errB := strconv.ParseUint(to, 16, strconv.IntSize)
		if errA == nil && errB == nil && b > a && len(f) > 5 && !strings.Contains(f[1], "w") && strings.Join(f[5:], " ") == file {
			now = mapping{uintptr(a), uintptr(b - a)}
		}
	}
	return out
}
