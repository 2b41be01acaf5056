package fleet

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base32"
	"errors"
	"strconv"
	"strings"
)

// Code is the one-time code with which a box gets its first certificate. It is
// written down or photographed, so it says by itself when it was mistyped; it
// names the authority, so that the box believes nobody else.
type Code struct {
	Authority [16]byte // Fingerprint of the authority's public key
	ID        [4]byte  // which code it is; not secret
	Secret    [12]byte // never stored by the authority, only its hash
}

// Fingerprint is how a code names an authority: the beginning of the SHA-256
// of its public key in the form of an X.509 SubjectPublicKeyInfo.
func Fingerprint(spki []byte) (f [16]byte) {
	sum := sha256.Sum256(spki)
	copy(f[:], sum[:])
	return f
}

// Names tells whether the code names the authority with that public key.
func (c Code) Names(spki []byte) bool {
	f := Fingerprint(spki)
	return subtle.ConstantTimeCompare(f[:], c.Authority[:]) == 1
}

// codeAlphabet is Crockford's: no letters that look like digits.
const codeAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// String writes the code in groups of five letters and digits.
func (c Code) String() string {
	raw := c.bytes()
	sum := sha256.Sum256(raw)
	text := base32.NewEncoding(codeAlphabet).WithPadding(base32.NoPadding).EncodeToString(append(raw, sum[0], sum[1]))
	var b strings.Builder
	for i := 0; i < len(text); i += 5 {
		if i > 0 {
			b.WriteByte('-')
		}
		b.WriteString(text[i:min(i+5, len(text))])
	}
	return b.String()
}

func (c Code) bytes() []byte {
	return bytes.Join([][]byte{c.Authority[:], c.ID[:], c.Secret[:]}, nil)
}

// ErrCode is the answer to a text that is no code, or a mistyped one.
var ErrCode = errors.New("cannot take the code: it is mistyped, or not a whole one; type it again as payfleet ca code printed it")

// ParseCode reads a code as people type it: letters of either case, with or
// without hyphens and blanks, O for 0, I and L for 1.
func ParseCode(text string) (Code, error) {
	text = strings.NewReplacer("-", "", " ", "", "\t", "", "\r", "", "\n", "", "O", "0", "I", "1", "L", "1").Replace(strings.ToUpper(text))
	raw, err := base32.NewEncoding(codeAlphabet).WithPadding(base32.NoPadding).DecodeString(text)
	if err != nil || len(raw) != 34 {
		return Code{}, ErrCode
	}
	var c Code
	copy(c.Authority[:], raw)
	copy(c.ID[:], raw[16:])
	copy(c.Secret[:], raw[20:])
	sum := sha256.Sum256(c.bytes())
	if raw[32] != sum[0] || raw[33] != sum[1] {
		return Code{}, ErrCode
	}
	return c, nil
}

// Generation counts the enrolments of a box: the first is 1, and whatever is
// enrolled later under the same name has a higher one and is in its place
// (docs/fleet.md). It stands in the certificate, which the authority signs and
// gives for each generation to one key only.
func Generation(c *x509.Certificate) uint64 {
	n, err := strconv.ParseUint(c.Subject.SerialNumber, 10, 32)
	if err != nil || n < 1 {
		return 1
	}
	return n
}

// The paths of the certificate authority (payfleet ca serve).
const (
	PathEnrol = "/v1/enrol" // POST EnrolRequest
	PathRenew = "/v1/renew" // POST RenewRequest, with the present certificate
	PathCRL   = "/v1/crl"   // GET the revoked certificates, PEM
	// PathNewest answers GET ?site=S&box=B with the certificate of that box's
	// newest enrolment, PEM: what it shows is no secret, and nobody else can make
	// it. A box learns there that another is in its place.
	PathNewest = "/v1/newest"
)

// EnrolRequest asks for a first certificate.
type EnrolRequest struct {
	Code string `json:"code,omitempty"` // empty in a request that travels as a file
	// Site and Box are what the box believes to be called; empty: whatever the
	// code says.
	Site string `json:"site,omitempty"`
	Box  string `json:"box,omitempty"`
	CSR  string `json:"csr"` // PEM, PKCS #10; only its public key counts
}

// RenewRequest asks for the next certificate, under the present one.
type RenewRequest struct {
	CSR string `json:"csr"`
	// IfDue leaves it to the authority's clock whether it is time: the box's
	// own may be wrong.
	IfDue bool `json:"if_due,omitempty"`
}

// Enrolled is the answer to both.
type Enrolled struct {
	Certificate string   `json:"certificate"` // PEM, the box's own
	Authority   string   `json:"authority"`   // PEM
	Settings    Settings `json:"settings"`
}

// Settings are what a box must know of its fleet: the fleet section of its
// configuration, without the files.
type Settings struct {
	Broker     string        `json:"broker"`
	Root       string        `json:"root"`
	Site       string        `json:"site"`
	Box        string        `json:"box"`
	ServerName string        `json:"server_name,omitempty"`
	Ack        string        `json:"ack,omitempty"`
	HubKey     string        `json:"hub_key,omitempty"`
	RelayKey   string        `json:"relay_key,omitempty"`
	CAURL      string        `json:"ca_url,omitempty"`
	Keys       []SettingsKey `json:"keys,omitempty"`
}

// SettingsKey is a key that may sign.
type SettingsKey struct {
	ID     string   `json:"id"`
	Roles  []string `json:"roles"`
	Public string   `json:"public"` // Ed25519, base64
}

// EnrolProblem is the answer of an authority that refuses.
type EnrolProblem struct {
	Code string `json:"code"` // see words.md, group enrol
	// Detail is what the code's words leave open, e.g. the name of the box.
	Detail string `json:"detail,omitempty"`
}

// The codes of EnrolProblem.
const (
	EnrolUnknown  = "code_unknown" // no such code, or its secret is wrong
	EnrolUsed     = "code_used"
	EnrolExpired  = "code_expired"
	EnrolLocked   = "code_locked"
	EnrolWrongBox = "wrong_box"
	EnrolBad      = "request_bad"
	EnrolRevoked  = "certificate_revoked"
	EnrolNotOurs  = "certificate_not_ours"
	EnrolTooLate  = "certificate_too_old"
	EnrolNotDue   = "not_due"
	EnrolSlow     = "too_many"
	EnrolBroken   = "authority_broken"
	EnrolReplaced = "enrolled_anew" // a later enrolment of that box counts
)
