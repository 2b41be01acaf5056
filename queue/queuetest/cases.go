package queuetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"payagent/queue"
)

// Cases returns all cases. Cases are independent of each other.
func Cases() []Case {
	return slices.Concat([]Case{
		{Name: "numbers", Rule: "Seq numbers records from 1, without gaps, in the order they were written.", Run: numbers},
		{Name: "batch-number", Rule: "Append returns the number of the batch's last record (Last, if it has none).", Run: batchNumber},
		{Name: "stream", Rule: "Stream returns a stream's entries in order; none is not an error.", Run: stream},
		{Name: "after", Rule: "After returns up to limit entries with numbers greater than seq, in order; first is 1 unless something was pruned.", Run: after},
		{Name: "data", Rule: "Data is opaque, at most 64 KiB, and belongs to the log once written.", Run: data},
		{Name: "open", Rule: "Open lists the streams that are not closed, oldest first.", Run: open},
		{Name: "late-record", Rule: "A record on a closed stream opens the stream again, unless its batch closes it too.", Run: lateRecord},
		{Name: "close-unknown", Rule: "Closing a stream or freeing a slot that does not exist is harmless.", Run: closeUnknown},
		{Name: "find", Rule: "Find lists the streams written with the key, oldest first.", Run: find},
		{Name: "find-exact", Rule: "Keys are secondary keys under which the stream is found again: this key, no other.", Run: findExact},
		{Name: "slots", Rule: "Setting a slot again replaces it; Slots lists what the second file holds, by key.", Run: slots},
		{Name: "slot-order", Rule: "Within a batch freed slots come before set slots.", Run: slotOrder},
		{Name: "cursors", Rule: "Cursors are named places in the log, kept durably, 0 until set.", Run: cursors},
		{Name: "bounds", Rule: "A batch that breaks a bound is refused with ErrTooBig before anything is written, and the log goes on.", Run: bounds},
		{Name: "canceled", Rule: "ctx is looked at until the batch is handed over.", Run: canceled},
		{Name: "closed", Rule: "After Close every call but Close gives ErrStopped too.", Run: closed},
	}, durabilityCases())
}

// rec is a record in a line.
func rec(stream, data string, keys ...string) queue.Record {
	return queue.Record{Stream: stream, Keys: keys, Data: []byte(data)}
}

// with opens a new store, runs fn and closes it.
func with(e *Env, fn func(dir string, l queue.Log) error) error {
	dir := e.Dir()
	l, err := e.Open(dir)
	if err != nil {
		return wrong("cannot open an empty directory: %w", err)
	}
	if err := fn(dir, l); err != nil {
		return err
	}
	if err := l.Close(); err != nil {
		return wrong("Close: %w", err)
	}
	return nil
}

func put(l queue.Log, b queue.Batch) (queue.Seq, error) {
	n, err := l.Append(context.Background(), b)
	if err != nil {
		return 0, wrong("Append: %w", err)
	}
	return n, nil
}

// want compares what is printed of two values.
func want(what string, want, got any) error {
	if w, g := fmt.Sprintf("%q", want), fmt.Sprintf("%q", got); w != g {
		return wrong("%s: want %s, got %s", what, w, g)
	}
	return nil
}

func numbers(e *Env) error {
	return with(e, func(_ string, l queue.Log) error {
		if n := l.Last(); n != 0 {
			return wrong("an empty log has a last record %d", n)
		}
		for i := range 20 {
			n, err := put(l, queue.Batch{Records: []queue.Record{rec(fmt.Sprint("s", i%3), fmt.Sprint(i))}})
			if err != nil {
				return err
			}
			if n != queue.Seq(i+1) || l.Last() != n {
				return wrong("record %d got number %d, Last is %d", i+1, n, l.Last())
			}
		}
		all, _, err := l.After(0, 100)
		if err != nil {
			return err
		}
		if len(all) != 20 {
			return wrong("20 records written, %d read", len(all))
		}
		for i, en := range all {
			if en.Seq != queue.Seq(i+1) || string(en.Data) != fmt.Sprint(i) || en.Stream != fmt.Sprint("s", i%3) {
				return wrong("place %d holds record %d of %s with %q", i+1, en.Seq, en.Stream, en.Data)
			}
		}
		return nil
	})
}

