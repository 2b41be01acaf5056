package desired

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"payagent/agent/config"
	"payagent/agent/fleet"
	"payagent/agent/signed"
	"payagent/agent/trial"
)

// maxEnvelope bounds a document with its signatures, in bytes.
const maxEnvelope = 512 << 10

// oneKey are the keys of the configuration that one signature may change.
// Everything else could move money elsewhere, lead patients' data elsewhere or
// open the box: that takes two.
func oneKey() []string {
	return []string{"site.name", "site.test", "log.level", "log.max_bytes", "log.keep", "order_types", "prefixes", "tills", "policy",
		"platforms[].policy", "platforms[].probe_every", "platforms[].dial_timeout", "booking.prompt_after", "booking.alarm_after",
		"limits.min_fen", "limits.max_fen", "codes", "store", "finance"}
}

// TwoKeys lists the changed keys for which two different keys must sign.
func TwoKeys(from, to config.Config) []string {
	var list []string
	for _, key := range config.Changes(from, to) {
		if !config.Under(key, oneKey()...) || config.Under(key, "tills[].reverse_on_silence") {
			list = append(list, key)
		}
	}
	return list
}

// Stage takes a document that arrived: checked whole, then on disk. It takes no
// effect before Apply. The same document again does nothing. Errors are a
// *trial.Refusal, and are reported.
func (d *Files) Stage(envelope []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	b, _, err := d.file.Load()
	if err != nil {
		return err
	}
	doc, err := d.stage(&b, envelope)
	var r *trial.Refusal
	if errors.As(err, &r) {
		d.refused = d.refusal(doc, err)
		d.ring()
		return err
	}
	if err == nil {
		d.refused = nil
		d.ring()
	}
	return err
}

func (d *Files) stage(b *book, envelope []byte) (fleet.Desired, error) {
	if len(envelope) > maxEnvelope {
		return fleet.Desired{}, trial.Refuse("bad_document", "cannot take the configuration: it has more than %d bytes", maxEnvelope)
	}
	now := d.clock.Now()
	doc, signers, err := fleet.OpenDesired(envelope, d.terms.Keys, d.terms.Place, now)
	if err != nil {
		return doc, trial.Refuse(codeOf(err), "%v", err)
	}
	if has := b.Document; has != nil && has.Version == doc.Version && has.SHA256 == doc.SHA256 {
		return doc, nil
	}
	if doc.Version <= b.Highest {
		return doc, trial.Refuse("older", "cannot take configuration %d: %d was here before; give it a higher version", doc.Version, b.Highest)
	}
	local, err := d.local()
	if err != nil {
		return doc, err
	}
	_, kept, err := d.judge(doc, signers, local)
	if err != nil {
		return doc, err
	}
	for _, f := range []struct {
		path string
		data []byte
	}{{d.text(strconv.FormatUint(doc.Version, 10)), []byte(doc.Text)}, {d.envelope(), envelope}} {
		if err := errors.Join(d.o.Disk.MkdirAll(d.dir), d.o.Disk.WriteFile(f.path, f.data)); err != nil {
			return doc, err
		}
	}
	b.Document = &document{Version: doc.Version, SHA256: doc.SHA256, State: fleet.ConfigStaged, Since: now, Keeps: kept}
	b.Highest = doc.Version
	return doc, errors.Join(d.clock.Signed(doc.Issued), d.file.Save(*b))
}

// judge checks what a document says, against what is in effect.
func (d *Files) judge(doc fleet.Desired, signers int, local []byte) (c config.Config, kept []string, err error) {
	name := "configuration " + strconv.FormatUint(doc.Version, 10)
	c, kept, err = d.parse(strconv.FormatUint(doc.Version, 10), []byte(doc.Text), local)
	if err != nil {
		return c, nil, &invalid{trial.Refuse("invalid", "%v", err), config.Problems(err)}
	}
	if d.terms.Check != nil {
		if err := d.terms.Check(c); err != nil {
			return c, nil, &invalid{trial.Refuse("invalid", "%v", err), config.Problems(err)}
		}
	}
	if two := TwoKeys(d.now.Config, c); len(two) > 0 && signers < 2 {
		var list []config.Problem
		for _, key := range two {
			list = append(list, config.Problem{Line: c.Line(key), Key: key, Reason: "a change of this takes the signatures of two different keys"})
		}
		return c, nil, &invalid{trial.Refuse("two_keys", "cannot take %s: it changes %v, which takes the signatures of two different keys of rôle %s", name, two, fleet.RoleConfig), list}
	}
	return c, kept, nil
}

