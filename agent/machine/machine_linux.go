package machine

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Look gathers the facts.
func Look() Facts {
	f := Facts{OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU()}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		f.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		f.Memory = uint64(info.Totalram) * uint64(info.Unit)
		f.Booted = time.Now().Add(-time.Duration(info.Uptime) * time.Second).Truncate(time.Minute)
	}
	for line := range strings.Lines(read("/etc/os-release")) {
		if v, ok := strings.CutPrefix(line, "PRETTY_NAME="); ok {
			f.System = strings.Trim(strings.TrimSpace(v), `"`)
		}
	}
	for _, name := range []string{"/sys/firmware/devicetree/base/model", "/sys/class/dmi/id/product_name"} {
		if f.Model == "" {
			f.Model = read(name)
		}
	}
	return f
}

// read gives the text of a small file, without blanks and zero bytes.
func read(name string) string {
	data, err := os.ReadFile(name)
	if err != nil || len(data) > 64<<10 {
		return ""
	}
	return strings.Trim(string(data), "\x00 \n\t")
}

// WearOf tells the wear of the disk that a folder is on.
func WearOf(dir string) Wear { return wearOf("/sys", dir) }

func wearOf(sys, dir string) Wear {
	w := Wear{Percent: -1}
	var st unix.Stat_t
	if unix.Stat(dir, &st) != nil {
		return w
	}
	dev := strconv.Itoa(int(unix.Major(uint64(st.Dev)))) + ":" + strconv.Itoa(int(unix.Minor(uint64(st.Dev))))
	return wearAt(filepath.Join(sys, "dev", "block", dev))
}

// wearAt reads what the kernel tells of a block device; of a partition the disk
// above it is asked.
func wearAt(link string) Wear {
	w := Wear{Percent: -1}
	at, err := filepath.EvalSymlinks(link)
	if err != nil {
		return w
	}
	if _, err := os.Stat(filepath.Join(at, "partition")); err == nil {
		at = filepath.Dir(at)
	}
	// Of a volume over others (LUKS, LVM, md) the most worn counts.
	if below, err := os.ReadDir(filepath.Join(at, "slaves")); err == nil && len(below) > 0 {
		for _, b := range below {
			if x := wearAt(filepath.Join(at, "slaves", b.Name())); w.Device == "" || x.Percent > w.Percent {
				w = x
			}
		}
		return w
	}
	w.Device = filepath.Base(at)
	// eMMC (JEDEC 5.0): two estimates in steps of ten percent, 0x0b is over.
	for part := range strings.FieldsSeq(read(filepath.Join(at, "device", "life_time"))) {
		if n, err := strconv.ParseInt(part, 0, 16); err == nil && n > 0 && n <= 11 {
			w.Percent = max(w.Percent, int(n)*10)
		}
	}
	if n, err := strconv.ParseInt(read(filepath.Join(at, "device", "pre_eol_info")), 0, 16); err == nil && n > 0 && n <= 3 {
		w.State = []string{"normal", "warning", "urgent"}[n-1]
	}
	if w.Percent >= 0 || w.State != "" {
		return w
	}
	// UFS tells the same of the whole chip, at the host above the disk.
	for dir, n := filepath.Join(at, "device"), 0; n < maxAbove; n++ {
		dir, err = filepath.EvalSymlinks(dir)
		if err != nil {
			return w
		}
		for _, name := range []string{"life_time_estimation_a", "life_time_estimation_b"} {
			if n, err := strconv.ParseInt(read(filepath.Join(dir, "health_descriptor", name)), 0, 16); err == nil && n > 0 && n <= 11 {
				w.Percent = max(w.Percent, int(n)*10)
			}
		}
		if n, err := strconv.ParseInt(read(filepath.Join(dir, "health_descriptor", "eol_info")), 0, 16); err == nil && n > 0 && n <= 3 {
			w.State = []string{"normal", "warning", "urgent"}[n-1]
			return w
		}
		dir = filepath.Dir(dir)
	}
	return w
}

// maxAbove is how many devices above a disk are looked at.
const maxAbove = 5

// RTC is the clock with a battery, zero where there is none.
func RTC() time.Time {
	n, err := strconv.ParseInt(read("/sys/class/rtc/rtc0/since_epoch"), 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(n, 0)
}

// LookClock tells how the clock is kept.
func LookClock() Clock {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	if err != nil {
		return Clock{}
	}
	synced := state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0
	c := Clock{Synced: &synced}
	if synced {
		c.ErrorS = float64(t.Maxerror/1000) / 1000
	}
	return c
}
