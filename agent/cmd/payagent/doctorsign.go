package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"payagent/agent/config"
	"payagent/platforms/lc"
)

// maxBiz bounds a biz_content that is signed for trying out.
const maxBiz = 64 << 10

// signCommand runs payagent doctor sign.
func signCommand(args []string, in io.Reader, out io.Writer) error {
	var file, platform, method, biz string
	f := flag.NewFlagSet("doctor sign", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&file, "config", "", "configuration file")
	f.StringVar(&platform, "platform", "", "platform")
	f.StringVar(&method, "method", "lc.trade.query", "method")
	f.StringVar(&biz, "biz", "", "file with biz_content")
	if err := f.Parse(args); err != nil || f.NArg() > 0 || file == "" || platform == "" {
		return fmt.Errorf("%w: name --config and --platform\n\n%s", errUsage, usage)
	}
	c, err := loadConfig(file)
	if err != nil {
		return err
	}
	content, err := readBiz(biz, in)
	if err != nil {
		return err
	}
	return doctorSign(c, platform, method, content, out)
}

// readBiz reads biz_content from a file or, for -, from the standard input. A
// line end behind it is the editor's and not signed.
func readBiz(file string, in io.Reader) (string, error) {
	if file == "" {
		return "", nil
	}
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return "", fmt.Errorf("cannot read biz_content; check --biz: %w", err)
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, maxBiz+1))
	if err == nil && len(data) > maxBiz {
		err = fmt.Errorf("it has more than %d bytes", maxBiz)
	}
	if err != nil {
		return "", fmt.Errorf("cannot read biz_content; check --biz: %w", err)
	}
	return string(bytes.TrimRight(data, "\r\n")), nil
}

// doctorSign signs a request as the agent would, sends nothing, and prints what
// was signed, so that it can be compared with what the platform signed.
func doctorSign(c config.Config, platform, method, biz string, out io.Writer) (err error) {
	p, ok := c.PlatformNamed(platform)
	if !ok {
		return fmt.Errorf("cannot sign: the configuration has no platform %q", platform)
	}
	way, _, err := openWays(p, nil, unconnected(c), nil, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, way.Close()) }()
	opened, err := openPlatform(c, p, way)
	if err != nil {
		return err
	}
	signer, ok := opened.(interface {
		Sign(method, biz string) (lc.Signed, error)
	})
	if !ok {
		return fmt.Errorf("cannot sign: platform %s (driver %s) has no signatures", p.Name, p.Driver)
	}
	s, err := signer.Sign(method, biz)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, `签名原文 what was signed (%d 字节 bytes, UTF-8; * 处为隐去的个人信息 stands for what names or charges a person):

%s

摘要 digest     %s (%s, 含隐去部分 over the text with what is hidden here)
密钥 key        RSA %d 位 bits
签名 sign       %s
未发送任何请求 nothing was sent
`, s.Bytes, s.Text, s.Digest, s.Hash, s.KeyBits, s.Signature)
	return err
}
