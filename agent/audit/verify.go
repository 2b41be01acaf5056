package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"payagent/queue"
)

// The codes of findings.
const (
	Edited          = "line_edited"      // a line is not as it was written
	Missing         = "lines_missing"    // lines are gone between two others, or at the beginning
	Moved           = "line_moved"       // a line stands where it was not written, or twice
	Truncated       = "lines_cut_off"    // lines at the end are gone
	Lost            = "lines_were_lost"  // the agent itself found at a start that lines were gone
	Replaced        = "journal_replaced" // the agent itself found at a start that the log was another one
	JournalEdited   = "journal_edited"   // a record of the log is not the one that was audited
	JournalShorter  = "journal_rolled_back"
	AnchorNotFound  = "anchor_not_found"
	RecordsUnwanted = "records_unwritten" // records left the log before they were audited
)

// Finding is something wrong, and where.
type Finding struct {
	_      [0]func() // never compared: no code is made for it
	Code   string    `json:"code"`
	File   string    `json:"file,omitempty"`
	Line   int       `json:"line,omitempty"` // in the file, from 1
	Detail string    `json:"detail"`
}

// Result is what verify saw.
type Result struct {
	Files    int       `json:"files"`
	Lines    uint64    `json:"lines"`
	Compared uint64    `json:"compared"` // records of the log whose digest fits
	Pending  uint64    `json:"pending"`  // records of the log that are not audited yet
	First    string    `json:"first,omitempty"`
	Last     string    `json:"last,omitempty"`
	N        uint64    `json:"n"`
	Head     string    `json:"head,omitempty"`
	Findings []Finding `json:"findings"`
	More     int       `json:"more,omitempty"` // findings beyond those listed
}

// Good tells that nothing was found.
func (r Result) Good() bool { return len(r.Findings) == 0 }

const maxFindings = 200

func (r *Result) find(code, file string, line int, format string, args ...any) {
	if len(r.Findings) >= maxFindings {
		r.More++
		return
	}
	r.Findings = append(r.Findings, Finding{Code: code, File: file, Line: line, Detail: fmt.Sprintf(format, args...)})
}

// Verify reads all files and compares them with themselves and with the log.
// It writes nothing and may run beside a Keeper. anchor is the hash of a line
// as it was noted elsewhere, at least its first 16 digits; empty for none.
func Verify(ctx context.Context, log Journal, o Options, anchor string) (Result, error) {
	r := Result{Findings: []Finding{}}
	// The place first: what is written meanwhile may only be more.
	set, err := log.Cursor(cursor)
	if err != nil {
		return r, fmt.Errorf("cannot read the audit's place in the log: %w", err)
	}
	names, err := files(o.Dir)
	if errors.Is(err, os.ErrNotExist) {
		names, err = nil, nil
	}
	if err != nil {
		return r, err
	}
	v := &verifier{Result: &r, chainer: chainer{o.Key}, log: log, anchor: strings.ToLower(anchor), keep: o.Keep, files: len(names)}
	if v.lastEpoch, err = lastEpoch(o.Dir, names); err != nil {
		return r, err
	}
	for _, name := range names {
		if err := v.file(ctx, o.Dir, name); err != nil {
			return r, err
		}
	}
	r.Files, r.N, r.Head = len(names), v.n, v.prev
	if uint64(set) > v.seq {
		r.find(Truncated, v.name, 0, "the log was audited up to record %d, the files end at record %d", set, v.seq)
	}
	if last := uint64(log.Last()); last > v.seq {
		r.Pending = last - v.seq
	}
	if v.anchor != "" && !v.anchored {
		r.find(AnchorNotFound, "", 0, "no line has the hash %s: lines were rewritten or removed since it was noted", clip(anchor))
	}
	return r, nil
}

type verifier struct {
	*Result
	chainer
	log       Journal
	anchor    string
	anchored  bool
	keep      int
	files     int
	lastEpoch int

	name    string
	line    int
	begun   bool
	n       uint64
	prev    string
	seq     uint64 // of the last record, or 0
	epoch   int
	first   uint64 // oldest record that the log still has
	ahead   []queue.Entry
	shorter bool // told already
}

