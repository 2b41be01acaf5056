package voice

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestEspeak: the real program takes the options and makes sound of Chinese.
func TestEspeak(t *testing.T) {
	if _, err := exec.LookPath("espeak-ng"); err != nil {
		t.Fatal("espeak-ng is not installed; run make setup first")
	}
	length := func(text string, volume int) (seconds time.Duration, loudest int16) {
		t.Helper()
		file := filepath.Join(t.TempDir(), "speech.wav")
		s, err := newSpeaker(Config{Name: "till 3", Volume: volume, Args: []string{"-w", file}})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.run(t.Context(), text); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) < 44 || string(b[:4]) != "RIFF" || string(b[8:16]) != "WAVEfmt " || binary.LittleEndian.Uint16(b[34:]) != 16 {
			t.Fatalf("%d bytes, not sound of 16 bits", len(b))
		}
		for i := 44; i+1 < len(b); i += 2 {
			loudest = max(loudest, int16(binary.LittleEndian.Uint16(b[i:])))
		}
		return time.Duration(len(b)-44) * time.Second / time.Duration(binary.LittleEndian.Uint32(b[28:])), loudest
	}
	whole, loud := length("请出示付款码，收您一百二十八元五角", 50)
	short, soft := length("支付成功", 5)
	if short < 300*time.Millisecond || whole < 2*short || whole > 20*time.Second {
		t.Errorf("the long text takes %v, the short one %v", whole, short)
	}
	if soft == 0 || loud < 4*soft {
		t.Errorf("volume 50 reaches %d, volume 5 reaches %d", loud, soft)
	}
	if _, err := newSpeaker(Config{Name: "till 3", Voice: "no-such-voice"}); err == nil || !strings.Contains(err.Error(), "another language") {
		t.Errorf("a voice that is not there: %v", err)
	}
	if _, err := newSpeaker(Config{Name: "till 3", Voice: "yue+f2"}); err != nil {
		t.Error(err)
	}
}