func batchNumber(e *Env) error {
	return with(e, func(_ string, l queue.Log) error {
		for _, c := range []struct {
			b    queue.Batch
			want queue.Seq
		}{
			{queue.Batch{}, 0},
			{queue.Batch{Records: []queue.Record{rec("a", "1"), rec("b", "2"), rec("a", "3")}}, 3},
			{queue.Batch{Close: []string{"a"}}, 3},
			{queue.Batch{Slots: []queue.Slot{{Key: "a"}}}, 3},
			{queue.Batch{Records: []queue.Record{rec("b", "4")}, Free: []string{"a"}}, 4},
		} {
			if n, err := put(l, c.b); err != nil || n != c.want {
				return wrong("want %d, got %d, %v", c.want, n, err)
			}
		}
		return nil
	})
}

func stream(e *Env) error {
	return with(e, func(_ string, l queue.Log) error {
		if got, err := l.Stream("nobody"); err != nil || len(got) != 0 {
			return wrong("an unknown stream gives %v, %v", got, err)
		}
		for i := range 30 {
			if _, err := put(l, queue.Batch{Records: []queue.Record{rec("a", fmt.Sprint("a", i)), rec("ab", fmt.Sprint("b", i))}}); err != nil {
				return err
			}
		}
		for _, name := range []string{"a", "ab"} {
			got, err := l.Stream(name)
			if err != nil {
				return err
			}
			if len(got) != 30 {
				return wrong("stream %s has %d entries instead of 30", name, len(got))
			}
			for i, en := range got {
				if w := fmt.Sprint(name[len(name)-1:], i); string(en.Data) != w || en.Stream != name {
					return wrong("entry %d of %s is %q of %s", i, name, en.Data, en.Stream)
				}
				if i > 0 && en.Seq <= got[i-1].Seq {
					return wrong("stream %s is out of order", name)
				}
			}
		}
		return nil
	})
}

func after(e *Env) error {
	return with(e, func(_ string, l queue.Log) error {
		if got, first, err := l.After(0, 10); err != nil || len(got) != 0 || first != 1 {
			return wrong("an empty log gives %v, first %d, %v", got, first, err)
		}
		for i := range 10 {
			if _, err := put(l, queue.Batch{Records: []queue.Record{rec("s", fmt.Sprint(i+1))}}); err != nil {
				return err
			}
		}
		for _, c := range []struct {
			seq   queue.Seq
			limit int
			want  string
		}{{0, 3, "1 2 3"}, {3, 3, "4 5 6"}, {8, 9, "9 10"}, {10, 5, ""}, {99, 5, ""}, {^queue.Seq(0), 5, ""}, {4, 0, ""}, {4, -1, ""}, {4, 1, "5"}} {
			got, first, err := l.After(c.seq, c.limit)
			if err != nil || first != 1 {
				return wrong("After(%d, %d): first %d, %v", c.seq, c.limit, first, err)
			}
			var s []string
			for _, en := range got {
				s = append(s, fmt.Sprint(en.Seq))
			}
			if j := strings.Join(s, " "); j != c.want {
				return wrong("After(%d, %d) is %q, want %q", c.seq, c.limit, j, c.want)
			}
		}
		return nil
	})
}

func data(e *Env) error {
	return with(e, func(_ string, l queue.Log) error {
		cases := [][]byte{{}, {0}, []byte("\x00\xff\xfe\n"), bytes.Repeat([]byte("0123456789abcdef"), queue.MaxData/16)}
		for _, d := range cases {
			mine := bytes.Clone(d)
			n, err := put(l, queue.Batch{Records: []queue.Record{{Stream: "s", Data: mine}}})
			if err != nil {
				return err
			}
			for i := range mine {
				mine[i] ^= 0x55
			}
			for range 2 {
				got, _, err := l.After(n-1, 1)
				if err != nil || len(got) != 1 || !bytes.Equal(got[0].Data, d) {
					return wrong("%d bytes came back otherwise (%v)", len(d), err)
				}
				for i := range got[0].Data {
					got[0].Data[i] = 7 // a reader's copy is its own
				}
			}
		}
		return nil
	})
}

