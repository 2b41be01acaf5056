package message

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"payagent/platforms/internal/strictxml"
	"payagent/platforms/internal/wire"
)

// Variant is one of the ways in which calls travel (wire.md §1.2).
type Variant byte

// The variants. Raw is the seed's document by itself, to one address per
// method or, where its fields tell the methods apart, to one for all.
const (
	WSGWSOAP   Variant = 'A'
	WSGWREST   Variant = 'B'
	FormXML    Variant = 'C'
	ThirdParty Variant = 'D'
	JSONGate   Variant = 'E'
	Raw        Variant = 'R'
)

// The types of parameters and answers at the gateways.
const (
	TypeJSON = "0"
	TypeXML  = "1"
)

// Answers say how a server writes its answers; the zero value is the plain
// one.
type Answers struct {
	GBK      bool // XML in GBK
	BareType bool // the Content-Type names no charset
	Declared bool // an XML declaration before the Resp inside SOAP and JSON
	CDATA    bool // the Resp inside SOAP in a CDATA section instead of escaped
}

// Call is a call taken out of whatever carried it.
type Call struct {
	Variant Variant
	Method  string // one of Methods
	Request
	Answers Answers

	outJSON bool
}

// Refusal is what a gateway says before it reads a Req.
type Refusal struct {
	Code  int
	Words string
}

// Token is what variants C and E carry to prove themselves: in a header, a
// parameter or a cookie.
func Token(r *http.Request, form url.Values) string {
	if t := r.Header.Get("token"); t != "" {
		return t
	}
	if t := form.Get("token"); t != "" {
		return t
	}
	if c, err := r.Cookie("token"); err == nil {
		return c.Value
	}
	return ""
}

// Read takes a call out of a request whose body has been read; path is the
// request's without what stands before the gateway. With a refusal, the Call
// tells how to answer it all the same.
func Read(r *http.Request, path string, body []byte) (Call, url.Values, *Refusal) {
	part := strings.Split(strings.Trim(path, "/"), "/")
	last, before := part[len(part)-1], part[max(len(part)-2, 0)]
	c := Call{Variant: variantOf(part)}
	badParam := &Refusal{CodeBadParam, "解析参数异常"}
	switch c.Variant {
	case WSGWSOAP:
		got, err := wire.ReadBody(r.Header, body)
		if err != nil || got.Call == nil {
			return c, nil, &Refusal{CodeBadRequest, "请求参数错误"}
		}
		params, refusal := soapParams(got.Call)
		if refusal != nil {
			return c, nil, refusal
		}
		return c.gateway(params)
	case Raw:
		return c.raw(r, last, body, badParam)
	}
	form, err := formOf(r, body)
	if err != nil {
		return c, nil, &Refusal{CodeGateway, "请求地址或参数错误"}
	}
	switch c.Variant {
	case WSGWREST:
		params := map[string]string{}
		for name := range form {
			plain := strings.ToLower(name[:1]) + name[1:]
			if _, twice := params[plain]; twice {
				return c, form, &Refusal{CodeGateway, "请求地址或参数错误"}
			}
			params[plain] = form.Get(name)
		}
		c, _, refusal := c.gateway(params)
		return c, form, refusal
	case ThirdParty:
		c.Method = before
		q := Request{TransactionCode: "90001"}
		for _, name := range inOrder(form) {
			if !fieldName.MatchString(name) {
				return c, form, badParam
			}
			q.Data = append(q.Data, Field{name, form.Get(name)})
		}
		c.Request = q
	case JSONGate:
		c.Method, c.outJSON = before, true
		if c.Request, err = readJSON(form.Get("apiParam")); err != nil {
			return c, form, badParam
		}
	default:
		c.Method = before
		c.outJSON = form.Get("outType") == TypeJSON
		if !led(part) || !isType(form.Get("outType")) || !isType(form.Get("paramType")) {
			return c, form, &Refusal{CodeGateway, "请求地址或参数错误"}
		}
		if err := c.param(form.Get("param"), form.Get("paramType")); err != nil {
			return c, form, badParam
		}
	}
	return c, form, c.known()
}

