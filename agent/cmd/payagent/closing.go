package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"

	"payagent/agent/audit"
	"payagent/agent/config"
	"payagent/agent/door"
	"payagent/agent/finance"
	"payagent/agent/reconcile"
	"payagent/queue"
)

// exitFound ends a command that did its work and found something: a day that
// differs, an audit that was touched.
const exitFound = exitCode(3)

const closingUsage = `payagent — closing a day  日结

  payagent report    --config FILE [--day 2026-11-22] [--operator N] [--till T] [--format csv|gbk|json] [--out FILE]
                     what a day came to, per wallet, business, till and operator; today without --day   收入报表
  payagent reconcile --config FILE --day 2026-11-22 [--statement FILE] [--his FILE] [--format csv|gbk|json] [--out FILE]
                     journal, platform and HIS compared; exit code 3 if something differs   三方对账
  payagent signals   --config FILE [--day 2026-11-22] [--format csv|gbk|json] [--out FILE]
                     what finance should look at (finance.signals), of a day; today without --day   请财务核对的迹象
  payagent audit     verify --config FILE [--anchor HASH]   exit code 3 if something was touched   校验审计记录
  payagent audit     show   --config FILE --day 2026-11-22  审计记录
`

type closingOptions struct {
	_                                                                [0]func() // never compared: no code is made for it
	config, day, operator, till, format, out, statement, his, anchor string
}

func closingFlags(args []string) (closingOptions, error) {
	var o closingOptions
	f := flag.NewFlagSet("", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	for name, to := range map[string]*string{"config": &o.config, "day": &o.day, "operator": &o.operator, "till": &o.till, "format": &o.format,
		"out": &o.out, "statement": &o.statement, "his": &o.his, "anchor": &o.anchor} {
		f.StringVar(to, name, "", "")
	}
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return o, flag.ErrHelp
	case err != nil:
		return o, fmt.Errorf("%w: %s\n\n%s", errUsage, err, closingUsage)
	case f.NArg() > 0:
		return o, fmt.Errorf("%w: %q is too much\n\n%s", errUsage, f.Arg(0), closingUsage)
	case o.config == "":
		return o, fmt.Errorf("%w: name the configuration with --config FILE\n\n%s", errUsage, closingUsage)
	}
	return o, nil
}

// closingCommand runs report, reconcile, signals and audit.
func closingCommand(ctx context.Context, args []string, out, told io.Writer) error {
	verb, rest := args[0], args[1:]
	if verb == "audit" {
		if len(rest) == 0 {
			return fmt.Errorf("%w: say audit verify or audit show\n\n%s", errUsage, closingUsage)
		}
		verb, rest = "audit "+rest[0], rest[1:]
	}
	o, err := closingFlags(rest)
	if errors.Is(err, flag.ErrHelp) || strings.HasSuffix(verb, " --help") {
		_, err = io.WriteString(out, closingUsage)
		return err
	}
	if err != nil {
		return err
	}
	c, err := loadConfig(o.config)
	if err != nil {
		return err
	}
	cl, err := newClient(c)
	if err != nil {
		return err
	}
	defer func() { _ = cl.close() }()
	switch verb {
	case "report":
		q := url.Values{"format": {orCSV(o.format)}}
		for name, v := range map[string]string{"day": o.day, "operator": o.operator, "till": o.till} {
			if v != "" {
				q.Set(name, v)
			}
		}
		return into(o.out, out, func(w io.Writer) error {
			_, err := cl.stream(ctx, c, http.MethodGet, "/v1/report?"+q.Encode(), nil, w)
			return err
		})
	case "signals":
		q := url.Values{"format": {orCSV(o.format)}}
		if o.day != "" {
			q.Set("day", o.day)
		}
		return into(o.out, out, func(w io.Writer) error {
			_, err := cl.stream(ctx, c, http.MethodGet, "/v1/signals?"+q.Encode(), nil, w)
			return err
		})
	case "reconcile":
		return reconcileDay(ctx, c, cl, o, out, told)
	case "audit show":
		return into(o.out, out, func(w io.Writer) error {
			_, err := cl.stream(ctx, c, http.MethodGet, "/v1/audit?"+url.Values{"day": {o.day}}.Encode(), nil, w)
			return err
		})
	case "audit verify":
		return verifyAudit(ctx, c, cl, o, out)
	}
	return fmt.Errorf("%w: there is no command %q\n\n%s", errUsage, verb, closingUsage)
}

func orCSV(format string) string {
	if format == "" {
		return string(finance.CSV)
	}
	return format
}

// into writes to a file, which appears whole or not at all, or to out.
func into(path string, out io.Writer, write func(io.Writer) error) error {
	if path == "" {
		return write(out)
	}
	f, err := os.OpenFile(path+".part", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("cannot write the file; check the folder: %w", err)
	}
	err = write(f)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(path+".part", path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(path+".part"))
	}
	return nil
}

