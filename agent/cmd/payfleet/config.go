package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/fleet/rollout"
	"payagent/agent/fleet/send"
	"payagent/agent/fleet/terms"
	"payagent/agent/fleet/view"
	"payagent/agent/seal"
	"payagent/uplink"
)

const configUsage = `payfleet config — configurations of boxes   机器配置

  payfleet config get      BOX [--out DOC]                  what the fleet wants of it (YAML, or DOC as it was signed), and what it reports   期望与上报
  payfleet config diff     BOX FILE                         lines that FILE would change of that   比较
  payfleet config sign     FILE --out DOC --sign-with KEY BOX…  make a signed document for boxes of one site; KEY of rôle config   签名
                           --version N (seconds since 1970 by default)  --valid 720h  --note TEXT
  payfleet send            --add-signature DOC --sign-with KEY  the second person's signature, where money would go elsewhere   第二人签名
  payfleet config set      DOC                              stage it at its boxes; nothing takes effect; says which parts each box keeps as its own   暂存，不生效；列出保留本机的部分
  payfleet config apply    DOC --sign-with KEY [--stages 1,10,100] [--first BOX,…] [--soak 30m] [--fail 2] [--over-local] [BOX…]   分批生效
  payfleet config rollback BOX --sign-with KEY              back to the configuration before   回退
`

// configFlags are those of payfleet config.
type configFlags struct {
	*looking
	keys      *signing
	roll      *rolling
	out, note string
	version   uint64
	valid     time.Duration
	overLocal bool
	words     []string
}

func configCommand(ctx context.Context, args []string, c console) error {
	verb := ""
	if len(args) > 0 {
		verb, args = args[0], args[1:]
	}
	if verb == "" || verb == "-h" || verb == "--help" {
		return help("config", "", c.out)
	}
	f := flag.NewFlagSet("config", flag.ContinueOnError)
	o := configFlags{looking: lookingFlags(f), keys: signingFlags(f), roll: rollingFlags(f)}
	f.StringVar(&o.out, "out", "", "`file` to write")
	f.Uint64Var(&o.version, "version", 0, "number of the configuration; it grows")
	f.DurationVar(&o.valid, "valid", 30*24*time.Hour, "how long boxes may take the document")
	f.BoolVar(&o.overLocal, "over-local", false, "also where IT changed the file on the box")
	var err error
	if o.words, err = parse(f, args); err != nil {
		return err
	}
	o.note = o.roll.note
	do, n := map[string]func(context.Context, configFlags, *session) error{"get": configGet, "diff": configDiff, "sign": configSign, "set": configSet, "apply": configApply, "rollback": configRollback}[verb], len(o.words)
	if do == nil || n < 1 || verb == "diff" && n != 2 || verb == "sign" && (n < 2 || o.out == "") || n > 1 && (verb == "get" || verb == "set" || verb == "rollback") {
		return fmt.Errorf("%w\n\n%s", errUsage, configUsage)
	}
	s, err := o.open(ctx, c, "config")
	if err != nil {
		return err
	}
	defer s.close()
	return do(ctx, o, s)
}

// wanted is the document at desired/config of a box, and what it says; empty
// for none.
func (s *session) wanted(ctx context.Context, k view.Key, quiet time.Duration) ([]byte, fleet.Desired, error) {
	data, err := s.retained(ctx, quiet, fleet.Place{Root: s.Root, Site: k.Site, Box: k.Box}.Topic(fleet.LevelDesired, "config"))
	if err != nil || len(data) == 0 {
		return nil, fleet.Desired{}, err
	}
	d, err := fleet.PeekDesired(data)
	return data, d, err
}

