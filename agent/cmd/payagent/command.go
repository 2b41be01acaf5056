package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"payagent/agent/access"
	"payagent/agent/config"
	"payagent/agent/door/cli"
	"payagent/platforms"
)

var errUsage = errors.New("wrong command line")

// exitCode ends the process with a code of package cli, which has printed
// everything there is to say.
type exitCode int

// Error names the code.
func (e exitCode) Error() string { return "exit code " + strconv.Itoa(int(e)) }

const usage = `payagent — face-to-face payments at hospital tills  当面付代理

  payagent init     --config FILE                 five questions, and a configuration that works: payagent init --help   初次配置
  payagent run      --config FILE                 serve, until stopped                    运行
  payagent service  install [--config FILE]       install as a service of this machine    安装为系统服务
  payagent service  uninstall|start|stop|status   take it away, start, stop, look         卸载、启动、停止、状态
  payagent config   check --config FILE           check the configuration and print what it amounts to  检查配置
  payagent config   show|accept|rollback --config FILE [--effective]   what counts (the fleet's or this file); take this file as meant; go back   生效配置、确认本机修改、回退
  payagent update   FILE|URL|status|rollback --config FILE   another program: payagent update --help   升级
  payagent orders   list  --config FILE [--bill B | --trade T]   open orders, or those of a bill   订单
  payagent orders   show  --config FILE NUMBER    one order as the API gives it           订单详情
  payagent orders   explain --config FILE NUMBER  its history, for finance                订单经过
  payagent queue    ls    --config FILE           what waits, how long and why            待处理
  payagent queue    resolve --config FILE         resolve all now                         立即处理全部
  payagent token    add --config FILE --name N [--till T] --scopes collect,refund,admin,screen,resolve,operators   新增令牌
  payagent token    list|revoke --config FILE [--name N]                                  令牌
  payagent devices  list|watch|test|learn         scanners and displays: payagent devices --help   设备
  payagent report|reconcile|signals|audit         closing a day: payagent report --help   报表、对账、核对迹象、审计
  payagent pay|query|cancel|refund|book --json    for programs that can only start a process: payagent pay --help   供 HIS 调用
  payagent doctor   [net|sign] --config FILE [--json] [--only CHECK]   is this box well: payagent doctor --help   体检
  payagent diag     --config FILE --out FILE.zip   what to hand to whoever helps; names nobody   诊断包
  payagent enrol    --config FILE --url URL --code CODE   join the fleet: payagent enrol --help   入网
  payagent purge    --orders --config FILE        remove all orders for good, after a typed sentence   永久删除订单
  payagent version                                                                        版本
`

// options are the flags that commands share.
type options struct {
	config string
	bill   string
	trade  string
	name   string
	till   string
	scopes string
	args   []string
}

func parse(name string, args []string) (options, error) {
	var o options
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&o.config, "config", "", "configuration file")
	f.StringVar(&o.bill, "bill", "", "bill")
	f.StringVar(&o.trade, "trade", "", "trade number")
	f.StringVar(&o.name, "name", "", "name")
	f.StringVar(&o.till, "till", "", "till")
	f.StringVar(&o.scopes, "scopes", "", "scopes")
	// Flags may stand before and behind the order number.
	for rest := args; ; {
		if err := f.Parse(rest); err != nil {
			return o, fmt.Errorf("%w: %s\n\n%s", errUsage, err, usage)
		}
		if f.NArg() == 0 {
			break
		}
		o.args = append(o.args, f.Arg(0))
		rest = f.Args()[1:]
	}
	if o.config == "" && name == "config check" && len(o.args) == 1 {
		o.config = o.args[0]
	}
	if o.config == "" {
		return o, fmt.Errorf("%w: name the configuration with --config FILE\n\n%s", errUsage, usage)
	}
	return o, nil
}

