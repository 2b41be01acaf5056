package machine

import (
	"os"
	"path/filepath"
	"testing"
)

func TestLook(t *testing.T) {
	f := Look()
	if f.OS != "linux" || f.Kernel == "" || f.Memory == 0 || f.Booted.IsZero() || f.CPUs == 0 {
		t.Errorf("%+v", f)
	}
	WearOf(t.TempDir()) // whatever the disk here tells
	if w := WearOf("/nowhere"); w.Percent != -1 || w.Device != "" {
		t.Errorf("%+v", w)
	}
	LookClock()
}

// TestWear reads the files of an eMMC with a partition.
func TestWear(t *testing.T) {
	for name, c := range map[string]struct {
		life, eol string
		want      Wear
	}{
		"new":      {"0x01 0x01", "0x01", Wear{"mmcblk0", 10, "normal"}},
		"worn":     {"0x03 0x0a", "0x02", Wear{"mmcblk0", 100, "warning"}},
		"over":     {"0x0b 0x0b", "0x03", Wear{"mmcblk0", 110, "urgent"}},
		"unknown":  {"0x00 0x00", "0x00", Wear{"mmcblk0", -1, ""}},
		"nonsense": {"x 999", "9", Wear{"mmcblk0", -1, ""}},
		"nothing":  {"", "", Wear{"mmcblk0", -1, ""}},
	} {
		dir := t.TempDir()
		part := filepath.Join(dir, "mmcblk0", "mmcblk0p2")
		device := filepath.Join(dir, "mmcblk0", "device")
		for _, d := range []string{part, device} {
			if err := os.MkdirAll(d, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		for file, text := range map[string]string{filepath.Join(part, "partition"): "2\n", filepath.Join(device, "life_time"): c.life + "\n", filepath.Join(device, "pre_eol_info"): c.eol + "\n"} {
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		for _, at := range []string{part, filepath.Join(dir, "mmcblk0")} {
			if got := wearAt(at); got != c.want {
				t.Errorf("%s: %+v, want %+v", name, got, c.want)
			}
		}
	}
}