func configGet(ctx context.Context, o configFlags, s *session) error {
	k, err := s.find(o.words[0])
	if err != nil {
		return err
	}
	data, d, err := s.wanted(ctx, k, o.settle)
	if err != nil {
		return err
	}
	if r, ok := s.peekReported(k); ok {
		if _, err := fmt.Fprintf(s.err, s.pick("%s 正在用配置 %s（%s），状态 %s\n", "%s uses configuration %s (%s), state %s\n"), k.Box,
			clean(terms.Value(s.Lang, "version", r.Version)), clean(r.SHA256), clean(terms.Value(s.Lang, "state", r.State))); err != nil {
			return err
		}
		if len(r.Keeps) > 0 {
			if _, err := fmt.Fprintf(s.err, s.pick("  保留本机的 %s\n", "  keeps its own %s\n"), clean(strings.Join(r.Keeps, ", "))); err != nil {
				return err
			}
		}
		for _, p := range r.Problems {
			if _, err := fmt.Fprintf(s.err, "  %d %s: %s\n", p.Line, clean(p.Key), clean(p.Text)); err != nil {
				return err
			}
		}
	}
	if d.Version == 0 {
		return errors.New(s.pick("没有给这台机器下发过配置", "the fleet has not given this box a configuration"))
	}
	if o.out != "" {
		if time.Now().After(d.Expires) {
			return fmt.Errorf(s.pick("配置 %d 已于 %s 过期，机器不再接受：用 payfleet config sign 重新签名", "configuration %d ended on %s and boxes take it no more: sign it anew with payfleet config sign"), d.Version, d.Expires.Format(time.DateOnly))
		}
		return seal.WriteFile(o.out, data)
	}
	_, err = fmt.Fprintf(s.out, "# configuration %d of %s, for %s\n%s", d.Version, d.Issued.Format(time.RFC3339), strings.Join(d.Boxes, ", "), d.Text)
	return err
}

func configDiff(ctx context.Context, o configFlags, s *session) error {
	k, err := s.find(o.words[0])
	if err != nil {
		return err
	}
	text, err := os.ReadFile(o.words[1])
	if err != nil {
		return fmt.Errorf("cannot read the new configuration: %w", err)
	}
	_, d, err := s.wanted(ctx, k, o.settle)
	if err != nil {
		return err
	}
	lines := diff(strings.Split(strings.TrimSuffix(d.Text, "\n"), "\n"), strings.Split(strings.TrimSuffix(string(text), "\n"), "\n"))
	for _, l := range lines {
		if _, err := fmt.Fprintln(s.out, l); err != nil {
			return err
		}
	}
	if len(lines) > 0 {
		return exitCode(1)
	}
	return nil
}

// diff gives the lines that go (-) and come (+), by the longest common
// subsequence.
func diff(a, b []string) (out []string) {
	if len(a) > 5000 || len(b) > 5000 {
		return []string{"… too long to compare"}
	}
	common := make([][]int, len(a)+1)
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	for i, j := 0, 0; i < len(a) || j < len(b); {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && common[i+1][j] >= common[i][j+1]:
			out = append(out, fmt.Sprintf("-%d\t%s", i+1, a[i]))
			i++
		default:
			out = append(out, fmt.Sprintf("+%d\t%s", j+1, b[j]))
			j++
		}
	}
	return out
}

func configSign(_ context.Context, o configFlags, s *session) error {
	text, err := os.ReadFile(o.words[0])
	if err != nil {
		return fmt.Errorf("cannot read the configuration: %w", err)
	}
	site, boxes, err := s.chosen(o.words[1:], view.Filter{})
	if err != nil {
		return err
	}
	private, err := o.keys.keys(s.console)
	if err != nil {
		return err
	}
	now := time.Now().UTC().Truncate(time.Second)
	if o.version == 0 {
		o.version = uint64(now.Unix())
	}
	doc, err := fleet.SignConfig(fleet.NewDesired(o.version, site, boxes, string(text), now, now.Add(o.valid), o.note), private...)
	if err != nil {
		return err
	}
	return seal.WriteFile(o.out, doc)
}

