package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
)

var errUsage = errors.New("wrong command line")

// exitCode ends the program with a code of its own, everything having been
// said already.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

const usage = `payfleet — the fleet of payment boxes over one message broker   机群管理

  payfleet ca       init|code|serve|sign|server|client|list|revoke   certificates: payfleet ca --help   证书
  payfleet broker   [--listen IP:PORT] [--data DIR] [--ca FILE --cert FILE --key FILE] [--crl FILE] [--roles NAME=operate|watch|hub|relay,…] [--root R]   内置消息服务器（试用、单服务器医院）
  payfleet ls       [--state S] [--version V] [--alarm CODE|any] [--text T] [--json]   all boxes, alarms first; exit code 3 if one needs a person   机器列表
  payfleet show     BOX [--json]                             one box with everything it says; BOX may be SITE/BOX   单机详情
  payfleet watch    [BOX] [--json]                           what happens, line by line   实时经过
  payfleet send     BOX VERB --sign-with FILE [--key-id ID] [--passphrase-file FILE] [--args JSON] [--expires 1h] [--wait=false] [--out FILE]   下发命令
                    [--sign-only FILE]                       write the signed command to a file instead
                    --add-signature FILE --sign-with FILE    a second person's signature, on another machine
                    --document FILE                          send what was signed elsewhere
  payfleet config   get|diff|sign|set|apply|rollback         configurations of boxes: payfleet config --help   配置
  payfleet update   manifest|sign|inspect|send               programs of boxes: payfleet update --help   升级
  payfleet rollout  ls|pause|resume|abort|run|forget [ID] [--by WHO] [--sign-with FILE]   roll-outs; run goes on with one here   分批发布
  payfleet console  [--listen IP:PORT] [--sign-with FILE] [--key-id ID] [--passphrase-file FILE] [--headlines] [--tls-cert FILE --tls-key FILE --token-file FILE]   控制台网页
  payfleet key      new|show                                 keys that sign: payfleet key --help   签名密钥
  payfleet relay    [check|key]                              calls platforms for tills without the Internet: payfleet relay --help   中继
  payfleet hub      [check|key|reconcile|quarantine]                    keeps every till's payments, answers for the hospital: payfleet hub --help   对账中心
  payfleet version                                                                         版本

  payfleet COMMAND --help   examples and every flag of a command   例子与全部参数

  Every command that speaks to the broker takes:   连接参数
    --broker mqtts://host:8883  --ca FILE  --cert FILE  --key FILE  [--server-name NAME]  [--accept-plain]
    [--root payagent]  [--site SITE]  [--lang zh|en]  [--config FILE]
  or finds them in --config FILE, else in payfleet/payfleet.yaml below the user's configuration folder.
`

// console is where a command reads and writes, and its environment.
type console struct {
	in       io.Reader
	out, err io.Writer
	env      func(string) string
}

func command(ctx context.Context, args []string, c console) error {
	name := ""
	if len(args) > 0 {
		name, args = args[0], args[1:]
	}
	switch name {
	case "version", "--version":
		_, err := fmt.Fprintln(c.out, "payfleet "+version)
		return err
	case "", "help", "--help", "-h":
		if len(args) > 0 && examples()[args[0]] != "" { // payfleet help NAME
			return help(args[0], "", c.out)
		}
		_, err := fmt.Fprint(c.out, usage)
		return err
	}
	if len(args) > 0 && args[0] == "help" && examples()[name] != "" {
		return help(name, "", c.out)
	}
	return orHelp(name, dispatch(ctx, name, args, c), c.out)
}

func dispatch(ctx context.Context, name string, args []string, c console) error {
	switch name {
	case "ca":
		return caCommand(ctx, args, c)
	case "broker":
		return brokerCommand(ctx, args, c)
	case "config":
		return configCommand(ctx, args, c)
	case "console":
		return consoleCommand(ctx, args, c)
	case "rollout":
		return rolloutCommand(ctx, args, c)
	case "update":
		return updateCommand(ctx, args, c)
	case "ls":
		return lsCommand(ctx, args, c)
	case "show":
		return showCommand(ctx, args, c)
	case "watch":
		return watchCommand(ctx, args, c)
	case "send":
		return sendCommand(ctx, args, c)
	case "key":
		return keyCommand(args, c)
	case "relay":
		return relayCommand(ctx, args, c)
	case "hub":
		return hubCommand(ctx, args, c)
	}
	return fmt.Errorf("%w: there is no command %q\n\n%s", errUsage, name, usage)
}

// parse reads flags, which may stand before and behind the other words; it
// gives those words. Asking for help gives the flags of the command.
func parse(f *flag.FlagSet, args []string) (words []string, err error) {
	var text bytes.Buffer
	f.SetOutput(&text)
	for {
		if err := f.Parse(args); errors.Is(err, flag.ErrHelp) {
			return nil, helpAsked{strings.TrimRight(text.String(), "\n")}
		} else if err != nil {
			return nil, fmt.Errorf("%w: %s", errUsage, strings.TrimSpace(text.String()))
		}
		if f.NArg() == 0 {
			return words, nil
		}
		words, args = append(words, f.Arg(0)), f.Args()[1:]
	}
}
