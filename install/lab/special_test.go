//go:build lab && linux

package lab

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// control shows that the spies see what nobody grabs, so that a count of none
// means something.
func control(g *gadget, node string) (string, error) {
	keysSpy, err := evdevSpy(node)
	if err != nil {
		return "", err
	}
	console, err := consoleSpy()
	if err != nil {
		return "", err
	}
	text := code()
	err = g.scan(text)
	seen := within(5*time.Second, func() bool {
		return keysSpy.count.Load() >= int64(len(text)) && console.count.Load() >= int64(len(text))
	})
	err = errors.Join(err, keysSpy.close(), console.close())
	if !seen {
		err = errors.Join(err, fmt.Errorf("the spies saw %d keys and %d bytes of one scan", keysSpy.count.Load(), console.count.Load()))
	}
	return fmt.Sprintf("one scan: %d keys at the event node, %d bytes at the console", keysSpy.count.Load(), console.count.Load()), err
}

// grab scans often with other readers at the event node and at the console:
// none of them may see a thing, and the agent sees all. The other scanners are
// not plugged in: they would only take time.
func (s *station) grab(t *testing.T, others []*station, n int) (string, error) {
	for _, o := range others {
		if o != s {
			if err := o.g.unplug(); err != nil {
				return "", err
			}
		}
	}
	keysSpy, err := evdevSpy(hostNode(t, s.g))
	if err != nil {
		return "", err
	}
	console, err := consoleSpy()
	if err != nil {
		return "", errors.Join(err, keysSpy.close())
	}
	before, err := s.counted("good")
	for i := 0; i < n && err == nil; i++ {
		err = s.g.scan(code())
	}
	var after int
	if err == nil {
		within(5*time.Second, func() bool {
			after, err = s.counted("good")
			return err != nil || after-before >= n
		})
	}
	err = errors.Join(err, keysSpy.close(), console.close())
	if err != nil {
		return "", err
	}
	if k, c := keysSpy.count.Load(), console.count.Load(); k != 0 || c != 0 {
		return "", fmt.Errorf("others saw %d keys and %d bytes", k, c)
	}
	if after-before != n {
		return "", fmt.Errorf("the agent saw %d of %d scans", after-before, n)
	}
	return fmt.Sprintf("%d scans, all seen by the agent; 0 keys at the event node, 0 bytes at the console", n), nil
}

// counted is one of the counts that the agent keeps of a scanner: good, lost …
func (s *station) counted(what string) (int, error) {
	return s.r.metric(fmt.Sprintf(`payagent_device_reads_total{device="%s-scanner",what=%q}`, s.name, what))
}

// present waits until the agent says that the scanner works and takes codes.
func (s *station) present() (time.Duration, error) {
	began := time.Now()
	if !within(20*time.Second, func() bool {
		<-time.After(10 * time.Millisecond) // the page is much work for one number
		n, err := s.r.metric(fmt.Sprintf(`payagent_device_present{device="%s-scanner"}`, s.name))
		return err == nil && n == 1
	}) {
		return 0, fmt.Errorf("the agent does not have the scanner of %s", s.name)
	}
	took := time.Since(began)
	<-time.After(settle) // codes right after the opening are dropped, 300 ms of them
	return took, nil
}

// stuck holds keys down while an order waits; the code after it pays.
func (s *station) stuck() (string, error) {
	from := s.r.stream.mark()
	no, err := s.r.order(s.name, 1280)
	if err != nil {
		return "", err
	}
	for _, hold := range []byte{'1', '\r'} {
		c, _ := key(hold)
		if err := s.g.send([]byte{0, 0, c, 0, 0, 0, 0, 0}); err != nil {
			return "", err
		}
		<-time.After(3 * time.Second) // the kernel repeats it 30 times a second
		if err := s.g.send(make([]byte, 8)); err != nil {
			return "", err
		}
		<-time.After(settle)
		if st, err := s.r.state(no); err != nil || st != "waiting" {
			return "", because(err, "with a key stuck the order is %s", st)
		}
	}
	_, err = s.finish(no, from)
	return "a digit and Enter held for 3 s each: nothing read; the code after them paid", err
}

