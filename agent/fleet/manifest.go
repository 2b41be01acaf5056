package fleet

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"payagent/agent/signed"
)

// Product is what a manifest must be for.
const Product = "payagent"

// The bounds of a manifest.
const (
	MaxProgram   = 64 << 20 // bytes of a program
	maxFiles     = 32
	maxURLs      = 4
	maxManifest  = 64 << 10
	maxNotes     = 4096
	signaturesOf = 2                    // different keys of rôle release
	maxValidity  = 400 * 24 * time.Hour // between issued_at and expires_at
)

// Manifest is the signed payload ([TypeManifest]) that describes one version
// of the program. Two different keys of rôle release must sign it. It is the
// same for every box.
type Manifest struct {
	Product string    `json:"product"` // "payagent"
	Version string    `json:"version"` // see ParseVersion
	Floor   string    `json:"floor"`   // when this version has proven itself on a box, nothing older than Floor is taken there any more
	Issued  time.Time `json:"issued_at"`
	Expires time.Time `json:"expires_at"` // afterwards nobody begins to install it; what is installed goes on
	// Store is the format of the order store that this version writes; a box
	// whose store is of a newer format refuses the version.
	Store uint32 `json:"store"`
	Files []File `json:"files"`
	Notes string `json:"notes,omitempty"` // for people
}

// File is the program for one kind of machine.
type File struct {
	Name   string   `json:"name"`           // a file beside the manifest, e.g. payagent-linux-arm64
	OS     string   `json:"os"`             // as Go writes it: linux, windows
	Arch   string   `json:"arch"`           // as Go writes it: amd64, arm64, arm, 386
	Cgo    bool     `json:"cgo"`            // built with cgo
	URLs   []string `json:"urls,omitempty"` // https; tried in order. Empty: beside the manifest only
	Size   int64    `json:"size"`           // bytes
	SHA256 string   `json:"sha256"`         // hex, small letters
}

// The refusals of a manifest or a configuration document. [signed.ErrNotSigned]
// is wrapped besides.
var (
	ErrTwoKeys  = errors.New("two different keys of the rôle must sign")
	ErrExpired  = errors.New("the document has expired")
	ErrContents = errors.New("the document's contents make no sense")
)

// OpenManifest checks the signatures, by two different keys of rôle release,
// the form, and that it has not expired. Pass the zero time for one that is
// installed already.
func OpenManifest(data []byte, keys []signed.Key, now time.Time) (Manifest, error) {
	if len(data) > 2*maxManifest {
		return Manifest{}, fmt.Errorf("cannot take the manifest: %w: it has more than %d bytes", ErrContents, 2*maxManifest)
	}
	doc, err := signed.Open(data, TypeManifest, keys)
	if err != nil {
		return Manifest{}, err
	}
	if n := doc.Signed(RoleRelease); n < signaturesOf {
		return Manifest{}, fmt.Errorf("cannot take the manifest: %w: %d of %d keys of rôle %s signed", ErrTwoKeys, n, signaturesOf, RoleRelease)
	}
	m, err := ParseManifest(doc.Payload)
	if err != nil {
		return Manifest{}, err
	}
	if !now.IsZero() && now.After(m.Expires) {
		return Manifest{}, fmt.Errorf("cannot take the manifest of version %s: %w on %s; get a newer one, and check this machine's clock", m.Version, ErrExpired, m.Expires.Format(time.DateOnly))
	}
	return m, nil
}

// PeekManifest reads a manifest without checking its signatures: of a version
// whose hash is known from when it was trusted.
func PeekManifest(data []byte) (Manifest, error) {
	if len(data) > 2*maxManifest {
		return Manifest{}, fmt.Errorf("cannot read the manifest: %w: it has more than %d bytes", ErrContents, 2*maxManifest)
	}
	payload, err := peek(data, TypeManifest)
	if err != nil {
		return Manifest{}, fmt.Errorf("cannot read the manifest: %w", err)
	}
	return ParseManifest(payload)
}

