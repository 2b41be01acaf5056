package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"payagent/agent/cmd/paysim/internal/conform"
	"payagent/agent/cmd/paysim/internal/his"
	"payagent/agent/cmd/paysim/internal/outage"
	"payagent/agent/cmd/paysim/internal/world"
)

// conformFlags are the flags of conform.
type conformFlags struct {
	binary, dir, cases, out, key string
	door                         string
	vendor, product, program     string
	person, reference            bool
	scale                        float64
	wait                         time.Duration

	// agent is where the agent itself listens; empty for a free port.
	agent string
	// slack is how many times as long as the schedule says the agent waits for a
	// payer; 0 is once. On a busy machine a fast schedule ends too soon.
	slack float64
}

// conformCommand runs the conformance kit for HIS vendors (HIS-12).
func conformCommand(ctx context.Context, args []string, c console) error {
	switch verb, rest := first(args); verb {
	case "list":
		return conform.List(c.out)
	case "verify":
		return verifyReport(rest, c)
	case "play":
		return playStep(ctx, rest, c)
	}
	var o conformFlags
	f := flag.NewFlagSet("conform", flag.ContinueOnError)
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("cannot find this program's folder: %w", err)
	}
	f.StringVar(&o.binary, "agent-binary", filepath.Join(filepath.Dir(self), "payagent"), "`file` of the agent's program")
	f.StringVar(&o.dir, "data", "", "`folder` for everything; a new temporary one by default")
	f.StringVar(&o.program, "program", "", "`command` of the vendor's that does a step: JSON in, JSON out; {step} and {case} are filled in")
	f.BoolVar(&o.person, "person", false, "a person works at the vendor's screen and answers questions")
	f.BoolVar(&o.reference, "reference", false, "the reference HIS, to see the kit at work")
	f.StringVar(&o.door, "door", "127.0.0.1:0", "`address` at which HIS calls the agent; a free port by default")
	f.StringVar(&o.cases, "cases", "", "only these, by `id,id`")
	f.StringVar(&o.out, "report", "conformance.json", "`file` of the signed report; the text stands beside it")
	f.StringVar(&o.key, "key", "", "`file` of the key that signs, made where there is none; by default a key of this run alone")
	f.StringVar(&o.vendor, "vendor", "-", "`name` of the vendor")
	f.StringVar(&o.product, "product", "-", "`name` and version of the HIS")
	f.Float64Var(&o.scale, "time-scale", 1, "how many `times` as fast as real time payers and schedules are, 1 to 40")
	f.DurationVar(&o.wait, "wait", 3*time.Minute, "how long HIS may follow one payment")
	if err := parse(f, args); err != nil {
		return err
	}
	ways := 0
	for _, on := range []bool{o.program != "", o.person, o.reference} {
		if on {
			ways++
		}
	}
	if ways != 1 || f.NArg() > 0 || !(o.scale >= 1 && o.scale <= 40) || o.wait < time.Second {
		return fmt.Errorf("%w: name one of -program, -person and -reference; -time-scale is 1 to 40", errUsage)
	}
	if err := onLoopback(o.door); err != nil {
		return err
	}
	if o.dir == "" {
		if o.dir, err = os.MkdirTemp("", "payagent-conform-"); err != nil {
			return fmt.Errorf("cannot make a folder; name one with -data: %w", err)
		}
	}
	paper, err := o.run(ctx, c)
	if err != nil {
		return err
	}
	if err := o.write(paper); err != nil {
		return err
	}
	if err := paper.Print(c.out); err != nil {
		return err
	}
	if paper.Failed > 0 || paper.NotRun > 0 && o.cases == "" {
		return fmt.Errorf("%d of %d cases did not pass; the report is %s", paper.Failed+paper.NotRun, len(paper.Cases), o.out)
	}
	return nil
}

