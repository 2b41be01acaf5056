// Package audit keeps the record of every act about money: one line for each
// record of the order log, in files of one day each (UTC+8), chained by keyed
// hashes, so that a line that was edited, removed, moved or cut off is found,
// and so that the log itself cannot be edited, rolled back or spliced unseen
// (ORD-16, invariant I20, T-D1).
//
// A line says what happened, to which order, over how much, and who did it, and
// holds a digest of the record that it stands for. It holds no patient, no
// payment code and no text that somebody typed. The files are made from the
// log by a reader with a cursor, never on the way of a payment: losing power
// repeats work and loses nothing.
//
// Whoever owns the machine owns the key as well. What they cannot change is an
// anchor that has left it: the hash of each day's last line is written to the
// log and to /metrics, and payagent audit verify --anchor finds it again.
package audit

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"payagent/queue"
)

// The kinds of lines that stand for no record of the log.
const (
	KindDay      = "audit_day"       // first line of a file: Prev is the end of the file before
	KindLost     = "audit_lost"      // lines up to Seq had been written and were gone
	KindReplaced = "audit_replaced"  // the log is not the one that was audited before
	KindPruned   = "audit_unwritten" // records up to Seq had left the log before they were audited
)

// Line is one line of a file, without its hash.
type Line struct {
	_         [0]func() // never compared: no code is made for it
	N         uint64    `json:"n"`               // from 1, over all files, without gaps
	Epoch     int       `json:"epoch,omitempty"` // how often the log was replaced
	Seq       uint64    `json:"seq,omitempty"`   // the record's number in the log
	At        string    `json:"at"`              // RFC 3339 in UTC+8, as the record says
	Kind      string    `json:"kind"`
	Order     string    `json:"order,omitempty"` // order number, or note:THREAD
	Operator  string    `json:"operator,omitempty"`
	Name      string    `json:"operator_name,omitempty"`
	Till      string    `json:"till,omitempty"`
	AmountFen int64     `json:"amount_fen,omitempty"`
	Verb      string    `json:"verb,omitempty"`
	Status    string    `json:"status,omitempty"`
	Outcome   string    `json:"outcome,omitempty"`
	Action    string    `json:"action,omitempty"`
	Request   string    `json:"request,omitempty"` // refund number
	TradeNo   string    `json:"trade_no,omitempty"`
	FlowID    string    `json:"flow_id,omitempty"`
	Reason    string    `json:"reason,omitempty"`  // stable code, never a typed text
	Auto      bool      `json:"auto,omitempty"`    // the agent by itself
	Token     string    `json:"token,omitempty"`   // notes: the token under which it was asked for
	Subject   string    `json:"subject,omitempty"` // notes: what it is about: a token, a shift, a day
	Digest    string    `json:"digest,omitempty"`  // keyed hash of the record
	Prev      string    `json:"prev,omitempty"`    // KindDay only
}

// The end of each line's text: a comma, the name, 64 hex digits.
const (
	hashMark = `,"hash":"`
	hashLen  = len(hashMark) + 64 + len(`"}`)
)

// chainer makes and checks hashes.
type chainer struct{ key []byte }

func (c chainer) sum(what string, parts ...[]byte) string {
	m := hmac.New(sha256.New, c.key)
	var size [8]byte
	for _, p := range append([][]byte{[]byte(what)}, parts...) {
		// A hash.Hash never fails to write.
		binary.BigEndian.PutUint64(size[:], uint64(len(p)))
		_, _ = m.Write(size[:])
		_, _ = m.Write(p)
	}
	return hex.EncodeToString(m.Sum(nil))
}

// genesis is what the first line follows.
func (c chainer) genesis() string { return c.sum("genesis") }

// digest stands for one record of the log: its place and all its bytes.
func (c chainer) digest(e queue.Entry) string {
	var seq [8]byte
	binary.BigEndian.PutUint64(seq[:], uint64(e.Seq))
	return c.sum("record", seq[:], []byte(e.Stream), e.Data)[:32]
}

// text writes a line with its hash, which covers the line before; it gives the
// hash, too.
func (c chainer) text(prev string, l Line) ([]byte, string, error) {
	body, err := json.Marshal(l)
	if err != nil {
		return nil, "", fmt.Errorf("cannot write an audit line: %w", err)
	}
	body = body[:len(body)-1] // the brace
	hash := c.sum("line", []byte(prev), body)
	return append(append(body, hashMark+hash...), `"}`+"\n"...), hash, nil
}

// parse reads a line's text without its line feed. stated is the hash that it
// carries, body what that hash covers. Errors wrap errLine.
func parse(text []byte) (l Line, body []byte, stated string, err error) {
	if len(text) <= hashLen || len(text) > maxLine {
		return l, nil, "", errLine
	}
	cut := len(text) - hashLen
	body = text[:cut]
	tail := string(text[cut:])
	stated, ok := strings.CutPrefix(tail, hashMark)
	stated, closed := strings.CutSuffix(stated, `"}`)
	if !ok || !closed || !hexHash.MatchString(stated) {
		return l, nil, "", errLine
	}
	d := json.NewDecoder(bytes.NewReader(append(bytes.Clone(body), '}')))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil || d.More() {
		return l, nil, "", errLine
	}
	return l, body, stated, nil
}

// maxLine bounds a line. Ours have some hundred bytes.
const maxLine = 8 << 10

var hexHash = regexp.MustCompile(`^[0-9a-f]{64}$`)

var errLine = errors.New("this is no line of an audit file")

// zone is that of days and times: UTC+8, wherever the machine believes it is.
func zone() *time.Location { return time.FixedZone("UTC+8", 8*60*60) }

// DayOf is the day a wall time belongs to, as in file names: 20060102.
func DayOf(t time.Time) string { return t.In(zone()).Format("20060102") }

// Files are called NUMBER-DAY.jsonl: the number gives their order, because a
// clock that was set back makes an older day follow a newer one.
func fileName(number int, day string) string { return fmt.Sprintf("%06d-%s.jsonl", number, day) }

var fileRule = regexp.MustCompile(`^([0-9]{6,9})-([0-9]{8})\.jsonl$`)

func parseName(name string) (number int, day string, ok bool) {
	m := fileRule.FindStringSubmatch(name)
	if m == nil {
		return 0, "", false
	}
	number, err := strconv.Atoi(m[1])
	return number, m[2], err == nil
}
