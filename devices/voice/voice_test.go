package voice_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"payagent/devices"
	"payagent/devices/devicetest"
	"payagent/devices/voice"
)

// faceEnv names the address at which the pretend program finds its audience.
const faceEnv = "PAYAGENT_TEST_VOICE"

// TestMain is the pretend program too: this binary, started by the voice.
func TestMain(m *testing.M) {
	if address := os.Getenv(faceEnv); address != "" {
		os.Exit(pretend(address))
	}
	goleak.VerifyTestMain(m)
}

// utterance is what the program was asked to say.
type utterance struct {
	Args []string
	Text string
}

// pretend sends what it is to say and speaks until it is let go.
func pretend(address string) int {
	if os.Args[1] == "--voices" {
		fmt.Print("Pty Language       Age/Gender VoiceName          File                 Other Languages\n" +
			" 5  cmn             --/M      Chinese_(Mandarin) sit/cmn              (zh-cmn 5)(zh 5)\n 5  yue             --/M      Chinese_(Cantonese) sit/yue\n")
		return 0
	}
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		return 1
	}
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return 1
	}
	if err := json.NewEncoder(conn).Encode(utterance{os.Args[1:], string(text)}); err != nil {
		return 1
	}
	answer := make([]byte, 1)
	if _, err := io.ReadFull(conn, answer); err != nil {
		return 1
	}
	if answer[0] == 'e' { // As espeak-ng does without a sound card.
		fmt.Fprintln(os.Stderr, "ALSA lib confmisc.c: noise\nerror: No such device")
	}
	if answer[0] == 'n' { // Noise of a library is no failure.
		fmt.Fprintln(os.Stderr, "jack server is not running")
	}
	if answer[0] == 'x' {
		fmt.Fprintln(os.Stderr, "no such sound card\nand more")
		return 3
	}
	return 0
}

// audience hears what the programs say. Stalled, it lets none of them end.
type audience struct {
	t        *testing.T
	listener net.Listener
	all      sync.WaitGroup

	mu      sync.Mutex
	stalled bool
	answer  byte
	began   []utterance // all that began to speak
	ended   []string    // texts that were said to the end
	cut     []string    // texts whose program was ended
	changed chan struct{}
}

func newAudience(t *testing.T) *audience {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := &audience{t: t, listener: l, answer: '.', changed: make(chan struct{})}
	a.all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			a.all.Go(func() { a.hear(conn) })
		}
	})
	t.Setenv("GORACE", "atexit_sleep_ms=0") // Programs under the race detector would end a second late.
	t.Setenv(faceEnv, l.Addr().String())
	t.Cleanup(func() {
		a.Resume()
		_ = l.Close()
		a.all.Wait()
	})
	return a
}

func (a *audience) hear(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	var u utterance
	if err := json.NewDecoder(conn).Decode(&u); err != nil {
		return // Ended before it said anything.
	}
	u.Text = strings.TrimSuffix(u.Text, "\n")
	a.do(func() { a.began = append(a.began, u) })
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	a.all.Go(func() {
		_, _ = conn.Read(make([]byte, 1)) // It says no more, so this is its end.
		cancel()
	})
	if a.until(ctx, func() bool { return !a.stalled }) != nil {
		a.do(func() { a.cut = append(a.cut, u.Text) })
		return
	}
	a.do(func() {
		a.ended = append(a.ended, u.Text)
		_, _ = conn.Write([]byte{a.answer})
	})
	<-ctx.Done()
}

func (a *audience) do(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
	close(a.changed)
	a.changed = make(chan struct{})
}

