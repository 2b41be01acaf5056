package devicetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync"
)

// logMu guards the process's loggers while a case looks at them.
var logMu sync.Mutex

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func hidden(b *Bench) error {
	logMu.Lock()
	defer logMu.Unlock()
	var sink safeBuffer
	oldLog, oldOut, oldFlags := slog.Default(), log.Writer(), log.Flags()
	slog.SetDefault(slog.New(slog.NewTextHandler(&sink, &slog.HandlerOptions{Level: slog.LevelDebug - 4})))
	log.SetOutput(&sink)
	defer func() {
		slog.SetDefault(oldLog)
		log.SetOutput(oldOut)
		log.SetFlags(oldFlags)
	}()
	if err := b.write("12\x1b345678\r" + strings.Repeat("87654321", 100) + "\r" + code1 + "\r"); err != nil {
		return err
	}
	s, err := b.next()
	if err != nil {
		return err
	}
	if s.Text.Reveal() != code1 {
		return errors.New("another text came")
	}
	if err := b.write(code2[:12]); err != nil {
		return err
	}
	gone, err := b.gone()
	if err != nil {
		return err
	}
	all := sink.String() + gone.Error() + fmt.Sprintf("%v %+v %#v", s, s, s)
	for _, secret := range []string{code1[:8], code2[:8], "345678", "87654321"} {
		if strings.Contains(all, secret) {
			return errors.New("a scanned text can be read there")
		}
	}
	return nil
}

// openFiles counts this process's open files, or gives -1 where the system
// does not say.
func openFiles() int {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return -1
	}
	return len(list)
}

func replug(b *Bench) error {
	cycle := func(i int) error {
		if i%16 == 0 {
			if err := b.gives(code1+"\r", code1); err != nil {
				return err
			}
		}
		if _, err := b.gone(); err != nil {
			return err
		}
		if err := b.Scanner.Close(); err != nil {
			return fmt.Errorf("closing after an unplug: %w", err)
		}
		s, w, err := b.member.Open()
		if err != nil {
			return fmt.Errorf("opening again: %w", err)
		}
		b.Scanner, b.Wire = s, w
		return nil
	}
	if err := cycle(0); err != nil { // what is made once only is there now
		return err
	}
	routines, files := runtime.NumGoroutine(), openFiles()
	for i := range b.member.Cycles {
		// Only each wait is bounded, not the number of cycles.
		ctx, cancel := context.WithTimeout(context.Background(), b.member.Hang)
		b.Ctx = ctx
		err := cycle(i)
		cancel()
		if err != nil {
			return fmt.Errorf("cycle %d: %w", i, err)
		}
	}
	// Goroutines that were told to end may need a moment to do so; a leak of
	// one in ten cycles is far above the allowance.
	if n, limit := runtime.NumGoroutine(), routines+b.member.Cycles/20+4; n > limit {
		return fmt.Errorf("%d goroutines became %d after %d cycles", routines, n, b.member.Cycles)
	}
	if n := openFiles(); n > files+4 {
		return fmt.Errorf("%d open files became %d after %d cycles", files, n, b.member.Cycles)
	}
	return nil
}
