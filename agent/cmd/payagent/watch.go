package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"payagent/agent/config"
	"payagent/devices"
	"payagent/platforms"
)

// deviceRow is what these commands need of a device of the API.
type deviceRow struct {
	Name    string      `json:"name"`
	Till    string      `json:"till"`
	Kind    string      `json:"kind"`
	Present bool        `json:"present"`
	Reason  *reasonRow  `json:"reason"`
	Counts  *countsRow  `json:"counts"`
	Hints   []reasonRow `json:"hints"`
	Actions []string    `json:"actions"`
}

type reasonRow struct {
	Code string `json:"code"`
	Say  text   `json:"say"`
	Next text   `json:"next_action"`
}

type countsRow struct {
	Good    uint64 `json:"good"`
	Bad     uint64 `json:"bad"`
	Cut     uint64 `json:"cut"`
	Doubles uint64 `json:"doubles"`
	Settled uint64 `json:"settled"`
	Unread  uint64 `json:"unread"`
	Lost    uint64 `json:"lost"`
}

// running asks the running agent for its devices. ok is false when none runs.
func running(ctx context.Context, c config.Config) (cl *client, rows []deviceRow, ok bool, err error) {
	cl, err = newClient(c)
	if err != nil {
		if exists(firstToken(c)) {
			return nil, nil, false, err
		}
		return nil, nil, false, nil // never started
	}
	rows, err = cl.devices(ctx)
	if refused(err) {
		return nil, nil, false, nil
	}
	return cl, rows, err == nil, err
}

func (cl *client) devices(ctx context.Context) ([]deviceRow, error) {
	data, err := cl.once(ctx, http.MethodGet, "/v1/devices")
	if err != nil {
		return nil, err
	}
	var body struct{ Devices []deviceRow }
	return body.Devices, json.Unmarshal(data, &body)
}

// printer writes lines from several goroutines.
type printer struct {
	mu   sync.Mutex
	out  io.Writer
	json bool
}

func (p *printer) line(human string, v any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.json {
		if data, err := json.Marshal(v); err == nil {
			_, _ = fmt.Fprintf(p.out, "%s\n", data)
		}
		return
	}
	_, _ = fmt.Fprintf(p.out, "%s  %s\n", time.Now().Format("15:04:05.000"), human)
}

// watchDevices prints what the scanners send, until the context ends: from the
// running agent, or else from the devices themselves.
func watchDevices(ctx context.Context, c config.Config, o deviceOptions, out io.Writer) error {
	p := &printer{out: out, json: o.json}
	cl, rows, ok, err := running(ctx, c)
	if err != nil {
		return err
	}
	if ok {
		defer func() { _ = cl.close() }()
		if !o.json {
			p.line("代理程序正在运行：只显示到达与计数，不显示内容 the agent runs: what comes is counted, not shown", nil)
		}
		return cl.watch(ctx, p, rows)
	}
	return watchDirect(ctx, c, o, p)
}

// seenScan is one scan, without its text unless that may be shown.
type seenScan struct {
	_         [0]func()          // never compared: no code is made for it
	Event     string             `json:"event"` // scan
	Device    string             `json:"device"`
	Till      string             `json:"till"`
	Kind      platforms.CodeKind `json:"kind"`
	KindText  text               `json:"kind_text"`
	Length    int                `json:"length"`
	Symbology string             `json:"symbology,omitempty"`
	Text      string             `json:"text,omitempty"`
}

// masked describes a scan. A payment code, and what may be one, is never
// shown; anything else only where show is set.
func masked(c config.Config, till string, s devices.Scan, show bool) seenScan {
	raw := s.Text.Reveal()
	table := c.Codes.Table()
	r := table.Recognise(raw, s.Symbology)
	kind := r.Code.Kind
	zh, en := platforms.Explain(kind)
	v := seenScan{Event: "scan", Device: s.Device, Till: till, Kind: kind, KindText: text{ZH: zh, EN: en}, Length: s.Text.Len(), Symbology: s.Symbology}
	plain := []platforms.CodeKind{platforms.KindProduct, platforms.KindMerchantQR, platforms.KindCard, platforms.KindJunk}
	if show && !r.Payable && slices.Contains(plain, kind) && !paysInside(table, raw) {
		v.Text = raw
	}
	return v
}

// The bounds within which a text is searched for what pays.
const (
	mostAround = 16 // characters that a scanner may put in front: a prefix, a length, a code id
	digitsLong = 14 // a wallet of tomorrow may look like that many digits
)

// paysInside tells whether a text holds what may be a payment code or names a
// person, with something around it: a scanner that is not yet set up right adds
// a prefix, a code id or a suffix, and no table knows the code then.
func paysInside(table platforms.CodeRules, text string) bool {
	run := 0
	for _, b := range []byte(text) {
		if run++; b < '0' || b > '9' {
			run = 0
		}
		if run == digitsLong {
			return true
		}
	}
	for from := 1; from <= min(mostAround, len(text)); from++ {
		rest := text[from:]
		if table.Recognise(rest, "").Code.Kind == platforms.KindEMV {
			return true
		}
		if to := strings.IndexFunc(rest, func(r rune) bool { return !alnum(r) }); to >= 0 {
			rest = rest[:to] // a suffix of letters counts as a part of the code
		}
		// Less than that is a plain word which has a code's beginning in it.
		if len(rest) >= digitsLong && table.Recognise(rest, "").Payable {
			return true
		}
	}
	return false
}

func alnum(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
}

