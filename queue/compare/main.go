// Command compare measures durable appends of 400-byte records by 1, 16 and 64
// writers: queue/bolt against SQLite (WAL, synchronous=FULL) and go-diskqueue
// (a sync after every message). The stores take turns in every round, in one
// directory, so that only ratios within a round are compared. It prints a
// Markdown table.
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"payagent/queue"
	"payagent/queue/bolt"

	"github.com/nsqio/go-diskqueue"
	_ "modernc.org/sqlite"
)

// store is one side of the comparison: put returns when the record is on disk.
type store struct {
	name  string
	put   func(n int64, data []byte) error
	close func() error
}

func openBolt(dir string) (store, error) {
	l, _, err := bolt.Open(dir, bolt.Options{Writer: 1})
	if err != nil {
		return store{}, err
	}
	return store{"queue/bolt", func(n int64, data []byte) error {
		_, err := l.Append(context.Background(), queue.Batch{Records: []queue.Record{{Stream: fmt.Sprint("order-", n/4), Data: data}}})
		return err
	}, l.Close}, nil
}

// openSQLite uses one connection, as SQLite has one writer; its callers wait
// in database/sql. A record is one row in one transaction.
func openSQLite(dir string) (store, error) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "q.db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		return store{}, err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("CREATE TABLE log (seq INTEGER PRIMARY KEY, stream TEXT NOT NULL, data BLOB NOT NULL)"); err != nil {
		return store{}, err
	}
	var mode string
	var sync int
	if err := errors.Join(db.QueryRow("PRAGMA journal_mode").Scan(&mode), db.QueryRow("PRAGMA synchronous").Scan(&sync)); err != nil {
		return store{}, err
	}
	if mode != "wal" || sync != 2 {
		return store{}, fmt.Errorf("cannot compare: SQLite runs with journal %s and synchronous %d instead of wal and 2", mode, sync)
	}
	insert, err := db.Prepare("INSERT INTO log (stream, data) VALUES (?, ?)")
	if err != nil {
		return store{}, err
	}
	return store{"SQLite WAL FULL", func(n int64, data []byte) error {
		_, err := insert.Exec(fmt.Sprint("order-", n/4), data)
		return err
	}, func() error { return errors.Join(insert.Close(), db.Close()) }}, nil
}

func openDiskqueue(dir string) (store, error) {
	log := func(diskqueue.LogLevel, string, ...any) {}
	q := diskqueue.New("q", dir, 100<<20, 1, 1<<20, 1, time.Hour, log)
	return store{"go-diskqueue syncEvery=1", func(_ int64, data []byte) error { return q.Put(data) }, q.Close}, nil
}

// result is one store in one round.
type result struct {
	perSecond float64
	p50, p99  time.Duration
}

func measure(s store, writers, n int) (result, error) {
	data := make([]byte, 400)
	took := make([][]time.Duration, writers)
	errs := make([]error, writers)
	var next atomic.Int64
	var wg sync.WaitGroup
	start := time.Now()
	for w := range writers {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				t := time.Now()
				if err := s.put(i, data); err != nil {
					errs[w] = err
					return
				}
				took[w] = append(took[w], time.Since(t))
			}
		})
	}
	wg.Wait()
	all := slices.Concat(took...)
	elapsed := time.Since(start)
	slices.Sort(all)
	if err := errors.Join(errs...); err != nil {
		return result{}, err
	}
	return result{float64(n) / elapsed.Seconds(), all[len(all)/2], all[len(all)*99/100]}, nil
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

func run(dir string, rounds, n int) error {
	openers := []func(string) (store, error){openBolt, openSQLite, openDiskqueue}
	fmt.Printf("Durable append of 400-byte records, %d per store and round and writer step, median of %d interleaved rounds.\n\n", n, rounds)
	fmt.Println("| writers | store | per second | p50 | p99 | queue/bolt is … times as fast (lowest–highest round) |")
	fmt.Println("|---|---|---|---|---|---|")
	for _, writers := range []int{1, 16, 64} {
		names := make([]string, len(openers))
		all := make([][]result, len(openers))
		for range rounds {
			for i, open := range openers {
				sub, err := os.MkdirTemp(dir, "compare-")
				if err != nil {
					return err
				}
				s, err := open(sub)
				if err != nil {
					return errors.Join(err, os.RemoveAll(sub))
				}
				r, err := measure(s, writers, n*min(writers, 8))
				if err := errors.Join(err, s.close(), os.RemoveAll(sub)); err != nil {
					return fmt.Errorf("cannot measure %s: %w", s.name, err)
				}
				names[i], all[i] = s.name, append(all[i], r)
			}
		}
		for i := range openers {
			var per, p50, p99, ratio []float64
			for k, r := range all[i] {
				per, p50, p99 = append(per, r.perSecond), append(p50, r.p50.Seconds()*1e3), append(p99, r.p99.Seconds()*1e3)
				ratio = append(ratio, all[0][k].perSecond/r.perSecond)
			}
			fmt.Printf("| %d | %s | %.0f | %.2f ms | %.2f ms | %.2f (%.2f–%.2f) |\n", writers, names[i],
				median(per), median(p50), median(p99), median(ratio), slices.Min(ratio), slices.Max(ratio))
		}
	}
	return nil
}

func main() {
	dir := flag.String("dir", ".", "directory on the disk to measure; a memory file system proves nothing")
	rounds := flag.Int("rounds", 5, "interleaved rounds")
	n := flag.Int("n", 200, "records per round with one writer; up to eight times as many with more")
	flag.Parse()
	if err := run(*dir, *rounds, *n); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}
