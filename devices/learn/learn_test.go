package learn

import (
	"errors"
	"fmt"
	"math/bits"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"payagent/devices/internal/framing"
)

func kindOf(err error) string {
	var t *Trouble
	if errors.As(err, &t) {
		return t.Kind
	}
	return fmt.Sprint(err)
}

func TestSheet(t *testing.T) {
	codes := Sheet()
	if len(codes) != 3 || codes[0].QR || codes[1].QR || !codes[2].QR {
		t.Fatalf("%+v", codes)
	}
	if len(codes[2].Text) <= 56 {
		t.Error("the QR code fits into one HID report")
	}
	for i, a := range codes {
		for j, b := range codes {
			if i != j && strings.Contains(a.Text, b.Text) {
				t.Errorf("code %d holds code %d", i, j)
			}
		}
		for _, r := range a.Text {
			if r <= ' ' || r > '~' {
				t.Errorf("code %d holds %q", i, r)
			}
		}
	}
}

// line sends texts as a scanner with these settings does, in chunks of size
// bytes that come every pause.
func line(s Settings, size int, pause time.Duration) []Scan {
	var scans []Scan
	for i, c := range Sheet() {
		text := c.Text
		if s.AIM {
			text = []string{"]C0", "]C0", "]Q1"}[i] + text
		}
		text = s.Prefix + text + s.Suffix
		switch s.End {
		case framing.EndCR:
			text += "\r"
		case framing.EndLF:
			text += "\n"
		case framing.EndCRLF:
			text += "\r\n"
		case framing.EndTab:
			text += "\t"
		case framing.EndETX:
			text = "\x02" + text + "\x03\r"
		}
		data := []byte(text)
		for j, b := range data {
			odd := byte(bits.OnesCount8(b) % 2)
			switch s.Line {
			case "7E1":
				data[j] |= odd << 7
			case "7O1":
				data[j] |= (1 - odd) << 7
			case "7M1":
				data[j] |= 0x80
			}
		}
		scan := Scan{Want: c.Text}
		for at := time.Duration(0); len(data) > 0; at += pause {
			n := min(size, len(data))
			scan.Chunks = append(scan.Chunks, Chunk{At: at, Data: data[:n]})
			data = data[n:]
		}
		scans = append(scans, scan)
	}
	return scans
}

// TestSerialSettings: every end, with and without what may stand around a
// code, under every line setting, comes out as it was put in.
func TestSerialSettings(t *testing.T) {
	n := 0
	for _, end := range []string{framing.EndCR, framing.EndLF, framing.EndCRLF, framing.EndTab, framing.EndETX, framing.EndNone} {
		for _, around := range [][2]string{{"", ""}, {"S>", ""}, {"", "#"}, {"~A", "B~"}} {
			for _, aim := range []bool{false, true} {
				for _, set := range []string{"", "7E1", "7O1", "7M1"} {
					for _, size := range []int{1, 7, 200} {
						want := Settings{End: end, Prefix: around[0], Suffix: around[1], AIM: aim, Line: set}
						got, err := Serial(line(want, size, 2*time.Millisecond))
						symbologies := []string{"", "", ""}
						if aim {
							symbologies = []string{"C0", "C0", "Q1"}
						}
						if !reflect.DeepEqual(got.Symbologies, symbologies) {
							t.Errorf("%+v: %q", want, got.Symbologies)
						}
						got.Symbologies = nil
						if err != nil || !reflect.DeepEqual(got, want) {
							t.Errorf("%+v: got %+v, %v", want, got, err)
						}
						n++
					}
				}
			}
		}
	}
	if n != 6*4*2*4*3 {
		t.Fatal(n, "cases")
	}
}

