package pole

import (
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"payagent/devices"
)

// stuckOnce takes nothing, as a port whose flow control is wrong.
type stuckOnce struct {
	closed  chan struct{}
	flushed bool
}

func (s *stuckOnce) Write([]byte) (int, error) {
	<-s.closed
	return 0, io.ErrClosedPipe
}

func (s *stuckOnce) Close() error {
	close(s.closed)
	return nil
}

func (s *stuckOnce) ResetOutputBuffer() error {
	s.flushed = true
	return nil
}

// sink keeps what was written.
type sink struct {
	mu   sync.Mutex
	text string
}

func (s *sink) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text += string(b)
	return len(b), nil
}

func (s *sink) Close() error { return nil }

// TestStuckIsReopened: a port that takes nothing for 5 s is given up and opened
// again, and then has the latest screen.
func TestStuckIsReopened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad, good := &stuckOnce{closed: make(chan struct{})}, &sink{}
		ports := []io.WriteCloser{bad, good}
		d, err := run(Config{Name: "pole 3", Family: LED8}, func() (link, error) {
			l := link{port: ports[0]}
			ports = ports[1:]
			return l, nil
		}, stuck)
		if err != nil {
			t.Fatal(err)
		}
		for _, amount := range []string{"1.00", "2.00"} {
			if err := d.Show(t.Context(), devices.Screen{State: "waiting", Amount: amount}); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(stuck)
		synctest.Wait()
		if err := d.Show(t.Context(), devices.Screen{State: "waiting", Amount: "3.00"}); err == nil {
			t.Error("that it was stuck is not told")
		}
		time.Sleep(firstWait)
		synctest.Wait()
		if want := "\x1b@\x1bQA3.00\r\x1bs2"; good.text != want || !bad.flushed {
			t.Errorf("got %q, want %q; flushed %v", good.text, want, bad.flushed)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestPauses: a port that is absent is tried at growing intervals.
func TestPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var at []time.Duration
		d, err := run(Config{Name: "pole 3", Family: LED8}, func() (link, error) {
			at = append(at, time.Since(began))
			return link{}, devices.ErrAbsent
		}, stuck)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		if len(at) < 7 || len(at) > 10 || at[1] != firstWait || at[len(at)-1]-at[len(at)-2] != mostWait {
			t.Error(at)
		}
	})
}