// until waits until ok, which is asked under the lock.
func (a *audience) until(ctx context.Context, ok func() bool) error {
	for {
		a.mu.Lock()
		good, changed := ok(), a.changed
		a.mu.Unlock()
		if good {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// wait is until with a guard.
func (a *audience) wait(what string, ok func() bool) {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if a.until(ctx, ok) != nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.t.Fatalf("waited for %s; began %+v, ended %q, cut %q", what, a.began, a.ended, a.cut)
	}
}

func (a *audience) Stall()  { a.do(func() { a.stalled = true }) }
func (a *audience) Resume() { a.do(func() { a.stalled = false }) }

func (a *audience) Shows(ctx context.Context, s devices.Screen) error {
	return a.until(ctx, func() bool { return len(a.ended) > 0 && a.ended[len(a.ended)-1] == s.Title })
}

// aloud says the title: the screens of the suite have no speech.
type aloud struct{ devices.Display }

func (a aloud) Show(ctx context.Context, s devices.Screen) error {
	s.Speech = s.Title
	return a.Display.Show(ctx, s)
}

func program(t *testing.T) string {
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSuite(t *testing.T) {
	a := newAudience(t)
	devicetest.TestDisplay(t, devicetest.DisplayMember{Open: func() (devices.Display, devicetest.Face, error) {
		v, err := voice.Open(voice.Config{Name: devicetest.Name, Command: program(t)})
		return aloud{v}, a, err
	}})
}

func open(t *testing.T, cfg voice.Config) voice.Voice {
	cfg.Name = "till 3"
	if cfg.Command == "" {
		cfg.Command = program(t)
	}
	v, err := voice.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close() })
	return v
}

func say(t *testing.T, v voice.Voice, s devices.Screen) {
	t.Helper()
	if err := v.Show(t.Context(), s); err != nil {
		t.Error(err)
	}
}

// TestOnce: a text is said once, with the settings, however often the rest of
// the screen changes.
func TestOnce(t *testing.T) {
	a := newAudience(t)
	var begun atomic.Int32
	v := open(t, voice.Config{Voice: "yue", Speed: 120, Volume: 90, Args: []string{"-d", "hw:1"}, Now: func() time.Time {
		begun.Add(1) // The hours are looked at once for each text.
		return time.Now()
	}})
	const first, second = "请出示付款码，收您一百二十八元五角", "--支付成功; $(date)"
	say(t, v, devices.Screen{State: "waiting", Speech: first})
	a.wait("the first text", func() bool { return slices.Equal(a.ended, []string{first}) })
	for i := range 1000 { // Many, since only the latest of those that come at once is looked at.
		say(t, v, devices.Screen{State: "waiting", Speech: first, Note: fmt.Sprint("scan.", i)})
		runtime.Gosched()
	}
	say(t, v, devices.Screen{State: "paying", Speech: first})
	say(t, v, devices.Screen{State: "paid", Speech: second})
	a.wait("the second text", func() bool { return len(a.ended) > 1 })
	if n := begun.Load(); n != 2 || !slices.Equal(a.ended, []string{first, second}) {
		t.Errorf("said %q, began %d", a.ended, n)
	}
	want := []string{"-v", "yue", "-s", "120", "-a", "180", "-b", "1", "--stdin", "-d", "hw:1"}
	if got := a.began[1].Args; !slices.Equal(got, want) {
		t.Errorf("options %q", got)
	}
}

// TestCut: what is being said ends when the screen says something else or
// nothing, and is said again when it is to be said again.
func TestCut(t *testing.T) {
	a := newAudience(t)
	a.Stall()
	v := open(t, voice.Config{})
	say(t, v, devices.Screen{State: "waiting", Speech: "一"})
	a.wait("the first", func() bool { return len(a.began) == 1 })
	say(t, v, devices.Screen{State: "waiting", Speech: "二"})
	a.wait("the second instead", func() bool { return slices.Equal(a.cut, []string{"一"}) && len(a.began) == 2 })
	say(t, v, devices.Screen{State: "idle"})
	a.wait("silence", func() bool { return len(a.cut) == 2 })
	say(t, v, devices.Screen{State: "waiting", Speech: "二"})
	a.wait("the second again", func() bool { return len(a.began) == 3 })
	a.Resume()
	a.wait("its end", func() bool { return slices.Equal(a.ended, []string{"二"}) })
	// That a program was told to end is no failure.
	say(t, v, devices.Screen{State: "idle"})
}

// TestClose: Close ends the program.
func TestClose(t *testing.T) {
	a := newAudience(t)
	a.Stall()
	v := open(t, voice.Config{})
	say(t, v, devices.Screen{State: "waiting", Speech: "一"})
	a.wait("the text", func() bool { return len(a.began) == 1 })
	if err := v.Close(); err != nil {
		t.Error(err)
	}
	a.wait("the end", func() bool { return slices.Equal(a.cut, []string{"一"}) })
}

// TestQuiet: nothing is said in quiet hours, nor afterwards what was to be said
// in them.
func TestQuiet(t *testing.T) {
	a := newAudience(t)
	hours := make(chan int, 2)
	asked := make(chan struct{}, 2)
	v := open(t, voice.Config{Quiet: []string{"21:30-06:30"}, Now: func() time.Time {
		asked <- struct{}{}
		return time.Date(2026, 1, 2, <-hours, 0, 0, 0, time.UTC)
	}})
	say(t, v, devices.Screen{State: "waiting", Speech: "夜"})
	hours <- 23
	<-asked
	say(t, v, devices.Screen{State: "waiting", Speech: "日"})
	hours <- 7
	a.wait("the text of the day", func() bool { return len(a.ended) > 0 })
	if !slices.Equal(a.ended, []string{"日"}) || len(a.began) != 1 {
		t.Errorf("said %q", a.ended)
	}
}

// TestFailure: a program that fails is told at a later Show, with what it
// complains about and without the text, until it works again.
func TestFailure(t *testing.T) {
	a := newAudience(t)
	v := open(t, voice.Config{})
	for i, c := range []struct {
		answer byte
		want   string // empty if all is well
	}{
		{'.', ""},
		{'x', "exit status 3: no such sound card"},
		{'n', ""},
		{'e', ": error: No such device"},
		{'.', ""},
	} {
		a.do(func() { a.answer = c.answer })
		s := devices.Screen{State: "waiting", Speech: fmt.Sprintf("收您%d元", i)}
		_ = v.Show(t.Context(), s) // It tells of the text before.
		a.wait("the text", func() bool { return len(a.ended) == i+1 })
		// The end of the program is seen a little after its last word.
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		err := v.Show(t.Context(), s)
		for ; (err == nil) != (c.want == "") && ctx.Err() == nil; err = v.Show(t.Context(), s) {
			runtime.Gosched()
		}
		cancel()
		text := fmt.Sprint(err)
		if c.want == "" && err != nil || c.want != "" && (!strings.HasPrefix(text, "cannot show on till 3: cannot speak: ") ||
			!strings.HasSuffix(text, c.want) || strings.Contains(text, "元")) {
			t.Errorf("%c: %v", c.answer, err)
		}
	}
}

func TestRefused(t *testing.T) {
	newAudience(t)
	for _, good := range []string{"cmn+f3", "zh", "zh-cmn"} {
		open(t, voice.Config{Voice: good})
	}
	for want, cfg := range map[string]voice.Config{
		"apt install espeak-ng": {Command: "no-such-program-to-speak"},
		"quiet hours":           {Quiet: []string{"night"}},
		"speed 20":              {Speed: 20},
		"volume 101":            {Volume: 101},
		"volume -1":             {Volume: -1},
		`no voice "-w"`:         {Voice: "-w"},
		`no voice "cmm+f3"`:     {Voice: "cmm+f3"},
	} {
		cfg.Name = "till 3"
		if cfg.Command == "" {
			cfg.Command = program(t)
		}
		// What does not depend on the computer is said without a look at it.
		if here := strings.Contains(want, "apt") || strings.Contains(want, "cmm"); (cfg.Check() == nil) != here {
			t.Errorf("%s: Check says %v", want, cfg.Check())
		}
		if _, err := voice.Open(cfg); err == nil || !strings.HasPrefix(err.Error(), "cannot use voice till 3: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
