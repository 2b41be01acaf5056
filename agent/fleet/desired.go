package fleet

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"payagent/agent/signed"
)

// The bounds of a configuration document.
const (
	maxConfigText = 256 << 10
	maxBoxes      = 2000
)

// Desired is the signed payload ([TypeConfig]) of <box>/desired/config: the
// configuration that a box should have. It is staged when it arrives and takes
// effect by the verb config.apply. One key of rôle config signs it; two
// different ones where it moves money elsewhere or opens the box (see
// agent/desired).
type Desired struct {
	Version uint64    `json:"version"` // grows; a box takes no lower one than it has had
	Site    string    `json:"site"`
	Boxes   []string  `json:"boxes"` // the boxes it is for, by name
	Text    string    `json:"text"`  // the YAML; secrets are files on the box, by name only
	SHA256  string    `json:"sha256"`
	Issued  time.Time `json:"issued_at"`
	Expires time.Time `json:"expires_at"` // afterwards it is neither staged nor applied any more; one in effect stays so
	Note    string    `json:"note,omitempty"`
}

// NewDesired fills in the hash.
func NewDesired(version uint64, site string, boxes []string, text string, issued, expires time.Time, note string) Desired {
	return Desired{Version: version, Site: site, Boxes: boxes, Text: text, SHA256: HashText([]byte(text)), Issued: issued, Expires: expires, Note: note}
}

// HashText is the hash by which a configuration is told from another.
func HashText(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// OpenDesired checks the signatures, by at least one key of rôle config, the
// form, the hash, the place and the expiry. signers is how many different keys
// of the rôle signed: whether one is enough hangs on what the text changes.
// Pass the zero time where its term does not count.
func OpenDesired(data []byte, keys []signed.Key, at Place, now time.Time) (d Desired, signers int, err error) {
	doc, err := signed.Open(data, TypeConfig, keys)
	if err != nil {
		return Desired{}, 0, err
	}
	if signers = doc.Signed(RoleConfig); signers == 0 {
		return Desired{}, 0, fmt.Errorf("cannot take the configuration: %w: no key of rôle %s signed it", signed.ErrNotSigned, RoleConfig)
	}
	if d, err = ParseDesired(doc.Payload); err != nil {
		return Desired{}, 0, err
	}
	if d.Site != at.Site || !slices.Contains(d.Boxes, at.Box) {
		return Desired{}, 0, fmt.Errorf("cannot take the configuration: %w: it is not for box %s of site %s", ErrContents, at.Box, at.Site)
	}
	if !now.IsZero() && now.After(d.Expires) {
		return Desired{}, 0, fmt.Errorf("cannot take configuration %d: %w on %s; sign it anew, and check this machine's clock", d.Version, ErrExpired, d.Expires.Format(time.DateTime))
	}
	return d, signers, nil
}

// ParseDesired reads the payload, strictly, and checks everything that can be
// checked without keys, clock and the YAML's own rules.
func ParseDesired(payload []byte) (Desired, error) {
	var d Desired
	if err := Unmarshal(payload, &d); err != nil {
		return Desired{}, fmt.Errorf("%w: %w", ErrContents, err)
	}
	if err := d.Check(); err != nil {
		return Desired{}, err
	}
	return d, nil
}

// PeekDesired reads a signed configuration without checking its signatures, on
// the fleet side: the box checks them.
func PeekDesired(document []byte) (Desired, error) {
	payload, err := peek(document, TypeConfig)
	if err != nil {
		return Desired{}, fmt.Errorf("cannot read the signed configuration: %w", err)
	}
	return ParseDesired(payload)
}

// peek gives the payload of an envelope without checking its signatures.
func peek(envelope []byte, kind string) ([]byte, error) {
	var e signed.Envelope
	if json.Unmarshal(envelope, &e) != nil || e.PayloadType != kind {
		return nil, fmt.Errorf("%w: it is no envelope of one", ErrContents)
	}
	payload, err := base64.StdEncoding.Strict().DecodeString(e.Payload)
	if err != nil {
		return nil, fmt.Errorf("%w: its payload is not base64", ErrContents)
	}
	return payload, nil
}

// Check tells whether the document makes sense. Errors wrap [ErrContents].
func (d Desired) Check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("cannot take the configuration: %w: %s", ErrContents, fmt.Sprintf(format, args...))
	}
	switch {
	case d.Version == 0 || d.Version > 1<<53:
		return bad("its version is not between 1 and 2^53")
	case d.Text == "" || len(d.Text) > maxConfigText:
		return bad("its text has %d bytes; 1 to %d are taken", len(d.Text), maxConfigText)
	case d.SHA256 != HashText([]byte(d.Text)):
		return bad("its sha256 is not that of its text")
	case d.Issued.IsZero() || !d.Expires.After(d.Issued) || d.Expires.Sub(d.Issued) > maxValidity:
		return bad("it must expire after it was issued, within %d days", int(maxValidity/(24*time.Hour)))
	case len(d.Boxes) == 0 || len(d.Boxes) > maxBoxes:
		return bad("it is for %d boxes; 1 to %d are taken", len(d.Boxes), maxBoxes)
	case len(d.Note) > maxNotes:
		return bad("its note has more than %d bytes", maxNotes)
	}
	for _, name := range append([]string{d.Site}, d.Boxes...) {
		if err := CheckName(name); err != nil {
			return bad("%v", err)
		}
	}
	return nil
}

