package wire_test

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain demands that nothing goes on running after the tests.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