// aboutBroker tells whether a change may have cut the box off from its broker.
func aboutBroker(from, to config.Config) bool {
	return slices.ContainsFunc(config.Changes(from, to), func(key string) bool {
		return config.Under(key, "fleet.broker", "fleet.accept_plain", "fleet.root", "fleet.site", "fleet.box", "fleet.ca_file", "fleet.cert_file",
			"fleet.key_file", "fleet.server_name", "fleet.connect_within")
	})
}

// invalid is a refusal with its problems.
type invalid struct {
	error
	problems []config.Problem
}

func (i *invalid) Unwrap() error { return i.error }

// codeOf gives the stable code of a refused document.
func codeOf(err error) string {
	switch {
	case errors.Is(err, fleet.ErrExpired):
		return "expired"
	case errors.Is(err, signed.ErrNotSigned):
		return "not_signed"
	}
	return "bad_document"
}

// Apply puts the staged document on trial: the next start starts with it.
// before is what works now. overLocal is for a file that IT changed.
func (d *Files) Apply(version uint64, overLocal bool, before trial.Health) error {
	return d.change(func(b *book) error {
		name := strconv.FormatUint(version, 10)
		switch {
		case b.Document == nil || b.Document.Version != version:
			return trial.Refuse("not_staged", "cannot apply configuration %d: it is not the one that is staged here", version)
		case b.Current.Version == name:
			return trial.Refuse("already", "configuration %d is in effect already", version)
		}
		local, err := d.local()
		if err != nil {
			return err
		}
		if d.edited(*b, local) && !overLocal {
			return trial.Refuse("edited", "cannot apply configuration %d: %s was changed on this box; apply with over_local, or let IT run payagent config accept", version, d.o.File)
		}
		data, err := d.o.Disk.ReadFile(d.envelope())
		if err != nil {
			return trial.Refuse("not_staged", "cannot apply configuration %d: %v", version, err)
		}
		// Everything anew: keys, orders and the configuration in effect may be
		// others than when it was staged, and its time may be over.
		doc, signers, err := fleet.OpenDesired(data, d.terms.Keys, d.terms.Place, d.clock.Now())
		if err != nil {
			return trial.Refuse(codeOf(err), "%v", err)
		}
		if doc.Version != version || doc.SHA256 != b.Document.SHA256 {
			return trial.Refuse("not_staged", "cannot apply configuration %d: another one lies in its place", version)
		}
		next, _, err := d.judge(doc, signers, local)
		if err != nil {
			return err
		}
		// Whether the box can report says nothing of what was not about that.
		before.Broker = before.Broker && aboutBroker(d.now.Config, next)
		now := d.clock.Now()
		if err := b.Begin(trial.Entry{Version: name, SHA256: doc.SHA256}, before, "", now); err != nil {
			return trial.Refuse("busy", "%v", err)
		}
		b.Local = fleet.HashText(local)
		b.Document.State, b.Document.Since, b.Document.Missing = fleet.ConfigTrial, now, nil
		return nil
	})
}

