//go:build linux

package bolt

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"payagent/queue"
)

// childEnv makes the test binary append to the directory that it names until
// it is killed, and print what was acknowledged.
const childEnv = "QUEUE_BOLT_CHILD"

func child() {
	l, r, err := Open(os.Getenv(childEnv), Options{Writer: 1})
	if err != nil || r.Damaged || r.Fallback {
		fmt.Println("bad", err, r.Cause)
		os.Exit(1)
	}
	var out sync.Mutex
	start := l.Last()
	for w := range 4 {
		go func() {
			for i := 0; ; i++ {
				s := fmt.Sprintf("w%d-%d-%d", start, w, i)
				n, err := l.Append(context.Background(), queue.Batch{
					Records: []queue.Record{{Stream: s, Keys: []string{"k" + s}, Data: []byte("first")}, {Stream: s, Data: []byte("second")}},
					Slots:   []queue.Slot{{Key: fmt.Sprint("slot", w), Data: []byte(s)}},
				})
				out.Lock()
				fmt.Println("ack", n, s, err)
				out.Unlock()
			}
		}()
	}
	select {}
}

// TestKill kills a real process at a random acknowledgement, thirty times on
// one store: nothing acknowledged is lost, no batch is half.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	acked := map[string]queue.Seq{}
	rounds := 30
	if testing.Short() {
		rounds = 5
	}
	for round := range rounds {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childEnv+"="+dir)
		pipe, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		until := 1 + rand.IntN(60)
		killed := false
		in := bufio.NewScanner(pipe)
		for n := 0; in.Scan(); n++ {
			var seq queue.Seq
			var s, e string
			if _, err := fmt.Sscanf(in.Text(), "ack %d %s %s", &seq, &s, &e); err != nil || e != "<nil>" {
				if killed && !strings.HasSuffix(in.Text(), "<nil>") && err != nil {
					continue // the pipe's last line, cut off
				}
				cmd.Process.Kill()
				t.Fatalf("round %d: %s", round, in.Text())
			}
			acked[s] = seq
			if n >= until && !killed {
				killed = true
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil || !killed {
			t.Fatalf("round %d: the child ended by itself", round)
		}
		l, r := open(t, dir, Options{})
		if r.Damaged || r.Fallback {
			t.Fatalf("round %d: %+v", round, r)
		}
		for s, seq := range acked {
			got, err := l.Stream(s)
			if err != nil || len(got) != 2 || got[1].Seq != seq {
				t.Fatalf("round %d: acknowledged %s (%d) reads %v, %v", round, s, seq, got, err)
			}
		}
		all, _, err := l.After(0, 1<<20)
		if err != nil || len(all)%2 != 0 {
			t.Fatalf("round %d: %d records, %v", round, len(all), err)
		}
		for i := 0; i < len(all); i += 2 {
			if all[i].Stream != all[i+1].Stream {
				t.Fatalf("round %d: half a batch at %d", round, all[i].Seq)
			}
			if found, err := l.Find("k" + all[i].Stream); err != nil || len(found) != 1 {
				t.Fatalf("round %d: key of %s: %v, %v", round, all[i].Stream, found, err)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d kills, %d acknowledged batches, 0 lost", rounds, len(acked))
}
