package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"payagent/agent/cmd/paysim/internal/his"
)

// demo is a pretend world with an agent of its own: one counter, one kiosk,
// both platforms. The agent is a process apart, started again whenever it
// dies, as a service manager would; kill -9 is part of the show.
type demo struct {
	console
	binary   string // of payagent
	dir      string
	door     string // host:port of the agent
	books    string // host:port that the platforms' reconciliation reaches
	facade   string // host:port that HIS programs reach which speak a platform's own words
	callback string // host:port that the pretend gateway and the payers' browsers reach
	opts     serveOptions
}

func demoCommand(ctx context.Context, args []string, c console) error {
	d := demo{console: c}
	f := flag.NewFlagSet("demo", flag.ContinueOnError)
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("cannot find this program's folder; name the agent with -agent-binary: %w", err)
	}
	f.StringVar(&d.binary, "agent-binary", filepath.Join(filepath.Dir(self), "payagent"), "`file` of the agent's program")
	f.StringVar(&d.dir, "data", "", "`folder` for everything; a new temporary one by default")
	f.StringVar(&d.door, "door", "127.0.0.1:8780", "`address` of the agent")
	f.StringVar(&d.callback, "callback", "127.0.0.1:8781", "`address` of the agent for notifications and return pages")
	f.StringVar(&d.facade, "facade", "127.0.0.1:8782", "`address` of the agent in the platforms' stead")
	f.StringVar(&d.books, "books", "127.0.0.1:8783", "`address` of the agent for the platforms' reconciliation")
	f.StringVar(&d.opts.listen, "listen", "127.0.0.1:8790", "`address` of the pretend world's pages")
	f.StringVar(&d.opts.platforms, "platforms", "127.0.0.1:8791", "`address` of the pretend platforms")
	if err := parse(f, args); err != nil {
		return err
	}
	for _, addr := range []string{d.door, d.callback, d.facade, d.books, d.opts.listen, d.opts.platforms} {
		if err := onLoopback(addr); err != nil {
			return err
		}
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return fmt.Errorf("cannot use %s, something else listens there; choose other ports, see paysim demo -h: %w", addr, err)
		}
		if err := l.Close(); err != nil {
			return err
		}
	}
	if _, err := os.Stat(d.binary); err != nil {
		return fmt.Errorf("cannot find the agent's program; run make demo, or name it with -agent-binary: %w", err)
	}
	if d.dir == "" {
		if d.dir, err = os.MkdirTemp("", "payagent-demo-"); err != nil {
			return fmt.Errorf("cannot make a folder; name one with -data: %w", err)
		}
	}
	return d.run(ctx)
}

func (d *demo) run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	world := filepath.Join(d.dir, "world")
	if err := os.MkdirAll(world, 0o700); err != nil {
		return err
	}
	ready := make(chan Addresses, 1)
	o := d.opts
	o.now, o.data, o.scale, o.findByNumber, o.his = time.Now, world, 1, true, string(his.Prompt)
	o.agent, o.tokenFile = "http://"+d.door, filepath.Join(d.dir, "agent", "first-token")
	o.tills = []string{"counter1", "counter2", "kiosk1", "kiosk2", "online1"}
	for _, box := range []string{"counter1", "counter1-gun", "counter2", "kiosk1"} {
		o.ptys = append(o.ptys, box+"="+filepath.Join(d.dir, "scanbox-"+box))
	}
	o.ready = func(a Addresses) { ready <- a }
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, o, d.console) }()
	select {
	case err := <-ended:
		return err
	case a := <-ready:
		if err := os.WriteFile(d.secret(), []byte(rand.Text()+"\n"), 0o600); err != nil {
			return err
		}
		conf := filepath.Join(d.dir, "payagent.yaml")
		if err := os.WriteFile(conf, []byte(d.config(a)), 0o600); err != nil {
			return err
		}
		agent := make(chan error, 1)
		go func() { agent <- d.keepAlive(ctx, conf) }()
		err := d.welcome(ctx, a, conf)
		if err == nil {
			select {
			case err = <-ended:
				ended <- err
			case err = <-agent:
				agent <- err
			case <-ctx.Done():
			}
		}
		stop()
		err = errors.Join(err, <-agent, <-ended)
		if errors.Is(err, context.Canceled) {
			return nil
		}
		return err
	}
}

