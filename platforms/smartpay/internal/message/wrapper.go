package message

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"payagent/platforms/internal/strictxml"
)

// Wrapper is the JSON around a Resp that form gateways answer with:
// {"code":0, …, "result":"<Resp>…"}. Where code is not 0 the gateway refused
// the call itself and there is no Resp.
type Wrapper struct {
	Code      int
	Msg       string
	Result    string
	HasResult bool
}

var errWrapper = errors.New("cannot read the gateway's answer")

// BadWrapper is the error for a wrapper that cannot be used.
func BadWrapper(why string) error {
	return fmt.Errorf("%w: %s; check the endpoint and the transport", errWrapper, why)
}

// ReadWrapper reads the JSON strictly; see object.
func ReadWrapper(b []byte) (Wrapper, error) {
	fields, err := object(b)
	if err != nil {
		return Wrapper{}, err
	}
	var w Wrapper
	code, err := jsonInt(fields["code"])
	if err != nil {
		return Wrapper{}, err
	}
	w.Code = code
	if w.Msg, _, err = jsonText(fields["msg"]); err != nil {
		return Wrapper{}, err
	}
	w.Result, w.HasResult, err = jsonText(fields["result"])
	return w, err
}

// object reads JSON strictly: one object of at most 64 KiB, no two names that
// are equal or differ in case only, nothing behind it. Two readers could take
// such names for different things, and this decides about money.
func object(b []byte) (map[string]json.RawMessage, error) {
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	switch {
	case len(b) > strictxml.MaxBytes:
		return nil, BadWrapper("it is too long")
	case !utf8.Valid(b):
		return nil, BadWrapper("it is not UTF-8")
	case !json.Valid(b):
		return nil, BadWrapper("it is not one JSON value")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := noTwins(d, 0); err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(b, &fields); err != nil || fields == nil {
		return nil, BadWrapper("it is not a JSON object")
	}
	return fields, nil
}

// noTwins walks one value that is known to be valid JSON.
func noTwins(d *json.Decoder, depth int) error {
	if depth > strictxml.MaxDepth {
		return BadWrapper("it is nested too deep")
	}
	t, err := d.Token()
	if err != nil {
		return BadWrapper("it is not JSON")
	}
	open, nested := t.(json.Delim)
	if !nested {
		return nil
	}
	seen := map[string]bool{}
	for d.More() {
		if open == '{' {
			name, err := d.Token()
			key, isText := name.(string)
			if err != nil || !isText {
				return BadWrapper("it is not JSON")
			}
			if low := strings.ToLower(key); seen[low] {
				return BadWrapper("it has a name twice")
			} else {
				seen[low] = true
			}
		}
		if err := noTwins(d, depth+1); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

// jsonInt reads an integer, written as a number or, as some versions do, as text.
func jsonInt(raw json.RawMessage) (int, error) {
	word := strings.Trim(string(raw), `"`)
	n, err := strconv.Atoi(word)
	if err != nil || strconv.Itoa(n) != word || len(word) > 9 {
		return 0, BadWrapper("its code is missing or not an integer")
	}
	return n, nil
}

// jsonText reads a text that may be missing or null. Escapes that stand for no
// character are refused, because the decoder would replace them.
func jsonText(raw json.RawMessage) (text string, has bool, err error) {
	if len(raw) == 0 || string(raw) == "null" {
		return "", false, nil
	}
	if err := json.Unmarshal(raw, &text); err != nil || strings.ContainsRune(text, utf8.RuneError) {
		return "", false, BadWrapper("msg or result is not text")
	}
	return text, true, nil
}
