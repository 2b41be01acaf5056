package agent_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"payagent/agent"
	"payagent/agent/config"
	"payagent/agent/counter"
	"payagent/agent/order"
	"payagent/agent/seal"
	"payagent/devices"
	"payagent/platforms"
	"payagent/platforms/bank"
	"payagent/platforms/bank/wire"
	"payagent/platforms/fwc"
	"payagent/platforms/fwc/fwctest"
	"payagent/platforms/smartpay"
	"payagent/platforms/smartpay/smartpaytest"
	"payagent/queue"
	"payagent/queue/bolt"
)

const s = time.Second

// The tills: one per platform that charges codes, and a kiosk.
const (
	smartTill = "counter1" // SmartPay
	fwcTill   = "counter2" // FWC
	kioskTill = "kiosk1"   // FWC, QR
)

// rig is the whole agent with real parts: adapters and their XML, bbolt on
// disk, sealed keys in files. Only the connection is a function call and only
// time is the bubble's. The two banks judge.
type rig struct {
	t     *testing.T
	dir   string
	cfg   config.Config
	begin time.Time

	banks map[string]*bank.Bank // by platform
	ctl   map[string]*wire.Control
	lines map[string]*line
	pads  map[string]*pad // by till
	token atomic.Value    // the token that FWC takes

	queryKey smartpay.QueryKey // of SmartPay
	wrap     func(queue.Log) queue.Log
	diskLow  atomic.Bool
	logs     bytes.Buffer
	logMu    sync.Mutex

	boot   string
	booted time.Time
	start  time.Duration

	box    *seal.Box
	logger *slog.Logger
	agent  *agent.Agent
	store  *bolt.Log
	report bolt.Report
	stop   context.CancelFunc
	ended  chan error
	keys   int
}

// line is the cable to a platform.
type line struct {
	http.RoundTripper
	cut  atomic.Bool
	sent atomic.Int64
}

// noRoute is what an uplink says when no byte could leave.
type noRoute struct{}

func (noRoute) Error() string { return "cannot reach the platform: no route" }
func (noRoute) NotSent() bool { return true }

func (l *line) RoundTrip(r *http.Request) (*http.Response, error) {
	if l.cut.Load() {
		return nil, noRoute{}
	}
	l.sent.Add(1)
	return l.RoundTripper.RoundTrip(r)
}

// pad is a scanner that reads what a test shows it.
type pad struct{ shown chan string }

func (p *pad) Scan(ctx context.Context) (devices.Scan, error) {
	select {
	case text := <-p.shown:
		return devices.Scan{Text: devices.NewText(text), Device: "pad", At: time.Now()}, nil
	case <-ctx.Done():
		return devices.Scan{}, ctx.Err()
	}
}

func (p *pad) Close() error { return nil }

// logWriter keeps the agent's own log, for the canaries.
type logWriter struct{ r *rig }

func (w logWriter) Write(p []byte) (int, error) {
	w.r.logMu.Lock()
	defer w.r.logMu.Unlock()
	return w.r.logs.Write(p)
}

func (r *rig) logged() string {
	r.logMu.Lock()
	defer r.logMu.Unlock()
	return r.logs.String()
}

// change is made to a rig before it starts.
type change func(*rig)

// inBubble runs a scenario on a started rig, in virtual time, and takes the
// rig down afterwards: a goroutine left behind fails the test.
func inBubble(t *testing.T, run func(t *testing.T, r *rig), changes ...change) {
	t.Helper()
	dir := memoryDir(t)
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, dir)
		for _, c := range changes {
			c(r)
		}
		defer r.close()
		r.open()
		run(t, r)
	})
}