// dropped floods the kernel's buffer while the agent does not run: SYN_DROPPED
// comes, and nothing that is left of the codes may pay.
func (s *station) dropped() (string, error) {
	from := s.r.stream.mark()
	no, err := s.r.order(s.name, 1280)
	if err != nil {
		return "", err
	}
	lost, err := s.counted("lost")
	if err != nil {
		return "", err
	}
	for round := range 5 {
		if err := s.r.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			return "", err
		}
		for range 1 + round {
			err = errors.Join(err, s.g.scan(code()))
		}
		if err := errors.Join(err, s.r.cmd.Process.Signal(syscall.SIGCONT)); err != nil {
			return "", err
		}
		<-time.After(settle)
		if st, err := s.r.state(no); err != nil || st != "waiting" {
			return "", because(err, "after an overflow the order is %s", st)
		}
	}
	if all, err := s.r.truths(); err != nil || all[no].Requests != 0 {
		return "", because(err, "the rest of a code reached the platform")
	}
	now, err := s.counted("lost")
	if err != nil || now < lost+5 {
		return "", because(err, "the agent counts %d overflows of 5", now-lost)
	}
	_, err = s.finish(no, from)
	return fmt.Sprintf("15 codes, %d overflows counted: none read in part, none paid; the code after them paid", now-lost), err
}

// together arms all stations and scans at the same moment.
func together(list []*station) (string, error) {
	from := list[0].r.stream.mark()
	var numbers []string
	for i, s := range list {
		no, err := s.r.order(s.name, 1000+i)
		if err != nil {
			return "", err
		}
		numbers = append(numbers, no)
	}
	var wg sync.WaitGroup
	errs := make([]error, len(list))
	for i, s := range list {
		wg.Go(func() { errs[i] = s.g.scan(code()) })
	}
	wg.Wait()
	for i, no := range numbers {
		errs = append(errs, list[0].r.paidOnce(no, 1000+i, from))
	}
	return fmt.Sprintf("%d scanners at the same moment: each paid its own till's order once", len(list)), errors.Join(errs...)
}

// swapped plugs equal scanners out and in again in the other order; each must
// be its own till's again. want says of each station that it is equal to the
// others but for its port.
//
// With hidraw their nodes are exchanged, which shows that the case proves
// something; libusb has none.
func swapped(t *testing.T, a, b *station, nodes bool) (string, error) {
	before, other := "", ""
	if nodes {
		before = hostNode(t, a.g)
	}
	if err := errors.Join(a.g.unplug(), b.g.unplug()); err != nil {
		return "", err
	}
	if err := b.g.plug(); err != nil {
		return "", err
	}
	if nodes {
		other = hostNode(t, b.g)
	} else {
		<-time.After(backWithin)
	}
	if err := a.g.plug(); err != nil {
		return "", err
	}
	for _, s := range []*station{a, b} {
		if _, err := s.present(); err != nil {
			return "", err
		}
	}
	if other != before {
		return "", fmt.Errorf("the nodes were not exchanged: %s and %s; the case proves nothing", before, other)
	}
	for i, s := range []*station{a, b} {
		from := s.r.stream.mark()
		mine, err := s.r.order(s.name, 1280)
		if err != nil {
			return "", err
		}
		theirs := []*station{b, a}[i]
		yours, err := s.r.order(theirs.name, 1280)
		if err != nil {
			return "", err
		}
		if _, err := s.finish(mine, from); err != nil {
			return "", fmt.Errorf("the scanner at %s: %w", s.name, err)
		}
		if st, err := s.r.state(yours); err != nil || st != "waiting" {
			return "", because(err, "the scan at %s made the order at %s %s", s.name, theirs.name, st)
		}
		if err := s.r.cancel(yours); err != nil {
			return "", err
		}
	}
	if nodes {
		return fmt.Sprintf("%s was the one and became the other; each paid its own till's order", before), nil
	}
	return "each paid its own till's order", nil
}

