// Package message is the messages of seed 004 §5 and §7, written once for
// whoever speaks them: the adapter that asks, the façade and the served
// interfaces that answer, the simulator that pretends to be the platform.
//
// A message is <xml><head/><body/><sign/></xml>; it travels as one string in a
// SOAP call, as one form field, or by itself. Names and their order are those
// of the seed's samples, which the tests of the packages around hold both
// directions to. What a value means is not known here.
package message

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"payagent/platforms/internal/strictxml"
)

// The operations.
const (
	OpPay       = "FWC_IF_Barcode_Pay"
	OpQuery     = "FWC_IF_Barcode_Pay_Query"
	OpCancel    = "FWC_IF_Barcode_Pay_Cancel"
	OpRefund    = "FWC_IF_Barcode_Pay_Refund"
	OpPresent   = "FWC_IF_Qrcode_Pay"
	OpQRCancel  = "FWC_IF_Qrcode_Pay_Cancel" // not in the seed; the live service has it
	OpTradeList = "IF_Get_Hospital_Trade_List"
	OpHisQuery  = "HIS_IF_Query"
)

// The values of IsSuccess (seed 004 §5.1, §5.5).
const (
	Refused      = "0" // 业务逻辑失败
	Done         = "1" // 业务逻辑成功: the call worked, no more than that
	Trouble      = "2" // 处理业务时发生错误
	TokenRefused = "3" // AccessToken验证失败
)

// ResultName is the element in which the answer to an operation stands.
func ResultName(op string) string {
	switch op {
	case OpPay:
		return "BarcodeTradeResult"
	case OpQuery:
		return "BarcodeTradeStatus"
	case OpCancel:
		return "BarcodeTradeCancelResult"
	case OpQRCancel:
		return "QrcodeTradeCancelResult"
	case OpRefund:
		return "BarcodeTradeRefundResult"
	case OpPresent:
		return "QrcodeTradePayResult"
	}
	return ""
}

// Mandatory are the fields of a head that the seed's tables mark Y, the token
// left out.
func Mandatory(op string) []string {
	switch op {
	case OpPay:
		return []string{"OutTradeNo", "AuthCode", "TotalAmount", "Caption", "PatientName", "InhospitalNo", "OrderType"}
	case OpPresent:
		return []string{"OutTradeNo", "TotalAmount", "Caption", "OrderType", "PatientName", "InhospitalNo"}
	case OpRefund:
		return []string{"TradeNo", "RefundAmount", "OutRequestNo", "OutTradeNo", "TotalAmount"}
	case OpTradeList:
		return []string{"BeginDate", "EndDate"}
	}
	return []string{"OutTradeNo"}
}

// Field is one element with a value.
type Field struct {
	_           [0]func() // never compared: no code is made for it
	Name, Value string
}

// Fields are elements in the order in which they stand.
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

// Set changes a field that is there.
func (f Fields) Set(name, value string) {
	if i := f.index(name); i >= 0 {
		f[i].Value = value
	}
}

func (f Fields) index(name string) int {
	return slices.IndexFunc(f, func(e Field) bool { return e.Name == name })
}

// Result is ResponseResult.
type Result struct{ Success, Message, SubCode, SubMessage string }

// declaration is the seed's own.
const declaration = `<?xml version="1.0" encoding="utf-8" ?>`

// WriteRequest writes a request. The error names a field whose value XML
// cannot carry.
func WriteRequest(head Fields) (string, error) {
	var b strings.Builder
	b.WriteString(declaration + `<xml><head>`)
	for _, e := range head {
		v, err := strictxml.EscapeChecked(e.Value)
		if err != nil {
			return "", fmt.Errorf("cannot write %s: %w", e.Name, err)
		}
		b.WriteString("<" + e.Name + ">" + v + "</" + e.Name + ">")
	}
	b.WriteString("</head><body></body><sign></sign></xml>")
	return b.String(), nil
}

// ErrMessage is wrapped when a document is not a message.
var ErrMessage = errors.New("the document is not readable")

// ReadRequest reads the head of a request that is text already.
func ReadRequest(doc string) (Fields, error) {
	root, err := strictxml.ParseText(doc)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	return ReadHead(root)
}

