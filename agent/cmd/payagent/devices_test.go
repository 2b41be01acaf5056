package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"

	"payagent/agent/config"
	"payagent/devices"
	"payagent/devices/learn"
	"payagent/uplink/uplinktest"
)

// hang is when a test gives up waiting for something that must come.
const hang = 2 * time.Minute

// box is the scanner's end of a serial line.
type box struct {
	*os.File
	node string
}

func openBox(t *testing.T) box {
	t.Helper()
	m, tty, err := pty.Open()
	if err != nil {
		t.Fatal("this test needs pseudo-terminals:", err)
	}
	t.Cleanup(func() { _ = m.Close(); _ = tty.Close() })
	return box{m, tty.Name()}
}

func (b box) send(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(b, text); err != nil {
		t.Error(err)
	}
}

// screen collects what a command prints and lets a test wait for it.
type screen struct {
	mu   sync.Mutex
	text strings.Builder
	more chan struct{}
}

func newScreen() *screen { return &screen{more: make(chan struct{}, 1)} }

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.Write(p)
	select {
	case s.more <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// await waits until a text was printed n times.
func (s *screen) await(t *testing.T, want string, n int) {
	t.Helper()
	limit := time.After(hang)
	for strings.Count(s.String(), want) < n {
		select {
		case <-s.more:
		case <-limit:
			t.Fatalf("%q did not come %d times:\n%s", want, n, s.String())
		}
	}
}

// start runs a command beside the test; what it gives waits for its end.
func start(t *testing.T, out io.Writer, args ...string) (stop context.CancelFunc, wait func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- command(ctx, args, out) }()
	t.Cleanup(cancel)
	return cancel, func() error {
		select {
		case err := <-done:
			return err
		case <-time.After(hang):
			t.Fatal("the command does not end")
			return nil
		}
	}
}

