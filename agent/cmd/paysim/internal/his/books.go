package his

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"

	"payagent/platforms"
)

// Entry is a line of HIS's own books: money that came (amount above zero) or
// went back (below zero).
type Entry struct {
	FlowID    string        `json:"his_flow_id"`
	OrderNo   string        `json:"order_no"`
	RefundNo  string        `json:"refund_no,omitempty"`
	Bill      string        `json:"bill"`
	AmountFen platforms.Fen `json:"amount_fen"`
	Channel   string        `json:"report_channel"`
	CostType  string        `json:"cost_type"`
	AtMS      int64         `json:"at_ms"` // Unix
	// Told is what the agent said to it: "done", a problem's code, or empty
	// while it was not told, or gave no answer.
	Told string `json:"told,omitempty"`
	// Struck entries were taken out again, because the agent had given the
	// money back before it was told, or the payment was booked before.
	Struck bool `json:"struck,omitempty"`
}

// Books are HIS's own. They are safe for use by several goroutines; each change
// is on disk before it counts.
type Books struct {
	mu    sync.Mutex
	file  *os.File
	list  []Entry
	flows map[string]int    // flow number → place in list
	about map[[2]string]int // order and refund number → place in list
}

// OpenBooks reads the books from a file of JSON lines, a new one if there is
// none. Of two lines with the same flow number the later one counts; a last
// line that was cut short never happened. Without a path they are in memory.
func OpenBooks(path string) (*Books, error) {
	b := &Books{flows: map[string]int{}, about: map[[2]string]int{}}
	if path == "" {
		return b, nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot open HIS's books; check -data: %w", err)
	}
	good, lines := int64(0), bufio.NewScanner(f)
	for lines.Scan() {
		var e Entry
		if json.Unmarshal(lines.Bytes(), &e) != nil || e.FlowID == "" {
			break
		}
		b.keep(e)
		good += int64(len(lines.Bytes())) + 1
	}
	err = errors.Join(lines.Err(), f.Truncate(good))
	if err == nil {
		_, err = f.Seek(good, 0)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot read HIS's books; check -data: %w", err), f.Close())
	}
	b.file = f
	return b, nil
}

func (b *Books) keep(e Entry) {
	if i, known := b.flows[e.FlowID]; known {
		b.list[i] = e
		return
	}
	b.flows[e.FlowID], b.about[[2]string{e.OrderNo, e.RefundNo}] = len(b.list), len(b.list)
	b.list = append(b.list, e)
}

// Put writes an entry, in place of the one with its flow number.
func (b *Books) Put(e Entry) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.file != nil {
		text, err := json.Marshal(e)
		if err == nil {
			_, err = b.file.Write(append(text, '\n'))
		}
		if err == nil {
			err = b.file.Sync()
		}
		if err != nil {
			return fmt.Errorf("cannot write HIS's books: %w", err)
		}
	}
	b.keep(e)
	return nil
}

// Find gives the entry of an order's payment, or of one of its refunds.
func (b *Books) Find(orderNo, refundNo string) (Entry, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i, known := b.about[[2]string{orderNo, refundNo}]; known {
		return b.list[i], true
	}
	return Entry{}, false
}

// List gives all entries, oldest first.
func (b *Books) List() []Entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]Entry{}, b.list...)
}

// Close closes the file.
func (b *Books) Close() error {
	if b.file == nil {
		return nil
	}
	return b.file.Close()
}
