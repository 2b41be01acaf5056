package bolt

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"payagent/queue"
)

// resident is how much of the open file lies in this process's memory, in KiB.
func resident(t *testing.T, path string) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	total, mine := 0, false
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if !strings.HasSuffix(fields[0], ":") {
			mine = strings.HasSuffix(strings.TrimSpace(line), path)
			continue
		}
		if mine && fields[0] == "Rss:" {
			kib := 0
			if _, err := fmt.Sscan(fields[1], &kib); err != nil {
				t.Fatal(err)
			}
			total += kib
		}
	}
	return total
}

// TestWalkIsForgotten: who opens or reads the whole log once does not keep it in memory,
// and reads the same again.
func TestWalkIsForgotten(t *testing.T) {
	dir := t.TempDir()
	l, _, err := Open(dir, Options{Writer: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	const records, size = 3 * pagesFor, 1000
	for from := 0; from < records; from += 128 {
		var b queue.Batch
		for i := range 128 {
			stream := fmt.Sprint("s", from+i)
			b.Records = append(b.Records, queue.Record{Stream: stream, Data: bytes.Repeat([]byte{byte(from + i)}, size)})
			b.Close = append(b.Close, stream) // what is open is read when the file is opened
		}
		if _, err := l.Append(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if l, _, err = Open(dir, Options{Writer: 1}); err != nil {
		t.Fatal(err)
	}
	if kib := resident(t, dir+"/"+dbName); kib > records*size/1024/2 {
		t.Errorf("%d KiB of %d KiB of the file are in memory after opening", kib, records*size/1024)
	}
	for range 2 {
		var at queue.Seq
		for n := 0; ; {
			got, _, err := l.After(at, 256)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) == 0 {
				if n != records {
					t.Errorf("%d of %d records", n, records)
				}
				break
			}
			for _, e := range got {
				if n++; !bytes.Equal(e.Data, bytes.Repeat([]byte{byte(uint64(e.Seq) - 1)}, size)) {
					t.Fatal("another record at", e.Seq)
				}
			}
			at = got[len(got)-1].Seq
		}
		if kib := resident(t, dir+"/"+dbName); kib > records*size/1024/2 {
			t.Errorf("%d KiB of the file are in memory after a walk of %d KiB", kib, records*size/1024)
		}
	}
	if _, _, err := l.After(0, 1024); err != nil {
		t.Fatal(err)
	}
	before := resident(t, dir+"/"+dbName)
	if err := l.GiveBack(); err != nil {
		t.Fatal(err)
	}
	if kib := resident(t, dir+"/"+dbName); kib > before/4 {
		t.Errorf("%d KiB of %d KiB are in memory after they were given back", kib, before)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.GiveBack(); err == nil {
		t.Error("a closed file's pages were given back")
	}
}
