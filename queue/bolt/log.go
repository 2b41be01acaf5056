package bolt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"payagent/queue"

	bbolt "go.etcd.io/bbolt"
)

// Log is an open store. It implements queue.Log and is safe for concurrent use.
type Log struct {
	dir        string
	fs         FS
	budget     int64
	pageSize   uint64
	generation [16]byte
	lock       *os.File
	db         *bbolt.DB
	slots      *slotFile         // the writer's
	slotData   map[string][]byte // only while opening
	doubted    []queue.Slot      // only while opening
	state      state             // the writer's; replaced after each commit
	reqs       chan *request
	quit       chan struct{} // closed by stop
	dead       chan struct{} // closed when the writer has ended
	last       atomic.Uint64
	read       atomic.Int64 // records since pages were given back
	stats      counters

	mu       sync.Mutex
	stopped  error // why nothing works any more, nil while it does
	poisoned bool  // bbolt panicked while it held its locks
	closing  sync.Once
	closeErr error
}

var errClosed = errors.New("the store was closed")

// request is one caller's part of a commit.
type request struct {
	apply func(*txn) error
	free  []string
	set   []queue.Slot
	bytes int
	recs  int
	seq   queue.Seq // the log's last number after it
	done  chan error
}

// One commit takes at most this much, so that memory and bbolt's work stay
// bounded.
const (
	groupRequests = 256
	groupBytes    = 1 << 20
)

func newLog(o *opener, db *bbolt.DB) *Log {
	return &Log{
		dir: o.dir, fs: o.fs, budget: o.opts.Budget, db: db, pageSize: uint64(db.Info().PageSize),
		reqs: make(chan *request, groupRequests),
		quit: make(chan struct{}), dead: make(chan struct{}),
	}
}

// Append implements queue.Appender.
func (l *Log) Append(ctx context.Context, b queue.Batch) (queue.Seq, error) {
	if err := queue.Check(b); err != nil {
		return 0, err
	}
	r := &request{free: b.Free, set: b.Slots, recs: len(b.Records), apply: func(t *txn) error { return t.batch(b) }}
	for _, rec := range b.Records {
		r.bytes += len(rec.Data)
	}
	if err := l.do(ctx, r); err != nil {
		return 0, err
	}
	return r.seq, nil
}

// SetCursor implements queue.Cursors. It shares the syncs of appends.
func (l *Log) SetCursor(name string, seq queue.Seq) error {
	if err := queue.CheckName(name); err != nil {
		return fmt.Errorf("cannot set a cursor: %w", err)
	}
	return l.do(context.Background(), &request{apply: func(t *txn) error {
		return t.put(bCursors, []byte(name), sealedSeq(bCursors, []byte(name), uint64(seq)))
	}})
}

// RaiseOldest makes the file refuse programs whose Writer is below oldest. It
// never lowers. Call it only once the present program has proved itself.
func (l *Log) RaiseOldest(ctx context.Context, oldest uint32) error {
	return l.do(ctx, &request{apply: func(t *txn) error {
		f, err := decodeFormat(t.b[bMeta].Get([]byte(kFormat)))
		if err != nil || f.oldest >= oldest {
			return err
		}
		f.oldest = oldest
		return t.b[bMeta].Put([]byte(kFormat), encodeFormat(f))
	}})
}

// do hands a request to the writer and waits for its outcome.
func (l *Log) do(ctx context.Context, r *request) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("cannot append: %w", err)
	}
	r.done = make(chan error, 1)
	select {
	case <-l.quit:
		return l.why()
	default:
	}
	select {
	case l.reqs <- r:
	case <-l.quit:
		return l.why()
	case <-ctx.Done():
		return fmt.Errorf("cannot append: %w", ctx.Err())
	}
	select {
	case err := <-r.done:
		return err
	case <-l.dead:
	}
	select {
	case err := <-r.done:
		return err
	default:
		return l.why() // it came after the writer's end and was not touched
	}
}

// stop ends the log for the first reason given. Later calls get it from why.
func (l *Log) stop(why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped == nil {
		l.stopped = why
		close(l.quit)
	}
}

// why is the error that calls give after the end, nil before it.
func (l *Log) why() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped == nil {
		return nil
	}
	return fmt.Errorf("cannot use the store: %w (%w)", queue.ErrStopped, l.stopped)
}

// failed says whether a storage error ended the log.
func (l *Log) failed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stopped != nil && l.stopped != errClosed
}

// run is the writer: it merges what waits into one commit, again and again.
func (l *Log) run() {
	defer close(l.dead)
	var group []*request
	for {
		group = group[:0]
		select {
		case r := <-l.reqs:
			group = append(group, r)
		case <-l.quit:
			// What was handed over before a Close is still written.
			for group = l.gather(group); len(group) > 0; group = l.gather(group[:0]) {
				l.commit(group)
			}
			return
		}
		l.commit(l.gather(group))
	}
}

