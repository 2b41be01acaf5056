package conform

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Command is a HIS that is driven by a command of the vendor's: it is started
// for each step, reads the step as JSON on stdin and writes its report as JSON
// on stdout. {step} and {case} in the arguments stand for the verb and the
// case. It is killed where the case kills HIS. Exit code 77 says that it cannot
// do this step.
type Command struct{ Args []string }

// cannot is the exit code of a command that does not do a step.
const cannot = 77

// Do starts the command.
func (c Command) Do(ctx context.Context, s Step) (Report, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return Report{}, err
	}
	args := make([]string, len(c.Args))
	for i, a := range c.Args {
		args[i] = strings.NewReplacer("{step}", string(s.Do), "{case}", s.Case).Replace(a)
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.WaitDelay = 5 * time.Second
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(text), &out, &errs
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == cannot {
		return Report{}, fmt.Errorf("%w: the program does not do %s", ErrSkip, s.Do)
	}
	if err != nil {
		return Report{}, fmt.Errorf("cannot run the program: %w %s", err, bytes.TrimSpace(errs.Bytes()))
	}
	var r Report
	d := json.NewDecoder(&out)
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return Report{}, fmt.Errorf("cannot read the program's report: %w", err)
	}
	return r, nil
}

// Person is a HIS driven by a person at the vendor's own screen, who is told
// what to do and asked what HIS says.
type Person struct {
	In  *bufio.Reader
	Out io.Writer
}

// Do tells a step and asks.
func (p Person) Do(ctx context.Context, s Step) (Report, error) {
	code := s.AuthCode
	if code == "" {
		code = "由窗口扫码器自动扫 the till's scanner reads it by itself"
	}
	if s.Do != Collect && s.Do != DoubleClick && s.Do != TwoWindows {
		code = "-"
	}
	if _, err := fmt.Fprintf(p.Out, "\n[%s %d] %s\n         %s\n  账单 bill %s  金额 amount %s 元  窗口 till %s  患者 patient %s\n  付款码 payment code: %s\n",
		s.Case, s.Number, s.Say.Zh, s.Say.En, s.Bill, s.AmountFen.Yuan(), s.Till, s.Patient.Name, code); err != nil {
		return Report{}, err
	}
	if s.RefundNo != "" {
		if _, err := fmt.Fprintf(p.Out, "  退费 refund %s 元\n", s.RefundFen.Yuan()); err != nil {
			return Report{}, err
		}
	}
	var r Report
	believes, err := p.ask(ctx, "HIS 认为 HIS believes: p 已支付 paid / u 未支付 unpaid / n 未知 not known / s 跳过 skip", "p", "u", "n", "s")
	if err != nil {
		return r, err
	}
	if believes == "s" {
		return r, fmt.Errorf("%w: the tester skipped it", ErrSkip)
	}
	r.Believes = map[string]string{"p": Paid, "u": Unpaid, "n": Unknown}[believes]
	cash, err := p.ask(ctx, "HIS 是否允许收了现金 was cash taken for this bill: y / n", "y", "n")
	if err != nil {
		return r, err
	}
	r.Cash = cash == "y"
	n, err := p.number(ctx, "HIS 账上该账单收费几笔 lines of income for the bill in HIS's books")
	if err != nil {
		return r, err
	}
	r.Bookings = int(n)
	fen, err := p.number(ctx, "HIS 账上该账单退费多少分 fen given back for the bill in HIS's books")
	r.RefundedFen = fenOf(fen)
	return r, err
}

func (p Person) ask(ctx context.Context, question string, answers ...string) (string, error) {
	for {
		if _, err := fmt.Fprintf(p.Out, "  %s ? ", question); err != nil {
			return "", err
		}
		line, err := p.In.ReadString('\n')
		if err != nil || ctx.Err() != nil {
			return "", errors.Join(err, ctx.Err())
		}
		for _, a := range answers {
			if strings.TrimSpace(line) == a {
				return a, nil
			}
		}
	}
}

func (p Person) number(ctx context.Context, question string) (int64, error) {
	for {
		if _, err := fmt.Fprintf(p.Out, "  %s ? ", question); err != nil {
			return 0, err
		}
		line, err := p.In.ReadString('\n')
		if err != nil || ctx.Err() != nil {
			return 0, errors.Join(err, ctx.Err())
		}
		if n, err := strconv.ParseInt(strings.TrimSpace(line), 10, 32); err == nil && n >= 0 {
			return n, nil
		}
	}
}