// writeConfig makes a whole configuration with these devices.
func writeConfig(t *testing.T, devices string) (file, dir string) {
	t.Helper()
	dir = t.TempDir()
	text := fmt.Sprintf(`site: {hospital_id: "1", name: test, test: true}
data_dir: %s
log: {file: %s/agent.log}
door: {listen: ["%s"]}
store: {budget_bytes: 64MiB, ballast_bytes: 1MiB, stop_below_bytes: 16MiB, stop_below_percent: 0}
platforms: [{name: p, driver: smartpay, url: "http://127.0.0.1:1/x", allow_plain_http: true, options: {transport: raw_xml_post, transaction_codes: {sweep_code_pay: "1", query_order_state: "2", revoke: "3"}}}]
merchants: [{profile: m, platform: p, merch_code: "1"}]
routes: [{merchant: m}]
tills:
  - name: w1
    kind: counter
    device_no: "W1"
    modes: [charge]
    order_types: [TREATMENT]
    %s
`, filepath.Join(dir, "data"), dir, uplinktest.FreeAddress(t), strings.ReplaceAll(devices, "\n", "\n    "))
	file = filepath.Join(dir, "payagent.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, dir
}

func TestDevicesList(t *testing.T) {
	b := openBox(t)
	file, _ := writeConfig(t, "scanners:\n  - {name: pad, driver: serial, options: {path: "+b.node+"}}\n  - {name: gun, role: gun, driver: hid, options: {id: \"ffff:fffe\"}}\n"+
		"  - {name: old, driver: serial, options: {path: /dev/not-there}}\ndisplays:\n  - {name: lights, driver: lamp, options: {red: GPIO17}}")
	var out bytes.Buffer
	if err := command(t.Context(), []string{"devices", "list", "--json", "--config", file}, &out); err != nil {
		t.Fatal(err)
	}
	var body struct {
		Devices []listed
		Limits  []text
	}
	if err := json.Unmarshal(out.Bytes(), &body); err != nil {
		t.Fatal(err)
	}
	got := map[string]listed{}
	for _, r := range body.Devices {
		if r.Name != "" {
			got[r.Name] = r
		}
	}
	if r := got["pad"]; !r.Present || r.Till != "w1" || r.Role != "pad" || r.Driver != "serial" || r.Node != b.node || r.Hint != nil {
		t.Errorf("%+v", r)
	}
	for _, name := range []string{"gun", "old"} {
		if r := got[name]; r.Present || r.Hint == nil || r.Hint.ZH == "" || r.Hint.EN == "" {
			t.Errorf("%+v", r)
		}
	}
	if r := got["lights"]; !r.Present || r.Hint == nil || len(body.Limits) == 0 || body.Limits[0].ZH == "" {
		t.Errorf("%+v", got)
	}
	out.Reset()
	if err := command(t.Context(), []string{"devices", "list", "--config", file}, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"pad @ w1 (pad)", "gun @ w1 (gun)", "未插入 absent", "check its cable", "个设备 devices"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
	out.Reset()
	if err := command(t.Context(), []string{"devices", "list"}, &out); err != nil || !strings.Contains(out.String(), "个设备 devices") {
		t.Errorf("without a configuration: %v\n%s", err, out.String())
	}
}

func TestDevicesBadInput(t *testing.T) {
	b := openBox(t)
	file, _ := writeConfig(t, "scanners: [{name: pad, driver: serial, options: {path: "+b.node+"}}]")
	for args, want := range map[string]string{
		"devices fly":                                        `there is no command "devices fly"`,
		"devices list extra":                                 `"extra" is one word too many`,
		"devices list --colour":                              "flag provided but not defined",
		"devices watch":                                      "name the configuration with --config",
		"devices test":                                       "name the device",
		"devices test x":                                     "name the configuration with --config",
		"devices list --config /nope":                        "cannot open the configuration",
		"devices test nobody --config " + file:               "it has: pad",
		"devices test pad dance --config " + file:            `cannot do dance with`,
		"devices learn --device /dev/nope":                   `cannot find the device "/dev/nope"`,
		"devices learn --device x --baud fast":               `"fast" is no baud rate`,
		"devices learn --sheet /nope/x.html":                 "cannot write the sheet",
		"devices learn --sheet x --model nope":               `cannot find the device model "nope"`,
		"devices learn --device " + b.node + " --model nope": `cannot find the device model "nope"`,
	} {
		err := command(t.Context(), strings.Fields(args), io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", args, err)
		}
		usage := strings.Contains(want, "command") || strings.Contains(want, "name the") || strings.Contains(want, "many") || strings.Contains(want, "flag") || strings.Contains(want, "baud")
		if usage && !errors.Is(err, errUsage) {
			t.Errorf("%s is no wrong command line", args)
		}
	}
	for _, args := range [][]string{{"devices", "--help"}, {"devices", "list", "-h"}} {
		var out bytes.Buffer
		if err := command(t.Context(), args, &out); err != nil || out.String() != devicesUsage {
			t.Errorf("%v: %v\n%s", args, err, &out)
		}
	}
}

// TestDevicesWatch: what comes is told; what may pay is never shown.
func TestDevicesWatch(t *testing.T) {
	b := openBox(t)
	file, _ := writeConfig(t, "scanners: [{name: pad, driver: serial, options: {path: "+b.node+", settle: -1s}}]")
	const pays, strange, product, junk = "134567890123456789", "984567890123456789", "6901234567892", "PATIENT-0007"
	// With what a scanner may put around them, no table knows payment codes.
	prefixed := []string{"j284567890123456", "S#287654321098765432*", "Xfp0123456789abcdef0123456789abcdef012", "A]hQVDUFYwM+EPT1"}
	for _, show := range []bool{false, true} {
		out := newScreen()
		args := []string{"devices", "watch", "--config", file}
		if show {
			args = append(args, "--show")
		}
		stop, wait := start(t, out, args...)
		out.await(t, "pad  已就绪 ready", 1)
		for i, code := range []string{pays, strange, product, junk} {
			b.send(t, code+"\r")
			out.await(t, "字节 bytes", i+1)
		}
		for i, code := range prefixed {
			b.send(t, code+"\r")
			out.await(t, "字节 bytes", i+5)
		}
		stop()
		if err := wait(); err != nil {
			t.Fatal(err)
		}
		text := out.String()
		if strings.Contains(text, pays) || strings.Contains(text, strange) {
			t.Errorf("a payment code is shown:\n%s", text)
		}
		for _, code := range prefixed {
			if strings.Contains(text, code[3:15]) {
				t.Errorf("a payment code with something around it is shown:\n%s", text)
			}
		}
		if shown := strings.Contains(text, product) && strings.Contains(text, junk); shown != show {
			t.Errorf("show %t:\n%s", show, text)
		}
		for _, want := range []string{"wechat  18 字节", "digits  18 字节", "product  13 字节", "junk  12 字节"} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is not in\n%s", want, text)
			}
		}
	}
	out := newScreen()
	stop, wait := start(t, out, "devices", "watch", "--json", "--config", file)
	out.await(t, `"event":"device"`, 1)
	b.send(t, "]Q1"+pays+"\r")
	out.await(t, `"event":"scan"`, 1)
	stop()
	if err := wait(); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		var v map[string]any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Errorf("%q: %v", line, err)
		}
	}
}

