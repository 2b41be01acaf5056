// Package message is the messages of seed 000 and the ways they travel,
// written once for whoever speaks them: the adapter that asks, the façade that
// answers, the simulator that pretends to be the platform.
//
// A call is <Req><TransactionCode/><Data/></Req>, its answer
// <Resp><TransactionCode/><RespCode/><RespMessage/><Data/></Resp>. The seed
// leaves the transport open; the five of public servers (wire.md §1.2) and the
// bare document are all here. Names and their order are those of the seed's
// samples, which the adapter's tests hold both directions to. What a value
// means is not known here.
package message

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"payagent/platforms/internal/strictxml"
)

// The three methods; each is the last part of smartPay.SmartPay.NAME.
const (
	Charge = "SweepCodePay"
	Query  = "QueryOrderState"
	Revoke = "Revoke"
)

// Module and Class are the first two parts of the seed's method names. The
// known server routes by the first and the last part.
const Module, Class = "smartPay", "SmartPay"

// Namespace is that of the SOAP gateway.
const Namespace = "http://com.yihu.wsgw/ServiceGateWay"

// RespCodes that servers answer with of themselves (wire.md §1.4).
const (
	CodeDone       = 10000
	CodeMissing    = -20000 // 参数不能为空
	CodeBadParam   = -20001 // 解析参数异常
	CodeNoMethod   = -14006 // 接口不存在
	CodeBadRequest = -14009 // 请求参数错误
	CodeSession    = -14015 // the session is refused, where there is no wrapper
	CodeToken      = 40013  // the token is refused, in a wrapper
	CodeGateway    = 50000  // the gateway cannot use the request, in a wrapper
)

// Methods lists the methods.
func Methods() []string { return []string{Charge, Query, Revoke} }

// Field is one child of Data.
type Field struct{ Name, Value string }

// Fields are the children of Data in the order in which they stand.
type Fields []Field

// Get gives a value, trimmed; empty where there is no such field.
func (f Fields) Get(name string) string {
	if i := f.index(name); i >= 0 {
		return strings.TrimSpace(f[i].Value)
	}
	return ""
}

// Has tells whether a field is there, empty or not.
func (f Fields) Has(name string) bool { return f.index(name) >= 0 }

// Set changes a field, or adds it.
func (f *Fields) Set(name, value string) {
	if i := f.index(name); i >= 0 {
		(*f)[i].Value = value
		return
	}
	*f = append(*f, Field{name, value})
}

func (f Fields) index(name string) int {
	return slices.IndexFunc(f, func(e Field) bool { return e.Name == name })
}

// Request is a Req taken apart.
type Request struct {
	TransactionCode string
	Data            Fields
}

// XML writes the Req. The values were checked for what XML can carry; what it
// cannot becomes a replacement mark.
func (q Request) XML() string {
	var b strings.Builder
	b.WriteString("<Req><TransactionCode>" + strictxml.Escape(q.TransactionCode) + "</TransactionCode><Data>")
	writeFields(&b, q.Data)
	b.WriteString("</Data></Req>")
	return b.String()
}

func writeFields(b *strings.Builder, fields Fields) {
	for _, e := range fields {
		b.WriteString("<" + e.Name + ">" + strictxml.Escape(e.Value) + "</" + e.Name + ">")
	}
}

// ErrMessage is wrapped when a document is no Req.
var ErrMessage = errors.New("the request is not readable")

// ReadRequest reads a Req. A document that says anything twice is none.
func ReadRequest(root *strictxml.Node) (Request, error) {
	var q Request
	if root.Name != "Req" {
		return q, fmt.Errorf("%w: its root is not <Req>", ErrMessage)
	}
	err := root.NoDuplicates()
	if err == nil {
		q.TransactionCode, err = root.Value("TransactionCode")
	}
	if err != nil {
		return q, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	data, err := root.One("Data")
	if err != nil {
		return q, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	for _, k := range data.Kids {
		v, err := k.Leaf()
		if err != nil {
			return q, fmt.Errorf("%w: %w", ErrMessage, err)
		}
		q.Data = append(q.Data, Field{k.Name, v})
	}
	return q, nil
}

// Reply is a Resp before it is written.
type Reply struct {
	TransactionCode string
	Code            int
	Message         string
	Data            Fields
}

// XML writes the Resp; one without fields has no Data, as the servers' have it.
func (a Reply) XML() string {
	var b strings.Builder
	b.WriteString("<Resp><TransactionCode>" + strictxml.Escape(a.TransactionCode) + "</TransactionCode>")
	b.WriteString("<RespCode>" + strconv.Itoa(a.Code) + "</RespCode><RespMessage>" + strictxml.Escape(a.Message) + "</RespMessage>")
	if len(a.Data) > 0 {
		b.WriteString("<Data>")
		writeFields(&b, a.Data)
		b.WriteString("</Data>")
	}
	b.WriteString("</Resp>")
	return b.String()
}

// Said is a Resp taken apart as far as everybody needs it.
type Said struct {
	Word    string // RespCode as written
	Code    int
	Message string
	Data    *strictxml.Node // nil where there is none
}

// ReadReply reads a Resp.
func ReadReply(root *strictxml.Node) (Said, error) {
	var s Said
	bad := func(err error) (Said, error) {
		return Said{}, fmt.Errorf("cannot read the platform's answer: %w", err)
	}
	if root.Name != "Resp" {
		return bad(errors.New("its root element is not <Resp>; check the endpoint and the transport"))
	}
	if err := root.NoDuplicates(); err != nil {
		return bad(err)
	}
	var err error
	if s.Word, err = root.Value("RespCode"); err != nil {
		return bad(err)
	}
	if s.Message, err = root.Value("RespMessage"); err != nil {
		return bad(err)
	}
	if s.Code, err = respCode(s.Word); err != nil {
		return Said{}, err
	}
	if s.Data, err = root.Maybe("Data"); err != nil {
		return bad(err)
	}
	return s, nil
}

// respCode reads an integer in its only canonical form, so that no two
// spellings of a code can be judged differently.
func respCode(word string) (int, error) {
	n, err := strconv.Atoi(word)
	if err != nil || strconv.Itoa(n) != word || len(word) > 9 {
		return 0, errors.New("cannot read the platform's answer: RespCode is missing or not an integer; ask the operator of the platform")
	}
	return n, nil
}

var fieldName = regexp.MustCompile(`^[A-Za-z][0-9A-Za-z_]{0,63}$`)