func (o *conformFlags) run(ctx context.Context, c console) (conform.Paper, error) {
	paper := conform.Paper{Vendor: o.vendor, Product: o.product}
	stage, err := newStage(ctx, o, c)
	if err != nil {
		return paper, err
	}
	defer stage.close()
	opts := conform.Options{Stage: stage, Tills: [2]string{"window1", "window2"}, Proxy: stage.proxy, Tag: "C" + time.Now().Format("0102150405"),
		Wait: o.wait, Settle: time.Duration(float64(6*time.Minute)/o.scale) + 30*time.Second}
	_, token := stage.Door()
	fmt.Fprintf(c.out, "测试 TEST: no real money\n代理地址 agent   http://%s\n令牌文件 token   %s\n窗口 tills       window1, window2\n模拟手机 phone   %s/phone\n\n", stage.proxy.Address(), token, stage.at.Pages)
	switch {
	case o.program != "":
		opts.Program, paper.Manner = conform.Command{Args: strings.Fields(o.program)}, "program"
	case o.person:
		in := bufio.NewReader(c.in)
		opts.Program, paper.Manner = conform.Person{In: in, Out: c.out}, "person"
		fmt.Fprint(c.out, "请在 HIS 里设好以上地址和令牌，然后按回车开始。 Enter the address and the token in HIS, then press Enter.\n")
		if _, err := in.ReadString('\n'); err != nil {
			return paper, err
		}
		opts.Scanner = runtime.GOOS == "linux"
	default:
		opts.Program, paper.Manner = &conform.Careful{Dir: o.dir}, "reference"
	}
	if o.cases != "" {
		opts.Cases = list(o.cases)
	}
	opts.Tell = func(r conform.Result) { fmt.Fprintf(c.out, "%-8s %s  %s\n", r.Outcome, r.ID, r.Title.Zh) }
	began := time.Now()
	results, err := conform.Run(ctx, opts)
	paper.Versions = stage.Versions()
	paper.Count(results, began, time.Now())
	return paper, err
}

func (o *conformFlags) write(paper conform.Paper) error {
	key, err := conform.Key(o.key)
	if err != nil {
		return err
	}
	signed, err := conform.Sign(paper, key)
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(signed, "", "  ")
	if err != nil {
		return err
	}
	var plain strings.Builder
	if err := paper.Print(&plain); err != nil {
		return err
	}
	return errors.Join(os.WriteFile(o.out, append(text, '\n'), 0o600), os.WriteFile(strings.TrimSuffix(o.out, ".json")+".txt", []byte(plain.String()), 0o600))
}

func verifyReport(args []string, c console) error {
	f := flag.NewFlagSet("conform verify", flag.ContinueOnError)
	public := f.String("public-key", "", "the `key` that must have signed it")
	if err := parse(f, args); err != nil {
		return err
	}
	if f.NArg() != 1 {
		return fmt.Errorf("%w: paysim conform verify [-public-key K] FILE", errUsage)
	}
	data, err := os.ReadFile(f.Arg(0))
	if err != nil {
		return err
	}
	paper, err := conform.Verify(data, *public)
	if err != nil {
		return err
	}
	return paper.Print(c.out)
}

// playStep is the reference HIS as a program of its own, and the example of
// what a vendor's adapter is: a step on stdin, a report on stdout.
func playStep(ctx context.Context, args []string, c console) error {
	f := flag.NewFlagSet("conform play", flag.ContinueOnError)
	dir := f.String("data", "", "`folder` of its books")
	bug := f.String("bug", "", "a `way` to go wrong, for trying the kit")
	if err := parse(f, args); err != nil {
		return err
	}
	if *dir == "" {
		return fmt.Errorf("%w: name its folder with -data", errUsage)
	}
	var s conform.Step
	if err := json.NewDecoder(c.in).Decode(&s); err != nil {
		return fmt.Errorf("cannot read the step: %w", err)
	}
	r, err := (&conform.Careful{Dir: *dir, Bug: conform.Bug(*bug)}).Do(ctx, s)
	if err != nil {
		return err
	}
	return json.NewEncoder(c.out).Encode(r)
}

