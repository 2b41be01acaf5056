package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"payagent/agent/audit"
	"payagent/queue"
	"payagent/queue/mem"
)

var key = []byte("0123456789abcdef0123456789abcdef")

func opts(dir string) audit.Options { return audit.Options{Dir: dir, Key: key, Keep: 400} }

// base is noon in UTC+8.
var base = time.Date(2026, 3, 1, 4, 0, 0, 0, time.UTC)

func put(t testing.TB, log *mem.Log, at time.Time, stream, kind string, part any) {
	t.Helper()
	fact := map[string]any{"kind": kind, "order": stream, "at": map[string]any{"wall": at.UnixMilli(), "boot": "b", "mono": 1}}
	if part != nil {
		fact[kind] = part
	}
	data, err := json.Marshal(fact)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.Append(context.Background(), queue.Batch{Records: []queue.Record{{Stream: stream, Data: data}}}); err != nil {
		t.Fatal(err)
	}
}

// write fills a log over three days and audits it.
func write(t testing.TB, log *mem.Log, dir string, n int) {
	t.Helper()
	k, err := audit.Open(log, opts(dir))
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		put(t, log, base.Add(time.Duration(i)*72*time.Hour/time.Duration(n)), fmt.Sprintf("MZ%04d", i/3), "refund",
			map[string]any{"request": fmt.Sprintf("R%d", i), "sum_fen": 100 + i, "operator": map[string]any{"id": "1001", "name": "王收费"}})
	}
	if err := k.CatchUp(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(k.Mark(), k.Close()); err != nil {
		t.Fatal(err)
	}
}