// TestSerialGap: without an end the gap is three times the slowest pause.
func TestSerialGap(t *testing.T) {
	for _, c := range []struct {
		pause, want time.Duration
		kind        string
	}{{5, 0, ""}, {20, 0, ""}, {21, 63, ""}, {100, 300, ""}, {334, 0, Slow}} {
		s, err := Serial(line(Settings{End: framing.EndNone}, 8, c.pause*time.Millisecond))
		if c.kind != "" {
			if kindOf(err) != c.kind {
				t.Errorf("%d ms: %v", c.pause, err)
			}
			continue
		}
		if err != nil || s.Gap != c.want*time.Millisecond {
			t.Errorf("%d ms: gap %v, %v", c.pause, s.Gap, err)
		}
	}
}

// TestSerialTrouble: what cannot be learned is said by its kind.
func TestSerialTrouble(t *testing.T) {
	codes := Sheet()
	with := func(change func(i int, text string) string) []Scan {
		var scans []Scan
		for i, c := range codes {
			scans = append(scans, Scan{Want: c.Text, Chunks: []Chunk{{Data: []byte(change(i, c.Text))}}})
		}
		return scans
	}
	for name, c := range map[string]struct {
		scans []Scan
		kind  string
		at    int
	}{
		"nothing at all": {nil, Silent, 0},
		"silent":         {with(func(int, string) string { return "" }), Silent, 0},
		"noise":          {with(func(int, string) string { return "\xf8\x80\xe6\x00\x1c\xfe\x86" }), Baud, 0},
		"too few":        {with(func(int, string) string { return "xx" }), Baud, 0},
		"another code":   {with(func(i int, s string) string { return []string{s, "6901234567890", s}[i] + "\r" }), Strange, 1},
		"case":           {with(func(_ int, s string) string { return swapCase(s) + "\r" }), Case, 1},
		"code id":        {with(func(i int, s string) string { return "jjs"[i:i+1] + s + "\r" }), Uneven, 2},
		"length":         {with(func(_ int, s string) string { return fmt.Sprintf("%03d%s\r", len(s), s) }), Uneven, 1},
		"twice":          {with(func(_ int, s string) string { return s + "\r" + s + "\r" }), Uneven, 0},
	} {
		_, err := Serial(c.scans)
		var got *Trouble
		if !errors.As(err, &got) || got.Kind != c.kind || got.Scan != c.at {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got.Said.ZH == "" || !strings.Contains(got.Error(), got.Said.EN) || strings.Contains(got.Error(), codes[0].Text) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// The toy layouts: positions are those of a US keyboard.
const (
	usPlain = "1234567890-=qwertyuiop[]asdfghjkl;'zxcvbnm,./"
	usShift = "!@#$%^&*()_+QWERTYUIOP{}ASDFGHJKL:\"ZXCVBNM<>?"
	dePlain = "1234567890ß'qwertzuiopü+asdfghjklöäyxcvbnm,.-"
	deShift = "!\"§$%&/()=?`QWERTZUIOPÜ*ASDFGHJKLÖÄYXCVBNM;:_"
	frPlain = "&é\"'(-è_çà)=azertyuiop^$qsdfghjklmùwxcvbn,;:!"
	frShift = "1234567890°+AZERTYUIOP¨£QSDFGHJKLM%WXCVBN?./§"
)

func toy(name, plain, shifted string, extra map[rune]uint16) (Layout, func(text string, end uint16, pause time.Duration) []Key) {
	codes := []uint16{2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27,
		30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53}
	p, s := []rune(plain), []rune(shifted)
	decode := func(keys []Key) string {
		var b strings.Builder
		shift, alt := false, false
		for _, k := range keys {
			switch {
			case k.Code == 42:
				shift = k.Down
			case k.Code == 100:
				alt = k.Down
			case !k.Down:
			case k.Code == 28:
				b.WriteByte('\r')
			case k.Code == 15:
				b.WriteByte('\t')
			case alt:
				for r, c := range extra {
					if c == k.Code {
						b.WriteRune(r)
					}
				}
			default:
				if i := slices.Index(codes, k.Code); i >= 0 {
					b.WriteRune(map[bool][]rune{false: p, true: s}[shift][i])
				}
			}
		}
		return b.String()
	}
	encode := func(text string, end uint16, pause time.Duration) []Key {
		var keys []Key
		at := time.Duration(0)
		press := func(mod, code uint16) {
			if mod != 0 {
				keys = append(keys, Key{at, mod, true})
			}
			keys = append(keys, Key{at, code, true}, Key{at, code, false})
			if mod != 0 {
				keys = append(keys, Key{at, mod, false})
			}
			at += pause
		}
		for _, r := range text {
			if i := slices.Index(p, r); i >= 0 {
				press(0, codes[i])
			} else if i := slices.Index(s, r); i >= 0 {
				press(42, codes[i])
			} else if c, ok := extra[r]; ok {
				press(100, c)
			} else {
				panic(fmt.Sprintf("%s cannot type %q", name, r))
			}
		}
		if end != 0 {
			press(0, end)
		}
		return keys
	}
	return Layout{Name: name, Text: decode}, encode
}

// TestKeys: every toy layout, end, prefix and speed comes out as it was put in.
func TestKeys(t *testing.T) {
	type encoder = func(string, uint16, time.Duration) []Key
	us, typeUS := toy("us", usPlain, usShift, nil)
	de, typeDE := toy("de", dePlain, deShift, map[rune]uint16{'@': 16})
	de.Name = "de"
	// '#' stands on a key of its own on German keyboards: here beside AltGr.
	de, typeDE = toy("de", dePlain, deShift, map[rune]uint16{'@': 16, '#': 43})
	fr, typeFR := toy("fr", frPlain, frShift, map[rune]uint16{'@': 11, '#': 4})
	twin := us
	twin.Name = "intl"
	layouts := []Layout{us, de, fr, twin}
	for name, enc := range map[string]encoder{"us": typeUS, "de": typeDE, "fr": typeFR} {
		for end, code := range map[string]uint16{framing.EndCR: 28, framing.EndTab: 15, framing.EndNone: 0} {
			for _, prefix := range []string{"", "a7"} {
				for gap, pause := range map[time.Duration]time.Duration{0: 4 * time.Millisecond, 90 * time.Millisecond: 30 * time.Millisecond} {
					if end != framing.EndNone {
						gap = 0
					}
					var scans []Scan
					for _, c := range Sheet() {
						scans = append(scans, Scan{Want: c.Text, Keys: enc(prefix+c.Text, code, pause)})
					}
					got, err := Keys(scans, layouts)
					want := Settings{Layout: name, End: end, Prefix: prefix, Gap: gap, Symbologies: []string{"", "", ""}}
					if name == "us" {
						want.Also = []string{"intl"}
					}
					if err != nil || !reflect.DeepEqual(got, want) {
						t.Errorf("%s %s %q: got %+v, %v", name, end, prefix, got, err)
					}
				}
			}
		}
	}
	for name, c := range map[string]struct {
		text func(string) string
		kind string
	}{
		"case":    {swapCase, Case},
		"another": {func(string) string { return "6901234567890" }, Strange},
		"length":  {func(s string) string { return fmt.Sprintf("%d%s", len(s), s) }, Uneven},
	} {
		var scans []Scan
		for _, code := range Sheet() {
			scans = append(scans, Scan{Want: code.Text, Keys: typeUS(c.text(code.Text), 28, time.Millisecond)})
		}
		if _, err := Keys(scans, layouts); kindOf(err) != c.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Keys([]Scan{{Want: "1"}}, layouts); kindOf(err) != Silent {
		t.Error(err)
	}
	if _, err := Keys(nil, nil); kindOf(err) != Strange {
		t.Error(err)
	}
	slow := []Scan{{Want: Sheet()[0].Text, Keys: typeUS(Sheet()[0].Text, 0, time.Second)}}
	if _, err := Keys(slow, layouts); kindOf(err) != Slow {
		t.Error(err)
	}
}

// TestReports: the layout whose reading gives the text.
func TestReports(t *testing.T) {
	at := func(name string, data, aim int) ReportLayout {
		return ReportLayout{name, func(reports [][]byte) (string, string) {
			var text, symbology string
			for _, r := range reports {
				if len(r) < 8 || data+int(r[1]) > len(r) {
					return "", ""
				}
				text += string(r[data : data+int(r[1])])
				if aim > 0 {
					symbology = string(r[aim+1 : aim+3])
				}
			}
			return text, symbology
		}}
	}
	layouts := []ReportLayout{at("honeywell", 5, 2), at("newland", 2, 0)}
	send := func(data int, aim string) []Scan {
		var scans []Scan
		for _, c := range Sheet() {
			s := Scan{Want: c.Text}
			for rest := c.Text + "\r"; rest != ""; {
				n := min(56, len(rest))
				r := make([]byte, 64)
				r[0], r[1] = 2, byte(n)
				copy(r[2:], aim)
				copy(r[data:], rest[:n])
				s.Reports, rest = append(s.Reports, r), rest[n:]
			}
			scans = append(scans, s)
		}
		return scans
	}
	got, err := Reports(send(5, "]C0"), layouts)
	if err != nil || got.Layout != "honeywell" || got.Symbologies[0] != "C0" {
		t.Errorf("%+v %v", got, err)
	}
	if got, err := Reports(send(2, ""), layouts); err != nil || got.Layout != "newland" || got.Symbologies[2] != "" {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := Reports(send(9, ""), layouts); kindOf(err) != Strange {
		t.Error(err)
	}
	if _, err := Reports([]Scan{{Want: "1"}}, layouts); kindOf(err) != Silent {
		t.Error(err)
	}
	if _, err := Reports(nil, nil); kindOf(err) != Silent {
		t.Error(err)
	}
}

// TestOptions: what is printed is what the file takes.
func TestOptions(t *testing.T) {
	s := Settings{End: "none", Prefix: "a\"\\\x1d", Suffix: "#", AIM: true, Gap: 90 * time.Millisecond, Line: "7E1", Layout: "de"}
	want := []Option{{"line", `"7E1"`}, {"layout", "de"}, {"end", "none"}, {"prefix", `"a\"\\\x1d"`}, {"suffix", `"#"`}, {"aim", "true"}, {"gap", "90ms"}}
	if got := s.Options(); !reflect.DeepEqual(got, want) {
		t.Errorf("%q", got)
	}
	if got := (Settings{}).Options(); got != nil {
		t.Errorf("%q", got)
	}
}

// FuzzSerial: whatever comes, settings that are given read the code.
func FuzzSerial(f *testing.F) {
	text := Sheet()[0].Text
	for _, s := range []string{text + "\r", "\x02" + text + "\x03", "]C0" + text + "\r\n", "A" + text + "B\t", text, "", "\xff\x80"} {
		f.Add([]byte(s), 3, 5)
	}
	f.Fuzz(func(t *testing.T, data []byte, size, ms int) {
		if size < 1 || ms < 0 || ms > 10_000 || len(data) > 4096 {
			return
		}
		scan := Scan{Want: text}
		at := time.Duration(0)
		for rest := data; len(rest) > 0; at += time.Duration(ms) * time.Millisecond {
			n := min(size, len(rest))
			scan.Chunks, rest = append(scan.Chunks, Chunk{at, rest[:n]}), rest[n:]
		}
		s, err := Serial([]Scan{scan})
		if err != nil {
			if k := kindOf(err); !slices.Contains([]string{Silent, Baud, Case, Strange, Uneven, Slow}, k) {
				t.Fatal(err)
			}
			return
		}
		chunks := scan.Chunks
		if s.Line != "" {
			chunks = masked(chunks)
		}
		if !works(s, chunks, text) {
			t.Fatalf("%+v does not read %q", s, data)
		}
	})
}