// Back goes back to the configuration before this one at the next start; a
// trial that has not ended is given up instead.
func (d *Files) Back() error {
	return d.change(func(b *book) error {
		local, err := d.local()
		if err != nil {
			return err
		}
		if d.edited(*b, local) {
			return trial.Refuse("edited", "cannot go back: %s was changed on this box and counts; let IT run payagent config accept first", d.o.File)
		}
		if b.Trial == nil && b.Aside != nil { // in effect is what was before it
			b.giveUpAside(trial.TakenBack, d.clock.Now())
			return nil
		}
		if b.Trial == nil && b.Previous != nil {
			if _, err := d.open(*b.Previous, local); err != nil {
				return trial.Refuse("invalid", "cannot go back: %v", err)
			}
		}
		now := d.clock.Now()
		if err := b.State.Back(now); err != nil {
			return trial.Refuse("nothing_before", "%v", err)
		}
		b.settle(now)
		if doc := b.Document; doc != nil {
			switch inEffect := b.Current.Version == strconv.FormatUint(doc.Version, 10); {
			case doc.State == fleet.ConfigCommitted && !inEffect:
				doc.State, doc.Since, doc.Missing = fleet.ConfigRolledBack, now, []string{trial.TakenBack}
			case inEffect: // it had proven itself before
				doc.State, doc.Since, doc.Missing = fleet.ConfigCommitted, now, nil
			}
		}
		return nil
	})
}

// Judge ends the trial that this process is. It returns whether the process
// must end so that the configuration before it is taken.
func (d *Files) Judge(reason string, missing []string) (restart bool, err error) {
	err = d.change(func(b *book) error {
		if b.Trial == nil || d.now.Trial == nil || b.Trial.Version != d.now.Version {
			return nil
		}
		now := d.clock.Now()
		if restart = reason != "" || len(missing) > 0; restart {
			if reason == "" {
				reason = trial.NotProven
			}
			b.Fail(reason, missing, now)
		} else {
			b.Commit(now)
			b.giveUpAside(trial.Superseded, now)
			d.now.Trial = nil
		}
		b.settle(now)
		return nil
	})
	return restart, err
}

func (d *Files) change(do func(*book) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	b, _, err := d.file.Load()
	if err != nil {
		return err
	}
	if err := do(&b); err != nil {
		return err
	}
	if err := d.file.Save(b); err != nil {
		return err
	}
	d.ring()
	return nil
}

// OnTrial gives the trial that this process is, nil if it is none.
func (d *Files) OnTrial() *trial.Trial {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now.Trial
}

// Reported is what the box says of its configuration.
func (d *Files) Reported() (fleet.ReportedConfig, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	b, _, err := d.load()
	if err != nil {
		return fleet.ReportedConfig{}, err
	}
	now := d.now
	if now.Version == "" { // a command beside the service
		if now, err = d.Look(); err != nil {
			return fleet.ReportedConfig{}, err
		}
	}
	r := fleet.ReportedConfig{Version: now.Version, SHA256: now.SHA256, State: fleet.ConfigNone}
	if doc := b.Document; doc != nil {
		r.State, r.Document, r.Since, r.Keeps, r.Missing = doc.State, doc.Version, doc.Since, doc.Keeps, doc.Missing
	}
	if b.Aside != nil {
		r.Aside = b.Aside.Version
	}
	if b.Previous != nil {
		r.Previous = b.Previous.Or(fleet.ConfigLocal)
	}
	if local, err := d.local(); err == nil {
		r.Edited = d.edited(b, local)
	}
	if f := d.refused; f != nil {
		r.State, r.Document, r.Problems, r.Since, r.Keeps, r.Missing = f.State, f.Document, f.Problems, f.Since, nil, nil
	}
	return r, nil
}

// maxProblems bounds what is reported of a bad document.
const maxProblems = 20

func (d *Files) refusal(doc fleet.Desired, err error) *fleet.ReportedConfig {
	r := &fleet.ReportedConfig{State: fleet.ConfigRefused, Document: doc.Version, Since: d.clock.Now()}
	var with *invalid
	if errors.As(err, &with) {
		for _, p := range with.problems[:min(len(with.problems), maxProblems)] {
			r.Problems = append(r.Problems, fleet.Problem{Line: p.Line, Key: p.Key, Text: p.Reason})
		}
	}
	if len(r.Problems) == 0 {
		r.Problems = []fleet.Problem{{Text: fmt.Sprint(err)}}
	}
	return r
}

// Changed is closed when Reported changed; an edit on the box is seen by
// asking now and then.
func (d *Files) Changed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.changed
}

func (d *Files) ring() {
	close(d.changed)
	d.changed = make(chan struct{})
}