func open(e *Env) error {
	return with(e, func(_ string, l queue.Log) error {
		for _, s := range []string{"z", "m", "a", "q"} {
			if _, err := put(l, queue.Batch{Records: []queue.Record{rec(s, "x")}}); err != nil {
				return err
			}
		}
		if _, err := put(l, queue.Batch{Records: []queue.Record{rec("m", "y")}, Close: []string{"a"}}); err != nil {
			return err
		}
		if _, err := put(l, queue.Batch{Records: []queue.Record{rec("n", "at once")}, Close: []string{"n"}}); err != nil {
			return err
		}
		got, err := l.Open()
		if err != nil {
			return err
		}
		if err := want("open", []string{"z", "m", "q"}, got); err != nil {
			return err
		}
		closed, err := l.Stream("a")
		if err != nil || len(closed) != 1 {
			return wrong("a closed stream is still read by name, got %d, %v", len(closed), err)
		}
		return nil
	})
}

func lateRecord(e *Env) error {
	return with(e, func(_ string, l queue.Log) error {
		steps := []struct {
			b    queue.Batch
			want []string
		}{
			{queue.Batch{Records: []queue.Record{rec("a", "1")}, Close: []string{"a"}}, []string{}},
			{queue.Batch{Records: []queue.Record{rec("b", "1")}}, []string{"b"}},
			{queue.Batch{Records: []queue.Record{rec("a", "2")}}, []string{"a", "b"}},
			{queue.Batch{Records: []queue.Record{rec("a", "3")}, Close: []string{"a"}}, []string{"b"}},
		}
		for i, s := range steps {
			if _, err := put(l, s.b); err != nil {
				return err
			}
			got, err := l.Open()
			if err != nil {
				return err
			}
			if err := want(fmt.Sprint("open after step ", i), s.want, got); err != nil {
				return err
			}
		}
		return nil
	})
}

func closeUnknown(e *Env) error {
	return with(e, func(_ string, l queue.Log) error {
		if _, err := put(l, queue.Batch{Close: []string{"nobody"}, Free: []string{"nothing"}}); err != nil {
			return err
		}
		n, err := put(l, queue.Batch{Records: []queue.Record{rec("nobody", "x")}})
		if err != nil || n != 1 {
			return wrong("the log does not go on: %d, %v", n, err)
		}
		got, err := l.Open()
		return errors.Join(err, want("open", []string{"nobody"}, got))
	})
}

func find(e *Env) error {
	return with(e, func(_ string, l queue.Log) error {
		for _, r := range []queue.Record{
			rec("z", "1", "bill", "till"), rec("a", "2", "till"), rec("z", "3", "till"), rec("m", "4", "bill", "bill"), rec("m", "5"),
		} {
			if _, err := put(l, queue.Batch{Records: []queue.Record{r}}); err != nil {
				return err
			}
		}
		if _, err := put(l, queue.Batch{Close: []string{"z"}}); err != nil {
			return err
		}
		for key, w := range map[string][]string{"bill": {"z", "m"}, "till": {"z", "a"}, "none": {}, "": {}, strings.Repeat("k", 500): {}} {
			got, err := l.Find(key)
			if err != nil {
				return wrong("Find: %w", err)
			}
			if err := want("key "+key, append([]string{}, w...), append([]string{}, got...)); err != nil {
				return err
			}
		}
		return nil
	})
}