// secret is the file of the secret in the façade's SmartPay addresses.
func (d *demo) secret() string { return filepath.Join(d.dir, "facade.secret") }

func (d *demo) config(a Addresses) string {
	return fmt.Sprintf(`site: {hospital_id: "H0001", name: "演示医院 Demo hospital", test: true}
data_dir: %[1]q
limits: {refund_alone_fen: 20000}
door: {listen: [%[2]q]}
callback: {listen: [%[14]q], public_url: %[15]q}
facade:
  listen: [%[16]q]
  till: counter2
  operator: {id: "9004", name: 老HIS}
  smartpay: {secret_file: %[17]q, ignore_merch_code: true}
  fwc: {token_file: %[5]q}
books: {listen: [%[19]q], allow: [127.0.0.0/8, "::1"], token_file: %[5]q}
platforms:
  - name: smartpay
    driver: smartpay
    url: %[3]q
    allow_plain_http: true
    options:
      client_id: "DEMO"
      transaction_codes: {sweep_code_pay: "9001", query_order_state: "9002", revoke: "9003"}
  - {name: fwc, driver: fwc, url: %[4]q, allow_plain_http: true, options: {inhospital_fallback: card_no}}
  - name: gateway
    driver: lc
    url: %[9]q
    allow_plain_http: true
    options:
      app_id: %[10]q
      private_key_file: %[11]q
      platform_key_files: [%[12]q]
      auth_url: %[13]q
      org_no: "H33010000123"
      org_name: "演示医院"
      city_code: "330100"
      ins_type: YB
merchants:
  - {profile: window, platform: smartpay, merch_code: "M0001"}
  - {profile: selfservice, platform: fwc, token_file: %[5]q}
  - {profile: online, platform: gateway}
routes:
  - {department: online, merchant: online}
  - {department: inpatient, merchant: selfservice}
  - {till_kind: kiosk, merchant: selfservice}
  - {mode: present, merchant: selfservice}
  - {order_type: TREATMENT, merchant: window}
  - {merchant: selfservice}
tills:
  - name: counter1
    title: 1号窗口
    kind: counter
    device_no: "W01"
    operator: {id: "1001", name: 王收费}
    scanners:
      - {name: counter1-pad, driver: serial, role: pad, options: {path: %[6]q}}
      - {name: counter1-gun, driver: serial, role: gun, options: {path: %[8]q}}
  - name: counter2
    title: 2号窗口（住院，联空）
    kind: counter
    device_no: "W02"
    department: inpatient
    operator: {id: "1002", name: 李收费}
    scanners: [{driver: serial, options: {path: %[18]q}}]
  - name: kiosk1
    title: 1号自助机
    kind: kiosk
    device_no: "K01"
    operator: {id: "9001", name: 自助机一号}
    scanners: [{driver: serial, options: {path: %[7]q}}]
    when_offline: queue
  - name: kiosk2
    title: 2号自助机（开放网关）
    kind: kiosk
    device_no: "K02"
    department: online
    operator: {id: "9002", name: 自助机二号}
  - name: online1
    title: 公众号缴费
    kind: online
    device_no: "WX01"
    department: online
    operator: {id: "9003", name: 公众号}
    modes: [h5, insurance]
`, filepath.Join(d.dir, "agent"), d.door, a.Platforms["smartpay"], a.Platforms["fwc"], a.TokenFile, a.Boxes["counter1"], a.Boxes["kiosk1"], a.Boxes["counter1-gun"],
		a.Platforms["lc"], a.LCAppID, a.LCKeyFile, a.LCPlatformKey, a.LCAuthURL, d.callback, "http://"+d.callback, d.facade, d.secret(), a.Boxes["counter2"], d.books)
}

