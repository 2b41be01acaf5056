package queuetest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"payagent/queue"
)

func durabilityCases() []Case {
	return []Case{
		{Name: "reopened", Rule: "What was written is there, the same, when the log is opened again.", Run: reopened},
		{Name: "numbers-go-on", Rule: "Seq numbers records without gaps, also across openings.", Run: numbersGoOn},
		{Name: "crash", Rule: "A crash at any instant loses no acknowledged batch and shows no half one.", Run: crash},
		{Name: "crash-cursor", Rule: "Cursors are kept durably.", Run: crashCursor},
		{Name: "writers", Rule: "Append may be called from many goroutines; each batch is written whole, once, and acknowledged with its own number.", Run: writers},
		{Name: "readers", Rule: "No method holds a transaction open after it returned; readers and writers do not wait for each other's results.", Run: readers},
		{Name: "fail-stop", Rule: "After the first storage error nothing is written any more: every later call gives ErrStopped.", Run: failStop, Needs: canFail},
		{Name: "after-failure", Rule: "Opened again after a failure, every acknowledged batch is whole and the failed one is whole or absent.", Run: afterFailure, Needs: canFail},
		{Name: "damaged-record", Rule: "A record that does not match its checksum is reported, never skipped.", Run: damagedRecord, Needs: func(e *Env) bool { return e.Damage != nil }},
	}
}

func canFail(e *Env) bool { return e.Fail != nil }

// allKeys and allCursors are what script uses.
func allKeys() []string    { return []string{"bill-1", "bill-2", "till", "idem"} }
func allCursors() []string { return []string{"his", "broker"} }

// script is a batch of every kind; each step changes all that a batch can.
func script(i int) queue.Batch {
	s := fmt.Sprint("order-", i)
	b := queue.Batch{
		Records: []queue.Record{rec(s, fmt.Sprint("accepted ", i), fmt.Sprint("bill-", i%3), "till"), rec(s, fmt.Sprint("sent ", i), "idem")},
		Slots:   []queue.Slot{{Key: s, Data: []byte(fmt.Sprint("slot ", i))}},
	}
	if i > 1 {
		old := fmt.Sprint("order-", i-2)
		b.Records = append(b.Records, rec(old, "paid"))
		b.Close, b.Free = []string{old}, []string{old}
	}
	return b
}

// same opens dir and compares it with a snapshot.
func same(e *Env, dir, what, before string) error {
	l, err := e.Open(dir)
	if err != nil {
		return wrong("%s: cannot open again: %w", what, err)
	}
	now, err := Snapshot(l, allKeys(), allCursors())
	if err != nil {
		return wrong("%s: %w", what, err)
	}
	if d := Diff(before, now); d != "" {
		return wrong("%s: %s", what, d)
	}
	return l.Close()
}

func reopened(e *Env) error {
	var before, where string
	err := with(e, func(dir string, l queue.Log) error {
		where = dir
		for i := range 12 {
			if _, err := put(l, script(i)); err != nil {
				return err
			}
		}
		if err := l.SetCursor("his", 7); err != nil {
			return err
		}
		var err error
		before, err = Snapshot(l, allKeys(), allCursors())
		return err
	})
	if err != nil {
		return err
	}
	for range 2 {
		if err := same(e, where, "after Close", before); err != nil {
			return err
		}
	}
	return nil
}

func numbersGoOn(e *Env) error {
	dir := e.Dir()
	for i := range 4 {
		l, err := e.Open(dir)
		if err != nil {
			return err
		}
		if n := l.Last(); n != queue.Seq(i) {
			return wrong("opening %d finds last record %d", i+1, n)
		}
		n, err := put(l, queue.Batch{Records: []queue.Record{rec("s", "x")}})
		if err != nil || n != queue.Seq(i+1) {
			return wrong("record %d got number %d, %v", i+1, n, err)
		}
		if err := l.Close(); err != nil {
			return err
		}
	}
	return nil
}

