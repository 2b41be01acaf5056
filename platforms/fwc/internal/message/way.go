package message

import (
	"cmp"
	"net/http"
	"path"
	"slices"
	"strings"

	"payagent/platforms"
	"payagent/platforms/internal/strictxml"
	"payagent/platforms/internal/wire"
)

// Way is how the one string of a call travels.
type Way string

// The ways.
const (
	SOAP11  Way = "soap11"
	SOAP12  Way = "soap12"
	RawPost Way = "raw_xml_post" // the document itself is the body
	Form    Way = "form_xml"     // the document is one form field
)

// Names are the names that a service gives to its parts.
type Names struct {
	Namespace    string // default "http://tempuri.org/"
	ActionPrefix string // before the operation in the SOAP action, default Namespace
	Param        string // the one parameter, default "xml"
}

// Complete fills in the defaults.
func (n Names) Complete() Names {
	if n.Namespace == "" {
		n.Namespace = "http://tempuri.org/"
	}
	if n.ActionPrefix == "" {
		n.ActionPrefix = n.Namespace
	}
	if n.Param == "" {
		n.Param = "xml"
	}
	return n
}

// Request wraps a document for a way. The operation stands in the SOAP call, or
// takes the place of "{op}" in the address, or is its last element.
func (n Names) Request(way Way, endpoint, op, doc string) (wire.Request, error) {
	param := wire.Param{Name: n.Param, Value: doc}
	switch way {
	case RawPost:
		return wire.Request{URL: address(endpoint, op), ContentType: wire.XMLType, Body: []byte(doc)}, nil
	case Form:
		return wire.Request{URL: address(endpoint, op), ContentType: wire.FormType, Body: wire.Form(param)}, nil
	}
	version := wire.SOAP11
	if way == SOAP12 {
		version = wire.SOAP12
	}
	req, err := wire.Call{
		Version: version, Namespace: n.Namespace, Operation: op,
		Action: n.ActionPrefix + op, Params: []wire.Param{param},
	}.Request()
	req.URL = endpoint
	return req, err
}

func address(endpoint, op string) string {
	if strings.Contains(endpoint, "{op}") {
		return strings.ReplaceAll(endpoint, "{op}", op)
	}
	place, query, asked := strings.Cut(endpoint, "?")
	place = strings.TrimRight(place, "/") + "/" + op
	if asked {
		place += "?" + query
	}
	return place
}

// Answer takes the document out of what came back. The error is as it is from
// package wire where the wire is to blame; unusable wraps all others.
func (n Names) Answer(way Way, op string, got wire.Reply, unusable func(error) error, secrets ...platforms.Hidden) (*strictxml.Node, error) {
	text := ""
	switch way {
	case RawPost, Form:
		root, err := got.Document()
		if err != nil {
			return nil, unusable(err)
		}
		// An asmx service answers a form post with <string>text</string>.
		if root.Name != "string" || root.Space != n.Namespace && root.Space != "" {
			return root, nil
		}
		if text, err = root.Leaf(); err != nil {
			return nil, unusable(err)
		}
	default:
		var err error
		if text, err = got.Result(n.Namespace, op+"Response", op+"Result", secrets...); err != nil {
			return nil, err
		}
	}
	root, err := strictxml.ParseText(text)
	if err != nil {
		return nil, unusable(err)
	}
	return root, nil
}

// Service reads calls in every way and wraps their answers in the same.
type Service struct {
	Names
	Ops []string // the operations it has
	// StrictAction routes SOAP by the action, as asmx does, instead of taking
	// any and looking into the body.
	StrictAction bool
	// Guess tells the operation of a bare document or a form from its head where
	// the address does not; nil where that is not possible.
	Guess func(Fields) string
	// WrapString answers form posts as asmx does, with the document as the text
	// of a <string> element.
	WrapString bool
}

// Call is a call taken out of whatever carried it.
type Call struct {
	Op   string // empty where the request names none that is known
	Head Fields // nil where the document is not readable
	Err  error  // why it is not
	Kind string // Content-Type of the answer

	version wire.Version
	wrap    bool
	service Service
}

// Refusal is an answer to a request that is no call.
type Refusal struct {
	Status int
	Kind   string
	Body   []byte
}