func readDocument(name string) ([]byte, fleet.Desired, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fleet.Desired{}, fmt.Errorf("cannot read the signed configuration: %w", err)
	}
	d, err := fleet.PeekDesired(data)
	return data, d, err
}

func configSet(ctx context.Context, o configFlags, s *session) error {
	data, d, err := readDocument(o.words[0])
	if err != nil {
		return err
	}
	for _, box := range d.Boxes {
		p := fleet.Place{Root: s.Root, Site: d.Site, Box: box}
		if err := s.bus.Publish(ctx, uplink.Message{Topic: p.Topic(fleet.LevelDesired, "config"), Payload: data, Retain: true}); err != nil {
			return fmt.Errorf("cannot bring the configuration to the broker: %w", err)
		}
	}
	// What boxes think of it, those that are there.
	if err := s.watch.Settled(ctx, 3*time.Second); err != nil {
		return err
	}
	var rows [][]string
	for _, box := range d.Boxes {
		r, ok := s.peekReported(view.Key{Site: d.Site, Box: box})
		state := s.pick("尚未上报", "not reported yet")
		if ok && r.Document == d.Version {
			state = terms.Value(s.Lang, "state", r.State)
		}
		row := []string{box, clean(state)}
		if ok && r.Document == d.Version && len(r.Keeps) > 0 {
			row = append(row, clean(fmt.Sprintf(s.pick("保留本机的 %s", "keeps its own %s"), strings.Join(r.Keeps, ", "))))
		}
		for _, p := range r.Problems {
			row = append(row, clean(fmt.Sprintf("%d %s: %s", p.Line, p.Key, p.Text)))
		}
		rows = append(rows, row)
	}
	if err := table(s.out, rows); err != nil {
		return err
	}
	_, err = fmt.Fprintln(s.out, s.pick(keptZH, keptEN))
	return err
}

// What a document never changes, whatever it says: see agent/desired.
const (
	keptZH = "不改动：各机器本机的 data_dir、fleet.site、fleet.box、fleet.cert_file、fleet.key_file（没有写 fleet.broker 时整个 fleet），以及机器上的密码、令牌、证书文件；其余以下发的为准，生效要 payfleet config apply"
	keptEN = "Kept on every box: its own data_dir, fleet.site, fleet.box, fleet.cert_file and fleet.key_file (all of fleet where the document names no broker), and the files with passwords, tokens and certificates. All else is as sent, once payfleet config apply puts it into effect."
)

func configApply(ctx context.Context, o configFlags, s *session) error {
	data, d, err := readDocument(o.words[0])
	if err != nil {
		return err
	}
	boxes := d.Boxes
	if len(o.words) > 1 {
		boxes = o.words[1:]
		for _, b := range boxes {
			if !slices.Contains(d.Boxes, b) {
				return fmt.Errorf("cannot apply configuration %d at %s: it is not for that box", d.Version, b)
			}
		}
	}
	args := struct {
		Version   uint64 `json:"version"`
		OverLocal bool   `json:"over_local,omitempty"`
	}{d.Version, o.overLocal}
	spec, err := o.roll.spec(d.Site, fleet.VerbConfigApply, args, boxes)
	if err != nil {
		return err
	}
	spec.Document = fleet.HashText(data)
	r, err := rollout.New(spec, time.Now())
	if err != nil {
		return err
	}
	return s.conduct(ctx, r, o.keys, data)
}

func configRollback(ctx context.Context, o configFlags, s *session) error {
	k, err := s.find(o.words[0])
	if err != nil {
		return err
	}
	private, err := o.keys.keys(s.console)
	if err != nil {
		return err
	}
	var n send.Counter
	cmd, err := send.New(k, fleet.VerbConfigRollback, nil, o.roll.expires, n.Next(time.Now()), time.Now())
	if err != nil {
		return err
	}
	doc, err := send.Sign(cmd, private...)
	if err != nil {
		return err
	}
	return s.deliver(ctx, doc, true, "")
}