func TestDevicesTest(t *testing.T) {
	b := openBox(t)
	file, _ := writeConfig(t, "scanners: [{name: pad, driver: serial, options: {path: "+b.node+", settle: -1s, actions: {trigger: \"16 54 0d\", stop: \"16 55 0d\"}}}]")
	out := newScreen()
	_, wait := start(t, out, "devices", "test", "pad", "--config", file)
	out.await(t, "请在 30 秒内扫描", 1)
	b.send(t, "134567890123456789\r")
	if err := wait(); err != nil || !strings.Contains(out.String(), "the scanner works") || strings.Contains(out.String(), "1345") ||
		!strings.Contains(out.String(), "actions: stop, trigger") {
		t.Errorf("%v\n%s", err, out)
	}
	if err := command(t.Context(), []string{"devices", "test", "pad", "stop", "--config", file}, io.Discard); err != nil {
		t.Error(err)
	}
	if err := b.SetReadDeadline(time.Now().Add(hang)); err != nil {
		t.Fatal(err)
	}
	var got []byte
	for buf := make([]byte, 16); !bytes.Contains(got, []byte("\x16U\r")); {
		n, err := b.Read(buf)
		if got = append(got, buf[:n]...); err != nil {
			t.Fatalf("the device got %q, %v", got, err)
		}
	}
	if err := command(t.Context(), []string{"devices", "test", "pad", "jump", "--config", file}, io.Discard); err == nil || !strings.Contains(err.Error(), "it can do: stop, trigger") {
		t.Error(err)
	}
}

// counting is a scanner whose time is not over before it has counted what is
// no code, if anything was sent.
type counting struct {
	devices.Scanner
	devices.Counting
	sent bool
}

func (c counting) Scan(ctx context.Context) (devices.Scan, error) {
	for end := time.Now().Add(hang); c.sent && time.Now().Before(end); {
		if n := c.Counts(); n.Bad+n.Cut > 0 {
			break
		}
		short, stop := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Millisecond)
		scan, err := c.Scanner.Scan(short)
		stop()
		if !errors.Is(err, context.DeadlineExceeded) {
			return scan, err
		}
	}
	<-ctx.Done()
	return devices.Scan{}, ctx.Err()
}

// TestNothingCame: what to check depends on what was seen.
func TestNothingCame(t *testing.T) {
	b := openBox(t)
	file, _ := writeConfig(t, "scanners: [{name: pad, driver: serial, options: {path: "+b.node+", settle: -1s}}]")
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	p, err := planDevices(c)
	if err != nil {
		t.Fatal(err)
	}
	for send, want := range map[string]string{"": "does it light up", "12\x0134\r": "run payagent devices learn"} {
		out := newScreen()
		done := make(chan error, 1)
		plan := p.scanners[0]
		plan.open = func() (devices.Scanner, error) {
			s, err := p.scanners[0].open()
			if err != nil {
				return nil, err
			}
			return counting{s, s.(devices.Counting), send != ""}, nil
		}
		go func() {
			done <- tryout{out: out, patience: 500 * time.Millisecond, config: c}.scanner(t.Context(), plan, "")
		}()
		out.await(t, "请在", 1)
		b.send(t, send)
		if err := <-done; err == nil || !strings.Contains(out.String(), want) {
			t.Errorf("%q: %v\n%s", send, err, out)
		}
	}
}

// TestDisplayTest: a character display on a PTY gets a test screen; a lamp
// without pins says so.
func TestDisplayTest(t *testing.T) {
	b := openBox(t)
	file, _ := writeConfig(t, "displays:\n  - {name: price, driver: pole, options: {path: "+b.node+", family: cd5220}}\n  - {name: lights, driver: lamp, options: {red: NO-SUCH-PIN}}")
	got := make(chan string, 1)
	go func() {
		var all strings.Builder
		buf := make([]byte, 256)
		for !strings.Contains(all.String(), "123.45") {
			n, err := b.Read(buf)
			if err != nil {
				break
			}
			all.Write(buf[:n])
		}
		got <- all.String()
		_, _ = io.Copy(io.Discard, b)
	}()
	if err := command(t.Context(), []string{"devices", "test", "price", "--config", file}, io.Discard); err != nil {
		t.Error(err)
	}
	select {
	case text := <-got:
		if !strings.Contains(text, "123.45") {
			t.Errorf("%q", text)
		}
	case <-time.After(hang):
		t.Error("the display got nothing")
	}
	for args, want := range map[string]string{"lights": "lights", "price wave": `cannot do "wave"`} {
		err := command(t.Context(), append(append([]string{"devices", "test"}, strings.Fields(args)...), "--config", file), io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", args, err)
		}
	}
}