// memoryDir is a folder in memory where the machine has one: what a disk sync
// costs is no part of these tests, that it happens is the store's own.
func memoryDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "payagent")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func newRig(t *testing.T, dir string) *rig {
	t.Helper()
	cfg, err := config.Demo()
	if err != nil {
		t.Fatal(err)
	}
	cfg.DataDir = dir
	cfg.Booking.Expect = false // a test about HIS's word says otherwise
	cfg.Tills[0].Scanners, cfg.Codes.TwoCodes = nil, 0
	cfg.Tills = append(cfg.Tills, config.Till{Name: fwcTill, Kind: config.Counter, DeviceNo: "W02", Operator: cfg.Tills[0].Operator,
		Modes: []string{"charge", "present"}, WhenOffline: config.Refuse, ValidFor: 10 * time.Minute, ScanWait: 2 * time.Minute})
	cfg.Routes = append([]config.Route{{Till: fwcTill, Merchant: "selfservice"}}, cfg.Routes...)
	for i := range cfg.Merchants {
		if cfg.Merchants[i].TokenFile != "" {
			cfg.Merchants[i].TokenFile = filepath.Join(dir, "fwc.token")
		}
	}
	r := &rig{t: t, dir: dir, cfg: cfg, begin: time.Now(), boot: "boot-1", booted: time.Now(),
		banks: map[string]*bank.Bank{}, ctl: map[string]*wire.Control{}, lines: map[string]*line{}, pads: map[string]*pad{}}
	r.token.Store(fwctest.Token)
	r.writeToken(fwctest.Token)
	for _, till := range cfg.Tills {
		r.pads[till.Name] = &pad{shown: make(chan string, 4)}
	}
	for _, name := range []string{"smartpay", "fwc"} {
		r.banks[name] = bank.New(bank.Options{})
		r.ctl[name] = wire.New(wire.Options{Clock: r.clock, Script: bank.ScriptFor, Record: true})
	}
	r.lines["smartpay"] = &line{}
	r.findsByNumber(true)
	r.lines["fwc"] = &line{RoundTripper: wire.Direct(fwctest.Handler(r.banks["fwc"],
		fwctest.Options{Control: r.ctl["fwc"], TokenOK: func(token string) bool { return token == r.token.Load() }}))}
	return r
}

// findsByNumber says whether the SmartPay server finds orders by our number.
func (r *rig) findsByNumber(yes bool) {
	r.lines["smartpay"].RoundTripper = wire.Direct(smartpaytest.Handler(r.banks["smartpay"],
		smartpaytest.Options{Control: r.ctl["smartpay"], FindByHisOrderID: yes, Begin: r.begin}))
}

// clock is the banks' time since the world began.
func (r *rig) clock() time.Duration { return time.Since(r.begin) }

// Now is the agent's clock.
func (r *rig) Now() order.Now {
	return order.Now{Instant: order.Instant{Wall: time.Now().UnixMilli(), Boot: r.boot, Mono: time.Since(r.booted)}, Start: r.start}
}

func (r *rig) writeToken(token string) {
	r.t.Helper()
	if err := seal.WriteFile(filepath.Join(r.dir, "fwc.token"), []byte(token+"\n")); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) tokenOf(profile string) (platforms.Hidden, error) {
	m, _ := r.cfg.MerchantNamed(profile)
	if m.TokenFile == "" {
		return platforms.Hidden{}, nil
	}
	secret, _, err := seal.ReadSecret(m.TokenFile)
	return secret, err
}

