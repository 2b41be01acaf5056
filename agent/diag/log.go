package diag

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strconv"
	"time"
)

// Log is the agent's own log file with those that were turned over beside it.
type Log struct {
	Path string // empty where the log goes to the service manager
	Keep int    // turned-over files
}

// LogQuery says which lines are wanted. The zero value is the newest 10,000.
type LogQuery struct {
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Pattern string    `json:"pattern"`
	Lines   int       `json:"lines"`
}

// The bounds of what is read of a log.
const (
	defaultLines = 10_000
	maxLines     = 200_000
	maxPattern   = 200
	maxLine      = 64 << 10
	maxRead      = 64 << 20 // bytes of text kept while choosing
)

// Pack gives the newest lines that fit the query, oldest first, as gzip of at
// most limit bytes; cut tells that there were more.
func (l Log) Pack(ctx context.Context, q LogQuery, limit int) (packed []byte, lines int, cut bool, err error) {
	if l.Path == "" {
		return nil, 0, false, errors.New("cannot read the log: it goes to the service manager (journalctl -u payagent); write log.file to keep one here")
	}
	if q.Lines == 0 {
		q.Lines = defaultLines
	}
	if q.Lines < 0 || q.Lines > maxLines || len(q.Pattern) > maxPattern {
		return nil, 0, false, fmt.Errorf("cannot choose lines: ask for 1 to %d lines with a pattern of at most %d characters", maxLines, maxPattern)
	}
	pattern, err := regexp.Compile(q.Pattern)
	if err != nil {
		return nil, 0, false, fmt.Errorf("cannot use the pattern: %w", err)
	}
	var chosen [][]byte
	size := 0
	for n := l.Keep; n >= 0; n-- {
		name := l.Path
		if n > 0 {
			name += "." + strconv.Itoa(n)
		}
		err := eachLine(ctx, name, func(line []byte) {
			if !within(line, q.From, q.To) || !pattern.Match(line) {
				return
			}
			chosen = append(chosen, bytes.Clone(line))
			size += len(line)
			for len(chosen) > q.Lines || size > maxRead {
				size -= len(chosen[0])
				chosen, cut = chosen[1:], true
			}
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, 0, false, err
		}
	}
	for {
		packed, err := pack(chosen)
		if err != nil || len(packed) <= limit {
			return packed, len(chosen), cut, err
		}
		// The oldest go first; half at a time ends soon.
		chosen, cut = chosen[len(chosen)/2+1:], true
	}
}

// within tells whether a line was written in a span of time. A line without a
// time that can be read belongs to every span.
func within(line []byte, from, to time.Time) bool {
	if from.IsZero() && to.IsZero() {
		return true
	}
	var head struct {
		Time time.Time `json:"time"`
	}
	if json.Unmarshal(line, &head) != nil || head.Time.IsZero() {
		return true
	}
	return !head.Time.Before(from) && (to.IsZero() || !head.Time.After(to))
}

func eachLine(ctx context.Context, name string, yield func(line []byte)) error {
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("cannot read the log: %w", err)
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, maxLine)
	for n := 0; ; n++ {
		line, err := r.ReadSlice('\n')
		long := errors.Is(err, bufio.ErrBufferFull)
		if len(line) > 0 {
			yield(bytes.TrimRight(line, "\n"))
		}
		for long && errors.Is(err, bufio.ErrBufferFull) { // the rest of a line without bounds
			_, err = r.ReadSlice('\n')
		}
		if n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("cannot read the log: %w", err)
		}
	}
}

func pack(lines [][]byte) ([]byte, error) {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	for _, l := range lines {
		if _, err := z.Write(append(l, '\n')); err != nil {
			return nil, err
		}
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