// cycles plugs all scanners out and in while orders wait at their tills, and
// looks for what the agent leaks.
func cycles(list []*station, n int) (string, error) {
	r := list[0].r
	// The count to compare with is that of an agent which has seen every kind
	// of opening a few times.
	if _, err := cycling(list, 3); err != nil {
		return "", err
	}
	routines, err := r.routines()
	if err != nil {
		return "", err
	}
	if err := r.launch(); err != nil {
		return "", err
	}
	for _, s := range list {
		if _, err := s.present(); err != nil {
			return "", err
		}
	}
	if _, err := cycling(list, 3); err != nil {
		return "", err
	}
	files := r.files()
	from := r.stream.mark()
	numbers, err := cycling(list, n)
	if err != nil {
		return "", err
	}
	after := r.files()
	for i, s := range list {
		if _, err := s.present(); err != nil {
			return "", err
		}
		if _, err := s.finish(numbers[i], from); err != nil {
			return "", fmt.Errorf("%s after %d cycles: %w", s.name, n, err)
		}
		s.open = ""
	}
	now, err := r.routines()
	if err != nil {
		return "", err
	}
	// Connections of the API come and go by two or three.
	if now > routines+3 || after > files+3 {
		return "", fmt.Errorf("after %d cycles %d goroutines became %d, %d open files became %d", n, routines, now, files, after)
	}
	return fmt.Sprintf("%d of each of %d scanners with orders armed: goroutines %d → %d, open files %d → %d; then paid", n, len(list), routines, now, files, after), nil
}

// cycling makes an order at every station that has none open, and plugs all of
// them out and in n times. The orders stay; it gives their numbers.
func cycling(list []*station, n int) ([]string, error) {
	r := list[0].r
	var numbers []string
	for _, s := range list {
		if s.open != "" {
			if st, err := r.state(s.open); err != nil || st != "waiting" {
				return nil, because(err, "the order at %s is %s", s.name, st)
			}
		} else {
			no, err := r.order(s.name, 1280)
			if err != nil {
				return nil, err
			}
			s.open = no
		}
		numbers = append(numbers, s.open)
	}
	for i := range n {
		from := r.stream.mark()
		for _, s := range list {
			if err := s.g.unplug(); err != nil {
				return nil, err
			}
		}
		for _, s := range list {
			if _, err := r.stream.await(from, 10*time.Second, func(e event) bool {
				return e.Name == "till" && e.Face.Till == s.name && e.Face.note() == "scanner_gone"
			}); err != nil {
				return nil, fmt.Errorf("cycle %d, %s unplugged: %w", i+1, s.name, err)
			}
		}
		from = r.stream.mark()
		for _, s := range list {
			if err := s.g.plug(); err != nil {
				return nil, fmt.Errorf("cycle %d: %w", i+1, err)
			}
		}
		for _, s := range list {
			if _, err := r.stream.await(from, 10*time.Second, func(e event) bool {
				return e.Name == "till" && e.Face.Till == s.name && e.Face.note() != "scanner_gone"
			}); err != nil {
				return nil, fmt.Errorf("cycle %d, %s plugged in: %w", i+1, s.name, err)
			}
		}
	}
	return numbers, nil
}

// listed looks for every station in what `payagent devices list` prints.
func (r *rig) listed(t *testing.T, list []*station) (string, error) {
	out, err := r.devicesList()
	t.Logf("payagent devices list\n%s", out)
	if err != nil {
		return "", err
	}
	for _, s := range list {
		for _, want := range []string{s.g.port(t) + ":1.0", fmt.Sprintf("%04x:%04x", s.g.vendor, s.g.product)} {
			if !strings.Contains(out, want) {
				return "", fmt.Errorf("%s is not in it: %s", s.name, want)
			}
		}
	}
	return fmt.Sprintf("%d devices with their ports and ids", len(list)), nil
}

// bound tells which kernel driver holds a USB interface; empty if none does.
func bound(port string) string {
	target, err := os.Readlink("/sys/bus/usb/devices/" + port + ":1.0/driver")
	if err != nil {
		return ""
	}
	return target[strings.LastIndexByte(target, '/')+1:]
}
