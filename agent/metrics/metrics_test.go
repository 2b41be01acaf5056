package metrics

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// family writes a metric with n series.
func family(name string, n int) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "# HELP %[1]s Text.\n# TYPE %[1]s counter\n", name)
		for i := range n {
			if err == nil {
				_, err = fmt.Fprintf(w, "%s{n=\"%d\"} 1\n", name, i)
			}
		}
		return err
	}
}

func count(page []byte) (n int) {
	for line := range strings.Lines(string(page)) {
		if !strings.HasPrefix(line, "#") {
			n++
		}
	}
	return n
}

// TestBound: a page has at most 400 series, and what is left out is whole and
// told.
func TestBound(t *testing.T) {
	for _, c := range []struct {
		sizes []int
		want  int // series
		left  int
		gone  []int
	}{
		{[]int{1, 2, 3}, 7, 0, nil},
		{[]int{199, 200}, 400, 0, nil},
		{[]int{200, 200}, 201, 200, []int{0}},
		{[]int{10, 300, 20, 150, 5}, 186, 300, []int{1}},
		{[]int{300, 350, 20, 380}, 321, 730, []int{1, 3}},
		{[]int{5000}, 1, 5000, []int{0}},
		{nil, 1, 0, nil},
	} {
		var parts []func(io.Writer) error
		for i, n := range c.sizes {
			parts = append(parts, family(fmt.Sprintf("m%d", i), n))
		}
		page, err := Page(parts...)
		if err != nil {
			t.Fatal(err)
		}
		if n := count(page); n != c.want || n > Most || !strings.HasSuffix(string(page), fmt.Sprintf("%s %d\n", leftOut, c.left)) {
			t.Errorf("%v: %d series, ends with %q", c.sizes, n, page[max(0, len(page)-60):])
		}
		for i, n := range c.sizes {
			want := n
			for _, g := range c.gone {
				if g == i {
					want = 0
				}
			}
			if got := strings.Count(string(page), fmt.Sprintf("\nm%d{", i)); got != want {
				t.Errorf("%v: metric %d has %d series, not %d", c.sizes, i, got, want)
			}
			if texts := strings.Count(string(page), fmt.Sprintf(" m%d ", i)); texts != map[bool]int{true: 2}[want > 0] {
				t.Errorf("%v: metric %d has %d texts", c.sizes, i, texts)
			}
		}
	}
	bad := errors.New("no figures")
	if _, err := Page(family("m", 1), func(io.Writer) error { return bad }); !errors.Is(err, bad) {
		t.Error(err)
	}
}

// TestFile: the file is there at once, whole, for everybody to read, follows the
// figures, and is gone when the agent ends.
func TestFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "payagent.prom")
	// Somebody put a link where the file is made.
	prey := filepath.Join(t.TempDir(), "prey")
	if err := os.WriteFile(prey, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(prey, path+".new"); err != nil && runtime.GOOS != "windows" {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		n, told := 0, []error{}
		var broken atomic.Pointer[error]
		bad := errors.New("broken")
		f := File{Path: path, Every: 30 * time.Second, Failed: func(err error) { told = append(told, err) }, Page: func() ([]byte, error) {
			n++
			if err := broken.Load(); err != nil {
				return nil, *err
			}
			return fmt.Appendf(nil, "n %d\n", n), nil
		}}
		ctx, cancel := context.WithCancel(context.Background())
		var ended error
		var wg sync.WaitGroup
		wg.Go(func() { ended = f.Run(ctx) })
		has := func(want string) {
			t.Helper()
			synctest.Wait()
			data, err := os.ReadFile(path)
			if err != nil || string(data) != want {
				t.Errorf("%q, %v; want %q", data, err, want)
			}
		}
		has("n 1\n")
		if i, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && i.Mode() != 0o644 {
			t.Errorf("%v %v", i.Mode(), err)
		}
		time.Sleep(31 * time.Second)
		has("n 2\n")
		broken.Store(&bad)
		time.Sleep(time.Minute)
		has("n 2\n")
		broken.Store(nil)
		time.Sleep(30 * time.Second)
		has("n 5\n")
		if len(told) != 2 || told[0] == nil || told[1] != nil {
			t.Errorf("told %v", told)
		}
		cancel()
		wg.Wait()
		if ended != nil {
			t.Error(ended)
		}
	})
	list, err := os.ReadDir(dir)
	if err != nil || len(list) != 0 {
		t.Errorf("left behind: %v %v", list, err)
	}
	if data, err := os.ReadFile(prey); err != nil || string(data) != "mine" {
		t.Errorf("the link's target: %q %v", data, err)
	}
}

// TestWholeForReaders: who reads while it is written sees one page, never a part
// of one.
func TestWholeForReaders(t *testing.T) {
	path := filepath.Join(t.TempDir(), "payagent.prom")
	long := strings.Repeat("x 1\n", 1<<14)
	f := File{Path: path, Page: func() ([]byte, error) { return []byte(long), nil }}
	if err := f.Write(); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for range 50 {
			if err := f.Write(); err != nil {
				t.Error(err)
			}
		}
	})
	for range 50 {
		if data, err := os.ReadFile(path); err != nil || string(data) != long {
			t.Errorf("%d of %d bytes, %v", len(data), len(long), err)
		}
	}
	wg.Wait()
}

// TestNoFolder: what cannot be written is an error that says what to do.
func TestNoFolder(t *testing.T) {
	f := File{Path: filepath.Join(t.TempDir(), "none", "payagent.prom"), Page: func() ([]byte, error) { return nil, nil }}
	if err := f.Write(); err == nil || !strings.Contains(err.Error(), "the service's user needs the folder") {
		t.Error(err)
	}
}
