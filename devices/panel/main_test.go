package panel

import (
	"runtime"
	"testing"

	"go.uber.org/goleak"

	"payagent/devices"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestFontTakesNoMemory: the glyphs are read where they lie in the program, so
// neither an agent without a panel nor one with it unpacks them.
func TestFontTakesNoMemory(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	Render(devices.Screen{State: "paid"}, small, false, "zh")
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took == 0 || took > 256<<10 {
		t.Errorf("a picture took %d bytes", took)
	}
}
