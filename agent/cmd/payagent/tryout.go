package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"payagent/agent/config"
	"payagent/devices"
)

// The words of the API for a display and for its test screen.
const (
	kindDisplay = "display"
	showTest    = "show"
)

// scanPatience is how long a test waits for a scan.
const scanPatience = 30 * time.Second

// showWithin is how long a display may take for one screen.
const showWithin = 5 * time.Second

// testDevice tries one device, through the running agent or directly.
func testDevice(ctx context.Context, c config.Config, o deviceOptions, out io.Writer) error {
	name, action := o.args[0], ""
	if len(o.args) > 1 {
		action = o.args[1]
	}
	p, err := planDevices(c)
	if err != nil {
		return err
	}
	t := tryout{out: out, patience: scanPatience, config: c, show: o.show}
	cl, rows, ok, err := running(ctx, c)
	if err != nil {
		return err
	}
	if ok {
		defer func() { _ = cl.close() }()
		i := slices.IndexFunc(rows, func(r deviceRow) bool { return r.Name == name })
		if i < 0 {
			return unknownDevice(name, p)
		}
		return t.through(ctx, cl, rows[i], action)
	}
	for _, s := range p.scanners {
		if s.conf.Name == name {
			return t.scanner(ctx, s, action)
		}
	}
	for _, d := range p.displays {
		if d.conf.Name == name {
			return t.display(ctx, d, action)
		}
	}
	return unknownDevice(name, p)
}

func unknownDevice(name string, p plan) error {
	var names []string
	for _, s := range p.scanners {
		names = append(names, s.conf.Name)
	}
	for _, d := range p.displays {
		names = append(names, d.conf.Name)
	}
	return fmt.Errorf("cannot test %q: the configuration has no device of that name; it has: %s", name, strings.Join(names, ", "))
}

// tryout is a test that goes on.
type tryout struct {
	out      io.Writer
	patience time.Duration
	config   config.Config
	show     bool
}

func (t tryout) say(format string, args ...any) { _, _ = fmt.Fprintf(t.out, format+"\n", args...) }

// through tests a device that the running agent has open.
func (t tryout) through(ctx context.Context, cl *client, r deviceRow, action string) error {
	t.say("通过正在运行的代理程序测试 through the running agent: %s", r.Name)
	if !r.Present && r.Reason != nil {
		t.say("  ! %s %s\n    %s %s", r.Reason.Say.ZH, r.Reason.Next.ZH, r.Reason.Say.EN, r.Reason.Next.EN)
	}
	if action == "" && r.Kind == kindDisplay {
		action = showTest
	}
	if action == "" {
		return t.counted(ctx, cl, r)
	}
	body, err := json.Marshal(map[string]string{"action": action})
	if err != nil {
		return err
	}
	if _, err := cl.send(ctx, http.MethodPost, "/v1/devices/"+url.PathEscape(r.Name)+"/test", body); err != nil {
		if len(r.Actions) > 0 {
			return fmt.Errorf("%w; it can do: %s", err, strings.Join(r.Actions, ", "))
		}
		return err
	}
	t.say("已执行 done: %s", action)
	return nil
}

// counted waits until the agent has read something from the scanner.
func (t tryout) counted(ctx context.Context, cl *client, r deviceRow) error {
	if r.Counts == nil {
		return fmt.Errorf("cannot test %s through the agent: its driver counts nothing; stop the agent and test it again", r.Name)
	}
	if err := t.free(ctx, cl, r); err != nil {
		return err
	}
	t.say("测试期间请勿在窗口 %s 收费 take no payment at %s meanwhile", r.Till, r.Till)
	t.ask(r.Actions)
	end := time.NewTimer(t.patience)
	defer end.Stop()
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	var now countsRow
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-end.C:
			return t.nothing(r.Name, devices.Counts{Bad: now.Bad, Cut: now.Cut, Doubles: now.Doubles, Settled: now.Settled})
		case <-tick.C:
		}
		if err := t.free(ctx, cl, r); err != nil {
			return err
		}
		rows, err := cl.devices(ctx)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(rows, func(x deviceRow) bool { return x.Name == r.Name })
		if i < 0 || rows[i].Counts == nil {
			continue
		}
		if now = rows[i].Counts.minus(*r.Counts); now.Good > 0 {
			t.say("读到 %d 个码，扫码设备正常 read %d: the scanner works", now.Good, now.Good)
			return nil
		}
	}
}

// free tells that no order waits at the scanner's till: the agent would take
// the code that is scanned for a test as its payment.
func (t tryout) free(ctx context.Context, cl *client, r deviceRow) error {
	data, err := cl.once(ctx, http.MethodGet, "/v1/tills/"+url.PathEscape(r.Till))
	if err != nil {
		return err
	}
	var till struct{ Armed bool }
	if err := json.Unmarshal(data, &till); err != nil {
		return fmt.Errorf("the agent's answer cannot be read: %w", err)
	}
	if till.Armed {
		t.say("  ! 窗口 %s 有订单正在等待付款码，现在扫码会付款：请勿扫码，先完成或取消该订单", r.Till)
		return fmt.Errorf("cannot test %s now: an order waits for a code at %s, and a scan would pay it; scan nothing, finish or cancel the order, then test again", r.Name, r.Till)
	}
	return nil
}

