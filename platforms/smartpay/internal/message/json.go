package message

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
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
	var q Request
	root, err := object([]byte(text))
	if err != nil {
		return q, fmt.Errorf("%w: it is not one plain JSON object", ErrMessage)
	}
	if inner, ok := root["Req"]; ok && len(root) == 1 {
		if root, err = object(inner); err != nil {
			return q, fmt.Errorf("%w: Req is no object", ErrMessage)
		}
	}
	if q.TransactionCode, err = jsonValue(root["TransactionCode"]); err != nil {
		return q, err
	}
	data := root["Data"]
	if data == nil {
		return q, fmt.Errorf("%w: it lacks Data", ErrMessage)
	}
	values, err := object(data)
	if err != nil {
		return q, fmt.Errorf("%w: Data is no object", ErrMessage)
	}
	// In the order in which they stand; what decides is each field's name.
	d := json.NewDecoder(bytes.NewReader(data))
	if _, err := d.Token(); err != nil {
		return q, fmt.Errorf("%w: Data is no object", ErrMessage)
	}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		var skip json.RawMessage
		if err != nil || !ok || d.Decode(&skip) != nil {
			return q, fmt.Errorf("%w: Data is no object", ErrMessage)
		}
		v, err := jsonValue(values[name])
		if err != nil {
			return q, err
		}
		q.Data = append(q.Data, Field{name, v})
	}
	return q, nil
}

func jsonValue(raw json.RawMessage) (string, error) {
	text, has, err := jsonText(raw)
	if err == nil {
		return text, nil
	}
	if word := string(raw); !has && word != "" && strings.Trim(word, "0123456789") == "" && len(word) <= 18 {
		return word, nil
	}
	return "", fmt.Errorf("%w: a value is neither text nor a whole number", ErrMessage)
}
