package panel

import (
	"fmt"
	"os"
	"runtime"
	"testing"

	"go.uber.org/goleak"

	"payagent/devices"
)

// unpacked is what the font takes in memory: 24 bytes for each character.
const unpacked = 7_500 * 24

// firstRender and secondRender are what the first two pictures of this process
// allocated, in bytes.
var firstRender, secondRender uint64

func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestMain(m *testing.M) {
	paint := func() { Render(devices.Screen{State: "paid"}, small, false, "zh") }
	firstRender, secondRender = allocated(paint), allocated(paint)
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// TestFontIsUnpackedByTheFirstPicture: an agent without a panel links the font
// and pays only for its packed form, in the file.
func TestFontIsUnpackedByTheFirstPicture(t *testing.T) {
	if firstRender < unpacked {
		t.Errorf("the first picture took %d bytes: the font was unpacked before", firstRender)
	}
	if secondRender > unpacked/2 {
		t.Errorf("the second picture took %d bytes: the font is unpacked again", secondRender)
	}
}