// TestLearn goes through the wizard: a wrong speed first, the wrong code once,
// then the three codes with prefix, AIM identifier and TAB; what is printed is
// put into a configuration and reads the next code.
func TestLearn(t *testing.T) {
	b := openBox(t)
	out := newScreen()
	_, wait := start(t, out, "devices", "learn", "--device", b.node, "--quick", "--baud", "9600,115200")
	codes := learn.Sheet()
	out.await(t, "scan code 1", 1)
	b.send(t, "\xf8\x80\xe6\x00\x1c\xfe\x86\x80")
	out.await(t, "baud: 115200", 1)
	out.await(t, "scan code 1", 2)
	b.send(t, "6901234567892\t")
	out.await(t, "scan code 1", 3)
	for i, c := range codes {
		out.await(t, fmt.Sprintf("scan code %d", i+1), 1)
		b.send(t, "S#]"+[]string{"C0", "C0", "Q1"}[i]+c.Text+"\t")
		out.await(t, "收到 ok", i+1)
	}
	if err := wait(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text := out.String()
	entry := regexp.MustCompile(`(?s)      - driver: serial\n.*?aim: true\n`).FindString(text)
	if entry == "" {
		t.Fatalf("no entry in\n%s", text)
	}
	for _, want := range []string{`path: "` + b.node + `"`, "baud: 115200", "end: tab", `prefix: "S#"`} {
		if !strings.Contains(entry, want) {
			t.Errorf("%q is not in\n%s", want, entry)
		}
	}
	file, _ := writeConfig(t, "scanners:\n"+entry)
	watched := newScreen()
	stop, ended := start(t, watched, "devices", "watch", "--config", file)
	watched.await(t, "ready", 1)
	// Codes right after opening are dropped; the watch tells the one that
	// came later.
	for deadline := time.Now().Add(hang); !strings.Contains(watched.String(), "wechat  18 字节"); {
		if time.Now().After(deadline) {
			t.Fatalf("not read with the learned settings:\n%s", watched)
		}
		b.send(t, "S#]Q1134567890123456789\t")
		select {
		case <-watched.more:
		case <-time.After(100 * time.Millisecond):
		}
	}
	stop()
	if err := ended(); err != nil || !strings.Contains(watched.String(), "]Q1") {
		t.Errorf("%v\n%s", err, watched)
	}
}

// TestLearnGivesUp: after three wrong codes it ends with the reason.
func TestLearnGivesUp(t *testing.T) {
	b := openBox(t)
	out := newScreen()
	_, wait := start(t, out, "devices", "learn", "--device", b.node, "--quick")
	for i := range tries {
		out.await(t, "scan code 1", i+1)
		b.send(t, "6901234567892\r")
	}
	var trouble *learn.Trouble
	if err := wait(); !errors.As(err, &trouble) || trouble.Kind != learn.Strange {
		t.Error(err)
	}
}

// TestLearnUnplugged: a port that is gone when the next speed is tried ends the
// wizard with a reason.
func TestLearnUnplugged(t *testing.T) {
	b := openBox(t)
	link := filepath.Join(t.TempDir(), "port")
	if err := os.Symlink(b.node, link); err != nil {
		t.Fatal(err)
	}
	out := newScreen()
	_, wait := start(t, out, "devices", "learn", "--device", link, "--quick", "--baud", "9600,115200")
	out.await(t, "scan code 1", 1)
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	b.send(t, "\xf8\x80\xe6\x00\x1c\xfe\x86\x80")
	if err := wait(); err == nil || !strings.Contains(err.Error(), "cannot open "+link) {
		t.Error(err)
	}
}

func TestSheet(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sheet.html")
	var out bytes.Buffer
	if err := command(t.Context(), []string{"devices", "learn", "--sheet", file, "--model", "newland"}, &out); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	if n := strings.Count(page, "<svg "); n < 3 {
		t.Errorf("%d drawings", n)
	}
	for _, want := range []string{"码 1", "Code 3", "size: A4", "新大陆", "Newland", "@SCNMOD2", "9753108642"} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is not on the sheet", want)
		}
	}
	if strings.Contains(page, "http") || strings.Contains(page, "<script") {
		t.Error("the sheet needs more than itself")
	}
}

