package wedge

// Key codes of Linux's input subsystem (include/uapi/linux/input-event-codes.h,
// which is kernel ABI). Those of the typing block are the scan codes of the
// first PC keyboards, so they lie in rows.
const (
	keyEsc       = 1
	key1         = 2 // 1 to 9, 0, then minus and equal, lie in a row
	key2         = 3
	key3         = 4
	key4         = 5
	key5         = 6
	key6         = 7
	key7         = 8
	key8         = 9
	key9         = 10
	key0         = 11
	keyMinus     = 12
	keyEqual     = 13
	keyBackspace = 14
	keyTab       = 15
	keyQ         = 16
	keyW         = 17
	keyE         = 18
	keyR         = 19
	keyT         = 20
	keyY         = 21
	keyU         = 22
	keyI         = 23
	keyO         = 24
	keyP         = 25
	keyLeftSq    = 26 // right of P
	keyRightSq   = 27
	keyEnter     = 28
	keyLeftCtrl  = 29
	keyA         = 30
	keyS         = 31
	keyD         = 32
	keyF         = 33
	keyG         = 34
	keyH         = 35
	keyJ         = 36
	keyK         = 37
	keyL         = 38
	keySemi      = 39 // right of L
	keyQuote     = 40
	keyGrave     = 41 // left of 1
	keyLeftShift = 42
	keyHash      = 43 // the key beside Enter: backslash on US keyboards
	keyZ         = 44
	keyX         = 45
	keyC         = 46
	keyV         = 47
	keyB         = 48
	keyN         = 49
	keyM         = 50
	keyComma     = 51
	keyDot       = 52
	keySlash     = 53
	keyRightShft = 54
	keyKPTimes   = 55
	keyLeftAlt   = 56
	keySpace     = 57
	keyCaps      = 58
	keyNum       = 69
	keyScroll    = 70
	keyKP7       = 71
	keyKP8       = 72
	keyKP9       = 73
	keyKPMinus   = 74
	keyKP4       = 75
	keyKP5       = 76
	keyKP6       = 77
	keyKPPlus    = 78
	keyKP1       = 79
	keyKP2       = 80
	keyKP3       = 81
	keyKP0       = 82
	keyKPDot     = 83
	key102       = 86 // left of Z on European keyboards
	keyRo        = 89 // left of the right shift on Japanese and Brazilian ones
	keyKPEnter   = 96
	keyRightCtrl = 97
	keyKPSlash   = 98
	keyRightAlt  = 100
	keyKPEqual   = 117
	keyKPComma   = 121
	keyYen       = 124
	keyLeftMeta  = 125
	keyRightMeta = 126
	keyF13       = 183
	keyF24       = 194

	typing = 128 // typing keys lie below
)

// The kinds and values of events that matter here.
const (
	evSyn      = 0x00
	evKey      = 0x01
	synReport  = 0
	synDropped = 3

	released = 0
	pressed  = 1 // 2 is a repeat made by the kernel while a key is held
)

// modifier keys, as bits.
const (
	modShift = 1 << iota
	modCtrl
	modAlt
	modAltGr
	modMeta
)

// modifier gives the bits of a modifier key: which modifier, and which of its
// two keys, so that both sides are told apart while both are held.
func modifier(code uint16) (mod, side uint16) {
	switch code {
	case keyLeftShift:
		return modShift, 1 << 0
	case keyRightShft:
		return modShift, 1 << 1
	case keyLeftCtrl:
		return modCtrl, 1 << 2
	case keyRightCtrl:
		return modCtrl, 1 << 3
	case keyLeftAlt:
		return modAlt, 1 << 4
	case keyRightAlt:
		return modAltGr, 1 << 5
	case keyLeftMeta:
		return modMeta, 1 << 6
	case keyRightMeta:
		return modMeta, 1 << 7
	}
	return 0, 0
}

// keypad gives the character of a key of the numeric block, whatever the state
// of Num Lock: a scanner that uses the block means digits.
func keypad(code uint16) rune {
	switch code {
	case keyKP0:
		return '0'
	case keyKP1, keyKP2, keyKP3:
		return '1' + rune(code-keyKP1)
	case keyKP4, keyKP5, keyKP6:
		return '4' + rune(code-keyKP4)
	case keyKP7, keyKP8, keyKP9:
		return '7' + rune(code-keyKP7)
	case keyKPDot:
		return '.'
	case keyKPComma:
		return ','
	case keyKPSlash:
		return '/'
	case keyKPTimes:
		return '*'
	case keyKPMinus:
		return '-'
	case keyKPPlus:
		return '+'
	case keyKPEqual:
		return '='
	}
	return 0
}

// hostileKey tells a key that makes programs do something instead of writing:
// Esc, Backspace, F1, arrows, Delete and the like. No code needs one.
func hostileKey(code uint16) bool {
	return code > 0 && code < typing || code >= keyF13 && code <= keyF24
}
