package wire

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"payagent/platforms/internal/strictxml"
)

// This file is the other end of the wire: what a service reads and writes,
// for façades, for the interfaces that we serve, and for the simulators.

// Media types of answers.
const (
	XMLType    = "text/xml; charset=utf-8"
	SOAP12Type = "application/soap+xml; charset=utf-8"
)

// MediaType is the Content-Type of a SOAP answer.
func (v Version) MediaType() string {
	if v == SOAP12 {
		return SOAP12Type
	}
	return XMLType
}

func (v Version) namespace() string {
	if v == SOAP12 {
		return Namespace12
	}
	return Namespace11
}

// Body is the body of a request, opened as far as everybody needs it: a form,
// a SOAP envelope or a bare document.
type Body struct {
	Form     url.Values      // a form post; nil otherwise
	Version  Version         // of a SOAP envelope; 0 otherwise
	Call     *strictxml.Node // the element in its body
	Document *strictxml.Node // a bare document
}

// ErrRequest is wrapped when a request's body cannot be used.
var ErrRequest = errors.New("cannot read the request")

// ReadBody opens a request's body, which the caller has read and bounded. Any
// SOAPAction is as good as none: what is asked for stands in the body. The
// charset is that of the Content-Type or of the document itself; a form in the
// GB family is turned into text.
func ReadBody(h http.Header, b []byte) (Body, error) {
	kind, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		kind, params = "", nil
	}
	named := strings.ToLower(params["charset"])
	if kind == "application/x-www-form-urlencoded" {
		form, err := readForm(named, b)
		return Body{Form: form}, err
	}
	switch named {
	case "iso-8859-1", "us-ascii", "ascii", "latin1":
		named = "" // what libraries claim when nobody told them
	}
	root, err := strictxml.ParseReply(b, named, true)
	if err != nil {
		return Body{}, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	if root.Name != "Envelope" {
		// A bare document is held to more than an envelope is.
		if root, err = strictxml.ParseReply(b, named, false); err != nil {
			return Body{}, fmt.Errorf("%w: %w", ErrRequest, err)
		}
		return Body{Document: root}, nil
	}
	out := Body{Version: SOAP11}
	switch root.Space {
	case Namespace11:
	case Namespace12:
		out.Version = SOAP12
	default:
		return Body{}, fmt.Errorf("%w: it is no SOAP envelope", ErrRequest)
	}
	in, err := root.One("Body")
	if err != nil || in.Space != root.Space || len(in.Kids) != 1 {
		return out, fmt.Errorf("%w: its SOAP body does not hold one element", ErrRequest)
	}
	out.Call = in.Kids[0]
	return out, nil
}

func readForm(charset string, b []byte) (url.Values, error) {
	form, err := url.ParseQuery(string(b))
	if err != nil {
		return nil, fmt.Errorf("%w: it is no form", ErrRequest)
	}
	for name, values := range form {
		if len(values) != 1 || name == "" {
			return nil, fmt.Errorf("%w: a field stands in it twice or has no name", ErrRequest)
		}
		switch charset {
		case "gbk", "gb2312", "gb18030":
			if form[name][0], err = strictxml.FromGB(values[0]); err != nil {
				return nil, fmt.Errorf("%w: %w", ErrRequest, err)
			}
		default:
			if !utf8.ValidString(values[0]) {
				return nil, fmt.Errorf("%w: it contains bytes that are not UTF-8", ErrRequest)
			}
		}
	}
	return form, nil
}

// EnvelopeOf writes an answer: the text of the element named result inside the
// one named response.
func EnvelopeOf(v Version, namespace, response, result, text string) []byte {
	before, after := EnvelopeAround(v, namespace, response, result)
	return []byte(before + strictxml.Escape(text) + after)
}

// EnvelopeAround is EnvelopeOf for a text that is written piece by piece, each
// escaped by strictxml.Escape.
func EnvelopeAround(v Version, namespace, response, result string) (before, after string) {
	return `<?xml version="1.0" encoding="utf-8"?>` +
			`<soap:Envelope xmlns:soap="` + v.namespace() + `" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema">` +
			`<soap:Body><` + response + ` xmlns="` + Attribute(namespace) + `"><` + result + `>`,
		`</` + result + `></` + response + `></soap:Body></soap:Envelope>`
}