func verify(t testing.TB, log audit.Journal, dir string) audit.Result {
	t.Helper()
	r, err := audit.Verify(context.Background(), log, opts(dir), "")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func names(t testing.TB, dir string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(list)
	return list
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func save(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestWritten(t *testing.T) {
	log, dir := mem.Open(&mem.Disk{}), t.TempDir()
	var days []string
	k, err := audit.Open(log, audit.Options{Dir: dir, Key: key, Keep: 400, Anchor: func(day string, n uint64, hash string, fresh bool) {
		days = append(days, fmt.Sprint(day, " ", hash, " ", n, " ", fresh))
	}})
	if err != nil {
		t.Fatal(err)
	}
	put(t, log, base, "MZ1", "created", map[string]any{"bill": "B-SECRET", "amount_fen": 12850, "till": "w1", "operator": map[string]any{"id": "1001", "name": "王收费"}, "sealed": "c2VhbGVk"})
	put(t, log, base.Add(time.Second), "MZ1", "answer", map[string]any{"verb": "query", "status": "paid", "trade_no": "T1", "buyer": "b***r", "message": "typed"})
	put(t, log, base.Add(14*time.Hour), "MZ1", "refund", map[string]any{"request": "R1", "sum_fen": 50, "reason": "张三要求退", "operator": map[string]any{"id": "2002", "name": "李"}})
	put(t, log, base.Add(15*time.Hour), "note:abc", "data", map[string]any{"subject": "token first", "order": "MZ1"})
	if err := k.CatchUp(context.Background()); err != nil {
		t.Fatal(err)
	}
	n, head := k.Head()
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	list := names(t, dir)
	if n != 6 || len(list) != 2 || filepath.Base(list[0]) != "000001-20260301.jsonl" || filepath.Base(list[1]) != "000002-20260302.jsonl" {
		t.Fatalf("%d lines in %v", n, list)
	}
	if len(days) != 1 || !strings.HasPrefix(days[0], "20260301 ") {
		t.Fatalf("anchors %v", days)
	}
	var all bytes.Buffer
	for _, day := range []string{"20260301", "20260302"} {
		if err := audit.Show(dir, day, &all); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{`"kind":"refund"`, `"amount_fen":12850`, `"operator":"2002"`, `"operator_name":"王收费"`, `"status":"paid"`, `"trade_no":"T1"`, `"request":"R1"`, `"subject":"token first"`} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("the lines lack %s:\n%s", want, all.String())
		}
	}
	for _, never := range []string{"SECRET", "张三", "b***r", "c2VhbGVk", "typed"} {
		if strings.Contains(all.String(), never) {
			t.Errorf("the lines hold %s", never)
		}
	}
	// A start tells the last anchor again.
	k, err = audit.Open(log, audit.Options{Dir: dir, Key: key, Keep: 400, Anchor: func(day string, n uint64, hash string, fresh bool) {
		days = append(days, fmt.Sprint(day, " ", hash, " ", n, " ", fresh))
	}})
	if err == nil {
		err = errors.Join(k.CatchUp(context.Background()), k.Close())
	}
	if err != nil || len(days) != 2 || days[1] != strings.Replace(days[0], "true", "false", 1) {
		t.Fatalf("anchors %v, %v", days, err)
	}
	r := verify(t, log, dir)
	if !r.Good() || r.Compared != 4 || r.Head != head || r.Pending != 0 {
		t.Fatalf("%+v", r)
	}
	for anchor, good := range map[string]bool{head: true, head[:16]: true, strings.Fields(days[0])[1]: true, strings.Repeat("0", 64): false, head[:8]: false} {
		r, err := audit.Verify(context.Background(), log, opts(dir), anchor)
		if err != nil || r.Good() != good {
			t.Errorf("anchor %s: %+v, %v", anchor, r.Findings, err)
		}
	}
}

// Whatever is done to one line is found.
func TestTampering(t *testing.T) {
	log, dir := mem.Open(&mem.Disk{}), t.TempDir()
	write(t, log, dir, 60)
	if r := verify(t, log, dir); !r.Good() || r.Compared != 60 {
		t.Fatalf("%+v", r)
	}
	list := names(t, dir)
	acts := map[string]func(lines [][]byte, i int) [][]byte{
		"edit": func(l [][]byte, i int) [][]byte {
			l[i] = bytes.Replace(l[i], []byte(`"n":`), []byte(`"n": `), 1)
			return l
		},
		"amount": func(l [][]byte, i int) [][]byte {
			l[i] = bytes.Replace(l[i], []byte(`_fen":1`), []byte(`_fen":2`), 1)
			return l
		},
		"remove":  func(l [][]byte, i int) [][]byte { return slices.Delete(l, i, i+1) },
		"double":  func(l [][]byte, i int) [][]byte { return slices.Insert(l, i, l[i]) },
		"swap":    func(l [][]byte, i int) [][]byte { j := (i + 1) % len(l); l[i], l[j] = l[j], l[i]; return l },
		"cut off": func(l [][]byte, i int) [][]byte { return l[:i] },
		"splice":  func(l [][]byte, i int) [][]byte { l[i] = l[(i+len(l)/2)%len(l)]; return l },
		"noise":   func(l [][]byte, i int) [][]byte { l[i] = []byte("x"); return l },
	}
	for name, act := range acts {
		rapid.Check(t, func(rt *rapid.T) {
			path := list[rapid.IntRange(0, len(list)-1).Draw(rt, "file")]
			data := read(t, path)
			defer save(t, path, data)
			old := bytes.Split(bytes.TrimSuffix(data, []byte("\n")), []byte("\n"))
			i := rapid.IntRange(0, len(old)-1).Draw(rt, "line")
			lines := act(slices.Clone(old), i)
			changed := append(bytes.Join(lines, []byte("\n")), '\n')
			if bytes.Equal(changed, data) {
				return
			}
			if len(lines) == 0 {
				changed = nil
			}
			save(t, path, changed)
			if r := verify(t, log, dir); r.Good() {
				rt.Fatalf("%s of line %d of %s was not found", name, i+1, filepath.Base(path))
			}
		})
	}
	for _, path := range list {
		data := read(t, path)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if r := verify(t, log, dir); r.Good() {
			t.Errorf("the removal of %s was not found", filepath.Base(path))
		}
		save(t, path, data)
	}
	if r := verify(t, log, dir); !r.Good() {
		t.Fatalf("%+v", r.Findings)
	}
}

// One byte changed anywhere is found.
func TestEveryByte(t *testing.T) {
	log, dir := mem.Open(&mem.Disk{}), t.TempDir()
	write(t, log, dir, 3)
	for _, path := range names(t, dir) {
		data := read(t, path)
		for i := range data {
			bad := bytes.Clone(data)
			bad[i] ^= 1
			save(t, path, bad)
			if verify(t, log, dir).Good() {
				t.Fatalf("byte %d of %s: %q for %q", i, filepath.Base(path), bad[i], data[i])
			}
		}
		save(t, path, data)
	}
}

// edited is a log in which records were changed behind its back.
type edited struct {
	*mem.Log
	change func([]queue.Entry) []queue.Entry
	last   queue.Seq
}

func (e edited) After(seq queue.Seq, limit int) ([]queue.Entry, queue.Seq, error) {
	list, first, err := e.Log.After(seq, limit)
	return e.change(list), first, err
}

func (e edited) Last() queue.Seq {
	if e.last > 0 {
		return e.last
	}
	return e.Log.Last()
}

func code(r audit.Result, code string) bool {
	return slices.ContainsFunc(r.Findings, func(f audit.Finding) bool { return f.Code == code })
}

func TestJournalChanged(t *testing.T) {
	log, dir := mem.Open(&mem.Disk{}), t.TempDir()
	write(t, log, dir, 20)
	edit := edited{Log: log, change: func(l []queue.Entry) []queue.Entry {
		for i := range l {
			if l[i].Seq == 7 {
				l[i].Data = bytes.Replace(l[i].Data, []byte(`"sum_fen":106`), []byte(`"sum_fen":6`), 1)
			}
		}
		return l
	}}
	if r := verify(t, edit, dir); !code(r, audit.JournalEdited) || len(r.Findings) != 1 || r.Compared != 19 {
		t.Errorf("edit: %+v", r)
	}
	splice := edited{Log: log, change: func(l []queue.Entry) []queue.Entry {
		for i := range l {
			if l[i].Seq == 7 {
				l[i].Stream = "MZ0099"
			}
		}
		return l
	}}
	if r := verify(t, splice, dir); !code(r, audit.JournalEdited) {
		t.Errorf("splice: %+v", r)
	}
	back := edited{Log: log, last: 15, change: func(l []queue.Entry) []queue.Entry {
		return slices.DeleteFunc(l, func(e queue.Entry) bool { return e.Seq > 15 })
	}}
	if r := verify(t, back, dir); !code(r, audit.JournalShorter) {
		t.Errorf("rollback: %+v", r)
	}
	// The agent starts on the copy: the audit says so and begins anew with it.
	var broken []string
	o := opts(dir)
	o.Broken = func(c string) { broken = append(broken, c) }
	k, err := audit.Open(back, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(k.CatchUp(context.Background()), k.Mark(), k.Close()); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(broken, []string{"audit_log_replaced"}) {
		t.Errorf("told %v", broken)
	}
	if r := verify(t, back, dir); !code(r, audit.Replaced) || len(r.Findings) != 1 || r.Compared != 15 {
		t.Errorf("after the rollback: %+v", r)
	}
}

// A file cut off before a start is told for ever, and its lines are made anew.
func TestCutOffBeforeStart(t *testing.T) {
	log, dir := mem.Open(&mem.Disk{}), t.TempDir()
	write(t, log, dir, 30)
	path := names(t, dir)[3]
	data := read(t, path)
	half := data[:bytes.LastIndexByte(data[:len(data)/2], '\n')+1]
	save(t, path, half)
	if r := verify(t, log, dir); !code(r, audit.Truncated) {
		t.Fatalf("%+v", r)
	}
	write(t, log, dir, 0)
	if r := verify(t, log, dir); !code(r, audit.Lost) || len(r.Findings) != 1 || r.Compared != 30 {
		t.Fatalf("%+v", r)
	}
}

// Power lost at any byte of any write: nothing is missing, nothing is doubled.
func TestTorn(t *testing.T) {
	whole, src := mem.Open(&mem.Disk{}), t.TempDir()
	write(t, whole, src, 5)
	list := names(t, src)
	log := mem.Open(&mem.Disk{}) // the same records, and no cursor yet
	entries, _, err := whole.After(0, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, err := log.Append(context.Background(), queue.Batch{Records: []queue.Record{{Stream: e.Stream, Data: e.Data}}}); err != nil {
			t.Fatal(err)
		}
	}
	for last := range list {
		data := read(t, list[last])
		for cut := 0; cut <= len(data); cut++ {
			// Every byte at the ends of lines, every eleventh between them.
			if near := data[max(0, cut-2):min(len(data), cut+2)]; cut%11 != 0 && !bytes.ContainsRune(near, '\n') {
				continue
			}
			dir := t.TempDir()
			for i := range last {
				save(t, filepath.Join(dir, filepath.Base(list[i])), read(t, list[i]))
			}
			save(t, filepath.Join(dir, filepath.Base(list[last])), data[:cut])
			k, err := audit.Open(log, opts(dir))
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(k.CatchUp(context.Background()), k.Close()); err != nil {
				t.Fatal(err)
			}
			for i, path := range names(t, dir) {
				if !bytes.Equal(read(t, path), read(t, list[i])) {
					t.Fatalf("cut at byte %d of file %d: %s differs", cut, last, filepath.Base(path))
				}
			}
		}
	}
}

// Old files go by number, whatever the clock says; verify knows that.
func TestRetention(t *testing.T) {
	log, dir := mem.Open(&mem.Disk{}), t.TempDir()
	o := opts(dir)
	o.Keep = 3
	k, err := audit.Open(log, o)
	if err != nil {
		t.Fatal(err)
	}
	days := []int{0, 1, 9000, 2, 3} // the clock was 25 years ahead for a day
	for _, d := range days {
		put(t, log, base.AddDate(0, 0, d), "MZ1", "watched", nil)
	}
	if err := errors.Join(k.CatchUp(context.Background()), k.Close()); err != nil {
		t.Fatal(err)
	}
	list := names(t, dir)
	if len(list) != 3 || filepath.Base(list[2]) != "000005-20260304.jsonl" {
		t.Fatalf("%v", list)
	}
	r, err := audit.Verify(context.Background(), log, o, "")
	if err != nil || !r.Good() || r.Compared != 3 {
		t.Fatalf("%+v, %v", r, err)
	}
	if err := os.Remove(list[0]); err != nil {
		t.Fatal(err)
	}
	if r, err = audit.Verify(context.Background(), log, o, ""); err != nil || !code(r, audit.Missing) {
		t.Fatalf("the removal of the oldest file: %+v, %v", r, err)
	}
}

// A disk that refuses a write is met again later without a gap.
func TestWriteFails(t *testing.T) {
	log, dir := mem.Open(&mem.Disk{}), t.TempDir()
	k, err := audit.Open(log, opts(dir))
	if err != nil {
		t.Fatal(err)
	}
	put(t, log, base, "MZ1", "created", nil)
	if err := k.CatchUp(context.Background()); err != nil {
		t.Fatal(err)
	}
	put(t, log, base.AddDate(0, 0, 1), "MZ1", "ended", nil)
	next := filepath.Join(dir, "000002-20260302.jsonl")
	if err := os.MkdirAll(filepath.Join(next, "x"), 0o700); err != nil { // in the way
		t.Fatal(err)
	}
	if err := k.CatchUp(context.Background()); err == nil {
		t.Fatal("the file could be made")
	}
	if err := os.RemoveAll(next); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(k.CatchUp(context.Background()), k.Mark(), k.Close()); err != nil {
		t.Fatal(err)
	}
	if r := verify(t, log, dir); !r.Good() || r.Compared != 2 {
		t.Fatalf("%+v", r)
	}
}

func FuzzVerify(f *testing.F) {
	log, src := mem.Open(&mem.Disk{}), f.TempDir()
	write(f, log, src, 2)
	f.Add(read(f, names(f, src)[0]))
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		save(t, filepath.Join(dir, "000001-20260301.jsonl"), data)
		_, _ = audit.Verify(context.Background(), log, opts(dir), "")
		k, err := audit.Open(log, opts(dir))
		if err == nil {
			_ = errors.Join(k.CatchUp(context.Background()), k.Close())
		}
	})
}
