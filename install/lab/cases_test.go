//go:build lab && linux

package lab

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"
)

// station is one till with its scanner.
type station struct {
	name string // of the till, and of the device in the table
	g    *gadget
	r    *rig
	open string // the order that cycles keep waiting here
}

// gone and back bound what the issue promises of a cable that is pulled.
const (
	goneWithin = 500 * time.Millisecond
	backWithin = 2 * time.Second
)

// settle lets what a device sent, and what the agent makes of it, be over: far
// more than the longest pause inside a code, and than the agent's answer.
const settle = 400 * time.Millisecond

// because says what was wrong, and the error behind it if there is one.
func because(err error, format string, args ...any) error {
	return errors.Join(fmt.Errorf(format, args...), err)
}

// pay is the plain case: an order, a scan, paid.
func (s *station) pay() (string, error) {
	from := s.r.stream.mark()
	no, err := s.r.order(s.name, 1280)
	if err != nil {
		return "", err
	}
	return s.finish(no, from)
}

// finish scans a fresh code for an order that waits, and wants it paid.
func (s *station) finish(no string, from int) (string, error) {
	began := time.Now()
	if err := s.g.scan(code()); err != nil {
		return "", err
	}
	if err := s.r.paidOnce(no, 1280, from); err != nil {
		return "", err
	}
	return fmt.Sprintf("paid once, 12.80, %v after the scan", time.Since(began).Round(time.Millisecond)), nil
}

// unarmed scans while nobody is to pay, then makes an order: the scan must
// reach neither an old order nor the new one.
func (s *station) unarmed() (string, error) {
	before, err := s.r.truths()
	if err != nil {
		return "", err
	}
	from := s.r.stream.mark()
	if err := s.g.scan(code()); err != nil {
		return "", err
	}
	<-time.After(settle)
	no, err := s.r.order(s.name, 1280)
	if err != nil {
		return "", err
	}
	<-time.After(settle)
	if st, err := s.r.state(no); err != nil || st != "waiting" {
		return "", because(err, "the scan from before was taken: the order is %s", st)
	}
	after, err := s.r.truths()
	if err != nil || len(after) != len(before) {
		return "", because(err, "a request reached the platform")
	}
	_, err = s.finish(no, from)
	return "not paid, not kept for the next order", err
}

// identity scans an identity card while the client holds the scanner and no
// order waits: it goes to that client and to no platform.
func (s *station) identity() (string, error) {
	const number = "11010519491231002X" // the sample of the standard GB 11643
	path, mine := "/v1/tills/"+s.name, map[string]string{"session": "desk"}
	before, err := s.r.truths()
	if err != nil {
		return "", err
	}
	if _, err := s.r.call(http.MethodPost, path+"/scanner/claim", "", mine, nil); err != nil {
		return "", err
	}
	if err := s.g.scan(number); err != nil {
		return "", err
	}
	var got struct {
		Identity struct{ Kind, Text string }
	}
	if _, err := s.r.call(http.MethodGet, path+"/identity?session=desk&wait=10s", "", nil, &got); err != nil {
		return "", err
	}
	if _, err := s.r.call(http.MethodPost, path+"/scanner/release", "", mine, nil); err != nil {
		return "", err
	}
	if got.Identity.Kind != "id_card" || strings.TrimSpace(got.Identity.Text) != number {
		return "", fmt.Errorf("the client got a %s of %d characters", got.Identity.Kind, len(got.Identity.Text))
	}
	if after, err := s.r.truths(); err != nil || len(after) != len(before) {
		return "", because(err, "a request reached the platform")
	}
	return "it went to the client that held the scanner", nil
}

