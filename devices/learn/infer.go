package learn

import (
	"bytes"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"payagent/devices/internal/framing"
)

// Serial learns from what came over a serial line.
func Serial(scans []Scan) (Settings, error) {
	var found Settings
	for i, s := range scans {
		chunks := s.Chunks
		data := join(chunks)
		if len(data) == 0 {
			return found, trouble(Silent, i)
		}
		line := ""
		if !bytes.Contains(data, []byte(s.Want)) {
			if line = parity(data, s.Want); line == "" {
				return found, trouble(unread(data, s.Want), i)
			}
			chunks = masked(chunks)
		}
		one, kind := shape(string(join(chunks)), s.Want)
		if kind != "" {
			return found, trouble(kind, i)
		}
		one.Line = line
		if one.End == framing.EndNone {
			if one.Gap, kind = gap(slowest(chunks, s.Want)); kind != "" {
				return found, trouble(kind, i)
			}
		}
		if !works(one, chunks, s.Want) {
			return found, trouble(Uneven, i)
		}
		if found, kind = merge(found, one, i == 0); kind != "" {
			return found, trouble(kind, i)
		}
	}
	return found, agree(found, scans)
}

// Keys learns from what was typed, with the layouts to choose from: the first
// that explains every scan wins, and the others that do are named beside it.
func Keys(scans []Scan, layouts []Layout) (Settings, error) {
	for i, s := range scans {
		if len(s.Keys) == 0 {
			return Settings{}, trouble(Silent, i)
		}
	}
	var best Settings
	var worst *Trouble
	swapped := false
	for _, l := range layouts {
		found, err := typed(scans, l)
		if err == nil {
			if best.Layout == "" {
				best = found
			} else {
				best.Also = append(best.Also, l.Name)
			}
			continue
		}
		// The layout that went furthest says best what is wrong.
		if worst == nil || err.Scan > worst.Scan || err.Kind != Strange && worst.Kind == Strange {
			worst = err
		}
		swapped = swapped || err.Kind == Case
	}
	switch {
	case best.Layout != "":
		return best, nil
	case swapped:
		return best, trouble(Case, worst.Scan)
	case worst != nil:
		return best, worst
	}
	return best, trouble(Strange, 0)
}

func typed(scans []Scan, l Layout) (Settings, *Trouble) {
	var found Settings
	for i, s := range scans {
		text := l.Text(s.Keys)
		one, kind := shape(text, s.Want)
		if kind != "" {
			if strings.Contains(swapCase(text), s.Want) {
				kind = Case
			}
			return found, trouble(kind, i)
		}
		if one.End == framing.EndNone {
			if one.Gap, kind = gap(pause(s.Keys)); kind != "" {
				return found, trouble(kind, i)
			}
		}
		if !works(one, []Chunk{{Data: []byte(text)}}, s.Want) {
			return found, trouble(Uneven, i)
		}
		if found, kind = merge(found, one, i == 0); kind != "" {
			return found, trouble(kind, i)
		}
	}
	found.Layout = l.Name
	return found, nil
}

// ReportLayout is one way in which HID reports carry a code. Text gives the
// text of all reports of one code and its AIM identifier without the bracket;
// empty where they do not fit.
type ReportLayout struct {
	Name string
	Text func(reports [][]byte) (text, symbology string)
}

// Reports learns from HID input reports.
func Reports(scans []Scan, layouts []ReportLayout) (Settings, error) {
	var worst *Trouble
	for _, l := range layouts {
		found := Settings{Layout: l.Name}
		var bad *Trouble
		for i, s := range scans {
			if len(s.Reports) == 0 {
				return Settings{}, trouble(Silent, i)
			}
			text, symbology := l.Text(s.Reports)
			if strings.TrimRight(text, "\r\n\t") != s.Want {
				bad = trouble(Strange, i)
				break
			}
			found.Symbologies = append(found.Symbologies, symbology)
		}
		if bad == nil && len(scans) > 0 {
			return found, nil
		}
		if worst == nil || bad != nil && bad.Scan > worst.Scan {
			worst = bad
		}
	}
	if worst == nil {
		worst = trouble(Silent, 0)
	}
	return Settings{}, worst
}

func join(chunks []Chunk) []byte {
	var all []byte
	for _, c := range chunks {
		all = append(all, c.Data...)
	}
	return all
}

// parity tells the line setting under which the bytes, read as 8N1, hold the
// text; empty if none does.
func parity(data []byte, want string) string {
	low := mask(data)
	at := bytes.Index(low, []byte(want))
	if at < 0 || want == "" {
		return ""
	}
	even, odd, mark := true, true, true
	for _, b := range data[at : at+len(want)] {
		ones := 0
		for x := b; x != 0; x &= x - 1 {
			ones++
		}
		even, odd, mark = even && ones%2 == 0, odd && ones%2 == 1, mark && b&0x80 != 0
	}
	switch {
	case even:
		return "7E1"
	case odd:
		return "7O1"
	case mark:
		return "7M1"
	}
	return ""
}

func mask(data []byte) []byte {
	low := bytes.Clone(data)
	for i := range low {
		low[i] &= 0x7f
	}
	return low
}

func masked(chunks []Chunk) []Chunk {
	out := slices.Clone(chunks)
	for i := range out {
		out[i].Data = mask(out[i].Data)
	}
	return out
}