// SignConfig checks a document and signs it. With one key it is the half that
// somebody else completes with signed.Add.
func SignConfig(d Desired, keys ...signed.Private) ([]byte, error) {
	if err := d.Check(); err != nil {
		return nil, err
	}
	payload, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	return signed.Seal(TypeConfig, payload, keys...)
}

// The words of ReportedConfig.State.
const (
	ConfigNone       = "none"        // no configuration of the fleet was ever taken
	ConfigStaged     = "staged"      // a document is on disk and waits for config.apply
	ConfigRefused    = "refused"     // the last document was not taken; see Problems
	ConfigTrial      = "trial"       // in effect for a minute, to prove itself
	ConfigCommitted  = "committed"   // in effect and proven
	ConfigAside      = "aside"       // was in effect, and this older program cannot read it; see Aside
	ConfigRolledBack = "rolled_back" // did not prove itself; what was before is in effect again
)

// ConfigLocal is ReportedConfig.Version of a file that IT wrote on the box.
const ConfigLocal = "local"

// ReportedConfig is retained at <box>/reported/config.
type ReportedConfig struct {
	Version string `json:"version"` // what is in effect: a number, or "local"
	SHA256  string `json:"sha256"`  // of that text
	// Edited tells that IT changed the file on the box after the fleet's
	// configuration: documents are refused until config.apply says over_local,
	// or IT runs payagent config accept.
	Edited   bool      `json:"edited,omitempty"`
	State    string    `json:"state"`              // of the newest document
	Document uint64    `json:"document,omitempty"` // the newest document's version
	Problems []Problem `json:"problems,omitempty"`
	// Keeps are keys of the document that differ here and are the box's own.
	Keeps    []string  `json:"keeps,omitempty"`
	Since    time.Time `json:"since"`              // when State began
	Previous string    `json:"previous,omitempty"` // what config.rollback goes back to: a number, or "local"
	// Aside is a configuration that was in effect and that the program, which
	// is older than it, cannot read: it is in force again with a newer one.
	Aside string `json:"aside,omitempty"`
	// Proof says what of the last trial was missing.
	Missing []string `json:"missing,omitempty"`
}

// Problem is one thing wrong with a document.
type Problem struct {
	_    [0]func() // never compared: no code is made for it
	Line int       `json:"line,omitempty"` // of the YAML, from 1
	Key  string    `json:"key,omitempty"`
	Text string    `json:"text"`
}
