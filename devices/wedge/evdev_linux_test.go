package wedge

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"payagent/devices"
	"payagent/devices/devicetest"
)

// tree builds a folder of files; a value that begins with "->" is a link.
func tree(t *testing.T, files map[string]string) places {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if to, link := strings.CutPrefix(text, "->"); link {
			err = os.Symlink(filepath.Join(root, to), path)
		} else {
			err = os.WriteFile(path, []byte(text+"\n"), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return places{class: filepath.Join(root, "class"), dev: filepath.Join(root, "dev")}
}

// keyBits writes key codes as sysfs does, in words of this machine.
func keyBits(codes ...int) string {
	const size = strconv.IntSize
	words := make([]uint, 0x300/size)
	for _, c := range codes {
		words[c/size] |= 1 << (c % size)
	}
	var out []string
	for i := len(words) - 1; i >= 0; i-- {
		if words[i] != 0 || out != nil || i == 0 {
			out = append(out, fmt.Sprintf("%x", words[i]))
		}
	}
	return strings.Join(out, " ")
}

func desktop(t *testing.T) places {
	all := []int{}
	for c := 1; c < 128; c++ {
		all = append(all, c)
	}
	digits := []int{2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 28}
	files := map[string]string{}
	input := func(event, parent, bus, vendor, product, name, keys string) {
		dir := parent + "/input/input" + event
		files["class/event"+event] = "->" + dir + "/event" + event
		files[dir+"/event"+event+"/device"] = "->" + dir
		files[dir+"/id/bustype"], files[dir+"/id/vendor"], files[dir+"/id/product"] = bus, vendor, product
		files[dir+"/name"], files[dir+"/phys"], files[dir+"/uniq"] = name, "aa:bb:cc:dd:ee:ff", "11:22:33:44:55:66"
		files[dir+"/capabilities/key"] = keys
		files["dev/event"+event] = ""
	}
	usb := func(port, vendor, product, serial string) string {
		dir := "devices/usb1/" + port
		files[dir+"/idVendor"], files[dir+"/idProduct"] = vendor, product
		files[dir+"/manufacturer"], files[dir+"/product"], files[dir+"/serial"] = "Maker", "Model "+port, serial
		files[dir+"/"+port+":1.0/bInterfaceNumber"] = "00"
		return dir + "/" + port + ":1.0/0003:0000.0001"
	}
	input("3", usb("1-1.2", "0c2e", "1001", "S1"), "0003", "0c2e", "1001", "Maker Scanner", keyBits(all...))
	input("4", usb("1-1.3", "0c2e", "1001", "S1"), "0003", "0c2e", "1001", "Maker Scanner", keyBits(digits...))
	input("10", usb("1-2", "046d", "c31c", ""), "0003", "046d", "c31c", "Logi", keyBits(all...))
	input("5", usb("1-3", "046d", "c077", ""), "0003", "046d", "c077", "Mouse", keyBits(0x110, 0x111))
	input("6", usb("1-4", "046d", "c31d", ""), "0003", "046d", "c31d", "Keypad", keyBits(71, 72, 73, 96))
	input("0", "devices/serio0", "0011", "0001", "0001", "AT keyboard", keyBits(all...))
	input("7", "devices/virtual", "0005", "1eab", "0d10", "BT scanner", keyBits(digits...))
	files["class/mouse0/device/name"] = "x"
	return tree(t, files)
}

func TestList(t *testing.T) {
	p := desktop(t)
	list, err := p.list()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range list {
		if f.Driver != "wedge" || f.Class != devices.ClassKeyboard || f.Hint.EN == "" || f.Hint.ZH == "" {
			t.Errorf("%+v", f)
		}
		scanner := strings.HasPrefix(f.Hint.EN, "this scanner")
		got = append(got, fmt.Sprint(f.Port, " ", filepath.Base(f.Node), " ", f.ID(), " ", f.Model, " ", f.Serial, " ", scanner))
	}
	want := []string{
		"1-1.2:1.0 event3 0c2e:1001 Model 1-1.2 S1 true",
		"1-1.3:1.0 event4 0c2e:1001 Model 1-1.3 S1 true",
		"1-2:1.0 event10 046d:c31c Model 1-2  false",
		"aa:bb:cc:dd:ee:ff event7 1eab:0d10 BT scanner 11:22:33:44:55:66 true",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%q\nnot\n%q", got, want)
	}
	if list, err := (places{class: filepath.Join(t.TempDir(), "none")}).list(); err != nil || len(list) != 0 {
		t.Errorf("no input devices: %v %v", list, err)
	}
	if types("") || types("zz") || types("7 0") {
		t.Error("that types nothing")
	}
}

// TestOpenChooses: which keyboard is taken, before anything is.
func TestOpenChooses(t *testing.T) {
	p := desktop(t)
	for name, c := range map[string]struct {
		match devices.Match
		err   error
		text  string
	}{
		"nothing named":   {devices.Match{}, nil, "must be named"},
		"not there":       {devices.Match{Port: "1-9"}, devices.ErrAbsent, ""},
		"two equal ones":  {devices.Match{Vendor: 0x0c2e, Product: 0x1001}, devices.ErrSeveral, ""},
		"a mouse":         {devices.Match{Port: "1-3"}, devices.ErrAbsent, ""},
		"a file, no node": {devices.Match{Port: "1-1.2"}, nil, "no input device"},
	} {
		_, err := p.open(Config{Name: "gun", Match: c.match})
		if err == nil || !strings.HasPrefix(err.Error(), "cannot ") || c.err != nil && !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.Remove(filepath.Join(p.dev, "event3")); err != nil {
		t.Fatal(err)
	}
	_, err := p.open(Config{Name: "gun", Match: devices.Match{Port: "1-1.2"}})
	if !errors.Is(err, devices.ErrGone) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a node that went away: %v", err)
	}
}

// pipeWire is a pipe with a scanner at its end.
type pipeWire struct{ *os.File }

func (w pipeWire) Write(p []byte) (int, error) {
	y := typist{picture: pictures["us"], now: time.Since(boot)}
	y.text(string(p))
	// Whole events, as an input device gives them: a pipe keeps short writes
	// together.
	for events := range slices.Chunk(y.out, 4096/eventSize) {
		if _, err := w.File.Write(raw(events)); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

func (w pipeWire) Unplug() error {
	if err := w.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

var boot = time.Now()

// TestSuiteOnFile runs the suite through a real file with its time-outs: a
// pipe, since this kernel may have no input devices.
func TestSuiteOnFile(t *testing.T) {
	for _, c := range devicetest.ScannerCases() {
		if c.Name == "burst" {
			continue // TestSuite has it; there is nothing of the file in it
		}
		t.Run(c.Name, func(t *testing.T) {
			err := devicetest.RunScanner(devicetest.ScannerMember{Cycles: 500, Open: func() (devices.Scanner, devicetest.Wire, error) {
				r, w, err := os.Pipe()
				if err != nil {
					return nil, nil, err
				}
				n, err := newNode(r)
				if err != nil {
					return nil, nil, err
				}
				s, err := New(n, devices.Found{}, Config{Name: devicetest.Name, Settle: -1})
				return s, pipeWire{w}, err
			}}, c)
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// TestReadLooksOnce: what waits is read even when there is no time left.
func TestReadLooksOnce(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	n, err := newNode(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.SetReadTimeout(-time.Second); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4*eventSize)
	if k, err := n.Read(buf); k != 0 || err != nil {
		t.Errorf("nothing there: %d, %v", k, err)
	}
	if _, err := w.Write(event{kind: evKey, code: key1, value: 1}.bytes()); err != nil {
		t.Fatal(err)
	}
	if k, err := n.Read(buf); k != eventSize || err != nil || parse(buf).code != key1 {
		t.Errorf("an event waits: %d, %v", k, err)
	}
	if err := n.prepare(); err == nil || !strings.Contains(err.Error(), "no input device") {
		t.Errorf("a pipe is taken for a keyboard: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Read(buf); err == nil {
		t.Error("the end of the file is no error")
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
}

// TestCalls: the numbers of the calls, as the kernel's headers give them on
// x86 and ARM.
func TestCalls(t *testing.T) {
	for _, c := range []struct {
		name      string
		got, want uintptr
	}{
		{"EVIOCGKEY(96)", call(dirRead, 0x18, keyBytes), 0x80604518},
		{"EVIOCGLED(2)", call(dirRead, 0x19, ledBytes), 0x80024519},
		{"EVIOCGRAB", grabCall, 0x40044590},
		{"EVIOCSCLOCKID", clockCall, 0x400445a0},
	} {
		if c.got != c.want {
			t.Errorf("%s is %#x, not %#x", c.name, c.got, c.want)
		}
	}
}