func findExact(e *Env) error {
	return with(e, func(_ string, l queue.Log) error {
		// Key and stream put together in any clumsy way collide here.
		pairs := [][2]string{{"a", "bc"}, {"ab", "c"}, {"a\x00b", "c"}, {"a", "b\x00c"}, {"a/b", "c"}, {"a", "b/c"}, {"A", "bc"}, {strings.Repeat("k", 128), strings.Repeat("s", 64)}}
		for _, p := range pairs {
			if _, err := put(l, queue.Batch{Records: []queue.Record{rec(p[1], "x", p[0])}}); err != nil {
				return err
			}
		}
		for key, w := range map[string][]string{"a": {"bc", "b\x00c", "b/c"}, "ab": {"c"}, "a\x00b": {"c"}, "a/b": {"c"}, "A": {"bc"}, "a/": {}, strings.Repeat("k", 128): {strings.Repeat("s", 64)}, strings.Repeat("k", 127): {}} {
			got, err := l.Find(key)
			if err != nil {
				return err
			}
			if err := want("key "+key, append([]string{}, w...), append([]string{}, got...)); err != nil {
				return err
			}
		}
		return nil
	})
}

func slots(e *Env) error {
	return with(e, func(_ string, l queue.Log) error {
		steps := []struct {
			b    queue.Batch
			want string
		}{
			{queue.Batch{Slots: []queue.Slot{{Key: "z", Data: []byte("1")}, {Key: "a", Data: []byte("2")}}}, "a=2 z=1"},
			{queue.Batch{Slots: []queue.Slot{{Key: "z", Data: []byte("3")}}}, "a=2 z=3"},
			{queue.Batch{Slots: []queue.Slot{{Key: "q"}, {Key: "q", Data: []byte("twice")}}}, "a=2 q=twice z=3"},
			{queue.Batch{Free: []string{"z"}}, "a=2 q=twice"},
			{queue.Batch{Free: []string{"a", "q"}, Records: []queue.Record{rec("a", "end")}, Close: []string{"a"}}, ""},
			{queue.Batch{Slots: []queue.Slot{{Key: "z", Data: bytes.Repeat([]byte("x"), queue.MaxSlotData)}}}, "z=" + strings.Repeat("x", queue.MaxSlotData)},
		}
		for i, s := range steps {
			if _, err := put(l, s.b); err != nil {
				return err
			}
			if err := wantSlots(l, fmt.Sprint("step ", i), s.want); err != nil {
				return err
			}
		}
		return nil
	})
}

func wantSlots(l queue.Log, what, w string) error {
	list, err := l.Slots()
	if err != nil {
		return err
	}
	var got []string
	for _, s := range list {
		got = append(got, s.Key+"="+string(s.Data))
	}
	return want("slots after "+what, w, strings.Join(got, " "))
}

func slotOrder(e *Env) error {
	return with(e, func(_ string, l queue.Log) error {
		for range 2 {
			if _, err := put(l, queue.Batch{Free: []string{"a"}, Slots: []queue.Slot{{Key: "a", Data: []byte("new")}}}); err != nil {
				return err
			}
			if err := wantSlots(l, "free and set", "a=new"); err != nil {
				return err
			}
		}
		return nil
	})
}

func cursors(e *Env) error {
	return with(e, func(_ string, l queue.Log) error {
		for _, c := range []struct {
			name string
			seq  queue.Seq
		}{{"his", 5}, {"broker", 1 << 60}, {"his", 3}, {strings.Repeat("n", 64), 1}} {
			if err := l.SetCursor(c.name, c.seq); err != nil {
				return wrong("SetCursor: %w", err)
			}
			if n, err := l.Cursor(c.name); err != nil || n != c.seq {
				return wrong("cursor %s is %d (%v), want %d", c.name, n, err, c.seq)
			}
		}
		if n, err := l.Cursor("never set"); err != nil || n != 0 {
			return wrong("an unset cursor is %d, %v", n, err)
		}
		for _, name := range []string{"", strings.Repeat("n", 65)} {
			if err := l.SetCursor(name, 1); !errors.Is(err, queue.ErrTooBig) {
				return wrong("a cursor's name of %d bytes gives %v", len(name), err)
			}
		}
		return nil
	})
}

