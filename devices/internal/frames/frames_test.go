package frames

import (
	"strings"
	"testing"
)

func must(t *testing.T, text string) []byte {
	t.Helper()
	b, err := Hex(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestVectors: frames from the makers' manuals and public code (wire.md §7.4).
func TestVectors(t *testing.T) {
	for _, text := range []string{
		"7E 00 08 01 00 02 01 02 DA", "7E 00 08 01 00 02 02 32 B9", "7E 00 08 01 00 00 D5 EF 41", "7E 00 07 01 00 2A 02 D8 0F",
		"04 09 7E 00 08 01 00 02 01 02 DA",
		"7E 01 30 30 30 30 23 53 43 4E 54 52 47 31 3B 03",
		"16 54 0D", "16 4D 0D 52 45 56 49 4E 46 2E", "FD 03 16 54 0D", "01 54 04", "24 24 24 24",
	} {
		if err := Check(must(t, text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{
		"08 C6 04 08 00 F2 01 00 FE 33", "04 E4 04 00 FF 14", "04 E5 04 00 FF 13", "04 D0 04 00 FF 28", "04 E9 04 00 FF 0F", "04 EA 04 00 FF 0E",
		"08 C6 04 08 00 F2 01 02 FE 31", "07 C6 04 08 00 8A 07 FE 96",
	} {
		p := must(t, text)
		if err := CheckSSI(p); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if got := SSI(p[:len(p)-2]...); string(got) != string(p) {
			t.Errorf("%s: %x", text, got)
		}
	}
	// The positive answer has no address.
	if p := must(t, "02 00 00 01 00 33 31"); crc(p) != nil {
		t.Error("the answer's CRC")
	}
}

func TestRefused(t *testing.T) {
	for _, text := range []string{
		"7E 00 05 01 01 F0 08 11 11", // published, and wrong
		"7E 00 08 01 00 02 01 02 DB", "7E 00 08 02 00 02 01 02 DA", "7E 00 08", "04 09 7E 00 08 01 00 02 01 02 DB",
		"7E 01 30 30 30 30 23 53 43 4E", "7E 01 3B 03", "16 54", "16 54 0A", "16 4D 0D 52 45 56",
	} {
		if err := Check(must(t, text)); err == nil || !strings.HasPrefix(err.Error(), "cannot ") {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{"04 E4 04 00 FF 15", "05 E4 04 00 FF 14", "04", "03 E4 04 FF 15"} {
		if CheckSSI(must(t, text)) == nil {
			t.Errorf("%s was accepted", text)
		}
	}
	for _, text := range []string{"", " ", "F", "GG", "FD 3", strings.Repeat("00", 256)} {
		if _, err := Hex(text); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

func FuzzCheck(f *testing.F) {
	f.Add("7E 00 08 01 00 02 01 02 DA")
	f.Add("04 D0 04 00 FF 28")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Hex(text)
		if err != nil {
			return
		}
		_, _ = Check(p), CheckSSI(p)
		if len(p) >= 4 && len(p) < 254 {
			q := append([]byte{byte(len(p) + 1)}, p...)
			if err := CheckSSI(SSI(q...)); len(q) >= 4 && err != nil {
				t.Error(err)
			}
		}
	})
}