// hostile sends what is no payment code while an order waits.
func (s *station) hostile() (string, error) {
	from := s.r.stream.mark()
	no, err := s.r.order(s.name, 1280)
	if err != nil {
		return "", err
	}
	good := code()
	list := []string{
		"6901234567892",                        // EAN of a product
		good[:9] + "\x03\x16\x02" + good[9:],   // control characters inside
		strings.Repeat("1", 600),               // longer than any code
		"\x04\x1a\x15\x0b" + "rm -rf /" + "\t", // what a keyboard would do
		"https://evil.invalid/?code=" + good,
		good[:12], // too short for any wallet
	}
	for i, text := range list {
		if err := s.g.scan(text); err != nil {
			return "", fmt.Errorf("hostile text %d: %w", i+1, err)
		}
		<-time.After(settle)
		if st, err := s.r.state(no); err != nil || st != "waiting" {
			return "", because(err, "after hostile text %d the order is %s", i+1, st)
		}
	}
	if all, err := s.r.truths(); err != nil || all[no].Requests != 0 {
		return "", because(err, "a request reached the platform")
	}
	_, err = s.finish(no, from)
	return fmt.Sprintf("%d texts, none sent to a platform; the code after them paid", len(list)), err
}

// replug pulls the cable while an order waits, plugs it in and pays.
func (s *station) replug() (string, error) {
	from := s.r.stream.mark()
	no, err := s.r.order(s.name, 1280)
	if err != nil {
		return "", err
	}
	gone, err := s.pull(no)
	if err != nil {
		return "", err
	}
	at := s.r.stream.mark()
	plugged := time.Now()
	if err := s.g.plug(); err != nil {
		return "", err
	}
	e, err := s.r.stream.await(at, 10*time.Second, func(e event) bool {
		return e.Name == "till" && e.Face.Till == s.name && e.Face.note() != "scanner_gone"
	})
	if err != nil {
		return "", fmt.Errorf("plugged in again: %w", err)
	}
	seen := e.At.Sub(plugged)
	if seen > backWithin {
		return "", fmt.Errorf("it is there again after %v", seen)
	}
	// The promise is a scan two seconds after the plug.
	<-time.After(time.Until(plugged.Add(backWithin)))
	if _, err := s.finish(no, from); err != nil {
		return "", fmt.Errorf("scanned 2 s after the re-plug: %w", err)
	}
	return fmt.Sprintf("gone said after %v, the order stayed; there again %v after the plug, paid", ms(gone), ms(seen)), nil
}

