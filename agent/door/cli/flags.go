package cli

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"

	"payagent/agent/seal"
	"payagent/platforms"
)

// maxInput bounds what is read from a file or stdin: the door takes no more.
const maxInput = 64 << 10

// flags are the flags of all verbs; what a verb does not know is refused.
type flags struct {
	verb                           string
	help, json, gbk                bool
	config, address, tokenFile, ca string
	wait                           time.Duration
	key                            string
	bill, order, trade             string
	request                        string
	authCode                       string
	failed                         bool

	set map[string]bool
	own *flag.FlagSet
}

// texts are the flags that become a member of the body as they are.
// "operator.id" is member id of operator.
func texts(verb string) map[string]string {
	switch verb {
	case "pay":
		return map[string]string{"till": "till", "mode": "mode", "order-type": "order_type", "channel": "channel", "out-trade-no": "out_trade_no",
			"subject": "subject", "memo": "memo", "expires": "expires", "when-offline": "when_offline", "valid-for": "valid_for",
			"operator": "operator.id", "operator-name": "operator.name", "patient-name": "patient.name", "card-no": "patient.card_no",
			"card-type": "patient.card_type", "admission-no": "patient.admission_no", "phone": "patient.phone"}
	case "cancel":
		return map[string]string{"operator": "operator.id", "operator-name": "operator.name", "reason": "reason"}
	case "refund":
		return map[string]string{"operator": "operator.id", "operator-name": "operator.name", "reason": "reason", "refund-no": "refund_no"}
	case "book":
		return map[string]string{"operator": "operator.id", "operator-name": "operator.name", "reason": "reason", "refund-no": "refund_no",
			"flow-id": "his_flow_id", "cost-type": "cost_type", "medical-card": "medical_card", "at": "at"}
	}
	return nil
}

// Flags lists the flags that a verb takes, without dashes.
func Flags(verb string) []string {
	var names []string
	f, _ := newFlags(verb)
	f.own.VisitAll(func(x *flag.Flag) { names = append(names, x.Name) })
	return names
}

func newFlags(verb string) (*flags, *float64) {
	f := &flags{verb: verb, set: map[string]bool{}, own: flag.NewFlagSet(verb, flag.ContinueOnError)}
	f.own.SetOutput(io.Discard)
	f.own.BoolVar(&f.json, "json", false, "")
	f.own.BoolVar(&f.gbk, "gbk", false, "")
	f.own.StringVar(&f.config, "config", "", "")
	f.own.StringVar(&f.address, "address", "", "")
	f.own.StringVar(&f.tokenFile, "token-file", "", "")
	f.own.StringVar(&f.ca, "ca", "", "")
	wait := map[string]float64{"pay": 120, "cancel": 60, "refund": 60}[verb]
	f.own.Float64Var(&wait, "wait", wait, "")
	f.own.StringVar(&f.bill, "bill", "", "")
	if verb != "query" {
		f.own.StringVar(&f.request, "request", "", "")
	}
	if verb == "pay" || verb == "refund" {
		f.own.StringVar(&f.key, "key", "", "")
		f.own.String("amount", "", "")
		f.own.String("amount-fen", "", "")
	}
	if verb == "pay" {
		f.own.StringVar(&f.authCode, "auth-code", "", "")
		f.own.Bool("aggregated", false, "")
	} else {
		f.own.StringVar(&f.order, "order", "", "")
		f.own.StringVar(&f.trade, "trade", "", "")
	}
	if verb == "book" {
		f.own.BoolVar(&f.failed, "failed", false, "")
	}
	for name := range texts(verb) {
		f.own.String(name, "", "")
	}
	return f, &wait
}

