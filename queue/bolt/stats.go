package bolt

import (
	"sync"
	"sync/atomic"
	"time"
)

// Timing sums up how long something took.
type Timing struct {
	Count uint64
	Sum   time.Duration
	Max   time.Duration
}

// Stats are counted since Open.
type Stats struct {
	Requests uint64 // batches, cursors and the like
	Records  uint64
	// PageBytes went to orders.db, SlotBytes to intents.bin, DataBytes of them
	// were records' data.
	PageBytes, SlotBytes, DataBytes uint64
	// Commit is a transaction with its two syncs, SlotSync a write to the slot
	// file with its one.
	Commit, SlotSync Timing
	// FileBytes is the size of orders.db, FreeBytes the part of it that can be
	// used again, Budget the most it may have.
	FileBytes, FreeBytes, Budget int64
}

type timing struct {
	mu sync.Mutex
	t  Timing
}

func (t *timing) add(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.t.Count++
	t.t.Sum += d
	t.t.Max = max(t.t.Max, d)
}

func (t *timing) get() Timing {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.t
}

type counters struct {
	requests, records, pages, slots, data atomic.Uint64
	commit, slotSync                      timing
}

func (c *counters) group(group []*request, slotBytes uint64) {
	c.requests.Add(uint64(len(group)))
	for _, r := range group {
		c.records.Add(uint64(r.recs))
		c.data.Add(uint64(r.bytes))
	}
	c.slots.Store(slotBytes)
}

// Stats returns the counts. It works after the log stopped, too.
func (l *Log) Stats() Stats {
	c := &l.stats
	s := Stats{
		Requests: c.requests.Load(), Records: c.records.Load(),
		PageBytes: c.pages.Load(), SlotBytes: c.slots.Load(), DataBytes: c.data.Load(),
		Commit: c.commit.get(), SlotSync: c.slotSync.get(), Budget: l.budget,
	}
	if n, err := size(l.fs, l.path()); err == nil {
		s.FileBytes = max(n, 0)
	}
	s.FreeBytes = int64(l.db.Stats().FreeAlloc)
	return s
}