func crash(e *Env) error {
	return with(e, func(dir string, l queue.Log) error {
		for i := range 6 {
			if _, err := put(l, script(i)); err != nil {
				return err
			}
			before, err := Snapshot(l, allKeys(), allCursors())
			if err != nil {
				return err
			}
			to := e.Dir()
			if err := e.Crash(dir, to); err != nil {
				return err
			}
			if err := same(e, to, fmt.Sprintf("crash after batch %d", i+1), before); err != nil {
				return err
			}
		}
		return nil
	})
}

func crashCursor(e *Env) error {
	return with(e, func(dir string, l queue.Log) error {
		for i := range 3 {
			if err := l.SetCursor("broker", queue.Seq(i*10)); err != nil {
				return err
			}
			before, err := Snapshot(l, nil, allCursors())
			if err != nil {
				return err
			}
			to := e.Dir()
			if err := e.Crash(dir, to); err != nil {
				return err
			}
			c, err := e.Open(to)
			if err != nil {
				return err
			}
			now, err := Snapshot(c, nil, allCursors())
			if err := errors.Join(err, c.Close()); err != nil {
				return err
			}
			if d := Diff(before, now); d != "" {
				return wrong("crash after cursor %d: %s", i+1, d)
			}
		}
		return nil
	})
}

// Writers and Each are the size of the concurrency case.
const (
	Writers = 64
	Each    = 8
)

func writers(e *Env) error {
	var acked [Writers][Each]queue.Seq
	var where string
	check := func(l queue.Log) error {
		if n := l.Last(); n != Writers*Each*2 {
			return wrong("%d records written, Last is %d", Writers*Each*2, n)
		}
		all, _, err := l.After(0, Writers*Each*2+1)
		if err != nil || len(all) != Writers*Each*2 {
			return wrong("%d records read, %v", len(all), err)
		}
		seen := map[queue.Seq]bool{}
		for w := range Writers {
			list, err := l.Stream(fmt.Sprint("w", w))
			if err != nil || len(list) != Each*2 {
				return wrong("writer %d has %d records, %v", w, len(list), err)
			}
			for i := range Each {
				n := acked[w][i]
				if seen[n] {
					return wrong("number %d was given twice", n)
				}
				seen[n] = true
				for j, en := range list[2*i : 2*i+2] {
					if en.Seq != n-1+queue.Seq(j) || string(en.Data) != fmt.Sprintf("%d.%d.%d", w, i, j) || all[en.Seq-1].Stream != en.Stream {
						return wrong("batch %d of writer %d, acknowledged as %d, holds record %d with %q", i, w, n, en.Seq, en.Data)
					}
				}
			}
			found, err := l.Find(fmt.Sprint("k", w))
			if err := errors.Join(err, want("key", []string{fmt.Sprint("w", w)}, found)); err != nil {
				return err
			}
		}
		slots, err := l.Slots()
		if err != nil || len(slots) != Writers {
			return wrong("%d slots, %v", len(slots), err)
		}
		for _, s := range slots {
			if string(s.Data) != fmt.Sprint(Each-1) {
				return wrong("slot %s holds %q", s.Key, s.Data)
			}
		}
		return nil
	}
	err := with(e, func(dir string, l queue.Log) error {
		where = dir
		var wg sync.WaitGroup
		errs := make([]error, Writers)
		for w := range Writers {
			wg.Go(func() {
				s := fmt.Sprint("w", w)
				for i := range Each {
					n, err := l.Append(context.Background(), queue.Batch{
						Records: []queue.Record{rec(s, fmt.Sprintf("%d.%d.0", w, i), fmt.Sprint("k", w)), rec(s, fmt.Sprintf("%d.%d.1", w, i))},
						Slots:   []queue.Slot{{Key: s, Data: []byte(fmt.Sprint(i))}},
					})
					if err != nil {
						errs[w] = err
						return
					}
					acked[w][i] = n
				}
			})
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			return err
		}
		return check(l)
	})
	if err != nil {
		return err
	}
	l, err := e.Open(where)
	if err != nil {
		return err
	}
	if err := check(l); err != nil {
		return wrong("opened again: %w", err)
	}
	return l.Close()
}