func parse(verb string, args []string) (*flags, error) {
	f, wait := newFlags(verb)
	// --json and --gbk say how a mistake is told, so they count wherever the
	// mistake stands.
	for _, a := range args {
		name := strings.TrimLeft(a, "-")
		f.json, f.gbk = f.json || name == "json" && name != a, f.gbk || name == "gbk" && name != a
	}
	wantJSON, wantGBK := f.json, f.gbk
	err := f.own.Parse(args)
	f.json, f.gbk = wantJSON, wantGBK
	switch {
	case errors.Is(err, flag.ErrHelp):
		f.help = true
		return f, nil
	case err != nil:
		return f, fmt.Errorf("%w: %s", errUsage, plain(err, args))
	case f.own.NArg() > 0:
		return f, fmt.Errorf("%w: only flags are taken, such as --bill B; write their values with the flag", errUsage)
	case !(*wait >= 0 && *wait <= 24*60*60):
		return f, fmt.Errorf("%w: --wait is a number of seconds, 0 to 86400", errUsage)
	}
	f.wait = time.Duration(math.Round(*wait*1000)) * time.Millisecond
	f.own.Visit(func(x *flag.Flag) { f.set[x.Name] = true })
	return f, f.check()
}

// plain is what the flag package found, without any value: values may be
// payment codes or names of patients.
func plain(err error, args []string) string {
	text := err.Error()
	for _, a := range args {
		if _, value, ok := strings.Cut(a, "="); ok && value != "" {
			text = strings.ReplaceAll(text, value, "…")
		}
		if !strings.HasPrefix(a, "-") && a != "" {
			text = strings.ReplaceAll(text, a, "…")
		}
	}
	return text
}

func (f *flags) check() error {
	named := 0
	for _, x := range []string{f.bill, f.order, f.trade} {
		if x != "" {
			named++
		}
	}
	switch {
	case f.verb != "pay" && named != 1:
		return fmt.Errorf("%w: name the payment by exactly one of --bill, --order and --trade", errUsage)
	case f.verb == "pay" && f.request == "" && f.bill == "":
		return fmt.Errorf("%w: name the bill with --bill, or hand over the whole request with --request -", errUsage)
	case f.config == "" && f.tokenFile == "":
		return fmt.Errorf("%w: say where the agent is: --config FILE on its own machine, else --address and --token-file", errUsage)
	case f.config != "" && (f.tokenFile != "" || f.address != ""):
		return fmt.Errorf("%w: --config says it all; leave out --address and --token-file, or --config", errUsage)
	case f.authCode != "" && f.authCode != "-" && !strings.HasPrefix(f.authCode, "env:"):
		return fmt.Errorf("%w: a payment code is money and every user of this machine can read a command line: write --auth-code - and the code on stdin, or --auth-code env:NAME", errUsage)
	case f.request != "":
		for name := range f.set {
			switch name {
			case "json", "gbk", "config", "address", "token-file", "ca", "wait", "key", "request", "order", "trade":
			case "bill":
				if f.verb == "pay" {
					return fmt.Errorf("%w: --request holds the whole body; --bill belongs into it", errUsage)
				}
			default:
				return fmt.Errorf("%w: --request holds the whole body; --%s belongs into it", errUsage, name)
			}
		}
	case f.verb == "book" && f.failed == f.set["flow-id"]:
		return fmt.Errorf("%w: either --flow-id, the number under which HIS booked, or --failed with --reason", errUsage)
	}
	// A second refund of the same money must be recognisable as a repetition:
	// a killed program that starts again knows no key that was drawn here.
	if f.verb == "refund" && f.key == "" && (f.request != "" || !f.set["refund-no"]) {
		return fmt.Errorf("%w: a refund needs --key, or --refund-no, so that a repetition is known as one", errUsage)
	}
	return nil
}