func (v seenScan) String() string {
	kind := v.KindText.ZH + " " + v.KindText.EN
	s := fmt.Sprintf("%s  %s  %d 字节 bytes  %s", v.Device, v.Kind, v.Length, kind)
	if v.Symbology != "" {
		s += "  ]" + v.Symbology
	}
	if v.Text != "" {
		s += fmt.Sprintf("  %q", v.Text)
	}
	return s
}

// seenDevice says that a device came or went.
type seenDevice struct {
	Event   string `json:"event"` // device
	Device  string `json:"device"`
	Till    string `json:"till"`
	Present bool   `json:"present"`
	Reason  string `json:"reason,omitempty"`
}

func (v seenDevice) String() string {
	word := "已就绪 ready"
	if !v.Present {
		word = "不可用 absent"
	}
	return strings.TrimRight(v.Device+"  "+word+"  "+v.Reason, " ")
}

// watchDirect opens the configured scanners.
func watchDirect(ctx context.Context, c config.Config, o deviceOptions, out *printer) error {
	p, err := planDevices(c)
	if err != nil {
		return err
	}
	if len(p.scanners) == 0 {
		return errors.New("cannot watch: the configuration has no scanner; payagent devices list shows what is plugged in")
	}
	ctx, stop := context.WithCancel(ctx)
	var group sync.WaitGroup
	defer group.Wait()
	defer stop()
	for _, one := range p.scanners {
		s, err := one.start(func(n devices.Presence) {
			v := seenDevice{Event: "device", Device: n.Device, Till: one.till, Present: n.Present}
			if n.Err != nil {
				v.Reason = n.Err.Error()
			}
			out.line(v.String(), v)
		}, nil)
		if err != nil {
			return err
		}
		group.Go(func() {
			defer func() { _ = s.Close() }()
			for {
				scan, err := s.Scan(ctx)
				if err != nil {
					return
				}
				v := masked(c, one.till, scan, o.show)
				out.line(v.String(), v)
			}
		})
	}
	<-ctx.Done()
	return nil
}

// watch follows the running agent: events say who comes and goes, counts say
// what was read.
func (cl *client) watch(ctx context.Context, out *printer, rows []deviceRow) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- cl.follow(ctx, out) }()
	was := map[string]countsRow{}
	note := func(rows []deviceRow, tell bool) {
		for _, r := range rows {
			if r.Counts == nil {
				continue
			}
			before, now := was[r.Name], *r.Counts
			was[r.Name] = now
			if tell && before != now {
				v := seenCounts{Event: "counts", Device: r.Name, Till: r.Till, New: now.minus(before), Total: now}
				out.line(v.String(), v)
			}
		}
	}
	note(rows, false)
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-ended:
			if ctx.Err() != nil {
				return nil
			}
			return stopped(err)
		case <-tick.C:
		}
		rows, err := cl.devices(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return stopped(err) // noticed before the end of the events was
		}
		note(rows, true)
	}
}

func stopped(err error) error {
	return fmt.Errorf("cannot go on: the agent stopped answering; start it again, or watch without it: %w", err)
}

// seenCounts says how often a scanner read.
type seenCounts struct {
	Event  string    `json:"event"` // counts
	Device string    `json:"device"`
	Till   string    `json:"till"`
	New    countsRow `json:"new"`
	Total  countsRow `json:"total"`
}

func (c countsRow) minus(o countsRow) countsRow {
	less := func(a, b uint64) uint64 {
		if a < b {
			return a // the agent began anew
		}
		return a - b
	}
	return countsRow{less(c.Good, o.Good), less(c.Bad, o.Bad), less(c.Cut, o.Cut), less(c.Doubles, o.Doubles), less(c.Settled, o.Settled), less(c.Unread, o.Unread), less(c.Lost, o.Lost)}
}

func (v seenCounts) String() string {
	var parts []string
	for _, w := range []struct {
		n    uint64
		word string
	}{{v.New.Good, "读到 read"}, {v.New.Bad, "坏码 bad"}, {v.New.Cut, "残缺 cut"}, {v.New.Doubles, "重复 double"}, {v.New.Settled, "刚插上时丢弃 dropped at opening"},
		{v.New.Unread, "无人取走 not asked for"}, {v.New.Lost, "系统丢失 lost by the system"}} {
		if w.n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", w.word, w.n))
		}
	}
	return fmt.Sprintf("%s  %s  (共 total %d)", v.Device, strings.Join(parts, ", "), v.Total.Good)
}

// follow reads the agent's events and prints those of devices.
func (cl *client) follow(ctx context.Context, out *printer) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, cl.base+"/v1/events", nil)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(cl.token.Reveal()))
	resp, err := cl.rt.RoundTrip(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the agent answered %s", resp.Status)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	event := ""
	for lines.Scan() {
		line := lines.Bytes()
		switch {
		case bytes.HasPrefix(line, []byte("event: ")):
			event = string(line[7:])
		case bytes.HasPrefix(line, []byte("data: ")) && event == "device":
			var d deviceRow
			if err := json.Unmarshal(line[6:], &d); err != nil {
				return fmt.Errorf("the agent's events cannot be read: %w", err)
			}
			v := seenDevice{Event: "device", Device: d.Name, Till: d.Till, Present: d.Present}
			if d.Reason != nil {
				v.Reason = d.Reason.Say.ZH + " " + d.Reason.Say.EN
			}
			out.line(v.String(), v)
		case len(line) == 0:
			event = ""
		}
	}
	return errors.Join(lines.Err(), io.ErrUnexpectedEOF)
}
