package desired

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/trial"
)

// aside is a configuration that was in effect and that this program cannot
// read: a newer program took it, and an older one came back. Its file stays as
// it is, and a program that can read it puts it in force again.
type aside struct {
	trial.Entry
	Previous *trial.Entry `json:"previous,omitempty"` // what was before it
}

// errForeign is wrapped where a text is as it was signed, and not understood.
var errForeign = errors.New("this program cannot read it")

// putAside gives the configuration in effect up for what stands behind it, until
// a program comes that can read it.
func (b *book) putAside(now time.Time) {
	if b.Aside == nil { // the newest, where several cannot be read
		b.Aside = &aside{b.Current, b.Previous}
		if doc := b.Document; doc != nil && strconv.FormatUint(doc.Version, 10) == b.Current.Version {
			doc.State, doc.Since, doc.Missing = fleet.ConfigAside, now, nil
		}
	}
	b.Drop(trial.Unusable, now)
}

// bring puts what is aside in force again if this program can read it.
func (d *Files) bring(b *book, local []byte, now time.Time) error {
	if b.Aside == nil || b.Trial != nil {
		return nil
	}
	_, err := d.open(b.Aside.Entry, local)
	if errors.Is(err, errForeign) {
		return nil
	}
	version := b.Aside.Version
	if err != nil {
		b.giveUpAside(trial.Unusable, now)
		return fmt.Errorf("configuration %s was kept aside and is lost: %w", version, err)
	}
	before := b.Aside.Previous
	if before == nil {
		old := b.Current
		before = &old
	}
	b.Current, b.Previous, b.Aside = b.Aside.Entry, before, nil
	if doc := b.Document; doc != nil && strconv.FormatUint(doc.Version, 10) == version {
		doc.State, doc.Since = fleet.ConfigCommitted, now
	}
	return fmt.Errorf("configuration %s, which an older program had kept aside, is in force again", version)
}

// giveUpAside ends what is aside.
func (b *book) giveUpAside(why string, now time.Time) {
	if b.Aside == nil {
		return
	}
	if doc := b.Document; doc != nil && doc.State == fleet.ConfigAside {
		doc.State, doc.Since, doc.Missing = fleet.ConfigRolledBack, now, []string{why}
	}
	b.Aside = nil
}

// uses tells whether the text of a version is needed still.
func (b *book) uses(version string) bool {
	if a := b.Aside; a != nil && (a.Version == version || a.Previous != nil && a.Previous.Version == version) {
		return true
	}
	return b.State.Uses(version) || b.Document != nil && strconv.FormatUint(b.Document.Version, 10) == version
}

// Aside is the configuration that this program cannot read and that is in force
// again with one that can; "" for none.
func (d *Files) Aside() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if b, _, err := d.load(); err == nil && b.Aside != nil {
		return b.Aside.Version
	}
	return ""
}
