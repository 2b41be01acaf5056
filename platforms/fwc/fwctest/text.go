package fwctest

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
)

const declaration = `<?xml version="1.0" encoding="utf-8" ?>` + "\n"

// fields are elements in the order in which they stand.
type fields []struct{ name, value string }

func (f fields) get(name string) string {
	for _, e := range f {
		if e.name == name {
			return e.value
		}
	}
	return ""
}

func (f fields) has(name string) bool {
	for _, e := range f {
		if e.name == name {
			return true
		}
	}
	return false
}

// set changes a field that is there.
func (f fields) set(name, value string) {
	for i := range f {
		if f[i].name == name {
			f[i].value = value
		}
	}
}

// readHead reads the children of xml/head, with the standard decoder.
func readHead(doc string) (fields, error) {
	d := xml.NewDecoder(strings.NewReader(doc))
	d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
	var at []string
	var head fields
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return head, nil
		}
		if err != nil {
			return nil, err
		}
		switch t := tok.(type) {
		case xml.StartElement:
			at = append(at, t.Name.Local)
			if strings.HasPrefix(strings.Join(at, "/"), "xml/head/") {
				if len(at) != 3 || head.has(t.Name.Local) {
					return nil, errors.New("the head says something twice")
				}
				head = append(head, struct{ name, value string }{name: t.Name.Local})
			}
		case xml.CharData:
			if len(at) == 3 && len(head) > 0 && at[1] == "head" {
				head[len(head)-1].value += string(t)
			}
		case xml.EndElement:
			at = at[:len(at)-1]
		}
	}
}

// document writes a reply as the samples have it.
func document(op string, head fields, o outcome, result fields) string {
	var b strings.Builder
	b.WriteString(declaration + "<xml>\n   <head>\n")
	for _, e := range head {
		if e.name != "OrderType" { // the samples' echo drops it
			line(&b, "       ", e.name, e.value)
		}
	}
	b.WriteString("   </head>\n   <body>\n       <ResponseResult>\n")
	line(&b, "           ", "IsSuccess", o.success)
	line(&b, "           ", "Message", o.message)
	line(&b, "           ", "SubCode", o.subCode)
	line(&b, "           ", "SubMessage", o.subMessage)
	b.WriteString("       </ResponseResult>\n")
	if name := resultName(op); len(result) > 0 {
		b.WriteString("       <" + name + ">\n")
		for _, e := range result {
			line(&b, "           ", e.name, e.value)
		}
		b.WriteString("       </" + name + ">\n")
	}
	b.WriteString("   </body>\n   <sign></sign>\n</xml>")
	return b.String()
}

func line(b *strings.Builder, indent, name, value string) {
	b.WriteString(indent + "<" + name + ">" + escape(value) + "</" + name + ">\n")
}

func resultName(op string) string {
	switch op {
	case opPay:
		return "BarcodeTradeResult"
	case opQuery:
		return "BarcodeTradeStatus"
	case opRefund:
		return "BarcodeTradeRefundResult"
	case opPresent:
		return "QrcodeTradePayResult"
	case opQRCancel:
		return "QrcodeTradeCancelResult"
	}
	return "BarcodeTradeCancelResult"
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder cannot fail
	return b.String()
}

// version is a version of SOAP with its namespace and media type.
type version struct{ ns, media string }

var (
	soap11 = version{"http://schemas.xmlsoap.org/soap/envelope/", "text/xml"}
	soap12 = version{"http://www.w3.org/2003/05/soap-envelope", "application/soap+xml"}
)

// envelope is what the service reads of a SOAP request.
type envelope struct {
	XMLName xml.Name
	Body    struct {
		Ops []struct {
			XMLName xml.Name
			Params  []struct {
				XMLName xml.Name
				Text    string `xml:",chardata"`
			} `xml:",any"`
		} `xml:",any"`
	} `xml:"Body"`
}

// soap takes operation and document out of an envelope.
func (s *service) soap(v version, action string, body []byte) (request, string) {
	req := request{kind: s.kind(v.media), fault: v.fault}
	op, known := strings.CutPrefix(action, s.opt.ActionPrefix)
	if !known || !s.knows(op) {
		return req, "Server did not recognize the value of HTTP Header SOAPAction: " + action + "."
	}
	var e envelope
	if err := xml.Unmarshal(body, &e); err != nil || e.XMLName != (xml.Name{Space: v.ns, Local: "Envelope"}) {
		return req, "Server was unable to read request."
	}
	if len(e.Body.Ops) != 1 || e.Body.Ops[0].XMLName != (xml.Name{Space: s.opt.Namespace, Local: op}) {
		return req, "Request format is invalid: the body is not " + op + "."
	}
	req.op = op
	for _, p := range e.Body.Ops[0].Params {
		if p.XMLName == (xml.Name{Space: s.opt.Namespace, Local: s.opt.ParamName}) {
			req.doc = p.Text
		}
	}
	req.write = func(doc string) []byte {
		return []byte(`<?xml version="1.0" encoding="utf-8"?>` +
			`<soap:Envelope xmlns:soap="` + v.ns + `" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema">` +
			`<soap:Body><` + op + `Response xmlns="` + s.opt.Namespace + `"><` + op + `Result>` + escape(doc) +
			`</` + op + `Result></` + op + `Response></soap:Body></soap:Envelope>`)
	}
	return req, ""
}

// fault writes a fault as asmx does.
func (v version) fault(words string) []byte {
	inner := `<faultcode>soap:Client</faultcode><faultstring>` + escape(words) + `</faultstring><detail />`
	if v == soap12 {
		inner = `<soap:Code><soap:Value>soap:Sender</soap:Value></soap:Code><soap:Reason><soap:Text xml:lang="en">` + escape(words) + `</soap:Text></soap:Reason>`
	}
	return []byte(`<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="` + v.ns + `"><soap:Body><soap:Fault>` + inner + `</soap:Fault></soap:Body></soap:Envelope>`)
}
