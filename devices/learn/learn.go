// Package learn finds out how a scanner is set up from what it sends for codes
// whose text is known: which end it puts behind a code, what stands in front,
// which keyboard layout it types with, how its reports are laid out. It is
// pure: it opens nothing, and whatever it answers was tried on the same input
// with the framer that reads it later.
package learn

import (
	"fmt"
	"strings"
	"time"

	"payagent/devices"
)

// Code is one code of the printed sheet.
type Code struct {
	Text string
	QR   bool // a QR code; otherwise Code 128
}

// Sheet gives the three codes in the order in which they are scanned. None of
// them is anything that pays. The first is digits alone, as payment codes are;
// the second differs under every pair of common keyboard layouts and in its
// capital letters; the third needs a camera and more than one HID report.
func Sheet() []Code {
	return []Code{
		{Text: "9753108642"},
		{Text: `PAYAGENT-Zy/qWam:?@#"_;`},
		{Text: "PAYAGENT:QR:0123456789:ABCDEFGHIJKLMNOPQRSTUVWXYZ:abcdefghijklmnopqrstuvwxyz:END", QR: true},
	}
}

// Chunk is what one read of a serial line gave.
type Chunk struct {
	At   time.Duration // since any moment that one scan shares
	Data []byte
}

// Key is one event of a keyboard.
type Key struct {
	At   time.Duration
	Code uint16 // as in the kernel's input-event-codes.h: 28 is Enter
	Down bool   // false for the release; repeats are left out
}

// Scan is all that came for one code of the sheet, in one of three forms.
type Scan struct {
	Want    string   // the code's text
	Chunks  []Chunk  // from a serial line
	Keys    []Key    // from a keyboard
	Reports [][]byte // HID input reports with their ids
}

// Layout is one keyboard layout that a scanner may be set to.
type Layout struct {
	Name string
	// Text gives what the keys mean, with "\r" for Enter and "\t" for Tab.
	Text func([]Key) string
}

// Settings is what was found. Fields hold the values of the options of the
// same name; empty ones are at their defaults.
type Settings struct {
	End    string // see package framing
	Prefix string
	Suffix string
	AIM    bool          // an AIM identifier stands in front
	Gap    time.Duration // the pause that ends a code where End is none; 0 leaves it learned
	Line   string        // serial line settings, where they are not 8N1
	Layout string        // of keys or reports
	// Symbologies are the AIM identifiers seen, by scan; empty where none came.
	Symbologies []string
	// Also lists further layouts under which the same keys give the same text.
	Also []string
}

// The kinds of trouble.
const (
	Silent  = "silent"  // nothing came
	Baud    = "baud"    // bytes that are no text: the speed is wrong
	Case    = "case"    // capital and small letters are exchanged
	Strange = "strange" // readable, but not the code of the sheet
	Uneven  = "uneven"  // what stands around the codes differs from code to code
	Slow    = "slow"    // a code has longer pauses than a gap may be
)

// Trouble is why nothing could be learned. It holds nothing that was scanned.
type Trouble struct {
	Kind string // one of the constants
	Scan int    // index of the scan, from 0
	Said devices.Said
}

// Error gives the English text.
func (t *Trouble) Error() string {
	return fmt.Sprintf("cannot learn from scan %d: %s", t.Scan+1, t.Said.EN)
}

func trouble(kind string, scan int) *Trouble {
	return &Trouble{Kind: kind, Scan: scan, Said: said(kind)}
}

func said(kind string) devices.Said {
	switch kind {
	case Silent:
		return devices.Said{ZH: "没有收到任何数据：请检查线缆、设备是否亮灯，再扫一次；仍无数据时可能是波特率或接口模式不对",
			EN: "nothing came; check the cable and that the scanner lights up, then scan again; if still nothing comes, its interface or baud rate is another one"}
	case Baud:
		return devices.Said{ZH: "收到的不是文字：波特率或校验位不对，请换一个波特率（常见 9600、115200）",
			EN: "what came is no text: the baud rate or the parity is wrong; try another (9600 and 115200 are usual)"}
	case Case:
		return devices.Said{ZH: "大小写颠倒：请用设置码关闭扫码设备的 Caps Lock（大小写转换）选项",
			EN: "capital and small letters are exchanged; switch the scanner's Caps Lock (case conversion) setting off with its set-up code"}
	case Uneven:
		return devices.Said{ZH: "各个码前后附加的内容不一致：请用设置码关闭“长度”“条码类型标识（Code ID）”等附加信息",
			EN: "what stands before or behind the code differs from code to code; switch length, Code ID and the like off with the scanner's set-up codes"}
	case Slow:
		return devices.Said{ZH: "字符间隔过长，无法靠停顿判断结束：请用设置码为扫码设备加上回车（CR）后缀",
			EN: "the characters come too slowly for a pause to end a code; add the suffix CR with the scanner's set-up code"}
	}
	return devices.Said{ZH: "收到的文字与样张不符：请确认扫的是样张上的这一个码，并检查键盘布局和中文输入法无关的设置（大小写、附加信息）",
		EN: "what came is not this code of the sheet; scan the code that is asked for, and check the scanner's own settings (keyboard country, case, data formatting)"}
}

// Option is one line of the options of a scanner, ready for the file.
type Option struct{ Key, Value string }

// Options lists what must stand in the file, in its order. Values that are the
// defaults are left out, but for the end: that it was learned should be seen.
func (s Settings) Options() []Option {
	var list []Option
	add := func(key, value string) {
		if value != "" {
			list = append(list, Option{key, value})
		}
	}
	add("line", quote(s.Line))
	add("layout", s.Layout)
	add("end", s.End)
	add("prefix", quote(s.Prefix))
	add("suffix", quote(s.Suffix))
	if s.AIM {
		add("aim", "true")
	}
	if s.Gap > 0 {
		add("gap", s.Gap.String())
	}
	return list
}

// quote writes a text as YAML reads it back, whatever stands in it.
func quote(s string) string {
	if s == "" {
		return ""
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r >= 0x7f && r < 0xa0:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
