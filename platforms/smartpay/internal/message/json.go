package message

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"payagent/platforms/internal/strictjson"
)

// JSON writes the Resp as the JSON of variant E: RespCode is text there and
// Data a list.
func (a Reply) JSON() []byte {
	var b bytes.Buffer
	b.WriteString(`{"TransactionCode":` + quote(a.TransactionCode) + `,"RespCode":` + quote(strconv.Itoa(a.Code)) + `,"RespMessage":` + quote(a.Message) + `,"Data":[`)
	for i, e := range a.Data {
		b.WriteString(map[bool]string{true: "{", false: ","}[i == 0] + quote(e.Name) + ":" + quote(e.Value))
	}
	if len(a.Data) > 0 {
		b.WriteByte('}')
	}
	b.WriteString("]}")
	return b.Bytes()
}

// JSON writes the wrapper.
func (w Wrapper) JSON() []byte {
	s := `{"code":` + strconv.Itoa(w.Code) + `,"msg":` + quote(w.Msg)
	if w.HasResult {
		s += `,"result":` + quote(w.Result)
	}
	return []byte(s + "}")
}

// quote writes a JSON text. Bytes that are no character become marks.
func quote(s string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(strings.ToValidUTF8(s, string(utf8.RuneError))) // text into memory cannot fail
	return strings.TrimSuffix(b.String(), "\n")
}

// readJSON reads a Req that is written as JSON, with its root around it or
// without. Values are text or whole numbers; null is as good as missing.
func readJSON(text string) (Request, error) {
	bad := func(why string) (Request, error) {
		return Request{}, fmt.Errorf("%w: %s", ErrMessage, why)
	}
	root, err := strictjson.Parse([]byte(text))
	if err != nil || root.Kind != strictjson.Object {
		return bad("it is not one plain JSON object")
	}
	if req := root.Get("Req"); req.Kind == strictjson.Object && len(root.Members()) == 1 {
		root = req
	}
	code, err := jsonValue(root.Get("TransactionCode"))
	if err != nil {
		return bad("TransactionCode is neither text nor a whole number")
	}
	data := root.Get("Data")
	if data.Kind != strictjson.Object {
		return bad("it lacks Data")
	}
	q := Request{TransactionCode: code}
	for _, m := range data.Members() {
		v, err := jsonValue(m.Value)
		if err != nil {
			return bad("a value is neither text nor a whole number")
		}
		q.Data = append(q.Data, Field{m.Name, v})
	}
	return q, nil
}

var errValue = errors.New("neither text nor a whole number")

func jsonValue(v strictjson.Value) (string, error) {
	text, err := v.Scalar()
	if err != nil || v.Kind == strictjson.Number && strings.Trim(text, "0123456789") != "" {
		return "", errValue
	}
	return text, nil
}