// stage is the pretend world with an agent of its own.
type stage struct {
	o      *conformFlags
	at     Addresses
	door   string
	conf   string
	log    *os.File
	agent  *exec.Cmd
	proxy  *conform.Proxy
	end    context.CancelFunc
	served chan error
}

func newStage(ctx context.Context, o *conformFlags, c console) (*stage, error) {
	if _, err := os.Stat(o.binary); err != nil {
		return nil, fmt.Errorf("cannot find the agent's program; run make build, or name it with -agent-binary: %w", err)
	}
	ctx, end := context.WithCancel(ctx)
	s := &stage{o: o, end: end, served: make(chan error, 1)}
	ready := make(chan Addresses, 1)
	w := serveOptions{listen: "127.0.0.1:0", platforms: "127.0.0.1:0", data: filepath.Join(o.dir, "world"), tills: []string{"window1", "window2"},
		scale: o.scale, findByNumber: true, tombstones: true, his: noClerk, now: time.Now, ready: func(a Addresses) { ready <- a }, tokenFile: filepath.Join(o.dir, "agent", "first-token")}
	if o.person && runtime.GOOS == "linux" {
		for _, till := range w.tills {
			w.ptys = append(w.ptys, till+"="+filepath.Join(o.dir, "scanbox-"+till))
		}
	}
	l, err := net.Listen("tcp", cmp.Or(o.agent, "127.0.0.1:0"))
	if err != nil {
		end()
		return nil, err
	}
	s.door = l.Addr().String()
	w.agent = "http://" + s.door
	err = errors.Join(l.Close(), os.MkdirAll(w.data, 0o700))
	if err == nil {
		s.log, err = os.OpenFile(filepath.Join(o.dir, "agent.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	}
	if err != nil {
		end()
		return nil, err
	}
	go func() { s.served <- serve(ctx, w, c) }()
	select {
	case err := <-s.served:
		s.served <- nil
		s.close()
		return nil, err
	case s.at = <-ready:
	}
	s.conf = filepath.Join(o.dir, "payagent.yaml")
	err = os.WriteFile(s.conf, []byte(s.config()), 0o600)
	if err == nil {
		s.proxy, err = conform.Listen(o.door, s.door)
	}
	if err == nil {
		err = s.Start(ctx)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *stage) close() {
	if s.agent != nil {
		_ = s.agent.Process.Signal(os.Interrupt)
		_ = s.agent.Wait()
	}
	if s.proxy != nil {
		_ = s.proxy.Close()
	}
	s.end()
	<-s.served
	_ = s.log.Close()
}

// config is a site of two windows; its schedule is that of a hospital, made
// faster by the time scale.
func (s *stage) config() string {
	d := func(real time.Duration) string {
		return time.Duration(float64(real) / s.o.scale).Round(time.Millisecond).String()
	}
	sec, payer := time.Second, time.Duration(max(1, s.o.slack)*float64(time.Second))
	policy := ""
	if s.o.scale > 1 {
		policy = fmt.Sprintf(`policy: {pay_timeout: %s, call_timeout: %s, first_query: %s, query_every: %s, horizon: %s, horizon_wechat: %s,
  cancel_not_before: %s, manual_after: %s, backoff: [%s, %s, %s, %s, %s], not_found_final: %s, late_watch: [0s, %s, %s], refund_spacing: %s}
`, d(120*sec), d(40*sec), d(4*sec), d(6*sec), d(60*payer), d(48*payer), d(16*sec), d(10*sec), d(2*sec), d(4*sec), d(8*sec), d(16*sec), d(40*sec), d(80*sec), d(20*sec), d(80*sec), d(60*sec))
	}
	tills := ""
	for i, name := range []string{"window1", "window2"} {
		scanner := ""
		if link := s.at.Boxes[name]; link != "" {
			scanner = fmt.Sprintf(", scanners: [{driver: serial, options: {path: %q}}]", link)
		}
		tills += fmt.Sprintf("  - {name: %s, title: %d号窗口, kind: counter, device_no: \"W%d\", operator: {id: \"100%d\", name: 测试%d}%s}\n", name, i+1, i+1, i+1, i+1, scanner)
	}
	return fmt.Sprintf(`site: {hospital_id: "H0001", name: "一致性测试 conformance", test: true}
data_dir: %q
door: {listen: [%q]}
%splatforms:
  - {name: fwc, driver: fwc, url: %q, allow_plain_http: true, options: {inhospital_fallback: card_no}}
merchants:
  - {profile: window, platform: fwc, token_file: %q}
routes: [{merchant: window}]
tills:
%s`, filepath.Join(s.o.dir, "agent"), s.door, policy, s.at.Platforms["fwc"], s.at.TokenFile, tills)
}

// Door implements conform.Stage.
func (s *stage) Door() (string, string) {
	return s.door, filepath.Join(s.o.dir, "agent", "first-token")
}

// Kill implements conform.Stage: as when the plug is pulled.
func (s *stage) Kill(context.Context) error {
	if s.agent == nil {
		return nil
	}
	err := s.agent.Process.Kill()
	_ = s.agent.Wait() // it was killed, and says so
	s.agent = nil
	return err
}

// Start implements conform.Stage.
func (s *stage) Start(ctx context.Context) error {
	if s.agent != nil {
		return nil
	}
	cmd := exec.Command(s.o.binary, "run", "--config", s.conf)
	cmd.Stdout, cmd.Stderr = s.log, s.log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot start the agent: %w", err)
	}
	s.agent = cmd
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.door+"/healthz", nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK && s.scanners(ctx) {
				return nil
			}
		}
		if err := pause(ctx, 30*time.Millisecond); err != nil {
			return fmt.Errorf("cannot reach the agent; its log is %s: %w", s.log.Name(), err)
		}
	}
}

// scanners tells whether the agent has opened every scanner: what is read
// before is lost.
func (s *stage) scanners(ctx context.Context) bool {
	address, token := s.Door()
	client, err := his.NewClient("http://"+address, token, nil)
	if err != nil {
		return false
	}
	a, err := client.Devices(ctx)
	var list struct{ Devices []struct{ Present bool } }
	if err != nil || json.Unmarshal(a.Body, &list) != nil || len(list.Devices) < len(s.at.Boxes) {
		return false
	}
	for _, d := range list.Devices {
		if !d.Present {
			return false
		}
	}
	return true
}

// Net implements conform.Stage.
func (s *stage) Net(ctx context.Context, mode string) error {
	var got json.RawMessage
	return callWorld(ctx, s.at.Pages, http.MethodPost, "/net", map[string]any{"down": mode != string(outage.Up), "mode": mode}, &got)
}

// Code implements conform.Stage.
func (s *stage) Code(ctx context.Context, behave int) (string, error) {
	var shown struct{ Code string }
	err := callWorld(ctx, s.at.Pages, http.MethodPost, "/phone/code", map[string]any{"wallet": "wechat", "behave": behave}, &shown)
	return shown.Code, err
}

// Scan implements conform.Stage.
func (s *stage) Scan(ctx context.Context, till, code string) error {
	var got json.RawMessage
	return callWorld(ctx, s.at.Pages, http.MethodPost, "/scanbox", map[string]any{"box": till, "text": code, "suffix": "cr"}, &got)
}

// Truth implements conform.Stage.
func (s *stage) Truth(ctx context.Context) (map[string]world.Order, error) {
	var t world.Truth
	if err := callWorld(ctx, s.at.Pages, http.MethodGet, "/ledger", nil, &t); err != nil {
		return nil, err
	}
	m := map[string]world.Order{}
	for _, o := range t.Orders {
		m[o.OrderNo] = o
	}
	return m, nil
}

// Versions implements conform.Stage.
func (s *stage) Versions() map[string]string {
	v := map[string]string{"paysim": version, "payagent": "unknown"}
	if out, err := exec.Command(s.o.binary, "version").Output(); err == nil {
		v["payagent"] = strings.TrimSpace(string(out))
	}
	return v
}