// variantOf tells the variants by the address, as the servers do.
func variantOf(part []string) Variant {
	last, before := part[len(part)-1], func(n int, word string) bool {
		return len(part) > n && part[len(part)-1-n] == word
	}
	switch {
	case last == "ServiceGateWay":
		return WSGWSOAP
	case last == "rest" && before(1, "WSGW"):
		return WSGWREST
	case last == "callApi.do" && before(3, "wsgw") && before(2, Module):
		return JSONGate
	case (last == "execute.do" || last == "getExecute.do") && before(7, "thirdparty") && before(3, Module):
		return ThirdParty
	case last == "call.do":
		return FormXML
	}
	return Raw
}

// led tells whether the address of a form leads to the module.
func led(part []string) bool {
	return len(part) >= 5 && part[len(part)-5] == "wsgw" && part[len(part)-4] == Module
}

func (c Call) known() *Refusal {
	if slices.Contains(Methods(), c.Method) {
		return nil
	}
	return &Refusal{CodeNoMethod, "接口不存在"}
}

// soapParams reads the seven parts by name. Clients of their own make put them
// in any order.
func soapParams(call *strictxml.Node) (map[string]string, *Refusal) {
	bad := &Refusal{CodeBadRequest, "请求参数错误"}
	if call.Name != "service" || call.Space != Namespace {
		return nil, bad
	}
	params := map[string]string{}
	for _, k := range call.Kids {
		if _, twice := params[k.Name]; twice || !slices.Contains(soapOrder(), k.Name) {
			return nil, bad
		}
		var err error
		if params[k.Name], err = k.Leaf(); err != nil {
			return nil, bad
		}
	}
	return params, nil
}

// soapOrder is the order of the gateway's parameters.
func soapOrder() []string {
	return []string{"authInfo", "sequenceNo", "api", "param", "paramType", "outType", "v"}
}

// gateway reads the parameters of variants A and B.
func (c Call) gateway(params map[string]string) (Call, url.Values, *Refusal) {
	bad := &Refusal{CodeBadRequest, "请求参数错误"}
	var auth struct{ ClientId, ClientVersion, Sign, SessionKey *string } //nolint:revive // the wire's names
	if json.Unmarshal([]byte(params["authInfo"]), &auth) != nil || auth.ClientId == nil || *auth.ClientId == "" || auth.ClientVersion == nil {
		return c, nil, bad
	}
	if c.Variant == WSGWSOAP && (auth.Sign == nil || auth.SessionKey == nil || len(params["sequenceNo"]) != 17 || params["v"] != "1.0") {
		return c, nil, bad
	}
	for _, name := range []string{"paramType", "outType"} {
		if c.Variant == WSGWREST && params[name] == "" {
			params[name] = TypeXML // public clients leave it out
		}
		if !isType(params[name]) {
			return c, nil, bad
		}
	}
	c.outJSON = params["outType"] == TypeJSON
	api := strings.Split(params["api"], ".")
	if len(api) != 3 || api[0] != Module || api[1] != Class {
		return c, nil, &Refusal{CodeNoMethod, "接口不存在"}
	}
	c.Method = api[2]
	if err := c.param(params["param"], params["paramType"]); err != nil {
		return c, nil, &Refusal{CodeBadParam, "解析参数异常"}
	}
	return c, nil, c.known()
}

func isType(s string) bool { return s == TypeXML || s == TypeJSON }

// param reads the Req inside a parameter.
func (c *Call) param(text, kind string) (err error) {
	if kind == TypeJSON {
		c.Request, err = readJSON(text)
		return err
	}
	root, err := strictxml.ParseText(text)
	if err == nil {
		c.Request, err = ReadRequest(root)
	}
	return err
}