// body is what is posted.
func (f *flags) body(s Streams) ([]byte, error) {
	if f.verb == "query" {
		return nil, nil
	}
	if f.verb == "pay" && f.key == "" {
		f.key = "cli-" + rand.Text()
	}
	if f.verb == "refund" && f.key == "" {
		sum := sha256.Sum256([]byte(f.own.Lookup("refund-no").Value.String()))
		f.key = "cli-refund-" + hex.EncodeToString(sum[:16])
	}
	if f.request != "" {
		return f.whole(s)
	}
	m := map[string]any{}
	for name, member := range texts(f.verb) {
		if !f.set[name] {
			continue
		}
		value := f.own.Lookup(name).Value.String()
		outer, inner, nested := strings.Cut(member, ".")
		if !nested {
			m[outer] = value
			continue
		}
		o, ok := m[outer].(map[string]string)
		if !ok {
			o = map[string]string{}
			m[outer] = o
		}
		o[inner] = value
	}
	switch f.verb {
	case "pay":
		m["bill"] = f.bill
		if !f.set["mode"] {
			m["mode"] = "charge"
		}
		if f.own.Lookup("aggregated").Value.String() == "true" {
			m["aggregated"] = true
		}
		code, err := f.code(s)
		if err != nil {
			return nil, err
		}
		if code != "" {
			m["auth_code"] = code
		}
	case "book":
		m["result"] = "booked"
		if f.failed {
			m["result"] = "failed"
		}
	}
	if f.verb == "pay" || f.verb == "refund" {
		sum, err := f.amount()
		if err != nil {
			return nil, err
		}
		m["amount_fen"] = sum
	}
	return json.Marshal(m)
}

// whole reads the body of the API; the door checks it.
func (f *flags) whole(s Streams) ([]byte, error) {
	in := s.In
	if f.request != "-" {
		file, err := os.Open(f.request)
		if err != nil {
			return nil, fmt.Errorf("%w: cannot read --request: %w", errUsage, err)
		}
		defer func() { _ = file.Close() }()
		in = file
	}
	data, err := io.ReadAll(io.LimitReader(in, maxInput+1))
	if err != nil || len(data) > maxInput {
		return nil, fmt.Errorf("%w: --request cannot be read, or is longer than %d bytes", errUsage, maxInput)
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) // editors put it there
	if f.gbk {
		data, err = simplifiedchinese.GB18030.NewDecoder().Bytes(data)
	}
	if err != nil || !json.Valid(data) {
		return nil, fmt.Errorf("%w: --request holds no JSON in the encoding that was named (UTF-8, or with --gbk GBK)", errUsage)
	}
	return data, nil
}

// code reads the payment code from where it was put.
func (f *flags) code(s Streams) (string, error) {
	code := ""
	switch name, env := strings.CutPrefix(f.authCode, "env:"); {
	case f.authCode == "":
		return "", nil
	case env:
		code = s.Env(name)
	default:
		data, err := io.ReadAll(io.LimitReader(s.In, maxInput))
		if err != nil {
			return "", fmt.Errorf("%w: the payment code cannot be read from stdin", errUsage)
		}
		code, _, _ = strings.Cut(string(data), "\n")
	}
	if code = strings.TrimSpace(code); code == "" {
		return "", fmt.Errorf("%w: there is no payment code at %s", errUsage, f.authCode)
	}
	return code, nil
}

func (f *flags) amount() (platforms.Fen, error) {
	if f.set["amount"] == f.set["amount-fen"] {
		return 0, fmt.Errorf("%w: write either --amount in yuan, such as 12.34, or --amount-fen, such as 1234", errUsage)
	}
	sum, err := platforms.Fen(0), error(nil)
	if f.set["amount"] {
		sum, err = platforms.ParseYuan(f.own.Lookup("amount").Value.String())
	} else {
		sum, err = platforms.ParseFen(f.own.Lookup("amount-fen").Value.String())
	}
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errUsage, err)
	}
	return sum, nil
}

func (f *flags) client(find func(string) (Target, error)) (*client, error) {
	if f.config != "" {
		t, err := find(f.config)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errUsage, err)
		}
		return newClient(t, f.ca)
	}
	t := Target{Address: f.address, Token: func() (string, error) {
		secret, _, err := seal.ReadSecret(f.tokenFile)
		return secret.Reveal(), err
	}}
	if t.Address == "" {
		t.Address = "http://127.0.0.1:8780"
	}
	return newClient(t, f.ca)
}
