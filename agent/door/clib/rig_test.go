package clib

import (
	"bufio"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"payagent/agent/door/livetest"
)

// The library under test runs in a process of its own; without this flag it is
// compiled here with the sanitizers. `build` gives the one for Windows.
var driver = flag.String("driver", "", "command that runs a driver built elsewhere, e.g. 'wine64 drive.exe'")

// What payagent.h promises.
const (
	ok          = 0
	no          = 1
	usage       = 2
	open        = 3
	inDoubt     = 4
	unreachable = 5
	refused     = 6
	tooSmall    = 7
)

// drive is a process that calls the library.
type drive struct {
	t    testing.TB
	in   io.WriteCloser
	out  *bufio.Reader
	errs *strings.Builder
	mu   sync.Mutex
}

// compile builds the driver; the sanitizers end it at the first wrong byte.
func compile(t testing.TB) []string {
	t.Helper()
	if *driver != "" {
		return strings.Fields(*driver)
	}
	bin := filepath.Join(t.TempDir(), "drive")
	src, err := filepath.Glob("src/*.c")
	if err != nil || len(src) != 4 {
		t.Fatal(src, err)
	}
	args := append([]string{"-std=c99", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-o", bin, "testdata/drive.c"}, src...)
	if out, err := exec.CommandContext(t.Context(), "gcc", append(args, "-lpthread")...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return []string{bin}
}

func newDrive(t testing.TB) *drive {
	t.Helper()
	argv := compile(t)
	cmd := exec.Command(argv[0], argv[1:]...)
	// A sanitizer's word comes on stderr; leaks count as well.
	cmd.Env = append(os.Environ(), "ASAN_OPTIONS=detect_leaks=1:abort_on_error=0")
	d := &drive{t: t, errs: &strings.Builder{}}
	cmd.Stderr = d.errs
	var err error
	if d.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	d.out = bufio.NewReader(out)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = d.in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the library's process ended with %v\n%s", err, d.errs)
		}
	})
	return d
}

// null is a NULL pointer.
const null = "\x00NULL\x00"

// answer is what a call gave.
type answer struct {
	code, status, need int
	out                []byte // the whole buffer of a call
}

// text is what a C program sees: up to the NUL, which must be there.
func (a answer) text(t testing.TB) string {
	t.Helper()
	s, _, found := strings.Cut(string(a.out), "\x00")
	if !found && len(a.out) > 0 {
		t.Fatalf("the text does not end: %q", a.out)
	}
	return s
}

var errEnded = errors.New("the library's process ended")

func (d *drive) try(fields ...string) (answer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	msg := binary.LittleEndian.AppendUint32(nil, uint32(len(fields)))
	for _, f := range fields {
		if f == null {
			msg = binary.LittleEndian.AppendUint32(msg, 0xFFFFFFFF)
			continue
		}
		msg = binary.LittleEndian.AppendUint32(msg, uint32(len(f)))
		msg = append(msg, f...)
	}
	if _, err := d.in.Write(msg); err != nil {
		return answer{}, errors.Join(errEnded, err)
	}
	var n uint32
	read := func() []byte {
		if binary.Read(d.out, binary.LittleEndian, &n) != nil {
			return nil
		}
		b := make([]byte, n)
		if _, err := io.ReadFull(d.out, b); err != nil {
			return nil
		}
		return b
	}
	if err := binary.Read(d.out, binary.LittleEndian, &n); err != nil || n != 2 {
		return answer{}, errors.Join(errEnded, err)
	}
	head, out := read(), read()
	var a answer
	a.out = out
	if _, err := fmt.Sscan(string(head), &a.code, &a.status, &a.need); err != nil || out == nil {
		return a, errors.Join(errEnded, err)
	}
	return a, nil
}

func (d *drive) do(fields ...string) answer {
	d.t.Helper()
	a, err := d.try(fields...)
	if err != nil {
		<-time.After(100 * time.Millisecond) // for its last words
		d.t.Fatalf("%v\n%s", err, d.errs)
	}
	return a
}

// call is one call of a function of the library.
type call struct {
	name, settings string
	a, b, c        string
	in             string
	len            int // -1: ends with NUL; -3: the length of in
	wait           int
	cap            int
}

func (d *drive) call(c call) answer {
	d.t.Helper()
	if c.len == -3 {
		c.len = len(c.in)
	}
	for _, p := range []*string{&c.a, &c.b, &c.c} {
		if *p == "" {
			*p = null
		}
	}
	return d.do("call", c.name, c.settings, c.a, c.b, c.c, c.in, strconv.Itoa(c.len), strconv.Itoa(c.wait), strconv.Itoa(c.cap))
}

type rig struct {
	*drive
	live     *livetest.Door
	settings string
	codes    int
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{drive: newDrive(t), live: livetest.Start(t)}
	r.settings = "address=" + r.live.Address + ";token=" + r.live.Token + ";timeout_ms=15000"
	return r
}

func (r *rig) order(bill string, fen int) string {
	r.codes++
	return fmt.Sprintf(`{"bill":%q,"amount_fen":%d,"mode":"charge","order_type":"TREATMENT","till":"w1","operator":{"id":"1001","name":"王收费"},"auth_code":%q}`, bill, fen, livetest.Code(r.codes))
}

func (r *rig) pay(bill string, fen, wait int) answer {
	r.t.Helper()
	return r.call(call{name: "pay", settings: r.settings, a: "key-" + bill, in: r.order(bill, fen), len: -3, wait: wait, cap: 32768})
}
