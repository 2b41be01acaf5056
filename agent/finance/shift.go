package finance

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"payagent/agent"
	"payagent/platforms"
)

// The kinds of notes of shifts.
const (
	ShiftOpened = "shift_opened"
	ShiftClosed = "shift_closed"
)

// Shift is the time in which one person answers for what is taken.
type Shift struct {
	ID       string
	Till     string // empty: wherever the operator works
	Operator platforms.Operator
	Opened   time.Time
	Closed   time.Time // zero while it is open
	ClosedBy platforms.Operator
	Report   Report // up to now while it is open, as it was when it was closed else
}

// Open tells whether the shift goes on.
func (s Shift) Open() bool { return s.Closed.IsZero() }

// ErrNoShift is wrapped when there is no shift of a number.
var ErrNoShift = errors.New("there is no such shift")

// Shifts keeps the shifts, durably: each is a thread of notes in the log. It is
// safe for concurrent use.
type Shifts struct {
	agent *agent.Agent
	mu    sync.Mutex // one opening or closing at a time
}

// NewShifts gives the shifts of an agent.
func NewShifts(a *agent.Agent) *Shifts { return &Shifts{agent: a} }

// thread begins the names of shifts' threads; the rest is the shift's number.
const thread = "shift-"

// opened and closed are what the notes hold. Subject and operator are read by
// the audit, too.
type opened struct {
	_        [0]func()          // never compared: no code is made for it
	Subject  string             `json:"subject"`
	Till     string             `json:"till,omitempty"`
	Operator platforms.Operator `json:"operator"`
	Token    string             `json:"token,omitempty"`
}

type closed struct {
	Subject  string             `json:"subject"`
	Till     string             `json:"till,omitempty"`
	Operator platforms.Operator `json:"operator"` // who closed it
	Token    string             `json:"token,omitempty"`
	Net      platforms.Fen      `json:"amount_fen"`
	Report   Report             `json:"report"`
}