// ReadHead reads the head of a request. A document that says anything twice is
// no message. Values stay as they are written, for the echo.
func ReadHead(root *strictxml.Node) (Fields, error) {
	if root.Name != "xml" || root.Space != "" {
		return nil, fmt.Errorf("%w: its root is not <xml>", ErrMessage)
	}
	if err := root.NoDuplicates(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	head, err := root.One("head")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	fields := make(Fields, 0, len(head.Kids))
	for _, k := range head.Kids {
		v, err := k.Leaf()
		if err != nil || k.Space != "" || !elementName.MatchString(k.Name) {
			return nil, fmt.Errorf("%w: its head holds more than values", ErrMessage)
		}
		fields = append(fields, Field{Name: k.Name, Value: v})
	}
	return fields, nil
}

// elementName bounds what is echoed: a name that another reader might not take
// makes no answer unreadable.
var elementName = regexp.MustCompile(`^[A-Za-z_][0-9A-Za-z_]{0,63}$`)

// WriteReply writes an answer as the samples have it: the head of the request
// without OrderType, ResponseResult, the element with the answer unless it has
// no fields, an empty sign. What XML cannot carry becomes a replacement mark.
func WriteReply(op string, head Fields, r Result, result Fields) string {
	var b strings.Builder
	b.WriteString(ReplyHead(head, r))
	if name := ResultName(op); len(result) > 0 {
		b.WriteString("       <" + name + ">\n")
		for _, e := range result {
			Line(&b, 11, e.Name, e.Value)
		}
		b.WriteString("       </" + name + ">\n")
	}
	b.WriteString(ReplyTail)
	return b.String()
}

// ReplyTail ends an answer.
const ReplyTail = "   </body>\n   <sign></sign>\n</xml>"

// ReplyHead begins an answer, up to and with ResponseResult; ReplyTail ends it.
// Between the two stand the elements with the answer.
func ReplyHead(head Fields, r Result) string {
	var b strings.Builder
	b.WriteString(declaration + "\n<xml>\n   <head>\n")
	for _, e := range head {
		if e.Name != "OrderType" { // the samples' echo drops it
			Line(&b, 7, e.Name, e.Value)
		}
	}
	b.WriteString("   </head>\n   <body>\n       <ResponseResult>\n")
	Line(&b, 11, "IsSuccess", r.Success)
	Line(&b, 11, "Message", r.Message)
	Line(&b, 11, "SubCode", r.SubCode)
	Line(&b, 11, "SubMessage", r.SubMessage)
	b.WriteString("       </ResponseResult>\n")
	return b.String()
}

// Line writes one element on a line of its own.
func Line(b *strings.Builder, indent int, name, value string) {
	b.WriteString(strings.Repeat(" ", indent) + "<" + name + ">" + strictxml.Escape(value) + "</" + name + ">\n")
}

// Reply is an answer taken apart.
type Reply struct {
	Result
	Head *strictxml.Node // the echo; nil where there is none
	Body *strictxml.Node // the element with the answer; nil where there is none
}

// ReadReply reads an answer, whose element may have one of several names.
// Unknown elements are read over, missing optional ones are empty; a document
// that says anything twice or has no ResponseResult/IsSuccess is an error.
func ReadReply(root *strictxml.Node, results ...string) (Reply, error) {
	var r Reply
	if root.Name != "xml" || root.Space != "" {
		return r, errors.New("its root is not <xml>")
	}
	if err := root.NoDuplicates(); err != nil {
		return r, err
	}
	var err error
	if r.Head, err = root.Maybe("head"); err != nil {
		return r, err
	}
	body, err := root.One("body")
	if err != nil {
		return r, err
	}
	said, err := body.One("ResponseResult")
	if err != nil {
		return r, err
	}
	for _, e := range []struct {
		name string
		to   *string
	}{{"IsSuccess", &r.Success}, {"Message", &r.Message}, {"SubCode", &r.SubCode}, {"SubMessage", &r.SubMessage}} {
		if *e.to, err = said.Value(e.name); err != nil {
			return r, err
		}
	}
	if r.Success == "" {
		return r, errors.New("it lacks IsSuccess")
	}
	for _, name := range results {
		found, err := body.Maybe(name)
		if err != nil {
			return r, err
		}
		if found != nil && r.Body != nil {
			return r, errors.New("it has two results")
		}
		if found != nil {
			r.Body = found
		}
	}
	return r, nil
}

// Zone is the zone of every time on the wire.
func Zone() *time.Location { return time.FixedZone("UTC+8", 8*60*60) }

// WriteTime writes a time as the messages have it; the zero time is empty. The
// seed's hh is read as 24 hours: no sample of it shows an afternoon, and §7
// writes HH.
func WriteTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(Zone()).Format("2006-01-02 15:04:05")
}

// ReadTime reads a time in any of the forms that are in use, as .NET writes
// them too.
func ReadTime(s string) (time.Time, bool) {
	for _, layout := range []string{"2006-01-02 15:04:05", "2006/1/2 15:04:05", "20060102150405", "2006-01-02T15:04:05"} {
		if t, err := time.ParseInLocation(layout, strings.TrimSpace(s), Zone()); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}
