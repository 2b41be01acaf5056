package wedge

import "unicode"

// levels are the characters of one key: plain, with Shift, with AltGr, with
// Shift and AltGr; 0 where there is none. A combining mark (U+0300 …) is a dead
// key.
type levels [4]rune

// layout is a scanner's own keyboard layout. It is the layout the scanner was
// set up for ("keyboard country"), not the host's.
type layout struct {
	keys  [typing]levels
	altGr bool // the right Alt key is AltGr
}

// table gives characters by key, one string per key, in the order of levels; a
// blank stands for none.
type table map[uint16]string

// The dead keys, written as the combining mark that they add.
const (
	grave   = "\u0300"
	acute   = "\u0301"
	hat     = "\u0302"
	tilde   = "\u0303"
	umlaut  = "\u0308"
	nothing = " "
)

// spacing is the character a dead key gives alone: typed as the dead key and
// then the space bar.
func spacing(mark rune) rune {
	switch mark {
	case '\u0300':
		return '`'
	case '\u0301':
		return '´'
	case '\u0302':
		return '^'
	case '\u0303':
		return '~'
	case '\u0308':
		return '¨'
	}
	return 0
}

// compose gives what a dead key and the key behind it make, as Windows does:
// one letter where there is one, the space bar gives the sign alone, and
// anything else comes as both characters.
func compose(mark, r rune) string {
	sign := string(spacing(mark))
	if r == ' ' {
		return sign
	}
	if letter := accented(mark, r); letter != 0 {
		return string(letter)
	}
	if spacing(r) != 0 {
		r = spacing(r)
	}
	return sign + string(r)
}

// accented is the letter that Unicode has for a letter with a mark above it, 0
// where it has none. Pairs of before and after are all that is needed of its
// tables, which would take 100 KB of the program.
func accented(mark, r rune) rune {
	pairs := ""
	switch mark {
	case '\u0300':
		pairs = "AÀEÈIÌNǸOÒUÙWẀYỲaàeèiìnǹoòuùwẁyỳ¨῭ÂẦÊỀÔỒÜǛâầêềôồüǜĂẰăằĒḔēḕŌṐōṑƠỜơờƯỪưừ"
	case '\u0301':
		pairs = "AÁCĆEÉGǴIÍKḰLĹMḾNŃOÓPṔRŔSŚUÚWẂYÝZŹaácćeégǵiíkḱlĺmḿnńoópṕrŕsśuúwẃyýzź¨΅ÂẤÅǺÆǼÇḈÊẾÏḮÔỐÕṌØǾÜǗâấåǻæǽçḉêếïḯôốõṍøǿüǘĂẮăắĒḖēḗŌṒōṓŨṸũṹƠỚơớƯỨưứ"
	case '\u0302':
		pairs = "AÂCĈEÊGĜHĤIÎJĴOÔSŜUÛWŴYŶZẐaâcĉeêgĝhĥiîjĵoôsŝuûwŵyŷzẑ"
	case '\u0303':
		pairs = "AÃEẼIĨNÑOÕUŨVṼYỸaãeẽiĩnñoõuũvṽyỹÂẪÊỄÔỖâẫêễôỗĂẴăẵƠỠơỡƯỮưữ"
	case '\u0308':
		pairs = "AÄEËHḦIÏOÖUÜWẄXẌYŸaäeëhḧiïoötẗuüwẅxẍyÿÕṎõṏŪṺūṻ"
	}
	odd, before := true, rune(0)
	for _, c := range pairs {
		if !odd && before == r {
			return c
		}
		odd, before = !odd, c
	}
	return 0
}

// us is what all others differ from.
func us() table {
	return table{
		keyGrave: "`~", key1: "1!", key2: "2@", key3: "3#", key4: "4$", key5: "5%", key6: "6^", key7: "7&", key8: "8*",
		key9: "9(", key0: "0)", keyMinus: "-_", keyEqual: "=+",
		keyQ: "qQ", keyW: "wW", keyE: "eE", keyR: "rR", keyT: "tT", keyY: "yY", keyU: "uU", keyI: "iI", keyO: "oO", keyP: "pP",
		keyLeftSq: "[{", keyRightSq: "]}",
		keyA: "aA", keyS: "sS", keyD: "dD", keyF: "fF", keyG: "gG", keyH: "hH", keyJ: "jJ", keyK: "kK", keyL: "lL",
		keySemi: ";:", keyQuote: "'\"", keyHash: `\|`,
		keyZ: "zZ", keyX: "xX", keyC: "cC", keyV: "vV", keyB: "bB", keyN: "nN", keyM: "mM",
		keyComma: ",<", keyDot: ".>", keySlash: "/?", key102: `\|`,
	}
}

// Layouts names the layouts there are.
func Layouts() []string { return []string{"br", "de", "es", "fr", "it", "jp", "uk", "us"} }

