//go:build lab && linux

package lab

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	quit = syscall.SIGQUIT
	kill = syscall.SIGKILL
)

// session is the name under which the stream's client claims scanners.
const session = "lab"

// orderSeen is the part of an order that the laboratory looks at.
type orderSeen struct {
	No    string `json:"out_trade_no"`
	State string `json:"state"`
	Final bool   `json:"final"`
	Till  string `json:"till"`
}

// face is the part of a till's view that the laboratory looks at.
type face struct {
	Till  string `json:"till"`
	State string `json:"state"`
	Armed bool   `json:"armed"`
	Note  *struct {
		Code string `json:"code"`
	} `json:"note"`
}

func (f face) note() string {
	if f.Note == nil {
		return ""
	}
	return f.Note.Code
}

// event is one of GET /v1/events, with the moment at which it was read.
type event struct {
	Name  string
	At    time.Time
	Order orderSeen
	Face  face
	Card  struct{ Till, Text string }
	Data  string
}

// stream is the API's client: it keeps all events it got.
type stream struct {
	mu      sync.Mutex
	all     []event
	changed chan struct{} // closed and replaced at each event
	cancel  context.CancelFunc
	done    chan struct{}
}

// follow reads events until stop, through restarts of the agent.
func follow(token string) *stream {
	ctx, cancel := context.WithCancel(context.Background())
	s := &stream{changed: make(chan struct{}), cancel: cancel, done: make(chan struct{})}
	ready := make(chan struct{})
	go func() {
		defer close(s.done)
		last, said := "", sync.OnceFunc(func() { close(ready) })
		for ctx.Err() == nil {
			s.read(ctx, token, &last, said)
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	<-ready
	return s
}

func (s *stream) stop() {
	s.cancel()
	<-s.done
}

// read follows one connection; ready is called when events come.
func (s *stream) read(ctx context.Context, token string, last *string, ready func()) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, door+"/v1/events?session="+session, nil)
	if err != nil {
		return
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if *last != "" {
		req.Header.Set("Last-Event-ID", *last)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	var e event
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "retry":
			ready()
		case "id":
			*last = value
		case "event":
			e.Name = value
		case "data":
			e.Data = value
		case "":
			if e.Name != "" {
				s.add(e)
			}
			e = event{}
		}
	}
}

func (s *stream) add(e event) {
	e.At = time.Now()
	switch e.Name {
	case "order":
		_ = json.Unmarshal([]byte(e.Data), &e.Order)
	case "identity.scanned":
		_ = json.Unmarshal([]byte(e.Data), &e.Card)
	case "till":
		_ = json.Unmarshal([]byte(e.Data), &e.Face)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, e)
	close(s.changed)
	s.changed = make(chan struct{})
}

// mark is a place in the stream: await looks from there on.
func (s *stream) mark() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all)
}

// await gives the first event behind a mark that fits.
func (s *stream) await(from int, d time.Duration, fits func(event) bool) (event, error) {
	late := time.After(d)
	for i := from; ; {
		s.mu.Lock()
		list, changed := s.all[min(i, len(s.all)):], s.changed
		s.mu.Unlock()
		for _, e := range list {
			i++
			if fits(e) {
				return e, nil
			}
		}
		select {
		case <-changed:
		case <-late:
			return event{}, fmt.Errorf("%w within %v; since then came%s", errNoEvent, d, s.since(from))
		}
	}
}

var errNoEvent = errors.New("no such event came")

// since tells what came, in short.
func (s *stream) since(from int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, e := range s.all[min(from, len(s.all)):] {
		if e.Name == "till" {
			fmt.Fprintf(&b, " [till %s %s armed %v %s]", e.Face.Till, e.Face.State, e.Face.Armed, e.Face.note())
		} else {
			fmt.Fprintf(&b, " [%s %s %s]", e.Name, e.Order.No, e.Order.State)
		}
	}
	return b.String()
}