// gather takes what else waits. Callers that were just answered get two turns
// on the processor to come back with their next request: at many writers this
// doubles the size of a group, alone it costs less than a microsecond.
func (l *Log) gather(group []*request) []*request {
	bytes := 0
	for _, r := range group {
		bytes += r.bytes
	}
	for turns := 0; len(group) < groupRequests && bytes < groupBytes; {
		select {
		case r := <-l.reqs:
			group = append(group, r)
			bytes += r.bytes
		default:
			if turns == 2 {
				return group
			}
			turns++
			runtime.Gosched()
		}
	}
	return group
}

// commit writes a group: one bbolt transaction, and at the same time the slots
// with one sync. The first error of either stops the log; whether the group was
// written is then unknown until the store is opened again.
func (l *Log) commit(group []*request) {
	if !l.failed() {
		if err := l.write(group); err != nil {
			l.stop(err)
		}
	}
	err := l.why()
	if errors.Is(err, errClosed) {
		err = nil // written on the way out
	}
	for _, r := range group {
		r.done <- err
	}
}

func (l *Log) write(group []*request) error {
	free, set := foldSlots(group)
	slotDone := make(chan error, 1)
	if len(free)+len(set) > 0 {
		go func() {
			start := time.Now()
			err := l.slots.write(free, set)
			if len(set) > 0 {
				l.stats.slotSync.add(time.Since(start))
			}
			slotDone <- err
		}()
	} else {
		slotDone <- nil
	}
	start := time.Now()
	st, err := l.commitTx(group)
	l.stats.commit.add(time.Since(start))
	if slotErr := <-slotDone; slotErr != nil {
		err = errors.Join(err, fmt.Errorf("%s: %w", slotName, slotErr))
	}
	if err != nil {
		return err
	}
	l.state = st
	l.last.Store(st.last)
	l.stats.group(group, l.slots.bytes)
	return nil
}

func (l *Log) commitTx(group []*request) (state, error) {
	var st state
	err := guard(func() error {
		tx, err := l.db.Begin(true)
		if err != nil {
			return err
		}
		t, err := newTxn(tx)
		for i := 0; err == nil && i < len(group); i++ {
			err = group[i].apply(t)
			group[i].seq = queue.Seq(t.state.last)
		}
		if err == nil {
			err = t.end()
		}
		if err != nil {
			return errors.Join(err, tx.Rollback())
		}
		st = t.state
		err = tx.Commit()
		stats := tx.Stats() // the pages are counted by Commit; the meta page is not
		l.stats.pages.Add(uint64(stats.GetPageAlloc()) + l.pageSize)
		return err
	})
	var p panicked
	if errors.As(err, &p) {
		l.mu.Lock()
		l.poisoned = true
		l.mu.Unlock()
	}
	if err != nil {
		return state{}, l.mark(fmt.Errorf("%s: %w", dbName, err))
	}
	return st, nil
}

// mark leaves a note for the next Open where an error says that the file is bad.
func (l *Log) mark(err error) error {
	var p panicked
	if errors.Is(err, errCRC) || errors.Is(err, errShape) || errors.As(err, &p) || errors.Is(err, queue.ErrDamaged) {
		return errors.Join(err, queue.ErrDamaged, leaveSuspect(l.fs, l.dir, suspectRead))
	}
	return err
}

// foldSlots brings the slots of a group to what holds after it: per key the
// last word.
func foldSlots(group []*request) (free []string, set []queue.Slot) {
	if len(group) == 1 && len(group[0].free) == 0 && len(group[0].set) <= 1 {
		return nil, group[0].set
	}
	final := map[string]*queue.Slot{}
	var order []string
	note := func(key string, s *queue.Slot) {
		if _, ok := final[key]; !ok {
			order = append(order, key)
		}
		final[key] = s
	}
	for _, r := range group {
		for _, k := range r.free {
			note(k, nil)
		}
		for i := range r.set {
			note(r.set[i].Key, &r.set[i])
		}
	}
	for _, k := range order {
		if s := final[k]; s != nil {
			set = append(set, *s)
		} else {
			free = append(free, k)
		}
	}
	return free, set
}

// guard turns panics and memory faults of bbolt into errors.
func guard(fn func() error) (err error) {
	old := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(old)
	defer func() {
		if v := recover(); v != nil {
			err = panicked{v}
		}
	}()
	return fn()
}

// Close writes what was handed over, ends the writer and closes the files. It
// may be called again and returns the same.
func (l *Log) Close() error {
	l.closing.Do(func() {
		l.stop(errClosed)
		<-l.dead
		var errs []error
		if l.failed() {
			errs = append(errs, l.slots.abandon())
		} else {
			errs = append(errs, l.slots.close())
		}
		if !l.poisoned {
			errs = append(errs, l.db.Close())
		}
		errs = append(errs, l.lock.Close())
		if err := errors.Join(slices.DeleteFunc(errs, func(e error) bool { return e == nil })...); err != nil {
			l.closeErr = fmt.Errorf("cannot close the store cleanly; the next start checks it: %w", err)
		}
	})
	return l.closeErr
}

// path is the log file's name.
func (l *Log) path() string { return filepath.Join(l.dir, dbName) }
