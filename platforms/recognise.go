package platforms

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// CodeRule is one line of the table by which scanned texts are told apart. A
// text that has the right beginning, length and letters is of that kind.
type CodeRule struct {
	Kind CodeKind `json:"kind" yaml:"kind"`
	// Starts lists beginnings, one of which the text has: literal ("424") or a
	// range of equally long numbers ("10-15"). Empty means any beginning.
	Starts []string `json:"starts" yaml:"starts"`
	// AnyCase lets the beginning be written in capitals or small letters.
	AnyCase bool `json:"any_case" yaml:"any_case"`
	// Min and Max bound the length in characters, after normalising.
	Min int `json:"min" yaml:"min"`
	Max int `json:"max" yaml:"max"`
	// Letters says what the text is made of.
	Letters Letters `json:"letters" yaml:"letters"`
	// Channel is the wallet; needed if Payable.
	Channel Channel `json:"channel" yaml:"channel"`
	// Payable texts may be sent as payment codes.
	Payable bool `json:"payable" yaml:"payable"`
}

// Letters is a set of characters. The zero value is Digits.
type Letters string

// The sets. Printable is ASCII without blanks.
const (
	Digits    Letters = "digits"
	Alnum     Letters = "alnum"
	Printable Letters = "printable"
)

// CodeRules is the table, with the switches that no line of it can express.
// The zero value takes every text for digits or junk and nothing as payable.
type CodeRules struct {
	// Rules are tried in order; the first that fits decides.
	Rules []CodeRule `json:"rules" yaml:"rules"`
	// PayUnknownDigits sends digits that no rule knows, without a channel, for
	// platforms that find the wallet themselves. Off: they are refused here.
	PayUnknownDigits bool `json:"pay_unknown_digits" yaml:"pay_unknown_digits"`
	// PayIDLike sends a WeChat code although it is also a valid 身份证 number.
	// Off: the payer is asked for another code, which costs one refresh in
	// about 25,000 WeChat payments and keeps ID numbers off the wire.
	PayIDLike bool `json:"pay_id_like" yaml:"pay_id_like"`
}

// maxRule is the longest text that a rule may ask for: the capacity of a QR code.
const maxRule = 7089

// maxDigits is the length of unknown digits that may be sent at most.
const maxDigits = 64

// DefaultRules is the table of the wallets' documents as of 2025: WeChat Pay
// micropay, Alipay 194/106039, UnionPay C2B, e-CNY, 医保电子凭证, EMV.
func DefaultRules() CodeRules {
	return CodeRules{Rules: []CodeRule{
		{Kind: KindWeChat, Starts: []string{"10-15"}, Min: 18, Max: 18, Channel: WeChat, Payable: true},
		{Kind: KindAlipay, Starts: []string{"25-30"}, Min: 16, Max: 24, Channel: Alipay, Payable: true},
		{Kind: KindAlipayFace, Starts: []string{"fp"}, Min: 3, Max: 128, Letters: Alnum, Channel: Alipay, Payable: true},
		{Kind: KindUnionPay, Starts: []string{"62"}, Min: 19, Max: 19, Channel: UnionPay, Payable: true},
		{Kind: KindECNY, Starts: []string{"01"}, Min: 19, Max: 19, Channel: ECNY, Payable: true},
		{Kind: KindInsurance, Min: 28, Max: 28},
		// Base64 of 85 05 "CPV01"; the tenth character depends on what follows.
		{Kind: KindEMV, Starts: []string{"hQVDUFYwM"}, Min: 10, Max: maxRule, Letters: Printable},
		{Kind: KindMerchantQR, Starts: []string{"http://", "https://", "wxp://", "weixin://", "alipays://", "alipayqr://", "upwrp://"},
			AnyCase: true, Min: 6, Max: maxRule, Letters: Printable},
		// The EMV code that a merchant shows begins with payload format 01.
		{Kind: KindMerchantQR, Starts: []string{"000201"}, Min: 20, Max: maxRule, Letters: Printable},
	}}
}