func (t tryout) ask(actions []string) {
	if len(actions) > 0 {
		t.say("可执行的动作 actions: %s", strings.Join(actions, ", "))
	}
	t.say("请在 %d 秒内扫描任意码（不会付款） scan anything within %d s (nothing is paid)", int(t.patience.Seconds()), int(t.patience.Seconds()))
}

// nothing says what to look at when no code came.
func (t tryout) nothing(name string, n devices.Counts) error {
	switch {
	case n.Doubles > 0:
		t.say("  ! 同一个码刚刚读过，换一个码再试\n    the same code was read just before; try another one")
	case n.Bad+n.Cut > 0:
		t.say("  ! 有数据但不成码（%d）：波特率、校验位、后缀或键盘布局不对，请运行 payagent devices learn\n    something came that is no code (%d): baud rate, parity, suffix or layout are wrong; run payagent devices learn", n.Bad+n.Cut, n.Bad+n.Cut)
	default:
		t.say("  ! 没有任何数据，请检查：1 设备亮灯、能“滴”一声吗？2 线缆和端口（payagent devices list）；3 接口模式与 driver 一致吗？4 后缀 end 设置（payagent devices learn）\n" +
			"    nothing came; check: 1 does it light up and beep? 2 the cable and the port (payagent devices list); 3 is its interface mode that of driver? 4 the setting end (payagent devices learn)")
	}
	return fmt.Errorf("cannot read anything from %s; see above for what to check", name)
}

// scanner tests a scanner that nobody has open.
func (t tryout) scanner(ctx context.Context, p scannerPlan, action string) error {
	s, err := p.open()
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	if placed, ok := s.(devices.Placed); ok {
		if f := placed.Place(); f != (devices.Found{}) {
			t.say("已打开 open: %s", about(f))
		}
	}
	acting, _ := s.(devices.Acting)
	if action != "" {
		if acting == nil {
			return fmt.Errorf("cannot do %q with %s: %w", action, p.conf.Name, devices.ErrNoAction)
		}
		if err := acting.Do(ctx, action); err != nil {
			if errors.Is(err, devices.ErrNoAction) && len(acting.Actions()) > 0 {
				return fmt.Errorf("%w; it can do: %s", err, strings.Join(acting.Actions(), ", "))
			}
			return err
		}
		t.say("已执行 done: %s", action)
		if action != "trigger" {
			return nil
		}
	}
	var actions []string
	if acting != nil {
		actions = acting.Actions()
	}
	t.ask(actions)
	wait, stop := context.WithTimeout(ctx, t.patience)
	defer stop()
	scan, err := s.Scan(wait)
	switch {
	case err == nil:
		t.say("%s", masked(t.config, p.till, scan, t.show))
		t.say("扫码设备正常 the scanner works")
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case wait.Err() != nil:
		var n devices.Counts
		if c, ok := s.(devices.Counting); ok {
			n = c.Counts()
		}
		return t.nothing(p.conf.Name, n)
	}
	return err
}

// display tests a display or signal that nobody has open.
func (t tryout) display(ctx context.Context, p displayPlan, action string) error {
	if action != "" && action != showTest {
		return fmt.Errorf("cannot do %q with %s: %w; it can do: %s", action, p.conf.Name, devices.ErrNoAction, showTest)
	}
	d, err := p.open()
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	screen := devices.Screen{Title: "显示测试", Line: "一二三 123", TitleEN: "Display test", LineEN: "ABC 123",
		Amount: "123.45", Speech: "显示测试", Test: true}
	// Idle displays show no amount, and a lamp has a signal for each state.
	states := []string{"waiting"}
	if p.conf.Driver == "lamp" {
		states = []string{"waiting", "paid", "failed"}
	}
	var last error
	for _, state := range states {
		screen.State = state
		for until := time.Now().Add(2 * time.Second); ; {
			call, stop := context.WithTimeout(ctx, showWithin)
			last = d.Show(call, screen)
			stop()
			if !time.Now().Before(until) || ctx.Err() != nil {
				break
			}
			wait := time.NewTimer(200 * time.Millisecond)
			select {
			case <-wait.C:
			case <-ctx.Done():
			}
			wait.Stop()
		}
	}
	if last != nil {
		return fmt.Errorf("cannot show on %s: %w", p.conf.Name, last)
	}
	t.say("已显示测试画面 123.45：看得到吗？没有反应时检查 family、baud、线缆\nthe test screen 123.45 was shown: is it there? If not, check family, baud and cable")
	return nil
}