// unread says why bytes do not hold the text: at a wrong speed most of them
// are no text, and there are too many or too few.
func unread(data []byte, want string) string {
	bad := 0
	for _, b := range data {
		if b < 0x20 && b != '\r' && b != '\n' && b != '\t' && b != 2 && b != 3 || b >= 0x7f {
			bad++
		}
	}
	switch {
	case bad*5 >= len(data) || len(data)*2 < len(want):
		return Baud
	case strings.Contains(swapCase(string(data)), want):
		return Case
	}
	return Strange
}

// shape finds what stands around the text; the second result is the kind of
// trouble, if there is one.
func shape(data, want string) (Settings, string) {
	at := strings.Index(data, want)
	if at < 0 || want == "" {
		return Settings{}, Strange
	}
	before, after := data[:at], data[at+len(want):]
	var s Settings
	open := strings.LastIndexByte(before, 2)
	shut := strings.IndexByte(after, 3)
	end := strings.IndexAny(after, "\r\n\t")
	switch {
	case open >= 0 && shut >= 0:
		s.End, s.Suffix = framing.EndETX, after[:shut]
	case end < 0:
		s.End, s.Suffix = framing.EndNone, after
	case strings.HasPrefix(after[end:], "\r\n"):
		s.End, s.Suffix = framing.EndCRLF, after[:end]
	default:
		s.End = map[byte]string{'\r': framing.EndCR, '\n': framing.EndLF, '\t': framing.EndTab}[after[end]]
		s.Suffix = after[:end]
	}
	// The framer takes noise off both ends before it looks for prefix and
	// suffix, and an STX begins a code wherever it stands.
	s.Prefix = strings.TrimLeftFunc(before[open+1:], noise)
	s.Suffix = strings.TrimRightFunc(s.Suffix, noise)
	symbology := ""
	if n := len(s.Prefix); n >= 3 && s.Prefix[n-3] == ']' && aim(s.Prefix[n-2], s.Prefix[n-1]) {
		s.AIM, symbology, s.Prefix = true, s.Prefix[n-2:], s.Prefix[:n-3]
	}
	s.Symbologies = []string{symbology}
	return s, ""
}

func aim(kind, option byte) bool {
	letter := func(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'z' }
	return letter(kind) && (letter(option) || option >= '0' && option <= '9')
}

func noise(r rune) bool { return r <= ' ' || r >= 0x7f && r < 0xa0 || r == utf8.RuneError }

// slowest is the longest pause between two reads within the text.
func slowest(chunks []Chunk, want string) time.Duration {
	at := bytes.Index(join(chunks), []byte(want))
	var most time.Duration
	pos := 0
	for i, c := range chunks {
		if i > 0 && pos > at && pos < at+len(want) {
			most = max(most, c.At-chunks[i-1].At)
		}
		pos += len(c.Data)
	}
	return most
}

// pause is the longest time between two presses.
func pause(keys []Key) time.Duration {
	var most, last time.Duration
	first := true
	for _, k := range keys {
		if !k.Down {
			continue
		}
		if !first {
			most = max(most, k.At-last)
		}
		first, last = false, k.At
	}
	return most
}

// gap gives the pause that ends a code, from the longest one inside: three
// times that, as the framer learns it too. What the framer begins with needs
// no setting.
func gap(slow time.Duration) (time.Duration, string) {
	switch {
	case slow < 0 || slow > 333*time.Millisecond:
		return 0, Slow
	case 3*slow <= framing.FirstGap:
		return 0, ""
	}
	return (3 * slow).Round(time.Millisecond), ""
}

// works reads the input once more, as the agent will.
func works(s Settings, chunks []Chunk, want string) bool {
	f, err := framing.New(framing.Config{End: s.End, Prefix: s.Prefix, Suffix: s.Suffix, AIM: s.AIM, Gap: s.Gap})
	if err != nil {
		return false
	}
	start := time.Unix(1_000_000, 0)
	at := start
	var got []framing.Frame
	for _, c := range chunks {
		at = start.Add(c.At)
		got = append(got, f.Feed(c.Data, at)...)
	}
	got = append(got, f.Idle(at.Add(2*time.Second))...)
	return slices.ContainsFunc(got, func(fr framing.Frame) bool { return fr.Text == want }) && len(got) == 1
}

// merge adds what one scan showed to what is known.
func merge(all, one Settings, first bool) (Settings, string) {
	if first {
		return one, ""
	}
	if all.End != one.End || all.Prefix != one.Prefix || all.Suffix != one.Suffix || all.AIM != one.AIM || all.Line != one.Line {
		return all, Uneven
	}
	all.Gap = max(all.Gap, one.Gap)
	all.Symbologies = append(all.Symbologies, one.Symbologies...)
	return all, ""
}

// agree is the last check: with the settings of all scans together, each is
// read rightly.
func agree(s Settings, scans []Scan) error {
	for i, scan := range scans {
		chunks := scan.Chunks
		if s.Line != "" {
			chunks = masked(chunks)
		}
		if !works(s, chunks, scan.Want) {
			return trouble(Uneven, i)
		}
	}
	if len(scans) == 0 {
		return trouble(Silent, 0)
	}
	return nil
}

func swapCase(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsUpper(r) {
			return unicode.ToLower(r)
		}
		return unicode.ToUpper(r)
	}, s)
}