// Read takes a call out of a request whose body has been read. A refusal is
// what the caller is told where there is no call at all; a call whose document
// cannot be read is a call, to be answered in the message's own words.
func (s Service) Read(r *http.Request, body []byte) (Call, *Refusal) {
	c := Call{service: s, Kind: wire.XMLType}
	got, err := wire.ReadBody(r.Header, body)
	action, hasAction := Action(r.Header)
	twelve := strings.HasPrefix(r.Header.Get("Content-Type"), "application/soap+xml")
	if got.Version != 0 || twelve || hasAction && (err != nil || s.StrictAction) {
		if c.version = got.Version; twelve && (err != nil || s.StrictAction) {
			c.version = wire.SOAP12
		}
		if err == nil && got.Call == nil {
			err = wire.ErrRequest // a document without an envelope
		}
		return s.soap(c, got, action, err)
	}
	c.Op = path.Base(r.URL.Path)
	if !slices.Contains(s.Ops, c.Op) {
		c.Op = r.URL.Query().Get("op")
	}
	switch {
	case err != nil:
		c.Err = err
	case got.Form != nil:
		c.wrap = s.WrapString
		c.Head, c.Err = ReadRequest(got.Form.Get(s.Param))
	default:
		c.Head, c.Err = ReadHead(got.Document)
	}
	if !slices.Contains(s.Ops, c.Op) && s.Guess != nil {
		c.Op = s.Guess(c.Head)
	}
	if !slices.Contains(s.Ops, c.Op) {
		return c, &Refusal{http.StatusBadRequest, "text/plain; charset=utf-8", []byte("the address ends in no known operation\n")}
	}
	return c, nil
}

func (s Service) soap(c Call, got wire.Body, action string, err error) (Call, *Refusal) {
	if c.version == 0 {
		c.version = wire.SOAP11
	}
	c.Kind = c.version.MediaType()
	fault := func(words string) (Call, *Refusal) {
		return c, &Refusal{http.StatusInternalServerError, c.Kind, wire.FaultOf(c.version, words)}
	}
	if s.StrictAction {
		op, known := strings.CutPrefix(action, s.ActionPrefix)
		if !known || !slices.Contains(s.Ops, op) {
			return fault("Server did not recognize the value of HTTP Header SOAPAction: " + action + ".")
		}
		c.Op = op
	}
	if err != nil {
		return fault("Server was unable to read request.")
	}
	if c.Op == "" && slices.Contains(s.Ops, got.Call.Name) {
		c.Op = got.Call.Name
	}
	if c.Op == "" || c.Op != got.Call.Name || got.Call.Space != s.Namespace {
		return fault("Request format is invalid: the body is not " + cmp.Or(c.Op, "an operation") + " of " + s.Namespace + ".")
	}
	doc, err := got.Call.Value(s.Param)
	if err != nil {
		return fault("Request format is invalid: " + s.Param + " is not one string.")
	}
	c.Head, c.Err = ReadRequest(doc)
	return c, nil
}

// Wrap wraps the document that answers a call.
func (c Call) Wrap(doc string) []byte {
	before, after, escape := c.Around()
	if escape {
		doc = strictxml.Escape(doc)
	}
	return []byte(before + doc + after)
}

// Around gives what stands before and after the document, for an answer that
// is written piece by piece, and whether its pieces are escaped.
func (c Call) Around() (before, after string, escape bool) {
	switch {
	case c.version != 0:
		before, after = wire.EnvelopeAround(c.version, c.service.Namespace, c.Op+"Response", c.Op+"Result")
		return before, after, true
	case c.wrap:
		return declaration + "\n" + `<string xmlns="` + wire.Attribute(c.service.Namespace) + `">`, "</string>", true
	}
	return "", "", false
}

// Action reads the header SOAPAction, or the parameter that SOAP 1.2 has
// instead, whatever its spelling: a request that never crossed a socket keeps
// the one it was written with.
func Action(h http.Header) (string, bool) {
	for name, values := range h {
		if strings.EqualFold(name, "SOAPAction") && len(values) == 1 {
			return strings.Trim(values[0], `"`), true
		}
	}
	kind, rest, _ := strings.Cut(h.Get("Content-Type"), ";")
	if strings.TrimSpace(kind) != "application/soap+xml" {
		return "", false
	}
	for part := range strings.SplitSeq(rest, ";") {
		if name, value, ok := strings.Cut(strings.TrimSpace(part), "="); ok && strings.EqualFold(name, "action") {
			return strings.Trim(value, `"`), true
		}
	}
	return "", false
}

// WSDL describes the service at an address.
func (s Service) WSDL(name, address string) []byte {
	var ops []wire.Operation
	for _, op := range s.Ops {
		ops = append(ops, wire.Operation{Name: op, Response: op + "Response", Result: op + "Result", Params: []string{s.Param}, Action: s.ActionPrefix + op})
	}
	return wire.WSDL(name, s.Namespace, address, true, ops)
}
