package service

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"unsafe"
)

// resident is the KiB that are in memory of a mapping.
func resident(t *testing.T, at uintptr) int {
	t.Helper()
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := bytes.Cut(smaps, fmt.Appendf(nil, "%08x-", at))
	if !ok {
		t.Fatalf("no mapping at %x in\n%s", at, smaps)
	}
	_, rest, _ = bytes.Cut(rest, []byte("\nRss:"))
	var n int
	if _, err := fmt.Sscan(string(rest), &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestGiveBack: the pages go, and the program goes on.
func TestGiveBack(t *testing.T) {
	own, err := os.Readlink("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	list := fileMappings(smaps, own)
	if len(list) == 0 {
		t.Fatalf("no mapping of %s found in\n%s", own, smaps)
	}
	big := list[0]
	for _, m := range list {
		if m.n > big.n {
			big = m
		}
	}
	sum := 0
	for off := uintptr(0); off < big.n; off += 4096 {
		sum += int(*(*byte)(unsafe.Add(unsafe.Pointer(nil), big.at+off)))
	}
	before := resident(t, big.at)
	if err := GiveBack(); err != nil {
		t.Fatal(err)
	}
	if after := resident(t, big.at); after > before/2 {
		t.Errorf("%d KiB of the program's %d KiB are still there", after, before)
	}
	again := 0
	for off := uintptr(0); off < big.n; off += 4096 {
		again += int(*(*byte)(unsafe.Add(unsafe.Pointer(nil), big.at+off)))
	}
	if sum != again || sum == 0 {
		t.Errorf("the program reads differently now: %d, %d", sum, again)
	}
}

func TestFileMappings(t *testing.T) {
	const head = "Size:  8 kB\nRss:  8 kB\n"
	swapped := func(addr, mode, name, anon, swap string) string {
		return addr + " " + mode + " 00000000 fe:00 1234    " + name + "\n" + head + "Anonymous:      " + anon + " kB\nKSM:   0 kB\nSwap:       " + swap + " kB\nSwapPss:   0 kB\nVmFlags: rd ex mr mw me\n"
	}
	one := func(addr, mode, name, anon string) string { return swapped(addr, mode, name, anon, "0") }
	smaps := one("00400000-00500000", "r-xp", "/opt/pay agent", "0") +
		one("00500000-00600000", "r--p", "/opt/pay agent", "4") + // relocated by the loader
		swapped("00500000-00600000", "r--p", "/opt/pay agent", "0", "4") + // and what it wrote lies in swap
		one("00600000-00700000", "rw-p", "/opt/pay agent", "0") +
		one("00700000-00800000", "r--p", "/opt/pay agent (deleted)", "0") +
		one("00800000-00900000", "r--p", "/lib/libc.so", "0") +
		one("00900000-00a00000", "r--p", "", "0") +
		"00a00000-00b00000 zzz\nnonsense\n\x00\n" +
		one("00c00000-00d00000", "r--p", "/opt/pay agent", "0") +
		one("00e00000-00d00000", "r--p", "/opt/pay agent", "0")
	got := fileMappings([]byte(smaps), "/opt/pay agent")
	if fmt.Sprint(got) != fmt.Sprint([]mapping{{0x400000, 0x100000}, {0xc00000, 0x100000}}) {
		t.Errorf("%x", got)
	}
	if got := fileMappings([]byte(strings.Repeat("\xff", 100)), ""); got != nil {
		t.Error(got)
	}
}