// keepAlive starts the agent, and starts it again whenever it ends.
func (d *demo) keepAlive(ctx context.Context, conf string) error {
	log, err := os.OpenFile(filepath.Join(d.dir, "agent.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	for ctx.Err() == nil {
		cmd := exec.CommandContext(ctx, d.binary, "run", "--config", conf)
		cmd.Stdout, cmd.Stderr = log, log
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
		cmd.WaitDelay = 10 * time.Second
		if err := cmd.Start(); err != nil {
			return fmt.Errorf("cannot start the agent: %w", err)
		}
		pid := cmd.Process.Pid
		if err := os.WriteFile(filepath.Join(d.dir, "agent.pid"), fmt.Appendln(nil, pid), 0o600); err != nil {
			return err
		}
		fmt.Fprintf(d.out, "代理已启动 agent runs as process %d\n", pid)
		err := cmd.Wait()
		if ctx.Err() != nil {
			return nil
		}
		fmt.Fprintf(d.out, "代理已退出，1 秒后重新启动 agent ended (%v), starting it again in 1 s; its log: %s\n", err, log.Name())
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
	return nil
}

// welcome waits until the agent serves and prints where everything is.
func (d *demo) welcome(ctx context.Context, a Addresses, conf string) error {
	client := &http.Client{Timeout: time.Second}
	for n := 0; ; n++ {
		resp, err := client.Get("http://" + d.door + "/healthz")
		if err == nil {
			_ = resp.Body.Close()
			break
		}
		if n == 100 {
			log, _ := os.ReadFile(filepath.Join(d.dir, "agent.log")) // what there is of it
			return fmt.Errorf("cannot reach the agent after 20 s: %w; its log ends so:\n%s", err, log[max(0, len(log)-1000):])
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
	cashier, err := d.token(ctx, conf, "cashier1", "counter1", "collect,refund")
	if err != nil {
		return err
	}
	desk, err := d.token(ctx, conf, "refund-desk", "", "refund,resolve")
	if err != nil {
		return err
	}
	second, err := d.token(ctx, conf, "refund-desk-2", "", "refund,resolve")
	if err != nil {
		return err
	}
	kiosk, err := d.token(ctx, conf, "kiosk1", "kiosk1", "collect,screen")
	if err != nil {
		return err
	}
	fmt.Fprintf(d.out, `
测试环境，没有真实资金 TEST: no real money

  收费窗口  cashier page   http://%[1]s/cashier#t=%[2]s&till=counter1
  自助机    kiosk page     http://%[1]s/kiosk#t=%[3]s&till=kiosk1
  退费窗口  refund desk    http://%[1]s/refund#t=%[8]s
  交班      shift          http://%[1]s/shift#t=%[2]s&till=counter1&operator_id=1001
  复核      second person  http://%[1]s/refund#t=%[9]s      退费超过 200 元、待核实订单需要第二个人
  手机      pretend phone  %[4]s/phone      付款码、扫二维码 payment codes, pays QR codes
  模拟 HIS  pretend HIS    %[4]s/his        待缴费单据、收费、退费 bills, orders, refunds
  世界      pretend world  %[4]s/           断网开关、真实账目 network switch, the truth

  老 HIS    façade         http://%[10]s/fwc/linkingif.asmx?wsdl   智付 SmartPay: http://%[10]s/$(cat %[11]s)/WSGW/services/ServiceGateWay
  对账      books          http://%[12]s/?wsdl      平台来取数 what the platform fetches
  接口 API  http://%[1]s/v1   令牌 token: %[5]s
  断电试验  kill it in the middle of a payment:  kill -9 $(cat %[6]s)
  全部数据  all data: %[7]s      停止 stop: Ctrl-C

`, d.door, cashier, kiosk, a.Pages, filepath.Join(d.dir, "agent", "first-token"), filepath.Join(d.dir, "agent.pid"), d.dir, desk, second, d.facade, d.secret(), d.books)
	return nil
}

// token gives the token of a page; it is made once and kept beside the data.
func (d *demo) token(ctx context.Context, conf, name, till, scopes string) (string, error) {
	file := filepath.Join(d.dir, name+".token")
	if old, err := os.ReadFile(file); err == nil {
		return strings.TrimSpace(string(old)), nil
	}
	out, err := exec.CommandContext(ctx, d.binary, "token", "add", "--config", conf, "--name", name, "--till", till, "--scopes", scopes).Output()
	if err != nil {
		return "", fmt.Errorf("cannot make a token for the page: %w", err)
	}
	return strings.TrimSpace(string(out)), os.WriteFile(file, out, 0o600)
}
