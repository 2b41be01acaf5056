package conform

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"payagent/agent/cmd/paysim/internal/his"
	"payagent/platforms"
)

func fenOf(n int64) platforms.Fen { return platforms.Fen(n) }

// Paper is the report of a run, for the hospital.
type Paper struct {
	Kind     string            `json:"kind"` // payagent conformance
	Vendor   string            `json:"vendor"`
	Product  string            `json:"product"` // name and version of the HIS
	Began    string            `json:"began"`   // RFC 3339
	Ended    string            `json:"ended"`
	Versions map[string]string `json:"versions"` // of the agent and the kit
	Manner   string            `json:"manner"`   // program, person or reference
	Passed   int               `json:"passed"`
	Failed   int               `json:"failed"`
	NotRun   int               `json:"not_run"`
	Cases    []Result          `json:"cases"`
}

// Signed is a report with the key and the signature (Ed25519) over the bytes
// of Report. Who knows the public key from another source knows who ran it.
type Signed struct {
	Report    []byte `json:"report"` // JSON of Paper, in base64
	PublicKey string `json:"public_key"`
	Signature string `json:"signature"`
}

// Count fills in the sums.
func (p *Paper) Count(list []Result, began, ended time.Time) {
	p.Kind, p.Cases = "payagent conformance", list
	p.Began, p.Ended = began.Format(time.RFC3339), ended.Format(time.RFC3339)
	p.Passed, p.Failed, p.NotRun = 0, 0, 0
	for _, r := range list {
		switch r.Outcome {
		case Pass:
			p.Passed++
		case Fail:
			p.Failed++
		default:
			p.NotRun++
		}
	}
}

// ErrSignature says that a report is not what was signed.
var ErrSignature = errors.New("the report is not what was signed with this key")

// Key reads the private key of a file, and makes one where there is none.
func Key(file string) (ed25519.PrivateKey, error) {
	if file == "" {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	data, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err == nil {
			err = os.WriteFile(file, []byte(base64.StdEncoding.EncodeToString(key.Seed())+"\n"), 0o600)
		}
		return key, err
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the key: %w", err)
	}
	seed, err := base64.StdEncoding.DecodeString(string(trim(data)))
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, errors.New("cannot read the key: the file holds none; name a file that does not exist and one is made")
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

func trim(b []byte) []byte {
	for len(b) > 0 && (b[len(b)-1] == '\n' || b[len(b)-1] == '\r' || b[len(b)-1] == ' ') {
		b = b[:len(b)-1]
	}
	return b
}

// Sign signs a report.
func Sign(p Paper, key ed25519.PrivateKey) (Signed, error) {
	text, err := json.Marshal(p)
	if err != nil {
		return Signed{}, err
	}
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return Signed{}, errors.New("cannot sign: the key has no public half")
	}
	enc := base64.StdEncoding.EncodeToString
	return Signed{Report: text, PublicKey: enc(public), Signature: enc(ed25519.Sign(key, text))}, nil
}

// Verify checks a signed report and gives it. With a public key, in base64, it
// must be signed with that one.
func Verify(data []byte, public string) (Paper, error) {
	var s Signed
	if err := json.Unmarshal(data, &s); err != nil {
		return Paper{}, fmt.Errorf("cannot read the report: %w", err)
	}
	if public != "" && public != s.PublicKey {
		return Paper{}, fmt.Errorf("%w: it carries another one", ErrSignature)
	}
	key, err1 := base64.StdEncoding.DecodeString(s.PublicKey)
	sig, err2 := base64.StdEncoding.DecodeString(s.Signature)
	if err1 != nil || err2 != nil || len(key) != ed25519.PublicKeySize || !ed25519.Verify(key, s.Report, sig) {
		return Paper{}, ErrSignature
	}
	var p Paper
	if err := json.Unmarshal(s.Report, &p); err != nil {
		return Paper{}, fmt.Errorf("cannot read the report: %w", err)
	}
	return p, nil
}

// Print writes a report for people.
func (p Paper) Print(w io.Writer) error {
	var errs []error
	say := func(format string, args ...any) {
		_, err := fmt.Fprintf(w, format, args...)
		errs = append(errs, err)
	}
	say("HIS 接入一致性报告 Conformance report\n厂商 vendor   %s\n产品 product  %s\n方式 manner   %s\n时间 time     %s – %s\n", p.Vendor, p.Product, p.Manner, p.Began, p.Ended)
	for _, name := range []string{"payagent", "paysim"} {
		say("%-12s  %s\n", name, p.Versions[name])
	}
	say("\n")
	for i, r := range p.Cases {
		say("%2d  %-8s %-24s %s  %s\n", i+1, map[Outcome]string{Pass: "通过 pass", Fail: "失败 FAIL", NotRun: "未做 not run"}[r.Outcome], r.ID, r.Title.Zh, r.Title.En)
		for _, x := range r.Wrong {
			say("      ! %s\n        %s\n", x.Zh, x.En)
		}
		if r.Note != "" {
			say("      %s\n", r.Note)
		}
	}
	say("\n通过 %d，失败 %d，未做 %d    passed %d, failed %d, not run %d\n", p.Passed, p.Failed, p.NotRun, p.Passed, p.Failed, p.NotRun)
	return errors.Join(errs...)
}

// List prints the cases: what is done and what must hold.
func List(w io.Writer) error {
	for i, c := range Cases() {
		if err := line(w, i, c.ID, c.Title, c.Must); err != nil {
			return err
		}
	}
	return nil
}

func line(w io.Writer, i int, id string, title, must his.Words) error {
	_, err := fmt.Fprintf(w, "%2d  %-24s %s → %s\n    %-24s %s → %s\n", i+1, id, title.Zh, must.Zh, "", title.En, must.En)
	return err
}
