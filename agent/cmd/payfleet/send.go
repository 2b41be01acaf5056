package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/fleet/keyring"
	"payagent/agent/fleet/send"
	"payagent/agent/seal"
	"payagent/agent/signed"
)

// signing are the flags of commands that sign.
type signing struct {
	files, ids, passphrase string
}

func signingFlags(f *flag.FlagSet) *signing {
	s := &signing{}
	f.StringVar(&s.files, "sign-with", "", "`file` of the key that signs, as payfleet key new made it; several separated by commas")
	f.StringVar(&s.ids, "key-id", "", "`names` of the keys to sign with, where a file has several; separated by commas")
	f.StringVar(&s.passphrase, "passphrase-file", "", "`file` (mode 0600) with the passphrase, where nobody sits at a keyboard")
	return s
}

func (s *signing) given() bool { return s.files != "" }

// keys opens the files and picks the keys.
func (s *signing) keys(c console) ([]signed.Private, error) {
	if s.files == "" {
		return nil, fmt.Errorf("%w: name the key that signs with --sign-with FILE", errUsage)
	}
	var all []signed.Private
	ids := strings.FieldsFunc(s.ids, func(r rune) bool { return r == ',' })
	for _, name := range strings.Split(s.files, ",") {
		list, err := keyring.Load(name, c.passphrase(s.passphrase, name, false))
		if err != nil {
			return nil, err
		}
		if len(list) > 1 && len(ids) == 0 {
			return nil, fmt.Errorf("%w: %s holds %d keys; say which with --key-id", errUsage, name, len(list))
		}
		for _, k := range list {
			if len(ids) == 0 || slices.Contains(ids, k.ID) {
				all = append(all, k)
			}
		}
	}
	if len(all) == 0 || len(ids) > len(all) {
		return nil, fmt.Errorf("%w: not every key of --key-id is in the files; payfleet key show lists them", errUsage)
	}
	return all, nil
}

func sendCommand(ctx context.Context, args []string, c console) error {
	f := flag.NewFlagSet("send", flag.ContinueOnError)
	l, keys := lookingFlags(f), signingFlags(f)
	arg := f.String("args", "", "arguments as `JSON`; payfleet show lists the verbs a box takes")
	valid := f.Duration("expires", time.Hour, "how long the command may wait for its moment")
	wait := f.Bool("wait", true, "show its states until it ends")
	only := f.String("sign-only", "", "write the signed command to this `file` and send nothing")
	add := f.String("add-signature", "", "add a signature to the command in this `file`")
	document := f.String("document", "", "send the signed command in this `file`")
	out := f.String("out", "", "`file` for what a diag or log.upload brings")
	words, err := parse(f, args)
	if err != nil {
		return err
	}
	if *add != "" || *document != "" {
		// Nothing of what is said beside the file would count.
		f.Visit(func(g *flag.Flag) {
			if g.Name == "args" || g.Name == "expires" || g.Name == "sign-only" || g.Name == "sign-with" && *document != "" {
				words = append(words, "--"+g.Name)
			}
		})
		if len(words) > 0 || *add != "" && *document != "" {
			return fmt.Errorf("%w: a signed command says itself which box and verb it is for; leave out %s", errUsage, strings.Join(words, " "))
		}
	}
	switch {
	case *add != "":
		return addSignature(*add, keys, c)
	case *document != "":
		data, err := os.ReadFile(*document)
		if err != nil {
			return fmt.Errorf("cannot read the signed command: %w", err)
		}
		return sendDocument(ctx, l, c, data, *wait, *out)
	case len(words) != 2:
		return fmt.Errorf("%w: payfleet send BOX VERB [--args JSON], or --document FILE, or --add-signature FILE", errUsage)
	}
	private, err := keys.keys(c)
	if err != nil {
		return err
	}
	s, k, err := l.openBox(ctx, c, "send", words[0])
	if err != nil {
		return err
	}
	defer s.close()
	var n send.Counter
	cmd, err := send.New(k, words[1], json.RawMessage(*arg), *valid, n.Next(time.Now()), time.Now())
	if err != nil {
		return err
	}
	data, err := send.Sign(cmd, private...)
	if err != nil {
		return err
	}
	if *only != "" {
		return seal.WriteFile(*only, data)
	}
	return s.deliver(ctx, data, *wait, *out)
}

func addSignature(name string, keys *signing, c console) error {
	private, err := keys.keys(c)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("cannot read the signed document: %w", err)
	}
	if data, err = signed.Add(data, private...); err != nil {
		return err
	}
	return seal.WriteFile(name, data)
}

func sendDocument(ctx context.Context, l *looking, c console, data []byte, wait bool, out string) error {
	if _, _, err := send.Peek(data); err != nil {
		return err
	}
	s, err := l.open(ctx, c, "send")
	if err != nil {
		return err
	}
	defer s.close()
	return s.deliver(ctx, data, wait, out)
}

// deliver sends a signed command and shows what becomes of it. What it brings in
// pieces goes to the file out.
func (s *session) deliver(ctx context.Context, data []byte, wait bool, out string) error {
	cmd, _, err := send.Peek(data)
	if err != nil {
		return err
	}
	var pieces *send.Collector
	if out != "" {
		if !wait {
			return fmt.Errorf("%w: --out waits for the result; leave --wait as it is", errUsage)
		}
		if pieces, err = send.Collect(s.bus, s.Root, cmd); err != nil {
			return err
		}
		defer pieces.Close()
	}
	if _, err := send.Publish(ctx, s.bus, s.Root, data); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(s.out, "%s → %s/%s  %s\n", s.say("verb", cmd.Verb), cmd.Site, cmd.Box, cmd.ID); err != nil || !wait {
		return err
	}
	ctx, cancel := context.WithDeadline(ctx, cmd.Expires.Add(time.Minute))
	defer cancel()
	end, err := send.Wait(ctx, s.watch, cmd, func(st fleet.CommandState) {
		_, _ = fmt.Fprintf(s.out, "%s  %s\n", time.Now().Format(time.TimeOnly), s.commandLine(st)) // a lost line loses nothing
	})
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("cannot tell what became of command %s: the box has said nothing final; payfleet show %s tells when it does", cmd.ID, cmd.Box)
		}
		return err
	}
	if end.State != fleet.Succeeded {
		return exitCode(1)
	}
	if pieces != nil {
		// The state may overtake the last piece by a moment.
		if err := s.watch.Settled(ctx, time.Second); err != nil {
			return err
		}
		all, err := pieces.Result(end)
		if err != nil {
			return err
		}
		if err := seal.WriteFile(out, all); err != nil {
			return err
		}
		_, err = fmt.Fprintf(s.out, "%s  %d\n", out, len(all))
		return err
	}
	if len(end.Result) > 0 {
		_, err = fmt.Fprintln(s.out, clean(brief(end.Result)))
	}
	return err
}