// awaitDoor waits until the agent takes calls.
func awaitDoor(t *testing.T, file string) {
	t.Helper()
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(hang); ; {
		conn, err := net.Dial("tcp", c.Door.Listen[0])
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		<-time.After(10 * time.Millisecond)
	}
}

// TestNoTestWhileAnOrderWaits: the running agent would take the code of a test
// as the order's payment, so none is asked for.
func TestNoTestWhileAnOrderWaits(t *testing.T) {
	for _, armedAfter := range []int{0, 1} {
		asked := 0
		mux := http.NewServeMux()
		mux.HandleFunc("GET /v1/tills/w1", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprintf(w, `{"armed":%t}`, asked >= armedAfter)
			asked++
		})
		mux.HandleFunc("GET /v1/devices", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"devices":[{"name":"pad","till":"w1","kind":"scanner","present":true,"counts":{"good":0}}]}`)
		})
		out := newScreen()
		row := deviceRow{Name: "pad", Till: "w1", Present: true, Counts: &countsRow{}}
		err := tryout{out: out, patience: hang}.through(t.Context(), &client{base: "http://agent", rt: inProcess{mux}}, row, "")
		if err == nil || !strings.Contains(err.Error(), "an order waits for a code at w1") || !strings.Contains(out.String(), "请勿扫码") {
			t.Errorf("armed after %d: %v\n%s", armedAfter, err, out)
		}
		if prompted := strings.Contains(out.String(), "请在"); prompted != (armedAfter > 0) {
			t.Errorf("armed after %d:\n%s", armedAfter, out)
		}
	}
}

// TestRefused: that nobody listens is known on every system.
func TestRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	cl := &client{base: "http://" + l.Addr().String(), rt: &http.Transport{}}
	if _, err := cl.once(t.Context(), http.MethodGet, "/healthz"); !refused(err) {
		t.Error(err)
	}
	if refused(io.EOF) || refused(nil) {
		t.Error("another error is taken for it")
	}
}

// TestThroughTheAgent: beside a running agent the same commands ask it.
func TestThroughTheAgent(t *testing.T) {
	b := openBox(t)
	file, _ := writeConfig(t, "scanners: [{name: pad, driver: serial, options: {path: "+b.node+", settle: -1s, actions: {stop: \"16 55 0d\"}}}]\ndisplays: [{name: lights, driver: lamp, options: {red: NO-SUCH-PIN}}]")
	served := newScreen()
	stopAgent, agentEnded := start(t, served, "run", "--config", file)
	served.await(t, "127.0.0.1", 1)
	awaitDoor(t, file)

	watched := newScreen()
	stopWatch, watchEnded := start(t, watched, "devices", "watch", "--config", file)
	watched.await(t, "pad  已就绪 ready", 1)
	watched.await(t, "lights  不可用 absent", 1)

	tested := newScreen()
	_, testEnded := start(t, tested, "devices", "test", "pad", "--config", file)
	tested.await(t, "请在", 1)
	b.send(t, "134567890123456789\r")
	if err := testEnded(); err != nil || !strings.Contains(tested.String(), "the scanner works") {
		t.Errorf("%v\n%s", err, tested)
	}
	watched.await(t, "读到 read 1", 1)
	if strings.Contains(watched.String()+tested.String(), "1345") {
		t.Error("a payment code is shown")
	}
	if err := command(t.Context(), []string{"devices", "test", "pad", "stop", "--config", file}, io.Discard); err != nil {
		t.Error(err)
	}
	if err := command(t.Context(), []string{"devices", "test", "pad", "jump", "--config", file}, io.Discard); err == nil || !strings.Contains(err.Error(), "stop") {
		t.Error(err)
	}
	if err := command(t.Context(), []string{"devices", "test", "nobody", "--config", file}, io.Discard); err == nil {
		t.Error("a device that is not there was tested")
	}
	var list bytes.Buffer
	if err := command(t.Context(), []string{"devices", "list", "--json", "--config", file}, &list); err != nil || !strings.Contains(list.String(), `"pad"`) {
		t.Errorf("the list beside the agent: %v", err)
	}
	stopAgent()
	if err := agentEnded(); err != nil {
		t.Error(err)
	}
	if err := watchEnded(); err == nil || !strings.Contains(err.Error(), "the agent stopped answering") {
		t.Errorf("the watch ended with %v", err)
	}
	stopWatch()
}