// helpOf is what a command says of itself: its own page, or its lines of all
// commands.
func helpOf(name string) string {
	switch name {
	case "init":
		return initUsage
	case "service":
		return serviceUsage
	case "update":
		return updateUsage
	case "devices":
		return devicesUsage
	case "report", "reconcile", "signals", "audit":
		return closingUsage
	case "doctor":
		return doctorUsage
	case "enrol":
		return enrolUsage
	case "purge":
		return purgeUsage
	}
	var b strings.Builder
	for line := range strings.Lines(usage) {
		if strings.HasPrefix(line, "  payagent "+name+" ") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// forHelp tells whether somebody asks what a command is for.
func forHelp(args []string) bool {
	return slices.ContainsFunc(args, func(s string) bool { return s == "-h" || s == "-help" || s == "--help" })
}

// command runs one command.
func command(ctx context.Context, args []string, out io.Writer) error {
	verb := strings.Join(args[:min(len(args), 2)], " ")
	first, rest := "", args
	if len(args) > 0 {
		first, rest = args[0], args[1:]
	}
	if text := helpOf(first); text != "" && forHelp(rest) {
		_, err := io.WriteString(out, text)
		return err
	}
	switch first {
	case "version", "--version":
		_, err := fmt.Fprintln(out, "payagent "+buildVersion())
		return err
	case "run":
		return runCommand(ctx, rest, out)
	case "update":
		return updateCommand(ctx, rest, out)
	case "service":
		return serviceCommand(rest, out)
	case "devices":
		return devicesCommand(ctx, rest, out)
	case "report", "reconcile", "signals", "audit":
		return closingCommand(ctx, args, out, os.Stderr)
	case "init":
		return initCommand(ctx, rest, os.Stdin, out)
	case "enrol":
		return enrolCommand(ctx, rest, os.Stdin, out)
	case "purge":
		return purgeCommand(rest, os.Stdin, out)
	case "diag":
		return diagCommand(ctx, rest, out)
	case "doctor":
		return doctorCommand(ctx, rest, os.Stdin, out)
	case "pay", "query", "cancel", "refund", "book":
		if code := cli.Run(ctx, first, rest, cli.Streams{In: os.Stdin, Out: out, Env: os.Getenv}, doorOf); code != cli.OK {
			return exitCode(code)
		}
		return nil
	case "", "help", "--help", "-h":
		_, err := fmt.Fprint(out, usage)
		return err
	}
	if len(rest) > 0 {
		rest = rest[1:]
	}
	switch verb {
	case "config check":
		return withFile(verb, rest, config.Load, func(c config.Config, _ options) error { return checkConfig(c, out) })
	case "config show", "config accept", "config rollback":
		return configCommand(verb, rest, out)
	case "orders list":
		return withConfig(verb, rest, func(c config.Config, o options) error { return listOrders(ctx, c, o, out) })
	case "orders show":
		return withConfig(verb, rest, func(c config.Config, o options) error { return showOrder(ctx, c, o, out) })
	case "orders explain":
		return withConfig(verb, rest, func(c config.Config, o options) error { return explainOrder(ctx, c, o, out) })
	case "queue ls":
		return withConfig(verb, rest, func(c config.Config, _ options) error { return listQueue(ctx, c, out) })
	case "queue resolve":
		return withConfig(verb, rest, func(c config.Config, _ options) error { return resolveAll(ctx, c, out) })
	case "token add", "token list", "token revoke":
		return withConfig(verb, rest, func(c config.Config, o options) error { return tokens(verb, c, o, out) })
	}
	return fmt.Errorf("%w: there is no command %q\n\n%s", errUsage, verb, usage)
}

// withConfig does something with the configuration that counts.
func withConfig(name string, args []string, do func(config.Config, options) error) error {
	return withFile(name, args, loadConfig, do)
}

func withFile(name string, args []string, load func(string) (config.Config, error), do func(config.Config, options) error) error {
	o, err := parse(name, args)
	if err != nil {
		return err
	}
	c, err := load(o.config)
	if err != nil {
		return err
	}
	return do(c, o)
}

// checkConfig prints what the configuration amounts to. The drivers check
// their own settings; nothing is opened or called.
func checkConfig(c config.Config, out io.Writer) error {
	if err := checkMembers(c); err != nil {
		return err
	}
	if _, err := fmt.Fprint(out, c.Report()); err != nil {
		return err
	}
	more, err := c.CheckFiles()
	for _, w := range more {
		if _, err := fmt.Fprintf(out, "  ! [%s] %s\n    %s\n", w.Code, w.ZH, w.EN); err != nil {
			return err
		}
	}
	return err
}

// checkMembers lets the drivers check their settings.
func checkMembers(c config.Config) error {
	var errs []error
	opened := map[string]platforms.Platform{}
	for _, p := range c.Platforms {
		way, _, err := openWays(p, nil, unconnected(c), nil, nil)
		if err != nil {
			errs = append(errs, fmt.Errorf("platform %s: %w", p.Name, err))
			continue
		}
		opened[p.Name], err = openPlatform(c, p, way)
		errs = append(errs, err, way.Close())
	}
	if errors.Join(errs...) == nil {
		errs = append(errs, join(c, opened))
	}
	_, err := planDevices(c)
	return errors.Join(append(errs, err)...)
}

func tokens(verb string, c config.Config, o options, out io.Writer) error {
	store, err := access.Open(tokenList(c), nil)
	if err != nil {
		return err
	}
	store.As(osUser())
	switch verb {
	case "token add":
		// Adding a token before the first start must not take its place.
		if _, err := store.First(firstToken(c), time.Now()); err != nil {
			return err
		}
		if _, ok := c.TillNamed(o.till); o.till != "" && !ok {
			return fmt.Errorf("cannot make a token for till %q: the configuration has none of that name", o.till)
		}
		var scopes []access.Scope
		for _, s := range strings.Split(o.scopes, ",") {
			scopes = append(scopes, access.Scope(strings.TrimSpace(s)))
		}
		secret, err := store.Add(o.name, o.till, scopes, time.Now())
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%s\n", secret.Reveal())
		return err
	case "token revoke":
		return store.Revoke(o.name)
	}
	list, err := store.List()
	if err != nil {
		return err
	}
	for _, t := range list {
		till := t.Till
		if till == "" {
			till = "全部 all"
		}
		if _, err := fmt.Fprintf(out, "%-20s 收费点 till: %-12s 权限 scopes: %v  %s\n", t.Name, till, t.Scopes, t.Created.Format("2006-01-02")); err != nil {
			return err
		}
	}
	return nil
}