func ms(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

// pull pulls the cable and waits until the till says so; the order must stay.
func (s *station) pull(no string) (time.Duration, error) {
	from := s.r.stream.mark()
	began := time.Now()
	if err := s.g.unplug(); err != nil {
		return 0, err
	}
	e, err := s.r.stream.await(from, 10*time.Second, func(e event) bool {
		return e.Name == "till" && e.Face.Till == s.name && e.Face.note() == "scanner_gone"
	})
	if err != nil {
		return 0, err
	}
	took := e.At.Sub(began)
	if took > goneWithin {
		return took, fmt.Errorf("the unplug was said after %v", took)
	}
	if st, err := s.r.state(no); err != nil || st != "waiting" {
		return took, because(err, "without its scanner the order is %s", st)
	}
	return took, nil
}

// halved pulls the cable in the middle of a code; the rest comes after the
// re-plug. Neither half, nor both together, may pay.
func (s *station) halved() (string, error) {
	from := s.r.stream.mark()
	no, err := s.r.order(s.name, 1280)
	if err != nil {
		return "", err
	}
	first, rest := s.halves(code())
	if err := s.g.send(first...); err != nil {
		return "", err
	}
	if _, err := s.pull(no); err != nil {
		return "", err
	}
	if err := s.g.plug(); err != nil {
		return "", err
	}
	if _, err := s.present(); err != nil {
		return "", err
	}
	if err := s.g.send(rest...); err != nil {
		return "", err
	}
	<-time.After(settle)
	if all, err := s.r.truths(); err != nil || all[no].Requests != 0 {
		return "", because(err, "half a code reached the platform")
	}
	_, err = s.finish(no, from)
	return "not paid; the whole code after it paid", err
}

// halves cuts a code in two as the device would send it.
func (s *station) halves(text string) (first, rest [][]byte) {
	switch s.g.kind {
	case cdc:
		return [][]byte{[]byte(text[:9])}, [][]byte{[]byte(text[9:] + "\r")}
	case keyboard:
		return keys(text[:9]), keys(text[9:] + "\r")
	}
	// A report says that more follows, and the cable goes.
	first = reports(s.g.kind, text[:9])
	first[0][63] = 1
	return first, reports(s.g.kind, text[9:])
}

// killed kills the agent while an order waits, and starts it again.
func (s *station) killed() (string, error) {
	from := s.r.stream.mark()
	no, err := s.r.order(s.name, 1280)
	if err != nil {
		return "", err
	}
	if err := s.r.signal(kill); err != nil {
		return "", err
	}
	// What is scanned while nobody listens is worth nothing later. With no
	// reader a HID device cannot even send it, which is no failure.
	stale := make(chan error, 1)
	go func() { stale <- s.g.scan(code()) }()
	<-time.After(settle)
	if err := s.r.launch(); err != nil {
		return "", err
	}
	took, err := s.present()
	if err != nil {
		return "", err
	}
	if took > backWithin {
		return "", fmt.Errorf("the scanner was there %v after the agent served", ms(took))
	}
	<-stale
	st, err := s.r.state(no)
	if err != nil || st != "waiting" {
		return "", because(err, "after kill -9 and a start the order is %s", st)
	}
	_, err = s.finish(no, from)
	return fmt.Sprintf("with an order armed; started again, the scanner was there %v after, the order waits, the next scan paid", ms(took)), err
}

// latency measures from the gadget's write that completes a code to the event
// at the API's client. It is the event of a card, which no journal and no other
// wait stands before; an order's event has to be on the disk first.
func (s *station) latency(n int) (string, error) {
	path := "/v1/tills/" + s.name + "/scanner/"
	if _, err := s.r.call(http.MethodPost, path+"claim", "", map[string]any{"session": session, "lease_s": 3600}, nil); err != nil {
		return "", err
	}
	var took []time.Duration
	for i := range n {
		from, card := s.r.stream.mark(), fmt.Sprintf("90%08d", rand.N(100_000_000))
		all := s.g.packets(card)
		last := len(all) - 1
		if s.g.kind == keyboard {
			last-- // Enter's press completes it, the release follows
		}
		if err := s.g.send(all[:last]...); err != nil {
			return "", err
		}
		began := time.Now()
		if err := s.g.send(all[last:]...); err != nil {
			return "", err
		}
		e, err := s.r.stream.await(from, 20*time.Second, func(e event) bool { return e.Name == "identity.scanned" })
		if err != nil || e.Card.Till != s.name || e.Card.Text != card {
			return "", because(err, "scan %d gave %d characters at %q", i+1, len(e.Card.Text), e.Card.Till)
		}
		took = append(took, e.At.Sub(began))
	}
	_, err := s.r.call(http.MethodPost, path+"release", "", map[string]string{"session": session}, nil)
	return spread(took), err
}

// ready repairs what a case before left that failed half way, so that one
// failure is one row.
func ready(list []*station) error {
	r := list[0].r
	pause := false
	for _, s := range list {
		if s.g.end == nil {
			if err := s.g.plug(); err != nil {
				return err
			}
			pause = true
		}
	}
	if r.ended() {
		if err := r.launch(); err != nil {
			return errors.Join(errors.New("the agent is dead"), err)
		}
		pause = true
	}
	for _, s := range list {
		if !pause {
			break
		}
		if _, err := s.present(); err != nil {
			return err
		}
	}
	if results.lastFailed() {
		for _, s := range list {
			s.open = ""
		}
		return r.clear()
	}
	return nil
}

// all runs a case at every station.
func all(t *testing.T, set, name string, list []*station, run func(t *testing.T, s *station) (string, error)) {
	for _, s := range list {
		check(t, set, s.name, name, func(t *testing.T) (string, error) {
			if err := ready([]*station{s}); err != nil {
				return "", err
			}
			return run(t, s)
		})
	}
}

// once runs a case that needs several stations.
func once(t *testing.T, set, device, name string, list []*station, run func(t *testing.T) (string, error)) {
	check(t, set, device, name, func(t *testing.T) (string, error) {
		if err := ready(list); err != nil {
			return "", err
		}
		return run(t)
	})
}