// differs says how a layout differs from us, after the layouts of Windows,
// which is what scanners are set up for; ok tells whether there is such one.
//
// What a layout cannot type, scanners send as Alt and the number of the
// character on the keypad: ~ and ` of it.
func differs(name string) (t table, ok bool) {
	switch name {
	case "us", "":
		return table{}, true
	case "uk":
		return table{
			keyGrave: "`¬¦", key2: `2"`, key3: "3£", key4: "4$€", keyQuote: "'@", keyHash: "#~", key102: `\|`,
			keyA: "aAáÁ", keyE: "eEéÉ", keyI: "iIíÍ", keyO: "oOóÓ", keyU: "uUúÚ",
		}, true
	case "de":
		return table{
			keyGrave: hat + "°", key2: `2"²`, key3: "3§³", key6: "6&", key7: "7/{", key8: "8([", key9: "9)]", key0: "0=}",
			keyMinus: `ß?\`, keyEqual: acute + grave,
			keyQ: "qQ@", keyE: "eE€", keyY: "zZ", keyLeftSq: "üÜ", keyRightSq: "+*~",
			keySemi: "öÖ", keyQuote: "äÄ", keyHash: "#'",
			key102: "<>|", keyZ: "yY", keyM: "mMµ", keyComma: ",;", keyDot: ".:", keySlash: "-_",
		}, true
	case "fr":
		return table{
			keyGrave: "²" + nothing, key1: "&1", key2: "é2" + tilde, key3: `"3#`, key4: "'4{", key5: "(5[", key6: "-6|",
			key7: "è7" + grave, key8: `_8\`, key9: "ç9^", key0: "à0@", keyMinus: ")°]", keyEqual: "=+}",
			keyQ: "aA", keyW: "zZ", keyE: "eE€", keyLeftSq: hat + umlaut, keyRightSq: "$£¤",
			keyA: "qQ", keySemi: "mM", keyQuote: "ù%", keyHash: "*µ",
			key102: "<>", keyZ: "wW", keyM: ",?", keyComma: ";.", keyDot: ":/", keySlash: "!§",
		}, true
	case "es":
		return table{
			keyGrave: `ºª\`, key1: "1!|", key2: `2"@`, key3: "3·#", key4: "4$" + tilde, key5: "5%€", key6: "6&¬", key7: "7/",
			key8: "8(", key9: "9)", key0: "0=", keyMinus: "'?", keyEqual: "¡¿",
			keyE: "eE€", keyLeftSq: grave + hat + "[", keyRightSq: "+*]",
			keySemi: "ñÑ", keyQuote: acute + umlaut + "{", keyHash: "çÇ}",
			key102: "<>", keyComma: ",;", keyDot: ".:", keySlash: "-_",
		}, true
	case "it":
		return table{
			keyGrave: `\|`, key2: `2"`, key3: "3£", key6: "6&", key7: "7/", key8: "8(", key9: "9)", key0: "0=",
			keyMinus: "'?", keyEqual: "ì^",
			keyE: "eE€", keyLeftSq: "èé[{", keyRightSq: "+*]}",
			keySemi: "òç@", keyQuote: "à°#", keyHash: "ù§",
			key102: "<>", keyComma: ",;", keyDot: ".:", keySlash: "-_",
		}, true
	case "jp":
		return table{
			keyGrave: "", key2: `2"`, key6: "6&", key7: "7'", key8: "8(", key9: "9)", key0: "0", keyMinus: "-=", keyEqual: "^~",
			keyLeftSq: "@`", keyRightSq: "[{", keySemi: ";+", keyQuote: ":*", keyHash: "]}",
			keyRo: `\_`, keyYen: `\|`, // the yen sign is the backslash's code
		}, true
	case "br": // ABNT2
		return table{
			keyGrave: `'"`, key1: "1!¹", key2: "2@²", key3: "3#³", key4: "4$£", key5: "5%¢", key6: "6" + umlaut + "¬",
			keyEqual: "=+§", keyQ: "qQ/", keyW: "wW?", keyE: "eE€", keyLeftSq: acute + grave, keyRightSq: "[{ª",
			keySemi: "çÇ", keyQuote: tilde + hat, keyHash: "]}º",
			key102: `\|`, keySlash: ";:", keyRo: "/?°",
		}, true
	}
	return nil, false
}

// layoutOf builds a layout.
func layoutOf(name string) (*layout, bool) {
	own, ok := differs(name)
	if !ok {
		return nil, false
	}
	l := &layout{}
	for _, t := range []table{us(), own} {
		for code, text := range t {
			l.keys[code] = levels{}
			for i, r := range []rune(text) {
				if r != ' ' {
					l.keys[code][i] = r
				}
				l.altGr = l.altGr || i >= 2
			}
		}
	}
	l.keys[keySpace] = levels{' ', ' '}
	return l, true
}

// char gives the character of a key. Caps Lock, where the scanner itself turned
// it on, swaps the cases of letters.
func (l *layout) char(code uint16, shift, altGr, caps bool) rune {
	k := &l.keys[code]
	if caps && unicode.IsLetter(k[0]) && unicode.ToUpper(k[0]) == k[1] && !altGr {
		shift = !shift
	}
	switch {
	case altGr && shift:
		return k[3]
	case altGr:
		return k[2]
	case shift:
		return k[1]
	}
	return k[0]
}
