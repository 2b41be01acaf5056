package words

import (
	"strings"

	"payagent/platforms"
)

// AmountSpoken says an amount aloud, for voice and large print: 12850 fen is
// 一百二十八元五角. A negative amount begins with 负.
func AmountSpoken(f platforms.Fen) string {
	sign, n := "", uint64(f)
	if f < 0 {
		sign, n = "负", -n // wraps rightly for the least value, too
	}
	yuan, jiao, fen := n/100, n/10%10, n%10
	if n == 0 {
		return "零元"
	}
	var b strings.Builder
	b.WriteString(sign)
	if yuan > 0 {
		b.WriteString(numeral(yuan) + "元")
	}
	if jiao > 0 {
		b.WriteString(digit(jiao) + "角")
	}
	if fen > 0 {
		if yuan > 0 && jiao == 0 {
			b.WriteString("零")
		}
		b.WriteString(digit(fen) + "分")
	}
	return b.String()
}

func digit(n uint64) string { return string([]rune("零一二三四五六七八九")[n%10]) }

// numeral writes a whole number above zero: groups of four digits, each with
// its unit; 零 stands once where digits are left out; 一十 at the very
// beginning is said 十.
func numeral(n uint64) string {
	var groups []uint64
	for ; n > 0; n /= 10000 {
		groups = append(groups, n%10000)
	}
	units := []string{"", "万", "亿", "万亿", "亿亿"}
	var b strings.Builder
	gap := false
	for i := len(groups) - 1; i >= 0; i-- {
		g := groups[i]
		if g == 0 {
			gap = b.Len() > 0
			continue
		}
		if b.Len() > 0 && (gap || g < 1000) {
			b.WriteString("零")
		}
		b.WriteString(four(g) + units[i])
		gap = false
	}
	return strings.TrimPrefix(b.String(), leadOne(b.String()))
}

// leadOne gives 一 where the number begins with 一十.
func leadOne(s string) string {
	if strings.HasPrefix(s, "一十") {
		return "一"
	}
	return ""
}

func four(n uint64) string {
	units := []string{"", "十", "百", "千"}
	var b strings.Builder
	gap := false
	for i, p := 3, uint64(1000); i >= 0; i, p = i-1, p/10 {
		d := n / p % 10
		if d == 0 {
			gap = b.Len() > 0
			continue
		}
		if gap {
			b.WriteString("零")
		}
		b.WriteString(digit(d) + units[i])
		gap = false
	}
	return b.String()
}
