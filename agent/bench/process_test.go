package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"payagent/agent/order"
	"payagent/platforms"
	"payagent/queue"
	"payagent/queue/bolt"
)

// BenchmarkProcess measures the shipped program as a process: size on disk
// (P10), start to ready with 20,000 orders in the file (P9), resident memory
// when idle (P7).
func BenchmarkProcess(b *testing.B) {
	dir := b.TempDir()
	program := filepath.Join(dir, "payagent")
	build := exec.Command("../../.ci/build", dir, "payagent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	info, err := os.Stat(program)
	must(b, err)
	fill(b, filepath.Join(dir, "store"), 20_000, func(string) []byte { return make([]byte, 200) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(b, err)
	addr := l.Addr().String()
	must(b, l.Close())
	must(b, os.WriteFile(filepath.Join(dir, "fwc.token"), []byte("t"), 0o600))
	conf := filepath.Join(dir, "payagent.yaml")
	must(b, os.WriteFile(conf, fmt.Appendf(nil, `
site: {hospital_id: "H1", name: bench, test: true}
data_dir: %[1]s
door: {listen: [%[2]q]}
platforms: [{name: fwc, driver: fwc, url: "http://127.0.0.1:1/linkingif.asmx", allow_plain_http: true}]
merchants: [{profile: m, platform: fwc, token_file: %[1]s/fwc.token}]
routes: [{merchant: m}]
tills: [{name: w0, kind: counter, device_no: "W0", operator: {id: "1", name: Bench}}]
`, dir, addr), 0o600))
	ready, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	must(b, err)
	defer func() { _ = ready.Close() }()
	var starts []time.Duration
	var rss, anon int
	for i := 0; b.Loop(); i++ {
		ctx, stop := context.WithCancel(context.Background())
		cmd := exec.CommandContext(ctx, program, "run", "--config", conf)
		cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+filepath.Join(dir, "notify"))
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
		must(b, exec.Command("sync").Run()) // what was written before is not this start's
		start := time.Now()
		must(b, cmd.Start())
		awaitReady(b, ready)
		starts = append(starts, time.Since(start))
		resp, err := http.Get("http://" + addr + "/healthz")
		must(b, err)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			b.Fatalf("ready, and answers %s", resp.Status)
		}
		if i > 0 && rss == 0 { // the first start has the audit of all orders to write
			<-time.After(idleFor)
			rss, anon = residentKiB(b, cmd.Process.Pid, "VmRSS:"), residentKiB(b, cmd.Process.Pid, "RssAnon:")
		}
		stop()
		_ = cmd.Wait()
	}
	report(b, "start", starts)
	b.ReportMetric(float64(rss)/1024, "idle-rss-MiB") // after half a minute without anything to do
	b.ReportMetric(float64(anon)/1024, "idle-anon-MiB")
	b.ReportMetric(float64(info.Size())/(1<<20), "binary-MiB")
	b.ReportMetric(0, "ns/op")
}

// idleFor is how long a process is left alone before its memory is read: past
// the moment when it gives back what the start needed, and long enough for what
// it does without a payment to come back.
const idleFor = 30 * time.Second

// awaitReady waits until a process says that it can be used, as it does to the
// service manager: asking again and again would take one of the two processors.
func awaitReady(b *testing.B, c *net.UnixConn) {
	b.Helper()
	must(b, c.SetReadDeadline(time.Now().Add(time.Minute)))
	for said := make([]byte, 4096); ; {
		n, err := c.Read(said)
		must(b, err)
		if strings.Contains(string(said[:n]), "READY=1") {
			return
		}
	}
}

func residentKiB(b *testing.B, pid int, what string) int {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	must(b, err)
	for _, line := range strings.Split(string(data), "\n") {
		if rest, ok := strings.CutPrefix(line, what); ok {
			n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
			must(b, err)
			return n
		}
	}
	b.Fatal("the kernel does not tell the resident memory")
	return 0
}

// fill writes closed orders as the agent does: created, sent, answered; who is
// the sealed patient of an order.
func fill(b testing.TB, dir string, orders int, who func(no string) []byte) {
	store, _, err := bolt.Open(dir, bolt.Options{Writer: 1})
	must(b, err)
	for i := 0; i < orders; {
		var batch queue.Batch
		for range 50 {
			no := fmt.Sprintf("MZ260101%016d", i)
			amount := platforms.Fen(100)
			facts := []order.Fact{
				{Kind: order.KindCreated, Order: no, Created: &order.Created{Bill: fmt.Sprint("B", i), Amount: amount, Mode: platforms.ModeCharge, Till: "w0",
					Platform: "fwc", Merchant: platforms.Merchant{Profile: "m"}, OrderType: "TREATMENT", Sealed: who(no)}},
				{Kind: order.KindSent, Order: no, Sent: &order.Sent{Verb: order.VerbCharge, CodeHash: "0123456789abcdef"}},
				{Kind: order.KindAnswered, Order: no, Answer: &order.Reply{Verb: order.VerbQuery, Status: "paid", TradeNo: no, Amount: &amount}},
			}
			for n, f := range facts {
				data, err := json.Marshal(f)
				must(b, err)
				rec := queue.Record{Stream: no, Data: data}
				if n == 0 {
					rec.Keys = []string{fmt.Sprint("bill:B", i), "till:w0"}
				}
				batch.Records = append(batch.Records, rec)
			}
			batch.Close = append(batch.Close, no)
			i++
		}
		_, err := store.Append(context.Background(), batch)
		must(b, err)
	}
	must(b, store.Close())
}