// raw reads a bare Req. Where the address does not name the method, what the
// Req carries tells them apart.
func (c Call) raw(r *http.Request, last string, body []byte, bad *Refusal) (Call, url.Values, *Refusal) {
	got, err := wire.ReadBody(r.Header, body)
	if err != nil || got.Document == nil {
		return c, nil, bad
	}
	if c.Request, err = ReadRequest(got.Document); err != nil {
		return c, nil, bad
	}
	switch {
	case slices.Contains(Methods(), last):
		c.Method = last
	case c.Data.Has("AuthCode") || c.Data.Has("HisOrderId"):
		c.Method = Charge
	case c.Data.Has("OperatorId") && c.Data.Has("OperatorName"):
		c.Method = Revoke
	case c.Data.Has("OperatorId") || c.Data.Has("OperatorName"):
		return c, nil, &Refusal{CodeMissing, "参数不能为空"} // half of what makes it a Revoke: money is not given back on a guess
	default:
		c.Method = Query
	}
	return c, nil, nil
}

// formOf reads the fields of a form post, or of the address of a GET.
func formOf(r *http.Request, body []byte) (url.Values, error) {
	if r.Method == http.MethodPost && len(body) > 0 {
		got, err := wire.ReadBody(r.Header, body)
		if err != nil || got.Form == nil {
			return nil, errors.New("cannot read the request: it is no form")
		}
		return got.Form, nil
	}
	form, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, fmt.Errorf("cannot read the request: %w", err)
	}
	for name, values := range form {
		if len(values) != 1 || name == "" {
			return nil, errors.New("cannot read the request: a field stands in it twice")
		}
	}
	return form, nil
}

func inOrder(form url.Values) []string {
	var names []string
	for name := range form {
		if name != "token" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Refuse writes what a gateway says before it reads a Req.
func (c Call) Refuse(x Refusal) (kind string, body []byte) {
	if c.Variant == FormXML {
		return JSONType, Wrapper{Code: x.Code, Msg: x.Words}.JSON()
	}
	if x.Code == CodeToken && c.Variant != JSONGate {
		x.Code = CodeSession
	}
	return c.Write(Reply{Code: x.Code, Message: x.Words})
}

// JSONType is the media type of answers in JSON.
const JSONType = "application/json;charset=UTF-8"

// Write writes an answer the way the call came.
func (c Call) Write(a Reply) (kind string, body []byte) {
	inner := a.XML()
	if c.Answers.Declared {
		inner = `<?xml version="1.0" encoding="` + map[bool]string{true: "GBK", false: "UTF-8"}[c.Answers.GBK] + `"?>` + "\n" + inner
	}
	if c.outJSON {
		inner = string(a.JSON())
	}
	switch c.Variant {
	case JSONGate:
		return JSONType, a.JSON()
	case FormXML:
		return JSONType, Wrapper{Msg: "success", Result: inner, HasResult: true}.JSON()
	case WSGWSOAP:
		text := strictxml.Escape(inner)
		if c.Answers.CDATA {
			text = "<![CDATA[" + strings.ReplaceAll(inner, "]]>", "]]]]><![CDATA[>") + "]]>"
		}
		return c.encoded(`<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>` +
			`<ns:serviceResponse xmlns:ns="` + Namespace + `"><ns:out>` + text + `</ns:out></ns:serviceResponse>` +
			`</soapenv:Body></soapenv:Envelope>`)
	}
	if c.outJSON {
		return JSONType, []byte(inner)
	}
	return c.encoded(a.XML())
}

func (c Call) encoded(doc string) (string, []byte) {
	if !c.Answers.GBK {
		kind := wire.XMLType
		if c.Answers.BareType {
			kind = "text/xml"
		}
		return kind, []byte(doc)
	}
	b, err := strictxml.ToGB(`<?xml version="1.0" encoding="GBK"?>` + doc)
	if err != nil { // a character that GBK lacks: better another encoding than none
		return wire.XMLType, []byte(doc)
	}
	return "text/xml; charset=gbk", b
}

// WSDL describes the SOAP gateway at an address.
func WSDL(address string) []byte {
	return wire.WSDL("ServiceGateWay", Namespace, address, false, []wire.Operation{
		{Name: "service", Response: "serviceResponse", Result: "out", Params: soapOrder()}})
}