// FaultOf writes a fault as asmx does. It goes out with HTTP 500.
func FaultOf(v Version, words string) []byte {
	inner := `<faultcode>soap:Client</faultcode><faultstring>` + strictxml.Escape(words) + `</faultstring><detail />`
	if v == SOAP12 {
		inner = `<soap:Code><soap:Value>soap:Sender</soap:Value></soap:Code><soap:Reason><soap:Text xml:lang="en">` + strictxml.Escape(words) + `</soap:Text></soap:Reason>`
	}
	return []byte(`<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="` + v.namespace() + `"><soap:Body><soap:Fault>` + inner + `</soap:Fault></soap:Body></soap:Envelope>`)
}

// Attribute makes a text fit to stand between double quotes.
func Attribute(s string) string { return strings.ReplaceAll(strictxml.Escape(s), `"`, "&quot;") }

// Operation is one operation of a service as its WSDL describes it: string
// parameters in, one string out, document/literal.
type Operation struct {
	Name, Response, Result string // the elements
	Params                 []string
	Action                 string
}

// WSDL writes the description of a service with ports for SOAP 1.1 and, where
// asked for, 1.2, at one address.
func WSDL(service, namespace, address string, soap12 bool, ops []Operation) []byte {
	var types, messages, port strings.Builder
	bindings := map[Version]*strings.Builder{SOAP11: {}, SOAP12: {}}
	element := func(name string, kids ...string) {
		types.WriteString(`<s:element name="` + name + `"><s:complexType><s:sequence>`)
		for _, k := range kids {
			types.WriteString(`<s:element minOccurs="0" maxOccurs="1" name="` + k + `" type="s:string"/>`)
		}
		types.WriteString(`</s:sequence></s:complexType></s:element>`)
	}
	for _, o := range ops {
		element(o.Name, o.Params...)
		element(o.Response, o.Result)
		fmt.Fprintf(&messages, `<wsdl:message name="%sSoapIn"><wsdl:part name="parameters" element="tns:%s"/></wsdl:message>`, o.Name, o.Name)
		fmt.Fprintf(&messages, `<wsdl:message name="%sSoapOut"><wsdl:part name="parameters" element="tns:%s"/></wsdl:message>`, o.Name, o.Response)
		fmt.Fprintf(&port, `<wsdl:operation name="%s"><wsdl:input message="tns:%sSoapIn"/><wsdl:output message="tns:%sSoapOut"/></wsdl:operation>`, o.Name, o.Name, o.Name)
		for v, prefix := range map[Version]string{SOAP11: "soap", SOAP12: "soap12"} {
			fmt.Fprintf(bindings[v], `<wsdl:operation name="%s"><%s:operation soapAction="%s" style="document"/><wsdl:input><%s:body use="literal"/></wsdl:input><wsdl:output><%s:body use="literal"/></wsdl:output></wsdl:operation>`,
				o.Name, prefix, Attribute(o.Action), prefix, prefix)
		}
	}
	ns := Attribute(namespace)
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="utf-8"?>` + "\n" +
		`<wsdl:definitions xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" xmlns:s="http://www.w3.org/2001/XMLSchema" xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:soap12="http://schemas.xmlsoap.org/wsdl/soap12/" xmlns:tns="` + ns + `" targetNamespace="` + ns + `">` +
		`<wsdl:types><s:schema elementFormDefault="qualified" targetNamespace="` + ns + `">` + types.String() + `</s:schema></wsdl:types>` +
		messages.String() + `<wsdl:portType name="` + service + `Soap">` + port.String() + `</wsdl:portType>`)
	var ports strings.Builder
	for _, p := range []struct {
		v              Version
		suffix, prefix string
	}{{SOAP11, "Soap", "soap"}, {SOAP12, "Soap12", "soap12"}} {
		if p.v == SOAP12 && !soap12 {
			continue
		}
		name := service + p.suffix
		fmt.Fprintf(&b, `<wsdl:binding name="%s" type="tns:%sSoap"><%s:binding transport="http://schemas.xmlsoap.org/soap/http"/>%s</wsdl:binding>`, name, service, p.prefix, bindings[p.v])
		fmt.Fprintf(&ports, `<wsdl:port name="%s" binding="tns:%s"><%s:address location="%s"/></wsdl:port>`, name, name, p.prefix, Attribute(address))
	}
	b.WriteString(`<wsdl:service name="` + service + `">` + ports.String() + `</wsdl:service></wsdl:definitions>`)
	return []byte(b.String())
}