// open starts the agent on what the disk holds.
func (r *rig) open() {
	r.t.Helper()
	if err := r.tryOpen(); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) tryOpen() error {
	logger := slog.New(slog.NewTextHandler(logWriter{r}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	r.logger = logger
	box, err := seal.Open(filepath.Join(r.dir, "keys"), nil)
	if err != nil {
		return err
	}
	r.box = box
	if r.store, r.report, err = openStore(r.dir); err != nil {
		return err
	}
	sp, err := smartpay.New(r.lines["smartpay"], smartpay.Config{Endpoint: "http://127.0.0.1/WSGW/services/ServiceGateWay", ClientID: "DEMO",
		TransactionCodes: smartpay.TransactionCodes{SweepCodePay: "9001", QueryOrderState: "9002", Revoke: "9003"},
		ServiceIDs:       r.cfg.ServiceIDs(), QueryKey: r.queryKey, Token: r.tokenOf,
		Probe: platforms.Merchant{Profile: "window", Code: "M0001"}})
	if err != nil {
		return err
	}
	fw, err := fwc.New(r.lines["fwc"], fwc.Config{Endpoint: "http://127.0.0.1/linkingif.asmx", OrderTypes: r.cfg.WireOrderTypes(),
		HospitalID: fwctest.HospitalID, ProbeProfile: r.cfg.Merchants[1].Profile, Token: r.tokenOf})
	if err != nil {
		return err
	}
	parts := agent.Parts{Config: r.cfg, Log: r.store, Lost: r.report.Slots, Box: box, Clock: r, Logger: logger,
		Platforms: map[string]platforms.Platform{"smartpay": sp, "fwc": fw}, Scanners: map[string][]agent.Scanner{},
		DiskLow: r.diskLow.Load, TokenMark: func(profile string) string {
			secret, err := r.tokenOf(profile)
			if err != nil {
				return ""
			}
			return secret.Reveal()
		}}
	for till, p := range r.pads {
		parts.Scanners[till] = []agent.Scanner{{Name: till + "-1", Role: agent.RolePad, Scanner: p}}
	}
	if r.wrap != nil {
		parts.Log = r.wrap(r.store)
	}
	r.start = time.Since(r.booted)
	if r.agent, err = agent.New(parts); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	r.stop, r.ended = stop, make(chan error, 1)
	run, ended := r.agent, r.ended
	go func() { ended <- run.Run(ctx) }()
	synctest.Wait()
	return nil
}

func openStore(dir string) (*bolt.Log, bolt.Report, error) {
	return bolt.Open(filepath.Join(dir, "store"), bolt.Options{Writer: 1})
}

// close stops the agent and closes the store; it gives what Run returned.
func (r *rig) close() error {
	if r.stop == nil {
		return nil
	}
	r.stop()
	r.stop = nil
	err := <-r.ended
	return errors.Join(err, r.store.Close())
}

// restart ends the process as a service manager does and starts it again.
func (r *rig) restart() {
	r.t.Helper()
	if err := r.close(); err != nil {
		r.t.Fatalf("stopping: %v", err)
	}
	r.open()
}

// reboot is a restart of the whole machine: another boot, another clock.
func (r *rig) reboot() {
	r.t.Helper()
	if err := r.close(); err != nil {
		r.t.Fatalf("stopping: %v", err)
	}
	r.newBoot()
	r.open()
}

func (r *rig) newBoot() {
	r.boot += "x"
	r.booted = time.Now().Add(-7 * s) // the machine took a while to come up
}

// pass lets virtual time go by.
func (r *rig) pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// at lets time go on to a moment counted from when the world began.
func (r *rig) at(d time.Duration) { r.pass(d - r.clock()) }

// request is a bill that both platforms accept.
func (r *rig) request(till, bill string, amount platforms.Fen) agent.Request {
	r.keys++
	q := agent.Request{Key: platforms.Hide("key-" + bill + string(rune('a'+r.keys%26))), Body: platforms.Hide(bill), Bill: bill, Amount: amount,
		Mode: platforms.ModeCharge, OrderType: "TREATMENT", Till: till, Subject: "门诊缴费", Memo: "pretend",
		Patient: platforms.Patient{Name: platforms.Hide("张三"), CardNo: platforms.Hide("6217000011112222"), CardType: "medical_card",
			AdmissionNo: platforms.Hide("ZY0001"), Phone: platforms.Hide("13800000000")},
		Operator: platforms.Operator{ID: "1001", Name: "王收费"}}
	if till == kioskTill {
		q.Mode, q.Channel = platforms.ModePresent, platforms.WeChat
	}
	return q
}

// collect asks for a bill and demands the reply.
func (r *rig) collect(q agent.Request, want string) *order.Order {
	r.t.Helper()
	got, err := r.agent.Collect(context.Background(), q)
	if err != nil || got.Code != want {
		r.t.Fatalf("collect %s: %q %v, want %q", q.Bill, got.Code, err, want)
	}
	synctest.Wait()
	return got.Order
}

// begun asks for a bill at a counter and shows the payer's code at once.
func (r *rig) begun(till string, amount platforms.Fen, code string) *order.Order {
	r.t.Helper()
	o := r.collect(r.request(till, "B-"+till, amount), counter.CodeCreated)
	r.scan(till, code)
	return o
}

func (r *rig) scan(till, code string) {
	r.pads[till].shown <- code
	synctest.Wait()
}

// act presses a button and demands the reply.
func (r *rig) act(no string, a order.Action, want string) {
	r.t.Helper()
	got, err := r.agent.Act(context.Background(), no, a, platforms.Operator{ID: "2002", Name: "李收费"}, "test")
	if err != nil || got.Code != want {
		r.t.Fatalf("%s: %q %v, want %q", a, got.Code, err, want)
	}
	synctest.Wait()
}

func (r *rig) order(no string) *order.Order {
	r.t.Helper()
	o, err := r.agent.Order(no)
	if err != nil || o == nil {
		r.t.Fatalf("order %s: %v %v", no, o, err)
	}
	return o
}

// state demands an order's state now.
func (r *rig) state(no string, want order.State) *order.Order {
	r.t.Helper()
	o := r.order(no)
	if o.State() != want {
		r.t.Fatalf("at %v the order is %s (%s %s), want %s", r.clock(), o.State(), o.EndReason, o.Doubt, want)
	}
	return o
}

// becomes demands that an order reaches a state at a moment counted from when
// the world began, and not before.
func (r *rig) becomes(no string, want order.State, when time.Duration) *order.Order {
	r.t.Helper()
	r.at(when - time.Millisecond)
	if got := r.order(no).State(); got == want {
		r.t.Fatalf("at %v the order is %s already", r.clock(), got)
	}
	r.pass(2 * time.Millisecond)
	return r.state(no, want)
}

// judge asks the banks: what the payer is out of pocket is what the order
// says, money was taken at most once, and at most one pay request arrived.
func (r *rig) judge(no string) {
	r.t.Helper()
	o := r.order(no)
	b, due := r.banks[o.Platform], platforms.Fen(0)
	b.Settle(r.clock())
	if o.State() == order.Paid {
		due = o.Amount - o.RefundedSum()
	}
	if !o.State().Final() {
		r.t.Fatalf("order %s is still %s (%s) at %v", no, o.State(), o.Doubt, r.clock())
	}
	if b.Net(no) != due || b.Captures(no) > 1 || b.PayRequests(no) > 1 {
		r.t.Fatalf("order %s is %s (%s): the payer is out of %v fen in %d captures by %d requests, want %v",
			no, o.State(), o.EndReason, b.Net(no), b.Captures(no), b.PayRequests(no), due)
	}
}

// asked is how often a platform got a call about an order.
func (r *rig) asked(platform, op, no string) int { return r.ctl[platform].Count(op, no) }

// sent is how many requests left towards both platforms in all.
func (r *rig) sent() int64 { return r.lines["smartpay"].sent.Load() + r.lines["fwc"].sent.Load() }

func (r *rig) alarmed(code string) bool {
	return slices.ContainsFunc(r.agent.Alarms(), func(a counter.Alarm) bool { return a.Code == code })
}

// files gives every file under the data folder.
func (r *rig) files() map[string][]byte {
	r.t.Helper()
	all := map[string][]byte{}
	err := filepath.WalkDir(r.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		all[path], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return all
}

// wechat and alipay are codes that carry no instruction of their own.
const (
	wechat = "134567890123456789"
	alipay = "281234567890123456"
)

// ends waits until an order is final, or the limit has passed.
func (r *rig) ends(no string, limit time.Duration) *order.Order {
	r.t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), limit)
	defer stop()
	o := r.order(no)
	for !o.State().Final() && ctx.Err() == nil {
		next, err := r.agent.Wait(ctx, no, o.Rev)
		if err != nil || next == nil {
			r.t.Fatal(next, err)
		}
		o = next
	}
	synctest.Wait()
	return r.order(no)
}

// phone is a payer who reads the QR of an order.
func (r *rig) phone(no string, p bank.Payer) { r.banks["fwc"].Scan(r.clock(), no, p) }

// refund asks for money back and demands the reply.
func (r *rig) refund(no, request string, sum platforms.Fen, want string) {
	r.t.Helper()
	got, err := r.agent.Refund(context.Background(), no, agent.RefundRequest{Request: request, Sum: sum,
		Operator: platforms.Operator{ID: "3003", Name: "赵财务"}, Reason: "test"})
	if err != nil || got.Code != want {
		r.t.Fatalf("refund %s: %q %v, want %q", request, got.Code, err, want)
	}
	synctest.Wait()
}

// note is what a till says about the last scan.
func (r *rig) note(till string) string {
	v, _ := r.agent.View(till)
	return v.Note
}