func reconcileDay(ctx context.Context, c config.Config, cl *client, o closingOptions, out, told io.Writer) error {
	if o.day == "" {
		return fmt.Errorf("%w: name the day with --day 2026-11-22\n\n%s", errUsage, closingUsage)
	}
	body := map[string]string{"day": o.day, "format": orCSV(o.format)}
	for name, path := range map[string]string{"statement": o.statement, "his": o.his} {
		if path == "" {
			continue
		}
		text, err := statement(path)
		if err != nil {
			return err
		}
		body[name] = text
	}
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	var totals reconcile.Totals
	err = into(o.out, out, func(w io.Writer) error {
		head, err := cl.stream(ctx, c, http.MethodPost, "/v1/reconciliations", data, w)
		if err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(head), &totals); err != nil {
			return errors.New("cannot finish the comparison: it was broken off; see the agent's log and try again")
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, class := range reconcile.Classes() {
		s := totals.Classes[class]
		text := finance.ClassText(class)
		if _, err := fmt.Fprintf(told, "%-16s %6d  %12s 元  %s %s\n", class, s.Count, s.Diff.Yuan(), text.ZH, text.EN); err != nil {
			return err
		}
	}
	if totals.Wrong() {
		return exitFound
	}
	return nil
}

// statement reads a CSV file as UTF-8.
func statement(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("cannot read the statement: %w", err)
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(data) {
		if data, err = simplifiedchinese.GB18030.NewDecoder().Bytes(data); err != nil || bytes.ContainsRune(data, utf8.RuneError) {
			return "", fmt.Errorf("cannot read %s: it is neither UTF-8 nor GBK", path)
		}
	}
	return string(data), nil
}

func verifyAudit(ctx context.Context, c config.Config, cl *client, o closingOptions, out io.Writer) error {
	q := url.Values{}
	if o.anchor != "" {
		q.Set("anchor", o.anchor)
	}
	var answer bytes.Buffer
	if _, err := cl.stream(ctx, c, http.MethodGet, "/v1/audit/verify?"+q.Encode(), nil, &answer); err != nil {
		return err
	}
	if o.format == string(finance.JSON) {
		if _, err := out.Write(answer.Bytes()); err != nil {
			return err
		}
	}
	var r audit.Result
	if err := json.Unmarshal(answer.Bytes(), &r); err != nil {
		return err
	}
	if o.format != string(finance.JSON) {
		for _, f := range r.Findings {
			if _, err := fmt.Fprintf(out, "! %-20s %s:%d  %s\n", f.Code, f.File, f.Line, f.Detail); err != nil {
				return err
			}
		}
		_, err := fmt.Fprintf(out, "文件 files %d，行 lines %d（%s … %s），与订单日志一致 fit the log %d，待写 pending %d，问题 findings %d\n末行 head %d %s\n",
			r.Files, r.Lines, r.First, r.Last, r.Compared, r.Pending, len(r.Findings)+r.More, r.N, r.Head)
		if err != nil {
			return err
		}
	}
	if !r.Good() {
		return exitFound
	}
	return nil
}

// stream sends one request, to the running agent or else to a door over the
// store, and copies the answer as it comes. totals is the trailer of a
// comparison, empty where there is none.
func (cl *client) stream(ctx context.Context, c config.Config, method, path string, body []byte, w io.Writer) (totals string, err error) {
	ctx, stop := context.WithTimeout(ctx, 2*time.Hour)
	defer stop()
	for again := true; ; again = false {
		r, err := http.NewRequestWithContext(ctx, method, cl.base+path, bytes.NewReader(body))
		if err != nil {
			return "", err
		}
		r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(cl.token.Reveal()))
		if method == http.MethodPost {
			r.Header.Set("Content-Type", "application/json")
		}
		resp, err := cl.rt.RoundTrip(r)
		if refused(err) && again {
			if err := cl.offline(c); err != nil {
				return "", err
			}
			continue
		}
		if err != nil {
			return "", fmt.Errorf("cannot ask the agent: %w", err)
		}
		defer resp.Body.Close()
		if resp.StatusCode >= 300 {
			data, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
			if err != nil {
				return "", err
			}
			return "", refusal(resp.Status, data)
		}
		if _, err := io.Copy(w, resp.Body); err != nil {
			return "", fmt.Errorf("cannot read the answer to its end; try again: %w", err)
		}
		if t := resp.Trailer.Get(door.TotalsTrailer); t != "" {
			return t, nil
		}
		return resp.Header.Get(door.TotalsTrailer), nil
	}
}

// record shows the audit of a data folder.
type record struct {
	log queue.Log
	o   audit.Options
}

// Verify implements door.Audit.
func (r record) Verify(ctx context.Context, anchor string) (audit.Result, error) {
	return audit.Verify(ctx, r.log, r.o, anchor)
}

// Show implements door.Audit.
func (r record) Show(day string, w io.Writer) error { return audit.Show(r.o.Dir, day, w) }