// ParseManifest reads the payload, strictly, and checks everything that can be
// checked without keys and clock.
func ParseManifest(payload []byte) (Manifest, error) {
	var m Manifest
	if len(payload) > maxManifest {
		return m, fmt.Errorf("cannot take the manifest: %w: it has more than %d bytes", ErrContents, maxManifest)
	}
	if err := Unmarshal(payload, &m); err != nil {
		return Manifest{}, fmt.Errorf("%w: %w", ErrContents, err)
	}
	if err := m.Check(); err != nil {
		return Manifest{}, err
	}
	return m, nil
}

// Check tells whether the manifest makes sense. Errors wrap [ErrContents].
func (m Manifest) Check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("cannot take the manifest: %w: %s", ErrContents, fmt.Sprintf(format, args...))
	}
	v, err := ParseVersion(m.Version)
	if err != nil {
		return bad("%v", err)
	}
	floor, err := ParseVersion(m.Floor)
	if err != nil {
		return bad("its floor: %v", err)
	}
	switch {
	case m.Product != Product:
		return bad("it is for another product than %s", Product)
	case floor.Compare(v) > 0:
		return bad("its floor %s is above its version %s", m.Floor, m.Version)
	case m.Issued.IsZero() || !m.Expires.After(m.Issued) || m.Expires.Sub(m.Issued) > maxValidity:
		return bad("it must expire after it was issued, within %d days", int(maxValidity/(24*time.Hour)))
	case m.Store == 0:
		return bad("it does not say which store format the version writes")
	case len(m.Files) == 0 || len(m.Files) > maxFiles:
		return bad("it has %d files; 1 to %d are taken", len(m.Files), maxFiles)
	case len(m.Notes) > maxNotes:
		return bad("its notes have more than %d bytes", maxNotes)
	}
	seen := map[[3]string]bool{}
	for _, f := range m.Files {
		kind := [3]string{f.OS, f.Arch, fmt.Sprint(f.Cgo)}
		if seen[kind] {
			return bad("it has two files for %s/%s (cgo: %v)", f.OS, f.Arch, f.Cgo)
		}
		seen[kind] = true
		if err := f.check(); err != nil {
			return bad("file %.60q: %v", f.Name, err)
		}
	}
	return nil
}

func (f File) check() error {
	if CheckName(f.Name) != nil || strings.Trim(f.Name, ".") == "" {
		return errors.New("its name has other characters than letters, digits, dots, hyphens and underscores")
	}
	if f.OS == "" || f.Arch == "" || len(f.OS) > 20 || len(f.Arch) > 20 {
		return errors.New("it does not say for which machine it is")
	}
	if f.Size <= 0 || f.Size > MaxProgram {
		return fmt.Errorf("its size is not between 1 and %d bytes", MaxProgram)
	}
	if sum, err := hex.DecodeString(f.SHA256); err != nil || len(sum) != 32 || strings.ToLower(f.SHA256) != f.SHA256 {
		return errors.New("its sha256 is not 64 hexadecimal digits in small letters")
	}
	if len(f.URLs) > maxURLs {
		return fmt.Errorf("it has more than %d addresses", maxURLs)
	}
	for _, s := range f.URLs {
		if u, err := url.Parse(s); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" {
			return errors.New("an address is not https://host/path")
		}
	}
	return nil
}

// For gives the file for a kind of machine. Nothing near is taken instead.
func (m Manifest) For(goos, arch string, cgo bool) (File, error) {
	for _, f := range m.Files {
		if f.OS == goos && f.Arch == arch && f.Cgo == cgo {
			return f, nil
		}
	}
	return File{}, fmt.Errorf("cannot take version %s: %w: it has no file for %s/%s (cgo: %v)", m.Version, ErrContents, goos, arch, cgo)
}

// SignManifest checks a manifest and signs it. With one key it is the half
// that somebody else completes with signed.Add.
func SignManifest(m Manifest, keys ...signed.Private) ([]byte, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	payload, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	return signed.Seal(TypeManifest, payload, keys...)
}
