package pole

import (
	"regexp"
	"strings"

	"golang.org/x/text/encoding/simplifiedchinese"

	"payagent/devices"
)

// The character sets.
const (
	CharsetGBK   = "gbk"   // Chinese displays; a Chinese character takes two bytes and two columns
	CharsetASCII = "ascii" // displays that know 0x20–0x7E only: the English texts are shown
)

// The marks of a test, which people must see.
const (
	testZH = "测试"
	testEN = "TEST"
)

// money is how an amount is written: yuan with two decimals.
var money = regexp.MustCompile(`^[0-9]+\.[0-9]{2}$`)

// dark tells whether a state has no amount: nobody is served, or nothing can
// be paid. What else the screen holds is then left out, so that nothing of the
// patient before stays (DSP-02).
func dark(state string) bool {
	return state == devices.StateIdle || state == devices.StateOffline || state == ""
}

// layout puts a screen on two lines of at most width columns, in the display's
// bytes: what is asked of the patient above; below the test mark, the line and,
// to the right, the amount. An amount that does not fit is left out whole,
// never cut; ok is then false.
func layout(s devices.Screen, charset string, width int) (upper, lower string, ok bool) {
	title, line, mark, currency := s.Title, s.Line, testZH, "￥"
	if charset == CharsetASCII {
		title, line, mark, currency = s.TitleEN, s.LineEN, testEN, "RMB "
		if title == "" {
			title = english(s.State)
		}
	}
	if s.State == devices.StateIdle || s.State == "" {
		line = ""
	}
	amount, ok := "", true
	if s.Amount != "" && !dark(s.State) {
		amount = encode(currency, charset) + s.Amount
		if ok = money.MatchString(s.Amount) && len(amount) <= width; !ok {
			amount = ""
		}
	}
	var left []string
	room := width
	if amount != "" {
		room -= len(amount) + 1
	}
	if s.Test {
		if m := encode(mark, charset); len(m) <= room {
			left, room = append(left, m), room-len(m)-1
		} else { // A narrow line with a large amount: the mark goes above.
			title = mark + " " + title
		}
	}
	const worthwhile = 8 // A shorter piece of a line tells nobody anything.
	if t := encode(line, charset); t != "" && (len(t) <= room || room >= worthwhile) {
		left = append(left, cut(t, charset, room))
	}
	lower = strings.Join(left, " ")
	if amount != "" {
		lower += strings.Repeat(" ", width-len(lower)-len(amount)) + amount
	}
	return cut(encode(title, charset), charset, width), lower, ok
}

// english says a state on a display for which the screen has no English text.
func english(state string) string {
	switch state {
	case "waiting":
		return "PLEASE SHOW CODE"
	case "queued":
		return "PLEASE WAIT"
	case "paying":
		return "PAYING"
	case "canceling", "in_doubt":
		return "CHECKING, PLS WAIT"
	case "paid":
		return "PAID"
	case "failed":
		return "NOT PAID"
	case "canceled":
		return "CANCELED"
	case devices.StateOffline:
		return "NO PAYMENT NOW"
	}
	return ""
}

// encode gives the bytes of a text, one for each column. It never gives a
// control byte, whatever the text is: a text cannot hold a command. What the
// display has no character for becomes '?'.
func encode(text, charset string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r < 0x20 || r >= 0x7f && r < 0xa0 || r == '\u200b' || r == '\ufeff':
			// Dropped: controls and what has no width.
		case r < 0x7f:
			b.WriteByte(byte(r))
		case charset == CharsetGBK:
			b.WriteString(double(r))
		default:
			b.WriteByte('?')
		}
	}
	return b.String()
}

// double gives a character in GBK: two bytes, or '?'.
func double(r rune) string {
	if r == '¥' { // U+00A5 is not in GBK; displays print it as another character.
		r = '￥'
	}
	// The encoder would give 0x1A, a control byte, for what it does not know,
	// so each character is asked for alone; it also has 0x80 for the euro,
	// which displays do not.
	got, err := simplifiedchinese.GBK.NewEncoder().String(string(r))
	if err != nil || len(got) != 2 {
		return "?"
	}
	return got
}

// cut shortens encoded text to a width without splitting a double byte.
func cut(text, charset string, width int) string {
	if len(text) <= width {
		return text
	}
	at := 0
	for at < len(text) {
		n := 1
		if charset == CharsetGBK && text[at] >= 0x80 {
			n = 2
		}
		if at+n > width {
			break
		}
		at += n
	}
	return strings.TrimRight(text[:at], " ")
}

// pad fills a line up to its width, so that nothing before stays in it.
func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-len(text)))
}

// centre puts text in the middle of a line; an empty one stays empty.
func centre(text string, width int) string {
	if text == "" {
		return ""
	}
	return strings.Repeat(" ", max(0, (width-len(text))/2)) + text
}
