package wire

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"payagent/platforms"
	"payagent/platforms/internal/strictxml"
)

// Version is a version of SOAP.
type Version int

// The versions that asmx and Axis services offer.
const (
	SOAP11 Version = 11
	SOAP12 Version = 12
)

// The namespaces of the envelopes.
const (
	Namespace11 = "http://schemas.xmlsoap.org/soap/envelope/"
	Namespace12 = "http://www.w3.org/2003/05/soap-envelope"
)

// Call is an operation with string parameters in a SOAP envelope.
type Call struct {
	Version   Version
	Namespace string // of the operation and its parameters
	Operation string // the element in the body
	Action    string // the SOAP action as it is sent; may be empty
	Params    []Param
}

// Request writes the envelope. The caller adds URL, Charges and Secrets. Values
// travel as escaped text, which says the same as CDATA and cannot be broken by
// a "]]>" inside.
func (c Call) Request() (Request, error) {
	ns := Namespace11
	if c.Version == SOAP12 {
		ns = Namespace12
	}
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="utf-8"?>` + "\n")
	b.WriteString(`<s:Envelope xmlns:s="` + ns + `"><s:Body>`)
	uri, err := strictxml.EscapeChecked(c.Namespace)
	if err != nil || strings.ContainsAny(c.Namespace+c.Action, "\"\r\n\t") {
		return Request{}, errors.New("cannot write the request: namespace or action is not usable; correct the configuration")
	}
	fmt.Fprintf(&b, `<%s xmlns="%s">`, c.Operation, uri)
	for _, p := range c.Params {
		value, err := strictxml.EscapeChecked(p.Value)
		if err != nil {
			return Request{}, fmt.Errorf("cannot write the request: %s: %w", p.Name, err)
		}
		fmt.Fprintf(&b, "<%s>%s</%s>", p.Name, value, p.Name)
	}
	fmt.Fprintf(&b, "</%s></s:Body></s:Envelope>", c.Operation)
	r := Request{Body: []byte(b.String())}
	if c.Version == SOAP12 {
		r.ContentType = "application/soap+xml; charset=utf-8"
		if c.Action != "" {
			r.ContentType += `; action="` + c.Action + `"`
		}
		return r, nil
	}
	r.ContentType = "text/xml; charset=utf-8"
	// Written as the services spell it, not as Go would.
	r.Header = http.Header{"SOAPAction": {`"` + c.Action + `"`}}
	return r, nil
}

// Fault is the SOAP fault of a reply with status 200. It proves nothing about
// the money.
type Fault struct{ Words string }

// Error gives the fault's own words, cleaned.
func (f *Fault) Error() string {
	return "cannot use the platform's answer: fault " + f.Words + "; query the order"
}

// Result reads the reply of an operation: the text of the element named result
// inside the one named response. The namespace of both must be the one given;
// an empty namespace stands for any, as Axis services vary in it. A fault is
// a *Fault; its words are cleaned of the secrets.
func (r Reply) Result(namespace, response, result string, secrets ...platforms.Hidden) (string, error) {
	body, err := envelope(r.Body, r.Charset)
	if err != nil {
		return "", err
	}
	if len(body.Kids) != 1 {
		return "", unusable("its SOAP body has %d elements instead of one", len(body.Kids))
	}
	op := body.Kids[0]
	if op.Name == "Fault" && op.Space == body.Space {
		return "", &Fault{Words: Clean(faultWords(op), secrets...)}
	}
	if op.Name != response || namespace != "" && op.Space != namespace {
		return "", unusable("its SOAP body is not <%s>", response)
	}
	if err := op.NoDuplicates(); err != nil {
		return "", unusable("%w", err)
	}
	for _, k := range op.Kids {
		if k.Name != result {
			continue
		}
		if namespace != "" && k.Space != namespace {
			return "", unusable("its <%s> belongs to a foreign namespace", result)
		}
		text, err := k.Leaf()
		if err != nil {
			return "", unusable("%w", err)
		}
		return text, nil
	}
	return "", unusable("<%s> lacks <%s>", response, result)
}

// envelope gives the body of a SOAP envelope of either version.
func envelope(b []byte, charset string) (*strictxml.Node, error) {
	root, err := strictxml.ParseReply(b, charset, true)
	if err != nil {
		return nil, unusable("%w", err)
	}
	if root.Name != "Envelope" || root.Space != Namespace11 && root.Space != Namespace12 {
		return nil, unusable("it is no SOAP envelope")
	}
	body, err := root.One("Body")
	if err == nil && body.Space != root.Space {
		err = errors.New("<Body> belongs to a foreign namespace")
	}
	if err != nil {
		return nil, unusable("%w", err)
	}
	return body, nil
}

// faultIn gives the words of the fault in a body, or nothing.
func faultIn(b []byte) string {
	body, err := envelope(b, "")
	if err != nil || len(body.Kids) != 1 || body.Kids[0].Name != "Fault" {
		return ""
	}
	return faultWords(body.Kids[0])
}

// faultWords joins what the two versions of SOAP tell people.
func faultWords(f *strictxml.Node) string {
	var words []string
	for _, k := range f.Kids {
		switch k.Name {
		case "faultcode", "faultstring":
			words = append(words, k.Text)
		case "Reason":
			for _, t := range k.Kids {
				words = append(words, t.Text)
			}
		}
	}
	return strings.Join(words, " ")
}

func unusable(format string, args ...any) error {
	return fmt.Errorf("cannot use the platform's answer: "+format, args...)
}