// Validate tells what is wrong with the table, by number of the rule from 1.
func (r CodeRules) Validate() error {
	var errs []error
	for i, rule := range r.Rules {
		if err := rule.validate(); err != nil {
			errs = append(errs, fmt.Errorf("rule %d (%s): %w", i+1, rule.Kind, err))
		}
	}
	if len(errs) > 0 {
		return fmt.Errorf("cannot use the table of codes; correct it: %w", errors.Join(errs...))
	}
	return nil
}

func (r CodeRule) validate() error {
	switch {
	case !known(r.Kind):
		return errors.New("the kind is not known")
	case r.Min < 1 || r.Max < r.Min || r.Max > maxRule:
		return fmt.Errorf("min and max must keep 1 ≤ min ≤ max ≤ %d", maxRule)
	case r.Letters != "" && r.Letters != Digits && r.Letters != Alnum && r.Letters != Printable:
		return errors.New("letters must be digits, alnum or printable")
	case r.Payable && !isWallet(r.Kind):
		return errors.New("only a wallet's kind may be payable")
	case r.Payable && r.Channel == "":
		return errors.New("a payable rule needs a channel")
	case r.Channel != "" && r.Channel != WeChat && r.Channel != Alipay && r.Channel != UnionPay && r.Channel != ECNY:
		return errors.New("the channel is not known")
	case r.Payable && len(r.Starts) == 0:
		return errors.New("a payable rule needs a beginning, or every number would be sent")
	}
	for _, s := range r.Starts {
		if s == "" || len(s) > r.Max {
			return fmt.Errorf("the beginning %q is empty or longer than max", s)
		}
		from, to, ranged := strings.Cut(s, "-")
		if ranged && (len(from) != len(to) || from > to || !made(from, Digits) || !made(to, Digits)) {
			return fmt.Errorf("the range %q needs two equally long numbers, the smaller first", s)
		}
		if !ranged && !made(s, r.letters()) {
			return fmt.Errorf("the beginning %q has characters that letters excludes", s)
		}
	}
	return nil
}

// Recognise tells what a scanned text is, before a call is spent on it.
// Symbology is its AIM identifier without the bracket ("Q1"), or empty; one at
// the beginning of the text counts too. Payment codes come as Code128 or QR
// only, so any other symbology that is known is refused. The Code of the
// answer holds text only if it is payable: nothing else ever becomes an
// AuthCode. A payable text still has to suit the button that was pressed.
func (r CodeRules) Recognise(text, symbology string) Scanned {
	t, aim := normalise(text)
	if aim != "" {
		symbology = aim
	}
	rule := r.match(t)
	s := Scanned{Code: AuthCode{Kind: rule.Kind}, Channel: rule.Channel, Payable: rule.Payable}
	switch {
	case rule.Kind == KindWeChat && !r.PayIDLike && isIDNumber(t), rule.Kind == KindDigits && isIDNumber(t):
		return Scanned{Code: AuthCode{Kind: KindIDCard}}
	case rule.Kind == KindDigits && isProduct(t):
		return Scanned{Code: AuthCode{Kind: KindProduct}}
	case rule.Kind == KindDigits && len(t) <= maxDigits:
		s.Payable = r.PayUnknownDigits
	}
	if kind := foreign(symbology); s.Payable && kind != "" {
		return Scanned{Code: AuthCode{Kind: kind}}
	}
	if s.Payable {
		s.Code.Hidden = Hide(t)
	} else {
		s.Channel = ""
	}
	return s
}

// match finds the first rule that fits; without one the text is digits, the
// 身份证 with an X, or junk.
func (r CodeRules) match(t string) CodeRule {
	for _, rule := range r.Rules {
		if len(t) >= rule.Min && len(t) <= rule.Max && made(t, rule.letters()) && rule.starts(t) {
			return rule
		}
	}
	switch {
	case made(t, Digits):
		return CodeRule{Kind: KindDigits}
	case isIDNumber(t):
		return CodeRule{Kind: KindIDCard}
	}
	return CodeRule{Kind: KindJunk}
}

func (r CodeRule) letters() Letters {
	if r.Letters == "" {
		return Digits
	}
	return r.Letters
}

