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

// TestWearAbove reads UFS, whose host tells, and a volume over two disks.
func TestWearAbove(t *testing.T) {
	sys := t.TempDir()
	put := func(name, text string) {
		t.Helper()
		path := filepath.Join(sys, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put("soc/ufs/health_descriptor/life_time_estimation_a", "0x02\n")
	put("soc/ufs/health_descriptor/life_time_estimation_b", "0x04\n")
	put("soc/ufs/health_descriptor/eol_info", "0x01\n")
	put("soc/ufs/host0/target0/lun0/model", "UFS\n")
	put("block/sda/size", "1\n")
	put("block/mmcblk0/device/life_time", "0x09 0x02\n")
	put("block/dm-0/slaves/keep", "")
	for from, to := range map[string]string{"block/sda/device": "soc/ufs/host0/target0/lun0", "block/dm-0/slaves/sda": "block/sda", "block/dm-0/slaves/mmcblk0": "block/mmcblk0"} {
		if err := os.Symlink(filepath.Join(sys, to), filepath.Join(sys, from)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(sys, "block/dm-0/slaves/keep")); err != nil {
		t.Fatal(err)
	}
	if got, want := wearAt(filepath.Join(sys, "block/sda")), (Wear{"sda", 40, "normal"}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got, want := wearAt(filepath.Join(sys, "block/dm-0")), (Wear{"mmcblk0", 90, ""}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}