// Open opens a shift. An operator has one open shift at a time: if there is
// one, it is given, and fresh is false. token names the token under which it is
// asked for, for the record.
func (s *Shifts) Open(ctx context.Context, till string, op platforms.Operator, token string) (shift Shift, fresh bool, err error) {
	if op.ID == "" {
		return Shift{}, false, &platforms.FieldError{Field: "operator.id", Reason: "is missing"}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	open, err := s.open()
	if err != nil {
		return Shift{}, false, err
	}
	for _, x := range open {
		if x.Operator.ID == op.ID {
			x.Report, err = s.upToNow(ctx, x)
			return x, false, err
		}
	}
	var raw [8]byte
	if _, err := io.ReadFull(rand.Reader, raw[:]); err != nil {
		return Shift{}, false, fmt.Errorf("cannot open a shift: no random numbers: %w", err)
	}
	id := "shf_" + hex.EncodeToString(raw[:])
	now := time.UnixMilli(s.agent.Now().Wall)
	err = s.agent.NoteIn(ctx, thread+id, false, ShiftOpened, []string{shiftKey(now)}, opened{Subject: id, Till: till, Operator: op, Token: token})
	if err != nil {
		return Shift{}, false, err
	}
	shift, err = s.read(id)
	if err == nil {
		shift.Report, err = s.upToNow(ctx, shift)
	}
	return shift, true, err
}

// Close closes a shift and keeps what it came to. What is open, unknown or not
// booked is in the report and does not keep the shift open (ORD-15). A shift
// that is closed is given as it was closed.
func (s *Shifts) Close(ctx context.Context, id string, by platforms.Operator, token string) (Shift, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	shift, err := s.read(id)
	if err != nil || !shift.Open() {
		return shift, err
	}
	if by.ID == "" {
		by = shift.Operator
	}
	// The end is a moment after which nothing is counted; what was stamped
	// before it is waited for until the disk has it.
	end := time.UnixMilli(s.agent.Now().Wall)
	if err := s.agent.Flush(ctx); err != nil {
		return shift, err
	}
	if shift.Report, err = s.upTo(ctx, shift, end); err != nil {
		return shift, err
	}
	shift.Closed, shift.ClosedBy = shift.Report.To, by
	kept := closed{Subject: id, Till: shift.Till, Operator: by, Token: token, Net: shift.Report.Total.Net, Report: short(shift.Report)}
	err = s.agent.NoteIn(ctx, thread+id, true, ShiftClosed, []string{shiftKey(shift.Closed)}, kept)
	if err != nil {
		return shift, err
	}
	return s.read(id)
}

// The most that a note keeps of a report: it has to fit into one record.
const (
	keptLines = 60
	keptOpen  = 40
)

// short cuts what would not fit. The groups hold every sum.
func short(r Report) Report {
	if len(r.Lines) > keptLines {
		r.Lines = r.Lines[:keptLines]
	}
	if n := len(r.Open); n > keptOpen {
		r.Open, r.OpenMore = r.Open[:keptOpen], r.OpenMore+n-keptOpen
	}
	return r
}

// Get gives one shift. The error wraps ErrNoShift.
func (s *Shifts) Get(ctx context.Context, id string) (Shift, error) {
	shift, err := s.read(id)
	if err == nil && shift.Open() {
		shift.Report, err = s.upToNow(ctx, shift)
	}
	return shift, err
}

// Running lists the open shifts, oldest first, without their reports.
func (s *Shifts) Running() ([]Shift, error) { return s.open() }

// On lists the shifts that were opened or closed on a day, oldest first,
// reports only of closed ones.
func (s *Shifts) On(day time.Time) ([]Shift, error) {
	names, err := s.agent.Threads(shiftKey(day))
	if err != nil {
		return nil, err
	}
	return s.readAll(names)
}

func (s *Shifts) open() ([]Shift, error) {
	names, err := s.agent.OpenThreads()
	if err != nil {
		return nil, err
	}
	return s.readAll(names)
}

func (s *Shifts) readAll(threads []string) ([]Shift, error) {
	var list []Shift
	for _, name := range threads {
		id, ok := strings.CutPrefix(name, thread)
		if !ok {
			continue
		}
		shift, err := s.read(id)
		if err != nil {
			return nil, err
		}
		list = append(list, shift)
	}
	return list, nil
}

// read folds the notes of a shift.
func (s *Shifts) read(id string) (Shift, error) {
	shift := Shift{ID: id}
	if !strings.HasPrefix(id, "shf_") || len(id) > 32 {
		return shift, fmt.Errorf("cannot show the shift: %w", ErrNoShift)
	}
	notes, err := s.agent.Thread(thread + id)
	if err != nil {
		return shift, err
	}
	for _, n := range notes {
		at := time.UnixMilli(n.At.Wall).In(zone())
		switch n.Kind {
		case ShiftOpened:
			var v opened
			err = json.Unmarshal(n.Data, &v)
			shift.Till, shift.Operator, shift.Opened = v.Till, v.Operator, at
		case ShiftClosed:
			var v closed
			err = json.Unmarshal(n.Data, &v)
			shift.Closed, shift.ClosedBy, shift.Report = v.Report.To, v.Operator, v.Report
		}
		if err != nil {
			return shift, fmt.Errorf("cannot read the shift %s: %w", id, err)
		}
	}
	if shift.Opened.IsZero() {
		return shift, fmt.Errorf("cannot show the shift: %w", ErrNoShift)
	}
	return shift, nil
}

// upToNow adds up what an open shift came to so far.
func (s *Shifts) upToNow(ctx context.Context, x Shift) (Report, error) {
	return s.upTo(ctx, x, time.UnixMilli(s.agent.Now().Wall+1))
}

func (s *Shifts) upTo(ctx context.Context, x Shift, end time.Time) (Report, error) {
	from := x.Opened
	if !end.After(from) { // closed at once, or the clock was set back
		end = from.Add(time.Millisecond)
	}
	if end.Sub(from) > maxSpan { // somebody forgot to close it
		from = end.Add(-maxSpan)
	}
	return Make(ctx, s.agent, Query{From: from, To: end, Operator: x.Operator.ID, Till: x.Till})
}

func shiftKey(t time.Time) string { return "shifts:" + t.In(zone()).Format("20060102") }