func (r CodeRule) starts(t string) bool {
	for _, s := range r.Starts {
		if from, to, ranged := strings.Cut(s, "-"); ranged {
			if len(t) >= len(from) && t[:len(from)] >= from && t[:len(from)] <= to && made(t[:len(from)], Digits) {
				return true
			}
		} else if len(t) >= len(s) && (t[:len(s)] == s || r.AnyCase && strings.EqualFold(t[:len(s)], s)) {
			return true
		}
	}
	return len(r.Starts) == 0
}

// made tells whether a text is not empty and made of such letters only.
func made(t string, of Letters) bool {
	for i := 0; i < len(t); i++ {
		c := t[i]
		digit := c >= '0' && c <= '9'
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !(digit || letter && of != Digits || of == Printable && c > ' ' && c < 0x7f) {
			return false
		}
	}
	return t != ""
}

// around is what scanners and hands put around a text: STX, ETX, CR, LF, TAB,
// NUL, blanks, the full-width blank and the byte order mark.
const around = "\x00\x02\x03\r\n\t \u3000\ufeff"

// normalise strips what is around a text and its AIM identifier, which it
// gives without the bracket, and turns full-width digits into plain ones. It
// leaves the inside alone: a text with a gap is two texts or a damaged one.
func normalise(text string) (t, aim string) {
	t = strings.Trim(text, around)
	if len(t) >= 3 && t[0] == ']' && made(t[1:3], Alnum) {
		t, aim = strings.Trim(t[3:], around), t[1:3]
	}
	if !strings.ContainsFunc(t, isWide) || !utf8.ValidString(t) {
		return t, aim
	}
	return strings.Map(func(c rune) rune {
		if isWide(c) {
			return c - '０' + '0'
		}
		return c
	}, t), aim
}

func isWide(c rune) bool { return c >= '０' && c <= '９' }

// foreign gives the kind of a symbology in which no wallet writes, empty for
// Code128, QR and what is not known. The letters are those of ISO/IEC 15424.
func foreign(symbology string) CodeKind {
	s := strings.TrimPrefix(symbology, "]")
	if s == "" {
		return ""
	}
	switch s[0] {
	case 'E':
		return KindProduct
	case 'A', 'B', 'F', 'G', 'H', 'I', 'L', 'S', 'U', 'd', 'e', 'z':
		return KindJunk
	}
	return ""
}

// isIDNumber tells whether a text is a valid 身份证 number (GB 11643): 18
// characters, a birth date that exists from 1900 to 2039, and the right MOD
// 11-2 check character. A random WeChat code passes about once in 25,000.
func isIDNumber(t string) bool {
	if len(t) != 18 || !made(t[:17], Digits) {
		return false
	}
	num := func(from, to int) (n int) {
		for i := from; i < to; i++ {
			n = n*10 + int(t[i]-'0')
		}
		return n
	}
	year, month, day := num(6, 10), num(10, 12), num(12, 14)
	if year < 1900 || year > 2039 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) {
		return false
	}
	// Each place weighs twice the one to its right, modulo 11.
	rest := 0
	for i := 0; i < 17; i++ {
		rest = (rest + int(t[i]-'0')) * 2 % 11
	}
	check := "10X98765432"[rest]
	return t[17] == check || check == 'X' && t[17] == 'x'
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// isProduct tells whether digits are an EAN-8, UPC-A, EAN-13 or GTIN-14 with
// the right check digit.
func isProduct(t string) bool {
	if n := len(t); n != 8 && n != 12 && n != 13 && n != 14 {
		return false
	}
	sum := 0
	for i := 0; i < len(t); i++ {
		weight := 1
		if (len(t)-i)%2 == 0 {
			weight = 3
		}
		sum += int(t[i]-'0') * weight
	}
	return sum%10 == 0
}

func isWallet(k CodeKind) bool {
	switch k {
	case KindWeChat, KindAlipay, KindAlipayFace, KindUnionPay, KindECNY:
		return true
	}
	return false
}

func known(k CodeKind) bool {
	switch k {
	case KindInsurance, KindIDCard, KindMerchantQR, KindEMV, KindProduct, KindCard, KindDigits, KindJunk:
		return true
	}
	return isWallet(k)
}