func bounds(e *Env) error {
	return with(e, func(_ string, l queue.Log) error {
		many := make([]queue.Record, queue.MaxRecords+1)
		for i := range many {
			many[i] = rec("s", "x")
		}
		heavy := make([]queue.Record, 9)
		for i := range heavy {
			heavy[i] = queue.Record{Stream: "s", Data: make([]byte, queue.MaxData)}
		}
		for name, b := range map[string]queue.Batch{
			"no stream":        {Records: []queue.Record{rec("", "x")}},
			"stream of 65":     {Records: []queue.Record{rec(strings.Repeat("s", 65), "x")}},
			"empty key":        {Records: []queue.Record{rec("s", "x", "")}},
			"key of 129":       {Records: []queue.Record{rec("s", "x", strings.Repeat("k", 129))}},
			"17 keys":          {Records: []queue.Record{rec("s", "x", strings.Split("abcdefghijklmnopq", "")...)}},
			"data too long":    {Records: []queue.Record{{Stream: "s", Data: make([]byte, queue.MaxData+1)}}},
			"second is wrong":  {Records: []queue.Record{rec("s", "good"), rec("", "x")}},
			"too many records": {Records: many},
			"too heavy":        {Records: heavy},
			"slot without key": {Slots: []queue.Slot{{}}},
			"slot key of 65":   {Slots: []queue.Slot{{Key: strings.Repeat("s", 65)}}},
			"slot of 161":      {Slots: []queue.Slot{{Key: "s", Data: make([]byte, 161)}}},
			"close of nothing": {Records: []queue.Record{rec("s", "good")}, Close: []string{""}},
			"free of nothing":  {Records: []queue.Record{rec("s", "good")}, Free: []string{""}},
		} {
			if _, err := l.Append(context.Background(), b); !errors.Is(err, queue.ErrTooBig) {
				return wrong("%s: %v", name, err)
			}
			if n := l.Last(); n != 0 {
				return wrong("%s: something was written", name)
			}
		}
		n, err := put(l, queue.Batch{Records: many[:queue.MaxRecords]})
		if err != nil || n != queue.MaxRecords {
			return wrong("the largest batch gives %d, %v", n, err)
		}
		n, err = put(l, queue.Batch{Records: heavy[:8]})
		if err != nil || n != queue.MaxRecords+8 {
			return wrong("the heaviest batch gives %d, %v", n, err)
		}
		return nil
	})
}

func canceled(e *Env) error {
	return with(e, func(_ string, l queue.Log) error {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := l.Append(ctx, queue.Batch{Records: []queue.Record{rec("s", "x")}}); !errors.Is(err, context.Canceled) {
			return wrong("Append gives %v", err)
		}
		if n, err := put(l, queue.Batch{Records: []queue.Record{rec("s", "y")}}); err != nil || n != 1 {
			return wrong("the next record has number %d, %v", n, err)
		}
		return nil
	})
}

func closed(e *Env) error {
	dir := e.Dir()
	l, err := e.Open(dir)
	if err != nil {
		return err
	}
	if _, err := put(l, queue.Batch{Records: []queue.Record{rec("s", "x")}}); err != nil {
		return err
	}
	if err := errors.Join(l.Close(), l.Close()); err != nil {
		return wrong("Close: %w", err)
	}
	return allStopped(l)
}

// allStopped checks that every call gives ErrStopped.
func allStopped(l queue.Log) error {
	calls := map[string]func() error{
		"Append": func() error {
			_, err := l.Append(context.Background(), queue.Batch{Records: []queue.Record{rec("s", "late")}})
			return err
		},
		"Stream":    func() error { _, err := l.Stream("s"); return err },
		"After":     func() error { _, _, err := l.After(0, 1); return err },
		"Open":      func() error { _, err := l.Open(); return err },
		"Find":      func() error { _, err := l.Find("k"); return err },
		"Slots":     func() error { _, err := l.Slots(); return err },
		"Cursor":    func() error { _, err := l.Cursor("c"); return err },
		"SetCursor": func() error { return l.SetCursor("c", 1) },
	}
	for name, call := range calls {
		if err := call(); !errors.Is(err, queue.ErrStopped) {
			return wrong("%s gives %v instead of ErrStopped", name, err)
		}
	}
	return nil
}
