// Package voice says aloud what a screen has to say, by espeak-ng or a program
// with its options (DSP-08). The text goes to the program's standard input, so
// that it stands in no list of processes.
package voice

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
	"unicode"

	"payagent/devices"
	"payagent/devices/internal/latest"
	"payagent/devices/internal/quiet"
)

// Config describes one voice.
type Config struct {
	Name    string   // the voice's name in the configuration
	Command string   // the program, default espeak-ng
	Voice   string   // its voice, default cmn (Mandarin); yue is Cantonese
	Speed   int      // words per minute, 80 to 450, default 160
	Volume  int      // 1 to 100, default 50
	Args    []string // further options of the program, such as -d and a sound device
	// Quiet are hours without speech, in local time: "21:30-06:30".
	Quiet []string
	// Now is the clock for them, by default time.Now.
	Now func() time.Time
}

// Voice is one voice. Show never waits for it. Safe for concurrent use.
type Voice struct{ *latest.Display }

var _ devices.Display = Voice{}

const (
	// longest is how long one text may take; a sound device that is stuck
	// must not keep a program for ever.
	longest = 30 * time.Second
	// patience is how long Close waits for the program to end, which is killed.
	patience = 3 * time.Second
	// after is how long to wait for what a killed program has left open.
	after = time.Second
)

// Open looks for the program; it speaks from the next Show on.
func Open(cfg Config) (Voice, error) {
	s, err := newSpeaker(cfg)
	if err != nil {
		return Voice{}, err
	}
	return Voice{latest.Start(cfg.Name, patience, s.work)}, nil
}

// Check says what cannot be in a configuration, without looking for the
// program.
func (c Config) Check() error {
	_, _, err := c.filled()
	return err
}

// filled gives the configuration with its defaults, and the quiet hours.
func (c Config) filled() (Config, quiet.Hours, error) {
	fail := func(err error) (Config, quiet.Hours, error) {
		return c, quiet.Hours{}, fmt.Errorf("cannot use voice %s: %w", c.Name, err)
	}
	hours, err := quiet.Parse(c.Quiet)
	if err != nil {
		return fail(err)
	}
	if c.Command == "" {
		c.Command = "espeak-ng"
	}
	if c.Voice == "" {
		c.Voice = "cmn"
	}
	if c.Speed == 0 {
		c.Speed = 160
	}
	if c.Volume == 0 {
		c.Volume = 50
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Speed < 80 || c.Speed > 450 {
		return fail(fmt.Errorf("speed %d; write 80 to 450 words per minute", c.Speed))
	}
	if c.Volume < 1 || c.Volume > 100 {
		return fail(fmt.Errorf("volume %d; write 1 to 100, or take the voice out of the configuration", c.Volume))
	}
	if strings.HasPrefix(c.Voice, "-") {
		return fail(fmt.Errorf("there is no voice %q; write cmn", c.Voice))
	}
	return c, hours, nil
}

func newSpeaker(cfg Config) (speaker, error) {
	c, hours, err := cfg.filled()
	if err != nil {
		return speaker{}, err
	}
	program, err := exec.LookPath(c.Command)
	if err != nil {
		return speaker{}, fmt.Errorf("cannot use voice %s: the program %s is not there; install it (the package espeak-ng, on Debian: apt install espeak-ng), or name another in command: %w", c.Name, c.Command, err)
	}
	if !has(program, c.Voice) {
		return speaker{}, fmt.Errorf("cannot use voice %s: %s has no voice %q and would speak another language; write cmn, or what %s --voices lists", c.Name, c.Command, c.Voice, c.Command)
	}
	return speaker{program: program, hours: hours, now: c.Now, args: append([]string{
		"-v", c.Voice, "-s", strconv.Itoa(c.Speed), "-a", strconv.Itoa(2 * c.Volume), "-b", "1", "--stdin"}, c.Args...)}, nil
}

// has asks the program for its voices, since espeak-ng speaks English with one
// that it does not have. A program without such a list is believed.
func has(program, voice string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "--voices")
	cmd.WaitDelay = after
	own(cmd)
	out, err := cmd.Output()
	list := strings.FieldsFunc(string(out), func(r rune) bool { return unicode.IsSpace(r) || r == '(' || r == ')' })
	if err != nil || len(list) < 2 || list[0] != "Pty" || list[1] != "Language" {
		return true
	}
	voice, _, _ = strings.Cut(voice, "+") // A variant of it, such as cmn+f3.
	for _, word := range list {
		if strings.EqualFold(word, voice) {
			return true
		}
	}
	return false
}

// speaker runs the program, one at a time.
type speaker struct {
	program string
	args    []string
	hours   quiet.Hours
	now     func() time.Time
}

// work says each new text until ctx ends. What is being said ends when the
// screen says something else, or nothing: it would be about what was before,
// perhaps about another patient.
func (s speaker) work(ctx context.Context, feed *latest.Feed) error {
	said := ""
	stop := func() {}
	defer func() { stop() }()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-feed.News():
		}
		screen, ok := feed.Screen()
		if !ok || screen.Speech == said {
			continue
		}
		said = screen.Speech
		stop()
		stop = func() {}
		if said != "" && !s.hours.At(s.now()) {
			stop = s.say(ctx, feed, said)
		}
	}
}

// say starts saying a text; stop ends it and returns when it has ended.
func (s speaker) say(ctx context.Context, feed *latest.Feed, text string) (stop func()) {
	ctx, cancel := context.WithTimeout(ctx, longest)
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := s.run(ctx, text)
		if errors.Is(ctx.Err(), context.Canceled) {
			err = nil // It was told to end.
		}
		feed.Report(err)
	}()
	return func() {
		cancel()
		<-done
	}
}

func (s speaker) run(ctx context.Context, text string) error {
	cmd := exec.CommandContext(ctx, s.program, s.args...)
	cmd.Stdin = strings.NewReader(text + "\n")
	said := &head{}
	cmd.Stderr = said
	cmd.WaitDelay = after
	own(cmd)
	err := cmd.Run()
	trouble := said.trouble()
	if err == nil && !strings.HasPrefix(trouble, sign) {
		return nil
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("cannot speak: %s did not end in %v; check the sound device", s.program, longest)
	}
	const told = "cannot speak: %s failed; check the sound device and its volume: "
	if err == nil {
		return fmt.Errorf(told+"%s", s.program, trouble)
	}
	if trouble == "" {
		return fmt.Errorf(told+"%w", s.program, err)
	}
	return fmt.Errorf(told+"%w: %s", s.program, err, trouble)
}

// sign begins the line by which espeak-ng tells that there is no sound: it
// says that it succeeded all the same. Sound libraries write much else, also
// when all is well.
const sign = "error:"

// head keeps the beginning of what a program complains about.
type head struct{ kept bytes.Buffer }

const (
	mostKept = 8 << 10
	mostTold = 160
)

// Write keeps what there is room for, and takes all.
func (h *head) Write(b []byte) (int, error) {
	h.kept.Write(b[:min(len(b), mostKept-h.kept.Len())])
	return len(b), nil
}

// trouble is the line with the sign, or else the first; empty if there is none.
func (h *head) trouble() string {
	first := ""
	for line := range strings.Lines(h.kept.String()) {
		line = strings.ToValidUTF8(strings.TrimSpace(line), "?")
		line = line[:min(len(line), mostTold)]
		if strings.HasPrefix(line, sign) {
			return line
		}
		if first == "" {
			first = line
		}
	}
	return first
}
