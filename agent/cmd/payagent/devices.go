package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"payagent/agent/config"
)

const devicesUsage = `payagent devices — scanners, displays and signals  设备

  payagent devices list  [--config FILE] [--json]             what is plugged in, what it is used for, what cannot be read and why  列出设备
  payagent devices watch --config FILE [--json] [--show]      what the scanners send, masked, until stopped                 观察扫码
  payagent devices test  --config FILE NAME [ACTION]          try one device: a test screen, an action, or one scan         测试设备
  payagent devices learn [--config FILE] [--device D] [--model M] [--baud N,N] [--quick]   find out how a scanner is set up  学习设置
  payagent devices learn --sheet FILE.html [--model M]        the sheet with the codes that learn asks for                  打印样张

  --show     also print codes that are not payment codes  显示非付款码内容
  --device   port, node, name or path as devices list shows it, e.g. 1-1.2, /dev/ttyACM0, COM3
  --model    device template, as devices list names it  设备型号
  --baud     serial speeds to try in turn, 9600,115200,19200,38400,57600 by default
  --quick    without the last step, which tries a phone's screen  跳过手机屏幕测试
`

// deviceOptions are the flags of the devices commands.
type deviceOptions struct {
	config, sheet, device, model, baud string
	json, show, quick                  bool
	args                               []string
}

// devicesCommand runs payagent devices ….
func devicesCommand(ctx context.Context, args []string, out io.Writer) error {
	verb := ""
	if len(args) > 0 {
		verb, args = args[0], args[1:]
	}
	if slices.Contains([]string{"", "help", "-h", "--help", "-help"}, verb) {
		_, err := io.WriteString(out, devicesUsage)
		return err
	}
	o, err := parseDevices(args)
	if err != nil {
		return err
	}
	most := map[string]int{"list": 0, "watch": 0, "test": 2, "learn": 0}
	n, ok := most[verb]
	switch {
	case !ok:
		return fmt.Errorf("%w: there is no command %q\n\n%s", errUsage, strings.TrimSpace("devices "+verb), devicesUsage)
	case len(o.args) > n:
		return fmt.Errorf("%w: %q is one word too many\n\n%s", errUsage, o.args[n], devicesUsage)
	case verb == "test" && len(o.args) == 0:
		return fmt.Errorf("%w: name the device\n\n%s", errUsage, devicesUsage)
	case o.config == "" && verb != "list" && verb != "learn":
		return fmt.Errorf("%w: name the configuration with --config FILE\n\n%s", errUsage, devicesUsage)
	}
	var c config.Config
	if o.config != "" {
		if c, err = loadConfig(o.config); err != nil {
			return err
		}
	}
	switch verb {
	case "list":
		return listDevices(c, o, out)
	case "watch":
		return watchDevices(ctx, c, o, out)
	case "test":
		return testDevice(ctx, c, o, out)
	}
	if o.sheet != "" {
		return writeSheet(c, o, out)
	}
	w := wizard{out: out, patience: time.Minute, quiet: 400 * time.Millisecond, quick: o.quick}
	return w.run(ctx, c, o)
}

func parseDevices(args []string) (deviceOptions, error) {
	var o deviceOptions
	f := flag.NewFlagSet("devices", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	for name, v := range map[string]*string{"config": &o.config, "sheet": &o.sheet, "device": &o.device, "model": &o.model, "baud": &o.baud} {
		f.StringVar(v, name, "", name)
	}
	for name, v := range map[string]*bool{"json": &o.json, "show": &o.show, "quick": &o.quick} {
		f.BoolVar(v, name, false, name)
	}
	for rest := args; ; {
		switch err := f.Parse(rest); {
		case errors.Is(err, flag.ErrHelp):
			return o, fmt.Errorf("%w:\n\n%s", errUsage, devicesUsage)
		case err != nil:
			return o, fmt.Errorf("%w: %s\n\n%s", errUsage, err, devicesUsage)
		}
		if f.NArg() == 0 {
			return o, nil
		}
		o.args = append(o.args, f.Arg(0))
		rest = f.Args()[1:]
	}
}
