package platformtest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"

	"payagent/platforms"
)

// Case is one demand on a platform.
type Case struct {
	Name string
	Rule string // the sentence that Run checks
	// Run gives nil if the platform keeps the rule.
	run func(w *world) error
}

// MinCases is the least number of cases that a member meets, whatever it can do.
const MinCases = 60

// Test runs all cases that apply to the subject.
func Test(t *testing.T, s Subject) {
	t.Helper()
	cases, err := Cases(s)
	if err != nil {
		t.Fatal(err)
	}
	if len(cases) < MinCases {
		t.Fatalf("only %d cases apply, want at least %d", len(cases), MinCases)
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			if err := c.check(t, s); err != nil {
				t.Errorf("rule: %s\n%v", c.Rule, err)
			}
		})
	}
}

// Failing runs all cases and gives the errors of those that the subject does
// not pass, by name. It is for tests that show that a wrong adapter is caught.
func Failing(t testing.TB, s Subject, names ...string) map[string]error {
	t.Helper()
	cases, err := Cases(s)
	if err != nil {
		t.Fatal(err)
	}
	wanted := map[string]bool{}
	for _, n := range names {
		wanted[n] = true
	}
	failed := map[string]error{}
	for _, c := range cases {
		if len(names) > 0 && !wanted[c.Name] {
			continue
		}
		delete(wanted, c.Name)
		if err := c.check(t, s); err != nil {
			failed[c.Name] = err
		}
	}
	for n := range wanted {
		t.Fatalf("there is no case %q", n)
	}
	return failed
}

// check runs the case in a world of its own.
func (c Case) check(t testing.TB, s Subject) (err error) {
	t.Helper()
	w, err := newWorld(t, s)
	if err != nil {
		return err
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
		w.close()
		if err == nil {
			err = w.leak()
		}
	}()
	return c.run(w)
}

// Cases lists what applies to the subject.
func Cases(s Subject) ([]Case, error) {
	p, err := s.Open(nowhere{})
	if err != nil {
		return nil, fmt.Errorf("cannot open the subject: %w", err)
	}
	able := abilities(p)
	all := append(moneyCases(able), faultCases(s, able)...)
	all = append(all, bindCases(s, able)...)
	all = append(all, wireCases(able)...)
	all = append(all, fieldCases(s, able)...)
	all = append(all, replyCases(s)...)
	if able.refund {
		all = append(all, refundCases()...)
	}
	if able.present {
		all = append(append(all, presentCases()...), pageCases(p.(platforms.Presenter))...)
	} else {
		all = append(all, Case{
			Name: "present/not offered",
			Rule: "A platform without QR codes says ErrUnsupported or is no Presenter, and refuses a present order before anything is sent.",
			run:  presentNotOffered,
		})
	}
	if able.probe {
		all = append(all, probeCases()...)
	}
	if able.notices != (s.Notices != nil) {
		return nil, errors.New("a platform that sends messages by itself and Subject.Notices belong together")
	}
	all = append(append(all, signedCases(s, able)...), noticeCases(s)...)
	seen := map[string]bool{}
	for _, c := range all {
		if seen[c.Name] || c.Rule == "" {
			return nil, fmt.Errorf("case %q occurs twice or has no rule", c.Name)
		}
		seen[c.Name] = true
	}
	return all, checkExcuses(s)
}

// can says what a platform is able to do besides Query and Cancel.
type can struct {
	charge, present, refund, probe, check, notices bool
	traits                                         platforms.Traits
}

func abilities(p platforms.Platform) can {
	var c can
	_, c.charge = p.(platforms.Charger)
	_, c.present = p.(platforms.Presenter)
	_, c.refund = p.(platforms.Refunder)
	_, c.probe = p.(platforms.Prober)
	_, c.check = p.(platforms.Checker)
	_, c.notices = p.(platforms.Notifier)
	c.traits = p.Traits()
	return c
}

// checkExcuses demands that every known attack and variant is there or excused.
func checkExcuses(s Subject) error {
	var errs []error
	need := func(kind string, names []string, have map[string]func([]byte) []byte) {
		for _, n := range names {
			_, there := have[n]
			if excuse := s.Excuses[n]; there == (excuse != "") {
				errs = append(errs, fmt.Errorf("%s %q must be given, or an excuse for it, and not both", kind, n))
			}
		}
	}
	need("attack", AttackNames(), s.Attacks)
	need("variant", VariantNames(), s.Variants)
	return errors.Join(errs...)
}

// nowhere is a way that leads nowhere.
type nowhere struct{}

func (nowhere) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = r.Body.Close()
	}
	return nil, dialError{}
}

// dialError proves that no byte left.
type dialError struct{}

func (dialError) Error() string { return "cannot dial: connection refused" }
func (dialError) NotSent() bool { return true }
