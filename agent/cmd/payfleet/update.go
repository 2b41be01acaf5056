package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/fleet/release"
	"payagent/agent/fleet/rollout"
	"payagent/agent/seal"
	"payagent/agent/signed"
)

const updateUsage = `payfleet update — programs of boxes   机器程序升级

  payfleet update manifest --version V --out MANIFEST.json PROGRAM…  describe the programs that make release made, one for each kind of machine   做清单
                           --url https://HOST/FOLDER (where boxes fetch them)  --floor V  --store 1  --days 90  --notes TEXT
  payfleet update sign     MANIFEST.json --out DOC --sign-with KEY   sign it; two people of rôle release must   签名
  payfleet send            --add-signature DOC --sign-with KEY       the second person   第二人签名
  payfleet update inspect  DOC                                       what it says and who signed; signatures are checked by the boxes   查看
  payfleet update send     DOC --sign-with KEY [--stages 1,10,100] [--first BOX,…] [--soak 30m] [--fail 2] [--parallel 50] [BOX…]   分批升级
                           without BOX: every box that --site, --state, --version and --text choose
`

func updateCommand(ctx context.Context, args []string, c console) error {
	verb := ""
	if len(args) > 0 {
		verb, args = args[0], args[1:]
	}
	if verb == "" || verb == "-h" || verb == "--help" {
		return help("update", "", c.out)
	}
	f := flag.NewFlagSet("update", flag.ContinueOnError)
	l, keys, roll, filter := lookingFlags(f), signingFlags(f), rollingFlags(f), filterFlags(f)
	out := f.String("out", "", "`file` to write")
	terms := termFlags(f)
	words, err := parse(f, args)
	if err != nil {
		return err
	}
	switch {
	case verb == "manifest" && len(words) > 0 && *out != "" && filter.Version != "":
		terms.Version = filter.Version
		return makeManifest(*terms, *out, words, c)
	case verb == "sign" && len(words) == 1 && *out != "":
		return signManifest(words[0], *out, keys, c)
	case verb == "inspect" && len(words) == 1:
		_, m, who, err := readManifest(words[0])
		if err != nil {
			return err
		}
		return printJSON(c.out, map[string]any{"manifest": m, "signed_by": who})
	case verb != "send" || len(words) == 0:
		return fmt.Errorf("%w\n\n%s", errUsage, updateUsage)
	}
	data, m, who, err := readManifest(words[0])
	if err != nil {
		return err
	}
	if len(who) < 2 {
		return errors.New("cannot roll out the update: one key signed it, boxes want two of rôle release; let a second person run payfleet send --add-signature")
	}
	s, err := l.open(ctx, c, "update")
	if err != nil {
		return err
	}
	defer s.close()
	site, boxes, err := s.chosen(words[1:], *filter)
	if err != nil {
		return err
	}
	if roll.note == "" {
		roll.note = m.Version
	}
	spec, err := roll.spec(site, fleet.VerbUpdate, struct {
		Manifest []byte `json:"manifest"`
	}{data}, boxes)
	if err != nil {
		return err
	}
	r, err := rollout.New(spec, time.Now())
	if err != nil {
		return err
	}
	return s.conduct(ctx, r, keys, nil)
}

// termFlags are what a manifest says besides its programs and their version:
// that is the --version by which the other verbs choose boxes.
func termFlags(f *flag.FlagSet) *release.Terms {
	t := &release.Terms{Store: 1}
	f.StringVar(&t.Base, "url", "", "https `address` of the folder from which boxes fetch the programs; without it only a stick or a mirror that holds them beside the manifest will do")
	f.StringVar(&t.Floor, "floor", "", "no older `version` is taken any more once this one has proven itself")
	f.Func("store", "the `number` of the store's format that the programs write (default 1)", func(s string) error {
		n, err := strconv.ParseUint(s, 10, 32)
		t.Store = uint32(n)
		return err
	})
	f.IntVar(&t.Days, "days", 90, "`days` until boxes begin it no more")
	f.StringVar(&t.Notes, "notes", "", "`text` for people")
	return t
}

// makeManifest describes programs, as somebody then signs it.
func makeManifest(t release.Terms, out string, programs []string, c console) error {
	t.Base = strings.TrimSuffix(t.Base, "/")
	m, err := release.New(t, time.Now(), programs...)
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if err := seal.WriteFile(out, append(text, '\n')); err != nil {
		return err
	}
	for _, f := range m.Files {
		if err := say(c, "%s  %s/%s  cgo %t  %d  %s\n", f.Name, f.OS, f.Arch, f.Cgo, f.Size, f.SHA256); err != nil {
			return err
		}
	}
	return nil
}

func signManifest(name, out string, keys *signing, c console) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("cannot read the manifest: %w", err)
	}
	m, err := fleet.ParseManifest(text)
	if err != nil {
		return err
	}
	private, err := keys.keys(c)
	if err != nil {
		return err
	}
	doc, err := fleet.SignManifest(m, private...)
	if err != nil {
		return err
	}
	return seal.WriteFile(out, doc)
}

// readManifest reads a signed manifest, without checking signatures.
func readManifest(name string) (data []byte, m fleet.Manifest, who []string, err error) {
	if data, err = os.ReadFile(name); err != nil {
		return nil, m, nil, fmt.Errorf("cannot read the signed manifest: %w", err)
	}
	var e signed.Envelope
	if json.Unmarshal(data, &e) != nil || e.PayloadType != fleet.TypeManifest {
		return nil, m, nil, fmt.Errorf("cannot read %s: it is no signed manifest; payfleet update sign makes one", name)
	}
	payload, err := base64.StdEncoding.Strict().DecodeString(e.Payload)
	if err != nil {
		return nil, m, nil, fmt.Errorf("cannot read %s: its payload is not base64", name)
	}
	for _, s := range e.Signatures {
		who = append(who, s.KeyID)
	}
	m, err = fleet.ParseManifest(payload)
	return data, m, who, err
}