func readers(e *Env) error {
	return with(e, func(_ string, l queue.Log) error {
		const n = 60
		if _, err := put(l, queue.Batch{Records: []queue.Record{rec("s", "0")}}); err != nil {
			return err
		}
		var wg sync.WaitGroup
		errs := make([]error, 4)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		for r := range errs {
			wg.Go(func() {
				for seq := queue.Seq(0); seq < n; {
					ended := ctx.Err() != nil // all has been written
					got, _, err := l.After(seq, 7)
					if err == nil && ended && len(got) == 0 {
						err = wrong("record %d was written and cannot be read", seq+1)
					}
					if err != nil {
						errs[r] = err
						return
					}
					for _, en := range got {
						if en.Seq != seq+1 || string(en.Data) != fmt.Sprint(seq) {
							errs[r] = wrong("after %d came %d with %q", seq, en.Seq, en.Data)
							return
						}
						seq = en.Seq
					}
					if _, err := l.Stream("s"); err != nil {
						errs[r] = err
						return
					}
				}
			})
		}
		var last error
		for i := 1; i < n && last == nil; i++ {
			_, last = put(l, queue.Batch{Records: []queue.Record{rec("s", fmt.Sprint(i))}})
		}
		cancel()
		wg.Wait()
		return errors.Join(append(errs, last)...)
	})
}

// broken writes some batches, makes the next one fail and returns the store
// with what was there before.
func broken(e *Env) (dir string, l queue.Log, before string, err error) {
	dir = e.Dir()
	if l, err = e.Open(dir); err != nil {
		return
	}
	for i := range 5 {
		if _, err = put(l, script(i)); err != nil {
			return
		}
	}
	if before, err = Snapshot(l, allKeys(), allCursors()); err != nil {
		return
	}
	if err = e.Fail(dir); err != nil {
		return
	}
	if _, aerr := l.Append(context.Background(), script(5)); !errors.Is(aerr, queue.ErrStopped) {
		err = wrong("Append on a failing disk gives %v instead of ErrStopped", aerr)
	}
	return
}

func failStop(e *Env) error {
	_, l, _, err := broken(e)
	if err != nil {
		return err
	}
	for range 2 {
		if err := allStopped(l); err != nil {
			return err
		}
	}
	return nil
}

func afterFailure(e *Env) error {
	dir, l, before, err := broken(e)
	if err != nil {
		return err
	}
	_, _ = l.Append(context.Background(), script(6))
	_ = l.Close() // may say what it could not write
	again, err := e.Open(dir)
	if err != nil {
		return wrong("cannot open after a failed write: %w", err)
	}
	now, err := Snapshot(again, allKeys(), allCursors())
	if err != nil {
		return err
	}
	if now != before {
		// The failed batch may have been written, but then whole.
		ref := e.Dir()
		r, err := e.Open(ref)
		if err != nil {
			return err
		}
		for i := range 6 {
			if _, err := put(r, script(i)); err != nil {
				return err
			}
		}
		full, err := Snapshot(r, allKeys(), allCursors())
		if err := errors.Join(err, r.Close()); err != nil {
			return err
		}
		if d := Diff(full, now); d != "" {
			return wrong("neither the state before the failed batch nor the one after it: %s; %s", Diff(before, now), d)
		}
	}
	if _, err := put(again, script(7)); err != nil {
		return wrong("the log does not go on after it was opened again: %w", err)
	}
	return again.Close()
}

func damagedRecord(e *Env) error {
	dir := e.Dir()
	l, err := e.Open(dir)
	if err != nil {
		return err
	}
	for i := range 5 {
		if _, err := put(l, queue.Batch{Records: []queue.Record{rec("s", fmt.Sprintf("a record to be damaged %d", i))}, Close: []string{"s"}}); err != nil {
			return err
		}
	}
	if err := l.Close(); err != nil {
		return err
	}
	if err := e.Damage(dir, 3); err != nil {
		return err
	}
	if l, err = e.Open(dir); err != nil {
		if errors.Is(err, queue.ErrDamaged) {
			return nil
		}
		return wrong("opening a damaged store gives %v", err)
	}
	for name, read := range map[string]func() error{
		"Stream": func() error { _, err := l.Stream("s"); return err },
		"After":  func() error { _, _, err := l.After(0, 10); return err },
	} {
		if err := read(); !errors.Is(err, queue.ErrStopped) {
			return wrong("%s over a damaged record gives %v", name, err)
		}
	}
	return nil
}