// lastEpoch finds which lines speak of the present log.
func lastEpoch(dir string, names []string) (int, error) {
	epoch := 0
	for i := len(names) - 1; i >= 0 && i >= len(names)-2; i-- {
		err := each(filepath.Join(dir, names[i]), func(text []byte) error {
			if l, _, _, err := parse(text); err == nil {
				epoch = max(epoch, l.Epoch)
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	return epoch, nil
}

func each(path string, yield func([]byte) error) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("cannot read the audit; check its owner: %w", err)
	}
	return errors.Join(lines(f, yield), f.Close())
}

func (v *verifier) file(ctx context.Context, dir, name string) error {
	v.name, v.line = name, 0
	err := each(filepath.Join(dir, name), func(text []byte) error {
		v.line++
		if err := ctx.Err(); err != nil {
			return err
		}
		return v.one(text)
	})
	if errors.Is(err, errLine) {
		v.find(Edited, name, v.line+1, "a line without an end")
		return nil
	}
	return err
}

func (v *verifier) one(text []byte) error {
	v.Lines++
	l, body, stated, err := parse(text)
	if err != nil {
		v.find(Edited, v.name, v.line, "line %d of the file cannot be read", v.line)
		v.n++
		v.prev = ""
		return nil
	}
	if v.anchor != "" && len(v.anchor) >= 16 && strings.HasPrefix(stated, v.anchor) {
		v.anchored = true
	}
	v.chainOf(l, body, stated)
	v.n, v.prev, v.begun = l.N, stated, true
	if v.First == "" {
		v.First = l.At
	}
	v.Last = l.At
	return v.record(l)
}

// chainOf looks whether a line is the one that was written after the line
// before it. One fault gives one finding: the next line is held to what this
// one states.
func (v *verifier) chainOf(l Line, body []byte, stated string) {
	prev := v.prev
	switch {
	case !v.begun && l.Kind == KindDay:
		prev = l.Prev
		if l.N > 1 && v.files < v.keep {
			v.find(Missing, v.name, v.line, "the first line is number %d and only %d files are kept: older files were removed", l.N, v.files)
		}
		if l.N == 1 && l.Prev != v.genesis() {
			v.find(Edited, v.name, v.line, "the first line follows nothing that was written here")
		}
	case !v.begun:
		v.find(Missing, v.name, v.line, "the beginning of the file is gone")
		return
	case l.N > v.n+1:
		v.find(Missing, v.name, v.line, "lines %d to %d are gone", v.n+1, l.N-1)
		return
	case l.N <= v.n:
		v.find(Moved, v.name, v.line, "line number %d follows line number %d", l.N, v.n)
		return
	case prev == "":
		return // the line before cannot be read
	}
	if v.sum("line", []byte(prev), body) != stated {
		v.find(Edited, v.name, v.line, "line number %d is not as it was written, or the one before it was exchanged", l.N)
	}
}

// record compares with the log what a line says of it.
func (v *verifier) record(l Line) error {
	switch l.Kind {
	case KindReplaced:
		v.find(Replaced, v.name, v.line, "from here on the log is another one than before, or an older copy of it")
	case KindLost:
		v.find(Lost, v.name, v.line, "records up to %s had been audited, the files ended at %d", l.Reason, l.Seq)
	case KindPruned:
		v.find(RecordsUnwanted, v.name, v.line, "records up to %d left the log before they were audited", l.Seq)
		v.seq = l.Seq
	}
	if l.Epoch != v.epoch {
		v.epoch, v.seq = l.Epoch, 0
	}
	if l.Digest == "" {
		return nil
	}
	switch {
	case v.seq > 0 && l.Seq > v.seq+1:
		v.find(Missing, v.name, v.line, "records %d to %d have no line", v.seq+1, l.Seq-1)
	case l.Seq <= v.seq:
		v.find(Moved, v.name, v.line, "record %d stands after record %d", l.Seq, v.seq)
	}
	v.seq = max(v.seq, l.Seq)
	if l.Epoch != v.lastEpoch {
		return nil // that log is gone
	}
	e, ok, err := v.entry(l.Seq)
	switch {
	case err != nil:
		return err
	case l.Seq > uint64(v.log.Last()) && v.shorter:
	case l.Seq > uint64(v.log.Last()):
		v.shorter = true
		v.find(JournalShorter, v.name, v.line, "record %d is not in the log any more; the log ends at %d", l.Seq, v.log.Last())
	case !ok: // left the log by age
	case v.digest(e) != l.Digest:
		v.find(JournalEdited, v.name, v.line, "record %d of %s in the log is not the one that was audited", l.Seq, clip(l.Order))
	default:
		v.Compared++
	}
	return nil
}

// entry reads a record of the log; they are asked for in order.
func (v *verifier) entry(seq uint64) (queue.Entry, bool, error) {
	for len(v.ahead) > 0 && uint64(v.ahead[0].Seq) < seq {
		v.ahead = v.ahead[1:]
	}
	if len(v.ahead) == 0 && seq >= v.first && seq <= uint64(v.log.Last()) {
		list, first, err := v.log.After(queue.Seq(seq)-1, batch)
		if err != nil {
			return queue.Entry{}, false, fmt.Errorf("cannot compare audit and log: %w", err)
		}
		v.ahead, v.first = list, uint64(first)
	}
	if len(v.ahead) > 0 && uint64(v.ahead[0].Seq) == seq {
		return v.ahead[0], true, nil
	}
	return queue.Entry{}, false, nil
}

// Show writes the lines of one day (20060102), as they are.
func Show(dir, day string, w io.Writer) error {
	names, err := files(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, d, _ := parseName(name); d != day {
			continue
		}
		err := each(filepath.Join(dir, name), func(text []byte) error {
			_, err := w.Write(append(text[:len(text):len(text)], '\n'))
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
